"""Keys: spending them, noticing a second time, and what became of the children of a split."""

from __future__ import annotations

import ast
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, NamedTuple

from msgspec import structs

from pytest_purestate._check import ir
from pytest_purestate._check.apis import OBJECTS
from pytest_purestate._check.flow import generators, order, summarise, types
from pytest_purestate._check.flow.classes import is_frozen
from pytest_purestate._check.flow.facts import (
    Broadcast,
    Captured,
    ConstantKey,
    Reuse,
    Seed,
    Split,
    Stale,
    Successor,
    Swap,
    draws,
)
from pytest_purestate._check.flow.results import (
    Results,
    children,
    flows_of,
    only_feeds,
    reaches,
    reads,
    results_of,
)
from pytest_purestate._check.flow.state import MAX_OPTIONS
from pytest_purestate._check.flow.values import (
    FOLD,
    NOTHING,
    UNKNOWN,
    Choice,
    Const,
    Ext,
    Func,
    Guards,
    Iter,
    Linear,
    Origin,
    Part,
    Partial,
    Path,
    Range,
    Root,
    Step,
    Sym,
    Tup,
    Type,
    Use,
    Value,
    Wrapped,
    contradicts,
    is_folded,
    leaves,
    overlap,
    spelled,
)
from pytest_purestate._check.model import Confidence

if TYPE_CHECKING:
    from pytest_purestate._check.flow.interpret import Frame, Interpreter
    from pytest_purestate._check.flow.state import State

__all__ = [
    "finish",
    "is_called_key",
    "is_key",
    "keys_inside",
    "label_of",
    "looks_like_key",
    "mark_read",
    "may_be_key",
    "name_successor",
    "note_constant_field",
    "note_made",
    "note_seed",
    "note_told",
    "of_one_seed",
    "record_split",
    "skips_a_loop",
    "spend",
    "spend_kept",
    "spent_places",
]

_KEY_NAME = re.compile(
    r"(^|_)(key|keys|rng|rngs|prng|prngkey|prng_key|subkey|seed_key|k|rng_key|subrng)\d*($|_)"
)
_NEVER_KEYS = OBJECTS.union(("entropy", "str", "number", "numpy", "set", "bool"))
_ASKED = frozenset(("key", "rng", "rngs", "rng_key", "prng_key", "seed"))
_PAIRED = frozenset(("permutation", "choice", "shuffle"))


def looks_like_key(name: str) -> bool:
    """Whether a name is one that people give to keys. Only ever breaks ties."""
    return _KEY_NAME.search(name) is not None


def label_of(place: Sym) -> str:
    """The last name on the way to a place."""
    for kind, name in reversed(place.path):
        if kind == "." or isinstance(name, str):
            return str(name)
    return place.root.name


def is_key(it: Interpreter, value: Value) -> bool:
    """Whether a value is known to be a key: by origin, by annotation, or because it was spent as one."""
    if isinstance(value, Sym | Part):
        if types.typeof(it, value).kind in ("key", "keys"):
            return True
        base = value if isinstance(value, Sym) else value.base
        return any(
            use.strong and _is_part(path, base.path) and overlap(path, base.path)
            for path, use in it.state.spent.get(base.root, ())
        )
    return False


def _is_part(spent: Path, path: Path) -> bool:
    """Whether a key that was spent may be an element of what lies at a path: an object that holds a key is none."""
    return all(kind != "." for kind, _ in spent[len(path) :])


def is_called_key(it: Interpreter, value: Value) -> bool:
    """Whether a value is a key, or has a name that keys have: enough where the callee is known to want one."""
    return is_key(it, value) or (isinstance(value, Sym) and looks_like_key(label_of(value)))


def may_be_key(it: Interpreter, value: Value) -> bool:
    """Whether a value is a key, or nothing is known of it but a name that keys have: it may be spent later."""
    if is_key(it, value):
        return True
    return isinstance(value, Sym) and types.typeof(it, value) == UNKNOWN and looks_like_key(label_of(value))


def keys_inside(it: Interpreter, value: Value) -> list[Value]:
    """The keys in a tuple or list display, in order; empty when there is anything else."""
    if isinstance(value, Tup):
        items = list(value.items)
    elif isinstance(value, Sym) and types.typeof(it, value).kind == "list":
        items = [
            held
            for place, held in it.state.heap.items()
            if place.root is value.root
            and len(place.path) == len(value.path) + 1
            and place.path[-1][0] == "["
        ]
    else:
        return []
    return items if items and all(is_key(it, item) for item in items) else []


class _Met(NamedTuple):
    """What a walk through containers knows. They may hold themselves, and one thing many times over."""

    held: dict[Root, list[tuple[Sym, Value]]]
    containers: set[Sym]


