"""Charging at somebody's charge point, from the quote to the refund; and what happens when it does not go as agreed."""

from __future__ import annotations

from decimal import Decimal

import pytest
from pytest import approx

from agents.deal_forms import commitment_of
from results.run import Run
from sim.clock import Interval
from sim.wire.core import KnownContract
from sim.wire.messages import KnownContractContent, Message
from tests.use_cases.deal_cases import (
    failures,
    heard,
    net_zero,
    of_contract,
    paid,
    parts,
    payment,
    price,
    refused,
    signals,
)
from tests.use_cases.deal_cases import session as session_in
from tests.use_cases.library import Library, Told
from tests.use_cases.market_cases import Live, balance

NAME, MISHAPS, ROUTE = "destination-charging", "destination-charging-mishaps", "en-route-charging"
LATE = "wire.delays=[{from: metering, action: on_status, by_s: %d, since: '2016-05-17T17:58:00', until: '%s'}]"


@pytest.fixture(scope="module")
def run(library: Library) -> Run:
    return library.run_of(NAME)


@pytest.fixture(scope="module")
def mishaps(library: Library) -> Run:
    return library.run_of(MISHAPS)


def drawn_kwh(run: Run, connector: str) -> float:
    rows = run.setpoints[run.setpoints.era == connector]
    return -float(rows.delivered_kw.sum()) * run.calendar.interval_s / 3600


# as agreed


def test_the_parts_of_the_quote_sum_to_its_total(run: Run) -> None:
    """Quotation of the charging guide: 112.50 + 20 − 15 + 10 + 13.64 + 2.81 = 143.95 for 2.5 kWh."""
    (quoted,) = of_contract(heard(run, "driver-1", "on_select"))
    assert parts(quoted) == {
        "energy": 112.50, "surcharge": 20.0, "discount": -15.0, "service": 10.0, "tax": 13.64, "finder": 2.81
    }  # fmt: skip
    assert price(quoted) == 143.95 == approx(sum(parts(quoted).values()))


def test_what_was_paid_beforehand_comes_back_against_what_was_drawn(run: Run) -> None:
    final = list(of_contract(heard(run, "driver-1", "on_update")))[-1]
    assert price(final) == approx(sum(parts(final).values())) == 135.16
    assert payment(final) == ("PARTIALLY_REFUNDED", approx(143.95 - 135.16))
    assert balance(run, "driver-1") == Decimal("-135.16")
    assert paid(run, "prepayment", "driver-1") == 0
    assert net_zero(run)


def test_a_receipt_is_the_charge_data_record_times_the_price(library: Library) -> None:
    """5.5 kWh at 18 are 99; the guide's receipt bills 2.5 kWh of a 5.0 kWh session."""
    run = library.run_of(
        NAME,
        "providers.charge-north.items.IN-NOR-E042-1.price=18",
        "seekers.driver-1.errands=[{at: '17:40', search: {filter: \"$[?@.id == 'IN-NOR-E042-1']\"}, kwh: 6,"
        " vehicle: {need_kwh: 5.5, kw: 60}, diary: [{at: '17:45', do: start}, {at: '17:56', do: stop}]}]",
    )
    assert paid(run, "energy", "driver-1") == Decimal("99.00")
    assert drawn_kwh(run, "IN-NOR-E042-1") == approx(5.5)


def test_a_car_that_is_full_pays_for_standing_there_when_its_grace_is_over(run: Run) -> None:
    """30 kW from 18:00:01, nothing from 18:02 to 18:04: 2 kWh at 18:06, and until 18:25 nineteen minutes, ten of them free."""
    assert paid(run, "idle") == 18


def test_energy_only_rises_and_an_interruption_tells_itself(run: Run) -> None:
    told = [session_in(c) for c in of_contract(heard(run, "driver-1", "on_status")) if "performance" in c]
    energies = [body["meteredEnergyKWh"] for body in told if "meteredEnergyKWh" in body]
    assert energies == sorted(energies)
    assert [body["sessionStatus"] for body in told] == ["PENDING", "INTERRUPTED", "ACTIVE", "ACTIVE", "ACTIVE"]


def test_the_feeder_has_seen_the_car(run: Run) -> None:
    """1.5 kWh in the five minutes from 18:00 are 18 kW on average."""
    (at_six,) = run.setpoints[(run.setpoints.era == "IN-NOR-E042-1") & (run.setpoints.interval == 6)].delivered_kw
    assert at_six == approx(-18, abs=0.2)
    flow = run.nodes[(run.nodes.node == "trafo") & (run.nodes.interval == 6)]
    assert float(flow.wire_lv_kw.iloc[0]) == approx(18, abs=0.5)
    assert float(flow.wire_hv_kw.iloc[0]) > float(flow.wire_lv_kw.iloc[0])
    assert drawn_kwh(run, "IN-NOR-E042-1") == approx(2.0, abs=1e-3)


