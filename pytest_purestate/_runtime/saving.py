"""Saving a state and restoring it, by name, as a library does it, or by two functions of the user."""

from __future__ import annotations

import importlib
import inspect
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pytest_purestate._runtime import _compat
from pytest_purestate._runtime.copies import copy_value
from pytest_purestate._runtime.hidden import name_of
from pytest_purestate._runtime.stores import STORES, Store

__all__ = ["STORES", "Store", "Via", "blank", "round_trip", "store_of"]

Pair = tuple[Callable[..., Any], Callable[..., Any]]
Via = str | Pair


def store_of(via: object) -> Store:
    """The store that an argument ``via`` means: a name of `STORES`, or two functions (see `assert_resumable`).

    Raises:
        TypeError: it is neither.
        ValueError: there is no store of that name, or its library is not installed.
    """
    __tracebackhide__ = True
    if isinstance(via, str):
        if via not in STORES:
            raise ValueError(
                f"via has no {via!r}; it takes {', '.join(map(repr, STORES))} or two functions, (save, restore)"
            )
        if via == "orbax":
            try:
                importlib.import_module("orbax.checkpoint")
            except ModuleNotFoundError as error:
                raise ValueError(f"via='orbax' needs orbax, and there is none: {error}") from None
        return STORES[via]
    if not isinstance(via, tuple) or len(via) != 2 or not all(map(callable, via)):
        raise TypeError(
            f"via must be {', '.join(map(repr, STORES))} or two functions, (save, restore), not {via!r}"
        )
    return _pair(*via)


def round_trip(store: Store, state: Any, template: Any, name: str = "state") -> Any:
    """Save a state into a temporary folder and restore it from there. Neither is used up.

    Raises:
        PurityError: the library of the store cannot store or restore it.
    """
    __tracebackhide__ = True
    with tempfile.TemporaryDirectory(prefix="purestate-") as folder:
        saved = store.save(copy_value(state, name), Path(folder), name)
        return store.restore(saved, copy_value(template, "template"), name)


def blank(state: Any, fill: int = 0) -> Any:
    """A copy in which every element of every array is ``fill``, 0 or 1, and every key has that for its bits.

    What a program that starts anew has before it restores: the structure, shapes and dtypes, and none of the
    values. Python numbers, strings and static fields stay as they are.
    """

    def filled(array: jax.Array, path: str) -> jax.Array:
        if _compat.is_key_aval(array):
            bits = jnp.full_like(jax.random.key_data(array), fill)
            key: jax.Array = jax.random.wrap_key_data(bits, impl=jax.random.key_impl(array))
            return key
        return jnp.full_like(array, fill)

    def host(leaf: Any, path: str) -> Any:
        return (
            np.full_like(leaf, fill)
            if isinstance(leaf, np.ndarray) and leaf.dtype.kind not in "SUTmM"
            else leaf
        )

    return copy_value(state, "state", array=filled, host=host)


# Two functions of the user


def _pair(save: Callable[..., Any], restore: Callable[..., Any]) -> Store:
    __tracebackhide__ = True
    writes, takes_template = _required(save, "save") == 2, _required(restore, "restore") == 2

    def saved(state: Any, folder: Path, name: str) -> Any:
        path = folder / "state"
        if not writes:
            return save(state)
        save(state, path)
        return path

    def restored(stored: Any, template: Any, name: str) -> Any:
        return restore(stored, template) if takes_template else restore(stored)

    return Store(f"(`{name_of(save)}`, `{name_of(restore)}`)", saved, restored)


def _required(function: Callable[..., Any], name: str) -> int:
    """How many arguments a function of the pair wants: 1 or 2."""
    __tracebackhide__ = True
    wanted = (
        "save(state, path) or save(state)" if name == "save" else "restore(path, template) or restore(path)"
    )
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        raise TypeError(f"{function!r} does not say what it takes; wrap it: {wanted}") from None
    positional = [one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    required = [one for one in positional if one.default is one.empty]
    count = len(required) or min(len(positional), 1)
    if count not in (1, 2) or any(
        one.kind is one.KEYWORD_ONLY and one.default is one.empty for one in parameters
    ):
        raise TypeError(
            f"the functions of via are {wanted}, and `{name_of(function)}` takes {inspect.signature(function)}"
        )
    return count
