"""The page of building blocks: what each is for, its schema, a real message, and which scenario uses it.

A block is a file of ``docs/blocks``: a head in YAML between two lines of three hyphens, then what a person has written.

    title, order   its name, and its place on the page
    used           what a run has to have seen for the block to be in it: words by sort, as ``Evidence`` has them
    schema         types of the wire, by name
    yaml           keys of a scenario file: types of ``scenarios``, by name
    example        what to show of a run: a message by its action and a word (``key``) that has to be in it, a record of the
                   journal by its kind, or a refusal by its code
"""

from __future__ import annotations

import functools
import inspect
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import yaml

from results.run import Run
from results.sequence import Step
from scenarios.schemas import scenario_schema
from sim.contracts import policies
from sim.errors import nearest
from sim.wire import assessment, auxiliary, bags, core, messages
from sim.wire.bags import contracts
from tests.use_cases.evidence import Evidence
from tests.use_cases.markdown import table

TEXTS = Path(__file__).parents[2] / "docs" / "blocks"
MODULES = (bags, contracts, core, messages, auxiliary, assessment)
MOST = 4
"""Elements of a list that an example shows."""
LONG = 90
"""Characters of a text that an example shows."""
DEEP = 2
"""Levels of objects that a table of fields goes into."""
_APART = ("NativePayload",)
"""Types that stand in every bag and say nothing of a single one."""


@dataclass(frozen=True)
class Block:
    """One building block, as its file says."""

    name: str
    title: str
    order: int
    text: str
    used: Mapping[str, list[str]]
    schema: Sequence[str] = ()
    yaml: Sequence[str] = ()
    example: Mapping[str, str] = field(default_factory=dict)


def blocks() -> list[Block]:
    """Every block, in the order of the page."""
    found = []
    for path in sorted(TEXTS.glob("*.md")):
        _, head, text = path.read_text(encoding="utf-8").split("---\n", 2)
        found.append(Block(name=path.stem, text=text.strip(), **yaml.safe_load(head)))
    return sorted(found, key=lambda block: (block.order, block.name))


def users(block: Block, seen: Mapping[str, Evidence]) -> list[str]:
    """The scenarios that use a block, by what happened in them."""
    return [name for name, one in seen.items() if one.shows(block.used)]


def page(runs: Mapping[str, Run], seen: Mapping[str, Evidence], said: Mapping[str, Sequence[Step]]) -> str:
    """``docs/building_blocks.md``."""
    known = blocks()
    parts = [_HEAD.strip()]
    parts.append("\n".join(f"{number}. {_link(block)}" for number, block in enumerate(known, start=1)))
    parts += [_section(block, runs, users(block, seen), said) for block in known]
    head = ("scenario", *(f"[{number}](#{anchor(block.title)})" for number, block in enumerate(known, start=1)))
    rows = [
        (f"[{name}](use_cases/{name}.md)", *("●" if name in users(block, seen) else "" for block in known))
        for name in seen
    ]
    parts += ["## Who uses what", _WHO.strip(), table(head, rows)]
    return "\n\n".join(parts) + "\n"


_HEAD = """
<!-- Written by `make use-cases`, from docs/blocks and from runs of the scenarios; change these. -->

# Building blocks

Everything that [the scenarios of the library](use_cases/README.md) show is put together from these, in YAML; no code knows which of
them it is running. A table of fields is what `degsim schema` writes, an example is from a run, with long lists and texts cut short.
"""


_WHO = """
By what was seen in the runs (bags and words on the wire, actions, kinds of participants, records of the journal), not by what was
intended. The numbers are those of the list at the top.
"""


def _section(block: Block, runs: Mapping[str, Run], names: Sequence[str], said: Mapping[str, Sequence[Step]]) -> str:
    parts = [f"## {block.title}", block.text]
    parts += [_fields(name, msgspec.json.schema(_type(name))["$defs"][name], _defs(name)) for name in block.schema]
    parts += [_fields(name, _spec(name), _specs(), "in a scenario") for name in block.yaml]
    parts += _example(block, runs, said, names)
    links = ", ".join(f"[{name}](use_cases/{name}.md)" for name in names)
    parts.append(f"Used by {links}." if names else "No scenario of the library uses it yet.")
    return "\n\n".join(parts)


def anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")


def _link(block: Block) -> str:
    return f"[{block.title}](#{anchor(block.title)})"


def _type(name: str) -> Any:
    found = next((getattr(module, name) for module in MODULES if hasattr(module, name)), None)
    if found is None:
        known = [kind for module in MODULES for kind in vars(module) if kind[0].isupper()]
        raise ValueError(f"docs/blocks: no type of the wire is called {name}; {nearest(name, known)}")
    return found


def _defs(name: str) -> Mapping[str, Any]:
    defs: Mapping[str, Any] = msgspec.json.schema(_type(name))["$defs"]
    return defs


@functools.cache
def _specs() -> Mapping[str, Any]:
    return {**scenario_schema()["$defs"], "Policy": policies.schema()}


def _spec(name: str) -> Mapping[str, Any]:
    if name not in _specs():
        raise ValueError(f"docs/blocks: no type of a scenario is called {name}; {nearest(name, _specs())}")
    spec: Mapping[str, Any] = _specs()[name]
    return spec


def _fields(name: str, schema: Mapping[str, Any], defs: Mapping[str, Any], where: str = "on the wire") -> str:
    """The fields of a type, folded away: who looks for one opens it."""
    about = " ".join(inspect.cleandoc(schema.get("description", "")).split()).replace("``", "`")
    rows = [(f"`{path}`", kind, "yes" if needed else "") for path, kind, needed in _rows(schema, defs, "", DEEP)]
    content = table(("field", "what", "required"), rows)
    parts = (f"<details><summary><code>{name}</code> {where}</summary>", about, content, "</details>")
    return "\n\n".join(part for part in parts if part)


