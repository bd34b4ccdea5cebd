import collections
import contextlib
import dataclasses
import functools
import gc
import itertools
import random
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

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

from pytest_purestate import Problem, PurityError, assert_unchanged, make_train_state


class Turnstile:
    def __init__(self) -> None:
        self.unlocked = False
        self._log: list[str] = []

    def push(self) -> None:
        self._log.append("push")


class Slotted:
    __slots__ = ("__count", "unset")

    def __init__(self) -> None:
        self.__count = 0

    def tick(self) -> None:
        self.__count += 1


class Pair(NamedTuple):
    left: Any
    right: Any


@flax.struct.dataclass
class Carry:
    params: Any
    history: Any = flax.struct.field(pytree_node=False, default=None)  # type: ignore[no-untyped-call]


class Counted(dict):  # type: ignore[type-arg]
    hits = 0


class Net(nnx.Module):
    def __init__(self) -> None:
        rngs = nnx.Rngs(0)
        self.linear = nnx.Linear(2, 3, rngs=rngs)
        self.norm = nnx.BatchNorm(3, rngs=rngs)

    def __call__(self, x: jax.Array) -> Any:
        return self.norm(self.linear(x))


def make_state() -> TrainState:
    model = nn.Dense(2)
    params = model.init(jax.random.key(0), jnp.ones((1, 3)))["params"]
    return make_train_state(params, apply_fn=model.apply, tx=optax.adam(1e-3))


def problems(value: Any, body: Callable[[Any], object]) -> tuple[Problem, ...]:
    """What is reported when `body` runs on the value, under the name x."""
    with pytest.raises(PurityError) as caught, assert_unchanged(x=value):
        body(value)
    return caught.value.problems


def edit(value: Any, key: Any, item: Any) -> None:
    value[key] = item


