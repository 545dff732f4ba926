"""Policies as code: rules that travel as data decide what is shown, who is let in, what may be ordered and what is owed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from results.bills import case_of
from results.run import Run
from results.verify import verify
from scenarios.reader import read
from scenarios.regulation import policing_of
from scenarios.runner import execute
from sim.clock import Calendar, local_start
from sim.contracts.contract import Role, Template, lines
from sim.contracts.policies import Hook
from sim.errors import DegsimError, ScenarioError
from tests.conftest import ROOT

POLICIES = ROOT / "scenarios" / "use_cases" / "policies-as-code.yaml"
SITES = ("mill-01", "mill-02", "roof-01", "roof-02", "roof-03", "battery-01")
"""Who joins before the market opens."""
HALF_HOUR = 1800
CALENDAR = Calendar(local_start(datetime(2016, 5, 17, 10), "Asia/Kolkata"), HALF_HOUR, 8)
TWELVE_THIRTY, THIRTEEN_THIRTY = 5, 7
"""Numbers of intervals: the first that the revoked and the expired approval no longer cover."""


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Run]:
    """Runs the use case with overrides, each set of overrides once; every run is audited."""
    known: dict[tuple[str, ...], Run] = {}

    def run(*overrides: str) -> Run:
        if overrides not in known:
            known[overrides] = Run(execute(read(POLICIES, overrides), tmp_path_factory.mktemp("runs") / "run"))
            assert verify(known[overrides]).findings == 0
        return known[overrides]

    return run


def said(run: Run, action: str, era: str, host: str = "market") -> list[Any]:
    """Messages between a host and a site, by action."""
    found = []
    for record in run.message_records(action):
        context = record["body"]["context"]
        if {context["bapId"], context["bppId"]} == {era, host}:
            found.append(record)
    return found


def attributes(record: Any) -> Any:
    return record["body"]["message"]["contract"]["contractAttributes"]


def error(record: Any) -> Any:
    return record["body"].get("error")


def events_of(run: Run, era: str) -> list[Any]:
    """The log of the contract that a site has with its host."""
    contract_id = case_of(run, era)[0]["contractId"]
    events = [record["event"] for record in run.journal() if record["kind"] == "event"]
    return [event for event in events if event["contractId"] == contract_id]


def postings(run: Run, era: str = "") -> Iterator[tuple[int, Any]]:
    """Interval and posting, of everybody or of one."""
    for record in run.journal():
        for posting in record["postings"] if record["kind"] == "postings" else ():
            if not era or era in (posting["from"], posting["to"]):
                yield record["interval"], posting


def energy_kwh(run: Run, era: str) -> list[Decimal]:
    """What a site's meter read, by interval, + injected [kWh]."""
    found = []
    for record in run.message_records("on_status"):
        if record["body"]["context"]["bapId"] == era:
            for performance in record["body"]["message"]["contract"]["performance"]:
                (reading,) = performance["performanceAttributes"]["meterReadings"]
                produced, consumed = (Decimal(repr(reading[f"{way}Energy"])) for way in ("produced", "consumed"))
                found.append(produced - consumed)
    return found


def orders(run: Run, era: str) -> dict[str, str]:
    """ACK or NACK of the orders of a site, by the UTC time at which delivery begins."""
    return {attributes(r)["timeWindow"]["start"][11:16]: r["ack"] for r in said(run, "confirm", era)}


def local(run: Run, time: str) -> str:
    """A local time of the day as orders say it."""
    hours, minutes = map(int, time.split(":"))
    return run.calendar.timestamp((hours - 10) * 3600 + minutes * 60)[11:16]


# --- what is shown, who is let in -------------------------------------------------------------------------------------


def test_who_has_no_approval_is_shown_no_offer_and_applies_for_none(lived: Callable[..., Run]) -> None:
    run = lived()
    (answer,) = said(run, "on_discover", "unknown-roof-01")
    shown = [offer["offerAttributes"]["openRole"] for offer in answer["body"]["message"]["catalogs"][0]["offers"]]
    assert shown == ["AGGREGATOR", "SELLER"]
    assert said(run, "init", "unknown-roof-01") == []
    assert sum(energy_kwh(run, "unknown-roof-01")) == 0


def test_who_stands_outside_the_region_hears_so_at_once(lived: Callable[..., Run]) -> None:
    (applied,) = said(lived(), "init", "far-roof-01")
    assert applied["ack"] == "NACK"
    assert applied["error"]["errorCode"] == "POL_DENIED"
    assert "gridNode expected one of north, got south" in applied["error"]["errorMessage"]