def spent_places(
    it: Interpreter, value: Value, guards: Guards, met: _Met | None = None
) -> Iterator[tuple[Sym, Guards]]:
    """The key places inside a value, each with the guards under which it is there."""
    if isinstance(value, Sym):
        if met is not None and value in met.containers:
            return
        kind = types.typeof(it, value).kind
        depth = len(value.path)
        inside = [
            (place, held)
            for place, held in (it.state.heap.items() if met is None else met.held.get(value.root, ()))
            if place.root is value.root and len(place.path) == depth + 1 and place.path[:depth] == value.path
        ]
        if inside and kind in ("dict", "list", "tuple", "keys", "instance", "set", ""):
            met = _Met(it.state.held(), set()) if met is None else met
            met.containers.add(value)
            for place, held in inside:
                if place.path[-1][0] == "[" and held != place:
                    yield from spent_places(it, held, guards, met)
            return
        yield value, guards
    elif isinstance(value, Part):
        yield Sym(value.base.root, (*value.base.path, ("[", Range(value.start, value.stop)))), guards
    elif isinstance(value, Tup):
        for item in value.items:
            yield from spent_places(it, item, guards, met)
    elif isinstance(value, Choice):
        for option, when in value.options:
            if not contradicts(when, guards):
                yield from spent_places(it, option, {**guards, **when}, met)
    elif isinstance(value, Iter) and value.kind in ("list", "reversed", "enumerate", "zip"):
        for part in value.parts:
            yield from spent_places(it, part, guards, met)


def spend_kept(
    it: Interpreter,
    value: Value,
    ref: int,
    call: int,
    verb: str,
    kind: str,
    *,
    maybe: bool = False,
    guards: Guards | None = None,
) -> None:
    """Spend the keys that functions hold, as ``seed(model, key)`` does, because they are called."""
    if isinstance(value, Choice):
        for option, when in value.options:
            held = {**(guards or {}), **when}
            spend_kept(it, option, ref, call, verb, kind, maybe=maybe, guards=held)
    elif isinstance(value, Wrapped | Partial):
        if isinstance(value, Wrapped):
            for key, holder in value.keeps:
                context, given, _ = holder
                name = key.root.name + spelled(key.path) if isinstance(key, Sym) else ""
                spend(
                    it, key, given if context is it.context else ref, call, verb, kind, True, maybe=maybe, guards=guards, param=name, holder=holder
                )  # fmt: skip
        for part in (value.func, *(value.args if isinstance(value, Partial) else ())):
            spend_kept(it, part, ref, call, verb, kind, maybe=maybe, guards=guards)


def spend(
    it: Interpreter,
    value: Value,
    ref: int,
    call: int,
    verb: str,
    kind: str,
    strong: bool,
    *,
    inner: Use | None = None,
    maybe: bool = False,
    guards: Guards | None = None,
    param: str = "",
    owner: ir.Class | None = None,
    by_self: bool = False,
    below: str = "",
    captured: bool = False,
    holder: object = None,
    sized: bool = False,
    renewed: bool = False,
) -> None:
    """Spend every key in ``value``; a key that was spent before on this path becomes a Reuse fact."""
    frame = it.frame
    state = it.state
    if isinstance(value, Const | Linear):
        return
    path = state.path if not guards else {**state.path, **guards}
    places = list(spent_places(it, value, path))
    if not strong and any(place != value for place, _ in places) and _is_mixed(it, places):
        return  # a state that has a key among other things: what is done with it is not drawing
    for place, when in places:
        type_ = types.typeof(it, place)
        if type_.kind in _NEVER_KEYS or (
            type_.kind in ("array", "state", "instance") and type_.certain and kind != "call"
        ):
            continue
        if not strong and type_.kind not in ("key", "keys") and not looks_like_key(label_of(place)):
            continue
        inside = "" if place == value or isinstance(value, Part | Choice) else _named(it, place)
        use = Use(
            it.context, ref, call, verb, kind, strong, when, frame.passes, inner, maybe, frame.replay, param,
            frame.mapped,
            owner, by_self, frame.repeats, below, holder,
            inside, sized, place.root in frame.bound, renewed,
        )  # fmt: skip
        entries = state.spent.get(place.root, ())
        _meet(it, place, type_, use, entries)
        state.spent[place.root] = (*entries, (place.path, use))
        _mark_spent(frame, place, use)
        if place.root.type.kind == "keys" and draws(use):
            _note_drawn(frame, place)
        if kind == "split":
            order.split(it, place, ref)
        if frame.replays:
            continue
        if strong or (kind == "unknown" and param in _ASKED):
            _note_constant(frame, place, use)
        if strong:
            _note_broadcast(frame, place, type_, use, captured)


def _named(it: Interpreter, place: Sym) -> str:
    """The name of a key in a container: its own, or that of a variable which holds it; empty where it has none."""
    if place.root.name:
        return place.root.name + spelled(place.path)
    return next((name for name, value in it.state.env.items() if value == place), "")


def _is_mixed(it: Interpreter, places: Sequence[tuple[Sym, Guards]]) -> bool:
    """Whether there is anything among these places that is known, and is no key."""
    types_ = [types.typeof(it, place) for place, _ in places]
    return any(type_.kind not in ("", "key", "keys") for type_ in types_)


def _note_constant(frame: Frame, place: Sym, use: Use) -> None:
    """Note a draw from a key made of a constant in the same loop pass, or the same call: each repeats it."""
    root = place.root
    if root.constant is None or root.origin is None or root.origin.context is not frame.context:
        return
    ref, name = root.origin.ref, root.constant
    if root.passes and root.passes == use.passes[: len(root.passes)]:
        # A name says that the passes are meant to share it, as those over several methods do.
        if not name and root.passes[-1][0] not in frame.sweeps:
            frame.facts.constants.setdefault(ref, ConstantKey(ref, "loop", use, Confidence.HIGH))
    elif frame.function is not None and frame.function.params and not frame.context.facts.is_test:
        fallback = any(isinstance(guard, tuple) and guard[0] == "none" for guard in use.guards)
        kind = _deepest(use).kind
        known = (
            kind == "draw"
            or (kind == "split" and not use.sized)  # without data it makes an example of a shape
            or (kind == "unknown" and use.param in _ASKED)
        )
        if known and not fallback and not is_folded(place.path):
            frame.facts.constants.setdefault(ref, ConstantKey(ref, "trace", use, Confidence.MEDIUM, name))


