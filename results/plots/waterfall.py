"""From what a party received and paid to what it is left with, term by term."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from results.plots import owed, style
from results.plots.style import Look
from results.run import Run
from sim.ledger import total_of

PARTIES = 6
"""Parties that get a panel: of each kind the one with the largest turnover."""

STEPS = 6
"""Bars before the net; smaller ones are put together."""

RECEIVED, PAID = Look(style.BLUE, "-", ""), Look(style.VERMILLION, "-", "//")


@dataclass(frozen=True, slots=True)
class Account:
    """What a party received (+) and paid (−) by term, the two never set off; receipts first, then the largest.  net: their sum.

    of: how many parties of its kind have an account.
    """

    era: str
    kind: str
    of: int
    steps: tuple[tuple[str, Decimal], ...]
    net: Decimal

    @property
    def turnover(self) -> Decimal:
        """All receipts and payments, each counted as positive."""
        return total_of(abs(amount) for _, amount in self.steps)


def shows(run: Run) -> bool:
    """Whether anybody owes anybody anything in the run's currency."""
    return bool(owed.postings(run))


def draw(run: Run, interval: int | None = None) -> Figure:
    """A panel for the party with the largest turnover of every kind: its receipts and payments one after another, and its net.

    interval: count the postings of this interval alone.
    """
    found = accounts(run, interval)
    shown = _chosen(found)
    rows = max(1, -(-len(shown) // 2))
    tallest = max((len(_few(account.steps)) for account in shown), default=2)
    figure = Figure(figsize=(9.0, 1.1 + rows * (0.95 + 0.26 * (tallest + 1))), layout="constrained")
    panels = figure.subplots(rows, 2 if len(shown) > 1 else 1, squeeze=False).flatten().tolist()
    style.headline(figure, _claim(run, shown), run, _remark(run, found, shown, interval))
    style.keep_apart(figure, 0.12)
    for ax, account in zip(panels, shown, strict=False):
        _draw_account(ax, run, account)
        ax.set_ylim(-tallest - 0.6, 0.6)  # bars of one height in all panels
    if not shown:
        style.note(panels[0], "no postings")
    for ax in panels[max(1, len(shown)) :]:
        ax.set_axis_off()
    return figure


def accounts(run: Run, interval: int | None = None) -> Mapping[str, Account]:
    """The account of everybody that received or paid anything in the run's currency, by ERA."""
    sums: dict[str, dict[tuple[str, int], Decimal]] = {}
    for posting in owed.postings(run, interval):
        for era, sign in ((posting.payer, -1), (posting.payee, 1)):
            terms = sums.setdefault(era, {})
            terms[posting.term, sign] = total_of([sign * posting.amount], terms.get((posting.term, sign), Decimal(0)))
    kinds = [run.kinds.get(era, era) for era in sums]
    return {
        era: Account(era, kind, kinds.count(kind), _steps(terms), total_of(terms.values()))
        for (era, terms), kind in zip(sums.items(), kinds, strict=True)
    }


def _steps(terms: Mapping[tuple[str, int], Decimal]) -> tuple[tuple[str, Decimal], ...]:
    ranked = sorted(terms.items(), key=lambda item: (-item[0][1], -abs(item[1]), item[0][0]))
    return tuple((term, amount) for (term, _), amount in ranked if amount)


def _chosen(found: Mapping[str, Account]) -> list[Account]:
    """Of each kind the first with the largest turnover; the largest kinds."""
    best: dict[str, Account] = {}
    for account in found.values():
        if account.kind not in best or account.turnover > best[account.kind].turnover:
            best[account.kind] = account
    return sorted(best.values(), key=lambda account: -account.turnover)[:PARTIES]


def _few(steps: Sequence[tuple[str, Decimal]]) -> list[tuple[str, Decimal]]:
    """The largest steps in their order, and the rest of either sign put together."""
    if len(steps) <= STEPS:
        return list(steps)
    largest = sorted(range(len(steps)), key=lambda number: -abs(steps[number][1]))[: STEPS - 2]
    rest = [amount for number, (_, amount) in enumerate(steps) if number not in largest]
    few = [steps[number] for number in sorted(largest)]
    for sign in (1, -1):
        total = total_of(amount for amount in rest if sign * amount > 0)
        few += [("other terms", total)] if total else []
    return sorted(few, key=lambda step: step[1] < 0)


def _claim(run: Run, shown: Sequence[Account]) -> str:
    if not shown:
        return "No money moved"
    top = max(shown, key=lambda account: abs(account.net))
    way = "ends with" if top.net >= 0 else "pays"
    amount = f"{abs(top.net):,.2f} {run.manifest['currency']}"
    return f"{style.short(top.era)} {way} {amount} net: receipts and payments of {len(shown)} parties"


def _remark(run: Run, found: Mapping[str, Account], shown: Sequence[Account], interval: int | None) -> str:
    remarks = {
        style.period(run, interval): interval is not None,
        "of each kind the party with the largest turnover": len(found) > len(shown) > 0,
        f"{len(found) - len(shown)} more parties": len(found) > len(shown),
        owed.remark(run, interval): owed.remark(run, interval),
    }
    return " · ".join(remark for remark, applies in remarks.items() if applies)


def _draw_account(ax: Axes, run: Run, account: Account) -> None:
    """Bars from the top down, each from where the one before ended; the net from zero."""
    steps = _few(account.steps)
    running = 0.0
    ends = [0.0]
    for row, (_, exact) in enumerate(steps):
        amount, look = float(exact), RECEIVED if exact > 0 else PAID
        ax.barh(-row, amount, 0.66, running, color=look.color, hatch=look.hatch, edgecolor="white", linewidth=0.6)
        running += amount
        ends.append(running)
        ax.plot([running, running], [-row + 0.33, -row - 1.33], color=style.MUTED, linewidth=0.7, zorder=1)
    ax.barh(-len(steps), float(account.net), 0.66, color=style.INK)
    low, high = min(ends), max(ends)
    room = max(high - low, 0.01)
    ax.set_xlim(low - 0.06 * room, high + 0.06 * room)
    ax.axvline(0, color=style.INK, linewidth=0.8)
    ax.grid(axis="y", visible=False)
    ax.tick_params(axis="y", length=0)
    ax.locator_params(axis="x", nbins=5)
    ax.set_yticks([-row for row in range(len(steps) + 1)], [*(style.short(term, 20) for term, _ in steps), "net"])
    for row, exact in enumerate([*(exact for _, exact in steps), account.net]):
        ax.text(
            1.03, -row, style.signed(float(exact), 2), transform=ax.get_yaxis_transform(), va="center", fontsize=8.5,
            fontweight="bold" if row == len(steps) else "normal",
        )  # fmt: skip
    name = style.short(account.era, 24)
    kind = f"{style.short(account.kind, 20)}, 1 of {account.of}" if account.of > 1 else style.short(account.kind, 20)
    ax.set_title(f"{name} ({kind})" if account.kind != account.era else name, fontsize=9, loc="left")
    ax.set_xlabel(f"{run.manifest['currency']}: received +, paid −", fontsize=8.5)
