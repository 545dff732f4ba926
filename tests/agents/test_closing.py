"""The end of accounts: what a host states, who signs and who disputes it, and what becomes of it at the deadline."""

from __future__ import annotations

import functools
import io
import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from agents.chronicle import Chronicle
from agents.closing import BAG, CLOSING, Closing, Practice, owed
from agents.passbook import Passbook
from results.run import Run
from results.summary import render, summarise
from results.verify import verify
from scenarios.build import Built, build
from scenarios.reader import read
from scenarios.runner import execute
from scenarios.timing import Stopwatch
from sim.contracts.contract import Contract, Role, Template, Term
from sim.contracts.cycles import Rules
from sim.contracts.fingerprints import snapshot_of
from sim.contracts.formula import compile_formula
from sim.contracts.settlement_moves import Cycle, Missing, State
from sim.errors import ContractError
from sim.events import Event, EventLog, EventType
from sim.ledger import Posting
from sim.rng import identifier
from sim.trust.signatory import Signatory
from sim.trust.signature import derive
from sim.wire.bags import ENERGY, EnergySettlement, SettlementLine, TimeWindow
from sim.wire.codes import Code, Refusal
from sim.wire.core import Commitment, CommitmentCode, CommitmentStatus, CommittedOffer, CommittedResource, Quantity
from sim.wire.core import Contract as WireContract
from sim.wire.core import Settlement as WireSettlement
from sim.wire.messages import ContractContent, Message
from tests.conftest import STREET, TWO_HOURS
from tests.results import test_chain as forging

ID = identifier(1, "contract")
DAY_S, WINDOW_S = 3600, 900
KEYS = functools.cache(functools.partial(derive, 1))
SNAPSHOTS = ("sha256:" + "1" * 64, "sha256:" + "2" * 64)
DIGEST = "sha256:" + "a" * 64
WHOLE_RUN = TimeWindow(start="2026-11-20T14:00:00Z", end="2026-11-20T15:00:00Z")


def hand(era: str) -> Signatory:
    return Signatory(era, KEYS)


def a_contract(*, taxed: bool = True) -> Contract:
    terms = (
        Term("energy", Role.PROSUMER, Role.MARKET_CLEARING_AGENT, compile_formula("1", who="energy")),
        Term("tax", Role.PROSUMER, Role.GOVERNMENT, compile_formula("1", who="tax")),
    )
    roles = {
        Role.PROSUMER: "ev-1",
        Role.MARKET_CLEARING_AGENT: "market",
        **({Role.GOVERNMENT: "treasury"} if taxed else {}),
    }
    template = Template("sale", tuple(roles), terms[: 1 + taxed])
    return template.instantiate(ID, "EUR", roles, {})


def posting(interval: int, term: str, payer: str, payee: str, amount: str) -> Posting:
    return Posting(interval, ID, term, payer, payee, Decimal(amount), "EUR")


POSTED = (
    posting(0, "energy", "ev-1", "market", "2.00"),
    posting(0, "tax", "ev-1", "treasury", "0.20"),
    posting(1, "energy", "market", "ev-1", "0.75"),
)


