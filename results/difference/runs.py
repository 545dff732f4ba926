"""Two runs, compared."""

from __future__ import annotations

from collections.abc import Iterator

from results.difference.documents import by_path, echoes_of
from results.difference.messages import first_message, first_record
from results.difference.model import Differences, First, Side
from results.difference.pair import Pair
from results.difference.tables import first_rows
from results.difference.totals import moved
from results.run import MANIFEST, Record, Run
from sim.errors import Fault, RunError

_MADE = ("format", "degsim", "versions", "lockSha256")
"""What a manifest says of the program; all the rest follows from the scenario, or tells what came of it."""
_NEEDED = ("name", "seed", "start", "intervalS", "timeZone", "currency", "scenario")


def difference(one: Run, two: Run, tolerance: float = 0.0) -> Differences:
    """What sets two runs apart.

    tolerance: numbers nearer than this share of them, or than this, are the same; 0 asks for the same bits.  Journals with
    the same SHA-256 are not read.  Others are streamed until they part, so that memory stays that of the tables.

    Raises ``RunError`` for a run whose manifest, journal or tables cannot be read.
    """
    for run in (one, two):
        _require(run)
    sides = side(one), side(two)
    made = tuple(by_path(_made(one), _made(two)))
    if sides[0].head and sides[0].head == sides[1].head:
        return Differences(*sides, (), made)
    asked = tuple(by_path(one.manifest["scenario"], two.manifest["scenario"]))
    pair = Pair(one, two, tolerance, echoes_of(asked))
    firsts = tuple(_firsts(pair))
    totals = tuple(moved(pair))
    cut = pair.counts[0] != pair.counts[1]
    found = Differences(*sides, asked, made, *pair.only, firsts, totals, tuple(dict.fromkeys(_notes(pair))), cut)
    if found.alike and not tolerance and (record := first_record(pair)) is not None:
        return Differences(*sides, asked, made, firsts=(record,))
    return found


def side(run: Run) -> Side:
    """What is said of a run beside its difference to another one."""
    said = run.manifest
    return Side(
        path=str(run.path),
        name=str(said["name"]),
        policy=str(said.get("policy", "")),
        seed=int(said["seed"]),
        intervals=len(run.intervals),
        interval_min=run.hours * 60,
        start=run.calendar.start.isoformat(),
        currency=str(said["currency"]),
        complete=run.complete,
        head=str(said.get("journalHead") or "") if run.complete else "",
    )


def _made(run: Run) -> Record:
    return {key: run.manifest[key] for key in _MADE if key in run.manifest}


def _require(run: Run) -> None:
    missing = [Fault(f"{MANIFEST}/{name}", "is missing") for name in _NEEDED if name not in run.manifest]
    if missing:
        raise RunError(str(run.path), tuple(missing))


def _firsts(pair: Pair) -> Iterator[First]:
    message = first_message(pair)
    if message is not None:
        yield message
    if pair.has_intervals_in_common:
        yield from first_rows(pair)


def _notes(pair: Pair) -> Iterator[str]:
    """Why something was not set side by side, each in a sentence."""
    for run in (pair.one, pair.two):
        if not run.complete:
            whole = f"{len(run.intervals)} of {run.planned}"
            yield f"{run.path} was never finished: it is compared as far as it goes, {whole} intervals"
    ours, theirs = pair.counts
    if pair.one.hours != pair.two.hours:
        minutes = f"{pair.one.hours * 60:g} and {pair.two.hours * 60:g} min"
        yield f"intervals of {minutes}: prices, set-points, flows and postings belong to no interval of both and are left out"
    elif ours != theirs:
        shared = min(ours, theirs)
        yield (
            f"{ours} and {theirs} intervals: the first {shared} are compared, messages to the last of them; "
            "counts and metrics are of the whole runs"
        )
    if not pair.starts_together:
        starts = f"{pair.one.calendar.start.isoformat()} and {pair.two.calendar.start.isoformat()}"
        yield f"starts at {starts}: intervals are compared by number, times count from each run's own start"
    if not pair.same_currency:
        currencies = f"{pair.one.manifest['currency']} and {pair.two.manifest['currency']}"
        yield f"paid in {currencies}: money stands side by side and is never subtracted"
    if pair.echoes:
        said = ", ".join(f"{ours} and {theirs}" for ours, theirs in sorted(pair.echoes))
        yield f"that a message repeats the scenario's own words ({said}) does not make it differ"
    if any(pair.only):
        yield "messages from or to participants that only one run has are left out of the first message that differs"
