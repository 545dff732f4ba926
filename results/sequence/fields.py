"""What a label says of a message: a few short paths for each kind of message and each kind of bag.

Nothing here knows what a run is about: an action and the ``@type`` of a bag choose the fields.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

ACTION_FIELDS: Mapping[str, tuple[str, ...]] = {
    "discover": ("intent.textSearch", "intent.filters.expression", "intent.spatial.*.distanceMeters"),
    "on_discover": ("catalogs.*.id", "catalogs.*.resources.*.id"),
    "catalog/publish": ("catalogs.*.id", "catalogs.*.isActive"),
    "catalog/on_publish": ("results.*.catalogId", "results.*.status"),
    "catalog/subscription": ("subscription.schemaTypes.*",),
    "catalog/on_subscription": ("subscriptions.*.status",),
    "catalog/pull": ("mode",),
    "on_catalog_pull": ("catalogs.*.id",),
    "aggregate": ("aggregationRequest.aggregationType", "aggregationRequest.timeWindow.start"),
    "on_aggregate": (
        "aggregationResult.clearingPrice",
        "aggregationResult.clearingQuantityKW",
        "aggregationResult.gridNodes.*.binding",
    ),
    "on_assess": ("assessment.gridNodes.*.flowKW", "assessment.gridNodes.*.excessForwardKW"),
    "track": ("tracking.status",),
    "on_track": ("tracking.status",),
    "rate": ("ratingInputs.*.range.value",),
    "on_rate": ("ratings.*.range.value",),
    "on_support": ("support.channels.*.phone",),
    "ledger/put": ("role", "tradeDetails.*.tradeQty", "tradeDetails.*.tradeType"),
    "ledger/on_put": ("success",),
    "ledger/record": (
        "role",
        "statusBuyerDiscom",
        "statusSellerDiscom",
        "buyerFulfillmentValidationMetrics.*.validationMetricValue",
        "sellerFulfillmentValidationMetrics.*.validationMetricValue",
    ),
    "ledger/on_record": ("success",),
}
"""Paths below ``message`` by action; ``*`` is every element of a list or every value of an object, ``?`` the only one."""

STATE = "contract.status.code"
"""Said of a contract where none of its bags says anything."""
COMMITTED = ("contract.commitments.*.offer.id", "contract.commitments.*.resources.*.quantity.value")
"""What a contract is about; said while it is being made."""
MAKING = frozenset({"select", "init", "confirm"})
"""Actions by which a contract is made."""

BAG_FIELDS: Mapping[str, tuple[str, ...]] = {
    "GridNode": ("gridConstraints.currentLoadKW", "locationalPriceAdder.currentPrice"),
    "EnergyOffer": ("openRole", "pricingModel", "pricePerKWh"),
    "ChargingOffer": ("tariffModel",),
    "EnergyTradeOffer": ("pricingModel", "maximumQuantity"),
    "EnergyForecast": ("variable", "issuedAt", "values.0.value"),
    "ChargingService": ("connectorType", "maxPowerKW"),
    "EnergyContract": (
        "status",
        "inputSignals.*.clearedPowerKW",
        "inputSignals.*.price",
        "inputSignals.?.value",
        "inputParameters.approvedMaxTradeKWh",
        "inputParameters.wheelingPerKWh",
    ),
    "EnergyContractEVCharging": ("status", "inputSignals.?.value"),
    "EnergyContractP2PTrade": (
        "status",
        "inputSignals.*.clearedPowerKW",
        "inputSignals.*.price",
        "roles.*.roleInputs.wheelingCharges",
        "roles.*.roleInputs.buyerTradeCap",
        "roles.*.roleInputs.sellerTradeCap",
        "roles.*.roleInputs.currentBuyerTradesTotal",
        "roles.*.roleInputs.currentSellerTradesTotal",
        "roles.*.roleInputs.contractedQuantity",
    ),
    "ChargingSession": (
        "sessionStatus",
        "meteredEnergyKWh",
        "connectorStatus",
    ),
    "EnergyEnrollment": ("status", "updateType", "credentialVerification.status", "conflictCheck.hasConflict"),
    "EnergyTradeOrder": ("total_quantity",),
    "EnergyTradeOrderInterUtility": ("total_quantity",),
    "EnergyDelivery": (
        "meterReadings.*.consumedEnergy",
        "meterReadings.*.producedEnergy",
        "deviationPenalty",
    ),
    "EnergyTradeDelivery": (
        "deliveryStatus",
        "deliveredQuantity",
        "curtailedQuantity",
        "curtailmentReason",
        "meterReadings.*.allocatedEnergy",
    ),
    "PriceSpecification": ("value", "currency"),
    "Payment": ("paymentStatus", "amount.value"),
    "EnergySettlement": ("amount", "currency", "cycleId", "disputeReason"),
}
"""Paths below a bag by its ``@type``; a bag that is not named here says nothing in a label."""


def brief(action: str, content: Mapping[str, Any]) -> Mapping[str, Any]:
    """The few values that tell a message from the others, by their dotted paths below ``message``, in the order of the tables.

    content: what stands below ``message``.  Paths have no ``*`` any more, and can be given to ``value_at``.
    """
    found: dict[str, Any] = {}
    for path in ACTION_FIELDS.get(action, ()):
        found.update(found_at(content, path))
    for place, kind, bag in _bags(content, ""):
        for path in BAG_FIELDS.get(kind, ()):
            found.update(found_at(bag, path, place))
    for path in COMMITTED if action in MAKING else ():
        found.update(found_at(content, path))
    return found or dict(found_at(content, STATE))


def value_at(document: Any, path: str) -> Any:
    """What stands at a dotted path of objects and lists.  Raises ``KeyError`` where nothing does."""
    for part in path.split("."):
        if isinstance(document, list) and part.isdigit() and int(part) < len(document):
            document = document[int(part)]
        elif isinstance(document, dict) and part in document:
            document = document[part]
        else:
            raise KeyError(path)
    return document


def found_at(document: Any, path: str, place: str = "") -> Iterator[tuple[str, Any]]:
    """Every plain value that a dotted path with ``*`` leads to, by its own dotted path, which begins with ``place``."""
    yield from _matches(document, path.split("."), place)


def _matches(document: Any, path: list[str], place: str) -> Iterator[tuple[str, Any]]:
    if not path:
        if not isinstance(document, dict | list) and document is not None:
            yield place, document
        return
    head, *rest = path
    children = list(_children(document))
    for name, value in children:
        if head in ("*", name) or (head == "?" and len(children) == 1):
            yield from _matches(value, rest, f"{place}.{name}" if place else name)


def _bags(document: Any, place: str) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Every bag with its place and ``@type``, outermost first."""
    if isinstance(document, dict) and isinstance(document.get("@type"), str):
        yield place, document["@type"], document
    for name, value in _children(document):
        yield from _bags(value, f"{place}.{name}" if place else name)


def _children(document: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(document, dict):
        yield from document.items()
    elif isinstance(document, list):
        yield from ((str(number), value) for number, value in enumerate(document))
