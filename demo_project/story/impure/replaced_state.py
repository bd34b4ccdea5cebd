"""Pair 6, object: a `State` whose `replace` forgets to return the copy.

What to see: the copy is made with care and then dies with the local name. `state.replace(w)` gives
`None`, and somebody who calls it as a statement, because it seems to change the state, trains
nothing at all. A linter that looks for unused variables stays silent, since `new_state` is used.
"""

import copy

import jax

__all__ = ["State"]


class State:
    """A weight and the number of steps it was trained for."""

    def __init__(self, w: jax.Array, step: int = 0) -> None:
        self.w = w
        self.step = step

    def replace(self, w: jax.Array) -> None:
        """Make a copy with another weight, one step later, and lose it."""
        new_state = copy.copy(self)  # planted: PS209
        new_state.w = w
        new_state.step = self.step + 1
