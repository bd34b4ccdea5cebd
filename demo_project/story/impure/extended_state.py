"""Pair 9, object: a TrainState with more fields, made and advanced in three wrong ways.

What to see: a `TrainState` invites to be treated as an object. It cannot be: its fields are frozen,
`create` knows only the fields it is given, and a key that nobody advances gives the same dropout
mask in every step.
"""

from typing import Any

import flax.linen as nn
import jax
import optax
from flax.training.train_state import TrainState

from story.data import Batch

__all__ = ["MLP", "DropoutTrainState", "create_state", "train_step", "train_step_with_one_mask"]


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
    """A TrainState that also holds what BatchNorm and Dropout need between two steps."""

    batch_stats: Any
    dropout_key: jax.Array


def create_state(rng_key: jax.Array, x: jax.Array) -> DropoutTrainState:
    """Make a state without its new fields; raises `TypeError`, which names them."""
    model = MLP()
    variables = model.init(rng_key, x, train=False)
    tx = optax.sgd(0.1, momentum=0.9)
    return DropoutTrainState.create(apply_fn=model.apply, params=variables["params"], tx=tx)


def train_step(state: DropoutTrainState, batch: Batch) -> tuple[jax.Array, DropoutTrainState]:
    """Try to advance the new fields by assignment; raises `dataclasses.FrozenInstanceError`."""
    x, y = batch
    dropout_key, subkey = jax.random.split(state.dropout_key)

    def loss_fn(params: optax.Params) -> tuple[jax.Array, Any]:
        variables = {"params": params, "batch_stats": state.batch_stats}
        y_hat, updated = state.apply_fn(
            variables, x, train=True, mutable=["batch_stats"], rngs={"dropout": subkey}
        )
        return optax.l2_loss(y_hat, y).mean(), updated["batch_stats"]

    (loss, batch_stats), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
    state = state.apply_gradients(grads=grads)
    state.batch_stats = batch_stats  # planted: PS203
    state.dropout_key = dropout_key  # planted: PS203
    return loss, state


def train_step_with_one_mask(state: DropoutTrainState, batch: Batch) -> tuple[jax.Array, DropoutTrainState]:
    """Take a step that draws its dropout mask from `state.dropout_key` and never advances it.

    It runs, and the loss falls. But the key that comes out is the key that went in, so every step
    drops the same units.
    """
    x, y = batch

    def loss_fn(params: optax.Params) -> tuple[jax.Array, Any]:
        variables = {"params": params, "batch_stats": state.batch_stats}
        y_hat, updated = state.apply_fn(
            variables, x, train=True, mutable=["batch_stats"], rngs={"dropout": state.dropout_key}
        )
        return optax.l2_loss(y_hat, y).mean(), updated["batch_stats"]

    (loss, batch_stats), grads = jax.value_and_grad(loss_fn, has_aux=True)(state.params)  # planted: PS109
    return loss, state.apply_gradients(grads=grads, batch_stats=batch_stats)
