"""Edits in place: what is stored where, and who can see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_purestate._check import ir
from pytest_purestate._check.apis import OBJECTS
from pytest_purestate._check.flow import aliases, callers, defaults, order, statics, types, variables
from pytest_purestate._check.flow.classes import family_of, is_frozen
from pytest_purestate._check.flow.facts import Effect, Handed, Mutation, Renewal
from pytest_purestate._check.flow.values import (
    NOTHING,
    Choice,
    ClassValue,
    Const,
    Range,
    Root,
    Sym,
    Type,
    Value,
    leaves,
    when_traced,
)
from pytest_purestate._check.model import Confidence

if TYPE_CHECKING:
    from pytest_purestate._check.flow.classes import ClassInfo
    from pytest_purestate._check.flow.interpret import Interpreter

__all__ = [
    "MUTATORS",
    "augment_name",
    "delete_item",
    "evidence_for",
    "hand",
    "is_mutator",
    "list_length",
    "mutate",
    "renew",
    "store_attribute",
    "store_item",
    "visible_to",
]

MUTATORS = frozenset(
    "append extend insert pop popitem update setdefault clear remove add discard sort reverse "
    "difference_update intersection_update symmetric_difference_update appendleft extendleft popleft "
    "move_to_end".split()
)
"""Methods by which Python's containers are edited in place."""


_CONSTRUCTORS = ("__init__", "__post_init__", "setup")
_LEVELS = 3  # of containers that hold arrays
_MANY = 50  # calls of a function of which what they hand over is remembered
_CONTAINERS = ("list", "tuple", "dict", "set", "str", "path")
_GIVING = frozenset(("pop", "popitem", "setdefault", "popleft"))


def is_mutator(name: str, count: int, kept: bool = False) -> bool:
    """Whether a method with ``count`` positional arguments may be one that edits a list, dict or set.

    ``kept``: its result is used; most of them have none.
    """
    if name == "update" and count > 1:
        return False  # `tx.update(grads, state)` is no dict's
    return name in MUTATORS and (name in _GIVING or not kept)


def visible_to(place: Sym) -> str:
    """Who sees an edit of the object at a place besides this function: caller, captured, memo or nobody."""
    if place.root.kind == "param":
        return "caller"
    if place.root.kind == "free":
        return "captured"
    return "memo" if place.root.memo else ""


def _is_state(type_: Type) -> bool:
    """Whether instances are values to JAX; a frozen dataclass of Python's own may well hold what is edited."""
    return is_frozen(type_) and family_of(type_) != "dataclass"


def _through_frozen(it: Interpreter, node: ir.Expr) -> bool:
    """Whether the way to the edited object leads through an attribute of a frozen instance."""
    while isinstance(node, ir.GetAttr | ir.GetItem):
        if isinstance(node, ir.GetAttr) and _is_state(types.typeof(it, it.eval(node.base, moved=False))):
            return True
        node = node.base
    return False


def below_frozen(it: Interpreter, place: Sym) -> bool:
    """Whether a place lies below an attribute of a frozen instance, with no mutable object in between, and is none itself."""
    if types.typeof(it, place).kind in OBJECTS:
        return False  # a queue, say: no pytree goes through it
    for depth in range(len(place.path) - 1, -1, -1):
        type_ = types.typeof(it, Sym(place.root, place.path[:depth]))
        if type_.kind == "instance":
            return _is_state(type_) and place.path[depth][0] == "."
    return False


def evidence_for(it: Interpreter, place: Sym, seen: str) -> tuple[str, Confidence]:
    """Who sees an edit at a place, and how sure it is that a state is edited there."""
    type_ = types.typeof(it, place)
    if below_frozen(it, place):
        return "frozen", Confidence.HIGH
    if seen == "memo":
        return seen, Confidence.HIGH
    if type_.kind == "state" and not type_.name.startswith(callers.GIVEN) and not _is_own(place, type_):
        return seen, Confidence.HIGH if type_.certain else Confidence.MEDIUM
    return seen, Confidence.LOW


def _is_own(place: Sym, type_: Type) -> bool:
    """Whether a method edits a state that its own object keeps to itself: an object may fill what it holds."""
    owner = place.root.owner
    return type_.name == types.KEPT and isinstance(owner, ir.Function) and owner.receiver == place.root.name


