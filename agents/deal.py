"""A deal between two: what was offered, what was agreed, and what its contract is told of every interval.

A provider offers items, a taker takes one.  Whatever is traded - energy at a connector, at a tariff, between two meters,
capacity held ready, a forecast - is told apart by the item's contract alone: its terms say who pays whom, by formulas over
constants and over ``SIGNALS``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from agents.admission import Admission
from agents.call import Call
from agents.press import Press
from agents.reduction import Reduction
from agents.trade_record import Customer, TradeRecord
from agents.twins.reserve import Answer, ReserveTwin
from sim.clock import Calendar, Interval
from sim.contracts.contract import Contract, Line, Role, Settlement, Status, Template, lines
from sim.device import Device
from sim.ledger import Posting
from sim.wire.core import Offer, Resource

SIGNALS: Mapping[str, str] = {
    "consumedKWh": "energy that the taker's meter has drawn in the interval",
    "producedKWh": "energy that the provider's meter has injected in the interval",
    "contractedKWh": "energy agreed for the interval, as much in each of its window",
    "curtailedKWh": "energy of it that a grid operator did not let happen",
    "tradedKWh": "energy that both utilities say the deal settles, in the last interval",
    "pricePerKWh": "the item's price in the interval",
    "quotedAmount": "what the taker was quoted in all",
    "prepaidAmount": "that, where the item is to be paid beforehand, else 0",
    "confirmed": "1 in the interval of confirmation, else 0",
    "over": "1 in the last interval, however the deal ended, else 0",
    "cancelled": "1 where the taker has taken it back, in the last interval, else 0",
    "withdrawn": "1 where the provider has, or has not delivered, in the last interval, else 0",
    "late": "1 where it was taken back later than is free, in the last interval, else 0",
    "idleMinutes": "how long a car stood at the connector when it was full, in the last interval, else 0",
    "deliveredMinutes": "for how long of the interval it was delivered",
    "baselineKWh": "energy that the taker would have drawn in the interval had it not been called",
    "reducedKWh": "what the interval adds to the energy drawn less than the baseline, which is never below 0 in all",
    "missedKWh": "what the interval adds to the energy agreed but not reduced, likewise",
    "optedOut": "1 where the taker is out of the event by the end of the interval, else 0",
    "level": "how urgent the call is: 0 advisory, 1 mandatory, 2 emergency",
    "heldKW": "capacity agreed to be held ready, while it is",
    "availability": "share of that time in which all of the capacity was there",
    "responseErrorKW": "mean of how far the power given was from the power asked for, in kW",
    "activatedKWh": "energy given in answer, either way",
    "calls": "how often the taker was handed, in the interval, what is sold by the call, and has not refused it",
    "pricePerCall": "the item's price in the interval, where it is sold by the call, else 0",
}
"""What formulas may name beside their constants; energies are ≥ 0, save that what an interval adds may be taken back."""

ZERO, ONE = Decimal(0), Decimal(1)

Delivery = Literal["session", "window"]
Ending = Literal["ended", "cancelled", "withdrawn"]
Billing = Literal["INCREMENTAL", "POST_FULFILLMENT"]
SessionStatus = Literal["PENDING", "ACTIVE", "STOP", "COMPLETED", "INTERRUPTED"]


@dataclass(frozen=True, slots=True)
class Item:
    """Something on offer.

    listed, offer: as it stands in the catalogue.  open_role: what a taker becomes.  parties: who fills the other roles.
    prices: per kWh by local minute of the day, [1440].  device: the provider's own, that delivers it.  meter: of whatever the
    provider delivers from.  quantity_kwh: what there is in all.  grace_s: how late a session may begin; free_s: less than
    so long before its window a deal is taken back late.  approver: whose consent is asked.
    admission: what whoever takes it has to show.  call: the event that it is offered by; such an item is in no catalogue.
    quantity_kw: where it is capacity that is held ready, how much there is at any time.  seller: whose meter it is delivered
    from, where deals on it are recorded in a trade ledger.  press: makes what is sold by the call.
    """

    name: str
    listed: Resource
    offer: Offer
    template: Template
    open_role: Role
    parties: Mapping[str, str]
    inputs: Mapping[str, Decimal]
    prices: tuple[float, ...]
    delivery: Delivery
    billing: Billing
    device: Device | None = None
    meter: str = ""
    quantity_kwh: float | None = None
    quantity_kw: float = 0.0
    seller: Customer | None = None
    press: Press | None = None
    prepaid: bool = False
    grace_s: int = 600
    free_s: int = 0
    approver: str = ""
    admission: Admission | None = None
    call: Call | None = None

    def contract(self, contract_id: str, currency: str, taker: str) -> Contract:
        """The contract between its parties and a taker, or whoever it takes it for."""
        roles = {**self.parties, str(self.open_role): taker}
        return self.template.instantiate(
            contract_id, currency, {role: roles[role] for role in self.template.roles}, self.inputs
        )

    @property
    def reserve(self) -> ReserveTwin | None:
        """Whatever holds the capacity that is on offer; None where it is no capacity."""
        twin = None if self.device is None else self.device.twin
        return twin if isinstance(twin, ReserveTwin) else None

    def price(self, calendar: Calendar, seconds: int) -> Decimal:
        """Per kWh at a simulated second."""
        return Decimal(repr(self.prices[calendar.minute_of_day(seconds)]))


@dataclass(slots=True)
class Deal:
    """One deal.  Its provider alone changes it.  Times in simulated seconds.

    kwh: agreed in all; or kw: capacity agreed to be held ready.  start_s, end_s: of its window, which of a session is when it
    may begin.  first: interval of its confirmation.
    ending: how it is over since over_s, and whether it was taken back late.  full_s: when its car was full.
    curtailed_kwh: what a grid operator took off it; counted_kwh: what its connector has counted; both by interval.
    metered_share: of its connector's meter.  taken_kwh, power_kw: of a session so far, and now.  settled: intervals that are.
    approved_kwh: the most that its approver would have let it be.
    answers: of what is held ready; calls: how often what is sold by the call was handed over; both by interval.
    """

    item: Item
    taker: str
    contract: Contract
    transaction_id: str
    kwh: float
    start_s: int
    end_s: int
    meter: str = ""
    kw: float = 0.0
    status: Status = Status.PENDING
    session: SessionStatus = "PENDING"
    quoted: Decimal = ZERO
    first: int = -1
    began_s: int | None = None
    over_s: int | None = None
    ending: Ending = "ended"
    late: bool = False
    full_s: int | None = None
    curtailed_kwh: dict[int, float] = field(default_factory=dict)
    counted_kwh: dict[int, float] = field(default_factory=dict)
    metered_share: dict[int, Decimal] = field(default_factory=dict)
    record: TradeRecord | None = None
    taken_kwh: float = 0.0
    power_kw: float = 0.0
    reduction: Reduction | None = None
    answers: dict[int, Answer] = field(default_factory=dict)
    calls: dict[int, int] = field(default_factory=dict)
    settled: set[int] = field(default_factory=set)
    approved_kwh: float | None = None

    @property
    def customer(self) -> str:
        """Who pays for it or is paid: the taker, or whoever it takes it for."""
        return self.contract.roles.get(self.item.open_role, self.taker)

    @property
    def is_delivered(self) -> bool:
        """Whether what is delivered in its window is known: of a trade in a ledger, once its utilities have said so."""
        return self.record is None or self.record.settled_kwh is not None

    @property
    def is_open(self) -> bool:
        """Whether it still counts."""
        return self.status is Status.ACTIVE

    @property
    def prepaid(self) -> Decimal:
        """What the taker has paid beforehand."""
        return self.quoted if self.item.prepaid else ZERO

    def agreed_kwh(self, interval: Interval) -> Decimal:
        """What was agreed for an interval: the whole, spread evenly over its window.  Of a session, all when it begins."""
        if self.item.delivery == "session":
            return _decimal(self.kwh) if self.first == interval.index else ZERO
        return _decimal(self.kwh * self._overlap_s(interval) / (self.end_s - self.start_s))

    def estimate(self, interval: Interval) -> Decimal:
        """What counts as delivered where nobody has read the meters: what a connector has counted, else what was agreed."""
        if self.item.delivery == "session":
            return _decimal(self.counted_kwh.get(interval.index, 0.0))
        return self.agreed_kwh(interval) - _decimal(self.curtailed_kwh.get(interval.index, 0.0))

    def _overlap_s(self, interval: Interval) -> int:
        end_s = self.end_s if self.over_s is None else min(self.end_s, self.over_s)
        return max(min(end_s, interval.end_s) - max(self.start_s, interval.start_s), 0)

    def is_over(self, interval: Interval) -> bool:
        """Whether it is over by the end of an interval."""
        return self.over_s is not None and self.over_s <= interval.end_s

    def share(self, interval: Interval) -> Decimal:
        """Share of what the meters say of an interval that is this deal's.

        Of a window the time that overlaps.  Of sessions at one connector what it has counted for each: one car may leave and
        another come within an interval.
        """
        if self.item.delivery == "session":
            return self.metered_share.get(interval.index, ZERO)
        return Decimal(self._overlap_s(interval)) / (interval.end_s - interval.start_s)

    def idle_minutes(self) -> Decimal:
        """How long the car stood at the connector when it was full."""
        if self.full_s is None or self.over_s is None:
            return ZERO
        return _decimal(max(self.over_s - self.full_s, 0) / 60)


def signals_of(
    deal: Deal, calendar: Calendar, interval: Interval, consumed_kwh: Decimal, produced_kwh: Decimal
) -> dict[str, Decimal]:
    """What a deal's contract is told of one interval."""
    over = deal.is_over(interval)
    delivered_s = _delivered_s(deal, interval)
    told = {
        "consumedKWh": consumed_kwh,
        "producedKWh": produced_kwh,
        "contractedKWh": deal.agreed_kwh(interval),
        "curtailedKWh": _decimal(deal.curtailed_kwh.get(interval.index, 0.0)),
        "tradedKWh": _traded_kwh(deal) if over else ZERO,
        "pricePerKWh": deal.item.price(calendar, interval.start_s),
        "quotedAmount": deal.quoted,
        "prepaidAmount": deal.prepaid,
        "confirmed": ONE if interval.index == deal.first else ZERO,
        "over": ONE if over else ZERO,
        "cancelled": ONE if over and deal.ending == "cancelled" else ZERO,
        "withdrawn": ONE if over and deal.ending == "withdrawn" else ZERO,
        "late": ONE if over and deal.late else ZERO,
        "idleMinutes": deal.idle_minutes() if over else ZERO,
        "deliveredMinutes": _decimal(delivered_s / 60),
        **_reduced(deal, interval),
        **_reserved(deal, interval, delivered_s),
        "calls": Decimal(deal.calls.get(interval.index, 0)),
        "pricePerCall": _per_call(deal, calendar, interval),
    }
    return {name: told[name] for name in SIGNALS if name in used(deal.contract)}


