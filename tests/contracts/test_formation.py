"""A contract is refused when it is formed: with the place, the variable and the remedy, and before anybody is billed."""

from __future__ import annotations

from typing import Any

import pytest

from sim.contracts.settle import form
from tests.contracts.agreements import amounts, contract, decimals, faults, settled

SOURCES = [{"sourceId": "m", "fields": ["energyKWh", "powerKW"]}]


def one(formula: str, **more: Any) -> dict[str, Any]:
    return contract([("BUYER", "SELLER", formula)], telemetrySources=SOURCES, **more)


def variable(**stated: Any) -> dict[str, Any]:
    return one("x * 6", variables={"x": stated})


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        (
            one("energyKwh * 6"),
            "/revenueFlows/flows/0/formula: energyKwh is not a quantity of this contract or its signals "
            "(did you mean energyKWh?)",
        ),
        (one("powerKW * pricePerKWh", inputParameters={"pricePerKWh": 6}), "multiply the power by the hours it lasted"),
        (
            one(
                "energyKWh * a + energyKWh * b",
                inputParameters={"a": {"value": 1, "unit": "EUR/kWh"}, "b": {"value": 1, "unit": "USD/kWh"}},
            ),
            "joins EUR and USD; one contract has one currency",
        ),
        (
            variable(source="m", path="$.readings[*].energyKWh"),
            "/variables/x/path: $.readings[*].energyKWh may find several places (a path to one value, such as "
            "$.readings[0].energyKWh)",
        ),
        (variable(source="m", path="$..energyKWh"), "may find several places"),
        (variable(source="m", path="$.a["), "is no JSONPath"),
        (variable(source="n", path="$.energyKWh"), "/variables/x: n is no source of this contract"),
        (
            variable(source="m", path="$.energyKWh", unit="KWHH"),
            "/variables/x/unit: 'KWHH' is no unit; did you mean KWH?",
        ),
        (variable(source="m", path="$.energyKWh", transform="square", constant=2), "square is none of multiply"),
        (one("energyKWh / 0"), "energyKWh / 0 divides by zero"),
        (
            one("energyKWh / parts", inputParameters={"parts": 0}),
            "/revenueFlows/flows/0/formula: energyKWh / parts divides by zero whatever the signals say (guard it with if(…))",
        ),
        (one("-5"), "the amount is -5 whatever the signals say; an amount is never negative (exchange from and to)"),
        (
            one("fee - 10", inputParameters={"fee": 3}),
            "the amount is -7 whatever the signals say, with fee = 3; an amount is never negative",
        ),
        (
            one("1", currency="XAU"),
            "/currency: XAU has no minor unit, so nothing can be rounded to it; name a currency in use",
        ),
        (one("1", currency="EUX"), "/currency: EUX is no currency of ISO 4217"),
        (one("1", currency="eur"), "is not a currency code of three capital letters"),
        (one("x", variables={"x": {"formula": "y"}, "y": {"formula": "x + 1"}}), "is computed from itself"),
        (one("x", variables={"x": {"formula": "2 ** 3"}}), "/variables/x/formula"),
        (one("1", fulfillmentMode="SOMETIMES"), "/fulfillmentMode: SOMETIMES is none of POST_FULFILLMENT, INCREMENTAL"),
        (one("1", billingInterval="15 min"), "/billingInterval: '15 min' is no duration (such as PT15M, PT1H or P1D)"),
        (one("1", status="DONE"), "/status: DONE is none of PENDING, ACTIVE, COMPLETED, TERMINATED"),
        (
            one("1", states=[{"stateId": "s", "kind": "MEAN", "formula": "1"}]),
            "/states/0/kind: MEAN is none of SUM, MAXIMUM",
        ),
        (one("1", settlement={"basis": "SHARED", "source": "1"}), "/settlement/basis: SHARED is none of"),
    ],
)
def test_what_cannot_be_computed_is_refused_when_the_contract_is_formed(document, fault):
    assert any(fault in found for found in faults(document)), faults(document)


@pytest.mark.parametrize("formula", ["energyKWh * 6", "if(powerKW > 3, 1, 0) * energyKWh * 6", "m.energyKWh * 6", "0"])
def test_what_can_be_computed_is_formed_without_signals(formula):
    assert form(one(formula), "c.json").currency == "INR"


def test_all_faults_are_told_at_once():
    flows = [("BUYER", "SELLER", "nothing"), ("BUYER", "SELER", "powerKW"), ("BUYER", "SELLER", "1 / 0")]
    assert len(faults(contract(flows, currency="XAU", telemetrySources=SOURCES))) == 5


