"""A comparison as a folder, written when all its runs are done and read back without any of them.

``observations/KEY.parquet`` (one file per run, kept as each ends), ``runs.csv`` and ``runs.parquet`` (every value: one row per
variant, seed and metric), ``table.csv`` and ``table.parquet`` (the statistics: one row per variant and metric) and ``table.md``
lie beside ``comparison.json``, which is written last and in one step and vouches for the others by their digests: a folder
is a finished comparison exactly when it has one that says ``"complete": true``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from results.comparison import text
from results.comparison.model import Cell, Comparison, Failure, Measure, Variant
from results.comparison.statistics import Row, table
from results.files import digest, finished, write_at_once
from results.observation import Observation
from sim.errors import Fault, RunError

FORMAT = 1
"""Version of the folder's layout; a reader refuses every other one."""

MANIFEST = "comparison.json"
OBSERVATIONS = "observations"
OWN = ("format", "study", "seeds", "variants", "axes", "metrics", "failures", "observations", "files", "complete")
"""What the manifest says of itself; a caller adds other things, such as versions and seconds."""

_TEXT, _INT, _FLOAT, _BOOL = pa.string(), pa.int64(), pa.float64(), pa.bool_()


def _column(name: str, kind: pa.DataType, unit: str, description: str, nullable: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"unit": unit, "description": description})


_VARIANT = _column("variant", _TEXT, "", "name of the variant")
_METRIC = _column("metric", _TEXT, "", "name of the metric")
_OF_METRIC = "of the metric"


def _number(name: str, description: str, unit: str = _OF_METRIC) -> pa.Field:
    return _column(name, _FLOAT, unit, f"{description}; empty where there is none", nullable=True)


TABLES: Mapping[str, pa.Schema] = MappingProxyType(
    {
        "runs": pa.schema(
            [
                _VARIANT,
                _column("seed", _INT, "", "seed of the run"),
                _METRIC,
                _column("unit", _TEXT, "", "unit of the value"),
                _number("value", "the run's value"),
            ],
            metadata={"description": "Every value; one row per variant, seed and metric.  Failed runs have no rows."},
        ),
        "table": pa.schema(
            [
                _VARIANT,
                _METRIC,
                _column("unit", _TEXT, "", "unit of the values"),
                _column("better", _TEXT, "", "less, more or nothing: which way is better"),
                _column("seeds", _INT, "1", "runs with a value"),
                _column("failed", _INT, "1", "runs of the variant that failed"),
                _number("mean", "mean over the seeds"),
                _number("mean_half_width", "half the width of the mean's 95 % interval"),
                _number("deviation", "standard deviation over the seeds, with one degree of freedom taken off"),
                _number("median", "median over the seeds"),
                _number("worst", "worst value; without a direction the one farthest from the mean"),
                _column("worst_seed", _INT, "", "seed of the worst value; empty where all are alike", nullable=True),
                _column("baseline", _TEXT, "", "variant that this one is compared with"),
                _column("paired", _BOOL, "", "whether both saw the same arrivals, needs and weather on every seed"),
                _column("pairs", _INT, "1", "seeds in the difference"),
                _column("dropped", _INT, "1", "seeds that both have and one of which has no value"),
                _number("difference", "mean of own less baseline"),
                _number(
                    "low", "lower end of the difference's 95 % interval, not corrected for the number of differences"
                ),
                _number("high", "upper end of it"),
                _column("apart", _BOOL, "", "whether 0 lies outside the interval"),
                _number("p", "p value of a difference of 0", "1"),
                _number("p_holm", "the same, corrected for all differences of the comparison by Holm's rule", "1"),
                _number("better_share", "share of the pairs in which the variant is strictly better", "1"),
            ],
            metadata={"description": "Statistics over the seeds; one row per variant and metric."},
        ),
    }
)
"""The schemas of both tables; ``runs`` has a text column more for every axis, after the variant."""


