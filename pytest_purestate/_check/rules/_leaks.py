"""What a traced function stores where it outlives the trace: PS302 reports it, and PS301 leaves it alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pytest_purestate._check import ir
from pytest_purestate._check.flow.classes import family_of
from pytest_purestate._check.flow.facts import Effect, FunctionFacts, ModuleFacts, Mutation, Trace
from pytest_purestate._check.flow.values import Root, spelled, when_traced
from pytest_purestate._check.model import Confidence

__all__ = ["Leak", "counted", "is_fixed", "leaks", "stays"]

_OTHERS = frozenset(("linen", "equinox", "struct", "namedtuple", "haiku"))
"""Frozen ones, which PS203 and PS210 report, and haiku's, which are made anew in every trace."""
_STORES = frozenset(("setattr", "setitem", "setdefault"))
_APART = frozenset(("jit", "nnx-jit", "scan", "fori", "while", "cond"))
"""What is traced by itself even inside another trace, and so leaves nothing but its result in that one."""


class Leak(NamedTuple):
    """``where``: the object and the place below it, as they are written; ``kind``: global, nonlocal, captured, self, memo."""

    facts: FunctionFacts
    trace: Trace
    stored: Mutation | Effect
    ref: int
    where: str
    kind: str
    confidence: Confidence


def leaks(module: ModuleFacts) -> Iterator[Leak]:
    """Every traced value that is stored on an object from outside the trace, once."""
    entries = [
        (facts, trace) for facts, trace in module.traced_functions() if trace.mode not in ("kernel", "pure")
    ]
    traced: set[object] = {facts.function for facts, _ in module.traced_functions()}
    done: set[int] = set()
    for facts, trace in entries:
        direct = module.traced.get(facts.function) if facts.function is not None else None
        for effect in facts.effects.values():
            if (
                not trace.mode.startswith("nnx")
                and effect.when is not False
                and effect.kind in ("global", "nonlocal")
                and not (effect.kind == "nonlocal" and stays(module, facts, effect, traced))
            ):
                sure = _sure(module, facts, direct, effect)
                if sure is not None:
                    yield Leak(
                        facts,
                        trace,
                        effect,
                        max(effect.statement, effect.ref),
                        effect.what,
                        effect.kind,
                        sure,
                    )
            if effect.kind == "memo" and not trace.mode.startswith("nnx"):
                sure = Confidence.LOW if module.in_test(facts.function) else Confidence.MEDIUM
                yield Leak(facts, trace, effect, effect.ref, effect.what, "memo", sure)
        for mutation in facts.mutations.values():
            if trace.mode.startswith("nnx") and not _is_plain(mutation):
                continue  # what these edit they hand back
            if when_traced(mutation.guards) is False:
                continue
            kind = _outlives(module, facts, direct, mutation, traced)
            sure = _sure(module, facts, direct, mutation)
            if not kind or mutation.static or sure is None or module.is_idle(mutation):
                continue
            at = mutation
            while at.through is not None and at.through.context is module.context:
                at = at.through
            if at.ref not in done:
                done.add(at.ref)
                name = mutation.place.root.name + spelled(mutation.place.path)
                yield Leak(facts, trace, mutation, at.ref, name, kind, sure)


def _sure(
    module: ModuleFacts, facts: FunctionFacts, direct: Trace | None, stored: Mutation | Effect
) -> Confidence | None:
    """How sure it is that what is stored is a tracer; None when nothing says so."""
    best: Confidence | None = None
    if isinstance(stored, Mutation) and stored.type.kind == "optimizer":
        best = (
            Confidence.HIGH
        )  # what an optimizer computes in a trace are tracers, whatever it computes it from
    for root in stored.sources:
        found: Confidence | None = None
        if root.kind == "local":
            found = Confidence.HIGH  # arrays made while tracing are tracers
        elif root.kind == "param" and isinstance(root.owner, ir.Function):
            trace = module.traced.get(root.owner)
            if trace is not None and root.name not in trace.fixed:
                found = Confidence.HIGH
            elif direct is None and root.owner is facts.function and not _is_own(root):
                found = Confidence.MEDIUM
        elif root.kind == "free" and isinstance(root.owner, ir.Function):
            trace = module.traced.get(root.owner)
            if trace is not None and root.name not in trace.fixed:
                found = Confidence.HIGH
        if found is not None and (best is None or found > best):
            best = found
    return min(best, Confidence.LOW) if best is not None and module.in_test(facts.function) else best


