"""Commands that tell what there is to choose from: feeders, everything that has a name, schemas."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from scenarios.cli.common import OK, command, out, say
from sim.errors import MessageError


def add_feeder(commands: Any) -> None:
    """``degsim feeder``."""
    feeder = command(commands, "feeder", _feeder, "show a feeder: its tree of limits, impedances, counts")
    feeder.add_argument("name", metavar="NAME|FILE", help="see degsim list feeders; also a scenario, with its limits")
    feeder.add_argument("--buses", action="store_true", help="every bus as its customers see it")
    feeder.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    feeder.add_argument("--draw", type=Path, metavar="FILE.png|svg", help="draw it as well")
    feeder.add_argument("--transformer-type", metavar="T", help="a standard type in the place of its transformer")


def _feeder(options: argparse.Namespace) -> int:
    from scenarios.feeder import show  # noqa: PLC0415

    show(
        options.name,
        out,
        say,
        with_buses=options.buses,
        as_json=options.json,
        picture=options.draw,
        transformer_type=options.transformer_type,
    )
    return OK


def add_list(commands: Any) -> None:
    """``degsim list``."""
    known = command(commands, "list", _list, "list what can be named in a scenario or a command")
    known.add_argument("kind", nargs="?", metavar="KIND")


def _list(options: argparse.Namespace) -> int:
    from scenarios.catalog import LISTS  # noqa: PLC0415
    from sim.errors import nearest  # noqa: PLC0415

    if options.kind is None:
        out("\n".join(LISTS))
        return OK
    if options.kind not in LISTS:
        raise MessageError(options.kind, f"nothing of that kind can be listed, {nearest(options.kind, LISTS)}")
    entries = LISTS[options.kind]()
    width = max(map(len, entries))
    between = "\n" + " " * (width + 2)
    out("\n".join(f"{name:{width}}  {between.join(summary.splitlines())}" for name, summary in entries.items()))
    return OK


def add_schema(commands: Any) -> None:
    """``degsim schema``."""
    schema = command(
        commands, "schema", _schema, "write schemas of scenarios and messages, the JSON-LD context, examples"
    )
    schema.add_argument("--out", type=Path, metavar="DIR", help="default: the scenario's schema to standard output")


def _schema(options: argparse.Namespace) -> int:
    from scenarios import schemas  # noqa: PLC0415

    if options.out is None:
        out(json.dumps(schemas.scenario_schema(), indent=2))
        return OK
    written = schemas.write(options.out)
    say("\n".join(map(str, written)))
    say(schemas.counted(options.out, written))
    return OK
