"""What the sections of a page hold, against the tables: a run in which aggregators stand on levels."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from results.report.sections import moment, money, summary
from results.run import Run
from scenarios.reader import read
from scenarios.runner import execute
from tests.report.made import LIBRARY


@pytest.fixture(scope="module")
def levels(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("levels") / "run"
    return Run(execute(read(LIBRARY / "virtual-power-plant.yaml"), folder))


def test_money_moved_is_the_sum_of_all_postings(levels: Run) -> None:
    moved = next(tile["value"] for tile in summary.data(levels)["tiles"] if tile["title"] == "Money moved")
    assert moved == f"{sum(levels.postings['amount']):,.2f} EUR"


def test_a_node_at_which_nobody_offered_has_no_clearing_to_show(levels: Run) -> None:
    """Below an aggregator the market knows of nothing; the table of nodes has what the awards come to there."""
    flows = levels.nodes.set_index(["interval", "node"])["market_flow_kw"]
    scenes = moment.data(levels)["clearings"]["scenes"]
    for interval, each in scenes.items():
        assert [scene["node"] for scene in each] == ["grid", "cable-west", "cable-east"]
        for scene in each[1:]:
            assert scene["flow"] == pytest.approx(flows[int(interval), scene["node"]], abs=0.001)


def test_balances_count_nothing_of_another_currency(levels: Run) -> None:
    foreign = Run(levels.path)
    foreign.ledger = (replace(levels.ledger[0], currency="USD"), *levels.ledger[1:])
    own = [posting for posting in foreign.ledger if posting.currency == "EUR"]
    held = money.data(foreign)
    assert held is not None
    for row in held["balances"]["rows"]:
        assert Decimal(row["paid"]) == sum(p.amount for p in own if p.payer == row["party"])
        assert Decimal(row["received"]) == sum(p.amount for p in own if p.payee == row["party"])
        assert Decimal(row["net"]) == Decimal(row["received"]) - Decimal(row["paid"])
