"""Ways to get wrong money, or none, out of contracts and signals that look right; each is refused or counted as it is meant."""

from __future__ import annotations

import json
import pickle
from decimal import Decimal, localcontext
from typing import Any

import pytest

from sim.contracts.document import Reader, read_json
from sim.contracts.formula import compile_formula
from sim.contracts.readings import read
from sim.contracts.readings.writing import write
from sim.contracts.report import differences
from sim.contracts.units import parse_unit, unit_of_name
from sim.errors import ContractError
from tests.contracts.agreements import amounts, balances, contract, decimals, faults, settled

METER = [{"sourceId": "m", "refreshInterval": "PT15M"}]


def energy(formula: str = "energyKWh * pricePerKWh", **more: Any) -> dict[str, Any]:
    return contract(
        [("BUYER", "SELLER", formula)], inputParameters={"pricePerKWh": 10}, **{"telemetrySources": METER, **more}
    )


def at(time: str, kwh: float, **more: Any) -> dict[str, Any]:
    return {"start": f"2026-05-17T{time}", "energyKWh": kwh, **more}


# time


@pytest.mark.parametrize("same", ["17:30:00+05:30", "12:00:00+00:00", "12:00:00.000Z"])
def test_one_interval_is_one_interval_in_every_time_zone(same):
    assert amounts(energy(), {"m": [at("12:00:00Z", 1), at(same, 1.5, version=2)]}) == {"flow-1": "15.00"}


def test_sources_in_different_time_zones_are_aligned():
    document = contract(
        [("BUYER", "SELLER", "energyKWh * price")], telemetrySources=METER, inputSignals=[{"signalId": "p"}]
    )
    prices = [{"start": "2026-05-17T14:00:00+02:00", "price": 2}]
    assert amounts(document, {"m": [at("12:00:00Z", 3)], "p": prices}) == {"flow-1": "6.00"}


WINDOW = {"start": "2026-05-17T12:00:00Z", "end": "2026-05-17T13:00:00Z"}


def test_a_window_that_is_none_is_refused_at_once():
    assert faults(energy(timeWindow={**WINDOW, "start": "tomorrow"}))[0].startswith(
        "/timeWindow/start: 'tomorrow' is no"
    )
    assert faults(energy(timeWindow={**WINDOW, "end": WINDOW["start"]})) == ["/timeWindow/end: is not after the start"]


def test_a_fallback_holds_for_every_interval_that_did_not_come():
    source = {**METER[0], "fallback": {"energyKWh": 1}}
    document = energy(timeWindow=WINDOW, telemetrySources=[source])
    assert amounts(document, {}) == {"flow-1": "40.00"}
    assert amounts(document, {"m": [at("12:00:00Z", 2)]}) == {"flow-1": "50.00"}


def test_readings_beside_the_window_s_intervals_are_refused():
    assert (
        "is no interval of the contract's window" in faults(energy(timeWindow=WINDOW), {"m": [at("12:20:00Z", 1)]})[0]
    )
    found = faults(energy(timeWindow=WINDOW), {"m": [{"energyKWh": 1}]})
    assert found == [
        "signals: 1 readings came for the 4 intervals of the contract's window (the settlement waits; "
        "state the start of each to say which are missing)"
    ]


def test_billing_intervals_follow_the_clock():
    times = ["10:00", "10:15", "11:00", "11:15", "11:30", "11:45"]
    document = energy(fulfillmentMode="INCREMENTAL", billingInterval="PT1H")
    cycles = settled(document, {"m": [at(f"{time}:00Z", 1) for time in times]})["settlementCycles"]
    assert [(c["start"][11:16], c["intervals"]) for c in cycles] == [("10:00", 2), ("11:00", 4)]


