"""Which arguments of a call the options of a transform speak of: ``donate_argnums``, ``static_argnames``, ..."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from pytest_purestate._check.flow.values import (
    Bound,
    Choice,
    ClassValue,
    Const,
    Func,
    Partial,
    Sym,
    Tup,
    Value,
    Wrapped,
)

if TYPE_CHECKING:
    from pytest_purestate._check.flow.calls import Args
    from pytest_purestate._check.flow.interpret import Interpreter

__all__ = ["Picked", "fixed_parameters", "parameters", "picked", "settled", "shared_parameters"]


STATIC_NUMBERS = ("static_argnums", "static_broadcasted_argnums")


class Picked(NamedTuple):
    """An argument that an option speaks of; ``sure`` is False where the option depends on the path taken."""

    value: Value
    ref: int
    name: str
    sure: bool


def settled(it: Interpreter, value: Value) -> Value:
    """The value of an option as it is now: a list display is what it holds."""
    if isinstance(value, Sym) and not value.path and value.root.type.kind == "list":
        held = it.state.heap.get(value.child(("#", 0)))
        if isinstance(held, Const) and isinstance(held.value, int):
            return Tup(tuple([it.step(value, ("[", position)) for position in range(held.value)]))
    return value


def parameters(function: Value) -> tuple[str, ...] | None:
    """The names of the parameters that are given by position; None where they are not known."""
    if isinstance(function, Func):
        return tuple([param.name for param in function.function.params if param.kind in ("", "/")])
    if isinstance(function, Wrapped):
        return parameters(function.func)
    if isinstance(function, Bound) and function.func is not None:
        names = parameters(function.func)
        return None if names is None else names[1:]
    if isinstance(function, Partial):
        names = parameters(function.func)
        if names is None:
            return None
        bound = {name for name, _ in function.kwargs}
        return tuple([name for name in names[len(function.args) :] if name not in bound])
    if isinstance(function, ClassValue):
        names = parameters(function.info.find("__init__") or Const(None))
        return None if names is None else names[1:]
    return None


def fixed_parameters(function: Value, options: Mapping[str, Value]) -> frozenset[str]:
    """The parameters of the function inside that are no arguments of a call, or static ones."""
    inside = function
    while isinstance(inside, Partial | Wrapped | Bound):
        inside = (inside.func or Const(None)) if isinstance(inside, Bound) else inside.func
    every = parameters(inside) or ()
    left = parameters(function) or ()
    static = [
        left[number] for number in _numbers(options, *STATIC_NUMBERS) if -len(left) <= number < len(left)
    ]
    names = [str(name) for name in _listed(options.get("static_argnames"), str)]
    return frozenset((*(name for name in every if name not in left), *static, *names))


def shared_parameters(function: Value, mode: str, options: Mapping[str, Value]) -> frozenset[str]:
    """The parameters of the function inside that a transform gives the caller's own containers, not new ones.

    They are those that are no arguments of a call, and under ``grad`` those that it does not differentiate by.
    """
    fixed = fixed_parameters(function, options)
    left = parameters(function)
    if mode != "grad" or left is None:
        return fixed
    numbers = set(_numbers(options, "argnums")) if "argnums" in options else {0}
    return fixed.union(name for at, name in enumerate(left) if not numbers.intersection((at, at - len(left))))


def _numbers(options: Mapping[str, Value], *names: str) -> Iterator[int]:
    for name in names:
        for number in _listed(options.get(name), int):
            assert isinstance(number, int)
            yield number


def _listed(value: Value | None, kind: type) -> dict[object, bool]:
    """The numbers or names that an option lists, each with whether it does so on every path."""
    if isinstance(value, Const) and isinstance(value.value, kind) and not isinstance(value.value, bool):
        return {value.value: True}
    if isinstance(value, Tup):
        return {item: sure for part in value.items for item, sure in _listed(part, kind).items()}
    if isinstance(value, Choice):
        options = [_listed(option, kind) for option, _ in value.options]
        every = {item for option in options for item in option}
        return {item: all(option.get(item, False) for option in options) for item in every}
    return {}


def picked(
    wrapped: Wrapped, args: Args, numbers: str, names: str, *, by_keyword: bool = False
) -> Iterator[Picked]:
    """The arguments that ``numbers`` and ``names`` list. ``by_keyword``: a number also means that keyword."""
    options = dict(wrapped.options)
    listed = _listed(options.get(numbers), int)
    named = _listed(options.get(names), str)
    if not listed and not named:
        return
    params = parameters(wrapped.func) or ()
    count = args.before if args.star else len(args.pos)
    for position, (value, ref) in enumerate(args.pos[:count]):
        name = params[position] if position < len(params) else ""
        found = [
            listed.get(position),
            named.get(name) if name else None,
            listed.get(position - count) if not args.star else None,
        ]
        known = [sure for sure in found if sure is not None]
        if known:
            yield Picked(value, ref, name, any(known))
    for name, (value, ref) in args.kw.items():
        sure = named.get(name)
        if sure is None and by_keyword and name in params:
            sure = listed.get(params.index(name))
        if sure is not None:
            yield Picked(value, ref, name, sure)
