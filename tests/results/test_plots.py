"""Pictures: the same bytes twice, no two texts on top of each other, and a title that states what was found."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from legible import check_legible, with_texts
from matplotlib.figure import Figure
from matplotlib.text import Text
from small_run import (
    Draft,
    Edit,
    clear_aggregate,
    renamed,
    with_one_node,
    without_a_market,
    without_power_flow,
    without_prices,
    write_run,
)

from results import layout
from results.grid_picture import GridPicture
from results.plots import PLOTS, feeder_map, refuse, save, style
from results.run import Run
from sim.clock import Calendar
from sim.errors import RunError

Edited = Callable[[Edit], Run]


def nothing(_: Draft) -> None:
    """The small run as it is."""


def below_zero(draft: Draft) -> None:
    """Every price half a euro lower: negative at noon, and at night at the retailer's export price."""
    prices = draft.tables["prices"]
    prices["price_per_kwh"] = [price - 0.5 for price in prices["price_per_kwh"]]
    for column in ("import_price", "export_price"):
        draft.tables["intervals"][column] = [price - 0.5 for price in draft.tables["intervals"][column]]
    for record in draft.records("message", "aggregate"):
        for participant in record["body"]["message"]["aggregationRequest"]["participants"]:
            for point in participant["offerCurve"]["curve"]:
                point["price"] -= 0.5
    for record in draft.records("message", "on_aggregate"):
        for node in record["body"]["message"]["aggregationResult"]["gridNodes"]:
            node["locationalPrice"] -= 0.5


def many_nodes(draft: Draft) -> None:
    """Twelve more transformers that follow the first, each to its own degree."""
    for table, scaled in (("prices", (2, 3)), ("nodes", (2, 4, 5, 6, 7))):
        columns = draft.tables[table]
        rows = [row for row in zip(*columns.values(), strict=True) if row[1] == "tx-1"]
        for number, row in itertools.product(range(3, 15), rows):
            values = [v * number / 15 if place in scaled else v for place, v in enumerate(row)]
            values[1] = f"tx-{number}"
            for column, value in zip(columns.values(), values, strict=True):
                column.append(value)


def unsolved(draft: Draft) -> None:
    """No power flow in the evening, and none at night."""
    for interval in (0, 6, 7):
        without_power_flow(interval)(draft)


def never_solved(draft: Draft) -> None:
    """No power flow at all."""
    for interval in range(8):
        without_power_flow(interval)(draft)


def without_limits(draft: Draft) -> None:
    """Transformers that nobody limits."""
    nodes = draft.tables["nodes"]
    for column in ("import_limit_kw", "export_limit_kw", "rated_import_kw", "rated_export_kw"):
        nodes[column] = [float("inf")] * len(nodes["node"])


def many_terms(draft: Draft) -> None:
    """More terms than looks, and an account in a thousand times the amounts."""
    postings = draft.tables["postings"]
    postings["term"] = [f"{term} {row % 4}" for row, term in enumerate(postings["term"])]
    postings["amount"] = [1000 * amount for amount in postings["amount"]]


def with_bounds(draft: Draft) -> None:
    """Voltages bound the market beside the tree: in the evening one of them has a price."""
    for interval in range(8):
        for bus in range(9):
            price = 250.0 / (1 + bus) if interval == 6 and bus < 8 else 0.0
            draft.row("bounds", interval, f"voltage of bus {bus}", 0.01, 0.012, price)


def idle_bounds(draft: Draft) -> None:
    """Bounds that never bind."""
    draft.row("bounds", 3, "voltage of bus 1", 0.01, 0.012, 0.0)


