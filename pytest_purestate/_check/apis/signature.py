"""What a function does to keys, state and callbacks, as data, and the notation it is written in.

A table is text, one function (or several) a line::

    jax.random.split(key, num): splits key; returns keys
    jax.lax.{map,associative_scan}(f, xs): runs f as map
    @transform.update(updates, state, params): pure; returns state

An indented line continues the one before. ``{a,b}`` spells several names, a final ``*`` stands for every
other name with that prefix, ``@kind.name`` is a method of values of that kind (``@*``: of any value).
Clauses:

=====================  ==================================================================
``consumes p q [as k]``  spends the keys in these arguments (k: draw, init, apply; default draw)
                        (``keys``: every argument that is a key)
``splits p``            spends the key in p, for new keys
``returns t``           the kind of result: see KINDS
``wraps f as m``        returns f under the transform m (jit, vmap, grad, scan, ...)
``runs f g as m``       calls f now under the transform m
``pure``                has no effect: a result thrown away is a mistake
``effect e``            does something to the world outside (print, log, io, ...)
``state p q``           these arguments are state pytrees
``mutates p``           edits p in place (``self`` for the receiver)
=====================  ==================================================================
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

__all__ = ["KINDS", "Signature", "SignatureError", "parse_line", "parse_table"]

KINDS = frozenset(
    "key keys array numpy list dict set str number state stream module transform dist none logger "
    "static transformed kernel initializer deep opaque bool".split()
)
"""Result kinds; also ``same p`` (p itself), ``copy p`` (a shallow copy), ``view p`` (p when it holds
keys, else a new array), ``pair a b`` (a tuple)."""

_LINE = re.compile(r"(?P<names>[@\w.{},*]+?)\((?P<params>[^)]*)\):\s*(?P<clauses>.*)")
_CONTINUED = re.compile(r"\n[ \t]+(?=\S)")
_BRACES = re.compile(r"\{([^}]*)\}")


class SignatureError(ValueError):
    """A line of a table (or of the user's configuration) that cannot be read."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What one function does. ``params`` are its positional parameters by name."""

    name: str
    params: tuple[str, ...] = ()
    consumes: tuple[str, ...] = ()
    how: str = "draw"
    returns: tuple[str, ...] = ("opaque",)
    callbacks: tuple[str, ...] = ()
    mode: str = ""
    wraps: bool = False
    pure: bool = False
    effect: str = ""
    states: tuple[str, ...] = ()
    mutates: tuple[str, ...] = ()


def _expand(names: str) -> Iterator[str]:
    match = _BRACES.search(names)
    if match is None:
        yield names
        return
    for option in match.group(1).split(","):
        yield from _expand(names[: match.start()] + option.strip() + names[match.end() :])


def _clause(signature: Signature, clause: str) -> Signature:
    verb, *words = clause.split()
    mode = ""
    if "as" in words:
        at = words.index("as")
        if at + 2 != len(words):
            raise SignatureError(f"`as` takes one word: `{clause}`")
        mode = words[at + 1]
        words = words[:at]
    if verb == "consumes":
        return replace(signature, consumes=tuple(words), how=mode or "draw")
    if verb == "splits":
        return replace(signature, consumes=tuple(words), how="split")
    if verb == "returns":
        kinds = words[1:] if words[:1] == ["pair"] else words[:1]
        unknown = [kind for kind in kinds if kind not in KINDS and kind not in ("same", "copy", "view")]
        if unknown or not kinds:
            raise SignatureError(f"unknown result kind in `{clause}`")
        return replace(signature, returns=tuple(words))
    if verb in ("wraps", "runs"):
        return replace(signature, callbacks=tuple(words), mode=mode or "call", wraps=verb == "wraps")
    if verb == "pure" and not words:
        return replace(signature, pure=True)
    if verb == "effect" and len(words) == 1:
        return replace(signature, effect=words[0])
    if verb == "state":
        return replace(signature, states=tuple(words))
    if verb == "mutates":
        return replace(signature, mutates=tuple(words))
    raise SignatureError(f"unknown clause `{clause}`")


def parse_line(line: str) -> Iterator[Signature]:
    """The signatures of one table line.

    >>> [s.name for s in parse_line("m.{a,b}(key): consumes key; returns array")]
    ['m.a', 'm.b']
    """
    match = _LINE.fullmatch(line.strip())
    if match is None:
        raise SignatureError(f"not a signature: `{line.strip()}`")
    params = tuple(part.strip() for part in match["params"].split(",") if part.strip())
    signature = Signature("", params)
    for clause in match["clauses"].split(";"):
        if clause.strip():
            signature = _clause(signature, clause.strip())
    for name in _expand(match["names"]):
        yield replace(signature, name=name)


def parse_table(text: str) -> dict[str, Signature]:
    """All signatures of a table by name. Blank lines are passed over; an indented line continues the last."""
    out: dict[str, Signature] = {}
    for line in _CONTINUED.sub("", text).splitlines():
        if line.strip():
            for signature in parse_line(line):
                out[signature.name] = signature
    return out
