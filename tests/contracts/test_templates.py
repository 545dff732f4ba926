"""The local market's contracts, to the cent: who pays whom for what was cleared, metered, and missed."""

from __future__ import annotations

from decimal import Decimal

import pytest

from sim.contracts import templates
from sim.contracts.contract import Contract, Role, lines

MARKET = Role.MARKET_CLEARING_AGENT
INPUTS = {"wheelingPerKWh": "0.02", "feePerKWh": "0.01", "penaltyPerKWh": "0.03", "taxRate": "0.1"}
PARTIES = {
    Role.PROSUMER: "site",
    MARKET: "market",
    Role.GRID_OPERATOR: "utility",
    Role.GOVERNMENT: "treasury",
    Role.SELLER: "retailer",
}


def contract(template: templates.Template, **parties: str) -> Contract:
    roles: dict[str, str] = {role: parties.get(role.value, PARTIES.get(role, "")) for role in template.roles}
    return template.instantiate("c", "EUR", roles, {name: Decimal(INPUTS[name]) for name in template.inputs})


def flows(of: Contract, **signals: str) -> dict[str, tuple[str, str, Decimal]]:
    """Every non-zero line as term: (payer, payee, amount > 0)."""
    found = {}
    for line in lines(of, {name: Decimal(value) for name, value in signals.items()}):
        if line.exact > 0:
            found[line.term] = (line.payer, line.payee, line.exact.normalize())
        elif line.exact < 0:
            found[line.term] = (line.payee, line.payer, -line.exact.normalize())
    return found


def party(energy: str, cleared: str, price: str) -> dict[str, str]:
    return {
        "energyKWh": energy,
        "clearedKWh": cleared,
        "pricePerKWh": price,
        "importPricePerKWh": "0.30",
        "exportPricePerKWh": "0.08",
    }


@pytest.mark.parametrize(
    ("energy", "cleared", "price", "expected"),
    [
        pytest.param(
            "-4", "-4", "0.20",
            {
                "energy": ("site", "market", "0.8"),
                "wheeling": ("site", "utility", "0.08"),
                "fee": ("site", "market", "0.04"),
                "tax": ("site", "treasury", "0.08"),
            },
            id="drawn as cleared",
        ),
        pytest.param(
            "4", "4", "0.20",
            {"energy": ("market", "site", "0.8"), "fee": ("site", "market", "0.04")},
            id="given as cleared: no wheeling, no tax",
        ),
        pytest.param(
            "-6", "-4", "0.20",
            {
                "energy": ("site", "market", "0.8"),
                "deviation": ("site", "utility", "0.66"),
                "wheeling": ("site", "utility", "0.12"),
                "fee": ("site", "market", "0.04"),
                "tax": ("site", "treasury", "0.08"),
            },
            id="drew 2 kWh too much: bought at the import price and the penalty",
        ),
        pytest.param(
            "6", "4", "0.20",
            {
                "energy": ("market", "site", "0.8"),
                "deviation": ("utility", "site", "0.1"),
                "fee": ("site", "market", "0.04"),
            },
            id="gave 2 kWh too much: sold at the export price less the penalty",
        ),
        pytest.param(
            "1", "4", "0.20",
            {
                "energy": ("market", "site", "0.8"),
                "deviation": ("site", "utility", "0.99"),
                "fee": ("site", "market", "0.04"),
            },
            id="gave 3 kWh too little: bought back",
        ),
        pytest.param(
            "4", "4", "-0.05",
            {"energy": ("site", "market", "0.2"), "fee": ("site", "market", "0.04")},
            id="gave at a negative price: pays, and is not taxed for it",
        ),
        pytest.param(
            "-4", "-4", "-0.05",
            {
                "energy": ("market", "site", "0.2"),
                "wheeling": ("site", "utility", "0.08"),
                "fee": ("site", "market", "0.04"),
            },
            id="drew at a negative price: is paid, untaxed",
        ),
    ],
)  # fmt: skip
def test_a_site_in_the_market_pays_exactly(
    energy: str, cleared: str, price: str, expected: dict[str, tuple[str, str, str]]
) -> None:
    found = flows(contract(templates.cleared_prosumer(MARKET)), **party(energy, cleared, price))
    assert found == {term: (payer, payee, Decimal(amount)) for term, (payer, payee, amount) in expected.items()}


def test_a_site_of_an_aggregator_owes_the_same_to_the_aggregator() -> None:
    of = contract(templates.cleared_prosumer(Role.AGGREGATOR), AGGREGATOR="agg")
    found = flows(of, **party("-4", "-4", "0.20"))
    assert found["energy"] == ("site", "agg", Decimal("0.8"))
    assert found["fee"] == ("site", "agg", Decimal("0.04"))
    assert found["wheeling"] == ("site", "utility", Decimal("0.08"))


def test_at_retail_a_site_pays_the_import_and_earns_the_export_price_on_what_its_meter_says() -> None:
    of = contract(templates.retail_prosumer(MARKET))
    assert flows(of, **party("-4", "-9", "0.20")) == {
        "energy": ("site", "retailer", Decimal("1.2")),
        "wheeling": ("site", "utility", Decimal("0.08")),
        "tax": ("site", "treasury", Decimal("0.12")),
    }
    assert flows(of, **party("4", "0", "0")) == {"energy": ("retailer", "site", Decimal("0.32"))}


def test_the_retailer_is_paid_for_what_it_was_cleared_for_and_a_portfolio_pays_the_fee() -> None:
    retailer = contract(templates.cleared_party(Role.SELLER, fee=False))
    assert flows(retailer, **party("5", "5", "0.3")) == {"energy": ("market", "retailer", Decimal("1.5"))}
    portfolio = contract(templates.cleared_party(Role.AGGREGATOR, fee=True), AGGREGATOR="agg")
    assert flows(portfolio, **party("-5", "-5", "0.2")) == {
        "energy": ("agg", "market", Decimal(1)),
        "fee": ("agg", "market", Decimal("0.05")),
    }


@pytest.mark.parametrize("role", [Role.AGGREGATOR, Role.SELLER])
def test_at_retail_nobody_owes_the_market_anything(role: Role) -> None:
    assert flows(contract(templates.retail_party(role), AGGREGATOR="agg"), **party("-5", "-5", "0.2")) == {}


def test_rent_and_what_marginal_losses_bring_go_from_the_market_to_the_grid_operator() -> None:
    assert flows(contract(templates.congestion_rent()), rent="1.5", lossSurplus="0.25", undelivered="-0.5") == {
        "congestion rent": ("market", "utility", Decimal("1.5")),
        "loss surplus": ("market", "utility", Decimal("0.25")),
        "undelivered": ("utility", "market", Decimal("0.5")),
    }


@pytest.mark.parametrize(
    ("supply", "expected"),
    [("12", ("utility", "retailer", "0.6")), ("7", ("retailer", "utility", "0.24"))],
)
def test_the_grid_operator_buys_what_is_missing_and_sells_what_is_left(
    supply: str, expected: tuple[str, str, str]
) -> None:
    """10 kWh were paid for; what flowed beyond that is losses and imbalance."""
    of = contract(templates.losses_and_imbalance("clearedKWh"))
    signals = {
        "supplyKWh": supply,
        "clearedKWh": "10",
        "meteredKWh": "0",
        "importPricePerKWh": "0.3",
        "exportPricePerKWh": "0.08",
    }
    assert flows(of, **signals) == {"losses and imbalance": (*expected[:2], Decimal(expected[2]))}
