"""What paired seeds say: intervals as in the textbooks, nothing averaged away, and folders that vouch for what they hold."""

from __future__ import annotations

import dataclasses
import json
import math
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paired import COST, MEASURES, OVERLOAD, PRICE, SAVING, compared, drawn_from, grid, seen

from results.comparison import (
    MANIFEST,
    Comparison,
    Failure,
    Measure,
    Row,
    Variant,
    headline,
    markdown,
    related,
    render,
    table,
    write,
)
from results.comparison.folder import TABLES
from results.comparison.statistics import holm
from results.comparison.text import WIDTH, decimals, number, spans
from results.metrics import METRICS, RELATIVE
from sim.errors import RunError

SLEEP = {
    "dextro": [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0],
    "laevo": [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4],
}
"""Hours of sleep gained by ten patients: Student, "The probable error of a mean", Biometrika 6, 1908."""

VALUES = st.floats(-1e6, 1e6).map(lambda value: round(value, 3))
SEEDS = st.integers(2, 12)


def row(comparison: Comparison, variant: str, metric: str = COST.name) -> Row:
    (found,) = [row for row in table(comparison) if (row.variant, row.metric) == (variant, metric)]
    return found


@st.composite
def pairs(draw: st.DrawFn) -> tuple[list[float], list[float]]:
    count = draw(SEEDS)
    rows = [draw(st.lists(VALUES, min_size=count, max_size=count)) for _ in range(2)]
    return rows[0], rows[1]


# --- differences ------------------------------------------------------------------------------------------------------


def test_students_own_patients_sleep_longer_by_what_every_textbook_says() -> None:
    difference = row(compared(SLEEP), "laevo").difference
    assert (difference.pairs, difference.paired, difference.apart) == (10, True, True)
    assert difference.mean == pytest.approx(1.58)
    assert (difference.low, difference.high) == pytest.approx((0.7001142, 2.4598858), abs=1e-7)
    assert difference.p == pytest.approx(0.002832890, abs=1e-9)


def test_the_same_patients_taken_for_two_groups_say_less() -> None:
    difference = row(compared(SLEEP, truths={"laevo": "other patients"}), "laevo").difference
    assert (difference.paired, difference.apart) == (False, False)
    assert difference.mean == pytest.approx(1.58)
    assert (difference.low, difference.high) == pytest.approx((-0.2054832, 3.3654832), abs=1e-7)
    assert difference.p == pytest.approx(0.07939414, abs=1e-8)


@given(pairs())
def test_an_interval_is_that_of_scipy(rows: tuple[list[float], list[float]]) -> None:
    from scipy import stats

    own, base = (np.array(values) for values in rows)
    spread = np.ptp(own - base)
    if spread < 1e-6 * max(1.0, np.abs(rows).max()):
        return
    expected = stats.ttest_rel(own, base)
    low, high = expected.confidence_interval(0.95)
    found = row(compared({"base": rows[1], "own": rows[0]}), "own").difference
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-6, abs=1e-6)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)


@given(st.lists(VALUES, min_size=1, max_size=12))
def test_a_baseline_differs_from_itself_by_nothing_at_all(values: list[float]) -> None:
    difference = row(compared({"base": values}), "base").difference
    assert (difference.mean, difference.low, difference.high) == (0, 0, 0)
    assert difference.same
    assert not difference.apart
    assert math.isnan(difference.p)


@given(pairs(), st.integers(-1000, 1000))
def test_what_all_variants_have_more_of_is_in_no_difference(rows: tuple[list[float], list[float]], more: int) -> None:
    before = row(compared({"base": rows[0], "own": rows[1]}), "own").difference
    shifted = {name: [value + more for value in values] for name, values in zip(("base", "own"), rows, strict=True)}
    after = row(compared(shifted), "own").difference
    scale = 1e-8 * max(1.0, *map(abs, rows[0] + rows[1]))
    for one, other in ((before.mean, after.mean), (before.low, after.low), (before.high, after.high)):
        assert one == pytest.approx(other, rel=1e-6, abs=10 * scale)


