"""A roof sells under a tariff of its own: what is drawn in the evening costs more than what is drawn at night."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from pytest import approx

from results.run import Run
from scenarios.reader import read
from sim.errors import ScenarioError
from sim.wire.bags import ENERGY, EnergyContractP2PTrade
from tests.use_cases.deal_cases import heard, net_zero, of_contract, paid, signals
from tests.use_cases.library import Library, scenario_path
from tests.use_cases.market_cases import balance

NAME = "peer-to-peer-tariff"
UNIFORM = "seekers.home.device.power=[{from: '18:00', to: '06:00', kw: -8.333333}]"


@pytest.fixture(scope="module")
def run(library: Library) -> Run:
    return library.run_of(NAME)


def test_forty_and_sixty_kwh_cost_fourteen_and_with_tax_sixteen_fifty_two(run: Run) -> None:
    """100 kWh: 40 in the four hours at 0.20, 60 in the eight at 0.10; 18 % VAT on top, which the story leaves out."""
    assert paid(run, "energy") == Decimal("14.00")
    assert paid(run, "vat") == Decimal("2.52")
    assert balance(run, "home") == Decimal("-16.52")
    assert balance(run, "treasury") == Decimal("2.52")
    assert net_zero(run)


def test_as_much_in_every_hour_costs_thirteen_thirty_three(library: Library) -> None:
    """A third of 100 kWh at 0.20 and two thirds at 0.10; 15.73 with tax.  Meters read whole Wh."""
    run = library.run_of(NAME, UNIFORM)
    assert paid(run, "energy") == approx(Decimal("13.33"), abs=Decimal("0.01"))
    assert balance(run, "home") == approx(Decimal("-15.73"), abs=Decimal("0.01"))


def test_every_half_hour_is_told_at_the_price_of_its_hour(run: Run) -> None:
    told = [signals(c) for c in of_contract(heard(run, "home", "on_update"))]
    assert [(one["consumedKWh"], one["pricePerKWh"]) for one in told] == [(5.0, 0.20)] * 8 + [(3.75, 0.10)] * 16


def test_the_tariff_of_the_offer_is_the_tariff_of_the_agreement(run: Run) -> None:
    """It is written into the terms and the agreement, and frozen with them."""
    (found,) = heard(run, "home", "on_discover")
    offered = found["catalogs"][0]["offers"][0]["offerAttributes"]
    for action in ("on_init", "on_confirm"):
        (contract,) = of_contract(heard(run, "home", action))
        assert contract["commitments"][0]["offer"]["offerAttributes"] == offered
    assert [e["restrictions"]["startTime"] for e in offered["elements"]] == ["18:00", "22:00", "00:00"]


def test_a_later_edition_of_the_catalogue_changes_no_agreement(library: Library, run: Run) -> None:
    changed = library.run_of(
        NAME, "providers.solar-home.diary=[{at: '19:00', do: publish, item: roof, say: {active: false}}]"
    )
    assert balance(changed, "home") == balance(run, "home")


def test_the_lane_carries_what_the_roof_gives_and_the_home_draws(run: Run) -> None:
    drawn = run.setpoints[run.setpoints.era == "home"].delivered_kw
    assert -drawn.sum() * run.calendar.interval_s / 3600 == approx(100)
    evening = run.nodes[(run.nodes.node == "trafo") & (run.nodes.interval == 3)]
    assert float(evening.wire_lv_kw.iloc[0]) == approx(10 - 8.4, abs=0.2)


def test_a_price_and_a_tariff_are_refused_in_the_scenario() -> None:
    with pytest.raises(ScenarioError, match="either a price or a tariff"):
        read(scenario_path(NAME), ["providers.solar-home.items.roof.price=0.12"])


@pytest.mark.parametrize(
    "given", [{}, {"pricePerKWh": 0.12, "currency": "USD", "tariff": True}], ids=["neither", "both"]
)
def test_a_price_and_a_tariff_are_refused_on_the_wire(given: dict[str, object]) -> None:
    tariff = {"@context": ENERGY, "@type": "Tariff", "currency": "USD", "direction": "IMPORT",
              "elements": [{"priceComponents": [{"type": "ENERGY", "price": 0.1}]}]}  # fmt: skip
    inputs = {"sourceMeterId": "roof", "sourceType": "SOLAR", **given}
    if "tariff" in inputs:
        inputs["tariff"] = tariff
    buyer = {"role": "BUYER", "filled": True, "filledBy": "home"}
    seller = {"role": "SELLER", "filled": True, "filledBy": "solar-home", "roleInputs": inputs}
    body = {"@context": ENERGY, "@type": "EnergyContractP2PTrade", "templateId": "trade", "status": "PENDING",
            "roles": [seller, buyer]}  # fmt: skip
    with pytest.raises(msgspec.ValidationError, match="either pricePerKWh with currency, or a tariff"):
        msgspec.convert(body, EnergyContractP2PTrade)
