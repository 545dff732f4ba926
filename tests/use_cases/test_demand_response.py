"""Demand response, both ways round: a utility calls its customers, or buys the reduction from an aggregator who calls its own."""

from __future__ import annotations

import io
from decimal import Decimal
from typing import Any

import pytest
from pytest import approx

from results.run import Run
from results.verify import render, verify
from scenarios.build import build
from scenarios.reader import read
from scenarios.timing import Stopwatch
from sim.errors import ScenarioError
from tests.use_cases.library import contracts_of
from tests.use_cases.market_cases import USE_CASES, Cases, Live, balance, balances, cases, said

EVENT_DAY = 7 * 48
AFTERNOON, EVENING = range(EVENT_DAY + 28, EVENT_DAY + 34), range(EVENT_DAY + 38, EVENT_DAY + 40)
"""Half-hours of 14 to 17 h and of 19 to 20 h on the day of the events."""
FACTORY, COLD_STORE, MILL = "seekers.factory", "seekers.cold-store", "seekers.mill"
CREDENTIAL = f"{FACTORY}.errands=[{{at: '08:00', search: {{type: EnergyResource}}, kw: 150, enrol: {{credentials: [%s], consents: [%s]}}}}]"
BOTH = "DATA_COLLECTION, DER_CONTROL"
OWNERSHIP = "type: MeterOwnershipCredential, issuer: utility"


@pytest.fixture(scope="module")
def run_programme(tmp_path_factory: pytest.TempPathFactory) -> Cases:
    return cases("demand-response", tmp_path_factory)


@pytest.fixture(scope="module")
def run_aggregator(tmp_path_factory: pytest.TempPathFactory) -> Cases:
    return cases("demand-response-aggregator", tmp_path_factory)


def about(bodies: list[dict[str, Any]], item: str) -> list[dict[str, Any]]:
    """The contracts of messages about an item."""
    found = [body["message"]["contract"] for body in bodies]
    return [contract for contract in found if contract["commitments"][0]["resources"][0]["id"] == item]


def metrics(run: Run, item: str, recipient: str) -> dict[str, float]:
    """How an event went, as its provider has measured it."""
    (report,) = [
        contract["contractAttributes"]["qualityMetrics"]
        for contract in about(said(run, "on_status", recipient=recipient), item)
        if "qualityMetrics" in contract["contractAttributes"]
    ]
    return {metric["metricId"]: metric["value"] for metric in report}


def drawn_kw(run: Run, era: str, intervals: range) -> list[float]:
    rows = run.setpoints[(run.setpoints.era == era) & run.setpoints.interval.isin(intervals)]
    return list(-rows.sort_values("interval").delivered_kw)


def errors(run: Run, recipient: str) -> list[str]:
    """Why an admission was refused, if it was."""
    return [body["error"]["errorCode"] for body in said(run, "on_init", recipient=recipient) if "error" in body]


# the golden event


def test_the_golden_event_comes_out_of_readings_and_a_baseline_of_3_of_5_days(run_programme: Cases) -> None:
    """Source: the published demand flexibility event, 400/280/120 -> 1800; 288 -> 112 kW, 93.33 %, 336 kWh, 1680."""
    run = run_programme()
    (call,) = about(said(run, "on_init", recipient="factory"), "afternoon")
    (role,) = [role for role in call["contractAttributes"]["roles"] if role["role"] == "PROSUMER"]
    assert role["roleInputs"]["baselineKW"] == approx(-400)
    (agreed,) = about(said(run, "on_confirm", recipient="factory"), "afternoon")
    assert agreed["consideration"][0]["considerationAttributes"]["value"] == approx(-1800)
    assert metrics(run, "afternoon", "factory") == {
        "baseline": approx(400),
        "metered": approx(288),
        "reduction": approx(112),
        "reduced": approx(336),
        "performance": approx(93.333333),
    }
    paid = run.postings[(run.postings.interval == AFTERNOON[-1]) & (run.postings.payee == "factory")]
    assert list(paid.amount) == [Decimal("1680.00")]


def test_the_factory_gives_way_by_what_it_has_committed_to_and_the_feeder_sees_it(run_programme: Cases) -> None:
    """408 kW would be drawn on the day: 2 % above its usual, so that 120 kW less are 112 kW below the baseline."""
    run = run_programme()
    assert drawn_kw(run, "factory", AFTERNOON) == approx([288] * 6)
    flows = run.nodes[run.nodes.node == "trafo"].set_index("interval").wire_lv_kw
    before, within = flows[AFTERNOON[0] - 1], flows[AFTERNOON[0]]
    assert abs(before) - abs(within) == approx(120, abs=0.5)


