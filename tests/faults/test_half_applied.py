"""A message is acted on whole or not at all: a NACK leaves everybody as they were."""

from __future__ import annotations

import copy
import io
import itertools
import json
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.build import Built, build
from scenarios.reader import read
from scenarios.timing import Stopwatch
from sim.clock import Calendar
from sim.rng import identifier
from sim.wire.messages import is_callback
from tests.conftest import STREET
from tests.json_values import places, value_at

SMALL = (
    "duration_h=1", "start=2016-05-17T19:00:00", "populations.house.count=3", "populations.pv.count=3",
    "populations.ev.count=4", "populations.battery.count=2", "populations.fleet.count=4",
)  # fmt: skip
MOMENTS = (-959, -958, -945, -899, -898, -897, -896, -895, -894, -359, -299, -119, -118, -117, -116, -115, -114, -113,
           -112, -111, -110, 901, 902, 903, 3602, 3603, 3604, 4502)  # fmt: skip
"""Simulated seconds just before which messages of every kind of the market's day are under way."""


class Paused:
    """A small street, stopped while messages are under way."""

    def __init__(self, moment: int) -> None:
        self.built: Built = build(read(STREET, SMALL), io.BytesIO(), Stopwatch())
        self.under_way: list[tuple[str, bytes]] = []
        bus = self.built.world.bus
        arrive = bus._arrive
        world = self.built.world

        def noting(due: Any) -> None:
            if world._clock.now >= moment:
                _, sent, raw, *_ = due.value
                self.under_way.append((sent.action, raw))
            else:
                arrive(due)

        bus._arrive = noting  # type: ignore[method-assign]
        for interval in world.calendar.intervals():
            bus.at(interval.end_s, lambda due: world._live(due.value), interval)
        world._clock.run(until=moment + 1)

    def state(self) -> Any:
        agents = {agent.era: dict(walk(agent, {})) for agent in self.built.world.agents}
        return agents, dict(walk(self.built.world.ledger, {})), len(self.built.world.bus._correlation._pending)


def walk(thing: Any, seen: dict[int, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that hangs on a thing of ours, by its path."""
    if isinstance(thing, msgspec.Struct):
        yield path, msgspec.json.encode(thing)
    elif isinstance(thing, np.ndarray):
        yield path, thing.tobytes() if thing.size < 100 else id(thing)  # long ones are weather, which nobody changes
    elif isinstance(thing, tuple) and len(thing) > 100:
        yield path, hash(thing)  # tariffs by the minute
    elif isinstance(thing, dict | list | tuple | set | frozenset):
        yield f"{path}#", len(thing)
        for key, value in thing.items() if isinstance(thing, dict) else enumerate(thing):
            yield from walk(value, seen, f"{path}/{key}")
    elif type(thing).__module__.split(".")[0] in ("agents", "sim") and not isinstance(thing, Calendar | StrEnum):
        if seen.setdefault(id(thing), path) == path:
            for name in vars(thing) if hasattr(thing, "__dict__") else thing.__slots__:
                if name not in ("model", "reactions"):
                    yield from walk(getattr(thing, name), seen, f"{path}.{name}")
    else:
        yield path, None if callable(thing) else str(thing)


def values(document: Any) -> list[Any]:
    return [value_at(document, path) for path in places(document)]


OTHERS: tuple[Any, ...] = (
    None, True, 0, -1, 1e9, -7.5, "", "nobody", "market", "utility", "battery-01", "ev-01", "PT0S", [], {}, [[]], "EUR", "USD",
    "ACTIVE", "TERMINATED", "BUYER", "MISSING", "2016-05-17T10:59:00+02:00", "2016-05-17T11:07:00+02:00",
    "2030-01-01T00:00:00Z", "752c9cce-0559-8d41-81b8-f45f5683fbc0",
)  # fmt: skip


@st.composite
def changes(draw: st.DrawFn, document: Any) -> Any:
    """The document with one or two of its places deleted, doubled, or given another value, from itself or from elsewhere."""
    changed = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 2))):
        path = draw(st.sampled_from([path for path in places(changed) if len(path) > 1] or [("context",)]))
        parent, key = value_at(changed, path[:-1]), path[-1]
        match draw(st.sampled_from(["delete", "other", "double", *["like"] * 6])):
            case "delete":
                parent.pop(key, None) if isinstance(parent, dict) else parent.pop(key)
            case "other":
                parent[key] = draw(st.sampled_from(OTHERS))
            case "like":
                kind = type(parent.get(key)) if isinstance(parent, dict) else type(parent[key])
                alike = [v for v in OTHERS if type(v) is kind] + [v for v in values(document) if type(v) is kind]
                parent[key] = copy.deepcopy(draw(st.sampled_from(alike or [None])))
            case "double":
                if isinstance(parent, list):
                    parent.append(copy.deepcopy(parent[key]))
                else:
                    parent[f"{key}2"] = copy.deepcopy(parent.get(key))
    return changed


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_nack_leaves_every_state_as_it_was(moment: int) -> None:
    change_messages_at(moment, examples=15)


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_nack_leaves_every_state_as_it_was_however_hard_one_tries(moment: int) -> None:
    change_messages_at(moment, examples=300)


def change_messages_at(moment: int, examples: int) -> None:
    alive = [Paused(moment)]
    assert alive[0].under_way, f"nothing is under way at {moment}"
    fresh = itertools.count()
    kinds = dict(alive[0].under_way)

    @settings(max_examples=examples)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        action = data.draw(st.sampled_from(sorted(kinds)))
        document = json.loads(kinds[action])
        if not is_callback(action):
            document["context"]["messageId"] = identifier(1, str(next(fresh)))
        document = data.draw(changes(document))
        paused = alive.pop() if alive else Paused(moment)
        before = paused.state()
        ack = paused.built.world.bus.transmit(action, json.dumps(document).encode())
        if ack.status == "NACK":
            assert paused.state() == before
            alive.append(paused)

    check()
