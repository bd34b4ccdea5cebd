"""How far apart the results of one computation may be that was compiled in two ways."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import numpy as np

from pytest_purestate._runtime.arrays import ArrayContent
from pytest_purestate._runtime.graph import Node

__all__ = ["Tolerance"]


@dataclasses.dataclass(frozen=True, slots=True)
class Tolerance:
    """What counts as equal among inexact numbers; integers, flags and keys must be equal bit by bit.

    Attributes:
        rtol: relative to the number itself, as in ``numpy.allclose``. None: by the dtype, its machine epsilon to the
            power of 2/3 (float32: 2.4e-5, bfloat16: 4e-2, float64: 4e-11).
        atol: absolute. None: ``rtol`` of the largest finite number of the array, unless ``rtol`` was given: then 0.
            Sums that cancel out are that far apart.
    """

    rtol: float | None = None
    atol: float | None = None

    def settle(self, one: Node, other: Node) -> None:
        """Give ``other`` the numbers of ``one`` where they are close, so that a comparison tells of the others only."""
        seen: set[tuple[int, int]] = set()
        stack = [(one, other)]
        while stack:
            one, other = stack.pop()
            if (id(one), id(other)) in seen:
                continue
            seen.add((id(one), id(other)))
            if isinstance(one.content, ArrayContent) and isinstance(other.content, ArrayContent):
                other.content = self._settled(one.content, other.content)
            elif type(one.content) in (float, complex) and type(one.content) is type(other.content):
                close = self._close(np.asarray(one.content), np.asarray(other.content)).all()
                other.content = one.content if close else other.content
            stack += [
                (child, other.children[label])
                for label, child in one.children.items()
                if label in other.children
            ]

    def _settled(self, one: ArrayContent, other: ArrayContent) -> ArrayContent:
        a, b = one.host, other.host
        if a is None or b is None or a.dtype != b.dtype or a.shape != b.shape:
            return other
        if not jnp.issubdtype(a.dtype, jnp.inexact):
            return other
        return dataclasses.replace(other, host=np.where(self._close(a, b), a, b))

    def _close(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        rtol, atol = self.rtol, self.atol
        if rtol is None:
            rtol = float(jnp.finfo(a.dtype).eps) ** (2 / 3)  # type: ignore[no-untyped-call]
        wide = np.complex128 if a.dtype.kind == "c" else np.float64
        a, b = a.astype(wide), b.astype(wide)
        if atol is None and self.rtol is None:
            sizes = np.abs(a[np.isfinite(a)])
            atol = rtol * float(sizes.max()) if sizes.size else 0.0
        return np.asarray(np.isclose(b, a, rtol=rtol, atol=atol or 0.0, equal_nan=True))
