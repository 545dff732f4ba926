"""A comparison as a person reads it: in the terminal (``render``) and in a document (``markdown``).

Rows are variants and columns are metrics, in as many blocks as the width asks for: one column has one unit and one number of
decimals, so that a glance down it compares.
"""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from results.comparison.model import Comparison, Measure
from results.comparison.statistics import USUAL_SEEDS, Difference, Row, table
from results.text import distinct, short

WIDTH = 110
"""Columns of the text."""
LABEL, LONGEST = 30, 60
"""Columns that a variant's name may take, and where that would not tell it from another."""
VARIANTS = 40
"""Variants that the text shows before it counts the rest; the tables of the folder have all."""
LISTED = 5
"""Failures that are told before the rest is counted."""
HEADLINE = (
    *("regret", "captured_share", "cost_per_consumer", "worse_off_share"),
    *("overload_import_kvah", "overload_export_kvah", "peak_import_kw", "voltage_outside_bus_min"),
    *("ev_unserved_kwh", "curtailed_kwh"),
)
"""Metrics whose differences and worst seeds are told, in text, documents and pictures, unless others are asked for."""
SHOWN = (
    *("welfare", "welfare_share", "regret", "captured_share"),
    *("cost_per_consumer", "bill_saving", "saving_jain", "saving_gini", "worse_off_share"),
    *("peak_import_kw", "peak_export_kw", "overload_import_min", "overload_export_min"),
    *("overload_import_kvah", "overload_export_kvah", "voltage_outside_bus_min", "oscillation_alarm_min"),
    *("curtailed_kwh", "self_consumption", "autarky", "ev_unserved_kwh", "shed_kwh"),
    *("mean_price_per_kwh", "price_std_per_kwh", "operator_surplus", "congestion_rent"),
    *("unsolved", "messages", "message_bytes", "run_s"),
)
"""Metrics whose means are told, in this order, unless others are asked for; those from outside come after them."""
ARROWS = {"less": "↓", "more": "↑"}
NOTHING = "–"


@dataclass(frozen=True, slots=True)
class _Column:
    """head: lines over the cells, the last with the unit; cells: one for each variant of the block."""

    head: tuple[str, ...]
    cells: tuple[str, ...]

    @property
    def width(self) -> int:
        return max(map(len, (*self.head, *self.cells)))


def headline(comparison: Comparison, names: Sequence[str] = ()) -> tuple[Measure, ...]:
    """The metrics of these names; without any those of ``HEADLINE`` that are not the same in all runs.

    Where these are too few to be told, others that have a better and a worse come after them.
    """
    if names:
        return tuple(map(comparison.measure, names))
    telling = _telling(comparison)
    rest = [name for name, measure in telling.items() if measure.better and name not in HEADLINE]
    chosen = [name for name in HEADLINE if name in telling]
    return tuple(telling[name] for name in chosen + rest[: max(0, 3 - len(chosen))])


def _telling(comparison: Comparison) -> dict[str, Measure]:
    """Metrics with a value that is not the same in all runs."""
    return {measure.name: measure for measure in comparison.measures if len(comparison.distinct(measure.name)) > 1}


def render(comparison: Comparison, metrics: Sequence[str] = ()) -> str:
    """Means, differences and worst seeds in lines of at most 110 columns.

    metrics: which, else the means of ``SHOWN`` and of all that are none of ``results.metrics``, and differences and worst seeds
    of ``HEADLINE``.  Those that are the same in all runs take a line together.  Raises ``RunError`` for a metric that there is
    none of.
    """
    rows = table(comparison)
    asked = tuple(map(comparison.measure, metrics)) or _usual(comparison)
    telling = _telling(comparison)
    shown = [measure for measure in asked if measure.name in telling]
    compared = [variant.name for variant in comparison.variants[:VARIANTS] if variant.baseline != variant.name]
    names = [variant.name for variant in comparison.variants[:VARIANTS]]
    lines = list(_header(comparison))
    if len(names) < len(comparison.variants):
        lines.append(f"of the variants the first {VARIANTS} are shown")
    if shown:
        lines += ["", "means", *_blocks(comparison, names, shown, _means(rows), True)]
    if comparison.observations:
        lines += _same(comparison, [measure for measure in asked if measure.name not in telling])
    heads = headline(comparison, metrics)
    if compared and shown:
        lines += ["", *_about_differences(comparison, rows), *_blocks(comparison, compared, heads, _differences(rows))]
        lines += _without_a_value(rows, {measure.name for measure in heads})
    if len(comparison.seeds) > 1 and shown:
        lines += [
            "",
            "worst seed: value (seed)",
            *_blocks(comparison, names, heads, _worst(rows)),
        ]
    if events := _events(comparison):
        lines += ["", *events]
    return "\n".join(lines)


