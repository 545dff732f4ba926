"""Those who deal one to one: what a provider, a seeker and a distributor answer, and what they refuse without having changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace as dataclass_replace
from typing import Any

import mesa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from pytest import approx

from agents.agreeing import TERMS_HOLD_S
from agents.deal import Deal, Item
from agents.deal_forms import approved_in, terms_on_wire
from agents.distributor import Distributor, TradedMeter
from agents.errands import Errand
from agents.provider import Provider
from agents.seeker import Seeker
from agents.sessions import count, wait_s
from agents.settling import SETTLE_AFTER_S
from agents.twins.connector import ConnectorTwin
from sim.contracts.contract import Status
from sim.device import Device
from sim.participant import Ids, Participant
from sim.wire.bags import LdTimePeriod, TimeWindow
from sim.wire.codes import Code, Refusal
from sim.wire.core import Resource, SearchIntent
from sim.wire.messages import Alarm, ContractContent, Message
from tests.agents.deals import (
    AGREED,
    DAY,
    HOUR_S,
    PROVIDER,
    Books,
    about,
    deal,
    item,
    messages,
    provider,
    reading,
    uuid,
    wanted,
)


def code_of(answer: Callable[[], Any]) -> str:
    """The code with which something is refused."""
    with pytest.raises(Refusal) as caught:
        for _ in answer() or ():
            pass
    return str(caught.value.code)


def agreed(of: Item | None = None, **how: Any) -> Provider:
    """A provider with one deal that holds."""
    one = provider(of or item())
    tuple(one.handle(wanted("init", **how)))
    tuple(one.handle(about("confirm")))
    return one


def connector_item(**how: Any) -> Item:
    """A connector of 60 kW."""
    device = Device("thing", "bus", "node", ConnectorTwin(60))
    return item(delivery="session", device=device, meter="thing", billing="POST_FULFILLMENT", **how)


# shelf


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"item": "other"}, Code.NET_ENTITY_NOT_FOUND),
        ({"offer": "other"}, Code.NET_ENTITY_NOT_FOUND),
        ({"meter": "other"}, Code.NET_ENTITY_NOT_FOUND),
        ({"meter": ""}, Code.SCH_REQUIRED_FIELD_MISSING),
        ({"kwh": -1.0}, Code.SCH_SCHEMA_VALIDATION_FAILED),
        ({"kwh": 11.0}, Code.BIZ_CAP_EXCEEDED),
        ({"hours": (3, 1)}, Code.SCH_INVALID_FORMAT),
        ({"hours": (1, 30)}, Code.SCH_INVALID_FORMAT),
        ({"hours": (1, 2), "at_s": 3 * HOUR_S}, Code.SCH_INVALID_FORMAT),
        ({"hours": (0.5, 2)}, Code.POL_DENIED),
    ],
    ids=["item", "offer", "meter", "no meter", "negative", "too much", "backwards", "too long", "past", "closed"],
)
def test_what_is_not_on_offer_is_refused_and_nothing_is_agreed(how: dict[str, Any], code: Code) -> None:
    opening = LdTimePeriod(kind="TimePeriod", startTime="01:00:00", endTime="20:00:00")
    listed = Resource(id="thing", availabilityWindow=(opening,))
    one = provider(item(quantity_kwh=10.0, listed=listed))
    assert code_of(lambda: one.handle(wanted("init", **how))) == code
    assert one.deals == {}


@given(st.lists(st.tuples(st.floats(0.1, 20), st.sampled_from(["keep", "cancel", "forget"])), max_size=12))
@settings(max_examples=50)
def test_no_more_is_sold_than_there_is(wishes: list[tuple[float, str]]) -> None:
    one = provider(item(quantity_kwh=30.0))
    for number, (kwh, then) in enumerate(wishes, 1):
        try:
            tuple(one.handle(wanted("init", number, kwh)))
        except Refusal:
            continue
        if then != "forget":
            tuple(one.handle(about("confirm", number)))
        if then == "cancel":
            tuple(one.handle(about("cancel", number, at_s=20)))
        standing = [d.kwh for d in one.deals.values() if d.status in (Status.PENDING, Status.ACTIVE)]
        assert sum(standing) <= 30 + 1e-6


# provider


def test_out_of_order_and_twice_is_refused_and_changes_nothing() -> None:
    one = provider(item())
    assert code_of(lambda: one.handle(about("confirm"))) == Code.NET_ENTITY_NOT_FOUND
    tuple(one.handle(wanted("init")))
    assert code_of(lambda: one.handle(wanted("init"))) == Code.PRC_CONFLICT
    tuple(one.handle(about("confirm")))
    assert code_of(lambda: one.handle(about("confirm"))) == Code.PRC_INVALID_TRANSITION
    tuple(one.handle(about("cancel", at_s=20)))
    assert code_of(lambda: one.handle(about("cancel", at_s=30))) == Code.PRC_INVALID_TRANSITION
    assert one.deals[uuid(1)].status is Status.TERMINATED


def test_a_deal_is_nobody_elses_business() -> None:
    one = agreed()
    for action in ("status", "cancel", "confirm"):
        assert code_of(lambda action=action: one.handle(about(action, taker="stranger"))) == Code.NET_ENTITY_NOT_FOUND
    assert one.deals[uuid(1)].status is Status.ACTIVE


def test_terms_that_nobody_confirms_expire() -> None:
    one = provider(item(quantity_kwh=4.0))
    events = tuple(one.handle(wanted("init")))
    (expiry,) = (event for event in events if isinstance(event, Alarm))
    assert expiry.at_s == TERMS_HOLD_S
    assert code_of(lambda: one.handle(wanted("init", 2))) == Code.BIZ_CAP_EXCEEDED
    tuple(one.handle(expiry))
    assert one.deals[uuid(1)].status is Status.TERMINATED
    assert code_of(lambda: one.handle(about("confirm"))) == Code.PRC_INVALID_TRANSITION
    tuple(one.handle(wanted("init", 2)))


def test_what_was_paid_for_terms_that_expire_is_refunded() -> None:
    one = provider(item(prepaid=True))
    (expiry,) = (event for event in one.handle(wanted("init")) if isinstance(event, Alarm))
    (told,) = messages(one.handle(expiry))
    (payment,) = told.contract.settlements
    assert (told.action, payment.settlementAttributes.paymentStatus) == ("on_cancel", "REFUNDED")
    assert messages(one.handle(expiry)) == []


def test_terms_can_be_taken_back_before_they_are_confirmed_and_tried_without_it() -> None:
    one = provider(item())
    tuple(one.handle(wanted("init")))
    tuple(one.handle(about("cancel", tried=True)))
    assert one.deals[uuid(1)].status is Status.PENDING
    tuple(one.handle(about("cancel")))
    assert one.deals[uuid(1)].status is Status.TERMINATED


def test_what_has_begun_cannot_be_cancelled() -> None:
    one = agreed()
    tuple(one.handle(Alarm(HOUR_S, "begin", 0)))
    assert code_of(lambda: one.handle(about("cancel", at_s=HOUR_S + 10))) == Code.PRC_INVALID_TRANSITION
    assert one.deals[uuid(1)].is_open


def test_a_window_that_begins_at_once_has_begun_when_it_is_agreed() -> None:
    one = agreed(hours=(0, 2))
    assert one.deals[uuid(1)].began_s is not None


def test_intervals_are_settled_as_they_are_read_and_the_last_ends_the_deal() -> None:
    one = agreed()
    told = []
    for interval in DAY.intervals():
        told += messages(one.handle(reading(interval.index, 1.0)))
        told += messages(one.handle(Alarm(interval.end_s + SETTLE_AFTER_S, "settle", interval.index)))
    assert [message.action for message in told] == ["on_update"] * 8
    assert one.deals[uuid(1)].status is Status.COMPLETED


# sessions


@given(st.lists(st.integers(1, 200), min_size=2, max_size=5))
def test_sessions_in_one_interval_share_its_reading_by_what_each_has_taken(seconds: list[int]) -> None:
    of = connector_item()
    twin, deals, now = of.device.twin, [], 0  # type: ignore[union-attr]
    assert isinstance(twin, ConnectorTwin)
    for number, duration in enumerate(seconds):
        one = dataclass_replace(
            deal(of), transaction_id=str(number), began_s=now, session="STOP", over_s=now + duration
        )
        twin.plug(50, 60)
        twin.switch_on(now)
        now += duration
        one.taken_kwh = twin.taken_kwh(now)
        twin.unplug(now)
        deals.append(one)
    count(deals, DAY.interval(now // 900))
    shares = [one.metered_share[now // 900] for one in deals]
    assert float(sum(shares)) == approx(1)
    assert [float(share) * sum(seconds) for share in shares] == approx([float(s) for s in seconds])


def test_whoever_comes_waits_for_those_before() -> None:
    of = connector_item()
    before = deal(of, kwh=30, began_s=0, session="ACTIVE")
    before.taken_kwh = 15
    assert wait_s(of, [before], 100) == approx(900)
    assert wait_s(of, [], 100) == 0
    assert wait_s(item(), [before], 100) == 0


# distributor


def distributor(caps: tuple[float, float], traded: tuple[float, float] = (0.0, 0.0)) -> Distributor:
    """A utility with the meters of a roof and of a home."""
    meters = {name: TradedMeter(cap, used) for name, cap, used in zip(("roof", "home"), caps, traded, strict=True)}
    return Distributor(
        mesa.Model(rng=1),
        "utility",
        Ids(1, "utility"),
        meters=meters,
        wheeling_per_kwh=0.025,
        calendar=DAY,
        currency="EUR",
        till=Books().till_of,
    )


def cascaded(action: str, number: int, kwh: float, target: str = "home", sender: str = PROVIDER) -> Message:
    """What a provider asks a utility of a trade."""
    of = item(AGREED, meter="roof", approver="utility")
    contract = of.contract(uuid(number), "EUR", "buyer")
    one = Deal(of, "buyer", contract, "tx", kwh, HOUR_S, 3 * HOUR_S, target)
    window = TimeWindow(start=DAY.timestamp(HOUR_S), end=DAY.timestamp(3 * HOUR_S))
    content = ContractContent(contract=terms_on_wire(one, window, (), PROVIDER))
    return Message(action, sender, "utility", "tx", f"{action}-{number}", content)


@given(
    st.lists(
        st.tuples(st.sampled_from(["init", "confirm", "cancel"]), st.integers(1, 5), st.floats(0.1, 40)), max_size=30
    )
)
@settings(max_examples=60)
def test_locks_never_exceed_a_cap_in_whatever_order_they_are_asked_for(asked: list[tuple[str, int, float]]) -> None:
    one = distributor((100, 50), (20, 5))
    for action, number, kwh in asked:
        before = {name: meter.traded_kwh for name, meter in one.meters.items()}
        try:
            tuple(one.handle(cascaded(action, number, kwh)))
        except Refusal:
            assert {name: meter.traded_kwh for name, meter in one.meters.items()} == before
        locked = sum(trade.kwh for trade in one.trades.values() if trade.locked)
        assert one.meters["home"].traded_kwh == approx(5 + locked)
        assert one.meters["roof"].traded_kwh == approx(20 + locked)
        assert one.meters["home"].traded_kwh <= 50 + 1e-6


def test_the_second_of_two_trades_gets_what_is_left_or_nothing() -> None:
    """Caps 50 and 100, traded 5 and 20: 45 may be, and after ten of them 35."""
    one = distributor((100, 50), (20, 5))
    (answer,) = messages(one.handle(cascaded("init", 1, 10)))
    assert approved_in(answer.contract) == 45
    tuple(one.handle(cascaded("confirm", 1, 10)))
    assert code_of(lambda: one.handle(cascaded("init", 2, 36))) == Code.BIZ_CAP_EXCEEDED
    (answer,) = messages(one.handle(cascaded("init", 2, 35)))
    assert approved_in(answer.contract) == 35


def test_a_lock_is_asked_for_once_by_whoever_was_approved() -> None:
    one = distributor((100, 50))
    assert code_of(lambda: one.handle(cascaded("confirm", 1, 10))) == Code.NET_ENTITY_NOT_FOUND
    tuple(one.handle(cascaded("init", 1, 10)))
    assert code_of(lambda: one.handle(cascaded("confirm", 1, 10, sender="other"))) == Code.NET_ENTITY_NOT_FOUND
    tuple(one.handle(cascaded("confirm", 1, 10)))
    assert code_of(lambda: one.handle(cascaded("confirm", 1, 10))) == Code.PRC_CONFLICT
    assert code_of(lambda: one.handle(cascaded("cancel", 1, 10, sender="other"))) == Code.NET_ENTITY_NOT_FOUND
    assert code_of(lambda: one.handle(cascaded("init", 2, 10, target="cellar"))) == Code.NET_ENTITY_NOT_FOUND
    assert one.meters["home"].traded_kwh == 10


# seeker


def seeker(*errands: Errand) -> Seeker:
    """Somebody who looks for things."""
    return Seeker(mesa.Model(rng=1), "taker", Ids(1, "taker"), errands=errands, calendar=DAY)


def errand(**how: Any) -> Errand:
    """Something to be had at once."""
    given_: dict[str, Any] = {"at_s": 0, "ask": "catalogue", "intent": SearchIntent(textSearch="thing"), "choose": "first",
                              "quote": False, "kwh": 4.0}  # fmt: skip
    return Errand(**{**given_, **how})


def test_what_answers_nothing_that_a_seeker_has_asked_is_refused() -> None:
    one = seeker(errand())
    stray = replace(wanted("init"), action="on_init", transaction_id="another")
    assert code_of(lambda: one.handle(stray)) == Code.NET_ENTITY_NOT_FOUND
    quote = replace(wanted("init"), action="on_select", transaction_id=one.pursuits[0].transaction_id)
    assert code_of(lambda: one.handle(quote)) == Code.PRC_INVALID_TRANSITION
    assert one.pursuits[0].chosen is None


def test_nobody_answers_what_it_does_not_serve() -> None:
    for one in (provider(item()), seeker(errand()), distributor((1, 1))):
        assert isinstance(one, Participant)
        assert (
            code_of(lambda one=one: one.handle(replace(about("status"), action="aggregate")))
            == Code.SCH_TYPE_NOT_SUPPORTED
        )
