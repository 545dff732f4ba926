"""Billing scripts: what they compute, exactly, what they are refused for, and the process they run in."""

from __future__ import annotations

import builtins
import copy
import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from decimal import Context, Decimal, Inexact
from fractions import Fraction
from pathlib import Path

import pytest
import starlark
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.contracts import script as module
from sim.contracts import script_worker
from sim.contracts.script import FUNCTIONS, METHODS, REFUSED, Script, Workshop, compile_script
from sim.errors import ContractError

HEAD = "def compute(inputs, intervals):\n"
EXACT = Context(prec=60, traps=[Inexact])

PRICES = st.decimals("-10", "100", places=4)
ENERGIES = st.decimals("0", "100000", places=3)
READINGS = st.lists(st.fixed_dictionaries({"price": PRICES, "energyKWh": ENERGIES}), max_size=12)


@pytest.fixture(scope="module")
def workshop() -> Iterator[Workshop]:
    with Workshop() as opened:
        yield opened


def compiled(text: str, *outputs: str) -> Script:
    return compile_script(text, outputs=outputs or ("amount",), who="contract-7")


def amount(workshop: Workshop, expression: str, **inputs: str) -> Decimal:
    script = compiled(f'{HEAD}    return {{"amount": {expression}}}\n')
    return workshop.run(script, {name: Decimal(value) for name, value in inputs.items()})["amount"]


def refusal(workshop: Workshop, text: str, intervals: Sequence[Mapping[str, Decimal]] = (), **inputs: Decimal) -> str:
    with pytest.raises(ContractError) as error:
        workshop.run(compiled(text), inputs, intervals)
    return str(error.value)


def static_refusal(text: str) -> str:
    with pytest.raises(ContractError) as error:
        compiled(text)
    return str(error.value)


# What is computed

TIERS = """
# Energie bis zur Grenze kostet den Grundpreis, darüber den erhöhten; ₹ je kWh.
LIMIT = decimal("100")

def tiered(energy, low, high):
    return min(energy, LIMIT) * low + max(0, energy - LIMIT) * high

def compute(inputs, intervals):
    total, peak = decimal("0"), decimal("0")
    for interval in intervals:
        total = total + interval["energyKWh"] * interval["price"]
        if interval["energyKWh"] > peak:
            peak = interval["energyKWh"]
    energy = sum([interval["energyKWh"] for interval in intervals])
    return {
        "energy": total,
        "tiers": tiered(energy, inputs["low"], inputs["high"]),
        "demand": peak * decimal("0.25"),
        "intervals": len(intervals),
    }
"""


@given(readings=READINGS, low=PRICES, high=PRICES)
@settings(max_examples=60)
def test_a_script_computes_what_decimals_compute_in_python(workshop, readings, low, high):
    energy = sum((r["energyKWh"] for r in readings), Decimal(0))
    expected = {
        "energy": sum((r["energyKWh"] * r["price"] for r in readings), Decimal(0)),
        "tiers": min(energy, Decimal(100)) * low + max(Decimal(0), energy - 100) * high,
        "demand": max((r["energyKWh"] for r in readings), default=Decimal(0)) * Decimal("0.25"),
        "intervals": Decimal(len(readings)),
    }
    given_amounts = workshop.run(compiled(TIERS, *expected), {"low": low, "high": high}, readings)
    assert given_amounts == expected
    assert list(given_amounts) == list(expected)


FIT = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=5)


