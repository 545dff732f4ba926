"""From the rating of a transformer or line to what may pass at its terminals.

A rating is about current; a market counts kilowatts where the customers' meters are.  Between the two lie the losses,
the reactive power and the voltage, and they differ for import and export: at rated voltage, a rating used as a market
limit overloads a transformer that imports and leaves room in one that exports.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

from grid_models.powerflow import PandapowerFeeder
from sim.errors import FeederError


def limits_kw(
    feeder: PandapowerFeeder, branch: str, kva: float, cos_phi: float = 1.0, side: Literal["lv", "hv"] = "lv"
) -> tuple[float, float]:
    """Largest import and largest export [kW, both positive] through a branch of the tree for a load of ``kva``.

    kva: what the more loaded end may carry, as current times its rated voltage (``Flow.branch_loading`` times
    ``Branch.rated_kva``); the rating itself gives the limits at 100 % loading.
    cos_phi: power factor at the lower terminals; what lies below also draws ``|P| tan(phi)`` of reactive power.
    side: where the limit is metered.  At the upper terminals (hv) the same state imports more and exports less, by what the
    branch itself loses.

    The upper end is taken at its voltage in the idle feeder.  A ``kva`` that the iron alone uses up gives 0.
    Raises ``FeederError`` for an unknown branch, a negative or not finite ``kva`` and a ``cos_phi`` outside (0, 1].
    """
    if not (kva >= 0 and math.isfinite(kva)):
        raise FeederError(feeder.name, f"{branch}: a limit of {kva} kVA is not a number from 0 upwards")
    if not 0 < cos_phi <= 1:
        raise FeederError(feeder.name, f"{branch}: a power factor of {cos_phi} is not above 0 and at most 1")
    two_port, tan_phi = feeder.two_port(branch), math.tan(math.acos(cos_phi))
    import_kw = _largest(lambda p_kw: two_port.kva(p_kw, p_kw * tan_phi) <= kva)
    export_kw = _largest(lambda p_kw: two_port.kva(-p_kw, p_kw * tan_phi) <= kva)
    if side == "lv":
        return import_kw, export_kw
    return (
        two_port.upper_kw(import_kw, import_kw * tan_phi) if import_kw else 0.0,
        max(0.0, -two_port.upper_kw(-export_kw, export_kw * tan_phi)) if export_kw else 0.0,
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
