"""The page that reads the shipped studies says what their tables say, and the tables are of the studies as they are."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from results.run import Run
from scenarios.comparing import carry_out, prepare
from scenarios.engine.local import LocalEngine
from scenarios.reader import read
from scenarios.runner import execute
from scenarios.study import read_study, study_of

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "studies"
FILES = sorted((ROOT / "scenarios" / "studies").glob("*.yaml"))
PAGE = " ".join((FOLDER / "ten-policies.md").read_text(encoding="utf-8").split())
KEEPERS = ("locational", "oracle", "vcg", "adder-ascent", "curtail-only")
"""The policies that keep the limits."""


def table(study: str) -> pd.DataFrame:
    return pd.read_csv(FOLDER / study / "table.csv").set_index(["variant", "metric"])


TEN, BELIEFS = table("ten-policies"), table("beliefs")


def mean(variant: str, metric: str) -> float:
    return float(TEN.loc[(variant, metric), "mean"])


def belief(spread: str, metric: str) -> float:
    return float(BELIEFS.loc[(f"belief_sd_per_kwh={spread}", metric), "mean"])


def of(metric: str, column: str = "mean") -> pd.Series:
    return TEN.xs(metric, level="metric")[column]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_table_is_of_the_variants_and_seeds_that_its_study_asks_for(file: Path) -> None:
    study, found = read_study(file), table(file.stem)
    assert list(dict.fromkeys(found.index.get_level_values("variant"))) == [variant.name for variant in study.variants]
    assert set(found["failed"]) == {0}
    assert set(found.xs("regret", level="metric")["seeds"]) == {len(study.seeds)}
    assert found["paired"].all()


def test_the_study_that_ships_compares_ten_policies_on_twenty_seeds() -> None:
    study = read_study(ROOT / "scenarios" / "studies" / "ten-policies.yaml")
    assert (len(study.variants), len(study.seeds)) == (10, 20)


@pytest.mark.parametrize(
    "said",
    [
        f"for between {mean('utilisation', 'overload_import_min'):.0f} minutes (`utilisation`) and"
        f" {mean('time-of-use', 'overload_import_min'):.0f} (`time-of-use`) a day",
        f"peak at {mean('none', 'peak_import_kw'):.0f} kW",
        f"peak at {mean('pay-as-clear', 'peak_import_kw'):.0f} kW under `pay-as-clear`, at"
        f" {mean('time-of-use', 'peak_import_kw'):.0f} under `time-of-use` and at {mean('utilisation', 'peak_import_kw'):.0f} under",
        f"{mean('utilisation', 'overload_export_kvah'):.0f} kVAh beyond that limit against {mean('none', 'overload_export_kvah'):.0f},",
        f"`pay-as-clear` does, at {mean('pay-as-clear', 'regret'):.1f} EUR".replace("-3", "−3"),
        f"the `oracle` pays {mean('oracle', 'regret'):.1f} EUR",
        f"`curtail-only` {mean('curtail-only', 'regret'):.1f}, and `locational` {mean('locational', 'regret'):.1f}:"
        f" more than `none` at {mean('none', 'regret'):.1f}",
        f"the difference of −{-TEN.loc[('none', 'regret'), 'difference']:.0f}"
        f" ±{(TEN.loc[('none', 'regret'), 'high'] - TEN.loc[('none', 'regret'), 'low']) / 2:.0f} EUR does not stand",
        f"({TEN.loc[('locational', 'regret'), 'worst']:.1f} on seed {TEN.loc[('locational', 'regret'), 'worst_seed']:.0f})",
        f"the median is {TEN.loc[('locational', 'regret'), 'median']:.1f}",
        f"Cars are short of {mean('locational', 'ev_unserved_kwh'):.1f} kWh in the mean",
        f"households of {mean('locational', 'shed_kwh'):.1f} kWh",
        f"these {mean('locational', 'ev_unserved_kwh') + mean('locational', 'shed_kwh'):.1f} kWh are"
        f" {3 * (mean('locational', 'ev_unserved_kwh') + mean('locational', 'shed_kwh')):.0f} EUR, more than all of the regret",
        f"the regret is {belief('0', 'regret'):.1f} EUR, with {belief('0', 'ev_unserved_kwh'):.1f} kWh of cars short",
        f"{belief('0.01', 'regret'):.1f} EUR and {belief('0.01', 'ev_unserved_kwh'):.1f} kWh, and from there",
        f"{mean('locational', 'worse_off_share'):.0%} of the connection points are worse off".replace("%", " %"),
        f"{mean('locational', 'congestion_rent'):.0f} EUR of congestion rent leave the street for the grid operator"
        f" ({belief('0', 'congestion_rent'):.0f} with drivers of one mind)",
        f"the mean bill is {mean('locational', 'bill_saving'):.2f} EUR lower",
        f"With `oracle` {100 * mean('oracle', 'worse_off_share'):.0f} % are worse off and {mean('oracle', 'congestion_rent'):.0f} EUR",
        f"({mean('adder-ascent', 'ev_unserved_kwh'):.1f} kWh of cars short, regret {mean('adder-ascent', 'regret'):.1f})",
        f"{mean('adder-ascent', 'congestion_rent'):.0f} EUR of rent, a bill {mean('adder-ascent', 'bill_saving'):.2f} EUR lower,"
        f" {100 * mean('adder-ascent', 'worse_off_share'):.0f} % worse off",
        f"than any other, {100 * mean('curtail-only', 'worse_off_share'):.0f} %",
        f"({mean('curtail-only', 'curtailed_kwh'):.1f} kWh of sun, `locational` {mean('locational', 'curtailed_kwh'):.1f})",
        f"(Jain's index {mean('utilisation', 'saving_jain'):.2f}, `locational` {mean('locational', 'saving_jain'):.2f})",
        f"within {mean('vcg', 'regret') - mean('locational', 'regret'):.1f} EUR of regret, and pays",
        f"to the others: {-mean('vcg', 'congestion_rent'):.0f} EUR a day",
        f"to within {mean('mcafee', 'regret') - mean('pay-as-clear', 'regret'):.1f} EUR of regret, keeps"
        f" {mean('mcafee', 'congestion_rent'):.0f} EUR for itself",
        f"the bill is {mean('pay-as-clear', 'bill_saving') - mean('mcafee', 'bill_saving'):.2f} EUR higher",
        f"20 seeds leave ±{(TEN.loc[('none', 'regret'), 'high'] - TEN.loc[('none', 'regret'), 'low']) / 2:.0f} EUR",
    ],
)  # fmt: skip
def test_a_number_on_the_page_is_the_tables(said: str) -> None:
    assert said in PAGE


def test_those_who_are_said_to_keep_the_limits_do_on_every_seed_and_nobody_else_does() -> None:
    worst = of("overload_import_kvah", "worst") + of("overload_export_kvah", "worst")
    assert sorted(worst[worst == 0].index) == sorted(KEEPERS)


def test_what_the_page_says_of_who_is_first_and_last_is_so() -> None:
    minutes = of("overload_import_min").drop(list(KEEPERS))
    assert (minutes.idxmin(), minutes.idxmax()) == ("utilisation", "time-of-use")
    export = of("overload_export_kvah")
    assert list(export[export > export["none"] * 1.5].index) == ["utilisation"]
    assert of("worse_off_share").idxmax() == "curtail-only"
    assert of("saving_jain").idxmax() == "utilisation"
    assert [name for name in KEEPERS if mean(name, "ev_unserved_kwh") == mean(name, "shed_kwh") == 0] == [
        "oracle",
        "curtail-only",
    ]


def test_the_differences_that_are_said_to_stand_are_those() -> None:
    corrected = of("regret", "p_holm")
    assert sorted(corrected[corrected < 0.05].index) == ["mcafee", "pay-as-clear"]
    assert TEN.loc[("none", "regret"), "low"] < 0 < TEN.loc[("none", "regret"), "high"]


def test_cars_are_short_on_as_many_seeds_as_the_page_says() -> None:
    """Better means strictly fewer kWh short, and the oracle is short of none."""
    share = TEN.loc[("oracle", "ev_unserved_kwh"), "better_share"]
    assert f"on {20 * share:.0f} of the 20 seeds" in PAGE


def test_the_table_of_the_readme_has_the_means_of_the_study() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    rows = {
        line.split("`")[1]: [cell.strip() for cell in line.split("|")[2:-1]]
        for line in lines
        if re.match(r"\| `[\w-]+`: ", line)
    }
    assert sorted(rows) == sorted(dict.fromkeys(TEN.index.get_level_values("variant")))
    for name, cells in rows.items():
        above = mean(name, "overload_import_kvah") + mean(name, "overload_export_kvah")
        assert cells == [
            f"{mean(name, 'peak_import_kw'):.0f}",
            f"{mean(name, 'overload_import_min'):.0f} / {mean(name, 'overload_export_min'):.0f}",
            f"{above:.0f}",
            f"{mean(name, 'curtailed_kwh'):.1f}",
            f"{mean(name, 'ev_unserved_kwh'):.1f}",
            f"{100 * mean(name, 'worse_off_share'):.0f} %",
            f"{mean(name, 'bill_saving'):.2f}",
            f"{mean(name, 'regret'):.1f}".replace("-", "−"),
        ]


def test_every_picture_of_the_page_is_there() -> None:
    pictures = re.findall(r"\]\((ten-policies/[\w-]+\.png)\)", PAGE)
    assert len(pictures) == 3
    assert all((FOLDER / picture).is_file() for picture in pictures)


@pytest.mark.slow
def test_a_seed_of_the_study_comes_out_again(tmp_path: Path) -> None:
    """The worst regrets are those of single runs."""
    metric = of("regret", "worst").to_dict()
    seeds = of("regret", "worst_seed").to_dict()
    for policy in ("pay-as-clear", "none"):
        study = study_of(ROOT / "scenarios" / "street.yaml", policies=(policy,), seeds=f"{seeds[policy]:.0f}")
        comparison = carry_out(prepare(study, tmp_path / policy), LocalEngine())
        assert comparison.values(policy, "regret") == pytest.approx([metric[policy]], abs=1e-6)


@pytest.mark.slow
def test_the_run_that_the_page_tells_of_went_like_that(tmp_path: Path) -> None:
    run = Run(execute(read(ROOT / "scenarios" / "street.yaml", ["seed=19"]), tmp_path / "run"))
    clock = run.intervals.set_index("interval")["start"].str[11:16]
    flow = run.nodes.set_index("interval")["wire_lv_kw"].groupby(clock).first()
    price = run.prices[run.prices["node"] == "trafo-1"].set_index("interval")["price_per_kwh"].groupby(clock).first()
    assert flow["03:00":"04:00"].max() < 27  # type: ignore[misc]
    assert list(price[price == 3].index) == ["06:45", "07:00", "07:15", "07:30", "07:45"]
