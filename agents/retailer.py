"""The retailer: supply without end at one price, demand without end at another."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

from agents.resource import Resource, Seat
from sim.clock import Interval
from sim.curves import OfferCurve
from sim.market.problem import Offer
from sim.tariff import prices_by_minute
from sim.wire.bags import Role, Tariff
from sim.wire.core import Catalog, Descriptor, Provider
from sim.wire.core import Offer as WireOffer
from sim.wire.messages import SETUP_TTL_S, Alarm, Event, Message, PublishContent, uri


class Retailer(Resource):
    """Trades upstream of the feeder: sells at the import tariff, buys at the export tariff, up to ``capacity_kw``.

    The wedge between the two prices is what a local market has to share.
    """

    kind = "retailer"
    role: ClassVar[Role] = "SELLER"
    resource_type: ClassVar[Literal["GRID_SUPPLY"]] = "GRID_SUPPLY"

    def __init__(self, seat: Seat, *, own_tariffs: tuple[Tariff, Tariff], capacity_kw: float) -> None:
        super().__init__(seat)
        self._own_tariffs = own_tariffs
        self._import_prices, self._export_prices = map(prices_by_minute, own_tariffs)
        self._capacity_kw = capacity_kw
        self.reactions["catalog/on_publish"] = self.on_published

    def on_start(self, alarm: Alarm) -> Iterable[Event]:
        """Publish the tariffs, then join like any resource."""
        offers = tuple(
            WireOffer(id=f"{self.era}/{tariff.direction.lower()}", resourceIds=(self.era,), offerAttributes=tariff)
            for tariff in self._own_tariffs
        )
        catalog = Catalog(
            id=f"{self.era}/tariffs",
            descriptor=Descriptor(name="Tariff"),
            provider=Provider(id=self.era, descriptor=Descriptor(name=self.era)),
            bppId=self.era,
            bppUri=uri(self.era),
            offers=offers,
        )
        content = PublishContent(catalogs=(catalog,))
        yield self.request("catalog/publish", self.place.catalogue, content, self.ids.fresh(), SETUP_TTL_S)
        yield from super().on_start(alarm)

    def on_published(self, _: Message) -> Iterable[Event]:
        """The catalogue has taken the tariffs."""
        return ()

    def capability(self) -> OfferCurve:
        """Everything up to the capacity, both ways."""
        return OfferCurve.of([(0.0, -self._capacity_kw), (0.0, self._capacity_kw)], who=self.era)

    def offer(self, interval: Interval, now_s: int) -> Offer:
        """Withdraw up to the export price, inject from the import price on."""
        del now_s
        minute = self.calendar.minute_of_day(interval.start_s)
        buy, sell = self._export_prices[minute], self._import_prices[minute]
        points = [(buy, -self._capacity_kw), (buy, 0.0), (sell, 0.0), (sell, self._capacity_kw)]
        return Offer(self.era, self.place.node, OfferCurve.of(points, who=self.era), 0.0)