def test_who_opts_out_is_paid_until_then_and_draws_as_usual_again(run_programme: Cases) -> None:
    run = run_programme()
    assert drawn_kw(run, "cold-store", AFTERNOON) == approx([50, 50, 80, 80, 80, 80])
    reduced_kwh = 2 * (80 * (1.05 + 1 + 1) / 3 - 50) / 2
    assert metrics(run, "afternoon", "cold-store")["reduced"] == approx(reduced_kwh)
    assert balance(run, "cold-store", "incentive") == Decimal(f"{reduced_kwh * 5:.2f}")
    assert balance(run, "cold-store", "penalty") == 0


def test_breaking_ones_word_in_an_emergency_costs_more_than_the_rest_earns_less(run_programme: Cases) -> None:
    """Half an hour at 92 kW below the baseline, then none: 46 of 100 kWh, at 12; 54 kWh are missing, at 4 twice."""
    run = run_programme()
    assert drawn_kw(run, "factory", EVENING) == approx([308, 408])
    assert metrics(run, "evening", "factory")["performance"] == approx(46)
    assert balance(run, "factory", "penalty") == -54 * 4 * 2
    assert balance(run, "factory", "incentive") == Decimal(1680 + 46 * 12)


@pytest.mark.parametrize(("level", "penalty"), [("ADVISORY", 0), ("MANDATORY", 54 * 4)])
def test_how_urgent_a_call_is_is_a_signal_of_its_contract(run_programme: Cases, level: str, penalty: int) -> None:
    rule = "seekers.factory.answers=[{after_min: 5, opts_out_min: 30}]"
    call = "providers.utility.items.evening.call.level"
    run = run_programme(f"{call}={level}", rule, "providers.utility.items.afternoon.call.at=2016-05-11T00:30:00")
    assert balance(run, "factory", "penalty") == -penalty


def test_every_posting_has_two_sides_and_the_audit_finds_nothing(run_programme: Cases, run_aggregator: Cases) -> None:
    for run in (run_programme(), run_aggregator()):
        assert sum(balances(run).values()) == 0
        report = verify(run)
        assert report.findings == 0, render(report)


# admission


def test_an_enrolment_is_verified_consented_to_and_certified(run_programme: Cases) -> None:
    run = run_programme()
    (terms, *_) = about(said(run, "on_init", recipient="factory"), "flex-2026")
    shown = terms["performance"][0]["performanceAttributes"]
    assert shown["credentialVerification"]["status"] == "VERIFIED"
    assert shown["conflictCheck"]["hasConflict"] is False
    assert [one["type"] for one in shown["requiredConsents"]] == ["DATA_COLLECTION", "DER_CONTROL"]
    (agreed,) = about(said(run, "on_confirm", recipient="factory"), "flex-2026")
    enrolled = agreed["performance"][0]["performanceAttributes"]
    assert enrolled["status"] == "ACTIVE"
    assert enrolled["credential"]["type"] == "ProgramEnrollmentCredential"


def test_a_meter_that_is_enrolled_elsewhere_is_not_paid_twice(run_programme: Cases) -> None:
    """wire.md, section 8, row 14."""
    run = run_programme()
    (body,) = said(run, "on_init", recipient="mill")
    assert body["error"]["errorCode"] == "BIZ_ENROLLMENT_CONFLICT"
    conflict = body["message"]["contract"]["performance"][0]["performanceAttributes"]["conflictCheck"]
    assert conflict["conflictingEnrollments"][0]["conflictType"] == "METER_ALREADY_ENROLLED"
    assert "mill" not in balances(run)


@pytest.mark.parametrize(
    ("credential", "check"),
    [
        (f"{{{OWNERSHIP}, revoked: 2016-05-10T12:00:00}}", "STATUS"),
        (f"{{{OWNERSHIP}, until: 2016-05-11T07:00:00}}", "EXPIRY"),
        (f"{{{OWNERSHIP}, holder: cold-store}}", "BINDING"),
        (f"{{{OWNERSHIP}, claims: {{meterId: mill}}}}", "BINDING"),
        ("", "is not shown"),
    ],
    ids=["revoked", "expired", "another's", "of another meter", "none"],
)
def test_who_cannot_prove_it_is_not_admitted_and_not_called(credential: str, check: str) -> None:
    """wire.md, section 8, row 11."""
    live = Live("demand-response", CREDENTIAL % (credential, BOTH), "duration_h=24", "providers.utility.diary=[]")  # fmt: skip
    live.to_the_end()
    (body,) = live.said("on_init", "factory")
    assert body["error"]["errorCode"] == "SEC_CREDENTIAL_VERIFICATION_FAILED"
    assert check in body["error"]["errorMessage"]
    assert not list(live.ledger("factory"))


