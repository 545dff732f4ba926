"""Policies in a run: who is shown what, who may join, what may be ordered, and under which version."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agents.battery import Battery
from agents.market import Market
from agents.resource import Resource
from results.run import Run
from results.verify import verify
from scenarios.reader import read
from scenarios.runner import execute
from sim.errors import ScenarioError
from sim.wire.codes import Refusal
from sim.wire.messages import Message
from tests.agents.test_protocol import Street, sent
from tests.conftest import STREET, TWO_HOURS


def setting(*policies: dict[str, Any]) -> str:
    return f"policies={json.dumps(policies)}"


def cap(kw: float, **more: Any) -> dict[str, Any]:
    """Nobody injects more than so much."""
    condition = {"field": "exportKW", "operator": "lessThanOrEqual", "value": kw}
    document = {
        "policyId": "export-cap",
        "policyType": "compliance",
        "level": "UTILITY",
        "hooks": ["FULFILMENT"],
        "conditions": {"all": [condition]},
    }
    return document | more


def only(hook: str, field: str, value: Any) -> dict[str, Any]:
    return {
        "policyId": f"{hook.lower()}-{field}",
        "policyType": "authorization",
        "effect": "allow",
        "hooks": [hook],
        "conditions": {"all": [{"field": field, "operator": "notEquals", "value": value}]},
    }


def members(street: Street) -> set[str]:
    market = street.agents["market"]
    assert isinstance(market, Market)
    return set(market.membership.members)


def uncapped_order() -> Message:
    """What a battery orders that has heard of no cap; identifiers follow from the seed, so that any street knows them."""
    return sent(Street().run_until_joined("battery-01"), -300)


def test_an_order_within_the_cap_is_taken_and_one_beyond_it_refused() -> None:
    for kw, taken in ((50, True), (0.5, False)):
        street = Street(setting(cap(kw)))
        street.run_until_joined("battery-01")
        if taken:
            assert street.tell(uncapped_order()) == []
        else:
            with pytest.raises(Refusal) as refusal:
                street.tell(uncapped_order())
            assert str(refusal.value.code) == "POL_DENIED"
            assert refusal.value.what == "export-cap 1: exportKW expected at most 0.5 kW, got 5 kW"


def test_caps_are_told_with_the_approval_and_an_honest_bidder_keeps_within_them() -> None:
    street = Street(setting(cap(0.5)))
    confirm = sent(street.run_until_joined("battery-01"), -300)
    battery = street.agents["battery-01"]
    assert isinstance(battery, Battery)
    assert battery.terms is not None
    assert (battery.terms.import_cap_kw, battery.terms.export_cap_kw) == (43.6, 0.5)
    assert street.tell(confirm) == []


@pytest.mark.parametrize(
    ("conditions", "told_kw"),
    [
        pytest.param([("exportQuantity", 1)], 4.0, id="1 kWh in a quarter of an hour"),
        pytest.param([("exportShare", 0.3)], 13.08, id="30 % of what is approved"),
        pytest.param([("exportShare", {"value": 50, "unit": "%"}), ("exportKW", 20)], 20.0, id="the tighter of two"),
        pytest.param([("exportKW", 50)], 43.6, id="more than is approved"),
        pytest.param([("highestPricePerKWh", 1), ("exportKW", 7)], 7.0, id="whatever the price will be"),
        pytest.param([("exportKW", 10**15)], 43.6, id="more than anybody has"),
    ],
)
def test_what_is_told_follows_from_every_way_to_state_a_cap(conditions: list[Any], told_kw: float) -> None:
    stated = [{"field": name, "operator": "lessThanOrEqual", "value": value} for name, value in conditions]
    street = Street(setting(cap(0, conditions={"all": stated})))
    street.run_until_joined("battery-01")
    battery = street.agents["battery-01"]
    assert isinstance(battery, Battery)
    assert battery.terms is not None
    assert battery.terms.export_cap_kw == told_kw


def test_a_cap_may_be_for_one_kind_of_resource_alone() -> None:
    not_solar = {"field": "resourceType", "operator": "notEquals", "value": "SOLAR"}
    capped = {"field": "exportKW", "operator": "lessThanOrEqual", "value": 4}
    street = Street(setting(cap(0, conditions={"any": [not_solar, capped]})))
    market = street.agents["market"]
    assert isinstance(market, Market)
    for era, told_kw in (("battery-01", 43.6), ("pv-01", 4.0)):
        confirm = sent(street.run_until_joined(era), -300)
        resource = street.agents[era]
        assert isinstance(resource, Resource)
        assert resource.terms is not None
        assert resource.terms.export_cap_kw == told_kw
        assert street.tell(confirm) == []


def test_caps_that_are_not_approved_yet_are_undefined() -> None:
    within = [{"field": "approvedMaxExportKW", "operator": "lessThanOrEqual", "value": 100}]
    street = Street(setting(cap(0, hooks=["SELECTION"], conditions={"all": within})))
    with pytest.raises(Refusal) as refusal:
        street.run_until_joined("battery-01")
    assert str(refusal.value.code) == "POL_UNDEFINED"


def test_an_applicant_that_may_not_apply_is_refused() -> None:
    street = Street(setting(only("SELECTION", "resourceType", "BATTERY")))
    with pytest.raises(Refusal) as refusal:
        street.run_until_joined("battery-01")
    assert refusal.value.what == "selection-resourceType 1: resourceType expected anything but BATTERY, got BATTERY"


def test_what_is_undefined_is_denied() -> None:
    street = Street(setting(only("SELECTION", "country", "DEU")))
    with pytest.raises(Refusal) as refusal:
        street.run_until_joined("battery-01")
    assert str(refusal.value.code) == "POL_UNDEFINED"


def lived_through(tmp_path: Path, *policies: dict[str, Any]) -> Run:
    run = Run(execute(read(STREET, [*TWO_HOURS, setting(*policies)]), tmp_path / "run"))
    assert not verify(run).findings
    return run


def messages_of(run: Run, action: str, era: str) -> list[Any]:
    return [r for r in run.message_records(action) if r["body"]["context"]["bapId"] == era]


def test_an_applicant_that_is_not_admitted_hears_why(tmp_path: Path) -> None:
    """Formation is judged when the utility has approved the meter."""
    run = lived_through(tmp_path, only("FORMATION", "meterId", "battery-01"))
    (answer,) = messages_of(run, "on_init", "battery-01")
    assert answer["body"]["error"]["errorCode"] == "POL_DENIED"
    assert messages_of(run, "confirm", "battery-01") == []
    assert messages_of(run, "confirm", "battery-02") != []


def test_an_offer_is_not_shown_to_whom_it_is_not_for(tmp_path: Path) -> None:
    run = lived_through(tmp_path, only("DISCOVERY", "era", "battery-01"))
    assert messages_of(run, "init", "battery-01") == []
    assert messages_of(run, "init", "battery-02") != []


def test_a_contract_keeps_the_version_it_was_confirmed_under() -> None:
    """The cap is tightened a second after the contract was confirmed."""
    later = cap(0.5, version=2, validFrom=1)
    street = Street(setting(cap(50), later))
    confirm = sent(street.run_until_joined("battery-01"), -300)
    market = street.agents["market"]
    assert isinstance(market, Market)
    pins = market.membership.members["battery-01"].policies
    assert pins is not None
    assert [(pin.policy_id, pin.version) for pin in pins.pins] == [("export-cap", "1")]
    assert street.tell(confirm) == []


def test_what_happens_under_a_cap_is_sound_and_contracts_name_the_version(tmp_path: Path) -> None:
    """The cap is for sites; it holds in the wires, and roofs give all that it leaves them."""
    sites = {"field": "role", "operator": "notEquals", "value": "PROSUMER"}
    capped = {"field": "exportKW", "operator": "lessThanOrEqual", "value": 4}
    run = lived_through(tmp_path, cap(0, conditions={"any": [sites, capped]}))
    assert [r for r in run.message_records("confirm") if r["ack"] == "NACK"] == []
    roofs = run.setpoints.query("era.str.startswith('pv')")
    assert roofs.setpoint_kw.max() == 4
    assert roofs.delivered_kw.max() == 4
    assert (roofs.available_kw > 4).any()
    confirmed = [json.dumps(r) for r in run.journal() if r["kind"] == "event"]
    assert any("export-cap@1=sha256:" in record for record in confirmed)


def test_who_is_confirmed_before_a_cap_is_tightened_keeps_the_wider_one(tmp_path: Path) -> None:
    """The retailer joins 50 seconds before the sites; between the two the cap of a thousand kilowatts becomes one of four."""
    run = lived_through(tmp_path, cap(1000), cap(4, version=2, validFrom="2016-05-17T10:44:20"))
    told = {
        era: answer["body"]["message"]["contract"]["contractAttributes"]["inputParameters"]["approvedMaxExportKW"]
        for era in ("retailer", "pv-01", "battery-01")
        for answer in messages_of(run, "on_init", era)
        if answer["body"]["context"]["bppId"] == "market"
    }
    assert told["retailer"] == 1000
    assert (told["pv-01"], told["battery-01"]) == (4, 4)
    prices = run.setpoints.set_index("era").setpoint_kw
    assert prices["pv-01"].max() <= 4
    assert min(prices["retailer"]) < -4


def test_a_run_without_policies_pins_nothing() -> None:
    street = Street()
    street.run_until_joined("battery-01")
    market = street.agents["market"]
    assert isinstance(market, Market)
    assert market.membership.members["battery-01"].policies is None


@pytest.mark.parametrize(
    ("policies", "fault"),
    [
        ([cap(5, level="REGION")], "policies[0].level: expected one of NATIONAL, STATE, UTILITY, PLATFORM"),
        ([cap(5), {**cap(5), "hooks": []}], "policies[1].hooks"),
        ([{**cap(5), "policyId": "a", "level": "NATIONAL"}, cap(6)], "a lower level may only tighten"),
        ([cap(5), cap(5)], "version 1 is there already"),
    ],
)
def test_policies_that_cannot_hold_are_refused_with_their_place(policies: list[Any], fault: str) -> None:
    with pytest.raises(ScenarioError) as refusal:
        Street(setting(*policies))
    assert fault in str(refusal.value)
