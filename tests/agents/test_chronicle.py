"""What hosts put on record, and what they refuse because it stands there already."""

from __future__ import annotations

import io
import json
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

import sim.events
import sim.trust.witness
from agents.closing import CLOSING
from scenarios import money
from scenarios.build import Built, build
from scenarios.reader import read
from scenarios.timing import Stopwatch
from sim.canonical import canonical, hashed
from sim.contracts.fingerprints import snapshot, terms_hash
from sim.errors import ContractError
from sim.events import Event, EventType
from sim.ledger import Posting
from sim.rng import identifier
from sim.wire.messages import Ack
from tests.conftest import STREET

SMALL = (
    "duration_h=1", "start=2016-05-17T19:00:00", "populations.house.count=3", "populations.pv.count=3",
    "populations.ev.count=4", "populations.battery.count=2", "populations.fleet.count=4",
)  # fmt: skip


class Told:
    """A small street with a listener: what was delivered, what was put on record, and a way to say more at some second."""

    def __init__(self, *overrides: str) -> None:
        self.sink = io.BytesIO()
        self.built: Built = build(read(STREET, [*SMALL, *overrides]), self.sink, Stopwatch())
        self.world = self.built.world
        self.delivered: list[tuple[str, dict[str, Any]]] = []
        self.acks: list[Ack] = []
        journal = self.world.journal.message

        def listening(seconds: int, action: str, raw: bytes, *rest: Any) -> None:
            self.delivered.append((action, json.loads(raw)))
            journal(seconds, action, raw, *rest)

        self.world.journal.message = listening  # type: ignore[method-assign]

    def body(self, action: str, recipient: str, nth: int = 0) -> dict[str, Any]:
        """A message of this action that came to somebody."""
        side = "bapId" if action.startswith("on_") else "bppId"
        return [body for name, body in self.delivered if name == action and body["context"][side] == recipient][nth]

    def again(self, seconds: int, action: str, recipient: str, **changes: str) -> None:
        """At a second, somebody sends once more what came before, as a message of its own."""

        def send(_: Any) -> None:
            body = json.loads(json.dumps(self.body(action, recipient)))
            body["context"] |= {
                "messageId": identifier(1, "again"),
                "timestamp": self.world.calendar.timestamp(seconds),
            } | changes
            body["context"].pop("requestDigest", None)
            self.acks.append(self.world.bus.transmit(action, json.dumps(body).encode()))

        self.world.bus.at(seconds, send)

    def run(self) -> list[Event]:
        self.world.run(lambda _, __: None)
        self.world.close()
        lines = (json.loads(line) for line in self.sink.getvalue().splitlines())
        return [sim.events.read_event(canonical(record["event"])) for record in lines if record["kind"] == "event"]

    def codes(self) -> list[str]:
        return [str(ack.error.errorCode) for ack in self.acks if ack.error]  # type: ignore[union-attr]


def test_what_is_computed_is_what_was_posted_and_names_what_it_was_computed_from() -> None:
    told = Told()
    events = told.run()
    rows = [
        Posting(int(event.facts["cycle"]), event.contract_id, *row)
        for event in events
        if event.event_type is EventType.SETTLEMENT_COMPUTED and event.facts["cycle"] != CLOSING
        for row in event.facts["postings"]
    ]
    posted = [
        Posting(p.interval, p.contract, p.term, p.payer, p.payee, str(p.amount), p.currency)  # type: ignore[arg-type]
        for p in told.world.ledger
    ]
    assert rows == posted
    assert len({event.facts["snapshot"] for event in events if event.event_type is EventType.SETTLEMENT_COMPUTED}) > 30


def test_a_creation_tells_parties_inputs_and_terms() -> None:
    told = Told()
    created = {e.facts["templateId"]: e for e in told.run() if e.event_type is EventType.CONTRACT_CREATED}
    event = created["prosumer-of-market-clearing-agent"]
    roles = {entry["role"]: entry["filledBy"] for entry in event.facts["roles"]}
    assert (event.actor.era, event.actor.role) == ("market", "MARKET_CLEARING_AGENT")
    assert {role: era for role, era in roles.items() if role != "PROSUMER"} == {
        "MARKET_CLEARING_AGENT": "market",
        "GRID_OPERATOR": "utility",
        "GOVERNMENT": "treasury",
    }
    assert {"name": "taxRate", "value": "0.1"} in event.facts["inputs"]
    rent = money.rent_contract(told.built.scenario)
    assert created["congestion-rent"].facts["terms"] == terms_hash(rent.terms)
    parties = b'"MARKET_CLEARING_AGENT","GRID_OPERATOR"'
    of = {b"congestion rent": b"rent", b"loss surplus": b"lossSurplus", b"undelivered": b"undelivered"}
    terms = b",".join(b'["%b",%b,"%b"]' % (name, parties, formula) for name, formula in of.items())
    assert terms_hash(rent.terms) == hashed(b"[%b]" % terms)


