"""The life of settlement cycles: runs, signatures, disputes, deadlines to the second, and the money that follows."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest

from sim.contracts.contract import Contract, Role, Template, Term
from sim.contracts.cycles import Cycles, Rules, Verify
from sim.contracts.formula import compile_formula
from sim.contracts.settlement_moves import (
    MOVES,
    Accept,
    Annul,
    Compute,
    Cycle,
    Dispute,
    Finalise,
    Missing,
    Move,
    Owed,
    Reject,
    Sign,
    State,
    Statement,
    Uphold,
)
from sim.contracts.settlement_runs import Act, Kind, settlement_digest
from sim.errors import ContractError
from sim.ledger import Ledger, Posting, balances, net_by_currency

WINDOW_S = 1000
MAY = Cycle("may", 0, 3600, 5)
JUNE = Cycle("june", 3600, 7200, 6)
JULY = Cycle("july", 7200, 10800, 7)
FIRST_S = 3600
"""The first second at which MAY is over; the tests compute its first run then."""
DEADLINE_S = FIRST_S + WINDOW_S
SNAPSHOT = "sha256:" + "5e" * 32
PARTIES = ("ev-1", "solar-1", "utility-1")
JUDGE = "court"


def term(name: str, payer: str, payee: str) -> Term:
    return Term(name, payer, payee, compile_formula("1", who=name))


def a_contract(currency: str = "INR") -> Contract:
    template = Template(
        "p2p",
        (Role.BUYER, Role.SELLER, Role.GRID_OPERATOR),
        (term("energy", "BUYER", "SELLER"), term("wheeling", "BUYER", "GRID_OPERATOR")),
    )
    roles = dict(zip((Role.BUYER, Role.SELLER, Role.GRID_OPERATOR), PARTIES, strict=True))
    return template.instantiate("p2p-1", currency, roles, {})


def stated(energy: str, wheeling: str | None = None, snapshot: str = SNAPSHOT) -> Statement:
    owed = [Owed("energy", "ev-1", "solar-1", Decimal(energy))]
    if wheeling is not None:
        owed.append(Owed("wheeling", "ev-1", "utility-1", Decimal(wheeling)))
    return Statement(tuple(owed), snapshot)


def seal(signer: str, digest: str) -> str:
    return f"{signer} over {digest}"


def verify(signer: str, digest: str, signature: str, at_s: int) -> bool:
    """Stands in for keys that are never revoked."""
    return signature == seal(signer, digest)


def revoked(signer: str, digest: str, signature: str, at_s: int) -> bool:
    """Stands in for keys of which the one of utility-1 is revoked at second 5000."""
    return verify(signer, digest, signature, at_s) and (signer != "utility-1" or at_s < 5000)


def a_book(missing: Missing = Missing.HOLD, ledger: Ledger | None = None, verify: Verify = verify) -> Cycles:
    cycles = Cycles(a_contract(), Rules(WINDOW_S, JUDGE, missing), Ledger() if ledger is None else ledger, verify)
    for cycle in (MAY, JUNE, JULY):
        cycles.open(cycle)
    return cycles


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def cycles(ledger: Ledger) -> Cycles:
    return a_book(ledger=ledger)


def sign(cycles: Cycles, party: str, at_s: int, cycle: str = "may") -> tuple[Act, ...]:
    run = cycles.runs(cycle)[-1]
    return cycles.do(Sign(cycle, run.number, party, at_s, seal(party, run.digest)))


def settle(
    cycles: Cycles, number: int, statement: Statement, at_s: int, cycle: str = "may", closes: bool = False
) -> int:
    """The happy path: computed, signed by all, final at the deadline, whose second is returned."""
    cycles.do(Compute(cycle, number, "market", at_s, statement, closes))
    for party in PARTIES:
        sign(cycles, party, at_s, cycle)
    cycles.do(Finalise(cycle, number, "market", at_s + WINDOW_S))
    return at_s + WINDOW_S


def everything(cycles: Cycles) -> object:
    runs = [cycles.runs(cycle.id) for cycle in cycles.cycles]
    books = (cycles.pending(), cycles.posted(), cycles.reserved(), tuple(cycles._ledger))
    return cycles.cycles, runs, books, cycles.settled, cycles._now_s, dict(cycles._answers)


def refused(cycles: Cycles, move: Move) -> str:
    """The text of the refusal, which must leave no trace."""
    before = everything(cycles)
    with pytest.raises(ContractError) as refusal:
        cycles.do(move)
    assert everything(cycles) == before
    return str(refusal.value)


def kinds(acts: Iterable[Act]) -> list[str]:
    return [act.kind.value for act in acts]


def seller(postings: Iterable[Posting]) -> Decimal:
    return balances(postings).get(("solar-1", "INR"), Decimal(0))


# The whole table, written down once more: what each state allows.
ALLOWED = """
    OPEN       -
    OVER       Compute
    COMPUTED   Sign Dispute
    CHALLENGE  Dispute
    HELD       Sign Accept Annul
    ESCALATED  Accept Annul
    READY      Finalise
    DISPUTED   Uphold Reject
    VOID       Compute
    FINAL      Compute
    CLOSED     -
