"""The scenario file: what may stand in it, with units, bounds and defaults."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, WithJsonSchema, model_validator

from agents.forecaster import ERROR_MODELS
from agents.outlook import Variable
from scenarios.fields import CURRENCY_PATTERN, Finite, Model, Name, NonNegative, Positive, Share, TimeOfDay, unless
from scenarios.frequency import FrequencySpec
from scenarios.parties import ContractSpec, DistributorSpec, LedgerSpec, ProviderSpec, SeekerSpec
from scenarios.populations import Population
from sim.contracts import policies
from sim.errors import Fault, ScenarioError, nearest
from sim.market.policies.iterated import PER_PERCENT
from sim.market.problem import Sharing
from sim.wire.messages import ACTIONS

ROUND_HOPS = 4
"""Messages of one outcome: aggregate, assess, and their answers."""
OTHER_HOPS = 10
"""Messages from the gate to the last award beside these: nodes, the fallback, locks, awards, and 3 through an aggregator."""


class BranchLimits(Model):
    """What one transformer or line may carry where it differs from the rest; what is left out is as for all."""

    import_share: NonNegative | None = None
    export_share: NonNegative | None = None
    margin: Annotated[float, Field(ge=0, lt=1)] | None = None
    power_factor: Annotated[float, Field(gt=0, le=1)] | None = None
    side: Literal["lv", "hv"] | None = None
    derating: Annotated[float, Field(gt=0, le=1)] | None = None
    import_kw: NonNegative | None = unless(None)
    export_kw: NonNegative | None = unless(None)


class LimitedLine(BranchLimits):
    """A line that is a node of the tree of limits, under its own name or another.

    The name is needed where the line's own has characters that a participant's may not have.  max_i_ka: its rating in kA,
    in the place of what the network says or where it says nothing.
    """

    line: Annotated[str, Field(min_length=1)]
    name: Name | None = None
    max_i_ka: Annotated[float, Field(gt=0, le=1e4)] | None = None

    @property
    def node(self) -> str:
        """What the node is called."""
        return self.name or self.line


class Limits(Model):
    """What transformers and limited lines may carry, as shares of their rating in kVA, and what is kept free.

    The market's limits in kW follow from these and the branch's own losses.  margin is kept free for line losses, reactive
    power of the customers and wrong forecasts.  side: where the market's limit is metered, below the branch (lv) or above it
    (hv).  import_kw, export_kw: what may flow there at most, whatever the rating would allow.  v_min_pu, v_max_pu: voltages
    that every bus has to keep (EN 50160: 0.9 to 1.1), less v_margin_pu for wrong forecasts.  derating: share of the nameplate
    that may be used, on top of what the network itself derates.  transformers: what differs, by name; of three windings
    ``NAME mv`` and ``NAME lv``.  lines: those that are limited at all.
    """

    import_share: NonNegative = 1.0
    export_share: NonNegative = 1.0
    margin: Annotated[float, Field(ge=0, lt=1)] = 0.05
    power_factor: Annotated[float, Field(gt=0, le=1)] = 1.0
    side: Literal["lv", "hv"] = "lv"
    derating: Annotated[float, Field(gt=0, le=1)] = 1.0
    import_kw: NonNegative | None = unless(None)
    export_kw: NonNegative | None = unless(None)
    v_min_pu: Annotated[float, Field(gt=0.5, lt=1)] = 0.9
    v_max_pu: Annotated[float, Field(gt=1, lt=1.5)] = 1.1
    v_margin_pu: Annotated[float, Field(ge=0, lt=0.1)] = 0.0
    transformers: dict[str, BranchLimits] = {}  # noqa: RUF012  pydantic copies it
    lines: tuple[LimitedLine, ...] = ()

    @model_validator(mode="after")
    def _lines_differ(self) -> Self:
        for what, stated in (
            ("line", [line.line for line in self.lines]),
            ("name", [line.node for line in self.lines]),
        ):
            repeated = sorted({value for value in stated if stated.count(value) > 1})
            if repeated:
                raise ValueError(f"lines: several have the {what} {', '.join(repeated)}")
        return self

    def nodes(self) -> dict[str, str]:
        """The limited lines by name, with the name of the node of each."""
        return {line.line: line.node for line in self.lines}

    def limits_of(self, name: str) -> Limits:
        """What holds for one branch, by the name of its node: nothing more specific stands in it."""
        own: BranchLimits | None = next((line for line in self.lines if line.node == name), self.transformers.get(name))
        shared = tuple(BranchLimits.model_fields)
        stated = {key: getattr(own, key, None) for key in shared}
        return Limits(**{key: getattr(self, key) if value is None else value for key, value in stated.items()})


class SourceSpec(Model):
    """The external grid of a described feeder, in kV and per unit of it; short_circuit_mva: default without limit."""

    bus: Name = "grid"
    kv: Positive
    v_pu: Annotated[float, Field(gt=0.5, lt=1.5)] = 1.0
    short_circuit_mva: Positive | None = None


class DescribedTransformer(Model):
    """Equal units in parallel of a pandapower standard type; from: default the source's bus."""

    type: str
    upper: Annotated[Name | None, Field(alias="from")] = None
    lower: Annotated[Name, Field(alias="to")]
    parallel: Annotated[int, Field(ge=1, le=100)] = 1


