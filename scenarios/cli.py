"""The command line.  Data goes to standard output, talk to standard error.

Exit status: 0 fine, 1 the thing examined is at fault, 2 the call or its input cannot be used.  Heavy modules are imported by
the command that needs them, so that ``degsim --help`` answers at once.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sim.errors import DegsimError, Fault, MessageError, RunError, ScenarioError

OK, AT_FAULT, UNUSABLE = 0, 1, 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the console script."""
    if sys.stderr is None:  # closed by whoever called; what is printed to nothing goes to standard output
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  for as long as we live
    options = _parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                errors="backslashreplace"
            )  # a terminal that cannot show a character still shows the rest
    try:
        return int(options.command(options))
    except DegsimError as error:
        print(f"degsim: {error}", file=sys.stderr)  # noqa: T201
        return UNUSABLE
    except BrokenPipeError:
        # Whoever read us (head, less) has seen enough.
        sys.stderr.close()
        return OK
    except OSError as error:
        print(f"degsim: {error.filename or 'file'}: {error.strerror or error}", file=sys.stderr)  # noqa: T201
        return UNUSABLE
    except KeyboardInterrupt:
        print("degsim: interrupted", file=sys.stderr)  # noqa: T201
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="degsim", description=__doc__.splitlines()[0] if __doc__ else None)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    run = _command(commands, "run", _run, "run a scenario and write a run folder")
    run.add_argument("scenario", type=Path, metavar="SCENARIO.yaml")
    run.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help="override any key, repeatable")
    run.add_argument("--seed", type=int, metavar="N")
    run.add_argument("--out", type=Path, metavar="DIR", help="run folder (default: results/runs/NAME-POLICY-seedN)")
    _add_quiet(run)
    _add_compare(commands)
    _add_sweep(commands)
    _add_clear(commands)
    _add_contracts(commands)
    validate = _command(
        commands, "validate", _validate, "check Beckn messages: dialect, action and every fault of each"
    )
    validate.add_argument(
        "files", nargs="+", metavar="FILE", help="one message or a JSON array; - reads standard input"
    )
    validate.epilog = "Exit status: 0 all valid, 1 at least one is not, 2 a file cannot be read."
    convert = _command(commands, "convert", _convert, "write a Beckn message in another dialect; what changes is said")
    convert.add_argument("file", metavar="FILE", help="one message or a JSON array; - reads standard input")
    convert.add_argument(
        "--to", required=True, choices=("lts", "rc"), help="lts: Beckn v2.0.0; rc: its release candidate"
    )
    convert.add_argument("--out", type=Path, metavar="OUT.json", help="default: standard output")
    _command(commands, "verify", _verify, "audit a finished run").add_argument("run", type=Path, metavar="RUN")
    _add_diff(commands)
    bound = _command(commands, "bound", _bound, "what a scenario must cost at least, and what runs of it have cost")
    bound.add_argument("targets", nargs="+", type=Path, metavar="SCENARIO.yaml|RUN")
    bound.add_argument(
        "--set", action="append", default=[], metavar="PATH=VALUE", help="override any key of a scenario"
    )
    bound.add_argument("--json", action="store_true", help="a JSON array instead of a table")
    plot = _command(commands, "plot", _plot, "draw pictures of a finished run into its folder plots/")
    plot.add_argument("run", type=Path, metavar="RUN")
    plot.add_argument(
        "names", nargs="*", metavar="NAME", help="default: all that the run has something for; see degsim list plots"
    )
    plot.add_argument("--interval", type=int, metavar="N", help="draw or mark this one, counted from 0")
    plot.add_argument("--format", default="png", metavar="png|svg|both", help="default: png")
    _add_report(commands)
    _add_sequence(commands)
    directory = _command(
        commands, "directory", _directory, "answer for the keys of a run that signs, as a DeDi server over HTTP"
    )
    directory.add_argument("run", type=Path, metavar="RUN")
    directory.add_argument("--port", type=int, default=0, metavar="N", help="default: any that is free")
    _add_feeder(commands)
    known = _command(commands, "list", _list, "list what can be named in a scenario or a command")
    known.add_argument("kind", nargs="?", metavar="KIND")
    schema = _command(
        commands, "schema", _schema, "write schemas of scenarios and messages, the JSON-LD context, examples"
    )
    schema.add_argument("--out", type=Path, metavar="DIR", help="default: the scenario's schema to standard output")
    return parser


