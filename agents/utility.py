"""The distribution utility: approves meters, locks energy, and pays for what the wires lose."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from msgspec import UNSET

from agents.accounts import Due
from agents.chronicle import Chronicle
from agents.inspection import Inspector
from sim.clock import Calendar
from sim.contracts.contract import Contract, Settlement, Turn, settle
from sim.events import EventLog
from sim.forms import PERFORMANCE, assessment_body, interval_of, readings_in
from sim.ledger import Ledger
from sim.participant import Ids, Participant, Registry
from sim.tariff import prices_by_minute
from sim.tolerances import POWER_KW
from sim.wire.assessment import AssessContent
from sim.wire.bags import ENERGY, EnergyContract, EnergyResource, InputParameters, MeterReading, Tariff
from sim.wire.codes import Code, Refusal
from sim.wire.core import Commitment, ContractStatus
from sim.wire.core import Contract as WireContract
from sim.wire.messages import Alarm, ContractContent, Event, Message
from sim.wire.need import ATTRIBUTES, bag, energy_contract, needed

SUPPLY_METER = "supply"
"""Meter at the upstream grid: consumed is what the feeder imported."""
SITES_METER = "sites"
"""Sum of all participants' meters."""


@dataclass(frozen=True, slots=True)
class Connection:
    """What a meter may do: greatest import and export in kW, both ≥ 0."""

    import_cap_kw: float
    export_cap_kw: float


