"""Static arguments: those that have no hash, and objects that change while compiled code goes on with what they were.

Compiled code is found again by the hash of its static arguments. That of an object of a plain class is its identity,
so what its attributes held in the first call holds in all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

from msgspec import Struct, field

from pytest_purestate._check.flow import types
from pytest_purestate._check.flow.facts import Mutation, Outdated, Unhashable
from pytest_purestate._check.flow.options import STATIC_NUMBERS, Picked, picked
from pytest_purestate._check.flow.values import (
    NOTHING,
    Bound,
    Func,
    Guards,
    Partial,
    Sym,
    Value,
    Wrapped,
    contradicts,
)
from pytest_purestate._check.model import Confidence

if TYPE_CHECKING:
    from pytest_purestate._check.flow.calls import Args
    from pytest_purestate._check.flow.interpret import Interpreter

__all__ = ["Static", "changed", "forget", "note", "put_back"]

_MANY = 8  # calls with one object of which the changes behind them are remembered


class Static(Struct, eq=False):
    """An object handed to a compiled function as static under ``guards``, and what is assigned behind that."""

    compiled: Wrapped
    guards: Guards
    changes: list[tuple[Mutation, Guards]] = field(default_factory=list)


def note(it: Interpreter, callee: Wrapped, args: Args) -> None:
    """Look at the static arguments of a call."""
    if it.frame.glance:
        return
    for numbers in STATIC_NUMBERS:
        for given in picked(callee, args, numbers, "static_argnames", by_keyword=True):
            if not _note_unhashable(it, callee, given) and isinstance(given.value, Sym):
                _note_object(it, callee, given, given.value)


def _note_unhashable(it: Interpreter, callee: Wrapped, given: Picked) -> bool:
    """Note a static argument that cannot be looked up in the cache of compiled functions."""
    found = types.unhashable(it, given.value)
    place: Sym | None = None
    if found is None and _is_kept(given.value, it):
        found, place = ("a NumPy array", -1, Confidence.HIGH), given.value
    if found is None:
        return False
    what, made, sure = found
    sure = sure if given.sure else min(sure, Confidence.MEDIUM)
    it.frame.facts.unhashable.setdefault(
        given.ref, Unhashable(given.ref, callee.api, given.name, what, made, sure, place)
    )
    return place is None


def _is_kept(value: Value, it: Interpreter) -> TypeGuard[Sym]:
    """Whether a value is an attribute of an object of the project: what it holds is known in the end."""
    return (
        isinstance(value, Sym) and len(value.path) == 1 and types.typeof(it, Sym(value.root)).cls is not None
    )


def _note_object(it: Interpreter, callee: Wrapped, given: Picked, value: Sym) -> None:
    """Note an object that a compiled function takes for a constant, and what was assigned since it did so before."""
    type_ = types.typeof(it, value)
    if it.frame.tracing or not given.name or (type_.kind and (type_.cls is None or not type_.cls.is_plain)):
        return
    function = _function(callee)
    if function is None:
        return
    known = it.frame.statics.setdefault(value, [])
    for static in known:
        for change, guards in static.changes if static.compiled is callee else ():
            if not contradicts(guards, it.state.path):
                outdated = Outdated(change, given.ref, value, function, given.name)
                it.frame.facts.outdated_statics.setdefault(change.ref, outdated)
    if len(known) < _MANY:
        known.append(Static(callee, it.state.path))


def _function(value: Value) -> Func | None:
    while isinstance(value, Wrapped | Partial | Bound):
        value = value.func or NOTHING
    return value if isinstance(value, Func) else None


def changed(it: Interpreter, place: Sym, change: Mutation) -> None:
    """Note an assignment to an attribute of an object that was static for a compiled function before."""
    path = it.state.path
    for static in it.frame.statics[place] if not it.frame.tracing else ():
        if len(static.changes) < _MANY and not contradicts(static.guards, path):
            static.changes.append((change, path))


def put_back(it: Interpreter, place: Sym, name: str) -> None:
    """Forget what was assigned to an attribute that has its first value again."""
    for static in it.frame.statics.get(place, ()):
        gone = {key for key, _ in it.frame.assigned.get((place.root, name), ())}
        static.changes = [entry for entry in static.changes if entry[0].ref not in gone]


def forget(it: Interpreter, compiled: Value) -> None:
    """Forget the calls of a function whose compiled code is thrown away."""
    for place, known in it.frame.statics.items():
        it.frame.statics[place] = [static for static in known if static.compiled is not compiled]
