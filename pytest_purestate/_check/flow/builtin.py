"""What Python's own functions do to abstract values: iteration, containers, partial application."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from pytest_purestate._check import ir
from pytest_purestate._check.flow import edits, keys, loops, order, types
from pytest_purestate._check.flow.classes import ClassInfo, Field
from pytest_purestate._check.flow.values import (
    NOTHING,
    TRACING,
    UNKNOWN,
    Bound,
    ClassValue,
    Const,
    Ext,
    Func,
    Iter,
    Part,
    Partial,
    Root,
    Sym,
    Tup,
    Type,
    Value,
    bounded,
    leaves,
)

if TYPE_CHECKING:
    from pytest_purestate._check.flow.calls import Args
    from pytest_purestate._check.flow.interpret import Interpreter

__all__ = ["HANDLERS", "view"]


def view(name: str, base: Value) -> Value:
    """``items``, ``values`` or ``keys`` of a mapping, as something to loop over."""
    return Iter(name, (base,))


def _iterates(kind: str) -> Callable[[Interpreter, Args, int], Value]:
    def handler(it: Interpreter, args: Args, ref: int) -> Value:
        parts = [value for value, _ in args.pos]
        if kind == "enumerate" and "start" in args.kw:
            parts.append(args.kw["start"][0])
        return bounded(Iter(kind, tuple(parts), ref))

    return handler


def _tuple(it: Interpreter, args: Args, ref: int) -> Value:
    made = _list(it, args, ref) if args.pos else Tup(())
    if isinstance(made, Sym) and made.root.type.kind == "list":
        made.root.type = Type("tuple")
    return made


def _list(it: Interpreter, args: Args, ref: int) -> Value:
    """``list(x)``, ``tuple(x)``: a new container of the same elements."""
    if not args.pos:
        sym = it.fresh(Type("list"), ref, "list")
        it.state.heap[sym.child(("#", 0))] = Const(0)
        return sym
    value = args.pos[0][0]
    if isinstance(value, Iter) and value.kind == "map":
        return _mapped(it, value, ref)
    if isinstance(value, Tup | Part | Iter):
        return value
    if isinstance(value, Sym) and types.typeof(it, value).kind in ("list", "tuple"):
        return it.fresh(Type("list"), ref, "list", value)
    if isinstance(value, Sym) and types.typeof(it, value).kind == "dict":
        return view("keys", value)
    if isinstance(value, Sym) and types.typeof(it, value).kind == "keys":
        return value
    return order.fresh_list(it, ref, "list", order.source_of(it, value, args.pos[0][1]))


def _mapped(it: Interpreter, value: Iter, ref: int) -> Value:
    """``list(map(f, xs))`` calls ``f`` on every element."""
    passed = [0]

    def start(number: int) -> bool:
        passed[0] = number
        return True

    def body() -> None:
        loops.element(it, value, passed[0])

    loops.loop(it, start, body, loops.length(it, value))
    loops.join_breaks(it)
    return it.fresh(Type("list"), ref, "list")


def _set(it: Interpreter, args: Args, ref: int, kind: str = "set") -> Value:
    value = args.pos[0][0] if args.pos else NOTHING
    if isinstance(value, Iter) and value.kind == "range":
        type_ = order.set_type(it, [Const(0)])
    elif isinstance(value, Sym) and types.typeof(it, value).kind == "set":
        type_ = order.set_type(it, [Const(0)] if "number" in types.typeof(it, value).name else [])
    else:
        type_ = order.set_type(it, order.elements(it, value))
    return it.fresh(order.frozen(type_) if kind == "frozenset" else type_, ref, kind)


def _dict(it: Interpreter, args: Args, ref: int) -> Value:
    base = args.pos[0][0] if args.pos else None
    sym = it.fresh(Type("dict"), ref, "dict", base if isinstance(base, Sym) else None)
    for name, (value, _) in args.kw.items():
        it.state.heap[sym.child(("[", name))] = value
    return sym


def _defaultdict(it: Interpreter, args: Args, ref: int) -> Value:
    """``defaultdict(factory, x)``: a dict like another."""
    return _dict(it, replace(args, pos=args.pos[1:]), ref)


def _deque(it: Interpreter, args: Args, ref: int) -> Value:
    """A list whose length nobody keeps count of: it may have a bound."""
    source = order.source_of(it, args.pos[0][0], args.pos[0][1]) if args.pos else None
    return order.fresh_list(it, ref, "deque", source)


def _next(it: Interpreter, args: Args, ref: int) -> Value:
    if not args.pos:
        return NOTHING
    value = args.pos[0][0]
    if isinstance(value, Sym):
        type_ = types.typeof(it, value)
        if type_.kind == "stream":
            return it.fresh(Type("key"), ref, "next")
        if type_.cls is not None:
            method = type_.cls.find("__next__")
            if isinstance(method, Func):
                from pytest_purestate._check.flow.calls import call_value

                return call_value(it, Bound(value, "__next__", method), (), (), ref, "next")
        if value.root.kind == "free" or (value.root.kind == "param" and value.path):
            edits.mutate(it, value, None, ref, args.pos[0][1], "next")
        if type_.kind == "keys":
            # Each ``next`` takes an element nobody had before.
            return it.fresh(Type("key"), ref, "next")
    return it.fresh(UNKNOWN, ref, "next")


def _iter(it: Interpreter, args: Args, ref: int) -> Value:
    return args.pos[0][0] if args.pos else NOTHING


def _partial(it: Interpreter, args: Args, ref: int) -> Value:
    if not args.pos:
        return NOTHING
    func = args.pos[0][0]
    return bounded(
        Partial(
            func,
            tuple(value for value, _ in args.pos[1:]),
            tuple((name, value) for name, (value, _) in args.kw.items() if name != "**"),
        )
    )


def _getattr(it: Interpreter, args: Args, ref: int) -> Value:
    if len(args.pos) > 1 and isinstance(args.pos[1][0], Const) and isinstance(args.pos[1][0].value, str):
        return it.getattr(args.pos[0][0], args.pos[1][0].value, ref)
    return Sym(Root("local"))


def _setattr(it: Interpreter, args: Args, ref: int) -> Value:
    if len(args.pos) == 3:
        base, name, value = (entry[0] for entry in args.pos)
        if isinstance(base, Sym) and isinstance(name, Const) and isinstance(name.value, str):
            it.state.heap[base.child((".", name.value))] = value
            static = types.is_static(it, value)
            edits.mutate(it, base, None, ref, args.pos[0][1], "setattr", static=static, stored=value)
    return NOTHING


def _super(it: Interpreter, args: Args, ref: int) -> Value:
    function = it.frame.function
    if function is not None and function.owner is not None and function.params:
        held = it.state.env.get(function.params[0].name)
        info = it.class_of(function.owner)
        if isinstance(held, Sym) and info is not None:
            return _SuperProxy.make(it, info, held, ref)
    return it.fresh(UNKNOWN, ref)


class _SuperProxy:
    """``super()``: the same object, seen as an instance of the class's bases."""

    @staticmethod
    def make(it: Interpreter, value: ClassValue, held: Sym, ref: int) -> Value:
        for base in value.info.bases:
            if isinstance(base, ClassValue):
                return it.fresh(Type("instance", base.info), ref, "super", held)
        return it.fresh(UNKNOWN, ref, "super")


