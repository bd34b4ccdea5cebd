"""What users say of functions that we do not know, or know wrongly: ``[tool.purestate.signatures]``.

The notation is that of the tables, with words of its own for what users need most::

    "mylib.noise" = "consumes rng"
    "mylib.noise(rng, shape)" = "consumes rng; returns array"
    "mylib.fork" = "reads rng; returns fresh"
    "mylib.Stream" = "stream"
"""

from __future__ import annotations

import re
from keyword import iskeyword

from msgspec.structs import replace

from pytest_purestate._check.apis.signature import Signature, SignatureError, parse_clauses

__all__ = ["parse_declaration"]

_NAME = re.compile(r"(?P<name>[^()]*?)\s*(\((?P<params>[^()]*)\))?\s*")
_FRESH = re.compile(r"\breturns\s+fresh\b")


def _is_name(word: str) -> bool:
    return word.isidentifier() and not iskeyword(word)


def parse_declaration(name: str, text: str) -> Signature:
    """The signature that one line of the settings declares.

    >>> parse_declaration("mylib.fork", "reads rng; returns fresh").returns
    ('key',)

    Raises:
        SignatureError: the name or the text cannot be read; says what is wrong with it.
    """
    match = _NAME.fullmatch(name.strip())
    dotted = match["name"] if match is not None else name
    if match is None or "." not in dotted or not all(_is_name(part) for part in dotted.split(".")):
        raise SignatureError("not a dotted name such as `package.module.function`")
    params: list[str] | None = None
    if match["params"] is not None:
        params = [part.strip() for part in match["params"].split(",") if part.strip()]
        wrong = [param for param in params if param != "*" and not _is_name(param)]
        if wrong:
            raise SignatureError(f"`{wrong[0]}` is not the name of a parameter")
    if not text.strip(" ;"):
        raise SignatureError("says nothing about the function")
    if text.strip() == "stream":
        text = "returns stream"
    signature = parse_clauses(params, _FRESH.sub("returns key", text.replace(",", " ")))
    return replace(signature, name=dotted)
