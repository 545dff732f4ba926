"""Three dialects of one protocol: what is recognised, what becomes what, and that nothing goes missing without a word."""

from __future__ import annotations

import copy
import io
import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scenarios.cli import main
from sim.errors import MessageError
from sim.wire import codec, rc
from sim.wire.codes import Code, Refusal
from sim.wire.dialects import Dialect, faults, recognise, to_lts, to_rc
from sim.wire.examples import EXAMPLES, example_bytes
from sim.wire.messages import CORE_ACTIONS, Message
from sim.wire.tables import BODIES, RENAMED
from sim.wire.tables.names import name_uuid
from sim.wire.tables.parts import CORE_CONTEXT
from tests.json_values import at, differences, has, places, without
from tests.wire.dialect_messages import (
    CORE,
    CUSTOMER_BAG,
    CYCLE_BAG,
    ID,
    LATER,
    LTS_CONTRACT,
    LTS_MESSAGES,
    NOON,
    OLDER,
    OLDER_ORDER,
    PAYMENT,
    RC_CATALOG,
    RC_MESSAGES,
    RC_ORDER,
    b,
    core,
    lts_message,
    rc_message,
    rc_order,
    without_prefix,
)


def notes(conversion: Any) -> dict[str, str]:
    return {note.pointer: note.what for note in conversion.notes}


def order(**fields: Any) -> Any:
    return rc_message("init", {"order": rc_order(**fields)})


def contract(**fields: Any) -> Any:
    return lts_message("init", {"contract": LTS_CONTRACT | fields}, schemaContext=[CORE])


# --- recognition -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", RC_MESSAGES)
def test_a_message_of_the_release_candidate_is_recognised_and_valid(action: str) -> None:
    assert recognise(RC_MESSAGES[action]) is Dialect.RC
    assert faults(RC_MESSAGES[action]) == ()
    raw = json.dumps(RC_MESSAGES[action])
    assert json.loads(rc.encode(rc.decode(action, raw))) == RC_MESSAGES[action]


@pytest.mark.parametrize("action", LTS_MESSAGES)
def test_a_canonical_message_is_recognised_and_valid(action: str) -> None:
    assert recognise(LTS_MESSAGES[action]) is Dialect.LTS
    assert faults(LTS_MESSAGES[action]) == ()


@pytest.mark.parametrize("message", [OLDER, OLDER | {"message": without_prefix(OLDER["message"])}])
def test_the_older_shape_is_recognised_with_prefix_or_without(message: Any) -> None:
    assert recognise(message) is Dialect.P2P_V1
    assert faults(message) == ()


@pytest.mark.parametrize(
    ("document", "dialect"),
    [
        ({"context": {}, "message": {"contract": {}}}, Dialect.LTS),
        ({"message": {"order": {"beckn:orderItems": []}}}, Dialect.RC),
        ({"message": {"order": {"items": []}}}, Dialect.P2P_V1),
    ],
)
def test_the_body_decides_where_the_context_does_not(document: Any, dialect: Dialect) -> None:
    assert recognise(document) is dialect


@pytest.mark.parametrize(
    "document", [None, 7, [], {}, {"context": {"bapId": "a", "bap_id": "a"}}, {"context": "x", "message": 1}]
)
def test_what_is_no_dialect_is_told_what_was_looked_for(document: Any) -> None:
    with pytest.raises(MessageError, match=r"looked for bapId.*message\.contract.*bap_id.*message\.order"):
        recognise(document)


def test_every_core_action_has_a_counterpart_or_is_refused_by_name() -> None:
    converted = {RENAMED.get(action, action) for action in BODIES}
    assert set(RC_MESSAGES) == set(BODIES) == set(rc.ACTIONS)
    assert set(LTS_MESSAGES) == converted
    for action in CORE_ACTIONS.keys() - converted:
        assert action.startswith(("catalog/", "on_catalog"))


# --- there and back --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", RC_MESSAGES)
def test_a_message_of_the_release_candidate_comes_back_exactly(action: str) -> None:
    message = RC_MESSAGES[action]
    there = to_lts(message)
    assert faults(there.document) == ()
    assert to_rc(there.document).document == message
    assert not [note for note in there.notes if note.what.startswith("not mapped")]
    assert all("LTS asks for" in note.what for note in there.notes if note.what.startswith("added"))


@pytest.mark.parametrize("action", LTS_MESSAGES)
def test_a_canonical_message_comes_back_exactly(action: str) -> None:
    message = LTS_MESSAGES[action]
    there = to_rc(message)
    assert faults(there.document) == ()
    assert to_lts(there.document).document == message
    assert not [note for note in there.notes if note.what.startswith(("not mapped", "added", "changed"))]


