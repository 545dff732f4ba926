"""What can be named in a scenario or on the command line, and what each name stands for.

A new agent kind, policy, feeder, plot or invariant is one new file and one line in its table; the tables are gathered here.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping

from sim.errors import ScenarioError, nearest
from sim.market.policies import POLICIES, Policy


def policy(name: str) -> Policy:
    """A clearing policy by name, or ``module:function`` for one that lives outside the project.

    A function from outside promises nothing, so its certificate is reported and never makes the fallback serve.  Raises
    ``ScenarioError`` for a name that is unknown or cannot be imported.
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
    if not callable(function):
        raise ScenarioError(name, "is not a function from Problem to Clearing")
    return Policy(name, function, frozenset(), "PAY_AS_CLEAR", "from outside the project")


def _kinds() -> Mapping[str, str]:
    from scenarios.kinds import KINDS  # noqa: PLC0415  heavy: brings in every agent

    return {name: kind.summary for name, kind in KINDS.items()}


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
    "invariants": _invariants,
    "plots": _plots,
    "policies": _policies,
    "tables": _tables,
}
"""Everything ``degsim list`` can list: name and one line each."""
