"""Calls: who is called, what that does to keys, state and the world, and what comes back.

A callee is, in this order: a function or class of the project (its summary is replayed), a function
described in ``apis`` (its signature is), a part of Python itself (``builtin.py``), or unknown. An
unknown callee that is handed a key is taken to spend it, with less confidence.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from pytest_purestate._check import ir
from pytest_purestate._check.apis import COMPILED, ELEMENTS, OBJECTS, UNFLATTENS, Signature, is_question
from pytest_purestate._check.flow import (
    aliases,
    builtin,
    callers,
    defaults,
    donation,
    edits,
    generators,
    keys,
    loops,
    order,
    statics,
    successions,
    summarise,
    types,
    variables,
)
from pytest_purestate._check.flow.classes import family_of, is_frozen
from pytest_purestate._check.flow.facts import (
    Dropped,
    Effect,
    Mutation,
    Rebuilt,
    SharedStream,
    Trace,
)
from pytest_purestate._check.flow.options import fixed_parameters, settled, shared_parameters
from pytest_purestate._check.flow.results import COMPARES, children, reads
from pytest_purestate._check.flow.state import merge, merge_values
from pytest_purestate._check.flow.summary import Substitution, Summary
from pytest_purestate._check.flow.values import (
    FOLD,
    NOTHING,
    UNKNOWN,
    Bound,
    Choice,
    ClassValue,
    Const,
    Donation,
    Ext,
    Func,
    Guards,
    Later,
    Origin,
    Part,
    Partial,
    Root,
    Sym,
    Tup,
    Type,
    Use,
    Value,
    Wrapped,
    bounded,
    contradicts,
    leaves,
    spelled,
    unique,
    when_traced,
)
from pytest_purestate._check.model import Confidence

if TYPE_CHECKING:
    from pytest_purestate._check.flow.classes import ClassInfo
    from pytest_purestate._check.flow.interpret import Interpreter

__all__ = ["Args", "bind_method", "call", "call_value", "decorate", "note_effect", "statement_call"]

_WORK = 30_000  # facts replayed in one module before calls count as unknown: a bound for tangled recursion
_NUMERIC = ("jax.numpy.", "jax.lax.", "jax.nn.", "jax.scipy.")
_CLASS_NAME = re.compile(r"_*[A-Z][a-z0-9]+\w*$")  # of a class we cannot see: it may only store the key
_CALLABLE = (Func, Wrapped, Partial, Bound, ClassValue, Ext)
_NOT_UPDATES = frozenset(
    "hour minute second microsecond tzinfo day month year fold inplace regex to_replace".split()
)
_OF_DICTS = frozenset(name for name in dir(dict) if not name.startswith("_"))
_DRY = frozenset(("lower", "trace", "eval_shape", "clear_cache", "_cache_size"))


class Args(Struct):
    """Evaluated arguments with the refs of their expressions."""

    pos: list[tuple[Value, int]] = field(default_factory=list)
    kw: dict[str, tuple[Value, int]] = field(default_factory=dict)
    star: bool = False
    literals: set[int] = field(default_factory=set)  # refs of arguments spelled as literals
    names: dict[int, str] = field(default_factory=dict)  # refs of arguments spelled as a name or attribute
    before: int = 0  # how many positions come before one that is spread, and so are known

    def named(self, params: Sequence[str], name: str) -> tuple[Value, int] | None:
        if name in self.kw:
            return self.kw[name]
        if name in params:
            at = list(params).index(name)
            if at < len(self.pos):
                return self.pos[at]
        return None

    def given(
        self, params: Sequence[str], name: str, receiver: Sym | None, ref: int
    ) -> tuple[Value, int] | None:
        """What a parameter is given; ``self`` is the receiver of the call at ``ref``."""
        if name == "self" and receiver is not None:
            return receiver, ref
        return self.named(params, name)

    def every(self) -> list[tuple[Value, int]]:
        return [*self.pos, *self.kw.values()]

    def labelled(self, params: Sequence[str] = ()) -> list[tuple[str, Value, int]]:
        """All arguments with their names: those of ``params`` for the positional ones, as far as they go."""
        names = [*params, *([""] * len(self.pos))]
        given = [*zip(names, self.pos, strict=False), *self.kw.items()]
        return [(name, *entry) for name, entry in given]

    def behind(self, value: Value, ref: int) -> Args:
        return Args([(value, ref), *self.pos], self.kw, self.star)


# --- entry points --------------------------------------------------------------------------


def call(it: Interpreter, node: ir.Call) -> Value:
    frame = it.frame
    frame.steps += 1
    func = node.func
    if isinstance(func, ir.GetAttr):
        base = it.eval(func.base, moved=False)
        name = func.name
        it.note_attribute(base, name, func.ref)
        _note_callee(it, func)
        args = _arguments(it, node, name, Ext(f"{base.name}.{name}") if isinstance(base, Ext) else base)
        if frame.state is None:
            return NOTHING
        result = _call_method(it, base, name, args, node.ref, func)
        _note_apart(it, node, base)
        successions.method(it, base, name, result)
        successions.note_result(it, node.ref, name, result)
        return it.made(result, base, *(value for value, _ in args.every()))
    it.frame.calling = func.ref
    callee = it.eval(func)
    if isinstance(callee, Wrapped) and callee.mode in COMPILED:
        made = frame.jitted.get(func.id, -1) if isinstance(func, ir.Name) else func.ref
        (frame.facts.kept if frame.passes else frame.facts.at_once).add(made)
    _note_callee(it, func)
    name = func.id if isinstance(func, ir.Name) else ""
    args = _arguments(it, node, name, callee)
    if frame.state is None:
        return NOTHING
    result = _call(it, callee, args, node.ref, name)
    _note_apart(it, node, callee)
    successions.note_result(it, node.ref, name, result)
    return it.made(result, callee, *(value for value, _ in args.every()))


def _note_callee(it: Interpreter, func: ir.Expr) -> None:
    """Note that a captured variable or a parameter, or a method of it, is called."""
    member = ""
    while isinstance(func, ir.GetAttr | ir.GetItem):
        member = func.name if isinstance(func, ir.GetAttr) else member
        func = func.base
    if not isinstance(func, ir.Name):
        return
    if func.id in it.frame.free:
        it.frame.facts.outside[func.id] = True
    elif member and _is_param(it.state.env.get(func.id)) and not _is_data(it, member):
        it.frame.facts.called.add(func.id)


def _is_param(value: Value | None) -> bool:
    return isinstance(value, Sym) and value.root.kind == "param" and not value.path


def _is_data(it: Interpreter, member: str) -> bool:
    """Whether arrays, states or dicts, which a compiled function takes as arguments, have this method."""
    return member in _OF_DICTS or any(it.known.method(kind, "", member) for kind in ("array", "state"))


def _only_looks(it: Interpreter, callee: Value, name: str) -> bool:
    """Whether a call wants no more of its arguments than what they are made like."""
    if name in _DRY or is_question(name) or (isinstance(callee, Wrapped) and callee.mode == "shape"):
        return True
    signature = it.known.find(callee.name) if isinstance(callee, Ext) else None
    return signature is not None and bool(signature.reads or signature.returns == ("static",))


def _arguments(it: Interpreter, node: ir.Call, name: str, callee: Value) -> Args:
    frame = it.frame
    looks = _only_looks(it, callee, name)
    frame.glance += looks
    outer = frame.replay
    if not outer and COMPARES.search(name):
        frame.replay = next(unique)
    args = Args()
    moved = name not in ("setattr", "delattr")
    it.frame.valued.update([arg.value.ref for arg in node.args if isinstance(arg.value, ir.Call)])
    for arg in node.args:
        value = it.eval(arg.value, moved)
        if isinstance(value, Tup):
            for leaf in leaves(value):
                donation.note_use(it, leaf, arg.value.ref)
        if isinstance(arg.value, ir.Const):
            args.literals.add(arg.value.ref)
        elif isinstance(arg.value, ir.Name | ir.GetAttr):
            args.names[arg.value.ref] = arg.value.id if isinstance(arg.value, ir.Name) else arg.value.name
        if arg.star == "*":
            if isinstance(value, Tup):
                args.pos.extend((item, arg.value.ref) for item in value.items)
            else:
                args.before = args.before if args.star else len(args.pos)
                args.star = True
                args.pos.append((value, arg.value.ref))
        elif arg.star == "**":
            _spread(it, args, value, arg.value.ref)
        elif arg.name is not None:
            args.kw[arg.name] = (value, arg.value.ref)
        else:
            args.pos.append((value, arg.value.ref))
    frame.replay = outer
    frame.glance -= looks
    return args


def _spread(it: Interpreter, args: Args, value: Value, ref: int) -> None:
    """``**value``: the items of a dict that is known, else something under an unknown name."""
    held = {}
    if isinstance(value, Sym) and value.root.kind == "local" and types.typeof(it, value).kind == "dict":
        depth = len(value.path)
        held = {
            place.path[-1][1]: item
            for place, item in it.state.heap.items()
            if place.root is value.root and len(place.path) == depth + 1 and place.path[:depth] == value.path
        }
    known = isinstance(value, Sym) and value.root.base is None and bool(held)
    if known and all(isinstance(name, str) for name in held):
        for name, item in held.items():
            args.kw.setdefault(str(name), (item, ref))
    else:
        args.kw.setdefault("**", (value, ref))


def call_value(
    it: Interpreter, callee: Value, pos: Sequence[Value], kw: Sequence[tuple[str, Value]], ref: int, verb: str
) -> Value:
    """Call a value with values, as a transform or ``map`` does; ``ref`` stands for every argument."""
    args = Args([(value, ref) for value in pos], {name: (value, ref) for name, value in kw})
    return _call(it, callee, args, ref, verb)


def _call(it: Interpreter, callee: Value, args: Args, ref: int, verb: str) -> Value:
    if isinstance(callee, Ext):
        return _call_library(it, callee, args, ref, verb)
    if isinstance(callee, Func):
        return _call_function(it, callee, args, ref)
    if isinstance(callee, Bound):
        if callee.func is not None:
            return _call_function(it, callee.func, args.behind(callee.receiver, ref), ref)
        return _call_method(it, callee.receiver, callee.name, args, ref, None)
    if isinstance(callee, Partial):
        merged = Args([*((value, ref) for value in callee.args), *args.pos], {}, args.star)
        merged.kw = {**{name: (value, ref) for name, value in callee.kwargs}, **args.kw}
        frame = it.frame
        outer, frame.bound = frame.bound, frame.bound.union(_bound_roots(callee))
        result = _call(it, callee.func, merged, ref, verb)
        frame.bound = outer
        return result
    if isinstance(callee, Wrapped):
        return _call_wrapped(it, callee, args, ref, verb)
    if isinstance(callee, ClassValue):
        return _instantiate(it, callee, args, ref)
    if isinstance(callee, Choice):
        return _either(
            it,
            [(option, guards) for option, guards in callee.options],
            lambda option: _call(it, option, args, ref, verb),
        )
    if isinstance(callee, Sym):
        type_ = types.typeof(it, callee)
        if type_.cls is not None:
            method = type_.cls.find("__call__")
            if isinstance(method, Func):
                return _call_function(it, method, args.behind(callee, ref), ref)
            if isinstance(method, Wrapped | Partial):
                return _call(it, method, args.behind(callee, ref), ref, verb)
        if type_.kind:
            signature = _method_of(it, type_, "__call__")
            if signature is not None:
                named = verb or type_.name.rpartition(".")[2] or "call"
                return _apply_signature(it, signature, callee, args, ref, named)
        elif callee.path and callee.path[-1][0] == ".":  # a bound method that was stored or wrapped
            base, name = Sym(callee.root, callee.path[:-1]), str(callee.path[-1][1])
            type_ = types.typeof(it, base)
            signature = _method_of(it, type_, name) if type_.kind else None
            if signature is not None:
                return _apply_signature(it, signature, base, args, ref, name)
        if _is_class(callee):
            verb = "__class__"
        elif callee.root.kind == "param":
            it.frame.called.setdefault(callee, it.state.path)
    return _unknown(it, args, ref, verb or "call")


def _is_class(callee: Sym) -> bool:
    """Whether a value is the class of something: ``type(x)`` or ``x.__class__``."""
    origin = callee.root.origin
    return (".", "__class__") in callee.path[-1:] or (
        not callee.path and origin is not None and origin.verb == "type"
    )


def _either(it: Interpreter, options: Sequence[tuple[Value, Guards]], run: Callable[[Value], Value]) -> Value:
    """Run for each option on a path of its own and join."""
    frame = it.frame
    base = it.state
    states, results = [], []
    mark = ("either", next(unique))
    met = [(option, guards) for option, guards in options if not contradicts(guards, base.path)] or options
    for number, (option, guards) in enumerate(met[:4]):
        frame.state = base.fork({mark: number, **guards})
        value = run(option)
        if frame.state is not None:
            results.append((value, {mark: number, **guards}))
        states.append(frame.state)
    frame.state = merge(states)
    if frame.state is None:
        frame.state = base
    return merge_values(results) or NOTHING


# --- functions and classes of the project --------------------------------------------------


def bind_method(it: Interpreter, base: Value, name: str, member: Func, ref: int) -> Value:
    """What ``base.name`` is, for a method of the project."""
    if member.role == "property":
        return _call_function(it, member, Args([(base, ref)]), ref)
    if member.role == "static":
        return member
    return Bound(base, name, member)


def decorate(it: Interpreter, decorator: Value, value: Value, node: ir.Expr) -> Value:
    """The value a decorator makes; what we cannot follow is taken to keep the signature."""
    if isinstance(decorator, Ext) and isinstance(value, Func):
        role = {
            "builtins.staticmethod": "static",
            "builtins.classmethod": "class",
            "builtins.property": "property",
            "functools.cached_property": "property",
        }.get(decorator.name)
        if role is not None:
            return Func(value.function, value.context, value.frame, value.captured, role)
    if isinstance(node, ir.GetAttr) and node.name in ("setter", "deleter") and isinstance(value, Func):
        known = it.eval(node.base)
        if isinstance(known, Func) and known.role == "property":
            it.veiled.add(value.function)
            return known  # which is still what reading the attribute gives
    if not isinstance(decorator, _CALLABLE):
        if isinstance(value, Func):
            it.veiled.add(value.function)
        return value
    if isinstance(decorator, Ext) and not _followable(it, decorator):
        if isinstance(value, Func):
            it.veiled.add(value.function)
        return value
    result = call_value(it, decorator, [value], (), node.ref, "decorator")
    if isinstance(node, ir.Call):
        _note_apart(it, node, decorator)
    if isinstance(value, Func) and isinstance(result, Func) and result.function is not value.function:
        it.wrappers[value.function] = result
    return result if isinstance(result, Wrapped) else value


def _bind(
    it: Interpreter, summary: Summary, func: Func, args: Args
) -> tuple[dict[Root, Value], dict[Root, int]]:
    """Parameter objects to argument values, and to the refs of the arguments."""
    known: dict[Root, Value] = {}
    refs: dict[Root, int] = {}
    rest = list(args.pos)
    names = set(args.kw)
    for param, sym in summary.params:
        given: tuple[Value, int] | None = None
        if param.kind == "*":
            given = (Tup(tuple(value for value, _ in rest)), rest[0][1]) if rest else (Tup(()), -1)
            rest = []
        elif param.kind == "**":
            known[sym.root] = _rest(it, {name: args.kw[name][0] for name in args.kw if name in names}, sym)
            continue
        elif param.name in args.kw and param.kind != "/":
            given = args.kw[param.name]
            names.discard(param.name)
        elif rest and param.kind != "k":
            given = rest.pop(0)
        if given is not None:
            known[sym.root], refs[sym.root] = given
        elif isinstance(param.default, ir.Const) and not args.star and "**" not in args.kw:
            known[sym.root] = Const(param.default.value)
        else:
            known[sym.root] = Sym(Root("local", sym.root.type, param.name))
    return known, refs


def _rest(it: Interpreter, given: Mapping[str, Value], sym: Sym) -> Value:
    """What ``**kwargs`` is given: a dict of the arguments that no other parameter takes."""
    spread = given.get("**")
    if spread is not None and len(given) == 1:
        return spread
    base = spread if isinstance(spread, Sym) else None
    made = Sym(Root("local", Type("dict"), sym.root.name, sym.root.origin, base))
    for name, value in given.items():
        if name != "**":
            it.state.heap[made.child(("[", name))] = value
    return made


def _call_function(it: Interpreter, func: Func, args: Args, ref: int) -> Value:
    owner = func.context.interpreter
    frame = it.frame
    declared = func.context.declared(func.function.qualname)
    if declared is not None:
        _note_call(it, func, ref)
        return _call_declared(it, declared, func, args, ref, func.function.name)
    summary = summarise.summary_of(owner, func) if owner is not None else None
    if owner is not None and owner is not it:
        it.frame = frame
    it.understood(ref, func.context.dotted(func.function.qualname), summary)
    if summary is not None and func.function not in func.context.facts.traced:
        variables.replayed(it, summary, func.context, ref)
    _note_call(it, func, ref)
    if summary is None:
        return it.fresh(UNKNOWN, ref)
    if not summary.returns or func.function.is_stub:  # it only raises, or less: who overrides it is not known
        return _unknown(it, args, ref, func.function.name)
    it.work += 1 + len(summary.uses) + len(summary.stores) + len(summary.heap) + len(summary.mutations)
    if it.work > _WORK:
        return it.fresh(UNKNOWN, ref)
    known, refs = _bind(it, summary, func, args)
    for param, sym in summary.params if func.context is it.context else ():
        if sym.root in refs and keys.is_key(it, known[sym.root]):
            func.context.facts.given_keys.setdefault(param, refs[sym.root])
        if sym.root in refs:
            edits.hand(it, param, known[sym.root], refs[sym.root], filled=ref == frame.alone)
            callers.note(it, param, known[sym.root], refs[sym.root])
    for name, place in summary.free.items():
        known.setdefault(place.root, _captured(it, func, name, place))
    swap = Substitution(known, it.step)
    for place, inner in summary.donates:
        given = swap.value(place)
        guards = swap.feasible(inner.guards)
        if guards is not None:
            at = refs.get(place.root, ref)
            sure = inner.sure and not (guards.keys() - it.state.path.keys())
            note = Donation(it.context, at, ref, func.function.name, sure, it.state.path, inner)
            donation.give_away(it, given, note)
    _replay_uses(it, summary, swap, refs, ref, args)
    _replay_called(it, summary, swap, refs, ref)
    _replay_edits(it, summary, swap, refs, ref, func)
    for place, value in summary.stores:
        moved = swap.value(value)
        if not place.path:
            _rebind(it, func, place, moved)
        else:
            stored = swap.place(place)
            if stored is not None:
                it.state.heap[stored] = moved
    result = bounded(swap.value(summary.result))
    for place, value in summary.heap.items():
        target = swap.value(Sym(place.root))
        if isinstance(target, Sym):
            it.state.heap[Sym(target.root, (*target.path, *place.path))] = swap.value(value)
    for root, entries in summary.spent.items():
        target = swap.value(Sym(root))
        if isinstance(target, Sym):
            for path, use in entries:
                guards = swap.feasible(use.guards)
                if guards is not None:
                    moved_use = _outside(it, use, ref, guards)
                    it.state.spent[target.root] = (*it.state.spent.get(target.root, ()), (path, moved_use))
    return result


def _note_call(it: Interpreter, func: Func, ref: int) -> None:
    if func.context is it.context:
        it.frame.facts.calls.setdefault(ref, func.function)
        if it.frame.function is None or not it.context.facts.is_dry(it.frame.function):
            it.context.facts.wet.add(func.function)
        variables.called(it, func.function)
        if it.frame.passes and not it.frame.repeats:
            it.frame.facts.looped[func.function] = ref


def _captured(it: Interpreter, func: Func, name: str, place: Sym) -> Value:
    """What a captured variable of the callee is, seen from here."""
    if func.captured is not None and name in func.captured:
        cell = it.cells.get(func)
        held = it.state.heap.get(Sym(cell, ((".", name),))) if cell is not None else None
        return held if held is not None else func.captured[name]
    if func.context is not it.context:
        return place
    owner = place.root.owner
    frame = it.frame
    if owner is it.context:  # a module variable
        if frame.function is None:
            return it.state.env.get(name, place)
        frame.free.setdefault(name, place)
        return place if name not in frame.declared else it.state.env.get(name, place)
    if frame.function is owner:
        return it.state.env.get(name, place)
    if frame.function is not None and name not in frame.function.bound and _inside(frame.function, owner):
        return it.outer(name, frame)
    return place


def _inside(function: ir.Function | None, owner: object) -> bool:
    while function is not None:
        if function is owner:
            return True
        function = function.parent
    return False


def _rebind(it: Interpreter, func: Func, place: Sym, value: Value) -> None:
    """A global or nonlocal variable that the callee re-bound."""
    frame, name = it.frame, place.root.name
    if (
        func.captured is not None and name in func.captured
    ):  # its frame is gone: the closure keeps the variable
        cell = it.cells.setdefault(func, Root("local"))
        it.state.heap[Sym(cell, ((".", name),))] = value
    elif frame.function is place.root.owner or (frame.function is None and place.root.owner is it.context):
        it.state.env[name] = value
    elif func.context is it.context:
        it.state.heap[place] = value


def _outside(it: Interpreter, use: Use, ref: int, guards: Guards) -> Use:
    """A use inside a callee as its caller sees it."""
    return Use(
        it.context, ref, ref, use.verb, "call", use.strong, {**it.state.path, **guards}, it.frame.passes, use,
        use.maybe,
        it.frame.replay, use.param,
    )  # fmt: skip


def _replay_uses(
    it: Interpreter, summary: Summary, swap: Substitution, refs: dict[Root, int], ref: int, args: Args
) -> None:
    """Spend what the callee spends; what it spends on every path is one sure use."""
    function = summary.function
    own = summary.params[0][1].root if function.receiver else None
    rest = next((sym.root for param, sym in summary.params if param.kind == "**"), None)
    done: set[Sym] = set()
    for place, use in summary.uses:
        guards = swap.feasible(use.guards)
        if guards is None or place in done:
            continue
        if place in summary.always:
            guards = {}
            done.add(place)
        key = swap.value(place)
        constant = isinstance(key, Sym) and key.root.constant is not None
        at, below = refs.get(place.root, ref), place.path
        if place.root is rest and below and below[0][1] in args.kw:
            at, below = args.kw[str(below[0][1])][1], below[1:]
        keys.spend(
            it, key, at, ref, _called_as(function), "call", use.strong,
            inner=use, maybe=use.maybe, guards=guards, param=place.root.name + spelled(place.path),
            owner=function.owner, by_self=place.root is own, below=spelled(below),
            captured=place.root.kind == "free", sized=constant and _is_fixed(it, swap, refs, own),
            renewed=bool(place.path) and _is_copy(swap.value(Sym(place.root))),
        )  # fmt: skip


def _called_as(function: ir.Function) -> str:
    """What a function is called in a message: methods without a name of their own go by their class."""
    if function.owner is None or function.name not in ("__init__", "__post_init__", "__new__", "__call__"):
        return function.name
    return f"{function.owner.name}.__call__" if function.name == "__call__" else function.owner.name


def _is_copy(value: Value) -> bool:
    """Whether an object may have been made of another."""
    return any(
        isinstance(leaf, Sym) and not leaf.path and leaf.root.base is not None for leaf in leaves(value)
    )


def _is_fixed(it: Interpreter, swap: Substitution, refs: dict[Root, int], own: Root | None) -> bool:
    """Whether a call is given no data: nothing but keys and Python values, besides the object of the method."""
    given = [swap.value(Sym(root)) for root in refs if root is not own]
    return all(types.is_static(it, value) or keys.may_be_key(it, value) for value in given)


def _replay_called(
    it: Interpreter, summary: Summary, swap: Substitution, refs: dict[Root, int], ref: int
) -> None:
    """Spend the keys inside the functions that the callee was handed and calls, and bind what those bind anew."""
    for place, when in summary.called:
        guards = swap.feasible(when)
        value = swap.value(place)
        if guards is None:
            continue
        _rebind_by(it, value)
        if isinstance(value, Sym) and value.root.kind == "param":
            it.frame.called.setdefault(value, {**it.state.path, **guards})
        elif isinstance(value, Wrapped | Partial | Choice):
            at = refs.get(place.root, ref)
            keys.spend_kept(it, value, at, ref, _called_as(summary.function), "call", guards=guards)


def _rebind_by(it: Interpreter, function: Value) -> None:
    """Bind what a function of the project binds anew that somebody else calls: to what is not known."""
    receiver: Value = function.receiver if isinstance(function, Bound) else NOTHING
    func: Value | None = function.func if isinstance(function, Bound) else function
    owner = func.context.interpreter if isinstance(func, Func) else None
    if not isinstance(func, Func) or owner is None:
        return
    frame = it.frame
    summary = summarise.summary_of(owner, func)
    it.frame = frame
    if summary is None:
        return
    known = {held.root: _captured(it, func, name, held) for name, held in summary.free.items()}
    known |= {sym.root: receiver for param, sym in summary.params if param.name == func.function.receiver}
    for place, _ in summary.stores:
        base = known.get(place.root)
        if not place.path:
            _rebind(it, func, place, Sym(Root("local", place.root.type)))
        elif isinstance(base, Sym):
            stored = Sym(base.root, (*base.path, *place.path))
            it.state.heap[stored] = Sym(Root("local", types.typeof(it, stored)))


def _replay_edits(
    it: Interpreter, summary: Summary, swap: Substitution, refs: dict[Root, int], ref: int, func: Func
) -> None:
    facts = it.frame.facts
    for mutation in summary.mutations:
        place = swap.value(mutation.place)
        guards = swap.told(mutation.guards) if isinstance(place, Sym) else None
        if not isinstance(place, Sym) or guards is None:
            continue
        if mutation.how in edits.MUTATORS and not edits.is_plain_container(it, place):
            continue  # the method is another one than that of a list or dict
        if _is_of_copy(it, mutation, place):
            continue
        if mutation.place.root.kind == "param":
            variables.edited(it, place, None, ref)
        if mutation.how != "setattr":
            defaults.note(it, place, "edited", ref)
            told = mutation.place.root.name == func.function.receiver  # by the method itself
            aliases.write(it, place, ref, refs.get(mutation.place.root, ref), own=not told)
        seen, evidence = edits.evidence_for(it, place, edits.visible_to(place))
        evidence = max(evidence, mutation.evidence)
        key = (ref, f"{mutation.how}:{mutation.ref}")
        if key not in facts.mutations:
            target = refs.get(mutation.place.root, ref)
            type_ = types.typeof(it, place)
            type_ = type_ if type_.kind else mutation.type
            facts.mutations[key] = Mutation(
                it.context,
                ref,
                target,
                place,
                type_,
                mutation.how,
                seen,
                mutation.op,
                mutation.value,
                mutation,
                evidence,
                mutation.static,
                frozenset(root for source in mutation.sources for root in _brought(it, swap, source)),
                caught=it.frame.caught,
                guards={**it.state.path, **guards},
            )
        if mutation.how == "setattr" and place in it.frame.statics:
            statics.changed(it, place, facts.mutations[key])
    if func.context is not it.context:
        for effect in summary.effects:
            known = facts.effects.get(ref)
            outer = _seen_outside(it, effect, summary, swap, ref)
            if known is None or (_is_harmless(known) and not _is_harmless(outer)):
                facts.effects[ref] = outer
    else:
        for effect in (*summary.effects, *summary.echoes):
            if effect.asks:
                facts.echoes.append(_seen_outside(it, effect, summary, swap, ref))


def _seen_outside(it: Interpreter, effect: Effect, summary: Summary, swap: Substitution, ref: int) -> Effect:
    """An effect inside a callee as its caller sees it."""
    static, places = effect.static, effect.asks
    if places:
        given = [swap.value(place) for place in places]
        static, places = _told(it, given)
        # What counts the passes of a loop is to tell how far a run is.
        static = static and not any(isinstance(value, Later) for value in given)
    when = effect.when if effect.when is not None else when_traced(it.state.path)
    return Effect(
        it.context, ref, effect.kind, effect.what, it.frame.statement, effect, summary.function,
        static, asks=places, when=when,
    )  # fmt: skip


def _is_harmless(effect: Effect) -> bool:
    return effect.kind in ("print", "log") and (effect.static or effect.when is not None)


def _told(it: Interpreter, values: Sequence[Value]) -> tuple[bool, frozenset[Sym]]:
    """Whether these are Python values at trace time, or else the places that decide whether they are."""
    found = [types.asks(it, value) for value in values]
    if not found or None in found:
        return False, frozenset()
    places: frozenset[Sym] = frozenset().union(*(each for each in found if each))
    return not places, places


def _is_of_copy(it: Interpreter, mutation: Mutation, place: Sym) -> bool:
    """Whether what a callee edits is a container that the transform around it made anew of an argument."""
    shared, root = it.frame.shared_given, mutation.place.root
    if shared is None or root.kind != "param" or root.name in shared:
        return False
    container = mutation.how.partition(":")[0] in ("setitem", "delitem", *edits.MUTATORS)
    return container and types.typeof(it, place).kind not in ("numpy", "graph")


def _brought(it: Interpreter, swap: Substitution, source: Root) -> frozenset[Root]:
    """What an object that a callee stores something of is made of here."""
    return frozenset((source,)) if source.kind == "local" else types.sources(it, swap.value(Sym(source)))


def _instantiate(it: Interpreter, value: ClassValue, args: Args, ref: int) -> Value:
    info = value.info
    function = it.frame.function
    declared = info.context.declared(info.cls.qualname)
    if declared is not None:
        return _call_declared(it, declared, value, args, ref, info.name)
    own = function is not None and function.owner is info.cls
    type_ = types.declared_type(info) or Type("instance", info)
    sym = it.fresh(type_, ref, f"new:{info.name}" if own else info.name)
    init = info.find("__init__")
    if isinstance(init, Func):
        _call_function(it, init, args.behind(sym, ref), ref)
        return sym
    fields = list(info.fields().values())
    for field_, given in zip(fields, args.pos, strict=False):
        it.state.heap[sym.child((".", field_.name))] = given[0]
    for name, given in args.kw.items():
        it.state.heap[sym.child((".", name))] = given[0]
    if not args.star:
        for field_ in fields[len(args.pos) :]:
            if field_.name in args.kw or "**" in args.kw:
                continue
            place = sym.child((".", field_.name))
            if isinstance(field_.default, Const):
                it.state.heap[place] = field_.default
            elif (kind := _factory_made(info, field_.default)) is not None:
                it.state.heap[place] = it.fresh(kind, ref, "new:field")
    if info.family[0] == "namedtuple":
        sym.root.size = len(fields)
    successions.assemble(it, sym, tuple(info.fields()))
    after = info.find("__post_init__")
    if isinstance(after, Func):
        _call_function(it, after, Args([(sym, ref)]), ref)
    return sym


def _factory_made(info: ClassInfo, default: Value | None) -> Type | None:
    """The type of the container that ``field(default_factory=...)`` makes anew for each instance."""
    owner = info.context.interpreter
    if owner is None or not isinstance(default, Sym):
        return None
    frame = owner.module_frame
    made = (frame.state or frame.last).heap.get(default.child((".", "made")))
    type_ = types.typeof(owner, made)
    return type_ if type_.kind in ("list", "dict", "set") else None


# --- transforms ----------------------------------------------------------------------------


def mark_traced(
    it: Interpreter, value: Value, signature: Signature, ref: int, options: Mapping[str, Value] | None = None
) -> None:
    """Note that a function of this module is traced, through partial, bound methods and other transforms."""
    fixed = fixed_parameters(value, options or {})
    shared = _shared(value, signature.mode, signature.wraps, options or {})
    while isinstance(value, Partial | Wrapped | Bound):
        value = (value.func or NOTHING) if isinstance(value, Bound) else value.func
    if isinstance(value, Choice):
        for option, _ in value.options:
            mark_traced(it, option, signature, ref, options)
        return
    if isinstance(value, ClassValue):
        value = value.info.find("__call__") or NOTHING
    if isinstance(value, Func) and value.context is it.context:
        trace = Trace(
            signature.name, signature.mode, ref, it.context, it.frame.function, fixed, shared, signature.back
        )
        if not it.frame.glance:  # else it is asked for the shapes of what it would give
            it.context.facts.wet.add(value.function)
        it.context.facts.traced.setdefault(value.function, trace)
        around = it.wrappers.get(value.function)
        if around is not None and around.context is it.context:
            it.context.facts.traced.setdefault(around.function, trace)
        if signature.mode in COMPILED:
            it.context.facts.compiled.setdefault(value.function, trace)


def _shared(function: Value, mode: str, wraps: bool, options: Mapping[str, Value]) -> frozenset[str] | None:
    """The parameters that a transform hands the caller's own containers; None where it hands over all as they are."""
    if mode not in UNFLATTENS:
        return None
    if not wraps:  # ``vjp(f, *primals)`` differentiates by all
        return fixed_parameters(function, options)
    return shared_parameters(function, mode, options)


