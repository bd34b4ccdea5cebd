"""The compiled initialisation of a model is kept for the next test; values never are, and nothing stale is."""

import functools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import flax.linen as nn
import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pytest_purestate import KeyStream, make_train_state
from pytest_purestate._runtime import linen_model, programs
from pytest_purestate._runtime.likeness import likeness
from pytest_purestate._runtime.trees import diff

pytestmark = pytest.mark.slow

X = jnp.ones((2, 3))
KEY = jax.random.key(0, impl="threefry2x32")
WIDTH = 4
traces: list[str] = []
compilations: list[str] = []


def _listener(event: str, duration_secs: float, **details: Any) -> None:
    if event == "/jax/core/compile/backend_compile_duration":
        compilations.append(str(details.get("fun_name")))


jax.monitoring.register_event_duration_secs_listener(_listener)


class Layer(nn.Module):
    features: int = WIDTH
    scale: Any = 1

    @nn.compact
    def __call__(self, x: Any, train: bool = False) -> Any:
        traces.append("layer")
        return nn.Dense(self.features + self.more())(x) * self.scale * (2 if train else 1)

    def more(self) -> int:
        return 0


class Config:
    def __init__(self, width: int) -> None:
        self.width = width


class Configured(nn.Module):
    config: Any

    @nn.compact
    def __call__(self, x: Any) -> Any:
        traces.append("configured")
        return nn.Dense(self.config.width)(x)


class Global(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        return Layer(width())(x)


def width() -> int:
    return WIDTH


@pytest.fixture(autouse=True)
def _nothing_kept() -> None:
    linen_model.programs.clear()
    traces.clear()
    compilations.clear()


def again(make: Callable[[], Any]) -> tuple[Any, Any, bool]:
    """Two states, and whether the second one took neither a trace nor a compilation."""
    first = make()
    traces.clear()
    compilations.clear()
    second = make()
    return first, second, not traces and not compilations


def test_equal_model_is_neither_traced_nor_compiled_again() -> None:
    keys = KeyStream(0)
    first, second, free = again(lambda: make_train_state(Layer(5), X, rngs=keys, tx="adam"))
    assert free
    assert diff(first.params["Dense_0"]["kernel"], second.params["Dense_0"]["kernel"]), "each has its own key"
    assert first.params["Dense_0"]["kernel"].shape == (3, 5)
    made = jax.jit(Layer(5).init)(KeyStream(0)("params"), X)["params"]
    assert not diff(first.params, made)


def test_caches_of_jax_have_no_part_in_it() -> None:
    make = functools.partial(make_train_state, Layer(5), X, rngs=KEY)
    before = make()
    jax.clear_caches()  # type: ignore[no-untyped-call]
    traces.clear()
    compilations.clear()
    after = make()
    assert (traces, compilations) == ([], [])
    assert not diff(before.params, after.params)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda: make_train_state(Layer(5), X), lambda: make_train_state(Layer(6), X)),
        (lambda: make_train_state(Layer(scale=1), X), lambda: make_train_state(Layer(scale=1.0), X)),
        (lambda: make_train_state(Layer(scale=1), X), lambda: make_train_state(Layer(scale=True), X)),
        (lambda: make_train_state(Layer(), X), lambda: make_train_state(Layer(), X[:, :2])),
        (lambda: make_train_state(Layer(), X), lambda: make_train_state(Layer(), X.astype(jnp.bfloat16))),
        (
            lambda: make_train_state(Layer(), X),
            lambda: make_train_state(Layer(), X, init_kwargs={"train": True}),
        ),
        (lambda: make_train_state(Layer(), X), lambda: make_train_state(Layer(), X, dtype=jnp.bfloat16)),
        (
            lambda: make_train_state(Layer(), X, rngs=jax.random.key(0)),
            lambda: make_train_state(Layer(), X, rngs=jax.random.key(0, impl="rbg")),
        ),
        (
            lambda: make_train_state(Layer(), X),
            lambda: make_train_state(Layer(), X, rngs={"params": jax.random.key(0)}),
        ),
    ],
    ids=["field", "int and float", "int and bool", "shape", "dtype", "kwargs", "cast", "impl", "streams"],
)
def test_what_differs_is_made_anew(one: Callable[[], Any], other: Callable[[], Any]) -> None:
    one()
    traces.clear()
    other()
    assert traces


@pytest.mark.parametrize(
    "setting",
    [
        lambda: jax.default_matmul_precision("highest"),
        lambda: jax.threefry_partitionable(False),
        lambda: jax.default_prng_impl("rbg"),
        lambda: jax.numpy_dtype_promotion("strict"),
        lambda: nn.logical_axis_rules([("embed", "data")]),
        lambda: jax.default_device(jax.devices()[0]),
    ],
    ids=["precision", "partitionable", "impl", "promotion", "axis rules", "device"],
)
def test_settings_in_force_count(setting: Callable[[], Any]) -> None:
    make = functools.partial(make_train_state, Layer(), X, rngs=KEY)
    plain = make()
    with setting():
        _, inside, free = again(make)
        assert free
        expected = jax.jit(Layer().init)(KEY, X)["params"]
        assert not diff(expected, inside.params)
    traces.clear()
    assert not diff(make().params, plain.params)
    assert traces == []


def test_model_that_is_edited_is_made_anew() -> None:
    config = Config(4)
    model = Configured(config)
    assert make_train_state(model, X).params["Dense_0"]["kernel"].shape == (3, 4)
    config.width = 5
    assert make_train_state(model, X).params["Dense_0"]["kernel"].shape == (3, 5)
    traces.clear()
    make_train_state(Configured(Config(4)), X)
    assert traces == []


