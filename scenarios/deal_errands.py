"""From errands in the scenario to what a seeker goes after: where it looks, what it wants, and what it shows."""

from __future__ import annotations

import functools

from msgspec import UNSET

from agents.enrolling import Application
from agents.errand_diary import VERBS
from agents.errands import Errand, Vehicle
from scenarios.deal_diaries import diary_of
from scenarios.enrolments import Enrolments
from scenarios.faults import Faults
from scenarios.foundation import Foundation
from scenarios.ledgers import customer_of
from scenarios.moments import second_of, until
from scenarios.names import CATALOGUE
from scenarios.offering import intent_of
from scenarios.parties import EnrolSpec, ErrandSpec, Moment, RequestSpec, SeekerSpec, VehicleSpec
from sim.errors import Fault, nearest
from sim.wire.bags import ENERGY, EnergyIntent, Position, Route, ServicePreferences, ServiceRequestData
from sim.wire.search.service_request import compiled


class DealErrands:
    """Makes the errands of one scenario; what is wrong with them is added to ``faults``."""

    def __init__(self, foundation: Foundation, enrolments: Enrolments, faults: Faults) -> None:
        self._scenario = foundation.scenario
        self._calendar = foundation.calendar
        self._enrolments = enrolments
        self._faults = faults
        self._asked = {CATALOGUE, *(one.name for one in foundation.scenario.providers)}

    def errand(self, seeker: SeekerSpec, spec: ErrandSpec, where: str) -> Errand:
        """One errand of a seeker."""
        at_s = self._second(spec.at)
        if spec.ask is not None and spec.ask not in self._asked:
            what = f"nobody is called {spec.ask}"
            self._faults.append(Fault(f"{where}.ask", what, nearest(spec.ask, self._asked)))
        wish = None if spec.request is None else self._wish(seeker.name, spec, spec.request)
        return Errand(
            at_s=at_s,
            ask=spec.ask or CATALOGUE,
            intent=intent_of(spec.search) if wish is None else compiled(wish, self._calendar.timestamp(at_s)),
            choose=spec.choose,
            quote=spec.quote,
            kwh=spec.kwh or 0.0,
            kw=spec.kw or 0.0,
            window=self._window(spec, at_s),
            meter=spec.meter or "",
            customer=None if seeker.records_in is None else customer_of(self._scenario, spec.meter or ""),
            place=spec.search.near,
            wish=wish,
            vehicle=None if spec.vehicle is None else _vehicle(spec.vehicle),
            diary=diary_of(spec.diary, f"{where}.diary", VERBS, self._calendar, self._faults),
            application=None if spec.enrol is None else self._application(seeker.name, spec.enrol, f"{where}.enrol"),
        )

    def _second(self, moment: Moment) -> int:
        return second_of(moment, self._calendar)

    def _window(self, spec: ErrandSpec, at_s: int) -> tuple[int, int] | None:
        """Of delivery, in simulated seconds; by default from when it is looked for to the end of the run, None for neither."""
        if spec.start is None and spec.end is None:
            return None
        start_s = at_s if spec.start is None else self._second(spec.start)
        end_s = self._calendar.duration_s if spec.end is None else self._second(spec.end)
        return start_s, until(start_s, end_s)

    def _application(self, era: str, spec: EnrolSpec, where: str) -> Application:
        meter = spec.meter or era
        shown = []
        for k, credential in enumerate(spec.credentials):
            make = functools.partial(self._enrolments.credential, credential, era, meter)
            document = self._faults.tried(f"{where}.credentials[{k}]", make)
            if document is not None:
                shown.append((credential.type, document))
        return Application(era, meter, tuple(shown), spec.consents)

    def _wish(self, era: str, spec: ErrandSpec, request: RequestSpec) -> EnergyIntent:
        search = spec.search
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


def _vehicle(spec: VehicleSpec) -> Vehicle:
    return Vehicle(spec.need_kwh, spec.kw, spec.make or "", spec.model or "")