class Desk:
    """A host's closing of one contract, and a clock that is set by hand."""

    def __init__(
        self, missing: Missing = Missing.DEEMED_ACCEPT, posted: tuple[Posting, ...] = POSTED, *, taxed: bool = True
    ) -> None:
        self.second = DAY_S
        self.log = EventLog(KEYS("utility"), KEYS, lambda: "2026-11-20T15:00:00Z")
        self.contract = a_contract(taxed=taxed)
        chronicle = Chronicle(self.log, "market")
        chronicle.in_force(self.contract)
        practice = Practice(Rules(WINDOW_S, "metering", missing), hand("market"), lambda: self.second)
        self.closing = Closing(
            self.contract, posted, SNAPSHOTS, window=Cycle(CLOSING, 0, DAY_S, 1), practice=practice, chronicle=chronicle
        )
        self.log_of_forming = len(self.log)

    def answer(self, era: str = "ev-1", at_s: int | None = None, **changes: Any) -> None:
        """A party's word, by default its signature over what was stated."""
        self.second = self.second if at_s is None else at_s
        digest = self.closing.run.digest
        told = EnergySettlement(
            ENERGY,
            cycleId=CLOSING,
            currency="EUR",
            amount=0.0,
            breakdown=(),
            timeWindow=WHOLE_RUN,
            statementDigest=digest,
        )
        said = changes or {"signature": hand(era).sign(digest)}
        self.closing.answered(era, msgspec.structs.replace(told, **said))

    def settled(self, at_s: int) -> bool:
        self.second = at_s
        return self.closing.settle()

    def events(self) -> list[str]:
        return [f"{event.event_type} by {event.actor.era}" for event in self.log.drain()][3:]

    def refusal(self, era: str = "ev-1", at_s: int | None = None, **changes: Any) -> str:
        before = self.closing.run
        with pytest.raises(Refusal) as refused:
            self.answer(era, at_s, **changes)
        assert self.closing.run is before
        return str(refused.value.code)


# --- the host ---------------------------------------------------------------------------------------------------------


def test_a_statement_is_what_the_postings_of_all_intervals_come_to_and_signed_by_its_host() -> None:
    desk = Desk()
    run = desk.closing.run
    assert [(p.term, p.payer, p.payee, str(p.amount)) for p in run.postings] == [
        ("energy", "ev-1", "market", "1.25"),
        ("tax", "ev-1", "treasury", "0.20"),
    ]
    assert run.statement.snapshot == snapshot_of(SNAPSHOTS)
    assert run.until_s == DAY_S + WINDOW_S
    assert run.closes
    assert run.signatures == (("market", desk.closing.signature),)
    assert hand("ev-1").verify("market", run.digest, desk.closing.signature)
    assert not hand("ev-1").verify("ev-1", run.digest, desk.closing.signature)
    events = desk.log.drain()[3:]
    assert [event.event_type for event in events] == [EventType.SETTLEMENT_COMPUTED, EventType.SETTLEMENT_SIGNED]
    facts = events[0].facts
    assert (facts["cycle"], facts["digest"], facts["missing"]) == (CLOSING, run.digest, "DEEMED_ACCEPT")


def test_a_host_that_is_no_party_states_the_account_and_does_not_sign_it_as_one() -> None:
    desk = Desk()
    practice = Practice(Rules(WINDOW_S, "metering"), hand("clerk"), lambda: DAY_S)
    chronicle = Chronicle(EventLog(KEYS("utility"), KEYS, lambda: "2026-11-20T15:00:00Z"), "clerk")
    chronicle.in_force(desk.contract)
    closing = Closing(
        desk.contract, POSTED, SNAPSHOTS, window=Cycle(CLOSING, 0, DAY_S, 1), practice=practice, chronicle=chronicle
    )
    assert closing.run.signatures == ()
    assert hand("x").verify("clerk", closing.run.digest, closing.signature)


def test_a_signature_is_put_on_record_in_the_name_of_who_signed() -> None:
    desk = Desk()
    desk.answer()
    assert desk.events() == [
        "SETTLEMENT_COMPUTED by market",
        "SETTLEMENT_SIGNED by market",
        "SETTLEMENT_SIGNED by ev-1",
    ]
    assert desk.closing.run.unsigned == ("treasury",)


def test_a_signed_statement_is_settled_when_the_window_is_over_and_not_a_second_before() -> None:
    desk = Desk()
    desk.answer()
    until_s = desk.closing.run.until_s
    assert not desk.settled(until_s - 1)
    assert desk.settled(until_s)
    assert desk.closing.told() == {
        "run": 0,
        "digest": desk.closing.run.digest,
        "signed": ("market", "ev-1"),
        "deemed": ("treasury",),
    }
    assert not desk.settled(until_s)


