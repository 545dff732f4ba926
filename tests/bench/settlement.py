"""A contract of five terms over many meter intervals: how long its settlement takes, and what its result is."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sim.contracts.settle import settle

CONTRACT: dict[str, Any] = {
    "contractId": "bench",
    "currency": "EUR",
    "roles": [
        {"role": role, "filledBy": role.lower()}
        for role in ("BUYER", "SELLER", "GRID_OPERATOR", "AGGREGATOR", "GOVERNMENT")
    ],
    "inputParameters": {
        "wheelingPerKWh": Decimal("0.0213"),
        "feePerKWh": Decimal("0.0047"),
        "penaltyPerKWh": Decimal("0.031"),
        "taxRate": {"value": Decimal("0.19"), "unit": "SHARE"},
    },
    "inputSignals": [{"signalId": "market", "signalType": "PRICE"}],
    "telemetrySources": [{"sourceId": "meter", "sourceType": "METER_READING"}],
    "revenueFlows": {
        "flows": [
            {"from": "BUYER", "to": "SELLER", "name": "energy", "formula": "energyKWh * pricePerKWh"},
            {
                "from": "BUYER",
                "to": "GRID_OPERATOR",
                "name": "wheeling",
                "formula": "max(energyKWh, 0) * wheelingPerKWh",
            },
            {"from": "BUYER", "to": "AGGREGATOR", "name": "fee", "formula": "abs(energyKWh) * feePerKWh"},
            {
                "from": "BUYER",
                "to": "GRID_OPERATOR",
                "name": "deviation",
                "formula": "abs(energyKWh - plannedKWh) * penaltyPerKWh",
            },
            {"from": "BUYER", "to": "GOVERNMENT", "name": "tax", "formula": "taxRate * energyKWh * pricePerKWh"},
        ]
    },
}


def signals(count: int) -> dict[str, Any]:
    """Readings and prices of ``count`` intervals, the same whenever asked."""
    meter = [
        {"energyKWh": Decimal(k * 7919 % 5000).scaleb(-3), "plannedKWh": Decimal(k * 6007 % 5000).scaleb(-3)}
        for k in range(count)
    ]
    market = [{"pricePerKWh": Decimal(800 + k * 4001 % 2400).scaleb(-4)} for k in range(count)]
    return {"meter": meter, "market": market}


def settled(told: dict[str, Any]) -> Any:
    """The report."""
    return settle(CONTRACT, told, "bench")
