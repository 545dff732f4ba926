"""One task from start to observation: measured, told in words where it fails, and nothing of it stays."""

from __future__ import annotations

import gc
import io
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import scenarios.bound
import scenarios.runner
from results.observation import Observation
from results.run import Run
from scenarios.build import Built, build
from scenarios.engine import work
from scenarios.engine.roster import Roster
from scenarios.reader import read
from scenarios.runner import execute
from scenarios.spec import Scenario
from scenarios.study import Task, code_of
from scenarios.timing import Stopwatch
from sim.errors import RunError, ScenarioError
from sim.participant import Participant
from sim.world import World
from tests.conftest import ROOT
from tests.scenarios.hamlets import ROGUES, task

# --- measuring --------------------------------------------------------------------------------------------------------


def test_a_task_becomes_what_is_observed_of_its_run(tmp_path: Path) -> None:
    given = task()
    found = Observation.from_bytes(work.perform(given), "here")
    run = Run(execute(given.scenario, tmp_path / "run"))
    assert found == work.observe(given, run)
    assert (found.variant, found.seed, found.currency) == ("locational", 1, "EUR")
    assert {"peak_import_kw", "losses_kwh", "messages", "cost", "best_cost", "wanted_value"} == set(found.values)
    assert found.values["best_cost"] <= found.values["cost"]
    assert found.notes == ()


def test_runs_see_the_same_days_only_where_the_same_is_asked_for() -> None:
    usual, other, louder = (
        Observation.from_bytes(work.perform(given), "here").truth
        for given in (task(), task("none"), task("locational", 1, "populations.house.scale=2"))
    )
    assert usual == other != louder


def test_what_is_asked_for_is_known_without_a_plan() -> None:
    """No battery or plan serves roofs that may not be held back behind a limit that is too small for them."""
    given = [
        task(
            "none",
            1,
            "feeder.limits={export_share: 0.0001}",
            "populations.pv.curtailable=false",
            f"populations.house.scale={s}",
        )
        for s in (0.01, 0.01, 0.02)
    ]
    first, again, other = (Observation.from_bytes(work.perform(one), "here") for one in given)
    assert "no plan keeps all limits" in first.notes[0]
    assert first.truth == again.truth != other.truth


def test_the_run_folder_is_removed_unless_it_is_wanted(tmp_path: Path) -> None:
    scratch, keep = tmp_path / "scratch", tmp_path / "keep"
    scratch.mkdir()
    discarded = work.perform(task(), None, scratch)
    assert list(scratch.iterdir()) == []
    kept = work.perform(task(), keep, scratch)
    assert discarded == kept
    assert [path.name for path in keep.iterdir()] == ["locational-seed1"]
    assert Run(keep / "locational-seed1").manifest["seed"] == 1


@given(st.lists(st.tuples(st.text(max_size=90), st.integers(0, 10**6)), min_size=2, max_size=6, unique=True))
def test_every_task_has_a_folder_of_its_own_with_a_name_that_any_system_takes(cells: list[tuple[str, int]]) -> None:
    scenario = task().scenario
    names = [work.folder_name(Task(variant, seed, scenario, ())) for variant, seed in cells]
    assert len(set(names)) == len(names)
    assert all(name == Path(name).name and len(name) < 100 and not name.startswith(".") for name in names)


@pytest.fixture
def forgetful() -> Iterator[None]:
    """A worker that knows nothing yet, and forgets what it has been told here."""
    work._known.cache_clear()
    yield
    work._known.cache_clear()


@pytest.mark.usefixtures("forgetful")
def test_a_scenario_whose_best_plan_cannot_be_had_is_measured_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise ScenarioError("hamlet", "cannot be planned")

    monkeypatch.setattr(work, "hindsight", refuse)
    found = Observation.from_bytes(work.perform(task()), "here")
    assert found.notes == ("not compared with the best plan: hamlet: cannot be planned",)
    assert "cost" not in found.values
    assert found.values["messages"] > 0


