"""An audit finds exactly what is wrong: each test breaks one thing and names the invariant that must see it."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_run import Draft, Edit, without_power_flow

from results.files import digest
from results.run import JOURNAL, MANIFEST, Run, table_path
from results.verify import INVARIANTS, Report, render, verify
from sim.market.policies import POLICIES
from sim.market.wire_form import clear_message

Edited = Callable[[Edit], Run]


def found(run: Run) -> dict[str, list[str]]:
    """What each invariant that found something says."""
    audits = verify(run).audits.items()
    return {name: [str(finding) for finding in audit.findings] for name, audit in audits if audit.findings}


def postings_of(draft: Draft) -> list[dict[str, Any]]:
    return [posting for record in draft.records("postings") for posting in record["postings"]]


def result_of(draft: Draft, interval: int) -> dict[str, Any]:
    result: dict[str, Any] = draft.records("message", "on_aggregate")[interval]["body"]["message"]["aggregationResult"]
    return result


# --- a sound run ------------------------------------------------------------------------------------------------------


def test_a_sound_run_is_found_sound_and_the_report_says_what_was_looked_at(day: Run) -> None:
    assert render(verify(day)).splitlines() == [
        f"{day.path}: sound",
        f"ok   journal: {day.manifest['journalBytes']:,} bytes under 9 commits",
        "ok   tables: 17 files against their hashes",
        "ok   energy: 8 intervals, 8 solved, largest residual 4.11e-12 W; 0 compared with the reference; "
        "6 meters, at most 0.499 Wh from what was delivered",
        "ok   kirchhoff: 8 intervals of 9 nodes, at most 4.52e-09 VA unexplained at one; "
        "16 flows through limits follow from the voltages",
        "ok   money: 112 postings of 10 parties; beside its fee the market keeps at most 0.0100",
        "ok   bills: 0 of 112 postings computed again, of 0 contracts",  # this run tells nobody its terms
        "ok   certificates: 8 clearings certified again; 56 promised conditions",
        "ok   states: 12 transitions of 6 contracts; 33 awards",
        "ok   events: 61 events of 8 contracts; 8 seals",
        "ok   messages: 134 messages of 8 actions, 1 refused",
        "ok   signatures: this scenario does not sign",
        "ok   derived: 4 tables made again from the journal and the others",
    ]


def test_every_invariant_has_a_name_of_its_own_and_says_what_it_means() -> None:
    assert len({invariant.name for invariant in INVARIANTS}) == len(INVARIANTS)
    assert all(invariant.description for invariant in INVARIANTS)


# --- journal ----------------------------------------------------------------------------------------------------------


def test_a_changed_byte_in_the_journal_is_found_and_placed(folder: Path) -> None:
    path = folder / JOURNAL
    lines = path.read_bytes().splitlines(keepends=True)
    line = next(number for number, line in enumerate(lines) if b'"on_confirm"' in line)
    lines[line] = lines[line].replace(b"PT30S", b"PT31S")
    path.write_bytes(b"".join(lines))
    findings = found(Run(folder))
    assert list(findings) == ["journal"]
    commit = next(number for number, line in enumerate(lines, start=1) if b'"commit"' in line)
    assert findings["journal"][0] == f"journal.jsonl:{commit}: something before this commit is not what was committed"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_byte_of_the_journal_can_change_unseen_and_none_stops_the_audit(
    folder: Path, day: Run, data: st.DataObject
) -> None:
    raw = bytearray(day.journal_path.read_bytes())
    place, flip = data.draw(st.integers(0, len(raw) - 1)), data.draw(st.integers(1, 255))
    raw[place] ^= flip
    (folder / JOURNAL).write_bytes(raw)
    assert "journal" in found(Run(folder))


def test_a_renamed_key_is_damage_and_not_a_crash(folder: Path) -> None:
    path = folder / JOURNAL
    path.write_bytes(path.read_bytes().replace(b'"ack":"ACK"', b'"ask":"ACK"', 1))
    findings = found(Run(folder))
    assert findings["messages"][0] == "message 1 (init): was answered '', neither ACK nor NACK"


def test_a_cut_tail_is_found(folder: Path) -> None:
    path = folder / JOURNAL
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    cut, whole = path.stat().st_size, sum(map(len, lines))
    assert found(Run(folder)) == {
        "journal": [f"journal.jsonl: has {cut} bytes where {whole} were written: the tail was cut or added to"]
    }


def test_a_tail_cut_within_a_line_leaves_the_other_invariants_without_evidence(folder: Path) -> None:
    path = folder / JOURNAL
    path.write_bytes(path.read_bytes()[:-40])
    findings = found(Run(folder))
    without = ["energy", "money", "bills", "certificates", "states", "events", "messages"]
    assert list(findings) == ["journal", *without]
    assert all("is not a record" in faults[-1] for name, faults in findings.items() if name != "journal")


def test_a_derived_table_that_was_written_anew_with_its_hash_does_not_follow_from_the_journal(folder: Path) -> None:
    path, manifest = table_path(folder, "messages"), json.loads((folder / MANIFEST).read_bytes())
    table = pq.read_table(path)
    signed = table.schema.get_field_index("signed")
    forged = table.set_column(signed, table.schema.field(signed), pa.array([True] * len(table)))
    pq.write_table(forged, path)
    manifest["tables"]["messages"]["sha256"] = digest(path)
    (folder / MANIFEST).write_text(json.dumps(manifest))
    assert found(Run(folder)) == {"derived": ["messages: does not follow from the journal and the other tables"]}


def test_a_journal_with_its_manifest_forged_still_breaks_its_commits(folder: Path) -> None:
    """Whoever rewrites a line and the head in the manifest, but not the commits, is seen."""
    path, manifest = folder / JOURNAL, json.loads((folder / MANIFEST).read_bytes())
    path.write_bytes(path.read_bytes().replace(b"PT30S", b"PT31S", 1))
    manifest["journalHead"] = digest(path)
    (folder / MANIFEST).write_text(json.dumps(manifest))
    assert list(found(Run(folder))) == ["journal", "messages"]  # and an answer names other bytes than these


def test_an_interval_without_its_commit_is_found(edited: Edited) -> None:
    def drop(draft: Draft) -> None:
        draft.journal.remove(draft.records("commit")[2])

    assert found(edited(drop)) == {"journal": ["journal.jsonl: has no commit for interval 2"]}


def test_a_missing_journal_is_a_finding_and_not_a_crash(folder: Path) -> None:
    (folder / JOURNAL).unlink()
    assert found(Run(folder))["journal"] == [f"{folder}: journal.jsonl is missing"]


# --- tables -----------------------------------------------------------------------------------------------------------


def test_a_changed_table_is_found(folder: Path) -> None:
    path = table_path(folder, "lines")
    path.write_bytes(path.read_bytes() + b" ")
    assert found(Run(folder)) == {
        "tables": ["lines: is not the table that was written: its hash differs from the manifest's"]
    }


def test_a_missing_table_is_found(folder: Path) -> None:
    table_path(folder, "lines").unlink()
    assert found(Run(folder)) == {"tables": ["lines: table is missing"]}


def test_a_table_that_an_invariant_needs_and_lacks_is_its_finding_too(folder: Path) -> None:
    table_path(folder, "postings").unlink()
    assert found(Run(folder)) == {
        "tables": ["postings: table is missing"],
        "money": ["postings: table is missing (run the scenario again)"],
        "bills": ["postings: table is missing (run the scenario again)"],
    }


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        (None, "states: the manifest does not know this table"),
        ({"rows": 7}, "states: has 24 rows where the manifest states 7"),
    ],
)
def test_a_manifest_that_lists_a_table_wrongly_is_found(
    folder: Path, entry: dict[str, object] | None, complaint: str
) -> None:
    manifest = json.loads((folder / MANIFEST).read_bytes())
    if entry is None:
        del manifest["tables"]["states"]
    else:
        manifest["tables"]["states"] |= entry
    (folder / MANIFEST).write_text(json.dumps(manifest))
    assert found(Run(folder)) == {"tables": [complaint]}


# --- energy -----------------------------------------------------------------------------------------------------------


def test_energy_from_nowhere_is_found_in_watts(edited: Edited) -> None:
    def conjure(draft: Draft) -> None:
        setpoints = draft.tables["setpoints"]
        setpoints["delivered_kw"][0] += 0.0015
        setpoints["energy_wh"][0] += 4  # 1.5 W for 3 h: the meter agrees with the device, and only the wires know

    assert found(edited(conjure)) == {
        "energy": ["interval 0: slack + delivered - losses is 1.5 W, and at most 1 W is allowed"],
        "kirchhoff": ["interval 0: at bus-house-1 1.5 W and 3.58755e-10 var enter that do not leave"],
    }


def test_a_watt_is_allowed_and_no_more(edited: Edited) -> None:
    def nearly(draft: Draft) -> None:
        draft.tables["intervals"]["residual_kw"][2] = -0.0009999
        draft.tables["intervals"]["residual_kw"][3] = -0.0010001

    assert found(edited(nearly)) == {
        "energy": ["interval 3: the power flow's residual is -1.0001 W, and at most 1 W is allowed"]
    }


def test_a_meter_that_runs_away_is_found_though_each_step_is_small(edited: Edited) -> None:
    def drift(draft: Draft) -> None:
        setpoints = draft.tables["setpoints"]
        for row, era in enumerate(setpoints["era"]):
            setpoints["energy_wh"][row] += 1 if era == "house-2" else 0

    (finding,) = found(edited(drift))["energy"]
    assert finding == "house-2: meter and delivered power differ by 8.44 Wh"


def test_an_interval_without_a_power_flow_is_a_finding(edited: Edited) -> None:
    run = edited(without_power_flow(5))
    assert found(run) == {"energy": ["interval 5: no power flow: PHYSICS_FAILED"]}
    assert verify(run).audits["energy"].checked.startswith("8 intervals, 7 solved, ")


def test_a_run_without_any_power_flow_is_reported_in_full(edited: Edited) -> None:
    def none(draft: Draft) -> None:
        for interval in range(8):
            without_power_flow(interval)(draft)

    run = edited(none)
    assert len(found(run)["energy"]) == 8
    checked = verify(run).audits["energy"].checked
    assert checked.startswith("8 intervals, 0 solved, no interval had a power flow; ")


def blackout(draft: Draft) -> None:
    """The second street loses its supply for an interval in the evening; its house asks in vain."""
    dark = {"bus-tx-2", "bus-house-2", "bus-ev-2", "bus-battery-2"}
    voltages, setpoints = draft.tables["voltages"], draft.tables["setpoints"]
    for row, (interval, bus) in enumerate(zip(voltages["interval"], voltages["bus"], strict=True)):
        if interval == 6 and bus in dark:
            voltages["v_pu"][row] = voltages["v_degree"][row] = math.nan
    for row, (interval, era) in enumerate(zip(setpoints["interval"], setpoints["era"], strict=True)):
        if interval == 6 and f"bus-{era}" in dark:
            setpoints["unserved_kw"][row] = setpoints["delivered_kw"][row]
            setpoints["delivered_kw"][row] = setpoints["q_kvar"][row] = 0.0
            draft.tables["intervals"]["unserved_kwh"][6] += max(0.0, -3 * setpoints["unserved_kw"][row])


def supply_findings(run: Run) -> list[str]:
    """Without those that only say that a run was edited."""
    return [finding for finding in found(run)["energy"] if "kW" in finding and "slack" not in finding]


def test_whoever_has_no_supply_is_served_nothing_and_says_what_it_missed(edited: Edited) -> None:
    assert supply_findings(edited(blackout)) == []


def test_power_at_a_bus_without_supply_is_found(edited: Edited) -> None:
    def conjure(draft: Draft) -> None:
        blackout(draft)
        row = next(k for k, kw in enumerate(draft.tables["setpoints"]["unserved_kw"]) if kw)
        draft.tables["setpoints"]["delivered_kw"][row] = -2.0

    assert supply_findings(edited(conjure)) == [
        "interval 6 house-2: delivered -2 kW and 0 kvar at bus-house-2, which had no supply"
    ]


def test_a_voltage_on_an_island_is_found(edited: Edited) -> None:
    def cut(draft: Draft) -> None:
        draft.row("buses", 0, "island", -1, 0.4, False, "", None, None)
        for interval in range(8):
            draft.row("voltages", interval, "island", "", 0.98 if interval == 3 else math.nan, math.nan)

    run = edited(cut)
    assert found(run) == {"energy": ["interval 3: island has 0.98 pu, and nothing supplies it"]}


def test_power_that_is_missed_with_supply_is_found_and_so_is_a_wrong_sum(edited: Edited) -> None:
    def complain(draft: Draft) -> None:
        draft.tables["setpoints"]["unserved_kw"][0] = -2.0

    assert found(edited(complain)) == {
        "energy": [
            "interval 0 house-1: -2 kW are said to be unserved at bus-house-1, which had supply",
            "interval 0: 0 kWh are said to be unserved; its participants miss 6",
        ]
    }


def test_a_power_flow_that_the_reference_contradicts_is_found(edited: Edited) -> None:
    def compare(draft: Draft) -> None:
        for interval, gap_pu in ((2, 0.0), (3, 1e-6), (4, 1.1e-6)):
            draft.tables["intervals"]["reference_gap_pu"][interval] = gap_pu
            draft.journal.insert(-1, {"kind": "reference", "interval": interval, "gapPU": gap_pu})

    run = edited(compare)
    assert found(run) == {
        "energy": ["interval 4: power flow and reference are 1.1e-06 pu apart, and at most 1e-06 is allowed"]
    }
    assert "; 3 compared with the reference; " in verify(run).audits["energy"].checked


def test_a_comparison_with_the_reference_that_one_of_them_lacks_is_found(edited: Edited) -> None:
    def forget(draft: Draft) -> None:
        draft.tables["intervals"]["reference_gap_pu"][2] = 1e-9
        draft.journal.insert(-1, {"kind": "reference", "interval": 5, "gapPU": 2e-9})

    assert found(edited(forget))["energy"] == [
        "interval 2: the journal has None pu from the reference, the table 1e-09",
        "interval 5: the journal has 2e-09 pu from the reference, the table None",
    ]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"converged": False}, "the journal's power flow converged: False; the table does not say so"),
        ({"slackKW": 1.5}, "slack and losses are 1.5, "),
        ({"interval": 99}, "the journal has no power flow"),
    ],
)
def test_a_power_flow_that_the_tables_tell_otherwise_is_found(
    edited: Edited, change: dict[str, object], complaint: str
) -> None:
    findings = found(edited(lambda draft: draft.records("flow")[4].update(change)))
    assert list(findings) == ["energy"]
    assert any(complaint in finding for finding in findings["energy"])


# --- money ------------------------------------------------------------------------------------------------------------


def test_an_amount_that_differs_between_journal_and_table_is_found(edited: Edited) -> None:
    def raise_one(draft: Draft) -> None:
        draft.tables["postings"]["amount"][7] += Decimal("0.01")

    (finding,) = found(edited(raise_one))["money"]
    assert finding == (
        "posting 7: the journal has 0.01 EUR from house-2 to market (fee), "
        "the table 0.02 EUR from house-2 to market (fee)"
    )


def test_a_posting_that_one_of_them_lacks_is_found(edited: Edited) -> None:
    def forget(draft: Draft) -> None:
        for column in draft.tables["postings"].values():
            column.pop()

    (finding,) = found(edited(forget))["money"]
    assert finding.endswith("the table none")


@pytest.mark.parametrize(
    ("amount", "complaint"),
    [
        ("-0.50", "is not positive; a flow the other way has payer and payee exchanged"),
        ("0.0050", "is not in whole minor units of EUR (0.01)"),
    ],
)
def test_an_amount_that_is_no_money_is_found(edited: Edited, amount: str, complaint: str) -> None:
    def spoil(draft: Draft) -> None:
        draft.tables["postings"]["amount"][4] = Decimal(amount)
        postings_of(draft)[4]["amount"] = amount

    findings = found(edited(spoil))
    assert list(findings) == ["money"]
    assert complaint in findings["money"][0]


def test_a_market_that_keeps_the_congestion_rent_is_found(edited: Edited) -> None:
    """The rent of the whole day is 6 EUR, and rounding explains 4 cents."""

    def keep(draft: Draft) -> None:
        postings = draft.tables["postings"]
        kept = [term != "congestion rent" for term in postings["term"]]
        for name, column in postings.items():
            postings[name] = [value for value, stays in zip(column, kept, strict=True) if stays]
        for record in draft.records("postings"):
            record["postings"] = [p for p in record["postings"] if p["term"] != "congestion rent"]

    findings = found(edited(keep))
    assert list(findings) == ["money"]
    (finding,) = findings["money"]
    assert finding.startswith("market: keeps ")
    assert finding.endswith(" beside its fee, and rounding explains 0.035")


# --- certificates -----------------------------------------------------------------------------------------------------


def test_a_price_that_was_not_cleared_is_found(edited: Edited) -> None:
    def overcharge(draft: Draft) -> None:
        award = next(award for award in result_of(draft, 6)["setpoints"] if award["era"] == "ev-1")
        award["price"] += 0.05

    findings = found(edited(overcharge))
    assert list(findings) == ["certificates"]
    assert (
        "breaks curves (ev-1), linear (ev-1); its certificate says otherwise (0 violations)"
        in findings["certificates"][0]
    )
    assert "locational has to keep curves: ev-1" in findings["certificates"][1]


def test_an_adder_where_no_limit_binds_is_found(edited: Edited) -> None:
    def part(draft: Draft) -> None:
        node = next(node for node in result_of(draft, 0)["gridNodes"] if node["era"] == "tx-2")
        node["locationalPriceAdder"] += 0.01

    findings = found(edited(part))
    assert list(findings) == ["certificates"]
    assert "has to keep adders: tx-2" in findings["certificates"][1]


@pytest.mark.parametrize(
    ("column", "finding"),
    [
        ("price_per_kwh", "price and adder are (0.28, 0.0); the table has (0.78, 0.0)"),
        ("adder_per_kwh", "price and adder are (0.28, 0.0); the table has (0.28, 0.5)"),
    ],
)
def test_a_price_that_the_table_tells_otherwise_is_found(edited: Edited, column: str, finding: str) -> None:
    def alter(draft: Draft) -> None:
        draft.tables["prices"][column][1] += 0.5

    assert found(edited(alter)) == {"certificates": [f"interval 0 tx-1: {finding}"]}


def test_a_price_that_the_table_lacks_is_found(edited: Edited) -> None:
    def forget(draft: Draft) -> None:
        draft.tables["prices"]["price_per_kwh"][0] = None

    (finding,) = found(edited(forget))["certificates"]
    assert finding == "interval 0 grid: price and adder are (0.28, 0.0); the table has (nan, 0.0)"


def test_a_policy_without_prices_is_sound_without_them(edited: Edited) -> None:
    def none(draft: Draft) -> None:
        """Everybody at the baseline, in both the messages and the tables."""
        for ask, answer in zip(
            draft.records("message", "aggregate"), draft.records("message", "on_aggregate"), strict=True
        ):
            request = {"aggregationRequest": ask["body"]["message"]["aggregationRequest"] | {"slack": "retailer"}}
            ask["body"]["message"] = request
            cleared: Any = clear_message(request, POLICIES["none"], "test")
            answer["body"]["message"] = cleared
        draft.tables["prices"]["price_per_kwh"] = [None] * len(draft.tables["prices"]["node"])
        draft.tables["prices"]["adder_per_kwh"] = [None] * len(draft.tables["prices"]["node"])
        certificates = [
            answer["body"]["message"]["aggregationResult"]["certificate"]
            for answer in draft.records("message", "on_aggregate")
        ]
        draft.tables["intervals"]["violations"] = [len(certificate["violations"]) for certificate in certificates]

    assert "certificates" not in found(edited(none))


def test_a_verdict_that_the_table_tells_otherwise_is_found(edited: Edited) -> None:
    def alter(draft: Draft) -> None:
        draft.tables["intervals"]["violations"][3] = 2

    assert found(edited(alter)) == {"certificates": ["interval 3: its certificate has 0 violations; the table has 2"]}


def test_a_certificate_that_admits_what_is_not_so_is_found(edited: Edited) -> None:
    violation = {"condition": "limits", "who": "tx-1", "what": "imports 20 kW of 15.68 kW", "amount": 4.32}

    def confess(draft: Draft) -> None:
        result_of(draft, 1)["certificate"] = {"certified": False, "violations": [violation]}

    findings = found(edited(confess))["certificates"]
    assert findings[0].endswith("breaks nothing; its certificate says otherwise (1 violations)")
    assert findings[1:] == ["interval 1: its certificate has 1 violations; the table has 0"]


def test_a_welfare_that_does_not_follow_from_the_set_points_is_found(edited: Edited) -> None:
    def boast(draft: Draft) -> None:
        result_of(draft, 2)["welfare"] += 1.0

    (finding,) = found(edited(boast))["certificates"]
    assert "and " in finding
    assert finding.endswith("follows from its set-points")


def cleared_without_limits(draft: Draft, name: str) -> None:
    """Interval 6 cleared at one price for all, published under this policy's name with an honest certificate."""
    request = draft.records("message", "aggregate")[6]["body"]["message"]["aggregationRequest"]
    answer: Any = clear_message({"aggregationRequest": request}, POLICIES["pay-as-clear"], "test")
    result = answer["aggregationResult"]
    result_of(draft, 6).update(result, policy=name)
    draft.tables["intervals"]["violations"][6] = len(result["certificate"]["violations"])
    for row, node in enumerate(result["gridNodes"], start=18):
        draft.tables["prices"]["price_per_kwh"][row] = node["locationalPrice"]
        draft.tables["prices"]["adder_per_kwh"][row] = node["locationalPriceAdder"]


