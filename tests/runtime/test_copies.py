"""Copies of arguments: the same in everything but identity, so that no call sees what another one did."""

import collections
import dataclasses
import enum
import itertools
import random
import threading
import types
from array import array
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from flax.core import freeze
from jax.experimental import sparse

from pytest_purestate._runtime.arrays import is_array
from pytest_purestate._runtime.copies import copy_value
from pytest_purestate._runtime.graph import iter_nodes, take_picture
from pytest_purestate._runtime.trees import diff


class Point(NamedTuple):
    x: Any
    y: Any


class Tagged(list):  # type: ignore[type-arg]
    """A container with an attribute of its own."""


class Pair(tuple):  # type: ignore[type-arg]
    """A tuple whose constructor takes something else than its items."""

    def __new__(cls, left: Any, right: Any) -> "Pair":
        return super().__new__(cls, (left, right))


@dataclasses.dataclass(frozen=True)
class Frozen:
    x: Any


@dataclasses.dataclass(slots=True)
class Slotted:
    x: Any


class Plain:
    def __init__(self) -> None:
        self.log = [1]


class Color(enum.Enum):
    RED = (1,)


def tagged(value: Any) -> Any:
    value.tag = [2]
    return value


COPIED: dict[str, Callable[[], Any]] = {
    "array": lambda: jnp.ones(2),
    "weak": lambda: jnp.asarray(1.0),
    "key": lambda: jax.random.key(0),
    "numpy": lambda: np.ones(2),
    "objects in numpy": lambda: np.array([[1], None], dtype=object),
    "dict": lambda: {"b": [1], "a": {2}},
    "default dict": lambda: collections.defaultdict(list, {"a": [1]}),
    "ordered dict": lambda: collections.OrderedDict(b=[1], a=[2]),
    "list with an attribute": lambda: tagged(Tagged([[1]])),
    "tuple": lambda: ([1], 2),
    "tuple with an attribute": lambda: tagged(Pair([1], 2)),
    "named tuple": lambda: Point([1], 2),
    "deque": lambda: collections.deque([1, 2], maxlen=2),
    "bytes": lambda: bytearray(b"ab"),
    "numbers": lambda: array("d", [1.0]),
    "frozen dataclass": lambda: Frozen([1]),
    "slots": lambda: Slotted([1]),
    "plain object": Plain,
    "namespace": lambda: types.SimpleNamespace(x=[1]),
    "view of a dict": lambda: types.MappingProxyType({"x": [1]}),
    "user dict": lambda: collections.UserDict({"x": [1]}),
    "frozen dict": lambda: freeze({"a": {"b": jnp.ones(1)}}),
    "bound arrays": lambda: jax.tree_util.Partial(jnp.add, jnp.ones(2)),  # type: ignore[no-untyped-call]
    "sparse array": lambda: sparse.BCOO.fromdense(jnp.eye(2)),
    "nnx": lambda: nnx.Linear(2, 2, rngs=nnx.Rngs(0)),
    "nnx generator": lambda: nnx.Rngs(0),
    "optimizer state": lambda: optax.adam(0.1).init({"w": jnp.ones(2)}),
    "count": lambda: itertools.count(3, 2),
    "random": lambda: random.Random(1),
    "numpy random": lambda: np.random.default_rng(1),
}


@pytest.mark.parametrize("make", COPIED.values(), ids=COPIED)
def test_copy_is_equal_and_shares_nothing_that_can_change(make: Callable[[], Any]) -> None:
    value = make()
    made = copy_value(value)
    assert type(made) is type(value)
    assert not diff(value, made)
    held = {
        id(node.value): path for path, node in iter_nodes(take_picture(value), "value") if may_change(node)
    }
    assert held, "nothing here can change, so nothing is shown"
    shared = [path for path, node in iter_nodes(take_picture(made), "copy") if id(node.value) in held]
    assert shared == []


def may_change(node: Any) -> bool:
    return node.mutable or is_array(node.value)


def test_generators_of_the_original_are_not_moved_on() -> None:
    original = random.Random(1), np.random.default_rng(1), itertools.count()
    one = copy_value(original)
    assert (one[0].random(), one[1].random(), next(one[2])) == (
        original[0].random(),
        original[1].random(),
        next(original[2]),
    )


@pytest.mark.parametrize(
    "value",
    [
        Color.RED,
        len,
        jax.jit(lambda x: x),
        nn.Dense(2),
        optax.sgd(0.1),
        Plain,
        threading.Lock(),
        jax.devices()[0],
        (1, "a", None),
        frozenset({1}),
        Frozen((1, 2)),
        object(),
        ValueError("a"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_data_stays_the_same_object(value: Any) -> None:
    assert copy_value({"x": value})["x"] is value


@pytest.mark.parametrize(
    "make",
    [
        lambda x: [x, x],
        lambda x: {"a": x, "b": (x,)},
        lambda x: [Frozen(x), x],
        lambda x: types.SimpleNamespace(one=x, other=[x]),
    ],
    ids=["list", "dict", "dataclass", "namespace"],
)
@pytest.mark.parametrize("shared", [[1], jnp.ones(1)], ids=["list", "array"])
def test_what_is_shared_stays_shared(make: Callable[[Any], Any], shared: Any) -> None:
    nodes = [
        node.value for _, node in iter_nodes(take_picture(copy_value(make(shared))), "") if may_change(node)
    ]
    assert sum(type(value) is type(shared) and not diff(value, shared) for value in nodes) == 1


def test_value_that_holds_itself_is_copied() -> None:
    loop: list[Any] = []
    loop.append({"me": (loop,)})
    made = copy_value(loop)
    assert made is not loop
    assert made[0]["me"][0] is made


def test_default_factory_and_length_limit_are_kept() -> None:
    made = copy_value([collections.defaultdict(list), collections.deque([1, 2], maxlen=2)])
    assert made[0]["new"] == []
    made[1].append(3)
    assert list(made[1]) == [2, 3]


@pytest.mark.skipif(not hasattr(jax, "new_ref"), reason="this JAX has no array references")
def test_array_reference_is_copied() -> None:
    ref = jax.new_ref(jnp.zeros(2))
    made = copy_value({"ref": ref})["ref"]
    made[0] = 1.0
    assert (ref[0], made[0]) == (0, 1)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"x": [(i for i in range(3))]}, "`args['x'][0]` is a generator"),
        (Frozen(zip([1], [2], strict=True)), "`args.x` is a zip"),
        (Point(1, map(str, [2])), "`args.y` is a map"),
        (([iter([1])],), "`args[0][0]` is a list_iterator"),
    ],
    ids=["generator", "zip", "map", "iterator"],
)
def test_what_can_be_read_only_once_is_refused(value: Any, message: str) -> None:
    with pytest.raises(TypeError) as caught:
        copy_value(value)
    assert str(caught.value) == f"{message}, which can be read only once; pass a list or an array"


def test_arrays_can_be_copied_another_way() -> None:
    places = []

    def zero(x: jax.Array, path: str) -> jax.Array:
        places.append(path)
        return jnp.zeros_like(x)

    made = copy_value({"a": (jnp.ones(1), Frozen(jnp.ones(1)))}, "state", zero)
    assert places == ["state['a'][0]", "state['a'][1].x"]
    assert (made["a"][0], made["a"][1].x) == (0, 0)
