"""The interpreter: walks the IR of a function once, over abstract values, and records facts.

How it thinks
-------------
A run of a function is a set of paths. The interpreter follows them together and keeps one ``State``
for each path that is still alive: branches fork it and merge it again, exits (return, raise,
break, continue) carry theirs away. Every condition gets a name, and a state knows which outcomes
it assumes; what happened under one outcome can never meet what happened under the other.

A loop body is run twice from the state before it. The first pass sees the loop begin, the second
meets what the first left behind, which is where a key spent in every iteration shows. A loop may
also end before each pass. Comprehensions, ``scan`` bodies and ``tree.map`` are loops like any other.

Functions are summarised once, on demand, in terms of their parameters (``summary.py``); calls
replay the summary (``calls.py``). Keys are spent in ``keys.py``.
"""

from __future__ import annotations

import builtins
import itertools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from pytest_purestate._check import ir
from pytest_purestate._check.apis import KEY_ANNOTATIONS, find
from pytest_purestate._check.apis.classes import annotation_kind
from pytest_purestate._check.flow import calls, edits, keys
from pytest_purestate._check.flow.classes import ClassInfo, Field
from pytest_purestate._check.flow.facts import Effect, FunctionFacts
from pytest_purestate._check.flow.state import State, merge, merge_values
from pytest_purestate._check.flow.summary import Summary, decide, reachable
from pytest_purestate._check.flow.values import (
    IMPOSSIBLE,
    NOTHING,
    START,
    UNKNOWN,
    Bound,
    Choice,
    ClassValue,
    Const,
    Ext,
    Func,
    Guards,
    Iter,
    Linear,
    Origin,
    Part,
    Partial,
    Range,
    Root,
    Step,
    Sym,
    Tup,
    Type,
    Use,
    Value,
    Wrapped,
    contradicts,
    leaves,
)
from pytest_purestate._check.model import Confidence

if TYPE_CHECKING:
    from pytest_purestate._check.flow.project import ModuleContext

__all__ = ["Frame", "Interpreter"]

_BUILTINS = frozenset(dir(builtins))
_unique = itertools.count(1)

PASSES = 2
_DEEP = 3  # loops nested deeper than this are run once: the cost doubles with every level
_BUDGET = 40_000  # statements and calls interpreted for one function before loops are run once

_STATIC_ATTRIBUTES = frozenset(("shape", "ndim", "dtype", "size", "aval", "sharding"))
_LIBRARY_OBJECTS = frozenset(("module", "dist", "transform", "stream", "transformed", "kernel"))
STATIC = Type("static")

_STATIC = (Func, ClassValue, Ext, Wrapped, Partial, Bound)


class _Loop:
    """The states that leave a loop body early."""

    __slots__ = ("breaks", "continues")

    def __init__(self) -> None:
        self.breaks: list[State] = []
        self.continues: list[State] = []


class Frame:
    """One function (or module body) being interpreted."""

    def __init__(self, function: ir.Function | None, context: ModuleContext, parent: Frame | None) -> None:
        self.function = function
        self.context = context
        self.parent = parent
        self.state: State | None = State({}, {}, {}, START)
        self.last = self.state
        self.facts = FunctionFacts(function)
        self.returns: list[tuple[Value, State]] = []
        self.raises: list[State] = []
        self.loops: list[_Loop] = []
        self.depth = 0
        self.free: dict[str, Sym] = {}
        self.declared: dict[str, bool] = {}  # name -> nonlocal?
        self.passes: tuple[tuple[int, int], ...] = ()
        self.replay = 0
        self.statement = -1
        self.read: set[tuple[int, int]] = set()  # (split call, element) of keys that were looked at
        self.used: dict[tuple[int, int], Use] = {}  # ... that were spent
        self.moved: set[Root] = set()
        self.fresh: dict[Root, tuple[int, int, str, str]] = {}
        self.steps = 0
        self.mapped = False
        self.repeats = False
        self.lanes: tuple[set[Root], set[Root], bool] | None = None
        self.made: set[Value] = set()  # functions defined in a loop pass
        self.pure: tuple[int, str, str, Type, Confidence] | None = None
        self.yields: list[Value] = []

    @property
    def replays(self) -> bool:
        """Whether this body may replay a key: a test's own body, or a helper of a test module."""
        function = self.function
        if function is not None and function.parent is not None:
            return False
        if self.context.facts.is_test:
            return True
        return function is not None and (
            function.name.startswith(("test_", "test"))
            or (function.owner is not None and function.owner.name.startswith("Test"))
        )


