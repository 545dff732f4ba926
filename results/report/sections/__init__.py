"""The sections of a run's page, in the order of its links."""

from __future__ import annotations

from results.report.page import Section
from results.report.sections import audit, messages, moment, money, over_time, summary
from results.run import Run

SECTIONS: tuple[Section[Run], ...] = (
    Section("summary", "Summary", summary.data, ("summary.js",)),
    Section("time", "Over time", over_time.data, ("over_time.js",), timed=True),
    Section("moment", "One interval", moment.data, ("feeder.js", "clearing.js", "moment.js"), timed=True),
    Section("messages", "Messages", messages.data, ("archive.js", "messages.js"), ("messages.css",)),
    Section("money", "Money", money.data, ("archive.js", "money.js"), ("money.css",)),
    Section("audit", "Audit", audit.data, ("audit.js",)),
)
"""Every section; a new one is a module, its files under ``assets``, and a line here."""
