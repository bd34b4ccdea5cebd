"""Reports one key handed to several rng collections.

## Why is this bad?

Linen derives the keys of a module from the key of the collection and the module's path. Two collections
with one key therefore get identical bits: the dropout mask is tied to the initial weights.

```python bad
import flax.linen as nn
import jax

def build(model: nn.Module, key, x):
    return model.init({"params": key, "dropout": key}, x)  # error: [PS108]
```

```python good
import flax.linen as nn
import jax

def build(model: nn.Module, key, x):
    params_key, dropout_key = jax.random.split(key)
    return model.init({"params": params_key, "dropout": dropout_key}, x)
```
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_purestate._check.flow.facts import ModuleFacts
from pytest_purestate._check.model import Confidence, Finding, Rule, Severity
from pytest_purestate._check.rules._reuse import scope_of


def check(module: ModuleFacts) -> Iterator[Finding]:
    """One finding for each rng dict with one key under several names."""
    for facts in module.functions:
        if module.is_dry(facts.function):
            continue
        for shared in facts.shared.values():
            names = " and ".join(f"`{name}`" for name in shared.collections)
            sure = "params" in shared.collections
            yield Finding(
                code=RULE.code,
                path=module.path,
                message=f"one key serves the rng collections {names}",
                primary=module.label(shared.ref, "both collections draw the same bits"),
                help="split the key and give each collection its own",
                confidence=Confidence.HIGH if sure else Confidence.MEDIUM,
                scope=scope_of(facts),
            )


RULE = Rule(code="PS108", name="shared-stream", since="0.1", severity=Severity.ERROR, check=check)
