"""One contract, three readings: each is read, each is written, and all of them settle to the same balances."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.contracts.document import Reader
from sim.contracts.readings import form_of, read
from sim.contracts.readings.writing import write
from sim.errors import ContractError
from tests.contracts.agreements import PARTIES, amounts, balances, contract, decimals, faults, settled

BILLING: dict[str, Any] = decimals(
    {
        "contractId": "p2p-1",
        "participants": [
            {"era": "solar-1", "role": "SELLER"},
            {"era": "ev-1", "role": "BUYER"},
            {"era": "utility-1", "role": "GRID_OPERATOR"},
            {"era": "hub-1", "role": "AGGREGATOR"},
            {"era": "treasury", "role": "GOVERNMENT"},
        ],
        "intentIds": ["i-1", "i-2"],
        "status": "ACTIVE",
        "inputSignals": [
            {"signalId": "source", "signalType": "METER_READING", "source": {"era": "solar-1", "meterId": "100"}},
            {"signalId": "target", "signalType": "METER_READING", "source": {"era": "ev-1", "meterId": "200"}},
            {"signalId": "price", "signalType": "PRICE", "source": {"era": "market"}, "refreshInterval": "PT1H"},
        ],
        "billingLogic": {
            "mode": "FORMULA",
            "formula": {
                "expression": "energyFlow * clearingPrice + wheeling + platform + tax",
                "variables": {
                    "energyFlow": {"source": "source", "path": "$.energyFlow", "unit": "KWH"},
                    "clearingPrice": {"source": "price", "path": "$.price", "unit": "CURRENCY_PER_KWH"},
                    "wheeling": {"source": "source", "path": "$.energyFlow", "transform": "multiply", "constant": 0.02},
                    "platform": {"source": "source", "transform": "multiply", "constant": 0.01, "unit": "CURRENCY"},
                    "tax": {"source": "source", "transform": "multiply", "constant": 0.01},
                },
            },
            "revenueFlowRules": [
                {
                    "party": {"era": "solar-1", "role": "SELLER"},
                    "formula": "energyFlow * clearingPrice",
                    "description": "Sale",
                },
                {
                    "party": {"era": "utility-1", "role": "GRID_OPERATOR"},
                    "formula": "energyFlow * 0.02",
                    "description": "Wheeling",
                },
                {
                    "party": {"era": "hub-1", "role": "AGGREGATOR"},
                    "formula": "energyFlow * 0.01",
                    "description": "Platform",
                },
                {
                    "party": {"era": "treasury", "role": "GOVERNMENT"},
                    "formula": "energyFlow * 0.01",
                    "description": "Tax (10%)",
                },
            ],
            "netZeroConstraint": True,
        },
        "fulfillmentMode": "POST_FULFILLMENT",
    }
)
SIGNALS = decimals({"source": {"energyFlow": 10.0}, "target": {"energyFlow": 9.8}, "price": {"price": 6.0}})


def in_form(document: Any, form: str) -> Any:
    reader = Reader()
    agreement = read(reader, document)
    assert reader.found == []
    return write(document, agreement, form, "INR")


def test_billing_logic_lets_the_buyer_pay_what_its_rules_give_the_others():
    report = settled(BILLING, SIGNALS)
    assert {era: str(amount) for era, amount in report["balances"].items()} == {
        "solar-1": "60.00",
        "ev-1": "-60.40",
        "utility-1": "0.20",
        "hub-1": "0.10",
        "treasury": "0.10",
    }
    assert report["currency"] == "INR"
    assert [posting["term"] for posting in report["postings"]] == ["Sale", "Wheeling", "Platform", "Tax (10%)"]


def test_what_the_document_says_itself_and_its_formulas_do_not_is_noted():
    stated = [{"party": {"era": "utility-1", "role": "GRID_OPERATOR"}, "amount": 20.0, "currency": "INR"}]
    notes = settled({**BILLING, "revenueFlows": stated}, SIGNALS)["notes"]
    assert notes == [
        "no currency is stated; INR is taken, as in the published contracts of this form",
        "/billingLogic/revenueFlowRules/3: the label says 10%, the formula gives 0.10; "
        "10% of 60.00 would be 6.000, of the total of 60.40 6.040",
        "/revenueFlows/0: the document states 20.0 for utility-1; its formulas give 0.20",
    ]


def test_rules_that_do_not_add_up_to_the_contract_s_own_expression_are_refused():
    logic = {**BILLING["billingLogic"], "revenueFlowRules": BILLING["billingLogic"]["revenueFlowRules"][:3]}
    assert faults({**BILLING, "billingLogic": logic}, SIGNALS) == [
        "/billingLogic/formula/expression: the rules sum to 60.300, and the expression gives 60.400; "
        "money would be made or lost"
    ]


def test_several_buyers_pay_equal_parts_of_each_rule():
    more = {
        **BILLING,
        "participants": [*BILLING["participants"], {"era": "ev-2", "role": "BUYER"}, {"era": "ev-3", "role": "BUYER"}],
    }
    found = balances(more, SIGNALS)
    assert found["solar-1"] == "60.00"
    assert (found["ev-1"], found["ev-2"], found["ev-3"]) == ("-20.15", "-20.13", "-20.12")


def test_without_a_buyer_whoever_has_no_rule_pays():
    changed = decimals(
        {
            **BILLING,
            "participants": [{**p, "role": "PROSUMER"} if p["era"] == "ev-1" else p for p in BILLING["participants"]],
        }
    )
    assert balances(changed, SIGNALS)["ev-1"] == "-60.40"
    unclear = {**changed, "participants": [*changed["participants"], {"era": "ev-9", "role": "PROSUMER"}]}
    assert "does not say who pays" in faults(unclear, SIGNALS)[0]


SIGNED = contract(
    [],
    inputParameters={"SELLER": {"pricePerKWh": 6.0}, "GRID_OPERATOR": {"wheelingCharges": 0.02}},
    telemetrySources=[{"sourceId": "cdr-ev-001", "sourceType": "CHARGE_DATA_RECORD", "fields": ["energyKWh"]}],
) | {
    "revenueFlows": [
        {
            "party": {"role": "SELLER"},
            "formula": "energy * SELLER.pricePerKWh",
            "variables": {"energy": {"source": "telemetry", "path": '$["cdr-ev-001"].energyKWh', "unit": "KWH"}},
        },
        {"party": {"role": "GRID_OPERATOR"}, "formula": "energy * wheelingCharges"},
        {
            "party": {"role": "BUYER"},
            "formula": "-(energy * pricePerKWh + energy * wheel)",
            "variables": {"wheel": {"source": "inputParameters", "path": "$.GRID_OPERATOR.wheelingCharges"}},
        },
    ]
}
CDR = {"cdr-ev-001": {"energyKWh": 5.5}}


def test_signed_flows_pay_each_other_out():
    assert balances(SIGNED, CDR) == {"ev-1": "-33.11", "solar-1": "33.00", "utility-1": "0.11"}
    assert all(p["from"] == "ev-1" for p in settled(SIGNED, CDR)["postings"])


def test_signed_flows_that_do_not_sum_to_zero_are_refused_with_the_sum():
    broken = {**SIGNED, "revenueFlows": SIGNED["revenueFlows"][:2]}
    assert faults(broken, CDR) == [
        "/revenueFlows: the signed flows sum to 33.110, not to zero: flow-1 33.00, flow-2 0.110; "
        "let somebody pay what the others receive"
    ]


def test_several_who_pay_and_several_who_receive_are_matched_in_order():
    flows = [
        {"party": {"role": "SELLER"}, "formula": "10"},
        {"party": {"role": "GRID_OPERATOR"}, "formula": "5"},
        {"party": {"role": "BUYER"}, "formula": "-12"},
        {"party": {"role": "GOVERNMENT"}, "formula": "-3"},
    ]
    report = settled({**contract([]), "revenueFlows": flows}, {})
    assert [(p["from"], p["to"], str(p["amount"])) for p in report["postings"]] == [
        ("ev-1", "solar-1", "10.00"),
        ("ev-1", "utility-1", "2.00"),
        ("treasury", "utility-1", "3.00"),
    ]


@pytest.mark.parametrize("start", [BILLING, SIGNED], ids=["billing", "signed"])
@pytest.mark.parametrize("form", ["billing", "signed", "flows"])
def test_a_contract_means_the_same_in_every_reading(start, form):
    signals = SIGNALS if start is BILLING else CDR
    written = in_form(start, form)
    assert form_of(written) == form
    assert balances(written, signals) == balances(start, signals)
    for back in ("billing", "signed", "flows"):
        assert balances(in_form(written, back), signals) == balances(start, signals)


FORMULAS = st.sampled_from(["x * y", "min(x, y) * 3", "x / 3", "abs(x - y)", "2.5", "x if x > y else y"])
FLOWS = st.lists(
    st.tuples(st.sampled_from(list(PARTIES)), st.sampled_from(list(PARTIES)), FORMULAS), min_size=1, max_size=4
)
MONEY = st.decimals(-99, 99, places=2)


@given(FLOWS.filter(lambda flows: all(a != b for a, b, _ in flows)), MONEY, MONEY)
def test_any_flows_settle_to_nearly_the_same_in_signed_form_and_always_to_zero(flows, x, y):
    """A signed flow is rounded with the party's others, so balances may be a minor unit a flow apart."""
    document = contract(flows)
    signals = {"m": {"x": x, "y": y}}
    first, second = settled(document, signals), settled(in_form(document, "signed"), signals)
    assert sum(first["balances"].values()) == sum(second["balances"].values()) == 0
    for era, amount in first["balances"].items():
        assert abs(amount - second["balances"][era]) <= len(flows) * first["balances"][era].scaleb(0).__class__("0.01")


