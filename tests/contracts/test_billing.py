"""From observed intervals to exact amounts, and from these to lines and postings: who pays whom, how much, for which part."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from decimal import Decimal
from typing import Any

import pytest

from sim.contracts.billing import Line, postings, totals_of
from sim.contracts.binding import bind
from sim.contracts.computation import Computation
from sim.contracts.document import Reader
from sim.contracts.readings import read
from sim.contracts.settle import form
from sim.contracts.signals import Observed, observe
from sim.errors import ContractError
from sim.ledger import Posting
from tests.contracts.agreements import amounts, balances, contract, decimals, faults, settled

METER = [{"sourceId": "m", "refreshInterval": "PT15M"}]


def several(role: str, eras: tuple[str, ...], flows: list[Any], **more: Any) -> dict[str, Any]:
    """A contract in which one of the four usual roles is shared."""
    document = contract(flows, **more)
    others = [entry for entry in document["roles"] if entry["role"] != role]
    return {**document, "roles": [*({"role": role, "filledBy": era} for era in eras), *others]}


def flow(payer: str, payee: str, name: str, formula: str = "", **more: Any) -> dict[str, Any]:
    return {"from": payer, "to": payee, "name": name, **({"formula": formula} if formula else {}), **more}


def computation(document: Any, signals: Any, before: Mapping[str, Decimal] | None = None) -> Computation:
    """signals: None for not a single interval."""
    reader = Reader()
    agreement = read(reader, decimals(document))
    observed = Observed({}, {}, 0)
    if signals is not None:
        observed = observe(reader, decimals(signals), agreement.sources, agreement.window)
    bound = bind(reader, agreement, observed, "INR")
    assert reader.found == []
    return Computation(bound, observed, before or {})


# postings

BOUND = form(contract([("BUYER", "SELLER", "1")]), "c.json")
SIX = Line(0, "energy", "ev-1", "solar-1", Decimal("6.00"), None)


def test_what_is_owed_no_longer_flows_back():
    assert postings(BOUND, [], totals_of([SIX]), 7) == (
        Posting(7, "c-1", "energy", "solar-1", "ev-1", Decimal("6.00"), "INR"),
    )


def test_lines_of_one_term_between_the_same_parties_become_one_posting():
    more = Line(1, "energy", "ev-1", "solar-1", Decimal("-2.50"), None)
    assert totals_of([SIX, more]) == {("energy", "ev-1", "solar-1"): Decimal("3.50")}
    assert postings(BOUND, [SIX, more], {}) == (Posting(0, "c-1", "energy", "ev-1", "solar-1", Decimal("3.50"), "INR"),)


def test_nothing_is_posted_where_nothing_changed():
    assert postings(BOUND, [SIX], totals_of([SIX])) == ()


def test_the_largest_amounts_have_all_their_minor_units():
    document = contract([("BUYER", "SELLER", "amount")])
    assert amounts(document, {"m": {"amount": Decimal("9e27")}}) == {"flow-1": "9" + "0" * 27 + ".00"}


# totals split among several


def test_two_who_share_a_total_pay_it_once():
    document = several("BUYER", ("a", "b"), [flow("BUYER", "SELLER", "fee", "100.01", share="1")])
    assert balances(document, {}) == {"a": "-50.01", "b": "-50.00", "solar-1": "100.01"}


def test_one_who_shares_with_nobody_pays_it_all_and_the_exact_amount_is_on_record():
    document = contract([flow("BUYER", "SELLER", "fee", "100 / 3", share="1")])
    (line,) = settled(document, {})["evidence"]["lines"]
    assert (line["from"], str(line["amount"])) == ("ev-1", "33.33")
    assert line["exact"] == Decimal(100) / 3


def test_a_total_of_nothing_is_split_into_nothing():
    document = several("BUYER", ("a", "b", "c"), [flow("BUYER", "SELLER", "fee", "0 * 1", share="1")])
    assert balances(document, {}) == {}


# taxes

TAX = {"rate": 0.1, "base": ["energy"], "inclusive": False}
METERED = {"m": {"use": {"a": 100, "b": 50, "ev-1": 7}}}


def by_party(document: Any, term: str) -> dict[tuple[str, str], str]:
    lines = settled(document, METERED)["evidence"]["lines"]
    return {(line["from"], line["to"]): str(line["amount"]) for line in lines if line["term"] == term}


def test_each_of_several_buyers_is_taxed_on_what_it_bought_itself():
    document = several(
        "BUYER",
        ("a", "b"),
        [flow("BUYER", "SELLER", "energy", "use[BUYER.era]"), flow("BUYER", "GOVERNMENT", "tax", tax=TAX)],
    )
    assert by_party(document, "tax") == {("a", "treasury"): "10.00", ("b", "treasury"): "5.00"}


def test_each_of_several_sellers_passes_on_the_tax_on_what_it_sold():
    document = several(
        "SELLER",
        ("a", "b"),
        [flow("BUYER", "SELLER", "energy", "use[SELLER.era]"), flow("SELLER", "GOVERNMENT", "tax", tax=TAX)],
    )
    assert by_party(document, "tax") == {("a", "treasury"): "10.00", ("b", "treasury"): "5.00"}


def test_one_buyer_is_taxed_on_everything_and_the_exact_tax_is_on_record():
    document = several(
        "SELLER",
        ("a", "b"),
        [flow("BUYER", "SELLER", "energy", "use[SELLER.era] / 3"), flow("BUYER", "GOVERNMENT", "tax", tax=TAX)],
    )
    assert by_party(document, "tax") == {("ev-1", "treasury"): "5.00"}
    line = settled(document, METERED)["evidence"]["lines"][-1]
    assert (line["exact"], line["amount"]) == (Decimal("5.000"), Decimal("5.00"))


def test_a_tax_on_what_others_pay_each_other_counts_all_of_it():
    document = contract([flow("SELLER", "GRID_OPERATOR", "energy", "70"), flow("BUYER", "GOVERNMENT", "tax", tax=TAX)])
    assert balances(document, {}) == {
        "ev-1": "-7.00",
        "solar-1": "-70.00",
        "utility-1": "70.00",
        "treasury": "7.00",
    }


# a contract's own total


def billing(expression: str, *rules: tuple[str, str]) -> Any:
    roles = {"solar-1": "SELLER", "ev-1": "BUYER", "utility-1": "GRID_OPERATOR"}
    return {
        "contractId": "c-1",
        "status": "ACTIVE",
        "participants": [{"era": era, "role": role} for era, role in roles.items()],
        "inputSignals": [{"signalId": "m", "signalType": "METER_READING", "refreshInterval": "PT15M"}],
        "billingLogic": {
            "mode": "FORMULA",
            "formula": {"expression": expression, "variables": {"e": {"source": "m", "path": "$.e", "unit": "KWH"}}},
            "revenueFlowRules": [
                {"party": {"era": era, "role": roles[era]}, "formula": formula, "description": f"rule {number}"}
                for number, (era, formula) in enumerate(rules)
            ],
            "netZeroConstraint": True,
        },
    }


def test_a_total_is_that_of_what_is_received_where_the_rules_are_signed():
    document = billing("e * 8", ("solar-1", "e * 6"), ("utility-1", "e * 2"), ("ev-1", "-(e * 8)"))
    assert balances(document, {"m": {"e": 10}}) == {"solar-1": "60.00", "ev-1": "-80.00", "utility-1": "20.00"}
    document = billing("e * 7", ("solar-1", "e * 6"), ("utility-1", "e * 2"), ("ev-1", "-(e * 8)"))
    assert faults(document, {"m": {"e": 10}}) == [
        "/billingLogic/formula/expression: the rules sum to 80, and the expression gives 70; "
        "money would be made or lost"
    ]


# What division leaves over is no fault; it is told from one by a thousandth of a minor unit.
LEFT_OVER = pytest.mark.parametrize(
    ("too_much", "accepted"),
    [
        ("0", True),
        ("0.000009995", True),
        ("-0.000009995", True),
        ("0.00001", False),
        ("-0.00001", False),
        ("0.01", False),
        ("5", False),
    ],
)


@LEFT_OVER
def test_signed_flows_sum_to_zero_to_a_thousandth_of_a_minor_unit(too_much, accepted):
    stated = [("SELLER", f"0.5 + ({too_much})"), ("GRID_OPERATOR", "0.25"), ("BUYER", "-0.75")]
    flows = [{"party": {"role": role}, "formula": formula} for role, formula in stated]
    document = {**contract([]), "revenueFlows": flows}
    if accepted:
        assert balances(document, {}) == {"ev-1": "-0.75", "solar-1": "0.50", "utility-1": "0.25"}
    else:
        assert "the signed flows sum to " in faults(document, {})[0]


@LEFT_OVER
def test_rules_come_to_the_total_to_a_thousandth_of_a_minor_unit(too_much, accepted):
    for signed in ([], [("ev-1", "-0.75 * e")]):
        document = billing(f"0.75 * e + ({too_much})", ("solar-1", "0.5 * e"), ("utility-1", "0.25 * e"), *signed)
        if accepted:
            assert balances(document, {"m": {"e": 1}}) == {"ev-1": "-0.75", "solar-1": "0.50", "utility-1": "0.25"}
        else:
            assert "money would be made or lost" in faults(document, {"m": {"e": 1}})[0]


# intervals

READINGS = {"m": [{"e": e} for e in (1, 2, 4)]}


def test_amounts_to_date_are_those_of_the_first_intervals():
    document = contract(
        [
            ("BUYER", "SELLER", "e * 6"),
            ("BUYER", "SELLER", "sum(e) * 6 + 1"),
            ("BUYER", "GRID_OPERATOR", "(peak.after - peak.before) * 3"),
            ("BUYER", "GRID_OPERATOR", "used.after * 1"),
        ],
        telemetrySources=METER,
        states=[
            {"stateId": "used", "kind": "SUM", "formula": "e", "initial": 10},
            {"stateId": "peak", "kind": "MAXIMUM", "formula": "e", "initial": 0.5},
        ],
    )
    found = computation(document, READINGS, {"peak": Decimal("1.5")})
    assert [found.to_date(count).exact for count in (1, 2, 3, None)] == [
        (6, 7, 0, 11),
        (18, 19, Decimal("1.5"), 13),
        (42, 43, Decimal("7.5"), 17),
        (42, 43, Decimal("7.5"), 17),
    ]
    assert found.to_date(2).states == {"used": (10, 13), "peak": (Decimal("1.5"), 2)}


def test_shares_and_the_total_are_to_date_as_well():
    shared = contract([flow("BUYER", "SELLER", "fee", "sum(e) * 10", share="sum(e) + 1")], telemetrySources=METER)
    found = computation(shared, READINGS)
    assert [found.to_date(count).shares for count in (1, 2, 3)] == [(2,), (4,), (8,)]
    found = computation(billing("e * 8", ("solar-1", "e * 8")), READINGS)
    assert [found.to_date(count).total for count in (1, 2, 3)] == [8, 24, 56]


def test_nothing_accumulates_over_no_intervals():
    document = contract(
        [("BUYER", "SELLER", "sum(2) + 1"), ("BUYER", "GRID_OPERATOR", "used.after * 1")],
        telemetrySources=METER,
        states=[{"stateId": "used", "kind": "SUM", "formula": "5", "initial": 10}],
    )
    found = computation(document, None).to_date()
    assert (found.exact, found.states) == ((1, 10), {"used": (10, 10)})


def test_what_is_computed_from_readings_has_a_value_for_every_interval():
    document = contract(
        [("BUYER", "SELLER", "most * 3"), ("BUYER", "GRID_OPERATOR", "sum(most) * sum(most)")],
        telemetrySources=METER,
        variables={"most": {"formula": "min(doubled, 5)"}, "doubled": {"formula": "e * 2"}},
    )
    assert amounts(document, READINGS) == {"flow-1": "33.00", "flow-2": "121.00"}
    mixed = {**document, "revenueFlows": {"flows": [flow("BUYER", "SELLER", "x", "sum(e) * most + doubled")]}}
    with pytest.raises(ContractError) as refusal:
        computation(mixed, READINGS).to_date()
    assert str(refusal.value) == (
        "/revenueFlows/flows/0/formula: variables.most, variables.doubled differs by interval and stands outside sum(…) "
        "in sum(e) * most + doubled"
    )


def test_what_is_computed_from_agreed_values_is_the_same_in_every_interval():
    document = contract(
        [("BUYER", "SELLER", "e * most"), ("BUYER", "GRID_OPERATOR", "most")],
        telemetrySources=METER,
        inputParameters={"rate": 2},
        variables={"doubled": {"formula": "rate * 2"}, "most": {"formula": "max(doubled, 3)"}},
    )
    assert amounts(document, READINGS) == {"flow-1": "28.00", "flow-2": "4.00"}


def test_what_is_known_for_the_whole_cycle_does_not_stand_beside_a_reading():
    document = contract(
        [("BUYER", "SELLER", "e * used.after * whole")],
        telemetrySources=METER,
        variables={"whole": {"formula": "sum(e) * 2"}},
        states=[{"stateId": "used", "kind": "SUM", "formula": "e"}],
    )
    assert faults(document, READINGS) == [
        "/revenueFlows/flows/0/formula: used.after, whole is known for the cycle as a whole, and e * used.after * whole "
        "is computed by interval; put what differs by interval into sum(…)"
    ]


def test_what_sums_readings_has_one_value():
    document = contract(
        [("BUYER", "SELLER", "whole * 2")], telemetrySources=METER, variables={"whole": {"formula": "sum(e) * sum(e)"}}
    )
    assert amounts(document, READINGS) == {"flow-1": "98.00"}


def test_a_snapshot_of_one_interval_is_its_reading_and_of_several_their_range():
    document = contract([("BUYER", "SELLER", "e * 6")], telemetrySources=METER)
    found = computation(document, READINGS)
    assert found.to_date(1).snapshots == ({"e": 1},)
    assert found.to_date(2).snapshots == ({"e": {"intervals": 2, "sum": 3, "lowest": 1, "highest": 2}},)


SCRIPT = """
def compute(inputs, intervals):
    return {"cost": decimal("2") * len(intervals)}
