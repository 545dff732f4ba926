"""A small finished run, made without a world: a day of two streets in eight intervals, cleared by the real market.

                        ┌── tx-1: house-1, solar-1, ev-1
    retailer ── grid ───┤
                        └── tx-2: house-2, ev-2, battery-2

tx-1 is small: its export limit holds at noon, its import limit in the evening.  A transformer takes 0.05 kW idle, it and the
cables to the sites have impedances, and houses take a little more or less than they said, and reactive power.  A test that wants a run with something wrong
passes ``edit``, which may change any record or column before the journal is sealed and the tables are hashed.
"""

from __future__ import annotations

import cmath
import functools
import itertools
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from results.exchange import REQUESTS
from results.run import JOURNAL, WITNESS, Run
from results.tables import RECORDED, TABLES
from results.writing import Draft as WrittenDraft
from results.writing import write
from sim.clock import Calendar, local_start
from sim.contracts.contract import Contract, Line, Settlement
from sim.events import Actor, EventLog, EventType
from sim.journal import Journal
from sim.ledger import Posting
from sim.market.policies import POLICIES
from sim.market.wire_form import clear_message
from sim.rng import identifier
from sim.trust.signature import derive
from sim.trust.witness import Witness, introduction
from sim.wire.codec import body_digest
from sim.wire.core import ErrorBody

Record = dict[str, Any]

SITES = {
    "house-1": ("household", "tx-1"),
    "solar-1": ("solar", "tx-1"),
    "ev-1": ("ev", "tx-1"),
    "house-2": ("household", "tx-2"),
    "ev-2": ("ev", "tx-2"),
    "battery-2": ("battery", "tx-2"),
}
OFFICES = {"retailer": "retailer", "market": "market", "grid-operator": "utility", "treasury": "government"}
RATED_KVA = {"tx-1": 16.0, "tx-2": 25.0}
BASE_KVA = 100.0
IDLE_PU = 0.05 / BASE_KVA
TRANSFORMER_PU = 0.04 + 0.08j
CABLE_PU = 0.01 + 0.005j
HOUSE_Q = 0.1
MARGIN = 0.98
IMPORT_PRICE, EXPORT_PRICE = 0.30, 0.06
CAPACITY_KWH = {"ev-1": 80.0, "ev-2": 50.0, "battery-2": 15.0}
START_SOC = {"ev-1": 0.1, "ev-2": 0.5, "battery-2": 0.4}
ARRIVAL_S = 17 * 3600
TARGET_SOC = 0.9


@dataclass
class Draft:
    """Everything of a run before it is sealed; ``journal`` holds records, its commits without a head."""

    manifest: Record
    journal: list[Record] = field(default_factory=list)
    tables: dict[str, dict[str, list[Any]]] = field(
        default_factory=lambda: {
            name: {column: [] for column in schema.names} for name, schema in TABLES.items() if name in RECORDED
        }
    )

    def row(self, table: str, *values: object) -> None:
        for column, value in zip(self.tables[table].values(), values, strict=True):
            column.append(value)

    def records(self, kind: str, action: str | None = None) -> list[Record]:
        found = [record for record in self.journal if record["kind"] == kind]
        return [item for item in found if action in (None, item.get("body", {}).get("context", {}).get("action"))]


Edit = Callable[[Draft], None]


def write_run(folder: Path, edit: Edit | None = None, count: int = 8) -> Path:
    """A finished run in ``folder``, after ``edit`` has had its way with the draft."""
    draft = _Day(count).draft()
    if edit is not None:
        edit(draft)
    seal(folder, draft)
    return folder


