"""The frequency of the grid in a scenario: how it wanders, and what happens to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import Field, model_validator

from scenarios.fields import Finite, Model, NonNegative, Positive
from scenarios.moments import second_of
from scenarios.parties import Moment
from sim.clock import Calendar
from sim.errors import Fault
from sim.frequency import Excursion, Frequency, wandering


class ExcursionSpec(Model):
    """Something that takes the frequency away at a local time, depth_hz below nominal (above where negative) after fall_s.

    It returns within recover_s.
    """

    at: Moment
    depth_hz: Finite
    fall_s: Annotated[int, Field(ge=1)] = 10
    recover_s: Annotated[int, Field(ge=1)] = 600


class FrequencySpec(Model):
    """What every device sees of the frequency, whatever the policy: seeded, with a value every step_s seconds.

    sd_hz, relaxation_s: how far it wanders in the long run, and how fast it returns.
    """

    nominal_hz: Positive = 50.0
    sd_hz: NonNegative = 0.02
    relaxation_s: Positive = 300.0
    step_s: Annotated[int, Field(ge=1, le=60)] = 1
    events: tuple[ExcursionSpec, ...] = ()

    @model_validator(mode="after")
    def _steps_fit(self) -> Self:
        if 60 % self.step_s:
            raise ValueError(f"step_s: {self.step_s} s do not divide a minute")
        return self


def frequency_of(spec: FrequencySpec, seed: int, calendar: Calendar, faults: list[Fault]) -> Frequency:
    """The course of a scenario's frequency; events outside the run are added to the faults."""
    return wandering(
        seed,
        nominal_hz=spec.nominal_hz,
        sd_hz=spec.sd_hz,
        relaxation_s=spec.relaxation_s,
        step_s=spec.step_s,
        duration_s=calendar.duration_s,
        excursions=tuple(_excursions(spec.events, calendar, faults)),
    )


def _excursions(events: Sequence[ExcursionSpec], calendar: Calendar, faults: list[Fault]) -> list[Excursion]:
    made = []
    for number, event in enumerate(events):
        start_s = second_of(event.at, calendar)
        if not 0 <= start_s < calendar.duration_s:
            faults.append(Fault(f"frequency.events[{number}].at", f"{event.at} is not within the run"))
        made.append(Excursion(start_s, event.depth_hz, event.fall_s, event.recover_s))
    return made
