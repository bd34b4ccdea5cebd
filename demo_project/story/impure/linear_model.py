"""Pair 4, object: a linear model that holds its own `w` and `b`.

What to see: `update` returns nothing and yet changes what `predict` will answer. After `predict =
jax.jit(model.predict)` it gets worse: `w` and `b` were constants when the function was compiled,
and no later update reaches it.
"""

import jax
import jax.numpy as jnp

__all__ = ["LinearModel"]


class LinearModel:
    """y = w x + b for scalar w and b, both 0 at the start."""

    def __init__(self) -> None:
        self.w = jnp.zeros(())
        self.b = jnp.zeros(())

    def predict(self, x: jax.Array) -> jax.Array:
        """Return w x + b, of the shape of `x`."""
        return self.w * x + self.b

    def update(self, dw: jax.Array, db: jax.Array) -> None:
        """Add `dw` to w and `db` to b."""
        self.w = self.w + dw
        self.b = self.b + db
