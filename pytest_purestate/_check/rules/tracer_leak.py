"""Reports a traced value that is stored where it outlives the trace.

## Why is this bad?

A traced function computes with tracers, stand-ins that mean something while it is traced only. One that is kept
on `self`, in a global or in a container from outside is a dead object: the next to touch it gets
`UnexpectedTracerError`, and since the compiled function never runs that line again, what is stored is never
brought up to date.

```python bad
from functools import partial
import jax

class Trainer:
    @partial(jax.jit, static_argnums=0)
    def step(self, w, x):
        loss = (w - x) ** 2
        self.last_loss = loss  # error: [PS302]
        return w - 0.1 * (w - x)
```

```python bad
import jax

best = {}

@jax.jit
def step(w, x):
    best["loss"] = (w - x) ** 2  # error: [PS302]
    return w - 0.1 * (w - x)
```

Return the value, and store it outside:

```python good
from functools import partial
import jax

class Trainer:
    def step(self, w, x):
        w, self.last_loss = self._step(w, x)
        return w

    @partial(jax.jit, static_argnums=0)
    def _step(self, w, x):
        loss = (w - x) ** 2
        return w - 0.1 * (w - x), loss
```

The modules and optimizers of `flax.nnx` are edited in place by design, but only `nnx.jit` hands the edits back to
the caller, and only for what it is given as an argument. Under `jax.jit` they are tracers that leak:

```python bad
import jax
import optax
from flax import nnx

class Algorithm:
    def __init__(self, model):
        self.model = model
        self.optimizer = nnx.Optimizer(model, optax.adamw(1e-3), wrt=nnx.Param)

        @jax.jit
        def update(batch):
            grads = nnx.grad(lambda model: (model(batch) ** 2).mean())(self.model)
            self.optimizer.update(self.model, grads)  # error: [PS302]

        self.update = update
```

```python good
import optax
from flax import nnx

@nnx.jit
def update(model, optimizer, batch):
    grads = nnx.grad(lambda model: (model(batch) ** 2).mean())(model)
    optimizer.update(model, grads)
```
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_purestate._check.flow.facts import ModuleFacts, Mutation
from pytest_purestate._check.model import Finding, Rule, Severity
from pytest_purestate._check.rules._leaks import leaks
from pytest_purestate._check.rules._reuse import scope_of, trace_label

_KINDS = {
    "global": "global",
    "nonlocal": "captured variable",
    "captured": "captured",
    "self": "",
    "memo": "the cache of",
}


def check(module: ModuleFacts) -> Iterator[Finding]:
    """One finding for each place where a traced value is stored outside."""
    for leak in leaks(module):
        function = leak.facts.function
        name = function.name if function is not None else ""
        where = f"{_KINDS[leak.kind]} `{leak.where}`".strip()
        optimizer = isinstance(leak.stored, Mutation) and leak.stored.type.kind == "optimizer"
        yield Finding(
            code=RULE.code,
            path=module.path,
            message=f"{where} is updated with traced values: `{name}` is traced by `{leak.trace.api}`"
            if optimizer
            else f"a traced value is stored on {where}: `{name}` is traced by `{leak.trace.api}`",
            primary=module.label(leak.ref, "stored while tracing only, and dead afterwards"),
            related=(trace_label(leak.trace),),
            help="use `nnx.jit`, and pass the model and the optimizer as arguments"
            if optimizer
            else "return the value and store it outside",
            confidence=leak.confidence,
            scope=scope_of(leak.facts),
        )


RULE = Rule(code="PS302", name="tracer-leak", since="0.1", severity=Severity.ERROR, check=check)
