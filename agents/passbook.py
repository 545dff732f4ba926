"""What a member was told that its contract came to, interval by interval, and its word on what its host states in the end.

A component, not an agent: its owner hands it messages and sends what it returns.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from msgspec import UNSET
from msgspec.structs import replace

from agents.closing import CLOSING, RUN, Totals, add
from sim.contracts.settlement_runs import settlement_digest
from sim.errors import ContractError
from sim.ledger import EXACT, Posting, minor_unit
from sim.trust.signatory import Signatory
from sim.wire.bags import EnergySettlement
from sim.wire.codes import Code, Refusal
from sim.wire.core import Contract
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
        cycles = [
            bag(settlement.settlementAttributes, EnergySettlement, f"{SETTLEMENTS}/{number}/settlementAttributes")
            for number, settlement in enumerate(settlements)
        ]
        postings = [_postings(contract_id, cycle, number) for number, cycle in enumerate(cycles)]
        words = [
            self._word(contract_id, cycle, lines, number)
            if cycle.cycleId == CLOSING and settlement.status == "COMMITTED"
            else None
            for number, (settlement, cycle, lines) in enumerate(zip(settlements, cycles, postings, strict=True))
        ]
        for cycle, lines in zip(cycles, postings, strict=True):
            if cycle.cycleId != CLOSING:
                self.balance += cycle.amount
                add(self._totals, lines)
        answers = tuple(
            replace(settlement, settlementAttributes=word)
            for settlement, word in zip(settlements, words, strict=True)
            if word is not None
        )
        return replace(message.contract, settlements=answers) if answers else None

    def _check(self, message: Message, contract_id: str) -> None:
        if message.sender != self._host:
            what = f"expected accounts of {self._host}, got some of {message.sender}"
            raise Refusal(Code.AUT_UNAUTHORIZED_ACTION, "/context/bppId", what)
        if message.contract.id != contract_id:
            what = f"expected accounts of {contract_id or 'no contract'}, got some of {message.contract.id or 'none'}"
            raise Refusal(Code.NET_ENTITY_NOT_FOUND, "/message/contract/id", what)

    def _word(
        self, contract_id: str, stated: EnergySettlement, lines: Sequence[Posting], number: int
    ) -> EnergySettlement | None:
        """The statement, signed or disputed; None where there is neither reason nor hand."""
        where = f"{SETTLEMENTS}/{number}/settlementAttributes"
        digest, hand = str(stated.statementDigest or ""), self._signatory
        if hand is not None and not hand.verify(self._host, digest, str(stated.signature or "")):
            what = f"expected the signature of {self._host} over {digest or 'a digest'}, got another"
            raise Refusal(Code.AUT_SIGNATURE_INVALID, f"{where}/signature", what)
        try:
            objection = self._objection(contract_id, stated, lines)
        except ContractError as error:
            raise Refusal(Code.SCH_SCHEMA_VALIDATION_FAILED, where, str(error)) from error
        if objection:
            return replace(stated, signature=UNSET, disputeReason=objection)
        return None if hand is None else replace(stated, signature=hand.sign(digest))

    def _objection(self, contract_id: str, stated: EnergySettlement, lines: Sequence[Posting]) -> str:
        """What speaks against a statement: other amounts than were told, or a digest of something else; empty for nothing."""
        totals: Totals = {}
        add(totals, lines)
        for account in sorted({**self._totals, **totals}):
            told, said = (of.get(account, Decimal(0)) for of in (self._totals, totals))
            if told != said:
                term, first, second = account
                return f"{term} between {first} and {second} is stated as {said}, and the intervals sum to {told}"
        digest = settlement_digest(contract_id, CLOSING, RUN, True, lines, str(stated.snapshotDigest or ""))
        return "" if stated.statementDigest == digest else f"what is stated has the digest {digest}"


def _postings(contract_id: str, cycle: EnergySettlement, number: int) -> tuple[Posting, ...]:
    """The lines of a settlement as exact money.  Raises ``Refusal`` for a currency or an amount that is not money."""
    try:
        unit = minor_unit(cycle.currency)
        return tuple(
            Posting(
                0, contract_id, p.term, p.payer, p.payee, EXACT.quantize(Decimal(repr(p.amount)), unit), cycle.currency
            )
            for p in cycle.breakdown
        )
    except (ContractError, ArithmeticError) as error:
        where = f"{SETTLEMENTS}/{number}/settlementAttributes/breakdown"
        what = f"expected whole minor units of a currency in use, got others of {cycle.currency}"
        raise Refusal(Code.SCH_SCHEMA_VALIDATION_FAILED, where, what) from error
