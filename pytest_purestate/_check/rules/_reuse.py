"""The wording that the key-reuse rules share: both places, and the chain through calls."""

from __future__ import annotations

import re

from pytest_purestate._check.flow.facts import FunctionFacts, ModuleFacts, Reuse, Trace
from pytest_purestate._check.flow.values import Sym, Use, spelled
from pytest_purestate._check.model import Finding, Fix, Label, Span

_NAME = re.compile(r"\w+(\.\w+|\[[\w\"'-]+\])*")

__all__ = [
    "carried_finding",
    "chain",
    "in_body",
    "name_of",
    "reuse_finding",
    "scope_of",
    "span_of",
    "trace_label",
]


def scope_of(facts: FunctionFacts) -> str:
    """The qualified name a finding belongs to."""
    return facts.function.qualname if facts.function is not None else ""


def trace_label(trace: Trace) -> Label:
    """Where a function is handed to the transform that traces it."""
    lowered = trace.context.lowered
    return Label(
        lowered.span(trace.ref), f"traced by `{trace.api.removeprefix('@')}` here", lowered.source.path
    )


def name_of(use: Use, place: Sym | None = None) -> str:
    """The key as the user wrote it; for what is no name, or hides below an argument, its place by name."""
    if use.inside and place is not None:
        return use.inside
    while use.inner is not None and use.ref == use.call:  # not an argument: a callback's, or an attribute
        use = use.inner
    lowered = use.context.lowered
    text = " ".join(lowered.source.slice(lowered.span(use.ref)).split())
    if _NAME.fullmatch(text) and len(text + use.below) <= 40:
        return text + use.below
    if place is not None and place.root.name and (place.path or use.ref == use.call):
        return place.root.name + spelled(place.path)
    return text if text and len(text) <= 40 else use.param or "key"


def span_of(use: Use) -> Span:
    """Where a use stands: the argument, or the name of what is called when no argument is the key."""
    return use.context.callee_span(use.call) if use.ref == use.call else use.context.lowered.span(use.ref)


def in_body(module: ModuleFacts, use: Use) -> Use:
    """A use that a transform makes over and over, where it stands in the body that the transform runs."""
    while use.callback and use.inner is not None and use.inner.context is module.context:
        use = use.inner
    return use


def chain(use: Use) -> tuple[Label, ...]:
    """Where, inside the functions called, the key is spent."""
    labels = []
    inner = use.inner
    outer = use
    while inner is not None:
        lowered = inner.context.lowered
        param = outer.param or "key"
        deeper = inner.inner is not None
        text = (
            f"`{outer.verb}` hands `{param}` on here" if deeper else f"`{outer.verb}` spends `{param}` here"
        )
        labels.append(Label(span_of(inner), text, lowered.source.path))
        outer, inner = inner, inner.inner
    return tuple(labels[:4])


def _carried(reuse: Reuse) -> bool:
    """Whether the later use stands above the first: a loop has run on. Elements of an array meet otherwise."""
    first, second = reuse.first, reuse.second
    above = first.context is second.context and span_of(second) < span_of(first)
    return above and reuse.kind != "folded" and "[" not in name_of(first)


def carried_finding(
    module: ModuleFacts, facts: FunctionFacts, reuse: Reuse, *, code: str, where: tuple[Label, ...] = ()
) -> Finding:
    """A finding about a key that one iteration spends and hands to the next, which meets it further up.

    It is told where the key is spent last: there it should have been split.
    """
    first, second = reuse.first, reuse.second
    name = name_of(first, reuse.place)
    return Finding(
        code=code,
        path=module.path,
        message=f"key `{name}` is consumed by `{first.verb}` and goes on into the next iteration, which uses it again",
        primary=Label(span_of(first), "consumed here and carried on", module.path),
        related=(
            Label(span_of(second), "the next iteration uses it here", module.path),
            *where,
            *chain(first),
        ),
        help=f"split it before, `{name}, subkey = jax.random.split({name})`, and consume the subkey"
        if name.isidentifier()
        else "split it before, consume one part and carry on the other",
        confidence=reuse.confidence,
        scope=scope_of(facts),
    )


def _made_again(module: ModuleFacts, facts: FunctionFacts, reuse: Reuse) -> Label | None:
    """Where a key was made once more of the same seed, between the two uses or as the second."""
    ref = facts.remade.get(reuse.place.root)
    if ref is None or reuse.place.path:
        return None
    made, first, second = (module.label(each, "") for each in (ref, reuse.first.ref, reuse.second.ref))
    if not first.span.start < made.span.start <= second.span.start:
        return None
    return module.label(ref, "the same key again, of the same seed")


def reuse_finding(
    module: ModuleFacts,
    facts: FunctionFacts,
    reuse: Reuse,
    *,
    code: str,
    message: str,
    here: str,
    first: str,
    help: str,
    fix: Fix | None = None,
) -> Finding:
    """A finding whose primary place is the later use and whose related places lead to the first."""
    second = reuse.second
    if _carried(reuse):
        return carried_finding(module, facts, reuse, code=code)
    related: tuple[Label, ...] = (Label(span_of(reuse.first), first, module.path),) if first else ()
    related += chain(reuse.first) if reuse.first.ref != second.ref else ()
    related = tuple(dict.fromkeys((*related, *chain(second))))
    if (again := _made_again(module, facts, reuse)) is not None:
        related, fix = (*related, again), None
        help = "make it once and split it, or tell the two apart with `jax.random.fold_in` and a number"
    return Finding(
        code=code,
        path=module.path,
        message=message,
        primary=Label(span_of(second), here, module.path),
        related=related,
        help=help,
        confidence=reuse.confidence,
        fix=fix,
        scope=scope_of(facts),
    )
