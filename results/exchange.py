"""Audits of what crossed the wire: answers and what they answer, verdicts and counts, signatures and keys."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from results.audit import Audit
from results.run import JOURNAL, Record, Run
from sim.errors import Fault, RunError
from sim.trust.seals import UNCHECKED
from sim.trust.signature import check_times, parse, verify
from sim.wire.codec import body_digest
from sim.wire.codes import Refusal
from sim.wire.messages import ANSWERS, UNSOLICITED, is_callback

REQUESTS = {callback: request for request, callback in ANSWERS.items()}
"""Request by callback."""


class _RequestDigest(msgspec.Struct, frozen=True):
    digest: str


class _Context(msgspec.Struct, frozen=True):
    """What an audit reads of a context; a message that was refused may have none of it."""

    action: str = ""
    transactionId: str = ""
    messageId: str = ""
    bapId: str = ""
    bppId: str = ""
    requestDigest: _RequestDigest | UnsetType = UNSET


class _Body(msgspec.Struct, frozen=True):
    context: _Context = _Context()


class _Line(msgspec.Struct, frozen=True):
    """One record of kind ``message``; body: its very bytes, or a string of them in base64."""

    kind: str
    seq: int = 0
    t: int = 0
    action: str = ""
    ack: str = ""
    body: msgspec.Raw = msgspec.Raw(b"{}")
    encoding: str = ""
    error: dict[str, Any] | UnsetType = UNSET
    signature: str | UnsetType = UNSET
    note: str = ""

    def raw(self) -> bytes:
        """The very bytes of the message."""
        raw = bytes(self.body)
        return base64.b64decode(msgspec.json.decode(raw, type=str)) if self.encoding == "base64" else raw


def _messages(run: Run) -> Iterator[tuple[_Line, bytes, _Context]]:
    """Every message of the journal: its record, its very bytes, its context (empty where it was refused for having none)."""
    line_of = msgspec.json.Decoder(_Line).decode
    body_of = msgspec.json.Decoder(_Body).decode
    for number, text in enumerate(run.journal_lines(), start=1):
        try:
            line = line_of(text)
            raw = line.raw()
        except ValueError as error:
            raise RunError(str(run.path), (Fault(f"{JOURNAL}:{number}", f"is not a record: {error}"),)) from error
        if line.kind == "message":
            try:
                yield line, raw, body_of(raw).context
            except (msgspec.DecodeError, RecursionError):
                yield line, raw, _Context()


def messages(run: Run) -> Audit:
    """Every message was answered ACK or NACK, every callback answers the bytes of a request, the manifest counts them right."""
    asked: dict[tuple[str, str, str], str] = {}
    counts: Counter[tuple[str, str]] = Counter()
    findings: list[Fault] = []
    for number, (line, raw, context) in enumerate(_messages(run), start=1):
        action = line.action
        thread = (context.transactionId, context.messageId)
        findings += _verdict_faults(number, line, action)
        counts[action, line.ack] += 1
        if line.ack != "ACK":
            continue
        if is_callback(action):
            findings += _answer_faults(line, action, context, asked.get((REQUESTS[action], *thread)))
        else:
            asked[action, *thread] = body_digest(raw)
    findings += _count_faults(counts, run.manifest["messages"])
    refused = sum(count for (_, ack), count in counts.items() if ack == "NACK")
    return Audit(
        f"{counts.total():,} messages of {len({a for a, _ in counts})} actions, {refused} refused", tuple(findings)
    )


def _verdict_faults(number: int, line: _Line, action: str) -> Iterator[Fault]:
    where = f"message {line.seq} ({action})"
    if line.seq != number:
        yield Fault(where, f"is number {number} in the journal")
    if line.ack not in ("ACK", "NACK"):
        yield Fault(where, f"was answered {line.ack!r}, neither ACK nor NACK")
    if line.ack == "NACK" and line.error is UNSET:
        yield Fault(where, "was refused without a reason")


def _answer_faults(line: _Line, action: str, context: _Context, asked: str | None) -> Iterator[Fault]:
    where = f"message {line.seq} ({action})"
    if asked is None:
        if action not in UNSOLICITED or context.requestDigest is not UNSET:
            yield Fault(where, f"answers no accepted {REQUESTS[action]} of its message id")
    elif context.requestDigest is UNSET or context.requestDigest.digest != asked:
        yield Fault(where, f"does not name the bytes of the {REQUESTS[action]} that it answers")


def _count_faults(counts: Mapping[tuple[str, str], int], stated: Mapping[str, Mapping[str, int]]) -> Iterator[Fault]:
    for action in dict.fromkeys([*stated, *(action for action, _ in counts)]):
        found = {ack: counts.get((action, ack.upper()), 0) for ack in ("ack", "nack")}
        if found != stated.get(action):
            yield Fault(action, f"the manifest counts {stated.get(action)}, the journal {found}")


def signs(run: Run) -> bool:
    """Whether the messages of a run are signed by its scenario's rules."""
    return bool(run.manifest["scenario"].get("wire", {}).get("sign", False))