def test_who_does_not_consent_is_refused(run_programme: Cases) -> None:
    live = Live("demand-response", CREDENTIAL % (f"{{{OWNERSHIP}}}", "DATA_COLLECTION"), "duration_h=24")
    live.to_the_end()
    (record,) = live.nacks("confirm")
    assert "DER_CONTROL" in str(record)
    assert not list(live.ledger("factory"))


def test_nobody_is_admitted_while_the_registry_cannot_be_asked() -> None:
    """wire.md, section 8, row 12: closed where somebody would be bound."""
    outage = "registry.outages=[{from: 2016-05-11T07:00:00, to: 2016-05-11T08:30:00}]"
    live = Live("demand-response", outage, "duration_h=24")
    live.to_the_end()
    (record,) = live.nacks("init")
    assert "NET_DOWNSTREAM_UNAVAILABLE" in str(record)
    assert {posting.payee for posting in live.ledger()} == {"cold-store"}


def test_who_takes_a_consent_back_is_called_no_more(run_programme: Cases) -> None:
    run = run_programme()
    calls = [said(run, "on_init", recipient=era) for era in ("factory", "cold-store")]
    assert [len(about(mine, "evening")) for mine in calls] == [1, 0]
    told = [c["performance"][0]["performanceAttributes"] for c in about(said(run, "on_update"), "flex-2026")]
    assert [one["updateType"] for one in told if "updateType" in one] == ["CONSENT_REVOCATION", "UNENROLLMENT"]


def test_a_credential_that_is_revoked_in_mid_run_ends_the_calls_but_not_what_was_earned(run_programme: Cases) -> None:
    """wire.md, section 8, row 11: between the afternoon's event and the evening's."""
    answers = "seekers.factory.answers=[{levels: [ADVISORY], kw: 120, after_min: 90}]"
    revoked = CREDENTIAL % (f"{{{OWNERSHIP}, revoked: 2016-05-18T18:00:00}}", BOTH)
    run = run_programme(revoked, answers)
    calls = said(run, "on_init", recipient="factory")
    assert [len(about(calls, item)) for item in ("afternoon", "evening")] == [1, 0]
    assert balance(run, "factory", "incentive") == 1680


def test_who_cancels_their_subscription_has_left_the_programme() -> None:
    """wire.md, section 5(d), step 6; the bonus for joining stays theirs, and the meter can be enrolled again."""
    shown = f"enrol: {{credentials: [{{{OWNERSHIP}}}], consents: [{BOTH}]}}"
    errands = (
        f"{FACTORY}.errands=[{{at: '08:00', search: {{type: EnergyResource}}, {shown}, "
        "diary: [{at: '09:00', do: cancel}]}, "
        f"{{at: '10:00', search: {{type: EnergyResource}}, {shown}}}]"
    )
    live = Live("demand-response", errands, "duration_h=24")
    live.to_the_end()
    (body,) = live.said("on_cancel", "factory")
    left = body["message"]["contract"]["performance"][0]["performanceAttributes"]
    assert (left["status"], left["unenrollment"]["cancelledAt"]) == ("CANCELLED", "2016-05-11T09:00:00+05:30")
    assert [posting.amount for posting in live.ledger("factory")] == [100, 100]
    assert not any("error" in body for body in live.said("on_init", "factory"))


# failure paths of events


def test_an_answer_after_the_deadline_is_refused(run_programme: Cases) -> None:
    run = run_programme("seekers.factory.answers=[{kw: 120, after_min: 121}]")
    refused = [record for record in run.message_records() if record["ack"] == "NACK"]
    assert {record["error"]["errorCode"] for record in refused} == {"BIZ_DEADLINE_PASSED"}
    assert drawn_kw(run, "factory", AFTERNOON) == approx([408] * 6)
    assert balance(run, "factory", "incentive") == 0


def test_readings_that_come_late_delay_the_bill_and_change_no_amount(run_programme: Cases) -> None:
    """wire.md, section 8, row 19: a cycle waits, and is never taken for zero."""
    for by_s in (20, 2000):  # within the ttl of a reading; and beyond it, so that it has to be sent again
        late = f"wire.delays=[{{from: metering, by_s: {by_s}, since: 2016-05-18T14:50:00, until: 2016-05-18T15:40:00}}]"
        assert balances(run_programme(late)) == balances(run_programme())


def test_a_reading_that_never_comes_leaves_the_event_open_and_unpaid(run_programme: Cases) -> None:
    live = Live("demand-response")
    utility = live.agent("utility")
    read_settled = utility._dealings.settling.read

    def forget(message: Any) -> None:
        reading = message.contract.performance[0].performanceAttributes.meterReadings[0]
        if reading.timeWindow.start != "2016-05-18T15:00:00+05:30":
            read_settled(message)

    utility._dealings.settling.read = forget
    live.to_the_end()
    assert not [p for p in live.ledger("factory") if p.term == "incentive" and p.interval == AFTERNOON[-1]]
    (deal,) = [d for d in utility.deals.values() if d.item.name == "afternoon" and d.taker == "factory"]
    assert deal.is_open


