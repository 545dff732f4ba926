"""What must hold of a pandapower network before it is solved: one small function per rule, every fault at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandapower as pp
import pandas as pd

from sim.errors import Fault

UNSUPPORTED = ("dcline", "svc", "ssc", "tcsc", "vsc", "b2b_vsc", "bi_vsc", "line_dc", "load_dc", "source_dc")
"""Elements whose power the market could not attribute."""

NUMBERS: Mapping[str, tuple[str, ...]] = {
    "bus": ("vn_kv",),
    "ext_grid": ("vm_pu", "va_degree"),
    "line": ("length_km", "r_ohm_per_km", "x_ohm_per_km", "c_nf_per_km", "max_i_ka", "df", "parallel"),
    "trafo": (
        *("sn_mva", "vn_hv_kv", "vn_lv_kv", "vk_percent", "vkr_percent", "pfe_kw", "i0_percent", "shift_degree"),
        *("df", "parallel"),
    ),
    "trafo3w": (
        *("sn_hv_mva", "sn_mv_mva", "sn_lv_mva", "vn_hv_kv", "vn_mv_kv", "vn_lv_kv", "pfe_kw", "i0_percent"),
        *("vk_hv_percent", "vk_mv_percent", "vk_lv_percent", "vkr_hv_percent", "vkr_mv_percent", "vkr_lv_percent"),
    ),
    "impedance": ("rft_pu", "xft_pu", "rtf_pu", "xtf_pu", "sn_mva"),
    "shunt": ("p_mw", "q_mvar", "vn_kv"),
    "ward": ("ps_mw", "qs_mvar", "pz_mw", "qz_mvar"),
    "xward": ("ps_mw", "qs_mvar", "pz_mw", "qz_mvar", "r_ohm", "x_ohm", "vm_pu"),
    "load": ("p_mw", "q_mvar"),
    "sgen": ("p_mw", "q_mvar"),
    "storage": ("p_mw", "q_mvar"),
    "gen": ("p_mw", "vm_pu"),
    "motor": ("pn_mech_mw", "cos_phi", "efficiency_percent"),
    "asymmetric_load": ("p_a_mw", "p_b_mw", "p_c_mw", "q_a_mvar", "q_b_mvar", "q_c_mvar"),
    "asymmetric_sgen": ("p_a_mw", "p_b_mw", "p_c_mw", "q_a_mvar", "q_b_mvar", "q_c_mvar"),
}
"""Columns that must be finite numbers wherever the element is in service."""

POSITIVE: Mapping[str, tuple[str, ...]] = {
    "bus": ("vn_kv",),
    "ext_grid": ("vm_pu",),
    "line": ("length_km", "max_i_ka", "df", "parallel"),
    "trafo": ("sn_mva", "vn_hv_kv", "vn_lv_kv", "vk_percent", "df", "parallel"),
    "trafo3w": ("sn_hv_mva", "sn_mv_mva", "sn_lv_mva", "vn_hv_kv", "vn_mv_kv", "vn_lv_kv"),
}

RATINGS: Mapping[str, tuple[str, ...]] = {
    "line": ("max_i_ka",),
    "trafo": ("sn_mva",),
    "trafo3w": ("sn_hv_mva", "sn_mv_mva", "sn_lv_mva"),
}

LARGEST_RATING = 1e4
"""kA or MVA; nothing that is built carries more, so that it is a number in another unit."""

UNRATED_KA = 99999.0
"""What the current of a line is limited to by converters that know of no limit."""

LARGEST_RATIO = 0.2
"""How far a winding's rated voltage may lie from that of its bus."""

LISTED = 5


def faults(net: Any) -> Iterator[Fault]:
    """Everything wrong with the elements themselves; which of them are connected is not looked at."""
    broken = list(_broken_references(net))
    yield from _unsupported(net)
    yield from broken
    if not net.ext_grid.in_service.astype(bool).any():
        yield Fault("net.ext_grid", "there is no external grid in service", "pandapower.create_ext_grid")
    yield from _numbers(net)
    yield from _bounds(net)
    if not broken:
        yield from _impedances(net)
        yield from _line_voltages(net)
        yield from _winding_voltages(net)
        yield from _tap_positions(net)


def power_kw(rows: Any) -> Any:
    """Active power of each row of a table of customers, positive as their table counts."""
    columns = [column for column in ("p_mw", "p_a_mw", "p_b_mw", "p_c_mw", "pn_mech_mw") if column in rows]
    return rows[columns].sum(axis=1) * 1e3


def _unsupported(net: Any) -> Iterator[Fault]:
    for table in UNSUPPORTED:
        if table in net and len(net[table]) and net[table].in_service.astype(bool).any():
            yield Fault(f"net.{table}", "is not supported in service", "take it out of service")


def _broken_references(net: Any) -> Iterator[Fault]:
    for table, column in sorted(pp.toolbox.element_bus_tuples()):
        if table in net and len(net[table]):
            wrong = net[table][~net[table][column].isin(net.bus.index)]
            if len(wrong):
                what = f"names buses that do not exist: {_listed(table, wrong, column)}"
                yield Fault(f"net.{table}.{column}", what, "create the buses, or take the elements out")
    for kind, table in (("l", "line"), ("t", "trafo"), ("t3", "trafo3w")):
        wrong = net.switch[(net.switch.et == kind) & ~net.switch.element.isin(net[table].index)]
        if len(wrong):
            listed = _listed("switch", wrong, "element")
            yield Fault("net.switch.element", f"names a {table} that does not exist: {listed}", "take the switches out")


