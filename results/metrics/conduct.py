"""How a run went: which it is, what was cleared again or not at all, what was said, and how long it took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from results.metrics.numbers import largest
from results.run import Run
from sim.journal import MESSAGE_LINE


@dataclass(frozen=True, slots=True)
class Header:
    """Which run this is.  stopped: when and why its policy was first stopped, if it was; stops: in how many intervals."""

    name: str
    policy: str
    seed: int
    intervals: int
    unsolved: int
    fallbacks: int
    stops: int
    stopped: str
    uncertified: int
    interval_min: float
    start: str
    time_zone: str
    currency: str


@dataclass(frozen=True, slots=True)
class Physics:
    """What the wires answered.

    repeated: intervals that were cleared more than once, because the power flow of an outcome broke a limit.
    repeated_fallbacks: those of them in which the fallback served in the end.  compared: power flows of which the reference
    made its own, and reference_gap_pu the largest voltage difference; NaN where none was made.
    """

    repeated: int
    repeated_fallbacks: int
    compared: int
    reference_gap_pu: float
    residual_max_w: float


def header(run: Run) -> Header:
    """Which run this is."""
    manifest = run.manifest
    moments = ((int(k) * run.calendar.interval_s, why) for k, why in _stops(run).items())
    return Header(
        name=manifest["name"],
        policy=manifest["policy"],
        seed=manifest["seed"],
        intervals=len(run.intervals),
        unsolved=unsolved(run),
        fallbacks=fallbacks(run),
        stops=stops(run),
        stopped=next((f"at {run.calendar.local(second):%a %H:%M}: {why}" for second, why in moments), ""),
        uncertified=uncertified(run),
        interval_min=manifest["intervalS"] / 60,
        start=f"{run.calendar.start:%a %Y-%m-%d %H:%M}",
        time_zone=manifest["timeZone"],
        currency=manifest["currency"],
    )


def physics(run: Run) -> Physics:
    """What the wires answered."""
    intervals = run.intervals
    return Physics(
        repeated=cleared_again(run),
        repeated_fallbacks=int(((intervals["rounds"] > 1) & intervals["fallback"]).sum()),
        compared=int(intervals["reference_gap_pu"].count()),
        reference_gap_pu=intervals["reference_gap_pu"].max(),
        residual_max_w=largest(intervals["residual_kw"].abs() * 1000),
    )


def cleared_again(run: Run) -> int:
    """Intervals that were cleared more than once, because the power flow of an outcome broke a limit."""
    return int((run.intervals["rounds"] > 1).sum())


def fallbacks(run: Run) -> int:
    """Intervals in which the fallback served."""
    return int(run.intervals["fallback"].sum())


def stops(run: Run) -> int:
    """Intervals in which the policy was stopped: it failed, or broke what it promises."""
    return len(_stops(run))


def uncertified(run: Run) -> int:
    """Intervals whose outcome was not found to keep what its policy promises; none where there is no market."""
    return int((~run.intervals["certified"]).sum()) if run.manifest["policy"] else 0


def unsolved(run: Run) -> int:
    """Intervals for which the power flow found no solution."""
    return int((run.intervals["status"] != "OK").sum())


def messages(run: Run) -> Mapping[str, int]:
    """Messages that were delivered, accepted or refused, by action."""
    return {action: count["ack"] + count["nack"] for action, count in run.manifest["messages"].items()}


def refused(run: Run) -> Mapping[str, int]:
    """Messages that were delivered and refused, by action."""
    return {action: count["nack"] for action, count in run.manifest["messages"].items() if count["nack"]}


def message_count(run: Run) -> int:
    """Messages that were delivered, those sent again included."""
    return sum(messages(run).values())


def message_bytes(run: Run) -> int:
    """Bytes of the bodies of all messages that were delivered, as they stand in the journal."""
    lines = (line for line in run.journal_lines() if line.startswith(MESSAGE_LINE))
    return sum(len(line) - line.find(_BODY) - _AROUND for line in lines)


def seconds(run: Run) -> float:
    """Seconds that the run took."""
    return float(sum(run.manifest["durations"].values()))


_BODY = b',"body":'
_AROUND = len(_BODY) + len(b"}\n")


def _stops(run: Run) -> Mapping[str, str]:
    found: Mapping[str, str] = run.manifest.get("policyStopped", {})
    return found