@pytest.mark.parametrize(
    "approval",
    [
        pytest.param([], id="none"),
        pytest.param([{"revoked": "2016-05-17T09:00:00"}], id="revoked"),
        pytest.param([{"until": "2016-05-17T09:00:00"}], id="expired"),
        pytest.param([{"era": "roof-01"}], id="of somebody else"),
    ],
)
def test_who_applies_without_an_approval_of_its_own_that_stands_is_not_admitted(
    lived: Callable[..., Run], approval: list[Any]
) -> None:
    """The offer is shown to everybody here; what is asked at the formation is the approval."""
    stated = read(POLICIES).model_dump(mode="json", by_alias=True)
    own = [{"meter": "unknown-roof-01", "export_kw": 5, "import_kw": 5, **more} for more in approval]
    rules = [{**p, "hooks": ["FORMATION"]} if p["policyId"] == "interconnection" else p for p in stated["policies"]]
    run = lived(
        "duration_h=1",
        f"registry.approvals={json.dumps([*stated['registry']['approvals'], *own])}",
        f"policies={json.dumps(rules)}",
    )
    (answer,) = said(run, "on_init", "unknown-roof-01")
    assert error(answer)["errorCode"] == "SEC_CREDENTIAL_VERIFICATION_FAILED"
    assert attributes(answer)["status"] == "TERMINATED"
    assert said(run, "confirm", "unknown-roof-01") == []


def test_what_nobody_knows_is_denied(lived: Callable[..., Run]) -> None:
    """Without a registry nobody can say whether an approval stands, so that no site is shown the offer."""
    run = lived("duration_h=1", "registry=null")
    assert {r["body"]["context"]["bapId"] for r in run.message_records("init")} == {"market", "retailer"}


# --- what may be ordered, and under which version ---------------------------------------------------------------------


def test_caps_are_told_as_the_tightest_rule_has_them(lived: Callable[..., Run]) -> None:
    def told_kw(era: str) -> float:
        (answer,) = said(lived(), "on_init", era)
        return float(attributes(answer)["inputParameters"]["approvedMaxExportKW"])

    assert told_kw("roof-01") == 5  # the registry: half of 43.6 kW would be 21.8
    assert told_kw("mill-01") == 0
    assert told_kw("late-roof-01") == 2.18  # 5 % of 43.6 kW, from noon on


def test_a_contract_keeps_the_version_it_was_confirmed_under_and_a_new_one_has_the_new(
    lived: Callable[..., Run],
) -> None:
    run = lived()
    for era, version in (("roof-01", "1"), ("late-roof-01", "2")):
        (confirmed,) = (e for e in events_of(run, era) if e["eventType"] == "CONFIRMED")
        pinned = dict(entry.split("=")[0].split("@") for entry in confirmed["data"]["policies"].split())
        assert pinned["trade-cap"] == version
    powers = run.setpoints.set_index("era")
    afternoon = powers[powers.interval >= 4]
    assert afternoon.loc["roof-01"].delivered_kw.max() > 2.18
    assert afternoon.loc["late-roof-01"].delivered_kw.max() == pytest.approx(2.18)
    assert set(orders(run, "roof-01").values()) == {"ACK"}


def test_who_joins_in_mid_run_orders_from_the_next_gate_on(lived: Callable[..., Run]) -> None:
    run = lived()
    assert min(orders(run, "late-roof-01")) == local(run, "12:30")
    assert sum(energy_kwh(run, "late-roof-01")[:5]) == 0


# --- revoked in mid-run -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("era", "index", "at"),
    [
        pytest.param("roof-02", TWELVE_THIRTY, "12:30", id="revoked at 12:20"),
        pytest.param("roof-03", THIRTEEN_THIRTY, "13:30", id="expired at 13:00"),
    ],
)
def test_a_contract_whose_approval_is_gone_is_terminated_and_settled_to_date(
    lived: Callable[..., Run], era: str, index: int, at: str
) -> None:
    run = lived()
    assert orders(run, era)[local(run, at)] == "NACK"
    (word,) = said(run, "on_cancel", era)
    assert word["t"] == index * HALF_HOUR - 120 + 1  # the gate, and a second on the way
    assert error(word)["errorCode"] == "SEC_CREDENTIAL_VERIFICATION_FAILED"
    assert attributes(word)["status"] == "TERMINATED"
    assert attributes(word)["timeWindow"]["end"][11:16] == local(run, at)
    assert max(orders(run, era)) == local(run, at)

    assert {interval for interval, _ in postings(run, era)} == set(range(index))
    kinds = [event["eventType"] for event in events_of(run, era)]
    assert kinds[-2:] == ["SETTLED", "TERMINATED"]
    assert kinds.count("CANCELLED") == 1
    assert "COMPLETED" not in kinds
    assert energy_kwh(run, era)[index:] == [0] * (8 - index)


