"""Commands that simulate: one run, many of them, and what a scenario must cost at least."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scenarios.cli.common import AT_FAULT, INTERRUPTED, OK, add_quiet, command, end_as_by_ctrl_c, hush, out, say
from scenarios.cli.views import draw
from sim.errors import Fault, RunError, ScenarioError


def add_run(commands: Any) -> None:
    """``degsim run``."""
    run = command(commands, "run", _run, "run a scenario and write a run folder")
    run.add_argument("scenario", type=Path, metavar="SCENARIO.yaml")
    run.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="override any key, repeatable")
    run.add_argument("--seed", type=int, metavar="N")
    run.add_argument("--out", type=Path, metavar="DIR", help="run folder (default: results/runs/NAME-POLICY-seedN)")
    add_quiet(run)


def _run(options: argparse.Namespace) -> int:
    from scenarios.reader import read  # noqa: PLC0415

    overrides = [*options.set, *([] if options.seed is None else [f"seed={options.seed}"])]
    scenario = read(options.scenario, overrides)

    from results.metrics import summarise  # noqa: PLC0415
    from results.run import Run  # noqa: PLC0415
    from results.summary import render  # noqa: PLC0415
    from scenarios import runner  # noqa: PLC0415
    from scenarios.progress import Progress  # noqa: PLC0415

    end_as_by_ctrl_c()
    folder = options.out or runner.default_folder(scenario, overrides)
    tell = hush if options.quiet else say
    try:
        with Progress(scenario, options.quiet) as progress:
            runner.execute(scenario, folder, progress)
    except KeyboardInterrupt:
        say(f"degsim: interrupted {runner.left_behind(folder)}")
        return INTERRUPTED
    try:
        run = Run(folder)
        if scenario.outputs.plots:
            draw(run, scenario.outputs.plots, None, ("png",), tell)
        out(render(summarise(run)))
    except KeyboardInterrupt:
        say(f"degsim: interrupted; the run itself is finished: {folder}")
        return INTERRUPTED
    tell(f"run folder: {folder}")
    return OK


def add_compare(commands: Any) -> None:
    """``degsim compare``."""
    compare = command(commands, "compare", _compare, "compare policies on the same arrivals and weather, seed by seed")
    compare.add_argument("source", type=Path, metavar="SCENARIO.yaml|STUDY.yaml")
    compare.add_argument(
        "--policy",
        action="append",
        default=[],
        metavar="NAME",
        help="repeatable; the others are compared with the first",
    )
    compare.add_argument("--seeds", metavar="1-20", help="such as 1-20 or 1,5,9 (default: 1-20, or those of the study)")
    compare.add_argument("--baseline", metavar="NAME", help="the policy that the others are compared with")
    _add_study(compare)


def _compare(options: argparse.Namespace) -> int:
    from scenarios.study import SEEDS, is_study, read_study, study_of  # noqa: PLC0415

    if is_study(options.source):
        said = {"--policy": options.policy, "--baseline": options.baseline, "--metric": options.metric}
        _refuse(options.source, [f"{option}: the study says that itself" for option, value in said.items() if value])
        study = read_study(options.source, options.seeds, options.set)
    else:
        _refuse(options.source, [] if options.policy else ["say what to compare, such as --policy locational"])
        study = study_of(
            options.source,
            policies=options.policy,
            seeds=SEEDS if options.seeds is None else options.seeds,
            overrides=options.set,
            baseline=options.baseline,
            metrics=options.metric,
        )
    return _carry_out(study, options)


def add_sweep(commands: Any) -> None:
    """``degsim sweep``."""
    sweep = command(commands, "sweep", _sweep, "vary any keys of a scenario over a grid")
    sweep.add_argument("source", type=Path, metavar="SCENARIO.yaml")
    sweep.add_argument(
        "--over",
        action="append",
        required=True,
        metavar="PATH=V1,V2",
        help="an axis of the grid, repeatable; PATH=[V1, V2] for values with commas",
    )
    sweep.add_argument("--policy", action="append", default=[], metavar="NAME", help="at every point, repeatable")
    sweep.add_argument("--seeds", metavar="1-20", help="default: the scenario's own")
    _add_study(sweep)


def _sweep(options: argparse.Namespace) -> int:
    from scenarios.study import grid_of, study_of  # noqa: PLC0415

    study = study_of(
        options.source,
        policies=options.policy,
        over=grid_of(options.over),
        seeds=options.seeds,
        overrides=options.set,
        metrics=options.metric,
    )
    return _carry_out(study, options)


def _add_study(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--set", action="append", default=[], metavar="PATH=VALUE", help="override any key of all runs"
    )
    command.add_argument("--metric", action="append", default=[], metavar="MODULE:FUNCTION", help="one of your own")
    command.add_argument("--engine", choices=("local", "dask"), default="local")
    command.add_argument("--workers", type=int, metavar="N", help="default: one for each core")
    command.add_argument(
        "--scheduler", metavar="tcp://HOST:PORT", help="of a Dask cluster (default: one is started here)"
    )
    command.add_argument("--out", type=Path, metavar="DIR", help="default: results/comparisons/NAME-MARK")
    command.add_argument("--keep-runs", action="store_true", help="keep every run folder, in DIR/runs")
    command.add_argument("--yes", action="store_true", help="begin also where there are very many runs")
    add_quiet(command)
    command.epilog = (
        "What is done is kept: the same command goes on where it was stopped.  "
        "Exit status: 0 fine, 1 a run failed, 2 it cannot be used."
    )


def _refuse(source: Path, whats: Sequence[str]) -> None:
    if whats:
        raise ScenarioError(str(source), tuple(Fault(str(source), what) for what in whats))


def _carry_out(study: Any, options: argparse.Namespace) -> int:
    from scenarios import comparing  # noqa: PLC0415

    folder = options.out or comparing.default_folder(study)
    keep = folder / "runs" if options.keep_runs else None
    engine = comparing.engine_of(options.engine, options.scheduler, options.workers, keep)
    work = comparing.prepare(study, folder, very_many=options.yes, keep=keep)
    end_as_by_ctrl_c()
    try:
        tell = hush if options.quiet else say
        return OK if comparing.show(work, engine, out, tell, quiet=options.quiet) else AT_FAULT
    except BrokenPipeError:
        raise
    except OSError as error:
        what = f"{error.strerror or error}; what is done is kept, and the same command goes on from there"
        raise RunError(str(error.filename or folder), what) from error
    except KeyboardInterrupt:
        say(f"degsim: interrupted; what is done is kept in {folder}, and the same command goes on from there")
        return INTERRUPTED


def add_bound(commands: Any) -> None:
    """``degsim bound``."""
    bound = command(commands, "bound", _bound, "what a scenario must cost at least, and what runs of it have cost")
    bound.add_argument("targets", nargs="+", type=Path, metavar="SCENARIO.yaml|RUN")
    bound.add_argument(
        "--set", action="append", default=[], metavar="PATH=VALUE", help="override any key of a scenario"
    )
    bound.add_argument("--json", action="store_true", help="a JSON array instead of a table")


def _bound(options: argparse.Namespace) -> int:
    from scenarios.bound import as_json, bounds, render  # noqa: PLC0415

    found = bounds(options.targets, options.set)
    out(as_json(found) if options.json else render(found))
    return OK
