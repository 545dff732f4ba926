"""What the tables of a run hold: every column with its type, its unit and its meaning.

Powers are in kW: + is injection for participants, + is downstream (import) for nodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import pyarrow as pa
from numpy.typing import NDArray

from results.text import unit_in
from sim.errors import Fault, nearest

Column = Sequence[object] | NDArray[Any]
Rows = Mapping[str, Column]
"""Columns of a table by name, all of one length."""

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
                "adder_per_kwh",
                _FLOAT,
                _PRICE,
                "local price less the price above the node; signed, and 0 without prices",
                nullable=True,
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
            _column(
                "loading",
                _FLOAT,
                "1",
                "current as a share of the rated one; at the end and on the phase with most of it",
            ),
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
            _column(
                "loading", _FLOAT, "1", "current as a share of the rating; at the end and on the phase with most of it"
            ),
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
            _column("need_kwh", _FLOAT, "kWh", "energy asked for on arrival, in the battery"),
            _column(
                "served_kwh",
                _FLOAT,
                "kWh",
                "energy that came to be in the battery; the meter counts what charging loses, too",
            ),
            _column("unserved_kwh", _FLOAT, "kWh", "energy missing in the battery on departure"),
            _column("finished", _BOOL, "", "whether the departure lies within the run"),
        ),
        "flows": _table(
            "What crossed each element, by Ohm's law from the voltages; one row per interval and element, where there is a "
            "solution.  What enters at both ends together is lost in it.",
            _INTERVAL,
            _column("kind", _TEXT, "", "line, transformer or impedance"),
            _column("name", _TEXT, "", "name in the network"),
            _column("start", _TEXT, "", "bus at the start; empty for a node inside the element"),
            _column("end", _TEXT, "", "bus at the end; empty for a node inside the element"),
            _column("p_start_kw", _FLOAT, "kW", "power of all phases into the element at its start"),
            _column("q_start_kvar", _FLOAT, "kvar", "reactive power of all phases into the element at its start"),
            _column("p_end_kw", _FLOAT, "kW", "power of all phases into the element at its end"),
            _column("q_end_kvar", _FLOAT, "kvar", "reactive power of all phases into the element at its end"),
        ),
        "messages": _table(
            "What was said; one row per message, in the order of the journal.",
            _column("seq", _LONG, "", "number of the message in the journal, from 1"),
            _column(
                "interval",
                _INT,
                "",
                "market interval in which it was received; negative before the first, beyond the last when contracts end",
            ),
            _column("t_s", _LONG, "s", "simulated second in which it was received; 0 is the start of the run"),
            _column("action", _TEXT, "", "Beckn action"),
            _column("sender", _TEXT, "", "address of who sent it; ? where it does not say"),
            _column("receiver", _TEXT, "", "address of who received it; ? where it does not say"),
            _column("transaction_id", _TEXT, "", "transaction that it belongs to; empty where it does not say"),
            _column(
                "message_id", _TEXT, "", "what a request and its callback have in common; empty where it does not say"
            ),
            _column("ack", _BOOL, "", "whether it was taken; a refused one has no consequences"),
            _column("error", _TEXT, "", "code of the refusal, or of the failure that a callback reports; else empty"),
            _column("signed", _BOOL, "", "whether it came with a signature"),
            _column("offset", _LONG, "B", "where its line begins in the journal"),
        ),
        "contracts": _table(
            "What was agreed, and how it ended; one row per contract, in the order of their creation.",
            _column("contract", _TEXT, "", "id of the contract"),
            _column("template", _TEXT, "", "name of its terms; empty where the log does not say"),
            _column(
                "phase", _TEXT, "", "FORMING, CONFIRMED, ACTIVE, COMPLETED, CANCELLED or TERMINATED, at the run's end"
            ),
            _column("parties", _TEXT, "", "roles in order of being filled, as ROLE=address, separated by semicolons"),
            _column("currency", _TEXT, "ISO 4217", "currency of its amounts; empty where the log does not say"),
            _column("created", _TEXT, "RFC 3339", "local time at which it was drawn up"),
            _column("ended", _TEXT, "RFC 3339", "local time of its completion or termination; empty where it goes on"),
            _column("events", _INT, "", "events that the log has of it"),
        ),
        "findings": _table(
            "What the run itself found worth telling; an audit (degsim verify) looks further.  One row per finding.",
            _column("interval", _INT, "", "market interval; empty where it is of the whole run", nullable=True),
            _column("kind", _TEXT, "", "physics, policy, clearing, settlement, contract or messages"),
            _column("subject", _TEXT, "", "who or what it is about"),
            _column("what", _TEXT, "", "what was found"),
        ),
    }
)
"""The schema of every table of a run: columns in order, with ``unit`` and ``description`` as metadata of each."""

DERIVED = frozenset({"flows", "messages", "contracts", "findings"})
"""Tables that follow from the journal and the others; whoever has not got them can make them."""

RECORDED = tuple(name for name in TABLES if name not in DERIVED)
"""Tables that a world fills while it lives."""


def unit_of(table: str, column: str, currency: str) -> str:
    """The unit of a column in a run that is paid in this currency; empty for words and names, 1 for ratios."""
    unit: bytes = TABLES[table].field(column).metadata[b"unit"]
    return unit_in(unit.decode(), currency)


def arrow(name: str, given: Rows) -> tuple[pa.Table, list[Fault]]:
    """Rows as the table of this name, and every fault that keeps them from being it; without faults it is whole."""
    columns, faults = _columns(name, given)
    return (pa.table(columns, schema=TABLES[name]) if not faults else TABLES[name].empty_table()), faults


def _columns(name: str, given: Rows) -> tuple[dict[str, pa.Array], list[Fault]]:
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
