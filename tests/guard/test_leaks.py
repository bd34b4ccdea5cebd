"""Whether leaked tracers are told of with function and line, and false alarms are not."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from pytest_purestate import PurityError
from pytest_purestate._runtime.guard.leaks import LeakCheck, SpuriousLeak

pytestmark = pytest.mark.slow

kept: list[Any] = []


class Model:
    stats: Any = None


@pytest.fixture(autouse=True)
def _nothing_kept() -> None:
    kept.clear()


@pytest.fixture(autouse=True)
def _no_tracing(request: pytest.FixtureRequest) -> Any:
    """Without the debugger or the tracing that these tests may be run under."""
    before = sys.gettrace()
    sys.settrace(None)
    yield
    sys.settrace(before)


def leak_of(function: Callable[..., Any]) -> PurityError:
    with pytest.raises(PurityError) as caught:
        with LeakCheck():
            function(jnp.ones(3))
    return caught.value


def line_of(function: Callable[..., Any]) -> str:
    code = function.__code__
    return f"{Path(code.co_filename).name}:{code.co_firstlineno}"


def test_function_line_and_holder_are_named() -> None:
    def step(x: Any) -> Any:
        kept.append(x)
        return x

    error = leak_of(jax.jit(step))
    assert error.headline.startswith("`")
    assert "step` (" in error.headline
    assert line_of(step) in error.headline
    (problem,) = error.problems
    assert problem.kind == "leak"
    assert "float32[3]" in problem.message
    assert "kept`" in problem.message
    assert "return the value" in str(error)


def test_an_attribute() -> None:
    model = Model()

    @jax.jit
    def step(x: Any) -> Any:
        model.stats = x * 2
        return x

    assert "`Model.stats`" in leak_of(step).problems[0].message


def test_a_closed_over_variable() -> None:
    found: list[Any] = []

    @jax.jit
    def step(x: Any) -> Any:
        found.append(x)
        return x

    assert "the variable `found`" in leak_of(step).problems[0].message


def test_only_what_is_kept_is_told() -> None:
    @jax.jit
    def step(x: Any) -> Any:
        y = jnp.sin(x) * 2 + 1
        kept.append(y)
        return y

    assert len(leak_of(step).problems) == 1


def test_vmap() -> None:
    def step(x: Any) -> Any:
        kept.append(x)
        return x

    error = leak_of(jax.vmap(step))
    assert "test_leaks.py:" in error.headline


def test_scan() -> None:
    def body(carry: Any, _: Any) -> Any:
        kept.append(carry)
        return carry, carry

    assert line_of(body) in leak_of(lambda x: jax.lax.scan(body, x, None, length=2)).headline


def test_a_cache_that_is_filled_inside_a_trace() -> None:
    @functools.lru_cache
    def table() -> Any:
        return jnp.ones(3) * 2

    assert leak_of(jax.jit(lambda x: x + table())).problems


def test_the_trace_of_the_call_is_kept() -> None:
    @jax.jit
    def step(x: Any) -> Any:
        kept.append(x)
        return x

    with pytest.raises(PurityError) as caught:
        with LeakCheck():
            step(jnp.ones(3))
    assert any(entry.name == "test_the_trace_of_the_call_is_kept" for entry in caught.traceback)


# Silence.


def test_pure_functions() -> None:
    @jax.jit
    def step(x: Any) -> Any:
        return jax.lax.cond(x[0] > 0, jnp.sin, jnp.cos, x)

    with LeakCheck() as check:
        step(jnp.ones(3))
        jax.grad(lambda x: step(x).sum())(jnp.ones(3))
        jax.vmap(step)(jnp.ones((2, 3)))
    assert check.skipped == ""


def test_without_the_check_nothing_is_said() -> None:
    @jax.jit
    def step(x: Any) -> Any:
        kept.append(x)
        return x

    step(jnp.ones(3))
    with LeakCheck():
        pass
    step(jnp.ones(4))


def test_other_errors_pass_through() -> None:
    with pytest.raises(ValueError, match="own"):
        with LeakCheck():
            raise ValueError("own")
    with pytest.raises(Exception, match=r"^own$"):
        with LeakCheck():
            raise Exception("own")


def test_a_tracer_that_only_a_kept_exception_holds() -> None:
    @jax.jit
    def step(x: Any) -> Any:
        try:
            raise ValueError
        except ValueError as error:
            kept.append(error)
        return x * 2

    with pytest.raises(SpuriousLeak, match=r"step.* only a frame"):
        with LeakCheck():
            step(jnp.ones(3))


def test_a_leak_beside_it_is_told() -> None:
    @jax.jit
    def step(x: Any) -> Any:
        y = x * 2
        try:
            raise ValueError
        except ValueError as error:
            kept.append(error)
        return helper(y)

    def helper(y: Any) -> Any:
        z = y + 1
        Model.stats = z
        del z
        return y

    try:
        assert len(leak_of(step).problems) == 1
    finally:
        Model.stats = None


def test_the_check_is_off_under_a_debugger() -> None:
    def trace(frame: FrameType, event: str, arg: Any) -> None:
        return None

    @jax.jit
    def step(x: Any) -> Any:
        kept.append(x)
        return x

    sys.settrace(trace)
    try:
        with LeakCheck() as check:
            step(jnp.ones(3))
    finally:
        sys.settrace(None)
    assert "debugger" in check.skipped
