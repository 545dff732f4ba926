"""How a run is written: interval by interval while it lives, and as tables when it is done.

A folder is a run from its first whole interval on.  Everything that an interval adds is written first, ``run.json`` last and
in one step, so that whoever opens the folder after the process died finds all intervals that ``run.json`` counts, and what
came after them is left unread.  In the end the streams of rows become Parquet, and ``run.json`` says ``"complete": true``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from results import derived
from results.files import digest, write_at_once
from results.run import FORMAT, JOURNAL, MANIFEST, WITNESS, Run, read_stream, stream_path, table_path
from results.tables import DERIVED, RECORDED, TABLES, Rows, arrow
from sim.errors import Fault, RunError, nearest


def write(folder: Path, manifest: Mapping[str, Any], tables: Mapping[str, Rows]) -> None:
    """Finish a run whose journal lies in its folder: its tables, then its manifest, which makes the folder complete.

    manifest: everything of ``run.json`` but ``format``, ``tables`` and ``complete``, which are added here.
    tables: rows for each of ``RECORDED``; a nullable column takes None or NaN as empty.
    The bytes of a table depend on its content alone.  Raises ``RunError`` naming each table and column that does not
    fit its schema; nothing is written then.
    """
    frames = _checked(folder, tables)
    # Whoever overwrites a run must not leave the old manifest vouching for new tables.
    (folder / MANIFEST).unlink(missing_ok=True)
    _finish(folder, manifest, frames)


class Draft:
    """The folder of a run while it lives.  To be used as a context: what is open is closed in the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "tables").mkdir(parents=True)
        self.journal: BinaryIO = (folder / JOURNAL).open("wb")
        self._witness = (folder / WITNESS).open("wb")
        self._files: dict[str, BinaryIO] = {}
        self._streams: dict[str, pa.RecordBatchStreamWriter] = {}
        self._standing: dict[str, pa.Table] = {}
        self._rows: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def add(
        self, manifest: Mapping[str, Any], rows: Mapping[str, Rows], standing: Mapping[str, Rows], testimony: bytes
    ) -> None:
        """Write what another interval has brought.

        manifest: as of ``write``, with ``whole``, the number of intervals that are whole now.  rows: those that are new.
        standing: tables that are told anew every time.  testimony: what the witness has signed since.  Raises ``RunError``
        naming each table and column that does not fit its schema.
        """
        batches, tables = self._fit(rows), self._fit(standing)
        self._witness.write(testimony)
        for name, batch in batches.items():
            self._stream(name).write_table(batch)
            self._rows[name] = self._rows.get(name, 0) + batch.num_rows
        for name, table in tables.items():
            if not table.equals(self._standing.get(name)):
                _replace(stream_path(self.folder, name), table)
                self._standing[name] = table
                self._rows[name] = table.num_rows
        for file in (self.journal, self._witness, *self._files.values()):
            file.flush()
        said = {"format": FORMAT, **manifest, "rows": self._rows, "complete": False}
        write_at_once(self.folder / MANIFEST, msgspec.json.encode(said), lasting=False)

    def finish(self, manifest: Mapping[str, Any]) -> None:
        """Turn what was written into a finished run.  manifest: as of ``write``."""
        self._close()
        tables = {name: read_stream(self.folder, name) for name in RECORDED}
        _finish(self.folder, manifest, tables)
        for name in RECORDED:
            stream_path(self.folder, name).unlink(missing_ok=True)

    def _close(self) -> None:
        while self._streams:
            self._streams.popitem()[1].close()
        for file in (self.journal, self._witness, *self._files.values()):
            file.close()

    def _fit(self, rows: Mapping[str, Rows]) -> dict[str, pa.Table]:
        fitted = {name: arrow(name, columns) for name, columns in rows.items()}
        if faults := [fault for _, found in fitted.values() for fault in found]:
            raise RunError(str(self.folder), tuple(faults))
        return {name: table for name, (table, _) in fitted.items()}

    def _stream(self, name: str) -> pa.RecordBatchStreamWriter:
        if name not in self._streams:
            self._files[name] = stream_path(self.folder, name).open("wb")
            self._streams[name] = pa.ipc.new_stream(self._files[name], TABLES[name])
        return self._streams[name]


def _replace(path: Path, table: pa.Table) -> None:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    write_at_once(path, sink.getvalue().to_pybytes(), lasting=False)


def _checked(folder: Path, tables: Mapping[str, Rows]) -> dict[str, pa.Table]:
    faults = [
        Fault(name, f"is not a table of a run; {nearest(name, RECORDED)}") for name in tables if name not in RECORDED
    ]
    faults += [Fault(name, "table is missing") for name in RECORDED if name not in tables]
    frames = {}
    for name in (name for name in RECORDED if name in tables):
        frames[name], found = arrow(name, tables[name])
        faults += found
    if faults:
        raise RunError(str(folder), tuple(faults))
    return frames


def _finish(folder: Path, manifest: Mapping[str, Any], tables: Mapping[str, pa.Table]) -> None:
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    entries = {name: _write_table(table_path(folder, name), table) for name, table in tables.items()}
    run = Run.of(folder, {"format": FORMAT, **manifest, "tables": entries, "complete": True})
    for name in (name for name in TABLES if name in DERIVED):
        table, faults = arrow(name, derived.table(run, name))
        if faults:
            raise RunError(str(folder), tuple(faults))
        entries[name] = _write_table(table_path(folder, name), table)
    complete = {**run.manifest, "tables": {name: entries[name] for name in TABLES}}
    write_at_once(
        folder / MANIFEST, json.dumps(complete, indent=2, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    )


def _write_table(path: Path, table: pa.Table) -> dict[str, Any]:
    pq.write_table(table.combine_chunks(), path, compression="zstd")
    return {"rows": table.num_rows, "sha256": digest(path)}
