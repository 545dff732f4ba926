"""An audit of a finished run by somebody who believes none of it.

An invariant is a function ``(run) -> Audit``: what it looked at, and what it found.  ``INVARIANTS`` is the list; adding one
is adding a line.  Everything is recomputed from the folder: hashes from bytes, balances from postings, clearings from the
messages that asked for them.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pandas as pd

from results import derived
from results.audit import Audit
from results.bills import contracts_told, recomputed
from results.chain import events
from results.exchange import messages, signatures
from results.files import digest
from results.kirchhoff import kirchhoff
from results.run import DERIVED_SINCE, JOURNAL, Record, Run, table_path
from results.tables import DERIVED, RECORDED, TABLES
from sim import ledger, tolerances
from sim.contracts.contract import Status, Turn, transition
from sim.errors import ContractError, Fault, MessageError, RunError
from sim.ledger import Posting
from sim.market.certificate import CONDITIONS, Violation, certify
from sim.market.economics import broken
from sim.market.policies import POLICIES
from sim.market.problem import Clearing, Problem
from sim.market.wire_form import read_problem
from sim.wire.messages import is_callback

LISTED = 10
"""Findings of one invariant that the report spells out before it counts the rest."""

METER_WH = 1.0
"""How far a meter may have drifted from the delivered power since the run began [Wh]: a meter shows whole Wh."""

FEE = "fee"
"""The term that a market keeps; everything else it only passes on."""

STAND_IN = frozenset({"balance"})
"""What every clearing has to keep, whatever its policy promises, wherever anything could."""

TOLD = frozenset({*CONDITIONS, "rational"})
"""What can be seen from the messages of a clearing."""

WELFARE = 1e-6
"""Relative distance of two sums of welfare over the same set-points."""

# One flipped bit can rename a key or turn a number into another type and leave valid JSON behind.
_DAMAGE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)


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
    """Check every invariant.  One whose evidence cannot be read reports that as its finding; nothing is raised for it.

    Raises ``RunError`` for a run that was stopped: what it lacks proves nothing.
    """
    if not run.complete:
        what = f"was stopped after {run.calendar.count} of {run.planned} intervals; only a finished run is audited"
        raise RunError(str(run.path), what)
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
    except _DAMAGE as error:
        return Audit("could not be checked", (Fault(str(run.path), f"holds a damaged record: {error!r}"),))


def _audit_lines(name: str, audit: Audit) -> Iterator[str]:
    yield f"{'FAIL' if audit.findings else 'ok':<5}{name}: {audit.checked}"
    for finding in audit.findings[:LISTED]:
        yield f"       {finding}"
    if len(audit.findings) > LISTED:
        yield f"       and {len(audit.findings) - LISTED} more"


# --- journal and tables: the files are those that were written -------------------------------------------------------


def journal_chain(run: Run) -> Audit:
    """The journal has the length and hash that the manifest states, and each commit the hash of all before it."""
    size, sealed, whole = 0, set[int](), hashlib.sha256()
    broken: list[Fault] = []
    for number, line in enumerate(run.journal_lines(), start=1):
        commit = _commit(line)
        if commit is not None:
            sealed.add(commit["interval"])
            if commit["head"] != whole.hexdigest():
                broken.append(Fault(f"{JOURNAL}:{number}", "something before this commit is not what was committed"))
        whole.update(line)
        size += len(line)
    findings = [*broken[:1], *_whole_faults(run, size, whole.hexdigest()), *_manifest_faults(run)]
    missing = [interval for interval in range(run.manifest["count"]) if interval not in sealed]
    findings += [Fault(JOURNAL, f"has no commit for interval {interval}") for interval in missing]
    return Audit(f"{size:,} bytes under {len(sealed)} commits", tuple(findings))


def _manifest_faults(run: Run) -> Iterator[Fault]:
    """The manifest must tell of the scenario that the journal begins with."""
    first = next(iter(run.journal_lines()), b"{}")
    try:
        scenario = msgspec.json.decode(first, type=Record).get("scenario")
    except msgspec.DecodeError:
        return  # a damaged first line shows in the hashes
    if not isinstance(scenario, dict):
        return
    stated = {
        "scenario": scenario,
        "name": scenario["name"],
        "seed": scenario["seed"],
        "policy": (scenario.get("market") or {}).get("policy", ""),
        "timeZone": scenario["time_zone"],
        "intervalS": 60 * scenario["interval_min"],
        "currency": scenario["tariffs"]["currency"] if "tariffs" in scenario else scenario["currency"],
    }
    for key, value in stated.items():
        if run.manifest.get(key) != value:
            yield Fault(f"run.json/{key}", "is not what the journal's first record says")


def _commit(line: bytes) -> Record | None:
    """The record of a commit line; None for every other line, damaged ones included."""
    if b'"commit"' not in line:
        return None
    try:
        record = msgspec.json.decode(line, type=Record)
    except msgspec.DecodeError:
        return None
    return record if record.get("kind") == "commit" and {"interval", "head"} <= set(record) else None


def _whole_faults(run: Run, size: int, head: str) -> Iterator[Fault]:
    written = run.manifest["journalBytes"]
    if size != written:
        yield Fault(JOURNAL, f"has {size} bytes where {written} were written: the tail was cut or added to")
    elif head != run.manifest["journalHead"]:
        yield Fault(JOURNAL, f"has the hash {head[:12]}…, not the one of the manifest")


def table_files(run: Run) -> Audit:
    """Each table is there, with the hash and the number of rows that the manifest states."""
    names = _tables_of(run)
    return Audit(f"{len(names)} files against their hashes", tuple(_table_faults(run, names)))


def derived_tables(run: Run) -> Audit:
    """What can be made from the journal and the other tables is what is made from them now."""
    names = [name for name in _tables_of(run) if name in DERIVED]
    return Audit(f"{len(names)} tables made again from the journal and the others", tuple(_derived_faults(run, names)))


def _tables_of(run: Run) -> tuple[str, ...]:
    """Those that a run of its format has."""
    return tuple(TABLES) if run.manifest["format"] >= DERIVED_SINCE else RECORDED


def _derived_faults(run: Run, names: Sequence[str]) -> Iterator[Fault]:
    for name in names:
        if not derived.follows(run, name):
            yield Fault(name, "does not follow from the journal and the other tables")


def _table_faults(run: Run, names: Sequence[str]) -> Iterator[Fault]:
    for name in names:
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
    solved = run.intervals[run.intervals["status"] == "OK"].set_index("interval")
    drift_wh = _meter_drift_wh(run)
    told = [record for record in run.journal() if record["kind"] in ("flow", "reference")]
    findings = (
        *_unsolved_faults(run),
        *_flow_faults(run, [record for record in told if record["kind"] == "flow"]),
        *_balance_faults(run, solved),
        *_supply_faults(run, solved),
        *_island_faults(run),
        *_reference_faults(solved, {r["interval"]: r["gapPU"] for r in told if r["kind"] == "reference"}),
        *_meter_faults(drift_wh),
    )
    residual_w = solved["residual_kw"].abs().max() * 1000
    residual = f"largest residual {residual_w:.3g} W" if len(solved) else "no interval had a power flow"
    checked = (
        f"{len(run.intervals)} intervals, {len(solved)} solved, {residual}; "
        f"{solved['reference_gap_pu'].count()} compared with the reference; "
        f"{len(drift_wh)} meters, at most {drift_wh.max():.3g} Wh from what was delivered"
    )
    return Audit(checked, findings)


def _unsolved_faults(run: Run) -> Iterator[Fault]:
    for interval, status in zip(run.intervals["interval"], run.intervals["status"], strict=True):
        if status != "OK":
            yield Fault(f"interval {interval}", f"no power flow: {status}")


def _meter_faults(drift_wh: pd.Series[float]) -> Iterator[Fault]:
    for era, wh in drift_wh.items():
        if wh > METER_WH:
            yield Fault(str(era), f"meter and delivered power differ by {wh:.3g} Wh")


def _flow_faults(run: Run, flows: Sequence[Record]) -> Iterator[Fault]:
    """Where the journal's power flows differ from the tables."""
    told: dict[int, Any] = dict(zip(run.intervals["interval"], run.intervals.itertuples(), strict=True))
    for record in flows:
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