def test_what_is_noted_of_a_run_names_no_folder_that_is_gone(tmp_path: Path) -> None:
    dark = task("none", 1, "populations.house.scale=60", "feeder.described.chains.lane.km=30")
    (note,) = Observation.from_bytes(work.perform(dark, None, tmp_path), "here").notes
    assert note.startswith("not compared with the best plan: no power flow in 4 of 4 intervals")


@pytest.mark.usefixtures("forgetful")
def test_the_best_plan_of_a_seed_is_computed_once_for_all_policies_and_kept_for_the_last_few_seeds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    computed: list[int] = []

    def counted(scenario: Scenario) -> None:
        computed.append(scenario.seed)

    monkeypatch.setattr(work, "hindsight", counted)
    given = [task(policy, seed) for seed in range(1, 8) for policy in ("none", "locational")]
    for one in given:
        work._best(one.scenario)
    assert computed == [1, 2, 3, 4, 5, 6, 7]
    for one in given[-2:] + given[:2]:
        work._best(one.scenario)
    assert computed == [1, 2, 3, 4, 5, 6, 7, 1]


# --- failing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (task(f"{ROGUES}give_up"), "SystemExit: nobody sells"),
        (
            task("none", 2, metrics=[f"{ROGUES}raise_on_seed_2"]),
            "tests.scenarios.rogues:raise_on_seed_2: failed with ZeroDivisionError: division by zero",
        ),
        (
            task("none", 1, "feeder.limits.lines=[{line: lane9}]"),
            "hamlet: feeder.limits.lines[0].line: hamlet has no line 'lane9'",
        ),
    ],
)
def test_a_run_that_fails_is_told_in_words_and_its_folder_is_removed(given: Task, error: str, tmp_path: Path) -> None:
    reply = work.attempt(given, None, tmp_path)
    assert reply.data == b""
    assert reply.error.startswith(error)
    assert list(tmp_path.iterdir()) == []


def test_what_goes_wrong_in_measuring_is_told_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyError("bus")

    monkeypatch.setattr(work, "observe", fail)
    assert work.attempt(task(), None, tmp_path).error == "KeyError: 'bus'"


def test_what_a_run_prints_is_no_data_and_what_it_fails_with_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    error = work.attempt(task(metrics=(f"{ROGUES}shout",)), None, tmp_path).error
    assert error.startswith(f"{ROGUES}shout: failed with ValueError: \\x1b[31mred very very")
    assert error.endswith("very long")
    assert error.isprintable()
    assert len(error) <= work.LONGEST
    assert capsys.readouterr() == ("", "here I am\n")


def test_a_worker_with_other_code_than_who_began_the_runs_does_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    policy = tmp_path / "changed_policy.py"
    policy.write_text("from sim.market.policies.none import POLICY as mine\n", encoding="utf-8")
    given = task("changed_policy:mine")
    code = code_of([given])
    assert work.attempt(given, None, tmp_path, code).error == ""
    other = {**code, "degsim": "that of before"}
    told = "is not the code that the runs were begun with; begin again when it is settled"
    assert work.attempt(given, None, tmp_path, other).error == f"degsim: {told}"
    # What has been loaded stays what it was, so that it is not that of who begins with another file.
    policy.write_text("from sim.market.policies.vcg import POLICY as mine\n", encoding="utf-8")
    assert work.attempt(given, None, tmp_path, code_of([given])).error == f"changed_policy:mine: {told}"
    assert {path.name for path in tmp_path.iterdir()} <= {"changed_policy.py", "__pycache__"}


def test_an_answer_that_is_no_observation_is_refused() -> None:
    with pytest.raises(RunError, match="locational, seed 1: is no observation"):
        work.Reply(b"PAR1", "", 1.0).outcome(task(), 1)


