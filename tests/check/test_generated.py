"""Whatever a file holds, the checker ends, raises nothing, and points into the file.

The programs come from a grammar (``grammar.py``), from the standard library's own tests, and from what once
went wrong.
"""

from __future__ import annotations

import ast
import random
import sysconfig
import time
import warnings
from pathlib import Path

import pytest
from grammar import program
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_purestate._check import fixer
from pytest_purestate._check.engine import check_source
from pytest_purestate._check.model import Finding
from pytest_purestate._check.source import Source
from pytest_purestate.config import Config, Overrides

EVERYTHING = Config(Path.cwd(), min_confidence="low")
HEADER = "import jax\nimport jax.numpy as jnp\nfrom functools import partial\nfrom jax import lax\n\n"
LIBRARY_TESTS = Path(sysconfig.get_path("stdlib")) / "test"

# Each is a whole body of a module and of a function.
ENDLESS = {
    "a list in itself": "x = []\nx.append(x)\njax.random.normal(x)",
    "lists in each other": "x = []\ny = [x]\nx.append(y)\njax.random.normal(x)\nf(y)",
    "dicts in each other": "x = {}\ny = {'x': x}\nx['y'] = y\njax.random.normal(x)\nf(y, x)",
    "attributes in a ring": "x.a = y\ny.a = x\njax.random.normal(x)\nf(y, x)",
    "pairs of pairs": "x = (x, x)\n" * 60,
    "sums of tuples": "x = (1, 2)\n" + "x = x + x\n" * 60,
    "unpacked tuples": "x = (1, 2)\n" + "x = (*x, *x)\n" * 60 + "f(*x)",
    "lists of lists": "x = [x, x]\n" * 60 + "f(x)",
    "dicts of dicts": "x = {}\n" + "x = {**x, 'b': x}\n" * 60 + "jax.random.normal(x)",
    "walrus": "(x := (x, x))\n" * 60 + "f(x)",
    "zip of zip": "x = zip(x, x)\n" * 60 + "for a in x:\n    f(a)",
    "stacked keys": "x = jnp.stack(jax.random.split(x))\n" + "x = jnp.stack([x, x])\n" * 60 + "jax.random.normal(x)",
    "pairs that functions return": "def g(a):\n    return (a, a)\n" + "x = g(x)\n" * 60 + "f(x)",
    "closures that functions return": "def g(a):\n    return lambda x: a(a(x))\n" + "f = g(f)\n" * 60 + "f(x)",
    "partials of partials": "f = partial(f, f)\n" * 60 + "f(x)",
    "functions that call the next one twice": "".join(
        f"def f{n}(a):\n    return f{n + 1}(a), f{n + 1}(a)\n" for n in range(60)
    ),
    "functions that call all others": "".join(
        f"def f{n}(a):\n    return {', '.join(f'f{m}(a)' for m in range(20))}\n" for n in range(20)
    ),
    "a function that becomes itself": "def f(n):\n    return n\nif x:\n    def f(n):\n        return f(n - 1)\ny = f",
    "classes in a ring": "class A(B):\n    pass\nclass B(A):\n    pass\nA().f(x)",
    "loops in loops": "".join(f"{'    ' * n}for x{n} in y:\n" for n in range(18)) + "    " * 18 + "jax.random.normal(x)",
    "a long range": "for i in range(10**12):\n    f(i)\nfor k in jax.random.split(x, 10**9):\n    f(k)",
    "large numbers": "a = (1,) * 10**9\nb = 2**1_000_000_000\nc = 1 << 10_000_000_000",
    "a table": "x = [" + "[1, 2, 3], " * 3_000 + "]\nf(x)\nx.append(1)",
}  # fmt: skip