@given(pairs())
def test_a_difference_turns_round_with_the_baseline(rows: tuple[list[float], list[float]]) -> None:
    there = row(compared({"a": rows[0], "b": rows[1]}, "a"), "b").difference
    back = row(compared({"a": rows[0], "b": rows[1]}, "b"), "a").difference
    assert (there.mean, there.low, there.high) == pytest.approx((-back.mean, -back.high, -back.low))
    assert there.apart == back.apart


def test_equal_differences_have_an_interval_without_width_and_are_told_from_nothing() -> None:
    difference = row(compared({"base": [1.0, 2.0, 7.0], "own": [1.5, 2.5, 7.5]}), "own").difference
    assert (difference.mean, difference.low, difference.high, difference.p) == (0.5, 0.5, 0.5, 0.0)
    assert difference.apart


def test_what_rounding_makes_of_nothing_is_nothing() -> None:
    difference = row(compared({"base": [0.3, 0.6, 0.9], "own": [0.1 + 0.2, 0.6, 0.3 * 3]}), "own").difference
    assert difference.same
    assert math.isnan(difference.p)


def test_one_seed_has_a_difference_and_no_interval() -> None:
    found = row(compared({"base": [4.0], "own": [3.0]}), "own")
    assert found.difference.mean == -1
    assert all(map(math.isnan, (found.difference.low, found.difference.p, found.deviation, found.half)))
    assert not found.difference.apart
    assert found.difference.better == 1


def test_the_share_of_seeds_that_are_better_follows_the_direction_and_counts_no_ties() -> None:
    values = {"base": [4.0, 4.0, 4.0, 4.0], "own": [3.0, 4.0, 5.0, 3.5]}
    assert row(compared(values), "own").difference.better == 0.5
    assert row(compared(values, measure=SAVING), "own", SAVING.name).difference.better == 0.25
    assert math.isnan(row(compared(values, measure=PRICE), "own", PRICE.name).difference.better)


@pytest.mark.parametrize(("measure", "worst", "seed"), [(COST, 9.0, 3), (SAVING, 1.0, 1), (PRICE, 9.0, 3)])
def test_the_worst_seed_is_the_one_in_the_wrong_direction_or_farthest_out(
    measure: Measure, worst: float, seed: int
) -> None:
    found = row(compared({"base": [1.0, 2.0, 9.0, 2.0]}, measure=measure), "base", measure.name)
    assert (found.worst, found.worst_seed) == (worst, seed)
    assert (found.mean, found.median, found.seeds) == (3.5, 2.0, 4)


def test_no_seed_is_the_worst_where_all_are_alike() -> None:
    found = row(compared({"base": [2.0, 2.0, 2.0]}), "base")
    assert (found.worst, found.worst_seed) == (2.0, None)


def test_holms_rule_is_that_of_its_textbook_example() -> None:
    """With 0.01, 0.04, 0.03 and 0.005: sorted and times 4, 3, 2, 1, never falling."""
    assert holm([0.01, 0.04, math.nan, 0.03, 0.005]) == pytest.approx([0.03, 0.06, math.nan, 0.06, 0.02], nan_ok=True)


@given(st.lists(st.floats(0, 1), max_size=20))
def test_a_corrected_p_is_never_smaller_and_keeps_the_order(ps: list[float]) -> None:
    found = holm(ps)
    assert all(p <= q <= 1 for p, q in zip(ps, found, strict=True))
    ordered = [q for _, q in sorted(zip(ps, found, strict=True))]
    assert ordered == sorted(ordered)


# --- what is missing --------------------------------------------------------------------------------------------------


def test_a_seed_without_a_value_is_left_out_and_counted() -> None:
    difference = row(compared({"base": [1.0, 2.0, 3.0], "own": [2.0, math.nan, 5.0]}), "own").difference
    assert (difference.pairs, difference.dropped, difference.mean) == (2, 1, 1.5)


def test_an_infinite_ratio_is_no_value() -> None:
    found = row(compared({"base": [1.0, 2.0], "own": [math.inf, 5.0]}), "own")
    assert (found.seeds, found.mean, found.difference.pairs) == (1, 5.0, 1)


