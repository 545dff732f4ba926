"""The language of formulas: what it computes, and everything else, which it refuses."""

from __future__ import annotations

import copy
import operator
import pickle
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.contracts.formula import MAX_CHARACTERS, MAX_DEPTH, MAX_NODES, compile_formula, variable_name
from sim.contracts.units import HOUR, KWH
from sim.errors import ContractError


def value(text: str, **values: str) -> Decimal:
    return compile_formula(text, who="energy").evaluate({name: Decimal(number) for name, number in values.items()})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2 + 3 * 4", "14"),
        ("(2 + 3) * 4", "20"),
        ("10 - 2 - 3", "5"),
        ("12 / 4 / 3", "1"),
        ("-2 * -3", "6"),
        ("--5", "5"),
        ("abs(-7.5)", "7.5"),
        ("min(3, 1, 2)", "1"),
        ("max(3, 1, 2) - min(4, 5)", "-1"),
        ("min(8, 10) * 6 + max(0, 15 - 8) * 10", "118"),
        ("0.1 + 0.2", "0.3"),
        (".5 * 4.", "2"),
        ("2.675 * 1", "2.675"),
        ("6 × 10 ÷ 4 − 1", "14"),
        ("  1 +\n\t2 ", "3"),
        ("1 / 3", "0.3333333333333333333333333333"),
        ("-0 * 1", "0"),
        ("if(1 < 2, 3, 4)", "3"),
        ("if (2 <= 1, 3, 4)", "4"),
        ("3 if 2 >= 2 else 4", "3"),
        ("3 if (2 > 2) else 4", "4"),
        ("2 * if(1 == 1.0, 3, 4)", "6"),
        ("if(1 != 1, 1, if(not 2 > 1, 2, 3))", "3"),
        ("if(not 1 > 2, 2, 3)", "2"),
        ("if(1 < 2 and 2 < 3, 1, 0) + if(1 > 2 or 2 ≥ 3, 1, 0)", "1"),
        ("if(1 > 2 and 1 / 1 > 0 or 1 < 2, 5, 6)", "5"),
        ("if(1 < 2 and if(1 < 2, 1, 0) > 0, 5, 6)", "5"),
        ("3 if 1 > 2 else if(1 < 2, 4, 5)", "4"),
        ("clip(15, 0, 10)", "10"),
        ("clip(-15, -10, 10)", "-10"),
        ("clip(5, 0, 10)", "5"),
        ("clip(5, 3, 3)", "3"),
        ("tier(5, 5, 10, 7)", "25"),
        ("tier(10, 5, 10, 7)", "50"),
        ("tier(25, 5, 10, 7)", "155"),
        ("tier(25, 5, 10, 7, 20, 9)", "165"),
        ("tier(0, 5, 10, 7)", "0"),
        ("tier(-2, 5, 10, 7)", "-10"),
        ("tier(3, 5)", "15"),
        ("sum(2 * 3) + 1", "7"),
    ],
)
def test_a_formula_follows_the_rules_of_arithmetic_in_decimals(text, expected):
    assert value(text) == Decimal(expected)


def test_every_part_of_a_formula_may_be_a_variable():
    assert value("clip(a, b, c)", a="-5", b="-3", c="2") == -3
    assert value("clip(a, b, c)", a="5", b="-3", c="2") == 2
    assert value("tier(a, b, c, d)", a="5", b="2", c="3", d="10") == 26
    assert value("if(not a > b, c, d)", a="1", b="2", c="3", d="4") == 3
    assert value("X if (X > 1) else 3", X="2") == 2


def test_variables_are_named_by_dotted_and_bracketed_paths():
    formula = compile_formula(
        "telemetry[\"cdr-ev-001\"].energyKWh * inputSignals.price.value + fee - telemetry['cdr-ev-001'].energyKWh",
        who="energy",
    )
    meter, price = 'telemetry["cdr-ev-001"].energyKWh', "inputSignals.price.value"
    assert formula.names == (meter, price, "fee")
    assert formula.evaluate({meter: Decimal(10), price: Decimal(6), "fee": Decimal("0.5")}) == Decimal("50.5")