class DescribedLine(Model):
    """Equal cables or overhead lines in parallel of a pandapower standard type; to: default a bus of the line's own name."""

    type: str
    start: Annotated[Name, Field(alias="from")]
    end: Annotated[Name | None, Field(alias="to")] = None
    km: Positive
    parallel: Annotated[int, Field(ge=1, le=100)] = 1


class DescribedChain(Model):
    """Buses in a row, km apart, called by the chain's name and a number from 1 on."""

    type: str
    start: Annotated[Name, Field(alias="from")]
    buses: Annotated[int, Field(ge=1, le=10_000)]
    km: Positive
    parallel: Annotated[int, Field(ge=1, le=100)] = 1


class DescribedFeeder(Model):
    """A radial feeder in words.  sites: buses at which customers stand, default every bus that a line leads to."""

    source: SourceSpec
    transformers: dict[Name, DescribedTransformer] = {}  # noqa: RUF012  pydantic copies it
    lines: dict[Name, DescribedLine] = {}  # noqa: RUF012  pydantic copies it
    chains: dict[Name, DescribedChain] = {}  # noqa: RUF012  pydantic copies it
    sites: tuple[Name, ...] | None = None


class TapChangerSpec(Model):
    """A transformer that turns its taps under load to keep the voltage below it within a band, per unit."""

    transformer: str
    low_pu: Annotated[float, Field(gt=0.5, lt=1.5)]
    high_pu: Annotated[float, Field(gt=0.5, lt=1.5)]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.low_pu < self.high_pu:
            raise ValueError(f"low_pu {self.low_pu} must be below high_pu {self.high_pu}")
        return self


class FeederSpec(Model):
    """The wires: a feeder by name, by SimBench code, by path of a pandapower JSON file, or described here.

    transformer_type: a pandapower standard type to put in the place of the feeder's transformer.  profiles: data set that
    households and roofs follow.  reference_every: in so many intervals one is compared with pandapower's own power flow.
    phases: 3 solves every phase for itself, 1 takes them for equal.
    """

    name: str
    described: DescribedFeeder | None = None
    phases: Literal[1, 3] = 1
    profiles: str = "simbench-semiurb4"
    transformer_type: str | None = None
    tap_changers: tuple[TapChangerSpec, ...] = ()
    reference_every: Annotated[int, Field(ge=1)] = 48
    limits: Limits = Limits()


