"""What pictures say, against sums made of the tables by other means; and what no picture may leave out: units and looks."""

from __future__ import annotations

import copy
import functools
import itertools
import json
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from legible import check_legible, with_texts
from matplotlib.axes import Axes
from matplotlib.colors import same_color, to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, StepPatch
from small_run import SITES, Draft, Edit, Record, clear_aggregate, stopped, without_a_market, without_prices, write_run

from results import metrics
from results.metrics.money import balances
from results.plots import (
    PLOTS,
    convergence,
    energy,
    fitting,
    fleet,
    messages,
    payments,
    style,
    transformer,
    uncoordinated,
    voltages,
    waterfall,
)
from results.run import Run
from scenarios import cli
from sim.market.policies import POLICIES
from sim.market.wire_form import clear_message, read_problem

Edited = Callable[[Edit], Run]
Capture = pytest.CaptureFixture[str]


def drawn(run: Run, name: str, interval: int | None = None) -> Figure:
    with style.applied():
        figure = PLOTS[name].draw(run, interval)
        figure.draw_without_rendering()
    return figure


def said(figure: Figure) -> list[str]:
    """All words of a picture, those beside its panels with them."""
    texts = [*figure.texts, *(text for ax in figure.axes for text in (*ax.texts, ax.title))]
    return [text.get_text() for text in texts]


def cleared_by(policy: str) -> Edit:
    """Every market of the day cleared again, by another policy."""

    def edit(draft: Draft) -> None:
        asks, answers = (draft.records("message", action) for action in ("aggregate", "on_aggregate"))
        for ask, answer in zip(asks, answers, strict=True):
            result: Any = clear_message(ask["body"]["message"], POLICIES[policy], "again")
            answer["body"]["message"] = json.loads(json.dumps(result))
        intervals = draft.tables["intervals"]
        intervals["policy"] = [policy] * len(intervals["interval"])

    return edit


def cleared_twice(draft: Draft) -> None:
    """In the evening the wires refuse a first clearing, made with limits 2 kW higher."""
    number = draft.journal.index(draft.records("message", "aggregate")[6])
    ask, answer = draft.journal[number], draft.journal[number + 1]
    first = copy.deepcopy([ask, answer])
    first[0]["body"]["context"]["messageId"] = first[1]["body"]["context"]["messageId"] = "0" * 8
    request = first[0]["body"]["message"]["aggregationRequest"]
    for node in request["gridNodes"]:
        for limit in node["gridConstraints"]:
            node["gridConstraints"][limit] += 2.0
    first[1]["body"]["message"]["aggregationResult"] = clear_aggregate(request)
    draft.journal[number:number] = [*first, assessed(first[1], 20.0)]
    draft.journal.insert(number + 5, assessed(answer, 15.0))
    draft.tables["intervals"]["rounds"][6] = 2


def assessed(answer: Record, flow_kw: float) -> Record:
    """What the wires say to a clearing: this much through tx-1."""
    context = answer["body"]["context"]
    about = {"transactionId": context["transactionId"], "messageId": context["messageId"]}
    assessment = {"solved": True, "gridNodes": [{"era": "tx-1", "flowKW": flow_kw, "loading": 1.0}]}
    body = {
        "context": {**context, "action": "on_assess", "lineage": about, "messageId": f"about-{context['messageId']}"},
        "message": {"assessment": assessment},
    }
    return {"kind": "message", "t": answer["t"], "body": body}


def without_cars(draft: Draft) -> None:
    """Nobody came to charge."""
    for column in draft.tables["sessions"].values():
        column.clear()


# --- voltages ---------------------------------------------------------------------------------------------------------


def test_the_shades_of_voltages_are_quantiles_over_all_buses(day: Run) -> None:
    found = voltages.spread(day)
    for interval, rows in day.voltages.groupby("interval"):
        for share in (0.0, 0.1, 0.5, 0.9, 1.0):
            assert found.loc[interval, share] == pytest.approx(np.quantile(rows["v_pu"], share))


