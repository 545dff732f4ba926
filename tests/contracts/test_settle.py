"""A contract and its signals in, revenue flows out: golden cases, spellings, and everything that is refused at once."""

from __future__ import annotations

import copy
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.contracts.contract import Role, Settlement, Template, Term, lines
from sim.contracts.formula import compile_formula
from sim.contracts.settle import read_json, settle, write_json
from sim.errors import ContractError
from sim.ledger import largest_remainder

GOLDEN: Any = read_json((Path(__file__).parents[1] / "golden" / "money.json").read_text(), "money.json")


def by_id(kind: str) -> Any:
    return pytest.mark.parametrize("case", GOLDEN[kind], ids=[case["id"] for case in GOLDEN[kind]])


def contract_of(case: Any) -> dict[str, Any]:
    parties = [(role, era or role) for role, _, era in (party.partition(":") for party in case["parties"])]
    role_inputs = case.get("role_inputs", {})
    return {
        "contractId": case["id"],
        "currency": case["currency"],
        "roles": [{"role": r, "filledBy": era, "roleInputs": role_inputs.get(r, {})} for r, era in parties],
        "inputParameters": case.get("inputs", {}),
        "inputSignals": [{"signalId": name} for name in case.get("signals", {})],
        "revenueFlows": {"flows": [{"from": a, "to": b, "formula": text} for a, b, text in case["flows"]]},
    }


@by_id("settle")
def test_golden_settlement(case):
    contract, expected = contract_of(case), case["expected"]
    report: Any = settle(contract, case.get("signals", {}), case["id"])
    signed = []
    for (_, payee, _), entry in zip(case["flows"], report["revenueFlows"], strict=True):
        forwards = entry["party"]["era"] == payee
        signed.append(str(entry["amount"] if forwards else entry["amount"].copy_negate()))
    assert signed == expected["flows"]
    assert str(report["totalAmount"]) == expected["total"]
    balances = {era: str(amount) for era, amount in report["balances"].items()}
    assert expected.get("balances", {}).items() <= balances.items()
    assert sum(report["balances"].values()) == 0
    assert report["netZeroVerified"] is True


@by_id("running")
def test_golden_running_amounts(case):
    formula = compile_formula(case["formula"], who="energy")
    template = Template(
        "t", (Role.BUYER, Role.SELLER), (Term("energy", Role.BUYER, Role.SELLER, formula),), signals=formula.names
    )
    contract = template.instantiate("c", case["currency"], {Role.BUYER: "b", Role.SELLER: "s"}, {})
    settlement, posted = Settlement(), []
    for interval, numbers in enumerate(case["intervals"] * case["repeat"]):
        settlement.accrue(contract, lines(contract, {name: Decimal(n) for name, n in numbers.items()}))
        posted.append(sum(p.amount if p.payer == "b" else -p.amount for p in settlement.post(interval, contract)))
    assert sum(posted) == Decimal(case["expected"]["total"])
    if "posted" in case["expected"]:
        assert [str(amount) for amount in posted] == case["expected"]["posted"]


@by_id("largest_remainder")
def test_golden_split(case):
    parts = largest_remainder(Decimal(case["total"]), [Decimal(w) for w in case["weights"]], Decimal(case["unit"]))
    assert [str(part) for part in parts] == case["expected"]


