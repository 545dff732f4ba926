"""Errors are part of the interface: who, where, what was expected, what to do.

One class per reader.  Every class takes positional arguments only and passes them on, because simpy and pickle rebuild
exceptions from ``args``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong in one place.

    where: YAML path (``populations[2].count``), JSON pointer (``/message/contract``) or name of the culprit.
    what: what was found and what was expected.
    remedy: what to do about it; empty where ``what`` already says so.
    """

    where: str
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" + (f" ({self.remedy})" if self.remedy else "")


class DegsimError(Exception):
    """Base of everything this project raises on purpose: a source and all of its faults at once."""

    def __init__(self, source: str, faults: tuple[Fault, ...] | str) -> None:
        super().__init__(source, faults)
        self.source = source
        self.faults = (Fault(source, faults),) if isinstance(faults, str) else tuple(faults)

    def __str__(self) -> str:
        if len(self.faults) == 1:
            (fault,) = self.faults
            return str(fault) if fault.where == self.source else f"{self.source}: {fault}"
        lines = "".join(f"\n  {fault}" for fault in self.faults)
        return f"{self.source}: {len(self.faults)} problems{lines}"


class ScenarioError(DegsimError):
    """The scenario file cannot be used; its author must change it."""


class MessageError(DegsimError):
    """A message or message file is not what the wire asks for; its sender must change it."""


class CurveError(DegsimError):
    """An offer curve breaks the rules of offer curves; its bidder must change it."""


class MarketError(DegsimError):
    """A market problem is contradictory or a policy cannot solve it."""


class ContractError(DegsimError):
    """A contract, a formula or its signals cannot be computed."""


class FeederError(DegsimError):
    """The feeder cannot be built or lacks something that was asked of it."""


class TwinError(DegsimError):
    """A device was asked for something that physics forbids, or was described in a way that cannot exist."""


class TrustError(DegsimError):
    """A directory record, a key or a credential cannot be published or issued as described; its publisher must change it."""


class RunError(DegsimError):
    """A run folder cannot be read as a finished run."""


class EngineError(DegsimError):
    """Those who were to do runs cannot be had; who started the command must name or start others."""


LISTED = 20
"""Known words that a refusal names when none is near."""


def nearest(word: str, known: Iterable[str]) -> str:
    """``did you mean X?`` for the known word closest to this one, else the known words, of many the first, if there are any."""
    choices = sorted(known)
    if not choices:
        return "there is none"
    close = difflib.get_close_matches(word, choices, n=1, cutoff=0.6)
    more = f" and {len(choices) - LISTED} more" if len(choices) > LISTED else ""
    return f"did you mean {close[0]}?" if close else f"known: {', '.join(choices[:LISTED])}{more}"
