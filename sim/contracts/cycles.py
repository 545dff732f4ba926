"""The settlement cycles of one contract: who may do what when, what is pending, and what has become money.

``Cycles`` is the one thing that changes.  It takes moves (``sim.contracts.settlement_moves``) and answers each with the
acts that it means; what it hands out is frozen.  Nothing is ever changed or removed in its books: a run that is void is
reversed, and a run that was final is corrected by the next one, which posts the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sim.contracts.contract import Contract
from sim.contracts.settlement_moves import (
    MOVES,
    Accept,
    Annul,
    Compute,
    Cycle,
    Dispute,
    Missing,
    Move,
    Reject,
    Sign,
    State,
    Statement,
    Uphold,
    parties_of,
)
from sim.contracts.settlement_runs import Act, SettlementRun, Step, computed, deltas, moved, reversal
from sim.errors import ContractError, Fault, nearest
from sim.ledger import Ledger, Posting

Verify = Callable[[str, str, str, int], bool]
"""Whether a signer's signature over a digest holds at a second: ``verify(signer, digest, signature, at_s)``."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the parties agreed about settling.

    challenge_s: length of the window in which a run may be signed and disputed.  arbitrator: the ERA that rules.
    missing: what a missing signature means when the window is over.
    """

    challenge_s: int
    arbitrator: str
    missing: Missing = Missing.HOLD


class Cycles:
    """All settlement cycles of a contract, and their two books.

    ledger: where postings go when a run becomes FINAL, all of a run or none.  verify: judges signatures; it must refuse
    a key that was revoked at the second it is asked about.  Parties are the ERAs that fill the contract's roles.

    A move that was accepted is remembered for good: the same move again (each field the same, the second included) has
    the same answer and no effect.  A move that was refused is judged anew.  Raises ``ContractError`` for a window of
    negative length, and for an arbitrator that is a party.
    """

    def __init__(self, contract: Contract, rules: Rules, ledger: Ledger, verify: Verify) -> None:
        self.contract = contract
        self.rules = rules
        self.parties = parties_of(contract)
        self._ledger = ledger
        self._verify = verify
        self._now_s: int | None = None
        self._cycles: dict[str, Cycle] = {}
        self._runs: dict[str, tuple[SettlementRun, ...]] = {}
        self._answers: dict[object, tuple[Act, ...]] = {}
        self._reserved: list[Posting] = []
        self._posted: list[Posting] = []
        self._refuse(_rule_faults(rules, self.parties))

    def open(self, cycle: Cycle) -> None:
        """Add a cycle; one that is known already changes nothing.

        Raises ``ContractError`` for another cycle of the same id, and for one that begins before the last one ended.
        """
        known = self._cycles.get(cycle.id)
        if known == cycle:
            return
        last = next(reversed(self._cycles.values()), None)
        if known is not None:
            self._refuse([Fault(cycle.id, f"is known already as {known}")])
        elif last is not None and cycle.start_s < last.end_s:
            what = f"begins at {cycle.start_s} s, before {last.id} has ended at {last.end_s} s"
            self._refuse([Fault(cycle.id, what)])
        self._cycles[cycle.id] = cycle
        self._runs[cycle.id] = ()

    def do(self, move: Move) -> tuple[Act, ...]:
        """Carry out a move, and say what it means.

        Raises ``ContractError`` and changes nothing if the state of the cycle does not allow it, if it is not the
        actor's to make, if it concerns another run than the latest, or if it lies before the last move accepted.
        """
        if move not in self._answers:
            self._commit({move: self._step(move)})
        return self._answers[move]

    def correct(self, statements: Mapping[str, Statement], actor: str, at_s: int) -> tuple[Act, ...]:
        """Begin the next run of exactly those cycles whose statement (by cycle id) changes an amount.

        A correction of one cycle may change what is owed in later ones, where a tier or a cap has been used up
        differently: they are all begun, in order of cycles, or none.  A cycle compares with its latest run; one that
        has none, or a void one, is begun.  Raises ``ContractError`` with every cycle that would have to change and
        cannot: not over yet, under way with other amounts, or closed.
        """
        asked = (tuple(sorted(statements.items(), key=lambda item: item[0])), actor, at_s)
        if asked not in self._answers:
            self._refuse(fault for cycle, stated in statements.items() for fault in self._misstated(cycle, stated))
            moves = [
                Compute(cycle, self._free_number(cycle), actor, at_s, statements[cycle])
                for cycle in self._cycles
                if cycle in statements and self._differs(cycle, statements[cycle])
            ]
            self._refuse(fault for move in moves for fault in self._faults(move))
            steps: dict[Move, Step] = {move: self._step(move) for move in moves}
            self._commit(steps)
            self._answers[asked] = tuple(act for step in steps.values() for act in step.acts)
        return self._answers[asked]

    @property
    def cycles(self) -> tuple[Cycle, ...]:
        """All cycles, in order of their windows."""
        return tuple(self._cycles.values())

    @property
    def settled(self) -> bool:
        """Whether there are cycles and the latest run of each is FINAL: none is under way, and none owed for a void one."""
        return bool(self._runs) and all(runs and runs[-1].state is State.FINAL for runs in self._runs.values())

    def runs(self, cycle_id: str) -> tuple[SettlementRun, ...]:
        """Every run of a cycle, in order of their numbers.  Raises ``ContractError`` for an unknown cycle."""
        self._refuse(self._unknown(cycle_id))
        return self._runs[cycle_id]

    def state(self, cycle_id: str, at_s: int) -> State:
        """Where a cycle stands at a second that is not before the last move.  Raises ``ContractError`` if unknown."""
        runs = self.runs(cycle_id)
        if runs:
            return runs[-1].state_at(at_s, self.rules.missing)
        return State.OPEN if at_s < self._cycles[cycle_id].end_s else State.OVER

    def pending(self) -> tuple[Posting, ...]:
        """What the runs under way would post, by cycle."""
        return tuple(posting for runs in self._runs.values() for run in runs if run.is_open for posting in run.postings)

    def posted(self) -> tuple[Posting, ...]:
        """What this contract has sent to the ledger, in that order."""
        return tuple(self._posted)

    def reserved(self) -> tuple[Posting, ...]:
        """The book behind ``pending``: every posting that ever was pending, and a reversal of each that no longer is."""
        return tuple(self._reserved)

    def _step(self, move: Move) -> Step:
        self._refuse(self._faults(move))
        until_s = move.at_s + self.rules.challenge_s
        if isinstance(move, Compute):
            return computed(self.contract, move, self._deltas(move), until_s)
        return moved(self._runs[move.cycle][-1], move, until_s)

    def _commit(self, steps: Mapping[Move, Step]) -> None:
        posted = [p for step in steps.values() if step.run.state is State.FINAL for p in step.run.postings]
        # First, because it is the only thing here that can fail.
        self._ledger.post(posted)
        self._posted += posted
        for move, (run, acts) in steps.items():
            others = tuple(other for other in self._runs[move.cycle] if other.number != run.number)
            if isinstance(move, Compute):
                self._reserved += run.postings
            elif not run.is_open:
                self._reserved += reversal(run.postings)
            self._runs[move.cycle] = (*others, run)
            self._answers[move] = acts
            self._now_s = move.at_s

    def _deltas(self, move: Compute) -> tuple[Posting, ...]:
        final = _last_final(self._runs[move.cycle])
        interval = self._cycles[move.cycle].interval
        return deltas(self.contract, interval, move.statement, final.statement if final else None)

    def _differs(self, cycle_id: str, statement: Statement) -> bool:
        runs = self._runs[cycle_id]
        if not runs or runs[-1].state is State.VOID:
            return True
        return runs[-1].statement.accounts() != statement.accounts()

    def _free_number(self, cycle_id: str) -> int:
        runs = self._runs[cycle_id]
        return runs[-1].number + 1 if runs else 0

    def _refuse(self, faults: Iterable[Fault]) -> None:
        found = tuple(faults)
        if found:
            raise ContractError(self.contract.id, found)

    def _unknown(self, cycle_id: str) -> Iterator[Fault]:
        if cycle_id not in self._cycles:
            yield Fault(cycle_id, "is no cycle of this contract", nearest(cycle_id, self._cycles))

    def _misstated(self, cycle_id: str, statement: Statement) -> Iterator[Fault]:
        yield from self._unknown(cycle_id)
        yield from statement.faults(cycle_id, self.contract)

    def _faults(self, move: Move) -> tuple[Fault, ...]:
        # Who may do it is asked only once it may be done: a signature is checked against the run that it names.
        for question in (self._unknown(move.cycle), self._untimely(move), self._unauthorised(move)):
            faults = tuple(question)
            if faults:
                return faults
        return ()

    def _untimely(self, move: Move) -> Iterator[Fault]:
        """What time, the state of the cycle and the numbers of its runs have against a move."""
        if self._now_s is not None and move.at_s < self._now_s:
            yield _fault(move, f"time does not go back, and the last move was made at {self._now_s} s")
        runs, free = self._runs[move.cycle], self._free_number(move.cycle)
        state = self.state(move.cycle, move.at_s)
        standing = f"{runs[-1].name} (run {runs[-1].number}) is {state}" if runs else f"the cycle is {state}"
        if not isinstance(move, MOVES[state]):
            possible = ", ".join(kind.__name__ for kind in MOVES[state]) or "nothing"
            yield _fault(move, standing, f"possible: {possible}")
        if isinstance(move, Compute) and move.run < free:
            yield _fault(
                move, f"no number is used again, not even after a VOID; {standing}", f"possible: {free} or more"
            )
        elif not isinstance(move, Compute) and runs and move.run != runs[-1].number:
            yield _fault(move, f"it is not the latest run; {standing}")

    def _unauthorised(self, move: Move) -> Iterator[Fault]:
        """What else speaks against a move that the state of the cycle allows."""
        match move:
            case Compute():
                yield from self._misstated(move.cycle, move.statement)
            case Sign() | Dispute() if move.actor not in self.parties:
                yield _fault(move, f"{move.actor} is no party of this contract", nearest(move.actor, self.parties))
            case Sign():
                yield from self._unsigned(move, self._runs[move.cycle][-1])
            case Uphold() | Reject() | Accept() | Annul():
                yield from self._unruled(move, self._runs[move.cycle][-1])

    def _unsigned(self, move: Sign, run: SettlementRun) -> Iterator[Fault]:
        if move.actor not in run.unsigned:
            yield _fault(move, f"{move.actor} has signed; missing: {', '.join(run.unsigned)}")
        elif not self._verify(move.actor, run.digest, move.signature, move.at_s):
            yield _fault(move, f"the signature is not {move.actor}'s over {run.digest} at that second")

    def _unruled(self, move: Uphold | Reject | Accept | Annul, run: SettlementRun) -> Iterator[Fault]:
        if move.actor != self.rules.arbitrator:
            yield _fault(move, f"only the arbitrator rules, which is {self.rules.arbitrator}")
        if isinstance(move, Uphold | Reject) and move.dispute != run.disputes:
            yield _fault(move, f"dispute {move.dispute} is not the open one, which is {run.disputes}")


def _last_final(runs: Sequence[SettlementRun]) -> SettlementRun | None:
    return next((run for run in reversed(runs) if run.state is State.FINAL), None)


def _fault(move: Move, what: str, remedy: str = "") -> Fault:
    asked = f"{type(move).__name__} by {move.actor} at {move.at_s} s"
    return Fault(f"{move.cycle}/run {move.run}", f"{asked} cannot be written: {what}", remedy)


def _rule_faults(rules: Rules, parties: Sequence[str]) -> Iterator[Fault]:
    if type(rules.challenge_s) is not int or rules.challenge_s < 0:
        yield Fault("challenge_s", f"is {rules.challenge_s!r}, not a whole number of seconds from 0 on")
    if rules.arbitrator in parties:
        yield Fault("arbitrator", f"{rules.arbitrator} is a party and would judge its own case")
