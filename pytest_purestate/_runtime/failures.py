"""What went wrong, as text for people and as values for tools."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Problem", "PurityError", "listed"]

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Problem:
    """One place where what is differs from what should be.

    Attributes:
        kind: what it is, for programs. Of two values: ``value``, ``dtype``, ``shape``, ``weak-type``, ``sharding``, ``type``,
            ``added``, ``removed``, ``order``, ``identity``, ``deleted``. Of a function: ``hidden-state``, ``argument``,
            ``host-rng``, ``output``, ``side-effect``, ``leak``, ``trace``. Of keys: ``key-reuse``, ``same-key``. Of traces:
            ``retrace``, ``recompile``, ``static``, ``function``, ``structure``, ``device``, ``config``. Of donation:
            ``not-donated``, ``donated-twice``, ``donated-and-held``. Of a train step: ``moved``, ``not-moved``,
            ``counter``, ``key``, ``not-finite``. And ``editable``, ``transfer``, ``not-saved``, ``host-config``.
        path: the place as one would write it in Python, ``state.params['dense']['kernel'][3, 1]``.
        message: what happened there, a sentence without the path.
        before: the first value as text, or an empty string where there was none.
        after: the second value as text, or an empty string where there is none.
        labels: what to call the two values, where that is not what the error calls those of all its problems.
    """

    kind: str
    path: str
    message: str
    before: str = ""
    after: str = ""
    labels: tuple[str, str] | None = None


class PurityError(AssertionError):
    """A promise of purity was broken; the text says where, shows both values and says what to do.

    Args:
        headline: one line that stands alone.
        problems: every place, also those that the text leaves out.
        labels: what to call the two values of a problem.
        notes: lines to print between the problems and the help.
        help: the change we propose.

    Attributes:
        problems: what people read in the text, for programs: a tuple of `Problem`.
    """

    def __init__(
        self,
        headline: str,
        problems: Iterable[Problem] = (),
        labels: tuple[str, str] = ("before", "after"),
        notes: tuple[str, ...] = (),
        help: str = "",
    ) -> None:
        self.headline = headline
        self.problems: tuple[Problem, ...] = tuple(problems)
        self.labels = labels
        self.notes = notes
        self.help = help
        # All of them, because an exception is pickled (by xdist, by multiprocessing) through its args.
        super().__init__(headline, self.problems, labels, notes, help)

    def __str__(self) -> str:
        # Where the difference comes from is not one more difference, and must not be cut off behind those.
        hidden = [problem for problem in self.problems if problem.kind == "hidden-state"]
        others = [problem for problem in self.problems if problem.kind != "hidden-state"]
        lines = [self.headline, *listed(others, self.labels), *listed(hidden, ("before", "after"))]
        lines += [f"  {note}" for note in self.notes]
        if self.help:
            lines.append(f"  help: {self.help}")
        return "\n".join(lines)


def listed(problems: Sequence[Problem], labels: tuple[str, str] = ("before", "after")) -> Iterator[str]:
    """The lines about some problems: where, what, and both values."""
    for problem in problems[:_SHOWN]:
        yield f"  {problem.path}: {problem.message}"
        own = problem.labels or labels
        width = max(map(len, own)) + 1
        for label, text in zip(own, (problem.before, problem.after), strict=True):
            if text:
                yield f"    {label + ':':{width}} {text}"
    if (left := len(problems) - _SHOWN) > 0:
        yield f"  and {left} more, all of them in `.problems` of this error"


# The name that users import, and that pytest and pickle print: shorter, and free to move.
PurityError.__module__ = "pytest_purestate"
Problem.__module__ = "pytest_purestate"
