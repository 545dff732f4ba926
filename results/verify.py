"""An audit of a finished run by somebody who believes none of it.

An invariant is a function ``(run) -> Audit``: what it looked at, and what it found.  ``INVARIANTS`` is the list; adding one
is adding a line.  Everything is recomputed from the folder: hashes from bytes, balances from postings, clearings from the
messages that asked for them.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
import pandas as pd

from results.run import JOURNAL, TABLES, Record, Run, digest, table_path
from sim import ledger, tolerances
from sim.contracts.contract import Status, Turn, transition
from sim.errors import ContractError, Fault, RunError
from sim.ledger import Posting
from sim.wire.messages import is_callback

LISTED = 10
"""Findings of one invariant that the report spells out before it counts the rest."""

METER_WH = 1.0
"""How far a meter may have drifted from the delivered power since the run began [Wh]: a meter shows whole Wh."""

FEE = "fee"
"""Terms whose name has this in it are what a market keeps; everything else it only passes on."""

UNSOLICITED = ("on_status", "on_update")
"""Callbacks that may come without a request."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What an invariant looked at, as a phrase with numbers, and every breach it found."""

    checked: str
    findings: tuple[Fault, ...] = ()


class Invariant(NamedTuple):
    """Something that holds in every sound run."""

    name: str
    description: str
    check: Callable[[Run], Audit]


@dataclass(frozen=True, slots=True)
class Report:
    """The audit of every invariant, in their order, by name."""

    run: str
    audits: Mapping[str, Audit]

    @property
    def findings(self) -> int:
        """Breaches of all invariants together; 0 for a sound run."""
        return sum(len(audit.findings) for audit in self.audits.values())


def verify(run: Run) -> Report:
    """Check every invariant.  One whose evidence cannot be read reports that as its finding; nothing is raised."""
    return Report(str(run.path), {invariant.name: _checked(invariant, run) for invariant in INVARIANTS})


def render(report: Report) -> str:
    """One line per invariant, and under it its first findings."""
    lines = [line for name, audit in report.audits.items() for line in _audit_lines(name, audit)]
    verdict = f"{report.findings} findings" if report.findings else "sound"
    return "\n".join([f"{report.run}: {verdict}", *lines])


def _checked(invariant: Invariant, run: Run) -> Audit:
    try:
        return invariant.check(run)
    except RunError as error:
        return Audit("could not be checked", error.faults)


def _audit_lines(name: str, audit: Audit) -> Iterator[str]:
    yield f"{'FAIL' if audit.findings else 'ok':<5}{name}: {audit.checked}"
    for finding in audit.findings[:LISTED]:
        yield f"       {finding}"
    if len(audit.findings) > LISTED:
        yield f"       and {len(audit.findings) - LISTED} more"


# --- journal and tables: the files are those that were written -------------------------------------------------------


def journal_chain(run: Run) -> Audit:
    """The journal has the length and hash that the manifest states, and each commit the hash of all before it."""
    size, commits, broken, whole = 0, 0, [], hashlib.sha256()
    for number, line in enumerate(run.journal_lines(), start=1):
        head = _commit_head(line)
        if head is not None:
            commits += 1
            if head != whole.hexdigest():
                broken.append(Fault(f"{JOURNAL}:{number}", "something before this commit is not what was committed"))
        whole.update(line)
        size += len(line)
    stated, count = run.manifest["journalBytes"], run.manifest["count"]
    findings = broken[:1]
    if size != stated:
        findings.append(Fault(JOURNAL, f"has {size} bytes where {stated} were written: the tail was cut or added to"))
    elif whole.hexdigest() != run.manifest["journalHead"]:
        findings.append(Fault(JOURNAL, f"has the hash {whole.hexdigest()[:12]}…, not the one of the manifest"))
    if commits < count:
        findings.append(Fault(JOURNAL, f"{commits} commits for {count} intervals"))
    return Audit(f"{size:,} bytes under {commits} commits", tuple(findings))


