"""Bilateral trade, with a fee by distance and by haggling: known cases, and what holds for every market."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.curves import OfferCurve
from sim.errors import MarketError
from sim.market.economics import broken, surplus_per_h
from sim.market.policies import bilateral_fee, pay_as_clear, peer_to_peer
from sim.market.problem import GRID_FEE, Clearing, Limit, Offer, Problem
from tests.market.books import GRID, demand, fixed, retailer, supply
from tests.strategies import curves, problems, step_curves

STORED = json.loads((Path(__file__).parent.parent / "golden" / "communities.json").read_text(encoding="utf-8"))
NEAR = STORED["tolerance"]


def cases(stored: list[dict]):
    return [pytest.param(case, id=case["id"]) for case in stored]


def traded(clearing: Clearing) -> dict[str, float]:
    total: dict[str, float] = defaultdict(float)
    for deal in clearing.deals:
        total[f"{deal.seller}-{deal.buyer}"] += deal.kw
    return dict(total)


def assert_deals_add_up(problem: Problem, clearing: Clearing, near: float = 1e-4) -> None:
    sold: dict[str, float] = dict.fromkeys(clearing.setpoint_kw, 0.0)
    left = 0.0
    for deal in clearing.deals:
        sold[deal.seller] += deal.kw
        sold[deal.buyer] -= deal.kw
        left += deal.kw * (deal.paid_per_kwh - deal.received_per_kwh)
    assert sold == pytest.approx(dict(clearing.setpoint_kw), abs=near)
    assert left == pytest.approx(sum(clearing.accounts.values()), abs=near)


# --- a fee by distance ------------------------------------------------------------------------------------------------


def with_fees(case: dict) -> Clearing:
    """A case whose fees are no distances: a node for each that is named, and a link for each pair that has a fee."""
    offers = [supply(era, price, kw, node) for era, (node, price, kw) in case["sells"].items()]
    offers += [demand(era, price, kw, node) for era, (node, price, kw) in case["buys"].items()]
    nodes = sorted({offer.node for offer in offers})
    problem = Problem(
        tuple(offers), tuple(Limit(node, nodes[0] if n else None) for n, node in enumerate(nodes)), case.get("k", 0.5)
    )
    at = {node: problem.tree.names.index(node) for node in nodes}
    pairs = {(s, b): case["fee"] for s in nodes for b in nodes if s != b}
    if isinstance(case["fee"], dict):
        pairs = {(pair.split("-")[0], pair.split("-")[1]): fee for pair, fee in case["fee"].items()}
    links = [bilateral_fee.one_way(problem, at[seller], at[buyer], fee) for (seller, buyer), fee in pairs.items()]
    clearing = bilateral_fee.traded(problem, links)
    assert broken(problem, clearing, bilateral_fee.POLICY.promises) == ()
    return clearing


@pytest.mark.parametrize("case", cases(STORED["bilateral"]))
def test_trades_with_fees_are_those_that_are_known(case):
    clearing = with_fees(case)
    assert traded(clearing) == pytest.approx(case["trades"], abs=NEAR)
    fees = clearing.accounts.get(GRID_FEE, 0.0)
    assert fees == pytest.approx(case["fees"], abs=NEAR)
    gains = clearing.welfare - fees
    assert gains == pytest.approx(case.get("gains", gains), abs=NEAR)
    for era, price in case.get("prices", {}).items():
        assert clearing.participant_price[era] == pytest.approx(price, abs=NEAR)
    for name, value in case.get("published_is_wrong", {}).items():
        assert {"trades": traded(clearing), "gains": gains}[name] != pytest.approx(value, abs=NEAR)


@pytest.mark.parametrize("case", cases(STORED["hierarchical"]["cases"]))
def test_a_fee_of_every_market_on_the_way_adds_up(case):
    """A market's fee is halved between the two sides on which a trade may cross it."""
    fee = {name: value / 2 for name, value in STORED["hierarchical"]["market_fee"].items()}
    limits = (
        Limit("Grid"),
        *(Limit(f"N{n}", "Grid", distance=fee["Grid"] + fee[f"N{n}"]) for n in (1, 2)),
        *(Limit(f"House{n}", f"N{n}", distance=fee[f"N{n}"]) for n in (1, 2)),
    )
    load = fixed("load", -1, "House1") if case["bid"] is None else demand("load", case["bid"], 1, "House1")
    problem = Problem((load, supply("pv", case["ask"], 1, "House2")), limits, case["k"], price_cap=1.0)
    clearing = bilateral_fee.clear(problem, tau=1.0)
    (deal,) = clearing.deals
    assert (deal.seller, deal.buyer, deal.kw) == ("pv", "load", pytest.approx(1))
    assert deal.paid_per_kwh == pytest.approx(case["buyer_pays"], abs=NEAR)
    assert deal.received_per_kwh == pytest.approx(case["seller_receives"], abs=NEAR)
    assert clearing.accounts == {GRID_FEE: pytest.approx(case["fees"], abs=NEAR)}


