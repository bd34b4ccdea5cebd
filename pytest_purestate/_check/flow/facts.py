"""What the interpreter found out. Rules are short queries over these values."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct, field

from pytest_purestate._check import ir
from pytest_purestate._check.flow.imports import named
from pytest_purestate._check.flow.results import children, forgets
from pytest_purestate._check.flow.values import Donation, Func, Guards, Origin, Path, Root, Sym, Type, Use
from pytest_purestate._check.model import Confidence, Edit, Label, Span

if TYPE_CHECKING:
    from pytest_purestate._check.flow.classes import ClassInfo
    from pytest_purestate._check.flow.project import ModuleContext

__all__ = [
    "Aliased",
    "Applied",
    "Broadcast",
    "Captured",
    "ConstantKey",
    "Donated",
    "Dropped",
    "Effect",
    "FunctionFacts",
    "Handed",
    "IgnoredKey",
    "Lost",
    "ModuleFacts",
    "Mutation",
    "Outdated",
    "Rebound",
    "Rebuilt",
    "Renewal",
    "Reuse",
    "Seed",
    "SharedDefault",
    "SharedStream",
    "Split",
    "Stale",
    "Successor",
    "Swap",
    "Trace",
    "Unhashable",
    "Unordered",
    "Unseeded",
    "draws",
]


Slot: TypeAlias = tuple[ir.Param, Path]
"""A parameter and the way from it to one of its parts, or to itself."""


class _Any:
    def __contains__(self, item: object) -> bool:
        return True


ANY = _Any()
"""Holds every mode of tracing."""


def _is_required(function: ir.Function, name: str) -> bool:
    """Whether a call must give a parameter of a function."""
    return any(
        param.name == name and param.default is None and not param.kind.startswith("*")
        for param in function.params
    )


def _around(function: ir.Function, among: Container[ir.Function]) -> ir.Function | None:
    """The innermost function around one, itself included, that is among these."""
    outer: ir.Function | None = function
    while outer is not None and outer not in among:
        outer = outer.parent
    return outer


def _names(target: ir.Expr) -> Iterator[ir.Name]:
    if isinstance(target, ir.Name):
        yield target
    elif isinstance(target, ir.Sequence):
        for item in target.items:
            yield from _names(item)


_MAKES = re.compile(r"_*(init|create|make|build|generate|reset|setup|new|sample_input)")
"""Functions that are given a key to make something with, once."""


def draws(use: Use) -> bool:
    """Whether numbers come of a use: it draws them, or splits the key in a function that draws from a part of it.

    A function of which nothing is known is taken to draw, unless it is called like one that makes something.
    """
    while use.inner is not None:
        use = use.inner
    if use.kind == "split":
        return use.call in use.context.facts.drawn
    return use.kind in ("draw", "apply") or (use.kind == "unknown" and _MAKES.match(use.verb) is None)


class Reuse(Struct, frozen=True, eq=False):
    """A key spent by ``second`` that ``first`` had spent already.

    ``kind``: ``loop`` (the same expression in a later pass), ``parent`` (spent by a split before),
    ``swapped`` (a sibling named ``instead`` lies unused), ``folded`` (made by two ``fold_in`` of the same data)
    or ``plain``.
    """

    kind: str
    first: Use
    second: Use
    place: Sym
    confidence: Confidence
    instead: str = ""


class Split(Struct, frozen=True, eq=False):
    """``a, b = split(k)``: the statement, the names and element indices, the key that was split."""

    ref: int
    call: int
    source: str
    parent: Sym | None
    names: tuple[tuple[str, int, int], ...]
    place: Sym


class Swap(Struct, frozen=True, eq=False):
    """After ``split`` replaced ``carried``, it is spent while ``unused`` never is."""

    split: Split
    carried: str
    unused: str
    use: Use


class Dropped(Struct, frozen=True, eq=False):
    """A call whose result is thrown away; ``what`` is split, fold_in, at, replace, apply_gradients, ...

    ``old`` is the argument that the result takes the place of, where a function makes it.
    """

    ref: int
    statement: int
    what: str
    receiver: str
    type: Type
    confidence: Confidence
    caught: frozenset[str] = frozenset()
    old: int = 0


class Mutation(Struct, frozen=True, eq=False):
    """An edit in place. ``how``: setitem, delitem, setattr, augmented or the name of a method.

    ``visible``: the caller, a captured scope or a frozen object sees it. ``through`` is the inner
    mutation when a called function does it. ``static``: what is stored is a
    Python value at trace time. ``sources`` are the objects that the stored value was made of: parameters,
    captured variables, and arrays and keys made here. ``caught`` are the exceptions that the code around it awaits.
    ``guards`` are the conditions under which it happens.
    ``copied``: a shallow copy was made before, and the edit goes below what it copied. ``taken``: the object was
    popped out of what the caller holds.
    """

    context: ModuleContext
    ref: int
    target: int
    place: Sym
    type: Type
    how: str
    visible: str
    op: str = ""
    value: int = -1
    through: Mutation | None = None
    evidence: Confidence = Confidence.LOW
    static: bool = False
    sources: frozenset[Root] = frozenset()
    caught: frozenset[str] = frozenset()
    guards: Guards = field(default_factory=dict)
    copied: bool = False
    taken: bool = False


class Handed(Struct, eq=False):
    """What a call gives to a parameter: a ``state``, a container (``dict``) of arrays, or a ``param`` of the caller (``root``).

    ``again``: the caller looks at the same object behind the call.
    """

    ref: int
    kind: str
    root: Root
    again: bool = False


class Effect(Struct, frozen=True, eq=False):
    """Something a function does to the world outside. ``kind``: print, log, io, global, ...

    ``inner`` is the effect inside the called function ``callee`` that this one stands for. ``static``: all it
    tells are Python values at trace time; ``bare``: a text that stands there. ``asks`` are the places of parameters and captured
    variables that have to hold such values for that, if it depends on any. ``sources`` are the objects that what is
    stored was made of; see `Mutation`. ``when``: a condition on the way asks whether this is being traced, and it
    happens only then (True), or never then (False).
    """

    context: ModuleContext
    ref: int
    kind: str
    what: str
    statement: int = -1
    inner: Effect | None = None
    callee: ir.Function | None = None
    static: bool = False
    sources: frozenset[Root] = frozenset()
    bare: bool = False
    asks: frozenset[Sym] = frozenset()
    when: bool | None = None


class Donated(Struct, frozen=True, eq=False):
    """A use of something whose buffers were donated before."""

    ref: int
    donation: Donation
    confidence: Confidence


class Unhashable(Struct, frozen=True, eq=False):
    """A static argument without a hash: the argument, the parameter, what it is, and where it was made (or -1).

    ``place`` is the attribute that it is read from, where it is that only if all that its class keeps there is.
    """

    ref: int
    api: str
    param: str
    what: str
    made: int
    confidence: Confidence
    place: Sym | None = None


class Outdated(Struct, frozen=True, eq=False):
    """An object that is static for a compiled ``function``, as ``param``, and changed between two calls of it.

    ``change`` is the assignment, ``ref`` the argument of the later call, ``place`` the object.
    """

    change: Mutation
    ref: int
    place: Sym
    function: Func
    param: str


class SharedStream(Struct, frozen=True, eq=False):
    """One key handed to several rng collections of one ``init`` or ``apply``."""

    ref: int
    call: int
    verb: str
    collections: tuple[str, ...]
    place: Sym


class ConstantKey(Struct, frozen=True, eq=False):
    """A key made from a constant where every run of the place repeats it. ``where``: loop, trace, field.

    ``name`` is the module variable that holds the constant, if any does.
    """

    ref: int
    where: str
    use: Use | None
    confidence: Confidence
    name: str = ""


class Seed(Struct, frozen=True, eq=False):
    """A key (``of``) whose seed differs from run to run: the call, the argument, the function it comes from, and where
    that was called (``origin``). ``drawn`` is what was drawn, ``instead``: only where no seed was given."""

    ref: int
    argument: int
    source: str
    confidence: Confidence
    of: str = "key"
    origin: Origin | None = None
    drawn: Root | None = None
    instead: bool = False


class IgnoredKey(Struct, frozen=True, eq=False):
    """A draw from a global generator of the host in a function that is given a key and never looks at it."""

    ref: int
    source: str
    param: ir.Param
    annotated: bool


class Unseeded(Struct, frozen=True, eq=False):
    """A generator of the host made without a seed in a function that is given one: the parameter ``param``.

    ``known``: it is a seed or a key for sure, or else a call must tell; ``number``: it can seed the generator as it is.
    """

    ref: int
    source: str
    param: ir.Param
    known: bool
    number: bool


class Captured(Struct, frozen=True, eq=False):
    """A key of the module, or of the function around, that a function spends; ``owner`` is None for the module."""

    use: Use
    place: Sym
    owner: ir.Function | None


class Broadcast(Struct, frozen=True, eq=False):
    """A key that every lane of a ``vmap`` spends. ``how``: captured, bound (by ``partial``) or in_axes."""

    ref: int
    call: int
    how: str
    use: Use


class Stale(Struct, frozen=True, eq=False):
    """A key spent below an object that keeps it: the next run of the same method or step meets it again."""

    use: Use
    place: Sym
    how: str
    confidence: Confidence


class Rebuilt(Struct, frozen=True, eq=False):
    """``jit`` of a function built anew in every iteration. ``what``: lambda, partial, method, def, wrapped.

    ``varying`` are the names that the loop binds; those in ``fixed`` hold what no argument can be. ``gives`` are
    parameters of the function in the module ``home`` with the names here that they are bound to beforehand.
    ``place`` is the
    attribute that is compiled, where it is a method only if the object that holds it is one of a known class.
    """

    ref: int
    api: str
    what: str
    function: ir.Function | None
    home: ModuleContext
    varying: frozenset[str]
    fixed: frozenset[str]
    gives: tuple[tuple[str, str], ...]
    place: Sym | None = None


class Rebound(Struct, frozen=True, eq=False):
    """A module variable bound anew, or edited, after ``at`` calls. ``place`` is its spelling; ``*`` is all of it.

    ``first``: the number of calls before it, or before the loop around it, the first time.
    ``sure`` says how likely a function that ran before runs again behind it, when the order is not known.
    ``inner`` is what a called function does.
    """

    context: ModuleContext
    ref: int
    place: str
    at: int
    sure: Confidence
    inner: Rebound | None = None
    first: int = 0


class Applied(Struct, frozen=True, eq=False):
    """``state.apply_fn`` is called with the captured variables ``name``, although the state has its own."""

    ref: int
    state: Root
    name: str


class Successor(Struct, frozen=True, eq=False):
    """A new value made from an old one, bound to a local name and never used for anything.

    ``frozen``: it is a copy of the function's own object, which nobody can edit, and no part of it is read.
    ``renewed``: it got the name of the parameter that it was made of, in a function that does nothing else.
    """

    ref: int
    statement: int
    name: str
    verb: str
    frozen: bool = False
    renewed: bool = False


class Renewal(Struct, frozen=True, eq=False):
    """A name for an array of a container (``place``) gets a new array, which arithmetic makes of the old one.

    ``kind`` is that of the old value's type: array, state, or nothing where only its use may tell what it is.
    ``sure``: that is known by where it came from.
    """

    ref: int
    name: str
    place: Sym
    kind: str
    sure: bool
    op: str


class Lost(Struct, frozen=True, eq=False):
    """A successor that is never looked at: its name (or the statement that left it behind) and the call.

    ``role`` is one of ``apis.signature.ROLES``, or ``named`` where only its name tells that it is one. ``kept`` says how the ``old`` value lives on: returned (``where``), self,
    loop (the next pass meets it), last (only that of the last pass is looked at), anew (each pass makes it), branch
    (one way through the function returns it), call (each call makes it),
    caller, captured, or not at all. ``applied``: ``goal`` when what came with it went
    into a step, ``out`` when it went out of sight. ``through`` a function of the project, made at ``origin``.
    ``trained``: whether the parameters beside it are the function's ``own``, ``advanced`` by it, or ``other`` than those. ``others``: another one of the role is looked at.
    ``parts``: some of its parts are looked at, and it goes nowhere as a whole. ``named``: a name says what it is.
    ``field``: no more than this attribute of the old value is returned, in something made of it.
    """

    ref: int
    call: int
    name: str
    role: str
    old: str
    kept: str
    where: int
    applied: str
    sure: bool
    through: bool
    names: tuple[str, ...]
    origin: Origin | None
    trained: str
    others: bool
    parts: bool
    named: bool
    field: str = ""


class SharedDefault(Struct, frozen=True, eq=False):
    """A mutable default, which all calls or instances share. ``where``: field, edited, stored, returned.

    ``ref`` is the expression of the default, ``other`` what is done with it; ``family`` is that of the class.
    ``attribute`` is the name under which it is stored.
    """

    ref: int
    where: str
    name: str
    type: Type
    family: str = ""
    other: int = -1
    attribute: str = ""


class Aliased(Struct, frozen=True, eq=False):
    """A buffer written after it was ``handed`` to JAX. ``converted``: most likely it was copied on the way."""

    ref: int
    target: int
    handed: Origin
    converted: bool


class Unordered(Struct, frozen=True, eq=False):
    """An order that differs between runs and shows. ``source``: where the elements come from, and in which way.

    ``how`` it shows at ``ref``: array, drawn, key, index, paired, picked, stored or returned.
    """

    ref: int
    source: Origin
    how: str


class Trace(Struct, frozen=True, eq=False):
    """Why a function is traced: the transform, and where it was applied (``place``: in which function).

    ``fixed`` are the parameters that are Python values while it is traced: static ones, and those that a bound
    method or ``partial`` brings along. ``shared`` are those whose containers are the caller's own; None where all are.
    ``back``: edits of objects of nnx are handed back to the caller.
    """

    api: str
    mode: str
    ref: int
    context: ModuleContext
    place: ir.Function | None = None
    fixed: frozenset[str] = frozenset()
    shared: frozenset[str] | None = None
    back: bool = False

    def copies(self, name: str) -> bool:
        """Whether a parameter is given new containers by the transform, which nobody else sees."""
        return self.shared is not None and name not in self.shared


class FunctionFacts(Struct, eq=False):
    """The facts of one function; ``function`` is None for the module's own body."""

    function: ir.Function | None
    reuses: dict[int, Reuse] = field(default_factory=dict)
    splits: dict[int, Split] = field(default_factory=dict)
    swaps: list[Swap] = field(default_factory=list)
    dropped: dict[int, Dropped] = field(default_factory=dict)
    mutations: dict[tuple[int, str], Mutation] = field(default_factory=dict)
    effects: dict[int, Effect] = field(default_factory=dict)
    echoes: list[Effect] = field(
        default_factory=list
    )  # what calls of functions of this module tell, for them to know what they are given
    donated: dict[int, Donated] = field(default_factory=dict)
    unhashable: dict[int, Unhashable] = field(default_factory=dict)
    outdated_statics: dict[int, Outdated] = field(default_factory=dict)
    attributes: dict[tuple[Root, str], int] = field(default_factory=dict)  # read of objects, and where first
    successors: dict[int, Successor] = field(default_factory=dict)
    lost: dict[int, Lost] = field(default_factory=dict)
    renewals: dict[int, Renewal] = field(default_factory=dict)  # of names, in loops
    steps: bool = False
    shared: dict[int, SharedStream] = field(default_factory=dict)
    remade: dict[Root, int] = field(default_factory=dict)  # keys that were made of one seed again, and where
    constants: dict[int, ConstantKey] = field(default_factory=dict)
    seeds: dict[int, Seed] = field(default_factory=dict)
    ignored: dict[int, IgnoredKey] = field(default_factory=dict)
    unseeded: list[Unseeded] = field(default_factory=list)
    made: dict[int, str] = field(default_factory=dict)  # calls that make a key of a seed, by dotted name
    unused: dict[int, str] = field(default_factory=dict)  # names of keys that are never looked at
    captured: dict[int, Captured] = field(default_factory=dict)
    hands_out: set[ir.Function] = field(default_factory=set)
    broadcasts: dict[int, Broadcast] = field(default_factory=dict)
    stale: dict[int, Stale] = field(default_factory=dict)
    rebuilt: dict[int, Rebuilt] = field(default_factory=dict)
    applied: dict[int, Applied] = field(default_factory=dict)
    reads: dict[str, int] = field(
        default_factory=dict
    )  # of module variables and of parts of them, and where first
    rebound: dict[tuple[int, str], Rebound] = field(default_factory=dict)
    borrowed: dict[tuple[object, str], int] = field(
        default_factory=dict
    )  # variables of the functions around (which, name) that are read, and where first
    outdated: dict[tuple[ir.Function, bool, str], int] = field(
        default_factory=dict
    )  # nested functions that ran (whether under a transform), and run again in the same way behind where a
    # variable that they capture is bound anew
    compiles: dict[int, Rebuilt] = field(default_factory=dict)  # compiled functions that each call makes anew
    at_once: set[int] = field(default_factory=set)  # where those were made that are called here
    kept: set[int] = field(default_factory=set)  # and those that go elsewhere, or run more than once
    apart: set[int] = field(
        default_factory=set
    )  # and those of which each pass of a loop needs, or keeps, one of its own
    looped: dict[ir.Function, int] = field(default_factory=dict)  # functions that a loop calls, and where
    looped_methods: dict[str, int] = field(
        default_factory=dict
    )  # methods of unknown objects that a loop calls
    outside: dict[str, bool] = field(default_factory=dict)  # variables from outside; whether they are called
    called: set[str] = field(
        default_factory=set
    )  # parameters that it calls, or of which methods that no array has
    built: set[ir.Function] = field(default_factory=set)  # functions defined in a pass of a loop
    ran: list[ir.Function] = field(
        default_factory=list
    )  # functions of this module, in the order of the calls
    defaults: dict[tuple[int, str], SharedDefault] = field(default_factory=dict)
    aliased: dict[int, Aliased] = field(default_factory=dict)
    lent: dict[str, Origin] = field(
        default_factory=dict
    )  # attributes of its object that leave as arrays, which may share their memory
    written: dict[str, tuple[int, int]] = field(
        default_factory=dict
    )  # ... that are written in place, and where
    unordered: dict[int, Unordered] = field(default_factory=dict)
    calls: dict[int, ir.Function] = field(default_factory=dict)
    inside: str = ""  # the transform under which alone it runs, to go by what it calls
    returns_value: bool = False
    edits_self: bool = False
    returned: set[Sym] = field(default_factory=set)
    left: set[Root] = field(
        default_factory=set
    )  # where objects of nnx are edited: all that is in what is returned
    state_like: set[Root] = field(default_factory=set)
    arrayish: set[Sym] = field(default_factory=set)  # what is computed with as arrays and scalars are
    tuples: dict[Sym, list[Guards]] = field(
        default_factory=dict
    )  # what has a method that only a NamedTuple has, and under which conditions it was called


