"""Asking the policies of the network, at the four moments when they may say no.

A component, not an agent: a host asks it what to show (DISCOVERY), whom to let apply (SELECTION), whom to admit (FORMATION) and
which orders to take (FULFILMENT).  Orders are judged by the versions that were in force when the contract was confirmed,
everything else by those in force when the message was sent.  How much those versions will ever let a member give and draw is
known from the start, and told with the approval.

What policies ask about a meter's connection, the network's registry knows.  While it cannot be reached, offers are shown, with
word that nobody has looked; nobody is let in, and no order is taken, by a rule that hangs on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_DOWN, Decimal
from typing import Literal, NamedTuple

from agents.member import Member, OpenRole
from agents.standing import REGISTERED, Standing
from sim.clock import Calendar, Interval
from sim.contracts.formula import CONTEXT
from sim.contracts.policies import Decision, Fact, Facts, Hook, Pins, Policy, PolicyBook
from sim.contracts.policies.conditions import comparisons
from sim.curves import OfferCurve
from sim.tolerances import POWER_KW
from sim.wire.codes import Code, Refusal

Way = Literal["export", "import"]

_MILLIWATT = Decimal(repr(POWER_KW))


class Sight(NamedTuple):
    """Whether somebody may see an offer; unchecked: why nobody could look at what a rule about it hangs on."""

    shown: bool
    unchecked: str = ""


class Policing:
    """The policies of one network, as its hosts apply them.

    book: every version there is.  currency: of the network.  standing: what its registry says of meters; None where there is
    none, so that what hangs on it is undefined.
    """

    def __init__(self, book: PolicyBook, calendar: Calendar, currency: str, standing: Standing | None = None) -> None:
        self._book = book
        self._calendar = calendar
        self._currency = currency
        self._standing = standing
        self._idle = not any(True for _ in book)
        self._asks = frozenset(hook for policy in book if _hangs_on_registry(policy) for hook in policy.hooks)

    def shows(self, open_role: OpenRole, asker: str, at_s: int) -> Sight:
        """Whether somebody may see an offer.  A site is taken to ask for the meter that is called as it is."""
        facts, unchecked = self._facts(open_role, asker, "NONE", at_s), ""
        try:
            facts |= self._registered(Hook.DISCOVERY, asker, asker, at_s)
        except Refusal as refusal:
            unchecked = refusal.what
        decision = self._decide(Hook.DISCOVERY, facts, at_s)
        # In doubt for the registry's silence alone: whoever applies is looked at again.
        silent = (v.undefined and (v.field.startswith(REGISTERED) or v.field in facts) for v in decision.violations)
        return Sight(decision.valid or (bool(unchecked) and all(silent)), unchecked)

    def select(self, member: Member, at_s: int) -> None:
        """Raises ``Refusal`` for an applicant that may not apply."""
        facts = {
            **self._about(member, "APPLICANT", at_s),
            **self._registered(Hook.SELECTION, member.meter, member.era, at_s),
        }
        self._require(Hook.SELECTION, facts, at_s, "/message/contract")

    def admit(self, member: Member, at_s: int) -> None:
        """Raises ``Refusal`` for a contract that may not be confirmed, with the caps that its utility approved."""
        self._require(Hook.FORMATION, self._forming(member, at_s), at_s, "/message/contract")

    def withdrawn(self, member: Member, at_s: int) -> Decision | None:
        """Why a contract would not be confirmed any more, by the versions that bind it, for a credential that is gone.

        None where its credentials stand, and while the registry cannot be reached: nobody loses a contract for that.
        """
        if member.policies is None or Hook.FORMATION not in self._asks:
            return None
        try:
            decision = self._decide(Hook.FORMATION, self._forming(member, at_s), member.policies)
        except Refusal:
            return None
        return decision if decision.code is Code.SEC_CREDENTIAL_VERIFICATION_FAILED else None

    def _forming(self, member: Member, at_s: int) -> Facts:
        registered = self._registered(Hook.FORMATION, member.meter, member.era, at_s)
        return {**self._about(member, "APPROVED", at_s), **_caps(member), **registered}

    def judge(self, hook: Hook, facts: Facts, by: Pins | int) -> Decision:
        """What policies say to facts of somebody else's making, by a contract's pins or by what is in force at a second."""
        return self._decide(hook, {"currency": self._currency, **facts}, by)

    def owing(self, at_s: int) -> Mapping[str, Policy]:
        """The policies by name that say what is owed, in the version in force at a second: contracts make terms of them."""
        return {policy.id: policy for policy in self._book.in_force(at_s) if policy.formula is not None}

    def pin(self, at_s: int) -> Pins | None:
        """The versions that bind a contract confirmed now; None where there are no policies."""
        return None if self._idle else self._book.pin(at_s)

    def caps_kw(self, member: Member) -> tuple[float, float]:
        """The most that a member may draw and give [kW]: what its utility approved, as far as its contract's versions permit.

        What hangs on more than the power (on a price, on the time of day) is not known yet and holds nothing back here.  Raises
        ``Refusal`` where something hangs on the registry, and that cannot be reached.
        """
        return self._most_kw("import", member.import_cap_kw, member), self._most_kw(
            "export", member.export_cap_kw, member
        )

    def _most_kw(self, way: Way, approved_kw: float, member: Member) -> float:
        if self._idle or member.policies is None or approved_kw <= 0:
            return approved_kw
        pins, approved, hours = member.policies, _number(approved_kw), _hours(self._calendar.interval(0))
        registered = self._registered(Hook.FULFILMENT, member.meter, member.era, pins.at_s)
        about = {**self._about(member, "MEMBER", pins.at_s), **_caps(member), **registered, "action": "confirm"}
        del about["minuteOfDay"]
        scales = {f"{way}KW": Decimal(1), f"{way}Quantity": CONTEXT.divide(Decimal(1), hours), f"{way}Share": approved}
        bounds_kw = {
            CONTEXT.multiply(bound, scale).quantize(_MILLIWATT, ROUND_DOWN, CONTEXT)
            for field, scale in scales.items()
            for bound in self._book.bounds(Hook.FULFILMENT, field, about, pins)
            if 0 <= bound < CONTEXT.divide(approved, scale)
        }
        for kw in (approved, *sorted(bounds_kw, reverse=True)):
            decision = self._decide(Hook.FULFILMENT, {**about, **_amounts(way, kw, approved, hours)}, pins)
            if all(violation.undefined for violation in decision.violations):
                return float(kw)
        return approved_kw  # no power would do: its orders will hear why

    def take(self, member: Member, curve: OfferCurve, interval: Interval, at_s: int, where: str) -> None:
        """Raises ``Refusal`` for an order beyond what the contract's own versions permit.

        And for any where they hang on the registry, and that cannot be reached.
        """
        if self._idle or member.policies is None:
            return
        points, hours = curve.points(), _hours(interval)
        powers = [power for _, power in points]
        facts = {
            **self._about(member, "MEMBER", at_s),
            **_caps(member),
            **self._registered(Hook.FULFILMENT, member.meter, member.era, at_s),
            "action": "confirm",
            **_amounts("export", _number(max(0.0, *powers)), _number(member.export_cap_kw), hours),
            **_amounts(
                "import", _number(max(0.0, *(-power for power in powers))), _number(member.import_cap_kw), hours
            ),
            "lowestPricePerKWh": _number(points[0][0]),
            "highestPricePerKWh": _number(points[-1][0]),
            "leadTimeHours": CONTEXT.divide(Decimal(interval.start_s - at_s), Decimal(3600)),
        }
        self._require(Hook.FULFILMENT, facts, member.policies, where)

    def _registered(self, hook: Hook, meter: str, era: str, at_s: int) -> Mapping[str, Fact]:
        """What the registry says, where policies at this hook ask for it.  Raises ``Refusal`` where it cannot be reached."""
        if self._standing is None or hook not in self._asks:
            return {}
        return self._standing.facts(meter, era, at_s)

    def _about(self, member: Member, registration: str, at_s: int) -> dict[str, Fact]:
        own = {"gridNode": member.node, "meterId": member.meter, "resourceType": member.resource_type}
        stated: Mapping[str, Fact] = {name: value for name, value in own.items() if value}
        return {**self._facts(member.open_role, member.era, registration, at_s), **stated}

    def _facts(self, open_role: OpenRole, era: str, registration: str, at_s: int) -> dict[str, Fact]:
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


def _hangs_on_registry(policy: Policy) -> bool:
    if policy.permits is None:
        return False
    return any(name.startswith(REGISTERED) for comparison in comparisons(policy.permits) for name in comparison.fields)


def _caps(member: Member) -> Facts:
    return {
        "approvedMaxImportKW": _number(member.import_cap_kw),
        "approvedMaxExportKW": _number(member.export_cap_kw),
    }


def _amounts(way: Way, kw: Decimal, approved_kw: Decimal, hours: Decimal) -> Facts:
    """A power, the energy that it is in an interval, and its share of what is approved."""
    share = {f"{way}Share": CONTEXT.divide(kw, approved_kw)} if approved_kw else {}
    return {f"{way}KW": kw, f"{way}Quantity": CONTEXT.multiply(kw, hours), **share}


def _hours(interval: Interval) -> Decimal:
    return CONTEXT.divide(Decimal(interval.end_s - interval.start_s), Decimal(3600))


def _number(value: float) -> Decimal:
    return Decimal(repr(float(value)))