def _usual(comparison: Comparison) -> tuple[Measure, ...]:
    from results.metrics import METRICS, RELATIVE  # noqa: PLC0415  heavy: brings in the tables of runs

    own = {measure.name: measure for measure in comparison.measures}
    outside = (name for name in own if name not in METRICS and name not in RELATIVE)
    return tuple(own[name] for name in dict.fromkeys((*SHOWN, *outside)) if name in own)


def _same(comparison: Comparison, measures: Sequence[Measure]) -> list[str]:
    """What is one number, or none, in all runs; in how many where only some have one."""
    parts = []
    for measure in measures:
        values = comparison.distinct(measure.name)
        unit = f" {measure.unit}" if measure.unit not in ("", "1") else ""
        told = f"{number(values[0], decimals(values))}{unit}" if values else NOTHING
        has = sum(math.isfinite(one.values.get(measure.name, math.nan)) for one in comparison.observations)
        count = len(comparison.observations)
        where = f" (only {has} of {count} have one)" if 0 < has < count else ""
        parts.append(f"{measure.name} {told}{where}")
    return ["", *_wrapped(f"the same in all runs: {', '.join(parts)}")] if parts else []


def markdown(comparison: Comparison, rows: Sequence[Row] | None = None, headlines: Sequence[str] = ()) -> str:
    """Tables for a document: variants by headline metrics, with means and differences and the worst seeds; then all means."""
    rows = table(comparison) if rows is None else rows
    chosen = headline(comparison, headlines)
    names = [variant.name for variant in comparison.variants]
    heads, telling = _heads(chosen), _telling(comparison)
    others = [measure for measure in _usual(comparison) if measure.name in telling]
    means, differences, worst = _means(rows), _differences(rows, bold=True), _worst(rows)
    cells, worsts = [], []
    for measure in chosen:
        pairs = zip(means(measure, names), differences(measure, names), strict=True)
        cells.append([mean + (f" ({difference})" if difference else "") for mean, difference in pairs])
        worsts.append(worst(measure, names))
    counts = [_count(comparison, name) for name in names]
    return "\n".join(
        [
            f"# {comparison.study}",
            "",
            *(line if line.startswith(" ") else f"- {line}" for line in (*_header(comparison), *_events(comparison))),
            "",
            *_pipes(["variant", "runs", *heads], [names, counts, *cells]),
            "",
            _legend(rows, "**bold**", "***bold italic***").replace("\xa0", " "),
            "",
            "Worst seed: value (seed)",
            "",
            *_pipes(["variant", *heads], [names, *worsts]),
            "",
            "Means of all that differ",
            "",
            *_pipes(["metric", *names], [_heads(others), *zip(*(means(one, names) for one in others), strict=True)]),
            "",
        ]
    )


def _heads(measures: Sequence[Measure]) -> list[str]:
    return [", ".join(part for part in (measure.name, _unit(measure)) if part) for measure in measures]


