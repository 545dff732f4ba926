"""The history of contracts: it grows in one way only, and what was done to it shows."""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sim.canonical import canonical, hashed
from sim.errors import ContractError, TrustError
from sim.events import (
    CYCLES,
    GENESIS,
    LIFE,
    Actor,
    Cycle,
    Event,
    EventLog,
    EventType,
    History,
    Phase,
    leaf_of,
    read_event,
)
from sim.trust.attest import attest, is_attested
from sim.trust.merkle import Tree
from sim.trust.signature import derive
from sim.trust.witness import KEEPER, WITNESS, Head, Witness

MARKET = Actor("market", "MARKET_CLEARING_AGENT")
HOUSE = Actor("house-1", "PROSUMER")
ROLES = {"roles": [{"role": a.role, "filledBy": a.era} for a in (MARKET, HOUSE)]}
E = EventType


def fresh_log() -> EventLog:
    seconds = itertools.count()
    return EventLog(
        derive(1, "keeper"), functools.partial(derive, 1), lambda: f"2025-06-03T00:00:{next(seconds):02}+02:00"
    )


def lived(log: EventLog, contract: str = "c-1", upto: int = 99) -> tuple[Event, ...]:
    """A short life: created, confirmed, activated, one cycle, completed."""
    steps: list[tuple[EventType, dict[str, Any]]] = [
        (E.CONTRACT_CREATED, ROLES),
        (E.CONFIRMED, {}),
        (E.ACTIVATED, {}),
        (E.SETTLEMENT_COMPUTED, {"cycle": "0", "postings": [["energy", "house-1", "market", "0.30", "EUR"]]}),
        (E.SETTLED, {}),
        (E.COMPLETED, {}),
    ]
    for event_type, facts in steps[:upto]:
        log.append(contract, event_type, MARKET, facts)
    return log.drain()


def refused(do: Callable[[], object]) -> list[str]:
    with pytest.raises(ContractError) as error:
        do()
    return [str(fault) for fault in error.value.faults]


# --- writing ----------------------------------------------------------------------------------------------------------


def test_each_event_names_the_one_before_it_and_is_signed_by_its_actor() -> None:
    log = fresh_log()
    events = lived(log)
    before = GENESIS
    for number, event in enumerate(events):
        assert (event.event_id, event.seq, event.prev_hash) == (str(number), number, before)
        assert event.hash == event.due_hash()
        assert is_attested(event.signature, derive(1, "market").public, "market", MARKET.role, event.hash)
        before = event.hash
    assert log.signers == {"market": derive(1, "market")}


def test_the_hash_is_that_of_the_canonical_bytes_without_hash_and_signature() -> None:
    event = lived(fresh_log())[3]
    told = json.loads(event.raw)
    assert list(told) == [
        "actor", "contractId", "data", "eventId", "eventType", "hash", "prevHash", "seq", "signature", "timestamp",
    ]  # fmt: skip
    body = {key: value for key, value in told.items() if key not in ("hash", "signature")}
    assert told["hash"] == hashed(canonical(body))


def test_contracts_have_chains_of_their_own_in_one_list() -> None:
    log = fresh_log()
    for contract in ("a", "b", "a"):
        log.append(contract, E.CONTRACT_CREATED if log.open_cycles(contract) == () and contract not in seen(log) else
                   E.CONFIRMED, MARKET, ROLES)  # fmt: skip
    events = log.drain()
    assert [(e.contract_id, e.seq, e.event_id) for e in events] == [("a", 0, "0"), ("b", 0, "1"), ("a", 1, "2")]
    assert events[2].prev_hash == events[0].hash


def seen(log: EventLog) -> set[str]:
    return set(log._histories)


def test_events_are_frozen_and_what_was_given_in_can_change_no_event() -> None:
    log, facts = fresh_log(), {"roles": [dict(ROLES["roles"][0])]}
    event = log.append("c", E.CONTRACT_CREATED, MARKET, facts)
    facts["roles"][0]["filledBy"] = "another"
    event.facts["roles"].clear()
    assert event.facts == {"roles": [{"role": MARKET.role, "filledBy": "market"}]}
    assert event.hash == event.due_hash()
    with pytest.raises(AttributeError):
        event.seq = 7  # type: ignore[misc]


