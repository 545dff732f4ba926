"""Messages for the tests of dialects, made by hand: one of every action, with every field that has a place in the other dialect."""

from __future__ import annotations

from typing import Any

CORE = "https://core.degsim.example/schema/core/v3/context.jsonld"
ENERGY = "https://schema.degsim.example/energy/v1/context.jsonld"
ID = "752c9cce-0559-4d41-81b8-f45f5683fbc0"
NOON = "2016-05-17T12:00:00+02:00"
LATER = "2016-05-17T13:00:00+02:00"
HERE = {"type": "Point", "coordinates": [11.08, 49.45]}
UNSPECIFIED = {"value": 1.0, "unitText": "unspecified"}

# --- the release candidate -------------------------------------------------------------------------------------------------


def rc_message(action: str, body: Any, **context: Any) -> Any:
    return {
        "context": {
            "version": "2.0.0",
            "action": action,
            "bap_id": "buyer.degsim.example",
            "bap_uri": "https://buyer.degsim.example/beckn",
            "bpp_id": "seller.degsim.example",
            "bpp_uri": "https://seller.degsim.example/beckn",
            "transaction_id": ID,
            "message_id": ID,
            "timestamp": NOON,
            "ttl": "PT30S",
            **context,
        },
        "message": body,
    }


def core(kind: str, **fields: Any) -> Any:
    return {"@context": CORE, "@type": f"beckn:{kind}", **fields}


def b(**fields: Any) -> Any:
    """The same fields with the prefix of core objects."""
    return {f"beckn:{name}": value for name, value in fields.items()}


def descriptor(name: str, **fields: Any) -> Any:
    return {"@type": "beckn:Descriptor", "schema:name": name, **fields}


RESOURCE_BAG = {"@context": ENERGY, "@type": "EnergyResource", "meterId": "m-1", "sourceType": "SOLAR"}
OFFER_BAG = {"@context": ENERGY, "@type": "EnergyTradeOffer", "pricingModel": "PER_KWH"}
CUSTOMER_BAG = {"@context": ENERGY, "@type": "EnergyCustomer", "meterId": "m-2"}
LINE_BAG = {"@context": ENERGY, "@type": "EnergyOrderItem", "providerAttributes": CUSTOMER_BAG}
DELIVERY_BAG = {"@context": ENERGY, "@type": "EnergyTradeDelivery", "deliveryStatus": "PENDING"}
TRADE_BAG = {"@context": ENERGY, "@type": "EnergyTradeOrder", "bap_id": "a", "bpp_id": "b"}
ACCOUNTS_BAG = {"@context": ENERGY, "@type": "PaymentSettlement", "settlementAccounts": [{"beneficiaryId": "b"}]}
CYCLE_BAG = {
    "@context": ENERGY,
    "@type": "EnergySettlement",
    "cycleId": "7",
    "currency": "EUR",
    "amount": -1.5,
    "breakdown": [{"term": "energy", "amount": 1.5, "from": "a", "to": "b"}],
    "timeWindow": {"start": NOON, "end": LATER},
}
UNIT_PRICE = {"currency": "EUR", "value": 0.3, "applicableQuantity": {"unitQuantity": 1.0, "unitCode": "KWH"}}
OLD_PRICE = {"@type": "schema:PriceSpecification", "schema:price": 0.3, "schema:priceCurrency": "EUR"}
TOTAL = {"currency": "EUR", "value": 4.0, "components": [{"type": "UNIT", "value": 3.0}, {"type": "FEE", "value": 1.0}]}
DAYS = {"@type": "beckn:TimePeriod", "schema:startDate": NOON, "schema:endDate": LATER}


def rc_offer(identity: str, **fields: Any) -> Any:
    return core(
        "Offer",
        **b(id=identity, descriptor=descriptor("Roof to door"), provider="roof-1", items=["solar-1"], **fields),
    )


BUYER = core(
    "Buyer",
    **b(
        id="anna",
        role="BUYER",
        displayName="Anna Süß",
        telephone="+49 911 0",
        email="anna@example.org",
        taxID="DE1",
        buyerAttributes=CUSTOMER_BAG,
    ),
)
FULFILLMENT = core(
    "Fulfillment",
    **b(id="f-1", mode="DELIVERY", fulfillmentStatus="UNDER_WAY", deliveryAttributes=DELIVERY_BAG),
    trackingAction={
        "@type": "beckn:TrackAction",
        "target": {"@type": "schema:EntryPoint", "url": "https://t.example/1"},
    },
)
PAYMENT = core(
    "Payment",
    **b(
        id="p-1",
        paymentStatus="CAPTURED",
        amount={"currency": "EUR", "value": 4.0},
        paymentURL="https://pay.example/1",
        txnRef="t-1",
        paidAt=LATER,
        acceptedPaymentMethod=["UPI", "CASH"],
        beneficiary="BPP",
        paymentAttributes=ACCOUNTS_BAG,
    ),
)


