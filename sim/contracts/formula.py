"""Formulas of contracts: a small expression language, computed in decimals.

A formula is read with Python's parser and never run by Python: every node must be on a short list, and becomes a nested
function.  What the list lacks is refused with the piece of text that is at fault::

    expression := expression (+ | - | * | /) expression | - expression | ( expression )
                | min(expression, expression, ...) | max(...) | abs(expression) | number | variable
    variable   := name { .name | ["any text"] }             telemetry["cdr-ev-001"].energyKWh

``×``, ``÷`` and ``−`` are read as ``*``, ``/`` and ``-``.  Numbers are written plainly (``0.025``) and keep every digit.
"""

from __future__ import annotations

import ast
import functools
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import (
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DecimalException,
    DivisionByZero,
    FloatOperation,
    InvalidOperation,
    Overflow,
)

from sim.errors import ContractError, nearest

MAX_CHARACTERS = 2000
MAX_NODES = 200
MAX_DEPTH = 32
MAX_DIGITS = 28

CONTEXT = Context(
    prec=MAX_DIGITS,
    rounding=ROUND_HALF_EVEN,
    Emin=-MAX_DIGITS,
    Emax=MAX_DIGITS,
    capitals=1,
    clamp=0,
    traps=[InvalidOperation, DivisionByZero, Overflow, FloatOperation],
)
"""Decimal arithmetic of formulas.  Always passed on, never made current: a result does not depend on its caller."""

Values = Mapping[str, Decimal]
_Run = Callable[[Values], Decimal]
_Binary = Callable[[Decimal, Decimal], Decimal]

_TYPOGRAPHY = str.maketrans({"×": "*", "÷": "/", "−": "-", "\t": " ", "\n": " ", "\r": " "})
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Python's tokenizer is only shown text without escapes, string prefixes and unusual numbers: it would warn about some of
# them, and a warning is neither an answer nor an error.
_TOKEN = re.compile(
    r""" *(?:(?:\d+(?:\.\d*)?|\.\d+)(?![\w.])|[A-Za-z_]\w*(?!["'])|"[^"'\\]*"|'[^"'\\]*'|[-+*/(),.\[\]])""", re.ASCII
)

_BINARY: dict[type[ast.operator], _Binary] = {
    ast.Add: CONTEXT.add,
    ast.Sub: CONTEXT.subtract,
    ast.Mult: CONTEXT.multiply,
    ast.Div: CONTEXT.divide,
}
_EXTREMES: dict[str, _Binary] = {"min": CONTEXT.min, "max": CONTEXT.max}
_FUNCTIONS = (*_EXTREMES, "abs")


@dataclass(frozen=True, slots=True)
class Formula:
    """A compiled formula.

    text: as it was written.  names: the variables it reads, each once, in order of appearance, spelled as
    ``variable_name`` does.  who: what the formula belongs to, for messages.
    """

    text: str
    names: tuple[str, ...]
    who: str = field(compare=False)
    _run: _Run = field(repr=False, compare=False)

    def __reduce__(self) -> tuple[object, ...]:
        return _compile_again, (self.text, self.who)

    def evaluate(self, values: Values) -> Decimal:
        """The result, to 28 significant digits, for a value of every name; further values are ignored.

        Raises ``ContractError`` where a name has no value or one that is not a finite ``Decimal``, on a division by zero
        and for a result of 1e29 or more.
        """
        try:
            return CONTEXT.plus(self._run(values))
        except (KeyError, DecimalException) as error:
            raise ContractError(self.who, _diagnosis(self, values, error)) from error


def compile_formula(text: str, *, who: str) -> Formula:
    """Read a formula.  Raises ``ContractError`` in the name of ``who``, quoting what was refused and its column."""
    plain = text.translate(_TYPOGRAPHY).strip()
    _check_text(plain, who)
    try:
        tree = ast.parse(plain, mode="eval")
    except (SyntaxError, RecursionError, MemoryError) as error:
        column = getattr(error, "offset", None)
        place = f"column {column}: " if column else ""
        raise ContractError(who, f"{place}{plain[:40]!r} is not an expression") from error
    compiler = _Compiler(plain, who)
    run = compiler.expression(tree.body, 1)
    return Formula(text, tuple(compiler.names), who, run)


def variable_name(*segments: str) -> str:
    """The one spelling of a path: ``a.b``, or ``a["b-1"].c`` where a segment is not a plain name."""
    root, *rest = segments
    return root + "".join(f".{s}" if _NAME.fullmatch(s) else f'["{s}"]' for s in rest)


def _compile_again(text: str, who: str) -> Formula:
    return compile_formula(text, who=who)