def test_what_everybody_has_signed_waits_for_the_end_of_the_window_too() -> None:
    desk = Desk(Missing.HOLD, POSTED[:1], taxed=False)
    desk.answer()
    assert desk.closing.state is State.CHALLENGE
    assert not desk.settled(DAY_S + WINDOW_S - 1)
    assert desk.settled(DAY_S + WINDOW_S)
    assert desk.closing.told()["deemed"] == ()


@pytest.mark.parametrize(
    ("missing", "state"),
    [(Missing.HOLD, State.HELD), (Missing.ESCALATE, State.ESCALATED), (Missing.DEEMED_ACCEPT, State.CLOSED)],
)
def test_what_silence_means_at_the_deadline_is_as_agreed(missing: Missing, state: State) -> None:
    desk = Desk(missing)
    assert desk.settled(DAY_S + WINDOW_S) is (missing is Missing.DEEMED_ACCEPT)
    assert desk.closing.state is state


def test_what_is_held_can_still_be_signed_and_is_then_settled() -> None:
    desk = Desk(Missing.HOLD, POSTED[:1], taxed=False)
    assert not desk.settled(DAY_S + WINDOW_S)
    desk.answer(at_s=DAY_S + WINDOW_S + 5)
    assert desk.settled(DAY_S + WINDOW_S + 5)


def test_a_dispute_a_second_before_the_deadline_counts_and_is_never_settled() -> None:
    desk = Desk()
    desk.answer(at_s=DAY_S + WINDOW_S - 1, disputeReason="too much")
    assert not desk.settled(DAY_S + WINDOW_S)
    assert desk.closing.state is State.DISPUTED
    assert desk.events()[-1] == "CHALLENGED by ev-1"


@pytest.mark.parametrize("changes", [{}, {"disputeReason": "too much"}])
def test_a_word_at_the_deadline_comes_too_late(changes: dict[str, str]) -> None:
    desk = Desk()
    assert desk.refusal(at_s=DAY_S + WINDOW_S, **changes) == Code.PRC_INVALID_TRANSITION


def test_a_party_that_has_signed_may_dispute_and_nobody_signs_what_is_disputed() -> None:
    desk = Desk()
    desk.answer()
    assert desk.refusal() == Code.PRC_CONFLICT  # the same word in the same second
    assert desk.refusal(at_s=DAY_S + 1) == Code.PRC_INVALID_TRANSITION  # once is enough
    desk.answer(disputeReason="on reflection")
    assert desk.refusal(disputeReason="on reflection") == Code.PRC_CONFLICT
    assert (
        desk.refusal("treasury", signature=hand("treasury").sign(desk.closing.run.digest))
        == Code.PRC_INVALID_TRANSITION
    )


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"signature": hand("market").sign(DIGEST)}, Code.AUT_SIGNATURE_INVALID),
        ({"signature": "ed25519:"}, Code.AUT_SIGNATURE_INVALID),
        ({"statementDigest": DIGEST, "signature": hand("ev-1").sign(DIGEST)}, Code.PRC_CONFLICT),
        ({"statementDigest": UNSET, "signature": hand("ev-1").sign(DIGEST)}, Code.PRC_CONFLICT),
        ({"signature": UNSET}, Code.SCH_REQUIRED_FIELD_MISSING),
        ({"signature": "ed25519:", "disputeReason": "too much"}, Code.SCH_REQUIRED_FIELD_MISSING),
    ],
)
def test_a_word_that_is_no_answer_to_the_statement_is_refused(changes: dict[str, Any], code: Code) -> None:
    assert Desk().refusal(**changes) == code


def test_who_is_no_party_has_no_say() -> None:
    desk = Desk()
    assert desk.refusal("ev-2") == Code.PRC_INVALID_TRANSITION
    assert desk.refusal("ev-2", disputeReason="for a friend") == Code.PRC_INVALID_TRANSITION