@pytest.mark.parametrize(
    ("plain", "canonical"),
    [
        ("beckn:orderNumber", "descriptor/name"),
        ("beckn:orderStatus", "status/name"),
        ("beckn:seller", "participants/0/id"),
        ("beckn:buyer/beckn:id", "participants/1/id"),
        ("beckn:buyer/beckn:displayName", "participants/1/descriptor/name"),
        ("beckn:buyer/beckn:role", "participants/1/participantAttributes/role"),
        ("beckn:buyer/beckn:telephone", "participants/1/participantAttributes/telephone"),
        ("beckn:buyer/beckn:email", "participants/1/participantAttributes/email"),
        ("beckn:buyer/beckn:taxID", "participants/1/participantAttributes/taxID"),
        ("beckn:buyer/beckn:buyerAttributes", "participants/1/participantAttributes/buyerAttributes"),
        ("beckn:orderItems/0/beckn:lineId", "commitments/0/id"),
        ("beckn:orderItems/0/beckn:orderedItem", "commitments/0/resources/0/id"),
        ("beckn:orderItems/0/beckn:quantity/unitQuantity", "commitments/0/resources/0/quantity/value"),
        ("beckn:orderItems/0/beckn:quantity/unitCode", "commitments/0/resources/0/quantity/unitCode"),
        ("beckn:orderItems/0/beckn:quantity/unitText", "commitments/0/resources/0/quantity/unitText"),
        ("beckn:orderItems/0/beckn:orderItemAttributes", "commitments/0/commitmentAttributes"),
        ("beckn:orderItems/0/beckn:acceptedOffer/beckn:id", "commitments/0/offer/id"),
        ("beckn:orderItems/0/beckn:acceptedOffer/beckn:descriptor/schema:name", "commitments/0/offer/descriptor/name"),
        ("beckn:orderItems/0/beckn:acceptedOffer/beckn:provider", "commitments/0/offer/provider/id"),
        ("beckn:orderItems/0/beckn:acceptedOffer/beckn:items", "commitments/0/offer/resourceIds"),
        ("beckn:orderItems/0/beckn:acceptedOffer/beckn:isActive", "commitments/0/offer/isActive"),
        ("beckn:orderItems/0/beckn:acceptedOffer/beckn:offerAttributes", "commitments/0/offer/offerAttributes"),
        ("beckn:orderItems/0/beckn:acceptedOffer/beckn:acceptedPaymentMethod", "commitments/0/offer/acceptedPaymentMethods"),
        ("beckn:orderItems/0/beckn:acceptedOffer/beckn:addOnItems/0", "commitments/0/offer/addOns/0/id"),
        ("beckn:orderItems/0/beckn:acceptedOffer/beckn:price/value", "commitments/0/offer/considerations/0/considerationAttributes/value"),
        ("beckn:orderItems/0/beckn:price/components", "commitments/0/offer/considerations/1/considerationAttributes/components"),
        ("beckn:orderItems/1/beckn:price/schema:price", "commitments/1/offer/considerations/0/considerationAttributes/schema:price"),
        ("beckn:orderItems/0/beckn:acceptedOffer/beckn:validity/schema:endDate", "commitments/0/offer/validity/endDate"),
        ("beckn:orderValue/value", "consideration/0/considerationAttributes/value"),
        ("beckn:fulfillment/beckn:id", "performance/0/id"),
        ("beckn:fulfillment/beckn:fulfillmentStatus", "performance/0/status/code"),
        ("beckn:fulfillment/beckn:mode", "performance/0/status/name"),
        ("beckn:fulfillment/beckn:deliveryAttributes", "performance/0/performanceAttributes"),
        ("beckn:fulfillment/trackingAction/target/url", "performance/0/status/docs/0/url"),
        ("beckn:payment/beckn:id", "settlements/0/id"),
        ("beckn:payment/beckn:paymentStatus", "settlements/0/settlementAttributes/paymentStatus"),
        ("beckn:payment/beckn:amount", "settlements/0/settlementAttributes/amount"),
        ("beckn:payment/beckn:paidAt", "settlements/0/settlementAttributes/paidAt"),
        ("beckn:payment/beckn:paymentAttributes", "settlements/0/settlementAttributes/paymentAttributes"),
        ("beckn:orderAttributes", "contractAttributes"),
    ],
)  # fmt: skip
def test_what_an_order_says_stands_in_the_contract(plain: str, canonical: str) -> None:
    made = to_lts(rc_message("confirm", {"order": RC_ORDER})).document["message"]["contract"]
    assert at(made, canonical) == at(RC_ORDER, plain)


@pytest.mark.parametrize(
    ("plain", "canonical"),
    [
        ("beckn:id", "id"),
        ("beckn:descriptor/beckn:longDesc", "descriptor/longDesc"),
        ("beckn:descriptor/schema:image/0", "descriptor/mediaFile/0/uri"),
        ("beckn:bppUri", "bppUri"),
        ("beckn:providerId", "provider/id"),
        ("beckn:validity/schema:startDate", "validity/startDate"),
        ("beckn:isActive", "isActive"),
        ("beckn:items/0/beckn:category/schema:codeValue", "resources/0/category/codeValue"),
        ("beckn:items/0/beckn:availableAt", "resources/0/availableAt"),
        ("beckn:items/0/beckn:availabilityWindow", "resources/0/availabilityWindow"),
        ("beckn:items/0/beckn:networkId", "resources/0/networkIds"),
        ("beckn:items/0/beckn:rateable", "resources/0/rateable"),
        ("beckn:items/0/beckn:rating/beckn:ratingCount", "resources/0/rating/ratingCount"),
        ("beckn:items/0/beckn:isActive", "resources/0/isActive"),
        ("beckn:items/0/beckn:provider/beckn:locations/0/geo", "resources/0/provider/availableAt/0/geo"),
        ("beckn:items/0/beckn:itemAttributes", "resources/0/resourceAttributes"),
        ("beckn:offers/0/beckn:acceptedPaymentMethod", "offers/0/acceptedPaymentMethods"),
    ],
)  # fmt: skip
def test_what_a_catalogue_says_stands_in_the_other(plain: str, canonical: str) -> None:
    made = to_lts(rc_message("catalog_publish", {"catalogs": [RC_CATALOG]})).document["message"]["catalogs"][0]
    assert at(made, canonical) == at(RC_CATALOG, plain)


