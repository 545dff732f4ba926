"""Units are checked when a contract is formed: energy times a price per kWh is money, power times it is not."""

from __future__ import annotations

import pytest

from sim.contracts.formula import compile_formula
from sim.contracts.units import KW, KWH, ONE, Unit, money, parse_unit, unit_of_name
from sim.errors import ContractError
from tests.contracts.agreements import contract, faults

UNITS = {
    "energy": "kWh",
    "energy_wh": "Wh",
    "power": "kW",
    "hours": "h",
    "minutes": "min",
    "price": "EUR/kWh",
    "dollars": "USD/kWh",
    "demand": "EUR/kW",
    "perHour": "EUR/h",
    "fee": "EUR",
    "percent": "%",
    "share": "SHARE",
}


def check(text: str) -> None:
    units = {name: parse_unit(unit) for name, unit in UNITS.items()}
    compile_formula(text, who="energy").check_units(units, money("EUR"))


@pytest.mark.parametrize(
    "text",
    [
        "energy * price",
        "power * hours * price",
        "energy * 0.02",
        "energy * 0.02 + energy * 0.01 + fee",
        "fee * share",
        "0.18 * fee",
        "fee * 1.18",
        "power * demand",
        "max(0, power - 8) * demand",
        "hours * 2",
        "perHour * hours",
        "energy_wh / 1000 * price",
        "minutes / 60 * perHour",
        "fee * percent / 100",
        "2.5",
        "0",
        "max(energy - 10, 0) * price",
        "min(energy, 50) * price + max(energy - 50, 0) * 8",
        "clip(energy, 0, 10) * price",
        "fee if energy > 10 else 0",
        "if(power > 5 and energy < 3, energy * price, fee)",
        "if(not energy == 0, fee, 0)",
        "sum(energy * price)",
        "sum(energy) * price",
        "tier(energy, 5, 100, 8)",
        "tier(energy, price, 100, 8)",
        "abs(energy) * price",
        "-energy * price",
        "energy * price / 2",
        "unknown * energy",
        "unknown",
        "energy / energy * fee",
        "energy * (price + 0.01)",
        "max(energy, 2 + 3) * price",
        "max(energy, 2 * 3) * price",
        "0.001 * energy_wh * price",
        "0.5 * energy_wh * price / 100",
        "energy_wh / 200 * price",
        "energy_wh / 5000 * price",
        "energy_wh * 0 * price",
        "(energy * 1000 + energy_wh) / 1000 * price",
        "fee * energy / (0 * energy)",
        "energy_wh * (0.002 + 3) * price",
    ],
)
def test_a_formula_that_makes_money_of_its_quantities_is_accepted(text):
    check(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("power * price", "power * price is in EUR/h, and has to be in EUR; multiply the power by the hours it lasted"),
        ("energy + fee", "energy + fee joins kWh and EUR; check what is multiplied with what"),
        ("energy * price + energy * dollars", "joins EUR and USD; one contract has one currency, not EUR and USD"),
        ("energy * dollars", "energy * dollars is in USD, and has to be in EUR; one contract has one currency"),
        ("energy", "it is in kWh, and has to be in EUR"),
        ("energy - power", "energy - power joins kWh and kW; multiply the power by the hours it lasted"),
        ("energy_wh * price", "is in 0.001 EUR, and has to be in EUR; convert one of them, by a factor of 0.001"),
        (
            "(energy + energy_wh) * price",
            "energy + energy_wh joins kWh and 0.001 kWh; convert one of them, by a factor of 1000",
        ),
        ("(energy * 2 + energy + energy_wh) * price", "energy * 2 + energy + energy_wh joins kWh and 0.001 kWh"),
        ("energy_wh / 199 * price", "energy_wh / 199 * price is in 0.001 EUR, and has to be in EUR"),
        ("energy_wh / 5001 * price", "is in 0.001 EUR, and has to be in EUR"),
        ("energy_wh * 1000 * price", "is in 0.001 EUR, and has to be in EUR"),
        ("2 * energy_wh * price * 2", "is in 0.001 EUR, and has to be in EUR"),
        ("(energy * 2 + power) * price", "energy * 2 + power joins kWh and kW"),
        ("2 + share", "2 + share is in 1, and has to be in EUR"),
        ("power * 0.085", "power * 0.085 is in kW, and has to be in EUR"),
        ("power * price * 1.1", "is in EUR/h, and has to be in EUR"),
        ("fee * fee", "fee * fee is in EUR^2"),
        ("fee * percent", "is in 0.01 EUR"),
        ("min(energy, power) * price", "min(energy, power) joins kWh and kW"),
        ("fee if energy > power else 0", "energy > power joins kWh and kW"),
        ("fee if energy > 5 and not (1 > 2 or energy > power) else 0", "energy > power joins kWh and kW"),
        ("fee if power > 5 else energy", ": fee if power > 5 else energy joins EUR and kWh"),
        ("clip(energy, 0, hours) * price", "joins kWh and h"),
        ("tier(energy, price, hours, price)", ": tier(energy, price, hours, price) joins kWh and h"),
        ("tier(energy, price, 100, price, hours, price)", "joins kWh and h"),
        ("tier(energy, price, 100, dollars)", ": tier(energy, price, 100, dollars) joins EUR/kWh and USD/kWh"),
        ("sum(power) * price", "is in EUR/h"),
        ("price / energy", "is in EUR/kWh^2"),
        ("fee + energy * hours", "joins EUR and h·kWh"),
        ("energy + unknown * price", "is in kWh, and has to be in EUR"),
        ("1 / energy", "1 / energy is in 1/kWh, and has to be in EUR"),
    ],
)
def test_a_clash_of_units_is_refused_with_both_units_and_the_remedy(text, message):
    with pytest.raises(ContractError) as refusal:
        check(text)
    assert message in str(refusal.value)
    assert str(refusal.value).startswith("energy: ")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("KWH", "kWh"),
        ("kW", "kW"),
        ("CURRENCY_PER_KWH", "CURRENCY/kWh"),
        ("INR/kWh", "INR/kWh"),
        ("Wh", "0.001 kWh"),
        ("MW", "1000 kW"),
        ("min", "0.01666666666666666666666666667 h"),
        ("hours", "h"),
        ("%", "0.01 1"),
        ("USD", "USD"),
        ("CURRENCY_PER_KW", "CURRENCY·h/kWh"),
        ("1/kW", "1/kW"),
        ("INR/kWh/h", "INR/(h·kWh)"),
        ("INR per kWh", "INR/kWh"),
        ("INR/(kWh)", "INR/kWh"),
        ("INR/MWh", "0.001 INR/kWh"),
        ("XOF/Wh", "1000 XOF/kWh"),
        ("s", "0.0002777777777777777777777777778 h"),
    ],
)
def test_units_are_read_as_contracts_write_them(text, shown):
    assert str(parse_unit(text)) == shown