"""
TABLE = {State(line.split()[0]): set(line.split()[1:]) - {"-"} for line in ALLOWED.strip().splitlines()}
KINDS = (Compute, Sign, Dispute, Uphold, Reject, Accept, Annul, Finalise)


def standing_at(state: State) -> tuple[Cycles, int]:
    """A cycle that stands in a state, and a second at which it does."""
    cycles = a_book(Missing.ESCALATE if state is State.ESCALATED else Missing.HOLD)
    if state is State.OPEN:
        return cycles, FIRST_S - 1
    if state is State.OVER:
        return cycles, FIRST_S
    if state in (State.FINAL, State.CLOSED):
        return cycles, settle(cycles, 0, stated("10"), FIRST_S, closes=state is State.CLOSED)
    cycles.do(Compute("may", 0, "market", FIRST_S, stated("10")))
    if state in (State.CHALLENGE, State.READY):
        for party in PARTIES:
            sign(cycles, party, FIRST_S)
    if state in (State.DISPUTED, State.VOID):
        cycles.do(Dispute("may", 0, "ev-1", FIRST_S, "meter"))
    if state is State.VOID:
        cycles.do(Uphold("may", 0, JUDGE, FIRST_S, 1))
    return cycles, DEADLINE_S if state in (State.HELD, State.ESCALATED, State.READY) else FIRST_S + 1


def well_made(kind: type[Move], cycles: Cycles, at_s: int) -> Move:
    """A move of a kind by whoever may make it, with nothing wrong but perhaps the state that it meets."""
    runs = cycles.runs("may")
    number = runs[-1].number if runs else 0
    if kind is Compute:
        return Compute("may", number + 1, "market", at_s, stated("11"))
    if kind is Sign:
        unsigned = runs[-1].unsigned if runs else PARTIES
        signer = unsigned[0] if unsigned else "ev-1"
        return Sign("may", number, signer, at_s, seal(signer, runs[-1].digest if runs else ""))
    if kind is Dispute:
        return Dispute("may", number, "ev-1", at_s, "again")
    if kind in (Uphold, Reject):
        return kind("may", number, JUDGE, at_s, runs[-1].disputes if runs else 1)  # type: ignore[call-arg]
    return kind("may", number, JUDGE, at_s)


@pytest.mark.parametrize("state", State)
def test_every_state_can_be_reached(state):
    cycles, at_s = standing_at(state)
    assert cycles.state("may", at_s) is state


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("state", State)
def test_a_move_is_accepted_where_the_table_allows_it_and_leaves_no_trace_elsewhere(state, kind):
    cycles, at_s = standing_at(state)
    move = well_made(kind, cycles, at_s)
    if kind.__name__ in TABLE[state]:
        assert cycles.do(move)
        assert cycles.state("may", at_s) is not state or kind is Sign
        return
    text = refused(cycles, move)
    runs = cycles.runs("may")
    assert text.startswith(
        f"p2p-1: may/run {move.run}: {kind.__name__} by {move.actor} at {at_s} s cannot be written: "
    )
    standing = f"{runs[-1].name} (run {runs[-1].number})" if runs else "the cycle"
    possible = [name.__name__ for name in KINDS if name.__name__ in TABLE[state]]
    assert f"{standing} is {state} (possible: {', '.join(possible) or 'nothing'})" in text


def test_the_table_of_the_module_is_the_one_above():
    assert {state: {kind.__name__ for kind in allowed} for state, allowed in MOVES.items()} == TABLE


AFTER = {
    (State.OVER, Compute): State.COMPUTED,
    (State.COMPUTED, Sign): State.COMPUTED,
    (State.COMPUTED, Dispute): State.DISPUTED,
    (State.CHALLENGE, Dispute): State.DISPUTED,
    (State.HELD, Sign): State.HELD,
    (State.HELD, Accept): State.FINAL,
    (State.HELD, Annul): State.VOID,
    (State.ESCALATED, Accept): State.FINAL,
    (State.ESCALATED, Annul): State.VOID,
    (State.READY, Finalise): State.FINAL,
    (State.DISPUTED, Uphold): State.VOID,
    (State.DISPUTED, Reject): State.COMPUTED,
    (State.VOID, Compute): State.COMPUTED,
    (State.FINAL, Compute): State.COMPUTED,
}


@pytest.mark.parametrize(("state", "kind"), AFTER, ids=lambda value: getattr(value, "__name__", value))
def test_where_each_move_leads(state, kind):
    cycles, at_s = standing_at(state)
    cycles.do(well_made(kind, cycles, at_s))
    assert cycles.state("may", at_s) is AFTER[state, kind]


def test_a_run_that_all_have_signed_within_the_window_becomes_money_at_its_deadline(cycles, ledger):
    """
    3600 computed ── signed by 3 ──────────── 4600 final
    pending: 60.00 + 2.00                     posted: 60.00 + 2.00
    """
    told = [*cycles.do(Compute("may", 0, "market", 3600, stated("60", "2")))]
    due = (
        Posting(5, "p2p-1", "energy", "ev-1", "solar-1", Decimal("60.00"), "INR"),
        Posting(5, "p2p-1", "wheeling", "ev-1", "utility-1", Decimal("2.00"), "INR"),
    )
    assert (cycles.pending(), cycles.posted(), tuple(ledger)) == (due, (), ())
    for second, party in enumerate(PARTIES):
        told += sign(cycles, party, 3700 + second)
    assert (cycles.pending(), tuple(ledger)) == (due, ())
    told += cycles.do(Finalise("may", 0, "market", 4600))
    assert (cycles.pending(), cycles.posted(), tuple(ledger)) == ((), due, due)
    digest = cycles.runs("may")[0].digest
    rows = (("energy", "ev-1", "solar-1", "60.00", "INR"), ("wheeling", "ev-1", "utility-1", "2.00", "INR"))
    same = {"cycle": "may", "run": 0, "digest": digest}
    assert [(act.kind, act.at_s, act.actor, act.data) for act in told] == [
        (
            Kind.SETTLEMENT_COMPUTED, 3600, "market",
            {**same, "name": "initial", "until_s": 4600, "snapshot": SNAPSHOT, "postings": rows},
        ),
        *(
            (Kind.SETTLEMENT_SIGNED, 3700 + i, party, {**same, "signature": seal(party, digest)})
            for i, party in enumerate(PARTIES)
        ),
        (Kind.SETTLED, 4600, "market", {**same, "unsigned": (), "postings": rows}),
    ]  # fmt: skip


def test_what_is_signed_is_the_hash_of_contract_cycle_run_postings_and_snapshot(cycles):
    cycles.do(Compute("may", 0, "market", FIRST_S, stated("60", "-2")))
    content = {
        "closes": False,
        "contract": "p2p-1",
        "cycle": "may",
        "postings": [
            {"amount": "60.00", "currency": "INR", "from": "ev-1", "term": "energy", "to": "solar-1"},
            {"amount": "2.00", "currency": "INR", "from": "utility-1", "term": "wheeling", "to": "ev-1"},
        ],
        "run": 0,
        "snapshot": SNAPSHOT,
    }
    text = json.dumps(content, separators=(",", ":"), sort_keys=True)
    assert cycles.runs("may")[0].digest == "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def test_every_part_of_what_is_signed_changes_the_digest():
    posting = Posting(5, "c", "t", "a", "b", Decimal("1.00"), "INR")
    parts: list[tuple[Any, Any]] = [
        ("c", "d"), ("may", "june"), (0, 1), (False, True), ((posting,), ()), (SNAPSHOT, SNAPSHOT[:-1] + "0"),
    ]  # fmt: skip
    usual = [a for a, _ in parts]
    digests = {settlement_digest(*usual)}
    for index, (_, other) in enumerate(parts):
        digests.add(settlement_digest(*usual[:index], other, *usual[index + 1 :]))
    assert len(digests) == 7


def test_what_is_owed_may_be_less_than_one_and_keeps_its_direction(cycles):
    cycles.do(Compute("may", 0, "market", FIRST_S, stated("0.50", "-0.50")))
    assert [(p.payer, p.payee, str(p.amount)) for p in cycles.pending()] == [
        ("ev-1", "solar-1", "0.50"),
        ("utility-1", "ev-1", "0.50"),
    ]


def test_a_dispute_and_each_ruling_tell_what_they_are_about(cycles):
    cycles.do(Compute("may", 0, "market", FIRST_S, stated("60")))
    sign(cycles, "ev-1", FIRST_S)
    (run,) = cycles.runs("may")
    assert run.signatures == (("ev-1", seal("ev-1", run.digest)),)
    same = {"cycle": "may", "run": 0, "digest": run.digest}
    told = [*cycles.do(Dispute("may", 0, "ev-1", 3700, "meter")), *cycles.do(Reject("may", 0, JUDGE, 3800, 1))]
    told += [*cycles.do(Dispute("may", 0, "solar-1", 3900, "price")), *cycles.do(Uphold("may", 0, JUDGE, 4000, 2))]
    rows = (("energy", "solar-1", "ev-1", "60.00", "INR"),)
    assert [(act.kind, act.data) for act in told] == [
        (Kind.CHALLENGED, {**same, "dispute": 1, "reason": "meter"}),
        (Kind.CHALLENGE_RESOLVED, {**same, "ruling": "REJECTED", "dispute": 1, "until_s": 3800 + WINDOW_S}),
        (Kind.CHALLENGED, {**same, "dispute": 2, "reason": "price"}),
        (Kind.CHALLENGE_RESOLVED, {**same, "ruling": "UPHELD", "dispute": 2}),
        (Kind.ROLLED_BACK, {**same, "postings": rows}),
    ]


@pytest.mark.parametrize(("move", "ruling"), [(Accept, "ACCEPTED"), (Annul, "ANNULLED")])
def test_a_ruling_on_missing_signatures_tells_whose(cycles, move, ruling):
    cycles.do(Compute("may", 0, "market", FIRST_S, stated("60")))
    sign(cycles, "ev-1", FIRST_S)
    resolved, _ = cycles.do(move("may", 0, JUDGE, DEADLINE_S))
    assert resolved.data == {
        "cycle": "may",
        "run": 0,
        "digest": cycles.runs("may")[0].digest,
        "ruling": ruling,
        "unsigned": ("solar-1", "utility-1"),
    }


def test_the_order_of_a_statement_does_not_matter(cycles):
    digests = []
    for statement in (stated("60", "2"), Statement(stated("60", "2").owed[::-1], SNAPSHOT)):
        book = a_book()
        book.do(Compute("may", 0, "market", FIRST_S, statement))
        digests.append(book.runs("may")[0].digest)
    assert digests[0] == digests[1]


# Boundaries, at the exact second.


@pytest.mark.parametrize(
    ("second", "accepted"), [(FIRST_S - 1, False), (FIRST_S, True), (FIRST_S + 1, True)]
)  # fmt: skip
def test_a_cycle_is_computed_from_the_second_on_at_which_its_window_ends(cycles, second, accepted):
    move = Compute("may", 0, "market", second, stated("1"))
    if accepted:
        cycles.do(move)
    else:
        assert "the cycle is OPEN (possible: nothing)" in refused(cycles, move)


def test_the_last_second_of_the_window_is_for_disputes_and_the_next_one_is_for_finality(cycles):
    cycles.do(Compute("may", 0, "market", FIRST_S, stated("1")))
    for party in PARTIES:
        sign(cycles, party, FIRST_S)
    refused(cycles, Finalise("may", 0, "market", DEADLINE_S - 1))
    refused(cycles, Dispute("may", 0, "ev-1", DEADLINE_S, "late"))
    other = a_book()
    settle(other, 0, stated("1"), FIRST_S)
    assert kinds(cycles.do(Dispute("may", 0, "ev-1", DEADLINE_S - 1, "in time"))) == ["CHALLENGED"]


def test_a_rejected_dispute_restarts_the_window_and_keeps_the_signatures(cycles, ledger):
    """
    3600 computed, signed   4000 disputed   4500 rejected            5500
    [ ................. old window .... 4600)
                                            [ ...... new window .... )final
    """
    cycles.do(Compute("may", 0, "market", FIRST_S, stated("1")))
    for party in PARTIES:
        sign(cycles, party, FIRST_S)
    cycles.do(Dispute("may", 0, "utility-1", 4000, "meter"))
    assert cycles.state("may", 9999) is State.DISPUTED
    (resolved,) = cycles.do(Reject("may", 0, JUDGE, 4500, 1))
    assert (resolved.kind, resolved.data["ruling"], resolved.data["until_s"]) == (
        Kind.CHALLENGE_RESOLVED, "REJECTED", 5500,
    )  # fmt: skip
    assert cycles.state("may", 4500) is State.CHALLENGE
    refused(cycles, Finalise("may", 0, "market", 4600))
    refused(cycles, Finalise("may", 0, "market", 5499))
    cycles.do(Finalise("may", 0, "market", 5500))
    assert len(ledger) == 1


def test_a_dispute_may_be_resolved_after_the_deadline_and_its_window_begins_then(cycles):
    cycles.do(Compute("may", 0, "market", FIRST_S, stated("1")))
    cycles.do(Dispute("may", 0, "ev-1", DEADLINE_S - 1, "meter"))
    cycles.do(Reject("may", 0, JUDGE, DEADLINE_S + 500, 1))
    assert cycles.state("may", DEADLINE_S + 500 + WINDOW_S - 1) is State.COMPUTED
    assert cycles.state("may", DEADLINE_S + 500 + WINDOW_S) is State.HELD


@pytest.mark.parametrize(
    ("missing", "state", "may_sign"),
    [
        (Missing.HOLD, State.HELD, True),
        (Missing.DEEMED_ACCEPT, State.READY, False),
        (Missing.ESCALATE, State.ESCALATED, False),
    ],
)
def test_a_signature_that_is_missing_at_the_deadline_means_what_the_policy_says(missing, state, may_sign):
    cycles = a_book(missing)
    cycles.do(Compute("may", 0, "market", FIRST_S, stated("1")))
    for party in PARTIES[:2]:
        sign(cycles, party, DEADLINE_S - 1)
    assert cycles.state("may", DEADLINE_S - 1) is State.COMPUTED
    assert cycles.state("may", DEADLINE_S) is state
    move = Sign("may", 0, PARTIES[2], DEADLINE_S, seal(PARTIES[2], cycles.runs("may")[0].digest))
    if may_sign:
        cycles.do(move)
        cycles.do(Finalise("may", 0, "market", DEADLINE_S))
    else:
        refused(cycles, move)


def test_who_was_deemed_to_accept_is_named(ledger):
    cycles = a_book(Missing.DEEMED_ACCEPT, ledger)
    cycles.do(Compute("may", 0, "market", FIRST_S, stated("1")))
    sign(cycles, "solar-1", FIRST_S)
    (settled,) = cycles.do(Finalise("may", 0, "market", DEADLINE_S))
    assert settled.data["unsigned"] == ("ev-1", "utility-1")
    assert len(ledger) == 1


@pytest.mark.parametrize("missing", [Missing.HOLD, Missing.ESCALATE])
def test_the_arbitrator_accepts_or_annuls_what_was_not_signed(missing, ledger):
    cycles = a_book(missing, ledger)
    cycles.do(Compute("may", 0, "market", FIRST_S, stated("1")))
    sign(cycles, "ev-1", FIRST_S)
    assert "only the arbitrator rules, which is court" in refused(cycles, Accept("may", 0, "ev-1", DEADLINE_S))
    assert "only the arbitrator rules, which is court" in refused(cycles, Annul("may", 0, "market", DEADLINE_S))
    annulled, rolled_back = cycles.do(Annul("may", 0, JUDGE, DEADLINE_S))
    assert (annulled.kind, annulled.data["ruling"]) == (Kind.CHALLENGE_RESOLVED, "ANNULLED")
    assert annulled.data["unsigned"] == ("solar-1", "utility-1")
    assert rolled_back.data["postings"] == (("energy", "solar-1", "ev-1", "1.00", "INR"),)
    cycles.do(Compute("may", 1, "market", DEADLINE_S, stated("2")))
    told = cycles.do(Accept("may", 1, JUDGE, DEADLINE_S + WINDOW_S))
    assert kinds(told) == ["CHALLENGE_RESOLVED", "SETTLED"]
    assert (told[0].data["ruling"], told[1].data["unsigned"]) == ("ACCEPTED", PARTIES)
    assert [str(p.amount) for p in ledger] == ["2.00"]


def test_a_window_of_no_length_leaves_the_deadline_at_once():
    cycles = Cycles(a_contract(), Rules(0, JUDGE, Missing.DEEMED_ACCEPT), Ledger(), verify)
    cycles.open(MAY)
    cycles.do(Compute("may", 0, "market", FIRST_S, stated("1")))
    refused(cycles, Dispute("may", 0, "ev-1", FIRST_S, "meter"))
    cycles.do(Finalise("may", 0, "market", FIRST_S))


# Who may do what.


def test_only_a_party_signs_once_with_its_own_signature_over_this_run(cycles):
    cycles.do(Compute("may", 0, "market", FIRST_S, stated("1")))
    digest = cycles.runs("may")[0].digest
    stranger = Sign("may", 0, "solar-2", FIRST_S, seal("solar-2", digest))
    assert "solar-2 is no party of this contract (did you mean solar-1?)" in refused(cycles, stranger)
    borrowed = Sign("may", 0, "ev-1", FIRST_S, seal("solar-1", digest))
    assert f"the signature is not ev-1's over {digest}" in refused(cycles, borrowed)
    sign(cycles, "ev-1", FIRST_S)
    again = Sign("may", 0, "ev-1", FIRST_S + 1, seal("ev-1", digest))
    assert "ev-1 has signed; missing: solar-1, utility-1" in refused(cycles, again)


def test_a_signature_over_another_run_does_not_count(cycles):
    cycles.do(Compute("may", 0, "market", FIRST_S, stated("1")))
    old = cycles.runs("may")[0].digest
    cycles.do(Dispute("may", 0, "ev-1", FIRST_S, "meter"))
    cycles.do(Uphold("may", 0, JUDGE, FIRST_S, 1))
    cycles.do(Compute("may", 1, "market", FIRST_S, stated("1")))
    refused(cycles, Sign("may", 1, "ev-1", FIRST_S, seal("ev-1", old)))


def test_a_key_signs_until_the_second_of_its_revocation_and_what_it_signed_before_stays(ledger):
    cycles = a_book(ledger=ledger, verify=revoked)
    cycles.do(Compute("may", 0, "market", 4500, stated("1")))
    digest = cycles.runs("may")[0].digest
    early, late = (Sign("may", 0, "utility-1", second, seal("utility-1", digest)) for second in (4999, 5000))
    refused(cycles, late)
    cycles.do(early)
    for party in PARTIES[:2]:
        sign(cycles, party, 5000)
    cycles.do(Finalise("may", 0, "market", 5500))
    assert len(ledger) == 1


def test_only_a_party_disputes_and_only_the_arbitrator_rules(cycles):
    cycles.do(Compute("may", 0, "market", FIRST_S, stated("1")))
    assert "court is no party" in refused(cycles, Dispute("may", 0, JUDGE, FIRST_S, "meter"))
    cycles.do(Dispute("may", 0, "ev-1", FIRST_S, "meter"))
    for ruling in (Uphold, Reject):
        assert "only the arbitrator rules" in refused(cycles, ruling("may", 0, "solar-1", FIRST_S, 1))


def test_a_ruling_on_an_earlier_dispute_does_not_touch_a_later_one(cycles):
    cycles.do(Compute("may", 0, "market", FIRST_S, stated("1")))
    cycles.do(Dispute("may", 0, "ev-1", FIRST_S, "meter"))
    rejected = Reject("may", 0, JUDGE, FIRST_S, 1)
    cycles.do(rejected)
    (challenged,) = cycles.do(Dispute("may", 0, "ev-1", FIRST_S, "price"))
    assert challenged.data["dispute"] == 2
    cycles.do(rejected)
    assert cycles.state("may", FIRST_S) is State.DISPUTED
    assert "dispute 1 is not the open one, which is 2" in refused(cycles, Uphold("may", 0, JUDGE, FIRST_S, 1))
    assert kinds(cycles.do(Uphold("may", 0, JUDGE, FIRST_S, 2))) == ["CHALLENGE_RESOLVED", "ROLLED_BACK"]


# Runs and money.

GOLDEN = [
    pytest.param(
        [("10.0", "60.00", "60.00"), ("9.4", "56.40", "-3.60"), ("9.4", "56.40", "0"), ("9.65", "57.90", "1.50")],
        id="money-resettlement-runs",
    )
]
"""Energy in kWh at 6.00 per kWh: SF, R1, R2, RF; then the seller's position and what each run posts."""


