"""What a study comes down to: variants, seeds, runs; and what is wrong with one, before anything is run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from scenarios.reader import overridden
from scenarios.study import Study, _text, grid_of, is_study, read_study, seeds_of, study_of, tasks
from sim.errors import ScenarioError
from tests.conftest import STREET


def names(study: Study) -> list[str]:
    return [variant.name for variant in study.variants]


def refusal(policies: Sequence[str] = (), over: Sequence[str] = (), **others: object) -> str:
    with pytest.raises(ScenarioError) as refused:
        tasks(study_of(STREET, policies=policies, over=grid_of(over), **others))  # type: ignore[arg-type]
    return str(refused.value)


def test_policies_are_variants_and_none_is_added_as_what_they_are_asked_to_be_better_than() -> None:
    study = study_of(STREET, policies=("locational", "pay-as-clear"), seeds="1-3")
    assert names(study) == ["locational", "pay-as-clear", "none"]
    assert {variant.baseline for variant in study.variants} == {"locational"}
    assert {variant.reference for variant in study.variants} == {"none"}


def test_none_is_not_added_twice_and_a_policy_named_twice_is_one() -> None:
    assert names(study_of(STREET, policies=("none", "locational", "none"))) == ["none", "locational"]


def test_runs_go_seed_by_seed_and_differ_in_policy_and_seed_alone() -> None:
    made = tasks(study_of(STREET, policies=("locational",), seeds="4,2"))
    assert [(task.seed, task.variant) for task in made] == [
        (4, "locational"),
        (4, "none"),
        (2, "locational"),
        (2, "none"),
    ]
    assert [(task.scenario.seed, task.scenario.market.policy) for task in made] == [
        (task.seed, task.variant) for task in made
    ]
    same = {task.scenario.model_copy(update={"seed": 0, "stated_market": None}).model_dump_json() for task in made}
    assert len(same) == 1


def test_a_grid_has_a_variant_for_every_point_named_by_the_ends_of_its_paths() -> None:
    over = grid_of(["populations.ev.count=10,20", "feeder.limits.import_share=0.3,0.4"])
    study = study_of(STREET, over=over)
    assert names(study) == [f"count={n}, import_share={s}" for n in (10, 20) for s in (0.3, 0.4)]
    assert {variant.baseline for variant in study.variants} == {"count=10, import_share=0.3"}
    counts = [next(p.count for p in task.scenario.populations if p.name == "ev") for task in tasks(study)]
    assert counts == [10, 10, 20, 20]


def test_policies_on_a_grid_are_compared_at_each_of_its_points() -> None:
    study = study_of(STREET, policies=("locational",), over=grid_of(["populations.ev.count=10,20"]))
    assert [(v.name, v.baseline, v.reference) for v in study.variants] == [
        (f"{policy}, count={n}", f"locational, count={n}", f"none, count={n}")
        for n in (10, 20)
        for policy in ("locational", "none")
    ]


def test_paths_that_end_alike_are_told_apart() -> None:
    study = study_of(STREET, over=grid_of(["populations.ev.count=1,2", "populations.pv.count=3"]))
    assert names(study) == ["ev.count=1, pv.count=3", "ev.count=2, pv.count=3"]


def test_without_seeds_a_study_has_that_of_the_scenario() -> None:
    assert study_of(STREET, policies=("none",)).seeds == (1,)


@given(st.lists(st.integers(0, 99), min_size=1, max_size=8, unique=True))
def test_seeds_that_are_listed_are_the_seeds(seeds: list[int]) -> None:
    assert list(seeds_of(",".join(map(str, seeds)))) == seeds


@given(st.integers(0, 50), st.integers(0, 50))
def test_a_range_of_seeds_has_both_its_ends(low: int, more: int) -> None:
    assert seeds_of(f"{low}-{low + more}") == tuple(range(low, low + more + 1))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "nothing is no seed"),
        ("1-", "1- is no seed"),
        ("-3", "-3 is no seed"),
        ("9-3", "ends before it begins"),
        (str(2**63), "too large for a seed"),
        ("a", "a is no seed"),
    ],
)
def test_what_is_no_seed_is_said(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        seeds_of(text)


def test_everything_wrong_with_a_study_is_said_at_once_with_the_nearest_that_is_known() -> None:
    said = refusal(("locatonal", "none"), metrics=("peak_import",), seeds="3-1")
    assert "no such policy, did you mean locational?" in said
    assert "peak_import_kw" in said
    assert "3-1 ends before it begins" in said


def test_a_path_that_no_scenario_has_names_the_nearest() -> None:
    assert "market.polcy: unknown key (did you mean policy?)" in refusal(over=["market.polcy=none,locational"])


def test_a_value_that_a_path_cannot_take_is_said_once_for_all_seeds() -> None:
    said = refusal(over=["populations.ev.capacity_kwh=-5,60"], seeds="1-4")
    assert said.count("capacity_kwh") == 1


@pytest.mark.parametrize("over", ["populations.ev.count", "populations.ev.count=", "=1", "a=1,,2", "a=[1,", "a=[]"])
def test_an_axis_without_values_is_no_axis(over: str) -> None:
    with pytest.raises(ScenarioError, match="--over"):
        grid_of([over])


def test_an_axis_given_twice_is_refused() -> None:
    with pytest.raises(ScenarioError, match="is given twice"):
        grid_of(["seed=1", "seed=2"])


def test_values_with_commas_come_as_a_yaml_list() -> None:
    assert grid_of(["market.policy=[muda:seed=7, 'gridlabd:offset=0.1,k=1']"]) == {
        "market.policy": ("muda:seed=7", "gridlabd:offset=0.1,k=1")
    }


def test_a_baseline_has_to_be_among_the_policies() -> None:
    assert "vcg is not compared (expected one of none, locational)" in refusal(("none", "locational"), baseline="vcg")


# --- study files ------------------------------------------------------------------------------------------------------


def stated(tmp_path: Path, **changes: object) -> Path:
    document = {"study": "two", "scenario": str(STREET), "policies": ["none", "locational"], "seeds": "1-2"} | changes
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def test_a_study_file_says_what_the_command_line_says(tmp_path: Path) -> None:
    file = stated(tmp_path, over={"populations.ev.count": [10, 20]}, set=["duration_h=2"], baseline="locational")
    assert is_study(file)
    assert not is_study(STREET)
    study = read_study(file)
    told = study_of(
        STREET,
        policies=("none", "locational"),
        over=grid_of(["populations.ev.count=10,20"]),
        overrides=("duration_h=2",),
        seeds="1-2",
        baseline="locational",
        name="two",
    )
    assert study == told
    assert study.mark == told.mark
    assert [task.key for task in tasks(study)] == [task.key for task in tasks(told)]


def test_seeds_and_overrides_of_the_command_line_are_stronger_than_the_files(tmp_path: Path) -> None:
    study = read_study(stated(tmp_path), seeds="9", overrides=("duration_h=2",))
    assert study.seeds == (9,)
    assert {task.scenario.duration_h for task in tasks(study)} == {2}


def test_unknown_keys_of_a_study_file_name_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"policy: unknown key \(did you mean policies\?\)"):
        read_study(stated(tmp_path, policy="none"))


@pytest.mark.parametrize(
    ("over", "policies", "says"),
    [
        ("seed=1,2", (), "over seed: every variant has all seeds (name them as seeds"),
        ("market.policy=vcg", ("none",), "over market.policy: policies are named as well"),
        ("market[policy]=vcg", ("none",), "over market[policy]: policies are named as well"),
        ("market.policy=vcg,vgc", (), "vgc: no such policy, did you mean vcg?"),
        ("market.fallback=vgc", (), "vgc: no such policy, did you mean vcg?"),
        ("populations.cars.count=1", (), "over populations.cars.count=1: cars: expected a number"),
    ],
)
def test_an_axis_that_would_say_something_else_than_it_seems_to_is_refused(
    over: str, policies: Sequence[str], says: str
) -> None:
    assert says in refusal(policies, over=[over])


def test_one_path_in_two_spellings_is_one_axis() -> None:
    assert "over [duration_h]: is the same as duration_h" in refusal(over=["duration_h=1,2", "[duration_h]=3"])
    assert names(study_of(STREET, over=grid_of(["market[policy]=none,none,vcg"]))) == ["policy=none", "policy=vcg"]


@given(st.text() | st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.booleans() | st.dates())
def test_what_a_study_gives_to_a_path_is_what_the_scenario_gets(value: object) -> None:
    assert overridden({}, "", [f"key={_text(value)}"])["key"] == value


def test_moments_are_values_of_an_axis(tmp_path: Path) -> None:
    study = read_study(stated(tmp_path, over={"start": [datetime(2016, 5, 17, 11), datetime(2016, 5, 18, 11)]}))
    assert [task.scenario.start.day for task in tasks(study)] == [17, 17, 18, 18] * 2


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"policies": []}, "there is nothing to compare"),
        ({"policies": "none"}, "policies: expected a list, got 'none'"),
        ({"seeds": "x"}, "seeds: x is no seed"),
        ({"scenario": "nowhere.yaml"}, "nowhere.yaml: there is no such file"),
        ({"scenario": "a\0b"}, "cannot be read"),
        ({"scenario": "study.yaml"}, "study.yaml: is a study, no scenario (degsim compare takes it)"),
    ],
)
def test_what_no_study_can_be_made_of_is_said(changes: dict[str, object], says: str, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError) as refused:
        read_study(stated(tmp_path, **changes))
    assert says in str(refused.value)


def test_seeds_may_be_a_list(tmp_path: Path) -> None:
    assert read_study(stated(tmp_path, seeds=[3, 1])).seeds == (3, 1)


# --- keys -------------------------------------------------------------------------------------------------------------


def test_more_seeds_belong_to_the_same_study_and_another_policy_does_not() -> None:
    few, many = (study_of(STREET, policies=("none",), seeds=seeds) for seeds in ("1-2", "1-5"))
    assert few.mark == many.mark
    assert {task.key for task in tasks(few)} < {task.key for task in tasks(many)}
    assert study_of(STREET, policies=("none", "vcg")).mark != few.mark


@pytest.mark.parametrize(
    ("file", "content", "named"),
    [
        ("lab_policy.py", "from sim.market.policies.none import POLICY as mine", "market.policy=lab_policy:mine"),
        ("lab_optimiser.py", "mine = lambda problem: None", "populations.battery.optimiser=lab_optimiser:mine"),
        ("lab_street.json", "{}", "feeder.name=lab_street.json"),
    ],
)
def test_what_is_from_outside_and_was_edited_makes_other_runs(
    file: str, content: str, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / file).write_text(content + "\n", encoding="utf-8")
    (one,) = tasks(study_of(STREET, overrides=[named]))
    assert one.outside == (named.partition("=")[2],)
    before = one.key
    assert tasks(study_of(STREET, overrides=[named]))[0].key == before
    (tmp_path / file).write_text(content + " \n", encoding="utf-8")
    assert one.key != before


def test_other_packages_make_other_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    (one,) = tasks(study_of(STREET))
    before = one.key
    monkeypatch.setattr("scenarios.study._packages", lambda: "of another day")
    assert one.key != before
