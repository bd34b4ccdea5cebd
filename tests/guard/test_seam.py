"""Whether what runs goes through the seam where it concerns somebody, past it otherwise, and as it would without it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random

from pytest_purestate._runtime._compat import seam
from pytest_purestate._runtime.guard.keys import KeyWatch
from pytest_purestate._runtime.guard.places import Where
from pytest_purestate._runtime.guard.terms import has_keys

newest_way = pytest.mark.skipif(
    jax.__version_info__ < (0, 9), reason="JAX has no function that decides about its fast path there"
)


class Calls(list[str]):
    """The names of what went through."""

    def __call__(self, primitive: Any, run: Any, /, *args: Any, **params: Any) -> Any:
        self.append(params.get("name") or primitive.name)
        return run(*args, **params)


@pytest.fixture
def calls() -> Iterator[Calls]:
    calls = Calls()
    undo = seam.replace_seam(calls, lambda jaxpr: None, concerned=has_keys)
    assert undo is not None
    yield calls
    undo()


def double(x: Any) -> Any:
    return 2 * x


def draw(key: Any, x: Any) -> Any:
    return x + random.normal(key)


@newest_way
def test_what_has_no_keys_goes_past(calls: Calls) -> None:
    f = jax.jit(double)
    assert [float(f(1.0)) for _ in range(3)] == [2.0, 2.0, 2.0]
    assert calls == []


@pytest.mark.parametrize("make", [random.key, random.PRNGKey])
def test_what_has_keys_goes_through_each_time(calls: Calls, make: Callable[[int], Any]) -> None:
    f, key = jax.jit(draw), make(0)
    calls.clear()
    results = [float(f(key, 1.0)) for _ in range(3)]
    assert calls == ["draw"] * 3
    assert len(set(results)) == 1


def test_eager_primitives_go_through(calls: Calls) -> None:
    x = jnp.ones(2)
    jax.lax.add(x, x)
    count = calls.count("add")
    jax.lax.add(x, x)
    assert calls.count("add") > count > 0


@newest_way
def test_a_second_watcher_sees_what_the_first_let_past(calls: Calls) -> None:
    f = jax.jit(double)
    f(1.0)
    other = Calls()
    undo = seam.replace_seam(other, lambda jaxpr: None, concerned=lambda jaxpr: True, alone=True)
    assert undo is not None
    try:
        f(np.ones(3, np.float32))
    finally:
        undo()
    assert "double" in other
    assert calls == []


def test_ahead_of_time_compiled(calls: Calls) -> None:
    key = random.key(0)
    with_key, without = jax.jit(draw).lower(key, 1.0).compile(), jax.jit(double).lower(1.0).compile()
    calls.clear()
    with_key(key, 1.0)
    without(1.0)
    with_key(key, 2.0)
    assert len(calls) == 2
    assert float(with_key(key, 1.0)) == pytest.approx(float(draw(key, 1.0)))
    assert float(without(1.0)) == 2.0


def test_ahead_of_time_compiled_gives_its_pytree(calls: Calls) -> None:
    f = jax.jit(lambda key, tree: {"drawn": random.normal(key), "tree": tree})
    key, tree = random.key(0), (jnp.ones(2), {"x": jnp.zeros(3)})
    found = f.lower(key, tree).compile()(key, tree)
    assert str(jax.tree.structure(found)) == str(jax.tree.structure({"drawn": 0, "tree": tree}))


def test_everything_is_as_it_was_afterwards() -> None:
    def state() -> list[Any]:
        from jax._src import core, pjit
        from jax.experimental.key_reuse import _core

        return [
            getattr(pjit, "_run_python_pjit", None),
            dict(core.pytype_aval_mappings),
            _core.call_impl_with_key_reuse_checks,
            _core.check_key_reuse_jaxpr,
            jax.stages.Traced.lower,
            jax.stages.Lowered.compile,
            jax.stages.Compiled.__call__,
            bool(jax.config.jax_debug_key_reuse),  # type: ignore[attr-defined]
        ]

    before = state()
    undo = seam.replace_seam(Calls(), lambda jaxpr: None, concerned=has_keys)
    assert undo is not None
    assert state() != before
    undo()
    assert state() == before


def test_who_asks_for_the_checker_of_jax_keeps_it() -> None:
    with jax.debug_key_reuse(True):
        assert seam.replace_seam(Calls(), lambda jaxpr: None) is None


def leaked(value: Any = 1.0) -> Any:
    kept: list[Any] = []
    jax.jit(lambda x: kept.append(x))(value)
    return kept[0]


def on_device(index: int) -> Any:
    return jax.device_put(jnp.ones(2), jax.devices()[index])


def checked_for_nans(function: Any, *args: Any) -> Any:
    with jax.debug_nans(True):
        return jax.jit(function)(*args)


WRONG: dict[str, Callable[[Any], Any]] = {
    "not an array": lambda key: jax.jit(draw)(key, object()),
    "a string": lambda key: jax.jit(draw)(key, "one"),
    "a leaked tracer": lambda key: jax.jit(draw)(key, leaked()),
    "a leaked key": lambda key: jax.jit(draw)(leaked(key), 1.0),
    "a leaked tracer for a primitive": lambda key: jax.lax.neg(leaked()),
    "a leaked key for a primitive": lambda key: random.normal(leaked(key)),
    "a leaked tracer and no key": lambda key: jax.jit(double)(leaked()),
    "not a number": lambda key: checked_for_nans(lambda key, x: draw(key, x / x), key, jnp.zeros(2)),
    "not a number and no key": lambda key: checked_for_nans(lambda x: x / x, jnp.zeros(2)),
    "two devices": lambda key: jax.jit(draw)(jax.device_put(key, jax.devices()[1]), on_device(0)),
    "too few arguments": lambda key: jax.jit(draw)(key),
    "another shape for a program": lambda key: jax.jit(draw).lower(key, 1.0).compile()(key, jnp.ones(3)),
    "too many arguments for a program": lambda key: jax.jit(draw).lower(key, 1.0).compile()(key, 1.0, 2.0),
    "an error inside": lambda key: jax.jit(lambda key, x: draw(key, x).missing)(key, 1.0),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_errors_are_those_of_jax(wrong: str) -> None:
    if wrong == "two devices" and len(jax.devices()) < 2:
        pytest.skip("one device")

    def error() -> tuple[type, str]:
        with pytest.raises(Exception) as caught:  # noqa: PT011
            WRONG[wrong](random.key(0))
        return caught.type, str(caught.value).splitlines()[0]

    before = error()
    undo = seam.replace_seam(Calls(), lambda jaxpr: None, concerned=has_keys)
    assert undo is not None
    try:
        assert error() == before
    finally:
        undo()


def test_an_escaped_key_is_no_mistake_of_the_guard() -> None:
    watch = KeyWatch(Where(lambda file: False), lambda reuse: None)
    assert watch.start()
    try:
        key = leaked(random.key(0))
        for use in (random.normal, random.split, jax.jit(random.normal), lambda key: random.fold_in(key, 1)):
            with pytest.raises(jax.errors.UnexpectedTracerError):
                use(key)
    finally:
        watch.stop()
    assert watch.problem == ""


def test_donated_arguments_are_donated(calls: Calls) -> None:
    f = jax.jit(draw, donate_argnums=1)
    for key in random.split(random.key(0), 3):
        x = jnp.ones(4)
        f(key, x)
        assert x.is_deleted()


def test_transforms_of_jitted_functions(calls: Calls) -> None:
    key, f = random.key(0), jax.jit(lambda key, x: (x * random.normal(key)).sum())
    x = jnp.ones(3)
    assert jnp.allclose(jax.grad(f, 1)(key, x), random.normal(key))
    mapped = jax.vmap(f, (0, None))(random.split(key, 2), x)
    assert mapped.shape == (2,)
    with jax.disable_jit():
        assert jnp.allclose(f(key, x), 3 * random.normal(key))


def test_a_key_is_asked_for_its_aval_under_each_setting(calls: Calls) -> None:
    key = random.key(0)
    kinds = {random.key(0, impl=impl).dtype: impl for impl in ("threefry2x32", "rbg")}
    assert {jax.typeof(random.key(1, impl=impl)).dtype for impl in kinds.values()} == set(kinds)
    assert jax.typeof(key).shape == ()
    assert jax.typeof(random.split(key, (2, 3))).shape == (2, 3)
    assert jax.typeof(key) == key.aval
