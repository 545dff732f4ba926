"""Writes down a world as it lives, column by column, for the tables of the run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from agents.rounds import Round, Stage
from agents.twins.ev import EVTwin
from results.tables import ADMITTANCES, RECORDED, TABLES, Rows
from scenarios.build import Built, NodeLimits
from scenarios.levels import Levels
from scenarios.names import MARKET, ROOT, TREASURY
from sim.clock import Interval
from sim.device import Device
from sim.errors import FeederError
from sim.feeder import Feeder, Flow
from sim.market.problem import LOSSES, receipts_per_h

if TYPE_CHECKING:
    from grid_models.elements import Element

_NO_ROUND = Round(Stage.FAILED)


_Columns = dict[str, list[Any]]


@dataclass(frozen=True, slots=True)
class Moment:
    """How things stood in the interval that ended at this simulated second.

    price_per_kwh: where the prices of all nodes meet; None without one.  loading: of the transformer or limited line with the
    highest, 1 is its rating; None where nothing is limited.
    """

    second: int
    price_per_kwh: float | None
    loading: float | None


class Recorder:
    """Rows of every table, interval by interval.  Whoever takes them writes them; nothing is kept here."""

    def __init__(self, built: Built) -> None:
        self._built = built
        self._tables = {name: _empty(name) for name in RECORDED}
        self._editions: set[int] = set()
        self._levels = Levels(built.scenario.aggregators)
        self._posted = 0
        self._participants()

    def observe(self, interval: Interval, flow: Flow) -> Moment:
        """Take down one interval that has been settled."""
        market = self._built.market
        done = _NO_ROUND if market is None else market.rounds.get(interval.index, _NO_ROUND)
        if done.stage is not Stage.PUBLISHED:
            done = replace(done, clearing=None, certificate=None)
        self._interval(interval, flow, done)
        self._nodes(interval, flow, done)
        self._setpoints(interval)
        self._bounds(interval, done)
        self._voltages(interval, flow)
        feeder = self._built.feeder
        self._add_all(
            "lines",
            interval=[interval.index] * len(feeder.lines),
            line=feeder.lines,
            loading=flow.line_loading.tolist(),
        )
        if flow.edition not in self._editions:
            self._editions.add(flow.edition)
            self._topology(flow.edition)
        self._postings()
        return _moment(interval, flow, done)

    def take(self) -> Mapping[str, Rows]:
        """What came since it was taken last."""
        taken = {name: columns for name, columns in self._tables.items() if next(iter(columns.values()))}
        self._tables |= {name: _empty(name) for name in taken}
        return taken

    def sessions(self, second: int) -> Rows:
        """The visits of vehicles as they stand at a simulated second."""
        columns = _empty("sessions")
        devices = [resource.device for resource in self._built.resources if resource.device is not None]
        for device in (*devices, *(placed.device for placed in self._built.devices)):
            twin = device.twin
            if not isinstance(twin, EVTwin):
                continue
            for number, session in enumerate(twin.sessions):
                finished = session.departure_s <= second
                columns["era"].append(device.era)
                columns["arrival_s"].append(session.arrival_s)
                columns["departure_s"].append(session.departure_s)
                columns["need_kwh"].append(session.need_kwh)
                columns["served_kwh"].append(twin.served_kwh(number))
                columns["unserved_kwh"].append(twin.missing_kwh(number) if finished else 0.0)
                columns["finished"].append(finished)
        return columns

    def _add(self, table: str, **values: Any) -> None:
        columns = self._tables[table]
        for name, value in values.items():
            columns[name].append(value)

    def _add_all(self, table: str, **values: Sequence[Any]) -> None:
        columns = self._tables[table]
        for name, many in values.items():
            columns[name] += many

    def _interval(self, interval: Interval, flow: Flow, done: Round) -> None:
        clearing, certificate = done.clearing, done.certificate
        market = self._built.market
        prices = (math.nan, math.nan) if market is None else market.retail_prices(interval.index)
        surplus, losses = self._surplus_per_h(done)
        self._add(
            "intervals",
            interval=interval.index,
            start=self._built.world.calendar.timestamp(interval.start_s),
            status="OK" if flow.converged else "PHYSICS_FAILED",
            edition=flow.edition,
            policy="" if clearing is None else clearing.policy,
            fallback=done.fallback,
            rounds=0 if clearing is None else done.number,
            quantity_kw=0.0 if clearing is None else clearing.quantity_kw,
            welfare=0.0 if clearing is None else clearing.welfare,
            certified=certificate is not None and certificate.certified,
            violations=0 if certificate is None else len(certificate.violations),
            slack_kw=flow.slack_kw,
            losses_kw=flow.losses_kw,
            residual_kw=flow.residual_kw,
            unserved_kwh=self._unserved_kw() * interval.hours,
            rent=(surplus - losses) * interval.hours,
            loss_surplus=losses * interval.hours,
            reference_gap_pu=dict(self._built.world.references[-1:]).get(interval.index),
            import_price=prices[0],
            export_price=prices[1],
        )

    def _surplus_per_h(self, done: Round) -> tuple[float, float]:
        """What the clearing leaves the market with, and the part of it that marginal losses bring [currency/h]."""
        market = self._built.market
        if done.clearing is None or done.problem is None or market is None:
            return 0.0, 0.0
        if market.rules.policy.pricing != "PAY_AS_CLEAR":
            return 0.0, 0.0
        return -receipts_per_h(done.clearing), done.clearing.accounts.get(LOSSES, 0.0)

    def _unserved_kw(self) -> float:
        return sum(max(0.0, -device.unserved_kw) for device in self._built.world.devices)

    def _nodes(self, interval: Interval, flow: Flow, done: Round) -> None:
        clearing = done.clearing
        for node in (ROOT, *(limit.branch.name for limit in self._built.limits)):
            price = None if clearing is None else clearing.price_per_kwh.get(node)
            adder = 0.0 if clearing is None else clearing.adder_per_kwh.get(node, 0.0)
            self._add("prices", interval=interval.index, node=node, price_per_kwh=price, adder_per_kwh=adder)
        inside = self._inside_kw(interval)
        for position, limit in enumerate(self._built.limits):
            planned = None if clearing is None else clearing.flow_kw.get(limit.branch.name)
            if planned is not None and limit.branch.name in inside:
                planned += inside[limit.branch.name]
            self._node(interval, flow, done, position, limit, planned)

    def _inside_kw(self, interval: Interval) -> dict[str, float]:
        """Flow that awards come to through nodes below whoever traded for them, which the market knows nothing of."""
        parents = {limit.branch.name: limit.branch.parent for limit in self._built.limits}
        resources = {resource.era: resource for resource in self._built.resources}
        flow_kw: dict[str, float] = {}
        for resource in self._built.resources:
            trader = resources.get(self._levels.trader(resource.place.host))
            award = resource.awarded.get(interval.index)
            if resource.device is None or trader is None or award is None:
                continue
            node: str | None = resource.place.node
            while node is not None and node != trader.place.node:
                flow_kw[node] = flow_kw.get(node, 0.0) - award.cleared_kw
                node = parents.get(node)
        return flow_kw

    def _node(
        self,
        interval: Interval,
        flow: Flow,
        done: Round,
        position: int,
        limit: NodeLimits,
        planned_kw: float | None,
    ) -> None:
        name, clearing = limit.branch.name, done.clearing
        used = next((n for n in done.problem.limits if n.node == name), None) if done.problem is not None else None
        self._add(
            "nodes",
            interval=interval.index,
            node=name,
            market_flow_kw=math.nan if planned_kw is None else planned_kw,
            assessed_kw=done.assessed_kw.get(name),
            wire_lv_kw=float(flow.branch_lv_kw[position]),
            wire_lv_kvar=float(flow.branch_lv_kvar[position]),
            wire_hv_kw=float(flow.branch_hv_kw[position]),
            loading=float(flow.branch_loading[position]),
            import_limit_kw=math.inf if used is None else used.import_limit_kw,
            export_limit_kw=math.inf if used is None else used.export_limit_kw,
            rated_import_kw=limit.rated_import_kw,
            rated_export_kw=limit.rated_export_kw,
            binding=(clearing.binding.get(name) or "") if clearing is not None else "",
        )

    def _bounds(self, interval: Interval, done: Round) -> None:
        if done.problem is None or done.clearing is None:
            return
        for limit in done.problem.linear:
            self._add(
                "bounds",
                interval=interval.index,
                bound=limit.name,
                value=done.clearing.linear_value[limit.name],
                most=limit.most,
                price_per_unit=done.clearing.linear_price[limit.name],
            )

    def _voltages(self, interval: Interval, flow: Flow) -> None:
        feeder = self._built.feeder
        phases = len(feeder.phases)
        self._add_all(
            "voltages",
            interval=[interval.index] * len(feeder.buses) * phases,
            bus=[bus for bus in feeder.buses for _ in range(phases)],
            phase=feeder.phases * len(feeder.buses),
            v_pu=flow.v_pu.ravel().tolist(),
            v_degree=flow.v_degree.ravel().tolist(),
        )

    def _topology(self, edition: int) -> None:
        """A circuit that intervals were solved on."""
        feeder = self._built.feeder
        feeder.use(edition)
        places, held = feeder.coordinates() or {}, set(feeder.slack_nodes)
        for bus, number, kv in zip(feeder.buses, feeder.node_numbers, feeder.nominal_kv, strict=True):
            x, y = places.get(bus, (None, None))
            self._add(
                "buses",
                edition=edition,
                bus=bus,
                number=number,
                nominal_kv=kv,
                slack=number in held,
                node=_node_of(feeder, bus),
                x=x,
                y=y,
            )
        for element in feeder.elements():
            self._add("elements", edition=edition, base_kva=feeder.base_kva, **_element(element))

    def _setpoints(self, interval: Interval) -> None:
        for resource in self._built.resources:
            award = resource.awarded.get(interval.index)
            device = resource.device
            if device is None and award is None:
                continue
            price = None if award is None else award.price_per_kwh
            self._add(
                "setpoints",
                interval=interval.index,
                era=resource.era,
                setpoint_kw=0.0 if award is None else award.cleared_kw,
                price_per_kwh=price,
                offset_kw=0.0 if award is None else award.offset_kw,
                curtailed_kw=0.0 if award is None else award.curtailed_kw,
                delivered_kw=math.nan if device is None else device.delivered_kw,
                q_kvar=math.nan if device is None else device.q_kvar,
                unserved_kw=math.nan if device is None else device.unserved_kw,
                energy_wh=0 if device is None else device.reading_wh,
                available_kw=math.nan if device is None else device.twin.available_kw,
            )
            if device is not None:
                self._state(interval, device)
        for placed in self._built.devices:
            self._delivered(interval, placed.device)

    def _delivered(self, interval: Interval, device: Device) -> None:
        """What a device did that no market has awarded anything."""
        self._add(
            "setpoints",
            interval=interval.index,
            era=device.era,
            setpoint_kw=0.0,
            price_per_kwh=None,
            offset_kw=0.0,
            curtailed_kw=0.0,
            delivered_kw=device.delivered_kw,
            q_kvar=device.q_kvar,
            unserved_kw=device.unserved_kw,
            energy_wh=device.reading_wh,
            available_kw=device.twin.available_kw,
        )
        self._state(interval, device)

    def _state(self, interval: Interval, device: Device) -> None:
        # A car that is away has no state of charge, but a row: its absence is a fact.
        if isinstance(device.twin, EVTwin) or not math.isnan(device.twin.soc):
            self._add("states", interval=interval.index, era=device.era, soc=device.twin.soc)

    def _participants(self) -> None:
        placed = {one.device.era for one in self._built.devices}
        for agent in self._built.world.agents:
            if agent.era not in self._built.sites and agent.era not in placed:
                host = "".join(self._levels.path(agent.era)[1:2])
                self._add("participants", era=agent.era, kind=agent.kind, site="", bus="", phase="", node="", host=host)
        self._add("participants", era=TREASURY, kind="government", site="", bus="", phase="", node="", host="")
        for one in self._built.devices:
            device, owner = one.device, "" if one.owner == one.device.era else one.owner
            where = {"site": "", "bus": device.bus, "phase": device.phase, "node": device.node}
            self._add("participants", era=device.era, kind=one.kind, host=owner, **where)
        for resource in self._built.resources:
            if resource.device is None:
                continue
            self._add(
                "participants",
                era=resource.era,
                kind=resource.kind,
                site=self._built.sites[resource.era],
                bus=resource.device.bus,
                phase=resource.device.phase,
                node=resource.place.node,
                host="" if resource.place.host == MARKET else resource.place.host,
            )

    def _postings(self) -> None:
        ledger = self._built.world.ledger
        for posting in ledger.since(self._posted):
            self._add(
                "postings",
                interval=posting.interval,
                contract=posting.contract,
                term=posting.term,
                payer=posting.payer,
                payee=posting.payee,
                amount=posting.amount,
                currency=posting.currency,
            )
        self._posted = len(ledger)


def _empty(name: str) -> _Columns:
    return {column: [] for column in TABLES[name].names}


def _moment(interval: Interval, flow: Flow, done: Round) -> Moment:
    price = None if done.clearing is None else done.clearing.price_per_kwh.get(ROOT)
    known = flow.branch_loading[np.isfinite(flow.branch_loading)]
    return Moment(interval.end_s, price, float(known.max()) if known.size else None)


def _node_of(feeder: Feeder, bus: str) -> str:
    try:
        return feeder.node_of(bus)
    except FeederError:
        return ""  # above every branch, or without supply


def _element(element: Element) -> Mapping[str, Any]:
    y = {name: complex(getattr(element, name)) for name in ADMITTANCES}
    return {
        "kind": element.kind,
        "name": element.name,
        "start": element.start,
        "end": element.end,
        "start_number": element.start_node,
        "end_number": element.end_node,
        "sequence": element.sequence,
        "rated_kva": element.rated_kva,
        "p_kw": element.p_kw,
        "q_kvar": element.q_kvar,
        **{f"{name}_re": value.real for name, value in y.items()},
        **{f"{name}_im": value.imag for name, value in y.items()},
    }
