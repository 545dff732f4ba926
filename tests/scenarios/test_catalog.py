"""Every entry of every table keeps the contract of its seam; a new entry is tested unasked."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from results.metrics import METRICS, Metric, measure
from results.run import Run
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
def worlds() -> list[Built]:
    flexible = read(STREET.parent / "flexible-street.yaml", ["duration_h=3", "start=2016-12-06T12:00:00"])
    neighbours = read(STREET.parent / "use_cases" / "peer-to-peer-market.yaml")
    return [build(scenario, io.BytesIO(), Stopwatch()) for scenario in (flexible, neighbours)]


@pytest.mark.parametrize("kind", KINDS)
def test_an_agent_of_every_kind_offers_a_curve_within_its_rating(kind: str, worlds: list[Built]) -> None:
    built = _with(kind, worlds)
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


def _with(kind: str, worlds: list[Built]) -> Built:
    """The first world in which somebody of this kind lives."""
    return next(built for built in worlds if any(resource.kind == kind for resource in built.resources))


@pytest.mark.parametrize("kind", KINDS)
def test_a_device_of_every_kind_obeys_within_its_rating(kind: str, worlds: list[Built]) -> None:
    built = _with(kind, worlds)
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


# --- metrics ----------------------------------------------------------------------------------------------------------


def households(run: Run) -> int:
    """Households of a run.

    The rest of the text is for whoever reads the source.
    """
    return sum(kind == "household" for kind in run.kinds.values())


def turnover(run: Run) -> Decimal:
    """All money that was moved."""
    return sum((posting.amount for posting in run.ledger), Decimal(0))


def divides(run: Run) -> float:
    return 1 / (0 * len(run.kinds))


def talks(run: Run) -> str:
    return f"{len(run.kinds)} parties"


OWN = Metric(
    "whatever", "kW", "more", "half the peak", "nowhere", lambda run: METRICS["peak_import_kw"].measure(run) / 2
)


def test_a_metric_of_the_table_is_found_by_its_name() -> None:
    assert catalog.metric("autarky") is METRICS["autarky"]


def test_a_metric_from_outside_is_a_function_that_says_in_a_line_what_it_is(run_street: Callable[..., Run]) -> None:
    run = run_street(*TWO_HOURS)
    counted, paid = (catalog.metric(f"{__name__}:{name}") for name in ("households", "turnover"))
    assert (counted.name, counted.summary, counted.better) == (f"{__name__}:households", "Households of a run", "")
    assert measure(run, (counted, paid, "peak_import_kw")) == {
        f"{__name__}:households": 41.0,
        f"{__name__}:turnover": float(turnover(run)),
        "peak_import_kw": METRICS["peak_import_kw"].measure(run),
    }


def test_a_metric_from_outside_may_say_itself_what_it_means(run_street: Callable[..., Run]) -> None:
    own = catalog.metric(f"{__name__}:OWN")
    assert (own.name, own.unit, own.better, own.source) == (f"{__name__}:OWN", "kW", "more", "nowhere")
    run = run_street(*TWO_HOURS)
    assert own.measure(run) == METRICS["peak_import_kw"].measure(run) / 2


@pytest.mark.parametrize(
    ("name", "says"), [("divides", "failed with ZeroDivisionError"), ("talks", "returned a str, expected a number")]
)
def test_a_bug_in_a_metric_from_outside_is_told_to_its_author(
    name: str, says: str, run_street: Callable[..., Run]
) -> None:
    with pytest.raises(ScenarioError, match=says) as caught:
        catalog.metric(f"{__name__}:{name}").measure(run_street(*TWO_HOURS))
    assert f"{__name__}:{name}" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("autarchy", "did you mean autarky"),
        (f"{__name__}:absent", "cannot be imported"),
        ("no.such.module:measure", "cannot be imported"),
        ("os:sep", "is not a function"),
    ],
)
def test_a_metric_that_is_not_there_is_refused(name: str, says: str) -> None:
    with pytest.raises(ScenarioError, match=says):
        catalog.metric(name)
