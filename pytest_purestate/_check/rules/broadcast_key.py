"""Reports one key for all lanes of a `vmap` or `pmap`.

## Why is this bad?

A key that a mapped function captures, or that `functools.partial` binds, is the same in every lane: the whole
batch draws the same noise, all members of an ensemble start from the same weights.

```python bad
import jax

def member(key, size):
    return size * jax.random.normal(key)

def init(key, sizes):
    return jax.vmap(lambda size: member(key, size))(sizes)  # error: [PS113]
```

```python good
import jax

def member(key, size):
    return size * jax.random.normal(key)

def init(key, sizes):
    return jax.vmap(member)(jax.random.split(key, sizes.shape[0]), sizes)
```

One noise for all candidates is a way to compare them. Where it is plain to see it is reported with low confidence
only: `in_axes=None` for the key, or a mapped function that draws from the captured key itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_purestate._check.flow.facts import Broadcast, ModuleFacts
from pytest_purestate._check.model import Confidence, Finding, Rule, Severity
from pytest_purestate._check.rules._reuse import chain, name_of, scope_of

_HOW = {
    "captured": "captured by the mapped function",
    "bound": "bound by `partial`",
    "in_axes": "not mapped by `in_axes`",
}


def check(module: ModuleFacts) -> Iterator[Finding]:
    """One finding for each key that all lanes share."""
    for facts in module.functions:
        if module.is_dry(facts.function):
            continue
        for broadcast in facts.broadcasts.values():
            if broadcast.use.ref in facts.reuses:
                continue
            name = name_of(broadcast.use)
            yield Finding(
                code=RULE.code,
                path=module.path,
                message=f"every lane draws from the same key `{name}`",
                primary=module.label(broadcast.ref, f"`{name}` is {_HOW[broadcast.how]}"),
                related=chain(broadcast.use),
                help="split the key, one for each lane, and map over the keys",
                confidence=Confidence.LOW if _is_plain(broadcast) else Confidence.MEDIUM,
                scope=scope_of(facts),
            )


def _is_plain(broadcast: Broadcast) -> bool:
    """Whether it is plain to see that the lanes share the key: another function may well expect one of its own."""
    inner = broadcast.use.inner
    drawn = inner is not None and inner.inner is None and inner.kind == "draw"
    return broadcast.how == "in_axes" or (broadcast.how == "captured" and drawn)


RULE = Rule(code="PS113", name="broadcast-key", since="0.1", severity=Severity.WARNING, check=check)
