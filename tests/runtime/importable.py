"""Functions at the top level of a module, where a fresh process finds them."""

import os
from typing import Any

import jax
import jax.numpy as jnp

__all__ = ["by_name", "by_process", "crash", "keys", "kinds", "raises", "scaled", "unpicklable"]


def scaled(x: jax.Array, *, by: float = 2.0) -> jax.Array:
    return jnp.sin(x) * by


by_name = jax.jit(lambda x: x + 1)


def by_process(x: jax.Array) -> jax.Array:
    return x + os.getpid()


def kinds(names: list[str]) -> list[str]:
    return list(set(names))


def keys(key: jax.Array) -> dict[str, Any]:
    return {"split": jax.random.split(key), "weak": jnp.asarray(1.0), "tag": (None, "a")}


def raises(x: object) -> None:
    raise LookupError("not in this process")


def crash(x: object) -> None:
    os._exit(3)


def unpicklable(x: object) -> Any:
    return {lambda: x}
