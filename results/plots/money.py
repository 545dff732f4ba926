"""Who paid and who received, for what, and what was left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from results.plots import owed, style
from results.plots.style import Look
from results.run import Run
from sim import ledger

_OTHER = "other terms"
_OTHER_LOOK = Look("#999999", "-", "")


@dataclass(frozen=True, slots=True)
class _Accounts:
    """Signed money by kind of participant and term, + is received; kinds ascend by net, terms descend by turnover."""

    flows: Mapping[tuple[str, str], float]
    kinds: tuple[str, ...]
    terms: tuple[str, ...]
    net: Mapping[str, float]
    parties: Mapping[str, int]

    def looks(self) -> dict[str, Look]:
        """The look of each term's bars."""
        return {term: look for term, look in zip(self.terms, (*style.LOOKS, _OTHER_LOOK), strict=False)}


def shows(run: Run) -> bool:
    """Whether anybody owes anybody anything in the run's currency."""
    return bool(owed.postings(run))


def draw(run: Run, interval: int | None = None) -> Figure:
    """Money received (right) and paid (left) by each kind of participant, stacked by term, with its net.

    interval: count the postings of this interval alone.
    """
    accounts = _accounts(run, interval)
    figure, (ax,) = style.canvas(1, 2.3 + 0.46 * max(2, len(accounts.kinds)))
    ax.set_xlabel(f"{run.manifest['currency']}: received to the right, paid to the left")
    remark = " · ".join(part for part in (style.period(run, interval), owed.remark(run, interval)) if part)
    style.headline(figure, _claim(accounts, run), run, remark)
    if accounts.kinds:
        _draw_accounts(ax, accounts)
        _name_terms(figure, accounts)
    else:
        style.note(ax, "no postings")
    return figure


def _accounts(run: Run, interval: int | None) -> _Accounts:
    by_party = ledger.by_term(owed.postings(run, interval))
    eras = dict.fromkeys(era for era, _, _ in by_party)
    exact: dict[tuple[str, str], Decimal] = {}
    for (era, term, _), amount in by_party.items():
        key = run.kinds.get(era, era), term
        exact[key] = exact.get(key, Decimal(0)) + amount
    return _ranked(exact, [run.kinds.get(era, era) for era in eras])


def _ranked(exact: Mapping[tuple[str, str], Decimal], kinds: list[str]) -> _Accounts:
    turnover: dict[str, Decimal] = {}
    net: dict[str, Decimal] = {}
    for (kind, term), amount in exact.items():
        turnover[term] = turnover.get(term, Decimal(0)) + abs(amount)
        net[kind] = net.get(kind, Decimal(0)) + amount
    ranked = sorted((term for term in turnover if turnover[term]), key=lambda term: (-turnover[term], term))
    most = len(style.LOOKS)
    shown = ranked if len(ranked) <= most + 1 else [*ranked[:most], _OTHER]
    flows: dict[tuple[str, str], Decimal] = {}
    for (kind, term), amount in exact.items():
        key = kind, term if term in shown else _OTHER
        flows[key] = flows.get(key, Decimal(0)) + amount
    return _Accounts(
        flows={key: float(amount) for key, amount in flows.items()},
        kinds=tuple(sorted(net, key=lambda kind: (net[kind], kind))),
        terms=tuple(shown),
        net={kind: float(amount) for kind, amount in net.items()},
        parties={kind: kinds.count(kind) for kind in net},
    )


def _claim(accounts: _Accounts, run: Run) -> str:
    if not accounts.kinds:
        return "No money moved"
    currency, payer, payee = run.manifest["currency"], accounts.kinds[0], accounts.kinds[-1]
    paid, received = style.plain(-accounts.net[payer], 2), style.plain(accounts.net[payee], 2)
    payer, payee = style.short(payer), style.short(payee)
    return f"Most paid by {payer} (net {paid} {currency}), most received by {payee} ({received} {currency})"


def _draw_accounts(ax: Axes, accounts: _Accounts) -> None:
    ends = [_draw_row(ax, y, kind, accounts) for y, kind in enumerate(accounts.kinds)]
    width = max(right for _, right in ends) - min(left for left, _ in ends)
    ax.set_xlim(min(left for left, _ in ends) - 0.03 * width, max(right for _, right in ends) + 0.03 * width)
    ax.axvline(0, color=style.INK, linewidth=0.8)
    ax.grid(axis="y", visible=False)
    names = [f"{style.short(kind)} ({accounts.parties[kind]})" for kind in accounts.kinds]
    ax.set_yticks(range(len(names)), names)
    ax.tick_params(axis="y", length=0)
    ax.text(1.10, 1.0, "net ◆", transform=ax.transAxes, ha="right", va="bottom", fontsize=8.5, color=style.MUTED)
    for y, kind in enumerate(accounts.kinds):
        net = accounts.net[kind]
        ax.plot(net, y, marker="D", markersize=6, color=style.INK, markeredgecolor="white", clip_on=False, zorder=5)
        ax.text(
            1.10,
            y,
            style.signed(net, 2),
            transform=ax.get_yaxis_transform(),
            ha="right",
            va="center",
            fontweight="bold",
        )


def _draw_row(ax: Axes, y: int, kind: str, accounts: _Accounts) -> tuple[float, float]:
    """Stack a kind's terms away from zero on both sides; the two ends."""
    left = right = 0.0
    for term, look in accounts.looks().items():
        amount = accounts.flows.get((kind, term), 0.0)
        start = right if amount >= 0 else left
        ax.barh(y, amount, 0.62, start, color=look.color, hatch=look.hatch, edgecolor="white", linewidth=0.8)
        left, right = left + min(amount, 0.0), right + max(amount, 0.0)
    return left, right


def _name_terms(figure: Figure, accounts: _Accounts) -> None:
    looks = accounts.looks().items()
    bars = [
        Patch(facecolor=look.color, hatch=look.hatch, edgecolor="white", label=style.short(term, 40))
        for term, look in looks
    ]
    rows = 1 if sum(map(len, accounts.terms)) <= 60 else 2
    figure.legend(
        handles=bars, loc="outside lower center", ncols=-(-len(bars) // rows), frameon=False, handlelength=1.8
    )