@pytest.mark.parametrize(("billing", "what"), [("PT40M", "is no multiple of 900 s"), ("P1D", "")])
def test_billing_intervals_without_times_have_to_be_whole_numbers_of_readings(billing, what):
    document = energy(fulfillmentMode="INCREMENTAL", billingInterval=billing)
    found = faults(document, {"m": [{"energyKWh": 1}, {"energyKWh": 1}]})
    assert found == [f"/billingInterval: {what}; state the start of each reading"] if what else found == []


def test_no_readings_are_none():
    assert faults(energy(), {"m": []})[0] == (
        "signals:/m: has no readings; the settlement waits for them, and nothing is posted"
    )


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ({"refreshInterval": "-PT15M"}, "'-PT15M' is no duration"),
        ({"onMissing": "ESTIMTE"}, "ESTIMTE is none of WAIT, ESTIMATE"),
        ({"fallbak": {}}, "/telemetrySources/0/fallbak: unknown key (did you mean fallback?)"),
    ],
)
def test_a_source_is_read_to_the_letter(source, fault):
    assert any(fault in found for found in faults(energy(telemetrySources=[{**METER[0], **source}])))


# levels


def test_what_is_the_same_all_the_time_stands_beside_what_differs():
    document = energy("energyKWh * half", variables={"half": {"formula": "pricePerKWh / 2"}})
    assert amounts(document, {"m": [{"energyKWh": 1}, {"energyKWh": 2}]}) == {"flow-1": "15.00"}


def test_what_is_known_for_the_whole_cycle_does_not():
    states = [{"stateId": "used", "kind": "SUM", "formula": "energyKWh", "unit": "kWh"}]
    document = energy("energyKWh * used.before / used.after * 1", states=states)
    found = faults(document, {"m": [{"energyKWh": 1}, {"energyKWh": 2}]})
    assert "used.before, used.after is known for the cycle as a whole" in found[0]
    assert "put what differs by interval into sum(…)" in found[0]


# units


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        (
            energy(
                "(used.after - used.before) * pricePerKWh",
                states=[{"stateId": "used", "kind": "SUM", "formula": "powerKW", "unit": "kWh"}],
            ),
            "it is in kW, and has to be in kWh",
        ),
        (
            energy(
                "1",
                states=[{"stateId": "used", "kind": "SUM", "formula": "powerKW + energyKWh"}],
                variables={"x": {"formula": "used.after"}},
            ),
            "joins kW and kWh",
        ),
        (
            energy("x * pricePerKWh", variables={"x": {"source": "m", "path": "$.powerKW", "unit": "KWH"}}),
            "x is said to be in kWh, and powerKW of m is in kW",
        ),
        (
            energy("e * pricePerKWh", telemetrySources=[{"sourceId": "m", "fields": [{"name": "e", "unit": "Wh"}]}]),
            "convert one of them, by a factor of 0.001",
        ),
        (
            energy(
                "e * 1 * pricePerKWh", telemetrySources=[{"sourceId": "m", "fields": [{"name": "e", "unit": "Wh"}]}]
            ),
            "convert one of them, by a factor of 0.001",
        ),
        (energy("powerKW * pricePerKWh * minutes * 7"), "convert one of them"),
        (energy("energyMWh * pricePerKWh"), "is in 1000 INR"),
        (
            contract([("BUYER", "SELLER", "x * 2")], inputParameters={"x": {"value": 1, "unit": "INNR/kWh"}}),
            "'INNR' is no unit",
        ),
    ],
)
def test_units_clash_wherever_they_meet(document, fault):
    signals = {"m": {"energyKWh": 1, "powerKW": 1, "e": 1, "minutes": 1, "energyMWh": 1}}
    found = [*faults(document), *faults(document, signals)]
    assert any(fault in text for text in found), found


def test_a_surcharge_on_a_conversion_is_no_clash():
    document = energy(
        "e / 1000 * 1.18 * pricePerKWh", telemetrySources=[{"sourceId": "m", "fields": [{"name": "e", "unit": "Wh"}]}]
    )
    assert amounts(document, {"m": {"e": 1000}}) == {"flow-1": "11.80"}
    assert amounts(
        contract([("BUYER", "SELLER", "energyMWh * pricePerMWh")], inputParameters={"pricePerMWh": 80}),
        {"m": {"energyMWh": 2}},
    ) == {"flow-1": "160.00"}


