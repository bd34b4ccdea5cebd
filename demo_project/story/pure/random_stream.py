"""Pair 3, function: the chain `key, subkey = split(key)` in the open.

What to see: `subkey` is spent here and forgotten; `key` goes back to the caller, who passes it on.
Each key is consumed exactly once, and the noise is a function of the arguments alone.
"""

import jax

__all__ = ["normal"]


def normal(key: jax.Array, shape: tuple[int, ...]) -> tuple[jax.Array, jax.Array]:
    """Return float32 noise of the given shape, and the key for the next call. Consumes `key`."""
    key, subkey = jax.random.split(key)
    return jax.random.normal(subkey, shape), key
