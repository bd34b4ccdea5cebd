"""Pair 6, function: a `State` whose `update(grads)` returns a new state.

What to see: the return annotation. A method is as functional as a function when `self` is only read
and the successor is the result.
"""

import dataclasses
from dataclasses import dataclass
from typing import Self

import jax

__all__ = ["State"]


@dataclass(frozen=True)
class State:
    """A weight and the number of steps it was trained for."""

    w: jax.Array
    step: int = 0

    def update(self, grads: jax.Array, learning_rate: float = 0.1) -> Self:
        """Return the state after one step of gradient descent; this one stays what it is."""
        return dataclasses.replace(self, w=self.w - learning_rate * grads, step=self.step + 1)
