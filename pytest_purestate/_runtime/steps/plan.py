"""How a step is called: with its state as one argument or spread over several, with copies each time."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax

from pytest_purestate._runtime import _compat
from pytest_purestate._runtime.copies import copy_value
from pytest_purestate._runtime.failures import Problem
from pytest_purestate._runtime.graph import Node, take_picture
from pytest_purestate._runtime.hidden import name_of
from pytest_purestate._runtime.inputs import Inputs, check_output, declared_donations
from pytest_purestate._runtime.stepping import holds_nnx
from pytest_purestate._runtime.steps.results import new_parts
from pytest_purestate._runtime.steps.view import View, take_view
from pytest_purestate._runtime.trees import compare

__all__ = ["Call", "Plan", "make_plan"]

Parts = Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One call of a step, and what it left behind.

    Attributes:
        result: what it returned.
        before: the state that it was given.
        after: the state that it returned; None if there is none in the result.
        parts: the new state itself, by the names of its arguments; empty if there is none.
        outcome: pictures of everything that it gave: of the result, and of nnx objects that it changed.
        touched: what it did to its arguments beyond its contract.
    """

    result: Any
    before: View
    after: View | None
    parts: Parts
    outcome: Mapping[str, Node]
    touched: tuple[Problem, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A step, and what it is called with.

    Attributes:
        step: the function.
        parts: the state at first, by the names of the arguments that it is passed in.
        rest: the batch and other arguments, by name.
    """

    step: Callable[..., Any]
    parts: Parts
    rest: Parts

    @property
    def name(self) -> str:
        """What to call the step."""
        return name_of(self.step)

    @property
    def in_place(self) -> tuple[str, ...]:
        """The arguments that hold nnx objects, which a step may change."""
        return tuple(name for name, value in (*self.parts.items(), *self.rest.items()) if holds_nnx(value))

    def run(self, parts: Parts | None = None) -> Call:
        """Call the step with copies, by default of the first state."""
        __tracebackhide__ = True
        given = self._copies(self.parts if parts is None else parts)
        state = {name: given[name] for name in self.parts}
        before = take_view(state)
        in_place = self.in_place
        pictures = {name: take_picture(value) for name, value in given.items() if name not in in_place}
        result = self.step(*given.values())
        jax.block_until_ready(result)  # type: ignore[no-untyped-call]
        touched = tuple(self._touched(pictures, given))
        new = new_parts(result, state)
        picture = take_picture(result)
        check_output(picture)
        changed = {name: take_picture(given[name]) for name in in_place}
        after = take_view(new) if new is not None else None
        return Call(result, before, after, new or {}, {"output": picture, **changed}, touched)

    def _copies(self, parts: Parts) -> dict[str, Any]:
        """Every container and array anew, and every static field the same object: another one would be compiled for."""
        given = {**parts, **self.rest}
        # The model and the optimizer of nnx can share their variables.
        nnx = copy_value({name: value for name, value in given.items() if holds_nnx(value)})
        return {
            name: nnx[name] if name in nnx else jax.tree.map(copy_value, value)
            for name, value in given.items()
        }

    def _touched(self, pictures: Mapping[str, Node], given: Parts) -> list[Problem]:
        found = [
            problem
            for name, picture in pictures.items()
            for problem in compare(picture, take_picture(given[name]), name, identity=True).problems
        ]
        if not any(problem.kind == "deleted" for problem in found):
            return found
        donated = self._donated()
        return [problem for problem in found if problem.kind != "deleted" or problem.path not in donated]

    def _donated(self) -> frozenset[str]:
        """The paths of what a call may delete: what the step says that it donates, or else the state."""
        args = self._copies(self.parts)
        flat = [
            (name, name + jax.tree_util.keystr(keys))
            for name, value in args.items()
            for keys, _ in jax.tree_util.tree_flatten_with_path(value)[0]
        ]
        flags = declared_donations(self.step, tuple(args.values()))
        if flags is None:
            return frozenset(path for name, path in flat if name in self.parts)
        return frozenset(path for (_, path), flag in zip(flat, flags, strict=True) if flag)


def make_plan(step: Callable[..., Any], inputs: Inputs) -> Plan:
    """Decide how the state is passed: whole if the step takes as many arguments, else a tuple with an argument for each.

    Raises:
        TypeError: the step takes neither number of arguments.
        ValueError: there is no array in the state.
    """
    __tracebackhide__ = True
    state, *rest = inputs.args
    defaults = ("state", "batch", *(f"args[{i}]" for i in range(len(rest) - 1)))
    names = _apart(
        [
            default if name.startswith("args[") else name
            for name, default in zip(inputs.names, defaults, strict=True)
        ]
    )
    if not any(_is_data(leaf) for leaf in jax.tree.leaves(state, is_leaf=_compat.is_nnx_object)):
        raise ValueError(f"`{names[0]}` has no array in it, so it is no state; pass the train state second")
    signature = _signature(step)
    if signature is None or _takes(signature, len(inputs.args)):
        return Plan(step, {names[0]: state}, dict(zip(names[1:], rest, strict=True)))
    if type(state) is tuple and _takes(signature, len(state) + len(rest)):
        labels = _apart([*_parameters(signature, len(state), names[0]), *names[1:]])
        return Plan(
            step,
            dict(zip(labels[: len(state)], state, strict=True)),
            dict(zip(labels[len(state) :], rest, strict=True)),
        )
    taken = f"{len(inputs.args)} arguments, {', '.join(names)}"
    raise TypeError(
        f"`{name_of(step)}{signature}` cannot be called with {taken}; bind what is missing with functools.partial; "
        "a state that is passed as several arguments is given as a tuple, `(params, opt_state)`"
    )


def _signature(step: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(step)
    except (TypeError, ValueError):
        return None


def _takes(signature: inspect.Signature, count: int) -> bool:
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def _parameters(signature: inspect.Signature, count: int, state: str) -> list[str]:
    """What the step calls its first arguments."""
    named = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [name for name, one in signature.parameters.items() if one.kind in named][:count]
    return [*names, *(f"{state}[{i}]" for i in range(len(names), count))]


def _apart(names: list[str]) -> list[str]:
    """The names, with a number where one comes again: `step(state, batch, x, x)`."""
    return [name if names.index(name) == i else f"{name}#{i}" for i, name in enumerate(names)]


def _is_data(leaf: Any) -> bool:
    return _compat.is_nnx_object(leaf) or isinstance(leaf, jax.Array) or hasattr(leaf, "__array__")
