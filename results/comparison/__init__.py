"""Many runs beside each other: what was compared (``model``), what the seeds say (``statistics``), as text and as a folder."""

from results.comparison.model import Comparison, Failure, Measure, Relative, Variant, related
from results.comparison.statistics import Difference, Row, table

__all__ = ["Comparison", "Difference", "Failure", "Measure", "Relative", "Row", "Variant", "related", "table"]