def mark_dry(it: Interpreter, functions: Sequence[Value]) -> None:
    """Note functions that run for the shapes of their results: no number is drawn."""
    for value in functions:
        while isinstance(value, Partial | Wrapped):
            value = value.func
        if isinstance(value, Func) and value.context is it.context:
            it.context.facts.dry.add(value.function)


def _call_wrapped(it: Interpreter, callee: Wrapped, args: Args, ref: int, verb: str) -> Value:
    if callee.mode == "shape":
        return it.fresh(UNKNOWN, ref)
    if callee.keeps:
        own = replace(callee, func=NOTHING)
        keys.spend_kept(it, own, ref, ref, callee.api.rpartition(".")[2], "apply")
    options = dict(callee.options)
    if callee.mode == "kernel":  # which a function that wraps `pallas_call` may have put under it
        mark_traced(it, callee.func, Signature(callee.api, mode=callee.mode), ref)
    statics.note(it, callee, args)
    if not callee.mode.startswith("nnx"):  # whose modules are given their new buffers
        donation.donate(it, callee, args, ref, verb)
    traces = callee.mode not in ("memo", "handler")
    it.frame.tracing += traces
    outer, it.frame.shared_given = it.frame.shared_given, _shared(callee.func, callee.mode, True, options)
    if callee.mode == "vmap":
        result = _call_mapped(it, callee, args, ref, verb, options)
    else:
        result = _call(it, callee.func, args, ref, verb)
    it.frame.shared_given = outer
    it.frame.tracing -= traces
    if callee.mode == "grad":
        aux = options.get("has_aux") == Const(True)
        number = options.get("argnums", Const(0))
        given = UNKNOWN
        if isinstance(number, Const) and isinstance(number.value, int) and 0 <= number.value < len(args.pos):
            point = args.pos[number.value][0]
            it.frame.advanced.update(p for p in leaves(point) if isinstance(p, Sym))
            _state_like(it, [(point, ref)])
            given = types.typeof(it, point)
        # The gradient by an array is an array.
        grads = it.fresh(given if given.kind == "array" and given.certain else types.GRADIENT, ref, "grad")
        if callee.api.endswith("value_and_grad"):
            return Tup((result, grads))
        if callee.api.endswith(("grad", "jacfwd", "jacrev", "jacobian", "hessian")):
            if aux:
                return Tup((grads, it.step(result, ("[", 1))))
            if callee.api.endswith("grad"):
                return grads
            return it.fresh(Type("array"), ref, "jacobian")
    if callee.mode == "memo":
        for leaf in [result] if not isinstance(result, Tup) else result.items:
            if isinstance(leaf, Sym) and leaf.root.kind == "local":
                leaf.root.memo = True
                if leaf.root.type.kind == "array" and not _at_compile_time(it, callee.func):
                    effect = Effect(it.context, ref, "memo", verb, it.frame.statement)
                    it.frame.facts.effects.setdefault(ref, effect)
    return result


