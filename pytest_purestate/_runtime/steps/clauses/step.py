"""The step counter counts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from pytest_purestate._runtime.failures import Problem
from pytest_purestate._runtime.steps.clauses.model import Clause
from pytest_purestate._runtime.steps.evidence import Evidence

__all__ = ["CLAUSE"]


def _check(evidence: Evidence) -> Iterator[Problem]:
    for path in evidence.roles.counters:
        if path in evidence.frozen:
            continue
        values = [int(content.host) for content in evidence.contents(path) if content.host is not None]
        for number, (one, other) in enumerate(itertools.pairwise(values), start=1):
            if other - one != _updates(evidence, number):
                text = f"stayed {one}" if other == one else f"went from {one} to {other}"
                yield Problem("counter", path, f"{text} in call {number}")
                break


def _updates(evidence: Evidence, number: int) -> int:
    """By how much a call counts: by one; by several where it scans over so many updates, as the optimizer tells."""
    call = evidence.calls[number - 1]
    assert call.after is not None
    found = set()
    for path in evidence.roles.opt_state:
        before, after = call.before.leaves.get(path), call.after.leaves.get(path)
        if before is None or after is None or before.names[-1:] != ("count",) or before.content.shape:
            continue
        if before.content.host is not None and after.content.host is not None:
            found.add(int(after.content.host) - int(before.content.host))
    return found.pop() if len(found) == 1 and min(found) > 1 else 1


CLAUSE = Clause(
    "step",
    "the step counter goes up by one in each call",
    _check,
    "return `state.apply_gradients(grads=grads)`, which counts, or `step=state.step + 1`, once",
)
