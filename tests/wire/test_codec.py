"""What may cross the wire, and what is refused with which pointer."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.wire.bags import ENERGY, ContractRole, CurveBody, CurvePoint, EnergyContract, RoleInputs, TimeWindow
from sim.wire.codec import decode, encode, schema
from sim.wire.codes import Code, Refusal
from sim.wire.messages import (
    ACTIONS,
    Commitment,
    CommitmentStatus,
    Contract,
    ContractContent,
    ContractStatus,
    Descriptor,
    DiscoverContent,
    Message,
    Offer,
    Resource,
    SearchIntent,
)

ID = "752c9cce-0559-8d41-81b8-f45f5683fbc0"
NOON = "2016-05-17T12:00:00+02:00"


def confirm(points: list[tuple[float, float]]) -> Message:
    curve = CurveBody(
        currency="EUR",
        minExport=points[0][1],
        maxExport=points[-1][1],
        curve=tuple(CurvePoint(price=price, powerKW=p_kw) for price, p_kw in points),
    )
    role = ContractRole(role="PROSUMER", filled=True, filledBy="ev-07", roleInputs=RoleInputs(offerCurve=curve))
    contract = Contract(
        id=ID,
        status=ContractStatus(code="DRAFT"),
        commitments=(
            Commitment(
                status=CommitmentStatus(descriptor=Descriptor(code="DRAFT")),
                resources=(Resource(id="ev-07"),),
                offer=Offer(id="market/prosumer", resourceIds=("ev-07",)),
            ),
        ),
        contractAttributes=EnergyContract(
            ENERGY, templateId="t", status="PENDING", roles=(role,), timeWindow=TimeWindow(start=NOON, end=NOON)
        ),
    )
    return Message("confirm", "ev-07", "market", ID, ID, ContractContent(contract=contract), 300)


def broken(change: Any) -> bytes:
    document = json.loads(encode(confirm([(0.1, -11.0), (0.2, 0.0)]), NOON))
    change(document)
    return json.dumps(document).encode()


@given(st.lists(st.tuples(st.floats(-1, 5), st.floats(-1e4, 1e4)), min_size=1, max_size=8))
def test_a_message_reads_back_as_it_was_sent(points: list[tuple[float, float]]) -> None:
    message = confirm(points)
    assert decode("confirm", encode(message, NOON)) == message


def test_the_caller_is_the_bap_and_the_answerer_the_bpp() -> None:
    request = json.loads(encode(confirm([(0.1, 1.0)]), NOON))["context"]
    assert (request["bapId"], request["bppId"], request["timestamp"], request["ttl"]) == (
        "ev-07",
        "market",
        NOON,
        "PT300S",
    )
    message = confirm([(0.1, 1.0)])
    answer = Message("on_confirm", "market", "ev-07", ID, ID, message.content)
    context = json.loads(encode(answer, NOON))["context"]
    assert (context["bapId"], context["bppId"]) == ("ev-07", "market")
    assert decode("on_confirm", encode(answer, NOON)).sender == "market"


@pytest.mark.parametrize(
    ("change", "pointer", "says"),
    [
        (lambda d: d["context"].update(version="2.0"), "/context/version", "2.0.0"),
        (lambda d: d["context"].pop("ttl"), "/context", "ttl"),
        (lambda d: d["context"].update(messageId="msg-1"), "/context/messageId", "msg-1"),
        (lambda d: d["context"].update(colour="red"), "/context", "colour"),
        (lambda d: d["message"].update(order={}), "/message", "order"),
        (lambda d: d["message"]["contract"].pop("commitments"), "/message/contract", "commitments"),
        (lambda d: d["message"]["contract"].update(commitments=[]), "/message/contract/commitments", "[]"),
        (lambda d: d["message"]["contract"]["status"].update(code="CONFIRMED"), "/message/contract/status/code", "CONFIRMED"),
        (
            lambda d: _curve(d).update(currency="euro"),
            "/message/contract/contractAttributes/roles/0/roleInputs/offerCurve/currency",
            "euro",
        ),
        (
            lambda d: _curve(d)["curve"][1].update(powerKW="0"),
            "/message/contract/contractAttributes/roles/0/roleInputs/offerCurve/curve/1/powerKW",
            "number",
        ),
        (lambda d: d["context"].update(action="init"), "/context/action", "endpoint"),
    ],
)  # fmt: skip
def test_a_malformed_message_is_refused_with_the_pointer_of_the_culprit(change: Any, pointer: str, says: str) -> None:
    with pytest.raises(Refusal) as refused:
        decode("confirm", broken(change))
    assert refused.value.code is Code.SCH_SCHEMA_VALIDATION_FAILED
    assert refused.value.where == pointer
    assert says in refused.value.what


def _curve(document: Any) -> Any:
    attributes = document["message"]["contract"]["contractAttributes"]
    return attributes["roles"][0]["roleInputs"]["offerCurve"]


def test_all_faults_of_a_message_are_named_at_once() -> None:
    def change(document: Any) -> None:
        document["context"]["version"] = "1.1"
        _curve(document)["curve"][0]["powerKW"] = "x"

    with pytest.raises(Refusal, match=r"version.*powerKW|powerKW.*version"):
        decode("confirm", broken(change))


def test_what_is_not_json_and_what_is_no_action_are_refused_by_their_codes() -> None:
    with pytest.raises(Refusal) as refused:
        decode("confirm", b'{"context":')
    assert refused.value.code is Code.SCH_INVALID_JSON
    with pytest.raises(Refusal) as refused:
        decode("barter", b"{}")
    assert refused.value.code is Code.SCH_TYPE_NOT_SUPPORTED


def test_nan_cannot_cross_the_wire() -> None:
    with pytest.raises(Refusal):
        decode("confirm", encode(confirm([(0.1, float("nan"))]), NOON))


@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_has_a_closed_schema_that_a_validator_accepts(action: str) -> None:
    document = schema(action)
    jsonschema_rs.Draft202012Validator(document)
    objects = [d for d in document["$defs"].values() if d.get("type") == "object"]
    assert objects
    assert all(d.get("additionalProperties") is False for d in objects)


def test_the_fast_check_and_the_json_schema_agree() -> None:
    validator = jsonschema_rs.Draft202012Validator(schema("confirm"))
    assert validator.is_valid(json.loads(encode(confirm([(0.1, -11.0)]), NOON)))
    assert not validator.is_valid(json.loads(broken(lambda d: d["context"].update(version="2.0"))))


def test_a_refusal_survives_being_rebuilt_from_its_arguments() -> None:
    refusal = Refusal(Code.NET_TIMEOUT, "/context/ttl", "late")
    again = type(refusal)(*refusal.args)
    assert (again.code, again.where, again.what) == (refusal.code, refusal.where, refusal.what)


def test_a_discover_carries_nothing_but_what_is_searched() -> None:
    message = Message("discover", "ev-07", "market", ID, ID, DiscoverContent(intent=SearchIntent(textSearch="Tariff")))
    assert json.loads(encode(message, NOON))["message"] == {"intent": {"textSearch": "Tariff"}}
