"""What finished runs amount to in numbers.

``summarise`` folds one run into the numbers that a person reads; ``METRICS`` are the single numbers by which runs are
compared, ``RELATIVE`` those of a run against another.  All are made of the same functions, which stand by subject in the
modules beside this one.  Powers and energies follow the run's tables: + is injection for participants and import for
transformers.
"""

from results.metrics.conduct import Header, Physics, header
from results.metrics.energy import Energy
from results.metrics.fairness import gini, jain
from results.metrics.fold import Summary, summarise
from results.metrics.grid import Transformer, over_kw, transformers
from results.metrics.kept import measure, parties, truth
from results.metrics.market import NodePrice, Parted, own_adders, parted, priced_bounds
from results.metrics.metric import Metric
from results.metrics.money import Account, Flows, Money
from results.metrics.numbers import share
from results.metrics.relative import RELATIVE, Relative
from results.metrics.table import METRICS
from results.metrics.vehicles import MISSED_KWH, Vehicles
from results.metrics.voltage import EN_50160_PU, Extreme, Voltages, band_pu

__all__ = [
    "EN_50160_PU",
    "METRICS",
    "MISSED_KWH",
    "RELATIVE",
    "Account",
    "Energy",
    "Extreme",
    "Flows",
    "Header",
    "Metric",
    "Money",
    "NodePrice",
    "Parted",
    "Physics",
    "Relative",
    "Summary",
    "Transformer",
    "Vehicles",
    "Voltages",
    "band_pu",
    "gini",
    "header",
    "jain",
    "measure",
    "over_kw",
    "own_adders",
    "parted",
    "parties",
    "priced_bounds",
    "share",
    "summarise",
    "transformers",
    "truth",
]
