"""From a YAML file to a ``Scenario``: every problem at once, each with its path and a remedy."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from scenarios.fields import CURRENCY_PATTERN, NAME_PATTERN, TIME_PATTERN
from scenarios.spec import Scenario
from sim.errors import Fault, ScenarioError, nearest

M = TypeVar("M", bound=BaseModel)

MAPPING = "expected a mapping of keys"
WORDS = {
    "tuple_type": "expected a list",
    "dict_type": MAPPING,
    "model_type": MAPPING,
    "model_attributes_type": MAPPING,
    "float_type": "expected a number",
    "string_type": "expected a text",
    "too_short": "expected {min_length} or more",
    "too_long": "expected {max_length} at most",
}
"""What pydantic calls by names of Python."""

PATTERNS = {
    NAME_PATTERN: "is not a name: letters, digits, _ . - only, beginning with a letter or digit",
    CURRENCY_PATTERN: "is not a currency code of three capital letters, such as EUR",
    TIME_PATTERN: "is not a time of day, 00:00 to 24:00",
}


def read(path: Path, overrides: Sequence[str] = ()) -> Scenario:
    """The scenario in this file, with ``a.b=value`` overrides applied.

    In a path, a list's element is named by its number, or by its ``name`` or ``kind``.  Raises ``ScenarioError``.
    """
    return validated(Scenario, path.name, overridden(load(path), path.name, overrides))


def overridden(
    document: Mapping[str, Any], source: str, overrides: Sequence[str], asked: str = "--set"
) -> dict[str, Any]:
    """A copy of the document with ``a.b=value`` overrides applied.

    asked: where they come from.  Raises ``ScenarioError`` naming each that does not fit.
    """
    changed = copy.deepcopy(dict(document))
    faults: list[Fault] = []
    for override in overrides:
        try:
            _override(changed, override)
        except ValueError as error:
            faults.append(Fault(f"{asked} {override}", str(error)))
    if faults:
        raise ScenarioError(source, tuple(faults))
    return changed


def validated(model: type[M], source: str, document: Mapping[str, Any]) -> M:
    """What a document says, read by this model.  Raises ``ScenarioError`` with all problems at once."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise ScenarioError(source, tuple(_faults(model, error, document))) from error


