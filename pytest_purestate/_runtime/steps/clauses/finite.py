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
    for number, call in enumerate(evidence.calls, start=1):
        found = [
            leaf
            for path, leaf in (call.after.leaves if call.after is not None else {}).items()
            if not _is_finite(leaf) and path in call.before.leaves and _is_finite(call.before.leaves[path])
        ]
        yield from (
            Problem("not-finite", leaf.path, f"{_counted(leaf.content)} in call {number}") for leaf in found
        )
        if found:
            return  # what follows is made from these


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