# --- leaving nothing behind -------------------------------------------------------------------------------------------


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[weakref.ref[Any]]:
    """Weak references to the parts of every world that is built from now on."""
    found: list[weakref.ref[Any]] = []

    def remembered(*arguments: Any) -> Built:
        one = build(*arguments)
        parts = (one.world, one.feeder, one.market, one.world.bus, one.world.ledger, *one.resources)
        found.extend(weakref.ref(part) for part in parts)
        return one

    monkeypatch.setattr(scenarios.runner, "build", remembered)
    monkeypatch.setattr(scenarios.bound, "build", remembered)
    return found


WATCHED = 5 + 4 + 2 + 1 + 1
"""Five parts of the hamlet's world and its houses, roofs, battery and retailer."""


def alive(refs: list[weakref.ref[Any]]) -> list[str]:
    return [type(one).__name__ for ref in refs if (one := ref()) is not None]


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("street", ()),
        ("street", ("market.policy=oracle",)),
        ("street", ("wire.sign=true",)),
        ("flexible-street", ()),
        ("village", ()),
        ("town", ()),
        pytest.param("evs-on-one-phase", (), marks=pytest.mark.slow),
    ],
)
def test_nothing_of_a_world_is_alive_when_its_run_is_over(
    name: str, overrides: tuple[str, ...], built: list[weakref.ref[Any]], tmp_path: Path
) -> None:
    execute(read(ROOT / "scenarios" / f"{name}.yaml", ["duration_h=1", *overrides]), tmp_path / "run")
    assert len(built) > 10
    assert alive(built) == []


@pytest.mark.usefixtures("forgetful")
def test_nothing_is_alive_when_a_task_is_done(built: list[weakref.ref[Any]]) -> None:
    work.attempt(task(), None, None)
    assert len(built) == 2 * WATCHED  # of the world that ran, and of the one whose best plan was asked for
    assert alive(built) == []


def test_nothing_is_alive_when_a_run_has_failed(built: list[weakref.ref[Any]]) -> None:
    assert work.attempt(task(f"{ROGUES}give_up"), None, None).error
    assert len(built) == WATCHED
    assert alive(built) == []


def test_a_world_that_could_not_be_finished_is_not_kept_by_the_numbers_of_its_agents(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worlds: list[weakref.ref[World]] = []
    add = World.add

    def fail_at_last(self: World, participant: Participant, start_s: int) -> None:
        worlds.append(weakref.ref(self))
        if len(worlds) == 5:
            raise ScenarioError("hamlet", "cannot be finished")
        add(self, participant, start_s)

    monkeypatch.setattr(World, "add", fail_at_last)
    with pytest.raises(ScenarioError, match="cannot be finished"):
        build(task().scenario, io.BytesIO(), Stopwatch())
    gc.collect()
    assert alive(list(worlds)) == []


def test_running_leaves_the_garbage_collector_as_it_was(tmp_path: Path) -> None:
    before = gc.get_threshold(), gc.get_freeze_count()
    execute(task().scenario, tmp_path / "run")
    assert (gc.get_threshold(), gc.get_freeze_count()) == before


# --- handing out ------------------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(1, 4)), unique=True, max_size=12),
    st.integers(1, 4),
)
def test_every_task_is_handed_out_once_and_a_worker_keeps_its_seed_while_there_is_any(
    cells: list[tuple[str, int]], workers: int
) -> None:
    scenario = task().scenario
    given = [Task(variant, seed, scenario, ()) for variant, seed in sorted(cells, key=lambda cell: cell[1])]
    roster, taken = Roster(given), list[Task]()
    at: list[int | None] = [None] * workers
    while roster:
        worker = len(taken) % workers
        left = {one.seed for one in given} - {
            seed for seed in range(5) if not [one for one in given if one not in taken and one.seed == seed]
        }
        busy = {seed for k, seed in enumerate(at) if k != worker and seed is not None}
        one = roster.take(at[worker], busy)
        assert one.seed == at[worker] or at[worker] not in left
        assert one.seed not in busy or one.seed == at[worker] or left <= busy
        at[worker] = one.seed
        taken.append(one)
    assert sorted(map(id, taken)) == sorted(map(id, given))
    with pytest.raises(IndexError):
        roster.take()