def bound_alone(draft: Draft) -> None:
    """No transformer limits anybody at noon, and a voltage does: participants below tx-1 have prices of their own."""
    for table in ("prices", "nodes"):
        columns = draft.tables[table]
        kept = [place for place, number in enumerate(columns["interval"]) if number != 6]
        for column in columns.values():
            column[:] = [column[place] for place in kept]
    ask = draft.records("message", "aggregate")[4]["body"]["message"]["aggregationRequest"]
    for node in ask["gridNodes"]:
        node["gridConstraints"] = {}
    weights = [{"era": "solar-1", "weight": 0.001}, {"era": "house-1", "weight": 0.0005}]
    ask |= {"priceFloor": -1.0, "priceCap": 3.0}
    ask["linearLimits"] = [{"id": "voltage high", "weights": weights, "maximum": 0.012}]
    result = clear_aggregate(ask)
    draft.records("message", "on_aggregate")[4]["body"]["message"]["aggregationResult"] = result
    (limit,) = result["linearLimits"]
    for interval in range(8):
        bound = (limit["value"], limit["price"]) if interval == 4 else (0.0, 0.0)
        draft.row("bounds", interval, "voltage high", bound[0], 0.012, bound[1])
    prices, setpoints = draft.tables["prices"], draft.tables["setpoints"]
    own = {award["era"]: award["price"] for award in result["setpoints"]}
    node = {node["era"]: node["locationalPrice"] for node in result["gridNodes"]}
    for row, (interval, name) in enumerate(zip(prices["interval"], prices["node"], strict=True)):
        prices["adder_per_kwh"][row] = 0.0
        prices["price_per_kwh"][row] = node[name] if interval == 4 else prices["price_per_kwh"][row]
    for row, (interval, era) in enumerate(zip(setpoints["interval"], setpoints["era"], strict=True)):
        if interval == 4:
            setpoints["price_per_kwh"][row] = own[era]


def blackout(draft: Draft) -> None:
    """A street without supply in the evening, and no places for its buses."""
    voltages = draft.tables["voltages"]
    for row, bus in enumerate(voltages["bus"]):
        if bus.endswith("-2") and voltages["interval"][row] == 6:
            voltages["v_pu"][row] = voltages["v_degree"][row] = float("nan")
    voltages["v_pu"][-1] = 0.87
    for place in ("x", "y"):
        draft.tables["buses"][place] = [None] * 9


def without_a_feeder(draft: Draft) -> None:
    """Nobody wrote the feeder down."""
    for table in ("buses", "elements", "lines", "nodes"):
        for column in draft.tables[table].values():
            column.clear()


LONG_NAMES = renamed(
    {
        "tx-1": "TR-0.4kV-Rural-North-$Mill$-Lane-160kVA-1",
        "tx-2": "TR-0.4kV-Rural-North-Mill-Lane-250kVA-2",
        "grid": "external grid 20 kV, busbar A, substation East",
        "household": "household with a heat pump and a very long name",
        "fee": "market making fee of the clearing agent",
    }
)
CASES: dict[str, Edit] = {
    "as it is": nothing,
    "without prices": without_prices,
    "without a market": without_a_market,
    "one node": with_one_node,
    "negative prices": below_zero,
    "many nodes": many_nodes,
    "many terms": many_terms,
    "long names": LONG_NAMES,
    "without limits": without_limits,
    "bounds": with_bounds,
    "idle bounds": idle_bounds,
    "bound alone": bound_alone,
    "blackout": blackout,
    "without a feeder": without_a_feeder,
    "unsolved intervals": unsolved,
    "never solved": never_solved,
}
EVERY = frozenset(PLOTS)
MONEY = frozenset({"money", "waterfall", "payments"})
PRICED = frozenset({"prices", "clearing", "adders", "stability", "convergence"})
FLOWING = frozenset({"transformer", "feeder", "voltages", "duration", "stability", "energy"})
MATTERS: dict[str, frozenset[str]] = {
    "without prices": PRICED,
    "one node": PRICED | {"transformer"},
    "negative prices": PRICED,
    "many nodes": PRICED | FLOWING,
    "many terms": MONEY,
    "without limits": PRICED | FLOWING,
    "bounds": PRICED,
    "idle bounds": PRICED,
    "bound alone": PRICED,
    "blackout": FLOWING,
    "unsolved intervals": FLOWING,
    "never solved": FLOWING,
}
"""The pictures that a case can change; every one where it is not told."""
DRAWN = [(name, case) for case in CASES for name in PLOTS if name in MATTERS.get(case, EVERY)]