@pytest.mark.parametrize(
    ("action", "plain", "canonical"),
    [
        ("discover", "text_search", "intent/textSearch"),
        ("discover", "filters/expression", "intent/filters/expression"),
        ("discover", "spatial/0/distanceMeters", "intent/spatial/0/distanceMeters"),
        ("discover", "media_search", "intent/mediaSearch"),
        ("support", "refId", "support/orderId"),
        ("support", "refType", "support/descriptor/code"),
        ("support", "support/phone", "support/channels/0/phone"),
        ("on_support", "support/hours", "support/channels/0/hours"),
        ("track", "tracking/callbackUrl", "tracking/url"),
        ("track", "tracking/id", "tracking/contract/descriptor/code"),
        ("on_track", "tracking/tl_method", "tracking/method"),
        ("on_track", "tracking/expires_at", "tracking/expiresAt"),
        ("rating", "ratings/0/id", "ratingInputs/0/target/id"),
        ("rating", "ratings/0/ratingValue", "ratingInputs/0/range/value"),
        ("rating", "ratings/0/feedback/comments", "ratingInputs/0/feedbackFormSubmission/data/comments"),
        ("on_rating", "aggregate/best", "ratings/0/range/best"),
        ("on_catalog_publish", "results/0/item_count", "results/0/stats/itemCount"),
        ("on_catalog_publish", "results/0/error/code", "results/0/errors/0/errorCode"),
    ],
)  # fmt: skip
def test_what_the_other_messages_say_stands_in_their_counterparts(action: str, plain: str, canonical: str) -> None:
    made = to_lts(RC_MESSAGES[action]).document
    assert made["context"]["action"] == RENAMED.get(action, action)
    assert at(made["message"], canonical) == at(RC_MESSAGES[action]["message"], plain)


def test_words_that_are_spelled_otherwise_are_translated() -> None:
    made = to_lts(RC_MESSAGES["discover"]).document["message"]["intent"]["spatial"][0]
    assert (made["op"], made["quantifier"]) == ("S_DWITHIN", "ALL")
    assert to_lts(RC_MESSAGES["on_track"]).document["message"]["tracking"]["status"] == "INACTIVE"


PLAIN = ("CREATED", "CONFIRMED", "COMPLETED", "CANCELLED")
"""Words that a state alone comes back as."""


@pytest.mark.parametrize(
    ("word", "code", "line"),
    [
        ("CREATED", "DRAFT", "DRAFT"),
        ("PENDING", "DRAFT", "DRAFT"),
        ("CONFIRMED", "ACTIVE", "ACTIVE"),
        ("PARTIALLYFULFILLED", "ACTIVE", "ACTIVE"),
        ("ONHOLD", "ACTIVE", "ACTIVE"),
        ("COMPLETED", "COMPLETE", "CLOSED"),
        ("REFUNDED", "COMPLETE", "CLOSED"),
        ("CANCELLED", "CANCELLED", "CLOSED"),
        ("FAILED", "CANCELLED", "CLOSED"),
    ],
)
def test_the_state_of_an_order_is_that_of_the_contract_and_of_its_lines(word: str, code: str, line: str) -> None:
    message = order(orderStatus=word)
    made = to_lts(message).document
    assert made["message"]["contract"]["status"] == ({"code": code} if word in PLAIN else {"code": code, "name": word})
    assert made["message"]["contract"]["commitments"][0]["status"]["descriptor"]["code"] == line
    assert to_rc(made).document == message


@pytest.mark.parametrize(
    ("code", "word"),
    [("DRAFT", "CREATED"), ("ACTIVE", "CONFIRMED"), ("COMPLETE", "COMPLETED"), ("CANCELLED", "CANCELLED")],
)
def test_a_contract_without_a_finer_word_takes_the_first_that_fits(code: str, word: str) -> None:
    assert to_rc(contract(status={"code": code})).document["message"]["order"]["beckn:orderStatus"] == word


def test_a_name_is_the_same_uuid_everywhere_and_a_uuid_stays() -> None:
    first = to_lts(rc_message("status", {"order": {"beckn:id": "order-1"}}, transaction_id="flow-1")).document
    again = to_lts(rc_message("init", {"order": RC_ORDER}, transaction_id="flow-1")).document
    assert first["context"]["transactionId"] == again["context"]["transactionId"] == name_uuid("flow-1")
    assert first["message"]["contract"]["id"] == again["message"]["contract"]["id"] == name_uuid("order-1")
    assert to_lts(rc_message("status", {"order": {"beckn:id": ID}})).document["message"]["contract"]["id"] == ID


def test_a_made_uuid_is_one_of_version_5() -> None:
    """Checked against the standard library, which the simulation may not import."""
    import uuid

    namespace = uuid.UUID("3756e154-3211-5e07-a464-2166cafd260a")
    assert namespace == uuid.uuid5(uuid.NAMESPACE_URL, "https://schema.degsim.example/dialects")
    assert name_uuid("txn-1 ü") == str(uuid.uuid5(namespace, "txn-1 ü"))


def test_the_context_of_the_core_objects_travels_in_the_schemas_and_back() -> None:
    made = to_lts(rc_message("init", {"order": RC_ORDER}, schema_context=["https://a.example/b.jsonld"])).document
    assert made["context"]["schemaContext"] == [CORE, "https://a.example/b.jsonld"]
    assert to_rc(made).document["context"]["schema_context"] == ["https://a.example/b.jsonld"]
    plain = to_lts(rc_message("status", {"order": {"beckn:id": ID}}, schema_context=[CORE])).document
    assert to_rc(plain).document["context"]["schema_context"] == [CORE]
    assert (
        to_rc(lts_message("init", {"contract": LTS_CONTRACT})).document["message"]["order"]["@context"] == CORE_CONTEXT
    )


def test_one_network_is_an_array_of_one() -> None:
    message = rc_message("status", {"order": {"beckn:id": ID}}, network_id=["net-1"])
    made = to_lts(message).document
    assert made["context"]["networkId"] == "net-1"
    assert to_rc(made).document == message


def test_an_error_at_the_top_goes_over_with_its_path() -> None:
    message = RC_MESSAGES["on_init"] | {
        "error": {"code": "BIZ_NO", "message": "no", "details": {"path": "$.a", "b": 1}}
    }
    made = to_lts(message)
    assert made.document["error"] == {"errorCode": "BIZ_NO", "errorMessage": "no", "path": "$.a", "details": {"b": 1}}
    assert faults(made.document) == ()
    assert to_rc(made.document).document == message


def test_a_settlement_cycle_travels_in_a_payment() -> None:
    made = to_rc(contract()).document["message"]["order"]["beckn:payment"]
    assert made["beckn:paymentStatus"] == "COMPLETED"
    assert made["beckn:paymentAttributes"] == CYCLE_BAG