def mutate(
    it: Interpreter,
    base: Value,
    base_node: ir.Expr | None,
    ref: int,
    target: int,
    how: str,
    *,
    op: str = "",
    value: int = -1,
    static: bool = False,
    stored: Value | None = None,
    leaf: bool = False,
) -> None:
    """Record an edit of the object ``base``; ``leaf``: of a tree, it is one of the leaves."""
    if isinstance(base, Choice):
        for option, _ in base.options:
            mutate(
                it,
                option,
                base_node,
                ref,
                target,
                how,
                op=op,
                value=value,
                static=static,
                stored=stored,
                leaf=leaf,
            )
        return
    if not isinstance(base, Sym):
        return
    base = _collected(it, base)
    type_ = types.typeof(it, base)
    if leaf and type_.kind == "state" and type_.name.endswith(types.GRADIENT.name):
        type_ = Type("array", certain=False)
    if how != "setattr":
        defaults.note(it, base, "edited", ref)
        aliases.write(it, base, ref, target)
    seen, evidence = evidence_for(it, base, visible_to(base))
    made_here = base.root.kind == "local" and not base.path
    tree = base_node is not None and how != "setattr" and not made_here and type_.kind not in OBJECTS
    if tree and base_node is not None and _through_frozen(it, base_node):
        seen, evidence = "frozen", Confidence.HIGH
    fact = Mutation(
        it.context,
        ref,
        target,
        base,
        type_,
        how,
        seen,
        op,
        value,
        None,
        evidence,
        static,
        types.sources(it, stored) if seen and stored is not None and not static else frozenset(),
        it.frame.caught,
        it.state.path,
        _below_copy(it, base, base_node),
        any(Sym(base.root, base.path[:depth]) in it.frame.popped for depth in range(1, len(base.path) + 1)),
    )
    if how == "setattr" and base in it.frame.statics:
        statics.changed(it, base, fact)
    key = (ref, how)
    known = it.frame.facts.mutations.get(key)
    if known is None or (not known.visible and seen) or known.evidence < evidence:
        it.frame.facts.mutations[key] = fact


def _collected(it: Interpreter, place: Sym) -> Sym:
    """The object that a comprehension collected, for an item of its result of which it is not known which one it is."""
    origin = place.root.origin
    if not place.path or place.root.kind != "local" or origin is None or origin.verb != "comprehension":
        return place
    (kind, _), *below = place.path
    items = {at.path: item for at, item in it.state.held().get(place.root, ())}
    stored = [leaf for path, item in items.items() if len(path) == 1 for leaf in leaves(item)]
    held = [
        leaf for leaf in stored if not (isinstance(leaf, Sym) and leaf.root is place.root)
    ]  # never stored there
    first = held[0] if held and kind == "[" and place.path[:1] not in items else None
    if not isinstance(first, Sym) or any(
        not isinstance(leaf, Sym) or leaf.root.kind == "local" for leaf in held
    ):
        return place  # a copy, of some items at least
    return Sym(first.root, (*first.path, *below))


def _below_copy(it: Interpreter, place: Sym, node: ir.Expr | None) -> bool:
    """Whether the way to a place leads through a name of a shallow copy of what it belongs to."""
    while isinstance(node, ir.GetAttr | ir.GetItem):
        node = node.base
    held = it.state.env.get(node.id) if isinstance(node, ir.Name) and place.path else None
    base = held.root.base if isinstance(held, Sym) and held.root.kind == "local" and not held.path else None
    return base is not None and base.root is place.root


def hand(it: Interpreter, param: ir.Param, value: Value, ref: int, *, filled: bool) -> None:
    """Note that a call gives a state, or what may be one, to a parameter of a function of this module.

    ``filled``: the result is let go, so the call is there for what it does to its arguments.
    """
    if not isinstance(value, Sym):
        return
    root = value.root
    type_ = types.typeof(it, value)
    kind = ""
    if root.kind == "param":
        kind = "param"
    elif _is_state(type_) or (type_.kind == "state" and root.base is None):
        kind = "state"
    elif type_.kind in ("dict", "list") and _holds_arrays(it, root):
        kind = "dict"
    known = it.context.facts.handed.setdefault(param, []) if kind else []
    if kind and len(known) < _MANY and not any(handed.ref == ref for handed in known):
        handed = Handed(ref, kind, root)
        known.append(handed)
        for name, held in it.state.env.items() if not filled else ():
            if isinstance(held, Sym) and held.root is root:
                it.frame.handed.setdefault(name, []).append(handed)


def _holds_arrays(it: Interpreter, container: Root) -> bool:
    """Whether a container made here holds JAX arrays, or containers that do."""
    held = it.state.held()
    level, met = [container], {container}
    for _ in range(_LEVELS):
        found = [leaf for root in level for _, item in held.get(root, ()) for leaf in leaves(item)]
        if any(types.typeof(it, leaf).kind == "array" for leaf in found):
            return True
        level = list({leaf.root for leaf in found if isinstance(leaf, Sym)} - met)
        met.update(level)
    return False


