"""A real browser draws what we write: every page's diagram, and names that look like Mermaid."""

from __future__ import annotations

from pathlib import Path

import pytest

from results.sequence.mermaid import escaped
from tests.use_cases.rendering import diagrams, draw, fetch, missing

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=missing() or "everything is there")]

NASTY = (
    "end", "loop 3 times", "wrap: me", "a;b", "100 #35; %", "<b>bold</b>", "%%{init: {}}%%", "$$x$$", "`code`", "a -->> b: c", "p1", "{}",
    "rect", "Note over p1: x", "é ñ 電", "a&amp;b", "\\n", '"quoted"', "x:y", "as", "+-x",
)  # fmt: skip


@pytest.fixture(scope="session")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        return fetch(tmp_path_factory.mktemp("npm"))
    except OSError as error:
        pytest.skip(str(error))


def test_every_diagram_of_the_pages_is_drawn(script: Path, tmp_path: Path) -> None:
    texts = diagrams()
    drawn = draw(texts, script, tmp_path)
    assert {name: one.error for name, one in drawn.items() if one.error} == {}
    assert set(drawn) == set(texts)
    assert all(one.width > 0 and one.height > 0 for one in drawn.values())


def test_whatever_a_name_contains_is_shown_as_it_is(script: Path, tmp_path: Path) -> None:
    lines = ["sequenceDiagram", *(f"participant p{k} as {escaped(name)}" for k, name in enumerate(NASTY))]
    lines += [f"p{k}->>p0: {escaped(name)}" for k, name in enumerate(NASTY)]
    (one,) = draw({"nasty": "\n".join(lines)}, script, tmp_path).values()
    assert one.error == ""
    words = [word.strip() for word in one.words]
    assert {name: words.count(name) for name in NASTY if words.count(name) < 3} == {}  # above, below and at an arrow
