"""Formulas of contracts: a small expression language, computed in decimals.

``sim.contracts.expression`` says what may be written, ``sim.contracts.dimensions`` which units fit together.  Here a tree
becomes nested functions, once; nothing is ever run by Python itself.

A formula holds for one interval.  One with ``sum`` holds for a cycle: inside ``sum`` stands what is computed by interval, and
``Formula.over`` puts the sums of many intervals in its place.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
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

from sim.contracts import dimensions
from sim.contracts.expression import (
    MAX_CHARACTERS,
    MAX_DEPTH,
    MAX_DIGITS,
    MAX_NODES,
    Arithmetic,
    Call,
    Choice,
    Comparison,
    Condition,
    Expression,
    Logic,
    Negation,
    Number,
    Sum,
    Variable,
    children,
    parse,
    renamed,
    variable_name,
    walk,
)
from sim.contracts.units import Unit
from sim.errors import ContractError, nearest

__all__ = [
    "CONTEXT",
    "MAX_CHARACTERS",
    "MAX_DEPTH",
    "MAX_DIGITS",
    "MAX_NODES",
    "Formula",
    "Values",
    "compile_formula",
    "variable_name",
]

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
_Test = Callable[[Values], bool]
_Binary = Callable[[Decimal, Decimal], Decimal]

_BINARY: Mapping[str, _Binary] = {
    "+": CONTEXT.add,
    "-": CONTEXT.subtract,
    "*": CONTEXT.multiply,
    "/": CONTEXT.divide,
    "min": CONTEXT.min,
    "max": CONTEXT.max,
}
_RELATIONS: Mapping[str, Callable[[Decimal, Decimal], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


class _Crossed(DecimalException):
    """Bounds or limits that do not ascend."""


@dataclass(frozen=True, slots=True)
class Formula:
    """A compiled formula.

    text: as it was written.  names: the variables it reads, each once, in order of appearance, spelled as
    ``variable_name`` does; those inside ``sum`` among them.  sums: what stands inside each ``sum``.  who: what the formula
    belongs to, for messages.
    """

    text: str
    names: tuple[str, ...]
    who: str = field(compare=False)
    sums: tuple[Formula, ...] = field(compare=False)
    _tree: Expression = field(repr=False, compare=False)
    _run: _Run = field(repr=False, compare=False)

    def __reduce__(self) -> tuple[object, ...]:
        return _formula, (self.text, self.who, self._tree)

    def evaluate(self, values: Values) -> Decimal:
        """The result for one interval, to 28 significant digits, for a value of every name; further values are ignored.

        Raises ``ContractError`` where a name has no value or one that is not a finite ``Decimal``, on a division by zero,
        for bounds of ``clip`` and limits of ``tier`` that do not ascend, and for a result of 1e29 or more.
        """
        if self.sums:
            return self.over(values, [part.evaluate(values) for part in self.sums])
        try:
            return CONTEXT.plus(self._run(values))
        except (KeyError, DecimalException) as error:
            raise ContractError(self.who, _diagnosis(self, values, error)) from error

    def over(self, values: Values, totals: Sequence[Decimal]) -> Decimal:
        """The result for a cycle.  values: of the names outside ``sum``.  totals: what each of ``sums`` amounts to."""
        named = {_sum_name(k): total for k, total in enumerate(totals)}
        try:
            return CONTEXT.plus(self._run({**values, **named}))
        except (KeyError, DecimalException) as error:
            raise ContractError(self.who, _diagnosis(self, values, error)) from error

    @property
    def outer_names(self) -> tuple[str, ...]:
        """The variables read outside ``sum``, which have one value a cycle."""
        return _names(_outside_sums(self._tree))

    def renamed(self, names: Mapping[str, str]) -> Formula:
        """The same formula over other names."""
        return _formula(self.text, self.who, renamed(self._tree, names))

    def check_units(self, units: Mapping[str, Unit], result: Unit | None) -> None:
        """Raises ``ContractError`` where units clash, or the result is in another one than ``result``."""
        dimensions.check(self._tree, units, result, self.who)

    def zero_divisor(self, known: Values) -> str:
        """The text of a division by what is zero, as far as these values tell; empty where there is none."""
        for node in _always_computed(self._tree):
            if isinstance(node, Arithmetic) and node.operator == "/":
                below = _names(walk(node.right))
                if all(name in known for name in below) and not _is_sum_in(node.right) and _is_zero(node.right, known):
                    return node.text
        return ""


def compile_formula(text: str, *, who: str) -> Formula:
    """Read a formula.  Raises ``ContractError`` in the name of ``who``, quoting what was refused and its column."""
    tree = parse(text, who)
    formula = _formula(text, who, tree)
    zero = formula.zero_divisor({})
    if zero:
        raise ContractError(who, f"{zero} divides by zero")
    return formula


def _formula(text: str, who: str, tree: Expression) -> Formula:
    by_index = sorted((node for node in walk(tree) if isinstance(node, Sum)), key=lambda node: node.index)
    sums = tuple(_formula(node.text, who, node.body) for node in by_index)
    return Formula(text, _names(walk(tree)), who, sums, tree, _number(tree))


def _names(nodes: Iterable[Expression | Condition]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(node.name for node in nodes if isinstance(node, Variable)))


def _outside_sums(node: Expression | Condition) -> Iterable[Expression | Condition]:
    if isinstance(node, Sum):
        return
    yield node
    for child in children(node):
        yield from _outside_sums(child)


def _always_computed(node: Expression | Condition) -> Iterable[Expression | Condition]:
    """A node and what is computed with it in any case: of a choice only its condition."""
    yield node
    for child in (node.condition,) if isinstance(node, Choice) else children(node):
        yield from _always_computed(child)


def _is_sum_in(tree: Expression) -> bool:
    return any(isinstance(node, Sum) for node in walk(tree))


def _is_zero(tree: Expression, values: Values) -> bool:
    try:
        return _number(tree)(values) == 0
    except DecimalException:
        return False


def _sum_name(number: int) -> str:
    return f"sum {number + 1}"  # no variable has a blank in its name


def _number(node: Expression) -> _Run:
    match node:
        case Number(value=value):
            return lambda values: value
        case Variable(name=name):
            return _variable(name)
        case Sum(index=index):
            return _variable(_sum_name(index))
        case Call():
            return _call(node)
    return _operation(node)


def _operation(node: Arithmetic | Negation | Choice) -> _Run:
    match node:
        case Arithmetic():
            return _binary(_BINARY[node.operator], _number(node.left), _number(node.right))
        case Negation(operand=inner):
            return _unary(CONTEXT.minus, _number(inner))
        case Choice():
            return _choice(_condition(node.condition), _number(node.then), _number(node.otherwise))


def _condition(node: Condition) -> _Test:
    match node:
        case Comparison():
            return _comparison(_RELATIONS[node.relation], _number(node.left), _number(node.right))
        case Logic(operator="not"):
            inner = _condition(node.operands[0])
            return lambda values: not inner(values)
        case Logic():
            return _joined(all if node.operator == "and" else any, [_condition(inner) for inner in node.operands])


def _call(node: Call) -> _Run:
    arguments = [_number(argument) for argument in node.arguments]
    match node.function:
        case "abs":
            return _unary(CONTEXT.abs, arguments[0])
        case "clip":
            return _clip(*arguments)
        case "tier":
            return _tier(arguments[0], arguments[1::2], arguments[2::2])
    return functools.reduce(functools.partial(_binary, _BINARY[node.function]), arguments)


def _binary(operation: _Binary, left: _Run, right: _Run) -> _Run:
    return lambda values: operation(left(values), right(values))


def _unary(operation: Callable[[Decimal], Decimal], operand: _Run) -> _Run:
    return lambda values: operation(operand(values))


def _comparison(relation: Callable[[Decimal, Decimal], bool], left: _Run, right: _Run) -> _Test:
    return lambda values: relation(left(values), right(values))


def _joined(quantifier: Callable[[Iterable[bool]], bool], conditions: Sequence[_Test]) -> _Test:
    return lambda values: quantifier(condition(values) for condition in conditions)


def _choice(condition: _Test, then: _Run, otherwise: _Run) -> _Run:
    return lambda values: then(values) if condition(values) else otherwise(values)


def _clip(value: _Run, lowest: _Run, highest: _Run) -> _Run:
    def clip(values: Values) -> Decimal:
        low, high = lowest(values), highest(values)
        if low > high:
            raise _Crossed(f"clips between {low} and {high}")
        return CONTEXT.max(low, CONTEXT.min(value(values), high))

    return clip


def _tier(quantity: _Run, rates: Sequence[_Run], limits: Sequence[_Run]) -> _Run:
    """What a quantity costs where each rate holds up to its limit, counted from zero; below zero the first rate holds."""

    def tier(values: Values) -> Decimal:
        left, cost, below = quantity(values), Decimal(0), Decimal(0)
        for rate, limit in zip(rates, limits, strict=False):
            above = limit(values)
            if above <= below:
                raise _Crossed(f"has a tier up to {above} after one up to {below}")
            width = CONTEXT.subtract(above, below)
            within = CONTEXT.min(left, width)
            cost = CONTEXT.add(cost, CONTEXT.multiply(within, rate(values)))
            left, below = CONTEXT.subtract(left, within), above
        return CONTEXT.add(cost, CONTEXT.multiply(left, rates[-1](values)))

    return tier


def _variable(name: str) -> _Run:
    def read(values: Values) -> Decimal:
        value = values[name]
        # min and max pass over a NaN, so it would vanish from the result instead of spoiling it.
        if isinstance(value, Decimal) and value.is_finite():
            return value
        raise InvalidOperation

    return read


def _diagnosis(formula: Formula, values: Values, error: Exception) -> str:
    needed = formula.outer_names if formula.sums else formula.names
    for name in needed:
        if name not in values:
            return f"{name} has no value; {nearest(name, values)}"
        if not isinstance(values[name], Decimal):
            return f"{name} is the {type(values[name]).__name__} {values[name]!r}; a Decimal is needed"
        if not values[name].is_finite():
            return f"{name} is {values[name]}; a finite number is needed"
    cause = "exceeds 1e28" if isinstance(error, Overflow) else "divides by zero"
    if isinstance(error, _Crossed):
        cause = str(error)
    given = ", ".join(f"{name} = {values[name]}" for name in needed)
    return f"{formula.text} {cause}" + (f", with {given}" if given else "")
