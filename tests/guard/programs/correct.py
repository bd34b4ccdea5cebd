"""Correct programs as people write them: none may be reported."""

import inspect
from collections.abc import Iterator
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax import nnx, struct
from flax.training.train_state import TrainState
from jax import lax, random


def good_epochs_and_steps_by_fold_in() -> None:
    """The base key is only folded with different numbers, never consumed itself."""

    def epoch_order(base: jax.Array, epoch: int, n: int) -> jax.Array:
        return random.permutation(random.fold_in(base, epoch), n)

    base, data = random.key(0), jnp.arange(3.0)
    for epoch in range(2):
        for step, index in enumerate(epoch_order(base, epoch, 3)):
            noise_key = random.fold_in(random.fold_in(base, 1000 + epoch), step)
            data[index] + 0.1 * random.normal(noise_key)


def good_state_carries_the_key() -> None:
    """Every step replaces the key in the state with a fresh one."""

    @struct.dataclass
    class EnvState:
        pos: jax.Array
        key: jax.Array

    def reset(key: jax.Array) -> EnvState:
        key, pos_key = random.split(key)
        return EnvState(pos=random.uniform(pos_key, (2,)), key=key)

    @jax.jit
    def step(state: EnvState, action: jax.Array) -> EnvState:
        key, noise_key = random.split(state.key)
        pos = state.pos + action + 0.01 * random.normal(noise_key, (2,))
        return EnvState(pos=pos, key=key)

    state = reset(random.key(0))
    for _ in range(3):
        state = step(state, jnp.ones(2))


def good_finite_difference_with_clones() -> None:
    """clone says that the same randomness is wanted on purpose."""

    def objective(theta: jax.Array, key: jax.Array) -> jax.Array:
        return jnp.mean((theta + random.normal(key, (64,))) ** 2)

    key, theta = random.key(0), jnp.asarray(1.0)
    plus = objective(theta + 1e-2, random.clone(key))  # type: ignore[no-untyped-call]
    minus = objective(theta - 1e-2, random.clone(key))  # type: ignore[no-untyped-call]
    (plus - minus) / 2e-2


def good_key_sequence() -> None:
    """An object that hands out keys."""

    class KeySequence:
        def __init__(self, seed: int) -> None:
            self._key = random.PRNGKey(seed)

        def __iter__(self) -> Iterator[jax.Array]:
            return self

        def __next__(self) -> Any:
            self._key, key = random.split(self._key)
            return key

    keys = KeySequence(0)
    for _, key in zip(range(3), keys, strict=False):
        random.normal(key)
    random.uniform(next(keys))


def good_key_sequence_as_a_generator() -> None:
    """A generator that hands out keys."""

    def sequence(key: jax.Array) -> Iterator[jax.Array]:
        while True:
            key, sub = random.split(key)
            yield sub

    keys = sequence(random.key(0))
    random.normal(next(keys))
    random.normal(next(keys))


def good_functions_that_shadow_the_key() -> None:
    """Inner functions have key parameters of their own."""

    def build(key: jax.Array) -> tuple[jax.Array, Any]:
        def apply(params: jax.Array, x: jax.Array, key: jax.Array) -> jax.Array:
            return jnp.where(random.bernoulli(key, 0.9, x.shape), x @ params, 0.0)

        def loss(params: jax.Array, x: jax.Array, key: jax.Array) -> jax.Array:
            return jnp.mean(apply(params, x, key) ** 2)

        return random.normal(key, (2, 2)), jax.jit(loss)

    build_key, loss_key = random.split(random.key(0))
    params, loss = build(build_key)
    loss(params, jnp.ones((1, 2)), loss_key)


def good_network_initialized_recursively() -> None:
    """A tree of keys for a tree of shapes."""
    shapes = {"encoder": {"w": (2, 3), "b": (3,)}, "decoder": {"w": (3, 2), "b": (2,)}}
    leaves, tree = jax.tree.flatten(shapes, is_leaf=lambda node: isinstance(node, tuple))
    keys = jax.tree.unflatten(tree, list(random.split(random.key(0), len(leaves))))
    jax.tree.map(lambda key, shape: random.normal(key, shape), keys, shapes)