def store_attribute(it: Interpreter, base: Value, target: ir.GetAttr, value: Value, node: object) -> None:
    """``base.name = value``."""
    if _put_back(it, base, target.name, value):
        return
    variables.edited(it, base, (".", target.name), getattr(node, "ref", target.ref))
    if isinstance(base, Sym):
        place = Sym(base.root, (*base.path, (".", target.name)))
        function = it.frame.function
        if base.root.kind == "param" and function is not None and base.root.name == function.receiver:
            it.frame.facts.edits_self = True
        it.state.heap[place] = value
        if base.root.kind != "local":
            defaults.note_value(it, value, "stored", getattr(node, "ref", target.ref), target.name)
            order.shows(it, value, "stored", getattr(node, "ref", target.ref))
        if isinstance(value, Sym):
            it.frame.moved.add(value.root)
        _note_kept(it, base, target.name, value)
        value_ref = getattr(getattr(node, "value", None), "ref", -1)
        op = node.op if isinstance(node, ir.AugAssign) else ""
        if not op:
            _note_stored(it, base, target.name, value)
        statement = getattr(node, "ref", target.ref)
        it.frame.assigned.setdefault((base.root, target.name), []).append((statement, "setattr"))
        mutate(
            it,
            base,
            target.base,
            statement,
            target.ref,
            "setattr",
            op=op,
            value=value_ref,
            static=types.is_static(it, value),
            stored=value,
        )
    elif isinstance(base, Choice):
        for option, _ in base.options:
            store_attribute(it, option, target, value, node)
    elif isinstance(base, ClassValue) and it.frame.function is not None:
        static = types.tells_shape(it, value)
        what = f"{base.info.name}.{target.name}"
        statement = getattr(node, "ref", target.ref)
        effect = Effect(
            it.context, target.ref, "global", what, statement, static=static, sources=types.sources(it, value),
            when=when_traced(it.state.path),
        )  # fmt: skip
        it.frame.facts.effects.setdefault(target.ref, effect)


def _put_back(it: Interpreter, base: Value, name: str, value: Value) -> bool:
    """Whether an attribute gets the value back that it had: then what was assigned in between is gone again."""
    if not isinstance(base, Sym) or not isinstance(value, Sym) or base.root.kind == "local":
        return False
    if value.root is not base.root or value.path[-1:] != ((".", name),):
        return False
    for key in it.frame.assigned.get((base.root, name), ()):
        it.frame.facts.mutations.pop(key, None)
    statics.put_back(it, base, name)
    it.state.heap.pop(Sym(base.root, (*base.path, (".", name))), None)
    return True


def _note_kept(it: Interpreter, base: Sym, name: str, value: Value) -> None:
    """Note what object of a library or of a class of the project, or which state, a constructor keeps."""
    function = it.frame.function
    if function is None or function.owner is None or function.name not in _CONSTRUCTORS:
        return
    cls = base.root.type.cls
    type_ = types.typeof(it, value)
    if base.root.owner is not function or base.path or cls is None or name in cls.attributes:
        return
    if type_.kind in OBJECTS or _is_state(type_) or type_.cls is not None:
        cls.attributes[name] = type_
    elif type_.kind == "state":
        twins = [at for at, held in it.state.heap.items() if held == value and at.root is base.root]
        shown = len(twins) > 1 or cls.shows(name)
        cls.attributes[name] = type_ if shown else Type("state", name=types.KEPT)


def _note_stored(it: Interpreter, base: Sym, name: str, value: Value) -> None:
    """Note what is stored under an attribute of a class, but for None and what arithmetic makes of it itself."""
    cls = types.typeof(it, base).cls
    place = base.child((".", name))
    own = (
        isinstance(value, Sym)
        and not value.path
        and value.root.origin is not None
        and value.root.origin.verb == "arithmetic"
        and place in value.root.made_of
    )
    if cls is not None and value != NOTHING and not own:
        cls.stored.setdefault(name, []).append(types.typeof(it, value))
        aliases.stored(it, cls, name, value)
        _note_given(it, cls, name, value)


def _note_given(it: Interpreter, cls: ClassInfo, name: str, value: Value) -> None:
    """Note that a constructor keeps what it is given."""
    function = it.frame.function
    if function is None or function.name != "__init__" or not isinstance(value, Sym) or value.path:
        return
    known = cls.given.get(name, ())
    if value.root.owner is function and value.root.name not in known:
        cls.given[name] = (*known, value.root.name)