def _type(it: Interpreter, args: Args, ref: int) -> Value:
    """``type(self)``: the class again, so that ``type(self)(...)`` makes an instance."""
    if len(args.pos) == 1:
        type_ = types.typeof(it, args.pos[0][0])
        if type_.cls is not None:
            return ClassValue(type_.cls)
    return it.fresh(types.STATIC, ref, "type")


def _linen_apply(it: Interpreter, args: Args, ref: int) -> Value:
    """``nn.apply(fn, module, mutable=...)``: a function of the variables and the input."""
    kept = tuple((name, value) for name, (value, _) in args.kw.items() if name == "mutable")
    return Partial(Ext("flax.linen.Module.apply"), (), kept)


def _isinstance(it: Interpreter, args: Args, ref: int) -> Value:
    """Whether something is a tracer is a question of whether this is being traced."""
    asked = [leaf for value, _ in args.pos[1:2] for leaf in leaves(value) if isinstance(leaf, Ext)]
    found = [it.known.find(cls.name) for cls in asked]
    tracer = any(signature is not None and signature.returns == ("tracer",) for signature in found)
    return it.fresh(TRACING if tracer else Type("bool"), ref, "isinstance")


def _sorted(it: Interpreter, args: Args, ref: int) -> Value:
    return it.fresh(Type("list"), ref, "sorted")


