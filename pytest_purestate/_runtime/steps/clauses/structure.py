"""The new state has the form of the old one, so that the next step is the same compiled program."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_purestate._runtime.arrays import array_problems
from pytest_purestate._runtime.failures import Problem
from pytest_purestate._runtime.steps.clauses.model import Clause
from pytest_purestate._runtime.steps.evidence import Evidence
from pytest_purestate._runtime.steps.view import View
from pytest_purestate._runtime.trees import compare

__all__ = ["CLAUSE"]

_LABELS = ("given", "returned")


def _check(evidence: Evidence) -> Iterator[Problem]:
    last = evidence.calls[-1]
    if last.after is None:
        names = " and ".join(f"`{name}`" for name in evidence.plan.parts)
        yield Problem("structure", "output", f"holds no state: nothing in it has the structure of {names}")
        return
    # The form is handed on: what the second call changes is new, and anything else is said once.
    seen: set[tuple[str, str]] = set()
    for call in evidence.calls:
        assert call.after is not None
        for problem in _differences(call.before, call.after):
            if (problem.kind, problem.path) not in seen:
                seen.add((problem.kind, problem.path))
                yield problem


def _differences(before: View, after: View) -> Iterator[Problem]:
    found = False
    for name, frame in before.frames.items():
        for problem in compare(frame, after.frames[name], name).problems:
            if problem.kind != "order":  # a compiled step sorts the keys of a dict
                found = True
                yield Problem(
                    problem.kind, problem.path, problem.message, problem.before, problem.after, _LABELS
                )
    for path, leaf in before.leaves.items():
        other = after.leaves.get(path)
        if other is None:
            continue
        for problem in array_problems(path, leaf.content, other.content):
            if problem.kind in ("dtype", "shape", "weak-type", "sharding"):
                yield Problem(problem.kind, path, problem.message, problem.before, problem.after, _LABELS)
    for name, treedef in before.treedefs.items():
        if not found and treedef != after.treedefs[name]:
            text = "a static field of it is not equal (`==`) to what it was, which makes JAX compile again"
            yield Problem("structure", name, text)


CLAUSE = Clause(
    "structure",
    "the new state has the structure, static fields, shapes, dtypes, weak types and sharding of the old one",
    _check,
    "return what was given, updated: `state.replace(...)`; make numbers in a state strong arrays, `jnp.asarray(0, jnp.int32)`, "
    "and give new ones the dtype of the old, `x.astype(old.dtype)`",
)