"""


def test_a_script_sees_the_intervals_to_date():
    document = contract(
        [("BUYER", "SELLER", "cost"), ("BUYER", "GRID_OPERATOR", "e * 1")],
        telemetrySources=METER,
        script={"language": "STARLARK", "text": SCRIPT, "outputs": {"cost": "CURRENCY"}},
    )
    with closing(computation(document, READINGS)) as found:
        assert [found.to_date(count).exact for count in (1, 3)] == [(2, 1), (6, 7)]


# readings


@pytest.mark.parametrize(
    ("path", "rows", "what"),
    [
        ("$.rows.e", [1], "signals:/m/rows/e: x is not there (signals:/m has an object)"),
        ("$.rows[0]", 1, "signals:/m/rows/0: x is not there (signals:/m has an object)"),
        ("$.rows[0].e", [{"f": 1}], "signals:/m/rows/0/e: x is not there (signals:/m has an object)"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused_whatever_stands_there_instead(path, rows, what):
    document = contract(
        [("BUYER", "SELLER", "x * 6")],
        telemetrySources=[{"sourceId": "m"}],
        variables={"x": {"source": "m", "path": path}},
    )
    assert faults(document, {"m": {"rows": rows}}) == [what]


def test_readings_that_are_no_numbers_are_told_in_the_name_of_the_contract():
    document = contract([("BUYER", "SELLER", "m.e * 6")], telemetrySources=METER)
    with pytest.raises(ContractError) as refusal:
        computation(document, {"m": [{"e": 1}, {"e": "2"}, {"e": True}]})
    assert refusal.value.source == "c-1"
    assert [fault.where for fault in refusal.value.faults] == ["signals:/m/1/e", "signals:/m/2/e"]