@given(a=FIT, b=FIT)
@settings(max_examples=60)
def test_sums_differences_and_products_that_fit_28_digits_are_exact(workshop, a, b):
    script = compiled(
        f'{HEAD}    a, b = inputs["a"], inputs["b"]\n    return {{"sum": a + b, "less": a - b, "times": a * b, "minus": -a}}\n',
        "sum",
        "less",
        "times",
        "minus",
    )
    exact = {"sum": EXACT.add(a, b), "less": EXACT.subtract(a, b), "times": EXACT.multiply(a, b), "minus": -a}
    assert workshop.run(script, {"a": a, "b": b}) == exact


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('decimal("0.1") + decimal("0.2")', "0.3"),
        ('decimal("1") / 3', "0.3333333333333333333333333333"),
        ('decimal("2") / 3', "0.6666666666666666666666666667"),
        ('decimal("-7.5") // 2', "-4"),
        ("7 // 2", "3"),
        ('abs(decimal("-1.50"))', "1.50"),
        ("abs(-2)", "2"),
        ('sum([1, decimal("0.5")])', "1.5"),
        ("sum([])", "0"),
        ("sum([]) / 4", "0"),
        ('max(0, decimal("-1"))', "0"),
        ('max(0, decimal("-1")) / 4', "0"),
        ('max(decimal("0.5"), 0)', "0.5"),
        ('min([3, decimal("2.5"), 4])', "2.5"),
        ("len(range(max(2, 3)))", "3"),
        ("len(range(min([5, 4])))", "4"),
        ('round(decimal("2.345"), 2)', "2.34"),
        ('round(decimal("2.355"), 2)', "2.36"),
        ("round(2, 2)", "2"),
        ('sorted([decimal("3"), decimal("1")], reverse=True)[0]', "3"),
        ('[a * b for a, b in zip([1, 2], [decimal("0.5"), decimal("2")])][1]', "4"),
        ('sum([i * x for i, x in enumerate([decimal("5"), decimal("7")])])', "7"),
        ('1 if "a" in {"a": 1} and "b" not in {"a": 1} else 2', "1"),
        ('1 if {"a": "x"}["a"] == "x" else 2', "1"),
        ('1 if {}.get("a") == None else 2', "1"),
        ('decimal("0.00000000000000000001") * decimal("0.00000000000000000001")', "0"),
    ],
)
def test_an_expression_of_a_script_has_the_value(workshop, expression, expected):
    assert amount(workshop, expression) == Decimal(expected)


@given(values=st.lists(st.one_of(st.integers(-5, 5), st.decimals(-3, 3, places=1)), min_size=1, max_size=6))
@settings(max_examples=40)
def test_least_and_greatest_are_those_of_python_whatever_is_mixed(workshop, values):
    shown = ", ".join(str(v) if isinstance(v, int) else f'decimal("{v}")' for v in values)
    assert amount(workshop, f"max([{shown}])") == max(values)
    assert amount(workshop, f"min([{shown}])") == min(values)


@given(value=st.decimals(-1000, 1000, places=6), places=st.integers(0, 6))
@settings(max_examples=40)
def test_rounding_is_half_to_even(workshop, value, places):
    assert amount(workshop, f'round(inputs["x"], {places})', x=str(value)) == round(value, places)


def test_the_order_of_inputs_and_readings_is_the_order_in_which_they_were_given(workshop):
    script = compiled(f'{HEAD}    return {{"amount": sum([i * inputs[name] for i, name in enumerate(inputs)])}}\n')
    names = ["zeta", "alpha", "mu", "beta"]
    inputs = {name: Decimal(10) ** i for i, name in enumerate(names)}
    assert workshop.run(script, inputs) == {"amount": 3210}
    assert workshop.run(script, dict(reversed(inputs.items()))) == {"amount": 123}


# What goes in and what comes out


@pytest.mark.parametrize("text", ["0", "-0", "1E+5", "1E-28", "9999999999999999999999999999", "1." + "0" * 60, "1.50"])
def test_a_value_that_fits_28_digits_passes_unchanged(workshop, text):
    assert amount(workshop, 'inputs["x"]', x=text) == Decimal(text)


def test_values_that_do_not_fit_are_refused_all_at_once_and_not_rounded(workshop):
    inputs = {
        "long": Decimal("1.0000000000000000000000000001"),
        "small": Decimal("1E-29"),
        "huge": Decimal("1E+28"),
        "tiny": Decimal("1E-999999"),
        "beyond": Decimal("1E+99999999999"),
        "nan": Decimal("NaN"),
        "infinite": Decimal("-Infinity"),
        "float": 0.5,
        "good": Decimal("0.1"),
    }
    with pytest.raises(ContractError) as error:
        workshop.run(compiled(f'{HEAD}    return {{"amount": 1}}\n'), inputs, [{}, {"energyKWh": Decimal("sNaN")}])  # type: ignore[arg-type]
    places = [fault.where for fault in error.value.faults]
    assert places == [f"inputs.{name}" for name in inputs if name != "good"] + ["intervals[1].energyKWh"]
    assert error.value.source == "contract-7"


def test_outputs_that_are_missing_or_additional_or_no_numbers_are_named_all_at_once(workshop):
    script = compiled(f'{HEAD}    return {{"a": 7 / 2, "b": "1", "c": True, "e": 1}}\n', "a", "b", "c", "d")
    with pytest.raises(ContractError) as error:
        workshop.run(script, {})
    assert [(fault.where, fault.what.split(";")[0]) for fault in error.value.faults] == [
        ("a", "is float"),
        ("b", "is string"),
        ("c", "is bool"),
        ("d", "is an output that compute leaves out"),
        ("e", "is not declared as an output of this script"),
    ]


