"""Participants one message at a time, without a clock: what they answer, and what they refuse with which code."""

from __future__ import annotations

import io
from collections.abc import Iterable
from datetime import datetime

import mesa
import msgspec
import pytest

from agents.battery import Battery
from agents.catalogue import Catalogue
from agents.market import Market
from agents.member import commitment, lock_content
from agents.rounds import Stage
from agents.transformer import Transformer
from agents.utility import Utility
from scenarios.build import Built, build
from scenarios.reader import read
from scenarios.timing import Stopwatch
from sim.clock import Calendar, local_start
from sim.participant import Ids, Participant
from sim.rng import identifier
from sim.wire.bags import (
    ENERGY,
    CurvePoint,
    EnergyContract,
    EnergyDelivery,
    GridNode,
    MeterReading,
    RoleInputs,
    TimeWindow,
)
from sim.wire.codes import Refusal
from sim.wire.core import Contract, ContractStatus, Descriptor, ErrorBody, Performance, SearchIntent
from sim.wire.messages import (
    NACK,
    Alarm,
    CatalogsContent,
    ContractContent,
    DiscoverContent,
    Event,
    Message,
    NackContent,
    PublishContent,
)
from tests.conftest import STREET, TWO_HOURS

QUARTERS = Calendar(local_start(datetime(2016, 5, 17, 11), "Europe/Berlin"), 900, 8)


class Street:
    """The example street, built but not run: its participants are called by hand."""

    def __init__(self, *overrides: str) -> None:
        self.built: Built = build(read(STREET, [*TWO_HOURS, *overrides]), io.BytesIO(), Stopwatch())
        self.agents: dict[str, Participant] = {agent.era: agent for agent in self.built.world.agents}

    def tell(self, message: Message) -> list[Event]:
        return list(self.agents[message.recipient].handle(message))

    def run_until_joined(self, era: str) -> Message:
        """Everything up to the first committed curve of ``era``; returns that confirm."""
        pending: list[Event] = []
        for name in ("trafo-1", "retailer", era):
            pending += [*self.agents[name].handle(Alarm(-900, "start"))]
        confirm: Message | None = None
        while pending:
            event = pending.pop(0)
            if isinstance(event, Alarm):
                if event.name == "commit" and event.index == 0 and confirm is None:
                    confirms = [e for e in self.agents[era].handle(event) if isinstance(e, Message)]
                    confirm = confirms[0] if confirms else None
            else:
                pending += self.tell(msgspec.structs.replace(event, sent_s=-900))
            if confirm is not None:
                return confirm
        raise AssertionError(f"{era} never committed a curve")


@pytest.fixture
def street() -> Street:
    return Street()


def refusal(*, street: Street, message: Message) -> tuple[str, str]:
    with pytest.raises(Refusal) as refused:
        street.tell(message)
    return str(refused.value.code), refused.value.where


def with_contract(message: Message, contract: Contract) -> Message:
    return Message(
        message.action, message.sender, message.recipient, message.transaction_id, message.message_id,
        ContractContent(contract=contract), message.ttl_s, message.lineage, message.sent_s,
    )  # fmt: skip


def sent(message: Message, seconds: int, sender: str | None = None) -> Message:
    return Message(
        message.action, sender or message.sender, message.recipient, message.transaction_id, message.message_id,
        message.content, message.ttl_s, message.lineage, seconds,
    )  # fmt: skip


def test_a_curve_in_time_is_taken_without_an_answer(street: Street) -> None:
    confirm = sent(street.run_until_joined("battery-01"), -300)
    assert street.tell(confirm) == []
    market = street.agents["market"]
    assert isinstance(market, Market)
    assert list(market.membership.books[0].offers) == ["battery-01"]


