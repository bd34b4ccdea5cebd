"""Abstract values: what the interpreter knows about a run-time value.

The model has one idea, the *place*. A ``Root`` is an abstract object, named by where it came from:
a parameter, a captured variable, or one evaluation of one expression. A ``Sym`` is a root and a path
of attributes and indices below it, so ``state.key`` and ``ks[0]`` are places, and two names for
one object are one place. Keys are spent, and state is edited, at places.

``Choice`` is a value that depends on the path taken. Each option carries the guards (conditions and
their outcomes) under which it holds; a use that contradicts them cannot meet that option. This keeps
``if c: k, s = split(k)`` followed by ``normal(k)`` silent without any special case.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from msgspec import Struct, field

from pytest_purestate._check import ir

if TYPE_CHECKING:
    from pytest_purestate._check.flow.classes import ClassInfo
    from pytest_purestate._check.flow.interpret import Frame
    from pytest_purestate._check.flow.project import ModuleContext

__all__ = [
    "FOLD",
    "IMPOSSIBLE",
    "NOTHING",
    "START",
    "TRACING",
    "UNKNOWN",
    "Bound",
    "Choice",
    "ClassValue",
    "Const",
    "Donation",
    "Ext",
    "Func",
    "Guards",
    "Iter",
    "Later",
    "Linear",
    "Origin",
    "Part",
    "Partial",
    "Path",
    "Periodic",
    "Range",
    "Root",
    "Step",
    "Succession",
    "Sym",
    "Tup",
    "Type",
    "Use",
    "Value",
    "Wrapped",
    "bounded",
    "contradicts",
    "is_folded",
    "leaves",
    "options",
    "overlap",
    "spelled",
    "unique",
    "when_traced",
]

unique = itertools.count(1)
"""Names for what has none. One series, because conditions, passes and comparisons meet in the same places."""

Guards: TypeAlias = Mapping[object, object]
Step: TypeAlias = tuple[str, object]
Path: TypeAlias = tuple[Step, ...]


class Type(Struct, frozen=True):
    """What is known of a value's type: a kind, and a class of the project or of a library.

    Kinds: ``key``, ``keys``, ``array`` (JAX), ``numpy``, ``list``, ``dict``, ``set``, ``str``, ``number``,
    ``instance``, ``state`` (a pytree of parameters or optimizer state), ``stream`` (gives a new key
    every time), ``graph`` (a module or optimizer of nnx put together here), and ``""`` for unknown. ``name`` is the class of a library, and tells tuples and generators, which
    are like lists otherwise. ``certain`` is False when only an annotation says so. ``items`` are the types of a
    container's elements as an annotation gives them: one for all, or one each.
    """

    kind: str = ""
    cls: ClassInfo | None = None
    name: str = ""
    certain: bool = True
    items: tuple[Type, ...] = ()


UNKNOWN = Type()

TRACING = Type("bool", name="tracing")
"""Whether something is a tracer."""


class Origin(Struct, frozen=True):
    """The evaluation that made an object: where, and by which operation."""

    context: ModuleContext
    ref: int
    verb: str = ""


class Donation(Struct, frozen=True, eq=False):
    """The call that an object's buffers were donated to.

    ``ref`` is the argument, ``verb`` the short name of the function called, ``sure`` says that it is known to be
    donated. ``inner`` is the donation inside the called function that this one stands for.
    """

    context: ModuleContext
    ref: int
    call: int
    verb: str
    sure: bool
    guards: Guards
    inner: Donation | None = None


class Succession(NamedTuple):
    """What a new value takes the place of; ``role`` is one of ``apis.signature.ROLES``.

    ``sure`` is False where only the shape of the call says so; ``names`` are the collections of a model, if known;
    ``params`` its parameters that were given beside them. ``named`` is False where not even the name of the old
    value says what it is. ``held`` are the old collections, in the order of their names.
    """

    old: Value
    role: str
    sure: bool = True
    names: tuple[str, ...] = ()
    params: Value | None = None
    named: bool = True
    held: tuple[Value, ...] = ()


class Root(Struct, eq=False):
    """An abstract object. ``kind``: ``param``, ``free`` (captured or global) or ``local`` (made here).

    ``base`` is the object this one is a shallow copy of: what was not stored here is read there.
    ``owner`` says whose parameter or variable it is. ``memo`` marks results of cached functions, ``constant``
    keys whose seed never differs: it is the name of a module variable, or empty for a literal; ``passes`` are the loop passes in which a key was made. ``gone`` marks what is
    left of an object whose buffers were donated; ``made_of`` are the values that an operation was given.
    ``succeeds`` says which value this one was made to take the place of, ``held`` what a captured variable was
    bound to when it was first looked at.
    """

    kind: str
    type: Type = UNKNOWN
    name: str = ""
    origin: Origin | None = None
    base: Sym | None = None
    size: int | None = None
    owner: object = None
    memo: bool = False
    constant: str | None = None
    passes: tuple[tuple[int, int], ...] = ()
    gone: Donation | None = None
    made_of: tuple[Value, ...] = ()
    succeeds: Succession | None = None
    held: Sym | None = None
    uid: int = field(default_factory=lambda: next(unique))


class Sym(NamedTuple):
    """A place: an object and a path of steps below it: ``(".", name)``, ``("[", index)`` or ``(FOLD, data)``."""

    root: Root
    path: Path = ()

    def child(self, step: Step) -> Sym:
        return Sym(self.root, (*self.path, step))


class Const(NamedTuple):
    """A literal value known at check time."""

    value: object


class Later(Const):
    """The count of the last pass of a loop that is run, which stands for all passes behind it: it may be greater."""

    __slots__ = ()


class Periodic(Later):
    """What is computed of such a count, and may be anything in the passes behind it."""

    __slots__ = ()


class Linear(NamedTuple):
    """An unknown integer plus a constant: ``i + 1`` for some ``i``."""

    base: Sym
    offset: int


class Range(NamedTuple):
    """The index of a slice, bounds as far as they are known."""

    start: int | Linear | None
    stop: int | Linear | None


class Part(NamedTuple):
    """A slice of a key array or list: its element ``i`` is element ``start + i`` of ``base``."""

    base: Sym
    start: int
    stop: int | None


class Tup(NamedTuple):
    """A tuple with known items."""

    items: tuple[Value, ...]


class Choice(Struct, frozen=True, eq=False):
    """One of several values, each under its guards."""

    options: tuple[tuple[Value, Guards], ...]


class Ext(NamedTuple):
    """Something outside the project, by its canonical dotted name."""

    name: str


class Func(Struct, frozen=True, eq=False):
    """A function of the project. ``captured`` is set once it has left the frame it was defined in."""

    function: ir.Function
    context: ModuleContext
    frame: Frame | None = None
    captured: Mapping[str, Value] | None = None
    role: str = ""


class ClassValue(Struct, frozen=True, eq=False):
    info: ClassInfo


class Bound(Struct, frozen=True, eq=False):
    """``receiver.name`` before it is called; ``func`` is the method when the class is known."""

    receiver: Value
    name: str
    func: Func | None = None


class Partial(Struct, frozen=True, eq=False):
    func: Value
    args: tuple[Value, ...]
    kwargs: tuple[tuple[str, Value], ...]


Holder: TypeAlias = "tuple[ModuleContext, int, tuple[tuple[int, int], ...]]"
"""The argument by which a function got a key, and the loop passes it was made in."""


class Wrapped(Struct, frozen=True, eq=False):
    """A function under a transform, such as ``jax.jit(f)``; ``options`` are its other arguments.

    ``keeps`` are keys that it holds and spends whenever it is called, each with the argument that gave it them.
    """

    func: Value
    mode: str
    api: str
    options: tuple[tuple[str, Value], ...] = ()
    keeps: tuple[tuple[Value, Holder], ...] = ()


class Iter(Struct, frozen=True, eq=False):
    """What a loop over ``zip``, ``enumerate``, ``range``, ... runs through; ``ref`` is the call that made it."""

    kind: str
    parts: tuple[Value, ...]
    ref: int = -1


Value: TypeAlias = (
    Sym | Const | Linear | Part | Tup | Choice | Ext | Func | ClassValue | Bound | Partial | Wrapped | Iter
)

NOTHING = Const(None)

START: Guards = {("never",): False}
"""The guards at the start of a function: nothing is assumed but that the impossible does not happen."""

FOLD = "fold"
"""The step from a key to ``fold_in(key, data)``: the same key and data are the same place."""

IMPOSSIBLE: Guards = {("never",): True}
"""What no path satisfies."""


class Use(Struct, frozen=True, eq=False):
    """One spending of a key.

    ``ref`` is the expression that was handed over, ``call`` the call it was handed to, ``verb`` that
    call's short name. ``kind`` is split, draw, init, apply, call (a project function) or unknown.
    ``strong`` means the callee is known to spend it. ``inner`` is the use inside the called function
    that this one stands for; ``passes`` the loop passes in force; ``replay`` the comparison around it;
    ``mapped`` says that it happens for each leaf of a tree. ``owner`` is the class of the method called, and
    ``by_self`` says that the method found the key on its own object. ``callback`` says that a transform
    such as ``scan`` makes the call, over and over. ``below`` is the way from what was handed over to the key. ``holder`` is the
    call that put the key into the function which spends it. ``inside`` is the name of a key in a container
    that was handed over. ``sized`` is a draw of a fixed shape, whatever the data (of a call: no data are given); ``bound`` says that
    `functools.partial` brought the key along. ``renewed``: the key was found in a successor of the object that held
    it, which kept it.
    """

    context: ModuleContext
    ref: int
    call: int
    verb: str
    kind: str
    strong: bool
    guards: Guards
    passes: tuple[tuple[int, int], ...] = ()
    inner: Use | None = None
    maybe: bool = False
    replay: int = 0
    param: str = ""
    mapped: bool = False
    owner: ir.Class | None = None
    by_self: bool = False
    callback: bool = False
    below: str = ""
    holder: object = None
    inside: str = ""
    sized: bool = False
    bound: bool = False
    renewed: bool = False


def when_traced(guards: Guards) -> bool | None:
    """Whether a path is taken while tracing only (True), or never then (False), if a condition on it asks."""
    for condition, outcome in guards.items():
        place = condition[1] if isinstance(condition, tuple) and condition[0] == "true" else None
        if isinstance(place, Sym) and place.root.type == TRACING:
            return bool(outcome)
    return None


def contradicts(a: Guards, b: Guards) -> bool:
    """Whether no run can satisfy both."""
    if len(a) > len(b):
        a, b = b, a
    missing = unique
    for condition, outcome in a.items():
        other = b.get(condition, missing)
        if other is not missing and other != outcome:
            return True
    return False


def _steps_overlap(a: object, b: object) -> bool | None:
    if a == b and type(a) is type(b):
        return True
    if isinstance(a, Range) or isinstance(b, Range):
        if isinstance(b, Range) and not isinstance(a, Range):
            a, b = b, a
        assert isinstance(a, Range)
        low = a.start if a.start is not None else 0
        if isinstance(b, int) and isinstance(low, int):
            if b < 0 or low < 0:
                return None
            if b < low:
                return False
            return True if a.stop is None else b < a.stop if isinstance(a.stop, int) and a.stop >= 0 else None
        if isinstance(b, Range):
            low_b = b.start if b.start is not None else 0
            if isinstance(low, int) and isinstance(low_b, int) and low >= 0 and low_b >= 0:
                first, second = (a, b) if low <= low_b else (b, a)
                if first.stop is None:
                    return True
                start = second.start if second.start is not None else 0
                if isinstance(first.stop, int) and isinstance(start, int) and first.stop >= 0:
                    return start < first.stop
        return None
    if isinstance(a, Linear) and isinstance(b, Linear) and a.base == b.base:
        return a.offset == b.offset
    if isinstance(a, Linear | Sym) or isinstance(b, Linear | Sym):
        return None
    if isinstance(a, int) and isinstance(b, int) and (a < 0) != (b < 0):
        return None
    return False


def overlap(a: Path, b: Path) -> bool | None:
    """Whether two paths below one object meet: True, False, or None when it cannot be told.

    A path meets its own prefixes: spending a whole key array spends every element. A folded key is another
    key than the one it was folded from.
    """
    shorter, longer = (a, b) if len(a) <= len(b) else (b, a)
    if is_folded(longer[len(shorter) :]):
        return False
    unsure = False
    for (kind_a, name_a), (kind_b, name_b) in zip(a, b, strict=False):
        if kind_a != kind_b:
            return False
        met = name_a == name_b if kind_a == "." else _steps_overlap(name_a, name_b)
        if met is False:
            return False
        unsure = unsure or met is None
    return None if unsure else True


def is_folded(path: Path) -> bool:
    """Whether a place is a key made by ``fold_in``, or part of one."""
    return any(kind == FOLD for kind, _ in path)


def spelled(path: Path) -> str:
    """A path as it is written behind a name, ``.key`` or ``[0]``; indices that have no name are left out."""
    out = ""
    for kind, name in path:
        if kind == ".":
            out += f".{name}"
        elif kind == "[" and isinstance(name, int | str):
            out += f"[{name!r}]"
    return out


_MAX_PARTS = 1_000  # of one value; ``x = (x, x)`` doubles with every line


_COMPOUND = (Tup, Iter, Choice, Partial, Wrapped, Func)


def bounded(value: Value) -> Value:
    """The value, or an unknown one when so many parts are in it that following them all would not end."""
    if isinstance(value, Choice) and not any(isinstance(option, _COMPOUND) for option, _ in value.options):
        return value
    todo, count = [value], 0
    while todo:
        top = todo.pop()
        if isinstance(top, Tup | Iter):
            todo.extend(top.items if isinstance(top, Tup) else top.parts)
        elif isinstance(top, Choice):
            todo.extend(option for option, _ in top.options)
        elif isinstance(top, Partial):
            todo.extend((top.func, *top.args, *(item for _, item in top.kwargs)))
        elif isinstance(top, Wrapped):
            todo.extend((top.func, *(key for key, _ in top.keeps)))
        elif isinstance(top, Func) and top.captured is not None:
            todo.extend(top.captured.values())
        count += 1
        if count + len(todo) > _MAX_PARTS:
            return Sym(Root("local"))
    return value


def options(value: Value) -> Iterator[Value]:
    """What a value may be, depending on the path."""
    if isinstance(value, Choice):
        for option, _ in value.options:
            yield from options(option)
    else:
        yield value


def leaves(value: Value) -> Iterator[Value]:
    """The values inside tuples and choices."""
    stack = [value]
    while stack:
        top = stack.pop()
        if isinstance(top, Tup):
            stack.extend(top.items)
        elif isinstance(top, Choice):
            stack.extend(option for option, _ in top.options)
        else:
            yield top
