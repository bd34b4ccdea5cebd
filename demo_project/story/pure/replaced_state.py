"""Pair 6, function: a `State` whose `update(grads)` returns a new state.

What to see: the return annotation. A method is as functional as a function when it only reads `self`
and its result is the successor. The base class freezes the fields, makes `State` a pytree, which is
what `jax.jit` takes, and brings a `replace` that does return the copy.
"""

from typing import Self

import jax
from flax import struct

__all__ = ["State"]


class State(struct.PyTreeNode):
    """A weight, and the number of steps it was trained for."""

    w: jax.Array
    step: jax.Array | int = 0

    def update(self, grads: jax.Array, learning_rate: float = 0.1) -> Self:
        """Return the state after one step of gradient descent; this one stays what it is."""
        return self.replace(w=self.w - learning_rate * grads, step=self.step + 1)
