"""What sets two finished runs apart: what was asked of them, where they first part, and which totals moved.

``difference`` finds it, ``render`` tells it to a person, ``as_json`` to a program.
"""

from results.difference.documents import Field, Names, fields
from results.difference.model import Differences, Entry, First, Side, Total
from results.difference.runs import difference
from results.difference.text import as_json, render

__all__ = [
    "Differences",
    "Entry",
    "Field",
    "First",
    "Names",
    "Side",
    "Total",
    "as_json",
    "difference",
    "fields",
    "render",
]
