"""A picture as it is written and as a notebook shows it: with our settings, whatever the process's own are."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from matplotlib.figure import Figure

from results.files import write_at_once
from results.plots import style

FORMATS: Mapping[str, Mapping[str, None]] = MappingProxyType({"png": {"Software": None}, "svg": {"Date": None}})
"""Formats, each with the metadata that would make equal pictures differ."""


@dataclass(frozen=True, slots=True, repr=False)
class Shown:
    """A figure that shows itself where it is the last thing of a cell."""

    figure: Figure

    def __repr__(self) -> str:
        return f"<picture: {self.claim}>"

    def _repr_png_(self) -> bytes:
        return self._bytes("png")

    @property
    def claim(self) -> str:
        """The sentence over it."""
        return " ".join(self.figure.texts[0].get_text().split())

    def save(self, path: Path | str, dpi: int | None = None) -> None:
        """Write it, whole or not at all; the ending says as what.  The same figure gives the same bytes.

        dpi: dots per inch, where not those of every picture.

        Raises ``ValueError`` for an ending that matplotlib does not know.
        """
        write_at_once(Path(path), self._bytes(Path(path).suffix.lstrip("."), dpi))

    def _bytes(self, fmt: str, dpi: int | None = None) -> bytes:
        file = io.BytesIO()
        with style.applied():
            self.figure.savefig(file, format=fmt, metadata=dict(FORMATS.get(fmt, {})), dpi=dpi or "figure")
        return file.getvalue()


def drawn(draw: Callable[[], Figure]) -> Shown:
    """What ``draw`` makes of our settings."""
    with style.applied():
        return Shown(draw())
