"""Where the power came from and where it went, by kind of participant: what is put in above zero, what is taken below."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from results.metrics.energy import metered
from results.plots import style
from results.plots.style import Look
from results.run import Run

Floats = NDArray[np.float64]

GRID, LOSSES, OTHERS = "upstream grid", "losses", "other kinds"
LOSSES_LOOK, OTHERS_LOOK = Look("#777777", "-", "||"), Look("#bbbbbb", "-", "++")

KINDS: Mapping[str, Look] = MappingProxyType(
    dict(zip(("household", "ev", "solar", "battery"), style.LOOKS[1:], strict=False))
)
"""Kinds that look alike in every run; others take what looks are left."""


@dataclass(frozen=True, slots=True)
class Balance:
    """Mean power by interval (rows) and source or sink (columns), all >= 0 [kW].

    given: into the feeder, with what was imported.  taken: out of it, with what was exported and lost.  The two rows' sums
    are equal wherever the power flow has a solution; participants count by their meters.
    """

    given: pd.DataFrame
    taken: pd.DataFrame

    def kwh(self, hours: float) -> Mapping[str, tuple[float, float]]:
        """Energy given and taken by each column over intervals of this length."""
        sums = zip(self.given.sum() * hours, self.taken.sum() * hours, strict=True)
        return {str(name): (float(up), float(down)) for name, (up, down) in zip(self.given.columns, sums, strict=True)}


def shows(run: Run) -> bool:
    """Whether a meter has counted anything, or anything crossed to the upstream grid."""
    return len(balance(run).given.columns) > 0


def draw(run: Run, interval: int | None = None) -> Figure:
    """Powers stacked around zero: given above, taken below, each kind in the same look on both sides.

    interval: one to mark with a dotted line.
    """
    figure, (ax,) = style.canvas(1, 5.2)
    found = balance(run)
    chosen = looks(found)
    style.headline(figure, _claim(run, found), run, _remark(run))
    if not chosen:
        style.note(ax, "no meter has counted anything, and nothing crossed to the upstream grid")
        return figure
    for table, sign in ((found.given, 1), (found.taken, -1)):
        _stack(ax, run, table, sign, chosen)
    ax.axhline(0, color=style.INK, linewidth=0.9, zorder=5)
    style.time_axis(ax, run.calendar)
    style.mark_interval(ax, run, interval)
    ax.set_ylabel("mean power, kW:\nput in +, taken out −")
    ax.margins(y=0.05)
    _name(figure, run, found, chosen)
    return figure


def balance(run: Run) -> Balance:
    """Everything that was metered by kind, with imports, exports and losses; the columns with most energy first.

    Kinds beyond the number of looks are put together.
    """
    rows, every = metered(run), range(run.calendar.count)
    power = rows.assign(kw=rows["energy_kwh"] / run.hours)[["interval", "kind", "kw"]]
    sides = []
    slack, losses = (run.intervals.set_index("interval")[name].reindex(every) for name in ("slack_kw", "losses_kw"))
    for sign, lost in ((1, 0 * losses), (-1, losses)):
        table = _by_kind(power, sign).reindex(every)
        upstream = pd.DataFrame({GRID: (sign * slack).clip(lower=0), LOSSES: lost.clip(lower=0)})
        sides.append(pd.concat([table, upstream], axis=1).fillna(0.0))
    names = list(dict.fromkeys(str(name) for side in sides for name in side.columns))
    given, taken = (side.reindex(columns=names, fill_value=0.0) for side in sides)
    total = (given + taken).sum()
    ranked = [name for name in sorted(names, key=lambda name: (-total[name], name)) if total[name] > 0]
    return Balance(_few(given[ranked]), _few(taken[ranked]))


def _by_kind(power: pd.DataFrame, sign: int) -> pd.DataFrame:
    one_way = power.assign(kw=(sign * power["kw"]).clip(lower=0))
    return one_way.pivot_table(index="interval", columns="kind", values="kw", aggfunc="sum", observed=True)


def _few(table: pd.DataFrame) -> pd.DataFrame:
    kinds = [name for name in table.columns if name not in (GRID, LOSSES)]
    crowd = kinds[len(style.LOOKS) - 1 :]
    if not crowd:
        return table
    return table.drop(columns=crowd).assign(**{OTHERS: table[crowd].sum(axis=1)})


def looks(found: Balance) -> dict[str, Look]:
    """The look of each column; whatever kinds there are, those that most runs have look alike in all of them."""
    fixed = {GRID: style.LOOKS[0], LOSSES: LOSSES_LOOK, OTHERS: OTHERS_LOOK, **KINDS}
    names = [str(name) for name in found.given.columns]
    free = [look for look in style.LOOKS if look not in [fixed[name] for name in (*names, GRID) if name in fixed]]
    own = dict(zip([name for name in names if name not in fixed], free, strict=False))
    return {name: fixed.get(name) or own[name] for name in names}


def _claim(run: Run, found: Balance) -> str:
    energy = found.kwh(run.hours)
    if not energy:
        return "No energy"
    most_in = max(energy, key=lambda name: energy[name][0])
    most_out = max(energy, key=lambda name: energy[name][1])
    imported, exported = energy.get(GRID, (0.0, 0.0))
    ends = f"most put in by {style.short(most_in)} ({_kwh(energy[most_in][0])}), most taken by {style.short(most_out)}"
    return f"{_kwh(imported)} imported, {_kwh(exported)} exported; {ends} ({_kwh(energy[most_out][1])})"


def _kwh(value: float) -> str:
    return f"{style.plain(value)} kWh"


def _remark(run: Run) -> str:
    unsolved = int((run.intervals["status"] != "OK").sum())
    return f"{unsolved} intervals without a power flow" if unsolved else ""


def _stack(ax: Axes, run: Run, table: pd.DataFrame, sign: int, worn: Mapping[str, Look]) -> None:
    edges = style.edges_s(run)
    base: Floats = np.zeros(len(table))
    for name, look in worn.items():
        top: Floats = base + sign * table[name].to_numpy(dtype=np.float64)
        ax.stairs(
            top, edges, baseline=base, fill=True, facecolor=look.color, edgecolor="white", hatch=look.hatch, linewidth=0,
            label=f"{name} {'+' if sign > 0 else '−'}", zorder=2,
        )  # fmt: skip
        base = top
    ax.stairs(base, edges, baseline=None, color=style.INK, linewidth=0.7, zorder=4)


def _name(figure: Figure, run: Run, found: Balance, worn: Mapping[str, Look]) -> None:
    """Each kind with the energy that it put in and took."""
    energy = found.kwh(run.hours)
    patches = [
        Patch(facecolor=look.color, hatch=look.hatch, edgecolor="white", label=_words(name, *energy[name]))
        for name, look in worn.items()
    ]
    figure.legend(
        handles=patches, loc="outside lower center", ncols=3, frameon=False, handlelength=1.8, title="energy, kWh",
        title_fontsize=8.5,
    )  # fmt: skip


def _words(name: str, up: float, down: float) -> str:
    parts = [f"{mark}{style.plain(kwh)}" for mark, kwh in (("+", up), ("−", down)) if kwh > 0]
    return f"{style.short(name)} {' '.join(parts)}"
