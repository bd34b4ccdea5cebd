"""Reports a comment that suppresses nothing.

## Why is this bad?

The finding that it was written for is gone. What is left hides the next one, which nobody has looked at, and
tells the reader of a problem that is not there.

```python bad
import jax

def sample(key):
    return jax.random.normal(key)  # purestate: ignore[PS101] compared below  # error: [PS002]
```

```python fixed
import jax

def sample(key):
    return jax.random.normal(key)
```

A comment is judged by what all rules find, whichever are selected. In a list, only what is unused goes:

```python bad
import jax

def pair(key):
    return jax.random.normal(key), jax.random.normal(key)  # noqa: E501, PS101, PS103  # error: [PS002]
```

```python fixed
import jax

def pair(key):
    return jax.random.normal(key), jax.random.normal(key)  # noqa: E501, PS101
```

A `# noqa` without codes, and the codes of other linters, are never reported: other tools read them, too.

```python good
import jax

def pair(key):
    return jax.random.normal(key), jax.random.normal(key)  # purestate: ignore[PS101] the same noise twice

LIMIT = 10  # noqa: E501
```
"""

from __future__ import annotations

from pytest_purestate._check.model import Rule, Severity

__all__ = ["RULE"]

RULE = Rule(code="PS002", name="unused-suppression", since="0.1", severity=Severity.WARNING)
