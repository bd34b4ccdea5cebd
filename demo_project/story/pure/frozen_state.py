"""Pair 7, function: `state.replace`, and parameters that cannot be edited.

What to see: `decay` builds the new parameters beside the old ones and returns a new state.
`freeze_params` turns the dict into a `FrozenDict`, for code that you do not trust: an assignment
then raises. It changes the tree structure, so do it before the optimizer state is made.
"""

from typing import Any

import jax
from flax.core import FrozenDict, freeze
from flax.training.train_state import TrainState

__all__ = ["decay", "freeze_params"]


def decay(state: TrainState, rate: float = 0.5) -> TrainState:
    """Return the next state, with every kernel shrunk by `rate` and every bias left alone."""

    def shrink(path: tuple[Any, ...], leaf: jax.Array) -> jax.Array:
        return rate * leaf if path[-1] == jax.tree_util.DictKey("kernel") else leaf

    params = jax.tree_util.tree_map_with_path(shrink, state.params)
    return state.replace(params=params, step=state.step + 1)


def freeze_params(params: dict[str, Any]) -> FrozenDict[str, Any]:
    """Return the same parameters as a dict which raises `ValueError` when somebody assigns to it."""
    return freeze(params)