def good_train_state_with_dropout() -> None:
    """A linen model with dropout, trained in a jitted step that folds in the step's number."""

    class Net(nn.Module):
        @nn.compact
        def __call__(self, x: jax.Array, train: bool) -> jax.Array:
            x = nn.relu(nn.Dense(8)(x))
            x = nn.Dropout(0.5, deterministic=not train)(x)
            return nn.Dense(1)(x)

    @jax.jit
    def train_step(state: TrainState, batch: jax.Array, dropout_key: jax.Array) -> TrainState:
        step_key = random.fold_in(dropout_key, state.step)

        def loss(params: Any) -> jax.Array:
            out = state.apply_fn({"params": params}, batch, train=True, rngs={"dropout": step_key})
            return jnp.mean(out**2)

        return state.apply_gradients(grads=jax.grad(loss)(state.params))  # type: ignore[no-untyped-call, no-any-return]

    params_key, data_key, dropout_key = random.split(random.key(0), 3)
    batch = random.normal(data_key, (4, 3))
    net = Net()
    params = net.init(params_key, batch, train=False)["params"]
    state = TrainState.create(apply_fn=net.apply, params=params, tx=optax.sgd(0.1))  # type: ignore[no-untyped-call]
    for _ in range(3):
        state = train_step(state, batch, dropout_key)
        net.apply({"params": state.params}, batch, train=False)


def good_noisy_gradients_of_optax() -> None:
    """A transformation that keeps a key in its state and replaces it."""
    named = "key" in inspect.signature(optax.add_noise).parameters
    noise = optax.add_noise(0.1, 0.5, key=random.key(7)) if named else optax.add_noise(0.1, 0.5, 7)
    tx = optax.chain(noise, optax.sgd(0.1))
    params = {"w": jnp.ones(2)}
    state = tx.init(params)
    update = jax.jit(tx.update)
    for _ in range(3):
        _, state = update({"w": jnp.ones(2)}, state)


