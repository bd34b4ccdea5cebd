"""Objects of nnx that a transform of JAX's own copies: PS209 reports what is edited there and never handed back."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_purestate._check.flow.classes import is_graph
from pytest_purestate._check.flow.facts import FunctionFacts, ModuleFacts, Mutation, Trace
from pytest_purestate._check.flow.values import Root, Sym, leaves, spelled
from pytest_purestate._check.model import Confidence, Finding
from pytest_purestate._check.rules._reuse import scope_of, trace_label

__all__ = ["edited_copies"]

_COPYING = frozenset("jit vmap grad scan fori while map cond".split())
"""The transforms that hand a function a copy of each argument; those of nnx put the edits back."""
_EDITS = frozenset(("setattr", "setitem", "update", "apply_gradients", "nnx.update"))


def edited_copies(module: ModuleFacts, code: str) -> Iterator[Finding]:
    """One finding for each object of nnx that is edited in a copy, and of which nothing is returned."""
    for facts, trace in module.traced_functions():
        direct = module.traced.get(facts.function) if facts.function is not None else None
        if trace.mode not in _COPYING or trace.back:
            continue
        back = _handed_back(facts)
        done: set[Root] = set()
        for mutation in facts.mutations.values():
            root = mutation.place.root
            flag = mutation.static and not mutation.op  # as ``model.training = False``
            if mutation.how.partition(":")[0] not in _EDITS or flag or root in back or root in done:
                continue
            merged = (leaf for part in root.made_of for leaf in leaves(part))
            if root.kind == "local" and any(isinstance(part, Sym) and part.root in back for part in merged):
                continue  # the state that it was put together from shares its variables
            if is_graph(root.type) and _is_copy(facts, direct, root):
                done.add(root)
                yield _finding(module, facts, trace, mutation, code)


def _is_copy(facts: FunctionFacts, direct: Trace | None, root: Root) -> bool:
    """Whether an object is an argument that the transform copied, or was put together in the traced function."""
    if root.kind == "local":
        return root.type.kind == "graph"
    given = root.kind == "param" and root.owner is facts.function
    return given and direct is not None and root.name not in direct.fixed


def _handed_back(facts: FunctionFacts) -> set[Root]:
    """The objects in what a function returns, and those that it was made of."""
    todo = [*facts.left, *(place.root for place in facts.returned)]
    met: set[Root] = set()
    while todo:
        root = todo.pop()
        if root in met:
            continue
        met.add(root)
        if root.type.kind == "state" or (root.origin is not None and root.origin.verb == "split"):
            parts = (leaf for part in root.made_of for leaf in leaves(part))
            todo += [part.root for part in parts if isinstance(part, Sym)]
        if root.base is not None:
            todo.append(root.base.root)
    return met


def _finding(
    module: ModuleFacts, facts: FunctionFacts, trace: Trace, mutation: Mutation, code: str
) -> Finding:
    place = mutation.place
    api = trace.api.removeprefix("@")
    what = (place.root.name or "the object") + spelled(place.path)
    if place.root.kind == "local":
        message = f"the object that `nnx.merge` made is edited under `{api}`, and nothing of it is returned"
    else:
        message = f"`{what}` is edited in the copy that `{api}` makes of it: the caller's stays as it was"
    return Finding(
        code=code,
        path=module.path,
        message=message,
        primary=module.label(mutation.ref, "lost when the traced function ends"),
        related=(*module.handed_over(place), trace_label(trace)),
        help="use `nnx.jit` (or the transform of that name in `nnx`), which hands edits back, "
        "or return `nnx.state(...)` of it",
        confidence=Confidence.LOW if module.in_test(facts.function) else Confidence.HIGH,
        scope=scope_of(facts),
    )
