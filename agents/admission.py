"""The terms of an admission: what somebody has to show and to allow before an item can be theirs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Admission:
    """What an item asks of whoever takes it.

    programme: under which a meter is enrolled; no meter is enrolled twice.  credentials: types that have to be shown, and to
    pass every check.  consents: what has to be allowed; who takes one of them back is called no more.
    """

    programme: str
    credentials: tuple[str, ...] = ()
    consents: tuple[str, ...] = ()
