"""Reports the result of `split` or `fold_in` thrown away.

## Why is this bad?

Keys are values: `jax.random.split(key)` changes nothing, it returns new keys. As a bare statement it has
no effect at all, and the key that was meant to be advanced is used again as it was.

```python bad
import jax

def sample(key):
    jax.random.split(key)  # error: [PS105]
    return jax.random.fold_in(key, 1)
```

Use instead:

```python good
import jax

def sample(key):
    key, subkey = jax.random.split(key)
    return key, jax.random.normal(subkey)
```
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_purestate._check.flow.facts import ModuleFacts
from pytest_purestate._check.model import Finding, Rule, Severity
from pytest_purestate._check.rules._reuse import scope_of


def check(module: ModuleFacts) -> Iterator[Finding]:
    """One finding for each bare ``split`` or ``fold_in``."""
    for facts in module.functions:
        for dropped in facts.dropped.values():
            if dropped.what in ("split", "fold_in"):
                yield Finding(
                    code=RULE.code,
                    path=module.path,
                    message=f"the keys that `{dropped.what}` returns are thrown away",
                    primary=module.label(dropped.statement, "this statement has no effect"),
                    help="bind the result: `key, subkey = jax.random.split(key)`"
                    if dropped.what == "split"
                    else "bind the result: `subkey = jax.random.fold_in(key, data)`",
                    confidence=dropped.confidence,
                    scope=scope_of(facts),
                )


RULE = Rule(code="PS105", name="discarded-split", since="0.1", severity=Severity.ERROR, check=check)
