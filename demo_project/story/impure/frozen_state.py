"""Pair 7, object: a "frozen" TrainState whose parameters are edited in place.

What to see: `TrainState` is a frozen dataclass, so that `state.step = ...` raises. The freezing
ends at its fields, and since Flax 0.7 `params` is a plain dict: the assignment in `decay` goes
through without a word and changes the parameters for everybody who holds them. Under `jax.jit` the
dict is a copy made for tracing, so that the same line does nothing at all.
"""

from flax.training.train_state import TrainState

__all__ = ["count", "decay"]


def decay(state: TrainState, rate: float = 0.5) -> None:
    """Shrink the kernel of the layer `dense`, in the dict of whoever made the state."""
    state.params["dense"]["kernel"] = rate * state.params["dense"]["kernel"]  # planted: PS202


def count(state: TrainState) -> None:
    """Try to count a step; raises `dataclasses.FrozenInstanceError`."""
    state.step = state.step + 1  # planted: PS203
