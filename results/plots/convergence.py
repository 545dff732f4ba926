"""How the adders of one interval were found: round by round, with the flows that answered to them.

Two kinds of rounds lead to a price.  A policy that ascends announces adders inside its own clearing; these rounds are not
on the wire, and are played again here from the problem that is.  And a market that asks the grid operator before it
publishes clears again whenever the power flow breaks a limit; these rounds are read from the journal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from results.plots import style
from results.plots.style import Label
from results.run import Record, Run
from sim import tolerances
from sim.curves import Floats
from sim.market.adders import Trace
from sim.market.policies.iterated import PASSES, PER_LIMIT, PER_PERCENT, ROUNDS, Ascent, Utilisation
from sim.market.problem import Problem
from sim.market.wire_form import read_problem

Nodes = Mapping[str, float]

NODES = 3
"""Nodes that get a line: those with the largest adders."""


@dataclass(frozen=True, slots=True)
class Round:
    """Prices that were announced, and what then flowed.

    above: by node, its price less the root's [currency/kWh]; without those that have no price.
    use: by node, flow as a share of the limit on its side; ±1 is at the limit, + is import.
    wires: the same as the power flow gave it; empty where it was not asked.
    own: least and most of what participants' prices lie above the root's.
    """

    above: Nodes
    use: Nodes
    wires: Nodes
    own: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Search:
    """The rounds of one interval.

    inside: whether they are those of a policy's ascent, and not clearings that the wires were asked about.  verdict: how
    it ended.
    """

    interval: int
    root: str
    rounds: tuple[Round, ...]
    inside: bool
    verdict: str


def shows(run: Run) -> bool:
    """Whether any interval took more than one round, of its policy or with the wires."""
    return _hardest(run) >= 0


def draw(run: Run, interval: int | None = None) -> Figure:
    """Above, the price of each node less the root's by round; below, flow as a share of its limit.

    interval: default of those with most rounds the one with the largest adder.
    """
    chosen = _hardest(run) if interval is None else interval
    found = search(run, chosen)
    if found is None:
        figure, (ax,) = style.canvas(1, 4.2)
        style.headline(figure, "No rounds", run)
        words = "no interval of this run was cleared in rounds" if interval is None else "this interval was not cleared"
        style.note(ax, words)
        return figure
    figure, (above, below) = style.canvas(2, 5.8, (1.3, 1))
    style.headline(figure, _claim(run, found), run, _remark(run, found))
    nodes = _nodes(found)
    _draw_prices(above, run, found, nodes)
    _draw_use(below, found, nodes)
    return figure


def search(run: Run, interval: int) -> Search | None:
    """The rounds of an interval; None where it was not cleared."""
    if interval not in run.exchanges:
        return None
    if interval in _ascending(run):
        return _of_ascent(run, interval)
    rounds = tuple(_of_journal(run, interval))
    names = run.exchanges[interval][0][0]["message"]["aggregationRequest"].get("gridNodes", [])
    root = next((str(node["era"]) for node in names if not node.get("gridNode")), run.root)
    return Search(interval, root, rounds, False, _stood(rounds))


def _stood(rounds: Sequence[Round]) -> str:
    return "the first clearing stood" if len(rounds) == 1 else f"{len(rounds)} clearings until one stood"


def _hardest(run: Run) -> int:
    """Of the intervals with an ascent, or else with most clearings, the one with the largest adder; -1 where there is none."""
    counts = {interval: len(exchanges) for interval, exchanges in run.exchanges.items()}
    most = max(counts.values(), default=0)
    among = list(_ascending(run)) or [interval for interval, count in counts.items() if count == most > 1]
    if not among:
        return -1
    size = run.prices["adder_per_kwh"].abs().groupby(run.prices["interval"]).max().reindex(among).fillna(0.0)
    return int(size.idxmax())


def _ascending(run: Run) -> Mapping[int, str]:
    """Intervals whose policy went in rounds of its own, with that policy as the scenario names it."""
    policies = run.intervals.set_index("interval")["policy"]
    is_one = policies.str.split(":").str[0].isin(["adder-ascent", "utilisation", "utilisation-damped"])
    return dict(zip(policies.index[is_one].tolist(), policies[is_one].tolist(), strict=True))


# --- rounds of an ascent ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Replay:
    """The rounds that a policy went through on its way to a clearing, from the problem alone.

    name: of the policy with its options, as in ``adder-ascent:rounds=40``.
    """

    problem: Problem
    name: str

    @cached_property
    def options(self) -> Mapping[str, str]:
        """Its options by name, as they were written."""
        pairs = (item.partition("=") for item in self.name.partition(":")[2].split(",") if item)
        return {key.strip(): value.strip() for key, _, value in pairs}

    @cached_property
    def game(self) -> Ascent | Utilisation:
        """What was played: for prices of limits, or for adders of nodes."""
        said = self.options
        if self.name.startswith("adder-ascent"):
            rate = said.get("rate", "none")
            step, delay = said.get("step", PER_LIMIT), int(said.get("delay", 0))
            return Ascent(self.problem, None if rate == "none" else float(rate), step, delay)
        damping = 0.5 if self.name.startswith("utilisation-damped") else float(said.get("damping", 1.0))
        signed = said.get("signed", "false").lower() == "true"
        return Utilisation(self.problem, float(said.get("per_percent", PER_PERCENT)), damping, signed)

    @cached_property
    def trace(self) -> Trace:
        """All rounds, with the rows of ``game``."""
        if isinstance(self.game, Ascent):
            return self.game.run(int(self.options.get("rounds", ROUNDS)))
        return self.game.run(int(self.options.get("passes", PASSES)))

    def adders(self, announced: Floats) -> Floats:
        """Adder of each node to the price above it: price of its import limit less that of its export limit."""
        if not isinstance(self.game, Ascent):
            return announced
        nodes = len(self.problem.tree.names)
        price = np.zeros(len(self.problem.rows.most))
        price[self.game.limited] = announced
        found: Floats = price[:nodes] - price[nodes : 2 * nodes]
        return found

    def flows_kw(self, announced: Floats) -> Floats:
        """Import through each node once these prices or adders were announced."""
        setpoint_kw = self.game.answers.outcome(announced).setpoint_kw
        found: Floats = self.problem.rows.matrix[: len(self.problem.tree.names)] @ setpoint_kw
        return found

    @property
    def verdict(self) -> str:
        """How it ended."""
        count = len(self.trace.rounds)
        if not isinstance(self.game, Ascent):
            return f"after {count - 1} passes"
        if self.trace.settled:
            return f"settled in {count} rounds"
        return f"circling every {self.trace.cycle} rounds" if self.trace.cycle else f"not settled in {count} rounds"


def _of_ascent(run: Run, interval: int) -> Search:
    problem = read_problem(run.exchanges[interval][-1][0], f"aggregate of interval {interval}")
    replay, tree = Replay(problem, _ascending(run)[interval]), problem.tree
    rounds = []
    for played in replay.trace.rounds:
        above = replay.adders(played.adder).copy()
        for node, parent in enumerate(tree.parent[1:], start=1):
            above[node] += above[parent]
        flows = dict(zip(tree.names, replay.flows_kw(played.adder).tolist(), strict=True))
        limits = {
            name: (float(-low), float(up))
            for name, low, up in zip(tree.names, tree.lower_kw, tree.upper_kw, strict=True)
        }
        prices = dict(zip(tree.names, above.tolist(), strict=True))
        rounds.append(Round(prices, _use(flows, limits), {}, (0.0, 0.0)))
    return Search(interval, tree.names[0], tuple(rounds), True, replay.verdict)


def _use(flows_kw: Nodes, limits_kw: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """Flow as a share of the import or export limit, by node; without nodes that nothing limits on that side."""
    found = {}
    for node, kw in flows_kw.items():
        limit = limits_kw.get(node, (np.inf, np.inf))[0 if kw >= 0 else 1]
        if np.isfinite(limit) and limit > 0:
            found[node] = kw / limit
    return found


# --- rounds with the wires --------------------------------------------------------------------------------------------


def _of_journal(run: Run, interval: int) -> Iterator[Round]:
    """Every clearing of the interval with what the wires said to it."""
    exchanges, said = run.exchanges[interval], _assessments(run)
    # A limit is tightened from round to round; what all rounds are measured by is the one that they began with.
    limits = _limits(exchanges[0][0]["message"]["aggregationRequest"])
    for _, answer in exchanges:
        yield _round(answer["message"]["aggregationResult"], said.get(answer["context"]["messageId"], {}), limits)


def _round(result: Record, wires_kw: Nodes, limits: Mapping[str, tuple[float, float]]) -> Round:
    nodes = {str(node["era"]): node for node in result["gridNodes"]}
    prices = {
        era: float(node["locationalPrice"]) for era, node in nodes.items() if node.get("locationalPrice") is not None
    }
    root = next(iter(prices.values()), 0.0)
    own = [float(award["price"]) - root for award in result["setpoints"] if award.get("price") is not None and prices]
    return Round(
        {era: price - root for era, price in prices.items()},
        _use({era: float(node["flowKW"]) for era, node in nodes.items()}, limits),
        _use(wires_kw, limits),
        (min(own, default=0.0), max(own, default=0.0)),
    )


def _limits(request: Record) -> dict[str, tuple[float, float]]:
    found = {}
    for node in request.get("gridNodes", []):
        constraints = node.get("gridConstraints") or {}
        ends = (constraints.get(key) for key in ("maxForwardFlowKW", "maxReverseFlowKW"))
        upward, downward = (np.inf if end is None else float(end) for end in ends)
        found[str(node["era"])] = (upward, downward)
    return found


def _assessments(run: Run) -> Mapping[str, Nodes]:
    """By the message that asked for the clearing, the flows that the power flow gave for it."""
    found = {}
    for record in run.message_records("on_assess"):
        body = record["body"]
        about = (body["context"].get("lineage") or {}).get("messageId", "")
        nodes = body["message"].get("assessment", {}).get("gridNodes", [])
        found[str(about)] = {str(node["era"]): float(node["flowKW"]) for node in nodes}
    return found


# --- the picture ------------------------------------------------------------------------------------------------------


def _nodes(found: Search) -> list[str]:
    size: dict[str, float] = {}
    for played in found.rounds:
        for node, above in played.above.items():
            size[node] = max(size.get(node, 0.0), abs(above))
        for node in played.use:
            size.setdefault(node, 0.0)
    return sorted((node for node in size if node != found.root), key=lambda node: -size[node])[:NODES]


def _claim(run: Run, found: Search) -> str:
    currency, nodes = run.manifest["currency"], _nodes(found)
    last = found.rounds[-1].above
    top = max(nodes, key=lambda node: abs(last.get(node, 0.0)), default="")
    if not top or abs(last.get(top, 0.0)) <= tolerances.PRICE_PER_KWH:
        low, high = found.rounds[-1].own
        spread = (
            f"participants' prices span {style.plain(high - low, 3)} {currency}/kWh"
            if high - low > tolerances.PRICE_PER_KWH
            else ""
        )
        return f"{_capital(found.verdict)}; {spread or 'no node has an adder'}"
    worth = f"{style.signed(last[top])} {currency}/kWh"
    return f"{_capital(found.verdict)}: the adder along the way to {style.short(top)} ends at {worth}"


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _remark(run: Run, found: Search) -> str:
    window = run.calendar.interval(found.interval)
    counts = run.intervals["rounds"].value_counts().sort_index()
    spread = ", ".join(f"{number} in {count}" for number, count in counts.items() if number)
    kind = "rounds of the policy, played again from the journal" if found.inside else f"clearings by interval: {spread}"
    return f"{run.calendar.local(window.start_s):%a %H:%M} · {kind}"


def _draw_prices(ax: Axes, run: Run, found: Search, nodes: Sequence[str]) -> None:
    numbers = np.arange(1, len(found.rounds) + 1)
    ax.axhline(0, color=style.INK, linewidth=0.8)
    spans = np.array([played.own for played in found.rounds])
    ends = [
        (min(played.above.values(), default=0.0), max(played.above.values(), default=0.0)) for played in found.rounds
    ]
    beyond = np.maximum(np.array(ends)[:, 0] - spans[:, 0], spans[:, 1] - np.array(ends)[:, 1])
    if not found.inside and beyond.max() > tolerances.PRICE_PER_KWH:
        ax.vlines(numbers, spans[:, 0], spans[:, 1], color=style.FAINT, linewidth=7, label="all participants", zorder=1)
        ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8.5)
    labels = []
    for node, look in zip(nodes, style.LOOKS, strict=False):
        above = [played.above.get(node, np.nan) for played in found.rounds]
        ax.plot(
            numbers, above, color=look.color, linestyle=look.dashes, marker="o", markersize=4, linewidth=1.6, zorder=3
        )
        labels.append(Label(above[-1], style.short(node), look.color, look.dashes))
    _rounds_axis(ax, len(numbers))
    ax.set_xlabel("")
    ax.set_ylabel(f"price less that of\n{style.short(found.root, 12)}, {run.manifest['currency']}/kWh")
    ax.margins(y=0.12)
    style.end_labels(ax, labels)


def _draw_use(ax: Axes, found: Search, nodes: Sequence[str]) -> None:
    numbers = np.arange(1, len(found.rounds) + 1)
    uses = [value for played in found.rounds for side in (played.use, played.wires) for value in side.values()]
    labels = []
    for node, look in zip(nodes, style.LOOKS, strict=False):
        cleared, wires = (
            [100 * getattr(played, side).get(node, np.nan) for played in found.rounds] for side in ("use", "wires")
        )
        ax.plot(numbers, cleared, color=look.color, linestyle=look.dashes, marker="o", markersize=4, linewidth=1.6)
        ax.plot(
            numbers, wires, color=look.color, linestyle="", marker="D", markersize=7, markerfacecolor="none", zorder=4
        )
        labels.append(Label(cleared[-1], style.short(node), look.color, look.dashes))
    for sign in (-1, 1):
        if any(sign * value > 0.25 for value in uses):
            ax.axhline(100 * sign, color=style.VERMILLION, linewidth=1.3)
            labels.append(Label(100 * sign, "limit", style.VERMILLION))
    ax.axhline(0, color=style.INK, linewidth=0.8)
    _rounds_axis(ax, len(numbers))
    asked = any(played.wires for played in found.rounds)
    ax.set_xlabel("round (the last one was published)" if not found.inside else "round of the policy")
    ax.set_ylabel(
        f"flow, % of the limit{', ◇ on' if asked else ''}\n{'the wires: ' if asked else ''}import +, export −"
    )
    ax.margins(y=0.15)
    style.end_labels(ax, labels)


def _rounds_axis(ax: Axes, count: int) -> None:
    ax.set_xlim(0.6, count + 0.4)
    step = max(1, -(-count // 12))
    ax.set_xticks(range(1, count + 1, step))
