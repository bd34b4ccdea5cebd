"""Reports new `batch_stats`-like collections that a training step leaves behind.

## Why is this bad?

`model.apply(..., mutable=["batch_stats"])` returns the collections as they are after the call. A step that drops them
trains with statistics that never move: the loss falls, and evaluation with the running averages is wrong.

```python bad
import jax
from flax.training.train_state import TrainState

class State(TrainState):
    batch_stats: dict

def step(state: State, x, y):
    def loss_fn(params):
        out, _ = state.apply_fn(  # error: [PS206]
            {"params": params, "batch_stats": state.batch_stats}, x, mutable=["batch_stats"]
        )
        return ((out - y) ** 2).mean()

    return state.apply_gradients(grads=jax.grad(loss_fn)(state.params))
```

Use instead:

```python good
import jax
from flax.training.train_state import TrainState

class State(TrainState):
    batch_stats: dict

def step(state: State, x, y):
    def loss_fn(params):
        out, updates = state.apply_fn(
            {"params": params, "batch_stats": state.batch_stats}, x, mutable=["batch_stats"]
        )
        return ((out - y) ** 2).mean(), updates

    grads, updates = jax.grad(loss_fn, has_aux=True)(state.params)
    return state.apply_gradients(grads=grads, batch_stats=updates["batch_stats"])

def predict(state: State, x):
    out, _ = state.apply_fn({"params": state.params, "batch_stats": state.batch_stats}, x, mutable=["batch_stats"])
    return out
```
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_purestate._check.flow.facts import FunctionFacts, Lost, ModuleFacts, Trace
from pytest_purestate._check.model import Confidence, Finding, Label, Rule, Severity
from pytest_purestate._check.rules._lost import lives_on
from pytest_purestate._check.rules._reuse import scope_of

_TRANSIENT = frozenset(
    "cache intermediates perturbations losses metrics summaries aux_loss aux_losses".split()
)
"""Collections that a call fills anew: nothing is lost with them."""


def _confidence(lost: Lost) -> Confidence | None:
    if lost.parts and (not lost.names or lost.kept != "returned"):
        return None
    if lost.names and _TRANSIENT.issuperset(lost.names):
        return None
    if not lost.sure and lost.others:
        return None  # one of several runs counts
    return Confidence.HIGH if lost.names and not lost.others else Confidence.MEDIUM


def _trains(module: ModuleFacts, facts: FunctionFacts, lost: Lost) -> bool:
    """Whether the function is differentiated by the model's parameters, or makes an optimizer step itself."""
    trace = module.traced.get(facts.function) if facts.function is not None else None
    if not lost.sure and lost.trained not in ("own", "advanced"):
        return False  # the state of a target network, which stays as it is
    if facts.steps:
        return lost.trained != "other"
    own = trace is not None and trace.mode == "grad" and lost.trained == "own"
    return own and trace is not None and _for_a_step(module, trace)


def _for_a_step(module: ModuleFacts, trace: Trace) -> bool:
    """Whether a function is differentiated to make a step: a test may compare the gradients, so it must make one."""
    place = trace.place
    if place is None or not (module.in_test(place) or module.is_tests_own(place)):
        return True
    return any(facts.steps for facts in module.functions if facts.function is place)


def check(module: ModuleFacts) -> Iterator[Finding]:
    """One finding for each set of new collections that a function which trains leaves behind."""
    for facts in module.functions:
        for lost in facts.lost.values():
            confidence = _confidence(lost) if lost.role == "collections" else None
            if confidence is None or not _trains(module, facts, lost):
                continue
            what = ", ".join(f"`{name}`" for name in lost.names) or "collections"
            trace = module.traced.get(facts.function) if facts.function is not None else None
            related = lives_on(module, facts, lost)
            if trace is not None and trace.mode == "grad" and not related:
                lowered = trace.context.lowered
                where = Label(lowered.span(trace.ref), "differentiated here, in a step", lowered.source.path)
                related = (where,)
            primary = module.label(
                lost.ref, f"bound to `{lost.name}` and never used" if lost.name else "left behind here"
            )
            if lost.parts:  # the place to repair is where the rest goes into the new state
                primary = module.label(lost.where, f"`{lost.old}` stays as it was")
                related = (module.label(lost.ref, f"{what} of `{lost.name}` is never used"),)
            yield Finding(
                code=RULE.code,
                path=module.path,
                message=f"the new {what} of this training step are dropped and never advance",
                primary=primary,
                related=related,
                help="return them (`has_aux=True`) and store them in the new state",
                confidence=confidence,
                scope=scope_of(facts),
            )


RULE = Rule(code="PS206", name="dropped-collections", since="0.1", severity=Severity.ERROR, check=check)
