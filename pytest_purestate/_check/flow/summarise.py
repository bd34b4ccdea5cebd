"""Interpreting a function once and writing down what its callers need to know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pytest_purestate._check import ir
from pytest_purestate._check.flow import aliases, defaults, keys, successions, types, unread
from pytest_purestate._check.flow.classes import is_graph
from pytest_purestate._check.flow.facts import Mutation
from pytest_purestate._check.flow.frame import Frame
from pytest_purestate._check.flow.results import children
from pytest_purestate._check.flow.state import State, merge, merge_values
from pytest_purestate._check.flow.summary import Substitution, Summary, reachable
from pytest_purestate._check.flow.values import (
    NOTHING,
    UNKNOWN,
    Choice,
    Func,
    Origin,
    Partial,
    Root,
    Sym,
    Tup,
    Type,
    Use,
    Value,
    Wrapped,
    leaves,
)

if TYPE_CHECKING:
    from pytest_purestate._check.flow.classes import ClassInfo
    from pytest_purestate._check.flow.interpret import Interpreter

__all__ = ["compiled_attribute", "summary_of"]

_MOST = 50  # module variables that one function binds anew, of which its callers hear


def summary_of(it: Interpreter, func: Func) -> Summary | None:
    """The summary of a function of this module; None inside a recursion that has none yet."""
    function = func.function
    known = it.summaries.get(function)
    if known is not None:
        return known
    if function in it.running:
        it.recursive.add(function)
        return None
    it.running.add(function)
    outer = it.frame
    try:
        summary = _interpret(it, func)
        if function in it.recursive and len(it.running) == 1:
            # The second run knows what the first found out about the recursive call.
            it.summaries[function] = summary
            summary = _interpret(it, func)
    finally:
        it.running.discard(function)
        it.frame = outer
    it.summaries[function] = summary
    return summary


def _interpret(it: Interpreter, func: Func) -> Summary:
    function = func.function
    parent = func.frame if func.frame is not None else it.module_frame
    frame = Frame(function, it.context, parent)
    it.frame = frame
    frame.tracing = int(function in it.context.facts.traced or function in it.veiled)
    params = frame.params = _bind_params(it, func, frame)
    it.block(function.body)
    if frame.state is not None:
        frame.returns.append((NOTHING, frame.state))
    else:
        frame.state = merge([state for _, state in frame.returns]) or frame.last
    for nested in it.context.lowered.module.functions:
        if nested.parent is function and nested not in it.summaries:
            summary_of(it, Func(nested, it.context, frame))
            it.frame = frame
    keys.finish(it, frame)
    successions.find_lost(it, frame)
    unread.find_unread(frame)
    for name in frame.free:
        frame.facts.outside.setdefault(name, False)
    frame.facts.called.update(place.root.name for place in frame.called if place.root.owner is function)
    known = [facts for facts in it.context.facts.functions if facts.function is function]
    for facts in known:
        it.context.facts.functions.remove(facts)
    it.context.facts.functions.append(frame.facts)
    return _summarise(it, func, frame, params)


def _bind_params(it: Interpreter, func: Func, frame: Frame) -> tuple[tuple[ir.Param, Sym], ...]:
    function = func.function
    out: list[tuple[ir.Param, Sym]] = []
    for position, param in enumerate(function.params):
        type_ = types.annotation_type(it, param.annotation)
        given = it.given.get(param, {})
        if position == 0 and function.owner is not None and function.receiver:
            cls = it.class_of(function.owner)
            if cls is not None and not function.is_classmethod:
                type_ = Type("instance", cls.info)
        elif param.kind == "*":
            type_ = Type("tuple", items=(types.REF,) if () in given else ())
        elif param.kind == "**":
            type_ = Type("dict")
        elif () in given and (not type_.kind or (type_.kind == "array" and given[()] == types.REF)):
            type_ = given[()]
        sym = Sym(Root("param", type_, param.name, Origin(it.context, param.ref), owner=function))
        it.types.update((Sym(sym.root, path), part) for path, part in given.items() if path)
        if given.get(()) == types.REF:
            it.types.update(_references(sym, type_))
        out.append((param, sym))
        defaults.bind(it, frame, param, sym)
        it.state.env[param.name] = sym
    cls = it.class_of(function.owner) if function.owner is not None else None
    if cls is not None and function.is_classmethod:
        it.state.env[function.receiver] = cls
    return tuple(out)


def _references(value: Sym, type_: Type) -> Iterator[tuple[Sym, Type]]:
    """The fields of an object that a kernel is given which hold references to what are arrays outside of it."""
    for name, field in type_.cls.fields().items() if type_.cls is not None else ():
        if field.type.kind == "array":
            yield value.child((".", name)), types.REF


def _summarise(
    it: Interpreter, func: Func, frame: Frame, params: tuple[tuple[ir.Param, Sym], ...]
) -> Summary:
    exits = frame.returns or ([(NOTHING, frame.state)] if frame.state is not None else [])
    state = merge([state for _, state in exits]) or frame.last
    common = state.path
    result = merge_values(
        [
            (leaving(it, value, frame, at), {k: v for k, v in at.path.items() if k not in common})
            for value, at in exits
        ]
    )
    if func.function.is_generator or result is None:
        result = it.fresh(UNKNOWN, func.function.ref, "generator")
    else:
        _promise(it, func.function, result)
    uses: list[tuple[Sym, Use]] = []
    for root, entries in state.spent.items():
        if root.kind != "local":
            uses.extend((Sym(root, path), use) for path, use in entries)
    stores = tuple(
        (place, leaving(it, value, frame, state))
        for place, value in state.heap.items()
        if place.root.kind != "local" and value != place
    )
    rebound = [
        (frame.free[name], state.env[name])
        for name in frame.declared
        if name in frame.free and name in state.env
    ]
    roots = reachable([result, *(value for _, value in stores), *(value for _, value in rebound)], state.heap)
    if frame.lent:
        aliases.lend(it, frame, roots | reachable(frame.yields, state.heap), state)
    for value, _ in exits:
        frame.facts.returned.update(leaf for leaf in leaves(value) if isinstance(leaf, Sym))
    if any(is_graph(mutation.place.root.type) for mutation in frame.facts.mutations.values()):
        held = [value for place, value in state.heap.items() if place.root in roots]
        inside = (leaf for value in (result, *held) for leaf in leaves(value))
        frame.facts.left = roots | {leaf.root for leaf in inside if isinstance(leaf, Sym)}
    frame.facts.returns_value = any(value != NOTHING for value, _ in exits)
    return Summary(
        func.function,
        params,
        dict(frame.free),
        tuple(uses),
        (*stores, *rebound),
        result,
        tuple(m for m in frame.facts.mutations.values() if m.place.root.kind != "local" or _of_copy(m)),
        tuple(frame.facts.effects.values()),
        {
            place: leaving(it, value, frame, state)
            for place, value in state.heap.items()
            if place.root in roots
        },
        {root: entries for root, entries in state.spent.items() if root in roots},
        _always([at for _, at in exits]),
        bool(frame.returns),
        tuple(frame.called.items()),
        tuple(frame.given),
        tuple(frame.facts.rebound.values())[:_MOST],
        tuple(echo for echo in frame.facts.echoes if echo.asks)[:_MOST],
    )


def _promise(it: Interpreter, function: ir.Function, result: Value) -> None:
    """Type a result by the annotation, where nothing else is known of what was made here."""
    for leaf in leaves(result) if isinstance(result, Choice) else (result,):
        made_here = isinstance(leaf, Sym) and leaf.root.kind == "local" and not leaf.path
        if function.returns is not None and made_here and not function.is_async:
            assert isinstance(leaf, Sym)
            if leaf.root.type == UNKNOWN:
                leaf.root.type = types.annotation_type(it, function.returns)


def compiled_attribute(it: Interpreter, cls: ClassInfo, name: str, base: Sym) -> Wrapped | None:
    """The compiled function that the constructor of a class keeps under a name, which no other method assigns."""
    init = cls.find("__init__")
    owner = init.context.interpreter if isinstance(init, Func) else None
    if not isinstance(init, Func) or owner is None or not _assigned_once(cls, name):
        return None
    outer = it.frame
    made = summary_of(owner, init)
    it.frame = outer
    if made is None or not made.params:
        return None
    own = made.params[0][1]
    for place, value in made.stores:
        if place == own.child((".", name)) and isinstance(value, Wrapped) and value.mode in ("jit", "nnx"):
            known: dict[Root, Value] = {sym.root: Sym(Root("local", sym.root.type)) for _, sym in made.params}
            found = Substitution({**known, own.root: base}, it.step).value(value)
            return found if isinstance(found, Wrapped) else None
    return None


def _assigned_once(cls: ClassInfo, name: str) -> bool:
    """Whether one statement in the methods of a class, and of its bases, assigns an attribute."""
    count = 0
    for info in cls.lineage():
        todo: list[object] = list(info.cls.body)
        while todo:
            node = todo.pop()
            targets = (
                node.targets if isinstance(node, ir.Assign | ir.Delete) else (getattr(node, "target", None),)
            )
            count += sum(isinstance(target, ir.GetAttr) and target.name == name for target in targets)
            todo.extend(children(node))
    return count == 1


def _of_copy(mutation: Mutation) -> bool:
    """Whether an attribute of a copy of a parameter is assigned: the copy is frozen where the original is."""
    base = mutation.place.root.base
    return mutation.how == "setattr" and base is not None and base.root.kind == "param" and not base.path


def leaving(
    it: Interpreter, value: Value, frame: Frame, state: State, met: dict[ir.Function, Func] | None = None
) -> Value:
    """``value`` as it is outside the frame: closures take along what they captured.

    ``met`` are the closures on the way here: functions may capture each other, and themselves.
    """
    met = {} if met is None else met
    if isinstance(value, Func) and value.captured is None and value.frame is frame:
        if value.function in met:
            return met[value.function]
        met[value.function] = value
        summary = it.summaries.get(value.function)
        names = summary.free if summary is not None else {}
        bound = frame.function.bound if frame.function is not None else frozenset()
        captured: dict[str, Value] = {}
        closed = Func(value.function, value.context, value.frame, captured, value.role)
        for name in names:
            if name in bound and (item := state.env.get(name)) is not None and item is not value:
                captured[name] = leaving(it, item, frame, state, met)
        met[value.function] = closed
        return closed
    if isinstance(value, Tup):
        return Tup(tuple([leaving(it, item, frame, state, met) for item in value.items]))
    if isinstance(value, Wrapped):
        inner = leaving(it, value.func, frame, state, met)
        return Wrapped(inner, value.mode, value.api, value.options, value.keeps)
    if isinstance(value, Partial):
        return Partial(leaving(it, value.func, frame, state, met), value.args, value.kwargs)
    if isinstance(value, Choice):
        return Choice(
            tuple([(leaving(it, option, frame, state, met), guards) for option, guards in value.options])
        )
    return value


def _always(exits: list[State]) -> frozenset[Sym]:
    """The places that are spent in every one of these states, whatever they assume."""
    spent = [
        {
            Sym(root, path)
            for root, entries in state.spent.items()
            if root.kind != "local"
            for path, use in entries
            if _dominated(use, state)
        }
        for state in exits
    ]
    return frozenset(set.intersection(*spent)) if spent else frozenset()


def _dominated(use: Use, state: State) -> bool:
    return all(
        condition in state.path and state.path[condition] == outcome
        for condition, outcome in use.guards.items()
    )