@pytest.mark.parametrize(("name", "is_fault"), [("pay-as-clear", False), ("locational", True), ("my_lab:vcg", False)])
def test_a_condition_may_be_broken_by_a_policy_that_does_not_promise_it(
    edited: Edited, name: str, is_fault: bool
) -> None:
    run = edited(lambda draft: cleared_without_limits(draft, name))
    findings = found(run).get("certificates", [])
    assert [finding.split(": ", 1)[1] for finding in findings] == (
        ["locational has to keep limits: tx-1 imports 16.6707 kW of 15.68 kW"] if is_fault else []
    )


def served_by_the_fallback(draft: Draft) -> None:
    """Interval 6 cleared by the fallback, at limits of the wires that nothing keeps, with an honest certificate."""
    ask = draft.records("message", "aggregate")[6]["body"]["message"]
    request = ask["aggregationRequest"] | {
        "slack": "retailer",
        "priceFloor": -1.0,
        "priceCap": 3.0,
        "linearLimits": [{"id": "voltage low", "weights": [{"era": "house-1", "weight": -0.001}], "maximum": -0.5}],
    }
    ask["aggregationRequest"] = request
    answer: Any = clear_message({"aggregationRequest": request}, POLICIES["curtail-only"], "test")
    result_of(draft, 6).clear()
    result_of(draft, 6).update(answer["aggregationResult"])


