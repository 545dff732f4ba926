"""What networks say by themselves: their own customers, and a power flow that knows no matrix."""

import cmath
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from grid_models.network import unique_names

SWEEPS = 200


def names_of(net: Any) -> dict[int, str]:
    """Name of each bus, by its index."""
    return dict(zip(net.bus.index.tolist(), unique_names(net.bus, "bus"), strict=True))


def customers(net: Any) -> dict[str, np.ndarray]:
    """What the network's own customers inject at each bus, by name: kW and kvar."""
    names = names_of(net)
    found = {name: np.zeros(2) for name in names.values()}
    for table, sign in (("load", -1), ("sgen", 1)):
        for row in net[table][net[table].in_service.astype(bool)].itertuples():
            found[names[row.bus]] += sign * 1e3 * row.scaling * np.array([row.p_mw, row.q_mvar])
    for row in net.asymmetric_load[net.asymmetric_load.in_service.astype(bool)].itertuples():
        power = row.p_a_mw + row.p_b_mw + row.p_c_mw, row.q_a_mvar + row.q_b_mvar + row.q_c_mvar
        found[names[row.bus]] -= 1e3 * row.scaling * np.array(power)
    return found


def swept(net: Any, own: Mapping[str, np.ndarray]) -> tuple[dict[str, complex], float]:
    """Voltage of each bus [per unit], and the power of the external grid [kW], by forward and backward sweeps.

    For radial networks of lines, impedances and two-winding transformers in neutral position, one external grid, and no open
    switch.  Everything is per unit of 1 MVA.
    """
    names = names_of(net)
    ways: dict[Any, list[tuple[Any, complex, complex]]] = {}
    shunt: dict[Any, complex] = {}
    for first, second, ratio, z, y in _elements(net):
        ways.setdefault(first, []).append((second, ratio, z))
        ways.setdefault(second, []).append((first, 1 / ratio, z))
        shunt[first] = shunt.get(first, 0) + y
        shunt[second] = shunt.get(second, 0) + y
    (source,), (held,) = net.ext_grid.bus, net.ext_grid.vm_pu
    above: dict[Any, tuple[Any, complex, complex]] = {}
    order = [source]
    for node in order:  # grows while it is read
        for other, ratio, z in ways.get(node, ()):
            if other != source and other not in above:
                above[other] = node, ratio, z
                order.append(other)
    power = {index: complex(*own[name]) / 1e3 for index, name in names.items()}
    v = dict.fromkeys(order, complex(held))
    for node in order[1:]:
        v[node] = v[above[node][0]] / above[node][1]
    for _ in range(SWEEPS):
        current = {k: shunt.get(k, 0) * v[k] - (power.get(k, 0) / v[k]).conjugate() for k in order}
        for node in reversed(order[1:]):
            current[above[node][0]] += current[node] / above[node][1].conjugate()
        before = dict(v)
        for node in order[1:]:
            upper, ratio, z = above[node]
            v[node] = v[upper] / ratio - z * current[node]
        if max(abs(v[k] - before[k]) for k in order) < 1e-14:
            break
    slack_kw = (v[source] * current[source].conjugate()).real * 1e3
    return {names[k]: v[k] for k in order if k in names}, slack_kw


def _elements(net: Any) -> Iterator[tuple[Any, Any, complex, complex, complex]]:
    """Upper node, lower node, ratio of voltages, impedance at the lower side, and admittance to earth at each end."""
    for row in net.line[net.line.in_service.astype(bool)].itertuples():
        ohm = net.bus.vn_kv[row.from_bus] ** 2
        z = complex(row.r_ohm_per_km, row.x_ohm_per_km) * row.length_km / row.parallel / ohm
        charging = 2 * math.pi * net.f_hz * row.c_nf_per_km * 1e-9 * row.length_km * row.parallel * ohm
        yield row.from_bus, row.to_bus, 1 + 0j, z, complex(0, charging / 2)
    for row in net.impedance.itertuples():
        yield row.from_bus, row.to_bus, 1 + 0j, complex(row.rft_pu, row.xft_pu) / row.sn_mva, 0j
    for row in net.trafo[net.trafo.in_service.astype(bool)].itertuples():
        yield from _transformer(net, row)


def _transformer(net: Any, row: Any) -> Iterator[tuple[Any, Any, complex, complex, complex]]:
    """An ideal one, half of the windings' impedance, the iron, and the other half."""
    if row.tap_pos not in (None, row.tap_neutral) and not math.isnan(row.tap_pos):
        raise ValueError("a tap that is not in neutral position")
    low = row.vn_lv_kv / net.bus.vn_kv[row.lv_bus]
    turned = row.vn_hv_kv / net.bus.vn_kv[row.hv_bus] / low * cmath.exp(1j * math.radians(row.shift_degree))
    short = complex(row.vkr_percent, math.sqrt(row.vk_percent**2 - row.vkr_percent**2)) / 100
    z = short * low**2 / (row.sn_mva * row.parallel)
    losses, idle = row.pfe_kw / 1e3, row.i0_percent / 100 * row.sn_mva
    iron = complex(losses, -math.sqrt(max(0.0, idle**2 - losses**2))) * row.parallel / low**2
    yield row.hv_bus, ("ideal", row.Index), turned, 0j, 0j
    yield ("ideal", row.Index), ("star", row.Index), 1 + 0j, z / 2, 0j
    yield ("star", row.Index), row.lv_bus, 1 + 0j, z / 2, 0j
    yield ("star", row.Index), ("iron", row.Index), 1 + 0j, 0j, iron / 2
