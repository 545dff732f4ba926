"""What a run said, message by message, against a file that says what it has to say.

A file of ``tests/use_cases/expected`` has three parts::

    messages:
    - car-1 -> catalogue discover: {intent.spatial.0.distanceMeters: 5000}
    - catalogue -> car-1 on_discover
    - repeat: {times: 3, messages: [meter -> car-1 on_status]}
    - car-1 -x station cancel: {error.errorCode: PRC_INVALID_TRANSITION}
    contracts:
      charging (station, car-1): COMPLETED
    balances:
      car-1: -1.75 EUR

Every message of the run has its line, in order.  ``-x`` is what was refused; a callback that reports a failure says so with an
``error.`` field.  Fields are dotted paths below ``message``, or begin with ``context.`` or ``error.``; the beginning may be
missing where the end is enough (``quantity.value``).  Only those that are written are compared, numbers with a tolerance of a
millionth, and ``null`` asks that nothing stands there.

``python -m tests.use_cases.library NAME`` runs the scenario of that name and compares, ``--write`` writes a draft for a person to
edit, ``--fields a.b,c.*.d`` with other fields than those that ``degsim sequence`` shows.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import math
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from results.run import Run
from results.sequence import Step, found_at, repeated, steps, value_at
from scenarios.reader import read
from scenarios.runner import execute
from sim.errors import nearest
from sim.events import LIFE, EventType, Phase

ROOT = Path(__file__).parents[2]
SCENARIOS = ROOT / "scenarios" / "use_cases"
EXPECTED = Path(__file__).parent / "expected"
BEFORE = 2
"""Messages that are shown before the one that differs."""
TOLERANCE = 1e-6
DIGITS = 6
WORTH = 4
"""Lines that a ``repeat`` in a draft has to save: its own line and its closing do not read by themselves."""

Fields = Mapping[str, Any]
Choice = Callable[[Step], Fields]


def names() -> tuple[str, ...]:
    """The scenarios of the library, by name."""
    return tuple(sorted(path.stem for path in SCENARIOS.glob("*.yaml")))


def scenario_path(name: str) -> Path:
    """The file of a scenario of the library; any other one by its path."""
    path = Path(name) if name.endswith(".yaml") else SCENARIOS / f"{name}.yaml"
    if not path.exists():
        raise SystemExit(f"{path}: there is no such file; {nearest(name, names())}")
    return path


class Library:
    """Runs of the library's scenarios, each variant once a session, whichever process asks first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[tuple[str, ...], Run] = {}

    def run_of(self, name: str, *overrides: str) -> Run:
        """The finished run of a scenario; overrides: ``path=value``, as for ``degsim run --set``."""
        key = (name, *overrides)
        if key not in self._known:
            mark = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]
            folder = self._folder / f"{Path(name).stem}-{mark}"
            self._folder.mkdir(parents=True, exist_ok=True)
            with (self._folder / f"{folder.name}.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not folder.exists():
                    execute(read(scenario_path(name), overrides), folder)
            self._known[key] = Run(folder)
        return self._known[key]


@dataclass(frozen=True)
class Told:
    """What is compared of a run: its messages, the phase of every contract, and what every party has in the end."""

    messages: tuple[Step, ...]
    contracts: Mapping[str, str] = field(default_factory=dict)
    balances: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, run: Run) -> Told:
        return cls(tuple(steps(run)), contracts_of(run), balances_of(run))


def contracts_of(run: Run) -> dict[str, str]:
    """Phase of every contract by template and parties; the second of the same parties is ``#2``."""
    titles: dict[str, str] = {}
    phases: dict[str, Phase] = {}
    for record in run.journal():
        if record["kind"] != "event":
            continue
        event = record["event"]
        contract, data = event["contractId"], event["data"]
        if event["eventType"] == EventType.CONTRACT_CREATED:
            parties = ", ".join(role["filledBy"] for role in data["roles"])
            titles[contract] = f"{data['templateId']} ({parties})"
        phase = phases.get(contract, Phase.NONE)
        phases[contract] = LIFE[phase].get(EventType(event["eventType"]), phase)
    seen: Counter[str] = Counter()
    found = {}
    for contract, title in titles.items():
        seen[title] += 1
        number = f" #{seen[title]}" if seen[title] > 1 else ""
        found[f"{title}{number}"] = str(phases[contract])
    return dict(sorted(found.items()))