def _numbers(net: Any) -> Iterator[Fault]:
    for table, column, rows in _columns(net, NUMBERS):
        wrong = rows[~np.isfinite(_floats(rows, column))]
        if len(wrong):
            what = f"is not a finite number: {_listed(table, wrong, column)}"
            yield Fault(f"net.{table}.{column}", what, "give the value, or take the element out of service")


def _bounds(net: Any) -> Iterator[Fault]:
    for table, column, rows in _columns(net, POSITIVE):
        wrong = rows[_floats(rows, column) <= 0]
        if len(wrong):
            remedy = "join its buses with a closed switch" if column == "length_km" else "give what its data sheet says"
            yield Fault(f"net.{table}.{column}", f"is not above 0: {_listed(table, wrong, column)}", remedy)
    for table, column, rows in _columns(net, RATINGS):
        values = _floats(rows, column)
        wrong = rows[
            (values > LARGEST_RATING) & np.isfinite(values) & ~((column == "max_i_ka") & (values == UNRATED_KA))
        ]
        if len(wrong):
            unit = "kA" if table == "line" else "MVA"
            what = f"is above {LARGEST_RATING:g} {unit}: {_listed(table, wrong, column)}"
            yield Fault(f"net.{table}.{column}", what, f"give it in {unit}")


def _impedances(net: Any) -> Iterator[Fault]:
    lines = _in_service(net, "line")
    r, x = _floats(lines, "r_ohm_per_km"), _floats(lines, "x_ohm_per_km")
    wrong = lines[(r < 0) | (x < 0) | ((r == 0) & (x == 0))]
    if len(wrong):
        what = f"a line's impedance is zero or negative: {_listed('line', wrong, 'r_ohm_per_km')}"
        yield Fault("net.line", what, "give r_ohm_per_km and x_ohm_per_km, or join its buses with a closed switch")


def _line_voltages(net: Any) -> Iterator[Fault]:
    lines = _in_service(net, "line")
    start, end = (net.bus.vn_kv.reindex(lines[column]).to_numpy(dtype=float) for column in ("from_bus", "to_bus"))
    wrong = lines[np.abs(start - end) > 1e-6 * np.abs(start)]
    if len(wrong):
        pairs = zip(wrong.from_bus, wrong.to_bus, strict=True)
        values = [f"{net.bus.vn_kv.at[a]:g} and {net.bus.vn_kv.at[b]:g} kV" for a, b in pairs]
        what = f"joins buses of different voltage: {_shown('line', wrong, values)}"
        yield Fault("net.line", what, "correct vn_kv of the buses, or put a transformer there")


def _winding_voltages(net: Any) -> Iterator[Fault]:
    for table, sides in (("trafo", ("hv", "lv")), ("trafo3w", ("hv", "mv", "lv"))):
        rows = _in_service(net, table)
        for side in sides:
            rated = _floats(rows, f"vn_{side}_kv")
            bus_kv = net.bus.vn_kv.reindex(rows[f"{side}_bus"]).to_numpy(dtype=float)
            wrong = np.abs(rated - bus_kv) > LARGEST_RATIO * bus_kv
            if wrong.any():
                values = [f"{a:g} kV at a bus of {b:g} kV" for a, b in zip(rated[wrong], bus_kv[wrong], strict=True)]
                what = f"is more than {LARGEST_RATIO:.0%} off its bus: {_shown(table, rows[wrong], values)}"
                yield Fault(
                    f"net.{table}.vn_{side}_kv", what, "correct the type of the transformer or vn_kv of the bus"
                )


def _tap_positions(net: Any) -> Iterator[Fault]:
    rows = _in_service(net, "trafo")
    low, at, high = (_floats(rows, column) for column in ("tap_min", "tap_pos", "tap_max"))
    beyond = rows[(at < low) | (at > high)]
    if len(beyond):
        what = f"is not within tap_min and tap_max: {_listed('trafo', beyond, 'tap_pos')}"
        yield Fault("net.trafo.tap_pos", what, "turn the tap into its range")


def _columns(net: Any, known: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, str, Any]]:
    """Each known column of each table that has rows in service, with these rows."""
    for table, columns in known.items():
        rows = _in_service(net, table)
        for column in columns if len(rows) else ():
            if column in rows:
                yield table, column, rows


def _in_service(net: Any, table: str) -> Any:
    rows = net[table]
    return rows[rows.in_service.astype(bool)] if len(rows) else rows


def _floats(rows: Any, column: str) -> Any:
    return pd.to_numeric(rows[column], errors="coerce").to_numpy(dtype=float)


def _listed(table: str, rows: Any, column: str) -> str:
    return _shown(table, rows, [str(value) for value in rows[column]])


def _shown(table: str, rows: Any, values: list[str]) -> str:
    """The first culprits by name, else by index, with the value each has."""
    called = [name if isinstance(name, str) and name.strip() else f"{table} {i}" for i, name in rows["name"].items()]
    shown = ", ".join(f"{name} ({value})" for name, value in list(zip(called, values, strict=True))[:LISTED])
    return shown + (f" and {len(called) - LISTED} more" if len(called) > LISTED else "")