def rc_order(**fields: Any) -> Any:
    return core(
        "Order",
        **b(
            id="order-1",
            orderStatus="INPROGRESS",
            seller="roof-1",
            buyer=core("Buyer", **b(id="anna")),
            orderItems=[b(orderedItem="solar-1")],
        ),
    ) | b(**fields)


RC_ORDER = rc_order(
    orderNumber="No 7",
    buyer=BUYER,
    orderItems=[
        b(
            lineId="l-1",
            orderedItem="solar-1",
            quantity={"unitQuantity": 10.0, "unitCode": "KWH", "unitText": "kWh"},
            acceptedOffer=rc_offer(
                "o-1",
                price=UNIT_PRICE,
                validity=DAYS,
                isActive=True,
                addOnItems=["lamp-1"],
                acceptedPaymentMethod=["CASH"],
                offerAttributes=OFFER_BAG,
            ),
            price=TOTAL,
            orderItemAttributes=LINE_BAG,
        ),
        b(orderedItem="solar-2", price=OLD_PRICE),
        b(orderedItem="solar-3", acceptedOffer=rc_offer("o-3", price=OLD_PRICE)),
    ],
    orderValue=TOTAL,
    payment=PAYMENT,
    fulfillment=FULFILLMENT,
    orderAttributes=TRADE_BAG,
)
"""An order in which everything is said that has a place in a contract."""

RC_CATALOG = core(
    "Catalog",
    **b(
        id="c-1",
        descriptor=descriptor(
            "Roofs", **b(shortDesc="of the street", longDesc="…"), **{"schema:image": ["https://i.example/1.png"]}
        ),
        bppId="seller.degsim.example",
        bppUri="https://seller.degsim.example/beckn",
        providerId="roof-1",
        validity=DAYS,
        isActive=True,
        items=[
            core(
                "Item",
                **b(
                    id="solar-1",
                    descriptor=descriptor("Sun"),
                    category={
                        "@type": "schema:CategoryCode",
                        "schema:codeValue": "solar",
                        "schema:name": "Sun",
                        "schema:description": "from roofs",
                    },
                    availableAt=[{"geo": HERE, "address": "Am Markt"}],
                    availabilityWindow=[
                        {
                            "@type": "beckn:TimePeriod",
                            "schema:startTime": "08:00:00",
                            "schema:endTime": "18:00:00",
                        }
                    ],
                    rateable=True,
                    rating={"@type": "beckn:Rating", "beckn:ratingValue": 4.5, "beckn:ratingCount": 3},
                    isActive=False,
                    networkId=["net-1", "net-2"],
                    provider=b(
                        id="roof-1",
                        descriptor=descriptor("Roof"),
                        locations=[
                            {"@type": "beckn:Location", "geo": HERE, "address": {"addressLocality": "Nürnberg"}}
                        ],
                    ),
                    itemAttributes=RESOURCE_BAG,
                ),
            )
        ],
        offers=[rc_offer("o-1", price=OLD_PRICE, validity=DAYS, acceptedPaymentMethod=["UPI"])],
    ),
)
SUPPORT_INFO = core(
    "SupportInfo",
    name="Help",
    phone="+49 911 1",
    email="help@example.org",
    url="https://help.example/",
    hours="always",
    channels=["PHONE", "WEB"],
)
RC_RATING = core(
    "RatingInput",
    id="order-1",
    ratingValue=4.0,
    bestRating=5.0,
    worstRating=1.0,
    category="ORDER",
    feedback={"comments": "warm"},
)
ERROR = {"code": "BIZ_NO", "message": "not today", "details": {"path": "$.message.order", "more": [1]}}