def store_item(
    it: Interpreter, base: Value, index: tuple[object, ...], target: ir.GetItem, value: Value, node: object
) -> None:
    """``base[index] = value`` and ``base[index] op= value``."""
    statement = getattr(node, "ref", target.ref)
    value_ref = getattr(getattr(node, "value", None), "ref", -1)
    op = node.op if isinstance(node, ir.AugAssign) else ""
    variables.edited(it, base, ("[", index[0]) if len(index) == 1 else None, statement)
    if isinstance(value, Sym):
        it.frame.moved.add(value.root)
    order.placed(it, value, statement)
    if isinstance(base, Sym) and len(index) == 1 and not isinstance(index[0], Range | type(...)):
        it.state.heap[Sym(base.root, (*base.path, ("[", index[0])))] = value
    if isinstance(base, Sym | Choice):
        mutate(
            it,
            base,
            target.base,
            statement,
            target.ref,
            "setitem",
            op=op,
            value=value_ref,
            static=types.is_static(it, value),
            stored=value,
            leaf=len(index) > 1 or _indexes_arrays(it, index[0]),
        )


def _indexes_arrays(it: Interpreter, index: object) -> bool:
    """Whether only an array takes such an index: a slice, an ellipsis, another array."""
    return isinstance(index, Range | type(...)) or (
        isinstance(index, Sym) and types.typeof(it, index).kind in ("array", "numpy")
    )


def delete_item(
    it: Interpreter, base: Value, index: tuple[object, ...], target: ir.GetItem, node: ir.Delete
) -> None:
    """``del base[index]``."""
    variables.edited(it, base, ("[", index[0]) if len(index) == 1 else None, node.ref)
    if isinstance(base, Sym) and len(index) == 1 and not isinstance(index[0], Range):
        it.state.heap.pop(Sym(base.root, (*base.path, ("[", index[0]))), None)
    mutate(it, base, target.base, node.ref, target.ref, "delitem")


def augment_name(it: Interpreter, old: Value, target: ir.Name, value: Value, node: ir.AugAssign) -> None:
    """``x op= v``: rebinds for JAX arrays and numbers, edits in place for numpy arrays, lists and dicts."""
    if not isinstance(old, Sym):
        return
    if types.typeof(it, old).kind == "numpy":
        aliases.write(it, old, node.ref, target.ref)
    if node.op == "|" and not old.path and types.typeof(it, old).kind == "state":  # an item may be an array
        mutate(it, old, target, node.ref, target.ref, "|=")
    if old.path or old.root.kind != "param":
        return
    if node.op in ("+", "|", "&", "-", "^"):
        defaults.note(it, old, "edited", node.ref)
    if isinstance(value, Sym) and types.typeof(it, value).kind == "numpy" and value.root.base == old:
        # numpy made the right side from this very value: it is a buffer that the caller still holds.
        fact = Mutation(
            it.context, node.ref, target.ref, old, Type("numpy"), "augmented", "caller", node.op,
            node.value.ref,
            None, Confidence.MEDIUM,
        )  # fmt: skip
        it.frame.facts.mutations.setdefault((node.ref, "augmented"), fact)


def renew(it: Interpreter, target: ir.Name, op: str, new: Value, ref: int) -> None:
    """Note that a loop makes a new array of an old one under its name: ``x op= v``, or ``x = x op v``."""
    old = it.state.env.get(target.id)
    parts = new.root.made_of if isinstance(new, Sym) else ()
    if not isinstance(old, Sym) or any(types.typeof(it, part).kind in _CONTAINERS for part in (new, *parts)):
        return
    type_ = types.typeof(it, old)
    kind = "array" if not type_.kind and _is_among_arrays(it, old) else type_.kind
    if kind == "array" or (
        kind in ("state", "") and op != "|" and (kind or old.path)
    ):  # dicts are joined in place
        sure = type_.certain and not type_.name.startswith(callers.GIVEN)
        fact = Renewal(ref, target.id, old, kind, sure, op)
        it.frame.facts.renewals.setdefault(ref, fact)


def _is_among_arrays(it: Interpreter, place: Sym) -> bool:
    """Whether an item, it is not known which one, is of a container made here that holds nothing but JAX arrays."""
    if len(place.path) != 1 or place.root.kind != "local" or not isinstance(place.path[0][1], Sym):
        return False
    held = [item for at, item in it.state.held().get(place.root, ()) if at.path[0][0] == "["]
    return bool(held) and all(
        types.typeof(it, leaf).kind == "array" or leaf == place for item in held for leaf in leaves(item)
    )


def is_plain_container(it: Interpreter, base: Value) -> bool:
    """Whether a method of this value may be one of Python's own containers' methods."""
    type_ = types.typeof(it, base)
    if type_.kind in ("list", "dict", "set", "tuple", "", "state"):
        return True
    return type_.kind == "instance" and type_.cls is None and family_of(type_) == ""


def list_length(it: Interpreter, base: Sym) -> int | None:
    """How many items a list built here has, when that is known."""
    held = it.state.heap.get(Sym(base.root, (*base.path, ("#", 0))))
    if isinstance(held, Const) and isinstance(held.value, int):
        return held.value
    return None
