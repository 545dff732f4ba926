"""Locational prices by trial: everybody is told its adder, answers with its curve, and adders follow what then flows.

``adder_ascent`` ends at the optimum where curves slope and steps are small enough, and circles round it where they are not
or curves jump; measurements that are late make the steps that are small enough smaller.  ``utilisation`` prices how
full a transformer is, and ends where that price and the answers to it agree, which is nobody's optimum.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from sim.curves import Flags, Floats, Ints
from sim.errors import Fault, MarketError, nearest
from sim.market import adders
from sim.market.adders import Round, Step, Trace
from sim.market.policies import curtail_only, locational
from sim.market.policies.locational import Outcome
from sim.market.policies.none import balanced
from sim.market.policy import Policy
from sim.market.problem import Clearing, Direction, Problem
from sim.tolerances import POWER_KW

ROUNDS = 20
"""Rounds of an ascent before it gives up."""

WITHIN = 0.01
"""How far beyond a limit an ascent may stop, as a share of it; the rest is cut."""

STILL = 1e-3
"""Change of a price that counts as none, as a share of the range of all prices named."""


@dataclass(frozen=True)
class Answers:
    """A market that answers to the prices of limits: for each row, what a unit of it costs.

    matrix: a row per price, a column per offer; an offer's price is the root's, plus its known adder, less price ×
    coefficient.  What is measured is ``matrix @ set-points``.
    """

    problem: Problem
    matrix: Floats

    def adder(self, price: Floats) -> Floats:
        """What each offer's price then lies above the root's."""
        total: Floats = self.problem.adder_per_kwh - price @ self.matrix
        return total

    def outcome(self, price: Floats) -> Outcome:
        """What all do at these prices, when nothing limits a flow and the rest clears at one price."""
        return locational.on_tree(locational.without_limits(self.problem, self.adder(price)))

    def measured(self, price: Floats) -> Floats:
        """The left side of each row at these prices."""
        values: Floats = self.matrix @ self.outcome(price).setpoint_kw
        return values


# --- ascent -----------------------------------------------------------------------------------------------------------


PER_LIMIT, CONSTANT, DIMINISHING = "per-limit", "constant", "diminishing"
RULES = (PER_LIMIT, CONSTANT, DIMINISHING)
"""How steps are sized: each limit by how steeply its own offers answer, all alike, or by limit and ever smaller."""


@dataclass(frozen=True)
class Ascent:
    """Prices that rise above their limits and fall below them, one for every limit and direction that is finite.

    rate: of all limits; if not given, it follows from the rule and from how late measurements are.  rule: of ``RULES``.
    delay: by how many rounds measurements are late.
    """

    problem: Problem
    rate: float | None = None
    rule: str = PER_LIMIT
    delay: int = 0

    @cached_property
    def limited(self) -> Ints:
        """The numbers of the rows (``Problem.rows``) that hold anything back."""
        return np.flatnonzero(np.isfinite(self.problem.rows.most))

    @cached_property
    def answers(self) -> Answers:
        """The market, asked by prices of these rows."""
        return Answers(self.problem, self.problem.rows.matrix[self.limited])

    @cached_property
    def most(self) -> Floats:
        """By row, its limit."""
        most: Floats = self.problem.rows.most[self.limited]
        return most

    @cached_property
    def scale(self) -> Floats:
        """By row, its largest coefficient, so that price × scale is a price per kWh."""
        scale = np.abs(self.answers.matrix).max(axis=1, initial=0.0)
        return np.where(scale > 0, scale, 1.0)

    @cached_property
    def step(self) -> Step:
        """What prices become, once flows were measured; the first of them, where steps diminish."""
        return adders.ascent(self.most, self.rates)

    @cached_property
    def rates(self) -> Floats | float:
        """By row, how much dearer one unit above the limit makes it: as given, or so that it settles where curves slope."""
        if self.rate is not None:
            return self.rate
        gentle = adders.stable_gain(self.delay) / adders.stable_gain(0)
        rates: Floats = gentle * (self._alike if self.rule == CONSTANT else self._by_limit)
        return rates

    @cached_property
    def _by_limit(self) -> Floats:
        """For each row one over how steeply its offers answer.

        Every offer counts as often as there are limits on its path, which keeps limits that share offers from moving them
        twice.  A curve answers as the straight line from its one end to its other.
        """
        squared = self.answers.matrix**2
        shared = self.answers.matrix != 0
        answer = squared @ (_slopes(self.problem) * shared[~self._both_ways].sum(axis=0))
        rates: Floats = np.divide(1.0, answer, out=np.zeros(len(answer)), where=answer > 0)
        return rates

    @cached_property
    def _alike(self) -> Floats:
        """One over how steeply all offers answer at most to a change of all prices, which is half of what is stable.

        Rows count by their largest coefficient, so that one rate suits kilowatts and volts.
        """
        matrix = self.answers.matrix[~self._both_ways] / self.scale[~self._both_ways, None]
        steepest = float(np.linalg.norm(matrix * np.sqrt(_slopes(self.problem)), 2) ** 2) if matrix.size else 0.0
        rates: Floats = (1 / steepest if steepest > 0 else 0.0) / self.scale**2
        return rates

    @cached_property
    def _both_ways(self) -> Flags:
        """The rows of exports from nodes whose import is limited too, for the two never hold a node back at once."""
        nodes = len(self.problem.tree.names)
        ways: Flags = np.isin(self.limited, self.limited[self.limited < nodes] + nodes)
        return ways

    def run(self, rounds: int = ROUNDS, *, to_the_end: bool = False) -> Trace:
        """From no adders at all."""
        return adders.iterate(
            self.answers.measured,
            self.step,
            np.zeros(len(self.most)),
            rounds,
            delay=self.delay,
            settled=adders.never if to_the_end else self.settled,
            to_the_end=to_the_end,
            steps=adders.diminishing(self.most, self.rates) if self.rule == DIMINISHING else None,
        )

    def settled(self, before: Round, last: Round) -> bool:
        """Whether limits are kept to a share, prices stand still, and only limits that are reached have a price."""
        slack = self.most - last.measured
        near = WITHIN * np.abs(self.most) + self.tolerance
        still = STILL * _price_range(self.problem)
        unpriced = last.adder * self.scale <= still
        moved = np.abs(last.adder - before.adder) * self.scale
        return bool((slack >= -near).all() and (moved <= still).all() and (unpriced | (slack <= near)).all())

    @property
    def tolerance(self) -> Floats:
        """By row, what counts as reaching it."""
        return POWER_KW * self.scale


def adder_ascent(
    problem: Problem, rate: float | None = None, rounds: int = ROUNDS, step: str = PER_LIMIT, delay: int = 0
) -> Clearing:
    """Ascent to the prices of limits, and set-points cut pro rata to keep the limits that are not kept yet.

    rate: currency per kWh and kW of excess, the same for all limits; if not given, it follows from the step (``Ascent``).
    step: ``per-limit``, ``constant`` or ``diminishing``.  delay: by how many rounds measurements are late.  Where it
    circles, of all rounds of the circle the one is taken that is worth most once it is cut; where steps diminish and it has
    not settled, the mean of all rounds.  The notes say whether it converged.
    Raises ``MarketError`` for options that are none.
    """
    _refuse(rate, rounds, step, delay)
    ascent = Ascent(problem, rate, step, delay)
    trace = ascent.run(rounds)
    if step == DIMINISHING and not trace.settled:
        cut = _cut(ascent, trace.rounds[-1], _mean(ascent, trace))
        return locational.recorded(problem, "adder-ascent", cut, (_verdict(trace),))
    last = trace.rounds[-(trace.cycle or 1) :]
    cuts = [_cut(ascent, round_, ascent.answers.outcome(round_.adder)) for round_ in last]
    best = max(range(len(cuts)), key=lambda index: problem.welfare(cuts[index].setpoint_kw))
    return locational.recorded(problem, "adder-ascent", cuts[best], (_verdict(trace),))


def _refuse(rate: float | None, rounds: int, step: str, delay: int) -> None:
    faults = [Fault("rate", f"{rate:g} is not above zero")] if rate is not None and not 0 < rate < np.inf else []
    faults += [Fault("rounds", f"{rounds} is none")] if rounds < 1 else []
    faults += [Fault("step", f"{step!r} is not a rule", nearest(step, RULES))] if step not in RULES else []
    faults += [Fault("delay", f"{delay} is not a number of rounds >= 0")] if delay < 0 else []
    if faults:
        raise MarketError("adder-ascent", tuple(faults))


def _mean(ascent: Ascent, trace: Trace) -> Outcome:
    """What all do on the mean of all rounds, counted by their rates (``adders.diminishing``); the rest as in the last."""
    outcomes = [ascent.answers.outcome(round_.adder) for round_ in trace.rounds]
    weights = 1 / np.arange(1.0, len(outcomes) + 1)
    setpoints = np.array([outcome.setpoint_kw for outcome in outcomes])
    return replace(outcomes[-1], setpoint_kw=weights @ setpoints / weights.sum())


def _cut(ascent: Ascent, round_: Round, outcome: Outcome) -> Outcome:
    """What all do in a round, cut to the limits, with the prices of the round."""
    problem, nodes = ascent.problem, len(ascent.problem.tree.names)
    setpoint, _ = curtail_only.kept(problem, outcome.setpoint_kw)
    if not np.array_equal(setpoint, outcome.setpoint_kw):
        setpoint = balanced(problem, np.where(problem.is_slack, 0.0, setpoint))
    price = np.zeros(len(problem.rows.most))
    price[ascent.limited] = round_.adder
    forward, reverse, linear = price[:nodes], price[nodes : 2 * nodes], price[2 * nodes :]
    held: tuple[Direction | None, ...] = tuple(
        "FORWARD" if up else "REVERSE" if down else None for up, down in zip(forward > 0, reverse > 0, strict=True)
    )
    adder = problem.adder_per_kwh - linear @ problem.weights
    return _priced(problem, outcome, setpoint, held, forward - reverse, adder, linear)


def _verdict(trace: Trace) -> str:
    count = len(trace.rounds)
    if trace.settled:
        return f"converged: yes, in {count} rounds"
    return f"converged: no, cycle of {trace.cycle}" if trace.cycle else f"converged: no, not in {count} rounds"


def _slopes(problem: Problem) -> Floats:
    """By offer, how much power it moves for a unit of price, from its one end to its other [kW per currency/kWh]."""
    widths = np.array([offer.curve.prices[-1] - offer.curve.prices[0] for offer in problem.offers], dtype=float)
    widths = np.where(widths > 0, widths, _price_range(problem))
    slopes: Floats = np.where(problem.is_slack, 0.0, (problem.stack.max_kw - problem.stack.min_kw) / widths)
    return slopes


def _price_range(problem: Problem) -> float:
    """From the lowest to the highest price that anybody named; 1 if that is nothing."""
    named = [
        p for offer in problem.offers if offer.curve.min_kw < offer.curve.max_kw for p in offer.curve.prices.tolist()
    ]
    return (max(named) - min(named) if named else 0.0) or 1.0


# --- utilisation ------------------------------------------------------------------------------------------------------

PER_PERCENT = 0.001
"""What a percent of loading adds to the price [currency/kWh]."""

PASSES = 10


@dataclass(frozen=True)
class Utilisation:
    """Every node adds to the price what its loading makes; adders add up along a path."""

    problem: Problem
    per_percent: float = PER_PERCENT
    damping: float = 1.0
    signed: bool = False

    @cached_property
    def answers(self) -> Answers:
        """The market, asked by adders of nodes; what is measured are flows."""
        return Answers(self.problem, self.problem.rows.matrix[: len(self.problem.tree.names)])

    @cached_property
    def step(self) -> Step:
        """Loading to adder."""
        tree = self.problem.tree
        return adders.utilisation(-tree.lower_kw, tree.upper_kw, self.per_percent, self.damping, signed=self.signed)

    def run(self, passes: int = PASSES) -> Trace:
        """From no adders at all, to the end."""
        start = np.zeros(len(self.problem.tree.names))
        return adders.iterate(self.answers.measured, self.step, start, passes + 1, to_the_end=True)


def utilisation(
    problem: Problem,
    per_percent: float = PER_PERCENT,
    damping: float = 1.0,
    passes: int = PASSES,
    *,
    signed: bool = False,
    policy: str = "utilisation",
) -> Clearing:
    """Price = base + adder per percent of loading, along the path; a fixed number of passes.

    Limits are not kept, unless by chance: at its own fixed point the price has closed only a part of the gap, and it taxes
    flows that no limit holds back.  Linear limits are not looked at.
    """
    naive = Utilisation(problem, per_percent, damping, signed)
    last = naive.run(passes).rounds[-1]
    outcome = naive.answers.outcome(last.adder)
    nodes = len(problem.tree.names)
    known = problem.adder_per_kwh
    priced = _priced(
        problem, outcome, outcome.setpoint_kw, (None,) * nodes, last.adder, known, np.zeros(len(problem.linear))
    )
    return locational.recorded(problem, policy, priced)


def utilisation_damped(problem: Problem) -> Clearing:
    """The same, where an adder goes half of the way in each pass."""
    return utilisation(problem, damping=0.5, policy="utilisation-damped")


# --- both -------------------------------------------------------------------------------------------------------------


def _priced(
    problem: Problem,
    outcome: Outcome,
    setpoint: Floats,
    held: tuple[Direction | None, ...],
    node_adder: Floats,
    own_adder: Floats,
    linear_price: Floats,
) -> Outcome:
    """An outcome without limits, with prices that rise by these adders down the tree.

    A price is told even if nothing is traded at it: it may be the adders that keep everybody from trading.
    """
    root, path = outcome.named[0], node_adder.tolist()
    for node, parent in enumerate(problem.tree.parent[1:], start=1):
        path[node] += path[parent]
    return replace(
        outcome,
        setpoint_kw=setpoint,
        held=held,
        node_price=[None if root is None else root + above if above else root for above in path],
        adder=own_adder,
        linear_price=linear_price,
    )


ASCENT = Policy(
    "adder-ascent",
    adder_ascent,
    frozenset({"balance", "limits", "money"}),
    "PAY_AS_CLEAR",
    "adders raised where a limit is exceeded, in rounds; what is left over is cut",
    source="dual ascent: Low and Lapsley, IEEE/ACM Transactions on Networking 7(6), 1999",
)
UTILISATION = Policy(
    "utilisation",
    utilisation,
    frozenset({"balance", "curves", "range", "linear", "rational", "money"}),
    "PAY_AS_CLEAR",
    "adders in proportion to loading; limits are not kept",
    heeds_limits=False,
)
UTILISATION_DAMPED = Policy(
    "utilisation-damped",
    utilisation_damped,
    frozenset({"balance", "curves", "range", "linear", "rational", "money"}),
    "PAY_AS_CLEAR",
    "the same, each adder going half of its way in a pass",
    heeds_limits=False,
)
