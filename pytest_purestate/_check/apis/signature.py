"""What a function does to keys, state and callbacks, as data, and the notation it is written in.

A table is text, one function (or several) a line::

    jax.random.split(key, num): splits key; returns keys
    jax.lax.{map,associative_scan}(f, xs): runs f as map
    @transform.update(updates, state, params): pure; returns state

An indented line continues the one before. ``module.f@kind(x)`` is the function given an ``x`` of that kind. ``{a,b}`` spells several names, a final ``*`` stands for every
other name with that prefix, ``@kind.name`` is a method of values of that kind (``@*``: of any value).
Parameters after a ``*`` are given by keyword only. Clauses:

=====================  ==================================================================
``consumes p q [as k]``  spends the keys in these arguments (k: draw, init, apply; default draw)
                        (``keys``: every argument that is a key; ``key_or_seed``: if it is one)
``splits p``            spends the key in p, for new keys
``reads p q``           looks at the keys in these arguments and spends none
``returns t [if p]``    the kind of result: see KINDS (unknown where the argument p is left out)
``wraps f as m``        returns f under the transform m (jit, vmap, grad, scan, ...)
``keeps p [unless q]``  what it returns keeps this key, and spends it whenever it is called (not if q is given)
``forwards m``          calls the method m of the receiver with the other arguments
``runs f g as m``       calls f now under the transform m
``back``                hands edits of objects that it gives its callbacks back to the caller
``pure``                has no effect: a result thrown away is a mistake
``effect e``            does something to the world outside (print, log, io, ...)
``state p q``           these arguments are state pytrees
``mutates p q``         edits these in place (``self`` for the receiver)
``succeeds p as r``      the result (of a pair its last part) takes the place of p: see ROLES
``stateless [unless p]``  returns a transform with nothing to remember, unless p says otherwise
``aliases p``           what it returns may share the memory of this buffer (not with a ``dtype`` or ``copy``)
``arrays p q``          these arguments are arrays or scalars: no list, no dict, no shape
``ordered p q``         the order of the elements of these arguments shows in the result
``outlines p``           looks at the shapes and types of what is in this argument, and at no numbers
``inside m``            is called by nothing but functions under the transform m, and what they call
=====================  ==================================================================
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator

from msgspec import Struct
from msgspec.structs import replace

__all__ = [
    "CLAUSES",
    "COMPILED",
    "ELEMENTS",
    "KINDS",
    "OBJECTS",
    "ROLES",
    "Signature",
    "SignatureError",
    "Table",
    "parse_clauses",
    "parse_line",
    "parse_lines",
    "parse_table",
]

KINDS = frozenset(
    "key keys array numpy list dict set str number state stream module transform dist none logger "
    "static transformed kernel initializer deep opaque bool entropy "
    "transformed_with_state transformed_without_rng stateful_without_rng tfdist sampler step env constant stateless "
    "optimizer graph ref file writer checkpointer progress buffer raises path unordered walk generator arithmetic tracer".split()
)
"""Result kinds (``raises``: a context manager that awaits the exceptions given, ``unordered``: a list in an order
of its own in every run, ``walk``: of a folder, each step of which has two such lists, ``path``: a file's, ``writer``: of a log, ``arithmetic``: a number, or an array if one is given); also ``same p`` (p itself), ``twin p`` (p in other buffers), ``copy p`` (a shallow copy), ``view p`` (p when it holds
keys, else a new array), ``fold p q`` (the key that p and q make), ``key p`` (the key that the seed p makes),
``generator p`` (a generator of the host that starts from the seed p), ``progress p`` (a bar over p),
``pair a b`` (a tuple)."""

OBJECTS = frozenset(
    "module dist tfdist transform stateless stream transformed transformed_with_state transformed_without_rng "
    "stateful_without_rng kernel sampler step env initializer constant optimizer graph ref file writer checkpointer progress queue buffer".split()
)
"""Result kinds that are objects of a library: they have methods of their own, and are never keys."""

ELEMENTS = {
    "transform": ("init", "update"),
    "stateless": ("init", "update"),
    "transformed": ("init", "apply"),
    "transformed_with_state": ("init", "apply"),
    "transformed_without_rng": ("init", "apply"),
    "stateful_without_rng": ("init", "apply"),
}
"""The objects that are named tuples, with the names of their elements: ``init, update = optax.adam(1e-3)``."""

_OF_PARAMS = {"same": 1, "twin": 1, "copy": 1, "view": 1, "fold": 2, "key": 1, "generator": 1, "progress": 1}
"""Result kinds that name parameters, and how many; ``key`` may go without."""

CLAUSES = (
    "consumes splits reads returns wraps keeps forwards runs back pure effect state mutates succeeds stateless aliases arrays ordered outlines inside"
).split()
ROLES = frozenset("optimizer collections params fields".split())
"""What a successor is: the state of an optimizer, the collections of a model, what an optimizer step makes, a copy
with other fields."""

_USES = frozenset("draw init apply".split())
_MODES = frozenset(
    "jit vmap grad scan fori while map cond inline shape kernel pure nnx nnx-jit memo tree call handler".split()
)
COMPILED = frozenset(("jit", "nnx-jit"))
"""The transforms that compile a function once for each shape of its arguments, and keep the code."""

UNFLATTENS = frozenset("jit nnx-jit vmap grad scan fori while map cond inline".split())
"""The transforms that take arguments apart, and hand the function new containers: nobody else sees an edit of those."""

_EFFECTS = frozenset("print input io environ log breakpoint sleep host-rng clock seed".split())
_ANYTHING = frozenset(("self", "keys"))

_LINE = re.compile(r"(?P<names>[@\w.{},*]+?)\((?P<params>[^)]*)\):\s*(?P<clauses>.*)")
_CONTINUED = re.compile(r"\n[ \t]+(?=\S)")
_BRACES = re.compile(r"\{([^}]*)\}")


class SignatureError(ValueError):
    """A line of a table (or of the user's configuration) that cannot be read."""


class Signature(Struct, frozen=True):
    """What one function does. ``params`` are its positional parameters by name, ``keywords`` the others.

    ``open`` is a signature without a list of parameters: where they stand is not known.
    """

    name: str
    params: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    open: bool = False
    consumes: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    how: str = "draw"
    returns: tuple[str, ...] = ("opaque",)
    given: str = ""
    callbacks: tuple[str, ...] = ()
    mode: str = ""
    wraps: bool = False
    keeps: tuple[str, ...] = ()
    unless: str = ""
    forwards: str = ""
    back: bool = False
    pure: bool = False
    effect: str = ""
    states: tuple[str, ...] = ()
    mutates: tuple[str, ...] = ()
    succeeds: tuple[str, ...] = ()
    role: str = ""
    stateless: tuple[str, ...] | None = None
    aliases: tuple[str, ...] = ()
    arrays: tuple[str, ...] = ()
    ordered: tuple[str, ...] = ()
    outlines: tuple[str, ...] = ()
    inside: str = ""


def _expand(names: str) -> Iterator[str]:
    match = _BRACES.search(names)
    if match is None:
        yield names
        return
    for option in match.group(1).split(","):
        yield from _expand(names[: match.start()] + option.strip() + names[match.end() :])


def _one_of(word: str, known: Iterable[str], what: str) -> str:
    """The word, if it is known; else an error with the nearest one that is."""
    if word in known:
        return word
    near = difflib.get_close_matches(word, known, 1)
    hint = f", did you mean `{near[0]}`?" if near else f"; known are {', '.join(sorted(known))}"
    raise SignatureError(f"unknown {what} `{word}`{hint}")


def _result(words: list[str]) -> tuple[str, ...]:
    if not words:
        raise SignatureError("`returns` takes a kind of result")
    if words[0] == "pair":
        for word in words[1:]:
            _one_of(word, KINDS, "kind of result")
        return tuple(words)
    kind = _one_of(words[0], KINDS | _OF_PARAMS.keys() | {"pair"}, "kind of result")
    wanted = _OF_PARAMS.get(kind, 0)
    if len(words) - 1 != wanted and not (kind == "key" and len(words) == 1):
        count = ("no parameter", "one parameter", "two parameters")[wanted]
        raise SignatureError(f"`returns {kind}` takes {count}: `returns {' '.join(words)}`")
    return tuple(words)


def _clause(signature: Signature, clause: str) -> Signature:
    verb, *words = clause.split()
    _one_of(verb, CLAUSES, "clause")
    mode = ""
    if "as" in words:
        at = words.index("as")
        if at + 2 != len(words):
            raise SignatureError(f"`as` takes one word: `{clause}`")
        mode = words[at + 1]
        words = words[:at]
        if verb not in ("consumes", "wraps", "runs", "succeeds"):
            raise SignatureError(f"`{verb}` takes no `as`: `{clause}`")
    if verb == "returns" and len(words) == 3 and words[1] == "if":
        return replace(signature, returns=_result(words[:1]), given=words[2])
    if verb == "returns":
        return replace(signature, returns=_result(words))
    if verb in ("pure", "back"):
        if words:
            raise SignatureError(f"`{verb}` stands alone: `{clause}`")
        return replace(signature, pure=True) if verb == "pure" else replace(signature, back=True)
    if verb == "effect":
        if len(words) != 1:
            raise SignatureError(f"`effect` takes one word: `{clause}`")
        return replace(signature, effect=_one_of(words[0], _EFFECTS, "effect"))
    if verb == "inside":
        if len(words) != 1:
            raise SignatureError(f"`inside` takes one transform: `{clause}`")
        return replace(signature, inside=_one_of(words[0], _MODES, "transform"))
    if verb == "forwards":
        if len(words) != 1:
            raise SignatureError(f"`forwards` takes one method: `{clause}`")
        return replace(signature, forwards=words[0])
    if verb == "stateless":
        if words and (words[0] != "unless" or len(words) < 2):
            raise SignatureError(f"`stateless` is followed by `unless` and parameters: `{clause}`")
        return replace(signature, stateless=tuple(words[1:]))
    if not words:
        raise SignatureError(f"`{verb}` takes the name of a parameter")
    names = tuple(words)
    if verb == "consumes":
        return replace(signature, consumes=names, how=_one_of(mode or "draw", _USES, "kind of use"))
    if verb == "splits":
        return replace(signature, consumes=names, how="split")
    if verb == "reads":
        return replace(signature, reads=names)
    if verb == "keeps":
        at = names.index("unless") if "unless" in names else len(names)
        if len(names[at:]) not in (0, 2) or not at:
            raise SignatureError(f"`keeps` takes parameters, and one after `unless`: `{clause}`")
        return replace(signature, keeps=names[:at], unless="".join(names[at + 1 :]))
    if verb == "state":
        return replace(signature, states=names)
    if verb == "mutates":
        return replace(signature, mutates=names)
    if verb == "succeeds":
        if len(names) != 1:
            raise SignatureError(f"`succeeds` takes one parameter: `{clause}`")
        return replace(signature, succeeds=names, role=_one_of(mode or "fields", ROLES, "kind of successor"))
    if verb == "aliases":
        return replace(signature, aliases=names)
    if verb == "arrays":
        return replace(signature, arrays=names)
    if verb == "ordered":
        return replace(signature, ordered=names)
    if verb == "outlines":
        return replace(signature, outlines=names)
    mode = _one_of(mode or "call", _MODES, "transform")
    return replace(signature, callbacks=names, mode=mode, wraps=verb == "wraps")


def parse_clauses(params: Iterable[str] | None, text: str) -> Signature:
    """A signature without a name. ``params`` is None where the parameters are not known.

    Raises:
        SignatureError: a clause, or a word of one, that is not known, or a parameter that is not listed.
    """
    listed = list(params or ())
    star = listed.index("*") if "*" in listed else len(listed)
    signature = Signature("", tuple(listed[:star]), tuple(listed[star + 1 :]), open=params is None)
    for clause in text.split(";"):
        if clause.strip():
            signature = _clause(signature, clause.strip())
    result = signature.returns[1:] if signature.returns[0] in _OF_PARAMS else ()
    named = (
        *(*signature.consumes, *signature.reads, *signature.states, *signature.mutates),
        *(*signature.callbacks, *signature.keeps, *signature.succeeds, *(signature.stateless or ()), *result),
        *(*signature.aliases, *signature.arrays, *signature.ordered, *signature.outlines),
        *(name for name in (signature.unless, signature.given) if name),
    )
    known = _ANYTHING.union(listed) - {"*"}
    for name in named:
        if not name.isidentifier():
            raise SignatureError(f"`{name}` is not the name of a parameter")
        if params is not None and name not in known:
            near = difflib.get_close_matches(name, known - _ANYTHING, 1)
            hint = f", did you mean `{near[0]}`?" if near else ""
            raise SignatureError(f"`{name}` is not among the parameters ({', '.join(listed)}){hint}")
    return signature


def parse_line(line: str) -> Iterator[Signature]:
    """The signatures of one table line.

    >>> [s.name for s in parse_line("m.{a,b}(key): consumes key; returns array")]
    ['m.a', 'm.b']
    """
    match = _LINE.fullmatch(line.strip())
    if match is None:
        raise SignatureError(f"not a signature: `{line.strip()}`")
    params = [part.strip() for part in match["params"].split(",") if part.strip()]
    signature = parse_clauses(params, match["clauses"])
    for name in _expand(match["names"]):
        yield replace(signature, name=name)


def table_lines(text: str) -> Iterator[str]:
    """The lines of a table. Blank ones are passed over; an indented line continues the last."""
    return (line for line in _CONTINUED.sub("", text).splitlines() if line.strip())


def parse_lines(text: str) -> Iterator[Signature]:
    """All signatures of a table."""
    for line in table_lines(text):
        yield from parse_line(line)


def parse_table(text: str) -> dict[str, Signature]:
    """All signatures of a table by name."""
    return {signature.name: signature for signature in parse_lines(text)}


class Table:
    """The signatures of many tables by name. A line is read when one of its names is asked for: few ever are."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._lines = {
            name: line
            for text in texts
            for line in table_lines(text)
            for name in _expand(line.partition("(")[0])
        }
        self._read: dict[str, Signature] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def get(self, name: str) -> Signature | None:
        """The signature of this name; the last one, where there are several."""
        line = self._lines.get(name)
        if line is not None and name not in self._read:
            self._read.update(
                (each.name, each) for each in parse_line(line) if self._lines[each.name] is line
            )
        return self._read.get(name)
