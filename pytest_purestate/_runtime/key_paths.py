"""The keys of a call by name: ``state.key``, ``jax.random.split(key)[1]``, as one would write them in Python."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pytest_purestate._runtime import _compat
from pytest_purestate._runtime.arrays import is_array
from pytest_purestate._runtime.graph import iter_nodes, take_picture
from pytest_purestate._runtime.guard.lineage import Key, Lineage, Use
from pytest_purestate._runtime.guard.places import Place

__all__ = ["keys_in", "name_of_reuse"]

_MANY = 4096
_LONG = 60


def keys_in(value: Any, name: str) -> Iterator[tuple[Callable[[int], str], jax.Array]]:
    """Arrays of keys, typed ones and what has the form of raw ones, and how to call each of the keys by its flat index."""
    for path, node in iter_nodes(take_picture(value), name):
        if not is_array(node.value) or _compat.is_tracer(node.value):
            continue
        keys = _as_keys(node.value)
        if keys is not None and keys.size <= _MANY:
            yield partial(_element, path, keys.shape), keys


def _element(path: str, shape: tuple[int, ...], at: int) -> str:
    index = ", ".join(str(each) for each in np.unravel_index(at, shape)) if shape else ""
    return f"{path}[{index}]" if index else path


def _as_keys(array: Any) -> jax.Array | None:
    if isinstance(array, jax.Array) and jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        return array
    words = jax.random.key_data(jax.random.key(0)).shape[-1]
    if array.dtype == np.uint32 and array.shape[-1:] == (words,):
        keys: jax.Array = jax.random.wrap_key_data(jnp.asarray(array))
        return keys
    return None


def name_of_reuse(lineage: Lineage, first: Place, second: Place) -> str:
    """What to call the key that was used in these two places too often; empty where it is not known."""
    for root in lineage.roots:
        for name, key in _names(root.label, root):
            places = [use.place for use in key.uses.values() if use.reused]
            if first in places and second in places:
                return name
    return ""


def _names(name: str, key: Key) -> Iterator[tuple[str, Key]]:
    stack = [(name, key)]
    while stack:
        name, key = stack.pop()
        yield name, key
        short = name if len(name) <= _LONG else "..."
        for each in reversed(key.then):
            if isinstance(each, Use):
                for index, child in each.children.items():
                    of = short if each.total == 2 else f"{short}, {each.total}"
                    stack.append((f"jax.random.split({of})[{index}]", child))
            elif each.how == "fold":
                stack.append((each.label.replace("fold_in(", f"jax.random.fold_in({short}, "), each))
            else:
                stack.append((each.label, each))
