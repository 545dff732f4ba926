"""A charge point operator: an aggregator of cars with a site to protect, connectors to lend, and a margin to earn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from agents.aggregator import Aggregator, share_out, towards_zero
from agents.award import Award
from agents.resource import Seat
from agents.rounds import silenced
from agents.subtree import price_for
from sim.curves import OfferCurve, aggregate, clip, shift
from sim.market.problem import Offer
from sim.tolerances import POWER_KW


def with_margin(curve: OfferCurve, margin_per_kwh: float) -> OfferCurve:
    """What a curve at the charge point is upstream: who pays p there is worth p - margin, who asks q costs q + margin."""
    drawn, given = clip(curve, math.inf, 0.0), clip(curve, 0.0, math.inf)
    return aggregate([shift(drawn, -margin_per_kwh), shift(given, margin_per_kwh)])


class ChargePointOperator(Aggregator):
    """Buys for its cars at the price of its node, and charges each kWh more by its margin; what cars give it pays less for.

    site_limit_kw: most that the site draws or gives, ≥ 0.  Where more is wanted, the price at the charge point rises until no
    more is; what it then lies above price and margin the operator keeps.  connectors: kW of each; a car keeps the one that it
    was given as long as it bids, and those that find none free wait.  Without any, every car has one of its own that does not
    limit it.
    """

    kind = "charge_point_operator"

    def __init__(
        self,
        seat: Seat,
        *,
        capacity_kw: tuple[float, float],
        margin_per_kwh: float,
        site_limit_kw: float = math.inf,
        connectors_kw: Sequence[float] = (),
        **host: Any,
    ) -> None:
        low_kw, high_kw = capacity_kw
        within = (max(low_kw, -site_limit_kw), min(high_kw, site_limit_kw))
        super().__init__(seat, capacity_kw=within, **host)
        self._margin_per_kwh = margin_per_kwh
        self._site_limit_kw = site_limit_kw
        self._connectors_kw = tuple(connectors_kw)
        self._lent: dict[str, int] = {}

    def seated(self, parts: tuple[Offer, ...]) -> tuple[Offer, ...]:
        """Each car within the rating of its connector; those without one rest."""
        if not self._connectors_kw:
            return parts
        wanting = [part.era for part in parts if part.curve.min_kw < 0 or part.curve.max_kw > 0]
        self._lent = {era: number for era, number in self._lent.items() if era in wanting}
        free = [number for number in range(len(self._connectors_kw)) if number not in self._lent.values()]
        least_kw = {part.era: part.min_run_kw for part in parts}
        for era in wanting:
            fitting = [number for number in free if self._connectors_kw[number] >= least_kw[era]]
            if era not in self._lent and fitting:
                self._lent[era] = fitting[0]
                free.remove(fitting[0])
        return tuple(self._connected(part) for part in parts)

    def _connected(self, part: Offer) -> Offer:
        number = self._lent.get(part.era)
        if number is None:
            return silenced(part)
        rating_kw = self._connectors_kw[number]
        baseline_kw = min(max(part.uncoordinated_kw, -rating_kw), rating_kw)
        return replace(part, curve=clip(part.curve, rating_kw, rating_kw), baseline_kw=baseline_kw)

    def upstream(self, parts: Sequence[Offer]) -> Offer:
        """The sum, its prices moved by the margin, within the site's limit."""
        limit_kw = self._site_limit_kw
        curve = clip(aggregate([with_margin(part.curve, self._margin_per_kwh) for part in parts]), limit_kw, limit_kw)
        baseline_kw = sum(part.uncoordinated_kw for part in parts)
        return Offer(self.era, self.place.node, curve, min(max(baseline_kw, -limit_kw), limit_kw))

    def shares(self, parts: Sequence[Offer], award: Award) -> dict[str, Award]:
        """The cars' awards at the price of the charge point, which lies above the node's for who draws and below for who gives.

        Where the site's limit holds, the price of those on the side that is too large moves on until they fit; what they
        want at any price is cut pro rata.
        """
        if award.price_per_kwh is None:
            return share_out(parts, award)
        own = [replace(part, curve=with_margin(part.curve, self._margin_per_kwh)) for part in parts]
        if award.curtailed_kw:
            return {era: self._at_charge_point(share) for era, share in share_out(own, award).items()}
        total = aggregate([part.curve for part in own])
        reachable = min(max(award.cleared_kw, total.min_kw), total.max_kw)
        price = price_for(total, reachable, award.price_per_kwh)
        found = share_out(own, replace(award, cleared_kw=reachable, price_per_kwh=price))
        if abs(reachable - award.cleared_kw) > POWER_KW:
            powers = towards_zero([share.cleared_kw for share in found.values()], award.cleared_kw)
            cut = zip(found.items(), powers, strict=True)
            found = {era: replace(share, cleared_kw=p, curtailed_kw=p - share.cleared_kw) for (era, share), p in cut}
        return {era: self._at_charge_point(share) for era, share in found.items()}

    def _at_charge_point(self, share: Award) -> Award:
        if share.price_per_kwh is None:
            return share
        margin = self._margin_per_kwh if share.cleared_kw <= 0 else -self._margin_per_kwh
        return replace(share, price_per_kwh=share.price_per_kwh + margin)
