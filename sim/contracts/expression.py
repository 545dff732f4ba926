"""Reading formulas: from text to a tree of a few kinds of nodes, and nothing else.

A formula is read with Python's parser and never run by Python: every node of its syntax must be on a short list.  What the
list lacks is refused with the piece of text that is at fault::

    number    := number (+ | - | * | /) number | - number | ( number ) | literal | variable
               | min(number, number, ...) | max(...) | abs(number) | clip(number, lowest, highest)
               | if(condition, number, number) | number if condition else number
               | sum(number) | tier(quantity, rate, limit, rate, limit, ..., rate)
    condition := number (< | <= | > | >= | == | !=) number | not condition | condition (and | or) condition
    variable  := name { .name | ["any text"] | [ROLE.era] }     telemetry["cdr-ev-001"].energyKWh

``×``, ``÷``, ``−``, ``≤``, ``≥`` and ``≠`` are read as ``*``, ``/``, ``-``, ``<=``, ``>=`` and ``!=``.  Numbers are written
plainly (``0.025``) and keep every digit.
"""

from __future__ import annotations

import ast
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal, TypeAlias

from sim.errors import ContractError

MAX_CHARACTERS = 2000
MAX_NODES = 200
MAX_DEPTH = 32
MAX_DIGITS = 28

Operator = Literal["+", "-", "*", "/"]
Relation = Literal["<", "<=", ">", ">=", "==", "!="]


@dataclass(frozen=True, slots=True)
class Number:
    """A literal, with the digits as they were written."""

    value: Decimal


