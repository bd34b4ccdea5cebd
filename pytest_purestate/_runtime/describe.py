"""What one value consists of: the table of kinds that a picture of the world is made from."""

from __future__ import annotations

import argparse
import collections
import dataclasses
import enum
import functools
import hashlib
import itertools
import os
import random
import sys
import types
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from pytest_purestate._runtime import _compat
from pytest_purestate._runtime.arrays import is_array, read_array

__all__ = [
    "Opaque",
    "Policy",
    "Shape",
    "attributes",
    "describe",
    "digest",
    "is_closed",
    "is_frozen",
    "is_function",
    "is_library",
    "registered_parts",
    "type_name",
]

Children = Iterable[tuple[str, object]]

_SCALARS = frozenset({bool, int, float, complex, str, bytes, type(None), type(...), range, slice})
_LIBRARIES = frozenset({"jax", "jaxlib", "flax", "optax", "chex", "numpy"})
"""Besides the standard library, packages whose functions are no suspects for hidden state."""
_CLOSED = frozenset({"jax", "jaxlib", "numpy"})
"""Besides the standard library, packages whose objects keep caches and handles in their attributes."""
_OPEN = (argparse.Namespace, collections.UserDict, collections.UserList, collections.ChainMap)
"""The exceptions: their attributes are the user's."""
_WRAPPERS = frozenset({"jax", "jaxlib", "functools"})
"""Where callable objects come from that stand for a function: ``jit``, ``custom_vjp``, ``lru_cache``."""
_FUNCTIONS = (types.FunctionType, types.MethodType, types.BuiltinFunctionType, types.MethodWrapperType)


@dataclass(frozen=True, slots=True)
class Policy:
    """How far a picture looks.

    Attributes:
        functions: into closures, defaults, bound objects and attributes of the user's functions.
        max_bytes: how large an array is copied; the object stands for its value above that. None: every
            array.
    """

    functions: bool = False
    max_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Opaque:
    """A value that is not looked into: a function, a class, a device, a lock, a date.

    Attributes:
        token: what it is called, so that values of two processes can be compared; its `repr` where values of
            its class are compared with ``==``.
        by_value: whether they are.
    """

    token: str
    by_value: bool = False


@dataclass(frozen=True, slots=True)
class Shape:
    """One value, described: see the attributes of the same names in `graph.Node`."""

    content: object = None
    mutable: bool = False
    ordered: bool = False
    children: Children = ()


def describe(value: Any, policy: Policy) -> Shape:
    """Say what a value holds itself, and what it leads to.

    The order of the cases matters: a NamedTuple is a tuple, a numpy float a Python float, an nnx module a
    dataclass of sorts.
    """
    kind = type(value)
    if kind in _SCALARS or isinstance(value, enum.Enum):
        return Shape(value)
    if is_array(value):
        return _array(value, policy)
    if _compat.is_ref(value):
        return Shape(read_array(value[...]), mutable=True)
    if _compat.is_nnx_variable(value):
        metadata = _compat.variable_metadata(value).items()
        held = [("", _compat.variable_value(value)), *((f".{name}", item) for name, item in metadata)]
        return Shape(mutable=True, children=held)
    if isinstance(value, dict | types.MappingProxyType) or _compat.is_flax_mapping(value):
        pairs = dict.items(value) if isinstance(value, dict) else ((key, value[key]) for key in value)
        items = [(f"[{key!r}]", item) for key, item in pairs]
        return Shape(mutable=isinstance(value, dict), ordered=True, children=items + _extra_attributes(value))
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        return Shape(children=[(f".{name}", item) for name, item in zip(kind._fields, value, strict=False)])
    if isinstance(value, list | tuple | collections.deque):
        held = [(f"[{i}]", item) for i, item in enumerate(value)]
        return Shape(mutable=not isinstance(value, tuple), children=held + _extra_attributes(value))
    if isinstance(value, set | frozenset):
        return Shape(frozenset(value), mutable=isinstance(value, set))
    if isinstance(value, bytearray | array | memoryview):
        return Shape(bytes(value), mutable=True)
    if isinstance(value, functools.partial):
        return Shape(children=[(f".{name}", getattr(value, name)) for name in ("func", "args", "keywords")])
    if (state := _machinery(value)) is not None:
        return state
    if is_function(value):
        return _function(value, policy)
    if isinstance(value, int | float | complex | str | bytes):
        return Shape(value, children=_extra_attributes(value))
    return _object(value)


