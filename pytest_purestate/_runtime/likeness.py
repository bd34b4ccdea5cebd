"""When two values are alike: a hashable picture of what they are made of, so that work for one can serve the other.

Equality and hashes of their own would not do. `1 == 1.0 == True`; an object that hashes by identity can change in place; and
a function says nothing about the globals that it reads, which a test may patch. So this looks at contents: fields and attributes,
the code of functions with their closures, defaults and the globals that they name, the methods of classes. Installed code is
taken to stay as it is.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import sys
import sysconfig
import types
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any

import jax
import numpy as np

from pytest_purestate._runtime import _compat
from pytest_purestate._runtime.describe import attributes, is_closed

__all__ = ["Likeness", "likeness"]

_PLAIN = frozenset({bool, int, str, bytes, type(None), type(...), types.CodeType, range})
_LARGEST = 1 << 16
"""Bytes of an array that is told apart by its content."""
_MOST = 20_000
"""Values that are looked at."""
_INSTALLED = tuple(
    f"{path}/" for path in {sysconfig.get_paths()[name] for name in ("purelib", "platlib", "stdlib")}
)
_UNREAD = frozenset(
    (
        "__annotations__",
        "__dict__",
        "__doc__",
        "__firstlineno__",
        "__module__",
        "__static_attributes__",
        "__weakref__",
    )
)


_written: set[Hashable] = set()
"""Variables that code of a value writes when it runs, such as a counter of its calls: they say nothing about it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Likeness:
    """What a value is made of at one moment.

    It keeps this alive, as far as it counts by identity.

    Attributes:
        key: equal for values that are alike.
        variables: the globals, closure cells and class attributes among it, and what they held.
    """

    key: Hashable
    variables: Mapping[tuple[Hashable, int], Hashable] = dataclasses.field(compare=False)

    def learn(self, later: Likeness) -> bool:
        """Take what changed since as written by the code itself, which ran in between; whether there was any."""
        new = {
            name
            for (name, number), held in later.variables.items()
            if self.variables.get((name, number), held) != held
        }
        _written.update(new)
        return bool(new)


def likeness(*values: object) -> Likeness | None:
    """What these values are made of; None where nobody can tell.

    >>> likeness({"a": 1}) == likeness({"a": 1}) != likeness({"a": 1.0})
    True
    """
    reader = _Reader()
    try:
        key = reader.of(values), tuple(reader.variables.items())
        hash(key)
    except (_Unlike, TypeError, ValueError, RecursionError):
        return None
    return Likeness(key, reader.variables)


class _Unlike(Exception):  # noqa: N818 - never leaves this file
    """Something that cannot be told from another of its kind."""


