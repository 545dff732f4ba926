r"""Settle a contract written down as JSON: which money flows, for the signals that were observed.

The contract lists its roles and its flows::

    {"contractId": "p2p-1", "currency": "USD",
     "roles": [{"role": "BUYER", "filledBy": "ev-1"},
               {"role": "SELLER", "filledBy": "solar-1", "roleInputs": {"pricePerKWh": 0.15}}],
     "telemetrySources": [{"sourceId": "meter-1"}],
     "revenueFlows": {"flows": [{"from": "BUYER", "to": "SELLER",
                                 "formula": "telemetry[\"meter-1\"].energyKWh * SELLER.pricePerKWh"}]}}

and the signals give the fields of every source: ``{"meter-1": {"energyKWh": 10}}``.

``from`` and ``to`` are roles or ERAs; where several parties share a role, only their ERAs say who is meant.  A formula
spells a quantity in full or shorter, as long as nothing else can be meant by it:

- an input of the contract: ``inputParameters.x``, ``x``
- an input of a role: ``roles.SELLER.roleInputs.x``, ``roles["solar-1"].roleInputs.x``, ``SELLER.x``, ``x``
- a field of a source: ``inputSignals["s"].x``, ``telemetry["s"].x``, ``telemetrySources["s"].x``, ``s.x``, ``x``

A contract that declares sources is computed from these alone; one that declares none may use every signal supplied.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import NoReturn

import msgspec

from sim.contracts.contract import Contract, Line, Role, Settlement, Term, lines
from sim.contracts.formula import MAX_DIGITS, Formula, compile_formula, variable_name
from sim.errors import ContractError, Fault, nearest
from sim.ledger import EXACT, Ledger, Posting, balances, minor_unit, net_by_currency

_READ = (
    "contractId", "currency", "roles", "inputParameters", "inputSignals", "telemetrySources", "revenueFlows",
)  # fmt: skip
_CARRIES_NO_MONEY = (
    "@context", "@id", "@type", "status", "createdAt", "updatedAt", "description", "intentIds", "templateId",
    "fulfillmentMode", "billingInterval", "settlementCycles", "qualityMetrics", "credentials", "verification",
    "integrity", "ricardianContract", "events",
)  # fmt: skip
_ROLE_KEYS = ("@type", "role", "filledBy", "filled", "roleInputs", "expectedRoleInputs", "description")
_FLOW_KEYS = ("@type", "from", "to", "formula", "name", "description", "currency")
_MONEY_KEYS = ("@context", "@type", "flows", "netZero", "currency", "description")
_ROLES = tuple(role.value for role in Role)
_READING = "write roles[{role, filledBy}] and revenueFlows.flows[{from, to, formula}]"
_MAX_NESTING = 8
_ABSENT = object()


def read_json(text: str, source: str) -> object:
    """Parse JSON without losing a digit: every number with a point becomes a ``Decimal``.

    Raises ``ContractError`` for text that is not JSON, for NaN and Infinity, and for an object with one key twice.
    """

    def refuse(what: str) -> NoReturn:
        raise ContractError(source, what)

    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        unique = dict(pairs)
        if len(unique) < len(pairs):
            keys = [key for key, _ in pairs]
            refuse(f"the key {next(key for key in keys if keys.count(key) > 1)!r} stands twice in one object")
        return unique

    try:
        return json.loads(
            text,
            parse_float=Decimal,
            parse_constant=lambda name: refuse(f"{name} is not a number"),
            object_pairs_hook=once,
        )
    except (ValueError, InvalidOperation, RecursionError) as error:
        raise ContractError(source, f"not JSON: {error}") from error


def write_json(report: Mapping[str, object]) -> str:
    """A report as JSON text; amounts are numbers with all digits of their minor unit (60.40)."""
    text: bytes = msgspec.json.format(msgspec.json.Encoder(decimal_format="number").encode(report), indent=2)
    return text.decode() + "\n"


def settle(contract: object, signals: object, source: str) -> dict[str, object]:
    """Revenue flows, postings and balances of one contract for one set of signals.

    contract, signals: parsed JSON whose fractions are ``Decimal`` (``read_json``).  source: name of the contract, for
    messages.  The result, with amounts as ``Decimal`` in minor units:

    - ``revenueFlows``: one entry per flow, in order, for the party that receives; ``amount`` >= 0.  A flow whose formula
      is negative is received by its ``from`` party.  ``signalSnapshot`` holds what the formula read.
    - ``postings``: who owes whom; flows of zero are left out.  A flow between two roles of one party moves no money and
      appears in neither list.
    - ``totalAmount``: the sum of the postings.  ``balances``: by ERA, + is received; they sum to zero.
    - ``netZeroVerified``: balances sum to zero and revenue flows to the total, checked on the rounded amounts.

    Raises ``ContractError`` with every fault and its JSON pointer; those of the signals begin with ``signals:``.
    """
    faults = _Faults()
    stated = faults.mapping(contract, "")
    _refuse_other_readings(stated, source)
    agreement = _read(faults, stated, faults.mapping(signals, "signals:"))
    if faults.found:
        raise ContractError(source, tuple(faults.found))
    try:
        exact = lines(agreement.contract, agreement.values)
    except ContractError as error:
        raise ContractError(source, error.faults) from error
    settlement, ledger = Settlement(), Ledger()
    settlement.accrue(agreement.contract, exact)
    ledger.post(settlement.post(0, agreement.contract))
    return _report(agreement, exact, ledger)


@dataclass(frozen=True, slots=True)
class _Party:
    """One filled role.  seat: how the contract addresses it, the role itself unless several parties share it."""

    role: str
    era: str
    seat: str
    inputs: Mapping[str, object]
    where: str


@dataclass(frozen=True, slots=True)
class _Quantity:
    """A value that formulas may read.  spellings: all names it goes by, the fullest first."""

    where: str
    spellings: tuple[str, ...]
    value: object


@dataclass(frozen=True, slots=True)
class _Flow:
    term: Term
    payer: _Party
    payee: _Party
    description: str


@dataclass(frozen=True, slots=True)
class _Agreement:
    contract: Contract
    parties: tuple[_Party, ...]
    flows: tuple[_Flow, ...]
    values: Mapping[str, Decimal]


@dataclass(slots=True)
class _Faults:
    """Collects what is wrong, and reads JSON whose shape is not yet known to be right."""

    found: list[Fault] = field(default_factory=list)

    def add(self, where: str, what: str, remedy: str = "") -> None:
        self.found.append(Fault(where or "the whole contract", what, remedy))

    def mapping(self, value: object, where: str) -> dict[str, object]:
        if isinstance(value, dict):
            return value
        self.add(where, f"expected an object, found {_kind(value)}")
        return {}

    def array(self, value: object, where: str) -> list[object]:
        if isinstance(value, list):
            return value
        self.add(where, f"expected an array, found {_kind(value)}")
        return []

    def text(self, value: object, where: str) -> str:
        if isinstance(value, str) and value:
            return value
        self.add(where, f"expected a text, found {_kind(value)}")
        return ""

    def objects(self, value: object, where: str) -> list[tuple[str, dict[str, object]]]:
        items = [(f"{where}/{i}", item) for i, item in enumerate(self.array(value, where))]
        read = [(place, item, self.mapping(item, place)) for place, item in items]
        return [(place, mapping) for place, item, mapping in read if isinstance(item, dict)]

    def keys(self, mapping: Mapping[str, object], known: tuple[str, ...], where: str) -> None:
        for key in mapping:
            if key not in known:
                self.add(_pointer(where, key), "unknown key", nearest(key, known))


def _refuse_other_readings(contract: dict[str, object], source: str) -> None:
    other = [f"/{key}" for key in ("participants", "billingLogic") if key in contract]
    if other:
        what = "a contract with participants and billingLogic cannot be settled; one with from/to flows can"
        raise ContractError(source, tuple(Fault(where, what, _READING) for where in other))
    if isinstance(contract.get("revenueFlows"), list):
        what = "a contract with signed flows per role cannot be settled; one with from/to flows can"
        raise ContractError(source, (Fault("/revenueFlows", what, _READING),))


def _read(faults: _Faults, contract: dict[str, object], signals: dict[str, object]) -> _Agreement:
    faults.keys(contract, _READ + _CARRIES_NO_MONEY, "")
    contract_id = faults.text(contract.get("contractId", _ABSENT), "/contractId")
    parties = tuple(_parties(faults, contract.get("roles", _ABSENT)))
    money = faults.mapping(contract.get("revenueFlows", _ABSENT), "/revenueFlows")
    faults.keys(money, _MONEY_KEYS, "/revenueFlows")
    entries = faults.objects(money.get("flows", _ABSENT), "/revenueFlows/flows")
    if not isinstance(money.get("netZero", True), bool):
        faults.add("/revenueFlows/netZero", f"expected true or false, found {_kind(money['netZero'])}")
    formulas = [_formula(faults, entry.get("formula", _ABSENT), f"{where}/formula") for where, entry in entries]
    flows = tuple(_flows(faults, entries, formulas, parties))
    sources = _declared(faults, contract) or list(signals)
    quantities = (
        *_input_quantities(faults.mapping(contract.get("inputParameters", {}), "/inputParameters")),
        *(quantity for party in parties for quantity in _role_quantities(party)),
        *(quantity for name in sources if name in signals for quantity in _signal_quantities(faults, name, signals)),
    )
    places = [("", contract), ("/revenueFlows", money), *entries]
    currency = _currency(faults, places, quantities)
    values = _values(faults, formulas, quantities, _hint(sources, signals))
    roles = {party.seat: party.era for party in parties}
    terms = tuple(flow.term for flow in flows)
    return _Agreement(Contract(contract_id, "", currency, roles, terms, inputs={}), parties, flows, values)


def _parties(faults: _Faults, roles: object) -> Iterator[_Party]:
    filled: list[tuple[str, str, str, Mapping[str, object]]] = []
    for where, entry in faults.objects(roles, "/roles"):
        faults.keys(entry, _ROLE_KEYS, where)
        role = faults.text(entry.get("role", _ABSENT), f"{where}/role")
        if role and role not in _ROLES:
            faults.add(f"{where}/role", f"{role} is not a role", nearest(role, _ROLES))
        if entry.get("filledBy") is None:
            continue
        era = faults.text(entry["filledBy"], f"{where}/filledBy")
        if (role, era) in [(r, e) for _, r, e, _ in filled]:
            faults.add(where, f"{era} fills the role {role} twice")
        filled.append((where, role, era, faults.mapping(entry.get("roleInputs", {}), f"{where}/roleInputs")))
    shared = [role for _, role, _, _ in filled]
    for where, role, era, inputs in filled:
        yield _Party(role, era, role if shared.count(role) == 1 else era, inputs, where)


def _flows(
    faults: _Faults,
    entries: list[tuple[str, dict[str, object]]],
    formulas: list[Formula | None],
    parties: tuple[_Party, ...],
) -> Iterator[_Flow]:
    places: dict[str, str] = {}
    for number, ((where, entry), formula) in enumerate(zip(entries, formulas, strict=True), start=1):
        faults.keys(entry, _FLOW_KEYS, where)
        name = faults.text(entry.get("name", f"flow-{number}"), f"{where}/name")
        if places.setdefault(name, where) != where:
            faults.add(f"{where}/name", f"{name} is also the name of {places[name]}")
        description = faults.text(entry.get("description") or name, f"{where}/description")
        payer, payee = (_party(faults, entry.get(end, _ABSENT), parties, f"{where}/{end}") for end in ("from", "to"))
        if payer and payer is payee:
            faults.add(where, f"from and to are both {payer.era}")
        if payer and payee and formula:
            yield _Flow(Term(name, payer.seat, payee.seat, formula), payer, payee, description)


def _party(faults: _Faults, value: object, parties: tuple[_Party, ...], where: str) -> _Party | None:
    name = faults.text(value, where)
    meant = [party for party in parties if party.role == name] or [party for party in parties if party.era == name][:1]
    if len(meant) == 1:
        return meant[0]
    if meant:
        faults.add(where, f"{name} is filled by several parties", f"name one: {', '.join(p.era for p in meant)}")
    elif name in _ROLES:
        faults.add(where, f"nobody fills the role {name}")
    elif name:
        known = [*(party.role for party in parties), *(party.era for party in parties)]
        faults.add(where, f"{name} is neither a role nor a party of this contract", nearest(name, known))
    return None


def _formula(faults: _Faults, value: object, where: str) -> Formula | None:
    text = faults.text(value, where)
    try:
        return compile_formula(text, who=where) if text else None
    except ContractError as error:
        faults.found.extend(error.faults)
        return None


def _declared(faults: _Faults, contract: dict[str, object]) -> list[str]:
    names: list[str] = []
    for key, name_key in (("inputSignals", "signalId"), ("telemetrySources", "sourceId")):
        for where, entry in faults.objects(contract.get(key, []), f"/{key}"):
            name = faults.text(entry.get(name_key, _ABSENT), f"{where}/{name_key}")
            if name in names:
                faults.add(f"{where}/{name_key}", f"{name} is declared twice")
            else:
                names.append(name)
    return names


def _hint(sources: list[str], signals: Mapping[str, object]) -> str:
    missing = [name for name in sources if name and name not in signals]
    foreign = [name for name in signals if name not in sources]
    return "".join(
        f"; {what}: {', '.join(names)}"
        for what, names in (("no signals came for", missing), ("not declared by the contract", foreign))
        if names
    )


def _input_quantities(inputs: Mapping[str, object]) -> Iterator[_Quantity]:
    for path, where, value in _agreed_leaves(inputs, "/inputParameters"):
        yield _Quantity(where, (variable_name("inputParameters", *path), *_short(path)), value)


def _role_quantities(party: _Party) -> Iterator[_Quantity]:
    owners = dict.fromkeys((party.seat, party.era))
    for path, where, value in _agreed_leaves(party.inputs, f"{party.where}/roleInputs"):
        long = [variable_name("roles", owner, "roleInputs", *path) for owner in owners]
        middle = [variable_name(owner, *rest, *path) for owner in owners for rest in (("roleInputs",), ())]
        yield _Quantity(where, (*long, *middle, *_short(path)), value)


def _signal_quantities(faults: _Faults, name: str, signals: Mapping[str, object]) -> Iterator[_Quantity]:
    place = _pointer("signals:", name)
    for path, where, value in _leaves(faults.mapping(signals[name], place), place):
        long = [variable_name(prefix, name, *path) for prefix in ("inputSignals", "telemetry", "telemetrySources")]
        yield _Quantity(where, (*long, variable_name(name, *path), *_short(path)), value)


def _short(path: tuple[str, ...]) -> tuple[str, str]:
    return variable_name(*path), path[-1]


_Leaf = tuple[tuple[str, ...], str, object]


def _agreed_leaves(inputs: Mapping[str, object], where: str) -> Iterator[_Leaf]:
    """Leaves of inputs, each of which stands plainly or as ``{type, required, description, value}``."""
    plain: dict[str, object] = {}
    for name, value in inputs.items():
        described = isinstance(value, dict) and any(key in value for key in ("value", "type", "required"))
        plain[name] = value.get("value", _ABSENT) if isinstance(value, dict) and described else value
    return _leaves(plain, where)


def _leaves(mapping: Mapping[str, object], where: str, path: tuple[str, ...] = ()) -> Iterator[_Leaf]:
    for key, value in mapping.items():
        if isinstance(value, dict) and len(path) < _MAX_NESTING:
            yield from _leaves(value, _pointer(where, key), (*path, key))
        else:
            yield (*path, key), _pointer(where, key), value


def _currency(faults: _Faults, places: list[tuple[str, dict[str, object]]], quantities: tuple[_Quantity, ...]) -> str:
    """The one currency that everything which states a currency agrees on."""
    stated = [(f"{where}/currency", mapping["currency"]) for where, mapping in places if "currency" in mapping]
    stated += [(q.where, q.value) for q in quantities if q.spellings[-1] == "currency" and q.value is not _ABSENT]
    codes = [(where, faults.text(value, where)) for where, value in stated]
    if not codes:
        faults.add("/currency", "the contract states no currency", 'such as "INR"')
        return ""
    first, currency = codes[0]
    for where, code in codes:
        if code and code != currency:
            faults.add(where, f"is {code} where {first} is {currency}; one contract has one currency")
    try:
        minor_unit(currency)
    except ContractError as error:
        faults.add(first, error.faults[0].what)
    return currency


def _values(
    faults: _Faults, formulas: list[Formula | None], quantities: tuple[_Quantity, ...], hint: str
) -> dict[str, Decimal]:
    meanings: dict[str, list[_Quantity]] = {}
    for quantity in quantities:
        for spelling in dict.fromkeys(quantity.spellings):
            meanings.setdefault(spelling, []).append(quantity)
    values: dict[str, Decimal] = {}
    for formula in filter(None, formulas):
        for name in formula.names:
            meant = meanings.get(name, [])
            if len(meant) == 1:
                values[name] = _number(faults, name, meant[0])
            else:
                faults.add(formula.who, *_unclear(name, meant, quantities, hint))
    return values


def _unclear(name: str, meant: list[_Quantity], quantities: tuple[_Quantity, ...], hint: str) -> tuple[str, str]:
    if meant:
        return f"{name} may mean several quantities", f"write one of {', '.join(q.spellings[0] for q in meant)}"
    known = dict.fromkeys(spelling for q in quantities for spelling in (q.spellings[0], q.spellings[-1]))
    return f"{name} is not a quantity of this contract or its signals", nearest(name, known) + hint


def _number(faults: _Faults, name: str, quantity: _Quantity) -> Decimal:
    value = quantity.value
    if isinstance(value, int) and not isinstance(value, bool):
        value = Decimal(value)
    if not isinstance(value, Decimal) or not value.is_finite():
        faults.add(quantity.where, f"{name} needs a number, found {_kind(quantity.value)}")
    elif len(value.as_tuple().digits) > MAX_DIGITS or abs(value.adjusted()) > MAX_DIGITS:
        faults.add(quantity.where, f"{name} needs a number of at most {MAX_DIGITS} digits")
    else:
        return value
    return Decimal(0)


def _report(agreement: _Agreement, exact: tuple[Line, ...], ledger: Ledger) -> dict[str, object]:
    currency = agreement.contract.currency
    nothing = EXACT.multiply(minor_unit(currency), 0)
    posted = {posting.term: posting for posting in ledger}
    computed = [line.term for line in exact]
    flows = [(flow, posted.get(flow.term.name)) for flow in agreement.flows if flow.term.name in computed]
    amounts = [posting.amount if posting else nothing for _, posting in flows]
    total = _sum((posting.amount for posting in ledger), nothing)
    by_party = balances(ledger)
    return {
        "contractId": agreement.contract.id,
        "revenueFlows": [_revenue_flow(agreement, *pair, amount) for pair, amount in zip(flows, amounts, strict=True)],
        "postings": [_posting(posting) for posting in ledger],
        "totalAmount": total,
        "currency": currency,
        "balances": {party.era: by_party.get((party.era, currency), nothing) for party in agreement.parties},
        "netZeroVerified": not any(net_by_currency(by_party).values()) and _sum(amounts, nothing) == total,
    }


def _revenue_flow(agreement: _Agreement, flow: _Flow, posting: Posting | None, amount: Decimal) -> dict[str, object]:
    flows_back = posting is not None and posting.payee != flow.payee.era
    receiver = flow.payer if flows_back else flow.payee
    return {
        "party": {"era": receiver.era, "role": receiver.role},
        "amount": amount,
        "currency": agreement.contract.currency,
        "description": flow.description,
        "signalSnapshot": {name: agreement.values[name] for name in flow.term.formula.names},
    }


def _posting(posting: Posting) -> dict[str, object]:
    return {
        "from": posting.payer,
        "to": posting.payee,
        "amount": posting.amount,
        "currency": posting.currency,
        "term": posting.term,
    }


def _sum(amounts: Iterable[Decimal], nothing: Decimal) -> Decimal:
    return functools.reduce(EXACT.add, amounts, nothing)


def _pointer(where: str, key: str) -> str:
    return f"{where}/{key.replace('~', '~0').replace('/', '~1')}"


def _kind(value: object) -> str:
    if value is _ABSENT:
        return "nothing"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, str):
        return f"the text {value[:40]!r}"
    if isinstance(value, float):
        return f"the binary float {value}; parse JSON with read_json"
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "an array"
    return f"the number {value}"
