"""Where a function could keep state between two calls, and how its changes are named."""

import functools
import random
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pytest_purestate import Problem
from pytest_purestate._runtime.hidden import HiddenState, name_of

LARGE = np.zeros(1 << 18)  # 2 MiB: more than is copied
SMALL = np.zeros(2)
CONSTANT = 3


class Slotless:
    __slots__ = ()

    def __call__(self) -> int:
        return CONSTANT


class Counter:
    calls = 0

    def __call__(self) -> int:
        self.calls += 1
        return self.calls


def reads_large() -> Any:
    return LARGE.sum() + SMALL.sum()


def changes(function: Callable[..., Any], body: Callable[[], object]) -> list[tuple[str, str, str]]:
    hidden = HiddenState(function)
    body()
    found = hidden.changes()
    assert all(problem.kind == "hidden-state" for problem in found)
    return [(problem.path, problem.before, problem.after) for problem in found]


def test_nothing_happened() -> None:
    assert changes(reads_large, lambda: None) == []
    assert changes(Slotless(), lambda: None) == []
    assert changes(len, lambda: None) == []


def test_small_array_among_the_globals_is_copied() -> None:
    def body() -> None:
        SMALL[1] += 1

    assert changes(reads_large, body) == [(f"{__name__}.SMALL[1]", "0.0", "1.0")]
    SMALL[1] = 0


def test_large_array_counts_as_the_object_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    other = LARGE.copy()
    found = changes(reads_large, lambda: monkeypatch.setitem(globals(), "LARGE", other))
    assert [path for path, _, _ in found] == [f"{__name__}.LARGE"]

    def edit() -> None:
        LARGE[0] = 1

    assert changes(reads_large, edit) == [], "its content is not read, which would cost more than it tells"


def test_variable_of_a_closure_that_is_not_assigned_yet() -> None:
    def outer() -> list[tuple[str, str, str]]:
        def inner() -> int:
            return later

        found = changes(inner, lambda: None)
        later = 1
        return found + changes(inner, inner)

    assert outer() == []


def test_object_that_is_called() -> None:
    counter = Counter()
    assert changes(counter, counter) == [("self.calls", "", "1")]


def test_generators_of_the_host_are_read_and_not_used() -> None:
    state = random.getstate()
    assert changes(len, random.random) == [("random", "", "")]
    assert changes(len, np.random.rand) == [("numpy.random", "", "")]
    random.setstate(state)
    hidden = HiddenState(len)
    assert random.getstate() == state
    assert hidden.changes() == ()


def test_change_says_that_it_was_hidden() -> None:
    counter = Counter()
    counter()
    hidden = HiddenState(counter)
    counter()
    assert hidden.changes() == (Problem("hidden-state", "self.calls", "hidden state: was changed", "1", "2"),)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (reads_large, "reads_large"),
        (functools.partial(functools.partial(reads_large)), "reads_large"),
        (jax.jit(reads_large), "reads_large"),
        (Counter(), "Counter"),
        (Counter().__call__, "Counter.__call__"),
        (jnp.sin, "sin"),
        (len, "len"),
    ],
)
def test_name_is_what_people_call_it(function: Any, name: str) -> None:
    assert name_of(function) == name
