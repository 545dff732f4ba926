"""The postings that a picture of money counts."""

from __future__ import annotations

from results.run import Run
from sim.ledger import Posting


def postings(run: Run, interval: int | None = None) -> list[Posting]:
    """Those in the run's currency, of all intervals or of one: amounts in other currencies do not add up with them."""
    currency = run.manifest["currency"]
    return [row for row in run.ledger if row.currency == currency and interval in (None, row.interval)]


def remark(run: Run, interval: int | None = None) -> str:
    """How many postings are in other currencies and are not counted; empty where none is."""
    currency = run.manifest["currency"]
    count = sum(row.currency != currency and interval in (None, row.interval) for row in run.ledger)
    return f"{count:,} postings in other currencies are not counted" if count else ""