def seal(folder: Path, draft: Draft) -> None:
    """Write a draft as it is, with a journal and tables that match their hashes."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / JOURNAL).open("wb") as sink:
        journal = Journal(sink)
        asked: dict[tuple[str, ...], str] = {}
        history = _History(journal, draft.manifest["start"])
        for record in draft.journal:
            if record["kind"] == "seal":
                history.seal(record["interval"])
            else:
                _append(journal, record, asked)
            if record["kind"] == "postings":
                history.post(record["interval"], record["postings"])
    (folder / WITNESS).write_bytes(history.witness.testimony)
    head = msgspec.to_builtins(history.witness.seals[-1].head) if history.witness.seals else None
    sealed = {"journalHead": journal.head, "journalBytes": journal.size, "contractLog": head}
    write(folder, {"messages": _counts(draft), **draft.manifest, **sealed}, draft.tables)


class _History:
    """What a host would have put on record of the postings, as they are when the run is sealed."""

    def __init__(self, journal: Journal, start: str) -> None:
        keeper = derive(7, "grid-operator")
        self.journal = journal
        self.log = EventLog(keeper, functools.partial(derive, 7), lambda: start)
        self.witness = Witness(derive(7, "treasury"), keeper)
        self.begun: set[str] = set()

    def post(self, interval: int, postings: list[Record]) -> None:
        for contract, told in itertools.groupby(postings, key=lambda posting: posting["contract"]):
            if contract not in self.begun:
                for event_type in (EventType.CONTRACT_CREATED, EventType.CONFIRMED, EventType.ACTIVATED):
                    self._write(contract, event_type, {})
                self.begun.add(contract)
            rows = [(p["term"], p["from"], p["to"], p["amount"], p["currency"]) for p in told]
            self._write(contract, EventType.SETTLEMENT_COMPUTED, {"cycle": str(interval), "postings": rows})

    def _write(self, contract: str, event_type: EventType, facts: Record) -> None:
        self.log.append(contract, event_type, Actor("market", "HOST"), facts)

    def seal(self, interval: int) -> None:
        head, signature = self.log.head(interval)
        seal = self.witness.cosign(head, signature, self.log.proof(self.witness.seen))
        for era in ("grid-operator", "treasury", "market") if interval == 0 else ():
            self.journal.record("signer", **introduction(derive(7, era)))
        for event in self.log.drain():
            self.journal.record("event", event=msgspec.Raw(event.raw))
        self.journal.record("seal", seal=seal)


def _append(journal: Journal, record: Record, asked: dict[tuple[str, ...], str]) -> None:
    """asked: digests of the requests so far, which their answers name unless they name another already."""
    if record["kind"] == "commit":
        journal.commit(record["interval"])
    elif record["kind"] == "message":
        context, error = record["body"]["context"], record.get("error")
        thread = (context["transactionId"], context["messageId"])
        if (REQUESTS.get(context["action"], ""), *thread) in asked:
            context.setdefault("requestDigest", {"digest": asked[REQUESTS[context["action"]], *thread]})
        raw = msgspec.json.encode(record["body"])
        asked[context["action"], *thread] = body_digest(raw)
        journal.message(
            record["t"], context["action"], raw, None if error is None else ErrorBody(**error), record.get("signature")
        )
    else:
        journal.record(**record)


def _counts(draft: Draft) -> dict[str, dict[str, int]]:
    messages = draft.records("message")
    seen = Counter((record["body"]["context"]["action"], "error" in record) for record in messages)
    actions = dict.fromkeys(action for action, _ in seen)
    return {action: {"ack": seen[action, False], "nack": seen[action, True]} for action in actions}


class _Day:
    """Plays the day interval by interval and writes down what happens."""

    def __init__(self, count: int) -> None:
        self.start = local_start(datetime(2025, 6, 3), "Europe/Berlin")
        self.calendar = Calendar(self.start, 24 * 3600 // count, count)
        self.hours = 24 / count
        self.soc = dict(START_SOC)
        self.registers_wh: dict[str, float] = {}
        self.settlement = Settlement()
        self.made = Draft(self._manifest())

    def _manifest(self) -> Record:
        return {
            "degsim": "0.1.0",
            "scenario": {"name": "two-streets"},
            "name": "two-streets",
            "policy": "locational",
            "seed": 7,
            "start": self.start.isoformat(),
            "intervalS": self.calendar.interval_s,
            "count": self.calendar.count,
            "timeZone": "Europe/Berlin",
            "currency": "EUR",
            "versions": {},
            "lockSha256": "0" * 64,
            "durations": {"power flow": 3.0, "market": 1.5, "messages": 0.5},
            "heldIntervals": [],
        }

    def draft(self) -> Draft:
        self.made.journal.append({"kind": "run", "scenario": "two-streets", "seed": 7, "policy": "locational"})
        for era, (kind, node) in SITES.items():
            self.made.row("participants", era, kind, f"site-{era}", f"bus-{era}", "", node, "")
            self._message(-600, "init", era, "init")
            self._message(-590, "on_init", era, "init", self._contract(era, "PENDING"))
        for era, kind in OFFICES.items():
            self.made.row("participants", era, kind, "", "", "", "", "")
        self._message(-400, "confirm", "stranger", "confirm", refused=True)
        self._feeder()
        for interval in range(self.calendar.count):
            self._play(interval)
        for era in SITES:
            self._message(self.calendar.duration_s, "on_update", era, "end", self._contract(era, "COMPLETED"))
        self.made.journal.append({"kind": "commit", "interval": self.calendar.count})
        self._sessions()
        return self.made

    def _feeder(self) -> None:
        row, eras = self.made.row, {node: [e for e, (_, n) in SITES.items() if n == node] for node in RATED_KVA}
        row("buses", 0, "bus-grid", 0, 20.0, True, "", 0.0, 0.0)
        for street, (node, rated) in enumerate(RATED_KVA.items()):
            number = 1 + 4 * street
            row("buses", 0, f"bus-{node}", number, 0.4, False, node, 1.0, 1.0 - 2 * street)
            self._element("transformer", node, ("bus-grid", 0), (f"bus-{node}", number), TRANSFORMER_PU, rated)
            row(
                "elements",
                0,
                "shunt",
                f"idle-{node}",
                "bus-grid",
                "",
                0,
                -1,
                1,
                IDLE_PU,
                *[0.0] * 9,
                math.inf,
                BASE_KVA,
            )
            for place, era in enumerate(eras[node], start=1):
                row("buses", 0, f"bus-{era}", number + place, 0.4, False, node, 1.0 + place, 1.0 - 2 * street)
                ends = (f"bus-{node}", number), (f"bus-{era}", number + place)
                self._element("line", f"line-{era}", *ends, CABLE_PU, 20.0)

    def _element(
        self, kind: str, name: str, start: tuple[str, int], end: tuple[str, int], z_pu: complex, rated: float
    ) -> None:
        y = 1 / z_pu
        parts = [part for value in (y, -y, -y, y) for part in (value.real, value.imag)]
        self.made.row(
            "elements", 0, kind, name, start[0], end[0], start[1], end[1], 1, *parts, 0.0, 0.0, rated, BASE_KVA
        )  # fmt: skip

    def _play(self, interval: int) -> None:
        start_s, gate = self.calendar.interval(interval).start_s, f"gate-{interval}"
        request = self._request(interval)
        offering = [item["era"] for item in request["participants"] if item["era"] in SITES]
        for era in offering:
            self._message(start_s - 300, "confirm", era, f"confirm-{interval}")
        result = clear_aggregate(request)
        self._message(start_s - 60, "aggregate", "market", gate, {"aggregationRequest": request})
        self._message(start_s - 59, "on_aggregate", "market", gate, {"aggregationResult": result})
        awards = {award["era"]: award for award in result["setpoints"]}
        for era in offering:
            self._message(start_s - 30, "on_confirm", era, f"confirm-{interval}", self._award(interval, awards[era]))
        delivered_kw = {era: award["setpointKW"] * self._obedience(interval, era) for era, award in awards.items()}
        flow, v_pu = _flow(interval, {era: delivered_kw[era] for era in awards if era in SITES})
        self.made.journal.append(flow)
        for era in offering:
            self._message(start_s + self.calendar.interval_s, "on_status", era, f"status-{interval}")
        rent = self._settle(interval, awards, delivered_kw)
        self._tables(interval, request, result, delivered_kw, flow, v_pu, rent)
        self.made.journal += [{"kind": "seal", "interval": interval}, {"kind": "commit", "interval": interval}]

    def _obedience(self, interval: int, era: str) -> float:
        """Delivered power as a share of the awarded: houses stray by up to 6 %."""
        return 1 + 0.06 * math.sin(1.7 * interval + 10 + int(era[-1])) if "house" in era else 1.0

    def _request(self, interval: int) -> Record:
        window = self.calendar.interval(interval)
        hour = self.calendar.minute_of_day(window.start_s) / 60 + self.hours / 2
        curves = {"retailer": retail_curve(), **dict(self._curves(hour))}
        nodes = [{"era": "grid", "gridConstraints": {}}]
        for name, rated in RATED_KVA.items():
            limit = MARGIN * rated
            limits = {"maxForwardFlowKW": limit, "maxReverseFlowKW": limit}
            nodes.append({"era": name, "gridNode": "grid", "gridConstraints": limits})
        return {
            "aggregationType": "MARKET_CLEARING",
            "timeWindow": self._window(interval),
            "participants": [
                {"era": era, "gridNode": SITES[era][1] if era in SITES else "grid", "offerCurve": curve}
                for era, curve in curves.items()
            ],
            "gridNodes": nodes,
        }

    def _curves(self, hour: float) -> Iterator[tuple[str, Record]]:
        yield "house-1", fixed_curve(-house_kw(hour))
        yield "house-2", fixed_curve(-0.8 * house_kw(hour))
        if (sun := sun_kw(hour)) > 0:
            yield "solar-1", curve("STEP", (0.0, 0.0), (0.0, sun))
        room_kw, charge_kw = self._room_kw("battery-2", 1.0, 5.0), -self._room_kw("battery-2", 0.0, -5.0)
        yield "battery-2", curve("STEP", (0.1, -room_kw), (0.1, 0.0), (0.28, 0.0), (0.28, charge_kw))
        if hour * 3600 >= ARRIVAL_S:
            need_kw = self._room_kw("ev-1", TARGET_SOC, 11.0)
            yield "ev-1", curve("LINEAR", (0.10, -need_kw), (0.60, -0.3 * need_kw), (0.60, 0.0))
            yield "ev-2", curve("STEP", (0.34, -self._room_kw("ev-2", TARGET_SOC, 11.0)), (0.34, 0.0))

    def _room_kw(self, era: str, soc: float, most_kw: float) -> float:
        """Charging power (− = discharging) that leads to a state of charge within the interval, up to ``most_kw``."""
        p_kw = (soc - self.soc[era]) * CAPACITY_KWH[era] / self.hours
        return min(max(p_kw, 0.0), most_kw) if most_kw > 0 else max(min(p_kw, 0.0), most_kw)

    def _settle(self, interval: int, awards: Mapping[str, Record], delivered_kw: Mapping[str, float]) -> float:
        """Post what the interval adds; the congestion rent is what the market is left with before it is passed on."""
        postings: list[Posting] = []
        rent = Decimal(0)
        for era, award in awards.items():
            energy, strayed = self._kwh(award["setpointKW"]), self._kwh(delivered_kw[era] - award["setpointKW"])
            worth = energy * _exact(award.get("price", 0.0))
            rent -= worth
            lines = [Line("energy", "market", era, worth)]
            if era in SITES:
                drawn = max(-energy, Decimal(0))
                lines += [
                    Line("wheeling", era, "grid-operator", drawn * Decimal("0.03")),
                    Line("fee", era, "market", abs(energy) * Decimal("0.004")),
                    Line("tax", era, "treasury", drawn * Decimal("0.02")),
                    Line("deviation", era, "grid-operator", abs(strayed) * Decimal("0.05")),
                ]
            postings += self._post(interval, f"contract-{era}", lines)
        postings += self._post(interval, "contract-rent", [Line("congestion rent", "market", "grid-operator", rent)])
        self.made.journal.append(
            {"kind": "postings", "interval": interval, "postings": [_as_json(p) for p in postings]}
        )
        for p in postings:
            self.made.row("postings", interval, p.contract, p.term, p.payer, p.payee, p.amount, p.currency)
        return float(rent)

    def _kwh(self, p_kw: float) -> Decimal:
        return _exact(p_kw) * _exact(self.hours)

    def _post(self, interval: int, ident: str, lines: list[Line]) -> tuple[Posting, ...]:
        contract = Contract(ident, "made by hand", "EUR", {}, (), {})
        self.settlement.accrue(contract, lines)
        return self.settlement.post(interval, contract)

    def _tables(
        self,
        interval: int,
        request: Record,
        result: Record,
        delivered_kw: Mapping[str, float],
        flow: Record,
        v_pu: Mapping[str, complex],
        rent: float,
    ) -> None:
        row, start_s = self.made.row, self.calendar.interval(interval).start_s
        row(
            "intervals", interval, self.calendar.timestamp(start_s), "OK", 0, "locational", False, 1,
            result["clearingQuantityKW"], result["welfare"], True, 0,
            flow["slackKW"], flow["lossesKW"], flow["residualKW"], 0.0, None, rent, 0.0, IMPORT_PRICE, EXPORT_PRICE,
        )  # fmt: skip
        for node in result["gridNodes"]:
            row("prices", interval, node["era"], node.get("locationalPrice"), node["locationalPriceAdder"])
            if node["era"] in RATED_KVA:
                self._node_row(interval, node, flow["branches"][node["era"]])
        available = {
            item["era"]: item["offerCurve"]["maxExport"] for item in request["participants"] if item["era"] in SITES
        }
        for award in result["setpoints"]:
            if award["era"] in SITES:
                self._setpoint_row(interval, award, delivered_kw[award["era"]], available[award["era"]])
        for era, soc in self.soc.items():
            away = era.startswith("ev") and start_s < ARRIVAL_S
            row("states", interval, era, math.nan if away else soc)
        for bus, v in v_pu.items():
            row("voltages", interval, bus, "", abs(v), math.degrees(cmath.phase(v)))
        for era, (_, node) in SITES.items():
            current_pu = (v_pu[f"bus-{era}"] - v_pu[f"bus-{node}"]) / CABLE_PU
            row("lines", interval, f"line-{era}", abs(current_pu) * BASE_KVA / 20)

    def _node_row(self, interval: int, node: Record, branch: Record) -> None:
        rated, limit = RATED_KVA[node["era"]], MARGIN * RATED_KVA[node["era"]]
        self.made.row(
            "nodes", interval, node["era"], node["flowKW"], None, branch["lvKW"], branch["lvKVAR"], branch["hvKW"],
            branch["loading"],
            limit, limit, rated - 0.05 - TRANSFORMER_PU.real / BASE_KVA * rated**2, rated, node["binding"] or "",
        )  # fmt: skip

    def _setpoint_row(self, interval: int, award: Record, delivered_kw: float, available_kw: float) -> None:
        era = award["era"]
        if era in self.soc:
            self.soc[era] = min(1.0, max(0.0, self.soc[era] - delivered_kw * self.hours / CAPACITY_KWH[era]))
        self.made.row(
            "setpoints", interval, era, award["setpointKW"], award.get("price"), award.get("offsetKW", 0.0),
            award.get("curtailedKW", 0.0), delivered_kw, house_kvar(era, delivered_kw), 0.0,
            self._metered_wh(era, delivered_kw), available_kw,
        )  # fmt: skip

    def _metered_wh(self, era: str, delivered_kw: float) -> int:
        """What the register, which shows whole Wh, advances by."""
        before_wh = self.registers_wh.get(era, 0.0)
        self.registers_wh[era] = before_wh + delivered_kw * self.hours * 1000
        return round(self.registers_wh[era]) - round(before_wh)

    def _sessions(self) -> None:
        setpoints = self.made.tables["setpoints"]
        metered = list(zip(setpoints["era"], setpoints["energy_wh"], strict=True))
        for era in ("ev-1", "ev-2"):
            need_kwh = (TARGET_SOC - START_SOC[era]) * CAPACITY_KWH[era]
            served_kwh = sum(-wh / 1000 for who, wh in metered if who == era)
            missing_kwh = max(0.0, need_kwh - served_kwh)
            self.made.row("sessions", era, ARRIVAL_S, self.calendar.duration_s, need_kwh, served_kwh, missing_kwh, True)

    def _award(self, interval: int, award: Record) -> Record:
        signal = {"signalId": "market-clearing-price", "clearedPowerKW": award["setpointKW"], "price": award["price"]}
        content = self._contract(award["era"], "ACTIVE")
        content["contract"]["contractAttributes"] |= {"timeWindow": self._window(interval), "inputSignals": [signal]}
        return content

    def _contract(self, era: str, status: str) -> Record:
        return {"contract": {"id": f"contract-{era}", "contractAttributes": {"status": status}}}

    def _window(self, interval: int) -> Record:
        window = self.calendar.interval(interval)
        return {
            "start": self.calendar.timestamp(window.start_s),
            "end": self.calendar.timestamp(window.end_s),
        }

    def _message(
        self, seconds: int, action: str, era: str, key: str, content: Record | None = None, refused: bool = False
    ) -> None:
        context = {
            "version": "2.0.0",
            "action": action,
            "bapId": era,
            "bppId": "market",
            "transactionId": identifier(7, era),
            "messageId": identifier(7, era, key),
            "timestamp": self.calendar.timestamp(seconds),
            "ttl": "PT30S",
        }
        body = {"context": context, "message": content or {"contract": {"id": f"contract-{era}"}}}
        record: Record = {"kind": "message", "t": seconds, "body": body}
        if refused:
            record["error"] = {"errorCode": "NET_ENTITY_NOT_FOUND", "errorMessage": "who is that?"}
        self.made.journal.append(record)


def clear_aggregate(request: Record) -> Record:
    """The market's answer to an aggregation request, as it would travel."""
    answer: Any = clear_message({"aggregationRequest": request}, POLICIES["locational"], "small run")
    return json.loads(json.dumps(answer["aggregationResult"]))  # type: ignore[no-any-return]


