"""Pair 9, function: a TrainState with more fields, made by `create` and advanced by
`apply_gradients` and `replace`.

What to see: the fields have no defaults, so that `create` fails at once when one is forgotten. The
step returns every field that it used up, the key included, in one call. `extending_train_state.md`
is the guidance in prose.
"""

from typing import Any

import flax.linen as nn
import jax
import optax
from flax.training.train_state import TrainState

from story.data import Batch

__all__ = ["MLP", "DropoutTrainState", "create_state", "predict", "reseed", "train_step"]


class MLP(nn.Module):
    """A hidden layer of 16 units, with batch normalisation and dropout."""

    def setup(self) -> None:
        """Make the layers."""
        self.hidden = nn.Dense(16)
        self.norm = nn.BatchNorm(momentum=0.9)
        self.dropout = nn.Dropout(0.5)
        self.out = nn.Dense(1)

    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Map x (n, 1) to (n, 1); training updates `batch_stats` and draws from the stream
        `dropout`.
        """
        x = self.norm(self.hidden(x), use_running_average=not train)
        x = self.dropout(nn.relu(x), deterministic=not train)
        return self.out(x)


class DropoutTrainState(TrainState):
    """A TrainState that also holds what BatchNorm and Dropout need between two steps.

    `batch_stats` is the collection of running means and variances, float32 (16,) each;
    `dropout_key` is a PRNG key which is fresh: the next step consumes it.
    """

    batch_stats: Any
    dropout_key: jax.Array


def create_state(rng_key: jax.Array, x: jax.Array) -> DropoutTrainState:
    """Return the state to start from, for inputs like `x` (n, 1). Consumes the key."""
    params_key, dropout_key = jax.random.split(rng_key)
    model = MLP()
    variables = model.init(params_key, x, train=False)
    return DropoutTrainState.create(
        apply_fn=model.apply,
        params=variables["params"],
        tx=optax.sgd(0.1, momentum=0.9),
        batch_stats=variables["batch_stats"],
        dropout_key=dropout_key,
    )


@jax.jit
def train_step(state: DropoutTrainState, batch: Batch) -> tuple[jax.Array, DropoutTrainState]:
    """Return the loss at `state`, a float32 scalar, and the state after one step, with every field
    advanced.
    """
    x, y = batch
    dropout_key, subkey = jax.random.split(state.dropout_key)

    def loss_fn(params: optax.Params) -> tuple[jax.Array, Any]:
        variables = {"params": params, "batch_stats": state.batch_stats}
        y_hat, updated = state.apply_fn(
            variables, x, train=True, mutable=["batch_stats"], rngs={"dropout": subkey}
        )
        return optax.l2_loss(y_hat, y).mean(), updated["batch_stats"]

    (loss, batch_stats), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
    return loss, state.apply_gradients(grads=grads, batch_stats=batch_stats, dropout_key=dropout_key)


@jax.jit
def predict(state: DropoutTrainState, x: jax.Array) -> jax.Array:
    """Return the prediction (n, 1) for `x` (n, 1): running statistics, no dropout, no key."""
    variables = {"params": state.params, "batch_stats": state.batch_stats}
    y_hat: jax.Array = state.apply_fn(variables, x, train=False)
    return y_hat


def reseed(state: DropoutTrainState, dropout_key: jax.Array) -> DropoutTrainState:
    """Return the same state with another key, for a second run from the same checkpoint."""
    return state.replace(dropout_key=dropout_key)
