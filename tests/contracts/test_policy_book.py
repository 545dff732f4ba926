"""Policies as data: levels that only tighten, versions that are pinned, and what is undefined is denied."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.contracts.contract import Role, Template, Term, lines
from sim.contracts.policies import Hook, Policy, PolicyBook, Vocabulary, read_policies, read_policy
from sim.errors import ContractError
from sim.wire.codes import Code

INR = Vocabulary("INR")
AT_MOST_5 = [{"field": "exportKW", "operator": "lessThanOrEqual", "value": 5}]


def stated(policy_id: str = "p", **more: Any) -> dict[str, Any]:
    document = {
        "policyId": policy_id,
        "policyType": "authorization",
        "effect": "allow",
        "conditions": {"all": AT_MOST_5},
        "hooks": ["FORMATION", "FULFILMENT"],
    }
    return {key: value for key, value in {**document, **more}.items() if value is not None}


def policy(policy_id: str = "p", **more: Any) -> Policy:
    return read_policy(stated(policy_id, **more), INR)


def facts(**more: Any) -> dict[str, Any]:
    return {
        name: Decimal(repr(v)) if isinstance(v, int | float) and not isinstance(v, bool) else v
        for name, v in more.items()
    }


def valid(book: PolicyBook, hook: Hook = Hook.FORMATION, at_s: Any = 0, **given_facts: Any) -> bool:
    return book.decide(hook, facts(**given_facts), at_s).valid


def faults(*documents: Any) -> list[str]:
    with pytest.raises(ContractError) as refusal:
        read_policies(documents, INR)
    return [str(fault) for fault in refusal.value.faults]


# the published examples


IDLE = {
    "policyId": "idle-fee",
    "policyType": "fee-calculation",
    "parameters": {"gracePeriodMinutes": 10, "feePerMinute": {"value": 2, "currency": "INR"}},
}


@pytest.mark.parametrize(("minutes", "fee"), [(0, 0), (10, 0), (11, 2), (25, 30)])
def test_an_idle_fee_begins_after_the_grace(minutes, fee):
    assert read_policy(IDLE, INR).amount(facts(idleMinutes=minutes)) == fee


def test_a_fee_policy_is_a_term_of_a_contract():
    idle = read_policy(IDLE, INR)
    assert idle.formula is not None
    template = Template(
        "t",
        (Role.BUYER, Role.SELLER),
        (Term("idle", Role.BUYER, Role.SELLER, idle.formula),),
        tuple(idle.inputs),
        idle.signals,
    )
    contract = template.instantiate("c", "INR", {Role.BUYER: "ev", Role.SELLER: "cpo"}, idle.inputs)
    assert lines(contract, facts(idleMinutes=25))[0].exact == 30


def test_a_renewable_obligation_costs_its_shortfall():
    obligation = {
        "policyId": "rpo",
        "policyType": "compliance",
        "parameters": {"renewablePercentage": 21.5, "penaltyPerUnit": 2, "enforcementLevel": "NATIONAL"},
    }
    read = read_policy(obligation, INR)
    assert read.amount(facts(consumedKWh=1000, renewableKWh=115)) == 200
    assert read.amount(facts(consumedKWh=1000, renewableKWh=300)) == 0
    assert read.level == "NATIONAL"


def test_an_export_limit_holds_as_long_as_its_approval():
    limit = policy(
        conditions={
            "all": [
                {"field": "prosumer.credentials.interconnectionApproval.valid", "operator": "equals", "value": True},
                {
                    "field": "exportKW",
                    "operator": "lessThanOrEqual",
                    "valueFrom": "prosumer.gridConnection.exportLimitKW",
                },
            ]
        }
    )
    book = PolicyBook([limit])
    approval, cap = "prosumer.credentials.interconnectionApproval.valid", "prosumer.gridConnection.exportLimitKW"
    assert valid(book, **{approval: True, cap: 5, "exportKW": 5})
    assert not valid(book, **{approval: True, cap: 5, "exportKW": 5.1})
    assert not valid(book, **{approval: False, cap: 5, "exportKW": 1})


def test_energy_is_not_compared_with_power():
    trap = stated(
        conditions={
            "all": [
                {
                    "field": "exportQuantity",
                    "operator": "lessThanOrEqual",
                    "valueFrom": "prosumer.gridConnection.exportLimitKW",
                }
            ]
        }
    )
    found = faults(trap)
    assert len(found) == 1
    assert "kWh" in found[0]
    assert "kW" in found[0]


@pytest.mark.parametrize(
    ("field", "operator", "value", "good", "bad"),
    [
        pytest.param("exportShare", "lessThanOrEqual", 0.5, 0.5, 0.51, id="half of the trade"),
        pytest.param("highestPricePerKWh", "lessThanOrEqual", 12, 12, 12.5, id="highest price"),
        pytest.param("leadTimeHours", "greaterThanOrEqual", 3, 3, 2.9, id="cancellation window"),
        pytest.param("country", "in", ["IND", "NPL"], "NPL", "DEU", id="region"),
        pytest.param("role", "notEquals", "AGGREGATOR", "BUYER", "AGGREGATOR", id="role"),
    ],
)
def test_caps_windows_and_regions(field, operator, value, good, bad):
    book = PolicyBook([policy(conditions={"all": [{"field": field, "operator": operator, "value": value}]})])
    assert valid(book, **{field: good})
    assert not valid(book, **{field: bad})
    decision = book.decide(Hook.FORMATION, facts(**{field: bad}), 0)
    assert [violation.field for violation in decision.violations] == [field]
    assert decision.code is Code.POL_DENIED


# undefined is denied


def test_a_fact_that_is_missing_denies_and_is_called_undefined():
    decision = PolicyBook([policy()]).decide(Hook.FORMATION, {}, 0)
    assert not decision.valid
    assert decision.code is Code.POL_UNDEFINED
    assert str(decision) == "p 1: exportKW expected at most 5 kW, got undefined"


def test_without_an_authorization_nothing_is_permitted_where_one_is_required():
    assert valid(PolicyBook())
    book = PolicyBook([policy()], required=[Hook.SELECTION])
    assert not valid(book, Hook.SELECTION)
    assert valid(book, exportKW=1)


def test_an_authorization_that_has_lapsed_denies():
    book = PolicyBook([policy(validUntil=100)])
    assert valid(book, at_s=99, exportKW=1)
    assert not valid(book, at_s=100, exportKW=1)


def test_any_needs_one_and_nothing_else():
    choice = {"any": [*AT_MOST_5, {"field": "role", "operator": "equals", "value": "PROSUMER"}]}
    book = PolicyBook([policy(conditions=choice)])
    assert valid(book, role="PROSUMER")
    assert valid(book, exportKW=3)
    assert not valid(book, role="BUYER")


def test_what_is_written_as_denied_permits_the_rest():
    denies = policy(effect="deny", conditions={"all": [{"field": "exportKW", "operator": "greaterThan", "value": 5}]})
    assert valid(PolicyBook([denies]), exportKW=5)
    assert not valid(PolicyBook([denies]), exportKW=6)


def test_a_policy_is_asked_at_its_hooks_only():
    assert valid(PolicyBook([policy(hooks=["FULFILMENT"])]), Hook.FORMATION, exportKW=50)


# levels


def capped(level: str, cap: float, **more: Any) -> Policy:
    conditions = {"all": [{"field": "exportKW", "operator": "lessThanOrEqual", "value": cap}]}
    return policy(f"cap-{level.lower()}", level=level, conditions=conditions, **more)


def test_a_lower_level_may_tighten():
    book = PolicyBook([capped("NATIONAL", 10), capped("UTILITY", 5), capped("PLATFORM", 3)])
    assert [valid(book, exportKW=kw) for kw in (3, 4, 6, 11)] == [True, False, False, False]
    assert [p.level for p in book.in_force(0)] == ["NATIONAL", "UTILITY", "PLATFORM"]


def test_a_lower_level_that_loosens_is_refused_naming_both():
    with pytest.raises(ContractError) as refusal:
        PolicyBook([capped("STATE", 5), capped("UTILITY", 7)])
    assert "cap-utility 1 of level UTILITY" in str(refusal.value)
    assert "cap-state 1 of level STATE" in str(refusal.value)
    assert "a lower level may only tighten" in str(refusal.value)


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 25))
def test_all_levels_have_to_agree(high, low, asked):
    try:
        book = PolicyBook([capped("NATIONAL", high), capped("PLATFORM", low)])
    except ContractError:
        assert low > high
    else:
        assert low <= high
        assert valid(book, exportKW=asked) == (asked <= min(high, low))


# versions


def test_a_contract_keeps_the_versions_it_was_confirmed_under():
    first, second = capped("UTILITY", 10), capped("UTILITY", 4, version=2, validFrom=3600)
    book = PolicyBook([first, second])
    before, after = book.pin(3599), book.pin(3600)
    assert [pin.version for pin in (*before.pins, *after.pins)] == ["1", "2"]
    assert valid(book, at_s=before, exportKW=8)
    assert not valid(book, at_s=after, exportKW=8)
    assert before.pins[0].hash == first.hash != second.hash


def test_a_version_that_was_published_later_binds_only_who_confirms_later():
    book = PolicyBook([capped("UTILITY", 10)])
    pins = book.pin(0)
    book.publish([capped("UTILITY", 4, version=2, validFrom=100)], at_s=50)
    assert valid(book, at_s=pins, exportKW=8)
    assert not valid(book, at_s=book.pin(100), exportKW=8)


def test_the_past_is_not_legislated():
    with pytest.raises(ContractError, match="begins before second 50, at which it is published"):
        PolicyBook().publish([capped("UTILITY", 4, validFrom=49)], at_s=50)


def test_a_pin_of_something_else_denies():
    pins = PolicyBook([capped("UTILITY", 10)]).pin(0)
    assert not valid(PolicyBook([capped("UTILITY", 11)]), at_s=pins, exportKW=1)
    assert not valid(PolicyBook(), at_s=pins, exportKW=1)


def test_the_hash_is_of_the_document():
    assert policy().hash == policy().hash != policy(description="x").hash
    assert policy().hash.startswith("sha256:")


# reading


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        ([], "/0: expected a policy, got"),
        (stated(policyId=None), "policyId"),
        (stated(level="REGIONAL"), "/0/level: expected one of NATIONAL, STATE, UTILITY, PLATFORM"),
        (stated(hooks=[]), "/0/hooks"),
        (stated(hooks=["SOMETIME"]), "/0/hooks/0"),
        (stated(colour="red"), "/0/colour: expected no such key"),
        (stated(conditions={"all": [{"field": "exportKw", "operator": "equals", "value": 5}]}), "exportKW"),
        (
            stated(conditions={"all": [{"field": "exportKW", "operator": "below", "value": 5}]}),
            "/0/conditions/all/0/operator",
        ),
        (
            stated(conditions={"all": [{"field": "exportKW", "operator": "equals", "value": "5 kWh"}]}),
            "/0/conditions/all/0/value",
        ),
        (
            stated(conditions={"all": [{"field": "role", "operator": "lessThan", "value": "BUYER"}]}),
            "/0/conditions/all/0",
        ),
        (stated(validFrom="yesterday"), "/0/validFrom: expected an RFC 3339 date-time, or simulated seconds"),
        (stated(validFrom=10, validUntil=10), "/0/validUntil: expected a moment after validFrom"),
        (stated(policyType="fee-calculation", conditions=None, effect=None), "/0: expected a formula for the fee"),
        ({**IDLE, "formula": "idleMinutes * exportKW"}, "/0/formula: expected an amount in INR"),
        ({**IDLE, "formula": "idleMinutes *"}, "/0/formula"),
        ({**IDLE, "formula": "idelMinutes * feePerMinute"}, "idleMinutes"),
        (stated(effect=None), "/0: expected effect of an authorization, got none"),
    ],
)
def test_what_is_wrong_with_a_policy_is_told_with_its_place(document, fault):
    found = faults(document)
    assert any(fault in text for text in found), found


def test_all_faults_of_all_policies_are_told_at_once():
    assert len(faults(stated(level="X"), stated(hooks=["Y"]), 5)) == 3