def _supply_faults(run: Run, solved: pd.DataFrame) -> Iterator[Fault]:
    """Where somebody was served without supply, or was not served with it, and sums of that which the table tells otherwise."""
    voltages = run.voltages[run.voltages["v_pu"].isna()].drop_duplicates(["interval", "bus"])
    rows = _connected(run).merge(run.participants[["era", "bus"]], on="era")
    rows = rows[rows["interval"].isin(solved.index)]
    keys = pd.MultiIndex.from_frame(rows[["interval", "bus"]])
    dark = keys.isin(pd.MultiIndex.from_frame(voltages[["interval", "bus"]]))
    served = rows["delivered_kw"].ne(0) | rows["q_kvar"].ne(0)
    for row in rows[dark & served].itertuples():
        where = f"interval {row.interval} {row.era}"
        yield Fault(
            where, f"delivered {row.delivered_kw:g} kW and {row.q_kvar:g} kvar at {row.bus}, which had no supply"
        )
    for row in rows[~dark & rows["unserved_kw"].ne(0)].itertuples():
        where = f"interval {row.interval} {row.era}"
        yield Fault(where, f"{row.unserved_kw:g} kW are said to be unserved at {row.bus}, which had supply")
    missing_kw = (-rows["unserved_kw"]).clip(lower=0).groupby(rows["interval"]).sum()
    sums_kwh = (missing_kw * run.hours).reindex(solved.index, fill_value=0.0)
    for interval, told, kwh in zip(solved.index, solved["unserved_kwh"], sums_kwh, strict=True):
        if not abs(told - kwh) <= tolerances.POWER_KW:
            yield Fault(f"interval {interval}", f"{told:g} kWh are said to be unserved; its participants miss {kwh:g}")


