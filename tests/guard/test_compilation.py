"""Whether traces and compilations are counted by function, and only the user's functions are reported."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np
import pytest

from pytest_purestate._runtime import compilations
from pytest_purestate._runtime._compat import jit as _compat_jit
from pytest_purestate._runtime.compilations import Compilations
from pytest_purestate._runtime.counts import Counts
from pytest_purestate._runtime.guard.compilation import exceeded, user_functions


def shapes(count: int) -> list[Any]:
    return [np.ones(n + 1, np.float32) for n in range(count)]


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
    jax.monitoring.unregister_event_duration_listener(compilations._listener)
    step = jax.jit(lambda x: x - 7)
    with Compilations() as found:
        step(shapes(1)[0])
    assert found.traces == 1


def test_a_function_that_is_traced_too_often() -> None:
    @jax.jit
    def update(x: Any) -> Any:
        return x + 1

    with Compilations(explain=True) as found:
        for x in shapes(3):
            update(x)
    assert exceeded(found, 3) == ()
    whole, *changes = exceeded(found, 2)
    assert (whole.kind, whole.path) == ("retrace", "update")
    assert whole.message.startswith("was traced 3 times, and 2 are allowed, the last time for ")
    assert "test_compilation.py:" in whole.message
    assert [(each.kind, each.path, each.before, each.after) for each in changes] == [
        ("shape", "x", "float32[1]", "float32[2]"),
        ("shape", "x", "float32[2]", "float32[3]"),
    ]
    assert changes[1].message.startswith("the shape changed (trace 3 of `update`, ")


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
    assert exceeded(found, 1) == ()
    assert user_functions(found, Path.cwd()) == {}
    assert all(counts.library for counts in found.functions.values())


def test_one_letter_is_a_name() -> None:
    # `jax.random.f` and `jnp.e` are names too.
    @jax.jit
    def f(x: Any) -> Any:
        return x + 1

    with Compilations(explain=True) as found:
        for x in shapes(2):
            f(x)
            jax.vmap(f)(x)
            jax.grad(lambda x: f(x).sum())(x)
    assert {problem.path for problem in exceeded(found, 1)} == {"f", "x"}
    (name,) = user_functions(found, Path(__file__).parent)
    assert name.startswith("f at test_compilation.py:")


def test_lambdas_are_told_apart() -> None:
    with Compilations() as found:
        plus, minus = jax.jit(lambda x: x + 8), jax.jit(lambda x: x - 8)
        for x in shapes(2):
            plus(x)
        minus(x)
    assert sorted(counts.traces for counts in found.functions.values()) == [1, 2]
    assert [name.rpartition(":")[0] for name in found.functions] == [f"<lambda> ({__file__}"] * 2
    assert list(found.functions)[1].endswith(" #2")
    assert [problem.message[:18] for problem in exceeded(found, 1)] == ["was traced 2 times"]


def test_one_name_for_two_functions() -> None:
    def one() -> Any:
        def same(x: Any) -> Any:
            return x + 9

        return jax.jit(same)

    def other() -> Any:
        def same(x: Any) -> Any:
            return x - 9

        return jax.jit(same)

    with Compilations() as found:
        for step in (one(), other()):
            step(shapes(1)[0])
    assert exceeded(found, 1) == ()
    assert [counts.traces for counts in found.functions.values()] == [1, 1]


def test_a_function_made_anew_for_each_call() -> None:
    with Compilations(explain=True) as found:
        for _ in range(3):
            jax.jit(lambda x: x + 10)(shapes(1)[0])
    whole, *changes = exceeded(found, 1)
    assert (whole.path, whole.message[:18]) == ("<lambda>", "was traced 3 times")
    assert [change.kind for change in changes] == ["function", "function"]


def test_two_functions_of_one_factory_live_side_by_side() -> None:
    def factory(scale: float) -> Any:
        return jax.jit(lambda x: scale * x)

    with Compilations(explain=True) as found:
        steps = [factory(scale) for scale in (1.0, 2.0)]
        for step in steps:
            step(shapes(1)[0])
    assert exceeded(found, 1) == ()


def test_another_wrapper_of_a_known_function_is_no_trace() -> None:
    def scale(x: Any) -> Any:
        return 2 * x

    x = shapes(1)[0]
    with Compilations() as found:
        jax.jit(scale)(x)
        jax.jit(scale, donate_argnums=0)(x)
    (counts,) = (counts for counts in found.functions.values() if not counts.library)
    assert (counts.traces, counts.compiles) == (1, 2)


def test_traces_inside_of_a_trace_are_a_part_of_it() -> None:
    @jax.jit
    def inner(x: Any) -> Any:
        return x.sum()

    @jax.jit
    def outer(x: Any) -> Any:
        return inner(x) + inner(x[:1]) + inner(2 * x[:0])

    with Compilations(explain=True) as found:
        outer(np.ones(3, np.float32))
    assert found.traces == 1
    assert exceeded(found, 1) == ()


def test_a_limit_is_a_count() -> None:
    with Compilations() as found:
        jax.jit(lambda x: x - 11)(shapes(1)[0])
    assert exceeded(found, 1) == ()
    (problem,) = exceeded(found, 0)
    assert problem.message.startswith("was traced once, and none is allowed")
    with pytest.raises(ValueError, match="-1"):
        exceeded(found, -1)


def test_without_the_place_of_traces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where JAX has no place to watch from, its public events are what there is."""
    monkeypatch.setattr(_compat_jit, "watch_traces", lambda begun: None)

    @jax.jit
    def update(x: Any) -> Any:
        return x + 12

    with Compilations(explain=True) as found:
        for x in shapes(2):
            update(x)
            update(x)
    assert found.functions["update"].traces == 2
    assert [problem.kind for problem in exceeded(found, 1)] == ["retrace", "shape"]


def test_a_function_that_cannot_be_looked_at_still_runs() -> None:
    class Odd:
        def __call__(self, x: Any) -> Any:
            return x + 14

        @property
        def __wrapped__(self) -> Any:
            if sys._getframe(1).f_globals["__name__"].startswith("pytest_purestate"):
                raise RuntimeError("not for you")
            raise AttributeError("__wrapped__")

    step = jax.jit(Odd())
    with Compilations(explain=True) as found:
        assert float(step(1.0)) == 15
    assert found.compiles == 1


def test_a_listener_of_somebody_else_is_kept() -> None:
    from jax._src import util

    told: list[str] = []
    before = util.test_event_listener
    util.test_event_listener = lambda name, *details: told.append(name)
    try:
        own = util.test_event_listener
        with Compilations():
            jax.jit(lambda x: x - 13)(shapes(1)[0])
        assert util.test_event_listener is own
    finally:
        util.test_event_listener = before
    assert {"trace_to_jaxpr", "create_pjit_jaxpr"} & set(told)


def test_counts_add_up() -> None:
    both = Counts(1, 2, 0.5, True, "a.py:1") + Counts(2, 1, 0.25, False, "")
    assert both == Counts(3, 3, 0.75, False, "a.py:1")
    assert (Counts(library=True) + Counts(library=True, place="b.py:2")).library


@pytest.mark.parametrize(
    ("reported", "name"),
    [("jit(f)", "f"), ("jit_f", "f"), ("f", "f"), ("jit(<lambda>)", "<lambda>"), ("", "")],
)
def test_names_of_compilations(reported: str, name: str) -> None:
    assert compilations._plain(reported) == name
