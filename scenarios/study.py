"""What is compared: variants of a scenario, each on the same seeds; and the single runs that this comes down to."""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, NoReturn

import yaml
from pydantic import Field

from results.comparison import POLICY, Variant
from scenarios import catalog
from scenarios.fields import Model, Name
from scenarios.reader import keys_of, load, overridden, validated
from scenarios.runner import LOCK, provenance
from scenarios.spec import Scenario
from sim.errors import DegsimError, EngineError, Fault, ScenarioError

SEED = "seed"
REFERENCE = "none"
"""The policy that participants are asked to be better off than."""
SEEDS = "1-20"

FOLDERS = ("sim", "agents", "grid_models", "results", "scenarios")


class StudySpec(Model):
    """A study file: a scenario and what is to be compared on it.

    scenario: path of the scenario's file, seen from the study's.  policies: the variants, where ``over`` gives none.  over:
    values by YAML path; every combination is a variant.  seeds: such as ``1-20`` or ``[1, 5, 9]``.  baseline: the policy
    that all others are compared with, else the first.  set: overrides of all variants.  metrics: from outside, as
    ``module:function``, beside all of the catalogue.
    """

    study: Name
    description: str = ""
    scenario: str
    policies: tuple[str, ...] = ()
    over: dict[str, Annotated[tuple[Any, ...], Field(min_length=1)]] = {}  # noqa: RUF012  pydantic copies it
    seeds: str | int | tuple[int, ...] = SEEDS
    baseline: str | None = None
    set: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Study:
    """Variants of one scenario, on the same seeds.

    document: the scenario as it was read, with the overrides that all variants share.  mark: of everything but the seeds,
    so that more seeds of the same study belong to it.
    """

    name: str
    source: str
    document: Mapping[str, Any] = field(compare=False)
    variants: tuple[Variant, ...]
    seeds: tuple[int, ...]
    metrics: tuple[str, ...]

    @property
    def mark(self) -> str:
        """Six digits that tell this study from others of its name."""
        facts = json.dumps(
            [self.document, [overrides_of(variant) for variant in self.variants], self.metrics], default=str
        )
        return hashlib.sha256(facts.encode()).hexdigest()[:6]


@dataclass(frozen=True, slots=True)
class Task:
    """One run to be done: a scenario with everything resolved, and which metrics of it are wanted.

    variant, seed: the cell of the comparison.
    """

    variant: str
    seed: int
    scenario: Scenario
    metrics: tuple[str, ...]

    @property
    def outside(self) -> tuple[str, ...]:
        """What the scenario and the metrics name that is no part of the project: each ``module:function``, a feeder's file."""
        feeder = self.scenario.feeder
        optimisers = (getattr(population, "optimiser", None) for population in self.scenario.populations)
        named = (*_policies(self.scenario), *(one.name for one in optimisers if one is not None), *self.metrics)
        file = () if feeder.described or not Path(feeder.name).is_file() else (feeder.name,)
        return (*(name for name in dict.fromkeys(named) if catalog.is_outside(name)), *file)

    @property
    def key(self) -> str:
        """Hash of everything that the outcome follows from, the program included: equal keys, equal observations."""
        facts = (
            self.variant,
            self.scenario.model_dump_json(by_alias=True),
            *self.metrics,
            program(),
            _packages(),
            *map(source_of, self.outside),
        )
        return hashlib.sha256("\0".join(facts).encode()).hexdigest()[:32]


def _policies(scenario: Scenario) -> tuple[str, ...]:
    """The policies that a scenario's market may clear by; none where there is no market."""
    return (scenario.market.policy, scenario.market.fallback) if scenario.has_market else ()


def overrides_of(variant: Variant) -> list[str]:
    """A variant as ``path=value`` for the scenario's reader."""
    return [f"{path}={value}" for path, value in variant.axes.items()]


def tasks(study: Study) -> tuple[Task, ...]:
    """Every run of the study, seed by seed, so that whoever does several of one seed can keep what they share.

    Raises ``ScenarioError`` with what is wrong with any variant, once each.
    """
    made: list[Task] = []
    faults: dict[Fault, None] = {}
    for seed, variant in itertools.product(study.seeds, study.variants):
        try:
            document = overridden(study.document, study.source, [*overrides_of(variant), f"seed={seed}"], "over")
            scenario = validated(Scenario, study.source, document)
        except ScenarioError as error:
            faults |= dict.fromkeys(error.faults)
            continue
        made.append(Task(variant.name, seed, scenario, study.metrics))
    used = dict.fromkeys(name for task in made for name in _policies(task.scenario))
    faults |= dict.fromkeys(_unknown(catalog.policy, used))
    if faults:
        raise ScenarioError(study.source, tuple(faults))
    return tuple(made)