def test_what_was_handed_out_is_handed_out_once_and_still_counted() -> None:
    log = fresh_log()
    assert len(lived(log)) == len(log) == 6
    assert log.drain() == ()


@pytest.mark.parametrize(
    ("facts", "what"),
    [
        ({"p": 0.1}, "c-1: /p: 0.1 is a float, which is never signed (write decimals as text)"),
        ({"p": float("nan")}, "/p: nan is a float, which is never signed (write decimals as text)"),
        ({"p": "\ud800"}, r"/p: '\ud800' holds half of a character"),
    ],
)
def test_what_cannot_be_signed_is_not_written(facts: dict[str, Any], what: str) -> None:
    log = fresh_log()
    lived(log, upto=1)
    head = log.head(0)
    assert refused(lambda: log.append("c-1", E.CONFIRMED, MARKET, facts)) == [what.removeprefix("c-1: ")]
    assert log.head(0) == head
    assert log.append("c-1", E.CONFIRMED, MARKET, {}).seq == 1


@pytest.mark.parametrize(
    ("contract", "actor"), [("\ud800", MARKET), ("c", Actor("\ud800", "R")), ("c", Actor("e", "\ud800"))]
)
def test_half_a_character_in_a_name_is_refused(contract: str, actor: Actor) -> None:
    log = fresh_log()
    assert "holds half of a character" in refused(lambda: log.append(contract, E.CONTRACT_CREATED, actor, {}))[0]
    assert (len(log), log.signers, log.drain()) == (0, {}, ())


# --- a contract's life ------------------------------------------------------------------------------------------------


def test_the_tables_name_every_event_and_every_state() -> None:
    assert {event for events in LIFE.values() for event in events} == set(EventType)
    assert set(LIFE) == set(Phase)
    assert set(CYCLES) == set(Cycle)
    assert {phase for events in LIFE.values() for phase in events.values()} == set(Phase) - {Phase.NONE}
    assert {state for events in CYCLES.values() for state in events.values()} == set(Cycle)


PATHS: dict[Phase, tuple[EventType, ...]] = {
    Phase.NONE: (),
    Phase.FORMING: (E.CONTRACT_CREATED,),
    Phase.CONFIRMED: (E.CONTRACT_CREATED, E.CONFIRMED),
    Phase.ACTIVE: (E.CONTRACT_CREATED, E.CONFIRMED, E.ACTIVATED),
    Phase.CANCELLED: (E.CONTRACT_CREATED, E.CONFIRMED, E.ACTIVATED, E.CANCELLED),
    Phase.TERMINATED: (E.CONTRACT_CREATED, E.CONFIRMED, E.ACTIVATED, E.TERMINATED),
    Phase.COMPLETED: (E.CONTRACT_CREATED, E.CONFIRMED, E.ACTIVATED, E.COMPLETED),
}


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("event_type", EventType)
def test_an_event_follows_exactly_where_the_table_says(phase: Phase, event_type: EventType) -> None:
    log, facts = fresh_log(), {"cycle": "0", "role": "BUYER", "filledBy": "b"}
    for before in PATHS[phase]:
        log.append("c", before, MARKET, facts)
    before_it, head = log.drain(), log.head(0)
    allowed = event_type in LIFE[phase] and (event_type not in settling() or event_type is E.SETTLEMENT_COMPUTED)
    if allowed:
        log.append("c", event_type, MARKET, facts)
        assert log._histories["c"].phase is LIFE[phase][event_type]
    else:
        faults = refused(lambda: log.append("c", event_type, MARKET, facts))
        assert any(f"{event_type} cannot follow where" in fault for fault in faults)
        assert (log.head(0), log.drain(), log.signers) == (
            head,
            (),
            {"market": derive(1, "market")} if before_it else {},
        )


def settling() -> set[EventType]:
    return {event for events in CYCLES.values() for event in events}


@pytest.mark.parametrize("state", Cycle)
@pytest.mark.parametrize("event_type", sorted(settling()))
def test_a_cycle_takes_exactly_what_its_table_says(state: Cycle, event_type: EventType) -> None:
    history = History("c")
    history.phase = Phase.ACTIVE
    if state is not Cycle.NONE:
        history.cycles["7"] = state
    if event_type in CYCLES[state]:
        history.check(event_type, MARKET, {"cycle": "7"})
        history.add(event_type, {"cycle": "7"}, "h")
        assert history.cycles.get("7", Cycle.NONE) is CYCLES[state][event_type]
    else:
        faults = refused(lambda: history.check(event_type, MARKET, {"cycle": "7"}))
        assert faults[0].startswith(f"c: {event_type} cannot follow where cycle 7 is {state}; ".replace("c: ", "c/0: "))


