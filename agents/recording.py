"""Deals of a provider that a ledger between utilities keeps: put there when they hold, and carried out as utilities say.

A component, not an agent: its owner hands it messages and sends what it returns.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from agents.deal import Deal
from agents.deal_forms import on_wire
from agents.dealings import Dealings
from agents.trade_record import LedgerClerk, TradeRecord, as_moved, as_order, moved_to, record_about, state, told_in
from sim.wire.codes import Code, Refusal
from sim.wire.messages import Alarm, ContractContent, Event, Message


class Recording:
    """The deals that ``clerk`` puts into its ledger."""

    def __init__(self, dealings: Dealings, clerk: LedgerClerk) -> None:
        self._dealings = dealings
        self._owner = dealings.owner
        self._clerk = clerk

    def recorded(self, request: Message, deal: Deal, record: TradeRecord) -> Iterable[Event]:
        """It holds from the moment of its confirmation, which both platforms tell the ledger."""
        record.traded_at = self._dealings.calendar.timestamp(request.sent_s)
        contract = as_order(on_wire(deal), record, self._platforms(deal))
        yield self._owner.answer(request, ContractContent(contract=contract))
        yield self._put(deal, record)

    def _put(self, deal: Deal, record: TradeRecord) -> Message:
        return self._clerk.put(record, deal.transaction_id, self._platforms(deal), deal.kwh)

    def _platforms(self, deal: Deal) -> tuple[str, str]:
        return deal.taker, self._owner.era

    def refused(self, nack: Message) -> Iterable[Event] | None:
        """What the ledger does not take is not delivered; None for a refusal of anything else."""
        item = self._clerk.refusal_of(nack)
        return None if item is None else self._not_recorded(item, nack)

    def _not_recorded(self, item: str, nack: Message) -> Iterable[Event]:
        for deal in self._dealings.deals.values():
            if deal.record is not None and deal.record.item == item and deal.over_s is None:
                why = nack.content.error.errorMessage  # type: ignore[union-attr]
                yield from self._dealings.withdrawn(deal, nack.sent_s, why)

    def heard(self, message: Message) -> Iterable[Event] | None:
        """What a utility says of a trade of ours; None for news of anything else."""
        record = record_about(message, (deal.record for deal in self._dealings.deals.values()))
        return None if record is None else self._heard(record, message)

    def _heard(self, record: TradeRecord, message: Message) -> Iterable[Event]:
        """It states what it settles, or that its wires do not carry the trade as agreed."""
        dealings = self._dealings
        deal = next(deal for deal in dealings.deals.values() if deal.record is record)
        said, moved = told_in(message), moved_to(message.contract)
        if said.deliveryStatus == "COMPLETED":
            state(record, message.sender, said)
            return
        if not deal.is_open or deal.over_s is not None:
            raise Refusal(Code.PRC_INVALID_TRANSITION, "/message/contract", f"the deal is {deal.status}, and over")
        if moved is None and said.deliveryStatus == "FAILED":
            yield from dealings.withdrawn(deal, message.sent_s, str(said.curtailmentReason))
            return
        told = replace(on_wire(deal), performance=message.contract.performance)
        if moved is not None:
            record.item, record.window = moved
            seconds = dealings.calendar.seconds
            deal.start_s, deal.end_s = seconds(record.window.start), seconds(record.window.end)
            deal.began_s = None
            told = as_moved(told, record)
            yield self._put(deal, record)
            yield Alarm(deal.start_s, "begin", dealings.number(deal))
        yield dealings.tell("on_update", deal, told)
