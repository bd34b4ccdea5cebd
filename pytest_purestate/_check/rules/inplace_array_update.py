"""Reports item assignment on a JAX array.

## Why is this bad?

JAX arrays are immutable: `x[i] = v` raises a TypeError, but only when that line runs, which may be hours into
a run or only on a branch that no test takes. The functional update `x = x.at[i].set(v)` returns
a new array, and under `jit` it costs no copy.

```python bad
import jax.numpy as jnp

def mask(n):
    x = jnp.zeros(n)
    x[0] = 1.0  # error: [PS201]
    x[1:3] += 2.0  # error: [PS201]
    return x
```

```python fixed
import jax.numpy as jnp

def mask(n):
    x = jnp.zeros(n)
    x = x.at[0].set(1.0)
    x = x.at[1:3].add(2.0)
    return x
```

numpy buffers, lists and dicts are right to edit:

```python good
import numpy as np
import jax.numpy as jnp

def mask(n):
    x = np.zeros(n)
    x[0] = 1.0
    return jnp.asarray(x)
```
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from pytest_purestate._check.flow.facts import ModuleFacts, Mutation
from pytest_purestate._check.model import Applicability, Confidence, Edit, Finding, Fix, Rule, Severity, Span
from pytest_purestate._check.rules._reuse import scope_of
from pytest_purestate._check.rules._text import fitted

_METHODS = {"": "set", "+": "add", "-": "subtract", "*": "multiply", "/": "divide", "**": "power"}
_PLACE = re.compile(r"[^\W\d]\w*(\.\w+|\[[^()\[\]{}]*\])*")  # can be assigned to, and read twice


def _fix(module: ModuleFacts, mutation: Mutation, certain: bool) -> Fix | None:
    """``x[i] op= v`` -> ``x = x.at[i].method(v)``, when the statement has the plain form."""
    method = _METHODS.get(mutation.op)
    if method is None or mutation.value < 0 or not module.fixable(mutation.ref):
        return None
    statement, target = module.span(mutation.ref), module.span(mutation.target)
    text = module.text(mutation.target)
    value = fitted("f(x={})", module.text(mutation.value))
    if "#" in module.slice(Span(module.span(mutation.value).end, statement.end)):
        return None  # a comment in the parentheses around the value
    between = module.slice(Span(target.end, module.span(mutation.value).start)).strip()
    bracket = _index_start(text)
    if target.start != statement.start or bracket < 0 or between.rstrip("( ") != f"{mutation.op}=":
        return None
    base, index = text[:bracket], text[bracket:]
    if _PLACE.fullmatch(base) is None:
        return None
    if not mutation.op and (least := _extreme(text, module.text(mutation.value))) is not None:
        method, value = least
    applicability = Applicability.SAFE if certain else Applicability.UNSAFE
    new = f"{base} = {base}.at{index}.{method}({value})"
    return Fix("use a functional update", (Edit(statement, new),), applicability)


def _extreme(target: str, value: str) -> tuple[str, str] | None:
    """``min`` or ``max`` and the other value, where one is `jnp.minimum` or `jnp.maximum` of the target and a value."""
    try:
        call, place = (ast.parse(f"({text}\n)", mode="eval").body for text in (value, target))
    except SyntaxError:
        return None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or call.keywords:
        return None
    method = {"minimum": "min", "maximum": "max"}.get(call.func.attr)
    others = [arg for arg in call.args if ast.dump(arg) != ast.dump(place)]
    if method is None or len(call.args) != 2 or len(others) != 1:
        return None
    return method, ast.unparse(others[0])


def _index_start(text: str) -> int:
    """Where the last subscript of ``a.b[c][d]`` begins; -1 when the text does not end in one."""
    depth = 0
    for position in range(len(text) - 1, -1, -1):
        if text[position] in ")]}":
            depth += 1
        elif text[position] in "([{":
            depth -= 1
            if depth == 0:
                return position if text[position] == "[" and text.endswith("]") else -1
    return -1


def check(module: ModuleFacts) -> Iterator[Finding]:
    """One finding for each item assignment on a value known to be a JAX array."""
    for facts in module.functions:
        for mutation in facts.mutations.values():
            if mutation.how != "setitem" or mutation.through is not None:
                continue
            kept = not mutation.type.kind and module.keeps_array(mutation.place)
            traced = not mutation.type.kind and module.is_traced_array(facts, mutation.place)
            if mutation.type.kind != "array" and not kept and not traced:
                continue
            certain = mutation.type.certain and mutation.type.kind == "array"
            if mutation.caught & {"BaseException", "TypeError"}:
                continue
            name = module.text(mutation.target)
            base = name[: _index_start(name)] if _index_start(name) > 0 else name
            method = _METHODS.get(mutation.op, "set")
            yield Finding(
                code=RULE.code,
                path=module.path,
                message=f"`{base}` is a JAX array and cannot be assigned in place",
                primary=module.label(mutation.ref, "raises TypeError when it runs"),
                related=module.handed_over(mutation.place),
                help=f"JAX arrays are immutable: `{base} = {base}.at[...].{method}(...)`",
                confidence=Confidence.HIGH if certain or traced else Confidence.MEDIUM,
                fix=_fix(module, mutation, certain),
                scope=scope_of(facts),
            )


RULE = Rule(code="PS201", name="inplace-array-update", since="0.1", severity=Severity.ERROR, check=check)