def test_a_refusal_says_what_could_follow() -> None:
    log = fresh_log()
    lived(log, upto=4)
    assert refused(lambda: log.append("c-1", E.CONFIRMED, MARKET, {})) == [
        "c-1/4: CONFIRMED cannot follow where the contract is ACTIVE; TELEMETRY_RECORDED, SETTLEMENT_COMPUTED, "
        "SETTLEMENT_SIGNED, CHALLENGED, CHALLENGE_RESOLVED, SETTLED, ROLLED_BACK, COMPLETED, CANCELLED, TERMINATED can"
    ]
    assert refused(lambda: log.append("c-1", E.SETTLEMENT_COMPUTED, MARKET, {"cycle": "0"})) == [
        "c-1/4: SETTLEMENT_COMPUTED cannot follow where cycle 0 is COMPUTED; "
        "SETTLEMENT_SIGNED, CHALLENGED, CHALLENGE_RESOLVED, SETTLED can"
    ]
    assert refused(lambda: log.append("c-1", E.COMPLETED, MARKET, {})) == [
        "c-1/4: cannot be completed while cycles are open: 0"
    ]


def test_settled_without_a_cycle_is_about_all_that_are_open() -> None:
    log = fresh_log()
    lived(log, upto=4)
    log.append("c-1", E.SETTLEMENT_COMPUTED, MARKET, {"cycle": "1"})
    log.append("c-1", E.CHALLENGED, HOUSE, {"cycle": "1"})
    assert log.open_cycles("c-1") == ("0", "1")
    assert refused(lambda: log.append("c-1", E.SETTLED, MARKET, {})) == [
        "c-1/6: SETTLED cannot follow where cycle 1 is CHALLENGED; CHALLENGE_RESOLVED can"
    ]
    log.append("c-1", E.CHALLENGE_RESOLVED, Actor("arbitrator", "ARBITRATOR"), {"cycle": "1"})
    log.append("c-1", E.SETTLED, MARKET, {})
    assert log.open_cycles("c-1") == ()
    assert refused(lambda: log.append("c-1", E.SETTLED, MARKET, {})) == [
        "c-1/8: no cycle is open that could be settled"
    ]


def test_cycles_left_open_by_an_end_are_settled_after_it() -> None:
    log = fresh_log()
    lived(log, upto=4)
    for event_type in (E.CANCELLED, E.SETTLED, E.TERMINATED):
        log.append("c-1", event_type, MARKET, {})
    assert log.open_cycles("c-1") == ()


def test_nobody_speaks_in_another_s_role() -> None:
    log = fresh_log()
    lived(log, upto=3)
    assert refused(lambda: log.append("c-1", E.TERMINATED, Actor("market", "PROSUMER"), {})) == [
        "c-1/3: market speaks as PROSUMER, which is house-1"
    ]
    log.append(
        "c-1", E.TELEMETRY_RECORDED, Actor("metering", "METER_OPERATOR"), {}
    )  # of whom the contract says nothing


def test_a_role_is_filled_once() -> None:
    log = fresh_log()
    lived(log, upto=1)
    log.append("c-1", E.ROLE_FILLED, MARKET, {"role": "BUYER", "filledBy": "ev-1"})
    assert refused(lambda: log.append("c-1", E.ROLE_FILLED, MARKET, {"role": "BUYER", "filledBy": "ev-2"})) == [
        "c-1/2: BUYER is filled by ev-1 already"
    ]


@pytest.mark.parametrize(
    ("event_type", "facts"),
    [(E.SETTLEMENT_COMPUTED, {}), (E.SETTLEMENT_COMPUTED, {"cycle": 3}), (E.CHALLENGED, {"cycle": None})],
)
def test_a_cycle_has_to_be_named(event_type: EventType, facts: dict[str, Any]) -> None:
    log = fresh_log()
    lived(log, upto=3)
    assert refused(lambda: log.append("c-1", event_type, MARKET, facts)) == [
        f"c-1/3: {event_type} does not say which roles or which cycle it is about"
    ]


