"""Who deals with whom one to one: contract templates, providers with their items, seekers with their errands, distributors."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from agents.forecaster import ERROR_MODELS
from scenarios.fields import Finite, Model, Name, NonNegative, Positive, Share, TimeOfDay, unless
from sim.errors import nearest

Role = Literal["BUYER", "SELLER", "PROSUMER", "AGGREGATOR", "MARKET_CLEARING_AGENT", "GRID_OPERATOR", "GOVERNMENT"]
Moment = TimeOfDay | datetime
"""A local time: of the first day on which it comes after the start, or with its date."""
Position = tuple[Annotated[float, Field(ge=-180, le=180)], Annotated[float, Field(ge=-90, le=90)]]
"""Longitude, latitude."""


class TermSpec(Model):
    """One reason to pay: from whom to whom, by which formula over inputs and signals (``agents.deal.SIGNALS``)."""

    name: Name
    payer: Annotated[Role, Field(alias="from")]
    payee: Annotated[Role, Field(alias="to")]
    formula: str


class ContractSpec(Model):
    """A contract template: its terms, and what its formulas take for constants where an item does not say otherwise."""

    name: Name
    description: str = ""
    inputs: dict[str, Finite] = {}  # noqa: RUF012  pydantic copies it
    terms: Annotated[tuple[TermSpec, ...], Field(min_length=1)]


class CourseStep(Model):
    """Power from one local time of day to another, + into the grid."""

    start: TimeOfDay = Field("00:00", alias="from")
    end: TimeOfDay = Field("24:00", alias="to")
    kw: Finite


class CourseSpec(Model):
    """A device with a course of its own: the first step that holds counts, else it rests."""

    kind: Literal["course"]
    bus: str
    power: tuple[CourseStep, ...]


class ConnectorSpec(Model):
    """A connector that gives a car that was plugged in up to kw."""

    kind: Literal["connector"]
    bus: str
    kw: Positive


class CarSpec(Model):
    """A car at its own charger: it comes, needs so much in its battery, and leaves.

    plan: charge at once, or in the cheapest intervals of the tariff that the errand has found.
    """

    kind: Literal["car"]
    bus: str
    kw: Positive
    capacity_kwh: Positive
    need_kwh: Positive
    comes: Moment
    leaves: Moment
    efficiency: Annotated[float, Field(gt=0, le=1)] = 0.9
    plan: Literal["at_once", "cheapest"] = "cheapest"


class ReserveSpec(Model):
    """A battery whose capacity, up to kw, is held ready for whoever books it: to raise (into the grid), to lower, or both.

    follows: the ``frequency`` of the scenario, by droop (the share of nominal that asks for all of the capacity) beyond a dead
    band; or the set-points that it is sent.  ramp_kw_per_s: default as fast as can be.  sustain_min: for how long all of it
    would have to be possible from now on, for it to count as available now.  efficiency: of charging, and of discharging.
    """

    kind: Literal["reserve"]
    bus: str
    kw: Positive
    capacity_kwh: Positive
    soc: Share = 0.5
    efficiency: Annotated[float, Field(gt=0, le=1)] = 0.95
    direction: Literal["both", "raise", "lower"] = "both"
    follows: Literal["frequency", "setpoint"] = "frequency"
    droop: Annotated[float, Field(gt=0, le=1)] = 0.004
    dead_band_hz: NonNegative = 0.01
    ramp_kw_per_s: Positive | None = None
    sustain_min: Positive = 15.0


class YieldingSpec(Model):
    """A load with a course of its own that can be called to draw less.

    power: the first step that holds counts, else it rests.  days: how much of it is drawn on each day of the run, in order;
    days beyond them are as usual.  least_kw: what it draws at least in an event.
    """

    kind: Literal["yielding"]
    bus: str
    power: tuple[CourseStep, ...]
    days: tuple[NonNegative, ...] = ()
    least_kw: NonNegative = 0.0


DeviceSpec = Annotated[CourseSpec | ConnectorSpec | CarSpec | ReserveSpec | YieldingSpec, Field(discriminator="kind")]


CredentialType = Literal["MeterOwnershipCredential", "ProgramEligibilityCredential", "DERCertificationCredential"]
Consent = Literal["DATA_COLLECTION", "DER_CONTROL", "CROSS_UTILITY_SHARING"]
Level = Literal["ADVISORY", "MANDATORY", "EMERGENCY"]


class AdmissionSpec(Model):
    """What an item asks of whoever takes it: to enrol a meter in a programme, with credentials and consents."""

    programme: Name
    credentials: tuple[CredentialType, ...] = ()
    consents: tuple[Consent, ...] = ()


class BaselineSpec(Model):
    """X of Y like days, those that drew most; adjusted by at most a share of it, by so many hours before the call."""

    x: Annotated[int, Field(ge=1)] = 4
    y: Annotated[int, Field(ge=1)] = 5
    adjust: Annotated[float, Field(ge=0, le=1)] = 0.2
    before_h: NonNegative = 2.0


class CallSpec(Model):
    """An event, by which an item is offered: to those who hold a deal of another item, when they are called.

    at: when; or serves: an item, whose deals it delivers: the call goes out when such a deal is agreed.  answer_min: how long
    answers are taken.  from, to: of the event, default those of the deal that it serves.  kw: asked of everybody, default a
    share of what is served, by baseline.
    """

    holders_of: Name
    at: Moment | None = None
    serves: Name | None = None
    answer_min: Positive = 60.0
    start: Annotated[Moment | None, Field(alias="from")] = None
    end: Annotated[Moment | None, Field(alias="to")] = None
    kw: Positive | None = None
    level: Level = "ADVISORY"
    baseline: BaselineSpec = BaselineSpec()

    @model_validator(mode="after")
    def _when(self) -> Self:
        if (self.at is None) == (self.serves is None):
            raise ValueError("give either at or serves")
        if self.serves is None and None in (self.start, self.end, self.kw):
            raise ValueError("from, to, kw: an event that serves no deal has to say them itself")
        return self


class PriceStep(Model):
    """A price per kWh from one local time of day to another."""

    start: TimeOfDay = Field("00:00", alias="from")
    end: TimeOfDay = Field("24:00", alias="to")
    price: Finite


class HoursSpec(Model):
    """Local times of day between which something is open; from 22:00 to 06:00 is a night."""

    start: TimeOfDay = Field(alias="from")
    end: TimeOfDay = Field(alias="to")


class SoldForecastSpec(Model):
    """A forecast that is sold by the call: what of (a column of the profiles), how good, and how often it is made anew.

    model: a name from ``degsim list forecasts``.  sd, correlation, bias: of its error, as ``agents.forecaster.Accuracy`` says.
    valid_h: for how long one holds, default until the next.
    """

    variable: Literal["PV", "LOAD", "TEMPERATURE"]
    column: Annotated[int, Field(ge=0)] = 0
    model: str = "noise"
    sd: Annotated[float, Field(ge=0, le=10)] = 0.1
    correlation: Annotated[float, Field(ge=0, lt=1)] = 0.9
    bias: Annotated[float, Field(gt=-1, le=1000)] = 0.0
    refresh_h: Annotated[int, Field(ge=1)] = 6
    horizon_h: Annotated[int, Field(ge=1, le=168)] = 24
    valid_h: Positive | None = None

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.model not in ERROR_MODELS:
            raise ValueError(f"model: no error model {self.model}, {nearest(self.model, ERROR_MODELS)}")
        return self


class ItemSpec(Model):
    """Something that a provider offers.

    lists, offers: the bags of resource and offer as they are published (``@type`` and fields of ``degsim schema``); or a
    forecast, which is listed without its values, at a price per call.  at: where.
    open: when a delivery may begin, default always.
    price, tariff: per kWh, one of them.  contract, inputs, parties: under which template, with which constants, and who fills
    the roles that neither side of the deal has.  open_role: what whoever takes it becomes.  delivery: a ``session`` begins and
    ends when the taker says so, a ``window`` at its times.  billing: INCREMENTAL settles every interval, POST_FULFILLMENT once.
    meter: of a device whose energy counts, default the item's own.  prepaid: the quote is paid when it is confirmed, and
    returned in the end against the bill.  quantity_kwh: what there is to be had in all.  grace_min: how late a session may
    begin.  free_min: a deal that is taken back so long before its window is not taken back late.  approved_by: a distributor
    that has to approve.  networks: where it is listed.  admission: what whoever takes it has to show and to allow.  call: of
    an item that no catalogue has, because it is offered by a call.
    """

    name: Name
    lists: dict[str, Any] | None = None
    forecast: SoldForecastSpec | None = unless(None)
    offers: dict[str, Any] | None = None
    at: Position | None = None
    open: HoursSpec | None = unless(None)
    price: Finite | None = None
    tariff: tuple[PriceStep, ...] = ()
    contract: Name
    inputs: dict[str, Finite] = {}  # noqa: RUF012  pydantic copies it
    parties: dict[Role, Name] = {}  # noqa: RUF012  pydantic copies it
    open_role: Role = "BUYER"
    delivery: Literal["session", "window"] = "window"
    billing: Literal["INCREMENTAL", "POST_FULFILLMENT"] = "POST_FULFILLMENT"
    device: DeviceSpec | None = None
    meter: Name | None = None
    prepaid: bool = False
    quantity_kwh: Positive | None = None
    grace_min: NonNegative = 10.0
    free_min: NonNegative = 0.0
    approved_by: Name | None = None
    admission: AdmissionSpec | None = unless(None)
    call: CallSpec | None = unless(None)
    networks: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _one_price(self) -> Self:
        if (self.forecast is None) == (self.lists is None):
            raise ValueError(f"{self.name}: give either lists or a forecast")
        if (self.price is None) == (not self.tariff):
            raise ValueError(f"{self.name}: give either a price or a tariff")
        if self.delivery == "session" and (self.forecast is not None or isinstance(self.device, ReserveSpec)):
            raise ValueError(f"{self.name}: delivery: a window; capacity and forecasts are not plugged in")
        return self


class DiarySpec(Model):
    """Something that somebody does at a time, or so many minutes after its deal was confirmed; every_min repeats it."""

    at: Moment | None = None
    after_min: NonNegative | None = None
    do: Name
    every_min: Positive | None = None
    times: Annotated[int, Field(ge=1)] = 1
    item: Name | None = None
    say: dict[str, Any] = {}  # noqa: RUF012  pydantic copies it

    @model_validator(mode="after")
    def _when(self) -> Self:
        if (self.at is None) == (self.after_min is None):
            raise ValueError("give either at or after_min")
        if self.times > 1 and self.every_min is None:
            raise ValueError("every_min: is missing, where times says how often")
        return self


class ProviderSpec(Model):
    """Somebody who offers items (a BPP): charge point operator, retailer, household with a roof, utility, forecaster.

    reads: meters of others that it may read.  records_in: a trade ledger; each of its items is then sold by the customer whose
    meter it is, for whom it is the platform.
    """

    name: Name
    items: Annotated[tuple[ItemSpec, ...], Field(min_length=1)]
    support: dict[str, str] = {}  # noqa: RUF012  pydantic copies it
    reads: tuple[Name, ...] = ()
    records_in: Name | None = unless(None)
    diary: tuple[DiarySpec, ...] = ()


class SearchSpec(Model):
    """What is looked for: a type of bag, a JSONPath condition, and a place: within so many metres of a point or of a route."""

    type: str | None = None
    filter: str | None = None
    near: Position | None = None
    along: tuple[Position, ...] = ()
    within_m: Positive | None = None

    @model_validator(mode="after")
    def _place(self) -> Self:
        if self.near is not None and self.along:
            raise ValueError("near, along: a place is a point or a route")
        if (self.near is not None or bool(self.along)) != (self.within_m is not None):
            raise ValueError("within_m: goes with near or along")
        return self


class RequestSpec(Model):
    """A request for a service: so much energy, by when, after how long a wait, at which price per kWh at most."""

    by: Moment
    wait_min: NonNegative | None = None
    price: NonNegative | None = None


class VehicleSpec(Model):
    """The car that is brought to a connector."""

    need_kwh: Positive
    kw: Positive
    make: str | None = None
    model: str | None = None


class CredentialSpec(Model):
    """A credential that somebody shows: who issued it, what it claims, and until when it holds.

    issuer: anybody; its key is registered.  holder: whom it speaks of, default who shows it.  claims: by the names of its type
    (``sim.trust.claims``).  revoked: from when on it counts no longer.
    """

    type: CredentialType
    issuer: Name
    claims: dict[str, Any] = {}  # noqa: RUF012  pydantic copies it
    holder: Name | None = None
    until: datetime | None = None
    revoked: datetime | None = None


class EnrolSpec(Model):
    """What is shown and allowed to be admitted: a meter, default the seeker's own, credentials, and consents."""

    meter: Name | None = None
    credentials: tuple[CredentialSpec, ...] = ()
    consents: tuple[Consent, ...] = ()


