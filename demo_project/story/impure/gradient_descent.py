"""Pair 5, object: gradient descent whose momentum lives inside the optimizer.

What to see: `step(params, grads)` looks like a function of its two arguments. It has a third one,
`self.velocity`, so that the same step from the same point goes somewhere else each time. A
checkpoint of `params` alone loses it without a word, and training resumes with no momentum.
"""

import jax
import jax.numpy as jnp

__all__ = ["MomentumOptimizer"]


class MomentumOptimizer:
    """Gradient descent with (heavy ball) momentum, for a parameter array like `params`."""

    def __init__(self, params: jax.Array, learning_rate: float = 0.1, momentum: float = 0.9) -> None:
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.velocity = jnp.zeros_like(params)

    def step(self, params: jax.Array, grads: jax.Array) -> jax.Array:
        """Return the parameters after one step, of the shape of `params`."""
        self.velocity = grads + self.momentum * self.velocity
        return params - self.learning_rate * self.velocity
