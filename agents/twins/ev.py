"""A car that comes, charges, and leaves."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from sim.clock import Interval
from sim.errors import TwinError

_FULL_KWH = 1e-9


@dataclass(frozen=True, slots=True)
class Session:
    """One stay at the charger: plugged in for ``arrival_s <= t < departure_s``, in need of ``need_kwh`` in the battery."""

    arrival_s: int
    departure_s: int
    need_kwh: float


class EVTwin:
    """An electric car at its charger; it charges only (no V2G).

    charge_kw: rating at the grid side.  charge_efficiency: grid to battery.  The car leaves with ``target_soc`` when its
    need has been met.  Raises ``TwinError`` for sessions that overlap or that the battery cannot hold.
    """

    max_kw = 0.0
    available_kw = math.nan

    def __init__(
        self,
        *,
        capacity_kwh: float,
        charge_kw: float,
        charge_efficiency: float,
        target_soc: float,
        sessions: tuple[Session, ...],
    ) -> None:
        for before, after in itertools.pairwise(sessions):
            if after.arrival_s < before.departure_s:
                raise TwinError("ev", f"arrives at {after.arrival_s} s before it left at {before.departure_s} s")
        for session in sessions:
            if not 0 <= session.need_kwh <= target_soc * capacity_kwh:
                raise TwinError("ev", f"needs {session.need_kwh} kWh, holds {target_soc * capacity_kwh} kWh at target")
        self.min_kw = -charge_kw
        self.charge_efficiency = charge_efficiency
        self.sessions = sessions
        self._capacity_kwh = capacity_kwh
        self._target_soc = target_soc
        self._served_kwh = [0.0] * len(sessions)
        self.soc = math.nan

    def plugged(self, seconds: int) -> int | None:
        """Number of the session at this second, or None."""
        for number, session in enumerate(self.sessions):
            if session.arrival_s <= seconds < session.departure_s:
                return number
        return None

    def served_kwh(self, number: int) -> float:
        """Energy that session ``number`` has put into the battery so far."""
        return self._served_kwh[number]

    def missing_kwh(self, number: int) -> float:
        """Energy that session ``number`` still wants in the battery."""
        missing = self.sessions[number].need_kwh - self._served_kwh[number]
        return missing if missing > _FULL_KWH else 0.0

    def interrupt(self, interval: Interval) -> float:
        """Without supply nothing flows, and nothing had to."""
        self.advance(0.0, interval)
        return 0.0

    def reactive_kvar(self, v_pu: float) -> float:
        """None: the charger keeps to active power."""
        del v_pu
        return 0.0

    def advance(self, setpoint_kw: float, interval: Interval) -> float:
        """Charge as asked while plugged in, until the need is met.  Returns the average over the interval."""
        withdrawn_kwh = 0.0
        for number, session in enumerate(self.sessions):
            seconds = min(session.departure_s, interval.end_s) - max(session.arrival_s, interval.start_s)
            if seconds <= 0:
                continue
            possible_kwh = min(-self.min_kw * seconds / 3600, self.missing_kwh(number) / self.charge_efficiency)
            asked_kwh = max(-setpoint_kw, 0.0) * interval.hours - withdrawn_kwh
            charged_kwh = max(min(possible_kwh, asked_kwh), 0.0)
            self._served_kwh[number] += charged_kwh * self.charge_efficiency
            withdrawn_kwh += charged_kwh
        number_now = self.plugged(interval.end_s - 1)
        self.soc = math.nan if number_now is None else self._soc(number_now)
        return -withdrawn_kwh / interval.hours

    def _soc(self, number: int) -> float:
        return self._target_soc - (self.sessions[number].need_kwh - self._served_kwh[number]) / self._capacity_kwh
