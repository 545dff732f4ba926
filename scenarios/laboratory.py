"""One order book, many policies, side by side: the table of ``degsim clear --policy all``, and the same as JSON."""

from __future__ import annotations

import contextlib
import copy
import json
import math
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from results.text import short
from scenarios.catalog import policy
from sim.errors import MarketError, MessageError, nearest
from sim.market import gaps
from sim.market.laboratory import Range, Reference, Verdict, judge, reference_of
from sim.market.misreport import Misreport, greatest_gain
from sim.market.policies import POLICIES
from sim.market.policies.peers import PEERS
from sim.market.policy import Policy
from sim.market.problem import Clearing, Problem
from sim.market.wire_form import read_problem, unsolved

ALL = "all"
"""Stands for every policy of the table."""

WIDTH = 120
"""Columns of the table."""

BOOKS = Path(__file__).parent / "books"
"""Order books to try, by name."""

TRIES = 40
"""Lies about prices that are tried for each participant."""

NOTHING_PER_H = 1e-9
"""What a lie gains by rounding alone [currency/h]."""


@dataclass(frozen=True, slots=True)
class Row:
    """A policy, what the oracle says, and the best lie found, where one was looked for."""

    policy: Policy
    verdict: Verdict
    misreport: Misreport | None = None


def policies(names: Sequence[str]) -> list[Policy]:
    """The policies named, each once; ``all`` names those of the table.  Raises ``ScenarioError`` for one that is unknown."""
    every = [one for name in names for one in (POLICIES if name == ALL else (name,))]
    return [policy(name) for name in dict.fromkeys(every)]


def books() -> dict[str, str]:
    """The order books by name, and a line about each."""
    return {path.stem: json.loads(path.read_text("utf-8"))["@description"] for path in sorted(BOOKS.glob("*.json"))}


def located(name: str) -> str:
    """The file of an order book: one that is there, or of this project by its name.

    Raises ``MessageError`` for what is neither.
    """
    if name == "-" or Path(name).exists():
        return name
    path = BOOKS / f"{name}.json"
    if not path.exists():
        known = books()
        raise MessageError(name, f"there is no such file, and no book of that name, {nearest(name, known)}")
    return str(path)


def show(
    source: str,
    data: object,
    chosen: Sequence[Policy],
    out: Callable[[str], None],
    *,
    as_json: bool,
    misreports: bool,
) -> bool:
    """Clear an ``aggregate`` message by each of these policies and say what the oracle finds.

    False where a policy is at fault: it failed, or broke what it promises.  Raises ``MessageError`` for a message that
    cannot be read, or that nothing can clear.
    """
    problem = read_problem(data, source)
    try:
        known = reference_of(problem)
    except MarketError as error:
        raise MessageError(source, tuple(unsolved(error, data, problem))) from error
    rows = [_row(problem, one, known, misreports) for one in chosen]
    document = _document(source, known, rows) if as_json else None
    lines = table(source, problem, known, rows) if document is None else [json.dumps(document)]
    out("\n".join(map(_printable, lines)))
    return not any(row.verdict.at_fault for row in rows)


def _row(problem: Problem, one: Policy, known: Reference, misreports: bool) -> Row:
    if _group(one.name) == _OUTSIDE:
        one = _kept_apart(one)
    verdict = judge(problem, one, known)
    if verdict.failed or not misreports:
        return Row(one, verdict)
    return Row(one, verdict, greatest_gain(one, problem, tries=TRIES))


def _kept_apart(one: Policy) -> Policy:
    """A policy from outside, with a market of its own to write into, and whose prints are talk and no data."""

    def clear(problem: Problem) -> Clearing:
        with contextlib.redirect_stdout(sys.stderr):
            return one.clear(copy.deepcopy(problem))

    return replace(one, clear=clear)


