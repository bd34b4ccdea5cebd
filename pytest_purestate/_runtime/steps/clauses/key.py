"""No two steps draw the same random numbers."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_purestate._runtime.failures import Problem
from pytest_purestate._runtime.steps.clauses.model import Clause
from pytest_purestate._runtime.steps.evidence import Evidence
from pytest_purestate._runtime.steps.replay import draws_differ
from pytest_purestate._runtime.steps.roles import stream_count

__all__ = ["CLAUSE"]


def _check(evidence: Evidence) -> Iterator[Problem]:
    streams: list[str] = []
    for path in evidence.roles.keys:
        if path in evidence.frozen:
            continue
        if (count := stream_count(path, evidence.first)) is not None:
            if path != count:
                streams.append(path)
            continue
        if (problem := _repeated(evidence, path)) is not None:
            yield problem
    # A module holds streams that it never draws from; that none at all goes on is the mistake.
    if streams and not any(evidence.moved(str(stream_count(path, evidence.first))) for path in streams):
        for path in streams:
            text = f"was not drawn from in {evidence.steps}: the count of its stream stayed"
            yield Problem("key", path, text)


def _repeated(evidence: Evidence, path: str) -> Problem | None:
    seen: dict[bytes, int] = {}
    for number, content in enumerate(evidence.contents(path)):
        bits = content.host.tobytes() if content.host is not None else b""
        if bits not in seen:
            seen[bits] = number
            continue
        if seen[bits] != number - 1:
            text = f"is after call {number} what it was after call {seen[bits]}"
            return Problem("key", path, text.replace("after call 0", "at first"))
        if _is_folded(evidence):
            return None
        return Problem(
            "key", path, f"stayed the same in call {number}, so the next step draws the same numbers"
        )
    return None


def _is_folded(evidence: Evidence) -> bool:
    """Whether a key that stays is folded with a counter that goes on, `fold_in(state.key, state.step)`."""
    counters = [path for path in evidence.roles.counters if evidence.moved(path)]
    return bool(counters) and draws_differ(evidence, counters)


CLAUSE = Clause(
    "key",
    "a key in the state is another one after each step, or is folded with the step counter",
    _check,
    "split it and keep one half: `key, dropout = jax.random.split(state.key)`, then `state.replace(key=key)`; or fold the "
    "counter in, `jax.random.fold_in(state.key, state.step)`",
)
