"""The gallery: every scenario that ships, run, with the few pictures that tell its story.

``python -m scenarios.gallery [DIR]`` draws it.  ``results/gallery/pictures.yaml`` says which pictures these are.  Beside them a
page is written, with the sentence that stands over each.  The same versions draw the same bytes.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import yaml

from results.notebook import picture
from results.plots import PLOTS
from results.plots.comparison import PICTURES
from results.run import Run
from scenarios.reader import read
from scenarios.runner import execute
from sim.errors import DegsimError, Fault, ScenarioError, nearest

ROOT = Path(__file__).parents[1]
GALLERY = ROOT / "results" / "gallery"
TABLE = GALLERY / "pictures.yaml"
STUDIES = ROOT / "scenarios" / "studies"
DRAWN = ROOT / "docs" / "studies"
"""Where the pictures of studies lie: a study is hundreds of runs, and is drawn by whoever carries it out."""

MOST = 4
"""Pictures of one scenario."""
DPI = 90
"""Dots per inch: enough to read every label, and half the bytes of a picture for a page of its own."""

PAGE = "README.md"
WRITTEN = "<!-- Written by `make gallery`; change results/gallery/pictures.yaml, a scenario or a plot. -->"


@dataclass(frozen=True, slots=True)
class Hung:
    """A scenario in the gallery: its file, what it says of itself, and by its pictures the sentences over them."""

    path: Path
    description: str
    claims: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    """What is shown: the pictures of each scenario, by its file, and of each study, by its name."""

    scenarios: Mapping[Path, tuple[str, ...]]
    studies: Mapping[str, tuple[str, ...]]


def shipped() -> dict[str, Path]:
    """Every scenario that ships, by its name."""
    found = sorted((ROOT / "scenarios").rglob("*.yaml"))
    return {path.stem: path for path in found if path.parent != STUDIES}


def read_table(path: Path = TABLE) -> Table:
    """What the gallery shows.  Raises ``ScenarioError`` with every scenario that is missing or not there, and every picture."""
    said = yaml.safe_load(path.read_text(encoding="utf-8"))
    faults = (*_scenario_faults(said["scenarios"]), *_study_faults(said["studies"]))
    if faults:
        raise ScenarioError(str(path), faults)
    paths = shipped()
    return Table(
        {paths[name]: tuple(names) for name, names in said["scenarios"].items()},
        {name: tuple(names) for name, names in said["studies"].items()},
    )


def _scenario_faults(said: Mapping[str, Sequence[str]]) -> Iterator[Fault]:
    there = shipped()
    for name in there:
        if name not in said:
            yield Fault(name, "this scenario ships and has no pictures", f"add it to {TABLE.name}")
    for name, pictures in said.items():
        if name not in there:
            yield Fault(name, f"no such scenario ships; {nearest(name, there)}")
        if not 1 <= len(pictures) <= MOST:
            yield Fault(name, f"has {len(pictures)} pictures, and 1 to {MOST} tell a story")
        yield from (Fault(name, f"no plot {one}; {nearest(one, PLOTS)}") for one in pictures if one not in PLOTS)


def _study_faults(said: Mapping[str, Sequence[str]]) -> Iterator[Fault]:
    for name, pictures in said.items():
        for one in pictures:
            if one not in PICTURES:
                yield Fault(name, f"no picture {one}; {nearest(one, PICTURES)}")
            elif not (DRAWN / name / f"{one}.png").is_file():
                yield Fault(name, f"{one}.png is not in {DRAWN / name}", "carry out the study")


def hang(path: Path, names: Sequence[str], folder: Path) -> Hung:
    """Run a scenario and draw these pictures of it into the folder of its name.  Raises ``DegsimError`` as a run does."""
    target = folder / path.stem
    target.mkdir(parents=True, exist_ok=True)
    claims = {}
    with tempfile.TemporaryDirectory() as place:
        run = Run(execute(read(path), Path(place) / "run"))
        for name in names:
            shown = picture(run, name)
            shown.save(target / f"{name}.png", DPI)
            claims[name] = shown.claim
        return Hung(path, str(run.manifest["scenario"]["description"]), claims)


def draw(table: Table, folder: Path = GALLERY, workers: int | None = None) -> Path:
    """Draw the whole gallery; its page.  What it had before and has no more is removed.

    workers: processes; None for one for each core.  Raises ``ScenarioError`` for a folder that holds something else.
    """
    if folder.is_dir() and any(folder.iterdir()) and not _is_gallery(folder):
        raise ScenarioError(str(folder), "is neither empty nor a gallery; choose another")
    with ProcessPoolExecutor(workers) as pool:
        jobs = [pool.submit(hang, path, names, folder) for path, names in table.scenarios.items()]
        hung = [job.result() for job in jobs]
    _tidy(folder, hung)
    (folder / PAGE).write_text(page(hung, table.studies, folder), encoding="utf-8")
    return folder / PAGE


def _is_gallery(folder: Path) -> bool:
    return (folder / TABLE.name).is_file() or (
        (folder / PAGE).is_file() and (folder / PAGE).read_text(encoding="utf-8").startswith(WRITTEN)
    )


def _tidy(folder: Path, hung: Sequence[Hung]) -> None:
    wanted = {folder / one.path.stem / f"{name}.png" for one in hung for name in one.claims}
    for path in sorted(folder.glob("*/*.png")):
        if path not in wanted:
            path.unlink()
            if not any(path.parent.iterdir()):
                path.parent.rmdir()


def page(hung: Sequence[Hung], studies: Mapping[str, Sequence[str]], folder: Path) -> str:
    """The page of a gallery that lies in this folder: a sentence for each picture."""
    parts = [
        WRITTEN,
        "# Gallery",
        "Every scenario that ships, with the pictures that tell its story. `make gallery` runs them and draws all of this "
        f"anew; `degsim plot RUN` draws the others that a run has something for. {_contents(hung, studies)}",
    ]
    for one in hung:
        parts += [f"## {one.path.stem}", f"{one.description} [{one.path.name}]({_link(one.path, folder)})"]
        parts += [
            _picture(claim, PLOTS[name].summary, f"{one.path.stem}/{name}.png") for name, claim in one.claims.items()
        ]
    for name, pictures in studies.items():
        source = STUDIES / f"{name}.yaml"
        description = yaml.safe_load(source.read_text(encoding="utf-8"))["description"]
        parts += [f"## {name}", f"{description} [{source.name}]({_link(source, folder)})"]
        parts += [
            _picture(PICTURES[one].title, PICTURES[one].summary, _link(DRAWN / name / f"{one}.png", folder))
            for one in pictures
        ]
    return "\n\n".join(parts) + "\n"


def _contents(hung: Sequence[Hung], studies: Mapping[str, Sequence[str]]) -> str:
    return " · ".join(f"[{name}](#{name})" for name in (*(one.path.stem for one in hung), *studies))


def _picture(claim: str, summary: str, link: str) -> str:
    sentence = claim if claim.endswith((".", "?")) else f"{claim}."
    return f"**{sentence}** ({summary})\n\n![{claim}]({link})"


def _link(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()


def main(arguments: Sequence[str]) -> int:
    """Draw the gallery into a folder, or into the project's own."""
    try:
        written = draw(read_table(), Path(arguments[0]).resolve() if arguments else GALLERY)
    except DegsimError as error:
        sys.stderr.write(f"degsim: {error}\n")
        return 2
    sys.stderr.write(f"{written}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
