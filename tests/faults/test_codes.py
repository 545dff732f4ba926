"""Every code of refusal, provoked: the faults that the wire has to answer for."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from agents.utility import Utility
from sim.trust.client import DirectoryClient
from sim.trust.credentials import require
from sim.trust.signature import derive
from sim.wire.bags import CurvePoint, EnergyContract
from sim.wire.codes import Code, Refusal
from sim.wire.messages import Message
from tests.agents.ledgers import NORTH, Desk, put, record
from tests.agents.programmes import Programme
from tests.agents.test_protocol import Street, lock, sent, with_contract
from tests.test_bus import Network, answer, ask
from tests.trust.test_seals import Signing
from tests.wire.test_codec import ID, broken, confirm


def given(change: Callable[[Any], Any]) -> str:
    """What a network answers to a confirm that was changed."""
    return Network().give("confirm", broken(change))[1]


def curve(document: Any) -> Any:
    return document["message"]["contract"]["contractAttributes"]["roles"][0]["roleInputs"]["offerCurve"]


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(Refusal) as refusal:
        call()
    return refusal.value.code


def at_the_gate(change: Callable[[Message], Message]) -> str:
    """What a market answers to a curve that was committed in time, changed."""
    street = Street()
    message = change(sent(street.run_until_joined("battery-01"), -300))
    return refused(lambda: list(street.tell(message)))


def signed(message: Message = ask("x"), **changes: Any) -> str:  # noqa: B008  messages are frozen
    return Signing().send(message, **changes)


def two_programmes() -> str:
    """Another host has had the battery's meter approved; the market's own application comes second."""
    street = Street()
    utility = street.agents["utility"]
    assert isinstance(utility, Utility)
    confirm = street.run_until_joined("battery-01")
    first = replace(confirm, action="init", sender="another-programme", recipient="utility")
    return refused(lambda: utility.handle(first))


def more_than_approved() -> str:
    street = Street()
    return refused(lambda: street.tell(lock(street, 43.7 * 0.25)))


def forbidden(field: str, most: float) -> str:
    """An order under a policy that knows the field, or does not know the fact."""
    condition = {"field": field, "operator": "lessThanOrEqual", "value": most}
    policy = {"policyId": "cap", "policyType": "compliance", "conditions": {"all": [condition]}}
    street = Street(f"policies={json.dumps([policy])}")
    street.run_until_joined("battery-01")
    order = Street().run_until_joined("battery-01")  # of somebody who has not heard of the cap
    return refused(lambda: street.tell(sent(order, -300)))


def rotated() -> str:
    signing = Signing()
    old = signing.keyring.current("a")
    signing.keyring.rotate("a", signing.network.bus._calendar.unix(0))
    return signing.send(ask("x"), key=old)


def directory_down() -> str:
    return Signing(down=True).send(replace(ask("x"), action="confirm", content=confirm([(0.1, 1.0)]).content))


def directory_talks_nonsense() -> str:
    return refused(lambda: DirectoryClient(lambda path, query: (200, b"<html>")).signing_key("a", "k1"))


def unproven_credential() -> str:
    client = DirectoryClient(lambda path, query: (404, b"{}"))
    return refused(
        lambda: require(
            {"type": ["VerifiableCredential"]},
            "/message",
            holder="a",
            at_s=0,
            key_of=lambda _: b"",
            is_revoked=client.is_revoked,
        )
    )


def replayed() -> str:
    network = Network()
    network.transmit(ask("x"))
    return network.transmit(replace(ask("y"), message_id=ask("x").message_id))[1]


def another_body_answered() -> str:
    network = Network().run(ask("x"), until=3)
    return network.transmit(answer(replace(ask("x"), digest="BLAKE-512=" + "A" * 86 + "==")), at_s=3)[1]


def nobody_asked() -> Message:
    return Message("on_confirm", "b", "a", ID, ID, confirm([(0.1, 1.0)]).content)


def flooded() -> str:
    network = Network(rate_limit=1)
    network.transmit(ask("x"))
    return network.transmit(ask("y"))[1]


def expensive(message: Message) -> Message:
    attributes = message.contract.contractAttributes
    assert isinstance(attributes, EnergyContract)
    assert attributes.roles
    role = attributes.roles[0]
    assert role.roleInputs
    assert role.roleInputs.offerCurve
    body = role.roleInputs.offerCurve
    points = (CurvePoint(price=0.1, powerKW=body.minExport), CurvePoint(price=99.0, powerKW=body.maxExport))
    dear = replace(body, curve=points)
    roles = (replace(role, roleInputs=replace(role.roleInputs, offerCurve=dear)),)
    return with_contract(message, replace(message.contract, contractAttributes=replace(attributes, roles=roles)))


def answered_too_late() -> str:
    """Somebody who was called to an event answers when nobody waits any longer."""
    programme = Programme()
    invitation = programme.call()
    return refused(lambda: programme.answer(invitation, programme.deadline_s + 1))


PROVOCATIONS: dict[Code, Callable[[], str]] = {
    Code.AUT_SIGNATURE_MISSING: lambda: Signing().network.transmit(ask("x"))[1],
    Code.AUT_SIGNATURE_INVALID: lambda: signed(key=derive(2, "a")),
    Code.AUT_SUBSCRIBER_NOT_FOUND: lambda: signed(ask("x", sender="z"), key=derive(1, "z")),
    Code.AUT_KEY_NOT_FOUND: lambda: signed(key=derive(1, "a", 9)),
    Code.AUT_KEY_EXPIRED_OR_REVOKED: rotated,
    Code.AUT_UNAUTHORIZED_ACTION: lambda: signed(key=derive(1, "b")),
    Code.AUT_NOT_AUTHORIZED: lambda: refused(lambda: Desk().ask(NORTH, put())),
    Code.AUT_REPLAY_DETECTED: replayed,
    Code.AUT_RATE_LIMITED: flooded,
    Code.AUT_DOMAIN_NOT_ALLOWED: lambda: signed(replace(ask("x"), domain="beckn.one:retail:1.0")),
    Code.SCH_INVALID_JSON: lambda: Network().give("confirm", b'{"context":')[1],
    Code.SCH_REQUIRED_FIELD_MISSING: lambda: given(lambda d: d["context"].pop("messageId")),
    Code.SCH_INVALID_FORMAT: lambda: given(lambda d: curve(d)["curve"][0].update(powerKW="-11")),
    Code.SCH_INVALID_ENUM: lambda: given(lambda d: d["context"].update(version="1.1.0")),
    Code.SCH_FIELD_NOT_ALLOWED: lambda: given(lambda d: d["message"].update(order={})),
    Code.SCH_TYPE_NOT_SUPPORTED: lambda: Network().give("barter", b"{}")[1],
    Code.SCH_SCHEMA_VALIDATION_FAILED: lambda: given(lambda d: curve(d).update(curve=[])),
    Code.NET_TIMEOUT: lambda: Network().transmit(ask("x"), at_s=-31)[1],
    Code.NET_ENTITY_NOT_FOUND: lambda: Network().transmit(ask("x", recipient="nobody"))[1],
    Code.NET_DOWNSTREAM_UNAVAILABLE: directory_down,
    Code.NET_INTERNAL_ERROR: directory_talks_nonsense,
    Code.PRC_INVALID_TRANSITION: lambda: Network().transmit(nobody_asked())[1],
    Code.PRC_CONFLICT: another_body_answered,
    Code.PRC_NOT_FOUND: lambda: refused(lambda: Desk().ask(NORTH, record("SELLER", "COMPLETED"))),
    Code.POL_DENIED: lambda: forbidden("exportKW", 0.5),
    Code.POL_UNDEFINED: lambda: forbidden("renewableKWh", 0.5),
    Code.POL_CURVE_INVALID: lambda: at_the_gate(expensive),
    Code.POL_CURVE_NOT_MONOTONE: lambda: given(lambda d: curve(d)["curve"][1].update(powerKW=-12)),
    Code.BIZ_GATE_CLOSED: lambda: at_the_gate(lambda message: sent(message, -119)),
    Code.BIZ_CAP_EXCEEDED: more_than_approved,
    Code.BIZ_DEADLINE_PASSED: answered_too_late,
    Code.BIZ_ENROLLMENT_CONFLICT: two_programmes,
    Code.SEC_CREDENTIAL_VERIFICATION_FAILED: unproven_credential,
}


@pytest.mark.parametrize("code", Code)
def test_every_code_has_a_fault_that_it_answers(code: Code) -> None:
    assert PROVOCATIONS[code]() == code
