"""Feeders by name, by SimBench code or from a file, and what households and roofs really drew and gave there."""

from __future__ import annotations

import importlib
import json
import logging
import random
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sim.errors import Fault, FeederError, nearest
from sim.feeder import Floats

if TYPE_CHECKING:
    from grid_models.powerflow import PandapowerFeeder
    from grid_models.taps import TapChanger

DATA = Path(__file__).parent / "data"

STORED = ("simbench-semiurb4",)
"""Data sets of this project: a folder each, with the network, its profiles, their licence and their source."""


def _dickert(feeders_range: str) -> Mapping[str, object]:
    return {"feeders_range": feeders_range, "linetype": "cable", "customer": "multiple", "case": "average"}


BENCHMARKS: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "case33bw": ("case33bw", {}),
    "cigre-lv": ("create_cigre_network_lv", {}),
    "cigre-mv": ("create_cigre_network_mv", {}),
    "cigre-mv-der": ("create_cigre_network_mv", {"with_der": "all"}),
    "cigre-mv-pv-wind": ("create_cigre_network_mv", {"with_der": "pv_wind"}),
    "dickert-long": ("create_dickert_lv_network", _dickert("long")),
    "dickert-middle": ("create_dickert_lv_network", _dickert("middle")),
    "dickert-short": ("create_dickert_lv_network", _dickert("short")),
    "example-multivoltage": ("example_multivoltage", {}),
    "example-simple": ("example_simple", {}),
    "four-loads-with-branches": ("four_loads_with_branches_out", {}),
    "ieee-european-lv": ("ieee_european_lv_asymmetric", {}),
    "kerber-dorfnetz": ("create_kerber_dorfnetz", {}),
    "kerber-extrem-dorfnetz": ("kb_extrem_dorfnetz", {}),
    "kerber-extrem-dorfnetz-trafo": ("kb_extrem_dorfnetz_trafo", {}),
    "kerber-extrem-landnetz-freileitung": ("kb_extrem_landnetz_freileitung", {}),
    "kerber-extrem-landnetz-freileitung-trafo": ("kb_extrem_landnetz_freileitung_trafo", {}),
    "kerber-extrem-landnetz-kabel": ("kb_extrem_landnetz_kabel", {}),
    "kerber-extrem-landnetz-kabel-trafo": ("kb_extrem_landnetz_kabel_trafo", {}),
    "kerber-extrem-vorstadtnetz-1": ("kb_extrem_vorstadtnetz_1", {}),
    "kerber-extrem-vorstadtnetz-2": ("kb_extrem_vorstadtnetz_2", {}),
    "kerber-extrem-vorstadtnetz-trafo-1": ("kb_extrem_vorstadtnetz_trafo_1", {}),
    "kerber-extrem-vorstadtnetz-trafo-2": ("kb_extrem_vorstadtnetz_trafo_2", {}),
    "kerber-landnetz-freileitung-1": ("create_kerber_landnetz_freileitung_1", {}),
    "kerber-landnetz-freileitung-2": ("create_kerber_landnetz_freileitung_2", {}),
    "kerber-landnetz-kabel-1": ("create_kerber_landnetz_kabel_1", {}),
    "kerber-landnetz-kabel-2": ("create_kerber_landnetz_kabel_2", {}),
    "kerber-vorstadtnetz-1": ("create_kerber_vorstadtnetz_kabel_1", {}),
    "kerber-vorstadtnetz-2": ("create_kerber_vorstadtnetz_kabel_2", {}),
    "lv-schutterwald": ("lv_schutterwald", {}),
    "mv-oberrhein": ("mv_oberrhein", {}),
    "mv-oberrhein-substations": ("mv_oberrhein", {"include_substations": True}),
    "panda-four-loads": ("panda_four_load_branch", {}),
    "simple-four-bus": ("simple_four_bus_system", {}),
    "simple-mv-open-ring": ("simple_mv_open_ring_net", {}),
    "synthetic-lv-rural-1": ("create_synthetic_voltage_control_lv_network", {"network_class": "rural_1"}),
    "synthetic-lv-rural-2": ("create_synthetic_voltage_control_lv_network", {"network_class": "rural_2"}),
    "synthetic-lv-suburb-1": ("create_synthetic_voltage_control_lv_network", {"network_class": "suburb_1"}),
    "synthetic-lv-village-1": ("create_synthetic_voltage_control_lv_network", {"network_class": "village_1"}),
    "synthetic-lv-village-2": ("create_synthetic_voltage_control_lv_network", {"network_class": "village_2"}),
}
"""Networks that come with pandapower: the function of ``pandapower.networks`` that builds each, and what it is given."""

