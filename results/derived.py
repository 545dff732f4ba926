"""Tables that follow from the journal of a run and its other tables: messages, contracts, findings, flows.

A finished run has them as files.  One that was stopped, or that was written before they were thought of, gets them made here.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pandas as pd

from results.kirchhoff import element_flows
from results.tables import TABLES, Rows, arrow
from sim.errors import Fault, RunError
from sim.events import LIFE, EventType, Phase
from sim.journal import EVENT_LINE, MESSAGE_LINE
from sim.tolerances import BALANCE_KW
from sim.wire.messages import is_callback

if TYPE_CHECKING:
    from results.run import Run

UNKNOWN = "?"
"""Stands for a party that a message does not name: one that was refused for having no readable context."""

Row = tuple[Any, ...]


def table(run: Run, name: str) -> Rows:
    """The rows of a derived table.  Raises ``RunError`` where the journal cannot be read."""
    if name == "flows":
        return element_flows(run)
    rows = list(_MADE[name](run))
    columns = zip(*rows, strict=True) if rows else ([] for _ in TABLES[name])
    return {column: list(values) for column, values in zip(TABLES[name].names, columns, strict=True)}


def follows(run: Run, name: str) -> bool:
    """Whether the derived table that a run has is what is made of its journal and tables now.

    Voltages become powers by sines and sums that another machine may round differently: numbers have to agree as
    closely as a power flow balances.
    """
    made, faults = arrow(name, table(run, name))
    if faults:
        return False
    one, two = made.to_pandas(), run.table(name)
    exact = [column for column in one if not pd.api.types.is_float_dtype(one[column])]
    if len(one) != len(two) or not one[exact].equals(pd.DataFrame(two)[exact]):
        return False
    near = one.columns.difference(exact)
    return bool(np.allclose(one[near], two[near], rtol=0.0, atol=BALANCE_KW, equal_nan=True))


# --- messages ---------------------------------------------------------------------------------------------------------


class _Said(msgspec.Struct):
    """A record of a message, its body unread."""

    seq: int
    t: int
    action: str
    ack: str
    body: msgspec.Raw
    error: dict[str, Any] = {}
    signature: str = ""
    encoding: str = ""


class _Context(msgspec.Struct, rename="camel"):
    bap_id: str = UNKNOWN
    bpp_id: str = UNKNOWN
    transaction_id: str = ""
    message_id: str = ""


class _Failure(msgspec.Struct, rename="camel"):
    error_code: str = "NACK"


class _Body(msgspec.Struct):
    context: _Context = msgspec.field(default_factory=_Context)
    error: _Failure | None = None


_decode_event = msgspec.json.Decoder(dict[str, Any]).decode
_decode_said = msgspec.json.Decoder(_Said).decode
_decode_body = msgspec.json.Decoder(_Body).decode


def _messages(run: Run) -> Iterator[Row]:
    offset, interval_s = 0, run.calendar.interval_s
    for number, line in enumerate(run.journal_lines(), start=1):
        if line.startswith(MESSAGE_LINE):
            try:
                said = _decode_said(line)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise RunError(str(run.path), (Fault(f"{run.journal_path.name}:{number}", f"{error}"),)) from error
            yield _message(said, interval_s, offset)
        offset += len(line)


def _message(said: _Said, interval_s: int, offset: int) -> Row:
    body = _body(said)
    context = body.context
    ends = (context.bpp_id, context.bap_id) if is_callback(said.action) else (context.bap_id, context.bpp_id)
    code = str(said.error.get("errorCode", "NACK")) if said.error else body.error.error_code if body.error else ""
    head = (said.seq, said.t // interval_s, said.t, said.action, *ends, context.transaction_id, context.message_id)
    return (*head, said.ack == "ACK", code, said.signature != "", offset)


def _body(said: _Said) -> _Body:
    """What was said, as far as it can be read: a refused message may be anything."""
    try:
        raw = bytes(said.body)
        return _decode_body(base64.b64decode(msgspec.json.decode(raw, type=str)) if said.encoding else raw)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _Body()


# --- contracts --------------------------------------------------------------------------------------------------------


class _Life:
    """What the log tells of one contract so far."""

    def __init__(self) -> None:
        self.template = self.currency = self.created = self.ended = ""
        self.roles: dict[str, str] = {}
        self.phase = Phase.NONE
        self.events = 0

    def take(self, event: Mapping[str, Any]) -> None:
        """Another event of it."""
        facts, kind = event["data"], EventType(event["eventType"])
        self.events += 1
        self.phase = LIFE[self.phase].get(kind, self.phase)
        if kind is EventType.CONTRACT_CREATED:
            self.template, self.currency = facts.get("templateId", ""), facts.get("currency", "")
            self.roles |= {role["role"]: role["filledBy"] for role in facts.get("roles", ()) if role.get("filledBy")}
            self.created = event["timestamp"]
        elif kind is EventType.ROLE_FILLED and facts.get("filledBy"):
            self.roles[facts["role"]] = facts["filledBy"]
        elif kind in (EventType.COMPLETED, EventType.CANCELLED, EventType.TERMINATED):
            self.ended = event["timestamp"]


def _contracts(run: Run) -> Iterator[Row]:
    lives: dict[str, _Life] = {}
    for number, event in enumerate(_events(run), start=1):
        try:
            lives.setdefault(event["contractId"], _Life()).take(event)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            what = f"event {number} is damaged: {error!r}"
            raise RunError(str(run.path), (Fault(run.journal_path.name, what),)) from error
    for contract, life in lives.items():
        parties = "; ".join(f"{role}={era}" for role, era in life.roles.items())
        when = life.created, life.ended
        yield contract, life.template, life.phase.value, parties, life.currency, *when, life.events


def _events(run: Run) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(run.journal_lines(), start=1):
        if line.startswith(EVENT_LINE):  # most lines are messages, and need not be read for this
            try:
                yield _decode_event(line)["event"]
            except (msgspec.MsgspecError, UnicodeDecodeError, KeyError) as error:
                raise RunError(str(run.path), (Fault(f"{run.journal_path.name}:{number}", f"{error}"),)) from error


# --- findings ---------------------------------------------------------------------------------------------------------


def _findings(run: Run) -> Iterator[Row]:
    yield from _physics(run)
    yield from _stopped(run)
    yield from _broken(run)
    for interval in run.manifest.get("heldIntervals", ()):
        yield interval, "settlement", "market", "was not settled: what it came to is disputed or held"
    for contract in run.manifest.get("unsettledContracts", ()):
        yield None, "contract", contract, "has not ended: what it came to is disputed, held, or before the arbitrator"
    yield from _refused(run)


def _physics(run: Run) -> Iterator[Row]:
    for note in run.manifest.get("physics", {}).get("notes", ()):
        yield None, "physics", "feeder", note
    failed = run.intervals[run.intervals["status"] != "OK"]["interval"].tolist()
    if failed:
        notes = {record["interval"]: record["note"] for record in run.journal() if record["kind"] == "flow"}
        for interval in failed:
            yield interval, "physics", "feeder", f"the power flow found no solution: {notes.get(interval, '')}"
    dark = run.intervals[run.intervals["unserved_kwh"] > 0]
    for interval, kwh in zip(dark["interval"].tolist(), dark["unserved_kwh"].tolist(), strict=True):
        yield interval, "physics", "feeder", f"{kwh:.3f} kWh were asked for at buses without supply"


def _stopped(run: Run) -> Iterator[Row]:
    why = run.manifest.get("policyStopped", {})
    policy = str(run.manifest.get("policy", ""))
    for interval in run.intervals[run.intervals["fallback"]]["interval"].tolist():
        yield interval, "policy", policy, f"its stand-in was used: {why.get(str(interval), 'its outcome was refused')}"


def _broken(run: Run) -> Iterator[Row]:
    """Promises of the policy that were found broken in what was cleared, as the clearing's own certificate has them."""
    for interval in run.intervals[run.intervals["violations"] > 0]["interval"].tolist():
        _, answer = run.clearings.get(interval, ({}, {}))
        certificate = answer.get("message", {}).get("aggregationResult", {}).get("certificate", {})
        for found in certificate.get("violations", ()):
            yield interval, "clearing", str(found["who"]), f"{found['condition']}: {found['what']}"


def _refused(run: Run) -> Iterator[Row]:
    refused = run.messages[~run.messages["ack"]]
    cases = Counter(zip(refused["action"], refused["error"], refused["receiver"], strict=True))
    for (action, code, receiver), count in cases.items():
        yield None, "messages", receiver, f"refused {count} {action} with {code}"


_MADE: Mapping[str, Callable[[Run], Iterator[Row]]] = MappingProxyType(
    {"messages": _messages, "contracts": _contracts, "findings": _findings}
)
