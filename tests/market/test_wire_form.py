"""One market from an ``aggregate`` message: what is read, what is refused and where, what is answered."""

from __future__ import annotations

import json
import re

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.errors import MarketError, MessageError
from sim.market.certificate import certify
from sim.market.policies import POLICIES
from sim.market.wire_form import MAX_POINTS, clear_message, read_problem, result_of
from sim.wire.auxiliary import AggregatedContent
from tests.strategies import problems

SOLAR = [{"price": 0.05, "powerKW": 0}, {"price": 0.06, "powerKW": 2}, {"price": 0.07, "powerKW": 5}]
EV = [{"price": 0.08, "powerKW": -11}, {"price": 0.10, "powerKW": -5}, {"price": 0.12, "powerKW": 0}]


def curve(points, **more):
    return {
        "currency": "USD",
        "minExport": points[0]["powerKW"],
        "maxExport": points[-1]["powerKW"],
        "curve": points,
        **more,
    }


def request(*participants, **more):
    return {"participants": list(participants), **more}


def cleared(data, policy="locational"):
    return clear_message(data, POLICIES[policy], "book.json")


def result(data, policy="locational"):
    return cleared(data, policy)["aggregationResult"]


FOUNDING = request(
    {"era": "solar-1", "offerCurve": curve(SOLAR)},
    {"era": "solar-2", "offerCurve": curve(SOLAR)},
    {"era": "ev", "offerCurve": curve(EV)},
)


def test_the_founding_book_is_answered_in_full():
    twelfth = pytest.approx(1 / 12)
    assert cleared({"aggregationRequest": FOUNDING}) == {
        "aggregationResult": {
            "policy": "locational",
            "clearingPrice": twelfth,
            "clearingQuantityKW": pytest.approx(10),
            "setpoints": [
                {"era": "solar-1", "setpointKW": 5, "price": twelfth},
                {"era": "solar-2", "setpointKW": 5, "price": twelfth},
                {"era": "ev", "setpointKW": pytest.approx(-10), "price": twelfth},
            ],
            "gridNodes": [
                {
                    "era": "grid",
                    "locationalPrice": twelfth,
                    "locationalPriceAdder": 0,
                    "flowKW": pytest.approx(0),
                    "binding": None,
                }
            ],
            "welfare": pytest.approx(0.398333333),
            "certificate": {"certified": True, "violations": []},
            "equilibria": [
                {
                    "gridNodes": ["grid"],
                    "clearingType": "EXACT",
                    "priceLow": twelfth,
                    "priceHigh": twelfth,
                    "quantityLowKW": pytest.approx(10),
                    "quantityHighKW": pytest.approx(10),
                }
            ],
        }
    }


def test_nodes_limits_offsets_and_adders_are_answered():
    """grid sells at 0.08 ──tx-1 (40 kW in)── ten plugs that pay 0.12"""
    plug = curve([{"price": 0.12, "powerKW": -7}, {"price": 0.12, "powerKW": 0}])
    grid = curve([{"price": 0.08, "powerKW": 0}, {"price": 0.08, "powerKW": 500}])
    answer = result(
        request(
            {"era": "grid-co", "gridNode": "grid", "offerCurve": grid},
            *({"era": f"ev-{n}", "gridNode": "tx-1", "offerCurve": plug} for n in range(10)),
            gridNodes=[
                {"era": "tx-1", "gridNode": "grid", "gridConstraints": {"maxForwardFlowKW": 40}},
                {"era": "grid"},
            ],
            slack="grid-co",
        )
    )
    assert answer["setpoints"][1] == {"era": "ev-0", "setpointKW": -4, "price": 0.12, "offsetKW": 3}
    assert answer["gridNodes"] == [
        {
            "era": "tx-1",
            "locationalPrice": 0.12,
            "locationalPriceAdder": pytest.approx(0.04),
            "flowKW": 40,
            "binding": "FORWARD",
        },
        {"era": "grid", "locationalPrice": 0.08, "locationalPriceAdder": 0, "flowKW": 0, "binding": None},
    ]