def write(
    folder: Path, comparison: Comparison, manifest: Mapping[str, Any], keys: Mapping[Cell, str] | None = None
) -> None:
    """Finish a comparison: its tables, then its manifest, which makes the folder complete.

    manifest: what else is to be said of it, such as versions and seconds.  keys: under which names the observations were kept,
    by variant and seed; those without one are named by the hash of their content.  What is not kept yet is written.
    The same comparison gives the same bytes.  Raises ``RunError`` where the manifest would take a name of ``OWN``.
    """
    if taken := [Fault(name, "is said by the comparison itself") for name in manifest if name in OWN]:
        raise RunError(str(folder), tuple(taken))
    (folder / OBSERVATIONS).mkdir(parents=True, exist_ok=True)
    # Whoever writes anew must not leave the old manifest vouching for new tables.
    (folder / MANIFEST).unlink(missing_ok=True)
    kept = [_keep(folder, observation, keys or {}) for observation in comparison.observations]
    rows = table(comparison)
    frames = {"runs": _runs(comparison), "table": _statistics(comparison, rows)}
    contents = {f"{name}.parquet": _parquet(frame) for name, frame in frames.items()}
    contents |= {f"{name}.csv": _csv(frame) for name, frame in frames.items()}
    contents["table.md"] = text.markdown(comparison, rows).encode()
    for name, content in contents.items():
        write_at_once(folder / name, content)
    said = {
        "format": FORMAT,
        "study": comparison.study,
        "seeds": comparison.seeds,
        "variants": [{**dataclasses.asdict(variant), "axes": dict(variant.axes)} for variant in comparison.variants],
        "axes": comparison.axes,
        "metrics": [dataclasses.asdict(measure) for measure in comparison.measures],
        "failures": [dataclasses.asdict(failure) for failure in comparison.failures],
        "observations": kept,
        **manifest,
        "files": {name: {"sha256": hashlib.sha256(content).hexdigest()} for name, content in contents.items()},
        "complete": True,
    }
    write_at_once(folder / MANIFEST, json.dumps(said, indent=2, ensure_ascii=False, allow_nan=False).encode() + b"\n")


def read(folder: Path | str) -> Comparison:
    """The comparison in a folder.

    Raises ``RunError`` where there is no such folder, where it was never finished, has another format, or holds a file that is
    missing or is not the one that was written.
    """
    path = Path(folder)
    said = manifest_of(path)
    faults = [
        fault
        for name, entry in {**said["files"], **{_kept(entry["key"]): entry for entry in said["observations"]}}.items()
        for fault in _untouched(path, name, entry["sha256"])
    ]
    if faults:
        raise RunError(str(path), tuple(faults))
    # Some metrics relate runs to each other and are in no observation's own file.
    runs = pq.read_table(path / "runs.parquet", columns=["variant", "seed", "metric", "value"]).to_pydict()
    values: dict[Cell, dict[str, float]] = {}
    for variant, seed, metric, value in zip(*runs.values(), strict=True):
        values.setdefault((variant, seed), {})[metric] = math.nan if value is None else value
    observations = []
    for entry in said["observations"]:
        name = _kept(entry["key"])
        own = Observation.from_bytes((path / name).read_bytes(), str(path / name))
        more = values.get((own.variant, own.seed), {})
        observations.append(dataclasses.replace(own, values={**own.values, **more}))
    return Comparison(
        study=said["study"],
        variants=tuple(Variant(**entry) for entry in said["variants"]),
        seeds=tuple(said["seeds"]),
        measures=tuple(Measure(**entry) for entry in said["metrics"]),
        observations=tuple(observations),
        failures=tuple(Failure(**entry) for entry in said["failures"]),
    )


