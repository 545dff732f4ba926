"""The one door to the library that draws charts in a browser: Vega and Vega-Lite as one script."""

from __future__ import annotations

from functools import cache

from sim.errors import RunError


@cache
def library() -> bytes:
    """The script, which sets ``vegaEmbed`` on ``window``.  Raises ``RunError`` without the extra ``report``."""
    try:
        import vl_convert  # noqa: PLC0415
    except ImportError:
        raise RunError("report", "needs the extra: pip install 'degsim[report]'") from None
    # Its hundreds of short names stay its own.
    return f"(() => {{{vl_convert.javascript_bundle('window.vegaEmbed = vegaEmbed;')}}})();".encode()
