"""The step leaves its arguments alone."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_purestate._runtime.failures import Problem
from pytest_purestate._runtime.steps.clauses.model import Clause
from pytest_purestate._runtime.steps.evidence import Evidence

__all__ = ["CLAUSE"]


def _check(evidence: Evidence) -> Iterator[Problem]:
    """The first call that touched a place is enough; a leaf that is donated may be deleted, and only that."""
    seen: set[str] = set()
    for call in evidence.calls:
        for problem in call.touched:
            if problem.path not in seen:
                seen.add(problem.path)
                yield problem


CLAUSE = Clause(
    "inputs",
    "the state and the batch that it is given stay as they are, but for leaves that it donates",
    _check,
    "build new values instead of editing arguments: `state.replace(...)`, `{**params, name: value}`, `x.at[i].set(v)`, a copy "
    "of a numpy array",
)