SIMBENCH = "simbench:"
"""What a SimBench code stands behind: ``simbench:1-LV-rural1--0-sw``."""

OTHER_FORMATS = {
    ".xlsx": "from_excel",
    ".xls": "from_excel",
    ".p": "from_pickle",
    ".pkl": "from_pickle",
    ".pickle": "from_pickle",
    ".sqlite": "from_sqlite",
}
"""Files that pandapower reads and we do not (a pickle runs what it holds), with the function that does."""

STEP_S = 900
"""Length of one profile value in seconds."""

STUMBLES = (AttributeError, LookupError, TypeError, ValueError, ImportError, UserWarning)
"""What pandapower raises at networks that it cannot work with."""


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A pandapower network with its customers, before it is made a feeder.

    notes: what it holds that acts otherwise here than its author may expect.
    """

    name: str
    net: Any
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Profiles:
    """Measured-like profiles of one street, in steps of ``STEP_S``.

    times: local wall-clock time at which each step begins, ``datetime64[s]``, [T].  Several windows may follow each
    other; ``windows`` names them.
    load_kw, load_kvar: what each load consumes, positive (a demand, not an injection), [T, loads].
    pv_pu: output of each photovoltaic profile as a share of installed power, [T, profiles].
    load_names, load_buses: name and bus of each load's column; pv_names: of each photovoltaic column.
    """

    name: str
    times: NDArray[np.datetime64]
    load_kw: Floats
    load_kvar: Floats
    pv_pu: Floats
    load_names: tuple[str, ...]
    load_buses: tuple[str, ...]
    pv_names: tuple[str, ...]

    def windows(self) -> tuple[tuple[datetime, datetime], ...]:
        """Unbroken stretches of data, each from its first moment to the moment after its last step."""
        step = np.timedelta64(STEP_S, "s")
        breaks = np.flatnonzero(np.diff(self.times) != step) + 1
        return tuple((part[0].item(), (part[-1] + step).item()) for part in np.split(self.times, breaks) if len(part))

    def window(self, start: datetime, count: int) -> Profiles:
        """``count`` steps from local time ``start`` on; a time zone it may carry is not looked at.

        Raises ``FeederError`` naming the windows there are, if this one is not within one of them.
        """
        first = np.datetime64(start.replace(tzinfo=None), "s")
        wanted = first + np.arange(max(count, 0)) * np.timedelta64(STEP_S, "s")
        begin = int(np.searchsorted(self.times, first))
        rows = slice(begin, begin + len(wanted))
        if count < 1 or not np.array_equal(self.times[rows], wanted):
            known = "; ".join(f"{begins} to {ends}" for begins, ends in self.windows())
            text = f"has no {count} steps of {STEP_S} s from {start.replace(tzinfo=None)} on; its windows: {known}"
            raise FeederError(self.name, text)
        parts = {key: getattr(self, key)[rows] for key in ("times", "load_kw", "load_kvar", "pv_pu")}
        return replace(self, **parts)


def names() -> tuple[str, ...]:
    """Names that ``load`` knows, sorted."""
    return tuple(sorted((*STORED, *BENCHMARKS)))


def load(
    name_or_path: str, *, transformer_type: str | None = None, limited_lines: Mapping[str, str] | None = None
) -> PandapowerFeeder:
    """The feeder that ``read`` reads, without its customers; the buses at which they stood are ``site_buses``.

    limited_lines: the lines that are nodes of the tree of limits, by name, with the name of each node.
    Raises ``FeederError`` as ``read`` does, and for a network whose power flow could not be trusted.
    """
    return feeder_of(read(name_or_path, transformer_type=transformer_type), limited_lines)


def read(name_or_path: str, *, transformer_type: str | None = None) -> Network:
    """The network of this name, of a SimBench code behind ``simbench:``, or of a file that ``pandapower.to_json`` wrote.

    transformer_type: name of a pandapower standard type that takes the place of the single supply transformer, such as
    ``0.25 MVA 20/0.4 kV``, to make a street short of capacity or give it plenty.

    A network file can make pandapower import modules that it names, so read files that you trust.
    Raises ``FeederError`` for an unknown name, code or type and a file that is no pandapower network.
    """
    told: list[str] = []
    if name_or_path in names():
        name, net = name_or_path, _by_name(name_or_path)
    elif name_or_path.startswith(SIMBENCH):
        name, net = name_or_path, _by_code(name_or_path.removeprefix(SIMBENCH))
    else:
        name = Path(name_or_path).stem
        with _stumbling(name_or_path):
            net = _by_path(name_or_path, told)
    from grid_models import network  # noqa: PLC0415  (pandapower takes seconds to import)

    with _stumbling(name_or_path):
        network.typed(net)
        if transformer_type is not None:
            network.change_transformer(net, name, transformer_type)
        return Network(name, net, (*told, *network.notes(net)))


def feeder_of(
    network: Network,
    limited_lines: Mapping[str, str] | None = None,
    tap_changers: Sequence[TapChanger] = (),
    phases: int = 1,
) -> PandapowerFeeder:
    """The feeder of a network, which is used up.  phases: 3 solves each for itself, 1 takes them for equal.

    Raises ``FeederError`` with everything wrong with it.
    """
    from grid_models.powerflow import PandapowerFeeder  # noqa: PLC0415
    from grid_models.unbalanced import UnbalancedFeeder  # noqa: PLC0415

    kind = UnbalancedFeeder if phases == 3 else PandapowerFeeder
    with _stumbling(network.name):
        return kind(
            network.name, network.net, limited_lines=limited_lines, tap_changers=tap_changers, told=network.notes
        )


def limitable(network: Network) -> tuple[tuple[str, ...], frozenset[str], tuple[str, ...]]:
    """Names of the lines of a network, of those without a rating, and of its transformers as nodes of a tree."""
    from grid_models import checks  # noqa: PLC0415
    from grid_models import network as rules  # noqa: PLC0415

    net = network.net
    lines = rules.unique_names(net.line, "line")
    unrated = frozenset(name for name, ka in zip(lines, net.line.max_i_ka, strict=True) if ka == checks.UNRATED_KA)
    keys: list[rules.Key] = [("trafo", int(index)) for index in net.trafo.index]
    keys += [("trafo3w", int(index), side) for index in net.trafo3w.index for side in ("mv", "lv")]
    return lines, unrated, tuple(rules.branch_names(net, keys).values())


def rate(network: Network, max_i_ka: Mapping[str, float]) -> None:
    """Give lines, by name, another rating in kA."""
    from grid_models import network as rules  # noqa: PLC0415

    table = network.net.line
    for index, name in zip(table.index, rules.unique_names(table, "line"), strict=True):
        if name in max_i_ka:
            table.loc[index, "max_i_ka"] = max_i_ka[name]


@contextmanager
def _stumbling(source: str) -> Iterator[None]:
    """pandapower's own errors as ours: they are about the network that somebody gave."""
    try:
        yield
    except STUMBLES as error:
        raise FeederError(source, f"pandapower cannot work with it: {type(error).__name__}: {error}") from error


