"""From the journal of a run to steps, and some of them."""

from __future__ import annotations

import base64
import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from results.run import JOURNAL, Record, Run
from results.sequence.fields import brief
from sim.clock import Calendar
from sim.errors import Fault, RunError, nearest
from sim.wire.messages import is_callback

UNKNOWN = "?"
"""Stands for a party that a message does not name: one that was refused for having no readable context."""

Thread = tuple[str, str]
"""Transaction id and message id: what a request and its callback have in common."""


@dataclass(frozen=True)
class Step:
    """One message as it came to its recipient.

    seq: its number in the journal, from 1.  second: simulated second, 0 at the start of the run.  depth: 0, or by how many
    messages it descends from another (``context.lineage``).  error: why it was refused, or the failure that a callback
    reports; None where nothing is wrong.  refused: whether it was answered NACK.  context, content: of its body.
    """

    seq: int
    second: int
    sender: str
    receiver: str
    action: str
    transaction: str
    message: str
    lineage: Thread | None
    depth: int
    refused: bool
    error: Record | None
    context: Record
    content: Record

    @property
    def callback(self) -> bool:
        """Whether it answers, or tells news unasked (``on_…``)."""
        return is_callback(self.action)

    @cached_property
    def brief(self) -> Mapping[str, Any]:
        """The few values that tell it from others, by their paths below ``message`` (``results.sequence.fields``)."""
        return brief(self.action, self.content)

    @property
    def tried(self) -> bool:
        """Whether it only asks what would happen (``context.try``)."""
        return self.context.get("try") is True

    @property
    def code(self) -> str:
        """Code of its error; empty where nothing is wrong."""
        return "" if self.error is None else str(self.error.get("errorCode", "NACK"))


def steps(run: Run) -> Iterator[Step]:
    """Every message of a run in the order of its journal.  Raises ``RunError`` where the journal cannot be read."""
    depths: dict[Thread, int] = {}
    for number, record in enumerate(run.message_records(), start=1):
        try:
            step = _step(record, depths)
        except (LookupError, TypeError, ValueError) as error:
            what = f"message {number} is damaged: {error!r}"
            raise RunError(str(run.path), (Fault(JOURNAL, what),)) from error
        depths.setdefault((step.transaction, step.message), step.depth)
        yield step


def _step(record: Record, depths: dict[Thread, int]) -> Step:
    body = _body(record)
    context = _object(body.get("context"))
    action = str(record["action"])
    caller, answerer = str(context.get("bapId", UNKNOWN)), str(context.get("bppId", UNKNOWN))
    sender, receiver = (answerer, caller) if is_callback(action) else (caller, answerer)
    thread = (str(context.get("transactionId", "")), str(context.get("messageId", "")))
    lineage = _lineage(context)
    # The answer of a leg that does not repeat the lineage still belongs to the leg.
    known = depths.get(thread, 0)
    return Step(
        seq=int(record["seq"]),
        second=int(record["t"]),
        sender=sender,
        receiver=receiver,
        action=action,
        transaction=thread[0],
        message=thread[1],
        lineage=lineage,
        depth=known if lineage is None else max(known, depths.get(lineage, 0) + 1),
        refused=record["ack"] != "ACK",
        error=record.get("error") or _object(body.get("error")) or None,
        context=context,
        content=_object(body.get("message")),
    )


def _lineage(context: Record) -> Thread | None:
    said = _object(context.get("lineage"))
    return (str(said.get("transactionId", "")), str(said.get("messageId", ""))) if said else None


def _body(record: Record) -> Record:
    """What was said, as far as it can be read: a refused message may be anything."""
    body = record["body"]
    if record.get("encoding") == "base64":
        try:
            body = json.loads(base64.b64decode(body))
        except (ValueError, RecursionError):
            return {}
    return _object(body)


def span_of(calendar: Calendar, begin: str | None, end: str | None) -> tuple[int | None, int | None]:
    """The simulated seconds of ``--from`` and ``--to``; None for what is not given.

    Raises ``RunError`` for each that is no time, and for a span without a second in it.
    """
    found: list[int | None] = []
    faults: list[Fault] = []
    for option, text in (("--from", begin), ("--to", end)):
        try:
            found.append(None if text is None else second_of(calendar, text, option))
        except RunError as error:
            faults += error.faults
    if faults:
        raise RunError(faults[0].where, tuple(faults))
    from_s, to_s = found
    if from_s is not None and to_s is not None and not from_s < to_s:
        raise RunError("--from", f"{begin} must be before --to, which is {end}")
    return from_s, to_s


def second_of(calendar: Calendar, text: str, option: str) -> int:
    """The simulated second of a time as people write it: ``11:30`` of the run's first day, or ``2016-05-17T11:30``.

    Raises ``RunError`` for a text that is neither; ``option`` is named then.
    """
    whole = text if re.match(r"\d{4}-", text) else f"{calendar.start.date()}T{text}"
    try:
        moment = datetime.fromisoformat(whole)
    except ValueError:
        raise RunError(option, f"{text} is no time, expected one such as 11:30 or 2016-05-17T11:30") from None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=calendar.start.tzinfo)
    return calendar.seconds(aware.isoformat())


def _object(value: Any) -> Record:
    return value if isinstance(value, dict) else {}


def select(
    source: str,
    told: Iterable[Step],
    transaction: str | None = None,
    participants: Sequence[str] = (),
    from_s: int | None = None,
    to_s: int | None = None,
) -> tuple[Step, ...]:
    """Those of a transaction and the legs that descend from it, that a participant sent or received, within a span of time.

    source: name of the run, for errors.  transaction: its id, or as many characters of its beginning as are needed to tell it
    from the others.  participants: several are those of any of them.  from_s, to_s: simulated seconds, from_s inclusive and
    to_s exclusive.  Raises ``RunError`` for a transaction or a participant that the run has not.
    """
    all_steps = tuple(told)
    faults = [*_unknown(all_steps, participants)]
    ids, ambiguous = _family(all_steps, transaction)
    faults += ambiguous
    if faults:
        raise RunError(source, tuple(faults))
    wanted = frozenset(participants)
    return tuple(
        step
        for step in all_steps
        if (ids is None or step.transaction in ids)
        and (not wanted or step.sender in wanted or step.receiver in wanted)
        and (from_s is None or step.second >= from_s)
        and (to_s is None or step.second < to_s)
    )


def _unknown(all_steps: Sequence[Step], participants: Sequence[str]) -> Iterator[Fault]:
    known = dict.fromkeys(name for step in all_steps for name in (step.sender, step.receiver))
    for name in participants:
        if name not in known:
            yield Fault(name, f"no message is from or to it; {nearest(name, known)}")


def _family(all_steps: Sequence[Step], transaction: str | None) -> tuple[frozenset[str] | None, list[Fault]]:
    """Ids of a transaction and of what descends from it; None for all."""
    if transaction is None:
        return None, []
    known = list(dict.fromkeys(step.transaction for step in all_steps if step.transaction))
    found = [name for name in known if name.startswith(transaction)] if transaction else []
    if transaction in found:
        found = [transaction]
    if not found:
        near = "".join(difflib.get_close_matches(transaction, known, n=1, cutoff=0.0))
        return None, [
            Fault(transaction, f"no such transaction, the nearest is {near or 'none: there are no messages'}")
        ]
    if len(found) > 1:
        return None, [Fault(transaction, f"{len(found)} transactions begin like this: {found[0]}, {found[1]} ...")]
    family = set(found)
    for step in all_steps:  # a leg follows what it descends from
        if step.lineage is not None and step.lineage[0] in family:
            family.add(step.transaction)
    return frozenset(family), []