@pytest.mark.parametrize("runs", GOLDEN)
def test_golden_resettlement_posts_the_differences_and_sums_to_the_final_run(runs, cycles, ledger):
    at_s, old, posted, names = FIRST_S, (), [], []
    for number, (energy_kwh, cumulative, delta) in enumerate(runs):
        settle(cycles, number, stated(str(Decimal(energy_kwh) * 6)), at_s, closes=number == 3)
        new = tuple(ledger)
        assert new[: len(old)] == old, "old_postings_unchanged"
        assert seller(new[len(old) :]) == Decimal(delta)
        assert len(new) - len(old) == (delta != "0")
        assert seller(new) == Decimal(cumulative)
        posted.append(seller(new[len(old) :]))
        names.append(cycles.runs("may")[-1].name)
        at_s, old = at_s + WINDOW_S, new
    assert sum(posted) == seller(ledger) == Decimal(runs[-1][1]), "sum_of_deltas_equals_final"
    assert names == ["initial", "R1", "R2", "final"]
    assert cycles.state("may", at_s) is State.CLOSED


def test_a_run_that_is_void_is_reversed_and_the_next_one_compares_with_the_last_final_one(cycles, ledger):
    """final(60) ─ R1(50) disputed, upheld ─ R2(55): posts -5, never -10 and +5"""
    at_s = settle(cycles, 0, stated("60"), FIRST_S)
    cycles.do(Compute("may", 1, "market", at_s, stated("50", "3")))
    pending = cycles.pending()
    assert seller(pending) == -10
    cycles.do(Dispute("may", 1, "ev-1", at_s, "meter"))
    _, rolled_back = cycles.do(Uphold("may", 1, JUDGE, at_s, 1))
    assert rolled_back.data["postings"] == (
        ("energy", "ev-1", "solar-1", "10.00", "INR"),
        ("wheeling", "utility-1", "ev-1", "3.00", "INR"),
    )
    assert (cycles.pending(), len(ledger)) == ((), 1)
    assert cycles.reserved()[2:4] == pending, "a reversal removes nothing"
    assert not any(balances(cycles.reserved()).values())
    assert cycles.runs("may")[1].postings == pending
    cycles.do(Compute("may", 2, "market", at_s, stated("55")))
    assert seller(cycles.pending()) == -5


