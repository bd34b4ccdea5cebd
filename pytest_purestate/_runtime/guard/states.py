"""States that must not be edited in place while a test runs: train states, parameters, optimizer states.

What is kept of a state is what JAX makes of it, its leaves and its tree structure: arrays of JAX by identity,
because they cannot be edited, and copies of numpy buffers. That is a hundred times cheaper than a picture of it,
which is taken only where something differs, to say where and how.
"""

from __future__ import annotations

import dataclasses
import functools
import sys
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import jax
import numpy as np

from pytest_purestate._runtime import _compat
from pytest_purestate._runtime.failures import Problem
from pytest_purestate._runtime.frames import user_place
from pytest_purestate._runtime.graph import Node, Policy, iter_nodes, take_picture
from pytest_purestate._runtime.trees import compare

__all__ = ["StateWatch", "states_in", "watch_creation"]

_HELD = 64
_MAX_BYTES = 1 << 24
"""How large a numpy array is copied; larger ones count by identity."""
_POLICY = Policy(max_bytes=1 << 20)
_SAME = "unchanged"
"""Stands for a leaf that did not change where two states are compared, so that it need not be read."""


class _Kind(Enum):
    FIXED = 1
    """Cannot be edited: an array of JAX, a number, a string."""
    BUFFER = 2
    """A numpy array."""
    TRACER = 3
    BY_DESIGN = 4
    """Made to be edited: modules and variables of nnx, mutable array references."""
    OTHER = 5
    """An object that JAX does not look into."""


_kinds: dict[type, _Kind] = {}


def _kind_of(leaf: Any) -> _Kind:
    kind = type(leaf)
    known = _kinds.get(kind)
    if known is None:
        known = _judged(leaf)
        if known in (_Kind.FIXED, _Kind.BUFFER, _Kind.TRACER):
            _kinds[kind] = known  # not the others: a class made in a test would live as long as the process
    if known is _Kind.BUFFER and leaf.dtype.hasobject:
        return _Kind.OTHER
    return known


def _judged(leaf: Any) -> _Kind:
    if _compat.is_tracer(leaf):
        return _Kind.TRACER
    if _compat.is_ref(leaf) or _compat.is_nnx_object(leaf) or _compat.is_nnx_variable(leaf):
        return _Kind.BY_DESIGN
    if isinstance(leaf, jax.Array | np.generic | bool | int | float | complex | str | bytes | Enum):
        return _Kind.FIXED
    if type(leaf) is np.ndarray:
        return _Kind.BUFFER
    return _Kind.OTHER


@dataclass(frozen=True, slots=True, eq=False)
class _Print:
    """The fingerprint of a state.

    Attributes:
        structure: its tree structure, with the static fields.
        leaves: its leaves themselves, which keeps their identities from being given to others.
        copies: what numpy arrays held, by their index.
        pictures: of the leaves that JAX does not look into, by their index.
    """

    structure: Any
    leaves: list[Any]
    copies: dict[int, np.ndarray]
    pictures: dict[int, Node]


def _fingerprint(state: object) -> _Print | None:
    """Take the fingerprint; None for what is no state: an array alone, a module of nnx, values inside a trace."""
    leaves, structure = jax.tree_util.tree_flatten(state)
    copies: dict[int, np.ndarray] = {}
    pictures: dict[int, Node] = {}
    for i, leaf in enumerate(leaves):
        kind = _kind_of(leaf)
        if kind is _Kind.FIXED:
            continue
        if kind is _Kind.TRACER:
            return None  # to hold it would look like a leak, and it is gone after the trace
        if kind is _Kind.BUFFER and leaf.nbytes <= _MAX_BYTES:
            copies[i] = leaf.copy()
        elif kind is _Kind.OTHER:
            pictures[i] = take_picture(leaf, _POLICY)
            if leaf is state:
                pictures[i].value = leaves[i] = None  # or it would live as long as the watch
    return _Print(structure, leaves, copies, pictures)


@dataclass(slots=True, eq=False)
class _Watched:
    name: str
    get: Callable[[], object | None]
    fingerprint: _Print