def fixed_seed(
    it: Interpreter, given: tuple[Value, int], literals: Container[int], names: Mapping[int, str]
) -> str | None:
    """The variable with a literal value that a seed is, or an empty string for a literal; None for others."""
    value, ref = given
    if ref in literals:
        return ""
    if isinstance(value, Const) and isinstance(value.value, int):
        return names.get(ref)
    if isinstance(value, Sym) and len(value.path) == 1 and (cls := value.root.type.cls) is not None:
        name = str(value.path[0][1])
        held = cls.find(name)
        constant = isinstance(held, Const) and isinstance(held.value, int) and name not in cls.stored
        return name if constant else None
    value = value.base if isinstance(value, Linear) else value
    if (
        not isinstance(value, Sym)
        or value.path
        or value.root.kind != "free"
        or value.root.owner is not it.context
    ):
        return None
    module = it.module_frame
    held = (module.state or module.last).env.get(value.root.name)
    return value.root.name if isinstance(held, Const) and isinstance(held.value, int) else None


def _note_drawn(frame: Frame, place: Sym) -> None:
    """Note the splits on the way to a key that is drawn from."""
    drawn = frame.context.facts.drawn
    while (
        place.root.type.kind == "keys" and place.root.origin is not None and place.root.origin.verb == "split"
    ):
        ref = place.root.origin.ref
        if ref in drawn or place.root.origin.context is not frame.context:
            return
        drawn.add(ref)
        parents = [part for part in place.root.made_of if isinstance(part, Sym)]
        if not parents:
            return
        place = parents[0]


def of_one_seed(it: Interpreter, name: str, seed: Value, ref: int) -> Sym | None:
    """The key that was made of the same seed before in this function, and in this pass of its loops."""
    if not isinstance(seed, Sym) or it.context.facts.is_test:
        return None
    known = it.frame.seeded.get((name, seed, it.frame.passes))
    if known is not None:
        it.frame.facts.remade.setdefault(known.root, ref)
    return known


def note_made(it: Interpreter, name: str, seed: Value, key: Sym) -> None:
    """Note a key and the seed, which has a name, that it is made of."""
    if isinstance(seed, Sym) and seed.root.kind in ("param", "free"):
        it.frame.seeded[name, seed, it.frame.passes] = key


_NAMES_SEED = re.compile(r"(^|_)(seed|key|rng)s?$", re.IGNORECASE)


def note_seed(it: Interpreter, given: tuple[Value, int], ref: int, of: str = "key") -> None:
    """Note a key, or a generator, made from what differs between runs: the clock, the system's entropy, an unseeded generator."""
    value, at = given
    if it.frame.replays:
        return
    for leaf in leaves(value):
        source = types.entropy_of(types.typeof(it, leaf))
        if source:
            sure = Confidence.HIGH if leaf is value else Confidence.MEDIUM
            made = Seed(
                ref, at, source, sure, of, _first_of(it, leaf, source),
                leaf.root if isinstance(leaf, Sym) else None, _is_instead(it, value, leaf),
            )  # fmt: skip
            it.frame.facts.seeds.setdefault(ref, made)


def _is_instead(it: Interpreter, value: Value, drawn: Value) -> bool:
    """Whether a seed is drawn only on a path that found none given: a condition on the other one chose between them."""
    if isinstance(value, Choice):
        others = [option for option, _ in value.options if isinstance(option, Sym) and option is not drawn]
        asked = [part for option, guards in value.options if option is drawn for part in _asked(guards)]
        return any(other in asked for other in others)
    missing = [
        condition[1]
        for condition, outcome in it.state.path.items()
        if isinstance(condition, tuple) and condition[0] == "none" and outcome is True
    ]
    return any(isinstance(place, Sym) and _NAMES_SEED.search(label_of(place)) for place in missing)


def _asked(guards: Guards) -> Iterator[object]:
    """What the conditions of a path speak of."""
    for condition in guards:
        if isinstance(condition, tuple):
            yield from condition[1:]


def note_told(it: Interpreter, values: Sequence[Value]) -> None:
    """Note what is printed or logged, for who wants to repeat the run."""
    todo = [leaf for value in values for leaf in leaves(value)]
    while todo:
        top = todo.pop()
        if isinstance(top, Sym) and top.root not in it.frame.told:
            it.frame.told.add(top.root)
            todo += [leaf for part in top.root.made_of for leaf in leaves(part)]


def _forget_kept_seeds(frame: Frame) -> None:
    """Seeds that were drawn where none was given, and told or kept: the run can be repeated."""
    kept = set(frame.told)
    for place, value in frame.state.heap.items() if frame.state is not None else ():
        if place.root.kind != "local":
            kept.update(leaf.root for leaf in leaves(value) if isinstance(leaf, Sym))
    for value, _ in frame.returns:
        kept.update(leaf.root for leaf in leaves(value) if isinstance(leaf, Sym))
    for ref, seed in list(frame.facts.seeds.items()):
        if seed.instead and seed.drawn in kept:
            del frame.facts.seeds[ref]


