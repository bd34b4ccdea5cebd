"""Watches keys while code runs, and tells of each one that is used twice.

All that runs goes through JAX's seam (`_compat.seam`): primitives that run by themselves with their arguments,
and compiled calls with their jaxpr, of which `terms` tells what they do to keys. A key is known by its value, so a raw
key, a copy, and a key that is made a second time from one seed are the same key.

What is spent is remembered for one call of a test (`places`): two calls may replay a key.
"""

from __future__ import annotations

import sys
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import takewhile
from types import CodeType
from typing import Any

import jax
import numpy as np

from pytest_purestate._runtime import _compat
from pytest_purestate._runtime._compat import seam
from pytest_purestate._runtime.guard.places import ORDERING, Activity, Kind, Place, Where
from pytest_purestate._runtime.guard.terms import (
    REPLAYS,
    Analysis,
    Draw,
    Effects,
    Recipe,
    analyse,
    analyse_call,
    analyse_open,
    has_keys,
    is_sampler,
    mark_inside,
)

__all__ = ["KeyReuse", "KeyWatch", "Ledger", "Names", "Spending", "as_number", "as_typed", "seeded"]

_MANY = 65536
"""Of arrays with more keys than this the elements are not told apart."""

_KEPT = 256
_TRACES = 10_000
_WORD = 0xFFFFFFFF

Token = tuple[Any, ...]
"""A name of a key: ``(implementation, bits)``, or how it is made of another: ``("fold", token, data)``."""
Names = tuple[Token, ...]
"""All names of one key: a child that compiled code makes has no bits that anybody sees."""


@dataclass(frozen=True, slots=True)
class KeyReuse:
    """A key that was used twice: where, and how. In a loop both places are the same one; ``why`` says so."""

    first: Place
    second: Place
    first_use: str
    second_use: str
    why: str = ""

    @property
    def message(self) -> str:
        """A sentence without the places."""
        if self.why:
            return f"a key is {self.second_use} {self.why}, and is the same each time"
        return f"a key is {self.second_use} that was {self.first_use} before"


@dataclass(frozen=True, slots=True, eq=False)
class Spending:
    """What spent a key. ``event``: all that belongs to one use; ``keep``: what must live as long as its address counts."""

    place: Place
    what: str
    event: object
    keep: object = None


class Ledger:
    """What was spent below one call of a test."""

    def __init__(self, activity: Activity) -> None:
        self.activity = activity
        self.spent: dict[Token, Spending] = {}
        self.told: set[Token] = set()  # keys that were told of: what is derived of them is the same mistake


_watching: list[KeyWatch] = []
"""Those that watch now."""