def test_a_payment_that_was_not_paid_yet_may_say_so() -> None:
    message = order(payment=PAYMENT | b(paidAt=None))
    assert faults(message) == ()
    assert to_rc(to_lts(message).document).document == message


def test_a_catalogue_of_nobody_in_particular_is_its_publisher_s() -> None:
    catalog = {key: value for key, value in RC_CATALOG.items() if key != "beckn:providerId"}
    message = rc_message("catalog_publish", {"catalogs": [catalog]})
    made = to_lts(message).document
    assert made["message"]["catalogs"][0]["provider"] == {"id": "seller.degsim.example", "descriptor": {"code": "BPP"}}
    assert to_rc(made).document == message


# --- nothing goes missing without a word -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "pointer", "says"),
    [
        (order(invoice="i-1"), "/message/order/beckn:invoice", 'not mapped: LTS has no place for "i-1"'),
        (order(acceptedOffers=[]), "/message/order/beckn:acceptedOffers", "not mapped"),
        (order(orderItems=[b(orderedItem="x", quantity={"maxQuantity": 5.0})]), "/message/order/beckn:orderItems/0/beckn:quantity", "not mapped"),
        (order(orderItems=[b(orderedItem="x", quantity={"unitQuantity": 5.0, "unitCode": "MIN"})]), "/message/order/beckn:orderItems/0/beckn:quantity/unitCode", 'no place for "MIN"'),
        (order(fulfillment=core("Fulfillment", **b(mode="PICKUP"), trackingAction={"target": {"url": "https://t.example/"}, "reservationId": "r"})), "/message/order/beckn:fulfillment/trackingAction/reservationId", "not mapped"),
        (order(fulfillment=core("Fulfillment", **b(mode="PICKUP"), trackingAction={"target": {"url": "https://t.example/"}})), "/message/order/beckn:fulfillment/trackingAction/@type", "comes back as"),
        (order(orderValue={"value": 1.0, "@type": "schema:PriceSpecification"}), "/message/order/beckn:orderValue/@type", "comes back without it"),
        (order(buyer={"@context": CORE_CONTEXT, "@type": "beckn:Buyer", "beckn:id": "a"}), "/message/order/beckn:buyer/@context", f"comes back as {CORE}"),
        (rc_message("status", {"order": {"beckn:id": ID}}, network_id=["a", "b"]), "/context/network_id/1", "not mapped"),
        (rc_message("status", {"order": {"beckn:id": ID}}, message_id="m-1"), "/context/message_id", f"'m-1' is no UUID, became {name_uuid('m-1')}"),
        (rc_message("track", {"tracking": {"id": ID, "mode_hint": "webhook"}}), "/message/tracking/mode_hint", "not mapped"),
        (rc_message("track", {"tracking": {"id": ID}}), "/message/tracking/callbackUrl", "added"),
        (rc_message("on_track", {"tracking": RC_MESSAGES["on_track"]["message"]["tracking"] | {"trackingStatus": "COMPLETED"}}), "/message/tracking/trackingStatus", "COMPLETED became INACTIVE"),
        (rc_message("on_rating", {"received": True, "feedbackForm": core("Form", url="https://f.example/")}), "/message/feedbackForm", "not mapped"),
        (rc_message("on_rating", {"received": False}), "/message/received", "not mapped"),
        (rc_message("rating", {"ratings": [RC_MESSAGES["rating"]["message"]["ratings"][0] | {"feedback": {"tags": ["a"]}}]}), "/message/ratings/0/feedback", "not mapped"),
        (RC_MESSAGES["discover"], "/message/filters/expression", "its JSONPath still names the keys of the other dialect"),
        (rc_message("catalog_publish", {"catalogs": [RC_CATALOG | b(validity={"@type": "beckn:TimePeriod", "schema:startTime": "08:00:00", "schema:endTime": "09:00:00"})]}), "/message/catalogs/0/beckn:validity", "not mapped"),
        (rc_message("on_catalog_publish", {"results": [{"catalog_id": "c", "status": "PARTIAL", "warnings": [{"code": "W", "message": "w"}]}]}), "/message/results/0/warnings", "not mapped"),
        (lts_message("status", {"contract": LTS_CONTRACT}, lineage={"transactionId": ID, "messageId": ID}), "/context/lineage", "not mapped: RC has no place for"),
        (lts_message("status", {"contract": LTS_CONTRACT}), "/context/schemaContext", "added"),
        (contract(participants=[*LTS_CONTRACT["participants"], {"id": "grid", "descriptor": {"code": "GRID_OPERATOR"}}]), "/message/contract/participants/2", "not mapped"),
        (contract(settlements=LTS_CONTRACT["settlements"] * 2), "/message/contract/settlements/1", "not mapped"),
        (contract(performance=LTS_CONTRACT["performance"] * 2), "/message/contract/performance/1", "not mapped"),
        (contract(status={"code": "ACTIVE", "name": "brisk"}), "/message/contract/status/name", "not mapped"),
        (contract(consideration=[{"id": "gift", "status": {}}]), "/message/contract/consideration", "not mapped"),
        (contract(participants=[]), "/message/contract/participants", "added: beckn:buyer has to be there"),
    ],
)  # fmt: skip
def test_what_does_not_come_across_is_named(message: Any, pointer: str, says: str) -> None:
    assert faults(message) == ()
    conversion = to_rc(message) if recognise(message) is Dialect.LTS else to_lts(message)
    assert any(note.pointer == pointer and says in note.what for note in conversion.notes)
    assert faults(conversion.document) == ()


def valid_without_one_thing(message: Any) -> Iterator[Any]:
    lesser = (without(message, path) for path in places(message) if path not in {("context",), ("message",)})
    return (document for document in lesser if not faults(document))


def covered(pointer: str, conversion: Any) -> bool:
    return any(pointer == note.pointer or pointer.startswith(f"{note.pointer}/") for note in conversion.notes)


