"""What settling costs, in exact counts, and that its results are exact."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import Any

import pytest

import sim.contracts.document
from sim.contracts.formula import Formula
from tests.bench.settlement import CONTRACT, settled, signals


def test_a_formula_is_compiled_once_and_computed_once_an_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    counts: Counter[str] = Counter()
    compiling, computing = sim.contracts.document.compile_formula, Formula.evaluate

    def compiled(text: str, *, who: str) -> Formula:
        counts["compiled"] += 1
        return compiling(text, who=who)

    def computed(formula: Formula, values: Any) -> Any:
        counts["computed"] += 1
        return computing(formula, values)

    monkeypatch.setattr(sim.contracts.document, "compile_formula", compiled)
    monkeypatch.setattr(Formula, "evaluate", computed)
    settled(signals(100))
    assert counts == {"compiled": 5, "computed": 500}


def test_the_exact_amounts_are_those_of_fractions() -> None:
    told = signals(1000)
    rows = [
        {name: Fraction(value) for row in pair for name, value in row.items()}
        for pair in zip(told["meter"], told["market"], strict=True)
    ]
    rate = {name: Fraction(v["value"] if isinstance(v, dict) else v) for name, v in CONTRACT["inputParameters"].items()}
    expected = [
        sum(row["energyKWh"] * row["pricePerKWh"] for row in rows),
        sum(max(row["energyKWh"], Fraction(0)) * rate["wheelingPerKWh"] for row in rows),
        sum(abs(row["energyKWh"]) * rate["feePerKWh"] for row in rows),
        sum(abs(row["energyKWh"] - row["plannedKWh"]) * rate["penaltyPerKWh"] for row in rows),
        sum(rate["taxRate"] * row["energyKWh"] * row["pricePerKWh"] for row in rows),
    ]
    report = settled(told)
    assert [Fraction(line["exact"]) for line in report["evidence"]["lines"]] == expected
    assert sum(report["balances"].values()) == 0