def _commit_head(line: bytes) -> str | None:
    """The hash that a commit line states; None for every other line."""
    if b'"commit"' not in line:
        return None
    try:
        record = msgspec.json.decode(line, type=Record)
    except msgspec.DecodeError:
        return None
    return str(record.get("head")) if record.get("kind") == "commit" else None


def table_files(run: Run) -> Audit:
    """Each table is there, with the hash and the number of rows that the manifest states."""
    return Audit(f"{len(TABLES)} files against their hashes", tuple(_table_faults(run)))


def _table_faults(run: Run) -> Iterator[Fault]:
    for name in TABLES:
        stated, path = run.manifest["tables"].get(name), table_path(run.path, name)
        if stated is None:
            yield Fault(name, "the manifest does not know this table")
        elif not path.exists():
            yield Fault(name, "table is missing")
        elif digest(path) != stated["sha256"]:
            yield Fault(name, "is not the table that was written: its hash differs from the manifest's")
        elif len(run.table(name)) != stated["rows"]:
            yield Fault(name, f"has {len(run.table(name))} rows where the manifest states {stated['rows']}")


# --- energy: what the wires, the devices and the meters say is one story ----------------------------------------------


def energy(run: Run) -> Audit:
    """Every interval has a power flow that balances to 1 W with what devices delivered, and meters count just that."""
    intervals = run.intervals.set_index("interval")
    solved = intervals[intervals["status"] == "OK"]
    drift = _meter_drift_wh(run)
    findings = [
        *(
            Fault(f"interval {i}", f"no power flow: {status}")
            for i, status in intervals["status"].items()
            if status != "OK"
        ),
        *_flow_faults(run),
        *_balance_faults(run, solved),
        *(
            Fault(str(era), f"meter and delivered power differ by {wh:.3g} Wh")
            for era, wh in drift.items()
            if wh > METER_WH
        ),
    ]
    residual_w = solved["residual_kw"].abs().max() * 1000
    checked = (
        f"{len(intervals)} intervals, {len(solved)} solved, largest residual {residual_w:.3g} W; "
        f"{len(drift)} meters, at most {drift.max():.3g} Wh from what was delivered"
    )
    return Audit(checked, tuple(findings))


def _flow_faults(run: Run) -> Iterator[Fault]:
    """Where the journal's power flows differ from the tables."""
    told: dict[int, Any] = dict(zip(run.intervals["interval"], run.intervals.itertuples(), strict=True))
    for record in run.journal():
        if record["kind"] != "flow":
            continue
        row = told.pop(record["interval"], None)
        where = f"interval {record['interval']}"
        if row is None or record["converged"] != (row.status == "OK"):
            yield Fault(where, f"the journal's power flow converged: {record['converged']}; the table does not say so")
        elif record["converged"] and (record["slackKW"], record["lossesKW"]) != (row.slack_kw, row.losses_kw):
            yield Fault(where, f"slack and losses are {record['slackKW']}, {record['lossesKW']} kW in the journal only")
    for interval in told:
        yield Fault(f"interval {interval}", "the journal has no power flow")


def _balance_faults(run: Run, solved: pd.DataFrame) -> Iterator[Fault]:
    delivered_kw = _connected(run).groupby("interval")["delivered_kw"].sum().reindex(solved.index, fill_value=0.0)
    unexplained_kw = solved["slack_kw"] + delivered_kw - solved["losses_kw"]
    for what, values in (
        ("the power flow's residual", solved["residual_kw"]),
        ("slack + delivered - losses", unexplained_kw),
    ):
        for interval, kw in values[~(values.abs() <= tolerances.BALANCE_KW)].items():
            yield Fault(f"interval {interval}", f"{what} is {kw * 1000:.6g} W, and at most 1 W is allowed")


def _connected(run: Run) -> pd.DataFrame:
    """Setpoints of participants with a connection, which are those with a meter."""
    connected = run.participants[run.participants["bus"] != ""]
    return run.setpoints[run.setpoints["era"].isin(connected["era"])]


def _meter_drift_wh(run: Run) -> pd.Series[float]:
    """Largest distance between each meter's register and the delivered energy, over the run [Wh]."""
    rows = _connected(run)
    drift_wh = rows["energy_wh"] - rows["delivered_kw"].fillna(0.0) * run.hours * 1000
    return drift_wh.groupby(rows["era"], sort=False).cumsum().abs().groupby(rows["era"], sort=False).max()


