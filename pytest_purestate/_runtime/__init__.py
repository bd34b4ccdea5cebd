"""The runtime half: fixtures and assertions. May import JAX; never libcst, never ``_check``."""

from __future__ import annotations

__all__ = ["MISSING_EXTRA", "is_missing_extra"]

_FAMILY = frozenset({"jax", "jaxlib", "numpy", "flax", "optax"})

MISSING_EXTRA = "needs JAX, Flax and Optax; install them with `pip install 'pytest-purestate[jax]'`"
"""What to say where one of them is missing; a subject goes in front."""


def is_missing_extra(error: ModuleNotFoundError) -> bool:
    """Whether the extra is what the interpreter misses, and not some module inside a broken installation."""
    return error.name in _FAMILY