def house_kw(hour: float) -> float:
    """Demand of a house: a small peak in the morning and a large one in the evening."""
    return 1.0 + 1.2 * math.exp(-(((hour - 7.5) / 1.5) ** 2)) + 8.5 * math.exp(-(((hour - 19.5) / 2.2) ** 2))


def sun_kw(hour: float) -> float:
    """What the panels could give."""
    return 20.0 * max(0.0, math.sin(math.pi * (hour - 6) / 14)) ** 1.5 if 6 < hour < 20 else 0.0


def retail_curve() -> Record:
    """Buys at the export price, sells at the import price, as much as anyone wants."""
    points = ((EXPORT_PRICE, -200.0), (EXPORT_PRICE, 0.0), (IMPORT_PRICE, 0.0), (IMPORT_PRICE, 200.0))
    return curve("STEP", *points)


def fixed_curve(p_kw: float) -> Record:
    """The same power at every price."""
    return curve("STEP", (0.0, p_kw))


def curve(interpolation: str, *points: tuple[float, float]) -> Record:
    """An offer curve as it stands on the wire."""
    powers = [p_kw for _, p_kw in points]
    return {
        "currency": "EUR",
        "minExport": min(powers),
        "maxExport": max(powers),
        "interpolation": interpolation,
        "curve": [{"price": price, "powerKW": p_kw} for price, p_kw in points],
    }


