"""Parts that several objects have: JSON-LD contexts, bags, people, places, times, prices."""

from __future__ import annotations

import re
from typing import Any, Final

from sim.wire.mapping import ABSENT, Each, Node, Pair, Record, Same, Slot, left_is, record, right_is
from sim.wire.tables.names import UNSPECIFIED

CORE_CONTEXT: Final = (
    "https://raw.githubusercontent.com/beckn/protocol-specifications-new/refs/heads/main/schema/core/v2/context.jsonld"
)
"""JSON-LD context of the core objects where a message does not say."""
_IS_CORE = re.compile(r"https://\S+/schema/core/v\d+/context\.jsonld")
_OFFSET_TIME = re.compile(r"\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")
PATHS = Same(remark="carried as it is: its JSONPath still names the keys of the other dialect")


def is_core_context(value: Any) -> bool:
    """Whether this is the address of a JSON-LD context of core objects."""
    return isinstance(value, str) and _IS_CORE.fullmatch(value) is not None


def core_context(node: Node) -> str:
    """The JSON-LD context of the core objects in this message."""
    return str(node.trip.facts.get("core", CORE_CONTEXT))


def _read_core_context(node: Node) -> Any:
    core = node.trip.facts.setdefault("core", node.value)
    if node.take() != core:
        node.note(f"changed: comes back as {core}, which the message's first core object names")
    return ABSENT


def write_core_context(node: Node) -> Any:
    """The same, for a core object that is being written."""
    node.trip.facts["core in use"] = True
    return core_context(node)


CORE_SLOT = Slot("@context", "", Pair(_read_core_context, write_core_context))


def bag(kind: str, *slots: Slot, needed: bool = True) -> Pair:
    """A core object that is a bag on the right.  needed: it stands there even if nothing is in it."""
    inward, outward = record(*slots), record(*slots).flipped()

    def there(node: Node) -> Any:
        content = inward.carry(node)
        return {"@context": core_context(node), "@type": kind, **content} if content or needed else ABSENT

    def back(node: Node) -> Any:
        return outward.carry(node) if open_bag(node, kind) else ABSENT

    return Pair(there, back)


def open_bag(node: Node, kind: str) -> bool:
    """Whether it is a bag of this kind; then what says so counts as read."""
    if node.look("@type") != kind:
        return False
    node.trip.take((*node.path, "@type"))
    context = node.at("@context")
    if context is not None and context.take() != core_context(node):
        context.note(f"changed: its JSON-LD context becomes {core_context(node)}")
    return True


def context_of(node: Node, key: str) -> Any:
    """What the context of the canonical message that is read says."""
    return node.trip.root.look(f"context/{key}", UNSPECIFIED)


def _role(node: Node, role: str) -> Any:
    parties = node.trip.root.look("message/contract/participants", [])
    ids = (party.get("id") for party in parties if party.get("descriptor", {}).get("code") == role)
    return next(filter(None, ids), None)


def seller(node: Node) -> Any:
    """Who sells: the participant in that role, else who answers."""
    return _role(node, "SELLER") or context_of(node, "bppId")


DESCRIPTOR = record(
    left_is("@type", "beckn:Descriptor"),
    Slot("schema:name", "name"),
    Slot("beckn:shortDesc", "shortDesc"),
    Slot("beckn:longDesc", "longDesc"),
    Slot("schema:image", "mediaFile", Each(record(Slot("", "uri")))),
)


def no_descriptor(_: Node) -> Any:
    """A descriptor that says nothing."""
    return {"@type": "beckn:Descriptor"}


DESCRIBED = Slot("beckn:descriptor", "descriptor", DESCRIPTOR, left_needs=no_descriptor)

_LOCATION = record(
    left_is("@type", "beckn:Location"),
    Slot("geo", "geo"),
    Slot("address", "address", Same(lambda value: isinstance(value, dict))),
)
PROVIDER = record(
    Slot("beckn:id", "id"),
    DESCRIBED,
    Slot("beckn:locations", "availableAt", Each(_LOCATION)),
    Slot("beckn:providerAttributes", "providerAttributes"),
)

_DETAILS = ("role", "telephone", "email", "taxID", "buyerAttributes")
_BUYER_BAG = bag("Buyer", *(Slot(f"beckn:{key}", key) for key in _DETAILS), needed=False)


def _buyer_there(node: Node) -> Any:
    """A buyer's details; or their customer's bag alone, where there is no more to say."""
    given = [key for key in _DETAILS if node.at(f"beckn:{key}") is not None]
    customer = node.at("beckn:buyerAttributes")
    return customer.take() if customer is not None and len(given) == 1 else _BUYER_BAG.carry(node)


def _buyer_back(node: Node) -> Any:
    return {"beckn:buyerAttributes": node.take()} if node.look("@type") == "EnergyCustomer" else _BUYER_BAG.back(node)


BUYER = record(
    CORE_SLOT,
    left_is("@type", "beckn:Buyer"),
    Slot("beckn:id", "id", left_needs=lambda node: context_of(node, "bapId")),
    Slot("beckn:displayName", "descriptor/name"),
    Slot("", "participantAttributes", Pair(_buyer_there, _buyer_back)),
)


def _has_offset(value: Any) -> bool:
    return isinstance(value, str) and _OFFSET_TIME.fullmatch(value) is not None


def _is_period(value: Any) -> bool:
    """Whether a period of the left says enough for the right, where times of day have an offset."""
    times = (value.get("schema:startTime"), value.get("schema:endTime"))
    return "schema:startDate" in value or "schema:endDate" in value or all(map(_has_offset, times))


PERIOD = Record(
    (
        left_is("@type", "beckn:TimePeriod"),
        Slot("schema:startDate", "startDate"),
        Slot("schema:endDate", "endDate"),
        Slot("schema:startTime", "startTime", Same(_has_offset)),
        Slot("schema:endTime", "endTime", Same(_has_offset)),
    ),
    left_fits=_is_period,
)


def price_there(node: Node) -> Any:
    """A price as a bag."""
    body = dict(node.take())
    typed, prefixed = body.pop("@type", None) is not None, any(key.startswith("schema:") for key in body)
    if typed != prefixed:
        node.note(f"changed: comes back {'with' if prefixed else 'without'} it", "@type")
    return {"@context": core_context(node), "@type": "PriceSpecification", **body}


def _price_back(node: Node) -> Any:
    if not open_bag(node, "PriceSpecification"):
        return ABSENT
    inside = {child.path[-1]: child for child in node.children()}
    body = {key: child.take() for key, child in inside.items() if key not in ("@context", "@type", "native")}
    # Who writes the older prefixed spelling types its prices, who writes the newer does not.
    typed = any(str(key).startswith("schema:") for key in body)
    return {"@type": "schema:PriceSpecification", **body} if typed else body


CONSIDERATION = record(
    Slot("", "considerationAttributes", Pair(price_there, _price_back)),
    right_is("status/code", "QUOTED"),
)

QUANTITY = Record(
    (
        Slot("unitQuantity", "value"),
        Slot("unitCode", "unitCode", Same(lambda value: value in ("KWH", "KW"))),
        Slot("unitText", "unitText"),
    ),
    left_fits=lambda value: "unitQuantity" in value,
)
