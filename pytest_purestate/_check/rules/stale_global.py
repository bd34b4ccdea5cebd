"""Reports a compiled function that reads a module variable which is bound anew, or edited, after import.

## Why is this bad?

A compiled function reads a module variable once, while it is traced. The value becomes a constant of the compiled
code: when the variable gets another value, the function goes on with the old one, without a word, until some
argument with another shape makes JAX trace it again.

```python bad
import jax

temperature = 1.0

@jax.jit
def scale(logits):
    return logits / temperature  # error: [PS303]

def anneal(logits, steps):
    global temperature
    for _ in range(steps):
        logits = scale(logits)
        temperature = 0.9 * temperature
    return logits
```

```python bad
import jax

config = {"rate": 0.1}

@jax.jit
def step(w, grad):
    return w - config["rate"] * grad  # error: [PS303]

w = step(1.0, 2.0)
config["rate"] = 0.01
w = step(w, 2.0)
```

The same holds for a variable of the function around:

```python bad
import jax

def train(w, batches):
    scale = 1024.0

    @jax.jit
    def step(w, x):
        return w - 0.1 * x * scale  # error: [PS303]

    for x in batches:
        w = step(w, x)
        scale = scale / 2
    return w
```

Make it an argument:

```python good
import jax

@jax.jit
def scale(logits, temperature):
    return logits / temperature

def anneal(logits, steps):
    temperature = 1.0
    for _ in range(steps):
        logits = scale(logits, temperature)
        temperature = 0.9 * temperature
    return logits
```

A state that is handed in has parameters of its own; the variable from which it was once made keeps the first ones:

```python bad
import jax

def make_eval(params):
    @jax.jit
    def evaluate(state, x):
        return state.apply_fn({"params": params}, x)  # error: [PS303]

    return evaluate
```

```python good
import jax

@jax.jit
def evaluate(state, x):
    return state.apply_fn({"params": state.params}, x)
```

A variable that is set before the function runs, and never again, is right. A flag of a library that has a setter is
reported with low confidence: most are set once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pytest_purestate._check import ir
from pytest_purestate._check.flow.facts import Applied, FunctionFacts, ModuleFacts, Rebound, Trace
from pytest_purestate._check.model import Confidence, Finding, Label, Rule, Severity
from pytest_purestate._check.rules._reuse import scope_of, trace_label


def check(module: ModuleFacts) -> Iterator[Finding]:
    """One finding for each variable that a compiled function reads and somebody changes."""
    for facts, trace in module.traced_functions():
        for applied in facts.applied.values():
            if (applied.state, "params") not in facts.attributes:
                yield _of_state(module, facts, trace, applied)
    yield from _of_closures(module)
    writers = [facts for facts in module.functions if facts.rebound]
    if not writers:
        return
    by_function = module.by_function()
    traced = {facts.function for facts, _ in module.traced_functions()}
    built = {function for facts in module.functions for function in facts.built}
    done: set[tuple[str, int]] = set()
    for function, trace in module.compiled.items():
        for reader in _reached(by_function, function, inside=True):
            facts = by_function[reader]
            for place, ref in facts.reads.items():
                if (place, ref) in done:
                    continue
                found = _changed(by_function, writers, traced, function, built, facts, place)
                if found is not None:
                    done.add((place, ref))
                    yield _finding(module, facts, trace, place, ref, *found)


def _of_closures(module: ModuleFacts) -> Iterator[Finding]:
    """One finding for each captured variable that the function around binds anew between calls."""
    writers = [facts for facts in module.functions if facts.outdated]
    if not writers:
        return
    by_function = module.by_function()
    traced = {facts.function for facts, _ in module.traced_functions()}
    for writer in writers:
        if writer.function in traced:
            continue
        done: set[str] = set()
        kept = {  # the others are compiled anew, and so meet the new value
            compiled: trace
            for compiled, trace in module.compiled.items()
            if compiled.parent is writer.function
            and compiled not in writer.built
            and trace.ref not in writer.rebuilt
        }
        for (function, under_transform, name), ref in writer.outdated.items():
            ran = (function,) if under_transform else _reached(by_function, function, inside=True)[1:]
            place = writer.function, name
            for compiled in (compiled for compiled in ran if compiled in kept and name not in done):
                readers = [by_function[reader] for reader in _reached(by_function, compiled, inside=True)]
                reads = [(facts.borrowed[place], facts) for facts in readers if place in facts.borrowed]
                if reads:
                    done.add(name)
                    at, reader = min(reads, key=lambda item: item[0])
                    event = Rebound(module.context, ref, name, 0, Confidence.HIGH)
                    yield _finding(module, reader, kept[compiled], name, at, event, event.sure)


def _reached(
    by_function: Mapping[ir.Function, FunctionFacts], function: ir.Function, inside: bool = False
) -> list[ir.Function]:
    """A function and all that it calls, without those that its callers, or (``inside``) others, build anew."""
    out: list[ir.Function] = []
    todo = [function]
    while todo:
        top = todo.pop()
        if top in out or top not in by_function:
            continue
        out.append(top)
        todo.extend(called for called in by_function[top].calls.values() if inside or called.parent is None)
        if inside:
            todo.extend(nested for nested in by_function if nested.parent is top)
    return out


def _changed(
    by_function: Mapping[ir.Function, FunctionFacts],
    writers: list[FunctionFacts],
    traced: set[ir.Function | None],
    compiled: ir.Function,
    built: set[ir.Function],
    reader: FunctionFacts,
    place: str,
) -> tuple[Rebound, Confidence] | None:
    """The write that a compiled function misses, and how sure that is."""
    best: tuple[Rebound, Confidence] | None = None
    for writer in writers:
        if writer.function in traced or writer is reader:
            continue
        for event in writer.rebound.values():
            if not _meets(reader.reads, place, event.place):
                continue
            sure = _order(by_function, writer, event, compiled, built)
            if best is None or sure > best[1]:
                best = event, sure
    return best


def _meets(reads: Mapping[str, int], place: str, written: str) -> bool:
    """Whether a write changes what is read at a place. A variable of which parts are read is judged by these."""
    if place == written:
        return True
    if place.startswith("@") and written.startswith("@"):  # the module may be written in several ways
        return f".{place[1:]}".endswith(f".{written[1:]}") or f".{written[1:]}".endswith(f".{place[1:]}")
    if written.endswith(("*", "[]")):
        return place == written.removesuffix("*").removesuffix("[]")
    if place.endswith("[]"):
        return written.startswith(place[:-1])
    # The whole is read, and nothing of it by name: everything in it may matter.
    whole = written.startswith((f"{place}.", f"{place}["))
    return whole and not any(read.startswith((f"{place}.", f"{place}[")) for read in reads)


def _order(
    by_function: Mapping[ir.Function, FunctionFacts],
    writer: FunctionFacts,
    event: Rebound,
    compiled: ir.Function,
    built: set[ir.Function],
) -> Confidence:
    """High where the function runs before the write and again behind it."""
    if compiled in built or (compiled.parent is not None and compiled.parent is not writer.function):
        return Confidence.LOW  # built, and so traced, anew in each pass or for each caller
    runs = [
        compiled in _reached(by_function, called) if called.parent is None else called is compiled
        for called in writer.ran
    ]
    if any(runs[: event.at]) and any(runs[event.first :]):
        return Confidence.HIGH
    return event.sure if writer.function is not None and event.inner is None else Confidence.LOW


def _finding(
    module: ModuleFacts,
    facts: FunctionFacts,
    trace: Trace,
    place: str,
    ref: int,
    event: Rebound,
    sure: Confidence,
) -> Finding:
    name = place.removesuffix("[]").lstrip("@.")
    function = facts.function
    inner = event
    related = [module.label(event.ref, "changed here, which the compiled code never sees")]
    while inner.inner is not None:
        inner = inner.inner
        context = inner.context
        if context is not module.context or inner.inner is None:
            related.append(
                Label(context.lowered.span(inner.ref), "by what runs here", context.lowered.source.path)
            )
    return Finding(
        code=RULE.code,
        path=module.path,
        message=f"`{function.name if function is not None else ''}` is compiled with the value that `{name}` had "
        "when it was traced",
        primary=module.label(ref, "read once, while tracing"),
        related=(*related, trace_label(trace)),
        help=f"pass `{name}` to the compiled function as an argument",
        confidence=min(sure, Confidence.LOW) if module.is_test else sure,
        scope=scope_of(facts),
    )


def _of_state(module: ModuleFacts, facts: FunctionFacts, trace: Trace, applied: Applied) -> Finding:
    state = applied.state.name
    return Finding(
        code=RULE.code,
        path=module.path,
        message=f"`{state}.apply_fn` is given the captured `{applied.name}`, which does not change with `{state}`",
        primary=module.label(applied.ref, f"the parameters of `{state}` are never looked at"),
        related=(trace_label(trace),),
        help=f"use `{state}.params`",
        confidence=Confidence.LOW if module.is_test else Confidence.MEDIUM,
        scope=scope_of(facts),
    )


RULE = Rule(code="PS303", name="stale-global", since="0.1", severity=Severity.ERROR, check=check)