def certificates_of(run: Run) -> list[str]:
    """What the clearing of interval 6 is found to break, without what only the tables tell otherwise."""
    return [text for text in found(run).get("certificates", []) if text.startswith("clearing of")]


def test_a_fallback_that_nothing_could_help_is_held_against_its_certificate_alone(edited: Edited) -> None:
    def serve(draft: Draft) -> None:
        served_by_the_fallback(draft)
        broken = [violation["condition"] for violation in result_of(draft, 6)["certificate"]["violations"]]
        assert "limits" in broken

    assert certificates_of(edited(serve)) == []


def test_a_fallback_that_hides_what_it_breaks_is_found(edited: Edited) -> None:
    def hide(draft: Draft) -> None:
        served_by_the_fallback(draft)
        result_of(draft, 6)["certificate"] = {"certified": True, "violations": []}

    (finding,) = certificates_of(edited(hide))
    assert "its certificate says otherwise (0 violations)" in finding


def test_a_fallback_has_to_balance(edited: Edited) -> None:
    def spill(draft: Draft) -> None:
        served_by_the_fallback(draft)
        result_of(draft, 6)["setpoints"][0]["setpointKW"] += 1.0

    assert any("curtail-only has to keep balance" in text for text in certificates_of(edited(spill)))


def test_the_fallback_of_others_is_held_to_its_promises_where_it_is_the_policy(edited: Edited) -> None:
    def serve(draft: Draft) -> None:
        served_by_the_fallback(draft)
        draft.manifest["policy"] = "curtail-only"

    assert any("curtail-only has to keep limits: voltage low" in text for text in certificates_of(edited(serve)))


