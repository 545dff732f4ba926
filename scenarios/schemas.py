"""Everything that is published about scenarios and messages, as files: schemas, the JSON-LD context, examples."""

from __future__ import annotations

import inspect
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from scenarios.spec import Scenario
from sim.errors import MessageError
from sim.wire.bags import BAGS
from sim.wire.codec import schema
from sim.wire.examples import EXAMPLES, example_bytes
from sim.wire.jsonld import energy_context
from sim.wire.messages import ACTIONS, AUXILIARY_ACTIONS, CORE_ACTIONS

BASE = "https://schema.degsim.example/"
DRAFT = "https://json-schema.org/draft/2020-12/schema"


def scenario_schema() -> dict[str, Any]:
    """The JSON Schema of a scenario file."""
    return Scenario.model_json_schema()


_OUR_ADDRESS = ".degsim.example/beckn"
"""Part of every address in an example."""


def documents() -> dict[str, Any]:
    """Every file, by its path below the folder."""
    scenario = "scenario.schema.json"
    return {
        scenario: {"$schema": DRAFT, "$id": BASE + scenario} | scenario_schema(),
        **{path: _message(path, action) for path, action in _paths("messages", CORE_ACTIONS)},
        **{path: _message(path, action) for path, action in _paths("auxiliary", AUXILIARY_ACTIONS)},
        **{path: _titled(path, kind.__name__, _doc(kind), msgspec.json.schema(kind)) for path, kind in _bags()},
        "energy/v1/context.jsonld": energy_context(),
        **dict(_examples()),
    }


def write(folder: Path) -> tuple[Path, ...]:
    """Write every file, or none; an example or schema of ours that is no more goes.  Other people's files stay.

    Raises ``MessageError`` where the folder is a file, or holds another's file under a name of ours, and ``OSError`` where it
    cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise MessageError(str(folder), "is a file, expected a folder")
    contents = documents()
    drafts = {folder / path: json.dumps(content, indent=2) + "\n" for path, content in contents.items()}
    ours = {folder / "scenario.schema.json", folder / "energy" / "v1" / "context.jsonld", *_ours(folder)}
    for path in drafts:
        if path.exists() and (path.is_dir() or path not in ours):
            raise MessageError(str(path), "is there already and not of our making; move it, or choose another folder")
    stale = [path for path in _ours(folder) if path not in drafts]
    _replace(drafts)
    for path in stale:
        path.unlink()
    return tuple(drafts)


def counted(folder: Path, paths: tuple[Path, ...]) -> str:
    """How many files of which kind, in one line."""
    kinds = Counter(path.relative_to(folder).parts[0] for path in paths)
    scenario, context = kinds.pop("scenario.schema.json"), kinds.pop("energy")
    others = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    return f"{len(paths)} files: {scenario} scenario, {others}, {context} context"


def _replace(drafts: Mapping[Path, str]) -> None:
    """Write beside first and put in place afterwards, so that a full disk leaves what was there."""
    beside = {path: path.with_name(f"{path.name}.part") for path in drafts}
    try:
        for path, text in drafts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            beside[path].write_text(text, encoding="utf-8")
    except OSError:
        for part in beside.values():
            if part.parent.is_dir():
                part.unlink(missing_ok=True)
        raise
    for path, part in beside.items():
        part.replace(path)


def _ours(folder: Path) -> Iterator[Path]:
    """Files that an earlier run wrote: schemas by their ``$id``, examples by the name of an action and who speaks in them."""
    for path in filter(Path.is_file, folder.glob("*/*.schema.json")):
        if f'"$id": "{BASE}{path.relative_to(folder).as_posix()}"' in _text(path):
            yield path
    names = {_file_name(action) for action in ACTIONS}
    for path in filter(Path.is_file, folder.glob("examples/*.json")):
        if re.sub(r"-\d+$", "", path.stem) in names and _OUR_ADDRESS in _text(path):
            yield path


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _paths(folder: str, actions: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    return ((f"{folder}/{_file_name(action)}.schema.json", action) for action in actions)


def _bags() -> Iterator[tuple[str, type[msgspec.Struct]]]:
    return ((f"bags/{kind.__name__}.schema.json", kind) for kind in BAGS)


def _message(path: str, action: str) -> dict[str, Any]:
    standing = "core" if action in CORE_ACTIONS else "auxiliary"
    text = f"A whole message of the {standing} action {action}: context and body. {_doc(ACTIONS[action])}"
    return _titled(path, action, text, schema(action))


def _titled(path: str, title: str, description: str, content: Mapping[str, Any]) -> dict[str, Any]:
    head = {"$schema": DRAFT, "$id": BASE + PurePosixPath(path).as_posix(), "title": title, "description": description}
    return head | dict(content)


def _doc(kind: type) -> str:
    paragraph = (inspect.getdoc(kind) or "").split("\n\n", 1)[0]
    return " ".join(paragraph.split()).replace("``", "`")


def _examples() -> Iterator[tuple[str, Any]]:
    """Every example by its path; numbered where an action has several."""
    for action, messages in EXAMPLES.items():
        for number, message in enumerate(messages, 1):
            suffix = f"-{number}" if len(messages) > 1 else ""
            yield f"examples/{_file_name(action)}{suffix}.json", json.loads(example_bytes(message))


def _file_name(action: str) -> str:
    return action.replace("/", "_")
