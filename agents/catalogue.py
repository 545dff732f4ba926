"""The catalogue: keeps what others publish, and finds it again."""

from __future__ import annotations

from collections.abc import Iterable

from sim.participant import Ids, Participant, Registry
from sim.wire.core import Catalog, PublishResult
from sim.wire.messages import CatalogsContent, DiscoverContent, Event, Message, PublishContent, PublishedContent
from sim.wire.need import needed


def mentions(catalog: Catalog, text: str) -> bool:
    """Whether one of the catalogue's energy bags has this ``@type``."""
    bags = [r.resourceAttributes for r in catalog.resources or ()] + [o.offerAttributes for o in catalog.offers or ()]
    return any(type(bag).__name__ == text for bag in bags)


class Catalogue(Participant):
    """Keeps the latest version of every catalogue by its id, in order of first publication."""

    kind = "catalogue"

    def __init__(self, registry: Registry, era: str, ids: Ids) -> None:
        super().__init__(registry, era, ids)
        self._catalogs: dict[str, Catalog] = {}
        self.reactions |= {"catalog/publish": self.on_publish, "discover": self.on_discover}

    def on_publish(self, message: Message) -> Iterable[Event]:
        """Take in every catalogue; a later one of the same id takes the place of the earlier."""
        assert isinstance(message.content, PublishContent)
        self._catalogs |= {catalog.id: catalog for catalog in message.content.catalogs}
        results = tuple(PublishResult(catalogId=c.id, status="ACCEPTED") for c in message.content.catalogs)
        return (self.answer(message, PublishedContent(results=results)),)

    def on_discover(self, message: Message) -> Iterable[Event]:
        """Every catalogue with a bag of the type asked for."""
        assert isinstance(message.content, DiscoverContent)
        text = needed(message.content.intent.textSearch, "/message/intent/textSearch")
        found = tuple(catalog for catalog in self._catalogs.values() if mentions(catalog, text))
        return (self.answer(message, CatalogsContent(catalogs=found)),)