def _reserved(deal: Deal, interval: Interval, delivered_s: int) -> dict[str, Decimal]:
    """What is told of capacity that was held ready."""
    answer = deal.answers.get(interval.index)
    return {
        "heldKW": _decimal(deal.kw) if delivered_s else ZERO,
        "availability": ZERO if answer is None else _decimal(answer.availability),
        "responseErrorKW": ZERO if answer is None else _decimal(answer.error_kw),
        "activatedKWh": ZERO if answer is None else _decimal(answer.activated_kwh),
    }


def _reduced(deal: Deal, interval: Interval) -> dict[str, Decimal]:
    """What is told of energy that was not drawn because of a call."""
    nothing = dict.fromkeys(("baselineKWh", "reducedKWh", "missedKWh", "optedOut", "level"), ZERO)
    return nothing if deal.reduction is None else nothing | deal.reduction.signals(interval.index)


def _traded_kwh(deal: Deal) -> Decimal:
    settled_kwh = None if deal.record is None else deal.record.settled_kwh
    return ZERO if settled_kwh is None else settled_kwh


def _per_call(deal: Deal, calendar: Calendar, interval: Interval) -> Decimal:
    return ZERO if deal.item.press is None else deal.item.price(calendar, interval.start_s)


def used(contract: Contract) -> frozenset[str]:
    """The signals that a contract's formulas name."""
    return frozenset(name for term in contract.terms for name in term.formula.names if name in SIGNALS)