def test_a_number_that_was_void_is_never_used_again_nor_one_before_it(cycles):
    """final(run 0); compute(run 1) disputed and upheld; compute(run 0) must not be accepted"""
    at_s = settle(cycles, 0, stated("60"), FIRST_S)
    cycles.do(Compute("may", 1, "market", at_s, stated("50")))
    cycles.do(Dispute("may", 1, "ev-1", at_s, "meter"))
    cycles.do(Uphold("may", 1, JUDGE, at_s, 1))
    for number in (0, 1):
        text = refused(cycles, Compute("may", number, "market", at_s, stated("55")))
        assert "no number is used again, not even after a VOID; R1 (run 1) is VOID (possible: 2 or more)" in text
    cycles.do(Compute("may", 2, "market", at_s, stated("55")))


def test_a_closing_run_that_is_void_closes_nothing(cycles):
    cycles.do(Compute("may", 0, "market", FIRST_S, stated("60"), closes=True))
    cycles.do(Annul("may", 0, JUDGE, DEADLINE_S))
    assert cycles.state("may", DEADLINE_S) is State.VOID
    at_s = settle(cycles, 1, stated("60"), DEADLINE_S, closes=True)
    refused(cycles, Compute("may", 2, "market", at_s, stated("61")))


def test_what_is_done_to_a_run_that_is_not_the_latest_is_refused(cycles):
    at_s = settle(cycles, 0, stated("60"), FIRST_S)
    cycles.do(Compute("may", 1, "market", at_s, stated("50")))
    assert "it is not the latest run; R1 (run 1) is COMPUTED" in refused(
        cycles, Dispute("may", 0, "ev-1", at_s, "late")
    )
    assert "it is not the latest run; R1 (run 1) is COMPUTED" in refused(
        cycles, Dispute("may", 2, "ev-1", at_s, "early")
    )


