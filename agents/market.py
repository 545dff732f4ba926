"""The market clearing agent: collects curves, clears them when the gate closes, and holds no position."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from decimal import Decimal

from agents.accounts import Accounts
from agents.award import Award
from agents.chronicle import Chronicle
from agents.member import asked_for, commitment, lock_content
from agents.membership import Membership
from agents.obligations import Obligation, Obligations
from agents.offsets import offset_of
from agents.rounds import (
    Clear,
    Round,
    Rules,
    Stage,
    clear_and_certify,
    firm_eras,
    limit_of,
    next_round,
    offset_round,
    problem_of,
    round_without,
    solve,
)
from sim.clock import Calendar, Interval
from sim.contracts.contract import Contract, Settlement, Turn, settle
from sim.errors import MarketError
from sim.events import EventLog
from sim.forms import (
    aggregation_request,
    aggregation_result,
    assessment_of,
    assessment_request,
    undelivered_in,
    window_of,
)
from sim.ledger import Ledger
from sim.market.problem import LOSSES, Clearing, Limit, Offer, Problem, receipts_per_h, slack_prices
from sim.participant import Ids, Participant, Registry
from sim.wire.assessment import AssessedContent
from sim.wire.auxiliary import AggregateContent, AggregatedContent
from sim.wire.bags import GridNode
from sim.wire.codes import Code, Refusal
from sim.wire.core import ErrorBody, SearchIntent
from sim.wire.messages import (
    SETUP_TTL_S,
    Alarm,
    CatalogsContent,
    DiscoverContent,
    Event,
    Lineage,
    Message,
    NackContent,
    PublishContent,
)

ROUNDS_KEPT = 3
"""A round is needed until its interval has been settled: mostly when the gate after next closes, later where readings are."""


class Market(Participant):
    """Runs one round an interval: OPEN → GATE_CLOSED → CLEARED or FAILED → PUBLISHED.

    supplier: ERA of the retailer whose curve stands for the upstream grid.  uplift: the contract by which the grid operator
    compensates somebody whom it moves.  clear: how problems are solved, exchangeable for tests and for timing.  obligations:
    what is owed at the end for what its members consumed.
    """

    kind = "market"

    def __init__(
        self,
        registry: Registry,
        era: str,
        ids: Ids,
        *,
        rules: Rules,
        membership: Callable[[Participant], Membership],
        accounts: Callable[[Participant], Accounts],
        utility: str,
        catalogue: str,
        supplier: str,
        root_node: str,
        calendar: Calendar,
        currency: str,
        rent: Contract,
        uplift: Callable[[str], Contract],
        ledger: Ledger,
        log: EventLog,
        clear: Clear = clear_and_certify,
        obligations: Sequence[Obligation] = (),
    ) -> None:
        super().__init__(registry, era, ids)
        self.rules = rules
        self.membership = membership(self)
        self.accounts = accounts(self)
        self.rounds: dict[int, Round] = {}
        self.held: list[int] = []
        """Intervals that were not settled because their metering is not valid."""
        self.stopped: dict[int, str] = {}
        """By interval, why the policy was stopped and the fallback served."""
        self._utility = utility
        self._catalogue = catalogue
        self._supplier = supplier
        self._root_node = root_node
        self._calendar = calendar
        self._currency = currency
        self._rent = rent
        self._rent_settlement = Settlement()
        self._uplift = uplift
        self._uplifts: dict[str, Contract] = {}
        self._uplift_settlement = Settlement()
        self._ledger = ledger
        self._chronicle = Chronicle(log, era)
        self._obligations = Obligations(obligations, ledger, self._chronicle)
        self._clear = clear
        self._transaction = ids.fresh()
        self._lock_contract = ids.fresh()
        self._closing: dict[str, int] = {}
        self._offers: dict[int, tuple[Offer, ...]] = {}
        self._outcomes: dict[int, Message] = {}
        self._awards: dict[int, dict[str, Award]] = {}
        self._unheard: dict[int, set[str]] = {}
        self._quoted: dict[int, tuple[float, float]] = {}
        self.reactions |= {
            "update": self.accounts.on_update,
            "deadline": self.accounts.on_deadline,
            "catalog/on_publish": lambda _: (),
            "discover": self.membership.on_discover,
            "init": self.membership.on_init,
            "on_init": self.membership.on_approved,
            "confirm": self.membership.on_confirm,
            "gate": self.on_gate,
            "on_discover": self.on_nodes,
            "aggregate": self.on_aggregate,
            "on_aggregate": self.on_aggregated,
            "on_assess": self.on_assessed,
            "on_confirm": self.on_locked,
            "on_status": self.on_status,
        }

    def on_start(self, _: Alarm) -> Iterable[Event]:
        """Publish the offer, and set the first gate."""
        self._obligations.begin()
        if self._passes_rent_on:
            self._chronicle.in_force(self._rent)
        content = PublishContent(catalogs=(self.membership.catalog(),))
        return (
            self.request("catalog/publish", self._catalogue, content, self._transaction, SETUP_TTL_S),
            Alarm(-self.rules.gate_s, "gate", 0),
        )

    # the gate

    def on_gate(self, alarm: Alarm) -> Iterable[Event]:
        """Close the gate, ask for the limits of the grid nodes, and set the next gate."""
        interval = self._calendar.interval(alarm.index)
        yield from self.membership.review(interval, alarm.at_s)
        self._offers[interval.index] = self.membership.close(interval)
        self.rounds[interval.index] = Round(Stage.GATE_CLOSED)
        for past in [k for k in self.rounds if k <= interval.index - ROUNDS_KEPT and self.accounts.is_settled(k)]:
            del self.rounds[past]
        content = DiscoverContent(intent=SearchIntent(textSearch="GridNode"))
        question = self.request("discover", self._catalogue, content, self._transaction)
        self._closing[question.message_id] = interval.index
        yield question
        if interval.index + 1 < self._calendar.count:
            yield Alarm(interval.end_s - self.rules.gate_s, "gate", interval.index + 1)

    def on_nodes(self, message: Message) -> Iterable[Event]:
        """The limits in force: put the problem of this gate to the aggregation endpoint, which is ours."""
        assert isinstance(message.content, CatalogsContent)
        index = asked_for(self._closing, message)
        nodes = [
            resource.resourceAttributes
            for catalog in message.content.catalogs
            for resource in catalog.resources or ()
            if isinstance(resource.resourceAttributes, GridNode)
        ]
        limits = (Limit(self._root_node, None), *(limit_of(node, self._root_node) for node in nodes))
        try:
            problem = problem_of(self._offers[index], limits, self.rules, self._supplier, index)
        except MarketError as error:
            raise Refusal(Code.PRC_CONFLICT, "/message/catalogs", str(error)) from error
        quoted = slack_prices(problem)
        if quoted is not None:
            self._quoted[index] = quoted
        interval = self._calendar.interval(index)
        commands = {node.nodeId: offset_of(node, interval, self._calendar) for node in nodes}
        del self._closing[message.message_id], self._offers[index]
        offset_kw = {node: kw for node, kw in commands.items() if kw}
        self.rounds[index] = Round(Stage.GATE_CLOSED, problem, offset_kw=offset_kw)
        return (self._put(problem, index),)

    def on_aggregate(self, message: Message) -> Iterable[Event]:
        """Clear and certify.  A policy that fails, or breaks what it promises, gives way to the fallback."""
        if message.sender != self.era:
            what = f"expected an aggregate of {self.era} itself, got one of {message.sender}"
            raise Refusal(Code.AUT_UNAUTHORIZED_ACTION, "/context/bapId", what)
        index = asked_for(self._closing, message)
        asked = self.rounds[index]
        problem = asked.problem
        if problem is None:
            raise Refusal(Code.PRC_INVALID_TRANSITION, "/context/messageId", "no gate of this market has closed for it")
        solved = solve(problem, self.rules, self._clear, fallback=asked.fallback)
        self.rounds[index] = replace(
            asked,
            stage=Stage.CLEARED,
            clearing=solved.clearing,
            certificate=solved.certificate,
            fallback=solved.fallback,
        )
        if solved.stopped:
            self.stopped[index] = solved.stopped
        result = aggregation_result(problem, solved.clearing, solved.certificate)
        return (self.answer(message, AggregatedContent(aggregationResult=result)),)

    def on_aggregated(self, message: Message) -> Iterable[Event]:
        """The outcome: clear it again as grid nodes command, and ask the grid operator whether the wires would carry it."""
        assert isinstance(message.content, AggregatedContent)
        index = asked_for(self._closing, message)
        moved = offset_round(self.rounds[index])
        if moved is not None:
            return self._again(message, index, moved)
        if not self.rules.rounds_max or self.rounds[index].final:
            return self._accept(message, index)
        self._outcomes[index] = message
        question = self.request(
            "assess",
            self._utility,
            assessment_request(message.content.aggregationResult, window_of(self._calendar, index)),
            self._transaction,
            lineage=Lineage(transactionId=message.transaction_id, messageId=message.message_id),
        )
        del self._closing[message.message_id]
        self._closing[question.message_id] = index
        return (question,)

    def on_assessed(self, message: Message) -> Iterable[Event]:
        """What the wires say: accept the outcome, or clear again within what they would carry."""
        assert isinstance(message.content, AssessedContent)
        index = asked_for(self._closing, message)
        done = self.rounds[index]
        assessment = assessment_of(message.content.assessment)
        try:
            again = next_round(done, assessment, self.rules)
        except MarketError as error:
            raise Refusal(Code.PRC_CONFLICT, "/message/assessment", str(error)) from error
        if again is None:
            flow_kw = {found.node: found.flow_kw for found in assessment.nodes}
            self.rounds[index] = replace(done, assessed_kw=flow_kw)
            return self._accept(message, index)
        return self._again(message, index, again)

    def _again(self, message: Message, index: int, again: Round) -> Iterable[Event]:
        """Another problem in the place of an outcome that cannot stand, of which nobody was told."""
        assert again.problem is not None
        del self._closing[message.message_id]
        self._outcomes.pop(index, None)
        self.rounds[index] = again
        return (self._put(again.problem, index),)

    def _put(self, problem: Problem, index: int) -> Message:
        """A problem to the aggregation endpoint, which is ours."""
        request = aggregation_request(problem, window_of(self._calendar, index), self._currency)
        question = self.request("aggregate", self.era, AggregateContent(aggregationRequest=request), self._transaction)
        self._closing[question.message_id] = index
        return question

    def _accept(self, message: Message, index: int) -> Iterable[Event]:
        """An outcome that stands: have the energy of every meter locked, so that no kWh is sold twice."""
        outcome = self._outcomes.pop(index, message)
        assert isinstance(outcome.content, AggregatedContent)
        interval = self._calendar.interval(index)
        firm, orders = firm_eras(self.rounds[index], self.rules), self.rounds[index].orders
        awards = {
            s.era: Award(
                s.setpointKW,
                s.price,
                s.offsetKW or 0.0,
                s.curtailedKW or 0.0,
                firm=s.era in firm,
                moved_kw=orders[s.era].offset_kw if s.era in orders else 0.0,
            )
            for s in outcome.content.aggregationResult.setpoints
            if s.era != self.rounds[index].dropped
        }
        del self._closing[message.message_id]
        self._awards[index] = awards
        locks = tuple(
            commitment(self.membership.members[era].meter, "lock", award.cleared_kw * interval.hours)
            for era, award in awards.items()
        )
        if not locks:
            return ()
        question = self.request(
            "confirm",
            self._utility,
            lock_content(self._lock_contract, locks, window_of(self._calendar, index)),
            self._transaction,
            lineage=Lineage(transactionId=message.transaction_id, messageId=message.message_id),
        )
        self._closing[question.message_id] = index
        return (question,)

    def on_locked(self, message: Message) -> Iterable[Event]:
        """Locked: publish price and power to every member."""
        index = asked_for(self._closing, message)
        del self._closing[message.message_id]
        self.rounds[index] = replace(self.rounds[index], stage=Stage.PUBLISHED)
        return self.membership.awards(self._calendar.interval(index), self._awards[index])

    def on_nack(self, message: Message) -> Iterable[Event]:
        """A refused lock or assessment fails the round: nobody is awarded, and every device falls back on its safe default.

        But where the lock of one meter is what was refused, the market clears once more without it.  An award that did not
        reach its member binds neither side.
        """
        index = self._closing.pop(message.message_id, None)
        if index is None:
            unheard = self.membership.unheard(message)
            if unheard is not None:
                self._unheard.setdefault(unheard[0], set()).add(unheard[1])
            return self.membership.on_refused(message)
        assert isinstance(message.content, NackContent)
        error, awards = message.content.error, self._awards.pop(index, {})
        era = _culprit(error, list(awards))
        again = None if era is None else round_without(self.rounds[index], era)
        if era is not None and again is not None and again.problem is not None:
            self.rounds[index] = again
            return (*self.membership.turn_away(index, era, error), self._put(again.problem, index))
        self.rounds[index] = replace(self.rounds[index], stage=Stage.FAILED)
        self._offers.pop(index, None)
        self._outcomes.pop(index, None)
        self.membership.books.pop(index, None)
        return ()

    # money

    def on_status(self, message: Message) -> Iterable[Event]:
        """Readings of all members for one interval: settle it, unless the wires had no valid state.

        An interval that is held waits with all that was agreed for readings that are valid, until the contracts end.
        """
        index, readings = self.accounts.deliveries(message)
        interval = self._calendar.interval(index)
        done = self.rounds.get(index, Round(Stage.FAILED))
        if readings is None:
            self.held += [index] if index not in self.held else []
        else:
            self.held = [other for other in self.held if other != index]
            cut_off = undelivered_in(message) | self._unheard.pop(index, set())
            awards = self._awards.pop(index, {})
            if done.stage is not Stage.PUBLISHED:
                awards = {}  # what nobody was told binds nobody
            if done.stage is Stage.PUBLISHED and done.clearing is not None:
                self._settle_surplus(interval, done.clearing, cut_off)
                self._settle_uplift(interval, done, cut_off)
            delivered = {era: award for era, award in awards.items() if era not in cut_off}
            yield from self.accounts.close(
                interval, self.membership.members, readings, delivered, self.retail_prices(index)
            )
            self._obligations.count(self.membership.members, readings)
        yield from self.accounts.part(self.membership.members, index)
        if index == self._calendar.count - 1:
            self._obligations.finish(index)
            yield from self.accounts.finish(self.membership.members)
            for uplift in self._uplifts.values():
                self._chronicle.ended(uplift, Turn.FULFIL)
            if self._passes_rent_on:
                self._chronicle.ended(self._rent, Turn.FULFIL)

    def _settle_surplus(self, interval: Interval, clearing: Clearing, cut_off: frozenset[str]) -> None:
        """What the market is left with goes to the grid operator, so that it keeps its fee alone.

        Where the market's prices rule it is the congestion rent and what marginal losses bring; where the fallback had to
        price at the tariff it is the wedge on what the street traded with itself.  What was agreed with participants whom no
        supply or no word reached is not settled, and the grid operator makes up for it.
        """
        if self._passes_rent_on:
            losses = clearing.accounts.get(LOSSES, 0.0)
            left = -receipts_per_h(clearing)
            delivered = {era: 0.0 if era in cut_off else p_kw for era, p_kw in clearing.setpoint_kw.items()}
            per_h = {
                "rent": left - losses,
                "lossSurplus": losses,
                "undelivered": -receipts_per_h(replace(clearing, setpoint_kw=delivered)) - left,
            }
            values = {name: Decimal(f"{value * interval.hours:.6f}") for name, value in per_h.items()}
            postings = settle(self._rent_settlement, self._rent, interval.index, values)
            self._ledger.post(postings)
            self._chronicle.computed(self._rent, interval.index, values, postings)

    def _settle_uplift(self, interval: Interval, done: Round, cut_off: frozenset[str]) -> None:
        """What the grid operator owes those whom it has moved."""
        assert done.clearing is not None
        for era, order in done.orders.items():
            if era in cut_off:
                continue
            if era not in self._uplifts:
                self._uplifts[era] = self._uplift(era)
                self._chronicle.in_force(self._uplifts[era])
            contract, p_kw = self._uplifts[era], done.clearing.setpoint_kw[era]
            values = {
                "offsetKWh": Decimal(f"{abs(order.offset_kw) * interval.hours:.6f}"),
                "upliftPerKWh": Decimal(f"{order.uplift_per_kwh(p_kw, done.clearing.participant_price[era]):.9f}"),
            }
            postings = settle(self._uplift_settlement, contract, interval.index, values)
            self._ledger.post(postings)
            self._chronicle.computed(contract, interval.index, values, postings)

    @property
    def _passes_rent_on(self) -> bool:
        return self.rules.policy.pricing == "PAY_AS_CLEAR"

    def retail_prices(self, index: int) -> tuple[float, float]:
        """The retailer's import and export price per kWh in an interval, as its own curve said: the last one until then."""
        return next((self._quoted[k] for k in range(index, -1, -1) if k in self._quoted), (0.0, 0.0))


def _culprit(error: ErrorBody, eras: Sequence[str]) -> str | None:
    """Whose lock was refused, of those that were asked for in this order; None where it was no single one."""
    found = re.match(r"/message/contract/commitments/(\d+)", error.path or "")
    return eras[int(found[1])] if found and int(found[1]) < len(eras) else None