@pytest.mark.parametrize(("key", "output"), [("1", "1"), ('decimal("1")', "1"), ('"a" * 150', "a" * 100)])
def test_another_key_is_never_taken_for_an_output(workshop, key, output):
    script = compiled(f"{HEAD}    return {{{key}: 5}}\n", output)
    with pytest.raises(ContractError, match="is an output that compute leaves out"):
        workshop.run(script, {})


def test_no_output_reaches_1e28(workshop):
    assert amount(workshop, 'decimal("-9999999999999999999999999999")') == -(10**28) + 1
    text = f'{HEAD}    return {{"amount": decimal("9999999999999999999999999999") + 1}}\n'
    assert "amount: is 1e28 or more" in refusal(workshop, text)


def test_outputs_are_declared_once_by_plain_names():
    for outputs in ((), ("a", "a"), ("",), ('"',), ("prіce",), ("a\n",), ("a" * 101,), tuple(map(str, range(1001)))):
        with pytest.raises(ContractError, match="contract-7: outputs: "):
            compile_script(HEAD + "    return {}\n", outputs=outputs, who="contract-7")


# What a script is refused for


@pytest.mark.parametrize(
    ("body", "where", "what"),
    [
        ("    x = 0.02\n", "line 2, column 9", "'0.02' is no whole number (amounts are written decimal(\"0.02\"))"),
        ("    x = 1234567\n", "line 2, column 9", "'1234567' has more than 6 digits"),
        ("    pass\n\n    while True:\n", "line 4, column 5", "'while' is not available to a script"),
        ("    x = [].sort()\n", "line 2, column 12", "'sort' is not among the methods"),
        ("    x = {}.get\n", "line 2, column 12", "'get' is not among the methods"),
        ("    x = foo + 1\n", "line 2, column 9", "'foo' is not defined"),
        ("    x = [\n      1,\n      y]\n", "line 4, column 7", "'y' is not defined"),
        ('    x = inputs["a"] == 1\n', "line 2, column 21", "'==' would hold for a decimal and a whole number never"),
        ('    x = 1 != inputs["a"]\n', "line 2, column 11", "'!=' would hold"),
        ("    x = 1 in intervals\n", "line 2, column 11", "'in' would look for a decimal"),
        ("    x = 7 % 2\n", "line 2, column 11", "'%' cannot be part of a script (write a - a // b * b)"),
        ('    x = decimal("1e5")\n', "line 2, column 9", "'decimal' takes one number, in quotes"),
        ("    x = decimal(1)\n", "line 2, column 9", "'decimal' takes one number, in quotes"),
        (f'    x = decimal("{"1" * 29}")\n', "line 2, column 9", "'decimal' has more than 28 digits"),
        ("    x = (1]\n", "line 2, column 11", "unexpected symbol ']' here"),
        ("    x = 1 2\n", "line 2, column 11", "unexpected integer literal '2' here"),
        (
            "    x =\t1\n",
            "line 2, column 8",
            "'\\t' cannot be part of a script (indent with spaces, end lines with \\n)",
        ),
        ("    pаss\n", "line 2, column 6", "it is CYRILLIC SMALL LETTER A (only comments hold"),
        ("    _x = 1\n", "line 2, column 5", "'_x' begins with an underscore"),
    ],
)
def test_a_refusal_says_where_and_what(body, where, what):
    message = static_refusal(HEAD + body)
    assert message.startswith(f"contract-7: {where}: ")
    assert what in message


def test_all_strange_words_are_named_at_once_but_no_more_than_ten():
    words = ["alpha", "beta", "gamma"]
    assert [f"'{word}' is not defined" in static_refusal(f"{HEAD}    x = {' + '.join(words)}\n") for word in words] == [
        True
    ] * 3
    many = " + ".join(f"x{i}" for i in range(30))
    assert static_refusal(f"{HEAD}    x = {many}\n").count("is not defined") == module.MAX_FAULTS


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x = 1\n",
        "def compute(inputs):\n    return {}\n",
        "def compute(intervals, inputs):\n    return {}\n",
        "def compute(inputs, intervals=1):\n    return {}\n",
        "def f():\n    def compute(inputs, intervals):\n        return {}\n",
        "if True:\n  def compute(inputs, intervals):\n    return {}\n",
        HEAD + "    return {}\n" + HEAD + "    return {}\n",
        HEAD + "    return compute(inputs, intervals)\n",
    ],
)
def test_compute_is_defined_once_at_the_left_margin_and_called_by_nobody(text):
    assert "compute" in static_refusal(text)


