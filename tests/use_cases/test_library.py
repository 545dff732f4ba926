"""Every scenario of the library runs, passes its audit and says what its file says; and the comparison notices what differs."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from results.sequence import Step
from results.verify import render, verify
from tests.use_cases.library import (
    EXPECTED,
    Library,
    Told,
    as_yaml,
    balances_of,
    check,
    choice_of,
    compare,
    contracts_of,
    draft,
    lines_of,
    names,
)

HAMLET = str(Path(__file__).parents[1] / "scenarios" / "hamlet.yaml")
NAMES = names()


@pytest.mark.parametrize("name", NAMES)
def test_a_scenario_of_the_library_passes_its_audit(name: str, library: Library) -> None:
    report = verify(library.run_of(name))
    assert report.findings == 0, render(report)


@pytest.mark.parametrize("name", NAMES)
def test_a_scenario_of_the_library_says_what_its_file_says(name: str, library: Library) -> None:
    check(library.run_of(name), name)


@pytest.mark.parametrize("name", [HAMLET, *NAMES[:1]], ids=lambda name: Path(name).stem)
def test_a_scenario_says_the_same_to_the_byte_when_it_is_run_again(name: str, library: Library, tmp_path: Path) -> None:
    again = Library(tmp_path).run_of(name)
    assert again.journal_path.read_bytes() == library.run_of(name).journal_path.read_bytes()


def test_every_expected_file_belongs_to_a_scenario() -> None:
    assert [path.stem for path in sorted(EXPECTED.glob("*.yaml")) if path.stem not in NAMES] == []


def message(place: int, sender: str, receiver: str, action: str, value: float, code: str = "") -> Step:
    """A message that is nothing but these."""
    error = {"errorCode": code, "errorMessage": "no"} if code else None
    content = {"contract": {"commitments": [{"resources": [{"id": "x", "quantity": {"value": value}}]}]}}
    return Step(
        seq=place,
        second=place,
        sender=sender,
        receiver=receiver,
        action=action,
        transaction="t",
        message=f"m{place}",
        lineage=None,
        depth=0,
        refused=bool(code),
        error=error,
        context={"ttl": "PT30S"},
        content=content,
    )


parties = st.sampled_from(["car-1", "station", "grid: one", "maison d'été"])
quantities = st.floats(-1e4, 1e4).map(lambda value: round(value, 3))
codes = st.sampled_from(["", "", "", "BIZ_CAP_EXCEEDED"])
calls = st.tuples(parties, parties, st.sampled_from(["select", "init", "confirm"]), quantities, codes)
sequences = st.lists(calls, min_size=1, max_size=12).map(
    lambda called: tuple(message(place, *call) for place, call in enumerate(called, start=1))
)
CONTRACTS = {"charging (station, car-1)": "COMPLETED", "lease (station, grid)": "ACTIVE"}
BALANCES = {"car-1": "-1.75 EUR", "station": "1.75 EUR"}


def written(told: Told) -> dict[str, Any]:
    """What the file of a run says, read back from its text."""
    read: dict[str, Any] = yaml.safe_load(as_yaml(draft(told)))
    return read


def refused(told: Told, expected: dict[str, Any]) -> str:
    with pytest.raises(AssertionError) as caught:
        compare(told, expected)
    return str(caught.value)


@given(sequences)
def test_what_a_draft_says_is_what_the_run_says(steps: tuple[Step, ...]) -> None:
    told = Told(steps, CONTRACTS, BALANCES)
    expected = written(told)
    compare(told, expected)
    assert len(list(lines_of(expected["messages"]))) == len(steps)


@given(sequences, st.data(), st.floats(1e-5, 10))
def test_a_changed_number_is_noticed_where_it_is(steps: tuple[Step, ...], data: st.DataObject, more: float) -> None:
    place = data.draw(st.integers(0, len(steps) - 1))
    changed = copy.deepcopy(steps[place])
    changed.content["contract"]["commitments"][0]["resources"][0]["quantity"]["value"] += more
    told = Told((*steps[:place], changed, *steps[place + 1 :]))
    found = refused(told, written(Told(steps)))
    assert f"message {place + 1} differs: quantity.value is" in found


@given(sequences, st.data())
def test_a_missing_message_is_noticed(steps: tuple[Step, ...], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(steps) - 1))
    found = refused(Told(steps[:place] + steps[place + 1 :]), written(Told(steps)))
    first = next(line for line in found.splitlines() if "differs" in line)
    assert int(first.split("message ")[1].split()[0]) > place


@given(sequences, st.data())
def test_a_swapped_order_is_noticed_at_the_first_of_the_two(steps: tuple[Step, ...], data: st.DataObject) -> None:
    other = message(99, "car-1", "nobody", "select", 1.0)
    place = data.draw(st.integers(0, len(steps) - 1))
    expected = written(Told((*steps[:place], other, *steps[place:])))
    told = Told((*steps[: place + 1], other, *steps[place + 1 :]))
    found = refused(told, expected)
    assert f"message {place + 1} differs: another message" in found
    assert f"expected {place + 1:4}  car-1 -> nobody select" in found


@given(sequences)
def test_a_refusal_that_is_not_expected_is_noticed_and_so_is_one_that_does_not_come(steps: tuple[Step, ...]) -> None:
    last = replace(
        steps[-1], refused=not steps[-1].refused, error={"errorCode": "X"} if not steps[-1].refused else None
    )
    found = refused(Told((*steps[:-1], last)), written(Told(steps)))
    assert "refused with X" in found if last.refused else "not refused" in found


def test_a_code_of_refusal_is_compared() -> None:
    told = Told((message(1, "a", "b", "cancel", 1, "BIZ_A"),))
    assert "error.errorCode is 'BIZ_A'" in refused(
        told, {"messages": [{"a -x b cancel": {"error.errorCode": "BIZ_B"}}]}
    )


def test_a_failure_that_a_callback_reports_has_to_be_in_its_line() -> None:
    step = replace(message(1, "a", "b", "on_confirm", 1), error={"errorCode": "BIZ_A", "errorMessage": "no"})
    assert "fails with BIZ_A" in refused(Told((step,)), {"messages": ["a -> b on_confirm"]})
    compare(Told((step,)), {"messages": [{"a -> b on_confirm": {"error.errorCode": "BIZ_A"}}]})


def test_the_message_shows_both_sides_and_the_two_before() -> None:
    steps = tuple(message(place, "car-1", "station", "select", place) for place in range(1, 6))
    expected = written(Told(steps))
    expected["messages"][3] = {"car-1 -> station init": {"quantity.value": 4, "context.ttl": "PT30S"}}
    assert refused(Told(steps), expected).splitlines() == [
        "the expected file: message 4 differs: another message",
        "              2  car-1 -> station select: {quantity.value: 2}",
        "              3  car-1 -> station select: {quantity.value: 3}",
        "  expected    4  car-1 -> station init: {quantity.value: 4, context.ttl: 'PT30S'}",
        "  got         4  car-1 -> station select: {quantity.value: 4, context.ttl: 'PT30S'}",
    ]


def test_a_millionth_is_no_difference_and_ten_are() -> None:
    near, far = message(1, "a", "b", "select", 1.0000009), message(1, "a", "b", "select", 1.00001)
    expected = {"messages": [{"a -> b select": {"quantity.value": 1}}]}
    compare(Told((near,)), expected)
    assert "quantity.value is 1.00001" in refused(Told((far,)), expected)


def test_truth_is_no_number_and_a_number_no_text() -> None:
    expected = {"messages": [{"a -> b select": {"quantity.value": True}}]}
    refused(Told((message(1, "a", "b", "select", 1),)), expected)
    expected = {"messages": [{"a -> b select": {"quantity.value": "1"}}]}
    refused(Told((message(1, "a", "b", "select", 1),)), expected)


def test_null_asks_that_nothing_stands_there() -> None:
    told = Told((message(1, "a", "b", "select", 1),))
    compare(told, {"messages": [{"a -> b select": {"quantity.unitCode": None}}]})
    assert "quantity.value is 1" in refused(told, {"messages": [{"a -> b select": {"quantity.value": None}}]})


def test_an_end_of_a_path_that_several_places_have_is_not_enough() -> None:
    step = message(1, "a", "b", "select", 1)
    step.content["consideration"] = {"quantity": {"value": 2}}
    found = refused(Told((step,)), {"messages": [{"a -> b select": {"quantity.value": 1}}]})
    assert (
        "quantity.value may be contract.commitments.0.resources.0.quantity.value or consideration.quantity.value"
        in found
    )
    compare(Told((step,)), {"messages": [{"a -> b select": {"consideration.quantity.value": 2}}]})


def test_repeated_messages_are_written_once_and_compared_as_often_as_they_come() -> None:
    round_ = [("car-1", "station", "status", 0.0), ("station", "car-1", "on_status", 1.0)]
    steps = tuple(message(place, *call) for place, call in enumerate(round_ * 6, start=1))
    expected = written(Told(steps))
    assert [entry["repeat"]["times"] for entry in expected["messages"]] == [6]
    compare(Told(steps), expected)
    assert "message 11 differs: the run ends here" in refused(Told(steps[:10]), expected)
    expected["messages"][0]["repeat"]["times"] = 5
    assert "message 11 differs: the run says more" in refused(Told(steps), expected)


def test_every_contract_and_balance_that_differs_is_named() -> None:
    told = Told((), CONTRACTS, BALANCES)
    expected = written(told)
    expected["contracts"]["lease (station, grid)"] = "COMPLETED"
    del expected["contracts"]["charging (station, car-1)"]
    expected["balances"]["car-1"] = "-1.76 EUR"
    assert refused(told, expected).splitlines()[1:] == [
        "  contract lease (station, grid): expected COMPLETED, got ACTIVE",
        "  contract charging (station, car-1): expected none, got COMPLETED",
        "  balance of car-1: expected -1.76 EUR, got -1.75 EUR",
    ]


def test_a_line_that_is_none_is_named_by_its_place() -> None:
    with pytest.raises(ValueError, match=r"messages\[1\].repeat.messages\[0\]: 'a to b' is not like"):
        list(lines_of(["a -> b select", {"repeat": {"times": 2, "messages": ["a to b"]}}]))


def test_a_missing_file_is_told_with_the_command_that_writes_a_draft(library: Library) -> None:
    with pytest.raises(
        AssertionError, match=r"there is no such file; `python -m tests.use_cases.library nowhere --write`"
    ):
        check(library.run_of(HAMLET), "nowhere")


def test_a_real_run_equals_its_own_draft_and_not_with_a_cent_more(library: Library) -> None:
    told = Told.of(library.run_of(HAMLET))
    expected = written(told)
    compare(told, expected)
    party, amount = next(iter(expected["balances"].items()))
    expected["balances"][party] = f"{float(amount.split()[0]) + 0.01:.2f} EUR"
    assert f"balance of {party}: expected" in refused(told, expected)


def test_contracts_and_balances_come_from_the_journal(library: Library) -> None:
    run = library.run_of(HAMLET)
    contracts = contracts_of(run)
    assert contracts["prosumer-of-market-clearing-agent (utility, treasury, market, house-01)"] == "COMPLETED"
    assert len(contracts) == 10
    assert set(contracts.values()) == {"COMPLETED"}
    balances = balances_of(run)
    assert sum(round(float(text.split()[0]) * 100) for text in balances.values()) == 0
    assert {text.split()[1] for text in balances.values()} == {"EUR"}


def test_other_fields_can_be_chosen_with_stars() -> None:
    step = message(1, "a", "b", "select", 1, "BIZ_A")
    entry = draft(Told((step,)), choice_of(["contract.commitments.*.resources.*.id", "context.ttl"]))["messages"]
    fields = {"error.errorCode": "BIZ_A", "contract.commitments.0.resources.0.id": "x", "context.ttl": "PT30S"}
    (found,) = entry[0].values()
    assert {value for value in found.values()} == set(fields.values())
    assert found["context.ttl"] == "PT30S"
