"""Orders that differ from run to run: of sets, and of what the file system lists.

A list made in such an order carries a mark, which ``sorted`` and ``list.sort`` take away. What matters is where the
order shows: in an array, in which key an element gets, in an index. What comes to the same in any order (a dict,
a set, a length, a maximum) does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_purestate._check.flow import types
from pytest_purestate._check.flow.facts import Unordered
from pytest_purestate._check.flow.values import (
    NOTHING,
    Choice,
    Const,
    Iter,
    Linear,
    Origin,
    Part,
    Root,
    Sym,
    Tup,
    Type,
    Value,
    leaves,
)

if TYPE_CHECKING:
    from pytest_purestate._check.flow.interpret import Interpreter

__all__ = [
    "SET",
    "THROUGH",
    "added",
    "elements",
    "entered",
    "forget",
    "fresh_list",
    "frozen",
    "is_position",
    "joined",
    "mark",
    "paired",
    "placed",
    "position",
    "set_type",
    "shows",
    "source_of",
    "split",
]

SET = Type("set")
_NUMBERS = Type("set", name="number")
"""A set of numbers: their hashes, and so their order, are alike in every run. A frozen set says so in its name."""

THROUGH = ("through", 0)
"""The step from a progress bar to what it goes through."""

_MARK = ("order", 0)
_LONG = 8  # operations of a formula that are looked through
_WIDTH = ("list", "map", "zip", "enumerate", "reversed")


def set_type(it: Interpreter, items: list[Value]) -> Type:
    """The type of a set of these values."""
    return _NUMBERS if items and all(_is_number(it, item) for item in items) else SET


def frozen(type_: Type) -> Type:
    """The type of a frozen set of the same values."""
    return type_ if "frozen" in type_.name else Type("set", name=f"frozen {type_.name}".strip())


def _is_number(it: Interpreter, item: Value) -> bool:
    if isinstance(item, Tup):  # of indices, mostly: one that is known to be a number speaks for the others
        return any(_is_number(it, part) for part in item.items)
    return types.typeof(it, item).kind in ("number", "bool")


def elements(it: Interpreter, value: Value) -> list[Value]:
    """The elements of a sequence, as far as they are known."""
    if isinstance(value, Tup):
        return list(value.items)
    if isinstance(value, Choice):
        return [item for option, _ in value.options for item in elements(it, option)]
    if isinstance(value, Sym):
        held = it.state.heap.items()
        return [
            option
            for place, item in held
            if place.root is value.root and place.path[:-1] == value.path and place.path[-1][0] == "["
            for option in ([option for option, _ in item.options] if isinstance(item, Choice) else [item])
            if not (isinstance(option, Sym) and option.root is value.root)  # never stored on that path
        ]
    return []


def joined(it: Interpreter, left: Value, right: Value, ref: int) -> Sym:
    """``left + right`` for lists."""
    made = fresh_list(it, ref, "list", source_of(it, left, ref) or source_of(it, right, ref))
    for item in (elements(it, left) + elements(it, right))[:8]:
        it.state.heap[made.child(("[", Sym(Root("local"))))] = item
    return made


def source_of(it: Interpreter, value: Value, ref: int) -> Origin | None:
    """Where the disorder comes from, when iterating over this value (at ``ref``) has no order of its own."""
    if isinstance(value, Part):
        return source_of(it, value.base, ref)
    if isinstance(value, Iter) and value.kind in _WIDTH:
        parts = value.parts[1:] if value.kind == "map" else value.parts
        return next((found for part in parts if (found := source_of(it, part, ref)) is not None), None)
    if isinstance(value, Choice):
        options = (source_of(it, option, ref) for option, _ in value.options)
        return next((found for found in options if found is not None), None)
    if not isinstance(value, Sym):
        return None
    type_ = types.typeof(it, value)
    if type_.kind == "progress":
        through = it.state.heap.get(value.child(THROUGH))
        return source_of(it, through, ref) if through is not None else None
    if type_.kind == "set":
        return Origin(it.context, ref, "set") if "number" not in type_.name else None
    place = value.child(_MARK)
    if type_.name.startswith(types.LISTING) and place not in it.state.heap:
        return Origin(it.context, ref, type_.name.removeprefix(types.LISTING))
    for leaf in leaves(it.read(place)):
        if isinstance(leaf, Sym) and leaf.root.name == "~order" and leaf.root.origin is not None:
            return leaf.root.origin
    return None


def entered(it: Interpreter, value: Value, ref: int) -> Value:
    """What ``with os.scandir(...) as entries`` binds: where the order matters is where one goes through it."""
    source = source_of(it, value, ref) if isinstance(value, Sym) else None
    if source is None or source.verb == "set":
        return value
    return it.fresh(Type("list", name=f"{types.LISTING}{source.verb}"), ref, "enter")


def mark(it: Interpreter, sequence: Sym, source: Origin | None) -> None:
    """The elements of a sequence come in the order of ``source``."""
    if source is not None:
        it.state.heap[sequence.child(_MARK)] = Sym(Root("local", name="~order", origin=source))


def fresh_list(it: Interpreter, ref: int, verb: str, source: Origin | None) -> Sym:
    made = it.fresh(Type("list"), ref, verb)
    mark(it, made, source)
    return made


def forget(it: Interpreter, sequence: Sym) -> None:
    """The sequence was sorted."""
    it.state.heap[sequence.child(_MARK)] = NOTHING


def added(it: Interpreter, sequence: Sym) -> None:
    """Something was put behind the other elements: in a loop without an order, that makes one more such list."""
    for source, _, before in reversed(it.frame.disorder):
        if sequence.root.uid < before:
            mark(it, sequence, source)
            return


def shows(it: Interpreter, value: Value, how: str, ref: int) -> None:
    """Note that the order of a sequence shows, where it has none of its own. A set itself may go anywhere."""
    for leaf in leaves(value):
        if isinstance(leaf, Sym | Part | Iter) and types.typeof(it, leaf).kind != "set":
            source = source_of(it, leaf, ref)
            if source is not None:
                note(it, source, how, ref)


def note(it: Interpreter, source: Origin, how: str, ref: int) -> None:
    if not it.frame.caught:
        it.frame.facts.unordered.setdefault(ref, Unordered(ref, source, how))


def split(it: Interpreter, key: Sym, ref: int) -> None:
    """A key is split whose own parent was split in an earlier pass: who comes first gets another key."""
    if any(kind != "." and not isinstance(name, int) for kind, name in key.path):
        return
    for source, since, before in it.frame.disorder:
        if since < key.root.uid < before:
            note(it, source, "key", ref)


def position(source: Origin) -> Sym:
    """The number of an element in an order that differs from run to run."""
    return Sym(Root("local", Type("number"), "~position", source))


def is_position(value: Value) -> Origin | None:
    """The disorder that a number counts along, if any; what arithmetic makes of such a number counts along, too."""
    todo = [value]
    for _ in range(_LONG):
        top = todo.pop()
        top = top.base if isinstance(top, Linear) else top
        if isinstance(top, Sym) and not top.path and top.root.origin is not None:
            if top.root.name == "~position":
                return top.root.origin
            if top.root.origin.verb == "arithmetic":
                todo.extend(top.root.made_of)
        if not todo:
            break
    return None


def placed(it: Interpreter, value: Value, ref: int) -> None:
    """A value was put where the order does not show, if the value itself is no number in it."""
    source = is_position(value)
    if source is not None:
        note(it, source, "index", ref)


def paired(it: Interpreter, parts: tuple[Value, ...], ref: int) -> None:
    """``zip``: elements without an order meet keys, or a list that has one."""
    sources = [source_of(it, part, ref) for part in parts]
    source = next((found for found in sources if found is not None), None)
    ordered = [part for part, found in zip(parts, sources, strict=True) if found is None]
    if source is not None and any(_has_order(it, part) for part in ordered):
        note(it, source, "paired", ref)


def _has_order(it: Interpreter, value: Value) -> bool:
    if isinstance(value, Tup):
        return len(value.items) > 1 and any(not isinstance(item, Const) for item in value.items)
    return types.typeof(it, value).kind in ("keys", "array")
