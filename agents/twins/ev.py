"""A car that comes, charges, may give back, and leaves."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from sim.clock import Interval
from sim.errors import TwinError

_FULL_KWH = 1e-9


@dataclass(frozen=True, slots=True)
class Session:
    """One stay at the charger: plugged in for ``arrival_s <= t < departure_s``, in need of ``need_kwh`` in the battery.

    planned_s: when the driver said that it would leave, at ``departure_s`` or later; None for a driver who keeps to it.
    """

    arrival_s: int
    departure_s: int
    need_kwh: float
    planned_s: int | None = None

    @property
    def deadline_s(self) -> int:
        """Second by which the car is to be charged, as far as anybody knows before it leaves."""
        return self.departure_s if self.planned_s is None else self.planned_s


class EVTwin:
    """An electric car at its charger.

    charge_kw, discharge_kw: ratings at the grid side, ≥ 0; one that gives nothing back discharges with 0.
    Efficiencies: grid to battery, battery to grid.  It leaves with ``target_soc`` when its need has been met, and gives back
    down to ``reserve_soc``.  min_charge_kw: what its charger cannot charge below; less it refuses, which ``refused_kwh``
    counts.  Raises ``TwinError`` for sessions that overlap or that the battery cannot hold.
    """

    available_kw = math.nan

    def __init__(
        self,
        *,
        capacity_kwh: float,
        charge_kw: float,
        charge_efficiency: float,
        target_soc: float,
        sessions: tuple[Session, ...],
        discharge_kw: float = 0.0,
        discharge_efficiency: float = 1.0,
        reserve_soc: float = 0.0,
        min_charge_kw: float = 0.0,
    ) -> None:
        for before, after in itertools.pairwise(sessions):
            if after.arrival_s < before.departure_s:
                raise TwinError("ev", f"arrives at {after.arrival_s} s before it left at {before.departure_s} s")
        for session in sessions:
            if not 0 <= session.need_kwh <= target_soc * capacity_kwh:
                raise TwinError("ev", f"needs {session.need_kwh} kWh, holds {target_soc * capacity_kwh} kWh at target")
        if min_charge_kw > charge_kw:
            raise TwinError("ev", f"charges with {min_charge_kw} kW at least, and with {charge_kw} kW at most")
        self.min_kw = -charge_kw
        self.max_kw = discharge_kw
        self.charge_efficiency = charge_efficiency
        self.discharge_efficiency = discharge_efficiency
        self.reserve_kwh = reserve_soc * capacity_kwh
        self.target_kwh = target_soc * capacity_kwh
        self.min_charge_kw = min_charge_kw
        self.sessions = sessions
        self.refused_kwh = 0.0
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
        """Energy that session ``number`` has put into the battery so far, less what it took out."""
        return self._served_kwh[number]

    def missing_kwh(self, number: int) -> float:
        """Energy that session ``number`` still wants in the battery."""
        missing = self.sessions[number].need_kwh - self._served_kwh[number]
        return missing if missing > _FULL_KWH else 0.0

    def spare_kwh(self, number: int) -> float:
        """Energy that session ``number`` could take out of the battery before it comes to its reserve."""
        return max(self.target_kwh - self.missing_kwh(number) - self.reserve_kwh, 0.0)

    def interrupt(self, interval: Interval) -> float:
        """Without supply nothing flows, and nothing had to."""
        self.advance(0.0, interval)
        return 0.0

    def reactive_kvar(self, v_pu: float) -> float:
        """None: the charger keeps to active power."""
        del v_pu
        return 0.0

    def advance(self, setpoint_kw: float, interval: Interval) -> float:
        """Charge or give back as asked while plugged in, until the need is met or the reserve is reached.

        Returns the average over the interval.
        """
        flow_kwh = 0.0
        if 0 < -setpoint_kw < self.min_charge_kw - _FULL_KWH:
            self.refused_kwh += -setpoint_kw * interval.hours
            setpoint_kw = 0.0
        for number, session in enumerate(self.sessions):
            seconds = min(session.departure_s, interval.end_s) - max(session.arrival_s, interval.start_s)
            if seconds <= 0:
                continue
            if setpoint_kw > 0:
                flow_kwh += self._give(
                    number, min(self.max_kw * seconds / 3600, setpoint_kw * interval.hours - flow_kwh)
                )
            else:
                asked_kwh = max(-setpoint_kw, 0.0) * interval.hours + flow_kwh
                flow_kwh -= self._take(number, min(-self.min_kw * seconds / 3600, asked_kwh))
        number_now = self.plugged(interval.end_s - 1)
        self.soc = math.nan if number_now is None else self._soc(number_now)
        return flow_kwh / interval.hours

    def _take(self, number: int, most_kwh: float) -> float:
        taken_kwh = max(min(self.missing_kwh(number) / self.charge_efficiency, most_kwh), 0.0)
        self._served_kwh[number] += taken_kwh * self.charge_efficiency
        return taken_kwh

    def _give(self, number: int, most_kwh: float) -> float:
        given_kwh = max(min(self.spare_kwh(number) * self.discharge_efficiency, most_kwh), 0.0)
        self._served_kwh[number] -= given_kwh / self.discharge_efficiency
        return given_kwh

    def _soc(self, number: int) -> float:
        return self._target_soc - (self.sessions[number].need_kwh - self._served_kwh[number]) / self._capacity_kwh
