"""What several calls of a step in a row left behind: all that the clauses of its contract look at."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pytest_purestate._runtime.arrays import ArrayContent
from pytest_purestate._runtime.compilations import Compilations, Function
from pytest_purestate._runtime.effects import observed
from pytest_purestate._runtime.failures import Problem
from pytest_purestate._runtime.frames import shown_place
from pytest_purestate._runtime.retraces import changes_of
from pytest_purestate._runtime.steps.frozen import Frozen
from pytest_purestate._runtime.steps.plan import Call, Plan
from pytest_purestate._runtime.steps.roles import Roles
from pytest_purestate._runtime.steps.view import View, same_bits

__all__ = ["Evidence", "gather"]


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """A chain of calls, each with the state that the one before it returned.

    Attributes:
        plan: how to call the step once more.
        roles: what the leaves of the state are for.
        frozen: which of them must not move.
        calls: one or more; fewer than were asked for if a call returned no state.
        compiled: what was traced or compiled after the first call.
        elsewhere: what changed outside of arguments and results.
        error: what a call after the first one raised.
    """

    plan: Plan
    roles: Roles
    frozen: Frozen
    calls: tuple[Call, ...]
    compiled: tuple[Problem, ...]
    elsewhere: tuple[Problem, ...]
    error: Exception | None = None
    _moved: dict[str, bool] = field(default_factory=dict)

    @property
    def steps(self) -> str:
        """How many calls there were: ``3 steps``."""
        return "1 step" if len(self.calls) == 1 else f"{len(self.calls)} steps"

    @property
    def first(self) -> View:
        """The state at first."""
        return self.calls[0].before

    def contents(self, path: str) -> list[ArrayContent]:
        """A leaf at first and after each call, as long as it is there."""
        views = [self.first, *(call.after for call in self.calls if call.after is not None)]
        return [view.leaves[path].content for view in views if path in view.leaves]

    def moved(self, path: str) -> bool:
        """Whether any call changed a leaf; one that was lost is none that stayed."""
        if path not in self._moved:
            found = self.contents(path)
            whole = len(found) == 1 + len(self.calls)
            pairs = itertools.pairwise(found)
            self._moved[path] = not whole or any(not same_bits(one, other) for one, other in pairs)
        return self._moved[path]


def gather(plan: Plan, roles: Roles, frozen: Frozen, steps: int) -> Evidence:
    """Call a step so many times, and watch.

    Raises:
        Exception: what the step raises in its first call, or in another one if the state is as it was.
    """
    __tracebackhide__ = True
    calls: list[Call] = []
    error = None
    with Compilations(explain=True) as compilations:
        counts = [_counts(compilations)]
        with observed(plan.step, "the step") as elsewhere:
            for _ in range(steps):
                try:
                    call = plan.run(calls[-1].parts if calls else None)
                except Exception as raised:
                    if not calls or not _changed_form(calls[-1]):
                        raise
                    error = (
                        raised  # it was given a state that it did not expect: its own, and told of as such
                    )
                calls += [] if error else [call]
                counts.append(_counts(compilations))
                if error or call.after is None:
                    break
    compiled = tuple(_compiled_again(compilations.found, counts))
    return Evidence(plan, roles, frozen, tuple(calls), compiled, tuple(elsewhere), error)


def _changed_form(call: Call) -> bool:
    if call.after is None:
        return True
    forms: list[Any] = [
        ({path: str(leaf.content) for path, leaf in view.leaves.items()}, view.treedefs)
        for view in (call.before, call.after)
    ]
    return bool(forms[0] != forms[1])


Counts = dict[int, tuple[int, int]]


def _counts(compilations: Compilations) -> Counts:
    return {id(one): (len(one.traces), one.compiles) for one in compilations.found}


def _compiled_again(functions: tuple[Function, ...], counts: list[Counts]) -> Iterator[Problem]:
    """What was traced or compiled after the first call: the function, and what is told of the reason.

    Functions of JAX are left out: each is compiled for the shapes that it meets, also outside of the step.
    """
    # One that is made anew in each call is another object, of the same lines.
    alike: dict[tuple[str, str], list[Function]] = {}
    for function in functions:
        if not function.library:
            alike.setdefault((function.name, function.defined), []).append(function)
    for (name, _), group in alike.items():
        totals = [
            tuple(map(sum, zip(*(one.get(id(each), (0, 0)) for each in group), strict=True)))
            for one in counts
        ]
        grown = [number for number, (one, other) in enumerate(itertools.pairwise(totals), 1) if other > one]
        if not (later := [f"call {number}" for number in grown if number > 1]):
            continue
        again = "again " if 1 in grown else ""
        traces = [trace for each in group for trace in each.traces]
        place = f", for {shown_place(traces[-1].place)}" if traces else ""
        yield Problem("retrace", name, f"was compiled {again}in {' and '.join(later)}{place}")
        for each in group:
            known = counts[1].get(id(each), (0, 0))
            for change in changes_of(each):
                if change.number > known[0 if change.traced else 1]:
                    yield change.problem