def test_power_is_energy_by_time():
    assert KWH / parse_unit("h") == KW
    assert KW * parse_unit("h") / KWH == ONE == Unit()
    assert str(ONE / (KWH * KWH)) == "1/kWh^2"


def test_the_contract_s_own_currency_may_be_named_later():
    assert parse_unit("CURRENCY/MWh").in_currency("INR") == parse_unit("INR/MWh") == parse_unit("CURRENCY/MWh", "INR")
    assert unit_of_name("pricePerKWh", "INR") == parse_unit("INR/kWh")


def test_what_is_no_unit_is_refused_with_the_nearest():
    with pytest.raises(ContractError) as refusal:
        parse_unit("kwhh")
    assert str(refusal.value) == "unit: 'kwhh' is no unit; did you mean KWH?"


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("energyKWh", "kWh"),
        ("energy_kwh", "kWh"),
        ("energyFlow", "kWh"),
        ("powerKW", "kW"),
        ("p_kw", "kW"),
        ("pricePerKWh", "CURRENCY/kWh"),
        ("price_per_kwh", "CURRENCY/kWh"),
        ("clearingPrice", "CURRENCY/kWh"),
        ("ratePerKW", "CURRENCY_PER_KW"),
        ("feePerMinute", "CURRENCY/min"),
        ("gracePeriodMinutes", "min"),
    ],
)
def test_a_name_may_say_its_unit(name, unit):
    assert unit_of_name(name) == parse_unit(unit)


@pytest.mark.parametrize("name", ["price", "amount", "wheelingCharges", "darkwh", "KWhatever", "total"])
def test_a_name_that_says_none_fits_everywhere(name):
    assert unit_of_name(name) is None


def test_a_contract_is_refused_when_it_is_formed_naming_the_term():
    document = contract([{"from": "BUYER", "to": "SELLER", "name": "energy", "formula": "powerKW * pricePerKWh"}])
    assert faults(document) == [
        "/revenueFlows/flows/0/formula: powerKW * pricePerKWh is in INR/h, and has to be in INR; "
        "multiply the power by the hours it lasted"
    ]


def test_a_declared_unit_counts_more_than_a_name():
    sources = [{"sourceId": "m", "fields": [{"name": "energyKWh", "unit": "kW"}]}]
    document = contract([("BUYER", "SELLER", "m.energyKWh * 6")], telemetrySources=sources)
    assert "m.energyKWh * 6 is in kW" in faults(document)[0]
