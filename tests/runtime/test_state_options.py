"""Models of equinox and boxed params, optimizers by name, dtypes, and places for the arrays of a state."""

import re
from typing import Any

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx, serialization
from flax.training.train_state import TrainState
from jax.sharding import NamedSharding, PartitionSpec, SingleDeviceSharding

from pytest_purestate import make_train_state
from pytest_purestate._runtime.trees import diff

pytestmark = pytest.mark.slow

X = jnp.ones((2, 3))
KEY = jax.random.key(7)


def shapes(tree: Any) -> Any:
    return jax.tree.map(jnp.shape, tree)


# Equinox


class Model(eqx.Module):
    linear: eqx.nn.Linear
    steps: jax.Array
    scale: float
    activation: Any

    def __init__(self, seed: int, scale: float = 2.0) -> None:
        self.linear = eqx.nn.Linear(3, 2, key=jax.random.key(seed))
        self.steps = jnp.asarray(seed)
        self.scale = scale
        self.activation = jax.nn.relu

    def __call__(self, x: Any, shift: float = 0.0) -> Any:
        return self.activation(self.linear(x)) * self.scale + self.steps + shift


class Buffered(TrainState):  # type: ignore[no-untyped-call]
    buffers: Any


def test_equinox_model_is_partitioned_as_equinox_does() -> None:
    model = eqx.nn.MLP(3, 2, 4, 2, key=KEY)
    state: Any = make_train_state(model, X[0], tx=optax.adam(0.1))
    params = eqx.partition(model, eqx.is_inexact_array)[0]
    assert list(state.params["layers"]) == ["0", "1", "2"]
    assert not diff(jax.tree.leaves(state.params["layers"]["2"]), jax.tree.leaves(params.layers[2])[::-1])
    assert len(jax.tree.leaves(state.params)) == len(jax.tree.leaves(params))
    assert eqx.tree_equal(state.apply_fn.module({"params": state.params}), model)
    assert serialization.to_state_dict(state)["params"]["layers"]["0"].keys() == {"weight", "bias"}
    assert eqx.tree_equal(state.apply_fn({"params": state.params}, X[0]), model(X[0]))

    def loss(params: Any) -> Any:
        return jnp.sum(jax.vmap(lambda x: state.apply_fn({"params": params}, x))(X) ** 2)

    new = state.apply_gradients(grads=jax.grad(loss)(state.params))
    assert loss(new.params) < loss(state.params)
    jax.jit(lambda state: state, donate_argnums=0)(new)
    assert not model.layers[0].weight.is_deleted()


def test_arrays_of_an_equinox_model_that_are_no_params_are_data() -> None:
    model = Model(1)
    state: Any = make_train_state(model, X[0], cls=Buffered, init_kwargs={"shift": 1.0})
    assert jax.tree.leaves(state.buffers) == [1]
    assert len(jax.tree.leaves(state.params)) == 2
    variables = {"params": state.params, "buffers": state.buffers}
    assert not diff(state.apply_fn(variables, X[0], shift=3.0), model(X[0], 3.0))
    with pytest.raises(ValueError, match="collection `buffers`, and TrainState has no field for it"):
        make_train_state(model)
    with pytest.raises(ValueError, match="arrays in `buffers`, and they were not given"):
        state.apply_fn({"params": state.params}, X[0])
    with pytest.raises(
        ValueError, match=r"`params\['linear'\]\['weight'\]` is an array of the module, and is not there"
    ):
        state.apply_fn({**variables, "params": state.params["linear"]}, X[0])


def test_equinox_models_that_differ_in_arrays_alone_share_a_compiled_step() -> None:
    traces = []

    @jax.jit
    def step(state: Any) -> Any:
        traces.append(state)
        return state.replace(step=state.step + 1)

    for model in (Model(0), Model(1), Model(1, 3.0), Model(1, 3)):
        step(make_train_state(model, cls=Buffered))
    assert len(traces) == 3


def test_equinox_state_is_handed_through() -> None:
    class Stateful(TrainState):  # type: ignore[no-untyped-call]
        model_state: Any

    class Counter(eqx.Module):
        weight: jax.Array
        index: eqx.nn.StateIndex[jax.Array]

        def __init__(self) -> None:
            self.weight = jnp.ones(())
            self.index = eqx.nn.StateIndex(jnp.zeros(()))

        def __call__(self, x: Any, state: Any) -> Any:
            count = state.get(self.index) + self.weight
            return x * count, state.set(self.index, count)

    model, model_state = eqx.nn.make_with_state(Counter)()
    state = make_train_state(model, cls=Stateful, model_state=model_state)
    output, after = state.apply_fn({"params": state.params}, jnp.asarray(2.0), state.model_state)
    assert (output, after.get(model.index)) == (2, 1)


