"""What all examples are made with: who talks to whom and when, and contracts with one commitment."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

import msgspec
from msgspec import UNSET

from sim.rng import identifier
from sim.wire.bags import ENERGY, LdTimePeriod, NativePayload, PricePart, PriceSpecification, TimeWindow
from sim.wire.codec import body_digest, decode, encode
from sim.wire.core import (
    Commitment,
    CommitmentCode,
    CommitmentStatus,
    CommittedOffer,
    CommittedResource,
    Consideration,
    Contract,
    ContractStatus,
    CoreState,
    Descriptor,
    ErrorBody,
    KnownContract,
    Quantity,
)
from sim.wire.messages import Content, ContractContent, KnownContractContent, Lineage, Message, callback_of
from sim.wire.native import wrap

DAY: Final = "2026-11-20"
"""The day on which every example is sent."""
C = TypeVar("C", bound=Contract)


def clock(hour: str, day: str = DAY) -> str:
    """The timestamp of a time of day, ``17:45`` or ``17:45:30``."""
    return f"{day}T{hour if hour.count(':') == 2 else f'{hour}:00'}Z"


def window(start: str, end: str, day: str = DAY) -> TimeWindow:
    """The window between two times of a day."""
    return TimeWindow(start=clock(start, day), end=clock(end, day))


def ld_window(start: str, end: str, day: str = DAY) -> LdTimePeriod:
    """The same as the published bags write it."""
    return LdTimePeriod(kind="beckn:TimePeriod", startTime=clock(start, day), endTime=clock(end, day))


def example_bytes(message: Message) -> bytes:
    """The bytes of an example, sent ``sent_s`` seconds into its day; equal at every call."""
    minutes, seconds = divmod(message.sent_s, 60)
    hours, minutes = divmod(minutes, 60)
    return encode(message, clock(f"{hours:02}:{minutes:02}:{seconds:02}"))


@dataclass(frozen=True, slots=True)
class Talk:
    """One transaction between a caller (BAP) and an answerer (BPP)."""

    name: str
    caller: str
    answerer: str

    @property
    def id(self) -> str:
        """The transaction's id."""
        return identifier(0, "example", self.name)

    def ask(self, hour: str, action: str, content: Content, ttl_s: int = 30, parent: Message | None = None) -> Message:
        """A request of the caller; ``parent`` is the message that it descends from."""
        message = self._message(self.caller, self.answerer, hour, action, content)
        lineage = None if parent is None else _descent(parent)
        return _as_read(msgspec.structs.replace(message, ttl_s=ttl_s, lineage=lineage))

    def tell(self, hour: str, action: str, content: Content) -> Message:
        """A callback that nobody asked for, with a message id of its own."""
        return _as_read(self._message(self.answerer, self.caller, hour, action, content))

    def _message(self, sender: str, recipient: str, hour: str, action: str, content: Content) -> Message:
        message_id = identifier(0, "example", self.name, action, hour)
        return Message(action, sender, recipient, self.id, message_id, content, sent_s=_seconds(hour))


def reply(request: Message, content: Content, after_s: int = 2, error: ErrorBody | None = None) -> Message:
    """The callback of a request."""
    answer = Message(
        callback_of(request.action),
        request.recipient,
        request.sender,
        request.transaction_id,
        request.message_id,
        content,
        sent_s=request.sent_s + after_s,
        error=error,
        request_digest=request.digest,
    )
    return _as_read(answer)


def _as_read(message: Message) -> Message:
    """The message as its recipient has it, 5 as 5.0: only then do equal messages have equal bytes, and a digest a meaning."""
    read = decode(message.action, example_bytes(message))
    read = msgspec.structs.replace(read, sent_s=message.sent_s)
    return msgspec.structs.replace(read, digest=body_digest(example_bytes(read)))


def _descent(parent: Message) -> Lineage:
    return Lineage(transactionId=parent.transaction_id, messageId=parent.message_id)


def _seconds(hour: str) -> int:
    hours, minutes, seconds = map(int, hour.split(":"))
    return hours * 3600 + minutes * 60 + seconds


def commitment(
    resource: str,
    offer: str,
    value: float,
    unit: Literal["KWH", "KW"] = "KWH",
    **attributes: Any,
) -> Commitment:
    """So much of one resource under one offer."""
    return Commitment(
        id=f"{offer}/1",
        status=CommitmentStatus(descriptor=CommitmentCode(code="DRAFT")),
        resources=(CommittedResource(id=resource, quantity=Quantity(value=value, unitCode=unit)),),
        offer=CommittedOffer(id=offer, resourceIds=(resource,)),
        **attributes,
    )


def draft(talk: Talk, *commitments: Commitment, **slots: Any) -> Contract:
    """The contract of a talk before anybody has agreed to it."""
    return Contract(id=contract_id(talk), status=ContractStatus(code="DRAFT"), commitments=commitments, **slots)


def contract_id(talk: Talk) -> str:
    """The id of the contract that a talk is about."""
    return identifier(0, "example", talk.name, "contract")


def become(contract: Contract, state: CoreState, **slots: Any) -> Contract:
    """The contract in another state, commitments included, with some slots replaced."""
    code = {"DRAFT": "DRAFT", "ACTIVE": "ACTIVE"}.get(state, "CLOSED")
    status = CommitmentStatus(descriptor=msgspec.convert({"code": code}, CommitmentCode))
    commitments = tuple(msgspec.structs.replace(c, status=status) for c in contract.commitments)
    return msgspec.structs.replace(contract, status=ContractStatus(code=state), commitments=commitments, **slots)


def about(contract: Contract) -> ContractContent:
    """The body of an action on a contract."""
    return ContractContent(contract=contract)


def asked(talk: Talk, contract: Contract, **slots: Any) -> KnownContractContent:
    """The body of ``status`` and ``cancel``: id and commitments, and little else."""
    return KnownContractContent(contract=KnownContract(id=contract_id(talk), commitments=contract.commitments, **slots))


Part = tuple[Literal["UNIT", "TAX", "DELIVERY", "DISCOUNT", "FEE", "SURCHARGE"], float, str]


def price(currency: str, value: float, *parts: Part, code: str = "QUOTED") -> Consideration:
    """What is promised in return, part by part."""
    components = tuple(PricePart(type=kind, value=amount, description=text) for kind, amount, text in parts)
    attributes = PriceSpecification(ENERGY, currency=currency, value=value, components=components or UNSET)
    return Consideration(id="total", status=Descriptor(code=code), considerationAttributes=attributes)


def sha256(raw: bytes) -> str:
    """A digest as contracts write it."""
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def native(profile: str, payload: dict[str, Any], schema: str | None = None) -> NativePayload:
    """A JSON message of another protocol, carried whole."""
    return wrap(msgspec.json.encode(payload), f'application/json; profile="{profile}"', profile, schema)
