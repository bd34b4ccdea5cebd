"""Reports an argument used after its buffers were donated.

## Why is this bad?

`donate_argnums` lets the compiled function write its results into the buffers of an argument. The
argument is gone with the call: to read it afterwards raises `Array has been deleted`, on some
devices only, so that what ran on the laptop stops on the accelerator.

```python bad
from functools import partial
import jax

@partial(jax.jit, donate_argnums=0)
def step(state, x):
    return jax.tree.map(lambda leaf: leaf - 0.1 * x, state)

def train(state, x):
    new_state = step(state, x)
    change = new_state["w"] - state["w"]  # error: [PS208]
    return new_state, change
```

A loop that does not take the result over donates the same argument twice:

```python bad
import jax

step = jax.jit(lambda state, x: state + x, donate_argnums=0)

def train(state, xs):
    for x in xs:
        out = step(state, x)  # error: [PS208]
    return out
```

Read what is wanted before the call, and bind the result to the old name:

```python good
from functools import partial
import jax

@partial(jax.jit, donate_argnums=0)
def step(state, x):
    return jax.tree.map(lambda leaf: leaf - 0.1 * x, state)

def train(state, xs):
    for x in xs:
        before = state["w"].sum()
        state = step(state, x)
        print(state["w"].sum() - before)
    return state
```

Shapes, dtypes and `step.lower(state)` can still be had of a donated array.
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_purestate._check.flow.facts import ModuleFacts
from pytest_purestate._check.flow.values import Donation
from pytest_purestate._check.model import Finding, Label, Rule, Severity
from pytest_purestate._check.rules._reuse import scope_of


def _labels(donation: Donation) -> Iterator[Label]:
    """Where the buffers went, call by call."""
    inner: Donation | None = donation
    while inner is not None:
        lowered = inner.context.lowered
        yield Label(lowered.span(inner.ref), f"donated to `{inner.verb}` here", lowered.source.path)
        inner = inner.inner


def check(module: ModuleFacts) -> Iterator[Finding]:
    """One finding for the first use after a donation, on each path."""
    traced = {facts.function for facts, _ in module.traced_functions()}
    told = {  # the call of the next iteration gives away what this one gave away
        (use.donation.context, use.donation.call)
        for facts in module.functions
        for use in facts.donated.values()
        if use.donation.ref == use.ref and use.donation.context is module.context
    }
    for facts in module.functions:
        if facts.function in traced:
            continue  # a transform inside another donates nothing
        for use in facts.donated.values():
            donation = use.donation
            if (donation.context, donation.call) in told and donation.ref != use.ref:
                continue
            if use.ref in facts.reuses:
                continue  # the key is spent twice, which is worse
            name = " ".join(module.text(use.ref).split())
            again = donation.ref == use.ref and donation.context is module.context
            yield Finding(
                code=RULE.code,
                path=module.path,
                message=f"`{name}` was donated to `{donation.verb}` in the iteration before"
                if again
                else f"`{name}` is used after it was donated to `{donation.verb}`",
                primary=module.label(use.ref, "donated here, and again" if again else "its buffers are gone"),
                related=() if again else tuple(_labels(donation)),
                help=f"bind the result of `{donation.verb}` to the old name, or read what is needed before the call",
                confidence=use.confidence,
                scope=scope_of(facts),
            )


RULE = Rule(code="PS208", name="use-after-donation", since="0.1", severity=Severity.ERROR, check=check)
