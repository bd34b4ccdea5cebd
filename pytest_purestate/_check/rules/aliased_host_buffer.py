"""Reports a numpy buffer that is written after JAX was handed it.

## Why is this bad?

`jnp.asarray` and `jax.device_put` need not copy: on CPU the array may share the buffer's memory, elsewhere
the transfer may still be under way when the next line runs. A later write shows in the array, sometimes.

```python bad
import jax.numpy as jnp
import numpy as np

def load_frames(readers, shape):
    scratch = np.empty(shape, dtype=np.float32)
    frames = []
    for read in readers:
        scratch[:] = read()  # error: [PS212]
        frames.append(jnp.asarray(scratch))
    return frames
```

So does a buffer on an object, which one method gives away as an array and another, or the next call, fills again:

```python bad
import jax
import numpy as np

class Camera:
    def __init__(self, shape):
        self.frame = np.zeros(shape, dtype=np.float32)

    def image(self):
        return jax.device_put(self.frame)

    def step(self, pixels):
        self.frame[:] = pixels  # error: [PS212]
```

Use instead a new buffer for each array, or hand over a copy:

```python good
import jax.numpy as jnp
import numpy as np

def load_frames(readers, shape):
    frames = []
    for read in readers:
        frame = np.empty(shape, dtype=np.float32)
        frame[:] = read()
        frames.append(jnp.asarray(frame))
    return frames

def load_copies(readers, shape):
    scratch = np.empty(shape, dtype=np.float32)
    frames = []
    for read in readers:
        scratch[:] = read()
        frames.append(jnp.array(scratch))
    return frames
```
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_purestate._check.flow.facts import Aliased, FunctionFacts, ModuleFacts
from pytest_purestate._check.model import Confidence, Finding, Label, Rule, Severity
from pytest_purestate._check.rules._reuse import scope_of


def check(module: ModuleFacts) -> Iterator[Finding]:
    """One finding for each write into a buffer that an array may share."""
    for facts in module.functions:
        for aliased in facts.aliased.values():
            lowered = aliased.handed.context.lowered
            here = aliased.handed.context is module.context
            later = here and lowered.span(aliased.handed.ref) > module.span(aliased.ref)
            yield _finding(module, facts, aliased, "in the next pass of the loop" if later else "afterwards")
    for facts, aliased in module.lent_buffers():
        if aliased.ref not in facts.aliased:
            yield _finding(module, facts, aliased, "in place")


def _finding(module: ModuleFacts, facts: FunctionFacts, aliased: Aliased, when: str) -> Finding:
    handed = aliased.handed
    lowered = handed.context.lowered
    name = module.text(aliased.target).partition("[")[0].strip()
    return Finding(
        code=RULE.code,
        path=module.path,
        message=f"`{name}` is written {when}, but `{handed.verb}` may have shared its memory",
        primary=module.label(aliased.ref, "may change the array, too"),
        related=(Label(lowered.span(handed.ref), "handed to JAX here", lowered.source.path),),
        help="make a new buffer for each array, or hand over a copy with `jnp.array`",
        confidence=Confidence.LOW if aliased.converted or module.is_test else Confidence.MEDIUM,
        scope=scope_of(facts),
    )


RULE = Rule(code="PS212", name="aliased-host-buffer", since="0.1", severity=Severity.WARNING, check=check)
