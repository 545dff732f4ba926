"""The page about metrics shows every metric as the tables have it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from results.metrics import METRICS, RELATIVE, Metric, Relative

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")


def rows(table: Mapping[str, Metric] | Mapping[str, Relative]) -> list[str]:
    """The table's rows in Markdown; write these into the page when a metric has changed."""
    return [f"| `{one.name}` | {one.unit} | {one.better} | {one.summary} | {one.source} |" for one in table.values()]


@pytest.mark.parametrize("table", [METRICS, RELATIVE], ids=["of a run", "against another"])
def test_the_page_shows_each_metric_as_it_is(table: Mapping[str, Metric]) -> None:
    shown = [line for line in PAGE.splitlines() if line.startswith("| `")]
    start = shown.index(rows(table)[0])
    assert shown[start : start + len(table)] == rows(table)


def test_the_page_shows_nothing_else() -> None:
    assert sum(line.startswith("| `") for line in PAGE.splitlines()) == len(METRICS) + len(RELATIVE)
