"""The page of a comparison shows the numbers of the comparison, whatever is chosen, on every screen."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from results.comparison import Comparison, Failure, headline, table, write
from results.comparison.folder import read
from results.comparison.text import decimals, precision
from results.report import comparison as page_of
from results.report.sections_of_comparison import subject as subjects
from results.report.sections_of_comparison.subject import Subject
from scenarios import cli, comparing
from scenarios.engine.local import LocalEngine
from scenarios.study import grid_of, study_of

HAMLET = Path(__file__).parents[1] / "scenarios" / "hamlet.yaml"
CAPACITY = "populations.battery.capacity_kwh"
PHONE = {"width": 360, "height": 740}


def compared(folder: Path, seeds: str = "1-3", **given: Any) -> Path:
    study = study_of(HAMLET, policies=["locational", "pay-as-clear"], seeds=seeds, **given)
    comparing.carry_out(comparing.prepare(study, folder), LocalEngine(1))
    return folder


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two policies and the reference on three seeds."""
    return compared(tmp_path_factory.mktemp("comparison") / "policies")


@pytest.fixture(scope="session")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same at two points of a grid."""
    return compared(tmp_path_factory.mktemp("comparison") / "grid", "1-2", over=grid_of([f"{CAPACITY}=5,20"]))


@pytest.fixture(scope="session")
def failing(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first with a run that failed, under a name and with a reason that are markup."""
    whole = read(folder)
    lost = whole.observations[-1]
    kept = tuple(one for one in whole.observations if one is not lost)
    failure = Failure(lost.variant, lost.seed, "<img src=x onerror=alert(1)> ran away")
    target = tmp_path_factory.mktemp("comparison") / "failing"
    found = Comparison("<b>bold</b>", whole.variants, whole.seeds, whole.measures, kept, (failure,))
    write(target, found, {})
    return target


@pytest.fixture(scope="session")
def page(folder: Path) -> Path:
    return page_of.write(folder)


def chosen(opened: Any, path: Path, section: str, **given: Any) -> Any:
    shown = opened(path, section=section, **given)
    shown.wait_for_selector(f"#{section}[data-ready=yes]")
    return shown


def cells(shown: Any, table_at: str) -> list[list[str]]:
    rows = shown.locator(f"{table_at} tbody tr")
    return [[" ".join(text.split()) for text in row.locator("th, td").all_inner_texts()] for row in rows.all()]


def says(cell: str, *values: float, digits: int) -> bool:
    """Whether a cell has these numbers, to its decimals: a browser rounds 0.0125 up, and Python what it is in binary."""
    told = [float(text.replace("−", "-").replace(",", "")) for text in cell.removeprefix("+").split(" ± ")]
    within = 0.5 * 10**-digits * (1 + 1e-6)
    return len(told) == len(values) and all(abs(a - b) <= within for a, b in zip(told, values, strict=True))


# --- numbers ----------------------------------------------------------------------------------------------------------


def test_means_are_those_of_the_comparison(opened: Any, page: Path, folder: Path) -> None:
    comparison = Comparison.open(folder)
    rows = {(row.variant, row.metric): row for row in table(comparison)}
    names = [variant.name for variant in comparison.variants]
    shown = cells(chosen(opened, page, "means"), "#means .body > div:nth-child(2)")
    for name, line in zip(names, shown, strict=True):
        assert line[0] == name
        for measure, cell in zip(headline(comparison), line[1:], strict=True):
            digits = decimals(rows[one, measure.name].mean for one in names)
            row = rows[name, measure.name]
            assert says(cell, row.mean, row.half, digits=digits)


def test_differences_are_those_of_the_comparison_for_every_metric_and_baseline(
    opened: Any, page: Path, folder: Path
) -> None:
    subject = Subject.open(folder)
    shown = chosen(opened, page, "differences")
    metric, against = shown.get_by_label("Metric", exact=True), shown.get_by_label("Compared with")
    assert [one.name for one in subject.baselines] == ["locational", "pay-as-clear", "none"]
    for place, baseline in enumerate(subject.baselines):
        against.select_option(str(place))
        for name in ("cost_per_consumer", "peak_import_kw", "messages"):
            at = [measure.name for measure in subject.measures].index(name)
            metric.select_option(str(at))
            names = [v.name for v in subject.comparison.variants]
            found = [baseline.rows[variant, name].difference for variant in names]
            digits = precision(found)
            others = [(v, d) for v, d in zip(names, found, strict=True) if d.against != v]
            lines = cells(shown, "#differences-table")
            assert [line[:2] for line in lines] == [[v, d.against] for v, d in others]
            for (_, d), line in zip(others, lines, strict=True):
                told = zip(line[2:5], (d.mean, d.low, d.high), strict=True)
                assert all(says(cell, value, digits=digits) for cell, value in told)


