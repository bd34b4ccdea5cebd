"""Pair 4, function: `predict(params, x)` and `update(params, updates)`.

What to see: the parameters are a value. Old and new ones exist side by side, can be compared, saved
and differentiated, and a compiled `predict` takes whichever it is given. `updates` has the shape of
`params`, which is also what `optax.apply_updates` asks for.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

__all__ = ["Params", "initial_params", "predict", "update"]


class Params(NamedTuple):
    """The slope and the intercept of a line, float32 scalars."""

    w: jax.Array
    b: jax.Array


def initial_params() -> Params:
    """Return w = 0 and b = 0."""
    return Params(w=jnp.zeros(()), b=jnp.zeros(()))


def predict(params: Params, x: jax.Array) -> jax.Array:
    """Return w x + b, of the shape of `x`."""
    return params.w * x + params.b


def update(params: Params, updates: Params) -> Params:
    """Return new parameters, `params + updates`; the old ones stay what they are."""
    return Params(w=params.w + updates.w, b=params.b + updates.b)