def test_a_curve_after_the_gate_is_refused(street: Street) -> None:
    confirm = street.run_until_joined("battery-01")
    code, where = refusal(street=street, message=sent(confirm, -119))
    assert (code, where.rsplit("/", 1)[-1]) == ("BIZ_GATE_CLOSED", "start")
    list(street.agents["market"].handle(Alarm(-120, "gate", 0)))
    assert refusal(street=street, message=sent(confirm, -300))[0] == "BIZ_GATE_CLOSED"


def test_nobody_speaks_for_another(street: Street) -> None:
    confirm = street.run_until_joined("battery-01")
    assert refusal(street=street, message=sent(confirm, -300, sender="battery-02"))[0] == "AUT_UNAUTHORIZED_ACTION"


def test_a_stranger_s_curve_is_refused(street: Street) -> None:
    confirm = street.run_until_joined("battery-01")
    contract = confirm.contract
    unknown = Contract(
        id=identifier(1, "other"),
        status=contract.status,
        commitments=contract.commitments,
        contractAttributes=contract.contractAttributes,
    )
    assert refusal(street=street, message=sent(with_contract(confirm, unknown), -300))[0] == "NET_ENTITY_NOT_FOUND"


def test_a_curve_that_names_a_price_above_the_cap_is_refused_and_the_round_goes_on_without_it(street: Street) -> None:
    confirm = street.run_until_joined("battery-01")
    attributes = confirm.contract.contractAttributes
    assert isinstance(attributes, EnergyContract)
    assert attributes.roles
    role = attributes.roles[0]
    assert role.roleInputs
    assert role.roleInputs.offerCurve
    points = (CurvePoint(price=0.1, powerKW=-5.0), CurvePoint(price=99.0, powerKW=5.0))
    body = replace_struct(role.roleInputs.offerCurve, curve=points, minExport=-5.0, maxExport=5.0)
    bad = replace_struct(role, roleInputs=RoleInputs(offerCurve=body))
    contract = replace_struct(confirm.contract, contractAttributes=replace_struct(attributes, roles=(bad,)))
    assert refusal(street=street, message=sent(with_contract(confirm, contract), -300))[0] == "POL_CURVE_INVALID"
    market = street.agents["market"]
    assert isinstance(market, Market)
    assert 0 not in market.membership.books


def replace_struct(struct, **changes):  # type: ignore[no-untyped-def]
    return msgspec.structs.replace(struct, **changes)


def test_a_member_cannot_join_twice_nor_under_an_offer_that_is_not_there() -> None:
    again = Street()
    first = again.run_until_joined("battery-01")
    content = with_contract(first, first.contract)
    asked = Message("init", "battery-01", "market", content.transaction_id, content.message_id, content.content)
    assert refusal(street=again, message=asked)[0] == "PRC_INVALID_TRANSITION"
    commitment = first.contract.commitments[0]
    elsewhere = replace_struct(
        first.contract,
        commitments=(replace_struct(commitment, offer=replace_struct(commitment.offer, id="market/king")),),
    )
    message = Message(
        "init", "battery-01", "market", asked.transaction_id, asked.message_id, ContractContent(contract=elsewhere)
    )
    assert refusal(street=again, message=message) == (
        "NET_ENTITY_NOT_FOUND",
        "/message/contract/commitments/0/offer/id",
    )


def lock(street: Street, energy_kwh: float, meter: str = "battery-01") -> Message:
    window = TimeWindow(start=QUARTERS.timestamp(0), end=QUARTERS.timestamp(900))
    content = lock_content(identifier(1, "lock"), (commitment(meter, "lock", energy_kwh),), window)
    return Message("confirm", "market", "utility", identifier(1, "t"), identifier(1, "m"), content)


def test_the_utility_locks_energy_once_and_never_beyond_the_connection(street: Street) -> None:
    utility = street.agents["utility"]
    assert isinstance(utility, Utility)
    assert refusal(street=street, message=lock(street, 43.7 * 0.25))[0] == "BIZ_CAP_EXCEEDED"
    (answer,) = street.tell(lock(street, 43.6 * 0.25))
    assert isinstance(answer, Message)
    assert answer.action == "on_confirm"
    assert refusal(street=street, message=lock(street, 0.1))[0] == "BIZ_CAP_EXCEEDED"
    assert refusal(street=street, message=lock(street, 0.1, meter="nobody"))[0] == "NET_ENTITY_NOT_FOUND"


