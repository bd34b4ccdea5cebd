"""Loops: how often a body is run, and what each pass over an iterable gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pytest_purestate._check.flow import calls, order, types
from pytest_purestate._check.flow.frame import Loop
from pytest_purestate._check.flow.state import State, merge, merge_values
from pytest_purestate._check.flow.values import (
    NOTHING,
    UNKNOWN,
    Choice,
    Const,
    Iter,
    Later,
    Linear,
    Root,
    Sym,
    Tup,
    Type,
    Value,
    unique,
)

if TYPE_CHECKING:
    from pytest_purestate._check.flow.interpret import Interpreter

__all__ = ["element", "join_breaks", "later", "length", "loop", "offset", "over", "row"]


PASSES = 2
_DEEP = 3  # loops nested deeper than this are run once: the cost doubles with every level
_BUDGET = 40_000  # statements and calls interpreted for one function before loops are run once


def loop(
    it: Interpreter,
    start: Callable[[int], bool],
    body: Callable[[], None],
    length: int | None,
    conditional: bool = False,
    sweep: bool = False,
) -> None:
    """Run ``body`` up to twice, joining the paths on which the loop ended earlier.

    ``start`` prepares a pass and says whether it can begin. The loop's break states stay on
    ``frame.loops`` for ``_join_breaks``, because ``else`` does not see them.
    """
    frame = it.frame
    loop = Loop()
    frame.loops.append(loop)
    number = next(unique)
    if sweep:
        frame.sweeps.add(number)
    outer = frame.passes
    before = frame.before
    frame.before = dict(frame.state.env) if frame.state is not None else {}
    frame.depth += 1
    passes = PASSES if frame.depth <= _DEEP and frame.steps < _BUDGET else 1
    frame.hurried = frame.hurried or passes < PASSES
    if length is not None:
        passes = min(passes, length)
    ended: list[State] = []
    frame.began.append(len(frame.facts.ran))
    for turn in range(passes):
        if frame.state is None:
            break
        if not conditional and (length is None or turn >= length):
            mark = ("loop", number, turn)
            ended.append(frame.state.fork({mark: False}))
            frame.state = frame.state.fork({mark: True})
        frame.passes = (*outer, (number, turn))
        if not start(turn):
            break
        body()
        frame.state = merge([frame.state, *loop.continues])
        loop.continues.clear()
    frame.began.pop()
    frame.passes = outer
    frame.before = before
    frame.depth -= 1
    if not conditional:
        frame.state = merge([*ended, frame.state])


def over(
    it: Interpreter, iterable: Value, ref: int, start: Callable[[int], bool], body: Callable[[], None]
) -> None:
    """Run ``body`` for the elements of ``iterable``, which the expression ``ref`` gave."""
    source = order.source_of(it, iterable, ref)
    since = next(unique)
    disorder = it.frame.disorder
    if isinstance(iterable, Iter) and iterable.kind == "zip":
        order.paired(it, iterable.parts, ref)

    def begin(number: int) -> bool:
        if source is not None:
            disorder.append((source, since, next(unique)))
        return start(number)

    def run() -> None:
        body()
        if source is not None:
            disorder.pop()

    depth = len(disorder)
    # A few values that are written out are settings to be compared, each from the same start.
    sweep = isinstance(iterable, Tup) and all(isinstance(item, Const) for item in iterable.items)
    loop(it, begin, run, length(it, iterable), sweep=sweep)
    del disorder[depth:]


def join_breaks(
    it: Interpreter,
) -> None:
    loop = it.frame.loops.pop()
    it.frame.state = merge([it.frame.state, *loop.breaks])


def length(it: Interpreter, iterable: Value) -> int | None:
    """How many elements there are, when that is known."""
    if isinstance(iterable, Tup):
        return len(iterable.items)
    if isinstance(iterable, Iter) and iterable.kind in ("enumerate", "reversed", "list"):
        return length(it, iterable.parts[0])
    if isinstance(iterable, Iter) and iterable.kind == "map":
        return length(it, iterable.parts[1]) if len(iterable.parts) == 2 else None
    if isinstance(iterable, Iter) and iterable.kind == "range":
        bounds = [part.value if isinstance(part, Const) else None for part in iterable.parts]
        if all(isinstance(bound, int) for bound in bounds):
            return len(range(*[int(str(bound)) for bound in bounds]))
    if isinstance(iterable, Iter) and iterable.kind == "zip":
        known = [n for part in iterable.parts if (n := length(it, part)) is not None]
        return min(known) if known and len(known) == len(iterable.parts) else None
    if isinstance(iterable, Sym) and types.typeof(it, iterable).kind == "progress":
        through = it.read(iterable.child(order.THROUGH))
        return (
            length(it, through) if not isinstance(through, Sym) or through.root is not iterable.root else None
        )
    if isinstance(iterable, Sym) and not iterable.path:
        return iterable.root.size
    return None


def element(it: Interpreter, iterable: Value, number: int) -> Value:
    """What a loop over ``iterable`` gives in its pass ``number``."""
    if isinstance(iterable, Iter):
        kind, parts = iterable.kind, iterable.parts
        if kind == "zip":
            return Tup(tuple([element(it, part, number) for part in parts]))
        if kind == "enumerate" and it.frame.disorder and order.source_of(it, parts[0], -1) is not None:
            return Tup((order.position(it.frame.disorder[-1][0]), element(it, parts[0], number)))
        if kind == "enumerate":
            return Tup(
                (
                    later(it, offset(it, parts[1] if len(parts) > 1 else Const(0), number), iterable, number),
                    element(it, parts[0], number),
                )
            )
        if kind == "range":
            start = parts[0] if len(parts) > 1 else Const(0)
            stride = parts[2].value if len(parts) > 2 and isinstance(parts[2], Const) else 1
            count = offset(it, start, number * stride if isinstance(stride, int) else number)
            return later(it, count, iterable, number)
        if kind == "items":
            key = element(it, Iter("keys", parts), number)
            return Tup((key, it.step(parts[0], ("[", it.as_index(key)))))
        if kind == "values":
            key = element(it, Iter("keys", parts), number)
            return it.step(parts[0], ("[", it.as_index(key)))
        if kind == "keys":
            return Sym(Root("local", Type("str")))
        if kind == "reversed":
            size = length(it, parts[0])
            return (
                element(it, parts[0], size - 1 - number)
                if size is not None
                else Sym(Root("local", types.element_type(it, types.typeof(it, parts[0]), ("[", 0))))
            )
        if kind == "list":
            return element(it, parts[0], number)
        if kind == "map":
            return calls.call_value(
                it, parts[0], [element(it, part, number) for part in parts[1:]], (), iterable.ref, "map"
            )
    if isinstance(iterable, Choice):
        return (
            merge_values([(element(it, option, number), guards) for option, guards in iterable.options])
            or NOTHING
        )
    if isinstance(iterable, Sym):
        kind = types.typeof(it, iterable).kind
        if kind == "progress":
            return element(it, it.read(iterable.child(order.THROUGH)), number)
        if kind in ("dict", "set", "stream"):
            held = Type("key") if kind == "stream" else UNKNOWN
            return Sym(Root("local", held, origin=iterable.root.origin))
    return it.step(iterable, ("[", number))


def row(it: Interpreter, tree: Value, number: int) -> Value:
    """What ``scan`` and ``map`` hand to their body in pass ``number``: that element of each leaf of a tree."""
    if isinstance(tree, Tup):
        return Tup(tuple([row(it, item, number) for item in tree.items]))
    if isinstance(tree, Choice):
        return merge_values([(row(it, option, number), guards) for option, guards in tree.options]) or NOTHING
    return element(it, tree, number)


def later(it: Interpreter, count: Value, iterable: Value, number: int) -> Value:
    """A count as it is in pass ``number``, and in all behind it where no more are run but there may be more."""
    if number < PASSES - 1 or not isinstance(count, Const):
        return count
    size = length(it, iterable)
    return count if size is not None and size <= PASSES else Later(count.value)


def offset(it: Interpreter, start: Value, by: int) -> Value:
    if isinstance(start, Const) and isinstance(start.value, int):
        return Const(start.value + by)
    if isinstance(start, Linear):
        return Linear(start.base, start.offset + by)
    if isinstance(start, Sym):
        return Linear(start, by)
    return Sym(Root("local", Type("number")))
