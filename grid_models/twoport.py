"""A transformer as an electrical two-port: what load a flow puts on its windings."""

from __future__ import annotations

import math
from dataclasses import dataclass


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