_RC_BODIES: dict[str, Any] = {
    "discover": {
        "text_search": "sun",
        "filters": {"type": "jsonpath", "expression": "$[?(@.beckn:id=='x')]"},
        "spatial": [
            {
                "op": "s_dwithin",
                "targets": ["$.a", "$.b"],
                "geometry": HERE,
                "distanceMeters": 5.0,
                "quantifier": "all",
                "srid": "EPSG:4326",
            }
        ],
        "media_search": {"media": [{"type": "image", "url": "https://i.example/1.png"}], "options": {"goals": []}},
    },
    "on_discover": {"catalogs": [RC_CATALOG]},
    **{
        action: {"order": RC_ORDER}
        for name in ("select", "init", "confirm", "update")
        for action in (name, f"on_{name}")
    },
    "status": {"order": {"beckn:id": "order-1"}},
    "on_status": {"order": RC_ORDER},
    "track": {"tracking": {"id": "order-1", "callbackUrl": "https://hear.example/"}},
    "on_track": {
        "tracking": core(
            "Tracking", tl_method="ws/handle", url="https://t.example/1", trackingStatus="DISABLED", expires_at=LATER
        )
    },
    "cancel": {"order": b(id="order-1", orderItems=[b(orderedItem="solar-1")])},
    "on_cancel": {"order": RC_ORDER | b(orderStatus="REJECTED")},
    "rating": {"ratings": [RC_RATING]},
    "on_rating": {"received": True, "aggregate": {"value": 4.0, "best": 5.0, "worst": 1.0}},
    "support": {"refId": "order-1", "refType": "ORDER", "support": SUPPORT_INFO},
    "on_support": {"support": SUPPORT_INFO},
    "catalog_publish": {"catalogs": [RC_CATALOG]},
    "on_catalog_publish": {
        "results": [{"catalog_id": "c-1", "status": "PARTIAL", "item_count": 1, "error": ERROR}],
    },
}
RC_MESSAGES = {action: rc_message(action, body) for action, body in _RC_BODIES.items()}
"""A message of every action."""

# --- the canonical dialect ---------------------------------------------------------------------------------------------------


def lts_message(action: str, body: Any, **context: Any) -> Any:
    return {
        "context": {
            "version": "2.0.0",
            "action": action,
            "bapId": "buyer.degsim.example",
            "bapUri": "https://buyer.degsim.example/beckn",
            "bppId": "seller.degsim.example",
            "bppUri": "https://seller.degsim.example/beckn",
            "transactionId": ID,
            "messageId": ID,
            "timestamp": NOON,
            "ttl": "PT30S",
            **context,
        },
        "message": body,
    }


def lts_price(**price: Any) -> Any:
    return {
        "status": {"code": "QUOTED"},
        "considerationAttributes": {"@context": CORE, "@type": "PriceSpecification", **price},
    }


LTS_CONTRACT: dict[str, Any] = {
    "id": ID,
    "status": {"code": "ACTIVE", "name": "INPROGRESS"},
    "descriptor": {"name": "No 7"},
    "participants": [
        {"id": "roof-1", "descriptor": {"code": "SELLER"}},
        {"id": "anna", "descriptor": {"code": "BUYER", "name": "Anna Süß"}},
    ],
    "commitments": [
        {
            "id": "l-1",
            "status": {"descriptor": {"code": "ACTIVE"}},
            "resources": [{"id": "solar-1", "quantity": {"value": 10.0, "unitCode": "KWH"}}],
            "offer": {
                "id": "o-1",
                "descriptor": {"name": "Roof to door"},
                "provider": {"id": "roof-1", "descriptor": {}},
                "resourceIds": ["solar-1"],
                "considerations": [{"id": "price", **lts_price(currency="EUR", value=0.3)}],
                "offerAttributes": OFFER_BAG,
            },
            "commitmentAttributes": LINE_BAG,
        }
    ],
    "consideration": [{"id": "total", **lts_price(currency="EUR", value=4.0)}],
    "performance": [
        {"id": "f-1", "status": {"code": "UNDER_WAY", "name": "DELIVERY"}, "performanceAttributes": DELIVERY_BAG}
    ],
    "settlements": [{"id": "s-1", "considerationId": "total", "status": "COMPLETE", "settlementAttributes": CYCLE_BAG}],
    "contractAttributes": TRADE_BAG,
}
"""A contract in which everything has a place in an order."""
_STUB = {
    "status": {},
    "resources": [{"id": "unspecified", "quantity": UNSPECIFIED}],
    "offer": {"id": "unspecified", "resourceIds": ["unspecified"]},
}
LTS_CATALOG = {
    "id": "c-1",
    "descriptor": {"name": "Roofs", "shortDesc": "of the street"},
    "bppId": "seller.degsim.example",
    "bppUri": "https://seller.degsim.example/beckn",
    "provider": {"id": "roof-1", "descriptor": {}},
    "resources": [
        {
            "id": "solar-1",
            "descriptor": {"name": "Sun"},
            "provider": {"id": "roof-1", "descriptor": {"name": "Roof"}},
            "resourceAttributes": RESOURCE_BAG,
        }
    ],
    "offers": [
        {
            "id": "o-1",
            "descriptor": {"name": "Roof to door"},
            "provider": {"id": "roof-1", "descriptor": {}},
            "resourceIds": ["solar-1"],
        }
    ],
}
_SUPPORT_BAG = {"@context": CORE, "@type": "SupportInfo", "phone": "+49 911 1"}
_RATING = {
    "target": {"id": "order-1", "descriptor": {"code": "ORDER"}},
    "range": {"value": 4.0, "best": 5.0, "worst": 1.0},
}
_NAMED = {"id": ID, "commitments": [_STUB]}

