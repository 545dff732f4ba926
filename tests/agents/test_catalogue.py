"""The catalogue: what is published is found, pushed to who subscribed, and pulled by who asks."""

from __future__ import annotations

from typing import Any

import mesa
import pytest
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from agents.catalogue import Catalogue
from sim.participant import Ids
from sim.rng import identifier
from sim.wire.bags import ENERGY, EnergyForecast, GeoJSONGeometry, GridConstraints, GridNode
from sim.wire.core import (
    Audience,
    Catalog,
    CatalogFilters,
    DeliveryPolicy,
    Descriptor,
    Filters,
    Offer,
    Provider,
    Resource,
    SearchIntent,
    SpatialConstraint,
    SubscriptionRequest,
)
from sim.wire.messages import (
    CatalogsContent,
    Content,
    DiscoverContent,
    Message,
    NackContent,
    PublishContent,
    PullContent,
    PulledContent,
    SubscribeContent,
    SubscribedContent,
)
from tests.test_bus import CALENDAR, Network

FORECAST = EnergyForecast(
    ENERGY, variable="PV", unit="kW", resolution="PT900S", horizon="PT86400S", issuedAt=CALENDAR.timestamp(0)
)
NODE = GridNode(ENERGY, nodeId="trafo-1", nodeType="TRANSFORMER", gridConstraints=GridConstraints(maxForwardFlowKW=80))


def catalog(name: str, bag: EnergyForecast | GridNode, text: str = "first") -> Catalog:
    resource = Resource(id=name, resourceAttributes=bag)
    provider = Provider(id="a", descriptor=Descriptor())
    return Catalog(id=name, descriptor=Descriptor(name=text), provider=provider, resources=(resource,))


class Library(Network):
    """The network with a catalogue in it; ``a`` talks to it at given seconds."""

    def __init__(self, **more: Any) -> None:
        super().__init__()
        shelf = Catalogue(mesa.Model(rng=1), "catalogue", Ids(1, "catalogue"), CALENDAR, **more)
        self.bus.join("catalogue", shelf.handle)
        self.said = 0

    def tell(self, action: str, content: Content, at_s: int = 0) -> Content | None:
        """Say it at a second; what ``a`` hears last within three seconds of it."""
        self.said += 1
        message = Message(action, "a", "catalogue", identifier(1, "t"), identifier(1, str(self.said)), content)
        self.clock.run(until=at_s + 0.1) if at_s > self.clock.now else None
        self.bus.post("a", [message])
        self.clock.run(until=int(self.clock.now) + 3)
        last = self.heard[-1]
        assert isinstance(last, Message)
        return last.content

    def publish(self, *catalogs: Catalog, at_s: int = 0) -> None:
        self.tell("catalog/publish", PublishContent(catalogs=catalogs), at_s)

    def names(self) -> list[str]:
        return [said for _, name, said in self.log if name == "a"]


def follow(*types: str) -> SubscribeContent:
    return SubscribeContent(subscription=SubscriptionRequest(networkIds=("degsim",), schemaTypes=types))


def test_a_subscriber_is_told_of_every_later_edition_of_the_types_it_follows() -> None:
    library = Library()
    library.publish(catalog("f", FORECAST))
    answer = library.tell("catalog/subscription", follow("https://schema.degsim.example/energy/v1#EnergyForecast"))
    assert isinstance(answer, SubscribedContent)
    assert answer.subscriptions[0].status == "ACTIVE"
    library.publish(catalog("f", FORECAST, "second"), catalog("n", NODE))
    library.publish(catalog("n", NODE, "second"))
    assert library.names() == [
        "catalog/on_publish", "catalog/on_subscription", "catalog/on_publish", "on_discover", "catalog/on_publish",
    ]  # fmt: skip
    (news,) = [m.content for m in library.heard if isinstance(m, Message) and m.action == "on_discover"]
    assert isinstance(news, CatalogsContent)
    assert [c.descriptor.name for c in news.catalogs] == ["second"]


def test_whoever_names_no_type_follows_all() -> None:
    library = Library()
    library.tell("catalog/subscription", follow())
    library.publish(catalog("f", FORECAST), catalog("n", NODE))
    (news,) = [m.content for m in library.heard if isinstance(m, Message) and m.action == "on_discover"]
    assert isinstance(news, CatalogsContent)
    assert [c.id for c in news.catalogs] == ["f", "n"]


@pytest.fixture
def shelf() -> Library:
    library = Library()
    library.publish(catalog("f", FORECAST, "at 0"), catalog("n", NODE, "at 0"))
    library.publish(catalog("f", FORECAST, "at 100"), at_s=100)
    library.publish(catalog("f", FORECAST, "at 200"), at_s=200)
    return library


