"""The text that people sign, and the hashes that tie it to what machines compute.

Grigg's Ricardian contract: one document that people read and machines compute.  Here the text is written from the
agreement, and ``combinedHash`` covers both hashes, so that neither side can be exchanged.  Source: Grigg, "The
Ricardian Contract", WEC 2004.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import rfc8785

from sim.contracts.agreement import ABSENT, OTHERS, Agreement, Constant, Derived, Field, Flow, Quantity
from sim.contracts.document import Document, Reader, agreed_leaves

_RAW = ".raw"
_NOT_TERMS = (
    "status", "verification", "integrity", "events", "ricardianContract", "settlementCycles", "createdAt", "updatedAt",
    "totalAmount", "netZeroVerified",
)  # fmt: skip


def machine_hash(document: Mapping[str, object]) -> str:
    """``sha256:hex`` over the RFC 8785 bytes of a contract's terms: all of it but status, events, and what vouches for it.

    A number with more digits than a binary double keeps is hashed as text, so that no two contracts share a hash.
    """
    terms = {key: value for key, value in document.items() if key not in _NOT_TERMS}
    if "billingLogic" in terms:
        terms.pop("revenueFlows", None)  # amounts somebody computed from it
    return _sha256(rfc8785.dumps(_canonical(terms)))


def human_hash(text: str) -> str:
    """``sha256:hex`` over the UTF-8 bytes of a text."""
    return _sha256(text.encode())


def combined_hash(human: str, machine: str) -> str:
    """``sha256:hex`` over both hashes, the text's first."""
    return _sha256(f"{human}{machine}".encode())


def hashes(document: Mapping[str, object], text: str) -> dict[str, str]:
    """The three hashes under the names that contracts give them."""
    human, machine = human_hash(text), machine_hash(document)
    return {
        "humanReadableTextHash": human,
        "machineReadableHash": machine,
        "combinedHash": combined_hash(human, machine),
    }


def check(reader: Reader, document: Document, agreement: Agreement, currency: str) -> None:
    """Whether the hashes that a contract carries are those of its text and terms; each that is not is a fault."""
    stated = agreement.ricardian
    own = hashes(document, text_of(agreement, currency))
    for name, value in own.items():
        if name in stated and stated[name] != value:
            where = f"/ricardianContract/{name}"
            reader.add(
                where,
                f"is {stated[name]}, and the contract gives {value}",
                "text and terms belong together; sign both anew",
            )


def text_of(agreement: Agreement, currency: str) -> str:
    """The text that the contract carries, else the one that is written from it."""
    carried = agreement.ricardian.get("humanReadableText")
    return carried if isinstance(carried, str) else human_text(agreement, currency)


def human_text(agreement: Agreement, currency: str = "") -> str:
    """The contract in words: who, what is measured, who pays whom by which formula.

    currency: what it counts in where it does not say so itself.
    """
    agreement = replace(agreement, currency=agreement.currency or currency)
    return "\n".join(_paragraphs(agreement)) + "\n"


def _paragraphs(agreement: Agreement) -> Iterator[str]:
    yield f"Contract {agreement.id}" + (f", from template {agreement.template_id}" if agreement.template_id else "")
    yield ""
    yield "Parties"
    for party in agreement.parties:
        yield f"- {party.era} is {_words(party.role)}."
        for path, _, value in agreed_leaves(party.inputs, ""):
            yield f"  {'.'.join(path)}: {_plain(value)}"
    for role in agreement.open_roles:
        wanted = f", who states {', '.join(role.expected)}" if role.expected else ""
        yield f"- {_words(role.role)} is still to be found{wanted}."
    agreed = [f"- {'.'.join(path)}: {_plain(value)}" for path, _, value in agreed_leaves(agreement.parameters, "")]
    yield from _section("Agreed values", agreed)
    yield from _section("Signals", [_source_line(agreement, k) for k in range(len(agreement.sources))])
    yield from _section("Quantities", [line for q in agreement.quantities if (line := _quantity_line(q, agreement))])
    yield from _section(
        "Accumulated states",
        [
            f"- {s.id}: {'the highest' if s.kind == 'MAXIMUM' else 'the sum of'} {s.formula.text}, from {s.initial:f}"
            for s in agreement.states
        ],
    )
    yield from _section("Payments", [_flow_line(flow, number) for number, flow in enumerate(agreement.flows, start=1)])
    if agreement.script is not None:
        yield from _section("Script, in Starlark", agreement.script.text.strip().splitlines())
    yield ""
    yield _closing(agreement)


