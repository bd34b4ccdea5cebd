"""Watches keys as `KeyWatch` does, and writes their lineage.

A class of its own, so that a run which nobody asked for a lineage does not pay for one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np

from pytest_purestate._runtime import _compat
from pytest_purestate._runtime.guard.keys import (
    KeyReuse,
    KeyWatch,
    Ledger,
    Names,
    Spending,
    as_number,
    as_typed,
)
from pytest_purestate._runtime.guard.lineage import Key, Lineage, Use
from pytest_purestate._runtime.guard.places import Place, Where
from pytest_purestate._runtime.guard.story import Outcome, Step, Story, StoryAnalysis, in_loop
from pytest_purestate._runtime.guard.telling import Telling
from pytest_purestate._runtime.guard.terms import Effects

__all__ = ["LineageWatch"]

_MANY = 4096
"""Into more keys than this a split is shown without its children."""
_SAMPLERS = frozenset(name for name in vars(jax.random) if not name.startswith("_")) - {"split", "fold_in"}


class LineageWatch(KeyWatch):
    """Watches, and keeps the `lineage` of the keys of one test, from one `clear` to the next."""

    analysis = StoryAnalysis

    def __init__(self, where: Where, report: Callable[[KeyReuse], None]) -> None:
        super().__init__(where, report)
        self.lineage = Lineage()
        self._applying = False
        self._doubled: list[tuple[Names, tuple[Place, Place]]] = []
        self._eager: tuple[str, tuple[int, ...]] = "", ()  # the primitive that runs by itself, and its shape

    def clear(self) -> None:
        """Forget what was spent, and the lineage."""
        super().clear()
        self.lineage.clear()

    def handed(self, label: Callable[[int], str], key: Any, place: tuple[str, int]) -> None:
        """A stream gave a key, or several; ``label`` says what each goes by."""
        tokens = self._safely(lambda: self._bits(as_typed(key))) or ()
        for at, token in enumerate(tokens):
            self.lineage.handed(token, label(at), Place(*place))

    # --- primitives that run by themselves ------------------------------------------------------

    def _handler(self, primitive: Any, params: dict[str, Any]) -> Callable[..., Any] | None:
        if primitive.name in ("random_seed", "random_wrap"):
            return self._rooted
        return super()._handler(primitive, params)

    def _rooted(
        self, primitive: Any, run: Callable[..., Any], args: Sequence[Any], params: dict[str, Any]
    ) -> Any:
        result = self._quietly(partial(run, *args, **params))
        self._safely(self._root, primitive.name, result, args[0])
        return result

    def _root(self, name: str, key: Any, data: Any) -> None:
        tokens = self._bits(key)
        if len(tokens) != 1 or self.lineage.met(tokens[0]):
            return
        place, _ = self.where.now(3)
        if name == "random_seed":
            called = place.called if place.called in ("key", "PRNGKey") else "key"
            label = f"jax.random.{called}({int(np.asarray(data).ravel()[0])})"
        else:
            label = f"a raw key, {np.asarray(data).tolist()}"
        self.lineage.born(tokens[0], label, place)

    def _consumer(
        self, primitive: Any, run: Callable[..., Any], args: Sequence[Any], params: dict[str, Any]
    ) -> Any:
        self._eager = primitive.name.removeprefix("random_"), tuple(params.get("shape", ()))
        try:
            result = super()._consumer(primitive, run, args, params)
        finally:
            self._eager = "", ()
        if primitive.name == "random_split":
            self._safely(self._children, args[0], result, math.prod(params["shape"]))
        return result

    def _children(self, key: Any, made: Any, total: int) -> None:
        parents = self._bits(key)
        if not parents or total * len(parents) > _MANY:
            return
        tokens = iter(self._bits(made))
        for parent in parents:
            use = found.split(total) if (found := self.lineage.of(parent)) is not None else None
            for index in range(total):
                token = next(tokens, None)
                if use is not None and token is not None:
                    self.lineage.child(use, index, token)

    def _folded(
        self, primitive: Any, run: Callable[..., Any], args: Sequence[Any], params: dict[str, Any]
    ) -> Any:
        result = super()._folded(primitive, run, args, params)
        self._safely(self._branches, result, *args)
        return result

    def _branches(self, made: Any, key: Any, data: Any) -> None:
        tokens = self._bits(made)
        if not tokens or len(tokens) > _MANY:
            return
        place, _ = self.where.now(3)
        count, shape = len(tokens), np.shape(made)
        whose = np.broadcast_to(np.arange(np.size(key)).reshape(np.shape(key)), shape).ravel().tolist()
        numbers = np.broadcast_to(np.asarray(data), shape).ravel()
        parents = self._bits(key)
        for at in range(count):
            if (parent := self.lineage.of(parents[whose[at]])) is not None:
                self.lineage.fold(parent, as_number(numbers[at]), place, tokens[at])

    # --- uses ----------------------------------------------------------------------------------

    def _spend(self, ledger: Ledger, names: Names, use: Spending) -> Spending | None:
        first = super()._spend(ledger, names, use)
        places = (first.place, use.place) if first is not None else None
        told = places if places in self._told else None
        if self._applying:
            if told is not None:
                self._doubled.append((names, told))
        elif names[0][0] != "tracer":
            self._safely(self._used, names, use, told)
        return first

    def _used(self, names: Names, use: Spending, told: tuple[Place, Place] | None) -> None:
        key = self.lineage.known(names) or self.lineage.of(names[0])
        if key is None:
            return
        name, shape = self._eager
        if use.what == "split":
            total = math.prod(shape) if name == "split" else 0
            self.lineage.use(key, "split", f"split into {total or 'keys'}", use.place, total=total)
        elif use.what == "drawn from":
            self.lineage.use(key, "draw", _drawn_as(name, use.place) or "drawn from", use.place)
        else:
            self.lineage.use(key, "give", use.what, use.place)
        if told is not None:
            self.lineage.mark(key.uses.values(), *told)

    # --- compiled calls ------------------------------------------------------------------------

    def _compiled(
        self, primitive: Any, run: Callable[..., Any], args: Sequence[Any], params: dict[str, Any]
    ) -> Any:
        def ran(*args: Any, **params: Any) -> Any:
            story = self._effects.get(params["jaxpr"])
            if not isinstance(story, Story) or not story.outcomes:
                return run(*args, **params)
            # Before it runs: what is donated has no bits behind it.
            expected = (
                self._safely(Telling(self.lineage, story, args, self._bits, self._place_of).outcomes) or []
            )
            results = run(*args, **params)
            self._safely(self._came_out, story.name, expected, results)
            return results

        return super()._compiled(primitive, ran, args, params)

    def _came_out(
        self, name: str, expected: list[tuple[Outcome, Key | None, Key | None]], results: Sequence[Any]
    ) -> None:
        for outcome, key, source in expected:
            tokens = self._bits_of_result(results[outcome.number])
            if outcome.element >= len(tokens):
                continue
            token = tokens[outcome.element]
            if key is not None:
                self.lineage.bind(token, key)
            else:
                self.lineage.born(token, f"a key that {name} returned", self.where.now(3)[0], source)

    def _bits_of_result(self, result: Any) -> list[Any]:
        if _compat.is_key_aval(result):
            return self._bits(result)
        words = np.ascontiguousarray(result)
        impl = str(jax.config.jax_default_prng_impl)  # type: ignore[attr-defined]
        return [(impl, row.tobytes()) for row in words.reshape(-1, words.shape[-1])]

    def _apply(self, effects: Effects, args: Sequence[Any], sampler: bool) -> None:
        before, self._applying, self._doubled = self._applying, True, []
        try:
            super()._apply(effects, args, sampler)
        finally:
            self._applying = before
        if isinstance(effects, Story) and effects.steps:
            self._safely(self._tell_story, effects, args, sampler)

    def _tell_story(self, story: Story, args: Sequence[Any], sampler: bool) -> None:
        """Add what a compiled function does to these arguments."""
        here, _ = self._now(4)
        telling = Telling(self.lineage, story, args, self._bits, self._place_of)

        def place_of(step: Step) -> Place:
            told = None if sampler else story.places.get(id(step.draw), step)
            if told is step:
                told = story.places[id(step.draw)] = self._place_of(step.draw)
            return told if isinstance(told, Place) else here

        # A draw in a loop is a step for what the loop carries and one for what it was given.
        looped = {id(step.draw) for step in story.steps if in_loop(step.origin)}
        looped.update(id(draw) for reuse in story.reuses if reuse.why for draw in (reuse.first, reuse.second))
        made: dict[int, list[Use]] = {}
        seen: set[tuple[int, int]] = set()
        for step in story.steps:
            key = telling.key(step.origin)
            if key is None or (id(key), id(step.draw)) in seen:
                continue
            seen.add((id(key), id(step.draw)))
            place = place_of(step)
            use = self.lineage.use(
                key,
                "split" if step.total else "draw",
                step.label if step.total else _drawn_as(step.label, place),
                place,
                within=story.name,
                looped=id(step.draw) in looped,
                total=step.total,
            )
            if use is not None:
                made.setdefault(id(step.draw), []).append(use)
        for reuse in story.reuses:
            places = self._place_of(reuse.first) or here, self._place_of(reuse.second) or here
            if places in self._told:
                for draw in (reuse.first, reuse.second):
                    self.lineage.mark(made.get(id(draw), ()), *places)
        for names, places in self._doubled:
            if (key := self.lineage.known(names)) is not None:
                self.lineage.mark(key.uses.values(), *places)


def _drawn_as(label: str, place: Place) -> str:
    """What is drawn, by the name of the function of ``jax.random`` that the line calls."""
    if place.called in _SAMPLERS:
        _, _, kind = label.partition(" ")
        return f"{place.called} {kind}".strip()
    return label