class GridEventSpec(Model):
    """Something that happens to the grid at a local time: one of switch, line, transformer or tap, by name.

    state: open or closed of a switch, in or out of service of a line or transformer.  position: of a tap.  The interval in
    which it happens is lived through as if it had happened at its beginning.
    """

    at: datetime
    switch: str | None = None
    line: str | None = None
    transformer: str | None = None
    tap: str | None = None
    state: Literal["open", "closed", "in", "out"] | None = None
    position: int | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        named = [kind for kind in ("switch", "line", "transformer", "tap") if getattr(self, kind) is not None]
        if len(named) != 1:
            raise ValueError("name one of switch, line, transformer and tap")
        states = {"switch": ("open", "closed"), "tap": ()}.get(named[0], ("in", "out"))
        if named[0] == "tap" and (self.position is None or self.state is not None):
            raise ValueError("a tap goes to a position")
        if named[0] != "tap" and (self.state not in states or self.position is not None):
            raise ValueError(f"state of a {named[0]}: expected {' or '.join(states)}")
        if self.at.tzinfo is not None:
            raise ValueError("at: give local time without an offset; time_zone says the rest")
        return self


class SiteSpec(Model):
    """One connection point by name and bus."""

    era: Name
    bus: str


class AggregatorSpec(Model):
    """An aggregator that populations and other aggregators can name as their host.

    host: the aggregator that it trades with itself, default the market; to any depth.  ahead_s: by how many seconds the
    curves of its members are due before its own; their gate closes half-way.

    A charge point operator adds margin_per_kwh to the price on the way to a car (and takes it off on the way back), keeps
    its site within site_limit_kw either way, and has connectors of so many kW each; cars beyond them wait.  Without connectors
    every car has one that does not limit it.
    """

    name: Name
    host: Name | None = unless(None)
    ahead_s: Annotated[int, Field(ge=20)] = unless(60)
    fee_per_kwh: NonNegative = 0.0
    kind: Literal["aggregator", "charge_point_operator"] = unless("aggregator")
    margin_per_kwh: NonNegative = unless(0.0)
    site_limit_kw: Positive | None = unless(None)
    connectors: tuple[Positive, ...] = unless(())

    @model_validator(mode="after")
    def _of_its_kind(self) -> Self:
        own = ("margin_per_kwh", "site_limit_kw", "connectors")
        stated = [name for name in own if getattr(self, name)]
        if self.kind == "aggregator" and stated:
            raise ValueError(f"{', '.join(stated)}: of a charge_point_operator only")
        return self


class TariffElementSpec(Model):
    """A price per kWh, from one local time of day to another; without times, always."""

    price: Finite
    start: TimeOfDay = Field("00:00", alias="from")
    end: TimeOfDay = Field("24:00", alias="to")


class TariffsSpec(Model):
    """Money: the retailer's prices, and what grid, market and state take per kWh; tax_rate is a share of the energy price."""

    currency: Annotated[str, Field(pattern=CURRENCY_PATTERN)]
    imports: Annotated[tuple[TariffElementSpec, ...], Field(alias="import", min_length=1)]
    exports: Annotated[tuple[TariffElementSpec, ...], Field(alias="export", min_length=1)]
    wheeling_per_kwh: NonNegative = 0.0
    fee_per_kwh: NonNegative = 0.0
    penalty_per_kwh: NonNegative = 0.0
    tax_rate: NonNegative = 0.0


class UtilisationSpec(Model):
    """An adder in proportion to how much of its limit a node uses: per_percent a percent, in whichever direction.

    threshold_percent: of the limit, up to which there is none.

    damping: share of the way that it goes with each reading.  signed: whether it is below zero where the flow is an export.
    late: by how many intervals the reading that it follows is older than the newest.
    """

    rule: Literal["utilisation"]
    per_percent: NonNegative = PER_PERCENT
    threshold_percent: NonNegative = unless(0.0)
    damping: Annotated[float, Field(gt=0, le=1)] = 1.0
    signed: bool = False
    late: Annotated[int, Field(ge=0, le=48)] = 0


class AscentSpec(Model):
    """An adder that rises by rate for each kW above the limit, and falls by it for each kW below, of imports and of exports.

    late: by how many intervals the reading that it follows is older than the newest.
    """

    rule: Literal["ascent"]
    rate: Positive
    late: Annotated[int, Field(ge=0, le=48)] = 0


