"""The picture of a flow that settles or swings: what its title says, and when, of flows that are known."""

from __future__ import annotations

from datetime import datetime
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from results.plots import stability, style
from sim.clock import Calendar, local_start


def lived(flow, limit_kw: float = 100.0, nodes: tuple[str, ...] = ("tx",)) -> SimpleNamespace:
    """A run through whose nodes this flowed, quarter of an hour by quarter; NaN where there was no power flow."""
    count = len(flow)
    node = pd.DataFrame({"interval": range(count), "wire_lv_kw": flow, "loading": np.abs(flow) / 1000})
    node[["rated_import_kw", "rated_export_kw"]] = limit_kw
    price = pd.DataFrame({"interval": range(count), "adder_per_kwh": 0.0})
    return SimpleNamespace(
        nodes=pd.concat([node.assign(node=name) for name in nodes], ignore_index=True),
        prices=pd.concat([price.assign(node=name) for name in nodes], ignore_index=True),
        calendar=Calendar(local_start(datetime(2016, 5, 17), "Europe/Berlin"), 900, count),
        manifest={"name": "known", "policy": "broadcast", "seed": 1, "currency": "EUR", "complete": True},
        hours=0.25,
        complete=True,
    )


def swinging(count: int) -> np.ndarray:
    """200 kW and nothing, in turns."""
    return np.where(np.arange(count) % 2 == 0, 200.0, 0.0)


def drawn(run: SimpleNamespace, interval: int | None = None) -> tuple[str, str, tuple[int, int] | None]:
    """The title, what is below it, and from and until which interval there is shown to be alarm."""
    with style.applied():
        figure = stability.draw(run, interval)
        figure.canvas.draw()
    title, below = (text.get_text().replace("\n", " ") for text in figure.texts)
    bands = [band for band in figure.axes[0].patches if to_hex(band.get_facecolor()) == "#fbe6da"]
    if not bands:
        return title, below, None
    return title, below, (round(bands[0].get_x() / 900), round(bands[-1].get_corners()[:, 0].max() / 900))


def test_alarm_is_shown_from_when_it_is_known():
    title, _, shaded = drawn(lived(swinging(20)))
    assert title == "tx swings between 0 kW and 200.0 kW every 2 intervals; alarm from 02:30"
    assert shaded == (10, 20)


def test_what_was_dark_counts_in_the_time_of_an_alarm_though_not_in_the_swing():
    flow = np.concatenate([[np.nan] * 4, swinging(20)])
    title, _, shaded = drawn(lived(flow))
    assert title.endswith("alarm from 03:30")
    assert shaded == (14, 24)


def test_an_alarm_that_is_over_lasts_until_the_reading_that_ends_it():
    flow = np.concatenate([np.zeros(10), swinging(14), np.zeros(20)])
    title, _, shaded = drawn(lived(flow))
    assert shaded is not None
    first, end = (f"{at // 4:02d}:{at % 4 * 15:02d}" for at in shaded)
    assert title == f"tx settles at 0 kW, 0.0 % of its limit, after a peak of 200.0 %; alarm from {first} to {end}"
    assert shaded[0] < shaded[1] < 44


def test_where_a_run_lasts_for_days_the_day_is_told_and_how_often():
    flow = np.concatenate([np.zeros(96), swinging(20), np.zeros(60), swinging(20), np.zeros(30)])
    title, _, _ = drawn(lived(flow))
    assert "alarm from Wed 02:" in title
    assert title.endswith(", 2 times")


def test_four_intervals_are_too_few_to_say_what_a_flow_does():
    assert drawn(lived([1.0, 2.0, 90.0, 3.0]))[0] == (
        "tx is between 1.0 kW and 90.0 kW; too few intervals to tell more"
    )


@pytest.mark.parametrize("count", [1, 2])
def test_of_the_shortest_runs_there_is_a_picture(count: int):
    assert "too few" in drawn(lived(np.full(count, 5.0)), 0)[0]


def test_a_peak_is_told_where_there_was_more_than_in_the_end():
    assert drawn(lived(np.full(20, 400.0)))[0] == "tx settles at 400.0 kW, 400.0 % of its limit; no alarm"
    assert "after a peak of 400.0 %" in drawn(lived([400.0, *[90.0] * 20]))[0]


def test_behind_a_limit_of_nothing_what_a_power_flow_leaves_unexplained_is_no_overload():
    _, below, _ = drawn(lived([50.0, 50.0, *[1e-9] * 20], limit_kw=0.0))
    assert below.startswith("beyond it for 30 min")


def test_other_nodes_are_counted_whatever_they_are():
    assert "most used of 3 nodes" in drawn(lived(swinging(20), nodes=("cable", "tx-1", "tx-2")))[1]
