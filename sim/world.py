"""One run alive: the clock, the bus, the participants, the devices and the wires."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import mesa
import msgspec
import numpy as np
import simpy

from sim.bus import Bus, Delay, Seals
from sim.clock import Calendar, Interval
from sim.device import Device, Meters
from sim.errors import FeederError
from sim.events import EventLog
from sim.feeder import Feeder, Flow, GridChange
from sim.journal import Journal
from sim.ledger import Ledger, Posting
from sim.participant import Participant
from sim.tolerances import REFERENCE_PU
from sim.trust.signature import Key, derive
from sim.trust.witness import Witness, introduction
from sim.wire.messages import Alarm
from sim.wires import Solve, Wires

SETTLE_S = 60
"""Simulated seconds after an interval's end in which it is read, settled and journaled."""

Observer = Callable[[Interval, Flow], None]


class World(mesa.Model):
    """Holds everything and knows everybody; no participant holds it.

    Mesa keeps the registry of agents; time belongs to simpy alone, so ``step`` refuses.  lead_s: simulated seconds before
    the first interval in which the market is set up.  challenge_s: simulated seconds after the last one in which what the
    contracts came to may be signed and disputed.  latency_s, seals, rate_limit, delays: of its bus.  keeper, witness: who signs
    the contract log at the end of every interval.  solve, commit: stand-ins for the feeder's and the journal's own, for timing.
    changes: what happens to the grid, by simulated second.  compare: how far a state is from a reference (per unit; None
    where that has no answer), asked
    for every ``reference_every``-th interval; beyond ``tolerances.REFERENCE_PU`` the run ends.
    """

    def __init__(
        self,
        *,
        seed: int,
        calendar: Calendar,
        feeder: Feeder,
        journal: Journal,
        lead_s: int,
        challenge_s: int,
        latency_s: int,
        keeper: str,
        witness: str,
        seals: Seals | None = None,
        rate_limit: int | None = None,
        delays: Sequence[Delay] = (),
        changes: Sequence[tuple[int, GridChange]] = (),
        compare: Callable[[Flow], float | None] | None = None,
        reference_every: int = 48,
        solve: Solve | None = None,
        commit: Callable[[int], None] | None = None,
    ) -> None:
        super().__init__(rng=seed)
        self.calendar = calendar
        self.feeder = feeder
        self.journal = journal
        self.ledger = Ledger()
        self.meters = Meters()
        self.devices: list[Device] = []
        self._clock = simpy.Environment(initial_time=-lead_s)
        self.bus = Bus(self._clock, calendar, journal, latency_s, seals=seals, rate_limit=rate_limit, delays=delays)
        key_of = self.key_of = functools.cache(functools.partial(derive, seed))
        self.log = EventLog(key_of(keeper), key_of, lambda: calendar.timestamp(self.second))
        self.witness = Witness(key_of(witness), key_of(keeper))
        self._challenge_s = challenge_s
        self.wires = Wires(feeder, solve)
        self._changes = changes
        self._compare = compare
        self._reference_every = reference_every
        self.references: list[tuple[int, float]] = []
        """Intervals whose power flow was compared with the reference, and the largest difference in voltage [per unit]."""
        self._commit = commit or journal.commit
        self._flows: dict[int, Flow] = {}
        self._posted = 0
        self._introduced: set[Key] = set()

    @property
    def second(self) -> int:
        """The simulated second it is."""
        return int(self._clock.now)

    def step(self) -> None:
        """Refused: the clock moves the world, not Mesa."""
        raise RuntimeError("a World runs on its own clock; call run()")

    def add(self, participant: Participant, start_s: int) -> None:
        """Give a participant its mailbox and wake it at ``start_s``."""
        self.bus.join(participant.era, participant.handle)
        self.bus.post(participant.era, (Alarm(start_s, "start"),))

    def run(self, observe: Observer) -> None:
        """Live through every interval, once.

        The last interval is journaled when all contracts have had time to end.  observe: called when an interval has been
        settled, with what flowed.
        """
        last_s = self.calendar.duration_s
        for interval in self.calendar.intervals():
            self.bus.at(interval.end_s, lambda due: self._live(due.value), interval)
            close_s = interval.end_s + SETTLE_S + (self._challenge_s if interval.end_s == last_s else 0)
            self.bus.at(close_s, lambda due: self._close(due.value, observe), interval)
        for second, change in self._changes:  # after the intervals: one that ends now still had the grid as it was
            self.bus.at(second, lambda due: self._change(due.value), change)
        self._clock.run(until=last_s + self._challenge_s + SETTLE_S + 1)

    def close(self) -> None:
        """Let go of the agents."""
        self.remove_all_agents()

    def _live(self, interval: Interval) -> None:
        flow = self.wires.live(self.devices, interval)
        names = tuple(branch.name for branch in self.feeder.branches)
        self.meters.read(self.devices, flow, names, interval.hours)
        self._flows[interval.index] = flow
        self.journal.record("flow", interval=interval.index, **_flow_record(flow, names))
        if self._compare is not None and flow.converged and interval.index % self._reference_every == 0:
            self._refer(interval.index, self._compare(flow))
        unserved = {device.era: device.unserved_kw for device in self.devices if device.unserved_kw}
        if flow.unsupplied:
            self.journal.record(
                "unserved",
                interval=interval.index,
                buses=flow.unsupplied,
                eras=sorted(self.meters.cut_off),
                kW=unserved,
            )

    def _refer(self, index: int, gap_pu: float | None) -> None:
        if gap_pu is None:
            return
        self.references.append((index, gap_pu))
        self.journal.record("reference", interval=index, gapPU=gap_pu)
        if not gap_pu <= REFERENCE_PU:
            what = (
                f"interval {index}: voltages are {gap_pu:.2e} pu from the reference's, allowed are {REFERENCE_PU:.0e}"
            )
            raise FeederError(self.feeder.name, what)

    def _change(self, change: GridChange) -> None:
        self.feeder.apply(change)
        self.journal.record("grid", change=change.text, unsupplied=self.feeder.unsupplied)

    def _close(self, interval: Interval, observe: Observer) -> None:
        postings = [_posting_record(posting, interval.index) for posting in self.ledger.since(self._posted)]
        self._posted = len(self.ledger)
        self.journal.record("postings", interval=interval.index, postings=postings)
        self._seal(interval.index)
        self._commit(interval.index)
        observe(interval, self._flows.pop(interval.index))

    def _seal(self, index: int) -> None:
        """Journal the contract events of an interval, and the head of their log as its keeper and the witness sign it."""
        events = self.log.drain()
        head, signature = self.log.head(index)
        seal = self.witness.cosign(head, signature, self.log.proof(self.witness.seen))
        for key in (self.log.keeper, self.witness.key, *self.log.signers.values()):
            if key not in self._introduced:
                self._introduced.add(key)
                self.journal.record("signer", **introduction(key))
        for event in events:
            self.journal.record("event", event=msgspec.Raw(event.raw))
        self.journal.record("seal", seal=seal)


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _flow_record(flow: Flow, names: Sequence[str]) -> Mapping[str, Any]:
    branches = {
        name: {
            "hvKW": _number(float(flow.branch_hv_kw[k])),
            "lvKW": _number(float(flow.branch_lv_kw[k])),
            "loading": _number(float(flow.branch_loading[k])),
        }
        for k, name in enumerate(names)
    }
    return {
        "converged": flow.converged,
        "note": flow.note,
        "slackKW": _number(flow.slack_kw),
        "lossesKW": _number(flow.losses_kw),
        "residualKW": _number(flow.residual_kw),
        "branches": branches,
    }


def _posting_record(posting: Posting, index: int) -> Mapping[str, str | int]:
    """A posting as it is made when an interval closes; of another interval, which was read late, it says which."""
    return {
        **({} if posting.interval == index else {"interval": posting.interval}),
        "contract": posting.contract,
        "term": posting.term,
        "from": posting.payer,
        "to": posting.payee,
        "amount": str(posting.amount),
        "currency": posting.currency,
    }