def _check_text(text: str, who: str) -> None:
    if not text:
        raise ContractError(who, "an empty formula; write 0 where nothing is owed")
    if len(text) > MAX_CHARACTERS:
        raise ContractError(who, f"{len(text)} characters; a formula has at most {MAX_CHARACTERS}")
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
class _Compiler:
    """Turns one syntax tree into nested functions, counting its nodes and collecting its variables."""

    text: str
    who: str
    names: dict[str, None] = field(default_factory=dict)
    nodes: int = 0

    def expression(self, node: ast.expr, depth: int) -> _Run:
        self.nodes += 1
        if depth > MAX_DEPTH:
            raise self.refusal(node, f"is nested deeper than {MAX_DEPTH}")
        if self.nodes > MAX_NODES:
            raise self.refusal(node, f"is the part that makes it more than {MAX_NODES}")
        match node:
            case ast.BinOp(op=op) if type(op) in _BINARY:
                left, right = self.expression(node.left, depth + 1), self.expression(node.right, depth + 1)
                return _binary(_BINARY[type(op)], left, right)
            case ast.UnaryOp(op=ast.USub()):
                return _unary(CONTEXT.minus, self.expression(node.operand, depth + 1))
            case ast.Constant(value=int() | float()) if not isinstance(node.value, bool):
                return self.number(node)
            case ast.Call():
                return self.call(node, depth)
            case ast.Name() | ast.Attribute() | ast.Subscript():
                return self.variable(node)
        raise self.refusal(node, "is none of + - * /, min, max, abs, a number or a variable")

    def number(self, node: ast.Constant) -> _Run:
        # The digits as written: the parser's own value went through a binary float.
        digits = self.source(node)
        value = Decimal(digits)
        if len(value.as_tuple().digits) > MAX_DIGITS:
            raise self.refusal(node, f"has more than {MAX_DIGITS} digits")
        return lambda values: value

    def call(self, node: ast.Call, depth: int) -> _Run:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name not in _FUNCTIONS or node.keywords:
            raise self.refusal(node, f"calls something else than {', '.join(_FUNCTIONS)}")
        arguments = [self.expression(argument, depth + 1) for argument in node.args]
        if name == "abs" and len(arguments) == 1:
            return _unary(CONTEXT.abs, arguments[0])
        if name == "abs" or len(arguments) < 2:
            raise self.refusal(node, "has the wrong number of values: abs takes one, min and max two or more")
        return functools.reduce(functools.partial(_binary, _EXTREMES[name]), arguments)

    def variable(self, node: ast.expr) -> _Run:
        segments = self.path(node)
        if segments[0] in _FUNCTIONS and len(segments) == 1:
            raise self.refusal(node, "is a function and needs values in parentheses")
        if any(not segment or segment.startswith("_") for segment in segments):
            raise self.refusal(node, "has a part that is empty or begins with an underscore")
        name = variable_name(*segments)
        self.names[name] = None
        return _variable(name)

    def path(self, node: ast.expr) -> list[str]:
        segments: list[str] = []
        current = node
        while not isinstance(current, ast.Name):
            match current:
                case ast.Attribute(attr=segment) | ast.Subscript(slice=ast.Constant(value=str(segment))):
                    segments.append(segment)
                    current = current.value
                case _:
                    raise self.refusal(node, 'is not a path such as price, meter.energyKWh or telemetry["cdr-1"].kWh')
        return [current.id, *reversed(segments)]

    def source(self, node: ast.expr) -> str:
        return self.text[node.col_offset : node.end_col_offset]

    def refusal(self, node: ast.expr, what: str) -> ContractError:
        piece = self.source(node)
        shown = piece if len(piece) <= 40 else piece[:37] + "..."
        return ContractError(self.who, f"column {node.col_offset + 1}: {shown!r} {what}")


def _binary(operation: _Binary, left: _Run, right: _Run) -> _Run:
    return lambda values: operation(left(values), right(values))


def _unary(operation: Callable[[Decimal], Decimal], operand: _Run) -> _Run:
    return lambda values: operation(operand(values))


def _variable(name: str) -> _Run:
    def read(values: Values) -> Decimal:
        value = values[name]
        # min and max pass over a NaN, so it would vanish from the result instead of spoiling it.
        if isinstance(value, Decimal) and value.is_finite():
            return value
        raise InvalidOperation

    return read


def _diagnosis(formula: Formula, values: Values, error: Exception) -> str:
    for name in formula.names:
        if name not in values:
            return f"{name} has no value; {nearest(name, values)}"
        if not isinstance(values[name], Decimal):
            return f"{name} is the {type(values[name]).__name__} {values[name]!r}; a Decimal is needed"
        if not values[name].is_finite():
            return f"{name} is {values[name]}; a finite number is needed"
    cause = "exceeds 1e28" if isinstance(error, Overflow) else "divides by zero"
    given = ", ".join(f"{name} = {values[name]}" for name in formula.names)
    return f"{formula.text} {cause}" + (f", with {given}" if given else "")
