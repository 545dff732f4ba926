"""The page in the hands of its readers: by keyboard, by address, on a phone, in an old browser, and with numbers in sight."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest

from results import report
from results.run import Run
from tests.report.conftest import PHONE
from tests.results.small_run import Edit, renamed, write_run

LONG = "a-name-without-any-space-in-it-that-goes-on-and-on-and-is-wider-than-every-phone"
EDITS: dict[str, tuple[Edit | None, int]] = {
    "as it is": (None, 8),
    "one interval": (None, 1),
    "long names": (renamed({"house-1": f"house-{LONG}", "tx-1": f"tx-{LONG}"}), 8),
}
WIDER = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="session")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The page of a small run by the name of its edit."""
    folder = tmp_path_factory.mktemp("in-hand")
    return {
        name: report.write(Run(write_run(folder / name, edit, count))) for name, (edit, count) in EDITS.items()
    }  # fmt: skip


@pytest.fixture
def at(paths: dict[str, Path], opened: Callable) -> Callable:
    def open_at(section: str = "summary", edit: str = "as it is", **options):
        page = opened(paths[edit], section=section, **options)
        page.wait_for_selector(f"#{section.split('/', maxsplit=1)[0]}[data-ready=yes]")
        return page

    return open_at


def go(page, section: str) -> None:
    page.evaluate("name => degsim.go(name)", section)
    page.wait_for_selector(f"#{section}[data-ready=yes]:not([hidden])")


# --- colours ----------------------------------------------------------------------------------------------------------


def _luminance(color: str) -> float:
    """Relative luminance of #rrggbb: WCAG 2.2, "relative luminance"."""
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [":root {", ':root[data-theme="dark"] {'], ids=["light", "dark"])
def test_every_colour_that_words_have_can_be_read_on_every_ground(theme: str) -> None:
    style = (files("results.report") / "assets" / "page.css").read_text(encoding="utf-8")
    block = style[style.index(theme) :].split("}", maxsplit=1)[0]
    colors = dict(re.findall(r"--(\w+): (#[0-9a-fA-F]{6})", block))
    for words in ("ink", "muted", "link", "bad"):
        for ground in ("paper", "raised"):
            assert _contrast(colors[words], colors[ground]) >= 4.5, (words, ground)


# --- addresses --------------------------------------------------------------------------------------------------------


def test_an_old_browser_is_told_so_in_a_sentence(paths: dict[str, Path], browser) -> None:
    page = browser.new_page()
    page.add_init_script("delete window.DecompressionStream")
    page.goto(paths["as it is"].as_uri())
    page.wait_for_selector("#opening[role=alert]")
    assert page.inner_text("main") == "This browser cannot open the page: it takes one of 2023 or later."
    page.close()


def test_the_sentence_for_old_browsers_is_gone_where_the_page_opens(at) -> None:
    assert at().locator("#opening").count() == 0


def test_the_back_button_closes_a_dialog_that_was_opened_by_hand(at) -> None:
    page = at()
    go(page, "messages")
    page.click("#messages .message-row")
    page.wait_for_selector("#messages dialog[open]")
    page.go_back()
    page.wait_for_selector("#summary:not([hidden])")
    assert page.locator("dialog[open]").count() == 0
    page.click("nav a[href='#audit']")
    page.wait_for_selector("#audit[data-ready=yes]:not([hidden])")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("messages/999999", "Message 999999 is not among those that this page carries."),
        ("messages/transaction:nobody", "No message of this page belongs to a transaction nobody."),
        ("money/posting:999999", "This run has no posting 999999."),
        ("money/party:nobody", "This run has no party nobody."),
        ("money/contract:nobody", "This run has no contract nobody."),
    ],
)
def test_an_address_of_something_that_is_not_there_is_told_so(address: str, said: str, at) -> None:
    page = at(address)
    section = address.split("/", maxsplit=1)[0]
    page.wait_for_function(f"said => document.querySelector('#{section}').innerText.includes(said)", arg=said)


@pytest.mark.parametrize("address", ["moment/noon", "moment/%E0%A4%A"])
def test_an_address_that_is_no_interval_moves_nothing(address: str, at) -> None:
    page = at(address)
    assert page.evaluate("degsim.interval") == page.evaluate("degsim.page.first")