def test_a_variant_that_always_failed_has_rows_all_the_same() -> None:
    found = row(compared({"base": [1.0, 2.0], "own": [None, None]}), "own")
    assert (found.seeds, found.failed, found.difference.pairs, found.worst_seed) == (0, 2, 0, None)
    assert math.isnan(found.mean)
    assert math.isnan(found.difference.mean)


def test_differences_of_a_variant_with_failures_are_over_the_seeds_that_both_have() -> None:
    found = row(compared({"base": [1.0, 2.0, 30.0], "own": [2.0, 4.0, None]}), "own")
    assert (found.difference.pairs, found.difference.dropped, found.difference.mean) == (2, 0, 1.5)
    assert (found.failed, found.seeds) == (1, 2)


@given(st.sets(st.integers(1, 6)))
def test_failures_change_no_statistics_of_others(seeds: set[int]) -> None:
    whole = drawn_from(["base", "own", "other"], 6)
    broken = drawn_from(["base", "own", "other"], 6, {"own": sorted(seeds)})
    apart = [dataclasses.replace(r, difference=dataclasses.replace(r.difference, p_holm=0)) for r in table(whole)]
    again = [dataclasses.replace(r, difference=dataclasses.replace(r.difference, p_holm=0)) for r in table(broken)]
    assert [repr(row) for row in apart if row.variant != "own"] == [repr(row) for row in again if row.variant != "own"]


def test_other_days_break_the_pairs_of_that_variant_alone() -> None:
    values = {"base": [1.0, 2.0, 4.0], "own": [2.0, 4.0, 5.0], "other": [1.0, 3.0, 5.0]}
    comparison = compared(values, truths={"own": "another day"})
    assert comparison.unpaired == {"own": (1, 2, 3)}
    assert not row(comparison, "own").difference.paired
    assert row(comparison, "other").difference.paired
    text = render(comparison)
    assert "NOT paired († below): arrivals, needs or weather differ from the baseline's by seed: own on 3 (1-3)" in text
    assert "own †" in text
    assert "other †" not in text


