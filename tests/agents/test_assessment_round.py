"""The market between its clearing and the wires, with a grid operator that says what a test wants said."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
from pytest import approx

from agents.market import Market
from agents.rounds import MARGIN_ON_GAP, Round, Stage
from scenarios.build import Built, build
from scenarios.reader import read
from scenarios.timing import Stopwatch
from sim.forms import assessment_body
from sim.market.assessment import Assessment, NodeFinding
from sim.market.problem import LinearLimit
from sim.wire.assessment import AssessContent
from sim.wire.codec import encode
from sim.wire.codes import Code, Refusal
from sim.wire.messages import Event, Message
from tests.conftest import STREET

SMALL = (
    "duration_h=1", "start=2016-05-17T12:00:00", "populations.house.count=3", "populations.pv.count=3",
    "populations.ev.count=0", "populations.battery.count=2", "populations.fleet.count=1",
)  # fmt: skip
GATE_S = -120
FINE = Assessment(solved=True)

Say = Callable[[Message], Iterable[Event]]


def found(node: str = "trafo-1", forward_kw: float = 0.0, reverse_kw: float = 0.0, **more: Any) -> Assessment:
    return Assessment(solved=True, nodes=(NodeFinding(node, -7.0, 1.1, forward_kw, reverse_kw),), **more)


@dataclass
class Oracle:
    """A grid operator that gives these answers in order, and is content from then on.  Answers late where a second is given.

    asked: what every outcome would have had everybody do.
    """

    built: Built
    answers: list[Assessment | Refusal | None]
    late_s: int | None = None
    asked: list[dict[str, float]] = field(default_factory=list)
    sent: list[Message] = field(default_factory=list)

    def __call__(self, message: Message) -> Iterable[Event]:
        assert isinstance(message.content, AssessContent)
        request = message.content.assessmentRequest
        self.asked.append({planned.era: planned.setpointKW for planned in request.setpoints})
        answer = self.answers.pop(0) if self.answers else FINE
        if isinstance(answer, Refusal):
            raise answer
        if answer is None:
            return ()
        utility = next(a for a in self.built.world.agents if a.era == "utility")
        reply = utility.answer(message, assessment_body(answer))
        self.sent.append(reply)
        if self.late_s is not None:
            self.built.world.bus.at(self.late_s, lambda _: self.built.world.bus.post("utility", (reply,)))
            self.late_s = None
            return ()
        return (reply,)


class Day:
    """An hour of a small street whose grid operator is an oracle."""

    def __init__(
        self, *answers: Assessment | Refusal | None, late_s: int | None = None, overrides: Iterable[str] = ()
    ) -> None:
        self.sink = io.BytesIO()
        self.built = build(read(STREET, (*SMALL, *overrides)), self.sink, Stopwatch())
        self.oracle = Oracle(self.built, list(answers), late_s)
        self.market = next(agent for agent in self.built.world.agents if isinstance(agent, Market))
        utility = next(agent for agent in self.built.world.agents if agent.era == "utility")
        utility.reactions["assess"] = self.oracle

    def until(self, second: int) -> Round:
        """Everything up to this second; the first round as it then stands."""
        world = self.built.world
        world._clock.run(until=second)
        world.journal._flush()
        return self.market.rounds[0]

    def messages(self, action: str, ack: str = "ACK") -> list[dict[str, Any]]:
        records = [json.loads(line) for line in self.sink.getvalue().splitlines()]
        return [r for r in records if r["kind"] == "message" and r["action"] == action and r["ack"] == ack]

    def locks(self) -> list[dict[str, Any]]:
        return [r for r in self.messages("confirm") if _between(r, "market", "utility")]

    def awards(self) -> list[dict[str, Any]]:
        return [r for r in self.messages("on_confirm") if r["t"] > GATE_S and r["body"]["context"]["bppId"] == "market"]

    def problems(self) -> list[Any]:
        return [r["body"]["message"]["aggregationRequest"] for r in self.messages("aggregate")]


def _between(record: dict[str, Any], sender: str, recipient: str) -> bool:
    context = record["body"]["context"]
    return (context["bapId"], context["bppId"]) == (sender, recipient)


def limits_in(problem: Any) -> tuple[float, float]:
    (node,) = (node for node in problem["gridNodes"] if node["era"] == "trafo-1")
    return node["gridConstraints"]["maxForwardFlowKW"], node["gridConstraints"]["maxReverseFlowKW"]


# --- before anybody is told -----------------------------------------------------------------------------------------


def test_an_outcome_is_neither_locked_nor_told_before_it_was_assessed() -> None:
    day = Day(None)
    assert day.until(0).stage is not Stage.PUBLISHED
    assert len(day.oracle.asked) == 1
    assert day.locks() == day.awards() == []


def test_an_outcome_that_the_wires_carry_is_locked_once_and_told_to_everybody() -> None:
    day = Day()
    done = day.until(0)
    assert (done.stage, done.number, done.fallback) == (Stage.PUBLISHED, 1, False)
    (lock,) = day.locks()
    (assessed,) = day.messages("on_assess")
    assert lock["t"] >= assessed["t"]
    assert len(day.awards()) == 8 + 1  # and the retailer
    assert done.clearing is not None
    assert day.oracle.asked == [done.clearing.setpoint_kw]


# --- no answer ------------------------------------------------------------------------------------------------------

BUSY = Refusal(Code.NET_TIMEOUT, "/context", "not now")


@pytest.mark.parametrize("answers", [(BUSY,), (None,), (found(reverse_kw=1.0), BUSY), (found(reverse_kw=1.0), None)])
def test_a_refused_or_missing_assessment_fails_the_round_and_nobody_is_awarded(answers: tuple[Any, ...]) -> None:
    day = Day(*answers)
    assert day.until(0).stage is Stage.FAILED
    assert day.locks() == day.awards() == []
    assert not day.market._closing
    assert not day.market._outcomes
    assert 0 not in day.market.membership.books


def test_an_assessment_that_comes_too_late_changes_nothing_any_more() -> None:
    day = Day(FINE, late_s=-70)
    assert day.until(0).stage is Stage.FAILED
    (late,) = day.messages("on_assess", ack="NACK")
    assert late["t"] > -70
    assert day.locks() == []


def test_an_assessment_within_its_time_is_in_time() -> None:
    day = Day(FINE, late_s=-90)
    assert day.until(0).stage is Stage.PUBLISHED


def test_after_a_failed_round_the_next_one_is_as_good_as_any_and_money_sums_to_zero() -> None:
    day = Day(None)
    flows: list[bool] = []
    day.built.world.run(lambda _, flow: flows.append(flow.converged))
    assert flows == [True] * 4
    assert day.market.held == []
    assert [round_.stage for round_ in day.market.rounds.values()] == [Stage.PUBLISHED] * 3
    told = [r["body"]["message"]["contract"]["contractAttributes"] for r in day.awards()]
    assert {attributes["timeWindow"]["start"][11:16] for attributes in told} == {"12:15", "12:30", "12:45"}
    balance: dict[str, Any] = {}
    for posting in day.built.world.ledger:
        balance[posting.payer] = balance.get(posting.payer, 0) - posting.amount
        balance[posting.payee] = balance.get(posting.payee, 0) + posting.amount
    assert sum(balance.values()) == 0
    failed = [p for p in day.built.world.ledger if p.term == "energy"]
    assert failed


# --- another outcome ------------------------------------------------------------------------------------------------


def test_a_second_aggregate_carries_tightened_limits_voltages_and_losses() -> None:
    voltage = LinearLimit("voltage n1 high", {"pv-01": 2e-3, "battery-01": 1e-3}, 0.001)
    day = Day(found(reverse_kw=0.5, voltages=(voltage,), loss_factor={"pv-01": 0.04}))
    done = day.until(0)
    assert (done.stage, done.number) == (Stage.PUBLISHED, 2)
    first, second = day.problems()
    planned_kw = -sum(p_kw for era, p_kw in day.oracle.asked[0].items() if era != "retailer")
    assert planned_kw < 0
    assert limits_in(second) == (limits_in(first)[0], approx(-planned_kw - MARGIN_ON_GAP * 0.5))
    assert "linearLimits" not in first
    assert [limit["id"] for limit in second["linearLimits"]] == ["voltage n1 high"]
    adders = {p["era"]: p.get("adderPerKWh", 0.0) for p in second["participants"]}
    assert adders["pv-01"] < 0
    assert {era for era, adder in adders.items() if adder} == {"pv-01"}
    assert done.clearing is not None
    assert done.clearing.linear_value["voltage n1 high"] <= 0.001 + 1e-8
    assert day.oracle.asked[1] == done.clearing.setpoint_kw


def test_what_one_gate_has_learned_is_forgotten_at_the_next() -> None:
    day = Day(found(reverse_kw=0.5))
    day.until(800)
    first, second, third = day.problems()[:3]
    assert limits_in(second) != limits_in(first)
    assert limits_in(third) == limits_in(first)


def test_whom_no_supply_reaches_is_told_of_nothing_to_do() -> None:
    day = Day(found(unserved=("house-01",)))
    done = day.until(0)
    assert done.stage is Stage.PUBLISHED
    assert day.oracle.asked[0]["house-01"] < 0
    assert day.oracle.asked[1]["house-01"] == 0


def test_after_the_last_round_the_fallback_is_published_and_nobody_asks_about_it() -> None:
    day = Day(*[found(reverse_kw=0.5)] * 9, overrides=("market.rounds_max=3",))
    done = day.until(0)
    assert (done.stage, done.number, done.fallback) == (Stage.PUBLISHED, 4, True)
    assert done.clearing is not None
    assert done.clearing.policy == "curtail-only"
    assert len(day.oracle.asked) == 3
    assert len(day.locks()) == 1


def test_an_unsolvable_outcome_is_cleared_at_half_its_flow() -> None:
    day = Day(Assessment(solved=False, note="more than the grid can carry"))
    assert day.until(0).stage is Stage.PUBLISHED
    before, after = (sum(p for era, p in asked.items() if era != "retailer") for asked in day.oracle.asked)
    assert 0 < after <= before / 2 + 1e-6


def test_where_nobody_is_to_be_asked_nobody_is() -> None:
    day = Day(overrides=("market.rounds_max=0",))
    assert day.until(0).stage is Stage.PUBLISHED
    assert day.oracle.asked == []


def test_prices_of_one_for_all_are_asked_about_once_and_published() -> None:
    day = Day(*[found(reverse_kw=0.5)] * 9, overrides=("market.policy=pay-as-clear",))
    done = day.until(0)
    assert (done.stage, done.number, done.fallback) == (Stage.PUBLISHED, 1, False)
    assert done.assessed_kw == {"trafo-1": -7.0}


def test_the_longest_way_to_the_last_award_fits_between_gate_and_delivery() -> None:
    """The least time that a scenario may leave, with a fallback at the end of all rounds, and members behind a host."""
    slow = (
        "wire.latency_s=5",
        "market.rounds_max=3",
        "market.gate_s=111",
        "market.confirm_s=300",
        "populations.battery.host=aggregator",
    )
    day = Day(*[found(reverse_kw=0.1)] * 9, overrides=slow)
    assert day.until(0).stage is Stage.PUBLISHED
    assert day.market.rounds[0].fallback
    told = {r["body"]["context"]["bppId"] for r in day.messages("on_confirm") if r["t"] > -111} - {"utility"}
    assert told == {"market", "aggregator"}


# --- strangers and strays -------------------------------------------------------------------------------------------


@pytest.fixture
def waiting() -> Day:
    """A market that has asked, and has no answer yet."""
    day = Day(FINE, late_s=-100)
    day.until(-105)
    assert day.market.rounds[0].stage is Stage.CLEARED
    return day


def stray(day: Day, **changes: Any) -> Any:
    """The answer that is under way, changed, and sent from outside."""
    document = json.loads(encode(day.oracle.sent[0], day.built.world.calendar.timestamp(-105)))
    document["context"] |= changes.pop("context", {})
    document["message"]["assessment"] |= changes
    raw = json.dumps(document).encode()
    ack = day.built.world.bus.transmit("on_assess", raw)
    return ack.error.errorCode if ack.error else None


NODE = {"flowKW": 1.0, "loading": 0.1, "excessForwardKW": 5.0, "excessReverseKW": 0.0}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"context": {"bppId": "house-01"}}, "PRC_INVALID_TRANSITION"),
        ({"context": {"messageId": "752c9cce-0559-8d41-81b8-f45f5683fbc0"}}, "PRC_INVALID_TRANSITION"),
        ({"context": {"transactionId": "752c9cce-0559-8d41-81b8-f45f5683fbc0"}}, "PRC_CONFLICT"),
        ({"gridNodes": [{"era": "trafo-9", **NODE}]}, "PRC_CONFLICT"),
        (
            {"linearLimits": [{"id": "v", "maximum": 0.0, "weights": [{"era": "nobody", "weight": 1.0}]}]},
            "PRC_CONFLICT",
        ),
        (
            {"linearLimits": [{"id": "v", "maximum": 0.0, "weights": [{"era": "retailer", "weight": 1.0}]}]},
            "PRC_CONFLICT",
        ),
    ],
    ids=["another sender", "nothing asked", "another transaction", "unknown node", "unknown member", "the slack"],
)
def test_a_stray_or_contradictory_assessment_is_refused_and_the_right_one_still_counts(
    changes: dict[str, Any], code: str, waiting: Day
) -> None:
    before = waiting.market.rounds[0], dict(waiting.market._closing), dict(waiting.market._outcomes)
    assert stray(waiting, **changes) == code
    assert (waiting.market.rounds[0], waiting.market._closing, waiting.market._outcomes) == before
    assert waiting.until(0).stage is Stage.PUBLISHED


def test_an_assessment_that_comes_twice_counts_once(waiting: Day) -> None:
    waiting.until(-90)
    raw = encode(waiting.oracle.sent[0], waiting.built.world.calendar.timestamp(-100))
    assert waiting.built.world.bus.transmit("on_assess", raw).status == "ACK"
    assert stray(waiting, note="another") == "AUT_REPLAY_DETECTED"
    assert waiting.until(0).stage is Stage.PUBLISHED
    assert len(waiting.locks()) == 1
