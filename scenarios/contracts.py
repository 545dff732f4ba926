"""The commands about contracts: settle one, check one, show it in another reading or in words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from results.bills import cases_of
from results.run import Run
from scenarios.exchange import write as write_file
from sim.contracts import ricardian
from sim.contracts.document import read_json, write_json
from sim.contracts.readiness import is_template, readiness
from sim.contracts.readings.writing import write
from sim.contracts.report import differences, table
from sim.contracts.settle import form, settle
from sim.errors import ContractError

Text = Callable[[str], str]
Say = Callable[[str], None]


def settle_files(
    contract: str,
    signals: str,
    text: Text,
    out: Say,
    say: Say,
    *,
    previous: str | None,
    against: str | None,
    as_table: bool,
) -> bool:
    """Settle a contract from files, ``-`` being standard input; notes go to ``say``.

    previous: report of an earlier run, from which only differences are posted.  against: report that somebody else made;
    whether it says the same is the result, and every difference is said.
    """
    document: Any = read_json(text(contract), contract)
    earlier = None if previous is None else read_json(text(previous), previous)
    stated: Any = None if against is None else read_json(text(against), against)
    report = settle(document, read_json(text(signals), signals), contract, earlier)
    notes: Any = report["notes"]
    for note in notes:
        say(f"{contract}: {note}")
    if stated is None:
        out(table(report) if as_table else write_json(report))
        return True
    found = list(differences(stated, read_json(write_json(report), contract)))
    for difference in found:
        say(f"{against}: {difference}")
    out(f"{against}: {len(found)} differences" if found else f"{against}: every line follows from contract and signals")
    return not found


def bill(run: Run, era: str, folder: Path | None, out: Say, say: Say) -> None:
    """Print the bills of one participant of a run, and write what they were computed from into a folder.

    Of several contracts every one after the first has a number in the names of its files.
    """
    cases = cases_of(run, era)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    for number, (contract, signals) in enumerate(cases, 1):
        out(("" if number == 1 else "\n") + table(settle(contract, signals, era)))
        if folder is not None:
            mark = "" if number == 1 else f"-{number}"
            for name, content in ((f"contract{mark}.json", contract), (f"signals{mark}.json", signals)):
                write_file(folder / name, write_json(content))
                say(str(folder / name))


def show(name: str, to: str | None, text: Text, out: Say) -> bool:
    """Check a contract before there are signals, and show it: a summary, another reading, or in words.

    Whether it is ready to become active is the result.
    """
    document: Any = read_json(text(name), name)
    bound = form(document, name)
    if to == "text":
        out(ricardian.text_of(bound.agreement, bound.currency))
    elif to is not None:
        try:
            out(write_json(write(document, bound.agreement, to, bound.currency)))
        except ContractError as error:
            raise ContractError(name, error.faults) from error
    else:
        agreement = bound.agreement
        lacks = readiness(agreement)
        hashes = ricardian.hashes(document, ricardian.text_of(agreement, bound.currency))
        what = "a template" if is_template(agreement) else "an instance"
        parties = ", ".join(f"{party.era} ({party.role})" for party in agreement.parties)
        size = f"{len(agreement.flows)} flows"
        out(f"{agreement.id}: reading {agreement.form}, {bound.currency}, {size}, {agreement.status}, {what}")
        out(f"parties: {parties}")
        out("\n".join(f"{key}: {value}" for key, value in hashes.items()))
        out("ready to become active" if not lacks else "not ready:\n" + "\n".join(f"  {fault}" for fault in lacks))
        return not lacks
    return True
