"""The step repeats itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from pytest_purestate._runtime import _compat
from pytest_purestate._runtime.failures import Problem
from pytest_purestate._runtime.steps.clauses.model import Clause
from pytest_purestate._runtime.steps.evidence import Evidence
from pytest_purestate._runtime.steps.plan import Call
from pytest_purestate._runtime.steps.replay import quietly
from pytest_purestate._runtime.trees import compare

__all__ = ["CLAUSE"]


def _check(evidence: Evidence) -> Iterator[Problem]:
    first = evidence.calls[0]
    found = False
    for problem in _differences(first, quietly(evidence.plan), "again"):
        found = True
        yield problem
    if found:
        return
    with _compat.fresh_compilations():
        compiled = quietly(evidence.plan)
    yield from _differences(first, compiled, "recompiled")


def _differences(first: Call, other: Call, label: str) -> Iterator[Problem]:
    for name, picture in first.outcome.items():
        for problem in compare(picture, other.outcome[name], name).problems:
            yield dataclasses.replace(problem, labels=("call 1", label))


CLAUSE = Clause(
    "deterministic",
    "the same state and batch give the same bits, in another call and compiled anew",
    _check,
    "look for what it reads besides its arguments: random numbers of the host, the clock, a global; see "
    "assert_deterministic for more ways to repeat a call",
)
