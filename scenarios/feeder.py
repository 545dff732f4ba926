"""The feeder of a scenario or of the command line: built, limited, and told about."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grid_models import feeders
from scenarios.spec import DescribedFeeder, FeederSpec, Limits
from sim.errors import Fault, FeederError, ScenarioError, nearest

if TYPE_CHECKING:
    from grid_models.overview import Overview
    from grid_models.powerflow import PandapowerFeeder
    from sim.feeder import Branch

Say = Callable[[str], None]

SCENARIOS = (".yaml", ".yml")
PICTURES = ("png", "svg")


def load(spec: FeederSpec, source: str) -> PandapowerFeeder:
    """The feeder that a scenario names or describes, its limited lines nodes of the tree.

    source: name of the scenario, for what is wrong with it.  Raises ``ScenarioError`` for a description or limits that do not
    fit, ``FeederError`` for a network that cannot be used.
    """
    from grid_models.taps import TapChanger  # noqa: PLC0415  (pandapower takes seconds to import)

    changers = [TapChanger(c.transformer, c.low_pu, c.high_pu) for c in spec.tap_changers]
    return feeders.feeder_of(network_of(spec, source), spec.limits.nodes(), changers, spec.phases)


def network_of(spec: FeederSpec, source: str) -> feeders.Network:
    """The network of a scenario with its customers; every name in its limits is one that the network has."""
    network = _described(spec, source) if spec.described else _named(spec)
    faults = tuple(_limit_faults(spec.limits, network))
    if faults:
        raise ScenarioError(source, faults)
    feeders.rate(network, {line.line: line.max_i_ka for line in spec.limits.lines if line.max_i_ka is not None})
    return network


def _named(spec: FeederSpec) -> feeders.Network:
    return feeders.read(spec.name, transformer_type=spec.transformer_type)


def _described(spec: FeederSpec, source: str) -> feeders.Network:
    from grid_models import described  # noqa: PLC0415  (pandapower takes seconds to import)

    assert spec.described is not None
    if spec.name in feeders.names():
        fault = Fault("feeder.name", f"{spec.name} is described here and known already", "give it a name of its own")
        raise ScenarioError(source, (fault,))
    if spec.transformer_type is not None:
        fault = Fault("feeder.transformer_type", "the feeder is described", "change described.transformers")
        raise ScenarioError(source, (fault,))
    try:
        return feeders.Network(spec.name, described.build(spec.name, _description(spec.described)))
    except FeederError as error:
        faults = (Fault(f"feeder.described.{f.where}", f.what, f.remedy) for f in error.faults)
        raise ScenarioError(source, tuple(faults)) from error


def _description(spec: DescribedFeeder) -> Any:
    from grid_models.described import Chain, Description, Line, Source, Transformer  # noqa: PLC0415

    given = spec.source
    return Description(
        source=Source(given.bus, given.kv, given.short_circuit_mva, given.v_pu),
        transformers={
            name: Transformer(part.type, part.upper or given.bus, part.lower, part.parallel)
            for name, part in spec.transformers.items()
        },
        lines={
            name: Line(part.type, part.start, part.end or name, part.km, part.parallel)
            for name, part in spec.lines.items()
        },
        chains={
            name: Chain(part.type, part.start, part.buses, part.km, part.parallel) for name, part in spec.chains.items()
        },
        sites=spec.sites,
    )


def _limit_faults(limits: Limits, network: feeders.Network) -> Iterator[Fault]:
    if not limits.lines and not limits.transformers:
        return
    lines, unrated, transformers = feeders.limitable(network)
    for number, line in enumerate(limits.lines):
        if line.line not in lines:
            where = f"feeder.limits.lines[{number}].line"
            yield Fault(where, f"{network.name} has no line {line.line!r}", nearest(line.line, lines))
        if line.max_i_ka is None and line.line in unrated:
            where = f"feeder.limits.lines[{number}].max_i_ka"
            yield Fault(where, f"{line.line!r} has no rating in the network", "say how much it may carry, in kA")
        if line.node in transformers:
            where = f"feeder.limits.lines[{number}].name"
            yield Fault(where, f"a transformer is called {line.node!r} too", "give the line's node another name")
    for name in limits.transformers:
        if name not in transformers:
            what = f"{network.name} has no transformer {name!r}"
            yield Fault(f"feeder.limits.transformers.{name}", what, nearest(name, transformers))


def limits_kw(feeder: PandapowerFeeder, limits: Limits, branch: Branch) -> tuple[float, float]:
    """Import and export of a branch in kW that its limits leave, before the margin is taken off."""
    from grid_models import limits as metered  # noqa: PLC0415

    own = limits.limits_of(branch.name)
    kva = branch.rated_kva * own.derating
    import_kw, _ = metered.limits_kw(feeder, branch.name, kva * own.import_share, own.power_factor, own.side)
    _, export_kw = metered.limits_kw(feeder, branch.name, kva * own.export_share, own.power_factor, own.side)
    most = [math.inf if kw is None else kw for kw in (own.import_kw, own.export_kw)]
    return min(import_kw, most[0]), min(export_kw, most[1])


def allowed_loading(limits: Limits, branch: Branch) -> tuple[float, float]:
    """Loading of a branch up to which a market may plan, (import, export): what its limits leave, less the margin."""
    own = limits.limits_of(branch.name)
    kept = own.derating * (1 - own.margin)
    return own.import_share * kept, own.export_share * kept


def show(
    name: str,
    out: Say,
    say: Say,
    *,
    with_buses: bool = False,
    as_json: bool = False,
    picture: Path | None = None,
    transformer_type: str | None = None,
) -> None:
    """Write what a feeder is: one by name, code or file, or that of a scenario, with the limits that it sets.

    Notes about how a network is taken go to ``say``.  Raises ``DegsimError`` with every fault of a bad one.
    """
    if picture is not None and picture.suffix.removeprefix(".") not in PICTURES:
        raise FeederError(str(picture), f"is no picture that can be drawn; known: {', '.join(PICTURES)}")
    spec = _spec(name, transformer_type)
    network = network_of(spec, Path(name).name)
    for note in network.notes:
        say(f"{network.name}: {note}")

    from grid_models.overview import overview, places  # noqa: PLC0415

    feeder = feeders.feeder_of(network, spec.limits.nodes())
    found = overview(
        feeder,
        network.net,
        _source(name, spec),
        lambda branch: limits_kw(feeder, spec.limits, branch),
        tuple(spec.limits.nodes()),
        network.notes,
    )
    if as_json:
        out(json.dumps(_json(found, with_buses=with_buses), indent=2, allow_nan=False))
    else:
        out("\n".join(_text(found, with_buses=with_buses)))
    if picture is not None:
        _draw(feeder, places(feeder, network.net), picture)
        say(str(picture))


def _spec(name: str, transformer_type: str | None) -> FeederSpec:
    if Path(name).suffix not in SCENARIOS:
        return FeederSpec(name=name, transformer_type=transformer_type)
    from scenarios.reader import read  # noqa: PLC0415

    overrides = [] if transformer_type is None else [f"feeder.transformer_type={transformer_type}"]
    return read(Path(name), overrides).feeder


def _source(name: str, spec: FeederSpec) -> str:
    if spec.described:
        return f"described in {Path(name).name}"
    if spec.name in feeders.STORED:
        return "data set of this project"
    if spec.name in feeders.BENCHMARKS:
        return "pandapower"
    return "SimBench" if spec.name.startswith(feeders.SIMBENCH) else f"file {Path(spec.name).name}"


def _json(found: Overview, *, with_buses: bool) -> dict[str, Any]:
    document: dict[str, Any] = _finite(asdict(found))
    if not with_buses:
        del document["buses"]
    return document


def _finite(value: Any) -> Any:
    """JSON knows no NaN: null, where there is no number."""
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _text(found: Overview, *, with_buses: bool) -> Iterator[str]:
    counts = found.counts
    yield f"{found.name} ({found.source})"
    yield ""
    levels = ", ".join(f"{level.kv:g} kV ({level.buses})" for level in found.levels)
    yield from _aligned(
        [
            ("buses", f"{counts.buses}: {levels}"),
            ("lines", f"{counts.lines}, {counts.line_km:.3f} km"),
            ("transformers", str(counts.transformers)),
            ("switches", f"{counts.switches_closed} closed, {counts.switches_open} open"),
            ("external grids", str(counts.external_grids)),
            ("customers", f"{counts.customers} at {counts.customer_buses} buses"),
            *([("without supply", f"{counts.unsupplied_buses} buses")] if counts.unsupplied_buses else []),
        ],
        left=2,
    )
    yield ""
    if found.no_tree:
        yield f"no tree of limits: {found.no_tree}"
    else:
        yield from _aligned(_node_rows(found), left=3)
    if with_buses:
        yield ""
        yield from _aligned(_bus_rows(found), left=2)


def _node_rows(found: Overview) -> list[tuple[str, ...]]:
    head = ("node", "kind", "below", "kVA", "import kW", "export kW", "buses", "customers")
    rows: list[tuple[str, ...]] = [(*head, "R ohm", "X ohm", "idle pu", "farthest bus")]
    for node in found.nodes:
        limits = f"{node.rated_kva:.1f}", f"{node.import_kw:.1f}", f"{node.export_kw:.1f}"
        idle = f"{node.idle_low_pu:.4f}..{node.idle_high_pu:.4f}"
        below = str(node.buses), str(node.customers)
        ohms = f"{node.r_ohm:.4f}", f"{node.x_ohm:.4f}"
        rows.append((node.name, node.kind, node.parent or "grid", *limits, *below, *ohms, idle, node.farthest))
    return rows


def _bus_rows(found: Overview) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [
        ("bus", "fed by", "kV", "km", "|Z| ohm", "R ohm", "X ohm", "dV %/kW", "idle pu", "customers")
    ]
    for bus in found.buses:
        ohms = f"{bus.z_ohm:.4f}", f"{bus.r_ohm:.4f}", f"{bus.x_ohm:.4f}"
        rest = f"{bus.percent_per_kw:.4f}", f"{bus.idle_pu:.4f}", str(bus.customers or "")
        rows.append((bus.name, bus.node or "-", f"{bus.kv:g}", f"{bus.km:.3f}", *ohms, *rest))
    return rows


def _aligned(rows: Sequence[Sequence[str]], left: int) -> Iterator[str]:
    """Columns side by side; the first ``left`` of them and the last hold words when they do, numbers stand to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    is_word = [column < left or column == len(widths) - 1 for column in range(len(widths))]
    for row in rows:
        cells = [f"{c:<{w}}" if word else f"{c:>{w}}" for c, w, word in zip(row, widths, is_word, strict=True)]
        yield "  ".join(cells).rstrip()


def _draw(feeder: PandapowerFeeder, places: dict[str, tuple[float, float]], path: Path) -> None:
    from results.grid_picture import GridPicture  # noqa: PLC0415
    from results.plots.feeder_map import draw_feeder  # noqa: PLC0415  (matplotlib takes seconds to import)
    from results.plots.shown import drawn  # noqa: PLC0415

    edges = tuple((edge.kind, edge.name, edge.start, edge.end) for edge in feeder.edges())
    picture = drawn(lambda: draw_feeder(GridPicture(feeder.name, places, edges, feeder.site_buses)))
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)