def _first_of(it: Interpreter, value: Value, source: str) -> Origin | None:
    """Where what differs from run to run came in, of which a value was made."""
    origin = None
    while isinstance(value, Sym):
        origin = value.root.origin or origin
        parts = (part for part in value.root.made_of if isinstance(part, Sym))
        value = next((p for p in parts if types.entropy_of(types.typeof(it, p)) == source), NOTHING)
    return origin


def note_constant_field(it: Interpreter, default: Value | None, node: ir.Expr | None) -> None:
    """Note a field of a class whose default is a key made of a constant."""
    if default is None or node is None or it.context.facts.is_test:
        return
    value = default
    if isinstance(default, Sym) and default.root.origin is not None and default.root.origin.verb == "field":
        made = it.state.heap.get(default.child((".", "made")), default)
        value = it.state.heap.get(default.child((".", "default")), made)
    if isinstance(value, Sym) and value.root.constant is not None and value.root.origin is not None:
        ref = value.root.origin.ref if value.root.origin.context is it.context else node.ref
        it.frame.facts.constants.setdefault(ref, ConstantKey(ref, "field", None, Confidence.HIGH))


def _note_broadcast(frame: Frame, place: Sym, type_: Type, use: Use, captured: bool) -> None:
    """Note a key that every lane of the vmap in force spends alike."""
    if frame.lanes is None or type_.kind == "keys" or is_folded(place.path):
        return
    shared, bound = frame.lanes
    if place.root in shared or place.root in bound or captured:
        how = "in_axes" if place.root in shared else "bound" if place.root in bound else "captured"
        frame.facts.broadcasts.setdefault(use.ref, Broadcast(use.ref, use.call, how, use))


def _meet(
    it: Interpreter, place: Sym, type_: Type, use: Use, entries: tuple[tuple[object, Use], ...]
) -> None:
    frame = it.frame
    best: tuple[Confidence, Use] | None = None
    for path, first in entries:
        if contradicts(first.guards, use.guards):
            continue
        if overlap(path, place.path) is not True:  # type: ignore[arg-type]
            continue
        if first.replay and first.replay == use.replay:
            continue
        if first.holder is not None and first.holder == use.holder:
            return  # one function that holds a key gives the same numbers in every call, as it says
        if first.ref == use.ref and first.passes == use.passes:
            continue
        if first.owner is not None and first.owner in _classes_that_found_it(use):
            return  # both uses are inside the methods of one class, where the defect is
        sure = _confidence(place, type_, first, use, frame.folds.get(place, frozenset()))
        if sure is not None and (best is None or sure > best[0]):
            best = (sure, first)
    if best is None or frame.replays:
        return
    confidence, first = best
    kind = _kind(frame, place, first, use)
    known = frame.facts.reuses.get(use.ref)
    if known is None or known.confidence < confidence:
        frame.facts.reuses[use.ref] = Reuse(kind, first, use, place, confidence)


def _classes_that_found_it(use: Use) -> set[ir.Class | None]:
    """The classes whose methods found the key on their own object, on the way to where it is spent."""
    found = set()
    inner: Use | None = use
    while inner is not None:
        if inner.by_self:
            found.add(inner.owner)
        inner = inner.inner
    return found


def _kind(frame: Frame, place: Sym, first: Use, second: Use) -> str:
    """How a reuse came about; see `Reuse`."""
    if first.ref == second.ref:
        return "loop"
    if len({call for call, _ in frame.folds.get(place, ())}) > 1:
        return "folded"
    return "parent" if first.kind == "split" else "plain"


def _confidence(
    place: Sym, type_: Type, first: Use, second: Use, folds: AbstractSet[object]
) -> Confidence | None:
    """How sure a reuse is; None when nothing says that the value is a key."""
    known = type_.kind in ("key", "keys")
    if not (known or first.strong or second.strong):
        return Confidence.LOW
    if skips_a_loop(first.guards) or skips_a_loop(second.guards):
        return Confidence.LOW
    asked = first.param in _ASKED and second.param in _ASKED
    if (first.ref == second.ref and not second.strong and not asked) or "store" in (first.kind, second.kind):
        return Confidence.LOW
    if len(folds) != 1 and _may_differ(place):
        return Confidence.LOW
    # The same permutation for paired arrays is meant; the same one in every epoch is not.
    if (first.ref != second.ref or second.mapped) and _orders_alike(_deepest(first), _deepest(second)):
        return Confidence.LOW
    if not (first.strong or second.strong):
        # One unknown callee called twice may be a replay; two that differ, or that ask for a key by name, hardly are.
        return Confidence.MEDIUM if known and (asked or first.verb != second.verb) else Confidence.LOW
    certain = first.strong and second.strong and not (first.maybe or second.maybe)
    absent = object()
    dominates = all(second.guards.get(c, absent) == v for c, v in first.guards.items())
    return Confidence.HIGH if certain and dominates else Confidence.MEDIUM


def skips_a_loop(guards: Guards) -> bool:
    """Whether a use only happens when a loop that could have changed something never ran."""
    for condition, outcome in guards.items():
        while isinstance(condition, tuple) and condition[0] == "call":
            condition = condition[2]
        if isinstance(condition, tuple) and condition[0] == "loop" and condition[2] == 0 and outcome is False:
            return True
    return False


