"""Buffers that JAX was handed: an array of it may share their memory, or still be copying from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_purestate._check.flow import types
from pytest_purestate._check.flow.facts import Aliased
from pytest_purestate._check.flow.values import NOTHING, Const, Origin, Root, Sym, leaves

if TYPE_CHECKING:
    from pytest_purestate._check.apis import Signature
    from pytest_purestate._check.flow.calls import Args
    from pytest_purestate._check.flow.interpret import Interpreter

__all__ = ["hand_over", "made", "write"]

_HANDED = ("handed", 0)
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
        if given is None or not isinstance(given[0], Sym) or types.typeof(it, given[0]).kind != "numpy":
            continue
        copied = args.named(signature.params, "copy")
        if args.named(signature.params, "dtype") is None and (copied is None or copied[0] == Const(False)):
            origin = Origin(it.context, ref, verb)
            it.state.heap[given[0].child(_HANDED)] = Sym(Root("local", name="~handed", origin=origin))


def write(it: Interpreter, buffer: Sym, ref: int, target: int) -> None:
    """A write into a buffer, or into a part of it."""
    for depth in range(len(buffer.path), -1, -1):
        whole = Sym(buffer.root, buffer.path[:depth])
        for leaf in leaves(it.state.heap.get(whole.child(_HANDED), NOTHING)):
            if isinstance(leaf, Sym) and leaf.root.name == "~handed" and leaf.root.origin is not None:
                wide = whole.child(_WIDE) in it.state.heap
                fact = Aliased(ref, target, leaf.root.origin, wide)
                it.frame.facts.aliased.setdefault(ref, fact)
