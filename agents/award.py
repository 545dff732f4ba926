"""What a gate gave one participant."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import UNSET

from sim.clock import Calendar
from sim.forms import given, interval_of
from sim.wire.bags import InputSignal
from sim.wire.messages import Message
from sim.wire.need import ATTRIBUTES, energy_contract, needed


@dataclass(frozen=True, slots=True)
class Award:
    """What was cleared for one participant in one interval.

    cleared_kw: + injected.  price_per_kwh: where the participant stands; None where there is none.
    offset_kw: commanded inside the participant's plateau.  curtailed_kw: commanded outside its curve.
    firm: the set-point is also the most that may be injected, because a limit above is near.
    moved_kw: by how much a grid operator's command has moved it.
    """

    cleared_kw: float
    price_per_kwh: float | None
    offset_kw: float = 0.0
    curtailed_kw: float = 0.0
    firm: bool = False
    moved_kw: float = 0.0


def signal_of(award: Award, node: str) -> InputSignal:
    """The award as it travels in an ``on_confirm``."""
    return InputSignal(
        signalId="market-clearing-price",
        signalType="PRICE",
        clearedPowerKW=award.cleared_kw,
        price=given(award.price_per_kwh),
        offsetKW=award.offset_kw or UNSET,
        curtailedKW=award.curtailed_kw or UNSET,
        firm=award.firm or UNSET,
        gridNode=node,
    )


def award_in(message: Message, calendar: Calendar) -> tuple[int, Award]:
    """Interval and award that an ``on_confirm`` carries.  Raises ``Refusal`` where it carries none."""
    attributes = energy_contract(message)
    where = f"{ATTRIBUTES}/inputSignals"
    signal = needed(attributes.inputSignals, where)[0]
    award = Award(
        needed(signal.clearedPowerKW, f"{where}/0/clearedPowerKW"),
        None if signal.price is UNSET else signal.price,
        signal.offsetKW or 0.0,
        signal.curtailedKW or 0.0,
        firm=bool(signal.firm),
    )
    return interval_of(attributes.timeWindow, calendar, f"{ATTRIBUTES}/timeWindow").index, award
