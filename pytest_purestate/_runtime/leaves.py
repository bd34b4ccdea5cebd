"""Leaves of arguments, written down and put back: what a replay needs, without a copy of what holds them.

Arrays are stored by numpy without pickling, extension types and keys as their bits; plain numbers and strings as text.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pytest_purestate._runtime.arrays import ArrayContent
from pytest_purestate._runtime.copies import PLAIN, copy_value
from pytest_purestate._runtime.graph import Node, iter_nodes

__all__ = ["Leaf", "packed", "pictured", "put_back", "taken", "unpacked"]

_NATIVE = frozenset("biufcSU")


@dataclass(frozen=True, slots=True)
class Leaf:
    """One leaf.

    Attributes:
        path: where it was, ``state.params['kernel']``.
        kind: ``array``, ``key`` (typed), ``numpy``, or the name of a plain type.
        dtype: of the array; for a key its implementation.
        weak_type: of a JAX array.
        value: the bits of an array, or the plain value.
    """

    path: str
    kind: str
    dtype: str
    weak_type: bool
    value: Any

    @property
    def nbytes(self) -> int:
        """How much is stored."""
        return int(self.value.nbytes) if isinstance(self.value, np.ndarray) else len(str(self.value))


def taken(name: str, value: Any) -> list[Leaf]:
    """The leaves below a value; what cannot be read (deleted, on another host) is left out."""
    found: list[Leaf] = []

    def array(leaf: Any, path: str) -> Any:
        if leaf.is_deleted() or not leaf.is_fully_addressable:
            return leaf
        with jax.transfer_guard("allow"):
            if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
                words = np.array(jax.random.key_data(leaf))
                found.append(Leaf(path, "key", str(jax.random.key_impl(leaf)), False, words))
            else:
                weak = bool(getattr(leaf, "weak_type", False))
                found.append(Leaf(path, "array", str(leaf.dtype), weak, np.array(leaf)))
        return leaf

    def host(leaf: Any, path: str) -> Any:
        if isinstance(leaf, np.ndarray):
            found.append(Leaf(path, "numpy", str(leaf.dtype), False, leaf.copy()))
        else:
            found.append(Leaf(path, type(leaf).__name__, "", False, leaf))
        return leaf

    copy_value(value, name, array=array, host=host)
    return found


def pictured(name: str, picture: Node) -> list[Leaf]:
    """The leaves in a picture, which are those of an earlier moment."""
    found = []
    for path, node in iter_nodes(picture, name):
        content = node.content
        if isinstance(content, ArrayContent) and content.host is not None:
            if content.dtype.startswith("key<"):
                leaf = Leaf(path, "key", content.dtype[4:-1], False, content.host)
            else:
                kind = "array" if isinstance(node.value, jax.Array) else "numpy"
                leaf = Leaf(path, kind, content.dtype, content.weak_type, content.host)
            found.append(leaf)
        elif type(content) in PLAIN:
            found.append(Leaf(path, type(content).__name__, "", False, content))
    return found


def put_back(name: str, value: Any, leaves: Mapping[str, Leaf]) -> tuple[Any, list[str]]:
    """A copy of a value with these leaves in their places, and the places where other leaves are than were recorded."""
    strange: list[str] = []

    def fitting(leaf: Any, path: str, kind: str) -> Leaf | None:
        new = leaves.get(path)
        if new is None or new.kind != kind:
            strange.append(path)
            return None
        return new

    def array(leaf: Any, path: str) -> Any:
        is_key = bool(jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key))
        new = fitting(leaf, path, "key" if is_key else "array")
        if new is None:
            return leaf.copy()
        if is_key:
            made = jax.random.wrap_key_data(jnp.asarray(new.value), impl=new.dtype)
        elif new.weak_type and new.value.ndim == 0:
            made = jnp.asarray(new.value.item())
        else:
            made = jnp.asarray(new.value)
        return made if leaf.is_deleted() else jax.device_put(made, leaf.sharding)

    def host(leaf: Any, path: str) -> Any:
        new = fitting(leaf, path, "numpy" if isinstance(leaf, np.ndarray) else type(leaf).__name__)
        if new is None:
            return leaf.copy() if isinstance(leaf, np.ndarray) else leaf
        return new.value.copy() if isinstance(new.value, np.ndarray) else new.value

    return copy_value(value, name, array=array, host=host), strange


def packed(leaves: Iterable[Leaf], limit: int) -> tuple[bytes, list[dict[str, Any]], list[str]]:
    """The arrays as the bytes of an npz file, what JSON has to say of each leaf, and the paths that are over the limit."""
    arrays: dict[str, np.ndarray] = {}
    facts: list[dict[str, Any]] = []
    left_out: list[str] = []
    size = 0
    for leaf in leaves:
        if size + leaf.nbytes > limit:
            left_out.append(leaf.path)
            continue
        size += leaf.nbytes
        fact: dict[str, Any] = {"path": leaf.path, "kind": leaf.kind}
        if isinstance(leaf.value, np.ndarray):
            fact |= {
                "dtype": leaf.dtype,
                "shape": list(leaf.value.shape),
                "weak_type": leaf.weak_type,
                "array": len(arrays),
            }
            arrays[str(len(arrays))] = _plain(leaf.value)
        else:
            fact["value"] = _text(leaf.value)
        facts.append(fact)
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    return file.getvalue(), facts, left_out


def unpacked(data: bytes, facts: Sequence[Mapping[str, Any]]) -> dict[str, Leaf]:
    """Leaves by path, as `packed` gave them.

    Raises:
        ValueError: the two do not belong together.
    """
    found: dict[str, Leaf] = {}
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            for fact in facts:
                path, kind = str(fact["path"]), str(fact["kind"])
                if "array" not in fact:
                    found[path] = Leaf(path, kind, "", False, _value(kind, str(fact["value"])))
                    continue
                dtype = str(fact["dtype"])
                stored = file[str(fact["array"])]
                if kind != "key" and str(stored.dtype) != dtype:
                    stored = stored.view(np.dtype(dtype)).reshape(fact["shape"])
                if list(stored.shape) != list(fact["shape"]):
                    raise ValueError(f"`{path}` has another shape than it should have")
                found[path] = Leaf(path, kind, dtype, bool(fact["weak_type"]), stored)
    except (KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"the leaves cannot be read: {type(error).__name__}: {error}") from None
    return found


def _plain(array: np.ndarray) -> np.ndarray:
    """An array of a type that the format knows."""
    if array.dtype.kind in _NATIVE:
        return array
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def _text(value: object) -> str:
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, complex):
        return f"{value.real.hex()} {value.imag.hex()}"
    return str(value)


def _value(kind: str, text: str) -> object:
    if kind == "bool":
        return text == "True"
    if kind == "int":
        return int(text)
    if kind == "float":
        return math.nan if text == "nan" else float.fromhex(text)
    if kind == "complex":
        real, imag = map(float.fromhex, text.split())
        return complex(real, imag)
    if kind == "str":
        return text
    raise ValueError(f"no leaf is of the kind {kind!r}")
