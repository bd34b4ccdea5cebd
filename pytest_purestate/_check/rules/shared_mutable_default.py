"""Reports a mutable default that all calls, or all instances, share.

## Why is this bad?

A default is made once, when the function or class is defined. What one call appends to it, every later call
finds in it; what is stored or returned lets others edit it. A dataclass (and so every Flax or Equinox module
and every state class) does not even begin: it raises `ValueError: mutable default`.

```python bad
from collections.abc import Sequence

import flax.linen as nn

class MLP(nn.Module):
    features: Sequence[int] = [16, 4]  # error: [PS211]

    @nn.compact
    def __call__(self, x):
        for size in self.features:
            x = nn.relu(nn.Dense(size)(x))
        return x
```

```python bad
import jax

def record(value, history=[]):
    history.append(jax.device_get(value))  # error: [PS211]
    return history
```

Use instead a tuple, a factory, or None. A default that is only read is right:

```python good
import dataclasses
from collections.abc import Sequence

import flax.linen as nn
import jax

class MLP(nn.Module):
    features: Sequence[int] = (16, 4)
    names: dict = dataclasses.field(default_factory=dict)

    @nn.compact
    def __call__(self, x, skip=[]):
        for number, size in enumerate(self.features):
            if number not in skip:
                x = nn.relu(nn.Dense(size)(x))
        return x

def record(value, history=None):
    history = [] if history is None else history
    history.append(jax.device_get(value))
    return history
```
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_purestate._check.flow.facts import FunctionFacts, ModuleFacts, SharedDefault
from pytest_purestate._check.model import Confidence, Finding, Label, Rule, Severity
from pytest_purestate._check.rules._reuse import scope_of

_WHAT = {"array": "an array", "numpy": "a numpy array"}
_DONE = {
    "edited": ("every call edits the same {kind}", "edited in place here"),
    "stored": ("every instance holds the same {kind}", "stored here"),
    "returned": ("every caller gets the same {kind}", "returned here"),
}


def _of_field(module: ModuleFacts, default: SharedDefault) -> tuple[str, str, str, Confidence]:
    kind = default.type.kind
    what = _WHAT.get(kind, f"a {kind}")
    if default.family == "namedtuple":
        message = f"{what} is the default of field `{default.name}`: all instances share it"
        return (
            message,
            "made once, for all instances",
            "leave the default out, or use a tuple",
            Confidence.MEDIUM,
        )
    message = f"{what} is the default of field `{default.name}`, which no dataclass takes"
    instead = {"list": "use a tuple, or ", "set": "use a frozenset, or "}.get(kind, "use ")
    sure = Confidence.MEDIUM if kind in _WHAT else Confidence.HIGH  # Python takes arrays before 3.11
    return (
        message,
        "raises `ValueError` when the class is made",
        f"{instead}`field(default_factory=...)`",
        sure,
    )


def _confidence(module: ModuleFacts, facts: FunctionFacts, default: SharedDefault) -> Confidence:
    if default.name.startswith("_"):
        return Confidence.LOW  # a memory on purpose, kept out of the way
    if default.where == "stored" and not _edited_later(module, facts, default.attribute):
        return Confidence.LOW
    return Confidence.HIGH if default.where == "edited" else Confidence.MEDIUM


def _edited_later(module: ModuleFacts, facts: FunctionFacts, attribute: str) -> bool:
    """Whether a method of the same class edits in place what is stored under this name.

    What a function gives to an instance that it makes may be edited by any function of the module.
    """
    owner = facts.function.owner if facts.function is not None else None
    return any(
        (".", attribute) in (mutation.place.path[:1] if owner is not None else mutation.place.path)
        and mutation.how != "setattr"
        for other in module.functions
        if owner is None or (other.function is not None and other.function.owner is owner)
        for mutation in other.mutations.values()
    )


def check(module: ModuleFacts) -> Iterator[Finding]:
    """One finding for each default that is shared where it can be, or will be, edited."""
    for facts in module.functions:
        told: set[int] = set()
        for where in ("field", *_DONE):
            for default in facts.defaults.values():
                if default.where != where or default.ref in told:
                    continue
                told.add(default.ref)
                related: tuple[Label, ...] = ()
                at = default.ref
                if where == "field":
                    message, here, help, sure = _of_field(module, default)
                else:
                    done, there = _DONE[where]
                    message = (
                        f"the default of `{default.name}` is made once: {done.format(kind=default.type.kind)}"
                    )
                    here, help = (
                        "shared by all calls",
                        f"default to None, and make the {default.type.kind} inside",
                    )
                    related = (module.label(default.other, there),)
                    if where == "edited":  # the default would do no harm by itself
                        at, here = default.other, there
                        related = (module.label(default.ref, "made once, when the function is defined"),)
                    sure = _confidence(module, facts, default)
                yield Finding(
                    code=RULE.code,
                    path=module.path,
                    message=message,
                    primary=module.label(at, here),
                    related=related,
                    help=help,
                    confidence=sure,
                    scope=scope_of(facts),
                )


RULE = Rule(code="PS211", name="shared-mutable-default", since="0.1", severity=Severity.WARNING, check=check)