@pytest.mark.parametrize(
    "action",
    [
        "confirm",
        "cancel",
        "catalog_publish",
        "discover",
        "rating",
        "support",
        "track",
        "on_track",
        "on_catalog_publish",
    ],
)
def test_whatever_is_left_out_the_rest_still_comes_back(action: str) -> None:
    lesser = list(valid_without_one_thing(RC_MESSAGES[action]))
    assert lesser
    for message in lesser:
        there = to_lts(message)
        assert faults(there.document) == ()
        missed = [
            pointer for pointer in differences(message, to_rc(there.document).document) if not covered(pointer, there)
        ]
        assert missed == []


@pytest.mark.parametrize("action", ["confirm", "cancel", "catalog/publish", "discover", "rate", "support", "on_track"])
def test_whatever_is_left_out_nothing_canonical_is_lost_or_changed(action: str) -> None:
    """What an order cannot do without comes home as well, so the contract may say more than it did."""
    for message in valid_without_one_thing(LTS_MESSAGES[action]):
        there = to_rc(message)
        if faults(there.document):
            continue
        home = to_lts(there.document).document
        missed = [
            pointer for pointer in differences(message, home) if has(message, pointer) and not covered(pointer, there)
        ]
        assert missed == []


TOO_LITTLE = {
    "discover": "/message: expected text_search, filters or spatial",
    "track": "/message/tracking: expected a field 'id'",
}
"""What an action may lack that the release candidate asks for: words beside a picture, the contract that is followed."""
ELSEWHERE = [message for action in LTS_MESSAGES for message in EXAMPLES[action]]


@pytest.mark.parametrize("message", ELSEWHERE, ids=lambda message: f"{message.action}-{message.message_id[:8]}")
def test_an_example_goes_out_and_comes_home_and_what_is_lost_is_named(message: Message) -> None:
    document = json.loads(example_bytes(message))
    there = to_rc(document)
    if found := faults(there.document):
        (complaint,) = found
        assert f"{complaint.pointer}: {complaint.text}".startswith(TOO_LITTLE[message.action])
        return
    home = to_lts(there.document).document
    assert faults(home) == ()
    lost = [
        pointer for pointer in differences(document, home) if has(document, pointer) and not covered(pointer, there)
    ]
    # A list that is shorter differs as a whole; the notes name its elements.
    assert not [pointer for pointer in lost if not any(note.pointer.startswith(f"{pointer}/") for note in there.notes)]


def test_most_examples_have_enough_to_go_out() -> None:
    lacking = [message for message in ELSEWHERE if faults(to_rc(json.loads(example_bytes(message))).document)]
    assert sorted(message.action for message in lacking) == ["discover", "track"]


def test_a_buyer_known_by_a_meter_alone_is_that_customer() -> None:
    buyer = core("Buyer", **b(id="anna", buyerAttributes=CUSTOMER_BAG))
    message = order(buyer=buyer)
    made = to_lts(message).document
    assert made["message"]["contract"]["participants"][1]["participantAttributes"] == CUSTOMER_BAG
    assert to_rc(made).document == message


def test_whoever_names_an_order_asks_about_the_order() -> None:
    conversion = to_rc(lts_message("support", {"support": {"orderId": ID}}))
    assert conversion.document["message"] == {"refId": ID, "refType": "ORDER"}
    assert notes(conversion)["/message/support/descriptor/code"].startswith("added")


def test_a_bare_contract_gets_what_an_order_cannot_do_without_and_says_so() -> None:
    bare = lts_message(
        "confirm",
        {
            "contract": {
                "commitments": [
                    {
                        "status": {},
                        "resources": [{"id": "ev-7", "quantity": {"value": 1.0, "unitText": "unspecified"}}],
                        "offer": {"id": "o", "resourceIds": ["ev-7"]},
                    }
                ]
            }
        },
    )
    conversion = to_rc(bare)
    made = conversion.document["message"]["order"]
    assert faults(conversion.document) == ()
    assert (made["beckn:orderStatus"], made["beckn:seller"], made["beckn:buyer"]["beckn:id"]) == (
        "CREATED",
        "seller.degsim.example",
        "buyer.degsim.example",
    )
    assert made["beckn:orderItems"][0]["beckn:acceptedOffer"]["beckn:items"] == ["ev-7"]
    added = {note.pointer for note in conversion.notes if note.what.startswith("added")}
    assert "/message/contract/commitments/0/offer/provider" in added
    assert "/message/contract/status" in added


AGGREGATION = {
    "aggregationType": "MARKET_CLEARING",
    "timeWindow": {"start": NOON, "end": LATER},
    "participants": [],
    "gridNodes": [],
}


@pytest.mark.parametrize(
    ("action", "body"), [("catalog/pull", {"mode": "FULL"}), ("aggregate", {"aggregationRequest": AGGREGATION})]
)
def test_an_action_that_the_other_lacks_is_refused_by_name(action: str, body: Any) -> None:
    with pytest.raises(MessageError, match=f"RC has no counterpart of {action}"):
        to_rc(lts_message(action, body))


def test_a_message_that_is_not_valid_is_not_converted() -> None:
    message = copy.deepcopy(RC_MESSAGES["confirm"])
    message["message"]["order"]["beckn:orderStatus"] = "MADE"
    del message["context"]["ttl"]
    with pytest.raises(MessageError, match=r"no valid RC message.*(ttl.*orderStatus|orderStatus.*ttl)"):
        to_lts(message)


@pytest.mark.parametrize("message", [*RC_MESSAGES.values(), *LTS_MESSAGES.values()])
def test_what_is_converted_stays_as_it_was(message: Any) -> None:
    before = copy.deepcopy(message)
    to_rc(message)
    to_lts(message)
    assert message == before


def test_what_is_in_the_dialect_already_passes_through() -> None:
    assert to_rc(RC_MESSAGES["init"]).document == RC_MESSAGES["init"]
    assert to_lts(LTS_MESSAGES["init"]).notes == ()


