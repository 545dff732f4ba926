"""Between deals and their bodies on the wire."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Literal, cast

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from agents.deal import Deal
from agents.member import CORE_STATUS
from agents.reserve_forms import listened_to, metrics_of
from agents.trade_record import with_both
from sim.clock import Calendar
from sim.contracts.contract import Role as RoleName
from sim.forms import flows_body
from sim.ledger import Posting
from sim.wire.bags import (
    ENERGY,
    ChargingSession,
    ContractRole,
    ContractState,
    EnergyContract,
    EnergyContractP2PTrade,
    InputParameters,
    InputSignal,
    Money,
    Payment,
    PricePart,
    PriceSpecification,
    Role,
    RoleInputs,
    SignalSource,
    Tariff,
    Telemetry,
    TelemetryMetric,
    TelemetrySource,
    TimeWindow,
    TradeGrid,
    TradeGridInputs,
)
from sim.wire.bags.tariff import PaymentStatus
from sim.wire.core import (
    Commitment,
    CommitmentCode,
    CommitmentStatus,
    CommittedOffer,
    CommittedResource,
    Consideration,
    Contract,
    ContractStatus,
    Descriptor,
    Performance,
    Quantity,
    Settlement,
)

WHEELING = "wheelingPerKWh"
"""The constant of a contract that a grid operator states as well: what it costs to carry a kWh."""
INTERVAL = "interval"
"""The signal that stands for all that a contract is told of an interval."""
PART_OF = {RoleName.GOVERNMENT: "TAX", RoleName.GRID_OPERATOR: "DELIVERY", RoleName.AGGREGATOR: "FEE"}
"""What kind of part of a price goes to a role; to the provider itself the first is the price, and others are on top."""


def commitment_of(item: str, offer: str, kwh: float, kw: float = 0.0, **attributes: object) -> Commitment:
    """So many kWh of an item under its offer; or so many kW of capacity, held ready."""
    quantity = Quantity(value=kw, unitCode="KW") if kw else Quantity(value=kwh, unitCode="KWH")
    return Commitment(
        status=CommitmentStatus(descriptor=CommitmentCode(code="ACTIVE")),
        resources=(CommittedResource(id=item, quantity=quantity),),
        offer=CommittedOffer(id=offer, resourceIds=(item,)),
        **attributes,  # type: ignore[arg-type]
    )


def on_wire(
    deal: Deal,
    *,
    window: TimeWindow | UnsetType = UNSET,
    inputs: InputParameters | UnsetType = UNSET,
    signals: tuple[InputSignal, ...] | UnsetType = UNSET,
    performance: tuple[Performance, ...] | UnsetType = UNSET,
    settlements: tuple[Settlement, ...] | UnsetType = UNSET,
    consideration: tuple[Consideration, ...] | UnsetType = UNSET,
) -> Contract:
    """The contract of a deal as a message carries it: what always stands there, and what this message is about."""
    return Contract(
        id=deal.contract.id,
        status=ContractStatus(code=CORE_STATUS[deal.status]),
        commitments=(commitment_of(deal.item.name, deal.item.offer.id, deal.kwh, deal.kw),),
        performance=performance,
        settlements=settlements,
        consideration=consideration,
        contractAttributes=EnergyContract(
            ENERGY,
            templateId=deal.contract.template_id,
            status=cast(ContractState, str(deal.status)),
            timeWindow=window,
            inputParameters=inputs,
            inputSignals=signals,
        ),
    )


def terms_on_wire(deal: Deal, window: TimeWindow, price: tuple[Consideration, ...], provider: str) -> Contract:
    """The contract in full: roles, constants, meters, and who pays whom by which formula; and what it is to cost.

    What else the formulas name the provider tells for every interval (``agents.deal.SIGNALS``).
    """
    contract, meters = deal.contract, dict.fromkeys(m for m in (deal.item.meter, deal.meter) if m)
    whole = on_wire(deal, consideration=price)
    session = deal.item.delivery == "session"
    attributes = EnergyContract(
        ENERGY,
        templateId=contract.template_id,
        status=cast(ContractState, str(deal.status)),
        timeWindow=window,
        roles=tuple(
            ContractRole(role=cast(Role, role), filled=True, filledBy=era, roleInputs=_inputs(deal, str(role)))
            for role, era in contract.roles.items()
        ),
        inputParameters=InputParameters(
            approvedMaxTradeKWh=UNSET if deal.approved_kwh is None else deal.approved_kwh,
            gracePeriodMinutes=deal.item.grace_s / 60 if session else UNSET,
            constants={name: float(value) for name, value in contract.inputs.items()} or UNSET,
        ),
        inputSignals=(
            InputSignal(signalId=INTERVAL, signalType="STATE", source=SignalSource(era=provider)),
            *listened_to(deal),
        ),
        telemetrySources=tuple(
            TelemetrySource(sourceId=meter, sourceType="CHARGE_DATA_RECORD" if session else "METER_READING")
            for meter in meters
        ),
        revenueFlows=flows_body(contract),
        qualityMetrics=metrics_of(deal),
        fulfillmentMode=deal.item.billing,
    )
    terms = Contract(
        id=whole.id,
        status=whole.status,
        commitments=whole.commitments,
        consideration=price,
        contractAttributes=attributes,
    )
    terms = with_tariff(deal, terms)
    return terms if deal.record is None else with_both(terms, deal.record)


def with_tariff(deal: Deal, contract: Contract) -> Contract:
    """A contract with the tariff that it is agreed under written out; what is offered later does not change it."""
    tariff = deal.item.offer.offerAttributes
    if not isinstance(tariff, Tariff):
        return contract
    frozen = tuple(replace(c, offer=replace(c.offer, offerAttributes=tariff)) for c in contract.commitments)
    return replace(contract, commitments=frozen)


def approved_in(contract: Contract) -> float | None:
    """The most that the approver of a trade would let it be in all [kWh]; None where it does not say."""
    attributes = contract.contractAttributes
    if not isinstance(attributes, EnergyContractP2PTrade):
        return None
    for role in attributes.roles or ():
        if isinstance(role, TradeGrid) and isinstance(role.roleInputs, TradeGridInputs):
            told = role.roleInputs
            left = (
                (told.buyerTradeCap, told.currentBuyerTradesTotal),
                (told.sellerTradeCap, told.currentSellerTradesTotal),
            )
            return max(min((cap - (total or 0.0) for cap, total in left if cap is not UNSET), default=0.0), 0.0)
    return None


def wheeling_contradicts(deal: Deal, approval: Contract) -> str:
    """What is wrong where the approver of a trade carries it at another price than its terms say; empty where nothing is."""
    ours = deal.contract.inputs.get(WHEELING)
    attributes = approval.contractAttributes
    if ours is None or not isinstance(attributes, EnergyContractP2PTrade):
        return ""
    for role in attributes.roles or ():
        if isinstance(role, TradeGrid) and isinstance(role.roleInputs, TradeGridInputs):
            theirs = role.roleInputs.wheelingCharges
            if Decimal(repr(theirs)) != ours:
                return f"{deal.item.name} is carried at {ours} a kWh by its terms, and at {theirs:g} by {deal.item.approver}"
    return ""


def _inputs(deal: Deal, role: str) -> RoleInputs | UnsetType:
    if role == deal.item.open_role:
        return RoleInputs(targetMeterId=deal.meter) if deal.meter else UNSET
    if role in ("SELLER", "BUYER") and deal.item.meter:
        return RoleInputs(sourceMeterId=deal.item.meter)
    return UNSET


def price_of(deal: Deal, postings: Iterable[Posting], currency: str, code: str) -> tuple[Consideration, ...]:
    """What a deal costs its taker in all, with its parts: of a quote, or of a bill.

    Empty where it costs nothing; but whoever takes a deal back is told that too.
    """
    parts: list[PricePart] = []
    total = Decimal(0)
    roles = {era: role for role, era in deal.contract.roles.items()}
    for posting in postings:
        sign = (posting.payer == deal.customer) - (posting.payee == deal.customer)
        if sign:
            other = roles[posting.payee if sign > 0 else posting.payer]
            amount = posting.amount * sign
            total += amount
            parts.append(
                PricePart(type=_kind(amount, other, first=not parts), value=float(amount), description=posting.term)
            )
    if not parts and code != "CANCELLATION":
        return ()
    body = PriceSpecification(ENERGY, currency=currency, value=float(total), components=tuple(parts) or UNSET)
    return (Consideration(id="total", status=Descriptor(code=code), considerationAttributes=body),)


def _kind(
    amount: Decimal, other: str, *, first: bool
) -> Literal["UNIT", "TAX", "DELIVERY", "DISCOUNT", "FEE", "SURCHARGE"]:
    if amount < 0:
        return "DISCOUNT"
    if other in PART_OF:
        return PART_OF[RoleName(other)]  # type: ignore[return-value]
    return "UNIT" if first else "SURCHARGE"


def payment_of(amount: Decimal, currency: str, status: PaymentStatus) -> tuple[Settlement, ...]:
    """A payment of a deal that its provider collects."""
    paid = Payment(
        ENERGY, paymentStatus=status, amount=Money(currency=currency, value=float(amount)), beneficiary="BPP"
    )
    return (Settlement(id="payment", status="COMMITTED", settlementAttributes=paid),)


def returned(deal: Deal, back: Decimal, currency: str) -> tuple[Settlement, ...]:
    """What comes back of a payment that was made beforehand: all, or some; what is still to be paid where it is below 0."""
    status: PaymentStatus = "COMPLETED" if back <= 0 else "PARTIALLY_REFUNDED"
    if back == deal.prepaid:
        status = "REFUNDED"
    return payment_of(abs(back), currency, status)


def session_of(deal: Deal, calendar: Calendar, now_s: int) -> ChargingSession:
    """How the session of a deal stands: energy so far, power now."""
    began_s = deal.began_s
    over_s = now_s if deal.over_s is None else min(now_s, deal.over_s)
    running = deal.session in ("ACTIVE", "INTERRUPTED", "STOP", "COMPLETED") and began_s is not None
    measured = (
        TelemetryMetric(name="ENERGY", value=round(deal.taken_kwh, 6), unitCode="KWH"),
        TelemetryMetric(name="POWER", value=round(deal.power_kw, 6), unitCode="KW"),
    )
    return ChargingSession(
        ENERGY,
        sessionStatus=deal.session,
        connectorStatus="AVAILABLE" if deal.session == "COMPLETED" else "UNAVAILABLE" if running else "PREPARING",
        meteredEnergyKWh=round(deal.taken_kwh, 6) if running else UNSET,
        meteredDurationMinutes=(over_s - began_s) / 60 if running and began_s is not None else UNSET,
        chargingTelemetry=(Telemetry(eventTime=calendar.timestamp(now_s), metrics=measured),) if running else UNSET,
        reservationId=deal.contract.id,
        gracePeriodMinutes=deal.item.grace_s / 60 if deal.session == "PENDING" else UNSET,
        lastUpdated=calendar.timestamp(now_s),
    )