def test_without_a_trade_there_is_no_clearing_price():
    bid, ask = (
        [{"price": 54, "powerKW": -5}, {"price": 54, "powerKW": 0}],
        [{"price": 70, "powerKW": 0}, {"price": 70, "powerKW": 5}],
    )
    answer = result(request({"era": "bid", "offerCurve": curve(bid)}, {"era": "ask", "offerCurve": curve(ask)}))
    assert "clearingPrice" not in answer
    assert answer["clearingQuantityKW"] == 0
    assert answer["setpoints"][0] == {"era": "bid", "setpointKW": 0, "price": None}
    assert answer["gridNodes"][0]["locationalPrice"] is None


def test_a_broken_limit_is_told_in_the_certificate():
    nodes = [{"era": "grid"}, {"era": "tx-1", "gridNode": "grid", "gridConstraints": {"maxForwardFlowKW": 4}}]
    participants = [
        {"era": "solar", "gridNode": "grid", "offerCurve": curve(SOLAR)},
        {"era": "ev", "gridNode": "tx-1", "offerCurve": curve(EV)},
    ]
    certificate = result(request(*participants, gridNodes=nodes), "pay-as-clear")["certificate"]
    assert certificate == {
        "certified": False,
        "violations": [
            {"condition": "limits", "who": "tx-1", "what": "imports 5 kW of 4 kW", "amount": pytest.approx(1)}
        ],
    }


def test_what_is_cut_is_told():
    house = {"era": "house", "offerCurve": curve([{"price": 0, "powerKW": -8}])}
    answer = result(request(house, {"era": "solar", "offerCurve": curve(SOLAR)}, priceCap=3.0))
    assert answer["setpoints"][0] == {"era": "house", "setpointKW": -5, "price": 3, "curtailedKW": 3}
    assert answer["notes"] == ["3 kW of withdrawals that offered no price were cut"]


def test_the_answer_comes_in_the_wrapping_of_the_question():
    context = {"action": "aggregate", "messageId": "m-1", "transactionId": "t-1"}
    answer = cleared({"context": context, "message": {"aggregationRequest": FOUNDING}})
    assert answer["context"] == {"action": "on_aggregate", "messageId": "m-1", "transactionId": "t-1"}
    assert list(answer["message"]) == ["aggregationResult"]
    assert list(cleared({"message": {"aggregationRequest": FOUNDING}})) == ["message"]
    assert list(cleared(FOUNDING)) == ["aggregationResult"]
    assert cleared(FOUNDING)["aggregationResult"] == answer["message"]["aggregationResult"]


@pytest.mark.parametrize(
    "spelling",
    [
        {"bidCurve": EV, "constraints": {"minPowerKW": -11, "maxPowerKW": 0}},
        {"bidCurve": {"curve": EV}, "locationalPriceAdder": {"basePrice": 0.1, "currentLoadPercent": 75}},
        {"offerCurve": EV, "@type": "EnergyIntent"},
        {"offerCurveData": {"curve": EV, "constraints": {"minPowerKW": -11, "rampRateKWPerMin": 5}}},
        {"offerCurve": {"@context": "https://example.org", "currency": "USD", "interpolation": "LINEAR", "curve": EV}},
        {"offerCurve": {"currency": None, "minExport": None, "curve": EV}, "gridNode": None, "baselineKW": None},
    ],
)
def test_published_spellings_mean_the_same(spelling):
    book = json.loads(json.dumps(FOUNDING))
    book["participants"][2] = {"era": "ev", **spelling}
    assert cleared(book) == cleared(FOUNDING)


def test_step_is_read():
    book = request(
        {"era": "solar", "offerCurve": curve(SOLAR, interpolation="STEP")},
        {"era": "ev", "offerCurve": curve(EV, interpolation="STEP")},
    )
    assert result(book)["clearingPrice"] == pytest.approx(0.09)
    assert result(book)["clearingQuantityKW"] == 5