# --- the older shape -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", [OLDER, OLDER | {"message": without_prefix(OLDER["message"])}])
def test_an_older_order_finds_a_home_for_its_parts(message: Any) -> None:
    conversion = to_lts(message)
    made = conversion.document["message"]["contract"]
    assert faults(conversion.document) == ()
    assert made["participants"][0] == {"id": "roof-1", "descriptor": {"code": "SELLER", "name": "Roof"}}
    assert made["participants"][1]["descriptor"] == {"code": "BUYER", "name": "Anna Süß"}
    assert made["commitments"][0]["resources"] == [{"id": "solar-1", "quantity": {"value": 10.0, "unitText": "kWh"}}]
    assert made["commitments"][0]["offer"] == {"id": "o-1", "resourceIds": ["solar-1"]}
    assert made["performance"][0]["performanceAttributes"]["@type"] == "EnergyTradeDelivery"
    assert made["consideration"][0]["considerationAttributes"]["schema:price"] == 0.3
    assert made["settlements"][0]["settlementAttributes"]["paymentStatus"] == "PENDING"
    assert made["contractAttributes"]["@type"] == "EnergyTradeOrder"
    lost = {
        pointer.rpartition("/")[2].removeprefix("beckn:")
        for pointer, what in notes(conversion).items()
        if "not mapped" in what
    }
    assert lost == {"stops", "breakup", "type", "address"}
    assert faults(to_rc(conversion.document).document) == ()


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        (b(billing=b(email="anna")), "/message/order/beckn:billing/beckn:email"),
        (b(quote=b(price={"value": 1.0, "currency": "eur"})), "/message/order/beckn:quote"),
        (b(items=[b(id="x", quantity={"count": "nan"})]), "/message/order/beckn:items/0/beckn:quantity"),
        (b(items=[b(id="x", itemAttributes={"@type": "Lamp"})]), "/message/order/beckn:items/0/beckn:itemAttributes"),
        (b(payments=[b(id="p", status="PAID")]), "/message/order/beckn:payments/0/beckn:status"),
        (b(orderAttributes={"@type": "EnergyContractOfOld"}), "/message/order/beckn:orderAttributes"),
    ],
)
def test_what_the_canonical_dialect_would_not_take_is_left_behind_and_named(fields: Any, pointer: str) -> None:
    conversion = to_lts(rc_message("init", {"order": OLDER_ORDER | fields}))
    assert faults(conversion.document) == ()
    assert "not mapped" in notes(conversion)[pointer]


def test_amounts_of_version_1_may_be_text() -> None:
    items = [b(id="x", quantity={"selected": {"measure": {"value": "2.5", "unit": "kWh"}}})]
    made = to_lts(rc_message("init", {"order": OLDER_ORDER | b(items=items)})).document["message"]["contract"]
    assert made["commitments"][0]["resources"][0]["quantity"] == {"value": 2.5, "unitText": "kWh"}


def test_the_older_shape_is_never_written() -> None:
    with pytest.raises(MessageError, match="goes to LTS only"):
        to_rc(OLDER)


@pytest.mark.parametrize("value", [None, 7, "x", [], [7], {}, [{}], {"id": 7}, [["x"]]])
@pytest.mark.parametrize("key", [key for key in OLDER_ORDER if key.startswith("beckn:")])
def test_an_older_order_that_nobody_ever_specified_makes_a_valid_contract_or_none(key: str, value: Any) -> None:
    message = rc_message("init", {"order": OLDER_ORDER | {key: value}})
    assert faults(to_lts(message).document) == ()


# --- refusals --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "change", "code", "pointer", "says"),
    [
        ("confirm", lambda d: d["context"].pop("ttl"), Code.SCH_REQUIRED_FIELD_MISSING, "/context", "a field 'ttl'"),
        ("confirm", lambda d: d["context"].update(bapId="x"), Code.SCH_FIELD_NOT_ALLOWED, "/context", "no field 'bapId'"),
        ("confirm", lambda d: d["message"]["order"].update(b(orderStatus="MADE")), Code.SCH_INVALID_ENUM, "/message/order/beckn:orderStatus", "one of CANCELLED"),
        ("confirm", lambda d: d["message"]["order"].update({"@type": "Order"}), Code.SCH_INVALID_ENUM, "/message/order/@type", "beckn:Order"),
        ("confirm", lambda d: d["message"]["order"]["beckn:orderAttributes"].pop("@type"), Code.SCH_REQUIRED_FIELD_MISSING, "/message/order/beckn:orderAttributes", "@type"),
        ("confirm", lambda d: d["message"]["order"]["beckn:buyer"]["beckn:buyerAttributes"].pop("@type"), Code.SCH_REQUIRED_FIELD_MISSING, "/message/order/beckn:buyer/beckn:buyerAttributes", "@type"),
        ("on_confirm", lambda d: d["message"]["order"].pop("beckn:id"), Code.SCH_REQUIRED_FIELD_MISSING, "/message/order", "beckn:id"),
        ("status", lambda d: d["message"]["order"].update(b(seller="x")), Code.SCH_SCHEMA_VALIDATION_FAILED, "/message/order", "a whole order, or beckn:id alone"),
        ("discover", lambda d: d.update(message={"media_search": {}}), Code.SCH_SCHEMA_VALIDATION_FAILED, "/message", "text_search, filters or spatial"),
        ("discover", lambda d: d["message"]["spatial"][0].pop("distanceMeters"), Code.SCH_SCHEMA_VALIDATION_FAILED, "/message/spatial/0", "distanceMeters"),
        ("catalog_publish", lambda d: d["message"]["catalogs"][0]["beckn:items"][0]["beckn:availabilityWindow"][0].update({"schema:startTime": "25:00:00"}), Code.SCH_INVALID_FORMAT, "/message/catalogs/0/beckn:items/0/beckn:availabilityWindow/0/schema:startTime", "a time of day"),
        ("catalog_publish", lambda d: d["message"]["catalogs"][0]["beckn:items"][0]["beckn:availableAt"][0]["geo"].update(coordinates=[200, 0]), Code.SCH_SCHEMA_VALIDATION_FAILED, "/message/catalogs/0/beckn:items/0/beckn:availableAt/0/geo", "longitude"),
    ],
)  # fmt: skip
def test_a_malformed_message_of_the_release_candidate_is_refused_like_any(
    action: str, change: Any, code: Code, pointer: str, says: str
) -> None:
    message = copy.deepcopy(RC_MESSAGES[action])
    change(message)
    with pytest.raises(Refusal) as refused:
        rc.decode(action, json.dumps(message))
    assert (refused.value.code, refused.value.where) == (code, pointer)
    assert says in refused.value.what


