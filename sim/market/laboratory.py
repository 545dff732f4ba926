"""The clearing laboratory: what an oracle says about the clearing of any policy, whatever it returns.

The oracle knows the optimum within all limits.  From it follow, for every zone of nodes that trade without a limit between
them, all prices at which the zone does what the optimum does, and all volumes of that optimum; where no limit binds there
is one zone and its prices are those at which the sum of all curves is zero.  A clearing is judged by its set-points and
prices alone: what it says about itself (welfare, volume, notes) is not believed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from sim.curves import CurveStack, Floats, Ints, price_inside
from sim.errors import DegsimError, Fault, MarketError
from sim.market import gaps, offered
from sim.market.certificate import Violation, certify
from sim.market.economics import at_minimum, economic_faults
from sim.market.policies import locational
from sim.market.policy import Policy
from sim.market.problem import Clearing, Problem, receipts_per_h
from sim.tolerances import POWER_KW, PRICE_PER_KWH

Range = tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """The optimum of a problem.  worth: its welfare, known adders counted as value [currency/h]; worth_unlimited: the best
    if no limit were looked at.

    price: by node, all prices at which its zone does what the optimum does.  volume_kw: all volumes of the optimum; where
    somebody could both buy and sell, the upper end is a bound.  own_adder: by offer, what its price lies above its node's.
    """

    worth: float
    worth_unlimited: float
    price: Mapping[str, Range]
    volume_kw: Range
    own_adder: Floats


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the oracle found.  Powers in kW, money in currency per hour.

    failed: why there is nothing to judge, empty where there is.  refused: whether the policy said itself that it cannot
    clear this market; otherwise the failure is a mistake of its.
    price: of all nodes and all who trade, the lowest and highest; None where nothing has a price.
    volume_kw: what is injected.  share: of the best worth within the limits, None where there is nothing to gain; above 1
    where limits or the balance are broken.  volume_efficient, price_in_equilibrium: see ``Reference``; None without a price.
    worse_off: by era, what it loses against not trading, by its own curve.  missing: what participants pay in beyond what
    is paid out and left with named accounts; negative where more is paid out.  unserved_kw: by era, what it would still
    take at its own price and does not get; unsold_kw: what it would still give.
    broken: conditions that do not hold, whether or not they were promised.  broken_promises: of those promised.
    needs_slack: the set-points do not balance, and there is no slack to take the rest.
    """

    policy: str
    promises: tuple[str, ...]
    failed: str = ""
    refused: bool = False
    price: Range | None = None
    volume_kw: float = math.nan
    welfare: float = math.nan
    share: float | None = None
    volume_efficient: bool = False
    price_in_equilibrium: bool | None = None
    worse_off: Mapping[str, float] = field(default_factory=dict)
    accounts: Mapping[str, float] = field(default_factory=dict)
    missing: float = math.nan
    unserved_kw: Mapping[str, float] = field(default_factory=dict)
    unsold_kw: Mapping[str, float] = field(default_factory=dict)
    broken: tuple[Violation, ...] = ()
    broken_promises: tuple[Violation, ...] = ()
    needs_slack: bool = False
    notes: tuple[str, ...] = ()

    @property
    def at_fault(self) -> bool:
        """Whether the policy, rather than the market, is to blame: it failed, or broke its word.

        Promises hold with a slack, where a policy needs one: without it, it may lose power, and the money for that.
        """
        excused = ("balance", "money") if self.needs_slack else ()
        broke = any(found.condition not in excused for found in self.broken_promises)
        return broke or (bool(self.failed) and not self.refused)

    def breaks(self, *conditions: str) -> list[Violation]:
        """What was found of these conditions."""
        return [found for found in self.broken if found.condition in conditions]


class _UnreadableError(Exception):
    """Something that a policy returned cannot be judged."""


def reference_of(problem: Problem) -> Reference:
    """What the oracle knows.  Raises ``MarketError`` where no set-points keep all linear limits."""
    optimum = locational.optimum(problem)
    free = locational.without_limits(problem, problem.adder_per_kwh)
    zone = _zones(problem, optimum)
    target: Floats = np.bincount(zone[problem.tree.offer_node], optimum.setpoint_kw, minlength=len(zone)).astype(float)
    prices = _prices(problem, optimum, zone, target)
    return Reference(
        _worth(problem, optimum.setpoint_kw),
        _worth(free, locational.on_tree(free).setpoint_kw),
        {name: prices[index] for name, index in zip(problem.tree.names, zone.tolist(), strict=True)},
        _volumes(problem, optimum, prices, zone, target),
        optimum.adder,
    )


