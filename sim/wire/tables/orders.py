"""Orders (left) and contracts (right)."""

from __future__ import annotations

import json
from typing import Any, Final, get_args

from sim.wire.mapping import ABSENT, Each, Node, Pair, Record, Slot, Words, left_is, record, right_is
from sim.wire.rc import FulfillmentMode
from sim.wire.tables.catalogs import OFFER
from sim.wire.tables.names import UNSPECIFIED, is_uuid, name_uuid
from sim.wire.tables.parts import BUYER, CONSIDERATION, CORE_SLOT, QUANTITY, bag, context_of, seller, write_core_context

_CORE_STATE = {
    "CREATED": "DRAFT", "PENDING": "DRAFT",
    "CONFIRMED": "ACTIVE", "INPROGRESS": "ACTIVE", "PARTIALLYFULFILLED": "ACTIVE", "ONHOLD": "ACTIVE",
    "COMPLETED": "COMPLETE", "RETURNED": "COMPLETE", "REFUNDED": "COMPLETE",
    "CANCELLED": "CANCELLED", "REJECTED": "CANCELLED", "FAILED": "CANCELLED",
}  # fmt: skip
"""State of a contract by that of an order; the first of each is what a contract without a finer word becomes."""
_ORDER_STATE = {core: order for order, core in reversed(_CORE_STATE.items())}
_COMMITMENT_STATE = {"DRAFT": "DRAFT", "ACTIVE": "ACTIVE", "COMPLETE": "CLOSED", "CANCELLED": "CLOSED"}
_SETTLED = {
    "INITIATED": "DRAFT", "PENDING": "DRAFT",
    "AUTHORIZED": "COMMITTED", "CAPTURED": "COMMITTED", "ON_HOLD": "COMMITTED", "DISPUTED": "COMMITTED",
    "COMPLETED": "COMPLETE", "SETTLED": "COMPLETE", "ADJUSTED": "COMPLETE", "REFUNDED": "COMPLETE",
    "PARTIALLY_REFUNDED": "COMPLETE", "CHARGEBACK": "COMPLETE", "REVERSED": "COMPLETE",
    "FAILED": "DRAFT", "CANCELLED": "DRAFT", "EXPIRED": "DRAFT", "VOIDED": "DRAFT",
}  # fmt: skip
"""State of a settlement by that of a payment: nothing promised, promised, or money has moved."""
_PAYMENT_STATE = {settled: payment for payment, settled in reversed(_SETTLED.items())}


def state_of(order_status: str) -> str | None:
    """The state of a contract whose order says this; None for a word that is no order status."""
    return _CORE_STATE.get(order_status)


def settled(payment_status: str) -> str:
    """The state of a settlement whose payment says this."""
    return _SETTLED[payment_status]


def identity_there(node: Node) -> Any:
    """An order's id as a contract's: kept if it is a UUID, else one made from it, with the original beside."""
    original = node.take()
    if is_uuid(original):
        return {"id": original}
    node.note(f"changed: {original!r} is no UUID, became {name_uuid(original)}; descriptor.code keeps it")
    return {"id": name_uuid(original), "descriptor": {"code": original}}


def identity_back(node: Node) -> Any:
    """An order's id from a contract: the original, where it is known to have been another."""
    identity, original = node.at("id"), node.at("descriptor/code")
    if identity is None:
        return ABSENT
    if original is not None and name_uuid(original.value) == identity.value:
        identity.take()
        return original.take()
    return identity.take()


_IDENTITY = Slot("beckn:id", "", Pair(identity_there, identity_back))


def _state_there(node: Node) -> Any:
    core = _CORE_STATE[node.take()]
    node.trip.facts["commitment"] = _COMMITMENT_STATE[core]
    # The word itself is kept where the state alone would come back as another.
    return {"code": core} if _ORDER_STATE[core] == node.value else {"code": core, "name": node.value}


def _state_back(node: Node) -> Any:
    node.trip.enter(node.path)
    code, name = node.at("code"), node.at("name")
    if code is None:
        return ABSENT
    node.trip.facts["commitment"] = _COMMITMENT_STATE[code.take()]
    if name is not None and _CORE_STATE.get(name.value) == code.value:
        return name.take()
    return _ORDER_STATE[code.value]


def _line_state_there(node: Node) -> Any:
    code = node.trip.facts.get("commitment")
    return {"status": {"descriptor": {"code": code}} if code else {}}