CONTRACT = """{
  "@context": "https://example.org/EnergyContract", "@type": "EnergyContract", "status": "ACTIVE",
  "contractId": "p2p-1", "currency": "USD", "billingInterval": "PT15M",
  "roles": [
    {"role": "BUYER", "filledBy": "ev-1", "filled": true},
    {"role": "SELLER", "filledBy": "solar-1",
     "roleInputs": {"pricePerKWh": {"type": "NUMBER", "required": true, "value": 0.15}, "currency": "USD"}},
    {"role": "GRID_OPERATOR", "filledBy": "utility-1", "roleInputs": {"wheelingCharges": 0.025}},
    {"role": "GOVERNMENT"}
  ],
  "inputParameters": {"gracePeriodMinutes": 10, "pricingModel": "FIXED"},
  "inputSignals": [{"signalId": "grid", "signalType": "PRICE"}],
  "telemetrySources": [{"sourceId": "cdr-ev-001", "sourceType": "CHARGE_DATA_RECORD"}],
  "revenueFlows": {"netZero": true, "flows": [
    {"from": "BUYER", "to": "SELLER", "name": "energy", "description": "Energy",
     "formula": "SELLER.pricePerKWh × telemetry[\\"cdr-ev-001\\"].energyKWh"},
    {"from": "ev-1", "to": "utility-1", "formula": "wheelingCharges * energyKWh"},
    {"from": "SELLER", "to": "BUYER", "formula": "0.001"}
  ]}
}"""
SIGNALS = '{"cdr-ev-001": {"energyKWh": 10.0, "unit": "KWH"}, "elsewhere": {"energyKWh": 99}}'


@pytest.fixture
def contract() -> Any:
    return read_json(CONTRACT, "p2p.json")


@pytest.fixture
def signals() -> Any:
    return read_json(SIGNALS, "signals.json")


def test_the_report_says_who_receives_what_and_from_which_signals(contract, signals):
    report = settle(contract, signals, "p2p.json")
    evidence: Any = report.pop("evidence")
    assert [line["formula"] for line in evidence["lines"]][1:] == ["wheelingCharges * energyKWh", "0.001"]
    assert [line["exact"] for line in evidence["lines"]] == [Decimal("1.500"), Decimal("0.2500"), Decimal("0.001")]
    assert report == {
        "contractId": "p2p-1",
        "revenueFlows": [
            {
                "party": {"era": "solar-1", "role": "SELLER"},
                "amount": Decimal("1.50"),
                "currency": "USD",
                "description": "Energy",
                "signalSnapshot": {
                    "SELLER.pricePerKWh": Decimal("0.15"),
                    'telemetry["cdr-ev-001"].energyKWh': Decimal("10.0"),
                },
            },
            {
                "party": {"era": "utility-1", "role": "GRID_OPERATOR"},
                "amount": Decimal("0.25"),
                "currency": "USD",
                "description": "flow-2",
                "signalSnapshot": {"wheelingCharges": Decimal("0.025"), "energyKWh": Decimal("10.0")},
            },
            {
                "party": {"era": "ev-1", "role": "BUYER"},
                "amount": Decimal("0.00"),
                "currency": "USD",
                "description": "flow-3",
                "signalSnapshot": {},
            },
        ],
        "postings": [
            {"from": "ev-1", "to": "solar-1", "amount": Decimal("1.50"), "currency": "USD", "term": "energy"},
            {"from": "ev-1", "to": "utility-1", "amount": Decimal("0.25"), "currency": "USD", "term": "flow-2"},
        ],
        "totalAmount": Decimal("1.75"),
        "currency": "USD",
        "balances": {"ev-1": Decimal("-1.75"), "solar-1": Decimal("1.50"), "utility-1": Decimal("0.25")},
        "netZeroVerified": True,
        "run": 0,
        "notes": [],
    }


def test_amounts_are_written_as_numbers_with_all_their_digits(contract, signals):
    text = write_json(settle(contract, signals, "p2p.json"))
    assert '"totalAmount": 1.75' in text
    assert '"amount": 1.50' in text
    assert json.loads(text)["balances"] == {"ev-1": -1.75, "solar-1": 1.5, "utility-1": 0.25}


def test_settling_leaves_its_arguments_as_they_were(contract, signals):
    before = copy.deepcopy((contract, signals))
    settle(contract, signals, "p2p.json")
    assert (contract, signals) == before


