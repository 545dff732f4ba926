"""What a participant needs of a message that the schema alone does not promise: asked for, or refused by pointer."""

from __future__ import annotations

from typing import TypeVar

from msgspec import UNSET, UnsetType

from sim.wire.bags import EnergyContract
from sim.wire.codes import Code, Refusal
from sim.wire.messages import Message

T = TypeVar("T")
ATTRIBUTES = "/message/contract/contractAttributes"


def needed(value: T | UnsetType, pointer: str) -> T:
    """The value that stands at ``pointer``.  Raises ``Refusal`` where there is none."""
    if value is UNSET:
        raise Refusal(Code.SCH_REQUIRED_FIELD_MISSING, pointer, "expected a value, got none")
    return value


def bag(value: object, kind: type[T], pointer: str) -> T:
    """The bag at ``pointer``.  Raises ``Refusal`` for a bag of another type, or none."""
    if not isinstance(value, kind):
        got = "none" if value is UNSET else type(value).__name__
        raise Refusal(Code.SCH_TYPE_NOT_SUPPORTED, pointer, f"expected {kind.__name__}, got {got}")
    return value


def energy_contract(message: Message) -> EnergyContract:
    """The energy side of the contract that a message carries.  Raises ``Refusal`` where there is none."""
    return bag(message.contract.contractAttributes, EnergyContract, ATTRIBUTES)
