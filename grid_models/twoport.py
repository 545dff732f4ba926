"""A transformer or a line as an electrical two-port: what load a flow puts on its ends, and what it loses on its way."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TwoPort:
    """A branch at its terminals, in per unit of one base, with parallel units taken together; a line's ends are h and l too.

    ``i_h = y_hh v_h + y_hl v_l`` and ``i_l = y_lh v_h + y_ll v_l``, currents counted into the transformer; the four
    admittances hold the windings (vk, vkr), the iron (pfe, i0) and the tap as the power flow sees them.
    v_hv_pu: voltage held at the upper end.
    hv_kva_per_pu, lv_kva_per_pu: kVA at the rated voltage of an end for a current of 1 per unit.
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
        """Load of the more loaded end, current times rated voltage [kVA], for a flow (+ downstream) out at the lower end.

        Infinite where the grid above cannot supply that much.
        """
        v_l = self._lower_v(p_kw, q_kvar)
        if v_l is None:
            return math.inf
        i_h, i_l = self._currents(v_l)
        return max(abs(i_h) * self.hv_kva_per_pu, abs(i_l) * self.lv_kva_per_pu)

    def upper_kw(self, p_kw: float, q_kvar: float) -> float:
        """Flow (+ downstream) in at the upper end for a flow out at the lower one; what lies between is lost.

        Infinite where the grid above cannot supply that much.
        """
        v_l = self._lower_v(p_kw, q_kvar)
        if v_l is None:
            return math.inf
        return self.v_hv_pu * self._currents(v_l)[0].real * self.base_kva

    def _lower_v(self, p_kw: float, q_kvar: float) -> complex | None:
        """Voltage at the lower end; None without a solution.

        With ``s`` the power into the lower terminals, ``v_l`` solves ``conj(s) = y_ll |v_l|^2 + conj(v_l) y_lh v_h``: a
        quadratic equation in ``|v_l|^2``, whose larger root is the operable one.
        """
        s = complex(-p_kw, q_kvar) / self.base_kva  # conj of the power into the lower terminals
        pull = self.y_lh * self.v_hv_pu
        a, b = abs(self.y_ll) ** 2, 2 * (s * self.y_ll.conjugate()).real + abs(pull) ** 2
        half = 2 * abs(self.y_ll) * abs(s)
        discriminant = (b - half) * (b + half)
        if discriminant < 0:
            return None
        square = (b + math.sqrt(discriminant)) / (2 * a)
        return ((s - square * self.y_ll) / pull).conjugate()

    def _currents(self, v_l: complex) -> tuple[complex, complex]:
        """Into the upper and into the lower end."""
        return self.y_hh * self.v_hv_pu + self.y_hl * v_l, self.y_lh * self.v_hv_pu + self.y_ll * v_l
