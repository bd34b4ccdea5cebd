"""Reports `jax.random.PRNGKey`, which makes a raw key, where `jax.random.key` makes a typed one.

## Why is this bad?

A raw key is an ordinary array of `uint32`: it can be added to, sliced or averaged by mistake, and JAX's own
check for key reuse does not see it. A typed key refuses all of that.

```python bad
import jax

def start(seed):
    return jax.random.PRNGKey(seed)  # error: [PS190]
```

```python fixed
import jax

def start(seed):
    return jax.random.key(seed)
```

```python good
import jax

def start(seed):
    return jax.random.key(seed)
```

The fix is unsafe: code that looks into a raw key, `key[0]` or `key.shape`, has to change as well.
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_purestate._check.flow.facts import ModuleFacts
from pytest_purestate._check.model import Applicability, Edit, Finding, Fix, Rule, Severity, Span
from pytest_purestate._check.rules._reuse import scope_of

_OLD = "PRNGKey"


def _fix(module: ModuleFacts, ref: int) -> Fix | None:
    called = module.text(ref).partition("(")[0].rstrip()
    if not module.fixable(ref) or not called.endswith(f".{_OLD}"):
        return None  # imported by name: the import would have to change, too
    end = module.span(ref).start + len(called.encode())
    edit = Edit(Span(end - len(_OLD), end), "key")
    return Fix("use `key`", (edit,), Applicability.UNSAFE)


def check(module: ModuleFacts) -> Iterator[Finding]:
    """One finding for each raw key that is made."""
    for facts in module.functions:
        for ref, name in facts.made.items():
            if name.rpartition(".")[2] == _OLD:
                yield Finding(
                    code=RULE.code,
                    path=module.path,
                    message="`PRNGKey` makes a raw key, an array like any other",
                    primary=module.label(ref, "a raw key"),
                    help="make a typed key: `jax.random.key`",
                    fix=_fix(module, ref),
                    scope=scope_of(facts),
                )


RULE = Rule(code="PS190", name="legacy-key", since="0.1", severity=Severity.WARNING, check=check, opt_in=True)