def is_function(value: object) -> bool:
    """Whether the value is a function, a method, or a function in a wrapper such as `jax.jit`."""
    if isinstance(value, _FUNCTIONS):
        return True
    return callable(value) and not isinstance(value, type) and _root(type(value)) in _WRAPPERS


def _array(value: Any, policy: Policy) -> Shape:
    if isinstance(value, np.ndarray) and value.dtype.hasobject:
        items = [(f"[{', '.join(map(str, i))}]", value[i]) for i in np.ndindex(value.shape)]
        return Shape(read_array(np.empty(value.shape, "V0")), mutable=True, children=items)
    # Asking for nbytes of a deleted array or a key array raises in some versions; size never does.
    if policy.max_bytes is not None and value.size * 8 > policy.max_bytes:
        return Shape(Opaque(f"{value.dtype}{list(value.shape)}"), mutable=True)
    masked = isinstance(value, np.ma.MaskedArray)
    # As bytes: the mask itself is a new view each time, and would look replaced.
    children = [(".mask", np.ma.getmaskarray(value).tobytes())] if masked else ()
    return Shape(read_array(value), mutable=not isinstance(value, np.generic), children=children)


def _machinery(value: Any) -> Shape | None:
    """Generators of random numbers and iterators: hidden state without attributes."""
    if isinstance(value, random.Random):
        return Shape(digest(value.getstate()), mutable=True)
    if isinstance(value, np.random.Generator | np.random.RandomState):
        source = value.bit_generator if isinstance(value, np.random.Generator) else value
        state = source.state if isinstance(source, np.random.BitGenerator) else source.get_state(legacy=False)
        return Shape(digest(state), mutable=True)
    if isinstance(value, np.random.BitGenerator):
        return Shape(digest(value.state), mutable=True)
    if isinstance(value, itertools.count | itertools.repeat):
        return Shape(repr(value), mutable=True)
    if isinstance(value, types.GeneratorType):
        frame = value.gi_frame
        place = "finished" if frame is None else f"suspended at line {frame.f_lineno}"
        names = {} if frame is None else dict(frame.f_locals)
        return Shape(
            place, mutable=True, children=[(f".gi_frame.f_locals[{k!r}]", v) for k, v in names.items()]
        )
    if (
        isinstance(value, Iterator)
        and type(value).__module__ == "builtins"
        and hasattr(value, "__length_hint__")
    ):
        return Shape(f"{value.__length_hint__()} items left", mutable=True)
    return None


def _function(value: Any, policy: Policy) -> Shape:
    token = f"{getattr(value, '__module__', None)}.{getattr(value, '__qualname__', type(value).__qualname__)}"
    if not policy.functions or _is_of(str(getattr(value, "__module__", None)).partition(".")[0], _LIBRARIES):
        return Shape(Opaque(token))
    if isinstance(value, types.MethodType):
        return Shape(children=[(".__self__", value.__self__), (".__func__", value.__func__)])
    if not isinstance(value, types.FunctionType):
        wrapped = getattr(value, "__wrapped__", None)
        return Shape(Opaque(token), children=[("", wrapped)] if wrapped is not None else ())
    held: list[tuple[str, object]] = []
    for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True):
        try:
            held.append((f".<closure>.{name}", cell.cell_contents))
        except ValueError:
            continue  # not assigned yet
    held += [(f".__defaults__[{i}]", item) for i, item in enumerate(value.__defaults__ or ())]
    held += [(f".__kwdefaults__[{name!r}]", item) for name, item in (value.__kwdefaults__ or {}).items()]
    held += [(f".{name}", item) for name, item in vars(value).items()]
    return Shape(Opaque(token), children=held)


def _object(value: Any) -> Shape:
    if is_closed(value):
        parts = registered_parts(value)
        return Shape(mutable=True, children=parts) if parts else _closed(value)
    if _compat.is_linen_module(value):
        # The fields are the model. The rest is what Flax remembers of it, and changes when it is looked at.
        fields = [f.name for f in dataclasses.fields(value) if f.name not in ("parent", "name")]
        return Shape(children=[(f".{name}", getattr(value, name, None)) for name in fields])
    held = attributes(value)
    if held is None:
        return _closed(value)
    items = [(f".{name}", item) for name, item in held.items() if not name.startswith(_compat.NNX_INTERNALS)]
    return Shape(mutable=not is_frozen(value), children=items)


