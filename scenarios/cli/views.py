"""Commands that look at finished runs: audit, difference, pictures, page, sequence."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from scenarios.cli.common import AT_FAULT, OK, command, deliver, out, say
from sim.errors import RunError


def add_verify(commands: Any) -> None:
    """``degsim verify``."""
    command(commands, "verify", _verify, "audit a finished run").add_argument("run", type=Path, metavar="RUN")


def _verify(options: argparse.Namespace) -> int:
    from results.run import Run  # noqa: PLC0415
    from results.verify import render, verify  # noqa: PLC0415

    report = verify(Run(options.run))
    out(render(report))
    return AT_FAULT if report.findings else OK


def add_diff(commands: Any) -> None:
    """``degsim diff``."""
    diff = command(commands, "diff", _diff, "tell what sets two runs apart: scenario, first differences, totals")
    diff.add_argument("one", type=Path, metavar="RUN1")
    diff.add_argument("two", type=Path, metavar="RUN2")
    diff.add_argument("--json", action="store_true", help="one JSON object instead of text")
    diff.add_argument(
        "--tolerance",
        type=float,
        default=0.0,
        metavar="T",
        help="numbers this near, relatively, are the same (default: 0)",
    )
    diff.epilog = "Exit status: 0 alike, 1 they differ, 2 a run cannot be read."


def _diff(options: argparse.Namespace) -> int:
    from results.difference import as_json, difference, render  # noqa: PLC0415
    from results.run import Run  # noqa: PLC0415

    if not 0 <= options.tolerance < 1:
        raise RunError("--tolerance", f"{options.tolerance:g} is not from 0 to less than 1")
    found = difference(Run(options.one), Run(options.two), options.tolerance)
    out(as_json(found) if options.json else render(found))
    return OK if found.alike else AT_FAULT


def add_plot(commands: Any) -> None:
    """``degsim plot``."""
    plot = command(commands, "plot", _plot, "draw pictures of a finished run into its folder plots/")
    plot.add_argument("run", type=Path, metavar="RUN")
    plot.add_argument(
        "names", nargs="*", metavar="NAME", help="default: all that the run has something for; see degsim list plots"
    )
    plot.add_argument("--interval", type=int, metavar="N", help="draw or mark this one, counted from 0")
    plot.add_argument("--format", default="png", metavar="png|svg|both", help="default: png")


def _plot(options: argparse.Namespace) -> int:
    from results import plots  # noqa: PLC0415
    from results.plots.shown import FORMATS  # noqa: PLC0415
    from results.run import Run  # noqa: PLC0415

    run = Run(options.run)
    formats = tuple(FORMATS) if options.format == "both" else (options.format,)
    plots.refuse(run, options.names, formats, options.interval)
    names = options.names or plots.fitting(run)
    draw(run, names, options.interval, formats)
    left_out = [name for name in plots.PLOTS if name not in names]
    if left_out and not options.names:
        say(f"degsim: nothing to show in {', '.join(left_out)}")
    return OK


def draw(
    run: Any, names: Sequence[str], interval: int | None, formats: Sequence[str], tell: Callable[[str], None] = say
) -> None:
    """Draw these pictures of a run into its folder, and tell where each is."""
    from results.plots import save  # noqa: PLC0415

    for name in names:
        for form in formats:
            tell(str(save(run, name, run.path / "plots", form, interval)))


def add_report(commands: Any) -> None:
    """``degsim report``."""
    report = command(commands, "report", _report, "make one page of a run or a comparison that opens without a network")
    report.add_argument("run", type=Path, metavar="RUN|COMPARISON")
    report.add_argument("--out", type=Path, metavar="FILE.html", help="default: report.html in the folder")


def _report(options: argparse.Namespace) -> int:
    from results import report  # noqa: PLC0415
    from results.report import comparison  # noqa: PLC0415
    from results.run import Run  # noqa: PLC0415

    if comparison.is_comparison(options.run):
        say(str(comparison.write(options.run, options.out)))
    else:
        say(str(report.write(Run(options.run), options.out)))
    return OK


def add_sequence(commands: Any) -> None:
    """``degsim sequence``."""
    sequence = command(commands, "sequence", _sequence, "show who said what to whom in a finished run")
    sequence.add_argument("run", type=Path, metavar="RUN")
    sequence.add_argument("--transaction", metavar="ID", help="only it and what descends from it; its first digits do")
    sequence.add_argument(
        "--participant", action="append", default=[], metavar="NAME", help="only what it says and hears, repeatable"
    )
    sequence.add_argument("--from", dest="begin", metavar="TIME", help="11:30 of the first day, or 2016-05-17T11:30")
    sequence.add_argument("--to", dest="end", metavar="TIME", help="before this time")
    sequence.add_argument(
        "--all", action="store_true", help="every message, also what repeats or is said by many alike"
    )
    sequence.add_argument("--format", default="text", choices=("mermaid", "text"))
    sequence.add_argument("--out", type=Path, metavar="FILE", help="default: standard output")


def _sequence(options: argparse.Namespace) -> int:
    from results import sequence  # noqa: PLC0415
    from results.run import Run  # noqa: PLC0415

    run = Run(options.run)
    begin, end = sequence.span_of(run.calendar, options.begin, options.end)
    told = sequence.select(str(run.path), sequence.steps(run), options.transaction, options.participant, begin, end)
    if not told:
        say("degsim: no message is of this transaction, participant and time")
    drawn = sequence.outline(told, run.kinds, options.all, options.participant)
    text = (sequence.mermaid if options.format == "mermaid" else sequence.as_text)(run, drawn)
    deliver(text.removesuffix("\n"), options.out)
    return OK
