"""Which module variables a function reads, and which it binds anew or edits.

Both are known by their spelling: ``NAME``, ``NAME.field``, ``NAME['key']``, ``Class.field``, ``@module.NAME``. A
compiled function meets a new value only if it is traced again, so it also matters what ran before a write and what
runs behind it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_purestate._check import ir
from pytest_purestate._check.apis import OBJECTS
from pytest_purestate._check.flow import types
from pytest_purestate._check.flow.facts import Applied, Rebound
from pytest_purestate._check.flow.frame import Late
from pytest_purestate._check.flow.values import (
    NOTHING,
    Bound,
    ClassValue,
    Const,
    Ext,
    Func,
    Partial,
    Path,
    Step,
    Sym,
    Value,
    Wrapped,
    contradicts,
    spelled,
)
from pytest_purestate._check.model import Confidence

if TYPE_CHECKING:
    from pytest_purestate._check.flow.interpret import Interpreter
    from pytest_purestate._check.flow.project import ModuleContext
    from pytest_purestate._check.flow.summary import Summary

__all__ = ["applied", "called", "edited", "read", "read_part", "rebound", "rebound_here", "replayed"]

_MANY = 400  # calls whose order is remembered
_FEW = 8  # calls of one nested function of which it is remembered under which guards they stood
_KEPT = OBJECTS.union(("key", "keys", "logger", "entropy"))
"""Keys have rules of their own; what a library's object holds is not part of the variable."""
_CODE = (Func, ClassValue, Wrapped, Partial, Bound, Ext)


def read(it: Interpreter, value: Value, ref: int) -> None:
    """A name was looked up."""
    if isinstance(value, Sym) and not value.path and value.root.kind == "free":
        facts, owner = it.frame.facts, value.root.owner
        if owner is it.context:
            facts.reads.setdefault(value.root.name, ref)
        else:
            facts.borrowed.setdefault((owner, value.root.name), ref)


def read_part(it: Interpreter, base: Value, step: Step, ref: int) -> None:
    """An attribute or element of something was looked up."""
    name = _name(it, base)
    if name:
        it.frame.facts.reads.setdefault(name + (_spelled(step) or "[]"), ref)


def _name(it: Interpreter, base: Value) -> str:
    if isinstance(base, Sym):
        return base.root.name if not base.path and base.root.owner is it.context else ""
    if isinstance(base, ClassValue):
        return base.info.name
    if isinstance(base, Ext) and not it.context.project.is_foreign(base.name):
        return f"@{base.name}"
    return ""


def _spelled(step: Step) -> str:
    kind, name = step
    if isinstance(name, Const):
        name = name.value
    return spelled(((kind, name),)) if isinstance(name, int | str) else ""


def called(it: Interpreter, function: ir.Function) -> None:
    """A function of this module runs."""
    frame = it.frame
    ran = frame.facts.ran
    if len(ran) < _MANY:
        ran.append(function)
    if function.parent is not None and function.parent is frame.function:
        _nested(it, function)


def _nested(it: Interpreter, function: ir.Function) -> None:
    """A function runs that is defined in this one: note what it captures that was bound anew since it last ran."""
    frame, path = it.frame, it.state.path
    run = function, bool(frame.tracing)
    earlier = frame.nested.setdefault(run, [])
    summary = it.summaries.get(function)
    if not earlier and summary is not None:
        for name, place in summary.free.items():
            if place.root.owner is frame.function:
                frame.watched.setdefault(name, set()).add(run)
    for late in frame.late:
        if run in late.ran and not contradicts(late.path, path):
            frame.facts.outdated.setdefault((*run, late.name), late.ref)
    if len(earlier) < _FEW:
        earlier.append(path)


def rebound_here(it: Interpreter, name: str, value: Value, ref: int) -> None:
    """A variable is bound that functions capture which are defined in this one and ran before."""
    frame, path, old = it.frame, it.state.path, it.state.env.get(name)
    if old is None or old == value or isinstance(value, _CODE) or isinstance(old, _CODE):
        return
    if _KEPT & {types.typeof(it, value).kind, types.typeof(it, old).kind} or old == NOTHING:
        return
    ran = frozenset(
        run
        for run in frame.watched[name]
        if any(not contradicts(earlier, path) for earlier in frame.nested[run])
    )
    if ran and len(frame.late) < _MANY:
        frame.late.append(Late(ref, name, path, ran))


def rebound(it: Interpreter, name: str, value: Value, ref: int) -> None:
    """A module variable is bound: at the top of the module, or by a function that declares it global."""
    module = it.module_frame
    old = (module.state or module.last).env.get(name)
    if old is None or isinstance(value, _CODE) or isinstance(old, _CODE):
        return
    if _KEPT & {types.typeof(it, value).kind, types.typeof(it, old).kind}:
        return
    # A flag with a setter, or what is made when it is first asked for: set once, as a rule, before anything runs.
    set_once = isinstance(value, Const) or (isinstance(value, Sym) and value.root.kind == "param")
    _note(it, name, ref, Confidence.LOW if set_once or old == NOTHING else Confidence.MEDIUM)


def edited(it: Interpreter, base: Value, step: Step | None, ref: int) -> None:
    """What a module variable holds is edited, or a class or a module; ``step`` is what of it, when that is known."""
    name, path = _holder(it, base) if isinstance(base, Sym) else (_name(it, base), ())
    if name and types.typeof(it, base).kind not in _KEPT:
        first = path[0] if path else step
        part = "" if first is None else _spelled(first) or "[]"
        _note(it, name + (part or "*"), ref, Confidence.LOW)


def _holder(it: Interpreter, base: Sym) -> tuple[str, Path]:
    """The module variable that holds an object, and the way from there; an empty name when there is none."""
    if base.root.owner is it.context:
        return base.root.name, base.path
    if it.frame.function is None:
        for name, value in it.state.env.items():
            if (
                isinstance(value, Sym)
                and value.root is base.root
                and base.path[: len(value.path)] == value.path
            ):
                return name, base.path[len(value.path) :]
    return "", ()


def replayed(it: Interpreter, summary: Summary, context: ModuleContext, ref: int) -> None:
    """A function of the project runs that binds module variables anew."""
    own = context is it.context
    for inner in summary.rebound:
        place = inner.place if own else f"@{context.lowered.module.name}.{inner.place}"
        _note(it, place, ref, Confidence.LOW, inner)


def applied(it: Interpreter, state: Sym, variables: Value, ref: int) -> None:
    """The model of a state that is handed in is applied to variables; note which of them are captured."""
    if state.root.kind != "param" or state.path:
        return
    held = (
        [variables, *(item for _, item in it.state.held().get(variables.root, ()))]
        if isinstance(variables, Sym)
        else []
    )
    for item in held:
        if isinstance(item, Sym) and item.root.kind == "free":
            it.frame.facts.applied[ref] = Applied(ref, state.root, item.root.name + spelled(item.path))


def _note(it: Interpreter, place: str, ref: int, sure: Confidence, inner: Rebound | None = None) -> None:
    facts = it.frame.facts
    known = facts.rebound.get((ref, place))
    if known is None or known.at < len(facts.ran):
        at = len(facts.ran)
        # What a loop calls runs again behind a write in it, though no such pass is run here.
        first = known.first if known is not None else min((at, *it.frame.began))
        facts.rebound[ref, place] = Rebound(it.context, ref, place, at, sure, inner, first)
