"""What a jitted function is traced for: the shape of its arguments and the settings in force.

No array is kept, only what it looks like. What is static is kept as it is, as JAX does, which compares it with ``==``.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from pytest_purestate._runtime import _compat
from pytest_purestate._runtime._compat import jit as _compat_jit
from pytest_purestate._runtime._compat.jit import JitCall
from pytest_purestate._runtime.describe import Policy, describe, type_name
from pytest_purestate._runtime.frames import shown_place
from pytest_purestate._runtime.hidden import name_of

__all__ = ["Array", "Container", "Part", "Signature", "Static", "short", "signature_of"]

_WIDTH = 100


@dataclass(frozen=True, slots=True)
class Array:
    """An array as ``jax.jit`` sees it; of a Python number too."""

    shape: tuple[int, ...]
    dtype: str
    weak_type: bool
    spec: str = ""
    """How it is sharded, where that is a part of its type (explicit sharding)."""
    committed: bool = False
    sharding: Any = None

    def __str__(self) -> str:
        return f"{self.dtype}[{','.join(map(str, self.shape))}]"


@dataclass(frozen=True, slots=True, eq=False)
class Static:
    """A value that is a part of the compiled function."""

    value: Any

    def __str__(self) -> str:
        if callable(self.value) and hasattr(self.value, "__qualname__"):
            return _function_text(self.value)
        return short(re.sub(r" at 0x[0-9a-f]+", "", repr(self.value)))


@dataclass(frozen=True, slots=True)
class Container:
    """A node of the tree: the names of its children are among the paths."""

    type: str
    static: Static | None = None

    def __str__(self) -> str:
        return self.type.rpartition(".")[2]


Part = Array | Static | Container


@dataclass(frozen=True, slots=True, eq=False)
class Signature:
    """All that decides whether a function is traced or compiled again.

    Attributes:
        parts: what is at each place of the arguments, ``state.params['w']``; a container before what is in it.
        keywords: the arguments that were passed by keyword.
        settings: the settings and meshes in force.
        traced: whether an argument is a tracer: the call is made inside of a transformation.
    """

    parts: Mapping[str, Part]
    keywords: tuple[str, ...]
    settings: Mapping[str, Any]
    traced: bool = False

    def __str__(self) -> str:
        leaves = [f"{path}: {part}" for path, part in self.parts.items() if not isinstance(part, Container)]
        return short(", ".join(leaves)) or "no arguments"


def signature_of(call: JitCall) -> Signature | None:
    """Describe a call; None where an argument cannot be looked at: that must not disturb the call itself."""
    parts: dict[str, Part] = {}
    try:
        walk = _Walk(parts)
        names, rest = _positional(call.target if call.filtered else call.function)
        for i, value in enumerate(call.args):
            name = names[i] if i < len(names) else f"{rest}[{i - len(names)}]"
            walk.visit(name, value, i in call.static_argnums or name in call.static_argnames, call.filtered)
        for name, value in call.kwargs.items():
            walk.visit(name, value, name in call.static_argnames, call.filtered)
        return Signature(parts, tuple(sorted(call.kwargs)), _compat_jit.trace_settings(), walk.traced)
    except Exception:
        return None


def _positional(function: Any) -> tuple[list[str], str]:
    """The names of the positional parameters, and that of the rest of them."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return [], "args"
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    rest = (each.name for each in parameters if each.kind is inspect.Parameter.VAR_POSITIONAL)
    return [each.name for each in parameters if each.kind in kinds], next(rest, "args")


class _Walk:
    """Goes through arguments and notes what is where."""

    def __init__(self, parts: dict[str, Part]) -> None:
        self.parts = parts
        self.traced = False
        self._objects: set[int] = set()

    def visit(self, path: str, value: Any, static: bool, filtered: bool) -> None:
        """Note a value and what is below it.

        Args:
            path: where it is.
            value: what is there.
            static: it is one static value, whatever it is.
            filtered: everything in it but an array is static.
        """
        if static:
            self.parts[path] = Static(value)
        elif isinstance(value, jax.Array | np.ndarray | np.generic):
            self.parts[path] = self._array(value)
        elif isinstance(value, bool | int | float | complex):
            self.parts[path] = Static(value) if filtered else self._array(value)
        elif _compat.is_nnx_variable(value):
            self.visit(path, _compat.variable_value(value), False, filtered)
        elif _compat.is_nnx_object(value):
            if id(value) not in self._objects:
                self._objects.add(id(value))
                self.parts[path] = Container(type_name(value))
                for label, child in describe(value, Policy()).children:
                    self.visit(path + label, child, False, True)
        else:
            self._node(path, value, filtered)

    def _node(self, path: str, value: Any, filtered: bool) -> None:
        tree = jax.tree_util
        pairs, structure = tree.tree_flatten_with_path(value, is_leaf=lambda each: each is not value)
        if len(pairs) == 1 and not pairs[0][0]:
            self.parts[path] = Static(value)  # no node: jit takes it where it is static
            return
        fields = {field.name: field for field in dataclasses.fields(value)} if _is_instance(value) else {}
        own = Static(_data(structure)) if not fields and not isinstance(value, dict | list | tuple) else None
        self.parts[path] = Container("None" if value is None else type_name(value), own)
        below = {tree.keystr(keys): child for keys, child in pairs}
        for label, child in below.items():
            self.visit(path + label, child, False, filtered)
        for name in fields:
            if f".{name}" not in below and hasattr(value, name):
                self.parts[f"{path}.{name}"] = Static(getattr(value, name))

    def _array(self, value: Any) -> Array:
        aval = jax.typeof(value)
        known = getattr(aval, "sharding", None)
        spec = getattr(known, "spec", None) if known is not None and not known.mesh.empty else None
        traced = _compat.is_tracer(value)
        self.traced = self.traced or traced
        committed = not traced and isinstance(value, jax.Array) and bool(getattr(value, "committed", False))
        return Array(
            tuple(aval.shape),
            str(aval.dtype),
            bool(getattr(aval, "weak_type", False)),
            str(spec) if spec is not None and any(spec) else "",
            committed,
            value.sharding if committed else None,
        )


def _is_instance(value: Any) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def _data(structure: Any) -> Any:
    data = structure.node_data()
    return data[1] if data is not None else None


def _function_text(function: Any) -> str:
    code = getattr(_inner(function), "__code__", None)
    where = f" at {shown_place(f'{code.co_filename}:{code.co_firstlineno}')}" if code is not None else ""
    return f"{name_of(function)}{where}"


def _inner(function: Any) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__func__", function)


def short(text: str) -> str:
    """A text on one line that is not too long."""
    return text if len(text) <= _WIDTH else f"{text[:_WIDTH]}..."
