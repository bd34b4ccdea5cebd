"""What became of the keys of one test: of what each is made, and where it is split, folded and drawn from.

A `Lineage` only grows: keys and uses are added while the test runs, each use once, with a count of how often. What it
looks like when a test has ended is the business of `branches`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pytest_purestate._runtime.guard.places import Place

__all__ = ["LIMIT", "Key", "Lineage", "Use"]

LIMIT = 20_000
"""Keys and uses of one test; what comes behind that is counted, and not kept."""

Token = tuple[Any, ...]


@dataclass(slots=True, eq=False)
class Use:
    """Something that was done with a key, ``times`` times at one place.

    Attributes:
        what: ``split``, ``draw`` or ``give``.
        label: what for, as in ``normal float32[3]``.
        within: the compiled function that did it; empty for code that ran line by line.
        looped: it is what every pass of a loop does.
        total: into how many keys it was split, or 0.
        children: those of them that anything was done with, or that are known by their bits.
        reused: ``first`` or ``again``: which half of a mistake it is; empty for none.
    """

    what: str
    label: str
    place: Place | None
    within: str = ""
    looped: bool = False
    total: int = 0
    times: int = 0
    reused: str = ""
    children: dict[int, Key] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Key:
    """One key. ``how`` is ``root``, ``stream``, ``child``, ``fold`` or ``out``; what was done with it is in ``then``, in that order."""

    how: str
    label: str
    place: Place | None = None
    then: list[Use | Key] = field(default_factory=list)
    uses: dict[Any, Use] = field(default_factory=dict)
    folds: dict[Any, Key] = field(default_factory=dict)

    def split(self, total: int) -> Use | None:
        """The last split into so many keys."""
        found = (use for use in reversed(self.then) if isinstance(use, Use) and use.total == total)
        return next(found, None)


class Lineage:
    """The keys of one test."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything: another test begins."""
        self.roots: list[Key] = []
        self.left_out = 0
        self._size = 0
        self._keys: dict[Token, Key] = {}
        self._born: dict[Token, tuple[str, Place | None, Key | None]] = {}

    def born(self, token: Token, label: str, place: Place | None, source: Key | None = None) -> None:
        """A key was made of a seed or of words, or a compiled function gave it, in which nobody can follow it. It has a place in
        the tree once it is used; below ``source``, if there is one.
        """
        if len(self._born) < LIMIT and token not in self._keys:
            self._born.setdefault(token, (label, place, source))

    def met(self, token: Token) -> bool:
        """Whether the key of these bits is known."""
        return token in self._keys or token in self._born

    def handed(self, token: Token, label: str, place: Place | None) -> None:
        """A stream gave a key."""
        if token not in self._keys and self._room():
            self._keys[token] = Key("stream", label, place)
            self.roots.append(self._keys[token])

    def of(self, token: Token) -> Key | None:
        """The key of these bits; a new root, if nobody has met them before."""
        known = self._keys.get(token)
        if known is None and self._room():
            label, place, source = self._born.get(token, ("a key made elsewhere", None, None))
            known = self._keys[token] = Key("root" if source is None else "out", label, place)
            (self.roots if source is None else source.then).append(known)
        return known

    def known(self, names: tuple[Token, ...]) -> Key | None:
        """The key that has one of these names, if any has."""
        return next((found for name in names if (found := self._named(name)) is not None), None)

    def _named(self, name: Token) -> Key | None:
        if name in self._keys or name[0] != "fold":
            return self._keys.get(name)
        parent = self._named(name[1])
        return None if parent is None else parent.folds.get(name[2])

    def use(
        self,
        key: Key,
        what: str,
        label: str,
        place: Place | None,
        *,
        within: str = "",
        looped: bool = False,
        total: int = 0,
    ) -> Use | None:
        """Something is done with a key; None where there is no more room."""
        about = what, label, place, within, looped
        use = key.uses.get(about)
        if use is None:
            if not self._room():
                return None
            use = key.uses[about] = Use(what, label, place, within, looped, total)
            key.then.append(use)
        use.times += 1
        return use

    def child(self, use: Use, index: int, token: Token | None = None) -> Key | None:
        """One of the keys that a split gave."""
        known = use.children.get(index)
        if known is None:
            if not self._room():
                return None
            known = use.children[index] = Key("child", f"[{index}]")
        return self.bind(token, known)

    def fold(self, key: Key, data: int | None, place: Place | None, token: Token | None = None) -> Key | None:
        """The key that folding some data in gave; None for data that only the run knows."""
        known = key.folds.get(data)
        if known is None:
            if not self._room():
                return None
            shown = "…" if data is None else str(data)
            known = key.folds[data] = Key("fold", f"fold_in({shown})", place)
            key.then.append(known)
        return self.bind(token, known)

    def bind(self, token: Token | None, key: Key) -> Key:
        """From here on, these bits are this key."""
        if token is not None:
            self._keys.setdefault(token, key)
        return key

    def mark(self, uses: Iterable[Use], first: Place, again: Place) -> None:
        """Of some uses, those in these two places are one too many."""
        for use in uses:
            if use.place == again:
                use.reused = "again"
            elif use.place == first and not use.reused:
                use.reused = "first"

    def all_keys(self) -> Iterator[Key]:
        """Every key that is kept."""
        todo = list(reversed(self.roots))
        while todo:
            key = todo.pop()
            yield key
            for each in reversed(key.then):
                todo.extend([each] if isinstance(each, Key) else reversed(each.children.values()))

    def _room(self) -> bool:
        if self._size >= LIMIT:
            self.left_out += 1
            return False
        self._size += 1
        return True
