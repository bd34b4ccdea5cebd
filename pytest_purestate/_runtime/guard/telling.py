"""The keys of one compiled call: what the origins in a `Story` are, given its arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pytest_purestate._runtime.guard.keys import as_number, seeded
from pytest_purestate._runtime.guard.lineage import Key, Lineage
from pytest_purestate._runtime.guard.places import Place
from pytest_purestate._runtime.guard.story import Origin, Outcome, Story
from pytest_purestate._runtime.guard.terms import Draw

__all__ = ["Telling"]


class Telling:
    """The keys of one compiled call: what the origins in a story are, given these arguments."""

    def __init__(
        self,
        lineage: Lineage,
        story: Story,
        args: Sequence[Any],
        bits: Callable[[Any], list[Any]],
        place_of: Callable[[Draw], Place | None],
    ) -> None:
        self._lineage = lineage
        self._story = story
        self._bits = bits
        self._place_of = place_of
        self._args = args
        self._tokens: dict[int, list[Any]] = {}
        self._keys: dict[int, Key | None] = {}  # by the identity of the origin

    def outcomes(self) -> list[tuple[Outcome, Key | None, Key | None]]:
        """The keys that will come out; with those of unknown origin, one that went in."""
        source = next((key for step in self._story.steps if (key := self.key(step.origin)) is not None), None)
        return [(each, self.key(each.origin), source) for each in self._story.outcomes]

    def key(self, origin: Origin | None) -> Key | None:
        """The key, which is added where nobody has met it."""
        if origin is None:
            return None
        if id(origin) not in self._keys:
            self._keys[id(origin)] = self._found(origin)
        return self._keys[id(origin)]

    def _found(self, origin: Origin) -> Key | None:
        lineage = self._lineage
        kind = origin[0]
        if kind == "loop":
            return self.key(origin[1])
        if kind == "split":
            _, above, total, index = origin
            parent = self.key(above)
            use = parent.split(total) if parent is not None else None
            return None if use is None else lineage.child(use, index)
        if kind == "fold":
            parent = self.key(origin[1])
            data = self._number(origin[2])
            number = None if data is None else as_number(data)
            return None if parent is None else lineage.fold(parent, number, self._place(origin[3]))
        token = self._token(origin)
        return None if token is None else lineage.of(token)

    def _token(self, origin: Origin) -> Any:
        kind = origin[0]
        if kind == "bits":
            return origin[2], origin[1]
        if kind == "input":
            _, number, element = origin
            if number not in self._tokens:
                self._tokens[number] = self._bits(self._args[number])
            tokens = self._tokens[number]
            return tokens[element] if element < len(tokens) else None
        if kind == "wrap":
            _, number, element, count, impl = origin
            words = np.ascontiguousarray(self._args[number]).ravel()[element : element + count]
            return impl, words.tobytes()
        seed = int(self._number(origin[1]))
        token = seeded(seed, origin[2])
        place = self._place(origin[3]) if len(origin) > 3 else None
        self._lineage.born(token, f"jax.random.key({seed})", place)
        return token

    def _place(self, made: Draw | None) -> Place | None:
        """Where a key is made, which is worked out once."""
        if made is None:
            return None
        places = self._story.places
        if id(made) not in places:
            places[id(made)] = self._place_of(made)
        found = places[id(made)]
        return found if isinstance(found, Place) else None

    def _number(self, data: Any) -> Any:
        return np.asarray(self._args[data[1]]).ravel()[data[2]] if isinstance(data, tuple) else data
