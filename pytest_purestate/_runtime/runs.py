"""A step over its batches, all at once or in two halves, and where the results of two runs differ."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_purestate._runtime.copies import copy_value
from pytest_purestate._runtime.failures import Problem
from pytest_purestate._runtime.graph import Node, take_picture
from pytest_purestate._runtime.inputs import check_output
from pytest_purestate._runtime.representation import compare_content
from pytest_purestate._runtime.stepping import take_state

__all__ = ["ENDS", "Run", "Steps", "differences", "is_below"]

ENDS = ("in one go", "resumed")
"""What to call the two results."""


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """What some steps led to.

    Attributes:
        state: after the last of them.
        outputs: what each of them returned besides the state, by the text that leads there from the output.
    """

    state: Any
    outputs: list[dict[str, Node]]


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A step with what it is called with.

    Attributes:
        step: the function.
        name: of the step.
        called: what to call the state.
        batches_called: what to call the batches.
        state: at the beginning. It is never handed to the step.
        batches: all of them. Each step gets a copy.
    """

    step: Callable[[Any, Any], Any]
    name: str
    called: str
    batches_called: str
    state: Any
    batches: Sequence[Any]

    def go(self, state: Any, start: int, stop: int) -> Steps:
        """Take the steps for some of the batches; the state is used up."""
        __tracebackhide__ = True
        outputs = []
        for batch in self.batches[start:stop]:
            stepped = take_state(self.step(state, copy_value(batch)), state, self.name)
            state = stepped.state
            outputs.append({label: take_picture(value) for label, value in stepped.aux.items()})
            for picture in outputs[-1].values():
                check_output(picture)
        return Steps(state, outputs)


def differences(
    run: Run, cut: int, final: Node, end: Steps, other: Node, resumed: Steps, skip: tuple[str, ...]
) -> list[Problem]:
    """Where the results of the steps from ``cut`` on differ: what the first step returned that differs, and the state in the end."""
    found: list[Problem] = []
    for number, (one, two) in enumerate(zip(end.outputs, resumed.outputs, strict=True), start=cut):
        for label in one:
            path = f"{run.name}({run.called}, {run.batches_called}[{number}]){label}"
            picture = two.get(label, take_picture(None))
            found += compare_content(one[label], picture, path).problems
        if found:
            break
    ends = compare_content(final, other, run.called).problems
    found += [
        dataclasses.replace(problem, message=f"after all batches, {problem.message}")
        for problem in ends
        if not is_below(problem.path, skip)
    ]
    return [dataclasses.replace(problem, labels=ENDS) for problem in found]


def is_below(path: str, parts: tuple[str, ...]) -> bool:
    """Whether a path is one of these parts, or leads to something below it."""
    return any(path == part or path.startswith((f"{part}.", f"{part}[")) for part in parts)