def _section(title: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield ""
        yield title
        yield from lines


def _source_line(agreement: Agreement, index: int) -> str:
    source = agreement.sources[index]
    every = f", every {source.refresh_s // 60} min" if source.refresh_s else ""
    meter = f", meter {source.meter}" if source.meter else ""
    fields = ", ".join(f"{name} in {unit}" if unit is not None else name for name, unit in source.fields.items())
    fields = f", tells {fields}" if fields else ""
    gap = "nothing is settled until it comes"
    if source.estimate:
        gap = "the interval before stands in until it comes"
    if source.fallback:
        gap = f"{', '.join(f'{k} = {v:f}' for k, v in source.fallback.items())} stands in"
    return f"- {source.id} ({source.kind or 'signal'}{meter}){every}{fields}; where it is missing, {gap}."


def _quantity_line(quantity: Quantity, agreement: Agreement) -> str:
    name = quantity.spellings[-1]
    if name.endswith(_RAW):
        return ""  # told with what is made of it
    unit = f", in {quantity.unit}" if quantity.unit is not None else ""
    match quantity.origin:
        case Derived(formula=formula):
            text = formula.text
            for raw in (q for q in agreement.quantities if q.name in formula.names and q.name.endswith(_RAW)):
                text = text.replace(raw.name, _way(raw.origin))
            return f"- {name} is {text}{unit}."
        case Field():
            return f"- {name} is {_way(quantity.origin)}{unit}."
        case Constant(value=value):
            return f"- {name} is {_plain(value)}{unit}."
    return ""


def _way(origin: object) -> str:
    assert isinstance(origin, Field)
    return f"{'.'.join(map(str, origin.keys))} of {origin.source}" if origin.keys else f"the number of {origin.source}"


def _flow_line(flow: Flow, number: int) -> str:
    title = f"{number}. {flow.description}: "
    if flow.payer == OTHERS:
        how = flow.formula.text if flow.formula else "nothing"
        return f"{title}{flow.payee} receives {how} (pays, where it is negative)."
    payment = f"{title}{flow.payer} pays {flow.payee} "
    if flow.tax is not None:
        kind = "contained in" if flow.tax.inclusive else "on top of"
        parts = ", ".join(f"{name} {rate * 100:f} %" for name, rate in flow.tax.components)
        return f"{payment}{flow.tax.rate * 100:f} % {kind} {', '.join(flow.tax.base)}" + (
            f" ({parts})." if parts else "."
        )
    share = "" if flow.share is None else f", split in proportion to {flow.share.text}"
    share = ", in equal parts" if flow.share is not None and flow.share.text == "1" else share
    return f"{payment}{flow.formula.text if flow.formula else 'nothing'}{share}."


def _closing(agreement: Agreement) -> str:
    every = f"every {agreement.billing_s // 60} min" if agreement.billing_s else "interval by interval"
    when = every if agreement.incremental else "once, after fulfilment"
    window = f" It holds from {agreement.window[0]} to {agreement.window[1]}." if agreement.window else ""
    basis = f" The energy that counts: {agreement.basis}." if agreement.basis else ""
    money = f" Amounts are in {agreement.currency}, each line rounded once, half to even." if agreement.currency else ""
    return f"Settled {when}.{window}{basis}{money} What one party pays the others receive."


def _words(role: str) -> str:
    return role.lower().replace("_", " ")


def _plain(value: object) -> str:
    return f"{value:f}" if isinstance(value, Decimal) else "not stated" if value is ABSENT else str(value)


def _canonical(value: object) -> Any:
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        number = Decimal(value)
        kept = abs(number) < 2**53 and Decimal(repr(float(number))) == number
        return float(number) if kept else plain_digits(number)
    return value


def plain_digits(number: Decimal) -> str:
    """All digits of a number, the same for equal numbers."""
    text = f"{number:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def _sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
