"""Two-sided pay as clear, as simply (of the project BEST) does it: one price, the last accepted ask and a fee for the grid."""

from __future__ import annotations

from dataclasses import replace

from sim.errors import MarketError
from sim.market.orders import Fill, book_of, settled
from sim.market.policies.peers.sweep import deal, sweep
from sim.market.policy import Policy
from sim.market.problem import GRID_FEE, Clearing, Problem


def clear(problem: Problem, *, fee: float = 0.0) -> Clearing:
    """Highest bids meet lowest asks while the bid covers ask and fee; all buyers pay the last ask plus the fee.

    fee: of the grid, >= 0 [currency/kWh]; sellers get the price without it.  Of equal prices who came first is first.
    """
    if not fee >= 0:
        raise MarketError("fee", f"{fee:g} is not a fee >= 0")
    book = book_of(problem)
    matches = sweep(book.buys, book.sells, fee).matches
    ask = matches[-1].sell.price if matches else None
    if ask is None:
        return settled(problem, "simply-pay-as-clear", ())
    fills = [Fill(match.buy, match.kw, ask + fee) for match in matches]
    fills += [Fill(match.sell, match.kw, ask) for match in matches]
    deals = tuple(deal(match, ask + fee, ask) for match in matches if match.buy.era != match.sell.era)
    left = {GRID_FEE: fee * sum(match.kw for match in matches)}
    clearing = settled(problem, "simply-pay-as-clear", fills, accounts=left, deals=deals, price=ask + fee)
    if fee:
        return clearing
    return replace(clearing, participant_price=dict.fromkeys(clearing.participant_price, ask))


POLICY = Policy(
    "simply-pay-as-clear",
    clear,
    frozenset({"balance", "adders", "money", "solvent"}),
    "PAY_AS_CLEAR",
    "merit order, at the last ask and a fee",
    heeds_limits=False,
    source="simply (project BEST), two-sided pay as clear",
)
