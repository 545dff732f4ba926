"""Money cases worked out elsewhere, by id; tolerance 0 unless a case says otherwise.

The figures are recomputed from published documents whose own are partly wrong; where they are, the case says what they should be.
"""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.contracts.agreements import amounts, balances, contract, faults, settled

FOUR = [
    {"from": "BUYER", "to": "SELLER", "name": "energy", "formula": "energyKWh * price"},
    {"from": "BUYER", "to": "GRID_OPERATOR", "name": "wheeling", "formula": "energyKWh * wheelingPerKWh"},
    {"from": "BUYER", "to": "AGGREGATOR", "name": "platform", "formula": "platform"},
]
FIVE_PARTIES = {"BUYER": "b", "SELLER": "s", "GRID_OPERATOR": "g", "AGGREGATOR": "a", "GOVERNMENT": "t"}
RATES = {"price": 6, "wheelingPerKWh": 2, "platform": 10}
TEN = {"m": {"energyKWh": 10}}


def taxed(tax: object, **flow: object) -> dict[str, object]:
    last = {"from": "BUYER", "to": "GOVERNMENT", "name": "tax", **({"tax": tax} if tax else {}), **flow}
    return contract([*FOUR, last], parties=FIVE_PARTIES, inputParameters=RATES)


def test_money_seed_tax_five_readings_a_formula_literal():
    literal = ["energyKWh * 6", "energyKWh * 0.02", "energyKWh * 0.01", "energyKWh * 0.01"]
    payees = ["SELLER", "GRID_OPERATOR", "AGGREGATOR", "GOVERNMENT"]
    document = contract([("BUYER", to, text) for to, text in zip(payees, literal, strict=True)], parties=FIVE_PARTIES)
    assert balances(document, TEN) == {"b": "-60.40", "s": "60.00", "g": "0.20", "a": "0.10", "t": "0.10"}


@pytest.mark.parametrize(
    ("tax", "flow", "amount", "total"),
    [
        ({"rate": 0.10, "base": ["energy"], "inclusive": False}, {}, "6.00", "96.00"),
        ({"rate": 0.10, "base": ["energy", "wheeling", "platform"], "inclusive": False}, {}, "9.00", "99.00"),
        (
            None,
            {"formula": "(energyKWh * price + energyKWh * wheelingPerKWh + platform) * 0.10 / 0.90"},
            "10.00",
            "100.00",
        ),
        (None, {"formula": "100 * 10 / 110"}, "9.09", "99.09"),
    ],
    ids=["B-of-energy", "C-exclusive-of-net", "D-of-gross", "E-vat-inclusive"],
)
def test_money_seed_tax_five_readings(tax, flow, amount, total):
    document = taxed(tax, **flow)
    assert amounts(document, TEN)["tax"] == amount
    assert str(settled(document, TEN)["totalAmount"]) == total


def test_money_seed_tax_inclusive_is_passed_on_by_who_received_it():
    flows = [
        {"from": "BUYER", "to": "SELLER", "name": "gross", "formula": "100"},
        {
            "from": "SELLER",
            "to": "GOVERNMENT",
            "name": "vat",
            "tax": {"rate": 0.10, "base": ["gross"], "inclusive": True},
        },
    ]
    assert balances(contract(flows), {}) == {"ev-1": "-100.00", "solar-1": "90.91", "treasury": "9.09"}


def test_money_net_zero_signed_postings():
    flows = [
        ("BUYER", "SELLER", "60"),
        ("BUYER", "GRID_OPERATOR", "20"),
        ("BUYER", "AGGREGATOR", "10"),
        ("BUYER", "GOVERNMENT", "10"),
    ]
    report = settled(contract(flows, parties=FIVE_PARTIES), {})
    assert [int(amount * 100) for amount in report["balances"].values()] == [-10000, 6000, 2000, 1000, 1000]
    assert sum(report["balances"].values()) == 0
    assert all(posting["amount"] > 0 for posting in report["postings"])


def test_money_rounding_modes():
    flows = [("BUYER", "SELLER", f"m.x{k}") for k in range(4)]
    values = {f"x{k}": Decimal(text) for k, text in enumerate(["0.125", "0.135", "2.675", "-0.125"])}
    assert list(amounts(contract(flows), {"m": values}).values()) == ["0.12", "0.14", "2.68", "-0.12"]


def test_money_gst_split():
    components = [{"name": "CGST", "rate": 0.09}, {"name": "SGST", "rate": 0.09}]
    tax = {"rate": 0.18, "base": ["net"], "inclusive": False}
    net = {"from": "BUYER", "to": "SELLER", "name": "net", "formula": "115.05"}
    gst = {"from": "BUYER", "to": "GOVERNMENT", "name": "gst", "tax": {**tax, "components": components}}
    assert amounts(contract([net, gst]), {}) == {"net": "115.05", "gst/CGST": "10.35", "gst/SGST": "10.35"}
    assert amounts(contract([net, {**gst, "tax": tax}]), {})["gst"] == "20.71"


