"""Settling trades between customers of two utilities, each of which reads its own meters alone.

Counted from the end of delivery (T), with the default schedule::

    T + 2 h   the seller's utility reads what was produced, and allocates it to trades      PRODUCED
    T + 4 h   the buyer's utility sees that, and allocates what was consumed                 CONSUMED
    T + 6 h   every trade is settled: the lesser of the two, or what was contracted          SETTLED
    T + 8 h   both utilities bill their customers for the rest, traded energy left out       BILLED

A trade is a contract between its buyer and its seller.  What a meter says beyond or short of what was traded on it is a side
contract between the customer and its own utility, at that utility's rates: every payment has a payer and a payee, so buyer,
seller and both utilities sum to zero whatever was metered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from sim.contracts.agreement import Basis
from sim.contracts.allocation import Sharing, Trade, bought, settled, sold
from sim.contracts.contract import Role, Template, Term
from sim.contracts.formula import compile_formula
from sim.errors import ContractError, nearest
from sim.ledger import EXACT, total_of

HOUR_S = 3600

# contracts

DEVIATION = "max(energyKWh - tradedKWh, 0) * exportPricePerKWh + min(energyKWh - tradedKWh, 0) * importPricePerKWh"
"""What a utility pays its customer for a meter that says more than was traded, both + when injected."""


def trade_contract() -> Template:
    """A trade: the buyer pays the seller ``pricePerKWh`` for what was traded."""
    return Template(
        id="peer-to-peer-trade",
        roles=(Role.BUYER, Role.SELLER),
        terms=(Term("energy", Role.BUYER, Role.SELLER, compile_formula("tradedKWh * pricePerKWh", who="energy")),),
        inputs=("pricePerKWh",),
        signals=("tradedKWh",),
        description="Energy traded between two customers, at a price of their own.",
    )


def side_contract() -> Template:
    """A customer and its utility: what the meter says beyond the trades on it, at retail rates, and wheeling on the trades.

    Signals ``energyKWh`` and ``tradedKWh`` are sums of one meter, + when injected.  Where a customer drew more, or gave less,
    than was traded it pays ``importPricePerKWh``; else it is paid ``exportPricePerKWh``.
    """
    customer, utility = Role.PROSUMER, Role.GRID_OPERATOR
    return Template(
        id="beside-trades",
        roles=(customer, utility),
        terms=(
            Term("deviation", utility, customer, compile_formula(DEVIATION, who="deviation")),
            Term("wheeling", customer, utility, compile_formula("abs(tradedKWh) * wheelingPerKWh", who="wheeling")),
        ),
        inputs=("importPricePerKWh", "exportPricePerKWh", "wheelingPerKWh"),
        signals=("energyKWh", "tradedKWh"),
        description="What a meter says beyond the trades on it, at the utility's rates.",
    )


# the round


class Stage(StrEnum):
    """How far a round has come."""

    DELIVERED = "DELIVERED"
    PRODUCED = "PRODUCED"
    CONSUMED = "CONSUMED"
    SETTLED = "SETTLED"
    BILLED = "BILLED"


@dataclass(frozen=True, slots=True)
class Schedule:
    """Seconds after the end of delivery from which each stage may be reached; nobody's meter is read before."""

    produced_s: int = 2 * HOUR_S
    consumed_s: int = 4 * HOUR_S
    settled_s: int = 6 * HOUR_S
    billed_s: int = 8 * HOUR_S

    def __post_init__(self) -> None:
        steps = (0, self.produced_s, self.consumed_s, self.settled_s, self.billed_s)
        if list(steps) != sorted(steps):
            raise ContractError("schedule", f"{steps[1:]} s after delivery: each stage comes after the one before it")

    def due_s(self, stage: Stage, delivery_end_s: int) -> int:
        """The second from which a stage may be reached."""
        after = (0, self.produced_s, self.consumed_s, self.settled_s, self.billed_s)
        return delivery_end_s + after[tuple(Stage).index(stage)]


