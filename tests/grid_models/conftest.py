from collections.abc import Callable
from typing import Any

import numpy as np
import pandapower as pp
import pytest

from grid_models import feeders
from grid_models.powerflow import PandapowerFeeder


@pytest.fixture(scope="session")
def street() -> PandapowerFeeder:
    """Shared by the whole session: a result depends on nothing that was solved before."""
    return feeders.load("simbench-semiurb4")


@pytest.fixture(scope="session", params=feeders.names())
def every_feeder(request: pytest.FixtureRequest) -> PandapowerFeeder:
    """Each feeder that has a name, in turn."""
    return feeders.load(request.param)


@pytest.fixture
def net() -> Any:
    """grid ─ b0 (10 kV) ─ tx 250 kVA ─ b1 ─ b2 ─ b3"""
    made = pp.create_empty_network()
    for number in range(4):
        pp.create_bus(made, 0.4 if number else 10.0, name=f"b{number}")
    pp.create_ext_grid(made, 0)
    pp.create_transformer(made, 0, 1, "0.25 MVA 10/0.4 kV", name="tx")
    for start, end in ((1, 2), (2, 3)):
        pp.create_line(made, start, end, 0.1, "NAYY 4x150 SE", name=f"l{start}{end}")
    return made


@pytest.fixture
def at() -> Callable[..., tuple[Any, Any]]:
    """Injections of a feeder with only the named buses given: ``at(feeder, b3=-10.0)``, no reactive power."""

    def arrays(feeder: PandapowerFeeder, **p_kw: float) -> tuple[Any, Any]:
        p = np.zeros(len(feeder.buses))
        for bus, value in p_kw.items():
            p[feeder.buses.index(bus)] = value
        return p, np.zeros(len(feeder.buses))

    return arrays