def test_a_question_that_is_no_market_problem_is_a_finding(edited: Edited) -> None:
    def spoil(draft: Draft) -> None:
        request = draft.records("message", "aggregate")[0]["body"]["message"]["aggregationRequest"]
        request["participants"][0]["offerCurve"]["curve"].reverse()

    (finding,) = found(edited(spoil))["certificates"]
    assert "/message/aggregationRequest/participants/0/offerCurve/curve" in finding


def test_an_answer_that_leaves_somebody_out_is_found(edited: Edited) -> None:
    def forget(draft: Draft) -> None:
        result_of(draft, 0)["setpoints"].pop()

    assert "has no set-point" in " ".join(found(edited(forget))["certificates"])


# --- states -----------------------------------------------------------------------------------------------------------


def test_a_set_point_that_was_not_awarded_is_found(edited: Edited) -> None:
    def alter(draft: Draft) -> None:
        draft.tables["setpoints"]["setpoint_kw"][0] += 0.5

    assert found(edited(alter)) == {"states": ["interval 0 house-1: was awarded -1 kW; -0.5 kW is in the table"]}


def test_an_award_that_the_clearing_did_not_give_is_found(edited: Edited) -> None:
    def favour(draft: Draft) -> None:
        award = draft.records("message", "on_confirm")[0]["body"]["message"]["contract"]["contractAttributes"]
        award["inputSignals"][0]["clearedPowerKW"] = 3.0
        draft.tables["setpoints"]["setpoint_kw"][0] = 3.0

    assert found(edited(favour)) == {"states": ["interval 0 house-1: was awarded 3 kW; -1 kW is cleared"]}


