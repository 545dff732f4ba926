"""All versions of all policies: which are in force, which bind a contract, and whether the levels agree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from sim.contracts.policies.conditions import INCLUSIVE, Case, Edge, comparisons, unmet, witnesses
from sim.contracts.policies.facts import Facts, Measure
from sim.contracts.policies.policy import Decision, Hook, Policy, Violation
from sim.errors import ContractError, Fault


@dataclass(frozen=True, slots=True)
class Pin:
    """One version that binds a contract."""

    policy_id: str
    version: str
    hash: str


@dataclass(frozen=True, slots=True)
class Pins:
    """Everything that binds a contract, as it was in force at one simulated second."""

    at_s: int
    pins: tuple[Pin, ...]

    def as_json(self) -> list[dict[str, str]]:
        """The pins as an event log or a message carries them."""
        return [{"policyId": pin.policy_id, "version": pin.version, "hash": pin.hash} for pin in self.pins]


class PolicyBook:
    """Every version of every policy.  Versions are added, never changed nor taken away.

    Of the versions of one policy whose validity covers a second, the one that began last is in force.  required: hooks
    at which nothing is permitted without an authorization in force.

    Raises ``ContractError`` with every fault: a version that is there already, two of one policy that begin together or
    stand on different levels, and a policy that permits what a higher one forbids that is in force when it begins (or
    at second 0, if it began before).  A higher policy that begins later is not refused for the sake of a lower one:
    from then on it forbids.
    """

    def __init__(self, policies: Iterable[Policy] = (), *, required: Iterable[Hook] = ()) -> None:
        self._required = frozenset(required)
        self._versions: dict[str, tuple[Policy, ...]] = {}
        self._add(tuple(policies))

    def __iter__(self) -> Iterator[Policy]:
        return (policy for versions in self._versions.values() for policy in versions)

    def publish(self, policies: Iterable[Policy], at_s: int) -> None:
        """Add versions at a simulated second, all or none; they may begin then or later, for what has been decided stands."""
        added = tuple(policies)
        late = [policy for policy in added if policy.valid_from_s is None or policy.valid_from_s < at_s]
        if late:
            what = f"begins before second {at_s}, at which it is published"
            raise ContractError("policies", tuple(Fault(str(policy), what, "give validFrom") for policy in late))
        self._add(added)

    def in_force(self, at_s: int) -> tuple[Policy, ...]:
        """One version of each policy that is in force at a second, the highest level first."""
        found = (_in_force(versions, at_s) for versions in self._versions.values())
        return tuple(sorted((p for p in found if p is not None), key=lambda p: (p.level.rank, p.id)))

    def pin(self, at_s: int) -> Pins:
        """What binds a contract that is confirmed at this second."""
        return Pins(at_s, tuple(Pin(policy.id, policy.version, policy.hash) for policy in self.in_force(at_s)))

    def decide(self, hook: Hook, facts: Facts, by: Pins | int) -> Decision:
        """Whether these facts are permitted, by the pins of a contract or by what is in force at a second.

        A pin whose version is not in this book, or not under this hash, denies.
        """
        policies, violations = self._binding(by)
        violations += self._missing(hook, policies, by if isinstance(by, int) else by.at_s)
        for policy in policies:
            if hook in policy.hooks:
                violations += policy.violations(facts)
        return Decision(tuple(violations))

    def bounds(self, hook: Hook, field: str, facts: Facts, by: Pins | int) -> tuple[Decimal, ...]:
        """The values, ascending, that policies compare a field with and permit themselves: where it may have to be cut to."""
        found: set[Decimal] = set()
        for policy in self._binding(by)[0]:
            if hook in policy.hooks and policy.permits is not None:
                for comparison in comparisons(policy.permits):
                    if comparison.field == field and comparison.operator in INCLUSIVE:
                        values = comparison.values or (facts.get(comparison.other),)
                        found.update(value for value in values if isinstance(value, Decimal))
        return tuple(sorted(found))

    def _binding(self, by: Pins | int) -> tuple[tuple[Policy, ...], list[Violation]]:
        if isinstance(by, int):
            return self.in_force(by), []
        policies, violations = [], []
        for pin in by.pins:
            known = next((p for p in self._versions.get(pin.policy_id, ()) if p.version == pin.version), None)
            if known is not None and known.hash == pin.hash:
                policies.append(known)
            else:
                got = "no such version" if known is None else known.hash
                violations.append(Violation(pin.policy_id, pin.version, "", pin.hash, got, undefined=True))
        return tuple(policies), violations

    def _missing(self, hook: Hook, policies: tuple[Policy, ...], at_s: int) -> list[Violation]:
        """Authorizations that have lapsed without a successor, and the one that is required where there is none."""
        expected = f"an authorization in force at {hook}"
        if hook in self._required and not any(policy.authorizes(hook) for policy in policies):
            return [Violation("", "", "", expected, "none", undefined=True)]
        lapsed = (_lapsed(versions, at_s) for versions in self._versions.values())
        return [
            Violation(policy.id, policy.version, "", expected, "one that has lapsed", undefined=True)
            for policy in lapsed
            if policy is not None and policy.authorizes(hook)
        ]

    def _add(self, policies: tuple[Policy, ...]) -> None:
        versions = dict(self._versions)
        faults: list[Fault] = []
        for policy in policies:
            earlier = versions.get(policy.id, ())
            faults += (Fault(str(policy), what) for what in _misplaced(policy, earlier))
            versions[policy.id] = (*earlier, policy)
        for policy in policies:
            faults += _loosened(policy, versions)
        if faults:
            raise ContractError("policies", tuple(faults))
        self._versions = versions


def _in_force(versions: Iterable[Policy], at_s: int) -> Policy | None:
    return _last(policy for policy in versions if policy.covers(at_s))


def _lapsed(versions: tuple[Policy, ...], at_s: int) -> Policy | None:
    """The version that was the last to begin, if none is in force any more."""
    if _in_force(versions, at_s) is not None:
        return None
    return _last(policy for policy in versions if policy.begun(at_s))


def _last(policies: Iterable[Policy]) -> Policy | None:
    def began(policy: Policy) -> tuple[bool, int]:
        return policy.valid_from_s is not None, policy.valid_from_s or 0

    return max(policies, key=began, default=None)


def _misplaced(policy: Policy, earlier: Iterable[Policy]) -> Iterator[str]:
    for other in earlier:
        if other.version == policy.version:
            yield f"version {policy.version} is there already, as {other.hash}"
        if other.valid_from_s == policy.valid_from_s:
            yield f"begins when version {other.version} does; one of them would never be in force"
        if other.level is not policy.level:
            yield f"is of level {policy.level}, version {other.version} of {other.level}; a policy keeps its level"


def _loosened(lower: Policy, book: Mapping[str, tuple[Policy, ...]]) -> Iterator[Fault]:
    """What a policy permits although a higher one, in force when it begins, forbids it."""
    second = max(lower.valid_from_s or 0, 0)
    if _in_force(book[lower.id], second) is not lower:
        return  # older than the run, and out of force
    for versions in book.values():
        higher = _in_force(versions, second)
        if higher is None or higher.permits is None or higher.level.rank >= lower.level.rank:
            continue
        for case in _permitted(lower, meeting=not higher.hooks.isdisjoint(lower.hooks)):
            if higher.permits.verdict(case) is False:
                yield _clash(lower, higher, case)
                break


def _permitted(policy: Policy, *, meeting: bool) -> tuple[Case, ...]:
    """What a policy names as permitted; only its parameters where its conditions are asked at other hooks."""
    if policy.permits is None or not meeting:
        return (policy.sets,) if policy.sets else ()
    return witnesses(policy.permits, policy.sets)


def _clash(lower: Policy, higher: Policy, case: Case) -> Fault:
    assert higher.permits is not None
    reasons = [*unmet(higher.permits, case)]
    expected = ", ".join(f"{r.field} {r.expected}" for r in reasons if r.field in case) or "nothing"
    measures = {name: reason.measure for reason in reasons for name in reason.fields}
    got = ", ".join(f"{name} {_side(measures[name], case[name])}" for name in measures if name in case) or "something"
    what = f"permits {got}, {higher} of level {higher.level} permits {expected}"
    return Fault(f"{lower} of level {lower.level}", what, "a lower level may only tighten")


def _side(measure: Measure, edge: Edge) -> str:
    value, side = edge
    return ("just below ", "", "just above ")[side + 1] + measure.text(value)
