"""Reports attribute assignment on an instance of a frozen class.

## Why is this bad?

`TrainState`, `flax.struct` dataclasses, NamedTuples, frozen dataclasses and Equinox modules are replaced,
never edited: the assignment raises when it runs. The right way returns a new instance.

```python bad
from flax.training.train_state import TrainState

def restart(state: TrainState) -> TrainState:
    state.step = 0  # error: [PS203]
    return state
```

```python fixed
from flax.training.train_state import TrainState

def restart(state: TrainState) -> TrainState:
    state = state.replace(step=0)
    return state
```

Classes that are mutable by design (`nnx.Module`, `hk.Module`, `chex.dataclass`) are right to assign to:

```python good
import chex
import jax

@chex.dataclass
class Counter:
    n: jax.Array

def restart(counter: Counter) -> Counter:
    counter.n = 0
    return counter
```
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_purestate._check import ir
from pytest_purestate._check.flow.classes import family_of, is_frozen
from pytest_purestate._check.flow.facts import FunctionFacts, ModuleFacts, Mutation
from pytest_purestate._check.flow.values import contradicts
from pytest_purestate._check.model import Applicability, Confidence, Edit, Finding, Fix, Rule, Severity
from pytest_purestate._check.rules._reuse import scope_of
from pytest_purestate._check.rules._text import fitted

_AWAITED = frozenset(
    ("BaseException", "FrozenInstanceError", "AttributeError", "TypeError", "SetAttributeFrozenModuleError")
)
_CONSTRUCTION = frozenset(("__init__", "__post_init__", "__new__", "__setstate__", "setup", "__check_init__"))


def _is_own_module(facts: FunctionFacts, mutation: Mutation, family: str) -> bool:
    """``self.x = ...``: construction, or a module assigning to itself, which is another rule's matter."""
    function = facts.function
    if function is None or function.owner is None or not function.params:
        return False
    own = mutation.place.root.name == function.params[0].name and not mutation.place.path
    return own and (function.name in _CONSTRUCTION or family in ("linen", "equinox"))


def _is_unbound(module: ModuleFacts, facts: FunctionFacts, mutation: Mutation) -> bool:
    """Whether a linen module is made here, outside of any other: linen takes assignments to it until it is bound."""
    function = facts.function
    while function is not None:
        info = module.class_info(function.owner) if function.owner is not None else None
        if info is not None and info.family[0] == "linen":
            return False
        function = function.parent
    return mutation.place.root.kind == "local" and not mutation.place.path


def _new_value(family: str, base: str, name: str, value: str) -> str:
    if family == "namedtuple":
        return f"{base} = {base}._replace({name}={value})"
    if family == "equinox":
        return f"{base} = eqx.tree_at(lambda node: node.{name}, {base}, {value})"
    if family == "dataclass":
        return f"{base} = dataclasses.replace({base}, {name}={value})"
    return f"{base} = {base}.replace({name}={value})"


def _fix(module: ModuleFacts, mutation: Mutation, family: str, base: str, name: str) -> Fix | None:
    if mutation.value < 0 or not base.isidentifier() or not module.fixable(mutation.ref) or family == "linen":
        return None
    value = module.text(mutation.value)
    if mutation.op:
        value = f"{base}.{name} {mutation.op} {fitted('x ' + mutation.op + ' {}', value)}"
    if module.span(mutation.target).start != module.span(mutation.ref).start or "\n" in value:
        return None
    value = fitted("f(x={})", value)
    # equinox and dataclasses need an import that may not be there, or is spelled otherwise.
    applicability = Applicability.UNSAFE if family in ("struct", "namedtuple") else Applicability.DISPLAY_ONLY
    return Fix(
        "make a new instance",
        (Edit(module.span(mutation.ref), _new_value(family, base, name, value)),),
        applicability,
    )


def _in_constructor(module: ModuleFacts, facts: FunctionFacts, mutation: Mutation) -> Finding | None:
    """``self.x = ...`` in a constructor of a class that is frozen from the start."""
    function, cls = facts.function, mutation.type.cls
    family = family_of(mutation.type)
    if function is None or function.name not in ("__init__", "__post_init__") or cls is None:
        return None
    if family not in ("struct", "dataclass", "chex") or cls.find("__setattr__") is not None:
        return None
    target = module.text(mutation.target)
    base, _, name = target.rpartition(".")
    if not base.isidentifier() or mutation.op:  # ``setattr(...)`` of some kind
        return None
    return Finding(
        code=RULE.code,
        path=module.path,
        message=f"`{target}` is assigned in the constructor of a frozen `{_class_name(mutation)}`, "
        "which is frozen already",
        primary=module.label(mutation.ref, "raises when an instance is made"),
        help=f'use `object.__setattr__({base}, "{name}", ...)`, or compute the value before and give it to '
        "the constructor",
        confidence=Confidence.HIGH,
        scope=scope_of(facts),
    )


