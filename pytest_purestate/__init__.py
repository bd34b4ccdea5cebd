"""pytest-purestate: correctness tooling for JAX.

The names below are loaded when they are first used: importing this package loads neither jax nor libcst
nor pytest, so that a command line tool, a plugin that stays unused and a test run pay for nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_purestate._runtime.assertions.deterministic import assert_deterministic
    from pytest_purestate._runtime.assertions.unchanged import assert_unchanged
    from pytest_purestate._runtime.failures import Problem, PurityError
    from pytest_purestate._runtime.keys import Draw, KeyStream
    from pytest_purestate._runtime.states import make_train_state

__all__ = [
    "Draw",
    "KeyStream",
    "Problem",
    "PurityError",
    "__version__",
    "assert_deterministic",
    "assert_unchanged",
    "make_train_state",
]

__version__ = "0.1.0"

_HOMES = {
    "Draw": "keys",
    "KeyStream": "keys",
    "Problem": "failures",
    "PurityError": "failures",
    "assert_deterministic": "assertions.deterministic",
    "assert_unchanged": "assertions.unchanged",
    "make_train_state": "states",
}


def __getattr__(name: str) -> object:
    # PEP 562. A missing JAX is the one import error with a remedy of our own, so it gets our own words.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pytest_purestate._runtime import MISSING_EXTRA, is_missing_extra

    try:
        value: object = getattr(importlib.import_module(f"{__name__}._runtime.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        if is_missing_extra(error):
            raise ImportError(f"`{name}` {MISSING_EXTRA}", name=error.name) from None
        raise
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
