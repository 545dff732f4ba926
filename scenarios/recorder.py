"""Writes down a world as it lives, column by column, for the tables of the run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from agents.rounds import Round, Stage, surplus_per_h
from agents.twins.ev import EVTwin
from results.run import TABLES
from scenarios.build import Built, NodeLimits
from scenarios.names import MARKET, ROOT, TREASURY
from sim.clock import Interval
from sim.device import Device
from sim.feeder import Flow

_NO_ROUND = Round(Stage.FAILED)


class Recorder:
    """Rows of every table but the postings, in order of happening."""

    def __init__(self, built: Built) -> None:
        self._built = built
        self._tables: dict[str, dict[str, list[Any]]] = {
            name: {column: [] for column in schema.names} for name, schema in TABLES.items()
        }

    def observe(self, interval: Interval, flow: Flow) -> None:
        """Take down one interval that has been settled."""
        done = self._built.market.rounds.get(interval.index, _NO_ROUND)
        if done.stage is not Stage.PUBLISHED:
            done = replace(done, clearing=None, certificate=None)
        self._interval(interval, flow, done)
        self._nodes(interval, flow, done)
        self._setpoints(interval)
        self._add_all("voltages", interval.index, "bus", self._built.world.feeder.buses, "v_pu", flow.v_pu.tolist())
        self._add_all(
            "lines", interval.index, "line", self._built.world.feeder.lines, "loading", flow.line_loading.tolist()
        )

    def tables(self) -> Mapping[str, Mapping[str, list[Any]]]:
        """All tables, complete with what is known only at the end."""
        self._participants()
        self._sessions()
        self._postings()
        return self._tables

    def _add(self, table: str, **values: Any) -> None:
        columns = self._tables[table]
        for name, value in values.items():
            columns[name].append(value)

    def _add_all(
        self, table: str, index: int, key: str, names: tuple[str, ...], column: str, values: list[Any]
    ) -> None:
        columns = self._tables[table]
        columns["interval"] += [index] * len(names)
        columns[key] += names
        columns[column] += values

    def _interval(self, interval: Interval, flow: Flow, done: Round) -> None:
        clearing, certificate = done.clearing, done.certificate
        prices = self._built.market.retail_prices
        trades = self._built.market.rules.policy.pricing == "PAY_AS_CLEAR"
        rent = surplus_per_h(clearing) if clearing is not None and trades else 0.0
        self._add(
            "intervals",
            interval=interval.index,
            start=self._built.world.calendar.timestamp(interval.start_s),
            status="OK" if flow.converged else "PHYSICS_FAILED",
            policy="" if clearing is None else clearing.policy,
            fallback=done.fallback,
            quantity_kw=0.0 if clearing is None else clearing.quantity_kw,
            welfare=0.0 if clearing is None else clearing.welfare,
            certified=certificate is not None and certificate.certified,
            violations=0 if certificate is None else len(certificate.violations),
            slack_kw=flow.slack_kw,
            losses_kw=flow.losses_kw,
            residual_kw=flow.residual_kw,
            rent=rent * interval.hours,
            import_price=prices[0],
            export_price=prices[1],
        )

    def _nodes(self, interval: Interval, flow: Flow, done: Round) -> None:
        clearing = done.clearing
        for node in (ROOT, *(limit.branch.name for limit in self._built.limits)):
            price = None if clearing is None else clearing.price_per_kwh.get(node)
            adder = 0.0 if clearing is None else clearing.adder_per_kwh.get(node, 0.0)
            self._add("prices", interval=interval.index, node=node, price_per_kwh=price, adder_per_kwh=adder)
        for position, limit in enumerate(self._built.limits):
            self._node(interval, flow, done, position, limit)

    def _node(self, interval: Interval, flow: Flow, done: Round, position: int, limit: NodeLimits) -> None:
        name, clearing = limit.branch.name, done.clearing
        used = next((n for n in done.problem.limits if n.node == name), None) if done.problem is not None else None
        self._add(
            "nodes",
            interval=interval.index,
            node=name,
            market_flow_kw=math.nan if clearing is None else clearing.flow_kw.get(name, math.nan),
            wire_lv_kw=float(flow.branch_lv_kw[position]),
            wire_hv_kw=float(flow.branch_hv_kw[position]),
            loading=float(flow.branch_loading[position]),
            import_limit_kw=math.inf if used is None else used.import_limit_kw,
            export_limit_kw=math.inf if used is None else used.export_limit_kw,
            rated_import_kw=limit.rated_import_kw,
            rated_export_kw=limit.rated_export_kw,
            binding=(clearing.binding.get(name) or "") if clearing is not None else "",
        )

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
                energy_wh=0 if device is None else device.reading_wh,
                available_kw=math.nan if device is None else device.twin.available_kw,
            )
            if device is not None:
                self._state(interval, device)

    def _state(self, interval: Interval, device: Device) -> None:
        # A car that is away has no state of charge, but a row: its absence is a fact.
        if isinstance(device.twin, EVTwin) or not math.isnan(device.twin.soc):
            self._add("states", interval=interval.index, era=device.era, soc=device.twin.soc)

    def _participants(self) -> None:
        for agent in self._built.world.agents:
            if agent.era not in self._built.sites:
                self._add("participants", era=agent.era, kind=agent.kind, site="", bus="", node="", host="")
        self._add("participants", era=TREASURY, kind="government", site="", bus="", node="", host="")
        for resource in self._built.resources:
            if resource.device is None:
                continue
            self._add(
                "participants",
                era=resource.era,
                kind=resource.kind,
                site=self._built.sites[resource.era],
                bus=resource.device.bus,
                node=resource.place.node,
                host="" if resource.place.host == MARKET else resource.place.host,
            )

    def _sessions(self) -> None:
        end_s = self._built.world.calendar.duration_s
        for resource in self._built.resources:
            twin = None if resource.device is None else resource.device.twin
            if not isinstance(twin, EVTwin):
                continue
            for number, session in enumerate(twin.sessions):
                finished = session.departure_s <= end_s
                self._add(
                    "sessions",
                    era=resource.era,
                    arrival_s=session.arrival_s,
                    departure_s=session.departure_s,
                    need_kwh=session.need_kwh,
                    served_kwh=twin.served_kwh(number),
                    unserved_kwh=twin.missing_kwh(number) if finished else 0.0,
                    finished=finished,
                )

    def _postings(self) -> None:
        for posting in self._built.world.ledger:
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
