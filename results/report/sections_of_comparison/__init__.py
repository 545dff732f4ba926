"""The sections of a comparison's page, in the order of its links."""

from __future__ import annotations

from results.report.page import Section
from results.report.sections_of_comparison import differences, failures, means, overview, sweep, tradeoff, worst
from results.report.sections_of_comparison.subject import Subject

_SHARED = "comparison.js"
"""What the scripts of all sections use; it reads the data of ``overview``."""

_STYLES = ("comparison.css",)

SECTIONS: tuple[Section[Subject], ...] = (
    Section("overview", "Overview", overview.data, (_SHARED, "comparison_overview.js"), _STYLES),
    Section("means", "Means", means.data, (_SHARED, "comparison_means.js"), _STYLES),
    Section("differences", "Differences", differences.data, (_SHARED, "comparison_differences.js"), _STYLES),
    Section("tradeoff", "Trade-off", tradeoff.data, (_SHARED, "comparison_tradeoff.js"), _STYLES),
    Section("sweep", "Sweep", sweep.data, (_SHARED, "comparison_sweep.js"), _STYLES),
    Section("worst", "Worst seeds", worst.data, (_SHARED, "comparison_worst.js"), _STYLES),
    Section("failures", "Failed runs", failures.data, (_SHARED, "comparison_failures.js"), _STYLES),
)
"""Every section; one without anything to show is left out of the page."""
