"""Reports a `replace`- or `update`-like method, or a function, whose new value dies in a local.

## Why is this bad?

A method that makes the successor of a state must hand it back. Without the `return` the new value is
lost when the method ends, the caller gets None, and the state never advances.

```python bad
import copy
import jax

class State:
    def __init__(self, params):
        self.params = params

    def replace(self, params):
        new = copy.copy(self)  # error: [PS209]
        new.params = params
```

Use instead:

```python good
import copy
import jax

class State:
    def __init__(self, params):
        self.params = params

    def replace(self, params):
        new = copy.copy(self)
        new.params = params
        return new
```

The objects of `flax.nnx` are edited in place by design, and `nnx.jit` hands the edits back to the caller. `jax.jit`
does not: it edits a copy, which is lost unless its state is returned.

```python bad
import jax
from flax import nnx

@jax.jit
def step(model: nnx.Module, optimizer: nnx.Optimizer, batch):
    grads = nnx.grad(lambda model: (model(batch) ** 2).mean())(model)
    optimizer.update(model, grads)  # error: [PS209]
```

```python good
import jax
from flax import nnx

@nnx.jit
def step(model: nnx.Module, optimizer: nnx.Optimizer, batch):
    grads = nnx.grad(lambda model: (model(batch) ** 2).mean())(model)
    optimizer.update(model, grads)

@jax.jit
def fast_step(graphdef, state, batch):
    model, optimizer = nnx.merge(graphdef, state)
    grads = nnx.grad(lambda model: (model(batch) ** 2).mean())(model)
    optimizer.update(model, grads)
    return nnx.state((model, optimizer))
```
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pytest_purestate._check.flow.facts import ModuleFacts
from pytest_purestate._check.model import Confidence, Finding, Rule, Severity
from pytest_purestate._check.rules._copies import edited_copies
from pytest_purestate._check.rules._reuse import scope_of

_LIKE = re.compile(
    r"_?(replace|update|advance|evolve|increment|apply_gradients|apply_updates|with_|next_state|set_|step$|copy_with)"
)


def check(module: ModuleFacts) -> Iterator[Finding]:
    """One finding for each successor that a method makes and forgets to return, and each copy edited in a trace."""
    yield from edited_copies(module, RULE.code)
    for facts in module.functions:
        function = facts.function
        if function is None or function.is_generator:
            continue
        if facts.returns_value or facts.edits_self:
            continue
        what = "method" if function.owner is not None else "function"
        like = _LIKE.match(function.name) is not None
        for successor in facts.successors.values():
            plain = not function.name.startswith("__") and not successor.name.startswith("_")
            of_self = function.owner is not None and (like or (successor.frozen and plain))
            if not of_self and not successor.renewed:
                continue
            yield Finding(
                code=RULE.code,
                path=module.path,
                message=f"`{function.name}` makes a new value `{successor.name}` and never returns it",
                primary=module.label(
                    successor.statement,
                    f"`{successor.name}` is made here and lost when `{function.name}` ends",
                ),
                related=(module.label(function.ref, f"`{function.name}` returns None"),),
                help=f"end the {what} with `return {successor.name}`",
                confidence=Confidence.HIGH,
                scope=scope_of(facts),
            )


RULE = Rule(code="PS209", name="update-without-return", since="0.1", severity=Severity.ERROR, check=check)