def test_a_reading_s_own_unit_may_not_be_another():
    assert faults(energy(), {"m": {"energyKWh": 4000, "unit": "Wh"}}) == [
        "signals:/m/unit: is 0.001 kWh, and energyKWh is agreed in kWh"
    ]
    assert faults(energy(), {"m": {"energyKWh": 4, "unit": "KWH"}}) == []


# parties


def shared(flow: dict[str, Any], *more: dict[str, Any]) -> dict[str, Any]:
    roles = [{"role": "BUYER", "filledBy": f"b{k}", "roleInputs": {"kwh": 100 * k}} for k in (1, 2)]
    roles += [{"role": role, "filledBy": role.lower()} for role in ("SELLER", "GRID_OPERATOR", "GOVERNMENT")]
    return {**contract([flow, *more]), "roles": decimals(roles)}


def test_a_total_that_is_split_reads_nothing_of_anybody_s_own():
    found = faults(shared({"from": "BUYER", "to": "SELLER", "formula": "BUYER.kwh", "share": "1"}))
    assert found == [
        "/revenueFlows/flows/0: flow-1 is one total that is split, and its formula reads what is each party's own "
        "(leave out the share, or read what all have in common)"
    ]


WHEELING = {"from": "BUYER", "to": "GRID_OPERATOR", "name": "w", "formula": "BUYER.kwh * 1"}
TAX = {"rate": 0.1, "base": ["w"], "inclusive": False}


def test_each_of_several_buyers_is_taxed_on_its_own_lines():
    document = shared(WHEELING, {"from": "BUYER", "to": "GRID_OPERATOR", "name": "t", "tax": TAX})
    assert balances(document, {}) == {"b1": "-110.00", "b2": "-220.00", "grid_operator": "330.00"}


@pytest.mark.parametrize(
    ("tax", "fault"),
    [
        (
            {"from": "BUYER", "to": "GOVERNMENT", "tax": TAX, "share": "1"},
            "a tax is paid to one party and is not split",
        ),
        (
            {"from": "BUYER", "to": "GOVERNMENT", "tax": {**TAX, "inclusive": True}},
            "is paid by who received the amount, and BUYER did not",
        ),
        (
            {
                "from": "BUYER",
                "to": "GOVERNMENT",
                "tax": {**TAX, "components": [{"name": "a", "rate": -0.1}, {"name": "b", "rate": 0.2}]},
            },
            "a rate is negative",
        ),
    ],
)
def test_a_tax_that_nobody_can_mean_is_refused(tax, fault):
    assert any(fault in found for found in faults(shared(WHEELING, tax)))


def test_a_consumer_is_a_buyer_wherever_it_is_named():
    document = contract([("CONSUMER", "SELLER", "5")])
    document["roles"][0]["role"] = "CONSUMER"
    assert balances(document, {}) == {"ev-1": "-5.00", "solar-1": "5.00"}


# reports


def report() -> Any:
    text = settled(energy(), {"m": {"energyKWh": 2}})
    return json.loads(json.dumps(text, default=float), parse_float=Decimal)


