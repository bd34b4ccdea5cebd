"""Generators of the host: what a function draws from them although it is given a key or a seed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pytest_purestate._check import ir
from pytest_purestate._check.flow import keys, types
from pytest_purestate._check.flow.facts import Effect, IgnoredKey, Unseeded
from pytest_purestate._check.flow.results import children
from pytest_purestate._check.flow.values import NOTHING, UNKNOWN, Ext, Root, Sym, Type, Value

if TYPE_CHECKING:
    from pytest_purestate._check.flow.calls import Args
    from pytest_purestate._check.flow.interpret import Frame, Interpreter

__all__ = ["find_ignored", "find_unseeded", "made"]

_GLOBAL_GENERATORS = ("numpy.random.", "random.")
_SEED = re.compile(r"(^|_)(seed|random_state)$|^rng$")
"""What a number to start a generator from is called, or a generator that is handed in."""

_RESEEDS = frozenset(("seed", "set_state", "setstate"))
_ONCE = frozenset(("__init__", "__post_init__", "__new__"))


def made(it: Interpreter, given: tuple[Value, int] | None, args: Args, ref: int, name: str) -> Type:
    """A generator is made; note one without a seed. Gives the type of what it draws."""
    known = given is not None and given[0] != NOTHING
    if given is not None and known:
        keys.note_seed(it, given, ref, "generator")
    if not known and not args.star and "**" not in args.kw:
        it.frame.unseeded.append((ref, name, it.state.path))
        it.frame.facts.effects.setdefault(ref, Effect(it.context, ref, "unseeded", name, it.frame.statement))
        return Type("entropy", name=name)
    return UNKNOWN


def find_ignored(it: Interpreter, frame: Frame) -> None:
    """Draws from a global generator beside a key that is never looked at."""
    owner = frame.function.owner if frame.function is not None else None
    if frame.function is None or (owner is not None and owner.bases):
        return  # a method takes what its base class says
    drawn = [
        effect
        for effect in frame.facts.effects.values()
        if effect.kind == "host-rng" and effect.inner is None and effect.what.startswith(_GLOBAL_GENERATORS)
    ]
    for param, sym in frame.params if drawn else ():
        if sym.root not in frame.looked and not param.name.startswith("_"):
            annotated = types.typeof(it, sym).kind == "key"
            for effect in drawn:
                fact = IgnoredKey(effect.ref, effect.what, param, annotated)
                frame.facts.ignored.setdefault(effect.ref, fact)


def find_unseeded(it: Interpreter, frame: Frame) -> None:
    """Generators that a function makes without a seed, although it is given one: it is no seed for them."""
    function = frame.function
    if function is None or not frame.unseeded or (function.owner is not None and function.name not in _ONCE):
        return
    around = function.owner.body if function.owner is not None else function.body
    if any(_seeds(it, node) for statement in around for node in _below(statement)):
        return
    for param, sym in frame.params:
        if param.kind in ("*", "**") or param.name == function.receiver:
            continue
        named = _SEED.search(param.name) is not None
        if named or types.typeof(it, sym).kind in ("key", ""):
            for ref, source, path in frame.unseeded:
                if not any(_tells_of(condition, sym.root) for condition in path):
                    known = named or types.typeof(it, sym).kind == "key"
                    frame.facts.unseeded.append(Unseeded(ref, source, param, known, named))


def _tells_of(condition: object, root: Root) -> bool:
    """Whether a condition asks whether a seed was given, or may do so."""
    parts = condition if isinstance(condition, tuple) else ()
    return parts[:1] == ("?",) or any(isinstance(part, Sym) and part.root is root for part in parts)


def _below(node: object) -> Iterator[object]:
    todo = [node]
    while todo:
        top = todo.pop()
        yield top
        todo.extend(children(top))


def _seeds(it: Interpreter, node: object) -> bool:
    """Whether a generator gets a seed here, when it is made or later."""
    if isinstance(node, ir.GetAttr):
        return node.name == "bit_generator"
    if not isinstance(node, ir.Call) or all(
        isinstance(arg.value, ir.Const) and arg.value.value is None for arg in node.args
    ):
        return False
    callee = types.static_value(it, node.func)
    if isinstance(node.func, ir.GetAttr) and node.func.name in _RESEEDS:
        return not isinstance(callee, Ext)  # ``np.random.seed`` is for the global generator
    signature = it.known.find(callee.name) if isinstance(callee, Ext) else None
    return signature is not None and signature.returns[0] == "generator"
