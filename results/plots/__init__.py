"""Pictures of a finished run.  Importing this brings in matplotlib, so the command line imports it late."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from matplotlib.figure import Figure

from results.plots import (
    adders,
    clearing,
    convergence,
    duration,
    energy,
    feeder_map,
    fleet,
    messages,
    money,
    payments,
    prices,
    stability,
    transformer,
    voltages,
    waterfall,
)
from results.plots.shown import FORMATS, drawn
from results.run import Run
from sim.errors import Fault, RunError, nearest


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture of a run.

    draw: makes it; some draw one interval, and choose a telling one for None, others mark the interval that is asked for.
    Where a run has nothing for it, a picture that says so.  shows: whether a run has something for it.
    """

    name: str
    title: str
    draw: Callable[[Run, int | None], Figure]
    shows: Callable[[Run], bool]
    summary: str


PLOTS: Mapping[str, Plot] = MappingProxyType(
    {
        plot.name: plot
        for plot in (
            Plot("prices", "Prices by node", prices.draw, prices.shows, "prices and adders by node over time"),
            Plot(
                "transformer",
                "Transformer flows",
                transformer.draw,
                transformer.shows,
                "flows over time against limits both ways, before and after the market",
            ),
            Plot(
                "clearing",
                "One clearing",
                clearing.draw,
                clearing.shows,
                "curves, limits and adder of one interval at one node",
            ),
            Plot(
                "convergence",
                "Convergence of adders",
                convergence.draw,
                convergence.shows,
                "prices and flows of one interval, round by round",
            ),
            Plot(
                "feeder",
                "The feeder",
                feeder_map.draw,
                feeder_map.shows,
                "map of loadings and voltages in one interval",
            ),
            Plot(
                "voltages",
                "Voltages",
                voltages.draw,
                voltages.shows,
                "voltages of all buses over time against their band, the extreme ones by name",
            ),
            Plot(
                "duration",
                "Loading duration",
                duration.draw,
                duration.shows,
                "hours by loading of transformers and lines, both ways",
            ),
            Plot(
                "adders",
                "Adders",
                adders.draw,
                adders.shows,
                "adder by use of the limit, and prices of the limits beside the tree",
            ),
            Plot(
                "stability",
                "Stability",
                stability.draw,
                stability.shows,
                "whether the flow that its price follows settles or swings",
            ),
            Plot(
                "energy",
                "Energy by kind",
                energy.draw,
                energy.shows,
                "power put in and taken out by kind over time, with imports and exports",
            ),
            Plot(
                "fleet",
                "Electric vehicles",
                fleet.draw,
                fleet.shows,
                "charge of the cars over time, their deadlines, and what they asked for and got",
            ),
            Plot(
                "money",
                "Who pays and receives",
                money.draw,
                money.shows,
                "money paid and received by kind of participant and term",
            ),
            Plot(
                "waterfall",
                "Bills",
                waterfall.draw,
                waterfall.shows,
                "from receipts and payments to the net, for one party of each kind",
            ),
            Plot("payments", "Who pays whom", payments.draw, payments.shows, "flow diagram of money between kinds"),
            Plot("messages", "Messages", messages.draw, messages.shows, "messages by action, taken and refused"),
        )
    }
)
"""Every picture by name; a new one is a module and a line here."""


def fitting(run: Run) -> tuple[str, ...]:
    """The pictures that a run has something for, in the order of the table."""
    return tuple(name for name, plot in PLOTS.items() if plot.shows(run))


def refuse(run: Run, names: Iterable[str], formats: Iterable[str], interval: int | None = None) -> None:
    """Raise ``RunError`` with every picture and format that does not exist, and an interval outside the run."""
    faults = tuple(_faults(run, names, formats, interval))
    if faults:
        raise RunError(str(run.path), faults)


def _faults(run: Run, names: Iterable[str], formats: Iterable[str], interval: int | None) -> Iterator[Fault]:
    for name in names:
        if name not in PLOTS:
            yield Fault(str(run.path), f"no plot {name}; {nearest(name, PLOTS)}")
    for fmt in formats:
        if fmt not in FORMATS:
            yield Fault(str(run.path), f"no format {fmt}; {nearest(fmt, FORMATS)}")
    if interval is not None and not 0 <= interval < run.calendar.count:
        yield Fault(str(run.path), f"no interval {interval}; it has 0 to {run.calendar.count - 1}")


def save(run: Run, name: str, folder: Path, fmt: str = "png", interval: int | None = None) -> Path:
    """Draw a picture into a folder; the same run gives the same bytes, and a file is there whole or not at all.

    Raises ``RunError`` for a picture or a format that does not exist, and for an interval outside the run.
    """
    refuse(run, (name,), (fmt,), interval)
    picture = drawn(lambda: PLOTS[name].draw(run, interval))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}{'' if interval is None else f'-{interval}'}.{fmt}"
    picture.save(path)
    return path
