"""The pages of the library are what its runs give, and their parts do what they say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from results.run import Run
from tests.use_cases.blocks import Block, _cut, _pretty, _pruned, anchor, blocks, users
from tests.use_cases.evidence import Evidence, evidence
from tests.use_cases.library import Library
from tests.use_cases.pages import DOCS, pages, stale, title, write

HAMLET = str(Path(__file__).parents[1] / "scenarios" / "hamlet.yaml")


@pytest.fixture(scope="module")
def made(library: Library) -> dict[Path, str]:
    return pages(library)


@pytest.fixture(scope="module")
def hamlet(library: Library) -> Run:
    return library.run_of(HAMLET)


def test_the_pages_show_what_the_runs_give(made: dict[Path, str]) -> None:
    """``make use-cases`` writes them anew."""
    there = {path: (DOCS / path).read_text(encoding="utf-8") if (DOCS / path).exists() else "" for path in made}
    assert [str(path) for path in made if made[path] != there[path]] == []
    assert stale(made) == []


def test_every_page_is_linked_from_the_index(made: dict[Path, str]) -> None:
    index = made[Path("use_cases/README.md")]
    assert [path.name for path in made if path.parent.name == "use_cases" and f"({path.name})" not in index] == [
        "README.md"
    ]


def test_every_link_between_the_pages_leads_to_a_heading(made: dict[Path, str]) -> None:
    headings = {anchor(found) for found in re.findall(r"^## (.*)$", made[Path("building_blocks.md")], re.MULTILINE)}
    links = {
        link for text in made.values() for link in re.findall(r"\]\((?:\.\./building_blocks\.md)?#([^)]+)\)", text)
    }
    assert links <= headings


def test_every_example_is_json_and_every_diagram_short_enough_for_a_page(made: dict[Path, str]) -> None:
    examples = re.findall(r"```json\n(.*?)```", made[Path("building_blocks.md")], re.DOTALL)
    assert all(isinstance(json.loads(text), dict) for text in examples)
    diagrams = [text for page in made.values() for text in re.findall(r"```mermaid\n(.*?)```", page, re.DOTALL)]
    assert all(len(text) < 50_000 for text in diagrams)  # what Mermaid takes at the most


@pytest.mark.parametrize("block", blocks(), ids=lambda block: block.name)
def test_a_block_says_what_it_is_for_and_asks_for_words_that_there_are(block: Block) -> None:
    assert len(block.text.split()) > 80
    assert set(block.used) <= set(Evidence.__dataclass_fields__)
    assert block.used


def test_blocks_have_places_of_their_own() -> None:
    orders = [block.order for block in blocks()]
    assert len(set(orders)) == len(orders)


def test_what_was_seen_in_a_run_is_told_by_sort(hamlet: Run) -> None:
    seen = evidence(hamlet)
    assert {"EnergyContract", "EnergyDelivery", "EnergySettlement", "GridNode"} <= seen.bags
    assert {"offerCurve", "textSearch=Tariff", "id=lock"} <= seen.keys
    assert {"aggregate", "discover"} <= seen.actions
    assert {"household", "solar", "battery"} <= seen.kinds
    assert {"flow", "postings", "commit"} <= seen.records
    assert "ACTIVATED" in seen.events
    assert seen.codes == frozenset()


def test_a_scenario_uses_a_block_where_any_of_its_words_was_seen(hamlet: Run) -> None:
    seen = {"hamlet": evidence(hamlet)}
    used = {block.name for block in blocks() if users(block, seen)}
    assert {"offer-curve", "market", "metering", "settlement", "physics", "grid-node"} <= used
    assert {"ledger", "deal", "aggregator"}.isdisjoint(used)


def test_an_example_is_the_way_to_what_is_looked_for_and_that_whole() -> None:
    document = {"id": "a", "many": [{"x": 1}, {"id": "b", "in": {"word": "w", "rest": [1, 2, 3]}}], "other": 5}
    assert _pruned(document, "word") == {"id": "a", "many": [{"id": "b", "in": {"word": "w", "rest": [1, 2, 3]}}]}
    assert _pruned(document, "word=v") is None
    assert _cut({"@context": "u", "list": [1.23456789, 2, 3, 4, 5], "text": "x" * 99}) == {
        "list": [1.234568, 2, 3, 4],
        "text": "x" * 89 + "…",
    }


def test_what_is_printed_over_several_lines_is_still_the_same_json() -> None:
    document = {"a": [{"b": "x" * 60, "c": [1, 2]}, {"b": "y" * 60}], "d": {}, "e": [], "f": None}
    text = _pretty(document)
    assert json.loads(text) == document
    assert all(len(line) <= 110 for line in text.splitlines())


def test_a_page_of_a_scenario_that_is_no_more_goes(tmp_path: Path) -> None:
    old = tmp_path / "use_cases" / "old.md"
    old.parent.mkdir()
    old.write_text("")
    write({Path("use_cases/new.md"): "new"}, tmp_path)
    assert [path.name for path in old.parent.iterdir()] == ["new.md"]


def test_a_name_is_a_title() -> None:
    assert title("en-route-charging") == "En route charging"