def test_equinox_model_is_checked_against_its_inputs() -> None:
    with pytest.raises(TypeError, match="contracting dimensions"):
        make_train_state(Model(0), jnp.ones(7), cls=Buffered)
    with pytest.raises(TypeError, match="rngs initialise a linen module"):
        make_train_state(Model(0), cls=Buffered, rngs=KEY)


# Linen: boxes and collections


class Partitioned(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        kernel = nn.with_partitioning(nn.initializers.normal(), (None, "model"))
        x = nn.Dense(4, kernel_init=kernel)(x)
        count = self.variable("cache", "deep", lambda: {"calls": {"n": jnp.zeros((), jnp.int32)}})
        self.sow("intermediates", "seen", x)
        return x + count.value["calls"]["n"]


class Cached(TrainState):  # type: ignore[no-untyped-call]
    cache: Any


def test_boxed_params_keep_their_boxes_and_work() -> None:
    state = make_train_state(Partitioned(), X, cls=Cached, tx="adam", dtype=jnp.bfloat16)
    kernel = state.params["Dense_0"]["kernel"]
    assert isinstance(kernel, nn.Partitioned)
    assert (kernel.names, kernel.value.dtype) == ((None, "model"), jnp.bfloat16)
    assert state.cache == {"deep": {"calls": {"n": 0}}}
    grads = jax.grad(lambda p: state.apply_fn({"params": p, "cache": state.cache}, X).sum())(state.params)
    new = state.apply_gradients(grads=grads)  # type: ignore[no-untyped-call]
    assert diff(new.params, state.params)
    assert nn.get_partition_spec(new).params["Dense_0"]["kernel"] == PartitionSpec(None, "model")  # type: ignore[no-untyped-call]


# dtype


@pytest.mark.parametrize(
    "model",
    [
        nn.Dense(2),
        nnx.Linear(3, 2, rngs=nnx.Rngs(0)),
        eqx.nn.Linear(3, 2, key=KEY),
        {"w": jnp.ones(2), "host": np.ones(2), "number": 2.0},
    ],
    ids=["linen", "nnx", "equinox", "params"],
)
@pytest.mark.parametrize("abstract", [False, True], ids=["arrays", "shapes"])
def test_floating_params_have_the_dtype_and_optimizers_follow(model: Any, abstract: bool) -> None:
    inputs = (X,) if isinstance(model, nn.Dense) else ()
    state = make_train_state(model, *inputs, dtype=jnp.bfloat16, tx="adam", abstract=abstract)
    assert {str(leaf.dtype) for leaf in jax.tree.leaves(state.params)} == {"bfloat16"}
    mu = optax.tree_utils.tree_get(state.opt_state, "mu")
    assert {str(leaf.dtype) for leaf in jax.tree.leaves(mu)} == {"bfloat16"}


def test_what_is_no_float_or_no_param_stays() -> None:
    state = make_train_state(
        {"w": jnp.ones(2), "n": jnp.arange(2), "c": jnp.ones(2, complex)}, dtype="float16"
    )
    assert [str(state.params[name].dtype) for name in "wnc"] == ["float16", "int32", "complex64"]

    class Stats(TrainState):  # type: ignore[no-untyped-call]
        batch_stats: Any

    norm = make_train_state(nn.BatchNorm(True), X, cls=Stats, dtype=jnp.bfloat16)
    assert (norm.params["scale"].dtype, norm.batch_stats["mean"].dtype) == (jnp.bfloat16, jnp.float32)


# Optimizers by name


def test_one_text_is_one_optimizer() -> None:
    states = [make_train_state({"w": X}, tx=" adam( 1e-2, b1=0.5) ") for _ in range(2)]
    assert states[0].tx is states[1].tx
    same = make_train_state({"w": X}, tx=optax.adam(1e-2, b1=0.5))
    assert not diff(
        *(state.apply_gradients(grads={"w": X}).params for state in (states[0], same))  # type: ignore[no-untyped-call]
    )
    assert make_train_state({"w": X}).tx is make_train_state({"w": X}, tx="sgd(0.1)").tx


def test_learning_rate_of_a_bare_name() -> None:
    step = make_train_state({"w": X}, tx="sgd").apply_gradients(grads={"w": X})  # type: ignore[no-untyped-call]
    np.testing.assert_allclose(step.params["w"], X - 1e-3, rtol=1e-6)
    make_train_state({"w": X}, tx="zero_nans")


@pytest.mark.parametrize(
    ("tx", "message"),
    [
        ("adm", "tx: optax has no optimizer `adm`\n  help: did you mean 'adam'?"),
        ("AdamW", "tx: optax has no optimizer `AdamW`\n  help: did you mean 'adamw'?"),
        ("quux", "tx: optax has no optimizer `quux`\n  help: pass the transformation itself"),
        (
            "adam(lr=1)",
            (
                "tx: `optax.adam` does not take these arguments: got an unexpected keyword argument 'lr'\n"
                '  help: write them as literals, "adam(...)", or pass the transformation itself'
            ),
        ),
        (
            "clip",
            (
                "tx: `optax.clip` does not take these arguments: missing a required argument: 'max_delta'\n"
                '  help: write them as literals, "clip(...)", or pass the transformation itself'
            ),
        ),
        *(
            (
                text,
                (
                    f"tx: {text!r} is not the name of an optimizer, such as 'adam' or 'adam(1e-3, b1=0.8)' "
                    "with literals"
                ),
            )
            for text in ("", "adam(", "optax.adam", "adam(rate)", "sgd(**{})")
        ),
    ],
)
def test_wrong_name_is_told(tx: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole text is compared
        make_train_state({"w": X}, tx=tx)
    assert str(caught.value) == message


def test_schedule_is_no_optimizer() -> None:
    with pytest.raises(ValueError, match=r"`optax\.constant_schedule` makes no optimizer, but <function"):
        make_train_state({"w": X}, tx="constant_schedule(0.1)")


# Bad use


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"dtype": "int32"},
            TypeError,
            "dtype must be a floating dtype, such as jnp.bfloat16, not 'int32'",
        ),
        ({"dtype": "quux"}, TypeError, "dtype must be a floating dtype, such as jnp.bfloat16, not 'quux'"),
        ({"dtype": "float64"}, ValueError, "dtype: JAX has no float64 without `jax_enable_x64`"),
        (
            {"sharding": "data"},
            TypeError,
            "sharding must be a Sharding, a function (path, shape) -> Sharding, or a state of shardings, not 'data'",
        ),
        (
            {"sharding": lambda path, shape: None},
            TypeError,
            "sharding: `step` needs a Sharding, not None",
        ),
        (
            {"sharding": {"params": SingleDeviceSharding(jax.devices()[0])}},
            ValueError,
            "sharding: nothing is said about `step`",
        ),
        (
            {"sharding": {"parms": SingleDeviceSharding(jax.devices()[0])}},
            ValueError,
            "sharding: the state has no field `parms` with arrays; it has step, params, opt_state",
        ),
    ],
    ids=["int", "no dtype", "wide", "text", "nothing", "missing", "mistyped"],
)
def test_bad_use_is_told(options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        make_train_state({"w": X}, **options)
    assert str(caught.value) == message


def test_mesh_is_no_sharding() -> None:
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("data",))
    with pytest.raises(
        TypeError, match=re.escape("not a mesh; `NamedSharding(mesh, PartitionSpec())` has all")
    ):
        make_train_state({"w": X}, sharding=mesh)
    with pytest.raises(ValueError, match="does not fit `params\\['w'\\]`, which is float32\\[2, 3\\]"):
        make_train_state({"w": X}, sharding=NamedSharding(mesh, PartitionSpec("data", None, None)))  # type: ignore[no-untyped-call]