def test_a_curve_may_have_as_many_points_as_are_allowed():
    fine = [{"price": n, "powerKW": n} for n in range(MAX_POINTS)]
    assert result(request({"era": "a", "offerCurve": fine}))["setpoints"][0]["setpointKW"] == 0


def test_nodes_that_nobody_describes_are_one():
    book = json.loads(json.dumps(FOUNDING))
    book["participants"][0]["gridNode"], book["participants"][2]["gridNode"] = "tx-1", "tx-2"
    assert [node["era"] for node in result(book)["gridNodes"]] == ["grid"]
    del book["participants"][2]["gridNode"]
    assert [node["era"] for node in result(book)["gridNodes"]] == ["tx-1"]


def test_the_only_node_need_not_be_named():
    book = {
        **FOUNDING,
        "gridNodes": [{"nodeId": "tx-1", "nodeType": "TRANSFORMER", "gridConstraints": {"capacityKW": 200}}],
    }
    assert [node["era"] for node in result(book)["gridNodes"]] == ["tx-1"]


def test_k_floor_cap_and_slack_are_read():
    problem = read_problem({**FOUNDING, "k": 1, "priceFloor": -1, "priceCap": 5, "slack": "ev"}, "book.json")
    assert (problem.k, problem.price_floor, problem.price_cap, problem.slack) == (1, -1, 5, "ev")


def test_a_baseline_is_read():
    book = json.loads(json.dumps(FOUNDING))
    book["participants"][2]["baselineKW"] = -3
    assert result({**book, "slack": "solar-1"}, "none")["setpoints"][2]["setpointKW"] == -3


# --- what else is known -----------------------------------------------------------------------------------------------


def test_who_is_marginal_behind_each_limit_is_answered_and_what_the_grid_keeps():
    plug = curve([{"price": 0.12, "powerKW": -7}, {"price": 0.12, "powerKW": 0}])
    grid = curve([{"price": 0.08, "powerKW": 0}, {"price": 0.08, "powerKW": 500}])
    nodes = [{"era": "grid"}, {"era": "tx-1", "gridNode": "grid", "gridConstraints": {"maxForwardFlowKW": 4}}]
    answer = result(
        request(
            {"era": "grid-co", "gridNode": "grid", "offerCurve": grid},
            {"era": "ev", "gridNode": "tx-1", "offerCurve": plug},
            gridNodes=nodes,
        )
    )
    root, street = answer["equilibria"]
    assert (root["clearingType"], root["marginalSide"], root["theta"]) == ("MARGINAL_SELLER", "SELLER", 4 / 500)
    assert (street["clearingType"], street["marginalKW"], street["priceLow"]) == ("MARGINAL_BUYER", 4, 0.12)
    assert answer["accounts"] == [{"name": "congestion rent", "amountPerH": pytest.approx(0.16)}]
    assert not {"deals", "upliftPerH", "integralityGapPerH"} & set(answer)


def test_scarcity_is_answered_as_a_failure():
    house = {"era": "house", "offerCurve": curve([{"price": 0, "powerKW": -8}])}
    (zone,) = result(request(house, {"era": "solar", "offerCurve": curve(SOLAR)}, priceCap=3.0))["equilibria"]
    assert (zone["clearingType"], zone["unservedKW"], zone["priceLow"]) == ("FAILURE", 3, 3)


def test_where_nothing_is_traded_the_middle_of_bid_and_ask_is_indicated():
    bid, ask = [
        [{"price": p, "powerKW": low}, {"price": p, "powerKW": high}] for p, low, high in ((54, -5, 0), (70, 0, 5))
    ]
    (zone,) = result(request({"era": "bid", "bidCurve": bid}, {"era": "ask", "bidCurve": ask}))["equilibria"]
    assert (zone["clearingType"], zone["indicativePrice"], zone["priceLow"], zone["priceHigh"]) == ("NULL", 62, 54, 70)


