"""Reports a key built from a constant where every call or iteration repeats it.

## Why is this bad?

`jax.random.PRNGKey(0)` inside a loop is the same key in each iteration; as the default of a field it is
the same key in every instance. What looks random is one number over and over.

```python bad
import jax

def offsets(n):
    out = []
    for _ in range(n):
        key = jax.random.PRNGKey(0)  # error: [PS107]
        out.append(jax.random.randint(key, (2,), 0, 10))
    return out
```

```python bad
from typing import NamedTuple
import jax

class State(NamedTuple):
    step: int
    key: jax.Array = jax.random.PRNGKey(0)  # error: [PS107]
```

So is a key that a compiled function makes for itself, in every call:

```python bad
import jax

@jax.jit
def noisy(x):
    return x + jax.random.normal(jax.random.key(0), x.shape)  # error: [PS107]
```

Make the key once, where the program starts, and hand it on:

```python good
import jax

def offsets(key, n):
    return [jax.random.randint(k, (2,), 0, 10) for k in jax.random.split(key, n)]

def main():
    return offsets(jax.random.key(0), 3)
```
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_purestate._check import ir
from pytest_purestate._check.flow.facts import ModuleFacts, draws
from pytest_purestate._check.model import Confidence, Finding, Rule, Severity
from pytest_purestate._check.rules._reuse import scope_of

_REPEATED = frozenset("jit nnx-jit scan fori while map cond kernel pure nnx".split())
"""What runs the code that it traced again and again."""

_TEXT = {
    "loop": ("every iteration starts from the same constant key", "the same key in every iteration"),
    "trace": (
        "every call of the compiled function draws from the same constant key",
        "the same key in every call",
    ),
    "call": ("every call draws from the same constant key", "the same key in every call"),
    "field": ("every instance starts from the same constant key", "the same key in every instance"),
}
_HELP = {
    "loop": "make the key before the loop and give each iteration its own with `split` or `fold_in`",
    "trace": "pass the key in as an argument",
    "call": "pass the key in as an argument",
    "field": "leave the default out and pass the key in, or make it in the constructor from an argument",
}


def _evaluates(function: ir.Function | None) -> bool:
    """Whether a function, or one around it, is called like one that evaluates, always on the same numbers."""
    while function is not None:
        if "eval" in function.name.lower():
            return True
        function = function.parent
    return False


def check(module: ModuleFacts) -> Iterator[Finding]:
    """One finding for each constant key that is made again and again."""
    traced = {facts.function for facts, trace in module.traced_functions(_REPEATED)}
    looped = {function for facts in module.functions for function in facts.looped} - {None}
    rebound = {place for facts in module.functions for _, place in facts.rebound}
    for facts in module.functions:
        if module.is_dry(facts.function):
            continue
        for constant in facts.constants.values():
            repeated = facts.function in traced
            if constant.where == "trace" and not repeated and facts.function not in looped:
                continue  # it may be run once
            if constant.where == "trace" and constant.use is not None and not draws(constant.use):
                continue  # nothing comes of it but other keys
            if constant.name in rebound:
                continue
            where = constant.where if repeated or constant.where != "trace" else "call"
            message, here = _TEXT[where]
            use = constant.use
            yield Finding(
                code=RULE.code,
                path=module.path,
                message=message,
                primary=module.label(constant.ref, here),
                related=(module.label(use.ref, f"`{use.verb}` consumes it here"),) if use is not None else (),
                help=_HELP[where],
                confidence=Confidence.LOW if _evaluates(facts.function) else constant.confidence,
                scope=scope_of(facts),
            )


RULE = Rule(code="PS107", name="constant-key", since="0.1", severity=Severity.WARNING, check=check)