def test_a_second_run_waits_until_the_first_is_decided(cycles):
    cycles.do(Compute("may", 0, "market", FIRST_S, stated("60")))
    assert "initial (run 0) is COMPUTED (possible: Sign, Dispute)" in refused(
        cycles, Compute("may", 1, "market", FIRST_S, stated("50"))
    )


def test_a_final_run_is_rolled_back_by_a_new_run(cycles, ledger):
    at_s = settle(cycles, 0, stated("60", "2"), FIRST_S, "may")
    settle(cycles, 1, stated("0"), at_s)
    assert [(p.term, p.payer, p.payee, str(p.amount)) for p in ledger] == [
        ("energy", "ev-1", "solar-1", "60.00"),
        ("wheeling", "ev-1", "utility-1", "2.00"),
        ("energy", "solar-1", "ev-1", "60.00"),
        ("wheeling", "utility-1", "ev-1", "2.00"),
    ]
    assert not any(balances(ledger).values())


def test_what_is_owed_backwards_is_the_negative_of_what_is_owed_forwards(cycles):
    at_s = settle(cycles, 0, stated("-5"), FIRST_S)
    assert [(p.payer, p.payee, str(p.amount)) for p in cycles.posted()] == [("solar-1", "ev-1", "5.00")]
    backwards = Statement((Owed("energy", "solar-1", "ev-1", Decimal("5.00")),), SNAPSHOT)
    (computed,) = cycles.do(Compute("may", 1, "market", at_s, backwards))
    assert computed.data["postings"] == ()


