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

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeGuard

from pytest_purestate._check import ir
from pytest_purestate._check.apis import ELEMENTS, OBJECTS, Signature
from pytest_purestate._check.flow import (
    aliases,
    callers,
    calls,
    conditions,
    defaults,
    donation,
    edits,
    keys,
    loops,
    order,
    successions,
    summarise,
    types,
    variables,
)
from pytest_purestate._check.flow.classes import ClassInfo, Field
from pytest_purestate._check.flow.facts import Effect
from pytest_purestate._check.flow.frame import Frame
from pytest_purestate._check.flow.state import State, merge, merge_values, narrowed
from pytest_purestate._check.flow.summary import Summary
from pytest_purestate._check.flow.values import (
    IMPOSSIBLE,
    NOTHING,
    UNKNOWN,
    Bound,
    Choice,
    ClassValue,
    Const,
    Ext,
    Func,
    Guards,
    Iter,
    Later,
    Linear,
    Origin,
    Part,
    Partial,
    Path,
    Periodic,
    Range,
    Root,
    Step,
    Sym,
    Tup,
    Type,
    Value,
    Wrapped,
    bounded,
    contradicts,
    unique,
    when_traced,
)

if TYPE_CHECKING:
    from pytest_purestate._check.flow.project import ModuleContext

__all__ = ["Frame", "Interpreter"]


_HOLDERS = (Sym, Part, Tup, Choice, Linear)
_STATIC = (Func, ClassValue, Ext, Wrapped, Partial, Bound)


_WRITERS = ("logger", "writer")
_ROUNDS = 2  # a helper of a helper is told what the first one was told before