def test_nothing_is_posted_by_a_settlement_that_fails():
    document = contract([("BUYER", "SELLER", "energyKWh * 6"), ("BUYER", "GRID_OPERATOR", "6 / energyKWh * 2")])
    document["revenueFlows"]["flows"][1]["formula"] = "6 / parts"
    found = faults(document, {"m": {"energyKWh": 10, "parts": 0}})
    assert found == ["/revenueFlows/flows/1/formula: 6 / parts divides by zero, with inputSignals.m.parts = 0"]


def test_a_negative_result_of_a_signal_flows_back_for_that_is_what_two_way_terms_are_for():
    assert amounts(one("energyKWh * 6"), {"m": {"energyKWh": -2}}) == {"flow-1": "-12.00"}


@pytest.mark.parametrize(
    ("tax", "fault"),
    [
        ({"rate": 1.8, "base": ["net"], "inclusive": False}, "/tax/rate: the rate 1.8 is no share of 0..1"),
        (
            {"rate": 0.18, "base": ["nett"], "inclusive": False},
            "/tax/base: nett is no flow of this contract (did you mean net?)",
        ),
        ({"rate": 0.18, "base": ["net"]}, "/tax/inclusive: expected true or false, found nothing"),
        (
            {"rate": 0.18, "base": ["net"], "inclusive": False, "components": [{"name": "a", "rate": 0.08}]},
            "/tax/components: the rates sum to 0.08, and the tax has 0.18",
        ),
    ],
)
def test_a_tax_says_its_rate_its_base_and_whether_it_is_included(tax, fault):
    net = {"from": "BUYER", "to": "SELLER", "name": "net", "formula": "100"}
    document = contract([net, {"from": "BUYER", "to": "GOVERNMENT", "name": "tax", "tax": tax}])
    assert any(fault in found for found in faults(document)), faults(document)


def test_an_amount_is_computed_in_one_way():
    document = contract([{"from": "BUYER", "to": "SELLER", "formula": "1", "rules": [{"then": "2"}]}])
    assert faults(document)[0] == "/revenueFlows/flows/0: has formula and rules; an amount is computed in one way"


# rules

RULES = [
    {"when": "energyKWh > 100", "then": "energyKWh * 9"},
    {"when": "energyKWh > 10 and energyKWh <= 100", "then": "energyKWh * 7"},
    {"then": "energyKWh * 5"},
]


@pytest.mark.parametrize(
    ("energy", "amount"), [(5, "25.00"), (10, "50.00"), (11, "77.00"), (100, "700.00"), (101, "909.00")]
)
def test_the_first_rule_whose_condition_holds_counts(energy, amount):
    document = contract([{"from": "BUYER", "to": "SELLER", "rules": RULES}], telemetrySources=SOURCES)
    assert amounts(document, {"m": {"energyKWh": energy}}) == {"flow-1": amount}


@pytest.mark.parametrize(
    ("rules", "fault"),
    [
        (RULES[:2], "/rules/1/when: the last rule holds where no other does and has no condition"),
        ([RULES[2], RULES[0]], "/rules/0/when: only the last has no condition"),
        ([{"when": "energyKWh", "then": "1"}, {"then": "2"}], "is no condition such as energy > 10"),
        ([{"when": "energyKWh > powerKW", "then": "1"}, {"then": "2"}], "joins kWh and kW"),
        ([{"then": "energyKWh"}], "has to be in INR"),
    ],
)
def test_rules_are_checked_like_formulas(rules, fault):
    document = contract([{"from": "BUYER", "to": "SELLER", "rules": rules}], telemetrySources=SOURCES)
    assert any(fault in found for found in faults(document)), faults(document)


# scripts

BLOCKS = """
def compute(inputs, intervals):
    cost = decimal("0")
    for row in intervals:
        block = min(row["energyKWh"], inputs["blockKWh"])
        cost += block * decimal("5") + (row["energyKWh"] - block) * decimal("8")
    return {"blockCost": cost}
"""


def scripted(text: str = BLOCKS, **outputs: str) -> dict[str, Any]:
    script = {"language": "STARLARK", "text": text, "outputs": outputs or {"blockCost": "CURRENCY"}}
    more = {"inputParameters": {"blockKWh": 2}, "telemetrySources": SOURCES, "script": script}
    flows = [("BUYER", "SELLER", "blockCost"), ("BUYER", "GRID_OPERATOR", "sum(energyKWh) * 0.5 + 0 * blockKWh")]
    flows[1] = ("BUYER", "GRID_OPERATOR", "sum(energyKWh) * 0.5")
    return contract(flows, **more)


