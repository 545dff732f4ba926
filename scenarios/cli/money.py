"""Commands about contracts and what is owed under them, of a run or of files."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from scenarios.cli.common import AT_FAULT, OK, command, deliver, out, read_text, say


def add_settle(commands: Any) -> None:
    """``degsim settle``."""
    settle = command(commands, "settle", _settle, "compute the revenue flows of a contract from its signals")
    settle.add_argument("contract", metavar="CONTRACT.json")
    settle.add_argument("--signals", required=True, metavar="SIGNALS.json")
    settle.add_argument("--table", action="store_true", help="the bill for people instead of JSON")
    settle.add_argument("--previous", metavar="REPORT.json", help="post only what differs from this earlier run")
    settle.add_argument(
        "--against", metavar="REPORT.json", help="compute again what somebody else reports; 1 if it differs"
    )


def _settle(options: argparse.Namespace) -> int:
    from scenarios.contracts import settle_files  # noqa: PLC0415

    same = settle_files(
        options.contract,
        options.signals,
        read_text,
        out,
        say,
        previous=options.previous,
        against=options.against,
        as_table=options.table,
    )
    return OK if same else AT_FAULT


def add_contract(commands: Any) -> None:
    """``degsim contract``."""
    contract = command(commands, "contract", _contract, "check a contract before there are signals, and show it")
    contract.add_argument("contract", metavar="CONTRACT.json")
    contract.add_argument(
        "--to", choices=("flows", "signed", "billing", "text"), help="write it in another reading, or in words"
    )
    contract.epilog = "Exit status: 0 ready to become active, 1 something is lacking, 2 it cannot be used."


def _contract(options: argparse.Namespace) -> int:
    from scenarios.contracts import show  # noqa: PLC0415

    return OK if show(options.contract, options.to, read_text, out) else AT_FAULT


def add_bill(commands: Any) -> None:
    """``degsim bill``."""
    bill = command(commands, "bill", _bill, "the bill of one participant of a run, from its contract and signals")
    bill.add_argument("run", type=Path, metavar="RUN")
    bill.add_argument("era", metavar="ERA")
    bill.add_argument("--out", type=Path, metavar="DIR", help="write contract.json and signals.json, for degsim settle")


def _bill(options: argparse.Namespace) -> int:
    from results.run import Run  # noqa: PLC0415
    from scenarios.contracts import bill  # noqa: PLC0415

    bill(Run(options.run), options.era, options.out, out, say)
    return OK


def add_explain(commands: Any) -> None:
    """``degsim explain``."""
    explain = command(commands, "explain", _explain, "how an amount of a run came about: formula, inputs, messages")
    explain.add_argument("run", type=Path, metavar="RUN")
    explain.add_argument("what", metavar="POSTING|ERA", help="number of a posting, CONTRACT/TERM/INTERVAL, or a party")
    explain.add_argument(
        "--all", action="store_true", help="every posting of a party, every interval and message of one"
    )
    explain.add_argument("--json", action="store_true", help="the same as one JSON object")


def _explain(options: argparse.Namespace) -> int:
    from results.explanation import as_text, explanation  # noqa: PLC0415
    from results.run import Run  # noqa: PLC0415

    facts = explanation(Run(options.run), options.what)
    out(json.dumps(facts, indent=2, ensure_ascii=False) if options.json else as_text(facts, options.all))
    return OK


def add_ledger(commands: Any) -> None:
    """``degsim ledger``."""
    ledger = command(commands, "ledger", _ledger, "write the ledger of a run as a Beancount file")
    ledger.add_argument("run", type=Path, metavar="RUN")
    ledger.add_argument("--out", type=Path, metavar="FILE.beancount", help="default: standard output")


def _ledger(options: argparse.Namespace) -> int:
    from results.beancount import export  # noqa: PLC0415
    from results.run import Run  # noqa: PLC0415

    deliver(export(Run(options.run)), options.out)
    return OK
