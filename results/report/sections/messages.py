"""Every message of a run: its JSON to the letter, its verdict and signature, and what a label says of it."""

from __future__ import annotations

from typing import Any

from results.exchange import signed, signs
from results.report.archive import of_run
from results.report.page import Content
from results.run import Run
from results.sequence.fields import ACTION_FIELDS, BAG_FIELDS, COMMITTED, MAKING, STATE


def data(run: Run) -> Content | None:
    """The archive as a blob, and what cannot be read from a message itself; None where nobody said anything.

    signed: whether this run signs.  failed: why a signature does not hold, by the number of the message.  unchecked: numbers of
    those that were let in without a look.  fields: which values a label names.
    """
    carried = of_run(run)
    if not carried.count:
        return None
    checked = tuple(signed(run)) if signs(run) else ()
    value: dict[str, Any] = {
        "count": carried.count,
        "left": carried.left,
        "run": str(run.manifest["name"]),
        "intervalS": run.calendar.interval_s,
        "signed": signs(run),
        "failed": {str(one.seq): "; ".join(fault.what for fault in one.faults) for one in checked if one.faults},
        "unchecked": [one.seq for one in checked if one.unchecked],
        "fields": {
            "actions": ACTION_FIELDS,
            "bags": BAG_FIELDS,
            "making": sorted(MAKING),
            "committed": COMMITTED,
            "state": STATE,
        },
    }
    return Content(value, {"archive": carried.deflated})
