"""``degsim clear`` with several policies: the table a person reads, the JSON a programme reads, and the status."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from scenarios import catalog, cli, laboratory
from sim.errors import ScenarioError
from sim.market.policies import POLICIES
from sim.market.policies.peers import PEERS
from sim.market.problem import Clearing, Problem

Capture = pytest.CaptureFixture[str]

HERE = "tests.scenarios.test_laboratory_command"


def throws(problem: Problem) -> Clearing:
    """A policy with a bug."""
    return {}["setpoint"]


def forgets(problem: Problem) -> Clearing:
    """A policy whose powers are no numbers."""
    clearing = POLICIES["pay-as-clear"].clear(problem)
    return replace(clearing, setpoint_kw=dict.fromkeys(clearing.setpoint_kw, float("nan")))


def lossy(problem: Problem, *, share: float = 0.5, seed: int = 0, whole: bool = False) -> Clearing:
    """A policy that loses power, and takes options."""
    clearing = POLICIES["pay-as-clear"].clear(problem)
    kept = 1.0 if whole else share
    sold = {era: p_kw * kept if p_kw > 0 else p_kw for era, p_kw in clearing.setpoint_kw.items()}
    return replace(clearing, setpoint_kw=sold, notes=(f"seed {seed}",))


def row(text: str, name: str) -> str:
    """The line of the table that begins with this name."""
    (line,) = (line for line in text.splitlines() if line.startswith(name + " "))
    return line


def test_every_policy_has_a_row_in_its_group_and_the_legend_explains_them(capsys: Capture) -> None:
    assert cli.main(["clear", "rosetta-a", "--policy", "all"]) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert captured.err == ""
    assert all(len(line) <= laboratory.WIDTH for line in lines)
    assert lines[1] == "best: welfare 40 per h; volume 7 kW; price 8"
    first, second = (next(n for n, line in enumerate(lines) if line.startswith(group)) for group in ("LITER", "RULES"))
    assert {line.split()[0] for line in lines[first + 1 : second - 1]} == set(POLICIES) - set(PEERS)
    assert {line.split()[0] for line in lines[second + 1 : second + 1 + len(PEERS)]} == set(PEERS)
    assert " ".join(lines).endswith("kept: promises kept of those made.")


def test_a_row_says_what_a_rule_makes_of_the_book(capsys: Capture) -> None:
    assert cli.main(["clear", "rosetta-a", "--policy", "gsy-pay-as-clear", "--policy", "assume-pay-as-bid"]) == 0
    out = capsys.readouterr().out
    cells = ["10", "5", "34", "85.0%", "NO", "NO", "yes", "yes", "-", "-", "closed", "5/5"]
    assert row(out, "gsy-pay-as-clear").split()[1:] == cells
    assert "9 vanishes" in row(out, "assume-pay-as-bid")
    assert "LITERATURE" not in out


def test_who_cannot_clear_a_book_says_why_in_its_row(capsys: Capture) -> None:
    assert cli.main(["clear", "rosetta-a", "--policy", "locational", "--policy", "time-of-use"]) == 0
    assert "cannot clear this: slack: is missing" in row(capsys.readouterr().out, "time-of-use")


def test_where_a_limit_binds_the_headline_has_the_prices_of_the_nodes(capsys: Capture) -> None:
    assert cli.main(["clear", "transformer", "--policy", "locational", "--policy", "pay-as-clear"]) == 0
    out = capsys.readouterr().out
    assert "best: welfare 3.81 per h, 6 without limits; volume 24 kW; price 0.3 at grid; 0.48 at street" in out
    assert row(out, "pay-as-clear").split()[4:9] == ["157%", "NO", "NO", "yes", "NO"]
    assert row(out, "locational").split()[4:9] == ["100%", "yes", "yes", "yes", "yes"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("throws", "AT FAULT: failed with KeyError: 'setpoint'"),
        ("forgets", "AT FAULT: setpoint_kw of b1 is nan, which is not a finite number"),
    ],
)
def test_a_policy_from_outside_that_fails_is_told_in_its_row_and_ends_with_1(
    name: str, says: str, capsys: Capture
) -> None:
    assert cli.main(["clear", "rosetta-a", "--policy", "gridlabd", "--policy", f"{HERE}:{name}"]) == 1
    out = capsys.readouterr().out
    assert "FROM OUTSIDE" in out
    assert says in out
    assert "Traceback" not in out


def test_lost_power_is_seen_and_options_reach_a_policy_from_outside(capsys: Capture) -> None:
    names = [f"{HERE}:lossy", f"{HERE}:lossy:share=0.9,seed=7", f"{HERE}:lossy:whole=true"]
    chosen = [argument for name in names for argument in ("--policy", name)]
    assert cli.main(["clear", "rosetta-a", *chosen, "--json"]) == 0
    verdicts = json.loads(capsys.readouterr().out)["verdicts"]
    assert [verdict["policy"] for verdict in verdicts] == names
    assert [verdict["balanced"] for verdict in verdicts] == [False, False, True]
    assert [verdict["volumeKW"] for verdict in verdicts] == pytest.approx([3.5, 6.3, 7])
    assert [verdict["notes"] for verdict in verdicts] == [["seed 0"], ["seed 7"], ["seed 0"]]


def test_the_json_has_everything_of_the_table_one_object_for_each_book(capsys: Capture) -> None:
    assert cli.main(["clear", "rosetta-c", "battery", "--policy", "all", "--json"]) == 0
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (first["source"], second["source"]) == ("rosetta-c", "battery")
    assert first["best"] == {
        "welfare": 49,
        "welfareWithoutLimits": 49,
        "volumeKW": [10, 10],
        "priceInterval": {"grid": [5, 8]},
    }
    assert [verdict["policy"] for verdict in first["verdicts"]] == list(POLICIES)
    by_name = {verdict["policy"]: verdict for verdict in first["verdicts"]}
    assert by_name["bill-sharing"].keys() == {"policy", "promises", "failed", "refused"}
    lemlab = by_name["lemlab-uniform"]
    assert (lemlab["price"], lemlab["volumeKW"], lemlab["welfare"], lemlab["shareOfBest"]) == ([6.5, 6.5], 10, 49, 1)
    assert lemlab["priceInEquilibrium"]
    assert lemlab["limitsKept"]
    assert lemlab["moneyClosed"]
    assert {verdict["policy"] for verdict in second["verdicts"] if not verdict.get("limitsKept", True)} >= set(PEERS)


def test_one_policy_answers_as_ever_also_with_options(capsys: Capture) -> None:
    assert cli.main(["clear", "rosetta-c", "--policy", "pymarket-stepwise:k=1"]) == 0
    result = json.loads(capsys.readouterr().out)["message"]["aggregationResult"]
    assert (result["policy"], result["clearingPrice"], result["clearingQuantityKW"]) == ("pymarket-stepwise:k=1", 5, 10)


def test_a_book_from_standard_input_is_compared_too(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    text = Path(laboratory.located("rosetta-b")).read_text("utf-8")
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    assert cli.main(["clear", "-", "--policy", "gridlabd", "--policy", "gridlabd:offset=0.01"]) == 0
    assert capsys.readouterr().out.startswith("standard input: 6 participants at 1 node\n")


def test_a_policy_that_is_named_twice_has_one_row(capsys: Capture) -> None:
    assert cli.main(["clear", "rosetta-a", "--policy", "gridlabd", "--policy", "gridlabd"]) == 0
    assert row(capsys.readouterr().out, "gridlabd")


def test_the_lie_that_pays_most_is_found_where_it_is_asked_for(capsys: Capture) -> None:
    arguments = ["clear", "rosetta-d", "--policy", "gridlabd", "--policy", "vcg", "--misreports"]
    assert cli.main(arguments) == 0
    out = capsys.readouterr().out
    assert "gridlabd: b2 gains" in out
    assert "vcg: none pays" in out
    assert cli.main([*arguments, "--json"]) == 0
    verdicts = json.loads(capsys.readouterr().out)["verdicts"]
    assert verdicts[0]["misreport"]["gain"] > 0
    assert verdicts[1]["misreport"]["gain"] == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["rosetta-a", "--policy", "gridlabd", "--policy", "gsy-pay-as-bit"], "did you mean gsy-pay-as-bid?"),
        (["rosetta-a", "--policy", "gridlabd", "--policy", "gsy"], "known: adder-ascent, "),
        (
            ["rosetta-a", "--policy", "powermatcher:step=3"],
            "step is not an option of powermatcher, did you mean steps?",
        ),
        (["rosetta-a", "--policy", "powermatcher:step=3"], "known: steps, lowest, highest"),
        (["rosetta-a", "--policy", "powermatcher:steps=3.5"], "steps: 3.5 is not a whole number"),
        (["rosetta-a", "--policy", "pay-as-clear:k=1"], "k is not an option of pay-as-clear, which has none"),
        (["rosetta-e", "--policy", "all"], "did you mean rosetta-"),
        (["{falling}", "--policy", "all"], "falls from"),
    ],
)
def test_what_cannot_be_used_ends_with_2_and_says_what_is_known(
    arguments: list[str], says: str, tmp_path: Path, capsys: Capture
) -> None:
    falling = {"participants": [{"era": "x", "offerCurve": [{"price": 0, "powerKW": 1}, {"price": 1, "powerKW": 0}]}]}
    (tmp_path / "falling.json").write_text(json.dumps(falling), encoding="utf-8")
    places = {"falling": str(tmp_path / "falling.json")}
    assert cli.main(["clear", *(argument.format(**places) for argument in arguments)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert says in captured.err


# --- names with options -----------------------------------------------------------------------------------------------


def typed(problem: Problem, count: int, ratio: float | None = 1.0, mode: str = "fast", rule="x") -> Clearing:
    """A policy with options of many kinds."""
    return replace(POLICIES["pay-as-clear"].clear(problem), notes=(repr((count, ratio, mode, rule)),))


@pytest.mark.parametrize(
    ("options", "read"),
    [
        ("count=3", (3, 1.0, "fast", "x")),
        ("count=3,ratio=2,mode=slow", (3, 2.0, "slow", "x")),
        ("count = -1 , ratio=none, rule=y", (-1, None, "fast", "y")),
    ],
)
def test_options_are_read_as_the_annotations_say(options: str, read: tuple[object, ...]) -> None:
    policy = catalog.policy(f"{HERE}:typed:{options}")
    assert policy.clear(Problem(())).notes == (repr(read),)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("count=3,count=4", "count is given twice"),
        ("count=", "count: nothing is not a whole number"),
        ("count=1,ratio=nan", "ratio: nan is not a finite number"),
        ("count", "count is not an option (options are key=value,key=value)"),
        ("problem=1", "problem is not an option"),
        ("", "nothing is not an option"),
    ],
)
def test_an_option_that_cannot_be_read_is_refused(options: str, says: str) -> None:
    with pytest.raises(ScenarioError, match="typed") as refused:
        catalog.policy(f"{HERE}:typed:{options}")
    assert says in str(refused.value)


def test_an_option_keeps_what_a_policy_promises() -> None:
    policy = catalog.policy("simply-pay-as-clear:fee=0.5")
    assert (policy.name, policy.promises) == ("simply-pay-as-clear:fee=0.5", PEERS["simply-pay-as-clear"].promises)


def test_a_list_of_policies_says_what_each_promises_and_where_it_is_from(capsys: Capture) -> None:
    assert cli.main(["list", "policies"]) == 0
    out = capsys.readouterr().out
    assert "promises balance, adders; looks at no limit" in out
    assert "source: gsy-framework 1.3.0" in out
    assert "options steps= lowest= highest=" in out


def test_every_book_can_be_named_and_says_what_it_is(capsys: Capture) -> None:
    assert cli.main(["list", "books"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [path.stem for path in sorted(laboratory.BOOKS.glob("*.json"))]


def book(folder: Path, *participants: dict[str, object], **more: object) -> str:
    path = folder / "book.json"
    path.write_text(json.dumps({"aggregationRequest": {"participants": participants, **more}}), "utf-8")
    return str(path)


def block(era: str, price: float, low_kw: float, high_kw: float, **more: object) -> dict[str, object]:
    points = [{"price": price, "powerKW": low_kw}, {"price": price, "powerKW": high_kw}]
    return {"era": era, "offerCurve": {"curve": points}, **more}


def scribbles(problem: Problem) -> Clearing:
    """A policy that prints, and writes into the market that it was given."""
    print("thinking")  # noqa: T201
    object.__setattr__(problem.offers[0], "era", "nobody")
    return POLICIES["pay-as-clear"].clear(problem)


def test_what_a_policy_writes_or_prints_is_its_own(capsys: Capture) -> None:
    assert cli.main(["clear", "rosetta-a", "--policy", f"{HERE}:scribbles", "--policy", "locational", "--json"]) == 1
    captured = capsys.readouterr()
    scribbled, fair = json.loads(captured.out)["verdicts"]
    assert scribbled["failed"] == "setpoint_kw has nothing for b1"
    assert fair["shareOfBest"] == 1
    assert captured.err == "thinking\n"


def test_a_limit_that_nothing_keeps_is_pointed_at_in_the_message(tmp_path: Path, capsys: Capture) -> None:
    limit = {"id": "v", "maximum": -9, "weights": [{"era": "house", "weight": -1}]}
    path = book(tmp_path, block("house", 0.3, -5, 0), linearLimits=[limit], priceFloor=-1, priceCap=2)
    assert cli.main(["clear", path, "--policy", "all"]) == 2
    assert "/aggregationRequest/linearLimits/0/maximum: v cannot be kept" in capsys.readouterr().err


def test_columns_stay_apart_and_names_command_no_terminal(tmp_path: Path, capsys: Capture) -> None:
    path = book(
        tmp_path,
        block("\x1b[31mred", 0.4, -234567, 0),
        block("sun", 0.1, 0, 123456.78),
        block("mill", 9.99, 0, 1234567.8),
        priceFloor=-1,
        priceCap=10,
    )
    assert cli.main(["clear", path, "--policy", "all", "--misreports"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= laboratory.WIDTH and line.isprintable() for line in lines)
    rows = [line for line in lines if line.startswith(tuple(POLICIES)) and "cannot clear" not in line]
    assert len(rows) > 20
    assert all(line[23] == line[35] == line[42] == line[51] == " " for line in rows)


@pytest.mark.parametrize(
    ("share", "text"),
    [(1, "100%"), (1 - 1e-12, "100%"), (0.9999, "100.0%"), (-1, "-100%"), (-0.997, "-100%"), (1.57, "157%"),
     (-0.077, "-7.7%"), (-12345.0, "-1e6%"), (9e9, "9e11%")],
)  # fmt: skip
def test_a_share_fits_its_column(share: float, text: str) -> None:
    assert laboratory._percent(share) == text


def test_a_book_with_minimums_says_what_its_best_is(tmp_path: Path, capsys: Capture) -> None:
    path = book(
        tmp_path,
        block("car", 1, -5, 0, minRunKW=4),
        block("pump", 0.9, -5, 0, minRunKW=4),
        block("sun", 0.2, 0, 6),
        priceFloor=-1,
        priceCap=2,
    )
    assert cli.main(["clear", path, "--policy", "all"]) == 0
    assert "best: welfare 4.7 per h, as if nobody had a minimum; " in capsys.readouterr().out


def test_what_rounding_gains_is_no_lie_that_pays_and_who_trades_both_ways_is_noted(
    tmp_path: Path, capsys: Capture
) -> None:
    points = [{"price": price, "powerKW": kw} for price, kw in ((0.1, -3), (0.15, 0), (0.25, 0), (0.35, 3))]
    people = (
        block("ev", 0.4, -3, 0),
        block("wind", 0.05, 0, 2),
        block("pv", 0.31, 0, 4),
        {"era": "battery", "offerCurve": {"curve": points}},
    )
    path = book(tmp_path, *people, priceFloor=-1, priceCap=2)
    assert cli.main(["clear", path, "--policy", "vcg", "--policy", "gsy-pay-as-bid", "--misreports"]) == 0
    text = capsys.readouterr().out
    assert "gains 0 per h" not in text
    assert "vcg: none pays" in text
    assert "gsy-pay-as-bid: 1 buy and sell, and are told the price of the difference" in text
