"""The shape of a sequence: who belongs together, and what comes again and again.

Two foldings make a day of a market readable.  Participants of one kind that are told apart by nothing but their names - they
exchange the same messages in the same order with the same others - share one lifeline.  And messages that come again in the
same shape, interval after interval, become a loop.  Neither loses a message: an arrow knows every step that it stands for.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from results.sequence.steps import Step

ALIKE = 3
"""So many participants that do the same share a lifeline; two are still easier to read apart."""
CROWDED = 120
"""Arrows beyond which two share a lifeline as well, and under any names."""
WORTH = 2
"""A loop is drawn where it saves so many arrows."""
BEATS = 6
"""What comes so often in equal steps of time keeps time."""
LONGEST = 1500
"""Arrows of one turn of a loop at most; also bounds the time that looking for loops takes."""

_WORD = re.compile(r"[A-Z][A-Z_]+")


@dataclass(frozen=True, slots=True)
class Arrow:
    """One arrow of a diagram, and the steps that it stands for: of several peers, and of every turn of the loops around it.

    sender, receiver: names of lifelines.  peers: for how many messages it stands in each turn.  starts: simulated second of the
    first message of each turn, ascending.  mark: what is equal where arrows are alike.
    """

    sender: str
    receiver: str
    peers: tuple[int, ...]
    starts: tuple[int, ...]
    steps: tuple[Step, ...]
    mark: Hashable = field(repr=False, compare=False)

    @property
    def step(self) -> Step:
        """The first of them, for what they have in common."""
        return self.steps[0]


@dataclass(frozen=True, slots=True)
class Loop:
    """Arrows that come so many times one after the other in the same shape.

    every_s: between turns; None where it varies.  beside: other things happen between the turns, and are drawn after it.
    """

    times: int
    every_s: int | None
    body: tuple[Arrow | Loop, ...]
    beside: bool = False


Item = Arrow | Loop


@dataclass(frozen=True, slots=True)
class Outline:
    """Lifelines by first appearance, with the participants that each stands for, and what passes between them."""

    lifelines: Mapping[str, tuple[str, ...]]
    items: tuple[Item, ...]


def outline(
    told: Sequence[Step], kinds: Mapping[str, str] | None = None, whole: bool = False, apart: Sequence[str] = ()
) -> Outline:
    """The shape of a sequence of steps.

    kinds: kind of each participant by name; without it nobody shares a lifeline.  whole: fold nothing.  apart: participants
    that keep a lifeline of their own.
    """
    sorts = [] if whole or kinds is None else [_sorts(kinds, named=True), _sorts(kinds, named=False)]
    doings = _doings(told)
    lines = {name: name for name in doings}
    arrows = list(_arrows(told, lines, whole))
    items = tuple(arrows) if whole else _shortest(arrows)
    for fewest, sort in zip((ALIKE, 2), sorts, strict=False):
        lines = _lifelines(doings, {name: one for name, one in sort.items() if name not in apart}, fewest)
        arrows = list(_arrows(told, lines, whole))
        items = _shortest(arrows)
        if _drawn(items) <= CROWDED:
            break
    members: dict[str, tuple[str, ...]] = {}
    for name, line in lines.items():
        members[line] = (*members.get(line, ()), name)
    order = dict.fromkeys(line for arrow in arrows for line in (arrow.sender, arrow.receiver))
    return Outline({line: members[line] for line in order}, items)


def _sorts(kinds: Mapping[str, str], named: bool) -> Mapping[str, str]:
    """What participants are from the start: of a kind, and of one name but for its number."""
    return {name: f"{kind} {_stem(name)}" if named else kind for name, kind in kinds.items()}


def _doings(told: Sequence[Step]) -> Mapping[str, list[Step]]:
    """What each participant says and hears, by first appearance."""
    doings: dict[str, list[Step]] = {}
    for step in told:
        doings.setdefault(step.sender, []).append(step)
        if step.receiver != step.sender:
            doings.setdefault(step.receiver, []).append(step)
    return doings


def _lifelines(doings: Mapping[str, Sequence[Step]], sorts: Mapping[str, str], fewest: int) -> dict[str, str]:
    """The lifeline of every participant.

    Classes start as sorts, and are split by what their members do with which class until nothing splits any more; one of at
    least ``fewest`` shares a line.  What counts is what somebody does at all: who has nothing to settle in an interval is no
    other sort for that.
    """
    classes = {name: f"sort {sorts[name]}" if name in sorts else name for name in doings}
    while True:
        finer = _numbered(
            {name: (classes[name], frozenset(_acts(name, mine, classes))) for name, mine in doings.items()}
        )
        if len(set(finer.values())) == len(set(classes.values())):
            break
        classes = finer
    groups: dict[str, list[str]] = {}
    for name in doings:
        groups.setdefault(classes[name], []).append(name)
    alone = {
        name for members in groups.values() if len(members) < fewest or _among(members, doings) for name in members
    }
    return {name: name if name in alone else _joint(groups[classes[name]]) for name in doings}


def _stem(name: str) -> str:
    """A name without the number that tells it from its brothers."""
    return re.sub(r"[^0-9A-Za-z]*\d+$", "", name)


def _acts(name: str, mine: Sequence[Step], classes: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    for step in mine:
        other = step.receiver if step.sender == name else step.sender
        yield step.action, step.code, "says" if step.sender == name else "hears", classes[other]


def _numbered(marks: Mapping[str, tuple[Any, ...]]) -> dict[str, str]:
    """Short names for long marks: equal marks get equal names."""
    numbers: dict[tuple[Any, ...], str] = {}
    return {name: numbers.setdefault(mark, f"class {len(numbers)}") for name, mark in marks.items()}


def _among(members: Sequence[str], doings: Mapping[str, Sequence[Step]]) -> bool:
    """Whether members speak with one another: on one line nobody would see who with whom."""
    known = set(members)
    return any(step.sender in known and step.receiver in known for name in members for step in doings[name])


def _joint(members: Sequence[str]) -> str:
    """One name for several: ``house-01…04 (4)``."""
    first, last = members[0], members[-1]
    stem = re.match(r".*[^0-9A-Za-z]", first)
    cut = stem.end() if stem and last.startswith(stem[0]) else 0
    return f"{first}…{last[cut:]} ({len(members)})"


def _arrows(told: Sequence[Step], lines: Mapping[str, str], whole: bool) -> Iterator[Arrow]:
    """Arrows in order.

    One stands for what is said alike in the same second: in a row, or once each by or to those who share a lifeline.
    """
    for _, same_second in itertools.groupby(told, key=lambda step: step.second):
        bundles: list[tuple[Any, list[Step]]] = []
        for step in same_second:
            mark = object() if whole else (lines[step.sender], lines[step.receiver], *_kind(step))
            known = _bundle(bundles, mark, step, lines)
            if known is None:
                bundles.append((mark, [step]))
            else:
                known.append(step)
        for mark, steps in bundles:
            first = steps[0]
            yield Arrow(lines[first.sender], lines[first.receiver], (len(steps),), (first.second,), tuple(steps), mark)


def _bundle(bundles: Sequence[tuple[Any, list[Step]]], mark: Any, step: Step, lines: Mapping[str, str]) -> Any:
    """The bundle that a step belongs to, among those of its second; None where it is the first of its kind."""
    if bundles and bundles[-1][0] == mark:
        return bundles[-1][1]
    if lines[step.sender] == step.sender and lines[step.receiver] == step.receiver:
        return None
    pair = (step.sender, step.receiver)
    for other, steps in reversed(bundles):
        if other == mark and all((known.sender, known.receiver) != pair for known in steps):
            return steps
    return None


def _kind(step: Step) -> tuple[Any, ...]:
    """What has to be equal for two messages to be alike."""
    return step.depth, step.action, step.tried, step.code, _shape(step)


def _shape(step: Step) -> tuple[tuple[str, str], ...]:
    """Which fields a message has, and in which states (``ACTIVE``); numbers, times and names are not its shape."""
    return tuple(
        dict.fromkeys(
            (re.sub(r"\.\d+", ".*", path), value if isinstance(value, str) and _WORD.fullmatch(value) else "")
            for path, value in step.brief.items()
        )
    )


def _shortest(arrows: Sequence[Arrow]) -> tuple[Item, ...]:
    """Arrows with loops; with what keeps time drawn apart from the rest, where that makes it much shorter."""
    plain = tuple(_folded(arrows))
    beats = list(_beats(arrows))
    beating = {id(arrow) for beat in beats for arrow in beat}
    parted = list(_folded([arrow for arrow in arrows if id(arrow) not in beating]))
    for loop in _beside(beats):
        start = _start(loop)
        place = next((number for number, item in enumerate(parted) if _start(item) >= start), len(parted))
        parted.insert(place, loop)
    return tuple(parted) if beats and 3 * _drawn(parted) <= 2 * _drawn(plain) else plain


def _beats(arrows: Sequence[Arrow]) -> Iterator[list[Arrow]]:
    """Arrows that come all through in equal steps of time, whatever happens in between."""
    alike: dict[Hashable, list[Arrow]] = {}
    for arrow in arrows:
        alike.setdefault(arrow.mark, []).append(arrow)
    for turns in alike.values():
        steady = _steady([arrow.starts[0] for arrow in turns])
        if len(steady) >= BEATS:
            yield turns[steady.start : steady.stop]


def _steady(starts: Sequence[int]) -> range:
    """Where the longest run of equal steps of time is; none of them 0."""
    best = range(0)
    for gap, run in itertools.groupby(range(len(starts) - 1), key=lambda place: starts[place + 1] - starts[place]):
        places = list(run)
        if gap and len(places) + 1 > len(best):
            best = range(places[0], places[-1] + 2)
    return best


def _beside(beats: Sequence[list[Arrow]]) -> Iterator[Loop]:
    """Loops of arrows that keep the same time: as often, as far apart, and begun within one turn."""
    body: list[Arrow] = []
    for turns in sorted(beats, key=lambda turns: (len(turns), _step(turns), turns[0].starts[0])):
        if body and not _together(body[0], turns):
            yield _beside_loop(body)
            body = []
        body.append(_united(turns))
    if body:
        yield _beside_loop(body)


def _beside_loop(body: Sequence[Arrow]) -> Loop:
    first = body[0].starts
    return Loop(len(first), first[1] - first[0], tuple(body), beside=True)


def _together(first: Arrow, turns: Sequence[Arrow]) -> bool:
    starts, every = first.starts, _step(turns)
    known = len(starts) == len(turns) and starts[1] - starts[0] == every
    return known and turns[0].starts[0] < starts[0] + every


def _step(turns: Sequence[Arrow]) -> int:
    return turns[1].starts[0] - turns[0].starts[0]


def _start(item: Item) -> int:
    return item.starts[0] if isinstance(item, Arrow) else _start(item.body[0])


def _drawn(items: Iterable[Item]) -> int:
    """How many arrows are drawn."""
    return sum(1 if isinstance(item, Arrow) else _drawn(item.body) for item in items)


def _folded(arrows: Sequence[Arrow]) -> Iterator[Item]:
    """Arrows with loops in the place of what repeats: the loop that saves most first, then within it and on either side."""
    found = repeated([arrow.mark for arrow in arrows])
    if found is None:
        yield from arrows
        return
    start, period, times = found
    yield from _folded(arrows[:start])
    turns = [arrows[start + turn * period : start + (turn + 1) * period] for turn in range(times)]
    body = [_united(same) for same in zip(*turns, strict=True)]
    yield Loop(times, _every([turn[0].starts[0] for turn in turns]), tuple(_folded(body)))
    yield from _folded(arrows[start + times * period :])


def repeated(marks: Sequence[Hashable]) -> tuple[int, int, int] | None:
    """Start, length and number of the turns of a loop: the one that saves most, of equals the shortest and earliest.

    None where no loop saves ``WORTH`` marks.
    """
    numbers: dict[Hashable, int] = {}
    tokens = np.array([numbers.setdefault(mark, len(numbers)) for mark in marks], dtype=np.int64)
    best: tuple[int, int, int] | None = None
    saved = WORTH - 1
    for period in range(1, min(len(tokens) // 2, LONGEST) + 1):
        start, length = _longest_run(tokens[:-period] == tokens[period:])
        times = length // period + 1
        if times > 1 and (times - 1) * period > saved:
            best, saved = (start, period, times), (times - 1) * period
    return best


def _longest_run(same: np.ndarray[Any, np.dtype[np.bool_]]) -> tuple[int, int]:
    """Start and length of the first longest run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], same, [False])).astype(np.int8)))
    starts, ends = edges[::2], edges[1::2]
    if not len(starts):
        return 0, 0
    at = int(np.argmax(ends - starts))
    return int(starts[at]), int(ends[at] - starts[at])


def _united(same: Iterable[Arrow]) -> Arrow:
    turns = tuple(same)
    starts = tuple(second for arrow in turns for second in arrow.starts)
    return Arrow(
        turns[0].sender,
        turns[0].receiver,
        tuple(number for arrow in turns for number in arrow.peers),
        starts,
        tuple(step for arrow in turns for step in arrow.steps),
        turns[0].mark,
    )


def _every(starts: Sequence[int]) -> int | None:
    gaps = {later - earlier for earlier, later in itertools.pairwise(starts)}
    return gaps.pop() if len(gaps) == 1 else None
