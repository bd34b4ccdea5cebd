"""Reports a key that is spent below an object which keeps it.

## Why is this bad?

A method that draws from `self.key` and leaves it there draws the same numbers in the next call. A step that
draws from `state.key` and returns the state as it was does so in the next step.

```python bad
import jax

class Loader:
    def __init__(self, data, key):
        self.data = data
        self.key = key

    def epoch(self):
        return jax.random.permutation(self.key, self.data)  # error: [PS109]
```

```python bad
import jax
from flax import struct

@struct.dataclass
class State:
    x: jax.Array
    key: jax.Array

def step(state: State):
    x = state.x + jax.random.normal(state.key)  # error: [PS109]
    return state.replace(x=x)
```

Advance the key and keep the new one:

```python good
import jax
from flax import struct

class Loader:
    def __init__(self, data, key):
        self.data = data
        self.key = key

    def epoch(self):
        self.key, subkey = jax.random.split(self.key)
        return jax.random.permutation(subkey, self.data)

@struct.dataclass
class State:
    x: jax.Array
    key: jax.Array

def step(state: State):
    key, subkey = jax.random.split(state.key)
    return state.replace(x=state.x + jax.random.normal(subkey), key=key)
```
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_purestate._check.flow.classes import family_of, is_frozen
from pytest_purestate._check.flow.facts import ModuleFacts, Stale
from pytest_purestate._check.model import Finding, Label, Rule, Severity
from pytest_purestate._check.rules._reuse import chain, in_body, name_of, scope_of, span_of


def _message(stale: Stale, name: str, function: str) -> str:
    if stale.how == "self":
        return f"`{function}` consumes `{name}` and leaves it in place: the next call draws the same numbers"
    return f"`{function}` consumes `{name}` and returns it unchanged: the next step draws the same numbers"


def _help(stale: Stale, name: str) -> str:
    if stale.how != "self":
        return "split it, spend one part and return the state with the other"
    if family_of(stale.place.root.type) == "linen":
        return (
            "a module is not to be edited: take a new key in each call, by `self.make_rng` or as an argument"
        )
    if is_frozen(stale.place.root.type):
        return "split it, spend one part and return a copy of the object with the other"
    if name.endswith(("keys", "rngs")):  # a batch, as its name says
        return f"split each, spend one part and store the other: `jax.vmap(jax.random.split)({name})`"
    return f"split it, spend one part and store the other: `{name}, subkey = jax.random.split({name})`"


def check(module: ModuleFacts) -> Iterator[Finding]:
    """One finding for each key that is spent and kept."""
    told = {in_body(module, reuse.second).ref for _, reuse in module.reuses("loop")}
    for facts in module.functions:
        function = facts.function
        if function is None or module.is_dry(function):
            continue
        for stale in facts.stale.values():
            if stale.use.ref in told or module.stale_inside(stale.use, stale.how):
                continue
            name = name_of(stale.use, stale.place)
            yield Finding(
                code=RULE.code,
                path=module.path,
                message=_message(stale, name, function.name),
                primary=Label(span_of(stale.use), "consumed here and kept", module.path),
                related=chain(stale.use),
                help=_help(stale, name),
                confidence=stale.confidence,
                scope=scope_of(facts),
            )


RULE = Rule(code="PS109", name="stale-carry-key", since="0.1", severity=Severity.ERROR, check=check)
