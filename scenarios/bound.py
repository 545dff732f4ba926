"""How far from the best: what a scenario must cost at least, and what finished runs of it have cost, by the same rules."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from results.metrics import transformers
from results.metrics.conduct import unsolved
from results.metrics.relative import BEST_COST, COST, WANTED_VALUE
from results.run import Run
from results.text import short
from scenarios import explained
from scenarios.build import build, tree_of
from scenarios.foresight import BOUGHT, GIVEN_UP, SOLD, SUN, horizon_of
from scenarios.names import ROOT
from scenarios.reader import read
from scenarios.spec import MarketSpec, Scenario
from scenarios.timing import Stopwatch
from sim.curves import Floats
from sim.errors import MarketError, ScenarioError
from sim.market.horizon import LOST, STORED, WEAR, Flow, Horizon, Plan, Store, plan
from sim.market.problem import Limit

BEST = "best"
"""Name of the plan that knows everything."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one plan, or one run, costs: by account and unserved energy.  policy: of the run, or ``BEST``.

    over_kwh: energy that flowed beyond the rated limits of transformers, which costs nothing here.
    """

    name: str
    policy: str
    accounts: Mapping[str, float]
    unserved_kwh: float
    over_kwh: float = 0.0

    @property
    def total(self) -> float:
        """All in all [currency]; what is stored in the end is taken off."""
        return sum(self.accounts.values())


@dataclass(frozen=True, slots=True)
class Bound:
    """What a scenario must cost at least, and what a run of it has cost, if there is one."""

    scenario: Scenario
    best: Cost
    run: Cost | None = None

    @property
    def regret(self) -> float:
        """How much more than the best the run has cost [currency]."""
        return 0.0 if self.run is None else self.run.total - self.best.total


def bounds(targets: Sequence[Path], overrides: Sequence[str] = ()) -> tuple[Bound, ...]:
    """For every scenario file its bound, and for every run folder that of its scenario and what it has cost itself."""
    known: dict[str, Hindsight] = {}
    found = []
    for target in targets:
        run = _finished(target) if target.is_dir() else None
        scenario = read(target, overrides) if run is None else _scenario_of(run)
        truth = hindsight_key(scenario)
        if truth not in known:
            known[truth] = hindsight(scenario)
        best = known[truth].best
        found.append(Bound(scenario, best, None if run is None else cost_of(run, known[truth].horizon)))
    return tuple(found)


@dataclass(frozen=True, slots=True, eq=False)
class Hindsight:
    """Everything that will be in a scenario, and the best that can be made of it.

    wanted_value: what all energy that is asked for is worth [currency] to those who would go without, so that
    ``wanted_value - cost`` is the welfare of a plan or a run: what is not served is in its cost at the same value.
    """

    horizon: Horizon
    best: Cost
    wanted_value: float


def hindsight(scenario: Scenario) -> Hindsight:
    """What hindsight makes of a scenario.  Raises as ``horizon_for`` and ``plan`` do."""
    horizon = horizon_for(scenario)
    return Hindsight(horizon, _cost(BEST, BEST, plan(horizon)), wanted_value(horizon))


def hindsight_key(scenario: Scenario) -> str:
    """Scenarios with equal keys are one in hindsight, whatever their markets do."""
    market = MarketSpec(price_cap=scenario.market.price_cap)
    return scenario.model_copy(update={"stated_market": market}).model_dump_json()


def values_of(run: Run, known: Hindsight) -> dict[str, float]:
    """What ``results.metrics.RELATIVE`` wants to know of a run beside its metrics.  Raises as ``cost_of`` does."""
    return {
        COST: cost_of(run, known.horizon).total,
        BEST_COST: known.best.total,
        WANTED_VALUE: known.wanted_value,
    }


def wanted_value(horizon: Horizon) -> float:
    """What all energy that is asked for is worth [currency]: what it would cost to serve none of it.

    Loads at what they would lose by going without, whether that is the price cap or what they have agreed to; cars and tasks
    at what they would lose by the end of their stay.  The warmth of buildings is no amount of energy that is asked for: what
    lacks of it is a cost, and comfort is worth nothing beyond that.
    """
    loads = sum(
        -float((flow.cost_per_kwh * flow.usual_kw).sum()) * horizon.hours
        for flow in horizon.flows
        if flow.account in (LOST, GIVEN_UP)
    )
    # A building may be as cold as it likes: its least level is no number.
    stays = (store for store in horizon.stores if np.isfinite(store.low_kwh).all())
    return loads + sum(
        store.lost_per_kwh * float(store.wanted_kwh[np.isfinite(store.wanted_kwh)].sum()) for store in stays
    )


def needs(horizon: Horizon) -> str:
    """Digest of what is asked for, whatever it may cost: of loads by interval, of tasks and buildings how much and when.

    Numbers count to six decimals, so that machines whose libraries round differently agree.
    """
    loads: dict[str, Floats] = {}
    for flow in horizon.flows:
        if flow.account in (LOST, GIVEN_UP):
            loads[flow.era] = loads.get(flow.era, np.zeros(horizon.count)) + flow.usual_kw
    stays = [
        (store.era, [np.sign(store.charge_kw), store.wanted_kwh, store.drain_kwh])
        for store in horizon.stores
        if np.isfinite(store.wanted_kwh).any()
    ]
    digest = hashlib.sha256()
    for era, columns in (*((era, [usual_kw]) for era, usual_kw in loads.items()), *stays):
        digest.update(f"\x1f{era}\x1f".encode())
        for column in columns:
            digest.update((np.round(column.astype("<f8"), 6) + 0.0).tobytes())
    return digest.hexdigest()[:32]


def _finished(folder: Path) -> Run:
    run = Run(folder)
    if not run.complete:
        what = f"was stopped after {run.calendar.count} of {run.planned} intervals; only a finished run has come to its cost"
        raise ScenarioError(str(folder), what)
    return run


def _scenario_of(run: Run) -> Scenario:
    try:
        return Scenario.model_validate(run.manifest["scenario"])
    except ValidationError as error:
        raise ScenarioError(str(run.path), "its scenario is of another version; run it again") from error


def horizon_for(scenario: Scenario) -> Horizon:
    """Everything that will be in a scenario.  Raises ``ScenarioError`` as ``build`` does."""
    built = build(scenario, io.BytesIO(), Stopwatch())
    built.world.close()
    return horizon_of(scenario, built.world.calendar, built.resources, built.populations, tree_of(built.limits))


def cost_of(run: Run, horizon: Horizon) -> Cost:
    """What a run has cost: what its devices really did, explained by the same programme, with the losses of its wires.

    Raises ``ScenarioError`` where its scenario cannot explain it, and where an interval has no power flow.
    """
    if unknown := unsolved(run):
        what = f"no power flow in {unknown} of {len(run.intervals)} intervals, so that nobody knows what was lost and bought"
        raise ScenarioError(str(run.path), what)
    done = run.setpoints.pivot(index="interval", columns="era", values="delivered_kw")
    everything: tuple[Flow | Store, ...] = (*horizon.flows, *horizon.stores)
    acting = {one.era for one in everything}
    powers = {era: done[era].to_numpy(dtype=float) for era in sorted(acting.intersection(done.columns))}
    # What the retailer did follows from all others and the wires.
    powers = {era: power for era, power in powers.items() if np.isfinite(power).all()}
    losses = run.intervals["slack_kw"].to_numpy(dtype=float) + sum(powers.values())
    wires = Flow("wires", ROOT, -losses, -losses, np.zeros(horizon.count))
    open_tree = tuple(Limit(limit.node, limit.parent) for limit in horizon.limits)
    stores = tuple(_as_late_as_it_got(horizon))
    free = replace(horizon, limits=open_tree, flows=(*horizon.flows, wires), stores=stores)
    told, rest, unexplained = explained.apart(free, powers)
    try:
        found = plan(rest, unexplained)
    except MarketError as error:
        raise ScenarioError(str(run.path), f"its scenario does not explain what was done: {error}") from error
    told += explained.Told(found.costs, found.unserved_kwh)
    over_kwh = sum(one.over_import_kwh + one.over_export_kwh for one in transformers(run))
    return Cost(run.path.name, str(run.manifest["policy"]), told.costs, told.unserved_kwh, over_kwh)


def _as_late_as_it_got(horizon: Horizon) -> Iterator[Store]:
    """The stores, tasks going on after their time: one that was cut once it had begun ends late, and has missed it all."""
    homes = {flow.era for flow in horizon.flows if flow.account == LOST}
    for store in horizon.stores:
        if store.era in homes:
            late = np.arange(horizon.count) >= np.flatnonzero(store.charge_kw)[-1]
            yield replace(store, charge_kw=np.where(late, store.charge_kw.max(), store.charge_kw))
        else:
            yield store


def _cost(name: str, policy: str, found: Plan) -> Cost:
    return Cost(name, policy, {account: amount + 0.0 for account, amount in found.costs.items()}, found.unserved_kwh)


# --- telling it -------------------------------------------------------------------------------------------------------

ACCOUNTS = (BOUGHT, SOLD, SUN, GIVEN_UP, WEAR, LOST, STORED)


def render(found: Sequence[Bound]) -> str:
    """A table for people: one line for each best and each run, what it costs and of what that is made."""
    costs = [cost for one in found for cost in (one.best, one.run) if cost is not None]
    columns = [a for a in ACCOUNTS if any(abs(cost.accounts.get(a, 0.0)) >= SHOWN for cost in costs)]
    lines, shown = [], list[Cost]()
    for one in found:
        if one.best not in shown:
            shown.append(one.best)
            lines += [*_heading(one.scenario, columns), _line(one.best, "", columns)]
        if one.run is not None:
            share = f" ({one.regret / one.best.total:+.1%})" if one.best.total > 0 else ""
            lines.append(_line(one.run, f"  {one.regret:+.2f}{share}", columns))
    return "\n".join(lines)


SHOWN = 0.005
"""Least amount that a column is shown for: half a cent."""


def _heading(scenario: Scenario, columns: Sequence[str]) -> list[str]:
    count = scenario.duration_h * 60 // scenario.interval_min
    return [
        f"{scenario.name}, seed {scenario.seed}: what {count} intervals cost, {scenario.currency}",
        f"{'':30}" + "".join(f"{name:>10}" for name in (*columns, "total")) + "  above the best",
    ]


def _line(cost: Cost, above: str, columns: Sequence[str]) -> str:
    name = "best: everything known" if cost.policy == BEST else short(cost.name, 29)
    amounts = "".join(f"{cost.accounts.get(account, 0.0):10.2f}" for account in columns)
    told = {"unserved": cost.unserved_kwh, "over limits": cost.over_kwh}
    faults = "".join(f", {kwh:.1f} kWh {what}" for what, kwh in told.items() if kwh >= 0.05)
    return f"{name:30}{amounts}{cost.total:10.2f}{above}{faults}"


def as_json(found: Sequence[Bound]) -> str:
    """One object a line's worth of facts, as a JSON array."""
    return json.dumps(
        [
            {
                "scenario": one.scenario.name,
                "seed": one.scenario.seed,
                "currency": one.scenario.currency,
                "best": _facts(one.best),
                **({} if one.run is None else {"run": _facts(one.run), "regret": one.regret}),
            }
            for one in found
        ],
        indent=2,
    )


def _facts(cost: Cost) -> dict[str, object]:
    return {
        "name": cost.name,
        "policy": cost.policy,
        "total": cost.total,
        "accounts": dict(cost.accounts),
        "unservedKWh": cost.unserved_kwh,
        "overLimitsKWh": cost.over_kwh,
    }
