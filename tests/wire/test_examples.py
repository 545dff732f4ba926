"""The examples are messages that one could send: valid here and by the published specification, and their sums are right."""

from __future__ import annotations

import copy
import functools
import json
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import jsonschema_rs
import pytest
import yaml

from sim.contracts.settle import read_json, settle
from sim.contracts.settlement_runs import settlement_digest
from sim.ledger import Posting
from sim.market.policies import POLICIES
from sim.market.wire_form import clear_message
from sim.trust.signatory import Signatory
from sim.trust.signature import derive
from sim.wire import codec, core, jsonld
from sim.wire.bags import BAGS, EnergySettlement, SettlementLine
from sim.wire.basics import Wire
from sim.wire.codes import Refusal
from sim.wire.examples import CONVERSATIONS, EXAMPLES, example_bytes
from sim.wire.messages import ACTIONS, ANSWERS, CORE_ACTIONS, UNSOLICITED, ContractContent, Message, is_callback
from tests import external
from tests.json_values import value_at

ALL = [pytest.param(m, id=f"{action}-{n}") for action, messages in EXAMPLES.items() for n, m in enumerate(messages, 1)]
FREE_FORM = {
    "payload",
    "credentialSubject",
    "credentialSchema",
    "credentialQuery",
    "consents",
    "issuer",
    "data",
    "details",
}
MAPS = {"clearedPower"}

example = pytest.mark.parametrize("message", ALL)


def document(message: Message) -> Any:
    return json.loads(example_bytes(message))


