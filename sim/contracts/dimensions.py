"""Checking the units of a formula, without its values.

A quantity whose unit nobody stated fits everywhere.  A plain number in a formula counts as a pure number, or where it has to
as a price or rate of money per kWh, per hour or at all (``energy * 0.02``); never as hours, and never as money per kW, so that
a power does not pass for an energy.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from sim.contracts.expression import (
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
)
from sim.contracts.units import HOUR, KWH, ONE, Unit
from sim.errors import ContractError


@dataclass(frozen=True, slots=True)
class _Found:
    """unit: None where it is not known.  loose: a plain number had a part in it.  plain: nothing else had.

    literal: what the plain numbers multiply to; None where they did not only multiply.
    """

    unit: Unit | None
    loose: bool = False
    plain: bool = False
    literal: Decimal | None = None


_UNKNOWN = _Found(None)


def check(expression: Expression, units: Mapping[str, Unit], result: Unit | None, who: str) -> None:
    """Raises ``ContractError`` in the name of ``who`` where units clash, or what comes out is not ``result``.

    units: of variables by name; a variable that is not in it fits everywhere.  result: None where anything may come out.
    """
    found = _Checker(units, who).unit(expression)
    if result is not None and not _fits(found, result):
        raise ContractError(who, _misfit(expression, found.unit, result))


@dataclass(frozen=True, slots=True)
class _Checker:
    units: Mapping[str, Unit]
    who: str

    def unit(self, node: Expression) -> _Found:
        match node:
            case Number(value=value):
                return _Found(ONE, loose=True, plain=True, literal=value)
            case Variable(name=name):
                return _Found(self.units.get(name))
            case Negation(operand=inner) | Sum(body=inner):
                return self.unit(inner)
            case Call():
                return self.call(node)
        return self.joined(node)

    def joined(self, node: Arithmetic | Choice) -> _Found:
        if isinstance(node, Choice):
            self.condition(node.condition)
            return self.same(self.unit(node.then), self.unit(node.otherwise), node.text)
        left, right = self.unit(node.left), self.unit(node.right)
        return self.same(left, right, node.text) if node.operator in "+-" else _scaled(node.operator, left, right)

    def condition(self, node: Condition) -> None:
        match node:
            case Comparison():
                self.same(self.unit(node.left), self.unit(node.right), node.text)
            case Logic(operands=operands):
                for operand in operands:
                    self.condition(operand)

    def call(self, node: Call) -> _Found:
        found = [self.unit(argument) for argument in node.arguments]
        if node.function == "tier":
            quantity, limits, rates = found[0], found[2::2], found[1::2]
            return _scaled("*", self.all_same([quantity, *limits], node.text), self.all_same(rates, node.text))
        return self.all_same(found, node.text)

    def all_same(self, found: list[_Found], text: str) -> _Found:
        return functools.reduce(lambda one, other: self.same(one, other, text), found)

    def same(self, left: _Found, right: _Found, text: str) -> _Found:
        """What both sides of a sum or comparison are in."""
        if left.unit is None or right.unit is None:
            return _Found(left.unit or right.unit) if not (left.loose or right.loose) else _UNKNOWN
        if left.unit == right.unit:
            return _Found(left.unit, left.loose and right.loose, left.plain and right.plain)
        for loose, fixed in ((left, right), (right, left)):
            if loose.plain or (loose.loose and _fits(loose, fixed.unit)):  # type: ignore[arg-type]
                return fixed
        raise ContractError(self.who, f"{text} joins {left.unit} and {right.unit}; {_remedy(left.unit, right.unit)}")


def _scaled(operator: str, left: _Found, right: _Found) -> _Found:
    if left.unit is None or right.unit is None:
        return _UNKNOWN
    unit = left.unit * right.unit if operator == "*" else left.unit / right.unit
    return _Found(unit, left.loose or right.loose, left.plain and right.plain, _literal(operator, left, right))


def _literal(operator: str, left: _Found, right: _Found) -> Decimal | None:
    one, other = (Decimal(1) if not found.loose else found.literal for found in (left, right))
    if one is None or other is None or (operator == "/" and not other):
        return None
    return one * other if operator == "*" else one / other


def _fits(found: _Found, wanted: Unit) -> bool:
    if found.unit is None or found.plain or found.unit == wanted:
        return True
    if not found.loose:
        return False
    if found.unit.like(wanted):
        return _converts(found, wanted)
    rate = wanted / found.unit
    a_price = any((rate * per).powers == tuple(rate.currencies.items()) for per in (ONE, KWH, HOUR))
    return bool(wanted.currencies) and not found.unit.currencies and a_price


def _converts(found: _Found, wanted: Unit) -> bool:
    """Whether plain numbers make up for the factor between two units (Wh / 1000), give or take a surcharge."""
    assert found.unit is not None
    if not found.literal:
        return True
    return Decimal("0.2") <= abs(found.literal) * wanted.factor / found.unit.factor <= 5


def _misfit(expression: Expression, unit: Unit | None, result: Unit) -> str:
    assert unit is not None
    named = getattr(expression, "text", "it")
    return f"{named} is in {unit}, and has to be in {result}; {_remedy(unit, result)}"


def _remedy(found: Unit, wanted: Unit) -> str:
    if found.like(wanted):
        return f"convert one of them, by a factor of {(found.factor / wanted.factor).normalize():f}"
    if (found * HOUR).like(wanted) or (wanted * HOUR).like(found):
        return "multiply the power by the hours it lasted"
    currencies = {*found.currencies, *wanted.currencies}
    if len(currencies) > 1:
        return f"one contract has one currency, not {' and '.join(sorted(currencies))}"
    return "check what is multiplied with what"
