"""Feeders by name, and what households and roofs really drew and gave there."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sim.errors import FeederError, nearest
from sim.feeder import Floats

if TYPE_CHECKING:
    from grid_models.powerflow import PandapowerFeeder

DATA = Path(__file__).parent / "data"

STORED = ("simbench-semiurb4",)
"""Data sets of this project: a folder each, with the network, its profiles, their licence and their source."""

BENCHMARKS = {
    "cigre-lv": "create_cigre_network_lv",
    "ieee-european-lv": "ieee_european_lv_asymmetric",
    "kerber-dorfnetz": "create_kerber_dorfnetz",
    "kerber-landnetz-freileitung-1": "create_kerber_landnetz_freileitung_1",
    "kerber-landnetz-freileitung-2": "create_kerber_landnetz_freileitung_2",
    "kerber-landnetz-kabel-1": "create_kerber_landnetz_kabel_1",
    "kerber-landnetz-kabel-2": "create_kerber_landnetz_kabel_2",
    "kerber-vorstadtnetz-1": "create_kerber_vorstadtnetz_kabel_1",
    "kerber-vorstadtnetz-2": "create_kerber_vorstadtnetz_kabel_2",
}
"""Low-voltage networks that come with pandapower, and the functions of ``pandapower.networks`` that build them."""

STEP_S = 900
"""Length of one profile value in seconds."""


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


def load(name_or_path: str, *, transformer_type: str | None = None) -> PandapowerFeeder:
    """The feeder of this name, or of a network file that ``pandapower.to_json`` wrote.

    transformer_type: name of a pandapower standard type that takes the place of the single supply transformer, such as
    ``0.25 MVA 20/0.4 kV``, to make a street short of capacity or give it plenty.

    Loading takes the customers out of the network; the buses at which they stood are ``site_buses``.  A network file can
    make pandapower import modules that it names, so load files that you trust.
    Raises ``FeederError`` for an unknown name or type, a file that is no pandapower network, and a network on which no
    market can be run.
    """
    if name_or_path in names():
        return _feeder(name_or_path, _by_name(name_or_path), transformer_type)
    try:
        return _feeder(Path(name_or_path).stem, _by_path(name_or_path), transformer_type)
    except (AttributeError, LookupError, TypeError, ValueError, ImportError, UserWarning) as error:
        text = f"pandapower cannot work with it: {type(error).__name__}: {error}"
        raise FeederError(name_or_path, text) from error


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
        return getattr(networks, BENCHMARKS[name])()
    finally:
        random.setstate(state)


def _by_path(text: str) -> Any:
    import pandapower as pp  # noqa: PLC0415

    path = Path(text)
    if not path.is_file():
        if path.suffix == ".json":
            raise FeederError(text, "there is no such file")
        raise FeederError(text, f"is neither a feeder nor a pandapower network file, {nearest(text, names())}")
    try:
        content = path.read_text(encoding="utf-8")
        head = json.loads(content)
    except ValueError as error:
        raise FeederError(text, f"is not JSON: {error}") from error
    if not isinstance(head, dict) or head.get("_class") != "pandapowerNet":
        raise FeederError(text, "is not a pandapower network; write one with pandapower.to_json(net, path)")
    return pp.from_json_string(content)


def _feeder(name: str, net: Any, transformer_type: str | None) -> PandapowerFeeder:
    from grid_models import network  # noqa: PLC0415  (pandapower takes seconds to import)
    from grid_models.powerflow import PandapowerFeeder  # noqa: PLC0415

    if transformer_type is not None:
        network.change_transformer(net, name, transformer_type)
    return PandapowerFeeder(name, net)
