"""How a module names what it imports, and where an import that it lacks belongs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_purestate._check import ir
from pytest_purestate._check.flow.values import Ext
from pytest_purestate._check.model import Edit, Span

if TYPE_CHECKING:
    from pytest_purestate._check.flow.project import ModuleContext

__all__ = ["named"]


def named(
    context: ModuleContext, dotted: str, function: ir.Function | None
) -> tuple[str, tuple[Edit, ...]] | None:
    """How ``function`` can spell a member of a library, with the edit that imports the library where it must be.

    None where the name that the import would bind means something else.

    >>> # ``import jax as j``: named(context, "jax.debug.print", f) is ("j.debug.print", ())
    """
    interpreter = context.interpreter
    if interpreter is None:
        return None
    env = (interpreter.module_frame.state or interpreter.module_frame.last).env
    parts = dotted.split(".")
    for depth in range(len(parts) - 1, 0, -1):
        library = ".".join(parts[:depth])
        for name, value in env.items():
            if isinstance(value, Ext) and value.name == library and not _is_hidden(name, function):
                return ".".join((name, *parts[depth:])), ()
    top = parts[0]
    if top in env or _is_hidden(top, function):
        return None
    place = _first_import(context)
    return (dotted, (Edit(Span(place, place), f"import {top}\n"),)) if place is not None else None


def _is_hidden(name: str, function: ir.Function | None) -> bool:
    """Whether the function, or one around it, binds a name itself."""
    while function is not None:
        if name in function.bound:
            return True
        function = function.parent
    return False


def _first_import(context: ModuleContext) -> int | None:
    """Where the first import of a module begins that is none of ``__future__``, if it stands alone on its line."""
    lowered = context.lowered
    for statement in lowered.module.body:
        if not isinstance(statement, ir.Import):
            continue
        if any(binding.target.startswith("__future__") for binding in statement.bindings):
            continue
        start = lowered.span(statement.ref).start
        line = lowered.source.data.rfind(b"\n", 0, start) + 1
        return start if line == start else None
    return None