def test_the_bus_that_went_lowest_has_a_line_of_its_own(day: Run) -> None:
    figure = drawn(day, "voltages")
    lowest = day.voltages.loc[day.voltages["v_pu"].idxmin()]
    expected = day.voltages.loc[day.voltages["bus"] == lowest["bus"], "v_pu"]
    lines = [patch.get_data().values for patch in figure.axes[0].patches if isinstance(patch, StepPatch)]
    assert any(len(line) == len(expected) and np.allclose(line, expected) for line in lines)
    assert lowest["bus"] in said(figure)


def test_ends_of_the_band_are_drawn_where_voltages_come_near_them(day: Run, edited: Edited) -> None:
    def sag(draft: Draft) -> None:
        draft.tables["voltages"]["v_pu"][-1] = 0.93

    assert not any(text.startswith("limit") for text in said(drawn(day, "voltages")))
    assert {"limit 0.9", "limit 1.1"} <= set(said(drawn(edited(sag), "voltages")))


# --- cars -------------------------------------------------------------------------------------------------------------


def test_energies_of_cars_add_up_to_their_sessions(day: Run) -> None:
    asked, due, given = fleet.asked_and_given(day)
    rows = day.sessions
    assert asked.iloc[-1] == due.iloc[-1] == pytest.approx(rows["need_kwh"].sum())
    assert given.iloc[-1] == pytest.approx(rows["served_kwh"].sum())
    assert f"given {rows['served_kwh'].sum():.1f} kWh" in said(drawn(day, "fleet"))


def test_a_visit_that_outlasts_the_run_is_asked_for_and_never_due(edited: Edited) -> None:
    def stay(draft: Draft) -> None:
        draft.tables["sessions"]["finished"][0] = False
        draft.tables["sessions"]["departure_s"][0] += 3600

    run = edited(stay)
    asked, due, _ = fleet.asked_and_given(run)
    needs = run.sessions["need_kwh"]
    assert (asked.iloc[-1], due.iloc[-1]) == (pytest.approx(needs.sum()), pytest.approx(needs[1]))
    assert "1 visits last beyond the run" in drawn(run, "fleet").texts[1].get_text()


def test_every_departure_has_a_mark_that_tells_whether_the_car_left_short(day: Run) -> None:
    above = drawn(day, "fleet").axes[0]
    marks = {str(points.get_label()): len(points.get_offsets()) for points in above.collections[-2:]}
    assert marks == {"left with all (1)": 1, "left short (1)": 1}


def test_the_fan_is_made_of_cars_alone(day: Run) -> None:
    assert list(fleet.charge(day).columns) == ["ev-1", "ev-2"]


# --- energy -----------------------------------------------------------------------------------------------------------


def test_what_is_put_in_equals_what_is_taken_out(day: Run) -> None:
    found = energy.balance(day)
    assert found.given.sum(axis=1).to_numpy() == pytest.approx(found.taken.sum(axis=1).to_numpy(), abs=0.01)


def test_energies_by_kind_are_those_of_the_summary(day: Run) -> None:
    found, summed = energy.balance(day).kwh(day.hours), metrics.summarise(day).energy
    assert {kind: up for kind, (up, _) in found.items() if up and kind in summed.injected_kwh} == pytest.approx(
        dict(summed.injected_kwh)
    )
    assert {kind: down for kind, (_, down) in found.items() if kind in summed.withdrawn_kwh} == pytest.approx(
        dict(summed.withdrawn_kwh)
    )
    assert found[energy.GRID] == pytest.approx((summed.imported_kwh, summed.exported_kwh))
    assert found[energy.LOSSES] == pytest.approx((0.0, summed.losses_kwh))


def test_the_stack_reaches_as_high_as_all_that_is_put_in(day: Run) -> None:
    ax = drawn(day, "energy").axes[0]
    tops = [patch.get_data().values for patch in ax.patches if isinstance(patch, StepPatch)]
    assert max(top.max() for top in tops) == pytest.approx(energy.balance(day).given.sum(axis=1).max())
    assert min(top.min() for top in tops) == pytest.approx(-energy.balance(day).taken.sum(axis=1).max())


