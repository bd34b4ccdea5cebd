"""Training that is saved and resumed goes on as if nothing had happened."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_purestate._runtime.failures import Problem, PurityError
from pytest_purestate._runtime.representation import compare_content
from pytest_purestate._runtime.saving import STORES, round_trip
from pytest_purestate._runtime.steps.clauses.model import Clause
from pytest_purestate._runtime.steps.evidence import Evidence
from pytest_purestate._runtime.steps.replay import quietly

__all__ = ["CLAUSE"]

_LABELS = ("in one go", "resumed")


def _check(evidence: Evidence) -> Iterator[Problem]:
    if len(evidence.calls) < 2:
        return
    plan, (first, second) = evidence.plan, evidence.calls[:2]
    restored = {}
    for name, part in first.parts.items():
        try:
            restored[name] = round_trip(STORES["npz"], part, plan.parts[name], name)
        except PurityError as error:
            yield from error.problems
            return
    resumed = quietly(plan, restored)
    for name, picture in second.outcome.items():
        for problem in compare_content(picture, resumed.outcome[name], name).problems:
            text = f"{problem.message} in the next step"
            yield Problem(problem.kind, problem.path, text, problem.before, problem.after, _LABELS)


CLAUSE = Clause(
    "resumable",
    "saved, restored into a new state and called again, it goes on with the same bits",
    _check,
    "all that the next step depends on belongs into leaves of the state: static fields and attributes are in no "
    "checkpoint; see assert_resumable for other ways to save",
    unless=("deterministic",),
)