def test_until_then_it_is_paid_as_if_nothing_had_been_revoked(lived: Callable[..., Run]) -> None:
    stated = read(POLICIES).model_dump(mode="json", by_alias=True)["registry"]["approvals"]
    lasting = [{**approval, "until": None, "revoked": None} for approval in stated]
    run, other = lived(), lived(f"registry.approvals={json.dumps(lasting)}")
    kept = [(i, p) for i, p in postings(other, "roof-02") if i < TWELVE_THIRTY]
    assert [*postings(run, "roof-02")] == kept
    assert len([*postings(other, "roof-02")]) > len(kept)
    assert said(other, "on_cancel", "roof-02") == []


def test_its_closing_statement_covers_what_it_delivered_and_is_signed(lived: Callable[..., Run]) -> None:
    run = lived()
    statements = [
        settlement
        for record in said(run, "on_update", "roof-02")
        for settlement in record["body"]["message"]["contract"].get("settlements", ())
        if settlement["settlementAttributes"]["cycleId"] == "closing"
    ]
    assert [s["status"] for s in statements] == ["COMMITTED", "COMPLETE"]
    assert {s["settlementAttributes"]["timeWindow"]["end"][11:16] for s in statements} == {local(run, "12:30")}
    received = sum(Decimal(p["amount"]) * (1 if p["to"] == "roof-02" else -1) for _, p in postings(run, "roof-02"))
    assert Decimal(repr(statements[0]["settlementAttributes"]["amount"])) == received
    (settled,) = (e for e in events_of(run, "roof-02") if e["eventType"] == "SETTLED")
    assert settled["data"]["signed"] == ["market", "roof-02"]


def test_an_aggregator_ends_the_contract_of_its_member_likewise(lived: Callable[..., Run]) -> None:
    run = lived("obligations=[]", 'aggregators=[{"name": "park"}]', "populations.roof.host=park", "duration_h=3")
    (word,) = said(run, "on_cancel", "roof-02", "park")
    assert error(word)["errorCode"] == "SEC_CREDENTIAL_VERIFICATION_FAILED"
    assert {interval for interval, _ in postings(run, "roof-02")} == set(range(TWELVE_THIRTY))
    assert said(run, "on_cancel", "roof-01", "park") == []


def test_who_was_revoked_before_the_first_interval_is_owed_nothing(lived: Callable[..., Run]) -> None:
    """Its order for the first interval stands in the book when its approval goes: it is answered with the reason."""
    stated = read(POLICIES).model_dump(mode="json", by_alias=True)["registry"]["approvals"]
    early = [{**a, "revoked": "2016-05-17T09:56:00"} if a["meter"] == "roof-01" else a for a in stated]
    run = lived("duration_h=1", f"registry.approvals={json.dumps(early)}")
    (ordered,) = said(run, "confirm", "roof-01")
    (answered,) = said(run, "on_confirm", "roof-01")
    assert (ordered["ack"], error(answered)["errorCode"]) == ("ACK", "SEC_CREDENTIAL_VERIFICATION_FAILED")
    assert [*postings(run, "roof-01")] == []
    assert events_of(run, "roof-01")[-1]["eventType"] == "TERMINATED"


# --- while nobody can ask ---------------------------------------------------------------------------------------------


def outage(start: str, end: str) -> str:
    stated = json.dumps([{"from": f"2016-05-17T{start}", "to": f"2016-05-17T{end}"}])
    return f"registry.outages={stated}"


def test_offers_are_shown_while_the_registry_is_down_with_word_that_nobody_looked(lived: Callable[..., Run]) -> None:
    """It is back when the applications are judged, so that who has no approval is found out then."""
    run = lived("duration_h=1", outage("09:45:00", "09:45:02"))
    for era in (*SITES, "unknown-roof-01"):
        (answer,) = said(run, "on_discover", era)
        assert error(answer)["errorCode"] == "NET_DOWNSTREAM_UNAVAILABLE"
        assert error(answer)["errorMessage"].startswith("shown without asking the registry")
        assert len(said(run, "init", era)) == 1
    (refused,) = said(run, "on_init", "unknown-roof-01")
    assert error(refused)["errorCode"] == "SEC_CREDENTIAL_VERIFICATION_FAILED"
    assert said(lived(), "on_discover", "roof-01")[0]["body"].get("error") is None


