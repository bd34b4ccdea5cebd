"""Reports a functional update whose result is thrown away.

## Why is this bad?

Functional updates change nothing in place: they return the new value. As a bare statement they have no
effect, the old state lives on, and nothing crashes.

```python bad
import optax
from flax.training.train_state import TrainState

def step(state: TrainState, grads):
    state.apply_gradients(grads=grads)  # error: [PS204]
    return state

def clear(x):
    x.at[0].set(0.0)  # error: [PS204]
    return x
```

```python fixed
import optax
from flax.training.train_state import TrainState

def step(state: TrainState, grads):
    state = state.apply_gradients(grads=grads)
    return state

def clear(x):
    x = x.at[0].set(0.0)
    return x
```

Nor does `-=`: it makes a new array, here one that the loop's variable only holds until the next pass:

```python bad
import jax

def step(params, loss, rate):
    grads = jax.grad(loss)(params)
    for param, grad in zip(params, grads):
        param -= rate * grad  # error: [PS204]
    return params
```

Methods that work in place by design are right as statements:

```python good
import jax
from flax import nnx

def step(optimizer: nnx.Optimizer, model, grads, metrics: dict):
    optimizer.update(model, grads)
    metrics.update(loss=0.0)
```
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pytest_purestate._check import ir
from pytest_purestate._check.flow.facts import Dropped, FunctionFacts, ModuleFacts, Renewal
from pytest_purestate._check.model import Applicability, Confidence, Edit, Finding, Fix, Rule, Severity, Span
from pytest_purestate._check.rules._reuse import scope_of

_AWAITED = frozenset(("BaseException", "TypeError", "ValueError", "AttributeError", "KeyError", "IndexError"))
_NAME = re.compile(r"[A-Za-z_][\w.]*")


def _target(module: ModuleFacts, dropped: Dropped, text: str) -> str:
    """The name that the result belongs to: the receiver, or the argument whose place it takes."""
    match = _NAME.match(text)
    if dropped.old:
        name = module.text(dropped.old)
    elif match is None or (dropped.receiver and not dropped.receiver.startswith("@")):
        return ""  # a function that says nothing of whose place its result takes
    else:
        head = match.group(0)
        name = head.removesuffix(".at") if dropped.what == "at" else head.rpartition(".")[0]
    return name if name.isidentifier() else ""


def _fix(module: ModuleFacts, dropped: Dropped, name: str) -> Fix | None:
    if (
        not name
        or not module.fixable(dropped.statement)
        or (dropped.what not in ("at", "replace", "_replace", "apply_gradients") and not dropped.old)
        or dropped.what == "update"  # a pair
    ):
        return None
    start = module.span(dropped.statement).start
    return Fix(
        f"bind the result to `{name}`", (Edit(Span(start, start), f"{name} = "),), Applicability.UNSAFE
    )


def _forgotten(module: ModuleFacts, facts: FunctionFacts, renewal: Renewal, loop: ir.For) -> Finding | None:
    """``for p in params: p -= step``: the loop's variable is the new array, until it is the next item."""
    if not renewal.kind and not module.holds_arrays(renewal.place.root):
        return None
    over = " ".join(module.text(loop.iter.ref).split())[:40]
    return Finding(
        code=RULE.code,
        path=module.path,
        message=f"`{renewal.name} {renewal.op}= ...` makes a new array, which is thrown away; "
        f"the arrays in `{over}` stay as they were",
        primary=module.label(renewal.ref, "this statement has no effect"),
        related=(*module.handed_over(renewal.place), module.label(loop.iter.ref, "the loop runs over these")),
        help="collect the new arrays, for example with `jax.tree.map(lambda p, g: p - rate * g, params, grads)`",
        confidence=Confidence.HIGH if renewal.kind and renewal.sure else Confidence.MEDIUM,
        scope=scope_of(facts),
    )


def check(module: ModuleFacts) -> Iterator[Finding]:
    """One finding for each functional update used as a statement."""
    for facts in module.functions:
        found = (_forgotten(module, facts, renewal, loop) for renewal, loop in module.forgotten(facts))
        yield from (finding for finding in found if finding is not None)
        for dropped in facts.dropped.values():
            if dropped.what in ("split", "fold_in") or dropped.caught & _AWAITED:
                continue
            text = module.text(dropped.statement)
            name = _target(module, dropped, text)
            what = ".at[...] update" if dropped.what == "at" else f"`{dropped.what}`"
            yield Finding(
                code=RULE.code,
                path=module.path,
                message=f"the result of {what} is thrown away"
                + (f"; `{name}` stays as it was" if name else ""),
                primary=module.label(dropped.statement, "this statement has no effect"),
                help=f"bind the result: `{name} = {' '.join(text.split())[:60]}`"
                if name
                else "bind the result to a name, or return it; if nobody needs it, remove the call",
                confidence=dropped.confidence,
                fix=_fix(module, dropped, name),
                scope=scope_of(facts),
            )


RULE = Rule(code="PS204", name="discarded-update", since="0.1", severity=Severity.ERROR, check=check)
