"""Copies of arguments, so that each call of a function gets what the first one got."""

from __future__ import annotations

import ast
import collections
import copy
import enum
import itertools
import random
import types
from array import array
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from pytest_purestate._runtime import _compat
from pytest_purestate._runtime.describe import (
    attributes,
    is_closed,
    is_frozen,
    is_function,
    registered_parts,
)

__all__ = ["PLAIN", "copy_value"]

_SELF_COPYING = (
    np.ndarray,
    np.random.Generator,
    np.random.RandomState,
    np.random.BitGenerator,
    random.Random,
    array,
    bytearray,
)


Leaf = Callable[[Any, str], Any]
PLAIN = (bool, int, float, complex, str)
"""Types whose values are leaves of their own."""


def copy_value(value: Any, path: str = "args", array: Leaf | None = None, host: Leaf | None = None) -> Any:
    """A copy that shares no array and no mutable object with the original, of the same types throughout.

    What two places share in the original, they share in the copy. Functions, classes, linen modules, and
    objects of libraries that cannot be edited (devices, meshes, locks) stay the same objects: they are no
    data.

    Args:
        value: arrays, containers, dataclasses, nnx modules, plain objects, nested.
        path: what to call it in an error.
        array: makes the copy of a JAX array, given it and its path; by default one with the same weak type
            and sharding.
        host: the same for numpy arrays (not those of objects), plain numbers and strings.

    Raises:
        TypeError: there is a generator or another iterator in it, which can be read only once.
    """
    return _Copier(array or _copy_array, host).copy(value, path)


def _copy_array(array: jax.Array, path: str) -> jax.Array:
    # The method, because jnp.array makes a weak type strong.
    return array.copy()


class _Copier:
    def __init__(self, array: Leaf, host: Leaf | None) -> None:
        self._array = array
        self._host = host
        self._memo: dict[int, tuple[Any, Any]] = {}  # id -> (original, copy); the original keeps its id taken

    def copy(self, value: Any, path: str) -> Any:
        if self._host is not None and type(value) in PLAIN:
            return self._host(value, path)  # equal ones are one object, in places that have nothing in common
        if (known := self._memo.get(id(value))) is not None:
            return known[1]
        made = self._make(value, path)
        self._memo[id(value)] = (value, made)
        return made

    def _make(self, value: Any, path: str) -> Any:
        kind = type(value)
        if isinstance(value, jax.Array):
            return self._array(value, path)
        if _compat.is_ref(value):
            return jax.new_ref(value[...])
        if self._host is not None and type(value) is np.ndarray and not value.dtype.hasobject:
            return self._host(value, path)
        if isinstance(value, _SELF_COPYING):
            return copy.deepcopy(value)
        if isinstance(value, itertools.count):
            # Its own way to be copied is gone from Python 3.14; its text has all there is to it.
            return itertools.count(*ast.literal_eval(f"{repr(value)[len('count(') : -1]},"))
        if isinstance(value, types.GeneratorType) or (isinstance(value, Iterator) and _is_builtin(kind)):
            raise TypeError(
                f"`{path}` is a {kind.__name__}, which can be read only once; pass a list or an array"
            )
        if isinstance(value, dict):
            return self._mapping(value, path)
        if isinstance(value, list | collections.deque | set):
            return self._collection(value, path)
        if isinstance(value, tuple | frozenset):
            return self._tuple(value, path)
        if isinstance(value, types.MappingProxyType):
            return types.MappingProxyType(self._mapping(dict(value), path))
        if isinstance(value, jax.tree_util.Partial):
            # A pytree node, so what it binds is data; a plain partial is a function, which jit knows by identity.
            args, keywords = (
                self.copy(value.args, f"{path}.args"),
                self.copy(value.keywords, f"{path}.keywords"),
            )
            return jax.tree_util.Partial(value.func, *args, **keywords)  # type: ignore[no-untyped-call]
        if isinstance(value, enum.Enum) or is_function(value) or _compat.is_linen_module(value):
            return value
        return self._object(value, path)

    def _mapping(self, value: dict[Any, Any], path: str) -> Any:
        made = copy.copy(value)  # keeps the class, the order, and a default factory
        self._memo[id(value)] = (value, made)
        for key in list(value):
            dict.__setitem__(made, key, self.copy(value[key], f"{path}[{key!r}]"))
        self._attributes(value, getattr(value, "__dict__", {}), made, path)
        return made

    def _collection(self, value: Any, path: str) -> Any:
        made = copy.copy(value)
        self._memo[id(value)] = (value, made)
        items = [self.copy(item, f"{path}[{i}]") for i, item in enumerate(value)]
        made.clear()
        (made.update if isinstance(made, set) else made.extend)(items)
        self._attributes(value, getattr(value, "__dict__", {}), made, path)
        return made

    def _tuple(self, value: Any, path: str) -> Any:
        names = getattr(type(value), "_fields", None)
        labels = [f".{name}" for name in names] if names else [f"[{i}]" for i in range(len(value))]
        items = [self.copy(item, path + label) for label, item in zip(labels, value, strict=True)]
        if all(item is old for item, old in zip(items, value, strict=True)):
            return value
        # Past the constructors of subclasses, which may take something else than the items.
        base = tuple if isinstance(value, tuple) else frozenset
        made = base.__new__(type(value), items)
        self._attributes(value, getattr(value, "__dict__", {}), made, path)
        return made

    def _object(self, value: Any, path: str) -> Any:
        if is_closed(value):
            return self._registered(value, path)
        held = attributes(value)
        if held is None:
            return value
        try:
            base = types.SimpleNamespace if isinstance(value, types.SimpleNamespace) else object
            made = base.__new__(type(value))
        except TypeError:
            return value  # built on a type that has its own way to be made: an exception, a number
        self._memo[id(value)] = (value, made)
        if not self._attributes(value, held, made, path) and is_frozen(value):
            return value
        return made

    def _registered(self, value: Any, path: str) -> Any:
        """JAX's own containers, such as sparse arrays: by the way they are registered as pytree nodes."""
        parts = registered_parts(value)
        if not parts:
            return value
        treedef = jax.tree_util.tree_structure(value, is_leaf=lambda part: part is not value)
        return jax.tree_util.tree_unflatten(treedef, [self.copy(part, path + label) for label, part in parts])

    def _attributes(self, value: Any, held: dict[str, Any], made: Any, path: str) -> bool:
        """Give the copy its attributes; whether any of them had to be copied."""
        storage = getattr(value, "__dict__", {})
        copied = False
        for name, item in held.items():
            new = self.copy(item, f"{path}.{name}")
            copied = copied or new is not item
            if name in storage:
                made.__dict__[name] = new
            else:
                object.__setattr__(made, name, new)
        return copied


def _is_builtin(kind: type) -> bool:
    return kind.__module__ in ("builtins", itertools.__name__)
