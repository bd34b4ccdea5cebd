"""Reports a key from outside that a function consumes each time it is called.

## Why is this bad?

A function that draws from a key of the module, or from a key of the function that made it, starts from the
same key in every call: what looks random repeats, call after call.

```python bad
import jax

KEY = jax.random.key(0)

def jitter(x):
    return x + jax.random.normal(KEY, x.shape)  # error: [PS106]
```

```python bad
import jax

def make_jitter(key):
    @jax.jit
    def jitter(x):
        return x + jax.random.normal(key, x.shape)  # error: [PS106]

    return jitter
```

Take the key as an argument:

```python good
import jax

def jitter(key, x):
    return x + jax.random.normal(key, x.shape)
```

A function that is differentiated and run once may capture its key:

```python good
import jax

def step(params, key, x):
    def loss(params):
        return (x * params + jax.random.normal(key, x.shape)).mean()

    return jax.grad(loss)(params)
```
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_purestate._check import ir
from pytest_purestate._check.flow.facts import Captured, ModuleFacts
from pytest_purestate._check.model import Confidence, Finding, Rule, Severity
from pytest_purestate._check.rules._reuse import chain, name_of, scope_of


def _runs_again(module: ModuleFacts, function: ir.Function | None, seen: set[object]) -> bool:
    """Whether callers that are not seen here may call a function many times, directly or through this module.

    The body of the module runs once, so what only it calls runs as often as it says. The owner of the key,
    which is in ``seen`` from the start, makes a new one each time it is called.
    """
    if function is None or function in seen:
        return False
    seen.add(function)
    callers = [facts.function for facts in module.functions if function in facts.calls.values()]
    if callers:
        return any(_runs_again(module, caller, seen) for caller in callers)
    if function.parent is None:
        return not function.is_lambda
    return any(function in facts.hands_out for facts in module.functions if facts.function is function.parent)


def _reported(module: ModuleFacts, captured: Captured) -> bool:
    """Whether two calls of the function in this module are a reuse by themselves."""
    return any(
        use is captured.use
        for facts in module.functions
        for reuse in facts.reuses.values()
        for use in (reuse.first.inner, reuse.second.inner)
    )


def check(module: ModuleFacts) -> Iterator[Finding]:
    """One finding for each key from outside that a function consumes in every call."""
    for facts in module.functions:
        if facts.function is None or module.is_dry(facts.function) or module.is_test:
            continue
        for captured in facts.captured.values():
            if captured.use.inner is not None and captured.use.inner.context is module.context:
                continue  # the function that is called has it
            if not _runs_again(module, facts.function, {captured.owner}) or _reported(module, captured):
                continue
            name = name_of(captured.use, captured.place)
            whose = "a key of the module" if captured.owner is None else f"a key of `{captured.owner.name}`"
            yield Finding(
                code=RULE.code,
                path=module.path,
                message=f"every call of `{facts.function.name}` starts from the same key `{name}`",
                primary=module.label(captured.use.ref, f"{whose}, consumed in every call"),
                related=chain(captured.use),
                help="take the key as an argument",
                confidence=Confidence.MEDIUM,
                scope=scope_of(facts),
            )


RULE = Rule(code="PS106", name="captured-key", since="0.1", severity=Severity.ERROR, check=check)