def test_a_minimum_is_read_and_what_it_costs_is_answered():
    car = {
        "era": "ev",
        "gridNode": "tx-1",
        "minRunKW": 4.2,
        "bidCurve": [{"price": 0.3, "powerKW": p} for p in (-11, 0)],
    }
    nodes = [
        {"era": "grid", "distance": 0},
        {"era": "tx-1", "gridNode": "grid", "distance": 2.5, "gridConstraints": {"maxForwardFlowKW": 3}},
    ]
    grid = {"era": "grid-co", "gridNode": "grid", "bidCurve": [{"price": 0.1, "powerKW": p} for p in (0, 500)]}
    book = request(car, grid, gridNodes=nodes, slack="grid-co")
    answer = result(book)
    assert answer["setpoints"][0]["setpointKW"] == 0
    assert answer["integralityGapPerH"] == pytest.approx(0.6)
    assert "1 rest" in answer["notes"][-1]
    assert answer["certificate"]["certified"]
    problem = read_problem(book, "book.json")
    assert (problem.offers[0].min_run_kw, [limit.distance for limit in problem.limits]) == (4.2, [0, 2.5])


def test_what_is_lost_off_the_own_curve_is_answered():
    ev = {"era": "ev", "minRunKW": 4, "bidCurve": [{"price": 0.1, "powerKW": -8}, {"price": 0.3, "powerKW": 0}]}
    pump = {"era": "pump", "bidCurve": [{"price": 0.5, "powerKW": p} for p in (-1, 0)]}
    sun = {"era": "pv", "bidCurve": [{"price": 0.25, "powerKW": p} for p in (0, 20)]}
    assert result(request(ev, pump, sun))["upliftPerH"] == [{"era": "ev", "amountPerH": pytest.approx(0.05)}]


def test_a_rule_of_sharing_and_its_seed_are_read():
    cars = [{"era": f"ev-{n}", "bidCurve": [{"price": 0.3, "powerKW": p} for p in (-7, 0)]} for n in range(3)]
    sun = {"era": "pv", "bidCurve": [{"price": 0.1, "powerKW": 7}]}

    def served(**more):
        return [-one["setpointKW"] for one in result(request(*cars, sun, **more))["setpoints"][:3]]

    assert served() == served(sharing=None) == pytest.approx([7 / 3] * 3)
    assert served(sharing="TIME_PRIORITY") == [7, 0, 0]
    assert len({tuple(served(sharing="LOTTERY", seed=seed)) for seed in range(9)}) == 3


def test_the_answer_has_all_that_its_type_knows():
    for book in (FOUNDING, {**FOUNDING, "priceCap": 5.0}):
        answer = cleared({"aggregationRequest": book})
        assert json.loads(msgspec.json.encode(msgspec.convert(answer, AggregatedContent))) == answer


# --- refused ----------------------------------------------------------------------------------------------------------


def refusal(data) -> dict[str, str]:
    with pytest.raises(MessageError) as refused:
        cleared(data)
    assert refused.value.source == "book.json"
    return {fault.where: str(fault).removeprefix(f"{fault.where}: ") for fault in refused.value.faults}


def changed(change, book=FOUNDING):
    book = json.loads(json.dumps(book))
    change(book["participants"], book)
    return book