def test_neighbours_come_first():
    """The sun of street a is as cheap as that of street b, and the load of a takes the one next door."""
    limits = (GRID, Limit("a", "grid"), Limit("b", "grid"))
    offers = (supply("sun-b", 0.1, 5, "b"), supply("sun-a", 0.1, 5, "a"), demand("load-a", 0.3, 5, "a"))
    clearing = bilateral_fee.clear(Problem((*offers, retailer(0.05, 0.4)), limits, slack="retailer"))
    assert traded(clearing) == {"sun-a-load-a": pytest.approx(5)}
    assert clearing.accounts == {}


def test_a_fee_below_zero_is_refused():
    with pytest.raises(MarketError, match="tau: -1 is not a fee >= 0"):
        bilateral_fee.clear(Problem((demand("ev", 0.3, 5),)), tau=-1)


@pytest.mark.parametrize("policy", [bilateral_fee, peer_to_peer])
def test_who_takes_at_any_price_where_nobody_gives_needs_a_cap(policy):
    problem = Problem((fixed("house", -5), demand("ev", 0.3, 5)))
    with pytest.raises(MarketError, match="offers/0/curve: house takes 5 kW at any price"):
        policy.clear(problem)
    clearing = policy.clear(replace(problem, price_cap=1.0))
    assert clearing.setpoint_kw == pytest.approx({"house": 0, "ev": 0}, abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(problems(slack=st.just(True)), st.sampled_from([0.0, 0.01, 0.1]))
def test_with_fees_everybody_is_on_its_curve_and_deals_add_up(problem, tau):
    clearing = bilateral_fee.clear(problem, tau)
    assert broken(problem, clearing, bilateral_fee.POLICY.promises) == ()
    assert_deals_add_up(problem, clearing)


@settings(max_examples=60, deadline=None)
@given(problems(slack=st.just(True)), st.sampled_from([0.01, 0.1]))
def test_what_a_deal_pays_the_grid_is_the_distance_between_the_two(problem, tau):
    clearing = bilateral_fee.clear(problem, tau)
    eras = [offer.era for offer in problem.offers]
    fee = tau * peer_to_peer.distances(problem)
    for deal in clearing.deals:
        between = fee[eras.index(deal.seller), eras.index(deal.buyer)]
        assert deal.paid_per_kwh - deal.received_per_kwh == pytest.approx(between, abs=1e-7)


@settings(max_examples=60, deadline=None)
@given(problems(step_curves(), slack=st.just(True)), st.sampled_from([0.01, 0.1]))
def test_nobody_would_rather_trade_with_anybody_else(problem, tau):
    """Stable: no two would gain by trading past their prices, once they paid the fee between them."""
    price = bilateral_fee.clear(problem, tau).participant_price
    own = np.array([price[offer.era] for offer in problem.offers], dtype=float)
    assert (own[None, :] - own[:, None] <= tau * peer_to_peer.distances(problem) + 1e-7).all()


@settings(max_examples=40, deadline=None)
@given(problems(slack=st.just(True)))
def test_without_fees_bilateral_trade_gains_as_much_as_the_pool(problem):
    clearing = bilateral_fee.clear(problem, 0.0)
    assert clearing.welfare == pytest.approx(pay_as_clear.clear(problem).welfare, abs=1e-5)
    assert clearing.accounts == {}


# --- haggling ---------------------------------------------------------------------------------------------------------

PEERS = STORED["peers"]


def peers() -> Problem:
    """Marginal cost b + a x, marginal value b - a x."""
    offers = [Offer(era, "grid", OfferCurve.of([(b, 0), (b + 100 * a, 100)])) for era, (b, a) in PEERS["sells"].items()]
    offers += [Offer(era, "grid", OfferCurve.of([(0, -b / a), (b, 0)])) for era, (b, a) in PEERS["buys"].items()]
    return Problem(tuple(offers))


def worth(clearing: Clearing, era: str) -> float:
    (b, a), kw = (PEERS["sells"] | PEERS["buys"])[era], clearing.setpoint_kw[era]
    return b + a * kw


def fees_of(problem: Problem, fee: dict[str, float]) -> np.ndarray:
    eras = [offer.era for offer in problem.offers]
    matrix = np.zeros((len(eras), len(eras)))
    for pair, value in fee.items():
        one, other = (eras.index(era) for era in pair.split("-"))
        matrix[one, other] = matrix[other, one] = value
    return matrix


@pytest.mark.parametrize("rho", [0.1, None])
@pytest.mark.parametrize("case", cases(PEERS["cases"]))
def test_peers_agree_on_what_is_known(case, rho):
    problem, near = peers(), PEERS["tolerance"]
    clearing = peer_to_peer.negotiated(problem, fees_of(problem, case["fee"]), rho)
    assert broken(problem, clearing, peer_to_peer.POLICY.promises) == ()
    assert clearing.notes[0].startswith("converged: yes, in ")
    fees = clearing.accounts.get(GRID_FEE, 0.0)
    assert clearing.welfare - fees == pytest.approx(case["gains"], abs=near)
    for pair, kw in case.get("trades", {}).items():
        assert traded(clearing).get(pair, 0.0) == pytest.approx(kw, abs=near)
    for era, marginal in case.get("marginal", {}).items():
        assert worth(clearing, era) == pytest.approx(marginal, abs=near)
    for deal in clearing.deals:
        # Half of the fee from each side: what the seller gets is its cost, what the buyer pays its value.
        assert deal.received_per_kwh == pytest.approx(worth(clearing, deal.seller), abs=near)
        assert deal.paid_per_kwh == pytest.approx(worth(clearing, deal.buyer), abs=near)
    if "price" in case:
        assert list(clearing.participant_price.values()) == pytest.approx([case["price"]] * 4, abs=near)
        assert clearing.quantity_kw == pytest.approx(case["volume_kw"], abs=near)


def test_a_fee_makes_peers_trade_with_neighbours():
    limits = (GRID, Limit("a", "grid"), Limit("b", "grid", distance=2.0))
    near = [Offer(f"pv-{n}", n, OfferCurve.of([(0.1, 0), (0.2, 10)])) for n in "ab"]
    loads = [Offer(f"load-{n}", n, OfferCurve.of([(0.2, -10), (0.3, 0)])) for n in "ab"]
    problem = Problem((*near, *loads), limits)
    assert peer_to_peer.distances(problem)[0].tolist() == [0, 3, 0, 3]
    clearing = peer_to_peer.clear(problem, fee=0.01)
    assert set(traded(clearing)) == {"pv-a-load-a", "pv-b-load-b"}
    assert peer_to_peer.clear(problem).accounts == clearing.accounts == {}


def test_nobody_is_paid_for_passing_on():
    """The battery would buy and sell at one price; the sun sells to the load itself."""
    battery = Offer("battery", "grid", OfferCurve.of([(0.2, -5), (0.2, 5)]))
    problem = Problem((supply("pv", 0.1, 4), demand("ev", 0.3, 4), battery))
    clearing = peer_to_peer.clear(problem)
    assert not {deal.seller for deal in clearing.deals} & {deal.buyer for deal in clearing.deals}
    assert_deals_add_up(problem, clearing)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"fee": -1.0}, "fee: -1 is"),
        ({"rho": 0.0}, "rho: 0 is"),
        ({"rounds": 0}, "rounds: 0 is"),
        ({"fee": math.nan}, "fee"),
    ],
)
def test_options_that_are_none_are_refused(options, what):
    with pytest.raises(MarketError, match=what):
        peer_to_peer.clear(peers(), **options)


