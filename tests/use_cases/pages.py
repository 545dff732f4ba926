"""The pages of the library, written from runs of its scenarios: ``python -m tests.use_cases.pages`` (``make use-cases``).

A page for each scenario and an index in ``docs/use_cases``, and ``docs/building_blocks.md``.  Nothing in them depends on the
machine or the hour; ``test_pages.py`` compares them with what the runs give.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from results.run import Run
from results.sequence import Outline, Step, mermaid, outline, steps
from results.text import duration
from tests.use_cases import blocks
from tests.use_cases.evidence import Evidence, evidence
from tests.use_cases.library import ROOT, SCENARIOS, Library, contracts_of, names
from tests.use_cases.markdown import table

DOCS = ROOT / "docs"
FOLDER = Path("use_cases")
WRITTEN = "<!-- Written by `make use-cases`; change the scenario or the generator. -->"
MANY = 12
"""Participants on one line that a page names."""
FEW = 4
"""Parties of one sort that a row names; of more, the first and the last."""


def pages(library: Library) -> dict[Path, str]:
    """Every page by its path below ``docs``."""
    runs = {name: library.run_of(name) for name in names()}
    seen = {name: evidence(run) for name, run in runs.items()}
    said = {name: tuple(steps(run)) for name, run in runs.items()}
    found = {FOLDER / f"{name}.md": _page(name, run, said[name], seen[name]) for name, run in runs.items()}
    found[FOLDER / "README.md"] = _index(runs, said, seen)
    found[Path("building_blocks.md")] = blocks.page(runs, seen, said)
    return found


def title(name: str) -> str:
    """``demand-response`` as a heading."""
    return name.replace("-", " ").capitalize()


def _page(name: str, run: Run, said: Sequence[Step], seen: Evidence) -> str:
    parts = [WRITTEN, f"# {title(name)}", run.manifest["scenario"]["description"]]
    parts += _comment(name)
    known = [block for block in blocks.blocks() if seen.shows(block.used)]
    links = " · ".join(f"[{block.title}](../building_blocks.md#{blocks.anchor(block.title)})" for block in known)
    parts.append(f"{_facts(run, said)} Put together from: {links}.")
    parts += ["## Who says what to whom", _LEGEND.strip()]
    drawn = outline(said, run.kinds)
    parts.append(f"```mermaid\n{mermaid(run, drawn)}```")
    parts += _shared(drawn)
    parts += [
        "## Contracts",
        _contracts(run),
        "## Who has what in the end",
        _balances(run),
        _REGRESSION.format(name=name).strip(),
    ]
    return "\n\n".join(parts) + "\n"


_LEGEND = """
Full arrows are requests, dashed ones callbacks, a cross is a refusal. What descends from another message is shaded. Participants that
do the same share a line, and what comes again and again is a loop; `degsim sequence RUN --all` shows every message.
"""

_REGRESSION = """
Every message of this run is compared with
[expected/{name}.yaml](../../tests/use_cases/expected/{name}.yaml) by `python -m tests.use_cases.library {name}`.
"""


def _shared(drawn: Outline) -> list[str]:
    """Who stands behind a line that several share, where its name does not say it."""
    told = [
        f"- {line}: {', '.join(members) if len(members) <= MANY else f'{members[0]} to {members[-1]}'}"
        for line, members in drawn.lifelines.items()
        if len(members) > 1
    ]
    return ["On one line:", "\n".join(told)] if told else []


def _comment(name: str) -> Iterator[str]:
    """What stands at the head of the scenario's file, as text and commands; where there are none, the command that runs it."""
    text = (SCENARIOS / f"{name}.yaml").read_text(encoding="utf-8")
    lines = [line[1:].rstrip() for line in re.match(r"(?:#.*\n)*", text)[0].splitlines()]  # type: ignore[index]
    commands = False
    for paragraph in "\n".join(lines).split("\n\n"):
        if paragraph.startswith("   "):
            commands = True
            yield "```\n" + "\n".join(line.strip() for line in paragraph.splitlines()) + "\n```"
        elif paragraph.strip():
            yield "\n".join(line.strip() for line in paragraph.splitlines())
    if not commands:
        yield f"```\ndegsim run scenarios/use_cases/{name}.yaml\n```"


def _facts(run: Run, said: Sequence[Step]) -> str:
    refused = sum(step.refused for step in said)
    start = run.calendar.local(0)
    minutes = run.manifest["intervalS"] // 60
    return (
        f"{run.manifest['count']} intervals of {minutes} min from {start:%A %H:%M}, {duration(run.hours * run.manifest['count'])}; "
        f"{len(run.participants)} participants, {len(said)} messages, {refused or 'none'} refused."
    )