class OffsetSpec(Model):
    """Power that the grid operator commands to be moved below a node, + towards injection, from one local time to another.

    from, to: default the whole run.
    """

    node: Name
    kw: Finite
    start: Annotated[datetime | None, Field(alias="from")] = None
    end: Annotated[datetime | None, Field(alias="to")] = None

    @model_validator(mode="after")
    def _local(self) -> Self:
        if any(moment is not None and moment.tzinfo is not None for moment in (self.start, self.end)):
            raise ValueError("from, to: give local time without an offset; time_zone says the rest")
        if self.start is not None and self.end is not None and not self.start < self.end:
            raise ValueError(f"from {self.start} must be before to {self.end}")
        return self


class MarketSpec(Model):
    """How the market clears.  confirm_s, gate_s: seconds before delivery by which curves are due and the gate closes.

    policy, fallback: a name from ``degsim list policies`` or ``module:function``.  k: where in an interval of equilibrium
    prices the price lies.  firm_share: from this share of an export limit on, cleared power is also the most that may be
    injected below it; before, more sun than forecast is welcome.  rounds_max: outcomes that the grid operator's power flow is
    asked about before the fallback clears; 0 to publish without asking.  losses: whether marginal losses are part of prices, or
    all losses are the grid operator's to buy.  sharing: who gets what where the price leaves several a choice: pro rata to what
    each could take, the same power to each, first come first served, or by lot.  adders: what every grid node announces
    that its price lies above that of the one above it, by what its own meter has read; only ``broadcast`` charges it.
    offsets: what grid nodes command to be moved below them; the market clears once more around it, which counts as one of
    rounds_max.
    """

    policy: str = "locational"
    fallback: str = "curtail-only"
    k: Share = 0.5
    price_floor: Finite = -1.0
    price_cap: Finite = 5.0
    firm_share: Share = 0.6
    confirm_s: Annotated[int, Field(ge=60)] = 300
    gate_s: Annotated[int, Field(ge=30)] = 120
    rounds_max: Annotated[int, Field(ge=0, le=10)] = 4
    losses: Literal["grid", "marginal"] = "grid"
    sharing: Sharing = unless("PRO_RATA")
    adders: Annotated[UtilisationSpec | AscentSpec, Field(discriminator="rule")] | None = unless(None)
    offsets: tuple[OffsetSpec, ...] = unless(())

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        nodes = [offset.node for offset in self.offsets]
        repeated = sorted({node for node in nodes if nodes.count(node) > 1})
        if repeated:
            raise ValueError(f"offsets: several of {', '.join(repeated)}; a node commands one at a time")
        if self.offsets and not self.rounds_max:
            raise ValueError("rounds_max: 1 at least, for offsets take one more clearing")
        if not self.price_floor < self.price_cap:
            raise ValueError(f"price_floor {self.price_floor} must be below price_cap {self.price_cap}")
        if not self.gate_s < self.confirm_s:
            raise ValueError(
                f"the gate closes {self.gate_s} s before delivery, before curves are due ({self.confirm_s} s)"
            )
        return self


class DelaySpec(Model):
    """A fault of the network: messages of ``from`` arrive by_s later than others; those that come too late are refused.

    action: default all of them.  since, until: local times from and before which they are sent; default always.
    """

    sender: Annotated[Name, Field(alias="from")]
    action: str | None = None
    by_s: Annotated[int, Field(ge=1)]
    since: datetime | None = None
    until: datetime | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.action is not None and self.action not in ACTIONS:
            raise ValueError(f"action: no action {self.action}, {nearest(self.action, ACTIONS)}")
        if any(moment is not None and moment.tzinfo is not None for moment in (self.since, self.until)):
            raise ValueError("since, until: give local times without an offset; time_zone says the rest")
        if self.since is not None and self.until is not None and not self.since < self.until:
            raise ValueError(f"since {self.since} must be before until {self.until}")
        return self


