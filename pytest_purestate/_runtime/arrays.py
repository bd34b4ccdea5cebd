"""What an array holds at one moment, and how two such moments differ, element by element and bit by bit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pytest_purestate._runtime import _compat
from pytest_purestate._runtime.failures import Problem

__all__ = ["ArrayContent", "array_problems", "is_array", "read_array"]


@dataclass(frozen=True, slots=True, eq=False)
class ArrayContent:
    """An array as it was when it was read.

    Attributes:
        dtype: its name, ``float32`` or ``key<threefry2x32>``.
        shape: as the user sees it; a key array of one key has shape ``()``.
        host: a copy of the elements in host memory, for key arrays the uint32 words with one axis more. None
            where they cannot be read: ``gone`` says why.
        gone: ``""``, ``deleted`` (donated), ``tracer`` or ``remote`` (on devices of another process).
        weak_type: whether the dtype gives way in promotion, as that of a Python scalar does.
        sharding: the ``jax.sharding.Sharding``; None for numpy arrays and where it does not matter.
    """

    dtype: str
    shape: tuple[int, ...]
    host: np.ndarray | None
    gone: str = ""
    weak_type: bool = False
    sharding: Any = None

    def __str__(self) -> str:
        """Dtype and shape as JAX writes them in a jaxpr, ``float32[3,2]``."""
        return f"{self.dtype}[{','.join(map(str, self.shape))}]"


def is_array(value: object) -> bool:
    """Whether the value is an array of JAX (also a tracer) or numpy, or a numpy scalar."""
    return isinstance(value, jax.Array | np.ndarray | np.generic)


def read_array(value: Any) -> ArrayContent:
    """Copy an array to host memory.

    A copy even of JAX's immutable arrays: on CPU they can share their memory with a numpy array that somebody
    edits, and a donation deletes them.
    """
    if isinstance(value, np.ndarray | np.generic):
        return ArrayContent(str(value.dtype), value.shape, np.array(value, copy=True, subok=False))
    is_key = jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
    dtype = f"key<{jax.random.key_impl(value)}>" if is_key else str(value.dtype)
    shape, weak_type = tuple(value.shape), bool(getattr(value, "weak_type", False))
    if _compat.is_tracer(value):
        return ArrayContent(dtype, shape, None, "tracer", weak_type)
    if value.is_deleted():
        return ArrayContent(dtype, shape, None, "deleted", weak_type)
    if not value.is_fully_addressable:
        return ArrayContent(dtype, shape, None, "remote", weak_type, value.sharding)
    # The guard is there for the transfers of the code under test.
    with jax.transfer_guard("allow"):
        host = np.array(jax.random.key_data(value) if is_key else value, copy=True)
    return ArrayContent(dtype, shape, host, "", weak_type, value.sharding)


def array_problems(
    path: str,
    before: ArrayContent,
    after: ArrayContent,
    *,
    changed: bool = False,
    max_ulp: int = 0,
    placement: bool = True,
) -> Iterator[Problem]:
    """How two arrays differ; nothing where they are equal bit by bit, any NaN counting as equal to any other.

    Args:
        path: of the array; the index of the first element that differs is added to it.
        changed: they are one array at two moments; otherwise two arrays, and the text says how far apart.
        max_ulp: how far apart two finite floats may be, in units in the last place.
        placement: whether it matters on which devices they are.
    """
    if before.gone != after.gone:
        if after.gone == "deleted":
            message = "was deleted: a jitted function to which it was passed donates it (`donate_argnums`)"
        else:
            message = f"{before.gone or 'an array'} became {after.gone or 'an array'}"
        yield Problem("deleted", path, message, _short(before), _short(after))
        return
    comparable = True
    verb = "changed" if changed else "differs"
    for kind, one, other in (("dtype", before.dtype, after.dtype), ("shape", before.shape, after.shape)):
        if one != other:
            comparable = False
            yield Problem(kind, path, f"the {kind} {verb}", f"{before}", f"{after}")
            break
    if before.weak_type != after.weak_type:
        texts = ["weak" if content.weak_type else "strong" for content in (before, after)]
        one, other = (f"{before.dtype}, {text}" for text in texts)
        yield Problem("weak-type", path, f"the weak type {verb}", one, other)
    if placement and not _same_sharding(before, after):
        yield Problem("sharding", path, f"the sharding {verb}", f"{before.sharding}", f"{after.sharding}")
    if comparable and before.host is not None and after.host is not None:
        yield from _value_problem(path, before, after, changed, max_ulp)


def _value_problem(
    path: str, before: ArrayContent, after: ArrayContent, changed: bool, max_ulp: int
) -> Iterator[Problem]:
    a, b = before.host, after.host
    assert a is not None
    assert b is not None
    differs = _bits_differ(a, b)
    if not differs.any():
        return
    distance = _ulps(a, b)
    if max_ulp and distance is not None:
        differs &= (distance > max_ulp) | ~(_finite(a) & _finite(b))
    elements = differs.reshape((*before.shape, -1)).any(-1) if before.dtype.startswith("key<") else differs
    count = int(np.count_nonzero(elements))
    if not count:
        return
    first = tuple(int(i) for i in np.argwhere(elements)[0])
    what = "key" if before.dtype.startswith("key<") else "element"
    if elements.size == 1:
        message = "was changed" if changed else f"the {what} differs"
    else:
        verb = "changed" if changed else "differs" if count == 1 else "differ"
        message = f"{count} of {elements.size} {what}s {verb}"
    if distance is not None and not changed:
        finite = _finite(a) & _finite(b) & differs
        message += (
            f", by at most {int(distance[finite].max())} ULP" if finite.any() else ", by NaN or infinity"
        )
    index = f"[{', '.join(map(str, first))}]" if first else ""
    texts = _element(a[first], b[first])
    yield Problem("value", path + index, message, *texts)


def _bits_differ(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """A mask of the elements whose bits differ, two NaNs excepted."""
    if a.dtype.kind in "Tg" or (a.dtype.kind == "c" and a.dtype.itemsize > 16):
        # The bytes are addresses (strings of variable width) or have padding (long doubles).
        mask: np.ndarray = np.asarray((a != b) & ~((a != a) & (b != b)))
        return mask
    if a.dtype.kind == "c":
        part = np.dtype(f"f{a.dtype.itemsize // 2}")
        parts = [np.ascontiguousarray(x).view(part).reshape((*x.shape, 2)) for x in (a, b)]
        return np.asarray(_bits_differ(*parts).any(-1))
    if a.dtype.itemsize == 0:
        return np.zeros(a.shape, bool)
    octets = [np.ascontiguousarray(x).view(np.uint8).reshape((*x.shape, a.dtype.itemsize)) for x in (a, b)]
    mask = (octets[0] != octets[1]).any(-1)
    if jnp.issubdtype(a.dtype, jnp.floating):
        mask &= ~((a != a) & (b != b))
    return np.asarray(mask)


def _ulps(a: np.ndarray, b: np.ndarray) -> np.ndarray | None:
    """The distance of floats as a count of representable values, uint64; None for other dtypes.

    Bits of a float, read as an integer, are in the order of the values once those of negative ones are
    flipped. For complex numbers the larger distance of the two parts.
    """
    if a.dtype.kind == "c" and a.dtype.itemsize <= 16:
        part = np.dtype(f"f{a.dtype.itemsize // 2}")
        parts = [np.ascontiguousarray(x).view(part).reshape((*x.shape, 2)) for x in (a, b)]
        distance = _ulps(*parts)
        return None if distance is None else distance.max(-1)
    size = a.dtype.itemsize
    if not jnp.issubdtype(a.dtype, jnp.floating) or size not in (1, 2, 4, 8):
        return None
    top = np.uint64(1 << (8 * size - 1))
    full = np.uint64((1 << (8 * size)) - 1)

    def ordered(x: np.ndarray) -> np.ndarray:
        bits = np.ascontiguousarray(x).view(f"u{size}").reshape(x.shape).astype(np.uint64)
        return np.where(bits & top, bits ^ full, bits | top)

    one, other = ordered(a), ordered(b)
    return np.asarray(np.maximum(one, other) - np.minimum(one, other))


def _finite(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.isfinite(x))


def _same_sharding(before: ArrayContent, after: ArrayContent) -> bool:
    one, other = before.sharding, after.sharding
    if one is None or other is None or before.shape != after.shape or one == other:
        return True
    return bool(one.is_equivalent_to(other, len(before.shape)))


def _element(a: Any, b: Any) -> tuple[str, str]:
    """Two elements as text in which they differ."""
    if isinstance(a, np.ndarray):  # the words of a key
        return _words(a), _words(b)
    if str(a) != str(b):
        return str(a), str(b)
    return _with_bits(a), _with_bits(b)


def _words(key: np.ndarray) -> str:
    return " ".join(f"0x{int(word):08x}" for word in key.ravel())


def _with_bits(element: Any) -> str:
    return f"{element} (0x{element.tobytes()[::-1].hex()})"


def _short(content: ArrayContent) -> str:
    return f"{content}" + (f", {content.gone}" if content.gone else "")