def leaves_of(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    inner = [leaf for key, item in items for leaf in leaves_of(item, (*way, key))]
    return inner or [way]


@pytest.mark.parametrize("way", leaves_of(report()), ids=lambda way: "/".join(map(str, way)))
def test_no_field_of_somebody_s_bill_may_be_changed(way):
    ours, theirs = report(), report()
    place = theirs
    for key in way[:-1]:
        place = place[key]
    place[way[-1]] = "something else"
    assert len(list(differences(theirs, ours))) == 1
    del place[way[-1]]
    assert list(differences(theirs, ours)) != []


@pytest.mark.parametrize("stated", [{}, {"hello": 1}, {"evidence": []}, [], None, 5, "text"])
def test_what_is_no_bill_is_none(stated):
    assert list(differences(stated, report())) != []


@pytest.mark.parametrize(
    "signals", [{"m": {"energyKWh": Decimal("2.0")}}, {"m": {"quality": "ACTUAL", "energyKWh": 2, "version": 1}}]
)
def test_the_same_signals_written_otherwise_are_the_same(signals):
    hashes = [settled(energy(), told)["evidence"]["signalsHash"] for told in ({"m": {"energyKWh": 2}}, signals)]
    assert hashes[0] == hashes[1]


def test_a_state_is_part_of_what_was_told():
    document = energy("used.before * pricePerKWh", states=[{"stateId": "used", "kind": "SUM", "formula": "energyKWh"}])
    hashes = {settled(document, {"used": n, "m": {"energyKWh": 2}})["evidence"]["signalsHash"] for n in (1, 2)}
    assert len(hashes) == 2


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"contractId": "other"}, "previous:/contractId: expected c-1, found the text 'other'"),
        ({"currency": "USD"}, "previous:/currency: expected INR, found the text 'USD'"),
        ({"run": True}, "previous:/run: expected the number of a run, found true"),
        ({"run": -1}, "previous:/run: expected the number of a run, found the number -1"),
        ({"evidence": {}}, "previous:/evidence/lines: expected an array, found nothing"),
        (
            {"evidence": {"lines": [{"term": "t", "from": "a", "to": "b", "amount": Decimal("1.234")}]}},
            "1.234 is not in whole minor units of INR",
        ),
    ],
)
def test_an_earlier_report_has_to_be_one_of_this_contract(change, fault):
    previous = {**settled(energy(), {"m": {"energyKWh": 2}}), **change}
    with pytest.raises(ContractError) as refusal:
        settled(energy(), {"m": {"energyKWh": 2}}, previous)
    assert any(fault in str(f) for f in refusal.value.faults)


def test_a_role_that_was_filled_anew_is_settled_with_both_parties():
    first = settled(energy(), {"m": {"energyKWh": 2}})
    changed = energy()
    changed["roles"][0]["filledBy"] = "ev-2"
    found = settled(changed, {"m": {"energyKWh": 2}}, first)["balances"]
    assert {era: str(amount) for era, amount in found.items() if amount} == {"ev-2": "-20.00", "ev-1": "20.00"}
    assert sum(found.values()) == 0


# what cannot be written down again


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('{"a": 1e999999999}', "1e999999999 is out of range"),
        ('{"a": 1e-999999999}', "is out of range"),
        ('{"a": "\\ud800"}', "half of a character"),
        ('{"a": "\\udc00"}', "half of a character"),
        ("[" * 101 + "]" * 101, "nested deeper than 100"),
    ],
)
def test_json_that_nobody_could_hash_is_refused(text, what):
    with pytest.raises(ContractError, match=what):
        read_json(text, "x")


def test_whole_characters_and_brackets_in_texts_are_fine():
    assert read_json('{"a": "\\ud83d\\ude00 ' + "[" * 200 + '"}', "x") == {"a": "😀 " + "[" * 200}


@pytest.mark.parametrize(
    "document",
    [
        contract([{"from": "BUYER", "to": "SELLER", "tax": None}]),
        contract([{"from": "BUYER", "to": "SELLER", "rules": []}]),
        {**contract([]), "revenueFlows": [{"party": "", "formula": "1"}]},
        {**contract([]), "revenueFlows": [{"party": {"era": ""}, "formula": "1"}]},
        energy("x", variables={"x": {"source": "m", "path": "$['']"}}),
        energy("x0", variables={f"x{k}": {"formula": f"x{k + 1} + 1"} for k in range(1500)}),
        contract([{"from": "BUYER", "to": "SELLER", "rules": [{"then": "5) + (6"}]}]),
        energy("settledKWh * 1", settlement={"basis": "DELIVERED", "source": "energyKWh, 1"}),
        energy("1", states=[{"stateId": "u", "kind": "SUM", "formula": "1"}] * 2),
    ],
)
def test_odd_documents_are_refused_and_nothing_breaks(document):
    assert faults(document, {"m": {"energyKWh": 1}}) != []


