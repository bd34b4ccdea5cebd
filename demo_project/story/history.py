"""What pair 8 records while it trains."""

from typing import NamedTuple

import jax
import optax
from flax.training.train_state import TrainState

__all__ = ["Record", "record"]


class Record(NamedTuple):
    """What is worth a curve, after one step: float scalars, all without a unit."""

    loss: float
    w: float
    b: float
    momentum_w: float
    momentum_b: float


def record(loss: jax.Array, state: TrainState) -> Record:
    """Read a record out of a state whose only layer is `dense` and whose optimizer is SGD with
    momentum.

    The momentum is the `trace` in `opt_state`: the decayed sum of gradients, in units of the
    gradient.
    """
    momentum = optax.tree_utils.tree_get(state.opt_state, "trace")["dense"]
    dense = state.params["dense"]
    return Record(
        loss=float(loss),
        w=dense["kernel"].item(),
        b=dense["bias"].item(),
        momentum_w=momentum["kernel"].item(),
        momentum_b=momentum["bias"].item(),
    )
