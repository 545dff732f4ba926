"""The registry of a scenario: connections that the utility has approved, what is revoked, and when nobody answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from agents.standing import Standing, revocation_id
from scenarios.spec import RegistrySpec, Scenario
from sim.clock import DAY_S, Calendar
from sim.errors import Fault, ScenarioError, nearest
from sim.trust.client import DirectoryClient, Transport, in_process
from sim.trust.directory import Directory
from sim.trust.registries import Enrolment, Interconnection, publish, revoke
from sim.trust.stamps import rfc3339, unix_s

NETWORK = "network"
"""Namespace of what the network as a whole registers."""


def standing_of(scenario: Scenario, calendar: Calendar) -> Standing | None:
    """What hosts ask about meters; None where the scenario registers nothing."""
    if scenario.registry is None:
        return None
    directory = directory_of(scenario.registry, calendar)
    client = DirectoryClient(answering(directory, scenario.registry, calendar), NETWORK)
    return Standing(client, calendar)


def answering(directory: Directory, spec: RegistrySpec, calendar: Calendar) -> Transport:
    """How a directory is asked, but for the times at which nobody can reach it."""
    return _with_outages(spec, calendar, in_process(directory, lambda: 0))


def directory_of(spec: RegistrySpec, calendar: Calendar) -> Directory:
    """A directory in which approvals and enrolments stand from a day before the run on."""
    directory, since = Directory(), calendar.unix(-DAY_S)
    for stated in spec.approvals:
        until = None if stated.until is None else _unix(stated.until, calendar)
        approval = Interconnection(
            era=stated.era or stated.meter,
            meterId=stated.meter,
            exportLimitKW=stated.export_kw,
            importLimitKW=stated.import_kw,
            netMetering=stated.net_metering,
            validUntil=None if until is None else rfc3339(until),
        )
        publish(directory, NETWORK, stated.meter, approval, since, valid_till_s=until)
        if stated.revoked is not None:
            revoke(directory, NETWORK, revocation_id(stated.meter), stated.reason, _unix(stated.revoked, calendar))
    for taken in spec.enrolments:
        enrolment_id = f"{taken.programme}/{taken.meter}"
        enrolled = Enrolment(
            meterId=taken.meter, programId=taken.programme, enrollmentId=enrolment_id, era=taken.era or taken.meter
        )
        publish(directory, NETWORK, taken.meter, enrolled, since)
    return directory


def check_registry(scenario: Scenario, meters: Iterable[str]) -> None:
    """Raises ``ScenarioError`` for approvals of meters that nobody has."""
    known = tuple(meters)
    faults = tuple(_strangers(scenario, known))
    if faults:
        raise ScenarioError(scenario.name, faults)


def _strangers(scenario: Scenario, known: tuple[str, ...]) -> Iterator[Fault]:
    for number, stated in enumerate(scenario.registry.approvals if scenario.registry else ()):
        if stated.meter not in known:
            yield Fault(f"registry.approvals[{number}].meter", f"no meter {stated.meter}", nearest(stated.meter, known))


def _with_outages(spec: RegistrySpec, calendar: Calendar, get: Transport) -> Transport:
    """The same directory, that nobody can reach at some times.  Every question has to say which moment it is about."""
    outages = [(_unix(outage.start, calendar), _unix(outage.end, calendar)) for outage in spec.outages]

    def ask(path: str, query: Mapping[str, str]) -> tuple[int, bytes]:
        moment = unix_s(query["as_on"])
        if any(first <= moment < last for first, last in outages):
            raise ConnectionError(f"nobody answers at {query['as_on']}")
        return get(path, query)

    return ask


def _unix(moment: datetime, calendar: Calendar) -> int:
    return int(moment.replace(tzinfo=calendar.start.tzinfo).timestamp())
