"""What a train state is asked for with: keys and inputs, checked and brought into one form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pytest_purestate._runtime.arrays import is_array, read_array
from pytest_purestate._runtime.keys import KeyStream
from pytest_purestate._runtime.models import struct

__all__ = ["Rngs", "checked_dtype", "checked_rngs", "shapes_of"]

Rngs = jax.Array | Mapping[str, jax.Array] | KeyStream


def checked_dtype(dtype: Any) -> Any:
    """The dtype of floating params; None stays None.

    Raises:
        TypeError: it is no floating dtype.
        ValueError: JAX would give another one.
    """
    if dtype is None:
        return None
    try:
        found = jnp.dtype(dtype)
    except TypeError:
        found = None
    if found is None or not jnp.issubdtype(found, jnp.floating):
        raise TypeError(f"dtype must be a floating dtype, such as jnp.bfloat16, not {dtype!r}")
    if jax.dtypes.canonicalize_dtype(found) != found:
        raise ValueError(f"dtype: JAX has no {found} without `jax_enable_x64`")
    return found


def checked_rngs(rngs: Rngs | None, default_key: Callable[[], jax.Array]) -> Any:
    if rngs is None:
        return default_key()
    if isinstance(rngs, KeyStream):
        return rngs("params")
    if isinstance(rngs, Mapping):
        if not rngs:
            raise TypeError('rngs is empty; a dict has a key for each stream, `{"params": key}`')
        for name, one in rngs.items():
            if not _is_key(one):
                raise TypeError(f"rngs[{name!r}] must be one key, not {_told(one)}; `jax.random.key(seed)`")
        return dict(rngs)
    if not _is_key(rngs):
        raise TypeError(
            f"rngs must be a key, a dict of keys or a KeyStream, not {_told(rngs)}; `jax.random.key(seed)`"
        )
    return rngs


def _is_key(value: Any) -> bool:
    """Whether this is one key, typed or raw."""
    if not isinstance(value, jax.Array | np.ndarray):
        return False
    if jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        return value.shape == ()
    return bool(value.dtype == jnp.uint32) and value.ndim == 1


def _told(value: Any) -> str:
    return f"an array {read_array(value)}" if is_array(value) else repr(value)


def shapes_of(value: Any, path: str) -> Any:
    """Shapes and dtypes in place of arrays."""

    def one(place: Any, leaf: Any) -> jax.ShapeDtypeStruct:
        if isinstance(leaf, jax.ShapeDtypeStruct):
            return leaf
        if isinstance(leaf, jax.Array) or (
            isinstance(leaf, np.ndarray | np.generic) and leaf.dtype.kind not in "OSUMmT"
        ):
            return struct(leaf.shape, jax.dtypes.canonicalize_dtype(leaf.dtype, allow_extended_dtype=True))
        if isinstance(leaf, int | float | complex) and not isinstance(leaf, bool):
            return struct((), jnp.result_type(leaf))
        where = path + jax.tree_util.keystr(place)
        raise TypeError(
            f"`{where}` is {leaf!r}, and inputs are arrays or ShapeDtypeStruct; flags go into init_kwargs"
        )

    return jax.tree_util.tree_map_with_path(one, value)
