"""Which place of the release candidate's dialect (left) is which place of the canonical one (right).

Every table is read both ways.  What only one side knows is no slot here and becomes a note; what a side cannot do without is
derived, or stands in under the name ``unspecified`` and goes again on the way back.
"""

from __future__ import annotations

from typing import Any

from sim.wire.mapping import ABSENT, Node, Pair, Record, Slot, Way, record
from sim.wire.messages import ALIASES
from sim.wire.tables.names import is_uuid, name_uuid
from sim.wire.tables.orders import ORDER, REFERENCE
from sim.wire.tables.others import CATALOGS, DISCOVER, ERROR, PUBLISHED, RATE, RATED, SUPPORT, SUPPORTED, TRACK, TRACKED
from sim.wire.tables.parts import core_context


def _uuid_there(node: Node) -> Any:
    name = node.take()
    if is_uuid(name):
        return name
    node.note(f"changed: {name!r} is no UUID, became {name_uuid(name)}")
    return name_uuid(name)


_ID = Pair(_uuid_there, lambda node: node.take())


def _network_there(node: Node) -> Any:
    node.trip.enter(node.path)
    first = node.at("0")
    return ABSENT if first is None else first.take()


def _schemas_there(node: Node) -> Any:
    """The core objects' own context goes first, if there are any."""
    own, core = node.at("schema_context"), node.trip.facts.get("core")
    rest = [] if own is None else own.take()
    return {"schemaContext": [core, *rest]} if core else ABSENT if own is None else {"schemaContext": rest}


def _schemas_back(node: Node) -> Any:
    own = node.at("schemaContext")
    rest = [] if own is None else own.take()
    if node.trip.facts.get("core in use"):
        if rest and rest[0] == core_context(node):
            rest = rest[1:]
        else:
            node.note(f"added: the core objects name {core_context(node)}", "schemaContext")
    return {"schema_context": rest} if rest else ABSENT


RENAMED = {
    "rating": "rate",
    "on_rating": "on_rate",
    "catalog_publish": "catalog/publish",
    "on_catalog_publish": "catalog/on_publish",
}
"""Actions that are called otherwise; the others have one name."""
_PLAIN = {canonical: action for action, canonical in RENAMED.items()}


def plain_action(action: str) -> str:
    """Name of a canonical action in the other dialect."""
    return _PLAIN.get(ALIASES.get(action, action), action)


CONTEXT = record(
    Slot("version", "version"),
    Slot(
        "action",
        "action",
        Pair(lambda node: RENAMED.get(node.take(), node.value), lambda node: plain_action(node.take())),
    ),
    Slot("bap_id", "bapId"),
    Slot("bap_uri", "bapUri"),
    Slot("bpp_id", "bppId"),
    Slot("bpp_uri", "bppUri"),
    Slot("transaction_id", "transactionId", _ID),
    Slot("message_id", "messageId", _ID),
    Slot("timestamp", "timestamp"),
    Slot("ttl", "ttl"),
    Slot("domain", "domain"),
    Slot("location", "location"),
    Slot("network_id", "networkId", Pair(_network_there, lambda node: [node.take()])),
    Slot("key", "key"),
    Slot("", "", Pair(_schemas_there, _schemas_back)),
)

BODIES: dict[str, Way] = {
    "discover": DISCOVER,
    "on_discover": CATALOGS,
    **dict.fromkeys(("select", "init", "confirm", "update"), ORDER),
    **dict.fromkeys(("on_select", "on_init", "on_confirm", "on_status", "on_update", "on_cancel"), ORDER),
    "status": REFERENCE,
    "cancel": REFERENCE,
    "track": TRACK,
    "on_track": TRACKED,
    "rating": RATE,
    "on_rating": RATED,
    "support": SUPPORT,
    "on_support": SUPPORTED,
    "catalog_publish": CATALOGS,
    "on_catalog_publish": PUBLISHED,
}
"""How the body of each action goes over, by its name on the left."""


def whole(action: str) -> Record:
    """How a whole message of an action goes over.  Raises ``KeyError`` for an action that only one side knows."""
    # The context goes last: it says what the core objects of the body were found to name.
    return record(
        Slot("message", "message", BODIES[action]), Slot("error", "error", ERROR), Slot("context", "context", CONTEXT)
    )
