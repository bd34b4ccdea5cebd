"""What a jaxpr does to keys, worked out once and without running it.

Every value gets the term that it is computed by, so that what is computed twice in the same way is one value: the
children of two splits of one key, `fold_in` twice with the same data, a key that is made of one seed in two places.
A key array is an array of the terms of its elements, and what moves elements about (slices, reshapes, stacks,
transposes) is done to these arrays by numpy. Raw keys are followed the same way, word by word.

The idea of value numbering is older than JAX: Alpern, Wegman and Zadeck, POPL 1988.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pytest_purestate._runtime import _compat

__all__ = [
    "REPLAYS",
    "Analysis",
    "Draw",
    "Effects",
    "Reuse",
    "Value",
    "analyse",
    "analyse_call",
    "analyse_open",
    "has_keys",
    "inner_jaxprs",
    "is_sampler",
    "mark_inside",
]

_MANY = 256  # elements that only the run decides on
LIMIT = 2048
"""Arrays with more elements are one value: nobody draws from so many keys one by one."""

_CONSUMERS = frozenset(("random_bits", "random_gamma", "random_split"))
_KEY_PRIMITIVES = _CONSUMERS | frozenset(
    ("random_seed", "random_wrap", "random_unwrap", "random_fold_in", "random_clone")
)
_ALIASES = frozenset(
    (
        *("copy", "copy_p", "convert_element_type", "device_put", "sharding_constraint", "layout_constraint"),
        *("reshard", "optimization_barrier", "stage", "pvary", "pcast"),
    )
)
REPLAYS = ("transpose(", "rematted_computation")
"""What the names say of passes that run what ran before once more."""

Source = Any  # what JAX keeps of the place of an equation
Term = int


@dataclass(frozen=True, slots=True)
class Draw:
    """A use of a key: ``sources`` say where, the innermost equation first, ``call`` tells draws apart that belong to one call of a sampler, and ``step``
    those of one equation. ``sampler``: the call is a compiled function of ``jax.random``.
    """

    what: str
    sources: tuple[Source, ...]
    call: int
    step: int = 0
    sampler: bool = False


@dataclass(frozen=True, slots=True)
class Reuse:
    """Two uses of one key; of a loop both are the same one. ``why`` is a half-sentence where there is more to say."""

    first: Draw
    second: Draw
    why: str = ""


@dataclass(slots=True)
class Effects:
    """What a jaxpr does to keys.

    ``inputs`` are the elements of its inputs that it spends, by number of the input: the flat index of the element, or -1
    for all of them. ``derived`` are spent keys that follow from the inputs in a way that can be told: recipes.
    ``clones`` are inputs that are cloned.
    """

    reuses: list[Reuse] = field(default_factory=list)
    inputs: list[tuple[int, int, Draw]] = field(default_factory=list)
    derived: list[tuple[Recipe, Draw]] = field(default_factory=list)
    clones: list[int] = field(default_factory=list)
    places: dict[int, object] = field(default_factory=dict)
    """Room for whoever works out where draws are, by the identity of the draw."""

    def __bool__(self) -> bool:
        return bool(self.reuses or self.inputs or self.derived or self.clones)


Recipe = tuple[Any, ...]
"""``("fold", recipe, data)``, ``("seed", data, impl)``, ``("input", number, element)``, ``("wrap", number, element)``,
``("bits", bytes, impl)``; data is a number or ``("input", number, element)``."""


@dataclass(slots=True)
class Value:
    """A value: its term, and the terms of its elements where these are followed. ``key``: its elements are keys."""

    term: Term
    shape: tuple[int, ...]
    key: bool
    cells: np.ndarray | None = None
    small: bool = True
    words: bool = False  # of the type that raw keys have


_touching: weakref.WeakKeyDictionary[Any, bool] = weakref.WeakKeyDictionary()


def has_keys(jaxpr: Any) -> bool:
    """Whether anything in a jaxpr, or in those below it, touches keys. The answer is kept."""
    known = _touching.get(jaxpr)
    if known is None:
        known = _touching[jaxpr] = any(
            eqn.primitive.name in _KEY_PRIMITIVES or any(map(has_keys, inner_jaxprs(eqn.params)))
            for eqn in jaxpr.eqns
        )
    return known


def mark_inside(jaxpr: Any, seen: set[int]) -> None:
    """Add a jaxpr and all below it to those seen, by identity. One that many equations call is gone through once."""
    if id(jaxpr) not in seen:
        seen.add(id(jaxpr))
        for eqn in jaxpr.eqns:
            for inner in inner_jaxprs(eqn.params):
                mark_inside(inner, seen)


_samplers: weakref.WeakKeyDictionary[Any, bool] = weakref.WeakKeyDictionary()


def is_sampler(jaxpr: Any) -> bool:
    """Whether a jaxpr is a function of ``jax.random``: what it does inside is its own business. The answer is kept."""
    known = _samplers.get(jaxpr)
    if known is None:
        file = _compat.function_file(jaxpr).replace("\\", "/")
        known = _samplers[jaxpr] = "/jax/_src/random" in file or "/jax/_src/prng" in file
    return known


def inner_jaxprs(params: dict[str, Any]) -> Iterator[Any]:
    """The jaxprs that a primitive runs."""
    for value in params.values():
        for each in value if isinstance(value, (tuple, list)) else (value,):
            jaxpr = getattr(each, "jaxpr", each)  # a closed one has equations too
            if hasattr(jaxpr, "eqns"):
                yield jaxpr


def analyse(closed: Any, run: Analysis | None = None) -> Effects:
    """What a closed jaxpr does to keys; its inputs are followed by the constants that are keys."""
    run = run or Analysis()
    jaxpr = closed.jaxpr
    if not has_keys(jaxpr):
        return Effects()
    inputs = [run.given(number, var.aval) for number, var in enumerate(jaxpr.invars)]
    run.results = run.enter(jaxpr, closed.consts, inputs)
    return run.effects()


def analyse_open(jaxpr: Any) -> Effects:
    """The same of a jaxpr without its constants."""
    run = Analysis()
    values = [run.value(var.aval, run.unique("constant")) for var in jaxpr.constvars]
    run.jaxpr(jaxpr, values, [run.given(number, var.aval) for number, var in enumerate(jaxpr.invars)])
    return run.effects()


def analyse_call(
    primitive: Any, params: dict[str, Any], avals: Sequence[Any], run: Analysis | None = None
) -> Effects:
    """What one primitive does to keys that is bound outside of any jaxpr."""
    run = run or Analysis()
    inputs = [run.given(number, aval) for number, aval in enumerate(avals)]
    run.bind(primitive.name, params, inputs, None, [])
    return run.effects()


class Analysis:
    """One jaxpr gone through from its first equation to its last."""

    def __init__(self) -> None:
        self.results: list[Value] = []
        self.terms: dict[Any, Term] = {}
        self.made: list[Any] = []
        self.spent: dict[Term, Draw] = {}
        self.open: dict[Term, frozenset[Term]] = {}  # one of these, it is not known which
        self.reuses: dict[tuple[Any, Any], Reuse] = {}
        self.calls = 0
        self.call = 0  # the sampler of JAX that runs, as a number; 0 outside
        self.sources: list[Source] = []
        self.steps = [0]
        self.compiled = False  # the sampler that runs is a compiled function
        self.silent = 0
        self.cloned: list[Term] = []

    # --- terms -------------------------------------------------------------------------------

    def intern(self, *parts: Any) -> Term:
        try:
            known = self.terms.get(parts)
        except TypeError:  # parameters that have no hash
            return self.unique(*[part for part in parts if isinstance(part, (str, int))])
        if known is None:
            known = self.terms[parts] = len(self.made)
            self.made.append(parts)
        return known

    def unique(self, *parts: Any) -> Term:
        self.made.append(("unique", *parts))
        return len(self.made) - 1

    def value(self, aval: Any, term: Term) -> Value:
        shape = tuple(getattr(aval, "shape", ()))
        words = bool(shape) and str(getattr(aval, "dtype", "")) == "uint32"
        known = all(isinstance(size, int) for size in shape)
        return Value(term, shape if known else (), _compat.is_key_aval(aval), None, _is_small(shape), words)

    def given(self, number: int, aval: Any) -> Value:
        return self.value(aval, self.intern("input", number))

    def constants(self, jaxpr: Any, consts: Sequence[Any]) -> list[Value]:
        out = []
        for var, const in zip(jaxpr.constvars, consts, strict=True):
            value = self.value(var.aval, self.intern("const", id(const)))
            words = _compat.key_words(const) if value.key else None
            if words is not None and value.small:
                rows, impl = words
                cells = [self.intern("bits", row, impl) for row in rows]
                value.cells = _array(cells, value.shape)
            out.append(value)
        return out

    def cells(self, value: Value) -> np.ndarray | None:
        """The terms of the elements."""
        if value.cells is None and value.small:
            count = math.prod(value.shape)
            cells = [self.intern("element", value.term, index) for index in range(count)]
            value.cells = _array(cells, value.shape)
        return value.cells

    def followed(self, value: Value) -> np.ndarray:
        """The same of a value that is small."""
        cells = self.cells(value)
        assert cells is not None
        return cells

    def identity(self, value: Value) -> Any:
        if value.cells is not None:
            return (value.shape, value.cells.tobytes())
        return value.term

    def number(self, value: Value) -> Any:
        """What a scalar is, where that is a literal; else None."""
        made = self.made[value.term]
        return made[1] if made[0] == "literal" else None

    def wrapped(self, words: Sequence[Term], impl: str) -> Term:
        """The key of these words: the one that they were taken from, where they are all of its words."""
        first = self.made[words[0]]
        if first[0] == "word" and list(words) == [
            self.intern("word", first[1], at) for at in range(len(words))
        ]:
            whole: Term = first[1]
            return whole
        return self.intern("wrap", *words, impl)

    def replaced(self, term: Term, mapping: Mapping[Term, Term]) -> Term:
        """A key with others in the place of what it follows from."""
        if term in mapping:
            return mapping[term]
        made = self.made[term]
        if made[0] == "wrap":
            return self.wrapped([mapping.get(word, word) for word in made[1:-1]], made[-1])
        if made[0] == "fold":
            data = mapping.get(made[2], made[2])
            return self.intern("fold", self.replaced(made[1], mapping), data)
        if made[0] == "word":
            return self.intern("word", self.replaced(made[1], mapping), made[2])
        return term

    def first_pass(self, mapping: Mapping[Term, Term]) -> None:
        """What the terms inside a loop stand for in its first pass; for those who want to know."""

    # --- spending ----------------------------------------------------------------------------

    def consume(self, value: Value, what: str) -> None:
        if self.silent or any(_compat.is_replay(source, REPLAYS) for source in self.sources):
            return
        draw = Draw(
            what, tuple(self.sources[::-1]), self.call or self.next_call(), self.steps[-1], self.compiled
        )
        cells = self.cells(value)
        terms = dict.fromkeys(cells.ravel().tolist()) if cells is not None else {value.term: None}
        for term in terms:
            self.spend(term, draw)

    def next_call(self) -> int:
        self.calls += 1
        return self.calls

    def spend(self, term: Term, draw: Draw) -> None:
        first = self.spent.get(term)
        if first is None and term in self.open:
            options = self.open[term]
            if all(option in self.spent for option in options):
                first = self.spent[min(options)]
        if first is not None:
            self.report(first, draw)
            return
        self.spent[term] = draw
        for other, options in self.open.items() if len(self.open) <= _MANY else ():
            if term in options and other in self.spent and all(each in self.spent for each in options):
                self.report(self.spent[other], draw)
        for option in self.open.get(term, ()):  # one of two that are the same is that one
            if len(self.open[term]) == 1:
                self.spend(option, draw)

    def report(self, first: Draw, second: Draw, why: str = "") -> None:
        if first.call == second.call and not why:
            return  # inside one sampler of JAX
        places = (tuple(map(id, first.sources)), tuple(map(id, second.sources)))
        self.reuses.setdefault(places, Reuse(first, second, why))

    def effects(self) -> Effects:
        found = Effects(list(self.reuses.values()))
        for term in self.cloned:
            made = self.made[term]
            made = self.made[made[1]] if made[0] == "element" else made
            if made[0] == "input":
                found.clones.append(made[1])
        for term, draw in self.spent.items():
            made = self.made[term]
            if made[0] == "input":
                found.inputs.append((made[1], -1, draw))
            elif made[0] == "element" and self.made[made[1]][0] == "input":
                found.inputs.append((self.made[made[1]][1], made[2], draw))
            elif (recipe := self.recipe(term)) is not None:
                found.derived.append((recipe, draw))
        return found

    def recipe(self, term: Term) -> Recipe | None:
        """How a key follows from the inputs, where that can be told."""
        made = self.made[term]
        kind = made[0]
        if kind == "bits":
            return ("bits", made[1], made[2])
        if kind in ("fold", "seed", "wrap"):
            data = self.data(made[2] if kind == "fold" else made[1])
            if kind == "seed":
                return None if data is None else ("seed", data, made[2])
            if kind == "wrap":
                words = [self.data(word) for word in made[1:-1]]
                if all(isinstance(word, tuple) for word in words):
                    (_, number, element), *_ = words
                    if words == [("input", number, element + at) for at in range(len(words))]:
                        return ("wrap", number, element, len(words), made[-1])
                return None
            parent = self.recipe(made[1])
            return None if parent is None or data is None else ("fold", parent, data)
        if kind == "element" and self.made[made[1]][0] == "input":
            return ("input", self.made[made[1]][1], made[2])
        return None

    def data(self, term: Term) -> Any:
        made = self.made[term]
        if made[0] == "literal":
            return made[1]
        if made[0] == "input":
            return ("input", made[1], 0)
        if made[0] == "element" and self.made[made[1]][0] == "input":
            return ("input", self.made[made[1]][1], made[2])
        if made[0] == "element" and self.made[made[1]][0] == "literal":
            return self.made[made[1]][1]
        if made[0] == "convert_element_type" and isinstance(made[2][0], int):
            return self.data(made[2][0])
        return None

    # --- walking -----------------------------------------------------------------------------

    def jaxpr(self, jaxpr: Any, consts: Sequence[Value], inputs: Sequence[Value]) -> list[Value]:
        env: dict[Any, Value] = {}
        env.update(zip(jaxpr.constvars, consts, strict=True))
        env.update(zip(jaxpr.invars, inputs, strict=True))

        def read(atom: Any) -> Value:
            if hasattr(atom, "val"):
                return self.value(atom.aval, self.literal(atom.val))
            return env[atom]

        for eqn in jaxpr.eqns:
            args = [read(atom) for atom in eqn.invars]
            told = not self.call  # what is inside a sampler of JAX happens where that is called
            if told:
                self.sources.append(eqn.source_info)
                self.steps.append(id(eqn))
            try:
                outs = self.bind(eqn.primitive.name, eqn.params, args, eqn, eqn.outvars)
            finally:
                if told:
                    self.sources.pop()
                    self.steps.pop()
            env.update(zip(eqn.outvars, outs, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def literal(self, value: Any) -> Term:
        if np.ndim(value) == 0:
            try:
                return self.intern("literal", np.asarray(value).item())
            except TypeError:
                return self.unique("literal")
        return self.intern("const", id(value))

    def bind(
        self, name: str, params: dict[str, Any], args: list[Value], eqn: Any, outvars: Sequence[Any]
    ) -> list[Value]:
        avals = [var.aval for var in outvars]
        handler = _HANDLERS.get(name)
        inner = list(inner_jaxprs(params))
        if inner and not any(map(has_keys, inner)) and not any(map(_may_hold_keys, args)):
            handler, inner = None, []  # nothing in there can be about keys
        if handler is not None:
            outs = handler(self, params, args, avals)
            return outs if len(outs) == len(avals) else self.unknown(name, avals)
        if inner:
            if len(inner) == 1 and len(inner[0].invars) == len(args):
                return self.enter(inner[0], _consts(params), args, compiled=True)
            if any(map(has_keys, inner)):
                return self.unknown(name, avals)
        moved = _MOVES.get(name)
        if moved is not None and len(avals) == 1 and args and self.follows(args, avals):
            cells = moved(self, params, args, avals[0])
            key = _compat.is_key_aval(avals[0])
            return [Value(self.intern("array", cells.tobytes()), cells.shape, key, cells)]
        if name == "unstack" and avals and self.follows(args, avals):
            rows = np.moveaxis(self.followed(args[0]), params["axis"], 0)
            return [
                Value(self.intern("array", row.tobytes()), row.shape, _compat.is_key_aval(aval), row)
                for row, aval in zip(rows, avals, strict=True)
            ]
        if name in _ALIASES and len(args) == len(avals) and (name != "convert_element_type" or args[0].key):
            return list(args)
        if eqn is not None and getattr(eqn, "effects", None):
            return self.unknown(name, avals)
        try:
            settings = tuple(sorted(params.items()))
            hash(settings)
        except TypeError:
            settings = (("id", id(params)),)
        ids = tuple(map(self.identity, args))
        return [self.value(aval, self.intern(name, settings, ids, place)) for place, aval in enumerate(avals)]

    def follows(self, args: Sequence[Value], avals: Sequence[Any]) -> bool:
        """Whether elements are followed through a primitive: those of small arrays of keys and of words."""
        small = all(arg.small for arg in args) and _is_small(avals[0].shape)
        return small and (any(arg.key for arg in args) or str(getattr(avals[0], "dtype", "")) == "uint32")

    def unknown(self, name: str, avals: Sequence[Any]) -> list[Value]:
        return [self.value(aval, self.unique(name)) for aval in avals]

    def enter(
        self, jaxpr: Any, consts: Sequence[Any], args: Sequence[Value], *, compiled: bool = False
    ) -> list[Value]:
        """Go into a jaxpr that runs once."""
        inside = not self.call and is_sampler(jaxpr)
        if inside:
            self.call, self.compiled = self.next_call(), compiled
        try:
            return self.jaxpr(jaxpr, self.constants(jaxpr, consts), args)
        finally:
            if inside:
                self.call, self.compiled = 0, False


def _is_small(shape: Sequence[Any]) -> bool:
    """Whether the elements of such an array are followed."""
    return all(isinstance(size, int) for size in shape) and math.prod(shape) <= LIMIT


def _array(terms: Sequence[Term], shape: Sequence[int]) -> np.ndarray:
    """Terms as the elements of an array."""
    return np.array(terms, dtype=np.int64).reshape(shape)


def _may_hold_keys(value: Value) -> bool:
    return value.key or value.cells is not None or (value.words and value.small)


def _consts(params: dict[str, Any]) -> Sequence[Any]:
    for value in params.values():
        if hasattr(value, "jaxpr") and hasattr(value, "consts"):
            return list(value.consts)
    return ()


# --- primitives of keys ------------------------------------------------------------------------


def _drawn(run: Analysis, params: dict[str, Any], args: list[Value], avals: list[Any]) -> list[Value]:
    run.consume(args[0], "drawn from")
    return run.unknown("bits", avals)


def _split(run: Analysis, params: dict[str, Any], args: list[Value], avals: list[Any]) -> list[Value]:
    (key,) = args
    run.consume(key, "split")
    out = run.value(avals[0], run.intern("split-all", run.identity(key), params["shape"]))
    cells = run.cells(key)
    if cells is not None and out.small:
        count = math.prod(params["shape"])
        made = [
            run.intern("split", cell, params["shape"], at)
            for cell in cells.ravel().tolist()
            for at in range(count)
        ]
        out.cells = _array(made, out.shape)
    return [out]


def _fold(run: Analysis, params: dict[str, Any], args: list[Value], avals: list[Any]) -> list[Value]:
    key, data = args
    out = run.value(avals[0], run.intern("fold-all", run.identity(key), run.identity(data)))
    keys = run.cells(key)
    if keys is not None and out.small:
        if data.shape == () and data.cells is None:
            numbers = np.full(out.shape, data.term)
        else:
            found = run.cells(data)
            if found is None:
                return [out]
            numbers = np.broadcast_to(found, out.shape)
        pairs = zip(np.broadcast_to(keys, out.shape).ravel().tolist(), numbers.ravel().tolist(), strict=True)
        made = [run.intern("fold", cell, number) for cell, number in pairs]
        out.cells = _array(made, out.shape)
    return [out]


def _seed(run: Analysis, params: dict[str, Any], args: list[Value], avals: list[Any]) -> list[Value]:
    (seed,) = args
    out = run.value(avals[0], run.intern("seed-all", run.identity(seed)))
    impl = _compat.impl_name(params["impl"])
    if out.shape == () and seed.cells is None:
        out.cells = _array([run.intern("seed", seed.term, impl)], ())
    elif (found := run.cells(seed)) is not None:
        cells = [run.intern("seed", each, impl) for each in found.ravel().tolist()]
        out.cells = _array(cells, out.shape)
    return [out]


def _wrap(run: Analysis, params: dict[str, Any], args: list[Value], avals: list[Any]) -> list[Value]:
    (words,) = args
    out = run.value(avals[0], run.intern("wrap-all", run.identity(words)))
    impl = _compat.impl_name(params["impl"])
    found = run.cells(words)
    if found is not None:
        cells = [run.wrapped(row, impl) for row in found.reshape(-1, found.shape[-1]).tolist()]
        out.cells = _array(cells, out.shape)
    return [out]


def _unwrap(run: Analysis, params: dict[str, Any], args: list[Value], avals: list[Any]) -> list[Value]:
    (key,) = args
    out = run.value(avals[0], run.intern("unwrap-all", run.identity(key)))
    cells = run.cells(key)
    if cells is not None and out.small:
        words = out.shape[-1]
        made = [run.intern("word", cell, at) for cell in cells.ravel().tolist() for at in range(words)]
        out.cells = _array(made, out.shape)
    return [out]


def _clone(run: Analysis, params: dict[str, Any], args: list[Value], avals: list[Any]) -> list[Value]:
    cells = run.cells(args[0])
    run.cloned += [args[0].term] if cells is None else cells.ravel().tolist()
    return run.unknown("clone", avals)


# --- control flow ------------------------------------------------------------------------------


def _cond(run: Analysis, params: dict[str, Any], args: list[Value], avals: list[Any]) -> list[Value]:
    index, *operands = args
    branches = params["branches"]
    chosen = run.number(index)
    if isinstance(chosen, int) and 0 <= chosen < len(branches):
        branches = branches[chosen : chosen + 1]
    before = dict(run.spent)
    after: dict[Term, Draw] = {}
    results: list[list[Value]] = []
    for branch in branches:
        run.spent = dict(before)
        results.append(run.enter(branch.jaxpr, branch.consts, operands))
        for term, draw in run.spent.items():
            after.setdefault(term, draw)
    run.spent = after
    return [_either(run, aval, [outs[place] for outs in results]) for place, aval in enumerate(avals)]


def _either(run: Analysis, aval: Any, options: Sequence[Value]) -> Value:
    out = run.value(aval, run.unique("either"))
    if all(option.term == options[0].term for option in options):
        return options[0]
    if out.small and (out.key or options[0].cells is not None):
        out.cells = _one_of_each(run, [run.followed(option) for option in options])
    return out


def _one_of_each(run: Analysis, parts: Sequence[np.ndarray]) -> np.ndarray:
    """Element by element, one of those in the same place."""
    columns = zip(*[part.ravel().tolist() for part in parts], strict=True)
    return _array([_one_of(run, column) for column in columns], parts[0].shape)


def _one_of(run: Analysis, options: Sequence[Term]) -> Term:
    different = frozenset(options)
    if len(different) == 1:
        return options[0]
    term = run.unique("one of")
    run.open[term] = different
    return term


def _scan(run: Analysis, params: dict[str, Any], args: list[Value], avals: list[Any]) -> list[Value]:
    consts, carried = _compat.scan_counts(params, len(args))
    body = params["jaxpr"]
    length = params["length"]
    unknown = not isinstance(length, int)
    fixed, init, rows = args[:consts], args[consts : consts + carried], args[consts + carried :]
    start = len(run.made)
    carry = [run.value(var.aval, run.unique("carry")) for var in body.jaxpr.invars[consts : consts + carried]]
    taken = [run.value(var.aval, run.unique("row")) for var in body.jaxpr.invars[consts + carried :]]
    loop = _Loop(run, start, carry, taken)
    outs = run.enter(body.jaxpr, body.consts, [*fixed, *carry, *taken])
    new = outs[:carried]
    if not unknown and length == 0:
        run.spent = loop.before()
        return run.unknown("scan", avals)
    if unknown or length > 1:
        loop.repeats(new)
    inside = loop.spent()
    _spend_outer(run, list(zip(carry, init, strict=True)), inside)
    _spend_rows(run, list(zip(taken, rows, strict=True)), inside)
    results = [_behind(run, inner, out, first) for inner, out, first in zip(carry, new, init, strict=True)]
    return [*results, *run.unknown("scan", avals[len(results) :])][: max(len(avals), 0)]


def _while(run: Analysis, params: dict[str, Any], args: list[Value], avals: list[Any]) -> list[Value]:
    tests, bodies = params["cond_nconsts"], params["body_nconsts"]
    test, body = params["cond_jaxpr"], params["body_jaxpr"]
    init = args[tests + bodies :]
    start = len(run.made)
    carry = [run.value(var.aval, run.unique("carry")) for var in body.jaxpr.invars[bodies:]]
    loop = _Loop(run, start, carry, [])
    run.enter(test.jaxpr, test.consts, [*args[:tests], *carry])
    new = run.enter(body.jaxpr, body.consts, [*args[tests : tests + bodies], *carry])
    loop.repeats(new)
    _spend_outer(run, list(zip(carry, init, strict=True)), loop.spent())
    return [_behind(run, inner, out, first) for inner, out, first in zip(carry, new, init, strict=True)][
        : len(avals)
    ]


class _Loop:
    """What the passes of a loop have in common: all that was there before it, and what no pass changes.

    ``start`` is the number of the first term of the loop.
    """

    def __init__(self, run: Analysis, start: int, carry: Sequence[Value], rows: Sequence[Value]) -> None:
        self._run = run
        self._start = start
        self._carry = carry
        self._outside = dict(run.spent)
        self._own = {value.term for value in carry}
        self._varying = {row.term for row in rows}
        self._memo: dict[Term, bool] = {}

    def repeats(self, new: Sequence[Value]) -> None:
        """Report what every pass spends: keys that are the same in each, and used ones that are carried on."""
        run = self._run
        if run.call:
            return  # inside a sampler of JAX
        changed: dict[Term, Term] = {}  # elements of the carry: what they are in the next pass
        for old, value in zip(self._carry, new, strict=True):
            if old.term == value.term:
                continue
            followed = old.key or old.cells is not None
            before, after = (run.cells(each) if followed or _words(each) else None for each in (old, value))
            if before is None or after is None or before.shape != after.shape:
                self._varying.add(old.term)
                continue
            for cell, then in zip(before.ravel().tolist(), after.ravel().tolist(), strict=True):
                if cell != then:
                    self._varying.add(cell)
                    changed[cell] = then
        inside = self.spent()
        for term, draw in inside.items():
            if not self._varies(term):
                run.report(draw, draw, "in every pass of the loop")
            elif (then := run.replaced(term, changed)) != term and then in inside:
                run.report(inside[then], draw, "in the next pass of the loop")

    def before(self) -> dict[Term, Draw]:
        """What was spent before the loop."""
        return dict(self._outside)

    def spent(self) -> dict[Term, Draw]:
        """What one pass spends."""
        return {term: draw for term, draw in self._run.spent.items() if term not in self._outside}

    def _varies(self, term: Term) -> bool:
        """Whether a term depends on what changes from pass to pass."""
        if term in self._varying:
            return True
        if term < self._start:
            return False
        known = self._memo.get(term)
        if known is None:
            self._memo[term] = False
            known = self._memo[term] = any(map(self._varies, self._parts(term)))
        return known

    def _parts(self, term: Term) -> Iterator[Term]:
        made = self._run.made[term]
        kind = made[0]
        if kind == "unique":
            if made[1] == "one of":
                yield from self._run.open[term]
            elif term not in self._own:  # a number that nobody knows, or the carry of a loop inside
                yield next(iter(self._varying), term)
                self._memo[term] = True
        elif kind in ("element", "split", "word"):
            yield made[1]
        elif kind == "fold":
            yield from made[1:3]
        elif kind == "wrap":
            yield from made[1:-1]
        elif kind == "seed":
            yield made[1]
        elif kind == "array":
            yield from np.frombuffer(made[1], dtype=np.int64).tolist()
        elif kind not in ("literal", "const", "bits", "input"):
            for operand in made[2] if len(made) == 4 else made[1:2]:
                if isinstance(operand, tuple):
                    yield from np.frombuffer(operand[1], dtype=np.int64).tolist()
                else:
                    yield operand


def _words(value: Value) -> bool:
    """Whether a value may hold raw keys."""
    return value.small and bool(value.shape) and value.shape[-1] in (2, 4)


def _spend_outer(run: Analysis, pairs: Sequence[tuple[Value, Value]], inside: Mapping[Term, Draw]) -> None:
    """What the first pass spends of the carry is what the loop was given."""
    mapping = {inner.term: outer.term for inner, outer in pairs}
    for inner, outer in pairs:
        _matched(run, inner, run.cells(outer) if inner.cells is not None else None, mapping)
    _spend_replaced(run, mapping, inside)


def _spend_rows(run: Analysis, pairs: Sequence[tuple[Value, Value]], inside: Mapping[Term, Draw]) -> None:
    """What a pass spends of its row is spent of all rows."""
    count = next((outer.shape[0] for _, outer in pairs if outer.shape), 0)
    followed = [
        (inner, run.cells(outer)) for inner, outer in pairs if inner.cells is not None and outer.small
    ]
    for row in range(count if followed else 0):
        mapping: dict[Term, Term] = {}
        for inner, cells in followed:
            _matched(run, inner, None if cells is None else cells[row], mapping)
        _spend_replaced(run, mapping, inside)


def _matched(run: Analysis, inner: Value, outer: np.ndarray | None, mapping: dict[Term, Term]) -> None:
    if inner.cells is not None and outer is not None and inner.cells.shape == outer.shape:
        mapping.update(zip(inner.cells.ravel().tolist(), outer.ravel().tolist(), strict=True))


def _spend_replaced(run: Analysis, mapping: Mapping[Term, Term], inside: Mapping[Term, Draw]) -> None:
    run.first_pass(mapping)
    for term, draw in inside.items():
        outer = run.replaced(term, mapping)
        if outer != term:
            run.spend(outer, draw)


def _behind(run: Analysis, inner: Value, new: Value, init: Value) -> Value:
    """What a loop leaves in the carry: what it was given, where no pass changes it."""
    if inner.term == new.term:
        return init
    out = Value(run.unique("loop"), init.shape, init.key, None, init.small)
    if inner.key and (cells := run.cells(out)) is not None and new.cells is not None:
        for cell, last in zip(cells.ravel().tolist(), new.cells.ravel().tolist(), strict=True):
            if last in run.spent:
                run.spent[cell] = run.spent[last]
    return out


def _remat(run: Analysis, params: dict[str, Any], args: list[Value], avals: list[Any]) -> list[Value]:
    replayed = bool(params.get("differentiated"))
    run.silent += replayed
    try:
        return run.enter(params["jaxpr"], (), args)
    finally:
        run.silent -= replayed


def _custom(run: Analysis, params: dict[str, Any], args: list[Value], avals: list[Any]) -> list[Value]:
    closed = params.get("call_jaxpr") or params.get("fun_jaxpr") or params.get("jaxpr")
    if closed is None or not hasattr(closed, "jaxpr") or len(closed.jaxpr.invars) != len(args):
        return run.unknown("custom", avals)
    return run.enter(closed.jaxpr, closed.consts, args)


def _callback(run: Analysis, params: dict[str, Any], args: list[Value], avals: list[Any]) -> list[Value]:
    return run.unknown("callback", avals)


Handler = Callable[[Analysis, dict[str, Any], list[Value], list[Any]], list[Value]]
_HANDLERS: dict[str, Handler] = {
    "random_bits": _drawn,
    "random_gamma": _drawn,
    "random_split": _split,
    "random_fold_in": _fold,
    "random_seed": _seed,
    "random_wrap": _wrap,
    "random_unwrap": _unwrap,
    "random_clone": _clone,
    "cond": _cond,
    "scan": _scan,
    "while": _while,
    "remat": _remat,
    "remat2": _remat,
    "checkpoint": _remat,
    "custom_jvp_call": _custom,
    "custom_vjp_call": _custom,
    "custom_vjp_call_jaxpr": _custom,
    "debug_callback": _callback,
    "io_callback": _callback,
    "pure_callback": _callback,
}


# --- what moves elements about: arguments and result are small ----------------------------------


def _slice(run: Analysis, params: dict[str, Any], args: list[Value], aval: Any) -> np.ndarray:
    cells = run.followed(args[0])
    steps = params["strides"] or (1,) * cells.ndim
    bounds = zip(params["start_indices"], params["limit_indices"], steps, strict=True)
    return cells[tuple(slice(*each) for each in bounds)]


def _reshape(run: Analysis, params: dict[str, Any], args: list[Value], aval: Any) -> np.ndarray:
    return run.followed(args[0]).reshape(aval.shape)


def _transpose(run: Analysis, params: dict[str, Any], args: list[Value], aval: Any) -> np.ndarray:
    return run.followed(args[0]).transpose(params["permutation"])


def _rev(run: Analysis, params: dict[str, Any], args: list[Value], aval: Any) -> np.ndarray:
    return np.flip(run.followed(args[0]), params["dimensions"])


def _broadcast(run: Analysis, params: dict[str, Any], args: list[Value], aval: Any) -> np.ndarray:
    cells = run.followed(args[0])
    shape = [1] * len(aval.shape)
    for at, dimension in enumerate(params["broadcast_dimensions"]):
        shape[dimension] = cells.shape[at]
    return np.array(np.broadcast_to(cells.reshape(shape), aval.shape))


def _concatenate(run: Analysis, params: dict[str, Any], args: list[Value], aval: Any) -> np.ndarray:
    return np.concatenate([run.followed(arg) for arg in args], axis=params["dimension"])


def _stack(run: Analysis, params: dict[str, Any], args: list[Value], aval: Any) -> np.ndarray:
    return np.stack([run.followed(arg) for arg in args], axis=params["axis"])


def _select(run: Analysis, params: dict[str, Any], args: list[Value], aval: Any) -> np.ndarray:
    which, *cases = args
    parts = [run.followed(case) for case in cases]
    chosen = run.number(which)
    return parts[int(chosen)] if chosen is not None else _one_of_each(run, parts)


def _dynamic_slice(run: Analysis, params: dict[str, Any], args: list[Value], aval: Any) -> np.ndarray:
    array, *starts = args
    cells = run.followed(array)
    numbers = [run.number(start) for start in starts]
    sizes = params["slice_sizes"]
    if all(isinstance(number, int) for number in numbers):
        begins = [max(0, min(int(n), d - s)) for n, d, s in zip(numbers, cells.shape, sizes, strict=True)]
        return cells[tuple(slice(begin, begin + size) for begin, size in zip(begins, sizes, strict=True))]
    return _picked(run, ("dynamic_slice", sizes), array, starts, aval)


def _gather(run: Analysis, params: dict[str, Any], args: list[Value], aval: Any) -> np.ndarray:
    array, index = args
    return _picked(run, ("gather", str(params["dimension_numbers"])), array, [index], aval)


def _picked(run: Analysis, how: Any, array: Value, starts: Sequence[Value], aval: Any) -> np.ndarray:
    """Elements of which only the run decides which they are: the same ones for the same index."""
    options = frozenset(run.followed(array).ravel().tolist())
    ids = (run.identity(array), *map(run.identity, starts))
    terms = [run.intern("picked", how, ids, at) for at in range(math.prod(aval.shape))]
    if len(options) > 1:
        run.open.update(dict.fromkeys(terms, options))
    return _array(terms, aval.shape)


_MOVES: dict[str, Callable[[Analysis, dict[str, Any], list[Value], Any], np.ndarray]] = {
    "slice": _slice,
    "squeeze": _reshape,
    "reshape": _reshape,
    "expand_dims": _reshape,
    "transpose": _transpose,
    "rev": _rev,
    "broadcast_in_dim": _broadcast,
    "concatenate": _concatenate,
    "stack": _stack,
    "select_n": _select,
    "dynamic_slice": _dynamic_slice,
    "gather": _gather,
}
