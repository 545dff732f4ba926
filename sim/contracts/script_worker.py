"""The process in which scripts are computed.  It imports nothing of ours and is told everything through its pipes.

The loop itself never computes a script.  It forks a child for every job, and the child gives up whatever it could do
harm with before it looks at the script: memory, processor time, files, sockets, further processes.  So every job begins
with the same fresh memory, whatever the job before it did, and a script that dies takes nobody along.

A job is a line of JSON, ``{"text": ..., "inputs": {name: "1.5"}, "intervals": [{name: "1.5"}]}``, and so is its answer:
``{"amounts": {name: "1.5"}, "others": {name: "float"}}``, or ``{"refused": [where, what, remedy]}``.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import resource
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

import starlark

MAX_STEPS = 500_000
"""Turns of loops and calls of functions, together, of one job; those of ``sum``, ``min`` and ``max`` count too."""
MAX_CALLS = 40
"""Functions that wait for one another."""
MEMORY_MIB = 256
CPU_S = 2
MAX_OUTPUTS = 1000
LARGEST = 10**28
"""No amount reaches it; a ledger would not take it either."""

PRELUDE = """
decimal = RustDecimal

def abs(value):
    return decimal(-value if value < 0 else value)

def round(value, places):
    return decimal(value).round_dp(places)

def sum(values):
    total = decimal(0)
    for value in values:
        total = total + value
    return total

def min(*values):
    return _extreme(values, False)

def max(*values):
    return _extreme(values, True)

def _extreme(values, largest):
    best, extreme, whole = None, None, True
    for value in (values[0] if len(values) == 1 else values):
        exact, whole = decimal(value), whole and type(value) == "int"
        if best == None or (exact > best if largest else exact < best):
            best, extreme = exact, value
    if best == None:
        fail("min and max need a value")
    return extreme if whole else best
"""
"""What scripts are given beyond Starlark's own functions.

Starlark's own ``min`` and ``max`` cannot compare 0 with a decimal and loop without counting steps; it has no ``sum`` and
no ``round``, and its ``abs`` knows no decimals.  The result is a decimal, but for the least or greatest of whole numbers.
"""

VALUES = """
_inputs = {name: decimal(text) for name, text in _texts["inputs"].items()}
_intervals = [{name: decimal(text) for name, text in texts.items()} for texts in _texts["intervals"]]
"""
"""How numbers come in: Python's own decimals would pass only while they are written without an exponent."""

ENTRY = "computed"
EPILOGUE = f"""
def {ENTRY}():
    # By way of a list: called by its name, a short compute would be inlined, and its errors would lose their lines.
    result = [compute][0](_inputs, _intervals)
    if type(result) != "dict":
        return _kind(result)
    if len(result) > {MAX_OUTPUTS}:
        return "more than {MAX_OUTPUTS} outputs"
    return {{name: _amount(value) for name, value in result.items()}}

def _amount(value):
    if type(value) == "int":
        return value if -{LARGEST} < value and value < {LARGEST} else "1e28 or more"
    return value if type(value) == "rust_decimal" else type(value)

def _kind(value):
    return "decimal" if type(value) == "rust_decimal" else type(value)
"""
"""What is called in place of ``compute``: numbers, and descriptions of what is none, for only small things leave Starlark."""

_STEPS_PER_CHECK = 1000  # how often starlark calls check_cancelled
_ERROR = re.compile(r"^error: (.*?)\n *--> (\w+):(\d+):(\d+)", re.DOTALL | re.MULTILINE)
_FRAME = re.compile(r"^  \* script:(\d+), in ", re.MULTILINE)
_WORDING = (
    ("Parse error: ", ""),
    ("rust_decimal", "decimal"),
    ("Evaluation cancelled", f"takes more than {MAX_STEPS} turns of loops and calls"),
    ("call stack overflow", f"call stack overflow: more than {MAX_CALLS} calls within one another; it cannot recurse"),
)
_WHOLE_ON_THE_LEFT = re.compile("`int` and `decimal`")
_DEATHS = {
    signal.SIGABRT: f"needs more than {MEMORY_MIB} MiB of memory",
    signal.SIGXCPU: f"computes for more than {CPU_S} s",
}


def dialect() -> starlark.Dialect:
    """Starlark without ``load`` and ``lambda``."""
    plain = starlark.Dialect.standard()
    plain.enable_load = False
    plain.enable_lambda = False
    return plain


