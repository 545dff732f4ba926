"""Who trades through whom: aggregators below the market, below each other, to any depth, and the hours of their gates.

Every level takes its members' curves before its own is due with the level above, and passes awards on after it has its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from scenarios.names import MARKET
from scenarios.spec import OTHER_HOPS, ROUND_HOPS, AggregatorSpec, Scenario
from sim.errors import Fault, nearest

LEAST_AHEAD_S = 60
"""Whoever asks for forecasts or sets up a market has so much time before the curves of the lowest level are due, at least."""
DECIDING_S = 60
"""Time between the beginning of an interval and the first curves of the next: readings and forecasts of the last have come."""
LEVEL_HOPS = 3
"""Messages that an award takes through one more level: the lock, its answer, and the award."""


class Levels:
    """The tree of hosts.  Of aggregators without faults (``host_faults``) alone every question has an answer."""

    def __init__(self, aggregators: Sequence[AggregatorSpec]) -> None:
        self._specs = {spec.name: spec for spec in aggregators}

    def host(self, name: str) -> str:
        """Whom an aggregator trades with."""
        return self._specs[name].host or MARKET

    def path(self, name: str) -> tuple[str, ...]:
        """The aggregators from this host up to the one that trades with the market; none for the market itself."""
        found: list[str] = []
        while name in self._specs and name not in found:
            found.append(name)
            name = self.host(name)
        return tuple(found)

    def trader(self, name: str) -> str:
        """Who trades with the market where this is the host: its topmost level, or the market itself."""
        return (*self.path(name), MARKET)[-2:][0] if name in self._specs else name

    def members(self, name: str) -> tuple[str, ...]:
        """Aggregators that this one or the market hosts."""
        return tuple(spec for spec in self._specs if self.host(spec) == name)

    def ahead_s(self, name: str) -> int:
        """By how many seconds curves for this host are due before those for the market."""
        return sum(self._specs[level].ahead_s for level in self.path(name))

    @property
    def longest_s(self) -> int:
        """The same for the lowest level; ``LEAST_AHEAD_S`` where none is lower."""
        return max((LEAST_AHEAD_S, *map(self.ahead_s, self._specs)))


def host_faults(scenario: Scenario) -> Iterator[Fault]:
    """Hosts that nobody is, and circles of hosts, each told once."""
    specs = scenario.aggregators
    names = [spec.name for spec in specs]
    above = {spec.name: spec.host for spec in specs}
    told: set[str] = set()
    for number, spec in enumerate(specs):
        where = f"aggregators[{number}].host"
        if spec.host is not None and spec.host not in above:
            yield Fault(where, f"no aggregator {spec.host}", nearest(spec.host, names))
        circle = _circle(spec.name, above)
        if circle and spec.name not in told:
            told.update(circle)
            yield Fault(where, f"{' -> '.join((*circle, spec.name))} is a circle", "leave one host out for the market")


def _circle(name: str, above: Mapping[str, str | None]) -> tuple[str, ...]:
    """The aggregators from this one up to itself; none where its hosts end."""
    found = [name]
    while (host := above.get(found[-1])) is not None:
        if host == name:
            return tuple(found)
        if host in found:
            return ()
        found.append(host)
    return ()


def timing_faults(scenario: Scenario) -> Iterator[Fault]:
    """Levels whose gates do not fit between two deliveries, or whose awards would come after it."""
    levels, market, latency_s = Levels(scenario.aggregators), scenario.market, scenario.wire.latency_s
    for number, spec in enumerate(scenario.aggregators):
        where = f"aggregators[{number}].ahead_s"
        if spec.ahead_s - spec.ahead_s // 2 <= latency_s or spec.ahead_s // 2 <= latency_s:
            what = f"{spec.ahead_s} s leave no time for a curve to reach {spec.name} and go on (wire.latency_s {latency_s})"
            yield Fault(where, what)
        path = levels.path(spec.name)
        due_s = market.confirm_s + levels.ahead_s(spec.name)
        room_s = scenario.interval_min * 60 - DECIDING_S
        if due_s >= room_s:
            what = (
                f"curves for {spec.name} ({_nth(len(path))} level below the market) are due {due_s} s ahead and leave"
                f" no room in {scenario.interval_min} minutes; at most {room_s - 1} s"
            )
            yield Fault(where, what, "shorten market.confirm_s or the ahead_s of a level")
        hops = OTHER_HOPS + ROUND_HOPS * market.rounds_max + LEVEL_HOPS * (len(path) - 1)
        if market.gate_s <= hops * latency_s:
            what = (
                f"an award takes up to {hops * latency_s} s to reach the members of {spec.name} ({hops} messages of"
                f" wire.latency_s), but delivery begins {market.gate_s} s after the market's gate"
            )
            yield Fault(f"aggregators[{number}]", what, "close market.gate_s earlier, or take fewer market.rounds_max")


def _nth(number: int) -> str:
    return {1: "1st", 2: "2nd", 3: "3rd"}.get(number, f"{number}th")


def common_node(nodes: Iterable[str], parents: Mapping[str, str]) -> str:
    """The lowest node at or below which all of these lie.  parents: of every node but the root."""
    paths = [_upwards(node, parents) for node in nodes]
    return next(node for node in paths[0] if all(node in path for path in paths))


def _upwards(node: str, parents: Mapping[str, str]) -> list[str]:
    """This node and all above it, to the root."""
    path = [node]
    while path[-1] in parents:
        path.append(parents[path[-1]])
    return path


def node_faults(
    scenario: Scenario, places: Mapping[str, tuple[str, str]], parents: Mapping[str, str]
) -> Iterator[Fault]:
    """Grid nodes between an aggregator and its members that others use too: two would keep one limit, each for itself.

    places: host and node of everybody who stands in the grid, by ERA.
    """
    levels = Levels(scenario.aggregators)
    told: set[str] = set()
    for number, spec in enumerate(scenario.aggregators):
        own = {era for era, (host, _) in places.items() if spec.name in levels.path(host)}
        if not own:
            continue
        place = common_node([places[era][1] for era in places if era in own], parents)
        for era, (host, node) in places.items():
            path = _upwards(node, parents)
            between = path[: path.index(place)] if place in path else []
            shared = [n for n in between if n not in told and any(n in _upwards(places[o][1], parents) for o in own)]
            if era not in own and shared:
                told.update(shared)
                what = f"{spec.name} trades for sites below {shared[0]}, where {era} trades with {host}"
                yield Fault(f"aggregators[{number}]", what, f"let all below {shared[0]} trade through {spec.name}")
