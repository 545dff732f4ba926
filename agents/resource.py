"""What every energy resource does on the wire, whatever it wants.

A resource discovers its market, joins it with a contract, commits one offer curve an interval, learns what was cleared, and
commands its device.  A kind of resource adds one thing: the curve (``offer``).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from msgspec import UNSET, UnsetType

from agents.award import Award, award_in
from agents.outlook import News, Outlook, Topic
from agents.passbook import Passbook
from sim.clock import Calendar, Interval
from sim.curves import OfferCurve, clip
from sim.device import Device
from sim.forms import curve_body, window_of
from sim.market.problem import Offer, names_price_outside
from sim.participant import Ids, Participant, Registry
from sim.tariff import prices_by_minute
from sim.trust.signatory import Signatory
from sim.wire.bags import (
    ENERGY,
    ContractRole,
    EnergyContract,
    EnergyOffer,
    EnergyResource,
    Role,
    RoleInputs,
    Tariff,
    TimeWindow,
)
from sim.wire.codes import Code, Refusal
from sim.wire.core import (
    Commitment,
    CommitmentCode,
    CommitmentStatus,
    CommittedOffer,
    CommittedResource,
    Contract,
    ContractStatus,
    Quantity,
    SearchIntent,
    SubscriptionRequest,
)
from sim.wire.core import Offer as WireOffer
from sim.wire.messages import (
    SETUP_TTL_S,
    Alarm,
    CatalogsContent,
    ContractContent,
    DiscoverContent,
    Event,
    Message,
    SubscribeContent,
    seconds_of,
)
from sim.wire.need import ATTRIBUTES, energy_contract, needed

OFFERS = "/message/catalogs/offers/offerAttributes"

LATE_S = 10
"""Seconds that an approval may have been on its way."""
ASK_AFTER_S = 10
"""Seconds after a forecast has become stale: its successor needs a moment to reach the catalogue."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a resource stands on the network and in the grid.

    host: market or aggregator it trades with.  catalogue: where tariffs are published.  meter, node: its meter and the
    transformer above it.
    """

    host: str
    catalogue: str
    meter: str
    node: str
    currency: str


@dataclass(frozen=True, slots=True)
class Seat:
    """What every resource is given: its address, its identifiers, its place, the calendar, and its device if it has one.

    signatory: its hand for settlements; None for one that signs nothing.  topics: forecasts that it follows.  news: how these
    reach it.
    """

    registry: Registry
    era: str
    ids: Ids
    place: Place
    calendar: Calendar
    device: Device | None = None
    signatory: Signatory | None = None
    topics: tuple[Topic, ...] = ()
    news: News = News()  # noqa: RUF009  it is frozen


@dataclass(frozen=True, slots=True)
class Terms:
    """What the host's offer and the approval said.

    confirm_s: seconds before delivery by which curves are due.  price_floor, price_cap: bounds of prices per kWh.
    Caps in kW ≥ 0.
    """

    offer_id: str
    template_id: str
    contract_id: str
    confirm_s: int
    price_floor: float
    price_cap: float
    import_cap_kw: float = 0.0
    export_cap_kw: float = 0.0


@dataclass(frozen=True, slots=True)
class Charges:
    """What comes on top of a price: wheeling on what is drawn, a fee on both, tax as a share of the price of what is drawn."""

    wheeling_per_kwh: float = 0.0
    fee_per_kwh: float = 0.0
    tax_rate: float = 0.0

    def price_when_drawing(self, worth_per_kwh: float) -> float:
        """The price up to which a kWh worth this much is worth drawing, all charges included."""
        return (worth_per_kwh - self.wheeling_per_kwh - self.fee_per_kwh) / (1 + self.tax_rate)

    def price_when_giving(self, cost_per_kwh: float) -> float:
        """The price from which a kWh that costs this much is worth giving, the fee taken off."""
        return cost_per_kwh + self.fee_per_kwh

    def cost_when_drawing(self, price_per_kwh: float) -> float:
        """What a kWh drawn at this price costs, all charges included."""
        return price_per_kwh * (1 + self.tax_rate) + self.wheeling_per_kwh + self.fee_per_kwh

    def gain_when_giving(self, price_per_kwh: float) -> float:
        """What a kWh given at this price brings, the fee taken off."""
        return price_per_kwh - self.fee_per_kwh


class Resource(Participant):
    """A resource that trades one curve an interval.  Subclasses implement ``offer``."""

    role: ClassVar[Role] = "PROSUMER"
    resource_type: ClassVar[Literal["LOAD", "SOLAR", "BATTERY", "EV", "PORTFOLIO", "GRID_SUPPLY"]]

    safe_kw: ClassVar[float] = 0.0
    """Command while nothing was agreed."""

    def __init__(self, seat: Seat) -> None:
        super().__init__(seat.registry, seat.era, seat.ids)
        self.place = seat.place
        self.calendar = seat.calendar
        self.device = seat.device
        if self.device is not None:
            self.device.command(self.safe_kw)
        self.tariffs: dict[str, tuple[float, ...]] = {}
        """Tariff prices per kWh by local minute of the day, under IMPORT and EXPORT."""
        self.outlook = Outlook(seat.topics, seat.calendar, seat.news)
        """Forecasts, as far as any are published; without one a kind falls back on persistence."""
        self.terms: Terms | None = None
        self.charges = Charges()
        self._passbook = Passbook(seat.place.host, seat.signatory)
        self._transaction = seat.ids.fresh()
        self._committed: dict[int, Offer] = {}
        self._ended = False
        self.awarded: dict[int, Award] = {}
        """What each gate gave, by interval."""
        self.reactions |= {
            "on_discover": self.on_discover,
            "catalog/on_subscription": lambda _: (),
            "ask": self.on_ask,
            "on_init": self.on_init,
            "commit": self.on_commit,
            "on_confirm": self.on_confirm,
            "on_cancel": self.on_cancel,
            "dispatch": self.on_dispatch,
            "on_status": self.on_status,
            "on_update": self.on_update,
        }

    @abstractmethod
    def offer(self, interval: Interval, now_s: int) -> Offer | None:
        """What this resource would do in ``interval`` at each price, decided at ``now_s``; None to stay out."""

    @property
    def balance(self) -> float:
        """What settlements have brought (+) or cost (−) so far, in the contract's currency."""
        return self._passbook.balance

    def price_ahead(self, index: int, now_s: int) -> float:
        """Price per kWh that is expected in interval ``index``: forecast, else the tariff; 0 while neither is known."""
        forecast = self.outlook.value("PRICE", index, now_s)
        return self.tariff_per_kwh(index) if forecast is None else forecast

    def tariff_per_kwh(self, index: int) -> float:
        """What the tariff asks for a kWh in interval ``index``; 0 while it is not known."""
        minute = self.calendar.minute_of_day(index * self.calendar.interval_s)
        return self.tariffs["IMPORT"][minute] if "IMPORT" in self.tariffs else 0.0

    def capability(self) -> OfferCurve:
        """The curve shown when joining: all that the device could ever do, at any price."""
        low, high = (0.0, 0.0) if self.device is None else (self.device.twin.min_kw, self.device.twin.max_kw)
        return OfferCurve.of([(0.0, low), (0.0, high)] if high > low else [(0.0, low)], who=self.era)

    def setpoint_kw(self, offer: Offer, award: Award) -> float:
        """The command that follows from an award; a kind whose device is not scheduled to the kW overrides it."""
        del offer
        return award.cleared_kw

    # joining

    def on_start(self, _: Alarm) -> Iterable[Event]:
        """Ask the catalogue for tariffs and forecasts, and the host for its offer."""
        yield self._question(self.place.catalogue, "Tariff")
        yield self._question(self.place.host, "EnergyOffer")
        if self.outlook.subscribes:
            yield self._subscription()
        for topic in self.outlook.listed:
            yield self._question(self.place.catalogue, topic.catalog_id)

    def on_ask(self, alarm: Alarm) -> Iterable[Event]:
        """A forecast has become stale: ask for the next."""
        return (self._question(self.place.catalogue, self.outlook.listed[alarm.index].catalog_id),)

    def _subscription(self) -> Message:
        wanted = SubscriptionRequest(networkIds=(), schemaTypes=("EnergyForecast",))
        content = SubscribeContent(subscription=wanted)
        return self.request("catalog/subscription", self.place.catalogue, content, self._transaction, SETUP_TTL_S)

    def _question(self, recipient: str, text: str) -> Message:
        content = DiscoverContent(intent=SearchIntent(textSearch=text))
        return self.request("discover", recipient, content, self._transaction, SETUP_TTL_S)

    def on_discover(self, message: Message) -> Iterable[Event]:
        """Remember tariffs and forecasts; apply for the open role that fits."""
        assert isinstance(message.content, CatalogsContent)
        if message.sender in self.outlook.news.sources:
            self.outlook.keep(self.outlook.pushed(message))
            return ()
        if message.sender not in (self.place.host, self.place.catalogue):
            what = f"expected offers of {self.place.host} or {self.place.catalogue}, got some of {message.sender}"
            raise Refusal(Code.AUT_UNAUTHORIZED_ACTION, "/context/bppId", what)
        offers = [o for catalog in message.content.catalogs for o in (catalog.offers or ())]
        tariffs = _tariffs_in(offers)
        terms = None if self.terms is not None else self._terms_in(offers)
        unasked = message.request_digest is None
        forecasts = (
            self.outlook.told(message) if unasked else self.outlook.read(message.content.catalogs, message.sent_s)
        )
        self.tariffs |= tariffs
        if tariffs:
            self.on_tariffs()
        stale = tuple(
            Alarm(until_s + ASK_AFTER_S, "ask", number)
            for number, until_s in self.outlook.keep(forecasts)
            if until_s < self.calendar.duration_s
        )
        if terms is None:
            return stale
        self.terms = replace(terms, contract_id=self.ids.fresh())
        return (*stale, self._application())

    def _terms_in(self, offers: list[WireOffer]) -> Terms | None:
        for offer in offers:
            terms = offer.offerAttributes
            if isinstance(terms, EnergyOffer) and terms.openRole == self.role:
                return Terms(
                    offer_id=offer.id,
                    template_id=terms.templateId,
                    contract_id="",
                    confirm_s=seconds_of(needed(terms.confirmBefore, f"{OFFERS}/confirmBefore")),
                    price_floor=needed(terms.priceFloor, f"{OFFERS}/priceFloor"),
                    price_cap=needed(terms.priceCap, f"{OFFERS}/priceCap"),
                )
        return None

    def on_tariffs(self) -> None:
        """Tariffs have become known; a kind that values energy by them overrides it."""

    def _application(self) -> Message:
        inputs = RoleInputs(
            sourceMeterId=self.place.meter, offerCurve=curve_body(self.capability(), self.place.currency)
        )
        contract = self._contract(inputs, UNSET)
        return self.request("init", self.place.host, ContractContent(contract=contract), self._transaction, SETUP_TTL_S)

    def on_init(self, message: Message) -> Iterable[Event]:
        """Remember the approved caps, and commit curves from the first interval on; or stay out where they are refused."""
        if message.error is not None:
            self.terms = None
            return ()
        caps = needed(energy_contract(message).inputParameters, f"{ATTRIBUTES}/inputParameters")
        if self.terms is None:
            raise Refusal(Code.PRC_INVALID_TRANSITION, "/context/action", f"{self.era} has applied for nothing")
        self.terms = replace(
            self.terms,
            import_cap_kw=caps.approvedMaxImportKW or 0.0,
            export_cap_kw=caps.approvedMaxExportKW or 0.0,
        )
        self.charges = Charges(caps.wheelingPerKWh or 0.0, caps.feePerKWh or 0.0, caps.taxRate or 0.0)
        first = self._first_index(message.sent_s + LATE_S + self.terms.confirm_s)
        if first >= self.calendar.count:
            return ()
        return (Alarm(self.calendar.interval(first).start_s - self.terms.confirm_s, "commit", first),)

    def _first_index(self, second: int) -> int:
        """The first interval that begins at a second or later."""
        return max(-(-second // self.calendar.interval_s), 0)

    # one interval

    def on_commit(self, alarm: Alarm) -> Iterable[Event]:
        """Commit the curve for the interval, and think of the next one."""
        assert self.terms is not None
        if self._ended:
            return ()
        interval = self.calendar.interval(alarm.index)
        events: list[Event] = [Alarm(interval.start_s, "dispatch", interval.index)]
        offer = self.offer(interval, alarm.at_s)
        if offer is not None:
            bounded = within_prices(offer.curve, self.terms.price_floor, self.terms.price_cap)
            curve = clip(bounded, self.terms.import_cap_kw, self.terms.export_cap_kw)
            baseline = min(max(offer.uncoordinated_kw, -self.terms.import_cap_kw), self.terms.export_cap_kw)
            offer = Offer(offer.era, offer.node, curve, baseline, min_run_kw=offer.min_run_kw)
            self._committed[interval.index] = offer
            events.append(self._confirm(offer, interval))
        if interval.index + 1 < self.calendar.count:
            events.append(Alarm(interval.end_s - self.terms.confirm_s, "commit", interval.index + 1))
        return events

    def _confirm(self, offer: Offer, interval: Interval) -> Message:
        assert self.terms is not None
        inputs = RoleInputs(
            offerCurve=curve_body(offer.curve, self.place.currency),
            baselineKW=offer.uncoordinated_kw,
            minRunKW=offer.min_run_kw or UNSET,
        )
        # A market answers when its gate has closed, so the message must hold until delivery begins.
        return self.request(
            "confirm",
            self.place.host,
            ContractContent(contract=self._contract(inputs, window_of(self.calendar, interval.index))),
            self._transaction,
            self.terms.confirm_s,
        )

    def on_confirm(self, message: Message) -> Iterable[Event]:
        """Learn what was cleared; or that nothing was: our energy could not be locked, or our order did not count."""
        if message.error is not None:
            return ()
        index, award = award_in(message, self.calendar)
        self.awarded[index] = award
        return ()

    def on_cancel(self, message: Message) -> Iterable[Event]:
        """The host has ended our contract: no more orders.  What was agreed before is still done, and settled."""
        if self.terms is None or message.sender != self.place.host or message.contract.id != self.terms.contract_id:
            what = f"{self.era} has no contract {message.contract.id!r} with {message.sender}"
            raise Refusal(Code.NET_ENTITY_NOT_FOUND, "/message/contract/id", what)
        self._ended = True
        return ()

    def on_dispatch(self, alarm: Alarm) -> Iterable[Event]:
        """Command the device.  Without an award it does what its curve asks for nearest to zero: the safe default."""
        offer = self._committed.pop(alarm.index, None)
        award = self.awarded.get(alarm.index)
        if self.device is not None:
            self.device.command(self._command_kw(offer, award))
        return ()

    def _command_kw(self, offer: Offer | None, award: Award | None) -> float:
        if offer is None:
            return self.safe_kw
        if award is None:
            award = Award(min(max(0.0, offer.curve.min_kw), offer.curve.max_kw), None, firm=True)
        return self.setpoint_kw(offer, award)

    def on_status(self, _: Message) -> Iterable[Event]:
        """A meter reading of ours: taken note of; the device itself is read directly."""
        return ()

    def on_update(self, message: Message) -> Iterable[Event]:
        """Settlement cycles: what an interval brought or cost, or what all of them come to, which is signed or disputed."""
        answer = self._passbook.take(message, "" if self.terms is None else self.terms.contract_id)
        if answer is None:
            return ()
        return (self.request("update", self.place.host, ContractContent(contract=answer), self._transaction),)

    def _contract(self, inputs: RoleInputs, window: TimeWindow | UnsetType) -> Contract:
        assert self.terms is not None
        curve = inputs.offerCurve
        assert curve is not UNSET
        largest = max(curve.maxExport, curve.minExport, key=abs)
        commitment = Commitment(
            status=CommitmentStatus(descriptor=CommitmentCode(code="DRAFT")),
            resources=(
                CommittedResource(
                    id=self.era,
                    quantity=Quantity(value=largest, unitCode="KW"),
                    resourceAttributes=EnergyResource(
                        ENERGY,
                        resourceType=self.resource_type,
                        meterId=self.place.meter,
                        gridNode=self.place.node,
                    ),
                ),
            ),
            offer=CommittedOffer(id=self.terms.offer_id, resourceIds=(self.era,)),
        )
        return Contract(
            id=self.terms.contract_id,
            status=ContractStatus(code="DRAFT"),
            commitments=(commitment,),
            contractAttributes=EnergyContract(
                ENERGY,
                templateId=self.terms.template_id,
                status="PENDING",
                roles=(ContractRole(role=self.role, filled=True, filledBy=self.era, roleInputs=inputs),),
                timeWindow=window,
            ),
        )


def _tariffs_in(offers: list[WireOffer]) -> dict[str, tuple[float, ...]]:
    found = {}
    for offer in offers:
        tariff = offer.offerAttributes
        if isinstance(tariff, Tariff):
            try:
                found[str(tariff.direction)] = prices_by_minute(tariff)
            except ValueError as error:
                raise Refusal(
                    Code.SCH_SCHEMA_VALIDATION_FAILED, f"{OFFERS}/elements", f"tariff {offer.id}: {error}"
                ) from error
    return found


def within_prices(curve: OfferCurve, floor: float, cap: float) -> OfferCurve:
    """The curve with prices that cannot come about moved to the floor or cap: whoever would pay more pays the cap.

    Between them it is the same: a line that leads across is cut there.
    """
    if not names_price_outside(curve, floor, cap):
        return curve
    ends = [end for end in (floor, cap) if curve.prices[0] < end < curve.prices[-1]]
    points = sorted((*curve.points(), *((end, of(end)) for end in ends for of in (curve.low, curve.high))))
    return OfferCurve.of(dict.fromkeys((min(max(price, floor), cap), p_kw) for price, p_kw in points))