def test_a_snapshot_is_the_hash_of_the_values_by_their_names() -> None:
    values = {"energy_kwh": Decimal("-0.250"), "cleared_kwh": Decimal(0)}
    assert snapshot(values) == hashed(b'{"cleared_kwh":"0","energy_kwh":"-0.250"}')
    assert snapshot(dict(reversed(values.items()))) == snapshot(values)


@pytest.mark.parametrize(("recipient", "other"), [("market", "aggregator"), ("aggregator", "market")])
def test_an_id_that_is_a_contract_already_is_no_other_contract(recipient: str, other: str) -> None:
    """Also where the contract is another host's."""
    told = Told()
    taken: list[str] = []

    def send(_: Any) -> None:
        taken.append(told.body("init", other)["message"]["contract"]["id"])
        body = json.loads(json.dumps(told.body("init", recipient)))
        body["context"] |= {
            "messageId": identifier(1, "x"),
            "timestamp": told.world.calendar.timestamp(-850),
            "bapId": "ev-99",
        }
        body["message"]["contract"]["id"] = taken[0]
        body["message"]["contract"]["commitments"][0]["resources"][0]["id"] = "ev-99"
        told.acks.append(told.world.bus.transmit("init", json.dumps(body).encode()))

    told.world.bus.at(-850, send)
    told.run()
    assert told.codes() == ["PRC_CONFLICT"]


@pytest.mark.parametrize("recipient", ["market", "aggregator", "utility"])
def test_an_interval_is_settled_once(recipient: str) -> None:
    told, quiet = Told(), Told()
    told.again(1000, "on_status", recipient)
    told.run()
    quiet.run()
    assert told.codes() == ["PRC_CONFLICT"]
    assert tuple(told.world.ledger) == tuple(quiet.world.ledger)


@pytest.mark.parametrize("recipient", ["market", "aggregator", "utility"])
def test_nothing_is_settled_once_all_contracts_have_ended(recipient: str) -> None:
    told = Told()
    told.again(3620, "on_status", recipient)
    told.run()
    assert told.codes() == ["PRC_INVALID_TRANSITION"]


def test_a_refused_meter_ends_the_contract_that_was_applied_for() -> None:
    told = Told()
    utility = next(agent for agent in told.world.agents if agent.era == "utility")
    del utility._connections["battery-02"]
    events = told.run()
    lives: dict[str, list[str]] = {}
    for event in events:
        lives.setdefault(event.contract_id, []).append(event.event_type)
    ended = [life for life in lives.values() if life[-1] == "TERMINATED"]
    assert [EventType.CONTRACT_CREATED, EventType.TERMINATED] in ended


def test_a_policy_without_prices_has_no_rent_to_pass_on() -> None:
    events = Told("market.policy=none").run()
    assert "congestion-rent" not in {e.facts.get("templateId") for e in events}


def test_an_event_costs_one_signature_and_an_interval_two(monkeypatch: pytest.MonkeyPatch) -> None:
    counts: Counter[str] = Counter()

    def counted(module: Any, name: str) -> None:
        function = getattr(module, name)

        def call(*args: Any) -> Any:
            counts[f"{module.__name__}.{name}"] += 1
            return function(*args)

        monkeypatch.setattr(module, name, call)

    counted(sim.events, "attest")
    counted(sim.events, "hashed")
    counted(sim.trust.witness, "attest")
    events = Told().run()
    assert counts == {
        "sim.events.attest": len(events) + 4,
        "sim.events.hashed": len(events),
        "sim.trust.witness.attest": 4,
    }


def test_somebody_who_cannot_be_written_down_is_refused() -> None:
    told = Told()
    with pytest.raises(ContractError):
        told.world.log.append("\ud800", EventType.CONTRACT_CREATED, sim.events.Actor("market", "HOST"), {})
