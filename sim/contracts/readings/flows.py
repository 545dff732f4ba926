"""The reading with payer and payee: ``revenueFlows: {flows: [{from, to, formula}]}``.

``from`` and ``to`` are roles or ERAs; where several parties share a role, a flow holds for each of them, unless it says
by ``share`` how its total is split among them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sim.contracts.agreement import ABSENT, Agreement, Flow
from sim.contracts.document import Document, Reader, kind
from sim.contracts.formula import Formula
from sim.contracts.readings.common import CARRIES_NO_MONEY, READ, ROLES, Shared
from sim.contracts.readings.currency import agreed_currency
from sim.errors import nearest

FORM = "flows"
_FLOW_KEYS = ("@type", "from", "to", "formula", "rules", "tax", "share", "name", "description", "currency")
_MONEY_KEYS = ("@context", "@type", "flows", "netZero", "currency", "description")


def read(reader: Reader, document: Document) -> Agreement:
    """Read a contract with from/to flows; faults go to the reader."""
    reader.keys(document, READ + CARRIES_NO_MONEY, "")
    shared = Shared(reader, document)
    parties, open_roles = shared.roles()
    money = reader.mapping(document.get("revenueFlows", ABSENT), "/revenueFlows")
    reader.keys(money, _MONEY_KEYS, "/revenueFlows")
    if not isinstance(money.get("netZero", True), bool):
        reader.add("/revenueFlows/netZero", f"expected true or false, found {kind(money['netZero'])}")
    entries = reader.objects(money.get("flows", ABSENT), "/revenueFlows/flows")
    flows = tuple(_flows(shared, entries))
    basis, settled = shared.settlement()
    script, computed = shared.script(document.get("script"), "/script")
    states, before_after = shared.states()
    variables = shared.variables(reader.mapping(document.get("variables", {}), "/variables"), "/variables")
    places = [("", document), ("/revenueFlows", money), *entries]
    common: dict[str, Any] = shared.common()
    currency, currency_at = agreed_currency(reader, places, common["parameters"], parties)
    return Agreement(
        **common,
        form=FORM,
        currency=currency,
        currency_at=currency_at,
        parties=parties,
        open_roles=open_roles,
        quantities=(*variables, *settled, *computed, *before_after),
        states=states,
        flows=flows,
        script=script,
        basis=basis,
    )


def _flows(shared: Shared, entries: list[tuple[str, Document]]) -> Iterator[Flow]:
    reader = shared.reader
    formulas = [amount(shared, entry, where) for where, entry in entries]
    places: dict[str, str] = {}
    for number, ((where, entry), formula) in enumerate(zip(entries, formulas, strict=True), start=1):
        reader.keys(entry, _FLOW_KEYS, where)
        name = flow_name(reader, entry, where, number, places)
        description = reader.text(entry.get("description") or name, f"{where}/description")
        payer, payee = (reader.text(entry.get(end, ABSENT), f"{where}/{end}") for end in ("from", "to"))
        tax = shared.tax(entry.get("tax"), f"{where}/tax")
        share = reader.formula(entry["share"], f"{where}/share") if "share" in entry else None
        yield Flow(name, payer, payee, formula, description, where, tax, share)


def amount(shared: Shared, entry: Document, where: str) -> Formula | None:
    """What a flow comes to: by ``formula``, by ``rules``, or by ``tax``, which has no formula; exactly one of them."""
    ways = [key for key in ("formula", "rules", "tax") if entry.get(key) is not None]
    if len(ways) > 1:
        shared.reader.add(where, f"has {' and '.join(ways)}; an amount is computed in one way")
    if entry.get("tax") is not None:
        return None
    if entry.get("rules") is not None:
        return shared.rules(entry["rules"], f"{where}/rules")
    return shared.reader.formula(entry.get("formula", ABSENT), f"{where}/formula")


def flow_name(
    reader: Reader, entry: Document, where: str, number: int, places: dict[str, str], title: object = None
) -> str:
    """A flow's name, else its title where no other has it, else a number; no two have the same."""
    usual = title if isinstance(title, str) and title and title not in places else f"flow-{number}"
    name = reader.text(entry.get("name", usual), f"{where}/name")
    if places.setdefault(name, where) != where:
        reader.add(f"{where}/name", f"{name} is also the name of {places[name]}")
    return name


def unknown_party(name: str, agreement: Agreement) -> tuple[str, str]:
    """What is wrong with a name that no party goes by."""
    if name in [role.role for role in agreement.open_roles] or name in ROLES:
        return f"nobody fills the role {name}", ""
    known = [*(party.role for party in agreement.parties), *(party.era for party in agreement.parties)]
    return f"{name} is neither a role nor a party of this contract", nearest(name, known)
