"""A radial feeder from a few words: source, transformers and lines of pandapower's standard types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandapower as pp

from grid_models import layout
from sim.errors import Fault, FeederError, nearest

SOURCE_R_PER_X = 0.1
"""Of a grid given by its short-circuit power.  Source: IEC 60909-0, 6.2 (networks above 1 kV fed by overhead lines)."""

VOLTAGE_TOLERANCE = 0.1
"""How far a type's upper voltage may lie from that of the bus above it."""


@dataclass(frozen=True, slots=True)
class Source:
    """The external grid.  short_circuit_mva: None for a voltage that nothing moves.  v_pu: voltage held."""

    bus: str
    kv: float
    short_circuit_mva: float | None = None
    v_pu: float = 1.0


@dataclass(frozen=True, slots=True)
class Transformer:
    """Equal units in parallel, of a standard type, from the upper bus to the lower."""

    type: str
    upper: str
    lower: str
    parallel: int = 1


@dataclass(frozen=True, slots=True)
class Line:
    """Equal cables or overhead lines in parallel, of a standard type."""

    type: str
    start: str
    end: str
    km: float
    parallel: int = 1


@dataclass(frozen=True, slots=True)
class Chain:
    """Buses one after the other, ``PREFIX1`` to ``PREFIXn``, each km from the one before."""

    type: str
    start: str
    buses: int
    km: float
    parallel: int = 1

    def lines(self, prefix: str) -> Iterator[tuple[str, Line]]:
        """Its lines by name; each is called as the bus it leads to."""
        before = self.start
        for number in range(1, self.buses + 1):
            bus = f"{prefix}{number}"
            yield bus, Line(self.type, before, bus, self.km, self.parallel)
            before = bus


@dataclass(frozen=True, slots=True)
class Description:
    """A feeder in words.  Buses are those that are named; what feeds each gives its voltage.

    sites: buses at which customers stand, None for every bus that a line leads to.
    """

    source: Source
    transformers: Mapping[str, Transformer] = field(default_factory=dict)
    lines: Mapping[str, Line] = field(default_factory=dict)
    chains: Mapping[str, Chain] = field(default_factory=dict)
    sites: tuple[str, ...] | None = None


def build(name: str, description: Description) -> Any:
    """The pandapower network of a description, with places to draw it and a customer of 0 kW at each site.

    Raises ``FeederError`` with every fault and its path within the description: types that are not known, buses that nothing
    feeds or that are fed twice, voltages that do not fit.
    """
    return _Building(name, description).net()


