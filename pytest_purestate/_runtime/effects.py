"""One call of a function, and all that it does besides returning a result."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

import jax

from pytest_purestate._runtime.describe import Policy, digest, is_function
from pytest_purestate._runtime.failures import Problem
from pytest_purestate._runtime.graph import take_picture
from pytest_purestate._runtime.hidden import GENERATORS, HiddenState
from pytest_purestate._runtime.inputs import Inputs
from pytest_purestate._runtime.trees import compare

__all__ = ["call_observed", "observed"]

_WIDTH = 100


class _Tee(io.TextIOBase):
    """Passes on what is written, and keeps it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def observed(fn: Callable[..., Any], when: str) -> Iterator[list[Problem]]:
    """What happens in the block outside of its values: hidden state, generators of the host, output.

    Args:
        fn: the function that the block calls.
        when: what the block does, ``the call``.

    Yields:
        An empty list, which has the problems when the block is over, also when it raises.
    """
    problems: list[Problem] = []
    hidden, generators = HiddenState(fn), _generators()
    tee = _Tee(sys.stdout)
    try:
        with redirect_stdout(tee):
            yield problems
            jax.effects_barrier()  # type: ignore[no-untyped-call]  # callbacks print when they please
    finally:
        moved = {name: (state, after) for name, state, after in _moved(generators)}
        for problem in hidden.changes():
            if problem.path not in moved:
                problems.append(problem)
        for name, (before, after) in moved.items():
            text = f"the global generator of the host was used in {when}"
            problems.append(Problem("host-rng", name, text, before, after, labels=("before", "after")))
        if tee.text:
            problems.append(Problem("output", "sys.stdout", f"{when} prints", "", _shortened(tee.text)))


def call_observed(fn: Callable[..., Any], inputs: Inputs, when: str) -> tuple[Any, list[Problem]]:
    """Call a function with a copy of its arguments: its result, and what it did to them and elsewhere."""
    args = inputs.fresh()
    policies = [Policy(functions=is_function(arg)) for arg in args]
    before = [take_picture(arg, policy) for arg, policy in zip(args, policies, strict=True)]
    with observed(fn, when) as elsewhere:
        output = fn(*args)
    problems = []
    for name, picture, arg, policy in zip(inputs.names, before, args, policies, strict=True):
        for found in compare(picture, take_picture(arg, policy), name, identity=True).problems:
            if found.kind != "deleted":  # donated: who uses it again is told by JAX
                text = f"argument: {found.message}"
                problems.append(
                    Problem(
                        "argument", found.path, text, found.before, found.after, labels=("before", "after")
                    )
                )
    return output, [*problems, *elsewhere]


def _generators() -> dict[str, str]:
    return {name: digest(read()) for name, read in GENERATORS.items()}


def _moved(before: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    for name, after in _generators().items():
        if before[name] != after:
            yield name, before[name], after


def _shortened(text: str) -> str:
    shown = repr(text)
    return shown if len(shown) <= _WIDTH else f"{shown[:_WIDTH]}... ({len(text)} characters)"
