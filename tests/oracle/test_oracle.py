"""Programs that use keys rightly and wrongly, judged by our checker and by JAX's own.

``rows/*.md`` has one section for one row of the collected expectations, ``samplers.py`` those that differ in
one call only. A function ``bad...`` must be reported, on the line that is marked or in the function
that a comment names; a function ``good...`` must not. The comment behind a ``def`` says where JAX's
verdict is another, and why. JAX looks at a function while it is traced, or, where the section says
"Eager.", while it runs.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import pytest
from samplers import CONTEXTS, PAIRED, SAMPLERS

from pytest_purestate._check.engine import check_source
from pytest_purestate.config import Config, Overrides

ROWS = Path(__file__).parent / "rows"
SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
MARK = re.compile(r"# error: \[(PS\d{3})\]$")
ELSEWHERE = re.compile(r"# the error is in `(\w+)`")
OTHERWISE = re.compile(r"JAX (raises|is silent|says either, by version): \S")

ARGUMENTS: dict[str, Callable[[], Any]] = {
    "key": lambda: jax.random.key(0),
    "raw": lambda: jax.random.key_data(jax.random.key(0)),
    "seed": lambda: 0,
}


@dataclass(frozen=True)
class Row:
    title: str
    text: str
    code: str

    def entries(self) -> Iterator[tuple[str, str, bool]]:
        """The functions to run, each with the comment behind its ``def`` and whether it is reported."""
        lines = self.code.splitlines()
        functions = [node for node in ast.parse(self.code).body if isinstance(node, ast.FunctionDef)]
        body = {node.name: lines[node.lineno - 1 : node.end_lineno] for node in functions}
        for name, (header, *rest) in body.items():
            if name.startswith(("good", "bad")):
                named = ELSEWHERE.search("\n".join((header, *rest)))
                reported = [line for line in (body[named[1]] if named else rest) if MARK.search(line)]
                yield name, header.partition("#")[2], bool(reported)


def rows() -> Iterator[Row]:
    for path in sorted(ROWS.glob("*.md")):
        _, *parts = SECTION.split(path.read_text(encoding="utf-8"))
        for title, text in zip(parts[::2], parts[1::2], strict=True):
            (code,) = BLOCK.findall(text)
            yield Row(f"{path.stem}: {title}", text, code)


ALL = list(rows())


def marks(code: str) -> list[tuple[int, str]]:
    return [
        (number, mark[1])
        for number, line in enumerate(code.splitlines(), start=1)
        if (mark := MARK.search(line))
    ]


def found(code: str, min_confidence: str = "medium") -> list[tuple[int, str]]:
    config = Config(Path.cwd(), min_confidence=min_confidence)
    findings = check_source(code, config=config, overrides=Overrides(select=("ALL",)))
    return sorted((code[: finding.primary.span.start].count("\n") + 1, finding.code) for finding in findings)


def raises(function: Callable[..., Any], arguments: list[Any], *, eager: bool = False) -> bool:
    """Whether JAX's own checker objects."""
    run = function if eager else jax.jit(function).trace
    if eager and jax.__version_info__ < (0, 7):
        jax.clear_caches()  # type: ignore[no-untyped-call]  # what was compiled before goes past the checker there
    try:
        with jax.debug_key_reuse(True):
            run(*arguments)
    except jax.errors.KeyReuseError:
        return True
    return False


@pytest.mark.parametrize("row", ALL, ids=lambda row: row.title)
def test_we_report_what_is_marked(row: Row) -> None:
    assert found(row.code, "low" if "Low confidence." in row.text else "medium") == marks(row.code)


@pytest.mark.parametrize("row", ALL, ids=lambda row: row.title)
def test_what_is_bad_is_marked(row: Row) -> None:
    verdicts = {name: reported for name, _, reported in row.entries()}
    assert verdicts
    assert verdicts == {name: name.startswith("bad") for name in verdicts}


@pytest.mark.parametrize("row", ALL, ids=lambda row: row.title)
def test_jax_agrees_or_the_row_says_why_not(row: Row) -> None:
    if "flax" in row.code:
        pytest.importorskip("flax")
    namespace: dict[str, Any] = {}
    exec(compile(row.code, row.title, "exec"), namespace)
    expected, actual = {}, {}
    for name, comment, reported in row.entries():
        function = namespace[name]
        code = function.__code__
        names = code.co_varnames[: code.co_argcount - len(function.__defaults__ or ())]
        verdict = raises(function, [ARGUMENTS[each]() for each in names], eager="Eager." in row.text)
        other = OTHERWISE.search(comment)
        actual[name] = verdict
        expected[name] = (
            reported if other is None else verdict if "version" in other[1] else other[1] == "raises"
        )
        assert other is None or "version" in other[1] or expected[name] != reported, "a comment for nothing"
    assert actual == expected


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_sampler_twice(sampler: str, context: str) -> None:
    call = f"jax.random.{sampler}({SAMPLERS[sampler].rstrip()})"
    code = (
        "import jax\nimport jax.numpy as jnp\n\n\n"
        "def twice(x, key):\n"
        f"    first = {call}\n"
        f"    second = {call}\n"
        "    return x, first, second\n\n\n"
        f"def bad(key):\n    return {CONTEXTS[context]}\n"
    )
    expected = "PS103" if sampler == "split" else "PS101"
    least = "low" if sampler in PAIRED else "medium"
    assert found(code, least) == [(7, expected)]
    once = code.replace(f"    second = {call}\n", "").replace(", second", "")
    assert found(once, least) == []
    if not hasattr(jax.random, sampler):
        return  # an older JAX had it
    for text, verdict in ((code, True), (once, False)):
        namespace: dict[str, Any] = {}
        exec(text, namespace)
        assert raises(namespace["bad"], [jax.random.key(0)]) is verdict


def test_enough_rows() -> None:
    verdicts = [name for row in ALL for name, _, _ in row.entries()]
    assert len({row.title for row in ALL}) == len(ALL) > 80
    assert sum(name.startswith("bad") for name in verdicts) > 80
    assert sum(name.startswith("good") for name in verdicts) > 60