@pytest.mark.parametrize(
    "spelling",
    [
        "inputParameters.gracePeriodMinutes",
        'inputParameters["gracePeriodMinutes"]',
        "gracePeriodMinutes",
        "roles.SELLER.roleInputs.ten",
        'roles["SELLER"].roleInputs.ten',
        'roles["solar-1"].roleInputs.ten',
        "SELLER.roleInputs.ten",
        "SELLER.ten",
        "ten",
        "inputSignals.grid.level",
        'inputSignals["grid"].level',
        "grid.level",
        "level",
        'telemetry["cdr-ev-001"].energyKWh',
        'telemetrySources["cdr-ev-001"].energyKWh',
        "energyKWh",
        "grid.cleared.BUYER",
        'grid.cleared["ev-1"]',
        "cleared.BUYER",
    ],
)
def test_a_quantity_may_be_spelled_in_full_or_shorter(contract, signals, spelling):
    contract["roles"][1]["roleInputs"]["ten"] = 10
    signals["grid"] = {"level": 10, "cleared": {"BUYER": 10, "ev-1": 10}}
    contract["revenueFlows"]["flows"] = [{"from": "BUYER", "to": "SELLER", "formula": f"{spelling} * 2"}]
    assert settle(contract, signals, "p2p.json")["totalAmount"] == 20


def refusals(contract: Any, signals: Any) -> list[str]:
    with pytest.raises(ContractError) as refusal:
        settle(contract, signals, "p2p.json")
    assert refusal.value.source == "p2p.json"
    return [str(fault) for fault in refusal.value.faults]


def test_everything_wrong_with_a_contract_is_told_at_once(signals):
    contract = {
        "contractID": "p2p-1",
        "currency": "usd",
        "roles": [
            {"role": "BUYR", "filledBy": "ev-1"},
            {"role": "SELLER", "filledBy": "solar-1", "roleInputs": {"pricePerKWh": "0.15", "currency": "INR"}},
            {"role": "AGGREGATOR", "filledBy": "hub", "roleInputs": {"pricePerKWh": 1, "fee": {"type": "NUMBER"}}},
            {"role": "GRID_OPERATOR"},
        ],
        "telemetrySources": [{"sourceId": "cdr-ev-001"}, {"sourceID": "m"}, {"sourceId": "cdr-ev-001"}],
        "revenueFlows": {
            "netZero": "yes",
            "flows": [
                {"from": "BUYER", "to": "SELLER", "formula": "pricePerKWh * energyKwh"},
                {"from": "hub", "to": "SELLER", "formula": "SELLER.pricePerKWh * AGGREGATOR.fee"},
                {"from": "SELLER", "to": "SELLER", "formula": "unit", "name": "flow-1"},
                {"from": "GRID_OPERATOR", "to": "hubb", "formula": "lambda: 3", "desc": "x"},
                {"from": "hub"},
                "free",
            ],
        },
    }
    signals["cdr-ev-001"]["energyKWh"] = True
    assert refusals(contract, signals) == [
        "/contractID: unknown key (did you mean contractId?)",
        "/contractId: expected a text, found nothing",
        "/roles/0/role: BUYR is not a role (did you mean BUYER?)",
        "/revenueFlows/netZero: expected true or false, found the text 'yes'",
        "/revenueFlows/flows/5: expected an object, found the text 'free'",
        "/revenueFlows/flows/3/formula: column 7: ': 3' cannot be part of a formula",
        "/revenueFlows/flows/4/formula: expected a text, found nothing",
        "/revenueFlows/flows/2/name: flow-1 is also the name of /revenueFlows/flows/0",
        "/revenueFlows/flows/3/desc: unknown key (known: @type, currency, description, formula, from, name, rules, share, tax, to)",
        "/revenueFlows/flows/4/to: expected a text, found nothing",
        "/telemetrySources/1/sourceId: expected a text, found nothing",
        "/telemetrySources/1/sourceID: unknown key (did you mean sourceId?)",
        "/telemetrySources/2/sourceId: cdr-ev-001 is declared twice",
        "/roles/1/roleInputs/currency: is INR where /currency is usd; one contract has one currency",
        "/currency: 'usd' is not a currency code of three capital letters, such as INR",
        "/revenueFlows/flows/0/from: nobody fills the role BUYER",
        "/revenueFlows/flows/0/formula: pricePerKWh may mean several quantities (write one of roles.SELLER.roleInputs.pricePerKWh, roles.AGGREGATOR.roleInputs.pricePerKWh)",
        "/revenueFlows/flows/0/formula: energyKwh is not a quantity of this contract or its signals (did you mean energyKWh?; not declared by the contract: elsewhere)",
        "/roles/1/roleInputs/pricePerKWh: SELLER.pricePerKWh needs a number, found the text '0.15'",
        "/roles/2/roleInputs/fee: AGGREGATOR.fee needs a number, found nothing",
        "/revenueFlows/flows/2: from and to are both solar-1",
        '/revenueFlows/flows/2/formula: unit is not a quantity of this contract or its signals (known: currency, energyKWh, fee, inputSignals["cdr-ev-001"].energyKWh, pricePerKWh, roles.AGGREGATOR.roleInputs.fee, roles.AGGREGATOR.roleInputs.pricePerKWh, roles.SELLER.roleInputs.currency, roles.SELLER.roleInputs.pricePerKWh; not declared by the contract: elsewhere)',
        "/revenueFlows/flows/3/from: nobody fills the role GRID_OPERATOR",
        "/revenueFlows/flows/3/to: hubb is neither a role nor a party of this contract (did you mean hub?)",
    ]


