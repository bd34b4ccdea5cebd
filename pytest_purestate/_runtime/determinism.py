"""The settings under which a computation repeats bit by bit, for a while."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import jax

from pytest_purestate._runtime.settings import settings_in_force

__all__ = ["Determinism", "NotDeterministicError", "deterministic_settings"]

_FLAG = "--xla_gpu_deterministic_ops"
_WANTED = {"jax_default_matmul_precision": "highest", "jax_threefry_partitionable": True}
"""Products in full float32 (a GPU may take TF32, and by shape); samples that do not depend on how an array is sharded."""


class NotDeterministicError(RuntimeError):
    """A setting that a backend reads only when it starts is not in force."""


class Determinism:
    """The deterministic settings of a test."""

    @property
    def settings(self) -> str:
        """What is in force now: versions, device, flags, precision, PRNG, in one line."""
        return settings_in_force()

    def __repr__(self) -> str:
        return f"<deterministic: {self.settings}>"


@contextmanager
def deterministic_settings() -> Iterator[Determinism]:
    """Ask for deterministic results inside the block, and put the settings back behind it.

    >>> with deterministic_settings() as deterministic:
    ...     "matmul precision highest" in deterministic.settings
    True

    Matrix products are in full precision, and random numbers do not depend on sharding. The PRNG implementation stays as it
    is: it decides which numbers there are, and not whether they repeat.

    Raises:
        NotDeterministicError: the backend is a GPU that was started without ``--xla_gpu_deterministic_ops=true``. Sums of
            scattered values are then in the order of the day, and nothing can be set any more.
    """
    if jax.default_backend() == "gpu" and not _in_force(os.environ.get("XLA_FLAGS", "")):
        raise NotDeterministicError(
            f"results on this GPU do not repeat: {_FLAG}=true is not in force, and a backend reads it when it starts\n"
            f"  help: run `pytest --purestate-deterministic`, or set XLA_FLAGS={_FLAG}=true before"
        )
    before = {name: getattr(jax.config, name) for name in _WANTED}
    for name, value in _WANTED.items():
        jax.config.update(name, value)  # type: ignore[no-untyped-call]
    try:
        yield Determinism()
    finally:
        for name, value in before.items():
            jax.config.update(name, value)  # type: ignore[no-untyped-call]


def _in_force(flags: str) -> bool:
    """Whether the flag is on; of several the last one counts."""
    given = [part.partition("=") for part in flags.split() if part.partition("=")[0] == _FLAG]
    return bool(given) and (given[-1][2].lower() in ("true", "1") or not given[-1][1])
