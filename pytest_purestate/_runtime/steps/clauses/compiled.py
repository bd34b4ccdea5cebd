"""The step is compiled once."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_purestate._runtime.failures import Problem
from pytest_purestate._runtime.steps.clauses.model import Clause
from pytest_purestate._runtime.steps.evidence import Evidence

__all__ = ["CLAUSE"]


def _check(evidence: Evidence) -> Iterator[Problem]:
    yield from evidence.compiled


CLAUSE = Clause(
    "compiled",
    "what is compiled is compiled in the first call",
    _check,
    "call `jax.jit` once, where the step is defined, and hand on a state of the form that it was given; what "
    "`structure` says of the state is the reason where both are broken",
)
