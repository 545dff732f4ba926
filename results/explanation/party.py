"""What one party comes to: each of its contracts, term by term, and the net of all, which is its balance in the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from results.explanation.facts import contract_facts, plain
from results.explanation.model import Told
from results.run import Record, Run
from sim.ledger import EXACT, Posting, minor_unit


def party_facts(run: Run, told: Mapping[str, Told], era: str) -> Record:
    """The contracts of a party with what it has paid and received under each; amounts of the party itself, + received."""
    contracts = []
    net = Decimal(0)
    for contract_id, one in told.items():
        mine = [(n, run.ledger[n]) for n in one.postings if era in (run.ledger[n].payer, run.ledger[n].payee)]
        if not mine and era not in one.contract.roles.values():
            continue
        facts = contract_facts(run, one)
        subtotal = _net(era, [posting for _, posting in mine])
        net = EXACT.add(net, subtotal)
        terms = _terms(run, era, mine)
        contracts.append({**facts, "id": contract_id, "net": _money(run, subtotal), "postingsByTerm": terms})
    return {
        "party": era,
        "kind": run.kinds.get(era, ""),
        "currency": run.manifest["currency"],
        "net": _money(run, net),
        "contracts": contracts,
    }


def _terms(run: Run, era: str, mine: Sequence[tuple[int, Posting]]) -> list[Record]:
    """By term and other party, in the order of their first postings."""
    found: dict[tuple[str, str], list[tuple[int, Posting]]] = {}
    for number, posting in mine:
        other = posting.payee if posting.payer == era else posting.payer
        found.setdefault((posting.term, other), []).append((number, posting))
    return [
        {
            "term": term,
            "with": other,
            "paid": _money(run, sum((p.amount for _, p in some if p.payer == era), Decimal(0))),
            "received": _money(run, sum((p.amount for _, p in some if p.payee == era), Decimal(0))),
            "net": _money(run, _net(era, [p for _, p in some])),
            "postings": [
                {"posting": number, "interval": p.interval, "amount": _money(run, _net(era, [p]))} for number, p in some
            ],
        }
        for (term, other), some in found.items()
    ]


def _net(era: str, postings: Sequence[Posting]) -> Decimal:
    net = Decimal(0)
    for posting in postings:
        net = EXACT.add(net, posting.amount if posting.payee == era else posting.amount.copy_negate())
    return net


def _money(run: Run, amount: Decimal) -> str:
    return plain(amount.quantize(minor_unit(run.manifest["currency"])))