# --- reading ----------------------------------------------------------------------------------------------------------


def is_study(path: Path) -> bool:
    """Whether a YAML file is a study and no scenario."""
    return "study" in load(path)


def read_study(path: Path, seeds: str | None = None, overrides: Sequence[str] = ()) -> Study:
    """The study in this file, with other seeds and further overrides where they are given."""
    spec = validated(StudySpec, path.name, load(path))
    if not (spec.policies or spec.over):
        raise ScenarioError(path.name, "there is nothing to compare: it takes policies, over or both")
    listed = spec.seeds if isinstance(spec.seeds, tuple) else (spec.seeds,)
    return study_of(
        path.parent / spec.scenario,
        policies=spec.policies,
        over={name: tuple(map(_text, values)) for name, values in spec.over.items()},
        seeds=",".join(map(str, listed)) if seeds is None else seeds,
        overrides=(*spec.set, *overrides),
        baseline=spec.baseline,
        metrics=spec.metrics,
        name=spec.study,
    )


def study_of(
    scenario: Path,
    *,
    policies: Sequence[str] = (),
    over: Mapping[str, Sequence[str]] | None = None,
    seeds: str | None = None,
    overrides: Sequence[str] = (),
    baseline: str | None = None,
    metrics: Sequence[str] = (),
    name: str | None = None,
) -> Study:
    """A study of a scenario file: every policy at every point of the grid ``over``, on these seeds.

    Where policies are compared and ``none`` is not among them it is added at every point, because participants are asked to be
    better off than under it.  seeds: default the scenario's own.
    Raises ``ScenarioError`` for policies, metrics, seeds and paths that are none, all at once.
    """
    document = load(scenario)
    if "study" in document:
        raise ScenarioError(
            scenario.name, (Fault(scenario.name, "is a study, no scenario", "degsim compare takes it"),)
        )
    document = overridden(document, scenario.name, overrides)
    policies = tuple(dict.fromkeys(policies))
    faults = [*_unknown(catalog.policy, policies), *_unknown(catalog.metric, metrics)]
    axes = {".".join(keys_of(path)): tuple(dict.fromkeys(values)) for path, values in (over or {}).items()}
    faults += _misplaced(tuple(over or {}), policies)
    numbers: tuple[int, ...] = ()
    try:
        numbers = seeds_of(str(document.get("seed", 1)) if seeds is None else seeds)
    except ValueError as error:
        faults.append(Fault("seeds", str(error)))
    if baseline is not None and baseline not in policies:
        faults.append(Fault("baseline", f"{baseline} is not compared", f"expected one of {', '.join(policies)}"))
    if faults:
        raise ScenarioError(scenario.name, tuple(faults))
    variants = tuple(_variants(policies, axes, baseline))
    return Study(name or str(document.get("name")), scenario.name, document, variants, numbers, _all_metrics(metrics))


def _unknown(check: Callable[[str], object], names: Iterable[str]) -> Iterator[Fault]:
    for named in names:
        try:
            check(named)
        except DegsimError as error:
            yield from error.faults


def _misplaced(paths: Sequence[str], policies: Sequence[str]) -> Iterator[Fault]:
    """Axes that would be overruled by what is said elsewhere, or would overrule it."""
    said: dict[str, str] = {}
    for path in paths:
        plain = ".".join(keys_of(path))
        if plain in said:
            yield Fault(f"over {path}", f"is the same as {said[plain]}")
        elif plain == SEED:
            yield Fault(f"over {path}", "every variant has all seeds", "name them as seeds, such as --seeds 1-20")
        elif plain == POLICY and policies:
            yield Fault(f"over {path}", "policies are named as well", "name all of them in one place")
        said[plain] = path


def _all_metrics(further: Sequence[str]) -> tuple[str, ...]:
    from results.metrics import METRICS  # noqa: PLC0415  heavy: brings in the tables of runs

    return tuple(dict.fromkeys((*METRICS, *further)))


def _variants(policies: Sequence[str], over: Mapping[str, Sequence[str]], baseline: str | None) -> Iterator[Variant]:
    compared = [*policies, *([REFERENCE] if policies and REFERENCE not in policies else [])]
    paths = _short(tuple(over))
    for number, values in enumerate(itertools.product(*over.values())):
        point = dict(zip(over, values, strict=True))
        where = [f"{paths[path]}={value}" for path, value in point.items()]
        if number == 0:
            first = ", ".join(where)
        if not compared:
            yield Variant(", ".join(where), point, first)
        for policy in compared:
            yield Variant(
                _named(policy, where),
                {POLICY: policy, **point},
                _named(baseline or policies[0], where),
                _named(REFERENCE, where),
            )


