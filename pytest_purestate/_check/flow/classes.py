"""Classes of the project: bases, methods, fields, and what their family means for state."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from msgspec import Struct, field

from pytest_purestate._check import ir
from pytest_purestate._check.apis.classes import base_family, decorator_family, is_test_case
from pytest_purestate._check.flow.values import ClassValue, Const, Ext, Func, Type, Value

if TYPE_CHECKING:
    from pytest_purestate._check.flow.project import ModuleContext

__all__ = ["ClassInfo", "Field", "family_of", "is_frozen", "is_graph"]


_SHELLS = tuple(Ext(name) for name in ("flax.struct.PyTreeNode", "equinox.Module", "typing.NamedTuple"))
"""Bases that bring no attributes of their own but methods, which nobody asks for."""
_PLAIN = tuple(Ext(name) for name in ("builtins.object", "abc.ABC", "typing.Generic", "typing.Protocol"))
_OWN_EQUALITY = frozenset(("__eq__", "__hash__"))


class Field(Struct, frozen=True, eq=False):
    """An annotated class variable: a field of a dataclass or NamedTuple."""

    name: str
    type: Type
    ref: int
    default: Value | None
    meta: bool = False  # no part of the pytree


class ClassInfo(Struct, eq=False):
    """A class definition with its bases evaluated. ``decorators`` are (dotted name, keyword options)."""

    cls: ir.Class
    context: ModuleContext
    bases: tuple[Value, ...] = ()
    decorators: tuple[tuple[str, dict[str, Value]], ...] = ()
    namespace: dict[str, Value] = field(default_factory=dict)
    own_fields: dict[str, Field] = field(default_factory=dict)
    attributes: dict[str, Type] = field(default_factory=dict)  # objects that the constructor keeps
    stored: dict[str, list[Type]] = field(default_factory=dict)  # whatever is stored under a name, anywhere
    wide: set[str] = field(default_factory=set)  # attributes that hold buffers of 64-bit numbers
    given: dict[str, tuple[str, ...]] = field(
        default_factory=dict
    )  # parameters of the constructor that it keeps
    _family: tuple[str, bool] | None = None

    @property
    def name(self) -> str:
        return self.cls.name

    def lineage(self) -> tuple[ClassInfo, ...]:
        """This class and its project bases, nearest first (cycles cannot trap it)."""
        out: list[ClassInfo] = []
        todo = [self]
        while todo:
            info = todo.pop(0)
            if info not in out:
                out.append(info)
                todo.extend(base.info for base in info.bases if isinstance(base, ClassValue))
        return tuple(out)

    def find(self, name: str) -> Value | None:
        """A method or class variable, as the method resolution order finds it."""
        for info in self.lineage():
            value = info.namespace.get(name)
            if value is not None:
                return value
        return None

    def library_bases(self) -> tuple[str, ...]:
        return tuple(base.name for info in self.lineage() for base in info.bases if isinstance(base, Ext))

    @property
    def is_test(self) -> bool:
        """Whether a test runner makes the instances, anew for each test."""
        return self.name.startswith("Test") or any(map(is_test_case, self.library_bases()))

    def fields(self) -> dict[str, Field]:
        out: dict[str, Field] = {}
        for info in reversed(self.lineage()):
            out.update(info.own_fields)
        return out

    def lacks(self, name: str) -> bool:
        """Whether nothing tells of an attribute of this name: who asks for it has met another class.

        What the bases of a library bring along is not known, but where they are known they bring fields.
        """
        lineage = self.lineage()
        bases = [base for info in lineage for base in info.bases if not isinstance(base, ClassValue)]
        shells = (*_PLAIN, *_SHELLS)
        if any(
            not isinstance(base, Ext) or (base_family(base.name) and base not in shells) for base in bases
        ):
            return False
        if self.find("__getattr__") is not None:
            return False
        told = self.find(name) is not None or name in self.fields() or self.attribute(name) is not None
        return not told and not any(name in info.stored for info in lineage)

    def attribute(self, name: str) -> Type | None:
        """What a constructor, of the class or of a base, keeps under a name."""
        return next((info.attributes[name] for info in self.lineage() if name in info.attributes), None)

    def shows(self, name: str) -> bool:
        """Whether a property hands out what is kept under a name."""
        members = [member for info in self.lineage() for member in info.namespace.values()]
        return any(
            isinstance(member, Func) and member.role == "property" and _gives(member.function) == name
            for member in members
        )

    def keeps_arrays(self, name: str, classes: Iterable[ClassInfo]) -> bool:
        """Whether all that is stored under a name is a JAX array; ``classes`` may have this one as a base."""
        stored = self._stored(name, classes)
        return bool(stored) and all(type_.kind == "array" and type_.certain for type_ in stored)

    def keeps_buffer(self, name: str) -> bool:
        """Whether what is stored under a name is a numpy array, for all that is known of it."""
        kinds = {type_.kind for type_ in self.stored.get(name, ())}
        return "numpy" in kinds and kinds <= {"numpy", "", "entropy"}

    def keeps_ndarrays(self, name: str, classes: Iterable[ClassInfo]) -> bool:
        """Whether all that is stored under a name is an array of NumPy, and none of its scalars."""
        stored = self._stored(name, classes)
        return bool(stored) and all(type_.name == "ndarray" for type_ in stored)

    def kept_as(self, name: str, given: Callable[[ir.Param], set[ClassInfo]]) -> set[ClassInfo]:
        """The classes of what is stored under a name, by itself or by what calls give to the constructor.

        ``given`` tells of a parameter. None where anything else is stored there, too.
        """
        out: set[ClassInfo] = set()
        for info in self.lineage():
            types_ = info.stored.get(name, ())
            out.update(type_.cls for type_ in types_ if type_.cls is not None)
            init, params = info.namespace.get("__init__"), info.given.get(name, ())
            known = init.function.params if isinstance(init, Func) else ()
            made = [given(param) for param in known if param.name in params]
            out.update(*made)
            if sum(type_.cls is None for type_ in types_) > sum(map(bool, made)):
                return set()
        return out

    def _stored(self, name: str, classes: Iterable[ClassInfo]) -> list[Type]:
        related = [*self.lineage(), *(info for info in classes if self in info.lineage())]
        return [type_ for info in related for type_ in info.stored.get(name, ())]

    @property
    def hashable(self) -> bool:
        """Whether instances have a hash: a class that says when two are equal loses it, dataclasses among them."""
        for info in self.lineage():
            if "__hash__" in info.namespace:
                return info.namespace["__hash__"] != Const(None)
            for name, options in info.decorators:
                known = decorator_family(name)
                if known is not None:
                    equal = options.get("eq") != Const(False)
                    if info.family[1] and equal and self.unhashable_field():
                        return False  # the hash is that of the fields
                    return info.family[1] or not equal or options.get("unsafe_hash") == Const(True)
            if "__eq__" in info.namespace:
                return False
        return True

    def unhashable_field(self) -> str:
        """The first field that has no hash, by its annotation."""
        kinds = ("list", "dict", "set", "array", "numpy")
        return next((f.name for f in self.fields().values() if f.type.kind in kinds and not f.meta), "")

    @property
    def hashes_itself(self) -> bool:
        """Whether the class says itself what the hash of an instance is."""
        return any("__hash__" in info.namespace for info in self.lineage())

    @property
    def is_plain(self) -> bool:
        """Whether nothing is known to be behind an instance but what the class says; its hash is its identity."""
        for info in self.lineage():
            bases = [base for base in info.bases if not isinstance(base, ClassValue)]
            if any(base not in _PLAIN for base in bases) or not info.keeps_identity:
                return False
            if not _OWN_EQUALITY.isdisjoint(info.namespace):
                return False
        return True

    @property
    def keeps_identity(self) -> bool:
        """Whether no decorator says when two instances are equal."""
        known = [options for name, options in self.decorators if decorator_family(name) is not None]
        return len(known) == len(self.cls.decorators) and all(
            options.get("eq") == Const(False) for options in known
        )

    @property
    def family(self) -> tuple[str, bool]:
        """(family, frozen); ``("", False)`` for an ordinary class."""
        if self._family is None:
            self._family = ("", False)  # while it is being worked out
            self._family = self._work_out()
        return self._family

    def _work_out(self) -> tuple[str, bool]:
        for name, options in self.decorators:
            known = decorator_family(name)
            if known is not None:
                family, frozen = known
                given = options.get("frozen")
                if isinstance(given, Const) and isinstance(given.value, bool):
                    frozen = given.value
                return family, frozen
        for base in self.bases:
            if isinstance(base, Ext):
                known = base_family(base.name)
                if known is not None:
                    return known
            elif isinstance(base, ClassValue):
                inherited = base.info.family
                if inherited[0]:
                    return inherited
        return "", False


def _gives(function: ir.Function) -> str:
    """The attribute of its own object that a method returns at its end; empty for others."""
    last = function.body[-1] if function.body else None
    value = last.value if isinstance(last, ir.Return) else None
    if (
        isinstance(value, ir.GetAttr)
        and isinstance(value.base, ir.Name)
        and value.base.id == function.receiver
    ):
        return value.name
    return ""


def family_of(type_: Type) -> str:
    """The family of an instance: linen, equinox, struct, namedtuple, nnx, ... or empty."""
    if type_.cls is not None:
        return type_.cls.family[0]
    known = base_family(type_.name) if type_.name else None
    return known[0] if known else ""


def is_graph(type_: Type) -> bool:
    """Whether a value is an object of nnx: one that is edited in place by design, and that transforms copy."""
    return type_.kind in ("optimizer", "graph") or (type_.kind == "instance" and family_of(type_) == "nnx")


def is_frozen(type_: Type) -> bool:
    """Whether attribute assignment on an instance of this type is wrong by its class."""
    if type_.kind not in ("instance", "module"):
        return False
    if type_.cls is not None:
        return type_.cls.family[1]
    known = base_family(type_.name) if type_.name else None
    return bool(known and known[1])
