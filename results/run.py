"""A finished run as a folder: what its tables hold, how they are written, how they are read back.

``run.json`` is written last and in one step, so a folder is a finished run exactly when it has one that says
``"complete": true``.  Beside it lie ``journal.jsonl`` (what happened, written by the world while it happened),
``witness.jsonl`` (what the witness of the contract log signed) and ``tables/*.parquet`` (the same run by the hour and the
node, for analysis).

Powers are in kW: + is injection for participants, + is downstream (import) for nodes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sim.clock import Calendar
from sim.errors import Fault, RunError, nearest
from sim.ledger import Posting

FORMAT = 2
"""Version of the folder's layout; a reader refuses every other one."""

JOURNAL = "journal.jsonl"
WITNESS = "witness.jsonl"
MANIFEST = "run.json"

Column = Sequence[object] | NDArray[Any]
Record = dict[str, Any]
"""One line of the journal."""

ADMITTANCES = ("y_ss", "y_se", "y_es", "y_ee")
"""Terminal admittances of an element; each is two columns of its table."""

_INT, _LONG, _FLOAT, _TEXT, _BOOL = pa.int32(), pa.int64(), pa.float64(), pa.string(), pa.bool_()
_MONEY = pa.decimal128(18, 4)
_PRICE = "currency/kWh"


def _column(name: str, kind: pa.DataType, unit: str, description: str, nullable: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"unit": unit, "description": description})


def _table(description: str, *columns: pa.Field) -> pa.Schema:
    return pa.schema(columns, metadata={"description": description})


_INTERVAL = _column("interval", _INT, "", "number of the market interval, from 0")
_ERA = _column("era", _TEXT, "", "address of the participant")
_BUS = _column("bus", _TEXT, "", "bus of the feeder")
_EDITION = _column("edition", _INT, "", "topology of the feeder, counted from 0; another one after every switching")
_NODE = _column("node", _TEXT, "", "transformer, or the name of the root where prices meet the upstream grid")

