"""Parameters without an annotation, by what the calls in their module hand over.

A helper that edits what it is given is judged by what that is. Most helpers say nothing of their parameters, but the
calls beside them do. So the few functions that edit something of a parameter of which nothing is known are
interpreted a second time, with the type that the calls in the same module agree on, and so are those that a transform
runs with the objects of nnx or of a class of the project, whose methods may edit them. Calls in other modules say
nothing: what is found in a file depends on that file and its imports.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec import structs

from pytest_purestate._check import ir
from pytest_purestate._check.flow import types
from pytest_purestate._check.flow.classes import is_frozen, is_graph
from pytest_purestate._check.flow.values import Func, Path, Root, Sym, Tup, Type, Value, leaves, options

if TYPE_CHECKING:
    from pytest_purestate._check.flow.facts import ModuleFacts, Slot
    from pytest_purestate._check.flow.interpret import Interpreter

__all__ = ["GIVEN", "forget", "note", "wanted"]

GIVEN = "~given"
"""How the name of a state begins that only calls tell: other callers may hand over something else."""

_ENOUGH = 4  # kinds of things handed to one parameter: calls that differ agree on nothing
_DEEP = 2  # levels of a tuple, and
_WIDE = 8  # items of each, whose parts are told apart
_SAYS_NOTHING = frozenset(("", "none"))
_GIVEN_REF = structs.replace(types.REF, certain=True)


def note(it: Interpreter, param: ir.Param, value: Value, ref: int) -> None:
    """Note what a call of a function of this module hands to a parameter, and to the parts of a container."""
    if param.kind not in ("*", "**"):
        _note(it, it.context.facts.given.setdefault(param, {}), (), value, ref)


def _note(
    it: Interpreter, given: dict[Path, dict[Type | Slot, int]], path: Path, value: Value, ref: int
) -> None:
    """Note what is handed over as one part of a parameter."""
    known = given.setdefault(path, {})
    for option in options(value) if len(known) < _ENOUGH else ():
        for index, item in _items(it, option) if len(path) < _DEEP else ():
            _note(it, given, (*path, ("[", index)), item, ref)
        if isinstance(option, Tup):
            continue
        type_ = structs.replace(types.typeof(it, option), certain=True)
        if type_.kind not in _SAYS_NOTHING:
            known.setdefault(_GIVEN_REF if _holds_references(it, option, type_) else type_, ref)
        elif isinstance(option, Sym) and not type_.kind:
            for handed_on in _slots(option):
                known.setdefault(handed_on, ref)


def _holds_references(it: Interpreter, value: Value, type_: Type) -> bool:
    """Whether a value is an object whose fields hold references, as a kernel was given it."""
    return (
        isinstance(value, Sym)
        and type_.cls is not None
        and any(it.types.get(value.child((".", name))) == types.REF for name in type_.cls.fields())
    )


def _items(it: Interpreter, value: Value) -> Sequence[tuple[object, Value]]:
    """The items of a tuple, or of a dict or list that was written out here, as far as it is known which they are."""
    if isinstance(value, Tup):
        return list(enumerate(value.items[:_WIDE]))
    if not isinstance(value, Sym) or value.path or value.root.kind != "local":
        return ()
    if value.root.origin is None or value.root.origin.verb not in ("dict", "list"):
        return ()
    held = it.state.held().get(value.root, ())
    items = [
        (place.path[0][1], item) for place, item in held if len(place.path) == 1 and place.path[0][0] == "["
    ]
    return [(index, item) for index, item in items if isinstance(index, int | str)][:_WIDE]


def _slots(value: Sym) -> Iterator[Slot]:
    """The parameter of the caller, or the part of one, that is handed on, or whose successor is."""
    olds: Iterable[Value] = (value,)
    if value.root.kind == "local" and value.root.succeeds is not None:
        olds = leaves(value.root.succeeds.old)
    for old in olds:
        if isinstance(old, Sym) and old.root.held is not None:  # captured from the function around
            old = Sym(old.root.held.root, (*old.root.held.path, *old.path))
        if isinstance(old, Sym) and len(old.path) <= _DEEP and (param := _param(old.root)) is not None:
            yield param, old.path


def _kernels(facts: ModuleFacts) -> Iterator[tuple[ir.Function, Container[str], int]]:
    """The functions that are given references: the kernels, with the parameters that are none, and where they are run.

    One that nobody in this module calls, and that calls what kernels alone may call, is such a kernel.
    """
    kernels = {function: trace for function, trace in facts.traced.items() if trace.mode == "kernel"}
    inside = {each.function for each in facts.functions if each.inside == "kernel"}
    inside.discard(None)
    called: set[ir.Function | None] = set()
    todo = list(inside)
    while todo:
        top = todo.pop()
        around = {each.function for each in facts.functions if top in each.calls.values()}
        if around and top not in kernels:
            called.add(top)
            todo += around - inside - {None}
            inside |= around - {None}
    for function, trace in kernels.items():
        yield function, trace.fixed, trace.ref
    for found in inside:
        if found is not None and found not in called and found not in kernels:
            yield found, (), found.ref


def _hand_references(facts: ModuleFacts) -> Iterator[ir.Function]:
    """Note that kernels are given references, wherever a parameter is given by position; gives the kernels."""
    for function, fixed, ref in _kernels(facts):
        yield function
        for param in function.params:
            if param.kind in ("", "/", "*") and param.name not in fixed and param.name != function.receiver:
                facts.given.setdefault(param, {}).setdefault((), {}).setdefault(_GIVEN_REF, ref)


def wanted(it: Interpreter) -> dict[ir.Param, dict[Path, Type]]:
    """What calls tell of the parameters of functions that edit something of one, where nobody knew."""
    out: dict[ir.Param, dict[Path, Type]] = {}
    facts = it.context.facts
    kernels = list(_hand_references(facts))
    places = [mutation.place for each in facts.functions for mutation in each.mutations.values()]
    edited = [_edited(place) for place in places]
    around = [owner for function in facts.traced for owner in _outward(function)]
    stored = [place.root.owner for place in places if isinstance(place.root.owner, ir.Function)]
    reused = [_owner(reuse.place) for each in facts.functions for reuse in each.reuses.values()]
    for owner in dict.fromkeys((*edited, *around, *stored, *reused, *kernels)):
        for param in owner.params if owner is not None else ():
            known = it.given.get(param, {})
            for path in facts.given.get(param, ()):
                if path in known or (told := _told(it, param, path)) is None:
                    continue
                stream = told[0].kind == "stream"  # each look at which gives another key
                objects = (owner in around or owner in reused) and (
                    is_graph(told[0]) or told[0].cls is not None
                )
                if owner in edited or stream or objects or told[0] == types.REF:
                    facts.told[param, path] = told
                    out.setdefault(param, dict(known))[path] = told[0]
    return out


def _outward(function: ir.Function) -> Iterator[ir.Function]:
    """A function and those that it stands in, whose parameters it may capture."""
    outer: ir.Function | None = function
    while outer is not None:
        yield outer
        outer = outer.parent


def _told(it: Interpreter, param: ir.Param, path: Path) -> tuple[Type, int] | None:
    """What all the calls that say something of a part of a parameter hand over, and where one of them does.

    What is given a reference to memory may be given an array as well, if it only reads, and is called an array often.
    """
    references = it.context.facts.types_given(param, path, annotated=True)
    if _GIVEN_REF in references:
        return types.REF, references[_GIVEN_REF]
    found = it.context.facts.types_given(param, path)
    if len(found) != 1:
        return None
    ((type_, ref),) = found.items()
    return (_as_given(type_), ref) if _tells(type_) else None


def _edited(place: Sym) -> ir.Function | None:
    """The function with a parameter that an object belongs to, or is a shallow copy of, if nothing is known of it."""
    root: Root | None = place.root
    while root is not None and root.kind == "local":
        root = root.base.root if root.base is not None else None
    return _owner(Sym(root)) if root is not None and not root.type.kind else None


def _owner(place: Sym) -> ir.Function | None:
    """The function with a parameter that a place belongs to."""
    owner = place.root.owner
    return owner if isinstance(owner, ir.Function) and _param(place.root) is not None else None


def _param(root: Root) -> ir.Param | None:
    if root.kind != "param" or not isinstance(root.owner, ir.Function):
        return None
    return next((param for param in root.owner.params if param.name == root.name), None)


def _tells(type_: Type) -> bool:
    known = type_.kind == "instance" and type_.cls is not None
    return type_.kind in ("array", "state", "stream") or known or is_frozen(type_) or is_graph(type_)


def _as_given(type_: Type) -> Type:
    if type_.kind == "state":  # a function may edit a fresh one: what is handed over matters, not the type
        return Type("state", name=GIVEN + type_.name, certain=False)
    return structs.replace(type_, certain=type_.kind != "array")


def forget(it: Interpreter, params: Container[ir.Param]) -> Iterator[Func]:
    """Forget the functions with one of these parameters; gives them, or those they are defined in, to be run again."""
    functions = it.context.lowered.module.functions
    tops = dict.fromkeys(
        _top(function) for function in functions if any(param in params for param in function.params)
    )
    for function in functions:
        if _top(function) in tops:
            it.summaries.pop(function, None)
    return (Func(top, it.context) for top in tops)


def _top(function: ir.Function) -> ir.Function:
    while function.parent is not None:
        function = function.parent
    return function