def _line_state_back(node: Node) -> Any:
    """It follows from the contract's; what does not follow stays unread."""
    status = node.at("status")
    if status is not None:
        node.trip.enter(status.path)
        code = status.at("descriptor/code")
        if code is not None and code.value == node.trip.facts.get("commitment", "DRAFT"):
            code.take()
    return ABSENT


_OFFER_BACK, _QUANTITY_BACK = OFFER.flipped(), QUANTITY.flipped()


def _offer_there(node: Node) -> Any:
    offer = node.at("beckn:acceptedOffer")
    if offer is not None:
        return {"offer": OFFER.carry(offer)}
    node.note(f"added: LTS asks for an offer, and got one called {UNSPECIFIED!r}")
    return {"offer": {"id": UNSPECIFIED, "resourceIds": [node.look("beckn:orderedItem")]}}


def _offer_back(node: Node) -> Any:
    offer = node.at("offer")
    if offer is None or offer.look("id") != UNSPECIFIED:
        return ABSENT if offer is None else {"beckn:acceptedOffer": _OFFER_BACK.carry(offer)}
    node.trip.take((*offer.path, "id"))
    if offer.look("resourceIds") == [node.look("resources/0/id")]:
        node.trip.take((*offer.path, "resourceIds"))
    return ABSENT


ONE: Final = {"value": 1.0, "unitText": UNSPECIFIED}
"""How much is committed where nobody said: one, of whatever it is counted in; the canonical dialect asks."""


def _quantity_there(node: Node) -> Any:
    quantity = node.at("beckn:quantity")
    carried = ABSENT if quantity is None else QUANTITY.carry(quantity)
    if carried is not ABSENT:
        return carried
    node.note(f"added: LTS asks for a quantity, and got {json.dumps(ONE)}")
    return dict(ONE)


def _quantity_back(node: Node) -> Any:
    if node.value == ONE:
        node.take()
        return ABSENT
    return {"beckn:quantity": _QUANTITY_BACK.carry(node)}


_LINE = record(
    Slot("beckn:lineId", "id"),
    Slot("beckn:orderedItem", "resources/0/id"),
    Slot("", "resources/0/quantity", Pair(_quantity_there, _quantity_back)),
    Slot("", "", Pair(_offer_there, _offer_back)),
    Slot("beckn:price", "offer/considerations/id=line", CONSIDERATION),
    Slot("beckn:orderItemAttributes", "commitmentAttributes"),
    Slot("", "", Pair(_line_state_there, _line_state_back)),
)


def _mode(_: Node) -> Any:
    return "DELIVERY"


_MODES = Words({mode: mode for mode in get_args(FulfillmentMode)})
_FULFILLMENT = record(
    CORE_SLOT,
    left_is("@type", "beckn:Fulfillment"),
    Slot("beckn:id", "id"),
    Slot("beckn:fulfillmentStatus", "status/code"),
    Slot("beckn:mode", "status/name", _MODES, left_needs=_mode),
    Slot("beckn:deliveryAttributes", "performanceAttributes"),
    Slot(
        "trackingAction",
        "status/docs/0",
        Record(
            (
                left_is("@type", "beckn:TrackAction"),
                left_is("target/@type", "schema:EntryPoint"),
                Slot("target/url", "url"),
                right_is("label", "tracking"),
                right_is("mimeType", "text/html"),
            ),
            left_fits=lambda value: "target" in value,
        ),
    ),
)

_PAYMENT_BAG = bag(
    "Payment",
    Slot("beckn:paymentStatus", "paymentStatus"),
    Slot("beckn:amount", "amount"),
    Slot("beckn:paymentURL", "paymentURL"),
    Slot("beckn:txnRef", "txnRef"),
    Slot("beckn:paidAt", "paidAt"),
    Slot("beckn:acceptedPaymentMethod", "acceptedPaymentMethod"),
    Slot("beckn:beneficiary", "beneficiary"),
    Slot("beckn:paymentAttributes", "paymentAttributes"),
)


