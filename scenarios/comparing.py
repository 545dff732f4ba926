"""A study carried out: what is known already is read, the rest is run, and all of it becomes one comparison.

A comparison's folder can be left at any time: ``observations`` has one file for every run that is done, named by a hash of all
that its outcome follows from, and the same command goes on from there.  ``study.json`` is written first, and tells what the
folder is for; ``comparison.json`` is written last.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from results.comparison import Comparison, Failure, Measure, related
from results.comparison.folder import OBSERVATIONS, write
from results.comparison.model import Described
from results.comparison.text import render
from results.files import DRAFT, write_at_once
from results.metrics import RELATIVE
from results.observation import Observation
from scenarios import catalog
from scenarios.engine import Engine, Outcome
from scenarios.engine.local import LocalEngine
from scenarios.engine.work import folder_name
from scenarios.progress import Runs
from scenarios.runner import alone, is_free, provenance
from scenarios.study import Study, Task, tasks
from sim.errors import EngineError, Fault, RunError, ScenarioError

COMPARISONS = Path("results/comparisons")
STUDY = "study.json"
MOST_RUNS = 10_000
"""More than these are asked about before they are begun."""

Say = Callable[[str], None]
Watch = Callable[[Outcome], None]
"""Told of every run that has ended."""


@dataclass(frozen=True, slots=True)
class Work:
    """A study with its folder: by their keys the runs that are known already, and those that are still to be done.

    A key tells of files as they were when it was asked for, and a policy may be edited while its runs are under way.
    """

    study: Study
    folder: Path
    known: Mapping[str, Observation]
    todo: Mapping[str, Task]


def default_folder(study: Study) -> Path:
    """Where a comparison goes when nobody says: the same study always to the same place, whatever its seeds."""
    return COMPARISONS / f"{study.name}-{study.mark}"


def engine_of(name: str, scheduler: str | None, workers: int | None, keep: Path | None) -> Engine:
    """The engine of this name.  Raises ``EngineError`` for options that do not fit it."""
    if name == "dask":
        from scenarios.engine.cluster import ClusterEngine  # noqa: PLC0415  heavy, and an extra

        return ClusterEngine(scheduler, workers, keep)
    if scheduler is not None:
        raise EngineError(scheduler, (Fault(scheduler, "a scheduler is Dask's", "add --engine dask"),))
    return LocalEngine(workers, keep)


def prepare(study: Study, folder: Path, *, very_many: bool = False, keep: Path | None = None) -> Work:
    """Find out what there is to do.  very_many: whether it may be more than ``MOST_RUNS``.  keep: where run folders are to
    be; what is known already and has none there is run again.

    Raises ``ScenarioError`` with everything wrong with the study, and for a folder that holds something else; nothing is
    written then.
    """
    count = len(study.variants) * len(study.seeds)
    if count > MOST_RUNS and not very_many:
        raise ScenarioError(
            study.source, (Fault(study.name, f"are {count:,} runs", f"say --yes to begin more than {MOST_RUNS:,}"),)
        )
    if not is_free(folder, STUDY):
        raise ScenarioError(str(folder), "is neither empty nor a comparison; choose another --out")
    wanted = {task.key: task for task in tasks(study)}
    there = {key: task for key, task in wanted.items() if keep is None or (keep / folder_name(task)).is_dir()}
    known = {key: found for key, task in there.items() if (found := _known(_path(folder, key), task)) is not None}
    return Work(study, folder, known, {key: task for key, task in wanted.items() if key not in known})


def show(work: Work, engine: Engine, out: Say, say: Say, *, quiet: bool = False) -> bool:
    """Do what there is to do and tell it; whether all runs were well.  quiet: without progress on standard error."""
    done = len(work.known)
    if done:
        say(f"{done} of {done + len(work.todo)} runs are known from {work.folder}")
    with Runs(work.study.name, len(work.todo), quiet) if work.todo else nullcontext(_nobody) as watch:
        comparison = carry_out(work, engine, watch)
    out(render(comparison))
    for path in pictures(comparison, work.folder):
        say(str(path))
    say(f"comparison: {work.folder}")
    return not comparison.failures


def _nobody(_: Outcome) -> None:
    """Watches where nothing is told."""


def carry_out(work: Work, engine: Engine, watch: Watch = _nobody) -> Comparison:
    """Do what there is to do, and write the comparison.

    A run that fails is a failure of the comparison; it is tried again when the study is carried out again.  A run whose policy
    was stopped counts as failed too, for its numbers are partly those of the fallback; but it would only be stopped again.
    """
    (work.folder / OBSERVATIONS).mkdir(parents=True, exist_ok=True)
    with alone(work.folder):
        for draft in (work.folder / OBSERVATIONS).glob(f"*{DRAFT}"):
            draft.unlink()
        return _carry_out(work, engine, watch)


def _carry_out(work: Work, engine: Engine, watch: Watch) -> Comparison:
    folder = work.folder
    write_at_once(folder / STUDY, json.dumps(_described(work.study), indent=2, default=str).encode() + b"\n")
    observations, failures = dict(work.known), []
    keys = {(task.variant, task.seed): key for key, task in work.todo.items()}
    for outcome in engine.run(tuple(work.todo.values())):
        cell = outcome.task.variant, outcome.task.seed
        if outcome.observation is None:
            failures.append(Failure(*cell, outcome.error))
        else:
            write_at_once(_path(folder, keys[cell]), outcome.observation.to_bytes())
            observations[keys[cell]] = outcome.observation
        watch(outcome)
    failures += [Failure(one.variant, one.seed, one.stopped) for one in observations.values() if one.stopped]
    whole = tuple(one for one in observations.values() if not one.stopped)
    comparison = _compared(work.study, whole, tuple(failures))
    keys |= {(found.variant, found.seed): key for key, found in observations.items()}
    write(folder, comparison, provenance(), keys)
    return comparison


def pictures(comparison: Comparison, folder: Path) -> Iterator[Path]:
    """Draw whatever says something of this comparison; of one without an observation, nothing does."""
    from results.plots.comparison import PICTURES, fitting, save  # noqa: PLC0415  heavy: brings in matplotlib

    drawn = fitting(comparison) if comparison.observations else ()
    for name in PICTURES:
        if name not in drawn:  # of what was compared here before
            (folder / "plots" / f"{name}.png").unlink(missing_ok=True)
    for name in drawn:
        yield save(comparison, name, folder / "plots")


def _compared(study: Study, found: tuple[Observation, ...], failures: tuple[Failure, ...]) -> Comparison:
    currency = found[0].currency if found else "currency"
    metrics: tuple[Described, ...] = (*map(catalog.metric, study.metrics), *RELATIVE.values())
    measures = tuple(Measure.of(metric, currency) for metric in metrics)
    comparison = Comparison(study.name, study.variants, study.seeds, measures, found, failures)
    return related(comparison, {name: metric.measure for name, metric in RELATIVE.items()})


def _path(folder: Path, key: str) -> Path:
    return folder / OBSERVATIONS / f"{key}.parquet"


def _known(path: Path, task: Task) -> Observation | None:
    if not path.is_file():
        return None
    try:
        found = Observation.from_bytes(path.read_bytes(), str(path))
    except RunError:
        return None  # torn or of an earlier format: it is run again
    return found if (found.variant, found.seed) == (task.variant, task.seed) else None


def _described(study: Study) -> Mapping[str, Any]:
    return {
        "study": study.name,
        "scenario": study.document,
        "variants": [asdict(variant) for variant in study.variants],
        "seeds": study.seeds,
        "metrics": study.metrics,
    }
