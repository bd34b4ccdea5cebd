"""Pair 8, function: the whole thing, from a seed to a trained model.

What to see: each line of `train` names what it takes and what it gives. The state is one value that
goes through `train_step` a hundred times, so the run can be stopped, saved, resumed and repeated
from any step.
"""

import flax.linen as nn
import jax
import optax
from flax.training.train_state import TrainState

from story.data import Batch
from story.history import Record, record

__all__ = ["LinearRegression", "create_state", "train", "train_step"]


class LinearRegression(nn.Module):
    """One dense layer with one output."""

    def setup(self) -> None:
        """Make the layer, whose kernel is w and whose bias is b."""
        self.dense = nn.Dense(1)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map x (n, 1) to w x + b (n, 1)."""
        return self.dense(x)


def create_state(model_init_key: jax.Array, x: jax.Array) -> TrainState:
    """Return the state to start from, for inputs like `x` (n, 1). Consumes the key."""
    model = LinearRegression()
    params = model.init(model_init_key, x)["params"]
    return TrainState.create(apply_fn=model.apply, params=params, tx=optax.sgd(0.1, momentum=0.9))


@jax.jit
def train_step(state: TrainState, batch: Batch) -> tuple[jax.Array, TrainState]:
    """Return the loss at `state`, a float32 scalar, and the state after one step on the batch."""
    x, y = batch

    def loss_fn(params: optax.Params) -> jax.Array:
        return optax.l2_loss(state.apply_fn({"params": params}, x), y).mean()

    loss, grads = jax.value_and_grad(loss_fn)(state.params)
    return loss, state.apply_gradients(grads=grads)


def train(rng_key: jax.Array, batch: Batch, steps: int = 100) -> tuple[list[Record], TrainState]:
    """Return a record of every full-batch step and the final state.

    On `story.data.line`, w is within 0.02 of 3 and b within 0.01 of 1 after 100 steps, whatever the key.
    """
    x, _ = batch
    rng_key, model_init_key = jax.random.split(rng_key)
    state = create_state(model_init_key, x)
    history = []
    for _ in range(steps):
        loss, state = train_step(state, batch)
        history.append(record(loss, state))
    return history, state