def _delivered_s(deal: Deal, interval: Interval) -> int:
    start_s = deal.start_s if deal.item.delivery == "window" else deal.began_s
    if start_s is None:
        return 0
    end_s = min(deal.end_s if deal.item.delivery == "window" else interval.end_s, interval.end_s)
    if deal.over_s is not None:
        end_s = min(end_s, deal.over_s)
    return max(end_s - max(start_s, interval.start_s), 0)


def quote(deal: Deal, calendar: Calendar) -> tuple[Posting, ...]:
    """What the deal comes to if all goes as agreed: the postings of every interval of its plan, as one bill.

    A prepayment is no part of it, because it comes back with the bill.
    """
    settlement = Settlement()
    intervals = [calendar.interval(k) for k in range(calendar.index_at(deal.start_s), _last(deal, calendar) + 1)]
    if deal.item.delivery == "session":
        intervals = intervals[:1]
    for interval in intervals:
        planned = _decimal(deal.kwh) if deal.item.delivery == "session" else deal.agreed_kwh(interval)
        first, last = (ONE if interval is intervals[k] else ZERO for k in (0, -1))
        told = {
            "consumedKWh": planned,
            "producedKWh": planned,
            "contractedKWh": planned,
            "curtailedKWh": _decimal(deal.curtailed_kwh.get(interval.index, 0.0)),
            "tradedKWh": planned,
            "pricePerKWh": deal.item.price(calendar, interval.start_s),
            "confirmed": first,
            "over": last,
            "deliveredMinutes": Decimal(interval.end_s - interval.start_s) / 60,
            **_planned_reduction(deal, planned),
            "heldKW": _decimal(deal.kw),
            "availability": ONE,
            "calls": first,
            "pricePerCall": _per_call(deal, calendar, interval),
        }
        settlement.accrue(deal.contract, _planned(deal.contract, told))
    return settlement.post(0, deal.contract)


