"""The trade ledger: platforms put, utilities record, nobody writes for another, and every digest can be had again."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sim.contracts.trade_rows import CANCELLED, CURTAILED, SIDES, TERMS, TURNS, Entry, faults_of, row_digest
from sim.wire.basics import Breach
from sim.wire.codes import Refusal
from sim.wire.messages import Content
from sim.wire.trade_ledger import LedgerPut, LedgerRecord, LedgerRow, TradeDetail, TradeStatus
from tests.agents.ledgers import BUYER_APP, KEY, NORTH, SELLER_APP, SOUTH, Desk, put, record


def refused(desk: Desk, sender: str, content: Content) -> tuple[str, str]:
    """Code and pointer of a refusal; nothing of the ledger has changed."""
    before = msgspec.json.encode(desk.ledger.rows)
    made = desk.ledger.ids._made
    with pytest.raises(Refusal) as refusal:
        desk.ask(sender, content)
    assert msgspec.json.encode(desk.ledger.rows) == before
    assert desk.ledger.ids._made == made
    return refusal.value.code, refusal.value.where


# --- putting -------------------------------------------------------------------------------------------------------------


def test_a_trade_that_both_platforms_put_alike_is_confirmed() -> None:
    desk = Desk()
    first = desk.ask(SELLER_APP, put("SELLER"))
    assert (desk.row.statusBuyerDiscom, desk.row.statusSellerDiscom) == ("PENDING", "PENDING")
    second = desk.ask(BUYER_APP, put("BUYER"))
    assert (desk.row.statusBuyerDiscom, desk.row.statusSellerDiscom) == ("CONFIRMED", "CONFIRMED")
    assert (first.recordId, first.creationTime) == (second.recordId, second.creationTime)
    assert first.creationTime == "2026-01-15T10:20:31+00:00"
    assert first.rowDigest != second.rowDigest == desk.row.rowDigest
    assert first.success
    assert second.success


def test_a_blocking_ledger_waits_for_both_utilities() -> None:
    desk = Desk(blocking=True)
    desk.agreed()
    assert (desk.row.statusBuyerDiscom, desk.row.statusSellerDiscom) == ("PENDING", "PENDING")
    assert refused(desk, NORTH, record("SELLER", kwh=11.0))[0] == "PRC_INVALID_TRANSITION"
    desk.ask(NORTH, record("SELLER", "CONFIRMED"))
    desk.ask(SOUTH, record("BUYER", "CONFIRMED"))
    assert (desk.row.statusBuyerDiscom, desk.row.statusSellerDiscom) == ("CONFIRMED", "CONFIRMED")


def test_a_put_that_comes_again_under_its_reference_gives_the_same_receipt_and_writes_nothing() -> None:
    desk = Desk()
    first = desk.ask(SELLER_APP, put("SELLER", clientReference="s-1"))
    desk.ask(BUYER_APP, put("BUYER", clientReference="s-1"))  # another caller's reference is its own
    assert desk.ask(SELLER_APP, put("SELLER", clientReference="s-1")) == first
    assert len(desk.ledger.history(*KEY)) == 2


def test_another_body_under_a_reference_is_a_conflict() -> None:
    desk = Desk()
    desk.ask(SELLER_APP, put("SELLER", clientReference="s-1"))
    again = put("SELLER", clientReference="s-1", tradeTime="2026-01-15T10:20:31Z")
    assert refused(desk, SELLER_APP, again) == ("PRC_CONFLICT", "/message/clientReference")


def test_a_put_without_a_reference_that_says_nothing_new_writes_nothing() -> None:
    desk = Desk()
    desk.agreed()
    partial = replace(put("SELLER"), **dict.fromkeys(TERMS, msgspec.UNSET))
    assert desk.ask(SELLER_APP, partial).rowDigest == desk.row.rowDigest
    assert len(desk.ledger.history(*KEY)) == 2


MORE = (TradeDetail(tradeQty=13.0, tradeType="ENERGY", tradeUnit="KWH"),)


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("buyerId", "CA-2"),
        ("sellerId", "DER-2"),
        ("discomIdBuyer", NORTH),
        ("discomIdSeller", SOUTH),
        ("platformIdSeller", BUYER_APP),
        ("tradeTime", "2026-01-15T10:20:31Z"),
        ("deliveryStartTime", "2026-01-15T10:30:00Z"),
        ("deliveryEndTime", "2026-01-15T12:00:00Z"),
        ("tradeDetails", MORE),
        ("recordId", "rec-1"),
    ],
)
def test_the_other_side_s_put_has_to_agree_in_every_term(field: str, other: Any) -> None:
    desk = Desk()
    desk.ask(SELLER_APP, put("SELLER"))
    assert refused(desk, BUYER_APP, put("BUYER", **{field: other})) == ("PRC_CONFLICT", f"/message/{field}")


def test_one_moment_may_be_written_in_two_ways() -> None:
    desk = Desk()
    desk.ask(SELLER_APP, put("SELLER"))
    desk.ask(BUYER_APP, put("BUYER", tradeTime="2026-01-15T15:50:30+05:30"))
    assert desk.row.statusBuyerDiscom == "CONFIRMED"
    assert desk.row.tradeTime == "2026-01-15T10:20:30Z"


@pytest.mark.parametrize("name", TERMS)
def test_each_side_has_to_state_the_whole_trade_once(name: str) -> None:
    incomplete = {name: msgspec.UNSET}
    desk = Desk()
    assert refused(desk, SELLER_APP, put("SELLER", **incomplete)) == ("SCH_REQUIRED_FIELD_MISSING", f"/message/{name}")
    desk.ask(SELLER_APP, put("SELLER"))
    assert refused(desk, BUYER_APP, put("BUYER", **incomplete)) == ("SCH_REQUIRED_FIELD_MISSING", f"/message/{name}")


def test_delivery_ends_after_it_starts() -> None:
    wrong = put("SELLER", deliveryEndTime="2026-01-15T11:00:00Z")
    assert refused(Desk(), SELLER_APP, wrong) == ("SCH_SCHEMA_VALIDATION_FAILED", "/message/deliveryEndTime")


@pytest.mark.parametrize(
    ("sender", "content", "where"),
    [
        pytest.param(NORTH, put("SELLER"), "/context/bapId", id="a utility puts"),
        pytest.param("stranger", put("SELLER"), "/context/bapId", id="a stranger puts"),
        pytest.param(SELLER_APP, put("SELLER_DISCOM"), "/message/role", id="a platform puts as a utility"),
        pytest.param(SELLER_APP, put("BUYER"), "/message/platformIdBuyer", id="one platform puts for the other"),
        pytest.param(SELLER_APP, record("SELLER", "COMPLETED"), "/context/bapId", id="a platform records"),
        pytest.param(SOUTH, record("SELLER", "COMPLETED"), "/message/role", id="one utility records for the other"),
        pytest.param(
            NORTH, record("SELLER", statusBuyerDiscom="CONFIRMED"), "/message/statusBuyerDiscom", id="in its field"
        ),
    ],
)
def test_nobody_writes_for_another(sender: str, content: Content, where: str) -> None:
    desk = Desk()
    if isinstance(content, LedgerPut):
        assert refused(desk, sender, content) == ("AUT_NOT_AUTHORIZED", where)
    desk.agreed()
    assert refused(desk, sender, content) == ("AUT_NOT_AUTHORIZED", where)


def test_a_utility_that_nobody_knows_has_no_trades() -> None:
    wrong = put("SELLER", discomIdBuyer="nowhere")
    assert refused(Desk(), SELLER_APP, wrong) == ("NET_ENTITY_NOT_FOUND", "/message/discomIdBuyer")


@pytest.mark.parametrize(
    ("who", "where"),
    [(SELLER_APP, "/context/bapId"), ("CA-0000123", "/message/buyerId"), ("DER-9981", "/message/sellerId")],
)
def test_who_is_suspended_puts_nothing_until_it_is_no_more(who: str, where: str) -> None:
    desk = Desk(may_trade=lambda era, at_s: era != who or at_s >= 37_232)
    assert refused(desk, SELLER_APP, put("SELLER")) == ("AUT_NOT_AUTHORIZED", where)
    desk.ask(SELLER_APP, put("SELLER"))


def test_a_new_row_cannot_be_named_by_who_puts_it() -> None:
    assert refused(Desk(), SELLER_APP, put("SELLER", recordId="mine")) == ("PRC_NOT_FOUND", "/message/recordId")


# --- recording -----------------------------------------------------------------------------------------------------------


def test_each_utility_records_its_own_side_and_the_row_completes() -> None:
    desk = Desk()
    receipt = desk.agreed()
    desk.ask(NORTH, record("SELLER", "COMPLETED", 11.0))
    last = desk.ask(SOUTH, record("BUYER", "COMPLETED", 11.9, recordId=receipt.recordId))
    row = desk.row
    assert (row.statusBuyerDiscom, row.statusSellerDiscom) == ("COMPLETED", "COMPLETED")
    (pushed,), (pulled,) = row.sellerFulfillmentValidationMetrics or (), row.buyerFulfillmentValidationMetrics or ()
    assert (pushed.validationMetricValue, pulled.validationMetricValue) == (11.0, 11.9)
    assert last.rowDigest == row.rowDigest


def test_a_row_is_found_by_its_id_alone() -> None:
    desk = Desk()
    receipt = desk.agreed()
    desk.ask(NORTH, LedgerRecord(role="SELLER_DISCOM", recordId=receipt.recordId, statusSellerDiscom="COMPLETED"))
    assert desk.row.statusSellerDiscom == "COMPLETED"


def test_a_row_that_nobody_put_is_not_found() -> None:
    desk = Desk()
    assert refused(desk, NORTH, record("SELLER", "COMPLETED")) == ("PRC_NOT_FOUND", "/message/transactionId")
    unknown = LedgerRecord(role="SELLER_DISCOM", recordId="rec-1")
    assert refused(desk, NORTH, unknown) == ("PRC_NOT_FOUND", "/message/recordId")
    desk.agreed()
    elsewhere = record("SELLER", "COMPLETED", recordId="rec-1")
    assert refused(desk, NORTH, elsewhere) == ("PRC_CONFLICT", "/message/recordId")


def test_a_record_names_its_row() -> None:
    with pytest.raises(Breach, match="transactionId and orderItemId, or recordId"):
        LedgerRecord(role="SELLER_DISCOM", transactionId="tx-123")


def test_a_record_that_comes_again_under_its_reference_gives_the_same_receipt() -> None:
    desk = Desk()
    desk.agreed()
    said = record("SELLER", "COMPLETED", 11.0, clientReference="n-1")
    first = desk.ask(NORTH, said)
    assert desk.ask(NORTH, said) == first
    assert len(desk.ledger.history(*KEY)) == 3
    other = record("SELLER", "COMPLETED", 12.0, clientReference="n-1")
    assert refused(desk, NORTH, other) == ("PRC_CONFLICT", "/message/clientReference")


def test_a_record_that_says_nothing_new_writes_nothing_and_a_note_alone_does() -> None:
    desk = Desk()
    desk.agreed()
    desk.ask(NORTH, record("SELLER", "CONFIRMED"))
    assert len(desk.ledger.history(*KEY)) == 2
    before = desk.row.rowDigest
    desk.ask(NORTH, record("SELLER", note="Meter out of reach"))
    *_, last = desk.ledger.history(*KEY)
    assert (last.seq, last.note, last.row_digest) == (2, "Meter out of reach", before)


STATUSES: tuple[TradeStatus, ...] = tuple(TURNS)


@pytest.mark.parametrize("first", STATUSES)
@pytest.mark.parametrize("second", STATUSES)
def test_a_status_only_moves_on(first: TradeStatus, second: TradeStatus) -> None:
    """From every status that a side can have to every other: what the table does not name is refused."""
    desk = Desk(blocking=True)
    desk.agreed()
    path: dict[TradeStatus, tuple[TradeStatus, ...]] = {"PENDING": (), "CONFIRMED": ("CONFIRMED",)}
    for status in path.get(first, (first,) if first in CANCELLED else ("CONFIRMED", first)):
        desk.ask(NORTH, record("SELLER", status))
    assert desk.row.statusSellerDiscom == first
    if second == first or second in TURNS[first]:
        desk.ask(NORTH, record("SELLER", second))
        assert desk.row.statusSellerDiscom == second
    else:
        found = refused(desk, NORTH, record("SELLER", second))
        assert found == ("PRC_INVALID_TRANSITION", "/message/statusSellerDiscom")


def test_a_trade_that_one_platform_alone_has_put_can_only_be_cancelled() -> None:
    desk = Desk()
    desk.ask(BUYER_APP, put("BUYER"))
    assert refused(desk, SOUTH, record("BUYER", "CONFIRMED"))[0] == "PRC_INVALID_TRANSITION"
    assert refused(desk, SOUTH, record("BUYER", kwh=1.0))[0] == "PRC_INVALID_TRANSITION"
    desk.ask(SOUTH, record("BUYER", "CANCELLED_POL_VIOLATION"))
    desk.ask(SELLER_APP, put("SELLER"))
    assert (desk.row.statusBuyerDiscom, desk.row.statusSellerDiscom) == ("CANCELLED_POL_VIOLATION", "PENDING")


@pytest.mark.parametrize("status", CANCELLED)
def test_a_trade_that_one_side_has_cancelled_is_not_completed_by_the_other(status: TradeStatus) -> None:
    desk = Desk()
    desk.agreed()
    desk.ask(NORTH, record("SELLER", status, note="Feeder outage"))
    found = refused(desk, SOUTH, record("BUYER", "COMPLETED", 11.9))
    assert found == ("PRC_INVALID_TRANSITION", "/message/statusBuyerDiscom")
    desk.ask(SOUTH, record("BUYER", status))
    assert refused(desk, NORTH, record("SELLER", kwh=1.0))[0] == "PRC_INVALID_TRANSITION"


def test_what_a_curtailed_trade_still_delivered_is_recorded() -> None:
    desk = Desk()
    desk.agreed()
    desk.ask(NORTH, record("SELLER", CURTAILED[0]))
    desk.ask(NORTH, record("SELLER", "COMPLETED", 4.0))
    assert desk.row.statusSellerDiscom == "COMPLETED"
    assert refused(desk, NORTH, record("SELLER", kwh=5.0))[0] == "PRC_INVALID_TRANSITION"


@pytest.mark.parametrize("value", [-0.001, -5.0])
def test_energy_that_was_pushed_or_pulled_is_never_negative(value: float) -> None:
    desk = Desk()
    desk.agreed()
    code, where = refused(desk, NORTH, record("SELLER", kwh=value))
    assert code == "SCH_SCHEMA_VALIDATION_FAILED"
    assert where == "/message/sellerFulfillmentValidationMetrics/0/validationMetricValue"


def test_a_metric_is_recorded_once() -> None:
    desk = Desk()
    desk.agreed()
    said = record("SELLER", kwh=1.0)
    twice = replace(said, sellerFulfillmentValidationMetrics=(said.sellerFulfillmentValidationMetrics or ()) * 2)
    assert refused(desk, NORTH, twice)[0] == "SCH_SCHEMA_VALIDATION_FAILED"


# --- reading -------------------------------------------------------------------------------------------------------------


def whole_day() -> Desk:
    """Three trades of one platform pair, two with the north selling and one with the south."""
    desk = Desk()
    for number, utilities in enumerate([(NORTH, SOUTH), (NORTH, SOUTH), (SOUTH, NORTH)]):
        changes = {
            "orderItemId": f"item-{number}",
            "discomIdSeller": utilities[0],
            "discomIdBuyer": utilities[1],
            "tradeTime": f"2026-01-15T10:0{number}:00Z",
            "deliveryStartTime": f"2026-01-15T1{3 - number}:00:00Z",
            "deliveryEndTime": "2026-01-15T15:00:00Z",
        }
        desk.ask(SELLER_APP, put("SELLER", **changes))
        desk.ask(BUYER_APP, put("BUYER", **changes))
    return desk


def items(rows: tuple[LedgerRow, ...]) -> list[str]:
    return [row.orderItemId.removeprefix("item-") for row in rows]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, "210"),
        ({"sortOrder": "asc"}, "012"),
        ({"sort": "deliveryStartTime", "sortOrder": "asc"}, "210"),
        ({"sort": "tradeTime"}, "210"),
        ({"discomIdSeller": NORTH}, "10"),
        ({"transactionId": KEY[0], "orderItemId": "item-1"}, "1"),
        ({"transactionId": KEY[0], "orderItemId": "item-9"}, ""),
        ({"tradeTimeFrom": "2026-01-15T10:01:00Z"}, "21"),
        ({"tradeTimeTo": "2026-01-15T11:01:00+01:00"}, "10"),
        ({"deliveryStartFrom": "2026-01-15T12:00:00Z", "deliveryStartTo": "2026-01-15T12:00:00Z"}, "1"),
        ({"deliveryEndFrom": "2026-01-15T15:00:01Z"}, ""),
        ({"limit": 2}, "21"),
        ({"limit": 2, "offset": 2}, "0"),
        ({"offset": 3}, ""),
        ({"buyerId": "CA-0000123", "platformIdBuyer": BUYER_APP}, "210"),
        ({"sellerId": "somebody"}, ""),
    ],
)
def test_rows_are_found_by_filters_and_come_in_pages(filters: dict[str, Any], found: str) -> None:
    assert "".join(items(whole_day().get(SOUTH, **filters))) == found


def test_a_platform_is_not_shown_what_the_other_s_customer_metered_and_utilities_see_it_all() -> None:
    desk = Desk()
    desk.agreed()
    desk.ask(NORTH, record("SELLER", "COMPLETED", 11.0))
    desk.ask(SOUTH, record("BUYER", "COMPLETED", 11.9))
    for utility in (NORTH, SOUTH):
        (row,) = desk.get(utility)
        assert row == desk.row
        assert row_digest(row) == row.rowDigest
    (bought,), (sold,) = desk.get(BUYER_APP), desk.get(SELLER_APP)
    assert bought == replace(desk.row, sellerFulfillmentValidationMetrics=msgspec.UNSET)
    assert sold == replace(desk.row, buyerFulfillmentValidationMetrics=msgspec.UNSET)
    assert bought.rowDigest == sold.rowDigest == desk.row.rowDigest


def test_one_platform_of_both_sides_sees_both() -> None:
    desk = Desk()
    both = {"platformIdBuyer": SELLER_APP}
    desk.ask(SELLER_APP, put("SELLER", **both))
    desk.ask(SELLER_APP, put("BUYER", **both))
    desk.ask(NORTH, record("SELLER", "COMPLETED", 11.0))
    desk.ask(SOUTH, record("BUYER", "COMPLETED", 11.9))
    assert desk.get(SELLER_APP) == (desk.row,)


def test_who_is_no_party_is_shown_nothing_and_a_stranger_is_refused() -> None:
    desk = Desk(platforms=(BUYER_APP, SELLER_APP, "third-app"), utilities=(NORTH, SOUTH, "east"))
    receipt = desk.agreed()
    for reader in ("third-app", "east"):
        assert desk.get(reader) == desk.get(reader, recordId=receipt.recordId) == ()
    with pytest.raises(Refusal) as refusal:
        desk.get("stranger")
    assert refusal.value.code == "AUT_NOT_AUTHORIZED"


# --- the history ---------------------------------------------------------------------------------------------------------


def lived() -> tuple[Entry, ...]:
    desk = Desk()
    desk.agreed()
    desk.ask(NORTH, record("SELLER", CURTAILED[0], note="Storm"))
    desk.ask(NORTH, record("SELLER", "COMPLETED", 11.0))
    desk.ask(SOUTH, record("BUYER", "COMPLETED", 11.9))
    history = desk.ledger.history(*KEY)
    assert history[-1].row_digest == desk.row.rowDigest
    return history


def test_every_digest_of_a_row_follows_from_its_history() -> None:
    history = lived()
    assert faults_of(history) == ()
    assert [(entry.actor, entry.action) for entry in history] == [
        (SELLER_APP, "put"),
        (BUYER_APP, "put"),
        (NORTH, "record"),
        (NORTH, "record"),
        (SOUTH, "record"),
    ]
    assert history[3].written == {
        "statusSellerDiscom": "COMPLETED",
        "sellerFulfillmentValidationMetrics": [
            {"validationMetricType": "ACTUAL_PUSHED", "validationMetricValue": "11"}
        ],
    }


LIVED = lived()


@given(st.integers(0, len(LIVED) - 1), st.sampled_from(Entry.__struct_fields__))
def test_whatever_is_changed_in_a_history_is_found(number: int, field: str) -> None:
    value = getattr(LIVED[number], field)
    other = {int: lambda: value + 1, str: lambda: f"{value}x", dict: lambda: value | {"buyerId": "CA-9"}}[type(value)]()
    changed = [*LIVED]
    changed[number] = replace(LIVED[number], **{field: other})
    assert faults_of(changed)


@pytest.mark.parametrize("number", range(len(LIVED) - 1))
def test_an_entry_that_is_dropped_or_exchanged_is_missed(number: int) -> None:
    assert faults_of([*LIVED[:number], *LIVED[number + 1 :]])
    assert faults_of([*LIVED[:number], LIVED[number + 1], LIVED[number], *LIVED[number + 2 :]])


def test_the_same_number_has_the_same_digest_however_it_is_written() -> None:
    (detail,) = MORE
    desk = Desk()
    desk.ask(SELLER_APP, put("SELLER", tradeDetails=MORE))
    text = msgspec.json.encode(desk.row).replace(b"13.0", b"13.000")
    assert row_digest(msgspec.json.decode(text, type=LedgerRow)) == desk.row.rowDigest
    assert detail.tradeQty == 13


def test_both_sides_have_their_own_fields() -> None:
    fields = [field for side in SIDES.values() for field in (side.utility, side.status, side.metrics)]
    assert len({*fields}) == 6
    assert {*fields} <= {*LedgerRow.__struct_fields__}


# --- whatever is said ----------------------------------------------------------------------------------------------------

SENDERS = st.sampled_from([SELLER_APP, BUYER_APP, NORTH, SOUTH])
STATUS = st.one_of(st.none(), st.sampled_from(STATUSES))
KWH = st.one_of(st.none(), st.integers(0, 12).map(float))
SIDE = st.sampled_from(["SELLER", "BUYER"])
SAID = st.one_of(
    st.sampled_from([(SELLER_APP, put("SELLER")), (BUYER_APP, put("BUYER"))]),
    st.tuples(st.just(NORTH), st.builds(record, st.just("SELLER"), STATUS, KWH)),
    st.tuples(st.just(SOUTH), st.builds(record, st.just("BUYER"), STATUS, KWH)),
    st.tuples(SENDERS, st.builds(put, SIDE, buyerId=st.sampled_from(["CA-0000123", "CA-2"]))),
    st.tuples(SENDERS, st.builds(record, SIDE, STATUS, KWH)),
)


@given(st.lists(SAID, max_size=12))
def test_whatever_is_said_a_row_keeps_its_terms_moves_on_only_and_can_be_recomputed(
    said: list[tuple[str, Content]],
) -> None:
    desk = Desk()
    before: LedgerRow | None = None
    for sender, content in said:
        try:
            desk.ask(sender, content)
        except Refusal:
            assert (desk.ledger.rows or (None,))[0] == before
            continue
        row = desk.row
        assert faults_of(desk.ledger.history(*KEY)) == ()
        assert row.rowDigest == row_digest(row) == desk.ledger.history(*KEY)[-1].row_digest
        if before is not None:
            assert all(getattr(row, name) == getattr(before, name) for name in ("recordId", "creationTime", *TERMS))
            for side in SIDES.values():
                was, now = getattr(before, side.status), getattr(row, side.status)
                assert now == was or now in TURNS[was]
        before = row
