import functools
import pickle
import re
from collections.abc import Callable
from pathlib import Path
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

from pytest_purestate import PurityError, assert_resumable, make_train_state

pytestmark = pytest.mark.slow

BATCHES = [np.random.default_rng(i).normal(size=(4, 3)).astype(np.float32) for i in range(3)]


class State(TrainState):  # type: ignore[no-untyped-call]
    key: Any
    batch_stats: Any
    ema: Any


class Net(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> Any:
        x = nn.BatchNorm(use_running_average=False, use_bias=False, use_scale=False)(x)
        return nn.Dense(1)(nn.Dropout(0.5, deterministic=False)(x))


def make_state(key: Any) -> State:
    rngs = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
    state = make_train_state(
        Net(), jnp.ones((4, 3)), tx=optax.adam(1e-2), cls=State, rngs=rngs, key=key, ema=None
    )
    return state.replace(ema=jax.tree.map(jnp.copy, state.params))


RAW, TYPED = make_state(jax.random.PRNGKey(5)), make_state(jax.random.key(5))
RAW, TYPED = RAW, TYPED.replace(step=jnp.zeros((), jnp.int32), tx=RAW.tx)


@jax.jit
def step(state: Any, batch: Any) -> Any:
    key, dropout = jax.random.split(state.key)

    def loss_of(params: Any) -> Any:
        variables = {"params": params, "batch_stats": state.batch_stats}
        y, changed = state.apply_fn(variables, batch, rngs={"dropout": dropout}, mutable=["batch_stats"])
        return (y**2).mean(), changed["batch_stats"]

    (loss, stats), grads = jax.value_and_grad(loss_of, has_aux=True)(state.params)
    new = state.apply_gradients(grads=grads, key=key, batch_stats=stats)
    return new.replace(ema=optax.incremental_update(new.params, state.ema, 0.1)), {"loss": loss}


def add(state: Any, batch: Any) -> Any:
    """A small step on a dict: a sum and a count."""
    return {"sum": state["sum"] + batch.sum(), "count": state["count"] + 1}


def start() -> dict[str, Any]:
    return {"sum": jnp.zeros(2), "count": jnp.zeros((), jnp.int32)}


def failure(*args: Any, **options: Any) -> PurityError:
    with pytest.raises(PurityError) as caught:
        assert_resumable(*args, **options)
    return caught.value


def places(error: PurityError, kind: str = "not-saved") -> list[str]:
    return [problem.path for problem in error.problems if problem.kind == kind]


def without(*fields: str) -> Any:
    """Saving through flax as people do it who name the fields, and forget one."""

    def save(state: Any, path: Path) -> None:
        held = serialization.to_state_dict(state)
        path.write_bytes(serialization.msgpack_serialize({k: v for k, v in held.items() if k not in fields}))

    def restore(path: Path, template: Any) -> Any:
        held = serialization.to_state_dict(template) | serialization.msgpack_restore(path.read_bytes())
        return serialization.from_state_dict(template, held)

    return save, restore


# What passes


def test_state_after_all_batches_is_returned() -> None:
    for via in ("flax", "orbax", "npz"):
        end = assert_resumable(add, start(), BATCHES, via)
        assert end["count"] == 3
        assert isinstance(end["sum"], jax.Array)


def test_train_state_passes() -> None:
    assert assert_resumable(step, RAW, BATCHES).step == 3
    assert assert_resumable(step, TYPED, BATCHES, via="orbax").step == 3
    assert assert_resumable(step, TYPED, BATCHES, via="npz", at=1).step == 3


def test_donating_step_passes_and_the_state_stays() -> None:
    state = {"w": jnp.ones(3)}
    donating = jax.jit(lambda state, batch: {"w": state["w"] + batch.sum()}, donate_argnums=0)
    batches = [jnp.ones(2)] * 4
    in_memory: Any = (lambda state: state, lambda saved: saved)
    for via in ("flax", "orbax", "npz", in_memory):
        assert_resumable(donating, state, batches, via)
    assert state["w"].tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    "output",
    [
        lambda new, aux: new,
        lambda new, aux: (new, aux),
        lambda new, aux: (aux, new),
        lambda new, aux: [aux, aux, new],
    ],
)
def test_state_is_found_in_the_output(output: Callable[..., Any]) -> None:
    def step(state: Any, batch: Any) -> Any:
        return output(add(state, batch), {"sum": 3.0})

    assert assert_resumable(step, start(), BATCHES)["count"] == 3


