"""Reports what is static for a compiled function and yet has no hash, or changes afterwards.

## Why is this bad?

`jax.jit` compiles once for each value of its static arguments, and finds the compiled code again by their hash.
A list, a dict, an array or an instance of a plain dataclass has none, so the call raises.

```python bad
import jax

def resize(image, shape):
    return jax.image.resize(image, shape, "bilinear")

fast_resize = jax.jit(resize, static_argnums=1)

def halve(image):
    return fast_resize(image, [image.shape[0] // 2, image.shape[1] // 2])  # error: [PS305]
```

Pass a tuple, a frozen dataclass, or something else that never changes:

```python good
import jax

def resize(image, shape):
    return jax.image.resize(image, shape, "bilinear")

fast_resize = jax.jit(resize, static_argnums=1)

def halve(image):
    return fast_resize(image, (image.shape[0] // 2, image.shape[1] // 2))
```

An ordinary object has a hash, but one that does not see its attributes. A method that is compiled with `self`
static reads them once, while it is traced; what another method binds later is never seen.

```python bad
from functools import partial
import jax

class Objective:
    def __init__(self, target):
        self.target = target

    @partial(jax.jit, static_argnums=0)
    def compute(self, x):
        return (x - self.target) ** 2

    def set_target(self, target):
        self.target = target  # error: [PS305]
```

Pass what changes as an argument:

```python good
from functools import partial
import jax

class Objective:
    def __init__(self, target):
        self.target = target

    def compute(self, x):
        return self._compute(self.target, x)

    @partial(jax.jit, static_argnums=0)
    def _compute(self, target, x):
        return (x - target) ** 2

    def set_target(self, target):
        self.target = target
```

So does a function that is handed such an object as a static argument: an attribute that is assigned between two calls
keeps its old value in the compiled code.

```python bad
from functools import partial
import jax

class Schedule:
    def __init__(self, dt):
        self.dt = dt

@partial(jax.jit, static_argnums=0)
def advance(schedule, x):
    return x - schedule.dt * x

def run(schedule: Schedule, x, n):
    for _ in range(n):
        x = advance(schedule, x)
        schedule.dt = schedule.dt / 2  # error: [PS305]
    return x
```

Pass the value, or hand over a frozen dataclass and replace it:

```python good
import dataclasses
from functools import partial
import jax

@dataclasses.dataclass(frozen=True)
class Schedule:
    dt: float

@partial(jax.jit, static_argnums=0)
def advance(schedule, x):
    return x - schedule.dt * x

def run(schedule: Schedule, x, n):
    for _ in range(n):
        x = advance(schedule, x)
        schedule = dataclasses.replace(schedule, dt=schedule.dt / 2)
    return x
```
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_purestate._check import ir
from pytest_purestate._check.flow.classes import ClassInfo
from pytest_purestate._check.flow.facts import FunctionFacts, ModuleFacts, Mutation, Outdated, Slot, Trace
from pytest_purestate._check.flow.values import Func, Type
from pytest_purestate._check.model import Confidence, Finding, Label, Rule, Severity
from pytest_purestate._check.rules._reuse import scope_of, trace_label

_CONSTRUCTION = frozenset(
    "__init__ __post_init__ __new__ __setstate__ __init_subclass__ setup build reset_parameters".split()
)


def check(module: ModuleFacts) -> Iterator[Finding]:
    """One finding for each static argument without a hash, and for each late re-binding of an attribute."""
    for facts in module.functions:
        for static in facts.unhashable.values():
            if static.place is not None and not module.keeps_array(static.place, numpy=True):
                continue
            param = f" for `{static.param}`" if static.param else ""
            made = static.made if static.made != static.ref else -1
            yield Finding(
                code=RULE.code,
                path=module.path,
                message=f"the static argument{param} is {static.what}",
                primary=module.label(static.ref, f"`{static.api}` needs its hash"),
                related=(module.label(made, "made here"),) if made >= 0 else (),
                help="pass a tuple, a frozen dataclass, or something else with a hash; or do not make it static",
                confidence=static.confidence,
                scope=scope_of(facts),
            )
    done: set[int] = set()
    yield from _late(module, done)
    yield from _between(module, done)


def _method(function: ir.Function | None) -> ir.Function | None:
    while function is not None and function.owner is None:
        function = function.parent
    return function


def _late(module: ModuleFacts, done: set[int]) -> Iterator[Finding]:
    """Attributes that another method than the compiled one binds anew."""
    by_function = module.by_function()
    for function, trace in module.traced.items():
        owner = _compiled_with_self(function, trace)
        if owner is None:
            continue
        info = module.class_info(owner)
        if info is None or info.hashes_itself:
            continue
        family = {cls.cls for cls in info.lineage()}
        reads = _attributes(by_function, function, family)
        for facts in module.functions:
            setter = facts.function
            if setter is None or setter.owner is None or setter in module.traced:
                continue
            other = module.class_info(setter.owner)
            if setter.owner not in family and (other is None or info not in other.lineage()):
                continue
            if _constructs(module, setter, set()) or _reaches(by_function, setter, trace.place, set()):
                continue
            for mutation in facts.mutations.values():
                name = _rebound(module, setter, mutation)
                if name not in reads or mutation.ref in done or _waits_for_itself(mutation, name):
                    continue
                done.add(mutation.ref)
                yield _finding(module, facts, mutation, name, function, trace, reads[name])


def _between(module: ModuleFacts, done: set[int]) -> Iterator[Finding]:
    """Attributes of an object that are assigned between two calls which take it for a constant."""
    for facts in module.functions:
        for outdated in facts.outdated_statics.values():
            cls = outdated.change.type.cls
            classes = module.classes_at(outdated.place) or ({cls} if cls is not None else set())
            if not classes or not all(info.is_plain for info in classes):
                continue
            change = outdated.change
            while change.through is not None and change.through.context is module.context:
                change = change.through
            inner = change
            while inner.through is not None:
                inner = inner.through
            lowered = inner.context.lowered
            name = lowered.source.slice(lowered.span(inner.target)).rpartition(".")[2]
            reads = _reads(outdated.function, outdated.param, classes)
            if name in reads and change.ref not in done:
                done.add(change.ref)
                yield _outdated(module, facts, outdated, change.ref, name, reads[name])


def _reads(function: Func, param: str, classes: set[ClassInfo]) -> dict[str, Label]:
    """The attributes of an argument that a function reads, itself and through what it hands the argument to."""
    reads: dict[str, Label] = {}
    todo, seen = [(function.context.facts, function.function, param)], {(function.function, param)}
    while todo:
        module, top, called = todo.pop()
        owner = next((item for item in top.params if item.name == called), None)
        for facts in module.functions:
            found = [
                (name, ref)
                for (root, name), ref in facts.attributes.items()
                if root.name == called and root.owner is top
            ]
            for name, ref in found:
                reads.setdefault(name, module.label(ref, "read once, while tracing"))
            methods = [info.find(name) for info in classes for name, _ in found]
            further = [
                (method.context.facts, method.function, method.function.receiver)
                for method in methods
                if isinstance(method, Func)
            ]
            further += [
                (module, helper, given.name)
                for helper in (facts.calls.values() if _inside(facts.function, top) else ())
                for given in helper.params
                if any(
                    item == (owner, ()) or _is_one(item, classes)
                    for item in module.given.get(given, {}).get((), ())
                )
            ]
            todo += [entry for entry in further if entry[1:] not in seen]
            seen.update(entry[1:] for entry in further)
    return reads


def _inside(function: ir.Function | None, outer: ir.Function) -> bool:
    while function is not None and function is not outer:
        function = function.parent
    return function is outer


def _is_one(given: Type | Slot, classes: set[ClassInfo]) -> bool:
    return isinstance(given, Type) and given.cls in classes


def _outdated(
    module: ModuleFacts, facts: FunctionFacts, outdated: Outdated, ref: int, name: str, read: Label
) -> Finding:
    function = outdated.function.function.name
    return Finding(
        code=RULE.code,
        path=module.path,
        message=f"`{function}` goes on with the `{name}` that its static argument `{outdated.param}` had in the first call",
        primary=module.label(ref, "assigned between two calls, which the compiled function never sees"),
        related=(module.label(outdated.ref, f"static for `{function}` here"), read),
        help=f"pass `{name}` as an argument, or hand over a new frozen object that is compared by value",
        confidence=Confidence.LOW
        if module.is_test
        else Confidence.HIGH
        if outdated.change.type.cls is not None
        else Confidence.MEDIUM,
        scope=scope_of(facts),
    )


def _finding(
    module: ModuleFacts,
    facts: FunctionFacts,
    mutation: Mutation,
    name: str,
    function: ir.Function,
    trace: Trace,
    read: int,
) -> Finding:
    return Finding(
        code=RULE.code,
        path=module.path,
        message=f"`{function.name}` is compiled with the value that `self.{name}` had when it was traced",
        primary=module.label(mutation.ref, "bound anew here, which the compiled method never sees"),
        related=(module.label(read, "read once, while tracing"), trace_label(trace)),
        help=f"pass `self.{name}` to the compiled method as an argument",
        confidence=Confidence.LOW if module.is_test else Confidence.HIGH,
        scope=scope_of(facts),
    )


def _compiled_with_self(function: ir.Function, trace: Trace) -> ir.Class | None:
    """The class whose instance a compiled function takes for a constant that never changes."""
    if trace.mode != "jit" or not trace.api.startswith("jax."):
        return None
    if function.owner is not None and function.params:
        if function.params[0].name not in trace.fixed:
            return None
        inside = trace.place is None or trace.place.name in _CONSTRUCTION
        return function.owner if inside else None
    method = _method(function.parent)  # a closure that the constructor compiles
    if method is not None and method.name in _CONSTRUCTION and trace.place is method:
        return method.owner
    return None


def _attributes(
    by_function: dict[ir.Function, FunctionFacts], function: ir.Function, family: set[ir.Class]
) -> dict[str, int]:
    """The attributes of the instance that a function reads, itself and through the methods it calls."""
    reads: dict[str, int] = {}
    seen: set[ir.Function] = set()
    todo = [function]
    while todo:
        top = todo.pop()
        method = _method(top)
        facts = by_function.get(top)
        if top in seen or facts is None or method is None or method.owner not in family or not method.params:
            continue
        seen.add(top)
        for (root, name), ref in facts.attributes.items():
            if root.name == method.params[0].name and root.owner is method:
                reads.setdefault(name, ref)
        todo.extend(facts.calls.values())
        todo.extend(nested for nested in by_function if nested.parent is top)
    return reads


def _rebound(module: ModuleFacts, setter: ir.Function, mutation: Mutation) -> str:
    """The attribute of the instance that a statement of a method binds."""
    root = mutation.place.root
    if mutation.how != "setattr" or mutation.through is not None or mutation.place.path:
        return ""
    if root.owner is not setter or not setter.params or root.name != setter.params[0].name:
        return ""
    return module.text(mutation.target).rpartition(".")[2]


def _waits_for_itself(mutation: Mutation, name: str) -> bool:
    """Whether the attribute is bound once: ``if self.x is None: self.x = ...``."""
    place = mutation.place.child((".", name))
    return any(isinstance(condition, tuple) and place in condition for condition in mutation.guards)


def _constructs(module: ModuleFacts, function: ir.Function, seen: set[ir.Function]) -> bool:
    """Whether a method is (part of) the construction: only constructors call it."""
    if function.name in _CONSTRUCTION:
        return True
    if function in seen:
        return False
    seen.add(function)
    callers = [facts.function for facts in module.functions if function in facts.calls.values()]
    return bool(callers) and all(
        caller is not None and _constructs(module, caller, seen) for caller in callers
    )


def _reaches(
    by_function: dict[ir.Function, FunctionFacts],
    function: ir.Function,
    goal: ir.Function | None,
    seen: set[ir.Function],
) -> bool:
    """Whether a function calls the one that compiles, and so compiles anew."""
    if goal is None or function in seen:
        return False
    seen.add(function)
    facts = by_function.get(function)
    return function is goal or (
        facts is not None
        and any(_reaches(by_function, called, goal, seen) for called in facts.calls.values())
    )


RULE = Rule(code="PS305", name="mutable-static", since="0.1", severity=Severity.ERROR, check=check)