def house_kvar(era: str, p_kw: float) -> float:
    """Houses take reactive power with their active power; nobody else does."""
    return HOUSE_Q * p_kw if "house" in era else 0.0


def _flow(interval: int, delivered_kw: Mapping[str, float]) -> tuple[Record, dict[str, complex]]:
    """The feeder's answer, and the voltages: currents and voltages in turn until both stand still."""
    s_pu = {era: complex(kw, house_kvar(era, kw)) / BASE_KVA for era, kw in delivered_kw.items()}
    v = dict.fromkeys(["bus-grid", *(f"bus-{name}" for name in (*RATED_KVA, *SITES))], 1 + 0j)
    up_pu = dict.fromkeys(RATED_KVA, 0j)
    for _ in range(60):
        i_pu = {era: (s_pu.get(era, 0j) / v[f"bus-{era}"]).conjugate() for era in SITES}
        up_pu = {name: sum(i for era, i in i_pu.items() if SITES[era][1] == name) for name in RATED_KVA}
        v |= {f"bus-{name}": 1 + TRANSFORMER_PU * i for name, i in up_pu.items()}
        v |= {f"bus-{era}": v[f"bus-{SITES[era][1]}"] + CABLE_PU * i for era, i in i_pu.items()}
    branches = {}
    for name, rated in RATED_KVA.items():
        hv, lv = -up_pu[name].conjugate() * BASE_KVA, -v[f"bus-{name}"] * up_pu[name].conjugate() * BASE_KVA
        branches[name] = {"hvKW": hv.real, "lvKW": lv.real, "lvKVAR": lv.imag, "loading": abs(hv) / rated}
    slack_kw = sum(branch["hvKW"] + IDLE_PU * BASE_KVA for branch in branches.values())
    heat_pu = sum(TRANSFORMER_PU.real * abs(i) ** 2 for i in up_pu.values())
    heat_pu += sum(CABLE_PU.real * abs(i) ** 2 for i in i_pu.values())
    losses_kw = (heat_pu + 2 * IDLE_PU) * BASE_KVA
    record = {
        "kind": "flow", "interval": interval, "converged": True, "note": "", "slackKW": slack_kw,
        "lossesKW": losses_kw, "residualKW": slack_kw + sum(delivered_kw.values()) - losses_kw, "branches": branches,
    }  # fmt: skip
    return record, v


