"""Messages that the network holds up: who is told what, and when."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sim.bus import Delay
from sim.participant import Ids
from sim.wire.core import SearchIntent
from sim.wire.messages import NACK, DiscoverContent, Event, Message
from tests.test_bus import NOTHING, TRANSACTION, Network


def question(ttl_s: int = 30) -> Message:
    content = DiscoverContent(intent=SearchIntent(textSearch="Tariff"))
    return Message("discover", "a", "b", TRANSACTION, Ids(1, "a").fresh(), content, ttl_s)


def answering(network: Network, ttl_s: int = 30) -> Network:
    """``b`` answers whatever it is asked."""

    def react(name: str, event: Event) -> list[Event]:
        if not isinstance(event, Message) or event.action != "discover":
            return []
        ids = (event.transaction_id, event.message_id)
        return [Message("on_discover", "b", "a", *ids, NOTHING, ttl_s, request_digest=event.digest)]

    network.react = react
    return network


def heard(*delays: Delay, ttl_s: int = 30) -> list[tuple[int, str, str]]:
    network = answering(Network(delays=delays), ttl_s).run(question())
    return [(second, name, event.partition(" ")[0]) for second, name, event in network.log]


def test_what_is_held_up_within_its_time_arrives_later_and_that_is_all() -> None:
    assert [(second, name) for second, name, _ in heard()] == [(1, "b"), (2, "a")]
    assert [(second, name) for second, name, _ in heard(Delay("b", 20))] == [(1, "b"), (22, "a")]


def test_an_answer_that_nobody_acknowledges_in_time_is_told_to_both_ends_once() -> None:
    network = answering(Network(delays=[Delay("b", 50, "on_discover")])).run(question())
    told = [
        (second, name)
        for (second, name, _), event in zip(network.log, network.heard, strict=True)
        if event.name == NACK
    ]
    assert sorted(told) == [(31, "a"), (32, "b")]


def test_a_question_that_is_held_up_too_long_is_told_to_who_asked_once() -> None:
    network = answering(Network(delays=[Delay("a", 50)])).run(question())
    assert [
        (second, name, event.name) for (second, name, _), event in zip(network.log, network.heard, strict=True)
    ] == [(31, "a", NACK)]


def test_only_what_is_meant_is_held_up() -> None:
    sound = heard()
    others: list[dict[str, Any]] = [{"action": "on_confirm"}, {"since_s": 2}, {"until_s": 1}, {"sender": "c"}]
    for other in others:
        assert heard(Delay(**{"sender": "b", "by_s": 50, **other})) == sound
    assert heard(Delay("b", 50, since_s=1, until_s=2)) != sound


@given(st.lists(st.integers(1, 9), max_size=3))
def test_delays_on_one_message_add_up(by_s: list[int]) -> None:
    assert heard(*(Delay("b", seconds) for seconds in by_s))[-1][:2] == (2 + sum(by_s), "a")