def _island_faults(run: Run) -> Iterator[Fault]:
    """Voltages at buses that no external grid supplies."""
    islands = run.buses.loc[run.buses["number"] < 0, ["edition", "bus"]]
    live = run.voltages[run.voltages["bus"].isin(islands["bus"]) & run.voltages["v_pu"].notna()]
    lit = live.merge(run.intervals[["interval", "edition"]], on="interval").merge(islands, on=["edition", "bus"])
    for row in lit.itertuples():
        yield Fault(f"interval {row.interval}", f"{row.bus} has {row.v_pu:g} pu, and nothing supplies it")


def _reference_faults(solved: pd.DataFrame, told: Mapping[int, float]) -> Iterator[Fault]:
    """Comparisons with the reference that are in journal or table alone, and those that came out badly."""
    gaps = solved["reference_gap_pu"].dropna()
    for interval in sorted({*gaps.index, *told}):
        if gaps.get(interval) != told.get(interval):
            what = f"the journal has {told.get(interval)} pu from the reference, the table {gaps.get(interval)}"
            yield Fault(f"interval {interval}", what)
    for interval, gap in gaps[gaps > tolerances.REFERENCE_PU].items():
        what = f"power flow and reference are {gap:.3g} pu apart, and at most {tolerances.REFERENCE_PU:g} is allowed"
        yield Fault(f"interval {interval}", what)


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
    kept = {era: _kept(era, postings) for era, kind in run.kinds.items() if kind == "market"}
    findings = (
        *(fault for posting in postings for fault in ledger.posting_faults(posting)),
        *(Fault(c, f"balances sum to {net}, not zero") for c, net in ledger.net_by_currency(positions).items() if net),
        *_posting_differences(run),
        *_position_faults(run, kept),
    )
    most = max((abs(held) for held, _ in kept.values()), default=Decimal(0))
    checked = f"{len(postings):,} postings of {len(positions)} parties; beside its fee the market keeps at most {most}"
    return Audit(checked, findings)


