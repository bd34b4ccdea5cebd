import argparse
import array
import collections
import dataclasses
import enum
import functools
import itertools
import random
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from flax.core import freeze
from flax.training.train_state import TrainState

from pytest_purestate import PurityError, assert_immutable, make_train_state
from pytest_purestate._runtime.frozen import frozen


class Pair(NamedTuple):
    left: Any
    right: Any


@flax.struct.dataclass
class Carry:
    params: Any
    config: Any = flax.struct.field(pytree_node=False, default=None)  # type: ignore[no-untyped-call]


@dataclasses.dataclass
class Loose:
    x: Any = 1


@dataclasses.dataclass(frozen=True, slots=True)
class Tight:
    x: Any = 1


class Plain:
    def __init__(self) -> None:
        self.x = 1


class Slotted:
    __slots__ = ("x",)


class Guarded:
    """Refuses to be edited in its own way, as pydantic and attrs do."""

    def __init__(self, x: Any) -> None:
        self.__dict__["x"] = x

    def __setattr__(self, name: str, value: Any) -> None:
        raise ValueError("frozen")


class Sealed:
    """Decides by its own state whether it can be edited."""

    def __init__(self, sealed: bool) -> None:
        object.__setattr__(self, "sealed", sealed)

    def __setattr__(self, name: str, value: Any) -> None:
        if self.__dict__["sealed"]:
            raise AttributeError(name)
        object.__setattr__(self, name, value)


class Block(eqx.Module):
    weight: jax.Array
    parts: Any = ()
    config: Any = eqx.field(static=True, default=None)


class Net(nnx.Module):
    def __init__(self) -> None:
        self.linear = nnx.Linear(2, 2, rngs=nnx.Rngs(0))

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.linear(x)


class Color(enum.Enum):
    RED = 1


class Counted(dict):  # type: ignore[type-arg]
    pass


def read_only(x: np.ndarray) -> np.ndarray:
    x.flags.writeable = False
    return x


def params() -> Any:
    return nn.Dense(2).init(jax.random.key(0), jnp.ones((1, 3)))["params"]


def places(value: Any) -> list[tuple[str, str, str]]:
    with pytest.raises(PurityError) as caught:
        assert_immutable(value)
    assert {problem.kind for problem in caught.value.problems} == {"editable"}
    assert {problem.after for problem in caught.value.problems} == {""}
    return [(problem.path, problem.message, problem.before) for problem in caught.value.problems]


def test_ordinary_params() -> None:
    state = TrainState.create(apply_fn=nn.Dense(2).apply, params=params(), tx=optax.sgd(0.1))  # type: ignore[no-untyped-call]
    with pytest.raises(PurityError) as caught:
        assert_immutable(state)
    assert str(caught.value) == (
        "`state` can be edited in place: 1 dict\n"
        "  state.params: is a plain dict\n"
        "    holds: 2 entries\n"
        "  help: `flax.core.freeze(state.params)` gives a FrozenDict, which is another treedef: freeze before `tx.init`, "
        "and gradients will come frozen as well (`jax.tree.map` over a dict and a FrozenDict raises)"
    )


def test_what_the_help_says_is_so() -> None:
    tx = optax.adam(1e-3)
    state = TrainState.create(apply_fn=nn.Dense(2).apply, params=freeze(params()), tx=tx)  # type: ignore[no-untyped-call]
    assert_immutable(state)

    @jax.jit
    def step(state: Any, x: jax.Array) -> Any:
        grads = jax.grad(lambda p: state.apply_fn({"params": p}, x).sum())(state.params)
        return state.apply_gradients(grads=grads)

    after = step(state, jnp.ones((1, 3)))
    assert_immutable(after)
    with pytest.raises(ValueError, match="FrozenDict"):
        jax.tree.map(jnp.add, params(), after.params)
    host = {"x": np.ones(2)}
    assert_immutable((jnp.asarray(host["x"]), read_only(host["x"].copy())))


