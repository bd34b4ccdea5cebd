"""The one place that touches what JAX and Flax do not promise to keep, each with a public fall-back."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp

__all__ = [
    "NNX_INTERNALS",
    "fresh_compilations",
    "is_flax_mapping",
    "is_linen_module",
    "is_nnx_module",
    "is_nnx_object",
    "is_nnx_variable",
    "is_ref",
    "is_tracer",
    "tracing",
    "variable_metadata",
    "variable_type",
    "variable_value",
]

NNX_INTERNALS = ("_object__", "_pytree__")
"""How the names of the attributes start in which nnx keeps its own books (0.10 and 0.12)."""


_untraced: Callable[[], bool] | None
try:
    from jax._src.core import trace_state_clean

    _untraced = trace_state_clean
except ImportError:
    _untraced = None


def tracing() -> bool:
    """Whether a transformation (``jit``, ``grad``, ``vmap``, ...) is tracing the caller right now."""
    return not _untraced() if _untraced is not None else _traced_by_jit()


def _traced_by_jit() -> bool:
    # Public, and half of it: sees jit, scan and the like, where every new array is a tracer; not grad or vmap alone.
    return is_tracer(jnp.zeros(()))


def is_tracer(value: object) -> bool:
    """Whether the value stands for an array inside a transformation."""
    return isinstance(value, jax.core.Tracer)


def is_ref(value: object) -> bool:
    """Whether the value is a mutable array reference (``jax.new_ref``), in the versions that have them."""
    kind = getattr(jax, "Ref", None)
    return isinstance(kind, type) and isinstance(value, kind) and not is_tracer(value)


@contextmanager
def fresh_compilations() -> Iterator[None]:
    """Compile anew inside the block, with nothing from the caches in memory and on disk."""
    jax.clear_caches()  # type: ignore[no-untyped-call]
    enabled = jax.config.jax_enable_compilation_cache  # type: ignore[attr-defined]
    _enable_compilation_cache(False)
    try:
        yield
    finally:
        _enable_compilation_cache(enabled)


def _enable_compilation_cache(enabled: bool) -> None:
    jax.config.update("jax_enable_compilation_cache", enabled)  # type: ignore[no-untyped-call]
    if jax.config.jax_compilation_cache_dir is None:  # type: ignore[attr-defined]
        return
    # JAX decides once a process whether it uses the cache; only a reset makes it look at the flag again.
    from jax.experimental.compilation_cache import compilation_cache

    compilation_cache.reset_cache()


def _loaded(module: str, name: str) -> type | None:
    """A class of a library, if the library was loaded: an object of it cannot exist otherwise."""
    found = getattr(sys.modules.get(module), name, None)
    return found if isinstance(found, type) else None


def is_linen_module(value: object) -> bool:
    """Whether the value is a ``flax.linen.Module``."""
    kind = _loaded("flax.linen", "Module")
    return kind is not None and isinstance(value, kind)


def is_nnx_variable(value: object) -> bool:
    """Whether the value is a ``flax.nnx.Variable``."""
    kind = _loaded("flax.nnx", "Variable")
    return kind is not None and isinstance(value, kind)


def is_nnx_object(value: object) -> bool:
    """Whether the value is a ``flax.nnx`` module or another object of its graph."""
    kind = _loaded("flax.nnx", "Pytree") or _loaded("flax.nnx", "Object")
    return kind is not None and isinstance(value, kind)


def is_nnx_module(value: object) -> bool:
    """Whether the value is a ``flax.nnx.Module``."""
    kind = _loaded("flax.nnx", "Module")
    return kind is not None and isinstance(value, kind)


def variable_type(variable: Any) -> type:
    """The class of an nnx variable, or of the one that a ``VariableState`` stands for (before 0.12)."""
    kind = type(variable) if is_nnx_variable(variable) else variable.type
    assert isinstance(kind, type)
    return kind


def variable_value(variable: Any) -> object:
    """What an nnx variable holds, without its hooks."""
    read = getattr(variable, "get_raw_value", None)
    if read is not None:
        return read()
    return variable.raw_value if is_nnx_variable(variable) else variable.value


def variable_metadata(variable: Any) -> dict[str, object]:
    """What an nnx variable says about itself besides its value (sharding names, tags, hooks)."""
    return dict(variable.get_metadata())


def is_flax_mapping(value: object) -> bool:
    """Whether the value is a ``FrozenDict`` of Flax or a ``State`` of nnx: mappings that are not dicts."""
    kinds = [_loaded("flax.core", "FrozenDict"), _loaded("flax.nnx", "State")]
    return any(kind is not None and isinstance(value, kind) for kind in kinds)
