"""A policy that fails in the middle of a run is stopped, the fallback serves, and the run says who did what."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from results.metrics import summarise
from results.summary import render
from results.verify import verify
from sim.market.policies import POLICIES, locational, pay_as_clear
from sim.market.policy import Policy
from sim.market.problem import Clearing, Problem

HOUR = ("duration_h=1", "start=2016-05-17T12:00:00")
NIGHT = ("duration_h=1", "start=2016-05-17T22:00:00")
"""All cars want to charge in the first cheap hour."""


def throws(problem: Problem) -> Clearing:
    """A policy with a bug that shows when there is sun."""
    return locational.clear(replace(problem, k=1 / (0 * len(problem.offers))))


def forgets(problem: Problem) -> Clearing:
    """A policy that gives a roof no number."""
    clearing = locational.clear(problem)
    return replace(clearing, setpoint_kw={**clearing.setpoint_kw, "pv-01": math.nan})


def overloads(problem: Problem) -> Clearing:
    """A policy that looks at no limit and has not said so."""
    return pay_as_clear.clear(problem)


def loses(problem: Problem) -> Clearing:
    """A policy that gives somebody a kilowatt from nowhere."""
    clearing = locational.clear(problem)
    return replace(clearing, setpoint_kw={**clearing.setpoint_kw, "pv-01": clearing.setpoint_kw["pv-01"] + 1.0})


def vanishes(problem: Problem) -> Clearing:
    """A policy that forgets somebody."""
    clearing = locational.clear(problem)
    return replace(clearing, setpoint_kw={era: p for era, p in clearing.setpoint_kw.items() if era != "pv-02"})


FRANK = replace(POLICIES["pay-as-clear"], name=f"{__name__}:FRANK", promises=frozenset({"balance"}))
"""A policy that has said what it does not look at."""


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("throws", "failed with ZeroDivisionError"),
        ("forgets", "pv-01 has no set-point"),
        ("overloads", "it promises limits, but trafo-1 imports"),
        ("loses", "it promises balance, but"),
        ("vanishes", "pv-02 has no set-point"),
    ],
)
def test_a_policy_that_fails_is_stopped_and_the_fallback_serves(run_street: Callable, name: str, says: str) -> None:
    run = run_street(f"market.policy={__name__}:{name}", *(NIGHT if name == "overloads" else HOUR))
    stopped = run.manifest["policyStopped"]
    assert stopped
    assert all(says in why for why in stopped.values())
    assert list(map(int, stopped)) == run.intervals.query("fallback")["interval"].tolist()
    assert set(run.intervals.query("fallback")["policy"]) == {"curtail-only"}
    assert verify(run).findings == 0


def test_the_summary_tells_when_and_why_a_policy_was_first_stopped(run_street: Callable) -> None:
    run = run_street(f"market.policy={__name__}:forgets", *HOUR)
    text = " ".join(render(summarise(run)).split())
    assert "policy stopped in 4, first at Tue 12:00" in text
    assert "pv-01 has no set-point" in text


def test_what_stopped_a_policy_travels_with_the_clearing_that_stands_in(run_street: Callable) -> None:
    run = run_street(f"market.policy={__name__}:forgets", *HOUR)
    notes = [answer["message"]["aggregationResult"]["notes"][0] for _, answer in run.aggregates()]
    assert all(note.endswith("pv-01 has no set-point") for note in notes)


def test_a_policy_that_says_what_it_does_not_promise_is_left_alone(run_street: Callable) -> None:
    assert isinstance(FRANK, Policy)
    run = run_street(f"market.policy={__name__}:FRANK", *HOUR)
    assert not run.intervals["fallback"].any()
    assert run.manifest["policyStopped"] == {}


def test_a_module_in_the_folder_of_the_caller_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from scenarios import catalog

    (tmp_path / "a_lab_of_ones_own.py").write_text(
        "from sim.market.policies.locational import clear\n", encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["nowhere"])
    assert catalog.policy("a_lab_of_ones_own:clear").clear(Problem(())).policy == "locational"
