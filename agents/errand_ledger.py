"""Errands for customers whose deals are recorded in a trade ledger: what the buying platform puts there, and when.

A component of a seeker, not an agent: its owner hands it what concerns it, and sends what it returns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from agents.errand_forms import known
from agents.errands import Pursuit
from agents.trade_record import LedgerClerk, TradeRecord, as_order, moved_to, seller_in
from sim.participant import Participant, Reaction
from sim.wire.bags import EnergyContract, EnergyOrderItem
from sim.wire.core import Contract
from sim.wire.messages import SETUP_TTL_S, Event, KnownContractContent, Message
from sim.wire.need import ATTRIBUTES, needed


class ErrandLedger:
    """Records the deals of ``pursuits`` in a ledger; what it does not take is taken back."""

    def __init__(self, owner: Participant, ledger: str, pursuits: Sequence[Pursuit]) -> None:
        self._owner = owner
        self._pursuits = pursuits
        self._clerk = LedgerClerk(owner, ledger, "BUYER")

    @property
    def reactions(self) -> Mapping[str, Reaction]:
        """What the owner serves for it."""
        return self._clerk.reactions

    def ordered(self, pursuit: Pursuit, terms: Contract, contract: Contract) -> Contract:
        """The contract that is confirmed: as an order, where a deal on these terms is to be recorded.

        Raises ``Refusal`` where the terms do not say who sells, or when.
        """
        pursuit.record = _record(pursuit, terms)
        return contract if pursuit.record is None else as_order(contract, pursuit.record, _platforms(pursuit))

    def agreed(self, pursuit: Pursuit, contract: Contract) -> Iterable[Event]:
        """It holds from the moment that its provider says, which both platforms tell the ledger."""
        if pursuit.record is not None:
            pursuit.status = "ACTIVE"
            _, pursuit.record.traded_at = seller_in(contract)
            yield self._put(pursuit, pursuit.record)

    def moved(self, pursuit: Pursuit, contract: Contract) -> Message | None:
        """Put a trade anew under the item and in the window that its provider says; None where it is not moved."""
        moved = moved_to(contract)
        if pursuit.record is None or moved is None:
            return None
        pursuit.record.item, pursuit.record.window = moved
        return self._put(pursuit, pursuit.record)

    def refused(self, message: Message) -> Iterable[Event] | None:
        """Take back what the ledger does not take; None where a refusal is about something else."""
        item = self._clerk.refusal_of(message)
        return None if item is None else self._take_back(item)

    def _take_back(self, item: str) -> Iterable[Event]:
        for pursuit in self._pursuits:
            if pursuit.record is not None and pursuit.record.item == item and pursuit.status == "ACTIVE":
                content = KnownContractContent(contract=known(pursuit))
                yield self._owner.request("cancel", pursuit.deal.provider, content, pursuit.transaction_id, SETUP_TTL_S)

    def _put(self, pursuit: Pursuit, record: TradeRecord) -> Message:
        return self._clerk.put(record, pursuit.transaction_id, _platforms(pursuit), pursuit.errand.kwh)


def _record(pursuit: Pursuit, terms: Contract) -> TradeRecord | None:
    """What is to be recorded of a deal for a customer; nothing where its provider records none."""
    customer, attributes = pursuit.errand.customer, terms.contractAttributes
    recorded = isinstance(terms.commitments[0].commitmentAttributes, EnergyOrderItem)
    if customer is None or not recorded or not isinstance(attributes, EnergyContract):
        return None
    seller, _ = seller_in(terms)
    window = needed(attributes.timeWindow, f"{ATTRIBUTES}/timeWindow")
    return TradeRecord(pursuit.contract_id, customer, seller, window)


def _platforms(pursuit: Pursuit) -> tuple[str, str]:
    """Of buyer and seller."""
    return pursuit.seeker, pursuit.deal.provider
