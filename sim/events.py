"""What happened to contracts: signed events, each of which names the one before it.

The events of one contract are a chain: ``prevHash`` is the hash of its last event, and a hash is taken over the canonical bytes
of everything but itself and the signature.  The events of all contracts are one list, over which a tree of hashes is kept, so
that a head of it stands for every event so far.  An event is signed by its actor, over its hash, its role and its address.

The life of a contract and of each of its settlement cycles are tables; what they do not allow is neither written nor believed::

    (none) ──CREATED──► FORMING ──CONFIRMED──► CONFIRMED ──ACTIVATED──► ACTIVE ──COMPLETED──► COMPLETED
                          └──────────────┬──────────┴─────────────────────┘
                                         └──CANCELLED──► CANCELLED ──TERMINATED──► TERMINATED

A cycle is computed, signed, challenged, resolved, rolled back and settled; cycles still open when a contract is cancelled or
terminated are settled afterwards, and none may be open when it is completed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any

import msgspec

from sim.canonical import canonical, hashed, read
from sim.errors import ContractError, Fault
from sim.trust.attest import attest
from sim.trust.merkle import Proof, Tree
from sim.trust.signature import Key
from sim.trust.witness import KEEPER, Head

GENESIS = "sha256:" + "0" * 64
"""What the first event of a contract names as the one before it."""


class EventType(StrEnum):
    """What may happen to a contract."""

    CONTRACT_CREATED = "CONTRACT_CREATED"
    ROLE_FILLED = "ROLE_FILLED"
    INPUT_PROVIDED = "INPUT_PROVIDED"
    SIGNAL_BOUND = "SIGNAL_BOUND"
    CONFIRMED = "CONFIRMED"
    ACTIVATED = "ACTIVATED"
    TELEMETRY_RECORDED = "TELEMETRY_RECORDED"
    SETTLEMENT_COMPUTED = "SETTLEMENT_COMPUTED"
    SETTLEMENT_SIGNED = "SETTLEMENT_SIGNED"
    CHALLENGED = "CHALLENGED"
    CHALLENGE_RESOLVED = "CHALLENGE_RESOLVED"
    ROLLED_BACK = "ROLLED_BACK"
    SETTLED = "SETTLED"
    CANCELLED = "CANCELLED"
    TERMINATED = "TERMINATED"
    COMPLETED = "COMPLETED"


class Phase(StrEnum):
    """Where a contract is in its life."""

    NONE = "NONE"
    FORMING = "FORMING"
    CONFIRMED = "CONFIRMED"
    ACTIVE = "ACTIVE"
    CANCELLED = "CANCELLED"
    TERMINATED = "TERMINATED"
    COMPLETED = "COMPLETED"


class Cycle(StrEnum):
    """Where a settlement cycle is.  One that is settled is as one that never was: corrected readings compute it anew."""

    NONE = "NONE"
    COMPUTED = "COMPUTED"
    CHALLENGED = "CHALLENGED"
    RESOLVED = "RESOLVED"
    ROLLED_BACK = "ROLLED_BACK"


_E = EventType
CYCLES: Mapping[Cycle, Mapping[EventType, Cycle]] = {
    Cycle.NONE: {_E.SETTLEMENT_COMPUTED: Cycle.COMPUTED},
    Cycle.COMPUTED: {
        _E.SETTLEMENT_SIGNED: Cycle.COMPUTED,
        _E.CHALLENGED: Cycle.CHALLENGED,
        _E.CHALLENGE_RESOLVED: Cycle.RESOLVED,  # also of a signature that is missing: nobody challenged then
        _E.SETTLED: Cycle.NONE,
    },
    Cycle.CHALLENGED: {_E.CHALLENGE_RESOLVED: Cycle.RESOLVED},
    Cycle.RESOLVED: {
        _E.SETTLEMENT_SIGNED: Cycle.RESOLVED,
        _E.CHALLENGED: Cycle.CHALLENGED,
        _E.CHALLENGE_RESOLVED: Cycle.RESOLVED,
        _E.ROLLED_BACK: Cycle.ROLLED_BACK,
        _E.SETTLED: Cycle.NONE,
    },
    Cycle.ROLLED_BACK: {_E.SETTLEMENT_COMPUTED: Cycle.COMPUTED},
}
"""Which event may follow in each state of a cycle, and the state after it."""

_SETTLING = dict.fromkeys(event for events in CYCLES.values() for event in events)
_FORMING = (_E.ROLE_FILLED, _E.INPUT_PROVIDED, _E.SIGNAL_BOUND)
_END = {_E.CANCELLED: Phase.CANCELLED, _E.TERMINATED: Phase.TERMINATED}

LIFE: Mapping[Phase, Mapping[EventType, Phase]] = {
    Phase.NONE: {_E.CONTRACT_CREATED: Phase.FORMING},
    Phase.FORMING: dict.fromkeys(_FORMING, Phase.FORMING) | {_E.CONFIRMED: Phase.CONFIRMED} | _END,
    # A meter counts from the moment a contract holds, whether or not its party has been awarded anything yet.
    Phase.CONFIRMED: dict.fromkeys((_E.TELEMETRY_RECORDED, *_SETTLING), Phase.CONFIRMED)
    | {_E.ACTIVATED: Phase.ACTIVE}
    | _END,
    Phase.ACTIVE: dict.fromkeys((_E.TELEMETRY_RECORDED, *_SETTLING), Phase.ACTIVE)
    | {_E.COMPLETED: Phase.COMPLETED}
    | _END,
    Phase.CANCELLED: dict.fromkeys(_SETTLING, Phase.CANCELLED) | {_E.TERMINATED: Phase.TERMINATED},
    Phase.TERMINATED: dict.fromkeys(_SETTLING, Phase.TERMINATED),
    Phase.COMPLETED: {},
}
"""Which event may follow in each phase of a contract, and the phase after it."""


class Actor(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """Who makes an event: its address, and the role in which it speaks."""

    # gc=False, here and below: it can hold nothing that holds it, and a run makes them by the ten thousand.
    era: str
    role: str


class Event(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """One event of one contract.

    event_id: its number in the log, from 0, so that none can be dropped or exchanged unseen.  seq: its number in the contract.
    timestamp: RFC 3339, of simulated time.  data: canonical JSON of an object.  prev_hash: of the contract's event before it.
    hash: of the canonical bytes without hash and signature.  signature: of the actor.
    """

    event_id: str
    contract_id: str
    seq: int
    event_type: EventType
    timestamp: str
    actor: Actor
    data: msgspec.Raw
    prev_hash: str
    hash: str = ""
    signature: str = ""

    @property
    def raw(self) -> bytes:
        """The canonical bytes of the whole event."""
        return _encode(self)

    @property
    def facts(self) -> dict[str, Any]:
        """The data, in a dict of the reader's own.  Raises ``ContractError`` for anything but canonical JSON of an object."""
        facts = read(bytes(self.data), "data")
        if not isinstance(facts, dict):
            raise ContractError("data", f"expected an object, got {type(facts).__name__}")
        return facts

    def due_hash(self) -> str:
        """The hash that follows from all the rest."""
        return hashed(_encode(msgspec.structs.replace(self, hash="", signature="")))


