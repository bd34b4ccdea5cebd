"""Which parts of a value can be edited in place; told by looking, nothing is edited to find out."""

from __future__ import annotations

import contextlib
import dataclasses
import random
import types
from array import array
from collections.abc import Iterator, MutableMapping, MutableSequence, MutableSet, Sized
from dataclasses import dataclass
from enum import Enum
from typing import Any

import jax
import numpy as np

from pytest_purestate._runtime import _compat
from pytest_purestate._runtime.arrays import is_array
from pytest_purestate._runtime.describe import (
    Policy,
    attributes,
    describe,
    is_closed,
    is_frozen,
    is_function,
)

__all__ = ["Editable", "Kind", "is_code", "iter_editable"]

_POLICY = Policy(max_bytes=0)  # no array is copied: what counts is whether it could be edited
_GENERATORS = (random.Random, np.random.Generator, np.random.RandomState, np.random.BitGenerator)
_VALUES = (bool, int, float, complex, str, bytes, tuple, frozenset, type(None), Enum)


class Kind(Enum):
    """What sort of thing can be edited; each has its own remedy."""

    DICT = "dict"
    LIST = "list"
    SET = "set"
    BYTES = "bytes"
    NUMPY = "numpy"
    NNX = "nnx"
    REF = "ref"
    RANDOM = "random"
    ITERATOR = "iterator"
    OBJECT = "object"


@dataclass(frozen=True, slots=True)
class Editable:
    """A place that can be edited.

    Attributes:
        path: where it is.
        kind: what sort of thing it is.
        message: what it is, ``is a plain dict``.
        text: what it holds, on one line.
    """

    path: str
    kind: Kind
    message: str
    text: str


def iter_editable(value: object, path: str) -> Iterator[Editable]:
    """Every part of a value that can be edited in place, each object once, under the first path that leads to it.

    Functions and classes are code, and so is what a field marked as no pytree node holds to be called, or as a
    gradient transformation: ``apply_fn`` and ``tx`` of a train state.
    """
    seen: dict[int, object] = {}
    stack: list[tuple[str, Any]] = [(path, value)]
    while stack:
        path, value = stack.pop()
        if id(value) in seen or is_code(value) or _compat.is_graphdef(value):
            continue
        seen[id(value)] = value
        children = _children(value)
        if (found := _editable(value)) is not None:
            kind, message = found
            yield Editable(path, kind, message, _text(value, len(children)))
        static = _static_fields(value)
        stack += [
            (path + label, child)
            for label, child in reversed(children)
            if not (label[1:] in static and (callable(child) or _is_transformation(child)))
        ]


def is_code(value: object) -> bool:
    """Whether a value is a function, a class or a module, and no data."""
    if isinstance(value, jax.tree_util.Partial):
        return False  # a pytree node: what it binds is data
    return is_function(value) or isinstance(value, type | types.ModuleType)


def _is_transformation(value: object) -> bool:
    """Whether this is what optax calls a gradient transformation: something with ``init`` and ``update``."""
    return callable(getattr(value, "init", None)) and callable(getattr(value, "update", None))


def _static_fields(value: object) -> frozenset[str]:
    """The fields of a dataclass that are no pytree nodes, as ``flax.struct`` and equinox mark them."""
    if not dataclasses.is_dataclass(value):
        return frozenset()
    return frozenset(
        field.name
        for field in dataclasses.fields(value)
        if field.metadata.get("pytree_node", True) is False or field.metadata.get("static", False)
    )


def _children(value: Any) -> list[tuple[str, object]]:
    if isinstance(value, jax.tree_util.Partial):
        # Without the dict of its keywords, which is nobody's to edit.
        bound = [(f".args[{i}]", item) for i, item in enumerate(value.args)]
        return bound + [(f".keywords[{name!r}]", item) for name, item in value.keywords.items()]
    if _compat.nnx_variable_class(value) is not None:
        # Its metadata are Flax's own; whoever edits them edits the variable.
        return [("" if _compat.is_nnx_variable(value) else ".value", _compat.variable_value(value))]
    return list(describe(value, _POLICY).children)