def _at_compile_time(it: Interpreter, function: Value) -> bool:
    """Whether a function computes outside of the trace around it, as ``jax.ensure_compile_time_eval`` makes it."""
    todo: list[object] = [*function.function.body] if isinstance(function, Func) else []
    while todo:
        node = todo.pop()
        if getattr(node, "name", getattr(node, "id", "")) == "ensure_compile_time_eval":
            return True
        todo += children(node)
    return False


def _call_mapped(
    it: Interpreter, callee: Wrapped, args: Args, ref: int, verb: str, options: dict[str, Value]
) -> Value:
    """A call under ``vmap``: keys that no argument brings in per lane are the same for every lane."""
    frame = it.frame
    axes = options.get("in_axes")
    shared: set[Root] = set()
    for position, (value, _) in enumerate(args.pos):
        axis = it.step(axes, ("[", position)) if isinstance(axes, Tup) else axes
        if axis == NOTHING:
            shared.update(_roots(value))
    outer, frame.lanes = frame.lanes, (shared, set(_bound_roots(callee.func)))
    result = _call(it, callee.func, args, ref, verb)
    frame.lanes = outer
    return result


def _bound_roots(function: Value) -> Iterator[Root]:
    """The objects that a function brings along: a method's own, and what ``partial`` holds."""
    while isinstance(function, Wrapped | Partial):
        if isinstance(function, Partial):
            for value in (*function.args, *(value for _, value in function.kwargs)):
                yield from _roots(value)
        function = function.func
    if isinstance(function, Bound):
        yield from _roots(function.receiver)


