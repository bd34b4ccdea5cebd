import functools
import re
from collections.abc import Callable, Iterator
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx, struct
from flax.core import freeze
from flax.training.train_state import TrainState

from pytest_purestate import KeyStream, make_train_state
from pytest_purestate._runtime.trees import diff

X = jnp.ones((2, 3))
SHAPE = jax.ShapeDtypeStruct((2, 3), jnp.float32)  # type: ignore[no-untyped-call]
KEY = jax.random.key(7)


class Net(nn.Module):
    """Two layers of one shape, statistics, and a flag that decides about noise."""

    @nn.compact
    def __call__(self, x: Any, train: bool) -> Any:
        x = nn.Dense(3, name="first")(x)
        x = nn.BatchNorm(use_running_average=not train, name="norm")(x)
        x = nn.Dropout(0.5, deterministic=not train)(x)
        return nn.Dense(3, name="second")(x)


class Fields(TrainState):  # type: ignore[no-untyped-call]
    batch_stats: Any
    dropout_key: jax.Array


class Stats(TrainState):  # type: ignore[no-untyped-call]
    batch_stats: Any


class Block(nnx.Module):
    def __init__(self, seed: int) -> None:
        self.linear = nnx.Linear(3, 2, rngs=nnx.Rngs(seed))
        self.norm = nnx.BatchNorm(2, rngs=nnx.Rngs(0))

    def __call__(self, x: Any, scale: float = 1.0) -> Any:
        return self.norm(self.linear(x)) * scale


def leaves(tree: Any) -> Iterator[tuple[str, Any]]:
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        yield jax.tree_util.keystr(path), leaf


def shapes(tree: Any) -> Any:
    return jax.tree.map(jnp.shape, tree)


@functools.cache
def with_fields() -> Any:
    options: Any = {"cls": Fields, "init_kwargs": {"train": False}, "rngs": KEY}
    return make_train_state(Net(), X, dropout_key=jax.random.key(1), **options)


# Linen modules


def test_linen_module_is_initialised_as_it_initialises_itself() -> None:
    model = nn.Dense(4)
    state = make_train_state(model, X, rngs=KEY)
    assert type(state) is TrainState
    assert state.step == 0
    assert not diff(jax.jit(model.init)(KEY, X)["params"], state.params)
    assert state.apply_fn({"params": state.params}, X).shape == (2, 4)


@pytest.mark.parametrize(
    "x",
    [SHAPE, np.full((2, 3), np.nan), np.ones((2, 3), np.float32)],
    ids=["shape", "other values", "numpy"],
)
def test_shapes_alone_decide(x: Any) -> None:
    assert not diff(make_train_state(nn.Dense(4), X).params, make_train_state(nn.Dense(4), x).params)


def test_inputs_of_every_kind_are_taken() -> None:
    class Call(nn.Module):
        @nn.compact
        def __call__(self, tree: Any, key: Any, words: Any, scale: Any, nothing: Any) -> Any:
            assert nothing is None
            assert [a.dtype.name for a in (words, scale)] == ["int32", "complex64"]
            assert jax.random.split(key).shape == (2,)
            return nn.Dense(1)(tree["x"][0])

    words = np.arange(4, dtype=np.int64)
    for key in (KEY, jax.eval_shape(lambda: jax.random.key(0))):
        state = make_train_state(Call(), {"x": (X,)}, key, words, 1j, None)
        assert shapes(state.params) == {"Dense_0": {"kernel": (3, 1), "bias": (1,)}}


def test_module_without_inputs_is_initialised() -> None:
    class Scalar(nn.Module):
        @nn.compact
        def __call__(self) -> Any:
            return self.param("w", nn.initializers.ones, (2,))

    assert make_train_state(Scalar()).params["w"].tolist() == [1, 1]


