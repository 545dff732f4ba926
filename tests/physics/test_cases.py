"""Every folder here is a case: what stands in it is built, solved, and compared with what is expected.

case.json: ``what`` it shows, and one of ``feeder`` (a name), ``described`` (a description), ``network`` (buses with their kV
and parts, each a function ``pandapower.create_…`` with its arguments); or a file net.json beside it, written by
``pandapower.to_json``.  ``limited_lines``: lines that are nodes of the tree, with the node's name.
input.json: ``p_kw`` and ``q_kvar`` by bus, + into the grid; ``customers``: share of what the network's own draw and give.
expected.json: ``source`` of the numbers, ``tolerance`` by kind, and what a ``Flow`` says, by bus, branch or line; further
``lowest_v_pu``, ``losses_per_kw``, ``v_pu_per_kw`` by watched bus, ``import_limit_kw`` at the rating, and ``retries``.
"""

import json
from pathlib import Path

import numpy as np
import pandapower as pp
import pytest

from grid_models import described, feeders
from grid_models.limits import limits_kw
from sim.tolerances import BALANCE_KW
from tests.physics.networks import customers

HERE = Path(__file__).parent
FOLDERS = sorted(path.parent for path in HERE.glob("*/case.json"))

KIND_OF = {
    "v_pu": "v_pu",
    "v_degree": "v_degree",
    "p_kw": "kw",
    "branch_hv_kw": "kw",
    "branch_lv_kw": "kw",
    "branch_lv_kvar": "kw",
    "branch_loading": "loading",
    "line_loading": "loading",
}
"""Arrays of a flow, with the kind of tolerance of each."""

OTHER = {
    "source",
    "tolerance",
    "converged",
    "note",
    "unsupplied",
    "slack_kw",
    "losses_kw",
    "lowest_v_pu",
    "losses_per_kw",
    "v_pu_per_kw",
    "import_limit_kw",
    "retries",
}


def read(folder, name):
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


def network_of(folder, case):
    """The network with its customers."""
    if "feeder" in case:
        return feeders.read(case["feeder"])
    if "described" in case:
        return feeders.Network(folder.name, described.build(folder.name, description_of(case["described"])))
    if "network" in case:
        return feeders.Network(folder.name, built(**case["network"]))
    return feeders.read(str(folder / "net.json"))


def description_of(words):
    def parts(key, kind):
        return {name: kind(**part) for name, part in words.get(key, {}).items()}

    return described.Description(
        source=described.Source(**words["source"]),
        transformers=parts("transformers", described.Transformer),
        lines=parts("lines", described.Line),
        chains=parts("chains", described.Chain),
        sites=tuple(words["sites"]) if "sites" in words else None,
    )


def built(buses, parts):
    net = pp.create_empty_network()
    at = {name: pp.create_bus(net, kv, name=name) for name, kv in buses.items()}
    for kind, arguments in parts:
        named = {key: at.get(value, value) if isinstance(value, str) else value for key, value in arguments.items()}
        getattr(pp, f"create_{kind}")(net, **named | ({"name": arguments["name"]} if "name" in arguments else {}))
    return net


@pytest.mark.parametrize("folder", FOLDERS, ids=[folder.name for folder in FOLDERS])
def test_a_case_is_solved_as_its_source_says(folder):
    case, given, expected = (read(folder, name) for name in ("case", "input", "expected"))
    assert case["what"]
    assert expected["source"]
    assert set(expected) <= KIND_OF.keys() | OTHER
    network = network_of(folder, case)
    own = customers(network.net)
    feeder = feeders.feeder_of(network, case.get("limited_lines"))
    p_kw, q_kvar = (np.array([given.get(key, {}).get(bus, 0.0) for bus in feeder.buses]) for key in ("p_kw", "q_kvar"))
    shares = given.get("customers", 0.0) * np.array([own[bus] for bus in feeder.buses])
    flow = feeder.solve(p_kw + shares[:, 0], q_kvar + shares[:, 1])
    assert feeder.retries == expected.get("retries", 0)
    assert flow.converged == expected.get("converged", True), flow.note
    assert expected.get("note", "") in flow.note
    if not flow.converged:
        assert np.isnan(flow.v_pu).all()
        return
    assert abs(flow.residual_kw) <= BALANCE_KW
    assert flow.unsupplied == tuple(expected.get("unsupplied", ()))
    compare_arrays(feeder, flow, expected)
    compare_others(feeder, flow, expected)


def compare_arrays(feeder, flow, expected):
    names = {"branch": [b.name for b in feeder.branches] if has(expected, "branch_") else [], "line": feeder.lines}
    for key, kind in KIND_OF.items():
        of = names.get(key.split("_")[0], feeder.buses)
        for name, value in expected.get(key, {}).items():
            found = getattr(flow, key)[list(of).index(name)]
            assert found == pytest.approx(value, rel=0, abs=expected["tolerance"][kind]), (key, name)


def has(expected, prefix):
    """Whether anything is expected of the tree; some networks are none."""
    return any(key.startswith(prefix) for key in expected)


def compare_others(feeder, flow, expected):
    tolerance = expected["tolerance"]
    for key in {"slack_kw", "losses_kw"} & expected.keys():
        assert getattr(flow, key) == pytest.approx(expected[key], rel=0, abs=tolerance["kw"]), key
    if "lowest_v_pu" in expected:
        assert np.nanmin(flow.v_pu) == pytest.approx(expected["lowest_v_pu"], rel=0, abs=tolerance["v_pu"])
    for branch, limit_kw in expected.get("import_limit_kw", {}).items():
        rated_kva = next(b.rated_kva for b in feeder.branches if b.name == branch)
        assert limits_kw(feeder, branch, rated_kva)[0] == pytest.approx(limit_kw, rel=0, abs=tolerance["kw"])
    watched = list(expected.get("v_pu_per_kw", {}))
    if not watched and "losses_per_kw" not in expected:
        return
    answer = feeder.sensitivities(flow, watched)
    rows = [("losses_per_kw", expected.get("losses_per_kw", {}), answer.losses_per_kw)]
    rows += [("v_pu_per_kw", expected["v_pu_per_kw"][bus], answer.v_pu_per_kw[k]) for k, bus in enumerate(watched)]
    for key, by_bus, found in rows:
        for bus, value in by_bus.items():
            assert found[feeder.buses.index(bus)] == pytest.approx(value, rel=0, abs=tolerance["sensitivity"]), key


def test_there_are_cases():
    assert len(FOLDERS) >= 16
