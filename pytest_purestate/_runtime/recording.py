"""Which call of an assertion a test has come to, with which inputs; and the inputs of another run in their place.

A test of pytest is repeated in another process (`purestate replay`, ``across="process"``) without sending code or tree
structures there: the test runs again, and when it comes to the same call, leaves that were written down take the
places of those that it has there.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from pytest_purestate._runtime.frames import is_ours
from pytest_purestate._runtime.graph import Node
from pytest_purestate._runtime.leaves import Leaf, pictured, put_back, taken

__all__ = [
    "Call",
    "Held",
    "Replay",
    "failing",
    "forget",
    "hold",
    "latest",
    "put_held",
    "received",
    "replaying",
    "run_again",
    "start_replay",
    "watched",
]

_TEST = "PYTEST_CURRENT_TEST"
_MAX_BYTES = 1 << 24
_ASSERTIONS = Path(__file__).with_name("assertions")


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """A call of an assertion in a test.

    Attributes:
        test: the test and its phase.
        assertion: its name.
        function: that of the function under test; empty for a block of code.
        number: which call of an assertion it is in this test, from 1.
    values: what it was given, by name, as it was at first: values, or pictures of them.
    """

    test: str
    assertion: str
    function: str
    number: int
    values: Mapping[str, Any]

    def leaves(self) -> list[Leaf]:
        """All leaves, read now."""
        return [leaf for name, value in self.values.items() for leaf in _read(name, value)]


@dataclass(slots=True, eq=False)
class Replay:
    """What another run had at one call, or at the start of a test (number 0).

    Attributes:
        assertion: the name of the assertion.
        number: which call in the test; None: every one of that assertion, for a test that is run with many examples.
        leaves: by path.
        arrived: called when the call is there, with the function and the arguments after they were replaced.
        reached: whether the test came to the call.
        strange: places that the other run did not have, or had otherwise.
    """

    assertion: str
    number: int | None
    leaves: Mapping[str, Leaf]
    arrived: Callable[[Any, tuple[Any, ...]], None] | None = None
    reached: bool = False
    strange: tuple[str, ...] = ()


_latest: Call | None = None
_calls: dict[str, Call] = {}  # the last one of each assertion in this test
_count = 0
_replay: Replay | None = None


def start_replay(replay: Replay) -> None:
    """In this process, put the leaves of another run in the place of a test's own."""
    global _replay
    _replay = replay


def replaying() -> Replay | None:
    """What is put in place, if this process repeats a test."""
    return _replay


def latest() -> Call | None:
    """The last call of an assertion in the test that runs."""
    return _latest if _latest is not None and _latest.test == os.environ.get(_TEST) else None


def failing(error: BaseException) -> Call | None:
    """The call of an assertion that raised an error: each assertion has a file of its own, which the traceback names."""
    frames = (frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__))
    raised = (Path(file).stem for file in frames if Path(file).parent == _ASSERTIONS)
    call = _calls.get(f"assert_{next(raised, '')}")
    return call if call is not None and call.test == os.environ.get(_TEST) else None


def run_again() -> Callable[[], bytes] | None:
    """What runs the test under way again in a fresh process, up to the call that it has come to, and gives what
    `Replay.arrived` wrote there; None outside of pytest. Raises RuntimeError where the process does not come to the call.
    """
    call = latest()
    plugin = sys.modules.get("pytest_purestate.plugin")
    if call is None or plugin is None:
        return None
    prepared: Callable[[], bytes] | None = plugin.run_again(call)
    return prepared


def forget() -> None:
    """A test has ended."""
    global _latest, _count
    _latest, _count = None, 0
    _calls.clear()