def test_an_account_that_comes_to_nothing_is_stated_and_signed_too() -> None:
    back = tuple(replace(p, payer=p.payee, payee=p.payer) for p in POSTED)
    desk = Desk(posted=POSTED + back)
    assert desk.closing.run.postings == ()
    desk.answer()
    assert desk.settled(DAY_S + WINDOW_S)


def test_a_book_that_differs_from_what_was_posted_is_not_passed_over() -> None:
    desk = Desk()
    desk.closing._owed = owed(POSTED[:1])
    with pytest.raises(ContractError, match="the closing statement and the postings of the intervals differ"):
        desk.settled(DAY_S + WINDOW_S)


# --- the member -------------------------------------------------------------------------------------------------------


def line(term: str, payer: str, payee: str, amount: float) -> SettlementLine:
    return SettlementLine(term=term, amount=amount, payer=payer, payee=payee)


LINES = (
    (line("energy", "ev-1", "market", 2.0), line("tax", "ev-1", "treasury", 0.2)),
    (line("energy", "market", "ev-1", 0.75),),
)
STATED = (line("energy", "ev-1", "market", 1.25), line("tax", "ev-1", "treasury", 0.2))


def told(cycle: str, lines: tuple[SettlementLine, ...], amount: float = 0.0, **more: Any) -> WireSettlement:
    attributes = EnergySettlement(
        ENERGY, cycleId=cycle, currency="EUR", amount=amount, breakdown=lines, timeWindow=WHOLE_RUN, **more
    )
    status = "COMMITTED" if cycle == CLOSING else "COMPLETE"
    return WireSettlement(id=f"{ID}/{cycle}", status=status, settlementAttributes=attributes)


def statement(**changes: Any) -> WireSettlement:
    run = Desk().closing.run
    said = {
        "snapshotDigest": run.statement.snapshot,
        "statementDigest": run.digest,
        "signature": hand("market").sign(run.digest),
    }
    return told(CLOSING, changes.pop("lines", STATED), -1.45, **(said | changes))


def update(*settlements: WireSettlement, sender: str = "market", contract: str = ID) -> Message:
    commitment = Commitment(
        status=CommitmentStatus(descriptor=CommitmentCode(code="ACTIVE")),
        resources=(CommittedResource(id="ev-1", quantity=Quantity(value=0.0, unitCode="KWH")),),
        offer=CommittedOffer(id="offer", resourceIds=("ev-1",)),
    )
    content = ContractContent(contract=WireContract(id=contract, commitments=(commitment,), settlements=settlements))
    return Message("on_update", sender, "ev-1", identifier(1, "t"), identifier(1, "m"), content)


def passbook(lines: tuple[tuple[SettlementLine, ...], ...] = LINES, *, signs: bool = True) -> Passbook:
    book = Passbook("market", hand("ev-1") if signs else None)
    for number, told_lines in enumerate(lines):
        assert book.take(update(told(str(number), told_lines, -0.5)), ID) is None
    return book


def word(book: Passbook, settlement: WireSettlement) -> EnergySettlement:
    answer = book.take(update(settlement), ID)
    assert answer is not None
    assert answer.settlements
    attributes = answer.settlements[0].settlementAttributes
    assert isinstance(attributes, EnergySettlement)
    return attributes


def test_a_member_that_was_told_the_same_signs_and_its_balance_stays() -> None:
    book = passbook()
    said = word(book, statement())
    digest = Desk().closing.run.digest
    assert said.statementDigest == digest
    assert hand("market").verify("ev-1", digest, str(said.signature))
    assert said.disputeReason is UNSET
    assert book.balance == -1.0


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (LINES[:1], "energy between ev-1 and market is stated as 1.25, and the intervals sum to 2.00"),
        ((), "energy between ev-1 and market is stated as 1.25, and the intervals sum to 0"),
        ((LINES[0][:1], LINES[1]), "tax between ev-1 and treasury is stated as 0.20, and the intervals sum to 0"),
        ((*LINES, (line("fee", "ev-1", "market", 0.01),)), "fee between ev-1 and market is stated as 0, and the intervals sum to 0.01"),
    ],
)  # fmt: skip
def test_a_member_that_was_told_other_amounts_disputes(
    lines: tuple[tuple[SettlementLine, ...], ...], reason: str
) -> None:
    said = word(passbook(lines), statement())
    assert said.disputeReason == reason
    assert said.signature is UNSET