def test_operation_that_cannot_be_batched_is_no_trouble() -> None:
    # Batching is how dependence on the inputs is found; a callback without a method for it refuses.
    class Called(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Any:
            return nn.Dense(1)(jax.pure_callback(np.asarray, x, x))

    assert make_train_state(Called(), SHAPE).params["Dense_0"]["kernel"].shape == (3, 1)


def test_collections_and_fields_go_where_they_belong() -> None:
    state = with_fields()
    assert type(state) is Fields
    assert shapes(state.batch_stats) == {"norm": {"mean": (3,), "var": (3,)}}
    assert state.dropout_key == jax.random.key(1)
    assert set(state.params) == {"first", "norm", "second"}


def test_given_field_wins_over_the_collection() -> None:
    state = make_train_state(Net(), X, cls=Stats, init_kwargs={"train": False}, batch_stats={"mine": X})
    assert list(state.batch_stats) == ["mine"]


def test_class_may_fill_fields_itself() -> None:
    class Filled(TrainState):  # type: ignore[no-untyped-call]
        batch_stats: Any = None
        scale: float = 2.0
        names: tuple[str, ...] = struct.field(pytree_node=False, default=())  # type: ignore[no-untyped-call]

    state = make_train_state({"w": X}, cls=Filled, names=("a", "b"))
    assert (state.batch_stats, state.scale, state.names) == (None, 2.0, ("a", "b"))


def test_layers_of_one_shape_get_distinct_params() -> None:
    params = with_fields().params
    assert not np.array_equal(params["first"]["kernel"], params["second"]["kernel"])


# Seeds


def test_default_key_is_a_constant_and_another_key_is_another_state() -> None:
    kernels = [
        np.asarray(make_train_state(nn.Dense(4), X, **options).params["kernel"]).tobytes()
        for options in (
            {},
            {"rngs": jax.random.key(0)},
            {"rngs": {"params": jax.random.key(0)}},
            {"rngs": jax.random.PRNGKey(0)},
            {"rngs": KEY},
        )
    ]
    assert len(set(kernels[:4])) == 1
    assert kernels[0] != kernels[4]


def test_stream_gives_the_next_key_of_params() -> None:
    stream = KeyStream(3)
    one, other = (make_train_state(nn.Dense(4), X, rngs=stream) for _ in range(2))
    assert [(draw.name, draw.index) for draw in stream.log] == [("params", 0), ("params", 1)]
    assert diff(one.params["kernel"], other.params["kernel"])
    first = KeyStream(3)("params")
    assert not diff(one.params, make_train_state(nn.Dense(4), X, rngs=first).params)


def test_fixture_gives_each_state_a_key_of_the_test(
    make_train_state: Callable[..., TrainState], keys: KeyStream
) -> None:
    one, other = make_train_state(nn.Dense(4), X), make_train_state(nn.Dense(4), X)
    assert diff(one.params["kernel"], other.params["kernel"])
    assert [(draw.name, draw.index) for draw in keys.log] == [("make_train_state", i) for i in range(2)]
    make_train_state(nn.Dense(4), X, rngs=KEY)
    make_train_state({"w": X})
    assert len(keys.log) == 2, "no key is drawn where none is needed"


# Optimizers


def test_default_optimizer_is_plain_gradient_descent() -> None:
    state = make_train_state({"w": X})
    new = state.apply_gradients(grads={"w": X})  # type: ignore[no-untyped-call]
    np.testing.assert_allclose(new.params["w"], X - 0.1, rtol=1e-6)
    assert not jax.tree.leaves(state.opt_state)
    assert new.step == 1


def test_optimizer_state_fits_the_params() -> None:
    state = make_train_state({"w": X}, tx=optax.adam(0.5))
    mu = optax.tree_utils.tree_get(state.opt_state, "mu")
    assert shapes(mu) == {"w": (2, 3)}
    assert state.apply_gradients(grads={"w": X}).params["w"][0, 0] == pytest.approx(0.5, rel=1e-4)  # type: ignore[no-untyped-call]


# Models that have their params already


@pytest.mark.parametrize(
    "params",
    [{"a": X, "b": (np.ones(2), np.float32(1), 2.0)}, freeze({"a": {"b": X}}), X, {}],
    ids=["dict", "frozen", "array", "empty"],
)
def test_params_are_taken_as_they_are(params: Any) -> None:
    state = make_train_state(params)
    assert not diff(params, state.params)
    assert state.apply_fn is None


def test_params_take_a_function_to_apply() -> None:
    def apply(variables: Any, x: Any) -> Any:
        return variables["params"]["w"] + x

    state = make_train_state({"w": X}, apply_fn=apply)
    assert state.apply_fn({"params": state.params}, 1)[0, 0] == 2


def test_nnx_module_is_called_as_a_linen_one() -> None:
    model = Block(0)
    state = make_train_state(model, SHAPE, cls=Stats, init_kwargs={"scale": 2.0})
    assert shapes(state.params) == {
        "linear": {"kernel": (3, 2), "bias": (2,)},
        "norm": {"scale": (2,), "bias": (2,)},
    }
    variables = {"params": state.params, "batch_stats": state.batch_stats}
    output, updated = state.apply_fn(variables, X, mutable=["batch_stats", "nothing"])
    assert not diff(state.apply_fn(variables, X), output)
    assert not diff(state.apply_fn(variables, X, mutable="batch_stats")[1], updated)
    assert list(updated) == ["batch_stats"]
    assert set(state.apply_fn(variables, X, mutable=True)[1]) == {"params", "batch_stats"}
    assert diff(updated["batch_stats"], state.batch_stats)
    assert not diff(output, model(X)), "the module was still as it was, and computes the same"
    assert not diff(model.norm.mean[...], updated["batch_stats"]["norm"]["mean"])


def test_equal_nnx_modules_share_a_compiled_step() -> None:
    traces = []

    @jax.jit
    def step(state: Any) -> Any:
        traces.append(state)
        return state.replace(step=state.step + 1)

    tx = optax.sgd(0.1)
    states = [make_train_state(Block(seed), cls=Stats, tx=tx) for seed in (0, 1)]
    assert diff(states[0].params, states[1].params)
    for state in states:
        step(state)
    assert len(traces) == 1


def test_collections_of_nnx_are_named() -> None:
    class RunningCount(nnx.Variable[Any]):
        pass

    class Noisy(nnx.Module):
        def __init__(self) -> None:
            self.calls = RunningCount(jnp.zeros(()))
            self.cached = nnx.Cache(jnp.zeros(1))
            self.seen = nnx.Intermediate(jnp.zeros(2))
            self.dropout = nnx.Dropout(0.5, rngs=nnx.Rngs(0))

        def __call__(self, x: Any) -> Any:
            self.calls = RunningCount(self.calls[...] + 1)
            return self.dropout(x)

    class All(TrainState):  # type: ignore[no-untyped-call]
        running_count: Any
        cache: Any
        intermediates: Any
        rngs: Any

    # `rngs` is also a keyword of the factory; what the module has fills the field all the same.
    state = make_train_state(Noisy(), cls=All)
    assert state.params == {}
    assert shapes([state.running_count, state.cache, state.intermediates]) == [
        {"calls": ()},
        {"cached": (1,)},
        {"seen": (2,)},
    ]
    names = ("params", "running_count", "cache", "intermediates", "rngs")
    variables = {name: getattr(state, name) for name in names}
    _, updated = state.apply_fn(variables, X, mutable=["running_count", "rngs"])
    assert updated["running_count"]["calls"] == 1
    assert diff(updated["rngs"], state.rngs)


# Abstract states


@pytest.mark.parametrize(
    ("model", "inputs", "options"),
    [
        (
            Net(),
            (SHAPE,),
            {"cls": Fields, "init_kwargs": {"train": False}, "dropout_key": KEY},
        ),
        (nnx.Linear(3, 2, rngs=nnx.Rngs(0)), (), {}),
        ({"w": X, "shape": SHAPE, "number": 1.0}, (), {}),
    ],
    ids=["linen", "nnx", "params"],
)
def test_abstract_state_has_shapes_only(model: Any, inputs: Any, options: Any) -> None:
    state = make_train_state(model, *inputs, tx=optax.adam(0.1), abstract=True, **options)
    assert jax.tree.leaves(state)
    for path, leaf in leaves(state):
        assert isinstance(leaf, jax.ShapeDtypeStruct), path


def test_abstract_state_is_the_shape_of_a_state() -> None:
    options: Any = {"cls": Fields, "init_kwargs": {"train": False}, "dropout_key": KEY}
    state = make_train_state(Net(), SHAPE, abstract=True, **options)
    expected = jax.eval_shape(lambda state: state, with_fields())
    for part in ("params", "batch_stats", "dropout_key", "step"):
        assert [(path, leaf.shape, leaf.dtype) for path, leaf in leaves(getattr(state, part))] == [
            (path, leaf.shape, leaf.dtype) for path, leaf in leaves(getattr(expected, part))
        ]


def test_abstract_state_computes_nothing() -> None:
    class Huge(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Any:
            return nn.Dense(1 << 40)(x)

    state = make_train_state(Huge(), SHAPE, abstract=True)
    assert state.params["Dense_0"]["kernel"].shape == (3, 1 << 40)


# Buffers


def test_state_can_be_donated_and_nobody_loses_an_array() -> None:
    class Keyed(TrainState):  # type: ignore[no-untyped-call]
        dropout_key: jax.Array
        mean: jax.Array

    step = jax.jit(lambda state: state.apply_gradients(grads=state.params), donate_argnums=0)
    key, shared = jax.random.key(5), jnp.arange(3.0)
    module = nnx.Linear(3, 2, rngs=nnx.Rngs(0))
    arrays = {"a": shared, "b": shared}  # tied, and once more in a field
    fields: Any = {"cls": Keyed, "dropout_key": key, "mean": shared}
    for model in (arrays, module, arrays, module):
        step(make_train_state(model, **fields))
    assert not shared.is_deleted()
    assert not module.kernel[...].is_deleted()
    jax.random.split(key)  # raises where its buffer is gone


def test_no_two_leaves_share_a_buffer() -> None:
    # This optimizer puts the params into its state.
    tx = optax.contrib.schedule_free(optax.sgd(0.1), learning_rate=0.1)
    params = {"a": X, "b": X}
    state = make_train_state(params, tx=tx)
    arrays = [leaf for _, leaf in leaves(state) if isinstance(leaf, jax.Array)]
    assert len(arrays) >= 4
    pointers = [array.unsafe_buffer_pointer() for array in (*arrays, X)]
    assert len(set(pointers)) == len(pointers)


def test_copy_is_the_same_in_all_but_its_place() -> None:
    params: Any = {"half": jnp.ones(2, jnp.bfloat16), "host": np.ones(2), "weak": jnp.asarray(1.0)}
    state = make_train_state(params)
    assert not diff(params, state.params)
    params["host"][0] = 5
    assert state.params["host"][0] == 1


# Bad use


class Normalised(nn.Module):
    """Its params are made from its data."""

    @nn.compact
    def __call__(self, x: Any) -> Any:
        return x - self.param("mean", lambda key: x.mean(0))


class Branching(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        return nn.Dense(2 if x.sum() > 0 else 3)(x)


NEEDS_VALUES = (
    "the variables of {} depend on the values of its inputs, and only their shapes are used\n"
    "  help: initialise it yourself and pass the params, make_train_state(params, apply_fn=model.apply)"
)
DENSE = nn.Dense(2)
NOT_A_MODEL = "the model must be a module of linen, nnx or equinox, or a pytree of arrays, not "
NOT_INPUT = ", and inputs are arrays or ShapeDtypeStruct; flags go into init_kwargs"


@pytest.mark.parametrize(
    ("args", "options", "message"),
    [
        ((nn.Dense, X), {}, "the model must be an instance, not the class: `Dense(...)`"),
        ((nnx.Linear,), {}, "the model must be an instance, not the class: `Linear(...)`"),
        ((len, X), {}, NOT_A_MODEL + "builtin_function_or_method"),
        ((None,), {}, NOT_A_MODEL + "NoneType"),
        (({"a": ["x"]},), {}, NOT_A_MODEL + "dict (`params['a'][0]` is 'x')"),
        (({"a": None},), {}, NOT_A_MODEL + "dict (`params['a']` is None)"),
        ((DENSE, X, True), {}, "`inputs[1]` is True" + NOT_INPUT),
        ((DENSE, {"x": [X, "a"]}), {}, "`inputs[0]['x'][1]` is 'a'" + NOT_INPUT),
        ((DENSE, np.array(["a"])), {}, "`inputs[0]` is array(['a'], dtype='<U1')" + NOT_INPUT),
        (({}, X), {}, "inputs and init_kwargs are for a module; this model is a pytree of params"),
        (
            ({},),
            {"init_kwargs": {"train": True}},
            "inputs and init_kwargs are for a module; this model is a pytree of params",
        ),
        ((DENSE, X), {"init_kwargs": 3}, "init_kwargs must be a dict of keywords for the model, not 3"),
        (({},), {"rngs": KEY}, "rngs initialise a linen module; this model has its params already"),
        (
            (DENSE, X),
            {"rngs": 3},
            "rngs must be a key, a dict of keys or a KeyStream, not 3; `jax.random.key(seed)`",
        ),
        (
            (DENSE, X),
            {"rngs": jax.random.split(KEY)},
            (
                "rngs must be a key, a dict of keys or a KeyStream, not an array key<threefry2x32>[2]; "
                "`jax.random.key(seed)`"
            ),
        ),
        (
            (DENSE, X),
            {"rngs": np.ones(3)},
            (
                "rngs must be a key, a dict of keys or a KeyStream, not an array float64[3]; "
                "`jax.random.key(seed)`"
            ),
        ),
        (
            (DENSE, X),
            {"rngs": {"params": 3}},
            "rngs['params'] must be one key, not 3; `jax.random.key(seed)`",
        ),
        (
            (DENSE, X),
            {"rngs": {}},
            'rngs is empty; a dict has a key for each stream, `{"params": key}`',
        ),
        ((DENSE, X), {"tx": 0.1}, "tx must be an optax transformation, not 0.1"),
        (
            (DENSE, X),
            {"tx": optax.sgd},
            f"tx must be an optax transformation, not {optax.sgd!r}; call it, `sgd(...)`",
        ),
        (
            (DENSE, X),
            {"tx": optax.GradientTransformation},
            (
                f"tx must be an optax transformation, not {optax.GradientTransformation!r}; call it, "
                "`GradientTransformation(...)`"
            ),
        ),
        (
            (DENSE, X),
            {"cls": dict},
            "cls must be TrainState or a class like it, a dataclass with `create`, not <class 'dict'>",
        ),
        (
            (DENSE, X),
            {"dropout_key": KEY},
            "TrainState has no field `dropout_key`; it has step, apply_fn, params, tx, opt_state",
        ),
        (
            (DENSE, X),
            {"step": 5},
            (
                "`step` follows from the model and the optimizer\n"
                "  help: change it afterwards, `state.replace(step=...)`"
            ),
        ),
        (
            (DENSE, X),
            {"cls": Fields},
            (
                "Fields has fields that the model does not fill: batch_stats, dropout_key\n"
                "  help: make_train_state(..., cls=Fields, batch_stats=..., dropout_key=...)"
            ),
        ),
    ],
    ids=lambda value: re.sub(r"\W+", " ", value)[:40] if isinstance(value, str) else "",
)
def test_bad_use_is_a_type_error(args: Any, options: Any, message: str) -> None:
    with pytest.raises(TypeError) as caught:
        make_train_state(*args, **options)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("args", "options", "message"),
    [
        ((Normalised(), X), {}, NEEDS_VALUES.format("Normalised")),
        ((Branching(), X), {}, NEEDS_VALUES.format("Branching")),
        (
            (Net(), X),
            {"init_kwargs": {"train": False}},
            (
                "the model has a collection `batch_stats`, and TrainState has no field for it\n"
                "  help: `class MyTrainState(TrainState): batch_stats: Any`, then pass cls=MyTrainState"
            ),
        ),
        (
            ({"w": SHAPE},),
            {},
            "the model or a field has shapes in place of arrays; pass abstract=True, or arrays",
        ),
    ],
    ids=["values", "branches", "collection", "shapes"],
)
def test_what_cannot_work_is_a_value_error(args: Any, options: Any, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole text is compared
        make_train_state(*args, **options)
    assert str(caught.value) == message


def test_bad_use_draws_no_key(make_train_state: Callable[..., TrainState], keys: KeyStream) -> None:
    with pytest.raises(TypeError):
        make_train_state(nn.Dense(2), X, tx=optax.sgd)
    assert keys.log == []


def test_error_of_the_model_is_its_own() -> None:
    with pytest.raises(TypeError, match=r"missing 1 required positional argument: 'inputs'"):
        make_train_state(nn.Dense(2))
    with pytest.raises(TypeError, match="contracting dimensions"):
        make_train_state(Block(0), jnp.ones((2, 7)), cls=Stats)


def test_missing_collection_of_an_nnx_module_is_named() -> None:
    state = make_train_state(Block(0), cls=Stats)
    with pytest.raises(ValueError, match="batch_stats") as caught:
        state.apply_fn({"params": state.params}, X)
    assert str(caught.value) == (
        "the module has variables in `batch_stats`, and they were not given\n"
        '  help: `apply_fn({"params": state.params, "batch_stats": state.batch_stats}, ...)`'
    )