@pytest.mark.parametrize(
    ("body", "where", "what"),
    [
        ('    return {"amount": inputs["prise"]}\n', "line 2, column 23", 'Key `"prise"` was not found'),
        (
            '    x = 1\n    return {"amount": x - inputs["price"]}\n',
            "line 3, column 23",
            'write decimal("1") and not 1',
        ),
        ('    x = inputs["price"] / 0\n', "line 2, column 9", "Cannot divide by zero"),
        ("    x = sum([None])\n", "line 2", "not supported"),
        ("    x = min([])\n", "line 2", "min and max need a value"),
        ('    fail("no rule for this month")\n', "line 2, column 5", "fail: no rule for this month"),
        ("    for i in range(999999):\n        x = i\n", "line 2, column 5", "takes more than 500000 turns"),
        ("    intervals[0] = 1\n    x = intervals[9]\n", "line 2, column 5", "out of bound"),
        ("    return 1\n", "", "compute gives int where a dict of its outputs is needed"),
        ('    return decimal("1")\n', "", "compute gives decimal where a dict of its outputs is needed"),
        ("    x = [1] * 999999 * 999\n", "", "needs more than 256 MiB of memory"),
    ],
)
def test_an_error_while_it_runs_says_where_and_what(workshop, body, where, what):
    message = refusal(workshop, HEAD + body, price=Decimal(2))
    assert message.startswith(f"contract-7: {where}: " if where else "contract-7: ")
    assert what in message
    assert "rust_decimal" not in message


def test_whatever_starlark_knows_is_either_given_to_scripts_or_refused():
    """Scripts see no name by accident: of all words that anybody might try, Starlark's own are on one of two lists."""
    library = starlark.Globals.extended_by([starlark.LibraryExtension.RustDecimal])
    words = {word for word in dir(builtins) if word.isidentifier()} | FUNCTIONS | REFUSED
    words |= {
        "dedupe",
        "eval_type",
        "field",
        "filter",
        "map",
        "partial",
        "pprint",
        "prepr",
        "pstr",
        "rust_decimal",
        "time",
    }
    words |= {
        "breakpoint",
        "call_stack",
        "debug",
        "experimental_regex",
        "isinstance",
        "namespace",
        "typing",
        "now",
        "uuid",
    }
    known = set()
    for word in words:
        with suppress(starlark.StarlarkError):
            starlark.eval(starlark.Module(), starlark.parse("x", f"y = {word}"), library)
            known.add(word)
    assert known - {"True", "False", "None"} <= FUNCTIONS | REFUSED
    assert known & FUNCTIONS == {"abs", "enumerate", "fail", "len", "max", "min", "range", "sorted", "zip"}


def test_methods_of_scripts_are_those_of_lists_and_dicts():
    methods = starlark.eval(starlark.Module(), starlark.parse("x", "dir([]) + dir({})"), starlark.Globals.standard())
    assert set(methods) >= METHODS  # type: ignore[call-overload]


SOUP = """def compute ( inputs , intervals ) : return { } [ ] for in if else elif not and or pass x y f 1 0 999999
    + - * / // < <= = == += . get append max min sum decimal len range " ' "a" 'b' # \\ None"""
WORDS = st.sampled_from([*SOUP.split(), "\n", "\n    "])


@given(words=st.lists(WORDS, max_size=40))
@settings(max_examples=400)
def test_any_soup_of_words_is_either_a_script_or_refused(words):
    for text in (" ".join(words), f'{HEAD}    {" ".join(words)}\n    return {{"amount": 1}}\n'):
        with suppress(ContractError):
            compiled(text)


@given(text=st.text(max_size=200))
def test_any_text_is_either_a_script_or_refused(text):
    for whole in (text, f'{HEAD}    x = "{text}"\n', f"{HEAD}    {text}\n"):
        with suppress(ContractError):
            compiled(whole)