def test_a_script_computes_quantities_that_flows_read():
    document = scripted()
    document["variables"] = {"block": {"formula": "blockKWh"}}
    document["revenueFlows"]["flows"][0]["formula"] = "blockCost + 0 * block * 1"
    document["revenueFlows"]["flows"][0]["formula"] = "blockCost"
    document["revenueFlows"]["flows"].append({"from": "BUYER", "to": "SELLER", "formula": "blockKWh * 1"})
    readings = [{"energyKWh": 1.5}, {"energyKWh": 3}]
    assert amounts(document, decimals({"m": readings})) == {"flow-1": "25.50", "flow-2": "2.25", "flow-3": "2.00"}


def test_a_script_sees_nothing_but_what_the_contract_agreed_and_measured():
    found = faults(scripted(BLOCKS.replace("blockKWh", "secret")), {"m": [{"energyKWh": 1}]})
    assert len(found) == 1
    assert "secret" in found[0]


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        (
            {"language": "PYTHON", "text": BLOCKS, "outputs": {"x": "CURRENCY"}},
            "/script/language: the text 'PYTHON' is no language of scripts",
        ),
        ({"text": "import os", "outputs": {"x": "CURRENCY"}}, "/script/text"),
        ({"text": BLOCKS, "outputs": {"blockCost": "kW"}}, "it is in kW, and has to be in INR"),
        ({"text": BLOCKS}, "/script/outputs: expected an object, found nothing"),
    ],
)
def test_a_script_is_checked_when_the_contract_is_formed(script, fault):
    document = contract([("BUYER", "SELLER", "blockCost")], script=script)
    assert any(fault in found for found in faults(document)), faults(document)


def test_a_script_s_other_outputs_than_declared_are_refused_and_nothing_is_posted():
    found = faults(scripted(BLOCKS.replace('"blockCost"', '"cost"')), {"m": [{"energyKWh": 1}]})
    assert any("blockCost" in fault for fault in found)


# paths

NESTED = {"m": {"readings": [{"energy": {"kWh": 3}}, {"energy": {"kWh": 4}}]}}


@pytest.mark.parametrize(("path", "amount"), [("$.rows[0].energy.kWh", "18.00"), ("$['rows'][-1].energy.kWh", "24.00")])
def test_a_path_leads_to_one_value(path, amount):
    document = contract(
        [("BUYER", "SELLER", "x * 6")],
        telemetrySources=[{"sourceId": "m"}],
        variables={"x": {"source": "m", "path": path, "unit": "KWH"}},
    )
    assert amounts(document, {"m": {"rows": NESTED["m"]["readings"]}}) == {"flow-1": amount}


def test_a_path_to_nothing_is_refused_with_its_place():
    document = contract(
        [("BUYER", "SELLER", "x * 6")],
        telemetrySources=[{"sourceId": "m"}],
        variables={"x": {"source": "m", "path": "$.rows[9].e"}},
    )
    assert faults(document, {"m": {"rows": [1]}}) == ["signals:/m/rows/9: x is not there (signals:/m has an object)"]


def test_a_variable_without_a_path_means_the_only_number_of_its_source():
    document = contract(
        [("BUYER", "SELLER", "x * 6")], telemetrySources=[{"sourceId": "m"}], variables={"x": {"source": "m"}}
    )
    assert amounts(document, {"m": {"value": 2, "unit": "KWH"}}) == {"flow-1": "12.00"}
    assert "tells several numbers or none: a, b" in faults(document, {"m": {"a": 1, "b": 2}})[0]


def test_a_variable_comes_before_a_field_of_the_same_name():
    document = contract(
        [("BUYER", "SELLER", "e * 6")],
        telemetrySources=[{"sourceId": "m"}, {"sourceId": "n"}],
        variables={"e": {"source": "n", "path": "$.e"}},
    )
    assert amounts(document, {"m": {"e": 1}, "n": {"e": 2}}) == {"flow-1": "12.00"}


def test_the_report_names_formula_values_and_readings_of_every_line():
    report = settled(one("energyKWh * 6"), {"m": {"energyKWh": 2, "powerKW": 1, "version": 4}})
    assert report["evidence"]["lines"] == [
        {
            "term": "flow-1",
            "from": "ev-1",
            "to": "solar-1",
            "amount": decimals(12.0).quantize(decimals(0.01)),
            "exact": decimals(12.0),
            "formula": "energyKWh * 6",
            "values": {"energyKWh": 2},
        }
    ]
    assert report["evidence"]["readings"] == [{"source": "m", "reference": "/m@4", "quality": "ACTUAL"}]
