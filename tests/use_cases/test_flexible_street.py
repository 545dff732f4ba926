"""A street of loads that can wait: forecasts through the catalogue, and bidders that are as good as what they know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from results.run import Run
from results.verify import render, verify
from scenarios.reader import read
from scenarios.runner import execute
from tests.conftest import ROOT

STREET = ROOT / "scenarios" / "flexible-street.yaml"
EVENING = ("start=2016-12-06T17:00:00", "duration_h=6", "forecasts.refresh_h=2")
URGENT = ("start=2016-12-06T12:00:00", "duration_h=2", "populations.car.optimiser.name=rule")
"""Cars that do not wait for a better price."""

Street = Callable[..., Run]


@pytest.fixture(scope="module")
def run_street(tmp_path_factory: pytest.TempPathFactory) -> Street:
    """Runs the street with overrides, each set of them once."""
    known: dict[tuple[str, ...], Run] = {}

    def run(*overrides: str) -> Run:
        if overrides not in known:
            known[overrides] = Run(execute(read(STREET, overrides), tmp_path_factory.mktemp("flexible") / "run"))
        return known[overrides]

    return run


def rows(run: Run, kind: str) -> pd.DataFrame:
    """Set-points of all participants of a kind."""
    eras = [era for era, name in run.kinds.items() if name == kind]
    return run.setpoints[run.setpoints.era.isin(eras)]


def gap_kw(run: Run, kind: str) -> float:
    """Mean distance between what was cleared and what was delivered."""
    found = rows(run, kind)
    return float((found.delivered_kw - found.setpoint_kw).abs().mean())


def forecasts(run: Run) -> list[dict[str, Any]]:
    """Catalogues with forecasts, as they were published."""
    found = [
        catalog for said in run.message_records("catalog/publish") for catalog in said["body"]["message"]["catalogs"]
    ]
    return [catalog for catalog in found if catalog["id"].startswith("forecast/")]


def test_an_evening_of_every_kind_is_sound(run_street: Street) -> None:
    run = run_street(*EVENING)
    report = verify(run)
    assert report.findings == 0, render(report)
    assert run.intervals.certified.all()
    assert not run.intervals.fallback.any()
    assert {"household", "flexible_load", "heat_pump", "charge_point_operator"} <= set(run.kinds.values())


def test_forecasts_are_published_with_their_quantiles_as_often_as_they_are_made_anew(run_street: Street) -> None:
    published = forecasts(run_street(*EVENING))
    topics = {catalog["id"] for catalog in published}
    assert {topic.split("/")[1] for topic in topics} == {"PV", "LOAD", "TEMPERATURE", "PRICE"}
    assert len(published) == 3 * len(topics), "when set up, and for 19:00 and 21:00"
    for catalog in published:
        for value in catalog["resources"][0]["resourceAttributes"]["values"]:
            spread = value["quantiles"]
            assert spread["p10"] <= spread["p50"] <= spread["p90"]


def test_heat_pumps_and_reduced_loads_keep_to_what_was_cleared(run_street: Street) -> None:
    run = run_street(*EVENING)
    assert gap_kw(run, "heat_pump") < 0.01
    shops = rows(run, "flexible_load")
    reduced = shops[shops.setpoint_kw.diff().ne(0) & (shops.price_per_kwh > 0.5)]
    assert (reduced.delivered_kw >= reduced.setpoint_kw - 1e-6).all(), "its limiter holds what it has promised"


def test_a_site_stays_within_its_limit(run_street: Street) -> None:
    run = run_street(*URGENT)
    site_kw = rows(run, "ev").groupby("interval").delivered_kw.sum()
    assert site_kw.min() >= -33 - 1e-6


def test_who_charges_pays_the_margin_on_top(run_street: Street) -> None:
    run = run_street(*URGENT)
    cars, site = rows(run, "ev"), rows(run, "charge_point_operator").set_index("interval")
    charging = cars[cars.setpoint_kw < -1e-6]
    assert len(charging)
    upstream = charging.interval.map(site.price_per_kwh)
    assert (charging.price_per_kwh >= upstream + 0.04 - 1e-9).all()


@pytest.mark.slow
def test_the_better_the_forecast_the_less_there_is_to_balance(run_street: Street) -> None:
    """Mean distance of households from what was cleared: perfect, a tenth off, and as the last day was."""
    gaps = [
        gap_kw(run_street(*EVENING, f"forecasts.model={model}"), "household")
        for model in ("none", "noise", "persistence")
    ]
    assert gaps == sorted(gaps)
    assert gaps[0] < 0.2 * gaps[1]


@pytest.mark.slow
def test_without_a_forecaster_everybody_falls_back_on_persistence(run_street: Street) -> None:
    run = run_street(*EVENING, "forecasts=null")
    assert forecasts(run) == []
    assert verify(run).findings == 0
    assert "forecaster" not in run.kinds.values()


@pytest.mark.slow
def test_planning_with_the_worth_of_heat_is_cheaper_than_a_ramp(run_street: Street) -> None:
    def cost(*overrides: str) -> float:
        found = rows(run_street(*overrides), "heat_pump")
        return float((-found.delivered_kw * found.price_per_kwh).sum()) / float(-found.delivered_kw.sum())

    perfect = ("forecasts.model=none",)
    assert cost(*perfect) < cost(*perfect, "populations.building.method=rule")
