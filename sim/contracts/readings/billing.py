"""The reading with billing logic: ``participants`` and ``billingLogic: {mode, formula, revenueFlowRules: [{party, formula}]}``.

A rule says what a party receives.  Who pays is not said: it is whoever is BUYER, each of several an equal part, or
without one the only participant that no rule is about.  Where a rule is about the payer itself, the rules are signed
and have to sum to zero.

``formula.expression`` is the total of the contract, and has to equal the sum of the rules.  A currency has no place in
this reading; where none is stated, its published examples count in ``USUAL_CURRENCY``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from sim.contracts.agreement import ABSENT, OTHERS, Agreement, Flow, Party, Quantity
from sim.contracts.document import Document, Reader
from sim.contracts.formula import Formula, compile_formula
from sim.contracts.readings.common import CARRIES_NO_MONEY, READ, Shared, seated
from sim.contracts.readings.currency import agreed_currency
from sim.contracts.readings.flows import amount, flow_name
from sim.contracts.readings.signed import party_name

FORM = "billing"
USUAL_CURRENCY = "INR"
_LOGIC_KEYS = ("mode", "formula", "script", "revenueFlowRules", "netZeroConstraint", "description")
_RULE_KEYS = ("party", "formula", "rules", "tax", "name", "description", "currency")
_MODES = ("FORMULA", "RULE_BASED", "SCRIPT")


def read(reader: Reader, document: Document) -> Agreement:
    """Read a contract with participants and billing logic; faults go to the reader."""
    known = (*(key for key in READ if key not in ("roles", "script")), "participants", "billingLogic", "totalAmount")
    reader.keys(document, (*known, *CARRIES_NO_MONEY, "netZeroVerified"), "")
    shared = Shared(reader, document)
    parties = _participants(shared)
    logic = reader.mapping(document.get("billingLogic", ABSENT), "/billingLogic")
    reader.keys(logic, _LOGIC_KEYS, "/billingLogic")
    mode = reader.choice(logic.get("mode", "FORMULA"), _MODES, "/billingLogic/mode")
    if mode == "SCRIPT" and "script" not in logic:
        reader.add("/billingLogic/script", "a contract of mode SCRIPT has one", "{language: STARLARK, text, outputs}")
    entries = reader.objects(logic.get("revenueFlowRules", ABSENT), "/billingLogic/revenueFlowRules")
    total, variables = _formula(shared, logic)
    basis, settled = shared.settlement()
    script, computed = shared.script(logic.get("script"), "/billingLogic/script")
    states, before_after = shared.states()
    common: dict[str, Any] = shared.common()
    currency, currency_at = agreed_currency(reader, [("", document), *entries], common["parameters"], parties)
    return Agreement(
        **common,
        form=FORM,
        currency=currency,
        currency_at=currency_at,
        parties=parties,
        open_roles=(),
        quantities=(*variables, *settled, *computed, *before_after),
        states=states,
        flows=tuple(_flows(shared, entries, parties)),
        total=total,
        script=script,
        basis=basis,
        stated=tuple(_stated(reader, document)),
    )


def _participants(shared: Shared) -> tuple[Party, ...]:
    reader = shared.reader
    filled: list[tuple[str, str, str, Mapping[str, object]]] = []
    for where, entry in reader.objects(shared.document.get("participants", ABSENT), "/participants"):
        reader.keys(entry, ("@type", "era", "role", "roleInputs", "dediVerification", "description"), where)
        era = reader.text(entry.get("era", ABSENT), f"{where}/era")
        role = shared.role(entry.get("role", ABSENT), f"{where}/role")
        if (role, era) in [(r, e) for _, r, e, _ in filled]:
            reader.add(where, f"{era} fills the role {role} twice")
        filled.append((where, role, era, reader.mapping(entry.get("roleInputs", {}), f"{where}/roleInputs")))
    return seated(filled)


def _formula(shared: Shared, logic: Document) -> tuple[Formula | None, tuple[Quantity, ...]]:
    reader, where = shared.reader, "/billingLogic/formula"
    stated = reader.mapping(logic.get("formula", {}), where)
    reader.keys(stated, ("expression", "variables", "description"), where)
    total = reader.formula(stated["expression"], f"{where}/expression") if "expression" in stated else None
    variables = shared.variables(
        reader.mapping(stated.get("variables", {}), f"{where}/variables"), f"{where}/variables"
    )
    more = shared.variables(reader.mapping(shared.document.get("variables", {}), "/variables"), "/variables")
    return total, (*variables, *more)


def _flows(shared: Shared, entries: list[tuple[str, Document]], parties: tuple[Party, ...]) -> Iterator[Flow]:
    places: dict[str, str] = {}
    names = [party_name(shared, entry, where) for where, entry in entries]
    payers = _payers(parties, names)
    if payers is None and parties and names:
        what = "does not say who pays: nobody is BUYER, and not just one participant is without a rule"
        shared.reader.add(
            "/billingLogic/revenueFlowRules", what, "name a BUYER, or give every participant a signed rule"
        )
    equal = compile_formula("1", who="equal shares")
    for number, ((where, entry), name) in enumerate(zip(entries, names, strict=True), start=1):
        shared.reader.keys(entry, _RULE_KEYS, where)
        title = flow_name(shared.reader, entry, where, number, places, entry.get("description"))
        description = shared.reader.text(entry.get("description") or title, f"{where}/description")
        formula, tax = amount(shared, entry, where), shared.tax(entry.get("tax"), f"{where}/tax")
        payer = payers or OTHERS
        yield Flow(title, payer, name, formula, description, where, tax, equal if payer == "BUYER" else None)


def _payers(parties: tuple[Party, ...], named: list[str]) -> str | None:
    """The role or seat that pays; ``OTHERS`` where the rules are signed, because one is about whoever would pay."""
    about = {party.seat for party in parties for name in named if name in (party.seat, party.role, party.era)}
    buyers = [party for party in parties if party.role == "BUYER"]
    rest = [party for party in parties if party.seat not in about]
    if buyers:
        return "BUYER" if not any(party.seat in about for party in buyers) else OTHERS
    if not rest:
        return OTHERS
    return rest[0].seat if len(rest) == 1 else None


def _stated(reader: Reader, document: Document) -> Iterator[tuple[str, str, Decimal]]:
    """Amounts that the document gives itself, as (pointer, ERA, amount); they are compared, not believed."""
    stated = document.get("revenueFlows", [])
    stated = stated.get("revenueFlows", []) if isinstance(stated, dict) else stated
    for where, entry in reader.objects(stated, "/revenueFlows"):
        party = reader.mapping(entry.get("party", ABSENT), f"{where}/party")
        era = reader.text(party.get("era", ABSENT), f"{where}/party/era")
        yield where, era, reader.number(entry.get("amount", ABSENT), f"{where}/amount", "amount")
