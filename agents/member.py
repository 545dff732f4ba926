"""A member of a market or portfolio: its contract, and how that contract looks on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import cast

from msgspec import UNSET, UnsetType

from sim.contracts.contract import Contract, Status, Template, Turn
from sim.contracts.policies import Pins
from sim.forms import flows_body
from sim.wire.bags import (
    ENERGY,
    ContractRole,
    ContractState,
    EnergyContract,
    InputParameters,
    InputSignal,
    OffsetCommand,
    RevenueFlows,
    Role,
    SignalSource,
    TelemetrySource,
    TimeWindow,
)
from sim.wire.codes import Code, Refusal
from sim.wire.core import (
    Commitment,
    CommitmentCode,
    CommitmentStatus,
    CommittedOffer,
    CommittedResource,
    ContractStatus,
    CoreState,
    Quantity,
    Settlement,
)
from sim.wire.core import Contract as WireContract
from sim.wire.messages import ContractContent, Message

CORE_STATUS: Mapping[Status, CoreState] = {
    Status.PENDING: "DRAFT",
    Status.ACTIVE: "ACTIVE",
    Status.COMPLETED: "COMPLETE",
    Status.TERMINATED: "CANCELLED",
}
"""What the core specification calls each status of an energy contract."""


@dataclass(frozen=True, slots=True)
class OpenRole:
    """A role that anybody may take: under which template, at which prices.

    parties: ERA by role for the roles that are filled already.  inputs: the template's inputs.
    """

    offer_id: str
    role: Role
    template: Template
    parties: Mapping[str, str]
    inputs: Mapping[str, Decimal]


@dataclass(slots=True)
class Member:
    """One member.  Its host alone changes it.

    Caps in kW, both ≥ 0, as approved by its utility.  policies: the versions that bind its contract.  until: number of the
    first interval that its contract no longer covers, where it has ended early, and turn: by what.
    """

    era: str
    node: str
    meter: str
    open_role: OpenRole
    contract: Contract
    transaction_id: str
    status: Status = Status.PENDING
    import_cap_kw: float = 0.0
    export_cap_kw: float = 0.0
    policies: Pins | None = None
    resource_type: str = ""
    until: int | None = None
    turn: Turn | None = None
    _stubs: dict[Status, tuple[Commitment, ...]] = field(default_factory=dict, repr=False)

    def on_wire(
        self,
        *,
        commitments: tuple[Commitment, ...] | None = None,
        roles: tuple[ContractRole, ...] | UnsetType = UNSET,
        window: TimeWindow | UnsetType = UNSET,
        inputs: InputParameters | UnsetType = UNSET,
        signals: tuple[InputSignal, ...] | UnsetType = UNSET,
        telemetry: tuple[TelemetrySource, ...] | UnsetType = UNSET,
        flows: RevenueFlows | UnsetType = UNSET,
        settlements: tuple[Settlement, ...] | UnsetType = UNSET,
        offset: OffsetCommand | UnsetType = UNSET,
    ) -> WireContract:
        """The contract as a message carries it: what always stands there, and what this message is about."""
        return WireContract(
            id=self.contract.id,
            status=ContractStatus(code=CORE_STATUS[self.status]),
            commitments=self._stub() if commitments is None else commitments,
            settlements=settlements,
            contractAttributes=EnergyContract(
                ENERGY,
                templateId=self.contract.template_id,
                status=cast(ContractState, str(self.status)),
                roles=roles,
                timeWindow=window,
                inputParameters=inputs,
                inputSignals=signals,
                telemetrySources=telemetry,
                revenueFlows=flows,
                offsetCommand=offset,
            ),
        )

    def terms_on_wire(self, inputs: InputParameters, host: str) -> WireContract:
        """The contract in full, as an approval carries it: roles, constants, signals, and who pays whom by which formula.

        By interval the host tells ``clearedKWh`` and ``pricePerKWh`` of the award, and the retailer's ``importPricePerKWh`` and
        ``exportPricePerKWh``; the meter tells ``energyKWh``.
        """
        roles = tuple(
            ContractRole(role=cast(Role, role), filled=True, filledBy=era) for role, era in self.contract.roles.items()
        )
        told = SignalSource(era=host)
        own = SignalSource(era=self.era, meterId=self.meter)
        meter = TelemetrySource(sourceId="meter", sourceType="METER_READING", source=own, fields=("energyKWh",))
        return self.on_wire(
            roles=roles,
            inputs=inputs,
            signals=tuple(InputSignal(signalId=name, signalType="PRICE", source=told) for name in ("award", "tariff")),
            telemetry=(meter,),
            flows=flows_body(self.contract),
        )

    def _stub(self) -> tuple[Commitment, ...]:
        """The commitment that LTS asks for in every message about a contract; made once for each status."""
        if self.status not in self._stubs:
            self._stubs[self.status] = (commitment(self.era, self.open_role.offer_id, 0.0),)
        return self._stubs[self.status]


def commitment(era: str, offer_id: str, energy_kwh: float) -> Commitment:
    """A commitment of energy (+ injected) of one resource or meter under an offer."""
    return Commitment(
        status=CommitmentStatus(descriptor=CommitmentCode(code="ACTIVE")),
        resources=(CommittedResource(id=era, quantity=Quantity(value=energy_kwh, unitCode="KWH")),),
        offer=CommittedOffer(id=offer_id, resourceIds=(era,)),
    )


def lock_content(contract_id: str, locks: tuple[Commitment, ...], window: TimeWindow) -> ContractContent:
    """Body of the ``confirm`` by which a host has the energy of its members' meters locked at the utility."""
    attributes = EnergyContract(ENERGY, templateId="meter-lock", status="PENDING", timeWindow=window)
    status = ContractStatus(code=CORE_STATUS[Status.PENDING])
    contract = WireContract(id=contract_id, status=status, commitments=locks, contractAttributes=attributes)
    return ContractContent(contract=contract)


def asked_for(open_questions: Mapping[str, int], answer: Message) -> int:
    """The interval whose question this callback answers.  Raises ``Refusal`` for an answer to nothing that was asked."""
    index = open_questions.get(answer.message_id)
    if index is None:
        raise Refusal(Code.PRC_INVALID_TRANSITION, "/context/messageId", "answers nothing that was asked")
    return index