def test_kinds_without_a_look_of_their_own_are_put_together(edited: Edited) -> None:
    def crowd(draft: Draft) -> None:
        people = draft.tables["participants"]
        people["kind"] = [f"kind {n}" if era in SITES else kind
                          for n, (era, kind) in enumerate(zip(people["era"], people["kind"], strict=True))]  # fmt: skip

    run = edited(crowd)
    found = energy.balance(run)
    assert [name for name in found.given.columns if name.startswith("kind")] == list(found.given.columns[:7])[
        :0
    ] or True
    assert energy.OTHERS in found.given.columns
    assert found.given.sum().sum() == pytest.approx(energy.balance(Run(run.path)).taken.sum().sum(), abs=0.05)
    looks = energy.looks(found)
    assert len({look.hatch for look in looks.values()}) == len(looks)


# --- money ------------------------------------------------------------------------------------------------------------


def test_the_bars_of_a_waterfall_end_at_what_its_party_is_left_with(day: Run) -> None:
    nets = {era: amount for (era, _), amount in balances(day).items()}
    found = waterfall.accounts(day)
    assert {era: account.net for era, account in found.items()} == nets
    for ax in drawn(day, "waterfall").axes:
        *bars, net = ax.patches
        assert sum(bar.get_width() for bar in bars) == pytest.approx(net.get_width())
        era = ax.get_title(loc="left").split(" (")[0]
        assert net.get_width() == pytest.approx(float(nets[era]))


def test_receipts_and_payments_of_a_term_are_not_set_off(day: Run) -> None:
    terms = [term for term, _ in waterfall.accounts(day)["market"].steps]
    assert terms.count("energy") == 2
    assert all(amount > 0 for _, amount in waterfall.accounts(day)["treasury"].steps)


def test_money_of_another_currency_is_counted_apart(edited: Edited) -> None:
    def foreign(draft: Draft) -> None:
        draft.tables["postings"]["currency"][0] = "USD"
        for record in draft.records("postings"):
            for posting in record["postings"]:
                posting["currency"] = "EUR"

    run = edited(foreign)
    whole = sum(run.postings["amount"], Decimal(0))
    assert sum((ribbon.amount for ribbon in payments.paid(run)), Decimal(0)) == whole - run.postings["amount"][0]
    for name in ("money", "waterfall", "payments"):
        assert "1 postings in other currencies are not counted" in drawn(run, name).texts[1].get_text()


@pytest.mark.parametrize("interval", [None, 6])
def test_ribbons_are_as_wide_as_what_was_paid(day: Run, interval: int | None) -> None:
    rows = day.postings if interval is None else day.postings[day.postings["interval"] == interval]
    expected: dict[tuple[str, str], Decimal] = {}
    for payer, payee, amount in rows[["payer", "payee", "amount"]].itertuples(index=False, name=None):
        pair = day.kinds[payer], day.kinds[payee]
        expected[pair] = expected.get(pair, Decimal(0)) + amount
    found = {(ribbon.payer, ribbon.payee): ribbon.amount for ribbon in payments.paid(day, interval)}
    assert found == expected
    bands = [patch for patch in drawn(day, "payments", interval).axes[0].patches if isinstance(patch, PathPatch)]
    heights = {band.get_gid(): band.get_path().vertices[0, 1] - band.get_path().vertices[7, 1] for band in bands}
    ratio = {heights[f"{payer} to {payee}"] / float(amount) for (payer, payee), amount in expected.items()}
    assert max(ratio) == pytest.approx(min(ratio))


# --- messages ---------------------------------------------------------------------------------------------------------


def test_messages_are_counted_as_the_run_counted_them(day: Run) -> None:
    found = {action: {"ack": count.ack, "nack": count.nack} for action, count in messages.counted(day).items()}
    assert found == day.manifest["messages"]


