"""Reports the same data folded into the same key twice, and both results consumed.

## Why is this bad?

`jax.random.fold_in(key, data)` is a function: the same key and the same data give the same new key. Two
draws from `fold_in(key, 1)` are one draw, even if the two calls stand far apart.

```python bad
import jax

def augment(key, image):
    noise = jax.random.normal(jax.random.fold_in(key, 1), image.shape)
    shift = jax.random.uniform(jax.random.fold_in(key, 1), (2,))  # error: [PS112]
    return image + noise, shift
```

Fold in a number of its own for each purpose:

```python good
import jax

def augment(key, image):
    noise = jax.random.normal(jax.random.fold_in(key, 1), image.shape)
    shift = jax.random.uniform(jax.random.fold_in(key, 2), (2,))
    return image + noise, shift

def per_step(key, steps):
    return [jax.random.normal(jax.random.fold_in(key, step)) for step in range(steps)]
```
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_purestate._check.flow.facts import ModuleFacts
from pytest_purestate._check.model import Finding, Rule, Severity
from pytest_purestate._check.rules._reuse import name_of, reuse_finding


def check(module: ModuleFacts) -> Iterator[Finding]:
    """One finding for each later use of a key that was folded twice."""
    for facts, reuse in module.reuses("folded"):
        name = name_of(reuse.second, reuse.place)
        yield reuse_finding(
            module,
            facts,
            reuse,
            code=RULE.code,
            message=f"`{name}` is the key that `{reuse.first.verb}` consumed: the same data was folded into it",
            here="the same key and the same data again",
            first="first consumed here",
            help="fold in another number for each purpose, or split the key",
        )


RULE = Rule(code="PS112", name="repeated-fold-in", since="0.1", severity=Severity.ERROR, check=check)
