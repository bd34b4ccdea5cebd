"""Successors: values that take the place of others, and those among them that are lost.

``tx.update`` makes the successor of an optimizer state, ``apply(..., mutable=...)`` that of a model's collections,
``apply_gradients`` that of a training state. Which function makes one of what is data (``apis``); a function of the
project that returns one makes one. A successor that got a name (or was left behind in a tuple) and is never looked at
is lost; what matters then is whether the old value lives on, and whether the work done with it was used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from pytest_purestate._check import ir
from pytest_purestate._check.apis import Signature
from pytest_purestate._check.flow import types
from pytest_purestate._check.flow.facts import Lost
from pytest_purestate._check.flow.frame import Product
from pytest_purestate._check.flow.results import flows_of, last_only, reaches
from pytest_purestate._check.flow.values import (
    NOTHING,
    UNKNOWN,
    Choice,
    Const,
    Iter,
    Root,
    Succession,
    Sym,
    Tup,
    Type,
    Value,
    leaves,
    spelled,
)

if TYPE_CHECKING:
    from pytest_purestate._check.flow.calls import Args
    from pytest_purestate._check.flow.frame import Frame
    from pytest_purestate._check.flow.interpret import Interpreter
    from pytest_purestate._check.flow.state import State

__all__ = [
    "assemble",
    "collections",
    "find_lost",
    "guessed_update",
    "handed_on",
    "is_step",
    "left_behind",
    "method",
    "name",
    "note_result",
    "part",
    "succeed",
]

_OPTIMIZER_STATE = re.compile(
    r"(opt|optim|optimi[sz]er|tx|internal|inner)\w*_state|opt_?state|optimi[sz]er_state|(^|_)(opt|optim)$"
)
_STEPPED = ("params", "opt_state", "step")
_APPLIES = re.compile(r"_*apply_?updates$", re.IGNORECASE)
_MEASURES = ("array", "number", "static", "str", "none")
_STEPS = ("params", "optimizer")
_Made: TypeAlias = tuple[Succession | None, tuple[tuple[int, int], ...]]


# --- making one ----------------------------------------------------------------------------


def succeed(
    it: Interpreter,
    signature: Signature,
    receiver: Sym | None,
    args: Args,
    ref: int,
    verb: str,
    result: Value,
) -> Value:
    """The result of a call that makes a successor, marked as one."""
    wanted = signature.succeeds[0]
    given = args.given(signature.params, wanted, receiver, ref)
    if given is None:
        return result
    if signature.role == "collections" and not isinstance(result, Tup):
        return collections(it, given[0], args, ref, result)
    if signature.returns[0] == "same":
        result = it.fresh(types.typeof(it, result), ref, f"new:{verb}")
    if signature.role == "collections":
        if any(value == Const(False) for value, _ in args.every()):
            return result  # it does not train: ``is_training=False``
        params = args.named(signature.params, signature.params[0])
        made = result.items[-1] if isinstance(result, Tup) else result
        if isinstance(made, Sym) and isinstance(given[0], Sym | Choice):
            beside = params[0] if params is not None else None
            made.root.succeeds = Succession(given[0], "collections", sure=False, params=beside)
        return result
    mark(result.items[-1] if isinstance(result, Tup) else result, given[0], signature.role, args)
    return result


def mark(made: Value, old: Value, role: str, args: Args | None = None) -> None:
    """Note that ``made`` takes the place of ``old``; a copy with new parameters is what an optimizer step makes."""
    if (
        not isinstance(made, Sym)
        or made.path
        or made.root.kind != "local"
        or not isinstance(old, Sym | Choice)
    ):
        return
    if role == "fields" and args is not None:
        given = (leaf for value, _ in args.kw.values() for leaf in leaves(value))
        if any((known := succession_of(leaf)) is not None and known.role in _STEPS for leaf in given):
            role = "params"
    made.root.succeeds = Succession(old, role)


def assemble(it: Interpreter, made: Sym, fields: Sequence[str]) -> None:
    """Note that an instance takes the place of the one from whose fields an optimizer step made its fields."""
    for field in fields:
        known = succession_of(it.state.heap.get(made.child((".", field)), NOTHING))
        if known is None or known.role not in _STEPS or not isinstance(known.old, Sym):
            continue
        if known.old.path[-1:] == ((".", field),):
            made.root.succeeds = Succession(Sym(known.old.root, known.old.path[:-1]), "params", known.sure)
            return


def succession_of(value: Value) -> Succession | None:
    return value.root.succeeds if isinstance(value, Sym) and not value.path else None


def guessed_update(it: Interpreter, args: Args, ref: int, result: Value) -> Value:
    """What ``x.update(grads, opt_state, ...)`` gives when nothing but its shape says that ``x`` is an optimizer."""
    given = args.named(("updates", "state", "params"), "state")
    if given is None or len(args.pos) + len(args.kw) < 2 or args.star:
        return result
    old = given[0]
    if not isinstance(old, Sym | Choice):
        return result
    named = _OPTIMIZER_STATE.search(args.names.get(given[1], "")) is not None
    if not named and (
        len(args.pos) + len(args.kw) != 3 or args.named(("updates", "state", "params"), "params") is None
    ):
        return result
    made = it.fresh(UNKNOWN, ref, "update")
    made.root.succeeds = Succession(old, "optimizer", sure=False, named=named)
    return Tup((it.fresh(UNKNOWN, ref, "update"), made))


def collections(it: Interpreter, old: Value, args: Args, ref: int, result: Value) -> Value:
    """The result of ``apply``: with ``mutable``, a pair of the output and the collections as they are then."""
    given = args.kw.get("mutable")
    names = _collections(it, given[0]) if given is not None else None
    if names is None:
        return result
    made = it.fresh(Type("state"), ref, "collections")
    params = it.step(old, ("[", "params")) if isinstance(old, Sym) else None
    held = tuple(it.step(old, ("[", name)) for name in names) if isinstance(old, Sym) else ()
    made.root.succeeds = Succession(old, "collections", names=names, params=params, held=held)
    return Tup((result, made))


def _collections(it: Interpreter, value: Value) -> tuple[str, ...] | None:
    """The names of the collections that ``mutable`` lists, none where it does not say; None when there are none."""
    if isinstance(value, Const):
        return None if not value.value else (value.value,) if isinstance(value.value, str) else ()
    items: Sequence[Value] = ()
    if isinstance(value, Iter) and value.kind == "keys" and isinstance(value.parts[0], Sym):
        root = value.parts[0].root
        steps = (place.path[0] for place in it.state.heap if place.root is root and len(place.path) == 1)
        items = [Const(name) for kind, name in steps if kind == "[" and isinstance(name, str)]
    elif isinstance(value, Tup):
        items = value.items
    elif (
        isinstance(value, Sym)
        and types.typeof(it, value).kind in ("list", "set")
        and value.root.kind == "local"
    ):
        items = [
            held
            for place, held in it.state.heap.items()
            if place.root is value.root and place.path[-1][0] == "["
        ]
        if not items and value.root.size is None and it.state.heap.get(value.child(("#", 0))) == Const(0):
            return None
    names = [item.value for item in items if isinstance(item, Const) and isinstance(item.value, str)]
    return tuple(names) if len(names) == len(items) else ()


def note_result(it: Interpreter, ref: int, name: str, result: Value) -> None:
    """Note what a call is to the values that flow into it: a step with them, or a measure of them."""
    frame = it.frame
    if _APPLIES.search(name):
        frame.applied.add(ref)
    if isinstance(result, Tup | Choice):
        found = [known for leaf in leaves(result) if (known := succession_of(leaf)) is not None]
    else:
        known = succession_of(result)
        found = [known] if known is not None else []
        kind = types.typeof(it, result).kind
        if kind in _MEASURES and result != NOTHING:
            frame.measures.add(ref)
        if kind == "static":
            frame.outlines.add(ref)
    for known in found:
        if known.role == "params":
            frame.applied.add(ref)
            frame.advanced.update(leaf for leaf in leaves(known.old) if isinstance(leaf, Sym))
        elif known.role == "optimizer" and not any(other.role == "params" for other in found):
            frame.measures.add(ref)  # another optimizer's: what it gives is its own


def is_step(it: Interpreter, trees: Sequence[Value]) -> bool:
    """Whether trees that are put together may be parameters and what moves them: not if all are gradients, or none is
    known to be either."""
    moved = [any(_is_gradient(it, leaf) for leaf in leaves(tree)) for tree in trees]
    return not all(moved) and (
        any(moved) or any(_is_trained(it, leaf) for tree in trees for leaf in leaves(tree))
    )


def _is_gradient(it: Interpreter, value: Value) -> bool:
    return types.typeof(it, value).name == types.GRADIENT.name


def _is_trained(it: Interpreter, value: Value) -> bool:
    """Whether a value is given to a model, differentiated by, or made by an optimizer."""
    if not isinstance(value, Sym):
        return False
    frame = it.frame
    return (
        value.root in frame.facts.state_like
        or succession_of(value) is not None
        or any(_meet(value, other) for other in frame.advanced)
    )


# --- losing one ----------------------------------------------------------------------------


def name(it: Interpreter, value: Value, target: ir.Name, node: object) -> None:
    """Note that a successor got a name."""
    frame = it.frame
    if not isinstance(node, ir.Assign | ir.Annotated) or not isinstance(node.value, ir.Call):
        return
    seen = target.id in frame.declared or (frame.function is None and not target.id.startswith("_"))
    for root in _successors(value):
        old = _variable(it, root)
        frame.products.setdefault(root, Product(node.value.ref, target.ref, target.id, frame.passes, old))
        if seen:  # others may look at it
            frame.looked.add(root)
            frame.whole.add(root)


def _variable(it: Interpreter, made: Root) -> str:
    """The variable that holds the value whose place a successor takes."""
    old = made.succeeds.old if made.succeeds is not None else None
    names = (name for name, held in it.state.env.items() if isinstance(held, Sym) and held == old)
    return next(names, "")


def handed_on(frame: Frame, value: Value | None) -> None:
    """Note that the whole of a value is looked at, with the successors it holds."""
    for leaf in leaves(value) if value is not None else ():
        if isinstance(leaf, Sym) and leaf.root.succeeds is not None and not leaf.path:
            frame.whole.add(leaf.root)


def part(it: Interpreter, base: Value, key: object) -> None:
    """Note that an element of a successor is looked at; all of it, where it is not known which."""
    if isinstance(base, Sym) and base.root.succeeds is not None and not base.path:
        if isinstance(key, str):
            it.frame.taken.setdefault(base.root, set()).add(key)
        else:
            it.frame.whole.add(base.root)


def method(it: Interpreter, base: Value, name: str, result: Value) -> None:
    """Note that a method of a successor is called: it may look at all of it, unless it makes the next one."""
    if isinstance(base, Sym) and base.root.succeeds is not None and name != "apply_fn":
        known = succession_of(result)
        if known is None or known.old != base:
            it.frame.whole.add(base.root)


def left_behind(it: Interpreter, value: Value, call: ir.Call, statement: int) -> None:
    """Note the successors in a result of which no part, or only another part, is taken."""
    for root in _successors(value):
        it.frame.products.setdefault(root, Product(call.ref, statement, "", it.frame.passes))


def _successors(value: Value) -> Iterator[Root]:
    for leaf in leaves(value) if isinstance(value, Choice | Tup) else (value,):
        if isinstance(leaf, Sym) and succession_of(leaf) is not None and leaf.root.kind == "local":
            yield leaf.root


def find_lost(it: Interpreter, frame: Frame) -> None:
    """The successors that nobody looks at, with what became of the values whose place they were to take."""
    frame.facts.steps = not frame.applied <= frame.joined
    groups: dict[int, list[tuple[Root, Product]]] = {}
    if frame.replays:
        return
    for root, product in frame.products.items():
        groups.setdefault(product.ref, []).append((root, product))
    carried = [(root, product) for root, product in frame.products.items() if root in frame.looked]
    used = {product.call for root, product in carried if _role(root) == "params"}
    sites = {(_site(root), top) for root, _ in carried for top in _tops(root)}
    whole = {(_site(root), top) for root, _ in carried if root in frame.whole for top in _tops(root)}
    followed = {
        old.root
        for root in frame.products
        if root.succeeds is not None
        for old in leaves(root.succeeds.old)
        if isinstance(old, Sym) and not old.path
    }
    body = frame.function.body if frame.function is not None else it.context.lowered.module.body
    for ref, group in groups.items():
        parts = any(root in frame.looked for root, _ in group)
        if (found := _last_only(frame, body, ref, group)) is not None:
            frame.facts.lost.setdefault(ref, found)
        if any(root in frame.whole for root, _ in group) or group[0][1].name in frame.crowded:
            continue
        root, product = group[0]
        known = root.succeeds
        if known is None or (frame.hurried and not product.name.startswith("_") and product.name):
            continue
        olds = _line(known.old)
        if not olds or root in followed:
            continue
        names = known.names
        if parts and known.role == "collections":
            took = {key for other, _ in group for key in frame.taken.get(other, ())}
            rest = [
                (name, old)
                for name, old in zip(names, known.held, strict=False)
                if name not in took and isinstance(old, Sym)
            ]
            names = tuple(name for name, _ in rest)
            olds = [old for _, old in rest]
        through = (
            root.origin is None or root.origin.context is not it.context or root.origin.ref != product.call
        )
        if through and any((_site(root), top) in (whole if parts else sites) for top in _tops(root)):
            continue  # one function run more than once, as sharpness-aware training does, of which one run counts
        fields = [] if parts or known.role != "fields" else _fields(frame, root, olds)
        made = [(root.succeeds, product.passes) for root, product in group]
        kept, where, field = _kept(it, frame, olds, fields, made)
        if not kept and known.role == "optimizer" and _anew(frame, group):
            kept = "anew"
        elif not kept and known.role == "optimizer" and not product.passes and _is_started(known.old):
            kept = "call"
        applied = "goal" if through and product.call in used else ""
        if not through and known.role == "optimizer":
            applied = reaches(flows_of(body), product.call, frame.applied, frame.measures)
        frame.facts.lost.setdefault(
            ref,
            Lost(
                ref, product.call, product.name, known.role, _called(olds, product.old), kept, where, applied,
                known.sure, through, names, root.origin, _trained(frame, known), any(_role(other) == known.role for other, _ in carried),
                parts, known.named, field,
            ),
        )  # fmt: skip


def _last_only(frame: Frame, body: ir.Block, ref: int, group: Sequence[tuple[Root, Product]]) -> Lost | None:
    """A step that every pass of a loop takes from the same state, and of which only the last is kept."""
    (root, product), *others = group
    known = root.succeeds
    if known is None or known.role != "params" or not product.name or product.name.startswith("_"):
        return None
    again = [
        other.succeeds
        for other, made in others
        if other.succeeds is not None and made.passes != product.passes
    ]
    if not any(later.old == known.old for later in again) or not last_only(body, ref, product.name):
        return None
    olds = _line(known.old)
    if not olds:
        return None
    return Lost(
        ref, product.call, product.name, known.role, _called(olds), "last", -1, "", known.sure,
        through=True, names=(), origin=None, trained="", others=False, parts=False, named=True,
    )  # fmt: skip


def _line(old: Value) -> list[Sym]:
    """The values whose place a successor takes: the one before it, and the one before that."""
    line = [leaf for leaf in leaves(old) if isinstance(leaf, Sym)]
    for sym in line:
        before = succession_of(sym)
        if before is not None:
            line += [leaf for leaf in leaves(before.old) if isinstance(leaf, Sym) and leaf not in line]
    return line


def _role(root: Root) -> str:
    return root.succeeds.role if root.succeeds is not None else ""


def _tops(root: Root) -> set[Root | None]:
    """The objects that the state of an optimizer takes the place of; two optimizers may share a function.

    Of other successors it does not matter.
    """
    known = root.succeeds
    if known is None or known.role != "optimizer":
        return {None}
    return {old.root for old in _line(known.old)}


def _site(root: Root) -> tuple[object, int] | None:
    return (root.origin.context, root.origin.ref) if root.origin is not None else None


def _trained(frame: Frame, known: Succession) -> str:
    """Whether the parameters of a model are those that the function is differentiated by (``own``) or that it advances.

    ``other``: it advances others. Nothing where that is not known.
    """
    place = known.params
    if not isinstance(place, Sym):
        return ""
    if frame.advanced:
        return "advanced" if any(_meet(place, other) for other in frame.advanced) else "other"
    first = next((sym.root for _, sym in frame.params), None)
    return "own" if place.root is first or (known.sure and place.root.kind != "free") else ""


def _meet(place: Sym, other: Sym) -> bool:
    """Whether one of the two is the other, or a part of it."""
    return place.root is other.root and all(a == b for a, b in zip(place.path, other.path, strict=False))


def _called(olds: Sequence[Sym], variable: str = "") -> str:
    """What the old value is called: as it came in, or as the variable that holds it if it is an item of something."""
    if variable and olds and any(kind == "[" for kind, _ in olds[0].path):
        return variable
    outside = [old for old in olds if old.root.kind != "local"]
    names = [old.root.name + spelled(old.path) for old in (*outside, *olds) if old.root.name]
    return names[0] if names else "the old value"


def _fields(frame: Frame, made: Root, olds: Sequence[Sym]) -> list[Sym]:
    """The old values of the fields that a copy was given new values for."""
    state = frame.state or frame.last
    steps = {place.path[0] for place in state.heap if place.root is made and len(place.path) == 1}
    return [old.child(step) for old in olds for step in steps]


def _kept(
    it: Interpreter, frame: Frame, olds: Sequence[Sym], fields: Sequence[Sym], made: Sequence[_Made]
) -> tuple[str, int, str]:
    """How the old value lives on: returned, kept by self, met again by the loop, or by the caller; where, and what of it."""
    (first, before), *others = made
    for known, passes in others:
        if first is not None and known is not None and known.old == first.old and passes != before:
            return "loop", -1, ""
    for number, (value, state) in enumerate(frame.returns):
        back = next((old for old in (*olds, *fields) if _hands_back(it, frame, value, state, old)), None)
        if back is not None:
            only = "" if back in olds else str(back.path[-1][1])
            return "returned", frame.exits[number] if number < len(frame.exits) else -1, only
    function = frame.function
    for old in olds:
        if old.root.kind == "param":
            own = (
                function is not None
                and function.owner is not None
                and function.params[0].name == old.root.name
            )
            return ("self" if own and old.path else "caller"), -1, ""
    return ("captured" if any(old.root.kind == "free" for old in olds) else ""), -1, ""


def _anew(frame: Frame, group: Sequence[tuple[Root, Product]]) -> bool:
    """Whether each pass of a loop makes the optimizer's state anew, while the parameters go on from pass to pass."""
    olds = [(root.succeeds.old, product) for root, product in group if root.succeeds is not None]
    starts = [
        (old.root, product)
        for old, product in olds
        if isinstance(old, Sym) and _is_started(old) and product.passes
    ]
    if len(starts) < 2 or starts[0][0] is starts[1][0] or starts[0][1].passes == starts[1][1].passes:
        return False
    steps = [root for root in frame.products if _role(root) == "params"]
    return any(
        isinstance(step.succeeds.old, Sym) and step.succeeds.old.root in steps
        for step in steps
        if step.succeeds is not None
    )


