"""What a seeker says about a running deal, by its diary: a line in ``VERBS`` for everything that can be done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import UNSET

from agents.diary import Entry
from agents.enrolling import leaving, taking_back
from agents.errand_forms import known
from agents.errands import Pursuit, Vehicle
from sim.wire.bags import ENERGY, ChargingSession, EnergyContract, EnergyObjectives, InputSignal
from sim.wire.core import Performance, RatingInput, RatingRange, RatingTarget, Support, Tracking
from sim.wire.messages import (
    SETUP_TTL_S,
    Content,
    ContractContent,
    KnownContractContent,
    RateContent,
    SupportContent,
    TrackContent,
    uri,
)

BILL_TTL_S = 900
"""Seconds that the answer to a stop may take: it comes with the bill, when the meter has been read."""


@dataclass(frozen=True, slots=True)
class Verb:
    """One thing that can be done about a deal.

    action: that it is asked for by.  content: of the message, by the deal, the entry of the diary, and the time (RFC 3339).
    ttl_s: how long the answer may take.  may_try: whether the entry can say ``try``, to be told only what would follow.
    """

    action: str
    content: Callable[[Pursuit, Entry, str], Content]
    ttl_s: int = SETUP_TTL_S
    may_try: bool = False

    def tries(self, entry: Entry) -> bool:
        """Whether an entry only asks what would follow."""
        return self.may_try and bool(entry.say.get("try", False))


def _started(pursuit: Pursuit, _: Entry, __: str) -> Content:
    vehicle = pursuit.errand.vehicle or Vehicle(pursuit.errand.kwh, 0.0)
    performance = _session(
        pursuit,
        sessionStatus="ACTIVE",
        maxPowerKW=vehicle.kw or UNSET,
        vehicleMake=vehicle.make or UNSET,
        vehicleModel=vehicle.model or UNSET,
    )
    wish = EnergyObjectives(ENERGY, targetChargeKWh=vehicle.need_kwh)
    return ContractContent(contract=known(pursuit, wish, performance=performance))


def _stopped(pursuit: Pursuit, _: Entry, __: str) -> Content:
    return ContractContent(contract=known(pursuit, performance=_session(pursuit, sessionStatus="STOP")))


def _session(pursuit: Pursuit, **told: Any) -> tuple[Performance, ...]:
    bag = ChargingSession(ENERGY, **told)
    return (Performance(id=f"{pursuit.contract_id}/session", performanceAttributes=bag),)


def _named(pursuit: Pursuit, _: Entry, __: str) -> Content:
    return KnownContractContent(contract=known(pursuit))


def _tracked(pursuit: Pursuit, _: Entry, __: str) -> Content:
    url = f"{uri(pursuit.seeker)}/on_track"
    return TrackContent(tracking=Tracking(status="ACTIVE", url=url, contract=known(pursuit)))


def _rated(pursuit: Pursuit, entry: Entry, _: str) -> Content:
    rated = RatingRange(value=float(entry.say["value"]), best=5.0, worst=1.0)
    return RateContent(ratingInputs=(RatingInput(target=RatingTarget(id=pursuit.contract_id), range=rated),))


def _helped(pursuit: Pursuit, _: Entry, __: str) -> Content:
    return SupportContent(support=Support(orderId=pursuit.contract_id))


def _set(pursuit: Pursuit, entry: Entry, now: str) -> Content:
    """So much of the capacity that is held ready, from now on."""
    setpoint = InputSignal(
        signalId="agc_setpoint", signalType="AGC_SETPOINT", value=float(entry.say["kw"]), unit="KW", timestamp=now
    )
    told = EnergyContract(ENERGY, templateId=pursuit.deal.template, status="ACTIVE", inputSignals=(setpoint,))
    return ContractContent(contract=known(pursuit, contractAttributes=told))


def _taken_back(pursuit: Pursuit, entry: Entry, _: str) -> Content:
    performance = taking_back(entry.say["consent"], str(entry.say.get("reason", "taken back")))
    return ContractContent(contract=known(pursuit, performance=performance))


def _left(pursuit: Pursuit, entry: Entry, _: str) -> Content:
    performance = leaving(str(entry.say.get("reason", "leaving")))
    return ContractContent(contract=known(pursuit, performance=performance))


VERBS: Mapping[str, Verb] = {
    "start": Verb("update", _started),
    "stop": Verb("update", _stopped, BILL_TTL_S),
    "status": Verb("status", _named),
    "track": Verb("track", _tracked),
    "cancel": Verb("cancel", _named, may_try=True),
    "rate": Verb("rate", _rated),
    "support": Verb("support", _helped),
    "set": Verb("update", _set),
    "revoke_consent": Verb("update", _taken_back),
    "unenrol": Verb("update", _left),
}
"""What a seeker's diary can say."""
