"""pytest-purestate: correctness tooling for JAX.

The names below are loaded when they are first used: importing this package loads neither jax nor libcst
nor pytest, so that a command line tool, a plugin that stays unused and a test run pay for nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_purestate._check.library import (
        CheckReport,
        Diagnostic,
        DiagnosticEdit,
        DiagnosticFix,
        RelatedPlace,
        check_paths,
        check_source,
    )
    from pytest_purestate._runtime.assertions.deterministic import assert_deterministic
    from pytest_purestate._runtime.assertions.donated import assert_donated
    from pytest_purestate._runtime.assertions.immutable import assert_immutable
    from pytest_purestate._runtime.assertions.keys_distinct import assert_keys_distinct
    from pytest_purestate._runtime.assertions.no_host_transfer import assert_no_host_transfer
    from pytest_purestate._runtime.assertions.no_key_reuse import assert_no_key_reuse
    from pytest_purestate._runtime.assertions.no_retrace import assert_no_retrace
    from pytest_purestate._runtime.assertions.pure import assert_pure
    from pytest_purestate._runtime.assertions.resumable import assert_resumable
    from pytest_purestate._runtime.assertions.sharding_invariant import assert_sharding_invariant
    from pytest_purestate._runtime.assertions.train_step import assert_train_step
    from pytest_purestate._runtime.assertions.unchanged import assert_unchanged
    from pytest_purestate._runtime.failures import Problem, PurityError
    from pytest_purestate._runtime.keys import Draw, KeyStream
    from pytest_purestate._runtime.states import make_train_state
    from pytest_purestate._runtime.steps.failure import TrainStepError

__all__ = [
    "CheckReport",
    "Diagnostic",
    "DiagnosticEdit",
    "DiagnosticFix",
    "Draw",
    "KeyStream",
    "Problem",
    "PurityError",
    "RelatedPlace",
    "TrainStepError",
    "__version__",
    "assert_deterministic",
    "assert_donated",
    "assert_immutable",
    "assert_keys_distinct",
    "assert_no_host_transfer",
    "assert_no_key_reuse",
    "assert_no_retrace",
    "assert_pure",
    "assert_resumable",
    "assert_sharding_invariant",
    "assert_train_step",
    "assert_unchanged",
    "check_paths",
    "check_source",
    "make_train_state",
]

__version__ = "0.1.0"

_HOMES = {
    "CheckReport": "_check.library",
    "Diagnostic": "_check.library",
    "DiagnosticEdit": "_check.library",
    "DiagnosticFix": "_check.library",
    "Draw": "_runtime.keys",
    "KeyStream": "_runtime.keys",
    "Problem": "_runtime.failures",
    "PurityError": "_runtime.failures",
    "RelatedPlace": "_check.library",
    "TrainStepError": "_runtime.steps.failure",
    "assert_deterministic": "_runtime.assertions.deterministic",
    "assert_donated": "_runtime.assertions.donated",
    "assert_immutable": "_runtime.assertions.immutable",
    "assert_keys_distinct": "_runtime.assertions.keys_distinct",
    "assert_no_host_transfer": "_runtime.assertions.no_host_transfer",
    "assert_no_key_reuse": "_runtime.assertions.no_key_reuse",
    "assert_no_retrace": "_runtime.assertions.no_retrace",
    "assert_pure": "_runtime.assertions.pure",
    "assert_resumable": "_runtime.assertions.resumable",
    "assert_sharding_invariant": "_runtime.assertions.sharding_invariant",
    "assert_train_step": "_runtime.assertions.train_step",
    "assert_unchanged": "_runtime.assertions.unchanged",
    "check_paths": "_check.library",
    "check_source": "_check.library",
    "make_train_state": "_runtime.states",
}


def __getattr__(name: str) -> object:
    # PEP 562. A missing JAX is the one import error with a remedy of our own, so it gets our own words.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pytest_purestate._runtime import MISSING_EXTRA, is_missing_extra

    try:
        value: object = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        if is_missing_extra(error):
            raise ImportError(f"`{name}` {MISSING_EXTRA}", name=error.name) from None
        raise
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
