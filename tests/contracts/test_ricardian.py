"""Text and terms belong together: each has a hash, and a third one covers both."""

from __future__ import annotations

import hashlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.contracts.readiness import is_template, readiness
from sim.contracts.ricardian import combined_hash, hashes, human_hash, human_text, machine_hash
from sim.contracts.settle import form
from tests.contracts.agreements import contract, decimals, faults

NET = {"from": "BUYER", "to": "SELLER", "name": "net", "description": "Energy", "formula": "energyKWh * pricePerKWh"}
VAT = {
    "from": "BUYER",
    "to": "GOVERNMENT",
    "name": "vat",
    "description": "VAT",
    "tax": {"rate": 0.18, "base": ["net"], "inclusive": False},
}
SOURCES = [
    {
        "sourceId": "m",
        "sourceType": "METER_READING",
        "source": {"era": "ev-1", "meterId": "7"},
        "fields": ["energyKWh"],
        "refreshInterval": "PT15M",
    }
]
CONTRACT = contract([NET, VAT], inputParameters={"pricePerKWh": 0.15}, telemetrySources=SOURCES)


def text_of(document):
    return human_text(form(document, "c.json").agreement)


def test_the_text_says_who_pays_whom_for_what():
    assert text_of(CONTRACT) == (
        "Contract c-1\n"
        "\n"
        "Parties\n"
        "- ev-1 is buyer.\n"
        "- solar-1 is seller.\n"
        "- utility-1 is grid operator.\n"
        "- treasury is government.\n"
        "\n"
        "Agreed values\n"
        "- pricePerKWh: 0.15\n"
        "\n"
        "Signals\n"
        "- m (METER_READING, meter 7), every 15 min, tells energyKWh in kWh; where it is missing, nothing is settled "
        "until it comes.\n"
        "\n"
        "Payments\n"
        "1. Energy: BUYER pays SELLER energyKWh * pricePerKWh.\n"
        "2. VAT: BUYER pays GOVERNMENT 18.00 % on top of net.\n"
        "\n"
        "Settled once, after fulfilment. Amounts are in INR, each line rounded once, half to even. "
        "What one party pays the others receive.\n"
    )


def test_the_combined_hash_covers_both():
    text = text_of(CONTRACT)
    own = hashes(CONTRACT, text)
    assert own["humanReadableTextHash"] == f"sha256:{hashlib.sha256(text.encode()).hexdigest()}" == human_hash(text)
    assert own["machineReadableHash"] == machine_hash(CONTRACT)
    assert own["combinedHash"] == combined_hash(own["humanReadableTextHash"], own["machineReadableHash"])


def test_the_hash_is_of_canonical_json_that_anybody_can_make():
    small = {"contractId": "c", "price": Decimal("0.15"), "status": "ACTIVE"}
    canonical = b'{"contractId":"c","price":0.15}'
    assert machine_hash(small) == "sha256:" + hashlib.sha256(canonical).hexdigest()


@pytest.mark.parametrize(
    "key", ["status", "events", "verification", "integrity", "ricardianContract", "settlementCycles"]
)
def test_what_happens_to_a_contract_does_not_change_its_terms(key):
    assert machine_hash({**CONTRACT, key: {"anything": 1}}) == machine_hash(CONTRACT)


@given(st.decimals(0, 10, places=30), st.decimals(0, 10, places=30))
def test_two_terms_never_share_a_hash(first, second):
    hashed = [machine_hash({"price": price}) for price in (first, second)]
    assert (hashed[0] == hashed[1]) == (first == second)


@pytest.mark.parametrize("name", ["humanReadableTextHash", "machineReadableHash", "combinedHash"])
def test_a_hash_of_something_else_is_refused(name):
    own = {"humanReadableText": text_of(CONTRACT), **hashes(CONTRACT, text_of(CONTRACT))}
    assert faults({**CONTRACT, "ricardianContract": own}) == []
    forged = {**own, name: "sha256:" + "0" * 64}
    assert [fault.partition(":")[0] for fault in faults({**CONTRACT, "ricardianContract": forged})] == [
        f"/ricardianContract/{name}"
    ]


def test_a_changed_text_or_term_shows_against_the_hashes():
    own = {"humanReadableText": text_of(CONTRACT), **hashes(CONTRACT, text_of(CONTRACT))}
    text = {**own, "humanReadableText": own["humanReadableText"].replace("18.00 %", "8.00 %")}
    assert len(faults({**CONTRACT, "ricardianContract": text})) == 2
    cheaper = decimals({**CONTRACT, "inputParameters": {"pricePerKWh": 0.10}, "ricardianContract": own})
    assert len(faults(cheaper)) == 2


# template and instance


def test_an_instance_is_ready_when_nothing_is_open():
    assert readiness(form(CONTRACT, "c.json").agreement) == ()
    assert not is_template(form(CONTRACT, "c.json").agreement)


def test_everything_that_is_open_is_named():
    document = decimals(
        {
            **CONTRACT,
            "roles": [
                {
                    "role": "BUYER",
                    "filled": False,
                    "expectedRoleInputs": [{"inputName": "targetMeterId"}, {"inputName": "note", "optional": True}],
                },
                {
                    "role": "SELLER",
                    "filledBy": "solar-1",
                    "roleInputs": {"sourceMeterId": {"type": "STRING", "required": True}},
                },
                {"role": "GOVERNMENT", "filledBy": "treasury"},
            ],
            "telemetrySources": [{"sourceId": "m", "fields": ["energyKWh"]}],
            "inputParameters": {"pricePerKWh": 0.15, "cap": None},
            "revenueFlows": {"flows": [{"from": "SELLER", "to": "GOVERNMENT", "formula": "energyKWh * pricePerKWh"}]},
        }
    )
    agreement = form(document, "c.json").agreement
    assert is_template(agreement)
    lacks = readiness(agreement, lambda era: "revoked on 2026-01-01" if era == "treasury" else "")
    assert [str(fault) for fault in lacks] == [
        "/roles/0: nobody fills the role BUYER (give it a filledBy)",
        "/inputParameters/cap: cap has no value",
        "/roles/1/roleInputs/sourceMeterId: solar-1 has not stated sourceMeterId",
        "/roles/2: the credentials of treasury are not valid: revoked on 2026-01-01",
        "/telemetrySources/0: m is not bound to anybody's meter, device or endpoint (give it a source {era, meterId} or an endpoint)",
    ]
    assert "buyer is still to be found, who states targetMeterId." in human_text(agreement)
