"""The page of a run, as a browser shows it: every section, the slider, filters, the keyboard, a phone, and the dark."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from results import report
from results.metrics import METRICS, measure
from results.report import vega
from results.report.sections import summary
from results.run import Run
from results.verify import INVARIANTS, verify
from scenarios.cli import main
from tests.report.conftest import PHONE
from tests.results.small_run import (
    Draft,
    Edit,
    renamed,
    stopped,
    with_one_node,
    without_a_market,
    without_power_flow,
    without_prices,
    write_run,
)

HOSTILE = "</script><img src=x onerror=alert(1)>"
SECTIONS = ("summary", "time", "moment", "audit")


def nothing(_: Draft) -> None:
    """The small run as it is."""


EDITS: dict[str, tuple[Edit, int]] = {
    "as it is": (nothing, 8),
    "one interval": (nothing, 1),
    "without prices": (without_prices, 8),
    "without a market": (without_a_market, 8),
    "one node": (with_one_node, 8),
    "without a power flow": (without_power_flow(3), 8),
    "hostile names": (renamed({"house-1": HOSTILE, "tx-1": "${title} $$ `tx`"}), 8),
}


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Run, Path]]:
    """A small run by the name of its edit, and its page; each made once a session."""
    known: dict[str, tuple[Run, Path]] = {}

    def make(name: str) -> tuple[Run, Path]:
        if name not in known:
            edit, count = EDITS[name]
            run = Run(write_run(tmp_path_factory.mktemp("page") / "run", edit, count))
            known[name] = run, report.write(run)
        return known[name]

    return make


@pytest.fixture
def day(made) -> Run:
    return made("as it is")[0]


@pytest.fixture
def at(made, opened) -> Callable:
    """``at(section, edit, ...)``: the page of that small run, with this section shown and drawn."""

    def open_at(section: str = "summary", edit: str = "as it is", **options):
        page = opened(made(edit)[1], section=section, **options)
        page.wait_for_selector(f"#{section.split('/', maxsplit=1)[0] or 'summary'}[data-ready=yes]")
        return page

    return open_at


def shown(x: float, digits: int) -> str:
    """A number as the page writes it."""
    if x is None or not np.isfinite(x):
        return "–"
    text = f"{abs(x):,.{digits}f}"
    return f"−{text}" if x < 0 and any(c in "123456789" for c in text) else text


def cells(page, selector: str) -> list[list[str]]:
    """The texts of a table's rows; a table in a closed fold is opened first."""
    page.eval_on_selector(selector, "box => { const fold = box.closest('details'); if (fold) fold.open = true; }")
    page.wait_for_selector(f"{selector} tbody tr")
    return page.eval_on_selector_all(
        f"{selector} tbody tr", "rows => rows.map(r => [...r.cells].map(c => c.textContent))"
    )


def heads(page, selector: str) -> list[str]:
    return page.eval_on_selector_all(f"{selector} thead th", "heads => heads.map(h => h.textContent)")


def columns(page, selector: str) -> pd.DataFrame:
    rows = cells(page, selector)
    return pd.DataFrame(rows, columns=heads(page, selector)).set_index(heads(page, selector)[0])


def slide_to(page, interval: int) -> None:
    """Move the slider with the keyboard alone."""
    page.focus("#interval")
    page.keyboard.press("Home")
    for _ in range(interval):
        page.keyboard.press("ArrowRight")
    page.wait_for_function(f"document.querySelector('#moment-text').textContent.includes('interval {interval} of')")


# --- making it --------------------------------------------------------------------------------------------------------


def test_the_same_run_gives_the_same_bytes(made) -> None:
    run, path = made("as it is")
    assert report.report(Run(run.path)).encode() == path.read_bytes()


def test_the_page_asks_nothing_of_the_network(made) -> None:
    text = made("as it is")[1].read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'")
    assert policy[1].endswith("base-uri 'none'; form-action 'none'")
    assert "http" not in policy[1]
    assert not re.search(r"(src|href)=\"(?!#|data:)", re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL))


def test_no_script_or_style_ends_the_block_it_stands_in() -> None:
    assets = Path(report.__file__).parent / "assets"
    for path in sorted(assets.iterdir()):
        if path.suffix in (".js", ".css"):
            assert not re.search(r"</(script|style)|<!--", path.read_text(encoding="utf-8"), re.IGNORECASE), path.name


def test_the_command_writes_the_page_into_the_folder_and_says_where(tmp_path: Path, capsys) -> None:
    folder = write_run(tmp_path / "run")
    assert main(["report", str(folder)]) == 0
    assert (folder / "report.html").read_bytes().startswith(b"<!doctype html>")
    assert capsys.readouterr().err == f"{folder / 'report.html'}\n"
    assert main(["report", str(folder), "--out", str(tmp_path / "deep" / "page.html")]) == 0
    assert (tmp_path / "deep" / "page.html").read_bytes() == (folder / "report.html").read_bytes()


