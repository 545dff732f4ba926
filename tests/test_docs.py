"""What the pages under docs/ show is what the commands say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agents.deal import SIGNALS
from scenarios.cli import main
from sim.market.policies import POLICIES
from sim.market.policies.peers import PEERS
from sim.market.policy import PROMISES

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
CLEARING = (ROOT / "docs" / "clearing.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def shown(page: str, command: str) -> list[str]:
    """The lines that a page shows below a command, without blank ones."""
    block = next(text for text in re.findall(r"```\n(.*?)```", page, re.DOTALL) if text.startswith(f"$ {command}"))
    return [line for line in block.splitlines()[1:] if line and line != "…"]


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    main([*arguments])
    return [line for line in capsys.readouterr().out.splitlines() if line]


def test_the_laboratory_shows_every_policy_as_the_page_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(CLEARING, "degsim clear rosetta-a --policy all")
    assert lines == told(capsys, "clear", "rosetta-a", "--policy", "all")[: len(lines)]


def test_the_readme_shows_the_laboratory_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(README, "degsim clear rosetta-a")
    names = [line.split()[0] for line in lines if line.split()[0] in POLICIES]
    arguments = [part for name in names for part in ("--policy", name)]
    assert lines == told(capsys, "clear", "rosetta-a", *arguments)[: len(lines)]


def test_every_policy_of_the_literature_is_in_the_table_with_what_it_promises() -> None:
    rows = {
        row[0].strip(" `"): row
        for row in (line.split("|")[1:-1] for line in CLEARING.splitlines() if line[:3] == "| `")
    }
    for name, policy in POLICIES.items():
        if name in PEERS:
            assert f"`{name}`" in CLEARING
            continue
        _, summary, promises, truthful, source = (cell.strip() for cell in rows[name])
        assert summary == policy.summary
        assert promises.split(", ") == [promise for promise in PROMISES if promise in policy.promises]
        assert truthful == (policy.truthful or "")
        assert source == policy.source


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_links_exists(page: Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_page_of_deals_tells_every_signal_as_the_code_does() -> None:
    page = (ROOT / "docs" / "deals.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \| (.*) \|$", page, re.MULTILINE) == list(SIGNALS.items())