def _editable(value: Any) -> tuple[Kind, str] | None:
    """What sort of thing this is, and the words for it; None where it cannot be edited."""
    name = type(value).__name__
    if is_array(value):
        return _numpy(value) if isinstance(value, np.ndarray) else None
    if _compat.is_ref(value):
        return Kind.REF, "is an array reference, which is there to be written to"
    if _compat.nnx_variable_class(value) is not None:
        return Kind.NNX, "is a variable of nnx, whose value can be set"
    if _compat.is_nnx_object(value):
        return Kind.NNX, "is an object of nnx, which holds its state inside"
    if isinstance(value, MutableMapping) and _compat.is_flax_mapping(value):
        return Kind.NNX, f"is a {name} of nnx, whose entries can be set"
    if isinstance(value, MutableMapping):
        return Kind.DICT, "is a plain dict" if type(
            value
        ) is dict else f"is a {name}, whose entries can be set"
    if isinstance(value, bytearray | array) or (isinstance(value, memoryview) and not value.readonly):
        return Kind.BYTES, f"is a {name}, whose bytes can be set"
    if isinstance(value, MutableSequence):
        return Kind.LIST, "is a plain list" if type(value) is list else f"is a {name}, whose items can be set"
    if isinstance(value, MutableSet):
        return Kind.SET, "is a plain set" if type(
            value
        ) is set else f"is a {name}, whose items can be changed"
    if isinstance(value, _GENERATORS):
        return Kind.RANDOM, "is a generator of random numbers, which every draw changes"
    if isinstance(value, Iterator):
        return Kind.ITERATOR, f"is a {name}, which changes when it is read"
    if not isinstance(value, _VALUES) and not is_closed(value) and _settable(value):
        if dataclasses.is_dataclass(value):
            return Kind.OBJECT, f"is of the dataclass {name}, which is not frozen"
        return Kind.OBJECT, f"is an object of {name}, whose attributes can be set"
    return None


def _numpy(value: np.ndarray) -> tuple[Kind, str] | None:
    if value.flags.writeable:
        return Kind.NUMPY, "is a numpy array that can be written to"
    base: Any = value.base
    while isinstance(base, np.ndarray):
        if base.flags.writeable:
            return Kind.NUMPY, "is a read-only view of a numpy array that can be written to"
        base = base.base
    return None


def _settable(value: object) -> bool:
    """Whether an attribute can be set; what decides that may be code, which is asked about an empty twin."""
    held = attributes(value)
    if held is None or is_frozen(value) or _compat.is_linen_module(value) or _compat.is_flax_mapping(value):
        return False
    kind = type(value)
    if kind.__setattr__ is object.__setattr__:
        return True
    try:
        twin = object.__new__(kind)
    except TypeError:
        return True  # built on a type that has its own way to be made
    for name, item in held.items():
        with contextlib.suppress(AttributeError):
            object.__setattr__(twin, name, item)
    return any(_takes(twin, name, item) for name, item in (held or {"attribute": None}).items())


def _takes(twin: object, name: str, item: object) -> bool:
    try:
        setattr(twin, name, item)
    except Exception:
        return False  # each library has its own error for that
    return True


def _text(value: Any, children: int) -> str:
    """What it holds, on one line; empty where nothing can be said."""
    if _compat.nnx_variable_class(value) is not None:
        value = _compat.variable_value(value)
    if is_array(value):
        return f"{value.dtype}[{','.join(map(str, value.shape))}]"
    if isinstance(value, Sized):
        return f"{len(value)} {'entry' if len(value) == 1 else 'entries'}"
    return f"{children} {'attribute' if children == 1 else 'attributes'}" if children else ""
