"""Reactive power of an inverter: by the voltage at its terminals, or in proportion to its active power.

+ into the grid (over-excited, lifts the voltage), − out of it (under-excited, lowers it), whatever the active power does.
Active power goes first: it is never curtailed for the sake of reactive power.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from sim.errors import TwinError

Curve = tuple[tuple[float, float], ...]
"""Voltages [per unit] and shares of the rated apparent power there; between them straight lines, beyond them level."""

CURVES: Final[Mapping[str, Curve]] = MappingProxyType(
    {
        "none": (),
        "ieee-1547-b": ((0.92, 0.44), (0.98, 0.0), (1.02, 0.0), (1.08, -0.44)),
        "vde-ar-n-4105": ((0.93, 0.436), (0.97, 0.0), (1.03, 0.0), (1.07, -0.436)),
    }
)
"""Volt-var characteristics by name.

Sources: IEEE Std 1547-2018, table 8, category B, default settings; VDE-AR-N 4105:2018-11, standard Q(U) characteristic, at
its ends the reactive power of cos φ = 0.9, as for plants above 4.6 kVA: sin(arccos 0.9) = 0.436 of the apparent power.
"""

OVERSIZE: Final = 1.1
"""Apparent over active power of an inverter that nothing is said about: leaves 0.458 of it, more than either curve wants."""

LEAST_SHARE: Final = 0.05
"""An inverter with less active power than this share of its rating is at rest (IEEE Std 1547-2018, 5.2: none is asked)."""


@dataclass(frozen=True, slots=True)
class Inverter:
    """What an inverter does about reactive power.

    rated_kva: apparent power, of which reactive power gets what active power leaves.  volt_var: its characteristic, or empty.
    power_factor: constant cos φ, > 0 with reactive power into the grid and < 0 out of it, for one without characteristic.
    Raises ``TwinError`` for an inverter that cannot exist.
    """

    rated_kva: float
    volt_var: Curve = ()
    power_factor: float = 1.0

    def __post_init__(self) -> None:
        if not (self.rated_kva > 0 and math.isfinite(self.rated_kva)):
            raise TwinError("inverter", f"rated {self.rated_kva} kVA: expected above 0")
        if not 0 < abs(self.power_factor) <= 1:
            raise TwinError("inverter", f"power factor {self.power_factor}: expected -1..1 and not 0")
        if self.volt_var and self.power_factor != 1:
            raise TwinError("inverter", "follows either its voltage or its active power")
        why = curve_fault(self.volt_var)
        if why:
            raise TwinError("inverter", why)


def curve_fault(curve: Curve) -> str:
    """Why points are no Volt-var characteristic, or an empty text; no points at all are none, and no fault."""
    if len(curve) == 1:
        return "one point is no characteristic: give two or more"
    for (v, q), (next_v, next_q) in itertools.pairwise(curve):
        if not v < next_v:
            return f"voltages must rise: {next_v} follows {v}"
        if not q >= next_q:
            return f"reactive power must not rise with the voltage: {next_q} follows {q}"
    outside = [q for _, q in curve if not -1 <= q <= 1]
    return f"{outside[0]} of the rated apparent power: expected -1..1" if outside else ""


def volt_var_kvar(v_pu: float, p_kw: float, inverter: Inverter) -> float:
    """Reactive power of an inverter that feeds in (or draws) ``p_kw`` at this voltage, + into the grid.

    Falls with the voltage or stays, and never exceeds √(S² − P²).
    """
    if abs(p_kw) < LEAST_SHARE * inverter.rated_kva:
        return 0.0
    room_kvar = math.sqrt(max(inverter.rated_kva**2 - p_kw**2, 0.0))
    if inverter.volt_var:
        wanted_kvar = _on(inverter.volt_var, v_pu) * inverter.rated_kva
    else:
        wanted_kvar = math.copysign(abs(p_kw) * math.tan(math.acos(abs(inverter.power_factor))), inverter.power_factor)
    return min(max(wanted_kvar, -room_kvar), room_kvar)


def _on(curve: Curve, v_pu: float) -> float:
    if v_pu <= curve[0][0]:
        return curve[0][1]
    for (v, q), (next_v, next_q) in itertools.pairwise(curve):
        if v_pu <= next_v:
            # Clamped: a rounding must not lift a point above its neighbours, or the curve would rise somewhere.
            return min(max(q + (next_q - q) * (v_pu - v) / (next_v - v), next_q), q)
    return curve[-1][1]
