"""Valid messages for every action, as conversations: documentation that a test holds to the types.

One module a conversation; money and energy in them add up.  A request and its callback share their ids, and the callback
carries its request's digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sim.wire.examples import charging, forecasts, ledger, market, programmes, reserves, trade, wires
from sim.wire.examples.frame import example_bytes
from sim.wire.messages import ACTIONS, Message

CONVERSATIONS: Mapping[str, tuple[Message, ...]] = MappingProxyType(
    {
        "charging": charging.MESSAGES,
        "trade": trade.MESSAGES,
        "market": market.MESSAGES,
        "programmes": programmes.MESSAGES,
        "forecasts": forecasts.MESSAGES,
        "reserves": reserves.MESSAGES,
        "wires": wires.MESSAGES,
        "ledger": ledger.MESSAGES,
    }
)
"""Messages by conversation, in the order in which they are told."""

EXAMPLES: Mapping[str, tuple[Message, ...]] = MappingProxyType(
    {action: tuple(m for told in CONVERSATIONS.values() for m in told if m.action == action) for action in ACTIONS}
)
"""Messages by action."""

__all__ = ["CONVERSATIONS", "EXAMPLES", "example_bytes"]