def _roots(value: Value) -> Iterator[Root]:
    for leaf in leaves(value):
        if isinstance(leaf, Sym | Part):
            yield leaf.root if isinstance(leaf, Sym) else leaf.base.root


def _run(it: Interpreter, signature: Signature, functions: list[Value], args: Args, ref: int) -> Value:
    """Call callbacks the way the transform does."""
    mode = signature.mode
    for function in functions:
        if mode not in ("shape", "tree", "call"):
            mark_traced(it, function, signature, ref)
    if mode == "shape":
        mark_dry(it, functions)
        return it.fresh(UNKNOWN, ref)
    known = [function for function in functions if _followable(it, function)]
    if not known:
        rest = [entry for entry in args.every() if not any(entry[0] is function for function in functions)]
        return _unknown(it, Args(rest), ref, signature.name.rpartition(".")[2])
    params = signature.params
    if mode == "scan":
        return _run_scan(it, known[0], args, params, ref)
    if mode == "fori":
        start = args.named(params, "init_val")
        lower = args.named(params, "lower")
        carry = start[0] if start is not None else NOTHING
        return _repeat(
            it,
            carry,
            lambda value, turn: call_value(
                it, known[0], [loops.offset(it, lower[0] if lower else NOTHING, turn), value], (), ref, "body"
            ),
        )
    if mode == "while":
        start = args.named(params, "init_val")
        carry = start[0] if start is not None else NOTHING
        test, body = functions[0], functions[-1]
        given = args.named(params, "cond_fun")
        test_ref = given[1] if given is not None else ref  # apart, so that what both of them spend is seen

        def turn(value: Value, _: int) -> Value:
            call_value(it, test, [value], (), test_ref, "cond_fun")
            return call_value(it, body, [value], (), ref, "body_fun")

        return _repeat(it, carry, turn)
    if mode in ("map", "tree"):
        trees = [value for value, _ in args.pos if value not in functions]
        if mode == "tree" and len(trees) > 1:
            it.frame.applied.add(ref)
            if not successions.is_step(it, trees):
                it.frame.joined.add(ref)
        outer, it.frame.mapped = it.frame.mapped, it.frame.mapped or mode == "tree"
        made: list[Value] = []

        def each(_: Value, number: int) -> Value:
            leaves = [loops.row(it, tree, number) if mode == "map" else Sym(Root("local")) for tree in trees]
            made.append(call_value(it, known[0], leaves, (), ref, "f"))
            return made[-1]

        _repeat(it, NOTHING, each)
        it.frame.mapped = outer
        shown = it.frame.function is None  # at the end of a cell of a notebook, as like as not
        if mode == "tree" and not shown and any(_computes(it, function) for function in functions):
            _note_pure(it, ref, "map", "jax.tree", UNKNOWN, Confidence.HIGH)
        if mode == "tree" and made and all(types.is_static(it, value) for value in made):
            return it.fresh(types.STATIC, ref)  # a tree of shapes
        return it.fresh(Type("state") if mode == "tree" else UNKNOWN, ref)
    operands = list(args.pos[len(signature.callbacks) + 1 :])
    if mode == "cond":
        if "operand" in args.kw:
            operands.append(args.kw["operand"])
        return _either(
            it,
            [(function, {}) for function in functions],
            lambda option: _call(it, option, Args(list(operands)), ref, "branch"),
        )
    return _call(it, known[0], Args(args.pos[1:], {}), ref, "f")