class AnswerSpec(Model):
    """How calls are answered, where the level fits: how much is committed (default what is asked; 0 declines), how late.

    opts_out_min: how long after the beginning the load takes itself out of the event.
    """

    levels: tuple[Level, ...] = ()
    after_min: NonNegative = 0.0
    kw: NonNegative | None = None
    opts_out_min: NonNegative | None = None


class ErrandSpec(Model):
    """Something to be had: looked for at a time, chosen, agreed on step by step, and carried out by a diary.

    ask: whom, default the catalogue.  choose: among what was found.  quote: whether to ask for one (``select``) before
    applying.  kwh: how much; or kw: how much capacity, held ready.  from, to: window of delivery, default as the provider
    says.  meter: where it is delivered.
    """

    at: Moment
    search: SearchSpec = SearchSpec()
    ask: Name | None = None
    choose: Literal["first", "cheapest", "nearest"] = "first"
    quote: bool = False
    kwh: Positive | None = None
    kw: Positive | None = unless(None)
    start: Annotated[Moment | None, Field(alias="from")] = None
    end: Annotated[Moment | None, Field(alias="to")] = None
    meter: Name | None = None
    request: RequestSpec | None = None
    vehicle: VehicleSpec | None = None
    enrol: EnrolSpec | None = unless(None)
    diary: tuple[DiarySpec, ...] = ()

    @model_validator(mode="after")
    def _one_quantity(self) -> Self:
        if self.kwh is not None and self.kw is not None:
            raise ValueError("kwh, kw: give one of them, energy or capacity")
        return self