def bills(run: Run) -> Audit:
    """What members were billed follows from the terms they were told, the readings they were sent, and their awards."""
    posted: dict[str, list[Posting]] = {}
    for posting in run.ledger:
        posted.setdefault(posting.contract, []).append(posting)
    findings: list[Fault] = []
    contracts = again = 0
    for contract, expected in recomputed(run):
        contracts, again = contracts + 1, again + len(expected)
        findings += _bill_faults(contract, posted.get(contract, []), expected)
    return Audit(f"{again:,} of {len(run.ledger):,} postings computed again, of {contracts} contracts", tuple(findings))


def _bill_faults(contract: str, posted: Sequence[Posting], expected: Sequence[Posting]) -> Iterator[Fault]:
    there, due = Counter(posted), Counter(expected)
    for what, postings in (("is posted and not due", there - due), ("is due and not posted", due - there)):
        for p in postings.elements():
            where = f"{contract}, interval {p.interval}"
            yield Fault(where, f"{p.term} {p.amount} {p.currency} from {p.payer} to {p.payee} {what}")


def _position_faults(run: Run, kept: Mapping[str, tuple[Decimal, Decimal]]) -> Iterator[Fault]:
    for era, (held, bound) in kept.items():
        if abs(held) > bound and abs(held) > (widest := bound + _silent(run, era)):
            yield Fault(era, f"keeps {held} beside its fee, and rounding explains {widest.normalize():f}")


def _silent(run: Run, era: str) -> Decimal:
    """What rounding can explain of accounts that never came to a minor unit, so that nothing of them is posted."""
    posted = {(posting.contract, posting.term) for posting in run.ledger}
    half = ledger.minor_unit(run.manifest["currency"]) / 2
    return sum(
        (
            half
            for contract in contracts_told(run)
            for term in contract.terms
            if term.name != FEE
            and era in (contract.roles[term.payer], contract.roles[term.payee])
            and (contract.id, term.name) not in posted
        ),
        Decimal(0),
    )


def _kept(era: str, postings: tuple[Posting, ...]) -> tuple[Decimal, Decimal]:
    """What a market held at most beside its fee after any interval, and how much of it rounding can explain.

    Settlement rounds the running sum of each term of each contract, so each is at most half a minor unit away from what
    is exactly due.  The postings of an interval stand together, those of one that was read late after those of later ones.
    """
    own = [posting for posting in postings if era in (posting.payer, posting.payee) and posting.term != FEE]
    accounts = {(posting.contract, posting.term): ledger.minor_unit(posting.currency) for posting in own}
    held, most = Decimal(0), Decimal(0)
    for _, cycle in itertools.groupby(own, key=lambda posting: posting.interval):
        held += sum(posting.amount if posting.payee == era else -posting.amount for posting in cycle)
        most = max(most, held, key=abs)
    return most, sum(accounts.values(), Decimal(0)) / 2


def _posting_differences(run: Run) -> Iterator[Fault]:
    """Where the postings of the journal and of the table part."""
    told = (
        Posting(interval, p["contract"], p["term"], p["from"], p["to"], Decimal(p["amount"]), p["currency"])
        for record in run.journal()
        if record["kind"] == "postings"
        for p, interval in ((p, p.get("interval", record["interval"])) for p in record["postings"])
    )
    for number, (in_journal, in_table) in enumerate(itertools.zip_longest(told, run.ledger)):
        if in_journal != in_table:
            yield Fault(f"posting {number}", f"the journal has {_told(in_journal)}, the table {_told(in_table)}")


def _told(posting: Posting | None) -> str:
    if posting is None:
        return "none"
    return f"{posting.amount.normalize():f} {posting.currency} from {posting.payer} to {posting.payee} ({posting.term})"