class KeyWatch:
    """Watches from `start` to `stop`; what is found goes to ``report``, each pair of places once between two `clear`."""

    analysis: type[Analysis] = Analysis

    def __init__(self, where: Where, report: Callable[[KeyReuse], None]) -> None:
        self.where = where
        self.report = report
        self.allowed = 0  # more than zero: keys may be used again
        self.problem = ""  # the first mistake of our own: what it was about is not judged
        self._open: list[Ledger] = []
        self._known: dict[Token, Names] = {}  # keys by their bits: how they were made
        self._free: dict[Token, int] = {}  # uses that a clone allows
        self._told: set[tuple[Place, Place]] = set()
        self._busy = False
        self._undo: list[Callable[[], None]] = []
        self._followed: set[str] = set()  # modules
        self._pending: list[Any] = []  # jaxprs that were traced in this test
        self._ran: set[int] = set()  # jaxprs that ran in this test, or were looked at, by identity
        self._effects: weakref.WeakKeyDictionary[Any, Effects] = weakref.WeakKeyDictionary()
        self._recent: OrderedDict[Any, tuple[Any, Effects]] = OrderedDict()
        self._handlers: dict[Any, Callable[..., Any] | None] = {}

    # --- from when to when -------------------------------------------------------------------

    def start(self, *, alone: bool = False) -> bool:
        """Begin; whether JAX has the place to watch from. Where it has not, only direct calls of ``jax.random`` are seen.

        With ``alone``, whoever watches already, or JAX's own checker, sees nothing until `stop`.
        """
        undo = seam.replace_seam(self._call, self._traced, concerned=has_keys, alone=alone)
        self._undo.append(undo or _compat.watch_samplers(self._sampled))
        if alone:
            others = ExitStack()
            for other in _watching:
                others.enter_context(other.allow())
            self._undo.append(others.close)
        self.follow()
        _watching.append(self)
        self._undo.append(partial(_watching.remove, self))
        return undo is not None

    def follow(self) -> None:
        """Watch the streams of Flax too, once it is loaded."""
        watches: dict[str, Callable[[], Callable[[], None] | None]] = {
            "flax.core.scope": lambda: _compat.watch_linen_streams(self._stream_drawn),
            "flax.nnx": lambda: _compat.watch_nnx_streams(self._nnx_drawn),
        }
        for name, watch in watches.items():
            if name not in self._followed and self._undo and name in sys.modules:
                self._followed.add(name)
                if (undo := watch()) is not None:
                    self._undo.append(undo)

    def stop(self) -> None:
        """End; JAX is as it was."""
        while self._undo:
            self._undo.pop()()
        self._followed.clear()
        self.clear()

    def clear(self) -> None:
        """Forget what was spent: another test begins."""
        self._open.clear()
        self._known.clear()
        self._free.clear()
        self._told.clear()
        self._pending.clear()
        self._ran.clear()

    @contextmanager
    def allow(self) -> Iterator[None]:
        """Uses inside the block do not count."""
        self.allowed += 1
        try:
            yield
        finally:
            self.allowed -= 1

    # --- what runs ---------------------------------------------------------------------------

    def _call(self, primitive: Any, run: Callable[..., Any], /, *args: Any, **params: Any) -> Any:
        try:
            handler = self._handlers[primitive]
        except KeyError:
            handler = self._handlers[primitive] = self._handler(primitive, params)
        if handler is None or self._busy:
            return run(*args, **params)
        return handler(primitive, run, args, params)

    def _handler(self, primitive: Any, params: dict[str, Any]) -> Callable[..., Any] | None:
        name = primitive.name
        if name in ("random_bits", "random_gamma", "random_split"):
            return self._consumer
        if name == "random_fold_in":
            return self._folded
        if name == "random_clone":
            return self._cloned
        if name in ("jit", "pjit"):
            return self._compiled
        if any(hasattr(each, "eqns") or hasattr(each, "jaxpr") for each in _flat(params.values())):
            return self._structured
        return None

    def _consumer(
        self, primitive: Any, run: Callable[..., Any], args: Sequence[Any], params: dict[str, Any]
    ) -> Any:
        self._safely(self._consumed, args[0], "split" if primitive.name == "random_split" else "drawn from")
        return self._quietly(partial(run, *args, **params))

    def _consumed(self, key: Any, what: str) -> None:
        if keys := self._keys(key):
            place, ledger = self._now(4)
            use = Spending(place, what, object())
            for names in dict.fromkeys(keys):
                self._spend(ledger, names, use)

    def _sampled(self, key: Any, name: str) -> None:
        """A function of ``jax.random`` is called, where nothing deeper can be seen."""
        if not self._busy and not _compat.is_tracer(key) and not _compat.tracing():
            typed = self._quietly(partial(as_typed, key))
            self._safely(self._consumed, typed, "split" if name == "split" else "drawn from")

    def _folded(
        self, primitive: Any, run: Callable[..., Any], args: Sequence[Any], params: dict[str, Any]
    ) -> Any:
        result = self._quietly(partial(run, *args, **params))
        if np.size(args[1]) == 1 and np.shape(args[0]) == ():
            self._safely(self._made_by_folding, result, args[0], args[1])
        return result

    def _made_by_folding(self, child: Any, parent: Any, data: Any) -> None:
        parents, children = self._keys(parent), self._bits(child)
        if parents and children:
            number = as_number(data)
            made = tuple(("fold", name, number) for name in parents[0])
            self._known[children[0]] = (children[0], *made)

    def _cloned(
        self, primitive: Any, run: Callable[..., Any], args: Sequence[Any], params: dict[str, Any]
    ) -> Any:
        self._safely(self._release, args[0])
        return self._quietly(partial(run, *args, **params))

    def _compiled(
        self, primitive: Any, run: Callable[..., Any], args: Sequence[Any], params: dict[str, Any]
    ) -> Any:
        closed = params["jaxpr"]
        effects = self._effects.get(closed)
        if effects is None:
            effects = self._effects[closed] = self._safely(analyse, closed, self.analysis()) or Effects()
        if self._pending:
            mark_inside(closed.jaxpr, self._ran)
        if effects:
            self._safely(self._apply, effects, args, is_sampler(closed.jaxpr), quiet=False)
        return run(*args, **params)

    def _structured(
        self, primitive: Any, run: Callable[..., Any], args: Sequence[Any], params: dict[str, Any]
    ) -> Any:
        inner = [each for each in _flat(params.values()) if hasattr(each, "eqns") or hasattr(each, "jaxpr")]
        name = (primitive, *map(id, inner))
        known = self._recent.get(name)
        if known is None:
            avals = [jax.typeof(arg) for arg in args]
            known = inner, self._safely(analyse_call, primitive, params, avals, self.analysis()) or Effects()
            self._recent[name] = known
            if len(self._recent) > _KEPT:
                self._recent.popitem(last=False)
        else:
            self._recent.move_to_end(name)
        if known[1]:
            self._safely(self._apply, known[1], args, False, quiet=False)
        return self._quietly(partial(run, *args, **params))  # it compiles a call of itself

    def _traced(self, jaxpr: Any) -> None:
        """A function was traced, which perhaps nobody runs: `finish` looks at those."""
        if not self._busy and not self.allowed and len(self._pending) < _TRACES:
            self._pending.append(jaxpr)

    def finish(self) -> None:
        """Look at what was traced and did not run. A test ends."""
        pending, self._pending = self._pending, []
        for jaxpr in reversed(pending):  # those that call others come behind them
            if id(jaxpr) in self._ran or is_sampler(jaxpr) or not has_keys(jaxpr):
                continue
            mark_inside(jaxpr, self._ran)
            self._tell_all(self._safely(analyse_open, jaxpr))

    def look_at(self, closed: Any) -> None:
        """Look at what was traced, and does not run."""
        mark_inside(closed.jaxpr, self._ran)
        self._tell_all(self._safely(analyse, closed, self.analysis()))

    def _tell_all(self, effects: Effects | None) -> None:
        for reuse in effects.reuses if effects is not None else ():
            self._tell_of(reuse.first, reuse.second, self._place_of, reuse.why)

    def _apply(self, effects: Effects, args: Sequence[Any], sampler: bool) -> None:
        """What a jaxpr does, done to these arguments."""
        place, ledger = self._now(4)
        event = object()

        def where(draw: Draw) -> Place:
            if sampler:
                return place
            told = effects.places.get(id(draw), self)
            if told is self:
                told = effects.places[id(draw)] = self._place_of(draw)
            return told or place  # type: ignore[return-value]

        for reuse in effects.reuses if not self.allowed else ():
            self._tell_of(reuse.first, reuse.second, where, reuse.why)
        for number in effects.clones:
            self._release(args[number])
        spent: dict[Names, Draw] = {}
        keys: dict[int, list[Names]] = {}
        for number, element, draw in effects.inputs:
            if number not in keys:
                keys[number] = self._keys(args[number])
            own = keys[number]
            for names in own if element < 0 else own[element : element + 1]:
                before = spent.setdefault(names, draw)
                if before.call != draw.call and not self.allowed:
                    self._tell_of(before, draw, where)  # one key was handed over twice
        for recipe, draw in effects.derived:
            made = self._quietly(partial(self._made, recipe, args))
            if made is not None:
                spent.setdefault(made, draw)
        for names, draw in spent.items():
            self._spend(ledger, names, Spending(where(draw), draw.what, event))

    def _stream_drawn(self, key: Any, stream: str, root: object) -> None:
        """A stream of a linen module is drawn from, which was given a key; ``root`` is one init or apply."""
        traced = _compat.is_tracer(key)
        if self._busy or self.allowed or (not traced and _compat.tracing()):
            return  # under a trace shapes are asked for, or the key is a constant of compiled code
        place, ledger = self._now(3, _compat.is_linen_entry)
        what = f"given to a linen module as `{stream}`"
        if traced:
            if _compat.is_shape_only():
                return
            self._spend(
                ledger, (("tracer", id(key)),), Spending(place, what, (id(root), stream), (key, root))
            )
            return
        for names in self._keys(self._quietly(lambda: as_typed(key))):
            self._spend(ledger, names, Spending(place, what, (id(root), stream), root))

    def _nnx_drawn(self, key: Any) -> None:
        """A stream of ``nnx.Rngs`` is drawn from: its key is for streams alone, of which copies count on."""
        if self._busy or self.allowed or _compat.is_tracer(key) or _compat.tracing():
            return
        place, ledger = self._now(3)
        for names in self._keys(key):
            self._spend(ledger, names, Spending(place, "given to a stream of nnx", ("nnx", names)))

    # --- keys --------------------------------------------------------------------------------

    def _safely(self, work: Callable[..., Any], *args: Any, quiet: bool = True) -> Any:
        """Do something of our own, whose failure is no failure of the test; None where it fails."""
        try:
            return self._quietly(partial(work, *args)) if quiet else work(*args)
        except Exception as error:
            self.problem = self.problem or f"{type(error).__name__}: {error}"
            return None

    def _quietly(self, work: Callable[[], Any]) -> Any:
        """Do something of our own, which is not watched."""
        before, self._busy = self._busy, True
        try:
            return work()
        finally:
            self._busy = before

    def _bits(self, key: Any) -> list[Token]:
        words = self._quietly(partial(_compat.key_words, key, _MANY))
        return [] if words is None else [(words[1], row) for row in words[0]]

    def _keys(self, key: Any) -> list[Names]:
        known = self._known
        return [known.get(token) or (token,) for token in self._bits(key)]

    def _release(self, key: Any) -> None:
        """A key is cloned: it may be used once more."""
        for token in self._bits(key):
            self._free[token] = self._free.get(token, 0) + 1

    def _made(self, recipe: Recipe, args: Sequence[Any]) -> Names | None:
        """The key that a recipe makes of these arguments."""
        kind = recipe[0]
        if kind == "bits":
            return self._named((recipe[2], recipe[1]))
        if kind == "input":
            keys = self._keys(args[recipe[1]])
            return keys[recipe[2]] if recipe[2] < len(keys) else None
        if kind == "wrap":
            _, number, element, count, impl = recipe
            words = np.ascontiguousarray(args[number]).ravel()[element : element + count]
            return self._named((impl, words.tobytes()))
        data = recipe[2] if kind == "fold" else recipe[1]
        if isinstance(data, tuple):
            data = np.asarray(args[data[1]]).ravel()[data[2]]
        if kind == "seed":
            return self._named(seeded(int(data), recipe[2]))
        parent, number = self._made(recipe[1], args), as_number(data)
        return None if parent is None else tuple(("fold", name, number) for name in parent)

    def _named(self, token: Token) -> Names:
        return self._known.get(token) or (token,)

    # --- spending ----------------------------------------------------------------------------

    def _now(self, depth: int = 2, past: Callable[[CodeType], bool] | None = None) -> tuple[Place, Ledger]:
        place, activity = self.where.now(depth + 1, past)
        source = _compat.source_in_force()
        if source is not None:  # a jaxpr is run equation by equation, and its function is not on the stack
            place = self.where.first(_compat.source_frames(source)) or place
        for ledger in self._open:
            if ledger.activity.frame is activity.frame:
                return place, ledger
        self._open = [ledger for ledger in self._open if ledger.activity.resumes]
        ledger = Ledger(activity)
        self._open.append(ledger)
        return place, ledger

    def _spend(self, ledger: Ledger, names: Names, use: Spending) -> Spending | None:
        """A key is spent; the use that spent it before, where that is a mistake."""
        if self.allowed:
            return None
        spent = ledger.spent
        first = next((spent[name] for name in names if name in spent), None)
        for name in names:
            spent.setdefault(name, use)
        if first is None:
            return None
        if first.event == use.event or _compat.is_replay(None, REPLAYS):
            return None
        if self._free.get(names[0], 0) > 0:
            self._free[names[0]] -= 1
            return None
        for origin in names:
            while origin[0] == "fold":
                origin = origin[1]
                if origin in ledger.told:
                    return None
        ledger.told.update(names)
        self._tell(KeyReuse(first.place, use.place, first.what, use.what))
        return first

    def _tell_of(
        self, first: Draw, second: Draw, where: Callable[[Draw], Place | None], why: str = ""
    ) -> None:
        places = where(first), where(second)
        if places[0] is None or places[1] is None:
            return
        if places[0] == places[1] and not why and self._in_one_sampler(first, second):
            return
        self._tell(KeyReuse(places[0], places[1], first.what, second.what, why))

    def _place_of(self, draw: Draw) -> Place | None:
        """The line of the user's code where an equation is: in its function, or where that is called."""
        for source in draw.sources:
            inside = takewhile(lambda frame: not _compat.begins_trace(frame), _compat.source_frames(source))
            if (found := self.where.first(inside)) is not None:
                return found
        return None

    def _in_one_sampler(self, first: Draw, second: Draw) -> bool:
        """Whether two draws are two lines of one function of ``jax.random``, which was called once."""
        traced = [getattr(next(iter(draw.sources), None), "traceback", None) for draw in (first, second)]
        together = traced[0] is not None and traced[0] is traced[1] and first.step != second.step
        if together and not (first.sampler or second.sampler):
            return True  # a call that was inlined
        ways = [
            tuple(takewhile(self._is_tool, _compat.source_frames(next(iter(draw.sources), None))))
            for draw in (first, second)
        ]
        if not ways[0] or not ways[1] or ways[0] == ways[1]:
            return False
        (file, _, function), (other, _, name) = ways[0][-1], ways[1][-1]
        return (file, function) == (other, name)

    def _is_tool(self, frame: tuple[str, int, str]) -> bool:
        return self.where.kind_of(frame[0]) is Kind.TOOL

    def _tell(self, reuse: KeyReuse) -> None:
        pair = reuse.first, reuse.second
        if pair not in self._told and not _paired(*pair):
            self._told.add(pair)
            self.report(reuse)


def _paired(first: Place, second: Place) -> bool:
    """Whether two arrays are ordered alike, as inputs and labels must be: one key is right for that."""
    if first.called != second.called or first.called not in ORDERING:
        return False
    if first.data is None or second.data is None:  # traced: what was ordered is not known any more
        return first.line != second.line
    arrays = all(getattr(data, "ndim", 0) for data in (first.data, second.data))
    return arrays and first.data is not second.data


def _flat(values: Any) -> Iterator[Any]:
    for value in values:
        if isinstance(value, (tuple, list)):
            yield from value
        else:
            yield value


def as_number(data: Any) -> int:
    return int(np.asarray(data).ravel()[0]) & _WORD


def as_typed(key: Any) -> Any:
    return key if _compat.is_key_aval(key) else jax.random.wrap_key_data(key)


@lru_cache(maxsize=1024)
def seeded(seed: int, impl: str) -> Token:
    words = _compat.key_words(jax.random.key(seed, impl=impl))
    assert words is not None
    return words[1], words[0][0]