def _add_report(commands: Any) -> None:
    report = _command(
        commands, "report", _report, "make one page of a run or a comparison that opens without a network"
    )
    report.add_argument("run", type=Path, metavar="RUN|COMPARISON")
    report.add_argument("--out", type=Path, metavar="FILE.html", help="default: report.html in the folder")


def _add_diff(commands: Any) -> None:
    diff = _command(commands, "diff", _diff, "tell what sets two runs apart: scenario, first differences, totals")
    diff.add_argument("one", type=Path, metavar="RUN1")
    diff.add_argument("two", type=Path, metavar="RUN2")
    diff.add_argument("--json", action="store_true", help="one JSON object instead of text")
    diff.add_argument(
        "--tolerance",
        type=float,
        default=0.0,
        metavar="T",
        help="numbers this near, relatively, are the same (default: 0)",
    )
    diff.epilog = "Exit status: 0 alike, 1 they differ, 2 a run cannot be read."


def _add_sequence(commands: Any) -> None:
    sequence = _command(commands, "sequence", _sequence, "show who said what to whom in a finished run")
    sequence.add_argument("run", type=Path, metavar="RUN")
    sequence.add_argument("--transaction", metavar="ID", help="only it and what descends from it; its first digits do")
    sequence.add_argument(
        "--participant", action="append", default=[], metavar="NAME", help="only what it says and hears, repeatable"
    )
    sequence.add_argument("--from", dest="begin", metavar="TIME", help="11:30 of the first day, or 2016-05-17T11:30")
    sequence.add_argument("--to", dest="end", metavar="TIME", help="before this time")
    sequence.add_argument(
        "--all", action="store_true", help="every message, also what repeats or is said by many alike"
    )
    sequence.add_argument("--format", default="text", choices=("mermaid", "text"))
    sequence.add_argument("--out", type=Path, metavar="FILE", help="default: standard output")


def _add_compare(commands: Any) -> None:
    compare = _command(commands, "compare", _compare, "compare policies on the same arrivals and weather, seed by seed")
    compare.add_argument("source", type=Path, metavar="SCENARIO.yaml|STUDY.yaml")
    compare.add_argument(
        "--policy",
        action="append",
        default=[],
        metavar="NAME",
        help="repeatable; the others are compared with the first",
    )
    compare.add_argument("--seeds", metavar="1-20", help="such as 1-20 or 1,5,9 (default: 1-20, or those of the study)")
    compare.add_argument("--baseline", metavar="NAME", help="the policy that the others are compared with")
    _add_study(compare)


def _add_sweep(commands: Any) -> None:
    sweep = _command(commands, "sweep", _sweep, "vary any keys of a scenario over a grid")
    sweep.add_argument("source", type=Path, metavar="SCENARIO.yaml")
    sweep.add_argument(
        "--over",
        action="append",
        required=True,
        metavar="PATH=V1,V2",
        help="an axis of the grid, repeatable; PATH=[V1, V2] for values with commas",
    )
    sweep.add_argument("--policy", action="append", default=[], metavar="NAME", help="at every point, repeatable")
    sweep.add_argument("--seeds", metavar="1-20", help="default: the scenario's own")
    _add_study(sweep)


def _add_study(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--set", action="append", default=[], metavar="PATH=VALUE", help="override any key of all runs"
    )
    command.add_argument("--metric", action="append", default=[], metavar="MODULE:FUNCTION", help="one of your own")
    command.add_argument("--engine", choices=("local", "dask"), default="local")
    command.add_argument("--workers", type=int, metavar="N", help="default: one for each core")
    command.add_argument(
        "--scheduler", metavar="tcp://HOST:PORT", help="of a Dask cluster (default: one is started here)"
    )
    command.add_argument("--out", type=Path, metavar="DIR", help="default: results/comparisons/NAME-MARK")
    command.add_argument("--keep-runs", action="store_true", help="keep every run folder, in DIR/runs")
    command.add_argument("--yes", action="store_true", help="begin also where there are very many runs")
    _add_quiet(command)
    command.epilog = (
        "What is done is kept: the same command goes on where it was stopped.  "
        "Exit status: 0 fine, 1 a run failed, 2 it cannot be used."
    )