class ModuleFacts(Struct, eq=False):
    """All facts of a module, with the way from refs to labels."""

    context: ModuleContext
    functions: list[FunctionFacts] = field(default_factory=list)
    traced: dict[ir.Function, Trace] = field(default_factory=dict)
    compiled: dict[ir.Function, Trace] = field(default_factory=dict)  # those whose trace is kept
    dry: set[ir.Function] = field(default_factory=set)  # those that are run for the shapes of their results
    wet: set[ir.Function] = field(
        default_factory=set
    )  # those that a transform, or a call, runs for the numbers
    drawn: set[int] = field(default_factory=set)  # splits of which a part, or a part of a part, is drawn from
    is_test: bool = False
    handed: dict[ir.Param, list[Handed]] = field(default_factory=dict)  # states that calls give to parameters
    given: dict[ir.Param, dict[Path, dict[Type | Slot, int]]] = field(
        default_factory=dict
    )  # what calls give to parameters and to the items of those that are containers, and where
    told: dict[Slot, tuple[Type, int]] = field(
        default_factory=dict
    )  # those whose type only such a call tells
    given_keys: dict[ir.Param, int] = field(
        default_factory=dict
    )  # parameters that a call gives a key, and where

    @property
    def path(self) -> str:
        return self.context.lowered.source.path

    def fixable(self, ref: int) -> bool:
        """Whether fixes by span are sound here (the statement prints back as its source)."""
        return self.context.lowered.exact(ref)

    def span(self, ref: int) -> Span:
        return self.context.lowered.span(ref)

    def text(self, ref: int) -> str:
        return self.context.lowered.source.slice(self.span(ref))

    def slice(self, span: Span) -> str:
        return self.context.lowered.source.slice(span)

    def named(self, dotted: str, function: ir.Function | None) -> tuple[str, tuple[Edit, ...]] | None:
        """How a function can spell a member of a library, and the import that this needs; see `imports.named`."""
        return named(self.context, dotted, function)

    def label(self, ref: int, text: str) -> Label:
        return Label(self.span(ref), text, self.path)

    def edit(self, ref: int, replacement: str) -> Edit:
        return Edit(self.span(ref), replacement)

    def class_info(self, cls: ir.Class) -> ClassInfo | None:
        """What is known of a class of this module."""
        interpreter = self.context.interpreter
        value = interpreter.class_of(cls) if interpreter is not None else None
        return value.info if value is not None else None

    def keeps_array(self, place: Sym, numpy: bool = False) -> bool:
        """Whether an attribute of an object holds an array of JAX, or of NumPy, by all that its class stores there."""
        interpreter = self.context.interpreter
        cls = place.root.type.cls
        if interpreter is None or cls is None or len(place.path) != 1 or place.path[0][0] != ".":
            return False
        classes = [value.info for value in interpreter.context_classes.values()]
        name = str(place.path[0][1])
        return cls.keeps_ndarrays(name, classes) if numpy else cls.keeps_arrays(name, classes)

    def is_traced_array(self, facts: FunctionFacts, place: Sym) -> bool:
        """Whether a function is given an array under a trace, to go by what it does with it."""
        trace = self.traced.get(facts.function) if facts.function is not None else None
        if (
            trace is None
            or trace.mode in ("kernel", "nnx", "nnx-jit")
            or place.root.owner is not facts.function
        ):
            return False  # what kernels are given are references
        return place.root.kind == "param" and place.root.name not in trace.fixed and place in facts.arrayish

    def is_idle(self, mutation: Mutation) -> bool:
        """Whether an edit only happens where a traced function gets None for an argument that it must be given."""
        for condition, outcome in mutation.guards.items():
            if not isinstance(condition, tuple) or condition[0] != "none" or outcome is not True:
                continue
            value = condition[1]
            root = value.root if isinstance(value, Sym) and not value.path else None
            if root is None or root.kind != "param" or not isinstance(root.owner, ir.Function):
                continue
            trace = self.traced.get(root.owner)
            if trace is not None and root.name not in trace.fixed and _is_required(root.owner, root.name):
                return True
        return False

    def types_given(self, param: ir.Param, path: Path = (), annotated: bool = False) -> dict[Type, int]:
        """What the calls in this module give to a parameter, or to a part of one, as far as they tell, and where.

        What a caller hands on is what it is given itself. ``annotated``: also where the text says what it is to be.
        """
        found: dict[Type, int] = {}
        todo, seen = [(param, path)], {(param, path)}
        while todo:
            top, part = todo.pop()
            known = self.given.get(top, {}).get(part, {}) if annotated or top.annotation is None else {}
            for given, ref in known.items():
                if isinstance(given, Type):
                    found.setdefault(given, ref)
                elif given not in seen:
                    seen.add(given)
                    todo.append(given)
        return found

    def classes_given(self, param: ir.Param) -> set[ClassInfo]:
        """The classes of the project whose objects calls give to a parameter."""
        return {type_.cls for type_ in self.types_given(param, annotated=True) if type_.cls is not None}

    def classes_at(self, place: Sym) -> set[ClassInfo]:
        """The classes of what may be at a place: a parameter, by the calls, or an attribute, by what is stored there."""
        root, cls = place.root, place.root.type.cls
        if not place.path and cls is not None:
            return {cls}
        if not place.path and root.kind == "param" and isinstance(root.owner, ir.Function):
            params = [param for param in root.owner.params if param.name == root.name]
            return {info for param in params for info in self.classes_given(param)}
        if len(place.path) == 1 and place.path[0][0] == "." and cls is not None:
            return cls.kept_as(str(place.path[0][1]), self.classes_given)
        return set()

    def is_method(self, place: Sym) -> bool:
        """Whether ``self.attribute.name`` is a method, by the classes of all that is kept as that attribute."""
        held = self.classes_at(Sym(place.root, place.path[:1]))
        return bool(held) and all(isinstance(info.find(str(place.path[1][1])), Func) for info in held)

    def reads_behind(self, owner: ir.Function, name: str, ref: int, apart: ir.Function) -> bool:
        """Whether a variable of ``owner`` is looked at behind a place, by anything but the function ``apart``.

        A rule asks this only of a variable in which it found something, so the text is walked on demand.
        """
        todo: list[object] = [*owner.body]
        while todo:
            node = todo.pop()
            if node is apart:
                continue
            if isinstance(node, ir.Name):
                if node.id == name and node.ref > ref:
                    return True
            elif isinstance(node, ir.Assign):
                todo += [node.value, *(part for part in node.targets if not isinstance(part, ir.Name))]
            else:
                todo += children(node)
        return False

    def holds_arrays(self, root: Root) -> bool:
        """Whether an object is used as parameters, here or by who hands it over, or calls hand over JAX arrays in it."""
        used = {(known.owner, known.name) for facts in self.functions for known in facts.state_like}
        if any(root in facts.state_like for facts in self.functions):
            return True
        todo, seen = [root], {(root.owner, root.name)}
        while todo:
            top = todo.pop()
            if top.kind != "param" or not isinstance(top.owner, ir.Function):
                continue
            if (top.owner, top.name) in used:
                return True
            for param in top.owner.params:
                for handed in self.handed.get(param, ()) if param.name == top.name else ():
                    if handed.kind != "param":
                        return True
                    if (handed.root.owner, handed.root.name) not in seen:
                        seen.add((handed.root.owner, handed.root.name))
                        todo.append(handed.root)
        return False

    def forgotten(self, facts: FunctionFacts) -> Iterator[tuple[Renewal, ir.For]]:
        """The new arrays that a loop binds to its own variable, and nobody reads before the next pass does the same."""
        module = self.context.lowered.module
        body = facts.function.body if facts.function is not None else module.body
        for renewal in facts.renewals.values():
            loop = forgets(body, renewal.ref, renewal.name)
            if loop is not None:
                yield renewal, loop

    def lent_buffers(self) -> Iterator[tuple[FunctionFacts, Aliased]]:
        """Writes into a buffer on an object that one of its methods gave away as an array."""
        interpreter = self.context.interpreter
        for cls, value in interpreter.context_classes.items() if interpreter is not None else ():
            methods = [facts for facts in self.functions if facts.function and facts.function.owner is cls]
            lent = {name: origin for facts in methods for name, origin in facts.lent.items()}
            for facts in methods if lent else ():
                for name, (ref, target) in facts.written.items():
                    if name in lent and value.info.keeps_buffer(name):
                        yield facts, Aliased(ref, target, lent[name], name in value.info.wide)

    def reuses(self, kind: str) -> Iterator[tuple[FunctionFacts, Reuse]]:
        """The reuses of one kind, but for local functions that only run for their shapes, and what a step is to blame for."""
        for facts in self.functions:
            if not self._is_probe(facts.function):
                for reuse in facts.reuses.values():
                    if reuse.kind == kind and not (reuse.second.renewed and self.stale_inside(reuse.first)):
                        yield facts, reuse

    def stale_inside(self, use: Use, how: str = "returned") -> bool:
        """Whether a use is that of a function of this module which returns, or keeps, the object with the spent key."""
        steps = {
            stale.use.ref for facts in self.functions for stale in facts.stale.values() if stale.how == how
        }
        while use.callback and use.inner is not None:
            use = use.inner  # a body that a transform runs is no step that somebody else calls
        inner = use.inner
        while inner is not None:
            if inner.context is self.context and inner.ref in steps:
                return True
            inner = inner.inner
        return False

    def is_dry(self, function: ir.Function | None) -> bool:
        """Whether a function only runs for the shapes of its results, as far as this module tells."""
        return function in self.dry and function not in self.wet

    def _is_probe(self, function: ir.Function | None) -> bool:
        """Whether nobody can run a function but for its shapes: a module's function others may call."""
        if function is None or not self.is_dry(function) or function in self.traced:
            return False
        return function.parent is not None or function.is_lambda

    def handed_over(self, place: Sym) -> tuple[Label, ...]:
        """Where a call hands over what an object belongs to, if only that call tells what it is."""
        root: Root | None = place.root
        while root is not None and root.kind == "local":
            root = root.base.root if root.base is not None else None
        for param in root.owner.params if root is not None and isinstance(root.owner, ir.Function) else ():
            for depth in range(len(place.path) + 1) if root is not None and param.name == root.name else ():
                if (told := self.told.get((param, place.path[:depth]))) is not None:
                    type_, ref = told
                    what = type_.cls.name if type_.cls is not None else type_.name.rpartition(".")[2]
                    what = {"array": "a JAX array", "state": "a state"}.get(type_.kind, f"a `{what}`")
                    return (self.label(ref, f"{what} is handed over here"),)
        return ()

    def carries(self, function: ir.Function) -> bool:
        """Whether a loop hands a function what it returned in the iteration before."""
        trace = self.traced.get(function)
        if trace is not None and trace.mode in ("scan", "fori", "while"):
            return True
        calls = {facts.looped[function] for facts in self.functions if function in facts.looped}
        todo: list[object] = [*self.context.lowered.module.body] if calls else []
        while todo:
            node = todo.pop()
            if isinstance(node, ir.Assign) and node.value.ref in calls and isinstance(node.value, ir.Call):
                given = {arg.value.id for arg in node.value.args if isinstance(arg.value, ir.Name)}
                names = {part.id for target in node.targets for part in _names(target)}
                if given & names:
                    return True
            todo += children(node)
        return False

    def in_test(self, function: ir.Function | None) -> bool:
        """Whether a function is of a test module, or stands inside a test."""
        if self.is_test:
            return True
        around = function.parent if function is not None else None
        while around is not None and not self.is_tests_own(around):
            around = around.parent
        return around is not None

    def is_tests_own(self, function: ir.Function) -> bool:
        """Whether a function is a test, or a method of a class of tests."""
        info = self.class_info(function.owner) if function.owner is not None else None
        return function.name.startswith("test_") or (info is not None and info.is_test)

    def by_function(self) -> dict[ir.Function, FunctionFacts]:
        """The facts of each function; the module's own body is none."""
        return {facts.function: facts for facts in self.functions if facts.function is not None}

    def traced_functions(self, modes: Container[str] = ANY) -> Iterator[tuple[FunctionFacts, Trace]]:
        """Every function traced in one of these modes: transformed, or called or run from one in this module."""
        by_function = self.by_function()
        why = {function: trace for function, trace in self.traced.items() if trace.mode in modes}
        if modes is not ANY:  # what stands in one of these and is traced in it in another way
            inside = {function: _around(function, why) for function in self.traced}
            why |= {function: why[outer] for function, outer in inside.items() if outer is not None}
        todo = list(why)
        while todo:
            function = todo.pop()
            facts = by_function.get(function)
            if facts is None:
                continue
            for called in facts.calls.values():
                if called not in why:
                    why[called] = why[function]
                    todo.append(called)
        for function, trace in why.items():
            facts = by_function.get(function)
            if facts is not None:
                yield facts, trace