def is_fixed(module: ModuleFacts, stored: Mutation | Effect) -> bool:
    """Whether what is stored was made of static arguments only, which are Python values while tracing."""
    return bool(stored.sources) and all(
        root.kind != "local"
        and isinstance(root.owner, ir.Function)
        and not _is_own(root)
        and (trace := module.traced.get(root.owner)) is not None
        and root.name in trace.fixed
        for root in stored.sources
    )


def _is_own(root: Root) -> bool:
    """Whether a parameter is the object that a method is called on."""
    function = root.owner
    return (
        isinstance(function, ir.Function)
        and function.owner is not None
        and bool(function.params)
        and function.params[0].name == root.name
    )


def _outlives(
    module: ModuleFacts, facts: FunctionFacts, direct: Trace | None, mutation: Mutation, traced: set[object]
) -> str:
    """Whose an edited object is when it outlives the trace: captured, or self; else an empty string."""
    root = mutation.place.root
    kind = mutation.type.kind
    if mutation.how == "update" and kind == "optimizer":
        pass
    elif mutation.how not in _STORES or (
        mutation.how == "setitem" and kind in ("instance", "array", "at", "ref", "stream")
    ):
        return ""
    if mutation.how == "setattr" and family_of(mutation.type) in _OTHERS:
        return ""
    if root.kind == "free":
        return "" if stays(module, facts, mutation, traced) else "captured"
    if root.kind == "param" and direct is not None and root.owner is facts.function:
        if root.name in direct.fixed:
            return "self" if _is_own(root) else "captured"
        if _is_own(root) and _is_plain(mutation) and direct.mode == "jit":
            return "self"
    return ""


def _is_plain(mutation: Mutation) -> bool:
    """Whether a field of an object is assigned whose class is Python's own, and known."""
    type_ = mutation.type
    return (
        mutation.how == "setattr"
        and type_.kind == "instance"
        and type_.cls is not None
        and not family_of(type_)
    )


def counted(module: ModuleFacts, facts: FunctionFacts, mutation: Mutation, traced: set[object]) -> bool:
    """Whether a field, or an item, of an object that outlives the trace is counted up: once, while tracing."""
    direct = module.traced.get(facts.function) if facts.function is not None else None
    item = mutation.how == "setitem" and mutation.type.kind in ("dict", "list")
    if not mutation.op or not (item or mutation.how == "setattr") or mutation.through is not None:
        return False
    return (
        bool(_outlives(module, facts, direct, mutation, traced))
        and _sure(module, facts, direct, mutation) is None
    )


def stays(module: ModuleFacts, facts: FunctionFacts, stored: Mutation | Effect, traced: set[object]) -> bool:
    """Whether what is stored stays inside one trace: the variable belongs to a function that is traced as well.

    The body of a loop is a trace of its own inside that one. What it computes and stores outside is dead behind it,
    which matters to those who look at it there.
    """
    owner, name = _owner(facts, stored)
    if owner not in traced or not isinstance(owner, ir.Function):
        return False
    body = _own_trace(module, facts.function, owner)
    if body is None:
        return True
    inside = any(
        root.kind == "local" or (isinstance(root.owner, ir.Function) and _within(root.owner, body))
        for root in stored.sources
    )
    return not (inside and module.reads_behind(owner, name, module.traced[body].ref, body))


def _owner(facts: FunctionFacts, stored: Mutation | Effect) -> tuple[object, str]:
    """The function (or module) whose variable is bound anew, or holds what is edited, and the variable's name."""
    if isinstance(stored, Mutation):
        return stored.place.root.owner, stored.place.root.name
    function = facts.function.parent if facts.function is not None else None
    while function is not None and stored.what not in function.bound:
        function = function.parent
    return function, stored.what


def _own_trace(module: ModuleFacts, function: ir.Function | None, owner: ir.Function) -> ir.Function | None:
    """The outermost function around ``function`` inside ``owner`` that is traced by itself."""
    found = None
    while function is not None and function is not owner:
        trace = module.traced.get(function)
        if trace is not None and trace.mode in _APART:
            found = function
        function = function.parent
    return found if function is owner else None


def _within(function: ir.Function | None, outer: ir.Function) -> bool:
    while function is not None and function is not outer:
        function = function.parent
    return function is outer