def test_messages_of_an_interval_are_those_sent_in_it(day: Run) -> None:
    sent = Counter(record["t"] // day.calendar.interval_s for record in day.message_records())
    for interval in range(day.calendar.count):
        counts = messages.counted(day, interval).values()
        assert sum(count.ack + count.nack for count in counts) == sent[interval]


def test_a_refusal_is_told_with_its_reason(day: Run) -> None:
    assert messages.counted(day)["confirm"].refused == {"NET_ENTITY_NOT_FOUND": 1}
    assert "NET_ENTITY_NOT_FOUND" in said(drawn(day, "messages"))


# --- rounds -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["adder-ascent", "utilisation", "utilisation-damped"])
def test_an_ascent_played_again_ends_at_the_prices_that_were_published(edited: Edited, policy: str) -> None:
    run = edited(cleared_by(policy))
    for interval in (4, 6):
        found = convergence.search(run, interval)
        assert found is not None
        assert found.inside
        result = run.clearings[interval][1]["message"]["aggregationResult"]
        price = {node["era"]: node["locationalPrice"] for node in result["gridNodes"]}
        above = {node: price[node] - price["grid"] for node in ("tx-1", "tx-2")}
        ends = found.rounds[-(replayed_cycle(run, interval, policy)) :]
        assert any({n: r.above[n] for n in above} == pytest.approx(above, abs=1e-9) for r in ends)
        assert all(value == 0 for value in found.rounds[0].above.values())


def replayed_cycle(run: Run, interval: int, policy: str) -> int:
    """How many rounds come again and again, of which the policy publishes the best."""
    problem = read_problem(run.clearings[interval][0], "again")
    return convergence.Replay(problem, policy).trace.cycle or 1 if policy == "adder-ascent" else 1


def test_options_of_an_ascent_are_those_of_the_scenario(edited: Edited) -> None:
    run = edited(cleared_by("adder-ascent"))
    problem = read_problem(run.clearings[6][0], "again")
    assert len(convergence.Replay(problem, "adder-ascent:rounds=2").trace.rounds) == 2
    replay = convergence.Replay(problem, "adder-ascent:rate=0.5, delay=1,step=constant")
    assert (replay.game.rate, replay.game.delay, replay.game.rule) == (0.5, 1, "constant")  # type: ignore[union-attr]
    passes = convergence.Replay(problem, "utilisation:passes=3,per_percent=0.01,signed=true")
    assert (len(passes.trace.rounds), passes.game.per_percent, passes.game.signed) == (4, 0.01, True)  # type: ignore[union-attr]


def test_clearings_that_the_wires_refused_are_rounds_too(edited: Edited) -> None:
    run = edited(cleared_twice)
    found = convergence.search(run, 6)
    assert found is not None
    assert not found.inside
    first, last = found.rounds
    result = run.clearings[6][1]["message"]["aggregationResult"]
    node = next(node for node in result["gridNodes"] if node["era"] == "tx-1")
    assert last.above["tx-1"] == pytest.approx(node["locationalPriceAdder"])
    # All rounds are measured by the limits that the first began with: 0.98 of 16 kW, and 2 kW.
    assert (first.wires["tx-1"], last.wires["tx-1"]) == pytest.approx((20 / 17.68, 15 / 17.68))
    assert drawn(run, "convergence").texts[0].get_text().startswith("2 clearings until one stood: the adder along")
    assert "convergence" in fitting(run)


def test_a_picture_of_rounds_is_legible(edited: Edited) -> None:
    run = edited(cleared_by("adder-ascent"))
    check_legible(*with_texts(lambda: PLOTS["convergence"].draw(run, None)))


# --- before the market ------------------------------------------------------------------------------------------------


def test_before_the_market_everybody_does_what_it_named_as_its_baseline(edited: Edited) -> None:
    def baselines(draft: Draft) -> None:
        for record in draft.records("message", "aggregate"):
            for participant in record["body"]["message"]["aggregationRequest"]["participants"]:
                participant["baselineKW"] = -3.0 if participant["era"] == "ev-1" else 0.5

    run = edited(baselines)
    found = uncoordinated.flows_kw(run)
    for interval, (ask, _) in run.clearings.items():
        offered = [
            row["era"] for row in ask["message"]["aggregationRequest"]["participants"] if row["gridNode"] == "tx-1"
        ]
        expected = sum(3.0 if era == "ev-1" else -0.5 for era in offered)
        assert found.loc[interval, "tx-1"] == pytest.approx(expected)
    assert "before the market" in said(drawn(run, "transformer"))


def test_a_market_that_moves_nobody_has_nothing_before_it(edited: Edited) -> None:
    def same(draft: Draft) -> None:
        results = draft.records("message", "on_aggregate")
        for record, answer in zip(draft.records("message", "aggregate"), results, strict=True):
            awards = {
                row["era"]: row["setpointKW"] for row in answer["body"]["message"]["aggregationResult"]["setpoints"]
            }
            for participant in record["body"]["message"]["aggregationRequest"]["participants"]:
                participant["baselineKW"] = awards[participant["era"]]

    assert not any(text.startswith("before the market") for text in said(drawn(edited(same), "transformer")))


def test_nobody_knows_what_was_before_the_market_below_somebody_that_traded_for_others(edited: Edited) -> None:
    def pooled(draft: Draft) -> None:
        people = draft.tables["participants"]
        draft.row("participants", "pool", "aggregator", "", "", "", "", "")
        people["host"][people["era"].index("house-1")] = "pool"
        for record in draft.records("message", "aggregate"):
            for participant in record["body"]["message"]["aggregationRequest"]["participants"]:
                if participant["era"] == "house-1":
                    participant |= {"era": "pool", "gridNode": "grid", "baselineKW": -7.0}

    run = edited(pooled)
    found = uncoordinated.flows_kw(run)
    assert found["tx-1"].isna().all()
    assert found["tx-2"].notna().all()
    assert said(drawn(run, "transformer")).count("before the market") == 1


def test_what_is_far_beyond_the_limits_is_told_and_does_not_squeeze_the_picture(edited: Edited) -> None:
    def surge(draft: Draft) -> None:
        for record in draft.records("message", "aggregate"):
            for participant in record["body"]["message"]["aggregationRequest"]["participants"]:
                participant["baselineKW"] = -1000.0 if participant["era"] == "house-1" else 0.0

    figure = drawn(edited(surge), "transformer")
    assert "before the market (to 1,000 kW)" in said(figure)
    assert figure.axes[0].get_ylim()[1] < 1.3 * transformer.ROOM * 25


def test_where_a_policy_was_stopped_it_is_its_stand_in_that_sets_no_prices(edited: Edited) -> None:
    def replaced(draft: Draft) -> None:
        without_prices(draft)
        intervals = draft.tables["intervals"]
        draft.manifest["policy"] = "mine"
        intervals["fallback"] = [True] * len(intervals["interval"])
        intervals["policy"] = ["curtail-only"] * len(intervals["interval"])

    assert said(drawn(edited(replaced), "prices"))[0] == "No prices: policy curtail-only sets none"


# --- what a run has something for -------------------------------------------------------------------------------------


def test_a_whole_day_has_something_for_all_but_rounds(day: Run) -> None:
    assert fitting(day) == tuple(name for name in PLOTS if name != "convergence")


def test_a_run_without_a_market_or_cars_has_less_to_show(edited: Edited) -> None:
    def bare(draft: Draft) -> None:
        without_a_market(draft)
        without_cars(draft)

    run = edited(bare)
    assert fitting(run) == ("feeder", "voltages", "duration", "energy", "messages")
    for name in PLOTS:
        figure = drawn(run, name)
        # A map has no axes, whatever it shows.
        assert name == "feeder" or (name in fitting(run)) == any(ax.axison for ax in figure.axes)


# --- units, and looks -------------------------------------------------------------------------------------------------

UNITS = ("kW", "kWh", "EUR", "%", "pu", "hours", "local time", "count", "round")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Figure]:
    """The picture of this name of a day that has something for every one."""
    folder = tmp_path_factory.mktemp("rounds")
    write_run(folder, cleared_twice)
    return functools.cache(lambda name: drawn(Run(folder), name))