def test_an_answer_to_nothing_that_was_asked_is_refused(street: Street) -> None:
    message = lock(street, 1.0)
    for action in ("on_init", "on_confirm"):
        stray = Message(action, "utility", "market", message.transaction_id, message.message_id, message.content)
        assert refusal(street=street, message=stray)[0] == "PRC_INVALID_TRANSITION"


def test_a_refused_lock_fails_the_round_and_nobody_is_awarded(street: Street) -> None:
    confirm = street.run_until_joined("battery-01")
    street.tell(sent(confirm, -300))
    pending: list[Event] = list(street.agents["market"].handle(Alarm(-120, "gate", 0)))
    locked: Message | None = None
    while pending:
        event = pending.pop(0)
        if isinstance(event, Message) and event.recipient == "utility":
            locked = event
            break
        if isinstance(event, Message):
            pending += street.tell(event)
    assert locked is not None
    error = ErrorBody(errorCode="BIZ_CAP_EXCEEDED", errorMessage="no")
    nack = Message(
        NACK, "utility", "market", locked.transaction_id, locked.message_id, NackContent(status="NACK", error=error)
    )
    assert street.tell(nack) == []
    market = street.agents["market"]
    assert isinstance(market, Market)
    assert market.rounds[0].stage is Stage.FAILED
    assert 0 not in market.membership.books


def test_an_action_that_nobody_serves_is_refused(street: Street) -> None:
    message = lock(street, 1.0)
    stray = Message("confirm", "market", "catalogue", message.transaction_id, message.message_id, message.content)
    assert refusal(street=street, message=stray)[0] == "SCH_TYPE_NOT_SUPPORTED"


# --- transformer and catalogue, alone ------------------------------------------------------------------------------


def transformer() -> Transformer:
    return Transformer(
        mesa.Model(rng=1), "tx", Ids(1, "tx"), catalogue="catalogue", calendar=QUARTERS, parent=None,
        rated_kva=250, import_limit_kw=100.0, export_limit_kw=50.0,
    )  # fmt: skip


def reading(flow_kw: float, quality: str = "ACTUAL") -> Message:
    window = TimeWindow(start=QUARTERS.timestamp(0), end=QUARTERS.timestamp(900))
    read_ = MeterReading(
        timeWindow=window, consumedEnergy=max(flow_kw, 0) / 4, producedEnergy=max(-flow_kw, 0) / 4, unit="kWh",
        quality=quality,  # type: ignore[arg-type]
    )  # fmt: skip
    delivery = EnergyDelivery(ENERGY, deliveryStatus="COMPLETED", meterId="tx", meterReadings=(read_,))
    contract = Contract(
        id=identifier(1, "c"),
        status=ContractStatus(code="ACTIVE"),
        commitments=(commitment("tx", "metering", 0.0),),
        performance=(Performance(id="tx/0", status=Descriptor(code="COMPLETED"), performanceAttributes=delivery),),
    )
    return Message(
        "on_status", "metering", "tx", identifier(1, "t"), identifier(1, "m"), ContractContent(contract=contract)
    )


def published(events: Iterable[Event]) -> tuple[float, float, float]:
    """Forward limit, reverse limit and load of the one GridNode that is published."""
    (event,) = events
    assert isinstance(event, Message)
    assert isinstance(event.content, PublishContent)
    resources = event.content.catalogs[0].resources
    assert resources
    node = resources[0].resourceAttributes
    assert isinstance(node, GridNode)
    limits = node.gridConstraints
    return limits.maxForwardFlowKW or 0.0, limits.maxReverseFlowKW or 0.0, limits.currentLoadKW or 0.0