def test_an_award_that_no_table_knows_is_found(edited: Edited) -> None:
    def forget(draft: Draft) -> None:
        for column in draft.tables["setpoints"].values():
            column.pop()

    findings = found(edited(forget))
    assert "nan kW is in the table" in findings["states"][0]


def test_a_contract_that_comes_back_to_life_is_found(edited: Edited) -> None:
    def revive(draft: Draft) -> None:
        done = draft.records("message", "on_update")[0]
        alive = copy.deepcopy(done)
        alive["body"]["message"]["contract"]["contractAttributes"]["status"] = "ACTIVE"
        draft.journal.insert(draft.journal.index(done) + 1, alive)

    assert found(edited(revive)) == {
        "states": ["contract-house-1 at 86400 s: went from COMPLETED to ACTIVE, which no contract may"]
    }


@pytest.mark.parametrize(
    ("before", "after", "finding"),
    [
        ("PENDING", "ACTIVE", []),
        ("PENDING", "TERMINATED", []),
        ("PENDING", "COMPLETED", ["lease at 5 s: went from PENDING to COMPLETED, which no contract may"]),
        ("ACTIVE", "COMPLETED", ["lease at 5 s: is said to leave ACTIVE, and was PENDING"]),
        ("PENDING", "SETTLED", ["lease at 5 s: went from PENDING to SETTLED, which no contract may"]),
    ],
)
def test_recorded_transitions_follow_the_life_of_a_contract(
    edited: Edited, before: str, after: str, finding: list[str]
) -> None:
    turn = {"kind": "state", "contract": "lease", "from": before, "to": after, "t": 5}
    run = edited(lambda draft: draft.journal.insert(1, turn))
    assert found(run).get("states", []) == finding


