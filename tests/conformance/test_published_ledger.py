"""The published interface of the trade ledger, read where it lies, against our bodies of its three requests and two answers."""

from __future__ import annotations

import copy
import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest
import yaml

from sim.wire import codec
from sim.wire.basics import Wire
from sim.wire.codes import Code
from sim.wire.examples import EXAMPLES, example_bytes
from sim.wire.messages import ANSWERS, AUXILIARY_ACTIONS, Message
from sim.wire.trade_ledger import LedgerGet, LedgerPut, LedgerReceipt, LedgerRecord, LedgerRow, LedgerRows
from tests.external import FOLDER, needed

pytestmark = needed

TYPES: dict[str, type[Wire]] = {
    "ledgerPutRequest": LedgerPut,
    "ledgerGetRequest": LedgerGet,
    "ledgerRecordRequest": LedgerRecord,
    "ledgerWriteResponse": LedgerReceipt,
    "ledgerGetResponse": LedgerRows,
    "ledgerRecord": LedgerRow,
}
"""Our type of each published schema."""


@functools.cache
def published() -> Any:
    path: Path = FOLDER / "deg" / "deg_contract_ledger.yaml"
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def schema(name: str) -> Any:
    return published()["components"]["schemas"][name]


def validator(name: str) -> Any:
    whole = {"$ref": f"#/components/schemas/{name}", "components": published()["components"]}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)


def requests() -> Iterator[tuple[str, str, Any]]:
    """Action, name of the schema, and every request that is published as an example of it."""
    for path, item in published()["paths"].items():
        body = item["post"]["requestBody"]["content"]["application/json"]
        for example in body["examples"].values():
            yield path.strip("/"), body["schema"]["$ref"].rpartition("/")[2], example["value"]


def answers() -> Iterator[tuple[str, str, Any]]:
    """The same of every answer, by the action that it answers."""
    for path, item in published()["paths"].items():
        for status, response in item["post"]["responses"].items():
            body = response["content"]["application/json"]
            for example in body.get("examples", {}).values():
                if status == "200":
                    yield ANSWERS[path.strip("/")], body["schema"]["$ref"].rpartition("/")[2], example["value"]


def carried(action: str, content: Any) -> bytes:
    """A published body in the envelope of every message."""
    envelope = json.loads(example_bytes(EXAMPLES[action][0]))
    return json.dumps(envelope | {"message": content}).encode()


def test_every_published_path_is_an_action_and_its_answer_a_callback() -> None:
    paths = {path.strip("/") for path in published()["paths"]}
    assert paths == {action for action in AUXILIARY_ACTIONS if action in ANSWERS and action.startswith("ledger/")}
    assert len(list(requests())) == 5
    assert len(list(answers())) == 2


def test_every_published_example_is_a_body_of_ours_and_comes_back_as_it_was() -> None:
    for action, name, value in (*requests(), *answers()):
        assert codec.faults(action, carried(action, value)) == ()
        read = msgspec.convert(value, TYPES[name])
        assert json.loads(msgspec.json.encode(read)) == value


@pytest.mark.parametrize("name", TYPES)
def test_our_types_have_the_published_fields_and_require_the_same(name: str) -> None:
    info = msgspec.json.schema(TYPES[name])["$defs"][TYPES[name].__name__]
    assert set(info["properties"]) == set(schema(name)["properties"])
    assert set(info["required"]) == set(schema(name)["required"]) if "required" in schema(name) else True
    assert info["additionalProperties"] is schema(name)["additionalProperties"] is False


def words(value: Any) -> Iterator[frozenset[str]]:
    """Every list of words in a schema."""
    if isinstance(value, dict):
        if "enum" in value:
            yield frozenset(value["enum"])
        for inner in value.values():
            yield from words(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from words(inner)


def test_our_lists_of_words_are_the_published_ones() -> None:
    ours = {found for kind in TYPES.values() for found in words(msgspec.json.schema(kind))}
    theirs = {
        found for name, part in published()["components"]["schemas"].items() if name != "error" for found in words(part)
    }
    assert ours == theirs


def test_codes_of_ours_that_the_published_ledger_names_too() -> None:
    """It says missing fields and inner errors in words of its own; one of its examples has a code that its own list lacks."""
    codes = set(schema("error")["properties"]["code"]["enum"])
    assert codes - set(Code) == {"SCH_MISSING_REQUIRED", "SRV_INTERNAL_ERROR"}
    text = json.dumps(published()["paths"])
    assert set(re.findall(r'"code": "(\w+)"', text)) - codes == {"NOT_FOUND"}


def ledger_examples() -> Iterator[tuple[Message, str]]:
    for action in AUXILIARY_ACTIONS:
        kind = AUXILIARY_ACTIONS[action]
        for message in EXAMPLES[action]:
            yield from ((message, name) for name, ours in TYPES.items() if ours is kind)


def test_every_example_of_ours_is_valid_by_the_published_schema() -> None:
    found = list(ledger_examples())
    assert len(found) == 10
    for message, name in found:
        assert [e.message for e in validator(name).iter_errors(json.loads(example_bytes(message))["message"])] == []


@pytest.mark.parametrize(("action", "name", "value"), list(requests()) if FOLDER.is_dir() else [])
def test_a_published_example_with_one_thing_wrong_is_refused_by_both(action: str, name: str, value: Any) -> None:
    wrongs = [value | {"unheardOf": 1}]
    wrongs += [value | {field: 7} for field in value if isinstance(value[field], str)]
    wrongs += [
        value | {field: "x"} for field in value if field.startswith(("status", "role")) or field.endswith("Time")
    ]
    wrongs += [{k: v for k, v in value.items() if k != field} for field in schema(name).get("required", ())]
    if "tradeDetails" in value:
        wrong = copy.deepcopy(value)
        wrong["tradeDetails"][0]["tradeUnit"] = "MWH"
        wrongs.append(wrong)
    for wrong in wrongs:
        assert not validator(name).is_valid(wrong), wrong
        assert codec.faults(action, carried(action, wrong)), wrong
