"""Frames of a run in a notebook: what their columns mean, what they draw, and that they are pandas' own in all else."""

from __future__ import annotations

import gc
import pickle
import weakref
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import results
from results.notebook import Table, picture
from results.plots.over_time import SIGHTS
from results.run import Run
from results.tables import TABLES
from sim.errors import RunError
from tests.conftest import TWO_HOURS

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def run(run_street: Callable[..., Run]) -> Run:
    return results.open(run_street(*TWO_HOURS).path)


def words(table: Table) -> str:
    figure = table.plot().figure
    return "\n".join(text.get_text() for text in figure.findobj(lambda one: hasattr(one, "get_text")))


@pytest.mark.parametrize("name", TABLES)
def test_every_table_says_what_each_of_its_columns_means(run: Run, name: str) -> None:
    table = run.table(name)
    assert isinstance(table, Table)
    assert list(table.about.index) == list(table.columns)
    assert list(table.about.columns) == ["type", "unit", "meaning"]
    assert (table.about["meaning"] != "").all()


def test_the_currency_is_the_run_s_own(run: Run) -> None:
    assert run.prices.about.loc["price_per_kwh", "unit"] == "EUR/kWh"


@pytest.mark.parametrize("name", SIGHTS)
def test_a_table_with_a_course_draws_it_over_local_time_with_units(run: Run, name: str) -> None:
    text = words(run.table(name))
    assert "local time (Europe/Berlin)" in text
    assert "[" in text
    assert "street · policy locational · seed 1" in text


def test_prices_have_a_line_for_each_node_and_voltages_a_band_for_all_buses(run: Run) -> None:
    assert "price at the node [EUR/kWh]" in words(run.prices)
    assert {"grid", "trafo-1"} <= set(words(run.prices).split("\n"))
    assert f"all {run.voltages['bus'].nunique()} places" in words(run.voltages)
    assert "the middle 80 %" in words(run.voltages)


def test_what_adds_up_is_shown_by_its_largest_parts_and_the_rest(run: Run) -> None:
    largest = run.messages[run.messages["interval"].between(0, 7)]["action"].value_counts()
    text = words(run.messages)
    assert f"{len(largest) - 5} other actions" in text
    assert largest.index[0] in text
    outside = int((~run.messages["interval"].between(0, 7)).sum())
    assert f"{outside:,} rows before or after the run are not shown" in text


@pytest.mark.parametrize("name", [name for name in TABLES if name not in SIGHTS])
def test_a_table_without_a_course_says_so(run: Run, name: str) -> None:
    with pytest.raises(RunError, match=f"{name}: has no course over time"):
        run.table(name).plot()


def test_a_picture_shows_itself_in_a_notebook_and_can_be_kept(run: Run, tmp_path: Path) -> None:
    shown = run.prices.plot()
    drawn = shown._repr_png_()
    assert drawn.startswith(PNG)
    assert drawn == run.prices.plot()._repr_png_()
    shown.save(tmp_path / "prices.svg")
    assert "<svg" in (tmp_path / "prices.svg").read_text(encoding="utf-8")


def test_every_picture_of_a_run_can_be_shown_by_its_name(run: Run) -> None:
    assert picture(run, "transformer")._repr_png_().startswith(PNG)
    with pytest.raises(RunError, match=r"no plot transformers; did you mean transformer"):
        picture(run, "transformers")
    with pytest.raises(RunError, match=r"no interval 8; it has 0 to 7"):
        picture(run, "prices", 8)


def test_with_arguments_it_is_pandas_plot(run: Run) -> None:
    wide = run.prices.pivot(index="interval", columns="node", values="price_per_kwh")
    assert type(wide.plot()).__module__.startswith("matplotlib")
    axes = run.prices.plot(x="interval", y="price_per_kwh")
    assert axes.get_xlabel() == "interval"
    assert run.prices.plot.scatter(x="interval", y="price_per_kwh").get_ylabel() == "price_per_kwh"


def test_whatever_is_made_of_a_table_is_a_plain_frame(run: Run) -> None:
    prices = run.prices
    made = (
        prices[prices["interval"] == 1],
        prices.copy(),
        prices.groupby("node").mean(),
        prices.head(),
        prices[["node"]],
    )
    assert {type(one) for one in made} == {pd.DataFrame}
    thawed = pickle.loads(pickle.dumps(prices))
    assert type(thawed) is pd.DataFrame
    assert thawed.equals(pd.DataFrame(prices))


def test_a_table_outlives_its_run_and_does_not_keep_it(run: Run) -> None:
    gc.collect()
    gc.disable()
    try:
        opened = Run(run.path)
        prices, there = opened.prices, weakref.ref(opened)
        del opened
        assert there() is None
        assert prices.plot()._repr_png_().startswith(PNG)
    finally:
        gc.enable()