def _contracts(run: Run) -> str:
    """A row for each template, set of common parties and state."""
    groups: dict[tuple[str, str], list[tuple[str, ...]]] = {}
    for key, state in contracts_of(run).items():
        template, parties = re.fullmatch(r"(.*) \((.*)\)(?: #\d+)?", key).groups()  # type: ignore[union-attr]
        groups.setdefault((template, state), []).append(tuple(parties.split(", ")))
    rows = [
        (f"`{template}`", _parties(parties), str(len(parties)), state) for (template, state), parties in groups.items()
    ]
    return table(("template", "between", "contracts", "state"), rows)


def _parties(contracts: Sequence[tuple[str, ...]]) -> str:
    common = [party for party in contracts[0] if all(party in parties for parties in contracts)]
    others = list(dict.fromkeys(party for parties in contracts for party in parties if party not in common))
    shown = others if len(others) <= FEW else [f"{others[0]} … {others[-1]} ({len(others)})"]
    return ", ".join([*common, *([f"each of {', '.join(shown)}"] if others else [])])


def _balances(run: Run) -> str:
    """What each party received less what it paid, by term; of every currency a table."""
    postings = [(p.term, p.payer, p.payee, p.amount, p.currency) for p in run.ledger]
    if not postings:
        return "Nobody owes anybody anything."
    currencies = dict.fromkeys(currency for *_, currency in postings)
    return "\n\n".join(_matrix([p for p in postings if p[4] == currency], currency) for currency in currencies)


def _matrix(postings: Sequence[tuple[str, str, str, Decimal, str]], currency: str) -> str:
    sums: dict[str, dict[str, Decimal]] = {}
    terms = list(dict.fromkeys(term for term, *_ in postings))
    for term, payer, payee, amount, _ in postings:
        for party, signed in ((payer, -amount), (payee, amount)):
            mine = sums.setdefault(party, {})
            mine[term] = mine.get(term, Decimal(0)) + signed
    rows = [
        (party, *(_amount(mine.get(term)) for term in terms), f"**{_amount(sum(mine.values(), Decimal(0)))}**")
        for party, mine in sorted(sums.items())
    ]
    return table((currency, *terms, "balance"), rows, right=len(terms) + 1)


def _amount(value: Decimal | None) -> str:
    """Signed, + is received; empty where there was nothing."""
    return "" if value is None else f"{value:+.2f}" if value else "0.00"


def _index(runs: Mapping[str, Run], said: Mapping[str, Sequence[Step]], seen: Mapping[str, Evidence]) -> str:
    rows = [
        (
            f"[{title(name)}]({name}.md)",
            run.manifest["scenario"]["description"],
            str(len(run.participants)),
            str(len(said[name])),
            str(len(contracts_of(run))),
        )
        for name, run in runs.items()
    ]
    head = ("scenario", "what happens", "participants", "messages", "contracts")
    return "\n\n".join([WRITTEN, _INDEX.strip(), table(head, rows, right=3)]) + "\n"


_INDEX = """
# The library

Scenarios small enough to read on a screen, one for each way of exchanging energy that people ask about, with real messages, wires
where there is a grid, and money at the end. They are put together from the same [building blocks](../building_blocks.md): a variant
is another YAML file, or a `--set`. Their files are in [scenarios/use_cases](../../scenarios/use_cases); each page shows one run of
one, and is written from it by `make use-cases`.

Every message of each is compared with a file in [tests/use_cases/expected](../../tests/use_cases/expected), and the first that differs
is shown with both sides: `python -m tests.use_cases.library NAME`.
"""


def write(found: Mapping[Path, str], docs: Path = DOCS) -> None:
    """Write every page; one of a scenario that is no more goes."""
    for path in stale(found, docs):
        path.unlink()
    for relative, text in found.items():
        (docs / relative).parent.mkdir(parents=True, exist_ok=True)
        (docs / relative).write_text(text, encoding="utf-8")


def stale(found: Mapping[Path, str], docs: Path = DOCS) -> list[Path]:
    """Pages that are there and should not be."""
    return [path for path in sorted((docs / FOLDER).glob("*.md")) if path.relative_to(docs) not in found]


def main() -> None:
    """Run everything and write."""
    with tempfile.TemporaryDirectory() as folder:
        found = pages(Library(Path(folder)))
    write(found)
    sys.stdout.write("\n".join(f"docs/{path}" for path in found) + "\n")


if __name__ == "__main__":
    main()