CHANGED: list[tuple[str, Callable[[], Any], Callable[[Any], object], list[tuple[str, str, str, str]]]] = [
    (
        "attribute",
        Turnstile,
        lambda x: setattr(x, "unlocked", True),
        [("value", "x.unlocked", "False", "True")],
    ),
    ("private list", Turnstile, lambda x: x.push(), [("added", "x._log[0]", "", "'push'")]),
    ("new attribute", Turnstile, lambda x: setattr(x, "new", 1), [("added", "x.new", "", "1")]),
    (
        "deleted attribute",
        Turnstile,
        lambda x: delattr(x, "unlocked"),
        [("removed", "x.unlocked", "False", "")],
    ),
    ("slot", Slotted, lambda x: x.tick(), [("value", "x._Slotted__count", "0", "1")]),
    ("unset slot", Slotted, lambda x: setattr(x, "unset", 1), [("added", "x.unset", "", "1")]),
    ("dict value", lambda: {"a": 1}, lambda x: edit(x, "a", 2), [("value", "x['a']", "1", "2")]),
    ("dict key", lambda: {"a": 1}, lambda x: edit(x, "b", 2), [("added", "x['b']", "", "2")]),
    ("popped key", lambda: {"a": 1, "b": 2}, lambda x: x.pop("a"), [("removed", "x['a']", "1", "")]),
    (
        "order of a dict",
        lambda: {"a": 1, "b": 2},
        lambda x: edit(x, "a", x.pop("a")),
        [("order", "x", "['a'] ['b']", "['b'] ['a']")],
    ),
    (
        "attribute of a dict",
        lambda: Counted(a=1),
        lambda x: setattr(x, "hits", 1),
        [("added", "x.hits", "", "1")],
    ),
    (
        "namespace",
        lambda: types.SimpleNamespace(a=[1]),
        lambda x: x.a.append(2),
        [("added", "x.a[1]", "", "2")],
    ),
    ("list", lambda: [1, [2]], lambda x: x[1].append(3), [("added", "x[1][1]", "", "3")]),
    ("deque", lambda: collections.deque([1]), lambda x: x.append(2), [("added", "x[1]", "", "2")]),
    ("set", lambda: {1}, lambda x: x.add(2), [("value", "x", "{1}", "{1, 2}")]),
    ("bytes", lambda: bytearray(b"ab"), lambda x: edit(x, 0, 99), [("value", "x", "b'ab'", "b'cb'")]),
    ("tuple", lambda: ({"a": 1},), lambda x: edit(x[0], "a", 2), [("value", "x[0]['a']", "1", "2")]),
    ("named tuple", lambda: Pair([1], 2), lambda x: edit(x.left, 0, 2), [("value", "x.left[0]", "1", "2")]),
    ("type", lambda: {"a": 1}, lambda x: edit(x, "a", 1.0), [("type", "x['a']", "1", "1.0")]),
    (
        "field that is no pytree node",
        lambda: Carry(1, [2]),
        lambda x: x.history.append(3),
        [("added", "x.history[1]", "", "3")],
    ),
    (
        "numpy buffer",
        lambda: np.zeros((2, 2)),
        lambda x: edit(x, (1, 0), 5),
        [("value", "x[1, 0]", "0.0", "5.0")],
    ),
    (
        "numpy view",
        lambda: {"all": np.zeros(3)},
        lambda x: edit(x["all"][1:], 0, 5),
        [("value", "x['all'][1]", "0.0", "5.0")],
    ),
    (
        "mask",
        lambda: np.ma.masked_array([1, 2], [False, False]),
        lambda x: edit(x, 0, np.ma.masked),
        [("value", "x.mask", r"b'\x00\x00'", r"b'\x01\x00'")],
    ),
    (
        "objects in numpy",
        lambda: np.array([Turnstile(), None]),
        lambda x: x[0].push(),
        [("added", "x[0]._log[0]", "", "'push'")],
    ),
    (
        "replaced array",
        lambda: {"w": jnp.ones((2, 2))},
        lambda x: edit(x, "w", x["w"].at[1, 0].set(3)),
        [("value", "x['w'][1, 0]", "1.0", "3.0")],
    ),
    (
        "replaced key",
        lambda: {"key": jax.random.key(0)},
        lambda x: edit(x, "key", jax.random.key(1)),
        [("value", "x['key']", "0x00000000 0x00000000", "0x00000000 0x00000001")],
    ),
    (
        "shape",
        lambda: {"w": jnp.ones(2)},
        lambda x: edit(x, "w", jnp.ones(3)),
        [("shape", "x['w']", "float32[2]", "float32[3]")],
    ),
    (
        "equal array",
        lambda: {"w": jnp.ones(2)},
        lambda x: edit(x, "w", jnp.ones(2)),
        [("identity", "x['w']", "float32[2]", "float32[2]")],
    ),
    (
        "equal list",
        lambda: {"a": [1]},
        lambda x: edit(x, "a", [1]),
        [("identity", "x['a']", "list with 1 entry", "list with 1 entry")],
    ),
    (
        "train state",
        make_state,
        lambda x: edit(x.params, "bias", 1),
        [("type", "x.params['bias']", "float32[2]", "1")],
    ),
    (
        "frozen dict by force",
        lambda: freeze({"a": {"b": 1}}),
        lambda x: edit(x._dict["a"], "b", 2),
        [("value", "x['a']['b']", "1", "2")],
    ),
    (
        "nnx module that runs",
        Net,
        lambda x: x(jnp.ones((4, 2))),
        [("value", "x.norm.mean[0]", "0.0", "*"), ("value", "x.norm.var[0]", "1.0", "*")],
    ),
    (
        "nnx attribute",
        Net,
        lambda x: setattr(x.linear, "use_bias", False),
        [("value", "x.linear.use_bias", "True", "False")],
    ),
    (
        "nnx generator",
        lambda: nnx.Rngs(0),
        lambda x: x.params(),
        [("value", "x.default.count", "0", "1")],
    ),
    ("counter", itertools.count, next, [("value", "x", "count(0)", "count(1)")]),
    ("iterator", lambda: iter([1, 2]), next, [("value", "x", "2 items left", "1 items left")]),
    ("random generator", lambda: random.Random(0), lambda x: x.random(), [("value", "x", "*", "*")]),
    ("numpy generator", lambda: np.random.default_rng(0), lambda x: x.random(), [("value", "x", "*", "*")]),
    ("old numpy generator", lambda: np.random.RandomState(0), lambda x: x.rand(), [("value", "x", "*", "*")]),
    (
        "bit generator",
        lambda: np.random.PCG64(0),
        lambda x: np.random.Generator(x).random(),
        [("value", "x", "*", "*")],
    ),
    (
        "partial",
        lambda: functools.partial(max, [1]),
        lambda x: x.args[0].append(2),
        [("added", "x.args[0][1]", "", "2")],
    ),
    ("method", lambda: Turnstile().push, lambda x: x(), [("added", "x.__self__._log[0]", "", "'push'")]),
]