def decimals(values: Iterable[float]) -> int:
    """Decimals with which a middling one of the values has three digits, but the largest at most four; at most four."""
    sizes = sorted(abs(value) for value in values if math.isfinite(value) and value)
    return min(_decimals(sizes[len(sizes) // 2], 3), _decimals(sizes[-1], 4)) if sizes else 0


def _decimals(size: float, digits: int) -> int:
    return min(4, max(0, digits - 1 - math.floor(math.log10(size))))


def number(value: float, digits: int, sign: str = "") -> str:
    """A number with its thousands apart; what rounds to zero has no minus, what is none is a dash."""
    return f"{round(value, digits) + 0.0:{sign},.{digits}f}" if math.isfinite(value) else NOTHING


# --- what stands in the cells -----------------------------------------------------------------------------------------

Filled = Callable[[Measure, Sequence[str]], list[str]]


def _by_cell(rows: Sequence[Row]) -> dict[tuple[str, str], Row]:
    return {(row.variant, row.metric): row for row in rows}


def _means(rows: Sequence[Row]) -> Filled:
    found = _by_cell(rows)

    def fill(measure: Measure, names: Sequence[str]) -> list[str]:
        means = [found[name, measure.name].mean for name in names]
        return [number(mean, decimals(means)) for mean in means]

    return fill


def _differences(rows: Sequence[Row], bold: bool = False) -> Filled:
    found = _by_cell(rows)

    def fill(measure: Measure, names: Sequence[str]) -> list[str]:
        differences = [found[name, measure.name].difference for name in names]
        digits = precision(differences)
        plain = [_interval(difference, digits) for difference in differences]
        marks = [difference.apart + difference.surely for difference in differences]
        if bold:
            stars = ["*" * (mark + 1 if mark else 0) for mark in marks]
            own = [difference.against == name for difference, name in zip(differences, names, strict=True)]
            told = [text if text != NOTHING and not is_own else "" for text, is_own in zip(plain, own, strict=True)]
            return [text and star + text + star for text, star in zip(told, stars, strict=True)]
        return [f"{text}{'*' * mark:<2}" for text, mark in zip(plain, marks, strict=True)]

    return fill


def precision(differences: Sequence[Difference]) -> int:
    """Decimals with which half a middling interval has two digits, or the differences three where there is no interval."""
    halves = sorted(difference.half for difference in differences if difference.half > 0)
    return _decimals(halves[len(halves) // 2], 2) if halves else decimals(difference.mean for difference in differences)


def _interval(difference: Difference, digits: int) -> str:
    if not math.isfinite(difference.mean):
        return NOTHING
    if difference.same:
        return "same"
    half = f" ±{number(difference.half, digits)}" if math.isfinite(difference.half) else ""
    return number(difference.mean, digits, "+") + half


def _worst(rows: Sequence[Row]) -> Filled:
    found = _by_cell(rows)

    def fill(measure: Measure, names: Sequence[str]) -> list[str]:
        cells = [found[name, measure.name] for name in names]
        digits = decimals(cell.worst for cell in cells)
        return [f"{number(c.worst, digits)}{'' if c.worst_seed is None else f' ({c.worst_seed})'}" for c in cells]

    return fill


# --- what stands around them ------------------------------------------------------------------------------------------


def _header(comparison: Comparison) -> Iterator[str]:
    what, *more = describe(comparison)
    yield short(what, WIDTH)
    for sentence in more:
        yield from _wrapped(sentence)


def describe(comparison: Comparison) -> tuple[str, ...]:
    """What was compared, whether its seeds are paired, and whether there are enough of them: a sentence each."""
    return tuple(_sentences(comparison))


def _sentences(comparison: Comparison) -> Iterator[str]:
    count, done = len(comparison.variants) * len(comparison.seeds), len(comparison.observations)
    runs = f"{done} of {count} runs" if done < count else f"{count} runs"
    failed = f", {len(comparison.failures)} failed" if comparison.failures else ""
    variants = f"{len(comparison.variants)} variant{'s' * (len(comparison.variants) != 1)}"
    yield f"{comparison.study}: {variants} on {on_seeds(comparison)}, {runs}{failed}"
    if not comparison.observations:
        return
    yield _pairing(comparison)
    if len(comparison.seeds) < USUAL_SEEDS:
        yield f"{USUAL_SEEDS} seeds or more are usual; with fewer, small differences stay untold"


def _pairing(comparison: Comparison) -> str:
    if not comparison.unpaired:
        return "paired: on each seed a variant and its baseline saw the same arrivals, needs and weather"
    parts = [
        f"{name} on {len(seeds)} ({spans(seeds)})"
        for name, seeds in itertools.islice(comparison.unpaired.items(), LISTED)
    ]
    rest = len(comparison.unpaired) - len(parts)
    more = f" and {rest} more" if rest else ""
    return (
        "NOT paired († below): arrivals, needs or weather differ from the baseline's by seed: "
        f"{', '.join(parts)}{more}; their intervals are for two independent samples (Welch)"
    )


def _about_differences(comparison: Comparison, rows: Sequence[Row]) -> list[str]:
    baselines = dict.fromkeys(variant.baseline for variant in comparison.variants)
    to = next(iter(baselines)) if len(baselines) == 1 else "the baseline of the same point"
    return _wrapped(f"difference to {to}: {_legend(rows, '*', '**')}")


def _legend(rows: Sequence[Row], one: str, two: str) -> str:
    tests = sum(math.isfinite(row.difference.p) for row in rows)
    return (
        f"mean ± half of its 95 % interval; {one}:\xa00 lies outside, for one difference at a time; "
        f"{two}:\xa0also when corrected for all {tests} (Holm)"
    )


def _without_a_value(rows: Sequence[Row], shown: set[str]) -> list[str]:
    parts = [
        f"{row.metric} of {row.variant} on {row.difference.dropped}"
        for row in rows
        if row.metric in shown and row.difference.dropped and row.difference.against != row.variant
    ]
    rest = f" and {len(parts) - LISTED} more" if len(parts) > LISTED else ""
    return _wrapped(f"seeds left out for want of a value: {', '.join(parts[:LISTED])}{rest}") if parts else []


def _events(comparison: Comparison) -> list[str]:
    """What failed, and what was noted of the other runs."""
    failed = [(one.variant, one.seed, one.error) for one in comparison.failures]
    noted = [(one.variant, one.seed, note) for one in comparison.observations for note in one.notes]
    return [*_listed("failed", "failures", failed), *_listed("note", "notes", noted)]


def _listed(what: str, many: str, told: Iterable[tuple[str, int, str]]) -> list[str]:
    """What is told of runs by variant and seed, with what is equal for a variant told once."""
    alike: dict[tuple[str, str], list[int]] = {}
    for variant, seed, text in told:
        alike.setdefault((variant, " ".join(text.split())), []).append(seed)
    lines = [
        line
        for (variant, text), seeds in itertools.islice(alike.items(), LISTED)
        for line in _wrapped(
            f"{what}: {variant}, seed{'s' * (len(seeds) > 1)} {spans(seeds)}: {short(text, 2 * WIDTH)}"
        )
    ]
    return lines + [f"and {len(alike) - LISTED} other {many}"] * (len(alike) > LISTED)


def on_seeds(comparison: Comparison) -> str:
    """How many seeds there are, and which."""
    return f"{len(comparison.seeds)} seed{'s' * (len(comparison.seeds) != 1)} ({spans(comparison.seeds)})"


def spans(seeds: Sequence[int]) -> str:
    """Seeds as they are asked for: ``1-20``, ``3, 9``; many scattered ones are cut."""
    found: list[list[int]] = []
    for seed in seeds:
        if found and seed == found[-1][-1] + 1:
            found[-1][1:] = [seed]
        else:
            found.append([seed])
    return short(", ".join("-".join(map(str, span)) for span in found), 40)


def _wrapped(sentence: str) -> list[str]:
    return [line.replace("\xa0", " ") for line in textwrap.wrap(sentence, WIDTH, subsequent_indent="  ")]


# --- columns that fit -------------------------------------------------------------------------------------------------


def _blocks(
    comparison: Comparison, names: Sequence[str], measures: Sequence[Measure], fill: Filled, counted: bool = False
) -> list[str]:
    told = zip(names, distinct(names, LABEL - 2, LONGEST - 2), strict=True)
    labels = [label + (" †" if name in comparison.unpaired else "") for name, label in told]
    first = [_Column(("",), tuple(labels))]
    if counted and len(comparison.observations) < len(comparison.variants) * len(comparison.seeds):
        first.append(_Column(("runs",), tuple(_count(comparison, name) for name in names)))
    lines: list[str] = []
    for columns in _packed(first, [_column(measure, fill(measure, names)) for measure in measures]):
        lines += [""] * bool(lines) + _set(columns)
    return lines


def _count(comparison: Comparison, name: str) -> str:
    return f"{comparison.done(name)} of {len(comparison.seeds)}"


def _column(measure: Measure, cells: Sequence[str]) -> _Column:
    words = measure.name.replace("_", "_ ").split()
    width = max(9, *map(len, words), *map(len, cells))
    name = textwrap.wrap(" ".join(words), width, break_on_hyphens=False)
    unit = _unit(measure)
    return _Column((*(line.replace("_ ", "_") for line in name), unit), tuple(cells))


def _unit(measure: Measure) -> str:
    return f"{'' if measure.unit == '1' else measure.unit} {ARROWS.get(measure.better, '')}".strip()


def _packed(first: list[_Column], columns: Sequence[_Column]) -> Iterator[list[_Column]]:
    block = list(first)
    for column in columns:
        if len(block) > len(first) and sum(c.width + 2 for c in (*block, column)) - 2 > WIDTH:
            yield block
            block = list(first)
        block.append(column)
    yield block


def _set(columns: Sequence[_Column]) -> list[str]:
    height = max(len(column.head) for column in columns)
    filled = [("",) * (height - len(column.head)) + column.head + column.cells for column in columns]
    lines = []
    for line in zip(*filled, strict=True):
        cells = [f"{cell:>{column.width}}" for cell, column in zip(line[1:], columns[1:], strict=True)]
        lines.append("  ".join([f"{line[0]:<{columns[0].width}}", *cells]).rstrip())
    return lines


def _pipes(heads: Sequence[str], columns: Sequence[Sequence[str]]) -> list[str]:
    def line(cells: Iterable[str]) -> str:
        return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"

    aligned = ["---", *["--:"] * (len(heads) - 1)]
    return [line(heads), line(aligned), *(line(cells) for cells in zip(*columns, strict=True))]