def _printable(line: str) -> str:
    """A line that commands no terminal, whatever the names of participants hold."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in line)


# --- as a table -------------------------------------------------------------------------------------------------------

_COLUMNS = (
    ("price", 12),
    ("kW", 7),
    ("welfare", 9),
    ("best", 7),
    ("vol", 4),
    ("equ", 4),
    ("bal", 4),
    ("lim", 4),
    ("unserved", 9),
)
_NAME, _WORSE, _MONEY = 23, 13, 17

_LITERATURE, _PROJECTS, _OUTSIDE = "LITERATURE", "RULES OF OTHER PROJECTS", "FROM OUTSIDE"

_LEGEND = (
    "best: share of the greatest welfare within the limits, above 100% only where these or the balance are broken. vol: the "
    "volume is one of the optimum's. equ: every price is one at which the optimum comes about. bal: all set-points sum to "
    "zero. lim: limits are kept. unserved: kW wanted at the own price and not got. worse off: against its own bid, per h. "
    "money: what is left with whom, per h; what vanishes or appears is accounted for by nobody. kept: promises kept of those "
    "made."
)


def table(source: str, problem: Problem, known: Reference, rows: Sequence[Row]) -> Iterator[str]:
    """The lines of the table: the book, the policies in groups, what went wrong, and a legend."""
    yield from _headline(source, problem, known)
    for title, members in _groups(rows):
        yield ""
        yield _line(title, [head for head, _ in _COLUMNS], "worse off", "money", "kept")
        for row in members:
            yield from _cells(row.verdict)
    yield from _block("broken promises", [_broken(row.verdict) for row in rows if row.verdict.broken_promises])
    yield from _block(
        "notes", [f"{row.policy.name}: {'; '.join(map(str, row.verdict.notes))}" for row in rows if row.verdict.notes]
    )
    yield from _block("best lie found", [_lie(row.policy.name, row.misreport) for row in rows if row.misreport])
    yield ""
    yield from textwrap.wrap(_LEGEND, WIDTH)


def _headline(source: str, problem: Problem, known: Reference) -> Iterator[str]:
    nodes = len(problem.tree.names)
    yield f"{short(source, 60)}: {_count(len(problem.offers), 'participant')} at {_count(nodes, 'node')}"
    free = (
        ""
        if math.isclose(known.worth, known.worth_unlimited, abs_tol=1e-6)
        else f", {_number(known.worth_unlimited)} without limits"
    )
    minimum = ", as if nobody had a minimum" if gaps.has_gaps(problem) else ""
    volume, price = _range(known.volume_kw), _places(known.price)
    yield f"best: welfare {_number(known.worth)} per h{free}{minimum}; volume {volume} kW; price {price}"


def _places(price: Mapping[str, Range]) -> str:
    """The equilibrium prices: one for all, or by node where they part; of many nodes the first."""
    parted: dict[str, list[str]] = {}
    for node, (lo, hi) in price.items():
        parted.setdefault(_range((lo, hi)), []).append(node)
    if len(parted) == 1:
        return next(iter(parted))
    shown = [f"{span} at {short(', '.join(nodes), 24)}" for span, nodes in parted.items()]
    return "; ".join(shown[:3]) + (f"; and {len(shown) - 3} more" if len(shown) > 3 else "")


def _groups(rows: Sequence[Row]) -> Iterator[tuple[str, list[Row]]]:
    titles = [_group(row.policy.name.partition(":")[0]) for row in rows]
    for title in (_LITERATURE, _PROJECTS, _OUTSIDE):
        members = [row for row, group in zip(rows, titles, strict=True) if group == title]
        if members:
            yield title, members


def _group(name: str) -> str:
    return _PROJECTS if name in PEERS else _LITERATURE if name in POLICIES else _OUTSIDE


def _cells(verdict: Verdict) -> Iterator[str]:
    name = short(verdict.policy, _NAME - 1)
    if verdict.failed:
        said = textwrap.wrap(
            f"{'cannot clear this' if verdict.refused else 'AT FAULT'}: {verdict.failed}", WIDTH - _NAME
        )
        yield from (f"{head:<{_NAME}}{line}" for head, line in zip((name, *[""] * len(said)), said, strict=False))
        return
    unserved = sum(verdict.unserved_kw.values())
    cells = [
        _fitting(verdict.price, _COLUMNS[0][1] - 1) if verdict.price else "-",
        _fitting((verdict.volume_kw, verdict.volume_kw), _COLUMNS[1][1] - 1),
        _fitting((verdict.welfare, verdict.welfare), _COLUMNS[2][1] - 1),
        "-" if verdict.share is None else _percent(verdict.share),
        _yes(verdict.volume_efficient),
        _yes(verdict.price_in_equilibrium),
        _yes(not verdict.breaks("balance")),
        _yes(not verdict.breaks("limits")),
        _fitting((unserved, unserved), _COLUMNS[8][1] - 1) if unserved else "-",
    ]
    kept = len(verdict.promises) - len({found.condition for found in verdict.broken_promises})
    yield _line(name, cells, _worse_off(verdict.worse_off), _money(verdict), f"{kept}/{len(verdict.promises)}")


def _line(name: str, cells: Sequence[str], worse: str, money: str, promises: str) -> str:
    columns = "".join(f"{cell:>{width}}" for cell, (_, width) in zip(cells, _COLUMNS, strict=True))
    return f"{name:<{_NAME}}{columns}  {worse:<{_WORSE}}{money:<{_MONEY}}{promises}"


def _worse_off(losses: Mapping[str, float]) -> str:
    if not losses:
        return "-"
    era = max(losses, key=lambda one: losses[one])
    more = f" +{len(losses) - 1}" if len(losses) > 1 else ""
    amount = _tidy(losses[era], 3)
    return f"{short(era, _WORSE - 2 - len(amount) - len(more))} {amount}{more}"


def _money(verdict: Verdict) -> str:
    if verdict.breaks("money"):
        return f"{_tidy(abs(verdict.missing), 4)} {'vanishes' if verdict.missing > 0 else 'appears'}"
    if not verdict.accounts:
        return "closed"
    name = max(verdict.accounts, key=lambda one: abs(verdict.accounts[one]))
    more = f" +{len(verdict.accounts) - 1}" if len(verdict.accounts) > 1 else ""
    amount = _tidy(verdict.accounts[name], 4)
    return f"{amount} {short(name, _MONEY - 2 - len(amount) - len(more))}{more}"


def _broken(verdict: Verdict) -> str:
    first, *rest = verdict.broken_promises
    more = f", and {len(rest)} more" if rest else ""
    return f"{verdict.policy}: {first.condition}: {first.who} {first.what}{more}"


def _lie(name: str, found: Misreport | None) -> str:
    if found is None or found.gain_per_h <= NOTHING_PER_H:
        return f"{name}: none pays" + (f", of some {found.tried} tried for each" if found else "")
    return f"{name}: {found.era} gains {_tidy(found.gain_per_h, 4)} per h by {found.report}"


def _block(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield ""
        yield f"{title}:"
        for line in lines:
            yield from textwrap.wrap(line, WIDTH, initial_indent="  ", subsequent_indent="    ")


def _percent(share: float) -> str:
    """With a digit after the point where that says something, and never wider than its column."""
    whole = math.isclose(share, 1, abs_tol=1e-9) or share >= 1.1 or share <= -0.9
    text = f"{100 * share:.{0 if whole else 1}f}%"
    return text if len(text) < _COLUMNS[3][1] else f"{100 * share:.0e}%".replace("e+0", "e").replace("e+", "e")


def _yes(holds: bool | None) -> str:
    return "-" if holds is None else "yes" if holds else "NO"


def _fitting(ends: Range, width: int) -> str:
    """A range with as many digits as there is room for."""
    written = (_range(ends, digits) for digits in (5, 4, 3, 2))
    return next((text for text in written if len(text) <= width), _range(ends, 1))


def _range(ends: Range, digits: int = 5) -> str:
    lo, hi = (_number(end, digits) for end in ends)
    return lo if lo == hi else f"{lo}..{hi}"


def _number(value: float, digits: int = 5) -> str:
    if math.isinf(value):
        return "any" if value > 0 else "-any"
    return _tidy(value, digits)


def _tidy(value: float, digits: int) -> str:
    """A number as short as it can be; what is nearly zero is zero."""
    return f"{0.0 if abs(value) < 1e-9 else value:.{digits}g}"


def _count(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


# --- as JSON ----------------------------------------------------------------------------------------------------------


def _document(source: str, known: Reference, rows: Sequence[Row]) -> dict[str, object]:
    return {
        "source": source,
        "best": {
            "welfare": known.worth,
            "welfareWithoutLimits": known.worth_unlimited,
            "volumeKW": list(known.volume_kw),
            "priceInterval": {node: [_finite(end) for end in ends] for node, ends in known.price.items()},
        },
        "verdicts": [_verdict(row) for row in rows],
    }


def _verdict(row: Row) -> dict[str, object]:
    verdict = row.verdict
    told: dict[str, Any] = {"policy": verdict.policy, "promises": list(verdict.promises)}
    if verdict.failed:
        return {**told, "failed": verdict.failed, "refused": verdict.refused}
    lie = row.misreport
    return {
        **told,
        "price": None if verdict.price is None else list(verdict.price),
        "volumeKW": verdict.volume_kw,
        "welfare": verdict.welfare,
        "shareOfBest": verdict.share,
        "volumeEfficient": verdict.volume_efficient,
        "priceInEquilibrium": verdict.price_in_equilibrium,
        "balanced": not verdict.breaks("balance"),
        "limitsKept": not verdict.breaks("limits"),
        "worseOff": dict(verdict.worse_off),
        "accounts": dict(verdict.accounts),
        "unaccounted": verdict.missing,
        "moneyClosed": not verdict.breaks("money"),
        "unservedKW": dict(verdict.unserved_kw),
        "unsoldKW": dict(verdict.unsold_kw),
        "brokenPromises": [_violation(found) for found in verdict.broken_promises],
        "violations": [_violation(found) for found in verdict.broken],
        "notes": [str(note) for note in verdict.notes],
        **({} if lie is None else {"misreport": _misreport(lie)}),
    }


def _violation(found: Any) -> dict[str, object]:
    return {"condition": found.condition, "who": found.who, "what": found.what, "amount": _finite(found.amount)}


def _misreport(lie: Misreport) -> dict[str, object]:
    points = [{"price": price, "powerKW": power} for price, power in lie.report.points()]
    return {"era": lie.era, "gain": lie.gain_per_h, "tried": lie.tried, "curve": points}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