def _class_name(mutation: Mutation) -> str:
    type_ = mutation.type
    return type_.cls.name if type_.cls is not None else type_.name.rpartition(".")[2]


def _constructs(mutation: Mutation) -> bool:
    """Whether the edited object is the one that a constructor makes."""
    root, owner = mutation.place.root, mutation.place.root.owner
    if not isinstance(owner, ir.Function) or owner.owner is None or not owner.params:
        return False
    return owner.name in _CONSTRUCTION and root.name == owner.params[0].name


def _is_tuple(facts: FunctionFacts, mutation: Mutation) -> bool:
    """Whether a method that only a NamedTuple has is called of the same object, on a path that may lead to the edit."""
    return any(not contradicts(guards, mutation.guards) for guards in facts.tuples.get(mutation.place, ()))


def _of_tuple(module: ModuleFacts, facts: FunctionFacts, mutation: Mutation) -> Finding:
    """An assignment to an attribute of what has a method that only a NamedTuple has."""
    base, _, name = module.text(mutation.target).rpartition(".")
    return Finding(
        code=RULE.code,
        path=module.path,
        message=f"`{base}` is a NamedTuple, as its `_replace` says; its attribute `{name}` cannot be assigned",
        primary=module.label(mutation.ref, "raises when it runs"),
        help=f"make a new one: `{_new_value('namedtuple', base, name, '...')}`",
        confidence=Confidence.MEDIUM,
        fix=_fix(module, mutation, "namedtuple", base, name),
        scope=scope_of(facts),
    )


def _of_call(module: ModuleFacts, facts: FunctionFacts, mutation: Mutation) -> Finding | None:
    """A function of this module that assigns to what it is given, called with a frozen instance."""
    inner = mutation.through
    while inner is not None and inner.through is not None:
        if _constructs(inner):
            return None
        inner = inner.through
    if _is_own_module(facts, mutation, family_of(mutation.type)):
        return None
    if inner is None or inner.type.kind or inner.caught & _AWAITED or inner.context is not module.context:
        return None  # where the class is known inside, that finding says it
    base, _, name = module.text(inner.target).rpartition(".")
    cls, family = _class_name(mutation), family_of(mutation.type)
    scopes = (scope_of(other) for other in module.functions if (inner.ref, inner.how) in other.mutations)
    return Finding(
        code=RULE.code,
        path=module.path,
        message=f"`{base}` is a frozen `{cls}` here; its attribute `{name}` cannot be assigned",
        primary=module.label(inner.ref, _RAISES.get(family, "raises when it runs")),
        related=(module.label(mutation.target, f"called with a `{cls}` here"),),
        help=f"make a new one: `{_new_value(family, base, name, '...')}`",
        confidence=Confidence.LOW
        if family == "linen"
        else Confidence.HIGH
        if mutation.type.certain
        else Confidence.MEDIUM,
        scope=next(scopes, scope_of(facts)),
    )


_RAISES = {"linen": "raises when the module is bound"}


def check(module: ModuleFacts) -> Iterator[Finding]:
    """One finding for each assignment to an attribute of a provably frozen instance."""
    through: dict[int, Finding] = {}
    direct: list[Finding] = []
    for facts in module.functions:
        for mutation in facts.mutations.values():
            if mutation.how != "setattr" or mutation.caught & _AWAITED:
                continue
            if _is_tuple(facts, mutation) and not mutation.type.kind and mutation.through is None:
                direct.append(_of_tuple(module, facts, mutation))
            if not is_frozen(mutation.type):
                continue
            if mutation.through is None and module.handed_over(mutation.place):
                continue  # told where a call hands it over, which may await the exception
            if mutation.through is not None:
                finding = _of_call(module, facts, mutation)
                if finding is not None:
                    through.setdefault(finding.primary.span.start, finding)
                continue
            family = family_of(mutation.type)
            if _is_own_module(facts, mutation, family):
                made = _in_constructor(module, facts, mutation)
                direct += [made] if made is not None else []
                continue
            if family == "linen" and _is_unbound(module, facts, mutation):
                continue
            base, _, name = module.text(mutation.target).rpartition(".")
            cls = _class_name(mutation)
            direct.append(
                Finding(
                    code=RULE.code,
                    path=module.path,
                    message=f"`{base}` is a frozen `{cls}`; its attribute `{name}` cannot be assigned",
                    primary=module.label(mutation.ref, _RAISES.get(family, "raises when it runs")),
                    help=f"make a new one: `{_new_value(family, base, name, '...')}`",
                    # A linen module that no scope has bound yet takes the assignment.
                    confidence=Confidence.LOW if family == "linen" else Confidence.HIGH,
                    fix=_fix(module, mutation, family, base, name),
                    scope=scope_of(facts),
                )
            )
    yield from (finding for finding in direct if finding.primary.span.start not in through)
    yield from through.values()


RULE = Rule(code="PS203", name="frozen-assignment", since="0.1", severity=Severity.ERROR, check=check)
