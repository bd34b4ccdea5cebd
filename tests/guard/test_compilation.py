"""Whether traces and compilations are counted by function, and only the user's functions are reported."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np
import pytest

from pytest_purestate._runtime.guard import compilation
from pytest_purestate._runtime.guard.compilation import Compilations, Counts, exceeded, slowest


def _reports_names() -> bool:
    with Compilations() as found:
        jax.jit(lambda x: x * 3)(np.float32(1))
    return "" not in found.functions


named = pytest.mark.skipif(not _reports_names(), reason="this JAX does not report names")


def shapes(count: int) -> list[Any]:
    return [np.ones(n + 1, np.float32) for n in range(count)]


@named
def test_traces_and_compilations_are_counted_by_function() -> None:
    @jax.jit
    def train_step(x: Any) -> Any:
        return x + 1

    @jax.jit
    def evaluate(x: Any) -> Any:
        return x * 2

    with Compilations() as found:
        for x in shapes(3):
            train_step(x)
            train_step(x)
        evaluate(shapes(1)[0])
    counts = found.functions["train_step"]
    assert (counts.traces, counts.compiles, counts.library) == (3, 3, False)
    assert counts.seconds > 0
    assert Path(counts.place.rpartition(":")[0]).name == "test_compilation.py"
    assert found.functions["evaluate"].traces == 1
    assert list(found.functions) == ["train_step", "evaluate"]


def test_totals() -> None:
    step = jax.jit(lambda x: x - 1)
    with Compilations() as found:
        for x in shapes(2):
            step(x)
    assert (found.traces, found.compiles) == (2, 2)
    assert found.seconds == pytest.approx(sum(counts.seconds for counts in found.functions.values()))
    assert found.total.traces == 2


def test_a_cached_call_counts_nothing() -> None:
    step = jax.jit(lambda x: x - 2)
    x = shapes(1)[0]
    step(x)
    with Compilations() as found:
        step(x)
    assert found.total == Counts()
    assert found.functions == {}


def test_blocks_are_nested_and_end() -> None:
    step = jax.jit(lambda x: x - 3)
    one, two, three, four = shapes(4)
    with Compilations() as outer:
        step(one)
        with Compilations() as inner:
            step(two)
        step(three)
    step(four)
    assert (inner.traces, outer.traces) == (1, 3)


def test_a_block_that_raises_ends() -> None:
    step = jax.jit(lambda x: x - 4)
    found = Compilations()
    with pytest.raises(ValueError, match="own"):
        with found:
            raise ValueError("own")
    step(shapes(1)[0])
    assert found.traces == 0


def test_other_threads_count() -> None:
    step = jax.jit(lambda x: x - 5)
    with Compilations() as found:
        thread = threading.Thread(target=lambda: step(shapes(1)[0]))
        thread.start()
        thread.join()
    assert found.traces == 1


def test_the_listener_is_registered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        with Compilations():
            pass
    step = jax.jit(lambda x: x - 6)
    with Compilations() as found:
        step(shapes(1)[0])
    assert found.traces == 1


@pytest.mark.skipif(
    not hasattr(jax.monitoring, "unregister_event_duration_listener"),
    reason="this JAX cannot remove listeners",
)
def test_a_listener_that_was_removed_comes_back() -> None:
    with Compilations():
        pass
    jax.monitoring.unregister_event_duration_listener(compilation._listener)
    step = jax.jit(lambda x: x - 7)
    with Compilations() as found:
        step(shapes(1)[0])
    assert found.traces == 1


@named
def test_a_function_that_is_traced_too_often() -> None:
    @jax.jit
    def update(x: Any) -> Any:
        return x + 1

    with Compilations() as found:
        for x in shapes(3):
            update(x)
    assert exceeded(found.functions, 3) == ()
    (problem,) = exceeded(found.functions, 2)
    assert (problem.kind, problem.path) == ("retrace", "update")
    assert problem.message.startswith("was traced 3 times, and 2 are allowed, the last time for ")
    assert "test_compilation.py:" in problem.message


@named
def test_functions_of_jax_are_not_reported() -> None:
    with Compilations() as found:
        for n in range(1, 5):
            x = jnp.ones(n)
            y = jnp.where(x > 0, x, 2.0) @ x + jnp.clip(x, 0, 1).sum()
            jax.nn.softmax(x), jnp.linalg.norm(x), jnp.sort(x), jax.lax.add(x, y)
            jax.random.normal(jax.random.key(0), (n,))
            jax.random.split(jax.random.key(0), n)
            jax.grad(lambda x: jnp.sin(x).sum())(x)
            jax.lax.scan(lambda c, _: (c + 1, c), x, None, length=n)
    assert found.traces > 20
    assert exceeded(found.functions, 1) == ()
    assert all(counts.library for counts in found.functions.values())


@named
def test_one_letter_is_a_name() -> None:
    # `jax.random.f` and `jnp.e` are names too.
    @jax.jit
    def f(x: Any) -> Any:
        return x + 1

    with Compilations() as found:
        for x in shapes(2):
            f(x)
            jax.vmap(f)(x)
            jax.grad(lambda x: f(x).sum())(x)
    assert [problem.path for problem in exceeded(found.functions, 1)] == ["f"]


@named
def test_lambdas_have_no_name() -> None:
    with Compilations() as found:
        for x in shapes(3):
            jax.jit(lambda x: x + 8)(x)
    assert exceeded(found.functions, 1) == ()


def test_a_limit_is_a_count() -> None:
    assert exceeded({"f": Counts(1)}, 1) == ()
    (problem,) = exceeded({"f": Counts(2)}, 1)
    assert problem.message == "was traced 2 times, and 1 is allowed"
    with pytest.raises(ValueError, match="-1"):
        exceeded({}, -1)


def test_slowest() -> None:
    records = {"a": Counts(seconds=1.0), "b": Counts(seconds=3.0), "c": Counts(), "d": Counts(seconds=2.0)}
    assert [name for name, _ in slowest(records, 2)] == ["b", "d"]
    assert [name for name, _ in slowest(records, 9)] == ["b", "d", "a"]


def test_counts_add_up() -> None:
    both = Counts(1, 2, 0.5, True, "a.py:1") + Counts(2, 1, 0.25, False, "")
    assert both == Counts(3, 3, 0.75, False, "a.py:1")
    assert (Counts(library=True) + Counts(library=True, place="b.py:2")).library


@pytest.mark.parametrize(
    ("reported", "name"),
    [("jit(f)", "f"), ("jit_f", "f"), ("f", "f"), ("jit(<lambda>)", "<lambda>"), ("", "")],
)
def test_names_of_compilations(reported: str, name: str) -> None:
    assert compilation._plain(reported) == name
