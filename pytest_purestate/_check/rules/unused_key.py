"""Reports a key that is made, named and never used.

## Why is this bad?

A key that lies unused is often the one that should have been consumed, in place of another.

```python bad
import jax

def init(key, shape):
    w_key, b_key = jax.random.split(key)  # error: [PS191]
    return jax.random.normal(w_key, shape)
```

A key that is not wanted is bound to a name with a leading underscore:

```python good
import jax

def init(key, shape):
    w_key, _ = jax.random.split(key)
    return jax.random.normal(w_key, shape)
```
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_purestate._check.flow.facts import ModuleFacts
from pytest_purestate._check.model import Finding, Rule, Severity
from pytest_purestate._check.rules._reuse import scope_of


def check(module: ModuleFacts) -> Iterator[Finding]:
    """One finding for each key of a function that nobody looks at."""
    for facts in module.functions:
        for ref, name in facts.unused.items():
            yield Finding(
                code=RULE.code,
                path=module.path,
                message=f"key `{name}` is never used",
                primary=module.label(ref, "made here and never used"),
                help=f"consume `{name}` where it was meant, or name it `_`",
                scope=scope_of(facts),
            )


RULE = Rule(code="PS191", name="unused-key", since="0.1", severity=Severity.WARNING, check=check, opt_in=True)
