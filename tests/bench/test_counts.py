"""How much work a run does, exactly: a stopwatch is noisy, a count is not."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import sim.bus
import sim.trust.seals
from grid_models import circuit, feeders
from scenarios.build import build
from scenarios.reader import read
from scenarios.timing import Stopwatch
from tests.bench import exchange, physics
from tests.conftest import STREET, TWO_HOURS

THOUSAND = Path(__file__).parent / "thousand.yaml"


def test_an_interval_costs_two_power_flows_one_clearing_and_a_fixed_number_of_messages() -> None:
    """Noon: no car is at home, so that every household, roof and battery trades and nobody else.

    One power flow of what was planned and one of what happened, one more for each outcome that had to be cleared again, and
    one that is compared with the reference.
    """
    built = build(read(STREET, [*TWO_HOURS, "populations.ev.count=1"]), io.BytesIO(), Stopwatch())
    built.world.run(lambda _, __: None)
    counts = built.world.bus.counts
    trading, cars, intervals = 41 + 30 + 10, 1 + 6, 8
    outcomes = counts["assess", "ACK"]
    assert outcomes - intervals == 3
    assert built.feeder.solves == intervals + outcomes + 1
    assert built.feeder.retries == 0
    assert counts["aggregate", "ACK"] == counts["on_aggregate", "ACK"] == counts["on_assess", "ACK"] == outcomes
    assert counts["confirm", "ACK"] == intervals * (trading + 2)  # and the retailer, and the utility's lock
    assert counts["on_confirm", "ACK"] == counts["confirm", "ACK"]
    assert counts["on_status", "ACK"] == intervals * (trading + cars + 4)  # two hosts, the transformer, the utility
    stated = trading + 1  # the retailer too; nobody at home, no statement
    assert counts["update", "ACK"] == stated
    members = {member.contract.id for member in built.market.membership.members.values()}
    told = {(p.interval, p.contract) for p in built.world.ledger if p.contract in members}
    # Beside the intervals: statement, answer to its signature, end; for cars and their aggregator the end alone.
    assert counts["on_update", "ACK"] == len(told) + 3 * stated + cars + 1
    assert counts["catalog/publish", "ACK"] == 3 + intervals  # market, retailer, transformer; then its load each time
    built.world.close()


def test_a_feeder_is_factored_once_and_a_state_costs_a_few_substitutions(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many for a thousand states at once as for the slowest of them; slopes take as many again, for all at once."""
    counts: Counter[str] = Counter()
    for owner, name in ((circuit, "splu"), (circuit.SequenceNetwork, "rise"), (circuit.SequenceNetwork, "answer")):
        count_calls(monkeypatch, owner, name, counts)
    feeder = feeders.load("simbench-semiurb4")
    assert counts == {"splu": 1}
    p_kw, q_kvar = physics.states(feeder, 300)  # fewer than are solved together
    flow = feeder.solve(p_kw[0], q_kvar[0])
    assert counts == {"splu": 1, "rise": 6}
    feeder.solve_many(p_kw, q_kvar)
    assert counts == {"splu": 1, "rise": 6 + 6}
    before = counts["rise"]
    feeder.sensitivities(flow, feeder.buses[:3])
    assert counts["answer"] == 7
    assert counts["rise"] - before <= 6
    assert counts["splu"] == 1
    assert (feeder.solves, feeder.retries) == (301, 0)


def count_calls(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, counts: Counter[str]) -> None:
    function = getattr(owner, name)

    def call(*args: Any, **kwargs: Any) -> Any:
        counts[name] += 1
        return function(*args, **kwargs)

    monkeypatch.setattr(owner, name, call)


def test_an_exchange_costs_one_writing_reading_digest_signature_and_check_each_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counts: Counter[str] = Counter()

    for name in ("encode", "decode", "body_digest"):
        count_calls(monkeypatch, sim.bus, name, counts)
    for name in ("sign", "verify"):
        count_calls(monkeypatch, sim.trust.seals, name, counts)
    exchange.exchanges(100, exchange.signing())
    assert counts == {"encode": 200, "decode": 200, "body_digest": 200, "sign": 200, "verify": 200}


def test_a_thousand_participants_are_a_thousand() -> None:
    scenario = read(THOUSAND)
    assert sum(population.count or 0 for population in scenario.populations) == 1000