def _planned_reduction(deal: Deal, planned_kwh: Decimal = ZERO) -> dict[str, Decimal]:
    return {} if deal.reduction is None else {**deal.reduction.signals(-1), "reducedKWh": planned_kwh}


def taken_back(deal: Deal, calendar: Calendar, *, late: bool) -> tuple[Posting, ...]:
    """What it comes to when the taker takes back a deal of which nothing was delivered: its payment returns, less a fee."""
    settlement = Settlement()
    price = deal.item.price(calendar, deal.start_s)
    told = {
        "over": ONE,
        "cancelled": ONE,
        "late": ONE if late else ZERO,
        "quotedAmount": deal.quoted,
        "pricePerKWh": price,
        **_planned_reduction(deal),
    }
    settlement.accrue(deal.contract, _planned(deal.contract, told))
    return settlement.post(0, deal.contract)


def _planned(contract: Contract, told: Mapping[str, Decimal]) -> Iterable[Line]:
    return lines(contract, {name: told.get(name, ZERO) for name in used(contract)})


def _last(deal: Deal, calendar: Calendar) -> int:
    return calendar.index_at(max(deal.end_s - 1, deal.start_s))


def amount_for(era: str, postings: Iterable[Posting]) -> Decimal:
    """What postings bring one party, + received."""
    return sum((p.amount * ((p.payee == era) - (p.payer == era)) for p in postings), ZERO)


def _decimal(value: float) -> Decimal:
    """kWh to the mWh, which is finer than any meter."""
    return Decimal(f"{value:.6f}").normalize() + ZERO
