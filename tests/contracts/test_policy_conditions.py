"""Conditions of policies: three answers, what a condition names, and documents that are anything at all."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.contracts.policies import Fact, Hook, Policy, PolicyBook, Vocabulary, read_policy
from sim.contracts.policies.conditions import (
    Case,
    Comparison,
    Condition,
    Edge,
    Group,
    Operator,
    case_of,
    comparisons,
    negated,
    unmet,
    witnesses,
)
from sim.errors import ContractError
from sim.trust.directory import Directory
from sim.trust.registries import Interconnection, publish, revoke
from tests.json_values import places

INR = Vocabulary("INR")
DOMAINS: Mapping[str, tuple[Any, ...]] = {
    "exportKW": tuple(map(Decimal, range(4))),
    "importKW": tuple(map(Decimal, range(4))),
    "role": ("BUYER", "SELLER"),
    "prosumer.gridConnection.netMeteringEnabled": (True, False),
}
NUMBERS = ("exportKW", "importKW")
ORDERS = (
    Operator.LESS_THAN, Operator.LESS_THAN_OR_EQUAL, Operator.GREATER_THAN, Operator.GREATER_THAN_OR_EQUAL,
)  # fmt: skip


@st.composite
def single(draw: st.DrawFn) -> Comparison:
    name = draw(st.sampled_from([*DOMAINS]))
    equalities = (Operator.EQUALS, Operator.NOT_EQUALS, Operator.IN, Operator.NOT_IN)
    operator = draw(st.sampled_from((*ORDERS, *equalities) if name in NUMBERS else equalities))
    measure = INR.of_field(name)
    assert measure is not None
    if operator in ORDERS and draw(st.booleans()):
        return Comparison(name, operator, measure, other=draw(st.sampled_from(NUMBERS)))
    many = operator in (Operator.IN, Operator.NOT_IN)
    values = draw(st.lists(st.sampled_from(DOMAINS[name]), min_size=1, max_size=2 if many else 1))
    return Comparison(name, operator, measure, tuple(values))


def grouped(members: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    needs: st.SearchStrategy[Any] = st.sampled_from(("all", "any"))
    return st.builds(Group, needs, st.lists(members, max_size=3).map(tuple))


CONDITIONS: st.SearchStrategy[Condition] = st.recursive(single(), grouped, max_leaves=6)
CASES: st.SearchStrategy[Case] = st.fixed_dictionaries(
    {}, optional={name: st.sampled_from(values).map(lambda value: (value, 0)) for name, values in DOMAINS.items()}
)


def completed(case: Case) -> Iterator[Case]:
    """Every way to know the rest."""
    open_fields = [name for name in DOMAINS if name not in case]
    for values in itertools.product(*(DOMAINS[name] for name in open_fields)):
        yield {**case, **{name: (value, 0) for name, value in zip(open_fields, values, strict=True)}}


@given(CONDITIONS, CASES)
def test_what_is_decided_stays_decided_whatever_the_missing_facts_are(condition, case):
    verdict = condition.verdict(case)
    answers = {condition.verdict(whole) for whole in completed(case)}
    assert None not in answers
    if verdict is not None:
        assert answers == {verdict}


@given(CONDITIONS, CASES)
def test_the_opposite_is_the_opposite_and_undefined_where_it_is(condition, case):
    verdict = condition.verdict(case)
    assert negated(condition).verdict(case) is (None if verdict is None else not verdict)
    assert negated(negated(condition)) == condition


@given(CONDITIONS, CASES)
def test_whoever_makes_every_complaint_good_is_permitted(condition, case):
    complaints = [*unmet(condition, case)]
    assert (complaints == []) or condition.verdict(case) is not True
    assert all(complaint.verdict(case) is not True for complaint in complaints)
    assert {*complaints} <= {*comparisons(condition)}


@given(CONDITIONS)
def test_a_condition_names_nothing_that_it_forbids(condition):
    for case in witnesses(condition, {}):
        assert case
        assert condition.verdict(case) is not False


@given(CONDITIONS, CASES)
def test_facts_of_another_measure_are_no_facts(condition, case):
    facts = {name: value for name, (value, _) in case.items()}
    assert condition.verdict(case_of(condition, facts)) is condition.verdict(case)
    wrong = {name: 1.5 for name in facts}
    assert case_of(condition, wrong) == {}


def test_an_edge_lies_beside_its_value():
    below: Edge = (Decimal(5), -1)
    measure = INR.of_field("exportKW")
    assert measure is not None
    holds = {
        operator: Comparison("exportKW", operator, measure, (Decimal(5),)).verdict({"exportKW": below})
        for operator in Operator
    }
    assert [operator for operator, answer in holds.items() if answer] == [
        "notEquals", "lessThan", "lessThanOrEqual", "notIn",
    ]  # fmt: skip


def test_a_condition_that_names_too_much_is_refused():
    fields = [name for name, unit in INR.fields.items() if unit == "text"][:6]
    every = [{"field": name, "operator": "in", "value": ["a", "b", "c", "d"]} for name in fields]
    with pytest.raises(ContractError, match="more than 2000 combinations of values; split the policy"):
        read_policy(document(conditions={"all": every}), INR)


# levels, with guards


def document(policy_id: str = "p", **more: Any) -> dict[str, Any]:
    capped = {"all": [{"field": "exportKW", "operator": "lessThanOrEqual", "value": 5}]}
    return {"policyId": policy_id, "policyType": "compliance", "conditions": capped} | more


def policy(level: str, *members: dict[str, Any], needs: str = "all", **more: Any) -> Policy:
    stated = document(level.lower(), level=level, conditions={needs: [*members]}) | more
    return read_policy(stated, INR)


def on(name: str, operator: str, value: Any) -> dict[str, Any]:
    return {"field": name, "operator": operator, "value": value}


def of(role: str | None, kw: int, level: str) -> Policy:
    """A cap for one role, or for all."""
    cap = on("exportKW", "lessThanOrEqual", kw)
    return policy(level, cap) if role is None else policy(level, on("role", "notEquals", role), cap, needs="any")


def agree(*policies: Policy) -> bool:
    try:
        PolicyBook(policies)
    except ContractError:
        return False
    return True


ROLES = st.sampled_from((None, "BUYER", "PROSUMER"))


@given(ROLES, st.integers(1, 9), ROLES, st.integers(1, 9))
def test_a_cap_for_a_role_is_held_against_caps_that_are_for_it_too(high_role, high_kw, low_role, low_kw):
    speaks_of_it = high_role is None or high_role == low_role
    assert agree(of(high_role, high_kw, "STATE"), of(low_role, low_kw, "PLATFORM")) == (
        not speaks_of_it or low_kw <= high_kw
    )


@pytest.mark.parametrize(
    ("higher", "lower", "agreed"),
    [
        pytest.param(on("exportKW", "lessThan", 5), on("exportKW", "lessThan", 5), True, id="the same open bound"),
        pytest.param(on("exportKW", "lessThan", 5), on("exportKW", "lessThanOrEqual", 5), False, id="closed for open"),
        pytest.param(on("leadTimeHours", "greaterThanOrEqual", 3), on("leadTimeHours", "greaterThanOrEqual", 2), False,
                     id="a shorter notice"),
        pytest.param(on("exportKW", "lessThanOrEqual", 5), on("exportKW", "greaterThanOrEqual", 2), True,
                     id="the other end"),
        pytest.param(on("country", "in", ["IND", "NPL"]), on("country", "in", ["IND"]), True, id="fewer countries"),
        pytest.param(on("country", "in", ["IND"]), on("country", "in", ["IND", "NPL"]), False, id="one more country"),
        pytest.param(on("country", "notIn", ["NPL"]), on("country", "equals", "NPL"), False, id="what was forbidden"),
        pytest.param(on("country", "in", ["IND"]), on("exportKW", "lessThanOrEqual", 9), True, id="another matter"),
    ],
)  # fmt: skip
def test_a_lower_level_permits_nothing_that_a_higher_one_forbids(higher, lower, agreed):
    assert agree(policy("NATIONAL", higher), policy("UTILITY", lower)) == agreed


def test_a_fee_above_a_fee_cap_is_refused_whenever_it_is_asked():
    cap = policy("NATIONAL", on("feePerMinute", "lessThanOrEqual", 2), hooks=["FORMATION"])
    for fee, agreed in ((2, True), (2.01, False)):
        idle = {
            "policyId": "idle",
            "policyType": "fee-calculation",
            "parameters": {"gracePeriodMinutes": 10, "feePerMinute": {"currency": "INR", "value": fee}},
        }
        assert agree(cap, read_policy(idle, INR)) == agreed


def test_a_lower_level_cannot_take_over_a_policy_of_a_higher_one():
    ours = read_policy(document("national", level="PLATFORM", version=2, validFrom=10), INR)
    with pytest.raises(ContractError, match="a policy keeps its level"):
        PolicyBook([policy("NATIONAL", on("exportKW", "lessThanOrEqual", 2)), ours])


def test_a_higher_level_may_tighten_later_and_then_prevails():
    loose = policy("PLATFORM", on("exportKW", "lessThanOrEqual", 9))
    book = PolicyBook([loose])
    book.publish([policy("NATIONAL", on("exportKW", "lessThanOrEqual", 5), validFrom=100)], at_s=50)
    permitted = [book.decide(Hook.FULFILMENT, {"exportKW": Decimal(7)}, at_s).valid for at_s in (99, 100)]
    assert permitted == [True, False]


def test_a_refused_publication_leaves_the_book_as_it_was():
    book = PolicyBook([policy("NATIONAL", on("exportKW", "lessThanOrEqual", 5))])
    fine = policy("STATE", on("exportKW", "lessThanOrEqual", 4), validFrom=10)
    with pytest.raises(ContractError):
        book.publish([fine, policy("UTILITY", on("exportKW", "lessThanOrEqual", 6), validFrom=10)], at_s=10)
    assert [one.id for one in book] == ["national"]


def test_an_expired_tightening_gives_way_to_the_version_before():
    book = PolicyBook(
        [
            policy("STATE", on("exportKW", "lessThanOrEqual", 9)),
            policy("STATE", on("exportKW", "lessThanOrEqual", 2), version=2, validFrom=10, validUntil=20),
        ]
    )
    assert [[one.version for one in book.in_force(at_s)] for at_s in (9, 10, 19, 20)] == [["1"], ["2"], ["2"], ["1"]]


# an approval in the registry


def test_an_approval_that_the_registry_has_revoked_lets_nothing_out():
    """5 kW, until the revocation is recorded 100 s later."""
    directory, network, noon = Directory(), "network.example", 1_780_315_200
    approval = Interconnection(era="roof", meterId="m-1", exportLimitKW=5.0, importLimitKW=10.0, netMetering=True)
    publish(directory, network, "m-1", approval, noon)
    revoke(directory, network, "m-1", "unsafe", noon + 100)
    limit = policy(
        "UTILITY",
        on("prosumer.gridConnection.netMeteringEnabled", "equals", True),
        {"field": "exportKW", "operator": "lessThanOrEqual", "valueFrom": "prosumer.gridConnection.exportLimitKW"},
        on("prosumer.credentials.interconnectionApproval.valid", "equals", True),
    )

    def permitted(kw: str, at_s: int) -> bool:
        record = directory.answer(f"/dedi/lookup/{network}/interconnection/m-1", {}, noon + at_s)
        revoked = directory.answer(f"/dedi/lookup/{network}/revoke/m-1", {}, noon + at_s).status == 200
        details = record.body["data"]["details"]
        facts: dict[str, Fact] = {
            "exportKW": Decimal(kw),
            "prosumer.gridConnection.exportLimitKW": Decimal(repr(details["exportLimitKW"])),
            "prosumer.gridConnection.netMeteringEnabled": details["netMetering"],
            "prosumer.credentials.interconnectionApproval.valid": not revoked,
        }
        return PolicyBook([limit]).decide(Hook.FULFILMENT, facts, at_s).valid

    assert [permitted("5", at_s) for at_s in (0, 99, 100)] == [True, True, False]
    assert not permitted("5.001", 0)


# documents


LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.decimals(), st.text(max_size=5), st.binary(max_size=2),
    st.dates(), st.datetimes(), st.sampled_from(["exportKW", "role", "5", "all", "any", "kW", "INR/kWh", "%"]),
)  # fmt: skip
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.just("value"), inner, max_size=3)
    ),
    max_leaves=5,
)
WHOLE = document(
    level="STATE",
    version="7",
    hooks=["FULFILMENT"],
    validFrom=0,
    validUntil=10,
    formula="max(idleMinutes - gracePeriodMinutes, 0) * feePerMinute",
    parameters={
        "gracePeriodMinutes": 10,
        "feePerMinute": {"value": 2, "currency": "INR"},
        "most": {"value": 5, "unit": "kW"},
    },
    conditions={
        "any": [on("role", "in", ["BUYER"]), {"field": "exportKW", "operator": "lessThan", "valueFrom": "most"}]
    },
)


@given(st.data(), ANYTHING)
def test_a_document_is_a_policy_or_is_refused_whatever_stands_in_it(data, anything):
    changed = copy.deepcopy(WHOLE)
    where = data.draw(st.sampled_from([path for path in places(WHOLE) if path]))
    *above, last = where
    holder: Any = changed
    for step in above:
        holder = holder[step]
    holder[last] = anything
    try:
        PolicyBook([read_policy(changed, INR)])
    except ContractError as error:
        str(error).encode()  # and its refusal can be printed