def _exact(value: float) -> Decimal:
    return Decimal(str(round(value, 9)))


def _as_json(posting: Posting) -> Record:
    return {
        "contract": posting.contract, "term": posting.term, "from": posting.payer, "to": posting.payee,
        "amount": str(posting.amount), "currency": posting.currency,
    }  # fmt: skip


# --- edits that more than one test makes ------------------------------------------------------------------------------


def without_prices(draft: Draft) -> None:
    """As under a policy that has no prices."""
    draft.manifest["policy"] = "none"
    prices = draft.tables["prices"]
    for column in ("price_per_kwh", "adder_per_kwh"):
        prices[column] = [None] * len(prices["node"])
    for record in draft.records("message", "on_aggregate"):
        result = record["body"]["message"]["aggregationResult"]
        result.pop("clearingPrice", None)
        for node in result["gridNodes"]:
            node |= {"locationalPrice": None, "locationalPriceAdder": 0.0}


def without_a_market(draft: Draft) -> None:
    """No transformers, no prices, no retailer, no aggregate messages, no vehicles, no money."""
    without_prices(draft)
    for table in ("nodes", "prices", "postings", "sessions"):
        for column in draft.tables[table].values():
            column.clear()
    for name in ("import_price", "export_price"):
        draft.tables["intervals"][name] = [None] * len(draft.tables["intervals"]["start"])
    draft.journal[:] = [record for record in draft.journal if not _is_about_a_market(record)]


