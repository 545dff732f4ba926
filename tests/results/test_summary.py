"""The numbers a run amounts to, each against its definition, and the text that a person reads."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from small_run import Draft, Edit, renamed, without_a_market, without_power_flow, without_prices

from results.metrics import over_kw, summarise
from results.run import Run
from results.summary import render
from results.text import duration, short

Edited = Callable[[Edit], Run]


def test_the_text_of_the_small_run(day: Run) -> None:
    expected = """\
two-streets: policy locational, seed 7
8 intervals of 180 min from Tue 2025-06-03 00:00 Europe/Berlin
energy     imported 119.4 kWh · exported 92.0 kWh · losses 4.0 kWh (1.4 % of all supply)
           withdrawn  household 111.0 · ev 64.5 · battery 15.0 kWh
           injected   solar 146.1 · battery 21.0 kWh
           solar: 9.4 of 155.5 kWh curtailed · self-consumption 35.8 % · autarky 27.5 %
prices     EUR/kWh                         lowest      mean   highest   lowest adder  highest adder
           grid                            0.0600    0.2075    0.3000        +0.0000        +0.0000
           tx-1                            0.0000    0.2080    0.3643        -0.0600        +0.0643
           tx-2                            0.0600    0.2075    0.3000        +0.0000        +0.0000
           prices part for 6 h
wires      kW, peak of limit          import       export  loading        over, in/out bound fwd/rev
           tx-1                    16.1/15.8    15.7/16.0  101.6 %   180/0 min 0.8 kWh           1/1
           tx-2                     9.2/24.7     1.0/25.0   37.0 %     0/0 min 0.0 kWh           0/0
physics    market and wires up to 0.4 kW apart (tx-1) · intervals cleared again: 0 (fallback 0)
           largest residual 0.000 W · never compared with the reference
vehicles   2 sessions, 2 finished · served 64.5 of 84.0 kWh · unserved 19.5 kWh in 1
voltage    lowest 0.992 pu at bus-house-1, Tue 18:00 · highest 1.008 pu at bus-solar-1, Tue 12:00
           0 bus-minutes outside 0.9 to 1.1 pu
money EUR  net        household (2) -35.10 · ev (2) -24.19 · market (1) +1.42 ·
                      government (1) +3.79 · battery (1) +4.40 · solar (1) +8.60 ·
                      utility (1) +11.75 · retailer (1) +29.33
           by term    energy 49.65 · wheeling 5.70 · fee 1.42 · tax 3.79 · deviation 0.20 ·
                      congestion rent 5.85
           112 postings sum to 0.00 EUR · congestion rent of the clearings 5.85
messages   134 delivered, 1 refused: confirm 1
           init 6 · on_init 6 · confirm 34 · aggregate 8 · on_aggregate 8 · on_confirm 33 ·
           on_status 33 · on_update 6
