"""No NaN and no infinity appears."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pytest_purestate._runtime.arrays import ArrayContent
from pytest_purestate._runtime.failures import Problem
from pytest_purestate._runtime.steps.clauses.model import Clause
from pytest_purestate._runtime.steps.evidence import Evidence
from pytest_purestate._runtime.steps.view import Leaf, take_view

__all__ = ["CLAUSE"]


def _check(evidence: Evidence) -> Iterator[Problem]:
    """Nothing is said where the batch is not finite itself, nor of a leaf that never was (a best loss of infinity)."""
    rest = take_view(evidence.plan.rest)
    if not all(map(_is_finite, rest.leaves.values())):
        return
    seen: set[str] = set()
    for number, call in enumerate(evidence.calls, start=1):
        for path, leaf in call.after.leaves.items() if call.after is not None else ():
            before = call.before.leaves.get(path)
            if path in seen or _is_finite(leaf) or before is None or not _is_finite(before):
                continue
            seen.add(path)
            yield Problem("not-finite", path, f"{_counted(leaf.content)} in call {number}")


def _is_finite(leaf: Leaf) -> bool:
    return leaf.content.host is None or not leaf.floating or bool(np.isfinite(leaf.content.host).all())


def _counted(content: ArrayContent) -> str:
    assert content.host is not None
    nans = int(np.isnan(content.host).sum())
    count, what = (nans, "NaN") if nans else (int(np.isinf(content.host).sum()), "infinite")
    return f"{count} of {content.host.size} element{'s' if content.host.size > 1 else ''} became {what}"


CLAUSE = Clause(
    "finite",
    "finite state and batch give a finite state",
    _check,
    "look for what overflows or divides by zero, with `jax.debug_nans(True)`; clip gradients, lower the rate",
)
