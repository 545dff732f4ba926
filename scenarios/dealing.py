"""From providers, seekers and distributors in the scenario to participants that deal with each other one to one."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeVar

import msgspec
from msgspec import UNSET

from agents.admission import Admission
from agents.admissions import Admissions
from agents.baseline import Method
from agents.call import Call
from agents.deal import SIGNALS, Item
from agents.diary import Entry
from agents.distributor import Distributor, TradedMeter
from agents.enrolling import Application
from agents.errands import Errand, Vehicle
from agents.forecaster import ERROR_MODELS, Accuracy, Habits
from agents.plan import Plan
from agents.press import Press
from agents.provider import Provider
from agents.respondent import Answer
from agents.seeker import Seeker
from agents.till import Till
from agents.twins.battery import BatteryTwin
from agents.twins.connector import ConnectorTwin
from agents.twins.course import CourseTwin
from agents.twins.ev import EVTwin, Session
from agents.twins.reserve import Control, Droop, ReserveTwin, Setpoints
from agents.twins.yielding import YieldingTwin
from scenarios.deal_checks import deal_faults
from scenarios.enrolments import Enrolments
from scenarios.foundation import Foundation
from scenarios.frequency import frequency_of
from scenarios.ledgers import books_of, customer_of, ledger_faults, ledgers_of
from scenarios.names import CATALOGUE
from scenarios.offering import course_kw, intent_of, offer_of, resource_of
from scenarios.parties import (
    CarSpec,
    ConnectorSpec,
    ContractSpec,
    CourseSpec,
    DeviceSpec,
    DiarySpec,
    DistributorSpec,
    EnrolSpec,
    ErrandSpec,
    ItemSpec,
    Moment,
    PriceStep,
    ProviderSpec,
    ReserveSpec,
    SeekerSpec,
    SoldForecastSpec,
    YieldingSpec,
)
from scenarios.spec import Scenario
from scenarios.weather import AIR, Truth, customer, sky, weather_of
from sim.clock import DAY_S, Calendar
from sim.contracts.contract import Role, Template, Term
from sim.contracts.formula import compile_formula
from sim.device import Device, Twin
from sim.errors import DegsimError, Fault, ScenarioError, nearest
from sim.participant import Participant
from sim.tariff import prices_by_minute
from sim.wire.bags import (
    ENERGY,
    EnergyIntent,
    Position,
    PriceComponent,
    Route,
    ServicePreferences,
    ServiceRequestData,
    SupportInfo,
    Tariff,
    TariffElement,
    TariffRestrictions,
)
from sim.wire.core import Descriptor, Offer, Resource
from sim.wire.core import Provider as WireProvider
from sim.wire.search.service_request import compiled

PROVIDERS_AFTER_S, SEEKERS_AFTER_S = 5, 60
"""Providers have published before anybody looks."""
OTHER_ROLE = {"BUYER": "SELLER", "SELLER": "BUYER"}
"""What a provider is to a taker of an open role."""
T = TypeVar("T")
Templates = Mapping[str, tuple[ContractSpec, tuple[Term, ...]]]


@dataclass(frozen=True, slots=True)
class Placed:
    """A device of somebody who deals one to one: what kind it is, and whose."""

    device: Device
    kind: str
    owner: str


@dataclass(frozen=True, slots=True)
class Parties:
    """Everybody who deals one to one.

    arrivals: participants, and how many seconds after the beginning they wake.  read_by: the meters that each may read.
    """

    arrivals: tuple[tuple[Participant, int], ...]
    devices: tuple[Placed, ...]
    read_by: Mapping[str, Sequence[str]]


def parties_of(foundation: Foundation) -> Parties:
    """The parties of a scenario.  Raises ``ScenarioError`` with everything that contradicts itself, by YAML path."""
    return _Settlement(foundation).parties()


def check_references(scenario: Scenario) -> None:
    """Raises ``ScenarioError`` for plots that nobody can draw."""
    from scenarios import catalog  # noqa: PLC0415  it names everything

    plots = catalog.LISTS["plots"]()
    faults = [
        Fault(f"outputs.plots[{number}]", f"no plot {plot}", nearest(plot, plots))
        for number, plot in enumerate(scenario.outputs.plots)
        if plot not in plots
    ]
    if faults:
        raise ScenarioError(scenario.name, tuple(faults))


class _Settlement:
    """Builds the parties of one scenario; lives as long as that takes."""

    def __init__(self, foundation: Foundation) -> None:
        self._foundation = foundation
        self._scenario = foundation.scenario
        self._calendar = foundation.calendar
        self._devices: list[Placed] = []
        self._faults: list[Fault] = []
        self._enrolments = Enrolments(self._scenario, self._calendar)
        spec = foundation.scenario.frequency
        self._frequency = (
            None
            if spec is None
            else frequency_of(spec, foundation.scenario.seed, self._calendar, self._second, self._faults)
        )

    def parties(self) -> Parties:
        """Everybody, or every fault."""
        scenario = self._scenario
        self._faults += [*deal_faults(scenario), *ledger_faults(scenario)]
        templates = self._templates()
        providers = [self._provider(spec, f"providers[{k}]", templates) for k, spec in enumerate(scenario.providers)]
        seekers = [self._seeker(spec, f"seekers[{k}]") for k, spec in enumerate(scenario.seekers)]
        distributors = [
            self._distributor(spec, f"distributors[{k}]", templates) for k, spec in enumerate(scenario.distributors)
        ]
        read_by = self._read_by()
        if self._faults:
            raise ScenarioError(scenario.name, tuple(self._faults))
        arrivals = (
            *((one, 0) for one in ledgers_of(self._foundation)),
            *((make(), 0) for make in distributors),
            *((make(), PROVIDERS_AFTER_S) for make in providers),
            *((make(), SEEKERS_AFTER_S) for make in seekers),
        )
        return Parties(arrivals, tuple(self._devices), read_by)

    # contracts

    def _templates(self) -> Templates:
        found = {}
        for number, spec in enumerate(self._scenario.contracts):
            terms = []
            for k, term in enumerate(spec.terms):
                formula = self._tried(
                    f"contracts[{number}].terms[{k}].formula",
                    functools.partial(compile_formula, term.formula, who=term.name),
                )
                if formula is not None:
                    terms.append(Term(term.name, Role(term.payer), Role(term.payee), formula))
            found[spec.name] = (spec, tuple(terms))
        return found

    def _tried(self, where: str, make: Callable[[], T]) -> T | None:
        try:
            return make()
        except (DegsimError, msgspec.ValidationError, ValueError) as error:
            told = error.faults if isinstance(error, DegsimError) else (Fault("", str(error)),)
            self._faults += [Fault(where, _within(fault), fault.remedy) for fault in told]
            return None

    def _template(
        self, item: ItemSpec, where: str, templates: Templates
    ) -> tuple[Template, Mapping[str, Decimal]] | None:
        if item.contract not in templates:
            known = nearest(item.contract, templates)
            self._faults.append(Fault(f"{where}.contract", f"no contract {item.contract}", known))
            return None
        spec, terms = templates[item.contract]
        values = {**spec.inputs, **item.inputs}
        named = dict.fromkeys(name for term in terms for name in term.formula.names)
        for name in item.inputs:
            if name not in named:
                what = f"{name} is no input of {spec.name}"
                self._faults.append(Fault(f"{where}.inputs", what, nearest(name, spec.inputs)))
        unknown = [name for name in named if name not in values and name not in SIGNALS]
        for name in unknown:
            known = nearest(name, [*values, *SIGNALS])
            self._faults.append(Fault(f"{where}.contract", f"{name} is neither an input nor a signal", known))
        roles = dict.fromkeys(role for term in terms for role in (term.payer, term.payee))
        inputs = {name: Decimal(repr(value)) for name, value in values.items() if name in named}
        if unknown:
            return None
        template = self._tried(
            f"{where}.contract",
            lambda: Template(
                spec.name,
                tuple(Role(role) for role in roles),
                terms,
                tuple(inputs),
                tuple(name for name in named if name not in inputs),
                spec.description,
            ),
        )
        return None if template is None else (template, inputs)

    # providers

    def _provider(
        self,
        spec: ProviderSpec,
        where: str,
        templates: Templates,
    ) -> Callable[[], Provider]:
        items = [self._item(spec, item, f"{where}.items[{k}]", templates) for k, item in enumerate(spec.items)]
        diary = self._diary(spec.diary, f"{where}.diary", ("interrupt", "resume", "withdraw", "publish", "extend"))
        support = (
            None
            if not spec.support
            else self._tried(
                f"{where}.support",
                lambda: msgspec.convert({"@context": ENERGY, "@type": "SupportInfo", **spec.support}, SupportInfo),
            )
        )
        foundation = self._foundation
        world = foundation.world
        return lambda: Provider(
            world,
            spec.name,
            foundation.ids(spec.name),
            items=[item for item in items if item is not None],
            listed=WireProvider(id=spec.name, descriptor=Descriptor(name=spec.name)),
            catalogue=CATALOGUE,
            calendar=self._calendar,
            currency=self._scenario.currency,
            till=self._till(),
            meters=_meters_of(spec),
            support=support,
            diary=diary,
            admissions=self._admissions(spec),
            ledger=spec.records_in or "",
        )

    def _admissions(self, spec: ProviderSpec) -> Admissions | None:
        """Whoever asks for an admission issues a credential of it."""
        if all(item.admission is None for item in spec.items):
            return None
        return Admissions(self._enrolments.office, self._enrolments.issuer(spec.name), self._calendar)

    def _call(self, provider: ProviderSpec, spec: ItemSpec, where: str) -> Call | None:
        call = spec.call
        if call is None:
            return None
        others = [item.name for item in provider.items if item.call is None]
        for place, name in (("holders_of", call.holders_of), ("serves", call.serves)):
            if name is not None and name not in others:
                self._faults.append(Fault(f"{where}.{place}", f"no item {name} in a catalogue", nearest(name, others)))
        method = self._tried(
            f"{where}.baseline", lambda: Method(call.baseline.x, call.baseline.y, call.baseline.adjust)
        )
        if method is None:
            return None
        start_s, end_s = (0 if moment is None else self._second(moment) for moment in (call.start, call.end))
        return Call(
            holders_of=call.holders_of,
            answer_s=round(call.answer_min * 60),
            method=method,
            level=call.level,
            at_s=None if call.at is None else self._second(call.at),
            serves=call.serves or "",
            start_s=start_s,
            end_s=end_s if end_s >= start_s else end_s + DAY_S,
            kw=call.kw,
            before_s=round(call.baseline.before_h * 3600),
        )

    def _item(
        self,
        provider: ProviderSpec,
        spec: ItemSpec,
        where: str,
        templates: Templates,
    ) -> Item | None:
        made = self._template(spec, where, templates)
        device = None if spec.device is None else self._placed(spec.device, spec.name, provider.name, f"{where}.device")
        press = None if spec.forecast is None else self._press(provider.name, spec.forecast, f"{where}.forecast")
        resource = self._tried(f"{where}.lists", functools.partial(resource_of, spec))
        prices = self._tried(f"{where}.tariff", functools.partial(prices_by_minute, self._tariff(spec)))
        offer = self._tried(
            f"{where}.offers",
            functools.partial(offer_of, provider.name, spec, self._scenario.currency, self._tariff(spec)),
        )
        if made is None or resource is None or prices is None or offer is None:
            return None
        template, inputs = made
        served = [item.call.serves for item in provider.items if item.call is not None]
        seller = None if provider.records_in is None else customer_of(self._scenario, spec.meter or spec.name)
        own = provider.name if seller is None else seller.meter
        parties: dict[str, str] = {OTHER_ROLE.get(spec.open_role, "SELLER"): own}
        parties |= {str(role): era for role, era in spec.parties.items()}
        for role in template.roles:
            if role not in parties and role != spec.open_role:
                self._faults.append(Fault(f"{where}.parties", f"nobody fills the role {role}"))
        return Item(
            name=spec.name,
            listed=resource,
            offer=offer,
            template=template,
            open_role=Role(spec.open_role),
            parties=parties,
            inputs=inputs,
            prices=prices,
            delivery=spec.delivery,
            billing=spec.billing,
            device=device,
            meter=spec.meter or (spec.name if device is not None or spec.name in served else ""),
            quantity_kwh=spec.quantity_kwh,
            press=press,
            quantity_kw=spec.device.kw if isinstance(spec.device, ReserveSpec) else 0.0,
            prepaid=spec.prepaid,
            grace_s=round(spec.grace_min * 60),
            free_s=round(spec.free_min * 60),
            approver=spec.approved_by or "",
            admission=None
            if spec.admission is None
            else Admission(spec.admission.programme, spec.admission.credentials, spec.admission.consents),
            call=self._call(provider, spec, f"{where}.call"),
            seller=seller,
        )

    def _press(self, era: str, spec: SoldForecastSpec, where: str) -> Press | None:
        scenario, calendar, horizon_s = self._scenario, self._calendar, spec.horizon_h * 3600
        topic = {"PV": sky, "LOAD": customer}.get(spec.variable, lambda _: AIR)(spec.column)
        weather_of(scenario, calendar)  # which says what is wrong with the times of a scenario
        try:
            series = Truth(scenario, calendar, horizon_s).series(topic)
        except IndexError:
            self._faults.append(Fault(f"{where}.column", f"the profiles have no column {spec.column}"))
            return None
        valid_s = None if spec.valid_h is None else round(spec.valid_h * 3600)
        accuracy = Accuracy(spec.sd, spec.correlation, spec.bias)
        habits = Habits(ERROR_MODELS[spec.model], accuracy, spec.refresh_h * 3600, horizon_s, 0, valid_s)
        return Press(era, topic, series, habits, scenario.seed, calendar)

    def _tariff(self, spec: ItemSpec) -> Tariff:
        steps = spec.tariff or (PriceStep.model_validate({"price": spec.price or 0.0}),)
        return Tariff(
            ENERGY,
            currency=self._scenario.currency,
            direction="IMPORT",
            elements=tuple(
                TariffElement(
                    priceComponents=(PriceComponent(type="ENERGY", price=step.price),),
                    restrictions=TariffRestrictions(startTime=step.start, endTime=step.end),
                )
                for step in steps
            ),
        )

    # devices

    def _placed(self, spec: DeviceSpec, name: str, owner: str, where: str) -> Device | None:
        buses = self._foundation.feeder.buses
        if spec.bus not in buses:
            self._faults.append(Fault(f"{where}.bus", f"no bus {spec.bus}", nearest(spec.bus, buses)))
            return None
        twin = self._tried(where, functools.partial(self._twin, spec))
        if twin is None:
            return None
        device = Device(name, spec.bus, self._foundation.node_at(spec.bus), twin)
        self._devices.append(Placed(device, spec.kind, owner))
        return device

    def _twin(self, spec: DeviceSpec) -> Twin:
        match spec:
            case YieldingSpec():
                return YieldingTwin(self._yielding_kw(spec), spec.least_kw)
            case ReserveSpec():
                return self._reserve(spec)
            case ConnectorSpec():
                return ConnectorTwin(spec.kw)
            case CourseSpec():
                return CourseTwin([course_kw(spec, self._calendar, i.start_s) for i in self._calendar.intervals()])
            case CarSpec():
                comes_s, leaves_s = self._second(spec.comes), self._second(spec.leaves)
                session = Session(comes_s, leaves_s if leaves_s > comes_s else leaves_s + DAY_S, spec.need_kwh)
                return EVTwin(
                    capacity_kwh=spec.capacity_kwh,
                    charge_kw=spec.kw,
                    charge_efficiency=spec.efficiency,
                    target_soc=1.0,
                    sessions=(session,),
                )

    def _yielding_kw(self, spec: YieldingSpec) -> list[float]:
        """A course, of which every day of the run has its own share."""
        course, first = CourseSpec(kind="course", bus=spec.bus, power=spec.power), self._calendar.local(0).date()
        shares = dict(enumerate(spec.days))
        return [
            course_kw(course, self._calendar, i.start_s)
            * shares.get((self._calendar.local(i.start_s).date() - first).days, 1.0)
            for i in self._calendar.intervals()
        ]

    def _reserve(self, spec: ReserveSpec) -> ReserveTwin:
        """A battery held ready.  Raises ``ValueError`` for one that follows a frequency which the scenario does not have."""
        control: Control = Setpoints()
        if spec.follows == "frequency":
            if self._frequency is None:
                raise ValueError("follows a frequency, of which the scenario says nothing; add frequency: {}")
            control = Droop(self._frequency, spec.droop, spec.dead_band_hz)
        battery = BatteryTwin(
            capacity_kwh=spec.capacity_kwh,
            charge_kw=spec.kw,
            discharge_kw=spec.kw,
            charge_efficiency=spec.efficiency,
            discharge_efficiency=spec.efficiency,
            soc=spec.soc,
        )
        return ReserveTwin(
            battery,
            control,
            direction=spec.direction,
            ramp_kw_per_s=spec.ramp_kw_per_s or math.inf,
            sustain_s=spec.sustain_min * 60,
        )

    # seekers

    def _seeker(self, spec: SeekerSpec, where: str) -> Callable[[], Seeker]:
        device = None if spec.device is None else self._placed(spec.device, spec.name, spec.name, f"{where}.device")
        plan = None
        if isinstance(spec.device, CarSpec) and device is not None and isinstance(device.twin, EVTwin):
            plan = Plan(device.twin, self._calendar, spec.device.plan)
        errands = [self._errand(spec, one, f"{where}.errands[{k}]") for k, one in enumerate(spec.errands)]
        utility = customer_of(self._scenario, spec.name)
        foundation = self._foundation
        return lambda: Seeker(
            foundation.world,
            spec.name,
            foundation.ids(spec.name),
            errands=errands,
            calendar=self._calendar,
            device=device,
            plan=plan,
            answers=[
                Answer(
                    after_s=round(one.after_min * 60),
                    levels=one.levels,
                    kw=one.kw,
                    opts_out_s=None if one.opts_out_min is None else round(one.opts_out_min * 60),
                )
                for one in spec.answers
            ],
            ledger=spec.records_in or "",
            utility="" if utility is None else utility.utility,
        )

    def _errand(self, seeker: SeekerSpec, spec: ErrandSpec, where: str) -> Errand:
        at_s = self._second(spec.at)
        window = None
        if spec.start is not None or spec.end is not None:
            start_s = at_s if spec.start is None else self._second(spec.start)
            end_s = self._calendar.duration_s if spec.end is None else self._second(spec.end)
            window = (start_s, end_s if end_s > start_s else end_s + DAY_S)
        verbs = ("start", "stop", "status", "track", "cancel", "rate", "support", "set", "revoke_consent", "unenrol")
        vehicle = spec.vehicle
        known = {CATALOGUE, *(one.name for one in self._scenario.providers)}
        if spec.ask is not None and spec.ask not in known:
            self._faults.append(Fault(f"{where}.ask", f"nobody is called {spec.ask}", nearest(spec.ask, known)))
        wish = None if spec.request is None else self._wish(seeker.name, spec)
        return Errand(
            at_s=at_s,
            ask=spec.ask or CATALOGUE,
            intent=intent_of(spec.search) if wish is None else compiled(wish, self._calendar.timestamp(at_s)),
            choose=spec.choose,
            quote=spec.quote,
            kwh=spec.kwh or 0.0,
            kw=spec.kw or 0.0,
            window=window,
            meter=spec.meter or "",
            customer=None if seeker.records_in is None else customer_of(self._scenario, spec.meter or ""),
            place=spec.search.near,
            wish=wish,
            vehicle=None
            if vehicle is None
            else Vehicle(vehicle.need_kwh, vehicle.kw, vehicle.make or "", vehicle.model or ""),
            diary=self._diary(spec.diary, f"{where}.diary", verbs),
            application=None if spec.enrol is None else self._application(seeker.name, spec.enrol, f"{where}.enrol"),
        )

    def _application(self, era: str, spec: EnrolSpec, where: str) -> Application:
        meter = spec.meter or era
        shown = []
        for k, credential in enumerate(spec.credentials):
            make = functools.partial(self._enrolments.credential, credential, era, meter)
            document = self._tried(f"{where}.credentials[{k}]", make)
            if document is not None:
                shown.append((credential.type, document))
        return Application(era, meter, tuple(shown), spec.consents)

    def _wish(self, era: str, spec: ErrandSpec) -> EnergyIntent:
        assert spec.request is not None
        request, search = spec.request, spec.search
        points = [Position(lon=lon, lat=lat) for lon, lat in search.along]
        return EnergyIntent(
            ENERGY,
            intentId=f"{era}/{spec.at}",
            participantEra=era,
            intentType="SERVICE_REQUEST",
            serviceRequestData=ServiceRequestData(
                requiredKWh=spec.kwh or 0.0,
                deadline=self._calendar.timestamp(self._second(request.by)),
                maxWaitTimeMinutes=UNSET if request.wait_min is None else request.wait_min,
                route=Route(waypoints=tuple(points), radiusMeters=search.within_m or 0.0) if points else UNSET,
                location=UNSET if search.near is None else Position(lon=search.near[0], lat=search.near[1]),
                preferences=UNSET if request.price is None else ServicePreferences(maxPricePerKWh=request.price),
            ),
        )

    # distributors, diaries, moments

    def _distributor(self, spec: DistributorSpec, where: str, templates: Templates) -> Callable[[], Distributor]:
        foundation = self._foundation
        diary = self._diary(spec.diary, f"{where}.diary", ("curtail", "relieve"))
        deviation = {
            str(role): item
            for role, contract in spec.deviation.items()
            if (item := self._beside(spec, role, contract, f"{where}.deviation.{role}", templates)) is not None
        }
        return lambda: Distributor(
            foundation.world,
            spec.name,
            foundation.ids(spec.name),
            meters={meter.name: TradedMeter(meter.cap_kwh, meter.traded_kwh) for meter in spec.meters},
            wheeling_per_kwh=spec.wheeling_per_kwh,
            calendar=self._calendar,
            currency=self._scenario.currency,
            till=self._till(),
            deviation=deviation,
            diary=diary,
            books=books_of(foundation, spec),
        )

    def _beside(self, spec: DistributorSpec, role: str, contract: str, where: str, templates: Templates) -> Item | None:
        """What a distributor offers a party of every trade besides; it is in no catalogue."""
        name = f"{contract}/{role}"
        item = ItemSpec.model_validate({"name": contract, "lists": {}, "price": 0, "contract": contract})
        made = self._template(item, where, templates)
        if made is None:
            return None
        template, inputs = made
        parties: dict[str, str] = {Role.GRID_OPERATOR: spec.name}
        for party in template.roles:
            if party not in parties and party != role:
                self._faults.append(Fault(where, f"nobody fills the role {party}"))
        return Item(
            name=name,
            listed=Resource(id=name),
            offer=Offer(id=f"{spec.name}/{name}"),
            template=template,
            open_role=Role(role),
            parties=parties,
            inputs=inputs,
            prices=(0.0,) * 1440,
            delivery="window",
            billing="INCREMENTAL",
        )

    def _till(self) -> Callable[[Participant], Till]:
        world = self._foundation.world
        return functools.partial(
            Till,
            calendar=self._calendar,
            currency=self._scenario.currency,
            ledger=world.ledger,
            log=world.log,
        )

    def _read_by(self) -> Mapping[str, Sequence[str]]:
        """Providers read the meters of their own devices and those they may; distributors all of theirs."""
        known = {placed.device.era for placed in self._devices}
        found: dict[str, list[str]] = {}
        for k, provider in enumerate(self._scenario.providers):
            found[provider.name] = _meters_of(provider)
            for n, meter in enumerate(provider.reads):
                self._known_meter(f"providers[{k}].reads[{n}]", meter, known)
            for n, item in enumerate(provider.items):
                if item.meter is not None:
                    self._known_meter(f"providers[{k}].items[{n}].meter", item.meter, known)
        for k, distributor in enumerate(self._scenario.distributors):
            found[distributor.name] = [meter.name for meter in distributor.meters]
            for n, meter in enumerate(found[distributor.name]):
                self._known_meter(f"distributors[{k}].meters[{n}].name", meter, known)
        return {reader: meters for reader, meters in found.items() if meters}

    def _known_meter(self, where: str, meter: str, known: Iterable[str]) -> None:
        if meter not in known:
            self._faults.append(Fault(where, f"no device has a meter {meter}", nearest(meter, known)))

    def _diary(self, entries: Sequence[DiarySpec], where: str, verbs: Sequence[str]) -> tuple[Entry, ...]:
        made = []
        for k, entry in enumerate(entries):
            if entry.do not in verbs:
                self._faults.append(Fault(f"{where}[{k}].do", f"cannot {entry.do}", nearest(entry.do, verbs)))
            made.append(
                Entry(
                    do=entry.do,
                    at_s=None if entry.at is None else self._second(entry.at),
                    after_s=round((entry.after_min or 0) * 60),
                    every_s=round((entry.every_min or 0) * 60),
                    times=entry.times,
                    about=entry.item or "",
                    say=entry.say,
                )
            )
        return tuple(made)

    def _second(self, moment: Moment) -> int:
        """Simulated second of a local time: of the first day on which it comes, or with its date."""
        return second_of(moment, self._calendar)


def second_of(moment: Moment, calendar: Calendar) -> int:
    """Simulated second of a local time: the first that is not before the start, or the one of a date."""
    start = calendar.local(0)
    if isinstance(moment, datetime):
        return round((moment.replace(tzinfo=start.tzinfo) - start).total_seconds())
    hours, minutes = map(int, moment.split(":"))
    then = start.replace(hour=0, minute=0, second=0) + timedelta(hours=hours, minutes=minutes)
    seconds = round((then - start).total_seconds())
    return seconds if seconds >= 0 else seconds + DAY_S


def _within(fault: Fault) -> str:
    """What is wrong, and with which part: a term of a contract, a point of a formula."""
    return f"{fault.where}: {fault.what}" if fault.where else fault.what


def _meters_of(spec: ProviderSpec) -> list[str]:
    """The meters that a provider can read: of its own devices, and those of others that it may."""
    return [*(item.name for item in spec.items if item.device is not None), *spec.reads]