@pytest.mark.parametrize(
    ("make", "body", "expected"), [case[1:] for case in CHANGED], ids=[case[0] for case in CHANGED]
)
def test_change_is_reported_with_its_place(
    make: Callable[[], Any], body: Callable[[Any], object], expected: list[tuple[str, ...]]
) -> None:
    found = problems(make(), body)
    assert [(p.kind, p.path) for p in found] == [case[:2] for case in expected]
    for problem, (_, _, before, after) in zip(found, expected, strict=True):
        assert problem.before == before or before == "*"
        assert problem.after == after or after == "*"
        assert problem.before != problem.after or problem.kind == "identity"


@pytest.mark.parametrize(
    ("make", "body", "expected"), [case[1:] for case in CHANGED], ids=[case[0] for case in CHANGED]
)
def test_what_is_only_looked_at_is_unchanged(
    make: Callable[[], Any], body: Callable[[Any], object], expected: list[tuple[str, ...]]
) -> None:
    value = make()
    with assert_unchanged(value):
        repr(value)
        hasattr(value, "anything")


def test_closure_of_a_function_is_watched() -> None:
    count = 0

    def tick() -> None:
        nonlocal count
        count += 1

    assert [(p.path, p.before, p.after) for p in problems(tick, lambda x: x())] == [
        ("x.<closure>.count", "0", "1")
    ]
    assert count == 1


def test_jitted_function_is_looked_through() -> None:
    seen: list[int] = []

    @jax.jit
    def step(x: jax.Array) -> jax.Array:
        seen.append(1)
        return x

    assert [p.path for p in problems(step, lambda f: f(1.0))] == ["x.<closure>.seen[0]"]


def test_mutable_default_is_watched() -> None:
    def remember(x: int, seen: list[int] = []) -> None:  # noqa: B006
        seen.append(x)

    assert [p.path for p in problems(remember, lambda f: f(3))] == ["x.__defaults__[0][0]"]


def test_value_put_back_is_no_change() -> None:
    state = {"a": 1, "w": jnp.ones(2)}
    turnstile = Turnstile()
    with assert_unchanged(state, turnstile):
        old = state["a"]
        state["a"] = 5
        state["a"] = old
        turnstile.unlocked = True
        turnstile.unlocked = False


def test_values_that_are_no_objects_of_their_own_count_by_value() -> None:
    state: dict[str, Any] = {"step": 10**6, "name": "ab", "shape": (1, 2), "x": float("nan"), "c": Carry(1)}
    with assert_unchanged(state):
        state["step"] = int("1000000")
        state["name"] = "".join(["a", "b"])
        state["shape"] = (*range(1, 3),)
        state["x"] = float("nan")
        state["c"] = state["c"].replace()


def test_pure_step_is_unchanged() -> None:
    state, x = make_state(), jnp.ones((4, 3))

    @jax.jit
    def step(state: Any, x: jax.Array) -> Any:
        grads = jax.grad(lambda p: state.apply_fn({"params": p}, x).sum())(state.params)
        return state.apply_gradients(grads=grads)

    with assert_unchanged(state, x):
        assert step(state, x).step == 1