def test_a_bracketed_plain_name_is_the_same_path_as_a_dotted_one():
    assert compile_formula('inputSignals["price"].value', who="x").names == ("inputSignals.price.value",)
    assert variable_name("telemetry", "cdr-1", "energyKWh") == 'telemetry["cdr-1"].energyKWh'


HOSTILE = {
    "attribute walk from a tuple": "().__class__.__bases__[0].__subclasses__()",
    "attribute walk from a text": '"".__class__',
    "attribute walk from a variable": "price.__class__.__mro__",
    "dunder in brackets": 'price["__class__"]',
    "private root": "_secret + 1",
    "dunder import": "__import__('os')",
    "lambda": "lambda: 1",
    "list comprehension": "[x for x in y]",
    "generator": "max(x for x in y)",
    "dictionary": "{1: 2}",
    "set": "{1, 2}",
    "tuple": "(1, 2)",
    "list": "[1, 2]",
    "power tower": "9**9**9",
    "power": "2 ** 3",
    "floor division": "7 // 2",
    "remainder": "7 % 2",
    "matrix product": "a @ b",
    "shift": "1 << 2",
    "bit operators": "a | b & ~c",
    "unary plus": "+1",
    "not": "not a",
    "comparison": "a < b",
    "boolean": "a and b",
    "condition": "1 if a else 2",
    "walrus": "(n := 5)",
    "string repeat": '"ab" * 1000000000',
    "bare string": '"60"',
    "bytes": 'b"60"',
    "f-string": 'f"{price}"',
    "raw string": 'price[r"x"]',
    "escape": 'price["\\x41"]',
    "huge exponent": "1e999",
    "small exponent": "1e3",
    "infinity by name and call": 'float("inf")',
    "too many digits": "1.00000000000000000000000000001",
    "very long number": "1" * 1900,
    "underscore number": "1_000",
    "hexadecimal": "0x10",
    "octal": "0o7",
    "leading zeros": "007",
    "complex": "1j",
    "number glued to a word": "1if 2else 3",
    "true": "True",
    "none": "None",
    "ellipsis": "...",
    "call of an unknown name": "sum(1, 2)",
    "call of a path": "a.min(1, 2)",
    "call of a call": "min(1, 2)(3, 4)",
    "starred": "max(*values)",
    "double starred": "max(1, 2, **values)",
    "keyword argument": "max(1, 2, key=abs)",
    "function without values": "min + 1",
    "min of one": "min(1)",
    "abs of two": "abs(1, 2)",
    "max of none": "max()",
    "index by number": "curve[0]",
    "index by variable": "curve[name]",
    "slice": "curve[1:2]",
    "path from a call": "abs(1).real",
    "path from brackets": "(a + b).real",
    "empty part": 'price[""]',
    "await": "await x",
    "yield": "(yield)",
    "assignment": "a = 1",
    "two statements": "1; 2",
    "two expressions": "1 2",
    "comment": "1 # 2",
    "new line ends it": "1\n2",
    "NUL": "1 +\x00 2",
    "backtick": "`1`",
    "homoglyph": "pr\u0456ce * 2",
    "full-width digit": "\uff11 + 1",
    "right-to-left override": "1 \u202e+ 2",
    "unclosed": "(1 + 2",
    "unopened": "1 + 2)",
    "unclosed text": 'price["x',
    "dangling operator": "1 +",
    "deep parentheses": "(" * 900 + "1" + ")" * 900,
    "deep minus": "-" * 1999 + "1",
    "deep path of calls": "abs(" * 40 + "1" + ")" * 40,
    "wide": "+".join(["1"] * 500),
    "too long": " + ".join(["price"] * 400),
    "only a dot": ".",
    "empty": "",
    "blank": " \n ",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_is_not_in_the_language_is_refused_by_name(text):
    with pytest.raises(ContractError) as refusal:
        compile_formula(text, who="energy")
    assert str(refusal.value).startswith("energy: ")


def test_a_refusal_quotes_what_is_wrong_and_where():
    refused = {
        "a + lambda: 1": "energy: column 11: ': 1' cannot be part of a formula",
        "2 * a // b": "energy: column 1: '2 * a // b' is none of + - * /, min, max, abs, clip, if, sum, "
        "tier, a number or a variable",
        "1 + root(2, 3)": "energy: column 5: 'root(2, 3)' calls something else than min, max, abs, clip, if, sum, tier",
        "1 + clip(2, 3)": "energy: column 5: 'clip(2, 3)' has the wrong number of values: "
        "clip takes a value, the lowest and the highest",
        "4 / (2 - 2)": "energy: 4 / (2 - 2) divides by zero",
        "pr\u0456ce": "energy: column 3: '\u0456ce' cannot be part of a formula; "
        "CYRILLIC SMALL LETTER BYELORUSSIAN-UKRAINIAN I is not ASCII",
        "1 +": "energy: '1 +' is not an expression",
        "a b" + " + a" * 20: "energy: column 3: 'a b + a + a + a + a + a + a + a + a + a ' is not an expression",
        "$" + "a" * 11 + "\u20ac": "energy: column 1: '$aaaaaaaaaaa' cannot be part of a formula",
        "\ue000": "energy: column 1: '\\ue000' cannot be part of a formula; a character is not ASCII",
        f"root({'a' * 34})": f"energy: column 1: 'root({'a' * 34})' calls something else than min, max, abs, clip, if, sum, tier",
        f"root({'a' * 35})": f"energy: column 1: 'root({'a' * 32}...' calls something else than min, max, abs, clip, if, sum, tier",
        "abs(1, 2)": "energy: column 1: 'abs(1, 2)' has the wrong number of values: abs takes one",
        "sum(1, 2)": "energy: column 1: 'sum(1, 2)' has the wrong number of values: sum takes one",
        "min(1)": "energy: column 1: 'min(1)' has the wrong number of values: min and max take two or more",
        "if(1 < 2, 3)": "energy: column 1: 'if(1 < 2, 3)' has the wrong number of values: "
        "if takes a condition and two values",
        "tier(1)": "energy: column 1: 'tier(1)' has the wrong number of values: "
        "tier takes a quantity, then rate, limit, rate, …, and ends with a rate",
        "tier(1, 2, 3)": "energy: column 1: 'tier(1, 2, 3)' has the wrong number of values: "
        "tier takes a quantity, then rate, limit, rate, …, and ends with a rate",
        "1 + sum(2 * sum(a))": "energy: column 5: 'sum(2 * sum(a))' sums a sum; a cycle has one row of intervals",
        "1 + min": "energy: column 5: 'min' is a function and needs values in parentheses",
        'a[""]': "energy: column 1: 'a[\"\"]' has a part that is empty or begins with an underscore",
        "a.b._c": "energy: column 1: 'a.b._c' has a part that is empty or begins with an underscore",
        "(a + b).c": "energy: column 1: '(a + b).c' is not a path such as price, meter.energyKWh "
        'or telemetry["cdr-1"].kWh',
        "1 if a else 2": "energy: column 6: 'a' is no condition such as energy > 10; two make one with and, or",
        "1." + "0" * 28: f"energy: column 1: '1.{'0' * 28}' has more than 28 digits",
        "": "energy: an empty formula; write 0 where nothing is owed",
    }
    for text, message in refused.items():
        with pytest.raises(ContractError) as refusal:
            compile_formula(text, who="energy")
        assert str(refusal.value) == message


def test_the_limits_are_reached_before_they_are_crossed():
    assert value("-" * (MAX_DEPTH - 1) + "1") == -1
    assert value("1 +" + " " * (MAX_CHARACTERS - 4) + "1") == 2
    assert value("1." + "0" * 27) == 1
    assert value(f"max({', '.join(['1'] * (MAX_NODES - 1))})") == 1
    for text in ("-" * MAX_DEPTH + "1", f"max({', '.join(['1'] * MAX_NODES)})", "1 +" + " " * MAX_CHARACTERS + "1"):
        with pytest.raises(ContractError):
            compile_formula(text, who="energy")


@pytest.mark.parametrize(
    ("around", "times", "minuses"),
    [
        ("({} + 1)", 31, 0),
        ("(1 + {})", 31, 0),
        ("abs({})", 31, 0),
        ("({} if 1 < 2 else 1)", 30, 1),
        ("(1 if 1 < 2 else {})", 30, 1),
        ("(1 if {} < 2 else 1)", 15, 1),
        ("(1 if 2 < {} else 1)", 15, 1),
        ("(1 if 1 < 2 and {} < 2 else 1)", 10, 1),
        ("(1 if 1 < 2 or {} < 2 else 1)", 10, 1),
        ("(1 if not {} < 2 else 1)", 10, 1),
    ],
)
def test_every_kind_of_nesting_counts_as_deep_as_it_is(around, times, minuses):
    def nested(innermost: str) -> str:
        for _ in range(times):
            innermost = around.format(innermost)
        return innermost

    compile_formula(nested("-" * minuses + "1"), who="energy")
    with pytest.raises(ContractError, match="is nested deeper than 32"):
        compile_formula(nested("-" * (minuses + 1) + "1"), who="energy")


def test_a_limit_that_is_crossed_is_told_with_the_piece_that_crosses_it():
    deep = "abs(" * 31 + "1 if 2 < 3 else 4" + ")" * 31
    wide = f"max({', '.join(['1'] * 150)}, {', '.join(['22'] * 50)})"
    for text, message in (
        (deep, "energy: column 130: '2 < 3' is nested deeper than 32"),
        (wide, f"energy: column {wide.rindex('22') + 1}: '22' is the part that makes it more than 200"),
    ):
        with pytest.raises(ContractError) as refusal:
            compile_formula(text, who="energy")
        assert str(refusal.value) == message


@pytest.mark.parametrize(
    ("text", "values", "message"),
    [
        (
            "energy_kwh * prise",
            {"energy_kwh": Decimal(1), "price": Decimal(6)},
            "prise has no value; did you mean price?",
        ),
        ("a / b", {"a": Decimal(1), "b": Decimal(0)}, "a / b divides by zero, with a = 1, b = 0"),
        ("(a - a) / (a - a)", {"a": Decimal(1)}, "(a - a) / (a - a) divides by zero, with a = 1"),
        ("a * a * a", {"a": Decimal(10) ** 10}, "a * a * a exceeds 1e28, with a = 10000000000"),
        ("min(a, 1)", {"a": Decimal("NaN")}, "a is NaN; a finite number is needed"),
        ("a + 1", {"a": Decimal("-Infinity")}, "a is -Infinity; a finite number is needed"),
        ("a + 1", {"a": 0.1}, "a is the float 0.1; a Decimal is needed"),
        (
            "clip(a, 3, b)",
            {"a": Decimal(1), "b": Decimal(2)},
            "clip(a, 3, b) clips between 3 and 2, with a = 1, b = 2",
        ),
        (
            "tier(a, 5, 10, 7, b, 9)",
            {"a": Decimal(50), "b": Decimal(10)},
            "tier(a, 5, 10, 7, b, 9) has a tier up to 10 after one up to 10, with a = 50, b = 10",
        ),
        ("sum(a / b)", {"a": Decimal(1), "b": Decimal(0)}, "a / b divides by zero, with a = 1, b = 0"),
        ("sum(a) / b", {"a": Decimal(1), "b": Decimal(0)}, "sum(a) / b divides by zero, with b = 0"),
        (
            "sum(a) * b",
            {"a": Decimal(10) ** 20, "b": Decimal(10) ** 10},
            "sum(a) * b exceeds 1e28, with b = 10000000000",
        ),
        (f"{'9' * 20} * {'9' * 20}", {}, f"{'9' * 20} * {'9' * 20} exceeds 1e28"),
    ],
)
def test_what_cannot_be_computed_is_reported_in_the_name_of_the_term(text, values, message):
    formula = compile_formula(text, who="energy")
    with pytest.raises(ContractError) as refusal:
        formula.evaluate(values)
    assert str(refusal.value) == f"energy: {message}"


def test_only_the_side_that_is_chosen_is_computed():
    assert value("a / b if b > 0 else 0", a="1", b="0") == 0
    assert value("if(b == 0 or a / b > 1, 7, 8)", a="1", b="0") == 7


def test_what_stands_inside_sum_is_computed_by_interval_and_the_rest_once():
    formula = compile_formula("sum(a * b) / sum(a) + c", who="energy")
    assert [part.text for part in formula.sums] == ["a * b", "a"]
    assert formula.names == ("a", "b", "c")
    assert formula.outer_names == ("c",)
    rows = [{"a": Decimal(a), "b": Decimal(b)} for a, b in ((1, 10), (3, 20))]
    totals = [sum((part.evaluate(row) for row in rows), Decimal(0)) for part in formula.sums]
    assert formula.over({"c": Decimal(1)}, totals) == Decimal("18.5")


def test_a_formula_may_be_put_over_other_names():
    formula = compile_formula("if(a > b, sum(a), clip(b, 0, 9)) * -tier(a, b, 5, 2)", who="energy")
    other = formula.renamed({"a": "x", "b": "y"})
    assert other.names == ("x", "y")
    assert formula.renamed({"a": "x"}).names == ("x", "b")
    for a, b in ((1, 2), (7, 3)):
        numbers = (Decimal(a), Decimal(b))
        assert other.evaluate(dict(zip("xy", numbers, strict=True))) == formula.evaluate(
            dict(zip("ab", numbers, strict=True))
        )


def test_a_formula_over_other_names_is_quoted_as_it_was_written():
    formula = compile_formula("a if b > 1 else c", who="energy").renamed({"a": "x", "c": "z"})
    with pytest.raises(ContractError) as refusal:
        formula.check_units({"x": KWH, "z": HOUR}, KWH)
    assert str(refusal.value).startswith("energy: a if b > 1 else c joins kWh and h")


def test_an_era_in_brackets_is_kept_for_whoever_fills_the_role():
    assert compile_formula("cleared[PROSUMER.era] * 2", who="energy").names == ('cleared["PROSUMER.era"]',)


@pytest.mark.parametrize(
    ("text", "known", "division"),
    [
        ("a / b", {"b": "0"}, "a / b"),
        ("a / (b - 2 * c)", {"b": "4", "c": "2"}, "a / (b - 2 * c)"),
        ("a / b", {"b": "1"}, ""),
        ("a / b", {"a": "0"}, ""),
        ("a / sum(b)", {"b": "0"}, ""),
        ("1 + a / b / c", {"c": "0"}, "a / b / c"),
        ("1 / (1 / a)", {"a": "0"}, "1 / a"),
    ],
)
def test_a_division_by_zero_is_found_as_far_as_values_are_known(text, known, division):
    formula = compile_formula(text, who="energy")
    assert formula.zero_divisor({name: Decimal(number) for name, number in known.items()}) == division


QUANTITIES = st.decimals(0, 200, places=2)


@given(QUANTITIES, QUANTITIES)
def test_a_tier_costs_the_same_in_one_step_or_two(first, second):
    formula = compile_formula("tier(q, 5, 40, 7, 90, 9)", who="energy")
    cost = [formula.evaluate({"q": q}) for q in (first, first + second)]
    rates = [Decimal(5)] * 40 + [Decimal(7)] * 50 + [Decimal(9)] * 400
    whole = int(first + second)
    assert cost[1] == sum(rates[:whole], Decimal(0)) + (first + second - whole) * rates[whole]
    assert 5 * second <= cost[1] - cost[0] <= 9 * second


def test_a_result_does_not_depend_on_the_decimal_context_of_its_caller():
    formula = compile_formula("a / b", who="energy")
    values = {"a": Decimal(2), "b": Decimal(3)}
    with localcontext() as context:
        context.prec = 3
        assert formula.evaluate(values) == Decimal("0.6666666666666666666666666667")


def test_a_result_has_at_most_28_digits_even_where_nothing_is_computed():
    assert value("a", a="1.00000000000000000000000000015") == Decimal("1.000000000000000000000000000")


def test_a_formula_survives_copying_and_pickling():
    formula = compile_formula("energy_kwh × 6", who="energy")
    for twin in (copy.deepcopy(formula), pickle.loads(pickle.dumps(formula))):
        assert twin == formula
        assert twin.who == "energy"
        assert twin.evaluate({"energy_kwh": Decimal(10)}) == 60


# A tree is a number, a name or (operation, parts...).  Three digits and three levels: products stay below 28 digits, so
# decimals are exact and must equal fractions.
NAMES = ("a", "b", "c")
NUMBERS = st.decimals(min_value=0, max_value=99, places=1)
DIVISORS = st.sampled_from(["2", "4", "5", "0.5", "8", "0"])
Tree = str | tuple  # type: ignore[type-arg]


def trees(depth: int) -> st.SearchStrategy[Tree]:
    leaf = st.one_of(NUMBERS.map(str), st.sampled_from(NAMES))
    if depth == 0:
        return leaf
    part = trees(depth - 1)
    return st.one_of(
        leaf,
        st.tuples(st.sampled_from(["+", "-", "*"]), part, part),
        st.tuples(st.just("/"), part, DIVISORS),
        st.tuples(st.sampled_from(["abs", "neg"]), part),
        st.lists(part, min_size=2, max_size=3).map(lambda parts: ("min", *parts)),
        st.lists(part, min_size=2, max_size=3).map(lambda parts: ("max", *parts)),
    )


def written(tree: Tree) -> str:
    if isinstance(tree, str):
        return tree
    operation, *parts = tree
    texts = [written(part) for part in parts]
    if operation in ("+", "-", "*", "/"):
        return f"({texts[0]} {operation} {texts[1]})"
    return f"-{texts[0]}" if operation == "neg" else f"{operation}({', '.join(texts)})"


OPERATIONS = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
    "abs": abs, "neg": operator.neg, "min": min, "max": max,
}  # fmt: skip


