"""What a clause of the contract is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pytest_purestate._runtime.failures import Problem
from pytest_purestate._runtime.steps.evidence import Evidence

__all__ = ["Clause"]


@dataclass(frozen=True, slots=True)
class Clause:
    """One promise of a train step.

    Attributes:
        name: what ``skip=`` takes.
        promise: what holds of a good step, a sentence.
        check: gives every place where it does not hold.
        help: what to change then.
        unless: clauses that make this one meaningless if they are broken.
    """

    name: str
    promise: str
    check: Callable[[Evidence], Iterable[Problem]]
    help: str
    unless: tuple[str, ...] = ()
