"""Pair 8, object: a trainer that keeps model, state and key to itself.

What to see: after `rng_key, model_init_key = split(rng_key)` the model is initialised with
`rng_key`, the key that was meant to be carried on, and `model_init_key` lies unused. Nothing
crashes and the loss falls as it should. The day somebody draws a second thing from `rng_key`, it
repeats the numbers that made the weights.

What not to see: a finding on `loss_history.append(loss)`, which runs in a plain Python loop, nor on
`jax.value_and_grad(loss_fn)`, which is made anew only when the step is traced.
"""

import flax.linen as nn
import jax
import optax
from flax.training.train_state import TrainState

from story.data import Batch

__all__ = ["LinearRegression", "Trainer"]


class LinearRegression(nn.Module):
    """One dense layer with one output."""

    def setup(self) -> None:
        """Make the layer, whose kernel is w and whose bias is b."""
        self.dense = nn.Dense(1)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map x (n, 1) to w x + b (n, 1)."""
        return self.dense(x)


@jax.jit
def train_step(state: TrainState, batch: Batch) -> tuple[jax.Array, TrainState]:
    """Return the loss at `state` and the state after one step."""
    x, y = batch

    def loss_fn(params: optax.Params) -> jax.Array:
        return optax.l2_loss(state.apply_fn({"params": params}, x), y).mean()

    loss, grads = jax.value_and_grad(loss_fn)(state.params)
    return loss, state.apply_gradients(grads=grads)


class Trainer:
    """Trains on one batch, and remembers everything."""

    def __init__(self, seed: int, batch: Batch) -> None:
        self.batch = batch
        x, _ = batch
        model = LinearRegression()
        rng_key = jax.random.key(seed)
        rng_key, model_init_key = jax.random.split(rng_key)  # planted: PS104
        params = model.init(rng_key, x)["params"]
        tx = optax.sgd(0.1, momentum=0.9)
        self.state = TrainState.create(apply_fn=model.apply, params=params, tx=tx)

    def fit(self, steps: int = 100) -> list[jax.Array]:
        """Train on, from wherever the last call stopped, and return the loss of each step."""
        loss_history = []
        for _ in range(steps):
            loss, self.state = train_step(self.state, self.batch)
            loss_history.append(loss)
        return loss_history
