"""Hostile formulas and scripts: each is refused in the name of its contract, costs us nothing, and the next one works."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from hostile import FORMULAS, SCRIPTS

from sim.contracts.formula import compile_formula
from sim.contracts.script import Workshop, compile_script
from sim.errors import ContractError

VALUES = {"energy": Decimal(10), "price": Decimal(2)}
INTERVALS = [{"energyKWh": Decimal(3)}, {"energyKWh": Decimal(4)}]
GOOD_SCRIPT = """
def compute(inputs, intervals):
    return {"amount": sum([interval["energyKWh"] for interval in intervals]) * inputs["price"]}
"""

RUN_THEM_ALL = """
import resource
from test_hostile import *

def everything(formulas, scripts):
    with Workshop() as workshop:
        for text in formulas:
            try:
                compile_formula(text, who="x").evaluate(VALUES)
            except ContractError:
                pass
        for text in scripts:
            try:
                workshop.run(compile_script(text, outputs=("amount",), who="x"), VALUES, INTERVALS)
            except ContractError:
                pass

everything(["1 +", "energy * price"], [GOOD_SCRIPT, "x"])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
everything(FORMULAS.values(), SCRIPTS.values())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.fixture(scope="module")
def workshop() -> Iterator[Workshop]:
    with Workshop() as opened:
        yield opened


def test_there_are_enough_of_them():
    assert len(FORMULAS) >= 90
    assert len(SCRIPTS) >= 150


@pytest.mark.parametrize("text", FORMULAS.values(), ids=FORMULAS)
def test_a_hostile_formula_is_refused_and_the_next_one_works(text):
    with pytest.raises(ContractError, match=r"^contract-7/energy: "):
        compile_formula(text, who="contract-7/energy").evaluate(VALUES)
    assert compile_formula("energy * price", who="contract-8").evaluate(VALUES) == 20


@pytest.mark.parametrize("text", SCRIPTS.values(), ids=SCRIPTS)
def test_a_hostile_script_is_refused_and_the_next_one_works(text, workshop):
    with pytest.raises(ContractError, match=r"^contract-7/script: ") as refusal:
        workshop.run(compile_script(text, outputs=("amount",), who="contract-7/script"), VALUES, INTERVALS)
    assert len(str(refusal.value)) < 2_000
    good = compile_script(GOOD_SCRIPT, outputs=("amount",), who="contract-8")
    assert workshop.run(good, VALUES, INTERVALS) == {"amount": 14}


def test_all_of_them_together_leave_no_trace_in_the_memory_of_this_process():
    run = subprocess.run(
        [sys.executable, "-c", RUN_THEM_ALL], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
    )
    assert int(run.stdout) < 8 * 1024, "KiB"
