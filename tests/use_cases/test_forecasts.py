"""Forecasts as items of the catalogue: who is told, who is believed, what they are worth, and that no bill knows of them."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace as changed

from agents.forecaster import Forecaster
from agents.outlook import Topic
from agents.resource import Resource
from results.bills import case_of
from results.run import Run
from results.verify import verify
from scenarios.build import Built, build
from scenarios.reader import read
from scenarios.runner import execute
from scenarios.timing import Stopwatch
from sim.errors import ScenarioError
from sim.trust.signature import derive, sign
from sim.wire.codec import body_digest, encode
from sim.wire.core import Catalog
from sim.wire.messages import Ack, CatalogsContent, Message
from tests.conftest import ROOT

FORECASTS = ROOT / "scenarios" / "use_cases" / "forecasts.yaml"
FLEET = ("house", "roof", "building", "battery")
NONE, ASKED = ("forecasts=null",), ("forecasts.by=DISCOVER", "forecasts.pushed=[]")
LATER_S = 3600 + 60
"""A second at which nothing else happens."""


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Run]:
    """Runs the use case with overrides, each set of overrides once; every run is audited."""
    known: dict[tuple[str, ...], Run] = {}

    def run(*overrides: str) -> Run:
        if overrides not in known:
            known[overrides] = Run(execute(read(FORECASTS, overrides), tmp_path_factory.mktemp("runs") / "run"))
            assert verify(known[overrides]).findings == 0
        return known[overrides]

    return run


def balances(run: Run) -> Counter[str]:
    """What everybody received less what they paid [EUR]."""
    found: Counter[str] = Counter()
    for record in run.journal():
        for posting in record["postings"] if record["kind"] == "postings" else ():
            amount = Decimal(posting["amount"])
            found[posting["to"]] += amount  # type: ignore[assignment]  # a Counter of decimals
            found[posting["from"]] -= amount  # type: ignore[assignment]
    return found


def cost(run: Run) -> Decimal:
    """What the fleet paid in all [EUR]."""
    return -sum((Decimal(v) for era, v in balances(run).items() if era.startswith(FLEET)), Decimal(0))


def left(run: Run) -> Any:
    """What is left in every store at the end, 0..1: heat between the bounds of comfort, charge in the battery."""
    states = run.states
    return states[states.interval == states.interval.max()].set_index("era").soc


def catalogs_of(run: Run, action: str, sender: str) -> list[tuple[str, list[str]]]:
    """Recipient and catalogue ids of every message of one sender."""
    found = []
    for record in run.message_records(action):
        context, message = record["body"]["context"], record["body"]["message"]
        if context["bppId"] == sender:
            found.append((context["bapId"], [catalog["id"] for catalog in message.get("catalogs", ())]))
    return found


# --- who is told ------------------------------------------------------------------------------------------------------


def test_what_is_published_reaches_its_subscribers_unasked_and_what_is_pushed_no_catalogue(
    lived: Callable[..., Run],
) -> None:
    run = lived()
    subscribers = {r["body"]["context"]["bapId"] for r in run.message_records("catalog/subscription")}
    assert subscribers == {"house-01", "house-02", "building-01", "building-02"}
    published = [
        catalog["id"]
        for record in run.message_records("catalog/publish")
        for catalog in record["body"]["message"]["catalogs"]
        if catalog["id"].startswith("forecast/")
    ]
    # Made anew every 2 h of 6: at the start and twice more, for each customer and the air.
    names = ("forecast/LOAD/customer-0", "forecast/LOAD/customer-1", "forecast/TEMPERATURE/outdoor")
    assert sorted(published) == sorted(3 * names)
    pushed = catalogs_of(run, "on_discover", "forecaster")
    assert Counter(era for era, _ in pushed) == {"roof-01": 3, "roof-02": 3}
    assert all(name.startswith("forecast/PV/") for _, names in pushed for name in names)


def test_it_does_not_matter_how_a_forecast_came(lived: Callable[..., Run]) -> None:
    """Asked for again and again, or subscribed to and pushed: the same words, and so the same money."""
    asked, told = lived(*ASKED), lived()
    assert balances(asked) == balances(told)
    assert len([*asked.message_records("discover")]) > len([*told.message_records("discover")])
    assert [*asked.message_records("catalog/subscription")] == []


# --- what they are worth ----------------------------------------------------------------------------------------------


def test_the_same_fleet_pays_less_with_forecasts_and_less_still_with_better_ones(lived: Callable[..., Run]) -> None:
    """And none of its buildings is colder for it in the end, nor its battery emptier."""
    none, usual, good, bad = (cost(lived(*how)) for how in (NONE, (), ("forecasts.sd=0.01",), ("forecasts.sd=1",)))
    assert good < usual < none < bad
    for how in ((), ("forecasts.sd=0.01",)):
        assert (left(lived(*how)) >= left(lived(*NONE)) - 1e-3).all()


def test_a_forecast_is_used_as_long_as_it_holds_and_no_longer(lived: Callable[..., Run]) -> None:
    """Where each holds for half an hour of two, whoever follows it knows nothing in the rest: that is worth less."""
    short = lived("forecasts.valid_h=0.5")
    assert cost(lived()) < cost(short) < cost(lived(*NONE))


def test_a_roof_bids_what_it_was_told_while_that_holds_and_what_it_sees_after(lived: Callable[..., Run]) -> None:
    def bids(*how: str) -> list[float]:
        return [
            record["body"]["message"]["contract"]["contractAttributes"]["roles"][0]["roleInputs"]["baselineKW"]
            for record in lived(*how).message_records("confirm")
            if record["body"]["context"]["bapId"] == "roof-01"
        ]

    told, short, none = bids(), bids("forecasts.valid_h=0.5"), bids(*NONE)
    # Made a quarter of an hour before the run, and again for the fifth interval of half an hour.
    assert [told[k] == short[k] != none[k] for k in (1, 3, 4, 5)] == [False, False, True, False]
    assert [short[k] == none[k] != told[k] for k in (1, 3, 4, 5)] == [True, True, False, True]


# --- no bill knows of them --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", ["forecasts.sd=0.01", "forecasts.sd=1", "forecasts.model=persistence"])
def test_another_error_changes_bids_and_never_how_money_is_reckoned(lived: Callable[..., Run], error: str) -> None:
    """The audit has computed every bill from meter, award and tariff alone; here: the same terms, inputs and sources."""
    usual, other = lived(), lived(error)

    def curves(run: Run) -> list[Any]:
        return [r["body"]["message"]["contract"]["contractAttributes"]["roles"] for r in run.message_records("confirm")
                if "roles" in r["body"]["message"]["contract"]["contractAttributes"]]  # fmt: skip

    assert curves(usual) != curves(other)
    for era in ("roof-01", "house-01", "building-01"):
        (contract, signals), (same, others) = case_of(usual, era), case_of(other, era)
        assert contract == same
        assert {*signals} == {*others} == {"meter", "award", "tariff"}
        assert signals["tariff"] == others["tariff"]


def test_no_settlement_reads_what_was_forecast(lived: Callable[..., Run]) -> None:
    for record in lived().message_records("on_init"):
        terms = record["body"]["message"]["contract"]["contractAttributes"]
        assert "forecast" not in json.dumps(terms).lower()


# --- who is believed --------------------------------------------------------------------------------------------------


class Pushing:
    """The use case alive: at one second somebody tells roof-01 about the sun, in bytes of their own."""

    def __init__(self, make: Callable[[Pushing], tuple[bytes, str | None]], *overrides: str) -> None:
        self.built: Built = build(read(FORECASTS, ["duration_h=2", *overrides]), io.BytesIO(), Stopwatch())
        agents = {agent.era: agent for agent in self.built.world.agents}
        roof, forecaster = agents["roof-01"], agents["forecaster"]
        assert isinstance(roof, Resource)
        assert isinstance(forecaster, Forecaster)
        self.roof, self.forecaster = roof, forecaster
        self.ack: Ack | None = None
        self.before: Any = None
        self.after: Any = None

        def push(_: object) -> None:
            self.before = roof.outlook.forecast("PV", LATER_S)
            raw, header = make(self)
            self.ack = self.built.world.bus.transmit("on_discover", raw, header)
            self.after = roof.outlook.forecast("PV", LATER_S)

        self.built.world.bus.at(LATER_S, push)
        self.built.world.run(lambda *_: None)
        self.built.world.close()

    def catalog(self, issued_s: int = LATER_S) -> Catalog:
        """A forecast of full sun, for half an hour from its issue."""
        (topic,) = self.roof.outlook.topics
        made = self.forecaster.forecast(Topic(*topic), issued_s)
        bright = replace(made, values=(1.0,) * len(made.values), p10=None, p50=None, p90=None)
        return self.forecaster._catalog(bright, topic, 1800)

    def raw(self, *catalogs: Catalog, sender: str = "forecaster") -> bytes:
        content = CatalogsContent(catalogs=catalogs)
        ids = (self.forecaster.ids.fresh(), self.forecaster.ids.fresh())
        message = Message("on_discover", sender, "roof-01", *ids, content)
        return encode(message, self.built.world.calendar.timestamp(LATER_S))

    def header(self, raw: bytes, signer: str = "forecaster", named: str | None = None, created_s: int = LATER_S) -> str:
        unix = self.built.world.calendar.unix(created_s)
        key = derive(self.built.scenario.seed, signer)
        return sign(replace(key, subscriber=named or signer), body_digest(raw), unix, unix + 30)


def sound(told: Pushing) -> tuple[bytes, str | None]:
    raw = told.raw(told.catalog())
    return raw, told.header(raw)


def unsigned(told: Pushing) -> tuple[bytes, str | None]:
    return told.raw(told.catalog()), None


def by_another_key(told: Pushing) -> tuple[bytes, str | None]:
    raw = told.raw(told.catalog())
    return raw, told.header(raw, "battery-01", named="forecaster")


def altered(told: Pushing) -> tuple[bytes, str | None]:
    raw = told.raw(told.catalog())
    return raw.replace(b'"value":1.0', b'"value":0.5', 1), told.header(raw)


def expired_signature(told: Pushing) -> tuple[bytes, str | None]:
    raw = told.raw(told.catalog())
    return raw, told.header(raw, created_s=LATER_S - 60)


def of_somebody_else(told: Pushing) -> tuple[bytes, str | None]:
    raw = told.raw(told.catalog(), sender="battery-01")
    return raw, told.header(raw, "battery-01")


def in_another_s_name(told: Pushing) -> tuple[bytes, str | None]:
    theirs = told.catalog()
    raw = told.raw(changed(theirs, provider=changed(theirs.provider, id="battery-01")))
    return raw, told.header(raw)


def stale(told: Pushing) -> tuple[bytes, str | None]:
    raw = told.raw(told.catalog(issued_s=LATER_S - 1800))
    return raw, told.header(raw)


def test_what_a_source_pushes_and_signs_is_believed() -> None:
    told = Pushing(sound)
    assert told.ack is not None
    assert told.ack.status == "ACK"
    assert told.before != told.after
    assert told.after is not None
    assert {*told.after.values} == {1.0}


@pytest.mark.parametrize(
    ("how", "code"),
    [
        (unsigned, "AUT_SIGNATURE_MISSING"),
        (by_another_key, "AUT_SIGNATURE_INVALID"),
        (altered, "AUT_SIGNATURE_INVALID"),
        (expired_signature, "AUT_SIGNATURE_INVALID"),
        (of_somebody_else, "AUT_UNAUTHORIZED_ACTION"),
        (in_another_s_name, "AUT_UNAUTHORIZED_ACTION"),
        (stale, "NET_TIMEOUT"),
    ],
)
def test_anything_else_is_refused_and_changes_nothing(how: Any, code: str) -> None:
    told = Pushing(how)
    assert told.ack is not None
    assert told.ack.status == "NACK"
    assert told.ack.error
    assert told.ack.error.errorCode == code
    assert told.before is not None
    assert told.before == told.after


def test_what_was_issued_earlier_does_not_take_the_place_of_what_is_known() -> None:
    def earlier(told: Pushing) -> tuple[bytes, str | None]:
        catalog = told.catalog(issued_s=LATER_S - 6000)
        resource = (catalog.resources or ())[0]
        longer = changed(resource.resourceAttributes, validFor="PT9000S")  # type: ignore[type-var]
        raw = told.raw(changed(catalog, resources=(changed(resource, resourceAttributes=longer),)))
        return raw, told.header(raw)

    told = Pushing(earlier)
    assert told.ack is not None
    assert told.ack.status == "ACK"
    assert told.before == told.after


def test_who_names_no_source_believes_nobody_s_push() -> None:
    told = Pushing(sound, "forecasts.pushed=[]")
    assert told.ack is not None
    assert told.ack.error
    assert told.ack.error.errorCode == "AUT_UNAUTHORIZED_ACTION"
    assert told.before == told.after


# --- what cannot be ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overrides", "fault"),
    [
        (("wire.sign=false",), "forecasts.pushed: what no catalogue lists is believed for its signature"),
        (("forecasts.pushed=[PRICE]",), "pushed: PRICE is none of the variables that are forecast"),
        (("forecasts.by=DISCOVER", "forecasts.valid_h=0.5"), "let them be told (by: SUBSCRIPTION)"),
    ],
)
def test_a_scenario_that_contradicts_itself_is_refused(overrides: tuple[str, ...], fault: str) -> None:
    with pytest.raises(ScenarioError) as refusal:
        read(FORECASTS, overrides)
    assert fault in str(refusal.value)


def test_a_forecaster_of_another_seed_would_not_be_believed_for_its_name_alone() -> None:
    """The key in the directory is the one of this run."""

    def foreign(told: Pushing) -> tuple[bytes, str | None]:
        raw = told.raw(told.catalog())
        unix = told.built.world.calendar.unix(LATER_S)
        return raw, sign(derive(2, "forecaster"), body_digest(raw), unix, unix + 30)

    told = Pushing(foreign)
    assert told.ack is not None
    assert told.ack.error
    assert told.ack.error.errorCode == "AUT_SIGNATURE_INVALID"
    assert told.before == told.after
