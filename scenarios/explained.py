"""What has been done by those who can have done it in one way only, by the rules of the best plan but without its programme.

Most participants are one flow or one store of a ``Horizon``: from the power that is known of them everything else follows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from scenarios.names import ROOT
from sim.curves import Floats
from sim.market.horizon import LOST, STORED, WEAR, Flow, Horizon, Store
from sim.tolerances import POWER_KW


@dataclass(frozen=True, slots=True)
class Told:
    """What something has cost, by account as in a ``Plan``, and what it missed."""

    costs: Mapping[str, float]
    unserved_kwh: float

    def __add__(self, other: Told) -> Told:
        costs = dict(self.costs)
        for account, amount in other.costs.items():
            costs[account] = costs.get(account, 0.0) + amount
        return Told(costs, self.unserved_kwh + other.unserved_kwh)


def apart(horizon: Horizon, done_kw: Mapping[str, Floats]) -> tuple[Told, Horizon, dict[str, Floats]]:
    """(what follows from the powers alone, the horizon that is left, the powers that are known of it).

    done_kw: by ERA and interval.  What is told is one flow of known power in the horizon that is left.  Whatever does not
    fit its bounds by itself is left, so that the programme says so.
    """
    everything: tuple[Flow | Store, ...] = (*horizon.flows, *horizon.stores)
    parts = Counter(one.era for one in everything)
    alone = {era for era in done_kw if parts[era] == 1}
    told, explained = Told({}, 0.0), set[str]()
    for one in everything:
        found = _told(one, done_kw[one.era], horizon.hours) if one.era in alone else None
        if found is not None:
            told += found
            explained.add(one.era)
    power = sum((done_kw[era] for era in sorted(explained)), np.zeros(horizon.count))
    rest = replace(
        horizon,
        flows=(
            *(flow for flow in horizon.flows if flow.era not in explained),
            Flow("", ROOT, power, power, np.zeros(horizon.count)),
        ),
        stores=tuple(store for store in horizon.stores if store.era not in explained),
    )
    return told, rest, {era: done for era, done in done_kw.items() if era not in explained}


def _told(one: Flow | Store, p_kw: Floats, hours: float) -> Told | None:
    return _flow(one, p_kw, hours) if isinstance(one, Flow) else _store(one, p_kw, hours)


def _flow(flow: Flow, p_kw: Floats, hours: float) -> Told | None:
    if not _within(p_kw, flow.least_kw, flow.most_kw):
        return None
    more_kw = p_kw - flow.usual_kw
    missed_kwh = float(more_kw.sum()) * hours if flow.account == LOST else 0.0
    return Told({flow.account: float(flow.cost_per_kwh @ more_kw) * hours}, missed_kwh)


def _store(store: Store, p_kw: Floats, hours: float) -> Told | None:
    """It charges or discharges: doing both at once would only lose energy."""
    charge_kw, discharge_kw = np.maximum(-p_kw, 0.0), np.maximum(p_kw, 0.0)
    gained_kwh = (store.charge_efficiency * charge_kw - discharge_kw / store.discharge_efficiency) * hours
    level, levels = store.level_kwh, []
    for step in (gained_kwh - store.drain_kwh).tolist():
        level = store.retention * level + step
        levels.append(level)
    level_kwh = np.array(levels)
    if not (
        _within(charge_kw, 0.0, store.charge_kw)
        and _within(discharge_kw, 0.0, store.discharge_kw)
        and _within(level_kwh, store.low_kwh, store.high_kwh)
    ):
        return None
    missed_kwh = float(np.maximum(store.wanted_kwh - level_kwh, 0.0).sum())
    costs = {
        WEAR: store.wear_per_kwh * float(discharge_kw.sum()) * hours,
        LOST: store.lost_per_kwh * missed_kwh,
        STORED: -store.worth_per_kwh * float(level_kwh[-1]),
    }
    return Told(costs, missed_kwh)


def _within(values: Floats, low: Floats | float, high: Floats | float) -> bool:
    return bool(((values >= low - POWER_KW) & (values <= high + POWER_KW)).all())
