"""Pictures of comparisons: drawn without a warning in awkward cases, the same bytes twice, and titles that say what tables say."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from legible import check_legible, with_texts
from matplotlib.figure import Figure
from matplotlib.text import Text
from paired import COST, MEASURES, OVERLOAD, SAVING, compared, drawn_from, grid

from results.comparison import Comparison, headline, table
from results.comparison.opposed import opposed
from results.plots import style
from results.plots.comparison import PICTURES, fitting, marks, save
from sim.errors import RunError

TWELVE = [f"policy-{number}" for number in range(10)] + ["supply-demand-ratio", "none"]
LONG = ["locational:step=0.05,rounds=40,base=retail", "locational:step=0.10,rounds=40,base=retail", "short"]
COUNT, SHARE = "populations.ev.count", "feeder.limits.import_share"

CASES: dict[str, Callable[[], Comparison]] = {
    "five": lambda: drawn_from(TWELVE[:4] + TWELVE[-1:], 20, extreme="none"),
    "two": lambda: drawn_from(["locational", "none"], 8),
    "twelve, two of which fail": lambda: drawn_from(TWELVE, 6, {"policy-3": [1, 4], "policy-5": range(1, 7)}),
    "long names": lambda: drawn_from(LONG, 40),
    "no values": lambda: drawn_from(TWELVE[:3], 5, empty=[("policy-1", COST.name), ("policy-2", OVERLOAD.name)]),
    "no value at all": lambda: drawn_from(["a", "b"], 3, empty=[(n, m.name) for n in "ab" for m in MEASURES]),
    "one seed": lambda: drawn_from(TWELVE[:4], 1),
    "one variant": lambda: drawn_from(["alone"], 5),
    "nothing differs": lambda: compared({"a": [1.0, 1.0], "b": [1.0, 1.0]}),
    "one metric": lambda: compared({"a": [1.0, 2.0], "b": [3.0, 1.0]}),
    "not paired": lambda: compared({"a": [1.0, 2.0], "b": [3.0, 1.0]}, truths={"b": "another day"}),
    "all failed": lambda: compared({"a": [None, None], "b": [None, None]}),
    "one axis": lambda: grid({COUNT: ["10", "20", "80"]}),
    "policies along an axis": lambda: grid({COUNT: ["10", "20", "80"]}, ["locational", "none"]),
    "categories": lambda: grid({"feeder.name": ["cigre", "kerber", "a-feeder-with-a-long-name"]}, ["locational", "none"]),
    "two axes": lambda: grid({COUNT: ["10", "20", "80"], SHARE: ["0.3", "0.5", "0.7"]}),
    "policies over two axes": lambda: grid({COUNT: ["10", "20", "80"], SHARE: ["0.3", "0.5", "0.7"]}, TWELVE[:6]),
    "near values": lambda: grid({COUNT: ["10", "11", "500"]}, TWELVE[:8]),
}  # fmt: skip

Picture = tuple[Figure, list[Text]]


@functools.cache
def comparison_of(case: str) -> Comparison:
    return CASES[case]()


@functools.cache
def drawn(name: str, case: str) -> Picture:
    """A picture, and the texts that were really drawn."""
    return drawn_of(name, comparison_of(case))


def drawn_of(name: str, comparison: Comparison, metrics: Sequence[str] = ()) -> Picture:
    return with_texts(lambda: PICTURES[name].draw(comparison, metrics))


def claim(name: str, case: str) -> str:
    return str(drawn(name, case)[0].texts[0].get_text().replace("\n", " "))


def words(name: str, case: str) -> list[str]:
    return [text.get_text() for text in drawn(name, case)[1]]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", PICTURES)
def test_no_text_lies_on_another_or_leaves_the_picture(name: str, case: str) -> None:
    check_legible(*drawn(name, case), may_overlap)


def may_overlap(one: Text, other: Text) -> bool:
    """Slanted names lie beside each other in overlapping boxes; numbers of seeds stand at their dots."""
    is_slanted = bool(one.get_rotation() % 90 and other.get_rotation() % 90)
    return is_slanted or {one.get_color(), other.get_color()} == {style.VERMILLION}


@pytest.mark.parametrize("fmt", ["png", "svg"])
@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_has_the_same_bytes_in_whatever_order_runs_ended(name: str, fmt: str, tmp_path: Path) -> None:
    comparison = comparison_of("policies along an axis")
    turned = dataclasses.replace(comparison, observations=comparison.observations[::-1])
    first, second = (save(one, name, tmp_path / place, fmt) for one, place in ((comparison, "one"), (turned, "two")))
    assert first.name == f"{name}.{fmt}"
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    ("name", "fmt", "metrics", "complaint"),
    [
        ("difference", "png", (), "no picture difference; did you mean differences?"),
        ("seeds", "gif", (), "no format gif; known: png, svg"),
        ("seeds", "png", ("regrets",), "has no metric regrets; known: regret,"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    name: str, fmt: str, metrics: tuple[str, ...], complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match=complaint.replace("?", r"\?")):
        save(comparison_of("two"), name, tmp_path, fmt, metrics)


def test_grids_come_with_the_picture_of_their_axes_first_and_policies_without_it() -> None:
    assert fitting(comparison_of("two")) == ("differences", "tradeoff", "seeds")
    assert fitting(comparison_of("categories")) == ("sweep", "differences", "tradeoff", "seeds")


# --- what titles claim ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", ["five", "two", "long names", "twelve, two of which fail"])
def test_who_is_better_in_how_many_metrics_is_what_the_table_says(case: str) -> None:
    comparison = comparison_of(case)
    measures = {measure.name: measure for measure in (COST, SAVING, OVERLOAD)}
    scores = {}
    for variant in comparison.variants:
        rows = [r.difference for r in table(comparison) if r.variant == variant.name and r.metric in measures]
        signs = [measure.sign for measure in measures.values()]
        told = [s * d.mean for s, d in zip(signs, rows, strict=True) if d.apart]
        scores[style.short(variant.name, 36)] = (sum(value > 0 for value in told), sum(value < 0 for value in told))
    said = claim("differences", case)
    base = style.short(comparison.variants[0].name, 36)
    possible = [f"{n} is better than {base} in {b} of 3 metrics, worse in {w}" for n, (b, w) in scores.items() if b]
    assert said in (possible or [f"No variant is told to be better than {base} in any metric"])


def test_an_obvious_winner_is_named() -> None:
    comparison = compared({"base": [5.0, 6.0, 7.0], "worse": [6.0, 7.1, 8.0], "better": [1.0, 2.1, 3.0]})
    figure, _ = drawn_of("differences", comparison)
    assert figure.texts[0].get_text() == "better is better than base in 1 of 1 metrics, worse in 0"


@pytest.mark.parametrize(
    ("name", "case", "said"),
    [
        ("differences", "one seed", "One seed tells no variant from policy-0"),
        ("differences", "nothing differs", "No variant is told to be better than a in any metric"),
        ("differences", "all failed", "No variant is told to be better than a in any metric"),
        ("tradeoff", "one metric", "No two metrics differ between the runs"),
        ("seeds", "nothing differs", "No metric differs between the runs"),
        ("seeds", "one seed", "regret on one seed: nothing is said about others"),
        ("sweep", "one variant", "Nothing changes along an axis"),
    ],
)
def test_where_nothing_is_told_the_title_says_so(name: str, case: str, said: str) -> None:
    assert claim(name, case) == said


def test_the_front_is_of_those_that_no_other_beats_in_both() -> None:
    comparison = comparison_of("five")
    means = {
        (row.variant, row.metric): row.mean for row in table(comparison) if row.metric in (COST.name, OVERLOAD.name)
    }
    points = [(means[v.name, COST.name], means[v.name, OVERLOAD.name]) for v in comparison.variants]
    first = [p for p in points if not any(q != p and q[0] <= p[0] and q[1] <= p[1] for q in points)]
    assert claim("tradeoff", "five") == (
        f"{len(first)} of 5 variants are beaten by no other in both regret and overload_import_kvah"
        if len(first) > 1
        else "policy-0 is best in both regret and overload_import_kvah"
    )


def test_what_is_set_against_each_other_can_be_asked_for() -> None:
    comparison = comparison_of("five")
    figure, _ = drawn_of("tradeoff", comparison, [SAVING.name, OVERLOAD.name])
    (ax,) = figure.axes
    assert ax.get_xlabel() == "bill_saving, EUR, more is better"
    assert ax.get_ylabel().startswith("overload_import_kvah, kVAh, less is better, log beyond")
    assert opposed(comparison, [SAVING.name])[1] == OVERLOAD


def test_the_seed_that_is_worst_for_most_is_named_and_its_number_is_that_of_the_table() -> None:
    rows = [row for row in table(comparison_of("five")) if row.metric == COST.name]
    seeds = [row.worst_seed for row in rows]
    most = max(dict.fromkeys(seeds), key=seeds.count)
    assert claim("seeds", "five") == f"Seed {most} is worst in regret for {seeds.count(most)} of 5 variants"
    assert {str(seed) for seed in seeds} <= set(words("seeds", "five"))


def test_where_all_seeds_are_alike_none_is_called_the_worst() -> None:
    figure, texts = drawn_of("seeds", compared({"a": [1.0, 1.0, 1.0], "b": [2.0, 2.0, 2.0]}))
    assert figure.texts[0].get_text() == "regret is the same on all seeds"
    assert not [text for text in texts if text.get_color() == style.VERMILLION]


def test_the_line_that_changes_most_is_named_with_the_means_at_its_ends() -> None:
    means = {row.variant: row.mean for row in table(comparison_of("one axis")) if row.metric == COST.name}
    first, last = means["count=10"], means["count=80"]
    assert claim("sweep", "one axis") == f"regret goes from {first:.2f} at 10 to {last:.2f} at 80 of ev.count"


def test_the_best_category_and_the_best_point_of_a_map_are_named_with_their_means() -> None:
    for case, where in (
        ("categories", "at cigre under locational"),
        ("two axes", "at ev.count 10 and limits.import_share 0.3"),
    ):
        lowest = min(row.mean for row in table(comparison_of(case)) if row.metric == COST.name)
        assert claim("sweep", case) == f"regret is lowest, and best, {where}: {lowest:.2f} EUR"


def test_what_only_rounding_tells_apart_is_beaten_by_nobody_and_best_together() -> None:
    comparison = comparison_of("two axes")
    alike = [
        dataclasses.replace(one, values=dict.fromkeys(one.values, 0.5 + (1 + place) * 1e-15))
        for place, one in enumerate(comparison.observations)
    ]
    alike[-1] = dataclasses.replace(alike[-1], values=dict.fromkeys(alike[-1].values, 3.0))  # or nothing would differ
    same = dataclasses.replace(comparison, observations=tuple(alike))
    tradeoff_said, sweep_said = (
        drawn_of(name, same)[0].texts[0].get_text().replace("\n", " ") for name in ("tradeoff", "sweep")
    )
    assert tradeoff_said == "8 of 9 variants are beaten by no other in both regret and overload_import_kvah"
    assert (
        sweep_said == "regret is lowest, and best, at ev.count 10 and limits.import_share 0.3: 0.50 EUR, as at 7 others"
    )


def test_points_have_names_that_tell_them_apart() -> None:
    path = "populations.battery."
    comparison = grid(
        {path + "capacity_kwh": ["5", "10", "20"], path + "charge_kw": ["2", "4"]}, ["locational", "none"]
    )
    figure, _ = drawn_of("tradeoff", comparison)
    names = [text.get_text() for text in figure.axes[0].texts]
    assert len(set(names)) == len(names) == len(comparison.variants)


# --- what is shown ----------------------------------------------------------------------------------------------------


def test_failures_missing_pairs_and_few_seeds_are_told_under_the_title() -> None:
    for name in PICTURES:
        told = drawn(name, "twelve, two of which fail")[0].texts[1].get_text().replace("\n", " · ")
        assert "8 runs failed" in told
        assert "30 seeds or more are usual" in told
        assert "NOT paired: 1 of 2 variants" in drawn(name, "not paired")[0].texts[1].get_text()
    assert "30 seeds" not in drawn("seeds", "long names")[0].texts[1].get_text()


def test_a_variant_with_failures_says_how_many_runs_it_has_and_without_any_that_it_has_no_value() -> None:
    told = words("differences", "twelve, two of which fail")
    assert {"policy-3\n4 of 6 runs", "policy-5\n0 of 6 runs", "no value"} <= set(told)


def test_filled_marks_are_those_whose_interval_leaves_zero_outside() -> None:
    comparison = comparison_of("two")
    for ax, measure in zip(drawn("differences", "two")[0].axes, headline(comparison), strict=True):
        (row,) = [row for row in table(comparison) if (row.variant, row.metric) == ("none", measure.name)]
        (mark,) = [line for line in ax.lines if line.get_marker() == "o"]
        assert float(mark.get_xdata()[0]) == row.difference.mean
        assert (mark.get_markerfacecolor() != "white") == row.difference.apart


def test_unpaired_seeds_have_no_dots_for_there_are_no_pairs() -> None:
    (ax,) = drawn("differences", "not paired")[0].axes
    assert not [line for line in ax.lines if line.get_marker() == "."]


def test_one_variant_that_would_squeeze_the_others_makes_the_axis_logarithmic_and_that_is_said() -> None:
    assert any("log beyond" in word for word in words("tradeoff", "five"))
    assert not any("log beyond" in word for word in words("tradeoff", "two"))


def test_what_finds_no_room_is_counted() -> None:
    assert "2 more lines not shown" in drawn("sweep", "near values")[0].texts[1].get_text()
    assert "2 more maps not shown" in drawn("sweep", "policies over two axes")[0].texts[1].get_text()
    assert "38 more variants not shown" in drawn("seeds", "policies over two axes")[0].texts[1].get_text().replace(
        "\n", " "
    )


def test_a_map_has_the_mean_of_every_point() -> None:
    means = [row.mean for row in table(comparison_of("two axes")) if row.metric == COST.name]
    ax = drawn("sweep", "two axes")[0].axes[0]
    (image,) = ax.images
    assert np.sort(np.asarray(image.get_array()).ravel()) == pytest.approx(sorted(means))
    assert len(ax.texts) == 9


def test_numbers_along_an_axis_are_put_in_their_order() -> None:
    figure, _ = drawn_of("sweep", grid({COUNT: ["80", "10", "20"]}))
    (line,) = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 3 and line.get_marker() == "o"]
    assert list(line.get_xdata()) == [10.0, 20.0, 80.0]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("locational", "locational"),
        ("none, count=80, import_share=0.3", "none, count=80,\nimport_share=0.3"),
        ("a" * 60, "aaaaaaaaaaaaaaaaaaaaaaaa\naaaaaaaaaaa…aaaaaaaaaaaa"),
    ],
)
def test_a_long_name_is_broken_behind_a_comma(name: str, told: str) -> None:
    assert marks.named(name) == told