class WireSpec(Model):
    """The in-process network: seconds from sending to delivery.

    delays: faults that hold messages up.  sign: every message is signed by its sender and checked against a directory of keys
    by its recipient.  rate_limit: messages that one sender may have delivered within one second.
    """

    latency_s: Annotated[int, Field(ge=0, le=5)] = 1
    delays: tuple[DelaySpec, ...] = unless(())
    sign: bool = False
    rate_limit: Annotated[int, Field(ge=1)] | None = None


class SettlementSpec(Model):
    """How contracts end: their closing statements can be signed and disputed for challenge_s seconds.

    missing_signature: what silence until then means.  It speaks for the treasury and the utility too, which sign nothing:
    HOLD and ESCALATE leave every contract unsettled that has one of them for a party.
    """

    challenge_s: Annotated[int, Field(ge=60, le=7 * 24 * 3600)] = 900
    missing_signature: Literal["DEEMED_ACCEPT", "HOLD", "ESCALATE"] = "DEEMED_ACCEPT"


class OutputsSpec(Model):
    """What a run writes besides its journal and tables: plots by name."""

    plots: tuple[str, ...] = ()


class TemperatureSpec(Model):
    """Outdoor temperature in °C: a cosine around mean_c that is swing_c higher at warmest_h, and seeded spells of sd_c.

    Synthetic; no data set is behind it.
    """

    mean_c: Finite = 8.0
    swing_c: NonNegative = 4.0
    warmest_h: Annotated[float, Field(ge=0, le=24)] = 15.0
    sd_c: NonNegative = 1.5


class ForecastsSpec(Model):
    """A forecaster that publishes in the catalogue; bidders that can use what it says ask for it.

    model: a name from ``degsim list forecasts``.  sd, correlation, bias: of its error, as ``agents.forecaster.Accuracy`` says.
    A forecast is made anew every refresh_h and looks horizon_h ahead.  by: whether bidders ask the catalogue again when what
    they know is stale, or have it tell them.  pushed: variables of which they are told by the forecaster itself, outside the
    catalogue, in messages that are believed for their signature.  valid_h: for how long a forecast holds; default until the
    next one comes.
    """

    variables: Annotated[tuple[Variable, ...], Field(min_length=1)] = ("PV", "LOAD", "TEMPERATURE", "PRICE")
    model: str = "noise"
    sd: Annotated[float, Field(ge=0, le=10)] = 0.1
    correlation: Annotated[float, Field(ge=0, lt=1)] = 0.9
    bias: Annotated[float, Field(gt=-1, le=1000)] = 0.0
    refresh_h: Annotated[int, Field(ge=1)] = 6
    horizon_h: Annotated[int, Field(ge=1, le=168)] = 24
    by: Literal["DISCOVER", "SUBSCRIPTION"] = unless("DISCOVER")
    pushed: tuple[Variable, ...] = unless(())
    valid_h: Positive | None = unless(None)

    @model_validator(mode="after")
    def _known(self) -> Self:
        strangers = [variable for variable in self.pushed if variable not in self.variables]
        if strangers:
            raise ValueError(f"pushed: {', '.join(strangers)} is none of the variables that are forecast")
        if self.by == "DISCOVER" and self.valid_h is not None and self.valid_h < self.refresh_h:
            raise ValueError(
                f"valid_h: who asks after {self.valid_h:g} h would ask before the next forecast comes, after"
                f" {self.refresh_h} h; let them be told (by: SUBSCRIPTION)"
            )
        if self.model not in ERROR_MODELS:
            raise ValueError(f"model: no error model {self.model}, {nearest(self.model, ERROR_MODELS)}")
        if self.horizon_h < self.refresh_h:
            raise ValueError(
                f"horizon_h: {self.horizon_h} h end before the next forecast comes, {self.refresh_h} h later"
            )
        return self


class ApprovalSpec(Model):
    """What the utility lets a meter exchange with its grid [kW], until a local time, or until it is revoked.

    era: whose approval it is, default that of the meter's own name.  reason: of the revocation.
    """

    meter: Name
    era: Name | None = None
    export_kw: NonNegative
    import_kw: NonNegative
    net_metering: bool = False
    until: datetime | None = None
    revoked: datetime | None = None
    reason: str = "revoked"