def judge(problem: Problem, policy: Policy, reference: Reference | None = None) -> Verdict:
    """What the oracle says about this policy's clearing of the problem.  Nothing that the policy does is raised.

    Who rests or runs at a minimum is decided as in a run (``gaps``); the reference is the optimum as if nobody had one.

    reference: that of the problem, if it is known already.
    """
    promises = tuple(sorted(policy.promises))

    def readable(market: Problem) -> Clearing:
        clearing = policy.clear(market)
        unreadable = next(_unreadable(market, clearing), None)
        if unreadable:
            raise _UnreadableError(unreadable)
        return clearing

    try:
        clearing = gaps.clear(problem, readable).clearing
    except _UnreadableError as error:
        return Verdict(policy.name, promises, failed=str(error))
    except DegsimError as error:
        return Verdict(policy.name, promises, failed=_said(error, policy.name), refused=isinstance(error, MarketError))
    except Exception as error:  # a policy from outside may fail in any way
        return Verdict(policy.name, promises, failed=f"failed with {type(error).__name__}: {error}")
    return _judged(problem, policy, clearing, reference or reference_of(problem))


def _judged(problem: Problem, policy: Policy, clearing: Clearing, known: Reference) -> Verdict:
    setpoint = problem.in_order(clearing.setpoint_kw)
    worth = _worth(problem, setpoint)
    broken = (*certify(problem, clearing).violations, *economic_faults(problem, clearing))
    unserved, unsold = _rationed(problem, clearing, setpoint)
    best = _best(problem, policy, clearing, known)
    owed = at_minimum(problem, clearing)
    promised = [
        found
        for found in broken
        if found.condition in policy.promises and not (found.condition == "rational" and found.who in owed)
    ]
    if "efficient" in policy.promises and worth < best - _tolerance(best):
        promised.append(Violation("efficient", "market", f"the best is worth {best - worth:g} more", best - worth))
    prices = [*_traded_prices(problem, clearing), *(p for p in clearing.price_per_kwh.values() if p is not None)]
    volume = float(np.clip(setpoint, 0.0, None).sum())
    least, most = known.volume_kw
    return Verdict(
        policy.name,
        tuple(sorted(policy.promises)),
        price=(min(prices), max(prices)) if prices else None,
        volume_kw=volume,
        welfare=problem.welfare(setpoint),
        share=worth / known.worth if known.worth > _tolerance(known.worth) else None,
        volume_efficient=least - POWER_KW <= volume <= most + POWER_KW,
        price_in_equilibrium=_in_equilibrium(problem, clearing, known) if prices else None,
        worse_off={found.who: found.amount for found in broken if found.condition == "rational"},
        accounts=clearing.accounts,
        missing=0.0 - (receipts_per_h(clearing) + sum(clearing.accounts.values())),
        unserved_kw=unserved,
        unsold_kw=unsold,
        broken=broken,
        broken_promises=tuple(promised),
        needs_slack=problem.slack is None and any(found.condition == "balance" for found in broken),
        notes=clearing.notes,
    )


def _best(problem: Problem, policy: Policy, clearing: Clearing, known: Reference) -> float:
    """The worth that an efficient policy comes to: with whoever has a minimum as it was decided, for that is no promise."""
    if not gaps.has_gaps(problem):
        return known.worth if policy.heeds_limits else known.worth_unlimited
    as_decided = gaps.decided(problem, clearing)
    if policy.heeds_limits:
        return _worth(problem, locational.optimum(as_decided).setpoint_kw)
    free = locational.without_limits(as_decided, as_decided.adder_per_kwh)
    return _worth(problem, locational.on_tree(free).setpoint_kw)


# --- what the oracle knows --------------------------------------------------------------------------------------------


def _worth(problem: Problem, setpoint_kw: Floats) -> float:
    return problem.welfare(setpoint_kw) + float(problem.adder_per_kwh @ setpoint_kw)


def _tolerance(worth: float) -> float:
    """What rounding makes of a welfare [currency/h]."""
    return 1e-6 * max(1.0, abs(worth))


def _zones(problem: Problem, optimum: locational.Outcome) -> Ints:
    """By node, the highest node of its zone: those that no limit parts from it."""
    zone: list[int] = []
    for node, above in enumerate(problem.tree.parent):
        zone.append(zone[above] if node and optimum.held[node] is None else node)
    return np.array(zone, dtype=np.intp)


def _prices(problem: Problem, optimum: locational.Outcome, zone: Ints, target_kw: Floats) -> dict[int, Range]:
    """By zone, all prices of its nodes at which its offers sum to what they do in the optimum."""
    supply = offered.by_group(problem, optimum.adder, zone[problem.tree.offer_node], len(zone))
    prices = {}
    for top in dict.fromkeys(zone.tolist()):
        found = CurveStack(supply[top]).crossing(float(target_kw[top]))
        # What only the last resort balances has no price where that has none.
        prices[top] = (found.price_lo, found.price_hi) if found.reachable else (-math.inf, math.inf)
    return prices


