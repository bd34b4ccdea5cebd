"""Reports a file that is beyond what the checker reads: too deep, too long, or too slow.

## Why is this bad?
The file was not checked, or not to its end. Generated code sometimes nests or chains expressions
thousands of levels deep, which ends parsers and other tools in a crash; the checker refuses such a
file before it parses it, gives every file a time limit, and goes on with the rest. List the file
in ``exclude`` if it is generated.

```python good
total = 1 + 1 + 1 + 1
```
"""

from __future__ import annotations

from pytest_purestate._check.model import Rule, Severity

__all__ = ["RULE"]

RULE = Rule(code="PS004", name="checker-limit", since="0.1", severity=Severity.ERROR)