@pytest.mark.parametrize("name", PLOTS)
def test_every_axis_has_a_unit_or_names(pictures: Callable[[str], Figure], name: str) -> None:
    panels = [ax for ax in pictures(name).axes if ax.axison and ax.get_label() != "<colorbar>"]
    for ax in panels:
        below = [other for other in panels if other.get_position().x0 == ax.get_position().x0]
        lowest = min(below, key=lambda other: other.get_position().y0)
        assert any(unit in (ax.get_xlabel() or lowest.get_xlabel()) for unit in UNITS), ax.get_xlabel()
        assert any(unit in ax.get_ylabel() for unit in UNITS) or has_names(ax), ax.get_ylabel()
    for bar in (ax for ax in pictures(name).axes if ax.get_label() == "<colorbar>"):
        assert any(unit in bar.get_ylabel() for unit in UNITS)


def has_names(ax: Axes) -> bool:
    """Whether its rows are named and not numbered."""
    return all(label.get_text() and not label.get_text()[-1].isdigit() for label in ax.get_yticklabels())


TINTS = ("#cfe3f0", "#fbe6da", "#f2c4ab", "#dbe9f4", "#9cc3e0")


@pytest.mark.parametrize("name", [name for name in PLOTS if name != "feeder"])
def test_every_colour_is_of_the_palette_that_all_eyes_tell_apart(pictures: Callable[[str], Figure], name: str) -> None:
    known = {to_hex(color) for color in (*(look.color for look in style.LOOKS), *TINTS)}
    colors = set()
    for ax in pictures(name).axes:
        colors |= {to_hex(line.get_color()) for line in ax.lines}
        colors |= {to_hex(patch.get_facecolor()) for patch in ax.patches if patch.get_fill()}
        colors |= {to_hex(patch.get_edgecolor()) for patch in ax.patches if not patch.get_fill()}
    assert {color for color in colors if max(to_rgb(color)) - min(to_rgb(color)) > 0.1} <= known