REFUSED = {
    "missing era": (lambda p, _: p[0].pop("era"), {"/participants/0": "era is missing"}),
    "missing curve": (lambda p, _: p[0].pop("offerCurve"), {"/participants/0": "offerCurve is missing"}),
    "two curves": (
        lambda p, _: p[0].update(bidCurve=EV),
        {"/participants/0/bidCurve": "given beside offerCurve; one of them is enough"},
    ),
    "unknown key": (
        lambda p, _: p[0].update(gridnode="x"),
        {"/participants/0/gridnode": "unknown key (did you mean gridNode?)"},
    ),
    "unknown request key": (lambda _, b: b.update(gridNode=[]), {"/gridNode": "unknown key (did you mean gridNodes?)"}),
    "a text for a number": (
        lambda p, _: p[0]["offerCurve"]["curve"][1].update(price="0.06"),
        {"/participants/0/offerCurve/curve/1/price": 'expected a finite number, found the text "0.06"'},
    ),
    "true for a number": (
        lambda p, _: p[0]["offerCurve"]["curve"][1].update(powerKW=True),
        {"/participants/0/offerCurve/curve/1/powerKW": "expected a finite number, found True"},
    ),
    "not a number": (
        lambda p, _: p[0]["offerCurve"]["curve"][2].update(powerKW=float("nan")),
        {"/participants/0/offerCurve/curve/2/powerKW": "expected a finite number, found nan"},
    ),
    "an endless number": (
        lambda p, _: p[0]["offerCurve"]["curve"][2].update(powerKW=10**400),
        {"/participants/0/offerCurve/curve/2/powerKW": "expected a finite number, found 1" + "0" * 39},
    ),
    "half a point": (
        lambda p, _: p[0]["offerCurve"]["curve"][0].pop("powerKW"),
        {"/participants/0/offerCurve/curve/0": "powerKW is missing"},
    ),
    "no list of points": (
        lambda p, _: p[0]["offerCurve"].pop("curve"),
        {"/participants/0/offerCurve": "curve is missing"},
    ),
    "no points": (
        lambda p, _: p[0]["offerCurve"].update(curve=[]),
        {"/participants/0/offerCurve/curve": "has no points; at least one is needed"},
    ),
    "too many points": (
        lambda p, _: p[0].update(offerCurve=[{"price": n, "powerKW": n} for n in range(MAX_POINTS + 1)]),
        {"/participants/0/offerCurve": "has 4097 points; 4096 are allowed"},
    ),
    "a falling curve": (
        lambda p, _: p[0]["offerCurve"]["curve"].append({"price": 0.1, "powerKW": 3}),
        {
            "/participants/0/offerCurve/curve/3": "falls from 5 kW at 0.07 to 3 kW at 0.1 "
            "(power must never fall as price rises; withdrawals are negative)"
        },
    ),
    "out of bounds": (
        lambda p, _: p[0]["offerCurve"].update(maxExport=4),
        {"/participants/0/offerCurve/curve/2/powerKW": "5 kW is outside its bounds 0..4 kW"},
    ),
    "bounds crossed": (
        lambda p, _: p[0]["offerCurve"].update(minExport=9),
        {"/participants/0/offerCurve": "the least power 9 kW is above the greatest 5 kW"},
    ),
    "unknown interpolation": (
        lambda p, _: p[0]["offerCurve"].update(interpolation="SPLINE"),
        {"/participants/0/offerCurve/interpolation": "SPLINE is not known (use LINEAR or STEP)"},
    ),
    "two currencies": (
        lambda p, _: p[2]["offerCurve"].update(currency="EUR"),
        {
            "/participants/2/offerCurve/currency": "EUR, but USD at /participants/0/offerCurve/currency (a market is in one currency)"
        },
    ),
    "no currency": (
        lambda p, _: p[2]["offerCurve"].update(currency="euro"),
        {"/participants/2/offerCurve/currency": "euro is not an ISO 4217 code (three capital letters, such as EUR)"},
    ),
    "an era twice": (
        lambda p, _: p[1].update(era="solar-1"),
        {"/participants/1/era": "solar-1 has offered before; one offer for each era"},
    ),
    "unknown node": (
        lambda p, b: (p[1].update(gridNode="tx-2"), b.update(gridNodes=[{"era": "tx-1"}])),
        {"/participants/1/gridNode": "solar-2: unknown node tx-2 (did you mean tx-1?)"},
    ),
    "node left out": (
        lambda p, b: (
            [one.update(gridNode="a") for one in p[1:]],
            b.update(gridNodes=[{"era": "a"}, {"era": "b", "gridNode": "a"}]),
        ),
        {"/participants/0": "gridNode is missing (there are several grid nodes)"},
    ),
    "unknown parent": (
        lambda p, b: (
            b.update(gridNodes=[{"era": "grid"}, {"nodeId": "tx/1", "gridNode": "gird"}])
            or [one.update(gridNode="grid") for one in p]
        ),
        {"/gridNodes/1/gridNode": "tx/1: unknown node gird (did you mean grid?)"},
    ),
    "two roots": (
        lambda p, b: b.update(gridNodes=[{"era": "a"}, {"era": "b"}]) or [one.update(gridNode="a") for one in p],
        {"/gridNodes": "2 nodes have no parent (a, b): there must be one root"},
    ),
    "a negative limit": (
        lambda _, b: b.update(gridNodes=[{"era": "grid", "gridConstraints": {"maxReverseFlowKW": -50}}]),
        {"/gridNodes/0/gridConstraints/maxReverseFlowKW": "grid: -50 is not a limit >= 0"},
    ),
    "an unnamed node": (lambda _, b: b.update(gridNodes=[{}]), {"/gridNodes/0": "era is missing"}),
    "k": (lambda _, b: b.update(k=2), {"/k": "2 is not within 0..1"}),
    "an unknown slack": (
        lambda _, b: b.update(slack="grid-co"),
        {"/slack": "grid-co has not offered (known: ev, solar-1, solar-2)"},
    ),
    "a slack that is not a name": (lambda _, b: b.update(slack=7), {"/slack": "expected a text, found 7"}),
    "a price above the cap": (
        lambda _, b: b.update(priceCap=0.1),
        {"/participants/2": "ev names prices outside -inf..0.1 (keep to the price floor and cap)"},
    ),
    "a participant that is none": (
        lambda p, _: p.__setitem__(0, "solar-1"),
        {"/participants/0": 'expected an object, found the text "solar-1"'},
    ),
    "a curve that is none": (
        lambda p, _: p[0].update(offerCurve="cheap"),
        {"/participants/0/offerCurve": 'expected an object, found the text "cheap"'},
    ),
    "a minimum below zero": (
        lambda p, _: p[0].update(minRunKW=-1),
        {"/participants/0/minRunKW": "solar-1: -1.0 is not a power >= 0"},
    ),
    "a distance below zero": (
        lambda _, b: b.update(gridNodes=[{"era": "grid", "distance": -2}]),
        {"/gridNodes/0/distance": "grid: -2 is not a distance >= 0"},
    ),
    "an unknown rule": (
        lambda _, b: b.update(sharing="EQUAL"),
        {"/sharing": "EQUAL is not a rule (did you mean EQUAL_SHARE?)"},
    ),
    "a seed that is no count": (
        lambda _, b: b.update(seed=1.5),
        {"/seed": "expected a whole number >= 0, found 1.5"},
    ),
    "participants that are none": (
        lambda _, b: b.update(participants={}),
        {"/participants": "expected an array, found an object"},
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_message_is_refused_at_the_right_place(name):
    change, expected = REFUSED[name]
    assert refusal(changed(change)) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ([], {"/": "expected an object, found an array"}),
        ({}, {"/": "participants is missing (an aggregate message has message.aggregationRequest.participants)"}),
        (
            {"message": {"aggregationRequest": None}},
            {"/message/aggregationRequest": "expected an object, found nothing"},
        ),
        (
            {"context": {"action": "confirm"}, "message": {"aggregationRequest": FOUNDING}},
            {"/context/action": 'expected aggregate, found the text "confirm"'},
        ),
        (
            {"message": {"aggregationRequest": FOUNDING, "order": {}}},
            {"/message/order": "unknown key (known: aggregationRequest)"},
        ),
    ],
)
def test_what_is_no_aggregate_message_is_refused(data, expected):
    assert refusal(data) == expected


