"""One interval at a time: the map of the feeder, the clearing, and the tables, which follow the page's slider."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from results import clearing_scene
from results.clearing_scene import Scene
from results.grid_picture import GridPicture, picture_of
from results.metrics import band_pu
from results.report.columns import KW, PRICE, SHARE, VOLTAGE, by_interval, chosen, left_out, matrix, rounded
from results.run import Run

SCENES = 1_500
"""Clearings at a node that a page keeps: with more nodes than that, each interval shows its decisive node alone."""


def data(run: Run) -> dict[str, Any]:
    """Everything that moves with the slider, by name and interval."""
    return {
        "currency": run.manifest["currency"],
        "intervals": _intervals(run),
        "map": _map(run),
        "nodes": _nodes(run),
        "prices": _prices(run),
        "parties": _parties(run),
        "states": _states(run),
        "bounds": _bounds(run),
        "clearings": _clearings(run),
    }


def telling_interval(run: Run) -> int:
    """Where the slider stands at first: the interval in which a transformer or line is loaded most."""
    loading = pd.concat([run.nodes[["interval", "loading"]], run.lines[["interval", "loading"]]])
    known = loading.dropna().reset_index(drop=True)
    return int(known["interval"][known["loading"].idxmax()]) if len(known) else clearing_scene.decisive_interval(run)


def _intervals(run: Run) -> dict[str, Any]:
    rows = run.intervals.set_index("interval").reindex(range(run.calendar.count))
    texts = {name: [None if pd.isna(value) else str(value) for value in rows[name]] for name in ("status", "policy")}
    flags = {
        name: [None if pd.isna(value) else bool(value) for value in rows[name]] for name in ("fallback", "certified")
    }
    powers = ("quantity_kw", "slack_kw", "losses_kw", "unserved_kwh", "rounds", "violations")
    prices = ("import_price", "export_price", "welfare", "rent", "loss_surplus")
    return {
        **texts,
        **flags,
        **{name: by_interval(run, name, KW) for name in powers},
        **{name: by_interval(run, name, PRICE) for name in prices},
    }


# --- the map ----------------------------------------------------------------------------------------------------------


def _map(run: Run) -> dict[str, Any]:
    count = run.calendar.count
    phases = [str(phase) for phase in dict.fromkeys(run.voltages["phase"])]
    off = (run.voltages["v_pu"] - 1).abs().groupby(run.voltages["bus"], sort=False).max()
    # A bus with three phases takes three rows.
    buses = chosen(off, count * max(1, len(phases)))
    lines = chosen(run.lines.groupby("line", sort=False)["loading"].max(), count)
    volts = {
        phase: matrix(run.voltages[run.voltages["phase"] == phase], "bus", "v_pu", buses, count, VOLTAGE)
        for phase in phases
    }
    editions = sorted({int(edition) for edition in run.buses["edition"]})
    return {
        "band": band_pu(run),
        "edition": by_interval(run, "edition", 0),
        "editions": {str(edition): _picture(picture_of(run, edition)) for edition in editions},
        "buses": buses,
        "voltages": volts,
        "lines": lines,
        "loading": matrix(run.lines, "line", "loading", lines, count, SHARE),
        "startKW": matrix(run.flows[run.flows["kind"] == "line"], "name", "p_start_kw", lines, count, KW),
        "notes": [
            note
            for note in (
                left_out(buses, len(off), "buses", "voltages"),
                left_out(lines, run.lines["line"].nunique(), "lines", "lines"),
            )
            if note
        ],
    }


def _picture(picture: GridPicture) -> dict[str, Any]:
    """Places scaled to 0..1, y downward as on a screen; edges by the numbers of their buses."""
    number = {bus: i for i, bus in enumerate(picture.buses)}
    places = np.array(list(picture.buses.values()), dtype=float).reshape(-1, 2)
    low = places.min(axis=0, initial=np.inf) if len(places) else np.zeros(2)
    span = (places.max(axis=0, initial=-np.inf) - low) if len(places) else np.ones(2)
    unit = np.where(span > 0, (places - low) / np.where(span > 0, span, 1.0), 0.5)
    edges = [
        [kind, name, number[start], number[end]]
        for kind, name, start, end in picture.edges
        if start in number and end in number
    ]
    return {
        "buses": list(picture.buses),
        "x": rounded(unit[:, 0], 4),
        "y": rounded(1 - unit[:, 1], 4),
        "edges": edges,
        "sites": sorted({number[bus] for bus in picture.sites if bus in number}),
    }


# --- tables -----------------------------------------------------------------------------------------------------------


def _nodes(run: Run) -> dict[str, Any]:
    count = run.calendar.count
    names = chosen(run.nodes.groupby("node", sort=False)["loading"].max(), count)
    powers = (
        "market_flow_kw",
        "assessed_kw",
        "wire_lv_kw",
        "wire_lv_kvar",
        "import_limit_kw",
        "export_limit_kw",
        "rated_import_kw",
        "rated_export_kw",
    )
    binding = run.nodes.pivot(index="node", columns="interval", values="binding")
    held = binding.reindex(index=names, columns=range(count)).fillna("")
    return {
        "names": names,
        **{name: matrix(_finite(run.nodes, name), "node", name, names, count, KW) for name in powers},
        "loading": matrix(run.nodes, "node", "loading", names, count, SHARE),
        "binding": held.to_numpy().tolist(),
        "note": left_out(names, run.nodes["node"].nunique(), "transformers", "nodes"),
    }


def _finite(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    """No limit is written as nothing."""
    return rows.assign(**{name: rows[name].replace([np.inf, -np.inf], np.nan)})


def _prices(run: Run) -> dict[str, Any]:
    count = run.calendar.count
    names = chosen(run.prices.groupby("node", sort=False)["adder_per_kwh"].agg(lambda adder: adder.abs().max()), count)
    columns = ("price_per_kwh", "adder_per_kwh")
    return {
        "names": names,
        "root": run.root,
        **{name: matrix(run.prices, "node", name, names, count, PRICE) for name in columns},
        "note": left_out(names, run.prices["node"].nunique(), "nodes", "prices"),
    }


def _parties(run: Run) -> dict[str, Any]:
    count = run.calendar.count
    rows = run.setpoints
    weights = (rows["delivered_kw"].abs() + rows["setpoint_kw"].abs()).groupby(rows["era"], sort=False).sum()
    names = chosen(weights, count)
    who = run.participants.set_index("era").reindex(names)
    powers = ("setpoint_kw", "delivered_kw", "curtailed_kw", "available_kw", "q_kvar", "unserved_kw")
    return {
        "names": names,
        **{name: [str(value) for value in who[name].fillna("")] for name in ("kind", "site", "bus", "phase", "node")},
        **{name: matrix(rows, "era", name, names, count, KW) for name in powers},
        "energy_wh": matrix(rows, "era", "energy_wh", names, count, 0),
        "price_per_kwh": matrix(rows, "era", "price_per_kwh", names, count, PRICE),
        "note": left_out(names, len(weights), "participants", "setpoints"),
    }


def _states(run: Run) -> dict[str, Any]:
    count = run.calendar.count
    spread = run.states.groupby("era", sort=False)["soc"].agg(lambda soc: soc.max() - soc.min())
    names = chosen(spread, count)
    return {"names": names, "soc": matrix(run.states, "era", "soc", names, count, SHARE)}


def _bounds(run: Run) -> dict[str, Any]:
    count = run.calendar.count
    names = chosen(run.bounds.groupby("bound", sort=False)["price_per_unit"].max(), count)
    columns = ("value", "most", "price_per_unit")
    return {"names": names, **{name: matrix(run.bounds, "bound", name, names, count, PRICE) for name in columns}}


# --- clearings --------------------------------------------------------------------------------------------------------


def _clearings(run: Run) -> dict[str, Any]:
    """The clearings of each interval, at every node or at its decisive one."""
    nodes = len(dict.fromkeys(run.prices["node"]))
    every = nodes * len(run.clearings) <= SCENES
    scenes = {interval: list(_scenes(run, interval, every)) for interval in sorted(run.clearings)}
    traded = {scene.node for each in scenes.values() for scene in each if _is_traded(scene)}
    found = {
        str(interval): [_scene(scene) for scene in each if scene.node in traded] for interval, each in scenes.items()
    }
    return {"every": every, "nodes": nodes, "scenes": found}


def _is_traded(scene: Scene) -> bool:
    """Whether there is anything to show: at a node below whoever traded for all that stands there, nobody offered."""
    return scene.parent is None or scene.net.max_kw > 0 or scene.net.min_kw < 0


def _scenes(run: Run, interval: int, every: bool) -> Iterator[Scene]:
    if every:
        yield from clearing_scene.scenes_of(run, interval)
    else:
        yield clearing_scene.scene_of(run, interval)


def _scene(scene: Scene) -> dict[str, Any]:
    """Import [kW] by price: what the node would take altogether, and its two sides alone."""
    low, high = clearing_scene.price_range(scene)
    supply, demand = clearing_scene.sides(scene.parts)
    curves = {"net": scene.net, "supply": supply, "demand": demand}
    return {
        "node": scene.node,
        "parent": scene.parent,
        "price": None if scene.price is None else round(scene.price, PRICE),
        "upstream": None if scene.upstream is None else round(scene.upstream, PRICE),
        "flow": round(scene.flow_kw, KW),
        "quantity": round(scene.quantity_kw, KW),
        "limits": [_known(scene.import_limit_kw), _known(scene.export_limit_kw)],
        "prices": [round(low, PRICE), round(high, PRICE)],
        "flows": rounded(np.array(clearing_scene.flow_range(scene, low, high)), KW),
        "own": rounded(np.array(scene.own), PRICE),
        "bounds": {name: round(price, PRICE) for name, price in scene.bounds.items()},
        **{name: _corners(*clearing_scene.outline(curve, low, high)) for name, curve in curves.items()},
    }


def _known(limit_kw: float) -> float | None:
    return round(limit_kw, KW) if np.isfinite(limit_kw) else None


def _corners(powers: list[float], prices: list[float]) -> list[list[float]]:
    """Import and price of each corner, without those that stand where the one before them does."""
    corners = list(dict.fromkeys(zip(rounded(-np.array(powers), KW), rounded(np.array(prices), PRICE), strict=True)))
    return [[corner[0] for corner in corners], [corner[1] for corner in corners]]