def _add_quiet(command: argparse.ArgumentParser) -> None:
    command.add_argument("--quiet", action="store_true", help="no progress and no talk: results and errors alone")


def _add_clear(commands: Any) -> None:
    clear = _command(commands, "clear", _clear, "clear aggregate messages: one market each, no simulation")
    clear.add_argument(
        "files", nargs="+", metavar="BOOK", help="a file, a name of degsim list books, or - for standard input"
    )
    clear.add_argument(
        "--policy",
        action="append",
        metavar="NAME[:KEY=VALUE,...]",
        help="default: locational; several, or all, are compared in a table",
    )
    clear.add_argument("--json", action="store_true", help="the comparison as one JSON object for each book")
    clear.add_argument("--misreports", action="store_true", help="compare, and look for the lie that pays most")
    clear.epilog = "Exit status: 0 fine, 1 a compared policy failed or broke what it promises, 2 it cannot be used."


def _add_contracts(commands: Any) -> None:
    settle = _command(commands, "settle", _settle, "compute the revenue flows of a contract from its signals")
    settle.add_argument("contract", metavar="CONTRACT.json")
    settle.add_argument("--signals", required=True, metavar="SIGNALS.json")
    settle.add_argument("--table", action="store_true", help="the bill for people instead of JSON")
    settle.add_argument("--previous", metavar="REPORT.json", help="post only what differs from this earlier run")
    settle.add_argument(
        "--against", metavar="REPORT.json", help="compute again what somebody else reports; 1 if it differs"
    )
    contract = _command(commands, "contract", _contract, "check a contract before there are signals, and show it")
    contract.add_argument("contract", metavar="CONTRACT.json")
    contract.add_argument(
        "--to", choices=("flows", "signed", "billing", "text"), help="write it in another reading, or in words"
    )
    contract.epilog = "Exit status: 0 ready to become active, 1 something is lacking, 2 it cannot be used."
    bill = _command(commands, "bill", _bill, "the bill of one participant of a run, from its contract and signals")
    bill.add_argument("run", type=Path, metavar="RUN")
    bill.add_argument("era", metavar="ERA")
    bill.add_argument("--out", type=Path, metavar="DIR", help="write contract.json and signals.json, for degsim settle")
    explain = _command(commands, "explain", _explain, "how an amount of a run came about: formula, inputs, messages")
    explain.add_argument("run", type=Path, metavar="RUN")
    explain.add_argument("what", metavar="POSTING|ERA", help="number of a posting, CONTRACT/TERM/INTERVAL, or a party")
    explain.add_argument(
        "--all", action="store_true", help="every posting of a party, every interval and message of one"
    )
    explain.add_argument("--json", action="store_true", help="the same as one JSON object")
    ledger = _command(commands, "ledger", _ledger, "write the ledger of a run as a Beancount file")
    ledger.add_argument("run", type=Path, metavar="RUN")
    ledger.add_argument("--out", type=Path, metavar="FILE.beancount", help="default: standard output")


def _add_feeder(commands: Any) -> None:
    feeder = _command(commands, "feeder", _feeder, "show a feeder: its tree of limits, impedances, counts")
    feeder.add_argument("name", metavar="NAME|FILE", help="see degsim list feeders; also a scenario, with its limits")
    feeder.add_argument("--buses", action="store_true", help="every bus as its customers see it")
    feeder.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    feeder.add_argument("--draw", type=Path, metavar="FILE.png|svg", help="draw it as well")
    feeder.add_argument("--transformer-type", metavar="T", help="a standard type in the place of its transformer")


def _command(commands: Any, name: str, function: Any, help_text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=help_text, description=help_text)
    parser.set_defaults(command=function)
    return parser


