"""The audit of the contract log: events that follow from one another, seals that stand for all of them, a witness.

Who changes an event breaks its hash; who recomputes the hash breaks the signature, and what the next event says of it; who
drops or exchanges events breaks their numbers; who states another account than the intervals sum to, or settles one too
early, breaks the rules of settling (``results.closing``); who writes all of it anew, or cuts its end off, cannot change what
the witness has in a file of its own.
"""

from __future__ import annotations

import base64
import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from results.audit import Audit
from results.closing import Closings, is_statement
from results.run import JOURNAL, MANIFEST, WITNESS, Record, Run
from sim.clock import Calendar
from sim.errors import ContractError, Fault
from sim.events import Event, EventType, History, leaf_of, read_event
from sim.trust.attest import is_attested
from sim.trust.merkle import Tree
from sim.trust.witness import KEEPER, Seal
from sim.trust.witness import WITNESS as WITNESSES

Keys = Mapping[str, bytes]
"""Ed25519 public keys by address."""


class _Row(NamedTuple):
    """One posting, as texts."""

    contract: str
    cycle: str
    term: str
    payer: str
    payee: str
    amount: str
    currency: str

    def __str__(self) -> str:
        return f"{self.amount} {self.currency} from {self.payer} to {self.payee} ({self.term} of {self.contract})"


class _Line(msgspec.Struct, frozen=True):
    """What an audit reads of a line of the journal or of the witness's file."""

    kind: str
    event: msgspec.Raw = msgspec.Raw(b"")
    seal: msgspec.Raw = msgspec.Raw(b"")
    interval: int = -1
    postings: tuple[Record, ...] = ()
    subscriber: str = ""
    era: str = ""
    keyId: str = ""
    publicKey: str = ""


def events(run: Run) -> Audit:
    """Every event follows from those before it, was signed, sealed and witnessed, and posts what the journal's ledger has.

    Of the events, the seals, the postings and the testimony, the first that does not hold is named.
    """
    log = _Log(run.calendar)
    for number, line in enumerate(run.journal_lines(), start=1):
        log.read(f"{JOURNAL}:{number}", line)
    findings = (
        *log.faults.values(),
        *_end_faults(log, run.manifest["count"]),
        *_manifest_faults(run, log.seals),
        *_testimony_faults(run, log),
    )
    what = f"{len(log.tree):,} events of {len(log.histories)} contracts; {len(log.seals)} seals"
    return Audit(what, findings)


_decode = msgspec.json.Decoder(_Line).decode
_decode_seal = msgspec.json.Decoder(Seal).decode


class _Log:
    """Lives through the contract log again, and notes the first fault of its keys, events, postings and seals each."""

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar
        self._now_s: int | None = None
        self._posted: list[_Row] = []
        self._told: list[_Row] = []
        self._registered: dict[tuple[str, str], str] = {}
        self.tree = Tree()
        self.keys: dict[str, bytes] = {}
        self._closings = Closings(self.keys)
        self.histories: dict[str, History] = {}
        self.seals: list[Seal] = []
        self.faults: dict[str, Fault] = {}

    def read(self, where: str, text: bytes) -> None:
        """Take the next line of the journal."""
        try:
            line = _decode(text)
        except (ValueError, RecursionError) as error:
            self._note("line", where, [f"is not a record: {error}"])
            return
        match line.kind:
            case "key":
                self._registered[line.subscriber, line.keyId] = line.publicKey
            case "signer":
                self._signer(where, line)
            case "postings":
                self._posted += [
                    _Row(p["contract"], str(index), p["term"], p["from"], p["to"], p["amount"], p["currency"])
                    for p, index in ((p, p.get("interval", line.interval)) for p in line.postings)
                ]
            case "event":
                self._event(where, bytes(line.event))
            case "seal":
                self._seal(where, bytes(line.seal))

    def _note(self, kind: str, where: str, wrongs: Iterable[str]) -> None:
        found = tuple(wrongs)
        if found:
            self.faults.setdefault(kind, Fault(where, "; ".join(found)))

    def _signer(self, where: str, line: _Line) -> None:
        registered = self._registered.get((line.era, line.keyId), line.publicKey)
        if registered != line.publicKey:
            self._note("key", where, [f"{line.keyId} of {line.era} is not the key that was registered under this name"])
        self.keys[line.era] = _public(line)

    # events

    def _event(self, where: str, raw: bytes) -> None:
        try:
            event = read_event(raw)
        except ContractError as error:
            self._note("event", where, [f"{_name(raw)}: {fault.what}" for fault in error.faults])
            self.tree.append(raw)
            return
        self._note("event", where, (f"{_name(raw)}: {wrong}" for wrong in self._wrongs(event)))
        self.tree.append(leaf_of(event.hash))

    def _wrongs(self, event: Event) -> Iterator[str]:
        """Everything that is wrong with the next event; it is then taken for what it says."""
        history = self.histories.setdefault(event.contract_id, History(event.contract_id))
        if event.hash != event.due_hash():
            yield "its hash does not follow from what it says: it was changed"
        if not _is_signed(event, self.keys):
            yield f"is not signed by {event.actor.era} as {event.actor.role}"
        if event.event_id != str(len(self.tree)):
            yield f"is number {event.event_id} of the log and stands where {len(self.tree)} is due"
        if (event.seq, event.prev_hash) != (history.seq, history.last_hash):
            yield f"does not continue event {history.seq - 1} of its contract" if history.seq else "is no beginning"
        yield from self._untimely(event)
        try:
            facts = event.facts
            history.check(event.event_type, event.actor, facts)
            yield from self._closings.wrongs(event, facts, history, self._now_s or 0)
            if event.event_type is EventType.SETTLEMENT_COMPUTED and not is_statement(facts):
                self._told += [_Row(event.contract_id, facts["cycle"], *row) for row in facts["postings"]]
        except ContractError as error:
            yield from (fault.what for fault in error.faults)
        except (LookupError, TypeError):
            yield "does not tell its postings as rows of term, payer, payee, amount and currency"
        else:
            history.add(event.event_type, facts, event.hash)

    def _untimely(self, event: Event) -> Iterator[str]:
        try:
            now_s = self._calendar.seconds(event.timestamp)
        except ValueError:
            yield f"{event.timestamp!r} is no time"
            return
        if self._now_s is not None and now_s < self._now_s:
            yield f"is of {event.timestamp}, before the event before it"
        self._now_s = now_s

    # seals

    def _seal(self, where: str, raw: bytes) -> None:
        try:
            seal = _decode_seal(raw)
        except (ValueError, RecursionError) as error:
            self._note("seal", where, [f"is no seal: {error}"])
            return
        self._note("posting", where, self._unposted())
        self._note("seal", where, (f"seal of interval {seal.head.interval}: {wrong}" for wrong in self._unsealed(seal)))
        self.seals.append(seal)

    def _unsealed(self, seal: Seal) -> Iterator[str]:
        head = seal.head
        if head.interval != len(self.seals):
            yield f"stands where the one of interval {len(self.seals)} is due"
        if head.size != len(self.tree):
            yield f"{head.size} events were sealed, and {len(self.tree)} stand before it"
        elif head.root != self.tree.root().hex():
            yield "the events before it are not those that were sealed"
        yield from _unsigned(seal, self.keys)

    def _unposted(self) -> Iterator[str]:
        """Where the settlements that events tell of, and the postings of the journal, part."""
        for posted, told in itertools.zip_longest(self._posted, self._told):
            if posted != told:
                yield f"the journal posts {posted or 'nothing'} where the events tell of {told or 'nothing'}"
                break
        self._posted.clear()
        self._told.clear()