Picture = tuple[Figure, list[Text]]
Pictures = Callable[[str, str], Picture]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Pictures:
    """The picture of this name for this case, drawn once."""
    folder = tmp_path_factory.mktemp("cases")
    runs = functools.cache(lambda case: Run(write_run(folder / case, CASES[case])))
    return functools.cache(lambda name, case: drawn(runs(case), name))


def drawn(run: Run, name: str, interval: int | None = None) -> Picture:
    return with_texts(lambda: PLOTS[name].draw(run, interval))


def words(picture: Picture) -> list[str]:
    """The texts of a picture, its claim first and its remark second."""
    figure, texts = picture
    head = [text.get_text().replace("\n", " ") for text in figure.texts]
    return head + [text.get_text() for text in texts if text not in figure.texts]


# --- every picture of every kind of run -------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "case"), DRAWN)
def test_no_text_lies_on_another_or_leaves_the_picture(pictures: Pictures, name: str, case: str) -> None:
    check_legible(*pictures(name, case))


@pytest.mark.parametrize(("name", "fmt"), [*((name, "svg") for name in PLOTS), ("prices", "png"), ("feeder", "png")])
def test_a_picture_has_the_same_bytes_whenever_it_is_made(day: Run, tmp_path: Path, name: str, fmt: str) -> None:
    first, second = (save(Run(day.path), name, tmp_path / folder, fmt) for folder in ("one", "two"))
    assert first.name == f"{name}.{fmt}"
    assert first.read_bytes() == second.read_bytes()


