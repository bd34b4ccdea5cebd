"""Reports `numpy.random`, `random`, `time` and `uuid` inside a traced function.

## Why is this bad?

A traced function runs as Python once, when it is compiled. A number that NumPy draws there, or the time of
day, becomes a constant of the compiled function: every later call gets the same one.

```python bad
import jax
import numpy as np

@jax.jit
def jitter(x):
    return x + np.random.normal(size=x.shape)  # error: [PS111]
```

Draw from a key that comes in as an argument:

```python good
import jax

@jax.jit
def jitter(x, key):
    return x + jax.random.normal(key, x.shape)
```
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_purestate._check.flow.facts import ModuleFacts
from pytest_purestate._check.model import Confidence, Finding, Rule, Severity
from pytest_purestate._check.rules._reuse import scope_of, trace_label

_TEXT = {
    "host-rng": ("`{what}` draws once, while `{name}` is traced", "the same number in every call"),
    "unseeded": (
        "`{what}` makes a generator without a seed, once, while `{name}` is traced",
        "the compiled function draws the same numbers in every call",
    ),
    "clock": ("`{what}` reads the clock once, while `{name}` is traced", "the same time in every call"),
}
_HELP = {
    "host-rng": "draw with `jax.random` from a key that is an argument",
    "unseeded": "draw with `jax.random` from a key that is an argument",
    "clock": "read the clock outside the traced function, after `block_until_ready` on its result",
}


def check(module: ModuleFacts) -> Iterator[Finding]:
    """One finding for each number from the host in a traced function or in what it calls in this module."""
    for facts, trace in module.traced_functions():
        for effect in facts.effects.values():
            if effect.kind not in _TEXT or effect.when is False or facts.function is None:
                continue
            message, here = _TEXT[effect.kind]
            yield Finding(
                code=RULE.code,
                path=module.path,
                message=message.format(what=effect.what, name=facts.function.name),
                primary=module.label(effect.ref, here),
                related=(trace_label(trace),),
                help=_HELP[effect.kind],
                confidence=Confidence.LOW if module.is_test else Confidence.HIGH,
                scope=scope_of(facts),
            )


RULE = Rule(code="PS111", name="host-rng-in-trace", since="0.1", severity=Severity.ERROR, check=check)