@given(st.randoms(use_true_random=False))
def test_the_order_in_which_runs_ended_changes_nothing(shuffled: random.Random) -> None:
    straight = drawn_from(["base", "own", "other"], 5, {"own": [2, 4]})
    observations, failures = list(straight.observations), list(straight.failures)
    shuffled.shuffle(observations)
    shuffled.shuffle(failures)
    mixed = dataclasses.replace(straight, observations=tuple(observations), failures=tuple(failures))
    assert mixed == straight
    assert repr(table(mixed)) == repr(table(straight))
    assert render(mixed) == render(straight)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: {"observations": c.observations * 2}, "base, seed 1: is there twice"),
        (lambda c: {"failures": (Failure("own", 1, "broke"),)}, "own, seed 1: is there twice"),
        (lambda c: {"seeds": (1,)}, "base, seed 2: was not asked for"),
        (lambda c: {"variants": (*c.variants, c.variants[0])}, "base: is the name of two variants"),
        (lambda c: {"variants": (Variant("base", {}, "x"), c.variants[1])}, "base: is compared with 'x', which is no variant"),
        (lambda c: {"observations": (*c.observations[:3], seen("own", 2, currency="USD"))}, "runs are paid in EUR, USD"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused_with_its_name(change: Callable[[Comparison], dict], words: str) -> None:
    comparison = compared({"base": [1.0, 2.0], "own": [2.0, 3.0]})
    with pytest.raises(RunError) as refused:
        dataclasses.replace(comparison, **change(comparison))
    assert words in str(refused.value)


# --- beside a reference -----------------------------------------------------------------------------------------------


def test_relative_metrics_look_at_the_same_seed_under_the_reference() -> None:
    comparison = compared({"own": [5.0, 7.0, 8.0], "none": [9.0, 8.0, None]})
    comparison = dataclasses.replace(
        comparison, variants=tuple(dataclasses.replace(variant, reference="none") for variant in comparison.variants)
    )
    saved = related(
        comparison, {"saved": lambda own, base: base.values.get(COST.name, math.nan) - own.values[COST.name]}
    )
    assert saved.cells["own", 1].values["saved"] == 4.0
    assert saved.cells["own", 2].values["saved"] == 1.0
    assert math.isnan(saved.cells["own", 3].values["saved"])
    assert saved.cells["none", 1].values["saved"] == 0.0


def test_metrics_that_need_no_reference_have_a_value_without_one_and_the_others_none() -> None:
    comparison = compared({"own": [5.0, 7.0]})
    costs = {"cost": 5.0, "best_cost": 4.0, "wanted_value": 20.0}
    told = tuple(dataclasses.replace(observation, values=costs) for observation in comparison.observations)
    comparison = dataclasses.replace(comparison, observations=told)
    values = related(comparison, {name: metric.measure for name, metric in RELATIVE.items()}).cells["own", 1].values
    assert (values["regret"], values["welfare"]) == (1.0, 15.0)
    assert all(math.isnan(values[name]) for name in ("captured_share", "bill_saving", "worse_off_share", "saving_min"))


def test_a_metric_is_described_in_the_currency_of_the_runs() -> None:
    measure = Measure.of(METRICS["mean_price_per_kwh"], "EUR")
    assert (measure.unit, measure.better) == ("EUR/kWh", "")
    assert {Measure.of(metric, "EUR").sign for metric in METRICS.values()} == {-1, 0, 1}


# --- the folder -------------------------------------------------------------------------------------------------------

AWKWARD = {
    "failures": lambda: drawn_from(["base", "own", "gone"], 4, {"own": [2], "gone": [1, 2, 3, 4]}),
    "no values": lambda: drawn_from(["base", "own"], 3, empty=[("own", PRICE.name)]),
    "a grid": lambda: grid({"populations.ev.count": ["10", "20"]}, ["locational", "none"]),
    "one seed": lambda: drawn_from(["base"], 1),
}


@pytest.mark.parametrize("case", AWKWARD)
def test_a_folder_gives_back_what_was_written(case: str, tmp_path: Path) -> None:
    comparison = AWKWARD[case]()
    write(tmp_path, comparison, {"versions": {"numpy": "2"}})
    again = Comparison.open(tmp_path)
    assert repr(table(again)) == repr(table(comparison))
    assert render(again) == render(comparison)
    assert (again.variants, again.seeds, again.failures) == (comparison.variants, comparison.seeds, comparison.failures)
    assert [o.truth for o in again.observations] == [o.truth for o in comparison.observations]
    assert json.loads((tmp_path / MANIFEST).read_bytes())["versions"] == {"numpy": "2"}


def test_the_same_comparison_gives_the_same_bytes(tmp_path: Path) -> None:
    comparison = AWKWARD["failures"]()
    turned = dataclasses.replace(comparison, observations=comparison.observations[::-1])
    for name, one in (("one", comparison), ("other", turned)):
        write(tmp_path / name, one, {})
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.*"))
    assert len(files) == 6 + len(comparison.observations)
    assert all((tmp_path / "one" / path).read_bytes() == (tmp_path / "other" / path).read_bytes() for path in files)


def test_tables_hold_every_value_and_every_statistic_with_units(tmp_path: Path) -> None:
    comparison = AWKWARD["failures"]()
    write(tmp_path, comparison, {})
    runs, statistics = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("runs", "table"))
    assert runs.num_rows == len(comparison.observations) * len(MEASURES)
    assert statistics.num_rows == len(comparison.variants) * len(MEASURES)
    assert statistics.schema.names == TABLES["table"].names
    assert statistics.schema.metadata[b"metric.regret"] == b"[EUR] cost above that of the best plan"
    assert all(field.metadata[b"description"] for schema in (runs.schema, statistics.schema) for field in schema)
    assert pacsv.read_csv(tmp_path / "table.csv").column("mean").to_pylist() == statistics.column("mean").to_pylist()


