"""Reports a state pytree edited in place where somebody else can see it.

## Why is this bad?

Parameters, optimizer state and collections are plain dicts. Editing one in place changes it for everybody
who holds it: the caller, the "frozen" TrainState it hangs from, the checkpoint being written. Under `jit` the
same edit is lost instead, because the traced function works on a copy of the containers.

```python bad
from flax.training.train_state import TrainState

def zero_bias(state: TrainState) -> TrainState:
    state.params["dense"]["bias"] = 0.0  # error: [PS202]
    return state
```

Use instead a new tree; what was built here may be filled here:

```python good
import jax
from flax.training.train_state import TrainState

def zero_bias(state: TrainState) -> TrainState:
    params = jax.tree.map(lambda leaf: leaf, state.params)
    params["dense"]["bias"] = 0.0
    return state.replace(params=params)
```

The same goes for the containers that a memoised function returns: the cache hands the edited one to the
next caller.

```python bad
import functools
import jax

@functools.lru_cache
def plan(n):
    return [i for i in range(n)]

def run(n):
    todo = plan(n)
    return todo.pop()  # error: [PS202]
```
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pytest_purestate._check import ir
from pytest_purestate._check.flow.classes import is_graph
from pytest_purestate._check.flow.facts import FunctionFacts, ModuleFacts, Mutation
from pytest_purestate._check.flow.outlives import is_expected_back, is_read_behind
from pytest_purestate._check.flow.values import Root, Sym, spelled
from pytest_purestate._check.model import Confidence, Finding, Label, Rule, Severity
from pytest_purestate._check.rules._reuse import scope_of

_STATE_NAMES = frozenset(
    [
        "params",
        "state",
        "opt_state",
        "variables",
        "batch_stats",
        "train_state",
        "model_state",
        "optimizer_state",
        "updates",
        "grads",
    ]
)
_STATE_NAME = re.compile(r"(^|_)(params|state|weights|variables|stats|grads)(_|$)")
_SPELLED = re.compile(r"[\w.]+(\[[^\[\]]*\]|\.\w+)*")
_HOW = {
    "setitem": "an item is assigned here",
    "delitem": "an item is deleted here",
    "augmented": "the buffer is overwritten here",
}


def _confidence(module: ModuleFacts, facts: FunctionFacts, mutation: Mutation) -> Confidence | None:
    """How sure it is that a state is edited where that is wrong; None when nothing says so."""
    sure = _is_state(module, facts, mutation)
    if sure is None or not _is_of_copy(module, facts, mutation) or not _outlives(facts, mutation):
        return sure
    return sure if _is_expected_back(module, facts, mutation) else Confidence.LOW


def _is_expected_back(module: ModuleFacts, facts: FunctionFacts, mutation: Mutation) -> bool:
    """Whether a caller goes on with what it takes to be edited."""
    function = facts.function
    if function is None:
        return False
    bodies = [each.function.body for each in module.functions if each.function is not None]
    bodies.append(module.context.lowered.module.body)
    return is_expected_back(
        bodies, function, module.traced[function].ref, mutation.place.root.name, mutation.target
    )


def _is_of_copy(module: ModuleFacts, facts: FunctionFacts, mutation: Mutation) -> bool:
    """Whether the edited container is one that a transform made anew for this call of the function."""
    root, trace = (
        mutation.place.root,
        module.traced.get(facts.function) if facts.function is not None else None,
    )
    own = root.kind == "param" and root.owner is facts.function and mutation.visible == "caller"
    return own and trace is not None and mutation.how != "augmented" and trace.copies(root.name)


def _outlives(facts: FunctionFacts, mutation: Mutation) -> bool:
    """Whether what is edited is looked at again, or returned."""
    if mutation.taken or _is_returned(facts, mutation.place):
        return True
    return facts.function is not None and is_read_behind(facts.function, mutation.ref, mutation.target)


def _is_state(module: ModuleFacts, facts: FunctionFacts, mutation: Mutation) -> Confidence | None:
    """How sure it is that a state is edited; None when nothing says so."""
    root, type_ = mutation.place.root, mutation.type
    if mutation.how.startswith("setattr") or mutation.how == "nnx.update":
        return None
    if type_.kind == "array" or is_graph(root.type):
        return None  # it raises, which another rule tells; what is of nnx is edited in place by design
    if mutation.how == "setitem" and not type_.kind and module.is_traced_array(facts, mutation.place):
        return None  # it raises too
    if type_.kind in ("str", "number", "list", "set", "stream", "at") and mutation.visible not in (
        "memo",
        "frozen",
    ):
        return None
    if type_.kind == "numpy" and mutation.how != "augmented":
        return None
    if any(step == (".", "hyperparams") for step in mutation.place.path):
        return Confidence.LOW  # optax documents it as the way to change a hyperparameter
    if mutation.evidence >= Confidence.MEDIUM:
        return mutation.evidence
    if mutation.visible != "caller":
        return None
    function = facts.function
    own = function is not None and root.owner is function
    if own and function is not None and function.name == "__setstate__":
        return None  # what pickle read back belongs to the object that it is handed to
    if (
        own
        and function in module.traced
        and module.traced[function].mode in ("kernel", "pure", "nnx", "nnx-jit")
    ):
        return None  # what these write to are references, and variables that are written back
    if (
        own
        and function in module.traced
        and mutation.how in ("setitem", "delitem")
        and not _is_self(facts, mutation)
    ):
        # A traced function edits its own copy of the containers: lost, unless it returns them.
        return Confidence.LOW if _is_returned(facts, mutation.place) else Confidence.HIGH
    if root in facts.state_like and not _is_self(facts, mutation):  # an object may fill what it holds
        return Confidence.MEDIUM
    if _handed(module, facts, mutation) is not None:
        return Confidence.MEDIUM
    if mutation.copied and _STATE_NAME.search(root.name):
        return Confidence.MEDIUM
    if root.name in _STATE_NAMES:
        return Confidence.LOW
    return None


def _handed(module: ModuleFacts, facts: FunctionFacts, mutation: Mutation) -> int | None:
    """The call in this module that gives a state to the function which edits it, and where it is seen to change."""
    root, function = mutation.place.root, facts.function
    inside = mutation.through is not None and mutation.through.context is module.context
    if inside or mutation.how in ("setattr", "augmented") or function is None or not facts.returns_value:
        return None
    if root.owner is not function or _is_self(facts, mutation):
        return None
    return _given(module, function, root.name, harmful=True, seen=set())


def _given(
    module: ModuleFacts, function: ir.Function, name: str, *, harmful: bool, seen: set[ir.Param]
) -> int | None:
    """Where a parameter is given a state: one that is looked at again behind the call, where that does harm."""
    param = next((param for param in function.params if param.name == name), None)
    if param is None or param in seen:
        return None
    seen.add(param)
    for handed in module.handed.get(param, ()):
        if handed.kind == "param":
            owner = handed.root.owner
            state_like = any(
                root.owner is owner and root.name == handed.root.name
                for facts in module.functions
                for root in facts.state_like
            )
            if isinstance(owner, ir.Function) and (
                state_like
                or _given(module, owner, handed.root.name, harmful=harmful and not handed.again, seen=seen)
                is not None
            ):
                return handed.ref
        elif (handed.again or not harmful) and (
            handed.kind == "state"
            or name in _STATE_NAMES
            or any(handed.root in facts.state_like for facts in module.functions)
        ):
            return handed.ref
    return None


def _keeps(module: ModuleFacts, mutation: Mutation) -> bool:
    """Whether a method of this module edits what its own object holds."""
    owner = mutation.place.root.owner
    own = (
        isinstance(owner, ir.Function) and bool(owner.receiver) and owner.receiver == mutation.place.root.name
    )
    return (
        own and bool(mutation.place.path) and mutation.through is None and mutation.context is module.context
    )


def _is_returned(facts: FunctionFacts, place: Sym) -> bool:
    return any(Sym(place.root, place.path[:depth]) in facts.returned for depth in range(len(place.path) + 1))


def _is_self(facts: FunctionFacts, mutation: Mutation) -> bool:
    function = facts.function
    return (
        function is not None
        and function.owner is not None
        and bool(function.params)
        and mutation.place.root.name == function.params[0].name
    )


def _of_caller(root: Root) -> bool:
    """Whether a captured variable holds what the function around it was given."""
    while root.held is not None:
        root = root.held.root
    return root.kind == "param"


def _name(module: ModuleFacts, mutation: Mutation) -> str:
    """What the edited object is called: as it is spelled, or as it is known where a whole expression is handed over."""
    name = " ".join(module.text(mutation.target).split())
    if mutation.how in ("setitem", "delitem") and mutation.through is None:
        name = name.rpartition("[")[0] or name
    place = mutation.place
    return name if _SPELLED.fullmatch(name) or not place.root.name else place.root.name + spelled(place.path)


def _message(module: ModuleFacts, facts: FunctionFacts, mutation: Mutation, name: str) -> str:
    if mutation.visible == "memo":
        return f"`{name}` belongs to the cache of a memoised function and is edited in place"
    if mutation.visible == "frozen":
        return f"`{name}` belongs to a frozen state and is edited in place"
    if mutation.how == "augmented":
        return f"`{name}` is a buffer of the caller and is overwritten in place"
    if _is_of_copy(module, facts, mutation) and facts.function is not None:
        api = module.traced[facts.function].api.removeprefix("@")
        return (
            f"the edit of `{name}` is lost: `{api}` hands over new containers, and nobody else sees this one"
        )
    return f"state `{name}` of the caller is edited in place"


def check(module: ModuleFacts) -> Iterator[Finding]:
    """One finding for each edit of a state that the caller, a cache or a frozen object can see."""
    helpers = module.by_function()
    direct = {
        mutation.ref
        for facts in module.functions
        for mutation in facts.mutations.values()
        if mutation.through is None and mutation.visible and _confidence(module, facts, mutation) is not None
        if _confidence(module, facts, mutation) != Confidence.LOW
    }
    done: set[int] = set()
    for facts in module.functions:
        for mutation in facts.mutations.values():
            if not mutation.visible or (
                mutation.visible == "captured" and not _of_caller(mutation.place.root)
            ):
                continue
            confidence = _confidence(module, facts, mutation)
            if confidence is None:
                continue
            name = _name(module, mutation)
            through = mutation.through
            related: tuple[Label, ...] = ()
            where = _HOW.get(mutation.how, f"`{mutation.how}` edits it here")
            if through is not None:
                owner = through.place.root.owner
                helper = helpers.get(owner) if isinstance(owner, ir.Function) else None
                told = helper is not None and _handed(module, helper, through) is not None
                innermost = through
                while innermost.through is not None:
                    innermost = innermost.through
                own = innermost.ref in direct and innermost.context is module.context
                evident = through.evidence >= Confidence.MEDIUM
                if helper is not None and _is_of_copy(module, helper, through):
                    evident = False  # a transform gives it new containers, this call does not
                if evident or told or own:
                    continue  # the helper's own finding says it
                lowered = through.context.lowered
                related = (Label(lowered.span(through.ref), where, lowered.source.path),)
                where = "handed over here to be edited"
            elif confidence is Confidence.MEDIUM and (given := _handed(module, facts, mutation)) is not None:
                related = (module.label(given, "a state is handed over here"),)
            else:
                related = module.handed_over(mutation.place)
            primary = module.label(mutation.ref if through is None else mutation.target, where)
            if through is not None and _keeps(module, through):
                # What an object was given it edits whenever it is asked to: the mistake is in the method.
                if through.ref in done:
                    continue
                done.add(through.ref)
                primary = related[0]
                name = " ".join(module.text(through.target).split()).rpartition("[")[0] or name
                related = (module.label(mutation.ref, "which happens here"),)
            yield Finding(
                code=RULE.code,
                path=module.path,
                message=_message(module, facts, mutation, name),
                primary=primary,
                related=related,
                help="build a new tree and return it, for example with `jax.tree.map`, "
                "`{**tree, name: value}` or `state.replace(...)`"
                if mutation.how != "augmented"
                else f"write `{name} = {name} {mutation.op} ...`, which makes a new array",
                confidence=confidence,
                scope=scope_of(facts),
            )


RULE = Rule(code="PS202", name="state-mutation", since="0.1", severity=Severity.ERROR, check=check)
