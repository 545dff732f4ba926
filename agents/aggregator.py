"""An aggregator: one curve upstream for many resources below, and the award shared out again."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import ClassVar, Literal

from agents.accounts import Accounts
from agents.award import Award, award_in
from agents.member import asked_for, commitment, lock_content
from agents.membership import Membership
from agents.resource import Resource, Seat
from agents.rounds import silenced
from sim.clock import Interval
from sim.curves import OfferCurve, aggregate, disaggregate
from sim.forms import undelivered_in, window_of
from sim.ledger import largest_remainder
from sim.market.problem import Offer
from sim.participant import Participant
from sim.tolerances import POWER_KW
from sim.wire.bags import Role
from sim.wire.messages import Alarm, Event, Lineage, Message


def towards_zero(powers_kw: Sequence[float], total_kw: float) -> list[float]:
    """Powers changed to sum to ``total_kw``: whoever stands on the side that is too large gives way, pro rata.

    Withdrawals shrink where the total must rise, injections where it must fall; where that side has nothing left to give,
    the rest is given up.
    """
    gap_kw = total_kw - sum(powers_kw)
    if gap_kw == 0:
        return list(powers_kw)
    side_kw = sum(p for p in powers_kw if p * gap_kw < 0)
    kept = 1 - min(gap_kw / -side_kw, 1.0) if side_kw else 1.0
    return [p * kept if p * gap_kw < 0 else p for p in powers_kw]


def whole_watts(powers_kw: Sequence[float], spans_kw: Sequence[tuple[float, float]]) -> list[float]:
    """The same powers, those in whole watts that lie inside a span of indifference; their sum is off by half a watt at most.

    Who is not indifferent, or stands at an end of its span, keeps its power to the last digit: it is on its own curve.
    Source: the largest remainders get the watts that rounding down has left over (Hamilton's method).
    """
    inside = [k for k, (p, (low, high)) in enumerate(zip(powers_kw, spans_kw, strict=True)) if low < p < high]
    floors = {k: math.floor(powers_kw[k] * 1000) for k in inside}
    remainders = [Decimal(powers_kw[k] * 1000) - floors[k] for k in inside]
    left = round(sum(remainders))
    if left:
        added = largest_remainder(Decimal(left), remainders, Decimal(1))
        floors |= {k: floors[k] + int(watts) for k, watts in zip(inside, added, strict=True)}
    return [floors[k] / 1000 if k in floors else p for k, p in enumerate(powers_kw)]


def share_out(offers: Sequence[Offer], award: Award) -> dict[str, Award]:
    """The members' awards: each on its own curve at the price, plateaus shared to the watt, curtailment pro rata.

    They sum to the award to a watt.  Without a price (nobody trades) each stays at its baseline as far as the total allows.
    """
    if award.price_per_kwh is None:
        powers = towards_zero([offer.uncoordinated_kw for offer in offers], award.cleared_kw)
        return {o.era: Award(p, None, firm=award.firm) for o, p in zip(offers, powers, strict=True)}
    price = award.price_per_kwh
    curves = [offer.curve for offer in offers]
    spans = [curve.span(price) for curve in curves]
    within = _reachable_kw(curves, spans, award.cleared_kw)
    on_curve = whole_watts(disaggregate(curves, within, price).tolist(), spans)
    powers = towards_zero(on_curve, award.cleared_kw) if award.curtailed_kw else on_curve
    return {
        offer.era: Award(
            p, price, _offset_kw(offer.curve, p, price), p - q if abs(p - q) > POWER_KW else 0.0, firm=award.firm
        )
        for offer, p, q in zip(offers, powers, on_curve, strict=True)
    }


def _reachable_kw(curves: Sequence[OfferCurve], spans: Sequence[tuple[float, float]], total_kw: float) -> float:
    """The total that members share on their curves: what they do at the price, where the award is that to rounding.

    Where a market pays prices that its awards do not follow from (an auction, an oracle), it is the award, as far as curves go.
    """
    low, high = sum(low for low, _ in spans), sum(high for _, high in spans)
    if low - POWER_KW <= total_kw <= high + POWER_KW:
        return min(max(total_kw, low), high)
    return min(max(total_kw, sum(curve.min_kw for curve in curves)), sum(curve.max_kw for curve in curves))


def _offset_kw(curve: OfferCurve, p_kw: float, price_per_kwh: float) -> float:
    low_kw, high_kw = curve.span(price_per_kwh)
    return p_kw - low_kw if high_kw - low_kw > POWER_KW and p_kw - low_kw > POWER_KW else 0.0


class Aggregator(Resource):
    """A market to its members and a resource to its market; its sites stand below one grid node."""

    kind = "aggregator"
    role: ClassVar[Role] = "AGGREGATOR"
    resource_type: ClassVar[Literal["PORTFOLIO"]] = "PORTFOLIO"

    def __init__(
        self,
        seat: Seat,
        *,
        membership: Callable[[Participant], Membership],
        accounts: Callable[[Participant], Accounts],
        utility: str,
        capacity_kw: tuple[float, float],
    ) -> None:
        super().__init__(seat)
        self.membership = membership(self)
        self.accounts = accounts(self)
        self._utility = utility
        self._capacity_kw = capacity_kw
        self._lock_contract = seat.ids.fresh()
        self._parts: dict[int, tuple[Offer, ...]] = {}
        self._shares: dict[int, dict[str, Award]] = {}
        self._locking: dict[str, int] = {}
        self._dark: frozenset[str] = frozenset()
        self.reactions |= {
            "discover": self.membership.on_discover,
            "init": self.membership.on_init,
            "confirm": self.membership.on_confirm,
            "update": self.accounts.on_update,
            "deadline": self.accounts.on_deadline,
        }

    def capability(self) -> OfferCurve:
        """All that the members' connections allow together."""
        low_kw, high_kw = self._capacity_kw
        return OfferCurve.of([(0.0, low_kw), (0.0, high_kw)], who=self.era)

    def on_init(self, message: Message) -> Iterable[Event]:
        """An approval: of a member by the utility, or of ourselves by the market."""
        if message.sender == self._utility:
            return self.membership.on_approved(message)
        return super().on_init(message)

    def offer(self, interval: Interval, now_s: int) -> Offer | None:
        """The sum of the members' curves, without those who had no supply when last read; the members' gate closes with it."""
        del now_s
        parts = tuple(silenced(part) if part.era in self._dark else part for part in self.membership.close(interval))
        if not parts:
            return None
        self._parts[interval.index] = parts = self.seated(parts)
        return self.upstream(parts)

    def seated(self, parts: tuple[Offer, ...]) -> tuple[Offer, ...]:
        """The members' offers as they stand in the sum; a host that has not room for all overrides it."""
        return parts

    def upstream(self, parts: Sequence[Offer]) -> Offer:
        """The sum of the members' offers."""
        curve = aggregate([part.curve for part in parts])
        return Offer(self.era, self.place.node, curve, sum(part.uncoordinated_kw for part in parts))

    def shares(self, parts: Sequence[Offer], award: Award) -> dict[str, Award]:
        """The members' awards, by ERA, that an award of the sum comes to."""
        return share_out(parts, award)

    def on_confirm(self, message: Message) -> Iterable[Event]:
        """Our own award, to be shared out; or the lock that lets us tell the members."""
        if message.sender == self._utility:
            index = asked_for(self._locking, message)
            del self._locking[message.message_id]
            return self.membership.awards(self.calendar.interval(index), self._shares[index])
        index, award = award_in(message, self.calendar)
        self.awarded[index] = award
        parts = self._parts.pop(index, ())
        if not parts:
            return ()
        self._shares[index] = self.shares(parts, award)
        return (self._lock(index, Lineage(transactionId=message.transaction_id, messageId=message.message_id)),)

    def _lock(self, index: int, lineage: Lineage) -> Message:
        hours = self.calendar.interval(index).hours
        locks = tuple(
            commitment(self.membership.members[era].meter, "lock", award.cleared_kw * hours)
            for era, award in self._shares[index].items()
        )
        content = lock_content(self._lock_contract, locks, window_of(self.calendar, index))
        question = self.request("confirm", self._utility, content, self.ids.fresh(), lineage=lineage)
        self._locking[question.message_id] = index
        return question

    def on_nack(self, message: Message) -> Iterable[Event]:
        """A refused lock: no member is awarded, so that none is billed for it."""
        index = self._locking.pop(message.message_id, None)
        if index is None:
            return self.membership.on_refused(message)
        self._shares.pop(index)
        self.membership.books.pop(index, None)
        return ()

    def on_dispatch(self, alarm: Alarm) -> Iterable[Event]:
        """Nothing to command: the members have devices."""
        self._committed.pop(alarm.index, None)
        self._parts.pop(alarm.index, None)
        return ()

    def on_status(self, message: Message) -> Iterable[Event]:
        """Readings of all members: settle with each."""
        index, readings = self.accounts.deliveries(message)
        self._dark = cut_off = undelivered_in(message)
        awards = {era: award for era, award in self._shares.pop(index, {}).items() if era not in cut_off}
        interval = self.calendar.interval(index)
        if readings is not None:
            minute = self.calendar.minute_of_day(interval.start_s)
            prices = (self.tariffs["IMPORT"][minute], self.tariffs["EXPORT"][minute])
            yield from self.accounts.close(interval, self.membership.members, readings, awards, prices)
        if index == self.calendar.count - 1:
            yield from self.accounts.finish(self.membership.members)