def objects(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Paths of all objects in a document; free-form ones are not entered."""
    if isinstance(value, dict):
        yield path
        for key, inner in value.items():
            if key not in FREE_FORM:
                yield from objects(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from objects(inner, (*path, index))


def occurring(value: Any) -> Iterator[str]:
    for path in objects(value):
        kind = value_at(value, path).get("@type")
        if kind is not None:
            yield kind


def test_every_action_has_an_example_and_every_example_is_told_in_a_conversation() -> None:
    assert set(EXAMPLES) == set(ACTIONS)
    assert all(EXAMPLES.values())
    told = [m for messages in CONVERSATIONS.values() for m in messages]
    assert Counter(m.action for m in told) == Counter({action: len(messages) for action, messages in EXAMPLES.items()})


def test_every_bag_occurs() -> None:
    seen = {kind for messages in EXAMPLES.values() for m in messages for kind in occurring(document(m))}
    assert {bag.__name__ for bag in BAGS} <= seen


def test_every_type_that_can_stand_in_a_bag_or_in_the_core_occurs_in_an_example() -> None:
    def structures(value: object) -> Iterator[type]:
        if isinstance(value, Wire):
            yield type(value)
            value = tuple(getattr(value, name) for name in value.__struct_fields__)
        if isinstance(value, tuple):
            for inner in value:
                yield from structures(inner)

    seen = {kind for messages in EXAMPLES.values() for m in messages for kind in structures(m.content)}
    core_types = {kind for kind in vars(core).values() if isinstance(kind, type) and kind.__module__ == core.__name__}
    assert {*jsonld.types(), *(kind for kind in core_types if issubclass(kind, Wire))} <= seen


@example
def test_an_example_is_without_fault_and_reads_back_as_it_was_written(message: Message) -> None:
    raw = example_bytes(message)
    assert codec.faults(message.action, raw) == ()
    again = codec.decode(message.action, raw, codec.body_digest(raw), lambda _: message.sent_s)
    assert again == message
    assert example_bytes(again) == raw


@example
def test_an_example_is_refused_wherever_a_field_is_added(message: Message) -> None:
    original = document(message)
    validator = jsonschema_rs.Draft202012Validator(codec.schema(message.action))
    for path in objects(original):
        changed = copy.deepcopy(original)
        value_at(changed, path)["unheardOf"] = "x"
        assert not validator.is_valid(changed), path
        with pytest.raises(Refusal):
            codec.decode(message.action, json.dumps(changed).encode())


@pytest.mark.parametrize("messages", CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_a_callback_answers_a_request_of_its_conversation_and_says_which(messages: tuple[Message, ...]) -> None:
    requests = {(m.transaction_id, m.message_id): m for m in messages if not is_callback(m.action)}
    answers = [m for m in messages if is_callback(m.action)]
    assert len(requests) == len(messages) - len(answers)
    for answer in answers:
        request = requests.get((answer.transaction_id, answer.message_id))
        if request is None:
            assert answer.action in UNSOLICITED
            assert answer.request_digest is None
            continue
        assert answer.action == ANSWERS[request.action]
        assert (answer.sender, answer.recipient) == (request.recipient, request.sender)
        assert 0 < answer.sent_s - request.sent_s <= request.ttl_s
        assert answer.request_digest == codec.body_digest(example_bytes(request))


@pytest.mark.parametrize("messages", CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_every_request_is_answered_and_every_leg_descends_from_a_message_that_was_sent(
    messages: tuple[Message, ...],
) -> None:
    known = {(m.transaction_id, m.message_id) for m in messages}
    answered = {(m.transaction_id, m.message_id) for m in messages if is_callback(m.action)}
    assert known == answered
    assert all((m.lineage.transactionId, m.lineage.messageId) in known for m in messages if m.lineage)


def settled() -> Iterator[tuple[Message, EnergySettlement]]:
    for message in (m for messages in EXAMPLES.values() for m in messages if isinstance(m.content, ContractContent)):
        for settlement in message.contract.settlements or ():
            if isinstance(settlement.settlementAttributes, EnergySettlement):
                yield message, settlement.settlementAttributes


def cents(lines: tuple[SettlementLine, ...]) -> Counter[str]:
    balances: Counter[str] = Counter()
    for line in lines:
        balances.update({line.payee: round(line.amount * 100)})
        balances.subtract({line.payer: round(line.amount * 100)})
    return balances


def test_a_settlement_is_what_its_lines_come_to_for_one_party_and_nothing_is_lost() -> None:
    accounts = [(bag, cents(bag.breakdown)) for _, bag in settled()]
    assert len(accounts) == 9
    assert all(round(bag.amount * 100) in balances.values() for bag, balances in accounts)
    assert not any(balances.total() for _, balances in accounts)


def test_a_closing_statement_is_signed_by_both_over_the_digest_of_what_it_states() -> None:
    said = [(message, bag) for message, bag in settled() if bag.cycleId == "closing"]
    assert {(message.action, message.sender) for message, _ in said} == {("on_update", "market"), ("update", "ev-1")}
    for message, bag in said:
        contract = str(message.contract.id)
        postings = [
            Posting(0, contract, p.term, p.payer, p.payee, Decimal(f"{p.amount:.2f}"), bag.currency)
            for p in bag.breakdown
        ]
        assert bag.statementDigest == settlement_digest(contract, "closing", 0, True, postings, str(bag.snapshotDigest))
        hand = Signatory(message.sender, functools.partial(derive, 1))
        assert hand.verify(message.sender, bag.statementDigest, str(bag.signature))


GATE = {"market-clearing-price": {"price": Decimal("0.08333333333333334")}}


@pytest.mark.parametrize(
    ("cycle", "recipient", "signals"),
    [
        ("session-1", "driver-app", {"cdr": {"energyKWh": Decimal(2)}}),
        ("trade-1", "buyer-app", {}),
        ("2026-11-20T14", "ev-1", {"meter": {"consumedKWh": Decimal(10), "producedKWh": Decimal(0)}, **GATE}),
        ("2026-11-20T14", "solar-1", {"meter": {"consumedKWh": Decimal(0), "producedKWh": Decimal(5)}, **GATE}),
        ("event-9", "factory-3", {"meter": {"consumedKWh": Decimal(864)}, "event-9": {}}),
    ],
)
def test_the_terms_of_a_contract_give_what_was_settled(
    cycle: str, recipient: str, signals: dict[str, dict[str, Decimal]]
) -> None:
    """Its formulas, computed from what was metered, against the lines in the example."""
    ((message, bag),) = [(m, b) for m, b in settled() if b.cycleId == cycle and m.recipient == recipient]
    terms = read_json(json.dumps(document(message)["message"]["contract"]["contractAttributes"]), "example")
    assert isinstance(terms, dict)
    parts = ("roles", "inputParameters", "inputSignals", "telemetrySources", "revenueFlows")
    contract = {"contractId": cycle, "currency": bag.currency} | {key: terms[key] for key in parts if key in terms}
    postings = settle(contract, signals, "example")["postings"]
    assert isinstance(postings, list)
    computed = Counter((p["from"], p["to"], float(p["amount"])) for p in postings if p["amount"])
    assert computed == Counter((line.payer, line.payee, line.amount) for line in bag.breakdown)


@pytest.mark.parametrize(
    ("request_", "answer"), list(zip(EXAMPLES["aggregate"], EXAMPLES["on_aggregate"], strict=True))
)
def test_the_examples_of_a_clearing_are_what_the_market_computes(request_: Message, answer: Message) -> None:
    result = clear_message(document(request_)["message"], POLICIES["locational"], "example")
    assert document(answer)["message"] == result


def published() -> dict[str, Any]:
    """Schemas of published request bodies, by action."""
    spec = yaml.safe_load((external.FOLDER / "beckn-lts" / "beckn.yaml").read_text(encoding="utf-8"))
    spelled = {"catalog/master/search": "catalog/master_search"}
    bodies = {
        path[1:]: item["post"]["requestBody"]
        for path, item in spec["paths"].items()
        if "requestBody" in item.get("post", {})
    }
    return {
        spelled.get(path, path): body["content"]["application/json"]["schema"] | {"components": spec["components"]}
        for path, body in bodies.items()
    }


@external.needed
def test_every_example_of_a_published_action_is_valid_by_the_published_schema_formats_included() -> None:
    schemas = published()
    checked = set(schemas) & set(CORE_ACTIONS)
    assert len(checked) >= 25
    for action in checked:
        validator = jsonschema_rs.Draft202012Validator(schemas[action], validate_formats=True)
        for message in EXAMPLES[action]:
            assert [f"{e.instance_path} {e.message}" for e in validator.iter_errors(document(message))] == [], action


@external.needed
@pytest.mark.parametrize(
    ("action", "path", "wrong"),
    [
        ("confirm", ("contract", "id"), "no-uuid"),
        ("confirm", ("contract", "commitments"), []),
        ("confirm", ("contract", "status", "code"), "CONFIRMED"),
        ("track", ("tracking", "url"), "not a uri"),
        ("discover", ("intent", "objectives"), {}),
    ],
)
def test_the_published_schema_would_have_found_a_fault(action: str, path: tuple[str, ...], wrong: Any) -> None:
    validator = jsonschema_rs.Draft202012Validator(published()[action], validate_formats=True)
    changed = document(EXAMPLES[action][0])
    value_at(changed["message"], path[:-1])[path[-1]] = wrong
    assert not validator.is_valid(changed)