class _Building:
    """Puts the parts in the order in which power reaches them; lives as long as the building."""

    def __init__(self, name: str, description: Description) -> None:
        self._name = name
        self._description = description
        self._lines: dict[str, tuple[str, Line]] = {n: (f"lines.{n}", line) for n, line in description.lines.items()}
        self._faults: list[Fault] = []
        for prefix, chain in description.chains.items():
            for line_name, line in chain.lines(prefix):
                if line_name in self._lines:
                    self._fault(
                        f"chains.{prefix}", f"its line {line_name} is in {self._lines[line_name][0]} too", "rename it"
                    )
                self._lines[line_name] = (f"chains.{prefix}", line)
        self._net = pp.create_empty_network(name=name)
        self._types = {kind: dict(self._net.std_types[kind]) for kind in ("line", "trafo")}

    def net(self) -> Any:
        """Everything built, or ``FeederError`` with everything that is wrong."""
        self._check_types()
        kv = self._voltages()
        known = {self._description.source.bus, *self._lower_ends()}
        for number, bus in enumerate(self._description.sites or ()):
            if bus not in known:
                self._fault(f"sites[{number}]", f"no bus {bus!r}", nearest(bus, known))
        if self._faults:
            raise FeederError(self._name, tuple(dict.fromkeys(self._faults)))
        self._build(kv)
        return self._net

    def _fault(self, where: str, what: str, remedy: str = "") -> None:
        self._faults.append(Fault(where, what, remedy))

    def _check_types(self) -> None:
        parts = [(f"transformers.{n}", "trafo", part.type) for n, part in self._description.transformers.items()]
        parts += [(path, "line", line.type) for path, line in self._lines.values()]
        for path, kind, wanted in parts:
            known = self._types[kind]
            if wanted not in known:
                word = "transformer" if kind == "trafo" else "line"
                self._fault(f"{path}.type", f"there is no {word} type {wanted!r}", nearest(wanted, known))

    def _lower_ends(self) -> list[str]:
        transformers = [part.lower for part in self._description.transformers.values()]
        return transformers + [line.end for _, line in self._lines.values()]

    def _voltages(self) -> dict[str, float]:
        """Voltage of each bus in kV, from the source down; whatever is not reached, or reached twice, is a fault."""
        kv = {self._description.source.bus: self._description.source.kv}
        waiting: list[tuple[str, str, str, str]] = [
            *((f"transformers.{n}", t.upper, t.lower, t.type) for n, t in self._description.transformers.items()),
            *((path, line.start, line.end, "") for path, line in self._lines.values()),
        ]
        below: dict[str, list[tuple[str, str, str, str]]] = {}
        for part in waiting:
            below.setdefault(part[1], []).append(part)
        order = [self._description.source.bus]
        for bus in order:  # grows while it is read
            for path, _, lower, transformer_type in below.pop(bus, ()):
                if lower in kv:
                    self._fault(
                        path, f"{lower} is fed another way too", "a described feeder is radial: one way to each bus"
                    )
                    continue
                kv[lower] = self._lower_kv(path, kv[bus], transformer_type)
                order.append(lower)
        fed = {*kv, *(part[2] for parts in below.values() for part in parts)}
        for upper, parts in below.items():
            if upper in fed:
                continue  # told of the part that should feed it
            for path, *_ in parts:
                self._fault(f"{path}.from", f"nothing feeds a bus {upper!r}", nearest(upper, fed))
        if below and not self._faults:
            unfed = ", ".join(below)
            self._fault(
                "lines", f"these buses feed each other and no source feeds them: {unfed}", "begin at the source"
            )
        return kv

    def _lower_kv(self, path: str, upper_kv: float, transformer_type: str) -> float:
        rating = self._types["trafo"].get(transformer_type)
        if rating is None:
            return upper_kv
        if abs(rating["vn_hv_kv"] / upper_kv - 1) > VOLTAGE_TOLERANCE:
            fits = [
                n for n, r in self._types["trafo"].items() if abs(r["vn_hv_kv"] / upper_kv - 1) <= VOLTAGE_TOLERANCE
            ]
            remedy = f"types for it: {', '.join(fits)}" if fits else "no type fits; change source.kv"
            self._fault(
                f"{path}.type", f"{transformer_type} has {rating['vn_hv_kv']:g} kV at a bus of {upper_kv:g} kV", remedy
            )
        return float(rating["vn_lv_kv"])

    def _build(self, kv: Mapping[str, float]) -> None:
        net, source = self._net, self._description.source
        transformers = self._description.transformers
        edges = [(t.upper, t.lower) for t in transformers.values()]
        edges += [(line.start, line.end) for _, line in self._lines.values()]
        places = layout.tree(list(kv), edges, [source.bus])
        bus = {name: pp.create_bus(net, volt, name=name, geodata=places[name]) for name, volt in kv.items()}
        self._build_source(bus[source.bus], places[source.bus])
        for name, part in transformers.items():
            pp.create_transformer(net, bus[part.upper], bus[part.lower], part.type, name=name, parallel=part.parallel)
        for name, (_, line) in self._lines.items():
            ends = bus[line.start], bus[line.end]
            pp.create_line(net, *ends, line.km, line.type, name=name, parallel=line.parallel)
        sites = self._description.sites
        chosen = [line.end for _, line in self._lines.values()] if sites is None else sites
        for site in chosen:
            pp.create_load(net, bus[site], 0.0, name=site)

    def _build_source(self, bus: int, place: tuple[float, float]) -> None:
        net, source = self._net, self._description.source
        if source.short_circuit_mva is None:
            pp.create_ext_grid(net, bus, vm_pu=source.v_pu)
            return
        # pandapower's external grid holds its voltage whatever is drawn; what gives way stands before it.
        stiff = pp.create_bus(
            net, source.kv, name=f"{source.bus} behind its impedance", geodata=(place[0] - 1, place[1])
        )
        pp.create_ext_grid(net, stiff, vm_pu=source.v_pu, s_sc_max_mva=source.short_circuit_mva, rx_max=SOURCE_R_PER_X)
        x_pu = 1 / (1 + SOURCE_R_PER_X**2) ** 0.5
        pp.create_impedance(
            net, stiff, bus, SOURCE_R_PER_X * x_pu, x_pu, sn_mva=source.short_circuit_mva, name="grid impedance"
        )
