"""Reports `jit` of a function that is built anew in every iteration of a host loop.

## Why is this bad?

`jax.jit` caches compiled code by the function object. A lambda, a partial, a bound method or a nested def
made inside the loop is a new object each time, so every iteration traces and compiles again: seconds
instead of microseconds.

```python bad
import jax

def solve(x, target, n):
    for _ in range(n):
        x = jax.jit(lambda z: z + 0.5 * (target - z))(x)  # error: [PS304]
    return x
```

The same happens where a function that a loop calls makes it in each call:

```python bad
import jax

class Policy:
    def logits(self, obs):
        return obs @ self.weights

    def act(self, obs):
        return jax.jit(self.logits)(obs).argmax()  # error: [PS304]

def episode(policy, obs, n):
    for _ in range(n):
        obs = obs + policy.act(obs)
    return obs
```

Make the compiled function once:

```python good
import jax

@jax.jit
def relax(z, target):
    return z + 0.5 * (target - z)

def solve(x, target, n):
    for _ in range(n):
        x = relax(x, target)
    return x
```

A loop over the functions themselves compiles each of them once, which is right; so does one over what the function
is made of: models that it calls, or values that shape it, and one that compiles ahead of time for other shapes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pytest_purestate._check import ir
from pytest_purestate._check.flow.facts import FunctionFacts, ModuleFacts, Rebuilt
from pytest_purestate._check.model import Confidence, Finding, Rule, Severity
from pytest_purestate._check.rules._reuse import scope_of

_WHAT = {
    "lambda": "a lambda",
    "partial": "a partial",
    "method": "a bound method",
    "def": "a nested function",
    "wrapped": "a function that another transform makes",
}


def check(module: ModuleFacts) -> Iterator[Finding]:
    """One finding for each compiled function that a loop rebuilds, itself or through what it calls."""
    traced = {facts.function for facts, _ in module.traced_functions()}
    by_function = module.by_function()
    for facts in module.functions:
        if facts.function in traced:
            continue
        for rebuilt in facts.rebuilt.values():
            if rebuilt.ref in facts.apart:
                continue
            if rebuilt.place is not None and not module.is_method(rebuilt.place):
                continue
            what = _WHAT[rebuilt.what]
            sure = Confidence.LOW if module.is_test or _has_to(by_function, rebuilt) else Confidence.HIGH
            yield Finding(
                code=RULE.code,
                path=module.path,
                message=f"`{rebuilt.api}` compiles {what} anew in every iteration",
                primary=module.label(rebuilt.ref, "a new function object each time, so nothing is cached"),
                help="make the compiled function once, before the loop, and pass what changes as an argument",
                confidence=sure,
                scope=scope_of(facts),
            )
    yield from _each_call(module, traced, by_function)


def _each_call(
    module: ModuleFacts, traced: set[ir.Function | None], by_function: Mapping[ir.Function, FunctionFacts]
) -> Iterator[Finding]:
    """One finding for each compiled function that a function which a loop calls makes anew."""
    looped: dict[ir.Function, int] = {}
    methods = [function for function in by_function if function.owner is not None]
    for facts in module.functions:
        if facts.function in traced:
            continue
        looped.update(facts.looped)
        for name, ref in facts.looped_methods.items():
            named = [function for function in methods if function.name == name]
            if len(named) == 1:
                looped.setdefault(named[0], ref)
    todo = list(looped)
    while todo:
        top = todo.pop()
        for called in by_function[top].calls.values() if top in by_function else ():
            if called not in looped:
                looped[called] = looped[top]
                todo.append(called)
    for function, ref in looped.items():
        if function not in by_function or function in traced or _is_cached(function):
            continue
        facts = by_function[function]
        for rebuilt in facts.compiles.values():
            if rebuilt.place is not None and not module.is_method(rebuilt.place):
                continue
            at_once = rebuilt.ref in facts.at_once - facts.kept or _is_property(function)
            if at_once and not _has_to(by_function, rebuilt, function):
                yield Finding(
                    code=RULE.code,
                    path=module.path,
                    message=f"`{rebuilt.api}` compiles {_WHAT[rebuilt.what]} anew in every call of `{function.name}`",
                    primary=module.label(
                        rebuilt.ref, "a new function object each time, so nothing is cached"
                    ),
                    related=(module.label(ref, f"`{function.name}` runs in this loop"),),
                    help="make the compiled function once, outside, and pass what changes as an argument",
                    confidence=Confidence.LOW if module.is_test else Confidence.MEDIUM,
                    scope=scope_of(facts),
                )


def _is_cached(function: ir.Function) -> bool:
    """Whether a decorator remembers the results."""
    names = (item.func if isinstance(item, ir.Call) else item for item in function.decorators)
    return any("cache" in getattr(item, "name", getattr(item, "id", "")) for item in names)


def _is_property(function: ir.Function) -> bool:
    """Whether it runs whenever an attribute is looked at, so that what it returns is used at once."""
    return any(isinstance(item, ir.Name) and item.id == "property" for item in function.decorators)


def _has_to(
    by_function: Mapping[ir.Function, FunctionFacts], rebuilt: Rebuilt, caller: ir.Function | None = None
) -> bool:
    """Whether each iteration compiles something else: it calls what the loop binds, or captures no array of it.

    Of each call of ``caller`` the same is asked: it calls what it is given.
    """
    new = rebuilt.varying if caller is None else caller.bound - {caller.receiver}
    fixed = rebuilt.fixed if caller is None else frozenset()
    given = _called(by_function, rebuilt) if rebuilt.gives else set()
    if any(name in fixed or (name in new and param in given) for param, name in rebuilt.gives):
        return True
    function = rebuilt.function
    nested = function is not None and function.parent is not None
    # A function of the module does not see what a loop elsewhere binds under the names that it uses.
    todo = [function] if nested or rebuilt.what not in ("partial", "method") else []
    seen: set[ir.Function] = set()
    while todo:
        function = todo.pop()
        facts = by_function.get(function) if function is not None else None
        if function is None or facts is None or function in seen:
            continue
        seen.add(function)
        for name, called in facts.outside.items():
            if name in fixed or (called and name in new):
                return True
        # What it calls of the functions that the same iteration defines is as new as itself.
        todo.extend(called for called in facts.calls.values() if called.name in new or called.parent in seen)
    return False


def _called(by_function: Mapping[ir.Function, FunctionFacts], rebuilt: Rebuilt) -> set[str]:
    """The parameters that the compiled function calls, or methods of which."""
    function = rebuilt.function
    facts = by_function.get(function) if function is not None else None
    if facts is not None or function is None:
        return facts.called if facts is not None else set()
    return next((other.called for other in rebuilt.home.facts.functions if other.function is function), set())


RULE = Rule(code="PS304", name="jit-in-loop", since="0.1", severity=Severity.WARNING, check=check)
