"""What can be named in a scenario or on the command line, and what each name stands for.

Each table stands beside what it lists; they are gathered here.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
import math
import sys
import textwrap
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from numbers import Real
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from sim.errors import DegsimError, Fault, ScenarioError, nearest
from sim.market.policies import POLICIES
from sim.market.policy import PROMISES, Policy
from sim.market.problem import Clearing, Problem

if TYPE_CHECKING:
    import pyarrow as pa

    from results.metrics import Metric, Relative

P = ParamSpec("P")
R = TypeVar("R")

OUTSIDE = frozenset({"balance", "limits"})
"""What a bare function from outside has to keep, or the fallback serves; a ``Policy`` may promise less."""


def policy(name: str) -> Policy:
    """A clearing policy by name, or ``module:function`` for one that lives outside the project.

    Options follow a colon: ``gridlabd:offset=0.01``, ``module:function:k=0.3,seed=7``.  They are the named parameters of
    the policy's function, and read as its annotations say.  What is named outside may be a ``Policy``, which says itself what
    it promises, or a bare function: that has to balance and to keep the limits.
    Raises ``ScenarioError`` for a name that is unknown or cannot be imported, and for options that do not fit.
    """
    head, colon, rest = name.partition(":")
    if head in POLICIES or not is_outside(name):
        if head not in POLICIES:
            known = f"known: {', '.join(sorted(POLICIES))}"
            raise ScenarioError(
                name, (Fault(name, f"no such policy, did you mean {_nearest(head, POLICIES)}?", known),)
            )
        return _with_options(name, POLICIES[head], rest) if colon else POLICIES[head]
    function_name, colon, options = rest.partition(":")
    found = _outside(name, head, function_name)
    return _with_options(name, found, options) if colon else found


def _outside(name: str, module_name: str, function_name: str) -> Policy:
    function = imported(name, module_name, function_name)
    if isinstance(function, Policy):
        return function
    if not callable(function):
        raise ScenarioError(name, "is not a function from Problem to Clearing")
    named = f"{module_name}:{function_name}"
    return Policy(named, guarded(named, function, Clearing), OUTSIDE, "PAY_AS_CLEAR", "from outside the project")


def metric(name: str) -> Metric:
    """A metric by name, or ``module:function`` for one that lives outside the project: from ``Run`` to a number.

    What is named outside may be a ``Metric``, which says itself what it means; either way its numbers go by the name it was
    asked for.  Raises ``ScenarioError`` for a name that is unknown or cannot be imported.
    """
    from results.metrics import METRICS, Metric  # noqa: PLC0415  heavy: brings in the tables of runs

    if name in METRICS:
        return METRICS[name]
    module_name, colon, function_name = name.partition(":")
    if not colon:
        known = "degsim list metrics names them all; module:function is one of your own"
        raise ScenarioError(name, (Fault(name, f"no such metric, did you mean {_nearest(name, METRICS)}?", known),))
    found = imported(name, module_name, function_name)
    if isinstance(found, Metric):
        return replace(found, name=name, measure=guarded(name, _as_float(found.measure), float))
    if not callable(found):
        raise ScenarioError(name, "is not a function from Run to a number")
    summary = (inspect.getdoc(found) or "from outside the project").partition("\n")[0].rstrip(".")
    return Metric(name, "", "", summary, "", guarded(name, _as_float(found), float))


def _as_float(function: Callable[..., object]) -> Callable[..., object]:
    """The same function, giving whatever counts as a number as a float."""

    @functools.wraps(function)
    def measure(*args: object) -> object:
        value = function(*args)
        return float(value) if isinstance(value, Real | Decimal) else value

    return measure


def guarded(name: str, function: Callable[P, object], expected: type[R]) -> Callable[P, R]:
    """A function from outside, whose mistakes are its author's to see: they are told as ``ScenarioError`` under its name."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            found = function(*args, **kwargs)
        except DegsimError:
            raise
        except Exception as error:
            raise ScenarioError(name, f"failed with {type(error).__name__}: {error}") from error
        if not isinstance(found, expected):
            wanted = "number" if expected is float else expected.__name__
            raise ScenarioError(name, f"returned a {type(found).__name__}, expected a {wanted}")
        return found

    return call


