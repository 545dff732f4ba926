"""Writing a contract in another reading than the one it came in.

What all readings share is taken over as it stands; who pays whom is written anew.  From signed flows to flows with
payer and payee one party has to stand in the middle: the only BUYER, else the market, else the first.  Everybody else's
flow is then with that party, and balances stay what they were.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sim.contracts.agreement import OTHERS, Agreement, Flow, Party
from sim.contracts.document import Document
from sim.contracts.readings import billing, flows, signed
from sim.errors import ContractError

_WHO_PAYS = (
    "ricardianContract",
    "roles",
    "participants",
    "revenueFlows",
    "billingLogic",
    "variables",
    "script",
    "totalAmount",
    "netZeroVerified",
)
_STATED = ("formula", "rules", "tax", "share")


def write(document: Mapping[str, object], agreement: Agreement, form: str, currency: str = "") -> Document:
    """The contract in another reading; the same where it has that form already.

    currency: written down where the contract leaves it to its reading.

    Raises ``ContractError`` for what a reading cannot say: shares and taxes need a payer.
    """
    if form == agreement.form:
        return dict(document)
    shared: Document = {key: value for key, value in document.items() if key not in _WHO_PAYS}
    if currency:
        shared.setdefault("currency", currency)
    entries = _entries(document, agreement)
    if form == flows.FORM:
        return shared | _as_flows(document, agreement, entries)
    if form == billing.FORM and agreement.open_roles:
        raise ContractError(agreement.open_roles[0].where, "is open, and this reading has no open roles")
    _refuse_payers(agreement, entries, form)
    if form == signed.FORM:
        named = _named(document, agreement)
        return shared | _with_roles(document, agreement) | named | {"revenueFlows": list(_signed(agreement, entries))}
    return shared | _as_billing(document, agreement, entries)


def _entries(document: Mapping[str, object], agreement: Agreement) -> list[Document]:
    """How each flow states its amount, as its own reading has it."""
    money = document.get("billingLogic") or document.get("revenueFlows")
    if isinstance(money, dict):
        money = money.get("revenueFlowRules", money.get("flows", []))
    stated = [entry for entry in money if isinstance(entry, dict)] if isinstance(money, list) else []
    return [
        {"name": flow.name, "description": flow.description, **{key: entry[key] for key in _STATED if key in entry}}
        for flow, entry in zip(agreement.flows, stated, strict=True)
    ]


def _as_flows(document: Mapping[str, object], agreement: Agreement, entries: list[Document]) -> Document:
    hub = _hub(agreement) if any(flow.payer == OTHERS for flow in agreement.flows) else None
    written: list[Document] = []
    for flow, entry in zip(agreement.flows, entries, strict=True):
        if flow.payer != OTHERS:
            several = len(agreement.parties_of(flow.payer)) > 1
            equal = {"share": "1"} if several and flow.share is not None and "share" not in entry else {}
            written.append({"from": flow.payer, "to": flow.payee, **entry, **equal})
        elif hub is not None and flow.payee not in (hub.seat, hub.era):
            written.append({"from": hub.seat, "to": flow.payee, **entry})
    money = {"flows": written, "netZero": True}
    return _with_roles(document, agreement) | _named(document, agreement) | {"revenueFlows": money}


def _hub(agreement: Agreement) -> Party:
    """Who stands in the middle."""
    for role in ("BUYER", "MARKET_CLEARING_AGENT"):
        found = agreement.parties_of(role)
        if len(found) == 1:
            return found[0]
    alone = [party for party in agreement.parties if party.seat == party.role]
    if not alone:
        raise ContractError("/roles", "several parties share every role, so nobody can stand between them")
    return alone[0]


def _as_billing(document: Mapping[str, object], agreement: Agreement, entries: list[Document]) -> Document:
    participants = [
        {"era": p.era, "role": p.role, **({"roleInputs": dict(p.inputs)} if p.inputs else {})}
        for p in agreement.parties
    ]
    named = _named(document, agreement)
    logic: Document = {"mode": "FORMULA", "formula": {"variables": named.get("variables", {})}}
    if "script" in named:
        logic |= {"mode": "SCRIPT", "script": named["script"]}
    rules = list(_signed(agreement, entries))
    buyers = agreement.parties_of("BUYER")
    if buyers and all(_paid_by_buyer(agreement, flow) for flow in agreement.flows):
        rules = [
            {"party": _party(agreement, flow.payee), **{k: v for k, v in entry.items() if k != "share"}}
            for flow, entry in zip(agreement.flows, entries, strict=True)
        ]
    return {"participants": participants, "billingLogic": {**logic, "revenueFlowRules": rules}}


def _signed(agreement: Agreement, entries: list[Document]) -> Iterator[Document]:
    """Two signed entries for every payment: what one receives the other pays."""
    for flow, entry in zip(agreement.flows, entries, strict=True):
        yield {"party": _party(agreement, flow.payee), **entry}
        if flow.payer != OTHERS:
            paid = {**entry, "name": f"{flow.name} (paid)", "description": f"{flow.description} (paid)"}
            formula = flow.formula.text if flow.formula is not None else "0"
            paid = {key: value for key, value in paid.items() if key != "rules"}
            yield {"party": _party(agreement, flow.payer), **paid, "formula": f"-({formula})"}


def _party(agreement: Agreement, name: str) -> Document:
    """Who is meant: by role where the role is meant, with the ERA where one party is."""
    found = agreement.parties_of(name)
    if len(found) == 1:
        return {"era": found[0].era, "role": found[0].role}
    return {"role": name}


def _refuse_payers(agreement: Agreement, entries: list[Document], form: str) -> None:
    by_buyer = form == billing.FORM and all(_paid_by_buyer(agreement, flow) for flow in agreement.flows)
    for flow, entry in zip(agreement.flows, entries, strict=True):
        special = [key for key in ("tax", "share") if key in entry]
        if special and not (by_buyer and special == ["tax"]):
            raise ContractError(flow.where, f"its {special[0]} needs a payer, and this reading does not say who pays")
        if _differs_by_party(agreement, flow):
            what = f"holds for each {flow.payer} or {flow.payee} with its own inputs; only flows can say that"
            raise ContractError(flow.where, what)


def _paid_by_buyer(agreement: Agreement, flow: Flow) -> bool:
    """Whether whoever is BUYER pays, which is what billing logic takes for granted."""
    buyers = agreement.parties_of("BUYER")
    return flow.payer in ("BUYER", "CONSUMER") or (len(buyers) == 1 and flow.payer in (buyers[0].seat, buyers[0].era))


def _differs_by_party(agreement: Agreement, flow: Flow) -> bool:
    return any(len(agreement.parties_of(name)) > 1 for name in (flow.payer, flow.payee) if name != OTHERS)


def _with_roles(document: Mapping[str, object], agreement: Agreement) -> Document:
    if "roles" in document:
        return {"roles": document["roles"]}
    roles = [
        {"role": p.role, "filledBy": p.era, "filled": True, **({"roleInputs": dict(p.inputs)} if p.inputs else {})}
        for p in agreement.parties
    ]
    return {"roles": roles}


def _named(document: Mapping[str, object], agreement: Agreement) -> Document:
    """Variables and script, wherever the reading keeps them."""
    variables = document.get("variables", {})
    found: Document = dict(variables) if isinstance(variables, dict) else {}
    logic = document.get("billingLogic")
    script = document.get("script")
    if isinstance(logic, dict):
        formula = logic.get("formula", {})
        found |= formula.get("variables", {}) if isinstance(formula, dict) else {}
        script = logic.get("script")
    if agreement.form == signed.FORM and isinstance(document.get("revenueFlows"), list):
        for entry in document["revenueFlows"]:  # type: ignore[attr-defined]
            found |= entry.get("variables", {})
    return ({"variables": found} if found else {}) | ({} if script is None else {"script": script})