def explain(error: str) -> tuple[str, str, str]:
    """Where in the script, what, and what to do about it, for the text of a Starlark error."""
    found = _ERROR.search(error)
    if not found:
        return "", error.strip()[:200], ""
    what, file, line, column = found.groups()
    what = what.split(", expected one of")[0][:200]
    for theirs, ours in _WORDING:
        what = what.replace(theirs, ours)
    remedy = 'write decimal("1") and not 1 to the left of a decimal' if _WHOLE_ON_THE_LEFT.search(what) else ""
    if file == "script":
        return f"line {line}, column {column}", what, remedy
    frames = _FRAME.findall(error)
    return f"line {frames[-1]}" if frames else "", what, remedy


def outcome(job: bytes) -> dict[str, object]:
    """The answer to a job."""
    try:
        return _answer(_compute(**json.loads(job)))
    except starlark.StarlarkError as error:
        return {"refused": explain(str(error))}
    except BaseException as error:  # the panic of an interpreter that lacks memory is no Exception
        if isinstance(error, MemoryError) or str(error) == "out of memory":
            return {"refused": ("", _DEATHS[signal.SIGABRT], "")}
        return {"refused": ("", f"breaks its interpreter: {error}"[:200], "")}


def main() -> None:
    """Answer jobs until there are no more."""
    # Whatever is imported or set up late must be there before a child may no longer open files: a result, and an error.
    for rehearsal in ('decimal("1.5")', "None + 1"):
        text = f'def compute(inputs, intervals):\n    return {{"x": {rehearsal}}}\n'
        outcome(json.dumps({"text": text, "inputs": {"x": "1"}, "intervals": []}).encode())
    for job in sys.stdin.buffer:
        sys.stdout.buffer.write(_in_a_child(job) + b"\n")
        sys.stdout.buffer.flush()


def _compute(text: str, inputs: Mapping[str, str], intervals: Sequence[Mapping[str, str]]) -> object:
    checks = itertools.count(1)
    limits = starlark.EvalOptions(
        check_cancelled=lambda: next(checks) > MAX_STEPS // _STEPS_PER_CHECK, max_callstack_size=MAX_CALLS
    )
    module = starlark.Module()
    module["_texts"] = {"inputs": inputs, "intervals": intervals}
    for tree in (_PRELUDE, _VALUES):
        starlark.eval(module, tree, _LIBRARY)
    for tree in (starlark.parse("script", text, dialect()), _EPILOGUE):
        starlark.eval_with(limits, module, tree, _LIBRARY)
    return module.freeze().call_with(limits, ENTRY).value


def _answer(result: object) -> dict[str, object]:
    if not isinstance(result, dict):
        return {"refused": ("", f"compute gives {result} where a dict of its outputs is needed", "")}
    amounts: dict[str, str] = {}
    others: dict[str, str] = {}
    for key, value in result.items():
        # Shortened and in quotes, for no declared output is that long or has quotes: another key is never taken for it.
        name = key[:101] if isinstance(key, str) else f'"{key}"'[:101]
        if isinstance(value, str):
            others[name] = value
        elif not -LARGEST < value < LARGEST:
            others[name] = "1e28 or more"
        else:
            amounts[name] = str(value)
    return {"amounts": amounts, "others": others}


def _in_a_child(job: bytes) -> bytes:
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        _answer_and_leave(job, writer)
    os.close(writer)
    with open(reader, "rb") as pipe:
        answer = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return answer if status == 0 else json.dumps({"refused": ("", _cause(status), "")}).encode()


def _answer_and_leave(job: bytes, writer: int) -> NoReturn:
    status = 1
    try:
        _confine(writer)
        with open(1, "wb") as pipe:
            pipe.write(json.dumps(outcome(job)).encode())
        status = 0
    finally:
        # Without unwinding: the loop above belongs to the parent, and so do its buffers.
        os._exit(status)


def _confine(writer: int) -> None:
    """Keep the way back and a null device; give up the rest for good."""
    os.dup2(2, 0)
    os.dup2(writer, 1)
    os.closerange(3, writer + 1)
    for kind, most in (
        (resource.RLIMIT_NOFILE, 3),  # those three are open: there is no fourth, be it a file or a socket
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, MEMORY_MIB << 20),
    ):
        resource.setrlimit(kind, (most, most))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + 1))


def _cause(status: int) -> str:
    """Why a child ended without an answer; one that could not even report had no memory left."""
    dead = signal.Signals(-status) if status < 0 else signal.SIGABRT
    return _DEATHS.get(dead, f"breaks its interpreter ({dead.name})")


_LIBRARY = starlark.Globals.extended_by([starlark.LibraryExtension.RustDecimal])
_PRELUDE = starlark.parse("prelude", PRELUDE, dialect())
_VALUES = starlark.parse("values", VALUES, dialect())
_EPILOGUE = starlark.parse("epilogue", EPILOGUE, dialect())