def good_rejection_sampling() -> None:
    """A loop of unknown length that splits each time."""

    @jax.jit
    def sample(key: jax.Array) -> jax.Array:
        def body(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            key, sub = random.split(carry[0])
            return key, random.uniform(sub, (), minval=-1.0, maxval=1.0)

        return lax.while_loop(lambda carry: jnp.abs(carry[1]) > 0.5, body, (key, jnp.array(1.0)))[1]

    jax.vmap(sample)(random.split(random.key(0), 4))


def good_metropolis_chains() -> None:
    """Chains of a sampler: keys for chains by vmap, for steps by scan, for parts by split."""

    class Chain(NamedTuple):
        x: jax.Array
        accepted: jax.Array

    def step(chain: Chain, key: jax.Array) -> tuple[Chain, jax.Array]:
        move_key, accept_key = random.split(key)
        x = chain.x + random.normal(move_key)
        accept = jnp.log(random.uniform(accept_key)) < (chain.x**2 - x**2) / 2
        return Chain(jnp.where(accept, x, chain.x), chain.accepted + accept), chain.x

    def run(key: jax.Array) -> jax.Array:
        start_key, run_key = random.split(key)
        chain = Chain(random.normal(start_key), jnp.array(0))
        return lax.scan(step, chain, random.split(run_key, 5))[1]

    jax.jit(jax.vmap(run))(random.split(random.key(0), 3))


def good_policy_chooses_randomly_or_greedily() -> None:
    """Exploration: one key for the coin, one for the action, chosen by lax.cond."""

    @jax.jit
    def act(key: jax.Array, values: jax.Array) -> Any:
        coin_key, action_key = random.split(key)
        explore = random.uniform(coin_key) < 0.5

        def random_action(key: jax.Array) -> jax.Array:
            return random.randint(key, (), 0, 3)

        return lax.cond(explore, random_action, lambda _: jnp.argmax(values).astype(jnp.int32), action_key)

    for key in random.split(random.key(0), 3):
        act(key, jnp.arange(3.0))


def good_auto_reset_of_an_environment() -> None:
    """The next state is computed for both cases, each with a key of its own, and one is selected."""

    @jax.jit
    def step(state: dict[str, jax.Array]) -> Any:
        key, reset_key, next_key = random.split(state["key"], 3)
        fresh = {"x": random.normal(reset_key), "key": key}
        going = {"x": state["x"] + 1, "key": next_key}
        return jax.tree.map(lambda a, b: jnp.where(state["x"] > 2, a, b), fresh, going)

    state = {"x": jnp.array(0.0), "key": random.key(0)}
    for _ in range(4):
        state = step(state)


def good_batches_of_an_epoch() -> None:
    """A loader that shuffles each epoch by a key of its own."""

    class Loader:
        def __init__(self, data: jax.Array, key: jax.Array) -> None:
            self.data = data
            self.key = key

        def __iter__(self) -> Iterator[jax.Array]:
            self.key, order_key = random.split(self.key)
            yield from self.data[random.permutation(order_key, self.data.shape[0])]

    loader = Loader(jnp.arange(4), random.key(0))
    for _ in range(2):
        list(loader)


def good_nnx_model_with_dropout() -> None:
    """An nnx model built from one nnx.Rngs and called in training."""

    class Net(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.hidden = nnx.Linear(2, 4, rngs=rngs)
            self.dropout = nnx.Dropout(0.5, rngs=rngs)
            self.out = nnx.Linear(4, 1, rngs=rngs)

        def __call__(self, x: jax.Array) -> jax.Array:
            return self.out(self.dropout(self.hidden(x)))

    model = Net(nnx.Rngs(0))

    @nnx.jit
    def loss(model: Net, x: jax.Array) -> jax.Array:
        return jnp.mean(model(x) ** 2)

    for _ in range(2):
        loss(model, jnp.ones((3, 2)))


def good_nnx_ensemble() -> None:
    """Several layers at once, by split_rngs and vmap."""

    @nnx.split_rngs(splits=3)
    @nnx.vmap
    def make(rngs: nnx.Rngs) -> nnx.Linear:
        return nnx.Linear(2, 3, rngs=rngs)

    rngs = nnx.Rngs(0)
    make(rngs)
    make(rngs)


def good_scheduled_sampling_by_an_index() -> None:
    """Keys made before the loop and indexed with its counter, in a jitted function."""

    @jax.jit
    def roll(key: jax.Array) -> Any:
        keys = random.split(key, 4)

        def body(i: jax.Array, x: jax.Array) -> jax.Array:
            return x + random.normal(keys[i])

        return lax.fori_loop(0, 4, body, jnp.array(0.0))

    roll(random.key(0))


def good_variational_loss() -> None:
    """value_and_grad of a loss that draws, in a step that splits."""

    def loss(params: dict[str, jax.Array], key: jax.Array, data: jax.Array) -> jax.Array:
        z = params["loc"] + jnp.exp(params["scale"]) * random.normal(key, data.shape)
        return jnp.mean((data - z) ** 2) - params["scale"]

    @jax.jit
    def step(
        params: dict[str, jax.Array], key: jax.Array, data: jax.Array
    ) -> tuple[dict[str, jax.Array], jax.Array]:
        key, sub = random.split(key)
        grads = jax.grad(loss)(params, sub, data)
        return jax.tree.map(lambda p, g: p - 0.1 * g, params, grads), key

    params, key = {"loc": jnp.array(0.0), "scale": jnp.array(0.0)}, random.PRNGKey(0)
    for _ in range(3):
        params, key = step(params, key, jnp.ones(3))


def good_one_permutation_for_inputs_and_labels() -> None:
    """Arrays that belong together are permuted with one key, by itself and in a jitted function."""

    def shuffled(key: jax.Array, arrays: list[jax.Array]) -> list[jax.Array]:
        return [random.permutation(key, array) for array in arrays]

    @jax.jit
    def sampled(key: jax.Array, x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
        x = random.choice(key, x, (2,))
        y = random.choice(key, y, (2,))
        return x, y

    one, other = random.split(random.key(0))
    shuffled(one, [jnp.ones(3), jnp.zeros((3, 2))])
    sampled(other, jnp.arange(3), jnp.arange(3))
