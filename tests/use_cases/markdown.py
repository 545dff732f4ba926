"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def row(cells: Iterable[str]) -> str:
    """One row; a bar inside a cell is escaped."""
    escaped = (cell.replace("|", "\\|").replace("\n", " ") for cell in cells)
    return f"| {' | '.join(escaped)} |"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], right: int = 0) -> str:
    """A table whose last ``right`` columns are numbers."""
    rules = ["---"] * (len(head) - right) + ["--:"] * right
    return "\n".join([row(head), f"|{'|'.join(rules)}|", *map(row, rows)])