def test_an_event_that_is_extended_goes_on_for_those_who_are_still_in_it(run_programme: Cases) -> None:
    diary = "providers.utility.diary=[{at: 2016-05-18T16:30:00, do: extend, item: afternoon, say: {by_min: 60}}]"
    run = run_programme(diary)
    longer = range(AFTERNOON[0], AFTERNOON[-1] + 3)
    assert drawn_kw(run, "factory", longer) == approx([288] * 8)
    assert metrics(run, "afternoon", "factory")["reduced"] == approx(448)
    assert drawn_kw(run, "cold-store", longer)[2:] == approx([80] * 6)
    assert metrics(run, "afternoon", "cold-store") == metrics(run_programme(), "afternoon", "cold-store")


def test_a_load_never_gives_up_what_it_needs(run_programme: Cases) -> None:
    run = run_programme("seekers.factory.device.least_kw=350")
    assert drawn_kw(run, "factory", AFTERNOON) == approx([350] * 6)
    assert metrics(run, "afternoon", "factory")["reduction"] == approx(50)


@pytest.mark.parametrize(
    ("override", "said_of_it"),
    [
        ("providers.utility.items.evening.call.holders_of=flex-2027", "flex-2026"),
        ("providers.utility.items.evening.call.baseline.x=6", "6 of 5 days"),
        ("seekers.factory.device.bus=nowhere", "no bus nowhere"),
    ],
)
def test_a_programme_that_contradicts_itself_says_where(override: str, said_of_it: str) -> None:
    with pytest.raises(ScenarioError, match=said_of_it):
        build(read(USE_CASES / "demand-response.yaml", (override,)), io.BytesIO(), Stopwatch())


# the other way round


def test_a_utility_buys_what_an_aggregator_has_its_consumers_deliver(run_aggregator: Cases) -> None:
    """180 kWh are bought; each consumer is asked for as much as its baseline is of all of them."""
    run = run_aggregator()
    asked = {}
    for era in ("mall", "offices", "laundry"):
        (call,) = about(said(run, "on_init", recipient=era), "event")
        asked[era] = call["commitments"][0]["resources"][0]["quantity"]["value"]
    assert sum(asked.values()) == approx(180)
    delivered = sum(metrics(run, "event", era)["reduced"] for era in ("mall", "offices"))
    assert metrics(run, "pool", "utility")["reduced"] == approx(delivered)
    assert balance(run, "utility", "energy") == approx(Decimal(-delivered * 8), abs=Decimal("0.01"))


def test_consumers_are_called_in_the_lineage_of_what_the_utility_has_confirmed(run_aggregator: Cases) -> None:
    run = run_aggregator()
    (confirmed,) = [body["context"] for body in said(run, "confirm", "utility")]
    for era in ("mall", "offices", "laundry"):
        (call,) = [
            body["context"]
            for body in said(run, "on_init", recipient=era)
            if body["message"]["contract"]["commitments"][0]["resources"][0]["id"] == "event"
        ]
        assert call["lineage"] == {name: confirmed[name] for name in ("transactionId", "messageId")}
        assert call["transactionId"] != confirmed["transactionId"]


def test_an_aggregator_answers_for_those_who_decline(run_aggregator: Cases) -> None:
    run = run_aggregator()
    reduced = metrics(run, "pool", "utility")["reduced"]
    assert reduced < 180
    assert balance(run, "utility", "shortfall") == approx(Decimal((180 - reduced) * 3), abs=Decimal("0.01"))
    willing = run_aggregator("seekers.laundry.answers=[{after_min: 30}]")
    assert metrics(willing, "pool", "utility")["reduced"] == approx(
        reduced + metrics(willing, "event", "laundry")["reduced"]
    )
    assert balance(willing, "utility", "shortfall") < balance(run, "utility", "shortfall")


def test_an_aggregator_keeps_the_difference_between_what_it_sells_and_what_it_pays(run_aggregator: Cases) -> None:
    run = run_aggregator()
    others = sum((amount for era, amount in balances(run).items() if era != "aggregator"), Decimal(0))
    assert balances(run)["aggregator"] == -others


def test_contracts_end_as_they_went(run_programme: Cases, run_aggregator: Cases) -> None:
    ended = contracts_of(run_programme())
    assert ended["reduction (utility, factory)"] == "COMPLETED"
    assert set(contracts_of(run_aggregator()).values()) == {"COMPLETED", "TERMINATED"}