class OutageSpec(Model):
    """Local times between which nobody answers."""

    start: Annotated[datetime, Field(alias="from")]
    end: Annotated[datetime, Field(alias="to")]


class EnrolmentSpec(Model):
    """A meter that takes part in a programme already, of whoever era is (default the meter's own)."""

    meter: Name
    programme: Name
    era: Name | None = None


class RegistrySpec(Model):
    """What the network registers, and when its registry cannot be reached.

    Policies ask it for ``prosumer.credentials.interconnectionApproval.valid`` and ``prosumer.gridConnection.exportLimitKW``; a
    contract whose approval is revoked in mid-run is terminated, and settled to date.  It is not where the keys of messages are.
    """

    approvals: tuple[ApprovalSpec, ...] = ()
    enrolments: tuple[EnrolmentSpec, ...] = unless(())
    outages: tuple[OutageSpec, ...] = ()

    @model_validator(mode="after")
    def _local_and_one_each(self) -> Self:
        times = [moment for one in self.approvals for moment in (one.until, one.revoked)]
        times += [moment for one in self.outages for moment in (one.start, one.end)]
        if any(moment is not None and moment.tzinfo is not None for moment in times):
            raise ValueError("give local times without an offset; time_zone says the rest")
        meters = [one.meter for one in self.approvals]
        repeated = sorted({meter for meter in meters if meters.count(meter) > 1})
        if repeated:
            raise ValueError(f"approvals: several are of the meter {', '.join(repeated)}")
        return self


class ObligationSpec(Model):
    """What a policy with a formula makes one role owe another at the end, for what the market's members consumed."""

    policy: str
    payer: Literal["SELLER", "GRID_OPERATOR"] = "SELLER"
    payee: Literal["GOVERNMENT", "GRID_OPERATOR"] = "GOVERNMENT"

    @model_validator(mode="after")
    def _two(self) -> Self:
        if self.payer == self.payee:
            raise ValueError(f"payer and payee: {self.payer} would pay itself")
        return self


Policies = Annotated[
    tuple[Annotated[dict[str, Any], WithJsonSchema(policies.schema())], ...],
    Field(
        exclude_if=lambda stated: not stated
    ),  # what is written of a run without them is as it was before there were any
]