# --- the keyboard -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "place"),
    [("messages/1", "#messages .message-list"), ("money/posting:0", "#posting-number")],
)
def test_after_a_dialog_that_an_address_opened_the_keyboard_has_a_place(address: str, place: str, at) -> None:
    page = at(address)
    page.wait_for_selector("dialog[open]")
    page.keyboard.press("Escape")
    page.wait_for_function("place => document.activeElement === document.querySelector(place)", arg=place)


@pytest.mark.parametrize(
    ("address", "label", "title", "last"),
    [
        ("messages/1", "Next message in the list", "#message-title", "Message 4: "),
        ("money/posting:0", "Next posting", "#posting-title", "Posting 3"),
    ],
)
def test_whoever_steps_from_one_to_the_next_goes_on_stepping(
    address: str, label: str, title: str, last: str, at
) -> None:
    page = at(address)
    page.wait_for_selector("dialog[open]")
    page.focus(f"dialog[open] [aria-label='{label}']")
    for _ in range(3):
        page.keyboard.press("Enter")
    assert page.inner_text(title).startswith(last)
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == label


def test_a_sequence_that_is_not_drawn_is_no_stop_of_the_tab_key(at) -> None:
    page = at("messages")
    assert page.locator("#messages .sequence").is_hidden()
    page.click("text=Draw the sequence of what is listed")
    assert page.locator("#messages .sequence").is_visible()


# --- numbers in sight -------------------------------------------------------------------------------------------------


def test_what_the_pointer_is_told_stands_under_each_chart_and_follows_the_slider(at) -> None:
    page = at("time")
    under = page.locator("#time figure:has-text('Voltages of all buses') .now")
    page.focus("#interval")
    page.keyboard.press("Home")
    page.wait_for_function("() => degsim.interval === 0")
    moment = page.evaluate("degsim.moment(0)")
    page.wait_for_function(
        "moment => [...document.querySelectorAll('#time .now')].every(e => e.textContent.startsWith(moment))",
        arg=moment,
    )
    fan = page.evaluate("degsim.data('time').then(time => time.voltages)")
    assert under.inner_text() == (
        f"{moment}: highest {fan['highest'][0]:.4f} pu · median {fan['median'][0]:.4f} pu · lowest {fan['lowest'][0]:.4f} pu"
    )


def test_a_run_of_one_interval_speaks_of_no_slider(at) -> None:
    page = at("time", "one interval")
    assert page.locator("#slider").is_hidden()
    assert "slider" not in page.inner_text("#time")
    assert "1 interval of " in page.inner_text("header p")


# --- a phone ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("edit", ["as it is", "long names"])
def test_on_a_phone_no_section_is_wider_than_the_page_and_its_tab_is_in_sight(edit: str, at) -> None:
    page = at("summary", edit, size=PHONE)
    for section in page.evaluate("degsim.page.sections.map(each => each.name)"):
        go(page, section)
        assert page.evaluate(WIDER) == 0, section
        tab = page.locator("nav a[aria-current]").bounding_box()
        assert tab["x"] >= 0, section
        assert tab["x"] + tab["width"] <= PHONE["width"], section


def test_on_a_phone_captions_wrap_within_what_is_in_sight(at) -> None:
    page = at("money", size=PHONE)
    for caption in page.locator("#money caption:not(.quiet) span").all():
        box = caption.bounding_box()
        assert box["x"] > 0
        assert box["x"] + box["width"] <= PHONE["width"]


def test_on_a_phone_a_long_name_in_the_first_column_lies_over_no_other(at) -> None:
    page = at("summary", size=PHONE)
    over = page.eval_on_selector_all("#summary tbody th", "all => all.filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.textContent)")  # fmt: skip
    assert over == []


def test_the_slider_is_a_region_with_a_name_and_its_range_has_a_label_on_a_phone_too(at) -> None:
    page = at("moment", size=PHONE)
    page.get_by_role("region", name="Interval shown").wait_for()
    page.get_by_role("slider", name="Interval").wait_for()


# --- paper ------------------------------------------------------------------------------------------------------------


def test_a_chart_that_was_drawn_for_the_screen_is_whole_on_narrower_paper(at) -> None:
    page = at("time")
    page.emulate_media(media="print")
    width, height, paper, least = page.eval_on_selector(
        "#time .chart",
        """chart => {
            const picture = chart.querySelector("svg");
            chart.style.width = "500px";
            const { width, height } = picture.getBoundingClientRect();
            return [width, height, chart.clientWidth, 0.9 * picture.viewBox.baseVal.height * 500 / picture.viewBox.baseVal.width];
        }""",
    )
    assert width <= paper
    assert height >= least
