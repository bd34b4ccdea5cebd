"""Reports a key consumed in every iteration of a loop, comprehension or scan body.

## Why is this bad?

A key made before a loop and spent inside it gives every iteration the same random numbers: the same
noise in each step, the same dropout mask in each batch, the same sample n times.

```python bad
import jax

def rollout(key, n):
    total = 0.0
    for _ in range(n):
        total += jax.random.normal(key)  # error: [PS102]
    return total
```

Use instead a new key in each iteration:

```python good
import jax

def rollout(key, n):
    total = 0.0
    for i in range(n):
        total += jax.random.normal(jax.random.fold_in(key, i))
    return total

def rollout_with_split(key, n):
    total = 0.0
    for step_key in jax.random.split(key, n):
        total += jax.random.normal(step_key)
    return total
```

The bodies of `lax.scan`, `lax.fori_loop`, `lax.while_loop`, `lax.map` and `jax.tree.map` are loops too.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from pytest_purestate._check.flow.facts import FunctionFacts, ModuleFacts, Reuse
from pytest_purestate._check.flow.values import Use
from pytest_purestate._check.model import Finding, Label, Rule, Severity
from pytest_purestate._check.rules._reuse import carried_finding, in_body, name_of, reuse_finding


def _finding(module: ModuleFacts, facts: FunctionFacts, reuse: Reuse) -> Finding:
    use = in_body(module, reuse.second)
    transform = "" if use is reuse.second else module.text(reuse.second.call).partition("(")[0]
    name = name_of(use, reuse.place)
    earlier = _earlier(module, reuse)
    if transform and earlier.call != use.call:
        carried = Reuse(reuse.kind, earlier, use, reuse.place, reuse.confidence)
        return carried_finding(
            module, facts, carried, code=RULE.code, where=(_transform(module, reuse, transform),)
        )
    finding = reuse_finding(
        module,
        facts,
        Reuse(reuse.kind, use, use, reuse.place, reuse.confidence),
        code=RULE.code,
        message=f"key `{name}` is consumed by `{use.verb}` in every iteration"
        + (f" of `{transform}`" if transform else ""),
        here="every iteration meets the key that the one before consumed",
        first="",
        help=f"give each iteration its own key: `jax.random.fold_in({name}, i)`, "
        f"or loop over `jax.random.split({name}, n)`"
        if name.isidentifier()
        else "give each iteration its own key with `jax.random.fold_in` or `jax.random.split`",
    )
    if not transform:
        return finding
    return replace(finding, related=(_transform(module, reuse, transform), *finding.related))


def _transform(module: ModuleFacts, reuse: Reuse, name: str) -> Label:
    where = module.context.callee_span(reuse.second.call)
    return Label(where, f"`{name}` runs it again and again", module.path)


def _earlier(module: ModuleFacts, reuse: Reuse) -> Use:
    """Where the body spends the key that a later iteration meets."""
    use = reuse.first
    while use.call == reuse.second.call and use.inner is not None and use.inner.context is module.context:
        use = use.inner
    return use


def check(module: ModuleFacts) -> Iterator[Finding]:
    """One finding for each expression that spends the same key in pass after pass."""
    for facts, reuse in module.reuses("loop"):
        yield _finding(module, facts, reuse)


RULE = Rule(code="PS102", name="key-reuse-in-loop", since="0.1", severity=Severity.ERROR, check=check)
