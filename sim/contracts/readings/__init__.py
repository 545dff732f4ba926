"""One contract, written down in three ways; ``read`` tells them apart.

- ``billing``: participants and billing logic, whose rules say what each party receives.
- ``signed``: a signed flow per role.
- ``flows``: flows with payer and payee.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sim.contracts.agreement import Agreement
from sim.contracts.document import Document, Reader
from sim.contracts.readings import billing, flows, signed

READINGS: Mapping[str, Callable[[Reader, Document], Agreement]] = {
    reading.FORM: reading.read for reading in (billing, signed, flows)
}
"""How each reading is read, by its name."""


def form_of(document: Mapping[str, object]) -> str:
    """Which reading a contract is written in."""
    if "participants" in document or "billingLogic" in document:
        return billing.FORM
    return signed.FORM if isinstance(document.get("revenueFlows"), list) else flows.FORM


def read(reader: Reader, document: Document) -> Agreement:
    """The agreement that a document describes; everything wrong with it goes to the reader."""
    return READINGS[form_of(document)](reader, document)
