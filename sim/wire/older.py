"""The older peer-to-peer shape: an order of version 1 in an envelope of version 2.  Read, never written.

No schema of it was ever published, so only the envelope is checked; keys come with the prefix ``beckn:`` or without.  What
has a home in the canonical dialect finds it, and the rest is noted.
"""

from __future__ import annotations

import math
from typing import Any, get_args

import msgspec

from sim.wire.bags import (
    Beneficiary,
    CommitmentBag,
    ContractBag,
    ParticipantBag,
    PaymentStatus,
    PerformanceBag,
    ResourceBag,
)
from sim.wire.basics import Email, Identifier, Money, Wire
from sim.wire.check import envelope, faults_of
from sim.wire.explain import Complaint
from sim.wire.mapping import ABSENT, Each, Node, Pair, Record, Same, Slot, Way, Words, record, right_is
from sim.wire.rc import Context, ErrorBody, Price
from sim.wire.tables import CONTEXT
from sim.wire.tables.names import UNSPECIFIED
from sim.wire.tables.orders import ONE, identity_there, settled, state_of, stub
from sim.wire.tables.others import ERROR
from sim.wire.tables.parts import core_context, price_there

_MARKS = frozenset({"items", "fulfillments", "payments", "quote", "billing", "provider"})


class Content(Wire, frozen=True, kw_only=True):
    """Body of every action: an order in its own way."""

    order: dict[str, Any]


ACTIONS: tuple[str, ...] = tuple(
    f"{prefix}{action}"
    for action in ("select", "init", "confirm", "status", "update", "cancel")
    for prefix in ("", "on_")
)
"""The actions that carry such an order."""
_ENVELOPES = {
    action: envelope(action, Context, Content, ErrorBody if action.startswith("on_") else None) for action in ACTIONS
}


def is_older(order: dict[str, Any]) -> bool:
    """Whether an order is of this shape: keys of version 1, and none of those that took their place."""
    keys = {key.removeprefix("beckn:") for key in order}
    return bool(keys & _MARKS) and not keys & {"orderItems", "orderStatus"}


def faults(action: str, raw: bytes | str) -> tuple[Complaint, ...]:
    """What is wrong with the envelope of a message.  Raises ``KeyError`` for an unknown action."""
    return faults_of(_ENVELOPES[action], raw)


def _either(*names: str) -> str:
    """The place that has one of these names, with the prefix or without."""
    return "|".join(spelling for name in names for spelling in (f"beckn:{name}", name))


def _one_way(function: Any) -> Pair:
    return Pair(function, lambda _: ABSENT)


def _some(way: Way) -> Pair:
    """The same way for every element, where there is one at all."""
    return _one_way(lambda node: Each(way).carry(node) or ABSENT)


def _fits(value: Any, kind: Any) -> bool:
    """Whether the canonical dialect would take it as it is."""
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def _is_text(value: Any) -> bool:
    return _fits(value, Identifier)


def _bag_of(slot: Any) -> Same:
    """A bag that may stand in the slot; others are left behind."""
    return Same(lambda value: isinstance(value, dict) and "@type" in value and _fits(value, slot))


def _says_what_it_is(node: Node) -> Any:
    """The type of a core object, which its place says already."""
    if isinstance(node.value, str) and node.value.startswith("beckn:"):
        node.take()
    return ABSENT


_TEXT = Same(_is_text)
_TYPE = Slot("@type", "", _one_way(_says_what_it_is))
_ID = Slot(_either("id"), "id", _TEXT)
_NAME = Slot("beckn:descriptor|descriptor", "descriptor", record(Slot("schema:name|beckn:name|name", "name", _TEXT)))


def _identity(node: Node) -> Any:
    return identity_there(node) if _is_text(node.value) else ABSENT


def _state(node: Node) -> Any:
    code = state_of(node.value) if isinstance(node.value, str) else None
    return {"code": code, "name": node.take()} if code else ABSENT


def _number(value: Any) -> float | None:
    """A number, or text that is one, as version 1 writes amounts."""
    try:
        number = None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if number is not None and math.isfinite(number) else None


_AMOUNTS = ("unitQuantity", "count", "value", "selected/count", "selected/measure/value")
_UNITS = ("unitText", "unit", "unitCode", "selected/measure/unit")


def _quantity(node: Node) -> Any:
    amount = next((found for path in _AMOUNTS if (found := node.at(path)) and _number(found.value) is not None), None)
    unit = next((found for path in _UNITS if (found := node.at(path)) and _is_text(found.value)), None)
    if amount is None:
        return ABSENT
    carried = {"value": _number(amount.take())}
    return carried if unit is None else carried | {"unitText": unit.take()}


def _offer(node: Node) -> Any:
    """The offer of a line: its own, else the order's only one."""
    own = node.at(_either("acceptedOffer", "offer") + "/" + _either("id"))
    order = node.trip.root.at("message/order")
    offers = order.at(_either("offers", "acceptedOffers")) if order is not None else None
    if own is None and offers is not None and isinstance(offers.value, list) and len(offers.value) == 1:
        own = offers.at("0/" + _either("id"))
    resource = node.look(_either("id"), UNSPECIFIED)
    known = own is not None and _is_text(own.value)
    return {"id": own.take() if own is not None and known else UNSPECIFIED, "resourceIds": [resource]}


