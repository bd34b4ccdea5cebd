"""The data that the code of a function reaches by name: globals, names in modules, class variables.

Code is read, not run: a function of the user's that is named is followed, also in another module, behind `jax.jit`, and as
a method of the object. Libraries are not followed; what they remember is their own business.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from pytest_purestate._runtime.describe import is_function, is_library

__all__ = ["named_data"]

Read = Callable[[], object]
_OWN = __name__.partition(".")[0]


def named_data(function: types.FunctionType, owner: type | None = None) -> Iterator[tuple[str, Read]]:
    """Names as one would write them, and how to read what they stand for now: changing a global often means binding it anew.

    Args:
        function: where to begin.
        owner: the class that it is a method of.
    """
    package = str(function.__module__ or "").partition(".")[0]
    return iter(()) if is_library(package) else _Search(package).run(function, owner)


@dataclass(frozen=True, slots=True, eq=False)
class _Code:
    """Code to look at: where its globals are, what is in its cells, and the class that it is a method of."""

    code: types.CodeType
    namespace: dict[str, Any]
    cells: tuple[object, ...]
    owner: type | None


class _Search:
    def __init__(self, package: str) -> None:
        self._package = package  # its modules are followed wherever they are installed
        self._seen: set[tuple[int, object]] = set()
        self._waiting: list[_Code] = []
        self._entered: set[types.CodeType] = set()

    def run(self, function: types.FunctionType, owner: type | None) -> Iterator[tuple[str, Read]]:
        self._enter(function, owner)
        while self._waiting:
            at = self._waiting.pop(0)
            inner = [const for const in at.code.co_consts if isinstance(const, types.CodeType)]
            self._waiting += [replace(at, code=const) for const in inner]
            for name in at.code.co_names:
                if name in at.namespace:
                    yield from self._found(str(at.namespace.get("__name__")), at.namespace, name, at.code)
                elif at.owner is not None:
                    yield from self._of_class(at.owner, name)
            for value in at.cells:
                yield from self._inside(value, at.code)

    def _enter(self, function: types.FunctionType, owner: type | None) -> None:
        if function.__code__ not in self._entered:
            self._entered.add(function.__code__)
            cells = tuple(_contents(function.__closure__ or ()))
            self._waiting.append(_Code(function.__code__, function.__globals__, cells, owner))

    def _found(
        self, place: str, namespace: dict[str, Any], name: str, code: types.CodeType
    ) -> Iterator[tuple[str, Read]]:
        value = namespace[name]
        if isinstance(value, types.ModuleType | type) or is_function(value):
            yield from self._inside(value, code)
        elif (id(namespace), name) not in self._seen:
            self._seen.add((id(namespace), name))
            yield f"{place}.{name}", functools.partial(namespace.get, name)

    def _inside(self, value: object, code: types.CodeType) -> Iterator[tuple[str, Read]]:
        """What a module, a class or a function leads to that code names."""
        if isinstance(value, types.ModuleType):
            # Seen by this code alone: other code may name other parts of it.
            if (id(value), code) not in self._seen and self._follows(value.__name__):
                self._seen.add((id(value), code))
                for part in code.co_names:
                    if part in vars(value):
                        yield from self._found(value.__name__, vars(value), part, code)
        elif isinstance(value, type):
            if self._follows(value.__module__):
                for member in vars(value).values():
                    if (inner := _plain(member)) is not None:
                        self._enter(inner, value)
        elif (inner := _plain(value)) is not None and self._follows(inner.__module__):
            self._enter(inner, None)

    def _of_class(self, owner: type, name: str) -> Iterator[tuple[str, Read]]:
        """What a method finds as an attribute of its object's class: another method, or data that all objects share."""
        for base in owner.__mro__:
            if name not in vars(base) or not self._follows(base.__module__):
                continue
            value = vars(base)[name]
            if (inner := _plain(value)) is not None:
                self._enter(inner, owner)
            elif not hasattr(type(value), "__get__") and (id(base), name) not in self._seen:
                self._seen.add((id(base), name))
                yield f"{base.__qualname__.rpartition('<locals>.')[2]}.{name}", _class_variable(base, name)
            return

    def _follows(self, module: str | None) -> bool:
        """Whether a module is the user's: of the package of the function, or not installed at all."""
        top = str(module).partition(".")[0]
        if top == self._package:
            return True
        file = getattr(sys.modules.get(str(module)), "__file__", None) or ""
        installed = any(part in file for part in ("site-packages", "dist-packages"))
        return not (installed or top == _OWN or is_library(top))


def _contents(cells: Iterable[types.CellType]) -> Iterator[object]:
    for cell in cells:
        with contextlib.suppress(ValueError):  # not assigned yet
            yield cell.cell_contents


def _class_variable(base: type, name: str) -> Read:
    return lambda: vars(base).get(name)


def _plain(value: object) -> types.FunctionType | None:
    """The Python function behind a method, a partial, or a wrapper such as `jax.jit`."""
    for _ in range(100):
        if isinstance(value, types.FunctionType):
            return value
        if isinstance(value, functools.partial):
            value = value.func
        elif isinstance(value, types.MethodType | staticmethod | classmethod):
            value = value.__func__
        elif isinstance(value, property):
            value = value.fget
        elif is_function(value):
            value = getattr(value, "__wrapped__", None)
        else:
            return None
    return None