def test_an_action_that_nobody_knows_is_refused() -> None:
    with pytest.raises(Refusal):
        rc.decode("barter", "{}")
    (complaint,) = faults(rc_message("konfirm", {}))
    assert (complaint.code, complaint.pointer) == (Code.SCH_TYPE_NOT_SUPPORTED, "/context/action")
    assert "did you mean confirm?" in complaint.expected


@pytest.mark.parametrize("action", rc.ACTIONS)
def test_every_action_of_the_release_candidate_has_a_closed_schema(action: str) -> None:
    objects = [d for d in rc.schema(action)["$defs"].values() if d.get("type") == "object"]
    assert objects
    assert all(d.get("additionalProperties") is False for d in objects)


def test_a_time_of_day_and_an_instant_may_both_stand_in_a_window_and_nothing_else() -> None:
    for word, good in (
        ("2026-01-09T06:00:00Z", True),
        ("06:00:00", True),
        ("06:00:00+01:00", True),
        ("6", False),
        ("2026-13-09T06:00:00Z", False),
    ):
        window = {"@type": "beckn:TimePeriod", "schema:startTime": word, "schema:endTime": "07:00:00"}
        message = copy.deepcopy(RC_MESSAGES["catalog_publish"])
        message["message"]["catalogs"][0]["beckn:items"][0]["beckn:availabilityWindow"] = [window]
        assert (faults(message) == ()) is good, word


# --- the command line ------------------------------------------------------------------------------------------------------


def written(path: Path, document: Any) -> str:
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return str(path)


def test_validate_says_of_every_file_what_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [
        written(tmp_path / "a.json", LTS_MESSAGES["confirm"]),
        written(tmp_path / "b.json", RC_MESSAGES["confirm"]),
        written(tmp_path / "c.json", OLDER),
        written(tmp_path / "d.json", [LTS_MESSAGES["status"], RC_MESSAGES["rating"]]),
    ]
    assert main(["validate", *names]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{names[0]}: LTS confirm, valid",
        f"{names[1]}: RC confirm, valid",
        f"{names[2]}: older peer-to-peer init, valid envelope; its order has no schema",
        f"{names[3]}[0]: LTS status, valid",
        f"{names[3]}[1]: RC rating, valid",
    ]