@pytest.mark.parametrize("documents", [([], {}), (None, {}), ("x", {}), ({}, []), ({}, None)])
def test_what_is_no_object_is_refused(documents):
    assert any("expected an object" in fault for fault in refusals(*documents))


@pytest.mark.parametrize(
    ("number", "what"),
    [
        ("6", "needs a number, found the text '6'"),
        (True, "needs a number, found true"),
        (None, "needs a number, found null"),
        ([6], "needs a number, found an array"),
        (6.5, "needs a number, found the binary float 6.5; parse JSON with read_json"),
        (Decimal("Infinity"), "needs a number, found the number Infinity"),
        (10**400, "needs a number of at most 28 digits"),
        (Decimal("1e400"), "needs a number of at most 28 digits"),
    ],
)
def test_only_exact_numbers_are_computed_with(contract, signals, number, what):
    signals["cdr-ev-001"]["energyKWh"] = number
    place = "signals:/cdr-ev-001/energyKWh"
    assert refusals(contract, signals)[0].startswith(f'{place}: telemetry["cdr-ev-001"].energyKWh {what}')


def test_places_are_json_pointers_even_where_names_hold_slashes(contract, signals):
    contract["inputSignals"][0]["signalId"] = "grid/~1"
    contract["revenueFlows"]["flows"][0]["formula"] = 'inputSignals["grid/~1"].price'
    assert refusals(contract, {**signals, "grid/~1": {"price": "6"}}) == [
        "signals:/grid~1~01/price: inputSignals[\"grid/~1\"].price needs a number, found the text '6'"
    ]


def test_a_source_without_signals_is_named(contract):
    assert refusals(contract, {"cdr-ev-002": {"energyKWh": 10}})[0].endswith(
        "no signals came for: grid, cdr-ev-001; not declared by the contract: cdr-ev-002)"
    )


def test_a_formula_that_cannot_be_computed_is_named_by_its_place(contract, signals):
    signals["cdr-ev-001"]["parts"] = Decimal("10.0")
    contract["revenueFlows"]["flows"][1]["formula"] = "1 / (parts - 10)"
    assert refusals(contract, signals) == [
        '/revenueFlows/flows/1/formula: 1 / (parts - 10) divides by zero, with inputSignals["cdr-ev-001"].parts = 10.0'
    ]


def test_a_flow_between_two_roles_of_several_parties_each_must_name_one(contract, signals):
    contract["roles"].append({"role": "BUYER", "filledBy": "ev-2"})
    contract["roles"].append({"role": "SELLER", "filledBy": "solar-2", "roleInputs": {"pricePerKWh": 1}})
    assert refusals(contract, signals)[0] == (
        "/revenueFlows/flows/0: BUYER and SELLER are several parties each (name one: ev-1, ev-2, solar-1, solar-2)"
    )


