"""What is alike: by content, by code and what that reads, and never by a hash that an edit does not change."""

import enum
import functools
import random
import threading
import types
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.core import freeze
from jax.sharding import PartitionSpec

from pytest_purestate._runtime.likeness import likeness

LIMIT = 3
TABLE = {"width": 3}
calls: list[int] = []
SPECS = PartitionSpec("a"), PartitionSpec("b")  # type: ignore[no-untyped-call]


class Color(enum.Enum):
    RED = 1
    BLUE = 2


class Plain:
    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class Methods:
    size = 3

    @property
    def width(self) -> int:
        return LIMIT

    @staticmethod
    def depth() -> int:
        return 2

    @classmethod
    def name(cls) -> str:
        return cls.__name__


def recursive(n: int) -> int:
    return n and recursive(n - 1) + LIMIT


def adder(n: Any) -> Callable[[Any], Any]:
    return lambda x: x + n


def table() -> int:
    return TABLE["width"]


def counting() -> None:
    calls.append(1)


def defaults(x: int = 1, *, y: int = 2) -> int:
    return x + y


LIKE: dict[str, Callable[[], Any]] = {
    "numbers": lambda: (1, 1.5, 2j, True, None, ..., b"x", range(3)),
    "nan": lambda: float("nan"),
    "containers": lambda: {"a": [1, (2, {3, 4})], "b": freeze({"c": 1})},
    "enum": lambda: Color.RED,
    "arrays": lambda: (np.arange(3), jnp.ones(2), np.float32(1)),
    "objects": lambda: (Plain(a=1, b=[2]), Slotted((1, 2))),
    "partial": lambda: functools.partial(adder, 3),
    "closure": lambda: adder(3),
    "closures": lambda: (adder(3), adder(4)),
    "library closure": lambda: nn.initializers.normal(0.02),
    "method": lambda: types.MethodType(adder(3), Plain(a=1)),
    "bound": lambda: Slotted(Methods()),
    "class": lambda: Methods,
    "recursive": lambda: recursive,
    "jitted": lambda: jax.nn.relu,
    "ufunc": lambda: (np.tanh, len, jnp.add),
    "module": lambda: (nn.Dense(3), nn.Sequential([nn.Dense(2), jax.nn.relu])),
    "values of jax": lambda: (
        jax.lax.Precision.HIGH,
        SPECS[0],
        jnp.dtype("float32"),
        jnp.float32,
        jax.devices()[0],
    ),
    "cycle": lambda: _cycle(),
}


def _cycle() -> Any:
    inner: list[Any] = [1]
    inner.append(inner)
    return inner


@pytest.mark.parametrize("name", LIKE)
def test_made_again_is_alike(name: str) -> None:
    one, other = likeness(LIKE[name]()), likeness(LIKE[name]())
    assert one is not None
    assert one == other
    assert hash(one) == hash(other)
    assert one not in [likeness(make()) for label, make in LIKE.items() if label != name]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (1, True),
        (0.0, -0.0),
        ([1], (1,)),
        ({"a": 1}, freeze({"a": 1})),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (Color.RED, Color.BLUE),
        (np.ones(2), np.ones(2, np.float32)),
        (np.ones(2), np.ones((1, 2))),
        (jnp.ones(2), np.ones(2, np.float32)),
        (jnp.asarray(1.0), jnp.ones(())),
        (adder(3), adder(4)),
        (adder([3]), adder([4])),
        (functools.partial(adder, 3), functools.partial(adder, n=3)),
        (Plain(a=1), Plain(a=2)),
        (Plain(a=1), types.SimpleNamespace(a=1)),
        (Slotted(1), Slotted(2)),
        (nn.Dense(3), nn.Dense(4)),
        (nn.Dense(3), nn.Dense(3, name="other")),
        SPECS,
        (lambda: 1, lambda: 2),
    ],
    ids=lambda pair: type(pair).__name__,
)
def test_what_differs_is_not_alike(one: Any, other: Any) -> None:
    assert likeness(one) != likeness(other)


@pytest.mark.parametrize(
    "value",
    [
        np.random.default_rng(0),
        random.Random(0),
        iter([1]),
        threading.Lock(),
        np.zeros(1 << 20),
        np.array([object()]),
        jax.random.key(0),
        [np.random.default_rng(0)],
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_told_is_not(value: Any) -> None:
    assert likeness(value) is None


def test_too_much_is_not_looked_at() -> None:
    assert likeness([[i] for i in range(30_000)]) is None
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert likeness(deep) is None


@pytest.mark.parametrize(
    ("value", "patch"),
    [
        (recursive, ("LIMIT", 4)),
        (table, ("TABLE", {"width": 4})),
        (Methods(), ("Methods.size", 4)),
        (Methods(), ("LIMIT", 4)),
        (Methods(), ("Methods.depth", staticmethod(lambda: 3))),
        (defaults, ("defaults.__defaults__", (3,))),
        (defaults, ("defaults.__kwdefaults__", {"y": 3})),
    ],
    ids=["global", "table", "class attribute", "property", "method", "default", "keyword"],
)
def test_what_code_reads_counts(value: Any, patch: tuple[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    before = likeness(value)
    with monkeypatch.context() as patched:
        patched.setattr(f"{__name__}.{patch[0]}", patch[1])
        assert likeness(value) != before
    assert likeness(value) == before


def test_edit_of_a_container_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    before = likeness(table)
    monkeypatch.setitem(TABLE, "width", 5)
    assert likeness(table) != before


def test_what_code_writes_itself_does_not_count() -> None:
    before = likeness(counting)
    assert before is not None
    counting()
    after = likeness(counting)
    assert after is not None
    assert after != before
    assert before.learn(after)
    known = likeness(counting)
    counting()
    assert likeness(counting) == known
    assert not before.learn(before)
