"""The sections of a run's page, in the order of its links."""

from __future__ import annotations

from results.report.page import Section
from results.report.sections import summary
from results.run import Run

SECTIONS: tuple[Section[Run], ...] = (Section("summary", "Summary", summary.data, ("summary.js",)),)
"""Every section; a new one is a module, its files under ``assets``, and a line here."""
