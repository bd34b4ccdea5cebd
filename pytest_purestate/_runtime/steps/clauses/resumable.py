"""Training that is saved and resumed goes on as if nothing had happened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

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
    try:
        restored = _round_trip(first.parts, plan.parts)
    except PurityError as error:
        yield from error.problems
        return
    resumed = quietly(plan, restored)
    for name, picture in second.outcome.items():
        for problem in compare_content(picture, resumed.outcome[name], name).problems:
            text = f"{problem.message} in the next step"
            yield Problem(problem.kind, problem.path, text, problem.before, problem.after, _LABELS)


def _round_trip(parts: Mapping[str, Any], template: Mapping[str, Any]) -> Mapping[str, Any]:
    if len(parts) == 1:
        ((name, part),) = parts.items()
        return {name: round_trip(STORES["npz"], part, template[name], name)}
    # Together, because an optimizer of nnx can hold the model itself.
    restored: Mapping[str, Any] = round_trip(STORES["npz"], dict(parts), dict(template), "state")
    return {name: restored[name] for name in parts}


CLAUSE = Clause(
    "resumable",
    "saved, restored into a new state and called again, it goes on with the same bits",
    _check,
    "all that the next step depends on belongs into leaves of the state: static fields and attributes are in no "
    "checkpoint; see assert_resumable for other ways to save",
    unless=("deterministic",),
)
