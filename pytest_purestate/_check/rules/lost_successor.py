"""Reports a successor of a state that is computed and lost while the old state lives on.

## Why is this bad?

`state.apply_gradients`, `state.replace` and `optax.apply_updates` return the next state. A step that computes it and
returns the old one does all the work of training and learns nothing; so does a loop that never takes up what its step
returns.

```python bad
import jax
from flax.training.train_state import TrainState

def step(state: TrainState, loss_fn, batch):
    loss, grads = jax.value_and_grad(loss_fn)(state.params, batch)
    new_state = state.apply_gradients(grads=grads)  # error: [PS207]
    return state, loss
```

```python bad
import jax
from flax.training.train_state import TrainState

def step(state: TrainState, grads):
    return state.apply_gradients(grads=grads), jax.numpy.mean(grads)

def train(state: TrainState, batches):
    for batch in batches:
        _, loss = step(state, batch)  # error: [PS207]
        print(loss)
```

Use instead:

```python good
import jax
from flax.training.train_state import TrainState

def step(state: TrainState, grads):
    return state.apply_gradients(grads=grads), jax.numpy.mean(grads)

def train(state: TrainState, batches):
    for batch in batches:
        state, loss = step(state, batch)
        print(loss)
    return state

def accept(state: TrainState, grads, ok):
    new_state = state.apply_gradients(grads=grads)
    return jax.tree.map(lambda new, old: jax.numpy.where(ok, new, old), new_state, state)
```
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_purestate._check.flow.facts import FunctionFacts, Lost, ModuleFacts
from pytest_purestate._check.model import Confidence, Finding, Rule, Severity
from pytest_purestate._check.rules._lost import lives_on
from pytest_purestate._check.rules._reuse import scope_of

_LOOPS = ("scan", "fori", "while")


def _carries(module: ModuleFacts, facts: FunctionFacts) -> bool:
    """Whether what the function returns goes in again, as a body of ``scan`` does."""
    trace = module.traced.get(facts.function) if facts.function is not None else None
    return trace is not None and trace.mode in _LOOPS


def _of_self(facts: FunctionFacts, lost: Lost) -> bool:
    """Whether a method makes a successor of its object, and returns something else."""
    receiver = facts.function.receiver if facts.function is not None else ""
    bases = [place.root.base for place in facts.returned if place.root.base is not None]
    others = any(base.root.name == receiver for base in bases)
    return bool(receiver) and lost.old == receiver and not others


def _confidence(module: ModuleFacts, facts: FunctionFacts, lost: Lost) -> Confidence | None:
    if lost.role == "named":
        return Confidence.MEDIUM
    if lost.kept == "last":
        timed = any(effect.kind == "clock" for effect in facts.effects.values())
        return None if timed else Confidence.MEDIUM
    dropped = lost.name.startswith("_") or not lost.name
    if lost.parts:  # what is read of it may be all that is wanted, but a carry is there to be carried on
        goes_on = lost.role == "params" or _carries(module, facts)
        return Confidence.MEDIUM if lost.kept == "returned" and not dropped and goes_on else None
    if lost.kept == "returned" and (not dropped or lost.role == "params"):
        return Confidence.HIGH if not dropped else Confidence.MEDIUM
    if lost.kept == "loop" and lost.role == "params":
        if not lost.name and any(effect.kind == "clock" for effect in facts.effects.values()):
            return None  # it measures how long the step takes
        return Confidence.MEDIUM
    if lost.kept in ("self", "caller") and not dropped and facts.returns_value:
        if lost.role != "params" and not _of_self(facts, lost):
            return None
        return Confidence.MEDIUM
    return None


def check(module: ModuleFacts) -> Iterator[Finding]:
    """One finding for each successor that nobody looks at while the old state lives on."""
    for facts in module.functions:
        for lost in facts.lost.values():
            confidence = (
                _confidence(module, facts, lost) if lost.role in ("params", "fields", "named") else None
            )
            if confidence is None:
                continue
            named = bool(lost.name) and lost.name != "_"
            what = f"`{lost.name}`" if named else "the new state"
            use = "carried on" if lost.parts else "used"
            yield Finding(
                code=RULE.code,
                path=module.path,
                message=f"every iteration steps from the same `{lost.old}`, and only the last `{lost.name}` is kept"
                if lost.kept == "last"
                else f"`{lost.old}` is returned as it was, and the step to `{lost.name}` is lost on this way"
                if lost.kept == "branch"
                else f"the new `{lost.name}` is never {use}: the old one stays as it was"
                if lost.name == lost.old
                else f"{what}, the successor of `{lost.old}`, is never {use}: `{lost.old}` stays as it was",
                primary=module.label(
                    lost.ref,
                    f"{what} is made here, and lost when the next one is"
                    if lost.kept == "last"
                    else "the old state goes on from here"
                    if lost.kept == "branch"
                    else f"{what} is made here and lost"
                    if named
                    else "what this call returns is lost",
                ),
                related=(module.label(lost.where, f"`{lost.name}` is made here"),)
                if lost.kept == "branch"
                else lives_on(module, facts, lost),
                help=f"carry the new value on in place of {'the old one' if lost.name == lost.old else f'`{lost.old}`'}",
                confidence=confidence,
                scope=scope_of(facts),
            )


RULE = Rule(code="PS207", name="lost-successor", since="0.1", severity=Severity.ERROR, check=check)