def test_nobody_is_admitted_while_the_registry_is_down(lived: Callable[..., Run]) -> None:
    run = lived("duration_h=1", outage("09:44:00", "09:46:00"))
    for era in SITES:
        (answer,) = said(run, "on_init", era)
        assert error(answer)["errorCode"] == "NET_DOWNSTREAM_UNAVAILABLE"
        assert said(run, "confirm", era) == []


def test_no_order_is_taken_while_the_registry_is_down_and_nobody_loses_a_contract(lived: Callable[..., Run]) -> None:
    run = lived("duration_h=2", outage("10:54:00", "10:57:00"))
    for era in SITES:
        taken = orders(run, era)
        assert [time for time, ack in taken.items() if ack == "NACK"] == [local(run, "11:00")]
        assert len(taken) == 4
        (refused,) = (r for r in said(run, "confirm", era) if r["ack"] == "NACK")
        assert refused["error"]["errorCode"] == "NET_DOWNSTREAM_UNAVAILABLE"
    assert [*run.message_records("on_cancel")] == []
    assert energy_kwh(run, "roof-01")[2] == 0  # the safe default
    assert energy_kwh(run, "roof-01")[3] > 0


# --- what is owed -----------------------------------------------------------------------------------------------------


def test_whoever_supplies_pays_for_each_kwh_by_which_renewables_fall_short(lived: Callable[..., Run]) -> None:
    """21.5 % of what was consumed, less what roofs gave, at 2 a unit (an obligation of the Indian kind)."""
    run = lived()
    meters = {era: energy_kwh(run, era) for era in (*SITES, "late-roof-01")}
    consumed = -sum(kwh for kwhs in meters.values() for kwh in kwhs if kwh < 0)
    renewable = sum(kwh for era, kwhs in meters.items() if "roof" in era for kwh in kwhs)
    assert consumed == 320
    ((interval, posting),) = ((i, p) for i, p in postings(run) if p["term"] == "renewable-purchase")
    assert (interval, posting["from"], posting["to"]) == (7, "retailer", "treasury")
    assert Decimal(posting["amount"]) == ((Decimal("0.215") * consumed - renewable) * 2).quantize(Decimal("0.01"))
    assert posting["amount"] == "60.53"


def test_nothing_is_owed_where_renewables_suffice(lived: Callable[..., Run]) -> None:
    run = lived("populations.mill.power_kw=4")
    assert [p for _, p in postings(run) if p["term"] == "renewable-purchase"] == []


def test_an_obligation_is_a_contract_that_names_the_version_it_follows_from(lived: Callable[..., Run]) -> None:
    events = [record["event"] for record in lived().journal() if record["kind"] == "event"]
    (created,) = (
        e for e in events if e["eventType"] == "CONTRACT_CREATED" and e["data"]["templateId"].startswith("obligation")
    )
    own = [event for event in events if event["contractId"] == created["contractId"]]
    assert [event["eventType"] for event in own] == [
        "CONTRACT_CREATED", "CONFIRMED", "ACTIVATED", "SETTLEMENT_COMPUTED", "SETTLED", "COMPLETED",
    ]  # fmt: skip
    assert own[1]["data"]["policies"].startswith("renewable-purchase@1=sha256:")


@pytest.mark.parametrize(("minutes", "fee"), [(9, 0), (10, 0), (25, 30)])
def test_an_idle_fee_is_a_term_that_a_contract_can_have(minutes: int, fee: int) -> None:
    """Ten minutes of grace, then 2 a minute: who blocks a connector for 25 minutes owes 30."""
    scenario = read(POLICIES)
    idle = policing_of(scenario, CALENDAR).owing(0)["idle-fee"]
    template = Template(
        "stay",
        (Role.BUYER, Role.SELLER),
        (idle.term(Role.BUYER, Role.SELLER),),
        tuple(idle.inputs),
        idle.signals,
    )
    contract = template.instantiate("c", "INR", {Role.BUYER: "ev", Role.SELLER: "cpo"}, idle.inputs)
    (line,) = lines(contract, {"idleMinutes": Decimal(minutes)})
    assert (line.payer, line.payee, line.exact) == ("ev", "cpo", fee)