def test_money_demand_charge_ratchet():
    document = contract(
        [("BUYER", "GRID_OPERATOR", "(peak.after - peak.before) * ratePerKW")],
        inputParameters={"ratePerKW": 300},
        states=[{"stateId": "peak", "kind": "MAXIMUM", "formula": "powerKW", "unit": "kW"}],
    )
    peak, increments = Decimal("8.0"), []
    for power in ["7.5", "9.2", "9.0", "9.5"]:
        report = settled(document, {"peak": {"value": peak}, "m": {"powerKW": Decimal(power)}})
        increments.append(str(report["totalAmount"]))
        peak = report["evidence"]["states"]["peak"]["after"]
    assert increments == ["0.00", "360.00", "0.00", "90.00"]
    assert peak == Decimal("9.5")
    series = {"peak": Decimal("8.0"), "m": [{"powerKW": Decimal(p)} for p in ("9.5", "7.5", "9.0", "9.2")]}
    assert str(settled(document, series)["totalAmount"]) == "450.00"


CAP = contract(
    [
        {"from": "BUYER", "to": "SELLER", "name": "p2p", "formula": "tradedKWh * 6"},
        {
            "from": "BUYER",
            "to": "GRID_OPERATOR",
            "name": "retail",
            "formula": "(used.after - used.before - tradedKWh) * 8",
        },
    ],
    inputParameters={"capKWh": 50},
    states=[{"stateId": "used", "kind": "SUM", "formula": "energyKWh", "unit": "kWh"}],
    variables={"tradedKWh": {"formula": "min(used.after, capKWh) - min(used.before, capKWh)", "unit": "KWH"}},
)


def test_money_monthly_trade_cap():
    report = settled(CAP, {"used": 48.5, "m": {"energyKWh": 3.0}})
    assert amounts(CAP, {"used": 48.5, "m": {"energyKWh": 3.0}}) == {"p2p": "9.00", "retail": "12.00"}
    assert str(report["totalAmount"]) == "21.00"
    assert report["evidence"]["states"]["used"]["after"] == Decimal("51.5")


def test_money_meter_interval_matching():
    source, target = ([0.5, 0.5, 1.0, 8.0], [0.3, 0.5, 0.7, 8.5])
    document = contract(
        [("BUYER", "SELLER", "settledKWh * 1")],
        settlement={"basis": "DELIVERED", "source": "source.energyKWh", "target": "target.energyKWh"},
    )
    signals = {"source": [{"energyKWh": e} for e in source], "target": [{"energyKWh": e} for e in target]}
    assert str(settled(document, signals)["totalAmount"]) == "9.50"
    cumulative = {"source": {"energyKWh": sum(source)}, "target": {"energyKWh": sum(target)}}
    assert str(settled(document, cumulative)["totalAmount"]) == "10.00"


def test_money_resettlement_runs():
    document = contract([("BUYER", "SELLER", "energyKWh * 6")])
    previous, posted = None, []
    for run, energy in enumerate(["10.0", "9.4", "9.4", "9.65"]):
        report = settled(document, {"m": {"energyKWh": Decimal(energy)}}, previous)
        assert report["run"] == run
        posted.append(sum(p["amount"] if p["to"] == "solar-1" else -p["amount"] for p in report["postings"]))
        previous = report
    assert [int(100 * amount) for amount in posted] == [6000, -360, 0, 150]
    assert sum(posted) * 100 == 5790


def test_money_seed_ev_order_components_sum_and_are_recomputed():
    components = ["100", "20", "10", "13.64"]
    flows = [*(("BUYER", "SELLER", text) for text in components), ("SELLER", "BUYER", "15")]
    assert balances(contract(flows), {}) == {"ev-1": "-128.64", "solar-1": "128.64"}
    for energy, base in (("5", "90.00"), ("2.5", "45.00")):
        recomputed = amounts(contract([("BUYER", "SELLER", "energyKWh * 18")]), {"m": {"energyKWh": Decimal(energy)}})
        assert recomputed["flow-1"] == base != "100.00"