# --- market, contracts, messages --------------------------------------------------------------------------------------


def certificates(run: Run) -> Audit:
    """Every clearing certified again from the message that asked for it: as published, and as the run's policy promises.

    A clearing of another policy stands in where the run's own failed, at limits that perhaps nothing keeps: it has to balance.
    """
    findings: list[Fault] = []
    clearings = promised = 0
    for ask, answer in run.aggregates():
        result = answer["message"]["aggregationResult"]
        start = ask["message"]["aggregationRequest"]["timeWindow"]["start"]
        promises = _promises(result["policy"], run.manifest["policy"])
        findings += _certificate_faults(f"clearing of {start}", ask, result, promises)
        clearings, promised = clearings + 1, promised + len(promises)
    findings += _published_faults(run)
    return Audit(f"{clearings} clearings certified again; {promised} promised conditions", tuple(findings))


def _promises(policy: str, own: str) -> frozenset[str]:
    """What has to hold in a clearing of this policy, in a run whose own policy is the other one."""
    return POLICIES[own].promises & TOLD if policy == own and own in POLICIES else STAND_IN


def _certificate_faults(where: str, ask: Record, result: Record, promises: frozenset[str]) -> Iterator[Fault]:
    try:
        problem = read_problem(ask, where)
        clearing = clearing_of(problem, result)
    except MessageError as error:
        yield Fault(where, str(error))
        return
    certificate = certify(problem, clearing)
    found = certificate.violations
    published = [(told["condition"], told["who"]) for told in result["certificate"]["violations"]]
    if [(violation.condition, violation.who) for violation in found] != published:
        yield Fault(where, f"breaks {_broken(found)}; its certificate says otherwise ({len(published)} violations)")
    due = promises if promises != STAND_IN or _can_balance(problem) else frozenset[str]()
    for violation in broken(problem, clearing, due, certificate):
        what = f"{clearing.policy} has to keep {violation.condition}: {violation.who} {violation.what}"
        yield Fault(where, what)
    welfare = problem.welfare(np.array(list(clearing.setpoint_kw.values()), dtype=float))
    if not abs(welfare - clearing.welfare) <= WELFARE * max(1.0, abs(welfare)):
        yield Fault(where, f"states a welfare of {clearing.welfare:g}, and {welfare:g} follows from its set-points")


def _can_balance(problem: Problem) -> bool:
    """Whether any set-points within the curves sum to zero; without a retailer's there may be none."""
    return bool(
        problem.stack.min_kw.sum() <= tolerances.POWER_KW and problem.stack.max_kw.sum() >= -tolerances.POWER_KW
    )


def _published_faults(run: Run) -> Iterator[Fault]:
    """Where the tables differ from the prices and verdicts that the market published, if it did; a missing adder is none."""
    prices, intervals = run.prices.fillna({"adder_per_kwh": 0.0}), run.intervals
    price = prices.set_index(["interval", "node"])["price_per_kwh"].to_dict()
    adder = prices.set_index(["interval", "node"])["adder_per_kwh"].to_dict()
    violations = intervals.set_index("interval")["violations"].to_dict()
    unpublished = set(intervals["interval"][intervals["policy"] == ""])
    unpublished -= _awarded(run) if unpublished & run.clearings.keys() else set()
    for interval, (_, answer) in run.clearings.items():
        if interval in unpublished:
            continue
        result = answer["message"]["aggregationResult"]
        for node in result["gridNodes"]:
            key = interval, node["era"]
            told = node.get("locationalPrice"), node["locationalPriceAdder"]
            tabled = price.get(key, math.nan), adder.get(key, math.nan)
            if _differ(told[0], tabled[0]) or _differ(told[1], tabled[1]):
                yield Fault(f"interval {interval} {node['era']}", f"price and adder are {told}; the table has {tabled}")
        found = len(result["certificate"]["violations"])
        if violations.get(interval) != found:
            what = f"its certificate has {found} violations; the table has {violations.get(interval)}"
            yield Fault(f"interval {interval}", what)


