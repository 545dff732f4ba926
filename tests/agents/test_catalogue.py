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
from sim.wire.bags import ENERGY, EnergyForecast, GridConstraints, GridNode
from sim.wire.core import (
    Catalog,
    CatalogFilters,
    DeliveryPolicy,
    Descriptor,
    Provider,
    Resource,
    SubscriptionRequest,
)
from sim.wire.messages import (
    CatalogsContent,
    Content,
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

    def __init__(self) -> None:
        super().__init__()
        shelf = Catalogue(mesa.Model(rng=1), "catalogue", Ids(1, "catalogue"), CALENDAR)
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
