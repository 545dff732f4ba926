"""An aggregator: one curve upstream for many resources below, and the award shared out again.

What it stands between is a matter of who hosts whom: its members may be aggregators themselves, and so may its host.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import ClassVar, Literal

from agents.accounts import Accounts
from agents.award import Award, award_in
from agents.chronicle import Chronicle
from agents.member import asked_for, commitment, lock_content
from agents.membership import Membership
from agents.resource import Resource, Seat
from agents.rounds import limit_of, silenced
from agents.subtree import Passed, at_place, pass_on
from sim.clock import Interval
from sim.contracts.contract import Contract, Settlement, Turn, settle
from sim.curves import OfferCurve, aggregate, clear, disaggregate
from sim.events import EventLog
from sim.forms import PERFORMANCE, undelivered_in, window_of
from sim.ledger import Ledger, largest_remainder
from sim.market.problem import DEFAULT_NODE, Limit, Offer
from sim.participant import Participant
from sim.tolerances import POWER_KW
from sim.wire.bags import GridNode, Role
from sim.wire.codes import Code, Refusal
from sim.wire.messages import Alarm, CatalogsContent, Event, Lineage, Message


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


def _trades(passed: Passed) -> bool:
    return any(abs(award.cleared_kw) > POWER_KW for award in passed.awards.values())


LOOK_AHEAD_S = 15
"""Limits of grid nodes are asked for this much before a curve is made of them: time for question and answer."""


@dataclass(slots=True)
class Balance:
    """An aggregator's own contract with the grid operator, and the book that it is entered in.

    In force from the first interval on in which there is anything to settle under it.
    """

    contract: Contract
    ledger: Ledger
    log: EventLog
    settlement: Settlement = field(default_factory=Settlement)
    in_force: bool = False


@dataclass(slots=True)
class Taken:
    """An award on the interval's way: the own one, and what was passed on of it.  unheard: members whom no word has reached."""

    award: Award
    passed: Passed
    unheard: set[str] = field(default_factory=set)

    def heard(self, without: frozenset[str] = frozenset()) -> dict[str, Award]:
        """The awards that bind, less those of members who could not act on them."""
        return {e: award for e, award in self.passed.awards.items() if e not in self.unheard and e not in without}


