"""What is frozen stays."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_purestate._runtime.arrays import array_problems
from pytest_purestate._runtime.failures import Problem
from pytest_purestate._runtime.steps.clauses.model import Clause
from pytest_purestate._runtime.steps.evidence import Evidence

__all__ = ["CLAUSE"]


def _check(evidence: Evidence) -> Iterator[Problem]:
    for path in evidence.first.leaves:
        if path not in evidence.frozen or not evidence.moved(path):
            continue
        contents = evidence.contents(path)
        if len(contents) == 1:
            continue  # it is gone, which is told of the structure
        for problem in array_problems(path, contents[0], contents[-1], changed=True, placement=False):
            if problem.kind == "value":
                labels = ("at first", f"after {evidence.steps}")
                text = f"is frozen, and {problem.message}"
                yield Problem("moved", problem.path, text, problem.before, problem.after, labels)
                break
        else:
            yield Problem("moved", path, "is frozen, and moved, there and back again")


CLAUSE = Clause(
    "frozen",
    "what is frozen stays as it is, bit by bit",
    _check,
    "give its updates to `optax.set_to_zero()` in `optax.multi_transform`; `optax.masked` alone passes gradients through, and "
    "weight decay moves params too",
)
