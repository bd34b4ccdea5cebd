"""The clauses of the contract of a train step, a file each. To add one: write its file, and name it here."""

from __future__ import annotations

from pytest_purestate._runtime.steps.clauses import (
    collections,
    compiled,
    deterministic,
    effects,
    finite,
    frozen,
    inputs,
    key,
    opt_state,
    params,
    resumable,
    step,
    structure,
)
from pytest_purestate._runtime.steps.clauses.model import Clause

__all__ = ["CLAUSES", "Clause"]

CLAUSES: tuple[Clause, ...] = (
    inputs.CLAUSE,
    structure.CLAUSE,
    step.CLAUSE,
    params.CLAUSE,
    frozen.CLAUSE,
    opt_state.CLAUSE,
    collections.CLAUSE,
    key.CLAUSE,
    compiled.CLAUSE,
    deterministic.CLAUSE,
    resumable.CLAUSE,
    effects.CLAUSE,
    finite.CLAUSE,
)
"""In the order of the report. A clause that others make meaningless comes after them."""