EDITABLE: list[tuple[str, Callable[[], Any], list[tuple[str, str, str]]]] = [
    (
        "dict",
        lambda: {"a": {}},
        [("value", "is a plain dict", "1 entry"), ("value['a']", "is a plain dict", "0 entries")],
    ),
    ("subclass", lambda: Counted(a=1), [("value", "is a Counted, whose entries can be set", "1 entry")]),
    (
        "ordered",
        collections.OrderedDict,
        [("value", "is a OrderedDict, whose entries can be set", "0 entries")],
    ),
    (
        "user dict",
        collections.UserDict,
        [
            ("value", "is a UserDict, whose entries can be set", "0 entries"),
            ("value.data", "is a plain dict", "0 entries"),
        ],
    ),
    ("list", lambda: ([1],), [("value[0]", "is a plain list", "1 entry")]),
    ("deque", lambda: collections.deque([1]), [("value", "is a deque, whose items can be set", "1 entry")]),
    ("set", lambda: {1}, [("value", "is a plain set", "1 entry")]),
    ("bytes", lambda: bytearray(b"ab"), [("value", "is a bytearray, whose bytes can be set", "2 entries")]),
    ("array", lambda: array.array("b", [1]), [("value", "is a array, whose bytes can be set", "1 entry")]),
    (
        "view of bytes",
        lambda: memoryview(bytearray(b"a")),
        [("value", "is a memoryview, whose bytes can be set", "1 entry")],
    ),
    (
        "numpy",
        lambda: np.ones((2, 3)),
        [("value", "is a numpy array that can be written to", "float64[2,3]")],
    ),
    (
        "view",
        lambda: np.broadcast_to(np.ones(1), (2,)),
        [("value", "is a read-only view of a numpy array that can be written to", "float64[2]")],
    ),
    (
        "objects in numpy",
        lambda: read_only(np.array([[1], None], object)),
        [("value[0]", "is a plain list", "1 entry")],
    ),
    ("dataclass", Loose, [("value", "is of the dataclass Loose, which is not frozen", "1 attribute")]),
    ("frozen outside", lambda: Tight([1]), [("value.x", "is a plain list", "1 entry")]),
    ("object", Plain, [("value", "is an object of Plain, whose attributes can be set", "1 attribute")]),
    ("slots", Slotted, [("value", "is an object of Slotted, whose attributes can be set", "")]),
    (
        "namespace",
        lambda: types.SimpleNamespace(a=1),
        [("value", "is an object of SimpleNamespace, whose attributes can be set", "1 attribute")],
    ),
    (
        "arguments",
        lambda: argparse.Namespace(a=1),
        [("value", "is an object of Namespace, whose attributes can be set", "1 attribute")],
    ),
    ("guarded", lambda: Guarded([1]), [("value.x", "is a plain list", "1 entry")]),
    (
        "not sealed yet",
        lambda: Sealed(False),
        [("value", "is an object of Sealed, whose attributes can be set", "1 attribute")],
    ),
    ("named tuple", lambda: Pair({}, ()), [("value.left", "is a plain dict", "0 entries")]),
    ("proxy", lambda: types.MappingProxyType({"a": [1]}), [("value['a']", "is a plain list", "1 entry")]),
    ("frozen dict", lambda: freeze({"a": [1]}), [("value['a']", "is a plain list", "1 entry")]),
    (
        "static field",
        lambda: Carry((), config={"a": Loose()}),
        [
            ("value.config", "is a plain dict", "1 entry"),
            ("value.config['a']", "is of the dataclass Loose, which is not frozen", "1 attribute"),
        ],
    ),
    (
        "equinox",
        lambda: Block(jnp.ones(2), parts=[1], config={}),
        [("value.parts", "is a plain list", "1 entry"), ("value.config", "is a plain dict", "0 entries")],
    ),
    ("linen", lambda: nn.Sequential([nn.relu]), [("value.layers", "is a plain list", "1 entry")]),
    (
        "partial of JAX",
        lambda: jax.tree_util.Partial(max, [1], key={}),  # type: ignore[no-untyped-call]
        [
            ("value.args[0]", "is a plain list", "1 entry"),
            ("value.keywords['key']", "is a plain dict", "0 entries"),
        ],
    ),
    (
        "random",
        lambda: random.Random(0),
        [("value", "is a generator of random numbers, which every draw changes", "")],
    ),
    (
        "numpy random",
        lambda: np.random.default_rng(0),
        [("value", "is a generator of random numbers, which every draw changes", "")],
    ),
    ("iterator", lambda: iter([1]), [("value", "is a list_iterator, which changes when it is read", "")]),
    ("counter", itertools.count, [("value", "is a count, which changes when it is read", "")]),
    (
        "optimizer state",
        lambda: optax.adam(1e-3).init(params()),
        [("value[0].mu", "is a plain dict", "2 entries"), ("value[0].nu", "is a plain dict", "2 entries")],
    ),
]


