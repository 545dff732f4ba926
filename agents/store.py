"""What all participants with a store have in common: prices that they expect, and an optimiser for the curve."""

from __future__ import annotations

from abc import abstractmethod

from agents.forecast import Forecast
from agents.optimisers import Bid, Optimise, StoreProblem
from agents.resource import Resource, Seat
from sim.clock import Interval
from sim.market.problem import Offer

UNBOUNDED_PER_KWH = 1e3
"""What a missing kWh costs where no market has told its price cap yet."""


class Store(Resource):
    """A resource whose kWh can be had now or later.  Subclasses state their problem; ``optimise`` answers it.

    unserved_per_kwh: what a kWh that is lacking at the end is worth paying for at most, all charges included; None for the
    market's price cap.
    """

    def __init__(self, seat: Seat, *, optimise: Optimise, unserved_per_kwh: float | None = None) -> None:
        super().__init__(seat)
        self._optimise = optimise
        self._unserved_per_kwh = unserved_per_kwh
        self._tariff: dict[int, float] = {}
        self.bid: Bid | None = None
        """The latest answer, with the line that says what it rests on and what will be lacking."""

    @abstractmethod
    def problem(self, interval: Interval, now_s: int) -> StoreProblem | None:
        """What it wants and can do from ``interval`` on, decided at ``now_s``; None to stay out."""

    def offer(self, interval: Interval, now_s: int) -> Offer | None:
        """The optimiser's curve for the problem."""
        problem = self.problem(interval, now_s)
        if problem is None:
            self.bid = None
            return None
        self.bid = self._optimise(problem)
        return self.offer_of(problem, self.bid)

    def offer_of(self, problem: StoreProblem, bid: Bid) -> Offer:
        """The offer; without a price a store does nothing, so its baseline is to rest."""
        del problem
        return Offer(self.era, self.place.node, bid.curve, 0.0)

    def on_tariffs(self) -> None:
        """What was expected from the tariffs before is no longer right."""
        self._tariff.clear()

    def margin_per_kwh(self, index: int) -> float:
        """What it expects the price of interval ``index`` to lie above the tariff, or above what is forecast."""
        del index
        return 0.0

    def expected_prices(self, first: int, count: int, now_s: int) -> Forecast:
        """Prices of so many intervals: as forecast, else the tariff, with its own margin; 0 while neither is known."""
        span = range(first, first + count)
        tariff = Forecast("PRICE", self.place.node, now_s, first, tuple(map(self.tariff_per_kwh, span)))
        held = self.outlook.forecast("PRICE", now_s)
        return (tariff if held is None else held.over(tariff)).raised(list(map(self.margin_per_kwh, span)))

    def missing_per_kwh(self, efficiency: float) -> float:
        """What a stored kWh costs at most that is lacking in the end: drawing it is worth the price cap."""
        if self._unserved_per_kwh is not None:
            return self._unserved_per_kwh / efficiency
        if self.terms is None:
            return UNBOUNDED_PER_KWH
        return self.charges.cost_when_drawing(self.terms.price_cap) / efficiency

    def tariff_per_kwh(self, index: int) -> float:
        """Looked up once: a store asks for the same prices at every gate of its horizon."""
        price = self._tariff.get(index)
        if price is None:
            price = self._tariff[index] = super().tariff_per_kwh(index)
        return price
