"""Reports a key used after `split` consumed it.

## Why is this bad?

`jax.random.split(key)` consumes `key`: its children are made from the same bits that a draw from `key`
would use. Drawing from the parent as well ties the draw to the children. After a split, only the children
may be used.

```python bad
import jax

def noisy(key, x):
    k1, k2 = jax.random.split(key)
    a = jax.random.normal(k1, x.shape)
    b = jax.random.normal(k2, x.shape)
    c = jax.random.normal(key, x.shape)  # error: [PS103]
    return x + a + b + c
```

Use instead:

```python good
import jax

def noisy(key, x):
    k1, k2, k3 = jax.random.split(key, 3)
    a = jax.random.normal(k1, x.shape)
    b = jax.random.normal(k2, x.shape)
    c = jax.random.normal(k3, x.shape)
    return x + a + b + c
```
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_purestate._check.flow.facts import FunctionFacts, ModuleFacts, Reuse
from pytest_purestate._check.model import Finding, Rule, Severity
from pytest_purestate._check.rules._reuse import name_of, reuse_finding


def _advice(facts: FunctionFacts, reuse: Reuse) -> str:
    split = facts.splits.get(reuse.first.call)
    names = [f"`{name}`" for name, _, _ in split.names] if split is not None else []
    if not names:
        return "draw from the keys that `split` returned"
    return f"draw from {', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else f"draw from {names[0]}"


def check(module: ModuleFacts) -> Iterator[Finding]:
    """One finding for each use of a parent after its split."""
    for facts, reuse in module.reuses("parent"):
        name = name_of(reuse.second, reuse.place)
        yield reuse_finding(
            module,
            facts,
            reuse,
            code=RULE.code,
            message=f"key `{name}` is used again after `split` consumed it",
            here="used again here",
            first="first consumed here",
            help=_advice(facts, reuse),
        )


RULE = Rule(code="PS103", name="parent-key-reuse", since="0.1", severity=Severity.ERROR, check=check)
