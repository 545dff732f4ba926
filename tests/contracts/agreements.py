"""Contracts to try things on, short to write."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sim.contracts.settle import form, settle
from sim.errors import ContractError

PARTIES = {"BUYER": "ev-1", "SELLER": "solar-1", "GRID_OPERATOR": "utility-1", "GOVERNMENT": "treasury"}


def decimals(value: Any) -> Any:
    """The same JSON with its floats as the decimals that ``read_json`` would make of them."""
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, dict):
        return {key: decimals(item) for key, item in value.items()}
    return [decimals(item) for item in value] if isinstance(value, list) else value


def contract(flows: list[Any], *, currency: str = "INR", parties: Any = None, **more: Any) -> dict[str, Any]:
    """A contract with from/to flows; each flow a mapping, or (from, to, formula)."""
    stated = [
        flow if isinstance(flow, dict) else dict(zip(("from", "to", "formula"), flow, strict=True)) for flow in flows
    ]
    roles = [{"role": role, "filledBy": era} for role, era in (parties or PARTIES).items()]
    return decimals(
        {"contractId": "c-1", "currency": currency, "roles": roles, "revenueFlows": {"flows": stated}, **more}
    )  # type: ignore[no-any-return]


def settled(document: Any, signals: Any, previous: Any = None) -> Any:
    """The report."""
    return settle(decimals(document), decimals(signals), "c.json", previous)


def balances(document: Any, signals: Any) -> dict[str, str]:
    """Balances as text, without those who neither pay nor receive."""
    return {era: str(amount) for era, amount in settled(document, signals)["balances"].items() if amount}


def amounts(document: Any, signals: Any) -> dict[str, str]:
    """Posted amounts as text by term; negative where money flows against the flow."""
    lines = settled(document, signals)["evidence"]["lines"]
    return {line["term"]: str(line["amount"]) for line in lines}


def faults(document: Any, signals: Any = None) -> list[str]:
    """What is said of a contract that is refused: when it is formed, or when it is settled."""
    try:
        form(decimals(document), "c.json") if signals is None else settled(document, signals)
    except ContractError as error:
        return [str(fault) for fault in error.faults]
    return []