class Interpreter:
    """Interprets one module: ``run_module`` first, then summaries of its functions on demand."""

    def __init__(self, context: ModuleContext) -> None:
        self.context = context
        self.known = context.project.known
        context.interpreter = self
        self.frame = Frame(None, context, None)
        self.module_frame = self.frame
        self.summaries: dict[ir.Function, Summary] = {}
        self.running: set[ir.Function] = set()
        self.recursive: set[ir.Function] = set()
        self.types: dict[Sym, Type] = {}
        self.narrowed: set[Root] = set()  # objects that a condition tells more of than an annotation
        self.stars: list[str] = []
        self.wrappers: dict[ir.Function, Func] = {}  # what decorators of the project made of functions
        self.veiled: set[ir.Function] = set()  # functions under a decorator that is not known
        self.defaults: dict[ir.Param, Type] = {}  # parameters with a mutable default
        self.given: dict[
            ir.Param, dict[Path, Type]
        ] = {}  # what calls in this module tell of parameters and their parts
        self.cells: dict[Func, Root] = {}  # closures that bind a captured variable anew, and what holds it
        self.work = 0

    # --- driving ---------------------------------------------------------------------------

    def run_module(self) -> None:
        """Interpret the module body. Functions wait until somebody calls them."""
        self._hoist(self.context.lowered.module.body)
        self.block(self.context.lowered.module.body)
        frame = self.module_frame
        if frame.state is None:
            frame.state = frame.last
        keys.finish(self, frame)
        successions.find_lost(self, frame)
        self.context.facts.functions.append(frame.facts)

    def run_functions(self) -> None:
        """Interpret every function that nobody called, so that each body is seen once."""
        for function in self.context.lowered.module.functions:
            if function not in self.summaries and function.parent is None:
                summarise.summary_of(self, Func(function, self.context))
        for _ in range(_ROUNDS):
            wanted = callers.wanted(self)
            self.given.update(wanted)
            for func in callers.forget(self, wanted) if wanted else ():
                summarise.summary_of(self, func)

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
        return self.context.global_place(name, types.typeof(self, value))

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

    def class_of(self, owner: ir.Class) -> ClassValue | None:
        return self.context_classes.get(owner)

    @property
    def context_classes(self) -> dict[ir.Class, ClassValue]:
        classes: dict[ir.Class, ClassValue] = self.__dict__.setdefault("_classes", {})
        return classes

    # --- names -----------------------------------------------------------------------------

    def lookup(self, name: str) -> Value:
        frame = self.frame
        value = self.state.env.get(name)
        if value is not None:
            return narrowed(value, self.state.path) if isinstance(value, Choice) else value
        function = frame.function
        if function is not None and name in function.bound:
            return self._unbound(name)
        return self.outer(name, frame)

    def _unbound(self, name: str) -> Value:
        value = self.state.env[name] = Sym(Root("local", UNKNOWN, name))
        return value

    def _method(self, value: Value | None, around: Frame | None = None) -> Value | None:
        """A method of a library's object, by itself: what it is must not be lost where the object is not seen.

        So it is with a method of a container of the frame ``around``, which is captured along with it.
        """
        if isinstance(value, Sym) and value.path and value.path[-1][0] == ".":
            base, member = Sym(value.root, value.path[:-1]), str(value.path[-1][1])
            kind = types.typeof(self, base).kind
            if member in ELEMENTS.get(kind, ()) or (kind in _WRITERS and self.known.method(kind, "", member)):
                return Bound(base, member)
            if around is not None and kind in ("list", "dict", "set") and edits.is_mutator(member, 1):
                env = (around.state or around.last).env
                named = next((name for name, held in env.items() if held == base), "")
                held = self.outer(named, self.frame) if named else None
                return Bound(held, member) if isinstance(held, Sym) else value
        return value

    def outer(self, name: str, frame: Frame) -> Value:
        """A name that the function does not bind: captured, global, or built in."""
        known = frame.free.get(name)
        if known is not None:
            return known
        parent = frame.parent
        while parent is not None and parent.function is not None:
            state = parent.state or parent.last
            value = self._method(state.env.get(name), parent)
            if value is not None or name in parent.function.bound:
                if isinstance(value, _STATIC):
                    if isinstance(value, Bound):
                        return value
                    if name in parent.jitted:
                        parent.facts.kept.add(parent.jitted[name])
                    return value
                keys.mark_read(parent, value, name)
                if isinstance(value, Sym):
                    parent.moved.add(value.root)
                successions.handed_on(parent, value)
                type_ = types.typeof(self, value) if value is not None else UNKNOWN
                held = value if isinstance(value, Sym) else None
                sym = Sym(Root("free", type_, name, owner=parent.function, held=held))
                frame.free[name] = sym
                return sym
            parent = parent.parent
        module = self.module_frame
        value = self._method((module.state or module.last).env.get(name))
        if value is None:
            value = self._star(name)
        if value is None:
            if name in types.BUILTINS:
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
        sym = self.context.global_place(name, types.typeof(self, value))
        frame.free[name] = sym
        return sym

    def assign_name(self, name: str, value: Value, ref: int) -> None:
        frame = self.frame
        frame.handed.pop(name, None)
        if name in frame.declared:
            nonlocal_ = frame.declared[name]
            if frame.function is not None:
                place = self.outer(name, frame)
                if isinstance(place, Sym):
                    frame.free[name] = place
                if value == place:  # it gets back the value that it had
                    self._put_back(name)
                    self.state.env[name] = value
                    return
                kind = "nonlocal" if nonlocal_ else "global"
                sources = types.sources(self, value)
                static = types.tells_shape(self, value) and not _is_computed(value)
                effect = Effect(
                    self.context, ref, kind, name, frame.statement, static=static, sources=sources,
                    when=when_traced(self.state.path),
                )  # fmt: skip
                frame.facts.effects.setdefault(ref, effect)
                if not nonlocal_:
                    variables.rebound(self, name, value, ref)
        elif frame is self.module_frame:
            variables.rebound(self, name, value, ref)
        elif name in frame.watched:
            variables.rebound_here(self, name, value, ref)
        self.state.env[name] = value

    def _put_back(self, name: str) -> None:
        facts = self.frame.facts
        for ref, effect in list(facts.effects.items()):
            if effect.kind in ("global", "nonlocal") and effect.what == name:
                del facts.effects[ref]
        for key in [key for key in facts.rebound if key[1] == name]:
            del facts.rebound[key]

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
            origin = place.root.origin
            if place.path[0][0] == "[" and origin is not None and origin.verb == "new:replace":
                return Sym(Root("local"))  # which of the elements its new fields are is not known
            inner: Value = base
            for step in place.path:
                inner = self.step(inner, step)
            if isinstance(inner, Sym) and inner.root.gone is not None:
                return Sym(
                    base.root, (*base.path, *place.path)
                )  # what a donating call returns has new buffers
            return inner
        return place

    def step(self, value: Value, step: Step) -> Value:
        """The attribute or element of a value."""
        if isinstance(value, Sym):
            if step[0] == "[" and isinstance(step[1], int) and step[1] < 0:
                size = value.root.size if not value.path else None
                if value.child(("#", 0)) in self.state.heap:
                    size = edits.list_length(self, value)
                    if size is None:
                        return Sym(Root("local"))  # which element is the last depends on the path
                if size is not None:
                    step = ("[", step[1] + size)
            return self.read(Sym(value.root, (*value.path, types.field_step(self, value, step))))
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
        return Sym(Root("local", types.part_type(self, value, step)))

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
        self.frame.valued.add(node.value.ref)
        alias = isinstance(node.value, ir.Name | ir.GetAttr) and all(
            isinstance(target, ir.Name) for target in node.targets
        )
        value = self.glanced(node.value) if alias else self.eval(node.value)
        for target in node.targets:
            if self.frame.loops and isinstance(target, ir.Name) and _is_made_of(node.value, target.id):
                edits.renew(self, target, node.value.op, value, node.ref)
            if isinstance(value, Wrapped) and isinstance(target, ir.Name):
                self.frame.jitted[target.id] = node.value.ref
            self.assign(target, value, node)

    def s_annotated(self, node: ir.Annotated) -> None:
        if node.value is not None:
            value = self.eval(node.value)
            type_ = types.annotation_type(self, node.annotation)
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
            successions.name(self, value, target, node)
            self.assign_name(target.id, value, target.ref)
        elif isinstance(target, ir.Sequence):
            self._unpack(target, value, node)
        elif isinstance(target, ir.GetAttr):
            base = self.eval(target.base, moved=False)
            edits.store_attribute(self, base, target, value, node)
        elif isinstance(target, ir.GetItem):
            base = self.eval(target.base, moved=False)
            index = self.index(target.index)
            if isinstance(base, Ext):
                calls.note_effect(self, f"{base.name}.__setitem__", target.ref)
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
        return Sym(Root("local", types.typeof(self, value)))

    def s_augassign(self, node: ir.AugAssign) -> None:
        value = self.eval(node.value)
        target = node.target
        if isinstance(target, ir.Name):
            old = self.lookup(target.id)
            edits.augment_name(self, old, target, value, node)
            new = self.made(self.binary(node.op, old, value, node.ref), old, value)
            if isinstance(new, Const) and any(number for _, number in self.frame.passes):
                new = Later(new.value)
            if isinstance(old, Sym) and isinstance(new, Sym) and types.typeof(self, new).kind == "list":
                new.root.uid = old.root.uid  # the same list, as far as anybody can tell
                order.added(self, new)
            if self.frame.loops:
                edits.renew(self, target, node.op, new, node.ref)
            self.assign_name(target.id, new, target.ref)
        elif isinstance(target, ir.GetAttr):
            base = self.eval(target.base, moved=False)
            old = self.getattr(base, target.name, target.ref)
            if isinstance(base, Sym):
                aliases.write(self, base.child((".", target.name)), node.ref, target.ref)
            result = self.made(self.binary(node.op, old, value, node.ref), old, value)
            edits.store_attribute(self, base, target, result, node)
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
            if node.value is not None:
                defaults.note_value(self, value, "returned", node.ref)
                order.shows(self, value, "returned", node.value.ref)
            self.frame.returns.append((value, self.state))
            self.frame.exits.append(node.value.ref if node.value is not None else node.ref)
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
        conditions.branch(self, node.test, lambda: self.block(node.body), lambda: self.block(node.orelse))

    # --- loops -----------------------------------------------------------------------------

    def s_for(self, node: ir.For) -> None:
        iterable = self.eval(node.iter)
        loops.over(
            self,
            iterable,
            node.iter.ref,
            lambda number: self._bind_element(node.target, iterable, number, node),
            lambda: self.block(node.body),
        )
        if self.frame.state is not None:
            self.block(node.orelse)
        loops.join_breaks(self)

    def _bind_element(self, target: ir.Expr, iterable: Value, number: int, node: ir.For | ir.Clause) -> bool:
        self.assign(target, loops.element(self, iterable, number), node)
        return True

    def s_while(self, node: ir.While) -> None:
        leaving: list[State] = []

        def test(number: int) -> bool:
            yes, no = conditions.assume(self, node.test)
            base = self.state
            if not contradicts(base.path, no):
                leaving.append(base.fork(no))
            if contradicts(base.path, yes):
                self.frame.state = None
                return False
            self.frame.state = base.fork(yes)
            return True

        loops.loop(self, test, lambda: self.block(node.body), None, conditional=True)
        # After the last pass the test is read once more: it may draw, too.
        if self.frame.state is not None:
            _, no = conditions.assume(self, node.test)
            base = self.state
            if no == IMPOSSIBLE:
                self.frame.state = None
            elif not contradicts(base.path, no):
                self.frame.state = base.fork(no)
        self.frame.state = merge([self.frame.state, *leaving])
        if self.frame.state is not None:
            self.block(node.orelse)
        loops.join_breaks(self)

    # --- other statements ------------------------------------------------------------------

    def s_try(self, node: ir.Try) -> None:
        """A handler starts from the state before the body: what failed cannot have been of use."""
        frame = self.frame
        before = self.state
        mark, which = ("try", next(unique)), ("handler", next(unique))
        frame.state = before.fork({mark: "whole"})
        outer = frame.caught
        frame.caught = outer | {name for handler in node.handlers for name in self._awaited(handler)}
        self.block(node.body)
        frame.caught = outer
        if frame.state is not None:
            self.block(node.orelse)
        states: list[State | None] = [frame.state]
        for number, handler in enumerate(node.handlers):
            # Whichever handler it was, the body failed.
            frame.state = before.fork({mark: "failed", which: number})
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

    def _awaited(self, handler: ir.Handler) -> Iterable[str]:
        """The names of the exceptions that a handler is for."""
        node = handler.type
        for item in node.items if isinstance(node, ir.Sequence) else () if node is None else (node,):
            value = types.static_value(self, item)
            if isinstance(value, Ext):
                yield value.name.rpartition(".")[2]

    def s_with(self, node: ir.With) -> None:
        frame = self.frame
        outer = frame.glance, frame.caught
        for item, target in node.items:
            value = self.eval(item)
            if target is not None:
                self.assign(target, order.entered(self, value, item.ref), node)
            if types.typeof(self, value).kind == "raises":
                frame.glance += 1
                frame.caught = frame.caught | {"BaseException"}
        self.block(node.body)
        frame.glance, frame.caught = outer

    def s_match(self, node: ir.Match) -> None:
        subject = self.eval(node.subject)
        frame = self.frame
        base = self.state
        mark = ("match", next(unique))
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
        outer, frame.replay = frame.replay, next(unique)
        yes, _ = conditions.assume(self, node.test)
        frame.replay = outer
        if node.message is not None:
            self.eval(node.message)
        if not contradicts(self.state.path, yes):
            frame.state = State(self.state.env, self.state.heap, self.state.spent, {**self.state.path, **yes})

    def s_function(self, node: ir.FunctionDef) -> None:
        function = node.function
        for param in function.params:
            defaults.evaluate(self, param)
        frame = self.frame if self.frame.function is not None else None
        value: Value = Func(function, self.context, frame)
        if self.frame.passes:
            self.frame.facts.built.add(function)
        for decorator in reversed(function.decorators):
            value = calls.decorate(self, self.eval(decorator), value, decorator)
            self.frame.jitted[function.name] = decorator.ref
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
                named = types.static_value(self, decorator.func)
                options = {arg.name: self.eval(arg.value) for arg in decorator.args if arg.name}
                for arg in decorator.args[:1]:  # functools.partial(dataclass, ...) spells the target first
                    if isinstance(named, Ext) and named.name == "functools.partial" and arg.name is None:
                        named = types.static_value(self, arg.value)
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
                type_ = types.annotation_type(self, statement.annotation)
                if default is not None and (held := types.typeof(self, default)).kind in OBJECTS:
                    type_ = held  # ``kernel_init: Callable = nn.initializers.normal()``
                made = self.state.heap.get(default.child((".", "made"))) if isinstance(default, Sym) else None
                if made is not None and types.entropy_of(types.typeof(self, made)):
                    type_ = types.typeof(self, made)  # ``seed: int = field(default_factory=...)``
                defaults.note_field(self, info, statement, default)
                meta = isinstance(default, Sym) and default.child((".", "meta")) in self.state.heap
                info.own_fields[name] = Field(name, type_, statement.target.ref, default, meta)
            else:
                self.block((statement,))
        if self.frame.state is None:
            return
        after = self.state.env
        info.namespace.update({name: value for name, value in after.items() if before.get(name) is not value})
        self.state.env = before

    def understood(self, ref: int, name: str, by: Signature | Summary | None) -> None:
        """Called for every call: what told its meaning. None where nothing did. See `watch`."""

    # --- expressions -----------------------------------------------------------------------

    def eval(self, node: ir.Expr, moved: bool = True) -> Value:
        """The value of an expression. ``moved`` is False when only a place below it is wanted."""
        value = _EXPRESSIONS[type(node)](self, node)
        if moved and isinstance(value, Sym | Choice | Tup):
            if isinstance(value, Sym):
                self.frame.moved.add(value.root)
            if not isinstance(node, ir.Call):
                successions.handed_on(self.frame, value)
            if not isinstance(value, Tup):
                return donation.note_use(self, value, node.ref)
        return value

    def glanced(self, node: ir.Expr) -> Value:
        """The value of an expression that is not read: named, compared with None, asked for its shape."""
        frame = self.frame
        frame.glance += 1
        value = self.eval(node)
        frame.glance -= 1
        return value

    def e_name(self, node: ir.Name) -> Value:
        value = self.lookup(node.id)
        for handed in self.frame.handed.pop(node.id, ()):
            handed.again = True
        if isinstance(value, Wrapped) and node.ref != self.frame.calling and node.id in self.frame.jitted:
            self.frame.facts.kept.add(self.frame.jitted[node.id])
        if isinstance(value, Sym | Choice | Tup | Part):
            keys.mark_read(self.frame, value, node.id)
            variables.read(self, value, node.ref)
        return value

    def e_const(self, node: ir.Const) -> Value:
        return Const(node.value)

    def e_getattr(self, node: ir.GetAttr) -> Value:
        base = self.eval(node.base, moved=False)
        self.note_attribute(base, node.name, node.ref)
        return self.getattr(base, node.name, node.ref)

    def note_attribute(self, base: Value, name: str, ref: int) -> None:
        """Note that an attribute of an object from outside is read."""
        variables.read_part(self, base, (".", name), ref)
        if isinstance(base, Sym) and not base.path and base.root.kind != "local":
            self.frame.facts.attributes.setdefault((base.root, name), ref)

    def getattr(self, base: Value, name: str, ref: int) -> Value:
        if isinstance(base, Ext):
            return Ext(f"{base.name}.{name}")
        if isinstance(base, Sym):
            place = Sym(base.root, (*base.path, (".", name)))
            value = self.read(place)
            if value is place:
                type_ = types.typeof(self, base)
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
            if isinstance(member, Sym) and member.root.kind == "local" and self.frame.function is not None:
                shared = f"{base.info.name}.{name}"
                return base.info.context.global_place(shared, types.typeof(self, member))
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
        if len(steps) == 1:
            variables.read_part(self, base, ("[", steps[0]), node.ref)
        if steps and isinstance(steps[0], Range | int):
            order.shows(self, base, "picked", node.ref)
        if isinstance(base, Ext | ClassValue | Func | Wrapped | Bound | Partial):
            if isinstance(base, Ext):
                calls.note_effect(self, f"{base.name}.__getitem__", node.ref)
            return base  # a subscripted generic, or nnx's Class[...]
        if isinstance(node.base, ir.Call) and isinstance(base, Tup) and len(steps) == 1:
            (one,) = steps
            if isinstance(one, int) and 0 <= one < len(base.items):
                rest = Tup((*base.items[:one], *base.items[one + 1 :]))
                successions.left_behind(self, rest, node.base, node.ref)
        successions.part(self, base, steps[0] if steps else None)
        if (type_ := types.typeof(self, base)).kind == "ref" and type_ != types.VIEWS:
            return self.made(self.fresh(Type("array", certain=type_.certain), node.ref), base)
        if isinstance(base, Sym) and base.path[-1:] == ((".", "at"),):
            # One place of an update, whatever its index is made of.
            return self.step(base, ("[", steps[0] if len(steps) == 1 else Sym(Root("local"))))
        value: Value = base
        for step in steps:
            if step is None or step is ...:
                continue  # a new axis or an ellipsis: the same values
            if isinstance(step, Range):
                value = donation.note_use(self, value, node.base.ref)
            value = (
                self._sliced(value, step, node.ref)
                if isinstance(step, Range)
                else self.step(value, ("[", step))
            )
        return value

    def _sliced(self, value: Value, bounds: Range, ref: int) -> Value:
        """``value[start:stop]``: a part of a key array, list or tuple; of an array a new array."""
        start, stop = bounds.start or 0, bounds.stop
        if start == 0 and stop is None:
            return value
        known = (
            isinstance(value, Sym | Part | Tup) and isinstance(start, int) and isinstance(stop, int | None)
        )
        if not known or types.typeof(self, value).kind in ("array", "numpy", "state", "str"):
            return self.fresh(types.typeof(self, value), ref, "slice")
        assert isinstance(start, int)
        assert isinstance(stop, int | None)
        if start < 0 or (stop is not None and stop < 0 and isinstance(value, Part)):
            return self.fresh(types.typeof(self, value), ref, "slice")
        return self.slice(value, start, stop)

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
            return bounded(Tup(tuple(values)))
        type_ = order.set_type(self, values) if node.kind == "set" else Type(node.kind)
        sym = self.fresh(type_, node.ref, node.kind)
        for item, value in zip(node.items, values, strict=False):
            if isinstance(item, ir.Star) and node.kind != "set":
                order.mark(self, sym, order.source_of(self, value, item.value.ref))
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
        if self.frame.passes:
            self.frame.facts.built.add(node.function)
        return Func(node.function, self.context, frame)

    def e_comprehension(self, node: ir.Comprehension) -> Value:
        type_ = Type("list", name="generator") if node.kind == "generator" else Type(node.kind)
        sym = self.fresh(type_, node.ref, "comprehension")
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
            outer, self.frame.mapped = self.frame.mapped, self.frame.mapped or _maps(node)
            element = self.eval(node.element)
            self.frame.mapped = outer
            if len(self.frame.passes) == len(node.clauses):  # what no loop around makes again is kept
                self.frame.facts.apart.add((node.value or node.element).ref)
            for part in element.items if isinstance(element, Tup) else ():
                order.placed(self, part, node.element.ref)
            if node.value is not None:
                held = self.eval(node.value)
                order.placed(self, held, node.value.ref)
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

        if node.kind in ("list", "generator"):
            order.mark(self, sym, order.source_of(self, iterable, clause.iter.ref))
        loops.over(
            self,
            iterable,
            clause.iter.ref,
            lambda number: self._bind_element(clause.target, iterable, number, clause),
            body,
        )
        loops.join_breaks(self)

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

        conditions.branch(self, node.test, arm(node.then), arm(node.orelse))
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
            conditions.branch(self, left, right, stay)
        else:
            conditions.branch(self, left, stay, right)
        return merge_values(results) or NOTHING

    def e_binary(self, node: ir.Binary) -> Value:
        left, right = self.eval(node.left), self.eval(node.right)
        return self.made(self.binary(node.op, left, right, node.ref), left, right)

    def made(self, result: Value, *parts: Value) -> Value:
        """A new value, with a note of what it was made of."""
        if (
            isinstance(result, Sym)
            and not result.path
            and result.root.kind == "local"
            and not result.root.made_of
        ):
            result.root.made_of = tuple([part for part in parts if isinstance(part, _HOLDERS)])
        return result

    def binary(self, op: str, left: Value, right: Value, ref: int) -> Value:
        if isinstance(left, Const) and isinstance(right, Const):
            a, b = left.value, right.value
            if isinstance(a, int) and isinstance(b, int) and abs(a) < 1 << 32 and abs(b) < 1 << 32:
                known = {"+": a + b, "-": a - b, "*": a * b}
                if b:
                    known |= {"//": a // b, "%": a % b}
                if op in known:
                    return _counted(op, left, right)(known[op])
        if op in ("+", "-"):
            if isinstance(right, Const) and isinstance(right.value, int):
                by = right.value if op == "+" else -right.value
                if isinstance(left, Linear):
                    return Linear(left.base, left.offset + by)
                if isinstance(left, Sym) and types.typeof(self, left).kind in ("", "number"):
                    return Linear(left, by)
            if op == "+" and isinstance(left, Const) and isinstance(left.value, int):
                if isinstance(right, Linear):
                    return Linear(right.base, right.offset + left.value)
                if isinstance(right, Sym) and types.typeof(self, right).kind in ("", "number"):
                    return Linear(right, left.value)
            if op == "+" and isinstance(left, Tup) and isinstance(right, Tup):
                return bounded(Tup(left.items + right.items))
        sides = [types.typeof(self, left), types.typeof(self, right)]
        kinds = [side.kind for side in sides]
        if kinds[0] == "set" or (op in "-&|^" and isinstance(left, Iter) and left.kind == "keys"):
            return self.fresh(types.typeof(self, left) if kinds[0] == "set" else order.SET, ref, "set")
        if kinds[0] == "path" and op == "/":
            return self.fresh(Type("path"), ref, "path")
        if op == "+" and "list" in kinds and set(kinds) <= {"list", "tuple", ""}:
            return order.joined(self, left, right, ref)
        if all(kind in ("static", "number", "str") for kind in kinds):
            made = types.TEXT if types.TEXT in sides else types.STATIC
            return self.fresh(made, ref, "arithmetic")
        if op != "@" and (sides[0].name == "ndarray" or sides[1].name == "ndarray"):
            elements = types.of_elements(*sides)
            if elements is not None:
                return self.fresh(elements, ref, "arithmetic")
        for type_ in sides:
            if source := types.entropy_of(type_):
                return self.fresh(Type("entropy", name=source), ref, "arithmetic")
            if type_.kind == "array":
                return self.fresh(Type("array", certain=type_.certain), ref, "arithmetic")
        return self.fresh(UNKNOWN, ref, "arithmetic")

    def e_unary(self, node: ir.Unary) -> Value:
        value = self.eval(node.value)
        if isinstance(value, Const) and node.op == "-" and isinstance(value.value, int | float):
            return Const(-value.value)
        type_ = types.typeof(self, value)
        if node.op in ("-", "+", "~") and (type_.kind == "array" or type_.name == "ndarray"):
            return self.made(self.fresh(type_, node.ref, "arithmetic"), value)
        return self.made(self.fresh(UNKNOWN, node.ref), value)

    def e_compare(self, node: ir.Compare) -> Value:
        frame = self.frame
        outer = frame.replay
        if not outer and any(op in ("==", "!=") for op, _ in node.rest):
            frame.replay = next(unique)
        read = self.glanced if all(op in ("is", "is not") for op, _ in node.rest) else self.eval
        left = read(node.left)
        array = types.typeof(self, left).kind == "array"
        for _, right in node.rest:
            array = types.typeof(self, read(right)).kind == "array" or array
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
            value = self.eval(node.value)
            if self.frame.lent:
                self.frame.yields.append(value)
        return Sym(Root("local"))

    def text(self, parts: Sequence[Value], ref: int) -> Value:
        """A text that is put together."""
        if all(types.is_static(self, part) for part in parts):
            return self.fresh(Type("str"), ref)
        return self.made(self.fresh(types.TEXT, ref), *parts)

    def e_opaque(self, node: ir.Opaque) -> Value:
        parts = [self.eval(part) for part in node.parts]
        if node.kind == "string":
            return self.text(parts, node.ref)
        return self.fresh(UNKNOWN, node.ref)


def _is_made_of(node: ir.Expr, name: str) -> TypeGuard[ir.Binary]:
    """Whether an expression is arithmetic with a variable."""
    if not isinstance(node, ir.Binary):
        return False
    return any(isinstance(side, ir.Name) and side.id == name for side in (node.left, node.right))


def _counted(op: str, left: Const, right: Const) -> type[Const]:
    """What the result of arithmetic is, by whether the count of a loop is in it."""
    if not isinstance(left, Later) and not isinstance(right, Later):
        return Const
    periodic = isinstance(left, Periodic) or isinstance(right, Periodic)
    grows = op == "+" or (op in ("-", "*") and isinstance(left, Later) and not isinstance(right, Later))
    return Later if grows and not periodic else Periodic


def _is_computed(value: Value) -> bool:
    """Whether arithmetic made a value, of itself as like as not: it counts."""
    origin = value.root.origin if isinstance(value, Sym) and not value.path else None
    return origin is not None and origin.verb == "arithmetic"


def _maps(node: ir.Comprehension) -> bool:
    """Whether a comprehension does one call to each of some things."""
    bound = {name for clause in node.clauses for name in _names(clause.target)}
    call = node.element
    return isinstance(call, ir.Call) and any(
        isinstance(arg.value, ir.Name) and arg.value.id in bound for arg in call.args
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