def test_one_party_may_fill_several_roles_and_owes_itself_nothing(contract, signals):
    contract["roles"][1]["filledBy"] = "utility-1"
    contract["revenueFlows"]["flows"][2] = {"from": "SELLER", "to": "GRID_OPERATOR", "formula": "5"}
    report: Any = settle(contract, signals, "p2p.json")
    assert report["balances"] == {"ev-1": Decimal("-1.75"), "utility-1": Decimal("1.75")}
    assert [flow["description"] for flow in report["revenueFlows"]] == ["Energy", "flow-2"]


def test_a_contract_has_one_currency_wherever_it_is_stated(contract, signals):
    del contract["currency"]
    assert settle(contract, signals, "p2p.json")["currency"] == "USD"
    signals["cdr-ev-001"]["currency"] = "INR"
    assert refusals(contract, signals) == [
        "signals:/cdr-ev-001/currency: is INR where /roles/1/roleInputs/currency is USD; one contract has one currency"
    ]
    del contract["roles"][1]["roleInputs"]["currency"], signals["cdr-ev-001"]["currency"]
    assert refusals(contract, signals) == ['/currency: the contract states no currency (such as "INR")']


def test_a_contract_that_declares_no_sources_may_use_every_signal(contract, signals):
    del contract["inputSignals"], contract["telemetrySources"], signals["elsewhere"]
    assert settle(contract, signals, "p2p.json")["totalAmount"] == Decimal("1.75")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('{"a": NaN}', "NaN is not a number"),
        ('{"a": -Infinity}', "-Infinity is not a number"),
        ('{"a": 1, "b": 2, "a": 3}', "the key 'a' stands twice in one object"),
        ('{"a": 1', "not JSON: "),
        ('{"a": 1e99999999999999999999}', "not JSON: "),
        ("[" * 100000, "not JSON: "),
        (f'{{"a": {"9" * 5000}}}', "not JSON: "),
    ],
)
def test_json_that_would_lose_money_is_refused(text, what):
    with pytest.raises(ContractError) as refusal:
        read_json(text, "p2p.json")
    assert str(refusal.value).startswith(f"p2p.json: {what}")


def test_json_keeps_every_digit():
    assert read_json('{"price": 0.1000000000000000055511151231257827}', "x") == {
        "price": Decimal("0.1000000000000000055511151231257827")
    }


RATES = st.decimals(-99, 99, places=4)


@given(RATES, RATES, st.sampled_from(["USD", "JPY", "KWD"]), st.randoms())
def test_a_settlement_sums_to_zero_and_does_not_depend_on_the_order_of_anything(price, energy, currency, chance):
    flows = [
        {"from": "BUYER", "to": "SELLER", "name": "a", "formula": "x * y"},
        {"from": "SELLER", "to": "GOVERNMENT", "name": "b", "formula": "x / 3"},
        {"from": "BUYER", "to": "GOVERNMENT", "name": "c", "formula": "min(x, y) * 0.07"},
    ]
    roles = [{"role": role, "filledBy": role.lower()} for role in ("BUYER", "SELLER", "GOVERNMENT")]

    def report(flows: Any, roles: Any) -> Any:
        contract = {"contractId": "c", "currency": currency, "roles": roles, "revenueFlows": {"flows": flows}}
        return settle(contract, {"m": {"x": price, "y": energy}}, "c")

    first, second = report(flows, roles), report(chance.sample(flows, 3), chance.sample(roles, 3))
    assert sum(first["balances"].values()) == 0
    assert first["totalAmount"] == sum(entry["amount"] for entry in first["revenueFlows"])
    assert all(entry["amount"] >= 0 for entry in first["revenueFlows"])
    assert (first["balances"], first["totalAmount"]) == (second["balances"], second["totalAmount"])
    assert first["netZeroVerified"]
