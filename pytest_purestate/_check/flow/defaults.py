"""Mutable defaults of parameters and fields: one object for all calls, or for all instances."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_purestate._check import ir
from pytest_purestate._check.flow import types
from pytest_purestate._check.flow.facts import SharedDefault
from pytest_purestate._check.flow.values import Sym, Type, Value, leaves

if TYPE_CHECKING:
    from pytest_purestate._check.flow.classes import ClassInfo
    from pytest_purestate._check.flow.frame import Frame
    from pytest_purestate._check.flow.interpret import Interpreter

__all__ = ["bind", "note", "note_field", "note_value"]

_CONTAINERS = frozenset(("list", "dict", "set"))
_WITH_FIELDS = frozenset(("linen", "equinox", "struct", "chex", "dataclass", "namedtuple"))


def _mutable(it: Interpreter, value: Value | None) -> Type | None:
    """The type of a default that can be edited in place."""
    if not isinstance(value, Sym) or value.path:
        return None
    type_ = types.typeof(it, value)
    return type_ if type_.kind in _CONTAINERS and type_.certain and "frozen" not in type_.name else None


def bind(it: Interpreter, frame: Frame, param: ir.Param, sym: Sym) -> None:
    """Watch a parameter whose default is a container."""
    type_ = it.defaults.get(param)
    if type_ is not None:
        frame.shared[sym.root] = (param, type_)


def evaluate(it: Interpreter, param: ir.Param) -> None:
    """Evaluate the default of a parameter, as the definition does."""
    if param.default is not None:
        type_ = _mutable(it, it.eval(param.default))
        if type_ is not None:
            it.defaults[param] = type_


def note(it: Interpreter, place: Sym, where: str, ref: int, attribute: str = "") -> None:
    """Note that a parameter's default may be edited, stored or returned here."""
    shared = it.frame.shared.get(place.root)
    if shared is None or any(kind != "[" for kind, _ in place.path):
        return
    param, type_ = shared
    assert param.default is not None
    fact = SharedDefault(param.default.ref, where, param.name, type_, "", ref, attribute)
    it.frame.facts.defaults.setdefault((fact.ref, where), fact)


def note_value(it: Interpreter, value: Value, where: str, ref: int, attribute: str = "") -> None:
    """Note where a value goes in which a parameter's default may be."""
    if it.frame.shared:
        for leaf in leaves(value):
            if isinstance(leaf, Sym) and not leaf.path:
                note(it, leaf, where, ref, attribute)


def note_field(it: Interpreter, info: ClassInfo, statement: ir.Annotated, default: Value | None) -> None:
    """Note a field whose default is an object that all instances would share."""
    family, node = info.family[0], statement.value
    if family not in _WITH_FIELDS or node is None or it.frame.caught or _is_class_variable(it, statement):
        return
    value = default
    if isinstance(value, Sym) and value.root.origin is not None and value.root.origin.verb == "field":
        value = it.state.heap.get(value.child((".", "default")))
    type_ = _mutable(it, value)
    if type_ is None and isinstance(value, Sym) and not value.path and family != "namedtuple":
        held = types.typeof(it, value)
        type_ = held if held.kind in ("array", "numpy") and held.certain else None
    if type_ is not None and isinstance(statement.target, ir.Name):
        fact = SharedDefault(node.ref, "field", statement.target.id, type_, family)
        it.frame.facts.defaults.setdefault((node.ref, "field"), fact)


def _is_class_variable(it: Interpreter, statement: ir.Annotated) -> bool:
    node = statement.annotation
    value = types.static_value(it, node.base if isinstance(node, ir.GetItem) else node)
    return getattr(value, "name", "") in ("typing.ClassVar", "typing_extensions.ClassVar")
