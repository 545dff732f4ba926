"""Events: who is called to draw less, what becomes of the answers, and what the meter says of it afterwards."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest import approx

from agents.baseline import Method
from agents.history import baseline_kwh
from agents.reduction import Reduction
from sim.contracts.contract import Status
from sim.wire.bags import EnergyContract, PriceSpecification
from sim.wire.codes import Refusal
from sim.wire.core import Contract
from sim.wire.messages import Alarm, Event, Message
from tests.agents.programmes import CALENDAR, CALL_S, DAY_H, END_S, EVENT, START_S, Programme

EVENT_HOURS = range(START_S // 3600, END_S // 3600)


def messages(events: list[Event], action: str) -> list[Message]:
    return [event for event in events if isinstance(event, Message) and event.action == action]


def attributes(contract: Contract) -> EnergyContract:
    assert isinstance(contract.contractAttributes, EnergyContract)
    return contract.contractAttributes


def cost(contract: Contract) -> float:
    body = (contract.consideration or ())[0].considerationAttributes
    assert isinstance(body, PriceSpecification)
    return float(body.value)  # type: ignore[arg-type]


def metrics(message: Message) -> dict[str, object]:
    return {metric.metricId: metric.value for metric in attributes(message.contract).qualityMetrics or ()}


def test_a_call_says_what_is_asked_until_when_and_against_which_baseline() -> None:
    """400 kW by 3 of 5 days, 150 kW asked: wire.md, section 5(d), step 3."""
    contract = Programme().call().contract
    told = {signal.signalId: signal.value for signal in attributes(contract).inputSignals or ()}
    assert told["request"] == 150
    assert told["level"] == "ADVISORY"
    assert told["answerBy"] == CALENDAR.timestamp(Programme.deadline_s)
    (role,) = [role for role in attributes(contract).roles or () if role.role == "PROSUMER"]
    assert role.roleInputs.baselineKW == approx(-400)  # type: ignore[union-attr]
    (baseline,) = attributes(contract).qualityMetrics or ()
    assert baseline.formula == "mean of 3 of 5 like days, adjusted by 0% at most"


def test_a_commitment_of_120_kw_is_estimated_at_1800() -> None:
    """Source: the published demand flexibility event (400 kW, 280 kW, 120 kW -> 1800)."""
    programme = Programme()
    (answer, _) = programme.answer(programme.call(), CALL_S + 60)
    assert isinstance(answer, Message)
    assert cost(answer.contract) == approx(-1800)


def test_288_kw_on_average_are_112_kw_less_and_earn_1680() -> None:
    """Source: the same: 93.33 %, 336 kWh, 1680."""
    programme = Programme()
    programme.answer(programme.call(), CALL_S + 60)
    (report,) = [m for m in messages(programme.live([280, 288, 296]), "on_status") if metrics(m)]
    assert metrics(report) == {
        "baseline": approx(400),
        "metered": approx(288),
        "reduction": approx(112),
        "reduced": approx(336),
        "performance": approx(93.333333),
    }
    assert programme.paid() == Decimal("1680.00")


def test_an_answer_after_the_deadline_is_refused_and_changes_nothing() -> None:
    programme = Programme()
    invitation = programme.call()
    programme.answer(invitation, Programme.deadline_s)
    late = Programme()
    invitation = late.call()
    with pytest.raises(Refusal) as refusal:
        late.answer(invitation, Programme.deadline_s + 1)
    assert refusal.value.code == "BIZ_DEADLINE_PASSED"
    assert late.deal(invitation).status is Status.PENDING


def test_who_says_nothing_is_not_in_it() -> None:
    programme = Programme()
    invitation = programme.call()
    programme.tell(Alarm(Programme.deadline_s + 1, "deadline", list(programme.utility.deals).index(programme.deal(invitation).contract.id)))  # fmt: skip
    assert programme.deal(invitation).status is Status.TERMINATED
    programme.live([100, 100, 100])
    assert programme.paid() == 0


def test_who_declines_is_not_in_it_and_cannot_come_back() -> None:
    programme = Programme()
    invitation = programme.call()
    (answer,) = programme.decline(invitation, CALL_S + 60)
    assert isinstance(answer, Message)
    assert attributes(answer.contract).status == "TERMINATED"
    with pytest.raises(Refusal, match="TERMINATED"):
        programme.answer(invitation, CALL_S + 120)


@pytest.mark.parametrize("kwh", [0.0, 1201.0])
def test_nothing_and_more_than_is_drawn_at_all_cannot_be_committed(kwh: float) -> None:
    programme = Programme()
    with pytest.raises(Refusal) as refusal:
        programme.answer(programme.call(), CALL_S + 60, kwh)
    assert refusal.value.code == "BIZ_CAP_EXCEEDED"


def test_what_comes_after_opting_out_is_not_paid() -> None:
    """One hour at 112 kW less; afterwards even a load that is off earns nothing."""
    programme = Programme()
    invitation = programme.call()
    programme.answer(invitation, CALL_S + 60)
    programme.opt_out(invitation, START_S + 3600)
    programme.live([288, 0, 0])
    assert programme.paid() == Decimal("560.00")


def test_nobody_opts_out_twice_or_of_an_event_that_is_over_or_by_saying_something_else() -> None:
    programme = Programme()
    invitation = programme.call()
    programme.answer(invitation, CALL_S + 60)
    with pytest.raises(Refusal) as refusal:
        programme.opt_out(invitation, START_S, "sleep")
    assert refusal.value.code == "SCH_TYPE_NOT_SUPPORTED"
    programme.opt_out(invitation, START_S)
    with pytest.raises(Refusal) as refusal:
        programme.opt_out(invitation, START_S + 60)
    assert refusal.value.code == "PRC_INVALID_TRANSITION"


@pytest.mark.parametrize(("level", "paid"), [("ADVISORY", 1680), ("MANDATORY", 1560), ("EMERGENCY", 1440)])
def test_what_is_missing_costs_as_much_as_the_call_is_urgent(level: str, paid: int) -> None:
    """24 kWh of 360 are missing, at 5 a kWh times the level."""
    programme = Programme(replace(EVENT, level=level))  # type: ignore[arg-type]
    programme.answer(programme.call(), CALL_S + 60)
    programme.live([288, 288, 288])
    assert programme.paid() == paid


def test_a_missing_reading_is_waited_for_and_never_taken_for_nothing() -> None:
    programme = Programme()
    invitation = programme.call()
    programme.answer(invitation, CALL_S + 60)
    programme.live([288, None, 288])
    assert programme.paid() == 0
    assert programme.deal(invitation).is_open
    said = programme.read(START_S // 3600 + 1, 288)
    assert programme.paid() == Decimal("1680.00")
    assert programme.deal(invitation).status is Status.COMPLETED
    assert [metrics(m)["reduced"] for m in messages(said, "on_status") if metrics(m)] == [approx(336)]


def test_a_reading_that_is_no_reading_is_missing() -> None:
    programme = Programme()
    invitation = programme.call()
    programme.answer(invitation, CALL_S + 60)
    programme.live([288, 288])
    programme.read(START_S // 3600 + 2, None)
    programme.tell(Alarm(END_S + 5, "settle", END_S // 3600 - 1))
    assert programme.paid() == 0
    assert programme.deal(invitation).is_open


def test_a_meter_without_a_like_day_is_not_called() -> None:
    programme = Programme(
        replace(EVENT, at_s=CALL_S, start_s=START_S - 4 * DAY_H * 3600, end_s=END_S - 4 * DAY_H * 3600)
    )
    assert programme.tell(Alarm(CALL_S, "call", 0)) == []


def test_nobody_is_asked_for_more_than_they_have_signed_up_with() -> None:
    programme = Programme()
    (membership,) = programme.utility.deals.values()
    membership.kw = 100.0
    told = attributes(programme.call().contract).inputSignals or ()
    assert [signal.value for signal in told if signal.signalId == "request"] == [100]


# baselines


def hourly(index: int) -> Decimal:
    """One kWh more every hour."""
    return Decimal(index)


def test_days_of_the_weekend_are_not_like_working_days() -> None:
    found = baseline_kwh(hourly, CALENDAR, EVENT_HOURS, range(0), Method(3, 5, 0))
    days = (6, 5, 2)  # Tuesday, Monday, Friday: the latest three are the highest
    assert found == {k: Decimal(sum(day * DAY_H + k % DAY_H for day in days)) / 3 for k in EVENT_HOURS}


def test_a_day_of_another_event_says_nothing_of_the_next() -> None:
    left_out = frozenset(range(6 * DAY_H + 14, 6 * DAY_H + 17))
    found = baseline_kwh(hourly, CALENDAR, EVENT_HOURS, range(0), Method(3, 5, 0), left_out)
    assert found is not None
    assert found[EVENT_HOURS[0]] == sum(day * DAY_H + 14 for day in (5, 2, 1)) / Decimal(3)


@given(st.integers(EVENT_HOURS.start, EVENT_HOURS.stop + 3), st.integers(0, 10_000))
def test_nothing_that_is_drawn_in_the_event_moves_its_baseline(hour: int, kwh: int) -> None:
    before = range(CALL_S // 3600 - 2, CALL_S // 3600)

    def raised(index: int) -> Decimal:
        return Decimal(kwh) if index == hour else hourly(index)

    method = Method(4, 5, 0.2)
    assert baseline_kwh(raised, CALENDAR, EVENT_HOURS, before, method) == baseline_kwh(
        hourly, CALENDAR, EVENT_HOURS, before, method
    )


def test_a_morning_above_the_usual_lifts_the_baseline_unless_it_was_not_read() -> None:
    before = range(CALL_S // 3600 - 2, CALL_S // 3600)

    def baseline(today_kwh: Decimal | None) -> Decimal:
        found = baseline_kwh(
            lambda index: today_kwh if index in before else Decimal(100),
            CALENDAR,
            EVENT_HOURS,
            before,
            Method(4, 5, 0.2),
        )
        assert found is not None
        return sum(found.values(), Decimal(0))

    assert baseline(Decimal(110)) == approx(Decimal(320))
    assert baseline(Decimal(1000)) == approx(Decimal(360))
    assert baseline(None) == baseline(Decimal(100)) == 300


# sums

ENERGIES = st.lists(st.decimals(0, 500, places=3), min_size=1, max_size=12)


@given(ENERGIES, st.randoms(use_true_random=False))
def test_the_sums_do_not_depend_on_when_readings_come(metered: list[Decimal], order: object) -> None:
    baseline = {k: Decimal(100) for k in range(len(metered))}
    one, other = (Reduction("ADVISORY", 0, 0.0, dict(baseline)) for _ in range(2))
    shuffled = list(enumerate(metered))
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    for index, kwh in enumerate(metered):
        one.measure(index, index + 1, Decimal(40), kwh)
    for index, kwh in shuffled:
        other.measure(index, index + 1, Decimal(40), kwh)
    for reduction in (one, other):
        assert reduction.reduced_kwh == max(sum(baseline.values()) - sum(metered), Decimal(0))
        assert sum(m.reduced for m in reduction.measured.values()) == reduction.reduced_kwh
        assert sum(m.missed for m in reduction.measured.values()) == reduction.missed_kwh
    assert one.reduced_kwh + one.missed_kwh >= one.agreed_kwh


def test_a_crest_after_a_trough_takes_back_what_the_trough_earned() -> None:
    reduction = Reduction("ADVISORY", 0, 0.0, {0: Decimal(10), 1: Decimal(10)})
    reduction.measure(0, 1, Decimal(0), Decimal(4))
    reduction.measure(1, 2, Decimal(0), Decimal(16))
    assert [one.reduced for one in reduction.measured.values()] == [6, -6]
