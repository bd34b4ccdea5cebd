"""Reports a new optimizer state that is never carried on.

## Why is this bad?

`tx.update` returns the updates and the optimizer's next state. With the old state handed in every time, momentum and
second moments stay at their start, step counts and schedules never advance, and nothing crashes.

```python bad
import optax

def step(tx: optax.GradientTransformation, params, opt_state, grads):
    updates, _ = tx.update(grads, opt_state, params)  # error: [PS205]
    return optax.apply_updates(params, updates), opt_state
```

```python bad
import optax

def fit(params, data, grad):
    tx = optax.adam(1e-3)
    opt_state = tx.init(params)
    for batch in data:
        updates, new_state = tx.update(grad(params, batch), opt_state)  # error: [PS205]
        params = optax.apply_updates(params, updates)
    return params
```

Use instead:

```python good
import optax

def step(tx: optax.GradientTransformation, params, opt_state, grads):
    updates, opt_state = tx.update(grads, opt_state, params)
    return optax.apply_updates(params, updates), opt_state
```

A transform that has nothing to remember may be called so, and so may one whose updates are only looked at:

```python good
import optax

def clip(grads):
    tx = optax.clip_by_global_norm(1.0)
    clipped, _ = tx.update(grads, tx.init(grads))
    return clipped

def size(tx: optax.GradientTransformation, params, opt_state, grads):
    updates, _ = tx.update(grads, opt_state, params)
    return optax.global_norm(updates)
```
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_purestate._check.flow.facts import Lost, ModuleFacts
from pytest_purestate._check.model import Confidence, Finding, Rule, Severity
from pytest_purestate._check.rules._lost import lives_on
from pytest_purestate._check.rules._reuse import scope_of


def _confidence(lost: Lost) -> Confidence | None:
    if not lost.kept or not lost.applied or lost.parts:
        return None
    if not lost.named and lost.applied != "goal":
        return None
    if lost.applied == "out":  # the updates went somewhere, perhaps only to be looked at
        return Confidence.LOW if lost.sure else None
    return Confidence.HIGH if lost.sure and not lost.through else Confidence.MEDIUM


def check(module: ModuleFacts) -> Iterator[Finding]:
    """One finding for each optimizer state that is made, left behind, and whose updates are applied."""
    for facts in module.functions:
        for lost in facts.lost.values():
            confidence = _confidence(lost) if lost.role == "optimizer" else None
            if lost.kept == "call" and not (facts.function and module.carries(facts.function)):
                continue  # one step from a fresh start, as for each of several tasks
            if confidence is None:
                continue
            yield Finding(
                code=RULE.code,
                path=module.path,
                message="the optimizer starts anew in every iteration: its new state is dropped"
                if lost.kept in ("anew", "call")
                else f"the new optimizer state is dropped; `{lost.old}` never advances",
                primary=module.label(
                    lost.ref,
                    f"bound to `{lost.name}` and never used"
                    if lost.name
                    else "the new state is left behind here",
                ),
                related=lives_on(module, facts, lost),
                help="call `init` before the loop, and carry the state on"
                if lost.kept in ("anew", "call")
                else f"bind it and carry it on: `updates, {lost.old.rpartition('.')[2]} = ...`"
                if not lost.through
                else "bind the new state and hand it to the next step",
                confidence=confidence,
                scope=scope_of(facts),
            )


RULE = Rule(code="PS205", name="dropped-optimizer-state", since="0.1", severity=Severity.ERROR, check=check)
