"""What happens to the grid in mid-run: a scenario's events, tried before the run begins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

from scenarios.spec import GridEventSpec, Scenario
from sim.clock import Calendar
from sim.errors import Fault, FeederError, ScenarioError
from sim.feeder import Feeder, GridChange


def grid_changes(
    scenario: Scenario, calendar: Calendar, fresh: Callable[[], Feeder]
) -> tuple[tuple[int, GridChange], ...]:
    """The changes by simulated second, in order of time.

    fresh: makes another feeder of the same kind, on which they are tried.  Raises ``ScenarioError`` with every event that lies
    outside the run, and with the first that the grid refuses.
    """
    if not scenario.grid_events:
        return ()
    faults: list[Fault] = []
    due: list[tuple[int, int, GridChange]] = []
    for number, event in enumerate(scenario.grid_events):
        second = round((event.at - scenario.start) / timedelta(seconds=1))
        if not 0 <= second < calendar.duration_s:
            end = scenario.start + timedelta(seconds=calendar.duration_s)
            what = f"{event.at} is not within the run, {scenario.start} to {end}"
            faults.append(Fault(f"grid_events[{number}].at", what))
        due.append((second, number, change_of(event)))
    due.sort(key=lambda entry: entry[:2])
    faults += _refused(due, fresh()) if not faults else ()
    if faults:
        raise ScenarioError(scenario.name, tuple(faults))
    return tuple((second, change) for second, _, change in due)


def change_of(event: GridEventSpec) -> GridChange:
    """The change that an event stands for."""
    kinds = {"switch": event.switch, "line": event.line, "transformer": event.transformer, "tap": event.tap}
    ((kind, name),) = ((kind, name) for kind, name in kinds.items() if name is not None)
    return GridChange(kind, name, event.state, event.position)  # type: ignore[arg-type]


def _refused(due: list[tuple[int, int, GridChange]], feeder: Feeder) -> Iterator[Fault]:
    for _, number, change in due:
        try:
            feeder.apply(change)
        except FeederError as error:
            yield Fault(f"grid_events[{number}]", error.faults[0].what, error.faults[0].remedy)
            return  # what follows would be tried on another grid than the one it is meant for
