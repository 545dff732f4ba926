"""Deals to try things on, without a clock or a bus: items, a till with its ledger and log, and messages of a taker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import cache, partial
from typing import Any

import mesa
from msgspec.structs import replace

from agents.deal import SIGNALS, Deal, Item
from agents.deal_forms import commitment_of
from agents.provider import Provider
from agents.till import Till
from sim.clock import Calendar, local_start
from sim.contracts.contract import Role, Status, Template, Term
from sim.contracts.formula import compile_formula
from sim.events import EventLog
from sim.ledger import Ledger
from sim.participant import Ids, Participant
from sim.trust.signature import Key, derive
from sim.wire.bags import ENERGY, ContractRole, EnergyContract, EnergyDelivery, MeterReading, RoleInputs, TimeWindow
from sim.wire.core import Contract, ContractStatus, Descriptor, KnownContract, Offer, Performance, Resource
from sim.wire.core import Provider as WireProvider
from sim.wire.messages import ContractContent, Event, KnownContractContent, Message

DAY = Calendar(local_start(datetime(2026, 1, 15), "UTC"), 900, 96)
HOUR_S = 3600
TAKER, PROVIDER = "taker", "provider"
METERED = (("energy", Role.BUYER, Role.SELLER, "consumedKWh * pricePerKWh"),
           ("tax", Role.BUYER, Role.GOVERNMENT, "consumedKWh * pricePerKWh * 0.19"))  # fmt: skip
AGREED = (("energy", Role.BUYER, Role.SELLER, "(contractedKWh - curtailedKWh) * pricePerKWh"),)

Terms = tuple[tuple[str, Role, Role, str], ...]


def item(terms: Terms = METERED, **how: Any) -> Item:
    """An item whose contract has these terms; by default what is drawn is paid, and tax on it."""
    made = tuple(Term(name, payer, payee, compile_formula(text, who=name)) for name, payer, payee, text in terms)
    roles = dict.fromkeys(role for term in made for role in (Role(term.payer), Role(term.payee)))
    named = dict.fromkeys(name for term in made for name in term.formula.names if name in SIGNALS)
    given: dict[str, Any] = {
        "name": "thing",
        "listed": Resource(id="thing"),
        "offer": Offer(id="offer"),
        "template": Template("terms", tuple(roles), made, (), tuple(named)),
        "open_role": Role.BUYER,
        "parties": {"SELLER": PROVIDER, "GOVERNMENT": "treasury"},
        "inputs": {},
        "prices": (0.2,) * 1440,
        "delivery": "window",
        "billing": "INCREMENTAL",
    }
    return Item(**{**given, **how})


def deal(of: Item | None = None, kwh: float = 8.0, start_s: int = 0, end_s: int = 2 * HOUR_S, **how: Any) -> Deal:
    """A deal that holds, from the first interval on."""
    of = of or item()
    contract = of.contract("00000000-0000-4000-8000-000000000001", "EUR", TAKER)
    return Deal(of, TAKER, contract, "tx", kwh, start_s, end_s, "meter", **{"status": Status.ACTIVE, "first": 0, **how})


class Books:
    """A till with everything that it writes to.  deals: contracts that hold from the beginning."""

    def __init__(self, deals: Iterable[Deal] = ()) -> None:
        keys = cache(partial(derive, 1))
        self.log = EventLog(_key(keys, "keeper"), keys, lambda: DAY.timestamp(0))
        self.ledger = Ledger()
        self.owner = Participant(mesa.Model(rng=1), PROVIDER, Ids(1, PROVIDER))
        self.till = self.till_of(self.owner)
        for one in deals:
            self.till.chronicle.in_force(one.contract)

    def till_of(self, owner: Participant) -> Till:
        """A till of somebody else that writes to the same books."""
        return Till(owner, DAY, "EUR", self.ledger, self.log)

    def balances(self) -> Mapping[str, Decimal]:
        """What everybody has in the end."""
        found: dict[str, Decimal] = {}
        for p in self.ledger:
            found[p.payer] = found.get(p.payer, Decimal(0)) - p.amount
            found[p.payee] = found.get(p.payee, Decimal(0)) + p.amount
        return found


def _key(keys: Any, name: str) -> Key:
    key: Key = keys(name)
    return key


def provider(*items: Item, meters: tuple[str, ...] = ("meter",)) -> Provider:
    """Somebody who offers these items."""
    books = Books()
    return Provider(
        mesa.Model(rng=1),
        PROVIDER,
        Ids(1, PROVIDER),
        items=items,
        listed=WireProvider(id=PROVIDER, descriptor=Descriptor()),
        catalogue="catalogue",
        calendar=DAY,
        currency="EUR",
        till=books.till_of,
        meters=meters,
    )


def uuid(number: int) -> str:
    """An identifier that is easy to read."""
    return f"00000000-0000-4000-8000-{number:012d}"


def wanted(action: str, number: int = 1, kwh: float = 4.0, hours: tuple[float, float] = (1, 3), **how: Any) -> Message:
    """What a taker says before a deal holds: ``select`` or ``init``."""
    given = {"item": "thing", "offer": "offer", "meter": "meter", "at_s": 0, "taker": TAKER} | how
    start, end = (DAY.timestamp(round(hour * HOUR_S)) for hour in hours)
    inputs = RoleInputs(targetMeterId=given["meter"]) if given["meter"] else RoleInputs()
    contract = Contract(
        id=uuid(number),
        status=ContractStatus(code="DRAFT"),
        commitments=(commitment_of(given["item"], given["offer"], kwh),),
        contractAttributes=EnergyContract(
            ENERGY,
            templateId="terms",
            status="PENDING",
            roles=(ContractRole(role="BUYER", filled=True, filledBy=given["taker"], roleInputs=inputs),),
            timeWindow=TimeWindow(start=start, end=end),
        ),
    )
    return _message(action, given, ContractContent(contract=contract))


def about(action: str, number: int = 1, **how: Any) -> Message:
    """What a taker says of a deal that there is: ``confirm``, ``cancel``, ``status``."""
    given = {"at_s": 10, "taker": TAKER} | how
    contract = KnownContract(id=uuid(number), commitments=(commitment_of("thing", "offer", 4.0),))
    content = ContractContent(contract=contract) if action == "confirm" else KnownContractContent(contract=contract)  # type: ignore[arg-type]
    return replace(_message(action, given, content), tried=bool(how.get("tried", False)))


def _message(action: str, given: Mapping[str, Any], content: Any) -> Message:
    ids = (given.get("transaction_id", "tx"), f"{action}-{given['at_s']}")
    return Message(action, given["taker"], PROVIDER, *ids, content, sent_s=given["at_s"])


def reading(
    index: int, consumed_kwh: float, meter: str = "meter", quality: Any = "ACTUAL", produced: float = 0.0
) -> Message:
    """What a meter operator says of one interval."""
    interval = DAY.interval(index)
    window = TimeWindow(start=DAY.timestamp(interval.start_s), end=DAY.timestamp(interval.end_s))
    read = MeterReading(
        timeWindow=window, consumedEnergy=consumed_kwh, producedEnergy=produced, unit="kWh", quality=quality
    )
    body = EnergyDelivery(ENERGY, deliveryStatus="IN_PROGRESS", meterId=meter, meterReadings=(read,))
    contract = Contract(
        id=uuid(999),
        status=ContractStatus(code="ACTIVE"),
        commitments=(commitment_of("meter", "metering", 0.0),),
        performance=(Performance(id="reading", status=Descriptor(code="IN_PROGRESS"), performanceAttributes=body),),
    )
    content = ContractContent(contract=contract)
    return Message("on_status", "metering", PROVIDER, "tx-m", f"m-{index}", content, sent_s=interval.end_s)


def messages(events: Iterable[Event]) -> list[Message]:
    """The messages among events."""
    return [event for event in events if isinstance(event, Message)]
