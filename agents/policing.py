"""Asking the policies of the network, at the four moments when they may say no.

A component, not an agent: a host asks it what to show (DISCOVERY), whom to let apply (SELECTION), whom to admit (FORMATION) and
which orders to take (FULFILMENT).  Orders are judged by the versions that were in force when the contract was confirmed,
everything else by those in force when the message was sent.
"""

from __future__ import annotations

from decimal import Decimal

from agents.member import Member, OpenRole
from sim.clock import Calendar, Interval
from sim.contracts.policies import Decision, Facts, Hook, Pins, PolicyBook
from sim.curves import OfferCurve
from sim.wire.codes import Refusal


class Policing:
    """The policies of one network, as its hosts apply them.  book: every version there is.  currency: of the network."""

    def __init__(self, book: PolicyBook, calendar: Calendar, currency: str) -> None:
        self._book = book
        self._calendar = calendar
        self._currency = currency
        self._idle = not any(True for _ in book)

    def shows(self, open_role: OpenRole, asker: str, at_s: int) -> bool:
        """Whether somebody may see an offer."""
        return self._decide(Hook.DISCOVERY, self._facts(open_role, asker, "NONE", at_s), at_s).valid

    def select(self, member: Member, resource_type: str, at_s: int) -> None:
        """Raises ``Refusal`` for an applicant that may not apply."""
        facts = {**self._about(member, "APPLICANT", at_s), "resourceType": resource_type}
        self._require(Hook.SELECTION, facts, at_s, "/message/contract")

    def admits(self, member: Member, at_s: int) -> Decision:
        """Whether a contract may be confirmed, with the caps that its utility approved."""
        return self._decide(Hook.FORMATION, self._about(member, "APPROVED", at_s), at_s)

    def pin(self, at_s: int) -> Pins | None:
        """The versions that bind a contract confirmed now; None where there are no policies."""
        return None if self._idle else self._book.pin(at_s)

    def take(self, member: Member, curve: OfferCurve, interval: Interval, at_s: int, where: str) -> None:
        """Raises ``Refusal`` for an order beyond what the contract's own versions permit."""
        if self._idle or member.policies is None:
            return
        powers = [power for _, power in curve.points()]
        export_kw, import_kw = max(0.0, *powers), max(0.0, *(-power for power in powers))
        prices = [price for price, _ in curve.points()]
        caps = {"exportShare": (export_kw, member.export_cap_kw), "importShare": (import_kw, member.import_cap_kw)}
        facts = {
            **self._about(member, "MEMBER", at_s),
            "exportKW": _number(export_kw),
            "importKW": _number(import_kw),
            "exportQuantity": _number(export_kw * interval.hours),
            "importQuantity": _number(import_kw * interval.hours),
            "lowestPricePerKWh": _number(min(prices)),
            "highestPricePerKWh": _number(max(prices)),
            "leadTimeHours": _number((interval.start_s - at_s) / 3600),
            **{name: _number(used / cap) for name, (used, cap) in caps.items() if cap > 0},
        }
        self._require(Hook.FULFILMENT, facts, member.policies, where)

    def _about(self, member: Member, registration: str, at_s: int) -> Facts:
        return {
            **self._facts(member.open_role, member.era, registration, at_s),
            "gridNode": member.node,
            "meterId": member.meter,
            "approvedMaxImportKW": _number(member.import_cap_kw),
            "approvedMaxExportKW": _number(member.export_cap_kw),
        }

    def _facts(self, open_role: OpenRole, era: str, registration: str, at_s: int) -> Facts:
        return {
            "role": str(open_role.role),
            "era": era,
            "registration": registration,
            "offerId": open_role.offer_id,
            "currency": self._currency,
            "minuteOfDay": Decimal(self._calendar.minute_of_day(at_s)),
        }

    def _require(self, hook: Hook, facts: Facts, by: Pins | int, where: str) -> None:
        decision = self._decide(hook, facts, by)
        if not decision.valid:
            raise Refusal(decision.code, where, str(decision))

    def _decide(self, hook: Hook, facts: Facts, by: Pins | int) -> Decision:
        return Decision() if self._idle else self._book.decide(hook, facts, by)


def _number(value: float) -> Decimal:
    return Decimal(repr(float(value)))
