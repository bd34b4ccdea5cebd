"""The interpreter's state on one path, and the three operations that control flow needs.

``fork`` takes a copy that assumes more, ``merge`` joins paths that meet again. Rules never see a
branch or a loop: what they get are facts, found on some path through these states.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

from pytest_purestate._check.flow.values import (
    Choice,
    Guards,
    Path,
    Root,
    Sym,
    Use,
    Value,
    bounded,
    contradicts,
)

__all__ = ["MAX_OPTIONS", "State", "common", "merge", "merge_values", "narrowed"]

MAX_OPTIONS = 8
"""How many values one name may have, depending on the path; what is beyond is forgotten."""


class State:
    """``env``: names; ``heap``: what places hold; ``spent``: uses by object; ``path``: guards in force."""

    __slots__ = ("env", "heap", "path", "spent")

    def __init__(
        self,
        env: dict[str, Value],
        heap: dict[Sym, Value],
        spent: dict[Root, tuple[tuple[Path, Use], ...]],
        path: Guards,
    ) -> None:
        self.env = env
        self.heap = heap
        self.spent = spent
        self.path = path

    def held(self) -> dict[Root, list[tuple[Sym, Value]]]:
        """What the places of each object hold: one look at the heap for many objects."""
        out: dict[Root, list[tuple[Sym, Value]]] = {}
        for place, value in self.heap.items():
            out.setdefault(place.root, []).append((place, value))
        return out

    def fork(self, assume: Guards | None = None) -> State:
        """A copy whose path also assumes ``assume``."""
        path = self.path if not assume else {**self.path, **assume}
        return State(self.env.copy(), self.heap.copy(), self.spent.copy(), path)


def merge_values(values: Sequence[tuple[Value | None, Guards]]) -> Value | None:
    """The value that is ``values[i][0]`` under ``values[i][1]``; None stands for unbound."""
    present = [(value, guards) for value, guards in values if value is not None]
    if not present:
        return None
    first = present[0][0]
    if all(value is first or (type(value) is type(first) and value == first) for value, _ in present):
        return first
    options = tuple(itertools.islice(_options(present), MAX_OPTIONS))
    return bounded(Choice(options)) if options else first


def _options(values: Sequence[tuple[Value, Guards]]) -> Iterator[tuple[Value, Guards]]:
    for value, guards in values:
        if isinstance(value, Choice):
            for option, inner in value.options:
                if not inner or not contradicts(inner, guards):
                    yield option, {**inner, **guards}
        else:
            yield value, guards


def narrowed(value: Choice, path: Guards) -> Value:
    """A value on one path: without the options that belong to others."""
    if len(value.options) >= MAX_OPTIONS:  # there may have been more
        return value
    left = tuple([entry for entry in value.options if not contradicts(entry[1], path)])
    if len(left) in (0, len(value.options)):
        return value
    return left[0][0] if len(left) == 1 else Choice(left)


def common(paths: Sequence[Guards]) -> Guards:
    """What all of these paths assume."""
    first, *rest = paths
    return {
        condition: outcome
        for condition, outcome in first.items()
        if all(condition in other and other[condition] == outcome for other in rest)
    }


def merge(states: Iterable[State | None]) -> State | None:
    """Join the paths that are alive; None when none is."""
    alive = [state for state in states if state is not None]
    if not alive:
        return None
    if len(alive) == 1:
        return alive[0]
    path = common([state.path for state in alive])
    extra: list[Guards] = [
        {condition: outcome for condition, outcome in state.path.items() if condition not in path}
        for state in alive
    ]
    env = _merge_maps([state.env for state in alive], extra)
    heap = _merge_places([state.heap for state in alive], extra)
    spent: dict[Root, tuple[tuple[Path, Use], ...]] = dict(alive[0].spent)
    for state in alive[1:]:
        for root, uses in state.spent.items():
            known = spent.get(root)
            if known is None:
                spent[root] = uses
            elif known is not uses:
                seen = {id(use) for _, use in known}
                spent[root] = known + tuple(entry for entry in uses if id(entry[1]) not in seen)
    return State(env, heap, spent, path)


def _merge_maps(maps: Sequence[Mapping[str, Value]], extra: Sequence[Guards]) -> dict[str, Value]:
    out = dict(maps[0])
    names = dict.fromkeys(name for mapping in maps for name in mapping)
    for name in names:
        first = maps[0].get(name)
        if all(mapping.get(name) is first for mapping in maps):
            continue
        merged = merge_values(
            [(mapping.get(name), guards) for mapping, guards in zip(maps, extra, strict=True)]
        )
        if merged is not None:
            out[name] = merged
    return out


def _merge_places(maps: Sequence[Mapping[Sym, Value]], extra: Sequence[Guards]) -> dict[Sym, Value]:
    out = dict(maps[0])
    places = dict.fromkeys(place for mapping in maps for place in mapping)
    for place in places:
        first = maps[0].get(place)
        if first is not None and all(mapping.get(place) is first for mapping in maps):
            continue
        # A place that one path never stored to still holds what it held before.
        merged = merge_values(
            [(mapping.get(place, place), guards) for mapping, guards in zip(maps, extra, strict=True)]
        )
        if merged is not None:
            out[place] = merged
    return out