def test_a_run_that_the_ledger_refuses_leaves_everything_as_it_was():
    class Full(Ledger):
        def post(self, postings: Iterable[Posting]) -> None:
            if tuple(postings):
                raise ContractError("ledger", "is full")

    cycles = a_book(ledger=Full())
    cycles.do(Compute("may", 0, "market", FIRST_S, stated("1")))
    for party in PARTIES:
        sign(cycles, party, FIRST_S)
    assert refused(cycles, Finalise("may", 0, "market", DEADLINE_S)) == "ledger: is full"
    assert cycles.state("may", DEADLINE_S) is State.READY


def test_a_statement_is_refused_with_everything_that_is_wrong_with_it(cycles):
    statement = Statement(
        (
            Owed("energie", "ev-1", "solar-1", Decimal(1)),
            Owed("energy", "ev-1", "ev-2", Decimal("0.001")),
            Owed("wheeling", "ev-1", "ev-1", Decimal(1)),
            Owed("energy", "ev-1", "solar-1", Decimal("NaN")),
            Owed("energy", "solar-1", "ev-1", 1.5),  # type: ignore[arg-type]
        ),
        "sha256:",
    )
    assert refused(cycles, Compute("may", 0, "market", FIRST_S, statement)).splitlines() == [
        "p2p-1: 8 problems",
        "  may: the snapshot 'sha256:' is not sha256: and 64 hexadecimal digits",
        "  may/energie: is no term of this contract (did you mean energy?)",
        "  may/energy: ev-2 is no party of this contract (did you mean ev-1?)",
        "  may/energy: the amount 0.001 is not in whole minor units of INR (0.01)",
        "  may/wheeling: ev-1 cannot owe itself",
        "  may/energy: the amount Decimal('NaN') is not a Decimal below 1e28",
        "  may/energy: the amount 1.5 is not a Decimal",
        "  may/energy: is stated twice between solar-1 and ev-1",
    ]


