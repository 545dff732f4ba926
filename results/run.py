"""A run as a folder, and how it is read back.

Beside ``run.json``, the manifest, lie ``journal.jsonl`` (what happened, written by the world while it happened),
``witness.jsonl`` (what the witness of the contract log signed) and ``tables/*.parquet`` (the same run by the hour and the
node, for analysis; ``results.tables`` has their columns).  A run that was stopped has streams of rows in their place, and its
manifest says how many intervals are whole; it opens up to the last of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Self
from zoneinfo import ZoneInfo

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from results import derived
from results.files import stated
from results.manifest import faults as faults_of
from results.notebook import Table, as_table
from results.tables import DERIVED, TABLES, arrow
from sim.clock import Calendar
from sim.errors import Fault, RunError, nearest
from sim.ledger import Posting

FORMAT = 3
"""Version of the folder's layout.  Folders of 2 are finished or gone, and have no derived tables."""

DERIVED_SINCE = 3
"""The version from which on a finished run has the derived tables."""

READABLE = (2, FORMAT)
"""Versions that are read; every other one is refused."""

JOURNAL = "journal.jsonl"
WITNESS = "witness.jsonl"
MANIFEST = "run.json"

Record = dict[str, Any]
"""One line of the journal."""

_RECORD = frozenset({"kind"})
_MESSAGE = frozenset({"kind", "seq", "t", "action", "ack", "body"})


def table_path(folder: Path, name: str) -> Path:
    """Where a finished run keeps this table."""
    return folder / "tables" / f"{name}.parquet"


def stream_path(folder: Path, name: str) -> Path:
    """Where a run keeps the rows of this table until it is finished."""
    return folder / "tables" / f"{name}.arrows"


def read_stream(folder: Path, name: str) -> pa.Table:
    """What a run wrote of a table before it was finished, up to the last piece that is whole."""
    batches: list[pa.RecordBatch] = []
    try:
        with pa.memory_map(str(stream_path(folder, name))) as file, pa.ipc.open_stream(file) as stream:
            batches.extend(stream)  # keeps what came before a piece that is torn off
    except FileNotFoundError:
        pass  # no interval had a row of it
    except (pa.ArrowException, OSError):
        if not batches:
            return TABLES[name].empty_table()
    try:
        return pa.Table.from_batches(batches, TABLES[name])
    except pa.ArrowException:
        raise RunError(str(folder), (Fault(name, "columns are not those of this table"),)) from None


class _Frame:
    """A table as an attribute of a run: ``run.prices`` is ``run.table("prices")``."""

    def __set_name__(self, owner: type[Run], name: str) -> None:
        self._name = name

    def __get__(self, run: Run, owner: type[Run]) -> Table:
        return run.table(self._name)


