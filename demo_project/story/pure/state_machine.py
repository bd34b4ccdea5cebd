"""Pair 1, function: the turnstile as `action(state, input) -> (output, state)`.

What to see: the state is an argument and a result. The function is arithmetic on booleans, so that
`jax.lax.scan` runs a whole day of it in one compiled call, and `jax.vmap` runs a whole station.
"""

from typing import Final

import jax
import jax.numpy as jnp

__all__ = ["COIN", "LOCKED", "PUSH", "action", "passages"]

COIN: Final = 0
PUSH: Final = 1
LOCKED: Final = False


def action(state: jax.Array | bool, input: jax.Array | int) -> tuple[jax.Array, jax.Array]:
    """Answer one input and return the state that follows.

    `state` is True where the turnstile is unlocked; `input` is `COIN` or `PUSH`. The output says
    whether a person passes. Both results are boolean arrays, of the shape that the arguments have
    together.
    """
    push = jnp.equal(input, PUSH)
    passes = jnp.logical_and(state, push)
    return passes, jnp.logical_not(push)


def passages(inputs: jax.Array) -> jax.Array:
    """Return, for a sequence of inputs (n,) that starts at a locked turnstile, who passes: booleans
    (n,).
    """

    def step(state: jax.Array, input: jax.Array) -> tuple[jax.Array, jax.Array]:
        output, state = action(state, input)
        return state, output

    _, outputs = jax.lax.scan(step, jnp.asarray(LOCKED), inputs)
    return outputs