@pytest.mark.parametrize(
    ("currency", "amount", "posted"), [("JPY", "3", "3"), ("KWD", "2.5", "2.500"), ("INR", "1E+2", "100.00")]
)
def test_postings_carry_all_digits_of_their_minor_unit(currency, amount, posted):
    cycles = Cycles(a_contract(currency), Rules(WINDOW_S, JUDGE), Ledger(), verify)
    cycles.open(MAY)
    cycles.do(Compute("may", 0, "market", FIRST_S, stated(amount)))
    assert [str(p.amount) for p in cycles.pending()] == [posted]


# Time, repetition, corrections.


def test_time_does_not_go_back_in_any_cycle_of_the_contract(cycles):
    cycles.do(Compute("june", 0, "market", 8000, stated("1")))
    assert refused(cycles, Compute("may", 0, "market", 7999, stated("1"))) == (
        "p2p-1: may/run 0: Compute by market at 7999 s cannot be written: "
        "time does not go back, and the last move was made at 8000 s"
    )
    cycles.do(Compute("may", 0, "market", 8000, stated("1")))


def test_every_move_of_a_life_may_come_again_at_any_later_time_without_effect(cycles):
    first = [
        Compute("may", 0, "market", FIRST_S, stated("60")),
        Dispute("may", 0, "ev-1", FIRST_S + 1, "meter"),
        Reject("may", 0, JUDGE, FIRST_S + 2, 1),
    ]
    answers = {move: cycles.do(move) for move in first}
    digest = cycles.runs("may")[0].digest
    signatures = [Sign("may", 0, party, FIRST_S + 3, seal(party, digest)) for party in PARTIES]
    last = [
        Finalise("may", 0, "market", FIRST_S + 2 + WINDOW_S),
        Compute("may", 1, "market", 5000, stated("50")),
        Dispute("may", 1, "ev-1", 5001, "meter"),
        Uphold("may", 1, JUDGE, 5002, 1),
        Compute("may", 2, "market", 5003, stated("51")),
        Annul("may", 2, JUDGE, 6003),
        Compute("may", 3, "market", 6003, stated("52")),
        Accept("may", 3, JUDGE, 7003),
    ]
    answers |= {move: cycles.do(move) for move in (*signatures, *last)}
    after = everything(cycles)
    for move, answer in reversed(answers.items()):
        assert cycles.do(move) == answer
        assert everything(cycles) == after


def test_what_was_refused_is_judged_anew(cycles):
    dispute = Dispute("may", 0, "ev-1", FIRST_S, "meter")
    refused(cycles, dispute)
    cycles.do(Compute("may", 0, "market", FIRST_S, stated("1")))
    assert kinds(cycles.do(dispute)) == ["CHALLENGED"]


def test_an_unknown_cycle_is_refused_by_name(cycles):
    assert refused(cycles, Finalise("juni", 0, "market", FIRST_S)) == (
        "p2p-1: juni: is no cycle of this contract (did you mean june?)"
    )
    with pytest.raises(ContractError, match="juni: is no cycle"):
        cycles.runs("juni")
    with pytest.raises(ContractError, match="juni: is no cycle"):
        cycles.state("juni", 0)


@pytest.fixture
def three_final(cycles) -> Cycles:
    for cycle, at_s in (("may", 11000), ("june", 12000), ("july", 13000)):
        settle(cycles, 0, stated("60", "2"), at_s, cycle)
    return cycles


def test_a_correction_begins_runs_of_exactly_the_cycles_whose_amounts_differ(three_final):
    """Less energy in May leaves more of the cheap tier to July; June is computed from new signals to the same amounts."""
    after = {"july": stated("61", "2"), "may": stated("50", "2"), "june": stated("60.00", "2", "sha256:" + "00" * 32)}
    told = three_final.correct(after, "market", 20000)
    assert [(act.kind, act.data["cycle"], act.data["run"]) for act in told] == [
        (Kind.SETTLEMENT_COMPUTED, "may", 1),
        (Kind.SETTLEMENT_COMPUTED, "july", 1),
    ]
    assert [(p.interval, p.payer, str(p.amount)) for p in three_final.pending()] == [
        (5, "solar-1", "10.00"),
        (7, "ev-1", "1.00"),
    ]
    before = everything(three_final)
    assert three_final.correct(after, "market", 20000) == told
    assert three_final.correct(after, "market", 20001) == (), "a run under way with these amounts is enough"
    assert three_final.do(Compute("may", 1, "market", 20000, stated("50", "2"))) == told[:1]
    assert everything(three_final)[:5] == before[:5]  # type: ignore[index]


def test_a_correction_that_changes_nothing_begins_nothing(three_final):
    before = everything(three_final)[:5]  # type: ignore[index]
    assert three_final.correct({cycle.id: stated("60", "2") for cycle in three_final.cycles}, "market", 20000) == ()
    assert everything(three_final)[:5] == before  # type: ignore[index]
    assert three_final.settled


def test_a_correction_takes_effect_in_all_cycles_or_in_none(three_final):
    settle(three_final, 1, stated("61"), 14000, "june")
    three_final.do(Compute("july", 1, "market", 15000, stated("70")))
    three_final.do(Compute("june", 2, "market", 15000, stated("60"), closes=True))
    three_final.do(Accept("june", 2, JUDGE, 16000))
    before = everything(three_final)
    with pytest.raises(ContractError) as refusal:
        three_final.correct({cycle.id: stated("55") for cycle in three_final.cycles}, "market", 16000)
    assert [str(fault) for fault in refusal.value.faults] == [
        "june/run 3: Compute by market at 16000 s cannot be written: final (run 2) is CLOSED (possible: nothing)",
        "july/run 2: Compute by market at 16000 s cannot be written: R1 (run 1) is HELD (possible: Sign, Accept, Annul)",
    ]
    assert everything(three_final) == before


