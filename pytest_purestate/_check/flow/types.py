"""Types of abstract values: by origin, by class and field, by annotation."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from pytest_purestate._check import ir
from pytest_purestate._check.apis import ELEMENTS, KEY_ANNOTATIONS, OBJECTS
from pytest_purestate._check.apis.classes import annotation_kind, held_items
from pytest_purestate._check.flow.classes import family_of
from pytest_purestate._check.flow.values import (
    FOLD,
    NOTHING,
    UNKNOWN,
    Choice,
    ClassValue,
    Const,
    Ext,
    Func,
    Linear,
    Part,
    Range,
    Root,
    Step,
    Sym,
    Tup,
    Type,
    Value,
    contradicts,
    leaves,
)
from pytest_purestate._check.model import Confidence

if TYPE_CHECKING:
    from pytest_purestate._check.flow.classes import ClassInfo
    from pytest_purestate._check.flow.frame import Frame
    from pytest_purestate._check.flow.interpret import Interpreter

__all__ = [
    "BUILTINS",
    "KEPT",
    "LISTING",
    "NDARRAY",
    "REF",
    "STATIC",
    "TEXT",
    "VIEWS",
    "annotation_type",
    "asks",
    "declared_type",
    "element_type",
    "entropy_of",
    "field_step",
    "is_static",
    "makes_ndarray",
    "of_elements",
    "part_type",
    "sources",
    "static_value",
    "tells_shape",
    "typeof",
    "unhashable",
]

BUILTINS = frozenset(dir(builtins))
STATIC = Type("static")
"""Shapes, dtypes, treedefs: Python values at trace time."""

NDARRAY = Type("numpy", name="ndarray")
"""An array of NumPy, and surely none of its scalars, which have a hash."""

REF = Type("ref", certain=False)
"""What a kernel is given: a reference to memory, which is read and written by its items."""

VIEWS = Type("ref", name="at", certain=False)
"""What such a reference has under the name ``at``: its items are references to parts of the same memory."""

KEPT = "~kept"
"""The name of a state that an object made for itself and shows to nobody."""

LISTING = "~listing "
"""How the name of a list of what is in a folder begins; the function that lists it follows."""

_SOME_ARRAY = Type(name="ndarray")
"""What such an array and something unknown make together: an array, of NumPy or of JAX."""

TEXT = Type("str", name="formatted")
"""A text in which something stands that may be a tracer."""

_STATES = ("params", "opt_state", "batch_stats")
"""Attributes that hold a state, whatever the object."""

_STATIC_ATTRIBUTES = frozenset("shape ndim dtype size aval sharding nbytes itemsize weak_type".split())


def typeof(it: Interpreter, value: Value | None) -> Type:
    if isinstance(value, Sym):
        if value.root in it.narrowed and (told := _narrowed(it, value)) is not None:
            return told
        if not value.path:
            return value.root.type
        known = it.types.get(value)
        held = value.root.held
        if known is None and held is not None:  # what the function around knows of a captured variable
            known = it.types.get(Sym(held.root, (*held.path, *value.path)))
        if known is None:
            *above, step = value.path
            known = element_type(it, typeof(it, Sym(value.root, tuple(above))), step)
            it.types[value] = known
        return known
    if isinstance(value, Part):
        return typeof(it, value.base)
    if isinstance(value, Const):
        kind = (
            "str"
            if isinstance(value.value, str)
            else "number"
            if isinstance(value.value, int | float)
            else ""
        )
        return Type(kind)
    if isinstance(value, Linear):
        return Type("number")
    if isinstance(value, Tup):
        return Type("tuple")
    if isinstance(value, Choice):
        found = [typeof(it, option) for option, _ in value.options if option != NOTHING]
        if found and all(item == found[0] for item in found):
            return found[0]
    return UNKNOWN


def _narrowed(it: Interpreter, value: Sym) -> Type | None:
    """The type of a value by what a condition on the path tells of it, or of what it belongs to."""
    path = it.frame.state.path if it.frame.state is not None else {}
    for depth in range(len(value.path), -1, -1):
        told = path.get(("type", Sym(value.root, value.path[:depth])))
        if isinstance(told, Type):
            for step in value.path[depth:]:
                told = element_type(it, told, step)
            return told
    return None


def entropy_of(type_: Type) -> str:
    """The function whose answer differs from run to run that a value comes from, or an empty string."""
    return type_.name if type_.kind in ("entropy", "numpy") and type_ != NDARRAY else ""


def makes_ndarray(verb: str, given: Sequence[Type]) -> bool:
    """Whether a function of NumPy makes an array: always, or of the elements of one that it is given."""
    return verb in _BUFFERS or (verb in _ELEMENTWISE and any(type_.name == "ndarray" for type_ in given))


def of_elements(left: Type, right: Type) -> Type | None:
    """What arithmetic makes of an array of NumPy; None where there is none."""
    if NDARRAY not in (left, right) and _SOME_ARRAY not in (left, right):
        return None
    kinds = {left.kind, right.kind}
    if "" in kinds:
        return _SOME_ARRAY
    return NDARRAY if kinds <= {"numpy", "number", "static"} else None


def is_static(
    it: Interpreter, value: Value, depth: int = 0, heap: dict[Root, list[tuple[Sym, Value]]] | None = None
) -> bool:
    """Whether a value is a Python value at trace time: shapes, dtypes, literals and what is made of them."""
    if depth > 8:  # a container may hold itself
        return False
    if isinstance(value, Const | Func | Ext | ClassValue):
        return True
    if isinstance(value, Tup):
        return all(is_static(it, item, depth + 1, heap) for item in value.items)
    if isinstance(value, Choice):
        return all(is_static(it, option, depth + 1, heap) for option, _ in value.options)
    if isinstance(value, Linear):
        return is_static(it, value.base, depth + 1, heap)
    if isinstance(value, Sym):
        kind = typeof(it, value).kind
        if kind in ("static", "number", "str"):
            return typeof(it, value) != TEXT
        if kind in ("list", "tuple", "dict", "set") and value.root.kind == "local":
            heap = it.state.held() if heap is None else heap
            held = [
                leaf
                for place, item in heap.get(value.root, ())
                if place.path[-1][0] == "["
                for leaf in leaves(item)
                if not (isinstance(leaf, Sym) and leaf.root is value.root)  # never stored on that path
            ]
            return bool(held) and all(is_static(it, item, depth + 1, heap) for item in held)
    return False


def asks(it: Interpreter, value: Value, depth: int = 0) -> frozenset[Sym] | None:
    """The places of parameters and captured variables that have to hold Python values for a value to be one.

    None where it is none whatever they hold, or nothing is known of it.
    """
    if is_static(it, value):
        return frozenset()
    parts: Sequence[Value] = ()
    if isinstance(value, Tup):
        parts = value.items
    elif isinstance(value, Choice):
        parts = tuple(option for option, _ in value.options)
    elif isinstance(value, Linear):
        parts = (value.base,)
    elif isinstance(value, Sym):
        type_, origin = typeof(it, value), value.root.origin
        if value.root.kind != "local":
            return frozenset((value,)) if type_.kind not in _TRACED else None
        if not value.path and (type_ == TEXT or (origin is not None and origin.verb == "arithmetic")):
            parts = value.root.made_of if type_.kind not in _TRACED else ()
    if not parts or depth > 8:
        return None
    found = [asks(it, part, depth + 1) for part in parts]
    return frozenset().union(*(places for places in found if places)) if None not in found else None


GRADIENT = Type("state", name="gradient")
"""A state of which every leaf is a JAX array."""


def tells_shape(it: Interpreter, value: Value) -> bool:
    """Whether a value is a Python value at trace time that comes from an array: a number may as well count calls."""
    return is_static(it, value) and any(typeof(it, leaf) == STATIC for leaf in leaves(value))


_TRACED = ("array", "key", "keys")
"""What no Python value is."""

_NEVER_TRACED = OBJECTS.union(("static", "str", "logger", "none", "entropy", "number"))
_MANY = 500
_DISPLAYS = ("list", "dict", "set")
_HASHABLE = ("generator", "frozen", "frozen number")  # what is like a list or a set for all else
_BUFFERS = frozenset(
    "array zeros ones empty arange full linspace logspace geomspace eye identity tri diag zeros_like ones_like "
    "empty_like full_like asarray ascontiguousarray stack concatenate vstack hstack tile repeat outer meshgrid "
    "hanning hamming blackman bartlett kaiser".split()
)
_ELEMENTWISE = (
    "sqrt",
    "log",
    "exp",
    "abs",
    "add",
    "subtract",
    "multiply",
    "divide",
    "negative",
    "maximum",
    "minimum",
)


def unhashable(it: Interpreter, value: Value) -> tuple[str, int, Confidence] | None:
    """What it is about a value that has no hash, where it was made (or -1), and how sure that is."""
    if isinstance(value, Tup):
        return next(filter(None, (unhashable(it, item) for item in value.items)), None)
    if isinstance(value, Choice):
        options = [option for option, guards in value.options if not contradicts(guards, it.state.path)]
        found = [unhashable(it, option) for option in options]
        first = next(filter(None, found), None)
        if first is None or all(found):
            return first
        return first[0], first[1], min(first[2], Confidence.MEDIUM)
    if not isinstance(value, Sym):
        return None
    type_ = typeof(it, value)
    origin = value.root.origin if value.root.kind == "local" and not value.path else None
    own = origin is not None
    made = origin.ref if origin is not None and origin.context is it.context else -1
    sure = Confidence.HIGH if own else Confidence.MEDIUM
    if type_.kind in _DISPLAYS and type_.certain and type_.name not in _HASHABLE:
        return f"a {type_.kind}", made, sure
    if type_.kind == "array" and type_.certain and own:
        return "an array", made, sure
    if type_.name == "ndarray":
        return "a NumPy array", made, sure
    if type_.kind == "instance" and type_.cls is not None and not type_.cls.hashable:
        field_ = type_.cls.unhashable_field()
        why = f"whose field `{field_}` has no hash" if field_ and type_.cls.family[1] else "which has no hash"
        return f"an instance of `{type_.cls.name}`, {why}", made, sure
    return None


def sources(it: Interpreter, value: Value) -> frozenset[Root]:
    """What a value is made of, as far as it is no Python value at trace time.

    Parameters, captured variables, and the arrays and keys that were made on the way.
    """
    out: set[Root] = set()
    seen: set[Root] = set()
    todo: list[Value] = [value]
    held = it.state.held()
    while todo and len(seen) < _MANY:
        top = todo.pop()
        if isinstance(top, Part | Linear):
            todo.append(top.base)
        elif isinstance(top, Tup | Choice):
            todo.extend(leaves(top))
        elif isinstance(top, Sym):
            kind = typeof(it, top).kind
            root = top.root
            if kind in _NEVER_TRACED or (kind == "numpy" and root.kind == "local"):
                continue  # NumPy takes no tracer
            if root.kind != "local" or kind in ("array", "key", "keys"):
                out.add(root)
            elif root not in seen:
                seen.add(root)
                todo.extend(root.made_of)
                todo.extend(item for _, item in held.get(root, ()))
                if root.base is not None:
                    todo.append(root.base)
    return frozenset(out)


def element_type(it: Interpreter, type_: Type, step: Step) -> Type:
    """The type of an attribute or element of a value of this type."""
    kind, name = step
    if kind == FOLD:
        return Type("key")
    if type_.kind == "keys":
        return type_ if isinstance(name, Range) or kind == "." else Type("key", certain=type_.certain)
    if type_.kind == "stream" and kind == ".":
        return type_  # ``rngs.params`` is a stream like ``rngs``
    if type_.items and kind == "[":
        if isinstance(name, Range):
            return type_ if len(type_.items) == 1 else UNKNOWN
        if len(type_.items) == 1:
            return type_.items[0]
        if isinstance(name, int) and -len(type_.items) <= name < len(type_.items):
            return type_.items[name]
        return UNKNOWN
    if kind == ".":
        if name in _STATIC_ATTRIBUTES:
            return STATIC
        if type_.kind == "entropy":
            return type_
        if type_.cls is not None:
            field = type_.cls.fields().get(str(name))
            if field is not None:
                return field.type
            kept = type_.cls.attribute(str(name))
            if kept is not None and (kept.name != KEPT or name not in _STATES):
                return kept
        if type_.kind == "ref" and name == "at":
            return VIEWS
        if type_.kind == "array" and name == "at":
            return Type("at", certain=type_.certain)
        if name == "tx" and (type_.kind == "state" or family_of(type_) == "struct"):
            return Type("transform", certain=False)
        if type_.kind == "state" and name not in ("step", "tx", "apply_fn"):
            return Type("state")
        if name in ("T", "mT", "real", "imag") and type_.kind == "array":
            return type_
        if type_.kind == "instance" and name in _STATES:
            return Type("state")
    elif type_.kind in ("array", "state", "numpy", "static", "entropy", "graph"):
        return type_
    elif type_.kind == "ref":
        return REF if type_ == VIEWS else Type("array", certain=type_.certain)
    elif type_.kind == "at":
        return Type("at[]", certain=type_.certain)
    elif type_.kind == "walk":
        return Type("walked", name=type_.name)
    elif type_.kind == "walked":
        return Type("list", name=f"{LISTING}os.walk") if name in (1, 2) else Type("str")
    return UNKNOWN


def field_step(it: Interpreter, value: Sym, step: Step) -> Step:
    """The step to an element of a NamedTuple by the name of its field: one place has one spelling."""
    if step[0] == "[" and isinstance(step[1], int):
        type_ = typeof(it, value)
        elements = ELEMENTS.get(type_.kind, ())
        if -len(elements) <= step[1] < len(elements):
            return (".", elements[step[1]])
        if type_.cls is not None and type_.cls.family[0] == "namedtuple":
            names = list(type_.cls.fields())
            if -len(names) <= step[1] < len(names):
                return (".", names[step[1]])
    return step


def annotation_type(it: Interpreter, node: ir.Expr | None) -> Type:
    """What an annotation promises. Nothing is spent or recorded by reading it."""
    if node is None:
        return UNKNOWN
    if isinstance(node, ir.Binary) and node.op == "|":
        left = annotation_type(it, node.left)
        return left if left is not UNKNOWN else annotation_type(it, node.right)
    if isinstance(node, ir.GetItem):
        base = static_value(it, node.base)
        if isinstance(base, Ext):
            last = base.name.rpartition(".")[2]
            if last in ("Optional", "Annotated", "Final", "ClassVar", "Required"):
                inner = node.index
                if isinstance(inner, ir.Sequence) and inner.items:
                    inner = inner.items[0]
                return annotation_type(it, inner)
            if last in ("Key", "PRNGKeyArray"):
                return Type("key", certain=False)
            if base.name.startswith("jaxtyping."):
                return Type("array", certain=False)
            if (holds := held_items(base.name)) and (items := _item_types(it, node.index, holds)):
                return replace(annotation_type(it, node.base), items=items)
        return annotation_type(it, node.base)
    value = static_value(it, node)
    if isinstance(value, ClassValue):
        return declared_type(value.info) or Type("instance", value.info)
    if isinstance(value, Ext):
        name = value.name
        last = name.rpartition(".")[2]
        spelled = node.id if isinstance(node, ir.Name) else node.name if isinstance(node, ir.GetAttr) else ""
        last = spelled if spelled in KEY_ANNOTATIONS else last  # `PRNGKey = jax.Array` says more than it is
        if last in KEY_ANNOTATIONS:
            kind = "stream" if last == "PRNGSequence" else "key"
            return Type(kind, certain=False)
        known = annotation_kind(name)
        if known is not None:
            return Type(known, name=name, certain=False)
        signature = it.known.find(name)
        if signature is not None and signature.returns[0] in OBJECTS and last[:1].isupper():
            return Type(signature.returns[0], name=name, certain=False)
        return Type("instance", name=name) if last[:1].isupper() else UNKNOWN
    if isinstance(node, ir.Name) and node.id in KEY_ANNOTATIONS:
        return Type("key", certain=False)
    return UNKNOWN


def _item_types(it: Interpreter, index: ir.Expr, holds: str) -> tuple[Type, ...]:
    """The types of the elements in ``list[T]``, ``dict[K, T]``, ``tuple[T, ...]`` or ``tuple[A, B]``, if one is known."""
    parts = index.items if isinstance(index, ir.Sequence) else (index,)
    if holds == "values":
        parts = parts[1:2]
    types = [
        annotation_type(it, part) for part in parts if not (isinstance(part, ir.Const) and part.value is ...)
    ]
    if holds == "each" and len(types) == len(parts) == 1:
        return ()  # an index of one place would stand for all
    return tuple(types) if any(type_ is not UNKNOWN for type_ in types) else ()


def declared_type(info: ClassInfo) -> Type | None:
    """What instances of a class of the project are, where the user declares it for the class or a base."""
    for cls in info.lineage():
        signatures = [cls.context.declared(cls.cls.qualname)]
        signatures += [info.context.project.known.declared(b.name) for b in cls.bases if isinstance(b, Ext)]
        for signature in signatures:
            if signature is not None and signature.returns[0] in OBJECTS:
                return Type(signature.returns[0], name=signature.name)
    return None


def static_value(it: Interpreter, node: ir.Expr) -> Value | None:
    """A name or dotted name as a value, without recording that it was read."""
    if isinstance(node, ir.Name):
        frame: Frame | None = it.frame
        while frame is not None:
            value = (frame.state or frame.last).env.get(node.id)
            if value is not None:
                return it.resolved(value)
            frame = frame.parent
        value = (it.module_frame.state or it.module_frame.last).env.get(node.id)
        if value is not None:
            return it.resolved(value)
        return Ext(f"builtins.{node.id}") if node.id in BUILTINS else None
    if isinstance(node, ir.GetAttr):
        base = static_value(it, node.base)
        if isinstance(base, Ext):
            return it.resolved(Ext(f"{base.name}.{node.name}"))
        if isinstance(base, ClassValue):
            return base.info.find(node.name)
    return None


def part_type(it: Interpreter, value: Value, step: Step) -> Type:
    if isinstance(value, Part):
        return element_type(it, typeof(it, value.base), step)
    return UNKNOWN
