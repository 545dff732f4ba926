"""Offsets that a grid operator commands: power moved below a node, whatever the price says.

Where a price leaves participants a choice, moving it costs nobody anything: another takes over what the first was to do.
Beyond that, whoever is moved does what does not pay at the price, and is compensated for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from msgspec import UNSET

from sim import curves
from sim.clock import Calendar, Interval
from sim.curves import Floats, OfferCurve
from sim.market.problem import Clearing, Offer, Problem
from sim.tolerances import POWER_KW
from sim.wire.bags import GridNode


@dataclass(frozen=True, slots=True)
class Order:
    """By how much one participant was moved, + towards injection [kW], and the curve that it had offered."""

    offset_kw: float
    curve: OfferCurve

    def uplift_per_kwh(self, p_kw: float, price_per_kwh: float | None) -> float:
        """What a kWh of the offset is compensated with, ≥ 0, for who does ``p_kw`` at this price.

        The price less the participant's own marginal cost where it is held back, and that less the price where it is made to
        run; zero where it does not care, or where nothing has a price.
        """
        if price_per_kwh is None:
            return 0.0
        own = curves.clear(self.curve, p_kw)
        beyond = price_per_kwh - own.price_hi if self.offset_kw < 0 else own.price_lo - price_per_kwh
        return max(beyond, 0.0) if np.isfinite(beyond) else 0.0


def offset_of(node: GridNode, interval: Interval, calendar: Calendar) -> float:
    """What a published node commands for an interval [kW]; 0 for nothing, and outside the command's time window."""
    command = node.offsetCommand
    if command is UNSET:
        return 0.0
    if command.timeWindow is not UNSET:
        start_s, end_s = (calendar.seconds(stamp) for stamp in (command.timeWindow.start, command.timeWindow.end))
        if not start_s <= interval.start_s < end_s:
            return 0.0
    return command.offsetKW


def ordered(problem: Problem, clearing: Clearing, offset_kw: Mapping[str, float]) -> tuple[Problem, dict[str, Order]]:
    """The problem to clear in the place of one whose outcome is to be moved by so much below these nodes, and who is moved.

    Who is moved offers what it was told to do at any price, so that everybody else clears around it.  The indifferent go
    first, pro rata to how far each can go at its price; the rest is moved pro rata to what is left of each curve.  What
    cannot be moved is not.  Nobody is moved who runs at a minimum or not at all, or was cut, and nobody twice: nodes are
    taken in their order, each without those that were moved for one before.
    """
    tree, setpoint = problem.tree, problem.in_order(clearing.setpoint_kw)
    price = problem.in_order(clearing.participant_price)
    spans = [
        o.curve.span(p) if known else (kw, kw)
        for o, p, kw, known in zip(problem.offers, price, setpoint, ~np.isnan(price), strict=True)
    ]
    can_move = [not o.min_run_kw and o.era not in clearing.curtailed_kw for o in problem.offers]
    free = np.array(can_move, dtype=bool) & ~problem.is_slack
    moved = np.zeros(len(setpoint))
    for node, wanted_kw in offset_kw.items():
        below, way = tree.below(tree.names.index(node)) & free, 1.0 if wanted_kw > 0 else -1.0
        at_price = np.array([high if wanted_kw > 0 else low for low, high in spans])
        at_any = problem.stack.max_kw if wanted_kw > 0 else problem.stack.min_kw
        indifferent = np.where(below, np.maximum(way * (at_price - setpoint), 0.0), 0.0)
        room = np.where(below, np.maximum(way * (at_any - setpoint), 0.0), 0.0)
        first = _shared(abs(wanted_kw), indifferent)
        rest = _shared(abs(wanted_kw) - float(first.sum()), np.maximum(room - indifferent, 0.0))
        moved += way * (first + rest)
        free &= moved == 0
    orders = {
        offer.era: Order(by, offer.curve)
        for offer, by in zip(problem.offers, moved.tolist(), strict=True)
        if abs(by) > POWER_KW
    }
    offers = (_told(offer, clearing, orders.get(offer.era)) for offer in problem.offers)
    return (replace(problem, offers=tuple(offers)) if orders else problem), orders


def _told(offer: Offer, clearing: Clearing, order: Order | None) -> Offer:
    if order is None:
        return offer
    p_kw = clearing.setpoint_kw[offer.era] + order.offset_kw
    return replace(offer, curve=OfferCurve.of([(0.0, p_kw)], who=offer.era), baseline_kw=p_kw)


def _shared(amount_kw: float, room_kw: Floats) -> Floats:
    """An amount ≥ 0 pro rata to room, no more than there is."""
    total = float(room_kw.sum())
    return room_kw * (min(max(amount_kw, 0.0) / total, 1.0) if total > POWER_KW else 0.0)
