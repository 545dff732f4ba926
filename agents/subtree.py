"""Offers below a place in the grid, and the nodes between: what can cross each of them, and an award shared out through them.

The same recursion up and down.  Up: what stands below a node is one curve, the sum of what lies there within the node's limits.
Down: where a limit holds, the price inside moves on until no more is wanted; what it then lies above or below the price
outside is the node's adder, and adder times flow its congestion rent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from agents.award import Award
from sim.curves import OfferCurve, aggregate, clear, clip
from sim.market.problem import Limit, Offer
from sim.tolerances import POWER_KW

WATT_KW = 1e-3
"""Awards are shared out in whole watts: so much above or below what a curve gives at a price is no reason for another."""

Limits = Mapping[str, Limit]
"""Grid nodes by name, with their parents; a node that is not among them carries everything."""
Share = Callable[[Sequence[Offer], Award], Mapping[str, Award]]
"""How an award is shared out among offers at one place."""


@dataclass(frozen=True, slots=True)
class Passed:
    """An award passed on.  awards: by ERA.  rent_per_h: of those below a node, what their adder makes of their power."""

    awards: Mapping[str, Award]
    rent_per_h: Mapping[str, float]


def at_place(offers: Sequence[Offer], place: str, limits: Limits) -> tuple[Offer, ...]:
    """What is offered at a place: by those who stand there, and by each node right below it for all who stand below that."""
    here, below = _sides(offers, place, limits)
    return (*here, *(_through(node, inside, place, limits) for node, inside in below.items()))


def pass_on(
    offers: Sequence[Offer], place: str, limits: Limits, award: Award, share: Share, bounds: tuple[float, float]
) -> Passed:
    """An award at a place, shared out to everybody below it.

    share: among what is offered at one place (``at_place``).  bounds: price per kWh at which as a last resort injections and
    withdrawals may be cut that are too much for a node at every price.
    """
    found = dict(share(at_place(offers, place, limits), award))
    rent_per_h: dict[str, float] = {}
    for node, inside in _sides(offers, place, limits)[1].items():
        outer = found.pop(node)
        inner = _inside(inside, node, limits, outer, bounds)
        passed = pass_on(inside, node, limits, inner, share, bounds)
        adder = (inner.price_per_kwh or 0.0) - (outer.price_per_kwh or 0.0)
        found |= passed.awards
        rent_per_h |= {
            era: passed.rent_per_h.get(era, 0.0) - adder * one.cleared_kw for era, one in passed.awards.items()
        }
    return Passed(found, rent_per_h)


def price_for(total: OfferCurve, p_kw: float, price_per_kwh: float) -> float:
    """The price nearest to the given one at which a sum of curves comes to this power, which it does at some price."""
    low, high = total.span(price_per_kwh)
    if low - POWER_KW <= p_kw <= high + POWER_KW:
        return price_per_kwh
    crossing = clear(total, p_kw, 0.0 if p_kw > high else 1.0)
    return price_per_kwh if crossing.price is None else crossing.price


def _sides(
    offers: Sequence[Offer], place: str, limits: Limits
) -> tuple[tuple[Offer, ...], dict[str, tuple[Offer, ...]]]:
    """Offers at a place, and those below by the node that leads there.  Who stands elsewhere has nothing in between."""
    here: list[Offer] = []
    below: dict[str, tuple[Offer, ...]] = {}
    for offer in offers:
        node = _first_below(offer.node, place, limits)
        if node is None:
            here.append(offer)
        else:
            below[node] = (*below.get(node, ()), offer)
    return tuple(here), below


def _first_below(node: str, place: str, limits: Limits) -> str | None:
    while node != place and node in limits:
        parent = limits[node].parent
        if parent == place:
            return node
        if parent is None:
            break
        node = parent
    return None


def _through(node: str, inside: Sequence[Offer], place: str, limits: Limits) -> Offer:
    limit = limits[node]
    lowest, highest = -limit.import_limit_kw, limit.export_limit_kw
    offers = at_place(inside, node, limits)
    baseline_kw = sum(offer.uncoordinated_kw for offer in offers)
    return Offer(
        node,
        place,
        clip(aggregate([offer.curve for offer in offers]), -lowest, highest),
        min(max(baseline_kw, lowest), highest),
    )


def _inside(offers: Sequence[Offer], node: str, limits: Limits, award: Award, bounds: tuple[float, float]) -> Award:
    """An award to all below a node, as it is inside: where a limit holds, at the price at which they want no more than it.

    Where none does, an award that does not follow from its price (of an auction, of an oracle) is shared out as it is.
    """
    if award.price_per_kwh is None or award.curtailed_kw:
        return award
    total = aggregate([offer.curve for offer in at_place(offers, node, limits)])
    low, high = total.span(award.price_per_kwh)
    if low - WATT_KW <= award.cleared_kw <= high + WATT_KW:
        return replace(award, cleared_kw=min(max(award.cleared_kw, low), high))
    limit = limits[node]
    if -limit.import_limit_kw + WATT_KW < award.cleared_kw < limit.export_limit_kw - WATT_KW:
        return award
    reachable_kw = min(max(award.cleared_kw, total.min_kw), total.max_kw)
    cut_kw = award.cleared_kw - reachable_kw
    if abs(cut_kw) <= WATT_KW:
        price = price_for(total, reachable_kw, award.price_per_kwh)
        return replace(award, cleared_kw=reachable_kw, price_per_kwh=price)
    return replace(award, price_per_kwh=bounds[cut_kw > 0], curtailed_kw=cut_kw)