_encode = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder(Event).decode


def read_event(raw: bytes) -> Event:
    """An event as it was written.

    Raises ``ContractError`` for bytes that are no event, or that are not its canonical bytes: floats, NaN, keys that stand
    twice, other spaces and other escapes are all refused.
    """
    try:
        event = _decode(raw)
    except (ValueError, RecursionError) as error:
        raise ContractError("event", f"is no event: {error}") from error
    event.facts  # noqa: B018  # which raises
    if event.raw != raw:
        raise ContractError("event", "is not in canonical form")
    return event


class History:
    """Where one contract stands after its events so far: their number, the last hash, its phase, its roles, its open cycles."""

    __slots__ = ("_contract_id", "cycles", "last_hash", "phase", "roles", "seq")

    def __init__(self, contract_id: str) -> None:
        self._contract_id = contract_id
        self.seq = 0
        self.last_hash = GENESIS
        self.phase = Phase.NONE
        self.roles: dict[str, str] = {}
        self.cycles: dict[str, Cycle] = {}

    def check(self, event_type: EventType, actor: Actor, facts: Mapping[str, Any]) -> None:
        """Raises ``ContractError`` with everything that keeps an event from being the next one; nothing has changed."""
        faults = tuple(
            Fault(f"{self._contract_id}/{self.seq}", what) for what in self._wrongs(event_type, actor, facts)
        )
        if faults:
            raise ContractError(self._contract_id, faults)

    def add(self, event_type: EventType, facts: Mapping[str, Any], digest: str) -> None:
        """An event that was checked has happened."""
        self.seq += 1
        self.last_hash = digest
        self.phase = LIFE[self.phase][event_type]
        self.roles |= _filled(event_type, facts)
        for cycle in self._meant(event_type, facts):
            after = CYCLES[self.cycles.pop(cycle, Cycle.NONE)][event_type]
            if after is not Cycle.NONE:
                self.cycles[cycle] = after

    def _wrongs(self, event_type: EventType, actor: Actor, facts: Mapping[str, Any]) -> Iterator[str]:
        if event_type not in LIFE[self.phase]:
            yield f"{event_type} cannot follow where the contract is {self.phase}; {_possible(LIFE[self.phase])}"
        if self.roles.get(actor.role, actor.era) != actor.era:
            yield f"{actor.era} speaks as {actor.role}, which is {self.roles[actor.role]}"
        try:
            filled = _filled(event_type, facts)
            cycles = self._meant(event_type, facts)
        except (LookupError, TypeError, AttributeError):
            yield f"{event_type} does not say which roles or which cycle it is about"
            return
        for role, era in filled.items():
            if self.roles.get(role, era) != era:
                yield f"{role} is filled by {self.roles[role]} already"
        for cycle in cycles:
            state = self.cycles.get(cycle, Cycle.NONE)
            if event_type not in CYCLES[state]:
                yield f"{event_type} cannot follow where cycle {cycle} is {state}; {_possible(CYCLES[state])}"
        if event_type in _SETTLING and not cycles:
            yield "no cycle is open that could be settled"
        if event_type is EventType.COMPLETED and self.cycles:
            yield f"cannot be completed while cycles are open: {', '.join(self.cycles)}"

    def _meant(self, event_type: EventType, facts: Mapping[str, Any]) -> tuple[str, ...]:
        """The cycles that an event is about: the one it names; SETTLED without a name is about all that are open."""
        if event_type not in _SETTLING:
            return ()
        if event_type is EventType.SETTLED and "cycle" not in facts:
            return tuple(self.cycles)
        cycle = facts["cycle"]
        if not isinstance(cycle, str):
            raise TypeError
        return (cycle,)