def balances_of(run: Run) -> dict[str, str]:
    """What each party received less what it paid, as exact text (``-1.75 EUR``); several currencies follow each other."""
    sums: dict[str, dict[str, Decimal]] = {}
    for record in run.journal():
        if record["kind"] == "postings":
            for posting in record["postings"]:
                amount = Decimal(posting["amount"])
                for party, signed in ((posting["from"], -amount), (posting["to"], amount)):
                    mine = sums.setdefault(party, {})
                    mine[posting["currency"]] = mine.get(posting["currency"], Decimal(0)) + signed
    return {
        party: ", ".join(
            f"{amount if amount else abs(amount):f} {currency}" for currency, amount in sums[party].items()
        )
        for party in sorted(sums)
    }


@dataclass(frozen=True)
class Line:
    """One expected message."""

    sender: str
    receiver: str
    action: str
    refused: bool
    fields: Fields

    def __str__(self) -> str:
        return _line(self.sender, self.receiver, self.action, self.refused, self.fields)


_LINE = re.compile(r"(?P<sender>.+?) -(?P<head>[>x]) (?P<receiver>.+) (?P<action>\S+)")


def lines_of(written: Iterable[Any], where: str = "messages") -> Iterator[Line]:
    """The messages of a file, with repeated ones as often as they come.  Raises ``ValueError`` naming an entry that is none."""
    for number, entry in enumerate(written):
        place = f"{where}[{number}]"
        if isinstance(entry, dict) and set(entry) == {"repeat"}:
            again = entry["repeat"]
            yield from list(lines_of(again["messages"], f"{place}.repeat.messages")) * again["times"]
            continue
        one = isinstance(entry, dict) and len(entry) == 1
        text, fields = next(iter(entry.items())) if one else (entry, {})
        found = _LINE.fullmatch(text) if isinstance(text, str) else None
        if found is None or not isinstance(fields or {}, dict):
            raise ValueError(f"{place}: {entry!r} is not like 'car-1 -> station select: {{path: value}}'")
        yield Line(found["sender"], found["receiver"], found["action"], found["head"] == "x", fields or {})


class Places:
    """What stands where in a message: below ``message``, in ``context`` and in ``error``."""

    def __init__(self, step: Step) -> None:
        self._whole = {**step.content, "context": step.context, "error": step.error or {}}
        self._leaves = dict(_leaves(step.content, ""))

    def at(self, path: str) -> Any:
        """What stands at a path, which may lack its beginning where its end is enough; None where nothing does.

        Raises ``AssertionError`` for an end that several places have.
        """
        try:
            return value_at(self._whole, path)
        except KeyError:
            found = self._ending(path)
        if len(found) > 1:
            raise AssertionError(f"{path} may be {found[0]} or {found[1]}; the line has to say more of it")
        return self._leaves[found[0]] if found else None

    def short(self, path: str) -> str:
        """The end of a path that is enough, of two names at least."""
        parts = path.split(".")
        for first in range(len(parts) - 2, 0, -1):
            end = ".".join(parts[first:])
            named = sum(not part.isdigit() for part in parts[first:])
            if named > 1 and not parts[first].isdigit() and self._ending(end) == [path]:
                return end
        return path

    def _ending(self, path: str) -> list[str]:
        return [place for place in self._leaves if place.endswith(f".{path}")]


def _leaves(document: Any, place: str) -> Iterator[tuple[str, Any]]:
    if isinstance(document, dict | list):
        items = document.items() if isinstance(document, dict) else enumerate(document)
        for name, value in items:
            yield from _leaves(value, f"{place}.{name}" if place else str(name))
    else:
        yield place, document