# On several devices


SHARDED = """
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from flax.training.train_state import TrainState
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P

from pytest_purestate import make_train_state
from pytest_purestate._runtime.trees import diff

MESH = Mesh(np.array(jax.devices()).reshape(2, 4), ("data", "model"))
WHOLE, ROWS, COLUMNS = (NamedSharding(MESH, spec) for spec in (P(), P("model"), P(None, "model")))
X = jnp.ones((2, 4))
KEY = jax.random.key(7)


def by_path(path, shape):
    return COLUMNS if path.endswith("['kernel']") else WHOLE


class Stats(TrainState):
    batch_stats: object
    dropout_key: object = None


class Net(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.BatchNorm(use_running_average=True)(nn.Dense(8)(x))


def places(state):
    found = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(state)[0]:
        if isinstance(leaf, jax.Array):
            found[jax.tree_util.keystr(path)] = leaf.sharding
    return found


def test_function():
    asked = []

    def sharding(path, shape):
        asked.append((path, shape.shape))
        return by_path(path, shape)

    state = make_train_state(Net(), X, cls=Stats, tx="adam", sharding=sharding, rngs=KEY)
    assert ("params['Dense_0']['kernel']", (4, 8)) in asked
    assert ("opt_state[0].mu['Dense_0']['kernel']", (4, 8)) in asked
    assert ("step", ()) in asked
    found = places(state)
    for path, place in found.items():
        assert place == (COLUMNS if "kernel" in path else WHOLE), path
    assert state.step == 0 and isinstance(state.step, int)
    kernel = state.params["Dense_0"]["kernel"]
    assert {shard.data.shape for shard in kernel.addressable_shards} == {(4, 2)}
    plain = make_train_state(Net(), X, cls=Stats, tx="adam", rngs=KEY)
    np.testing.assert_array_equal(np.asarray(kernel), np.asarray(plain.params["Dense_0"]["kernel"]))
    step = jax.jit(lambda s: s.apply_gradients(grads=s.params), donate_argnums=0)
    assert places(step(state)).keys() >= found.keys()


def test_one_for_all_and_scalars_whole():
    state = make_train_state(nn.Dense(8), X, tx="adam", sharding=ROWS)
    found = places(state)
    assert found[".params['kernel']"] == ROWS and found[".opt_state[0].count"] == WHOLE
    with pytest.raises(ValueError, match="does not fit `params.'bias'.`, which is float32.3."):
        make_train_state(nn.Dense(3), X, sharding=ROWS)


def test_state_of_shardings():
    class Boxed(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dense(8, kernel_init=nn.with_partitioning(nn.initializers.normal(), (None, "model")))(x)

    shapes = make_train_state(Boxed(), X, tx="adam", abstract=True)
    state = make_train_state(Boxed(), X, tx=optax.adam(0.1), sharding=nn.get_sharding(shapes, MESH))
    found = places(state)
    assert found[".params['Dense_0']['kernel'].value"] == COLUMNS
    assert found[".opt_state[0].mu['Dense_0']['kernel'].value"] == COLUMNS
    assert found[".params['Dense_0']['bias']"] == WHOLE
    again = make_train_state(Boxed(), X, tx="sgd", sharding={"step": WHOLE, "params": WHOLE})
    assert set(places(again).values()) == {WHOLE}
    with pytest.raises(ValueError, match="sharding: `params` has another structure than in the state"):
        make_train_state(Boxed(), X, tx="sgd", sharding={"step": WHOLE, "params": {"other": WHOLE}})


@pytest.mark.parametrize("model", [nnx.Linear(4, 8, rngs=nnx.Rngs(0)), {"kernel": X, "host": np.ones(4)}])
def test_params_that_are_there_are_moved(model):
    state = make_train_state(model, sharding=by_path, tx=optax.contrib.schedule_free(optax.sgd(0.1), learning_rate=0.1))
    assert places(state)[".params['kernel']"] == COLUMNS
    jax.jit(lambda s: jax.tree.map(lambda leaf: leaf + 1, s), donate_argnums=0)(state)
    jax.tree.map(lambda leaf: leaf + 1, nnx.state(model) if isinstance(model, nnx.Module) else model)


def test_fields():
    key, stats = jax.random.key(3), {"mean": jnp.arange(4.0)}
    state = make_train_state(Net(), X, cls=Stats, sharding=by_path, dropout_key=key, batch_stats=stats)
    assert places(state)[".dropout_key"] == WHOLE and places(state)[".batch_stats['mean']"] == WHOLE
    jax.jit(lambda s: jax.tree.map(lambda leaf: leaf, s), donate_argnums=0)(state)
    jax.random.split(key), stats["mean"] + 1


def test_shapes_say_where():
    shapes = make_train_state(nn.Dense(8), X, tx="adam", sharding=by_path, abstract=True, dtype=jnp.bfloat16)
    assert shapes.params["kernel"].sharding == COLUMNS
    assert shapes.params["kernel"].dtype == jnp.bfloat16
    assert shapes.opt_state[0].mu["kernel"].sharding == COLUMNS


def test_initialised_there_and_kept():
    traces = []

    class Counted(nn.Module):
        @nn.compact
        def __call__(self, x):
            traces.append(1)
            return nn.Dense(8)(x)

    def make(place):
        return make_train_state(Counted(), X, sharding=lambda path, shape: place if shape.ndim == 2 else WHOLE)

    make(COLUMNS)
    traces.clear()
    make(COLUMNS)
    assert not traces
    assert places(make(ROWS))[".params['Dense_0']['kernel']"] == ROWS
    assert traces


def test_key_on_another_device():
    key = jax.device_put(KEY, jax.devices()[3])
    state = make_train_state(nn.Dense(8), X, rngs=key)
    assert state.params["kernel"].devices() == {jax.devices()[3]}
    assert not diff(jax.device_get(state.params), jax.device_get(make_train_state(nn.Dense(8), X, rngs=KEY).params))
"""


def test_states_on_eight_devices(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_sharded=SHARDED)
    pytester.makeini("[pytest]\npurestate_host_devices = 8\n")
    result = pytester.runpytest_subprocess("-p", "no:randomly", "-p", "no:cacheprovider", timeout=300)
    result.assert_outcomes(passed=9)