def profiles(name: str) -> Profiles:
    """The profiles of a stored data set.  Raises ``FeederError`` for a feeder that has none."""
    if name not in STORED:
        raise FeederError(name, f"has no profiles, {nearest(name, STORED)}")
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    table = pq.read_table(DATA / name / "profiles.parquet")
    kw, kvar, pv = (
        [field for field in table.schema if field.name.endswith(suffix)] for suffix in (" kW", " kvar", " pu")
    )

    def matrix(fields: list[pa.Field]) -> Floats:
        return np.column_stack([table[field.name].to_numpy() for field in fields])

    return Profiles(
        name=name,
        times=table["time"].to_numpy().astype("datetime64[s]"),
        load_kw=matrix(kw),
        load_kvar=matrix(kvar),
        pv_pu=matrix(pv),
        load_names=tuple(field.name.removesuffix(" kW") for field in kw),
        load_buses=tuple(field.metadata[b"bus"].decode() for field in kw),
        pv_names=tuple(field.name.removesuffix(" pu") for field in pv),
    )


def _by_name(name: str) -> Any:
    import pandapower as pp  # noqa: PLC0415
    from pandapower import networks  # noqa: PLC0415

    if name in STORED:
        return pp.from_json(str(DATA / name / "net.json"))
    # Some of these networks draw their service cables from Python's global generator: without a seed the same name would
    # be another network in each process, and without the old state loading one would disturb whoever else draws.
    state = random.getstate()
    random.seed(0)
    try:
        function, arguments = BENCHMARKS[name]
        with _quiet():
            return getattr(networks, function)(**arguments)
    finally:
        random.setstate(state)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without pandapower's advice to its own authors: some of its networks are old, or solved once while they are built."""
    logger = logging.getLogger("pandapower")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def _by_code(code: str) -> Any:
    source = f"{SIMBENCH}{code}"
    try:
        simbench = importlib.import_module("simbench")
    except ImportError as error:
        fault = Fault(source, "needs the package simbench, which is not installed", "pip install 'degsim[simbench]'")
        raise FeederError(source, (fault,)) from error
    known = simbench.collect_all_simbench_codes()
    if code not in known:
        raise FeederError(source, f"SimBench has no such network, {nearest(code, known)}")
    with _stumbling(source), _quiet():
        net = simbench.get_simbench_net(code)
    net.pop("profiles", None)  # hundreds of megabytes that no power flow needs
    return net