_LTS_BODIES: dict[str, Any] = {
    "discover": {"intent": {"textSearch": "sun", "filters": {"type": "jsonpath", "expression": "$[?(@.id=='x')]"}}},
    "on_discover": {"catalogs": [LTS_CATALOG]},
    **{
        action: {"contract": LTS_CONTRACT}
        for name in ("select", "init", "confirm", "update")
        for action in (name, f"on_{name}")
    },
    "status": {"contract": _NAMED},
    "on_status": {"contract": LTS_CONTRACT},
    "track": {"tracking": {"status": "ACTIVE", "url": "https://hear.example/", "contract": _NAMED}},
    "on_track": {"tracking": {"status": "ACTIVE", "url": "https://t.example/1", "method": "http/get"}},
    "cancel": {"contract": _NAMED},
    "on_cancel": {"contract": LTS_CONTRACT},
    "rate": {"ratingInputs": [_RATING]},
    "on_rate": {"ratings": []},
    "support": {
        "support": {"orderId": "order-1", "descriptor": {"code": "ORDER"}, "channels": [_SUPPORT_BAG]},
    },
    "on_support": {"support": {"channels": [_SUPPORT_BAG]}},
    "catalog/publish": {"catalogs": [LTS_CATALOG]},
    "catalog/on_publish": {"results": [{"catalogId": "c-1", "status": "ACCEPTED", "stats": {"itemCount": 1}}]},
}
_NAMES_CORE = {"on_discover", "on_track", "rate", "support", "on_support", "catalog/publish"}
LTS_MESSAGES = {
    action: lts_message(
        action, body, **({"schemaContext": [CORE]} if LTS_CONTRACT in body.values() or action in _NAMES_CORE else {})
    )
    for action, body in _LTS_BODIES.items()
}
"""A message of every action that the release candidate has too."""

# --- the older peer-to-peer shape --------------------------------------------------------------------------------------------

OLDER_ORDER = core(
    "Order",
    **b(
        id="order-1",
        provider=b(id="roof-1", descriptor={"schema:name": "Roof"}),
        items=[{"beckn:id": "solar-1", "quantity": {"count": 10.0, "unit": "kWh"}}],
        offers=[b(id="o-1")],
        fulfillments=[
            {
                "@type": "beckn:Fulfillment",
                **b(id="f-1", type="ENERGY_DELIVERY", stops=[b(id="s-1")], attributes=DELIVERY_BAG),
            }
        ],
        quote={
            "@type": "beckn:Quotation",
            "beckn:price": OLD_PRICE,
            "beckn:breakup": [{"beckn:title": "Energy", "beckn:price": OLD_PRICE}],
        },
        payments=[b(id="p-1", status="PENDING", amount={"currency": "EUR", "value": 4.0}, type="POST")],
        billing=b(name="Anna Süß", email="anna@example.org", phone="+49 911 0", address="Am Markt"),
        orderAttributes=TRADE_BAG,
    ),
)
OLDER = rc_message("init", {"order": OLDER_ORDER})


def without_prefix(value: Any) -> Any:
    """The same message, its keys without ``beckn:``."""
    if isinstance(value, dict):
        return {key.removeprefix("beckn:"): without_prefix(inner) for key, inner in value.items()}
    return [without_prefix(inner) for inner in value] if isinstance(value, list) else value
