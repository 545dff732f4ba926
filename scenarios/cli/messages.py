"""Commands about Beckn messages, and markets that need nothing else: clear, validate, convert, directory."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from typing import Any

from scenarios.cli.common import AT_FAULT, OK, UNUSABLE, command, deliver, out, read_json, read_text, say, source


def add_clear(commands: Any) -> None:
    """``degsim clear``."""
    clear = command(commands, "clear", _clear, "clear aggregate messages: one market each, no simulation")
    clear.add_argument(
        "files", nargs="+", metavar="BOOK", help="a file, a name of degsim list books, or - for standard input"
    )
    clear.add_argument(
        "--policy",
        action="append",
        metavar="NAME[:KEY=VALUE,...]",
        help="default: locational; several, or all, are compared in a table",
    )
    clear.add_argument("--json", action="store_true", help="the comparison as one JSON object for each book")
    clear.add_argument("--misreports", action="store_true", help="compare, and look for the lie that pays most")
    clear.epilog = "Exit status: 0 fine, 1 a compared policy failed or broke what it promises, 2 it cannot be used."


def _clear(options: argparse.Namespace) -> int:
    from scenarios import laboratory  # noqa: PLC0415
    from sim.market.wire_form import clear_message  # noqa: PLC0415

    names = options.policy or ["locational"]
    chosen = laboratory.policies(names)
    compared = len(names) > 1 or laboratory.ALL in names or options.misreports
    fine = True
    for place, name in enumerate(options.files):
        data = read_json(laboratory.located(name))
        if not compared:
            out(json.dumps(clear_message(data, chosen[0], source(name))))
            continue
        if place and not options.json:
            out("")
        fine &= laboratory.show(source(name), data, chosen, out, as_json=options.json, misreports=options.misreports)
    return OK if fine else AT_FAULT


def add_validate(commands: Any) -> None:
    """``degsim validate``."""
    validate = command(commands, "validate", _validate, "check Beckn messages: dialect, action and every fault of each")
    validate.add_argument(
        "files", nargs="+", metavar="FILE", help="one message or a JSON array; - reads standard input"
    )
    validate.epilog = "Exit status: 0 all valid, 1 at least one is not, 2 a file cannot be read."


def _validate(options: argparse.Namespace) -> int:
    from scenarios.exchange import validate  # noqa: PLC0415

    readable, valid = validate(options.files, read_text, out, say)
    return UNUSABLE if not readable else OK if valid else AT_FAULT


def add_convert(commands: Any) -> None:
    """``degsim convert``."""
    convert = command(commands, "convert", _convert, "write a Beckn message in another dialect; what changes is said")
    convert.add_argument("file", metavar="FILE", help="one message or a JSON array; - reads standard input")
    convert.add_argument(
        "--to", required=True, choices=("lts", "rc"), help="lts: Beckn v2.0.0; rc: its release candidate"
    )
    convert.add_argument("--out", type=Path, metavar="OUT.json", help="default: standard output")


def _convert(options: argparse.Namespace) -> int:
    from scenarios.exchange import convert  # noqa: PLC0415

    text = convert(options.file, options.to, read_text, say)
    if text is None:
        return AT_FAULT
    deliver(text, options.out)
    return OK


def add_directory(commands: Any) -> None:
    """``degsim directory``."""
    directory = command(
        commands, "directory", _directory, "answer for the keys of a run that signs, as a DeDi server over HTTP"
    )
    directory.add_argument("run", type=Path, metavar="RUN")
    directory.add_argument("--port", type=int, default=0, metavar="N", help="default: any that is free")


def _directory(options: argparse.Namespace) -> int:
    from results.run import Run  # noqa: PLC0415
    from scenarios.dedi import directory_of, end_s, serve  # noqa: PLC0415

    run = Run(options.run)
    directory, now_s = directory_of(run), end_s(run)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with serve(directory, lambda: now_s, port=options.port) as url:
        out(url)
        sys.stdout.flush()
        try:
            signal.pause()
        except KeyboardInterrupt:
            return OK
    return OK
