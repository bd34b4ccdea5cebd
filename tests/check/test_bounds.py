"""Every input known to end libcst, or to keep it busy for ever, is refused; what is near is not."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import _pytest
import libcst
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_purestate._check import bounds
from pytest_purestate._check.bounds import problem
from pytest_purestate._check.engine import check_source

NESTED: dict[str, Callable[[int], str]] = {
    "parentheses": lambda n: "(" * n + "1" + ")" * n,
    "brackets": lambda n: "[" * n + "]" * n,
    "dicts": lambda n: "{1:" * n + "1" + "}" * n,
    "calls": lambda n: "f(" * n + ")" * n,
    "subscripts": lambda n: "a[" * n + "0" + "]" * n,
    "comprehensions": lambda n: "[" * n + "x" + " for x in y]" * n,
    "parenthesised lambdas": lambda n: "(lambda: " * n + "1" + ")" * n,
    "f-string code": lambda n: f"f'''{{{'(' * n}1{')' * n}}}'''",
    "nested f-strings": lambda n: "f'{" * n + "1" + "}'" * n,
    "format specifications": lambda n: "f'{x:" + "{x:" * n + "}" * n + "}'",
    "decorator": lambda n: "@" + "f(" * n + ")" * n + "\ndef g(): pass",
    "annotation": lambda n: "x: " + "a[" * n + "b" + "]" * n,
    "over many lines": lambda n: "x = " + "(\n" * n + "1" + "\n)" * n,
    "with comments between": lambda n: "x = " + "(  # )\n" * n + "1" + "\n)" * n,
    "with strings between": lambda n: "x = " + "(')' + " * n + "''" + ")" * n,
}

CHAINED: dict[str, Callable[[int], str]] = {
    "unary minus": lambda n: "-" * n + "1",
    "not": lambda n: "not " * n + "x",
    "invert": lambda n: "~" * n + "1",
    "attributes": lambda n: "a" + ".b" * n,
    "method calls": lambda n: "a" + ".b()" * n,
    "calls of calls": lambda n: "f" + "()" * n,
    "subscripts of subscripts": lambda n: "a" + "[0]" * n,
    "sum": lambda n: "1" + "+1" * n,
    "sum of strings with commas": lambda n: "'a,'" + " + 'a,'" * n,
    "sum over lines": lambda n: "(1" + "\n + 1" * n + ")",
    "sum over backslashes": lambda n: "x = 1" + " + \\\n  1" * n,
    "powers": lambda n: "2" + "**2" * n,
    "and": lambda n: "x" + " and x" * n,
    "and of comparisons": lambda n: "x == y" + " and x == y" * n,
    "comparisons": lambda n: "x" + " < x" * n,
    "conditional expressions": lambda n: "x" + " if x else x" * n,
    "lambdas": lambda n: "lambda: " * n + "1",
    "lambdas with parameters": lambda n: "lambda a, b: " * n + "1",
    "lambdas in defaults": lambda n: "lambda x=" * n + "1" + ": 1" * n,
    "strings side by side": lambda n: "(" + "'a' " * n + ")",
    "comprehension clauses": lambda n: "[x" + " for x, y in z" * n + "]",
    "pattern alternatives": lambda n: "match x:\n case " + "1|" * n + "1: pass",
    "imported name": lambda n: "import a" + ".b" * n,
    "in an f-string": lambda n: "f'{1" + "+1" * n + "}'",
    "in the middle of a file": lambda n: "def f():\n    return 1" + "+1" * n + "\n\nx = [1, 2]\n",
    "inside brackets": lambda n: "f(1, [2, (" + "-" * n + "1)])",
}

EXPONENTIAL: dict[str, Callable[[int], str]] = {
    "case sequence": lambda n: "match x:\n  case " + "[" * n + "]" * n + ": pass",
    "case class": lambda n: "match x:\n  case " + "A(" * n + ")" * n + ": pass",
    "case mapping": lambda n: "match x:\n  case " + "{1: " * n + "a" + "}" * n + ": pass",
    "case parentheses": lambda n: "match x:\n  case " + "(" * n + "1" + ")" * n + ": pass",
    "del tuple": lambda n: "del " + "(" * n + "a" + ",)" * n,
    "del after colon": lambda n: "if x: del " + "(" * n + "a" + ",)" * n,
}

FLAT = {
    "long list": "x = [" + "1, " * 20_000 + "]",
    "many statements": "x = 1; " * 20_000,
    "many lines": "x = f(a, b)\n" * 20_000,
    "long string": "x = '" + "(" * 100_000 + "'",
    "long docstring": '"""' + "((((([[[[{{{\n" * 5_000 + '"""',
    "long comment": "# " + "(" * 100_000 + "\nx = 1",
    "escaped quotes": "x = '" + "\\'(" * 1_000 + "'",
    "braces in an f-string": 'x = f"""' + "{{" * 2_000 + '"""',
    "dictionary of lambdas": "x = {" + "'a': lambda x, y: x + y, " * 1_000 + "}",
    "decorators": "@f\n" * 1_000 + "def g(): pass",
    "cases": "match x:\n" + "  case [1, (a, {'b': c})]: pass\n" * 1_000,
    "separate elifs": "if x: pass\nelif y: pass\nelse: pass\n" * 1_000,
    "many imports": "from a import b as c\n" * 2_000,
    "nested calls and lines": "x = f(g(h(1, 2), [3, {4: (5, 6)}]))\n" * 2_000,
    "names like keywords": "case = f(g(h(i(j(k(l(m(n(1)))))))), 2)\ndelete(" + "(" * 9 + "1" + ")" * 9 + ")",
}


@pytest.mark.parametrize("shape", NESTED)
def test_nesting(shape: str) -> None:
    inside, beyond = NESTED[shape](bounds.MAX_NESTING - 2), NESTED[shape](3_000)
    assert problem(inside.encode()) is None
    found = problem(beyond.encode())
    assert found is not None
    assert found.message == "more than 100 brackets inside each other"
    assert beyond.encode()[found.offset : found.offset + 1] in (b"(", b"[", b"{")


@pytest.mark.parametrize("shape", CHAINED)
def test_chains(shape: str) -> None:
    assert problem(CHAINED[shape](100).encode()) is None
    found = problem(CHAINED[shape](20_000).encode())
    assert found is not None
    assert found.message == "an expression of more than 3,000 tokens"


@pytest.mark.parametrize("shape", EXPONENTIAL)
def test_what_makes_the_parser_try_everything_again(shape: str) -> None:
    assert problem(EXPONENTIAL[shape](7).encode()) is None
    found = problem(EXPONENTIAL[shape](9).encode())
    assert found is not None
    assert found.message == "more than 8 brackets inside each other"


def test_elif() -> None:
    def chain(count: int) -> str:
        return "if x:\n    pass\n" + "elif x:\n    if y: pass\n    else: pass\n" * count

    assert problem(chain(500).encode()) is None
    found = problem(chain(501).encode())
    assert found is not None
    assert found.message == "more than 500 `elif` in one statement"
    assert problem(chain(2_000).replace("\n", "\r\n").encode()) is not None


def test_size() -> None:
    found = problem(b"#" * (bounds.MAX_BYTES + 1))
    assert found is not None
    assert found.message == "larger than 2 MB"


@pytest.mark.parametrize("shape", FLAT)
def test_long_and_flat_is_fine(shape: str) -> None:
    assert problem(FLAT[shape].encode()) is None


@pytest.mark.parametrize("shape", [*NESTED, *CHAINED, *EXPONENTIAL])
def test_what_is_just_inside_is_checked_to_its_end(shape: str) -> None:
    make = {**NESTED, **CHAINED, **EXPONENTIAL}[shape]
    inside, beyond = 1, 3_000
    while beyond - inside > 1:
        middle = (inside + beyond) // 2
        inside, beyond = (middle, beyond) if problem(make(middle).encode()) is None else (inside, middle)
    assert [f.code for f in check_source(f"import jax\n{make(inside)}\n")] in ([], ["PS001"])
    assert [f.code for f in check_source(f"import jax\n{make(beyond)}\n")] == ["PS004"]


def test_costs_far_less_than_parsing() -> None:
    files = sorted(Path(_pytest.__file__).parent.glob("*.py"))[:30]
    texts = [file.read_bytes() for file in files]

    def seconds(work: Callable[[bytes], object]) -> float:
        started = time.process_time()
        for text in texts:
            work(text)
        return time.process_time() - started

    assert min(seconds(problem) for _ in range(3)) < 0.05 * seconds(libcst.parse_module)


@given(st.text("ab (){}[]'\"\\#\n\r:,;f=elif case del", max_size=200))
def test_never_fails(text: str) -> None:
    assert problem(text.encode()) is None
