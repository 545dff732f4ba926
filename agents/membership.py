"""What a market and an aggregator have in common: members, their contracts, their orders, and their money.

A component, not an agent: its owner hands it messages and sends what it returns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from msgspec import UNSET

from agents.award import Award, signal_of
from sim.clock import Calendar, Interval
from sim.contracts.contract import Contract, Settlement, Status, Template, Turn, settle, transition
from sim.curves import OfferCurve, clip
from sim.errors import CurveError
from sim.forms import curve_of, window_of
from sim.ledger import Ledger, Posting
from sim.market.problem import Offer
from sim.participant import Participant
from sim.wire.bags import (
    ENERGY,
    ContractFlow,
    ContractRole,
    EnergyContract,
    EnergyOffer,
    EnergyResource,
    EnergySettlement,
    InputParameters,
    PriceSignal,
    RevenueFlows,
    Role,
    SettlementLine,
)
from sim.wire.codes import Code, Refusal
from sim.wire.messages import (
    Catalog,
    CatalogsContent,
    Commitment,
    CommitmentStatus,
    ContractContent,
    ContractStatus,
    Descriptor,
    Lineage,
    Message,
    Provider,
    Quantity,
    uri,
)
from sim.wire.messages import Contract as WireContract
from sim.wire.messages import Offer as WireOffer
from sim.wire.messages import Resource as WireResource
from sim.wire.messages import Settlement as WireSettlement

SETUP_TTL_S = 60
CORE_STATUS = {"PENDING": "DRAFT", "ACTIVE": "ACTIVE", "COMPLETED": "COMPLETE", "TERMINATED": "CANCELLED"}


Settle = Callable[[Settlement, Contract, int, Mapping[str, Decimal]], tuple[Posting, ...]]


@dataclass(frozen=True, slots=True)
class OpenRole:
    """A role that anybody may take: under which template, at which prices.

    parties: ERA by role for the roles that are filled already.  inputs: the template's inputs.
    """

    offer_id: str
    role: Role
    template: Template
    parties: Mapping[str, str]
    inputs: Mapping[str, Decimal]


@dataclass(slots=True)
class Member:
    """One member of a market or portfolio."""

    era: str
    node: str
    meter: str
    open_role: OpenRole
    contract: Contract
    transaction_id: str
    status: Status = Status.PENDING
    import_cap_kw: float = 0.0
    export_cap_kw: float = 0.0
    stubs: dict[Status, tuple[Commitment, ...]] = field(default_factory=dict)

    def stub(self) -> tuple[Commitment, ...]:
        """The commitment that LTS asks for in every message about this contract."""
        if self.status not in self.stubs:
            self.stubs[self.status] = (stub_commitment(self.era, self.open_role.offer_id, self.status, 0.0),)
        return self.stubs[self.status]


@dataclass(slots=True)
class Book:
    """Orders of one gate: the offer and the message that committed it, by member, in order of arrival."""

    offers: dict[str, Offer] = field(default_factory=dict)
    messages: dict[str, Message] = field(default_factory=dict)


class Membership:
    """The members of one owner.

    pricing, confirm_s, gate_s: what the catalogue says of the offers; seconds count back from delivery.  settle: how an
    interval's signals become postings, exchangeable for timing.
    """

    def __init__(
        self,
        owner: Participant,
        *,
        open_roles: Iterable[OpenRole],
        utility: str,
        calendar: Calendar,
        currency: str,
        pricing: str,
        confirm_s: int,
        gate_s: int,
        ledger: Ledger,
        settle: Settle = settle,
    ) -> None:
        self._owner = owner
        self._open_roles = {open_role.offer_id: open_role for open_role in open_roles}
        self._utility = utility
        self._calendar = calendar
        self._currency = currency
        self._pricing = pricing
        self._confirm_s = confirm_s
        self._gate_s = gate_s
        self._ledger = ledger
        self._settle = settle
        self._settlement = Settlement()
        self._applications: dict[str, tuple[Message, Member]] = {}
        self.members: dict[str, Member] = {}
        self.books: dict[int, Book] = {}
        self.closed_s = -(10**9)
        """Start of the last delivery whose gate has closed."""

    # joining

    def catalog(self) -> Catalog:
        """The open roles; no price, for PAY_AS_CLEAR has none before its gate."""
        era = self._owner.era
        offers = tuple(
            WireOffer(
                id=open_role.offer_id,
                resourceIds=(era,),
                offerAttributes=EnergyOffer(
                    ENERGY,
                    templateId=open_role.template.id,
                    openRole=open_role.role,
                    pricingModel=self._pricing,  # type: ignore[arg-type]
                    currency=self._currency,
                    intervalDuration=f"PT{self._calendar.interval_s}S",
                    confirmBefore=f"PT{self._confirm_s}S",
                    gateBefore=f"PT{self._gate_s}S",
                ),
            )
            for open_role in self._open_roles.values()
        )
        return Catalog(
            id=f"{era}/offers",
            descriptor=Descriptor(name="EnergyOffer"),
            provider=Provider(id=era, descriptor=Descriptor(name=era)),
            bppId=era,
            bppUri=uri(era),
            offers=offers,
        )

    def on_discover(self, message: Message) -> Message:
        """Show the open roles."""
        return self._owner.answer(message, CatalogsContent(catalogs=(self.catalog(),)), SETUP_TTL_S)

    def on_init(self, message: Message) -> Message:
        """An application: ask the utility to approve the meter, in the applicant's lineage."""
        member = self._application(message)
        forwarded = self._owner.request(
            "init",
            self._utility,
            ContractContent(contract=self._wire_contract(member, commitments=message.contract.commitments)),
            self._owner.ids.fresh(),
            SETUP_TTL_S,
            Lineage(transactionId=message.transaction_id, messageId=message.message_id),
        )
        self._applications[forwarded.message_id] = (message, member)
        return forwarded

    def _application(self, message: Message) -> Member:
        wire = message.contract
        commitment = wire.commitments[0]
        open_role = self._open_roles.get(commitment.offer.id)
        if open_role is None:
            what = f"{self._owner.era} has no offer {commitment.offer.id!r}"
            raise Refusal(Code.NET_ENTITY_NOT_FOUND, "/message/contract/commitments/0/offer/id", what)
        resource = commitment.resources[0].resourceAttributes
        if not isinstance(resource, EnergyResource):
            where = "/message/contract/commitments/0/resources/0/resourceAttributes"
            raise Refusal(
                Code.SCH_SCHEMA_VALIDATION_FAILED, where, "expected an EnergyResource with meter and grid node"
            )
        era = commitment.resources[0].id
        if era in self.members:
            raise Refusal(Code.PRC_INVALID_TRANSITION, "/message/contract", f"{era} is a member already")
        contract = open_role.template.instantiate(
            wire.id, self._currency, {**open_role.parties, str(open_role.role): era}, open_role.inputs
        )
        return Member(era, resource.gridNode, resource.meterId, open_role, contract, message.transaction_id)

    def on_approved(self, message: Message) -> Message:
        """The utility's approval: admit the applicant within the approved caps."""
        application = self._applications.pop(message.message_id, None)
        if application is None:
            raise Refusal(Code.PRC_INVALID_TRANSITION, "/context/messageId", "approves nothing that was asked for")
        request, member = application
        attributes = message.contract.contractAttributes
        assert isinstance(attributes, EnergyContract)
        assert attributes.inputParameters is not UNSET
        caps = attributes.inputParameters
        member.import_cap_kw = caps.approvedMaxImportKW or 0.0
        member.export_cap_kw = caps.approvedMaxExportKW or 0.0
        self.members[member.era] = member
        inputs = InputParameters(
            approvedMaxImportKW=member.import_cap_kw,
            approvedMaxExportKW=member.export_cap_kw,
            wheelingPerKWh=caps.wheelingPerKWh,
            feePerKWh=float(member.open_role.inputs.get("fee_per_kwh", Decimal(0))),
        )
        contract = self._wire_contract(member, inputs=inputs, flows=True)
        return self._owner.answer(request, ContractContent(contract=contract), SETUP_TTL_S)

    # one gate

    def on_confirm(self, message: Message) -> None:
        """A committed curve: into the book of its interval, or refused."""
        attributes = message.contract.contractAttributes
        if not isinstance(attributes, EnergyContract) or attributes.timeWindow is UNSET or attributes.roles is UNSET:
            where = "/message/contract/contractAttributes"
            raise Refusal(Code.SCH_SCHEMA_VALIDATION_FAILED, where, "expected an EnergyContract with window and roles")
        era = message.contract.commitments[0].resources[0].id
        member = self.members.get(era)
        if member is None or member.contract.id != message.contract.id:
            raise Refusal(Code.NET_ENTITY_NOT_FOUND, "/message/contract/id", f"{era} has no such contract here")
        start_s = self._calendar.seconds(attributes.timeWindow.start)
        if start_s <= self.closed_s or message.sent_s > start_s - self._gate_s:
            what = f"the gate for {attributes.timeWindow.start} has closed"
            raise Refusal(Code.BIZ_GATE_CLOSED, "/message/contract/contractAttributes/timeWindow/start", what)
        book = self.books.setdefault(self._calendar.index_at(start_s), Book())
        book.offers[era] = self._offer(member, attributes.roles[0])
        book.messages[era] = message

    def _offer(self, member: Member, role: ContractRole) -> Offer:
        where = "/message/contract/contractAttributes/roles/0/roleInputs/offerCurve"
        if role.roleInputs is UNSET or role.roleInputs.offerCurve is UNSET:
            raise Refusal(Code.SCH_SCHEMA_VALIDATION_FAILED, where, "an offer curve is needed")
        try:
            curve = curve_of(role.roleInputs.offerCurve, member.era)
        except CurveError as error:
            raise Refusal(Code.POL_CURVE_INVALID, where, str(error)) from error
        clipped: OfferCurve = clip(curve, member.import_cap_kw, member.export_cap_kw)
        baseline = role.roleInputs.baselineKW
        return Offer(member.era, member.node, clipped, None if baseline is UNSET else baseline)

    def awards(self, interval: Interval, awards: Mapping[str, Award]) -> Iterable[Message]:
        """Answer every order of this interval's book with what was cleared; a first award activates the contract."""
        book = self.books.pop(interval.index, Book())
        for era, request in book.messages.items():
            member = self.members[era]
            if member.status is Status.PENDING:
                member.status = transition(member.contract.id, member.status, Turn.CONFIRM)
            contract = self._wire_contract(member, interval=interval, signal=signal_of(awards[era], member.node))
            yield self._owner.answer(request, ContractContent(contract=contract), self._confirm_s)

    # money

    def settle(
        self, interval: Interval, signals: Mapping[str, Mapping[str, Decimal]], *, last: bool
    ) -> Iterable[Message]:
        """Post one interval's money for every member with signals, and tell each; ``last`` completes the contracts."""
        for era, values in signals.items():
            member = self.members[era]
            postings = self._settle(self._settlement, member.contract, interval.index, values)
            self._ledger.post(postings)
            if last and member.status is Status.ACTIVE:
                member.status = transition(member.contract.id, member.status, Turn.FULFIL)
            if postings or last:
                yield self._settled(member, interval, postings)

    def _settled(self, member: Member, interval: Interval, postings: tuple[Posting, ...]) -> Message:
        breakdown = tuple(
            SettlementLine(term=p.term, amount=float(p.amount), payer=p.payer, payee=p.payee) for p in postings
        )
        received = sum((p.amount if p.payee == member.era else -p.amount for p in postings), Decimal(0))
        settlement = WireSettlement(
            id=f"{member.contract.id}/{interval.index}",
            status="COMPLETE",
            settlementAttributes=EnergySettlement(
                ENERGY,
                cycleId=str(interval.index),
                currency=self._currency,
                amount=float(received),
                breakdown=breakdown,
                timeWindow=window_of(self._calendar, interval.index),
            ),
        )
        contract = self._wire_contract(member, settlements=(settlement,))
        return Message(
            "on_update",
            self._owner.era,
            member.era,
            member.transaction_id,
            self._owner.ids.fresh(),
            ContractContent(contract=contract),
        )

    # shapes

    def _wire_contract(
        self,
        member: Member,
        *,
        commitments: tuple[Commitment, ...] | None = None,
        inputs: InputParameters | None = None,
        flows: bool = False,
        interval: Interval | None = None,
        signal: PriceSignal | None = None,
        settlements: tuple[WireSettlement, ...] | None = None,
    ) -> WireContract:
        status = str(member.status)
        attributes = EnergyContract(
            ENERGY,
            templateId=member.contract.template_id,
            status=status,  # type: ignore[arg-type]
            roles=_roles(member.contract) if flows else UNSET,
            timeWindow=UNSET if interval is None else window_of(self._calendar, interval.index),
            inputParameters=UNSET if inputs is None else inputs,
            inputSignals=UNSET if signal is None else (signal,),
            revenueFlows=_flows(member.contract) if flows else UNSET,
        )
        return WireContract(
            id=member.contract.id,
            status=ContractStatus(code=CORE_STATUS[status]),  # type: ignore[arg-type]
            commitments=commitments or member.stub(),
            settlements=UNSET if settlements is None else settlements,
            contractAttributes=attributes,
        )


