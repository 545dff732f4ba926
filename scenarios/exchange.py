"""Messages of others at the command line: are they valid, and what do they say in another dialect."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sim.errors import MessageError
from sim.wire.codes import Code
from sim.wire.dialects import Conversion, Dialect, action_of, faults, recognise, to_lts, to_rc
from sim.wire.explain import Complaint, parse

Read = Callable[[str], str]
Say = Callable[[str], None]

TARGETS: dict[str, Callable[[Any], Conversion]] = {"lts": to_lts, "rc": to_rc}
"""What messages can be converted to."""
_DIALECTS = {"lts": Dialect.LTS, "rc": Dialect.RC}


@dataclass(frozen=True, slots=True)
class Found:
    """One message of a file.  name: the file, and the index in an array; raw: its text, where it has one of its own."""

    name: str
    document: Any
    raw: str | None


def validate(names: Sequence[str], read: Read, out: Say, say: Say) -> tuple[bool, bool]:
    """Write a line on ``out`` for every message of every file, and one for every fault; what cannot be read goes to ``say``.

    Returns whether every file could be read, and whether every message that was read is valid.
    """
    readable, valid = True, True
    for name in names:
        try:
            text = read(name)
        except MessageError as error:
            say(f"degsim: {error}")
            readable = False
            continue
        valid = _validate_text(name, text, out) and valid
    return readable, valid


def _validate_text(name: str, text: str, out: Say) -> bool:
    messages, broken = _messages(name, text)
    if broken:
        _write_faults(_called(name), broken, out)
        return False
    return all([_validate_message(message, out) for message in messages])


def _validate_message(message: Found, out: Say) -> bool:
    title, found = _judge(message)
    if found:
        _write_faults(f"{message.name}: {title}" if title else message.name, found, out)
        return False
    # Of this shape no schema was ever published; saying no more than "valid" would promise too much.
    beyond = " envelope; its order has no schema" if title.startswith(Dialect.P2P_V1) else ""
    out(_plain(f"{message.name}: {title}, valid{beyond}"))
    return True


def _judge(message: Found) -> tuple[str, tuple[Complaint, ...]]:
    """What a message is, ``RC confirm``, and what is wrong with it."""
    try:
        dialect = recognise(message.document)
    except MessageError as error:
        return "", (_complaint(error),)
    return f"{dialect} {action_of(message.document)}".rstrip(), faults(message.document, message.raw)


def _complaint(error: MessageError) -> Complaint:
    (fault,) = error.faults
    return Complaint(Code.SCH_TYPE_NOT_SUPPORTED, fault.where, "something that can be read as Beckn", fault.what)


def _write_faults(title: str, found: Sequence[Complaint], out: Say) -> None:
    sep = ", " if ": " in title else ": "
    out(_plain(f"{title}{sep}{len(found)} fault{'s' if len(found) > 1 else ''}"))
    for complaint in found:
        out(_plain(f"  {complaint.pointer}: {complaint.text}  [{complaint.code}]"))


def _called(name: str) -> str:
    return "standard input" if name == "-" else name


def _messages(name: str, text: str) -> tuple[list[Found], tuple[Complaint, ...]]:
    """The messages of a file, or what keeps it from being one message or an array of them."""
    document, found = parse(text)
    if document == []:
        found = (
            Complaint(Code.SCH_SCHEMA_VALIDATION_FAILED, "/", "a message, or an array of messages", "an empty one"),
        )
    if isinstance(document, list) and not found:
        return [Found(f"{_called(name)}[{index}]", message, None) for index, message in enumerate(document)], ()
    # What is wrong with the text of a single message is found again with the rest of its faults.
    return ([], found) if found and not isinstance(document, dict) else ([Found(_called(name), document, text)], ())


def convert(name: str, target: str, read: Read, say: Say) -> str | None:
    """The messages of a file in the target dialect, as JSON text; what changed goes to ``say``, one line a note.

    None where a message is not valid, or what it becomes would not be: then its faults have gone to ``say``.
    """
    text = read(name)
    messages, broken = _messages(name, text)
    if broken:
        _write_faults(_called(name), broken, say)
        return None
    converted = list(_convert_all(messages, target, say))
    if len(converted) < len(messages):
        return None
    alone = messages[0].raw is not None
    return json.dumps(converted[0] if alone else converted, indent=2, ensure_ascii=False)


def _convert_all(messages: Sequence[Found], target: str, say: Say) -> Iterator[Any]:
    for message in messages:
        title, found = _judge(message)
        if found:
            _write_faults(f"{message.name}: {title}" if title else message.name, found, say)
            continue
        try:
            conversion = TARGETS[target](message.document)
        except MessageError as error:
            _write_faults(f"{message.name}: {title}", (_complaint(error),), say)
            continue
        found = faults(conversion.document)
        if found:
            _write_faults(f"{message.name}: {title}, not enough for {target.upper()}", found, say)
            continue
        _tell(message, conversion, target, say)
        yield conversion.document


def _tell(message: Found, conversion: Conversion, target: str, say: Say) -> None:
    if recognise(message.document) is _DIALECTS[target]:
        say(f"{message.name}: already {target.upper()}, passed through")
    for note in conversion.notes:
        say(_plain(f"{message.name}: {note}"))


def write(path: Path, text: str) -> None:
    """The text as a file, whole or not at all; through a link, and into a device or pipe as it comes.

    Raises ``MessageError`` for a folder, and ``OSError`` for what cannot be written.
    """
    target = path.resolve()
    if target.is_dir():
        raise MessageError(str(path), "is a folder, expected a file")
    if target.exists() and not target.is_file():
        target.write_text(f"{text}\n", encoding="utf-8")
        return
    draft = target.with_name(f".{target.name}.draft")
    try:
        draft.write_text(f"{text}\n", encoding="utf-8")
        if target.exists():
            shutil.copymode(target, draft)
        draft.replace(target)
    except OSError as error:
        error.filename, error.filename2 = str(path), None  # nobody has heard of the draft
        raise
    finally:
        with suppress(OSError):  # where nothing can be written, nothing can be taken away
            draft.unlink(missing_ok=True)


def _plain(text: str) -> str:
    """Text that stays on its line and says nothing to a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