def test_tuples_and_single_arrays_are_states() -> None:
    pair = (jnp.ones(2), (jnp.zeros(3),))
    assert len(assert_resumable(lambda s, b: (s[0] + 1, s[1]), pair, BATCHES)) == 2
    assert len(assert_resumable(lambda s, b: ((s[0] + 1, s[1]), b), pair, BATCHES)) == 2
    assert assert_resumable(lambda s, b: (s.sum(), s + 1), jnp.ones(2), BATCHES).tolist() == [4, 4]
    assert assert_resumable(lambda s, b: s + 1, 5, BATCHES) == 8


def test_methods_and_partials() -> None:
    class Trainer:
        rate = 0.5

        def step(self, state: Any, batch: Any, *, times: float = 1.0) -> Any:
            return state - self.rate * times * batch.mean()

    trainer = Trainer()
    assert_resumable(trainer.step, jnp.ones(2), BATCHES)
    assert_resumable(functools.partial(jax.jit(trainer.step), times=2.0), jnp.ones(2), BATCHES)


class Dense(nnx.Module):
    def __init__(self) -> None:
        rngs = nnx.Rngs(0)
        self.linear = nnx.Linear(3, 1, rngs=rngs)
        self.norm = nnx.BatchNorm(3, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        return self.linear(self.dropout(self.norm(x)))


@nnx.jit
def in_place(state: Any, batch: Any) -> Any:
    model, optimizer = state
    loss, grads = nnx.value_and_grad(lambda model: (model(batch) ** 2).mean())(model)
    if hasattr(optimizer, "model"):  # Flax 0.10
        optimizer.update(grads)
    else:
        optimizer.update(model, grads)
    return loss


def nnx_state() -> Any:
    model = Dense()
    return model, nnx.Optimizer(model, optax.sgd(1e-2, momentum=0.9), wrt=nnx.Param)


def test_nnx_in_place() -> None:
    state = nnx_state()
    before = np.asarray(state[0].linear.kernel[...])
    for via in ("orbax", "npz"):
        end, _ = assert_resumable(in_place, state, BATCHES, via)
        assert not (np.asarray(end.linear.kernel[...]) == before).all()
    assert (np.asarray(state[0].linear.kernel[...]) == before).all()


def test_nnx_params_alone_are_not_enough() -> None:
    def save(state: Any, path: Path) -> None:
        path.write_bytes(
            pickle.dumps(jax.tree.map(np.asarray, nnx.to_pure_dict(nnx.state(state[0], nnx.Param))))
        )

    def restore(path: Path, template: Any) -> Any:
        params = nnx.state(template[0], nnx.Param)
        nnx.replace_by_pure_dict(params, pickle.loads(path.read_bytes()))
        nnx.update(template[0], params)
        return template

    error = failure(in_place, nnx_state(), BATCHES, (save, restore))
    found = places(error)
    assert "state[0].norm.mean" in found
    assert any(place.startswith("state[0].dropout.rngs") and place.endswith("count") for place in found)
    assert any(place.endswith("['linear']['kernel']") and "trace" in place for place in found)
    assert "state[0].linear.kernel" not in found


def test_equinox() -> None:
    model = eqx.nn.MLP(3, 1, 2, 1, key=jax.random.key(0))
    tx = optax.adam(1e-2)

    @eqx.filter_jit
    def step(state: Any, batch: Any) -> Any:
        model, opt_state = state
        loss, grads = eqx.filter_value_and_grad(lambda m: (jax.vmap(m)(batch) ** 2).mean())(model)  # type: ignore[no-untyped-call]
        updates, opt_state = tx.update(grads, opt_state, model)
        return loss, (eqx.apply_updates(model, updates), opt_state)

    state = (model, tx.init(eqx.filter(model, eqx.is_array)))
    own: Any = (
        lambda s, path: eqx.tree_serialise_leaves(str(path), s),
        lambda p, t: eqx.tree_deserialise_leaves(str(p), t),
    )
    for via in ("orbax", "npz", own):
        assert_resumable(step, state, BATCHES, via)
    error = failure(step, state, BATCHES, "flax")
    assert error.headline == "`state` cannot be saved through flax.serialization"
    assert [problem.path for problem in error.problems] == ["state[0]", "state[1][0].mu", "state[1][0].nu"]
    only_model: Any = (own[0], lambda path, t: (eqx.tree_deserialise_leaves(str(path), t)[0], t[1]))
    assert places(failure(step, state, BATCHES, only_model))[:2] == [
        "state[1][0].count",
        "state[1][0].mu.layers[0].weight",
    ]


def test_what_only_stands_in_another_form_is_no_loss() -> None:
    state = {"step": 0, "rate": 0.5, "host": np.ones(2), "weak": jnp.asarray(1.0)}

    def step(state: Any, batch: Any) -> Any:
        return {**state, "step": state["step"] + 1, "host": state["host"] * state["rate"]}

    arrays: Any = (lambda state: jax.tree.map(np.asarray, state), lambda saved: saved)
    for via in ("flax", "orbax", "npz", arrays):
        assert_resumable(step, state, BATCHES, via)


def test_functions_of_a_library_are_a_way_to_save() -> None:
    assert_resumable(add, start(), BATCHES, (pickle.dumps, pickle.loads))


def test_memory_that_does_not_matter_passes_and_is_kept() -> None:
    calls: list[int] = []

    def step(state: Any, batch: Any) -> Any:
        calls.append(1)
        return state + batch.sum()

    assert_resumable(step, jnp.zeros(()), BATCHES)
    assert len(calls) == 3


# What is caught: nothing of it was saved


def test_optimizer_state_that_is_not_saved() -> None:
    state = make_train_state({"kernel": jnp.ones(2)}, tx=optax.sgd(0.25, momentum=0.5))

    @jax.jit
    def step(state: Any, batch: Any) -> Any:
        return state.apply_gradients(grads={"kernel": batch})

    assert_resumable(step, state, [jnp.ones(2)] * 4)
    error = failure(step, state, [jnp.ones(2)] * 4, without("opt_state"))
    settings = error.notes[0]
    assert re.sub(r"by at most \d+ ULP", "by at most N ULP", str(error)) == (
        "`step` cannot be resumed through (`save`, `restore`): `state.opt_state` was not saved\n"
        "  state.opt_state[0].trace['kernel']: was not saved: it came back as in the new state that was restored into\n"
        "    saved:    1.5 at [0]\n"
        "    restored: 0.0 at [0]\n"
        "  state.params['kernel'][0]: after all batches, 2 of 2 elements differ, by at most N ULP\n"
        "    in one go: -0.53125\n"
        "    resumed:   -0.25\n"
        "  state.opt_state[0].trace['kernel'][0]: after all batches, 2 of 2 elements differ, by at most N ULP\n"
        "    in one go: 1.875\n"
        "    resumed:   1.5\n"
        f"  {settings}\n"
        "  help: save the whole state, and restore into one that was made in the same way: optimizer state, step, keys "
        "and statistics are part of it as much as the params"
    )
    assert settings.startswith("settings: jax ")


@pytest.mark.parametrize(
    ("field", "first"),
    [
        ("key", "state.key"),
        ("step", "state.step"),
        ("params", "state.params['Dense_0']['bias']"),
        ("batch_stats", "state.batch_stats['BatchNorm_0']['mean']"),
        ("ema", "state.ema['Dense_0']['bias']"),
        ("opt_state", "state.opt_state[0].count"),
    ],
)
def test_field_that_is_not_saved(field: str, first: str) -> None:
    error = failure(step, RAW, BATCHES, without(field), at=2)
    assert places(error)[0] == first
    assert all(place.startswith(f"state.{field}") for place in places(error))
    assert error.headline.endswith(f": `state.{field}` was not saved")


def test_several_fields_are_all_named() -> None:
    error = failure(step, RAW, BATCHES, without("key", "step"))
    assert error.headline.endswith(": `state.step` and `state.key` were not saved")


def test_arguments_are_called_what_the_caller_calls_them() -> None:
    mine, data = {"a": jnp.ones(2)}, BATCHES
    noise = Noise()
    nothing: Any = (lambda state: None, lambda saved, template: template)
    with pytest.raises(PurityError) as caught:
        assert_resumable(lambda s, b: (s, noise.step(0.0, b)), mine, data, via=nothing)
    assert [problem.path for problem in caught.value.problems[:2]] == [
        "mine['a']",
        "<lambda>(mine, data[1])[1]",
    ]


def test_typed_key_cannot_go_through_flax() -> None:
    error = failure(step, TYPED, BATCHES)
    assert error.headline == "`state` cannot be saved through flax.serialization"
    assert [(problem.kind, problem.path) for problem in error.problems] == [("not-saved", "state.key")]
    assert "jax.random.key_data" in error.help


def test_loss_that_does_not_show_in_the_results() -> None:
    def step(state: Any, batch: Any) -> Any:
        return {**state, "best": jnp.zeros(2)}

    state = {"best": jnp.ones(2), "frozen": jnp.zeros(3)}
    nothing: Any = (lambda state: None, lambda saved, template: template)
    error = failure(step, state, BATCHES, nothing)
    assert [(p.kind, p.path, p.before, p.after) for p in error.problems] == [
        ("not-saved", "state['best']", "float32[2]", "float32[2]"),
        ("not-saved", "state['frozen']", "float32[3]", "float32[3]"),
    ]


def test_own_new_state_is_known_by_the_initial_one() -> None:
    error = failure(add, start(), BATCHES, (lambda s: s["sum"], lambda saved: {**start(), "sum": saved}))
    assert [(p.path, p.message, p.before, p.after) for p in error.problems[:1]] == [
        ("state['count']", "was not saved: it came back as at initialisation", "1", "0")
    ]


def test_transient_parts_are_left_out() -> None:
    save, restore = without("count")
    error = failure(add, start(), BATCHES, (save, restore))
    assert places(error) == ["state['count']"]
    assert_resumable(add, start(), BATCHES, (save, restore), transient=["state['count']"])


# What is caught: it came back changed


def test_lower_precision() -> None:
    half: Any = (
        lambda s: jax.tree.map(lambda x: x.astype(jnp.bfloat16), s),
        lambda saved: jax.tree.map(lambda x: x.astype(jnp.float32), saved),
    )
    error = failure(lambda s, b: {"w": s["w"] + 0.1}, {"w": jnp.ones(2)}, BATCHES, half)
    first = error.problems[0]
    assert error.headline.endswith(": `state['w']` was changed on the way")
    assert first.path == "state['w'][0]"
    assert first.message.startswith("came back changed: 2 of 2 elements differ")
    assert first.labels == ("saved", "restored")
    assert (first.before, first.after) == ("1.1", "1.1015625")


def test_dtypes_and_containers() -> None:
    state = {"n": jnp.zeros((), jnp.int32), "t": (jnp.ones(2),), "w": jnp.ones(2, jnp.bfloat16)}

    def step(state: Any, batch: Any) -> Any:
        return state

    other: Any = (
        lambda s: s,
        lambda s: {"n": s["n"].astype(float), "t": list(s["t"]), "w": np.asarray(s["w"], np.float32), "x": 1},
    )
    problems = failure(step, state, BATCHES, other).problems
    assert [(p.kind, p.path, p.before, p.after) for p in problems if p.labels == ("saved", "restored")] == [
        ("added", "state['x']", "", "1"),
        ("dtype", "state['n']", "int32[]", "float32[]"),
        ("type", "state['t']", "tuple with 1 entry", "list with 1 entry"),
        ("dtype", "state['w']", "bfloat16[2]", "float32[2]"),
    ]


def test_weak_type_that_decides_a_dtype() -> None:
    state = {"w": jnp.ones(2, jnp.bfloat16), "scale": jnp.asarray(1.0)}
    error = failure(lambda s, b: {"w": s["w"] * s["scale"], "scale": s["scale"]}, state, BATCHES, "npz")
    assert error.headline == (
        "`<lambda>` cannot be resumed through npz: `state` came back as it was, and the results differ"
    )
    assert error.notes[0] == "came back in another form: state['scale']: weak float32[], now float32[]"
    assert "strong array" in error.help
    assert [(p.kind, p.path) for p in error.problems] == [("dtype", "state['w']")]


# What is caught: hidden state


class Noise:
    """A hidden key, and a scale that is taken from the first batch."""

    def __init__(self) -> None:
        self.key = jax.random.key(0)
        self.scale: float | None = None

    def step(self, state: Any, batch: Any) -> Any:
        self.key, key = jax.random.split(self.key)
        return state + jax.random.normal(key)

    def scaled(self, state: Any, batch: Any) -> Any:
        if self.scale is None:
            self.scale = float(batch.std())
        return state + batch.mean() / self.scale


def test_key_of_an_object() -> None:
    noise = Noise()
    error = failure(noise.step, jnp.zeros(()), BATCHES, "npz")
    assert error.headline == "`Noise.step` cannot be resumed through npz: it remembers what is not in `state`"
    assert places(error, "hidden-state") == ["self.key"]
    assert error.help.startswith("no checkpoint has what a function remembers")
    assert (noise.key != jax.random.key(0)).all()  # what it did itself stays


def test_what_is_set_once_is_not_there_in_a_new_process() -> None:
    noise = Noise()
    error = failure(noise.scaled, jnp.zeros(()), BATCHES)
    assert places(error, "hidden-state") == ["self.scale"]
    assert noise.scale == float(BATCHES[0].std())


SEEN: list[float] = []


def remember(state: Any, batch: Any) -> Any:
    if not SEEN:
        SEEN.append(float(batch.max()))
    return state * SEEN[0]


def test_global_and_closure_that_are_set_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "SEEN", [])
    assert places(failure(remember, jnp.ones(()), BATCHES), "hidden-state") == [f"{__name__}.SEEN[0]"]
    assert [float(BATCHES[0].max())] == SEEN
    largest: float | None = None
    ones = np.zeros(2)

    def step(state: Any, batch: Any) -> Any:
        nonlocal largest
        if largest is None:
            largest = float(batch.max())
            ones[:] = batch.min()
        return state * largest + ones

    assert "step.<closure>.largest" in places(failure(step, jnp.ones(()), BATCHES), "hidden-state")
    assert largest == float(BATCHES[0].max())


