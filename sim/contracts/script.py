"""Scripts of contracts: billing rules that no formula can express, written in Starlark and computed in decimals.

A script is a text that defines ``compute``, from values agreed once and from the readings of every interval to a dict of
amounts, one for each output that it declares::

    LIMIT = decimal("100")

    def compute(inputs, intervals):
        energy = sum([interval["energyKWh"] for interval in intervals])
        above = max(0, energy - LIMIT)
        return {"energy": energy * inputs["price"], "surcharge": above * decimal("0.02")}

Starlark looks like Python and has no clock, no chance, no files and no network; what is computed follows from the text
and the values alone.  Of Starlark, a script has ``def``, ``if``, ``for``, comprehensions, numbers, texts, lists, tuples,
dicts, and the functions and methods in ``FUNCTIONS`` and ``METHODS``.  The rest is refused by ``compile_script``, before
anything runs, and before Starlark sees it: its trees are as deep as what the text nests and chains.

Readings and inputs are decimals, and cannot be changed.  Arithmetic rounds half to even at 28 digits after the point and at
about 28 digits in all, an overflow is an error, and floats do not mix with decimals.  Where Starlark would be silently wrong,
the text is refused: ``==``, ``!=`` and ``in`` never hold between a decimal and a whole number, and ``%`` of decimals takes its
sign from another side than ``//`` does.

Scripts run in a process of their own (``Workshop``), never in this one.  After ``script_worker.MAX_STEPS`` turns of loops
and calls a job ends, at the same step on every machine.  Limits of memory and processor time stand behind that, for single
operations that count as no step however much they do.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import select
import signal
import subprocess
import sys
import unicodedata
import weakref
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Context, Decimal, Inexact
from pathlib import Path
from typing import NamedTuple, Self

import starlark

from sim.contracts import script_worker
from sim.errors import ContractError, Fault

MAX_CHARACTERS = 20_000
MAX_TOKENS = 5_000
MAX_STATEMENT = 500
"""Tokens of one statement, and so the longest chain of operators: 3,000 overflow Starlark's stack."""
MAX_DEPTH = 24
"""Brackets within brackets."""
MAX_INDENT = 64
MAX_BRANCHES = 100
"""``elif`` in a text, each of which nests the next one."""
MAX_WHOLE = 6
"""Digits of a whole number in the text; they count and index.  Amounts are decimals."""
MAX_DIGITS = 28
"""Digits of a decimal, and digits after its point."""
MAX_FAULTS = 10
PATIENCE_S = 30
"""A worker that is silent for so long is stuck; limits on processor time end a script long before."""

FUNCTIONS = frozenset(
    ("abs", "decimal", "enumerate", "fail", "len", "max", "min", "range", "round", "sorted", "sum", "zip")
)
METHODS = frozenset(("append", "extend", "get", "items", "keys", "pop", "setdefault", "update", "values"))
_STARLARK_S_OWN = f"""
    {script_worker.ENTRY} RustDecimal all any bool chr dict dir float getattr hasattr hash int list ord repr reversed str
    tuple type
"""
_FROM_ELSEWHERE = """
    as assert async await class compile del delattr enum eval except exec finally from global globals import input is
    json lambda load locals nonlocal open print raise record set setattr struct try vars while with yield
"""
REFUSED = frozenset(f"{_STARLARK_S_OWN} {_FROM_ELSEWHERE}".split())
"""Words with a meaning in Starlark that bills do not need, or in one of its dialects, or in Python."""

_TOKEN = re.compile(
    r"""(?P<space>[ ]+)|(?P<comment>\#[^\n]*)|(?P<newline>\n)
      |(?P<number>\d+(?![\w.]))
      |(?P<text>(?:"[ !\#-\[\]-~]*"|'[ -&(-\[\]-~]*')(?!["']))
      |(?P<name>[A-Za-z_]\w*(?!["'\w]))
      |(?P<sign>//=|//(?!/)|[-+*/<>=!]=|\*(?!\*)|<(?![<>])|>(?!>)|\.(?=[A-Za-z_])|[-+/=()\[\]{},:])""",
    re.ASCII | re.VERBOSE,
)
_FLOAT = re.compile(r"\.?\d[\w.]*", re.ASCII)
_DECIMAL = re.compile(r"-?\d+(?:\.\d+)?", re.ASCII)
_OUTPUT = re.compile(r"[ !#-&(-\[\]-~]{1,100}")
_WORDS = frozenset(
    ("True", "False", "None", "and", "break", "continue", "def", "elif", "else", "for", "if", "in", "not")
) | {"or", "pass", "return"}
_ASSIGNMENTS = frozenset(("=", "+=", "-=", "*=", "/=", "//="))
_HEADING = ("def", "compute", "(", "inputs", ",", "intervals", ")", ":")
_WIDE = Context(prec=100, traps=[Inexact])