def test_another_baseline_on_the_page_says_what_asking_for_it_says(folder: Path, tmp_path: Path) -> None:
    again = Path(shutil.copytree(folder, tmp_path / "again"))
    study = study_of(HAMLET, policies=["locational", "pay-as-clear"], seeds="1-3", baseline="pay-as-clear")
    asked = comparing.carry_out(comparing.prepare(study, again), LocalEngine(1))
    (there,) = [one.rows for one in Subject.open(folder).baselines if one.name == "pay-as-clear"]
    for row in table(asked):
        mine = there[row.variant, row.metric].difference
        assert repr((mine.mean, mine.low, mine.high, mine.p)) == repr(
            (row.difference.mean, row.difference.low, row.difference.high, row.difference.p)
        )


def test_every_dot_is_a_run_of_the_comparison(opened: Any, page: Path, folder: Path) -> None:
    comparison = Comparison.open(folder)
    shown = chosen(opened, page, "differences")
    metric = shown.get_by_label("Metric", exact=True)
    at = [m.name for m in Subject.open(folder).measures].index("peak_import_kw")
    metric.select_option(str(at))
    lines = cells(shown, "#differences-seeds")
    names = [variant.name for variant in comparison.variants]
    digits = decimals(float(comparison.values(name, "peak_import_kw").mean()) for name in names)
    assert [line[0] for line in lines] == ["1", "2", "3"]
    for place, name in enumerate(names):
        values = comparison.values(name, "peak_import_kw")
        assert all(
            says(line[place + 1], float(value), digits=digits) for line, value in zip(lines, values, strict=True)
        )
    shown.wait_for_function("document.querySelectorAll('#differences-chart svg path').length > 6")


# --- what can be chosen ------------------------------------------------------------------------------------------------


def test_a_trade_off_follows_the_metrics_that_are_chosen(opened: Any, page: Path) -> None:
    shown = chosen(opened, page, "tradeoff")
    before = shown.locator("#tradeoff .body svg").inner_html()
    shown.get_by_label("Across").select_option(label="messages [messages]")
    shown.wait_for_function("old => document.querySelector('#tradeoff svg').innerHTML !== old", arg=before)
    assert "messages" in shown.locator("#tradeoff caption").inner_text()


def test_a_sweep_shows_every_point_along_every_axis(opened: Any, grid: Path, shot: Callable[..., Path]) -> None:
    shown = chosen(opened, page_of.write(grid), "sweep")
    assert shown.get_by_label("Along", exact=True).input_value() == CAPACITY
    assert shown.get_by_label("Lines", exact=True).input_value() == "market.policy"
    lines = cells(shown, "#sweep .body > div:last-child")
    assert [line[2] for line in lines] == ["5", "5", "5", "20", "20", "20"]
    shot(shown, "comparison-sweep")
    shown.get_by_label("Along", exact=True).select_option("market.policy")
    assert shown.get_by_label("Lines", exact=True).input_value() == CAPACITY


def test_a_grid_is_compared_with_a_policy_at_the_same_point(grid: Path) -> None:
    subject = Subject.open(grid)
    by_name = {one.name: one.rows for one in subject.baselines}
    assert next(iter(by_name)) == subjects.OF_EACH
    (same,) = [rows for name, rows in by_name.items() if name == "pay-as-clear, same point"]
    assert {row.difference.against for row in same.values()} == {
        "pay-as-clear, capacity_kwh=5",
        "pay-as-clear, capacity_kwh=20",
    }


def test_tables_are_sorted_and_filtered(opened: Any, page: Path) -> None:
    shown = chosen(opened, page, "worst")
    before = len(cells(shown, "#worst"))
    shown.locator("#worst input[type=search]").fill("pay-as-clear")
    lines = cells(shown, "#worst")
    assert 0 < len(lines) < before
    assert {line[0] for line in lines} == {"pay-as-clear"}


# --- running again ----------------------------------------------------------------------------------------------------