def test_random_numbers_of_the_host() -> None:
    error = failure(lambda s, b: s + np.random.normal(), jnp.zeros(()), BATCHES)
    assert places(error, "hidden-state") == ["numpy.random"]
    assert error.help.startswith("random numbers of the host are in no checkpoint")


def test_lost_and_hidden_are_both_told() -> None:
    noise = Noise()
    error = failure(lambda s, b: add(s, noise.step(b, b)), start(), BATCHES, without("count"))
    assert error.headline.endswith("`state['count']` was not saved, and it remembers what is not in `state`")


def test_only_another_result_differs() -> None:
    noise = Noise()

    def step(state: Any, batch: Any) -> Any:
        return add(state, batch), {"loss": [noise.step(0.0, batch)]}

    error = failure(step, start(), BATCHES, "npz")
    assert [problem.path for problem in error.problems][:1] == ["step(state, batches[1])[1]['loss'][0]"]


def test_memory_that_was_donated_is_left_as_it_is() -> None:
    class Holder:
        def __init__(self) -> None:
            self.bias = jnp.zeros(2)

        def step(self, state: Any, batch: Any) -> Any:
            self.bias = jax.jit(lambda b: b + 1, donate_argnums=0)(self.bias)
            return state + self.bias

    assert "self.bias" in places(failure(Holder().step, jnp.zeros(2), BATCHES), "hidden-state")[0]


