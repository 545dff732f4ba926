"""The audit of closing statements: that they sum up the intervals, who signed them, and that they were settled in time.

The life of a settlement cycle is the table of ``sim.events``; here stands what it cannot know: amounts, signatures, deadlines.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sim.contracts.fingerprints import snapshot_of
from sim.contracts.settlement_runs import settlement_digest
from sim.events import Event, EventType, History
from sim.ledger import EXACT, Posting
from sim.trust.attest import is_attested
from sim.trust.signatory import PARTY

Account = tuple[str, str, str, str]
"""Term, two parties in order of their names, currency; + is owed by the first."""
Totals = dict[Account, Decimal]


@dataclass(slots=True)
class _Stated:
    """A statement under way.  until_s: when its window is over.  missing: what silence until then means."""

    digest: str
    until_s: int
    missing: str
    signed: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Intervals:
    """What the intervals of one contract came to so far, and the hashes of what they were computed from."""

    totals: Totals = field(default_factory=dict)
    snapshots: list[str] = field(default_factory=list)


def is_statement(facts: Mapping[str, Any]) -> bool:
    """Whether a SETTLEMENT_COMPUTED states a whole account, to be signed, and posts nothing."""
    return "digest" in facts


class Closings:
    """Follows the settlement of all contracts through their events.  keys: Ed25519 public keys by address."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = keys
        self._intervals: dict[str, _Intervals] = {}
        self._stated: dict[str, _Stated] = {}

    def wrongs(self, event: Event, facts: Mapping[str, Any], history: History, now_s: int) -> Iterator[str]:
        """What is wrong with an event as a settlement act; nothing for all others.

        history: of its contract, before it.  now_s: its simulated second.
        """
        stated = self._stated.get(event.contract_id)
        parties = tuple(dict.fromkeys(history.roles.values()))
        try:
            match event.event_type:
                case EventType.SETTLEMENT_COMPUTED if is_statement(facts):
                    yield from self._computed(event, facts, stated, now_s)
                case EventType.SETTLEMENT_COMPUTED:
                    yield from self._interval(event, facts, stated)
                case EventType.SETTLEMENT_SIGNED | EventType.CHALLENGED | EventType.SETTLED if stated is None:
                    if event.event_type is not EventType.SETTLED or is_statement(facts):
                        yield "is about an account that was never stated"
                case EventType.SETTLEMENT_SIGNED if stated is not None:
                    yield from self._signed(event, facts, stated, parties, now_s)
                case EventType.CHALLENGED if stated is not None:
                    yield from _disputed(event, facts, stated, parties, now_s)
                case EventType.SETTLED if stated is not None:
                    yield from _settled(facts, stated, parties, now_s)
                    del self._stated[event.contract_id]
        except (LookupError, TypeError, ValueError, ArithmeticError) as error:
            yield f"does not say what a settlement has to say: {error!r}"

    def _interval(self, event: Event, facts: Mapping[str, Any], stated: _Stated | None) -> Iterator[str]:
        if stated is not None:
            yield "is computed after the account was stated"
        intervals = self._intervals.setdefault(event.contract_id, _Intervals())
        intervals.snapshots.append(facts.get("snapshot", ""))
        _add(intervals.totals, _postings(event.contract_id, facts))

    def _computed(self, event: Event, facts: Mapping[str, Any], stated: _Stated | None, now_s: int) -> Iterator[str]:
        if stated is not None:
            yield "the account is stated already"
        intervals = self._intervals.get(event.contract_id, _Intervals())
        postings = _postings(event.contract_id, facts)
        totals: Totals = {}
        _add(totals, postings)
        for account in dict.fromkeys((*intervals.totals, *totals)):
            due, told = (of.get(account, Decimal(0)) for of in (intervals.totals, totals))
            if due != told:
                term, first, second, currency = account
                yield f"states {told} {currency} of {term} between {first} and {second}; the intervals sum to {due}"
        if facts["snapshot"] != snapshot_of(intervals.snapshots):
            yield "its snapshot is not that of the intervals"
        closes = facts["name"] == "final"
        due_digest = settlement_digest(
            event.contract_id, facts["cycle"], facts["run"], closes, postings, facts["snapshot"]
        )
        if facts["digest"] != due_digest:
            yield "its digest does not follow from what it states"
        if facts["until_s"] < now_s:
            yield f"its window is over at {facts['until_s']} s, before it is stated"
        self._stated[event.contract_id] = _Stated(facts["digest"], facts["until_s"], facts["missing"])

    def _signed(
        self, event: Event, facts: Mapping[str, Any], stated: _Stated, parties: Sequence[str], now_s: int
    ) -> Iterator[str]:
        era = event.actor.era
        yield from _untimely(
            event, facts, stated, parties, now_s, until_s=None if stated.missing == "HOLD" else stated.until_s
        )
        if era in stated.signed:
            yield f"{era} has signed already"
        if not is_attested(facts["signature"], self._keys.get(era, b""), era, PARTY, stated.digest):
            yield f"holds no signature of {era} over {stated.digest}"
        stated.signed.append(era)


def _disputed(
    event: Event, facts: Mapping[str, Any], stated: _Stated, parties: Sequence[str], now_s: int
) -> Iterator[str]:
    yield from _untimely(event, facts, stated, parties, now_s, until_s=stated.until_s)


def _untimely(
    event: Event, facts: Mapping[str, Any], stated: _Stated, parties: Sequence[str], now_s: int, *, until_s: int | None
) -> Iterator[str]:
    if event.actor.era not in parties:
        yield f"{event.actor.era} is no party of this contract"
    if facts["digest"] != stated.digest:
        yield f"is about {facts['digest']}, and {stated.digest} is stated"
    if until_s is not None and now_s >= until_s:
        yield f"comes at {now_s} s, and the window was over at {until_s} s"


def _settled(facts: Mapping[str, Any], stated: _Stated, parties: Sequence[str], now_s: int) -> Iterator[str]:
    silent = sorted(era for era in parties if era not in stated.signed)
    if facts["digest"] != stated.digest:
        yield f"settles {facts['digest']}, and {stated.digest} is stated"
    if now_s < stated.until_s:
        yield f"is settled at {now_s} s, and the window is over at {stated.until_s} s"
    if list(facts["signed"]) != stated.signed or sorted(facts["deemed"]) != silent:
        signed = ", ".join(stated.signed) or "nobody"
        yield f"misnames who signed ({signed}) or who was silent ({', '.join(silent) or 'nobody'})"
    if silent and stated.missing != "DEEMED_ACCEPT":
        yield f"is settled without the signature of {', '.join(silent)}, where silence means {stated.missing}"


def _postings(contract: str, facts: Mapping[str, Any]) -> tuple[Posting, ...]:
    return tuple(
        Posting(0, contract, term, payer, payee, Decimal(amount), currency)
        for term, payer, payee, amount, currency in facts["postings"]
    )


def _add(totals: Totals, postings: Sequence[Posting]) -> None:
    for p in postings:
        forward = p.payer <= p.payee
        first, second = (p.payer, p.payee) if forward else (p.payee, p.payer)
        account = p.term, first, second, p.currency
        amount = p.amount if forward else p.amount.copy_negate()
        totals[account] = EXACT.add(totals.get(account, Decimal(0)), amount)
