"""Donated buffers: whoever still holds an object that was donated holds an empty husk.

A donation rewrites what names and places hold: every way to the object now leads to a husk, but for the
values already on their way into the call. What the call returns is the object moved on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pytest_purestate._check.apis import OBJECTS
from pytest_purestate._check.flow import keys, types
from pytest_purestate._check.flow.facts import Donated
from pytest_purestate._check.flow.options import picked
from pytest_purestate._check.flow.values import (
    Bound,
    Choice,
    Const,
    Donation,
    Func,
    Part,
    Partial,
    Root,
    Step,
    Sym,
    Tup,
    Value,
    Wrapped,
    contradicts,
    leaves,
)
from pytest_purestate._check.model import Confidence

if TYPE_CHECKING:
    from pytest_purestate._check.flow.calls import Args
    from pytest_purestate._check.flow.interpret import Interpreter

__all__ = ["COPIED", "donate", "give_away", "note_use"]

COPIED = "copied:"
"""How the origin of an object begins that holds the values of its base in buffers of its own."""

_NO_BUFFERS = OBJECTS.union(("static", "number", "str", "logger", "none"))
_SHALLOW = ("new:copy", "copy", "dict")
_MANY = 200  # objects below one argument


def donate(it: Interpreter, wrapped: Wrapped, args: Args, call: int, verb: str) -> None:
    """Give away what a call of ``wrapped`` donates."""
    verb = verb or _name_of(wrapped)
    for value, ref, _, sure in picked(wrapped, args, "donate_argnums", "donate_argnames"):
        give_away(it, value, Donation(it.context, ref, call, verb, sure, it.state.path))
    whole = dict(wrapped.options).get("donate")  # Equinox
    if isinstance(whole, Const) and whole.value in ("all", "all-except-first", "warn", "warn-except-first"):
        first = 1 if str(whole.value).endswith("first") else 0
        for value, ref in [*args.pos[first:], *args.kw.values()]:
            give_away(it, value, Donation(it.context, ref, call, verb, True, it.state.path))


def _name_of(wrapped: Wrapped) -> str:
    """What a compiled function is called that is called where it is made."""
    function: Value = wrapped
    while isinstance(function, Wrapped | Partial):
        function = function.func
    if isinstance(function, Func):
        return function.function.name
    return (function.root.name if isinstance(function, Sym) else "") or wrapped.api


def give_away(it: Interpreter, value: Value, donation: Donation) -> None:
    """Leave husks wherever ``value`` is held."""
    if it.frame.tracing:
        return  # inside a trace there are no buffers
    given: dict[Sym, set[Step]] = {}
    for leaf in leaves(value):
        if isinstance(leaf, Sym):
            _collect(it, leaf, given)
    if not given:
        return
    _add_copies(it, given)
    direct = set(leaves(value))
    husks = {
        place: Root("local", types.typeof(it, place), place.root.name, place.root.origin, gone=donation)
        for place in given
    }

    def rewritten(place: Sym) -> Sym:
        for depth in range(len(place.path) + 1):
            above = Sym(place.root, place.path[:depth])
            if above in given:
                rest = place.path[depth:]
                return place if rest[:1] and rest[0] in given[above] else Sym(husks[above], rest)
        return place

    frame, state = it.frame, it.state
    for name, held in state.env.items():
        state.env[name] = _replaced(held, rewritten)
    for place, held in state.heap.items():
        if rewritten(place) is place:  # what lies below a donated object goes with it
            state.heap[place] = _replaced(held, rewritten)
    for place, husk in husks.items():
        for step in given[place]:
            state.heap[Sym(husk, (step,))] = place.child(step)
        if place.path and place in direct:  # what is held elsewhere may be held by the result as well
            state.heap[place] = Sym(husk)
        elif not place.path and place.root.kind != "local":
            frame.given.append((place, donation))
            if place.root.kind == "free" and place.root.name in frame.free:
                state.env[place.root.name] = Sym(husk)


def _add_copies(it: Interpreter, given: dict[Sym, set[Step]]) -> None:
    """Add the shallow copies of what is given away: but for what was stored in them since, they share it."""
    for held in it.state.env.values():
        if not isinstance(held, Sym) or held.path or held in given or held.root.base is None:
            continue
        origin, base = held.root.origin, held.root.base
        shares = origin is not None and origin.verb in _SHALLOW
        if shares and any(Sym(base.root, base.path[:depth]) in given for depth in range(len(base.path) + 1)):
            own = (place.path[0] for place in it.state.heap if place.root is held.root and place.path)
            given[held] = set(own)


def _collect(it: Interpreter, place: Sym, given: dict[Sym, set[Step]]) -> None:
    """The places of all objects that go with one: what it holds, and what a shallow copy shares."""
    if place in given or place.root.gone is not None or len(given) >= _MANY:
        return
    if not _has_buffers(it, place):
        return
    given[place] = set()
    depth = len(place.path)
    inside = [
        (at, held)
        for at, held in it.state.heap.items()
        if at.root is place.root and len(at.path) > depth and at.path[:depth] == place.path
    ]
    for _, held in inside:
        for leaf in leaves(held):
            if isinstance(leaf, Sym):
                _collect(it, leaf, given)
    base, origin = place.root.base, place.root.origin
    if base is not None and not depth and (origin is None or not origin.verb.startswith(COPIED)):
        seen = base not in given
        _collect(it, base, given)
        if seen and base in given:
            given[base].update(at.path[0] for at, _ in inside)


def _replaced(value: Value, rewritten: Callable[[Sym], Sym]) -> Value:
    if isinstance(value, Sym):
        return rewritten(value)
    if isinstance(value, Part):
        base = rewritten(value.base)
        return value if base is value.base else Part(base, value.start, value.stop)
    if isinstance(value, Tup):
        items = tuple([_replaced(item, rewritten) for item in value.items])
        same = all(a is b for a, b in zip(items, value.items, strict=True))
        return value if same else Tup(items)
    if isinstance(value, Choice):
        options = tuple([(_replaced(option, rewritten), guards) for option, guards in value.options])
        same = all(a[0] is b[0] for a, b in zip(options, value.options, strict=True))
        return value if same else Choice(options)
    if isinstance(value, Bound):
        receiver = _replaced(value.receiver, rewritten)
        return value if receiver is value.receiver else Bound(receiver, value.name, value.func)
    if isinstance(value, Partial):
        args = tuple([_replaced(item, rewritten) for item in value.args])
        same = all(a is b for a, b in zip(args, value.args, strict=True))
        return value if same else Partial(value.func, args, value.kwargs)
    return value


def _has_buffers(it: Interpreter, place: Sym) -> bool:
    """Whether a place may hold arrays: it is no shape, no function, no field that is left out of the pytree."""
    if types.typeof(it, place).kind in _NO_BUFFERS:
        return False
    for depth, (kind, name) in enumerate(place.path):
        if kind != ".":
            continue
        if name in ("apply_fn", "tx"):
            return False
        cls = types.typeof(it, Sym(place.root, place.path[:depth])).cls
        field = cls.fields().get(str(name)) if cls is not None else None
        if field is not None and field.meta:
            return False
    return True


def note_use(it: Interpreter, value: Value, ref: int) -> Value:
    """Note a use of a husk. The run ends there, so the paths behind it know nothing of the donation, nor the value."""
    frame = it.frame
    if frame.glance or frame.state is None:
        return value
    options = value.options if isinstance(value, Choice) else ((value, {}),)
    for option, guards in options:
        if not isinstance(option, Sym) or option.root.gone is None:
            continue
        donation = option.root.gone
        path = frame.state.path
        if contradicts(guards, path) or contradicts(donation.guards, path) or not _has_buffers(it, option):
            continue
        if keys.skips_a_loop(guards):
            continue  # what a scan of no steps returns is new, too
        certain = donation.sure and all(
            path.get(condition, donation) == outcome for condition, outcome in donation.guards.items()
        )
        sure = Confidence.HIGH if certain and option is value else Confidence.MEDIUM
        frame.facts.donated.setdefault(ref, Donated(ref, donation, sure))
        husk = option.root
        rest = Root("local", husk.type, husk.name, husk.origin)

        def revived(place: Sym, husk: Root = husk, rest: Root = rest) -> Sym:
            return Sym(rest, place.path) if place.root is husk else place

        state = frame.state
        for name, held in state.env.items():
            state.env[name] = _replaced(held, revived)
        for place, held in state.heap.items():
            state.heap[place] = _replaced(held, revived)
        value = _replaced(value, revived)
    return value
