"""States that cannot be edited in place, so that the line which tries is the one that raises.

Dicts become FrozenDicts, which is another tree structure: `jax.tree.map` over a frozen and a plain one raises. Buffers of
numpy become read-only copies.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from flax.core import freeze

__all__ = ["freezing", "frozen"]


def frozen(value: Any) -> Any:
    """A copy of a state that refuses to be edited: dicts, tuples, frozen dataclasses and numpy arrays, at any depth."""
    if isinstance(value, dict):
        return freeze({key: frozen(item) for key, item in value.items()})
    if isinstance(value, tuple):
        items = [frozen(item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    if isinstance(value, np.ndarray):
        copy = value.copy()
        copy.flags.writeable = False
        return copy
    params = getattr(type(value), "__dataclass_params__", None)
    if params is not None and params.frozen:
        parts = {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.init}
        return dataclasses.replace(value, **{name: frozen(part) for name, part in parts.items()})
    return value


def freezing(make: Callable[..., Any]) -> Callable[..., Any]:
    """A function that makes states, all of them frozen."""

    @functools.wraps(make)
    def made(*args: Any, **options: Any) -> Any:
        return frozen(make(*args, **options))

    return made
