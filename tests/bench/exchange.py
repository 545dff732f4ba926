"""One confirm and its on_confirm, over and over: what an exchange costs, and where."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import simpy
from msgspec.structs import replace

from sim.bus import Bus, Seals
from sim.clock import Calendar, local_start
from sim.journal import Journal
from sim.rng import identifier
from sim.trust.client import DirectoryClient, in_process
from sim.trust.directory import Directory
from sim.trust.seals import Keyring, RegisteredSeals
from sim.trust.signature import derive, parse, sign, verify
from sim.wire.bags import (
    ENERGY,
    ContractRole,
    CurvePoint,
    EnergyContract,
    EnergyResource,
    OfferCurve,
    RoleInputs,
    TimeWindow,
)
from sim.wire.codec import body_digest, decode, encode
from sim.wire.core import (
    Commitment,
    CommitmentCode,
    CommitmentStatus,
    CommittedOffer,
    CommittedResource,
    Contract,
    ContractStatus,
    Quantity,
)
from sim.wire.messages import ContractContent, Event, Message

CALENDAR = Calendar(local_start(datetime(2016, 5, 17, 12), "Europe/Berlin"), 900, 96)
WINDOW = TimeWindow(start=CALENDAR.timestamp(900), end=CALENDAR.timestamp(1800))
AT_ONCE = 50
"""Exchanges that are under way at a time."""


class Nowhere:
    """A sink that forgets."""

    def write(self, _: bytes) -> None:
        """Forget it."""


def confirm(message_id: str) -> Message:
    """A committed curve of five points, as a battery sends it."""
    points = tuple(CurvePoint(price=0.1 + 0.05 * n, powerKW=-11.0 + 4 * n) for n in range(5))
    curve = OfferCurve(currency="EUR", minExport=-11.0, maxExport=5.0, curve=points)
    role = ContractRole(
        role="PROSUMER", filled=True, filledBy="battery-01", roleInputs=RoleInputs(offerCurve=curve, baselineKW=0.0)
    )
    resource = CommittedResource(
        id="battery-01",
        quantity=Quantity(value=-11.0, unitCode="KW"),
        resourceAttributes=EnergyResource(ENERGY, resourceType="BATTERY", meterId="battery-01", gridNode="trafo-1"),
    )
    contract = Contract(
        id=identifier(1, "contract"),
        status=ContractStatus(code="ACTIVE"),
        commitments=(
            Commitment(
                status=CommitmentStatus(descriptor=CommitmentCode(code="DRAFT")),
                resources=(resource,),
                offer=CommittedOffer(id="market/prosumer", resourceIds=("battery-01",)),
            ),
        ),
        contractAttributes=EnergyContract(
            ENERGY, templateId="prosumer", status="ACTIVE", roles=(role,), timeWindow=WINDOW
        ),
    )
    content = ContractContent(contract=contract)
    return Message("confirm", "battery-01", "market", identifier(1, "transaction"), message_id, content, 300)


def signing() -> Seals:
    """Keys for the two of them, in a directory."""
    directory = Directory()
    epoch_s = CALENDAR.unix(0)
    keyring = Keyring(1, directory)
    for name in ("battery-01", "market"):
        keyring.enrol(name, epoch_s)
    client = DirectoryClient(in_process(directory, lambda: epoch_s))
    return RegisteredSeals(keyring, client, directory.edition, epoch_s)


def exchanges(count: int, seals: Seals | None = None) -> float:
    """Processor seconds of so many exchanges through the bus, journal on."""
    clock = simpy.Environment(initial_time=0)
    bus = Bus(clock, CALENDAR, Journal(Nowhere()), seals=seals)  # type: ignore[arg-type]
    requests = [confirm(identifier(1, str(number))) for number in range(count)]
    answered: list[Message] = []

    def market(message: Any) -> Iterable[Event]:
        answer = replace(message, action="on_confirm", sender="market", recipient="battery-01", ttl_s=30)
        return (replace(answer, request_digest=message.digest),)

    def battery(message: Any) -> Iterable[Event]:
        answered.append(message)
        return ()

    def send(due: Any) -> None:
        bus.post("battery-01", requests[due.value : due.value + AT_ONCE])
        if due.value + AT_ONCE < count:
            bus.at(int(clock.now) + 1, send, due.value + AT_ONCE)

    bus.join("market", market)
    bus.join("battery-01", battery)
    bus.at(1, send, 0)
    start = time.process_time()
    clock.run()
    seconds = time.process_time() - start
    assert len(answered) == count, bus.counts
    return seconds


def repeat(call: Callable[[], object], count: int) -> None:
    """Call it so often, and keep nothing."""
    for _ in range(count):
        call()


def parts() -> dict[str, Callable[[], object]]:
    """What one message costs, by part."""
    message = confirm(identifier(1, "one"))
    stamp = CALENDAR.timestamp(0)
    raw = encode(message, stamp)
    digest = body_digest(raw)
    key = derive(1, "battery-01")
    header = sign(key, digest, 1, 301)
    claim = parse(header)
    return {
        "model: build the message": lambda: confirm(message.message_id),
        "bytes: write it": lambda: encode(message, stamp),
        "validation: read and check it": lambda: decode("confirm", raw, digest, CALENDAR.seconds),
        "digest: BLAKE2b-512": lambda: body_digest(raw),
        "signature: make it": lambda: sign(key, digest, 1, 301),
        "signature: take the header apart": lambda: parse(header),
        "signature: check it": lambda: verify(claim, digest, key.public),
    }
