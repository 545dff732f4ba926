"""Between errands and their contracts on the wire: what is asked for, what is known of it, and what is told of it."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType

from agents.deal_forms import commitment_of
from agents.errands import Candidate, Pursuit
from agents.forecast import Forecast
from agents.press import received
from agents.trade_record import with_buyer
from sim.clock import Calendar
from sim.wire.bags import (
    ENERGY,
    ChargingSession,
    ContractRole,
    EnergyContract,
    EnergyForecast,
    EnergyObjectives,
    EnergyOffer,
    EnergySettlement,
    RoleInputs,
    TimeWindow,
)
from sim.wire.core import Contract, ContractStatus, KnownContract
from sim.wire.messages import Message


def wanted(pursuit: Pursuit, candidate: Candidate, contract_id: str | UnsetType, calendar: Calendar) -> Contract:
    """What is asked of a candidate, for a quote or for terms; for a customer, in whose name."""
    errand, attributes = pursuit.errand, candidate.offer.offerAttributes
    role = attributes.openRole if isinstance(attributes, EnergyOffer) else errand.role
    party = pursuit.seeker if errand.customer is None else errand.customer.meter
    wish = {} if errand.wish is None else {"commitmentAttributes": errand.wish}
    inputs = RoleInputs(targetMeterId=errand.meter) if errand.meter else UNSET
    contract: Contract = Contract(
        id=contract_id,
        status=ContractStatus(code="DRAFT"),
        commitments=(commitment_of(candidate.resource.id, candidate.offer.id, errand.kwh, errand.kw, **wish),),
        contractAttributes=EnergyContract(
            ENERGY,
            templateId=candidate.template,
            status="PENDING",
            roles=(ContractRole(role=role, filled=True, filledBy=party, roleInputs=inputs),),
            timeWindow=UNSET if errand.window is None else _window(calendar, *errand.window),
        ),
    )
    return contract if errand.customer is None else with_buyer(contract, errand.customer)


def _window(calendar: Calendar, start_s: int, end_s: int) -> TimeWindow:
    return TimeWindow(start=calendar.timestamp(start_s), end=calendar.timestamp(end_s))


def known(pursuit: Pursuit, wish: EnergyObjectives | None = None, **more: Any) -> KnownContract:
    """The contract of a deal as its taker names it, with whatever else is to be said.  wish: of the commitment."""
    errand, deal = pursuit.errand, pursuit.deal
    extra = {} if wish is None else {"commitmentAttributes": wish}
    commitment = commitment_of(deal.resource.id, deal.offer.id, errand.kwh, errand.kw, **extra)
    return KnownContract(id=pursuit.contract_id, commitments=(commitment,), **more)


def note(pursuit: Pursuit, contract: Contract) -> None:
    """Take in how a deal stands and what it settles; of a side contract, which is settled like the deal itself, the latter."""
    if contract.id != pursuit.contract_id:
        pursuit.beside += _settled(contract)
        return
    attributes = contract.contractAttributes
    if isinstance(attributes, EnergyContract):
        pursuit.status = attributes.status
    for performance in contract.performance or ():
        told = performance.performanceAttributes
        if isinstance(told, ChargingSession) and told.sessionStatus is not UNSET:
            pursuit.session = told.sessionStatus
    pursuit.balance += _settled(contract)


def _settled(contract: Contract) -> float:
    """What a message settles for its recipient, + received."""
    bodies = (settlement.settlementAttributes for settlement in contract.settlements or ())
    return sum(body.amount for body in bodies if isinstance(body, EnergySettlement))


def forecast_in(pursuit: Pursuit, message: Message, calendar: Calendar) -> Forecast | None:
    """The forecast that a message hands over, if it does.  Raises ``Refusal`` for one that is of no use."""
    listed = None if pursuit.chosen is None else pursuit.chosen.resource.resourceAttributes
    for number, performance in enumerate(message.contract.performance or ()):
        told, where = performance.performanceAttributes, f"/message/contract/performance/{number}"
        if isinstance(told, EnergyForecast):
            return received(told, listed, calendar, message.sent_s, f"{where}/performanceAttributes")
    return None