TABLES: Mapping[str, pa.Schema] = MappingProxyType(
    {
        "participants": _table(
            "Who took part; one row each.",
            _ERA,
            _column("kind", _TEXT, "", "household, solar, battery, ev, aggregator, retailer ..."),
            _column("site", _TEXT, "", "connection point shared by the devices behind one meter; empty without one"),
            _column("bus", _TEXT, "", "bus of the feeder; empty for parties without a connection"),
            _column("phase", _TEXT, "", "phase of the connection; empty where it takes all of them alike"),
            _column("node", _TEXT, "", "transformer that feeds the bus; empty without one"),
            _column("host", _TEXT, "", "participant that speaks for this one; empty where it speaks for itself"),
        ),
        "intervals": _table(
            "The market and the feeder as a whole; one row per interval.",
            _INTERVAL,
            _column("start", _TEXT, "RFC 3339", "local start of the interval with its offset"),
            _column("status", _TEXT, "", "OK, or PHYSICS_FAILED where the power flow found no solution"),
            _column("edition", _INT, "", "topology of the feeder that the interval was solved on"),
            _column("policy", _TEXT, "", "clearing policy whose result was used"),
            _column("fallback", _BOOL, "", "whether the policy failed and its stand-in was used"),
            _column("rounds", _INT, "", "clearings that it took; 1 where the wires agreed to the first, 0 without one"),
            _column("quantity_kw", _FLOAT, "kW", "power traded in the clearing"),
            _column("welfare", _FLOAT, "currency/h", "surplus of all offers at the cleared quantities"),
            _column("certified", _BOOL, "", "whether every promise of the policy was found kept"),
            _column("violations", _INT, "", "promises found broken"),
            _column("slack_kw", _FLOAT, "kW", "power drawn from the upstream grid (+ = import)"),
            _column("losses_kw", _FLOAT, "kW", "losses in lines and transformers"),
            _column("residual_kw", _FLOAT, "kW", "slack + injections - losses; 0 where the power flow balances"),
            _column("unserved_kwh", _FLOAT, "kWh", "demand at buses without supply, positive"),
            _column(
                "reference_gap_pu",
                _FLOAT,
                "1",
                "largest voltage difference to the reference power flow; empty where none was made",
                nullable=True,
            ),
            _column("rent", _FLOAT, "currency", "congestion rent of the interval, without what losses bring"),
            _column("loss_surplus", _FLOAT, "currency", "what prices of marginal losses bring beyond the rent"),
            _column("import_price", _FLOAT, _PRICE, "what the retailer charges", nullable=True),
            _column("export_price", _FLOAT, _PRICE, "what the retailer pays", nullable=True),
        ),
        "prices": _table(
            "What a kWh was worth where; one row per interval and node.",
            _INTERVAL,
            _NODE,
            _column(
                "price_per_kwh", _FLOAT, _PRICE, "price at the node; empty where the policy has none", nullable=True
            ),
            _column(
                "adder_per_kwh", _FLOAT, _PRICE, "local price less the price above the node; signed", nullable=True
            ),
        ),
        "nodes": _table(
            "What crossed each transformer; one row per interval and node.  Flows: + = downstream (import).",
            _INTERVAL,
            _NODE,
            _column("market_flow_kw", _FLOAT, "kW", "flow the clearing planned"),
            _column(
                "assessed_kw",
                _FLOAT,
                "kW",
                "flow at the lower end that the power flow gave for the clearing before it was published",
                nullable=True,
            ),
            _column("wire_lv_kw", _FLOAT, "kW", "flow of the power flow, at the low-voltage side"),
            _column("wire_lv_kvar", _FLOAT, "kvar", "reactive flow of the power flow, at the low-voltage side"),
            _column("wire_hv_kw", _FLOAT, "kW", "flow of the power flow, at the high-voltage side"),
            _column("loading", _FLOAT, "1", "apparent power as a share of the rating"),
            _column("import_limit_kw", _FLOAT, "kW", "limit the market used, downstream; infinite without one"),
            _column("export_limit_kw", _FLOAT, "kW", "limit the market used, upstream; infinite without one"),
            _column(
                "rated_import_kw",
                _FLOAT,
                "kW",
                "low-voltage flow at the full limit, downstream: a share of the rating, without a margin",
            ),
            _column(
                "rated_export_kw",
                _FLOAT,
                "kW",
                "low-voltage flow at the full limit, upstream: a share of the rating, without a margin",
            ),
            _column("binding", _TEXT, "", "FORWARD, REVERSE or empty: the limit that held the clearing"),
        ),
        "setpoints": _table(
            "What was awarded and what was delivered; one row per interval and participant.  Powers: + = injection.",
            _INTERVAL,
            _ERA,
            _column("setpoint_kw", _FLOAT, "kW", "power awarded by the market"),
            _column("price_per_kwh", _FLOAT, _PRICE, "price at the participant's node", nullable=True),
            _column("offset_kw", _FLOAT, "kW", "departure from the share that the price alone would give"),
            _column(
                "curtailed_kw",
                _FLOAT,
                "kW",
                "award less the nearest power of its own curve: + = a withdrawal was cut, - = an injection",
            ),
            _column("delivered_kw", _FLOAT, "kW", "mean power that really flowed"),
            _column("q_kvar", _FLOAT, "kvar", "mean reactive power that really flowed, + into the grid"),
            _column(
                "unserved_kw",
                _FLOAT,
                "kW",
                "power that would have flowed if the bus had had supply; - is unserved demand",
            ),
            _column("energy_wh", _LONG, "Wh", "metered energy of the interval"),
            _column("available_kw", _FLOAT, "kW", "power the device could have injected"),
        ),
        "states": _table(
            "Charge of batteries and vehicles; one row per interval and device.",
            _INTERVAL,
            _ERA,
            _column("soc", _FLOAT, "1", "state of charge at the interval's end, 0..1; NaN while a vehicle is away"),
        ),
        "voltages": _table(
            "Voltage of each bus; one row per interval, bus and phase.",
            _INTERVAL,
            _BUS,
            _column("phase", _TEXT, "", "phase; empty where all are alike"),
            _column("v_pu", _FLOAT, "1", "voltage magnitude per unit of the nominal; NaN without supply"),
            _column("v_degree", _FLOAT, "degree", "voltage angle; NaN without supply"),
        ),
        "lines": _table(
            "Loading of each line; one row per interval and line.",
            _INTERVAL,
            _column("line", _TEXT, "", "line of the feeder"),
            _column("loading", _FLOAT, "1", "current as a share of the rating"),
        ),
        "buses": _table(
            "The feeder's buses; one row per edition of its topology and bus.",
            _EDITION,
            _BUS,
            _column(
                "number", _INT, "", "electrical node; buses that closed switches join have the same; -1 without supply"
            ),
            _column("nominal_kv", _FLOAT, "kV", "nominal voltage between phases"),
            _column("slack", _BOOL, "", "whether an external grid holds the voltage here"),
            _column("node", _TEXT, "", "transformer or limited line that feeds the bus; empty above all of them"),
            _column(
                "x", _FLOAT, "", "place in the plane of the network's own map; empty where it has none", nullable=True
            ),
            _column(
                "y", _FLOAT, "", "place in the plane of the network's own map; empty where it has none", nullable=True
            ),
        ),
        "elements": _table(
            "What connects electrical nodes; one row per edition, element and sequence system.  Currents count into the "
            "element: start = y_ss v_start + y_se v_end, end = y_es v_start + y_ee v_end, all per unit.",
            _EDITION,
            _column("kind", _TEXT, "", "line, transformer, impedance, shunt or ward"),
            _column("name", _TEXT, "", "name in the network"),
            _column("start", _TEXT, "", "bus at the start; empty for a node inside the element"),
            _column("end", _TEXT, "", "bus at the end; empty for a node inside the element, a shunt and a ward"),
            _column("start_number", _INT, "", "electrical node at the start"),
            _column("end_number", _INT, "", "electrical node at the end; -1 for a shunt or a ward"),
            _column("sequence", _INT, "", "1 in a balanced feeder; 0, 1 and 2 in an unbalanced one"),
            *(
                _column(f"{y}_{part}", _FLOAT, "1", f"{what} the admittance {y} on base_kva")
                for y in ADMITTANCES
                for part, what in (("re", "real part of"), ("im", "imaginary part of"))
            ),
            _column("p_kw", _FLOAT, "kW", "constant power withdrawn at the start, of all phases; 0 but for a ward"),
            _column("q_kvar", _FLOAT, "kvar", "constant reactive power withdrawn at the start; 0 but for a ward"),
            _column("rated_kva", _FLOAT, "kVA", "apparent power it may carry; infinite without a rating"),
            _column("base_kva", _FLOAT, "kVA", "what 1 per unit is worth; of each phase in an unbalanced feeder"),
        ),
        "bounds": _table(
            "Limits of the market beside those of nodes, such as voltages; one row per interval and bound.",
            _INTERVAL,
            _column("bound", _TEXT, "", "name of the bound"),
            _column("value", _FLOAT, "of the bound", "what the clearing made of it"),
            _column("most", _FLOAT, "of the bound", "what it may be at most"),
            _column(
                "price_per_unit", _FLOAT, "currency/h", "what another unit would be worth; 0 where it does not bind"
            ),
        ),
        "postings": _table(
            "Who owes whom; one row per posting, in the order of the journal.",
            _INTERVAL,
            _column("contract", _TEXT, "", "contract that computed the amount"),
            _column("term", _TEXT, "", "term of the contract"),
            _column("payer", _TEXT, "", "address of who pays"),
            _column("payee", _TEXT, "", "address of who receives"),
            _column("amount", _MONEY, "currency", "amount, positive, rounded to the currency's minor unit"),
            _column("currency", _TEXT, "ISO 4217", "currency of the amount"),
        ),
        "sessions": _table(
            "Visits of electric vehicles; one row per visit.",
            _ERA,
            _column("arrival_s", _LONG, "s", "simulated second of arrival"),
            _column("departure_s", _LONG, "s", "simulated second of departure"),
            _column("need_kwh", _FLOAT, "kWh", "energy asked for on arrival"),
            _column("served_kwh", _FLOAT, "kWh", "energy received"),
            _column("unserved_kwh", _FLOAT, "kWh", "energy missing on departure"),
            _column("finished", _BOOL, "", "whether the departure lies within the run"),
        ),
    }
)
"""The schema of every table of a run: columns in order, with ``unit`` and ``description`` as metadata of each."""