LARGEST = {
    "chain of sums": f'    return {{"amount": {"+".join(["1"] * 240)}}}\n',
    "chain of minus signs": f'    return {{"amount": {"-" * 490}1}}\n',
    "chain of not": f'    x = {"not " * 495}1\n    return {{"amount": 1}}\n',
    "chain of choices": f'    return {{"amount": {"1 if inputs else " * 120}1}}\n',
    "chain of and": f'    x = {" and ".join(["1"] * 240)}\n    return {{"amount": x}}\n',
    "nested parentheses": f'    return {{"amount": {"(" * 23}1{")" * 23}}}\n',
    "nested lists": f'    x = {"[" * 24}{"]" * 24}\n    return {{"amount": 1}}\n',
    "nested calls": f'    return {{"amount": {"max(1, " * 23}1{")" * 23}}}\n',
    "branches": "    if inputs: x = 1\n" + "    elif inputs: x = 2\n" * 100 + '    return {"amount": 1}\n',
    "blocks": "".join(f"{' ' * i}if 1:\n" for i in range(1, 64)) + f'{" " * 64}return {{"amount": 1}}\n',
    "statements": "    x = 1\n" * 1_200 + '    return {"amount": 1}\n',
}


@pytest.mark.parametrize("body", LARGEST.values(), ids=LARGEST)
def test_the_largest_scripts_that_are_let_in_are_computed(workshop, body):
    assert workshop.run(compiled(HEAD + body), {"x": Decimal(1)})["amount"].is_finite()


# How it runs


def test_the_limit_of_steps_falls_on_the_same_step_in_every_process():
    text = f'{HEAD}    for i in range(len(intervals) * 1000):\n        x = i\n    return {{"amount": 1}}\n'

    def border() -> int:
        fits, exceeds = 1, 1000
        with Workshop() as fresh:
            while exceeds - fits > 1:
                middle = (fits + exceeds) // 2
                try:
                    fresh.run(compiled(text), {}, [{}] * middle)
                    fits = middle
                except ContractError:
                    exceeds = middle
        return fits

    assert border() == border() == script_worker.MAX_STEPS // 1000


def test_nothing_passes_from_one_job_to_the_next(workshop):
    writes = compiled(f'RATE = decimal("5")\n\ndef rate():\n    return RATE\n\n{HEAD}    return {{"amount": rate()}}\n')
    reads = f'{HEAD}    return {{"amount": rate()}}\n\ndef rate():\n    return RATE\n\nRATE = decimal("7")\n'
    assert workshop.run(writes, {}) == {"amount": 5}
    assert workshop.run(compiled(reads), {}) == {"amount": 7}
    assert workshop.run(writes, {}) == {"amount": 5}
    assert "Immutable" in refusal(workshop, f"SEEN = []\n\n{HEAD}    SEEN.append(1)\n")


@pytest.mark.parametrize(
    "change", ['inputs["price"] = 9', 'intervals[0].update({"energyKWh": 9})', "intervals.append({})"]
)
def test_a_script_cannot_change_what_it_was_given(workshop, change):
    message = refusal(workshop, f"{HEAD}    {change}\n", [{"energyKWh": Decimal(3)}], price=Decimal(2))
    assert message == "contract-7: line 2, column 5: Immutable"


def test_a_thousand_intervals_pass_in_one_job(workshop):
    text = f'{HEAD}    return {{"amount": sum([interval["energyKWh"] for interval in intervals])}}\n'
    intervals = [{"energyKWh": Decimal(i) / 1000} for i in range(5_000)]
    assert workshop.run(compiled(text), {}, intervals)["amount"] == Fraction(5_000 * 4_999, 2_000)


def test_a_script_can_be_copied_and_pickled_and_is_checked_again():
    script = compiled(HEAD + "    return {}\n")
    assert pickle.loads(pickle.dumps(script)) == copy.deepcopy(script) == script
    forged = pickle.dumps(script).replace(b"return {}", b"import {}")
    with pytest.raises(ContractError, match="'import' is not available"):
        pickle.loads(forged)


GOOD = compile_script(f'{HEAD}    return {{"amount": 1}}\n', outputs=("amount",), who="contract-8")


def worker_of(workshop: Workshop) -> subprocess.Popen[bytes]:
    workshop.run(GOOD, {})
    assert workshop._worker is not None
    return workshop._worker


def test_a_workshop_starts_with_its_first_job_and_again_after_it_was_closed():
    workshop = Workshop()
    assert workshop._worker is None
    first = worker_of(workshop)
    assert worker_of(workshop) is first
    workshop.close()
    workshop.close()
    assert first.poll() == -signal.SIGKILL
    assert worker_of(workshop) is not first
    workshop.close()


def test_a_workshop_that_is_forgotten_ends_its_worker():
    workshop = Workshop()
    worker = worker_of(workshop)
    del workshop
    assert worker.poll() == -signal.SIGKILL