def _awarded(run: Run) -> set[int]:
    """Intervals whose outcome a market told anybody; it stays its own where the energy could not be locked."""
    return {
        run.calendar.seconds(attributes["timeWindow"]["start"]) // run.calendar.interval_s
        for record in run.message_records("on_confirm")
        if run.kinds.get(record["body"]["context"]["bppId"]) == "market"
        for attributes in (record["body"]["message"].get("contract", {}).get("contractAttributes", {}),)
        if "inputSignals" in attributes
    }


def _differ(told: float | None, tabled: float) -> bool:
    return not math.isnan(tabled) if told is None else not abs(told - tabled) <= tolerances.PRICE_PER_KWH


def _broken(found: Sequence[Violation]) -> str:
    return ", ".join(f"{violation.condition} ({violation.who})" for violation in found[:3]) or "nothing"


def clearing_of(problem: Problem, result: Record) -> Clearing:
    """The clearing that an ``aggregationResult`` publishes, for the problem it answers.

    A participant or node that it leaves out has NaN, which no certificate passes.
    """
    awards = {award["era"]: award for award in result["setpoints"]}
    nodes = {node["era"]: node for node in result["gridNodes"]}
    linear = {limit["id"]: limit for limit in result.get("linearLimits", [])}
    eras, names = [offer.era for offer in problem.offers], problem.tree.names
    return Clearing(
        policy=result["policy"],
        price_per_kwh={name: nodes.get(name, {}).get("locationalPrice") for name in names},
        adder_per_kwh={name: nodes.get(name, {}).get("locationalPriceAdder", math.nan) for name in names},
        setpoint_kw={era: awards.get(era, {}).get("setpointKW", math.nan) for era in eras},
        participant_price={era: awards.get(era, {}).get("price") for era in eras},
        offset_kw={era: award["offsetKW"] for era, award in awards.items() if "offsetKW" in award},
        curtailed_kw={era: award["curtailedKW"] for era, award in awards.items() if "curtailedKW" in award},
        flow_kw={name: nodes.get(name, {}).get("flowKW", math.nan) for name in names},
        binding={name: nodes.get(name, {}).get("binding") for name in names},
        quantity_kw=result["clearingQuantityKW"],
        welfare=result["welfare"],
        linear_price={limit.name: linear.get(limit.name, {}).get("price", math.nan) for limit in problem.linear},
        linear_value={limit.name: linear.get(limit.name, {}).get("value", math.nan) for limit in problem.linear},
    )


def states(run: Run) -> Audit:
    """Contracts moved only as their life allows; participants were told what was cleared, and that is in the tables."""
    statuses: dict[str, str] = {}
    steps: list[tuple[str, str, str, Fault]] = []
    unheard: dict[str, set[str]] = {}
    awards: list[tuple[int, str, Record]] = []
    turns = 0
    for record in run.journal():
        for contract, before, after in _turns(record):
            was = statuses.get(contract, Status.PENDING)
            turns += was != after
            where = f"{contract} at {record['t']} s"
            steps += [(contract, was, after, fault) for fault in _turn_faults(where, was, before or was, after)]
            statuses[contract] = after
        for contract, status in _told_status(record, "NACK"):
            unheard.setdefault(contract, set()).add(status)
        awards += _awards(run, record)
    findings = [fault for contract, was, after, fault in steps if not _passes(was, after, unheard.get(contract, set()))]
    findings += _award_faults(run, awards)
    return Audit(f"{turns} transitions of {len(statuses)} contracts; {len(awards):,} awards", tuple(findings))


def _turns(record: Record) -> Iterator[tuple[str, str | None, str]]:
    """Contract, status before where the record says so, and status after: as recorded, or as a callback tells it."""
    if record["kind"] == "state":
        yield record["contract"], record["from"], record["to"]
    for contract, status in _told_status(record, "ACK"):
        yield contract, None, status


