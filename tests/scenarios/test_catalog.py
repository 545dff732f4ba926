"""Every entry of every table keeps the contract of its seam; a new entry is tested unasked."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from scenarios import catalog
from scenarios.build import Built, build
from scenarios.kinds import KINDS
from scenarios.reader import read
from scenarios.timing import Stopwatch
from sim.errors import ScenarioError
from sim.market.certificate import certify
from sim.market.policies import POLICIES
from sim.market.problem import Clearing, Problem
from tests.conftest import STREET, TWO_HOURS


@pytest.fixture(scope="module")
def built() -> Built:
    flexible = STREET.parent / "flexible-street.yaml"
    return build(read(flexible, ["duration_h=3", "start=2016-12-06T12:00:00"]), io.BytesIO(), Stopwatch())


@pytest.mark.parametrize("kind", KINDS)
def test_an_agent_of_every_kind_offers_a_curve_within_its_rating(kind: str, built: Built) -> None:
    agents = [r for r in built.resources if r.kind == kind and r.device is not None]
    assert agents
    interval = built.world.calendar.interval(1)
    offers = [(agent, agent.offer(interval, 600)) for agent in agents]
    given = [(agent, offer) for agent, offer in offers if offer is not None]
    assert given
    for agent, offer in given:
        assert agent.device is not None
        assert (
            agent.device.twin.min_kw - 1e-9
            <= offer.curve.min_kw
            <= offer.curve.max_kw
            <= agent.device.twin.max_kw + 1e-9
        )
        assert offer.era == agent.era
        assert offer.curve.min_kw - 1e-9 <= offer.uncoordinated_kw <= offer.curve.max_kw + 1e-9


@pytest.mark.parametrize("kind", KINDS)
def test_a_device_of_every_kind_obeys_within_its_rating(kind: str, built: Built) -> None:
    for agent in (r for r in built.resources if r.kind == kind and r.device is not None):
        twin = agent.device.twin  # type: ignore[union-attr]
        interval = built.world.calendar.interval(2)
        assert twin.min_kw - 1e-9 <= twin.advance(-1e6, interval) <= twin.max_kw + 1e-9


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> list[Problem]:
    """The markets of two hours of the street."""
    problems: list[Problem] = []
    with (tmp_path_factory.mktemp("real") / "journal").open("wb") as sink:
        built = build(read(STREET, TWO_HOURS), sink, Stopwatch())
        built.world.run(lambda interval, _: problems.append(built.market.rounds[interval.index].problem))  # type: ignore[arg-type]
        built.world.close()
    return problems


@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_keeps_its_promises_on_a_real_interval(name: str, real: list[Problem]) -> None:
    assert real
    for problem in real:
        clearing = POLICIES[name].clear(problem)
        broken = {violation.condition for violation in certify(problem, clearing).violations}
        assert broken.isdisjoint(POLICIES[name].promises)
        assert set(clearing.setpoint_kw) == {offer.era for offer in problem.offers}


@pytest.mark.parametrize("kind", catalog.LISTS)
def test_every_list_has_names_and_a_line_for_each(kind: str) -> None:
    entries = catalog.LISTS[kind]()
    assert entries
    assert all(name and summary for name, summary in entries.items())


def half_price(problem: Problem) -> Clearing:
    """A policy from outside: the locational one under another name."""
    return replace(POLICIES["locational"].clear(problem), policy="half-price")


def test_a_policy_from_outside_is_named_by_module_and_function() -> None:
    policy = catalog.policy("tests.scenarios.test_catalog:half_price")
    assert policy.promises == {"balance", "limits"}
    assert policy.clear(Problem(())).policy == "half-price"


def broken(problem: Problem) -> Clearing:
    """A policy with a bug."""
    raise ZeroDivisionError(f"{len(problem.offers)} offers")


def nothing(problem: Problem) -> None:
    """A policy that forgets to return."""


@pytest.mark.parametrize(
    ("name", "says"), [("broken", "failed with ZeroDivisionError: 0 offers"), ("nothing", "returned a NoneType")]
)
def test_a_bug_in_a_policy_from_outside_is_told_to_its_author(name: str, says: str) -> None:
    policy = catalog.policy(f"tests.scenarios.test_catalog:{name}")
    with pytest.raises(ScenarioError, match=says):
        policy.clear(Problem(()))


@pytest.mark.parametrize("name", ["tests.scenarios.test_catalog:absent", "no.such.module:clear", "os:sep", "nonsense"])
def test_a_policy_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(ScenarioError):
        catalog.policy(name)
