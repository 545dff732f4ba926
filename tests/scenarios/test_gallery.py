"""The gallery shows every scenario that ships, by pictures that it has something for, and is as it would be drawn today."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from results.notebook import picture
from results.plots import PLOTS
from results.run import Run
from scenarios import gallery
from scenarios.reader import read
from scenarios.runner import execute
from sim.errors import ScenarioError
from tests.scenarios.hamlets import HAMLET

SCENARIOS = gallery.read_table().scenarios
STORED = (gallery.GALLERY / gallery.PAGE).read_text(encoding="utf-8")
MOST_BYTES = 6_000_000


def changed(tmp_path: Path, **parts: Any) -> Path:
    """The table with scenarios or studies changed; None removes one."""
    said = yaml.safe_load(gallery.TABLE.read_text(encoding="utf-8"))
    for part, changes in parts.items():
        said[part] = {name: value for name, value in {**said[part], **changes}.items() if value is not None}
    path = tmp_path / "pictures.yaml"
    path.write_text(yaml.safe_dump(said, sort_keys=False), encoding="utf-8")
    return path


def test_every_scenario_that_ships_has_its_pictures_in_the_gallery_and_nothing_else_has() -> None:
    assert set(SCENARIOS) == set(gallery.shipped().values())
    wanted = {f"{path.stem}/{name}.png" for path, names in SCENARIOS.items() for name in names}
    stored = {path.relative_to(gallery.GALLERY).as_posix() for path in gallery.GALLERY.glob("*/*")}
    assert stored == wanted


def test_the_page_has_a_sentence_for_every_picture_and_every_link_leads_somewhere() -> None:
    pictures = re.findall(r"^\*\*(.+)\*\* \((.+)\)\n\n!\[(.+)\]\((.+)\)$", STORED, re.MULTILINE)
    assert len(pictures) == STORED.count("![")
    assert len(pictures) == sum(map(len, SCENARIOS.values())) + sum(map(len, gallery.read_table().studies.values()))
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", STORED) if "://" not in link]
    assert [link for link in links if not (gallery.GALLERY / link).exists()] == []
    anchors = set(re.findall(r"\]\(#([^)]+)\)", STORED))
    assert anchors == set(re.findall(r"^## (.+)$", STORED, re.MULTILINE))


def test_every_scenario_says_what_it_is_about() -> None:
    missing = [name for name, path in gallery.shipped().items() if not read(path).description]
    assert missing == []


def test_the_gallery_stays_small() -> None:
    assert sum(path.stat().st_size for path in gallery.GALLERY.rglob("*") if path.is_file()) < MOST_BYTES


def test_everything_wrong_with_the_table_is_said_at_once(tmp_path: Path) -> None:
    wrong = {"street": None, "strete": ["prices"], "village": ["price"], "town": [], "herding": ["stability"] * 5}
    path = changed(tmp_path, scenarios=wrong, studies={"ten-policies": ["difference", "sweep"]})
    with pytest.raises(ScenarioError) as caught:
        gallery.read_table(path)
    assert [(fault.where, fault.what) for fault in caught.value.faults] == [
        ("street", "this scenario ships and has no pictures"),
        ("village", "no plot price; did you mean prices?"),
        ("town", "has 0 pictures, and 1 to 4 tell a story"),
        ("herding", "has 5 pictures, and 1 to 4 tell a story"),
        ("strete", "no such scenario ships; did you mean street?"),
        ("ten-policies", "no picture difference; did you mean differences?"),
        ("ten-policies", f"sweep.png is not in {gallery.DRAWN / 'ten-policies'}"),
    ]


@pytest.fixture
def small() -> gallery.Table:
    return gallery.Table({HAMLET: ("prices", "messages")}, {"ten-policies": ("seeds",)})


def test_a_gallery_is_drawn_with_what_stands_over_each_picture(tmp_path: Path, small: gallery.Table) -> None:
    page = gallery.draw(small, tmp_path / "gallery", workers=1)
    run = Run(execute(read(HAMLET), tmp_path / "run"))
    text = page.read_text(encoding="utf-8")
    assert "Four houses, two roofs and a battery on one line. [hamlet.yaml]" in text
    for name in ("prices", "messages"):
        shown = picture(run, name)
        assert f"**{shown.claim}.** ({PLOTS[name].summary})" in text
        shown.save(tmp_path / "again.png", gallery.DPI)
        assert (tmp_path / "again.png").read_bytes() == (tmp_path / "gallery" / "hamlet" / f"{name}.png").read_bytes()
    assert (tmp_path / "gallery" / re.findall(r"\]\((\S+/seeds\.png)\)", text)[0]).is_file()


def test_what_is_shown_no_more_is_taken_down_and_other_files_are_left_alone(
    tmp_path: Path, small: gallery.Table
) -> None:
    folder = tmp_path / "gallery"
    for name in ("gone", "hamlet"):
        (folder / name).mkdir(parents=True)
        (folder / name / "messages.png").write_bytes(b"")
    (folder / "hamlet" / "notes.txt").write_text("mine", encoding="utf-8")
    (folder / gallery.PAGE).write_text(gallery.WRITTEN, encoding="utf-8")
    gallery.draw(gallery.Table({HAMLET: ("prices",)}, small.studies), folder, workers=1)
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()) == [
        "README.md",
        "hamlet/notes.txt",
        "hamlet/prices.png",
    ]
    assert (folder / gallery.PAGE).read_text(encoding="utf-8").count("![") == 2


def test_a_folder_that_holds_something_else_is_left_alone(
    tmp_path: Path, small: gallery.Table, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.tex").write_text("mine", encoding="utf-8")
    monkeypatch.setattr(gallery, "read_table", lambda: small)
    assert gallery.main([str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"degsim: {tmp_path}: is neither empty nor a gallery; choose another\n"
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.slow
@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_what_hangs_there_is_what_would_be_drawn_today(path: Path, tmp_path: Path) -> None:
    hung = gallery.hang(path, SCENARIOS[path], tmp_path)
    for name, claim in hung.claims.items():
        drawn, stored = (folder / path.stem / f"{name}.png" for folder in (tmp_path, gallery.GALLERY))
        assert drawn.read_bytes() == stored.read_bytes(), f"{path.stem}/{name}: run make gallery"
        assert f"**{claim.removesuffix('.')}" in STORED