def _rows(schema: Mapping[str, Any], defs: Mapping[str, Any], place: str, deep: int) -> Iterator[tuple[str, str, bool]]:
    needed = schema.get("required", ())
    for name, inside in schema.get("properties", {}).items():
        target, many = _target(inside, defs)
        if name in ("@type", "@context") or target in _APART:
            continue
        path = f"{place}{name}{'[]' if many else ''}"
        within = defs.get(target, {}) if target else {}
        if deep > 1 and within.get("properties"):
            yield path, _short(within.get("title", target or "")), name in needed
            yield from _rows(within, defs, f"{path}.", deep - 1)
        else:
            yield path, _kind(inside, defs).removeprefix("list of " if many else ""), name in needed


def _target(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> tuple[str, bool]:
    """The type that a field holds, and whether it holds many; empty for plain values and choices."""
    if "$ref" in schema:
        return schema["$ref"].rsplit("/", 1)[1], False
    if schema.get("type") == "array" and isinstance(schema.get("items"), dict):
        return _target(schema["items"], defs)[0], True
    others = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    return _target(others[0], defs) if len(others) == 1 else ("", False)


def _kind(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> str:
    """What a field holds, in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        inside = defs.get(name, {})
        return _kind(inside, defs) if "enum" in inside else f"`{name}`"
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_kind(one, defs) for one in schema["anyOf"] if one.get("type") != "null"))
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items') or {}, defs)}"
    return _plain(schema)


def _plain(schema: Mapping[str, Any]) -> str:
    bounds = [
        f"{sign} {schema[key]:g}"
        for key, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
        if key in schema
    ]
    words = {"string": "text", "boolean": "true or false", "integer": "whole number", "object": "object"}
    kind = schema.get("description") or words.get(schema.get("type", ""), schema.get("type", "anything"))
    default = schema.get("default")
    return " ".join([kind, *bounds]) + (f", default `{json.dumps(default)}`" if default is not None else "")


def _short(title: str) -> str:
    return f"`{title}`"


def _example(
    block: Block, runs: Mapping[str, Run], said: Mapping[str, Sequence[Step]], names: Sequence[str]
) -> list[str]:
    """A sentence that says where it is from, and the message or record."""
    for name in (*names, *(name for name in runs if name not in names)):
        found = _found(block.example, runs[name], said[name])
        if found is not None:
            where, document = found
            return [f"{where} ([{name}](use_cases/{name}.md)):", f"```json\n{_pretty(_cut(document))}\n```"]
    return []


def _found(wanted: Mapping[str, str], run: Run, told: Sequence[Step]) -> tuple[str, Any] | None:
    if "record" in wanted:
        record = next((one for one in run.journal() if one["kind"] == wanted["record"]), None)
        return None if record is None else (f"A record `{wanted['record']}` of the journal", record)
    if "code" in wanted:
        step = next((one for one in told if one.code == wanted["code"]), None)
        told_why = None if step is None else {"action": step.action, "error": step.error}
        return (
            None
            if step is None
            else (f"Why `{step.action}` from {step.sender} to {step.receiver} was refused", told_why)
        )
    for step in told:
        if step.action == wanted.get("action") and not step.refused:
            message = _pruned(step.content, wanted.get("key", ""))
            if message is not None:
                context = {
                    "action": step.action,
                    "bapId": step.context["bapId"],
                    "bppId": step.context.get("bppId", ""),
                }
                return f"`{step.action}` from {step.sender} to {step.receiver}", {
                    "context": context,
                    "message": message,
                }
    return None


def _pruned(document: Any, word: str) -> Any:
    """What leads to the first object that has a field called ``word`` (or ``name=value``), and that object whole; None without."""
    if not word or _has(document, word):
        return document
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for name, value in items:
        inside = _pruned(value, word)
        if inside is not None:
            return [inside] if isinstance(document, list) else {**_named(document), name: inside}
    return None


def _named(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """What an object is called; stays where the rest of it goes."""
    return {name: value for name, value in document.items() if name in ("@type", "id") and isinstance(value, str)}


def _has(document: Any, word: str) -> bool:
    name, _, value = word.partition("=")
    return isinstance(document, dict) and name in document and (not value or document[name] == value)


def _cut(document: Any) -> Any:
    """Long lists and texts, cut short; the context of a bag is the same in all."""
    if isinstance(document, dict):
        return {name: _cut(value) for name, value in document.items() if name != "@context"}
    if isinstance(document, list):
        return [_cut(value) for value in document[:MOST]]
    if isinstance(document, str) and len(document) > LONG:
        return f"{document[: LONG - 1]}…"
    return round(document, 6) if isinstance(document, float) else document


def _pretty(document: Any, margin: str = "", width: int = 110) -> str:
    """JSON in as few lines as it can be read in."""
    flat = json.dumps(document, ensure_ascii=False)
    if len(margin) + len(flat) <= width or not isinstance(document, dict | list) or not document:
        return flat
    inner = margin + "  "
    if isinstance(document, list):
        parts = [_pretty(value, inner, width) for value in document]
        return "[\n" + ",\n".join(f"{inner}{part}" for part in parts) + f"\n{margin}]"
    parts = [f"{json.dumps(name)}: {_pretty(value, inner, width)}" for name, value in document.items()]
    return "{\n" + ",\n".join(f"{inner}{part}" for part in parts) + f"\n{margin}}}"