time       5.0 s: power flow 3.0 (60.0 %) · market 1.5 (30.0 %) · messages 0.5 (10.0 %)"""
    assert render(summarise(day)).splitlines() == expected.splitlines()


# --- energy -----------------------------------------------------------------------------------------------------------


def test_energy_is_conserved(day: Run) -> None:
    energy = summarise(day).energy
    supply_kwh = energy.imported_kwh + sum(energy.injected_kwh.values())
    use_kwh = energy.exported_kwh + sum(energy.withdrawn_kwh.values()) + energy.losses_kwh
    assert supply_kwh == pytest.approx(use_kwh, abs=0.006)  # six registers of whole Wh


def test_import_and_export_are_never_netted(day: Run) -> None:
    flows_kwh = [record["slackKW"] * 3 for record in day.journal() if record["kind"] == "flow"]
    energy = summarise(day).energy
    assert energy.imported_kwh == pytest.approx(sum(kwh for kwh in flows_kwh if kwh > 0))
    assert energy.exported_kwh == pytest.approx(-sum(kwh for kwh in flows_kwh if kwh < 0))


def test_self_consumption_counts_sun_and_load_of_the_same_interval_only(edited: Edited) -> None:
    def only(draft: Draft) -> None:
        """6 kWh of sun over 3 kWh of load, then 9 kWh of load in the dark."""
        rows = [(0, "solar-1", 6000), (0, "house-1", -3000), (1, "house-1", -9000)]
        columns = draft.tables["setpoints"]
        for column in columns.values():
            del column[len(rows) :]
        columns["interval"][:], columns["era"][:], columns["energy_wh"][:] = (list(c) for c in zip(*rows, strict=True))

    energy = summarise(edited(only)).energy
    assert energy.self_consumption == pytest.approx(3 / 6)
    assert energy.autarky == pytest.approx(3 / 12)


def test_a_member_of_an_aggregator_is_counted_once(edited: Edited) -> None:
    def pool(draft: Draft) -> None:
        draft.row("participants", "pool", "aggregator", "", "", "", "", "")
        draft.row("setpoints", 0, "pool", -1.0, None, 0.0, 0.0, math.nan, math.nan, math.nan, -999000, math.nan)

    assert "aggregator" not in summarise(edited(pool)).energy.withdrawn_kwh


def test_curtailment_is_what_the_sun_could_have_given(day: Run) -> None:
    rows = day.setpoints[day.setpoints["era"] == "solar-1"]
    assert summarise(day).energy.pv_curtailed_kwh == pytest.approx(
        (rows["available_kw"] - rows["delivered_kw"]).sum() * 3
    )


# --- prices and wires -------------------------------------------------------------------------------------------------


def test_nodes_part_where_their_prices_differ(day: Run) -> None:
    parted = summarise(day).parted
    assert (parted.hours, parted.nodes_h, parted.bounds_h, parted.within_h) == (6.0, 6.0, 0.0, 0.0)


def with_a_bound(draft: Draft) -> None:
    """A voltage beside the tree sets two participants apart from their node: at noon as a bound, before it for losses."""
    setpoints = draft.tables["setpoints"]
    for row, (interval, era) in enumerate(zip(setpoints["interval"], setpoints["era"], strict=True)):
        if (interval, era) in ((2, "battery-2"), (3, "battery-2")):
            setpoints["price_per_kwh"][row] -= 0.02 if interval == 3 else 0.001
    for interval in range(8):
        draft.row("bounds", interval, "voltage high", 0.01, 0.01, 27.0 if interval == 3 else 0.0)


def test_prices_of_participants_part_by_bounds_and_by_losses_too(edited: Edited) -> None:
    run = edited(with_a_bound)
    parted = summarise(run).parted
    assert (parted.hours, parted.nodes_h, parted.bounds_h, parted.within_h) == (12.0, 6.0, 3.0, 3.0)
    line = next(line for line in lines_of(run) if "prices part" in line)
    assert line.strip() == ("prices part for 12 h: between nodes for 6 h, by bounds for 3 h, within them alone for 3 h")


def test_what_losses_bring_is_no_congestion_rent(edited: Edited) -> None:
    def idle(draft: Draft) -> None:
        """Nothing but rounding is left of the rent."""
        draft.tables["intervals"]["rent"] = [-1e-12] * 8
        draft.tables["intervals"]["loss_surplus"] = [0.5] * 8

    line = next(line for line in lines_of(edited(idle)) if "congestion rent of" in line)
    assert line.endswith("congestion rent of the clearings 0.00")


def test_columns_stay_apart_whatever_the_numbers(edited: Edited) -> None:
    def tiny(draft: Draft) -> None:
        """A limit of 10 W, and what that makes of a loading."""
        nodes = draft.tables["nodes"]
        nodes["rated_import_kw"] = [0.01] * len(nodes["node"])
        nodes["loading"] = [1e7] * len(nodes["node"])
        draft.tables["prices"]["price_per_kwh"] = [123456.7] * len(draft.tables["prices"]["node"])

    lines = lines_of(edited(tiny))
    wires = next(line for line in lines if line.strip().startswith("tx-1") and "min" in line)
    assert wires.split()[:5] == ["tx-1", "16.1/0.01", "15.7/16.0", "1e+09", "%"]
    prices = next(line for line in lines if line.strip().startswith("tx-1"))
    assert prices.split()[1:4] == ["123456.7000"] * 3


def test_overload_is_strict_and_counts_only_what_is_beyond_the_rating() -> None:
    rows = pd.DataFrame(
        {
            "wire_lv_kw": [100.0, 100.01, 100.02, 140.0, -80.0, -80.1, math.nan],
            "rated_import_kw": 100.0,
            "rated_export_kw": 80.0,
        }
    )
    assert over_kw(rows, "import").tolist() == pytest.approx([0, 0, 0.02, 40, 0, 0, 0])
    assert over_kw(rows, "export").tolist() == pytest.approx([0, 0, 0, 0, 0, 0.1, 0])


def test_overload_of_both_directions_is_told_apart(edited: Edited) -> None:
    def overload(draft: Draft) -> None:
        nodes = draft.tables["nodes"]
        for row, (interval, node) in enumerate(zip(nodes["interval"], nodes["node"], strict=True)):
            if node == "tx-2" and interval in (2, 4):
                nodes["wire_lv_kw"][row] = -30.0
            if node == "tx-2" and interval == 6:
                nodes["wire_lv_kw"][row] = 31.0

    item = next(item for item in summarise(edited(overload)).transformers if item.node == "tx-2")
    assert (item.over_import_min, item.over_export_min) == (180.0, 360.0)
    assert item.over_export_kwh == pytest.approx(2 * 3 * 5.0)
    assert item.over_import_kwh == pytest.approx(3 * (31.0 - 24.7))
    assert (item.peak_import_kw, item.peak_export_kw) == (31.0, 30.0)


def test_voltages_outside_the_band_are_counted_by_bus_and_minute(edited: Edited) -> None:
    def sag(draft: Draft) -> None:
        draft.tables["voltages"]["v_pu"][:4] = [0.9, 0.8999, 1.1001, 1.1]

    voltages = summarise(edited(sag)).voltages
    assert voltages.outside_bus_min == 2 * 180
    assert (voltages.lowest.v_pu, voltages.highest.v_pu) == (0.8999, 1.1001)
    assert (voltages.lowest.bus, voltages.highest.moment) == ("bus-tx-1", "Tue 00:00")


def test_the_band_of_voltages_is_the_scenarios_own(edited: Edited) -> None:
    def narrow(draft: Draft) -> None:
        draft.manifest["scenario"] = {"name": "two-streets", "feeder": {"limits": {"v_min_pu": 0.95, "v_max_pu": 1.05}}}
        draft.tables["voltages"]["v_pu"][:4] = [0.951, 0.949, 1.051, 1.049]

    run = edited(narrow)
    assert summarise(run).voltages.outside_bus_min == 2 * 180
    assert any(line.endswith("360 bus-minutes outside 0.95 to 1.05 pu") for line in lines_of(run))


def test_a_voltage_is_outside_once_however_many_phases_are(edited: Edited) -> None:
    def sag(draft: Draft) -> None:
        for phase in "AB":
            draft.row("voltages", 7, "bus-house-1", phase, 0.85, 0.0)

    assert summarise(edited(sag)).voltages.outside_bus_min == 180


def test_what_the_wires_answered_is_counted(edited: Edited) -> None:
    def repeat(draft: Draft) -> None:
        intervals, nodes = draft.tables["intervals"], draft.tables["nodes"]
        intervals["rounds"] = [1, 1, 3, 1, 2, 1, 2, 1]
        intervals["fallback"][:3] = [True, False, True]
        intervals["reference_gap_pu"][:2] = [2e-10, 3.04e-9]
        intervals["unserved_kwh"][5] = 1.25
        nodes["wire_lv_kw"][3] = nodes["market_flow_kw"][3] - 4.0

    run = edited(repeat)
    physics = summarise(run).physics
    assert (physics.repeated, physics.repeated_fallbacks, physics.compared) == (3, 1, 2)
    lines = lines_of(run)
    assert "physics    market and wires up to 4.0 kW apart (tx-2) · intervals cleared again: 3 (fallback 1)" in lines
    assert any(line.endswith("W · compared with the reference 2 times: at most 3.0e-09 pu apart") for line in lines)
    assert any(line.strip() == "demand: 1.2 kWh without supply" for line in lines)


def test_a_run_without_any_power_flow_has_no_voltage(edited: Edited) -> None:
    def none(draft: Draft) -> None:
        for interval in range(8):
            without_power_flow(interval)(draft)

    lines = lines_of(edited(none))
    assert "voltage    none: no interval has a power flow" in lines
    assert "physics    no interval had a power flow · never compared with the reference" in lines


# --- money and vehicles -----------------------------------------------------------------------------------------------


def test_accounts_are_exact_and_sum_to_zero(day: Run) -> None:
    money = summarise(day).money
    paid = sum((p.amount for p in day.ledger if p.payer.startswith("house")), Decimal(0))
    household = next(account for account in money.accounts if account.kind == "household")
    assert household.net == -paid
    assert household.parties == 2
    assert money.net == {"EUR": Decimal(0)}
    assert sum(account.net for account in money.accounts) == 0


def test_a_party_that_is_no_participant_has_an_account_of_its_own(edited: Edited) -> None:
    def pay(draft: Draft) -> None:
        draft.row("postings", 7, "loan", "interest", "bank", "treasury", Decimal("1.50"), "EUR")

    accounts = {account.kind: account.net for account in summarise(edited(pay)).money.accounts}
    assert accounts["bank"] == Decimal("-1.50")


def test_only_visits_that_ended_count_as_served_or_missed(edited: Edited) -> None:
    def visits(draft: Draft) -> None:
        draft.row("sessions", "ev-2", 0, 999_999, 10.0, 4.0, 6.0, False)
        draft.row("sessions", "ev-2", 0, 3600, 10.0, 9.9999, 0.0001, True)

    vehicles = summarise(edited(visits)).vehicles
    assert (vehicles.sessions, vehicles.finished, vehicles.missed) == (4, 3, 1)
    assert vehicles.need_kwh == pytest.approx(94.0)


# --- the text of other runs -------------------------------------------------------------------------------------------


def lines_of(run: Run) -> list[str]:
    return render(summarise(run)).splitlines()


def test_a_run_without_a_market_says_so(edited: Edited) -> None:
    lines = lines_of(edited(without_a_market))
    assert "prices     none: this policy publishes no prices" in lines
    assert "wires      no transformer is watched" in lines
    assert "vehicles   no sessions" in lines
    assert "money EUR  no postings" in lines


def test_a_policy_without_prices_still_shows_its_wires(edited: Edited) -> None:
    lines = lines_of(edited(without_prices))
    assert lines[0] == "two-streets: policy none, seed 7"
    assert "prices     none: this policy publishes no prices" in lines
    assert any(line.startswith("wires      kW") for line in lines)


def test_intervals_that_went_wrong_are_counted_at_the_top(edited: Edited) -> None:
    def spoil(draft: Draft) -> None:
        without_power_flow(5)(draft)
        draft.tables["intervals"]["fallback"][1] = True
        draft.tables["intervals"]["certified"][2:4] = [False, False]

    assert lines_of(edited(spoil))[2] == (
        "intervals without a power flow: 1 · cleared by the fallback policy: 1 · not certified: 2"
    )


def crowded(draft: Draft) -> None:
    """Forty transformers, thirty kinds of participant, thirty terms, forty actions and parts, all with long names."""
    prices, nodes = draft.tables["prices"], draft.tables["nodes"]
    for table in (prices, nodes):
        rows: list[tuple[Any, ...]] = [row for row in zip(*table.values(), strict=True) if row[1] == "tx-1"]
        for number in range(40):
            for interval, _, *rest in rows:
                for column, value in zip(
                    table.values(), (interval, f"a-transformer-with-a-long-name-{number}", *rest), strict=True
                ):
                    column.append(value)
    for number in range(30):
        era, term = f"a-party-with-a-long-name-{number}", f"a term with a long name {number}"
        draft.row("participants", era, f"a kind with a long name {number}", "", "", "", "", "")
        draft.row("postings", 7, "c", term, era, "treasury", Decimal(123456), "EUR")
    names = [f"an_action_with_a_long_name_{number}" for number in range(40)]
    draft.manifest["messages"] = {name: {"ack": 123456, "nack": 7} for name in names}
    draft.manifest["durations"] = dict.fromkeys(names, 123.4)
    draft.manifest["name"] = "a scenario with a name " * 9
    draft.tables["intervals"]["fallback"][0] = True
    draft.tables["intervals"]["unserved_kwh"][0] = 123456.7
    draft.tables["intervals"]["reference_gap_pu"][0] = 1e-10
    draft.tables["setpoints"]["curtailed_kw"][0] = 123456.7
    draft.row("sessions", "ev-2", 0, 999_999, 123456.7, 123456.7, 0.0, False)
    draft.manifest["unsettledContracts"] = ["one"]


def test_the_text_fits_a_terminal_however_large_the_run(edited: Edited) -> None:
    lines = lines_of(edited(crowded))
    assert len(lines) <= 45
    assert max(map(len, lines)) <= 100
    assert any("and 38 nodes with smaller adders" in line for line in lines)
    assert any("and 37 transformers with less load" in line for line in lines)


def test_names_that_differ_at_their_ends_stay_apart(edited: Edited) -> None:
    name = "TR-0.4kV-Rural-North-Mill-Lane-{}".format
    text = render(summarise(edited(renamed({"tx-1": name("160kVA-1"), "tx-2": name("250kVA-2")}))))
    assert "TR-0.4kV-…-160kVA-1" in text
    assert "TR-0.4kV-…-250kVA-2" in text


@pytest.mark.parametrize(
    ("hours", "text"), [(0, "0 min"), (0.25, "15 min"), (1, "1 h"), (3.25, "3 h 15 min"), (23.9999, "24 h")]
)
def test_a_duration_is_said_as_people_say_it(hours: float, text: str) -> None:
    assert duration(hours) == text


def test_a_short_name_is_left_alone_and_a_long_one_fits() -> None:
    assert short("tx-1", 4) == "tx-1"
    assert short("transformer-12", 9) == "tran…r-12"