def is_outside(name: str) -> bool:
    """Whether a name is ``module:function``, and none of the catalogue, whose options follow a colon."""
    _, colon, rest = name.partition(":")
    return bool(colon) and "=" not in rest.partition(":")[0]


def imported(name: str, module_name: str, attribute: str) -> object:
    """What a module from outside calls so.  Raises ``ScenarioError`` under ``name`` where it cannot be had."""
    try:
        return getattr(module(module_name), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ScenarioError(name, f"cannot be imported: {error}") from error
    except (Exception, SystemExit) as error:  # whatever a module does while it is loaded is its author's to see
        raise ScenarioError(name, f"cannot be imported: {type(error).__name__}: {error}") from error


def module(name: str) -> ModuleType:
    """A module by name, of the Python path or of the folder in which the command was called."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)  # last, so that nothing installed is hidden by it
    return importlib.import_module(name)


def _with_options(name: str, known: Policy, text: str) -> Policy:
    """The policy with these options, under the name that gives them; so are its clearings."""
    options = _options(name, known, text)

    def clear(problem: Problem) -> Clearing:
        return replace(known.clear(problem, **options), policy=name)

    return replace(known, name=name, clear=clear)


def _options(name: str, known: Policy, text: str) -> dict[str, object]:
    """``key=value,...`` as the policy's function takes them; all faults at once."""
    parameters = _parameters(known.clear)
    faults: list[Fault] = []
    options: dict[str, object] = {}
    for item in text.split(","):
        key, equals, value = (part.strip() for part in item.partition("="))
        if not equals:
            faults.append(
                Fault(name, f"{item.strip() or 'nothing'} is not an option", "options are key=value,key=value")
            )
        elif key not in parameters:
            near = f"did you mean {_nearest(key, parameters)}?" if parameters else "which has none"
            said = f"known: {', '.join(parameters)}" if parameters else ""
            faults.append(Fault(name, f"{key} is not an option of {known.name}, {near}", said))
        elif key in options:
            faults.append(Fault(name, f"{key} is given twice"))
        else:
            try:
                options[key] = _converted(value, parameters[key])
            except ValueError as error:
                faults.append(Fault(name, f"{key}: {error}"))
    if faults:
        raise ScenarioError(name, tuple(faults))
    return options


def _nearest(word: str, known: Iterable[str]) -> str:
    """Of at least one known word, that which is most like this one."""
    return difflib.get_close_matches(word, list(known), n=1, cutoff=0.0)[0]


def _parameters(function: Callable[..., object]) -> dict[str, tuple[object, ...]]:
    """The options of a policy: all parameters of its function after the problem, with the types that each may have."""
    try:
        signature = inspect.signature(function, eval_str=True)
    except NameError:  # an annotation that only a type checker can read
        signature = inspect.signature(function)
    named = [one for one in signature.parameters.values() if one.kind in _NAMED][1:]
    return {parameter.name: _types(parameter) for parameter in named}


_NAMED = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY)


def _types(parameter: inspect.Parameter) -> tuple[object, ...]:
    """What a parameter may be: types, or the words of a literal."""
    given = type(parameter.default) if parameter.annotation is parameter.empty else parameter.annotation
    if isinstance(given, str):
        known = {"bool": bool, "float": float, "int": int, "None": type(None)}
        return tuple(known.get(word.strip(), str) for word in given.split("|"))
    return typing.get_args(given) or (given,)


def _converted(text: str, wanted: tuple[object, ...]) -> object:
    """A value as its parameter asks for; text where that says nothing else.  Raises ``ValueError``."""
    words = [word for word in wanted if isinstance(word, str)]
    if words and text not in words:
        raise ValueError(f"{text or 'nothing'} is unknown, {nearest(text, words)}")
    if text == "none" and type(None) in wanted:
        return None
    for kind, read, said in _READERS:
        if kind in wanted:
            try:
                return read(text)
            except (KeyError, ValueError):
                raise ValueError(f"{text or 'nothing'} is not {said}") from None
    return text


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


