"""What a function does, as its callers need to know it.

A summary speaks of the function's own parameters and captured variables as places. Applying it at
a call puts the caller's values in their stead, gives every object that the function makes a new
identity (each call makes a new key), and replays what happened: uses, stores, edits, effects.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct, field

from pytest_purestate._check import ir
from pytest_purestate._check.flow.facts import Effect, Mutation, Rebound
from pytest_purestate._check.flow.values import (
    Bound,
    Choice,
    Const,
    Donation,
    Func,
    Guards,
    Iter,
    Linear,
    Part,
    Partial,
    Path,
    Range,
    Root,
    Step,
    Sym,
    Tup,
    Use,
    Value,
    Wrapped,
    unique,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_SHARED = frozenset(("true", "none", "eq", "val", "lt"))  # conditions on values, which the caller may know

__all__ = ["Substitution", "Summary", "decide", "reachable"]


class Summary(Struct, eq=False):
    """The behaviour of one function in terms of its parameters, captured variables and new objects.

    ``always`` are the places that are spent on every way to a return; ``returns`` says that there is one.
    ``called`` are the parameters that it calls: what is handed over may hold a key. ``donates`` are the
    parameters and captured variables whose buffers it gives away, ``rebound`` the module variables that it binds
    anew. ``echoes`` are what functions of its module tell that it hands its own parameters to.
    """

    function: ir.Function
    params: tuple[tuple[ir.Param, Sym], ...]
    free: Mapping[str, Sym]
    uses: tuple[tuple[Sym, Use], ...] = ()
    stores: tuple[tuple[Sym, Value], ...] = ()
    result: Value = field(default_factory=lambda: Const(None))
    mutations: tuple[Mutation, ...] = ()
    effects: tuple[Effect, ...] = ()
    heap: Mapping[Sym, Value] = field(default_factory=dict)
    spent: Mapping[Root, tuple[tuple[Path, Use], ...]] = field(default_factory=dict)
    always: frozenset[Sym] = frozenset()
    returns: bool = True
    called: tuple[tuple[Sym, Guards], ...] = ()
    donates: tuple[tuple[Sym, Donation], ...] = ()
    rebound: tuple[Rebound, ...] = ()
    echoes: tuple[Effect, ...] = ()


def reachable(values: Iterable[Value], heap: Mapping[Sym, Value]) -> set[Root]:
    """The local objects that can be got at from ``values``."""
    children: dict[Root, list[Value]] = {}
    for place, value in heap.items():
        children.setdefault(place.root, []).append(value)
    seen: set[Root] = set()
    todo = list(values)
    while todo:
        value = todo.pop()
        if isinstance(value, Sym | Part):
            root = value.root if isinstance(value, Sym) else value.base.root
            if root.kind == "local" and root not in seen:
                seen.add(root)
                todo.extend(children.get(root, ()))
                if root.base is not None:
                    todo.append(root.base)
        elif isinstance(value, Tup):
            todo.extend(value.items)
        elif isinstance(value, Choice):
            todo.extend(option for option, _ in value.options)
        elif isinstance(value, Func) and value.captured is not None:
            todo.extend(value.captured.values())
        elif isinstance(value, Partial):
            todo.append(value.func)
            todo.extend(value.args)
            todo.extend(item for _, item in value.kwargs)
        elif isinstance(value, Wrapped):
            todo.extend((value.func, *(key for key, _ in value.keeps)))
        elif isinstance(value, Bound):
            todo.append(value.receiver)
        elif isinstance(value, Iter):
            todo.extend(value.parts)
    return seen


class Substitution:
    """Rewrites a summary's values into the caller's. ``known`` maps the callee's roots to values."""

    def __init__(self, known: dict[Root, Value], step: Callable[[Value, Step], Value]) -> None:
        self.known = known
        self.step = step
        self.private = next(unique)
        self._places: dict[Sym, Value] = {}
        self._conditions: dict[tuple[object, ...], tuple[object, ...]] = {}

    def value(self, value: Value) -> Value:
        if isinstance(value, Sym):
            return self._sym(value)
        if isinstance(value, Tup):
            return Tup(tuple([self.value(item) for item in value.items]))
        if isinstance(value, Choice):
            return self._choice(value)
        if isinstance(value, Part):
            base = self._sym(value.base)
            return Part(base, value.start, value.stop) if isinstance(base, Sym) else base
        if isinstance(value, Linear):
            base = self._sym(value.base)
            if isinstance(base, Sym):
                return Linear(base, value.offset)
            if isinstance(base, Const) and isinstance(base.value, int):
                return Const(base.value + value.offset)
            return base
        if isinstance(value, Func):
            if value.captured is None:
                return value
            captured = {name: self.value(item) for name, item in value.captured.items()}
            return Func(value.function, value.context, value.frame, captured, value.role)
        if isinstance(value, Partial):
            return Partial(
                self.value(value.func),
                tuple([self.value(item) for item in value.args]),
                tuple([(name, self.value(item)) for name, item in value.kwargs]),
            )
        if isinstance(value, Wrapped):
            kept = tuple([(self.value(key), holder) for key, holder in value.keeps])
            return Wrapped(self.value(value.func), value.mode, value.api, value.options, kept)
        if isinstance(value, Bound):
            return Bound(self.value(value.receiver), value.name, value.func)
        if isinstance(value, Iter):
            return Iter(value.kind, tuple([self.value(part) for part in value.parts]), value.ref)
        return value

    def _choice(self, value: Choice) -> Value:
        """The options that the caller's arguments leave."""
        left = [(option, self.feasible(guards)) for option, guards in value.options]
        options = tuple([(self.value(option), guards) for option, guards in left if guards is not None])
        return options[0][0] if len(options) == 1 and not options[0][1] else Choice(options)

    def _sym(self, sym: Sym) -> Value:
        root = sym.root
        found = self.known.get(root)
        if found is None:
            if root.kind != "local":
                return sym
            base = self._sym(root.base) if root.base is not None else None
            type_ = root.type
            if not type_.kind and isinstance(base, Sym) and not base.path:
                type_ = base.root.type  # a copy is what the caller knows the copied object to be
            copy = Root(
                "local", type_, root.name, root.origin, base if isinstance(base, Sym) else None,
                root.size, root.owner, root.memo, root.constant, (), root.gone,
            )  # fmt: skip
            found = self.known[root] = Sym(copy)
            if root.type.kind == "state":
                given = (part for part in root.made_of if isinstance(part, Sym) and part.root.kind == "param")
                copy.made_of = tuple([self.value(part) for part in given])
            if root.succeeds is not None:
                params = root.succeeds.params
                copy.succeeds = root.succeeds._replace(
                    old=self.value(_ancestor(root.succeeds.old)),
                    params=self.value(params) if params is not None else None,
                    held=tuple(self.value(old) for old in root.succeeds.held),
                )
        if not sym.path:
            return found
        # What the callee found at a place is what was there when it was called.
        value = self._places.get(sym)
        if value is None:
            *above, (kind, name) = sym.path
            value = self.step(self._sym(Sym(root, tuple(above))), (kind, self._index(name)))
            self._places[sym] = value
        return value

    def place(self, place: Sym) -> Sym | None:
        """The caller's place for one of the callee, not what is held there; None where it is part of no object."""
        *above, (kind, name) = place.path
        base = self.value(Sym(place.root, tuple(above)))
        return base.child((kind, self._index(name))) if isinstance(base, Sym) else None

    def _index(self, index: object) -> object:
        if isinstance(index, Sym | Linear):
            value = self.value(index)
            return value.value if isinstance(value, Const) else value
        if isinstance(index, Range):
            return Range(self._bound(index.start), self._bound(index.stop))
        return index

    def _bound(self, bound: int | Linear | None) -> int | Linear | None:
        if isinstance(bound, Linear):
            value = self.value(bound)
            if isinstance(value, Const) and isinstance(value.value, int):
                return value.value
            return value if isinstance(value, Linear) else None
        return bound

    def guards(self, guards: Guards) -> dict[object, object]:
        """The guards in the caller's terms; conditions that only the callee knows belong to this call."""
        out: dict[object, object] = {}
        for condition, outcome in guards.items():
            assert isinstance(condition, tuple)
            if condition[0] != "never":
                out[self._condition(condition)] = outcome
        return out

    def _condition(self, condition: tuple[object, ...]) -> tuple[object, ...]:
        known = self._conditions.get(condition)
        if known is None:
            if condition[0] in _SHARED:
                parts = (
                    self.value(part) if isinstance(part, Sym | Linear) else part for part in condition[1:]
                )
                known = (condition[0], *parts)
            else:
                known = ("call", self.private, condition)
            self._conditions[condition] = known
        return known

    def feasible(self, guards: Guards) -> dict[object, object] | None:
        """What remains of the guards in the caller's terms; None when they cannot hold here."""
        remaining: dict[object, object] = {}
        for condition, wanted in self.guards(guards).items():
            known = decide(condition)
            if known is None:
                remaining[condition] = wanted
            elif known != wanted:
                return None
        return remaining

    def told(self, guards: Guards) -> dict[object, object] | None:
        """What remains of the guards that speak of values, which alone a caller can tell of; None as with `feasible`."""
        shared: dict[object, object] = {
            condition: wanted
            for condition, wanted in guards.items()
            if isinstance(condition, tuple) and condition[0] in _SHARED
        }
        return self.feasible(shared) if shared else shared


def _ancestor(old: Value) -> Value:
    """The value at the head of a line of successors: the one that the caller knows."""
    while (
        isinstance(old, Sym) and not old.path and old.root.kind == "local" and old.root.succeeds is not None
    ):
        old = old.root.succeeds.old
    return old


def decide(condition: object) -> object:
    """The outcome of a condition that only speaks of known values; None when it cannot be told."""
    if not isinstance(condition, tuple):
        return None
    kind, *parts = condition
    first = parts[0] if parts else None
    if kind == "true" and isinstance(first, Const):
        return bool(first.value)
    if kind == "none":
        if isinstance(first, Const):
            return first.value is None
        if (
            isinstance(first, Sym)
            and not first.path
            and first.root.type.kind in ("key", "keys", "array", "list", "dict")
        ):
            return False if first.root.kind == "local" else None
    if kind == "eq" and isinstance(first, Const) and isinstance(parts[1], Const):
        return first.value == parts[1].value
    if kind == "val" and isinstance(first, Const):
        return first.value
    return None
