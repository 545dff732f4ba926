"""Hashes by which events of contracts name what they do not spell out: terms, and the signals of intervals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from sim.canonical import canonical, hashed
from sim.contracts.contract import Term


def terms_hash(terms: Iterable[Term]) -> str:
    """The hash of who pays whom by which formula: rows of name, payer, payee and formula, in their order."""
    return hashed(canonical([(term.name, term.payer, term.payee, term.formula.text) for term in terms]))


def snapshot(signals: Mapping[str, Decimal]) -> str:
    """The hash of the signals of one interval: the text of each value by its name."""
    return hashed(canonical({name: str(value) for name, value in signals.items()}))


def snapshot_of(snapshots: Sequence[str]) -> str:
    """The hash that stands for the snapshots of several intervals, in their order."""
    return hashed(canonical(list(snapshots)))
