"""The one currency of a contract, which everything that states a currency has to agree on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sim.contracts.agreement import ABSENT, Party
from sim.contracts.document import Document, Reader, agreed_leaves
from sim.errors import ContractError
from sim.ledger import minor_unit


def agreed_currency(
    reader: Reader, places: Iterable[tuple[str, Document]], parameters: Mapping[str, object], parties: Iterable[Party]
) -> tuple[str, str]:
    """The currency that the contract, its flows and its inputs state, and where first; empty where none of them does."""
    stated = [(f"{where}/currency", mapping["currency"]) for where, mapping in places if "currency" in mapping]
    inputs = [("/inputParameters", parameters), *((f"{party.where}/roleInputs", party.inputs) for party in parties)]
    stated += [
        (where, value)
        for place, mapping in inputs
        for path, where, value in agreed_leaves(mapping, place)
        if path[-1] == "currency" and value is not ABSENT
    ]
    codes = [(where, reader.text(value, where)) for where, value in stated]
    return one_currency(reader, codes), codes[0][0] if codes else ""


def one_currency(reader: Reader, codes: list[tuple[str, str]]) -> str:
    """The currency of (pointer, code); a second one, and one that is no money, are faults."""
    if not codes:
        return ""
    first, currency = codes[0]
    for where, code in codes:
        if code and code != currency:
            reader.add(where, f"is {code} where {first} is {currency}; one contract has one currency")
    try:
        if currency:
            minor_unit(currency)
    except ContractError as error:
        reader.add(first, error.faults[0].what, error.faults[0].remedy)
    return currency