def test_linen_module_is_unchanged_by_its_use() -> None:
    model = nn.Sequential([nn.Dense(2), nn.relu, nn.Dense(1)])
    with assert_unchanged(model):
        variables = model.init(jax.random.key(0), jnp.ones((1, 3)))
        model.apply(variables, jnp.ones((1, 3)))
        assert "params" in model.bind(variables).variables


def test_donated_argument_is_reported() -> None:
    state = {"w": jnp.ones((2, 3))}
    with pytest.raises(PurityError) as caught, assert_unchanged(state):
        jax.jit(lambda s: jax.tree.map(lambda x: x + 1, s), donate_argnums=0)(state)
    assert str(caught.value) == (
        "`state` cannot be used any more after the block\n"
        "  state['w']: was deleted: a jitted function to which it was passed donates it (`donate_argnums`)\n"
        "    before: float32[2,3]\n"
        "    after:  float32[2,3], deleted\n"
        "  help: a donated argument must not be used again: pass a copy, `jax.tree.map(jnp.copy, state)`, or "
        "compile without `donate_argnums`"
    )


def test_what_was_deleted_before_is_no_change() -> None:
    x = jnp.ones(2)
    x.delete()
    with assert_unchanged(x):
        pass


def test_array_that_shares_memory_with_numpy_is_read() -> None:
    # JAX may take an aligned buffer over without a copy; whether it does is up to its version.
    aligned = np.zeros(1024 + 16, np.float32)
    start = (-aligned.ctypes.data % 64) // 4
    buffer = aligned[start : start + 1024]
    array = jax.device_put(buffer, may_alias=True)
    watch = assert_unchanged(array)
    watch.__enter__()
    buffer[7] = 1
    shared = bool(array[7] == 1)
    with (
        pytest.raises(PurityError, match=r"array\[7\]: 1 of 1024 elements changed")
        if shared
        else contextlib.nullcontext()
    ):
        watch.__exit__(None, None, None)


def test_tracers_are_watched_by_identity() -> None:
    @jax.jit
    def pure(params: dict[str, jax.Array]) -> jax.Array:
        with assert_unchanged(params):
            return params["w"] * 2

    @jax.jit
    def impure(params: dict[str, jax.Array]) -> jax.Array:
        with assert_unchanged(params):
            params["w"] = params["w"] * 2
        return params["w"]

    assert pure({"w": jnp.ones(())}) == 2
    with pytest.raises(PurityError) as caught:
        impure({"w": jnp.ones(())})
    assert [(p.kind, p.path) for p in caught.value.problems] == [("identity", "params['w']")]


@pytest.mark.skipif(not hasattr(jax, "new_ref"), reason="this JAX has no array references")
def test_array_reference_is_read() -> None:
    ref = jax.new_ref(jnp.zeros(2))

    def body(ref: Any) -> None:
        ref[0] = 1.0

    assert [(p.path, p.before, p.after) for p in problems(ref, body)] == [("x[0]", "0.0", "1.0")]


def test_cycle_is_no_trouble() -> None:
    turnstile = Turnstile()
    turnstile.owner = {"me": turnstile}  # type: ignore[attr-defined]
    with assert_unchanged(turnstile):
        pass
    assert [p.path for p in problems(turnstile, Turnstile.push)] == ["x._log[0]"]


def test_guard_against_transfers_is_not_in_the_way() -> None:
    state = {"w": jnp.ones(2), "key": jax.random.key(0)}
    with jax.transfer_guard("disallow"), assert_unchanged(state):
        pass


def test_error_of_the_block_is_not_masked() -> None:
    state = {"a": 1}
    with pytest.raises(ZeroDivisionError), assert_unchanged(state):
        state["a"] = 2
        state["a"] //= 0


def test_trees_are_called_what_the_caller_calls_them() -> None:
    state, batches = Turnstile(), [np.zeros(2), np.zeros(2)]
    i = 1
    watch = assert_unchanged(state._log, batches[i], {"one": state}, named=state)
    with pytest.raises(PurityError) as caught, watch:
        state.push()
        batches[1][0] = 1
    assert [p.path for p in caught.value.problems] == [
        "state._log[0]",
        "batches[i][0]",
        "trees[2]['one']._log[0]",
        "named._log[0]",
    ]
    assert (
        caught.value.headline
        == "`state._log` and `batches[i]` and `trees[2]` and `named` were changed in the block"
    )