def test_the_worst_seed_comes_with_a_command_that_gives_its_value_again(
    opened: Any, page: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from results.metrics import measure
    from results.run import Run

    subject = Subject.open(folder)
    shown = chosen(opened, page, "overview")
    with shown.expect_download() as download:
        shown.get_by_role("link", name="hamlet.yaml").click()
    download.value.save_as(tmp_path / "hamlet.yaml")
    shown.get_by_role("link", name="Worst seeds").click()
    shown.wait_for_selector("#worst[data-ready=yes]")
    line = next(line for line in cells(shown, "#worst") if line[:2] == ["none", "peak_import_kw [kW]"])
    command = line[-1].removesuffix(" Copy")
    assert command == f"degsim run hamlet.yaml --set market.policy=none --seed {line[3]}"
    monkeypatch.chdir(tmp_path)
    assert cli.main([*command.split()[1:], "--out", "again"]) == 0
    again = measure(Run(tmp_path / "again"), ["peak_import_kw"])["peak_import_kw"]
    assert again == subject.rows["none", "peak_import_kw"].worst


# --- what went wrong --------------------------------------------------------------------------------------------------


def test_failed_runs_are_listed_and_hostile_names_stay_text(
    opened: Any, failing: Path, shot: Callable[..., Path]
) -> None:
    path = page_of.write(failing)
    shown = chosen(opened, path, "failures")
    (line,) = cells(shown, "#failures")
    assert line[3] == "<img src=x onerror=alert(1)> ran away"
    assert shown.locator("img, b").count() == 0
    assert shown.locator("h1").inner_text() == "<b>bold</b>"
    shot(shown, "comparison-failures")


def test_a_comparison_without_failures_has_no_section_of_them(opened: Any, page: Path) -> None:
    shown = chosen(opened, page, "overview")
    assert shown.get_by_role("link", name="Failed runs").count() == 0
    assert shown.get_by_role("link", name="Sweep").count() == 0


def test_an_unfinished_comparison_is_refused_in_a_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unfinished = Path(shutil.copytree(folder, tmp_path / "unfinished"))
    (unfinished / "comparison.json").unlink()
    (unfinished / "report.html").unlink(missing_ok=True)
    assert cli.main(["report", str(unfinished)]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"degsim: {unfinished}: comparison.json: this comparison was never finished; 9 runs are done "
        "(the command that began it goes on from there)"
    ]
    assert not (unfinished / "report.html").exists()


def test_a_file_that_was_changed_is_refused(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed = Path(shutil.copytree(folder, tmp_path / "changed"))
    (changed / "runs.csv").write_text("nothing\n")
    assert cli.main(["report", str(changed)]) == 2
    assert "runs.csv" in capsys.readouterr().err


# --- every screen -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", ["phone", "desktop"])
def test_every_section_fits_the_screen(
    opened: Any, grid: Path, shot: Callable[..., Path], size: str, theme: str
) -> None:
    given = {"size": PHONE} if size == "phone" else {}
    shown = opened(page_of.write(grid), color_scheme=theme, **given)
    for name in shown.evaluate("degsim.page.sections.map((section) => section.name)"):
        shown.evaluate("name => degsim.go(name)", name)
        shown.wait_for_selector(f"#{name}[data-ready=yes]")
        assert shown.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        shot(shown, f"comparison-{name}-{size}-{theme}")


def test_on_a_phone_the_variants_of_a_difference_stand_apart(opened: Any, page: Path) -> None:
    shown = opened(page, size=PHONE, section="differences")
    shown.wait_for_selector("#differences[data-ready=yes]")
    tops = shown.eval_on_selector_all(
        "#differences-chart .role-axis-label text",
        "all => all.filter(e => isNaN(parseFloat(e.textContent.replace('−', '-')))).map(e => e.getBoundingClientRect().top)",
    )
    apart = [b - a for a, b in pairwise(sorted(tops))]
    assert apart
    assert min(apart) > 14  # the height of a label


def test_metric_and_baseline_are_chosen_without_a_mouse(opened: Any, page: Path) -> None:
    shown = chosen(opened, page, "differences")
    caption = shown.locator("#differences-table caption")
    before = caption.inner_text()
    for _ in range(30):
        shown.keyboard.press("Tab")
        if shown.evaluate("document.activeElement.tagName") == "SELECT":
            break
    shown.keyboard.press("ArrowDown")
    shown.wait_for_function("old => document.querySelector('#differences-table caption').innerText !== old", arg=before)


# --- the file ---------------------------------------------------------------------------------------------------------


def test_the_same_comparison_gives_the_same_page(folder: Path) -> None:
    assert page_of.report(folder) == page_of.report(folder)


def test_a_page_that_would_grow_too_large_leaves_out_what_it_says_it_leaves_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subjects, "MOST_ROWS", 30)
    monkeypatch.setattr(subjects, "MOST_VALUES", 30)
    subject = Subject.open(folder)
    assert (len(subject.measures), subject.drawn, len(subject.baselines)) == (10, 3, 1)
    assert subject.measures[0].name == headline(subject.comparison)[0].name
    from results.report.sections_of_comparison import overview

    said = overview.data(subject)
    assert len(said["left"]) == 3
    assert len(said["values"]) == 3
    assert json.dumps(said, allow_nan=False)


def test_no_number_of_the_page_is_none_at_all(folder: Path) -> None:
    from results.report.sections_of_comparison import overview

    rows = overview.data(Subject.open(folder))["rows"]
    assert all(value is None or math.isfinite(value) for metric in rows for row in metric for value in row)