@pytest.mark.parametrize("signs", [True, False])
def test_a_member_disputes_a_digest_that_is_not_of_what_is_stated(signs: bool) -> None:
    wrong = statement(statementDigest=DIGEST, signature=hand("market").sign(DIGEST))
    said = word(passbook(signs=signs), wrong)
    assert said.disputeReason == f"what is stated has the digest {Desk().closing.run.digest}"


def test_a_member_without_a_hand_says_nothing_where_it_agrees() -> None:
    assert passbook(signs=False).take(update(statement()), ID) is None


def test_what_is_settled_already_needs_no_answer() -> None:
    done = msgspec.structs.replace(statement(), status="COMPLETE")
    assert passbook().take(update(done), ID) is None


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (update(statement(signature=UNSET)), Code.AUT_SIGNATURE_INVALID),
        (update(statement(signature=hand("ev-2").sign(DIGEST))), Code.AUT_SIGNATURE_INVALID),
        (update(statement(statementDigest=UNSET)), Code.AUT_SIGNATURE_INVALID),
        (update(statement(), sender="aggregator"), Code.AUT_UNAUTHORIZED_ACTION),
        (update(statement(), contract=identifier(1, "other")), Code.NET_ENTITY_NOT_FOUND),
        (update(told("7", (line("energy", "ev-1", "market", 0.001),))), Code.SCH_SCHEMA_VALIDATION_FAILED),
        (update(told("7", (line("energy", "ev-1", "market", 1e300),))), Code.SCH_SCHEMA_VALIDATION_FAILED),
        (update(told("7", LINES[0], -1.0), statement(signature=UNSET)), Code.AUT_SIGNATURE_INVALID),
    ],
)
def test_accounts_that_cannot_be_taken_are_refused_and_change_nothing(message: Message, code: Code) -> None:
    book = passbook()
    before = book.balance, dict(book._totals)
    with pytest.raises(Refusal) as refused:
        book.take(message, ID)
    assert refused.value.code == code
    assert (book.balance, book._totals) == before


# --- a run ------------------------------------------------------------------------------------------------------------


def lives(run: Run) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for record in run.journal():
        if record["kind"] == "event":
            found.setdefault(record["event"]["contractId"], []).append(record["event"])
    return found


