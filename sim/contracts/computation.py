"""What a bound contract comes to: exact amounts by flow, for everything observed so far.

Numbers live on one of two levels.  What follows from a series of readings has a value for every interval, and a flow of
such a number is summed over the intervals.  Everything else has one value a cycle: constants, sums, states, what a
script computed.  A formula that mixes them says by ``sum`` what is to be added up.

Amounts are always those of the whole fulfilment to date.  A settlement posts what has come to be owed since the last
one, so settling by interval and settling once give the same money, and a correction posts its difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from sim.contracts.agreement import Constant, Derived, Field, Key, Output, Quantity, StateValue
from sim.contracts.binding import Bound, BoundFlow
from sim.contracts.document import Reader, kind, pointer
from sim.contracts.formula import CONTEXT, Formula
from sim.contracts.signals import Observed, Reading
from sim.errors import ContractError
from sim.ledger import EXACT, total_of

if TYPE_CHECKING:
    from sim.contracts.script import Script, Workshop

Row = dict[str, Decimal]


@dataclass(frozen=True, slots=True)
class Amounts:
    """Exact amounts by position of the flow, + from payer to payee; None for taxes.  To be split among parties by ``shares``.

    total: of the contract by its own expression, where it has one.  snapshots: what each flow's formula read, as the
    contract spells it.  states: accumulated states before these intervals,
    and with them counted in.
    """

    exact: tuple[Decimal | None, ...]
    shares: tuple[Decimal | None, ...]
    total: Decimal | None
    snapshots: tuple[Mapping[str, object], ...]
    states: Mapping[str, tuple[Decimal, Decimal]]


class Computation:
    """Computes one contract over its intervals, as often as somebody wants to know.

    before: accumulated states as they were before the first interval, else as the contract says.  Raises
    ``ContractError`` with the reader's faults where a reading is no number.
    """

    def __init__(self, bound: Bound, observed: Observed, before: Mapping[str, Decimal]) -> None:
        self._bound = bound
        self._observed = observed
        self._before = {state.id: before.get(state.id, state.initial) for state in bound.states}
        self._by_interval = set(_names_by_interval(bound, observed))
        self._by_cycle: set[str] = set()
        self._opened: Workshop | None = None
        reader = Reader()
        self._values, self._rows = _observed_values(reader, bound, observed, self._by_interval)
        if reader.found:
            raise ContractError(bound.agreement.id, tuple(reader.found))
        self._derive_rows()
        self._prefixes: dict[tuple[str, ...], list[Decimal]] = {}

    def close(self) -> None:
        """End the worker in which a script ran, if there was one."""
        if self._opened is not None:
            self._opened.close()

    @property
    def count(self) -> int:
        """Intervals observed."""
        return self._observed.count

    def to_date(self, count: int | None = None, *, told: bool = True) -> Amounts:
        """Amounts of the first ``count`` intervals, of all by default; with snapshots only if they are ``told``.

        Raises ``ContractError`` naming the flow.
        """
        count = self.count if count is None else count
        states = {state.id: self._state(state.id, state.kind, state.formula, count) for state in self._bound.states}
        values = self._cycle_values(states, count)
        flows = self._bound.flows
        exact = tuple(None if flow.formula is None else self._amount(flow.formula, values, count) for flow in flows)
        shares = tuple(None if flow.share is None else self._amount(flow.share, values, count) for flow in flows)
        total = None if self._bound.total is None else self._amount(self._bound.total, values, count)
        snapshots = tuple(self._snapshot(flow, values, count) for flow in flows) if told else ()
        around = {name: (self._before[name], after) for name, after in states.items()}
        return Amounts(exact, shares, total, snapshots, around)

    def _amount(self, formula: Formula, values: Row, count: int) -> Decimal:
        if not formula.sums:
            if self._by_interval.isdisjoint(formula.names):
                return formula.evaluate(values)
            return self._sum(formula, count)
        loose = [name for name in formula.outer_names if name in self._by_interval]
        if loose:
            what = f"{', '.join(loose)} differs by interval and stands outside sum(…) in {formula.text}"
            raise ContractError(formula.who, what)
        sums = [self._sum(part, count) for part in formula.sums]
        return formula.over({name: values[name] for name in formula.outer_names}, sums)

    def _sum(self, formula: Formula, count: int) -> Decimal:
        """Over the first intervals; a number that is the same in all of them counts once for each."""
        whole = [self._bound.spelled.get(name, name) for name in formula.names if name in self._by_cycle]
        if whole:
            what = f"{', '.join(whole)} is known for the cycle as a whole, and {formula.text} is computed by interval"
            raise ContractError(formula.who, f"{what}; put what differs by interval into sum(…)")
        key = (formula.who, formula.text, *formula.names)
        prefixes = self._prefixes.get(key)
        if prefixes is None:
            prefixes = self._prefixes[key] = list(self._running(formula, EXACT.add, Decimal(0)))
        return prefixes[count - 1] if count else Decimal(0)

    def _running(
        self, formula: Formula, join: Callable[[Decimal, Decimal], Decimal], start: Decimal
    ) -> Iterator[Decimal]:
        total = start
        for row in self._rows:
            total = join(total, formula.evaluate(row))
            yield total

    def _state(self, name: str, how: str, formula: Formula, count: int) -> Decimal:
        join = CONTEXT.max if how == "MAXIMUM" else EXACT.add
        running = self._prefixes.get((name, how))
        if running is None:
            running = self._prefixes[name, how] = list(self._running(formula, join, self._before[name]))
        return running[count - 1] if count else self._before[name]

    def _derive_rows(self) -> None:
        """Add to every interval what is computed from its readings, and what is the same in all of them."""
        for name, quantity in self._bound.quantities.items():
            match quantity.origin:
                case StateValue() | Output():
                    self._by_cycle.add(name)
                case Derived(formula=formula) if formula.sums or not self._by_cycle.isdisjoint(formula.names):
                    self._by_cycle.add(name)
                case Derived(formula=formula) if name not in self._by_interval:
                    same = formula.evaluate(self._values)
                    self._values[name] = same
                    for row in self._rows:
                        row[name] = same
                case Derived(formula=formula):
                    for row in self._rows:
                        row[name] = formula.evaluate(row)

    def _cycle_values(self, states: Mapping[str, Decimal], count: int) -> Row:
        """Everything with one value a cycle, each after what it is computed from."""
        values = dict(self._values)
        script = self._bound.agreement.script
        outputs = {} if script is None else self._scripted(script, count)
        for name, quantity in self._bound.quantities.items():
            match quantity.origin:
                case StateValue(state=state, when=when):
                    values[name] = states[state] if when == "after" else self._before[state]
                case Output(name=output):
                    values[name] = outputs[output]
                case Derived(formula=formula) if name in self._by_cycle:
                    values[name] = self._amount(formula, values, count)
        return values

    def _scripted(self, script: Script, count: int) -> Mapping[str, Decimal]:
        names = self._bound.for_script
        inputs = {called: self._values[name] for name, called in names.items() if name in self._values}
        measured = {n: called for n, called in names.items() if isinstance(self._bound.quantities[n].origin, Field)}
        rows = [{called: row[name] for name, called in measured.items()} for row in self._rows[:count]]
        try:
            return self._workshop().run(script, inputs, rows)
        except ContractError as error:
            reader = Reader()
            reader.take_inner(error)
            raise ContractError(error.source, tuple(reader.found)) from error

    def _workshop(self) -> Workshop:
        from sim.contracts.script import Workshop  # noqa: PLC0415

        if self._opened is None:
            self._opened = Workshop()
        return self._opened

    def _snapshot(self, flow: BoundFlow, values: Row, count: int) -> Mapping[str, object]:
        """Inputs of one flow as the contract spells them; of a series, how many there were and what they sum to."""
        snapshot: dict[str, object] = {}
        for spelled, name in flow.spelled.items():
            if name not in self._by_interval:
                snapshot[spelled] = values[name]
            elif count == 1:
                snapshot[spelled] = self._rows[0][name]
            else:
                column = [row[name] for row in self._rows[:count]]
                total = total_of(column)
                low, high = min(column), max(column)
                snapshot[spelled] = {"intervals": count, "sum": total, "lowest": low, "highest": high}
        return snapshot


def _names_by_interval(bound: Bound, observed: Observed) -> Iterator[str]:
    """Names whose values differ by interval: fields of series, and what is computed from them without a sum."""
    found: set[str] = set()
    for name, quantity in bound.quantities.items():
        match quantity.origin:
            case Field(source=source) if source in observed.series:
                found.add(name)
                yield name
            case Derived(formula=formula) if not formula.sums and not found.isdisjoint(formula.names):
                found.add(name)
                yield name


def _observed_values(reader: Reader, bound: Bound, observed: Observed, by_interval: set[str]) -> tuple[Row, list[Row]]:
    """Values that hold throughout, and those of every interval with them."""
    values: Row = {}
    columns: dict[str, list[Decimal]] = {}
    for name, quantity in bound.quantities.items():
        match quantity.origin:
            case Constant(value=value):
                assert isinstance(value, Decimal)
                values[name] = value
            case Field(source=source) if name in by_interval:
                columns[name] = [
                    _number(reader, quantity, bound.spelled[name], reading) for reading in observed.series[source]
                ]
            case Field(source=source) if source in observed.constant:
                values[name] = _number(reader, quantity, bound.spelled[name], observed.constant[source])
    if not columns:
        return values, [dict(values) for _ in range(observed.count)]
    names = tuple(columns)
    return values, [{**values, **dict(zip(names, row, strict=True))} for row in zip(*columns.values(), strict=True)]


def _number(reader: Reader, quantity: Quantity, spelled: str, reading: Reading) -> Decimal:
    assert isinstance(quantity.origin, Field)
    value: object = reading.fields
    where = reading.where
    for key in quantity.origin.keys or ():
        where = pointer(where, key)
        try:
            value = _below(value, key)
        except LookupError:
            reader.add(where, f"{spelled} is not there", f"{reading.where} has {kind(reading.fields)}")
            return Decimal(0)
    return reader.number(value, where, spelled)


def _below(value: object, key: Key) -> object:
    if isinstance(value, dict):
        return value[key]
    if isinstance(value, list) and isinstance(key, int):
        return value[key]
    raise LookupError(key)