# --- money ------------------------------------------------------------------------------------------------------------


def money(run: Run) -> Audit:
    """Postings are sound, sum to zero, and are the journal's; the market keeps its fee and nothing else."""
    postings = run.ledger
    positions = ledger.balances(postings)
    keeps = {era: _kept(era, postings) for era, kind in run.kinds.items() if kind == "market"}
    findings = [
        *(fault for posting in postings for fault in ledger.posting_faults(posting)),
        *(Fault(c, f"balances sum to {net}, not zero") for c, net in ledger.net_by_currency(positions).items() if net),
        *_posting_differences(run),
        *(
            Fault(era, f"keeps {kept} beside its fee, and rounding explains {bound}")
            for era, (kept, bound) in keeps.items()
            if abs(kept) > bound
        ),
    ]
    beside = max((abs(kept) for kept, _ in keeps.values()), default=Decimal(0))
    checked = (
        f"{len(postings):,} postings of {len(positions)} parties; beside its fee the market keeps at most {beside}"
    )
    return Audit(checked, tuple(findings))


def _kept(era: str, postings: tuple[Posting, ...]) -> tuple[Decimal, Decimal]:
    """What a market held at most beside its fee after any interval, and how much of it rounding can explain.

    Settlement rounds the running sum of each term of each contract, so each is at most half a minor unit away from what
    is exactly due.  Postings stand in the order of their intervals.
    """
    own = [posting for posting in postings if era in (posting.payer, posting.payee) and FEE not in posting.term.lower()]
    accounts = {(posting.contract, posting.term): ledger.minor_unit(posting.currency) for posting in own}
    held, most = Decimal(0), Decimal(0)
    for _, cycle in itertools.groupby(own, key=lambda posting: posting.interval):
        held += sum(posting.amount if posting.payee == era else -posting.amount for posting in cycle)
        most = max(most, held, key=abs)
    return most, sum(accounts.values(), Decimal(0)) / 2


def _posting_differences(run: Run) -> Iterator[Fault]:
    """Where the postings of the journal and of the table part."""
    told = (
        Posting(record["interval"], p["contract"], p["term"], p["from"], p["to"], Decimal(p["amount"]), p["currency"])
        for record in run.journal()
        if record["kind"] == "postings"
        for p in record["postings"]
    )
    for number, (in_journal, in_table) in enumerate(itertools.zip_longest(told, run.ledger)):
        if in_journal != in_table:
            yield Fault(f"posting {number}", f"the journal has {_told(in_journal)}, the table {_told(in_table)}")


def _told(posting: Posting | None) -> str:
    if posting is None:
        return "none"
    return f"{posting.amount.normalize():f} {posting.currency} from {posting.payer} to {posting.payee} ({posting.term})"


# --- market, contracts, messages --------------------------------------------------------------------------------------


def states(run: Run) -> Audit:
    """Contracts moved only as their life allows, and the set-points of the tables are those that were awarded."""
    turns = [record for record in run.journal() if record["kind"] == "state"]
    held = set(run.manifest["heldIntervals"])
    awards = [(i, award) for i, (_, answer) in run.clearings.items() if i not in held for award in _awards(answer)]
    contracts = len({record["contract"] for record in turns})
    checked = f"{len(turns)} transitions of {contracts} contracts; {len(awards):,} awards against their set-points"
    checked += f", without {len(held)} held intervals" if held else ""
    return Audit(checked, (*_turn_faults(turns), *_award_faults(run, awards)))


def _awards(answer: Record) -> list[Record]:
    setpoints: list[Record] = answer["message"]["aggregationResult"]["setpoints"]
    return setpoints


def _allowed_turns() -> Iterator[tuple[str, str]]:
    for status in Status:
        for turn in Turn:
            with contextlib.suppress(ContractError):
                yield status, transition("", status, turn)