@pytest.mark.parametrize("odd", [2**53 + 1, 10**30, "x", None, [1], {"a": {"b": 1}}, True, Decimal("1e30")])
def test_odd_fields_that_nobody_reads_do_no_harm(odd):
    assert amounts(energy(), {"m": {"energyKWh": 1, "serial": odd}}) == {"flow-1": "10.00"}


# formulas


@pytest.mark.parametrize(
    ("text", "result"),
    [('m["₹"].x * 1234', "1234"), ('m["é"].x * 12.5 + 5', "17.5"), ('if(m["if ("].x > 0, 2.25, 3)', "2.25")],
)
def test_numbers_keep_their_digits_beside_any_character(text, result):
    formula = compile_formula(text, who="energy")
    assert formula.evaluate({formula.names[0]: Decimal(1)}) == Decimal(result)


def test_a_refusal_counts_columns_as_they_were_written():
    with pytest.raises(ContractError, match=r"column 14: 'root\(2\)'"):
        compile_formula("if(x > 0, 1, root(2))", who="energy")
    with pytest.raises(ContractError, match="If is no word of formulas"):
        compile_formula("If(x > 0, 1, 2)", who="energy")


def test_a_renamed_formula_stays_so_when_it_is_copied():
    renamed = compile_formula("a * 2", who="energy").renamed({"a": "x"})
    assert pickle.loads(pickle.dumps(renamed)).names == ("x",)


def test_a_guarded_division_is_no_fault():
    document = contract([("BUYER", "SELLER", "if(x == 0, 0, energyKWh / x * 1)")], inputParameters={"x": 0})
    assert amounts(document, {"m": {"energyKWh": 1}}) == {"flow-1": "0.00"}


def test_money_does_not_depend_on_the_decimal_context_of_its_caller():
    flows = [{"party": {"role": "SELLER"}, "formula": "m.a"}, {"party": {"role": "BUYER"}, "formula": "-m.a"}]
    document, signals = {**contract([]), "revenueFlows": flows}, {"m": {"a": Decimal("2000.57")}}
    with localcontext() as context:
        context.prec = 3
        assert balances(document, signals) == {"ev-1": "-2000.57", "solar-1": "2000.57"}


# units that are said in full


def test_a_unit_in_the_contract_s_own_currency_is_its_own():
    inputs = {"pricePerKWh": 6}
    variables = {"x": {"source": "p", "path": "$.pricePerKWh", "unit": "INR/kWh"}}
    document = contract(
        [("BUYER", "SELLER", "energyKWh * x")], inputSignals=[{"signalId": "p"}, {"signalId": "m"}], variables=variables
    )
    assert amounts(document, {"p": {**inputs, "unit": "INR/kWh"}, "m": {"energyKWh": 2}}) == {"flow-1": "12.00"}


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("pricePerMW", "CURRENCY/MW"),
        ("price_per_wh", "CURRENCY/Wh"),
        ("pricePerMWh", "CURRENCY/MWh"),
        ("energyWh", "Wh"),
    ],
)
def test_a_price_is_no_quantity(name, unit):
    assert unit_of_name(name) == parse_unit(unit)


@pytest.mark.parametrize("word", ["MVA", "VAR", "FOO"])
def test_three_letters_are_not_always_money(word):
    with pytest.raises(ContractError, match="is no unit"):
        parse_unit(word)


# documents


