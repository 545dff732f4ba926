"""What is kept of one finished run when many are compared: its metrics and its parties, in one small Parquet file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sim.errors import RunError

FORMAT = 1
"""Version of the file's layout; a reader refuses every other one."""

_META = b"degsim.observation"

PARTIES = pa.schema(
    [
        pa.field("party", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("net", pa.float64(), nullable=False),
        pa.field("unserved_kwh", pa.float64(), nullable=False),
        pa.field("lacked", pa.float64(), nullable=False),
    ]
)
"""One row per party.

party: the connection point, or who has none; kind: ``site`` for connection points, else the kind of participant.  net: received
less paid [currency].  unserved_kwh: energy that its vehicles were short of on departure; lacked: what that is worth at the
scenario's price cap [currency].
"""


@dataclass(frozen=True, slots=True)
class Observation:
    """One run of a comparison.

    variant, seed: its cell.  currency: of all money.  values: metrics by name, NaN where a run has none.  truth: digest of what
    nobody can influence (arrivals, needs, sun), equal for all variants that were tried on the same days.  stopped: when and why
    its policy was stopped, so that the values are partly those of the fallback; empty where it was not.  notes: what else went
    wrong without ending the run.  parties: a frame as ``PARTIES`` says.
    """

    variant: str
    seed: int
    currency: str
    values: Mapping[str, float]
    truth: str
    parties: pd.DataFrame = field(compare=False)
    stopped: str = ""
    notes: tuple[str, ...] = ()

    def to_bytes(self) -> bytes:
        """The observation as a Parquet file of its parties, with everything else in the file's metadata."""
        facts: dict[str, Any] = {
            "format": FORMAT,
            "variant": self.variant,
            "seed": self.seed,
            "currency": self.currency,
            "values": {name: None if math.isnan(value) else repr(value) for name, value in self.values.items()},
            "truth": self.truth,
            "stopped": self.stopped,
            "notes": list(self.notes),
        }
        table = pa.Table.from_pandas(self.parties, schema=PARTIES, preserve_index=False)
        sink = BytesIO()
        pq.write_table(table.replace_schema_metadata({_META: json.dumps(facts).encode()}), sink, compression="zstd")
        return sink.getvalue()

    @staticmethod
    def from_bytes(data: bytes, source: str) -> Observation:
        """Read what ``to_bytes`` wrote.  source: named in the ``RunError`` that anything else raises."""
        try:
            table = pq.read_table(BytesIO(data))
            facts = json.loads((table.schema.metadata or {})[_META])
        except (pa.ArrowException, OSError, KeyError, ValueError) as error:
            raise RunError(source, f"is no observation of a run: {error}") from error
        if facts.get("format") != FORMAT:
            raise RunError(source, f"has format {facts.get('format')!r}, and this version reads {FORMAT}")
        return Observation(
            variant=facts["variant"],
            seed=facts["seed"],
            currency=facts["currency"],
            values={name: math.nan if text is None else float(text) for name, text in facts["values"].items()},
            truth=facts["truth"],
            parties=table.to_pandas(),
            stopped=facts.get("stopped", ""),
            notes=tuple(facts["notes"]),
        )
