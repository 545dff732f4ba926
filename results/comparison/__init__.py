"""Many runs beside each other: what was compared, what the seeds say (``statistics``), as ``text`` and as a ``folder``."""

from results.comparison.folder import MANIFEST, write
from results.comparison.model import POLICY, Comparison, Failure, Measure, Variant, related
from results.comparison.statistics import Difference, Row, table
from results.comparison.text import headline, markdown, render

__all__ = [
    "MANIFEST",
    "POLICY",
    "Comparison",
    "Difference",
    "Failure",
    "Measure",
    "Row",
    "Variant",
    "headline",
    "markdown",
    "related",
    "render",
    "table",
    "write",
]
