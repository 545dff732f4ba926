"""Policies in a run: who is shown what, who may join, what may be ordered, and under which version."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agents.market import Market
from results.run import Run
from results.verify import verify
from scenarios.reader import read
from scenarios.runner import execute
from sim.errors import ScenarioError
from sim.wire.codes import Refusal
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


def test_an_order_within_the_cap_is_taken_and_one_beyond_it_refused() -> None:
    for kw, taken in ((50, True), (0.5, False)):
        street = Street(setting(cap(kw)))
        confirm = sent(street.run_until_joined("battery-01"), -300)
        if taken:
            assert street.tell(confirm) == []
        else:
            with pytest.raises(Refusal) as refusal:
                street.tell(confirm)
            assert str(refusal.value.code) == "POL_DENIED"
            assert refusal.value.what.startswith("export-cap 1: exportKW expected at most 0.5 kW, got ")


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
    return [r for r in run.messages(action) if r["body"]["context"]["bapId"] == era]


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
    run = lived_through(tmp_path, cap(4))
    refused = [r for r in run.messages("confirm") if r["ack"] == "NACK"]
    assert {r["error"]["errorCode"] for r in refused} == {"POL_DENIED"}
    assert run.setpoints.query("era.str.startswith('pv')").setpoint_kw.max() <= 4
    confirmed = [json.dumps(r) for r in run.journal() if r["kind"] == "event"]
    assert any("export-cap@1=sha256:" in record for record in confirmed)


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
