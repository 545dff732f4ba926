"""The published example messages, read where they lie: what we say of them, and what their own schemas say of what we make."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from sim.wire import codec, rc
from sim.wire.dialects import Dialect, action_of, faults, recognise, to_lts, to_rc
from sim.wire.messages import CORE_ACTIONS
from sim.wire.tables.parts import CORE_CONTEXT
from tests.external import FOLDER, needed
from tests.json_values import differences
from tests.wire.dialect_messages import CORE, ID, LTS_MESSAGES, RC_MESSAGES

pytestmark = needed

MESSAGES = FOLDER / "deg" / "messages"
FILES = sorted(str(path.relative_to(MESSAGES)) for path in MESSAGES.rglob("*.json"))


@functools.cache
def text(name: str) -> str:
    return (MESSAGES / name).read_text(encoding="utf-8")


def message(name: str) -> Any:
    return json.loads(text(name))


# --- the published schemas -----------------------------------------------------------------------------------------------


def _published_yaml(path: Path) -> Any:
    return yaml.load(path.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))


@functools.cache
def _lts() -> Any:
    return _published_yaml(FOLDER / "beckn-lts" / "beckn.yaml")


def _bodies(document: Any) -> Iterator[tuple[str, Any]]:
    """Path and schema of every request body of an OpenAPI document."""
    for path, methods in document["paths"].items():
        for method in methods.values():
            if isinstance(method, dict) and "requestBody" in method:
                yield path.strip("/"), method["requestBody"]["content"]["application/json"]["schema"]


@functools.cache
def published_lts(action: str) -> Any:
    """The validator of the published request body of an action, formats included."""
    place = {"catalog/master_search": "catalog/master/search"}.get(action, action)
    schema = dict(_bodies(_lts()))[place] | {"components": _lts()["components"]}
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True)


@functools.cache
def published_rc(action: str) -> Any:
    """The same of the release candidate, formats left out: its examples do not keep them."""
    core, context = (
        _published_yaml(FOLDER / "beckn-rc" / name)
        for name in ("schema/core/v2/attributes.yaml", "v1_transaction.yaml")
    )
    document = _published_yaml(FOLDER / "beckn-rc" / "beckn.yaml")
    base = "https://raw.githubusercontent.com/beckn"
    texts = {
        f"{base}/protocol-specifications-new/refs/heads/main/schema/core/v2/attributes.yaml": core,
        f"{base}/protocol-specifications/refs/heads/master/api/transaction/build/transaction.yaml": context,
    }
    registry = jsonschema_rs.Registry(list(texts.items()), draft=jsonschema_rs.Draft202012)
    place = {"catalog_publish": "catalog/publish", "on_catalog_publish": "catalog/on_publish"}.get(action, action)
    schema = dict(_bodies(document))[f"beckn/{place}"] | {"components": document["components"]}
    return jsonschema_rs.Draft202012Validator(schema, registry=registry, validate_formats=False)


def complaints(validator: Any, document: Any) -> list[str]:
    return [f"/{'/'.join(map(str, error.instance_path))}: {error.message}" for error in validator.iter_errors(document)]


# --- what we say of them -------------------------------------------------------------------------------------------------


def test_all_the_published_messages_are_there() -> None:
    assert len(FILES) == 61


@pytest.mark.parametrize("name", FILES)
def test_a_published_message_is_recognised_and_valid(name: str) -> None:
    document = message(name)
    assert recognise(document) is Dialect.RC
    assert rc.faults(action_of(document), text(name)) == ()
    assert json.loads(rc.encode(rc.decode(action_of(document), text(name)))) == document


@pytest.mark.parametrize("name", FILES)
def test_the_published_schema_and_ours_agree_that_it_is_valid(name: str) -> None:
    document = message(name)
    assert complaints(published_rc(action_of(document)), document) == []


@pytest.mark.parametrize("name", FILES)
def test_a_published_message_becomes_a_valid_canonical_one(name: str) -> None:
    canonical = to_lts(message(name)).document
    action = action_of(canonical)
    assert codec.faults(action, json.dumps(canonical)) == ()
    assert complaints(published_lts(action), canonical) == []


@pytest.mark.parametrize("name", FILES)
def test_a_published_message_comes_back_as_it_was_but_where_the_notes_say(name: str) -> None:
    original = message(name)
    there = to_lts(original)
    back = to_rc(there.document)
    assert faults(back.document) == ()
    noted = {note.pointer for note in there.notes}
    assert set(differences(original, back.document)) <= noted
    # An order's id is changed on the way and noted, and comes back all the same.
    lost = {"/context/transaction_id", "/context/message_id", "/message/feedbackForm"}
    assert set(differences(original, back.document)) <= lost


def test_the_messages_of_one_transaction_still_belong_together() -> None:
    flow = [name for name in FILES if name.startswith("p2p-trading/v2/")]
    pairs = {
        (message(name)["context"]["transaction_id"], to_lts(message(name)).document["context"]["transactionId"])
        for name in flow
    }
    assert len(pairs) == len({name for name, _ in pairs}) == len({made for _, made in pairs})
    assert len(pairs) > 1


@pytest.mark.parametrize("name", FILES)
def test_a_conversion_leaves_what_it_was_given_alone(name: str) -> None:
    document = message(name)
    before = copy.deepcopy(document)
    to_rc(to_lts(document).document)
    assert document == before


# --- what we refuse ------------------------------------------------------------------------------------------------------

Path_ = tuple[str | int, ...]


class Walk:
    """Schema and instance, walked together: which fields are required, which words are of a list, which text is a date."""

    def __init__(self, schema: Any, document: Any) -> None:
        self._defs = schema["$defs"]
        self.required: list[Path_] = []
        self.enums: list[Path_] = []
        self.dates: list[Path_] = []
        self._walk(schema, document, ())

    def _resolve(self, schema: Any, value: Any) -> Any:
        while "$ref" in schema:
            schema = self._defs[schema["$ref"].rpartition("/")[2]]
        if "discriminator" in schema:
            return self._resolve({"$ref": schema["discriminator"]["mapping"][value["@type"]]}, value)
        if "anyOf" in schema:
            kind = {dict: "object", list: "array", str: "string", type(None): "null"}.get(type(value), "number")
            branches = [self._resolve(branch, value) for branch in schema["anyOf"]]
            return next(branch for branch in branches if branch.get("type", kind) == kind)
        return schema

    def _walk(self, schema: Any, value: Any, path: Path_) -> None:
        schema = self._resolve(schema, value)
        if "enum" in schema:
            self.enums.append(path)
        if isinstance(value, str) and "date-time" in schema.get("description", ""):
            self.dates.append(path)
        if isinstance(value, dict):
            self.required += [(*path, key) for key in schema.get("required", ())]
            for key, inner in value.items():
                if key in schema.get("properties", {}):
                    self._walk(schema["properties"][key], inner, (*path, key))
        elif isinstance(value, list) and isinstance(schema.get("items"), dict):
            for index, inner in enumerate(value):
                self._walk(schema["items"], inner, (*path, index))


def changed(document: Any, path: Path_, change: Any) -> str:
    document = copy.deepcopy(document)
    around = document
    for step in path[:-1]:
        around = around[step]
    change(around, path[-1])
    return json.dumps(document)


def delete(around: Any, key: Any) -> None:
    del around[key]


def rename(around: Any, key: Any) -> None:
    around[key] = f"{around[key]}X"


def misdate(around: Any, key: Any) -> None:
    """The thirteenth month, or the twenty-fifth hour."""
    text_ = around[key]
    around[key] = f"{text_[:5]}13{text_[7:]}" if "-" in text_[:8] else f"25{text_[2:]}"


@pytest.mark.parametrize("name", FILES)
def test_a_published_message_with_one_thing_wrong_is_refused(name: str) -> None:
    document = message(name)
    action = action_of(document)
    walk = Walk(rc.schema(action), document)
    assert walk.required
    assert walk.enums
    assert walk.dates
    for change, paths in ((delete, walk.required), (rename, walk.enums), (misdate, walk.dates)):
        passed = [path for path in paths if not rc.faults(action, changed(document, path, change))]
        assert passed == [], change.__name__


@pytest.mark.parametrize("name", FILES)
def test_the_same_holds_of_what_it_becomes(name: str) -> None:
    document = to_lts(message(name)).document
    action = action_of(document)
    walk = Walk(codec.schema(action), document)
    assert walk.required
    for change, paths in ((delete, walk.required), (rename, walk.enums), (misdate, walk.dates)):
        passed = [path for path in paths if not codec.faults(action, changed(document, path, change))]
        assert passed == [], change.__name__


# --- our own messages before the published schema ------------------------------------------------------------------------


@pytest.mark.parametrize("action", LTS_MESSAGES)
def test_a_message_of_ours_satisfies_the_published_schema(action: str) -> None:
    assert complaints(published_lts(action), LTS_MESSAGES[action]) == []


@pytest.mark.parametrize("action", RC_MESSAGES)
def test_what_we_write_of_the_release_candidate_satisfies_its_schema(action: str) -> None:
    """Under the JSON-LD context that it names: its catalogues accept no other."""
    document = json.loads(json.dumps(RC_MESSAGES[action]).replace(CORE, CORE_CONTEXT))
    if action == "cancel":
        # Of two forms of a line it takes exactly one, and whatever is of the first is of the second.
        del document["message"]["order"]["beckn:orderItems"]
    assert complaints(published_rc(action), document) == []
    again = to_rc(to_lts(document).document).document
    assert complaints(published_rc(action), again) == []


def test_there_is_a_published_schema_for_every_core_action_that_is_posted() -> None:
    unposted = {"catalog/on_subscription", "on_catalog_pull", "on_catalog_master_search"}
    for action in CORE_ACTIONS.keys() - unposted:
        published_lts(action)


def test_the_published_schemas_do_refuse_what_is_wrong() -> None:
    """Otherwise a reference that leads nowhere would make everything above pass."""
    for change in ({"id": "order-1"}, {"status": {"code": "MADE"}}, {"commitments": []}):
        wrong = copy.deepcopy(LTS_MESSAGES["confirm"])
        wrong["message"]["contract"].update(change)
        assert complaints(published_lts("confirm"), wrong)
    wrong = message("p2p-trading/v2/init-request.json")
    del wrong["message"]["order"]["beckn:buyer"]["beckn:id"]
    assert complaints(published_rc("init"), wrong)
    assert not complaints(published_lts("status"), LTS_MESSAGES["status"])
    assert LTS_MESSAGES["status"]["message"]["contract"]["id"] == ID
