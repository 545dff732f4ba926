"""What sources told: readings by interval, in versions and with their quality; and what stands in where nothing came.

Signals are a JSON object by source.  A source tells one set of fields, ``{"energyKWh": 10}``, or one for every
interval, ``[{"start": "2026-05-17T09:00:00Z", "energyKWh": 2.5, "quality": "ACTUAL", "version": 1}, …]`` (also as
``{"readings": […]}``). Of several versions of one interval the highest counts.  A reading that is MISSING, or did not
come, never counts as zero: the contract's own fallback stands in for it (SUBSTITUTE), or the interval before where the
contract allows an estimate (ESTIMATED), and else the settlement waits.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from sim.contracts.agreement import Source
from sim.contracts.document import Document, Reader, kind, pointer

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
        """Pointer and version, as reports name what an amount was computed from."""
        return f"{self.where.removeprefix(_ROOT)}@{self.version}"


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
        rows = value.get("readings", value.get("intervals")) if isinstance(value, dict) else value
        if isinstance(rows, list):
            series[name] = _by_interval(reader, rows, place)
        else:
            constant[name] = _reading(reader, reader.mapping(value, place), place)
    starts = _starts(reader, series)
    if window is not None and _are_times(starts):
        starts = _window_starts(
            reader, window, starts, [declared[name].refresh_s for name in series if name in declared]
        )
    whole = {
        name: tuple(_completed(reader, declared.get(name, _open(name)), rows, starts)) for name, rows in series.items()
    }
    for name, source in declared.items():
        if name not in told and source.fallback:
            constant[name] = Reading("", source.fallback, source.where, 0, Quality.SUBSTITUTE)
    constant = {
        name: _substituted(reader, declared.get(name, _open(name)), reading) for name, reading in constant.items()
    }
    undeclared = tuple(name for name in signals if name not in told)
    intervals = len(starts) if series else 1
    return Observed(constant, whole, intervals, tuple(starts) if _are_times(starts) else (), undeclared)


def _open(name: str) -> Source:
    return Source(name, "", {}, pointer(_ROOT, name))


def _by_interval(reader: Reader, rows: list[object], where: str) -> dict[str, Reading]:
    """The best version of each interval, by its start, or by its number where starts are not stated."""
    best: dict[str, Reading] = {}
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
    start = reader.text(start, f"{where}/start") if start != "" else ""
    return Reading(start, row, where, version, Quality(word) if word else Quality.MISSING)


def _starts(reader: Reader, series: Mapping[str, Mapping[str, Reading]]) -> list[str]:
    """All intervals that any source told of, in order of time."""
    keys = list(dict.fromkeys(key for rows in series.values() for key in rows))
    stated = {bool(reading.start) for rows in series.values() for reading in rows.values()}
    if len(stated) > 1:
        reader.add(_ROOT, "some readings state their start and others do not", "state it for all of them or for none")
        return keys
    if stated == {True}:
        places = {key: reading.where for rows in series.values() for key, reading in rows.items()}
        moments = {key: moment(reader, key, f"{places[key]}/start") for key in keys}
        return sorted(keys, key=lambda key: moments[key])
    return sorted(keys, key=int)


def moment(reader: Reader, text: str, where: str) -> float:
    """Unix time of an RFC 3339 date-time with its offset."""
    try:
        stamp = msgspec.convert(text, datetime.datetime)
    except msgspec.ValidationError:
        stamp = None
    if stamp is None or stamp.tzinfo is None:
        reader.add(where, f"{text!r} is no time with an offset", "such as 2026-05-17T09:00:00Z")
        return 0.0
    return stamp.timestamp()


def _window_starts(
    reader: Reader, window: tuple[str, str], starts: list[str], refreshes: Sequence[int | None]
) -> list[str]:
    """The intervals of a window, so that one of which nobody told is missed; as they are where no source says how often."""
    step_s = next((refresh for refresh in refreshes if refresh), None)
    if step_s is None:
        return starts
    first, end = (moment(reader, text, "/timeWindow") for text in window)
    known = {moment(reader, start, _ROOT): start for start in starts}
    for outside in [start for at, start in known.items() if not first <= at < end]:
        reader.add(_ROOT, f"a reading of {outside} is outside the contract's {window[0]} to {window[1]}")
    count = min(round((end - first) / step_s), _MOST_INTERVALS)
    wanted = [first + k * step_s for k in range(count)]
    return [known.get(at) or _rfc3339(at) for at in sorted({*wanted, *known})]


def _rfc3339(at: float) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat().replace("+00:00", "Z")


def _are_times(starts: Sequence[str]) -> bool:
    return bool(starts) and not starts[0].isdigit()


def _completed(reader: Reader, source: Source, rows: Mapping[str, Reading], starts: Sequence[str]) -> Iterator[Reading]:
    """A reading for every interval, with stand-ins where the contract has some."""
    last: Reading | None = None
    for number, start in enumerate(starts):
        missing = Reading(start, {}, pointer(pointer(_ROOT, source.id), number), 0, Quality.MISSING)
        reading = rows.get(start, missing)
        if reading.quality is Quality.MISSING and not source.fallback and source.estimate and last is not None:
            reading = Reading(start, last.fields, reading.where, reading.version, Quality.ESTIMATED)
        yield (reading := _substituted(reader, source, reading))
        if reading.quality is not Quality.MISSING:
            last = reading


def _substituted(reader: Reader, source: Source, reading: Reading) -> Reading:
    if reading.quality is not Quality.MISSING:
        return reading
    if source.fallback:
        fields = {**reading.fields, **source.fallback}
        return Reading(reading.start, fields, reading.where, reading.version, Quality.SUBSTITUTE)
    at = f" of {reading.start}" if reading.start else ""
    what = f"{source.id} has no reading{at}; the settlement waits for it, and nothing is posted"
    reader.add(reading.where, what, f"send it, or give {source.id} a fallback or onMissing: ESTIMATE in the contract")
    return reading