def stub_commitment(era: str, offer_id: str, status: str, energy_kwh: float) -> Commitment:
    """The commitment that LTS requires in every contract: which resource, under which offer."""
    return Commitment(
        status=CommitmentStatus(descriptor=Descriptor(code="DRAFT" if status == "PENDING" else "ACTIVE")),
        resources=(WireResource(id=era, quantity=Quantity(value=energy_kwh, unitCode="KWH")),),
        offer=WireOffer(id=offer_id, resourceIds=(era,)),
    )


def _roles(contract: Contract) -> tuple[ContractRole, ...]:
    return tuple(ContractRole(role=role, filled=True, filledBy=era) for role, era in contract.roles.items())  # type: ignore[arg-type]


def _flows(contract: Contract) -> RevenueFlows:
    flows = tuple(
        ContractFlow(name=t.name, description=t.name, formula=t.formula.text, payer=t.payer, payee=t.payee)  # type: ignore[arg-type]
        for t in contract.terms
    )
    return RevenueFlows(flows=flows, netZero=True)


def party_signals(
    *, energy_wh: int | None, award: Award | None, prices: tuple[float, float], hours: float
) -> dict[str, Decimal]:
    """The signals of one party's contract for one interval.

    energy_wh: metered, + injected; None for a party without a meter, whose delivery is what was cleared.
    prices: the retailer's import and export price per kWh.
    """
    cleared = Decimal(0) if award is None else Decimal(f"{award.cleared_kw * hours:.6f}")
    price = None if award is None else award.price_per_kwh
    return {
        "energy_kwh": cleared if energy_wh is None else Decimal(energy_wh).scaleb(-3),
        "cleared_kwh": cleared,
        "price_per_kwh": Decimal(0) if price is None else Decimal(repr(price)),
        "import_price": Decimal(repr(prices[0])),
        "export_price": Decimal(repr(prices[1])),
    }


def read_deliveries(message: Message, calendar: Calendar) -> tuple[int, dict[str, int] | None]:
    """Interval and Wh (+ injected) by meter of an ``on_status``; None for the readings where any is not ACTUAL."""
    readings: dict[str, int] = {}
    valid, index = True, 0
    for performance in message.contract.performance or ():
        delivery = performance.performanceAttributes
        reading = delivery.meterReadings[0]
        index = calendar.index_at(calendar.seconds(reading.timeWindow.start))
        valid = valid and reading.quality == "ACTUAL"
        readings[delivery.meterId] = round((reading.producedEnergy - reading.consumedEnergy) * 1000)
    return index, readings if valid else None
