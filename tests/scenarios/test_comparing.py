"""Studies carried out: resumed where they were left, with every failure counted, and refused before anything is run."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
import pytest

from results.comparison.folder import read
from scenarios.cli import main
from scenarios.comparing import carry_out, default_folder, prepare, show
from scenarios.engine import Outcome
from scenarios.engine.work import attempt
from scenarios.study import Study, Task, study_of
from sim.errors import RunError, ScenarioError
from tests.scenarios.hamlets import HAMLET, ROGUES


class Here:
    """An engine in this process; ``only`` so many runs, then somebody presses Ctrl-C."""

    def __init__(self, only: int | None = None) -> None:
        self.did: list[tuple[str, int]] = []
        self._only = only

    def run(self, tasks: Sequence[Task]) -> Iterator[Outcome]:
        for task in tasks:
            if len(self.did) == self._only:
                raise KeyboardInterrupt
            self.did.append((task.variant, task.seed))
            yield attempt(task, None, None).outcome(task, 1)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands do their runs in this process, whatever the engine."""
    monkeypatch.setattr("scenarios.comparing.engine_of", lambda *_: Here())


def two(seeds: str = "1-2", *policies: str) -> Study:
    return study_of(HAMLET, policies=policies or ("locational", "none"), seeds=seeds)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study that was carried out."""
    folder = tmp_path_factory.mktemp("comparisons") / "whole"
    carry_out(prepare(two(), folder), Here())
    return folder


def test_what_was_left_is_gone_on_with_and_comes_to_the_same(whole: Path, tmp_path: Path) -> None:
    parts, first = tmp_path / "parts", Here(only=3)
    with pytest.raises(KeyboardInterrupt):
        carry_out(prepare(two(), parts), first)
    work, second = prepare(two(), parts), Here()
    assert len(work.known) == 3
    carry_out(work, second)
    assert first.did + second.did == [(variant, seed) for seed in (1, 2) for variant in ("locational", "none")]
    values = [pd.read_parquet(folder / "runs.parquet") for folder in (whole, parts)]
    same = values[0]["metric"] != "run_s"
    pd.testing.assert_frame_equal(values[0][same], values[1][same])


def test_a_study_carried_out_again_runs_nothing_and_writes_the_same_bytes(whole: Path) -> None:
    before = files(whole)
    again = Here()
    carry_out(prepare(two(), whole), again)
    assert again.did == []
    assert files(whole) == before


def test_where_nothing_is_left_to_do_no_progress_is_told(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert show(prepare(two(), whole), Here(), lambda _: None, lambda _: None)
    assert capsys.readouterr().err == ""


def test_more_seeds_run_only_what_is_new(tmp_path: Path) -> None:
    carry_out(prepare(two("1"), tmp_path), Here())
    more = Here()
    comparison = carry_out(prepare(two("1-2"), tmp_path), more)
    assert more.did == [("locational", 2), ("none", 2)]
    assert comparison.seeds == (1, 2)
    assert len(comparison.observations) == 4


def test_a_torn_observation_is_run_again(tmp_path: Path) -> None:
    carry_out(prepare(two("1"), tmp_path), Here())
    torn = sorted((tmp_path / "observations").iterdir())[0]
    torn.write_bytes(torn.read_bytes()[:100])
    again = Here()
    carry_out(prepare(two("1"), tmp_path), again)
    assert len(again.did) == 1
    assert len(read(tmp_path).observations) == 2


def test_an_observation_of_another_run_is_not_taken_for_this_one(tmp_path: Path) -> None:
    carry_out(prepare(two("1"), tmp_path), Here())
    one, other = sorted((tmp_path / "observations").iterdir())
    one.write_bytes(other.read_bytes())
    assert len(prepare(two("1"), tmp_path).todo) == 1


def test_what_nobody_came_to_finish_is_cleared_away(tmp_path: Path) -> None:
    carry_out(prepare(two("1"), tmp_path), Here())
    (tmp_path / "observations" / "0123.99.tmp").write_bytes(b"PAR1")
    carry_out(prepare(two("1"), tmp_path), Here())
    assert [path for path in tmp_path.rglob("*.tmp")] == []


def test_two_at_once_do_not_write_to_the_same_folder(tmp_path: Path) -> None:
    class Meanwhile(Here):
        def run(self, tasks: Sequence[Task]) -> Iterator[Outcome]:
            with pytest.raises(RunError, match="another degsim is writing to it"):
                carry_out(prepare(two("1"), tmp_path), Here())
            yield from super().run(tasks)

    carry_out(prepare(two("1"), tmp_path), Meanwhile())
    assert read(tmp_path).failures == ()
    carry_out(prepare(two("1"), tmp_path), Here())


def test_runs_that_are_to_be_kept_are_run_again_where_only_their_numbers_are_known(tmp_path: Path) -> None:
    carry_out(prepare(two("1"), tmp_path), Here())
    runs = tmp_path / "runs"
    assert len(prepare(two("1"), tmp_path, keep=runs).todo) == 2
    (runs / "none-seed1").mkdir(parents=True)
    assert [task.variant for task in prepare(two("1"), tmp_path, keep=runs).todo.values()] == ["locational"]


def test_what_was_run_before_an_edit_is_not_taken_for_what_would_be_run_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    policy = tmp_path / "edited_policy.py"
    policy.write_text("from sim.market.policies.none import POLICY as mine\n", encoding="utf-8")

    class Edited(Here):
        def run(self, tasks: Sequence[Task]) -> Iterator[Outcome]:
            for outcome in super().run(tasks):
                policy.write_text(policy.read_text(encoding="utf-8") + "# better\n", encoding="utf-8")
                yield outcome

    study = two("1", "edited_policy:mine")
    carry_out(prepare(study, tmp_path / "out"), Edited())
    assert [task.variant for task in prepare(study, tmp_path / "out").todo.values()] == ["edited_policy:mine"]


def test_a_full_disk_is_told_with_the_file_and_leaves_no_half_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    assert main(["compare", str(HAMLET), "--policy", "none", "--seeds", "1", "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert f"degsim: {tmp_path}/out/study.json: No space left on device; what is done is kept" in said
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.usefixtures("here")
def test_pictures_are_of_what_was_compared_last(tmp_path: Path) -> None:
    swept = ("sweep", str(HAMLET), "--over", "populations.battery.count=0,1", "--out", str(tmp_path))
    assert main(swept) == 0
    assert (tmp_path / "plots" / "sweep.png").exists()
    assert main(["compare", str(HAMLET), "--policy", "none", "--seeds", "1", "--out", str(tmp_path)]) == 0
    assert not (tmp_path / "plots" / "sweep.png").exists()


def test_a_folder_that_holds_something_else_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine", encoding="utf-8")
    with pytest.raises(ScenarioError, match="neither empty nor a comparison"):
        prepare(two(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_the_same_study_goes_to_the_same_folder_and_another_one_elsewhere() -> None:
    assert default_folder(two("1-2")) == default_folder(two("5"))
    assert default_folder(two()) != default_folder(two("1-2", "none", "locational"))


def test_a_run_that_fails_is_counted_and_tried_again_next_time(tmp_path: Path) -> None:
    study = study_of(HAMLET, policies=("locational",), seeds="1-2", metrics=(f"{ROGUES}raise_on_seed_2",))
    comparison = carry_out(prepare(study, tmp_path), Here())
    assert [(failure.variant, failure.seed) for failure in comparison.failures] == [("locational", 2), ("none", 2)]
    assert "raise_on_seed_2" in comparison.failures[0].error
    again = Here()
    carry_out(prepare(study, tmp_path), again)
    assert again.did == [("locational", 2), ("none", 2)]


def test_where_a_policy_was_stopped_its_fallbacks_numbers_are_not_taken_for_its_own(tmp_path: Path) -> None:
    shy = f"{ROGUES}fail_beyond:kw=8"
    comparison = carry_out(prepare(two("4-5", "none", shy), tmp_path), Here())
    stopped = {failure.seed: failure.error for failure in comparison.failures}
    assert {failure.variant for failure in comparison.failures} == {shy}
    assert list(stopped) == [5]
    assert "the sun is in my eyes" in stopped[5]
    assert stopped[5].startswith("policy stopped in 2 of 4 intervals")
    assert [one.seed for one in comparison.observations if one.variant == shy] == [4]
    again = Here()
    assert carry_out(prepare(two("4-5", "none", shy), tmp_path), again) == comparison
    assert again.did == []


# --- the commands -----------------------------------------------------------------------------------------------------


def test_two_policies_on_two_seeds_make_a_table_and_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    policies = ("--policy", "locational", "--policy", "pay-as-clear")
    arguments = ["compare", str(HAMLET), *policies, "--seeds", "1-2", "--out", str(out)]
    assert main([*arguments, "--workers", "1", "--keep-runs"]) == 0
    told = capsys.readouterr()
    assert "hamlet: 3 variants on 2 seeds" in told.out
    assert "paired" in told.out
    assert str(out) in told.err
    tables = {"table.csv", "table.parquet", "table.md", "runs.csv", "runs.parquet"}
    assert {path.name for path in out.iterdir()} >= {"comparison.json", "plots", *tables}
    assert len(list((out / "plots").iterdir())) == 3
    assert len(list((out / "runs").iterdir())) == 6
    assert json.loads((out / "comparison.json").read_bytes())["complete"] is True
    assert main(arguments) == 0
    assert "6 of 6 runs are known" in capsys.readouterr().err


@pytest.mark.usefixtures("here")
def test_a_sweep_varies_a_path_and_pictures_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(["sweep", str(HAMLET), "--over", "populations.pv.count=1,2,3", "--out", str(out)]) == 0
    assert "count=3" in capsys.readouterr().out
    runs = pd.read_parquet(out / "runs.parquet")
    imported = runs[runs["metric"] == "imported_kwh"].set_index("populations.pv.count")["value"]
    assert imported["3"] < imported["1"]
    assert (out / "plots" / "sweep.png").exists()


@pytest.mark.usefixtures("here")
def test_a_study_that_fails_somewhere_ends_with_status_1_and_says_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    metric = f"{ROGUES}raise_on_seed_2"
    arguments = ["compare", str(HAMLET), "--policy", "none", "--seeds", "1-2", "--metric", metric, "--out", str(out)]
    assert main(arguments) == 1
    told = capsys.readouterr()
    assert "none, seed 2:" in told.err
    assert "1 of 2" in told.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("compare", HAMLET), "say what to compare"),
        (("compare", HAMLET, "--policy", "locatoinal"), "did you mean locational?"),
        (("compare", HAMLET, "--policy", "none", "--seeds", "a"), "a is no seed"),
        (("compare", HAMLET, "--policy", "none", "--seeds", ""), "nothing is no seed"),
        (("compare", HAMLET, "--policy", "..nowhere:nothing"), "cannot be imported: TypeError"),
        (("compare", HAMLET, "--policy", "none", "--set", "market.polcy=1"), "did you mean policy?"),
        (("compare", HAMLET, "--policy", "none", "--metric", "peak_imprt_kw"), "peak_import_kw"),
        (("compare", HAMLET, "--policy", "none", "--metric", "nowhere:nothing"), "nowhere:nothing"),
        (("compare", HAMLET, "--policy", "none", "--seeds", "1-10001"), "10,001 runs (say --yes"),
        (("compare", HAMLET, "--policy", "none", "--workers", "0"), "expected at least 1, got 0"),
        (("compare", HAMLET, "--policy", "none", "--scheduler", "tcp://127.0.0.1:1"), "add --engine dask"),
        (
            ("compare", HAMLET, "--policy", "none", "--engine", "dask", "--scheduler", "here"),
            "is no address of a scheduler",
        ),
        (("compare", "nowhere.yaml", "--policy", "none"), "nowhere.yaml"),
        (("sweep", HAMLET, "--over", "feeder.limts.import_share=1,2"), "did you mean limits?"),
        (("sweep", HAMLET, "--over", "populations.cars.count=1"), "expected a number below 3 or one of"),
        (("sweep", HAMLET, "--over", "seed"), "expected path=v1,v2"),
        (
            ("sweep", HAMLET, "--over", f"populations.pv.count={','.join(map(str, range(102)))}", "--seeds", "1-100"),
            "10,200 runs",
        ),
    ],
)
def test_what_cannot_be_compared_is_said_in_a_line_and_leaves_nothing(
    arguments: tuple[object, ...],
    says: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*map(str, arguments), "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr()
    assert says in told.err
    assert "Traceback" not in told.err
    assert told.out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("here")
def test_a_study_file_says_itself_what_is_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(f"study: few\nscenario: {HAMLET}\npolicies: [none]\nseeds: 1\n", encoding="utf-8")
    out = tmp_path / "out"
    assert main(["compare", str(file), "--policy", "vcg", "--out", str(out)]) == 2
    assert "--policy: the study says that itself" in capsys.readouterr().err
    assert main(["compare", str(file), "--out", str(out)]) == 0
    assert "few: 1 variant" in capsys.readouterr().out