def test_trying_to_cancel_tells_what_it_would_cost_and_changes_nothing(run: Run) -> None:
    tried, done = of_contract(heard(run, "driver-2", "on_cancel"))
    assert (tried["status"]["code"], done["status"]["code"]) == ("ACTIVE", "CANCELLED")
    assert (price(tried), price(done)) == (0, 0)  # more than half an hour before
    assert "driver-2" not in {*run.postings.payer, *run.postings.payee}


def test_a_late_cancel_that_is_tried_says_the_fee_and_the_refund_that_it_then_comes_to(library: Library) -> None:
    """A tenth of 236, and the rest comes back; the reservation stands until it is meant."""
    tries = "[{at: '18:18', do: cancel, say: {try: true}}, {at: '18:20', do: cancel}]"
    run = library.run_of(MISHAPS, f"seekers.wavering.errands.0.diary={tries}")
    told = list(of_contract(heard(run, "wavering", "on_cancel")))
    assert [c["contractAttributes"]["status"] for c in told] == ["ACTIVE", "TERMINATED"]
    assert [price(c) for c in told] == [23.6, 23.6]
    assert [payment(c) for c in told] == [("PARTIALLY_REFUNDED", approx(212.4))] * 2
    assert payment(list(of_contract(heard(run, "wavering", "on_update")))[-1]) == payment(told[-1])
    assert balance(run, "wavering") == Decimal("-23.60")


def test_terms_begin_a_payment_and_a_reservation_says_how_long_it_is_kept(run: Run) -> None:
    (terms,) = of_contract(heard(run, "driver-1", "on_init"))
    assert payment(terms) == ("INITIATED", 143.95)
    (bound_by,) = of_contract(heard(run, "charge-north", "confirm"))
    assert bound_by["settlements"] == terms["settlements"]
    (paid_for, *_) = of_contract(heard(run, "driver-1", "on_status"))
    assert payment(paid_for) == ("COMPLETED", 143.95)
    (agreed,) = of_contract(heard(run, "driver-1", "on_confirm"))
    kept = session_in(agreed)
    assert (kept["reservationId"], kept["connectorStatus"], kept["gracePeriodMinutes"]) == (
        agreed["id"],
        "PREPARING",
        10,
    )


def test_who_takes_back_terms_that_were_never_confirmed_gets_all_back() -> None:
    """The payment is made with the terms; the reservation would only be made with a confirmation, which is held up here."""
    held_up = "{from: wavering, action: confirm, by_s: 600, since: '2016-05-17T17:40:00', until: '2016-05-17T17:50:00'}"
    live = Live(MISHAPS, f"wire.delays=[{held_up}]")
    operator, answers = live.agent("charge-north"), []

    def take_back(interval: Interval, _: object) -> None:
        if interval.index == 2:
            (deal,) = [deal for deal in operator.deals.values() if deal.taker == "wavering"]
            commitment = commitment_of(deal.item.name, deal.item.offer.id, deal.kwh)
            content = KnownContractContent(contract=KnownContract(id=deal.contract.id, commitments=(commitment,)))
            ids = (deal.transaction_id, operator.ids.fresh())
            answers.extend(operator.handle(Message("cancel", "wavering", "charge-north", *ids, content)))

    live.built.world.run(take_back)
    (returned,) = answers[0].contract.settlements
    assert returned.settlementAttributes.paymentStatus == "REFUNDED"
    assert returned.settlementAttributes.amount.value == 236
    assert answers[0].contract.contractAttributes.status == "TERMINATED"
    assert not list(live.ledger("wavering"))


def test_only_what_lies_within_the_radius_is_found(library: Library) -> None:
    near = library.run_of(NAME, "seekers.driver-1.errands.0.search.within_m=300")
    assert heard(near, "driver-1", "on_discover") == [{"catalogs": []}]
    assert balance(near, "driver-1") == 0


# not as agreed


def test_everybody_pays_what_was_drawn_or_what_the_missed_reservation_costs(mishaps: Run) -> None:
    """20 INR a kWh and 18 % tax; a tenth of the quote of 236 for coming not at all, or cancelling ten minutes before."""
    energy = {era: balance(mishaps, era) for era in ("thirsty", "second", "absent", "wavering", "unlucky")}
    assert energy == {
        "thirsty": Decimal("-188.80"),
        "second": Decimal("-118.00"),
        "absent": Decimal("-23.60"),
        "wavering": Decimal("-23.60"),
        "unlucky": Decimal(0),
    }
    assert net_zero(mishaps)


def test_more_drawn_than_paid_for_is_charged_and_less_is_refunded(mishaps: Run) -> None:
    last = {era: list(of_contract(heard(mishaps, era, "on_update")))[-1] for era in ("thirsty", "second", "wavering")}
    assert payment(last["thirsty"]) == ("COMPLETED", approx(188.8 - 118))
    assert payment(last["second"]) == ("PARTIALLY_REFUNDED", 118.0)
    assert payment(last["wavering"]) == ("PARTIALLY_REFUNDED", approx(236 * 0.9))