@pytest.mark.parametrize("facts", [{"roles": 3}, {"roles": [1]}, {"roles": [{}]}, {"roles": [{"role": "A"}]}])
def test_roles_have_to_be_told(facts: dict[str, Any]) -> None:
    assert "does not say which roles" in refused(lambda: fresh_log().append("c", E.CONTRACT_CREATED, MARKET, facts))[0]


# --- reading ----------------------------------------------------------------------------------------------------------


def test_an_event_is_read_as_it_was_written() -> None:
    for event in lived(fresh_log()):
        assert read_event(event.raw) == event


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw.replace(b'"seq":3', b'"seq":3.0'),
        lambda raw: raw.replace(b'"0.30"', b"0.30"),
        lambda raw: raw.replace(b'"0.30"', b"NaN"),
        lambda raw: raw.replace(b'"seq":3', b'"seq":3,"seq":3'),
        lambda raw: raw.replace(b'"cycle":"0"', b'"cycle":"0","cycle":"0"'),
        lambda raw: raw.replace(b'"seq":3', b'"seq": 3'),
        lambda raw: raw.replace(b'"cycle":"0"', b'"cycle": "0"'),
        lambda raw: raw.replace(b'"market"', b'"mark\\u0065t"', 1),
        lambda raw: raw.replace(b'"seq":3', b'"seq":3,"sequel":4'),
        lambda raw: raw.replace(b"SETTLEMENT_COMPUTED", b"SETTLEMENT_INVENTED"),
        lambda raw: b'{"z":1,' + raw[1:],
        lambda raw: raw[:-1] + b',"a":1}',
        lambda raw: raw.replace(b'"data":{', b'"data":[{').replace(b'},"eventId"', b'}],"eventId"'),
        lambda raw: raw[:-1],
        lambda raw: b"[" * 100_000,
    ],
)
def test_bytes_that_are_not_the_canonical_bytes_of_an_event_are_refused(change: Callable[[bytes], bytes]) -> None:
    raw = lived(fresh_log())[3].raw
    assert change(raw) != raw
    with pytest.raises(ContractError):
        read_event(change(raw))


def test_no_byte_of_an_event_can_change_unseen() -> None:
    """All bytes, all bits: either it is no event any more, or its hash, or its signature, does not follow."""
    event = lived(fresh_log())[3]
    raw = event.raw
    for place, bit in itertools.product(range(len(raw)), range(8)):
        changed = bytearray(raw)
        changed[place] ^= 1 << bit
        assert not believable(bytes(changed)), changed


def believable(raw: bytes) -> bool:
    try:
        event = read_event(raw)
    except ContractError:
        return False
    public = derive(1, event.actor.era).public
    return event.hash == event.due_hash() and is_attested(
        event.signature, public, event.actor.era, event.actor.role, event.hash
    )


# --- heads and their witness ------------------------------------------------------------------------------------------


def sealed(log: EventLog, witness: Witness, interval: int) -> Head:
    head, signature = log.head(interval)
    return witness.cosign(head, signature, log.proof(witness.seen)).head


def fresh_witness() -> Witness:
    return Witness(derive(1, "witness"), derive(1, "keeper"))


def test_a_head_stands_for_all_events_so_far_and_is_signed_by_both() -> None:
    log, witness = fresh_log(), fresh_witness()
    sealed(log, witness, 0)
    events = lived(log)
    head = sealed(log, witness, 1)
    tree = Tree()
    for event in events:
        tree.append(leaf_of(event.hash))
    assert head == Head(1, tree.root().hex(), 6)
    empty, seal = witness.seals
    assert empty.head.size == 0
    assert is_attested(seal.keeper.signature, derive(1, "keeper").public, "keeper", KEEPER, head.digest)
    assert is_attested(seal.witness.signature, witness.key.public, "witness", WITNESS, head.digest)


def test_the_witness_signs_nothing_that_its_keeper_did_not_sign() -> None:
    log, witness = fresh_log(), fresh_witness()
    head, _ = log.head(0)
    with pytest.raises(TrustError, match="keeper did not sign the head of 0 events"):
        witness.cosign(head, attest(derive(1, "market"), KEEPER, head.digest), ())
    assert witness.seals == ()


