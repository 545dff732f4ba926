"""What commands share: exit status, streams, and how they enter the parser."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sim.errors import MessageError

OK, AT_FAULT, UNUSABLE = 0, 1, 2
INTERRUPTED = 130


def command(
    commands: Any, name: str, function: Callable[[argparse.Namespace], int], help_text: str
) -> argparse.ArgumentParser:
    """A command of the parser.  function: carries it out, and gives the exit status."""
    parser: argparse.ArgumentParser = commands.add_parser(name, help=help_text, description=help_text)
    parser.set_defaults(command=function)
    return parser


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """Let whoever calls ask for silence."""
    parser.add_argument("--quiet", action="store_true", help="no progress and no talk: results and errors alone")


def out(text: str) -> None:
    """Write data."""
    print(text)  # noqa: T201


def say(text: str) -> None:
    """Talk, on standard error."""
    print(text, file=sys.stderr)  # noqa: T201


def hush(text: str) -> None:
    """Whoever asked for quiet is told nothing."""


def deliver(text: str, path: Path | None) -> None:
    """Write text, without a newline at its end, into a file; for None as data."""
    from scenarios.exchange import write  # noqa: PLC0415

    if path is None:
        out(text)
    else:
        write(path, text)


def source(name: str) -> str:
    """How an input is called in errors."""
    return "standard input" if name == "-" else name


def read_text(name: str) -> str:
    """What a file holds, or standard input for ``-``.  Raises ``MessageError`` where it cannot be read as UTF-8."""
    try:
        if name != "-":
            return Path(name).read_text(encoding="utf-8")
        if sys.stdin is None:
            raise MessageError(source(name), "is closed")
        binary = getattr(sys.stdin, "buffer", None)  # as bytes: whatever the terminal's encoding, messages are UTF-8
        return str(sys.stdin.read()) if binary is None else str(binary.read().decode("utf-8"))
    except FileNotFoundError:
        raise MessageError(name, "there is no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise MessageError(source(name), f"cannot be read: {error}") from None


def read_json(name: str) -> Any:
    """The same as JSON.  Raises ``MessageError`` where it is none."""
    try:
        return json.loads(read_text(name))
    except (ValueError, RecursionError) as error:
        raise MessageError(source(name), f"is not JSON: {error}") from None


def end_as_by_ctrl_c() -> None:
    """Whoever ends us politely, or closes our terminal, finds things as if he had pressed Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    hangup = getattr(signal, "SIGHUP", None)
    if hangup is not None and signal.getsignal(hangup) is signal.SIG_DFL:  # nohup wants it unheard
        signal.signal(hangup, signal.default_int_handler)