def _computes(it: Interpreter, function: Value) -> bool:
    """Whether a function is known to do nothing but compute: one of ``jax.numpy``, or a lambda of such."""
    if isinstance(function, Ext):
        return function.name.startswith(_NUMERIC)
    if not isinstance(function, Func) or not function.function.is_lambda or len(function.function.body) != 1:
        return False
    (statement,) = function.function.body
    return isinstance(statement, ir.Return) and _is_formula(it, statement.value)


def _is_formula(it: Interpreter, node: ir.Expr | None) -> bool:
    if isinstance(node, ir.Const | ir.Name):
        return True
    if isinstance(node, ir.GetAttr):
        return _is_formula(it, node.base)
    if isinstance(node, ir.Unary):
        return _is_formula(it, node.value)
    if isinstance(node, ir.Binary):
        return _is_formula(it, node.left) and _is_formula(it, node.right)
    if isinstance(node, ir.Call):
        callee = types.static_value(it, node.func)
        numeric = isinstance(callee, Ext) and callee.name.startswith(_NUMERIC)
        return numeric and all(_is_formula(it, arg.value) for arg in node.args)
    return False


def _followable(it: Interpreter, function: Value) -> bool:
    if isinstance(function, Ext):
        return it.resolved(function) is not function or it.known.find(function.name) is not None
    return isinstance(function, _CALLABLE)


def _repeat(it: Interpreter, carry: Value, turn: Callable[[Value, int], Value]) -> Value:
    """A loop over a carried value; what comes out is the carry after the last pass."""
    held = [carry]

    def body() -> None:
        frame = it.frame
        outer, frame.repeats = frame.repeats, True
        held[0] = turn(held[0], frame.passes[-1][1])
        frame.repeats = outer

    loops.loop(it, lambda number: True, body, None)
    loops.join_breaks(it)
    if it.frame.state is None:
        it.frame.state = it.frame.last
    return held[0]


def _run_scan(it: Interpreter, function: Value, args: Args, params: Sequence[str], ref: int) -> Value:
    start = args.named(params, "init")
    xs = args.named(params, "xs")
    carry = start[0] if start is not None else NOTHING

    def turn(value: Value, number: int) -> Value:
        element = loops.row(it, xs[0], number) if xs is not None and xs[0] != NOTHING else Sym(Root("local"))
        return it.step(call_value(it, function, [value, element], (), ref, "body"), ("[", 0))

    last = _repeat(it, carry, turn)
    return Tup((last, it.fresh(UNKNOWN, ref, "scan")))


# --- library functions ---------------------------------------------------------------------


def _call_library(it: Interpreter, callee: Ext, args: Args, ref: int, verb: str) -> Value:
    declared = it.known.declared(callee.name)
    if declared is not None:
        short = callee.name.rpartition(".")[2]
        return _call_declared(it, declared, it.resolved(callee), args, ref, short)
    resolved = callee if it.known.exact(callee.name) is not None else it.resolved(callee)
    if not isinstance(resolved, Ext):
        return _call(it, resolved, args, ref, verb)
    name = resolved.name
    handler = builtin.HANDLERS.get(name)
    if handler is not None:
        return handler(it, args, ref)
    short = name.rpartition(".")[2]
    signature = it.known.given(name, types.typeof(it, args.pos[0][0]).kind if args.pos else "")
    if signature is not None:
        return _apply_signature(it, signature, None, args, ref, short, name)
    result = _unknown(it, args, ref, verb or short, name)
    return it.fresh(Type("instance", name=name), ref, short) if it.known.is_class(name) else result


def _call_declared(
    it: Interpreter, signature: Signature, callee: Value, args: Args, ref: int, verb: str
) -> Value:
    """Call something as the user declares it; a function of the project lends the names of its parameters."""
    function, made, receiver = callee, None, None
    while isinstance(function, Wrapped):
        function = function.func
    if isinstance(function, ClassValue):
        made = function.info
        function = made.find("__init__") or NOTHING
    if isinstance(function, Func):
        names = tuple([param.name for param in function.function.params if param.kind in ("", "/")])
        own = names[:1] if function.function.owner is not None and function.role != "static" else ()
        if made is not None:
            names, own = names[len(own) :], ()
        if signature.open:
            signature = replace(signature, params=names, open=False)
        elif signature.params[:1] != own:
            signature = replace(signature, params=(*own, *signature.params))
        if own and args.pos and isinstance(args.pos[0][0], Sym):
            receiver = args.pos[0][0]
    result = _apply_signature(it, signature, receiver, args, ref, verb, signature.name)
    if made is not None and signature.returns == ("opaque",):
        return it.fresh(Type("instance", made), ref, verb)
    return result


def _call_method(
    it: Interpreter, base: Value, name: str, args: Args, ref: int, node: ir.GetAttr | None
) -> Value:
    base_ref = node.base.ref if node is not None else ref
    if isinstance(base, Ext):
        resolved = it.resolved(base)
        if resolved is not base and not isinstance(resolved, Ext):
            return _call_method(it, resolved, name, args, ref, node)
        return _call_library(it, Ext(f"{base.name}.{name}"), args, ref, name)
    if isinstance(base, Choice):
        return _either(it, list(base.options), lambda option: _call_method(it, option, name, args, ref, node))
    if isinstance(base, ClassValue):
        return _call_class_member(it, base, name, args, ref)
    if isinstance(base, Func | Wrapped | Partial | Bound):
        if name in _DRY:
            if name == "clear_cache":
                statics.forget(it, base)
            return it.fresh(UNKNOWN, ref)
        if isinstance(base, Bound) and base.name == "at":
            return it.fresh(UNKNOWN, ref)
        if isinstance(base, Wrapped) and base.mode == "handler":
            return _call(it, base, args, ref, name)
        rule = it.known.find(f"{base.api}.{name}") if isinstance(base, Wrapped) else None
        if rule is not None:
            return _apply_signature(it, rule, None, args, ref, name)
        return _unknown(it, args, ref, name)
    if isinstance(base, Tup | Const):
        text = isinstance(base, Const) and isinstance(base.value, str)
        return it.text([value for value, _ in args.every()], ref) if text else it.fresh(UNKNOWN, ref)
    if not isinstance(base, Sym):
        return _unknown(it, args, ref, name)
    place = Sym(base.root, (*base.path, (".", name)))
    if it.frame.passes and not it.frame.repeats:
        it.frame.facts.looped_methods.setdefault(name, ref)
    held = it.read(place)
    if held is not place and isinstance(held, (*_CALLABLE, Choice)):
        return _call(it, held, args, ref, name)
    type_ = types.typeof(it, base)
    if type_.cls is not None:
        member = type_.cls.find(name)
        if isinstance(member, Func):
            bound = bind_method(it, base, name, member, ref)
            donation.note_use(it, base, base_ref)
            if isinstance(bound, Bound):
                return _call_function(it, member, args.behind(base, base_ref), ref)
            return _call(it, bound, args, ref, name)
        if isinstance(member, Wrapped | Partial):
            return _call(it, member, args.behind(base, base_ref), ref, name)
        field_ = type_.cls.fields().get(name)
        if isinstance(held, Sym) and types.typeof(it, held).cls is not None:
            return _call(it, held, args, ref, name)  # an object that is called
        if member is None and field_ is None and held == place:
            compiled = summarise.compiled_attribute(it, type_.cls, name, base)
            if compiled is not None:
                return _call(it, compiled, args, ref, name)
    kind = types.typeof(it, held).kind if isinstance(held, Sym) else ""
    if kind and (held is not place or (kind in OBJECTS and type_.kind not in OBJECTS)):
        return _call(it, held, args, ref, name)
    if _is_at_update(base):
        it.frame.facts.dropped.pop(ref, None)
        _note_pure(it, ref, "at", "", type_, Confidence.HIGH)
        made = it.fresh(Type("array", certain=True), ref, f".at[].{name}")
        before = Sym(base.root, base.path[: base.path.index((".", "at"))])
        it.frame.facts.arrayish.add(before)
        successions.mark(made, before, "fields")
        return made
    kind = _method_kind(type_)
    if kind in ("list", "dict", "set", "", "tuple", "state", "instance") and edits.is_mutator(
        name, len(args.pos), ref in it.frame.valued
    ):
        return _mutator(it, base, name, args, ref, base_ref, node)
    signature = _method_of(it, type_, name)
    if signature is None and keys.may_be_key(it, base):
        signature = it.known.method("key", "", name)
    if signature is not None:
        if not signature.pure and signature.returns not in (("static",), ("opaque",)):
            donation.note_use(it, base, base_ref)
        return _apply_signature(it, signature, base, args, ref, name)
    updates = name == "_replace" or (
        name == "replace" and (is_frozen(type_) or not _NOT_UPDATES.intersection(args.kw))
    )
    if updates and args.kw and not args.pos:
        sure = Confidence.HIGH if kind == "state" else Confidence.MEDIUM
        _note_pure(it, ref, "replace", "", type_, sure)
        if name == "_replace" and not type_.kind and isinstance(base, Sym):
            it.frame.facts.tuples.setdefault(base, []).append(it.state.path)
        return _copied(it, base, type_, args, ref, "new:replace")
    if kind in ("dict", "state") or name in ("items", "values", "keys"):
        if name in ("items", "values", "keys") and not args.pos:
            return builtin.view(name, base)
        if name in ("get", "copy") and kind in ("dict", "", "state"):
            if name == "copy":
                return it.fresh(type_ if type_.kind else UNKNOWN, ref, "new:copy", base)
            if args.pos:
                return it.step(base, ("[", it.as_index(args.pos[0][0])))
    if name == "update":
        return successions.guessed_update(it, args, ref, _unknown(it, args, ref, name))
    if name == "apply" or "rngs" in args.kw:
        rngs = args.kw.get("rngs")
        if rngs is not None:
            keys.spend(it, rngs[0], rngs[1], ref, name, "apply", True)
            _note_shared(it, rngs[0], rngs[1], ref, name)
            args = Args(args.pos, {k: v for k, v in args.kw.items() if k != "rngs"}, args.star)
            _state_like(it, args.pos[:1])
    donation.note_use(it, base, base_ref)
    return _unknown(it, args, ref, name)


