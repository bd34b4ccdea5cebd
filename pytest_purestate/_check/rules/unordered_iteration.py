"""Reports an order that differs from run to run where it decides the result.

## Why is this bad?

The order of a set of strings differs in every process, that of `os.listdir` and `glob` from one file system
to the next. Parameters concatenated in it, keys dealt out in it, indices counted in it are different ones in
every run, whatever the seed.

```python bad
import jax
import jax.numpy as jnp

def flatten(params, frozen):
    names = set(params) - set(frozen)
    return jnp.concatenate([params[name].ravel() for name in names])  # error: [PS401]

def init(key, names):
    params = {}
    for name in set(names):  # error: [PS401]
        key, sub = jax.random.split(key)
        params[name] = jax.random.normal(sub, (3,))
    return params
```

```python bad
import os

import jax.numpy as jnp
import numpy as np

def load(folder):
    files = os.listdir(folder)  # error: [PS401]
    return jnp.stack([np.load(os.path.join(folder, file)) for file in files])
```

Sort it. What comes to the same in any order is right as it is:

```python good
import os

import jax
import jax.numpy as jnp
import numpy as np

def load(folder):
    files = sorted(os.listdir(folder))
    return jnp.stack([np.load(os.path.join(folder, file)) for file in files])

def masks(params, frozen):
    return {name: name in frozen for name in set(params)}

def newest(folder):
    return max(int(name) for name in os.listdir(folder))
```
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_purestate._check.flow.facts import ModuleFacts, Unordered
from pytest_purestate._check.model import Confidence, Finding, Label, Rule, Severity
from pytest_purestate._check.rules._reuse import scope_of

_SHOWS = {
    "array": "is the order in an array",
    "drawn": "decides what a seeded generator draws",
    "key": "decides which key each element gets",
    "index": "decides which index each element gets",
    "paired": "decides what each element is paired with",
    "picked": "decides which elements are picked",
    "stored": "is the order of what is kept",
    "returned": "is the order of what is returned",
}
_THERE = {
    "array": "the array has its order from it",
    "drawn": "drawn from it here",
    "key": "the next key is split off here",
    "index": "the index is kept here",
    "paired": "paired here",
    "picked": "picked here",
    "stored": "kept here",
    "returned": "returned here",
}
_UNSURE = frozenset(("picked", "stored", "returned"))


def check(module: ModuleFacts) -> Iterator[Finding]:
    """One finding for each set or listing whose order shows."""
    best: dict[object, tuple[str, Unordered]] = {}
    for facts in module.functions:
        for fact in facts.unordered.values():
            key = (id(fact.source.context), fact.source.ref)
            if key not in best or _confidence(module, fact) > _confidence(module, best[key][1]):
                best[key] = (scope_of(facts), fact)
    for scope, fact in best.values():
        source = fact.source
        what = "a set" if source.verb == "set" else f"`{source.verb}`"
        here = source.context is module.context
        lowered = source.context.lowered
        origin = Label(lowered.span(source.ref), "in no order of its own", lowered.source.path)
        there = module.label(fact.ref, _THERE[fact.how])
        yield Finding(
            code=RULE.code,
            path=module.path,
            message=f"the order of {what}, which differs between runs, {_SHOWS[fact.how]}",
            primary=origin if here else there,
            related=((there,) if source.ref != fact.ref else ()) if here else (origin,),
            help="put `sorted(...)` around it",
            confidence=_confidence(module, fact),
            scope=scope,
        )


def _confidence(module: ModuleFacts, fact: Unordered) -> Confidence:
    return Confidence.LOW if fact.how in _UNSURE or module.is_test else Confidence.MEDIUM


RULE = Rule(code="PS401", name="unordered-iteration", since="0.1", severity=Severity.WARNING, check=check)
