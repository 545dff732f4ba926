"""Adders found by trial: announce them, measure what then flows, move them, again.

A step says what adders become once flows were measured.  ``iterate`` plays it against whatever answers: a formula, a
market, or a feeder; and measurements may arrive some rounds late.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from sim.curves import Floats
from sim.tolerances import POWER_KW

Step: TypeAlias = Callable[[Floats, Floats], Floats]
"""What adders become, from adders and what was measured."""

Steps: TypeAlias = Callable[[int], Step]
"""The step after each round, from 1: for those that change as time goes on."""

Respond: TypeAlias = Callable[[Floats], Floats]
"""What is measured once adders were announced."""

_SAME = 9
"""Decimals to which two rounds are compared when a cycle is looked for."""


@dataclass(frozen=True, slots=True, eq=False)
class Round:
    """Adders that were announced [currency/kWh], and what was measured then."""

    adder: Floats
    measured: Floats


@dataclass(frozen=True, slots=True)
class Trace:
    """Rounds in their order.  settled: whether the last one satisfied the rule to stop.

    cycle: after how many rounds everything comes again; 1 for a standstill, None where nothing came again.
    """

    rounds: tuple[Round, ...]
    settled: bool
    cycle: int | None


def never(before: Round, last: Round) -> bool:
    """The rule that never stops."""
    return False


def iterate(
    respond: Respond,
    step: Step,
    start: Floats,
    rounds: int,
    *,
    delay: int = 0,
    settled: Callable[[Round, Round], bool] = never,
    to_the_end: bool = False,
    steps: Steps | None = None,
) -> Trace:
    """At most this many rounds (>= 1), the first with the adders to start with.

    delay: how many rounds old a measurement is when it is acted on.  settled: whether to stop, from the last two rounds.
    to_the_end: go on even where a cycle was found.  steps: what to do after each round, in the place of ``step``; that
    something comes again is then no cycle.
    """
    played: list[Round] = []
    seen: dict[bytes, int] = {}
    cycle, adder = None, start
    while len(played) < rounds:
        played.append(Round(adder, respond(adder)))
        if len(played) > 1 and settled(*played[-2:]):
            return Trace(tuple(played), True, cycle)
        state = _state(played[-1 - delay :])
        if steps is None and cycle is None and state in seen and len(played) > delay:
            cycle = len(played) - seen[state]
            if not to_the_end:
                break
        seen[state] = len(played)
        move = step if steps is None else steps(len(played))
        adder = move(adder, played[max(len(played) - 1 - delay, 0)].measured)
    return Trace(tuple(played), False, cycle)


def _state(recent: list[Round]) -> bytes:
    """What the future depends on, rounded."""
    numbers = np.concatenate([part for round_ in recent for part in (round_.adder, round_.measured)])
    rounded: Floats = np.round(numbers, _SAME) + 0.0
    return rounded.tobytes()


def ascent(limit: Floats, rate: Floats | float) -> Step:
    """Dearer by ``rate`` per kW (or unit) above the limit, cheaper below it, never negative: ``[μ + ρ (flow − limit)]₊``.

    Its fixed points are the prices of the optimum.  Where answers slope by b kW per unit of price it settles for
    ``rate · b < stable_gain(delay)``.
    """
    return lambda adder, measured: np.maximum(adder + rate * (measured - limit), 0.0)


def diminishing(limit: Floats, rate: Floats | float) -> Steps:
    """Ascents with rate, rate / 2, rate / 3, …: small enough in the end for any answers, and never too small to arrive.

    Where answers jump, prices settle and what flows does not; only its mean over the rounds, counted by their rates, does.
    Source: Nedić and Ozdaglar, "Approximate primal solutions and rate analysis for dual subgradient methods", SIAM J.
    Optim. 19(4), 2009.
    """
    return lambda number: ascent(limit, np.asarray(rate) / number)


def utilisation(
    import_limit: Floats,
    export_limit: Floats,
    per_percent: float,
    damping: float = 1.0,
    *,
    signed: bool = False,
    threshold: float = 0.0,
) -> Step:
    """Proportional to how much of the limit of its direction a flow uses beyond a threshold.

    ``per_percent · max(100 · |flow| / limit − threshold, 0)``

    damping: share of the way that an adder goes in one step, in (0, 1].  signed: below zero where the flow is an export.
    A limit of nothing (below a milliwatt) counts as used to the full by any flow, an infinite one as unused.
    """

    def step(adder: Floats, flow: Floats) -> Floats:
        limit = np.where(flow >= 0, import_limit, export_limit)
        used = np.divide(np.abs(flow), limit, out=np.where(flow != 0, 1.0, 0.0), where=limit > POWER_KW)
        above = 100 * per_percent * used if not threshold else per_percent * np.maximum(100 * used - threshold, 0.0)
        target = above * (np.sign(flow) if signed else 1.0)
        moved: Floats = adder + damping * (target - adder)
        return moved

    return step


def stable_gain(delay: int) -> float:
    """Largest step times slope at which an ascent still settles, when measurements are ``delay`` rounds old: 2, 1, 0.618, …

    Source: Levin and May, "A note on difference-delay equations", Theor. Popul. Biol. 9, 1976.
    """
    return 2 * math.sin(math.pi / (2 * (2 * delay + 1)))