def test_trees_from_a_list_are_numbered() -> None:
    trees = [[1], [2]]
    with pytest.raises(PurityError, match=r"trees\[1\]\[1\]: was added"), assert_unchanged(*trees):
        trees[1].append(3)


def test_one_value_under_one_name_is_reported_once() -> None:
    state = [1]
    with pytest.raises(PurityError) as caught, assert_unchanged(state, state):
        state.append(2)
    assert [p.path for p in caught.value.problems] == ["state[1]", "trees[1][1]"]


def test_whole_message_for_data() -> None:
    state = {"dense": {"kernel": jnp.zeros((2, 2)), "bias": jnp.zeros(2)}}
    with pytest.raises(PurityError) as caught, assert_unchanged(state):
        state["dense"]["kernel"] = state["dense"]["kernel"].at[1, 0].set(0.5)
        del state["dense"]["bias"]
    assert str(caught.value) == (
        "`state` was changed in the block\n"
        "  state['dense']['bias']: was removed\n"
        "    before: float32[2]\n"
        "  state['dense']['kernel'][1, 0]: 1 of 4 elements changed\n"
        "    before: 0.0\n"
        "    after:  0.5\n"
        "  help: build a new value instead of editing the argument: `state.replace(...)`, "
        "`{**params, name: value}`, `x.at[i].set(v)`, a copy of a numpy array"
    )


@pytest.mark.parametrize(
    ("value", "body", "help"),
    [
        (Turnstile(), Turnstile.push, "make what the object remembers an argument and a result"),
        (
            {"a": [1]},
            lambda x: edit(x, "a", [1]),
            "return the new value instead of putting it into the argument",
        ),
        (nnx.Rngs(0), lambda x: x(), "an nnx module keeps its state inside; call a copy, `nnx.clone(model)`"),
    ],
    ids=["object", "identity", "nnx"],
)
def test_help_fits_the_culprit(value: Any, body: Callable[[Any], object], help: str) -> None:
    with pytest.raises(PurityError) as caught, assert_unchanged(value):
        body(value)
    assert caught.value.help.startswith(help)


def test_nothing_to_watch_is_refused() -> None:
    with pytest.raises(TypeError) as caught:
        assert_unchanged()
    assert str(caught.value) == (
        "assert_unchanged needs at least one value to watch: `with assert_unchanged(state):`"
    )


def test_use_without_with_is_pointed_out() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        assert_unchanged([1])
        gc.collect()
    assert [str(w.message) for w in seen if w.category is RuntimeWarning] == [
        "assert_unchanged(...) alone does nothing: write `with assert_unchanged(...):`"
    ]


def test_generator_in_a_state_is_watched() -> None:
    def numbers() -> Iterator[int]:
        n = 0
        while True:
            yield n
            n += 1

    stream = numbers()
    next(stream)
    found = problems({"stream": stream}, lambda x: next(x["stream"]))
    assert [(p.path, p.before, p.after) for p in found] == [("x['stream'].gi_frame.f_locals['n']", "0", "1")]


def test_caches_of_library_objects_are_no_change() -> None:
    import datetime
    import fractions
    import pathlib
    import threading

    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("x",))
    held = dataclasses.make_dataclass("Held", ["path", "lock", "when", "ratio", "mesh"])(
        pathlib.Path("a/b"), threading.Lock(), datetime.datetime(2020, 1, 1), fractions.Fraction(1, 3), mesh
    )
    with assert_unchanged(held):
        str(held.path), held.path.parts, hash(held.mesh)
        held.path = pathlib.Path("a/b")
        held.ratio = fractions.Fraction(2, 6)
    assert [p.path for p in problems(held, lambda x: setattr(x, "path", pathlib.Path("c")))] == ["x.path"]
