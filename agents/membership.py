"""What a market and an aggregator have in common: members that join, and orders that they commit.

A component, not an agent: its owner hands it messages and sends what it returns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from msgspec import UNSET
from msgspec.structs import replace

from agents.award import Award, signal_of
from agents.chronicle import Chronicle
from agents.member import Member, OpenRole
from agents.policing import Policing
from sim.clock import Calendar, Interval
from sim.contracts.contract import Status, Turn, transition
from sim.contracts.policies import Decision
from sim.curves import clip
from sim.errors import ContractError, CurveError
from sim.events import EventLog
from sim.forms import curve_of, interval_of, window_of
from sim.market.problem import Offer, names_price_outside
from sim.participant import Participant
from sim.wire.bags import (
    ENERGY,
    ContractRole,
    EnergyOffer,
    EnergyResource,
    InputParameters,
    OffsetCommand,
    PricingModel,
    TimeWindow,
)
from sim.wire.codes import Code, Refusal
from sim.wire.core import Catalog, Descriptor, ErrorBody, Provider
from sim.wire.core import Offer as WireOffer
from sim.wire.messages import SETUP_TTL_S, CatalogsContent, ContractContent, Lineage, Message, NackContent, uri
from sim.wire.need import ATTRIBUTES, bag, energy_contract, needed

TOLD_KEPT = 3
"""Awards are remembered for so many intervals: an Ack is missed long before the last of them has been settled."""


@dataclass(frozen=True, slots=True)
class Gate:
    """When a host takes curves, in seconds before delivery; by which model it prices them, and within which bounds per kWh."""

    confirm_s: int
    gate_s: int
    pricing: PricingModel
    price_floor: float
    price_cap: float


@dataclass(slots=True)
class Book:
    """Orders of one gate: the offer and the message that committed it, by member, in order of arrival."""

    offers: dict[str, Offer] = field(default_factory=dict)
    messages: dict[str, Message] = field(default_factory=dict)


class Membership:
    """The members of one host, and their orders by interval.  utility: who approves meters.  policing: what may say no."""

    def __init__(
        self,
        owner: Participant,
        *,
        open_roles: Iterable[OpenRole],
        gate: Gate,
        utility: str,
        calendar: Calendar,
        currency: str,
        log: EventLog,
        policing: Policing,
    ) -> None:
        self._owner = owner
        self._chronicle = Chronicle(log, owner.era)
        self._open_roles = {open_role.offer_id: open_role for open_role in open_roles}
        self._gate = gate
        self._utility = utility
        self._calendar = calendar
        self._currency = currency
        self._policing = policing
        self._applications: dict[str, tuple[Message, Member]] = {}
        self._closed: set[int] = set()
        self._told: dict[int, dict[str, str]] = {}
        self.members: dict[str, Member] = {}
        self.books: dict[int, Book] = {}

    def member(self, era: str) -> Member:
        """The member of this address.  Raises ``Refusal`` for a stranger."""
        member = self.members.get(era)
        if member is None:
            raise Refusal(Code.NET_ENTITY_NOT_FOUND, "/message", f"{self._owner.era} has no member {era!r}")
        return member

    # joining

    def catalog(self) -> Catalog:
        """The open roles; no price, for PAY_AS_CLEAR has none before its gate."""
        era = self._owner.era
        return Catalog(
            id=f"{era}/offers",
            descriptor=Descriptor(name="EnergyOffer"),
            provider=Provider(id=era, descriptor=Descriptor(name=era)),
            bppId=era,
            bppUri=uri(era),
            offers=tuple(self._on_wire(open_role) for open_role in self._open_roles.values()),
        )

    def _on_wire(self, open_role: OpenRole) -> WireOffer:
        attributes = EnergyOffer(
            ENERGY,
            templateId=open_role.template.id,
            openRole=open_role.role,
            pricingModel=self._gate.pricing,
            currency=self._currency,
            intervalDuration=f"PT{self._calendar.interval_s}S",
            confirmBefore=f"PT{self._gate.confirm_s}S",
            gateBefore=f"PT{self._gate.gate_s}S",
            priceFloor=self._gate.price_floor,
            priceCap=self._gate.price_cap,
        )
        return WireOffer(id=open_role.offer_id, resourceIds=(self._owner.era,), offerAttributes=attributes)

    def on_discover(self, message: Message) -> Iterable[Message]:
        """Show the open roles that whoever asks may see; with an error beside them where nobody could look whether it may."""
        catalog = self.catalog()
        sights = {
            name: self._policing.shows(open_role, message.sender, message.sent_s)
            for name, open_role in self._open_roles.items()
        }
        if not all(sight.shown for sight in sights.values()):
            shown = (open_role for name, open_role in self._open_roles.items() if sights[name].shown)
            catalog = replace(catalog, offers=tuple(map(self._on_wire, shown)))
        unchecked = next((sight.unchecked for sight in sights.values() if sight.shown and sight.unchecked), "")
        flag = ErrorBody(
            errorCode=Code.NET_DOWNSTREAM_UNAVAILABLE,
            errorMessage=f"shown without asking the registry: {unchecked}",
            path="/message/catalogs/0/offers",
        )
        content = CatalogsContent(catalogs=(catalog,))
        return (self._owner.answer(message, content, SETUP_TTL_S, flag if unchecked else None),)

    def on_init(self, message: Message) -> Iterable[Message]:
        """An application: ask the utility to approve the meter, in the applicant's lineage."""
        member = self._application(message)
        try:
            self._chronicle.created(member.contract)
        except ContractError as error:
            raise Refusal(Code.PRC_CONFLICT, "/message/contract/id", str(error)) from error
        forwarded = self._owner.request(
            "init",
            self._utility,
            ContractContent(contract=member.on_wire(commitments=message.contract.commitments)),
            self._owner.ids.fresh(),
            SETUP_TTL_S,
            Lineage(transactionId=message.transaction_id, messageId=message.message_id),
        )
        self._applications[forwarded.message_id] = (message, member)
        return (forwarded,)

    def _application(self, message: Message) -> Member:
        wire = message.contract
        asked = wire.commitments[0]
        open_role = self._open_roles.get(asked.offer.id)
        if open_role is None:
            what = f"{self._owner.era} has no offer {asked.offer.id!r}"
            raise Refusal(Code.NET_ENTITY_NOT_FOUND, "/message/contract/commitments/0/offer/id", what)
        resource = asked.resources[0].resourceAttributes
        where = "/message/contract/commitments/0/resources/0/resourceAttributes"
        resource = bag(resource, EnergyResource, where)
        meter, node = needed(resource.meterId, f"{where}/meterId"), needed(resource.gridNode, f"{where}/gridNode")
        contract_id = needed(wire.id, "/message/contract/id")
        era = _spoken_for(message)
        if era in self.members:
            raise Refusal(Code.PRC_INVALID_TRANSITION, "/message/contract", f"{era} is a member already")
        contract = open_role.template.instantiate(
            contract_id, self._currency, {**open_role.parties, str(open_role.role): era}, open_role.inputs
        )
        member = Member(era, node, meter, open_role, contract, message.transaction_id)
        member.resource_type = str(resource.resourceType or "")
        self._policing.select(member, message.sent_s)
        return member

    def on_approved(self, message: Message) -> Iterable[Message]:
        """The utility's approval: admit the applicant within the approved caps."""
        if message.message_id not in self._applications:
            raise Refusal(Code.PRC_INVALID_TRANSITION, "/context/messageId", "approves nothing that was asked for")
        caps = needed(energy_contract(message).inputParameters, f"{ATTRIBUTES}/inputParameters")
        request, member = self._applications.pop(message.message_id)
        member.import_cap_kw = caps.approvedMaxImportKW or 0.0
        member.export_cap_kw = caps.approvedMaxExportKW or 0.0
        try:
            self._policing.admit(member, message.sent_s)
            member.policies = self._policing.pin(message.sent_s)
            import_kw, export_kw = self._policing.caps_kw(member)
        except Refusal as refusal:
            error = ErrorBody(errorCode=refusal.code, errorMessage=refusal.what, path="/message/contract")
            return (self._turned_down(request, member, error),)
        self.members[member.era] = member
        approved = {"approvedMaxImportKW": repr(import_kw), "approvedMaxExportKW": repr(export_kw)}
        if member.policies is not None:
            approved["policies"] = " ".join(f"{p.policy_id}@{p.version}={p.hash}" for p in member.policies.pins)
        self._chronicle.confirmed(member.contract, **approved)

        def constant(name: str) -> float:
            return float(member.open_role.inputs.get(name, Decimal(0)))

        inputs = InputParameters(
            approvedMaxImportKW=import_kw,
            approvedMaxExportKW=export_kw,
            wheelingPerKWh=caps.wheelingPerKWh,
            feePerKWh=constant("feePerKWh"),
            penaltyPerKWh=constant("penaltyPerKWh"),
            taxRate=constant("taxRate"),
        )
        return (
            self._owner.answer(
                request, ContractContent(contract=member.terms_on_wire(inputs, self._owner.era)), SETUP_TTL_S
            ),
        )

    def on_refused(self, message: Message) -> Iterable[Message]:
        """The utility refused a meter, or has not answered in time: tell the applicant why."""
        application = self._applications.pop(message.message_id, None)
        if application is None:
            return ()
        assert isinstance(message.content, NackContent)
        return (self._turned_down(*application, message.content.error),)

    def _turned_down(self, request: Message, member: Member, error: ErrorBody) -> Message:
        """Word to an applicant that it is none, and why."""
        member.status = transition(member.contract.id, member.status, Turn.REJECT)
        self._chronicle.ended(member.contract, Turn.REJECT)
        contract = member.on_wire(commitments=request.contract.commitments)
        return self._owner.answer(request, ContractContent(contract=contract), SETUP_TTL_S, error)

    # one gate

    def on_confirm(self, message: Message) -> Iterable[Message]:
        """A committed curve: into the book of its interval, or refused.  The answer comes when the gate has closed."""
        attributes = energy_contract(message)
        era = _spoken_for(message)
        member = self.members.get(era)
        if member is None or member.contract.id != message.contract.id:
            raise Refusal(Code.NET_ENTITY_NOT_FOUND, "/message/contract/id", f"{era} has no such contract here")
        if member.until is not None:
            raise Refusal(
                Code.PRC_INVALID_TRANSITION, "/message/contract", f"the contract of {era} has been terminated"
            )
        interval = interval_of(attributes.timeWindow, self._calendar, f"{ATTRIBUTES}/timeWindow")
        if interval.index in self._closed or message.sent_s > interval.start_s - self._gate.gate_s:
            what = f"the gate for {self._calendar.timestamp(interval.start_s)} has closed"
            raise Refusal(Code.BIZ_GATE_CLOSED, f"{ATTRIBUTES}/timeWindow/start", what)
        if era in self.books.get(interval.index, Book()).offers:
            what = f"{era} has committed a curve for {self._calendar.timestamp(interval.start_s)} already"
            raise Refusal(Code.PRC_CONFLICT, f"{ATTRIBUTES}/roles/0/roleInputs/offerCurve", what)
        offer = self._offer(member, needed(attributes.roles, f"{ATTRIBUTES}/roles")[0])
        self._policing.take(
            member, offer.curve, interval, message.sent_s, f"{ATTRIBUTES}/roles/0/roleInputs/offerCurve"
        )
        book = self.books.setdefault(interval.index, Book())
        book.offers[era] = offer
        book.messages[era] = message
        return ()

    def _offer(self, member: Member, role: ContractRole) -> Offer:
        where = f"{ATTRIBUTES}/roles/0/roleInputs/offerCurve"
        inputs = needed(role.roleInputs, f"{ATTRIBUTES}/roles/0/roleInputs")
        body = needed(inputs.offerCurve, where)
        if body.currency != self._currency:
            what = f"expected prices in {self._currency}, got {body.currency}"
            raise Refusal(Code.POL_CURVE_INVALID, f"{where}/currency", what)
        try:
            curve = curve_of(body, member.era)
        except CurveError as error:
            raise Refusal(Code.POL_CURVE_INVALID, where, str(error)) from error
        if names_price_outside(curve, self._gate.price_floor, self._gate.price_cap):
            what = f"names prices outside {self._gate.price_floor}..{self._gate.price_cap}"
            raise Refusal(Code.POL_CURVE_INVALID, f"{where}/curve", what)
        baseline = inputs.baselineKW
        clipped = clip(curve, member.import_cap_kw, member.export_cap_kw)
        return Offer(
            member.era, member.node, clipped, None if baseline is UNSET else baseline, min_run_kw=inputs.minRunKW or 0.0
        )

    def review(self, interval: Interval, at_s: int) -> Iterable[Message]:
        """Before the gate of an interval closes, end the contracts whose credentials stand no longer.

        They cover what was awarded before, and nothing from this interval on: an order for it is answered with the reason.
        """
        for member in self.members.values():
            why = None if member.until is not None else self._policing.withdrawn(member, at_s)
            if why is not None:
                yield from self._terminated(member, interval, why)

    def _terminated(self, member: Member, interval: Interval, why: Decision) -> Iterable[Message]:
        member.until, member.turn = interval.index, Turn.REVOKE if member.status is Status.ACTIVE else Turn.CANCEL
        member.status = transition(member.contract.id, member.status, member.turn)
        self._chronicle.cancelled(member.contract, member.turn, str(why))
        error = ErrorBody(errorCode=why.code, errorMessage=str(why), path="/message/contract")
        covered = TimeWindow(start=self._calendar.timestamp(0), end=self._calendar.timestamp(interval.start_s))
        ids = (member.transaction_id, self._owner.ids.fresh())
        content = ContractContent(contract=member.on_wire(window=covered))
        yield Message("on_cancel", self._owner.era, member.era, *ids, content, error=error)
        book = self.books.get(interval.index, Book())
        book.offers.pop(member.era, None)
        order = book.messages.pop(member.era, None)
        if order is not None:
            content = ContractContent(contract=member.on_wire(window=window_of(self._calendar, interval.index)))
            yield self._owner.answer(order, content, self._gate.confirm_s, error)

    def close(self, interval: Interval) -> tuple[Offer, ...]:
        """Close the gate of an interval; the offers that made it, in order of arrival."""
        self._closed.add(interval.index)
        return tuple(self.books.get(interval.index, Book()).offers.values())

    def awards(self, interval: Interval, awards: Mapping[str, Award]) -> Iterable[Message]:
        """Answer every order of this interval's book with what was cleared; a first award activates the contract."""
        book = self.books.pop(interval.index, Book())
        window = window_of(self._calendar, interval.index)
        told = {message.message_id: era for era, message in book.messages.items()}
        self._told = {k: v for k, v in self._told.items() if k > interval.index - TOLD_KEPT} | {interval.index: told}
        for era, request in book.messages.items():
            member = self.members[era]
            if member.status is Status.PENDING:
                member.status = transition(member.contract.id, member.status, Turn.CONFIRM)
                self._chronicle.activated(member.contract)
            award = awards[era]
            offset = OffsetCommand(offsetKW=award.moved_kw) if award.moved_kw else UNSET
            contract = member.on_wire(window=window, signals=(signal_of(award, member.node),), offset=offset)
            yield self._owner.answer(request, ContractContent(contract=contract), self._gate.confirm_s)

    def turn_away(self, index: int, era: str, error: ErrorBody) -> Iterable[Message]:
        """Word to a member that its order of an interval is not met, and why; others' orders of it stand."""
        book = self.books.get(index, Book())
        book.offers.pop(era, None)
        request = book.messages.pop(era, None)
        if request is None:
            return ()
        contract = self.members[era].on_wire(window=window_of(self._calendar, index))
        return (self._owner.answer(request, ContractContent(contract=contract), self._gate.confirm_s, error),)

    def unheard(self, nack: Message) -> tuple[int, str] | None:
        """The interval and the member whose award did not arrive, if that is what a refusal is about."""
        for index, told in self._told.items():
            if nack.message_id in told:
                return index, told[nack.message_id]
        return None


def _spoken_for(message: Message) -> str:
    """The resource that a message is about; nobody may speak for another."""
    era = message.contract.commitments[0].resources[0].id
    if era != message.sender:
        where = "/message/contract/commitments/0/resources/0/id"
        raise Refusal(Code.AUT_UNAUTHORIZED_ACTION, where, f"{message.sender} cannot speak for {era}")
    return era
