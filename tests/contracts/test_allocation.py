"""No kWh is sold twice: what meters delivered is shared among the trades that were made on them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.contracts.allocation import Sharing, Trade, settled, share
from sim.errors import ContractError

FIFO, PRO_RATA = Sharing.FIFO, Sharing.PRO_RATA


def trades(*pairs: tuple[str, str], energy: str) -> list[Trade]:
    return [Trade(f"t{k}", seller, buyer, Decimal(energy)) for k, (seller, buyer) in enumerate(pairs)]


def kwh(*numbers: str) -> tuple[Decimal, ...]:
    return tuple(map(Decimal, numbers))


@pytest.mark.parametrize(
    ("metered", "asked", "rule", "given"),
    [
        pytest.param("8", ("5", "4"), FIFO, ("5", "3"), id="first come, first served"),
        pytest.param("5.0", ("3.0", "3.0"), FIFO, ("3.0", "2.0"), id="inv-no-double-sold-kwh by priority"),
        pytest.param("5.0", ("3.0", "3.0"), PRO_RATA, ("2.5", "2.5"), id="inv-no-double-sold-kwh pro rata"),
        pytest.param("10", ("3", "3"), PRO_RATA, ("3", "3"), id="enough for all"),
        pytest.param("1", ("1", "1", "1"), PRO_RATA, ("0.334", "0.333", "0.333"), id="to the Wh"),
        pytest.param("0", ("3", "3"), FIFO, ("0", "0"), id="nothing there"),
    ],
)
def test_one_meter_is_shared(metered, asked, rule, given):
    assert share(Decimal(metered), kwh(*asked), rule) == kwh(*given)


CROSSED = trades(("S1", "B1"), ("S2", "B1"), ("S1", "B2"), energy="10")
METERS = {"B1": Decimal(15), "B2": Decimal(10), "S1": Decimal(15), "S2": Decimal(10)}


@pytest.mark.parametrize(("rule", "total"), [(PRO_RATA, "22.5"), (FIFO, "20")])
def test_cross_linked_trades_settle_the_lesser_of_their_meters(rule, total):
    """The best there is would be 25."""
    assert sum(settled(CROSSED, METERS, rule)) == Decimal(total)


@pytest.mark.parametrize(("rule", "total"), [(PRO_RATA, "150"), (FIFO, "100")])
def test_either_rule_may_settle_less_than_there_is(rule, total):
    """All meters 100, three trades of 100: the best would be 200."""
    found = settled(
        trades(("S1", "B1"), ("S2", "B1"), ("S1", "B2"), energy="100"), dict.fromkeys(METERS, Decimal(100)), rule
    )
    assert sum(found) == Decimal(total)


ENERGY = st.integers(0, 50_000).map(lambda wh: Decimal(wh).scaleb(-3))
METER = st.sampled_from(["a", "b", "c"])
TRADES = st.lists(st.builds(Trade, st.just("t"), METER, METER.map(str.upper), ENERGY), max_size=6)


@given(TRADES, st.fixed_dictionaries(dict.fromkeys("abcABC", ENERGY)), st.sampled_from(Sharing))
def test_no_meter_gives_more_than_it_has_and_no_trade_gets_more_than_it_asked_for(made, metered, rule):
    given_kwh = settled(made, metered, rule)
    for meter, has in metered.items():
        assert sum(e for t, e in zip(made, given_kwh, strict=True) if meter in (t.seller_meter, t.buyer_meter)) <= has
    assert all(0 <= e <= t.energy_kwh for t, e in zip(made, given_kwh, strict=True))


def test_what_cannot_be_shared_is_refused():
    with pytest.raises(ContractError, match="-1: energy is shared in whole Wh"):
        share(Decimal(-1), kwh("1"), FIFO)
    with pytest.raises(ContractError, match="energy is shared in whole Wh"):
        share(Decimal(1), kwh("0.0005"), PRO_RATA)
    with pytest.raises(ContractError) as refusal:
        settled(CROSSED, {"B1": Decimal(1), "B2": Decimal(1), "S1": Decimal(1)}, FIFO)
    assert str(refusal.value).startswith("allocation: S2: was not read (")
