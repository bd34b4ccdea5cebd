"""Where something happens: whose code a frame runs, and which call of a test it is below."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import jax
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


def test_without_any_test_on_the_stack_all_is_one_call() -> None:
    key = jax.random.key(0)
    found: list[list[KeyReuse]] = []
    thread = threading.Thread(
        target=lambda: found.append(watched(lambda: draw_twice(key), lambda file: False))
    )
    thread.start()
    thread.join()
    ((reuse,),) = found
    assert reuse.second.line == reuse.first.line + 1


def test_what_a_test_itself_does_is_a_replay() -> None:
    key = jax.random.key(0)
    assert watched(lambda: draw_twice(key), lambda file: file == __file__) == []


def test_an_assertion_of_ours_replays_for_the_test() -> None:
    key = jax.random.key(0)
    run = lambda: assert_deterministic(jax.jit(jax.random.normal), key)  # noqa: E731
    assert watched(run, lambda file: file == __file__) == []


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
