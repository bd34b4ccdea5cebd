"""What is counted of a function that is traced and compiled, and of each trace."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_purestate._runtime.signatures import Signature

__all__ = ["Compiled", "Counts", "Function", "Trace", "by_name"]


@dataclass(frozen=True, slots=True)
class Counts:
    """What was done for a function, or for several.

    Attributes:
        traces: how often its Python code was traced. What is traced inside of another trace is a part of that one.
        compiles: how often XLA compiled it, also for `vmap` and the backward pass of `grad`.
        seconds: what tracing, lowering and compiling took together.
        library: whether all of this was for functions of JAX, such as an operation that runs without ``jit``:
            it is compiled once for each shape, as it must be.
        place: the line of the user's code that it was traced for last, ``train.py:33``; may be empty.
        defined: where the function is, ``train.py:12``; may be empty.
    """

    traces: int = 0
    compiles: int = 0
    seconds: float = 0.0
    library: bool = False
    place: str = ""
    defined: str = ""

    def __add__(self, other: Counts) -> Counts:
        """The two together, as for a function that two tests use."""
        return Counts(
            self.traces + other.traces,
            self.compiles + other.compiles,
            self.seconds + other.seconds,
            self.library and other.library,
            other.place or self.place,
            self.defined if self.defined == other.defined else "",
        )


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """A function was traced.

    Attributes:
        place: the line of the user's code that it was traced for.
        signature: what it was traced for; None where this is not recorded or cannot be told.
        renewed: whether the function is another object than before, made anew.
        within: the number of the outermost trace that this is a part of.
        nested: whether it is a part of another function's trace.
    """

    place: str
    signature: Signature | None
    renewed: bool
    within: int
    nested: bool


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    """A function was compiled for a call with arrays, and not for a transformation of it.

    Attributes:
        place: the line of the user's code that it was compiled for.
        signature: as in `Trace`.
    """

    place: str
    signature: Signature | None


@dataclass(slots=True, eq=False)
class Function:
    """One function of a block, with all that was done for it.

    Attributes:
        name: what it is called, ``train_step``.
        defined: where it is, ``train.py:12``; may be empty.
        library: as in `Counts`.
        traces: its traces; one inside of another trace that traced it before is left out.
        compiled: its compilations for calls.
        compiles: how often it was compiled in all.
        seconds: how long all of it took.
        objects: the function objects that were seen, those that are gone included.
        known: how many of them were traced.
    """

    name: str
    defined: str = ""
    library: bool = False
    traces: list[Trace] = field(default_factory=list)
    compiled: list[Compiled] = field(default_factory=list)
    compiles: int = 0
    seconds: float = 0.0
    objects: list[Callable[[], Any]] = field(default_factory=list)
    known: int = 0

    @property
    def counts(self) -> Counts:
        """The numbers, without the traces inside of another function's."""
        own = [trace for trace in self.traces if not trace.nested]
        place = own[-1].place if own else ""
        return Counts(len(own), self.compiles, self.seconds, self.library, place, self.defined)


def by_name(functions: Sequence[Function], counts: Callable[[Function], Counts]) -> dict[str, Counts]:
    """What is counted of some functions, by name; with the line and a number too where several have one."""
    names = [each.name for each in functions]
    result: dict[str, Counts] = {}
    for each in functions:
        name = each.name
        if names.count(name) > 1 and each.defined:
            name = f"{name} ({each.defined})"
        numbered = (f"{name} #{number}" if number > 1 else name for number in itertools.count(1))
        result[next(text for text in numbered if text not in result)] = counts(each)
    return result