def _is_about_a_market(record: Record) -> bool:
    return record["kind"] == "postings" or (
        record["kind"] == "message" and "aggregate" in record["body"]["context"]["action"]
    )


def with_one_node(draft: Draft) -> None:
    """Everybody at the root, cleared anew."""
    for column in draft.tables["nodes"].values():
        column.clear()
    prices = draft.tables["prices"]
    rows = [row for row in zip(*prices.values(), strict=True) if row[1] == "grid"]
    draft.tables["prices"] = {name: list(column) for name, column in zip(prices, zip(*rows, strict=True), strict=True)}
    asks, answers = draft.records("message", "aggregate"), draft.records("message", "on_aggregate")
    for ask, answer in zip(asks, answers, strict=True):
        request = ask["body"]["message"]["aggregationRequest"]
        request["gridNodes"] = [{"era": "grid", "gridConstraints": {}}]
        for participant in request["participants"]:
            participant["gridNode"] = "grid"
        answer["body"]["message"]["aggregationResult"] = clear_aggregate(request)


def without_power_flow(interval: int) -> Edit:
    """The power flow of one interval found no solution."""

    def edit(draft: Draft) -> None:
        intervals, nodes = draft.tables["intervals"], draft.tables["nodes"]
        intervals["status"][interval] = "PHYSICS_FAILED"
        for column in ("slack_kw", "losses_kw", "residual_kw"):
            intervals[column][interval] = math.nan
        for row in [row for row, number in enumerate(nodes["interval"]) if number == interval]:
            for column in ("wire_lv_kw", "wire_lv_kvar", "wire_hv_kw", "loading"):
                nodes[column][row] = math.nan
        voltages = draft.tables["voltages"]
        for row in [row for row, number in enumerate(voltages["interval"]) if number == interval]:
            voltages["v_pu"][row] = voltages["v_degree"][row] = math.nan
        lines = draft.tables["lines"]
        lines["loading"] = [
            math.nan if number == interval else loading
            for number, loading in zip(lines["interval"], lines["loading"], strict=True)
        ]
        flow = draft.records("flow")[interval]
        flow |= {"converged": False, "note": "diverged", "slackKW": None, "lossesKW": None, "residualKW": None}

    return edit


