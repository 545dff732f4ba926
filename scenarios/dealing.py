"""From providers, seekers and distributors in the scenario to participants that deal with each other one to one.

Contract templates, items, devices, errands and diaries are made in modules of their own (``deal_*``), whose faults are told
together; names that contradict each other are found in ``deal_checks``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from agents.admissions import Admissions
from agents.distributor import Distributor, TradedMeter
from agents.plan import Plan
from agents.provider import Provider
from agents.respondent import Answer
from agents.seeker import Seeker
from agents.till import Till
from agents.twins.ev import EVTwin
from scenarios.deal_checks import deal_faults
from scenarios.deal_contracts import DealContracts
from scenarios.deal_devices import DealDevices, Placed
from scenarios.deal_diaries import diary_of
from scenarios.deal_errands import DealErrands
from scenarios.deal_items import DealItems
from scenarios.enrolments import Enrolments
from scenarios.faults import Faults
from scenarios.foundation import Foundation
from scenarios.ledgers import books_of, customer_of, ledger_faults, ledgers_of
from scenarios.names import CATALOGUE
from scenarios.parties import AnswerSpec, CarSpec, DistributorSpec, ProviderSpec, SeekerSpec
from sim.device import Device
from sim.errors import Fault, ScenarioError, nearest
from sim.participant import Participant
from sim.wire.bags import ENERGY, SupportInfo
from sim.wire.core import Descriptor
from sim.wire.core import Provider as WireProvider

PROVIDERS_AFTER_S, SEEKERS_AFTER_S = 5, 60
"""Providers have published before anybody looks."""


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


class _Settlement:
    """Builds the parties of one scenario; lives as long as that takes."""

    def __init__(self, foundation: Foundation) -> None:
        scenario = foundation.scenario
        self._foundation = foundation
        self._scenario = scenario
        self._calendar = foundation.calendar
        self._faults = Faults()
        self._enrolments = Enrolments(scenario, foundation.calendar)
        self._devices = DealDevices(foundation, self._faults)
        self._faults += [*deal_faults(scenario), *ledger_faults(scenario)]
        contracts = DealContracts(scenario, self._faults)
        self._items = DealItems(foundation, contracts, self._devices, self._faults)
        self._errands = DealErrands(foundation, self._enrolments, self._faults)

    def parties(self) -> Parties:
        """Everybody, or every fault."""
        scenario = self._scenario
        providers = [self._provider(spec, f"providers[{k}]") for k, spec in enumerate(scenario.providers)]
        seekers = [self._seeker(spec, f"seekers[{k}]") for k, spec in enumerate(scenario.seekers)]
        distributors = [self._distributor(spec, f"distributors[{k}]") for k, spec in enumerate(scenario.distributors)]
        self._faults += self._unknown_meters()
        if self._faults:
            raise ScenarioError(scenario.name, tuple(self._faults))
        arrivals = (
            *((one, 0) for one in ledgers_of(self._foundation)),
            *((make(), 0) for make in distributors),
            *((make(), PROVIDERS_AFTER_S) for make in providers),
            *((make(), SEEKERS_AFTER_S) for make in seekers),
        )
        return Parties(arrivals, tuple(self._devices.placed), self._read_by())

    # providers

    def _provider(self, spec: ProviderSpec, where: str) -> Callable[[], Provider]:
        items = [self._items.offered(spec, item, f"{where}.items[{k}]") for k, item in enumerate(spec.items)]
        diary = diary_of(spec.diary, f"{where}.diary", Provider.VERBS, self._calendar, self._faults)
        support = self._faults.tried(f"{where}.support", functools.partial(_support, spec)) if spec.support else None
        foundation = self._foundation
        return lambda: Provider(
            foundation.world,
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

    # seekers

    def _seeker(self, spec: SeekerSpec, where: str) -> Callable[[], Seeker]:
        device = self._devices.place(spec.device, spec.name, spec.name, f"{where}.device")
        errands = [self._errands.errand(spec, one, f"{where}.errands[{k}]") for k, one in enumerate(spec.errands)]
        utility = customer_of(self._scenario, spec.name)
        foundation = self._foundation
        return lambda: Seeker(
            foundation.world,
            spec.name,
            foundation.ids(spec.name),
            errands=errands,
            calendar=self._calendar,
            device=device,
            plan=self._plan(spec, device),
            answers=[_answer(one) for one in spec.answers],
            ledger=spec.records_in or "",
            utility="" if utility is None else utility.utility,
        )

    def _plan(self, spec: SeekerSpec, device: Device | None) -> Plan | None:
        """When a car is charged; None for whatever needs no plan."""
        if device is None or not isinstance(spec.device, CarSpec) or not isinstance(device.twin, EVTwin):
            return None
        return Plan(device.twin, self._calendar, spec.device.plan)

    # distributors

    def _distributor(self, spec: DistributorSpec, where: str) -> Callable[[], Distributor]:
        foundation = self._foundation
        diary = diary_of(spec.diary, f"{where}.diary", Distributor.VERBS, self._calendar, self._faults)
        deviation = {
            str(role): item
            for role, contract in spec.deviation.items()
            if (item := self._items.beside(spec, role, contract, f"{where}.deviation.{role}")) is not None
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

    def _till(self) -> Callable[[Participant], Till]:
        world = self._foundation.world
        return functools.partial(
            Till,
            calendar=self._calendar,
            currency=self._scenario.currency,
            ledger=world.ledger,
            log=world.log,
        )

    # meters

    def _read_by(self) -> Mapping[str, Sequence[str]]:
        """Providers read the meters of their own devices and those they may; distributors all of theirs."""
        found = {one.name: _meters_of(one) for one in self._scenario.providers}
        found |= {one.name: [meter.name for meter in one.meters] for one in self._scenario.distributors}
        return {reader: meters for reader, meters in found.items() if meters}

    def _unknown_meters(self) -> Iterator[Fault]:
        known = {placed.device.era for placed in self._devices.placed}
        for k, provider in enumerate(self._scenario.providers):
            for n, meter in enumerate(provider.reads):
                yield from _unknown_meter(f"providers[{k}].reads[{n}]", meter, known)
            for n, item in enumerate(provider.items):
                if item.meter is not None:
                    yield from _unknown_meter(f"providers[{k}].items[{n}].meter", item.meter, known)
        for k, distributor in enumerate(self._scenario.distributors):
            for n, one in enumerate(distributor.meters):
                yield from _unknown_meter(f"distributors[{k}].meters[{n}].name", one.name, known)


def _unknown_meter(where: str, meter: str, known: Collection[str]) -> Iterator[Fault]:
    if meter not in known:
        yield Fault(where, f"no device has a meter {meter}", nearest(meter, known))


def _meters_of(spec: ProviderSpec) -> list[str]:
    """The meters that a provider can read: of its own devices, and those of others that it may."""
    return [*(item.name for item in spec.items if item.device is not None), *spec.reads]


def _support(spec: ProviderSpec) -> SupportInfo:
    """Raises ``msgspec.ValidationError`` for what is no support."""
    return msgspec.convert({"@context": ENERGY, "@type": "SupportInfo", **spec.support}, SupportInfo)


def _answer(spec: AnswerSpec) -> Answer:
    return Answer(
        after_s=round(spec.after_min * 60),
        levels=spec.levels,
        kw=spec.kw,
        opts_out_s=None if spec.opts_out_min is None else round(spec.opts_out_min * 60),
    )
