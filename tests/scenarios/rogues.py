"""Policies and metrics of somebody else that do what they should not; named as ``tests.scenarios.rogues:function``."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from results.run import Run
from sim.market.policies import POLICIES
from sim.market.problem import Clearing, Problem

clear = POLICIES["pay-as-clear"].clear


def die_once(problem: Problem, *, marker: str = "") -> Clearing:
    """Its worker is killed in mid-run, but never where there is a marker already."""
    if not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return clear(problem)


def die(problem: Problem) -> Clearing:
    """Its worker is killed in mid-run, always."""
    os.kill(os.getpid(), signal.SIGKILL)
    return clear(problem)


def fail_beyond(problem: Problem, *, kw: float = 0.0) -> Clearing:
    """A policy with a mistake that only some days show: those with more sun than that."""
    if sum(offer.curve.max_kw for offer in problem.offers if offer.era.startswith("pv")) > kw:
        raise RuntimeError("the sun is in my eyes")
    return clear(problem)


def give_up(problem: Problem) -> Clearing:
    """A policy that believes it is a script."""
    sys.exit("nobody sells")


def stay(problem: Problem) -> Clearing:
    """A policy that takes longer than anybody waits."""
    time.sleep(60)
    return clear(problem)


def shout(run: Run) -> float:
    """A metric with much to say, some of it to the terminal."""
    sys.stdout.write("here I am\n")
    raise ValueError("\x1b[31mred\n" + "very " * 1000 + "long")


def raise_on_seed_2(run: Run) -> float:
    """A metric with a mistake that only some days show."""
    return 1 / (run.manifest["seed"] - 2)


def threads(run: Run) -> float:
    """How many threads numerical libraries were told to use in the process that measures."""
    return float(os.environ.get("OMP_NUM_THREADS", "0"))


def process(run: Run) -> float:
    """The process that measures."""
    return float(os.getpid())
