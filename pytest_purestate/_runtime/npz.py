"""Leaves in a file of numpy, without pickle: what numpy has no dtype for is stored as its bits, with its name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pytest_purestate._runtime import _compat

__all__ = ["read_npz", "write_npz"]

Leaves = Sequence[tuple[str, Any]]


def write_npz(path: Path, leaves: Leaves) -> None:
    """Write arrays, keys, numbers and strings, each with its path.

    Args:
        path: of the file.
        leaves: paths and values.
    """
    entries: dict[str, np.ndarray] = {"paths": np.array([place for place, _ in leaves], dtype=np.str_)}
    kinds = []
    for number, (_, leaf) in enumerate(leaves):
        kind, entries[f"leaf{number}"] = _encode(leaf)
        kinds.append(kind)
    entries["kinds"] = np.array(kinds, dtype=np.str_)
    with path.open("wb") as file:
        np.savez(file, **entries)  # type: ignore[arg-type]


def read_npz(path: Path, template: Leaves) -> list[Any]:
    """Read leaves by their paths; each is an array of JAX, of numpy, or no array, as in the template.

    Raises:
        ValueError: the file has other paths than the template.
    """
    with np.load(path, allow_pickle=False) as file:
        places = [str(place) for place in file["paths"]]
        found = {
            place: (str(kind), file[f"leaf{number}"])
            for number, (place, kind) in enumerate(zip(places, file["kinds"], strict=True))
        }
    wanted = [place for place, _ in template]
    if missing := [place for place in wanted if place not in found]:
        raise ValueError(f"`{missing[0]}` is not in the file")
    if extra := [place for place in places if place not in wanted]:
        raise ValueError(f"`{extra[0]}` is in the file only")
    return [_decode(*found[place], like) for place, like in template]


def _encode(leaf: Any) -> tuple[str, np.ndarray]:
    if isinstance(leaf, jax.Array) and _compat.is_key_aval(leaf):
        return f"key:{jax.random.key_impl(leaf)}", np.asarray(jax.random.key_data(leaf))
    if isinstance(leaf, bytes):  # numpy drops zeros at their end
        return "bytes", np.frombuffer(leaf, np.uint8)
    array = np.asarray(leaf)
    if array.dtype.isbuiltin == 1 or array.dtype.kind in "SU":
        return "", array
    return f"bits:{array.dtype.name}", np.ascontiguousarray(array).view(f"u{array.dtype.itemsize}").reshape(
        array.shape
    )


def _decode(kind: str, stored: np.ndarray, like: Any) -> Any:
    kind, _, name = kind.partition(":")
    if kind == "key":
        return jax.random.wrap_key_data(jnp.asarray(stored), impl=name)
    if kind == "bytes":
        return stored.tobytes()
    value = stored.view(jnp.dtype(name)) if kind == "bits" else stored
    if isinstance(like, jax.Array):
        return jnp.asarray(value)
    if isinstance(like, np.generic):
        return value[()]
    return value if isinstance(like, np.ndarray) or value.ndim else value.item()