def test_a_connector_that_is_taken_a_running_session_and_a_second_cancel_are_refused(mishaps: Run) -> None:
    assert refused(mishaps) == [
        ("second", "charge-north", "update", "BIZ_CAP_EXCEEDED"),
        ("second", "charge-north", "cancel", "PRC_INVALID_TRANSITION"),
        ("wavering", "charge-north", "cancel", "PRC_INVALID_TRANSITION"),
    ]


def test_two_cars_in_one_interval_each_pay_for_what_they_took(mishaps: Run) -> None:
    """The first leaves at 18:01 and the second begins at 18:02, in the same five minutes of the same meter."""
    assert paid(mishaps, "energy", "thirsty") == 160
    assert paid(mishaps, "energy", "second") == 100
    assert drawn_kwh(mishaps, "north-1") == approx(8 + 5, abs=2e-3)


def test_an_operator_that_withdraws_refunds_all_and_says_why(mishaps: Run) -> None:
    (told,) = of_contract(heard(mishaps, "unlucky", "on_cancel"))
    assert payment(told) == ("REFUNDED", 236.0)
    assert told["descriptor"]["shortDesc"] == "the connector is defective"
    assert told["contractAttributes"]["status"] == "TERMINATED"


def test_a_stop_that_is_said_twice_and_a_start_after_it_are_refused(library: Library) -> None:
    diary = "[{at: '18:00', do: start}, {at: '18:02', do: start}, {at: '18:03', do: stop}, {at: '18:04', do: stop}]"
    run = library.run_of(NAME, f"seekers.driver-1.errands.0.diary={diary}")
    assert refused(run) == [("driver-1", "charge-north", "update", "PRC_INVALID_TRANSITION")] * 2
    assert paid(run, "energy", "driver-1") == 45  # 30 kW until the interruption at 18:02: 1 kWh


def test_nobody_is_served_when_the_operator_is_closed(library: Library) -> None:
    run = library.run_of(MISHAPS, "providers.charge-south.items.south-1.open={from: '06:00', to: '18:00'}")
    assert ("unlucky", "charge-south", "init", "POL_DENIED") in refused(run)


def test_a_power_cut_leaves_the_car_with_what_it_has_drawn(library: Library) -> None:
    """The line is out from 18:00 to 18:05: the car, which came at 17:50, gets nothing in that time and pays for nothing."""
    events = (
        "[{at: '2016-05-17T17:55:00', line: north, state: out}, {at: '2016-05-17T18:00:00', line: north, state: in}]"
    )
    run = library.run_of(MISHAPS, f"grid_events={events}")
    assert drawn_kwh(run, "north-1") < 13
    assert paid(run, "energy") == approx(
        Decimal(20) * Decimal(str(round(drawn_kwh(run, "north-1"), 3))), abs=Decimal("0.05")
    )
    assert net_zero(run)


# meters that say nothing


def test_a_reading_that_is_late_is_waited_for(library: Library, run: Run) -> None:
    late = library.run_of(NAME, LATE % (20, "2016-05-17T18:30:00"))
    assert Told.of(late).balances == Told.of(run).balances


def test_a_reading_that_comes_too_late_to_be_believed_is_sent_again_and_counts(library: Library, run: Run) -> None:
    late = library.run_of(NAME, LATE % (1800, "2016-05-17T18:30:00"))
    assert Told.of(late).balances == Told.of(run).balances
    assert "estimated" not in signals(list(of_contract(heard(late, "driver-1", "on_update")))[-1])


def test_a_reading_that_never_comes_is_estimated_by_the_connector_and_flagged(library: Library, run: Run) -> None:
    silent = library.run_of(NAME, LATE % (86400, "2016-05-17T23:00:00"))
    contracts = list(of_contract(heard(silent, "driver-1", "on_update")))
    assert signals(contracts[-1])["estimated"] == 2
    assert balance(silent, "driver-1") == approx(balance(run, "driver-1"), abs=Decimal("0.02"))


# on the road


def test_the_cheapest_that_can_serve_in_time_within_the_price_is_taken(library: Library) -> None:
    """22 is above 20; at 15 somebody stands until 13:05, at 9 it is 25 km away: 17 it is."""
    run = library.run_of(ROUTE)
    assert {
        s for c in of_contract(heard(run, "driver", "on_select")) for s in [c["commitments"][0]["resources"][0]["id"]]
    } == {"mill-1"}
    assert paid(run, "energy", "driver") == 17 * 18
    assert refused(run) == [("driver", "lake-stop", "select", "BIZ_CAP_EXCEEDED")]
    found = {r["id"] for c in heard(run, "driver", "on_discover") for k in c["catalogs"] for r in k["resources"]}
    assert found == {"mill-1", "lake-1"}
    assert not failures(run)


def test_a_request_that_nobody_can_serve_ends_with_no_contract(library: Library) -> None:
    run = library.run_of(
        ROUTE, "seekers.driver.errands.0.request.price=16", "seekers.driver.errands.0.request.wait_min=1"
    )
    assert paid(run, "energy", "driver") == 0
    assert heard(run, "driver", "on_init") == []