@pytest.mark.parametrize(
    ("make", "expected"), [case[1:] for case in EDITABLE], ids=[case[0] for case in EDITABLE]
)
def test_what_can_be_edited_is_listed(make: Callable[[], Any], expected: list[tuple[str, str, str]]) -> None:
    value = make()
    assert places(value) == expected


@pytest.mark.parametrize(
    "make",
    [
        lambda: 1,
        lambda: (True, 1.5, 1j, "a", b"a", None, ..., slice(1), range(3), Color.RED, frozenset([1])),
        lambda: (np.float32(1), jnp.float32, np.dtype("int8"), Path("a"), jax.devices()[0], memoryview(b"a")),
        lambda: jax.sharding.SingleDeviceSharding(jax.devices()[0]),
        lambda: (jnp.ones(2), jax.random.key(0), np.asarray(jnp.ones(2)), read_only(np.ones(2))),
        lambda: freeze({"a": {"b": (1, 2)}}),
        lambda: Pair(Tight(), Carry(())),
        lambda: (Guarded(1), Sealed(True)),
        lambda: Carry((), config=(nn.relu, Plain, functools.partial(max, [1]))),
        lambda: Block(jnp.ones(2)),
        lambda: eqx.nn.Sequential([eqx.nn.Lambda(jax.nn.relu), eqx.nn.Dropout(0.5)]),
        lambda: nn.Dense(2),
        lambda: optax.adam(1e-3),
        lambda: optax.adam(1e-3).init(freeze(params())),
        lambda: nnx.split(Net())[0],
        lambda: freeze(nnx.to_pure_dict(nnx.state(Net()))),
        lambda: jax.tree_util.Partial(max, (1,)),  # type: ignore[no-untyped-call]
        lambda: jax.ShapeDtypeStruct((2,), jnp.float32),  # type: ignore[no-untyped-call]
    ],
)
def test_what_cannot_be_edited_passes(make: Callable[[], Any]) -> None:
    assert_immutable(make())


@pytest.mark.parametrize(
    "make",
    [
        lambda: make_train_state(nn.Dense(2), jnp.ones((1, 3)), rngs=jax.random.key(0), tx=optax.adam(1e-3)),
        lambda: make_train_state(Net(), jnp.ones((1, 2)), tx=optax.adamw(1e-3)),
        lambda: make_train_state(
            params(), apply_fn=nn.Dense(2).apply, tx=optax.MultiSteps(optax.adam(1e-3), 2)
        ),
        lambda: make_train_state(
            params(), apply_fn=lambda p, x: x, tx=optax.chain(optax.clip(1.0), optax.sgd(0.1))
        ),
    ],
    ids=["linen", "nnx", "multi-steps", "function"],
)
def test_states_under_purestate_freeze_pass(make: Callable[[], Any]) -> None:
    state = make()
    assert {message for _, message, _ in places(state)} == {"is a plain dict"}
    assert_immutable(frozen(state))