def _may_differ(place: Sym) -> bool:
    """Whether what was folded in hides in an object that unseen code may have advanced in between."""
    for kind, data in place.path:
        data = data.base if kind == FOLD and isinstance(data, Linear) else data
        if kind == FOLD and isinstance(data, Sym) and any(map(_is_named, data.path)):
            return True  # not so the row of an array
    return False


def _deepest(use: Use) -> Use:
    while use.inner is not None:
        use = use.inner
    return use


def _orders_alike(first: Use, second: Use) -> bool:
    """Whether two draws pick the same places of what may be paired arrays: but for the data they are asked alike."""
    if first.verb != second.verb or first.verb not in _PAIRED:
        return False
    asked = [_asked_of(use) for use in (first, second)]
    return asked[0] == asked[1]


def _asked_of(use: Use) -> object:
    """The arguments of a draw behind the key and the data, as they are written."""
    lowered = use.context.lowered
    try:
        call = ast.parse(lowered.source.slice(lowered.span(use.call)).strip(), mode="eval").body
    except SyntaxError:  # a part of more lines, with comments in between
        return None
    if not isinstance(call, ast.Call):
        return None
    rest = [ast.dump(argument) for argument in call.args[2:]]
    named = [ast.dump(option) for option in call.keywords if option.arg not in ("key", "a", "x")]
    return rest, sorted(named)


# --- the children of a split ---------------------------------------------------------------


def _child(place: Sym) -> tuple[int, int] | None:
    """(split call, element) of a child of a split."""
    root = place.root
    if root.type.kind == "keys" and root.origin is not None and place.path:
        kind, index = place.path[0]
        if kind == "[" and isinstance(index, int):
            return root.origin.ref, index
    return None


def mark_read(frame: Frame, value: Value | None, name: str) -> None:
    """Note that a name holding this value was looked at."""
    if isinstance(value, Choice) and len(value.options) >= MAX_OPTIONS:
        frame.crowded.add(name)
    stack: list[Value | None] = [value]
    while stack:
        top = stack.pop()
        if isinstance(top, Sym):
            child = _child(top)
            if child is not None:
                frame.read.add(child)
            frame.looked.add(top.root)
        elif isinstance(top, Choice):
            stack.extend(option for option, _ in top.options)
        elif isinstance(top, Tup):
            stack.extend(top.items)


def _mark_spent(frame: Frame, place: Sym, use: Use) -> None:
    child = _child(place)
    if child is not None:
        frame.used.setdefault(child, use)


def record_split(it: Interpreter, target: ir.Sequence, value: Value, node: object) -> None:
    """Note ``a, b = split(k)``: its names, so that an unused one can be told."""
    if not isinstance(node, ir.Assign) or not isinstance(node.value, ir.Call):
        return
    if not isinstance(value, Sym) or value.path or value.root.type.kind != "keys":
        return
    origin = value.root.origin
    if origin is None or origin.ref != node.value.ref or origin.verb != "split":
        return
    names = tuple(
        (item.id, position, item.ref)
        for position, item in enumerate(target.items)
        if isinstance(item, ir.Name)
    )
    argument = node.value.args[0].value if node.value.args else None
    source = argument.id if isinstance(argument, ir.Name) else ""
    parent: Sym | None = None
    for root, entries in it.state.spent.items():
        if entries and entries[-1][1].call == node.value.ref:
            parent = Sym(root, entries[-1][0])
    it.frame.facts.splits.setdefault(
        node.value.ref, Split(node.ref, node.value.ref, source, parent, names, value)
    )


def _note_renewed(it: Interpreter, value: Sym, target: ir.Name) -> None:
    """Note that a parameter's name now stands for a new tree or array that was made of what it held."""
    root, frame = value.root, it.frame
    verb = root.origin.verb if root.origin is not None else ""
    made = root.type.kind == "state" or verb.startswith(("new:", ".at[]"))
    if root.kind != "local" or value.path or not made:
        return
    for param, sym in frame.params:
        parts = (root.base, *root.made_of)
        below = any(isinstance(part, Sym) and part.root is sym.root for part in parts)
        if param.name == target.id and param.kind not in ("*", "**") and below:
            frame.renewed.setdefault(root, (target.ref, frame.statement, target.id))


def name_successor(it: Interpreter, value: Sym, target: ir.Name) -> None:
    """Note a local name for a new key, or for a new value made from an old one (a copy, a replace, an update)."""
    root = value.root
    _note_renewed(it, value, target)
    if root.kind == "local" and root.type.kind == "key" and root.type.certain and not value.path:
        it.frame.named.setdefault(root, (target.id, target.ref))
    if (
        root.kind == "local"
        and not value.path
        and root.origin is not None
        and root.origin.verb.startswith("new:")
    ):
        it.frame.fresh.setdefault(root, (target.ref, it.frame.statement, target.id, root.origin.verb[4:]))
        it.frame.moved.discard(root)


def _is_discarded(frame: Frame, name: str) -> bool:
    """Whether a name is one for what is not wanted: it begins with an underscore, and nothing reads it anywhere."""
    if not name.startswith("_"):
        return False
    body = frame.function.body if frame.function is not None else frame.context.lowered.module.body
    return not name.strip("_") or not any(
        isinstance(node, ir.Name) and node.id == name for node in reads(body)
    )