def test_money_negative_flow_double_sign_needs_hours_and_a_direction():
    by_power = contract(
        [("BUYER", "SELLER", "(pricePerKWh + feePerKWh) * clearedKW")],
        inputParameters={"pricePerKWh": 0.0625, "feePerKWh": 0.01, "clearedKW": 50},
    )
    assert "multiply the power by the hours it lasted" in faults(by_power)[0]
    hours = contract(
        [("BUYER", "SELLER", "(pricePerKWh + feePerKWh) * abs(clearedKW) * hours")],
        inputParameters={"pricePerKWh": 0.0625, "feePerKWh": 0.01, "hours": 1},
    )
    assert amounts(hours, {"m": {"clearedKW": -50}}) == {"flow-1": "3.62"}  # 3.625 rounds half to even
    assert settled(hours, {"m": {"clearedKW": -45}})["evidence"]["lines"][0]["exact"] == Decimal("3.2625")
    negative = contract(
        [("BUYER", "SELLER", "(pricePerKWh + feePerKWh) * clearedKW * hours")],
        inputParameters={"pricePerKWh": 0.0625, "feePerKWh": 0.01, "clearedKW": -50, "hours": 1},
    )
    assert "an amount is never negative (exchange from and to)" in faults(negative)[0]


def test_tier_is_the_same_in_one_step_or_two():
    """155 = 25 + 130: a tier of 5 up to 10 kWh and 6.50 beyond, over 5 kWh and then 20."""
    document = contract(
        [("BUYER", "SELLER", "tier(used.after, 5, 10, 7) - tier(used.before, 5, 10, 7)")],
        states=[{"stateId": "used", "kind": "SUM", "formula": "energyKWh", "unit": "kWh"}],
    )
    first = settled(document, {"m": {"energyKWh": 5}})
    second = settled(document, {"used": first["evidence"]["states"]["used"]["after"], "m": {"energyKWh": 20}})
    once = settled(document, {"m": [{"energyKWh": 20}, {"energyKWh": 5}]})
    assert [str(r["totalAmount"]) for r in (first, second, once)] == ["25.00", "130.00", "155.00"]


# settlement basis

SHORT = {"source": {"energyKWh": 8}, "target": {"energyKWh": 15}}


@pytest.mark.parametrize(("basis", "paid"), [("CONTRACTED", "60.00"), ("DELIVERED", "48.00"), ("MIN_OF_TWO", "48.00")])
def test_the_contract_chooses_which_energy_it_pays(basis, paid):
    document = contract(
        [("BUYER", "SELLER", "settledKWh * 6")],
        settlement={"basis": basis, "contracted": "10", "source": "source.energyKWh", "target": "target.energyKWh"},
    )
    assert str(settled(document, SHORT)["totalAmount"]) == paid


def test_min_of_two_leaves_the_rest_to_the_grid():
    """Contract 10 at 6, consumed 15, produced 8: settle 8 for 48, and 7 from the grid at 10."""
    document = contract(
        [
            ("BUYER", "SELLER", "settledKWh * 6"),
            ("BUYER", "GRID_OPERATOR", "(sum(target.energyKWh) - settledKWh) * 10"),
        ],
        settlement={
            "basis": "MIN_OF_TWO",
            "contracted": "10",
            "source": "source.energyKWh",
            "target": "target.energyKWh",
        },
    )
    assert balances(document, SHORT) == {"ev-1": "-118.00", "solar-1": "48.00", "utility-1": "70.00"}


def test_two_settlements_and_payment_as_delivered_bear_differently_on_the_same_physics():
    """10 kWh at 6 of which 8 come, balancing energy at 9: seller 42 and buyer 60, or seller 48 and buyer 66."""
    contracted = contract(
        [("BUYER", "SELLER", "settledKWh * 6"), ("SELLER", "GRID_OPERATOR", "max(-deviationKWh, 0) * 9")],
        settlement={"basis": "CONTRACTED", "contracted": "10", "source": "m.energyKWh"},
    )
    delivered = contract(
        [("BUYER", "SELLER", "settledKWh * 6"), ("BUYER", "GRID_OPERATOR", "(10 - settledKWh) * 9")],
        settlement={"basis": "DELIVERED", "source": "m.energyKWh"},
    )
    eight = {"m": {"energyKWh": 8}}
    assert balances(contracted, eight) == {"ev-1": "-60.00", "solar-1": "42.00", "utility-1": "18.00"}
    assert balances(delivered, eight) == {"ev-1": "-66.00", "solar-1": "48.00", "utility-1": "18.00"}


@pytest.mark.parametrize("basis", ["CONTRACTED", "MIN_OF_TWO"])
def test_a_basis_that_needs_a_contracted_quantity_says_so(basis):
    document = contract([("BUYER", "SELLER", "settledKWh * 6")], settlement={"basis": basis, "source": "m.energyKWh"})
    assert faults(document)[0] == f"/settlement/contracted: {basis} needs it (a formula in kWh)"
