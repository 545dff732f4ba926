"""Signatures as the core specification writes them, byte for byte."""

from __future__ import annotations

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.trust.signature import (
    COUNTERSIGNED,
    check_times,
    countersign,
    derive,
    key_of,
    parse,
    sign,
    verify,
    verify_countersignature,
)
from sim.wire.codec import body_digest
from sim.wire.codes import Code, Refusal

BODY = b'{"context":{"action":"status"},"message":{}}'
CREATED, EXPIRES = 1700000000, 1700000300
KEY = key_of("ev-app.example.com", "k1", bytes(range(32)), bytes(32))
LTS_PATTERN = (
    r'^Signature keyId="[^|"]+\|[^|"]+\|[^"]+",algorithm="[^"]+",created="\d+",expires="\d+",headers="[^"]+",'
    r'signature="[A-Za-z0-9+/]+=*"$'
)


def header(body: bytes = BODY) -> str:
    return sign(KEY, body_digest(body), CREATED, EXPIRES)


def code_of(text: str | None, body: bytes = BODY, key: bytes = KEY.public) -> str:
    try:
        verify(parse(text), body_digest(body), key)
    except Refusal as refusal:
        return refusal.code
    return "fine"


def test_the_vector_is_reproduced_byte_for_byte() -> None:
    assert base64.b64encode(KEY.public) == b"A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
    digest = "9A2OP9v1OBaeubu7+cnYbilE/ElnDQZhXL2rWaDw7SKk+i24foCe1OMwv2Ywrle30x1nMAemKwk9ubSnE5WSow=="
    assert body_digest(BODY) == f"BLAKE-512={digest}"
    signature = "ctNEb2KX51y80UQkVfzsmio3bxcG2fhWKVziqH2R40xk7tFkIEoS5zf3NijhrgPV7ql4vuBdt4erYanzowUFDw=="
    assert header() == (
        'Signature keyId="ev-app.example.com|k1|ed25519",algorithm="ed25519",created="1700000000",expires="1700000300",'
        f'headers="(created) (expires) digest",signature="{signature}"'
    )
    assert code_of(header()) == "fine"


def test_a_header_has_the_form_that_the_core_specification_prints() -> None:
    assert re.match(LTS_PATTERN, header())
    assert re.match(LTS_PATTERN, countersign(KEY, b"{}", CREATED, EXPIRES, body_digest(BODY), "m-1"))


@given(st.integers(0, len(BODY) * 8 - 1))
def test_a_flipped_bit_of_the_body_is_found(bit: int) -> None:
    changed = bytearray(BODY)
    changed[bit // 8] ^= 1 << bit % 8
    assert code_of(header(), bytes(changed)) == "AUT_SIGNATURE_INVALID"


@given(st.integers(0, len(header()) - 1), st.characters(codec="utf-8"))
def test_a_header_with_another_character_never_passes_but_where_it_names_the_key(at: int, character: str) -> None:
    changed = header()[:at] + character + header()[at + 1 :]
    if changed != header():
        named = range(len('Signature keyId="'), len('Signature keyId="ev-app.example.com|k1'))
        assert code_of(changed).startswith("AUT_") or at in named


def test_another_key_does_not_fit() -> None:
    assert code_of(header(), key=derive(1, "other").public) == "AUT_SIGNATURE_INVALID"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda _: None, "AUT_SIGNATURE_MISSING"),
        (lambda _: "", "AUT_SIGNATURE_INVALID"),
        (lambda h: h.replace(",", ", "), "AUT_SIGNATURE_INVALID"),
        (lambda h: h.replace('"1700000000"', "1700000000"), "AUT_SIGNATURE_INVALID"),
        (lambda h: h.replace("1700000000", "1700000001"), "AUT_SIGNATURE_INVALID"),
        (lambda h: h.replace("1700000000", "17e8"), "AUT_SIGNATURE_INVALID"),
        (lambda h: h.replace("1700000000", "１７"), "AUT_SIGNATURE_INVALID"),
        (lambda h: h.replace("|ed25519", "|rsa"), "AUT_SIGNATURE_INVALID"),
        (lambda h: h.replace('algorithm="ed25519"', 'algorithm="hs2019"'), "AUT_SIGNATURE_INVALID"),
        (lambda h: h.replace("|k1|", "|"), "AUT_SIGNATURE_INVALID"),
        (lambda h: h.replace("(created) (expires) digest", "digest"), "AUT_SIGNATURE_INVALID"),
        (lambda h: h.replace("==", ""), "AUT_SIGNATURE_INVALID"),
    ],
)
def test_a_header_that_is_missing_or_of_another_form_is_refused(change, code: str) -> None:  # type: ignore[no-untyped-def]
    assert code_of(change(header())) == code


@pytest.mark.parametrize(
    ("now", "says"),
    [(CREATED - 5, ""), (CREATED - 6, "6 s in the future"), (EXPIRES, ""), (EXPIRES + 1, "expired 1 s ago")],
)
def test_a_signature_may_be_five_seconds_early_and_not_one_late(now: int, says: str) -> None:
    if not says:
        check_times(parse(header()), now)
        return
    with pytest.raises(Refusal, match=says) as refused:
        check_times(parse(header()), now)
    assert refused.value.code is Code.AUT_SIGNATURE_INVALID


def test_an_acknowledgement_is_bound_to_its_own_body_and_to_the_request() -> None:
    digest = body_digest(BODY)
    text = parse(countersign(KEY, b'{"status":"ACK"}', CREATED, EXPIRES, digest, "m-1"))
    assert text.headers == COUNTERSIGNED
    verify_countersignature(text, b'{"status":"ACK"}', digest, "m-1", KEY.public)
    for ack, request, message_id in (
        (b'{"status":"NACK"}', digest, "m-1"),
        (b'{"status":"ACK"}', body_digest(b""), "m-1"),
        (b'{"status":"ACK"}', digest, "m-2"),
    ):
        with pytest.raises(Refusal):
            verify_countersignature(text, ack, request, message_id, KEY.public)


def test_neither_signature_passes_for_the_other() -> None:
    digest = body_digest(BODY)
    receipt = countersign(KEY, BODY, CREATED, EXPIRES, digest, "m-1")
    assert code_of(receipt) == "AUT_SIGNATURE_INVALID"
    with pytest.raises(Refusal):
        verify_countersignature(parse(header()), BODY, digest, "m-1", KEY.public)


def test_keys_depend_on_the_seed_the_subscriber_and_the_generation_alone() -> None:
    assert derive(1, "ev-01").public == derive(1, "ev-01").public
    keys = {derive(seed, name, n).public for seed in (1, 2) for name in ("ev-01", "ev-02") for n in (1, 2)}
    assert len(keys) == 8


def test_a_key_does_not_show_its_secret() -> None:
    assert "secret" not in repr(derive(1, "ev-01"))
