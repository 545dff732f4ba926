"""What is signed has one form in bytes, and what has two readings is not signed."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from nacl.bindings import crypto_sign

from sim.canonical import LARGEST, canonical, hashed, read
from sim.errors import ContractError
from sim.trust.attest import attest, is_attested
from sim.trust.signature import derive

CASES: dict[str, Any] = json.loads((Path(__file__).parents[1] / "golden" / "trust.json").read_bytes())["cases"]
TRAPS = CASES["canonicalisation-traps"]

scalars = st.none() | st.booleans() | st.integers(-LARGEST, LARGEST) | st.text()
signable = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12
)


def test_hash_chain_3_events() -> None:
    case, before = CASES["hash-chain-3-events"], "0" * 64
    for link in case["events"]:
        assert link["event"]["prev"] == before
        before = link["hash"]
        assert hashed(canonical(link["event"])) == f"sha256:{before}"
    assert before == case["head"]


@pytest.mark.parametrize("text", TRAPS["refused"])
def test_a_text_with_two_readings_is_refused(text: str) -> None:
    with pytest.raises(ContractError):
        read(text.encode())


@pytest.mark.parametrize("text", TRAPS["signed"])
def test_a_text_with_one_reading_is_signed_as_it_stands(text: str) -> None:
    assert canonical(read(text.encode())) == text.encode()


def test_letters_that_look_alike_stay_different() -> None:
    assert canonical("é") != canonical("e\u0301")


def test_a_sum_of_decimals_is_its_text() -> None:
    assert canonical({"kwh": str(Decimal("0.1") + Decimal("0.2"))}) == b'{"kwh":"0.3"}'


@given(signable)
def test_canonical_bytes_are_those_of_rfc_8785_and_are_read_back(value: Any) -> None:
    raw = canonical(value)
    assert raw == rfc8785.dumps(value)
    assert read(raw) == value


def test_keys_beyond_the_basic_plane_sort_as_rfc_8785_says() -> None:
    assert canonical({"\U0001f600": 1, "\ue000": 2}) == '{"\U0001f600":1,"\ue000":2}'.encode()


@pytest.mark.parametrize(
    ("value", "where", "what"),
    [
        (0.5, "/", "0.5 is a float, which is never signed"),
        ({"a": [1, 2.0]}, "/a/1", "2.0 is a float, which is never signed"),
        ({"a/b~": Decimal("0.30")}, "/a~1b~0", "Decimal('0.30') is a Decimal, which is never signed"),
        (float("nan"), "/", "nan is a float, which is never signed"),
        ([LARGEST + 1], "/0", f"{LARGEST + 1} is beyond 2^53 - 1"),
        ({"a": "\ud800"}, "/a", r"'\ud800' holds half of a character"),
        ({"\udc00": 1}, "/", r"'\udc00' holds half of a character"),
        ({1: 1}, "/", "the key 1 is not a text"),
        ({"a": {1, 2}}, "/a", "{1, 2} is a set, which is never signed"),
    ],
)
def test_a_value_that_is_not_signed_is_named(value: Any, where: str, what: str) -> None:
    with pytest.raises(ContractError) as refused:
        canonical(value, "an event")
    assert [(fault.where, fault.what) for fault in refused.value.faults] == [(where, what)]


def test_all_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(ContractError) as refused:
        canonical({"a": 0.1, "b": [0.2, LARGEST * 2]})
    assert [fault.where for fault in refused.value.faults] == ["/a", "/b/0", "/b/1"]


def test_what_is_nested_without_end_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ContractError, match="nested too deeply"):
        canonical(deep)
    with pytest.raises(ContractError):
        read(b"[" * 100_000)


def test_a_name_of_a_list_of_names_is_its_text() -> None:
    class Colour(StrEnum):
        RED = "red"

    assert canonical({"c": Colour.RED, "t": ("a", 1)}) == b'{"c":"red","t":["a",1]}'


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('{"a":1,"a":2}', "twice in one object"),
        ("[0.1]", "0.1 is a fraction; decimals are signed as text"),
        ("NaN", "NaN is no number"),
        ("-0", "-0 is not an integer that every reader knows"),
        ('{"b":1,"a":1}', "is not in canonical form"),
        ("{", "is not JSON"),
    ],
)
def test_bytes_are_refused_with_the_reason(text: str, what: str) -> None:
    with pytest.raises(ContractError, match=what):
        read(text.encode(), "an event")


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(ContractError, match="is not JSON"):
        read(b'"\xff"')


@given(st.text(), st.text(), st.text(), st.text())
def test_a_signature_is_of_one_party_in_one_role_under_one_hash(era: str, role: str, other: str, digest: str) -> None:
    key = derive(1, era)
    signature = attest(key, role, digest)
    assert is_attested(signature, key.public, era, role, digest)
    for said in ((other, role, digest), (era, other, digest), (era, role, other)):
        assert is_attested(signature, key.public, *said) is (said == (era, role, digest))
    assert not is_attested(signature, derive(2, era).public, era, role, digest)


@pytest.mark.parametrize("public", [b"", b"short", bytes(33)])
def test_what_is_no_key_signed_nothing(public: bytes) -> None:
    assert not is_attested(attest(derive(1, "a"), "r", "d"), public, "a", "r", "d")


def test_a_signature_of_more_than_the_statement_attests_nothing() -> None:
    key = derive(1, "a")
    statement = b'["d","r","a"]'
    signed = crypto_sign(b"more" + statement, key.secret)
    assert not is_attested("ed25519:" + base64.b64encode(signed[:68]).decode(), key.public, "a", "r", "d")
    signed = crypto_sign(statement, key.secret)
    assert is_attested("ed25519:" + base64.b64encode(signed[:64]).decode(), key.public, "a", "r", "d")


def test_a_role_does_not_run_over_into_an_address() -> None:
    key = derive(1, "b\nc")
    assert not is_attested(attest(key, "a", "d"), key.public, "c", "a\nb", "d")


@pytest.mark.parametrize(
    "signature", ["", "ed25519:", "ed25519:AAAA", "ed25519:é", "ed25519:" + "A" * 86 + "==", "rsa:AAAA"]
)
def test_what_is_no_signature_attests_nothing(signature: str) -> None:
    assert not is_attested(signature, derive(1, "a").public, "a", "r", "d")
