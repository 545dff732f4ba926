"""What can be named in a scenario or on the command line, and what each name stands for.

Each table stands beside what it lists; they are gathered here.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping

from sim.errors import DegsimError, ScenarioError, nearest
from sim.market.policies import POLICIES
from sim.market.policy import Policy
from sim.market.problem import Clearing, ClearingPolicy, Problem


def policy(name: str) -> Policy:
    """A clearing policy by name, or ``module:function`` for one that lives outside the project.

    What is named outside may be a ``Policy``, or a bare function: that promises nothing, so its certificate is reported and
    never makes the fallback serve.  Raises ``ScenarioError`` for a name that is unknown or cannot be imported.
    """
    if name in POLICIES:
        return POLICIES[name]
    module_name, colon, function_name = name.partition(":")
    if not colon:
        raise ScenarioError(name, f"no such policy, {nearest(name, POLICIES)}")
    try:
        function = getattr(importlib.import_module(module_name), function_name)
    except (ImportError, AttributeError) as error:
        raise ScenarioError(name, f"cannot be imported: {error}") from error
    if isinstance(function, Policy):
        return function
    if not callable(function):
        raise ScenarioError(name, "is not a function from Problem to Clearing")
    return Policy(name, _guarded(name, function), frozenset(), "PAY_AS_CLEAR", "from outside the project")


def _guarded(name: str, function: Callable[[Problem], object]) -> ClearingPolicy:
    """A function from outside whose mistakes are its author's to see: no fallback hides them."""

    def clear(problem: Problem) -> Clearing:
        try:
            clearing = function(problem)
        except DegsimError:
            raise
        except Exception as error:
            raise ScenarioError(name, f"failed with {type(error).__name__}: {error}") from error
        if not isinstance(clearing, Clearing):
            raise ScenarioError(name, f"returned a {type(clearing).__name__}, expected a Clearing")
        return clearing

    return clear


def _kinds() -> Mapping[str, str]:
    from scenarios.kinds import KINDS  # noqa: PLC0415  heavy: brings in every agent

    return {name: kind.summary for name, kind in KINDS.items()}


def _forecasts() -> Mapping[str, str]:
    from agents.forecaster import ERROR_MODELS  # noqa: PLC0415  heavy: brings in the wire

    return {name: model.summary for name, model in ERROR_MODELS.items()}


def _policies() -> Mapping[str, str]:
    return {name: known.summary for name, known in POLICIES.items()}


def _feeders() -> Mapping[str, str]:
    from grid_models import feeders  # noqa: PLC0415

    return {name: "with profiles" if name in feeders.STORED else "from pandapower" for name in feeders.names()}


def _plots() -> Mapping[str, str]:
    from results.plots import PLOTS  # noqa: PLC0415  heavy: brings in matplotlib

    return {name: plot.summary for name, plot in PLOTS.items()}


def _invariants() -> Mapping[str, str]:
    from results.verify import INVARIANTS  # noqa: PLC0415

    return {invariant.name: invariant.description for invariant in INVARIANTS}


def _tables() -> Mapping[str, str]:
    from results.run import TABLES  # noqa: PLC0415

    return {name: ", ".join(schema.names) for name, schema in TABLES.items()}


LISTS: Mapping[str, Callable[[], Mapping[str, str]]] = {
    "agents": _kinds,
    "feeders": _feeders,
    "forecasts": _forecasts,
    "invariants": _invariants,
    "plots": _plots,
    "policies": _policies,
    "tables": _tables,
}
"""Everything ``degsim list`` can list: name and one line each."""