def same(expected: Any, got: Any) -> bool:
    """Whether two values are equal, numbers nearly."""
    if isinstance(expected, dict) and isinstance(got, dict):
        return expected.keys() == got.keys() and all(same(expected[name], got[name]) for name in expected)
    if isinstance(expected, list) and isinstance(got, list):
        return len(expected) == len(got) and all(map(same, expected, got))
    if _is_number(expected) and _is_number(got):
        return math.isclose(expected, got, rel_tol=1e-9, abs_tol=TOLERANCE)
    return type(expected) is type(got) and bool(expected == got)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def compare(told: Told, expected: Mapping[str, Any], source: str = "the expected file") -> None:
    """Raise ``AssertionError`` that shows the first difference with both sides; contracts and balances all at once."""
    _compare_messages(told.messages, list(lines_of(expected.get("messages") or ())), source)
    problems = [
        *_differences("contract", expected.get("contracts") or {}, told.contracts),
        *_differences("balance of", expected.get("balances") or {}, told.balances),
    ]
    if problems:
        raise AssertionError("\n".join([f"{source}: all messages are as expected, but", *problems]))


def _compare_messages(got: Sequence[Step], expected: Sequence[Line], source: str) -> None:
    for place in range(max(len(got), len(expected))):
        line = expected[place] if place < len(expected) else None
        step = got[place] if place < len(got) else None
        why = _why_not(line, step)
        if why is None:
            continue
        fields = line.fields if line is not None else None
        shown = [f"{source}: message {place + 1} differs: {why}"]
        before = range(max(0, place - BEFORE), place)
        shown += [f"           {at + 1:4}  {_written(got[at], expected[at].fields)}" for at in before]
        shown.append(f"  expected {place + 1:4}  {line or 'nothing more'}")
        shown.append(f"  got      {place + 1:4}  {_written(step, fields) if step else 'nothing more'}")
        raise AssertionError("\n".join(shown))


def _why_not(line: Line | None, step: Step | None) -> str | None:
    """Why a message is not the expected one, in a few words; None where it is."""
    if line is None or step is None:
        return "the run says more" if line is None else "the run ends here"
    if (line.sender, line.receiver, line.action) != (step.sender, step.receiver, step.action):
        return "another message"
    if line.refused != step.refused:
        return f"refused with {step.code}" if step.refused else "not refused"
    if step.error is not None and not any(path.startswith("error.") for path in line.fields):
        return f"fails with {step.code}, which the line does not say"
    places = Places(step)
    try:
        wrong = [
            f"{path} is {places.at(path)!r}" for path, value in line.fields.items() if not same(value, places.at(path))
        ]
    except AssertionError as unclear:
        return str(unclear)
    return ", ".join(wrong) or None


def _written(step: Step, asked: Fields | None) -> str:
    """A message as a line: with the fields that were asked for, so that both sides show the same."""
    return _line(step.sender, step.receiver, step.action, step.refused, _shown(step, asked))


def _shown(step: Step, asked: Fields | None) -> Fields:
    if asked is None:
        return chosen(step)
    places = Places(step)
    found = {}
    for path in asked:
        try:
            found[path] = places.at(path)
        except AssertionError:
            found[path] = "?"
    return found


def _line(sender: str, receiver: str, action: str, refused: bool, fields: Fields) -> str:
    said = ", ".join(f"{path}: {value!r}" for path, value in fields.items())
    return f"{sender} -{'x' if refused else '>'} {receiver} {action}" + (f": {{{said}}}" if said else "")


def _differences(what: str, expected: Mapping[str, Any], got: Mapping[str, str]) -> Iterator[str]:
    for name in dict.fromkeys([*expected, *got]):
        wanted, found = expected.get(name), got.get(name)
        if wanted != found:
            yield f"  {what} {name}: expected {wanted or 'none'}, got {found or 'none'}"


def chosen(step: Step) -> Fields:
    """The fields of a draft: those that ``degsim sequence`` shows, and why a message was refused or reports a failure."""
    error = {} if step.error is None else {"error.errorCode": step.code}
    places = Places(step)
    return {**error, **{places.short(path): value for path, value in step.brief.items()}}


def choice_of(paths: Sequence[str]) -> Choice:
    """A choice of fields by paths with ``*``, of which every message has what it has."""

    def choose(step: Step) -> Fields:
        whole = {**step.content, "context": step.context, "error": step.error or {}}
        error = {} if step.error is None else {"error.errorCode": step.code}
        places = Places(step)
        return {**error, **{places.short(at): value for path in paths for at, value in found_at(whole, path)}}

    return choose