def _is_started(old: Value) -> bool:
    """Whether a value is what ``init`` of an optimizer gave here."""
    origin = old.root.origin if isinstance(old, Sym) and not old.path else None
    return origin is not None and origin.verb in ("new:init", "init")


def _advanced(made: Sym, old: Sym) -> Sym | None:
    """The state that an optimizer step was made of, if it leaves alone what ``old`` is a part of."""
    known = made.root.succeeds
    if known is None or known.role != "params" or not isinstance(known.old, Sym):
        return None
    below = old.path[len(known.old.path) :]
    return known.old if below and below[0][1] not in _STEPPED else None


def _hands_back(it: Interpreter, frame: Frame, value: Value, state: State, old: Sym) -> bool:
    """Whether a result holds the old value, by itself or in a container, an instance or a copy made here."""
    outer, frame.state = frame.state, state
    held = state.held()
    todo, met = [value], set()
    found = False
    while todo and not found:
        for leaf in leaves(todo.pop()):
            if leaf == old:
                found = True
            elif isinstance(leaf, Sym) and leaf not in met and leaf.root.kind == "local":
                met.add(leaf)
                todo.extend(item for place, item in held.get(leaf.root, ()) if place.path[:-1] == leaf.path)
                base = leaf.root.base
                line = {leaf.root}
                while base is not None and base.root.kind == "local" and not base.path:
                    line.add(base.root)
                    base = base.root.base or _advanced(base, old)
                if base is not None and base.root is old.root and old.path[: len(base.path)] == base.path:
                    rest = old.path[len(base.path) :]
                    place: Value = leaf
                    for step in rest:
                        place = it.step(place, step)
                    untouched = isinstance(place, Sym) and place.root in line and place not in state.heap
                    found = found or (bool(rest) and (place == old or untouched))
            elif isinstance(leaf, Sym) and leaf.root is old.root and leaf.path == old.path[: len(leaf.path)]:
                found = old not in state.heap and not any(
                    Sym(old.root, old.path[:depth]) in state.heap
                    for depth in range(len(leaf.path), len(old.path))
                )
    frame.state = outer
    return found