def oracle(tree: Tree, values: Mapping[str, Decimal]) -> Fraction:
    if isinstance(tree, str):
        return Fraction(values[tree] if tree in values else Decimal(tree))
    operation, *parts = tree
    return OPERATIONS[operation](*(oracle(part, values) for part in parts))


@given(trees(3), st.tuples(*(st.decimals(-99, 99, places=1) for _ in NAMES)))
def test_every_formula_gives_what_fractions_give(tree, numbers):
    values = dict(zip(NAMES, numbers, strict=True))
    try:
        expected = oracle(tree, values)
    except ZeroDivisionError:
        with pytest.raises(ContractError, match="divides by zero"):
            compile_formula(written(tree), who="energy").evaluate(values)
    else:
        assert Fraction(compile_formula(written(tree), who="energy").evaluate(values)) == expected


PIECES = st.sampled_from(
    [
        *"+-*/().,[]\"'",
        "a",
        "price",
        "min",
        "max",
        "abs",
        "1",
        "0.5",
        " ",
        "**",
        "//",
        "lambda",
        ":",
        "if",
        "\\",
        "\n",
        "×",
        "é",
    ]
)


@given(st.one_of(st.lists(PIECES, max_size=30).map("".join), st.text(max_size=40)))
def test_any_text_is_either_a_formula_or_refused(text):
    with suppress(ContractError):
        formula = compile_formula(text, who="energy")
        formula.evaluate(dict.fromkeys(formula.names, Decimal(1)))