def check(text: str | Source) -> tuple[Source, list[Finding]]:
    """All findings, after asking whether they are about the text and whether their fixes leave it readable."""
    source = Source.from_text(text) if isinstance(text, str) else text
    findings = check_source(source, config=EVERYTHING, overrides=Overrides(select=("ALL",)))
    for finding in findings:
        assert finding.message
        spans = [finding.primary.span, *(label.span for label in finding.related)]
        spans += [edit.span for edit in finding.fix.edits] if finding.fix else []
        assert all(0 <= span.start <= span.end <= len(source.data) for span in spans), finding
    try:
        parse(source.text)
    except SyntaxError:
        return source, findings
    assert not [finding for finding in findings if finding.code in ("PS001", "PS004")]
    parse(fixer.apply(source, findings, unsafe=True).text)
    return source, findings


def parse(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ast.parse(text)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(st.data())
def test_a_generated_program(data: st.DataObject) -> None:
    check(program(lambda bound: data.draw(st.integers(0, bound - 1))))


def test_the_programs_are_what_is_looked_for() -> None:
    """Python reads the programs, and rules of several families find something in them."""
    codes: set[str] = set()
    for seed in range(120):
        text = program(random.Random(seed).randrange)
        parse(text)
        codes.update(finding.code for finding in check(text)[1])
    assert len(codes) > 5
    assert {"PS1", "PS3"} <= {code[:3] for code in codes}


@pytest.mark.parametrize("shape", ENDLESS)
def test_what_might_go_on_for_ever(shape: str) -> None:
    started = time.process_time()
    body = ENDLESS[shape]
    inside = "".join(f"    {line}\n" for line in body.splitlines())
    for text in (f"{HEADER}{body}\n", f"{HEADER}def main(x, y, f):\n{inside}    return x\n"):
        check(text)
    assert time.process_time() - started < 10


OWN_TESTS = sorted(path for path in LIBRARY_TESTS.glob("test_*.py") if 2_000 < path.stat().st_size < 20_000)


@pytest.mark.skipif(len(OWN_TESTS) < 25, reason="this Python came without its own tests, or with a few")
def test_the_tests_of_the_standard_library() -> None:
    """As many as a few seconds allow, the same ones every time."""
    for path in OWN_TESTS[:: len(OWN_TESTS) // 25]:
        check(Source.from_bytes(path.read_bytes(), path.name))


@pytest.mark.parametrize(
    ("statement", "fixed"),
    [
        ("x[0] = a", "x = x.at[0].set(a)"),
        ("x[0] = a, b", "x = x.at[0].set((a, b))"),
        ("x[0] = (a, b)", "x = x.at[0].set((a, b))"),
        ("x[0] *= a + b", "x = x.at[0].multiply(a + b)"),
        ("x[0] = yield a", "x = x.at[0].set((yield a))"),
        ("x[0] = (y := a)", "x = x.at[0].set((y := a))"),
        ("s.x *= a + b", "s = s.replace(x=s.x * (a + b))"),
        ("s.x **= -a", "s = s.replace(x=s.x ** -a)"),
        ("s.x = a, b", "s = s.replace(x=(a, b))"),
        ("s.x -= a if b else a", "s = s.replace(x=s.x - (a if b else a))"),
        ("jnp.zeros(3)[0] = a", "jnp.zeros(3)[0] = a"),
        ("(x + x)[0] = a", "(x + x)[0] = a"),
    ],
)
def test_a_fix_means_what_was_written(statement: str, fixed: str) -> None:
    text = (
        "import jax.numpy as jnp\nfrom flax import struct\n\n\n"
        "@struct.dataclass\nclass S:\n    x: int = 0\n\n\n"
        "def f(a, b, s: S):\n    x = jnp.zeros(3)\n    {}\n    return x, s\n"
    )
    source, findings = check(text.format(statement))
    found = [finding for finding in findings if finding.code in ("PS201", "PS203")]
    assert len(found) == 1
    assert fixer.apply(source, found, unsafe=True).text == text.format(fixed)


def test_what_the_parser_reads_and_the_tree_refuses() -> None:
    source, (finding,) = check("x = 1\ny = b'' 'mixed'\n")
    assert finding.code == "PS001"
    assert source.position(finding.primary.span.start)[0] == 2