def closing_of(life: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """What happened to a contract from its statement on, and who did it."""
    steps = [(event["eventType"], event["actor"]["era"]) for event in life]
    start = next((n for n, event in enumerate(life) if event["data"].get("cycle") == CLOSING), len(steps))
    return steps[start:]


def test_every_member_contract_of_the_street_is_stated_signed_settled_and_completed(
    run_street: Callable[..., Run],
) -> None:
    run = run_street(*TWO_HOURS)
    ends = Counter[str]()
    for life in lives(run).values():
        parties = {entry["role"]: entry["filledBy"] for entry in life[0]["data"]["roles"]}
        end = closing_of(life)
        if not end:
            ends["unstated"] += 1
            continue
        host = life[0]["actor"]["era"]
        member = end[2][1]
        assert member in parties.values()
        assert [kind for kind, _ in end[:-1]] == [
            "SETTLEMENT_COMPUTED", "SETTLEMENT_SIGNED", "SETTLEMENT_SIGNED", "SETTLED",
        ]  # fmt: skip
        assert [era for _, era in end] == [host, host, member, host, host]
        settled = life[-2]["data"]
        assert settled["signed"] == [host, member]
        assert set(settled["deemed"]) == set(parties.values()) - {host, member}
        seconds = [run.calendar.seconds(event["timestamp"]) for event in life[-5:]]
        assert [s - run.calendar.duration_s for s in seconds] == [1, 1, 3, 901, 901]
        ends[end[-1][0]] += 1
    assert ends["COMPLETED"] == 41 + 30 + 10 + 1  # and the retailer
    assert (
        ends["unstated"] == 36 + 6 + 1 + 2
    )  # cars that never came and their aggregator, the congestion rent, the losses
    assert run.manifest["unsettledContracts"] == []
    assert "not settled" not in render(summarise(run))
    assert verify(run).findings == 0


SMALL = forging.SMALL


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return execute(read(STREET, SMALL), tmp_path_factory.mktemp("runs") / "sound")


@pytest.mark.parametrize("missing", ["HOLD", "ESCALATE"])
def test_where_silence_does_not_mean_consent_contracts_with_the_treasury_stay_open(
    missing: str, tmp_path: Path
) -> None:
    run = Run(execute(read(STREET, [*SMALL, f"settlement.missing_signature={missing}"]), tmp_path / "r"))
    unsettled = run.manifest["unsettledContracts"]
    assert unsettled
    for contract in unsettled:
        assert [kind for kind, _ in closing_of(lives(run)[contract])] == [
            "SETTLEMENT_COMPUTED",
            *["SETTLEMENT_SIGNED"] * 2,
        ]
    assert f"{len(unsettled)} contracts are not settled: disputed, held, or before the arbitrator" in render(
        summarise(run)
    )
    assert verify(run).findings == 0


def test_a_member_that_was_told_otherwise_disputes_and_only_its_contract_stays_open() -> None:
    built: Built = build(read(STREET, SMALL), io.BytesIO(), Stopwatch())
    house = next(resource for resource in built.resources if resource.era == "house-01")
    take = house._passbook.take
    house._passbook.take = lambda message, contract: (  # type: ignore[method-assign]
        None
        if any(s.id.endswith("/1") for s in message.contract.settlements or () if s.id)
        else take(message, contract)
    )
    events: list[Event] = []
    drain = built.world.log.drain
    built.world.log.drain = lambda: events.extend(fresh := drain()) or fresh  # type: ignore[method-assign,func-returns-value]
    built.world.run(lambda _, __: None)
    member = built.market.membership.members["house-01"]
    challenged = [event for event in events if event.event_type is EventType.CHALLENGED]
    assert [(event.contract_id, event.actor.era) for event in challenged] == [(member.contract.id, "house-01")]
    assert " is stated as " in challenged[0].facts["reason"]
    assert [m.era for m in built.market.membership.members.values() if m.status not in ("COMPLETED", "TERMINATED")] == [
        "house-01"
    ]
    assert member.status == "ACTIVE"
    built.world.close()


# --- forgers who hold every actor's key -------------------------------------------------------------------------------


def forged(folder: Path, number: int, change: Callable[[dict[str, Any]], None]) -> list[str]:
    lines = forging.journal_of(folder)
    record = json.loads(lines[number])
    change(record["event"])
    lines[number] = forging.resigned(record)
    findings = forging.found(forging.written(folder, lines))
    assert findings[0].startswith(forging.named(lines, number))
    return findings


def acts(folder: Path, kind: str) -> list[int]:
    """Where the acts stand that concern statements, of an amount and with a party that is silent."""
    lines = forging.journal_of(folder)
    empty = (b'"postings":[]', b'"deemed":[]')
    found = [n for n in forging.events_in(lines, f'"eventType":"{kind}"') if b'"digest":"sha256:' in lines[n]]
    return [n for n in found if not any(nothing in lines[n] for nothing in empty)]


def posts_more(event: dict[str, Any]) -> None:
    rows = event["data"]["postings"]
    rows[0][3] = str(Decimal(rows[0][3]) + Decimal("0.01"))


def another_signature(event: dict[str, Any]) -> None:
    event["data"]["signature"] = hand("nobody").sign(event["data"]["digest"])


@pytest.mark.parametrize(
    ("kind", "change", "what"),
    [
        ("SETTLEMENT_COMPUTED", posts_more, "; the intervals sum to "),
        ("SETTLEMENT_COMPUTED", posts_more, "its digest does not follow from what it states"),
        ("SETTLEMENT_COMPUTED", lambda e: e["data"].update(postings=[]), "; the intervals sum to "),
        ("SETTLEMENT_COMPUTED", lambda e: e["data"].update(snapshot=DIGEST), "its snapshot is not that of the intervals"),
        ("SETTLEMENT_COMPUTED", lambda e: e["data"].update(until_s=0), "its window is over at 0 s, before it is stated"),
        ("SETTLEMENT_COMPUTED", lambda e: e["data"].update(postings=[["energy"]]), "does not say what a settlement has to say"),
        ("SETTLEMENT_COMPUTED", lambda e: e["data"].pop("until_s"), "does not say what a settlement has to say"),
        ("SETTLEMENT_SIGNED", another_signature, "holds no signature of "),
        ("SETTLEMENT_SIGNED", lambda e: e["data"].update(digest=DIGEST), f"is about {DIGEST}, and "),
        ("SETTLEMENT_SIGNED", lambda e: e["actor"].update(era="metering", role="HOST"), "metering is no party"),
        ("SETTLED", lambda e: e["data"].update(digest=DIGEST), f"settles {DIGEST}, and "),
        ("SETTLED", lambda e: e["data"]["signed"].append("treasury"), "misnames who signed "),
        ("SETTLED", lambda e: e["data"]["deemed"].pop(), "misnames who signed "),
        ("SETTLED", lambda e: e["data"].pop("digest"), "does not say what a settlement has to say"),
    ],
)  # fmt: skip
def test_an_act_of_settling_that_does_not_hold_is_named(
    sound: Path, tmp_path: Path, kind: str, change: Callable[[dict[str, Any]], None], what: str
) -> None:
    folder = Path(shutil.copytree(sound, tmp_path / "copy"))
    findings = forged(folder, acts(folder, kind)[0], change)
    assert what in findings[0]


def test_what_is_settled_too_early_or_against_the_rules_is_named(sound: Path, tmp_path: Path) -> None:
    """The statement's window is made longer, or silence means something else, all signed anew."""
    for change, what in (
        (lambda data: data.update(until_s=9999), "s, and the window is over at 9999 s"),
        (lambda data: data.update(missing="HOLD"), ", where silence means HOLD"),
        (lambda data: data.update(until_s=3603), "s, and the window was over at 3603 s"),
    ):
        folder = Path(shutil.copytree(sound, tmp_path / "copy", dirs_exist_ok=True))

        def edited(event: dict[str, Any], change: Any = change) -> None:
            if event["eventType"] == "SETTLEMENT_COMPUTED" and "digest" in event["data"]:
                change(event["data"])

        findings = forging.found(forging.written(folder, forging.everything_anew(forging.journal_of(folder), edited)))
        assert what in findings[0], findings[0]


def test_a_word_on_what_was_never_stated_is_named(sound: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(sound, tmp_path / "copy"))

    def unstated(event: dict[str, Any]) -> None:
        if event["eventType"] == "SETTLEMENT_COMPUTED":
            event["data"].pop("digest", None)

    findings = forging.found(forging.written(folder, forging.everything_anew(forging.journal_of(folder), unstated)))
    assert "is about an account that was never stated" in findings[0]


def test_the_pointer_of_an_answer_is_where_it_stands() -> None:
    desk = Desk()
    with pytest.raises(Refusal) as refused:
        desk.answer(statementDigest=DIGEST)
    assert refused.value.where == f"{BAG}/statementDigest"