def _method_of(it: Interpreter, type_: Type, name: str) -> Signature | None:
    """What is known of a method by the kind of its receiver, or by the family of the receiver's class."""
    signature = it.known.method(_method_kind(type_), type_.name, name)
    if signature is None and (family := family_of(type_)):
        signature = it.known.method(family, "", name)
    return signature


def _method_kind(type_: Type) -> str:
    family = family_of(type_) if type_.kind == "instance" else ""
    if family == "linen":
        return "module"
    if family == "struct":
        return "state"
    if family == "namedtuple":
        return "state"
    return type_.kind


def _is_at_update(base: Sym) -> bool:
    return len(base.path) >= 2 and any(
        step == (".", "at") and following[0] == "[" for step, following in itertools.pairwise(base.path)
    )


def _call_class_member(it: Interpreter, base: ClassValue, name: str, args: Args, ref: int) -> Value:
    member = base.info.find(name)
    if isinstance(member, Func):
        if member.role == "class":
            return _call_function(it, member, args.behind(base, ref), ref)
        return _call_function(it, member, args, ref)
    if isinstance(member, Wrapped | Partial):
        return _call(it, member, args, ref, name)
    if name == "create" and base.info.family[0] == "struct":
        return _created(it, Type("instance", base.info), args, ref)
    if name == "partial":  # haiku and eqx-like ``Class.partial``
        return Partial(
            base, tuple(value for value, _ in args.pos), tuple((k, v[0]) for k, v in args.kw.items())
        )
    return _unknown(it, args, ref, name)


def _created(it: Interpreter, type_: Type, args: Args, ref: int) -> Sym:
    sym = it.fresh(type_, ref, "create")
    for name, (value, at) in args.kw.items():
        it.state.heap[sym.child((".", name))] = value
        defaults.note_value(it, value, "stored", at, name)
    return sym


def _mutator(
    it: Interpreter, base: Sym, name: str, args: Args, ref: int, base_ref: int, node: ir.GetAttr | None
) -> Value:
    """``append``, ``update``, ... on a container: what goes in is moved, not spent."""
    if types.typeof(it, base).kind in ("list", "dict", "set"):
        variables.edited(it, base, None, ref)
    # ``metrics.update(...)`` on an unknown object may be anything; only containers are edited by it.
    every = [value for value, _ in args.every()]
    # A constant says nothing about shapes: it counts the calls.
    static = all(types.is_static(it, value) for value in every) and any(
        not isinstance(value, Const) for value in every
    )
    stored = Tup(tuple([value for value, _ in args.every()]))
    edits.mutate(
        it, base, node.base if node is not None else None, ref, base_ref, name, static=static, stored=stored
    )
    heap = it.state.heap
    if name in ("append", "extend", "insert", "appendleft"):
        order.added(it, base)
        for value, at in args.every():
            for part in value.items if isinstance(value, Tup) else ():
                order.placed(it, part, at)
    if name == "extend" and args.pos:
        order.mark(it, base, order.source_of(it, args.pos[0][0], args.pos[0][1]))
    if name == "sort":
        order.forget(it, base)
    if name == "append" and args.pos:
        size = edits.list_length(it, base)
        if size is not None:
            heap[base.child(("[", size))] = args.pos[0][0]
            heap[base.child(("#", 0))] = Const(size + 1)
        else:
            heap[base.child(("[", Sym(Root("local"))))] = args.pos[0][0]
    elif name == "pop" and not args.pos and (size := edits.list_length(it, base)):
        value = it.step(base, ("[", size - 1))
        heap.pop(base.child(("[", size - 1)), None)
        heap[base.child(("#", 0))] = Const(size - 1)
        return value
    elif name == "pop":
        index = it.as_index(args.pos[0][0]) if args.pos else Sym(Root("local"))
        it.frame.popped.add(base.child(("[", index)))
        return it.step(base, ("[", index))
    elif name == "setdefault" and len(args.pos) > 1:
        return it.step(base, ("[", it.as_index(args.pos[0][0])))
    elif name == "update" and types.typeof(it, base).kind in ("", "instance"):
        _unknown(it, args, ref, name)
    elif name == "update":
        for key, (value, _) in args.kw.items():
            heap[base.child(("[", key))] = value
    return it.fresh(UNKNOWN, ref)


def _copied(it: Interpreter, base: Value, type_: Type, args: Args, ref: int, verb: str) -> Value:
    """A shallow copy with the keyword arguments as new attributes."""
    if not isinstance(base, Sym):
        return it.fresh(type_, ref, verb)
    copy = it.fresh(type_, ref, verb, base)
    for name, (value, _) in args.kw.items():
        it.state.heap[copy.child((".", name))] = value
    if verb == "new:replace":
        successions.mark(copy, base, "fields", args)
    return copy


def _note_pure(
    it: Interpreter, ref: int, what: str, receiver: str, type_: Type, sure: Confidence, old: int = 0
) -> None:
    it.frame.pure = (ref, what, receiver, type_, sure, old)


def _state_like(it: Interpreter, entries: Sequence[tuple[Value, int]]) -> None:
    for value, _ in entries:
        if isinstance(value, Sym):
            it.frame.facts.state_like.add(value.root)
            for place, held in list(it.state.heap.items()):
                if place.root is value.root and isinstance(held, Sym):
                    it.frame.facts.state_like.add(held.root)


def _apply_signature(
    it: Interpreter,
    signature: Signature,
    receiver: Sym | None,
    args: Args,
    ref: int,
    verb: str,
    name: str = "",
) -> Value:
    it.understood(ref, name or signature.name, signature)
    if signature.open:
        args = _placed(it, signature, args)
    params = signature.params
    wanted = signature.consumes
    if "keys" in wanted:
        _spend_every(it, signature, args, ref, verb)
    for param in wanted:
        given = args.named(params, param)
        if given is not None and (not param.endswith("_or_seed") or keys.is_called_key(it, given[0])):
            sized = _is_sized(args.named(params, "shape"))
            keys.spend(it, given[0], given[1], ref, verb, signature.how, True, sized=sized)
            if signature.how in ("init", "apply"):
                _note_shared(it, given[0], given[1], ref, verb)
    for param in signature.mutates:
        given = args.given(params, param, receiver, ref)
        if given is not None:
            stored = Tup(tuple([value for value, _ in args.every()]))
            how = verb if receiver is not None else ".".join((name or verb).split(".")[-2:])
            edits.mutate(it, given[0], None, ref, given[1], how, stored=stored)
    for param in signature.arrays:
        given = args.named(params, param)
        if given is not None and isinstance(given[0], Sym):
            it.frame.facts.arrayish.add(given[0])
    for param in signature.ordered:
        given = args.named(params, param)
        if given is not None:
            order.shows(it, given[0], "drawn" if signature.effect == "host-rng" else "array", given[1])
    if signature.returns[0] == "stream":
        for seed in args.every():
            keys.note_seed(it, seed, ref)
    if signature.aliases:
        aliases.hand_over(it, signature, args, ref, verb)
    if signature.states:
        _state_like(
            it, [entry for entry in (args.named(params, p) for p in signature.states) if entry is not None]
        )
    if signature.role == "collections" and receiver is not None and verb == "apply_fn" and args.pos:
        variables.applied(it, receiver, args.pos[0][0], ref)
    if signature.forwards and receiver is not None:
        _forward(it, signature, receiver, args, ref)
    if signature.effect:
        if signature.effect in ("print", "log"):
            keys.note_told(it, [value for value, _ in args.every()])
        static, bare, places = _tells(it, signature, args)
        it.frame.facts.effects.setdefault(
            ref,
            Effect(
                it.context, ref, signature.effect, name or verb, it.frame.statement,
                static=static, bare=bare, asks=places, when=when_traced(it.state.path),
            ),
        )  # fmt: skip
    if not (signature.mutates or signature.effect):
        it.frame.through.add(ref)
        if receiver is not None and not signature.callbacks:
            it.frame.quiet.add(ref)
    if signature.outlines:
        it.frame.outlines.add(ref)
    if signature.inside:
        it.frame.facts.inside = signature.inside
    if signature.callbacks:
        value = _callbacks(it, signature, args, ref, verb)
        if signature.wraps or signature.returns == ("opaque",) or types.typeof(it, value) == types.STATIC:
            return value
    if signature.how == "split" or signature.returns[0] == "fold":
        _note_pure(it, ref, "split" if signature.how == "split" else "fold_in", "", UNKNOWN, Confidence.HIGH)
    elif signature.pure and not signature.callbacks:
        old = args.named(params, signature.succeeds[0]) if signature.succeeds else None
        makes = signature.returns[0] == "state" or (signature.how == "init" and bool(signature.consumes))
        starts = receiver is not None and not signature.succeeds and makes
        _note_pure(
            it,
            ref,
            verb,
            signature.name.removeprefix("@") if starts else signature.name,
            types.typeof(it, receiver),
            Confidence.LOW
            if starts
            else Confidence.HIGH,  # useless, but there is nothing that it would advance
            old[1] if old is not None else 0,
        )
    result = _result(it, signature, receiver, args, ref, verb, name)
    if signature.stateless is not None and not _remembers(it, signature, args):
        return it.fresh(Type("stateless"), ref, verb)
    return (
        successions.succeed(it, signature, receiver, args, ref, verb, result)
        if signature.succeeds
        else result
    )


def _remembers(it: Interpreter, signature: Signature, args: Args) -> bool:
    """Whether one of the arguments that decide it gives a transform something to remember from step to step."""
    for param in signature.stateless or ():
        given = [entry for entry in (args.named(signature.params, param),) if entry is not None]
        if param == signature.params[-1]:
            given += args.pos[len(signature.params) :]
        if any(value != NOTHING and types.typeof(it, value).kind != "stateless" for value, _ in given):
            return True
    return False