def test_nnx_objects_are_listed_with_their_variables() -> None:
    model = Net()
    found = [
        ("value", "is an object of nnx, which holds its state inside"),
        ("value.linear", "is an object of nnx, which holds its state inside"),
        ("value.linear.kernel", "is a variable of nnx, whose value can be set"),
        ("value.linear.bias", "is a variable of nnx, whose value can be set"),
    ]
    assert [place[:2] for place in places(model)] == found
    with pytest.raises(PurityError, match=r"^`model` can be edited in place: 4 objects of nnx\n") as caught:
        assert_immutable(model)
    assert "`flax.core.freeze(nnx.to_pure_dict(nnx.state(model)))` and the `nnx.GraphDef`" in str(
        caught.value
    )
    state = nnx.state(model)
    assert places(state)[0] == ("value", "is a State of nnx, whose entries can be set", "1 entry")
    assert places(state)[-1][2] in ("float32[2]", "float32[2,2]")


@pytest.mark.skipif(not hasattr(jax, "new_ref"), reason="this JAX has no array references")
def test_array_reference() -> None:
    assert [place[1] for place in places(jax.new_ref(jnp.ones(2)))] == [
        "is an array reference, which is there to be written to"
    ]


def test_each_sort_has_its_remedy() -> None:
    config = (jnp.ones(1), [np.ones(2)], {"a": {1}}, Loose(), bytearray(), np.random.default_rng(0), iter(()))
    with pytest.raises(PurityError) as caught:
        assert_immutable(config)
    text = str(caught.value)
    assert text.startswith(
        "`config` can be edited in place: 1 dict, 1 list, 1 set, 1 buffer, 1 numpy array, 1 generator, 1 iterator, 1 object\n"
    )
    for remedy in [
        "`tuple(config[1])` in place of a list",
        "`jnp.asarray(config[1][0])` in place of a numpy array, or a copy of its own with `config[1][0].flags.writeable = False`",
        "`flax.core.freeze(config[2])`",
        "`frozenset(config[2]['a'])` in place of a set",
        "a class declared `@flax.struct.dataclass`, or `@dataclasses.dataclass(frozen=True)`",
        "`bytes(config[4])` in place of a buffer",
        "a JAX key in place of a generator",
        "a tuple of its items in place of an iterator",
    ]:
        assert remedy in text


def test_one_container_alone_is_not_counted() -> None:
    steps: list[int] = []
    with pytest.raises(PurityError, match=r"^`steps` can be edited in place\n"):
        assert_immutable(steps)


def test_value_is_only_looked_at() -> None:
    sealed, loose, generator, items = Sealed(True), Loose([1]), random.Random(0), iter([1, 2])
    before = dict(vars(loose)), generator.getstate()
    places((sealed, loose, generator, items, Slotted()))
    assert (dict(vars(loose)), generator.getstate()) == before
    assert list(items) == [1, 2]
    assert vars(sealed) == {"sealed": True}


def test_shared_part_is_told_once_and_cycles_end() -> None:
    shared: list[Any] = []
    shared.append(shared)
    assert [place[0] for place in places((shared, shared))] == ["value[0]"]


def test_deleted_arrays_and_tracers_are_no_trouble() -> None:
    x = jnp.ones(2)
    x.delete()
    assert_immutable((x,))
    jax.jit(lambda p: assert_immutable((p,)))(jnp.ones(2))


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (len, "len"),
        (Plain, "Plain"),
        (np, "numpy"),
        (jax.jit(params), "params"),
        (functools.partial(max, 1), "max"),
    ],
)
def test_code_is_refused(value: Any, name: str) -> None:
    with pytest.raises(TypeError, match=f"^assert_immutable needs data, and `{name}` is code$"):
        assert_immutable(value)