def test_a_correction_with_a_faulty_statement_or_an_unknown_cycle_names_them_all(three_final):
    before = everything(three_final)
    with pytest.raises(ContractError) as refusal:
        three_final.correct({"may": stated("0.001"), "august": stated("1"), "june": stated("1")}, "market", 20000)
    assert [fault.where for fault in refusal.value.faults] == ["may/energy", "august"]
    assert everything(three_final) == before


def test_a_correction_begins_cycles_that_were_never_computed_and_those_whose_latest_run_is_void(cycles):
    at_s = settle(cycles, 0, stated("60"), 11000)
    cycles.do(Compute("may", 1, "market", at_s, stated("50")))
    cycles.do(Annul("may", 1, JUDGE, at_s + WINDOW_S))
    told = cycles.correct({"may": stated("60"), "june": stated("0")}, "market", 20000)
    assert [(act.data["cycle"], act.data["run"]) for act in told] == [("may", 2), ("june", 0)]
    assert cycles.pending() == ()


def test_a_contract_is_settled_when_the_latest_run_of_each_of_its_cycles_is_final(three_final):
    assert not Cycles(a_contract(), Rules(WINDOW_S, JUDGE), Ledger(), verify).settled
    assert not a_book().settled
    assert three_final.settled
    three_final.do(Compute("may", 1, "market", 20000, stated("50")))
    assert not three_final.settled
    three_final.do(Annul("may", 1, JUDGE, 21000))
    assert not three_final.settled
    settle(three_final, 2, stated("50"), 21000)
    assert three_final.settled
    three_final.open(Cycle("august", 10800, 14400, 8))
    assert not three_final.settled


def test_a_cycle_is_opened_once_after_the_one_before(cycles):
    cycles.do(Compute("may", 0, "market", FIRST_S, stated("1")))
    before = everything(cycles)
    cycles.open(MAY)
    for other, what in (
        (
            Cycle("may", 0, 3601, 5),
            "p2p-1: may: is known already as Cycle(id='may', start_s=0, end_s=3600, interval=5)",
        ),
        (Cycle("august", 10799, 14400, 8), "p2p-1: august: begins at 10799 s, before july has ended at 10800 s"),
    ):
        with pytest.raises(ContractError) as refusal:
            cycles.open(other)
        assert str(refusal.value) == what
    assert everything(cycles) == before


def test_numbers_that_are_not_whole_never_become_a_move_a_cycle_or_a_rule():
    for run, at_s, what in (
        (-1, 0, "runs are numbered from 0"),
        (0, 0.5, "at_s is 0.5, not a whole number"),
        (0.5, 0, "run is 0.5, not a whole number"),
        (True, 0, "run is True, not a whole number"),
    ):
        with pytest.raises(ContractError) as refusal:
            Finalise("may", run, "market", at_s)  # type: ignore[arg-type]
        assert str(refusal.value) == f"may/run {run}: {what}"
    for start_s, end_s, interval, what in (
        (0, 0, 0, "the cycle ends at 0 s, not after its start at 0 s"),
        (1, 0, 0, "the cycle ends at 0 s, not after its start at 1 s"),
        (0, 0.5, 0, "end_s is 0.5, not a whole number"),
        (0.5, 1, 0, "start_s is 0.5, not a whole number"),
        (0, 1, "5", "interval is '5', not a whole number"),
    ):
        with pytest.raises(ContractError) as refusal:
            Cycle("may", start_s, end_s, interval)  # type: ignore[arg-type]
        assert str(refusal.value) == f"may: {what}"
    with pytest.raises(ContractError) as refusal:
        Cycles(a_contract(), Rules(-1, "ev-1"), Ledger(), verify)
    assert [str(fault) for fault in refusal.value.faults] == [
        "challenge_s: is -1, not a whole number of seconds from 0 on",
        "arbitrator: ev-1 is a party and would judge its own case",
    ]


def test_what_has_no_canonical_bytes_is_refused_before_anything_is_computed(cycles):
    text = refused(cycles, Compute("may", 2**53, "market", FIRST_S, stated("1")))
    assert text.startswith("p2p-1: /run: 9007199254740992 is beyond 2^53 - 1")
    cycles.open(Cycle("\ud800", 10800, 14400, 8))
    assert "/cycle: '\\ud800' holds half of a character" in refused(
        cycles, Compute("\ud800", 0, "market", 14400, stated("1"))
    )


def test_nothing_that_is_handed_out_can_be_changed(cycles):
    (act,) = cycles.do(Compute("may", 0, "market", FIRST_S, stated("1")))
    act.data["run"] = 7
    assert act.data["run"] == 0
    (run,) = cycles.runs("may")
    for value, name in (
        (act, "actor"),
        (run, "state"),
        (run.statement, "owed"),
        (MAY, "end_s"),
        (cycles.rules, "missing"),
    ):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, name, None)
    assert hash(act) == hash(cycles.do(Compute("may", 0, "market", FIRST_S, stated("1")))[0])


def test_both_books_sum_to_zero_whatever_is_in_them(three_final):
    three_final.do(Compute("may", 1, "market", 20000, stated("-3", "7")))
    for book in (three_final.pending(), three_final.posted(), three_final.reserved()):
        assert book
        assert net_by_currency(balances(book)) == {"INR": 0}
