"""Audits of what crossed the wire: answers and what they answer, verdicts and counts, signatures and keys."""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from results.audit import Audit
from results.run import JOURNAL, Run
from sim.errors import Fault, RunError
from sim.trust.signature import check_times, parse, verify
from sim.wire.codec import body_digest
from sim.wire.codes import Refusal
from sim.wire.messages import ALIASES, ANSWERS, UNSOLICITED, is_callback

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
    base64: str | UnsetType = UNSET


class _Line(msgspec.Struct, frozen=True):
    """One record of kind ``message``; body: its very bytes."""

    kind: str
    seq: int = 0
    t: int = 0
    ack: str = ""
    body: msgspec.Raw = msgspec.Raw(b"{}")
    error: dict[str, Any] | UnsetType = UNSET
    signature: str | UnsetType = UNSET
    note: str = ""


def _messages(run: Run) -> Iterator[tuple[_Line, bytes, _Context]]:
    """Every message of the journal: its record, its very bytes, its context."""
    line_of = msgspec.json.Decoder(_Line).decode
    body_of = msgspec.json.Decoder(_Body).decode
    for number, text in enumerate(run.journal_lines(), start=1):
        try:
            line = line_of(text)
        except msgspec.DecodeError as error:
            raise RunError(str(run.path), (Fault(f"{JOURNAL}:{number}", f"is not a record: {error}"),)) from error
        if line.kind == "message":
            raw = bytes(line.body)
            try:
                body = body_of(raw)
            except msgspec.ValidationError:
                body = _Body()  # refused for it, and counted under no action
            yield line, raw if body.base64 is UNSET else base64.b64decode(body.base64), body.context


def messages(run: Run) -> Audit:
    """Every message was answered ACK or NACK, every callback answers the bytes of a request, the manifest counts them right."""
    asked: dict[tuple[str, str, str], str] = {}
    counts: Counter[tuple[str, str]] = Counter()
    findings: list[Fault] = []
    for number, (line, raw, context) in enumerate(_messages(run), start=1):
        action = ALIASES.get(context.action, context.action)
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


def signatures(run: Run) -> Audit:
    """Where the scenario signs: every accepted message was signed by its sender, with a registered key, in time."""
    if not run.manifest["scenario"].get("wire", {}).get("sign", False):
        return Audit("this scenario does not sign")
    keys = {
        (record["subscriber"], record["keyId"]): base64.b64decode(record["publicKey"])
        for record in run.journal()
        if record["kind"] == "key"
    }
    epoch_s = int(datetime.fromisoformat(run.manifest["start"]).timestamp())
    findings: list[Fault] = []
    count = 0
    for line, raw, context in _messages(run):
        if line.ack == "ACK":
            count += 1
            findings += _signature_faults(line, raw, context, keys, epoch_s)
    return Audit(f"{count:,} signatures by {len(keys)} keys", tuple(findings))


def _signature_faults(
    line: _Line, raw: bytes, context: _Context, keys: Mapping[tuple[str, str], bytes], epoch_s: int
) -> Iterator[Fault]:
    where = f"message {line.seq} ({context.action})"
    sender = context.bppId if is_callback(ALIASES.get(context.action, context.action)) else context.bapId
    try:
        claim = parse(line.signature or None)
        check_times(claim, epoch_s + line.t)
        if claim.subscriber != sender:
            yield Fault(where, f"is of {sender} and signed by {claim.subscriber}")
            return
        key = keys.get((claim.subscriber, claim.key_id))
        if key is None:
            yield Fault(where, f"is signed with {claim.key_id} of {claim.subscriber}, which nobody registered")
            return
        verify(claim, body_digest(raw), key)
    except (Refusal, binascii.Error) as refusal:
        yield Fault(where, str(refusal))