_START = "import sys; sys.path += sys.argv[1:]; from sim.contracts.script_worker import main; main()"


class _Token(NamedTuple):
    kind: str
    text: str
    start: int
    depth: int = 0


class _Names(NamedTuple):
    functions: frozenset[str]
    others: frozenset[str]


_NOTHING = _Token("", "", 0)
_LINE_END = _Token("newline", "\n", -1)


@dataclass(frozen=True, slots=True)
class Script:
    """A script that may be run.  outputs: the amounts that it computes.  who: what it belongs to, for messages."""

    text: str
    outputs: tuple[str, ...]
    who: str = field(compare=False)

    def __reduce__(self) -> tuple[object, ...]:
        return _compile_again, (self.text, self.outputs, self.who)


def compile_script(text: str, *, outputs: tuple[str, ...], who: str) -> Script:
    """Check a script without running any of it.

    Raises ``ContractError`` in the name of ``who``, with line and column of what was refused, or of the first ten things.
    """
    _refuse(who, _output_faults(outputs))
    if len(text) > MAX_CHARACTERS:
        raise ContractError(who, f"{len(text)} characters; a script has at most {MAX_CHARACTERS}")
    tokens = _tokens(text, who)
    _refuse(who, (Fault(_place(text, token.start), what, remedy) for token, what, remedy in _faults(tokens)))
    try:
        starlark.parse("script", text, script_worker.dialect())
    except starlark.StarlarkError as error:
        raise _refusal(who, *script_worker.explain(str(error))) from error
    return Script(text, outputs, who)


