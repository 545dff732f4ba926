"""The meter operator: reads every meter when an interval has ended and tells those whom it concerns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from agents.member import commitment
from agents.utility import SITES_METER, SUPPLY_METER
from sim.clock import Calendar
from sim.device import Meters
from sim.forms import window_of
from sim.participant import Ids, Participant, Registry
from sim.wire.bags import ENERGY, EnergyDelivery, MeterReading
from sim.wire.codes import Code
from sim.wire.core import Commitment, Contract, ContractStatus, Descriptor, Performance
from sim.wire.messages import Alarm, ContractContent, Event, Message, NackContent

REPEATS = 3
"""Times that a report to somebody who settles is sent again where it came too late."""
AGAIN_S = 3600
"""Simulated seconds after which a report for those who deal one to one is sent again where all that was in vain."""
REPORTS_KEPT = 24
"""Intervals for which such reports are remembered."""


class MeterOperator(Participant):
    """Sends ``on_status`` unasked: to each owner its own reading, to each host its members', to the utility the sums.

    hosts: whom each host settles with, by meter or, where they are hosts themselves, by name; market: the one above all others,
    empty where there is none.  utility: who gets the sums.  read_by: meters of those who deal one to one, and who reads them.
    Grid nodes get the reading of their own transformer.
    """

    kind = "meter"

    def __init__(
        self,
        registry: Registry,
        era: str,
        ids: Ids,
        *,
        meters: Meters,
        calendar: Calendar,
        hosts: Mapping[str, Sequence[str]] | None = None,
        market: str = "",
        utility: str = "",
        read_by: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        super().__init__(registry, era, ids)
        self._meters = meters
        self._hosts = hosts or {}
        self._read_by = read_by or {}
        self._apart = {meter for eras in self._read_by.values() for meter in eras}
        self._market = market
        self._utility = utility
        self._calendar = calendar
        self._transaction = ids.fresh()
        self._sent: dict[str, tuple[int, int, Message | None]] = {}
        self._services: dict[str, tuple[str, tuple[Commitment, ...]]] = {}
        self._read_s = 0
        self._unheard: list[tuple[int, Message, int]] = []
        self.reactions |= {"read": self.on_read}

    def on_start(self, _: Alarm) -> Iterable[Event]:
        """Read first when the first interval has ended."""
        return (Alarm(self._calendar.interval_s, "read", 0),)

    def on_read(self, alarm: Alarm) -> Iterable[Event]:
        """Read and report one interval."""
        interval, self._read_s = self._calendar.interval(alarm.index), alarm.at_s
        yield from self._once_more(alarm.at_s)
        sites = {era: energy_wh / 1000 for era, energy_wh in self._meters.energy_wh.items()}
        for era, energy_kwh in sites.items():
            if era not in self._apart:
                yield self._report(era, {era: energy_kwh}, alarm.index)
        for report in self._reports_to_settle_by(sites, alarm.index):
            self._remember(report, REPEATS, alarm.index)
            yield report
        if alarm.index + 1 < self._calendar.count:
            yield Alarm(interval.end_s + self._calendar.interval_s, "read", alarm.index + 1)

    def _remember(self, report: Message, left: int, index: int) -> None:
        kept = {key: entry for key, entry in self._sent.items() if entry[1] > index - REPORTS_KEPT}
        self._sent = {**kept, report.message_id: (left, index, report)}

    def on_nack(self, message: Message) -> Iterable[Event]:
        """A report on which money depends came too late to be believed: it is sent again, as a new message."""
        left, index, report = self._sent.pop(message.message_id, (0, 0, None))
        assert isinstance(message.content, NackContent)
        if report is None or message.content.error.errorCode != Code.NET_TIMEOUT:
            return ()
        if left:
            return (self._again(report, left - 1, index),)
        if report.recipient in self._read_by:
            self._unheard.append((self._read_s + AGAIN_S, report, index))
        return ()

    def _once_more(self, now_s: int) -> Iterable[Message]:
        """What could not be delivered an hour ago is tried again."""
        due = [(report, index) for at_s, report, index in self._unheard if at_s <= now_s]
        self._unheard = [entry for entry in self._unheard if entry[0] > now_s]
        return [self._again(report, REPEATS, index) for report, index in due]

    def _again(self, report: Message, left: int, index: int) -> Message:
        ids = self._transaction, self.ids.fresh()
        again = Message("on_status", self.era, report.recipient, *ids, report.content)
        self._remember(again, left, index)
        return again

    def _reports_to_settle_by(self, sites: Mapping[str, float], index: int) -> Iterable[Message]:
        for reader, meters in self._read_by.items():
            yield self._report(reader, {meter: sites[meter] for meter in meters}, index)
        if self._market:
            yield from self._market_reports(sites, index)

    def _market_reports(self, sites: Mapping[str, float], index: int) -> Iterable[Message]:
        for host, eras in self._hosts.items():
            # With the supply's reading a host without members of its own still learns that the interval is over, and valid.
            told = {SUPPLY_METER: -self._meters.supply_kwh} | {e: sites[e] for e in eras if e in sites}
            dark = [other for other in self._dark_hosts() if host == other or other in eras]
            yield self._report(host, told | dict.fromkeys(dark, 0.0), index)
        for node, energy_kwh in self._meters.node_kwh.items():
            yield self._report(node, {node: -energy_kwh}, index)
        totals = {SUPPLY_METER: -self._meters.supply_kwh, SITES_METER: sum(self._meters.energy_wh.values()) / 1000}
        yield self._report(self._utility, totals, index)

    def _dark_hosts(self) -> list[str]:
        """Hosts none of whose members had supply: what was agreed with them could not happen either."""
        return [h for h, eras in self._hosts.items() if h != self._market and eras and all(map(self._is_dark, eras))]

    def _is_dark(self, member: str) -> bool:
        below = self._hosts.get(member)
        return member in self._meters.cut_off if below is None else all(map(self._is_dark, below))

    def _report(self, recipient: str, energy_kwh: Mapping[str, float], index: int) -> Message:
        service = self._services.get(recipient)
        if service is None:
            service = self._services[recipient] = (self.ids.fresh(), (commitment(recipient, "metering", 0.0),))
        contract = Contract(
            id=service[0],
            status=ContractStatus(code="ACTIVE"),
            commitments=service[1],
            performance=tuple(self._performance(meter, value, index) for meter, value in energy_kwh.items()),
        )
        content = ContractContent(contract=contract)
        return Message("on_status", self.era, recipient, self._transaction, self.ids.fresh(), content)

    def _performance(self, meter: str, energy_kwh: float, index: int) -> Performance:
        valid = self._meters.valid
        served = meter not in self._meters.cut_off and meter not in self._dark_hosts()
        status: Literal["COMPLETED", "FAILED"] = "COMPLETED" if valid and served else "FAILED"
        reading = MeterReading(
            timeWindow=window_of(self._calendar, index),
            consumedEnergy=max(-energy_kwh, 0.0) if valid else 0.0,
            producedEnergy=max(energy_kwh, 0.0) if valid else 0.0,
            unit="kWh",
            quality="ACTUAL" if valid else "MISSING",
        )
        return Performance(
            id=f"{meter}/{index}",
            status=Descriptor(code=status),
            performanceAttributes=EnergyDelivery(
                ENERGY,
                deliveryStatus=status,
                meterId=meter,
                meterReadings=(reading,),
            ),
        )