def signatures(run: Run) -> Audit:
    """Where the scenario signs: every accepted message was signed by its sender, with a key registered by then, in time.

    What was let in unchecked, because the directory could not be reached, is checked here like the rest, and counted.
    """
    if not signs(run):
        return Audit("this scenario does not sign")
    keys = _registered(run)
    checked = tuple(signed(run, keys))
    unchecked = sum(one.unchecked for one in checked)
    late = f", {unchecked} of them unchecked when they came" if unchecked else ""
    findings = tuple(fault for one in checked for fault in one.faults)
    return Audit(f"{len(checked):,} signatures by {len(keys)} keys{late}", findings)


class Signed(NamedTuple):
    """An accepted message of a run that signs, by its number.

    faults: why its signature does not hold; none where it does.  unchecked: whether it was let in without a look at it.
    """

    seq: int
    faults: tuple[Fault, ...]
    unchecked: bool


def signed(run: Run, keys: Keys | None = None) -> Iterator[Signed]:
    """Every accepted message of a run that signs, its signature checked.  keys: those that the journal says were registered."""
    known = _registered(run) if keys is None else keys
    epoch_s = int(datetime.fromisoformat(run.manifest["start"]).timestamp())
    for line, raw, context in _messages(run):
        if line.ack == "ACK":
            faults = tuple(_signature_faults(line, raw, context, known, epoch_s + line.t))
            yield Signed(line.seq, faults, line.note.startswith(UNCHECKED))


def _registered(run: Run) -> Keys:
    return {(r["subscriber"], r["keyId"]): _Known(r) for r in run.journal() if r["kind"] == "key"}


class _Known:
    """A key that the journal says was registered, and from which unix second on."""

    def __init__(self, record: Record) -> None:
        self.public = base64.b64decode(record["publicKey"])
        self.since_s = record["since"]


Keys = Mapping[tuple[str, str], _Known]
"""By subscriber and the name of the key."""


def _signature_faults(line: _Line, raw: bytes, context: _Context, keys: Keys, now_s: int) -> Iterator[Fault]:
    where = f"message {line.seq} ({line.action})"
    sender = context.bppId if is_callback(line.action) else context.bapId
    try:
        claim = parse(line.signature or None)
        check_times(claim, now_s)
        known = keys.get((claim.subscriber, claim.key_id))
        if claim.subscriber != sender:
            yield Fault(where, f"is of {sender} and signed by {claim.subscriber}")
        elif known is None or known.since_s > now_s:
            yield Fault(where, f"is signed with {claim.key_id} of {claim.subscriber}, which nobody had registered")
        else:
            verify(claim, body_digest(raw), known.public)
    except Refusal as refusal:
        yield Fault(where, str(refusal))