def _filled(event_type: EventType, facts: Mapping[str, Any]) -> dict[str, str]:
    """Addresses by role, as an event fills them."""
    match event_type:
        case EventType.CONTRACT_CREATED:
            return {entry["role"]: entry["filledBy"] for entry in facts.get("roles", ())}
        case EventType.ROLE_FILLED:
            return {facts["role"]: facts["filledBy"]}
    return {}


def _possible(events: Mapping[EventType, StrEnum]) -> str:
    return f"{', '.join(events)} can" if events else "nothing can"


class EventLog:
    """The events of all contracts, in the order in which they happened.  Nothing is ever changed or removed.

    keeper: who signs its heads.  key_of: the key of an actor by its address.  now: the simulated time as RFC 3339.
    """

    def __init__(self, keeper: Key, key_of: Callable[[str], Key], now: Callable[[], str]) -> None:
        self.keeper = keeper
        self._key_of = key_of
        self._now = now
        self._tree = Tree()
        self._histories: dict[str, History] = {}
        self._fresh: list[Event] = []
        self.signers: dict[str, Key] = {}
        """Who has signed an event so far, in order of the first, and with which key."""

    def __len__(self) -> int:
        return len(self._tree)

    def append(self, contract_id: str, event_type: EventType, actor: Actor, data: Mapping[str, Any]) -> Event:
        """Write the next event of a contract, signed by its actor.

        Raises ``ContractError``, and changes nothing, where the contract's life does not allow it, where somebody speaks in
        another's role, and where the data cannot be signed (``sim.canonical``).
        """
        history = self._histories.get(contract_id) or History(contract_id)
        history.check(event_type, actor, data)
        event = Event(
            str(len(self._tree)),
            contract_id,
            history.seq,
            event_type,
            self._now(),
            actor,
            msgspec.Raw(canonical(data, contract_id)),
            history.last_hash,
        )
        try:
            digest = hashed(event.raw)
        except UnicodeEncodeError as error:
            raise ContractError(
                ascii(contract_id), f"{contract_id!a} or {actor!a} holds half of a character"
            ) from error
        key = self.signers.get(actor.era) or self._key_of(actor.era)
        event = msgspec.structs.replace(event, hash=digest, signature=attest(key, actor.role, digest))
        history.add(event_type, data, digest)
        self._histories[contract_id] = history
        self.signers[actor.era] = key
        self._tree.append(leaf_of(digest))
        self._fresh.append(event)
        return event

    def open_cycles(self, contract_id: str) -> tuple[str, ...]:
        """The settlement cycles of a contract that are not settled."""
        history = self._histories.get(contract_id)
        return () if history is None else tuple(history.cycles)

    def drain(self) -> tuple[Event, ...]:
        """The events since the last call.  The log keeps their hashes; their text is from now on with whoever asked."""
        fresh = tuple(self._fresh)
        self._fresh.clear()
        return fresh

    def head(self, interval: int) -> tuple[Head, str]:
        """The head of the log at the end of an interval, and the keeper's signature."""
        head = Head(interval, self._tree.root().hex(), len(self._tree))
        return head, attest(self.keeper, KEEPER, head.digest)

    def proof(self, size: int) -> Proof:
        """The proof that the log's first ``size`` events are still its first ones."""
        return self._tree.consistency(size)


def leaf_of(digest: str) -> bytes:
    """What the tree holds of an event with this hash."""
    return digest.encode()
