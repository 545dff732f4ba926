"""Finding out what the names in a contract's formulas mean, and whether they fit together.

A formula spells a quantity in full or shorter, as long as nothing else can be meant by it:

- an input of the contract: ``inputParameters.x``, ``x``
- an input of a role: ``roles.SELLER.roleInputs.x``, ``roles["solar-1"].roleInputs.x``, ``SELLER.x``, ``x``
- a field of a source: ``inputSignals["s"].x``, ``telemetry["s"].x``, ``telemetrySources["s"].x``, ``s.x``, ``x``
- what the contract itself names, before any of these: a variable, ``settledKWh``, a state's ``peak.before`` and
  ``peak.after``, an output of its script

In a flow of a role that several parties share, the role means the party at hand, and ``cleared[PROSUMER.era]`` its own
entry.

``bind`` is done twice: when a contract is formed, and again with the signals at hand, when fields that a source left
open are known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from sim.contracts.agreement import (
    OTHERS,
    SOURCE_PREFIXES,
    Agreement,
    Constant,
    Derived,
    Field,
    Flow,
    Party,
    Quantity,
    Source,
    State,
)
from sim.contracts.document import Reader, agreed_leaves, is_number, leaves, pointer
from sim.contracts.formula import Formula, variable_name
from sim.contracts.readings.currency import one_currency
from sim.contracts.readings.flows import unknown_party
from sim.contracts.signals import Observed, Reading
from sim.contracts.units import Unit, money, parse_unit, unit_of_name
from sim.errors import ContractError, nearest

_MAX_STEPS = 64
_ABOUT_READINGS = ("start", "end", "quality", "version", "timestamp", "unit", "currency", "signature")


@dataclass(frozen=True, slots=True)
class BoundFlow:
    """A flow between two parties, or of one with the others.

    payer: None in signed flows.  formula, share: read quantities by their full names.  spelled: the names as the contract
    spells them, and the full ones.
    """

    flow: Flow
    payer: Party | None
    payee: Party | None
    formula: Formula | None
    spelled: Mapping[str, str]
    share: Formula | None = None


@dataclass(frozen=True, slots=True)
class Bound:
    """An agreement whose names are resolved.

    quantities: everything that formulas read, by full name, each after those it is computed from.  spelled: how the contract
    calls each of them where it first does.  for_script: full names of what the script is given, and how it calls them.
    """

    agreement: Agreement
    currency: str
    flows: tuple[BoundFlow, ...]
    states: tuple[State, ...]
    total: Formula | None
    quantities: Mapping[str, Quantity]
    spelled: Mapping[str, str]
    for_script: Mapping[str, str]
    notes: tuple[str, ...]


def bind(reader: Reader, agreement: Agreement, observed: Observed | None, usual_currency: str = "") -> Bound:
    """Resolve all names.  observed: the signals; None when a contract is formed, before there are any.

    usual_currency: taken where nothing states one.  Faults go to the reader: unknown and ambiguous names, clashes of
    units, values that are no numbers, divisions by zero and negative amounts that the agreed values already show.
    """
    notes: list[str] = []
    currency = _currency_of_signals(reader, observed, agreement.currency, agreement.currency_at)
    if not currency and usual_currency:
        currency = usual_currency
        notes.append(f"no currency is stated; {usual_currency} is taken, as in the published contracts of this form")
    if not currency:
        reader.add("/currency", "the contract states no currency", 'such as "INR"')
    return _Binder(reader, agreement, observed, currency).bound(tuple(notes))


def _currency_of_signals(reader: Reader, observed: Observed | None, agreed: str, agreed_at: str) -> str:
    """The currency that was agreed, else the one that the signals state; they may not state another."""
    if observed is None:
        return agreed
    stated = {
        f"{reading.where}/currency": reading.fields["currency"]
        for _, reading in observed.readings()
        if "currency" in reading.fields
    }
    codes = [(where, reader.text(value, where)) for where, value in stated.items()]
    return one_currency(reader, [*([(agreed_at, agreed)] if agreed else []), *codes])


class _Binder:
    """Binds one agreement."""

    def __init__(self, reader: Reader, agreement: Agreement, observed: Observed | None, currency: str) -> None:
        self._reader = reader
        self._agreement = agreement
        self._observed = observed
        self._currency = currency
        self._own = _by_spelling(agreement.quantities)
        implied = [*_inputs(reader, agreement), *self._fields()]
        self._implied = _by_spelling(implied)
        self._needed: dict[str, Quantity] = {}
        self._names: dict[str, str] = {}
        self._resolving: list[str] = []

    def bound(self, notes: tuple[str, ...]) -> Bound:
        """Everything resolved and checked."""
        flows = tuple(self._flows())
        states = tuple(self._state(state) for state in self._agreement.states)
        total = self._agreement.total
        total = None if total is None else self._resolved(total, {}, money(self._currency))
        for_script = dict(self._for_script()) if self._agreement.script is not None else {}
        self._formation_checks(flows)
        found = (dict(self._needed), dict(self._names), for_script)
        return Bound(self._agreement, self._currency, flows, states, total, *found, notes)

    # flows

    def _flows(self) -> Iterator[BoundFlow]:
        for flow in self._agreement.flows:
            payers = self._parties(flow.payer, f"{flow.where}/from")
            payees = self._parties(flow.payee, f"{flow.where}/{'party' if flow.payer == OTHERS else 'to'}")
            if len(payers) > 1 and len(payees) > 1:
                what = f"{flow.payer} and {flow.payee} are several parties each"
                self._reader.add(flow.where, what, f"name one: {', '.join(p.era for p in (*payers, *payees) if p)}")
                continue
            if not (payers and payees) and flow.formula is not None:
                self._resolved(flow.formula, {}, money(self._currency))  # its own faults are told all the same
            bound = [self._flow(flow, payer, payee) for payer in payers for payee in payees]
            self._check_group(flow, bound)
            yield from bound

    def _flow(self, flow: Flow, payer: Party | None, payee: Party | None) -> BoundFlow:
        if payer is not None and payer is payee:
            self._reader.add(flow.where, f"from and to are both {payer.era}")
        here = {party.role: party for party in (payer, payee) if party is not None}
        unit = money(self._currency)
        formula = None if flow.formula is None else self._resolved(flow.formula, here, unit)
        share = None if flow.share is None else self._resolved(flow.share, here, None)
        names = {} if flow.formula is None else self._spelled(flow.formula, here)
        self._check_tax(flow)
        return BoundFlow(flow, payer, payee, formula, names, share)

    def _check_group(self, flow: Flow, bound: list[BoundFlow]) -> None:
        """What cannot be meant where several parties share a role."""
        if flow.share is not None and len({tuple(sorted(one.spelled.items())) for one in bound}) > 1:
            what = f"{flow.name} is one total that is split, and its formula reads what is each party's own"
            self._reader.add(flow.where, what, "leave out the share, or read what all have in common")
        if flow.tax is None:
            return
        if flow.payer == OTHERS:
            self._reader.add(
                flow.where, "a tax needs a payer, and these flows are signed", "name a BUYER, or from and to"
            )
            return
        if flow.share is not None or len({one.payee.era for one in bound if one.payee}) > 1:
            self._reader.add(flow.where, "a tax is paid to one party and is not split", "name one by its ERA")
        based = [other for other in self._agreement.flows if other.name in flow.tax.base]
        if flow.tax.inclusive and any(other.payee != flow.payer for other in based):
            what = f"a tax that is included is paid by who received the amount, and {flow.payer} did not"
            self._reader.add(f"{flow.where}/tax/inclusive", what, "exchange from, or say inclusive: false")

    def _parties(self, name: str, where: str) -> tuple[Party | None, ...]:
        if name == OTHERS:
            return (None,)
        if not name:
            return ()
        found = self._agreement.parties_of(name)
        is_open = self._observed is None and name in [role.role for role in self._agreement.open_roles]
        if not found and not is_open:
            self._reader.add(where, *unknown_party(name, self._agreement))
        by_era = {party.era: party for party in found}
        return found if len(by_era) == len(found) else tuple(by_era.values())

    def _check_tax(self, flow: Flow) -> None:
        names = [other.name for other in self._agreement.flows if other.tax is None]
        for name in () if flow.tax is None else flow.tax.base:
            if name not in names:
                self._reader.add(f"{flow.where}/tax/base", f"{name} is no flow of this contract", nearest(name, names))

    def _for_script(self) -> Iterator[tuple[str, str]]:
        """A script may read every number that was agreed or measured, by the shortest name that means only it."""
        for known in (self._own, self._implied):
            for quantity in dict.fromkeys(q for found in known.values() for q in found):
                origin = quantity.origin
                if not (isinstance(origin, Field) or (isinstance(origin, Constant) and is_number(origin.value))):
                    continue
                if isinstance(origin, Field) and not self._is_numeric(origin):
                    continue
                names = [name for name in reversed(quantity.spellings) if self._meanings(name, {}) == [quantity]]
                needed = self._need(quantity, names[0]) if names else None
                if needed is not None:
                    yield needed.name, names[0]

    def _is_numeric(self, field: Field) -> bool:
        if self._observed is None or not field.keys:
            return False
        rows = self._observed.series.get(field.source, ())
        told = self._observed.constant.get(field.source) or next(iter(rows), None)
        value: object = {} if told is None else told.fields
        for key in field.keys:
            value = value.get(key) if isinstance(value, dict) else None
        return is_number(value)

    def _state(self, state: State) -> State:
        unit = None if state.unit is None else state.unit.in_currency(self._currency)
        return replace(state, formula=self._resolved(state.formula, {}, unit) or state.formula)

    # names

    def _resolved(self, formula: Formula, here: Mapping[str, Party], result: Unit | None) -> Formula | None:
        """The formula over full names; its units checked where every name could be resolved."""
        names = self._spelled(formula, here)
        if len(names) < len(formula.names):
            return None
        full = formula.renamed(names)
        units = {
            name: u.in_currency(self._currency) for name in full.names if (u := self._needed[name].unit) is not None
        }
        try:
            if self._currency:
                formula.check_units({spelled: units[name] for spelled, name in names.items() if name in units}, result)
        except ContractError as error:
            self._reader.take(error)
        return full

    def _spelled(self, formula: Formula, here: Mapping[str, Party]) -> dict[str, str]:
        found = {name: self._quantity(name, formula.who, here) for name in formula.names}
        return {name: quantity.name for name, quantity in found.items() if quantity is not None}

    def _quantity(self, name: str, who: str, here: Mapping[str, Party]) -> Quantity | None:
        meant = self._meanings(name, here)
        if len(meant) == 1:
            return self._need(meant[0], name)
        late = self._late(name) if not meant else None
        if late is not None:
            return self._need(late, name)
        fault = self._unclear(name, meant)
        self._reader.add(who, *fault)
        return None

    def _meanings(self, name: str, here: Mapping[str, Party]) -> list[Quantity]:
        for known in (self._own, self._implied):
            for spelling in _spellings(name, here):
                if known.get(spelling):
                    return known[spelling]
        return []

    def _late(self, name: str) -> Quantity | None:
        """A field that an open source may yet tell; only before there are signals."""
        if self._observed is not None:
            return None
        for source in self._agreement.sources:
            for way in (*((prefix, source.id) for prefix in SOURCE_PREFIXES), (source.id,)):
                rest = name.removeprefix(variable_name(*way))
                if rest != name and rest.startswith((".", "[")):
                    return Quantity(source.where, (name,), Field(source.id, None), unit_of_name(_last(name)))
        is_open = not self._agreement.sources or any(not source.fields for source in self._agreement.sources)
        plain = "." not in name and "[" not in name
        return Quantity("signals", (name,), Field("", None), unit_of_name(name)) if is_open and plain else None

    def _need(self, quantity: Quantity, spelled: str) -> Quantity | None:
        """Enter a quantity after all that it is computed from."""
        if quantity.name in self._needed:
            return quantity
        if len(self._resolving) > _MAX_STEPS:
            self._reader.add(quantity.where, f"is computed from others over more than {_MAX_STEPS} steps")
            return None
        if quantity.name in self._resolving:
            self._reader.add(quantity.where, f"{quantity.spellings[-1]} is computed from itself")
            return None
        if isinstance(quantity.origin, Derived):
            self._resolving.append(quantity.name)
            unit = None if quantity.unit is None else quantity.unit.in_currency(self._currency)
            formula = self._resolved(quantity.origin.formula, {}, unit)
            self._resolving.pop()
            if formula is None:
                return None
            quantity = replace(quantity, origin=Derived(formula))
        if isinstance(quantity.origin, Constant):
            value = self._reader.number(quantity.origin.value, quantity.where, spelled)
            quantity = replace(quantity, origin=Constant(value))
        if isinstance(quantity.origin, Field):
            field = self._located(quantity, quantity.origin)
            if field is None:
                return None
            quantity = replace(quantity, origin=field, unit=self._told_unit(quantity, field))
        self._needed[quantity.name] = quantity
        self._names[quantity.name] = spelled
        return quantity

    def _told_unit(self, quantity: Quantity, field: Field) -> Unit | None:
        """The unit of a field, which a variable may state anew but not change."""
        source = next((s for s in self._agreement.sources if s.id == field.source), None)
        keys = field.keys or ()
        name = next((key for key in reversed(keys) if isinstance(key, str)), "")
        told = source.fields.get(str(keys[0])) if source is not None and keys else None
        told = told or unit_of_name(name)
        told = None if told is None else told.in_currency(self._currency)
        stated = None if quantity.unit is None else quantity.unit.in_currency(self._currency)
        if told is not None and stated is not None and told != stated:
            what = (
                f"{quantity.spellings[-1]} is said to be in {quantity.unit}, and {name} of {field.source} is in {told}"
            )
            self._reader.add(quantity.where, what, "a variable does not convert; multiply it in a formula")
        return quantity.unit or told

    def _located(self, quantity: Quantity, field: Field) -> Field | None:
        """The field with the way to it, which a document may leave out where there is only one number."""
        declared = [source.id for source in self._agreement.sources]
        if field.source and declared and field.source not in declared:
            what = f"{field.source} is no source of this contract"
            self._reader.add(quantity.where, what, nearest(field.source, declared))
            return None
        if self._observed is None or field.keys is not None:
            return field
        told = self._observed.constant.get(field.source) or next(
            iter(self._observed.series.get(field.source, ())), None
        )
        if told is None:
            self._reader.add(quantity.where, f"no signals came for {field.source}")
            return None
        numbers = [
            path for path, _, value in leaves(told.fields, "") if is_number(value) and path[0] not in _ABOUT_READINGS
        ]
        wanted = quantity.spellings[-1]
        fitting = [path for path in numbers if path[-1] == wanted] or [p for p in numbers if p == ("value",)] or numbers
        if len(fitting) != 1:
            names = ", ".join(".".join(path) for path in numbers) or "none"
            what = f"{wanted} has no path, and {field.source} tells several numbers or none: {names}"
            self._reader.add(quantity.where, what, "add a path, such as $.energyFlow")
            return None
        return Field(field.source, fitting[0])

    def _unclear(self, name: str, meant: Sequence[Quantity]) -> tuple[str, str]:
        if meant:
            return f"{name} may mean several quantities", f"write one of {', '.join(q.name for q in meant)}"
        everything = [q for known in (self._own, self._implied) for found in known.values() for q in found]
        known_names = dict.fromkeys(spelling for q in everything for spelling in (q.spellings[0], q.spellings[-1]))
        what = f"{name} is not a quantity of this contract or its signals"
        return what, "; ".join(filter(None, (nearest(name, known_names) if known_names else "", *self._hints())))

    def _hints(self) -> Iterator[str]:
        if self._observed is None:
            return
        told = [*self._observed.constant, *self._observed.series]
        declared = [source.id for source in self._agreement.sources]
        missing = [name for name in declared if name and name not in told]
        undeclared = self._observed.undeclared
        for what, names in (("no signals came for", missing), ("not declared by the contract", undeclared)):
            if names:
                yield f"{what}: {', '.join(names)}"

    # fields

    def _fields(self) -> Iterator[Quantity]:
        declared = {source.id: source for source in self._agreement.sources}
        if self._observed is None:
            for source in declared.values():
                for name, unit in source.fields.items():
                    yield _field(source, (name,), f"{source.where}/fields", unit)
            return
        samples = {**self._observed.constant, **{n: rows[0] for n, rows in self._observed.series.items() if rows}}
        for name, reading in samples.items():
            source = declared.get(name, Source(name, "", {}, reading.where))
            self._check_unit(source, reading)
            for path, where, _ in leaves(reading.fields, reading.where):
                if path[0] not in _ABOUT_READINGS or len(path) > 1:
                    yield _field(source, path, where, source.fields.get(path[0], unit_of_name(path[-1])))

    def _check_unit(self, source: Source, reading: Reading) -> None:
        """A reading's own ``unit`` is that of its value, or of its only number; it may not be another than was agreed."""
        stated = reading.fields.get("unit")
        if not isinstance(stated, str):
            return
        numbers = [k for k, value in reading.fields.items() if is_number(value) and k not in _ABOUT_READINGS]
        name = "value" if "value" in numbers else numbers[0] if len(numbers) == 1 else ""
        agreed = source.fields.get(name) or unit_of_name(name)
        try:
            unit = parse_unit(stated).in_currency(self._currency)
        except ContractError as error:
            self._reader.take(error, pointer(reading.where, "unit"))
            return
        if name and agreed is not None and agreed.in_currency(self._currency) != unit:
            self._reader.add(pointer(reading.where, "unit"), f"is {unit}, and {name} is agreed in {agreed}")

    # what the agreed values already show

    def _formation_checks(self, flows: Iterable[BoundFlow]) -> None:
        known = {name: q.origin.value for name, q in self._needed.items() if isinstance(q.origin, Constant)}
        values = {name: value for name, value in known.items() if isinstance(value, Decimal)}
        for flow in flows:
            if flow.formula is None:
                continue
            zero = flow.formula.zero_divisor(values)
            if zero:
                self._reader.add(
                    flow.formula.who, f"{zero} divides by zero whatever the signals say", "guard it with if(…)"
                )
            elif (
                all(name in values for name in flow.formula.names) and not self._reader.found and flow.payer is not None
            ):
                self._refuse_negative(flow, values)

    def _refuse_negative(self, flow: BoundFlow, values: Mapping[str, Decimal]) -> None:
        assert flow.formula is not None
        try:
            amount = flow.formula.evaluate(values)
        except ContractError as error:
            self._reader.take(error)
            return
        if amount < 0:
            given = ", ".join(f"{spelled} = {values[name]}" for spelled, name in flow.spelled.items())
            what = f"the amount is {amount} whatever the signals say" + (f", with {given}" if given else "")
            self._reader.add(flow.formula.who, f"{what}; an amount is never negative", "exchange from and to")