def _unused(frame: Frame, split: Split) -> list[tuple[str, int, int]]:
    """The children that lie unused. ``key, sub = split(key)`` advances the key, whether or not it is needed again."""
    return [
        (name, index, ref)
        for name, index, ref in split.names
        if not _is_discarded(frame, name)
        and name != split.source
        and (split.call, index) not in frame.read
        and (split.call, index) not in frame.used
    ]


def _is_handed_back(frame: Frame, use: Use, name: str) -> bool:
    """Whether the call that spends a key returns the next one, for the same name: ``(w, key), out = scan(f, (w, key))``."""
    return frame.function is not None and name in results_of(frame.function, frame.quiet).names.get(
        use.call, ()
    )


def finish(it: Interpreter, frame: Frame) -> None:
    """Facts that need the whole function: swapped children, successors that die."""
    facts = frame.facts
    _forget_kept_seeds(frame)
    harmless = _lower_harmless(frame)
    _drop_probes(frame)
    swapped: set[int] = set()
    for ref, reuse in list(facts.reuses.items()):
        split = _split_behind(facts.splits.values(), reuse)
        if split is None or ref in harmless:
            continue
        unused = _unused(frame, split)
        if unused and reuse.kind in ("plain", "parent"):
            swapped.add(split.call)
            sure = max(reuse.confidence, Confidence.MEDIUM)  # a key made and left unused is not meant
            facts.reuses[ref] = Reuse("swapped", reuse.first, reuse.second, reuse.place, sure, unused[0][0])
    for split in facts.splits.values():
        if split.call in swapped or frame.replays:
            continue
        unused = _unused(frame, split)
        if not unused or len(split.names) < 2:
            continue
        for name, index, _ in split.names:
            use = frame.used.get((split.call, index))
            if name != split.source or use is None or use.kind == "split":
                continue
            if not _is_handed_back(frame, use, name):
                facts.swaps.append(Swap(split, name, unused[0][0], use))
                break
    if not frame.replays:
        _find_unused(frame, swapped)
        _find_renewed(it, frame)
        _find_dead_successors(frame)
        _find_stale(it, frame)
        _find_spent_before(it, frame)
        _find_captured(it, frame)
        generators.find_ignored(it, frame)
        generators.find_unseeded(it, frame)


_TWIN = re.compile(r"(^|_)target(_|$)")


def _lower_harmless(frame: Frame) -> set[int]:
    """Take back what is meant.

    A dry run of which nothing is kept, a replay that is compared, a network and its target twin, paired data.
    """
    facts, function = frame.facts, frame.function
    pairs = [(ref, reuse) for ref, reuse in facts.reuses.items() if reuse.confidence > Confidence.LOW]
    if not pairs or function is None or frame.state is None:
        return set()
    harmless: set[int] = set()
    quiet = frame.quiet.union(
        use.call
        for entries in frame.state.spent.values()
        for _, use in entries
        if use.context is frame.context
    )
    results = results_of(function, quiet)
    for ref, reuse in pairs:
        uses = (reuse.first, reuse.second)
        idle = any(
            use.kind != "split"
            and (
                use.call in results.idle
                or only_feeds(results.flows, use.call, frame.outlines, frame.through | frame.quiet)
            )
            for use in uses
        )
        twins = {
            any(_TWIN.search(word) for word in results.names.get(use.call, ()))
            for use in uses
            if _deepest(use).kind == "init"
        }
        replayed = results.compared(reuse.first.call, reuse.second.call) and "split" not in (
            uses[0].kind,
            uses[1].kind,
        )
        if idle or replayed or twins == {True, False} or _is_paired(reuse, results):
            facts.reuses[ref] = structs.replace(reuse, confidence=Confidence.LOW)
            harmless.add(ref)
    return harmless


def _drop_probes(frame: Frame) -> None:
    """Take back what is said of the keys of a call of whose result no more is looked at than what it is made like.

    A function that a transform runs for such a result draws no numbers either.
    """
    if frame.function is None:
        return
    facts = frame.context.facts
    once = [
        (function, trace.ref)
        for function, trace in (facts.traced.items() if frame.outlines else ())
        if trace.place is frame.function and trace.mode in ("scan", "fori", "map")
    ]
    if not once and not frame.facts.shared:
        return
    flows = flows_of(frame.function.body)
    for function, call in once:
        if only_feeds(flows, call, frame.outlines, frame.through):
            facts.dry.add(function)
            facts.wet.discard(function)
    for ref, shared in list(frame.facts.shared.items()):
        if not reaches(flows, shared.call, (), frame.outlines):
            del frame.facts.shared[ref]


def _is_paired(reuse: Reuse, results: Results) -> bool:
    """Whether one transformation is applied to the parts of one example: the crop of every view, of image and mask.

    Either what it draws does not depend on the data and it runs over the items of one mapping, or the key was
    bound to the function that one statement then calls on each of them.
    """
    first, second = reuse.first, reuse.second
    drawn = _deepest(first), _deepest(second)
    if drawn[0].ref != drawn[1].ref or not first.kind == second.kind == "call":
        return False
    if first.ref == second.ref:
        return first.call in results.views and drawn[0].sized
    where = results.statements.get(first.call)
    return first.bound and second.bound and where is not None and where == results.statements.get(second.call)


