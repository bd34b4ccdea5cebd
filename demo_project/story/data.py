"""The data of pair 8: points on a line."""

import jax
import jax.numpy as jnp

__all__ = ["Batch", "line"]

Batch = tuple[jax.Array, jax.Array]


def line() -> Batch:
    """Return x from -1 (included) to 1 (excluded) in steps of 0.01 and y = 3 x + 1, both float32
    (200, 1).
    """
    x = jnp.arange(-1, 1, 0.01).reshape(200, 1)
    return x, 3 * x + 1