def _by_spelling(quantities: Iterable[Quantity]) -> dict[str, list[Quantity]]:
    meanings: dict[str, list[Quantity]] = {}
    for quantity in quantities:
        for spelling in dict.fromkeys(quantity.spellings):
            meanings.setdefault(spelling, []).append(quantity)
    return meanings


def _spellings(name: str, here: Mapping[str, Party]) -> Iterator[str]:
    """A name as it stands, and with the roles of the parties at hand put to their ERAs."""
    for role, party in here.items():
        if f'["{role}.era"]' in name:
            yield name.replace(f'["{role}.era"]', variable_name("", party.era))
            yield name.replace(f'["{role}.era"]', f".{party.era}")
    yield name
    for role, party in here.items():
        if party.seat != role and name.startswith((f"{role}.", f"roles.{role}.")):
            start = "roles." if name.startswith("roles.") else ""
            rest = name.removeprefix(f"{start}{role}")
            yield variable_name(*(["roles"] if start else []), party.era) + rest


def _inputs(reader: Reader, agreement: Agreement) -> Iterator[Quantity]:
    for path, where, value in agreed_leaves(agreement.parameters, "/inputParameters"):
        spellings = (variable_name("inputParameters", *path), *_short(path))
        yield Quantity(
            where, spellings, Constant(value), _last_unit(path[-1], reader, where, agreement.parameters.get(path[0]))
        )
    for party in agreement.parties:
        owners = dict.fromkeys((party.seat, party.era))
        for path, where, value in agreed_leaves(party.inputs, f"{party.where}/roleInputs"):
            long = [variable_name("roles", owner, "roleInputs", *path) for owner in owners]
            middle = [variable_name(owner, *rest, *path) for owner in owners for rest in (("roleInputs",), ())]
            unit = _last_unit(path[-1], reader, where, party.inputs.get(path[0]))
            yield Quantity(where, (*long, *middle, *_short(path)), Constant(value), unit)
    for role in agreement.open_roles:
        for name in role.expected:
            owned = (variable_name("roles", role.role, "roleInputs", name), variable_name(role.role, name), name)
            yield Quantity(role.where, owned, Field("", None), unit_of_name(name))


def _field(source: Source, path: tuple[str, ...], where: str, unit: Unit | None) -> Quantity:
    long = [variable_name(prefix, source.id, *path) for prefix in SOURCE_PREFIXES]
    return Quantity(where, (*long, variable_name(source.id, *path), *_short(path)), Field(source.id, path), unit)


def _short(path: tuple[str, ...]) -> tuple[str, str]:
    return variable_name(*path), path[-1]


def _last_unit(name: str, reader: Reader, where: str, described: object) -> Unit | None:
    """The unit that an input's own description states, else the one that its name says."""
    if isinstance(described, dict) and isinstance(described.get("unit"), str):
        try:
            return parse_unit(described["unit"])
        except ContractError as error:
            reader.take(error, where)
    return unit_of_name(name)


def _last(name: str) -> str:
    return name.rsplit(".", 1)[-1].strip('"]')
