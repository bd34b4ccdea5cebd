"""What a jaxpr does to keys, as something to look at: of what every key in it is made, and which keys come out.

The analysis of `terms` answers whether a key is used twice, and forgets what is no answer to that. This one goes the
same way and writes down each use. It runs only where a lineage was asked for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_purestate._runtime import _compat
from pytest_purestate._runtime.guard.terms import Analysis, Draw, Effects, Term, Value, is_sampler

__all__ = ["Origin", "Outcome", "Step", "Story", "StoryAnalysis", "in_loop", "sampler_label"]

_MANY = 64
"""Of results with more keys than this, what each one is made of is not written down."""
_DEEP = 200
"""A key that is so many splits away from an input is left out: nobody looks there, and recursion has an end."""

_MAKERS = ("random_fold_in", "random_seed")

Origin = tuple[Any, ...]
"""A recipe as in `terms`, those of seeds and folds with where they are at the end; or ``("split", origin, how many, which)``, or
``("loop", origin)``: what the first pass of a loop makes of that."""


@dataclass(frozen=True, slots=True)
class Step:
    """One use of one key. ``label`` says what for, ``total`` into how many it was split, or 0."""

    origin: Origin
    draw: Draw
    label: str
    total: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """A key among the results: ``number`` of the result, index of the element, and what it is made of, if that can be told."""

    number: int
    element: int
    origin: Origin | None


@dataclass(slots=True)
class Story(Effects):
    """The effects, every step that led there, and the keys that come out."""

    steps: list[Step] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    name: str = ""
    """The function; empty for one of ``jax.random``, which is a step by itself."""

    def __bool__(self) -> bool:
        return bool(self.steps or self.outcomes) or Effects.__bool__(self)


class StoryAnalysis(Analysis):
    """Goes through one jaxpr, and takes notes."""

    def __init__(self) -> None:
        super().__init__()
        self._name: str | None = None
        self._bound: tuple[str, dict[str, Any], Sequence[Any]] = "", {}, ()
        self._samplers: dict[int, str] = {}  # by the number of the call
        self._labels: dict[int, tuple[str, int]] = {}  # by the identity of the draw
        self._label = "", 0
        self._first: dict[int, Draw] = {}  # of each call
        self._taken: dict[tuple[Term, int], Draw] = {}
        self._inner: dict[Term, Term] = {}  # keys of a loop: what they are in its first pass
        self._makers: dict[Term, Draw] = {}  # where keys are made that nothing is spent for
        self._origins: dict[Term, Origin | None] = {}

    def effects(self) -> Story:
        """What was found, and how it came about."""
        found = super().effects()
        steps = [
            Step(origin, draw, *self._labels[id(draw)])
            for (term, _), draw in self._taken.items()
            if (origin := self._origin(term)) is not None
        ]
        outcomes = [
            each for number, value in enumerate(self.results) for each in self._results(number, value)
        ]
        return Story(
            found.reuses,
            found.inputs,
            found.derived,
            found.clones,
            found.places,
            steps,
            outcomes,
            self._name or "",
        )

    # --- notes -------------------------------------------------------------------------------

    def enter(
        self, jaxpr: Any, consts: Sequence[Any], args: Sequence[Value], *, compiled: bool = False
    ) -> list[Value]:
        """Go into a jaxpr; what a sampler of JAX is called is what is written down of it."""
        sampler = is_sampler(jaxpr)
        if self._name is None:
            self._name = "" if sampler else _compat.function_name(jaxpr)
        if sampler and not self.call:
            self._samplers[self.calls + 1] = sampler_label(jaxpr)
        return super().enter(jaxpr, consts, args, compiled=compiled)

    def bind(
        self, name: str, params: dict[str, Any], args: list[Value], eqn: Any, outvars: Sequence[Any]
    ) -> list[Value]:
        """One equation."""
        self._bound = name, params, outvars
        outs = super().bind(name, params, args, eqn, outvars)
        if name in _MAKERS and not self.call and outs[0].cells is not None:
            made = Draw(name, tuple(self.sources[::-1]), 0)
            for term in outs[0].cells.ravel().tolist():
                self._makers.setdefault(term, made)
        return outs

    def consume(self, value: Value, what: str) -> None:
        """A key is used by the equation that is gone through."""
        name, params, outvars = self._bound
        if self.call in self._samplers:
            self._label = self._samplers[self.call], 0
        elif name == "random_split":
            total = math.prod(params["shape"])
            self._label = f"split into {total}", total
        else:
            self._label = f"{name.removeprefix('random_')} {_type(outvars)}".strip(), 0
        super().consume(value, what)

    def spend(self, term: Term, draw: Draw) -> None:
        """A key is used, by itself or as what a loop was given."""
        # A sampler splits inside as it likes: its first use of a key is the one that was asked for.
        if self._first.setdefault(draw.call, draw) is draw:
            self._labels.setdefault(id(draw), self._label)
            self._taken.setdefault((term, id(draw)), draw)
        super().spend(term, draw)

    def first_pass(self, mapping: Mapping[Term, Term]) -> None:
        """What a loop carries is what it was given; of rows, the first one stands for all."""
        for inner, outer in mapping.items():
            self._inner.setdefault(inner, outer)

    # --- origins -----------------------------------------------------------------------------

    def _results(self, number: int, value: Value) -> list[Outcome]:
        if not value.small or math.prod(value.shape) > _MANY * 4:
            return []
        if value.key:
            terms = self.followed(value).ravel().tolist()
            return [Outcome(number, at, self._origin(term)) for at, term in enumerate(terms[:_MANY])]
        if value.cells is None or not value.shape or value.shape[-1] not in (2, 4):
            return []
        found = []
        for at, words in enumerate(value.cells.reshape(-1, value.shape[-1]).tolist()):
            made = self.made[words[0]]
            whole = made[1] if made[0] == "word" else None
            if whole is not None and self.wrapped(words, "") == whole:
                found.append(Outcome(number, at, self._origin(whole)))
        return [each for each in found if each.origin is not None]

    def _origin(self, term: Term, deep: int = 0) -> Origin | None:
        if term not in self._origins:
            self._origins[term] = None if deep > _DEEP else self._made_of(term, deep + 1)
        return self._origins[term]

    def _made_of(self, term: Term, deep: int) -> Origin | None:
        if term in self._inner:
            outer = self._origin(self._inner[term], deep)
            return None if outer is None else ("loop", outer)
        made = self.made[term]
        if made[0] == "split":
            parent = self._origin(made[1], deep)
            return None if parent is None else ("split", parent, math.prod(made[2]), made[3])
        if made[0] == "fold":
            parent = self._origin(made[1], deep)
            return None if parent is None else ("fold", parent, self.data(made[2]), self._makers.get(term))
        if made[0] == "seed":
            recipe = self.recipe(term)
            return None if recipe is None else (*recipe, self._makers.get(term))
        if made[0] == "wrap":
            words = [self._inner.get(word, word) for word in made[1:-1]]
            whole = self.wrapped(words, made[-1])
            if whole != term:
                outer = self._origin(whole, deep)
                return None if outer is None else ("loop", outer)
        return self.recipe(term)


def in_loop(origin: Origin | None) -> bool:
    """Whether a key is what the first pass of a loop makes of another."""
    while origin is not None:
        if origin[0] == "loop":
            return True
        origin = origin[1] if origin[0] in ("split", "fold") else None
    return False


def sampler_label(jaxpr: Any) -> str:
    """What a function of ``jax.random`` gives, as in ``normal float32[3]``."""
    return f"{_compat.function_name(jaxpr).lstrip('_')} {_type(jaxpr.outvars)}".strip()


def _type(outvars: Sequence[Any]) -> str:
    aval = getattr(outvars[0], "aval", None) if outvars else None
    shape, dtype = getattr(aval, "shape", None), getattr(aval, "dtype", None)
    return "" if shape is None or dtype is None else f"{dtype}[{','.join(map(str, shape))}]"
