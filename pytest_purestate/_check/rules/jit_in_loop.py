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
is made of: models that it calls, or values that shape it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pytest_purestate._check import ir
from pytest_purestate._check.flow.facts import FunctionFacts, ModuleFacts, Rebuilt
from pytest_purestate._check.model import Confidence, Finding, Rule, Severity
from pytest_purestate._check.rules._reuse import scope_of

_WHAT = {"lambda": "a lambda", "partial": "a partial", "method": "a bound method", "def": "a nested function"}


def check(module: ModuleFacts) -> Iterator[Finding]:
    """One finding for each compiled function that a loop rebuilds."""
    traced = {facts.function for facts, _ in module.traced_functions()}
    by_function = {facts.function: facts for facts in module.functions if facts.function is not None}
    for facts in module.functions:
        if facts.function in traced:
            continue
        for rebuilt in facts.rebuilt.values():
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


def _has_to(by_function: Mapping[ir.Function, FunctionFacts], rebuilt: Rebuilt) -> bool:
    """Whether each iteration compiles something else: it calls what the loop binds, or captures no array of it."""
    todo = [rebuilt.function]
    seen: set[ir.Function] = set()
    while todo:
        function = todo.pop()
        facts = by_function.get(function) if function is not None else None
        if function is None or facts is None or function in seen:
            continue
        seen.add(function)
        for name, called in facts.outside.items():
            if name in rebuilt.fixed or (called and name in rebuilt.varying):
                return True
        # What it calls of the functions that the same iteration defines is as new as itself.
        todo.extend(
            called
            for called in facts.calls.values()
            if called.name in rebuilt.varying or called.parent in seen
        )
    return False


RULE = Rule(code="PS304", name="jit-in-loop", since="0.1", severity=Severity.WARNING, check=check)
