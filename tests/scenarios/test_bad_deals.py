"""Scenarios of deals that contradict themselves: every fault by its place in the YAML, all of a file at once."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from scenarios.build import build
from scenarios.reader import read
from scenarios.timing import Stopwatch
from sim.errors import ScenarioError
from tests.use_cases.library import scenario_path

Change = Callable[[dict[str, Any]], Any]


def faults(tmp_path: Any, *changes: Change, name: str = "peer-to-peer") -> str:
    """What is said of a scenario that was changed."""
    document = yaml.safe_load(scenario_path(name).read_text(encoding="utf-8"))
    for change in changes:
        change(document)
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    with pytest.raises(ScenarioError) as caught:
        build(read(path), io.BytesIO(), Stopwatch())
    return str(caught.value)


def item(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["providers"][0]["items"][0]
    return found


def term(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["contracts"][0]["terms"][0]
    return found


def errand(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["seekers"][0]["errands"][0]
    return found


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: item(d).update(contract="p2p"), "providers[0].items[0].contract: no contract p2p (known: p2p-trade,"),
        (lambda d: item(d).update(parties={}), "providers[0].items[0].parties: nobody fills the role GRID_OPERATOR"),
        (lambda d: item(d)["device"].update(bus="lane9"), "providers[0].items[0].device.bus: no bus lane9 (did you mean lane"),
        (lambda d: item(d).update(meter="rof"), "providers[0].items[0].meter: no device has a meter rof (did you mean roof?)"),
        (lambda d: item(d).update(approved_by="utilty"), "providers[0].items[0].approved_by: no distributor utilty (did you mean utility?)"),
        (lambda d: item(d)["lists"].update(resourceType="SUN"), "providers[0].items[0].lists: Invalid enum value 'SUN'"),
        (lambda d: item(d)["lists"].update(colour="red"), "providers[0].items[0].lists: Object contains unknown field `colour`"),
        (lambda d: item(d).update(offers={"@type": "Offr"}), "providers[0].items[0].offers: Invalid value 'Offr'"),
        (lambda d: item(d).update(tariff=[{"price": 0.1}]), "roof: give either a price or a tariff"),
        (lambda d: item(d).update(inputs={"wheeling": 1}), "providers[0].items[0].inputs: wheeling is no input of p2p-trade"),
        (lambda d: term(d).update(formula="contractedKWh *"), "contracts[0].terms[0].formula"),
        (lambda d: term(d).update(formula="contractedKwh * pricePerKWh"), "contractedKwh is neither an input nor a signal (did you mean contractedKWh?)"),
        (lambda d: term(d).update(formula="contractedKWh"), "providers[0].items[0].contract: energy: it is in kWh"),
        (lambda d: term(d).update({"from": "BUYR"}), "contracts[0].terms[0].from"),
        (lambda d: d["contracts"].append(d["contracts"][0]), "contracts[3].name: 2 contracts are called p2p-trade"),
        (lambda d: d["providers"][0].update(name="home"), "seekers[0].name: 2 participants or meters are called home"),
        (lambda d: d["distributors"][0].update(name="catalogue"), "distributors[0].name: 2 participants or meters are called catalogue"),
        (lambda d: d["distributors"][0]["meters"][0].update(name="rof"), "distributors[0].meters[0].name: no device has a meter rof"),
        (lambda d: d["distributors"][0].update(deviation={"BUYER": "none"}), "distributors[0].deviation.BUYER.contract: no contract none"),
        (lambda d: d["distributors"][0].update(deviation={"BUYER": "p2p-trade"}), "distributors[0].deviation.BUYER: nobody fills the role SELLER"),
        (lambda d: d["providers"][0].update(reads=["hom"]), "providers[0].reads[0]: no device has a meter hom (did you mean home?)"),
        (lambda d: d["providers"][0].update(support={"fax": "1"}), "providers[0].support"),
        (lambda d: d["providers"][0].update(diary=[{"at": "11:00", "do": "withdrw"}]), "providers[0].diary[0].do: cannot withdrw (did you mean withdraw?)"),
        (lambda d: d["providers"][0].update(diary=[{"do": "publish"}]), "providers[0].diary[0]: give either at or after_min"),
        (lambda d: d["providers"][0].update(diary=[{"at": "11:00", "do": "publish", "item": "rof"}]), "providers[0].diary[0].item: no item rof (did you mean roof?)"),
        (lambda d: d["distributors"][0].update(diary=[{"at": "11:00", "do": "cut"}]), "distributors[0].diary[0].do: cannot cut"),
        (lambda d: errand(d).update(ask="solar"), "seekers[0].errands[0].ask: nobody is called solar"),
        (lambda d: errand(d).update(diary=[{"after_min": 1, "do": "cancl"}]), "seekers[0].errands[0].diary[0].do: cannot cancl (did you mean cancel?)"),
        (lambda d: errand(d).update(search={"near": [1, 2]}), "within_m: goes with near or along"),
        (lambda d: errand(d).update(kwh=-1), "seekers[0].errands[0].kwh"),
        (lambda d: d.update(outputs={"plots": ["wires_"]}), "outputs.plots[0]: no plot wires_"),
    ],
)  # fmt: skip
def test_a_fault_is_named_by_its_place(change: Change, says: str, tmp_path: Any) -> None:
    assert says in faults(tmp_path, change)


def test_a_car_that_needs_more_than_its_battery_holds_is_named(tmp_path: Any) -> None:
    said = faults(tmp_path, lambda d: d["seekers"][0]["device"].update(need_kwh=90), name="home-charging")
    assert "seekers[0].device" in said
    assert "needs 90" in said


def test_all_faults_of_a_file_are_told_at_once(tmp_path: Any) -> None:
    said = faults(
        tmp_path,
        lambda d: item(d).update(contract="p2p"),
        lambda d: item(d)["device"].update(bus="lane9"),
        lambda d: errand(d).update(ask="solar"),
        lambda d: d["distributors"][0].update(diary=[{"at": "11:00", "do": "cut"}]),
    )
    for place in ("items[0].contract", "device.bus", "errands[0].ask", "distributors[0].diary[0].do"):
        assert place in said