def _say(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201


def _hush(text: str) -> None:
    """Whoever asked for quiet is told nothing."""


def _out(text: str) -> None:
    print(text)  # noqa: T201


def _end_as_by_ctrl_c() -> None:
    """Whoever ends us politely, or closes our terminal, finds things as if he had pressed Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    hangup = getattr(signal, "SIGHUP", None)
    if hangup is not None and signal.getsignal(hangup) is signal.SIG_DFL:  # nohup wants it unheard
        signal.signal(hangup, signal.default_int_handler)


def _run(options: argparse.Namespace) -> int:
    from scenarios.reader import read  # noqa: PLC0415

    overrides = [*options.set, *([] if options.seed is None else [f"seed={options.seed}"])]
    scenario = read(options.scenario, overrides)

    from results.metrics import summarise  # noqa: PLC0415
    from results.run import Run  # noqa: PLC0415
    from results.summary import render  # noqa: PLC0415
    from scenarios import runner  # noqa: PLC0415
    from scenarios.progress import Progress  # noqa: PLC0415

    _end_as_by_ctrl_c()
    folder = options.out or runner.default_folder(scenario, overrides)
    say = _hush if options.quiet else _say
    try:
        with Progress(scenario, options.quiet) as progress:
            runner.execute(scenario, folder, progress)
    except KeyboardInterrupt:
        _say(f"degsim: interrupted {runner.left_behind(folder)}")
        return INTERRUPTED
    run = Run(folder)
    if scenario.outputs.plots:
        _draw(run, scenario.outputs.plots, None, ("png",), say)
    _out(render(summarise(run)))
    say(f"run folder: {folder}")
    return OK


def _compare(options: argparse.Namespace) -> int:
    from scenarios.study import SEEDS, is_study, read_study, study_of  # noqa: PLC0415

    if is_study(options.source):
        said = {"--policy": options.policy, "--baseline": options.baseline, "--metric": options.metric}
        _refuse(options.source, [f"{option}: the study says that itself" for option, value in said.items() if value])
        study = read_study(options.source, options.seeds, options.set)
    else:
        _refuse(options.source, [] if options.policy else ["say what to compare, such as --policy locational"])
        study = study_of(
            options.source,
            policies=options.policy,
            seeds=SEEDS if options.seeds is None else options.seeds,
            overrides=options.set,
            baseline=options.baseline,
            metrics=options.metric,
        )
    return _carry_out(study, options)


def _sweep(options: argparse.Namespace) -> int:
    from scenarios.study import grid_of, study_of  # noqa: PLC0415

    study = study_of(
        options.source,
        policies=options.policy,
        over=grid_of(options.over),
        seeds=options.seeds,
        overrides=options.set,
        metrics=options.metric,
    )
    return _carry_out(study, options)


def _refuse(source: Path, whats: Sequence[str]) -> None:
    if whats:
        raise ScenarioError(str(source), tuple(Fault(str(source), what) for what in whats))


def _carry_out(study: Any, options: argparse.Namespace) -> int:
    from scenarios import comparing  # noqa: PLC0415

    folder = options.out or comparing.default_folder(study)
    keep = folder / "runs" if options.keep_runs else None
    engine = comparing.engine_of(options.engine, options.scheduler, options.workers, keep)
    work = comparing.prepare(study, folder, very_many=options.yes, keep=keep)
    _end_as_by_ctrl_c()
    try:
        say = _hush if options.quiet else _say
        return OK if comparing.show(work, engine, _out, say, quiet=options.quiet) else AT_FAULT
    except BrokenPipeError:
        raise
    except OSError as error:
        what = f"{error.strerror or error}; what is done is kept, and the same command goes on from there"
        raise RunError(str(error.filename or folder), what) from error
    except KeyboardInterrupt:
        _say(f"degsim: interrupted; what is done is kept in {folder}, and the same command goes on from there")
        return INTERRUPTED


def _clear(options: argparse.Namespace) -> int:
    from scenarios import laboratory  # noqa: PLC0415
    from sim.market.wire_form import clear_message  # noqa: PLC0415

    names = options.policy or ["locational"]
    chosen = laboratory.policies(names)
    compared = len(names) > 1 or laboratory.ALL in names or options.misreports
    fine = True
    for place, name in enumerate(options.files):
        data = _json(laboratory.located(name))
        if not compared:
            _out(json.dumps(clear_message(data, chosen[0], _source(name))))
            continue
        if place and not options.json:
            _out("")
        fine &= laboratory.show(_source(name), data, chosen, _out, as_json=options.json, misreports=options.misreports)
    return OK if fine else AT_FAULT


def _settle(options: argparse.Namespace) -> int:
    from scenarios.contracts import settle_files  # noqa: PLC0415

    same = settle_files(
        options.contract,
        options.signals,
        _text,
        _out,
        _say,
        previous=options.previous,
        against=options.against,
        as_table=options.table,
    )
    return OK if same else AT_FAULT


def _contract(options: argparse.Namespace) -> int:
    from scenarios.contracts import show  # noqa: PLC0415

    return OK if show(options.contract, options.to, _text, _out) else AT_FAULT


def _bill(options: argparse.Namespace) -> int:
    from results.run import Run  # noqa: PLC0415
    from scenarios.contracts import bill  # noqa: PLC0415

    bill(Run(options.run), options.era, options.out, _out, _say)
    return OK


def _explain(options: argparse.Namespace) -> int:
    from results.explanation import as_text, explanation  # noqa: PLC0415
    from results.run import Run  # noqa: PLC0415

    facts = explanation(Run(options.run), options.what)
    _out(json.dumps(facts, indent=2, ensure_ascii=False) if options.json else as_text(facts, options.all))
    return OK


def _ledger(options: argparse.Namespace) -> int:
    from results.beancount import export  # noqa: PLC0415
    from results.run import Run  # noqa: PLC0415
    from scenarios.exchange import write  # noqa: PLC0415

    text = export(Run(options.run))
    if options.out is None:
        _out(text)
    else:
        write(options.out, text)
    return OK


def _validate(options: argparse.Namespace) -> int:
    from scenarios.exchange import validate  # noqa: PLC0415

    readable, valid = validate(options.files, _text, _out, _say)
    return UNUSABLE if not readable else OK if valid else AT_FAULT


def _convert(options: argparse.Namespace) -> int:
    from scenarios.exchange import convert, write  # noqa: PLC0415

    text = convert(options.file, options.to, _text, _say)
    if text is None:
        return AT_FAULT
    if options.out is None:
        _out(text)
    else:
        write(options.out, text)
    return OK


def _verify(options: argparse.Namespace) -> int:
    from results.run import Run  # noqa: PLC0415
    from results.verify import render, verify  # noqa: PLC0415

    report = verify(Run(options.run))
    _out(render(report))
    return AT_FAULT if report.findings else OK


def _diff(options: argparse.Namespace) -> int:
    from results.difference import as_json, difference, render  # noqa: PLC0415
    from results.run import Run  # noqa: PLC0415

    if not 0 <= options.tolerance < 1:
        raise RunError("--tolerance", f"{options.tolerance:g} is not from 0 to less than 1")
    found = difference(Run(options.one), Run(options.two), options.tolerance)
    _out(as_json(found) if options.json else render(found))
    return OK if found.alike else AT_FAULT


def _bound(options: argparse.Namespace) -> int:
    from scenarios.bound import as_json, bounds, render  # noqa: PLC0415

    found = bounds(options.targets, options.set)
    _out(as_json(found) if options.json else render(found))
    return OK


def _sequence(options: argparse.Namespace) -> int:
    from results import sequence  # noqa: PLC0415
    from results.run import Run  # noqa: PLC0415
    from scenarios.exchange import write  # noqa: PLC0415

    run = Run(options.run)
    begin, end = sequence.span_of(run.calendar, options.begin, options.end)
    told = sequence.select(str(run.path), sequence.steps(run), options.transaction, options.participant, begin, end)
    if not told:
        _say("degsim: no message is of this transaction, participant and time")
    drawn = sequence.outline(told, run.kinds, options.all, options.participant)
    text = (sequence.mermaid if options.format == "mermaid" else sequence.as_text)(run, drawn)
    if options.out is None:
        _out(text.removesuffix("\n"))
    else:
        write(options.out, text.removesuffix("\n"))
    return OK


def _report(options: argparse.Namespace) -> int:
    from results import report  # noqa: PLC0415
    from results.report import comparison  # noqa: PLC0415
    from results.run import Run  # noqa: PLC0415

    if comparison.is_comparison(options.run):
        _say(str(comparison.write(options.run, options.out)))
    else:
        _say(str(report.write(Run(options.run), options.out)))
    return OK


def _plot(options: argparse.Namespace) -> int:
    from results import plots  # noqa: PLC0415
    from results.run import Run  # noqa: PLC0415

    run = Run(options.run)
    formats = tuple(plots.FORMATS) if options.format == "both" else (options.format,)
    plots.refuse(run, options.names, formats, options.interval)
    names = options.names or plots.fitting(run)
    _draw(run, names, options.interval, formats)
    left_out = [name for name in plots.PLOTS if name not in names]
    if left_out and not options.names:
        _say(f"degsim: nothing to show in {', '.join(left_out)}")
    return OK


def _draw(
    run: Any, names: Sequence[str], interval: int | None, formats: Sequence[str], say: Callable[[str], None] = _say
) -> None:
    from results.plots import save  # noqa: PLC0415

    for name in names:
        for form in formats:
            say(str(save(run, name, run.path / "plots", form, interval)))


def _feeder(options: argparse.Namespace) -> int:
    from scenarios.feeder import show  # noqa: PLC0415

    show(
        options.name,
        _out,
        _say,
        with_buses=options.buses,
        as_json=options.json,
        picture=options.draw,
        transformer_type=options.transformer_type,
    )
    return OK


def _list(options: argparse.Namespace) -> int:
    from scenarios.catalog import LISTS  # noqa: PLC0415
    from sim.errors import nearest  # noqa: PLC0415

    if options.kind is None:
        _out("\n".join(LISTS))
        return OK
    if options.kind not in LISTS:
        raise MessageError(options.kind, f"nothing of that kind can be listed, {nearest(options.kind, LISTS)}")
    entries = LISTS[options.kind]()
    width = max(map(len, entries))
    between = "\n" + " " * (width + 2)
    _out("\n".join(f"{name:{width}}  {between.join(summary.splitlines())}" for name, summary in entries.items()))
    return OK


def _schema(options: argparse.Namespace) -> int:
    from scenarios import schemas  # noqa: PLC0415

    if options.out is None:
        _out(json.dumps(schemas.scenario_schema(), indent=2))
        return OK
    written = schemas.write(options.out)
    _say("\n".join(map(str, written)))
    _say(schemas.counted(options.out, written))
    return OK


def _directory(options: argparse.Namespace) -> int:
    from results.run import Run  # noqa: PLC0415
    from scenarios.dedi import directory_of, end_s, serve  # noqa: PLC0415

    run = Run(options.run)
    directory, now_s = directory_of(run), end_s(run)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with serve(directory, lambda: now_s, port=options.port) as url:
        _out(url)
        sys.stdout.flush()
        try:
            signal.pause()
        except KeyboardInterrupt:
            return OK
    return OK


def _source(name: str) -> str:
    return "standard input" if name == "-" else name


def _text(name: str) -> str:
    try:
        if name != "-":
            return Path(name).read_text(encoding="utf-8")
        if sys.stdin is None:
            raise MessageError(_source(name), "is closed")
        binary = getattr(sys.stdin, "buffer", None)  # as bytes: whatever the terminal's encoding, messages are UTF-8
        return str(sys.stdin.read()) if binary is None else str(binary.read().decode("utf-8"))
    except FileNotFoundError:
        raise MessageError(name, "there is no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise MessageError(_source(name), f"cannot be read: {error}") from None


def _json(name: str) -> Any:
    try:
        return json.loads(_text(name))
    except (ValueError, RecursionError) as error:
        raise MessageError(_source(name), f"is not JSON: {error}") from None


if __name__ == "__main__":
    sys.exit(main())
