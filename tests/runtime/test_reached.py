"""What the code of a function reaches by name, wherever it is defined."""

import functools
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import jax
import pytest

from pytest_purestate._runtime.hidden import HiddenState

LIBRARY = """
import jax

CALLS = [0]
SETTINGS = {"scale": 2}
OTHER = 5

def step(x):
    CALLS[0] += 1
    return x * SETTINGS["scale"]

jitted = jax.jit(step)

class Model:
    calls = 0
    shared = []

    def __call__(self, x):
        return self._inner(x)

    def _inner(self, x):
        type(self).calls += 1
        self.shared.append(x)
        return step(x)

    @property
    def scaled(self):
        return SETTINGS

def build(x):
    return Model()(x)
"""


@pytest.fixture
def library() -> Iterator[Any]:
    module = types.ModuleType("some_library")
    sys.modules[module.__name__] = module
    exec(LIBRARY, vars(module))
    yield module
    del sys.modules[module.__name__]


def changed(function: Callable[..., Any], body: Callable[[], object]) -> list[str]:
    hidden = HiddenState(function)
    body()
    return [problem.path for problem in hidden.changes()]


def test_function_of_another_module(library: Any) -> None:
    step = library.step
    assert changed(lambda x: library.step(x), lambda: step(1)) == ["some_library.CALLS[0]"]
    assert changed(lambda x: step(x), lambda: step(1)) == ["some_library.CALLS[0]"]
    assert changed(library.step, lambda: step(1)) == ["some_library.CALLS[0]"]


def test_function_behind_a_wrapper(library: Any) -> None:
    bound = functools.partial(library.jitted)
    vars(library)["bound"] = bound
    for function in (library.jitted, bound, lambda x: library.jitted(x), lambda x: library.bound(x)):
        assert changed(function, lambda: library.step(1)) == ["some_library.CALLS[0]"]


def test_name_in_a_module_counts_where_it_is_named(library: Any) -> None:
    def reads() -> Any:
        return library.OTHER

    def body() -> None:
        library.OTHER += 1
        library.SETTINGS["scale"] = 3

    assert changed(reads, body) == ["some_library.OTHER"]


def test_methods_and_variables_of_the_class(library: Any) -> None:
    model = library.Model()
    places = ["Model.calls", "Model.shared[0]", "some_library.CALLS[0]"]
    assert sorted(changed(model, lambda: model(1))) == places
    assert "some_library.CALLS[0]" in changed(library.build, lambda: library.build(1))
    assert changed(model._inner, lambda: library.SETTINGS.update(scale=4)) == [
        "some_library.SETTINGS['scale']"
    ]


def test_libraries_are_not_followed() -> None:
    def uses() -> Any:
        return jax.tree.map(jax.random.key, [0]), pytest.approx(1)

    hidden = HiddenState(uses)
    uses()
    assert hidden.changes() == ()
    assert [name for name in hidden._places if not name.startswith(uses.__qualname__)] == ["uses"]


def test_functions_that_call_each_other_come_to_an_end() -> None:
    assert changed(even, lambda: even(4)) == []


def even(n: int) -> bool:
    return n == 0 or odd(n - 1)


def odd(n: int) -> bool:
    return n != 0 and even(n - 1)
