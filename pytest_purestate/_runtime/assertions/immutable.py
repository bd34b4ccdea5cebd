"""Asserts that a value cannot be edited in place."""

from __future__ import annotations

import types
from collections.abc import Iterable

from pytest_purestate._runtime.editable import Editable, Kind, is_code, iter_editable
from pytest_purestate._runtime.failures import Problem, PurityError
from pytest_purestate._runtime.hidden import name_of
from pytest_purestate._runtime.naming import name_trees
from pytest_purestate._runtime.recording import watched

__all__ = ["assert_immutable"]

_REMEDIES = {
    Kind.DICT: (
        "`flax.core.freeze({place})` gives a FrozenDict, which is another treedef: freeze before `tx.init`, and gradients "
        "will come frozen as well (`jax.tree.map` over a dict and a FrozenDict raises)"
    ),
    Kind.LIST: "`tuple({place})` in place of a list",
    Kind.SET: "`frozenset({place})` in place of a set",
    Kind.BYTES: "`bytes({place})` in place of a buffer",
    Kind.NUMPY: (
        "`jnp.asarray({place})` in place of a numpy array, or a copy of its own with `{place}.flags.writeable = False`"
    ),
    Kind.NNX: (
        "nnx objects and states are made to be edited: carry `flax.core.freeze(nnx.to_pure_dict(nnx.state(model)))` and the "
        "`nnx.GraphDef`"
    ),
    Kind.REF: "`jax.freeze({place})` or its value `{place}[...]` in place of an array reference",
    Kind.RANDOM: "a JAX key in place of a generator",
    Kind.ITERATOR: "a tuple of its items in place of an iterator",
    Kind.OBJECT: "a class declared `@flax.struct.dataclass`, or `@dataclasses.dataclass(frozen=True)`",
}


def assert_immutable(tree: object) -> None:
    """Assert that nothing in a value can be edited in place: no container, no buffer, no object.

    >>> from flax.core import freeze
    >>> assert_immutable(freeze({"layer": {"bias": (1.0, 2.0)}}))

    A frozen dataclass such as a ``TrainState`` only looks frozen as long as there are dicts in it:
    ``state.params["w"] = ...`` edits it for everybody who holds it. This finds every such place. What counts as editable:
    dicts and other mutable mappings, lists, deques, sets, buffers, numpy arrays that are writeable (or read-only views of such
    ones), array references, nnx objects and variables, generators, iterators, and objects whose attributes can be
    set, such as dataclasses that are not frozen. Not editable: arrays of JAX, tuples, NamedTuples, FrozenDict, frozen
    dataclasses, equinox and linen modules; they are looked into.

    Functions are code and are not looked into. In a field that is no pytree node the same goes for what is called
    (``apply_fn``) and for gradient transformations (``tx``); other things there count, since a jitted function does not
    notice when they are edited.

    Whether an object of a class with a ``__setattr__`` of its own can be edited is asked of an empty twin; the value itself
    is only read. It is immutable by intent: ``object.__setattr__`` and ``array.flags.writeable = True`` get past it.

    Ordinary Flax params are dicts, and fail; ``pytest --purestate-freeze`` makes every train state of a test run pass.

    Cost: looks at each object once; no array is read, copied or compiled for.

    Args:
        tree: params, a train state, a module, a configuration, anything.

    Raises:
        PurityError: something can be edited. The text lists every place and what it is, and says what to put there.
        TypeError: it is a function, a class or a module of Python, which is code.
    """
    __tracebackhide__ = True
    if is_code(tree):
        name = tree.__name__ if isinstance(tree, types.ModuleType) else name_of(tree)
        raise TypeError(f"assert_immutable needs data, and `{name}` is code")
    ((name, _),) = name_trees((tree,)).items()
    watched("assert_immutable", {name: tree})
    if found := tuple(iter_editable(tree, name)):
        problems = tuple(Problem("editable", one.path, one.message, one.text) for one in found)
        raise PurityError(_headline(name, found), problems, ("holds", ""), help=_help(found))


def _headline(name: str, found: tuple[Editable, ...]) -> str:
    if len(found) == 1 and found[0].path == name:
        return f"`{name}` can be edited in place"
    counts = {kind: sum(one.kind is kind for one in found) for kind in Kind}
    parts = ", ".join(_counted(count, *_NAMES[kind]) for kind, count in counts.items() if count)
    return f"`{name}` can be edited in place: {parts}"


_NAMES = {
    Kind.DICT: ("dict", "dicts"),
    Kind.LIST: ("list", "lists"),
    Kind.SET: ("set", "sets"),
    Kind.BYTES: ("buffer", "buffers"),
    Kind.NUMPY: ("numpy array", "numpy arrays"),
    Kind.NNX: ("object of nnx", "objects of nnx"),
    Kind.REF: ("array reference", "array references"),
    Kind.RANDOM: ("generator", "generators"),
    Kind.ITERATOR: ("iterator", "iterators"),
    Kind.OBJECT: ("object", "objects"),
}


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _help(found: Iterable[Editable]) -> str:
    """One remedy for each sort of thing, with its first place as the example."""
    examples: dict[Kind, Editable] = {}
    for one in found:
        examples.setdefault(one.kind, one)
    return "; ".join(_REMEDIES[kind].format(place=one.path) for kind, one in examples.items())
