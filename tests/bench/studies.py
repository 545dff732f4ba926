"""The studies that ship, carried out: their tables and pictures, and the tables of the page that reads them.

``python -m tests.bench.studies docs/studies`` does all of it; what is known already is not run again.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from results.comparison import Comparison
from results.comparison.text import markdown
from scenarios.comparing import default_folder, prepare, show
from scenarios.engine.local import LocalEngine
from scenarios.study import read_study

ROOT = Path(__file__).parents[2]
STUDIES = {"ten-policies": ("differences", "tradeoff", "seeds"), "beliefs": ()}
"""Studies by name, each with the pictures that its page shows."""
PAGE = "ten-policies.md"


def main(arguments: Sequence[str]) -> None:
    pages = Path(arguments[0]) if arguments else ROOT / "docs" / "studies"
    for name, pictures in STUDIES.items():
        study = read_study(ROOT / "scenarios" / "studies" / f"{name}.yaml")
        folder = default_folder(study)
        show(prepare(study, folder), LocalEngine(), _said, _said)
        own = pages / name
        own.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "table.csv", own / "table.csv")
        for picture in pictures:
            shutil.copy(folder / "plots" / f"{picture}.png", own / f"{picture}.png")
        page = (pages / PAGE).read_text(encoding="utf-8")
        (pages / PAGE).write_text(with_table(page, name, Comparison.open(folder)), encoding="utf-8")


def _said(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def with_table(page: str, name: str, comparison: Comparison) -> str:
    """The page with the first table of this comparison between its marks."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    document = markdown(comparison).split("\n\n")
    first = next(part for part in document if part.startswith("| variant"))
    legend = document[document.index(first) + 1]
    return re.sub(f"{begin}.*?{end}", lambda _: f"{begin}\n{first}\n\n{legend}\n{end}", page, flags=re.DOTALL)


if __name__ == "__main__":
    main(sys.argv[1:])
