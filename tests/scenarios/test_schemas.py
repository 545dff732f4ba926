"""What ``degsim schema --out`` writes, and what it leaves alone."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from scenarios import cli, schemas
from sim.errors import MessageError
from sim.wire.bags import BAGS, ENERGY
from sim.wire.examples import EXAMPLES
from sim.wire.messages import AUXILIARY_ACTIONS, CORE_ACTIONS

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("schemas")
    schemas.write(folder)
    return folder


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_every_action_every_bag_and_every_example_is_a_file(written: Path) -> None:
    expected = {"scenario.schema.json", "energy/v1/context.jsonld"}
    expected |= {f"messages/{action.replace('/', '_')}.schema.json" for action in CORE_ACTIONS}
    expected |= {f"auxiliary/{action.replace('/', '_')}.schema.json" for action in AUXILIARY_ACTIONS}
    expected |= {f"bags/{bag.__name__}.schema.json" for bag in BAGS}
    for action, messages in EXAMPLES.items():
        name = action.replace("/", "_")
        numbers = [f"-{n}" for n in range(1, len(messages) + 1)] if len(messages) > 1 else [""]
        expected |= {f"examples/{name}{number}.json" for number in numbers}
    assert files(written) == expected


def test_every_schema_says_what_it_is_and_where_it_stands(written: Path) -> None:
    paths = [path for path in files(written) if path.endswith(".schema.json")]
    for path in paths:
        document = read(written / path)
        jsonschema_rs.Draft202012Validator(document)
        assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert document["$id"] == f"https://schema.degsim.example/{path}"
        assert document["title"]
        assert document["description"].strip()


def test_the_context_stands_where_the_bags_look_for_it(written: Path) -> None:
    (context,) = written.rglob("context.jsonld")
    assert f"https://schema.degsim.example/{context.relative_to(written).as_posix()}" == ENERGY
    assert read(context)["@context"]["energy"] == "https://schema.degsim.example/energy/v1#"


def test_every_example_is_valid_by_the_schema_beside_it(written: Path) -> None:
    auxiliary = {action.replace("/", "_") for action in AUXILIARY_ACTIONS}
    for path in (written / "examples").iterdir():
        name = re.sub(r"-\d+$", "", path.stem)
        folder = "auxiliary" if name in auxiliary else "messages"
        validator = jsonschema_rs.Draft202012Validator(read(written / folder / f"{name}.schema.json"))
        assert [e.message for e in validator.iter_errors(read(path))] == [], path.name


def test_every_bag_of_an_example_is_valid_by_its_own_schema(written: Path) -> None:
    def bags(value: Any) -> list[dict[str, Any]]:
        if isinstance(value, list):
            return [bag for inner in value for bag in bags(inner)]
        if not isinstance(value, dict):
            return []
        own = [value] if value.get("@context") == ENERGY else []
        return own + [bag for inner in value.values() for bag in bags(inner)]

    found = [bag for path in (written / "examples").iterdir() for bag in bags(read(path))]
    validators = {
        bag.__name__: jsonschema_rs.Draft202012Validator(read(written / "bags" / f"{bag.__name__}.schema.json"))
        for bag in BAGS
    }
    assert {bag["@type"] for bag in found} == set(validators)
    assert all(validators[bag["@type"]].is_valid(bag) for bag in found)
    assert not any(validators[bag["@type"]].is_valid(bag | {"unheardOf": 1}) for bag in found)


def test_writing_again_changes_nothing_and_takes_away_only_what_was_ours(tmp_path: Path) -> None:
    schemas.write(tmp_path)
    before = {path: (tmp_path / path).read_bytes() for path in files(tmp_path)}
    gone = {
        "messages/barter.schema.json": '{"$id": "https://schema.degsim.example/messages/barter.schema.json"}',
        "examples/confirm-99.json": '{"context": {"bapUri": "https://ev-07.degsim.example/beckn"}}',
    }
    foreign = {
        "messages/mine.schema.json": '{"$id": "urn:mine"}',
        "examples/mine.json": "{}",
        "examples/confirm-98.json": "{}",
        "notes.txt": "mine",
    }
    for path, text in (gone | foreign).items():
        (tmp_path / path).write_text(text, encoding="utf-8")
    schemas.write(tmp_path)
    assert files(tmp_path) == before.keys() | foreign.keys()
    assert all((tmp_path / path).read_bytes() == content for path, content in before.items())


@pytest.mark.parametrize("name", ["examples/rate.json", "messages/confirm.schema.json"])
@pytest.mark.parametrize("as_folder", [False, True], ids=["a file", "a folder"])
def test_what_is_not_of_our_making_is_never_written_over_and_nothing_is_written_then(
    name: str, as_folder: bool, tmp_path: Path
) -> None:
    (tmp_path / name).parent.mkdir(parents=True)
    if as_folder:
        (tmp_path / name).mkdir()
    else:
        (tmp_path / name).write_text("mine", encoding="utf-8")
    with pytest.raises(MessageError, match="not of our making"):
        schemas.write(tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == ([] if as_folder else [tmp_path / name])


def test_one_line_a_file_and_the_counts_are_told_and_nothing_goes_to_standard_output(
    tmp_path: Path, capsys: Capture
) -> None:
    assert cli.main(["schema", "--out", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    *lines, counts = captured.err.splitlines()
    assert captured.out == ""
    assert {Path(line).relative_to(tmp_path).as_posix() for line in lines} == files(tmp_path)
    examples = sum(map(len, EXAMPLES.values()))
    total = 2 + len(CORE_ACTIONS) + len(AUXILIARY_ACTIONS) + len(BAGS) + examples
    assert (
        counts
        == f"{total} files: 1 scenario, 28 messages, {len(AUXILIARY_ACTIONS)} auxiliary, {len(BAGS)} bags, {examples} examples, 1 context"
    )


def test_without_a_folder_the_schema_of_a_scenario_goes_to_standard_output(capsys: Capture) -> None:
    assert cli.main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == schemas.scenario_schema()


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_folder_that_is_a_file_cannot_be_used(below: str, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    assert cli.main(["schema", "--out", str(tmp_path / "file" / below)]) == 2
    captured = capsys.readouterr()
    assert len(captured.err.splitlines()) == 1
    assert "file" in captured.err
    assert files(tmp_path) == {"file"}


def test_what_cannot_be_written_whole_leaves_what_was_there(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "examples").write_text("in the way", encoding="utf-8")
    assert cli.main(["schema", "--out", str(tmp_path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert files(tmp_path) == {"examples"}
