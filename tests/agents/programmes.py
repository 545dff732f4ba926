"""A programme to try things on: a utility, a factory that holds a membership, and an event on the eighth day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

import mesa
from msgspec.structs import replace

from agents.baseline import Method
from agents.call import Call
from agents.deal import Deal, Item
from agents.deal_forms import commitment_of
from agents.provider import Provider
from agents.till import Till
from sim.clock import Calendar, local_start
from sim.contracts.contract import Role, Template, Term
from sim.contracts.formula import compile_formula
from sim.events import EventLog
from sim.forms import window_of
from sim.ledger import Ledger
from sim.participant import Ids
from sim.trust.signature import derive
from sim.wire.bags import (
    ENERGY,
    ContractRole,
    EnergyContract,
    EnergyDelivery,
    EnergyOffer,
    EnergyResource,
    InputSignal,
    MeterReading,
    RoleInputs,
)
from sim.wire.core import Contract, ContractStatus, Descriptor, KnownContract, Offer, Performance, Resource
from sim.wire.core import Provider as WireProvider
from sim.wire.messages import Alarm, ContractContent, Event, KnownContractContent, Message

DAY_H = 24
CALENDAR = Calendar(local_start(datetime(2016, 5, 11), "Asia/Kolkata"), 3600, 8 * DAY_H)
"""Hours from a Wednesday to the Wednesday after it."""
EVENT_DAY_S = 7 * DAY_H * 3600
CALL_S, START_S, END_S = (EVENT_DAY_S + hour * 3600 for hour in (9, 14, 17))
ANSWER_S = 2 * 3600
FACTORY_KW = (404.0, 384.0, 400.0, 120.0, 120.0, 396.0, 380.0)
"""What the factory draws all day, from Wednesday to Tuesday: the mean of the most of its five working days is 400 kW."""


def template(name: str, **formulas: str) -> Template:
    """Terms from the utility to the factory."""
    terms = tuple(
        Term(term, Role.GRID_OPERATOR, Role.PROSUMER, compile_formula(formula, who=term))
        for term, formula in formulas.items()
    )
    signals = dict.fromkeys(name for term in terms for name in term.formula.names)
    return Template(name, (Role.GRID_OPERATOR, Role.PROSUMER), terms, (), tuple(signals))


def item(name: str, price: float, terms: Template, **more: Any) -> Item:
    """Something that the utility offers."""
    return Item(
        name=name,
        listed=Resource(id=name, descriptor=Descriptor(name=name), resourceAttributes=EnergyResource(ENERGY)),
        offer=Offer(
            id=f"utility/{name}",
            resourceIds=(name,),
            offerAttributes=EnergyOffer(
                ENERGY,
                templateId=terms.id,
                openRole="PROSUMER",
                pricingModel="PER_KWH",
                currency="INR",
                pricePerKWh=price,
            ),
        ),
        template=terms,
        open_role=Role.PROSUMER,
        parties={"GRID_OPERATOR": "utility"},
        inputs={},
        prices=(price,) * 1440,
        delivery="window",
        billing="POST_FULFILLMENT",
        **more,
    )


EVENT = Call(
    "membership", ANSWER_S, Method(3, 5, 0), at_s=CALL_S, start_s=START_S, end_s=END_S, kw=150.0
)  # fmt: skip
REDUCTION = template(
    "reduction", incentive="reducedKWh * pricePerKWh", penalty="0 - missedKWh * pricePerKWh * level"
)  # fmt: skip


class Programme:
    """A utility whose only member is a factory, with a week of readings; told what is said to it, it says what it would."""

    deadline_s = CALL_S + ANSWER_S

    def __init__(self, call: Call = EVENT, **membership: Any) -> None:
        key_of = partial(derive, 1)
        self.ledger = Ledger()
        self.items = (
            item(
                "membership", 0.0, template("membership", bonus="confirmed * pricePerKWh * contractedKWh"), **membership
            ),
            item("event", 5.0, REDUCTION, call=call),
        )
        log = EventLog(key_of("utility"), key_of, lambda: CALENDAR.timestamp(0))
        self.utility = Provider(
            mesa.Model(),
            "utility",
            Ids(1, "utility"),
            items=self.items,
            listed=WireProvider(id="utility", descriptor=Descriptor(name="utility")),
            catalogue="catalogue",
            calendar=CALENDAR,
            currency="INR",
            till=lambda owner: Till(owner, CALENDAR, "INR", self.ledger, log),
            meters=("factory",),
        )
        self._ids = Ids(1, "factory")
        self.join()
        for hour in range(CALL_S // 3600):
            self.read(hour, FACTORY_KW[hour // DAY_H % len(FACTORY_KW)])

    def tell(self, event: Event) -> list[Event]:
        """What the utility says to something."""
        return list(self.utility.handle(event))

    def join(self) -> None:
        """The factory becomes a member."""
        wanted = Contract(
            id=self._ids.fresh(),
            status=ContractStatus(code="DRAFT"),
            commitments=(commitment_of("membership", "utility/membership", 0.0),),
            contractAttributes=EnergyContract(
                ENERGY,
                templateId="membership",
                status="PENDING",
                roles=(
                    ContractRole(
                        role="PROSUMER", filled=True, filledBy="factory", roleInputs=RoleInputs(targetMeterId="factory")
                    ),
                ),
            ),
        )
        transaction = self._ids.fresh()
        self.tell(self._message("init", ContractContent(contract=wanted), 0, transaction))
        known = KnownContract(id=str(wanted.id), commitments=wanted.commitments)
        self.tell(self._message("confirm", ContractContent(contract=known), 0, transaction))

    def read(self, hour: int, kw: float | None, meter: str = "factory") -> list[Event]:
        """The meter's reading of an hour comes; None says that there is none."""
        reading = MeterReading(
            timeWindow=window_of(CALENDAR, hour),
            consumedEnergy=kw or 0.0,
            producedEnergy=0.0,
            unit="kWh",
            quality="MISSING" if kw is None else "ACTUAL",
        )
        delivery = EnergyDelivery(ENERGY, deliveryStatus="COMPLETED", meterId=meter, meterReadings=(reading,))
        contract = Contract(
            id=self._ids.fresh(),
            commitments=(commitment_of(meter, "metering", 0.0),),
            performance=(Performance(id=f"{meter}/{hour}", performanceAttributes=delivery),),
        )
        ids = (self._ids.fresh(), self._ids.fresh())
        content = ContractContent(contract=contract)
        return self.tell(Message("on_status", "metering", "utility", *ids, content, sent_s=(hour + 1) * 3600))

    def call(self) -> Message:
        """The call to the event."""
        (invitation, _) = self.tell(Alarm(CALL_S, "call", 0))
        assert isinstance(invitation, Message)
        return invitation

    def answer(self, invitation: Message, at_s: int, kwh: float = 360.0) -> list[Event]:
        """The factory commits to so much."""
        return self.tell(self._about(invitation, "confirm", at_s, kwh))

    def decline(self, invitation: Message, at_s: int) -> list[Event]:
        """The factory says no."""
        message = self._about(invitation, "cancel", at_s, 0.0)
        return self.tell(replace(message, content=KnownContractContent(contract=message.contract)))

    def opt_out(self, invitation: Message, at_s: int, signal: str = "optOut") -> list[Event]:
        """The factory takes itself out of the event."""
        signals = (InputSignal(signalId=signal, signalType="COMMAND", value=0.0),)
        bag = EnergyContract(ENERGY, templateId="reduction", status="ACTIVE", inputSignals=signals)
        return self.tell(self._about(invitation, "update", at_s, 360.0, contractAttributes=bag))

    def deal(self, invitation: Message) -> Deal:
        """What the utility has of the event."""
        return self.utility.deals[str(invitation.contract.id)]

    def live(self, powers_kw: Sequence[float | None]) -> list[Event]:
        """The hours from the beginning of the event on are read and settled."""
        said = []
        for hour, kw in enumerate(powers_kw, START_S // 3600):
            if kw is not None:
                said += self.read(hour, kw)
            said += self.tell(Alarm((hour + 1) * 3600 + 5, "settle", hour))
        return said

    def paid(self) -> Decimal:
        """What the factory has received less what it has paid."""
        return sum(
            (p.amount * ((p.payee == "factory") - (p.payer == "factory")) for p in self.ledger), start=Decimal(0)
        )  # fmt: skip

    def _about(self, invitation: Message, action: str, at_s: int, kwh: float, **more: Any) -> Message:
        known = KnownContract(
            id=str(invitation.contract.id), commitments=(commitment_of("event", "utility/event", kwh),), **more
        )
        return self._message(action, ContractContent(contract=known), at_s, invitation.transaction_id)

    def _message(self, action: str, content: Any, at_s: int, transaction_id: str) -> Message:
        return Message(action, "factory", "utility", transaction_id, self._ids.fresh(), content, sent_s=at_s)
