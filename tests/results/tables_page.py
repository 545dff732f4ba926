"""The page that says what the tables of a run hold: ``python -m tests.results.tables_page`` writes ``docs/tables.md``."""

from __future__ import annotations

from pathlib import Path

from results.tables import DERIVED, TABLES

PAGE = Path(__file__).parents[2] / "docs" / "tables.md"

HEAD = """# The tables of a run

A run folder keeps each of these as `tables/NAME.parquet`; `results.open(RUN).NAME` gives it as a pandas frame, and
`results.open(RUN).NAME.about` says the same as this page. Unit and meaning are in the metadata of the file, too. A `?` after a
type means that the column may be empty. Powers are + into the grid for participants and + downstream (import) at nodes.
How a folder comes about, and how to look at it: [runs.md](runs.md).
"""


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(_section(name) for name in TABLES)])


def _section(name: str) -> str:
    schema = TABLES[name]
    rows = [
        f"| `{field.name}` | {field.type}{'?' if field.nullable else ''} | {field.metadata[b'unit'].decode()} "
        f"| {field.metadata[b'description'].decode().replace('|', chr(92) + '|')} |"
        for field in schema
    ]
    made = "\n\nMade from the journal and the other tables." if name in DERIVED else ""
    head = f"## {name}\n\n{schema.metadata[b'description'].decode()}{made}"
    return "\n".join([head, "", "| column | type | unit | meaning |", "|---|---|---|---|", *rows, ""])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