def test_code_and_globals_that_a_test_patches_count(monkeypatch: pytest.MonkeyPatch) -> None:
    def kernel() -> Any:
        return make_train_state(Global(), X).params["Layer_0"]["Dense_0"]["kernel"].shape

    assert kernel() == (3, 4)
    with monkeypatch.context() as patch:
        patch.setattr(f"{__name__}.WIDTH", 6)
        assert kernel() == (3, 6)
        patch.setattr(f"{__name__}.width", lambda: 7)
        assert kernel() == (3, 7)
    with monkeypatch.context() as patch:
        patch.setattr(Layer, "more", lambda self: 4)
        assert kernel() == (3, 8)
    assert kernel() == (3, 4)


def test_intercepted_methods_are_run() -> None:
    make_train_state(Layer(), X)

    def narrow(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        traces.append("intercepted")
        return call(*args, **kwargs)

    traces.clear()
    with nn.intercept_methods(narrow):
        make_train_state(Layer(), X)
    assert "intercepted" in traces


def test_model_that_cannot_be_compared_is_made_each_time() -> None:
    class Drawn(nn.Module):
        generator: Any

        @nn.compact
        def __call__(self, x: Any) -> Any:
            return nn.Dense(self.generator.integers(2, 2**20))(x)

    rng = np.random.default_rng(0)
    assert likeness(Drawn(rng)) is None
    shapes = [
        make_train_state(Drawn(rng), X, abstract=True).params["Dense_0"]["bias"].shape for _ in range(2)
    ]
    assert shapes[0] != shapes[1]
    assert len(linen_model.programs) == 0


def test_module_bound_to_its_variables_is_not_kept() -> None:
    model = Layer()
    assert likeness(model.bind(model.init(jax.random.key(0), X))) is None


def test_every_state_has_buffers_of_its_own() -> None:
    step = jax.jit(lambda state: state.apply_gradients(grads=state.params), donate_argnums=0)
    tx = optax.contrib.schedule_free(optax.sgd(0.1), learning_rate=0.1)
    states = [make_train_state(Layer(), X, tx=tx) for _ in range(2)]
    pointers = [
        leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves(states) if isinstance(leaf, jax.Array)
    ]
    assert len(set(pointers)) == len(pointers)
    step(states[0])
    key = jax.random.key(0)
    step(make_train_state(Layer(), X, rngs=key, tx=tx))
    assert not diff(states[1].params, make_train_state(Layer(), X, rngs=key).params)


def test_key_that_a_model_keeps_is_a_copy() -> None:
    class Keeps(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Any:
            self.variable("rng", "key", lambda: self.scope.rngs["params"].rng)  # type: ignore[union-attr]
            return nn.Dense(1)(x)

    from flax.training.train_state import TrainState

    class Kept(TrainState):  # type: ignore[no-untyped-call]
        rng: Any

    key = jax.random.key(0)
    state = make_train_state(Keeps(), X, rngs=key, cls=Kept)
    jax.jit(lambda state: jax.tree.map(lambda leaf: leaf, state), donate_argnums=0)(state)
    jax.random.split(key)  # raises where its buffer is gone


def test_states_can_be_made_inside_of_a_trace() -> None:
    make = functools.partial(make_train_state, Layer(), X)
    expected = make(rngs=jax.random.key(3)).params
    assert not diff(jax.jit(lambda key: make(rngs=key).params)(jax.random.key(3)), expected)
    shapes = jax.eval_shape(lambda key: make(rngs=key).params, jax.random.key(3))
    assert jax.tree.map(jnp.shape, shapes) == jax.tree.map(jnp.shape, expected)
    with jax.disable_jit():
        traces.clear()
        make(rngs=jax.random.key(3))
        assert traces, "a debugger can stop in the module"


def test_failed_initialisation_is_not_kept() -> None:
    class Fails(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Any:
            traces.append("fails")
            raise KeyError("own")

    for _ in range(2):
        traces.clear()
        with pytest.raises(KeyError, match="own"):
            make_train_state(Fails(), X)
        assert traces


def test_threads_compile_a_model_once() -> None:
    barrier = threading.Barrier(4)

    def make(number: int) -> Any:
        barrier.wait(10)
        return make_train_state(Layer(9), X, rngs=jax.random.key(number))

    alone = make_train_state(Layer(9), X, rngs=jax.random.key(0))
    linen_model.programs.clear()
    traces.clear()
    with ThreadPoolExecutor(4) as pool:
        states = list(pool.map(make, range(4)))
    assert len(traces) == 3, "shapes, their dependence on values, and the program"
    assert not diff(states[0].params, alone.params)
    assert diff(states[0].params, states[1].params)


def test_a_run_keeps_so_many_and_no_more() -> None:
    cache = programs.Cache(2)
    for name in ("a", "b", "a", "c"):
        cache.get(name, list)
    assert len(cache) == 2
    one = cache.get("a", list)
    assert cache.get("a", list) is one
    assert cache.get("b", lambda: "new") == "new"
    assert linen_model.programs.size == 128


def test_own_checker_of_jax_sees_the_initialisation() -> None:
    class Twice(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Any:
            return self.param("w", lambda key: jax.random.normal(key, (2,)) + jax.random.uniform(key, (2,)))

    with jax.debug_key_reuse(True):
        for _ in range(2):  # also where nothing is traced any more
            with pytest.raises(jax.errors.KeyReuseError):
                make_train_state(Twice(), X)
        make_train_state(Layer(), X)