class Interpreter:
    """Interprets one module: ``run_module`` first, then summaries of its functions on demand."""

    def __init__(self, context: ModuleContext) -> None:
        self.context = context
        context.interpreter = self
        self.frame = Frame(None, context, None)
        self.module_frame = self.frame
        self.summaries: dict[ir.Function, Summary] = {}
        self.running: set[ir.Function] = set()
        self.recursive: set[ir.Function] = set()
        self.types: dict[Sym, Type] = {}
        self.stars: list[str] = []

    # --- driving ---------------------------------------------------------------------------

    def run_module(self) -> None:
        """Interpret the module body. Functions wait until somebody calls them."""
        self._hoist(self.context.lowered.module.body)
        self.block(self.context.lowered.module.body)
        frame = self.module_frame
        if frame.state is None:
            frame.state = frame.last
        keys.finish(self, frame)
        self.context.facts.functions.append(frame.facts)

    def run_functions(self) -> None:
        """Interpret every function that nobody called, so that each body is seen once."""
        for function in self.context.lowered.module.functions:
            if function not in self.summaries and function.parent is None:
                self.summary(Func(function, self.context))

    def _hoist(self, body: ir.Block) -> None:
        """Bind the module's imports, so that functions called while it runs already see them."""
        env = self.state.env
        for statement in body:
            if isinstance(statement, ir.Import):
                for binding in statement.bindings:
                    env.setdefault(binding.name, Ext(binding.target))
                self.stars.extend(statement.stars)

    def export(self, name: str) -> Value | None:
        """The module variable ``name`` as an importer sees it."""
        frame = self.module_frame
        state = frame.state or frame.last
        value = state.env.get(name)
        if value is None:
            return self._star(name)
        if isinstance(value, (*_STATIC, Const)):
            return value
        return self.context.global_place(name, self.typeof(value))

    def _star(self, name: str) -> Value | None:
        for module in self.stars:
            found = self.context.resolve(f"{module}.{name}")
            if found is not None:
                return found
        return None

    @property
    def state(self) -> State:
        state = self.frame.state
        assert state is not None
        return state

    # --- functions -------------------------------------------------------------------------

    def summary(self, func: Func) -> Summary | None:
        """The summary of a function of this module; None inside a recursion that has none yet."""
        function = func.function
        known = self.summaries.get(function)
        if known is not None:
            return known
        if function in self.running:
            self.recursive.add(function)
            return None
        self.running.add(function)
        outer = self.frame
        try:
            summary = self._interpret(func)
            if function in self.recursive:
                # The second run knows what the first found out about the recursive call.
                self.summaries[function] = summary
                summary = self._interpret(func)
        finally:
            self.running.discard(function)
            self.frame = outer
        self.summaries[function] = summary
        return summary

    def _interpret(self, func: Func) -> Summary:
        function = func.function
        parent = func.frame if func.frame is not None else self.module_frame
        frame = Frame(function, self.context, parent)
        self.frame = frame
        params = self._bind_params(func, frame)
        self.block(function.body)
        if frame.state is not None:
            frame.returns.append((NOTHING, frame.state))
        else:
            frame.state = merge([state for _, state in frame.returns]) or frame.last
        for nested in self.context.lowered.module.functions:
            if nested.parent is function and nested not in self.summaries:
                self.summary(Func(nested, self.context, frame))
                self.frame = frame
        keys.finish(self, frame)
        known = [facts for facts in self.context.facts.functions if facts.function is function]
        for facts in known:
            self.context.facts.functions.remove(facts)
        self.context.facts.functions.append(frame.facts)
        return self._summarise(func, frame, params)

    def _bind_params(self, func: Func, frame: Frame) -> tuple[tuple[ir.Param, Sym], ...]:
        function = func.function
        out: list[tuple[ir.Param, Sym]] = []
        for position, param in enumerate(function.params):
            type_ = self.annotation_type(param.annotation)
            if position == 0 and function.owner is not None and func.role != "static":
                value = self.class_of(function.owner)
                if value is not None and func.role != "class":
                    type_ = Type("instance", value.info)
            elif param.kind == "*":
                type_ = Type("tuple")
            elif param.kind == "**":
                type_ = Type("dict")
            sym = Sym(Root("param", type_, param.name, Origin(self.context, param.ref), owner=function))
            out.append((param, sym))
            self.state.env[param.name] = sym
        return tuple(out)

    def class_of(self, owner: ir.Class) -> ClassValue | None:
        return self.context_classes.get(owner)

    @property
    def context_classes(self) -> dict[ir.Class, ClassValue]:
        classes: dict[ir.Class, ClassValue] = self.__dict__.setdefault("_classes", {})
        return classes

    def _summarise(self, func: Func, frame: Frame, params: tuple[tuple[ir.Param, Sym], ...]) -> Summary:
        exits = frame.returns or ([(NOTHING, frame.state)] if frame.state is not None else [])
        state = merge([state for _, state in exits]) or frame.last
        common = state.path
        result = merge_values(
            [
                (self.leaving(value, frame, at), {k: v for k, v in at.path.items() if k not in common})
                for value, at in exits
            ]
        )
        if func.function.is_generator or result is None:
            result = self.fresh(UNKNOWN, func.function.ref, "generator")
        uses: list[tuple[Sym, Use]] = []
        for root, entries in state.spent.items():
            if root.kind != "local":
                uses.extend((Sym(root, path), use) for path, use in entries)
        stores = tuple(
            (place, self.leaving(value, frame, state))
            for place, value in state.heap.items()
            if place.root.kind != "local" and value != place
        )
        rebound = [
            (frame.free[name], state.env[name])
            for name in frame.declared
            if name in frame.free and name in state.env
        ]
        roots = reachable(
            [result, *(value for _, value in stores), *(value for _, value in rebound)], state.heap
        )
        for value, _ in exits:
            frame.facts.returned.update(
                leaf.root for leaf in leaves(value) if isinstance(leaf, Sym) and not leaf.path
            )
        frame.facts.returns_value = any(value != NOTHING for value, _ in exits)
        return Summary(
            func.function,
            params,
            dict(frame.free),
            tuple(uses),
            (*stores, *rebound),
            result,
            tuple(m for m in frame.facts.mutations.values() if m.place.root.kind != "local"),
            tuple(frame.facts.effects.values()),
            {
                place: self.leaving(value, frame, state)
                for place, value in state.heap.items()
                if place.root in roots
            },
            {root: entries for root, entries in state.spent.items() if root in roots},
            _always([at for _, at in exits]),
        )

    def leaving(self, value: Value, frame: Frame, state: State) -> Value:
        """``value`` as it is outside the frame: closures take along what they captured."""
        if isinstance(value, Func) and value.captured is None and value.frame is frame:
            summary = self.summaries.get(value.function)
            names = summary.free if summary is not None else {}
            bound = frame.function.bound if frame.function is not None else frozenset()
            captured: dict[str, Value] = {}
            closed = Func(value.function, value.context, value.frame, captured, value.role)
            for name in names:
                if name in bound and (item := state.env.get(name)) is not None and item is not value:
                    captured[name] = (
                        item
                        if isinstance(item, Func) and item.function is value.function
                        else self.leaving(item, frame, state)
                    )
            return closed
        if isinstance(value, Tup):
            return Tup(tuple([self.leaving(item, frame, state) for item in value.items]))
        if isinstance(value, Wrapped):
            return Wrapped(self.leaving(value.func, frame, state), value.mode, value.api, value.options)
        if isinstance(value, Partial):
            return Partial(self.leaving(value.func, frame, state), value.args, value.kwargs)
        if isinstance(value, Choice):
            return Choice(
                tuple([(self.leaving(option, frame, state), guards) for option, guards in value.options])
            )
        return value

    # --- names -----------------------------------------------------------------------------

    def lookup(self, name: str) -> Value:
        frame = self.frame
        value = self.state.env.get(name)
        if value is not None:
            return value
        function = frame.function
        if function is not None and name in function.bound:
            return self._unbound(name)
        return self.outer(name, frame)

    def _unbound(self, name: str) -> Value:
        value = self.state.env[name] = Sym(Root("local", UNKNOWN, name))
        return value

    def outer(self, name: str, frame: Frame) -> Value:
        """A name that the function does not bind: captured, global, or built in."""
        known = frame.free.get(name)
        if known is not None:
            return known
        parent = frame.parent
        while parent is not None and parent.function is not None:
            state = parent.state or parent.last
            value = state.env.get(name)
            if value is not None or name in parent.function.bound:
                if isinstance(value, _STATIC):
                    return value
                keys.mark_read(parent, value)
                if isinstance(value, Sym):
                    parent.moved.add(value.root)
                type_ = self.typeof(value) if value is not None else UNKNOWN
                sym = Sym(Root("free", type_, name, owner=parent.function))
                frame.free[name] = sym
                return sym
            parent = parent.parent
        module = self.module_frame
        value = (module.state or module.last).env.get(name)
        if value is None:
            value = self._star(name)
        if value is None:
            if name in _BUILTINS:
                return Ext(f"builtins.{name}")
            value = Sym(Root("free", UNKNOWN, name, owner=self.context))
        if isinstance(value, Choice):
            # ``try: import x; except ImportError: x = None``: where it is used, it is there.
            options = [option for option, _ in value.options if option != NOTHING]
            if options and all(isinstance(option, _STATIC) for option in options):
                value = options[0]
        if isinstance(value, _STATIC):
            return value
        if frame is module:
            return value
        sym = self.context.global_place(name, self.typeof(value))
        frame.free[name] = sym
        return sym

    def assign_name(self, name: str, value: Value, ref: int) -> None:
        frame = self.frame
        if name in frame.declared:
            nonlocal_ = frame.declared[name]
            if frame.function is not None:
                place = self.outer(name, frame)
                if isinstance(place, Sym):
                    frame.free[name] = place
                kind = "nonlocal" if nonlocal_ else "global"
                effect = Effect(self.context, ref, kind, name, frame.statement)
                frame.facts.effects.setdefault(ref, effect)
        self.state.env[name] = value

    # --- places and types ------------------------------------------------------------------

    def fresh(self, type_: Type, ref: int, verb: str = "", base: Sym | None = None, name: str = "") -> Sym:
        return Sym(Root("local", type_, name, Origin(self.context, ref, verb), base))

    def read(self, place: Sym) -> Value:
        """What is held at a place: what was stored there, else what the copied object held, else itself."""
        value = self.state.heap.get(place)
        if value is not None:
            return value
        base = place.root.base
        if base is not None and place.path:
            inner: Value = base
            for step in place.path:
                inner = self.step(inner, step)
            return inner
        return place

    def step(self, value: Value, step: Step) -> Value:
        """The attribute or element of a value."""
        if isinstance(value, Sym):
            if (
                value.root.size is not None
                and step[0] == "["
                and isinstance(step[1], int)
                and step[1] < 0
                and not value.path
            ):
                step = ("[", step[1] + value.root.size)
            return self.read(Sym(value.root, (*value.path, step)))
        if isinstance(value, Tup) and step[0] == "[":
            index = step[1]
            if isinstance(index, int) and -len(value.items) <= index < len(value.items):
                return value.items[index]
            if (
                isinstance(index, Range)
                and isinstance(index.start, int | None)
                and isinstance(index.stop, int | None)
            ):
                return Tup(value.items[index.start : index.stop])
        if isinstance(value, Part) and step[0] == "[":
            index = step[1]
            if isinstance(index, int) and index >= 0:
                return self.step(value.base, ("[", value.start + index))
            if isinstance(index, Linear):
                return self.step(value.base, ("[", Linear(index.base, index.offset + value.start)))
        if isinstance(value, Choice):
            options = [(self.step(option, step), guards) for option, guards in value.options]
            return merge_values(options) or NOTHING
        return Sym(Root("local", self._opaque_type(value, step)))

    def _opaque_type(self, value: Value, step: Step) -> Type:
        if isinstance(value, Part):
            return self.element_type(self.typeof(value.base), step)
        return UNKNOWN

    def typeof(self, value: Value | None) -> Type:
        if isinstance(value, Sym):
            if not value.path:
                return value.root.type
            known = self.types.get(value)
            if known is None:
                known = value.root.type
                for step in value.path:
                    known = self.element_type(known, step)
                self.types[value] = known
            return known
        if isinstance(value, Part):
            return self.typeof(value.base)
        if isinstance(value, Const):
            kind = (
                "str"
                if isinstance(value.value, str)
                else "number"
                if isinstance(value.value, int | float)
                else ""
            )
            return Type(kind)
        if isinstance(value, Linear):
            return Type("number")
        if isinstance(value, Tup):
            return Type("tuple")
        if isinstance(value, Choice):
            found = [self.typeof(option) for option, _ in value.options if option != NOTHING]
            if found and all(item == found[0] for item in found):
                return found[0]
        return UNKNOWN

    def is_static(self, value: Value) -> bool:
        """Whether a value is a Python value at trace time: shapes, dtypes, literals and what is made of them."""
        if isinstance(value, Const | Func | Ext | ClassValue):
            return True
        if isinstance(value, Tup):
            return all(self.is_static(item) for item in value.items)
        if isinstance(value, Linear):
            return self.is_static(value.base)
        if isinstance(value, Sym):
            kind = self.typeof(value).kind
            if kind in ("static", "number", "str"):
                return True
            if kind in ("list", "tuple", "dict", "set") and value.root.kind == "local":
                held = [
                    leaf
                    for place, item in self.state.heap.items()
                    if place.root is value.root and place.path[-1][0] == "["
                    for leaf in leaves(item)
                    if not (isinstance(leaf, Sym) and leaf.root is value.root)  # never stored on that path
                ]
                return bool(held) and all(self.is_static(item) for item in held)
        return False

    def element_type(self, type_: Type, step: Step) -> Type:
        """The type of an attribute or element of a value of this type."""
        kind, name = step
        if type_.kind == "keys":
            return type_ if isinstance(name, Range) or kind == "." else Type("key", certain=type_.certain)
        if kind == ".":
            if name in _STATIC_ATTRIBUTES:
                return STATIC
            if type_.cls is not None:
                field = type_.cls.fields().get(str(name))
                if field is not None:
                    return field.type
            if type_.kind == "array" and name == "at":
                return Type("at", certain=type_.certain)
            if type_.kind == "state" and name not in ("step", "tx", "apply_fn"):
                return Type("state")
            if name in ("T", "mT", "real", "imag") and type_.kind == "array":
                return type_
            if type_.kind == "instance" and name in ("params", "opt_state", "batch_stats"):
                return Type("state")
        elif type_.kind in ("array", "state", "numpy", "static"):
            return type_
        elif type_.kind == "at":
            return Type("at[]", certain=type_.certain)
        return UNKNOWN

    def annotation_type(self, node: ir.Expr | None) -> Type:
        """What an annotation promises. Nothing is spent or recorded by reading it."""
        if node is None:
            return UNKNOWN
        if isinstance(node, ir.Binary) and node.op == "|":
            left = self.annotation_type(node.left)
            return left if left is not UNKNOWN else self.annotation_type(node.right)
        if isinstance(node, ir.GetItem):
            base = self._static(node.base)
            if isinstance(base, Ext):
                last = base.name.rpartition(".")[2]
                if last in ("Optional", "Annotated", "Final", "ClassVar", "Required"):
                    inner = node.index
                    if isinstance(inner, ir.Sequence) and inner.items:
                        inner = inner.items[0]
                    return self.annotation_type(inner)
                if last in ("Key", "PRNGKeyArray"):
                    return Type("key", certain=False)
                if base.name.startswith("jaxtyping."):
                    return Type("array", certain=False)
            return self.annotation_type(node.base)
        value = self._static(node)
        if isinstance(value, ClassValue):
            return Type("instance", value.info)
        if isinstance(value, Ext):
            name = value.name
            last = name.rpartition(".")[2]
            if last in KEY_ANNOTATIONS:
                kind = "stream" if last == "PRNGSequence" else "key"
                return Type(kind, certain=False)
            known = annotation_kind(name)
            if known is not None:
                return Type(known, name=name, certain=False)
            signature = find(name)
            if signature is not None and signature.returns[0] in _LIBRARY_OBJECTS and last[:1].isupper():
                return Type(signature.returns[0], name=name, certain=False)
            return Type("instance", name=name) if last[:1].isupper() else UNKNOWN
        if isinstance(node, ir.Name) and node.id in KEY_ANNOTATIONS:
            return Type("key", certain=False)
        return UNKNOWN

    def _static(self, node: ir.Expr) -> Value | None:
        """A name or dotted name as a value, without recording that it was read."""
        if isinstance(node, ir.Name):
            frame: Frame | None = self.frame
            while frame is not None:
                value = (frame.state or frame.last).env.get(node.id)
                if value is not None:
                    return self.resolved(value)
                frame = frame.parent
            value = (self.module_frame.state or self.module_frame.last).env.get(node.id)
            if value is not None:
                return self.resolved(value)
            return Ext(f"builtins.{node.id}") if node.id in _BUILTINS else None
        if isinstance(node, ir.GetAttr):
            base = self._static(node.base)
            if isinstance(base, Ext):
                return self.resolved(Ext(f"{base.name}.{node.name}"))
            if isinstance(base, ClassValue):
                return base.info.find(node.name)
        return None

    def resolved(self, value: Value) -> Value:
        """An imported name's meaning in the project, or itself when it is foreign."""
        if isinstance(value, Ext):
            found = self.context.resolve(value.name)
            if found is not None:
                return found
        return value

    # --- statements ------------------------------------------------------------------------

    def block(self, body: ir.Block) -> None:
        frame = self.frame
        for statement in body:
            if frame.state is None:
                return
            frame.last = frame.state
            frame.steps += 1
            ref = getattr(statement, "ref", -1)
            frame.statement = ref
            _STATEMENTS[type(statement)](self, statement)

    def s_assign(self, node: ir.Assign) -> None:
        value = self.eval(node.value)
        for target in node.targets:
            self.assign(target, value, node)

    def s_annotated(self, node: ir.Annotated) -> None:
        if node.value is not None:
            value = self.eval(node.value)
            type_ = self.annotation_type(node.annotation)
            if type_.kind and isinstance(value, Sym) and not value.root.type.kind and not value.path:
                value.root.type = type_
            self.assign(node.target, value, node)

    def assign(
        self, target: ir.Expr, value: Value, node: ir.Assign | ir.Annotated | ir.For | ir.Clause | ir.With
    ) -> None:
        if isinstance(target, ir.Name):
            if isinstance(value, Sym) and not value.path and not value.root.name:
                value.root.name = target.id
            if isinstance(node, ir.Assign) and isinstance(value, Sym):
                keys.name_successor(self, value, target)
            self.assign_name(target.id, value, target.ref)
        elif isinstance(target, ir.Sequence):
            self._unpack(target, value, node)
        elif isinstance(target, ir.GetAttr):
            base = self.eval(target.base, moved=False)
            edits.store_attribute(self, base, target, value, node)
        elif isinstance(target, ir.GetItem):
            base = self.eval(target.base, moved=False)
            index = self.index(target.index)
            edits.store_item(self, base, index, target, value, node)
        elif isinstance(target, ir.Star):
            self.assign(target.value, value, node)

    def _unpack(
        self, target: ir.Sequence, value: Value, node: ir.Assign | ir.Annotated | ir.For | ir.Clause | ir.With
    ) -> None:
        keys.record_split(self, target, value, node)
        star = next((i for i, item in enumerate(target.items) if isinstance(item, ir.Star)), None)
        count = len(target.items)
        for position, item in enumerate(target.items):
            if star is None or position < star:
                part = self.step(value, ("[", position))
            elif position == star:
                after = count - position - 1
                part = self.slice(value, position, None if not after else -after)
            else:
                part = self.step(value, ("[", position - count))
            self.assign(item, part, node)

    def slice(self, value: Value, start: int, stop: int | None) -> Value:
        if isinstance(value, Tup):
            return Tup(value.items[start:stop])
        if isinstance(value, Sym):
            size = value.root.size if not value.path else None
            if stop is not None and stop < 0:
                stop = size + stop if size is not None else None
            return Part(value, start, stop)
        if isinstance(value, Part) and start >= 0 and (stop is None or stop >= 0):
            return Part(value.base, value.start + start, value.stop if stop is None else value.start + stop)
        if isinstance(value, Choice):
            return (
                merge_values([(self.slice(option, start, stop), guards) for option, guards in value.options])
                or NOTHING
            )
        return Sym(Root("local", self.typeof(value)))

    def s_augassign(self, node: ir.AugAssign) -> None:
        value = self.eval(node.value)
        target = node.target
        if isinstance(target, ir.Name):
            old = self.lookup(target.id)
            edits.augment_name(self, old, target, value, node)
            self.assign_name(target.id, self.binary(node.op, old, value, node.ref), target.ref)
        elif isinstance(target, ir.GetAttr):
            base = self.eval(target.base, moved=False)
            old = self.getattr(base, target.name, target.ref)
            edits.store_attribute(self, base, target, self.binary(node.op, old, value, node.ref), node)
        elif isinstance(target, ir.GetItem):
            base = self.eval(target.base, moved=False)
            edits.store_item(self, base, self.index(target.index), target, value, node)

    def s_exprstmt(self, node: ir.ExprStmt) -> None:
        if isinstance(node.value, ir.Call):
            calls.statement_call(self, node)
        else:
            self.eval(node.value)

    def s_return(self, node: ir.Return) -> None:
        value = self.eval(node.value) if node.value is not None else NOTHING
        if self.frame.state is not None:
            self.frame.returns.append((value, self.state))
            self.frame.last = self.state
            self.frame.state = None

    def s_raise(self, node: ir.Raise) -> None:
        for part in node.parts:
            self.eval(part)
        self.frame.last = self.state
        self.frame.state = None

    def s_break(self, node: ir.Break) -> None:
        if self.frame.loops:
            self.frame.loops[-1].breaks.append(self.state)
        self.frame.state = None

    def s_continue(self, node: ir.Continue) -> None:
        if self.frame.loops:
            self.frame.loops[-1].continues.append(self.state)
        self.frame.state = None

    def s_if(self, node: ir.If) -> None:
        self.branch(node.test, lambda: self.block(node.body), lambda: self.block(node.orelse))

    def branch(self, test: ir.Expr, then: Callable[[], None], orelse: Callable[[], None]) -> None:
        """Run ``then`` and ``orelse`` each on the outcomes of ``test`` that the path allows, and join."""
        yes, no = self.assume(test)
        frame = self.frame
        if frame.state is None:
            return
        base = frame.state
        possible_yes, possible_no = not contradicts(base.path, yes), not contradicts(base.path, no)
        if possible_yes == possible_no:
            possible_yes = possible_no = True
        states: list[State | None] = []
        if possible_yes:
            frame.state = base.fork(yes)
            then()
            states.append(frame.state)
        if possible_no:
            frame.state = (
                base.fork(no) if possible_yes else State(base.env, base.heap, base.spent, {**base.path, **no})
            )
            orelse()
            states.append(frame.state)
        frame.state = merge(states)

    def assume(self, test: ir.Expr) -> tuple[Guards, Guards]:
        """Evaluate a condition; the guards that hold when it is true, and when it is false."""
        if isinstance(test, ir.Unary) and test.op == "not":
            yes, no = self.assume(test.value)
            return no, yes
        if isinstance(test, ir.BoolOp):
            name = ("?", next(_unique))
            left_yes, left_no = self.assume(test.left)
            before = self.state
            self.frame.state = before.fork(left_yes if test.op == "and" else left_no)
            right_yes, right_no = self.assume(test.right)
            self.frame.state = self._rejoin(before, self.frame.state)
            if test.op == "and":
                return {name: True, **left_yes, **right_yes}, {name: False}
            return {name: True}, {name: False, **left_no, **right_no}
        if isinstance(test, ir.Compare) and len(test.rest) == 1:
            return self._assume_compare(test)
        value = self.eval(test)
        if isinstance(value, Const):
            return ({}, IMPOSSIBLE) if value.value else (IMPOSSIBLE, {})
        key: object = ("true", value) if isinstance(value, Sym) else ("?", next(_unique))
        return {key: True}, {key: False}

    def _rejoin(self, before: State, after: State | None) -> State | None:
        """After an operand that may not have run: names and places as they may be, path as before."""
        return merge([before.fork({("?", next(_unique)): 0}), after]) if after is not None else before

    def _assume_compare(self, test: ir.Compare) -> tuple[Guards, Guards]:
        left = self.eval(test.left)
        op, right_node = test.rest[0]
        right = self.eval(right_node)
        if isinstance(left, Const) and not isinstance(right, Const) and op in ("==", "!=", "is", "is not"):
            left, right = right, left
        if not isinstance(left, Sym | Const | Linear) or not isinstance(right, Sym | Const | Linear):
            key: object = ("?", next(_unique))
            return {key: True}, {key: False}
        try:
            hash(right)
        except TypeError:
            key = ("?", next(_unique))
            return {key: True}, {key: False}
        if op in ("is", "is not") and right == NOTHING:
            known = decide(("none", left))
            yes: Guards = {("none", left): True, ("true", left): False}
            no: Guards = {("none", left): False}
            if isinstance(known, bool):
                yes, no = ({}, IMPOSSIBLE) if known else (IMPOSSIBLE, {})
            return (yes, no) if op == "is" else (no, yes)
        if op in ("==", "!=", "is", "is not"):
            if isinstance(left, Const) and isinstance(right, Const):
                same = left.value == right.value
                yes, no = ({}, IMPOSSIBLE) if same else (IMPOSSIBLE, {})
            else:
                yes, no = {("eq", left, right): True}, {("eq", left, right): False}
                if isinstance(right, Const):
                    yes = {**yes, ("val", left): right.value}
            return (yes, no) if op in ("==", "is") else (no, yes)
        if op in ("<", ">", "<=", ">="):
            if op in (">", "<="):
                key = ("lt", right, left)
                flip = op == "<="
            else:
                key = ("lt", left, right)
                flip = op == ">="
            return ({key: False}, {key: True}) if flip else ({key: True}, {key: False})
        key = ("?", next(_unique))
        return {key: True}, {key: False}

    # --- loops -----------------------------------------------------------------------------

    def s_for(self, node: ir.For) -> None:
        iterable = self.eval(node.iter)
        self.loop(
            lambda number: self._bind_element(node.target, iterable, number, node),
            lambda: self.block(node.body),
            self.length(iterable),
        )
        if self.frame.state is not None:
            self.block(node.orelse)
        self._join_breaks()

    def _bind_element(self, target: ir.Expr, iterable: Value, number: int, node: ir.For | ir.Clause) -> bool:
        self.assign(target, self.element(iterable, number), node)
        return True

    def s_while(self, node: ir.While) -> None:
        leaving: list[State] = []

        def test(number: int) -> bool:
            yes, no = self.assume(node.test)
            base = self.state
            if not contradicts(base.path, no):
                leaving.append(base.fork(no))
            if contradicts(base.path, yes):
                self.frame.state = None
                return False
            self.frame.state = base.fork(yes)
            return True

        self.loop(test, lambda: self.block(node.body), None, conditional=True)
        # After the last pass the test is read once more: it may draw, too.
        if self.frame.state is not None:
            _, no = self.assume(node.test)
            base = self.state
            if no == IMPOSSIBLE:
                self.frame.state = None
            elif not contradicts(base.path, no):
                self.frame.state = base.fork(no)
        self.frame.state = merge([self.frame.state, *leaving])
        if self.frame.state is not None:
            self.block(node.orelse)
        self._join_breaks()

    def loop(
        self,
        start: Callable[[int], bool],
        body: Callable[[], None],
        length: int | None,
        conditional: bool = False,
    ) -> None:
        """Run ``body`` up to twice, joining the paths on which the loop ended earlier.

        ``start`` prepares a pass and says whether it can begin. The loop's break states stay on
        ``frame.loops`` for ``_join_breaks``, because ``else`` does not see them.
        """
        frame = self.frame
        loop = _Loop()
        frame.loops.append(loop)
        number = next(_unique)
        outer = frame.passes
        frame.depth += 1
        passes = PASSES if frame.depth <= _DEEP and frame.steps < _BUDGET else 1
        if length is not None:
            passes = min(passes, length)
        ended: list[State] = []
        for turn in range(passes):
            if frame.state is None:
                break
            if not conditional and (length is None or turn >= length):
                mark = ("loop", number, turn)
                ended.append(frame.state.fork({mark: False}))
                frame.state = frame.state.fork({mark: True})
            frame.passes = (*outer, (number, turn))
            if not start(turn):
                break
            body()
            frame.state = merge([frame.state, *loop.continues])
            loop.continues.clear()
        frame.passes = outer
        frame.depth -= 1
        if not conditional:
            frame.state = merge([*ended, frame.state])

    def _join_breaks(self) -> None:
        loop = self.frame.loops.pop()
        self.frame.state = merge([self.frame.state, *loop.breaks])

    def length(self, iterable: Value) -> int | None:
        """How many elements there are, when that is known."""
        if isinstance(iterable, Tup):
            return len(iterable.items)
        if isinstance(iterable, Iter) and iterable.kind in ("enumerate", "reversed", "list"):
            return self.length(iterable.parts[0])
        if isinstance(iterable, Iter) and iterable.kind == "range":
            bounds = [part.value if isinstance(part, Const) else None for part in iterable.parts]
            if all(isinstance(bound, int) for bound in bounds):
                return len(range(*[int(str(bound)) for bound in bounds]))
        if isinstance(iterable, Iter) and iterable.kind == "zip":
            known = [n for n in map(self.length, iterable.parts) if n is not None]
            return min(known) if known and len(known) == len(iterable.parts) else None
        if isinstance(iterable, Sym) and not iterable.path:
            if iterable.root.size is not None:
                return iterable.root.size
        return None

    def element(self, iterable: Value, number: int) -> Value:
        """What a loop over ``iterable`` gives in its pass ``number``."""
        if isinstance(iterable, Iter):
            kind, parts = iterable.kind, iterable.parts
            if kind == "zip":
                return Tup(tuple([self.element(part, number) for part in parts]))
            if kind == "enumerate":
                return Tup(
                    (
                        self._offset(parts[1] if len(parts) > 1 else Const(0), number),
                        self.element(parts[0], number),
                    )
                )
            if kind == "range":
                start = parts[0] if len(parts) > 1 else Const(0)
                stride = parts[2].value if len(parts) > 2 and isinstance(parts[2], Const) else 1
                return self._offset(start, number * stride if isinstance(stride, int) else number)
            if kind == "items":
                key = self.element(Iter("keys", parts), number)
                return Tup((key, self.step(parts[0], ("[", self.as_index(key)))))
            if kind == "values":
                key = self.element(Iter("keys", parts), number)
                return self.step(parts[0], ("[", self.as_index(key)))
            if kind == "keys":
                return Sym(Root("local", Type("str")))
            if kind == "reversed":
                size = self.length(parts[0])
                return (
                    self.element(parts[0], size - 1 - number)
                    if size is not None
                    else Sym(Root("local", self.element_type(self.typeof(parts[0]), ("[", 0))))
                )
            if kind == "list":
                return self.element(parts[0], number)
            if kind == "map":
                return calls.call_value(
                    self, parts[0], [self.element(part, number) for part in parts[1:]], (), -1, "map"
                )
        if isinstance(iterable, Choice):
            return (
                merge_values([(self.element(option, number), guards) for option, guards in iterable.options])
                or NOTHING
            )
        if isinstance(iterable, Sym):
            kind = self.typeof(iterable).kind
            if kind in ("dict", "set", "stream"):
                element = Type("key") if kind == "stream" else UNKNOWN
                return Sym(Root("local", element, origin=iterable.root.origin))
        return self.step(iterable, ("[", number))

    def _offset(self, start: Value, by: int) -> Value:
        if isinstance(start, Const) and isinstance(start.value, int):
            return Const(start.value + by)
        if isinstance(start, Linear):
            return Linear(start.base, start.offset + by)
        if isinstance(start, Sym):
            return Linear(start, by)
        return Sym(Root("local", Type("number")))

    # --- other statements ------------------------------------------------------------------

    def s_try(self, node: ir.Try) -> None:
        """A handler starts from the state before the body: what failed cannot have been of use."""
        frame = self.frame
        before = self.state
        mark = ("try", next(_unique))
        frame.state = before.fork({mark: "whole"})
        self.block(node.body)
        if frame.state is not None:
            self.block(node.orelse)
        states: list[State | None] = [frame.state]
        for number, handler in enumerate(node.handlers):
            frame.state = before.fork({mark: number})
            if handler.type is not None:
                self.eval(handler.type)
            if handler.name is not None:
                self.state.env[handler.name] = Sym(Root("local", UNKNOWN, handler.name))
            self.block(handler.body)
            states.append(frame.state)
        joined = merge(states)
        if node.final:
            exited = joined is None
            frame.state = joined if joined is not None else before.fork({mark: "exit"})
            self.block(node.final)
            if exited:
                frame.state = None
        else:
            frame.state = joined

    def s_with(self, node: ir.With) -> None:
        for item, target in node.items:
            value = self.eval(item)
            if target is not None:
                self.assign(target, value, node)
        self.block(node.body)

    def s_match(self, node: ir.Match) -> None:
        subject = self.eval(node.subject)
        frame = self.frame
        base = self.state
        mark = ("match", next(_unique))
        states: list[State | None] = []
        total = False
        for number, case in enumerate(node.cases):
            frame.state = base.fork({mark: number})
            for read in case.reads:
                self.eval(read)
            for name in case.names:
                self.state.env[name] = (
                    Sym(Root("local", UNKNOWN, name)) if len(case.names) > 1 or case.reads else subject
                )
            if case.guard is not None:
                self.eval(case.guard)
            self.block(case.body)
            states.append(frame.state)
            total = total or case.total
        if not total:
            states.append(base.fork({mark: "none"}))
        frame.state = merge(states)

    def s_delete(self, node: ir.Delete) -> None:
        for target in node.targets:
            if isinstance(target, ir.Name):
                self.state.env.pop(target.id, None)
            elif isinstance(target, ir.GetItem):
                base = self.eval(target.base, moved=False)
                index = self.index(target.index)
                edits.delete_item(self, base, index, target, node)
            elif isinstance(target, ir.GetAttr):
                self.eval(target.base, moved=False)

    def s_global(self, node: ir.Global) -> None:
        for name in node.names:
            self.frame.declared[name] = node.nonlocal_

    def s_import(self, node: ir.Import) -> None:
        for binding in node.bindings:
            self.state.env[binding.name] = Ext(binding.target)
        if self.frame.function is not None:
            self.stars.extend(star for star in node.stars if star not in self.stars)

    def s_assert(self, node: ir.Assert) -> None:
        frame = self.frame
        outer, frame.replay = frame.replay, next(_unique)
        yes, no = self.assume(node.test)
        frame.replay = outer
        if node.message is not None:
            self.eval(node.message)
        if not contradicts(self.state.path, yes):
            frame.state = State(self.state.env, self.state.heap, self.state.spent, {**self.state.path, **yes})

    def s_function(self, node: ir.FunctionDef) -> None:
        function = node.function
        for param in function.params:
            if param.default is not None:
                self.eval(param.default)
        frame = self.frame if self.frame.function is not None else None
        value: Value = Func(function, self.context, frame)
        if self.frame.passes:
            self.frame.made.add(value)
        for decorator in reversed(function.decorators):
            value = calls.decorate(self, self.eval(decorator), value, decorator)
        self.state.env[function.name] = value

    def s_class(self, node: ir.ClassDef) -> None:
        cls = node.cls
        bases: list[Value] = []
        for arg in cls.bases:
            base = self.resolved(self.eval(arg.value))
            if arg.name is None:
                bases.append(base)
        decorators: list[tuple[str, dict[str, Value]]] = []
        for decorator in cls.decorators:
            value = self.resolved(self.eval(decorator))
            options: dict[str, Value] = {}
            if isinstance(decorator, ir.Call):
                named = self._static(decorator.func)
                options = {arg.name: self.eval(arg.value) for arg in decorator.args if arg.name}
                for arg in decorator.args[:1]:  # functools.partial(dataclass, ...) spells the target first
                    if isinstance(named, Ext) and named.name == "functools.partial" and arg.name is None:
                        named = self._static(arg.value)
                value = named if named is not None else value
            if isinstance(value, Ext):
                decorators.append((value.name, options))
        info = ClassInfo(cls, self.context, tuple(bases), tuple(decorators))
        known = ClassValue(info)
        self.context_classes[cls] = known
        self._class_body(info)
        self.state.env[cls.name] = known

    def _class_body(self, info: ClassInfo) -> None:
        """Run the body in a scope of its own; what it binds becomes the class's namespace."""
        before = self.state.env
        self.state.env = dict(before)
        for statement in info.cls.body:
            if self.frame.state is None:
                break
            if isinstance(statement, ir.Annotated) and isinstance(statement.target, ir.Name):
                default = self.eval(statement.value) if statement.value is not None else None
                name = statement.target.id
                keys.note_constant_field(self, default, statement.value)
                info.own_fields[name] = Field(
                    name, self.annotation_type(statement.annotation), statement.target.ref, default
                )
            else:
                self.block((statement,))
        if self.frame.state is None:
            return
        after = self.state.env
        info.namespace.update({name: value for name, value in after.items() if before.get(name) is not value})
        self.state.env = before

    # --- expressions -----------------------------------------------------------------------

    def eval(self, node: ir.Expr, moved: bool = True) -> Value:
        """The value of an expression. ``moved`` is False when only a place below it is wanted."""
        value = _EXPRESSIONS[type(node)](self, node)
        if moved and isinstance(value, Sym):
            self.frame.moved.add(value.root)
        return value

    def e_name(self, node: ir.Name) -> Value:
        value = self.lookup(node.id)
        if isinstance(value, Sym | Choice | Tup | Part):
            keys.mark_read(self.frame, value)
        return value

    def e_const(self, node: ir.Const) -> Value:
        return Const(node.value)

    def e_getattr(self, node: ir.GetAttr) -> Value:
        return self.getattr(self.eval(node.base, moved=False), node.name, node.ref)

    def getattr(self, base: Value, name: str, ref: int) -> Value:
        if isinstance(base, Ext):
            return Ext(f"{base.name}.{name}")
        if isinstance(base, Sym):
            place = Sym(base.root, (*base.path, (".", name)))
            value = self.read(place)
            if value is place:
                type_ = self.typeof(base)
                if type_.cls is not None:
                    member = type_.cls.find(name)
                    if isinstance(member, Func):
                        return calls.bind_method(self, base, name, member, ref)
                    if isinstance(member, Wrapped):
                        return Partial(member, (base,), ())
            return value
        if isinstance(base, ClassValue):
            member = base.info.find(name)
            if isinstance(member, Func) and member.role == "class":
                return Bound(base, name, member)
            return member if member is not None else Bound(base, name)
        if isinstance(base, Choice):
            return (
                merge_values([(self.getattr(option, name, ref), guards) for option, guards in base.options])
                or NOTHING
            )
        if isinstance(base, Tup | Part | Const | Linear | Iter):
            return Sym(Root("local"))
        return Bound(base, name)

    def index(self, node: ir.Expr) -> tuple[object, ...]:
        """The steps that a subscript takes: one, or several for ``a[i, j]``."""
        if isinstance(node, ir.Sequence) and node.kind == "tuple":
            return tuple(step for item in node.items for step in self.index(item))
        if isinstance(node, ir.Slice):
            bounds = [
                None if part is None else self.as_index(self.eval(part)) for part in (node.lower, node.upper)
            ]
            if node.step is not None:
                self.eval(node.step)
                return (Sym(Root("local")),)
            low, high = (
                bound
                if isinstance(bound, int | Linear | None)
                else Linear(bound, 0)
                if isinstance(bound, Sym)
                else None
                for bound in bounds
            )
            return (Range(low, high),)
        return (self.as_index(self.eval(node)),)

    def as_index(self, value: Value) -> object:
        if isinstance(value, Const):
            try:
                hash(value.value)
            except TypeError:
                return Sym(Root("local"))
            return value.value
        if isinstance(value, Sym | Linear):
            return value
        if isinstance(value, Tup) and all(isinstance(item, Const) for item in value.items):
            return value
        return Sym(Root("local"))

    def e_getitem(self, node: ir.GetItem) -> Value:
        base = self.eval(node.base, moved=False)
        steps = self.index(node.index)
        if isinstance(base, Ext | ClassValue | Func | Wrapped | Bound | Partial):
            return base  # a subscripted generic, or nnx's Class[...]
        value: Value = base
        for step in steps:
            if step is None or step is ...:
                continue  # a new axis or an ellipsis: the same values
            if isinstance(step, Range):
                if (
                    isinstance(value, Sym | Part | Tup)
                    and isinstance(step.start, int | None)
                    and isinstance(step.stop, int | None)
                ):
                    if (step.start or 0) >= 0 and (
                        step.stop is None or step.stop >= 0 or isinstance(value, Sym | Tup)
                    ):
                        if step.start in (None, 0) and step.stop is None:
                            continue
                        type_ = self.typeof(value).kind
                        if type_ in ("array", "numpy", "state", "str"):
                            value = self.fresh(self.typeof(value), node.ref, "slice")
                            continue
                        value = self.slice(value, step.start or 0, step.stop)
                        continue
                value = self.fresh(self.typeof(value), node.ref, "slice")
                continue
            value = self.step(value, ("[", step))
        return value

    def e_slice(self, node: ir.Slice) -> Value:
        return Sym(Root("local"))

    def e_call(self, node: ir.Call) -> Value:
        return calls.call(self, node)

    def e_star(self, node: ir.Star) -> Value:
        return self.eval(node.value)

    def e_sequence(self, node: ir.Sequence) -> Value:
        values: list[Value] = []
        known = True
        for item in node.items:
            if isinstance(item, ir.Star):
                inner = self.eval(item.value)
                if isinstance(inner, Tup):
                    values.extend(inner.items)
                else:
                    known = False
                    values.append(inner)
            else:
                values.append(self.eval(item))
        if node.kind == "tuple" and known:
            return Tup(tuple(values))
        sym = self.fresh(Type(node.kind), node.ref, node.kind)
        if known and node.kind != "set":
            sym.root.size = None if node.kind == "list" else len(values)
            for position, value in enumerate(values):
                self.state.heap[Sym(sym.root, (("[", position),))] = value
            self.state.heap[Sym(sym.root, (("#", 0),))] = Const(len(values))
        return sym

    def e_mapping(self, node: ir.Mapping) -> Value:
        base: Sym | None = None
        sym = self.fresh(Type("dict"), node.ref, "dict")
        for key, value in node.items:
            held = self.eval(value)
            if key is None:
                if isinstance(held, Sym) and base is None and len(node.items) >= 1:
                    base = held
                continue
            index = self.as_index(self.eval(key))
            self.state.heap[Sym(sym.root, (("[", index),))] = held
        sym.root.base = base
        return sym

    def e_lambda(self, node: ir.Lambda) -> Value:
        frame = self.frame if self.frame.function is not None else None
        return Func(node.function, self.context, frame)

    def e_comprehension(self, node: ir.Comprehension) -> Value:
        sym = self.fresh(Type("list" if node.kind == "generator" else node.kind), node.ref, "comprehension")
        saved = dict(self.state.env)
        self._clauses(node, 0, sym, [0])
        if self.frame.state is not None:
            # Comprehension variables live in a scope of their own; walrus targets do not.
            bound = {name for clause in node.clauses for name in _names(clause.target)}
            for name in bound:
                if name in saved:
                    self.state.env[name] = saved[name]
                else:
                    self.state.env.pop(name, None)
        return sym

    def _clauses(self, node: ir.Comprehension, level: int, sym: Sym, count: list[int]) -> None:
        if level == len(node.clauses):
            element = self.eval(node.element)
            if node.value is not None:
                held = self.eval(node.value)
                self.state.heap[Sym(sym.root, (("[", self.as_index(element)),))] = held
            else:
                self.state.heap[Sym(sym.root, (("[", count[0]),))] = element
                count[0] += 1
            return
        clause = node.clauses[level]
        iterable = self.eval(clause.iter)

        def body() -> None:
            for test in clause.tests:
                self.eval(test)
            self._clauses(node, level + 1, sym, count)

        self.loop(
            lambda number: self._bind_element(clause.target, iterable, number, clause),
            body,
            self.length(iterable),
        )
        self._join_breaks()

    def e_conditional(self, node: ir.Conditional) -> Value:
        results: list[tuple[Value | None, Guards]] = []
        outer = self.state.path

        def arm(expr: ir.Expr) -> Callable[[], None]:
            def run() -> None:
                value = self.eval(expr)
                if self.frame.state is not None:
                    path = self.state.path
                    results.append((value, {k: v for k, v in path.items() if outer.get(k, results) != v}))

            return run

        self.branch(node.test, arm(node.then), arm(node.orelse))
        return merge_values(results) or NOTHING

    def e_boolop(self, node: ir.BoolOp) -> Value:
        results: list[tuple[Value | None, Guards]] = []
        left_value: list[Value] = []
        left = node.left

        def right() -> None:
            value = self.eval(node.right)
            results.append((value, dict(self.state.path)))

        def stay() -> None:
            results.append((left_value[0] if left_value else Sym(Root("local")), dict(self.state.path)))

        if isinstance(left, ir.Name | ir.GetAttr):
            left_value.append(self.eval(left))
        if node.op == "and":
            self.branch(left, right, stay)
        else:
            self.branch(left, stay, right)
        return merge_values(results) or NOTHING

    def e_binary(self, node: ir.Binary) -> Value:
        return self.binary(node.op, self.eval(node.left), self.eval(node.right), node.ref)

    def binary(self, op: str, left: Value, right: Value, ref: int) -> Value:
        if isinstance(left, Const) and isinstance(right, Const):
            a, b = left.value, right.value
            if isinstance(a, int) and isinstance(b, int) and abs(a) < 1 << 32 and abs(b) < 1 << 32:
                if op == "+":
                    return Const(a + b)
                if op == "-":
                    return Const(a - b)
                if op == "*":
                    return Const(a * b)
                if op == "//" and b:
                    return Const(a // b)
                if op == "%" and b:
                    return Const(a % b)
        if op in ("+", "-"):
            if isinstance(right, Const) and isinstance(right.value, int):
                by = right.value if op == "+" else -right.value
                if isinstance(left, Linear):
                    return Linear(left.base, left.offset + by)
                if isinstance(left, Sym) and self.typeof(left).kind in ("", "number"):
                    return Linear(left, by)
            if op == "+" and isinstance(left, Const) and isinstance(left.value, int):
                if isinstance(right, Linear):
                    return Linear(right.base, right.offset + left.value)
                if isinstance(right, Sym) and self.typeof(right).kind in ("", "number"):
                    return Linear(right, left.value)
            if op == "+" and isinstance(left, Tup) and isinstance(right, Tup):
                return Tup(left.items + right.items)
        if all(self.typeof(side).kind in ("static", "number", "str") for side in (left, right)):
            return self.fresh(STATIC, ref, "arithmetic")
        for side in (left, right):
            type_ = self.typeof(side)
            if type_.kind == "array":
                return self.fresh(Type("array", certain=type_.certain), ref, "arithmetic")
        return self.fresh(UNKNOWN, ref, "arithmetic")

    def e_unary(self, node: ir.Unary) -> Value:
        value = self.eval(node.value)
        if isinstance(value, Const) and node.op == "-" and isinstance(value.value, int | float):
            return Const(-value.value)
        if node.op in ("-", "+", "~") and self.typeof(value).kind == "array":
            return self.fresh(self.typeof(value), node.ref, "arithmetic")
        return self.fresh(UNKNOWN, node.ref)

    def e_compare(self, node: ir.Compare) -> Value:
        frame = self.frame
        outer = frame.replay
        if not outer and any(op in ("==", "!=") for op, _ in node.rest):
            frame.replay = next(_unique)
        left = self.eval(node.left)
        array = self.typeof(left).kind == "array"
        for _, right in node.rest:
            array = self.typeof(self.eval(right)).kind == "array" or array
        frame.replay = outer
        return self.fresh(Type("array") if array else UNKNOWN, node.ref)

    def e_walrus(self, node: ir.Walrus) -> Value:
        value = self.eval(node.value)
        self.assign_name(node.target.id, value, node.target.ref)
        return value

    def e_await(self, node: ir.Await) -> Value:
        return self.eval(node.value)

    def e_yield(self, node: ir.Yield) -> Value:
        if node.value is not None:
            self.eval(node.value)
        return Sym(Root("local"))

    def e_opaque(self, node: ir.Opaque) -> Value:
        for part in node.parts:
            self.eval(part)
        return self.fresh(Type("str") if node.kind == "string" else UNKNOWN, node.ref)


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


def _names(target: ir.Expr) -> Iterable[str]:
    if isinstance(target, ir.Name):
        yield target.id
    elif isinstance(target, ir.Sequence):
        for item in target.items:
            yield from _names(item)
    elif isinstance(target, ir.Star):
        yield from _names(target.value)


_STATEMENTS: dict[type, Callable[[Interpreter, Any], None]] = {
    ir.Assign: Interpreter.s_assign,
    ir.Annotated: Interpreter.s_annotated,
    ir.AugAssign: Interpreter.s_augassign,
    ir.ExprStmt: Interpreter.s_exprstmt,
    ir.Return: Interpreter.s_return,
    ir.Raise: Interpreter.s_raise,
    ir.Break: Interpreter.s_break,
    ir.Continue: Interpreter.s_continue,
    ir.If: Interpreter.s_if,
    ir.For: Interpreter.s_for,
    ir.While: Interpreter.s_while,
    ir.Try: Interpreter.s_try,
    ir.With: Interpreter.s_with,
    ir.Match: Interpreter.s_match,
    ir.Delete: Interpreter.s_delete,
    ir.Global: Interpreter.s_global,
    ir.Import: Interpreter.s_import,
    ir.Assert: Interpreter.s_assert,
    ir.FunctionDef: Interpreter.s_function,
    ir.ClassDef: Interpreter.s_class,
}

_EXPRESSIONS: dict[type, Callable[[Interpreter, Any], Value]] = {
    ir.Name: Interpreter.e_name,
    ir.Const: Interpreter.e_const,
    ir.GetAttr: Interpreter.e_getattr,
    ir.GetItem: Interpreter.e_getitem,
    ir.Slice: Interpreter.e_slice,
    ir.Call: Interpreter.e_call,
    ir.Star: Interpreter.e_star,
    ir.Sequence: Interpreter.e_sequence,
    ir.Mapping: Interpreter.e_mapping,
    ir.Lambda: Interpreter.e_lambda,
    ir.Comprehension: Interpreter.e_comprehension,
    ir.Conditional: Interpreter.e_conditional,
    ir.BoolOp: Interpreter.e_boolop,
    ir.Binary: Interpreter.e_binary,
    ir.Unary: Interpreter.e_unary,
    ir.Compare: Interpreter.e_compare,
    ir.Walrus: Interpreter.e_walrus,
    ir.Await: Interpreter.e_await,
    ir.Yield: Interpreter.e_yield,
    ir.Opaque: Interpreter.e_opaque,
}