def test_what_a_reading_cannot_say_is_refused():
    document = contract(
        [
            {"from": "SELLER", "to": "BUYER", "name": "net", "formula": "100"},
            {"from": "SELLER", "to": "GOVERNMENT", "tax": {"rate": 0.18, "base": ["net"], "inclusive": False}},
        ]
    )
    with pytest.raises(ContractError, match="its tax needs a payer, and this reading does not say who pays"):
        in_form(document, "signed")


# roles of several parties


def fleet(flow: dict[str, Any], **more: Any) -> dict[str, Any]:
    roles = [{"role": "PROSUMER", "filledBy": f"ev-{k}", "roleInputs": {"kwh": k}} for k in (1, 2, 3)]
    roles.append({"role": "MARKET_CLEARING_AGENT", "filledBy": "market"})
    return {**contract([flow], **more), "roles": decimals(roles)}


def test_a_flow_of_a_role_holds_for_everybody_who_fills_it():
    document = fleet({"from": "PROSUMER", "to": "MARKET_CLEARING_AGENT", "formula": "PROSUMER.kwh * 2"})
    assert balances(document, {}) == {"ev-1": "-2.00", "ev-2": "-4.00", "ev-3": "-6.00", "market": "12.00"}


def test_an_entry_of_everybody_s_own_is_read_by_era():
    document = fleet(
        {
            "from": "MARKET_CLEARING_AGENT",
            "to": "PROSUMER",
            "formula": "clearedPower[PROSUMER.era] * 0.25 * clearingPrice",
        }
    )
    signals = {"market": {"clearedPower": {"ev-1": -8.0, "ev-2": 4.0, "ev-3": 4.0}, "clearingPrice": 0.5}}
    assert balances(document, signals) == {"ev-1": "-1.00", "ev-2": "0.50", "ev-3": "0.50"}


def test_a_total_is_split_by_largest_remainder_so_that_nothing_is_lost():
    document = fleet({"from": "MARKET_CLEARING_AGENT", "to": "PROSUMER", "formula": "100", "share": "1"})
    found = balances(document, {})
    assert sorted(found.values()) == ["-100.00", "33.33", "33.33", "33.34"]
    weighted = fleet({"from": "MARKET_CLEARING_AGENT", "to": "PROSUMER", "formula": "100", "share": "PROSUMER.kwh"})
    assert balances(weighted, {}) == {"ev-1": "16.67", "ev-2": "33.33", "ev-3": "50.00", "market": "-100.00"}


def test_shares_that_are_all_zero_are_refused():
    document = fleet({"from": "MARKET_CLEARING_AGENT", "to": "PROSUMER", "formula": "100", "share": "0 * PROSUMER.kwh"})
    assert "must not be negative, nor all zero" in faults(document, {})[0]


def test_an_era_names_one_of_several():
    document = fleet({"from": "ev-2", "to": "MARKET_CLEARING_AGENT", "formula": "5"})
    assert amounts(document, {}) == {"flow-1": "5.00"}
    assert balances(document, {}) == {"ev-2": "-5.00", "market": "5.00"}
