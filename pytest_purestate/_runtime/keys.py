"""PRNG keys that depend on a seed and a name, and on nothing else."""

from __future__ import annotations

import functools
import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import jax
import numpy as np

from pytest_purestate._runtime import _compat, events
from pytest_purestate._runtime.frames import user_place

if TYPE_CHECKING:
    from flax import nnx

__all__ = ["Draw", "KeyStream"]

_WORDS = 8  # of 32 bits in a SHA-256
_LIMIT = 2**32
_LOCK = threading.Lock()  # not one a stream, because a lock cannot be copied or pickled


@dataclass(frozen=True, slots=True)
class Draw:
    """One key that a `KeyStream` handed out.

    Attributes:
        name: the stream it came from, an empty string for the unnamed one.
        index: its number in that stream, from 0.
        file: the source file that asked for it.
        line: the line there, from 1.
    """

    name: str
    index: int
    file: str
    line: int


class KeyStream:
    """Unique PRNG keys by name: the same seed, path and name give the same keys, in any order and process.

    >>> keys = KeyStream(seed=0)
    >>> params_key, dropout_key = keys("params"), keys("dropout")

    Key number ``i`` of a stream is ``jax.random.key(seed)`` with three components folded in: the path, the
    name of the stream and ``i``. Each enters as the eight uint32 words of its SHA-256, one ``fold_in`` a
    word, so that ``("ab", "c")`` and ``("a", "bc")`` stay apart, which joined names do not (a collision that
    Flax had), and no stream depends on how many keys another one gave. The idea of a stream that knows its
    index is that of Haiku's ``PRNGSequence``; naming the streams is Flax's.

    The numbers are part of the interface: they stay the same between versions, and do not depend on
    ``jax_enable_x64`` or ``jax_threefry_partitionable``.

    Args:
        seed: the base seed, from 0 to 2**32 - 1.
        path: what the keys are for; the fixtures give the node id of the test.
        typed: give new-style keys (``jax.random.key``); otherwise raw uint32 arrays (``jax.random.PRNGKey``).
        impl: a PRNG implementation, ``"threefry2x32"``, ``"rbg"`` or ``"unsafe_rbg"``; the default is JAX's,
            the setting ``jax_default_prng_impl``.

    Raises:
        TypeError: the seed is not an integer, or the path not a string.
        ValueError: the seed does not fit in 32 bits, or JAX does not know the implementation.
    """

    def __init__(self, seed: int, path: str = "", *, typed: bool = True, impl: str | None = None) -> None:
        if isinstance(seed, bool) or not hasattr(seed, "__index__"):
            raise TypeError(f"the seed must be an integer, not {seed!r}")
        if not 0 <= (number := seed.__index__()) < _LIMIT:
            raise ValueError(f"the seed must be from 0 to {_LIMIT - 1}, not {seed}")
        if not isinstance(path, str):
            raise TypeError(f"the path must be a string, not {path!r}")
        self.seed = number
        self.path = path
        self.typed = typed
        self.impl = impl
        self._counts: dict[str, int] = {}
        self._log: list[Draw] = []
        if impl is not None:
            jax.random.key(0, impl=impl)  # an unknown one is refused here, not at the first draw

    def __call__(self, name: str = "") -> jax.Array:
        """The next key of a stream.

        Args:
            name: the stream; without a name, one more stream that is independent of all the named ones.

        Returns:
            A scalar key array, or uint32 of shape ``(2,)`` for raw threefry keys, ``(4,)`` for raw rbg keys.

        Raises:
            RuntimeError: drawn while JAX traces the caller, where the key would become a constant of the
                compiled function: every later call would see the same random numbers.
        """
        return self.draw_at(name, user_place())

    def draw_at(self, name: str, place: tuple[str, int]) -> jax.Array:
        """The next key of a stream, asked for by another file and line than the caller's; for fixtures."""
        (index,) = self._advance(name, 1, place)
        with _undisturbed():
            key = self._shown(_fold(self._stream(name), _words(str(index))))
        if events.listeners:
            events.tell(events.Handed(name, index, key, place))
        return key

    def take(self, n: int, name: str = "") -> jax.Array:
        """The next ``n`` keys of a stream in one array; they are the keys that ``n`` calls would give.

        Returns:
            A key array of shape ``(n,)``, or uint32 of shape ``(n, 2)`` for raw threefry keys.

        Raises:
            ValueError: ``n`` is negative.
            RuntimeError: as in a call.
        """
        if isinstance(n, bool) or not hasattr(n, "__index__"):
            raise TypeError(f"the number of keys must be an integer, not {n!r}")
        if n < 0:
            raise ValueError(f"the number of keys must not be negative: {n}")
        place = user_place()
        indices = self._advance(name, n, place)
        with _undisturbed():
            words = np.array([_words(str(index)) for index in indices], np.uint32).reshape(n, _WORDS)
            keys = self._shown(_fold_many(self._stream(name), words))
        if events.listeners:
            events.tell(events.Handed(name, indices.start, keys, place))
        return keys

    def rngs(self, *names: str) -> dict[str, jax.Array]:
        """The next key of each named stream, as the ``rngs`` of linen's ``init`` and ``apply``.

        >>> keys = KeyStream(seed=0)
        >>> sorted(keys.rngs("params", "dropout"))
        ['dropout', 'params']

        Raises:
            ValueError: no name, or the same name twice.
            RuntimeError: as in a call.
        """
        return {name: self(name) for name in _distinct(names)}

    def nnx_rngs(self, *names: str) -> nnx.Rngs:
        """The next key of each named stream as ``flax.nnx.Rngs``; without names, one default stream for all.

        The keys are typed, whatever the stream gives otherwise: nnx takes no others.

        Raises:
            ValueError: the same name twice.
            RuntimeError: as in a call.
        """
        from flax import nnx

        keys = {name: self(name) for name in _distinct(names or ("default",))}
        if not self.typed:
            keys = {name: jax.random.wrap_key_data(key, impl=self.impl) for name, key in keys.items()}
        return nnx.Rngs(**keys)

    def __iter__(self) -> Iterator[jax.Array]:
        """Keys of the unnamed stream, without end."""
        return self

    def __next__(self) -> jax.Array:
        return self()

    @property
    def log(self) -> list[Draw]:
        """What was handed out, in that order, and where."""
        return list(self._log)

    def __repr__(self) -> str:
        return f"KeyStream(seed={self.seed}, path={self.path!r}, drawn={len(self._log)})"

    def _advance(self, name: str, n: int, place: tuple[str, int]) -> range:
        """Reserve the next ``n`` indices of a stream."""
        if not isinstance(name, str):
            raise TypeError(f"the name of a stream must be a string, not {name!r}")
        if _compat.tracing():
            raise RuntimeError(
                f"a key was drawn from the stream {name!r} inside a function that JAX traces\n"
                "  under jit it would become a constant, the same key in every call\n"
                "  help: draw the key outside and pass it as an argument"
            )
        with _LOCK:  # two threads never get one key
            start = self._counts.get(name, 0)
            self._counts[name] = start + n
            self._log += [Draw(name, index, *place) for index in range(start, start + n)]
        return range(start, start + n)

    @functools.cached_property
    def _root(self) -> jax.Array:
        # Not in the constructor: a stream that nobody draws from costs nothing.
        return _fold(jax.random.key(self.seed, impl=self.impl), _words(self.path))

    def _stream(self, name: str) -> jax.Array:
        return _fold(self._root, _words(name))

    def _shown(self, keys: jax.Array) -> jax.Array:
        return keys if self.typed else jax.random.key_data(keys)