class Workshop:
    """Where scripts run: a worker process that starts with the first one, and anew after it was lost.

    One job at a time; not to be shared between threads or processes.  Close it, or use it as a context manager.
    """

    def __init__(self) -> None:
        self._worker: subprocess.Popen[bytes] | None = None
        self._end: weakref.finalize[[subprocess.Popen[bytes]], Workshop] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the worker.  The workshop may be used again; it will start another."""
        if self._end:
            self._end()
        self._worker = self._end = None

    def run(
        self, script: Script, inputs: Mapping[str, Decimal], intervals: Sequence[Mapping[str, Decimal]] = ()
    ) -> dict[str, Decimal]:
        """The amount of every output, in the order in which they were declared, as exact as the script computed it.

        inputs: values agreed once.  intervals: the readings of each interval, in order.  Raises ``ContractError`` in the
        name of the script for a value that is no finite decimal of 28 digits, for an error in the script with its line,
        for a limit that it exceeds, and for outputs that are missing, undeclared, not a decimal or whole number, or
        1e28 or more; of many such things, the first ten are named.
        """
        job = _job(script, inputs, intervals)
        try:
            answer = json.loads(_exchange(self._running(), job))
        except BaseException as error:
            # Whatever happened, an answer that comes later would be taken for the answer to the next job.
            self.close()
            if isinstance(error, OSError):
                raise ContractError(script.who, f"the process that computes scripts was lost: {error}") from error
            raise
        if "refused" in answer:
            raise _refusal(script.who, *answer["refused"])
        _refuse(script.who, _answer_faults(script, answer["amounts"], answer["others"]))
        return {name: Decimal(answer["amounts"][name]) for name in script.outputs}

    def _running(self) -> subprocess.Popen[bytes]:
        if self._worker is None or self._worker.poll() is not None:
            self.close()
            self._worker = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _START, *_folders()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                cwd="/",
                env={},
                start_new_session=True,
            )
            self._end = weakref.finalize(self, _stop, self._worker)
        return self._worker


def _compile_again(text: str, outputs: tuple[str, ...], who: str) -> Script:
    return compile_script(text, outputs=outputs, who=who)


def _refuse(who: str, faults: Iterator[Fault]) -> None:
    found = tuple(itertools.islice(faults, MAX_FAULTS))
    if found:
        raise ContractError(who, found)


def _refusal(who: str, where: str, what: str, remedy: str) -> ContractError:
    return ContractError(who, (Fault(where, what, remedy),) if where else what)


def _output_faults(outputs: tuple[str, ...]) -> Iterator[Fault]:
    if not 0 < len(outputs) <= script_worker.MAX_OUTPUTS:
        yield Fault("outputs", f"{len(outputs)} of them; a script has 1 to {script_worker.MAX_OUTPUTS}")
    for name, times in Counter(outputs).items():
        if not _OUTPUT.fullmatch(name):
            yield Fault("outputs", f"{name[:40]!r} is no name of up to 100 ASCII characters without quotes")
        if times > 1:
            yield Fault("outputs", f"{name!r} is there {times} times")


# What a text may look like


def _tokens(text: str, who: str) -> list[_Token]:
    """All tokens but spaces, comments and line ends within brackets, in one pass over the text."""
    tokens: list[_Token] = []
    position = depth = statement = 0
    while position < len(text):
        token = _token(text, position, who)
        position += len(token.text)
        if token.kind in ("space", "comment") or (token.kind == "newline" and depth):
            continue
        depth = max(0, depth + (token.text in tuple("([{")) - (token.text in tuple(")]}")))
        statement = 0 if token.kind == "newline" else statement + 1
        tokens.append(token._replace(depth=depth))
        _check_size(text, tokens[-1], statement, len(tokens), who)
    return tokens


def _token(text: str, position: int, who: str) -> _Token:
    match = _TOKEN.match(text, position)
    if match is None:
        raise _refusal(who, _place(text, position), *_strange(text, position))
    kind, piece = str(match.lastgroup), match.group()
    if kind == "comment" and not piece.isprintable():
        offset = next(i for i, letter in enumerate(piece) if not letter.isprintable())
        raise _refusal(who, _place(text, position + offset), *_strange(text, position + offset))
    return _Token(kind, piece, position)


def _check_size(text: str, token: _Token, statement: int, count: int, who: str) -> None:
    for measure, most, what in (
        (token.depth, MAX_DEPTH, "is nested deeper than {} brackets"),
        (statement, MAX_STATEMENT, "is in a statement of more than {} tokens"),
        (count, MAX_TOKENS, "is the part that makes it more than {} tokens"),
    ):
        if measure > most:
            raise _refusal(who, _place(text, token.start), f"{token.text[:40]!r} {what.format(most)}", "")


def _strange(text: str, position: int) -> tuple[str, str]:
    """What is wrong with a place where no token begins, and what to write instead."""
    letter = text[position]
    if not letter.isascii():
        name = unicodedata.name(letter, "nameless")
        return f"{letter!a} cannot be part of a script; it is {name}", "only comments hold letters that are not ASCII"
    if not letter.isprintable():
        return f"{letter!a} cannot be part of a script", "indent with spaces, end lines with \\n"
    if number := _FLOAT.match(text, position):
        return f"{number.group()[:40]!r} is no whole number", 'amounts are written decimal("0.02")'
    if word := re.match(r"\w+", text[position:], re.ASCII):
        return f"{word.group()[:40]!r} is joined to what follows it", "texts have no prefixes"
    if letter in "\"'":
        return f"{letter} begins no text", "a text ends on its line and is plain ASCII without backslashes"
    return f"{letter!r} cannot be part of a script", "write a - a // b * b" if letter == "%" else ""


def _place(text: str, position: int) -> str:
    line_start = text.rfind("\n", 0, position) + 1
    return f"line {text.count(chr(10), 0, position) + 1}, column {position - line_start + 1}"


_Refusal = tuple[_Token, str, str]


def _faults(tokens: list[_Token]) -> Iterator[_Refusal]:
    yield from _heading_faults(tokens)
    yield from _block_faults(tokens)
    functions = FUNCTIONS | {word.text for before, word in itertools.pairwise(tokens) if before.text == "def"}
    names = _Names(functions, _WORDS | {name for statement in _statements(tokens) for name in _defined(statement)})
    padded = [_NOTHING, _NOTHING, *tokens, _NOTHING, _NOTHING, _NOTHING]
    loops = 0
    for i, token in enumerate(tokens, 2):
        loops += token.text == "for"
        if token.text == "in" and loops:
            loops -= 1
            continue
        rule = _RULES.get(token.text, _RULES.get(token.kind))
        for what, remedy in rule(padded, i, names) if rule else ():
            yield token, f"{token.text[:40]!r} {what}", remedy


def _statements(tokens: list[_Token]) -> Iterator[list[_Token]]:
    for ends, statement in itertools.groupby(tokens, lambda token: token.kind == "newline"):
        if not ends:
            yield list(statement)


def _defined(statement: list[_Token]) -> Iterator[str]:
    """Names that a statement may define: a function and its parameters, targets of assignments and of loops."""
    if statement[0].text == "def":
        heading = itertools.takewhile(lambda token: token.text != ":", statement)
        yield from (word.text for before, word in itertools.pairwise(heading) if before.text in ("def", "(", ",", "*"))
    assigned = next((i for i, t in enumerate(statement) if t.depth == 0 and t.text in _ASSIGNMENTS), 0)
    yield from (token.text for token in statement[:assigned] if token.depth == 0)
    looping = False
    for token in statement:
        looping = token.text == "for" or (looping and token.text != "in")
        if looping:
            yield token.text


def _heading_faults(tokens: list[_Token]) -> Iterator[_Refusal]:
    padded = [_LINE_END, *tokens]
    places = [i for i, token in enumerate(padded) if token.text == "compute"]
    if not places:
        yield _NOTHING, "def compute(inputs, intervals): is missing", ""
    for i in places[:1]:
        line_end, start = padded[i - 2], padded[i - 1].start
        heading = tuple(token.text for token in padded[i - 1 : i + 7])
        if heading != _HEADING or line_end.kind != "newline" or start != line_end.start + 1:
            yield padded[i], "'compute' is defined otherwise than by def compute(inputs, intervals):", ""
    for i in places[1:]:
        yield padded[i], "'compute' is there again; it is defined once and called by nobody else", ""


def _block_faults(tokens: list[_Token]) -> Iterator[_Refusal]:
    branches = [token for token in tokens if token.text == "elif"]
    for token in branches[MAX_BRANCHES : MAX_BRANCHES + 1]:
        yield token, f"'elif' is there more than {MAX_BRANCHES} times", "put the tiers in a list"
    for before, token in itertools.pairwise([_LINE_END, *tokens]):
        if before.kind == "newline" and token.kind != "newline" and token.start - before.start > MAX_INDENT + 1:
            yield token, f"{token.text[:40]!r} is indented by more than {MAX_INDENT} spaces", ""


_Faults = Iterator[tuple[str, str]]


def _name_faults(tokens: list[_Token], i: int, names: _Names) -> _Faults:
    before, word, after = tokens[i - 1].text, tokens[i].text, tokens[i + 1].text
    if before == ".":
        if word not in METHODS or after != "(":
            yield "is not among the methods of a script", "they are " + ", ".join(sorted(METHODS))
    elif word in REFUSED:
        yield "is not available to a script", ""
    elif word.startswith("_") and word != "_":
        yield "begins with an underscore", ""
    elif word in names.functions:
        # Not only simpler: a function that is handed to itself sends Starlark's inliner into an endless recursion.
        if after != "(":
            yield "is a function and needs values in parentheses", "functions are not values"
        if before == "def" and word in FUNCTIONS:
            yield "is a function of the language", "take another name"
    elif word not in names.others and not (after == "=" and tokens[i].depth):
        yield "is not defined", ""


def _decimal_faults(tokens: list[_Token], i: int, names: _Names) -> _Faults:
    yield from _name_faults(tokens, i, names)
    opening, text, closing = tokens[i + 1 : i + 4]
    number = text.text[1:-1]
    if (opening.text, text.kind, closing.text) != ("(", "text", ")") or not _DECIMAL.fullmatch(number):
        yield "takes one number, in quotes", 'such as decimal("-0.025")'
    elif sum(letter.isdigit() for letter in number) > MAX_DIGITS:
        yield f"has more than {MAX_DIGITS} digits", ""


def _number_faults(tokens: list[_Token], i: int, _: _Names) -> _Faults:
    digits = tokens[i].text
    if len(digits) > MAX_WHOLE:
        yield f"has more than {MAX_WHOLE} digits", "whole numbers count and index; amounts are decimals"
    elif digits.startswith("0") and digits != "0":
        yield "begins with a zero", ""


def _equality_faults(tokens: list[_Token], i: int, _: _Names) -> _Faults:
    if not any(token.kind == "text" or token.text == "None" for token in (tokens[i - 1], tokens[i + 1])):
        yield "would hold for a decimal and a whole number never", 'compare numbers with <, <=, >=, >; "text" with =='


def _membership_faults(tokens: list[_Token], i: int, _: _Names) -> _Faults:
    before = tokens[i - 2] if tokens[i - 1].text == "not" else tokens[i - 1]
    if before.kind != "text":
        yield "would look for a decimal among whole numbers in vain", 'only a "text" can be looked for'


_RULES = {
    "name": _name_faults,
    "decimal": _decimal_faults,
    "number": _number_faults,
    "==": _equality_faults,
    "!=": _equality_faults,
    "in": _membership_faults,
}


# What passes between the two processes


def _job(script: Script, inputs: Mapping[str, Decimal], intervals: Sequence[Mapping[str, Decimal]]) -> bytes:
    faults: list[Fault] = []
    job = {
        "text": script.text,
        "inputs": _plain("inputs", inputs, faults),
        "intervals": [_plain(f"intervals[{i}]", values, faults) for i, values in enumerate(intervals)],
    }
    _refuse(script.who, iter(faults))
    return json.dumps(job).encode() + b"\n"


def _plain(where: str, values: Mapping[str, Decimal], faults: list[Fault]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for name, value in values.items():
        if not isinstance(value, Decimal) or not value.is_finite():
            faults.append(Fault(f"{where}.{name}", f"{value!r:.60} is not a finite Decimal"))
        elif (text := _digits(value)) is None:
            faults.append(Fault(f"{where}.{name}", f"{value!s:.60} has more than {MAX_DIGITS} digits"))
        else:
            texts[name] = text
    return texts


def _digits(value: Decimal) -> str | None:
    """A number without an exponent; none where that takes more than 28 digits, or more than 28 after the point."""
    text = str(value)
    if len(text) <= MAX_DIGITS and "E" not in text:  # nearly always, and this is asked for every reading
        return text
    with suppress(Inexact):
        _, digits, exponent = value.normalize(_WIDE).as_tuple()
        if int(exponent) >= -MAX_DIGITS and len(digits) + max(0, int(exponent)) <= MAX_DIGITS:
            return format(value.normalize(_WIDE), "f")
    return None


def _exchange(worker: subprocess.Popen[bytes], job: bytes) -> bytes:
    """The line that answers a line.  Raises ``OSError`` where the worker has ended or is silent for ``PATIENCE_S``."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    rest = memoryview(job)
    while rest:
        rest = rest[os.write(worker.stdin.fileno(), rest) :]
    answers = select.poll()
    answers.register(worker.stdout, select.POLLIN)
    line = b""
    while not line.endswith(b"\n"):
        if not answers.poll(PATIENCE_S * 1000):
            raise TimeoutError(f"no answer within {PATIENCE_S} s")
        piece = os.read(worker.stdout.fileno(), 1 << 16)
        if not piece:
            raise BrokenPipeError("it ended without an answer")
        line += piece
    return line


def _answer_faults(script: Script, amounts: Mapping[str, str], others: Mapping[str, str]) -> Iterator[Fault]:
    for name in script.outputs:
        if name in others:
            yield Fault(name, f"is {others[name]}; a decimal or a whole number below 1e28 is needed")
        elif name not in amounts:
            yield Fault(name, "is an output that compute leaves out")
    for name in (*amounts, *others):
        if name not in script.outputs:
            yield Fault(name, "is not declared as an output of this script")


def _folders() -> tuple[str, str]:
    """Where the worker finds starlark and us; it does not read the site's own configuration."""
    return str(Path(starlark.__file__).parents[1]), str(Path(__file__).parents[2])


def _stop(worker: subprocess.Popen[bytes]) -> None:
    # The group, for a child may be computing; not once the worker is known to be gone, for its number may be another's.
    if worker.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)
    with worker:
        pass
