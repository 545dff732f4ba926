"""Pictures of a finished run.  Importing this brings in matplotlib, so the command line imports it late."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from matplotlib.figure import Figure

from results.plots import adders, clearing, duration, feeder_map, money, prices, stability, style, transformer
from results.run import Run
from sim.errors import RunError, nearest

FORMATS: Mapping[str, Mapping[str, None]] = MappingProxyType({"png": {"Software": None}, "svg": {"Date": None}})
"""Formats, each with the metadata that would make equal pictures differ."""


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture of a run.

    draw: makes it; some draw one interval, and choose a telling one for None, others mark the interval that is asked for.
    """

    name: str
    title: str
    draw: Callable[[Run, int | None], Figure]
    summary: str


PLOTS: Mapping[str, Plot] = MappingProxyType(
    {
        plot.name: plot
        for plot in (
            Plot("prices", "Prices by node", prices.draw, "prices and adders by node over time"),
            Plot("transformer", "Transformer flows", transformer.draw, "flows over time against limits both ways"),
            Plot("clearing", "One clearing", clearing.draw, "curves, limits and adder of one interval at one node"),
            Plot("feeder", "The feeder", feeder_map.draw, "map of loadings and voltages in one interval"),
            Plot(
                "duration", "Loading duration", duration.draw, "hours by loading of transformers and lines, both ways"
            ),
            Plot(
                "adders", "Adders", adders.draw, "adder by use of the limit, and prices of the limits beside the tree"
            ),
            Plot("stability", "Stability", stability.draw, "whether the flow that its price follows settles or swings"),
            Plot("money", "Who pays whom", money.draw, "money paid and received by kind of participant and term"),
        )
    }
)
"""Every picture by name; a new one is a module and a line here."""


def save(run: Run, name: str, folder: Path, fmt: str = "png", interval: int | None = None) -> Path:
    """Draw a picture into a folder; the same run gives the same bytes.

    Raises ``RunError`` for a picture or a format that does not exist, and for an interval outside the run.
    """
    if name not in PLOTS:
        raise RunError(str(run.path), f"no plot {name}; {nearest(name, PLOTS)}")
    if fmt not in FORMATS:
        raise RunError(str(run.path), f"no format {fmt}; {nearest(fmt, FORMATS)}")
    if interval is not None and not 0 <= interval < run.calendar.count:
        raise RunError(str(run.path), f"no interval {interval}; it has 0 to {run.calendar.count - 1}")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}{'' if interval is None else f'-{interval}'}.{fmt}"
    with style.applied():
        PLOTS[name].draw(run, interval).savefig(path, format=fmt, metadata=dict(FORMATS[fmt]))
    return path