def load(path: Path) -> dict[str, Any]:
    """The mapping of a YAML file.  Raises ``ScenarioError``."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ScenarioError(str(path), "there is no such file") from None
    except (OSError, ValueError) as error:  # not UTF-8, or no name that a file could have
        raise ScenarioError(str(path), f"cannot be read: {error}") from None
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f" at line {mark.line + 1}, column {mark.column + 1}"
        raise ScenarioError(path.name, f"is not YAML{where}: {getattr(error, 'problem', error)}") from None
    if not isinstance(document, dict):
        raise ScenarioError(path.name, f"a scenario is a mapping of keys, this file holds {_kind(document)}")
    return document


def _kind(value: object) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"


def keys_of(path: str) -> list[str]:
    """The keys of a YAML path such as ``populations[2].count`` or ``populations.ev.count``."""
    return [key for key in re.split(r"[.\[\]]+", path.strip()) if key]


def _override(document: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    keys = keys_of(path)
    if not equals or not keys:
        raise ValueError("expected path=value, such as market.policy=pay-as-clear")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ValueError(f"{text!r} is not a YAML value") from None
    place: Any = document
    for key in keys[:-1]:
        place = place.setdefault(key, {}) if isinstance(place, dict) else _element(place, key)
        if not isinstance(place, dict | list):
            raise ValueError(f"{key} is a value, nothing lies below it")
    if isinstance(place, dict):
        place[keys[-1]] = value
    else:
        place[place.index(_element(place, keys[-1]))] = value


def _element(place: list[Any], key: str) -> Any:
    if key.isdecimal() and int(key) < len(place):
        return place[int(key)]
    names = [element.get("name", element.get("kind")) for element in place if isinstance(element, dict)]
    if names.count(key) != 1:
        raise ValueError(f"{key}: expected a number below {len(place)} or one of {', '.join(map(str, names))}")
    return next(e for e in place if isinstance(e, dict) and e.get("name", e.get("kind")) == key)


def _faults(model: type[BaseModel], error: ValidationError, document: Mapping[str, Any]) -> Iterator[Fault]:
    problems = [(problem, _location(problem, document)) for problem in error.errors(include_url=False)]
    told: set[str] = set()
    for problem, location in problems:
        shape = problem["type"] in WRONG_SHAPE
        if shape and (location in told or _told_better(location, problems)):
            continue
        if problem["type"] == "too_short" and any(other.startswith(f"{location}[") for _, other in problems):
            continue  # it is too short without those elements that are wrong
        told |= {location} if shape else set()
        yield _fault(model, problem, location)


WRONG_SHAPE = ("model_type", "model_attributes_type", "dict_type", "float_type", "int_type")
"""Where a key takes a number or a mapping, pydantic also complains that the one given is not the other."""


def _told_better(location: str, problems: Sequence[tuple[Any, str]]) -> bool:
    return any(other.startswith(location) and problem["type"] not in WRONG_SHAPE for problem, other in problems)


def _fault(model: type[BaseModel], problem: Any, location: str) -> Fault:
    match problem["type"]:
        case "extra_forbidden":
            known = _known_keys(model, problem["loc"][:-1])
            return Fault(location, "unknown key", nearest(str(problem["loc"][-1]), known))
        case "value_error":
            return _own(str(problem["ctx"]["error"]), location)
        case "string_pattern_mismatch":
            what = PATTERNS.get(problem["ctx"]["pattern"], f"does not match {problem['ctx']['pattern']}")
            return Fault(location, f"{problem['input']!r} {what}")
        case "missing":
            return Fault(location, "is missing")
        case "union_tag_not_found" | "union_tag_invalid":
            return _tag_fault(problem["ctx"], location)
        case _:
            words = WORDS.get(problem["type"], "").format(**problem.get("ctx", {}))
            return Fault(location, f"{words or problem['msg']}, got {problem['input']!r}")


def _own(text: str, location: str) -> Fault:
    """What a validator of ours says; it begins with a key where it is about the whole."""
    where, _, what = text.partition(": ")
    if not location and re.fullmatch(r"[a-z_.]+", where):
        return Fault(where, what)
    return Fault(location or "scenario", text)


def _tag_fault(told: Mapping[str, str], location: str) -> Fault:
    """The key is missing, or its value unknown, by which one of several models is chosen."""
    key = told["discriminator"].strip("'")
    where = f"{location}.{key}"
    if "tag" not in told:
        return Fault(where, "is missing")
    known = re.findall(r"'([^']*)'", told["expected_tags"])
    return Fault(where, f"{told['tag']!r} is not known", nearest(str(told["tag"]), known))


def _location(problem: Any, document: Mapping[str, Any]) -> str:
    """The YAML path of a pydantic problem; the tags and types of unions in its location are not keys of the file."""
    text = ""
    place: Any = document
    absent = problem["loc"][-1:] if problem["type"] in ("missing", "extra_forbidden") else ()
    for number, part in enumerate(problem["loc"], 1):
        if isinstance(part, int):
            text += f"[{part}]"
        elif _has(place, part) or (absent and number == len(problem["loc"])):
            text += f".{part}" if text else part
        else:
            continue
        place = place[part] if _has(place, part) else place
    return text


def _has(place: Any, part: int | str) -> bool:
    if isinstance(place, Mapping):
        return part in place
    return isinstance(place, list) and isinstance(part, int) and part < len(place)


def _known_keys(model: type[BaseModel], loc: Sequence[int | str]) -> list[str]:
    """The keys that the model at a pydantic location knows."""
    candidates: list[Any] = [model]
    for part in loc:
        models = [m for c in candidates for m in _models(c)]
        fields = [f for m in models for n, f in m.model_fields.items() if part in (n, f.alias)]
        if fields:
            candidates = [f.annotation for f in fields]
        elif isinstance(part, str):
            tagged = [m for m in models if any(part in get_args(f.annotation) for f in m.model_fields.values())]
            candidates = tagged or candidates
    return sorted({f.alias or n for c in candidates for m in _models(c) for n, f in m.model_fields.items()})


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models(argument)]