def test_pointers_are_those_of_the_whole_message():
    whole = {"message": {"aggregationRequest": changed(lambda p, _: p[0].pop("era"))}}
    assert list(refusal(whole)) == ["/message/aggregationRequest/participants/0"]


def test_everything_that_is_wrong_is_told_at_once():
    def spoil(participants, book):
        for name in ("missing era", "unknown key", "a falling curve"):
            REFUSED[name][0](participants, book)
        REFUSED["two currencies"][0](participants, book)
        book["k"] = 7

    assert set(refusal(changed(spoil))) == {
        "/participants/0",
        "/participants/0/gridnode",
        "/participants/0/offerCurve/curve/3",
        "/participants/2/offerCurve/currency",
        "/k",
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["era", "curve", "price", "powerKW", "participants", "offerCurve", "gridNodes"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(JSON)
def test_nothing_but_an_answer_or_a_refusal_comes_of_any_json(data):
    for question in (
        data,
        {"participants": [{"era": "a", "offerCurve": data}]},
        {"participants": [], "gridNodes": data},
    ):
        try:
            answer = cleared(question)
        except MessageError:
            continue
        assert "aggregationResult" in answer


@settings(max_examples=30, deadline=None)
@given(problems())
def test_no_answer_has_a_number_that_json_cannot_say_or_a_zero_with_a_sign(problem):
    for policy in POLICIES.values():
        try:
            clearing = policy.clear(problem)
        except MarketError:
            continue
        said = json.dumps(result_of(problem, clearing, certify(problem, clearing)), allow_nan=False)
        assert not re.search(r"-0\.0[],}]", said)


def test_how_far_a_set_point_is_from_a_curve_that_never_reaches_it_is_left_open():
    """roof, 4 kW at any price, and car ──tx (nothing in or out)──► grid: at no price do both rest"""
    roof = {"era": "roof", "gridNode": "tx", "offerCurve": curve([{"price": 0, "powerKW": 4}])}
    limit = {"era": "tx", "gridNode": "grid", "gridConstraints": {"maxForwardFlowKW": 0, "maxReverseFlowKW": 0}}
    car = {
        "era": "car",
        "gridNode": "tx",
        "offerCurve": curve([{"price": 0.2, "powerKW": -3}, {"price": 0.2, "powerKW": 0}]),
    }
    market = request(roof, car, gridNodes=[{"era": "grid"}, limit])
    told = cleared(market, "curtail-lifo")["aggregationResult"]["certificate"]["violations"]
    assert [(found["condition"], "amount" in found) for found in told] == [("curves", False)]
    msgspec.convert({"aggregationResult": result(market, "curtail-lifo")}, AggregatedContent)


@settings(max_examples=50, deadline=None)
@given(problems())
def test_a_problem_reads_back_from_its_message(problem):
    message = request(
        *(
            {
                "era": offer.era,
                "gridNode": offer.node,
                "offerCurve": curve([{"price": price, "powerKW": power} for price, power in offer.curve.points()]),
            }
            for offer in problem.offers
        ),
        gridNodes=[
            {
                "era": limit.node,
                **({"gridNode": limit.parent} if limit.parent else {}),
                "gridConstraints": {
                    name: value
                    for name, value in (
                        ("maxForwardFlowKW", limit.import_limit_kw),
                        ("maxReverseFlowKW", limit.export_limit_kw),
                    )
                    if value < 1e9
                },
            }
            for limit in problem.limits
        ],
        k=problem.k,
        **({"priceFloor": problem.price_floor} if problem.price_floor > -1e9 else {}),
        **({"priceCap": problem.price_cap} if problem.price_cap < 1e9 else {}),
        **({"slack": problem.slack} if problem.slack else {}),
    )
    assert read_problem(json.loads(json.dumps(message)), "book.json") == problem