def test_a_worker_that_was_killed_is_replaced():
    with Workshop() as workshop:
        worker = worker_of(workshop)
        worker.kill()
        worker.wait()
        assert worker_of(workshop) is not worker


def test_a_worker_that_is_gone_when_the_job_arrives_is_an_error_of_that_job_only(monkeypatch):
    with Workshop() as workshop:
        worker = worker_of(workshop)
        worker.kill()
        worker.wait()
        with monkeypatch.context() as patch:
            patch.setattr(worker, "poll", lambda: None)
            with pytest.raises(ContractError, match=r"^contract-8: the process that computes scripts was lost: "):
                workshop.run(GOOD, {})
        assert worker_of(workshop) is not worker


def test_a_worker_that_ends_without_an_answer_is_an_error_of_that_job_only():
    command = [sys.executable, "-c", "input()"]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as mute,
        Workshop() as workshop,
    ):
        workshop._worker = mute
        with pytest.raises(ContractError, match="it ended without an answer"):
            workshop.run(GOOD, {})
        assert worker_of(workshop) is not mute


def test_a_worker_that_falls_silent_is_given_up(monkeypatch):
    with Workshop() as workshop:
        worker = worker_of(workshop)
        worker.send_signal(signal.SIGSTOP)
        monkeypatch.setattr(module, "PATIENCE_S", 0)
        with pytest.raises(ContractError, match="no answer within 0 s"):
            workshop.run(GOOD, {})
        assert worker.poll() == -signal.SIGKILL
        monkeypatch.undo()
        assert worker_of(workshop) is not worker


def test_a_job_that_is_interrupted_leaves_no_answer_behind(monkeypatch):
    def interrupted(*_: object) -> bytes:
        raise KeyboardInterrupt

    with Workshop() as workshop:
        worker = worker_of(workshop)
        with monkeypatch.context() as patch:
            patch.setattr(module, "_exchange", interrupted)
            with pytest.raises(KeyboardInterrupt):
                workshop.run(GOOD, {})
        assert worker.poll() == -signal.SIGKILL
        assert workshop.run(GOOD, {}) == {"amount": 1}


def test_the_worker_inherits_no_secrets(monkeypatch):
    monkeypatch.setenv("DEGSIM_TOKEN", "secret")
    with Workshop() as workshop:
        process = Path("/proc") / str(worker_of(workshop).pid)
        assert (process / "environ").read_bytes() == b""
        assert sorted(os.readlink(link).split(":")[0] for link in (process / "fd").iterdir()) == [
            "/dev/null",
            "pipe",
            "pipe",
        ]


CONFINED = """
import json, os, resource, socket, sys
from sim.contracts.script_worker import _confine
_confine(int(sys.argv[1]))
attempts = {
    "read": lambda: open("/etc/passwd"),
    "write": lambda: open("/tmp/written-by-a-script", "w"),
    "connect": lambda: socket.socket(),
    "pipe": lambda: os.pipe(),
    "allocate": lambda: bytearray(1 << 30),
    "loosen": lambda: resource.setrlimit(resource.RLIMIT_AS, (1 << 40, resource.getrlimit(resource.RLIMIT_AS)[1])),
}
found = {}
for name, attempt in attempts.items():
    try:
        attempt()
        found[name] = "done"
    except (OSError, MemoryError, ValueError) as error:
        found[name] = type(error).__name__
found["processes"] = resource.getrlimit(resource.RLIMIT_NPROC)[1]
os.write(1, json.dumps(found).encode())
"""


def test_the_child_that_computes_can_neither_open_anything_nor_take_more_memory():
    reader, writer = os.pipe()
    root = Path(module.__file__).parents[2]
    subprocess.run([sys.executable, "-c", CONFINED, str(writer)], pass_fds=[writer], cwd=root, check=True)
    os.close(writer)
    with open(reader, "rb") as pipe:
        found = json.loads(pipe.read())
    assert found == {
        "read": "OSError",
        "write": "OSError",
        "connect": "OSError",
        "pipe": "OSError",
        "allocate": "MemoryError",
        "loosen": "ValueError",
        "processes": 0,
    }


def test_a_child_s_death_is_told_by_its_cause():
    assert script_worker._cause(-signal.SIGABRT) == script_worker._cause(1) == "needs more than 256 MiB of memory"
    assert script_worker._cause(-signal.SIGXCPU) == "computes for more than 2 s"
    assert script_worker._cause(-signal.SIGSEGV) == "breaks its interpreter (SIGSEGV)"