@dataclass(frozen=True, slots=True)
class Round:
    """The trades of one delivery window between two utilities.

    trades: in order of agreement, those curtailed with what was left of them.  basis: MIN_OF_TWO settles what both meters gave
    a trade; CONTRACTED what was agreed, so that deviations are the utilities'.  sequential: the buyer's utility allocates a
    trade no more than the seller's did, so that what it would waste on one goes to another.  produced_kwh, consumed_kwh: by
    meter, ≥ 0.  sold_kwh, bought_kwh: allocated to each trade, empty as long as it is not known.  settled_kwh: what each trade
    pays for.
    """

    trades: tuple[Trade, ...]
    delivery_end_s: int
    rule: Sharing = Sharing.PRO_RATA
    basis: Basis = Basis.MIN_OF_TWO
    sequential: bool = False
    schedule: Schedule = Schedule()
    stage: Stage = Stage.DELIVERED
    produced_kwh: Mapping[str, Decimal] | None = None
    consumed_kwh: Mapping[str, Decimal] | None = None
    sold_kwh: tuple[Decimal, ...] = ()
    bought_kwh: tuple[Decimal, ...] = ()
    settled_kwh: tuple[Decimal, ...] = ()

    def __post_init__(self) -> None:
        if self.basis not in (Basis.MIN_OF_TWO, Basis.CONTRACTED):
            raise ContractError("basis", f"{self.basis}: two meters are settled MIN_OF_TWO or CONTRACTED")

    def produced(self, metered_kwh: Mapping[str, Decimal], at_s: int) -> Round:
        """The seller's utility has read every meter that sold, and allocated it by the rule; MOST waits for the buyers' meters.

        Raises ``ContractError`` before its time, out of order, and for a meter that was not read: the round then waits, and no
        trade is ever settled on nothing.
        """
        stage = self._next(Stage.PRODUCED, at_s)
        given = sold(self.trades, metered_kwh, self.rule)
        return replace(stage, produced_kwh=dict(metered_kwh), sold_kwh=() if self.rule is Sharing.MOST else given)

    def consumed(self, metered_kwh: Mapping[str, Decimal], at_s: int) -> Round:
        """The buyer's utility has read every meter that bought.  Raises like ``produced``."""
        stage = self._next(Stage.CONSUMED, at_s)
        if self.rule is Sharing.MOST:
            best = settled(self.trades, {**_known(self.produced_kwh), **metered_kwh}, self.rule)
            return replace(stage, consumed_kwh=dict(metered_kwh), sold_kwh=best, bought_kwh=best)
        asked = self.trades
        if self.sequential:
            asked = tuple(replace(t, energy_kwh=e) for t, e in zip(asked, self.sold_kwh, strict=True))
        return replace(stage, consumed_kwh=dict(metered_kwh), bought_kwh=bought(asked, metered_kwh, self.rule))

    def settle(self, at_s: int) -> Round:
        """Every trade has its energy.  Raises ``ContractError`` before its time and out of order."""
        stage = self._next(Stage.SETTLED, at_s)
        if self.basis is Basis.CONTRACTED:
            return replace(stage, settled_kwh=tuple(trade.energy_kwh for trade in self.trades))
        return replace(stage, settled_kwh=tuple(map(min, self.sold_kwh, self.bought_kwh)))

    def bill(self, at_s: int) -> Round:
        """Both utilities bill.  Raises ``ContractError`` before its time and out of order."""
        return self._next(Stage.BILLED, at_s)

    def trade_signals(self) -> tuple[dict[str, Decimal], ...]:
        """Signals of the ``trade_contract`` of each trade, in order.  Raises ``ContractError`` before it is settled."""
        self._is_settled()
        return tuple({"tradedKWh": energy_kwh} for energy_kwh in self.settled_kwh)

    def side_signals(self) -> dict[str, dict[str, Decimal]]:
        """Signals of the ``side_contract`` of each meter that was read, by its id, sellers' first.

        A meter that was read on both sides stands once, net.  Raises ``ContractError`` before the round is settled.
        """
        self._is_settled()
        traded = dict.fromkeys((*_known(self.produced_kwh), *_known(self.consumed_kwh)), Decimal(0))
        energy = dict(traded)
        for meter, energy_kwh in _known(self.produced_kwh).items():
            energy[meter] = EXACT.add(energy[meter], energy_kwh)
        for meter, energy_kwh in _known(self.consumed_kwh).items():
            energy[meter] = EXACT.subtract(energy[meter], energy_kwh)
        for trade, energy_kwh in zip(self.trades, self.settled_kwh, strict=True):
            traded[trade.seller_meter] = EXACT.add(traded[trade.seller_meter], energy_kwh)
            traded[trade.buyer_meter] = EXACT.subtract(traded[trade.buyer_meter], energy_kwh)
        return {meter: {"energyKWh": energy[meter], "tradedKWh": traded[meter]} for meter in traded}

    def _next(self, stage: Stage, at_s: int) -> Round:
        stages = tuple(Stage)
        following = stages[stages.index(self.stage) + 1 : stages.index(self.stage) + 2]
        if following != (stage,):
            possible = f"the next is {following[0]}" if following else "it is over"
            raise ContractError("round", f"a round that is {self.stage} cannot be {stage}; {possible}")
        due_s = self.schedule.due_s(stage, self.delivery_end_s)
        if at_s < due_s:
            raise ContractError("round", f"{stage} at {at_s} s is {due_s - at_s} s before its time")
        return replace(self, stage=stage)

    def _is_settled(self) -> None:
        if self.stage not in (Stage.SETTLED, Stage.BILLED):
            raise ContractError("round", f"is {self.stage}; there is nothing to pay before it is SETTLED")