def write(folder: Path, manifest: Mapping[str, Any], tables: Mapping[str, Mapping[str, Column]]) -> None:
    """Finish a run: its tables, then its manifest, which makes the folder complete.

    manifest: everything of ``run.json`` but ``format``, ``tables`` and ``complete``, which are added here.
    tables: columns by name for each table of ``TABLES``; a nullable column takes None or NaN as empty.
    The bytes of a table depend on its content alone.  Raises ``RunError`` naming each table and column that does not
    fit its schema; nothing is written then.
    """
    frames = _checked(folder, tables)
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    # Whoever overwrites a run must not leave the old manifest vouching for new tables.
    (folder / MANIFEST).unlink(missing_ok=True)
    entries = {name: _write_table(table_path(folder, name), frame) for name, frame in frames.items()}
    complete = {"format": FORMAT, **manifest, "tables": entries, "complete": True}
    write_at_once(
        folder / MANIFEST, json.dumps(complete, indent=2, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    )


def table_path(folder: Path, name: str) -> Path:
    """Where a run folder keeps this table."""
    return folder / "tables" / f"{name}.parquet"


def digest(path: Path) -> str:
    """SHA-256 of a file's bytes as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checked(folder: Path, tables: Mapping[str, Mapping[str, Column]]) -> dict[str, pa.Table]:
    faults = [Fault(name, f"is not a table of a run; {nearest(name, TABLES)}") for name in tables if name not in TABLES]
    faults += [Fault(name, "table is missing") for name in TABLES if name not in tables]
    frames = {}
    for name in (name for name in TABLES if name in tables):
        columns, found = _columns(name, tables[name])
        faults += found
        if not found:
            frames[name] = pa.table(columns, schema=TABLES[name])
    if faults:
        raise RunError(str(folder), tuple(faults))
    return frames


def _columns(name: str, given: Mapping[str, Column]) -> tuple[dict[str, pa.Array], list[Fault]]:
    schema = TABLES[name]
    faults = [
        Fault(f"{name}/{key}", f"unknown column; {nearest(key, schema.names)}")
        for key in given
        if key not in schema.names
    ]
    columns: dict[str, pa.Array] = {}
    for field in schema:
        where = f"{name}/{field.name}"
        if field.name not in given:
            faults.append(Fault(where, "column is missing"))
            continue
        try:
            columns[field.name] = _array(field, given[field.name])
        except (pa.ArrowException, TypeError, ValueError) as error:
            faults.append(Fault(where, f"does not hold {field.type}: {error}"))
    lengths = {key: len(column) for key, column in columns.items()}
    if len(set(lengths.values())) > 1:
        faults.append(Fault(name, f"columns differ in length: {lengths}"))
    return columns, faults


def _array(field: pa.Field, values: Column) -> pa.Array:
    array = pa.array(values, type=field.type, from_pandas=field.nullable)
    if array.null_count and not field.nullable:
        raise ValueError(f"{array.null_count} empty values in a column that allows none")
    return array


def _write_table(path: Path, frame: pa.Table) -> dict[str, Any]:
    pq.write_table(frame, path, compression="zstd")
    return {"rows": frame.num_rows, "sha256": digest(path)}


def write_at_once(path: Path, content: bytes) -> None:
    """Write under another name and rename, so that no reader ever sees half of it, and that several may write at once."""
    draft = path.with_suffix(f".{os.getpid()}{DRAFT}")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException as error:
        draft.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # that a disk is full is said without a name
        raise


DRAFT = ".tmp"
"""How the names of files end that are being written, or that nobody came to finish."""


class _Frame:
    """A table as an attribute of a run: ``run.prices`` is ``run.table("prices")``."""

    def __set_name__(self, owner: type[Run], name: str) -> None:
        self._name = name

    def __get__(self, run: Run, owner: type[Run]) -> pd.DataFrame:
        return run.table(self._name)


class Run:
    """A finished run, read from its folder.  Tables are read when first asked for and kept; the journal is streamed.

    Raises ``RunError`` for a folder that does not exist, was never finished, or has another format.
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

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.manifest: Mapping[str, Any] = finished(self.path, MANIFEST, FORMAT, "run")
        self._frames: dict[str, pd.DataFrame] = {}

    def table(self, name: str) -> pd.DataFrame:
        """The table of this name; shared between callers, so copy it before changing it.

        Raises ``RunError`` where there is no such table, its file is missing or damaged, or its columns are not those
        of ``TABLES``.
        """
        if name not in self._frames:
            self._frames[name] = self._read(name)
        return self._frames[name]

    def _read(self, name: str) -> pd.DataFrame:
        if name not in TABLES:
            raise RunError(str(self.path), f"no table {name}; {nearest(name, TABLES)}")
        path = table_path(self.path, name)
        try:
            frame = pq.read_table(path)
        except FileNotFoundError:
            raise RunError(str(self.path), (Fault(name, "table is missing", "run the scenario again"),)) from None
        except (pa.ArrowException, OSError) as error:
            raise RunError(str(self.path), (Fault(name, f"cannot be read as Parquet: {error}"),)) from error
        if not frame.schema.equals(TABLES[name]):
            raise RunError(
                str(self.path), (Fault(name, f"columns are {frame.schema.names}, not {TABLES[name].names}"),)
            )
        data: pd.DataFrame = frame.to_pandas()
        return data

    @cached_property
    def calendar(self) -> Calendar:
        """The run's intervals and their local times.  Raises ``RunError`` where the manifest does not tell them."""
        try:
            start = datetime.fromisoformat(self.manifest["start"]).astimezone(ZoneInfo(self.manifest["timeZone"]))
            return Calendar(start, int(self.manifest["intervalS"]), int(self.manifest["count"]))
        except (LookupError, TypeError, ValueError, OSError) as error:
            what = f"start, timeZone, intervalS and count do not tell when the run was: {error!r}"
            raise RunError(str(self.path), (Fault(MANIFEST, what),)) from error

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
            if "kind" not in record:
                raise RunError(str(self.path), (Fault(f"{JOURNAL}:{number}", "is not a record: it has no kind"),))
            yield record

    def journal_lines(self) -> Iterator[bytes]:
        """Every line of the journal as its bytes.  Raises ``RunError`` for a missing file."""
        try:
            file = self.journal_path.open("rb")
        except FileNotFoundError:
            raise RunError(str(self.path), f"{JOURNAL} is missing") from None
        with file:
            yield from file

    def message_records(self, action: str | None = None) -> Iterator[Record]:
        """The journal's records of kind ``message``; with an action, only those of that action."""
        for record in self.journal():
            if record["kind"] == "message" and action in (None, record.get("action")):
                yield record

    def aggregates(self) -> Iterator[tuple[Record, Record]]:
        """Each accepted ``aggregate`` body with the ``on_aggregate`` body that answers it, in order."""
        asked: dict[str, Record] = {}
        for record in self.message_records():
            body, context = record["body"], record["body"]["context"]
            if context["action"] == "aggregate" and record["ack"] == "ACK":
                asked[context["messageId"]] = body
            elif context["action"] == "on_aggregate" and context["messageId"] in asked:
                yield asked.pop(context["messageId"]), body

    def clearing_problem(self, interval: int) -> tuple[Record, Record]:
        """The market problem of an interval and its result: the bodies of its last aggregate exchange.

        An interval is cleared again when the power flow breaks a limit; the last exchange is the one that was used.
        Raises ``RunError`` where the interval has none, as under a policy without a market.
        """
        if interval not in self.clearings:
            raise RunError(str(self.path), f"no aggregate message for interval {interval}")
        return self.clearings[interval]

    @cached_property
    def clearings(self) -> Mapping[int, tuple[Record, Record]]:
        """The last aggregate exchange of every interval that has one, by interval."""
        exchanges = {
            self.calendar.seconds(ask["message"]["aggregationRequest"]["timeWindow"]["start"]): (ask, answer)
            for ask, answer in self.aggregates()
        }
        return {second // self.calendar.interval_s: exchange for second, exchange in exchanges.items()}


def finished(folder: Path, manifest: str, version: int, what: str) -> dict[str, Any]:
    """What the manifest of a folder says, which makes it a finished ``what`` of this version of its format.

    Raises ``RunError`` where it is none.
    """
    source = str(folder)
    if not folder.is_dir():
        raise RunError(source, "there is no such folder")
    try:
        said = json.loads((folder / manifest).read_bytes())
    except FileNotFoundError:
        raise RunError(source, f"has no {manifest}: the {what} never finished, or this is no {what} folder") from None
    except ValueError as error:
        raise RunError(source, f"{manifest} is not JSON: {error}") from error
    if not isinstance(said, dict):
        raise RunError(source, f"{manifest} is not an object")
    if said.get("format") != version:
        raise RunError(source, f"{manifest} has format {said.get('format')!r}, and this version reads {version}")
    if said.get("complete") is not True:
        raise RunError(source, f"{manifest} does not say that the {what} is complete")
    return said
