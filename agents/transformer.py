"""A transformer as a participant: it publishes what it can carry, and clips what lies below it."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import UNSET, UnsetType

from agents.announcement import Announcement
from agents.rounds import MARGIN_ON_GAP
from sim.clock import Calendar
from sim.forms import delivery_of
from sim.participant import Ids, Participant, Registry
from sim.wire.bags import ENERGY, GridConstraints, GridNode, LocationalPriceAdder, OffsetCommand
from sim.wire.core import Catalog, Descriptor, Provider, Resource
from sim.wire.messages import Alarm, Event, Message, PublishContent, uri

RECOVERY = 0.5
"""Share of a tightening that is kept after an interval without a gap."""
LARGEST_ALLOWANCE = 0.25
"""A gap may be a forecast gone wrong once; no more than this share of a limit is withheld for it."""
LEAST_ALLOWANCE_KW = 0.01


class Transformer(Participant):
    """Publishes a GridNode whose constraints every policy clips to, and learns from its own meter.

    import_limit_kw, export_limit_kw: what it may carry at its low-voltage side, ≥ 0.  Where the wires carried more than the
    limit, the next limit is lower by that gap; the allowance halves with every interval that keeps it.  Where the wires had
    no solution, the limit falls to the largest flow that is known to have been safe.
    announcement: the adder that it announces with its limits, and how that follows its readings; None to announce none.
    offset: the power that its operator commands to be moved below it.
    """

    kind = "transformer"

    def __init__(
        self,
        registry: Registry,
        era: str,
        ids: Ids,
        *,
        catalogue: str,
        calendar: Calendar,
        parent: str | None,
        rated_kva: float,
        import_limit_kw: float,
        export_limit_kw: float,
        announcement: Announcement | None = None,
        offset: OffsetCommand | UnsetType = UNSET,
    ) -> None:
        super().__init__(registry, era, ids)
        self._catalogue = catalogue
        self._calendar = calendar
        self._parent = parent
        self._rated_kva = rated_kva
        self._limits_kw = (import_limit_kw, export_limit_kw)
        self._announcement = announcement
        self._offset = offset
        self._allowance_kw = [0.0, 0.0]
        self._safe_kw = [0.0, 0.0]
        self._load_kw = 0.0
        self._transaction = ids.fresh()
        self.reactions |= {
            "catalog/on_publish": lambda _: (),
            "on_status": self.on_status,
        }

    @property
    def limits_kw(self) -> tuple[float, float]:
        """Import and export limit now in force, in kW ≥ 0."""
        forward, reverse = (
            max(limit - allowance, 0.0) for limit, allowance in zip(self._limits_kw, self._allowance_kw, strict=True)
        )
        return forward, reverse

    def on_start(self, _: Alarm) -> Iterable[Event]:
        """Enter the catalogue."""
        return (self._publish(),)

    def on_status(self, message: Message) -> Iterable[Event]:
        """A reading of our own meter: adapt limits and adder to what the wires say, and publish them with the load."""
        reading = delivery_of(message, 0).meterReadings[0]
        if reading.quality == "MISSING":
            self._retreat()
        else:
            hours = self._calendar.interval_s / 3600
            self._load_kw = (reading.consumedEnergy - reading.producedEnergy) / hours
            self._adapt(0, self._load_kw)
            self._adapt(1, -self._load_kw)
            if self._announcement is not None:
                self._announcement.read(self._load_kw)
        return (self._publish(),)

    def _adapt(self, direction: int, flow_kw: float) -> None:
        flow_kw = max(flow_kw, 0.0)
        gap_kw = flow_kw - self._limits_kw[direction]
        kept = self._allowance_kw[direction] * RECOVERY
        withheld = min(gap_kw * MARGIN_ON_GAP, LARGEST_ALLOWANCE * self._limits_kw[direction])
        self._allowance_kw[direction] = max(withheld, kept if kept > LEAST_ALLOWANCE_KW else 0.0)
        if gap_kw <= 0:
            self._safe_kw[direction] = max(self._safe_kw[direction], flow_kw)

    def _retreat(self) -> None:
        for direction, limit_kw in enumerate(self._limits_kw):
            self._allowance_kw[direction] = limit_kw - min(self._safe_kw[direction], limit_kw)

    def _publish(self) -> Message:
        forward_kw, reverse_kw = self.limits_kw
        constraints = GridConstraints(
            maxForwardFlowKW=forward_kw,
            maxReverseFlowKW=reverse_kw,
            currentLoadKW=self._load_kw,
            capacityKW=self._rated_kva,
        )
        node = GridNode(
            ENERGY,
            nodeId=self.era,
            nodeType="TRANSFORMER",
            gridConstraints=constraints,
            gridNode=UNSET if self._parent is None else self._parent,
            locationalPriceAdder=(
                UNSET
                if self._announcement is None
                else LocationalPriceAdder(currentPrice=self._announcement.adder_per_kwh)
            ),
            offsetCommand=self._offset,
        )
        catalog = Catalog(
            id=f"{self.era}/node",
            descriptor=Descriptor(name="GridNode"),
            provider=Provider(id=self.era, descriptor=Descriptor(name=self.era)),
            bppId=self.era,
            bppUri=uri(self.era),
            resources=(Resource(id=self.era, resourceAttributes=node),),
        )
        return self.request("catalog/publish", self._catalogue, PublishContent(catalogs=(catalog,)), self._transaction)
