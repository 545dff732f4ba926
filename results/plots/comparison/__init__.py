"""Pictures of a comparison.  Importing this brings in matplotlib, so the command line imports it late."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from matplotlib.figure import Figure

from results.comparison import POLICY, Comparison
from results.plots.comparison import differences, seeds, sweep, tradeoff
from results.plots.shown import FORMATS, drawn
from sim.errors import RunError, nearest


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a comparison.  draw: makes it, of some metrics or of those that it finds telling."""

    name: str
    title: str
    draw: Callable[[Comparison, Sequence[str]], Figure]
    summary: str


PICTURES: Mapping[str, Picture] = MappingProxyType(
    {
        picture.name: picture
        for picture in (
            Picture(
                "differences", "Differences", differences.draw, "paired differences to the baseline with intervals"
            ),
            Picture(
                "tradeoff", "Tradeoff", tradeoff.draw, "one metric against another, and who is beaten in both by none"
            ),
            Picture("seeds", "Seeds", seeds.draw, "spread over the seeds by variant, with equal seeds joined"),
            Picture("sweep", "Sweep", sweep.draw, "metrics along an axis of a grid, or a map over two"),
        )
    }
)
"""Every picture by name; a new one is a module and a line here."""


def fitting(comparison: Comparison) -> tuple[str, ...]:
    """The pictures that say something of this comparison: the one of axes for grids, the others where policies differ."""
    is_grid = any(path != POLICY for path in comparison.axes)
    return ("sweep", *(name for name in PICTURES if name != "sweep")) if is_grid else tuple(PICTURES)[:-1]


def save(comparison: Comparison, name: str, folder: Path, fmt: str = "png", metrics: Sequence[str] = ()) -> Path:
    """Draw a picture into a folder; the same comparison gives the same bytes.

    Raises ``RunError`` for a picture, a format or a metric that does not exist.
    """
    if name not in PICTURES:
        raise RunError(comparison.study, f"no picture {name}; {nearest(name, PICTURES)}")
    if fmt not in FORMATS:
        raise RunError(comparison.study, f"no format {fmt}; {nearest(fmt, FORMATS)}")
    picture = drawn(lambda: PICTURES[name].draw(comparison, metrics))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.{fmt}"
    picture.save(path)
    return path
