"""Kernel objects and their wire bodies."""

from __future__ import annotations

import json

import msgspec

from sim.forms import aggregation_result
from sim.market.certificate import certify
from sim.market.policies import POLICIES
from sim.market.wire_form import read_problem, result_of


def test_a_result_is_the_same_from_the_bus_and_from_the_command_line() -> None:
    request = {"participants": [{"era": "a", "offerCurve": [{"price": 0.1, "powerKW": -5}]}]}
    problem = read_problem({"aggregationRequest": request}, "test")
    clearing = POLICIES["locational"].clear(problem)
    certificate = certify(problem, clearing)
    body = msgspec.json.encode(aggregation_result(problem, clearing, certificate))
    assert json.loads(body) == result_of(problem, clearing, certificate)
