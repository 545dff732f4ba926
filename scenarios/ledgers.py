"""Trade ledgers in the scenario: who puts, who records, who settles, and who may trade."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal

from agents.distributor import Distributor
from agents.ledger_books import LedgerBooks, Rules
from agents.trade_ledger import TradeLedger
from agents.trade_record import Customer
from scenarios.foundation import Foundation
from scenarios.parties import DebtSpec, DistributorSpec, LadderSpec, LedgerSpec
from scenarios.spec import Scenario
from sim.contracts.agreement import Basis
from sim.contracts.allocation import Sharing
from sim.contracts.dunning import Debt, Ladder, Payment, may_trade
from sim.contracts.interutility import Schedule
from sim.errors import ContractError, Fault, nearest


def ledgers_of(foundation: Foundation) -> tuple[TradeLedger, ...]:
    """The trade ledgers of a scenario."""
    return tuple(_ledger(foundation, spec) for spec in foundation.scenario.ledgers)


def _ledger(foundation: Foundation, spec: LedgerSpec) -> TradeLedger:
    scenario, calendar = foundation.scenario, foundation.calendar
    ladder, debts = _ladder(spec.ladder), [_debt(number, debt, scenario) for number, debt in enumerate(spec.debts)]
    return TradeLedger(
        foundation.world,
        spec.name,
        foundation.ids(spec.name),
        calendar=calendar,
        platforms=[one.name for one in scenario.providers if one.records_in == spec.name]
        + [one.name for one in scenario.seekers if one.records_in == spec.name],
        utilities=[one.name for one in scenario.distributors if one.settles and one.settles.ledger == spec.name],
        may_trade=lambda era, at_s: may_trade(ladder, debts, era, calendar.local(at_s).date()),
        blocking=spec.blocking,
    )


def _ladder(spec: LadderSpec) -> Ladder:
    """Raises ``ContractError`` for steps that are not in order."""
    return Ladder(
        spec.warned_days,
        spec.fined_days,
        spec.suspended_days,
        Decimal(repr(spec.fine_share)),
        Decimal(repr(spec.fine_fixed)),
    )


def _debt(number: int, spec: DebtSpec, scenario: Scenario) -> tuple[Debt, Sequence[Payment]]:
    amount = Decimal(repr(spec.amount))
    debt = Debt(f"debt/{number}", spec.debtor, spec.creditor, amount, scenario.currency, spec.due)
    return debt, [Payment(Decimal(repr(paid.amount)), paid.on) for paid in spec.payments]


def books_of(foundation: Foundation, spec: DistributorSpec) -> Callable[[Distributor], LedgerBooks] | None:
    """The books of a utility that settles trades of a ledger."""
    desk = spec.settles
    if desk is None:
        return None
    scenario, world = foundation.scenario, foundation.world
    ledger = next(one for one in scenario.ledgers if one.name == desk.ledger)
    rules = Rules(
        ledger=desk.ledger,
        rates={
            "importPricePerKWh": Decimal(repr(desk.import_price)),
            "exportPricePerKWh": Decimal(repr(desk.export_price)),
            "wheelingPerKWh": Decimal(repr(spec.wheeling_per_kwh)),
        },
        signs=ledger.blocking,
        desk={
            "rule": Sharing(ledger.rule),
            "basis": Basis(ledger.basis),
            "sequential": ledger.sequential,
            "schedule": _schedule(ledger),
            "patience": desk.patience,
        },
    )
    return lambda owner: LedgerBooks(
        owner,
        rules,
        customers=[meter.name for meter in spec.meters],
        elsewhere=owner.traded_here,
        admits=owner.admits,
        calendar=foundation.calendar,
        currency=scenario.currency,
        money=world.ledger,
        log=world.log,
    )


def _schedule(spec: LedgerSpec) -> Schedule:
    """Raises ``ContractError`` for hours that are not in order."""
    return Schedule(*(round(hours * 3600) for hours in spec.after_h))


def customer_of(scenario: Scenario, meter: str) -> Customer | None:
    """Whoever has a meter that a utility reads; None for a meter of nobody's."""
    for spec in scenario.distributors:
        if meter in [one.name for one in spec.meters]:
            return Customer(meter, spec.name)
    return None


def ledger_faults(scenario: Scenario) -> Iterator[Fault]:
    """Ledgers that nobody keeps, customers that no utility has, and prices that a row cannot tell."""
    known = [spec.name for spec in scenario.ledgers]
    yield from _provider_faults(scenario, known)
    yield from _seeker_faults(scenario, known)
    for k, distributor in enumerate(scenario.distributors):
        if distributor.settles is not None:
            yield from _unknown(f"distributors[{k}].settles.ledger", distributor.settles.ledger, known)
    for k, ledger in enumerate(scenario.ledgers):
        yield from _refused(f"ledgers[{k}].ladder", functools.partial(_ladder, ledger.ladder))
        yield from _refused(f"ledgers[{k}].after_h", functools.partial(_schedule, ledger))


def _refused(where: str, make: Callable[[], object]) -> Iterator[Fault]:
    try:
        make()
    except ContractError as error:
        yield Fault(where, error.faults[0].what)


def _provider_faults(scenario: Scenario, known: Sequence[str]) -> Iterator[Fault]:
    for k, provider in enumerate(scenario.providers):
        where = f"providers[{k}]"
        yield from _unknown(f"{where}.records_in", provider.records_in, known)
        for n, item in enumerate(provider.items):
            if provider.records_in is not None:
                yield from _nobodys(scenario, f"{where}.items[{n}].meter", item.meter or item.name)
                if item.tariff or item.delivery != "window":
                    what = "a trade in a ledger has one price and one window"
                    yield Fault(f"{where}.items[{n}]", what, "give price, and delivery: window")


def _seeker_faults(scenario: Scenario, known: Sequence[str]) -> Iterator[Fault]:
    for k, seeker in enumerate(scenario.seekers):
        yield from _unknown(f"seekers[{k}].records_in", seeker.records_in, known)
        for n, errand in enumerate(seeker.errands):
            if seeker.records_in is not None:
                yield from _nobodys(scenario, f"seekers[{k}].errands[{n}].meter", errand.meter or "")


def _unknown(where: str, name: str | None, known: Sequence[str]) -> Iterator[Fault]:
    if name is not None and name not in known:
        yield Fault(where, f"no ledger {name}", nearest(name, known))


def _nobodys(scenario: Scenario, where: str, meter: str) -> Iterator[Fault]:
    if customer_of(scenario, meter) is None:
        meters = [one.name for spec in scenario.distributors for one in spec.meters]
        yield Fault(where, f"no distributor has a meter {meter or 'for it'}", nearest(meter, meters))
