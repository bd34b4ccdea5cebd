"""The step does nothing besides."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_purestate._runtime.failures import Problem
from pytest_purestate._runtime.steps.clauses.model import Clause
from pytest_purestate._runtime.steps.evidence import Evidence

__all__ = ["CLAUSE"]


def _check(evidence: Evidence) -> Iterator[Problem]:
    yield from evidence.elsewhere


CLAUSE = Clause(
    "effects",
    "it changes and prints nothing besides what it returns",
    _check,
    "return what is to be kept or printed, and let the caller do it; draw random numbers from a key",
)