def _known(metered_kwh: Mapping[str, Decimal] | None) -> Mapping[str, Decimal]:
    return {} if metered_kwh is None else metered_kwh


# outages


class Relief(StrEnum):
    """What a utility does with a trade that its wires cannot carry."""

    CANCEL = "CANCEL"
    CURTAIL = "CURTAIL"
    RESCHEDULE = "RESCHEDULE"


@dataclass(frozen=True, slots=True)
class Relieved:
    """What becomes of a trade.

    trade: what is left of it, under the same id; None where nothing is.  moved: the trade in another window, which is a row of
    its own.  status: what the utility records of the row.  restored_kwh: what its limits in the old window get back.
    """

    trade: Trade | None
    moved: Trade | None
    status: str
    restored_kwh: Decimal


def relieve(
    trade: Trade, relief: Relief, *, left_kwh: Decimal | None = None, new_id: str = "", cause: str = "OUTAGE"
) -> Relieved:
    """Cancel a trade, curtail it to ``left_kwh``, or reschedule it under ``new_id`` into another window.

    cause: OUTAGE or POL_VIOLATION.  A trade that is rescheduled is cancelled here and put anew there, for a row never changes
    its terms.  Raises ``ContractError`` for less than nothing or as much as before, and for a new id that is none.
    """
    if cause not in ("OUTAGE", "POL_VIOLATION"):
        raise ContractError(trade.id, f"cause {cause!r} is not known; {nearest(cause, ('OUTAGE', 'POL_VIOLATION'))}")
    if relief is Relief.CURTAIL:
        if left_kwh is None or not 0 < left_kwh < trade.energy_kwh:
            what = (
                f"curtailed from {trade.energy_kwh} kWh to {left_kwh}: something has to be left, and less than before"
            )
            raise ContractError(trade.id, what)
        restored_kwh = EXACT.subtract(trade.energy_kwh, left_kwh)
        return Relieved(replace(trade, energy_kwh=left_kwh), None, f"CURTAILED_{cause}", restored_kwh)
    moved = None
    if relief is Relief.RESCHEDULE:
        if new_id in ("", trade.id):
            raise ContractError(
                trade.id, f"rescheduled as {new_id!r}: the trade needs an id of its own in its new window"
            )
        moved = replace(trade, id=new_id)
    return Relieved(None, moved, f"CANCELLED_{cause}", trade.energy_kwh)


def locked_kwh(trades: Sequence[Trade], meter: str) -> Decimal:
    """What trades have promised of one meter, sold and bought together: what its limits must leave room for."""
    return total_of(trade.energy_kwh for trade in trades if meter in (trade.seller_meter, trade.buyer_meter))
