"""Reports a file or directory that cannot be opened or decoded.

## Why is this bad?
What cannot be read is not checked. Python reads a source file in the encoding that its byte order
mark or its coding line names (PEP 263), otherwise as UTF-8; so does the checker. Missing permissions,
dangling links, binary files with a ``.py`` name and null bytes end here too.

A Latin-1 file needs a coding line:

```python good
# coding: latin-1
name = "run"
```
"""

from __future__ import annotations

from pytest_purestate._check.model import Rule, Severity

__all__ = ["RULE"]

RULE = Rule(code="PS003", name="unreadable-file", since="0.1", severity=Severity.ERROR)