def _public(line: _Line) -> bytes:
    try:
        return base64.b64decode(line.publicKey, validate=True)
    except ValueError:
        return b""  # no signature was made with that


def _name(raw: bytes) -> str:
    """What an event says it is, whether or not it can be believed."""
    try:
        told = msgspec.json.decode(raw, type=Record)
    except (ValueError, RecursionError):
        return "an event"
    return f"{told.get('eventType')}, event {told.get('seq')} of {told.get('contractId')}"


def _is_signed(event: Event, keys: Keys) -> bool:
    key = keys.get(event.actor.era)
    return key is not None and is_attested(event.signature, key, event.actor.era, event.actor.role, event.hash)


def _unsigned(seal: Seal, keys: Keys) -> Iterator[str]:
    for by, role in ((seal.keeper, KEEPER), (seal.witness, WITNESSES)):
        key = keys.get(by.era)
        if key is None or not is_attested(by.signature, key, by.era, role, seal.head.digest):
            yield f"is not signed by {by.era} as {role}"
    if seal.keeper.era == seal.witness.era:
        yield f"{seal.keeper.era} cannot be its own witness"


# --- the end of the log, and what others know of it -------------------------------------------------------------------


def _end_faults(log: _Log, count: int) -> Iterator[Fault]:
    sealed = log.seals[-1].head.size if log.seals else 0
    if len(log.seals) < count:
        yield Fault(JOURNAL, f"has {len(log.seals)} seals for {count} intervals")
    if len(log.tree) > sealed and "seal" not in log.faults:
        yield Fault(JOURNAL, f"has {len(log.tree) - sealed} events after its last seal")


def _manifest_faults(run: Run, seals: list[Seal]) -> Iterator[Fault]:
    stated = run.manifest.get("contractLog")
    if stated != (msgspec.to_builtins(seals[-1].head) if seals else None):
        yield Fault(f"{MANIFEST}/contractLog", "is not the last head of the journal's contract log")


def _testimony_faults(run: Run, log: _Log) -> Iterator[Fault]:
    """The first thing that the witness knows otherwise."""
    try:
        lines = [_decode(line) for line in (run.path / WITNESS).read_bytes().splitlines()]
        seals = [_decode_seal(bytes(line.seal)) for line in lines if line.kind == "seal"]
    except FileNotFoundError:
        yield Fault(WITNESS, "is missing: nobody can say whether the journal was written anew")
        return
    except (ValueError, RecursionError) as error:
        yield Fault(WITNESS, f"cannot be read: {error}")
        return
    keys = {line.era: _public(line) for line in lines if line.kind == "signer"}
    for era in dict.fromkeys((*keys, *(by.era for seal in seals for by in (seal.keeper, seal.witness)))):
        if log.keys.get(era) != keys.get(era):
            yield Fault(WITNESS, f"knows {era} by another key than the journal")
    for interval, (ours, theirs) in enumerate(itertools.zip_longest(log.seals, seals)):
        if ours != theirs:
            yield Fault(WITNESS, _disagreement(interval, ours, theirs, log.tree, keys))
            return


def _disagreement(interval: int, ours: Seal | None, theirs: Seal | None, tree: Tree, keys: Keys) -> str:
    if theirs is None:
        return f"has no seal of interval {interval}, and the journal has one"
    if any(_unsigned(theirs, keys)):
        return f"the seal of interval {interval} is not one that the witness signed"
    size = theirs.head.size
    if size > len(tree):
        return f"the witness saw {size} events by the end of interval {interval}, and the journal has {len(tree)}"
    if tree.root(size).hex() != theirs.head.root:
        return f"by the end of interval {interval} the witness saw other events than the journal's first {size}"
    return f"the witness signed the {size} events of interval {interval}, and the journal has " + (
        "no seal of them" if ours is None else "another seal of them"
    )
