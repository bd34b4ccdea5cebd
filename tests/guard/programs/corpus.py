"""Key bugs of real projects, re-created small: the buggy version is reported, the corrected one is silent.

Where the bug is one draw for a whole vmapped batch, the guard is silent by policy and the buggy version stands as
`good_`. The marks are explained in `expectations`.
"""

import contextlib
import functools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax.training.train_state import TrainState
from jax import random


def bad_constant_key_in_loop() -> None:
    """TF_JAX_tutorials 4: the key is made from one integer in every pass of the loop."""

    def crop_offsets(number: int) -> list[jax.Array]:
        offsets = []
        for _ in range(number):
            key = random.PRNGKey(0)
            offsets.append(random.randint(key, (2,), 0, 4))  # first # reuse
        return offsets

    crop_offsets(3)


def good_constant_key_in_loop() -> None:
    """TF_JAX_tutorials 4, corrected."""

    def crop_offsets(key: jax.Array, number: int) -> list[jax.Array]:
        offsets = []
        for _ in range(number):
            key, sub = random.split(key)
            offsets.append(random.randint(sub, (2,), 0, 4))
        return offsets

    crop_offsets(random.PRNGKey(0), 3)


def _neg_elbo(
    params: dict[str, jax.Array], model_key: jax.Array, guide_key: jax.Array, data: jax.Array
) -> jax.Array:
    z = params["loc"] + jnp.exp(params["log_scale"]) * random.normal(guide_key)
    noise = 0.01 * random.normal(model_key, data.shape)
    return jnp.mean((data + noise - z) ** 2) - params["log_scale"]


def bad_svi_update_seeds_and_returns_one_key() -> None:
    """numpyro 263: a helper splits the key for model and guide, then the update splits it again."""

    def seed_pair(rng: jax.Array) -> tuple[jax.Array, jax.Array]:
        model_key, guide_key = random.split(rng)  # first
        return model_key, guide_key

    def update(rng: jax.Array, params: Any, opt_state: Any, data: jax.Array) -> tuple[Any, Any, jax.Array]:
        model_key, guide_key = seed_pair(rng)
        _, grads = jax.value_and_grad(_neg_elbo)(params, model_key, guide_key, data)
        updates, opt_state = tx.update(grads, opt_state)
        rng, _ = random.split(rng)  # reuse
        return optax.apply_updates(params, updates), opt_state, rng

    tx = optax.adam(1e-2)
    params = {"loc": jnp.zeros(()), "log_scale": jnp.zeros(())}
    update(random.PRNGKey(0), params, tx.init(params), jnp.ones(5))


def good_svi_update_seeds_and_returns_two_keys() -> None:
    """numpyro 263, corrected."""

    def seed_pair(rng: jax.Array) -> tuple[jax.Array, jax.Array]:
        model_key, guide_key = random.split(rng)
        return model_key, guide_key

    def update(rng: jax.Array, params: Any, opt_state: Any, data: jax.Array) -> tuple[Any, Any, jax.Array]:
        rng, rng_seed = random.split(rng)
        model_key, guide_key = seed_pair(rng_seed)
        _, grads = jax.value_and_grad(_neg_elbo)(params, model_key, guide_key, data)
        updates, opt_state = tx.update(grads, opt_state)
        return optax.apply_updates(params, updates), opt_state, rng

    tx = optax.adam(1e-2)
    params = {"loc": jnp.zeros(()), "log_scale": jnp.zeros(())}
    state, rng = tx.init(params), random.PRNGKey(0)
    for _ in range(2):
        params, state, rng = update(rng, params, state, jnp.ones(5))


def bad_default_key_never_replaced() -> None:
    """mahjax 72: the state's key has a constant default, which every game goes on with."""

    class RoundState(NamedTuple):
        deck: jax.Array
        rng_key: jax.Array = random.PRNGKey(0)

    def init(key: jax.Array) -> RoundState:
        key, _ = random.split(key)
        return RoundState(deck=random.permutation(key, jnp.arange(34)))

    def next_round(state: RoundState) -> RoundState:
        rng_key, shuffle_key = random.split(state.rng_key)  # first a # reuse a
        deck = random.permutation(shuffle_key, jnp.arange(34))  # maybe-first b # maybe-reuse b
        return RoundState(deck, rng_key)

    for seed in (1, 424242):
        next_round(init(random.PRNGKey(seed)))