def renamed(names: Mapping[str, str]) -> Edit:
    """Other names for nodes, participants, kinds or terms, everywhere."""

    def edit(draft: Draft) -> None:
        for table in draft.tables.values():
            for column in table.values():
                column[:] = [names.get(value, value) if isinstance(value, str) else value for value in column]
        text = json.dumps(draft.journal)
        for before, after in names.items():
            text = text.replace(json.dumps(before), json.dumps(after))
        draft.journal[:] = json.loads(text)

    return edit


# --- a run that was stopped -------------------------------------------------------------------------------------------


def stopped(tmp_path: Path, day: Run) -> Path:
    """A small run as it would have been left after three of its intervals, in a folder of its own."""
    folder = tmp_path / "stopped"
    lines = day.journal_path.read_bytes().splitlines(keepends=True)
    end = next(n for n, line in enumerate(lines) if b'"interval":2,"kind":"commit"' in line)
    content = b"".join(lines[: end + 1])
    said = {name: value for name, value in day.manifest.items() if name != "tables"}
    sessions = {"sessions": _rows_of(day.sessions, 0)}
    with WrittenDraft(folder) as draft:
        draft.journal.write(content)
        for index in range(3):
            rows = {name: _rows_of(day.table(name), index) for name in RECORDED if name != "sessions"}
            draft.add({**said, "whole": index + 1, "journalBytes": len(content)}, rows, sessions, b"")
    return folder


def _rows_of(frame: pd.DataFrame, index: int) -> dict[str, list[Any]]:
    """What an interval adds to a table."""
    timeless = frame if index == 0 else frame.iloc[:0]
    rows = frame[frame["interval"] == index] if "interval" in frame else timeless
    return {str(column): rows[column].tolist() for column in rows}