def test_a_negotiation_that_is_broken_off_says_so_and_its_money_adds_up():
    clearing = peer_to_peer.clear(peers(), rounds=3)
    assert clearing.notes[0] == "converged: no, not in 3 rounds"
    assert broken(peers(), clearing, peer_to_peer.POLICY.promises) == ()


@st.composite
def sloped(draw: st.DrawFn):
    """Two to eight peers whose curves slope, some of which may do both."""
    offers = []
    for number in range(draw(st.integers(2, 8))):
        low = draw(st.floats(0.05, 0.3))
        most, least = draw(st.sampled_from([(5, 0), (0, -5), (3, -3), (8, -1)]))
        curve = OfferCurve.of([(low, least), (low + draw(st.floats(0.05, 0.3)), most)])
        offers.append(Offer(f"peer-{number}", "grid", curve))
    return Problem((retailer(0.05, 0.4), *offers), slack="retailer")


@settings(max_examples=30, deadline=None)
@given(sloped())
def test_where_peers_agree_they_gain_as_much_as_the_pool(problem):
    clearing = peer_to_peer.clear(problem)
    assert clearing.notes[0].startswith("converged: yes")
    assert clearing.welfare == pytest.approx(pay_as_clear.clear(problem).welfare, abs=1e-4)
    assert np.nanmin(surplus_per_h(problem, clearing), initial=0.0) >= -1e-4
    assert_deals_add_up(problem, clearing)