def _told_status(record: Record, ack: str) -> Iterator[tuple[str, str]]:
    """Contract and the status that a callback tells of it, if it was answered like this."""
    if record["kind"] == "message" and record["ack"] == ack and is_callback(record["action"]):
        body = record["body"]
        contract = body["message"].get("contract", {}) if isinstance(body, dict) else {}
        status = contract.get("contractAttributes", {}).get("status")
        if status is not None and "id" in contract:
            yield contract["id"], status


def _passes(before: str, after: str, unheard: set[str]) -> bool:
    """Whether a contract may have gone by a status that was told and refused, as when the word came too late."""
    return any((before, between) in _ALLOWED and (between, after) in _ALLOWED for between in unheard)


def _allowed_turns() -> Iterator[tuple[str, str]]:
    for status in Status:
        yield status, status
        for turn in Turn:
            with contextlib.suppress(ContractError):
                yield status, transition("", status, turn)


_ALLOWED = frozenset(_allowed_turns())


def _turn_faults(where: str, was: str, before: str, after: str) -> Iterator[Fault]:
    if before != was:
        yield Fault(where, f"is said to leave {before}, and was {was}")
    elif (before, after) not in _ALLOWED:
        yield Fault(where, f"went from {before} to {after}, which no contract may")


def _awards(run: Run, record: Record) -> Iterator[tuple[int, str, Record]]:
    """Interval, addressee and price signal of an award that was received."""
    if record["kind"] != "message" or record["ack"] != "ACK":
        return
    context, contract = record["body"]["context"], record["body"]["message"].get("contract", {})
    attributes = contract.get("contractAttributes", {})
    if context["action"] == "on_confirm" and "inputSignals" in attributes:
        interval = run.calendar.seconds(attributes["timeWindow"]["start"]) // run.calendar.interval_s
        yield interval, context["bapId"], attributes["inputSignals"][0]


def _award_faults(run: Run, awards: Iterable[tuple[int, str, Record]]) -> Iterator[Fault]:
    setpoints = run.setpoints.set_index(["interval", "era"])["setpoint_kw"].to_dict()
    cleared = {
        (interval, award["era"]): award["setpointKW"]
        for interval, (_, answer) in run.clearings.items()
        for award in answer["message"]["aggregationResult"]["setpoints"]
    }
    for interval, era, signal in awards:
        told_kw = signal["clearedPowerKW"]
        # What an aggregator's member is awarded was not cleared by the market itself.
        cleared_kw = cleared.get((interval, era), told_kw)
        for p_kw, where in ((cleared_kw, "cleared"), (setpoints.get((interval, era), math.nan), "in the table")):
            if not abs(p_kw - told_kw) <= tolerances.POWER_KW:
                yield Fault(f"interval {interval} {era}", f"was awarded {told_kw:g} kW; {p_kw:g} kW is {where}")


INVARIANTS = (
    Invariant("journal", "the journal is the one that was written, to the byte", journal_chain),
    Invariant("tables", "the tables are those that were written, to the byte", table_files),
    Invariant("energy", "wires, devices and meters agree in every interval", energy),
    Invariant("kirchhoff", "currents sum to zero at every node, and all flows follow from the voltages", kirchhoff),
    Invariant("money", "nobody made or lost money, and the market kept its fee alone", money),
    Invariant("bills", "every member was billed what its contract, its meter and its awards say", bills),
    Invariant("certificates", "every clearing keeps what its policy promises", certificates),
    Invariant("states", "contracts and set-points followed the rules", states),
    Invariant("events", "every contract event follows from those before it, signed, sealed and witnessed", events),
    Invariant("messages", "every message was answered, and every answer asked for", messages),
    Invariant("signatures", "every message was signed by its sender, where the scenario signs", signatures),
    Invariant(
        "derived",
        "flows, messages, contracts and findings follow from the rest",
        derived_tables,
    ),
)
"""Every invariant of a run, in the order of the report."""