# --- messages ---------------------------------------------------------------------------------------------------------


def test_an_answer_that_nobody_asked_for_is_found(edited: Edited) -> None:
    def forget(draft: Draft) -> None:
        draft.journal.remove(draft.records("message", "aggregate")[0])

    (finding,) = found(edited(forget))["messages"]
    assert finding.endswith("(on_aggregate): answers no accepted aggregate of its message id")


def test_an_answer_to_a_refused_request_is_found(edited: Edited) -> None:
    def refuse(draft: Draft) -> None:
        draft.records("message", "init")[0]["error"] = {"errorCode": "NET_TIMEOUT", "errorMessage": "late"}

    assert found(edited(refuse)) == {"messages": ["message 2 (on_init): answers no accepted init of its message id"]}


def test_counts_that_the_journal_does_not_bear_out_are_found(edited: Edited) -> None:
    def miscount(draft: Draft) -> None:
        draft.manifest["messages"] = {"init": {"ack": 7, "nack": 0}, "rate": {"ack": 1, "nack": 0}}

    findings = found(edited(miscount))["messages"]
    assert findings[:2] == [
        "init: the manifest counts {'ack': 7, 'nack': 0}, the journal {'ack': 6, 'nack': 0}",
        "rate: the manifest counts {'ack': 1, 'nack': 0}, the journal {'ack': 0, 'nack': 0}",
    ]


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        (b'"ack":"ACK"', b'"ack":"MAYBE"', "was answered 'MAYBE', neither ACK nor NACK"),
        (b'"ack":"ACK"', b'"ack":"NACK"', "was refused without a reason"),
        (b'"seq":1,', b'"seq":5,', "is number 1 in the journal"),
    ],
)
def test_a_message_without_its_verdict_or_its_place_is_found(
    folder: Path, before: bytes, after: bytes, complaint: str
) -> None:
    path = folder / JOURNAL
    path.write_bytes(path.read_bytes().replace(before, after, 1))
    assert any(complaint in finding for finding in found(Run(folder))["messages"])


# --- the report -------------------------------------------------------------------------------------------------------


def test_the_report_spells_out_ten_findings_and_counts_the_rest(edited: Edited) -> None:
    def spoil(draft: Draft) -> None:
        draft.tables["setpoints"]["setpoint_kw"] = [9.0] * len(draft.tables["setpoints"]["era"])

    report = verify(edited(spoil))
    lines = render(report).splitlines()
    assert report.findings == 33
    assert lines[0].endswith(": 33 findings")
    place = next(number for number, line in enumerate(lines) if line.startswith("FAIL states: "))
    assert lines[place + 1] == "       interval 0 house-1: was awarded -1 kW; 9 kW is in the table"
    assert lines[place + 11] == "       and 23 more"
    assert sum(line.startswith("ok ") for line in lines) == len(INVARIANTS) - 1


def test_a_report_counts_the_findings_of_all_invariants() -> None:
    assert Report("run", {}).findings == 0
