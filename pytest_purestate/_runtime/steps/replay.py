"""More calls of a step, of which nothing is to be seen outside."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from typing import Any

import jax

from pytest_purestate._runtime.steps.evidence import Evidence
from pytest_purestate._runtime.steps.plan import Call, Plan
from pytest_purestate._runtime.steps.view import same_bits

__all__ = ["draws_differ", "quietly"]


def quietly(plan: Plan, parts: Mapping[str, Any] | None = None) -> Call:
    """Call the step again; what it prints was shown already."""
    __tracebackhide__ = True
    with redirect_stdout(io.StringIO()):
        call = plan.run(parts)
        jax.effects_barrier()  # type: ignore[no-untyped-call]
    return call


def draws_differ(evidence: Evidence, counters: Sequence[str]) -> bool:
    """Whether the first step gives something else if only its counters are further on.

    So it does where it folds a counter into a key that stays, and not where the numbers would come again.
    """
    parts = {name: _advanced(name, part, counters) for name, part in evidence.plan.parts.items()}
    ahead, first = quietly(evidence.plan, parts).after, evidence.calls[0].after
    if ahead is None or first is None:
        return False
    return any(
        path not in counters
        and path in ahead.leaves
        and not same_bits(leaf.content, ahead.leaves[path].content)
        for path, leaf in first.leaves.items()
    )


def _advanced(name: str, part: Any, counters: Sequence[str]) -> Any:
    def advanced(keys: Any, leaf: Any) -> Any:
        return leaf + 1 if name + jax.tree_util.keystr(keys) in counters else leaf

    return jax.tree_util.tree_map_with_path(advanced, part)