class StateWatch:
    """Notices when a state that was registered is edited in place.

    >>> watch = StateWatch()
    >>> params = {"w": np.zeros(2)}
    >>> watch.register("params", params)
    >>> params["w"][1] = 1.0
    >>> [(p.path, p.before, p.after) for p in watch.changes()]
    [("params['w'][1]", '0.0', '1.0')]

    A state is any pytree, or an object that JAX does not look into. Seen are leaves, keys and fields that were
    replaced, added or removed, and edits of numpy buffers up to 16 MiB. Not seen: a leaf replaced by an equal
    one, the order of keys, an edit inside a static field. No edit is that a leaf was deleted because a function
    donates it, a cached property, and what modules and variables of nnx and mutable references do.

    A state is held weakly where that can be, as for every ``TrainState``; nobody can see any more what became of
    one that is garbage. Dicts and tuples cannot be held so, and local variables of a test end before it is looked. They are
    held, the last 64 of them, until `clear`; an older one is looked at for the last time when it makes room.
    """

    def __init__(self) -> None:
        self._weak: dict[int, _Watched] = {}
        self._held: OrderedDict[int, _Watched] = OrderedDict()
        self._found: list[Problem] = []

    def register(self, name: str, state: object, *, hold: bool = False) -> None:
        """Watch a state from now on. Does nothing for one that is watched, inside a trace, or for an nnx module.

        Args:
            name: what to call it in a path: ``state`` in ``state.params['w'][1]``.
            state: the state.
            hold: keep it, so that it is seen what became of it when nobody else has it any more.
        """
        number = id(state)
        if number in self._weak or number in self._held or _compat.tracing():
            return
        if state is None or _kind_of(state) in (_Kind.FIXED, _Kind.TRACER, _Kind.BY_DESIGN):
            return
        try:
            fingerprint = _fingerprint(state)
        except Exception:
            return  # JAX cannot flatten it: the test will hear of that from JAX
        if fingerprint is None:
            return
        watched: dict[int, _Watched] = self._weak

        def forget(_: object, watched: dict[int, _Watched] = watched) -> None:
            watched.pop(number, None)

        try:
            if not hold:
                self._weak[number] = _Watched(name, weakref.ref(state, forget), fingerprint)
                return
        except TypeError:
            pass
        self._held[number] = _Watched(name, lambda: state, fingerprint)
        if len(self._held) > _HELD:
            self._found += _changes(self._held.popitem(last=False)[1])

    def changes(self) -> tuple[Problem, ...]:
        """How every state that is watched differs from what it was, in the order in which they were registered."""
        found = list(self._found)
        for watched in (*self._held.values(), *self._weak.values()):
            found += _changes(watched)
        return tuple(dict.fromkeys(found))  # two states can share what was edited

    def clear(self) -> None:
        """Forget all states, at the end of a test."""
        self._weak.clear()
        self._held.clear()
        self._found.clear()

    def __len__(self) -> int:
        return len(self._weak) + len(self._held)


def _changes(watched: _Watched) -> Iterator[Problem]:
    state, before, name = watched.get(), watched.fingerprint, watched.name
    if state is None:
        return
    try:
        leaves, structure = jax.tree_util.tree_flatten(state)
        same_structure = bool(structure == before.structure)
    except Exception as error:
        text = str(error).partition("\n")[0]
        yield Problem("type", name, f"was changed so that JAX cannot flatten it any more: {text}")
        return
    if not same_structure:
        olds = [before.copies.get(i, leaf) for i, leaf in enumerate(before.leaves)]
        yield from _compared((before.structure, olds), (structure, leaves), name)
        return
    differ = [
        i
        for i, leaf in enumerate(leaves)
        if leaf is not before.leaves[i] or (i in before.copies and not _same_bytes(before.copies[i], leaf))
    ]
    pictures, differ = before.pictures, [i for i in differ if i not in before.pictures]
    if differ:
        pairs = {i: (before.copies.get(i, before.leaves[i]), leaves[i]) for i in differ}
        yield from _replaced(structure, leaves, pairs, name)
    for i, picture in pictures.items():
        if picture.value is None:
            # Only while they are compared, since it would keep the state alive.
            held = dataclasses.replace(picture, value=leaves[i])
            yield from _edited(held, leaves[i], name)
        else:
            yield from _edited(picture, leaves[i], name + _keypath(structure, i))


def _same_bytes(one: np.ndarray, other: np.ndarray) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