@pytest.mark.parametrize(
    ("action", "hours", "permitted"), [("cancel", 3, True), ("cancel", 2, False), ("confirm", 0, True)]
)
def test_what_is_near_its_delivery_cannot_be_cancelled(action: str, hours: int, permitted: bool) -> None:
    scenario = read(POLICIES)
    policing = policing_of(scenario, CALENDAR)
    facts = {"action": action, "leadTimeHours": Decimal(hours), "role": "BUYER", "highestPricePerKWh": Decimal(5)}
    decision = policing.judge(Hook.FULFILMENT, facts, 0)
    assert decision.valid is permitted
    assert {violation.policy_id for violation in decision.violations} <= {"cancellation"}


def test_nobody_may_ask_more_than_the_highest_price(lived: Callable[..., Run]) -> None:
    """The market takes up to 15, the regulator 12: a mill that would give up 14 for a kWh has its order refused."""
    run = lived("duration_h=1", "market.price_cap=15", "populations.mill.reductions=[{worth_per_kwh: 14, share: 0.2}]")
    refused = said(run, "confirm", "mill-01")
    assert {r["error"]["errorCode"] for r in refused} == {"POL_DENIED"}
    assert "highestPricePerKWh expected at most 12 INR/kWh" in refused[0]["error"]["errorMessage"]
    assert set(orders(run, "roof-01").values()) == {"ACK"}


# --- what is refused before the run -----------------------------------------------------------------------------------


TRAP = {"field": "exportQuantity", "operator": "lessThanOrEqual", "valueFrom": "prosumer.gridConnection.exportLimitKW"}


@pytest.mark.parametrize(
    ("rule", "faults"),
    [
        pytest.param({"conditions": {"all": [TRAP]}}, ["conditions.all[0]", "kWh", "kW"], id="energy against power"),
        pytest.param(
            {"level": "PLATFORM", "conditions": {"all": [{"field": "highestPricePerKWh", "operator": "lessThanOrEqual",
                                                          "value": 13}]}},
            ["max-price 1 of level NATIONAL", "a lower level may only tighten"],
            id="a platform loosens what the nation forbids",
        ),
    ],
)  # fmt: skip
def test_a_rule_that_cannot_hold_is_refused_with_its_place(rule: dict[str, Any], faults: list[str]) -> None:
    stated = read(POLICIES).model_dump(mode="json", by_alias=True)["policies"]
    added = {"policyId": "added", "policyType": "compliance", "hooks": ["FULFILMENT"], **rule}
    scenario = read(POLICIES, [f"policies={json.dumps([*stated, added])}"])
    with pytest.raises(ScenarioError) as refusal:
        policing_of(scenario, CALENDAR)
    assert all(fault in str(refusal.value) for fault in faults)


@pytest.mark.parametrize(
    ("override", "fault"),
    [
        (
            'registry.approvals=[{"meter": "rof-01", "export_kw": 5, "import_kw": 5}]',
            "no meter rof-01 (did you mean roof-01",
        ),
        ('obligations=[{"policy": "max-price"}]', "no policy max-price with a formula is in force"),
        (
            'obligations=[{"policy": "idle-fee"}]',
            "obligations[0].policy: asks for idleMinutes; counted are consumedKWh",
        ),
        ('obligations=[{"policy": "x", "payer": "GRID_OPERATOR", "payee": "GRID_OPERATOR"}]', "would pay itself"),
        ('aggregators=[{"name": "park"}]', "obligations: the meters of an aggregator's members are read by it alone"),
        ("populations.late-roof.joins=2016-05-17T12:05:00Z", "joins: give local time without an offset"),
        ('registry.outages=[{"from": "2016-05-17T12:05:00Z", "to": "2016-05-17T12:06:00"}]', "give local times"),
        (
            'registry.approvals=[{"meter": "a", "export_kw": 5, "import_kw": 5}, {"meter": "a", "export_kw": 1, "import_kw": 5}]',
            "several are of the meter a",
        ),
    ],
)
def test_a_scenario_that_contradicts_itself_is_refused(
    override: str, fault: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with pytest.raises(DegsimError) as refusal:
        execute(read(POLICIES, [override]), tmp_path_factory.mktemp("runs") / "run")
    assert fault in str(refusal.value)


def test_what_is_written_of_a_scenario_without_a_registry_is_as_before() -> None:
    written = read(ROOT / "scenarios" / "street.yaml").model_dump(mode="json", by_alias=True)
    assert {"registry", "obligations"}.isdisjoint(written)
    assert all("joins" not in population for population in written["populations"])
    assert isinstance(read(POLICIES).populations[2].joins, datetime)