def _forward(it: Interpreter, signature: Signature, receiver: Sym, args: Args, ref: int) -> None:
    """Call the method that stands behind this one, as ``module.apply(variables, x)`` calls ``module(x)``."""
    cls = types.typeof(it, receiver).cls
    method = cls.find(signature.forwards) if cls is not None else None
    if method is None or "method" in args.kw:
        return
    own = {*signature.params, *signature.keywords}
    kw = {name: entry for name, entry in args.kw.items() if name not in own}
    _call(
        it, method, Args([(receiver, ref), *args.pos[len(signature.params) :]], kw), ref, signature.forwards
    )


def note_effect(it: Interpreter, name: str, ref: int) -> None:
    """Note what an operator does to an object of a library, if it does anything."""
    signature = it.known.find(name)
    if signature is not None and signature.effect:
        effect = Effect(it.context, ref, signature.effect, name.rpartition(".")[0], it.frame.statement)
        it.frame.facts.effects.setdefault(ref, effect)


def _tells(it: Interpreter, signature: Signature, args: Args) -> tuple[bool, bool, frozenset[Sym]]:
    """Whether Python values at trace time are told, such as shapes; whether that is a bare text; what else decides it."""
    if signature.effect not in ("print", "log"):
        return False, False, frozenset()
    static, places = _told(it, [value for value, _ in args.every()])
    bare = signature.effect == "print" and all(ref in args.literals for _, ref in args.every())
    return static, static and bare, places


def _is_sized(shape: tuple[Value, int] | None) -> bool:
    """Whether a shape is spelled out, and so is the same for all data."""
    if shape is None or not isinstance(shape[0], Tup):
        return False
    return bool(shape[0].items) and all(isinstance(item, Const) for item in shape[0].items)


def _spend_every(it: Interpreter, signature: Signature, args: Args, ref: int, verb: str) -> None:
    """Spend whatever argument is, or is called, a key; one key under two names makes two streams alike."""
    streams: dict[Sym, list[str]] = {}
    for name, value, at in args.labelled(signature.params):
        if isinstance(value, Sym) and keys.is_called_key(it, value):
            others = streams.setdefault(value, [])
            if name and others and signature.how == "init":
                _note_one_key(it, value, at, ref, verb, (*others, name))
            else:
                keys.spend(it, value, at, ref, verb, signature.how, True)
            others.append(name)


def _placed(it: Interpreter, signature: Signature, args: Args) -> Args:
    """Arguments by name where nobody says how the parameters stand: the first that fits is the one meant."""
    out = Args(list(args.pos), dict(args.kw), args.star, args.literals)

    def place(names: Sequence[str], fits: Callable[[Value], bool]) -> None:
        for name in names:
            if name not in args.kw:
                free = [entry for entry in out.pos if not any(entry is placed for placed in out.kw.values())]
                found = next((entry for entry in free if fits(entry[0])), None)
                if found is not None:
                    out.kw[name] = found

    place(signature.consumes, lambda value: keys.is_called_key(it, value))
    place(signature.callbacks, lambda value: isinstance(value, _CALLABLE))
    result = signature.returns[1:] if signature.returns[0] in ("same", "copy", "view", "fold", "key") else ()
    place((*signature.states, *signature.mutates, *result), lambda value: True)
    return out


def _callbacks(it: Interpreter, signature: Signature, args: Args, ref: int, verb: str) -> Value:
    functions: list[Value] = []
    for param in signature.callbacks:
        given = args.named(signature.params, param)
        if given is not None:
            branches = given[0]
            if isinstance(branches, Tup):
                functions.extend(branches.items)
            elif isinstance(branches, Sym) and types.typeof(it, branches).kind in ("list", "tuple"):
                heap = it.state.heap.items()
                functions.extend(
                    held for place, held in heap if place.root is branches.root and place.path[-1][0] == "["
                )
            else:
                functions.append(branches)
    given_by_place = zip(signature.params, args.pos, strict=False)
    every = {name: entry[0] for name, entry in given_by_place if name in ("argnums", "in_axes")}
    every |= {name: value for name, (value, _) in args.kw.items()}
    options = tuple(
        (name, settled(it, value)) for name, value in every.items() if name not in signature.callbacks
    )
    if signature.wraps:
        held = [entry for entry in (args.named(signature.params, p) for p in signature.keeps) if entry]
        if signature.unless and args.named(signature.params, signature.unless) is not None:
            held = []
        if signature.keeps and (not functions or functions[0] == NOTHING):
            for value, at in held:
                keys.spend(it, value, at, ref, verb, "apply", True)
            return it.fresh(UNKNOWN, ref, verb)
        if not functions:
            # ``jax.jit(static_argnums=0)`` and ``@partial(jax.jit, ...)`` take the function later.
            return Partial(Ext(signature.name), (), options)
        if signature.mode in COMPILED:
            _note_rebuilt(it, signature, functions[0], ref)
        if signature.mode == "shape":
            mark_dry(it, functions)
        elif signature.mode not in ("memo", "handler"):
            mark_traced(it, functions[0], signature, ref, dict(options))
        kept = tuple([(value, (it.context, at, it.frame.passes)) for value, at in held])
        return Wrapped(functions[0], signature.mode, signature.name, options, kept)
    traces = signature.mode not in ("tree", "call")
    it.frame.tracing += traces
    shared = [_shared(function, signature.mode, False, dict(options)) for function in functions]
    outer, it.frame.shared_given = it.frame.shared_given, None
    if signature.mode in UNFLATTENS:
        it.frame.shared_given = frozenset().union(*(names for names in shared if names))
    result = _run(it, signature, functions, args, ref)
    it.frame.shared_given = outer
    it.frame.tracing -= traces
    return result


def _note_rebuilt(it: Interpreter, signature: Signature, function: Value, ref: int) -> None:
    """Note a compiled function that a host loop, or each call of this function, makes and so compiles anew."""
    frame = it.frame
    if frame.repeats or (frame.function is None and not frame.passes):
        return
    what = ""
    if isinstance(function, Func) and function.function.is_lambda:
        what = "lambda"
    elif isinstance(function, Func) and (
        function.function in frame.facts.built if frame.passes else function.frame is frame
    ):
        what = "def"
    elif isinstance(function, Wrapped) and function.mode not in ("memo", "handler", *COMPILED):
        what = "wrapped"
    elif isinstance(function, Partial) and (_followable(it, function.func) or _of_own(it, function.func)):
        what = "partial"
    elif isinstance(function, Bound) and types.typeof(it, function.receiver).kind not in ELEMENTS:
        what = "method"
    place = function if not what and isinstance(function, Sym) and _below_own(it, function) else None
    if place is not None:
        what = "method"
    if what:
        env = it.state.env
        varying = _varying(it)
        fixed = {name for name in varying if _shapes(it, env[name])}
        inner, gives = _target(it, function)
        rebuilt = Rebuilt(
            ref,
            signature.name,
            what,
            inner.function if inner is not None else None,
            inner.context if inner is not None else it.context,
            frozenset(varying),
            frozenset(fixed),
            gives,
            place,
        )
        (frame.facts.rebuilt if frame.passes else frame.facts.compiles).setdefault(ref, rebuilt)


def _varying(it: Interpreter) -> set[str]:
    """The names that the loop around binds: those of the loop itself matter to no other."""
    frame = it.frame
    env = it.state.env if frame.passes else {}
    return {name for name, value in env.items() if frame.before.get(name) is not value}


def _note_apart(it: Interpreter, node: ir.Call, callee: Value) -> None:
    """Note that each pass of a loop needs a compiled function of its own.

    An option that changes belongs to the function and is no argument; what is lowered for other shapes is compiled
    for each of them ahead of time.
    """
    facts = it.frame.facts
    if not facts.rebuilt or not it.frame.passes:
        return
    made, base = node.ref, node.func.base if isinstance(node.func, ir.GetAttr) else node.func
    known = facts.rebuilt.get(made)
    if known is not None:
        signature = it.known.find(known.api)
        given = [
            arg.value
            for arg in node.args
            if arg.name is not None and (signature is None or arg.name not in signature.callbacks)
        ]
    elif isinstance(callee, Wrapped) and isinstance(node.func, ir.GetAttr) and node.func.name in _DRY:
        made = it.frame.jitted.get(base.id, -1) if isinstance(base, ir.Name) else base.ref
        given = [arg.value for arg in node.args]
    else:
        return
    if _named_in(given) & _varying(it):
        facts.apart.add(made)


def _named_in(nodes: Sequence[ir.Expr]) -> set[str]:
    """The names that these expressions mention."""
    return {node.id for node in reads(nodes) if isinstance(node, ir.Name)}


def _target(it: Interpreter, function: Value) -> tuple[Func | None, tuple[tuple[str, str], ...]]:
    """The function below transforms and ``partial``, and which of its parameters are bound to which names here."""
    pos: tuple[Value, ...] = ()
    kw: dict[str, Value] = {}
    while isinstance(function, Wrapped | Partial):
        if isinstance(function, Partial):
            pos, kw = (*function.args, *pos), {**dict(function.kwargs), **kw}
        function = it.resolved(function.func)
    if isinstance(function, Bound) and function.func is not None:
        pos, function = (function.receiver, *pos), function.func
    if not isinstance(function, Func):
        return None, ()
    params = function.function.params
    gives = [(param.name, param.default.id) for param in params if isinstance(param.default, ir.Name)]
    given = [*zip((param.name for param in params), pos, strict=False), *kw.items()]
    given = [entry for entry in given if entry[0] != function.function.receiver]
    if given:
        owner = function.context.interpreter
        frame = it.frame
        if owner is not None:
            summarise.summary_of(owner, function)  # by which it is known what of it is called
        it.frame = frame
        names = it.state.env.items()
        gives += [(param, name) for param, value in given for name, held in names if held == value]
    return function, tuple(gives)


def _of_own(it: Interpreter, value: Value) -> bool:
    """Whether a function is a method of an attribute of the object that a method is called on."""
    if isinstance(value, Bound):
        value = value.receiver if isinstance(value.receiver, Sym) else NOTHING
        return isinstance(value, Sym) and _below_own(it, value.child((".", "")))
    return isinstance(value, Sym) and _below_own(it, value)


