"""A finished run: its folder (``run``), numbers (``metrics``), text (``summary``), audit (``verify``) and ``plots``."""
