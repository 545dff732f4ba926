"""The command line.  Data goes to standard output, talk to standard error.

Exit status: 0 fine, 1 the thing examined is at fault, 2 the call or its input cannot be used.  Heavy modules are imported by
the command that needs them, so that ``degsim --help`` answers at once.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from scenarios.cli import known, messages, money, runs, views
from scenarios.cli.common import INTERRUPTED, OK, UNUSABLE, say
from sim.errors import DegsimError

_COMMANDS = (
    runs.add_run,
    runs.add_compare,
    runs.add_sweep,
    messages.add_clear,
    money.add_settle,
    money.add_contract,
    money.add_bill,
    money.add_explain,
    money.add_ledger,
    messages.add_validate,
    messages.add_convert,
    views.add_verify,
    views.add_diff,
    runs.add_bound,
    views.add_plot,
    views.add_report,
    views.add_sequence,
    messages.add_directory,
    known.add_feeder,
    known.add_list,
    known.add_schema,
)
"""In the order of the help: each puts its command into the parser."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the console script."""
    if sys.stderr is None:  # closed by whoever called; what is printed to nothing goes to standard output
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  for as long as we live
    options = _parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                errors="backslashreplace"
            )  # a terminal that cannot show a character still shows the rest
    try:
        return int(options.command(options))
    except DegsimError as error:
        say(f"degsim: {error}")
        return UNUSABLE
    except BrokenPipeError:
        # Whoever read us (head, less) has seen enough.
        sys.stderr.close()
        return OK
    except OSError as error:
        say(f"degsim: {error.filename or 'file'}: {error.strerror or error}")
        return UNUSABLE
    except KeyboardInterrupt:
        say("degsim: interrupted")
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="degsim", description=__doc__.splitlines()[0] if __doc__ else None)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in _COMMANDS:
        add(commands)
    return parser
