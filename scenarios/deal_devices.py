"""Devices of those who deal one to one, from the scenario to twins at buses."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

from agents.twins.battery import BatteryTwin
from agents.twins.connector import ConnectorTwin
from agents.twins.course import CourseTwin
from agents.twins.ev import EVTwin, Session
from agents.twins.reserve import Control, Droop, ReserveTwin, Setpoints
from agents.twins.yielding import YieldingTwin
from scenarios.faults import Faults
from scenarios.foundation import Foundation
from scenarios.frequency import frequency_of
from scenarios.moments import minute_of, second_of, until
from scenarios.parties import CarSpec, ConnectorSpec, CourseSpec, DeviceSpec, ReserveSpec, YieldingSpec
from sim.clock import Calendar
from sim.device import Device, Twin
from sim.errors import Fault, nearest


@dataclass(frozen=True, slots=True)
class Placed:
    """A device of somebody who deals one to one: what kind it is, and whose."""

    device: Device
    kind: str
    owner: str


class DealDevices:
    """Places the devices of one scenario; what is wrong with them is added to ``faults``.

    placed: those that are, in the order in which they were asked for.
    """

    def __init__(self, foundation: Foundation, faults: Faults) -> None:
        self._foundation = foundation
        self._calendar = foundation.calendar
        self._faults = faults
        self.placed: list[Placed] = []
        scenario = foundation.scenario
        self._frequency = (
            None
            if scenario.frequency is None
            else frequency_of(scenario.frequency, scenario.seed, self._calendar, faults)
        )

    def place(self, spec: DeviceSpec | None, name: str, owner: str, where: str) -> Device | None:
        """A device at its bus; None where there is none to place, and, with a fault, where it cannot be."""
        if spec is None:
            return None
        buses = self._foundation.feeder.buses
        if spec.bus not in buses:
            self._faults.append(Fault(f"{where}.bus", f"no bus {spec.bus}", nearest(spec.bus, buses)))
            return None
        twin = self._faults.tried(where, functools.partial(self._twin, spec))
        if twin is None:
            return None
        device = Device(name, spec.bus, self._foundation.node_at(spec.bus), twin)
        self.placed.append(Placed(device, spec.kind, owner))
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
                return CourseTwin([_course_kw(spec, self._calendar, i.start_s) for i in self._calendar.intervals()])
            case CarSpec():
                return self._car(spec)

    def _yielding_kw(self, spec: YieldingSpec) -> list[float]:
        """A course, of which every day of the run has its own share."""
        first = self._calendar.local(0).date()
        shares = dict(enumerate(spec.days))
        return [
            _course_kw(spec, self._calendar, i.start_s)
            * shares.get((self._calendar.local(i.start_s).date() - first).days, 1.0)
            for i in self._calendar.intervals()
        ]

    def _car(self, spec: CarSpec) -> EVTwin:
        comes_s, leaves_s = (second_of(moment, self._calendar) for moment in (spec.comes, spec.leaves))
        return EVTwin(
            capacity_kwh=spec.capacity_kwh,
            charge_kw=spec.kw,
            charge_efficiency=spec.efficiency,
            target_soc=1.0,
            sessions=(Session(comes_s, until(comes_s, leaves_s), spec.need_kwh),),
        )

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


def _course_kw(spec: CourseSpec | YieldingSpec, calendar: Calendar, seconds: int) -> float:
    """Power of a course at a simulated second, + into the grid."""
    minute = calendar.minute_of_day(seconds)
    for step in spec.power:
        start, end = minute_of(step.start), minute_of(step.end)
        if start <= minute < end or (start >= end and (minute >= start or minute < end)):
            return step.kw
    return 0.0