def _volumes(
    problem: Problem, optimum: locational.Outcome, prices: Mapping[int, Range], zone: Ints, target_kw: Floats
) -> Range:
    """The least and the most that optimal set-points can come to.

    Set-points are optimal exactly if each is on its curve at an equilibrium price of its zone, any of them, and the zone
    sums to its target.
    """
    inside = {index: price_inside(lo, hi) for index, (lo, hi) in prices.items()}
    group = zone[problem.tree.offer_node]
    own = np.array([inside[index] for index in group.tolist()], dtype=float) + optimum.adder
    low, high = offered.with_last_resort(problem, own, *problem.stack.span(own))
    # Where the last resort has no price, it is what was cut.
    low, high = np.minimum(low, optimum.setpoint_kw), np.maximum(high, optimum.setpoint_kw)
    near = np.clip(0.0, low, high)

    def sums(values: Floats) -> Floats:
        return np.bincount(group, values, minlength=len(target_kw)).astype(float)

    injected, withdrawn = sums(np.maximum(high, 0.0)), sums(np.maximum(-low, 0.0))
    least = sums(np.abs(near)) + np.abs(target_kw - sums(near))
    most = np.minimum(2 * injected - target_kw, 2 * withdrawn + target_kw)
    return float(least.sum() / 2), float(np.maximum(most, least).sum() / 2)


# --- what a clearing says ---------------------------------------------------------------------------------------------


def _said(error: DegsimError, policy: str) -> str:
    said = [_in_words(fault, policy) for fault in error.faults]
    return said[0] + (f", and {len(said) - 1} more" if len(said) > 1 else "")


def _in_words(fault: Fault, policy: str) -> str:
    # A pointer into the offers says less than the name that what was found begins with; the policy's is said anyway.
    known = "/" in fault.where or policy.startswith(fault.where)
    return (fault.what if known else f"{fault.where}: {fault.what}") + (f" ({fault.remedy})" if fault.remedy else "")


def _unreadable(problem: Problem, clearing: object) -> Iterator[str]:
    """Why something that a policy returned cannot be judged."""
    if not isinstance(clearing, Clearing):
        yield f"returned a {type(clearing).__name__}, expected a Clearing"
        return
    eras, nodes = [offer.era for offer in problem.offers], problem.tree.names
    yield from _unusable(clearing.setpoint_kw, "setpoint_kw", eras)
    yield from _unusable(clearing.participant_price, "participant_price", eras, optional=True)
    for name in ("setpoint_kw", "participant_price"):
        known = frozenset(eras)
        yield from (f"{name} has {era!r}, who has not offered" for era in getattr(clearing, name) if era not in known)
    yield from _unusable(clearing.price_per_kwh, "price_per_kwh", nodes, optional=True)
    for name in ("accounts", "flow_kw", "adder_per_kwh", "linear_price", "linear_value"):
        yield from _unusable(getattr(clearing, name), name)


def _unusable(values: object, name: str, keys: Iterable[str] = (), *, optional: bool = False) -> Iterator[str]:
    """What is wrong with numbers by name: which are lacking of those needed, and which are none."""
    if not isinstance(values, Mapping):
        yield f"{name} is a {type(values).__name__}, expected a mapping"
        return
    yield from (f"{name} has nothing for {key}" for key in keys if key not in values)
    for key, value in values.items():
        if not _is_number(value) and not (optional and value is None):
            yield f"{name} of {key} is {value!r}, which is not a finite number"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool) and math.isfinite(value)


def _traded_prices(problem: Problem, clearing: Clearing) -> Iterator[float]:
    for offer in problem.offers:
        price = clearing.participant_price[offer.era]
        if price is not None and abs(clearing.setpoint_kw[offer.era]) > POWER_KW:
            yield price


def _in_equilibrium(problem: Problem, clearing: Clearing, known: Reference) -> bool:
    """Whether every price, of a node or of somebody who trades there, is one at which the optimum comes about."""
    told = [
        (node, price) for node, price in clearing.price_per_kwh.items() if price is not None and node in known.price
    ]
    for offer, adder in zip(problem.offers, known.own_adder.tolist(), strict=True):
        price = clearing.participant_price[offer.era]
        if price is not None and abs(clearing.setpoint_kw[offer.era]) > POWER_KW:
            told.append((offer.node, price - adder))
    return all(known.price[n][0] - PRICE_PER_KWH <= p <= known.price[n][1] + PRICE_PER_KWH for n, p in told)


def _rationed(problem: Problem, clearing: Clearing, setpoint_kw: Floats) -> tuple[dict[str, float], dict[str, float]]:
    """By era, what it would still (take, give) at its own price; without a price, what it would at any."""
    price = np.array([_own_price(clearing, offer.era, offer.node) for offer in problem.offers], dtype=float)
    _, most = problem.stack.span(np.where(np.isnan(price), math.inf, price))
    least, _ = problem.stack.span(np.where(np.isnan(price), -math.inf, price))
    unserved = np.clip(-most, 0.0, None) - np.clip(-setpoint_kw, 0.0, None)
    unsold = np.clip(least, 0.0, None) - np.clip(setpoint_kw, 0.0, None)
    return _by_era(problem, unserved), _by_era(problem, unsold)


def _own_price(clearing: Clearing, era: str, node: str) -> float:
    price = clearing.participant_price[era]
    at_node = clearing.price_per_kwh[node]
    return price if price is not None else math.nan if at_node is None else at_node


def _by_era(problem: Problem, power_kw: Floats) -> dict[str, float]:
    return {problem.offers[i].era: float(power_kw[i]) for i in np.flatnonzero(power_kw > POWER_KW).tolist()}