class Scenario(Model):
    """A whole scenario.  start is local time in time_zone.  policies: as ``sim.contracts.policies.reader`` reads them.

    market, tariffs: of a local market; ``market: null`` for a scenario in which participants deal with each other alone, one to
    one, in a ``currency`` of their own.  contracts, providers, seekers, distributors: who deals with whom under which contract.
    ledgers: of trades between customers of several utilities.
    """

    name: Name
    description: str = ""
    start: datetime
    time_zone: str
    interval_min: Annotated[int, Field(ge=1, le=60)]
    duration_h: Annotated[int, Field(ge=1)]
    seed: Annotated[int, Field(ge=0)] = 1
    feeder: FeederSpec
    sites: tuple[SiteSpec, ...] | None = None
    grid_events: tuple[GridEventSpec, ...] = ()
    populations: tuple[Population, ...] = ()
    aggregators: tuple[AggregatorSpec, ...] = ()
    stated_tariffs: Annotated[TariffsSpec | None, Field(alias="tariffs", exclude_if=lambda stated: stated is None)] = (
        None
    )
    stated_market: Annotated[MarketSpec | None, Field(alias="market")] = MarketSpec()
    stated_currency: Annotated[str | None, Field(alias="currency", pattern=CURRENCY_PATTERN)] = unless(None)
    wire: WireSpec = WireSpec()
    settlement: SettlementSpec = SettlementSpec()
    policies: Policies = ()
    registry: RegistrySpec | None = unless(None)
    obligations: tuple[ObligationSpec, ...] = unless(())
    outputs: OutputsSpec = OutputsSpec()
    temperature: TemperatureSpec = unless(TemperatureSpec())
    forecasts: ForecastsSpec | None = unless(None)
    frequency: FrequencySpec | None = unless(None)
    contracts: tuple[ContractSpec, ...] = unless(())
    providers: tuple[ProviderSpec, ...] = unless(())
    seekers: tuple[SeekerSpec, ...] = unless(())
    distributors: tuple[DistributorSpec, ...] = unless(())
    ledgers: tuple[LedgerSpec, ...] = unless(())

    @model_validator(mode="before")
    @classmethod
    def _start_is_local(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("start"), datetime) and data["start"].tzinfo is not None:
            raise ValueError("start: give local time without an offset; time_zone says the rest")
        return data

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if 1440 % self.interval_min:
            raise ValueError(f"interval_min: {self.interval_min} minutes do not divide a day of 1440")
        if self.obligations and self.aggregators:
            raise ValueError("obligations: the meters of an aggregator's members are read by it alone; take it out")
        if self.forecasts is not None and self.forecasts.pushed and not self.wire.sign:
            raise ValueError("forecasts.pushed: what no catalogue lists is believed for its signature; needs wire.sign")
        if self.duration_h * 60 % self.interval_min:
            raise ValueError(
                f"duration_h: {self.duration_h} h are no whole number of {self.interval_min}-minute intervals"
            )
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"time_zone: {self.time_zone!r} is not an IANA time zone, such as Europe/Berlin") from None
        return self

    @model_validator(mode="after")
    def _market_fits(self) -> Self:
        if self.stated_market is None:
            return self._without_market()
        if self.stated_tariffs is None:
            raise ValueError("tariffs: is missing; what a market's retailer asks and pays")
        if self.stated_currency not in (None, self.tariffs.currency):
            raise ValueError(f"currency: the tariffs are in {self.tariffs.currency}")
        if not self.populations:
            raise ValueError("populations: is missing; nobody would trade in the market (market: null for none)")
        hops = OTHER_HOPS + ROUND_HOPS * self.market.rounds_max
        if self.market.gate_s <= hops * self.wire.latency_s:
            raise ValueError(
                f"market.gate_s: the outcome takes up to {hops * self.wire.latency_s} s to reach everybody ({hops} messages of"
                f" wire.latency_s), but delivery begins {self.market.gate_s} s after the gate; take fewer market.rounds_max"
            )
        if self.market.confirm_s - self.market.gate_s <= self.wire.latency_s:
            raise ValueError(
                f"market.confirm_s: curves sent {self.market.confirm_s - self.market.gate_s} s before the gate arrive"
                f" after it (wire.latency_s is {self.wire.latency_s})"
            )
        if self.market.confirm_s + 120 >= self.interval_min * 60:
            raise ValueError(
                f"market.confirm_s: curves due {self.market.confirm_s} s ahead leave no room in {self.interval_min} minutes;"
                f" at most {self.interval_min * 60 - 121}"
            )
        return self

    def _without_market(self) -> Self:
        for key in ("tariffs", "aggregators", "populations", "forecasts"):
            if getattr(self, "stated_tariffs" if key == "tariffs" else key):
                raise ValueError(f"{key}: are of a market, and this scenario has none (market: null)")
        if self.stated_currency is None:
            raise ValueError("currency: is missing; without a market's tariffs nothing else says it")
        if not self.providers:
            raise ValueError("providers: is missing; without a market somebody has to offer something")
        return self

    @property
    def currency(self) -> str:
        """What all money of the scenario is counted in."""
        return self.stated_currency or self.tariffs.currency

    @property
    def has_market(self) -> bool:
        """Whether there is a local market; else participants deal with each other alone."""
        return self.stated_market is not None

    @property
    def market(self) -> MarketSpec:
        """The market.  Raises ``ScenarioError`` where there is none, for whatever needs one."""
        if self.stated_market is None:
            raise ScenarioError(
                self.name, (Fault("market", "this scenario has none", "only one with a market will do"),)
            )
        return self.stated_market

    @property
    def tariffs(self) -> TariffsSpec:
        """The retailer's prices, of a scenario with a market.  Raises ``ScenarioError`` as ``market`` does."""
        self.market  # noqa: B018  which raises
        assert self.stated_tariffs is not None
        return self.stated_tariffs