def _named(policy: str, where: Sequence[str]) -> str:
    return ", ".join((policy, *where))


def _short(paths: Sequence[str]) -> dict[str, str]:
    """The end of each path that no other has: ``count`` of ``populations.ev.count``."""
    short = {}
    for path in paths:
        parts = path.split(".")
        ends = [".".join(parts[-length:]) for length in range(1, len(parts) + 1)]
        others = [f".{other}" for other in paths if other != path]
        short[path] = next((end for end in ends if not any(o.endswith(f".{end}") for o in others)), path)
    return short


def seeds_of(text: str) -> tuple[int, ...]:
    """Seeds of a text such as ``1-20``, ``7`` or ``1-3,8``; each once, in order.  Raises ``ValueError``."""
    found: dict[int, None] = {}
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+))?\s*", part)
        if match is None:
            raise ValueError(f"{part.strip() or 'nothing'} is no seed, expected numbers such as 1-20 or 1,5,9")
        low, high = int(match[1]), int(match[2] or match[1])
        if high >= 2**63:
            raise ValueError(f"{part.strip()} is too large for a seed, at most 2^63 - 1")
        if high < low:
            raise ValueError(f"{part.strip()} ends before it begins")
        if high - low >= MOST_SEEDS:
            raise ValueError(f"{part.strip()} are {high - low + 1} seeds; at most {MOST_SEEDS}")
        found |= dict.fromkeys(range(low, high + 1))
    return tuple(found)


MOST_SEEDS = 1_000_000


def grid_of(given: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """``path=v1,v2,…`` for each axis; a YAML list ``path=[…]`` where values have commas.  Raises ``ScenarioError``."""
    grid: dict[str, tuple[str, ...]] = {}
    faults = []
    for text in given:
        path, equals, values = (part.strip() for part in text.partition("="))
        try:
            found = _values(values) if path and equals else _refuse("expected path=v1,v2,…")
            if path in grid:
                _refuse("is given twice")
            grid[path] = found
        except ValueError as error:
            faults.append(Fault(f"--over {text}", str(error), "such as --over populations.ev.count=10,20,40"))
    if faults:
        raise ScenarioError("--over", tuple(faults))
    return grid


def _values(text: str) -> tuple[str, ...]:
    if not text.startswith("["):
        parts = tuple(part.strip() for part in text.split(","))
        return parts if all(parts) else _refuse("a value is empty")
    try:
        listed = yaml.safe_load(text)
    except yaml.YAMLError:
        _refuse(f"{text!r} is not a YAML list")
    return tuple(map(_text, listed)) if listed else _refuse("there is no value")


def _text(value: object) -> str:
    """A value as it stands in an override, so that it is read as the same again."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, sort_keys=False, width=math.inf)
    return str(text).removesuffix("...\n").strip()


def _refuse(what: str) -> NoReturn:
    raise ValueError(what)


# --- what an outcome follows from -------------------------------------------------------------------------------------


@functools.cache
def program() -> str:
    """Hash of the project's own code and of its lock file."""
    root = Path(__file__).parents[1]
    files = sorted(path for folder in FOLDERS for path in (root / folder).rglob("*.py"))
    digest = hashlib.sha256(LOCK.read_bytes() if LOCK.exists() else b"")
    for path in files:
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


@functools.cache
def _packages() -> str:
    return json.dumps(provenance())


def source_of(name: str) -> str:
    """Hash of the file behind one of ``Task.outside``; empty for a module that has none.

    Raises ``ImportError`` and ``OSError`` where it is not to be had here.
    """
    file = getattr(catalog.module(name.partition(":")[0]), "__file__", None) if catalog.is_outside(name) else name
    return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else ""


def in_use(name: str) -> str:
    """``source_of`` a module when this process first asked: of the code that it has loaded, whatever its file says by now."""
    return _loaded(name.partition(":")[0]) if catalog.is_outside(name) else source_of(name)


@functools.cache
def _loaded(module: str) -> str:
    return source_of(f"{module}:")


DEGSIM = "degsim"


def code_of(tasks: Iterable[Task]) -> Mapping[str, str]:
    """The code that runs follow from, as hashes: the project's own, and what is from outside by its name."""
    names = dict.fromkeys(name for task in tasks for name in task.outside)
    return {DEGSIM: program(), **{name: source_of(name) for name in names}}


def check_code(task: Task, code: Mapping[str, str]) -> None:
    """Raises ``EngineError`` where this process would do a task with other code than that of whoever began the runs."""
    for name in (DEGSIM, *task.outside):
        if code.get(name) != (program() if name == DEGSIM else in_use(name)):
            raise EngineError(name, "is not the code that the runs were begun with; begin again when it is settled")
