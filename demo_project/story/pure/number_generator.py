"""Pair 2, function: the same generator as `generate(state) -> (output, state)`, and the same
numbers.

What to see: to get the next number you pass the next state. Passing the old one again gives the old
number again, which is how a bug is reproduced. JAX's own keys work like this; pair 3 uses them.
"""

from typing import Final

import jax
import jax.numpy as jnp

__all__ = ["generate", "seeded"]

MULTIPLIER: Final = 1664525
INCREMENT: Final = 1013904223


def seeded(seed: int) -> jax.Array:
    """Return the state to start from, a uint32 scalar."""
    return jnp.asarray(seed, dtype=jnp.uint32)


def generate(state: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return a number from 0 to 65535 and the state that follows, both uint32 of the shape of
    `state`.
    """
    state = MULTIPLIER * state + INCREMENT  # a uint32 wraps around at 2**32, so no modulus is written
    return state >> 16, state
