"""Reports an effect in a function that JAX traces.

## Why is this bad?

A function under `jit`, `grad`, `vmap`, `scan`, ... is run once to record its operations; afterwards only
the recording runs. A `print` shows a tracer once and then nothing, a list collects one tracer instead of a
history, a global is written while tracing and never again.

```python bad
import jax

history = []

@jax.jit
def step(w, x):
    loss = (w - x) ** 2
    print("loss", loss)  # error: [PS301]
    history.append(loss)  # error: [PS301]
    return w - 0.1 * (w - x)
```

Use instead what JAX offers for it, and return what is to be kept. There is a fix for `print`:

```python bad
import jax

@jax.jit
def step(w, x):
    print(f"w is {w:.3f}", x)  # error: [PS301]
    return w - 0.1 * (w - x)
```

```python fixed
import jax

@jax.jit
def step(w, x):
    jax.debug.print("w is {:.3f} {}", w, x)
    return w - 0.1 * (w - x)
```

```python good
import jax

@jax.jit
def step(w, x):
    loss = (w - x) ** 2
    jax.debug.print("loss {}", loss)
    return w - 0.1 * (w - x), loss

def train(w, xs):
    history = []
    for x in xs:
        w, loss = step(w, x)
        history.append(loss)
    return w, history
```
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pytest_purestate._check.flow.facts import Effect, FunctionFacts, ModuleFacts, Mutation, Trace
from pytest_purestate._check.flow.values import spelled, when_traced
from pytest_purestate._check.model import Applicability, Confidence, Finding, Fix, Label, Rule, Severity
from pytest_purestate._check.rules._leaks import counted, is_fixed, leaks, stays
from pytest_purestate._check.rules._printing import as_debug_print
from pytest_purestate._check.rules._reuse import scope_of, trace_label
from pytest_purestate._check.rules._telling import Telling

_NAME = re.compile(r"[\w.]+")
_CALLED = re.compile(r"[\w.]+(?=\()")
_GROWS = frozenset("append extend insert add appendleft extendleft update".split())
_TEXT = {
    "print": "`{what}` runs while tracing only",
    "log": "`{what}` logs while tracing only",
    "io": "`{what}` touches files or the network while tracing only",
    "environ": "`{what}` reads or changes the environment while tracing only",
    "input": "`{what}` asks while tracing only",
    "breakpoint": "`{what}` stops while tracing only",
    "sleep": "`{what}` waits while tracing only",
    "global": "global `{what}` is written while tracing only",
    "nonlocal": "captured variable `{what}` is written while tracing only",
}
_HELP = {
    "environ": "read the environment before, and pass what it says as a static argument",
    "print": "use `jax.debug.print`, which runs with the compiled function",
    "log": "use `jax.debug.callback`, or log what the function returns",
    "breakpoint": "use `jax.debug.breakpoint()`, which stops the compiled function",
    "io": "do it outside, on what the function returns, or through `jax.experimental.io_callback`",
    "global": "return the new value and bind it outside",
    "nonlocal": "return the new value and bind it outside",
}


def _of_effect(
    module: ModuleFacts, facts: FunctionFacts, trace: Trace, effect: Effect, telling: Telling
) -> Finding | None:
    text = _TEXT.get(effect.kind)
    if text is None or (
        effect.kind in ("global", "nonlocal") and (effect.static or is_fixed(module, effect))
    ):
        return None  # nothing to tell, or a Python value at trace time
    what, callers = _spelled(effect)
    name = facts.function.name if facts.function is not None else ""
    where = text.format(what=what)
    ref = effect.statement if effect.kind in ("global", "nonlocal") and effect.statement >= 0 else effect.ref
    hint = telling.of_tracing(facts, effect)
    return Finding(
        code=RULE.code,
        path=module.path,
        message=f"{where}: `{name}` is traced by `{trace.api}`",
        primary=module.label(ref, "not run by the compiled function"),
        related=(*callers, trace_label(trace)),
        help=_HELP.get(effect.kind, "do it outside the traced function"),
        confidence=Confidence.LOW if hint else _sure(module, facts, True),
        fix=_fix(module, facts, trace, effect) if effect.kind == "print" and not hint else None,
        scope=scope_of(facts),
    )


def _fix(module: ModuleFacts, facts: FunctionFacts, trace: Trace, effect: Effect) -> Fix | None:
    """``print`` -> ``jax.debug.print``: what is printed then is another thing, which is what is wanted."""
    if effect.inner is not None or effect.what != "builtins.print" or trace.mode in ("kernel", "pure"):
        return None
    spelling = module.named("jax.debug.print", facts.function)
    if spelling is None or not module.fixable(effect.ref):
        return None
    name, imports = spelling
    new = as_debug_print(module.text(effect.ref), name)
    if new is None:
        return None
    return Fix("use `jax.debug.print`", (*imports, module.edit(effect.ref, new)), Applicability.UNSAFE)


def _spelled(effect: Effect) -> tuple[str, tuple[Label, ...]]:
    """What runs, as the user wrote it, and where it stands when a called function of another module does it."""
    inner = effect
    while inner.inner is not None:
        inner = inner.inner
    if inner.kind in ("global", "nonlocal"):
        text = inner.what
    else:
        lowered = inner.context.lowered
        text = lowered.source.slice(inner.context.callee_span(inner.ref))
        text = text if _NAME.fullmatch(text) else inner.what.removeprefix("builtins.")
    if inner is effect or effect.callee is None:
        return text, ()
    lowered = inner.context.lowered
    called = _CALLED.match(effect.context.lowered.source.slice(effect.context.lowered.span(effect.ref)))
    outer = called[0] if called is not None else effect.callee.name
    label = Label(inner.context.callee_span(inner.ref), f"called by `{outer}` here", lowered.source.path)
    return text, (label,)


def _sure(module: ModuleFacts, facts: FunctionFacts, certain: bool) -> Confidence:
    """Tests watch tracing on purpose: there it is no more than a hint."""
    if module.in_test(facts.function):
        return Confidence.LOW
    return Confidence.HIGH if certain else Confidence.MEDIUM


def _of_edit(
    module: ModuleFacts, facts: FunctionFacts, trace: Trace, mutation: Mutation, traced: set[object]
) -> Finding | None:
    certain = False
    if counted(module, facts, mutation, traced):
        what = f"`{module.text(mutation.target)}` is written"
        where, help_ = "is not run by the compiled function", "count outside the traced function"
    elif _is_edit(module, facts, mutation, traced) and not is_fixed(module, mutation):
        place = mutation.place
        what = f"`{place.root.name}{spelled(place.path)}` is edited"
        what = what if place.root.kind == "param" else f"captured {what}"
        where = "holds a tracer, and is not run by the compiled function"
        help_ = "return the value and collect it outside"
        certain = mutation.type.kind in ("list", "dict", "set")
    else:
        return None
    function = facts.function.name if facts.function is not None else ""
    return Finding(
        code=RULE.code,
        path=module.path,
        message=f"{what} while tracing only: `{function}` is traced by `{trace.api}`",
        primary=module.label(mutation.ref, where),
        related=(trace_label(trace),),
        help=help_,
        confidence=_sure(module, facts, certain),
        scope=scope_of(facts),
    )


def _is_edit(module: ModuleFacts, facts: FunctionFacts, mutation: Mutation, traced: set[object]) -> bool:
    """Whether a container from outside the trace is edited by the function itself."""
    brought = _is_brought(module, facts, mutation)
    if (
        mutation.static
        or module.is_idle(mutation)
        or (mutation.through is not None and not _through(mutation))
    ):
        return False
    if not brought and (mutation.visible != "captured" or stays(module, facts, mutation, traced)):
        return False
    if mutation.type.kind in ("instance", "stream", "array", "at", "module", "ref"):
        return False
    if mutation.how == "setitem" and not mutation.op and not mutation.sources:
        return False  # a table of constants, filled when one is first asked for
    if mutation.how in ("setattr", "augmented"):
        return False
    return mutation.how != "update" or mutation.type.kind in ("dict", "set")


def _through(mutation: Mutation) -> bool:
    """Whether a called function puts something traced into a container that it got at by way of what it was given."""
    inner = mutation.through
    given = (
        inner is not None
        and inner.context is mutation.context
        and inner.place.root.kind == "param"
        and bool(inner.place.path)
    )
    return given and mutation.how in _GROWS and bool(mutation.sources)


def _is_brought(module: ModuleFacts, facts: FunctionFacts, mutation: Mutation) -> bool:
    """Whether something is edited that hangs on a static argument, as ``self`` mostly is."""
    trace = module.traced.get(facts.function) if facts.function is not None else None
    root = mutation.place.root
    own = root.kind == "param" and root.owner is facts.function
    return own and bool(mutation.place.path) and trace is not None and root.name in trace.fixed


def check(module: ModuleFacts) -> Iterator[Finding]:
    """One finding for each effect in a traced function or in a function of this module that it calls."""
    entries = list(module.traced_functions())
    traced: set[object] = {facts.function for facts, _ in entries}
    leaked = {leak.stored for leak in leaks(module)}  # which are worse than effects
    telling = Telling(module, entries)
    for facts, trace in entries:
        for effect in facts.effects.values():
            if effect.when is False:
                continue
            if effect in leaked or (effect.kind == "nonlocal" and stays(module, facts, effect, traced)):
                continue
            finding = _of_effect(module, facts, trace, effect, telling)
            if finding is not None:
                yield finding
        for mutation in facts.mutations.values():
            if mutation in leaked or when_traced(mutation.guards) is False:
                continue
            finding = _of_edit(module, facts, trace, mutation, traced)
            if finding is not None:
                yield finding


RULE = Rule(code="PS301", name="side-effect-in-trace", since="0.1", severity=Severity.ERROR, check=check)