def received(assertion: str, function: Any, name: str, values: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """An assertion was called by a test: ``take_inputs`` reports it. Gives other arguments, where the test is repeated."""
    if _TEST not in os.environ or is_ours(sys._getframe(3)):
        return None
    _note(assertion, name, values)
    if not _is_it(assertion):
        return None
    assert _replay is not None
    args = tuple(_replaced(_replay, each, value) for each, value in values.items())
    if _replay.arrived is not None:
        _replay.arrived(function, args)
    return args


def watched(assertion: str, values: Mapping[str, Any]) -> None:
    """An assertion that is given no function was called by a test: what it was given is noted, and cannot be replaced.

    Args:
        assertion: its name.
        values: by name; pictures of them where the test may edit them meanwhile.
    """
    if _TEST in os.environ and not is_ours(sys._getframe(2)):
        _note(assertion, "", values)
        if _is_it(assertion) and _replay is not None:
            here = {leaf.path: leaf for name, value in values.items() for leaf in _read(name, value)}
            other = [path for path, leaf in here.items() if not _same(leaf, _replay.leaves.get(path))]
            _replay.strange += tuple(other)


def _read(name: str, value: Any) -> list[Leaf]:
    return pictured(name, value) if isinstance(value, Node) else taken(name, value)


def _note(assertion: str, name: str, values: Mapping[str, Any]) -> None:
    global _latest, _count
    test = os.environ[_TEST]
    if _latest is None or _latest.test != test:
        _count = 0
        _calls.clear()
    _count += 1
    _latest = _calls[assertion] = Call(test, assertion, name, _count, values)


def _is_it(assertion: str) -> bool:
    if _replay is None or _replay.assertion != assertion or _replay.number not in (None, _count):
        return False
    _replay.reached = True
    return True


def _replaced(replay: Replay, name: str, value: Any) -> Any:
    new, strange = put_back(name, value, replay.leaves)
    replay.strange += tuple(strange)
    return new


def _same(one: Leaf, other: Leaf | None) -> bool:
    if other is None or (one.kind, one.dtype, one.weak_type) != (other.kind, other.dtype, other.weak_type):
        return False
    if hasattr(one.value, "tobytes"):
        return bool(one.value.shape == other.value.shape and one.value.tobytes() == other.value.tobytes())
    return bool(repr(one.value) == repr(other.value))


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """The arrays in something that a test was given, as they were then.

    Attributes:
        name: what it is called.
        structure: of the pytree.
        leaves: the arrays in it; those of JAX themselves, copies of those of numpy; None for what is no array.
    """

    name: str
    structure: Any
    leaves: tuple[Any, ...]

    def read(self) -> list[Leaf]:
        """All leaves that are still there."""
        labels = _labels(self.name, self.structure)
        return [
            leaf
            for label, one in zip(labels, self.leaves, strict=True)
            if one is not None
            for leaf in taken(label, one)
        ]


def hold(name: str, value: Any) -> Held | None:
    """Note the arrays in a value; None where there is none, as in most of what fixtures give."""
    try:
        leaves, structure = jax.tree_util.tree_flatten(value)
    except Exception:
        return None
    kept = tuple(map(_kept, leaves))
    return Held(name, structure, kept) if any(leaf is not None for leaf in kept) else None


def _kept(leaf: Any) -> Any:
    if isinstance(leaf, np.ndarray):
        return leaf.copy() if leaf.nbytes <= _MAX_BYTES and not leaf.dtype.hasobject else None
    return leaf if isinstance(leaf, jax.Array) and not isinstance(leaf, jax.core.Tracer) else None


def put_held(name: str, value: Any, leaves: Mapping[str, Leaf]) -> tuple[Any, tuple[str, ...]]:
    """A value with other arrays, as `put_back`; the same value where it has none."""
    held = hold(name, value)
    if held is None:
        return value, ()
    new, strange = [], []
    for label, leaf in zip(_labels(name, held.structure), jax.tree_util.tree_leaves(value), strict=True):
        is_array = isinstance(leaf, jax.Array | np.ndarray)
        made, other = put_back(label, leaf, leaves) if is_array else (leaf, [])
        new.append(made)
        strange += other
    return jax.tree_util.tree_unflatten(held.structure, new), tuple(strange)


def _labels(name: str, structure: Any) -> list[str]:
    numbered = jax.tree_util.tree_unflatten(structure, list(range(structure.num_leaves)))
    paths, _ = jax.tree_util.tree_flatten_with_path(numbered)
    return [name + jax.tree_util.keystr(path) for path, _ in paths]
