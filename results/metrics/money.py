"""Who ends with what: + is received, - is paid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from results.metrics import market
from results.metrics.numbers import share
from results.once import once
from results.run import Run
from sim import ledger
from sim.ledger import Posting

Flows = Mapping[tuple[str, str, str], Decimal]
"""Signed money by (ERA, term, currency)."""

FEE = "fee"
"""The term under which whoever runs a market is paid for it."""


@dataclass(frozen=True, slots=True)
class Account:
    """What all participants of a kind together have received less what they have paid."""

    kind: str
    parties: int
    currency: str
    net: Decimal


@dataclass(frozen=True, slots=True)
class Money:
    """Who ends with what.

    turnover: by (term, currency), each party's own payments and receipts of a term set off.
    net: sum of all accounts by currency: zero, or money was made or lost.
    rent: congestion rent that the clearings left, without what losses brought.  unsettled: contracts that have not ended.
    held: intervals of a market that nobody was billed for, because no valid readings came in time.
    """

    accounts: tuple[Account, ...]
    turnover: Mapping[tuple[str, str], Decimal]
    net: Mapping[str, Decimal]
    rent: float
    postings: int
    unsettled: int
    held: int


def money(run: Run) -> Money:
    """All of it."""
    found = flows(run)
    kinds = dict.fromkeys((run.kinds.get(era, era), currency) for era, _, currency in found)
    accounts = [_account(kind, currency, found, run.kinds) for kind, currency in kinds]
    turnover: dict[tuple[str, str], Decimal] = {}
    for (_, term, currency), amount in found.items():
        if amount > 0:
            turnover[term, currency] = turnover.get((term, currency), Decimal(0)) + amount
    return Money(
        accounts=tuple(sorted(accounts, key=lambda account: (account.currency, account.net, account.kind))),
        turnover=turnover,
        net=ledger.net_by_currency(balances(run)),
        rent=market.rent(run),
        postings=len(run.postings),
        unsettled=len(run.manifest.get("unsettledContracts", ())),
        held=len(run.manifest.get("heldIntervals", ())),
    )


@once
def flows(run: Run) -> Flows:
    """Signed money of everybody by term, in order of the first posting; exact."""
    keys = ["term", "payer", "payee", "currency"]
    # Amounts have at most 18 digits (``run.TABLES``), so that these sums of them need no more than decimals give by themselves.
    sums = run.postings.groupby(keys, sort=False)["amount"].sum().reset_index()
    return ledger.by_term(
        Posting(0, "", term, payer, payee, amount, currency)
        for term, payer, payee, currency, amount in sums.itertuples(index=False, name=None)
    )


@once
def balances(run: Run) -> Mapping[tuple[str, str], Decimal]:
    """What everybody has received less what it has paid, by ERA and currency; exact."""
    found: dict[tuple[str, str], Decimal] = {}
    for (era, _, currency), amount in flows(run).items():
        found[era, currency] = ledger.total_of((amount,), found.get((era, currency), Decimal(0)))
    return found


@once
def sites(run: Run) -> Mapping[str, str]:
    """Connection point of each participant that has one, by its ERA: what stands behind one meter is one consumer."""
    rows = run.participants[run.participants["site"] != ""]
    return dict(zip(rows["era"], rows["site"], strict=True))


def net_by_party(run: Run) -> dict[str, Decimal]:
    """What each connection point, and everybody without one, ends with in the run's currency."""
    places, found = sites(run), dict.fromkeys(sites(run).values(), Decimal(0))
    for (era, currency), amount in balances(run).items():
        if currency == run.manifest["currency"]:
            party = places.get(era, era)
            found[party] = ledger.total_of((amount,), found.get(party, Decimal(0)))
    return found


def cost_per_consumer(run: Run) -> float:
    """Mean net payment of a connection point: of all devices behind it, through whomever they trade."""
    found, places = net_by_party(run), dict.fromkeys(sites(run).values())
    return share(-float(ledger.total_of(found[site] for site in places)), len(places))


def operator_net(run: Run) -> float:
    """What whoever runs the market ends with."""
    return float(_of_operator(run, fees_only=False))


def operator_surplus(run: Run) -> float:
    """What whoever runs the market ends with beyond its declared fees: what is left over, or was put in."""
    return float(_of_operator(run, fees_only=False) - _of_operator(run, fees_only=True))


def ledger_gap(run: Run) -> float:
    """Sum of all accounts, of the currency where it is farthest from zero."""
    return float(max(map(abs, ledger.net_by_currency(balances(run)).values()), default=Decimal(0)))


def _of_operator(run: Run, *, fees_only: bool) -> Decimal:
    return ledger.total_of(
        amount
        for (era, term, currency), amount in flows(run).items()
        if run.kinds.get(era) == "market" and currency == run.manifest["currency"] and (term == FEE or not fees_only)
    )


def _account(kind: str, currency: str, found: Flows, kinds: Mapping[str, str]) -> Account:
    own = {key: amount for key, amount in found.items() if (kinds.get(key[0], key[0]), key[2]) == (kind, currency)}
    return Account(kind, len({era for era, _, _ in own}), currency, sum(own.values(), Decimal(0)))
