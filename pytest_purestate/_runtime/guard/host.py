"""What a test can leave behind in its process: moved global generators, flags of JAX, environment variables.

A snapshot is taken before a test and compared after it. Only what is loaded already is looked at: neither JAX nor
numpy is imported here, and what a test loads itself has no state from before to compare with. A generator that
was only drawn from is told apart from one that was seeded, because drawing is what a global generator is for.
"""

from __future__ import annotations

import ctypes
import os
import random
import sys
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_purestate._runtime.failures import Problem

__all__ = ["HostState"]

_FLAGS = (
    "jax_check_tracer_leaks",
    "jax_debug_infs",
    "jax_debug_key_reuse",
    "jax_debug_nans",
    "jax_default_device",
    "jax_default_matmul_precision",
    "jax_default_prng_impl",
    "jax_disable_jit",
    "jax_enable_custom_prng",
    "jax_enable_x64",
    "jax_numpy_dtype_promotion",
    "jax_numpy_rank_promotion",
    "jax_threefry_partitionable",
    "jax_transfer_guard",
)
"""The flags that are looked at where JAX does not list them all."""
_VARIABLES = frozenset(
    {
        "CUDA_VISIBLE_DEVICES",
        "NVIDIA_TF32_OVERRIDE",
        "TF_CUDNN_DETERMINISM",
        "TF_CUDNN_DETERMINISTIC",
        "TF_DETERMINISTIC_OPS",
        "XLA_FLAGS",
    }
)
_RANDOM, _NUMPY = "random global state", "numpy.random global state"
_WORDS = 624
"""How many words a Mersenne Twister makes at a time; its position counts up to this."""
_BYTES = 4 * _WORDS + 4
_ROUNDS = 2048
"""How many times so many words are made in search of a later state: 1.2 million words, 12 ms."""
_WIDTH = 80


@dataclass(frozen=True, slots=True)
class _Twister:
    """The state of a Mersenne Twister: ``random`` and, unless it was replaced, ``numpy.random`` have one."""

    words: tuple[int, ...]
    position: int

    def leads_to(self, later: _Twister) -> bool:
        """Whether drawing leads from this state to the other one, as far as one can look."""
        if self.words == later.words:
            return self.position <= later.position
        mine, other = random.Random(), random.Random()
        mine.setstate((3, (*self.words, _WORDS), None))
        other.setstate((3, (*later.words, 0), None))
        start = other.getrandbits(64)
        mask = (1 << 64) - 1
        return any(mine.getrandbits(32 * _WORDS) & mask == start for _ in range(_ROUNDS))

    def __str__(self) -> str:
        code = zlib.crc32(repr(self.words).encode())
        return f"state {code:08x}, position {self.position}"


@dataclass(frozen=True, slots=True)
class _NumpyState:
    """The state behind ``np.random.normal()`` and the like.

    Attributes:
        generator: the bit generator; None before numpy 1.24, where it cannot be replaced.
        memory: the bytes of its state, where they could be read: 60 times faster than asking numpy.
        state: a tuple as ``np.random.set_state`` takes it, its array as bytes; the text of it for another kind
            of generator.
        parts: what numpy gave, to restore the other kinds.
    """

    generator: Any
    memory: bytes | None
    state: tuple[str, bytes, int, int, float] | str
    parts: Any

    @property
    def twister(self) -> _Twister | None:
        if isinstance(self.state, str):
            return None
        return _Twister(tuple(memoryview(self.state[1]).cast("I")), self.state[2])

    def __str__(self) -> str:
        twister = self.twister
        return str(twister) if twister else f"state {zlib.crc32(str(self.state).encode()):08x}"


_last: _NumpyState | None = None
"""The state of numpy that was read last: it often is the same one again, seeded for each test."""


def _numpy_state() -> _NumpyState | None:
    """Read the state of numpy's global generator, if numpy was loaded."""
    global _last
    library: Any = sys.modules.get("numpy.random")
    if not hasattr(library, "get_state"):
        return None
    generator = library.get_bit_generator() if hasattr(library, "get_bit_generator") else None
    memory = _memory(generator)
    known = _last
    # The second half of a pair of normal numbers is kept elsewhere; where there is one, numpy must be asked.
    if known is not None and memory is not None and known.generator is generator and known.memory == memory:
        assert not isinstance(known.state, str)
        if not known.state[3]:
            return known
    parts = library.get_state(legacy=False)
    state: tuple[str, bytes, int, int, float] | str = repr(parts)
    if parts["bit_generator"] == "MT19937":
        inner = parts["state"]
        key = inner["key"].tobytes()
        state = ("MT19937", key, int(inner["pos"]), int(parts["has_gauss"]), float(parts["gauss"]))
        if memory != key + int(inner["pos"]).to_bytes(4, sys.byteorder):
            memory = None
    else:
        memory = None
    _last = _NumpyState(generator, memory, state, parts)
    return _last


def _memory(generator: Any) -> bytes | None:
    """The state of a Mersenne Twister where it lies in memory: its words, then its position."""
    if type(generator).__name__ != "MT19937":
        return None
    return ctypes.string_at(generator.ctypes.state_address, _BYTES)


def _restore_numpy(before: _NumpyState) -> None:
    library: Any = sys.modules["numpy.random"]
    if before.generator is not None and library.get_bit_generator() is not before.generator:
        library.set_bit_generator(before.generator)
    if isinstance(before.state, str):
        before.generator.state = before.parts
        return
    library.set_state(before.parts)