def draft(told: Told, choose: Choice = chosen) -> dict[str, Any]:
    """What a run says, as an expected file would have it; what is said again word for word is written once."""
    entries = [_entry(step, choose(step)) for step in told.messages]
    return {
        "messages": _folded(entries),
        "contracts": dict(told.contracts),
        "balances": dict(told.balances),
    }


def _entry(step: Step, fields: Fields) -> Any:
    key = _line(step.sender, step.receiver, step.action, step.refused, {})
    return {key: {path: _rounded(value) for path, value in fields.items()}} if fields else key


def _rounded(value: Any) -> Any:
    return round(value, DIGITS) if isinstance(value, float) else value


def _folded(entries: list[Any]) -> list[Any]:
    found = repeated([json.dumps(entry) for entry in entries])
    if found is None or (found[2] - 1) * found[1] < WORTH:
        return entries
    start, length, times = found
    again = {"repeat": {"times": times, "messages": _folded(entries[start : start + length])}}
    return [*_folded(entries[:start]), again, *_folded(entries[start + times * length :])]


def as_yaml(written: Mapping[str, Any]) -> str:
    """The text of an expected file: a message a line, or as many as it takes."""
    rest = {part: written[part] for part in ("contracts", "balances")}
    return "\n".join(["messages:", *_yaml_entries(written["messages"], ""), *_dump(rest, False)]) + "\n"


def _yaml_entries(entries: Sequence[Any], margin: str) -> Iterator[str]:
    for entry in entries:
        if isinstance(entry, dict) and set(entry) == {"repeat"}:
            yield f"{margin}- repeat:"
            yield f"{margin}    times: {entry['repeat']['times']}"
            yield f"{margin}    messages:"
            yield from _yaml_entries(entry["repeat"]["messages"], f"{margin}    ")
        else:
            yield from (f"{margin}{line}" for line in _yaml_entry(entry))


def _yaml_entry(entry: Any) -> list[str]:
    if isinstance(entry, str):
        return [f"- {_dump(entry, True)[0]}"]
    ((key, fields),) = entry.items()
    first, *rest = _dump(fields, True)
    return [f"- {_dump(key, True)[0]}: {first}", *(f"    {line.strip()}" for line in rest)]


def _dump(value: Any, flow: bool) -> list[str]:
    text: str = yaml.safe_dump(value, sort_keys=False, default_flow_style=flow, width=100, allow_unicode=True)
    return text.removesuffix("...\n").splitlines()


def expected_path(name: str) -> Path:
    """Where the expected file of a scenario is, or would be."""
    return EXPECTED / f"{Path(name).stem}.yaml"


def check(run: Run, name: str) -> None:
    """Raise ``AssertionError`` where a run does not say what the file of its scenario says, or there is no such file."""
    path = expected_path(name)
    command = f"python -m tests.use_cases.library {name} --write"
    where = path.relative_to(ROOT)
    if not path.exists():
        raise AssertionError(f"{where}: there is no such file; `{command}` writes a draft, which a person then reads")
    try:
        expected = yaml.safe_load(path.read_text(encoding="utf-8"))
        list(lines_of(expected["messages"]))
    except (yaml.YAMLError, ValueError, LookupError, TypeError) as error:
        raise AssertionError(f"{where} cannot be read: {error}") from None
    compare(Told.of(run), expected, str(where))


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare one scenario, or write its draft."""
    parser = argparse.ArgumentParser(prog="python -m tests.use_cases.library", description=main.__doc__)
    parser.add_argument("name", metavar="NAME", help="of a scenario of the library, or the path of any other")
    parser.add_argument("--write", action="store_true", help="write a draft, over a file that is there")
    parser.add_argument("--fields", metavar="PATH,...", help="below message, context. or error.; * is any element")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        run = Library(Path(folder)).run_of(options.name)
        if not options.write:
            try:
                check(run, options.name)
            except AssertionError as error:
                sys.stdout.write(f"{error}\n")
                return 1
            sys.stdout.write(f"{options.name}: as expected\n")
            return 0
        choose = choice_of(options.fields.split(",")) if options.fields else chosen
        path = expected_path(options.name)
        path.parent.mkdir(exist_ok=True)
        path.write_text(as_yaml(draft(Told.of(run), choose)), encoding="utf-8")
        sys.stdout.write(f"{path}: a draft; read it, and keep of every message what matters\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
