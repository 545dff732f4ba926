"""What a run amounts to, in numbers: a fold over its tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from results.metrics.conduct import Header, Physics, header, messages, physics, refused
from results.metrics.energy import Energy, energy
from results.metrics.grid import Transformer, transformers
from results.metrics.market import NodePrice, Parted, node_prices, parting
from results.metrics.money import Money, money
from results.metrics.vehicles import Vehicles, vehicles
from results.metrics.voltage import Voltages, voltages
from results.run import Run


@dataclass(frozen=True, slots=True)
class Summary:
    """A run in numbers."""

    header: Header
    energy: Energy
    prices: tuple[NodePrice, ...]
    parted: Parted
    transformers: tuple[Transformer, ...]
    physics: Physics
    vehicles: Vehicles
    voltages: Voltages
    money: Money
    messages: Mapping[str, int]
    refused: Mapping[str, int]
    seconds: Mapping[str, float]


def summarise(run: Run) -> Summary:
    """Fold a run's tables into numbers.  Intervals without a power flow count in no flow, loss or voltage."""
    return Summary(
        header=header(run),
        energy=energy(run),
        prices=node_prices(run),
        parted=parting(run),
        transformers=transformers(run),
        physics=physics(run),
        vehicles=vehicles(run),
        voltages=voltages(run),
        money=money(run),
        messages=messages(run),
        refused=refused(run),
        seconds=dict(run.manifest["durations"]),
    )
