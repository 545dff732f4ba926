"""Capacity held ready: how much of it is left, when it begins to be held, what is asked of it, and how it has answered."""

from __future__ import annotations

from collections.abc import Iterable

from agents.deal import Deal, Item
from agents.twins.reserve import Setpoints
from sim.clock import Interval
from sim.contracts.contract import Status
from sim.wire.bags import EnergyContract
from sim.wire.codes import Code, Refusal
from sim.wire.core import Quantity
from sim.wire.messages import Message
from sim.wire.need import ATTRIBUTES, bag, needed

QUANTITY = "/message/contract/commitments/0/resources/0/quantity"
SIGNALS = f"{ATTRIBUTES}/inputSignals"
_LEAST_KW = 1e-9


def capacity(item: Item, quantity: Quantity, window: tuple[int, int], deals: Iterable[Deal]) -> float:
    """How much capacity somebody asks for in a window of simulated seconds [kW].

    Raises ``Refusal`` for what is no capacity, and for more than is left beside the deals that there are: of what follows
    set-points nothing is, for those of two could not both be followed.
    """
    kw = quantity.value
    if quantity.unitCode != "KW" or kw <= 0:
        what = f"{item.name} is capacity that is held ready: ask for more than 0 KW"
        raise Refusal(Code.SCH_INVALID_FORMAT, QUANTITY, what)
    held = [deal.kw for deal in deals if deal.item is item and _holds(deal) and _meets(deal, window)]
    alone = item.reserve is not None and isinstance(item.reserve.control, Setpoints)
    left_kw = 0.0 if alone and held else item.quantity_kw - sum(held)
    if kw > left_kw + _LEAST_KW:
        raise Refusal(Code.BIZ_CAP_EXCEEDED, QUANTITY, f"{kw:g} kW are asked for, {left_kw:g} kW are left then")
    return kw


def _holds(deal: Deal) -> bool:
    return deal.status in (Status.PENDING, Status.ACTIVE) and deal.over_s is None


def _meets(deal: Deal, window: tuple[int, int]) -> bool:
    return deal.start_s < window[1] and window[0] < deal.end_s


def begin(deal: Deal, now_s: int) -> None:
    """What was agreed is held ready from now on until its window ends; of what is no capacity nothing is to be done."""
    reserve = deal.item.reserve
    if reserve is None:
        return
    if isinstance(reserve.control, Setpoints):
        reserve.control.send(0.0, now_s)
    reserve.book(deal.kw, now_s, deal.end_s)


def ask(deal: Deal, message: Message) -> None:
    """Some of what is held is asked for from now on.

    Raises ``Refusal`` where no set-points are followed, for more than is held, and while nothing is.
    """
    told = bag(message.contract.contractAttributes, EnergyContract, ATTRIBUTES)
    signal = needed(told.inputSignals, SIGNALS)[0]
    control = None if deal.item.reserve is None else deal.item.reserve.control
    if not isinstance(control, Setpoints) or signal.signalType != control.follows:
        what = f"{deal.item.name} does not follow {signal.signalType}"
        raise Refusal(Code.SCH_TYPE_NOT_SUPPORTED, f"{SIGNALS}/0/signalType", what)
    kw = needed(signal.value, f"{SIGNALS}/0/value")
    if not isinstance(kw, int | float) or abs(kw) > deal.kw + _LEAST_KW:
        raise Refusal(Code.BIZ_CAP_EXCEEDED, f"{SIGNALS}/0/value", f"{kw} asked for, {deal.kw:g} kW held")
    if deal.began_s is None or not deal.began_s <= message.sent_s < deal.end_s:
        raise Refusal(Code.PRC_INVALID_TRANSITION, f"{SIGNALS}/0", "nothing is held at this time")
    control.send(float(kw), message.sent_s)


def measure(deal: Deal, interval: Interval) -> None:
    """Take down how a deal was answered in the interval, which has just ended."""
    reserve = deal.item.reserve
    if reserve is not None and deal.began_s is not None:
        answer = reserve.answer(deal.kw, deal.began_s, deal.end_s)
        deal.answers |= {} if answer is None else {interval.index: answer}