def test_the_witness_signs_one_head_an_interval_in_their_order() -> None:
    log, witness = fresh_log(), fresh_witness()
    sealed(log, witness, 3)
    for interval in (2, 3):
        with pytest.raises(TrustError, match=f"interval {interval} cannot follow the one of interval 3"):
            sealed(log, witness, interval)
    sealed(log, witness, 4)


@pytest.mark.parametrize(
    "other", [lambda: history_of("x", 6), lambda: history_of("c-1", 3), lambda: history_of("c-1", 0)]
)
def test_the_witness_signs_no_log_that_was_cut_or_written_anew(other: Callable[[], EventLog]) -> None:
    log, witness = history_of("c-1", 4), fresh_witness()
    sealed(log, witness, 0)
    forged = other()
    head, signature = forged.head(1)
    with pytest.raises(TrustError, match=f"a log of {len(forged)} events does not continue the 4 that were witnessed"):
        witness.cosign(head, signature, forged.proof(min(4, len(forged))))
    assert len(witness.seals) == 1


def history_of(contract: str, upto: int) -> EventLog:
    log = fresh_log()
    lived(log, contract, upto)
    return log


# --- any history ------------------------------------------------------------------------------------------------------


class Histories(RuleBasedStateMachine):
    """Any actor tries anything with any contract; the log takes what the tables allow, and can always be read again."""

    def __init__(self) -> None:
        super().__init__()
        self.log = fresh_log()
        self.witness = fresh_witness()
        self.written: list[Event] = []
        self.intervals = itertools.count()

    @rule(
        contract=st.sampled_from(["a", "b"]),
        event_type=st.sampled_from(EventType),
        actor=st.sampled_from([MARKET, HOUSE, Actor("house-2", "PROSUMER")]),
        cycle=st.sampled_from([None, "0", "1"]),
    )
    def attempt(self, contract: str, event_type: EventType, actor: Actor, cycle: str | None) -> None:
        facts = {**ROLES, "role": "BUYER", "filledBy": "ev-1"} | ({} if cycle is None else {"cycle": cycle})
        before = self.log.head(0), self.log.open_cycles(contract)
        try:
            self.log.append(contract, event_type, actor, facts)
        except ContractError:
            assert (self.log.head(0), self.log.open_cycles(contract)) == before
        self.written += self.log.drain()

    @precondition(lambda self: len(self.written) > self.witness.seen)
    @rule()
    def seal(self) -> None:
        sealed(self.log, self.witness, next(self.intervals))

    @invariant()
    def what_was_written_is_a_history(self) -> None:
        histories: dict[str, History] = {}
        for number, event in enumerate(self.written):
            history = histories.setdefault(event.contract_id, History(event.contract_id))
            assert (event.event_id, event.seq, event.prev_hash) == (str(number), history.seq, history.last_hash)
            history.check(event.event_type, event.actor, event.facts)
            history.add(event.event_type, event.facts, event.hash)
        assert all(history.phase is not Phase.COMPLETED or not history.cycles for history in histories.values())


TestHistories = Histories.TestCase


@given(st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=12), st.data())
def test_an_event_that_is_dropped_or_exchanged_breaks_the_numbers(contracts: list[str], data: st.DataObject) -> None:
    log = fresh_log()
    for contract in contracts:
        started = contract in seen(log)
        log.append(contract, E.ROLE_FILLED if started else E.CONTRACT_CREATED, MARKET, {"role": "B", "filledBy": "x"})
    events = list(log.drain())
    assert list(gaps(events)) == []
    place = data.draw(st.integers(0, len(events) - 1))
    dropped = [*events[:place], *events[place + 1 :]]
    assert next(gaps(dropped), place) == place
    other = data.draw(st.integers(0, len(events) - 1))
    events[place], events[other] = events[other], events[place]
    assert next(gaps(events), None) == (min(place, other) if place != other else None)


def gaps(events: list[Event]) -> Iterator[int]:
    return (number for number, event in enumerate(events) if event.event_id != str(number))


def test_an_event_is_a_structure_that_travels() -> None:
    assert msgspec.json.decode(lived(fresh_log())[0].raw)["actor"] == {"era": "market", "role": MARKET.role}
