"""Reports a file that cannot be parsed.

## Why is this bad?
Python cannot run it, and no other rule can look at it: without this report the file would pass
unchecked. Python 2 sources and templates with a ``.py`` name belong in ``exclude``.

```python bad
def step(key:  # error: [PS001]
```

```python good
def step(key):
    return key
```
"""

from __future__ import annotations

from pytest_purestate._check.model import Rule, Severity

__all__ = ["RULE"]

RULE = Rule(code="PS001", name="syntax-error", since="0.1", severity=Severity.ERROR)
