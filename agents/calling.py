"""Events: who is called to draw less, with which baseline, and what becomes of the answers.

A component of a provider, not an agent: its owner keeps the deals, settles them and sends what it returns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal

from msgspec import UNSET
from msgspec.structs import replace

from agents.call import Call
from agents.deal import Deal, Item, quote
from agents.deal_forms import on_wire, price_of, terms_on_wire
from agents.history import baseline_kwh
from agents.reduction import Reduction
from sim.clock import Calendar, Interval
from sim.contracts.contract import Status
from sim.participant import Ids
from sim.wire.bags import EnergyContract, InputSignal, RoleInputs, TimeWindow
from sim.wire.bags.contracts import QualityMetric
from sim.wire.codes import Code, Refusal
from sim.wire.core import Consideration, Contract
from sim.wire.messages import Message
from sim.wire.need import ATTRIBUTES, bag, needed

OPT_OUT = "optOut"
"""The signal by which a load takes itself out of an event."""
QUANTITY = "/message/contract/commitments/0/resources/0/quantity"
LEAST_KWH = 1e-9


class Calling:
    """The events of one provider.

    era, ids: of the provider.  items: all of its items.  consumed_kwh: what a meter drew in an interval, as the provider has
    read it.  may_be_called: which holders of a deal, at which second.
    """

    def __init__(
        self,
        era: str,
        items: Iterable[Item],
        ids: Ids,
        calendar: Calendar,
        currency: str,
        consumed_kwh: Callable[[str, int], Decimal | None],
        may_be_called: Callable[[Deal, int], bool],
    ) -> None:
        self._calls = {item.name: (item, item.call) for item in items if item.call is not None}
        self._era = era
        self._ids = ids
        self._calendar = calendar
        self._currency = currency
        self._consumed_kwh = consumed_kwh
        self._may_be_called = may_be_called
        self._members: dict[str, list[Deal]] = {}
        """Deals by which another is delivered, by its contract's id."""

    def times(self) -> tuple[tuple[int, str], ...]:
        """When which item is called, of those that do not wait for a deal to serve."""
        return tuple((call.at_s, name) for name, (_, call) in self._calls.items() if call.at_s is not None)

    def delivering(self, item: Item) -> str | None:
        """The name of the item by whose call deals of another are delivered; None where they need none."""
        return next((name for name, (_, call) in self._calls.items() if call.serves == item.name), None)

    def prepare(self, deal: Deal) -> None:
        """Give a deal that is to be delivered by a call what its reduction is counted in."""
        name = self.delivering(deal.item)
        if name is not None:
            level = self._calls[name][1].level
            deal.reduction = Reduction(level, deal.start_s, deal.kwh, {})

    def drawn_up(self, name: str, deals: Sequence[Deal], now_s: int, served: Deal | None = None) -> list[Deal]:
        """A deal for everybody who is called, not yet told: holders who allow it, and whose meter has a like day.

        Where another deal is served, its energy is asked of all in the proportions of their baselines.  Nobody is asked for
        more than the capacity that they have signed up with.
        """
        item, call = self._calls[name]
        start_s, end_s = (call.start_s, call.end_s) if served is None else (served.start_s, served.end_s)
        baselines = [(holder, self._baseline(holder.meter, call, (start_s, end_s), deals, now_s))
                     for holder in deals if self._is_called(holder, call, now_s)]  # fmt: skip
        known = [(holder, baseline) for holder, baseline in baselines if baseline]
        whole = sum(sum(baseline.values()) for _, baseline in known)
        made = []
        for holder, baseline in known:
            share = float(sum(baseline.values()) / whole) if whole else 0.0
            hours = (end_s - start_s) / 3600
            kwh = call.kw * hours if call.kw is not None else share * (served.kwh if served else 0.0)
            if holder.kw:
                kwh = min(kwh, holder.kw * hours)
            made.append(self._called(item, call, holder, baseline, kwh, (start_s, end_s), now_s))
        if served is not None:
            self._members[served.contract.id] = made
        return made

    def _is_called(self, holder: Deal, call: Call, now_s: int) -> bool:
        running = holder.item.name == call.holders_of and holder.is_open and holder.over_s is None
        return running and bool(holder.meter) and self._may_be_called(holder, now_s)

    def _called(
        self,
        item: Item,
        call: Call,
        holder: Deal,
        baseline: dict[int, Decimal],
        kwh: float,
        window_s: tuple[int, int],
        now_s: int,
    ) -> Deal:
        return Deal(
            item,
            holder.taker,
            item.contract(self._ids.fresh(), self._currency, holder.taker),
            self._ids.fresh(),
            kwh,
            *window_s,
            meter=holder.meter,
            reduction=Reduction(call.level, now_s + call.answer_s, kwh, baseline),
        )

    def _baseline(
        self, meter: str, call: Call, window_s: tuple[int, int], deals: Sequence[Deal], now_s: int
    ) -> dict[int, Decimal] | None:
        read = self._calendar.index_at(now_s)
        left_out = {
            k for deal in deals if deal.meter == meter and deal.first >= 0 and deal.reduction is not None
            for k in deal.reduction.baseline_kwh
        }  # fmt: skip
        return baseline_kwh(
            lambda index: self._consumed_kwh(meter, index),
            self._calendar,
            self._whole_intervals(*window_s),
            range(max(read - call.before_s // self._calendar.interval_s, 0), read),
            call.method,
            left_out,
        )

    def _whole_intervals(self, start_s: int, end_s: int) -> range:
        interval_s = self._calendar.interval_s
        return range(-(-start_s // interval_s), end_s // interval_s)

    # what is told

    def invitation(self, deal: Deal) -> Contract:
        """The contract of an event in full, with what is asked for, until when, and the baseline that will count."""
        assert deal.reduction is not None
        assert deal.item.call is not None
        contract = terms_on_wire(deal, self._window(deal), self._estimate(deal, "QUOTED"), self._era)
        attributes = contract.contractAttributes
        assert isinstance(attributes, EnergyContract)
        hours = (deal.end_s - deal.start_s) / 3600
        baseline_kw = self._mean_kw(deal.reduction.baseline_kwh)
        signals = (
            *(attributes.inputSignals or ()),
            InputSignal(signalId="request", signalType="COMMAND", value=deal.kwh / hours, unit="KW"),
            InputSignal(signalId="level", signalType="STATE", value=deal.reduction.level),
            InputSignal(
                signalId="answerBy", signalType="STATE", value=self._calendar.timestamp(deal.reduction.answer_by_s)
            ),
        )
        roles = tuple(
            replace(role, roleInputs=RoleInputs(targetMeterId=deal.meter, baselineKW=-baseline_kw))
            if role.role == deal.item.open_role
            else role
            for role in attributes.roles or ()
        )
        method = deal.item.call.method
        agreed = f"mean of {method.x} of {method.y} like days, adjusted by {method.cap:.0%} at most"
        metrics = (QualityMetric(metricId="baseline", formula=agreed, unit="KW", value=round(baseline_kw, 6)),)
        return replace(
            contract,
            contractAttributes=replace(attributes, roles=roles, inputSignals=signals, qualityMetrics=metrics),
        )

    def agreed(self, deal: Deal) -> Contract:
        """A deal as it was answered, with what it will come to if it is kept."""
        return on_wire(deal, window=self._window(deal), consideration=self._estimate(deal, "ESTIMATED") or UNSET)

    def report(self, deal: Deal) -> Contract:
        """How a deal that is over went: mean powers, energy, and the share of the agreed that was kept [percent]."""
        reduction = deal.reduction
        assert reduction is not None
        event = {index: one for index, one in reduction.measured.items() if one.baseline}
        baseline_kw = self._mean_kw({index: one.baseline for index, one in event.items()})
        metered_kw = self._mean_kw({index: one.consumed for index, one in event.items()})
        kept = 100 * reduction.reduced_kwh / reduction.agreed_kwh if reduction.agreed_kwh else Decimal(0)
        told = (
            ("baseline", "baselineKWh / hours", baseline_kw, "KW"),
            ("metered", "consumedKWh / hours", metered_kw, "KW"),
            ("reduction", "(baselineKWh - consumedKWh) / hours", baseline_kw - metered_kw, "KW"),
            ("reduced", "reducedKWh", float(reduction.reduced_kwh), "KWH"),
            ("performance", "reducedKWh / contractedKWh", float(kept), "PERCENT"),
        )
        metrics = tuple(
            QualityMetric(metricId=name, formula=formula, value=round(value, 6), unit=unit)
            for name, formula, value, unit in told
        )
        contract = on_wire(deal, window=self._window(deal))
        assert isinstance(contract.contractAttributes, EnergyContract)
        return replace(contract, contractAttributes=replace(contract.contractAttributes, qualityMetrics=metrics))

    def _mean_kw(self, energies: Mapping[int, Decimal]) -> float:
        hours = len(energies) * self._calendar.interval_s / 3600
        return float(sum(energies.values())) / hours if hours else 0.0

    def _estimate(self, deal: Deal, code: str) -> tuple[Consideration, ...]:
        return price_of(deal, quote(deal, self._calendar), self._currency, code)

    def _window(self, deal: Deal) -> TimeWindow:
        return TimeWindow(start=self._calendar.timestamp(deal.start_s), end=self._calendar.timestamp(deal.end_s))

    # what is answered

    def check_answer(self, deal: Deal, message: Message) -> float:
        """How much somebody who was called commits to [kWh].

        Raises ``Refusal``: BIZ_DEADLINE_PASSED for an answer that comes too late, BIZ_CAP_EXCEEDED for none, and for more than
        the load draws at all.
        """
        assert deal.reduction is not None
        if message.sent_s > deal.reduction.answer_by_s:
            by = self._calendar.timestamp(deal.reduction.answer_by_s)
            raise Refusal(Code.BIZ_DEADLINE_PASSED, "/message/contract", f"answers were taken until {by}")
        kwh = message.contract.commitments[0].resources[0].quantity.value
        most_kwh = float(sum(deal.reduction.baseline_kwh.values()))
        if not 0 < kwh <= most_kwh + LEAST_KWH:
            raise Refusal(Code.BIZ_CAP_EXCEEDED, QUANTITY, f"{kwh:g} kWh less, of a baseline of {most_kwh:g} kWh")
        return kwh

    def opt_out(self, deal: Deal, message: Message) -> None:
        """Let a load out of an event that is not over.  Raises ``Refusal`` for anything else that an update may say."""
        reduction = deal.reduction
        assert reduction is not None
        signals = needed(
            bag(message.contract.contractAttributes, EnergyContract, ATTRIBUTES).inputSignals,
            f"{ATTRIBUTES}/inputSignals",
        )
        if [signal.signalId for signal in signals] != [OPT_OUT]:
            raise Refusal(Code.SCH_TYPE_NOT_SUPPORTED, f"{ATTRIBUTES}/inputSignals", f"expected {OPT_OUT} alone")
        if reduction.opted_s is not None or deal.over_s is not None:
            what = "the event is over" if deal.over_s is not None else "the load is out of the event already"
            raise Refusal(Code.PRC_INVALID_TRANSITION, "/message/contract/status", what)
        reduction.opted_s = message.sent_s

    def extend(self, name: str, deals: Sequence[Deal], by_s: int, now_s: int) -> list[Deal]:
        """Prolong an event for those who are in it, at the power that they committed to; they are returned."""
        _, call = self._calls[name]
        prolonged = []
        for deal in deals:
            out = deal.reduction is None or deal.reduction.opted_s is not None or deal.over_s is not None
            if deal.item.name != name or not deal.is_open or out:
                continue
            assert deal.reduction is not None
            others = [other for other in deals if other is not deal]
            window_s = (deal.end_s, deal.end_s + by_s)
            more = self._baseline(deal.meter, call, window_s, others, now_s) or {}
            deal.reduction.baseline_kwh |= more
            deal.kwh *= 1 + by_s / (deal.end_s - deal.start_s)
            deal.end_s += by_s
            prolonged.append(deal)
        return prolonged

    # measuring

    def measure(self, deal: Deal, interval: Interval) -> bool:
        """Take an interval's readings into a deal; False where one of them has not come, and the cycle has to wait."""
        reduction = deal.reduction
        assert reduction is not None
        pooled = self._members.get(deal.contract.id)
        consumed_kwh: Decimal | None = Decimal(0)
        if pooled is not None:
            consumed_kwh = self._pool(deal, pooled, interval.index)
        elif interval.index in reduction.baseline_kwh:
            consumed_kwh = self._consumed_kwh(deal.meter, interval.index)
        if consumed_kwh is None:
            return False
        reduction.measure(interval.index, interval.end_s, deal.agreed_kwh(interval), consumed_kwh)
        return True

    def _pool(self, deal: Deal, members: Iterable[Deal], index: int) -> Decimal | None:
        """Baselines and readings of all who are in the event by which a deal is delivered."""
        assert deal.reduction is not None
        total = baseline = Decimal(0)
        for member in members:
            counts = member.status in (Status.ACTIVE, Status.COMPLETED) and member.reduction is not None
            mine = member.reduction.baseline_kwh.get(index) if counts and member.reduction is not None else None
            if mine is None:
                continue
            consumed_kwh = self._consumed_kwh(member.meter, index)
            if consumed_kwh is None:
                return None
            total, baseline = total + consumed_kwh, baseline + mine
        if baseline:
            deal.reduction.baseline_kwh[index] = baseline
        return total
