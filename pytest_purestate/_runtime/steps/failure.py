"""The one report about a step: every clause of its contract that is broken, with all places."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pytest_purestate._runtime.failures import Problem, PurityError, listed

__all__ = ["Broken", "TrainStepError"]


@dataclass(frozen=True, slots=True)
class Broken:
    """A clause that does not hold.

    Attributes:
        clause: its name, as ``skip=`` takes it.
        promise: what should hold.
        problems: where it does not.
        help: the change we propose.
    """

    clause: str
    promise: str
    problems: tuple[Problem, ...]
    help: str


class TrainStepError(PurityError):
    """A train step breaks its contract; the text has a paragraph for each broken clause.

    Args:
        headline: one line that stands alone.
        broken: the clauses.
        notes: lines at the end.

    Attributes:
        clauses: the names of the broken clauses.
    """

    def __init__(self, headline: str, broken: tuple[Broken, ...], notes: tuple[str, ...] = ()) -> None:
        super().__init__(headline, [problem for one in broken for problem in one.problems], notes=notes)
        self.broken = broken
        self.clauses = tuple(one.clause for one in broken)
        self.args = (headline, broken, notes)  # what it is pickled by

    def __str__(self) -> str:
        return "\n".join([self.headline, *self._paragraphs(), *(f"  {note}" for note in self.notes)])

    def _paragraphs(self) -> Iterator[str]:
        for one in self.broken:
            yield f"  {one.clause}: {one.promise}"
            yield from (f"  {line}" for line in listed(one.problems))
            yield f"    help: {one.help}"


TrainStepError.__module__ = "pytest_purestate"
