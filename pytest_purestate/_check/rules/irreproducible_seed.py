"""Reports a key whose seed differs from run to run.

## Why is this bad?

A run that is seeded from the clock, from the system's entropy, from `hash()` of a string or from a generator
that nobody seeded cannot be repeated: the number that would replay the bug was never written down.

```python bad
import time

import jax

def start():
    return jax.random.key(int(time.time()))  # error: [PS110]
```

```python bad
import jax
import numpy as np

def start():
    seed = np.random.randint(2**31)
    return jax.random.key(seed)  # error: [PS110]
```

A script for looking on, such as `play.py`, may well begin anew in every run; there it is reported with low
confidence. A seed that is drawn where the caller gave none is right if it is printed, logged or kept: then the run
can be repeated.

The same is true of what a generator of the host draws. One that is made without a seed draws something else in
every run, whatever seed the caller chose:

```python bad
import jax.numpy as jnp
import numpy as np

class Buffer:
    def __init__(self, rows, seed):
        self.rows = rows
        self.rng = np.random.default_rng()  # error: [PS110]

    def sample(self, size):
        return jnp.asarray(self.rows[self.rng.integers(len(self.rows), size=size)])
```

Take the seed as an argument, and log it:

```python good
import argparse

import jax

def start():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    return jax.random.key(parser.parse_args().seed)
```
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pytest_purestate._check import ir
from pytest_purestate._check.flow.facts import FunctionFacts, ModuleFacts, Seed
from pytest_purestate._check.model import Confidence, Finding, Label, Rule, Severity
from pytest_purestate._check.rules._reuse import scope_of

_PLAY = re.compile(r"(^|/)(play|enjoy|demo|render|visuali[sz]e)(_[^/]*)?\.py$")
_WHY = {
    "builtins.hash": "`hash` of a string differs in every process",
    "builtins.id": "`id` is an address, another one in every run",
}


def check(module: ModuleFacts) -> Iterator[Finding]:
    """One finding for each key that is made from the clock, from entropy or from an unseeded generator."""
    seeded = any(effect.kind == "seed" for facts in module.functions for effect in facts.effects.values())
    told = _drawn_in_traces(module)
    for facts in module.functions:
        yield from _of_ignored_key(module, facts, seeded)
        yield from _of_unseeded(module, facts)
        for seed in facts.seeds.values():
            if seed.origin is not None and (seed.origin.context, seed.origin.ref) in told:
                continue
            source = seed.source.removeprefix("builtins.")
            drawn = seed.source.startswith(("random.", "numpy.random."))
            sure = Confidence.LOW if _plays(module) else seed.confidence
            sure = min(sure, Confidence.MEDIUM) if seed.instead else sure
            unsure = Confidence.LOW if seeded else Confidence.MEDIUM
            yield Finding(
                code=RULE.code,
                path=module.path,
                message=f"the seed of this {seed.of} comes from `{source}`, so no run can be repeated",
                primary=module.label(seed.ref, _WHY.get(seed.source, f"another {seed.of} in every run")),
                related=_made(module, seed),
                help="log it" if seed.instead else "take the seed as an argument, and log it",
                confidence=min(sure, unsure) if drawn or source == "hash" else sure,
                scope=scope_of(facts),
            )


def _drawn_in_traces(module: ModuleFacts) -> set[tuple[object, int]]:
    """Where traced functions draw from the host: PS111 reports it, and the key is as wrong as what is drawn."""
    return {
        (effect.context, effect.ref)
        for facts, _ in module.traced_functions()
        for effect in facts.effects.values()
        if effect.kind in ("host-rng", "unseeded", "clock") and effect.when is not False
    }


def _made(module: ModuleFacts, seed: Seed) -> tuple[Label, ...]:
    """Where the seed was made, if not in the call itself."""
    if seed.origin is None:
        return ()
    lowered, call = seed.origin.context.lowered, module.span(seed.ref)
    span = seed.origin.context.callee_span(seed.origin.ref)
    if lowered is module.context.lowered and call.start <= span.start < call.end:
        return ()
    return (Label(span, "made here", lowered.source.path),)


def _plays(module: ModuleFacts) -> bool:
    """Whether it is a script for looking on, of which no number is kept: each run is to be another one."""
    return _PLAY.search(module.path.replace("\\", "/")) is not None and any(
        isinstance(statement, ir.If)
        and isinstance(statement.test, ir.Compare)
        and isinstance(statement.test.left, ir.Name)
        and statement.test.left.id == "__name__"
        for statement in module.context.lowered.module.body
    )


def _of_ignored_key(module: ModuleFacts, facts: FunctionFacts, seeded: bool) -> Iterator[Finding]:
    """Draws from the host's generator in a function that is given a key."""
    for ignored in facts.ignored.values():
        given = module.given_keys.get(ignored.param)
        if given is None and not ignored.annotated:
            continue
        name = facts.function.name if facts.function is not None else ""
        related = () if given is None else (module.label(given, "a key is handed over here"),)
        yield Finding(
            code=RULE.code,
            path=module.path,
            message=f"`{ignored.source}` draws from a global generator, and `{name}` ignores its key "
            f"`{ignored.param.name}`",
            primary=module.label(ignored.ref, "another result in every run"),
            related=related,
            help=f"draw with `jax.random` from `{ignored.param.name}`",
            confidence=Confidence.LOW if seeded or module.is_test else Confidence.MEDIUM,
            scope=scope_of(facts),
        )


def _of_unseeded(module: ModuleFacts, facts: FunctionFacts) -> Iterator[Finding]:
    """Generators made without the seed that the function is given."""
    told: set[int] = set()
    for made in facts.unseeded:
        given = module.given_keys.get(made.param)
        if made.ref in told or not (made.known or given is not None):
            continue
        told.add(made.ref)
        name, param = facts.function.name if facts.function is not None else "", made.param.name
        short = " ".join(module.text(made.ref).split()).partition("(")[0]
        yield Finding(
            code=RULE.code,
            path=module.path,
            message=f"`{made.source}` makes a generator without a seed, although `{name}` is given `{param}`",
            primary=module.label(made.ref, "draws something else in every run"),
            related=(module.label(made.param.ref, "this does not reach it"),),
            help=f"seed it: `{short}({param})`"
            if made.number
            else f"seed it from the key, or draw with `jax.random` from `{param}`",
            confidence=Confidence.LOW if module.is_test else Confidence.MEDIUM,
            scope=scope_of(facts),
        )


RULE = Rule(code="PS110", name="irreproducible-seed", since="0.1", severity=Severity.WARNING, check=check)