def test_a_transformer_publishes_its_limits_and_its_load() -> None:
    tx = transformer()
    assert published(tx.on_start(Alarm(0, "start"))) == (100.0, 50.0, 0.0)
    assert published(tx.on_status(reading(-30.0))) == (100.0, 50.0, -30.0)


def test_a_limit_gives_way_by_the_measured_gap_and_recovers_by_halves() -> None:
    tx = transformer()
    assert published(tx.on_status(reading(104.0))) == pytest.approx((100 - 4.2, 50.0, 104.0))
    assert published(tx.on_status(reading(90.0)))[0] == pytest.approx(100 - 2.1)
    assert published(tx.on_status(reading(90.0)))[0] == pytest.approx(100 - 1.05)


def test_a_gap_withholds_at_most_a_quarter_of_a_limit() -> None:
    assert published(transformer().on_status(reading(-120.0)))[1] == pytest.approx(37.5)


def test_without_a_valid_reading_a_transformer_falls_back_on_what_was_safe_and_recovers_slowly() -> None:
    tx = transformer()
    tx.on_status(reading(30.0))
    assert published(tx.on_status(reading(0.0, "MISSING")))[:2] == (30.0, 0.0)
    assert published(tx.on_status(reading(20.0)))[:2] == pytest.approx((65.0, 25.0))


def test_a_catalogue_finds_by_type_and_keeps_the_latest_version() -> None:
    catalogue = Catalogue(mesa.Model(rng=1), "catalogue", Ids(1, "catalogue"), QUARTERS)
    tx = transformer()
    for events in (tx.on_start(Alarm(0, "start")), tx.on_status(reading(12.0))):
        for event in events:
            assert isinstance(event, Message)
            (answer,) = catalogue.handle(event)
            assert isinstance(answer, Message)
            assert answer.action == "catalog/on_publish"
    asked = DiscoverContent(intent=SearchIntent(textSearch="GridNode"))
    (found,) = catalogue.handle(
        Message("discover", "market", "catalogue", identifier(1, "t"), identifier(1, "m"), asked)
    )
    assert isinstance(found, Message)
    assert isinstance(found.content, CatalogsContent)
    assert len(found.content.catalogs) == 1
    nothing = DiscoverContent(intent=SearchIntent(textSearch="Tariff"))
    (empty,) = catalogue.handle(
        Message("discover", "market", "catalogue", identifier(1, "t"), identifier(1, "n"), nothing)
    )
    assert isinstance(empty, Message)
    assert empty.content == CatalogsContent(catalogs=())


def test_a_resource_applies_once_for_the_first_of_two_open_roles_that_fit(street: Street) -> None:
    (apply,) = street.tell(two_open_roles(street, "battery-01"))
    assert isinstance(apply, Message)
    resource = street.agents["battery-01"]
    assert isinstance(resource, Battery)
    assert resource.terms is not None
    offer = apply.contract.commitments[0].offer
    assert offer
    assert (resource.terms.offer_id, resource.terms.contract_id) == (offer.id, apply.contract.id)
    assert offer.id != "market/later"


def two_open_roles(street: Street, era: str) -> Message:
    """The market's answer to ``era``, with every open role a second time under another id."""
    asks = [e for e in street.agents[era].handle(Alarm(-900, "start")) if isinstance(e, Message)]
    (answer,) = (e for ask in asks if ask.recipient == "market" for e in street.tell(ask))
    assert isinstance(answer, Message)
    assert isinstance(answer.content, CatalogsContent)
    (catalog,) = answer.content.catalogs
    assert catalog.offers
    later = tuple(replace_struct(offer, id="market/later") for offer in catalog.offers)
    content = CatalogsContent(catalogs=(replace_struct(catalog, offers=catalog.offers + later),))
    return Message(
        answer.action, answer.sender, answer.recipient, answer.transaction_id, answer.message_id, content, answer.ttl_s
    )
