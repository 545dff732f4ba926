"""Answering calls: which rule fits, how much is given up, and how a load gets out again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace as with_

import mesa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agents.respondent import Answer, Respondent
from agents.twins.yielding import YieldingTwin
from sim.clock import Interval
from sim.device import Device
from sim.participant import Ids, Participant
from sim.wire.bags import EnergyContract, TimeWindow
from sim.wire.codes import Refusal
from sim.wire.core import Contract
from sim.wire.messages import Alarm, ContractContent, Event, Message
from tests.agents.programmes import CALENDAR, CALL_S, END_S, EVENT, START_S, Programme

HOUR = Interval(0, 0, 3600)


class Load:
    """A load of 400 kW with rules for calls, and the programme that calls it."""

    def __init__(self, *answers: Answer, level: str = "ADVISORY", friends: Sequence[str] = ("utility",)) -> None:
        self.programme = Programme(with_(EVENT, level=level))  # type: ignore[arg-type]
        self.device = Device("factory", "works", "trafo", YieldingTwin([-400.0] * CALENDAR.count))
        owner = Participant(mesa.Model(), "factory", Ids(2, "factory"))
        self.respondent = Respondent(owner, CALENDAR, self.device, answers, lambda other: other in friends)

    def called(self) -> tuple[Message, list[Event]]:
        """The call, and what the load thinks of doing then."""
        invitation = replace(self.programme.call(), sent_s=CALL_S)
        return invitation, list(self.respondent.react(invitation))

    def ring(self, name: str, at_s: int, number: int = 0) -> list[Event]:
        """It is time for something."""
        return list(self.respondent.react(Alarm(at_s, name, number)))

    def bound(self, invitation: Message) -> list[Event]:
        """The caller has confirmed."""
        return list(self.respondent.react(replace(invitation, action="on_confirm", sent_s=CALL_S + 60)))


def test_an_answer_comes_when_it_was_thought_over_with_what_was_asked_or_less() -> None:
    for answer, kwh in ((Answer(600), 450), (Answer(600, kw=120.0), 360)):
        load = Load(answer)
        _, (alarm,) = load.called()
        assert isinstance(alarm, Alarm)
        assert alarm.at_s == CALL_S + 600
        (confirm,) = load.ring(alarm.name, alarm.at_s)
        assert isinstance(confirm, Message)
        assert confirm.action == "confirm"
        assert confirm.contract.commitments[0].resources[0].quantity.value == pytest.approx(kwh)


def test_the_first_rule_that_fits_counts_and_where_none_does_nothing_is_said() -> None:
    rules = (Answer(10, ("EMERGENCY",)), Answer(20, ("MANDATORY", "EMERGENCY")))
    for level, after_s in (("EMERGENCY", 10), ("MANDATORY", 20)):
        _, (alarm,) = Load(*rules, level=level).called()
        assert isinstance(alarm, Alarm)
        assert alarm.at_s == CALL_S + after_s
    assert Load(*rules).called()[1] == []


def test_to_commit_to_nothing_is_to_decline() -> None:
    load = Load(Answer(kw=0.0))
    load.called()
    (cancel,) = load.ring("answer call", CALL_S)
    assert isinstance(cancel, Message)
    assert cancel.action == "cancel"


def test_strangers_are_not_answered() -> None:
    load = Load(Answer(), friends=())
    with pytest.raises(Refusal) as refusal:
        load.called()
    assert refusal.value.code == "NET_ENTITY_NOT_FOUND"
    assert load.respondent.calls == []


def test_a_bound_load_gives_way_from_the_beginning_to_the_end() -> None:
    load = Load(Answer(kw=120.0))
    invitation, _ = load.called()
    load.ring("answer call", CALL_S)
    assert load.bound(invitation) == [Alarm(START_S, "give way", 0), Alarm(END_S, "release", 0)]
    load.ring("give way", START_S)
    assert load.device.advance(HOUR) == -280
    load.ring("release", END_S)
    assert load.device.advance(HOUR) == -400


def test_two_events_at_once_are_given_way_to_together() -> None:
    load = Load(Answer(kw=50.0))
    first, _ = load.called()
    second, _ = load.called()
    for number, invitation in enumerate((first, second)):
        load.ring("answer call", CALL_S, number)
        load.bound(invitation)
    load.ring("give way", START_S)
    assert load.device.advance(HOUR) == -300


def test_who_opts_out_says_so_and_stops_at_once_and_once() -> None:
    load = Load(Answer(kw=120.0, opts_out_s=3600))
    invitation, _ = load.called()
    load.ring("answer call", CALL_S)
    assert load.bound(invitation)[-1] == Alarm(START_S + 3600, "opt out", 0)
    load.ring("give way", START_S)
    (update,) = load.ring("opt out", START_S + 3600)
    assert isinstance(update, Message)
    attributes = update.contract.contractAttributes
    assert isinstance(attributes, EnergyContract)
    assert [signal.signalId for signal in attributes.inputSignals or ()] == ["optOut"]
    assert load.device.advance(HOUR) == -400
    assert load.ring("opt out", START_S + 3600) == []


def test_of_a_longer_event_a_bound_load_is_in_for_longer_and_others_are_not() -> None:
    load = Load(Answer(kw=120.0))
    invitation, _ = load.called()
    attributes = invitation.contract.contractAttributes
    assert isinstance(attributes, EnergyContract)
    window = TimeWindow(start=CALENDAR.timestamp(START_S), end=CALENDAR.timestamp(END_S + 3600))
    longer = Contract(
        id=invitation.contract.id,
        commitments=invitation.contract.commitments,
        contractAttributes=replace(attributes, timeWindow=window),
    )
    update = replace(invitation, action="on_update", content=ContractContent(contract=longer))
    assert list(load.respondent.react(update)) == []
    load.ring("answer call", CALL_S)
    load.bound(invitation)
    assert list(load.respondent.react(update)) == [Alarm(END_S + 3600, "release", 0)]
    load.ring("give way", START_S)
    load.ring("release", END_S)
    assert load.device.advance(HOUR) == -280


def test_only_the_caller_speaks_of_a_call() -> None:
    load = Load(Answer())
    invitation, _ = load.called()
    for sender, concerned in (("utility", True), ("somebody-else", False)):
        message = replace(invitation, action="on_update", sender=sender)
        assert load.respondent.concerns(message, lambda _: False) is concerned


# the device


@given(st.floats(0, 500), st.floats(0, 500), st.floats(-100, 600))
def test_a_load_that_gives_way_draws_no_more_than_its_course_and_no_less_than_it_must(
    wanted_kw: float, least_kw: float, less_kw: float
) -> None:
    drawn_kw = -YieldingTwin([-wanted_kw], least_kw).advance(less_kw, HOUR)
    assert min(least_kw, wanted_kw) <= drawn_kw <= wanted_kw
    assert drawn_kw == pytest.approx(max(wanted_kw - max(less_kw, 0), min(least_kw, wanted_kw)))
