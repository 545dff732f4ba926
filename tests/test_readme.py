"""What the README shows works as it stands there."""

from __future__ import annotations

import importlib
import io
import json
import re
from pathlib import Path

import pytest

from scenarios import catalog, cli
from scenarios.build import build
from scenarios.reader import read
from scenarios.runner import execute
from scenarios.timing import Stopwatch
from sim.market.certificate import certify
from sim.market.problem import Problem

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def block(language: str, begins: str) -> str:
    """The fenced block of this language that contains ``begins``."""
    blocks = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return next(text for text in blocks if begins in text)


def test_the_short_scenario_can_be_built(tmp_path: Path) -> None:
    path = tmp_path / "my-street.yaml"
    path.write_text(block("yaml", "populations:"), encoding="utf-8")
    built = build(read(path), io.BytesIO(), Stopwatch())
    assert len(built.resources) == 41 + 30 + 1
    built.world.close()


def test_the_example_policy_is_found_and_certified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_lab.py").write_text(block("python", "sellers_choice"), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    policy = catalog.policy("my_lab:sellers_choice")
    seen: list[Problem] = []
    path = tmp_path / "my-street.yaml"
    path.write_text(block("yaml", "populations:").replace("duration_h: 24", "duration_h: 1"), encoding="utf-8")
    built = build(read(path), io.BytesIO(), Stopwatch())
    built.world.run(lambda interval, _: seen.append(built.market.rounds[interval.index].problem))  # type: ignore[arg-type]
    built.world.close()
    assert len(seen) == 4
    for problem in seen:
        assert certify(problem, policy.clear(problem)).certified


def test_every_file_that_is_linked_exists() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (Path(__file__).parents[1] / link).exists()] == []


def test_the_example_contract_settles_as_it_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "contract.json").write_text(block("json", "contractId"), encoding="utf-8")
    (tmp_path / "signals.json").write_text('{"meter-1": {"energyKWh": 10}}', encoding="utf-8")
    assert cli.main(["settle", str(tmp_path / "contract.json"), "--signals", str(tmp_path / "signals.json")]) == 0
    assert json.loads(capsys.readouterr().out)["balances"] == {"ev-1": -1.75, "solar-1": 1.5, "utility": 0.25}


def test_the_messages_section_prints_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every line shown is printed; ``…`` stands for what was left out."""
    monkeypatch.chdir(tmp_path)
    text = README.partition("## Speak Beckn")[2].partition("\n## ")[0]
    shown = [line for line in re.findall(r"```\n(.*?)```", text, re.DOTALL)[0].splitlines() if line[0] not in "$…"]
    assert cli.main(["schema", "--out", "wire"]) == 0
    assert f"{len(list((tmp_path / 'wire' / 'examples').iterdir()))} example" in text
    capsys.readouterr()
    assert cli.main(["convert", "wire/examples/confirm-1.json", "--to", "rc"]) == 0
    message, notes = capsys.readouterr()
    for old, new in (('"2.0.0"', '"2.0"'), ('"CREATED"', '"DONE"'), ('"bap_id"', '"bapId"')):
        message = message.replace(old, new)
    Path("confirm-rc.json").write_text(message, encoding="utf-8")
    assert cli.main(["validate", "confirm-rc.json"]) == 1
    printed = (notes + capsys.readouterr().out).splitlines()
    missing = [s for s in shown if not any(re.fullmatch(re.escape(s).replace("…", ".*"), p) for p in printed)]
    assert missing == []


def test_the_sequence_that_is_shown_is_what_the_command_writes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = [line for line in block("", "$ degsim sequence").splitlines() if line and line[0] not in "$…"]
    run = execute(read(Path(__file__).parents[1] / "scenarios" / "use_cases" / "peer-to-peer.yaml"), tmp_path / "run")
    capsys.readouterr()
    assert cli.main(["sequence", str(run)]) == 0
    written = iter(line.rstrip() for line in capsys.readouterr().out.splitlines())
    assert [line for line in shown if line not in written] == []