class Run:
    """A run, read from its folder.  Tables are read when first asked for and kept; the journal is streamed.

    One that was stopped is as long as what it has of whole intervals.  Raises ``RunError`` for a folder that does not exist,
    is no run, has a format that is not read here, or no whole interval.
    """

    participants = _Frame()
    intervals = _Frame()
    prices = _Frame()
    nodes = _Frame()
    setpoints = _Frame()
    states = _Frame()
    voltages = _Frame()
    lines = _Frame()
    buses = _Frame()
    elements = _Frame()
    bounds = _Frame()
    postings = _Frame()
    sessions = _Frame()
    flows = _Frame()
    messages = _Frame()
    contracts = _Frame()
    findings = _Frame()

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.manifest: Mapping[str, Any] = _manifest(self.path)
        self._frames: dict[str, Table] = {}

    @classmethod
    def of(cls, path: Path, manifest: Mapping[str, Any]) -> Self:
        """The run in a folder as this manifest tells it, whatever the one that lies there says."""
        run = cls.__new__(cls)
        run.path, run.manifest, run._frames = path, manifest, {}
        return run

    def __repr__(self) -> str:
        said = self.manifest
        whole = f"{said['count']} intervals" if self.complete else f"{said['count']} of {self.planned} intervals"
        policy = f"policy {said['policy']}" if said["policy"] else "deals alone"
        return f"<run {said['name']}: {policy}, seed {said['seed']}, {whole}, in {self.path}>"

    @property
    def complete(self) -> bool:
        """Whether it came to its end; one that was stopped holds its whole intervals."""
        return bool(self.manifest["complete"])

    @property
    def planned(self) -> int:
        """Intervals that its scenario asks for."""
        return int(self.manifest.get("planned", self.manifest["count"]))

    def table(self, name: str) -> Table:
        """The table of this name, as pandas has it; shared between callers, so copy it before changing it.

        Raises ``RunError`` where there is no such table, its file is missing or damaged, or its columns are not those
        of ``TABLES``.
        """
        if name not in self._frames:
            # What draws the table must not hold the run: frames would go only when somebody collects garbage.
            calendar = partial(_calendar, self.path, self.manifest)
            self._frames[name] = as_table(self._read(name), name, self.manifest, calendar)
        return self._frames[name]

    def _read(self, name: str) -> pd.DataFrame:
        if name not in TABLES:
            raise RunError(str(self.path), f"no table {name}; {nearest(name, TABLES)}")
        if name in DERIVED and name not in self.manifest.get("tables", ()):
            table, faults = arrow(name, derived.table(self, name))
            if faults:
                raise RunError(str(self.path), tuple(faults))
        else:
            table = self._parquet(name) if self.complete else self._whole(name)
        if name == "intervals" and table.num_rows != self.manifest["count"]:
            what = f"has {table.num_rows} rows, and {MANIFEST} counts {self.manifest['count']} intervals"
            raise RunError(str(self.path), (Fault(name, what),))
        data: pd.DataFrame = table.to_pandas()
        return data

    def _parquet(self, name: str) -> pa.Table:
        try:
            table = pq.read_table(table_path(self.path, name))
        except FileNotFoundError:
            raise RunError(str(self.path), (Fault(name, "table is missing", "run the scenario again"),)) from None
        except (pa.ArrowException, OSError) as error:
            raise RunError(str(self.path), (Fault(name, f"cannot be read as Parquet: {error}"),)) from error
        if not table.schema.equals(TABLES[name]):
            raise RunError(
                str(self.path), (Fault(name, f"columns are {table.schema.names}, not {TABLES[name].names}"),)
            )
        return table

    def _whole(self, name: str) -> pa.Table:
        """The rows of whole intervals; what follows was being written when the run was stopped."""
        table = read_stream(self.path, name)
        written = self.manifest.get("rows", {}).get(name, 0)
        if table.num_rows < written:
            what = f"has {table.num_rows} of the {written} rows that were written: its file is damaged"
            raise RunError(str(self.path), (Fault(name, what, "run the scenario again"),))
        if "interval" not in table.column_names:
            return table
        return table.filter(pc.less(table["interval"], int(self.manifest["count"])))

    @cached_property
    def calendar(self) -> Calendar:
        """The run's intervals and their local times.  Raises ``RunError`` where the manifest does not tell them."""
        return _calendar(self.path, self.manifest)

    @cached_property
    def ledger(self) -> tuple[Posting, ...]:
        """The rows of ``postings`` as the ledger knows them."""
        return tuple(Posting(*row) for row in self.postings.itertuples(index=False, name=None))

    @cached_property
    def kinds(self) -> Mapping[str, str]:
        """Kind of each participant by its ERA."""
        return dict(zip(self.participants["era"], self.participants["kind"], strict=True))

    @property
    def hours(self) -> float:
        """Length of an interval in hours, to turn kW into kWh."""
        return float(self.manifest["intervalS"]) / 3600

    @cached_property
    def root(self) -> str:
        """The node where prices meet the upstream grid: priced, but no transformer.  Empty where nothing is priced."""
        transformers = set(self.nodes["node"])
        priced = list(dict.fromkeys(self.prices["node"]))
        return next((node for node in priced if node not in transformers), priced[0] if priced else "")

    @property
    def journal_path(self) -> Path:
        """The file of the journal."""
        return self.path / JOURNAL

    def journal(self) -> Iterator[Record]:
        """Every record of the journal in order.  Raises ``RunError`` for a missing file or a line that is not JSON."""
        decode = msgspec.json.Decoder(Record).decode
        for number, line in enumerate(self.journal_lines(), start=1):
            try:
                record = decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise RunError(str(self.path), (Fault(f"{JOURNAL}:{number}", f"is not a record: {error}"),)) from error
            lacks = sorted((_MESSAGE if record.get("kind") == "message" else _RECORD) - record.keys())
            if lacks:
                what = f"is not a record: it has no {', '.join(lacks)}"
                raise RunError(str(self.path), (Fault(f"{JOURNAL}:{number}", what),))
            yield record

    def journal_lines(self) -> Iterator[bytes]:
        """Every line of the journal as its bytes; of a run that was stopped, those of its whole intervals.

        Raises ``RunError`` for a missing file.
        """
        try:
            file = self.journal_path.open("rb")
        except FileNotFoundError:
            raise RunError(str(self.path), f"{JOURNAL} is missing") from None
        except OSError as error:
            raise RunError(str(self.path), f"{JOURNAL} cannot be read: {error.strerror}") from error
        with file:
            if self.complete:
                yield from file
                return
            left = int(self.manifest["journalBytes"])
            for line in file:
                left -= len(line)
                if left < 0:
                    return
                yield line

    def message_records(self, action: str | None = None) -> Iterator[Record]:
        """The journal's records of kind ``message``; with an action, only those of that action."""
        for record in self.journal():
            if record["kind"] == "message" and action in (None, record["action"]):
                yield record

    def aggregates(self) -> Iterator[tuple[Record, Record]]:
        """Each accepted ``aggregate`` body with the ``on_aggregate`` body that answers it, in order."""
        asked: dict[str, Record] = {}
        for record in self.message_records():
            body = record["body"]
            if record["action"] == "aggregate" and record["ack"] == "ACK":
                asked[body["context"]["messageId"]] = body
            elif record["action"] == "on_aggregate" and (named := _message_id(body)) in asked:
                yield asked.pop(named), body

    def clearing_problem(self, interval: int) -> tuple[Record, Record]:
        """The market problem of an interval and its result: the bodies of its last aggregate exchange.

        An interval is cleared again when the power flow breaks a limit; the last exchange is the one that was used.
        Raises ``RunError`` where the interval has none, as under a policy without a market.
        """
        if interval not in self.clearings:
            raise RunError(str(self.path), f"no aggregate message for interval {interval}")
        return self.clearings[interval]

    @cached_property
    def exchanges(self) -> Mapping[int, Sequence[tuple[Record, Record]]]:
        """All aggregate exchanges of every interval that has one, in order, by interval."""
        found: dict[int, list[tuple[Record, Record]]] = {}
        for ask, answer in self.aggregates():
            start_s = self.calendar.seconds(ask["message"]["aggregationRequest"]["timeWindow"]["start"])
            found.setdefault(start_s // self.calendar.interval_s, []).append((ask, answer))
        return found

    @cached_property
    def clearings(self) -> Mapping[int, tuple[Record, Record]]:
        """The last aggregate exchange of every interval that has one, by interval."""
        return {interval: rounds[-1] for interval, rounds in self.exchanges.items()}


def _message_id(body: Any) -> str:
    """The ``messageId`` of a message; empty where it has none, as what was refused may be anything."""
    context = body.get("context") if isinstance(body, dict) else None
    named = context.get("messageId") if isinstance(context, dict) else None
    return named if isinstance(named, str) else ""


def _calendar(folder: Path, manifest: Mapping[str, Any]) -> Calendar:
    try:
        start = datetime.fromisoformat(manifest["start"]).astimezone(ZoneInfo(manifest["timeZone"]))
        return Calendar(start, int(manifest["intervalS"]), int(manifest["count"]))
    except (LookupError, TypeError, ValueError, OSError) as error:
        what = f"start, timeZone, intervalS and count do not tell when the run was: {error!r}"
        raise RunError(str(folder), (Fault(MANIFEST, what),)) from error


def _manifest(folder: Path) -> Mapping[str, Any]:
    """What ``run.json`` says.  Of a run that was stopped, ``count`` is the number of whole intervals, ``planned`` of all."""
    said = stated(folder, MANIFEST, READABLE, "run")
    complete = said.get("complete") is True
    if not complete and not (_is_whole(said) and said["format"] >= DERIVED_SINCE):
        raise RunError(str(folder), f"{MANIFEST} does not say that the run is complete, or how much of it is whole")
    if faults := tuple(faults_of(said, complete=complete)):
        raise RunError(str(folder), faults)
    return said if complete else {**said, "complete": False, "planned": said["count"], "count": said["whole"]}


def _is_whole(said: Mapping[str, Any]) -> bool:
    whole, planned = said.get("whole"), said.get("count")
    return type(whole) is type(planned) is int and 0 < whole <= planned
