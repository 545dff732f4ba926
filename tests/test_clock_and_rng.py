"""Simulated time and named random streams."""

from __future__ import annotations

import uuid
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.clock import Calendar, local_start
from sim.rng import identifier, stream


def calendar(start: str = "2016-05-17T09:00:00", count: int = 96) -> Calendar:
    return Calendar(local_start(datetime.fromisoformat(start), "Europe/Berlin"), 900, count)


def test_an_interval_is_half_open_and_follows_its_predecessor() -> None:
    first, second = calendar().intervals()[:2]
    assert (first.start_s, first.end_s, first.hours) == (0, 900, 0.25)
    assert second.start_s == first.end_s


def test_a_timestamp_carries_the_local_offset_of_its_season() -> None:
    assert calendar().timestamp(0) == "2016-05-17T09:00:00+02:00"
    assert calendar("2016-12-05T09:00:00").timestamp(-900) == "2016-12-05T08:45:00+01:00"


def test_a_change_of_clocks_neither_loses_nor_repeats_a_second() -> None:
    spring = calendar("2016-03-27T01:00:00")
    assert spring.timestamp(3600) == "2016-03-27T03:00:00+02:00"
    assert spring.minute_of_day(3600) == 180


@given(st.integers(-86_400, 2 * 86_400))
def test_a_timestamp_reads_back_as_its_second(seconds: int) -> None:
    days = calendar()
    assert days.seconds(days.timestamp(seconds)) == seconds


def test_a_timestamp_without_offset_is_refused() -> None:
    with pytest.raises(ValueError, match="an offset is needed"):
        calendar().seconds("2016-05-17T09:00:00")


def test_a_stream_depends_on_seed_and_name_and_on_nothing_else() -> None:
    first = stream(1, "ev-07", "arrival").random(3).tolist()
    stream(1, "ev-08", "arrival").random(100)
    assert stream(1, "ev-07", "arrival").random(3).tolist() == first
    assert stream(2, "ev-07", "arrival").random(3).tolist() != first
    assert stream(1, "ev-0", "7arrival").random(3).tolist() != first


@given(st.integers(0, 2**31), st.text(max_size=20))
def test_an_identifier_is_a_reproducible_uuid(seed: int, name: str) -> None:
    text = identifier(seed, name)
    assert uuid.UUID(text).version == 8
    assert identifier(seed, name) == text
    assert identifier(seed, name, "") != text