class SeekerSpec(Model):
    """Somebody who looks for things and takes them (a BAP), with a device of its own or without.

    answers: to calls of those with whom it has a deal; the first that fits counts, and nothing is said to others.
    records_in: a trade ledger; each errand is then for the customer whose meter it names, for whom this is the platform.
    """

    name: Name
    device: DeviceSpec | None = None
    records_in: Name | None = unless(None)
    errands: tuple[ErrandSpec, ...] = ()
    answers: tuple[AnswerSpec, ...] = unless(())


class TradedMeterSpec(Model):
    """A meter whose trades a distributor approves: caps in kWh of a run, and what is traded already."""

    name: Name
    cap_kwh: NonNegative
    traded_kwh: NonNegative = 0.0


class DeskSpec(Model):
    """How a utility settles the trades that a ledger holds of its customers.

    import_price, export_price: per kWh, of what a meter says beyond its trades.  patience: for how many intervals a meter that
    was not read, or the other utility, is waited for.
    """

    ledger: Name
    import_price: NonNegative
    export_price: NonNegative
    patience: Annotated[int, Field(ge=0)] = 3


class PaymentSpec(Model):
    """Money that came, and on which day."""

    amount: Positive
    on: date


class DebtSpec(Model):
    """What somebody owes from before the run, until when it was due, and what came of it."""

    debtor: Name
    creditor: Name
    amount: Positive
    due: date
    payments: tuple[PaymentSpec, ...] = ()


