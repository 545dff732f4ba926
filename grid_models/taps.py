"""Transformers that hold the voltage below them by turning their taps under load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from grid_models import network
from sim.errors import Fault, FeederError, nearest


@dataclass(frozen=True, slots=True)
class TapChanger:
    """What a scenario asks for: keep the voltage at the transformer's low-voltage bus within a band [per unit]."""

    transformer: str
    low_pu: float
    high_pu: float


@dataclass(frozen=True, slots=True)
class PlacedChanger:
    """A tap changer in a network: of which row of ``net.trafo``, at which bus, within which positions.

    raising: by how much the position changes to raise the voltage below, +1 or -1.
    """

    index: int
    bus: int
    low_pu: float
    high_pu: float
    lowest: int
    highest: int
    raising: int

    def next(self, position: int, v_pu: float) -> int:
        """The position to try next: one step towards the band, as far as the range allows; NaN moves nothing."""
        step = self.raising if v_pu < self.low_pu else -self.raising if v_pu > self.high_pu else 0
        return min(max(position + step, self.lowest), self.highest)


def placed_changers(net: Any, source: str, wanted: Sequence[TapChanger]) -> tuple[PlacedChanger, ...]:
    """The tap changers in a network.  Raises ``FeederError`` with every one that cannot be, and why."""
    names = {
        name: int(i) for i, name in zip(net.trafo.index, network.unique_names(net.trafo, "transformer"), strict=True)
    }
    faults: list[Fault] = []
    placed: list[PlacedChanger] = []
    for number, changer in enumerate(wanted):
        where = f"tap_changers[{number}]"
        index = names.get(changer.transformer)
        if index is None:
            what = f"no transformer {changer.transformer!r}"
            faults.append(Fault(f"{where}.transformer", what, nearest(changer.transformer, names)))
            continue
        if index in [other.index for other in placed]:
            faults.append(Fault(f"{where}.transformer", f"{changer.transformer} has a tap changer already"))
            continue
        row = net.trafo.loc[index]
        step = row.tap_step_percent
        numbers = [row.tap_min, row.tap_max, row.tap_pos, row.tap_neutral, step]
        turns = row.tap_side in ("hv", "lv") and row.get("tap_changer_type", "Ratio") == "Ratio"
        if not (np.isfinite(numbers).all() and row.tap_min < row.tap_max and step and turns):
            what = f"{changer.transformer} has no taps that change its ratio in the network"
            remedy = (
                "give it tap_changer_type Ratio, tap_side, tap_neutral, tap_min, tap_max, tap_pos and tap_step_percent"
            )
            faults.append(Fault(where, what, remedy))
            continue
        # A higher position adds turns on its side: on the high-voltage side that lowers the voltage below.
        raising = (-1 if row.tap_side == "hv" else 1) * (1 if step > 0 else -1)
        smallest = abs(step) / 100
        if changer.high_pu - changer.low_pu < smallest:
            what = f"band of {changer.high_pu - changer.low_pu:.4f} pu is narrower than one step of {smallest:.4f} pu"
            faults.append(Fault(where, what, "widen it, or the tap would turn back and forth"))
            continue
        placed.append(
            PlacedChanger(
                index, int(row.lv_bus), changer.low_pu, changer.high_pu, int(row.tap_min), int(row.tap_max), raising
            )
        )
    if faults:
        raise FeederError(source, tuple(faults))
    return tuple(placed)
