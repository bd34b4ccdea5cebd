"""What the checker takes a value for, what a call does, and why it thinks so, in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from msgspec.structs import replace

from pytest_purestate._check import ir
from pytest_purestate._check.apis import Signature
from pytest_purestate._check.apis.notation import clauses, written
from pytest_purestate._check.flow import keys
from pytest_purestate._check.flow.classes import is_frozen
from pytest_purestate._check.flow.facts import ModuleFacts
from pytest_purestate._check.flow.project import ModuleContext
from pytest_purestate._check.flow.summary import Summary
from pytest_purestate._check.flow.values import (
    Choice,
    Func,
    Part,
    Partial,
    Root,
    Sym,
    Tup,
    Type,
    Value,
    Wrapped,
    options,
    spelled,
)
from pytest_purestate._check.flow.watch import Seen
from pytest_purestate._check.model import Label

__all__ = ["Reason", "does", "reasons", "what"]

MOST = 8  # reasons for one value

_KINDS = {
    "key": "a key",
    "keys": "an array of keys",
    "array": "a JAX array",
    "numpy": "a value of NumPy",
    "state": "a state: a pytree of parameters or of an optimizer's state",
    "static": "a Python value at trace time",
    "stream": "a stream, which gives a new key every time",
    "module": "a model",
    "transform": "an optax transform",
    "stateless": "an optax transform that has nothing to remember",
    "at": "the `.at` of a JAX array",
    "at[]": "a place of a JAX array, before its update",
    "list": "a list",
    "dict": "a dict",
    "set": "a set",
    "tuple": "a tuple",
    "str": "a string",
    "number": "a number",
    "entropy": "a value that differs from run to run",
    "generator": "a random generator of the host",
    "file": "a file",
    "checkpointer": "what writes and reads checkpoints",
    "ref": "a mutable array reference",
    "logger": "a logger",
}


def what(module: ModuleFacts, seen: Seen) -> str:
    """What a value is taken for; an empty string where nothing is known."""
    value = seen.value
    if isinstance(value, Sym) and not seen.type.kind and not seen.is_key and module.holds_arrays(value.root):
        return "a state" if not value.path else "a part of a state"
    if isinstance(value, Wrapped):
        return f"a function under `{value.api.removeprefix('@')}`"
    if isinstance(value, Partial):
        return "a function with some of its arguments"
    if isinstance(value, Tup):
        return f"a tuple of {len(value.items)}"
    if isinstance(value, Choice) and not seen.type.kind:
        return "one of several values, as the path has it" if list(options(value)) else ""
    if seen.is_key and seen.type.kind not in ("key", "keys"):
        return "a key"
    return described(seen.type)


def described(type_: Type) -> str:
    """A type in words; an empty string for an unknown one."""
    name = type_.cls.name if type_.cls is not None else type_.name
    if type_.kind in ("instance", "module") and name:
        frozen = ", which is frozen: a state" if is_frozen(type_) else ""
        return f"an object of `{name}`{frozen}"
    if type_.kind:
        return _KINDS.get(type_.kind, f"of the kind `{type_.kind}`")
    return ""


def does(by: Signature | Summary | None) -> str:
    """What a call does, by what told its meaning."""
    if by is None:
        return "not known: keys that it is handed count as spent, with less confidence"
    if isinstance(by, Signature):
        return written(by) if by.name else clauses(by)
    return "; ".join(_effects(by)) or "spends, edits and keeps nothing that it is given"


def _effects(summary: Summary) -> Iterator[str]:
    spent = dict.fromkeys(_name(place) for place, _ in summary.uses)
    if names := [name for name in spent if name]:
        yield f"spends {_listed(names)}"
    edited = dict.fromkeys(_name(mutation.place) for mutation in summary.mutations)
    if names := [name for name in edited if name]:
        yield f"edits {_listed(names)} in place"
    donated = dict.fromkeys(_name(place) for place, _ in summary.donates)
    if names := [name for name in donated if name]:
        yield f"gives the buffers of {_listed(names)} away"
    for kind in dict.fromkeys(f"{effect.kind} `{effect.what}`" for effect in summary.effects):
        yield f"has an effect: {kind}"
    result = summary.result
    if isinstance(result, Sym) and result.root.kind == "param":
        yield f"returns its `{_name(result)}`"
    elif isinstance(result, Sym) and (kind := described(result.root.type)) and not result.path:
        yield f"returns {kind}"


def _name(place: Sym) -> str:
    return f"{place.root.name}{spelled(place.path)}" if place.root.name else ""


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a value is taken for what it is; ``place`` is None where no place shows it."""

    text: str
    place: Label | None = None


def reasons(module: ModuleFacts, seen: Seen) -> tuple[Reason, ...]:
    """Why a value is taken for what it is, the nearest reason first."""
    found = [_at(use.context, use.ref, f"spent before by `{use.verb}`") for use in seen.spent]
    for value in options(seen.value):
        found.extend(_of_value(module, value))
    return tuple(dict.fromkeys(found))[:MOST]


def _at(context: ModuleContext, ref: int, text: str) -> Reason:
    return Reason(text, Label(context.lowered.span(ref), "", context.lowered.source.path))


def _of_value(module: ModuleFacts, value: Value) -> Iterator[Reason]:
    if isinstance(value, Part):
        value = value.base
    if isinstance(value, Wrapped) and isinstance(value.func, Func):
        yield _at(value.func.context, value.func.function.ref, f"`{value.func.function.name}` stands")
    if not isinstance(value, Sym):
        return
    root = value.root
    whole = described(root.type)
    if value.path and whole:
        part = _name(value) or spelled(value.path)
        yield Reason(f"`{part}`, a part of {whole}" if part else f"a part of {whole}")
    for place in module.handed_over(value):
        yield Reason(place.text.removesuffix(" here"), replace(place, text=""))
    if root.kind == "param":
        yield from _of_param(module, root)
    elif root.kind == "free":
        around = root.owner.name if isinstance(root.owner, ir.Function) else "the module"
        yield Reason(f"the variable `{root.name}` of {around}")
        if root.held is not None:
            yield from _of_value(module, root.held)
    elif root.origin is not None:
        verb = root.origin.verb.removeprefix("new:")
        yield _at(root.origin.context, root.origin.ref, f"made by `{verb}`" if verb else "made")
    if root.succeeds is not None and isinstance(root.succeeds.old, Sym):
        yield Reason(f"takes the place of `{_name(root.succeeds.old)}`")
    if not root.type.kind and module.holds_arrays(root):
        yield Reason(f"`{root.name}` is differentiated, or handed to what takes parameters")
    if root.base is not None:
        yield from _of_value(module, root.base)


def _of_param(module: ModuleFacts, root: Root) -> Iterator[Reason]:
    origin, owner = root.origin, root.owner
    if origin is None or not isinstance(owner, ir.Function):
        return
    yield _at(origin.context, origin.ref, f"the parameter `{root.name}` of `{owner.qualname}`")
    param = next((param for param in owner.params if param.name == root.name), None)
    if param is None:
        return
    if param.annotation is not None and root.type.kind:
        yield _at(origin.context, param.annotation.ref, "annotated so")
    if param in module.given_keys:
        yield _at(module.context, module.given_keys[param], "a call hands over a key")
    elif not root.type.kind and keys.looks_like_key(root.name):
        yield Reason("has the name of a key, which counts only where a key is wanted")
