"""What a member was told that its contract came to, interval by interval, and its word on what its host states in the end.

A component, not an agent: its owner hands it messages and sends what it returns.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from decimal import Decimal

from msgspec import UNSET
from msgspec.structs import replace

from agents.closing import CLOSING, RUN, Row, Totals, add
from sim.contracts.settlement_runs import settlement_digest
from sim.errors import ContractError
from sim.ledger import EXACT, Posting, minor_unit
from sim.trust.signatory import Signatory
from sim.wire.bags import EnergySettlement
from sim.wire.codes import Code, Refusal
from sim.wire.core import Contract, Settlement
from sim.wire.messages import Message
from sim.wire.need import bag

SETTLEMENTS = "/message/contract/settlements"


class Passbook:
    """A member's own account with its host.  signatory: its hand; None for a member that signs nothing, but may dispute.

    ``balance`` is what settlements have brought (+) or cost (−) so far, in the contract's currency.
    """

    def __init__(self, host: str, signatory: Signatory | None) -> None:
        self._host = host
        self._signatory = signatory
        self._totals: Totals = {}
        self.balance = 0.0

    def take(self, message: Message, contract_id: str) -> Contract | None:
        """Enter the intervals that a message settles; the contract as its closing statement is answered, if it holds one.

        A statement is signed if it says what the intervals came to, and disputed if not.  contract_id: of the member's
        contract.  Raises ``Refusal`` for accounts of another contract or by another host, for what is no money, and for a
        statement without the host's signature.
        """
        settlements = message.contract.settlements or ()
        if settlements:
            self._check(message, contract_id)
        entries: list[tuple[float, tuple[Row, ...]]] = []
        answers: list[Settlement] = []
        for number, settlement in enumerate(settlements):
            where = f"{SETTLEMENTS}/{number}/settlementAttributes"
            cycle = bag(settlement.settlementAttributes, EnergySettlement, where)
            rows = _rows(cycle, where)
            if cycle.cycleId != CLOSING:
                entries.append((cycle.amount, rows))
            elif settlement.status == "COMMITTED":
                word = self._word(contract_id, cycle, rows, where)
                answers += [] if word is None else [replace(settlement, settlementAttributes=word)]
        for amount, rows in entries:
            self.balance += amount
            add(self._totals, rows)
        return replace(message.contract, settlements=tuple(answers)) if answers else None

    def _check(self, message: Message, contract_id: str) -> None:
        if message.sender != self._host:
            what = f"expected accounts of {self._host}, got some of {message.sender}"
            raise Refusal(Code.AUT_UNAUTHORIZED_ACTION, "/context/bppId", what)
        if message.contract.id != contract_id:
            what = f"expected accounts of {contract_id or 'no contract'}, got some of {message.contract.id or 'none'}"
            raise Refusal(Code.NET_ENTITY_NOT_FOUND, "/message/contract/id", what)

    def _word(
        self, contract_id: str, stated: EnergySettlement, rows: Sequence[Row], where: str
    ) -> EnergySettlement | None:
        """The statement, signed or disputed; None where there is neither reason nor hand."""
        digest, hand = str(stated.statementDigest or ""), self._signatory
        if hand is not None and not hand.verify(self._host, digest, str(stated.signature or "")):
            what = f"expected the signature of {self._host} over {digest or 'a digest'}, got another"
            raise Refusal(Code.AUT_SIGNATURE_INVALID, f"{where}/signature", what)
        try:
            objection = self._objection(contract_id, stated, rows)
        except ContractError as error:
            raise Refusal(Code.SCH_SCHEMA_VALIDATION_FAILED, where, str(error)) from error
        if objection:
            return replace(stated, signature=UNSET, disputeReason=objection)
        return None if hand is None else replace(stated, signature=hand.sign(digest))

    def _objection(self, contract_id: str, stated: EnergySettlement, rows: Sequence[Row]) -> str:
        """What speaks against a statement: other amounts than were told, or a digest of something else; empty for nothing."""
        totals: Totals = {}
        add(totals, rows)
        for account in sorted({**self._totals, **totals}):
            told, said = (of.get(account, Decimal(0)) for of in (self._totals, totals))
            if told != said:
                term, first, second = account
                return f"{term} between {first} and {second} is stated as {said}, and the intervals sum to {told}"
        postings = [Posting(0, contract_id, *row, stated.currency) for row in rows]
        digest = settlement_digest(contract_id, CLOSING, RUN, True, postings, str(stated.snapshotDigest or ""))
        return "" if stated.statementDigest == digest else f"what is stated has the digest {digest}"


def _rows(cycle: EnergySettlement, where: str) -> tuple[Row, ...]:
    """The lines of a settlement as exact money.  Raises ``Refusal`` for a currency or an amount that is not money."""
    try:
        unit = minor_unit(cycle.currency)
        return tuple((p.term, p.payer, p.payee, _exact(p.amount, unit)) for p in cycle.breakdown)
    except (ContractError, ArithmeticError) as error:
        what = f"expected whole minor units of a currency in use, got others of {cycle.currency}"
        raise Refusal(Code.SCH_SCHEMA_VALIDATION_FAILED, f"{where}/breakdown", what) from error


@functools.lru_cache(maxsize=4096)
def _exact(amount: float, unit: Decimal) -> Decimal:
    return EXACT.quantize(Decimal(repr(amount)), unit)
