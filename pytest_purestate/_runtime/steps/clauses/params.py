"""What is trained moves."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_purestate._runtime.arrays import ArrayContent
from pytest_purestate._runtime.failures import Problem
from pytest_purestate._runtime.steps.clauses.model import Clause
from pytest_purestate._runtime.steps.evidence import Evidence

__all__ = ["CLAUSE"]


def _check(evidence: Evidence) -> Iterator[Problem]:
    for path in evidence.roles.params:
        if path not in evidence.frozen and not evidence.moved(path):
            text = f"did not move in {evidence.steps}{_reason(evidence, path)}"
            yield Problem("not-moved", path, text)


def _reason(evidence: Evidence, path: str) -> str:
    """What the optimizer remembers of a leaf tells why it stays: of a gradient that is zero it remembers nothing."""
    moments = moments_of(evidence, path)
    if not moments or not any(map(evidence.moved, evidence.roles.opt_state)):
        return ""
    if any(map(evidence.moved, moments)):
        return (
            f", although `{next(filter(evidence.moved, moments))}` did: its updates are zero, or are dropped"
        )
    if all(_is_zero(evidence.contents(moment)[-1]) for moment in moments):
        return f", and `{moments[0]}` is zero: its gradient is zero, or never comes to the optimizer"
    return ""


def moments_of(evidence: Evidence, path: str) -> list[str]:
    """The leaves of the optimizer state that belong to one of the params: their paths end as its own does."""
    leaf = evidence.first.leaves[path]
    own = leaf.names[leaf.names.index("params") + 1 :] if "params" in leaf.names else leaf.names
    found = []
    for other in evidence.roles.opt_state:
        moment = evidence.first.leaves[other]
        ends = not own or moment.names[-len(own) :] == own
        if ends and moment.floating and moment.content.shape == leaf.content.shape:
            found.append(other)
    return found


def _is_zero(content: ArrayContent) -> bool:
    return content.host is not None and not content.host.any()


CLAUSE = Clause(
    "params",
    "every leaf of the params moves, but for those that are frozen",
    _check,
    "return the new params; where a leaf is meant to stay, say so: `frozen=\"params['encoder']\"`; where gradients are "
    "accumulated or a schedule begins at zero, pass `steps=` as many as it takes",
)
