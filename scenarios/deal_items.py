"""What is on offer one to one: from items in the scenario to items of providers, with their calls, forecasts and parties."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from agents.admission import Admission
from agents.baseline import Method
from agents.call import Call
from agents.deal import Item
from agents.forecaster import ERROR_MODELS, Accuracy, Habits
from agents.press import Press
from scenarios.deal_contracts import DealContracts
from scenarios.deal_devices import DealDevices
from scenarios.faults import Faults
from scenarios.foundation import Foundation
from scenarios.ledgers import customer_of
from scenarios.moments import second_of
from scenarios.offering import offer_of, resource_of, tariff_on
from scenarios.parties import AdmissionSpec, DistributorSpec, ItemSpec, ProviderSpec, ReserveSpec, SoldForecastSpec
from scenarios.weather import AIR, Truth, customer, sky, weather_of
from sim.clock import DAY_S
from sim.contracts.contract import Role, Template
from sim.errors import Fault, nearest
from sim.tariff import MINUTES, prices_by_minute
from sim.wire.core import Offer, Resource

OTHER_ROLE = {"BUYER": "SELLER", "SELLER": "BUYER"}
"""What a provider is to a taker of an open role."""


class DealItems:
    """Makes the items of one scenario; what is wrong with them is added to ``faults``."""

    def __init__(self, foundation: Foundation, contracts: DealContracts, devices: DealDevices, faults: Faults) -> None:
        self._scenario = foundation.scenario
        self._calendar = foundation.calendar
        self._contracts = contracts
        self._devices = devices
        self._faults = faults

    def offered(self, provider: ProviderSpec, spec: ItemSpec, where: str) -> Item | None:
        """An item of a provider; None, and a fault, for one that cannot be offered."""
        made = self._contracts.offered(spec.contract, spec.inputs, where)
        device = self._devices.place(spec.device, spec.name, provider.name, f"{where}.device")
        press = None if spec.forecast is None else self._press(provider.name, spec.forecast, f"{where}.forecast")
        bodies = self._bodies(provider, spec, where)
        if made is None or bodies is None:
            return None
        (template, inputs), (resource, prices, offer) = made, bodies
        served = [item.call.serves for item in provider.items if item.call is not None]
        seller = None if provider.records_in is None else customer_of(self._scenario, spec.meter or spec.name)
        parties = _parties(spec, provider.name if seller is None else seller.meter)
        self._check_filled(template, parties, spec.open_role, f"{where}.parties")
        return Item(
            name=spec.name,
            listed=resource,
            offer=offer,
            template=template,
            open_role=Role(spec.open_role),
            parties=parties,
            inputs=inputs,
            prices=prices,
            delivery=spec.delivery,
            billing=spec.billing,
            device=device,
            meter=spec.meter or (spec.name if device is not None or spec.name in served else ""),
            quantity_kwh=spec.quantity_kwh,
            press=press,
            quantity_kw=spec.device.kw if isinstance(spec.device, ReserveSpec) else 0.0,
            prepaid=spec.prepaid,
            grace_s=round(spec.grace_min * 60),
            free_s=round(spec.free_min * 60),
            approver=spec.approved_by or "",
            admission=None if spec.admission is None else _admission(spec.admission),
            call=self._call(provider, spec, f"{where}.call"),
            seller=seller,
        )

    def beside(self, spec: DistributorSpec, role: str, contract: str, where: str) -> Item | None:
        """What a distributor offers a party of every trade besides; it is in no catalogue."""
        made = self._contracts.offered(contract, {}, where)
        if made is None:
            return None
        template, inputs = made
        parties: dict[str, str] = {Role.GRID_OPERATOR: spec.name}
        self._check_filled(template, parties, role, where)
        name = f"{contract}/{role}"
        return Item(
            name=name,
            listed=Resource(id=name),
            offer=Offer(id=f"{spec.name}/{name}"),
            template=template,
            open_role=Role(role),
            parties=parties,
            inputs=inputs,
            prices=(0.0,) * MINUTES,
            delivery="window",
            billing="INCREMENTAL",
        )

    def _bodies(
        self, provider: ProviderSpec, spec: ItemSpec, where: str
    ) -> tuple[Resource, tuple[float, ...], Offer] | None:
        """As what it is listed, what a kWh costs by minute of the day, and as what it is offered."""
        currency = self._scenario.currency
        tariff = tariff_on(spec, currency)
        resource = self._faults.tried(f"{where}.lists", functools.partial(resource_of, spec))
        prices = self._faults.tried(f"{where}.tariff", functools.partial(prices_by_minute, tariff))
        make = functools.partial(offer_of, provider.name, spec, currency, tariff)
        offer = self._faults.tried(f"{where}.offers", make)
        return None if resource is None or prices is None or offer is None else (resource, prices, offer)

    def _check_filled(self, template: Template, parties: Mapping[str, str], open_role: str, where: str) -> None:
        for role in template.roles:
            if role not in parties and role != open_role:
                self._faults.append(Fault(where, f"nobody fills the role {role}"))

    def _call(self, provider: ProviderSpec, spec: ItemSpec, where: str) -> Call | None:
        call = spec.call
        if call is None:
            return None
        others = [item.name for item in provider.items if item.call is None]
        for place, name in (("holders_of", call.holders_of), ("serves", call.serves)):
            if name is not None and name not in others:
                self._faults.append(Fault(f"{where}.{place}", f"no item {name} in a catalogue", nearest(name, others)))
        make = functools.partial(Method, call.baseline.x, call.baseline.y, call.baseline.adjust)
        method = self._faults.tried(f"{where}.baseline", make)
        if method is None:
            return None
        start_s, end_s = (
            0 if moment is None else second_of(moment, self._calendar) for moment in (call.start, call.end)
        )
        return Call(
            holders_of=call.holders_of,
            answer_s=round(call.answer_min * 60),
            method=method,
            level=call.level,
            at_s=None if call.at is None else second_of(call.at, self._calendar),
            serves=call.serves or "",
            start_s=start_s,
            end_s=end_s if end_s >= start_s else end_s + DAY_S,
            kw=call.kw,
            before_s=round(call.baseline.before_h * 3600),
        )

    def _press(self, era: str, spec: SoldForecastSpec, where: str) -> Press | None:
        scenario, calendar, horizon_s = self._scenario, self._calendar, spec.horizon_h * 3600
        topic = {"PV": sky, "LOAD": customer}.get(spec.variable, lambda _: AIR)(spec.column)
        weather_of(scenario, calendar)  # which says what is wrong with the times of a scenario
        try:
            series = Truth(scenario, calendar, horizon_s).series(topic)
        except IndexError:
            self._faults.append(Fault(f"{where}.column", f"the profiles have no column {spec.column}"))
            return None
        valid_s = None if spec.valid_h is None else round(spec.valid_h * 3600)
        accuracy = Accuracy(spec.sd, spec.correlation, spec.bias)
        habits = Habits(ERROR_MODELS[spec.model], accuracy, spec.refresh_h * 3600, horizon_s, 0, valid_s)
        return Press(era, topic, series, habits, scenario.seed, calendar)


def _parties(spec: ItemSpec, own: str) -> Mapping[str, str]:
    """Who fills the roles that are not open; ``own`` is whose the item is."""
    stated = {str(role): era for role, era in spec.parties.items()}
    return {OTHER_ROLE.get(spec.open_role, "SELLER"): own, **stated}


def _admission(spec: AdmissionSpec) -> Admission:
    return Admission(spec.programme, spec.credentials, spec.consents)
