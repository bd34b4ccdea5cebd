"""Pair 5, function: `optax.sgd(0.1, momentum=0.9)`, with its `opt_state` outside.

What to see: the momentum is the `opt_state` that comes in and goes out, so it can be saved together
with the parameters. The trajectory is the one of the object.
"""

from typing import Final

import jax
import optax

__all__ = ["optimizer", "step"]

optimizer: Final = optax.sgd(0.1, momentum=0.9)


def step(params: jax.Array, opt_state: optax.OptState, grads: jax.Array) -> tuple[jax.Array, optax.OptState]:
    """Return the parameters after one step and the optimizer state that belongs to them."""
    updates, opt_state = optimizer.update(grads, opt_state, params)
    return params + updates, opt_state