def test_runs_say_where_on_the_grid_they_lie(tmp_path: Path) -> None:
    write(tmp_path, AWKWARD["a grid"](), {})
    runs = pq.read_table(tmp_path / "runs.parquet")
    assert runs.schema.names[:4] == ["variant", "market.policy", "populations.ev.count", "seed"]
    assert runs.column("populations.ev.count").unique().to_pylist() == ["10", "20"]


def test_observations_are_kept_under_the_names_that_they_have_already(tmp_path: Path) -> None:
    comparison = drawn_from(["base", "own"], 2)
    (tmp_path / "observations").mkdir()
    known = tmp_path / "observations" / "abc.parquet"
    known.write_bytes(comparison.cells["own", 1].to_bytes())
    before = known.stat().st_mtime_ns
    write(tmp_path, comparison, {}, {("own", 1): "abc", ("own", 2): "xyz"})
    assert known.stat().st_mtime_ns == before
    assert (tmp_path / "observations" / "xyz.parquet").exists()
    assert len(list((tmp_path / "observations").iterdir())) == 4
    assert repr(table(Comparison.open(tmp_path))) == repr(table(comparison))


def broken_observation(folder: Path) -> None:
    next((folder / "observations").iterdir()).write_bytes(b"PAR1")


def missing_observation(folder: Path) -> None:
    next((folder / "observations").iterdir()).unlink()


def changed_manifest(**changes: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        said = json.loads((folder / MANIFEST).read_bytes()) | changes
        (folder / MANIFEST).write_text(
            json.dumps({name: value for name, value in said.items() if value is not ...}, default=str)
        )

    return change


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda folder: (folder / MANIFEST).unlink(), "has no comparison.json: this is no comparison folder, or the comparison never finished"),
        (lambda folder: (folder / MANIFEST).write_bytes(b"{"), "comparison.json is not JSON"),
        (lambda folder: (folder / MANIFEST).write_bytes(b"[]"), "comparison.json is not an object"),
        (changed_manifest(format=99), "comparison.json has format 99, and this version reads 1"),
        (changed_manifest(complete=False), "comparison.json does not say that the comparison is complete"),
        (changed_manifest(failures=...), "comparison.json/failures: is missing"),
        (lambda folder: (folder / "runs.parquet").unlink(), "runs.parquet: is missing"),
        (lambda folder: (folder / "table.csv").write_text("mine"), "table.csv: is not the file that was written"),
        (broken_observation, "is not the file that was written"),
        (missing_observation, "is missing"),
    ],
)  # fmt: skip
def test_a_folder_that_is_not_what_was_written_is_refused(
    harm: Callable[[Path], object], words: str, tmp_path: Path
) -> None:
    write(tmp_path, drawn_from(["base", "own"], 2), {})
    harm(tmp_path)
    with pytest.raises(RunError) as refused:
        Comparison.open(tmp_path)
    assert words in str(refused.value)


def test_no_folder_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="there is no such folder"):
        Comparison.open(tmp_path / "nowhere")