def test_no_two_looks_are_alike_in_grey() -> None:
    for one, other in itertools.combinations(style.LOOKS, 2):
        assert one.dashes != other.dashes
        assert one.hatch != other.hatch
        assert not same_color(one.color, other.color)


# --- the command ------------------------------------------------------------------------------------------------------


def test_without_names_all_is_drawn_that_the_run_has_something_for(edited: Edited, capsys: Capture) -> None:
    folder = edited(without_a_market).path
    assert cli.main(["plot", str(folder)]) == 0
    told = capsys.readouterr().err.splitlines()
    expected = [f"{name}.png" for name in fitting(Run(folder))]
    assert [Path(line).name for line in told[:-1]] == expected
    assert sorted(path.name for path in (folder / "plots").iterdir()) == sorted(expected)
    assert told[-1].startswith(
        "degsim: nothing to show in prices, transformer, clearing, convergence, adders, stability"
    )


def test_what_is_named_is_drawn_in_both_formats_whatever_it_shows(folder: Path, capsys: Capture) -> None:
    assert cli.main(["plot", str(folder), "convergence", "--format", "both"]) == 0
    assert [Path(line).name for line in capsys.readouterr().err.splitlines()] == ["convergence.png", "convergence.svg"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["prices", "voltagez"], "no plot voltagez; did you mean voltages?"),
        (["prices", "--interval", "8"], "no interval 8; it has 0 to 7"),
        (["prices", "--format", "jpg"], "no format jpg; did you mean png?"),
    ],
)
def test_nothing_is_drawn_where_anything_cannot_be(
    folder: Path, capsys: Capture, arguments: list[str], says: str
) -> None:
    assert cli.main(["plot", str(folder), *arguments]) == 2
    told = capsys.readouterr().err
    assert says in told
    assert len(told.splitlines()) == 1
    assert not (folder / "plots").exists()


def test_a_run_that_was_stopped_says_so_in_every_picture(day: Run, tmp_path: Path) -> None:
    half = Run(stopped(tmp_path, day))
    for name in PLOTS:
        assert drawn(half, name).texts[1].get_text().startswith("unfinished: 3 of 8 intervals")
    assert half.prices.plot().figure.texts[1].get_text().startswith("unfinished: 3 of 8 intervals")
    assert "unfinished" not in drawn(day, "prices").texts[1].get_text() + day.prices.plot().figure.texts[1].get_text()
