"""Reports attribute assignment on a linen or Equinox module outside its construction.

## Why is this bad?

Linen modules are frozen outside `setup`, Equinox modules outside `__init__`: the assignment raises, or what
it stored is lost with the temporary copy that `apply` works on.

```python bad
import flax.linen as nn

class Recorder(nn.Module):
    def setup(self):
        self.dense = nn.Dense(4)
        self.last = None

    def __call__(self, x):
        x = self.dense(x)
        self.last = x  # error: [PS210]
        return x
```

Return the value, or let linen keep it:

```python good
import flax.linen as nn

class Recorder(nn.Module):
    def setup(self):
        self.dense = nn.Dense(4)

    def __call__(self, x):
        x = self.dense(x)
        self.sow("intermediates", "last", x)
        return x
```
"""

from __future__ import annotations

from collections.abc import Container, Iterator

from pytest_purestate._check import ir
from pytest_purestate._check.flow.classes import family_of
from pytest_purestate._check.flow.facts import ModuleFacts
from pytest_purestate._check.model import Confidence, Finding, Rule, Severity
from pytest_purestate._check.rules._reuse import scope_of

_CONSTRUCTION = {
    "linen": frozenset(("setup", "__post_init__", "__init__", "__setattr__", "__getattr__")),
    "equinox": frozenset(("__init__", "__post_init__", "__check_init__", "__setattr__")),
}
_HELP = {
    "linen": "return the value, or keep it with `self.sow`, `self.variable` or `self.perturb`",
    "equinox": "return a new module made with `eqx.tree_at`",
}


def _method(function: ir.Function | None) -> ir.Function | None:
    while function is not None and function.owner is None:
        function = function.parent
    return function


def _runs_later(module: ModuleFacts, helper: ir.Function, construction: Container[str]) -> bool:
    """Whether public methods call the helper that do not construct, and no others do."""
    callers = [facts.function for facts in module.functions if helper in facts.calls.values()]
    names = [caller.name for caller in callers if caller is not None]
    return bool(names) and all(
        name not in construction and (not name.startswith("_") or name.startswith("__")) for name in names
    )


def check(module: ModuleFacts) -> Iterator[Finding]:
    """One finding for each ``self.x = ...`` outside construction."""
    for facts in module.functions:
        method = _method(facts.function)
        if method is None or not method.params:
            continue
        for mutation in facts.mutations.values():
            family = family_of(mutation.type) if mutation.type.kind == "instance" else ""
            allowed = _CONSTRUCTION.get(family)
            if mutation.how != "setattr" or allowed is None or mutation.through is not None:
                continue
            if mutation.place.root.name != method.params[0].name or mutation.place.path:
                continue
            if method.name in allowed:
                continue
            helps = method.name.startswith("_") and not method.name.startswith("__")
            if helps and not _runs_later(module, method, allowed):
                continue  # a helper of the constructor, for all that can be seen here
            target = module.text(mutation.target)
            yield Finding(
                code=RULE.code,
                path=module.path,
                message=f"`{target}` is assigned outside the construction of a frozen {family} module",
                primary=module.label(mutation.ref, f"`{method.name}` may not change the module"),
                help=_HELP[family],
                confidence=Confidence.HIGH,
                scope=scope_of(facts),
            )


RULE = Rule(code="PS210", name="module-attribute-mutation", since="0.1", severity=Severity.ERROR, check=check)
