"""JSONPath (RFC 9535) written by others: compiled, bounded, and asked.

python-jsonpath reads it in strict mode, without its own additions.  Made safe and deterministic are: regular expressions
(``patterns``), nesting, and the work that nested queries can pile up, which is counted in visited nodes.

Two things stand beside the RFC.  Texts that are both RFC 3339 date-times are compared as moments, because equal moments have
many spellings.  And there is one more function, ``overlaps(nodes, start, end)``: whether one of these windows of time
(``availabilityWindow``) has a moment in common with the span between two date-times.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jsonpath
from jsonpath.exceptions import JSONPathError, JSONPathTypeError
from jsonpath.filter import StringLiteral
from jsonpath.function_extensions import ExpressionType, FilterFunction
from jsonpath.match import JSONPathMatch, NodeList
from jsonpath.parse import Parser
from jsonpath.segments import JSONPathChildSegment, JSONPathRecursiveDescentSegment, JSONPathSegment
from jsonpath.selectors import IndexSelector, NameSelector
from jsonpath.stream import TokenStream
from jsonpath.token import Token

from sim.wire.codes import Code, Refusal
from sim.wire.search.patterns import PatternError, matches, rewritten
from sim.wire.search.periods import moment, overlaps

NODES, NODES_PER_ITEM = 10_000, 500
"""Nodes that a search may visit in a catalogue, and for each of its items; a plain condition visits about ten of an item."""
DEEPEST = 32
"""How deep brackets may be nested."""
_COMPARISONS = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


class _Exhausted(JSONPathError):
    """The work that a search may take in a catalogue has been done."""


@dataclass(slots=True)
class Budget:
    """How many nodes a search may still visit in a catalogue.  It grows with the items, so that work never piles up."""

    left: int
    context: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.context = {"budget": self}

    @classmethod
    def of(cls, items: int) -> Budget:
        """What a search of so many items may take."""
        return cls(NODES + NODES_PER_ITEM * items)


def _charge(node: JSONPathMatch, *, wide: bool) -> JSONPathMatch:
    """Take a node that is visited from the budget, which travels in the context of filters; and its children where all are."""
    budget: Budget = node.filter_context()["budget"]
    budget.left -= 1 + (len(node.obj) if wide and isinstance(node.obj, list | dict) else 0)
    if budget.left < 0:
        raise _Exhausted(f"it visits more than {NODES:,} nodes, and {NODES_PER_ITEM} for each item")
    return node


class _Children(JSONPathChildSegment):
    def resolve(self, nodes: Iterable[JSONPathMatch]) -> Iterable[JSONPathMatch]:
        wide = not all(isinstance(selector, NameSelector | IndexSelector) for selector in self.selectors)
        return super().resolve(_charge(node, wide=wide) for node in nodes)


class _Descendants(JSONPathRecursiveDescentSegment):
    def _visit(self, node: JSONPathMatch, depth: int = 1) -> Iterable[JSONPathMatch]:
        return super()._visit(_charge(node, wide=True), depth)


class _CountingParser(Parser):
    """Makes the steps of every query such as are charged for."""

    def parse_query(self, stream: TokenStream) -> Iterable[JSONPathSegment]:
        for segment in super().parse_query(stream):
            kind = _Descendants if isinstance(segment, JSONPathRecursiveDescentSegment) else _Children
            yield kind(env=segment.env, token=segment.token, selectors=segment.selectors)


class _Regular(FilterFunction):
    """``match`` and ``search``: whether all of a text, or some part of it, matches an I-Regexp."""

    arg_types = [ExpressionType.VALUE, ExpressionType.VALUE]  # noqa: RUF012
    return_type = ExpressionType.LOGICAL

    def __init__(self, *, whole: bool) -> None:
        self._whole = whole

    def __call__(self, text: object, pattern: object) -> bool:
        if not isinstance(text, str) or not isinstance(pattern, str):
            return False
        try:
            return matches(text, pattern, whole=self._whole)
        except PatternError:  # of a pattern that stands in the catalogue; the RFC's answer
            return False


class _Overlaps(FilterFunction):
    """``overlaps``: whether one of these windows has a moment in common with a span."""

    arg_types = [ExpressionType.NODES, ExpressionType.VALUE, ExpressionType.VALUE]  # noqa: RUF012
    return_type = ExpressionType.LOGICAL

    def __call__(self, windows: NodeList, start: object, end: object) -> bool:
        first, last = moment(start), moment(end)
        if first is None or last is None:
            return False
        return any(overlaps(node.obj, first, last) for node in windows if isinstance(node.obj, Mapping))


class _Environment(jsonpath.JSONPathEnvironment):
    parser_class = _CountingParser

    def setup_function_extensions(self) -> None:
        super().setup_function_extensions()
        self.function_extensions["match"] = _Regular(whole=True)
        self.function_extensions["search"] = _Regular(whole=False)
        self.function_extensions["overlaps"] = _Overlaps()

    def validate_function_extension_signature(self, token: Token, args: list[Any]) -> list[Any]:
        checked = super().validate_function_extension_signature(token, args)
        for literal in (arg.value for arg in checked[1:] if isinstance(arg, StringLiteral)):
            if token.value in ("match", "search"):
                try:
                    rewritten(literal)
                except PatternError as error:
                    raise JSONPathTypeError(str(error), token=token) from None
            if token.value == "overlaps" and moment(literal) is None:
                raise JSONPathTypeError(f"expected a date-time with offset, got {literal!r}", token=token)
        return checked

    def compare(self, left: object, operator: str, right: object) -> bool:
        compared = _COMPARISONS.get(operator)
        if compared is not None and (one := moment(left)) is not None and (other := moment(right)) is not None:
            return bool(compared(one, other))
        return super().compare(left, operator, right)


_ENVIRONMENT = _Environment(strict=True)


@dataclass(frozen=True, slots=True)
class Path:
    """A JSONPath that can be asked.  where: JSON pointer to it in the message, for refusals."""

    compiled: jsonpath.JSONPath
    where: str

    def nodes(self, document: Any, budget: Budget) -> list[tuple[tuple[int | str, ...], Any]]:
        """Place and value of every node that this selects.  Raises ``Refusal`` where that would take too much work."""
        try:
            return [(m.parts, m.obj) for m in self.compiled.finditer(document, filter_context=budget.context)]
        except (JSONPathError, RecursionError) as error:
            raise _refusal(error, self.where) from None

    def chosen(self, items: Sequence[Any], budget: Budget) -> dict[int, tuple[int, ...] | None]:
        """The items that nodes of this lie in, by number, and of each the offers that are selected: None for all of them."""
        chosen: dict[int, tuple[int, ...] | None] = {}
        for parts, _ in self.nodes(items, budget):
            for number in range(len(items)) if not parts else (int(parts[0]),):
                offer = parts[2] if len(parts) > 2 and parts[1] == "offers" else None
                known = chosen.get(number, ())
                chosen[number] = None if known is None or offer is None else tuple(sorted({*known, int(offer)}))
        return dict(sorted(chosen.items()))


def compile_path(text: str, where: str) -> Path:
    """The path that stands at ``where``.

    Raises ``Refusal`` (SCH_INVALID_FORMAT) that says at which character it is wrong.
    """
    if _depth(text) > DEEPEST:
        raise Refusal(Code.SCH_INVALID_FORMAT, where, f"expected brackets nested at most {DEEPEST} deep")
    try:
        return Path(_compiled(text), where)
    except (JSONPathError, RecursionError, ArithmeticError, ValueError) as error:
        raise _refusal(error, where) from None


@functools.lru_cache(maxsize=256)
def _compiled(text: str) -> jsonpath.JSONPath:
    path = _ENVIRONMENT.compile(text)
    assert isinstance(path, jsonpath.JSONPath), "strict mode knows no compound paths"
    return path


def _depth(text: str) -> int:
    deepest = depth = 0
    for character in text:
        depth += (character in "([") - (character in ")]")
        deepest = max(deepest, depth)
    return deepest


def _refusal(error: Exception, where: str) -> Refusal:
    token = getattr(error, "token", None)
    message = error.message if isinstance(error, JSONPathError) else f"it cannot be read: {error}"
    place = "" if token is None else " at its end" if token.index < 0 else f" at character {token.index + 1}"
    return Refusal(Code.SCH_INVALID_FORMAT, where, f"expected a JSONPath of RFC 9535; {message}{place}")