def _words(component: str) -> np.ndarray:
    """The uint32 words of a component's SHA-256, most significant first, shape ``(8,)``."""
    # surrogatepass: a file name that is not UTF-8 reaches us as lone surrogates.
    digest = hashlib.sha256(component.encode("utf-8", "surrogatepass")).digest()
    return np.frombuffer(digest, dtype=">u4").astype(np.uint32)


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise ValueError("name at least one stream")
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"the stream {twice[0]!r} is named twice; each name has one key")
    return names


def _fold(key: jax.Array, words: np.ndarray) -> jax.Array:
    return _folders()[0](key, words)


def _fold_many(key: jax.Array, words: np.ndarray) -> jax.Array:
    return _folders()[1](key, words)


@functools.cache
def _folders() -> tuple[Callable[..., jax.Array], Callable[..., jax.Array]]:
    """Compiled: a key with ``(8,)`` words folded in, and with each row of ``(n, 8)`` words."""

    def fold(key: jax.Array, words: jax.Array) -> jax.Array:
        return jax.lax.scan(lambda key, word: (jax.random.fold_in(key, word), None), key, words)[0]

    return jax.jit(fold), jax.jit(jax.vmap(fold, in_axes=(None, 0)))


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Draw the same way whatever the caller has switched on around the draw."""
    # Under disable_jit the hashing of one key runs operation by operation: 0.7 s instead of 0.1 ms. And a
    # guard against transfers is there for the code under test, not for the three words that we send to the
    # device.
    with jax.disable_jit(False), jax.transfer_guard("allow"):
        yield