def good_key_of_the_state_replaced() -> None:
    """mahjax 72, corrected."""

    class RoundState(NamedTuple):
        deck: jax.Array
        rng_key: jax.Array

    def init(key: jax.Array) -> RoundState:
        deck_key, round_key = random.split(key)
        return RoundState(random.permutation(deck_key, jnp.arange(34)), round_key)

    def next_round(state: RoundState) -> RoundState:
        rng_key, shuffle_key = random.split(state.rng_key)
        return RoundState(random.permutation(shuffle_key, jnp.arange(34)), rng_key)

    for seed in (1, 424242):
        next_round(next_round(init(random.PRNGKey(seed))))


class _Tokenizer(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        x = nn.Dense(16)(x)
        x = nn.Dropout(0.1, deterministic=not train)(x)
        return nn.Dense(4)(x)


def bad_params_and_dropout_with_one_key() -> None:
    """jasmine 36: params and dropout get one key."""
    _, key = random.split(random.PRNGKey(0))
    _Tokenizer().init({"params": key, "dropout": key}, jnp.ones((2, 3)), train=True)  # first # reuse


def good_params_and_dropout_with_two_keys() -> None:
    """jasmine 36, corrected."""
    _, params_key, dropout_key = random.split(random.PRNGKey(0), 3)
    _Tokenizer().init({"params": params_key, "dropout": dropout_key}, jnp.ones((2, 3)), train=True)


def bad_module_owns_a_constant_key() -> None:
    """flaxmodels 3: the module makes its weights from a key of its own, whatever key `init` gets."""

    class MappingLayer(nn.Module):
        features: int

        @nn.compact
        def __call__(self, x: jax.Array) -> jax.Array:
            rng, shape = random.PRNGKey(0), (x.shape[-1], self.features)
            w = self.param("w", lambda _: random.normal(rng, shape))  # first # reuse
            return x @ w

    for seed in (10, 58):
        MappingLayer(2).init(random.PRNGKey(seed), jnp.ones((1, 3)))


def good_module_uses_the_key_of_init() -> None:
    """flaxmodels 3, corrected."""

    class MappingLayer(nn.Module):
        features: int

        @nn.compact
        def __call__(self, x: jax.Array) -> jax.Array:
            shape = (x.shape[-1], self.features)
            w = self.param("w", lambda key: random.normal(key, shape))
            return x @ w

    for seed in (10, 58):
        variables = MappingLayer(2).init(random.PRNGKey(seed), jnp.ones((1, 3)))
        MappingLayer(2).apply(variables, jnp.ones((1, 3)))


class _Layer(NamedTuple):
    w_in: jax.Array
    w_rec: jax.Array


def bad_two_weights_from_one_key() -> None:
    """jax 2009: two weights from one key are equal."""

    def make_layer(key: jax.Array, size: int) -> _Layer:
        w_in = random.uniform(key, (size, size), minval=-0.1, maxval=0.1)  # first
        w_rec = random.uniform(key, (size, size), minval=-0.1, maxval=0.1)  # reuse
        return _Layer(w_in=w_in, w_rec=w_rec)

    make_layer(random.PRNGKey(0), 3)


def good_two_weights_from_two_keys() -> None:
    """jax 2009, corrected."""

    def make_layer(key: jax.Array, size: int) -> _Layer:
        key_in, key_rec = random.split(key)
        return _Layer(random.uniform(key_in, (size, size)), random.uniform(key_rec, (size, size)))

    make_layer(random.PRNGKey(0), 3)


def bad_dropout_key_not_split_per_step() -> None:
    """flax 2631: each step of the training gets one dropout key."""

    class Net(nn.Module):
        @nn.compact
        def __call__(self, x: jax.Array, train: bool) -> jax.Array:
            x = nn.relu(nn.Dense(8)(x))
            x = nn.Dropout(0.5, deterministic=not train)(x)  # maybe-first # maybe-reuse
            return nn.Dense(1)(x)

    @jax.jit
    def train_step(state: Any, batch: jax.Array, dropout_key: jax.Array) -> Any:
        def loss(params: Any) -> jax.Array:
            out = state.apply_fn(
                {"params": params}, batch, True, rngs={"dropout": dropout_key}
            )  # first # reuse
            return jnp.mean(out**2)

        return state.apply_gradients(grads=jax.grad(loss)(state.params))

    params_key, data_key, dropout_key = random.split(random.PRNGKey(0), 3)
    batch = random.normal(data_key, (4, 3))
    net = Net()
    params = net.init(params_key, batch, train=False)["params"]
    state: Any = TrainState.create(apply_fn=net.apply, params=params, tx=optax.sgd(0.1))  # type: ignore[no-untyped-call]
    for _ in range(3):
        state = train_step(state, batch, dropout_key)


def good_dropout_key_folded_with_the_step() -> None:
    """flax 2631, corrected."""

    class Net(nn.Module):
        @nn.compact
        def __call__(self, x: jax.Array, train: bool) -> jax.Array:
            x = nn.Dropout(0.5, deterministic=not train)(nn.Dense(8)(x))
            return nn.Dense(1)(x)

    @jax.jit
    def train_step(state: Any, batch: jax.Array, dropout_key: jax.Array) -> Any:
        step_key = random.fold_in(dropout_key, state.step)

        def loss(params: Any) -> jax.Array:
            return jnp.mean(state.apply_fn({"params": params}, batch, True, rngs={"dropout": step_key}) ** 2)

        return state.apply_gradients(grads=jax.grad(loss)(state.params))

    params_key, data_key, dropout_key = random.split(random.PRNGKey(0), 3)
    batch = random.normal(data_key, (4, 3))
    net = Net()
    params = net.init(params_key, batch, train=False)["params"]
    state: Any = TrainState.create(apply_fn=net.apply, params=params, tx=optax.sgd(0.1))  # type: ignore[no-untyped-call]
    for _ in range(3):
        state = train_step(state, batch, dropout_key)


class _OperatorState(NamedTuple):
    key: jax.Array
    step_size: jax.Array


def _init_operator(key: jax.Array) -> _OperatorState:
    key, size_key = random.split(key)
    return _OperatorState(key, jnp.exp(0.1 * random.normal(size_key)))


def good_one_key_for_every_operator() -> None:
    """fab-jax 15, buggy: one draw for the whole batch, which the guard leaves to a static rule."""
    operator_key, _ = random.split(random.PRNGKey(7))
    jax.vmap(lambda _: _init_operator(operator_key))(jnp.arange(3))


def bad_operators_of_one_key_go_on() -> None:
    """fab-jax 15, buggy, one step later: the operators' keys are equal, and each is used by itself."""
    operator_key, _ = random.split(random.PRNGKey(7))
    states = jax.vmap(lambda _: _init_operator(operator_key))(jnp.arange(3))
    random.normal(states.key[0])  # first
    random.normal(states.key[1])  # reuse


def good_keys_for_the_operators() -> None:
    """fab-jax 15, corrected."""
    operator_key, _ = random.split(random.PRNGKey(7))
    states = jax.vmap(_init_operator)(random.split(operator_key, 3))
    jax.vmap(random.normal)(states.key)


def bad_key_split_only_at_the_lowest_level() -> None:
    """pennylane 5515: the executor hands its one key to each circuit and each measurement."""

    def sample_state(probs: jax.Array, shots: int, key: jax.Array) -> jax.Array:
        key, draw_key = random.split(key)  # first a # reuse a
        return random.choice(draw_key, probs.size, (shots,), p=probs)  # maybe-first b # maybe-reuse b

    def execute(circuits: Sequence[jax.Array], key: jax.Array) -> None:
        for probs in circuits:
            for shots in (4, 4):
                sample_state(probs, shots, key)

    execute([jnp.full(4, 0.25), jnp.array([0.5, 0.5, 0.0, 0.0])], random.PRNGKey(0))


def good_key_split_at_each_level() -> None:
    """pennylane 5515, corrected."""

    def execute(circuits: Sequence[jax.Array], key: jax.Array) -> None:
        for probs, circuit_key in zip(circuits, random.split(key, len(circuits)), strict=True):
            for shots, shot_key in zip((4, 4), random.split(circuit_key), strict=True):
                random.choice(shot_key, probs.size, (shots,), p=probs)

    execute([jnp.full(4, 0.25), jnp.array([0.5, 0.5, 0.0, 0.0])], random.PRNGKey(0))


def bad_same_index_of_a_key_array() -> None:
    """blackjax 400: keys[2] is used for two sites."""
    keys = random.split(random.PRNGKey(1), 4)
    jnp.abs(random.normal(keys[0]))
    5.0 * random.normal(keys[1], (3,))
    jnp.abs(random.normal(keys[2]))  # first
    jnp.abs(random.normal(keys[2]))  # reuse


def good_indices_of_a_key_array() -> None:
    """blackjax 400, corrected."""
    keys = random.split(random.PRNGKey(1), 4)
    jnp.abs(random.normal(keys[0]))
    5.0 * random.normal(keys[1], (3,))
    jnp.abs(random.normal(keys[2]))
    jnp.abs(random.normal(keys[3]))


class _PointMass:
    def reset(self, spread: jax.Array, rng: jax.Array) -> jax.Array:
        return random.normal(rng, (2,)) * spread


def good_wrapper_resets_all_with_one_key() -> None:
    """mujoco_playground 56, buggy: one draw for the whole batch, which the guard leaves to a static rule."""
    rng = random.PRNGKey(0)
    jax.vmap(lambda spread: _PointMass().reset(spread, rng))(jnp.ones(4))


def good_wrapper_splits_on_reset() -> None:
    """mujoco_playground 56, corrected."""
    jax.vmap(_PointMass().reset)(jnp.ones(4), random.split(random.PRNGKey(0), 4))


def _feed_forward(x: jax.Array, key: jax.Array) -> jax.Array:
    return jnp.where(random.bernoulli(key, 0.7, x.shape), jax.nn.gelu(x), 0.0)


def good_dropout_same_across_the_sequence() -> None:
    """equinox 316, buggy: one draw for the whole batch, which the guard leaves to a static rule."""
    _, feed_forward_key = random.split(random.PRNGKey(1))
    jax.vmap(functools.partial(_feed_forward, key=feed_forward_key))(jnp.ones((3, 4)))


def good_dropout_different_across_the_sequence() -> None:
    """equinox 316, corrected."""
    _, feed_forward_key = random.split(random.PRNGKey(1))
    jax.vmap(_feed_forward)(jnp.ones((3, 4)), random.split(feed_forward_key, 3))


def bad_same_permutation_every_epoch() -> None:
    """marin 2869: the loader shuffles each epoch with its one key."""

    class PermutedLoader:
        def __init__(self, data: jax.Array, key: jax.Array) -> None:
            self.data = data
            self.key = key

        def __iter__(self) -> Iterator[jax.Array]:
            order = random.permutation(self.key, self.data.shape[0])  # first # reuse
            for start in range(0, self.data.shape[0], 2):
                yield self.data[order[start : start + 2]]

    loader = PermutedLoader(jnp.arange(6), random.PRNGKey(0))
    for _ in range(2):
        list(loader)


def good_permutation_of_each_epoch() -> None:
    """marin 2869, corrected."""

    class PermutedLoader:
        def __init__(self, data: jax.Array, key: jax.Array) -> None:
            self.data = data
            self.key = key

        def epoch(self, index: int) -> Iterator[jax.Array]:
            order = random.permutation(random.fold_in(self.key, index), self.data.shape[0])
            for start in range(0, self.data.shape[0], 2):
                yield self.data[order[start : start + 2]]

    loader = PermutedLoader(jnp.arange(6), random.PRNGKey(0))
    for index in range(2):
        list(loader.epoch(index))


class _Stage(nn.Module):
    inner: str
    layer: type[nn.Module]

    @nn.compact
    def __call__(self, x: jax.Array) -> Any:
        return self.layer(name=self.inner)(x)


class _Pair(nn.Module):
    layer: type[nn.Module]

    @nn.compact
    def __call__(self, x: jax.Array) -> Any:
        return _Stage("lowpass", self.layer, name="enc")(x), _Stage("pass", self.layer, name="enclow")(x)


@contextlib.contextmanager
def _separated(value: bool) -> Iterator[None]:
    """Flax's flag for the names in a path."""
    before = flax.config.flax_fix_rng_separator
    flax.config.update("flax_fix_rng_separator", value)
    try:
        yield
    finally:
        flax.config.update("flax_fix_rng_separator", before)


def bad_names_of_modules_collide() -> None:
    """flax 2157: make_rng joins the names of the path, so that enc/lowpass and enclow/pass get one key."""

    class Jitter(nn.Module):
        @nn.compact
        def __call__(self, x: jax.Array) -> jax.Array:
            return x + random.randint(self.make_rng("noise"), (), 0, 100)  # first # reuse

    with _separated(False):
        _Pair(Jitter).apply({}, 0, rngs={"noise": random.PRNGKey(33)})


def good_names_of_modules_kept_apart() -> None:
    """flax 2157, corrected by flax's flag."""

    class Jitter(nn.Module):
        @nn.compact
        def __call__(self, x: jax.Array) -> jax.Array:
            return x + random.randint(self.make_rng("noise"), (), 0, 100)

    with _separated(True):
        _Pair(Jitter).apply({}, 0, rngs={"noise": random.PRNGKey(33)})