def _turn_faults(turns: Iterable[Record]) -> Iterator[Fault]:
    allowed = set(_allowed_turns())
    status: dict[str, str] = {}
    for turn in turns:
        contract, before, after = turn["contract"], turn["from"], turn["to"]
        was = status.get(contract, Status.PENDING)
        if before != was:
            yield Fault(contract, f"is said to leave {before} at {turn['t']} s, and was {was}")
        elif (before, after) not in allowed:
            yield Fault(contract, f"went from {before} to {after} at {turn['t']} s, which no contract may")
        status[contract] = after


def _award_faults(run: Run, awards: Iterable[tuple[int, Record]]) -> Iterator[Fault]:
    told_kw = run.setpoints.set_index(["interval", "era"])["setpoint_kw"].to_dict()
    metered = set(run.participants["era"][run.participants["bus"] != ""])
    for interval, award in awards:
        era, awarded_kw = award["era"], award["setpointKW"]
        setpoint_kw = told_kw.get((interval, era))
        if setpoint_kw is None and era in metered:
            yield Fault(f"interval {interval} {era}", f"was awarded {awarded_kw:g} kW and has no set-point")
        elif setpoint_kw is not None and abs(setpoint_kw - awarded_kw) > tolerances.POWER_KW:
            yield Fault(
                f"interval {interval} {era}", f"was awarded {awarded_kw:g} kW; its set-point is {setpoint_kw:g} kW"
            )


def messages(run: Run) -> Audit:
    """Every message was answered ACK or NACK, every callback answers a request, and the manifest counts them right."""
    asked: set[tuple[str, str, str]] = set()
    counts: Counter[tuple[str, str]] = Counter()
    findings: list[Fault] = []
    for number, record in enumerate(run.messages(), start=1):
        context = record["body"]["context"]
        action, thread = context["action"], (context["transactionId"], context["messageId"])
        findings += _message_faults(number, record, (request_of(action), *thread) in asked)
        counts[action, record["ack"]] += 1
        if record["ack"] == "ACK":
            asked.add((action, *thread))
    findings += _count_faults(counts, run.manifest["messages"])
    refused = sum(count for (_, ack), count in counts.items() if ack == "NACK")
    return Audit(
        f"{counts.total():,} messages of {len({a for a, _ in counts})} actions, {refused} refused", tuple(findings)
    )


def request_of(action: str) -> str:
    """The action that a callback answers: ``catalog/publish`` for ``catalog/on_publish``; a request answers itself."""
    head, slash, tail = action.rpartition("/")
    return head + slash + tail.removeprefix("on_")


def _message_faults(number: int, record: Record, was_asked: bool) -> Iterator[Fault]:
    action = record["body"]["context"]["action"]
    where = f"message {record['seq']} ({action})"
    if record["seq"] != number:
        yield Fault(where, f"is number {number} in the journal")
    if record["ack"] not in ("ACK", "NACK"):
        yield Fault(where, f"was answered {record['ack']!r}, neither ACK nor NACK")
    if record["ack"] == "NACK" and "error" not in record:
        yield Fault(where, "was refused without a reason")
    if record["ack"] == "ACK" and is_callback(action) and action not in UNSOLICITED and not was_asked:
        yield Fault(where, f"answers no accepted {request_of(action)} of its message id")


def _count_faults(counts: Mapping[tuple[str, str], int], stated: Mapping[str, Mapping[str, int]]) -> Iterator[Fault]:
    for action in dict.fromkeys([*stated, *(action for action, _ in counts)]):
        found = {ack: counts.get((action, ack.upper()), 0) for ack in ("ack", "nack")}
        if found != stated.get(action):
            yield Fault(action, f"the manifest counts {stated.get(action)}, the journal {found}")


INVARIANTS = (
    Invariant("journal", "the journal is the one that was written, to the byte", journal_chain),
    Invariant("tables", "the tables are those that were written, to the byte", table_files),
    Invariant("energy", "wires, devices and meters agree in every interval", energy),
    Invariant("money", "nobody made or lost money, and the market kept its fee alone", money),
    Invariant("states", "contracts and set-points followed the rules", states),
    Invariant("messages", "every message was answered, and every answer asked for", messages),
)
"""Every invariant of a run, in the order of the report."""
