"""The order books that come with the project, as market problems."""

from __future__ import annotations

import json

from scenarios.laboratory import located
from sim.market.problem import Problem
from sim.market.wire_form import read_problem


def problem_of(name: str) -> Problem:
    """The problem that a book poses."""
    with open(located(name), encoding="utf-8") as stored:
        return read_problem(json.load(stored), name)
