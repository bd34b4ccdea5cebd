"""Pair 3, object: a stream of noise that hides its key.

What to see: the key is split correctly and never used twice, so no static rule is broken. Yet
`normal(shape)` gives different noise in each call, and the only way to get the first noise again is
to build the object again.
"""

import jax

__all__ = ["NoiseStream"]


class NoiseStream:
    """Standard normal noise from a key which the stream keeps to itself."""

    def __init__(self, seed: int) -> None:
        self.key = jax.random.key(seed)

    def normal(self, shape: tuple[int, ...]) -> jax.Array:
        """Return float32 noise of the given shape."""
        self.key, subkey = jax.random.split(self.key)
        return jax.random.normal(subkey, shape)
