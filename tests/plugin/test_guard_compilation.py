"""`pytest --purestate`: which functions are traced too often, for which argument, and where the time goes."""

from __future__ import annotations

import pytest
from outside import excerpt, outcomes, run, write

MARKED = """\
import jax
import jax.numpy as jnp
import pytest

pytestmark = pytest.mark.purestate(max_traces=1)


@jax.jit
def step(state, batch):
    return {"w": state["w"] + batch.mean(), "step": state["step"] + jnp.int32(1)}


def test_weak_counter():
    state = {"w": jnp.ones(3), "step": 0}
    for _ in range(3):
        state = step(state, jnp.ones(4))


def test_strong_counter():
    state = {"w": jnp.ones(2), "step": jnp.int32(0)}
    for _ in range(3):
        state = step(state, jnp.ones(4))


def test_made_anew():
    for _ in range(2):
        jax.jit(lambda x: x + 1)(1.0)


def test_two_of_one_name():
    one, other = jax.jit(lambda x: x + 1), jax.jit(lambda x: x - 1)
    assert one(1.0) - other(1.0) == 2


@pytest.mark.purestate(max_traces=2)
def test_two_are_allowed():
    for size in (5, 6):
        step({"w": jnp.ones(size), "step": 0}, jnp.ones(4))


@pytest.mark.purestate(leaks="error")
def test_no_caches_while_leaks_are_looked_for():
    for _ in range(2):
        step({"w": jnp.ones(7), "step": 0}, jnp.ones(4))
"""

SLOW = """\
import time

import jax
import pytest


@jax.jit
def slow(x):
    time.sleep(0.6)  # while it is traced
    return x + 1


@pytest.mark.parametrize("x", [1, 1.0])
def test_it(x):
    slow(x)
"""


def test_the_mark_names_the_argument(pytester: pytest.Pytester) -> None:
    write(pytester.path, {"test_it.py": MARKED})
    result = run(pytester, "--purestate", "-rA")
    assert outcomes(result) == {
        "FAILED test_it.py::test_weak_counter",
        "PASSED test_it.py::test_strong_counter",
        "FAILED test_it.py::test_made_anew",
        "PASSED test_it.py::test_two_of_one_name",
        "PASSED test_it.py::test_two_are_allowed",
        "PASSED test_it.py::test_no_caches_while_leaks_are_looked_for",
    }
    renewed = "is another function object, made anew and jitted again at test_it.py:27"
    assert excerpt(result, "__ test_made_anew __", "help: ")[1:] == [
        "functions are traced too often",
        "  <lambda>: was traced 2 times, and 1 is allowed, the last time for test_it.py:27",
        f"  <lambda>: {renewed} (trace 2 of `<lambda>`, test_it.py:27)",
    ]
    result.stdout.fnmatch_lines(["*help: call `jax.jit` once, where the function is defined*"])
    weak = excerpt(result, "__ test_weak_counter __", "help: ")[1:]
    assert weak == [
        "functions are traced too often",
        "  step: was traced 2 times, and 1 is allowed, the last time for test_it.py:16",
        "  state['step']: the weak type changed (trace 2 of `step`, test_it.py:16)",
        "    before: int32 weak",
        "    after:  int32 strong",
    ]


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["alone", "xdist"])
def test_the_summary_lists_functions(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    write(pytester.path, {"test_it.py": SLOW})
    result = run(pytester, "--purestate", *workers)
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "*-- purestate: slowest compilation by function --*",
            "* s slow at test_it.py:7 (2 traces, 2 compilations)",
        ]
    )