# Bad use


@pytest.mark.parametrize(
    ("args", "options", "error", "text"),
    [
        (
            (3, {}, BATCHES),
            {},
            TypeError,
            "assert_resumable needs a function and its arguments, not the value 3",
        ),
        (
            (add, start(), iter(BATCHES)),
            {},
            TypeError,
            "batches must be a list of batches, not list_iterator",
        ),
        ((add, start(), np.stack(BATCHES)), {}, TypeError, "batches must be a list of batches, not ndarray"),
        ((add, start(), BATCHES[:1]), {}, ValueError, "batches must be 2 or more, to save in between: 1"),
        (
            (add, start(), BATCHES),
            {"at": 3},
            ValueError,
            "at must be from 1 to 2, so that there are steps before and after: 3",
        ),
        ((add, start(), BATCHES), {"at": 1.0}, TypeError, "at must be an integer, not 1.0"),
        ((add, start(), BATCHES), {"via": "zip"}, ValueError, "via has no 'zip'"),
        ((add, start(), BATCHES), {"transient": "state"}, TypeError, "transient must be a tuple of paths"),
        ((add, start(), BATCHES), {"transient": [3]}, TypeError, "and has 3"),
        (
            (lambda s, b: None, start(), BATCHES),
            {},
            TypeError,
            "`<lambda>` returns no state: it was given a dict and returned a NoneType",
        ),
        (
            (lambda s, b: (1, 2), start(), BATCHES),
            {},
            TypeError,
            "returns no state: it was given a dict and returned a tuple",
        ),
        (
            (lambda s, b: (s, iter(())), start(), BATCHES),
            {},
            TypeError,
            "tuple_iterator, which cannot be compared",
        ),
    ],
)
def test_bad_use(args: Any, options: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        assert_resumable(*args, **options)
    assert text in str(caught.value)
