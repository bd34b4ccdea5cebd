"""A train state at one moment, as JAX sees it: its leaves by path, and apart from them all that is no array."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pytest_purestate._runtime import _compat
from pytest_purestate._runtime.arrays import ArrayContent, is_array, read_array
from pytest_purestate._runtime.graph import Node, iter_nodes, take_picture

__all__ = ["Leaf", "View", "same_bits", "take_view"]

_COMPONENT = re.compile(r"\.(\w+)|\['([^']*)'\]|(\[[^\]]*\])")
_NUMBERS = (bool, int, float, complex)
_BLANK = 0
"""Stands for every array in a picture of what is no array."""


@dataclass(frozen=True, slots=True, eq=False)
class Leaf:
    """An array of a state, or a Python number, which `jax.jit` takes for one.

    Attributes:
        path: ``state.params['w']``.
        field: the part of it that is a field of the root, ``state.params``.
        names: the components of the path below the root, ``("params", "w")``; an index as it is written, ``[0]``.
        content: as the compiled step gets it: a Python int is a weak int32.
        is_number: whether it is a Python number.
        variable: the class of the nnx variable that holds it; None outside of nnx.
    """

    path: str
    field: str
    names: tuple[str, ...]
    content: ArrayContent
    is_number: bool = False
    variable: type | None = None

    @property
    def floating(self) -> bool:
        """Whether it holds real numbers (or complex ones)."""
        return bool(jnp.issubdtype(_dtype(self.content), np.inexact))

    @property
    def size(self) -> int:
        """How many elements it has."""
        return int(np.prod(self.content.shape, dtype=np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A state at one moment.

    Attributes:
        leaves: by path, in the order of the tree.
        frames: for each root a picture of all that is no array: containers, static fields.
        treedefs: for each root what JAX compares when it looks for compiled code.
    """

    leaves: Mapping[str, Leaf]
    frames: Mapping[str, Node]
    treedefs: Mapping[str, Any]


def take_view(parts: Mapping[str, Any]) -> View:
    """Look at a state now; it can be edited and donated afterwards.

    Args:
        parts: the state, or the parts that it is passed in, by name.
    """
    leaves: dict[str, Leaf] = {}
    seen: set[int] = set()
    for name, part in parts.items():
        for path, value, variable in _leaves(name, part, seen):
            if (content := _read(value)) is not None:
                found = list(_COMPONENT.finditer(path, len(name)))
                names = tuple(next(filter(None, one.groups()), "") for one in found)
                field = path[: found[0].end()] if found else path
                leaves[path] = Leaf(path, field, names, content, _is_number(value), variable)
    frames = {name: _frame(part) for name, part in parts.items()}
    return View(leaves, frames, {name: jax.tree.structure(part) for name, part in parts.items()})


def same_bits(one: ArrayContent, other: ArrayContent) -> bool:
    """Whether two arrays have the same elements, whatever holds them; NaN equals NaN."""
    a, b = one.host, other.host
    if a is None or b is None or a.shape != b.shape:
        return a is b
    if a.dtype == b.dtype:
        return a.tobytes() == b.tobytes()
    return bool(np.array_equal(a, b))


def _leaves(name: str, part: Any, seen: set[int]) -> Iterator[tuple[str, Any, type | None]]:
    """Paths and values; each nnx variable once, also where two objects hold it."""
    flat, _ = jax.tree_util.tree_flatten_with_path(part, is_leaf=_compat.is_nnx_object)
    for keys, leaf in flat:
        path = name + jax.tree_util.keystr(keys)
        if not _compat.is_nnx_object(leaf):
            yield path, leaf, None
            continue
        for place, node in iter_nodes(take_picture(leaf), path):
            if _compat.is_nnx_variable(node.value) and id(node.value) not in seen:
                seen.add(id(node.value))
                yield place, _compat.variable_value(node.value), _compat.variable_type(node.value)


def _read(value: Any) -> ArrayContent | None:
    if _is_number(value):
        dtype = jax.dtypes.canonicalize_dtype(np.result_type(type(value)))
        return ArrayContent(str(dtype), (), np.array(value).astype(dtype), "", not isinstance(value, bool))
    if not is_array(value):
        return None
    content = read_array(value)
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biufc":
        # What `jax.jit` makes of it; no other place can tell that the caller had float64.
        dtype = jax.dtypes.canonicalize_dtype(value.dtype)
        return ArrayContent(str(dtype), content.shape, np.asarray(content.host).astype(dtype))
    return content


def _is_number(value: object) -> bool:
    return isinstance(value, _NUMBERS) and not isinstance(value, np.generic)


def _frame(part: Any) -> Node:
    def blank(leaf: Any) -> Any:
        return _BLANK if is_array(leaf) or _is_number(leaf) else leaf

    root = take_picture(jax.tree.map(blank, part, is_leaf=_compat.is_nnx_object))
    for _, node in iter_nodes(root, ""):
        if isinstance(node.content, ArrayContent):
            node.type, node.content = "builtins.int", _BLANK
    return root


def _dtype(content: ArrayContent) -> Any:
    # A key array has words of uint32, which is what matters here.
    return np.dtype("uint32") if content.host is None else content.host.dtype