def _split_behind(splits: object, reuse: Reuse) -> Split | None:
    for split in splits:  # type: ignore[attr-defined]
        if reuse.kind == "parent" and reuse.first.call == split.call:
            return split  # type: ignore[no-any-return]
        origin = reuse.place.root.origin
        if origin is not None and origin.ref == split.call and reuse.place.root.type.kind == "keys":
            return split  # type: ignore[no-any-return]
    return None


def _find_unused(frame: Frame, swapped: set[int]) -> None:
    """Keys that were made and named, and never looked at again."""
    if frame.function is None:
        return  # an importer may use what a module makes
    told = swapped | {swap.split.call for swap in frame.facts.swaps}
    for split in frame.facts.splits.values():
        if split.call not in told:
            frame.facts.unused.update({ref: name for name, _, ref in _unused(frame, split)})
    for root, (name, ref) in frame.named.items():
        if root not in frame.looked and not _is_discarded(frame, name):
            frame.facts.unused[ref] = name


def _find_dead_successors(frame: Frame) -> None:
    for root, (ref, statement, name, verb) in frame.fresh.items():
        if root not in frame.moved:
            base = root.base
            own = (
                base is not None
                and not base.path
                and bool(frame.params)
                and base.root is frame.params[0][1].root
            )
            frozen = own and base is not None and is_frozen(base.root.type) and root not in frame.looked
            frame.facts.successors.setdefault(ref, Successor(ref, statement, name, verb, frozen))


_COMPUTES = ("jax.numpy.", "jax.tree", "jax.lax.", "jax.nn.", "optax.", "equinox.", "dataclasses.")
_PLAIN = frozenset(
    f"builtins.{name}" for name in "dict list tuple float int bool len min max sum abs zip".split()
)
_PURE_METHODS = frozenset("set add multiply min max astype reshape replace _replace apply_gradients".split())


def _computes(it: Interpreter, node: object) -> bool:
    """Whether all that is called below a node is known to do nothing but return something."""
    if isinstance(node, ir.Call):
        known = types.static_value(it, node.func)
        signature = it.known.find(known.name) if isinstance(known, Ext) else None
        if isinstance(known, Ext) and known.name in _PLAIN:
            pass
        elif isinstance(known, Ext):
            if not known.name.startswith(_COMPUTES) or signature is None:
                return False
            if signature.callbacks:
                first = node.args[0].value if node.args else None
                given = types.static_value(it, first) if isinstance(first, ir.Name | ir.GetAttr) else None
                if not isinstance(first, ir.Lambda) and not (
                    isinstance(given, Ext) and given.name.startswith(_COMPUTES)
                ):
                    return False
        elif not isinstance(node.func, ir.GetAttr) or node.func.name not in _PURE_METHODS:
            return False
    below = (node.function.body,) if isinstance(node, ir.Lambda) else ()
    return all(_computes(it, child) for child in (*children(node), *(s for body in below for s in body)))


def _find_renewed(it: Interpreter, frame: Frame) -> None:
    """New values of parameters that nobody sees, in a function that binds names and does nothing else."""
    function, facts = frame.function, frame.facts
    seen = any(mutation.visible for mutation in facts.mutations.values())
    if function is None or facts.effects or seen or frame.called or not frame.renewed:
        return
    own = {target.id for node in function.body for target in _targets(node) if isinstance(target, ir.Name)}
    own -= {param.name for param in function.params}
    idle = all(
        (isinstance(node, ir.ExprStmt) and isinstance(node.value, ir.Const))
        or (isinstance(node, ir.Assign) and all(_is_own(target, own) for target in node.targets))
        for node in function.body
    )
    plain = not frame.declared and not function.decorators and not function.is_generator
    if idle and plain and all(_computes(it, node) for node in function.body):
        for root, (ref, statement, name) in frame.renewed.items():
            if root not in frame.looked:
                facts.successors.setdefault(ref, Successor(ref, statement, name, "", renewed=True))


def _targets(node: object) -> tuple[ir.Expr, ...]:
    return node.targets if isinstance(node, ir.Assign) else ()


def _is_own(target: ir.Expr, names: Container[str]) -> bool:
    """Whether an assignment is to a name, or to an item of what a name of the function itself holds."""
    if isinstance(target, ir.GetItem):
        return isinstance(target.base, ir.Name) and target.base.id in names
    return isinstance(target, ir.Name)


def _find_captured(it: Interpreter, frame: Frame) -> None:
    """Keys from outside that the function spends, and the nested functions that it hands out to be called."""
    function = frame.function
    if function is None or frame.state is None:
        return
    for root, entries in frame.state.spent.items():
        owner = root.owner
        if root.kind != "free" or root.name in frame.declared:
            continue
        # A variable of the module is a key by its origin, or it may be a seed or a flag.
        if root.type.kind not in ("key", "keys") and not (
            root.type.kind == "" and isinstance(owner, ir.Function)
        ):
            continue
        for path, use in entries:
            if use.strong and not is_folded(path) and use.ref not in frame.facts.reuses:
                outside = owner if isinstance(owner, ir.Function) else None
                frame.facts.captured.setdefault(use.ref, Captured(use, Sym(root, path), outside))
    for value, _ in frame.returns:
        for leaf in leaves(value):
            while isinstance(leaf, Wrapped | Partial):
                leaf = leaf.func
            if isinstance(leaf, Func):
                frame.facts.hands_out.add(leaf.function)


