"""Every kind of answer against the published OpenAPI, and every kind of record against its published schema."""

from __future__ import annotations

import base64
import json
from typing import Any

import jsonschema_rs
import pytest
import yaml

from sim.trust.directory import Directory
from sim.trust.registries import (
    Details,
    Entity,
    Member,
    Membership,
    PreviousKey,
    PublicKey,
    Revocation,
    Subscriber,
    publish,
    publish_key,
    revoke,
)
from sim.trust.stamps import unix_s
from tests.external import FOLDER, needed

pytestmark = needed

NOON = unix_s("2026-06-01T12:00:00Z")
KEY = base64.b64encode(bytes(range(32))).decode()
SUBSCRIBER = Subscriber(
    subscriber_id="market.example",
    url="https://market.example/beckn",
    type="BPP",
    domain="deg:energy",
    countries=("IND",),
    signing_public_key=KEY,
)
MEMBERSHIP = Membership(
    membership_id="7", detail=Member(name="Market", url="https://market.example"), memberSince="2026-01-01"
)
METER_KEY = PublicKey(
    public_key_id="meter-1",
    publicKey=KEY,
    keyType="ed25519",
    keyFormat="base64",
    entity=Entity(name="meter 1"),
    previousKeys=(PreviousKey(publicKey=KEY, keyType="ed25519"),),
)
BESIDE = {"network_memberships"}
"""Not in the published record; network adapters look for it there."""
NEVER = {"domain"}
"""Published for a namespace; ours have none."""


def network() -> Directory:
    directory = Directory()
    publish_key(directory, "key-1", SUBSCRIBER, NOON, network_memberships=("net/energy",), valid_till_s=NOON + 99)
    publish_key(directory, "key-1", SUBSCRIBER, NOON + 1)
    publish(directory, "net", "market.example", MEMBERSHIP, NOON)
    publish(directory, "net", "meter-1", METER_KEY, NOON)
    revoke(directory, "net", "urn:uuid:1", "lost", NOON)
    directory.open("net", "revoke", NOON + 1, schema={"type": "object"})
    return directory


def resolved(part: Any, whole: dict[str, Any]) -> Any:
    """OpenAPI 3.0 as JSON Schema: references in place, null where it is allowed, and no member beyond those published."""
    if isinstance(part, list):
        return [resolved(item, whole) for item in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return resolved(whole["components"]["schemas"][part["$ref"].rsplit("/", 1)[1]], whole)
    schema = {key: resolved(value, whole) for key, value in part.items() if key != "nullable"}
    if part.get("nullable"):
        schema["type"] = [schema["type"], "null"]
    if "properties" in schema and isinstance(schema["properties"], dict):
        schema["required"] = sorted(set(schema["properties"]) - NEVER)
        schema["additionalProperties"] = False
        schema["properties"] |= {name: {"type": "array"} for name in BESIDE if "details" in schema["properties"]}
    return schema


NAMES = {"namespace": "net", "registry_name": "revoke", "record_name": "urn%3Auuid%3A1"}
PATHS = [f"/dedi/{question}/{names}" for question in ("lookup", "query", "versions") for names in ("{namespace}", "{namespace}/{registry_name}", "{namespace}/{registry_name}/{record_name}") if (question, names.count("/")) != ("query", 2)]  # fmt: skip
QUESTIONS: list[tuple[dict[str, str], int]] = [
    ({}, 200),
    ({"as_on": "2026-06-01T12:00:00Z"}, 200),
    ({"page": "9", "page_size": "1", "sort": "date"}, 200),
    ({"as_on": "2020-01-01T00:00:00Z"}, 404),
    ({"as_on": "noon", "page": "none"}, 400),
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("query", "status"), QUESTIONS)
def test_every_answer_is_as_the_published_api_has_it(path: str, query: dict[str, str], status: int) -> None:
    published = yaml.safe_load((FOLDER / "dedi" / "api" / "openapi.yaml").read_text(encoding="utf-8"))
    answer = network().answer(path.format(**NAMES), query, NOON + 5)
    if "versions" in path:
        status = 200  # takes no parameters
    assert answer.status == status
    schema = published["paths"][path]["get"]["responses"][str(status)]["content"]["application/json"]["schema"]
    validator = jsonschema_rs.Draft202012Validator(resolved(schema, published), validate_formats=True)
    assert [error.message for error in validator.iter_errors(answer.body)] == []


@pytest.mark.parametrize(
    "names", ["market.example", "market.example/subscribers.beckn.one/key-1", "net/public_key/meter-1"]
)
def test_records_of_all_kinds_are_looked_up_as_published(names: str) -> None:
    published = yaml.safe_load((FOLDER / "dedi" / "api" / "openapi.yaml").read_text(encoding="utf-8"))
    kind = "Record" if "/" in names else "Namespace"
    schema = resolved(published["components"]["schemas"][kind], published)
    for now_s in (NOON, NOON + 1):
        body = network().answer(f"/dedi/lookup/{names}", {}, now_s).body
        jsonschema_rs.Draft202012Validator(schema, validate_formats=True).validate(body["data"])


def test_all_published_paths_are_answered() -> None:
    published = yaml.safe_load((FOLDER / "dedi" / "api" / "openapi.yaml").read_text(encoding="utf-8"))
    assert set(published["paths"]) == set(PATHS)


@pytest.mark.parametrize(
    ("details", "file"),
    [
        (SUBSCRIBER, "Beckn_subscriber.json"),
        (MEMBERSHIP, "membership.json"),
        (Revocation(revoked_id="urn:uuid:1", reason="lost"), "revoke.json"),
        (METER_KEY, "public_key.json"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_details_are_as_their_published_schema_has_them(details: Details, file: str) -> None:
    directory = Directory()
    publish(directory, "net", "x", details, NOON)
    written = directory.answer(f"/dedi/lookup/net/{details.registry}/x", {}, NOON).body["data"]["details"]
    schema = json.loads((FOLDER / "dedi" / "schemas" / file).read_text(encoding="utf-8"))
    jsonschema_rs.Draft7Validator(schema, validate_formats=True).validate(written)
    assert set(written) <= set(schema["properties"])