def test_a_folder_that_is_written_anew_and_not_finished_vouches_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, drawn_from(["base", "own"], 2), {})
    monkeypatch.setattr("results.comparison.text.markdown", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write(tmp_path, drawn_from(["base", "own"], 3), {})
    with pytest.raises(RunError, match="never finished"):
        Comparison.open(tmp_path)


def test_a_caller_cannot_say_what_the_comparison_says(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="seeds"):
        write(tmp_path, drawn_from(["base"], 2), {"seeds": 7})
    assert not list(tmp_path.iterdir())


# --- the text ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", AWKWARD)
def test_lines_fit(case: str) -> None:
    assert max(map(len, render(AWKWARD[case]()).splitlines())) <= WIDTH


def test_a_long_error_is_told_over_lines_and_not_cut_where_it_says_what_was_wrong() -> None:
    comparison = drawn_from(["base", "own"], 3, {"own": [3]})
    error = f"policy stopped in 4 of 4 intervals, first Tue 11:00: {'my_lab:mine was stopped: ' * 4}ValueError: unlucky"
    comparison = dataclasses.replace(comparison, failures=(Failure("own", 3, error),))
    lines = render(comparison).splitlines()
    assert lines[-2].startswith("failed: own, seed 3: policy stopped in 4 of 4 intervals, first Tue 11:00:")
    assert lines[-1].startswith("  ")
    assert " ".join(f"{lines[-2]} {lines[-1].strip()}".split()).endswith(error)
    listed = [line for line in markdown(comparison).splitlines() if line.startswith("- ")]
    assert listed[-1] == f"- {lines[-2]}"


def test_what_was_noted_of_runs_is_told_once_for_a_variant() -> None:
    comparison = drawn_from(["base", "own"], 3)
    noted = [
        dataclasses.replace(one, notes=("no best plan",) * (one.variant == "own")) for one in comparison.observations
    ]
    comparison = dataclasses.replace(comparison, observations=tuple(noted))
    assert render(comparison).splitlines()[-1] == "note: own, seeds 1-3: no best plan"
    assert "- note: own, seeds 1-3: no best plan" in markdown(comparison).splitlines()


def test_where_every_run_failed_nothing_is_said_of_numbers() -> None:
    comparison = drawn_from(["base", "own"], 2, {"base": [1, 2], "own": [1, 2]})
    lines = render(comparison).splitlines()
    assert lines[0] == "street: 2 variants on 2 seeds (1-2), 0 of 4 runs, 4 failed"
    assert {line.partition(" ")[0] for line in lines[1:] if line} == {"failed:"}


def test_a_text_says_what_the_table_says() -> None:
    comparison = drawn_from(["base", "own"], 40, {"own": [3]})
    found = row(comparison, "own")
    text = render(comparison)
    assert text.startswith("street: 2 variants on 40 seeds (1-40), 79 of 80 runs, 1 failed\n")
    assert "39 of 40" in text
    assert f"{found.mean:.2f}" in text
    assert f"{found.difference.mean:+.2f} ±{found.difference.half:.2f}" in text
    assert f"{found.worst:.2f} ({found.worst_seed})" in text
    assert "failed: own, seed 3: the power flow diverged" in text
    assert "seeds or more are usual" not in text


def test_few_seeds_are_told_once_what_is_usual() -> None:
    assert render(drawn_from(["base", "own"], 5)).count("30 seeds or more are usual") == 1


def test_many_variants_are_not_all_shown_and_that_is_said() -> None:
    text = render(drawn_from([f"v{number}" for number in range(60)], 2))
    assert "of the variants the first 40 are shown" in text
    assert "v39 " in text
    assert "v40 " not in text


def test_names_that_would_look_alike_are_cut_less() -> None:
    names = [f"locational, capacity_kwh={kwh}, charge_kw=2.5" for kwh in (10, 20)]
    text = render(drawn_from(names, 3))
    means = text.split("means")[1].split("\n\n")[0].splitlines()
    labels = [line.split("  ")[0] for line in means if "…" in line]
    assert len(set(labels)) == len(labels) == 2


def test_what_is_the_same_in_all_runs_takes_no_column() -> None:
    text = render(compared({"base": [4.0, 4.0], "own": [4.0, 4.0]}))
    assert "the same in all runs: regret 4.00 EUR" in text
    assert "means" not in text


def test_a_number_that_only_some_runs_have_is_not_said_of_all() -> None:
    text = render(compared({"base": [4.0, math.nan], "own": [math.nan, math.nan]}))
    assert "the same in all runs: regret 4.00 EUR (only 1 of 4 have one)" in text


def test_a_variant_that_does_as_its_baseline_on_every_seed_is_said_to_be_the_same() -> None:
    text = render(compared({"base": [4.0, 5.0], "own": [4.0, 5.0], "other": [4.0, 6.0]}))
    assert [line.split() for line in text.splitlines() if line.startswith("own")][1] == ["own", "same"]


def test_stars_tell_one_look_from_many() -> None:
    """Ten metrics were looked at: what one look takes for a difference does not stand among all of them."""
    names = [f"metric_{number}" for number in range(10)]
    sure, likely, nothing = (
        [1.0, 1.1, 0.9, 1.0, 1.05, 0.95],
        [1.0, 2.0, -0.2, 1.0, 2.0, 0.5],
        [1.0, -1.0, 0.5, -0.4, 2.0, -2.0],
    )
    rows = [sure, likely, *[nothing] * 8]
    comparison = Comparison(
        "looks",
        (Variant("base", {}, "base"), Variant("own", {}, "base")),
        tuple(range(6)),
        tuple(Measure(name, "EUR", "less") for name in names),
        tuple(
            seen(variant, seed, **{name: size * row[seed] for name, row in zip(names, rows, strict=True)})
            for variant, size in (("base", 0.0), ("own", 1.0))
            for seed in range(6)
        ),
    )
    found = [row(comparison, "own", name).difference for name in names[:3]]
    assert [(one.apart, one.surely) for one in found] == [(True, True), (True, False), (False, False)]
    line = next(line for line in render(comparison, names[:3]).splitlines() if line.startswith("own ") and "±" in line)
    assert [cell.count("*") for cell in line.split("±")[1:]] == [2, 1, 0]


def test_metrics_of_ones_own_come_after_the_usual_ones_and_others_only_if_asked_for() -> None:
    comparison = drawn_from(["base", "own"], 3)
    mine, unusual = Measure("mine_kwh", "kWh", "less"), Measure("ramp_kw", "kW", "less")
    values = [{**o.values, "mine_kwh": float(o.seed), "ramp_kw": float(o.seed)} for o in comparison.observations]
    observations = tuple(
        dataclasses.replace(o, values=more) for o, more in zip(comparison.observations, values, strict=True)
    )
    comparison = dataclasses.replace(comparison, measures=(mine, unusual, *MEASURES), observations=observations)
    assert "mine_kwh" in render(comparison)
    assert "ramp_kw" not in render(comparison)
    assert "ramp_kw" in render(comparison, ["ramp_kw"])
    with pytest.raises(RunError, match="has no metric x; known: mine_kwh, ramp_kw"):
        render(comparison, ["x"])


def test_headlines_are_the_known_ones_that_differ() -> None:
    assert [measure.name for measure in headline(drawn_from(["base", "own"], 3))] == [
        COST.name,
        OVERLOAD.name,
        SAVING.name,
    ]


def test_a_document_marks_what_is_told_from_nothing() -> None:
    lines = markdown(
        compared({"base": [1.0, 2.0, 7.0], "own": [1.5, 2.5, 7.5], "gone": [None, None, None]})
    ).splitlines()
    assert "| base | 3 of 3 | 3.33 |" in lines
    assert "| regret, EUR ↓ | 3.33 | 3.83 | – |" in lines
    assert "| own | 3 of 3 | 3.83 (***+0.500 ±0.000***) |" in lines
    assert "| gone | 0 of 3 | – |" in lines
    assert "| own | 7.50 (3) |" in lines


@pytest.mark.parametrize(
    ("seeds", "told"), [((1, 2, 3), "1-3"), ((5,), "5"), ((1, 3, 4, 9), "1, 3-4, 9"), ((3, 2), "3, 2")]
)
def test_seeds_are_told_as_they_are_asked_for(seeds: tuple[int, ...], told: str) -> None:
    assert spans(seeds) == told


@pytest.mark.parametrize(
    ("values", "digits"),
    [
        ((), 0),
        ((0.0,), 0),
        ((1234.5,), 0),
        ((12.3, 45.0), 1),
        ((0.5, 0.4, 45.7), 2),
        ((1e-9,), 4),
        ((math.nan, 1.0), 2),
    ],
)
def test_decimals_show_three_digits_of_a_middling_value(values: tuple[float, ...], digits: int) -> None:
    assert decimals(values) == digits


def test_numbers_have_no_negative_zero_and_a_dash_for_none() -> None:
    assert (number(-0.001, 1), number(math.nan, 1), number(1234.5, 0, "+")) == ("0.0", "–", "+1,234")