class LadderSpec(Model):
    """Days after a debt was due on which its debtor is warned, fined and suspended; the fine as a share of it, and besides."""

    warned_days: Annotated[int, Field(ge=1)] = 1
    fined_days: Annotated[int, Field(ge=1)] = 8
    suspended_days: Annotated[int, Field(ge=1)] = 15
    fine_share: NonNegative = 0.05
    fine_fixed: NonNegative = 0.0


class LedgerSpec(Model):
    """A trade ledger: platforms put trades between customers of several utilities, and utilities record what they measured.

    Its platforms and utilities are those who name it.  rule: who gets what of a meter on which several trades were made.
    basis: whether the lesser of what both utilities recorded is settled, or what was agreed, so that deviations are theirs.
    sequential: a trade that was bought is allocated no more than was sold of it.  after_h: hours after delivery at which the
    sellers' utility records, the buyers' does, trades are settled, and customers are billed.  blocking: both utilities have to
    confirm a trade before it counts.  debts: who is suspended by the ladder puts nothing, and nothing is put for it.
    """

    name: Name
    rule: Literal["PRO_RATA", "FIFO"] = "PRO_RATA"
    basis: Literal["MIN_OF_TWO", "CONTRACTED"] = "MIN_OF_TWO"
    sequential: bool = False
    after_h: tuple[NonNegative, NonNegative, NonNegative, NonNegative] = (2, 4, 6, 8)
    blocking: bool = False
    ladder: LadderSpec = LadderSpec()
    debts: tuple[DebtSpec, ...] = ()


class DistributorSpec(Model):
    """A distribution utility that approves and locks trades between meters, reads them, and may curtail.

    deviation: contract between it and whoever plays a role in a trade, about what the meter says beyond or short of the trade.
    settles: trades with customers of other utilities.
    """

    name: Name
    wheeling_per_kwh: NonNegative = 0.0
    deviation: dict[Role, Name] = {}  # noqa: RUF012  pydantic copies it
    settles: DeskSpec | None = unless(None)
    meters: Annotated[tuple[TradedMeterSpec, ...], Field(min_length=1)]
    diary: tuple[DiarySpec, ...] = ()