class _Same:
    """Stands for one object, and no other."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)


class _Reader:
    def __init__(self) -> None:
        self._read: dict[
            int, tuple[object, Hashable]
        ] = {}  # with the object: an id counts as long as it lives
        self._open: list[int] = []
        self.variables: dict[tuple[Hashable, int], Hashable] = {}
        self._cells: dict[Hashable, int] = {}

    def of(self, value: Any) -> Hashable:
        kind = type(value)
        if kind in _PLAIN:
            return kind, value
        if isinstance(value, float | complex):
            return kind, repr(value)
        if isinstance(value, enum.Enum):
            return _Same(value)
        if (known := self._read.get(id(value))) is not None:
            return known[1]
        if id(value) in self._open:
            return "around", len(self._open) - self._open.index(id(value))
        if len(self._read) >= _MOST:
            raise _Unlike
        self._open.append(id(value))
        try:
            found = self._composed(value, kind)
        finally:
            self._open.pop()
        self._read[id(value)] = value, found
        return found

    def _variable(self, name: Hashable, value: Any, read: Callable[[Any], Hashable]) -> Hashable:
        """A variable stands for itself where it is named; what it holds is written down once, unless code writes it."""
        place = name, 0
        if name not in _written and place not in self.variables:
            self.variables[place] = "being read"
            self.variables[place] = read(value)
        return place

    def _cell(self, name: Hashable, value: Any) -> Hashable:
        """The same, of a closure: many functions of one code have one each."""
        number = self._cells.get(name, 0)
        self._cells[name] = number + 1
        if name not in _written:
            self.variables[name, number] = self.of(value)
        return name, number

    def _composed(self, value: Any, kind: type) -> Hashable:
        if isinstance(value, tuple | list):
            return _Same(kind), tuple(self.of(item) for item in value)
        if isinstance(value, Mapping):
            return _Same(kind), tuple((self.of(name), self.of(item)) for name, item in value.items())
        if isinstance(value, set | frozenset):
            return kind, frozenset(self.of(item) for item in value)
        if isinstance(value, jax.Array | np.ndarray | np.generic):
            return self._array(value)
        if isinstance(value, functools.partial):
            return "partial", self.of(value.func), self.of(value.args), self.of(value.keywords)
        if isinstance(value, types.MethodType):
            return "method", self.of(value.__self__), self.of(value.__func__)
        if isinstance(value, types.FunctionType):
            return self._function(value)
        if isinstance(value, type):
            return _Same(value), tuple(self._class(value))
        if isinstance(value, types.ModuleType | types.BuiltinFunctionType):
            return _Same(value)
        if (
            wrapped := getattr(value, "__wrapped__", None)
        ) is not None:  # compiled by jit, say, with options of its own
            return _Same(value), self.of(wrapped)
        if is_closed(value):
            return self._closed(value, kind)
        return self._object(value, kind)

    def _closed(self, value: Any, kind: type) -> Hashable:
        """An object of JAX, numpy or the standard library: by its own equality; a device or a ufunc by identity."""
        if any("__eq__" in vars(base) for base in kind.__mro__[:-1]):
            return kind, value
        if callable(value) or kind.__module__.partition(".")[0] in ("jax", "jaxlib"):
            return _Same(value)
        raise _Unlike  # a generator of random numbers, an iterator: it moves on

    def _array(self, value: Any) -> Hashable:
        if (
            _compat.is_tracer(value)
            or _compat.is_key_aval(value)
            or value.nbytes > _LARGEST
            or value.dtype.hasobject
        ):
            raise _Unlike
        weak = bool(getattr(value, "weak_type", False))
        with jax.transfer_guard("allow"):
            return type(value).__name__, value.dtype, value.shape, weak, np.asarray(value).tobytes()

    def _object(self, value: Any, kind: type) -> Hashable:
        if _compat.is_linen_module(value):
            if value.scope is not None:
                raise _Unlike  # bound to variables
            fields = {field.name for field in dataclasses.fields(value)} - {"parent"}
            held = {
                name: item
                for name, item in vars(value).items()
                if name in fields or not (name.startswith("_") or name in ("parent", "scope"))
            }
        else:
            found = attributes(value)
            if found is None:
                raise _Unlike
            held = found
        return self.of(kind), tuple((name, self.of(item)) for name, item in held.items())

    def _function(self, function: types.FunctionType) -> Hashable:
        cells: list[Hashable] = []
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            try:
                held = cell.cell_contents
            except ValueError:
                cells.append("empty")
                continue
            cells.append(self._cell((function.__code__, name), held))
        parts = (
            function.__code__,
            tuple(cells),
            self.of(function.__defaults__),
            self.of(function.__kwdefaults__),
        )
        if _installed(function.__code__.co_filename):
            return parts
        return *parts, tuple(self._globals(function.__code__, function.__globals__))

    def _globals(self, code: types.CodeType, names: Mapping[str, Any]) -> Iterator[Hashable]:
        """What the code reads of a module, and of the modules that it names there."""
        yield _Same(names)
        for name in code.co_names:
            if name not in names:
                continue
            value = names[name]
            yield name, self._variable((_Same(names), name), value, self.of)
            if isinstance(value, types.ModuleType):
                inside = vars(value)
                read = _Same if _installed(getattr(value, "__file__", None) or "<>") else self.of
                for part in code.co_names:
                    if part in inside:
                        yield name, part, self._variable((_Same(inside), part), inside[part], read)
        for const in code.co_consts:
            if isinstance(const, types.CodeType):
                yield from self._globals(const, names)

    def _class(self, kind: type) -> Iterator[Hashable]:
        """The methods and attributes of a class and of those it is made of, down to installed ones."""
        for base in kind.__mro__:
            if _is_installed(base):
                continue
            for name, value in vars(base).items():
                if name in _UNREAD or name.startswith(("__dataclass", "_abc_")):
                    continue
                yield base.__qualname__, name, self._variable((_Same(base), name), value, self._member)

    def _member(self, value: Any) -> Hashable:
        if isinstance(value, staticmethod | classmethod):
            return self.of(value.__func__)
        if isinstance(value, property):
            return tuple(self.of(part) for part in (value.fget, value.fset, value.fdel))
        if isinstance(value, types.MemberDescriptorType | types.GetSetDescriptorType):
            return _Same(value)
        try:
            return self.of(value)
        except _Unlike:
            return _Same(value)


def _installed(file: str) -> bool:
    return file.startswith("<") or "/site-packages/" in file.replace("\\", "/") or file.startswith(_INSTALLED)


@functools.lru_cache(maxsize=4096)
def _is_installed(kind: type) -> bool:
    if kind.__module__ == "builtins":
        return True
    return _installed(getattr(sys.modules.get(kind.__module__), "__file__", None) or "")