def _copy(it: Interpreter, args: Args, ref: int) -> Value:
    value = args.pos[0][0] if args.pos else NOTHING
    return it.fresh(types.typeof(it, value), ref, "new:copy", value if isinstance(value, Sym) else None)


def _deepcopy(it: Interpreter, args: Args, ref: int) -> Value:
    value = args.pos[0][0] if args.pos else NOTHING
    if keys.is_key(it, value):
        return value
    return it.fresh(types.typeof(it, value), ref, "new:deepcopy")


def _field(it: Interpreter, args: Args, ref: int) -> Value:
    """``dataclasses.field(default=..., default_factory=...)``: remembers what instances start from."""
    sym = it.fresh(UNKNOWN, ref, "field")
    for name, (value, _) in args.kw.items():
        if name == "default":
            it.state.heap[sym.child((".", "default"))] = value
        elif name == "default_factory":
            from pytest_purestate._check.flow.calls import call_value

            made = call_value(it, value, (), (), ref, "default_factory")
            it.state.heap[sym.child((".", "made"))] = made
        elif (name, value) in (("pytree_node", Const(False)), ("static", Const(True))):
            it.state.heap[sym.child((".", "meta"))] = Const(True)
    return sym


def _items(it: Interpreter, value: Value) -> list[Value]:
    """What a tuple or list display holds, in order."""
    if isinstance(value, Tup):
        return list(value.items)
    if isinstance(value, Sym) and types.typeof(it, value).kind == "list":
        held = [(place.path[-1], item) for place, item in it.state.heap.items() if place.root is value.root]
        return [item for (kind, index), item in held if kind == "[" and isinstance(index, int)]
    return []


def _namedtuple(it: Interpreter, args: Args, ref: int) -> Value:
    """``namedtuple("State", "x key")`` and ``NamedTuple("State", [("x", Array), ...])``: a class like any other."""
    given = args.pos[1][0] if len(args.pos) > 1 else NOTHING
    if isinstance(given, Const) and isinstance(given.value, str):
        names: list[object] = [*given.value.replace(",", " ").split()]
    else:
        fields = [
            item.items[0] if isinstance(item, Tup) and item.items else item for item in _items(it, given)
        ]
        names = [field.value for field in fields if isinstance(field, Const)]
    title = args.pos[0][0] if args.pos else NOTHING
    name = title.value if isinstance(title, Const) and isinstance(title.value, str) else "namedtuple"
    cls = ir.Class(ref, name, name, (), (), (), it.frame.function)
    info = ClassInfo(cls, it.context, (Ext("collections.namedtuple"),))
    info.own_fields = {field: Field(field, UNKNOWN, ref, None) for field in names if isinstance(field, str)}
    return ClassValue(info)


HANDLERS: dict[str, Callable[[Interpreter, Args, int], Value]] = {
    "builtins.zip": _iterates("zip"),
    "builtins.enumerate": _iterates("enumerate"),
    "builtins.range": _iterates("range"),
    "builtins.reversed": _iterates("reversed"),
    "builtins.map": _iterates("map"),
    "builtins.list": _list,
    "builtins.tuple": _tuple,
    "builtins.dict": _dict,
    "builtins.set": _set,
    "builtins.frozenset": partial(_set, kind="frozenset"),
    "builtins.next": _next,
    "builtins.iter": _iter,
    "builtins.getattr": _getattr,
    "builtins.setattr": _setattr,
    "builtins.isinstance": _isinstance,
    "builtins.super": _super,
    "builtins.type": _type,
    "builtins.sorted": _sorted,
    "collections.namedtuple": _namedtuple,
    "collections.defaultdict": _defaultdict,
    "collections.OrderedDict": _dict,
    "collections.Counter": _dict,
    "collections.deque": _deque,
    "typing.NamedTuple": _namedtuple,
    "flax.linen.apply": _linen_apply,
    "functools.partial": _partial,
    "jax.tree_util.Partial": _partial,
    "dataclasses.field": _field,
    "flax.struct.field": _field,
    "equinox.field": _field,
    "copy.copy": _copy,
    "copy.deepcopy": _deepcopy,
}