@settings(max_examples=20, deadline=None)
@given(sloped(), st.randoms(use_true_random=False))
def test_the_order_of_peers_changes_nothing(problem, random):
    shuffled = replace(problem, offers=tuple(random.sample(problem.offers, len(problem.offers))))
    one, other = peer_to_peer.clear(problem), peer_to_peer.clear(shuffled)
    assert {era: other.setpoint_kw[era] for era in one.setpoint_kw} == pytest.approx(dict(one.setpoint_kw), abs=1e-5)


@settings(max_examples=40, deadline=None)
@given(st.lists(curves(), min_size=1, max_size=5), st.data())
def test_a_peer_names_what_is_best_for_it(drawn, data):
    """Exactly: what it names in all is on its curve at what a kWh more is worth to it."""
    peers_ = peer_to_peer.Peers.of([*drawn, OfferCurve.of([(0, -9), (0, 9)])], np.zeros((len(drawn) + 1,) * 2), 0.1)
    count = len(drawn) + 1
    wish = np.array(data.draw(st.lists(st.floats(-20, 20), min_size=count**2, max_size=count**2))).reshape(count, count)
    named, worth_ = peers_._answers(wish, np.zeros(count))
    for index, curve in enumerate(drawn):
        low, high = curve.low(worth_[index] - 1e-9), curve.high(worth_[index] + 1e-9)
        alone = not (peers_.sells[index].any() or peers_.sells[:, index].any())
        assert alone or low - 1e-6 <= named[index].sum() <= high + 1e-6


def test_a_peer_that_would_sell_at_one_price_and_buy_at_another_finds_the_one_between():
    """It may sell to a load and buy from a grid; Newton's method alone goes to and fro between the two for ever."""
    drawn = [
        OfferCurve.of([(0, -1), (0, 0), (0.1, 0), (0.1, 1)]),
        OfferCurve.of([(0, -1)]),
        OfferCurve.of([(0, -9), (0, 9)]),
    ]
    wish = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    named, worth = peer_to_peer.Peers.of(drawn, np.zeros((3, 3)), 0.1)._answers(wish, np.zeros(3))
    assert worth[0] == pytest.approx(0.05)
    assert named[0] == pytest.approx([0, 0.5, -0.5])


def test_fifty_peers_agree_within_the_rounds():
    slopes = ((0.05 + 0.006 * n, 1 + n % 7) for n in range(50))
    offers = [
        Offer(f"p{n}", "grid", OfferCurve.of([(p, 0), (p + 0.05, kw)] if n % 2 else [(p, -kw), (p + 0.05, 0)]))
        for n, (p, kw) in enumerate(slopes)
    ]
    clearing = peer_to_peer.clear(Problem((retailer(0.05, 0.4), *offers), slack="retailer"))
    assert clearing.notes[0].startswith("converged: yes")
    assert int(clearing.notes[0].split()[-2]) < 400
