"""What sets two runs apart is told from its cause to its last cent, and alike is said only of what is alike."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from small_run import Draft, Edit, stopped, write_run

from results.difference import Differences, First, as_json, difference, render
from results.difference.documents import ABSENT
from results.difference.totals import ENERGY, MEASURES, MONEY, PARTIES, PRICES
from results.metrics import METRICS, measure
from results.run import Run
from scenarios import cli
from scenarios.reader import read
from scenarios.runner import execute
from sim.errors import RunError

HAMLET = Path(__file__).parents[1] / "scenarios" / "hamlet.yaml"

Hamlets = Callable[..., Run]


@pytest.fixture(scope="session")
def hamlet(tmp_path_factory: pytest.TempPathFactory) -> Hamlets:
    """``hamlet("seed=2")``: a real run of the smallest world, each made once."""
    folder = tmp_path_factory.mktemp("hamlets")
    known: dict[tuple[str, ...], Path] = {}

    def run_of(*overrides: str) -> Run:
        if overrides not in known:
            known[overrides] = folder / str(len(known))
            execute(read(HAMLET, overrides), known[overrides])
        return Run(known[overrides])

    return run_of


@pytest.fixture
def against(day: Run, tmp_path: Path) -> Callable[[Edit], Differences]:
    """The small run beside one in which something was changed before it was sealed."""
    return lambda edit: difference(day, Run(write_run(tmp_path / "edited", edit)))


def first(found: Differences, kind: str) -> First:
    (one,) = [first for first in found.firsts if first.kind == kind]
    return one


def kinds(found: Differences) -> list[str]:
    return [one.kind for one in found.firsts]


def groups(found: Differences) -> list[str]:
    return list(dict.fromkeys(total.group for total in found.totals))


# --- alike ------------------------------------------------------------------------------------------------------------


def test_runs_with_one_journal_are_alike_and_it_is_not_even_read(day: Run, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(day.path, tmp_path / "copy"))
    (copy / "journal.jsonl").unlink()
    found = difference(day, Run(copy))
    assert found.alike
    assert "no difference: the journals are the same, byte for byte" in render(found)


def test_the_same_scenario_and_seed_on_other_software_is_alike_and_the_software_is_named(
    day: Run, tmp_path: Path
) -> None:
    def update(draft: Draft) -> None:
        draft.manifest["versions"] = {"numpy": "3"}

    found = difference(day, Run(write_run(tmp_path / "newer", update)))
    assert found.alike
    assert [(field.where, field.two) for field in found.made] == [("versions.numpy", "3")]


def test_numbers_that_only_rounding_tells_apart_are_alike_within_a_tolerance(day: Run, tmp_path: Path) -> None:
    def round_otherwise(draft: Draft) -> None:
        flow = draft.records("flow")[3]
        flow["lossesKW"] *= 1 + 1e-12
        draft.tables["setpoints"]["delivered_kw"][5] *= 1 + 1e-12

    other = Run(write_run(tmp_path / "edited", round_otherwise))
    assert not difference(day, other).alike
    assert difference(day, other, tolerance=1e-9).alike


# --- where runs part --------------------------------------------------------------------------------------------------


def test_another_seed_shows_first_in_what_somebody_offers_and_never_in_an_identifier(hamlet: Hamlets) -> None:
    one, two = hamlet("seed=1"), hamlet("seed=2")
    found = difference(one, two)
    assert [(field.where, field.one, field.two) for field in found.asked] == [("seed", 1, 2)]
    message = first(found, "message")
    assert message.one is not None
    assert message.one.who == "pv-01 → market init"
    assert [field.where.rsplit("/", 1)[-1] for field in message.fields] == ["value", "maxExport", "powerKW"]
    assert len({field.one for field in message.fields}) == len({field.two for field in message.fields}) == 1


def test_the_first_row_that_differs_is_the_first_of_the_tables(hamlet: Hamlets) -> None:
    one, two = hamlet("seed=1"), hamlet("seed=2")
    found = first(difference(one, two), "set-point")
    ours, theirs = one.setpoints, two.setpoints
    apart = (ours["setpoint_kw"] != theirs["setpoint_kw"]).to_numpy()
    place = int(apart.argmax())
    assert found.one is not None
    assert (found.one.interval, found.one.who) == (ours["interval"][place], ours["era"][place])
    (field,) = found.fields
    assert (field.one, field.two, field.unit) == (ours["setpoint_kw"][place], theirs["setpoint_kw"][place], "kW")
    assert (found.apart, found.of) == (apart.sum(), len(ours))


def test_another_policy_shows_in_what_follows_from_it_and_not_in_its_name(hamlet: Hamlets) -> None:
    found = difference(hamlet("seed=1"), hamlet("seed=1", "market.policy=pay-as-clear"))
    assert [field.where for field in found.asked] == ["market.policy"]
    assert all("policy" not in field.where for one in found.firsts for field in one.fields)
    assert "the scenario's own words (locational and pay-as-clear)" in render(found)


def test_a_posting_of_another_amount_is_found_with_both_amounts(against: Callable[[Edit], Differences]) -> None:
    def overpay(draft: Draft) -> None:
        record = draft.records("postings")[2]
        record["postings"][0]["amount"] = "9.99"
        row = draft.tables["postings"]["interval"].index(2)
        draft.tables["postings"]["amount"][row] = Decimal("9.99")

    found = against(overpay)
    assert kinds(found) == ["posting"]
    (one,) = found.firsts
    assert one.apart == 1
    assert one.one is not None
    assert one.one.interval == 2
    assert one.fields[0].two == Decimal("9.99")
    assert groups(found)[:2] == [MONEY, PARTIES]


def test_a_posting_that_only_one_run_has_is_shown_beside_nothing(against: Callable[[Edit], Differences]) -> None:
    def forget(draft: Draft) -> None:
        for column in draft.tables["postings"].values():
            del column[0]
        del draft.records("postings")[0]["postings"][0]

    found = against(forget)
    one = first(found, "posting")
    assert one.one is not None
    assert one.two is None
    assert "  2  nothing" in render(found)


def test_a_message_that_one_run_has_more_is_shown_beside_the_one_that_stands_in_its_place(
    against: Callable[[Edit], Differences],
) -> None:
    def silence(draft: Draft) -> None:
        draft.journal.remove(draft.records("message", "on_status")[0])

    one = first(against(silence), "message")
    assert one.fields == ()
    assert one.one is not None
    assert one.two is not None
    assert one.one.who != one.two.who


def test_a_refusal_is_told_with_its_reason(against: Callable[[Edit], Differences]) -> None:
    def refuse(draft: Draft) -> None:
        draft.records("message", "confirm")[1]["error"] = {"errorCode": "POL_GATE_CLOSED", "errorMessage": "too late"}

    one = first(against(refuse), "message")
    assert [field.where for field in one.fields] == ["/ack", "/error"]
    assert one.two is not None
    assert one.two.what.startswith("refused; ")


def test_a_price_that_only_one_run_has_is_shown_beside_nothing(
    against: Callable[[Edit], Differences],
) -> None:
    def unprice(draft: Draft) -> None:
        draft.records("flow")[1]["note"] = "so that the journals differ"
        draft.tables["prices"]["price_per_kwh"][4] = None

    found = against(unprice)
    (field,) = first(found, "price").fields
    assert field.two is ABSENT
    assert "–" in render(found)
    assert "two" not in json.loads(as_json(found))["firsts"][0]["fields"][0]


def test_what_stands_in_no_message_and_no_table_is_still_found(against: Callable[[Edit], Differences]) -> None:
    def note(draft: Draft) -> None:
        draft.records("flow")[1]["note"] = "odd"

    found = against(note)
    assert kinds(found) == ["record"]
    assert [(field.where, field.two) for field in found.firsts[0].fields] == [("/note", "odd")]
    assert not found.alike


# --- totals -----------------------------------------------------------------------------------------------------------


def test_totals_that_moved_are_those_of_the_tables_and_of_the_metrics(hamlet: Hamlets) -> None:
    one, two = hamlet("seed=1"), hamlet("seed=2")
    found = difference(one, two)
    assert {ENERGY, PRICES, MONEY, PARTIES, MEASURES} <= set(groups(found))
    repeatable = [name for name, metric in METRICS.items() if metric.repeatable]
    ours, theirs = measure(one, repeatable), measure(two, repeatable)
    told = {total.name: (total.one, total.two) for total in found.totals if total.group == MEASURES}
    differing = {name for name in repeatable if ours[name] != theirs[name] and ours[name] == ours[name]}
    assert set(told) == differing
    assert all(told[name] == (ours[name], theirs[name]) for name in differing)


def test_money_that_moved_is_exact_and_sums_to_nothing(hamlet: Hamlets) -> None:
    found = difference(hamlet("seed=1"), hamlet("seed=2"))
    by_party = [total for total in found.totals if total.group == PARTIES]
    moved = [total.difference for total in by_party if isinstance(total.difference, Decimal)]
    assert len(moved) == len(by_party)
    assert sum(moved, Decimal(0)) == 0
    assert [abs(amount) for amount in moved] == sorted(map(abs, moved), reverse=True)


# --- what cannot be set side by side ----------------------------------------------------------------------------------


def test_runs_of_other_lengths_are_compared_over_the_intervals_that_both_have(hamlet: Hamlets) -> None:
    found = difference(hamlet("seed=1"), hamlet("seed=1", "duration_h=1"))
    assert kinds(found) == []
    assert not found.alike
    assert "4 and 2 intervals: the first 2 are compared, messages to the last of them" in found.notes[0]
    assert ENERGY not in groups(found)


def test_a_run_that_was_stopped_is_compared_as_far_as_it_goes(tmp_path: Path, day: Run) -> None:
    folder = stopped(tmp_path, day)
    found = difference(day, Run(folder))
    assert found.notes[0] == f"{folder} was never finished: it is compared as far as it goes, 3 of 8 intervals"
    assert kinds(found) == []
    assert not found.alike
    assert "never finished" in render(found)


def test_what_is_to_be_noted_of_both_is_noted_once(tmp_path: Path, day: Run) -> None:
    half = Run(stopped(tmp_path, day))
    found = difference(half, half)
    assert found.alike
    assert found.notes == (f"{half.path} was never finished: it is compared as far as it goes, 3 of 8 intervals",)


def test_intervals_of_other_lengths_are_not_set_side_by_side(hamlet: Hamlets) -> None:
    found = difference(hamlet("seed=1"), hamlet("seed=1", "interval_min=15"))
    assert kinds(found) == ["message"]
    assert found.notes[0].startswith("intervals of 30 and 15 min: ")
    assert ENERGY not in groups(found)
    assert MEASURES in groups(found)


def test_money_in_two_currencies_is_never_subtracted(hamlet: Hamlets) -> None:
    found = difference(hamlet("seed=1"), hamlet("seed=1", "tariffs.currency=GBP"))
    assert any(note.startswith("paid in EUR and GBP") for note in found.notes)
    money = [total for total in found.totals if total.unit.startswith(("EUR", "GBP"))]
    assert money
    assert all(total.difference is None for total in money)


def test_who_is_only_in_one_run_does_not_hide_the_first_message_of_the_others(hamlet: Hamlets) -> None:
    found = difference(hamlet("seed=1"), hamlet("seed=1", "populations.pv.count=3"))
    assert (found.only_one, found.only_two) == ((), ("pv-03",))
    message = first(found, "message")
    assert message.one is not None
    assert "pv-03" not in message.one.who


def test_starts_at_other_times_are_said_and_times_count_from_them(hamlet: Hamlets) -> None:
    found = difference(hamlet("seed=1"), hamlet("seed=1", "start=2016-05-18T11:00:00"))
    assert any("times count from each run's own start" in note for note in found.notes)
    assert all("timestamp" not in field.where for one in found.firsts for field in one.fields)


def test_a_damaged_journal_is_named_with_its_line(day: Run, tmp_path: Path) -> None:
    def change(draft: Draft) -> None:
        draft.manifest["seed"] = 8
        draft.journal[0]["seed"] = 8

    folder = write_run(tmp_path / "edited", change)
    lines = (folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
    place = next(n for n, line in enumerate(lines) if line.startswith(b'{"kind":"message"'))
    lines[place] = b'{"kind":"message", oops\n'
    (folder / "journal.jsonl").write_bytes(b"".join(lines))
    with pytest.raises(RunError, match=rf"journal.jsonl:{place + 1}: is not a record"):
        difference(day, Run(folder))


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_ends_with_0_where_runs_are_alike_1_where_not_and_2_where_one_is_none(
    hamlet: Hamlets, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = str(hamlet("seed=1").path), str(hamlet("seed=2").path)
    assert cli.main(["diff", one, one]) == 0
    assert cli.main(["diff", one, two]) == 1
    capsys.readouterr()
    assert cli.main(["diff", one, str(tmp_path)]) == 2
    assert cli.main(["diff", one, two, "--tolerance", "nan"]) == 2
    out, talk = capsys.readouterr()
    assert out == ""
    assert [line.split(":")[0] for line in talk.splitlines()] == ["degsim", "degsim"]


def test_as_json_it_says_what_the_text_says(hamlet: Hamlets, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = hamlet("seed=1"), hamlet("seed=2")
    assert cli.main(["diff", str(one.path), str(two.path), "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    found = difference(one, two)
    assert said["alike"] is False
    assert said["scenario"] == [{"where": "seed", "one": 1, "two": 2}]
    assert [one["kind"] for one in said["firsts"]] == kinds(found)
    assert [(total["group"], total["name"]) for total in said["totals"]] == [(t.group, t.name) for t in found.totals]


def test_the_text_keeps_to_its_width_and_tells_numbers_apart(hamlet: Hamlets) -> None:
    text = render(difference(hamlet("seed=1"), hamlet("seed=2")))
    assert max(map(len, text.splitlines())) <= 110
    assert "first set-point that differs (" in text
