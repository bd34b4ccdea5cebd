"""Reports a carried key that is spent while the subkey made for it lies unused.

## Why is this bad?

After `key, subkey = jax.random.split(key)`, `key` is the one to carry on and `subkey` the one to
spend. Spending `key` and leaving `subkey` unused is a slip of the pen: the next step then splits or
draws from a key that was already spent.

```python bad
import jax

def init(model, key, x):
    key, init_key = jax.random.split(key)  # error: [PS104]
    params = model.init(key, x)
    return params
```

```python fixed
import jax

def init(model, key, x):
    key, init_key = jax.random.split(key)
    params = model.init(init_key, x)
    return params
```

The same slip beside a second use is reported at that use:

```python bad
import jax

def pair(key):
    a, b = jax.random.split(key)
    return jax.random.normal(a), jax.random.normal(a)  # error: [PS104]
```

A child that is not wanted is bound to `_`, or to a name with a leading underscore that nothing reads:

```python good
import jax

def advance(key):
    key, _ = jax.random.split(key)
    return jax.random.normal(key)
```
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_purestate._check.flow.facts import FunctionFacts, ModuleFacts, Reuse, Swap
from pytest_purestate._check.model import Applicability, Confidence, Finding, Fix, Rule, Severity
from pytest_purestate._check.rules._reuse import name_of, reuse_finding, scope_of


def _replacement(module: ModuleFacts, ref: int, instead: str) -> Fix | None:
    if not module.fixable(ref) or not module.text(ref).isidentifier():
        return None
    return Fix(f"use `{instead}`", (module.edit(ref, instead),), Applicability.UNSAFE)


def _of_reuse(module: ModuleFacts, facts: FunctionFacts, reuse: Reuse) -> Finding:
    name = name_of(reuse.second, reuse.place)
    instead, first = reuse.instead, reuse.first
    early = (
        reuse.second.kind == "split" and first.kind != "split"
    )  # the key that is split was to be carried on
    return reuse_finding(
        module,
        facts,
        reuse,
        code=RULE.code,
        message=f"key `{name}` is used again after `{first.verb}` consumed it, while `{instead}` is never used",
        here="used again here",
        first="first consumed here",
        help=f"hand `{instead}` to `{first.verb}`" if early else f"use `{instead}` here",
        fix=_replacement(module, first.ref if early else reuse.second.ref, instead),
    )


def _of_swap(module: ModuleFacts, facts: FunctionFacts, swap: Swap) -> Finding:
    return Finding(
        code=RULE.code,
        path=module.path,
        message=f"subkey `{swap.unused}` is never used; `{swap.use.verb}` consumes "
        f"the carried key `{swap.carried}` instead",
        primary=module.label(swap.split.ref, f"`{swap.unused}` is made here and never used"),
        related=(module.label(swap.use.ref, f"the carried key `{swap.carried}` is consumed here"),),
        help=f"hand `{swap.unused}` to `{swap.use.verb}`, or name it `_` if it is not wanted",
        confidence=Confidence.HIGH if swap.use.strong else Confidence.MEDIUM,
        fix=_replacement(module, swap.use.ref, swap.unused),
        scope=scope_of(facts),
    )


def check(module: ModuleFacts) -> Iterator[Finding]:
    """One finding for each split whose spent and unused children were swapped."""
    for facts, reuse in module.reuses("swapped"):
        yield _of_reuse(module, facts, reuse)
    for facts in module.functions:
        for swap in facts.swaps:
            yield _of_swap(module, facts, swap)


RULE = Rule(code="PS104", name="swapped-subkey", since="0.1", severity=Severity.ERROR, check=check)