def _config() -> Mapping[str, object]:
    """The values of JAX's flags; none if JAX was not loaded."""
    config: Any = getattr(sys.modules.get("jax"), "config", None)
    values = getattr(config, "values", None)
    if isinstance(values, dict):
        return values
    return {name: getattr(config, name) for name in _FLAGS if hasattr(config, name)}


def _environment() -> dict[str, str]:
    # By name first: to ask for the value of each would take five times as long.
    names = list(os.environ)
    found = [*_VARIABLES.intersection(names), *(name for name in names if name[:4] == "JAX_")]
    return {name: os.environ[name] for name in found}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class HostState:
    """The state of the process that tests share, as it was at one moment; see `take`."""

    _ignore: frozenset[str]
    _flags: Mapping[str, object]
    _variables: Mapping[str, str]
    _random: tuple[Any, ...]
    _numpy: _NumpyState | None

    @classmethod
    def take(cls, ignore: frozenset[str] = frozenset()) -> HostState:
        """Look at the generators, the flags of JAX and the environment now.

        Args:
            ignore: flags to leave alone, because whoever asks sets them: ``jax_debug_key_reuse``.
        """
        return cls(ignore, _config(), _environment(), random.getstate(), _numpy_state())

    def changes(self) -> tuple[Problem, ...]:
        """What is another now than it was then.

        Flags and environment variables are problems of the kind ``host-config``, generators of the kind
        ``host-rng``. Something that was not loaded then is no change, and neither is a new flag.
        """
        return (*self._configured(), *self._moved())

    def reseeded(self) -> frozenset[str]:
        """The paths of the generators that were seeded, or set to a state, rather than only drawn from.

        Exact where fewer than 1.2 million words were drawn (half a million normal numbers); to draw more
        counts as seeding. Takes 12 ms for a generator that was seeded, so ask only after `changes` has
        named one. To seed it with what leads to a state within reach of the old one is no seeding here.
        """
        found = set()
        if (state := random.getstate()) != self._random and not _twister(self._random).leads_to(
            _twister(state)
        ):
            found.add(_RANDOM)
        if (pair := self._numpy_pair()) is not None:
            before, after = (state.twister for state in pair)
            if before is None or after is None:
                if pair[0].generator is not pair[1].generator:
                    found.add(_NUMPY)
            elif not before.leads_to(after):
                found.add(_NUMPY)
        return frozenset(found)

    def restore(self) -> tuple[Problem, ...]:
        """Put back what changed.

        Returns:
            What could not be put back, as problems of the kind ``host-config`` that say why: some flags cannot
            change any more once a backend is in use, others are held by a context manager that was not left.
        """
        failed = list(self._restore_flags())
        variables = _environment()
        for name in variables.keys() - self._variables.keys():
            del os.environ[name]
        for name, value in self._variables.items():
            if variables.get(name) != value:
                os.environ[name] = value
        if random.getstate() != self._random:
            random.setstate(self._random)
        if (pair := self._numpy_pair()) is not None:
            _restore_numpy(pair[0])
        return tuple(failed)

    def _restore_flags(self) -> Iterator[Problem]:
        config: Any = getattr(sys.modules.get("jax"), "config", None)
        for name, before, after in tuple(self._changed_flags()):
            reason = "it has this value in a context that was not left"
            try:
                config.update(name, before)
            except Exception as error:
                reason = str(error).partition("\n")[0]
            if (left := _config()[name]) != before:
                message = f"was changed and cannot be put back: {reason}"
                yield Problem("host-config", _flag_path(name), message, _short(before), _short(left or after))

    def _configured(self) -> Iterator[Problem]:
        for name, before, after in self._changed_flags():
            yield Problem("host-config", _flag_path(name), "was changed", _short(before), _short(after))
        variables = _environment()
        if variables == self._variables:
            return
        for name in sorted(variables.keys() | self._variables.keys()):
            if self._variables.get(name) != variables.get(name):
                texts = [_short(held[name]) if name in held else "" for held in (self._variables, variables)]
                message = "was changed" if all(texts) else "was removed" if texts[0] else "was set"
                yield Problem("host-config", f"os.environ[{name!r}]", message, texts[0], texts[1])

    def _changed_flags(self) -> Iterator[tuple[str, object, object]]:
        flags = _config()
        if flags == self._flags:
            return
        for name, before in self._flags.items():
            if name in flags and flags[name] != before and name not in self._ignore:
                yield name, before, flags[name]

    def _moved(self) -> Iterator[Problem]:
        message = "was moved: numbers were drawn from it, or it was seeded"
        if (state := random.getstate()) != self._random:
            texts = (str(_twister(self._random)), str(_twister(state)))
            yield Problem("host-rng", _RANDOM, message, *texts)
        if (pair := self._numpy_pair()) is not None:
            if pair[0].generator is not pair[1].generator:
                message = "was replaced by another bit generator"
            yield Problem("host-rng", _NUMPY, message, str(pair[0]), str(pair[1]))

    def _numpy_pair(self) -> tuple[_NumpyState, _NumpyState] | None:
        """The state of numpy's generator then and now, if they differ."""
        before = self._numpy
        if before is None:
            return None
        after = _numpy_state()
        if after is None or after is before:
            return None
        if after.generator is before.generator and after.state == before.state:
            return None
        return before, after


def _twister(state: tuple[Any, ...]) -> _Twister:
    words = state[1]
    return _Twister(words[:-1], words[-1])


def _flag_path(name: str) -> str:
    return "jax.default_device" if name == "jax_default_device" else f"jax.config.{name}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _WIDTH else f"{text[:_WIDTH]}... ({len(text)} characters)"
