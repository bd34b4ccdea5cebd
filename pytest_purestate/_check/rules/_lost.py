"""The wording that the rules on lost successors share: how the old value lives on."""

from __future__ import annotations

from pytest_purestate._check.flow.facts import FunctionFacts, Lost, ModuleFacts
from pytest_purestate._check.model import Label

__all__ = ["lives_on"]


def lives_on(module: ModuleFacts, facts: FunctionFacts, lost: Lost) -> tuple[Label, ...]:
    """Where a lost successor is made when a function of the project makes it, and where the old value is kept."""
    labels: tuple[Label, ...] = ()
    if lost.through and lost.origin is not None:
        lowered = lost.origin.context.lowered
        span = lost.origin.context.callee_span(lost.origin.ref)
        labels = (Label(span, "the new value is made here", lowered.source.path),)
    if lost.kept == "returned" and lost.where >= 0:
        if lost.old == lost.name:
            what = f"the old `{lost.field or lost.old}`"
        else:
            what = f"the `{lost.field}` of `{lost.old}`" if lost.field else f"`{lost.old}`"
        return (*labels, module.label(lost.where, f"{what} is returned as it was"))
    if lost.kept == "loop":
        return (*labels, module.label(lost.call, f"every iteration starts from the same `{lost.old}`"))
    return labels