class Aggregator(Resource):
    """A market to its members and a resource to its host, which is a market or an aggregator.

    Its place is the grid node below which all its members stand; between it and them the limits of the nodes are its to keep.
    root_node: the grid node above every other.  balance: None where nothing is traded at a cleared price.
    """

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
        root_node: str = DEFAULT_NODE,
        capacity_kw: tuple[float, float],
        balance: Balance | None = None,
    ) -> None:
        super().__init__(seat)
        self.membership = membership(self)
        self.accounts = accounts(self)
        self._utility = utility
        self._root_node = root_node
        self._capacity_kw = capacity_kw
        self._balance = balance
        self._lock_contract = seat.ids.fresh()
        self._parts: dict[int, tuple[Offer, ...]] = {}
        self._taken: dict[int, Taken] = {}
        self._locking: dict[str, int] = {}
        self._dark: frozenset[str] = frozenset()
        self._nodes: dict[str, Limit] = {}
        self._looks = False
        self.reactions |= {
            "discover": self.membership.on_discover,
            "init": self.on_application,
            "confirm": self.membership.on_confirm,
            "update": self.accounts.on_update,
            "deadline": self.accounts.on_deadline,
            "look": self.on_look,
        }

    def capability(self) -> OfferCurve:
        """All that the members' connections allow together."""
        low_kw, high_kw = self._capacity_kw
        return OfferCurve.of([(0.0, low_kw), (0.0, high_kw)], who=self.era)

    # joining

    def on_application(self, message: Message) -> Iterable[Event]:
        """A resource wants to be a member.  With the first that stands below another node, limits begin to matter."""
        events = list(self.membership.on_init(message))
        resource = message.contract.commitments[0].resources[0].resourceAttributes
        if not self._looks and getattr(resource, "gridNode", self.place.node) != self.place.node:
            self._looks = True
            events.append(self._question(self.place.catalogue, "GridNode"))
        return events

    def on_look(self, _: Alarm) -> Iterable[Event]:
        """A gate is near: ask for the limits in force."""
        return (self._question(self.place.catalogue, "GridNode"),)

    def on_discover(self, message: Message) -> Iterable[Event]:
        """Tariffs, the host's offer, and the limits of grid nodes."""
        events = super().on_discover(message)
        assert isinstance(message.content, CatalogsContent)
        found = (
            resource.resourceAttributes for catalog in message.content.catalogs for resource in catalog.resources or ()
        )
        self._nodes |= {node.nodeId: limit_of(node, self._root_node) for node in found if isinstance(node, GridNode)}
        return events

    def on_init(self, message: Message) -> Iterable[Event]:
        """An approval: of a member by the utility, or of ourselves by the host."""
        if message.sender == self._utility:
            return self.membership.on_approved(message)
        return super().on_init(message)

    # one interval

    def on_commit(self, alarm: Alarm) -> Iterable[Event]:
        """Commit the sum of those whose credentials stand, and look at the grid again before the next one."""
        ended = [*self.membership.review(self.calendar.interval(alarm.index), alarm.at_s)]
        events = [*ended, *super().on_commit(alarm)]
        following = [event for event in events if isinstance(event, Alarm) and event.name == "commit"]
        looks = [Alarm(event.at_s - LOOK_AHEAD_S, "look", event.index) for event in following if self._looks]
        return [*events, *looks]

    def offer(self, interval: Interval, now_s: int) -> Offer | None:
        """The sum of the members' curves, without those who had no supply when last read; the members' gate closes with it."""
        del now_s
        parts = tuple(silenced(part) if part.era in self._dark else part for part in self.membership.close(interval))
        if not parts:
            return None
        self._parts[interval.index] = parts = self.seated(parts)
        return self.upstream(at_place(parts, self.place.node, self._nodes))

    def seated(self, parts: tuple[Offer, ...]) -> tuple[Offer, ...]:
        """The members' offers as they stand in the sum; a host that has not room for all overrides it."""
        return parts

    def upstream(self, parts: Sequence[Offer]) -> Offer:
        """The sum of what is offered at our place."""
        curve = aggregate([part.curve for part in parts])
        return Offer(self.era, self.place.node, curve, sum(part.uncoordinated_kw for part in parts))

    def shares(self, parts: Sequence[Offer], award: Award) -> dict[str, Award]:
        """The awards, by ERA, that an award of the sum comes to."""
        return share_out(parts, award)

    def on_confirm(self, message: Message) -> Iterable[Event]:
        """Our own award, to be shared out; or the lock that lets us tell the members."""
        if message.sender == self._utility:
            index = asked_for(self._locking, message)
            del self._locking[message.message_id]
            return self.membership.awards(self.calendar.interval(index), self._taken[index].passed.awards)
        if message.error is not None:
            return ()
        index, award = award_in(message, self.calendar)
        self.awarded[index] = award
        parts = self._parts.pop(index, ())
        if not parts:
            return ()
        self._taken[index] = Taken(award, self._passed(parts, award))
        return (self._lock(index, Lineage(transactionId=message.transaction_id, messageId=message.message_id)),)

    def _passed(self, parts: Sequence[Offer], award: Award) -> Passed:
        """The award shared out; where nobody else trades, the members trade with each other at a price of their own."""
        assert self.terms is not None
        bounds = (self.terms.price_floor, self.terms.price_cap)
        passed = pass_on(parts, self.place.node, self._nodes, self._priced(parts, award), self.shares, bounds)
        if award.price_per_kwh is None and self._balance is not None and not _trades(passed):
            return Passed({era: replace(one, price_per_kwh=None) for era, one in passed.awards.items()}, {})
        return passed

    def _priced(self, parts: Sequence[Offer], award: Award) -> Award:
        if award.price_per_kwh is not None or self._balance is None:
            return award
        crossing = clear(self.upstream(at_place(parts, self.place.node, self._nodes)).curve, award.cleared_kw)
        return replace(award, price_per_kwh=crossing.price)

    def _lock(self, index: int, lineage: Lineage) -> Message:
        hours = self.calendar.interval(index).hours
        locks = tuple(
            commitment(self.membership.members[era].meter, "lock", award.cleared_kw * hours)
            for era, award in self._taken[index].passed.awards.items()
        )
        content = lock_content(self._lock_contract, locks, window_of(self.calendar, index))
        question = self.request("confirm", self._utility, content, self.ids.fresh(), lineage=lineage)
        self._locking[question.message_id] = index
        return question

    def on_nack(self, message: Message) -> Iterable[Event]:
        """A refused lock: no member is awarded.  Or an award that did not arrive.  What nobody heard of binds nobody."""
        index = self._locking.pop(message.message_id, None)
        if index is not None:
            self._taken[index].unheard.update(self._taken[index].passed.awards)
            self.membership.books.pop(index, None)
            return ()
        unheard = self.membership.unheard(message)
        if unheard is not None and unheard[0] in self._taken:
            self._taken[unheard[0]].unheard.add(unheard[1])
        return self.membership.on_refused(message)

    def on_dispatch(self, alarm: Alarm) -> Iterable[Event]:
        """Nothing to command: the members have devices.  Without an award of ours there is none for them either."""
        self._committed.pop(alarm.index, None)
        if self._parts.pop(alarm.index, None) is not None:
            self.membership.books.pop(alarm.index, None)
        return ()

    # money

    def on_status(self, message: Message) -> Iterable[Event]:
        """Readings of all members: settle with each, and with the grid operator for what none of them has.

        Where they are not valid, what was agreed waits for those that are.
        """
        index, readings = self.accounts.deliveries(message)
        if readings is not None and not self.tariffs and self.membership.members:
            raise Refusal(
                Code.PRC_CONFLICT, PERFORMANCE, f"{self.era} was never told the tariffs at which it would settle"
            )
        self._dark = cut_off = undelivered_in(message)
        interval = self.calendar.interval(index)
        if readings is not None:
            taken = self._taken.pop(index, None)
            prices = self._retail_prices(interval)
            if taken is not None and self.era not in cut_off:
                self._settle_balance(interval, taken, cut_off, prices)
            awards = {} if taken is None else taken.heard(cut_off)
            yield from self.accounts.close(interval, self.membership.members, readings, awards, prices)
        yield from self.accounts.part(self.membership.members, index)
        if index == self.calendar.count - 1:
            yield from self.accounts.finish(self.membership.members)
            if self._balance is not None and self._balance.in_force:
                self._chronicle(self._balance).ended(self._balance.contract, Turn.FULFIL)

    def _retail_prices(self, interval: Interval) -> tuple[float, float]:
        """The retailer's import and export price per kWh; none to settle at where nobody is a member."""
        minute = self.calendar.minute_of_day(interval.start_s)
        return (self.tariffs["IMPORT"][minute], self.tariffs["EXPORT"][minute]) if self.tariffs else (0.0, 0.0)

    def _settle_balance(
        self, interval: Interval, taken: Taken, cut_off: frozenset[str], retail_prices: tuple[float, float]
    ) -> None:
        """What did not reach the members, what the nodes below are worth, and what could not be delivered."""
        heard = taken.heard()
        missing_kw = sum(award.cleared_kw for era, award in taken.passed.awards.items() if era in taken.unheard)
        lost = [award for era, award in heard.items() if era in cut_off and award.price_per_kwh is not None]
        per_h = {
            "rent": sum(taken.passed.rent_per_h.get(era, 0.0) for era in heard),
            "undelivered": sum(award.cleared_kw * (award.price_per_kwh or 0.0) for award in lost),
        }
        if self._balance is None or not (taken.unheard or lost or any(per_h.values())):
            return
        cleared_kw, hours = taken.award.cleared_kw, interval.hours
        values = {
            "energyKWh": (cleared_kw - missing_kw) * hours,
            "clearedKWh": cleared_kw * hours,
            **{name: value * hours for name, value in per_h.items()},
        }
        signals = {name: Decimal(f"{value:.6f}") for name, value in values.items()}
        signals |= {
            "importPricePerKWh": Decimal(repr(retail_prices[0])),
            "exportPricePerKWh": Decimal(repr(retail_prices[1])),
        }
        self._enter(self._balance, interval, signals)

    def _enter(self, balance: Balance, interval: Interval, signals: dict[str, Decimal]) -> None:
        chronicle = self._chronicle(balance)
        if not balance.in_force:
            chronicle.in_force(balance.contract)
            balance.in_force = True
        postings = settle(balance.settlement, balance.contract, interval.index, signals)
        balance.ledger.post(postings)
        chronicle.computed(balance.contract, interval.index, signals, postings)

    def _chronicle(self, balance: Balance) -> Chronicle:
        return Chronicle(balance.log, self.era)
