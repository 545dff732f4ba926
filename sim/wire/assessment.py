"""Bodies of ``assess`` and ``on_assess``: a market asks the grid operator whether the wires would carry an outcome."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from sim.wire.auxiliary import LinearLimitBody
from sim.wire.basics import Identifier, NonNegative, Text, TimeWindow, Wire


class PlannedPower(Wire, frozen=True, kw_only=True):
    """What one participant would do, + injected."""

    era: Identifier
    setpointKW: float


class AssessmentRequest(Wire, frozen=True, kw_only=True):
    """An outcome that nobody has been told yet."""

    timeWindow: TimeWindow
    setpoints: tuple[PlannedPower, ...]


class AssessedNode(Wire, frozen=True, kw_only=True):
    """Flow through a grid node at its lower end (+ import), its loading (1 = rated), and by how much each limit is exceeded."""

    era: Identifier
    flowKW: float
    loading: NonNegative
    excessForwardKW: NonNegative
    excessReverseKW: NonNegative


class LossFactor(Wire, frozen=True, kw_only=True):
    """What another kW injected by a participant adds to the losses, in kW; negative where it saves some."""

    era: Identifier
    factor: float


class Assessment(Wire, frozen=True, kw_only=True):
    """What a power flow says to an outcome.

    solved: whether it has a solution; without one, ``note`` says why.  linearLimits: what would bring voltages back into their
    band, linear about this outcome.  lossFactors: where losses are priced.  unserved: whom no supply reaches.
    """

    solved: bool
    gridNodes: tuple[AssessedNode, ...]
    lossesKW: NonNegative | UnsetType = UNSET
    linearLimits: tuple[LinearLimitBody, ...] | UnsetType = UNSET
    lossFactors: tuple[LossFactor, ...] | UnsetType = UNSET
    unserved: tuple[Identifier, ...] | UnsetType = UNSET
    note: Text | UnsetType = UNSET


class AssessContent(Wire, frozen=True, kw_only=True):
    """Body of ``assess``."""

    assessmentRequest: AssessmentRequest


class AssessedContent(Wire, frozen=True, kw_only=True):
    """Body of ``on_assess``."""

    assessment: Assessment
