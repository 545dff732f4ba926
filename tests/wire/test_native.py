"""Native messages inside bags."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sim.rng import identifier
from sim.wire.bags import ENERGY, EnergyDelivery, MeterReading, NativePayload, TimeWindow
from sim.wire.codes import Code, Refusal
from sim.wire.core import Performance
from sim.wire.messages import ContractContent, Message
from sim.wire.native import LARGEST_BYTES, unwrap, wrap
from tests.test_bus import Network, raw_of
from tests.wire.test_codec import NOON, confirm

OCPP = (
    b'[2,"19223201","SetChargingProfile",{"evseId":1,  "chargingProfile":{"id":1,"stackLevel":0,'
    b'"chargingProfilePurpose":"TxProfile","chargingProfileKind":"Absolute","chargingSchedule":[{"id":1,'
    b'"chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":33.3}]}]}}]'
)
OCPI = b'{"id":"CDR-1","currency":"EUR","total_energy":5.5,\n "total_cost":{"excl_vat":99.00,"incl_vat":116.82}}'
OSCP = b'{"group_id":"g-1","type":"CONSUMPTION","forecasted_blocks":[{"capacity":45.0,"phase":"ALL","unit":"KW"}]}'
SEP = b'<DERControl xmlns="urn:ieee:std:2030.5:ns"><DERControlBase><opModFixedW>7000</opModFixedW></DERControlBase></DERControl>'
OPENADR = b'{"objectType":"EVENT","programID":"0","intervals":[{"id":0,"payloads":[{"type":"PRICE","values":[0.17]}]}]}'
OCMF = (
    b'OCMF|{"FV":"1.0","GI":"ABL","GS":"808829900001","PG":"T12345"}|{"SD":"887FABF407AC82782EEFFF2220C2F856AEB0BC22"}'
)
EXI = bytes(range(256))

CASES = {
    "OCPP": (OCPP, "application/json", "urn:native:ocpp:2.0.1:SetChargingProfileRequest", "json"),
    "OCPI": (OCPI, "application/json; charset=utf-8", "urn:native:ocpi:2.2.1:CDR", "json"),
    "OSCP": (OSCP, "application/vnd.oscp+json", "urn:native:oscp:2.0:UpdateGroupCapacityForecast", "json"),
    "IEEE 2030.5": (SEP, "application/sep+xml", "urn:ieee:std:2030.5:ns#DERControl", "utf-8"),
    "IEEE 2030.5, EXI": (EXI, "application/sep-exi", "urn:ieee:std:2030.5:ns#DERControl", "base64"),
    "OpenADR": (OPENADR, "application/json", "urn:native:openadr:3.0:Event", "json"),
    "OCPP, a long id": (b'{"transactionId":12345678901234567890}', "application/json", "urn:native:ocpp:1.6", "utf-8"),
    "signed meter data": (OCMF, "application/ocmf", "urn:native:ocmf:1.0", "utf-8"),
}


def carrying(*natives: NativePayload) -> Message:
    reading = MeterReading(
        timeWindow=TimeWindow(start=NOON, end=NOON),
        consumedEnergy=1.0,
        producedEnergy=0.0,
        unit="kWh",
        quality="ACTUAL",
    )
    bag = EnergyDelivery(ENERGY, native=natives, deliveryStatus="COMPLETED", meterId="m-1", meterReadings=(reading,))
    contract = replace(confirm([(0.1, 1.0)]).contract, performance=(Performance(id="p", performanceAttributes=bag),))
    return Message("on_status", "b", "a", identifier(1, "t"), identifier(1, "m"), ContractContent(contract=contract))


@pytest.mark.parametrize(("payload", "media_type", "profile", "encoding"), CASES.values(), ids=CASES)
def test_a_native_message_crosses_the_bus_inside_a_bag_byte_for_byte(
    payload: bytes, media_type: str, profile: str, encoding: str
) -> None:
    native = wrap(payload, media_type, profile, "urn:schema:1")
    assert native.encoding == encoding
    network = Network()
    assert network.transmit(carrying(native)) == ("ACK", "")
    (message,) = network.heard
    assert isinstance(message, Message)
    assert message.contract.performance
    bag = message.contract.performance[0].performanceAttributes
    assert isinstance(bag, EnergyDelivery)
    assert bag.native
    assert unwrap(bag.native[0]) == payload
    assert (bag.native[0].mediaType, bag.native[0].profile, bag.native[0].schemaRef) == (
        media_type,
        profile,
        "urn:schema:1",
    )


def test_whoever_parses_and_writes_json_again_on_the_way_keeps_the_digest() -> None:
    native = wrap(OCPI, "application/json", "urn:native:ocpi:2.2.1:CDR")
    rewritten = replace(native, payload=msgspec.Raw(json.dumps(json.loads(OCPI), sort_keys=True).encode()))
    assert json.loads(unwrap(rewritten)) == json.loads(OCPI)


@pytest.mark.parametrize("name", CASES)
def test_a_native_message_that_was_changed_on_the_way_is_refused(name: str) -> None:
    payload, media_type, profile, _ = CASES[name]
    native = wrap(payload, media_type, profile)
    other = wrap(b'"x"', media_type, profile)
    with pytest.raises(Refusal) as refused:
        unwrap(replace(native, payload=other.payload, encoding=other.encoding), "/message/native/0")
    assert refused.value.where == "/message/native/0/digest"


def test_what_is_too_large_goes_by_address_instead() -> None:
    assert unwrap(wrap(b"x" * LARGEST_BYTES, "text/plain", "urn:x")) == b"x" * LARGEST_BYTES
    with pytest.raises(Refusal, match="send its address and digest instead"):
        wrap(b"x" * (LARGEST_BYTES + 1), "text/plain", "urn:x")


@pytest.mark.parametrize(
    ("payload", "code"),
    [(b'{"a":', Code.SCH_INVALID_JSON), (b"NaN", Code.SCH_INVALID_JSON), (b" 1", Code.SCH_INVALID_FORMAT)],
)
def test_what_is_not_the_json_that_its_type_says_is_refused(payload: bytes, code: Code) -> None:
    with pytest.raises(Refusal) as refused:
        wrap(payload, "application/json", "urn:x")
    assert refused.value.code is code


def test_a_payload_that_is_no_base64_is_refused() -> None:
    native = replace(wrap(EXI, "application/sep-exi", "urn:x"), payload=msgspec.Raw(b'"?"'))
    with pytest.raises(Refusal) as refused:
        unwrap(native)
    assert refused.value.code is Code.SCH_INVALID_FORMAT


def test_an_unknown_field_of_the_envelope_and_an_unknown_encoding_are_refused_at_the_door() -> None:
    raw = raw_of(carrying(wrap(SEP, "application/sep+xml", "urn:x")))
    assert Network().give("on_status", raw.replace(b'"encoding":"utf-8"', b'"encoding":"exi"'))[0] == "NACK"
    assert Network().give("on_status", raw.replace(b'"profile":', b'"prof":')) == ("NACK", "SCH_REQUIRED_FIELD_MISSING")


@given(st.binary(max_size=200), st.sampled_from(["text/plain", "application/octet-stream"]))
def test_any_bytes_come_back_as_they_were(payload: bytes, media_type: str) -> None:
    assert unwrap(wrap(payload, media_type, "urn:x")) == payload


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(JSON, st.sampled_from([None, 2]), st.booleans())
def test_any_json_comes_back_as_it_was_written(value: object, indent: int | None, ascii_only: bool) -> None:
    payload = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    try:
        native = wrap(payload, "application/json", "urn:x")
    except Refusal:
        return  # what is no UTF-8 is no JSON either
    assert unwrap(msgspec.json.decode(msgspec.json.encode(native), type=NativePayload)) == payload


@pytest.mark.parametrize("payload", [b'"\xff"', b'"\xed\xa0\x80"', b"[" * 2000 + b"]" * 2000, b'{"a":1,"a":2}'])
def test_json_that_readers_would_not_agree_on_is_refused_both_ways(payload: bytes) -> None:
    with pytest.raises(Refusal):
        wrap(payload, "application/json", "urn:x")
    native = wrap(b'{"a":2}', "application/json", "urn:x")
    with pytest.raises(Refusal):
        unwrap(replace(native, payload=msgspec.Raw(payload)))
