"""What sources told: readings by interval, in versions and with their quality; and what stands in where nothing came.

Signals are a JSON object by source.  A source tells one set of fields, ``{"energyKWh": 10}``, or one for every
interval, ``[{"start": "2026-05-17T09:00:00Z", "energyKWh": 2.5, "quality": "ACTUAL", "version": 1}, …]`` (also as
``{"readings": […]}``). Of several versions of one interval the highest counts.  A reading that is MISSING, or did not
come, never counts as zero: the contract's own fallback stands in for it (SUBSTITUTE), or the interval before where the
contract allows an estimate (ESTIMATED), and else the settlement waits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from sim.contracts.agreement import Source
from sim.contracts.document import Document, Reader, kind, pointer, rfc3339, unix_s

_ROOT = "signals:"
_MOST_INTERVALS = 1_000_000


class Quality(StrEnum):
    """How much a reading is worth.  MISSING: nothing came."""

    ACTUAL = "ACTUAL"
    ESTIMATED = "ESTIMATED"
    SUBSTITUTE = "SUBSTITUTE"
    MISSING = "MISSING"


@dataclass(frozen=True, slots=True)
class Reading:
    """What one source told of one interval.

    start: as it was written, and empty where readings go by their order.  fields: as JSON has them.  where: JSON
    pointer.
    """

    start: str
    fields: Mapping[str, object]
    where: str
    version: int = 1
    quality: Quality = Quality.ACTUAL

    @property
    def reference(self) -> str:
        """Pointer and version, as reports name what an amount was computed from; the start where nothing came."""
        place = self.where.removeprefix(_ROOT)
        return f"{place}@{self.version}" if self.version else f"{place}@{self.start or 'none'}"


@dataclass(frozen=True, slots=True)
class Observed:
    """All sources of one settlement, aligned.

    constant: of sources that told one set of fields.  series: a reading per interval of the others, all of one length.
    starts: of the intervals, where anybody stated them.
    """

    constant: Mapping[str, Reading]
    series: Mapping[str, Sequence[Reading]]
    count: int
    starts: tuple[str, ...] = ()
    undeclared: tuple[str, ...] = ()

    def readings(self) -> Iterator[tuple[str, Reading]]:
        """Every reading with its source, in order of sources and intervals."""
        for source, reading in self.constant.items():
            yield source, reading
        for source, readings in self.series.items():
            for reading in readings:
                yield source, reading

    @property
    def provisional(self) -> tuple[tuple[str, Reading], ...]:
        """What was not metered: readings that a later version may correct."""
        return tuple((source, reading) for source, reading in self.readings() if reading.quality is not Quality.ACTUAL)


def observe(
    reader: Reader, signals: Document, sources: Sequence[Source], window: tuple[str, str] | None = None
) -> Observed:
    """Read the signals of one settlement.  What is missing and has no stand-in is a fault; the settlement has to wait.

    window: start and end of what is settled; a source with a refresh interval has to tell of all of it.
    """
    declared = {source.id: source for source in sources}
    told = {name: value for name, value in signals.items() if not declared or name in declared}
    constant: dict[str, Reading] = {}
    series: dict[str, dict[str, Reading]] = {}
    for name, value in told.items():
        place = pointer(_ROOT, name)
        listed = next((key for key in ("readings", "intervals") if isinstance(value, dict) and key in value), None)
        rows = value[listed] if listed and isinstance(value, dict) else value
        if isinstance(rows, list):
            series[name] = _by_interval(reader, rows, pointer(place, listed) if listed else place)
        else:
            constant[name] = _reading(reader, reader.mapping(value, place), place)
    absent = [source for name, source in declared.items() if name not in told and source.fallback]
    starts = _starts(reader, series)
    grid = _grid(reader, window, [*(declared[name] for name in series if name in declared), *absent])
    if grid:
        starts = _on_grid(reader, series, starts, grid)
    for source in absent:
        if starts:
            series[source.id] = {}
        else:
            constant[source.id] = Reading("", source.fallback, source.where, 0, Quality.SUBSTITUTE)
    whole = {name: _completed(reader, declared.get(name, _open(name)), rows, starts) for name, rows in series.items()}
    constant = {
        name: next(iter(_completed(reader, declared.get(name, _open(name)), {"": reading}, [""])))
        for name, reading in constant.items()
    }
    undeclared = tuple(name for name in signals if name not in told)
    timed = tuple(starts) if starts and not starts[0].isdigit() else ()
    return Observed(constant, whole, len(starts) if series else 1, timed, undeclared)


def _open(name: str) -> Source:
    return Source(name, "", {}, pointer(_ROOT, name))


def _by_interval(reader: Reader, rows: list[object], where: str) -> dict[str, Reading]:
    """The best version of each interval, by its start in UTC, or by its number where starts are not stated."""
    best: dict[str, Reading] = {}
    if not rows:
        reader.add(where, "has no readings; the settlement waits for them, and nothing is posted")
    for number, (place, row) in enumerate(reader.objects(rows, where)):
        reading = _reading(reader, row, place)
        key = reading.start or f"{number}"
        known = best.get(key)
        if known is not None and known.version == reading.version:
            reader.add(place, f"version {reading.version} of {key} is also {known.where}", "number the correction")
        if known is None or reading.version > known.version:
            best[key] = reading
    return best


def _reading(reader: Reader, row: Document, where: str) -> Reading:
    quality = row.get("quality", Quality.ACTUAL)
    word = reader.choice(quality, tuple(Quality), f"{where}/quality")
    version = row.get("version", 1)
    if not isinstance(version, int) or isinstance(version, bool) or version < 0:
        reader.add(f"{where}/version", f"expected a whole number, found {kind(version)}")
        version = 1
    start = row.get("start", "")
    if start != "":
        at = reader.moment(start, f"{where}/start")
        start = "" if at is None else rfc3339(at)
    return Reading(str(start), row, where, version, Quality(word) if word else Quality.MISSING)


def _starts(reader: Reader, series: Mapping[str, Mapping[str, Reading]]) -> list[str]:
    """All intervals that any source told of, in order of time."""
    keys = list(dict.fromkeys(key for rows in series.values() for key in rows))
    stated = {bool(reading.start) for rows in series.values() for reading in rows.values()}
    if len(stated) > 1:
        reader.add("signals", "some readings state their start and others do not", "state it for all or for none")
        return keys
    return sorted(keys) if stated == {True} else sorted(keys, key=int)


def _grid(reader: Reader, window: tuple[str, str] | None, sources: Sequence[Source]) -> list[str]:
    """Starts of the intervals of a window; none where no source says how often it tells."""
    steps = {source.id: source.refresh_s for source in sources if source.refresh_s}
    if window is None or not steps:
        return []
    if len({*steps.values()}) > 1:
        said = ", ".join(f"{name} every {step} s" for name, step in steps.items())
        reader.add("signals", f"{said}: readings of different length cannot be put side by side", "send them alike")
        return []
    step_s = next(iter(steps.values()))
    first, end = (unix_s(text) for text in window)
    return [rfc3339(at) for at in range(first, min(end, first + _MOST_INTERVALS * step_s), step_s)]


def _on_grid(
    reader: Reader, series: Mapping[str, Mapping[str, Reading]], starts: list[str], grid: list[str]
) -> list[str]:
    """The grid, where readings state their start; as many readings as it has intervals, where not."""
    if starts and starts[0].isdigit():
        if len(starts) != len(grid):
            what = f"{len(starts)} readings came for the {len(grid)} intervals of the contract's window"
            reader.add("signals", what, "the settlement waits; state the start of each to say which are missing")
        return starts
    known = set(grid)
    for rows in series.values():
        for start, reading in rows.items():
            if start not in known:
                what = f"{start} is no interval of the contract's window, which begins {grid[0]} and has {len(grid)}"
                reader.add(f"{reading.where}/start", what)
    return grid


def _completed(
    reader: Reader, source: Source, rows: Mapping[str, Reading], starts: Sequence[str]
) -> tuple[Reading, ...]:
    """A reading for every interval, with stand-ins where the contract has some."""
    found: list[Reading] = []
    missing: list[Reading] = []
    for start in starts:
        reading = rows.get(start) or Reading(start, {}, pointer(_ROOT, source.id), 0, Quality.MISSING)
        if reading.quality is Quality.MISSING:
            reading = _stand_in(source, reading, found)
        if reading.quality is Quality.MISSING:
            missing.append(reading)
        found.append(reading)
    if missing:
        times = ", ".join(reading.start for reading in missing[:3] if reading.start)
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        at = f" of {times}{more}" if times else ""
        what = f"{source.id} has no reading{at}; the settlement waits for it, and nothing is posted"
        remedy = f"send it, or give {source.id} a fallback or onMissing: ESTIMATE in the contract"
        reader.add(missing[0].where, what, remedy)
    return tuple(found)


def _stand_in(source: Source, reading: Reading, earlier: Sequence[Reading]) -> Reading:
    """What the contract puts in the place of a missing reading; that itself where it puts nothing."""
    if source.fallback:
        return replace(reading, fields={**reading.fields, **source.fallback}, quality=Quality.SUBSTITUTE)
    last = next((other for other in reversed(earlier) if other.quality is not Quality.MISSING), None)
    if source.estimate and last is not None:
        return replace(reading, fields=last.fields, quality=Quality.ESTIMATED)
    return reading
