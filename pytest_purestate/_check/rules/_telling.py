"""What a print or a log in a traced function tells: what is known while tracing, or what only a run knows."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_purestate._check.flow.facts import Effect, FunctionFacts, ModuleFacts, Trace

__all__ = ["Telling"]

_IN_EACH_PASS = frozenset(("scan", "fori", "while", "map", "cond"))
"""Transforms whose function is meant to run in each pass, or on one of several ways."""


class Telling:
    """What prints and logs tell, by what the calls in this module give to the functions that they stand in."""

    def __init__(self, module: ModuleFacts, entries: Sequence[tuple[FunctionFacts, Trace]]) -> None:
        self.module = module
        self.traced = {facts.function: facts for facts, _ in entries}
        self.echoes: dict[Effect, list[tuple[FunctionFacts, Effect]]] = {}
        for facts, _ in entries:
            for echo in facts.echoes:
                if echo.inner is not None:
                    self.echoes.setdefault(echo.inner, []).append((facts, echo))
        self.asked: set[Effect] = set()

    def of_tracing(self, facts: FunctionFacts, effect: Effect) -> bool:
        """Whether it tells of shapes or of an object that is being made: what is known, and right, while tracing."""
        if effect.kind not in ("print", "log"):
            return False
        made = effect.callee is not None and effect.callee.name in ("__init__", "__post_init__")
        if made or effect.when or (effect.static and not effect.bare):
            return True
        trace = self.module.traced.get(facts.function) if facts.function is not None else None
        if trace is not None and trace.mode in _IN_EACH_PASS:
            return False  # of each pass, or of the way that is taken
        return effect.bare or self._from_outside(facts, effect, trace)

    def _from_outside(self, facts: FunctionFacts, effect: Effect, trace: Trace | None) -> bool:
        """Whether all that it tells is there before the trace: static arguments, and what no traced function has."""
        owners = {place: place.root.owner for place in effect.asks}
        if any(owner in self.traced and owner is not facts.function for owner in owners.values()):
            return False
        own = {place for place, owner in owners.items() if owner is facts.function}
        if not own:
            return bool(owners)
        if trace is not None:
            return all(place.root.name in trace.fixed for place in own)
        if effect in self.asked:
            return True  # a recursion, whose other calls decide
        self.asked.add(effect)
        calls = self.echoes.get(effect, ())
        found = bool(calls) and all(self.of_tracing(caller, echo) for caller, echo in calls)
        self.asked.discard(effect)
        return found