_ONCE = frozenset(
    ("__init__", "__post_init__", "__new__", "setup", "build", "__init_subclass__", "__setstate__")
)


def _find_stale(it: Interpreter, frame: Frame) -> None:
    """Keys spent below an object that still holds them when the function returns.

    A method that draws from ``self.key`` and leaves it there, a step that draws from ``state.key`` and
    returns the state as it was: the next call meets the same key.
    """
    function = frame.function
    if function is None or function.name in _ONCE or not function.params or not frame.returns:
        return
    own = function.receiver
    after = frame.state
    for value, state in frame.returns:
        frame.state = state  # what a place holds is asked of the path that returns it
        handed_back = list(_returned_objects(value))
        for root, entries in state.spent.items():
            if root.kind != "param" or root.owner is not function:
                continue
            for path, use in entries:
                place = Sym(root, path)
                if not path or not use.strong or place in state.heap or not all(map(_is_named, path)):
                    continue
                if any(
                    place.path[:depth] and Sym(root, place.path[:depth]) in state.heap
                    for depth in range(len(path))
                ):
                    continue
                copies = [held for held, _ in handed_back if _is_copy_of(held, root)]
                if root.name == own and copies and not any(_at(it, copy, path) == place for copy in copies):
                    continue  # its successor has another key
                if root.name == own:
                    if (
                        not _kept_by_class(it, function, path)
                        or use.callback
                        or _happens_once(root, use, state)
                    ):
                        continue
                    how = "self"
                elif any(
                    _at(it, held, path) == place and not contradicts(guards, use.guards)
                    for held, guards in handed_back
                ):
                    how = "returned"
                else:
                    continue
                if any(reuse.place == place for reuse in frame.facts.reuses.values()):
                    continue  # said already
                frame.facts.stale.setdefault(
                    use.ref, Stale(use, place, how, Confidence.MEDIUM if use.maybe else Confidence.HIGH)
                )
    frame.state = after


def _is_copy_of(value: Sym, root: Root) -> bool:
    base: Sym | None = value
    while base is not None and base.root is not root:
        base = base.root.base
    return base is not None and base is not value


def _at(it: Interpreter, value: Value, path: Path) -> Value:
    for step in path:
        value = it.step(value, step)
    return value


def _is_named(step: Step) -> bool:
    return step[0] == "." or isinstance(step[1], str)


def _find_spent_before(it: Interpreter, frame: Frame) -> None:
    """Keys that the constructor spent and then stored, which a method spends again."""
    function, state = frame.function, frame.state
    if function is None or function.owner is None or not function.receiver or function.name in _ONCE:
        return
    if state is None:
        return
    cls = it.class_of(function.owner)
    init = cls.info.find("__init__") if cls is not None else None
    if not isinstance(init, Func) or init.context is not it.context:
        return
    for root, entries in state.spent.items():
        if root.kind != "param" or root.owner is not function or root.name != function.receiver:
            continue
        made = summarise.summary_of(it, init)
        it.frame = frame
        if made is None:
            return
        own = made.params[0][1] if made.params else None
        stored = {
            place.path: value for place, value in made.stores if own is not None and place.root is own.root
        }
        for path, use in entries:
            key = stored.get(path)
            if (
                not use.strong
                or use.by_self
                or use.ref in frame.facts.stale
                or not isinstance(key, Sym)
                or key.root.kind != "param"
            ):
                continue
            for place, first in made.uses:
                if place.root is key.root and first.strong and overlap(place.path, key.path) is True:
                    reuse = Reuse("plain", first, use, Sym(root, path), Confidence.HIGH)
                    frame.facts.reuses.setdefault(use.ref, reuse)


def _happens_once(root: Root, use: Use, state: State) -> bool:
    """Whether a use waits for an attribute that the method then sets: ``if self.params is None: self.params = ...``."""
    return any(
        isinstance(part, Sym) and part.root is root and part.path and part in state.heap
        for condition in use.guards
        if isinstance(condition, tuple)
        for part in condition
    )


def _returned_objects(value: Value) -> Iterator[tuple[Sym, Guards]]:
    """The objects a result hands back whole, and when."""
    stack: list[tuple[Value, Guards]] = [(value, {})]
    while stack:
        top, guards = stack.pop()
        if isinstance(top, Tup):
            stack.extend((item, guards) for item in top.items)
        elif isinstance(top, Choice):
            # A set-up makes the state or takes it.
            if not any(_made_here(option) for option, _ in top.options):
                stack.extend((option, {**guards, **inner}) for option, inner in top.options)
        elif isinstance(top, Sym) and not top.path:
            yield top, guards


def _made_here(value: Value) -> bool:
    """Whether a value is an object that is new, and no copy of another."""
    return isinstance(value, Sym) and value.root.kind == "local" and value.root.base is None


def _kept_by_class(it: Interpreter, function: ir.Function, path: Path) -> bool:
    """Whether the class keeps the key it was given: an attribute that its constructor sets, or a field."""
    if function.owner is None or len(path) != 1:
        return False
    value = it.class_of(function.owner)
    return value is not None and value.info.family[0] not in ("nnx", "haiku")