_ITEM = record(
    _TYPE,
    Slot(_either("id"), "resources/0/id", _TEXT, right_needs=lambda _: UNSPECIFIED),
    Slot(
        "beckn:descriptor|descriptor",
        "resources/0/descriptor",
        record(Slot("schema:name|beckn:name|name", "name", _TEXT)),
    ),
    Slot(_either("quantity"), "resources/0/quantity", _one_way(_quantity), right_needs=lambda _: dict(ONE)),
    Slot("", "offer", _one_way(_offer)),
    Slot(_either("itemAttributes"), "resources/0/resourceAttributes", _bag_of(ResourceBag)),
    Slot(_either("orderItemAttributes", "attributes"), "commitmentAttributes", _bag_of(CommitmentBag)),
    Slot("", "status", _one_way(lambda _: {})),
)


def _party(role: str) -> Record:
    return record(
        _TYPE,
        _ID,
        _NAME,
        Slot(_either("displayName", "name"), "descriptor/name", _TEXT),
        Slot(
            _either("buyerAttributes", "providerAttributes", "attributes"),
            "participantAttributes",
            _bag_of(ParticipantBag),
        ),
        right_is("descriptor/code", role),
    )


def _named_or_whole(role: str) -> Pair:
    """A party by its id alone, or as an object."""
    whole = _party(role)

    def there(node: Node) -> Any:
        if isinstance(node.value, dict):
            return whole.carry(node)
        return {"id": node.take()} if _is_text(node.value) else ABSENT

    return _one_way(there)


def _contact(node: Node) -> Any:
    """Whom to bill, in the buyer's bag."""
    inside = record(
        Slot(_either("email"), "email", Same(lambda value: _fits(value, Email))),
        Slot(_either("phone", "telephone"), "telephone", _TEXT),
        Slot(_either("tax_id", "taxID", "tax_number"), "taxID", _TEXT),
    ).carry(node)
    return {"@context": core_context(node), "@type": "Buyer", **inside} if inside else ABSENT


_BILLING = record(
    _TYPE,
    Slot(_either("name"), "descriptor/name", _TEXT),
    Slot("", "participantAttributes", _one_way(_contact)),
)
_FULFILLMENT = record(
    _TYPE,
    _ID,
    Slot(_either("type", "mode"), "status/name", _TEXT),
    Slot("/".join(map(_either, ("state", "descriptor", "code"))), "status/code", _TEXT),
    Slot(_either("fulfillmentStatus", "status"), "status/code", _TEXT),
    Slot(
        _either("deliveryAttributes", "fulfillmentAttributes", "attributes"),
        "performanceAttributes",
        _bag_of(PerformanceBag),
    ),
)
_STATUSES = frozenset(get_args(PaymentStatus))


def _payment(node: Node) -> Any:
    """State and amount, in the payment's bag."""
    status = node.at(_either("paymentStatus", "status"))
    if status is None or not isinstance(status.value, str) or status.value not in _STATUSES:
        return ABSENT
    inside = record(
        Slot(
            _either("amount", "price"),
            "amount",
            Same(lambda value: _fits(value, Money)),
        ),
        Slot(_either("beneficiary"), "beneficiary", Words({word: word for word in get_args(Beneficiary)})),
        Slot(_either("txnRef", "transactionId"), "txnRef", _TEXT),
    ).carry(node)
    bag = {"@context": core_context(node), "@type": "Payment", "paymentStatus": status.take(), **inside}
    return {"status": settled(status.value), "settlementAttributes": bag}


_PAYMENT = record(_TYPE, _ID, Slot("", "", _one_way(_payment)))


def _quote(node: Node) -> Any:
    _TYPE.carry(node, {})
    price = node.at(_either("price", "total"))
    if price is None or not price.value or not _fits(price.value, Price):
        return ABSENT
    return {"considerationAttributes": price_there(price), "status": {"code": "QUOTED"}}


def _address(node: Node) -> Any:
    """The order's JSON-LD context; only one that a bag can name is kept."""
    if isinstance(node.value, str) and node.value.startswith("https://") and node.value.endswith(".jsonld"):
        node.trip.facts["core"] = node.take()
    return ABSENT


_ORDER = record(
    _TYPE,
    Slot("@context", "", _one_way(_address)),
    Slot(_either("id"), "", _one_way(_identity)),
    Slot(_either("status", "state"), "status", _one_way(_state)),
    Slot(_either("orderNumber"), "descriptor/name", _TEXT),
    Slot(_either("provider", "seller"), "participants/descriptor.code=SELLER", _named_or_whole("SELLER")),
    Slot(_either("buyer", "customer"), "participants/descriptor.code=BUYER", _named_or_whole("BUYER")),
    Slot(_either("billing"), "participants/descriptor.code=BUYER", _BILLING),
    Slot(_either("items"), "commitments", _some(_ITEM), right_needs=lambda _: stub()["commitments"]),
    Slot(_either("fulfillments"), "performance", _some(_FULFILLMENT)),
    Slot(_either("fulfillment"), "performance/0", _FULFILLMENT),
    Slot(_either("payments"), "settlements", _some(_PAYMENT)),
    Slot(_either("payment"), "settlements/0", _PAYMENT),
    Slot(_either("quote"), "consideration/id=total", _one_way(_quote)),
    Slot(_either("orderAttributes", "contractAttributes"), "contractAttributes", _bag_of(ContractBag)),
)


WHOLE = record(
    Slot("message", "message", record(Slot("order", "contract", _ORDER))),
    Slot("error", "error", ERROR),
    Slot("context", "context", CONTEXT),
)
"""How a whole message becomes a canonical one."""
