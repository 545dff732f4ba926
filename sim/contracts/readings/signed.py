"""The reading with one signed flow a role: ``revenueFlows: [{party: {role}, formula, variables}]``.

What a formula gives is received where it is positive and paid where it is negative; together the flows have to be zero.
Inputs of roles may stand under ``inputParameters`` by role.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sim.contracts.agreement import ABSENT, OTHERS, Agreement, Flow, Quantity
from sim.contracts.document import Document, Reader, pointer
from sim.contracts.readings.common import CARRIES_NO_MONEY, READ, Shared
from sim.contracts.readings.currency import agreed_currency
from sim.contracts.readings.flows import amount, flow_name

FORM = "signed"
_FLOW_KEYS = ("@type", "party", "role", "formula", "rules", "variables", "name", "description", "currency")


def read(reader: Reader, document: Document) -> Agreement:
    """Read a contract with a signed flow per role; faults go to the reader."""
    reader.keys(document, (*READ, *CARRIES_NO_MONEY), "")
    shared = Shared(reader, document)
    parties, open_roles = shared.roles()
    entries = reader.objects(document.get("revenueFlows", ABSENT), "/revenueFlows")
    flows = tuple(_flows(shared, entries))
    basis, settled = shared.settlement()
    script, computed = shared.script(document.get("script"), "/script")
    states, before_after = shared.states()
    common: dict[str, Any] = shared.common()
    currency, currency_at = agreed_currency(reader, [("", document), *entries], common["parameters"], parties)
    return Agreement(
        **common,
        form=FORM,
        currency=currency,
        currency_at=currency_at,
        parties=parties,
        open_roles=open_roles,
        quantities=(*_variables(shared, entries), *settled, *computed, *before_after),
        states=states,
        flows=flows,
        script=script,
        basis=basis,
    )


def _flows(shared: Shared, entries: list[tuple[str, Document]]) -> Iterator[Flow]:
    places: dict[str, str] = {}
    for number, (where, entry) in enumerate(entries, start=1):
        shared.reader.keys(entry, _FLOW_KEYS, where)
        name = flow_name(shared.reader, entry, where, number, places, entry.get("description"))
        description = shared.reader.text(entry.get("description") or name, f"{where}/description")
        yield Flow(name, OTHERS, party_name(shared, entry, where), amount(shared, entry, where), description, where)


def party_name(shared: Shared, entry: Document, where: str) -> str:
    """Whose flow it is: ``party: {era, role}``, or a role by itself.  An ERA says more than a role."""
    if "party" not in entry:
        return shared.role(entry.get("role", ABSENT), f"{where}/role")
    stated = entry["party"]
    if isinstance(stated, str):
        return shared.reader.text(stated, f"{where}/party")
    party = shared.reader.mapping(stated, f"{where}/party")
    if "role" in party:
        shared.role(party["role"], f"{where}/party/role")
    return shared.reader.text(party.get("era", party.get("role", ABSENT)), f"{where}/party")


def _variables(shared: Shared, entries: list[tuple[str, Document]]) -> Iterator[Quantity]:
    """The variables of all flows; the same name means the same in all of them."""
    stated: dict[str, tuple[object, str]] = {}
    places = [("/variables", shared.document.get("variables", {}))]
    places += [(f"{where}/variables", entry.get("variables", {})) for where, entry in entries]
    for where, variables in places:
        for name, entry in shared.reader.mapping(variables, where).items():
            earlier, place = stated.setdefault(name, (entry, pointer(where, name)))
            if earlier != entry:
                shared.reader.add(pointer(where, name), f"{name} means something else at {place}")
    for name, (entry, place) in stated.items():
        yield from shared.variables({name: entry}, place.rsplit("/", 1)[0])