def test_a_picture_does_not_depend_on_the_users_settings(
    day: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = save(day, "money", tmp_path / "default").read_bytes()
    monkeypatch.setitem(style.mpl.rcParams, "lines.linewidth", 9.0)
    monkeypatch.setitem(style.mpl.rcParams, "axes.facecolor", "black")
    assert save(day, "money", tmp_path / "mine").read_bytes() == expected
    assert style.mpl.rcParams["lines.linewidth"] == 9.0


@pytest.mark.parametrize("name", PLOTS)
def test_a_picture_of_one_interval_has_its_own_file_which_is_sound_svg(day: Run, tmp_path: Path, name: str) -> None:
    path = save(day, name, tmp_path, "svg", interval=6)
    assert [file.name for file in tmp_path.iterdir()] == [f"{name}-6.svg"]
    assert ElementTree.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    assert b"date>" not in path.read_bytes()


@pytest.mark.parametrize(
    ("name", "fmt", "interval", "complaint"),
    [
        ("price", "png", None, "no plot price; did you mean prices?"),
        ("prices", "gif", None, "no format gif; known: png, svg"),
        ("prices", "png", 8, "no interval 8; it has 0 to 7"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    day: Run, tmp_path: Path, name: str, fmt: str, interval: int | None, complaint: str
) -> None:
    with pytest.raises(RunError, match=complaint.replace("?", r"\?")):
        save(day, name, tmp_path, fmt, interval)
    assert list(tmp_path.iterdir()) == []


def test_all_that_cannot_be_drawn_is_told_at_once(day: Run) -> None:
    with pytest.raises(RunError) as caught:
        refuse(day, ("prices", "price"), ("gif",), -1)
    said = [fault.what for fault in caught.value.faults]
    assert said == [
        "no plot price; did you mean prices?",
        "no format gif; known: png, svg",
        "no interval -1; it has 0 to 7",
    ]


# --- what the titles claim --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "case", "claim"),
    [
        ("prices", "as it is", "Prices part for 6 h; at tx-1 by −0.060 to +0.064 EUR/kWh"),
        ("prices", "without prices", "No prices: policy none sets none"),
        ("prices", "without a market", "No prices: policy none sets none"),
        ("prices", "one node", "grid is the only node: its price runs from 0.060 to 0.300 EUR/kWh"),
        ("prices", "bound alone", "Prices part for 3 h; below tx-1 by −0.060 EUR/kWh"),
        ("transformer", "as it is", "tx-1 exceeds its limits for 3 h: peak at 101.6 % of the import limit"),
        ("transformer", "unsolved intervals", "tx-1 stays within its limits: peak at 98.2 % of the export limit"),
        ("transformer", "without limits", "tx-1 has no limits: peak loading 101.6 %"),
        ("transformer", "never solved", "tx-1: no interval with a power flow"),
        ("transformer", "without a market", "No transformer"),
        ("clearing", "as it is", "tx-1: the import limit puts the price 0.064 above grid, at 0.364 EUR/kWh"),
        ("clearing", "without prices", "tx-1: import of 15.7 kW, and no price"),
        ("clearing", "one node", "grid clears 31.7 kW at 0.300 EUR/kWh"),
        ("clearing", "negative prices", "tx-1: the import limit puts the price 0.064 above grid, at −0.136 EUR/kWh"),
        (
            "clearing",
            "bound alone",
            "tx-1: its own limits hold nobody back, so the price is that of grid, 0.060 EUR/kWh; "
            "voltage high binds, and participants' prices differ by it",
        ),
        ("clearing", "without a market", "No clearing"),
        ("feeder", "as it is", "tx-1 carries 101.6 % of its rating; worst voltage 0.992 pu at bus-house-1"),
        ("feeder", "never solved", "No power flow in this interval"),
        ("feeder", "without a feeder", "No feeder"),
        ("feeder", "blackout", "tx-1 carries 63.7 % of its rating; worst voltage 0.870 pu at bus-battery-2"),
        ("duration", "as it is", "tx-1 is beyond its rating for 3 h, and half of the time at most at 61.3 % of it"),
        (
            "duration",
            "unsolved intervals",
            "tx-1 stays within its rating, and half of the time at most at 59.0 % of it",
        ),
        ("duration", "never solved", "No loading"),
        ("adders", "as it is", "Adders stand only where a limit binds; the largest is +0.064 EUR/kWh, at tx-1"),
        (
            "adders",
            "bounds",
            "Adders stand only where a limit binds; the largest is +0.064 EUR/kWh, at tx-1; "
            "bounds bind for 3 h: voltage of bus 0 is worth up to 250.0 EUR/h per unit",
        ),
        (
            "adders",
            "bound alone",
            "No node has an adder, but bounds bind for 3 h: voltage high is worth up to 60.0 EUR/h per unit",
        ),
        ("adders", "idle bounds", "Adders stand only where a limit binds; the largest is +0.064 EUR/kWh, at tx-1"),
        ("adders", "without prices", "No adders"),
        ("adders", "without limits", "No adders"),
        ("adders", "without a market", "No adders"),
        ("money", "as it is", "Most paid by household (net 35.10 EUR), most received by retailer (29.33 EUR)"),
        ("money", "without a market", "No money moved"),
        ("convergence", "as it is", "No rounds"),
        ("convergence", "without a market", "No rounds"),
        (
            "voltages",
            "as it is",
            "Voltages stay within 0.9 to 1.1 pu: 0.992 (bus-house-1) to 1.008 (bus-solar-1)",
        ),
        (
            "voltages",
            "blackout",
            "Voltages are for 3 h outside 0.9 to 1.1 pu: 0.870 (bus-battery-2) to 1.008 (bus-solar-1)",
        ),
        ("voltages", "never solved", "No voltages"),
        (
            "energy",
            "as it is",
            "119.4 kWh imported, 92.0 kWh exported; "
            "most put in by solar (146.1 kWh), most taken by household (111.0 kWh)",
        ),
        ("fleet", "as it is", "1 of 2 visits ended short of what was asked for: 19.5 of 84.0 kWh missing"),
        (
            "waterfall",
            "as it is",
            "retailer ends with 29.33 EUR net: receipts and payments of 6 parties",
        ),
        ("waterfall", "without a market", "No money moved"),
        ("payments", "as it is", "123.49 EUR change hands; most of it from market to retailer (34.97 EUR)"),
        ("payments", "without a market", "No money moved"),
        ("messages", "as it is", "134 messages of 8 actions, 1 refused; most are confirm"),
    ],
)
def test_the_title_states_what_the_picture_shows(pictures: Pictures, name: str, case: str, claim: str) -> None:
    assert words(pictures(name, case))[0] == claim


@pytest.mark.parametrize(
    ("interval", "claim"),
    [
        (0, "tx-1: no limit holds anyone back, so the price is that of grid, 0.280 EUR/kWh"),
        (4, "tx-1: the export limit puts the price 0.060 below grid, at 0.000 EUR/kWh"),
    ],
)
def test_a_clearing_can_be_asked_for_by_interval(day: Run, interval: int, claim: str) -> None:
    assert words(drawn(day, "clearing", interval))[0] == claim


def test_a_clearing_names_its_limits_its_adder_and_its_plateau(day: Run) -> None:
    noon = words(drawn(day, "clearing", 4))
    assert "export limit 15.7 kW" in noon
    assert "adder −0.060" in noon
    assert "plateau: 19.8 kW indifferent" in noon
    assert "grid: 0.060" in noon


def test_a_clearing_beyond_a_limit_says_by_how_much(edited: Edited) -> None:
    def overrun(draft: Draft) -> None:
        result = draft.records("message", "on_aggregate")[6]["body"]["message"]["aggregationResult"]
        node = next(node for node in result["gridNodes"] if node["era"] == "tx-1")
        node |= {"flowKW": 18.0, "locationalPrice": 0.3, "locationalPriceAdder": 0.0}

    assert words(drawn(edited(overrun), "clearing", 6))[0] == "tx-1: cleared 2.3 kW beyond the import limit"


def test_a_clearing_with_a_bound_is_drawn_at_the_price_of_its_node(pictures: Pictures) -> None:
    """With curves moved by what sets their participants apart, the cleared point lies on their sum."""
    figure, _ = picture = pictures("clearing", "bound alone")
    assert "participants' own differ by −0.060 to −0.030" in words(picture)[1]
    (point,) = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    (net,) = [line for line in figure.axes[0].lines if line.get_label() == "what the node would import"]
    x, y = (float(values[0]) for values in point.get_data())
    at_price = np.asarray(net.get_xdata())[np.abs(np.asarray(net.get_ydata()) - y) < 1e-6]
    assert at_price.min() - 1e-6 <= x <= at_price.max() + 1e-6


def test_a_band_spans_the_prices_of_participants_below_a_node(pictures: Pictures) -> None:
    assert "below tx-1" in words(pictures("prices", "bound alone"))
    assert not any(text.startswith("below ") for text in words(pictures("prices", "as it is")))


def test_a_long_line_under_a_title_is_broken_between_its_parts() -> None:
    figure, _ = style.canvas()
    style.title(figure, "a claim", " · ".join(["crossed: 2 buses outside the band"] * 5))
    lines = figure.texts[1].get_text().split("\n")
    assert len(lines) == 2
    assert all(part == "crossed: 2 buses outside the band" for line in lines for part in line.split(" · "))


def test_curves_on_one_line_are_said_to_be_one(edited: Edited) -> None:
    def alike(draft: Draft) -> None:
        lines = draft.tables["lines"]
        lines["loading"] = [0.5 if "house" in line else 0.1 for line in lines["line"]]

    texts = words(drawn(edited(alike), "duration"))
    assert {"line-house-1", "= line-house-2"} <= set(texts)
    assert not any(text.startswith("= ") for text in words(drawn(edited(nothing), "duration")))


def test_nodes_that_never_part_share_one_name(day: Run) -> None:
    assert words(drawn(day, "prices")).count("grid, tx-2") == 1


def test_only_as_many_nodes_are_named_as_can_be_told_apart(pictures: Pictures) -> None:
    texts = words(pictures("prices", "many nodes"))
    assert "7 more nodes" in texts
    assert sum(text.startswith("tx-") for text in texts) == len(style.LOOKS)


def test_transformers_without_a_panel_are_counted(pictures: Pictures) -> None:
    assert "11 more transformers with less load" in words(pictures("transformer", "many nodes"))[1]


def test_a_map_counts_what_is_wrong_and_says_how_it_is_drawn(day: Run, edited: Edited) -> None:
    assert words(drawn(day, "feeder"))[1].startswith("Tue 18:00 · with a rim: participants · two-streets")
    run = edited(blackout)
    assert "crossed: 1 bus outside the band" in words(drawn(run, "feeder", 7))[1]
    assert "hollow: 4 buses without supply" in words(drawn(run, "feeder", 6))[1]


def test_a_map_names_transformers_with_their_loading(day: Run) -> None:
    assert {"tx-1 101.6 %", "tx-2 37.0 %"} <= set(words(drawn(day, "feeder")))


def test_a_network_is_drawn_without_a_run() -> None:
    edges = (("transformer", "tx", "top", "low"), ("line", "l1", "low", "house"), ("switch", "s", "low", "annex"))
    places = {"top": (0.0, 0.0), "low": (1.0, 0.0), "house": (2.0, 0.0), "annex": (1.0, 1.0)}
    with style.applied():
        figure = feeder_map.draw_feeder(GridPicture("hill", places, edges, ("house", "house")))
    assert [text.get_text() for text in figure.texts] == [
        "hill",
        "4 buses · 1 lines · 1 transformers (open ones are not drawn) · 2 customers at the filled buses",
    ]


def test_a_tree_is_laid_out_by_steps_from_its_root_and_its_longest_street_is_straight() -> None:
    edges = [("b", "a"), ("b", "c"), ("c", "d"), ("b", "e"), ("x", "y")]
    tree = layout.parents(["e", "d", "c", "b", "a", "x", "y"], edges, ["a"])
    assert tree == {"a": None, "b": "a", "c": "b", "e": "b", "d": "c", "x": None, "y": "x"}
    assert layout.depths(tree) == {"a": 0, "b": 1, "c": 2, "e": 2, "d": 3, "x": 0, "y": 1}
    places = layout.places(tree)
    assert [places[bus] for bus in "abcd"] == [(0, 0), (1, 0), (2, 0), (3, 0)]
    assert places["e"] == (2, -1)
    assert (places["x"], places["y"]) == ((0, -2), (1, -2))


def test_a_ring_and_a_long_street_are_laid_out_too() -> None:
    buses = [str(number) for number in range(5000)]
    ring = list(itertools.pairwise([*buses, buses[0]]))
    assert len(set(layout.places(layout.parents(buses, ring, ["0"])).values())) == 5000


def test_loading_is_signed_by_the_way_of_the_power(day: Run) -> None:
    """The panels fill their cable upwards at noon; the houses draw through theirs."""
    figure, texts = drawn(day, "duration", 4)
    assert {"line-solar-1", "line-ev-1", "line-house-1"} <= {text.get_text() for text in texts}
    lowest = {patch.get_path().vertices[:, 1].min() for patch in figure.axes[0].patches}
    assert min(lowest) < -90


def test_a_line_that_is_described_from_its_end_has_the_same_sign(edited: Edited, day: Run) -> None:
    def turn(draft: Draft) -> None:
        elements = draft.tables["elements"]
        for one, other in (("start", "end"), ("start_number", "end_number")):
            for row, kind in enumerate(elements["kind"]):
                if kind == "line":
                    elements[one][row], elements[other][row] = elements[other][row], elements[one][row]

    turned, straight = (drawn(run, "duration")[0].axes[0].patches for run in (edited(turn), day))
    for one, other in zip(turned, straight, strict=True):
        assert one.get_path().vertices == pytest.approx(other.get_path().vertices)


def test_adders_without_a_binding_limit_are_said_to_be(edited: Edited) -> None:
    def unbind(draft: Draft) -> None:
        draft.tables["nodes"]["binding"][12] = ""

    claim = words(drawn(edited(unbind), "adders"))[0]
    assert claim == "Adders stand also where no limit binds (1 of 2); the largest is +0.064 EUR/kWh, at tx-1"


def test_only_bounds_that_were_worth_something_have_a_line(pictures: Pictures) -> None:
    texts = words(pictures("adders", "bounds"))
    assert sum(text.startswith("voltage of bus") for text in texts) == len(style.LOOKS)
    assert "2 more not shown" in texts
    assert "none of the 1 bounds beside the tree was worth anything" in words(pictures("adders", "idle bounds"))


def test_money_of_one_interval_says_which(day: Run) -> None:
    assert words(drawn(day, "money", 6))[1].startswith("18:00 to 21:00 · ")


def test_small_terms_are_put_together(pictures: Pictures) -> None:
    assert "other terms" in words(pictures("money", "many terms"))


# --- the helpers ------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 1), max_size=12), st.floats(0.001, 0.2))
def test_labels_are_moved_apart_and_no_further_than_they_must(values: list[float], gap: float) -> None:
    wanted = np.sort(np.array(values, dtype=float))
    placed = style.spread(wanted, gap)
    assert len(placed) == len(wanted)
    assert (np.diff(placed) >= gap - 1e-12).all()
    if (np.diff(wanted) >= gap).all():
        assert placed == pytest.approx(wanted)
    assert placed.sum() == pytest.approx(wanted.sum())


def test_spans_are_the_runs_of_a_mask() -> None:
    assert style.spans(np.array([True, False, False, True, True])) == [(0, 1), (3, 5)]
    assert style.spans(np.zeros(3, dtype=bool)) == []


@pytest.mark.parametrize(
    ("count", "interval_s", "labels"),
    [
        (1, 900, ["00:00\nTue 3 Jun", "00:05", "00:10", "00:15"]),
        (8, 10800, ["00:00\nTue 3 Jun", "03:00", "06:00", "09:00", "12:00", "15:00", "18:00", "21:00", "00:00\nWed 4 Jun"]),
        (672, 900, ["00:00\nTue 3 Jun", "00:00\nWed 4 Jun", "00:00\nThu 5 Jun", "00:00\nFri 6 Jun",
                    "00:00\nSat 7 Jun", "00:00\nSun 8 Jun", "00:00\nMon 9 Jun", "00:00\nTue 10 Jun"]),
    ],
)  # fmt: skip
def test_the_time_axis_shows_local_hours_and_dates(day: Run, count: int, interval_s: int, labels: list[str]) -> None:
    calendar = Calendar(day.calendar.start, interval_s, count)
    _, (ax,) = style.canvas()
    style.time_axis(ax, calendar)
    assert [label.get_text() for label in ax.get_xticklabels()] == labels
    assert ax.get_xlabel() == "local time (Europe/Berlin)"


def test_a_day_of_quarter_hours_is_drawn_in_a_moment(tmp_path: Path) -> None:
    run = Run(write_run(tmp_path, count=96))
    assert all(drawn(run, name) for name in PLOTS)
