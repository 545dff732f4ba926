"""From a transformer's rating to what may pass at its low-voltage terminals.

A rating is about current; a market counts kilowatts where the customers' meters are.  Between the two lie the losses,
the reactive power and the voltage, and they differ for import and export: at rated voltage, a rating used as a market
limit overloads a transformer that imports and leaves room in one that exports.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim.errors import FeederError

if TYPE_CHECKING:
    from grid_models.powerflow import PandapowerFeeder


@dataclass(frozen=True, slots=True)
class TwoPort:
    """A transformer at its terminals, in per unit of one base, with parallel units taken together.

    ``i_h = y_hh v_h + y_hl v_l`` and ``i_l = y_lh v_h + y_ll v_l``, currents counted into the transformer; the four
    admittances hold the windings (vk, vkr), the iron (pfe, i0) and the tap as the power flow sees them.
    v_hv_pu: voltage held at the high-voltage side.
    hv_kva_per_pu, lv_kva_per_pu: kVA at a winding's rated voltage for a current of 1 per unit.
    base_kva: power of 1 per unit.
    """

    y_hh: complex
    y_hl: complex
    y_lh: complex
    y_ll: complex
    v_hv_pu: float
    hv_kva_per_pu: float
    lv_kva_per_pu: float
    base_kva: float

    def kva(self, p_kw: float, q_kvar: float) -> float:
        """Load of the more loaded winding, current times rated voltage [kVA], for a flow (+ downstream) out at LV.

        Infinite where the grid above cannot supply that much.  With ``s`` the power into the LV terminals, ``v_l``
        solves ``conj(s) = y_ll |v_l|^2 + conj(v_l) y_lh v_h``: a quadratic equation in ``|v_l|^2``, whose larger root
        is the operable one.
        """
        s = complex(-p_kw, q_kvar) / self.base_kva  # conj of the power into the LV terminals
        pull = self.y_lh * self.v_hv_pu
        a, b, c = abs(self.y_ll) ** 2, 2 * (s * self.y_ll.conjugate()).real + abs(pull) ** 2, abs(s) ** 2
        discriminant = b * b - 4 * a * c
        if discriminant < 0:
            return math.inf
        square = (b + math.sqrt(discriminant)) / (2 * a)
        v_l = ((s - square * self.y_ll) / pull).conjugate()
        i_h = self.y_hh * self.v_hv_pu + self.y_hl * v_l
        i_l = pull + self.y_ll * v_l
        return max(abs(i_h) * self.hv_kva_per_pu, abs(i_l) * self.lv_kva_per_pu)


def lv_limits_kw(feeder: PandapowerFeeder, branch: str, kva: float, cos_phi: float = 1.0) -> tuple[float, float]:
    """Largest import and largest export [kW, both positive] at a transformer's LV terminals for a load of ``kva``.

    kva: what the more loaded winding may carry, as current times its rated voltage (``Flow.branch_loading`` times
    ``Branch.rated_kva``); the rating itself gives the limits at 100 % loading.
    cos_phi: power factor at the LV terminals; what lies below also draws ``|P| tan(phi)`` of reactive power.

    The high-voltage side is taken at its voltage in the idle feeder.  A ``kva`` that the iron alone uses up gives 0.
    Raises ``FeederError`` for an unknown branch, a negative or not finite ``kva`` and a ``cos_phi`` outside (0, 1].
    """
    if not (kva >= 0 and math.isfinite(kva)):
        raise FeederError(feeder.name, f"{branch}: a limit of {kva} kVA is not a number from 0 upwards")
    if not 0 < cos_phi <= 1:
        raise FeederError(feeder.name, f"{branch}: a power factor of {cos_phi} is not above 0 and at most 1")
    two_port, tan_phi = feeder.two_port(branch), math.tan(math.acos(cos_phi))
    return (
        _largest(lambda p_kw: two_port.kva(p_kw, p_kw * tan_phi) <= kva),
        _largest(lambda p_kw: two_port.kva(-p_kw, p_kw * tan_phi) <= kva),
    )


def _largest(allowed: Callable[[float], bool]) -> float:
    """Largest power that is allowed, by doubling and bisection: the load of a transformer grows with its power."""
    if not allowed(0.0):
        return 0.0
    low, high = 0.0, 1.0
    while allowed(high):
        low, high = high, 2 * high
    middle = (low + high) / 2
    while low < middle < high:
        low, high = (middle, high) if allowed(middle) else (low, middle)
        middle = (low + high) / 2
    return low