def is_closed(value: object) -> bool:
    """Whether the value is a class, a module, or an object of a library that is not looked into."""
    kind = type(value)
    return isinstance(value, type | types.ModuleType) or (
        _is_of(_root(kind), _CLOSED) and not isinstance(value, _OPEN)
    )


def is_frozen(value: object) -> bool:
    """Whether the value is an instance of a frozen dataclass, as those of ``flax.struct`` are."""
    parameters = getattr(type(value), "__dataclass_params__", None)
    return parameters is not None and bool(parameters.frozen)


def _closed(value: Any) -> Shape:
    if isinstance(value, type | types.ModuleType):
        return Shape(
            Opaque(f"{value.__module__}.{value.__qualname__}" if isinstance(value, type) else value.__name__)
        )
    by_value = "__eq__" in {name for base in type(value).__mro__[:-1] for name in vars(base)}
    return Shape(Opaque(repr(value) if by_value else type_name(value), by_value))


def registered_parts(value: object) -> list[tuple[str, Any]]:
    """What JAX sees in an object of its own that is a pytree node, such as a sparse array."""
    if isinstance(value, type) or _root(type(value)) not in {"jax", "jaxlib"}:
        return []
    parts = jax.tree_util.tree_flatten_with_path(value, is_leaf=lambda part: part is not value)[0]
    # Many classes do not name their children; where one is held in an attribute, that is its name.
    names = {id(item): f".{name}" for name, item in (attributes(value) or {}).items()}
    return [(names.get(id(part), jax.tree_util.keystr(path)), part) for path, part in parts if path]


def attributes(value: object) -> dict[str, Any] | None:
    """Attributes in the instance and in slots, also private ones; None for a value that cannot have any."""
    found: dict[str, Any] = {}
    slotted = False
    for base in reversed(type(value).__mro__):
        # Not the names in __slots__: those of private slots are mangled, the descriptors are where they are.
        for name, slot in vars(base).items():
            if not isinstance(slot, types.MemberDescriptorType) or name == "__dict__":
                continue  # a SimpleNamespace has its storage in a slot of this name
            slotted = True
            try:
                found[name] = slot.__get__(value)
            except AttributeError:
                continue  # never set
    storage = getattr(value, "__dict__", None)
    if isinstance(storage, dict):
        return found | storage
    return found if slotted else None


def _extra_attributes(value: object) -> list[tuple[str, object]]:
    """Attributes that a subclass of a builtin container adds."""
    storage = getattr(value, "__dict__", None)
    if not isinstance(storage, dict) or _compat.is_flax_mapping(value):
        return []
    return [(f".{name}", item) for name, item in storage.items()]


def digest(state: object) -> str:
    """A short text that stands for the state of a generator of random numbers."""

    def plain(part: object) -> object:
        if isinstance(part, dict):
            return [(key, plain(item)) for key, item in part.items()]
        return part.tobytes() if isinstance(part, np.ndarray) else part

    return f"state {hashlib.sha256(repr(plain(state)).encode()).hexdigest()[:12]}"


def is_library(package: str) -> bool:
    """Whether a package is of the standard library, or one of those on which users build: JAX, Flax, numpy."""
    return _is_of(package, _LIBRARIES)


def _is_of(package: str, packages: frozenset[str]) -> bool:
    """Whether a package is one of these, or of the standard library."""
    return package in packages or _is_standard(package)


@functools.cache
def _is_standard(package: str) -> bool:
    # By place, not by name alone: a project may have a `trace.py` or a `code.py` of its own. And a class that is
    # made at run time, by `make_dataclass` before Python 3.12, says that it is from `types`.
    if package not in sys.stdlib_module_names or package == "types":
        return False
    file = getattr(sys.modules.get(package), "__file__", None)
    return file is None or Path(file).is_relative_to(Path(os.__file__).parent)


def _root(kind: type) -> str:
    return str(kind.__module__).partition(".")[0]


def type_name(value: object) -> str:
    """The qualified name of a value's class, as users know it: arrays of JAX are `jax.Array`."""
    if isinstance(value, jax.Array):
        return "jax.Array"
    kind = type(value)
    return f"{kind.__module__}.{kind.__qualname__}"