def _below_own(it: Interpreter, value: Sym) -> bool:
    """Whether a value is an attribute of an attribute of the object that a method is called on."""
    function = it.frame.function
    own = function is not None and value.root.owner is function and value.root.name == function.receiver
    return own and len(value.path) == 2 and all(kind == "." for kind, _ in value.path)


def _shapes(it: Interpreter, value: Value) -> bool:
    """Whether a value is no array, and no number that might as well be one."""
    number = isinstance(value, Const) and isinstance(value.value, int | float)
    return not number and types.typeof(it, value).kind != "number" and types.is_static(it, value)


def _note_shared(it: Interpreter, value: Value, ref: int, call: int, verb: str) -> None:
    """Note one key under two names of an rng dict."""
    if not isinstance(value, Sym) or types.typeof(it, value).kind != "dict":
        return
    seen: dict[Sym, list[str]] = {}
    for place, held in it.state.heap.items():
        if place.root is value.root and len(place.path) == len(value.path) + 1 and isinstance(held, Sym):
            seen.setdefault(held, []).append(str(place.path[-1][1]))
    for held, names in seen.items():
        if len(names) > 1:
            _note_one_key(it, held, ref, call, verb, tuple(names))


def _note_one_key(it: Interpreter, key: Sym, ref: int, call: int, verb: str, names: tuple[str, ...]) -> None:
    if not it.frame.replays:
        it.frame.facts.shared.setdefault(ref, SharedStream(ref, call, verb, names, key))


def _result(
    it: Interpreter, signature: Signature, receiver: Sym | None, args: Args, ref: int, verb: str, name: str
) -> Value:
    kinds = signature.returns
    params = signature.params
    if signature.given and (
        args.named(params, signature.given) is None
        or any(keys.may_be_key(it, value) for value, _ in args.every())
    ):
        return it.fresh(UNKNOWN, ref, verb)
    if kinds[0] == "pair":
        parts = [value for value, _ in args.every()]
        return Tup(
            tuple(
                [
                    it.made(it.fresh(Type(kind) if kind != "opaque" else UNKNOWN, ref, verb), *parts)
                    for kind in kinds[1:]
                ]
            )
        )
    kind = kinds[0]
    sources = (types.entropy_of(types.typeof(it, value)) for value, _ in args.pos)
    source = next(filter(None, sources), "") or types.entropy_of(types.typeof(it, receiver))
    if kind == "entropy" or (source and kind in ("number", "opaque", "array", "numpy", "str")):
        return it.fresh(Type("entropy", name=source or name or verb), ref, verb)
    if kind == "fold":
        return _folded(it, args.named(params, kinds[1]), args.named(params, kinds[2]), ref, verb)
    if kind in ("same", "twin", "copy", "view"):
        wanted = kinds[1] if len(kinds) > 1 else params[0]
        given = args.given(params, wanted, receiver, ref)
        if given is None:
            return it.fresh(UNKNOWN, ref, verb)
        value = given[0]
        if signature.aliases and types.typeof(it, value).kind == "numpy":
            return it.fresh(Type("array"), ref, verb)
        if kind == "same":
            if verb == "apply_gradients" and isinstance(value, Sym):
                return it.fresh(types.typeof(it, value), ref, "new:apply_gradients")
            return value
        if kind == "twin":
            if not isinstance(value, Sym) or keys.may_be_key(it, value):
                return value
            made = it.fresh(types.typeof(it, value), ref, f"{donation.COPIED}{verb}", value)
            made.root.succeeds = value.root.succeeds if not value.path else None
            return made
        if kind == "view":
            if keys.may_be_key(it, value):
                return value
            held = keys.keys_inside(it, value)
            if held:
                whole = it.fresh(Type("keys"), ref, verb)
                for position, item in enumerate(held):
                    it.state.heap[whole.child(("[", position))] = item
                return whole
            return it.fresh(Type("array"), ref, verb)
        return _copied(it, value, types.typeof(it, value), args, ref, f"new:{verb}")
    if kind == "keys":
        fresh = it.fresh(Type("keys"), ref, verb)
        count = args.named(params, "num")
        if signature.how == "split":
            if count is None:
                fresh.root.size = 2
            elif isinstance(count[0], Const) and isinstance(count[0].value, int):
                fresh.root.size = count[0].value
        return fresh
    if kind == "none":
        return NOTHING
    if kind == "generator":
        return it.fresh(generators.made(it, args.named(params, kinds[1]), args, ref, name or verb), ref, verb)
    if kind == "progress":
        made = it.fresh(Type("progress"), ref, verb)
        through = args.named(params, kinds[1])
        if through is not None:
            it.state.heap[made.child(order.THROUGH)] = through[0]
        return made
    if kind == "unordered":
        return order.fresh_list(it, ref, verb, Origin(it.context, ref, name or f"Path.{verb}"))
    if kind == "key" and verb != "clone":
        seed = args.named(params, kinds[1]) if len(kinds) > 1 else None
        if seed is not None and (twin := keys.of_one_seed(it, name or verb, seed[0], ref)) is not None:
            return twin
        made = it.fresh(Type("key"), ref, verb)
        if seed is not None:
            keys.note_made(it, name or verb, seed[0], made)
            keys.note_seed(it, seed, ref)
            it.frame.facts.made.setdefault(ref, name or verb)
            made.root.constant = keys.fixed_seed(it, seed, args.literals, args.names)
        made.root.passes = it.frame.passes
        return made
    if kind == "arithmetic":
        static = all(types.is_static(it, value) for value, _ in args.every())
        return it.fresh(types.STATIC if static else UNKNOWN, ref, verb if static else kind)
    if kind in ("opaque", "deep"):
        return it.fresh(UNKNOWN, ref, verb if kind == "opaque" else f"new:{verb}")
    if kind == "state" and name.endswith("TrainState.create"):
        return _created(it, Type("instance", name="flax.training.train_state.TrainState"), args, ref)
    named = kind in OBJECTS or signature.effect == "host-rng"
    fresh_name = name if named else ""
    result = it.fresh(Type(kind, name=fresh_name), ref, f"new:{verb}" if signature.pure else verb)
    if kind == "numpy":
        if not fresh_name and types.makes_ndarray(verb, [types.typeof(it, value) for value, _ in args.pos]):
            result.root.type = types.NDARRAY
        aliases.made(it, result, signature, args)
    if kind == "numpy" and args.pos and isinstance(args.pos[0][0], Sym):
        result.root.base = args.pos[0][0]
    return result


def _folded(
    it: Interpreter, key: tuple[Value, int] | None, data: tuple[Value, int] | None, ref: int, verb: str
) -> Value:
    """``fold_in(key, data)`` is a place below the key, so that folding the same data twice is one place."""
    if key is None or data is None:
        return it.fresh(Type("key"), ref, verb)
    step = (FOLD, it.as_index(data[0]))
    keys.note_seed(it, data, ref)
    if (disorder := order.is_position(data[0])) is not None:
        order.note(it, disorder, "key", ref)

    def of(value: Value) -> Value:
        if isinstance(value, Choice):
            return merge_values([(of(option), guards) for option, guards in value.options]) or NOTHING
        if isinstance(value, Sym) and types.typeof(it, value).kind != "keys":
            place = value.child(step)
            it.frame.folds.setdefault(place, set()).add((ref, it.frame.passes))
            return place
        return it.fresh(Type("key"), ref, verb)

    return of(key[0])


def _unknown(it: Interpreter, args: Args, ref: int, verb: str, name: str = "") -> Value:
    """Nothing is known of the callee: keys handed to it are taken to be spent, with less confidence."""
    it.understood(ref, name or verb, None)
    if is_question(verb):
        return it.fresh(UNKNOWN, ref, verb)
    stores = (
        _CLASS_NAME.match(verb) or verb == "__class__" or (verb != "update" and edits.is_mutator(verb, 1))
    )
    kind = "store" if stores else "unknown"  # `buffer.add(...)` keeps what it is given, whatever `buffer` is
    for param, value, at in args.labelled():
        keys.spend(it, value, at, ref, verb, kind, False, param=param)
        keys.spend_kept(it, value, at, ref, verb, kind, maybe=True)
    result = it.fresh(UNKNOWN, ref, verb)
    if "mutable" in args.kw and args.pos:  # only linen's ``apply`` has it
        return successions.collections(it, args.pos[0][0], args, ref, result)
    return result


def _only_steps(
    it: Interpreter, node: ir.Call, called: ir.Function, value: Value
) -> tuple[int, str, str, Type, Confidence, int] | None:
    """What is noted of a call that does nothing but make the successor of its receiver."""
    known = value.root.succeeds if isinstance(value, Sym) and not value.path else None
    receiver = node.func.base if isinstance(node.func, ir.GetAttr) else None
    if known is None or not isinstance(receiver, ir.Name) or it.state.env.get(receiver.id) != known.old:
        return None
    summary = it.summaries.get(called)
    if called.owner is None or summary is None or summary.effects or summary.mutations or summary.stores:
        return None
    return node.ref, called.name, "", types.typeof(it, known.old), Confidence.HIGH, receiver.ref


# --- results thrown away -------------------------------------------------------------------


def statement_call(it: Interpreter, node: ir.ExprStmt) -> None:
    """A call as a statement: when all it does is return something, that is lost."""
    frame = it.frame
    frame.pure = None
    assert isinstance(node.value, ir.Call)
    before = len(frame.facts.effects), len(frame.facts.mutations)
    frame.alone = node.value.ref
    value = it.eval(node.value)
    noted: tuple[int, str, str, Type, Confidence, int] | None = frame.pure
    frame.pure = None
    called = frame.facts.calls.get(node.value.ref)
    if (
        noted is None
        and called is not None
        and before == (len(frame.facts.effects), len(frame.facts.mutations))
    ):
        noted = _only_steps(it, node.value, called, value)
    if noted is None or noted[0] != node.value.ref:
        successions.left_behind(it, value, node.value, node.value.ref)
        return
    ref, what, receiver, type_, sure, old = noted
    if what in ("split", "fold_in") and frame.replays:
        return
    frame.facts.dropped.setdefault(
        ref, Dropped(ref, node.ref, what, receiver, type_, sure, frame.caught, old)
    )
