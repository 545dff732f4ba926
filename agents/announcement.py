"""The adder that a grid node announces: moved after every reading of its own meter, by a rule."""

from __future__ import annotations

from collections import deque

import numpy as np

from sim.market.adders import Step


class Announcement:
    """What a node says that its price lies above its parent's, from the flows that its meter has read.

    step: what prices become once flows were measured.  ways: the sign with which each of these prices counts, and its flow:
    (1,) for one that follows the flow whichever way it goes, (1, -1) for one of imports and one of exports.  late: by how many
    intervals the reading that is acted on is older than the newest; until there is one, nothing moves.

    A reading arrives when its interval is over, and so after the gate of the one that follows: even without being late, a
    price answers to a flow of two intervals before.
    """

    def __init__(self, step: Step, ways: tuple[float, ...] = (1.0,), late: int = 0) -> None:
        self._step = step
        self._ways = np.array(ways)
        self._price = np.zeros(len(ways))
        self._readings: deque[float] = deque(maxlen=late + 1)

    @property
    def adder_per_kwh(self) -> float:
        """The adder in force, signed."""
        return float(self._ways @ self._price) + 0.0

    def read(self, flow_kw: float) -> None:
        """The flow of another interval, + = import."""
        self._readings.append(flow_kw)
        if len(self._readings) == self._readings.maxlen:
            self._price = self._step(self._price, self._ways * self._readings[0])