def test_a_tax_among_signed_rules_is_refused_when_the_contract_is_formed():
    flows = [{"party": {"era": era, "role": role}, "formula": "0"} for role, era in (("BUYER", "b"), ("SELLER", "s"))]
    flows.append(
        {"party": {"era": "s", "role": "SELLER"}, "tax": {"rate": 0.1, "base": ["flow-1"], "inclusive": False}}
    )
    document = {
        "contractId": "c",
        "currency": "INR",
        "participants": [{"era": "b", "role": "BUYER"}, {"era": "s", "role": "SELLER"}],
        "billingLogic": {"revenueFlowRules": flows},
    }
    assert any("a tax needs a payer, and these flows are signed" in fault for fault in faults(document))


def test_a_condition_cannot_smuggle_an_amount():
    rules = [{"when": "energyKWh > 100) else (5) if (energyKWh > 2", "then": "1"}, {"then": "2"}]
    document = contract([{"from": "BUYER", "to": "SELLER", "rules": rules}])
    assert faults(document)[0].startswith("/revenueFlows/flows/0/rules/0/when: ")


def test_the_hashes_that_are_shown_are_those_that_are_checked():
    document = contract([], participants=[{"era": "b", "role": "BUYER"}, {"era": "s", "role": "SELLER"}])
    logic = {"revenueFlowRules": [{"party": {"era": "s", "role": "SELLER"}, "formula": "5"}]}
    document = {"contractId": "c", "participants": document["participants"], "billingLogic": logic}
    evidence = settled(document, {})["evidence"]
    own = {
        key: value
        for key, value in evidence.items()
        if key.endswith("Hash") and key not in ("contractHash", "signalsHash")
    }
    assert faults({**document, "ricardianContract": own}) == []


def test_a_payer_of_several_is_not_whoever_is_buyer():
    document = shared({"from": "b1", "to": "SELLER", "formula": "20"})
    written = write(document, read(Reader(), document), "billing")
    assert balances(written, {}) == balances(document, {}) == {"b1": "-20.00", "seller": "20.00"}


def test_stated_amounts_of_one_party_are_added_up_before_they_are_compared():
    rules = [{"party": {"era": "s", "role": "SELLER"}, "formula": text, "description": text} for text in ("20", "10")]
    stated = [{"party": {"era": "s", "role": "SELLER"}, "amount": n} for n in (20, 10)]
    document = {
        "contractId": "c",
        "currency": "INR",
        "participants": [{"era": "b", "role": "BUYER"}, {"era": "s", "role": "SELLER"}],
        "billingLogic": {"revenueFlowRules": rules},
        "revenueFlows": stated,
    }
    assert settled(document, {})["notes"] == []


def test_a_label_is_about_the_whole_of_a_flow():
    fee = {"from": "SELLER", "to": "BUYER", "name": "fee", "description": "fee 1%", "formula": "1", "share": "1"}
    document = shared({"from": "GOVERNMENT", "to": "SELLER", "formula": "100"}, fee)
    assert settled(document, {})["notes"] == []


def test_an_earlier_run_of_other_terms_is_noted():
    first = settled(energy(), {"m": {"energyKWh": 2}})
    dearer = energy()
    dearer["inputParameters"]["pricePerKWh"] = Decimal(11)
    second = settled(dearer, {"m": {"energyKWh": 2}}, first)
    assert second["notes"][0].startswith("the earlier run was of other terms, sha256:")
    assert [str(p["amount"]) for p in second["postings"]] == ["2.00"]


def test_sources_of_different_pace_are_not_put_side_by_side():
    sources = [{"sourceId": "m", "refreshInterval": "PT15M"}, {"sourceId": "n", "refreshInterval": "PT1H"}]
    document = contract([("BUYER", "SELLER", "m.energyKWh * 1")], telemetrySources=sources, timeWindow=WINDOW)
    found = faults(document, {"m": [at("12:00:00Z", 1)], "n": [at("12:00:00Z", 1)]})
    assert found[0].startswith("signals: m every 900 s, n every 3600 s: readings of different length")
