"""Calls of a provider to those who hold a deal: invited at a time or for a deal that they serve, extended, or let go.

A component, not an agent: its owner rings it and sends what it returns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from agents.deal import Deal
from agents.dealings import Dealings
from agents.diary import Entry
from sim.participant import Reaction
from sim.wire.messages import Alarm, Event, Lineage, Message


class Convening:
    """The events of a provider; each call is a deal of its own with everybody who is called."""

    def __init__(self, dealings: Dealings) -> None:
        self._dealings = dealings

    @property
    def reactions(self) -> Mapping[str, Reaction]:
        """What the owner reacts to by this."""
        return {"call": self.on_call, "deadline": lambda alarm: self._dealings.lapsed(alarm.index)}

    def alarms(self) -> Iterable[Alarm]:
        """When there is something to call for."""
        times = self._dealings.calling.times()
        return (Alarm(at_s, "call", number) for number, (at_s, _) in enumerate(times))

    def on_call(self, alarm: Alarm) -> Iterable[Event]:
        """The time of an event has come: call everybody who may be."""
        return self._call(self._dealings.calling.times()[alarm.index][1], alarm.at_s)

    def serving(self, request: Message, deal: Deal, now_s: int) -> Iterable[Event]:
        """Call those who are to deliver what a deal is about, if it is such a one, in the lineage of its confirmation."""
        name = self._dealings.calling.delivering(deal.item)
        lineage = Lineage(transactionId=request.transaction_id, messageId=request.message_id)
        return () if name is None else self._call(name, now_s, deal, lineage)

    def _call(
        self, name: str, now_s: int, served: Deal | None = None, lineage: Lineage | None = None
    ) -> Iterable[Event]:
        dealings = self._dealings
        for deal in dealings.calling.drawn_up(name, tuple(dealings.deals.values()), now_s, served):
            assert deal.reduction is not None
            dealings.made(deal)
            yield dealings.tell("on_init", deal, dealings.calling.invitation(deal), lineage)
            yield Alarm(deal.reduction.answer_by_s + 1, "deadline", dealings.number(deal))

    def extend(self, now_s: int, entry: Entry) -> Iterable[Event]:
        """Let an event go on for longer."""
        calling, deals = self._dealings.calling, tuple(self._dealings.deals.values())
        by_s = round(float(entry.say["by_min"]) * 60)
        for deal in calling.extend(entry.about, deals, by_s, now_s):
            yield self._dealings.tell("on_update", deal, calling.agreed(deal))