def _by_path(text: str, told: list[str]) -> Any:
    import pandapower as pp  # noqa: PLC0415

    path = Path(text)
    if not path.is_file():
        if path.suffix == ".json":
            raise FeederError(text, "there is no such file")
        raise FeederError(text, f"is neither a feeder nor a pandapower network file, {nearest(text, names())}")
    reader = OTHER_FORMATS.get(path.suffix.lower())
    if reader is not None:
        fault = Fault(text, f"is a {path.suffix} file; only pandapower JSON is read", _rewriting(path, reader))
        raise FeederError(text, (fault,))
    try:
        content = path.read_text(encoding="utf-8")
        head = json.loads(content)
    except ValueError as error:
        raise FeederError(text, f"is not JSON: {error}") from error
    if not isinstance(head, dict) or head.get("_class") != "pandapowerNet":
        raise FeederError(text, "is not a pandapower network; write one with pandapower.to_json(net, path)")
    told += _conversion(text, head)
    return pp.from_json_string(content, convert=True)


def _rewriting(path: Path, reader: str) -> str:
    return f"import pandapower as pp; pp.to_json(pp.{reader}({path.name!r}), {path.stem + '.json'!r})"


def _conversion(text: str, head: Mapping[str, Any]) -> list[str]:
    """What is said of a file in another format version than pandapower's; raises where it cannot be converted."""
    import pandapower as pp  # noqa: PLC0415
    from packaging.version import InvalidVersion, Version  # noqa: PLC0415  (comes with pandapower)

    content = head.get("_object")
    found = content.get("format_version", content.get("version")) if isinstance(content, dict) else None
    if found is None:
        return []
    ours = pp.__format_version__
    try:
        version = Version(str(found))
    except InvalidVersion:
        fault = Fault("format_version", f"{found!r} is no version; pandapower reads up to {ours}", _WRITE_ANEW)
        raise FeederError(text, (fault,)) from None
    if version > Version(ours):
        fault = Fault("format_version", f"is {found}, pandapower {pp.__version__} reads up to {ours}", _WRITE_ANEW)
        raise FeederError(text, (fault,))
    return [] if version == Version(ours) else [f"was written in format {found}; pandapower converted it to {ours}"]


_WRITE_ANEW = "write it anew with this version's pandapower.to_json"
