"""Words, numbers and units in the document of a policy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeVar

from sim.contracts.policies.facts import BOOL, SHARE, TEXT, Fact, Measure, Quantity, Vocabulary
from sim.errors import ContractError, Fault, nearest
from sim.wire.explain import pointer_of, short

Path = tuple[str | int, ...]
Document = Mapping[Any, Any]
Word = TypeVar("Word", bound=StrEnum)

_PERCENT = Decimal("0.01")
_QUANTITY_KEYS = ("value", "unit", "currency")
_SPELLINGS = {"FULFILLMENT": "FULFILMENT", "CONTRACTFORMATION": "FORMATION"}


class Said(str):
    """Words about what was got, where a value of the document is not what there is to quote."""

    __slots__ = ()


@dataclass(slots=True)
class Values:
    """Reads on where something is wrong, to find the rest.  faults: what was wrong so far, with JSON pointers."""

    vocabulary: Vocabulary
    faults: list[Fault] = field(default_factory=list)

    def fault(self, path: Path, expected: str, got: object, remedy: str = "") -> None:
        """Note something that is wrong."""
        self.faults.append(Fault(pointer_of(path), f"expected {expected}, got {_shown(got)}", remedy))

    def check_keys(self, document: Document, known: Iterable[str], path: Path) -> None:
        """Keys that nothing would read are faults, but for JSON-LD's."""
        for key in document:
            if key not in known and not str(key).startswith("@"):
                self.fault((*path, str(key)), "no such key", Said("one"), nearest(str(key), known))

    def word(self, document: Document, key: str, kind: type[Word], default: Word | None, path: Path) -> Word | None:
        """The word under a key; None, with a fault, where it is none of its kind or missing without a default."""
        if key in document:
            return self.one_of(document[key], kind, (*path, key))
        if default is None:
            self.fault(path, f"{key}, one of {', '.join(kind)}", Said("none"))
        return default

    def one_of(self, value: object, kind: type[Word], path: Path) -> Word | None:
        """The word of a kind, however it is capitalised and joined."""
        found = word_in(kind, value)
        if found is None:
            self.fault(path, f"one of {', '.join(kind)}", value)
        return found

    def quantity(self, stated: object, usual: Measure, path: Path) -> Quantity | None:
        """A plain value, in the usual measure if it is a number; or ``{value, unit}``, or ``{value, currency}``."""
        measure: Measure | None = usual
        own = isinstance(stated, Mapping)
        if isinstance(stated, Mapping):
            self.check_keys(stated, _QUANTITY_KEYS, path)
            measure = self._stated_measure(stated, usual, path)
            path, stated = (*path, "value"), stated.get("value")
        number = number_of(stated)
        if measure is None:
            return None
        if number is not None and measure.unit is not None:
            return self._of_percent(number, measure)
        if isinstance(stated, bool | str) and not (own and not measure.fits(stated)):
            return Quantity(stated, Measure(BOOL if isinstance(stated, bool) else TEXT))
        self.fault(path, article(measure) if own else "a number, a text, or true or false", stated)
        return None

    def _stated_measure(self, stated: Document, usual: Measure, path: Path) -> Measure | None:
        """By ``unit``, or by ``currency`` and what the name says (``feePerMinute``)."""
        if "unit" in stated:
            return self._unit(stated["unit"], (*path, "unit"))
        if "currency" not in stated:
            return usual
        if stated["currency"] != self.vocabulary.currency:
            self._foreign(self.vocabulary.currency, stated["currency"], (*path, "currency"))
            return None
        is_money = usual.unit is not None and usual.unit.currencies
        return usual if is_money else self.vocabulary.measure(self.vocabulary.currency)

    def _unit(self, text: object, path: Path) -> Measure | None:
        try:
            measure = self.vocabulary.measure(text) if isinstance(text, str) else None
        except ContractError as error:
            self.fault(path, "a unit", text, error.faults[0].what)
            return None
        if measure is None:
            self.fault(path, "a unit, a text", text)
        elif measure.unit is not None and {*measure.unit.currencies} - {self.vocabulary.currency}:
            self._foreign(f"a unit of {self.vocabulary.currency}", text, path)
            return None
        return measure

    def _foreign(self, expected: str, got: object, path: Path) -> None:
        self.fault(path, expected, got, "one network has one currency")

    def _of_percent(self, number: Decimal, measure: Measure) -> Quantity:
        if measure.unit is not None and not measure.unit.powers and measure.unit.factor == _PERCENT:
            return Quantity(number.scaleb(-2), self.vocabulary.measure(SHARE))
        return Quantity(number, measure)

    def expect_measure(self, name: str, wanted: Measure, found: Quantity, stated: object, path: Path) -> Fact | None:
        """The value of what was found, if it can stand where a field is compared; else a fault."""
        if found.measure.same(wanted):
            return found.value
        if found.measure.unit is None:
            self.fault(path, f"{article(wanted)}, as of {name}", stated)
        else:
            self.misfit(name, wanted, found.measure, found.measure.name, path)
        return None

    def misfit(self, name: str, wanted: Measure, found: Measure, got: str, path: Path) -> None:
        """A fault of two measures that cannot be compared, with the fields that could."""
        alike = ", ".join(self.vocabulary.alike(found))
        self.fault(
            path,
            f"{wanted.name}, as of {name}",
            Said(got),
            f"in {found.name} {f'are {alike}' if alike else 'is no field'}",
        )


def word_in(kind: type[Word], value: object) -> Word | None:
    """The word of a kind that a text spells, or None."""
    words = {_bare(word): word for word in kind}
    bare = _bare(value) if isinstance(value, str) else ""
    return words.get(_SPELLINGS.get(bare, bare))


def number_of(value: object) -> Decimal | None:
    """The digits as written; of a float, the shortest that mean it.  None for what is no finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    return number if number.is_finite() else None


def as_json(value: object) -> Any:
    """What JSON says for it.  Raises ``ValueError`` for a number of more digits than a JSON number is sure to keep."""
    match value:
        case Mapping():
            return {str(key): as_json(member) for key, member in value.items()}
        case list() | tuple():
            return [as_json(member) for member in value]
        case date():
            return value.isoformat()
        case Decimal():
            number = float(value)
            if Decimal(repr(number)) != value:
                raise ValueError(f"{value} has more digits than a JSON number is sure to keep")
            return number
    return value


def article(measure: Measure) -> str:
    """What a value of a measure is called."""
    if measure.unit is not None:
        return f"a number in {measure.name}"
    return "true or false" if measure.name == BOOL else "a text"


def _bare(text: str) -> str:
    return text.upper().replace("-", "").replace("_", "").replace(" ", "")


def _shown(value: object) -> str:
    if isinstance(value, Said):
        return value
    try:
        text = short(as_json(value))
        text.encode()  # half a character could not be printed
    except (TypeError, ValueError, RecursionError):
        return ascii(value)[:60] if isinstance(value, str) else f"a {type(value).__name__}"
    return text