def test_validate_lists_the_faults_of_a_bad_message_and_exits_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = copy.deepcopy(RC_MESSAGES["confirm"])
    del bad["context"]["ttl"]
    bad["message"]["order"]["beckn:orderStatus"] = "MADE"
    name = written(tmp_path / "bad.json", [RC_MESSAGES["confirm"], bad])
    assert main(["validate", name]) == 1
    first, second, *others = capsys.readouterr().out.splitlines()
    assert first == f"{name}[0]: RC confirm, valid"
    assert second == f"{name}[1]: RC confirm, 2 faults"
    assert "  /context: expected a field 'ttl', got none  [SCH_REQUIRED_FIELD_MISSING]" in others
    assert len(others) == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "SCH_INVALID_JSON"),
        ("[]", "expected a message, or an array of messages, got an empty one"),
        ("7", "looked for"),
        ('{"context": {"action": "rating", "bap_id": 1, "bap_id": 2}}', "expected every key once, got 'bap_id' twice"),
        ('[{"a": NaN}]', "/0/a: expected a finite number"),
    ],
)
def test_validate_takes_anything_and_says_what_is_wrong(
    text: str, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    assert main(["validate", "-"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("standard input: ")
    assert says in out


def test_a_file_that_cannot_be_read_is_2_and_the_others_are_still_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = written(tmp_path / "good.json", LTS_MESSAGES["confirm"])
    (tmp_path / "latin.json").write_bytes(b'"\xff"')
    assert main(["validate", str(tmp_path / "none.json"), str(tmp_path / "latin.json"), good]) == 2
    printed = capsys.readouterr()
    assert printed.out == f"{good}: LTS confirm, valid\n"
    assert "none.json: there is no such file" in printed.err
    assert "latin.json: cannot be read" in printed.err


def test_convert_writes_the_message_and_says_what_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = written(tmp_path / "a.json", rc_message("init", {"order": RC_ORDER}))
    assert main(["convert", name, "--to", "lts"]) == 0
    printed = capsys.readouterr()
    assert "Anna Süß" in printed.out
    assert '\n  "context"' in printed.out
    made = json.loads(printed.out)
    assert list(made) == ["context", "message"]
    assert codec.faults("init", printed.out) == ()
    assert printed.err.startswith(f"{name}: /message/order/beckn:id: changed: 'order-1' is no UUID")
    out = tmp_path / "b.json"
    assert main(["convert", written(out, made), "--to", "rc", "--out", str(out)]) == 0
    assert json.loads(out.read_text(encoding="utf-8")) == rc_message("init", {"order": RC_ORDER})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "b.json"]


def test_convert_passes_through_what_is_there_already(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = written(tmp_path / "a.json", [RC_MESSAGES["init"], LTS_MESSAGES["rate"]])
    assert main(["convert", name, "--to", "lts"]) == 0
    printed = capsys.readouterr()
    assert [message["context"]["action"] for message in json.loads(printed.out)] == ["init", "rate"]
    assert f"{name}[1]: already LTS, passed through" in printed.err


@pytest.mark.parametrize(
    ("document", "target", "says"),
    [
        (rc_message("confirm", {"order": {}}), "lts", "RC confirm, 6 faults"),
        ({"context": {}}, "rc", "looked for"),
        ("{", "rc", "SCH_INVALID_JSON"),
        (lts_message("catalog/pull", {"mode": "FULL"}), "rc", "RC has no counterpart of catalog/pull"),
        (lts_message("support", {"support": {}}), "rc", "LTS support, not enough for RC, 2 faults"),
    ],
)
def test_convert_writes_nothing_where_there_is_nothing_valid_to_write(
    document: Any, target: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, out = written(tmp_path / "a.json", document), tmp_path / "out.json"
    assert main(["convert", name, "--to", target, "--out", str(out)]) == 1
    printed = capsys.readouterr()
    assert says in printed.err
    assert printed.out == ""
    assert not out.exists()


def test_a_message_of_the_simulation_goes_out_and_comes_home() -> None:
    """What an agent confirms, as the bus would send it."""
    from tests.wire.test_codec import confirm

    message = json.loads(codec.encode(confirm([(0.1, -11.0), (0.2, 0.0)]), NOON))
    there = to_rc(message)
    assert faults(there.document) == ()
    home = to_lts(there.document).document
    assert faults(home) == ()
    assert home["message"]["contract"]["contractAttributes"] == message["message"]["contract"]["contractAttributes"]
    assert home["message"]["contract"]["commitments"][0]["offer"]["id"] == "market/prosumer"


def test_help_does_not_load_the_wire() -> None:
    code = "import sys; from scenarios.cli import main\ntry: main(['--help'])\nexcept SystemExit: print('sim.wire' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1] == "False"


def test_convert_writes_through_a_link_and_keeps_the_mode_of_a_file(tmp_path: Path) -> None:
    source, kept, link = tmp_path / "a.json", tmp_path / "kept.json", tmp_path / "link.json"
    source.write_text(json.dumps(RC_MESSAGES["confirm"]), encoding="utf-8")
    kept.write_text("old", encoding="utf-8")
    kept.chmod(0o600)
    link.symlink_to(kept)
    assert main(["convert", str(source), "--to", "lts", "--out", str(link)]) == 0
    assert link.is_symlink()
    assert json.loads(kept.read_text(encoding="utf-8"))["context"]["bapId"]
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_convert_writes_into_a_pipe_as_it_comes(tmp_path: Path) -> None:
    source, pipe = tmp_path / "a.json", tmp_path / "pipe"
    source.write_text(json.dumps(RC_MESSAGES["confirm"]), encoding="utf-8")
    os.mkfifo(pipe)
    heard: list[str] = []
    reader = threading.Thread(target=lambda: heard.append(pipe.read_text(encoding="utf-8")), daemon=True)
    reader.start()
    assert main(["convert", str(source), "--to", "lts", "--out", str(pipe)]) == 0
    reader.join(10)
    assert json.loads(heard[0])["context"]["bapId"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize("out", ["", ".", "/"])
def test_convert_into_a_folder_is_refused_and_leaves_nothing(
    out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.json").write_text(json.dumps(RC_MESSAGES["confirm"]), encoding="utf-8")
    assert main(["convert", "a.json", "--to", "lts", "--out", out]) == 2
    assert "is a folder, expected a file" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_place_that_is_not_there_is_named_as_it_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.json").write_text(json.dumps(RC_MESSAGES["confirm"]), encoding="utf-8")
    assert main(["convert", "a.json", "--to", "lts", "--out", "no/where.json"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == "degsim: no/where.json: No such file or directory"


def test_a_message_cannot_write_lines_of_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.json"
    action = "confirm, valid\nb.json: LTS confirm, valid\x1b[8m"
    path.write_text(json.dumps({"context": {"bapId": "a", "action": action}, "message": {}}), encoding="utf-8")
    assert main(["validate", str(path)]) == 1
    out = capsys.readouterr().out
    assert not any(line.startswith("b.json") for line in out.splitlines())
    assert "\x1b" not in out


@pytest.mark.parametrize(
    "text", ["[" * 300 + "]" * 300, '{"a":"\\ud800"}', '{"\\ud800":1}'], ids=["deep", "value", "key"]
)
@pytest.mark.parametrize("command", [["validate"], ["convert", "--to", "lts"]], ids=["validate", "convert"])
def test_what_no_reader_can_take_is_a_fault_and_no_crash(
    text: str, command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.json"
    path.write_text(text, encoding="utf-8")
    assert main([*command, str(path)]) == 1
    assert "1 fault" in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    "order",
    [
        {"items": [], "payment": {"status": {}}},
        {"items": [], "payments": [{"paymentStatus": ["COMPLETED"]}]},
        {"items": [], "payment": {"paymentStatus": "COMPLETED", "beneficiary": {}}},
        {"items": [{"id": "a", "quantity": {"unitQuantity": 10**400}}]},
    ],
)
def test_an_older_order_with_odd_values_loses_them_by_name(order: dict[str, Any]) -> None:
    message = {"context": RC_MESSAGES["confirm"]["context"], "message": {"order": order}}
    conversion = to_lts(message)
    assert faults(conversion.document) == ()
    assert any(note.what.startswith("not mapped") for note in conversion.notes)


@pytest.mark.parametrize(
    "message", [m for action in LTS_MESSAGES for m in EXAMPLES[action]], ids=lambda m: f"{m.action}-{m.message_id[:8]}"
)
def test_an_example_that_came_home_differs_only_where_a_note_says_so(message: Message) -> None:
    document = json.loads(example_bytes(message))
    try:
        there = to_rc(document)
        home = to_lts(there.document)
    except MessageError:
        return  # not enough for the release candidate; it says so by name, in a test of its own
    noted = {note.pointer for note in (*there.notes, *home.notes)}
    assert [
        p for p in differences(document, home.document) if not any(p.startswith(n) or n.startswith(p) for n in noted)
    ] == []
