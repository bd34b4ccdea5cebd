"""Buffers that JAX was handed: an array of it may share their memory, or still be copying from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_purestate._check.flow import types
from pytest_purestate._check.flow.facts import Aliased
from pytest_purestate._check.flow.values import NOTHING, Const, Origin, Part, Root, Sym, Value, leaves

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_purestate._check.apis import Signature
    from pytest_purestate._check.flow.calls import Args
    from pytest_purestate._check.flow.classes import ClassInfo
    from pytest_purestate._check.flow.interpret import Frame, Interpreter
    from pytest_purestate._check.flow.state import State

__all__ = ["hand_over", "lend", "made", "stored", "write"]

_HANDED = ("handed", 0)
_ONCE = frozenset(("__init__", "__post_init__", "__new__", "setup"))
_WIDE = ("wide", 0)
"""Below a buffer of 64-bit numbers, which JAX converts, and so copies, unless it is told not to."""


def made(it: Interpreter, buffer: Sym, signature: Signature, args: Args) -> None:
    """A new buffer: numpy counts in 64 bits where it is not told otherwise."""
    if "dtype" in (*signature.params, *signature.keywords) and not args.named(signature.params, "dtype"):
        it.state.heap[buffer.child(_WIDE)] = Const(True)


def hand_over(it: Interpreter, signature: Signature, args: Args, ref: int, verb: str) -> None:
    """Remember which buffers a call's result may share."""
    for param in signature.aliases:
        given = args.named(signature.params, param)
        if given is None:
            continue
        copied = args.named(signature.params, "copy")
        if args.named(signature.params, "dtype") is not None or (
            copied is not None and copied[0] != Const(False)
        ):
            continue
        value = given[0].base if isinstance(given[0], Part) else given[0]  # a slice is a view
        origin = Origin(it.context, ref, verb)
        if isinstance(value, Sym) and len(value.path) == 1 and (name := _own(it, value)):
            it.frame.lent.append((name, origin))
        if given[0] is value and isinstance(value, Sym) and types.typeof(it, value).kind == "numpy":
            it.state.heap[value.child(_HANDED)] = Sym(Root("local", name="~handed", origin=origin))


def _own(it: Interpreter, place: Sym) -> str:
    """The attribute of the method's own object that a place is, or lies in; empty for others, and in a constructor."""
    function, root = it.frame.function, place.root
    if (
        function is None
        or root.kind != "param"
        or root.owner is not function
        or root.name != function.receiver
    ):
        return ""
    if not place.path or place.path[0][0] != "." or function.name in _ONCE:
        return ""
    return str(place.path[0][1]) if all(kind == "[" for kind, _ in place.path[1:]) else ""


def lend(it: Interpreter, frame: Frame, roots: Iterable[Root], state: State) -> None:
    """Note the attributes of the object whose buffers leave the method as arrays, and are not replaced by new ones."""
    leaving = {
        root.origin.ref for root in roots if root.origin is not None and root.origin.context is it.context
    }
    for name, origin in frame.lent:
        place = Sym(frame.params[0][1].root, ((".", name),))
        if origin.ref in leaving and state.heap.get(place, place) == place:
            frame.facts.lent.setdefault(name, origin)


def stored(it: Interpreter, cls: ClassInfo, name: str, value: Value) -> None:
    """Note an attribute of a class that holds a buffer of 64-bit numbers."""
    if isinstance(value, Sym) and value.child(_WIDE) in it.state.heap:
        cls.wide.add(name)


def write(it: Interpreter, buffer: Sym, ref: int, target: int, *, own: bool = True) -> None:
    """A write into a buffer, or into a part of it; ``own`` says whether it may be noted for an attribute."""
    if own and (name := _own(it, buffer)):
        it.frame.facts.written.setdefault(name, (ref, target))
    for depth in range(len(buffer.path), -1, -1):
        whole = Sym(buffer.root, buffer.path[:depth])
        for leaf in leaves(it.state.heap.get(whole.child(_HANDED), NOTHING)):
            if isinstance(leaf, Sym) and leaf.root.name == "~handed" and leaf.root.origin is not None:
                wide = whole.child(_WIDE) in it.state.heap
                fact = Aliased(ref, target, leaf.root.origin, wide)
                it.frame.facts.aliased.setdefault(ref, fact)
