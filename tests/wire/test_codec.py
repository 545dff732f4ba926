"""What may cross the wire, and what is refused with which pointer."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.wire.bags import ENERGY, ContractRole, CurvePoint, EnergyContract, OfferCurve, RoleInputs, TimeWindow
from sim.wire.codec import decode, encode, faults, schema
from sim.wire.codes import Code, Refusal
from sim.wire.core import (
    Commitment,
    CommitmentCode,
    CommitmentStatus,
    CommittedOffer,
    CommittedResource,
    Contract,
    ContractStatus,
    Quantity,
    SearchIntent,
)
from sim.wire.examples import EXAMPLES, example_bytes
from sim.wire.messages import ACTIONS, ContractContent, DiscoverContent, Message
from tests.json_values import places, value_at

ID = "752c9cce-0559-8d41-81b8-f45f5683fbc0"
CURVE = "/message/contract/contractAttributes/roles/0/roleInputs/offerCurve"
NOON = "2016-05-17T12:00:00+02:00"


def confirm(points: list[tuple[float, float]]) -> Message:
    curve = OfferCurve(
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
                status=CommitmentStatus(descriptor=CommitmentCode(code="DRAFT")),
                resources=(CommittedResource(id="ev-07", quantity=Quantity(value=-11.0, unitCode="KW")),),
                offer=CommittedOffer(id="market/prosumer", resourceIds=("ev-07",)),
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
    message = confirm(list(zip(sorted(p for p, _ in points), sorted(q for _, q in points), strict=True)))
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
    ("change", "code", "pointer", "says"),
    [
        (lambda d: d["context"].update(version="2.0"), "SCH_INVALID_ENUM", "/context/version", 'expected 2.0.0, got "2.0"'),
        (lambda d: d["context"].pop("ttl"), "SCH_REQUIRED_FIELD_MISSING", "/context", "expected a field 'ttl', got none"),
        (lambda d: d["context"].update(messageId="msg-1"), "SCH_INVALID_FORMAT", "/context/messageId", 'expected a UUID, got "msg-1"'),
        (lambda d: d["context"].update(timestamp="2025-02-29T12:00:00Z"), "SCH_INVALID_FORMAT", "/context/timestamp", "expected an RFC 3339 date-time"),
        (lambda d: d["context"].update(tl="PT3S"), "SCH_FIELD_NOT_ALLOWED", "/context", "expected no field 'tl' (did you mean ttl?), got \"PT3S\""),
        (lambda d: d["message"].update(order={}), "SCH_FIELD_NOT_ALLOWED", "/message", "expected no field 'order'"),
        (lambda d: d["message"]["contract"].pop("commitments"), "SCH_REQUIRED_FIELD_MISSING", "/message/contract", "commitments"),
        (lambda d: d["message"]["contract"].update(commitments=[]), "SCH_SCHEMA_VALIDATION_FAILED", "/message/contract/commitments", "expected at least 1 elements, got 0"),
        (lambda d: d["message"]["contract"]["status"].update(code="CONFIRMED"), "SCH_INVALID_ENUM", "/message/contract/status/code", "one of ACTIVE, CANCELLED, COMPLETE, DRAFT"),
        (lambda d: d["message"]["contract"]["contractAttributes"].update({"@type": "EnergyContact"}), "SCH_TYPE_NOT_SUPPORTED", "/message/contract/contractAttributes", "did you mean EnergyContract?"),
        (lambda d: d["message"]["contract"]["contractAttributes"].pop("@type"), "SCH_REQUIRED_FIELD_MISSING", "/message/contract/contractAttributes", "expected @type, one of EnergyContract,"),
        (lambda d: _curve(d).update(currency="euro"), "SCH_INVALID_FORMAT", f"{CURVE}/currency", 'expected an ISO 4217 code, got "euro"'),
        (lambda d: _curve(d)["curve"][1].update(powerKW="0"), "SCH_INVALID_FORMAT", f"{CURVE}/curve/1/powerKW", 'expected number, got "0"'),
        (lambda d: _curve(d)["curve"][1].update(powerKW=-12, price=3), "POL_CURVE_NOT_MONOTONE", f"{CURVE}/curve/1", "expected a power that never falls as the price rises, got -11 kW at 0.1 and then -12 kW at 3"),
        (lambda d: _curve(d)["curve"][1].update(price=-1), "POL_CURVE_INVALID", f"{CURVE}/curve/1", "expected ascending prices, got 0.1 and then -1"),
        (lambda d: _curve(d).update(maxExport=-1), "POL_CURVE_INVALID", f"{CURVE}/curve/1", "expected a power within minExport -11 and maxExport -1 kW, got 0 kW"),
        (lambda d: d["context"].update(action="init"), "SCH_INVALID_ENUM", "/context/action", 'expected confirm, got "init"'),
    ],
)  # fmt: skip
def test_a_malformed_message_is_refused_with_code_pointer_expected_and_got(
    change: Any, code: str, pointer: str, says: str
) -> None:
    with pytest.raises(Refusal) as refused:
        decode("confirm", broken(change))
    assert (refused.value.code, refused.value.where) == (code, pointer)
    assert says in refused.value.what


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_none_is_refused_where_it_stands(token: str) -> None:
    raw = encode(confirm([(0.1, -11.0), (0.2, 0.0)]), NOON).replace(b'"powerKW":-11.0', f'"powerKW":{token}'.encode())
    with pytest.raises(Refusal) as refused:
        decode("confirm", raw)
    assert refused.value.code is Code.SCH_INVALID_JSON
    assert refused.value.where == f"{CURVE}/curve/0/powerKW"
    assert "a finite number" in refused.value.what


def test_what_is_nested_without_end_is_refused_and_not_followed() -> None:
    raw = b'{"context":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    with pytest.raises(Refusal) as refused:
        decode("confirm", raw)
    assert refused.value.code is Code.SCH_INVALID_JSON


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


ODD = (
    None,
    True,
    0,
    -1,
    0.5,
    1e9,
    "",
    "x",
    "12",
    "PT30S\n",
    "PT３０S",
    "2025-02-29T00:00:00Z",
    "EUR",
    "euro",
    [],
    {},
    [[]],
    "ACTIVE",
)


@settings(max_examples=400)
@given(st.data())
def test_the_fast_check_refuses_what_the_whole_check_refuses_but_for_a_bag_that_does_not_say_its_type(
    data: st.DataObject,
) -> None:
    action = data.draw(st.sampled_from(sorted(EXAMPLES)))
    document = json.loads(example_bytes(data.draw(st.sampled_from(EXAMPLES[action]))))
    path = data.draw(st.sampled_from([path for path in places(document) if path[-1] != "@type"]))
    parent = value_at(document, path[:-1])
    if data.draw(st.booleans()):
        parent[path[-1]] = data.draw(st.sampled_from(ODD))
    else:
        parent.pop(path[-1])
    raw = json.dumps(document).encode()
    try:
        decode(action, raw)
        accepted = True
    except Refusal:
        accepted = False
    assert accepted == (faults(action, raw) == ())


def test_a_refusal_survives_being_rebuilt_from_its_arguments() -> None:
    refusal = Refusal(Code.NET_TIMEOUT, "/context/ttl", "late")
    again = type(refusal)(*refusal.args)
    assert (again.code, again.where, again.what) == (refusal.code, refusal.where, refusal.what)


def test_a_discover_carries_nothing_but_what_is_searched() -> None:
    message = Message("discover", "ev-07", "market", ID, ID, DiscoverContent(intent=SearchIntent(textSearch="Tariff")))
    assert json.loads(encode(message, NOON))["message"] == {"intent": {"textSearch": "Tariff"}}