def _settlement_there(node: Node) -> Any:
    """A payment, or a settlement cycle that travels in one; of the order's value, where it has one."""
    state = _SETTLED[node.look("beckn:paymentStatus")]
    value = node.trip.root.at("message/order/beckn:orderValue")
    settlement = {"status": state} if value is None else {"status": state, "considerationId": "total"}
    cycle = node.at("beckn:paymentAttributes")
    if cycle is None or cycle.look("@type") != "EnergySettlement":
        return settlement | {"settlementAttributes": _PAYMENT_BAG.carry(node)}
    if node.look("beckn:paymentStatus") == _PAYMENT_STATE[state]:
        node.trip.take((*node.path, "beckn:paymentStatus"))
    return settlement | {"settlementAttributes": cycle.take()}


def _has_total(node: Node) -> bool:
    promised = node.trip.root.look("message/contract/consideration", [])
    return any(consideration["id"] == "total" for consideration in promised)


def _settlement_back(node: Node) -> Any:
    inside, status, promise = (node.at(key) for key in ("settlementAttributes", "status", "considerationId"))
    if promise is not None and promise.value == "total" and _has_total(node):
        promise.take()
    carried: Any = ABSENT if inside is None else _PAYMENT_BAG.back(inside)
    if carried is ABSENT:
        state = "DRAFT" if status is None else status.take()
        cycle = {} if inside is None else {"beckn:paymentAttributes": inside.take()}
        return {"beckn:paymentStatus": _PAYMENT_STATE[state], **cycle}
    if status is not None and status.value == _SETTLED[carried["beckn:paymentStatus"]]:
        status.take()
    return carried


_PAYMENT = record(
    CORE_SLOT,
    left_is("@type", "beckn:Payment"),
    Slot("beckn:id", "id"),
    Slot("", "", Pair(_settlement_there, _settlement_back)),
)


def _caller(node: Node) -> Any:
    identity = context_of(node, "bapId")
    return {"@context": write_core_context(node), "@type": "beckn:Buyer", "beckn:id": identity}


_ORDER = record(
    CORE_SLOT,
    left_is("@type", "beckn:Order"),
    _IDENTITY,
    Slot("beckn:orderStatus", "status", Pair(_state_there, _state_back), left_needs=lambda _: "CREATED"),
    Slot("beckn:orderNumber", "descriptor/name"),
    Slot("beckn:seller", "participants/descriptor.code=SELLER/id", left_needs=seller),
    Slot("beckn:buyer", "participants/descriptor.code=BUYER", BUYER, left_needs=_caller),
    Slot("beckn:orderItems", "commitments", Each(_LINE)),
    Slot("beckn:orderValue", "consideration/id=total", CONSIDERATION),
    Slot("beckn:payment", "settlements/0", _PAYMENT),
    Slot("beckn:fulfillment", "performance/0", _FULFILLMENT),
    Slot("beckn:orderAttributes", "contractAttributes"),
)
_ORDER_BACK = _ORDER.flipped()


def stub() -> Any:
    """The commitment of a contract that is only named: the canonical dialect asks for one everywhere."""
    resource, offer = {"id": UNSPECIFIED, "quantity": dict(ONE)}, {"id": UNSPECIFIED, "resourceIds": [UNSPECIFIED]}
    return {"commitments": [{"status": {}, "resources": [resource], "offer": offer}]}


def _lines_or_stub(node: Node) -> Any:
    return ABSENT if node.at("beckn:orderItems") is not None else stub()


def read_stub(node: Node) -> Any:
    """Nothing; but a commitment that only stood in counts as read."""
    if node.look("commitments") == stub()["commitments"]:
        node.trip.take((*node.path, "commitments"))
    return ABSENT


_NAMED = record(_IDENTITY, Slot("", "", Pair(_lines_or_stub, read_stub)))
_NAMED_BACK = _NAMED.flipped()
_LINES = Slot("beckn:orderItems", "commitments", Each(_LINE))


def _reference_there(node: Node) -> Any:
    if node.at("@type") is not None:
        return _ORDER.carry(node)
    return _LINES.carry(node, _NAMED.carry(node))


def _reference_back(node: Node) -> Any:
    """Only a contract that says more than which one it is makes a whole order."""
    if node.value.keys() - {"id", "descriptor", "commitments"}:
        return _ORDER_BACK.carry(node)
    node.trip.facts["commitment"] = None
    named = _NAMED_BACK.carry(node)
    if node.trip.root.look("context/action") != "cancel" or node.look("commitments") == stub()["commitments"]:
        return named
    return _LINES.flipped().carry(node, named)


ORDER = record(Slot("order", "contract", _ORDER))
REFERENCE = record(Slot("order", "contract", Pair(_reference_there, _reference_back)))
