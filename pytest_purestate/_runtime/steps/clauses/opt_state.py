"""The optimizer state goes on with the params."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_purestate._runtime.failures import Problem
from pytest_purestate._runtime.steps.clauses.model import Clause
from pytest_purestate._runtime.steps.clauses.params import moments_of
from pytest_purestate._runtime.steps.evidence import Evidence
from pytest_purestate._runtime.steps.view import same_bits

__all__ = ["CLAUSE"]


def _check(evidence: Evidence) -> Iterator[Problem]:
    leaves = [path for path in evidence.roles.opt_state if path not in evidence.frozen]
    if leaves and not any(map(evidence.moved, leaves)):
        count = f"none of its {len(leaves)} leaves" if len(leaves) > 1 else "its leaf did not move"
        verb = " moved" if len(leaves) > 1 else ""
        reason = ", although params did: the new optimizer state is dropped" if _any_moved(evidence) else ""
        yield Problem("not-moved", evidence.roles.optimizer, f"{count}{verb} in {evidence.steps}{reason}")
        return
    for path in evidence.roles.params:
        if not evidence.moved(path):
            continue
        for moment in moments_of(evidence, path):
            if moment in leaves and not evidence.moved(moment) and not _is_anchor(evidence, moment, path):
                text = f"did not move in {evidence.steps}, although `{path}` did"
                yield Problem("not-moved", moment, text)


def _any_moved(evidence: Evidence) -> bool:
    return any(map(evidence.moved, evidence.roles.params))


def _is_anchor(evidence: Evidence, moment: str, path: str) -> bool:
    """Whether a leaf is no running average: a copy of the first params, or a scalar that fills a place."""
    content = evidence.first.leaves[moment].content
    return evidence.first.leaves[moment].size == 1 or same_bits(content, evidence.first.leaves[path].content)


CLAUSE = Clause(
    "opt_state",
    "the optimizer state moves with the params",
    _check,
    "keep what `tx.update` returns: `updates, opt_state = tx.update(grads, opt_state, params)`, and return that opt_state",
)