_READERS: tuple[tuple[type, Callable[[str], object], str], ...] = (
    (bool, {"true": True, "false": False}.__getitem__, "true or false"),
    (float, _number, "a finite number"),
    (int, int, "a whole number"),
)


def _kinds() -> Mapping[str, str]:
    from scenarios.kinds import KINDS  # noqa: PLC0415  heavy: brings in every agent

    return {name: kind.summary for name, kind in KINDS.items()}


def _forecasts() -> Mapping[str, str]:
    from agents.forecaster import ERROR_MODELS  # noqa: PLC0415  heavy: brings in the wire

    return {name: model.summary for name, model in ERROR_MODELS.items()}


def _optimisers() -> Mapping[str, str]:
    from agents.optimisers import OPTIMISERS  # noqa: PLC0415  heavy: brings in what agents say

    return {name: optimiser.summary for name, optimiser in OPTIMISERS.items()}


def _policies() -> Mapping[str, str]:
    """What each does, promises for every market, and where it was published."""
    return {name: _described(known) for name, known in POLICIES.items()}


def _described(known: Policy) -> str:
    options = [f"{option}=" for option in _parameters(known.clear)]
    lines = [
        known.summary,
        f"promises {', '.join(promise for promise in PROMISES if promise in known.promises) or 'nothing'}"
        + ("" if known.heeds_limits else "; looks at no limit")
        + (f"; no lie pays: {known.truthful}" if known.truthful else ""),
        *([f"options {' '.join(options)}"] if options else []),
        *([f"source: {known.source}"] if known.source else []),
    ]
    return "\n".join(lines)


def _feeders() -> Mapping[str, str]:
    from grid_models import feeders  # noqa: PLC0415

    return {name: "with profiles" if name in feeders.STORED else "from pandapower" for name in feeders.names()}


def _metrics() -> Mapping[str, str]:
    """What each is, of a run and of a run against another, with its unit and which way is better."""
    from results.metrics import METRICS, RELATIVE  # noqa: PLC0415  heavy: brings in the tables of runs

    own = {name: _measured(one, "of each run") for name, one in METRICS.items()}
    return own | {name: _measured(one, "against the reference or the best") for name, one in RELATIVE.items()}


def _measured(one: Metric | Relative, when: str) -> str:
    unit = f"unit {one.unit}; {when}" + (f"; {one.better} is better" if one.better else "")
    return "\n".join([one.summary, unit, *([f"source: {one.source}"] if one.source else [])])


def _plots() -> Mapping[str, str]:
    from results.plots import PLOTS  # noqa: PLC0415  heavy: brings in matplotlib

    return {name: plot.summary for name, plot in PLOTS.items()}


def _invariants() -> Mapping[str, str]:
    from results.verify import INVARIANTS  # noqa: PLC0415

    return {invariant.name: invariant.description for invariant in INVARIANTS}


def _tables() -> Mapping[str, str]:
    from results.tables import TABLES  # noqa: PLC0415

    return {
        name: f"{schema.metadata[b'description'].decode()}\n{textwrap.fill(', '.join(map(_with_unit, schema)), 100)}"
        for name, schema in TABLES.items()
    }


def _with_unit(column: pa.Field) -> str:
    unit = column.metadata[b"unit"].decode()
    return f"{column.name} [{unit}]" if unit else str(column.name)


def _books() -> Mapping[str, str]:
    from scenarios.laboratory import books  # noqa: PLC0415  it names policies by this module

    return books()


LISTS: Mapping[str, Callable[[], Mapping[str, str]]] = {
    "agents": _kinds,
    "books": _books,
    "feeders": _feeders,
    "forecasts": _forecasts,
    "invariants": _invariants,
    "metrics": _metrics,
    "optimisers": _optimisers,
    "plots": _plots,
    "policies": _policies,
    "tables": _tables,
}
"""Everything ``degsim list`` can list: name and one line each."""


def plot_faults(names: Sequence[str]) -> Iterator[Fault]:
    """Plots among a scenario's outputs that nobody can draw."""
    plots = LISTS["plots"]() if names else {}
    for number, name in enumerate(names):
        if name not in plots:
            yield Fault(f"outputs.plots[{number}]", f"no plot {name}", nearest(name, plots))