def _replaced(
    structure: Any, leaves: list[Any], pairs: dict[int, tuple[Any, Any]], name: str
) -> Iterator[Problem]:
    """How some leaves of one tree structure differ."""
    sides: list[tuple[Any, list[Any]]] = []
    for side in (0, 1):
        values = [pairs[i][side] if i in pairs else _SAME for i in range(len(leaves))]
        sides.append((structure, values))
    yield from _compared(sides[0], sides[1], name)


def _compared(before: tuple[Any, list[Any]], after: tuple[Any, list[Any]], name: str) -> Iterator[Problem]:
    """How two trees differ, each given as its structure and leaves: as `compare` says it."""
    try:
        one, other = (
            take_picture(jax.tree_util.tree_unflatten(structure, leaves))
            for structure, leaves in (before, after)
        )
    except Exception:
        # A class of the user's looks at what it is made of.
        yield Problem("value", name, "was changed")
        return
    for root in (one, other):
        for _, node in iter_nodes(root, name):
            if _compat.is_nnx_object(node.value) or _compat.is_nnx_variable(node.value):
                node.children.clear()
                node.content = None
    yield from _told(compare(one, other, name, identity=True).problems)


def _edited(before: Node, leaf: object, path: str) -> Iterator[Problem]:
    """How an object that JAX does not look into differs from its picture."""
    after = take_picture(leaf, _POLICY)
    problems = compare(before, after, path, identity=True).problems
    if not problems:
        return
    for picture in (before, after):
        for _, node in iter_nodes(picture, path):
            for label in [label for label in node.children if _is_cache(node.value, label)]:
                del node.children[label]
    yield from _told(compare(before, after, path, identity=True).problems)


def _is_cache(value: object, label: str) -> bool:
    """Whether an attribute is what a cached property remembers, which is no state."""
    return isinstance(getattr(type(value), label.removeprefix("."), None), functools.cached_property)


def _told(problems: tuple[Problem, ...]) -> Iterator[Problem]:
    """The problems in the words for a state: that equal objects are others does not matter here."""
    for problem in problems:
        if problem.kind == "deleted" and problem.before.endswith(", deleted"):
            yield dataclasses.replace(problem, kind="value", message="was replaced, after it was donated")
        elif problem.kind == "deleted" and problem.after.endswith(", deleted"):
            continue
        elif problem.kind != "identity":
            yield problem


def _keypath(structure: Any, index: int) -> str:
    """The path to a leaf, as text."""
    numbered = jax.tree_util.tree_unflatten(structure, list(range(structure.num_leaves)))
    paths, _ = jax.tree_util.tree_flatten_with_path(numbered)
    return jax.tree_util.keystr(paths[index][0])


def watch_creation(made: Callable[[str, object], None]) -> Callable[[], None] | None:
    """Call ``made(name, state)`` when a ``TrainState`` of Flax is created, here or in the code under test.

    Gives what undoes it, or None where the class is not loaded.
    """
    cls: Any = getattr(sys.modules.get("flax.training.train_state"), "TrainState", None)
    original = vars(cls).get("create") if cls is not None else None
    if original is None:
        return None

    create: Callable[..., Any] = original.__func__

    @functools.wraps(create)
    def told(cls: Any, **fields: Any) -> Any:
        state = create(cls, **fields)
        file, line = user_place()
        made(f"{type(state).__name__}({Path(file).name}:{line})", state)
        return state

    cls.create = classmethod(told)  # type: ignore[arg-type]

    def undo() -> None:
        cls.create = original

    return undo


def states_in(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The states that a value is, or that the elements of a container are, each with its path below ``name``.

    A state is a frozen dataclass that JAX knows as a pytree, as train states are.
    """
    if _is_state(value):
        yield name, value
    elif isinstance(value, Mapping):
        yield from ((f"{name}[{key!r}]", item) for key, item in value.items() if _is_state(item))
    elif type(value) in (list, tuple):
        yield from ((f"{name}[{index}]", item) for index, item in enumerate(value) if _is_state(item))


def _is_state(value: Any) -> bool:
    params = getattr(type(value), "__dataclass_params__", None)
    return params is not None and bool(params.frozen) and not jax.tree_util.all_leaves([value])