def test_a_folder_that_is_no_run_is_one_line(tmp_path: Path, capsys) -> None:
    assert main(["report", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert str(tmp_path) in said
    assert not list(tmp_path.iterdir())


def test_without_the_extra_the_command_says_how_to_get_it(made, tmp_path: Path, capsys, monkeypatch) -> None:
    vega.library.cache_clear()
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    target = tmp_path / "page.html"
    assert main(["report", str(made("as it is")[0].path), "--out", str(target)]) == 2
    assert capsys.readouterr().err == "degsim: report: needs the extra: pip install 'degsim[report]'\n"
    assert not target.exists()


# --- every run --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("edit", EDITS)
def test_every_section_draws_whatever_the_run_holds(edit: str, at, shot) -> None:
    page = at(edit=edit)
    for section in SECTIONS:
        page.click(f"nav a[href='#{section}']")
        page.wait_for_selector(f"#{section}[data-ready=yes]")
        assert page.query_selector_all("[role=alert]") == []
        if edit == "as it is":
            shot(page, f"desktop-{section}")


def test_a_run_that_was_stopped_is_shown_as_far_as_it_went(day, opened, tmp_path: Path) -> None:
    run = Run(stopped(tmp_path, day))
    page = opened(report.write(run))
    assert page.inner_text("#summary .verdict") == "This run was stopped after 3 of 8 intervals; the page shows these."
    page.click("nav a[href='#moment']")
    page.wait_for_selector("#moment[data-ready=yes]")
    slide_to(page, 2)
    _parties_are_told(page, run, 2)
    page.click("nav a[href='#audit']")
    assert page.locator("#audit .verdict").inner_text() == "This run was stopped; only a finished run is audited."


def test_names_are_text_and_never_markup(at) -> None:
    page = at("moment", "hostile names")
    assert page.query_selector_all("img") == []
    assert HOSTILE in columns(page, "#table-parties").index
    assert "${title} $$ `tx`" in columns(page, "#table-flows").index


def test_a_run_of_one_interval_has_no_slider(at) -> None:
    assert not at("moment", "one interval").is_visible("#slider")
    assert at("moment").is_visible("#slider")


def test_what_a_run_never_tells_is_left_out(at) -> None:
    page = at("moment", "without a market")
    assert page.query_selector("#table-prices") is None
    assert page.get_by_text("Clearing", exact=True).count() == 0
    assert page.query_selector("#table-parties") is not None


# --- numbers ----------------------------------------------------------------------------------------------------------


def test_the_slider_moves_map_clearing_and_tables_together(at, day) -> None:
    page = at("moment")
    for interval in range(day.calendar.count):
        slide_to(page, interval)
        _prices_are_told(page, day, interval)
        _parties_are_told(page, day, interval)
        _flows_are_told(page, day, interval)
        _voltages_are_drawn(page, day, interval)
        _clearing_is_drawn(page, day, interval)


def _prices_are_told(page, run: Run, interval: int) -> None:
    told = columns(page, "#table-prices")
    rows = run.prices[run.prices["interval"] == interval].set_index("node")
    assert told["Price EUR/kWh"].to_dict() == {node: shown(x, 5) for node, x in rows["price_per_kwh"].items()}


def _parties_are_told(page, run: Run, interval: int) -> None:
    told = columns(page, "#table-parties")
    rows = run.setpoints[run.setpoints["interval"] == interval].set_index("era")
    for head, name, digits in (
        ("Awarded kW", "setpoint_kw", 3),
        ("Delivered kW", "delivered_kw", 3),
        ("Metered Wh", "energy_wh", 0),
        ("Price EUR/kWh", "price_per_kwh", 5),
    ):
        assert told[head].to_dict() == {era: shown(x, digits) for era, x in rows[name].items()}


def _flows_are_told(page, run: Run, interval: int) -> None:
    told = columns(page, "#table-flows")
    rows = run.nodes[run.nodes["interval"] == interval].set_index("node")
    assert told["On the wires kW"].to_dict() == {node: shown(x, 3) for node, x in rows["wire_lv_kw"].items()}
    assert told["Import limit kW"].to_dict() == {node: shown(x, 3) for node, x in rows["rated_import_kw"].items()}


def _voltages_are_drawn(page, run: Run, interval: int) -> None:
    titles = page.eval_on_selector_all(".map circle > title", "all => all.map(t => t.textContent)")
    rows = run.voltages[run.voltages["interval"] == interval]
    told = {f"bus {bus}: {shown(v, 4)} pu" for bus, v in zip(rows["bus"], rows["v_pu"], strict=True)}
    assert {title.removesuffix(", outside the band") for title in titles} == told


def _clearing_is_drawn(page, run: Run, interval: int) -> None:
    _, answer = run.clearing_problem(interval)
    nodes = answer["message"]["aggregationResult"]["gridNodes"]
    claim = page.inner_text("#moment .columns > div:nth-child(2) p >> nth=0")
    said = {f"{node['era']}: " for node in nodes if "locationalPrice" in node}
    assert any(claim.startswith(name) for name in said)
    node = next(node for node in nodes if claim.startswith(f"{node['era']}: "))
    assert f"{shown(node['locationalPrice'], 3)} EUR/kWh" in claim
    way = "import" if node["flowKW"] >= 0 else "export"
    assert f"{way} of {shown(abs(node['flowKW']), 1)} kW" in claim


def test_lines_are_told_with_their_loading_and_what_enters_them(at, day) -> None:
    page = at("moment")
    slide_to(page, 5)
    page.get_by_text("Loading of lines", exact=True).click()
    told = columns(page, "#table-lines")
    lines = day.flows[(day.flows["kind"] == "line") & (day.flows["interval"] == 5)].set_index("name")
    assert told["Into it at its start kW"].to_dict() == {name: shown(x, 3) for name, x in lines["p_start_kw"].items()}


def test_the_clearing_is_shown_at_the_node_that_is_asked_for(at) -> None:
    page = at("moment")
    for node in ("tx-1", "tx-2"):
        page.select_option("#clearing-node", node)
        page.wait_for_function(f"document.querySelector('.chart[aria-label^=\"Clearing diagram. {node}\"]') !== null")


def test_metrics_are_those_of_the_run(at, day) -> None:
    page = at()
    page.get_by_label("Filter: Metrics").fill("_kw")
    table = page.get_by_role("table", name="Metrics")
    rows = {row.split("\t")[0]: row for row in table.inner_text().splitlines()}
    told = measure(day, [name for name in METRICS if "_kw" in name])
    assert set(told) <= set(rows)
    for name in ("peak_import_kw", "peak_export_kw", "imported_kwh", "losses_kwh"):
        assert shown(told[name], 3) in rows[name]


def test_metrics_are_in_the_currency_of_the_run(day) -> None:
    units = {name: unit for name, unit, *_ in summary.data(day)["metrics"]}
    assert (units["congestion_rent"], units["mean_price_per_kwh"]) == ("EUR", "EUR/kWh")
    assert not any("currency" in unit for unit in units.values())


def test_the_audit_is_told_in_full(opened, tmp_path: Path) -> None:
    def overdelivered(draft: Draft) -> None:
        draft.tables["setpoints"]["delivered_kw"][0] += 2.0

    run = Run(write_run(tmp_path / "run", overdelivered))
    page = opened(report.write(run), section="audit")
    page.wait_for_selector("#audit[data-ready=yes]")
    found = verify(run)
    assert found.findings > 0
    assert page.inner_text("#audit .verdict") == f"{found.findings} finding{'s' if found.findings > 1 else ''}"
    faults = [fault.what for audit in found.audits.values() for fault in audit.findings]
    table = page.get_by_role("table", name="Findings of the audit")
    assert table.locator("tbody tr").count() == len(faults)
    assert [table.locator("tbody tr").nth(i).locator("td").nth(1).inner_text() for i in range(len(faults))] == faults


def test_a_sound_run_is_said_to_be_sound(at) -> None:
    page = at("audit")
    assert page.inner_text("#audit .verdict") == "Sound: no findings."
    assert page.get_by_role("table", name="Invariants").locator("tbody tr").count() == len(INVARIANTS)


# --- using it ---------------------------------------------------------------------------------------------------------


def test_a_filter_keeps_the_rows_that_have_every_word(at, day) -> None:
    page = at("moment")
    field = page.get_by_label("Filter: Set-points and deliveries (+ injection)")
    field.fill("TX-2 e")
    for interval in (7, 1):  # it is kept when the slider moves
        slide_to(page, interval)
        there = set(day.setpoints.loc[day.setpoints["interval"] == interval, "era"])
        kept = there & {"house-2", "ev-2", "battery-2"}
        assert {row[0] for row in cells(page, "#table-parties")} == kept
        assert page.inner_text("#table-parties [role=status]") == f"{len(kept)} of {len(there)} rows"
    field.fill("nobody")
    assert cells(page, "#table-parties") == [["nothing"]]


def test_a_head_sorts_by_its_numbers_and_back(at, day) -> None:
    page = at("moment")
    head = page.locator("#table-parties th", has_text="Delivered").get_by_role("button")
    rows = day.setpoints[day.setpoints["interval"] == page.evaluate("degsim.interval")]
    rising = [shown(x, 3) for x in sorted(rows["delivered_kw"])]
    for order, expected in (("ascending", rising), ("descending", rising[::-1])):
        head.click()
        assert page.get_attribute("#table-parties th[aria-sort]", "aria-sort") == order
        assert list(columns(page, "#table-parties")["Delivered kW"]) == expected


def test_a_link_with_a_detail_opens_there(at) -> None:
    page = at("moment/5")
    page.wait_for_function("degsim.interval === 5")
    assert "interval 5 of 0–7" in page.inner_text("#moment-text")


def test_a_click_in_a_chart_moves_the_slider(at) -> None:
    page = at("time")
    box = page.locator(".chart").first.bounding_box()
    seen = set()
    for part in (0.3, 0.9):
        page.mouse.click(box["x"] + part * box["width"], box["y"] + box["height"] / 2)
        page.wait_for_timeout(100)
        seen.add(page.evaluate("degsim.interval"))
    assert min(seen) in (1, 2)
    assert max(seen) in (6, 7)


def test_every_chart_shades_the_interval_of_the_slider(at) -> None:
    page = at("time")
    shade = "all => all.map(path => { const box = path.getBoundingClientRect(); return [box.left, box.width]; })"
    seen = []
    for interval in (1, 2):
        slide_to(page, interval)
        page.wait_for_timeout(150)
        seen.append(np.array(page.eval_on_selector_all(".chart svg path[opacity='0.16']", shade)))
    before, after = seen
    assert len(before) == page.locator(".chart").count()
    assert after[:, 0] == pytest.approx(before[:, 0] + before[:, 1], abs=1.5)


def test_every_chart_says_in_words_what_it_shows(at) -> None:
    page = at("time")
    charts = page.locator(".chart")
    assert charts.count() >= 6
    for i in range(charts.count()):
        assert charts.nth(i).get_attribute("role") == "img"
        assert len(charts.nth(i).get_attribute("aria-label")) > 20
        assert charts.nth(i).locator("svg").count() == 1


def test_it_can_be_read_by_keyboard_alone(at) -> None:
    page = at("")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    while page.evaluate("document.activeElement.textContent") != "One interval":
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("#moment[data-ready=yes]")
    assert page.evaluate("document.activeElement.id") == "moment-heading"
    outline = page.evaluate("getComputedStyle(document.querySelector('nav a')).outlineStyle")
    assert outline == "none", "only what has the focus is ringed"
    slide_to(page, 2)
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
    assert {"clearing-node", "same-axes", "SUMMARY", "BUTTON", "INPUT"} <= reached


@pytest.mark.parametrize("section", SECTIONS)
def test_on_a_phone_nothing_is_wider_than_the_screen(section: str, at, shot) -> None:
    page = at(section, size=PHONE)
    shot(page, f"phone-{section}")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


@pytest.mark.parametrize(("scheme", "paper"), [("light", "rgb(255, 255, 255)"), ("dark", "rgb(21, 23, 26)")])
def test_light_and_dark_follow_the_reader_and_the_button(scheme: str, paper: str, at, shot) -> None:
    page = at("moment", color_scheme=scheme)
    background = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(background) == paper
    shot(page, f"{scheme}-moment")
    before = page.get_attribute(".map circle", "stroke")
    page.click("#theme")
    assert page.evaluate(background) != paper
    assert page.get_attribute(".map circle", "stroke") != before, "pictures change with the page"
    page.click("#theme")
    assert page.evaluate(background) == paper


def test_on_paper_there_are_no_buttons_and_nothing_is_cut(at) -> None:
    page = at("moment")
    page.emulate_media(media="print")
    assert not page.is_visible("#theme")
    assert not page.is_visible("nav")
    assert page.evaluate("getComputedStyle(document.querySelector('.scroll')).maxHeight") == "none"


# --- the demo run -----------------------------------------------------------------------------------------------------


@pytest.fixture
def street(run_street, tmp_path: Path) -> tuple[Run, Path]:
    run = run_street()
    return run, report.write(run, tmp_path / "street.html")


@pytest.mark.slow
def test_the_streets_page_can_be_mailed(street, opened, shot) -> None:
    run, path = street
    assert path.stat().st_size < 5_000_000
    page = opened(path, section="moment")
    page.wait_for_selector("#moment[data-ready=yes]")
    for interval in (0, 12, 95):
        slide_to(page, interval)
        _flows_are_told(page, run, interval)
        _voltages_are_drawn(page, run, interval)
    for section in SECTIONS:
        page.click(f"nav a[href='#{section}']")
        page.wait_for_selector(f"#{section}[data-ready=yes]")
        shot(page, f"street-{section}")
    assert page.inner_text("#audit .verdict") == "Sound: no findings."