def manifest_of(folder: Path) -> dict[str, Any]:
    """What ``comparison.json`` says.  Raises ``RunError`` where the folder is no finished comparison of this format."""
    said = finished(folder, MANIFEST, (FORMAT,), "comparison")
    if missing := [Fault(f"{MANIFEST}/{name}", "is missing") for name in OWN if name not in said]:
        raise RunError(str(folder), tuple(missing))
    return said


def _untouched(folder: Path, name: str, sha256: str) -> tuple[Fault, ...]:
    if not (folder / name).is_file():
        return (Fault(name, "is missing"),)
    return () if digest(folder / name) == sha256 else (Fault(name, "is not the file that was written"),)


def _kept(key: str) -> str:
    return f"{OBSERVATIONS}/{key}.parquet"


def _keep(folder: Path, observation: Observation, keys: Mapping[Cell, str]) -> dict[str, Any]:
    key = keys.get((observation.variant, observation.seed))
    path = folder / _kept(key or "")
    if key is None or not path.is_file():
        content = observation.to_bytes()
        key = key or hashlib.sha256(content).hexdigest()[:32]
        path = folder / _kept(key)
        write_at_once(path, content)
    return {"variant": observation.variant, "seed": observation.seed, "key": key, "sha256": digest(path)}


def _runs(comparison: Comparison) -> pa.Table:
    schema = TABLES["runs"]
    for place, axis in enumerate(comparison.axes, start=1):
        schema = schema.insert(
            place, _column(axis, _TEXT, "", "value given to this path of the scenario", nullable=True)
        )
    axes = {variant.name: variant.axes for variant in comparison.variants}
    names = tuple(measure.name for measure in comparison.measures)
    units = {measure.name: measure.unit for measure in comparison.measures}
    rows = [
        {
            "variant": observation.variant,
            **{axis: axes[observation.variant].get(axis) for axis in comparison.axes},
            "seed": observation.seed,
            "metric": name,
            "unit": units.get(name, ""),
            "value": _known(observation.values.get(name, math.nan)),
        }
        for observation in comparison.observations
        for name in dict.fromkeys((*names, *sorted(observation.values)))
    ]
    return pa.Table.from_pylist(rows, schema=schema)


def _statistics(comparison: Comparison, rows: tuple[Row, ...]) -> pa.Table:
    measures = {measure.name: measure for measure in comparison.measures}
    listed = [_statistic(row, measures[row.metric]) for row in rows]
    described = {f"metric.{name}": f"[{measure.unit}] {measure.summary}" for name, measure in measures.items()}
    schema = TABLES["table"]
    return pa.Table.from_pylist(listed, schema=schema.with_metadata({**schema.metadata, **described}))


def _statistic(row: Row, measure: Measure) -> dict[str, Any]:
    difference = row.difference
    found: dict[str, Any] = {
        "variant": row.variant,
        "metric": row.metric,
        "unit": measure.unit,
        "better": measure.better,
        "seeds": row.seeds,
        "failed": row.failed,
        "mean": row.mean,
        "mean_half_width": row.half,
        "deviation": row.deviation,
        "median": row.median,
        "worst": row.worst,
        "worst_seed": row.worst_seed,
        "baseline": difference.against,
        "paired": difference.paired,
        "pairs": difference.pairs,
        "dropped": difference.dropped,
        "difference": difference.mean,
        "low": difference.low,
        "high": difference.high,
        "apart": difference.apart,
        "p": difference.p,
        "p_holm": difference.p_holm,
        "better_share": difference.better,
    }
    return {name: _known(value) if isinstance(value, float) else value for name, value in found.items()}


def _known(value: float) -> float | None:
    """An empty cell for what is not a number; infinite values stay."""
    return None if math.isnan(value) else value


def _parquet(frame: pa.Table) -> bytes:
    sink = BytesIO()
    pq.write_table(frame, sink, compression="zstd")
    return sink.getvalue()


def _csv(frame: pa.Table) -> bytes:
    sink = BytesIO()
    pacsv.write_csv(frame, sink)
    return sink.getvalue()
