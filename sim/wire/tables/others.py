"""What is said beside catalogues and orders: searches, help, tracking, ratings, errors."""

from __future__ import annotations

from typing import Any, get_args

from sim.wire.mapping import ABSENT, Each, Node, Pair, Same, Slot, Words, left_is, record, right_is
from sim.wire.rc import Subject
from sim.wire.tables.catalogs import CATALOG
from sim.wire.tables.orders import identity_back, identity_there, read_stub, stub
from sim.wire.tables.parts import CORE_SLOT, PATHS, bag

CATALOGS = record(Slot("catalogs", "catalogs", Each(CATALOG)))

_OPERATORS = ("within", "contains", "intersects", "disjoint", "overlaps", "crosses", "touches", "equals", "dwithin")
_CONSTRAINT = record(
    Slot("op", "op", Words({f"s_{name}": f"S_{name.upper()}" for name in _OPERATORS})),
    Slot("targets", "targets", PATHS),
    Slot("geometry", "geometry"),
    Slot("distanceMeters", "distanceMeters"),
    Slot("quantifier", "quantifier", Words({word: word.upper() for word in ("any", "all", "none")})),
    Slot("srid", "srid"),
)
DISCOVER = record(
    Slot("text_search", "intent/textSearch"),
    Slot(
        "filters",
        "intent/filters",
        record(Slot("type", "type"), Slot("expression", "expression", PATHS)),
    ),
    Slot("spatial", "intent/spatial", Each(_CONSTRAINT)),
    Slot("media_search", "intent/mediaSearch"),
)

_SUPPORT_INFO = record(
    CORE_SLOT,
    left_is("@type", "beckn:SupportInfo"),
    Slot(
        "", "", bag("SupportInfo", *(Slot(key, key) for key in ("name", "phone", "email", "url", "hours", "channels")))
    ),
)
_SUBJECTS = Words({subject: subject for subject in get_args(Subject)})


def _subject(node: Node) -> Any:
    """Whoever only names an order asks about the order."""
    return "ORDER" if node.at("support/orderId") is not None else ABSENT


SUPPORT = record(
    Slot("refId", "support/orderId"),
    Slot("refType", "support/descriptor/code", _SUBJECTS, left_needs=_subject),
    Slot("support", "support/channels/0", _SUPPORT_INFO),
)
SUPPORTED = record(Slot("support", "support/channels/0", _SUPPORT_INFO))


def _tracked_there(node: Node) -> Any:
    return identity_there(node) | stub()


def _tracked_back(node: Node) -> Any:
    read_stub(node)
    return identity_back(node)


TRACK = record(
    Slot("tracking/id", "tracking/contract", Pair(_tracked_there, _tracked_back)),
    Slot("tracking/callbackUrl", "tracking/url", right_needs=lambda node: node.trip.root.look("context/bap_uri")),
    right_is("tracking/status", "ACTIVE"),
)
TRACKED = record(
    Slot(
        "tracking",
        "tracking",
        record(
            CORE_SLOT,
            left_is("@type", "beckn:Tracking"),
            Slot("tl_method", "method", left_needs=lambda _: "http/get"),
            Slot("url", "url"),
            Slot(
                "trackingStatus",
                "status",
                Words({"ACTIVE": "ACTIVE", "DISABLED": "INACTIVE"}, {"COMPLETED": "INACTIVE"}),
            ),
            Slot("expires_at", "expiresAt"),
        ),
    ),
)

_RATING = record(
    CORE_SLOT,
    left_is("@type", "beckn:RatingInput"),
    Slot("id", "target/id"),
    Slot("category", "target/descriptor/code", _SUBJECTS),
    Slot("ratingValue", "range/value"),
    Slot("bestRating", "range/best"),
    Slot("worstRating", "range/worst"),
    Slot("feedback/comments", "feedbackFormSubmission/data/comments"),
)
RATE = record(Slot("ratings", "ratingInputs", Each(_RATING)))


def _nothing_rated(_: Node) -> Any:
    return {"ratings": []}


def _ratings_known(node: Node) -> Any:
    node.trip.enter((*node.path, "ratings"))
    return ABSENT


def _target_known(node: Node) -> Any:
    for key in ("target", "range"):
        node.trip.enter((*node.path, key))
    return ABSENT


RATED = record(
    left_is("received", True),
    Slot("", "", Pair(_nothing_rated, _ratings_known)),
    Slot(
        "aggregate",
        "ratings/0",
        record(
            Slot("", "", Pair(lambda _: {"target": {}, "range": {}}, _target_known)),
            Slot("value", "range/value"),
            Slot("best", "range/best"),
            Slot("worst", "range/worst"),
        ),
    ),
)


def _rest_of_details(node: Node) -> Any:
    node.trip.enter(node.path)
    rest = {child.path[-1]: child.take() for child in node.children() if child.path[-1] != "path"}
    return rest if rest or not node.value else ABSENT


ERROR = record(
    Slot("code", "errorCode"),
    Slot("message", "errorMessage"),
    Slot("details", "details", Pair(_rest_of_details, lambda node: node.take())),
    Slot("details/path", "path", Same(lambda value: isinstance(value, str), PATHS.remark)),
)

PUBLISHED = record(
    Slot(
        "results",
        "results",
        Each(
            record(
                Slot("catalog_id", "catalogId"),
                Slot("status", "status"),
                Slot("item_count", "stats/itemCount"),
                Slot("error", "errors/0", ERROR),
            )
        ),
    )
)
