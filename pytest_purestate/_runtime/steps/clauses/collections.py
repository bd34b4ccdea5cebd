"""Averages and statistics that are carried beside the params go on too."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_purestate._runtime.failures import Problem
from pytest_purestate._runtime.steps.clauses.model import Clause
from pytest_purestate._runtime.steps.evidence import Evidence

__all__ = ["CLAUSE"]


def _check(evidence: Evidence) -> Iterator[Problem]:
    """A whole collection that stays is reported; scalars (a loss scale, a rate) may stay for thousands of steps."""
    for name, paths in _collections(evidence).items():
        leaves = [path for path in paths if path not in evidence.frozen]
        large = any(evidence.first.leaves[path].size > 1 for path in leaves)
        if large and not any(map(evidence.moved, leaves)):
            count = f"none of its {len(leaves)} leaves moved" if len(leaves) > 1 else "did not move"
            yield Problem("not-moved", name, f"{count} in {evidence.steps}")


def _collections(evidence: Evidence) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in evidence.roles.others:
        leaf = evidence.first.leaves[path]
        if leaf.floating:
            found.setdefault(leaf.field, []).append(path)
    return found


CLAUSE = Clause(
    "collections",
    "batch statistics, averages of params and the like move",
    _check,
    "return them updated: `state.replace(batch_stats=updates['batch_stats'])`, where `mutable=['batch_stats']` gives `updates`; "
    'where they are meant to stay for so long, say `frozen="target_params"`',
)
