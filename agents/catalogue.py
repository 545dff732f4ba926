"""The catalogue: keeps what others publish, finds it again, and tells those who have subscribed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from msgspec import UNSET

from sim.clock import Calendar
from sim.participant import Ids, Participant, Registry
from sim.wire.codes import Code, Refusal
from sim.wire.core import Catalog, CatalogFilters, PublishResult, Subscription
from sim.wire.messages import (
    SETUP_TTL_S,
    CatalogsContent,
    DiscoverContent,
    Event,
    Message,
    PublishContent,
    PublishedContent,
    PullContent,
    PulledContent,
    SubscribeContent,
    SubscribedContent,
)
from sim.wire.need import needed
from sim.wire.search import Asker, bag_types, found, visible

EVERYTHING = "*"
"""A schema type that every catalogue has."""


@dataclass(frozen=True, slots=True)
class Edition:
    """One version of a catalogue, and the simulated second in which it was published."""

    catalog: Catalog
    at_s: int


@dataclass(frozen=True, slots=True)
class Follower:
    """Somebody who hears of every new edition of these networks with a bag of one of these types."""

    era: str
    transaction_id: str
    networks: frozenset[str]
    types: frozenset[str]


class Catalogue(Participant):
    """Keeps every edition of every catalogue by its id, in order of first publication.

    roles: of those it knows, for offers that are open to a role.
    """

    kind = "catalogue"

    def __init__(
        self,
        registry: Registry,
        era: str,
        ids: Ids,
        calendar: Calendar,
        roles: Mapping[str, Iterable[str]] | None = None,
    ) -> None:
        super().__init__(registry, era, ids)
        self._calendar = calendar
        self._roles = roles or {}
        self._editions: dict[str, list[Edition]] = {}
        self._followers: dict[tuple[str, str], Follower] = {}
        self.reactions |= {
            "catalog/publish": self.on_publish,
            "catalog/subscription": self.on_subscription,
            "catalog/pull": self.on_pull,
            "discover": self.on_discover,
        }

    def on_publish(self, message: Message) -> Iterable[Event]:
        """Take in every catalogue, and tell its followers; a later edition takes the place of the earlier."""
        assert isinstance(message.content, PublishContent)
        catalogs = message.content.catalogs
        results = tuple(PublishResult(catalogId=c.id, status="ACCEPTED") for c in catalogs)
        answer = self.answer(message, PublishedContent(results=results))
        for catalog in catalogs:
            self._editions.setdefault(catalog.id, []).append(Edition(catalog, message.sent_s))
        return (answer, *self._news(catalogs))

    def _news(self, catalogs: tuple[Catalog, ...]) -> Iterable[Message]:
        for follower in self._followers.values():
            asker = Asker(follower.era, follower.networks, frozenset(self._roles.get(follower.era, ())))
            open_to = [shown for c in catalogs if (shown := visible(c, asker)) is not None]
            wanted = tuple(c for c in open_to if _interests(follower.networks, follower.types, c))
            if wanted:
                ids = (follower.transaction_id, self.ids.fresh())
                yield Message("on_discover", self.era, follower.era, *ids, CatalogsContent(catalogs=wanted))

    def on_subscription(self, message: Message) -> Iterable[Event]:
        """Add a follower, or change what it follows in this transaction; ``on_discover`` comes unasked from now on."""
        assert isinstance(message.content, SubscribeContent)
        wanted = message.content.subscription
        for name in ("callbackUrl", "deliveryPolicy"):
            if getattr(wanted, name) is not UNSET:
                what = f"expected no field {name!r}: {self.era} delivers to its subscriber's own endpoint, once"
                raise Refusal(Code.SCH_FIELD_NOT_ALLOWED, f"/message/subscription/{name}", what)
        subscription = Subscription(
            id=self.ids.fresh(),
            status="ACTIVE",
            networkIds=wanted.networkIds,
            schemaTypes=wanted.schemaTypes,
            createdAt=self._calendar.timestamp(message.sent_s),
        )
        networks, types = frozenset(wanted.networkIds), frozenset(wanted.schemaTypes or (EVERYTHING,))
        follower = Follower(message.sender, message.transaction_id, networks, types)
        self._followers[message.sender, message.transaction_id] = follower
        return (self.answer(message, SubscribedContent(subscriptions=(subscription,)), SETUP_TTL_S),)

    def on_pull(self, message: Message) -> Iterable[Event]:
        """The latest edition of each catalogue asked for (FULL), or all that were published in a span of time."""
        assert isinstance(message.content, PullContent)
        pull = message.content
        filters = pull.filters or CatalogFilters()
        networks, types = frozenset(filters.networkIds or ()), frozenset(filters.schemaTypes or (EVERYTHING,))
        asker = self._asker(message)
        chosen = [
            shown
            for name, editions in self._editions.items()
            if not pull.catalogIds or name in pull.catalogIds
            for edition in (self._within(pull, editions) if pull.mode == "INCREMENTAL" else editions[-1:])
            if (shown := visible(edition.catalog, asker)) is not None and _interests(networks, types, shown)
        ]
        catalogs = tuple(chosen)[: pull.limit or None]
        return (self.answer(message, PulledContent(catalogs=catalogs), SETUP_TTL_S),)

    def _within(self, pull: PullContent, editions: list[Edition]) -> Iterable[Edition]:
        first_s = self._calendar.seconds(needed(pull.fromDate, "/message/fromDate"))
        last_s = self._calendar.seconds(needed(pull.toDate, "/message/toDate"))
        return (edition for edition in editions if first_s <= edition.at_s <= last_s)

    def on_discover(self, message: Message) -> Iterable[Event]:
        """What the intent selects of the latest editions, at the second in which it was sent (``sim.wire.search``)."""
        assert isinstance(message.content, DiscoverContent)
        latest = (editions[-1].catalog for editions in self._editions.values())
        at = self._calendar.local(message.sent_s)
        answer = found(latest, message.content.intent, self._asker(message), at)
        return (self.answer(message, CatalogsContent(catalogs=answer)),)

    def _asker(self, message: Message) -> Asker:
        return Asker.of(message, self._roles.get(message.sender, ()))


def _interests(networks: frozenset[str], types: frozenset[str], catalog: Catalog) -> bool:
    """Whether somebody who follows these networks and types wants this catalogue.

    A catalogue that names no network is of every network, and whoever names none follows all; a type may be named by the
    fragment of a URL.
    """
    of = {network for resource in catalog.resources or () for network in resource.networkIds or ()}
    if of and networks and of.isdisjoint(networks):
        return False
    return EVERYTHING in types or not bag_types(catalog).isdisjoint(t.rpartition("#")[2] for t in types)