class Utility(Participant):
    """Approves the meters it knows, and locks no more energy on a meter than its connection can carry.

    wheeling_per_kwh: charge announced with every approval.  losses: contract by which it buys what flowed in and nobody has
    paid for, at these import and export ``tariffs``.  inspector: knows the wires; None where nobody asks.  supplier_meter:
    meter whose locks say what the retailer was paid for.
    """

    kind = "utility"

    def __init__(
        self,
        registry: Registry,
        era: str,
        ids: Ids,
        *,
        connections: Mapping[str, Connection],
        wheeling_per_kwh: float,
        calendar: Calendar,
        supplier_meter: str,
        losses: Contract,
        ledger: Ledger,
        log: EventLog,
        tariffs: tuple[Tariff, Tariff],
        inspector: Inspector | None = None,
    ) -> None:
        super().__init__(registry, era, ids)
        self._connections = connections
        self._wheeling_per_kwh = wheeling_per_kwh
        self._calendar = calendar
        self._supplier_meter = supplier_meter
        self._losses = losses
        self._inspector = inspector
        self._settlement = Settlement()
        self._ledger = ledger
        self._chronicle = Chronicle(log, era)
        self._due = Due()
        self._import_prices, self._export_prices = map(prices_by_minute, tariffs)
        self._locked_kwh: dict[tuple[int, str], float] = {}
        self._hosts: dict[str, str] = {}
        self.reactions |= {"init": self.on_init, "confirm": self.on_confirm, "on_status": self.on_status}
        if inspector is not None:
            self.reactions["assess"] = self.on_assess

    def on_start(self, _: Alarm) -> Iterable[Event]:
        """What the wires lose is bought from now on."""
        self._chronicle.in_force(self._losses)
        return ()

    def on_init(self, message: Message) -> Iterable[Event]:
        """Approve the meter within its connection, for one host alone: no kWh is to be sold twice."""
        resource = message.contract.commitments[0].resources[0].resourceAttributes
        where = "/message/contract/commitments/0/resources/0/resourceAttributes"
        meter = needed(bag(resource, EnergyResource, where).meterId, f"{where}/meterId")
        connection = self._connections.get(meter)
        if connection is None:
            raise Refusal(Code.NET_ENTITY_NOT_FOUND, f"{where}/meterId", f"{self.era} has no meter {meter!r}")
        if self._hosts.get(meter, message.sender) != message.sender:
            what = f"{meter} is enrolled with {self._hosts[meter]} already"
            raise Refusal(Code.BIZ_ENROLLMENT_CONFLICT, f"{where}/meterId", what)
        approval = InputParameters(
            approvedMaxImportKW=connection.import_cap_kw,
            approvedMaxExportKW=connection.export_cap_kw,
            wheelingPerKWh=self._wheeling_per_kwh,
        )
        answer = self.answer(message, ContractContent(contract=_answered(message, "PENDING", approval)))
        self._hosts[meter] = message.sender
        return (answer,)

    def on_assess(self, message: Message) -> Iterable[Event]:
        """Solve the power flow of an outcome that nobody has been told yet, and say what it breaks."""
        assert isinstance(message.content, AssessContent)
        assert self._inspector is not None
        request = message.content.assessmentRequest
        interval_of(request.timeWindow, self._calendar, "/message/assessmentRequest/timeWindow")
        planned = {setpoint.era: setpoint.setpointKW for setpoint in request.setpoints}
        return (self.answer(message, assessment_body(self._inspector.assess(planned))),)

    def on_confirm(self, message: Message) -> Iterable[Event]:
        """Lock energy by meter for one interval; all of it, or none of it."""
        window = energy_contract(message).timeWindow
        interval = interval_of(window, self._calendar, f"{ATTRIBUTES}/timeWindow")
        wanted = [self._lock(number, c, interval.hours) for number, c in enumerate(message.contract.commitments)]
        for number, (meter, _) in enumerate(wanted):
            if (interval.index, meter) in self._locked_kwh:
                where = f"/message/contract/commitments/{number}"
                raise Refusal(Code.BIZ_CAP_EXCEEDED, where, f"energy of {meter} is locked already")
        answer = self.answer(message, ContractContent(contract=_answered(message, "ACTIVE")))
        self._locked_kwh |= {(interval.index, meter): energy_kwh for meter, energy_kwh in wanted}
        return (answer,)

    def _lock(self, number: int, commitment: Commitment, hours: float) -> tuple[str, float]:
        resource = commitment.resources[0]
        where = f"/message/contract/commitments/{number}/resources/0"
        connection = self._connections.get(resource.id)
        if connection is None:
            raise Refusal(Code.NET_ENTITY_NOT_FOUND, where, f"{self.era} has no meter {resource.id!r}")
        energy_kwh = resource.quantity.value
        p_kw = energy_kwh / hours
        if not -connection.import_cap_kw - POWER_KW <= p_kw <= connection.export_cap_kw + POWER_KW:
            what = (
                f"{p_kw:.6f} kW at {resource.id}, approved for -{connection.import_cap_kw}..{connection.export_cap_kw}"
            )
            raise Refusal(Code.BIZ_CAP_EXCEEDED, f"{where}/quantity", what)
        return resource.id, energy_kwh

    def on_status(self, message: Message) -> Iterable[Event]:
        """Readings of supply and of all sites: buy the difference from the retailer."""
        index, readings = readings_in(message, self._calendar)
        if readings is not None and not readings.keys() >= {SUPPLY_METER, SITES_METER}:
            what = f"expected readings of {SUPPLY_METER} and {SITES_METER}, got {', '.join(readings)}"
            raise Refusal(Code.SCH_REQUIRED_FIELD_MISSING, PERFORMANCE, what)
        self._due.check(index)
        if readings:
            locked_kwh = self._locked_kwh.get((index, self._supplier_meter), 0.0)
            self._locked_kwh = {key: value for key, value in self._locked_kwh.items() if key[0] != index}
            minute = self._calendar.minute_of_day(index * self._calendar.interval_s)
            values = {
                "supplyKWh": _consumed_kwh(readings[SUPPLY_METER]),
                "meteredKWh": _consumed_kwh(readings[SITES_METER]),
                "clearedKWh": Decimal(f"{locked_kwh:.6f}"),
                "importPricePerKWh": Decimal(repr(self._import_prices[minute])),
                "exportPricePerKWh": Decimal(repr(self._export_prices[minute])),
            }
            postings = settle(self._settlement, self._losses, index, values)
            self._ledger.post(postings)
            self._chronicle.computed(self._losses, index, values, postings)
            self._due.settled(index)
        if index == self._calendar.count - 1:
            self._due.end()
            self._chronicle.ended(self._losses, Turn.FULFIL)
        return ()


def _consumed_kwh(reading: MeterReading) -> Decimal:
    return Decimal(repr(reading.consumedEnergy)) - Decimal(repr(reading.producedEnergy))


def _answered(message: Message, status: str, inputs: InputParameters | None = None) -> WireContract:
    contract, attributes = message.contract, energy_contract(message)
    return WireContract(
        id=contract.id,
        status=ContractStatus(code="DRAFT" if status == "PENDING" else "ACTIVE"),
        commitments=contract.commitments[:1],
        contractAttributes=EnergyContract(
            ENERGY,
            templateId=attributes.templateId,
            status=status,  # type: ignore[arg-type]
            timeWindow=attributes.timeWindow,
            inputParameters=UNSET if inputs is None else inputs,
        ),
    )