@pytest.mark.parametrize(
    ("pull", "found"),
    [
        (PullContent(mode="FULL"), ["f at 200", "n at 0"]),
        (PullContent(mode="FULL", limit=1), ["f at 200"]),
        (PullContent(mode="FULL", catalogIds=("n",)), ["n at 0"]),
        (PullContent(mode="FULL", filters=CatalogFilters(schemaTypes=("GridNode",))), ["n at 0"]),
        (PullContent(mode="FULL", filters=CatalogFilters(schemaTypes=("Tariff",))), []),
        (
            PullContent(mode="INCREMENTAL", fromDate=CALENDAR.timestamp(50), toDate=CALENDAR.timestamp(250)),
            ["f at 100", "f at 200"],
        ),
        (
            PullContent(mode="INCREMENTAL", fromDate=CALENDAR.timestamp(0), toDate=CALENDAR.timestamp(0)),
            ["f at 0", "n at 0"],
        ),
    ],
)
def test_a_pull_brings_the_latest_of_each_or_all_of_a_span_of_time(
    shelf: Library, pull: PullContent, found: list[str]
) -> None:
    answer = shelf.tell("catalog/pull", pull, at_s=300)
    assert isinstance(answer, PulledContent)
    assert not isinstance(answer.catalogs, UnsetType)
    assert [f"{c.id} {c.descriptor.name}" for c in answer.catalogs] == found
    assert answer.objectUrl is UNSET


def test_a_second_subscription_in_the_same_transaction_takes_the_place_of_the_first() -> None:
    library = Library()
    library.tell("catalog/subscription", follow("EnergyForecast"))
    library.tell("catalog/subscription", follow("GridNode"))
    library.publish(catalog("f", FORECAST), catalog("n", NODE))
    news = [m.content for m in library.heard if isinstance(m, Message) and m.action == "on_discover"]
    assert [[c.id for c in content.catalogs] for content in news if isinstance(content, CatalogsContent)] == [["n"]]


def test_a_follower_of_one_network_hears_nothing_of_another() -> None:
    library = Library()
    library.tell("catalog/subscription", follow())
    elsewhere = replace(catalog("f", FORECAST), resources=(Resource(id="f", networkIds=("another",)),))
    library.publish(elsewhere)
    assert "on_discover" not in library.names()


@pytest.mark.parametrize("more", [{"callbackUrl": "https://a.example/x"}, {"deliveryPolicy": DeliveryPolicy()}])
def test_what_the_catalogue_does_not_do_is_refused_and_not_passed_over(more: dict[str, Any]) -> None:
    library = Library()
    wanted = SubscribeContent(subscription=replace(follow().subscription, **more))
    answer = library.tell("catalog/subscription", wanted)
    assert isinstance(answer, NackContent)
    assert answer.error.errorCode == "SCH_FIELD_NOT_ALLOWED"


# discovery; what an intent selects is tested with sim.wire.search


def ask(library: Library, at_s: int = 0, **intent: Any) -> list[str]:
    answer = library.tell("discover", DiscoverContent(intent=SearchIntent(**intent)), at_s)
    assert isinstance(answer, CatalogsContent)
    return [f"{c.id} {c.descriptor.name}" for c in answer.catalogs]


def where(expression: str) -> Filters:
    return Filters(type="jsonpath", expression=expression)


def test_discovery_answers_whole_intents_from_the_latest_editions(shelf: Library) -> None:
    assert ask(shelf, 300, textSearch="EnergyForecast") == ["f at 200"]
    assert ask(shelf, filters=where("$[?@.resourceAttributes.variable == 'PV' || @.id == 'n']")) == [
        "f at 200",
        "n at 0",
    ]
    assert ask(shelf, textSearch="n", filters=where("$[?@.resourceAttributes.variable == 'PV']")) == []
    place = GeoJSONGeometry(type="Point", coordinates=(77.6, 12.97))
    here = SpatialConstraint(op="S_DWITHIN", targets="$.availableAt[*].geo", geometry=place, distanceMeters=10)
    assert ask(shelf, spatial=(here,)) == []
    shelf.publish(replace(catalog("f", FORECAST), isActive=False))
    assert ask(shelf, textSearch="EnergyForecast") == []


@pytest.mark.parametrize("intent", [SearchIntent(), SearchIntent(filters=where("$[?"))])
def test_an_intent_that_cannot_be_answered_is_refused(shelf: Library, intent: SearchIntent) -> None:
    assert isinstance(shelf.tell("discover", DiscoverContent(intent=intent), 300), NackContent)


def reserved(kind: Any, one: str) -> Catalog:
    offers = (Offer(id="o", availableTo=(Audience(type=kind, id=one),)),)
    return replace(catalog("f", FORECAST), offers=offers)


@pytest.mark.parametrize(
    ("kind", "one", "seen"),
    [("PARTICIPANT", "a", True), ("PARTICIPANT", "b", False), ("ROLE", "FLEET", True), ("ROLE", "BUYER", False)],
)
def test_what_is_open_to_others_only_is_neither_found_nor_pulled_nor_pushed(kind: Any, one: str, seen: bool) -> None:
    library = Library(roles={"a": ("FLEET",), "b": ("BUYER",)})
    library.tell("catalog/subscription", follow())
    library.publish(reserved(kind, one))
    assert ("on_discover" in library.names()) is seen
    assert bool(ask(library, textSearch="f")) is seen
    pulled = library.tell("catalog/pull", PullContent(mode="FULL"))
    assert isinstance(pulled, PulledContent)
    assert bool(pulled.catalogs) is seen
