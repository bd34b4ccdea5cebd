"""Reports a comment that should suppress a finding and cannot be read.

## Why is this bad?

It suppresses nothing, although whoever wrote it meant it to: a code is misspelled, a bracket is missing, or the
word behind `purestate:` is not `ignore` or `ignore-file`.

```python bad
import jax

def sample(key):
    return jax.random.normal(key)  # purestate: ignored[PS101]  # error: [PS005]
```

```python bad
import jax

def sample(key):
    return jax.random.normal(key)  # purestate: ignore[key-resue]  # error: [PS005]
```

In a `# noqa`, only words that begin like a code of this checker are looked at.

```python good
import jax

def pair(key):
    return jax.random.normal(key), jax.random.normal(key)  # purestate: ignore[key-reuse] the same noise twice

LIMIT = 10  # noqa: WPS432 a magic number
```
"""

from __future__ import annotations

from pytest_purestate._check.model import Rule, Severity

__all__ = ["RULE"]

RULE = Rule(code="PS005", name="invalid-suppression", since="0.1", severity=Severity.WARNING)
