"""Reports a PRNG key used after it was consumed.

## Why is this bad?

A JAX key is not a generator: the same key always gives the same bits. Two draws from one key are
not two random numbers but one number twice (or two numbers that are tied to each other), and nothing
crashes. `jax.random` functions consume the key they are given; split it first and use each part once.

The checker follows the key through branches, containers, attributes and the functions of your
project, and shows both places.

```python bad
import jax

def sample(key):
    a = jax.random.normal(key, (3,))
    b = jax.random.uniform(key, (3,))  # error: [PS101]
    return a, b
```

Use instead:

```python good
import jax

def sample(key):
    a_key, b_key = jax.random.split(key)
    a = jax.random.normal(a_key, (3,))
    b = jax.random.uniform(b_key, (3,))
    return a, b
```

When the same numbers are wanted on purpose, `jax.random.clone(key)` says so.
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_purestate._check.flow.facts import ModuleFacts
from pytest_purestate._check.model import Finding, Rule, Severity
from pytest_purestate._check.rules._reuse import name_of, reuse_finding


def check(module: ModuleFacts) -> Iterator[Finding]:
    """One finding for each later use of a spent key."""
    for facts, reuse in module.reuses("plain"):
        name = name_of(reuse.second, reuse.place)
        yield reuse_finding(
            module,
            facts,
            reuse,
            code=RULE.code,
            message=f"key `{name}` is used again after `{reuse.first.verb}` consumed it",
            here="used again here",
            first="first consumed here",
            help=f"split it first, `{name}_a, {name}_b = jax.random.split({name})`, and use each part once"
            if name.isidentifier()
            else "split the key first and use each part once",
        )


RULE = Rule(code="PS101", name="key-reuse", since="0.1", severity=Severity.ERROR, check=check)
