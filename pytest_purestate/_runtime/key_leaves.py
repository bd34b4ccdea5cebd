"""The PRNG keys in a value, one by one, with their bits.

Which leaves are keys: key arrays (``jax.random.key``), and arrays of uint32, of JAX or numpy, whose last axis has 2 or 4
elements, as raw keys (``jax.random.PRNGKey``) of threefry and of rbg have. A stream of nnx counts as its key and its
count together, because it gives ``fold_in(key, count)``; a `KeyStream` as the key that all of its own are made from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pytest_purestate._runtime import _compat
from pytest_purestate._runtime.arrays import is_array
from pytest_purestate._runtime.describe import Policy, describe
from pytest_purestate._runtime.keys import KeyStream

__all__ = ["FoundKey", "KeyArray", "iter_keys"]

_POLICY = Policy(max_bytes=0)  # arrays are looked at here, and only those that are keys
_RAW_WORDS = (2, 4)


@dataclass(frozen=True, slots=True)
class FoundKey:
    """One key.

    Attributes:
        path: where it is, with its index in an array of keys.
        words: its bits.
        impl: the PRNG implementation; empty for a raw key, which does not know it.
        count: how many keys the stream has given that it belongs to; None for a key on its own.
    """

    path: str
    words: bytes
    impl: str = ""
    count: int | None = None

    def __str__(self) -> str:
        words = " ".join(f"0x{word:08x}" for word in np.frombuffer(self.words, np.uint32).tolist())
        count = "" if self.count is None else f", count {self.count}"
        return f"{self.impl or 'raw'} {words}{count}"


@dataclass(frozen=True, slots=True, eq=False)
class KeyArray:
    """An array of keys, or one key, whose keys are only made one by one where somebody asks for them.

    Attributes:
        path: where it is.
        shape: of the array; empty for one key.
        rows: the bits of each key.
        impl: see `FoundKey`.
        count: the counts of the streams, one for each key; None for keys on their own.
    """

    path: str
    shape: tuple[int, ...]
    rows: list[bytes]
    impl: str
    counts: list[int] | None

    def key(self, number: int) -> FoundKey:
        """One of the keys, by its number in row-major order."""
        index = ", ".join(str(i) for i in np.unravel_index(number, self.shape)) if self.shape else ""
        count = None if self.counts is None else self.counts[number]
        return FoundKey(self.path + (f"[{index}]" if index else ""), self.rows[number], self.impl, count)


def iter_keys(value: object, path: str, *, raw: bool = True) -> Iterator[KeyArray]:
    """The keys in a value, in its order. An array at two places counts twice, a stream of keys once.

    Args:
        value: arrays, containers, dataclasses, modules, streams, nested.
        path: what to call it.
        raw: whether arrays of uint32 count.

    Raises:
        TypeError: a key is a tracer.
        ValueError: a key was deleted, or is on another host.
    """
    return _Search(raw).run(value, path)


class _Search:
    def __init__(self, raw: bool) -> None:
        self._raw = raw
        self._streams: dict[int, object] = {}  # by id; holding the object keeps its id taken

    def run(self, value: object, path: str) -> Iterator[KeyArray]:
        # With what is above it: a value may be at two places (one key, used twice), but not inside itself.
        stack: list[tuple[str, Any, frozenset[int], Any]] = [(path, value, frozenset(), None)]
        while stack:
            path, value, above, count = stack.pop()
            if is_array(value):
                yield from self._array(value, path, count)
            elif id(value) in above or self._was_here(value):
                continue
            elif isinstance(value, KeyStream):
                with jax.transfer_guard("allow"):
                    root = value._root
                yield from self._array(root, path, None)
            else:
                children = list(describe(value, _POLICY).children)
                inner = above | {id(value)} if children else above
                own = _count_in(child for _, child in children)
                for label, child in reversed(children):
                    below = own if _variable_class(child) == "RngKey" else None
                    # A variable hands on what the stream that it is in has counted.
                    stack.append((path + label, child, inner, count if label in ("", ".value") else below))

    def _was_here(self, value: object) -> bool:
        """Whether this is something with a memory, at one more place: two layers may share a stream."""
        if isinstance(value, KeyStream) or _compat.is_nnx_object(value) or _compat.is_nnx_variable(value):
            before = len(self._streams)
            self._streams[id(value)] = value
            return len(self._streams) == before
        return False

    def _array(self, array: Any, path: str, count: Any) -> Iterator[KeyArray]:
        typed = jnp.issubdtype(array.dtype, jax.dtypes.prng_key)
        if not typed and not (self._raw and _is_raw(array)):
            return
        if _compat.is_tracer(array):
            raise TypeError(
                f"`{path}` is a tracer, whose bits are not known; call the assertion outside of jit"
            )
        if isinstance(array, jax.Array) and array.is_deleted():
            raise ValueError(f"`{path}` was deleted: it was donated to a function before")
        rows, impl = _read(array, path, typed)
        shape = array.shape if typed else array.shape[:-1]
        counts = None
        if count is not None:
            with jax.transfer_guard("allow"):
                counts = np.broadcast_to(np.asarray(count), shape).reshape(-1).tolist()
        yield KeyArray(path, tuple(shape), rows, impl, counts)


def _is_raw(array: Any) -> bool:
    return bool(array.dtype == np.uint32 and array.ndim and array.shape[-1] in _RAW_WORDS)


def _read(array: Any, path: str, typed: bool) -> tuple[list[bytes], str]:
    """The bits of each key of an array, and the implementation."""
    # The guard is there for the transfers of the code under test.
    with jax.transfer_guard("allow"):
        if not typed:
            words = np.ascontiguousarray(np.asarray(array))
            data, size = words.tobytes(), words.shape[-1] * words.itemsize
            return [data[at : at + size] for at in range(0, len(data), size)], ""
        read = _compat.key_words(array)
    if read is None:
        raise ValueError(f"`{path}` is on devices of another process, and cannot be read here")
    return read


def _variable_class(value: object) -> str:
    """The name of the class of an nnx variable, or of what stands for it in a state."""
    kind = _compat.nnx_variable_class(value)
    return "" if kind is None else kind.__name__


def _count_in(children: Iterable[object]) -> object:
    """How many keys an nnx stream has given, if these are its parts."""
    for child in children:
        if _variable_class(child) == "RngCount":
            return _compat.variable_value(child)
    return None
