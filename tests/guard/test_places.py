"""Where something happens: whose code a frame runs, and which call of a test it is below."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from pytest_purestate import assert_deterministic
from pytest_purestate._runtime.guard.keys import KeyReuse, KeyWatch
from pytest_purestate._runtime.guard.places import Kind, Where


def draw_twice(key: jax.Array) -> None:
    jax.random.normal(key)
    jax.random.normal(key)


def watched(run: Callable[[], object], tests: Callable[[str], bool]) -> list[KeyReuse]:
    found: list[KeyReuse] = []
    watch = KeyWatch(Where(tests), found.append)
    assert watch.start()
    try:
        run()
    finally:
        watch.stop()
    assert watch.problem == ""
    return found


def without_tests(run: Callable[[], object]) -> list[KeyReuse]:
    """What is found where no test is on the stack: all is one call."""
    found: list[list[KeyReuse]] = []
    thread = threading.Thread(target=lambda: found.append(watched(run, lambda file: False)))
    thread.start()
    thread.join()
    return found[0]


def test_without_any_test_on_the_stack_all_is_one_call() -> None:
    key = jax.random.key(0)
    (reuse,) = without_tests(lambda: draw_twice(key))
    assert reuse.second.line == reuse.first.line + 1


def test_what_a_test_itself_does_is_a_replay() -> None:
    key = jax.random.key(0)
    assert watched(lambda: draw_twice(key), lambda file: file == __file__) == []


def test_an_assertion_of_ours_replays_for_the_test() -> None:
    key = jax.random.key(0)
    run = lambda: assert_deterministic(jax.jit(jax.random.normal), key)  # noqa: E731
    assert watched(run, lambda file: file == __file__) == []


class Sequence:
    """Keys one after the other."""

    def __init__(self, key: jax.Array) -> None:
        self.key = key

    def next(self) -> jax.Array:
        key: jax.Array
        self.key, key = jax.random.split(self.key)
        return key


def test_a_line_is_one_place_whether_it_runs_or_is_traced() -> None:
    def run() -> None:
        Sequence(jax.random.PRNGKey(0)).next()
        jax.lax.cond(
            jnp.array(True), lambda key: Sequence(key).next(), lambda key: key, jax.random.PRNGKey(0)
        )

    (reuse,) = without_tests(run)
    assert reuse.first == reuse.second
    assert reuse.first.function == "Sequence.next"


def test_a_function_inside_another_goes_by_its_own_name() -> None:
    def draw(key: jax.Array) -> jax.Array:
        return jax.random.normal(key)

    def run() -> None:
        draw(jax.random.key(0))
        jax.lax.cond(jnp.array(True), draw, draw, jax.random.key(0))

    (reuse,) = without_tests(run)
    assert reuse.first == reuse.second
    assert reuse.first.function == reuse.second.function == "draw"


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("/somewhere/site-packages/jax/_src/core.py", Kind.TOOL),
        ("/somewhere/site-packages/flax/linen/module.py", Kind.LIBRARY),
        ("/somewhere/site-packages/blackjax/mcmc/hmc.py", Kind.CODE),
        ("/somewhere/dist-packages/hypothesis/core.py", Kind.TOOL),
        ("/somewhere/site-packages/six.py", Kind.CODE),
        ("/home/me/project/model.py", Kind.CODE),
        ("/home/me/project/test_model.py", Kind.TEST),
        ("<string>", Kind.TOOL),
        (threading.__file__, Kind.TOOL),
        (KeyWatch.__init__.__code__.co_filename, Kind.TOOL),
        (assert_deterministic.__code__.co_filename, Kind.OURS),
    ],
)
def test_whose_code_a_file_holds(file: str, kind: Kind) -> None:
    assert Where(lambda file: Path(file).name.startswith("test_")).kind_of(file) is kind