@dataclass(frozen=True, slots=True)
class Variable:
    """A quantity by the spelling that ``variable_name`` gives it."""

    name: str


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Two numbers and what joins them.  text: the piece of formula, for messages."""

    operator: Operator
    left: Expression
    right: Expression
    text: str


@dataclass(frozen=True, slots=True)
class Negation:
    """A number with the other sign."""

    operand: Expression


@dataclass(frozen=True, slots=True)
class Comparison:
    """True or false of two numbers."""

    relation: Relation
    left: Expression
    right: Expression
    text: str


@dataclass(frozen=True, slots=True)
class Logic:
    """Conditions joined by ``and``, ``or``, or denied by ``not``."""

    operator: Literal["and", "or", "not"]
    operands: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """The one number where the condition holds, the other where not; only that one is computed."""

    condition: Condition
    then: Expression
    otherwise: Expression
    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """min, max, abs, clip or tier of numbers."""

    function: str
    arguments: tuple[Expression, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Sum:
    """The sum of a number over the intervals of a cycle.

    index: which of the formula's sums it is, from 0.  text: what it sums.
    """

    body: Expression
    index: int
    text: str


Condition: TypeAlias = Comparison | Logic
Expression: TypeAlias = Number | Variable | Arithmetic | Negation | Choice | Call | Sum

_TYPOGRAPHY = str.maketrans(
    {"×": "*", "÷": "/", "−": "-", "≤": "<=", "≥": ">=", "≠": "!=", "\t": " ", "\n": " ", "\r": " "}
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Python's tokenizer is only shown text without escapes, string prefixes and unusual numbers: it would warn about some of
# them, and a warning is neither an answer nor an error.
_TOKEN = re.compile(
    r""" *(?:(?:\d+(?:\.\d*)?|\.\d+)(?![\w.])|[A-Za-z_]\w*(?!["'])|"[^"'\\]*"|'[^"'\\]*'|[<>=!]=|[-+*/(),.\[\]<>])""",
    re.ASCII,
)
# ``if`` is a word of Python's own, so the call is read under another name.
_IF_CALL = re.compile(r"\bif( *)\(")
_IF = "If"
_QUOTED = re.compile(r"""'[^']*'|"[^"]*\"""")

_OPERATORS: dict[type[ast.operator], Operator] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_RELATIONS: dict[type[ast.cmpop], Relation] = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip
_FUNCTIONS = ("min", "max", "abs", "clip", "if", "sum", "tier")


def parse(text: str, who: str) -> Expression:
    """Read a formula.  Raises ``ContractError`` in the name of ``who``, quoting what was refused and its column."""
    if len(text) > MAX_CHARACTERS:
        raise ContractError(who, f"{len(text)} characters; a formula has at most {MAX_CHARACTERS}")
    plain = text.translate(_TYPOGRAPHY).strip()
    _check_text(plain, who)
    plain = _with_readable_ifs(plain, who)
    try:
        tree = ast.parse(plain, mode="eval")
    except (SyntaxError, RecursionError, MemoryError) as error:
        column = getattr(error, "offset", None)
        place = f"column {column}: " if column else ""
        raise ContractError(who, f"{place}{_as_written(plain)[:40]!r} is not an expression") from error
    return _Reader(plain, who).expression(tree.body, 1)


def variable_name(*segments: str) -> str:
    """The one spelling of a path: ``a.b``, or ``a["b-1"].c`` where a segment is not a plain name."""
    root, *rest = segments
    return root + "".join(f".{s}" if _NAME.fullmatch(s) else f'["{s}"]' for s in rest)


def walk(node: Expression | Condition) -> Iterator[Expression | Condition]:
    """A node and everything below it, in order of appearance."""
    yield node
    for child in children(node):
        yield from walk(child)


def children(node: Expression | Condition) -> tuple[Expression | Condition, ...]:
    """The nodes right below one."""
    match node:
        case Arithmetic(left=left, right=right) | Comparison(left=left, right=right):
            return left, right
        case Negation(operand=only) | Sum(body=only):
            return (only,)
        case Logic(operands=many) | Call(arguments=many):
            return many
        case Choice():
            return node.then, node.condition, node.otherwise
    return ()


def renamed(node: Expression, names: Mapping[str, str]) -> Expression:  # noqa: PLR0911 - one return a kind of node
    """The same tree over other names; those that are not in ``names`` stay."""
    match node:
        case Variable(name=name):
            return Variable(names.get(name, name))
        case Arithmetic():
            return replace(node, left=renamed(node.left, names), right=renamed(node.right, names))
        case Negation():
            return Negation(renamed(node.operand, names))
        case Sum():
            return replace(node, body=renamed(node.body, names))
        case Call():
            return replace(node, arguments=tuple(renamed(inner, names) for inner in node.arguments))
        case Choice(then=then, otherwise=otherwise):
            condition = _renamed_condition(node.condition, names)
            return Choice(condition, renamed(then, names), renamed(otherwise, names), node.text)
    return node


def _renamed_condition(node: Condition, names: Mapping[str, str]) -> Condition:
    if isinstance(node, Logic):
        return replace(node, operands=tuple(_renamed_condition(inner, names) for inner in node.operands))
    return replace(node, left=renamed(node.left, names), right=renamed(node.right, names))


def _with_readable_ifs(text: str, who: str) -> str:
    """``if(a, b, c)`` under a name that Python's parser takes for a function's, of the same length."""
    if re.search(rf"\b{_IF}\b", _QUOTED.sub("", text)):
        raise ContractError(who, f"{_IF} is no word of formulas; write if(condition, a, b)")
    quoted = [range(*found.span()) for found in _QUOTED.finditer(text)]
    pieces, end = [], 0
    for found in _IF_CALL.finditer(text):
        # A conditional expression's ``if (`` follows a value; the call's does not.
        before = text[: found.start()].rstrip()
        is_call = not before or before[-1] in "(,+-*/<>=[" or re.search(r"\b(and|or|not|if|else)$", before) is not None
        if is_call and not any(found.start() in span for span in quoted):
            pieces += [text[end : found.start()], _IF]
            end = found.start() + len(_IF)
    return "".join([*pieces, text[end:]])


def _as_written(text: str) -> str:
    return re.sub(rf"\b{_IF}\b", "if", text)


def _check_text(text: str, who: str) -> None:
    if not text:
        raise ContractError(who, "an empty formula; write 0 where nothing is owed")
    position = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            raise ContractError(who, _strange_text(text, position))
        position = token.end()


def _strange_text(text: str, position: int) -> str:
    start = position + len(text[position:]) - len(text[position:].lstrip(" "))
    foreign = next((c for c in text[start : start + 12] if not c.isascii()), "")
    note = f"; {unicodedata.name(foreign, 'a character')} is not ASCII" if foreign else ""
    return f"column {start + 1}: {text[start : start + 12]!r} cannot be part of a formula{note}"


@dataclass(slots=True)
class _Reader:
    """Turns one syntax tree into nodes, and counts them."""

    text: str
    who: str
    nodes: int = 0
    sums: int = 0

    def expression(self, node: ast.expr, depth: int) -> Expression:
        self.count(node, depth)
        match node:
            case ast.BinOp(op=op) if type(op) in _OPERATORS:
                left, right = self.expression(node.left, depth + 1), self.expression(node.right, depth + 1)
                return Arithmetic(_OPERATORS[type(op)], left, right, self.source(node))
            case ast.UnaryOp(op=ast.USub()):
                return Negation(self.expression(node.operand, depth + 1))
            case ast.Constant(value=int() | float()) if not isinstance(node.value, bool):
                return self.number(node)
            case ast.Call():
                return self.call(node, depth)
            case ast.IfExp():
                return self.choice(node, node.test, node.body, node.orelse, depth)
            case ast.Name() | ast.Attribute() | ast.Subscript():
                return self.variable(node)
        raise self.refusal(node, f"is none of + - * /, {', '.join(_FUNCTIONS)}, a number or a variable")

    def condition(self, node: ast.expr, depth: int) -> Condition:
        self.count(node, depth)
        match node:
            case ast.Compare(ops=[relation], comparators=[right]) if type(relation) in _RELATIONS:
                sides = self.expression(node.left, depth + 1), self.expression(right, depth + 1)
                return Comparison(_RELATIONS[type(relation)], *sides, self.source(node))
            case ast.BoolOp():
                operands = tuple(self.condition(value, depth + 1) for value in node.values)
                return Logic("and" if isinstance(node.op, ast.And) else "or", operands)
            case ast.UnaryOp(op=ast.Not()):
                return Logic("not", (self.condition(node.operand, depth + 1),))
        raise self.refusal(node, "is no condition such as energy > 10; two make one with and, or")

    def count(self, node: ast.expr, depth: int) -> None:
        self.nodes += 1
        if depth > MAX_DEPTH:
            raise self.refusal(node, f"is nested deeper than {MAX_DEPTH}")
        if self.nodes > MAX_NODES:
            raise self.refusal(node, f"is the part that makes it more than {MAX_NODES}")

    def number(self, node: ast.Constant) -> Number:
        # The digits as written: the parser's own value went through a binary float.
        value = Decimal(self.piece(node))
        if len(value.as_tuple().digits) > MAX_DIGITS:
            raise self.refusal(node, f"has more than {MAX_DIGITS} digits")
        return Number(value)

    def choice(self, node: ast.expr, test: ast.expr, then: ast.expr, otherwise: ast.expr, depth: int) -> Choice:
        condition = self.condition(test, depth + 1)
        sides = self.expression(then, depth + 1), self.expression(otherwise, depth + 1)
        return Choice(condition, *sides, self.source(node))

    def call(self, node: ast.Call, depth: int) -> Expression:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        name = "if" if name == _IF else name
        if name not in _FUNCTIONS or node.keywords:
            raise self.refusal(node, f"calls something else than {', '.join(_FUNCTIONS)}")
        wrong = _wrong_count(name, len(node.args))
        if wrong:
            raise self.refusal(node, f"has the wrong number of values: {wrong}")
        if name == "if":
            test, then, otherwise = node.args
            return self.choice(node, test, then, otherwise, depth)
        arguments = tuple(self.expression(argument, depth + 1) for argument in node.args)
        if name != "sum":
            return Call(name, arguments, self.source(node))
        if any(isinstance(inner, Sum) for inner in walk(arguments[0])):
            raise self.refusal(node, "sums a sum; a cycle has one row of intervals")
        self.sums += 1
        return Sum(arguments[0], self.sums - 1, self.source(node.args[0]))

    def variable(self, node: ast.expr) -> Variable:
        segments = self.path(node)
        if (segments[0] in _FUNCTIONS or segments[0] == _IF) and len(segments) == 1:
            raise self.refusal(node, "is a function and needs values in parentheses")
        if any(not segment or segment.startswith("_") for segment in segments):
            raise self.refusal(node, "has a part that is empty or begins with an underscore")
        return Variable(variable_name(*segments))

    def path(self, node: ast.expr) -> list[str]:
        segments: list[str] = []
        current = node
        while not isinstance(current, ast.Name):
            match current:
                case ast.Attribute(attr=segment) | ast.Subscript(slice=ast.Constant(value=str(segment))):
                    segments.append(segment)
                    current = current.value
                case ast.Subscript(slice=ast.Attribute(value=ast.Name(id=role), attr="era")):
                    segments.append(f"{role}.era")  # whoever fills the role, once that is known
                    current = current.value
                case _:
                    raise self.refusal(node, 'is not a path such as price, meter.energyKWh or telemetry["cdr-1"].kWh')
        return [current.id, *reversed(segments)]

    def source(self, node: ast.expr) -> str:
        return _as_written(self.piece(node))

    def piece(self, node: ast.expr) -> str:
        """The text of a node; the parser counts bytes of UTF-8."""
        return self.text.encode()[node.col_offset : node.end_col_offset].decode()

    def column(self, node: ast.expr) -> int:
        """Where a node begins, counting characters from 1."""
        return len(self.text.encode()[: node.col_offset].decode()) + 1

    def refusal(self, node: ast.expr, what: str) -> ContractError:
        piece = self.source(node)
        shown = piece if len(piece) <= 40 else piece[:37] + "..."
        return ContractError(self.who, f"column {self.column(node)}: {shown!r} {what}")


def _wrong_count(name: str, count: int) -> str:
    rules = {
        "abs": (count == 1, "abs takes one"),
        "sum": (count == 1, "sum takes one"),
        "if": (count == 3, "if takes a condition and two values"),
        "clip": (count == 3, "clip takes a value, the lowest and the highest"),
        "tier": (
            count >= 2 and count % 2 == 0,
            "tier takes a quantity, then rate, limit, rate, …, and ends with a rate",
        ),
    }
    right, rule = rules.get(name, (count >= 2, "min and max take two or more"))
    return "" if right else rule
