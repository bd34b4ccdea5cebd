"""Conditions: what a path assumes when it takes one side of a test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from pytest_purestate._check import ir
from pytest_purestate._check.flow import types
from pytest_purestate._check.flow.state import MAX_OPTIONS, State, common, merge
from pytest_purestate._check.flow.summary import decide
from pytest_purestate._check.flow.values import (
    IMPOSSIBLE,
    NOTHING,
    TRACING,
    UNKNOWN,
    Choice,
    ClassValue,
    Const,
    Ext,
    Guards,
    Later,
    Linear,
    Periodic,
    Sym,
    Value,
    contradicts,
    unique,
)

if TYPE_CHECKING:
    from pytest_purestate._check.flow.interpret import Interpreter

__all__ = ["assume", "branch"]

_PLAIN = ("dict", "list", "set", "str", "number", "numpy")
"""What `isinstance` tells from an array, and from each other."""


def branch(it: Interpreter, test: ir.Expr, then: Callable[[], None], orelse: Callable[[], None]) -> None:
    """Run ``then`` and ``orelse`` each on the outcomes of ``test`` that the path allows, and join."""
    yes, no = assume(it, test)
    frame = it.frame
    if frame.state is None:
        return
    base = frame.state
    possible_yes, possible_no = not contradicts(base.path, yes), not contradicts(base.path, no)
    if possible_yes == possible_no:
        possible_yes = possible_no = True
    states: list[State | None] = []
    if possible_yes:
        frame.state = base.fork(yes)
        then()
        states.append(frame.state)
    if possible_no:
        frame.state = (
            base.fork(no) if possible_yes else State(base.env, base.heap, base.spent, {**base.path, **no})
        )
        orelse()
        states.append(frame.state)
    frame.state = merge(states)


def assume(it: Interpreter, test: ir.Expr) -> tuple[Guards, Guards]:
    """Evaluate a condition; the guards that hold when it is true, and when it is false."""
    if isinstance(test, ir.Unary) and test.op == "not":
        yes, no = assume(it, test.value)
        return no, yes
    if isinstance(test, ir.BoolOp):
        name = ("?", next(unique))
        left_yes, left_no = assume(it, test.left)
        before = it.state
        it.frame.state = before.fork(left_yes if test.op == "and" else left_no)
        right_yes, right_no = assume(it, test.right)
        it.frame.state = _rejoin(it, before, it.frame.state)
        if test.op == "and":
            return {name: True, **left_yes, **right_yes}, {name: False}
        return {name: True}, {name: False, **left_no, **right_no}
    if isinstance(test, ir.Compare) and len(test.rest) == 1:
        return _assume_compare(it, test)
    value = it.glanced(test) if isinstance(test, ir.Name | ir.GetAttr) else it.eval(test)
    if isinstance(value, Const) and not isinstance(value, Later):
        return ({}, IMPOSSIBLE) if value.value else (IMPOSSIBLE, {})
    if isinstance(value, Choice):
        no, yes = _told_apart(it, value, lambda option: isinstance(option, Const) and not option.value)
        return yes, no
    key: object = ("true", value) if isinstance(value, Sym) else ("?", next(unique))
    if isinstance(test, ir.Call) and types.typeof(it, value) != TRACING:  # which asks who runs it
        key = _class_asked(it, test) or key
    return {key: True, **_narrowed(it, test)}, {key: False}


def _narrowed(it: Interpreter, test: ir.Expr) -> Guards:
    """What `isinstance` and `hasattr`, where they hold, tell of a value that an annotation calls something else."""
    if not isinstance(test, ir.Call) or len(test.args) != 2 or any(arg.star or arg.name for arg in test.args):
        return {}
    callee = types.static_value(it, test.func)
    place = it.glanced(test.args[0].value) if isinstance(callee, Ext) else NOTHING
    if not isinstance(place, Sym) or place.root.kind == "local":
        return {}
    asked, known = test.args[1].value, types.typeof(it, place)
    if callee == Ext("builtins.isinstance") and not isinstance(asked, ir.Sequence):
        told = types.annotation_type(it, asked)
        overruled = told.kind in _PLAIN and known.kind in (*_PLAIN, "array") and told.kind != known.kind
    else:
        told = UNKNOWN
        overruled = (
            callee == Ext("builtins.hasattr")
            and isinstance(asked, ir.Const)
            and known.cls is not None
            and known.cls.lacks(str(asked.value))
        )
    if not overruled:
        return {}
    it.narrowed.add(place.root)
    return {("type", place): told}


def _class_asked(it: Interpreter, test: ir.Call) -> object:
    """The condition that an object is of a class, which is one however often it is asked; None for other calls."""
    if len(test.args) != 2 or types.static_value(it, test.func) != Ext("builtins.isinstance"):
        return None
    asked, of = (arg.value for arg in test.args)
    value = it.glanced(asked) if isinstance(asked, ir.Name) else NOTHING
    cls = types.static_value(it, of)
    known = isinstance(value, Sym) and isinstance(cls, Ext | ClassValue)
    return ("isa", value, cls) if known else None


def _may_change(left: Const, right: Const) -> bool:
    """Whether two values that the count of a loop is in are equal in some of the passes that it stands for."""
    if not isinstance(left, Later):
        left, right = right, left
    if not isinstance(left, Later):
        return False
    grown = isinstance(right, Later) or isinstance(left, Periodic)
    numbers = isinstance(left.value, int) and isinstance(right.value, int)
    return grown or not numbers or right.value >= left.value  # type: ignore[operator]


def _told_apart(it: Interpreter, value: Choice, test: Callable[[Value], bool]) -> tuple[Guards, Guards]:
    """What is known of the path when the option taken passes the test, and when it does not.

    ``attend(...)`` that gives a result or None says by it which of its paths it took. An option that is
    not a literal is taken for the result that it is asked for.
    """
    name = ("?", next(unique))
    if len(value.options) >= MAX_OPTIONS:  # there may have been more
        return {name: True}, {name: False}
    options = [(option, guards) for option, guards in value.options if not contradicts(guards, it.state.path)]
    passed = [guards for option, guards in options if test(option)]
    failed = [guards for option, guards in options if not test(option)]
    return {**_shared(passed), name: True}, {**_shared(failed), name: False}


def _shared(paths: Sequence[Guards]) -> Guards:
    return common(paths) if paths else {}


def _rejoin(it: Interpreter, before: State, after: State | None) -> State | None:
    """After an operand that may not have run: names and places as they may be, path as before."""
    return merge([before.fork({("?", next(unique)): 0}), after]) if after is not None else before


def _assume_compare(it: Interpreter, test: ir.Compare) -> tuple[Guards, Guards]:
    op, right_node = test.rest[0]
    read = it.glanced if op in ("is", "is not") else it.eval
    left, right = read(test.left), read(right_node)
    if isinstance(left, Const) and not isinstance(right, Const) and op in ("==", "!=", "is", "is not"):
        left, right = right, left
    if isinstance(left, Choice) and right == NOTHING and op in ("is", "is not"):
        is_none, is_not = _told_apart(it, left, lambda value: value == NOTHING)
        return (is_none, is_not) if op == "is" else (is_not, is_none)
    if not isinstance(left, Sym | Const | Linear) or not isinstance(right, Sym | Const | Linear):
        key: object = ("?", next(unique))
        return {key: True}, {key: False}
    try:
        hash(right)
    except TypeError:
        key = ("?", next(unique))
        return {key: True}, {key: False}
    if op in ("is", "is not") and right == NOTHING:
        known = decide(("none", left))
        yes: Guards = {("none", left): True, ("true", left): False}
        no: Guards = {("none", left): False}
        if isinstance(known, bool):
            yes, no = ({}, IMPOSSIBLE) if known else (IMPOSSIBLE, {})
        return (yes, no) if op == "is" else (no, yes)
    if op in ("==", "!=", "is", "is not"):
        if isinstance(left, Const) and isinstance(right, Const) and _may_change(left, right):
            key = ("?", next(unique))
            yes, no = {key: True}, {key: False}
        elif isinstance(left, Const) and isinstance(right, Const):
            same = left.value == right.value
            yes, no = ({}, IMPOSSIBLE) if same else (IMPOSSIBLE, {})
        else:
            yes, no = {("eq", left, right): True}, {("eq", left, right): False}
            if isinstance(right, Const):
                yes = {**yes, ("val", left): right.value}
        return (yes, no) if op in ("==", "is") else (no, yes)
    if op in ("<", ">", "<=", ">="):
        if op in (">", "<="):
            key = ("lt", right, left)
            flip = op == "<="
        else:
            key = ("lt", left, right)
            flip = op == ">="
        return ({key: False}, {key: True}) if flip else ({key: True}, {key: False})
    key = ("?", next(unique))
    return {key: True}, {key: False}
