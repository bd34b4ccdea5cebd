"""Asserts that a block of code moves nothing between the device and Python."""

from __future__ import annotations

import warnings
from contextlib import ExitStack
from types import TracebackType

import jax

from pytest_purestate._runtime.failures import Problem, PurityError
from pytest_purestate._runtime.recording import watched
from pytest_purestate._runtime.transfers import CONSTANT, Transfer, Watch, blocked

__all__ = ["assert_no_host_transfer"]

_TO_HOST = (
    "leave values on the device while the loop runs, so that Python does not wait for them, and read them all at once "
    "where they are needed: `jax.device_get(metrics)`, which is explicit, or after the block"
)
_TO_DEVICE = (
    "put what comes from Python and numpy on the device before the block, `jax.device_put(batch)`, and code that is "
    "not compiled (`x + 1`, `jnp.zeros(3)`, `x[0]`) into a jitted function"
)
_CLOSED_OVER = "make an array that a function closes over an argument of it, or compile before the block"
_EXPLICIT = "move `jax.device_put` and `jax.device_get` out of the block, or allow them: `explicit=False`"


class assert_no_host_transfer:  # noqa: N801 - reads as the function it is used as
    """Assert that the block moves nothing between the device and Python, as a training loop should not.

    >>> import jax, jax.numpy as jnp
    >>> step = jax.jit(lambda w, x: w - 0.1 * x)
    >>> w, x = jnp.ones(3), jnp.ones(3)
    >>> with assert_no_host_transfer():
    ...     for _ in range(10):
    ...         w = step(w, x)

    Each transfer makes Python wait for the device, or the device for Python. The block runs under the two levels of
    ``jax.transfer_guard`` that are about the host; copies between devices are allowed.

    *To the device*, JAX raises at the first implicit one, on every backend: a numpy array or a Python number that a jitted
    function is called with, and constants in code that is not compiled (``x + 1``, ``jnp.zeros(3)``, ``x[0]``). It
    ends the block there.

    *To Python*: ``float(loss)``, ``if loss > 1:``, ``print(loss)``, ``loss.item()``, ``np.asarray(loss)``, pickling. JAX's
    guard raises for these on a GPU or TPU, and never on CPU (0.6 to 0.12), where they copy nothing. Here they are noticed on
    CPU as well, and all of them are listed, since the block goes on. This needs a place in JAX that is not public; without
    it there is only JAX's guard. On CPU before Python 3.12, numpy is seen by ``np.array``, ``np.asarray``, ``np.asanyarray``
    and ``np.ascontiguousarray`` under these names, and not where other functions of numpy (``np.exp(x)``) or ``memoryview``
    take the elements. DLPack is not seen.

    Explicit transfers are allowed: ``jax.device_put``, ``jax.device_get``, in JAX 0.6 also ``jnp.asarray(numpy_array)``. So is
    what a compiled function asks for itself, ``jax.debug.print`` and other callbacks. A ``jax.transfer_guard`` further in
    has the last word. Watched is the thread that runs the block, so a thread that loads data may go on.

    An error that the block raises itself passes through.

    Cost: a read of an array takes tens of times as long within the block, since its line is looked up; code without transfers takes what it takes
    under ``jax.transfer_guard``.

    Args:
        explicit: forbid explicit transfers too, as the level ``"disallow_explicit"`` of JAX does.

    Raises:
        PurityError: something was transferred. The text has file and line of each place, the line of code there, what was
            transferred and how often. It says so if a library did it for that line.
        TypeError: ``explicit`` is not a bool.
    """

    def __init__(self, *, explicit: bool = False) -> None:
        self._entered = True
        if not isinstance(explicit, bool):
            raise TypeError(f"explicit must be True or False, not {explicit!r}")
        self._entered = False
        self._level = "disallow_explicit" if explicit else "disallow"
        self._blocks: list[tuple[Watch, ExitStack]] = []

    def __enter__(self) -> None:
        self._entered = True
        watched("assert_no_host_transfer", {})
        watch, stack = Watch(), ExitStack()
        watch.start()
        stack.callback(watch.stop)
        stack.enter_context(jax.transfer_guard_host_to_device(self._level))
        stack.enter_context(jax.transfer_guard_device_to_host(self._level))
        self._blocks.append((watch, stack))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        watch, stack = self._blocks.pop()
        stack.close()
        found = watch.transfers()
        if error is not None:
            stopped = blocked(error, traceback)
            if stopped is None:
                return
            found[stopped] = 1
        if found:
            raise PurityError(
                _headline(found),
                tuple(
                    Problem("transfer", one.place, _message(one, count), one.line)
                    for one, count in found.items()
                ),
                ("line", ""),
                ("the block ended at the last one, since JAX forbids it",) if error is not None else (),
                _help(found, self._level),
            ) from error

    def __del__(self) -> None:
        if not getattr(self, "_entered", True):
            warnings.warn(
                "assert_no_host_transfer() alone does nothing: write `with assert_no_host_transfer():`",
                RuntimeWarning,
                stacklevel=2,
            )


def _headline(found: dict[Transfer, int]) -> str:
    ways = [("from the device to Python", True), ("from Python to the device", False)]
    counts = [
        (sum(count for one, count in found.items() if one.to_host is to_host), way) for way, to_host in ways
    ]
    parts = [f"{count} {'transfer' if count == 1 else 'transfers'} {way}" for count, way in counts if count]
    return f"{' and '.join(parts)} in the block"


def _message(transfer: Transfer, count: int) -> str:
    what = transfer.what or "a value"
    if not transfer.to_host:
        message = f"{what} is sent to the device"
    elif transfer.how == CONSTANT:
        message = f"{what} is read from the device for {CONSTANT}"
    else:
        message = f"{what} is read from the device" + (f" by `{transfer.how}`" if transfer.how else "")
    times = f", {count} times" if count > 1 else ""
    return message + times + (f", in {transfer.through}" if transfer.through else "")


def _help(found: dict[Transfer, int], level: str) -> str:
    parts = []
    if any(one.to_host and one.how != CONSTANT for one in found):
        parts.append(_TO_HOST)
    if any(one.how == CONSTANT for one in found):
        parts.append(_CLOSED_OVER)
    if not all(one.to_host for one in found):
        parts.append(_TO_DEVICE)
    if level == "disallow_explicit":
        parts.append(_EXPLICIT)
    return "; ".join(parts)
