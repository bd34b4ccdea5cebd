"""A small iterative lexer: real comments, logical lines and brackets of any Python text.

It never recurses and never fails, so it can look at what would end the parser, at text with syntax
errors, and at syntax newer than the running interpreter (`tokenize` can do none of these). Replacement
fields of f-strings are lexed as code, nested quotes of Python 3.12 included.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator

from msgspec import Struct

__all__ = ["Kind", "Token", "lex"]


class Kind(enum.Enum):
    """What a token is; NEWLINE ends a logical line, BLANK a line without code."""

    WORD = enum.auto()
    OPERATOR = enum.auto()
    STRING = enum.auto()
    OPEN = enum.auto()
    CLOSE = enum.auto()
    COMMENT = enum.auto()
    NEWLINE = enum.auto()
    BLANK = enum.auto()


class Token(Struct, frozen=True):
    """A token and its half-open byte range."""

    kind: Kind
    start: int
    end: int


# No group is repeated possessively: `re` of Python 3.11.0 to 3.11.4 then forgets where it was. It costs nothing here,
# as each alternative begins with another character, and what ends a string begins none.
_QUOTED = rb"""(?:
    "{3} (?: [^"\\]++ | \\. | "(?!"") )* "{3}
  | '{3} (?: [^'\\]++ | \\. | '(?!'') )* '{3}
  | "(?!"") (?: [^"\\\r\n]++ | \\(?:\r\n|.) )* "
  | '(?!'') (?: [^'\\\r\n]++ | \\(?:\r\n|.) )* '
)"""

_TOKEN = re.compile(
    rb"""
    (?P<SPACE> [\ \t\f]++ | \\ (?: \r\n | [\r\n] ) )
  | (?P<LINE> \r\n? | \n )
  | (?P<COMMENT> \#[^\r\n]*+ )
  | (?P<FSTRING> (?: [fFtT][rR]? | [rR][fFtT] ) (?: "{3} | '{3} | " | ' ) )
  | (?P<STRING> (?: [rRbBuU]{1,2} )? """
    + _QUOTED
    + rb""" )
  | (?P<WORD> [\w\x80-\xff]++ )
  | (?P<OPEN> [(\[{] )
  | (?P<CLOSE> [)\]}] )
  | (?P<OPERATOR> \*\*=? | //=? | <<=? | >>=? | -> | := | [=!<>+\-*/%@&|^]= | \.\.\. | . )
    """,
    re.VERBOSE | re.DOTALL,
)

_ESCAPE = rb"\\N\{[^}]*+\}|\\[^{}]|\\(?=[{}])|\{\{|\}\}"

# The literal part of an f-string, by its quote: up to the next field, or the end of the string.
_LITERAL = {
    b'"': re.compile(rb'(?:[^{}\\"\r\n]++|' + _ESCAPE + rb")*", re.DOTALL),
    b"'": re.compile(rb"(?:[^{}\\'\r\n]++|" + _ESCAPE + rb")*", re.DOTALL),
    b'"""': re.compile(rb'(?:[^{}\\"]++|"(?!"")|' + _ESCAPE + rb")*", re.DOTALL),
    b"'''": re.compile(rb"(?:[^{}\\']++|'(?!'')|" + _ESCAPE + rb")*", re.DOTALL),
}

# The format specification of a field: up to a nested field, or the end of the outer one.
_SPEC = re.compile(rb"[^{}\r\n]*+")

# Words that stand at the start of a statement only: inside a bracket they show that it was never closed.
_STATEMENT = frozenset(
    b"assert break class continue def del global import nonlocal pass raise return try while with".split()
)

_KINDS = {kind.name: kind for kind in Kind}


class _Field(Struct):
    """An open replacement field: the quote of its string, whether it opened inside another field's
    specification, whether its own specification has begun."""

    quote: bytes
    nested: bool
    in_spec: bool = False


def lex(data: bytes) -> Iterator[Token]:
    """The tokens of UTF-8 source text, whitespace left out."""
    nest: list[_Field | None] = []  # what is open, innermost last: a bracket (None) or an f-string field
    position, blank, fresh_line, size = 0, True, True, len(data)
    while position < size:
        match = _TOKEN.match(data, position)
        if match is None:  # cannot be: the last operator takes any byte
            return
        kind, start, position = match.lastgroup or "", position, match.end()
        if kind == "SPACE":
            continue
        if kind == "LINE":
            if not nest:
                yield Token(Kind.BLANK if blank else Kind.NEWLINE, start, position)
                blank = True
            fresh_line = True
            continue
        if nest and fresh_line and match[0] in _STATEMENT:
            nest.clear()
            yield Token(Kind.NEWLINE, start, start)
        fresh_line = False
        blank = blank and kind == "COMMENT"
        field = nest[-1] if nest else None
        if kind == "FSTRING":
            quote = match[0].lstrip(b"fFtTrR")
            position, opened = _literal(data, position, quote)
            yield Token(Kind.STRING, start, position - opened)
        elif field and kind == "CLOSE":
            nest.pop()
            yield Token(Kind.CLOSE, start, position)
            start, quote = position, field.quote
            position, opened = _spec(data, position) if field.nested else _literal(data, position, quote)
            yield Token(Kind.STRING, start, position - opened)
        elif field and not field.in_spec and match[0] == b":":
            field.in_spec, quote = True, field.quote
            position, opened = _spec(data, position)
            yield Token(Kind.STRING, start, position - opened)
        else:
            if kind == "OPEN":
                nest.append(None)
            elif kind == "CLOSE" and nest:
                nest.pop()
            yield Token(_KINDS[kind], start, position)
            continue
        if opened:
            yield Token(Kind.OPEN, position - 1, position)
            nest.append(_Field(quote, nested=bool(nest and nest[-1] and nest[-1].in_spec)))


def _literal(data: bytes, position: int, quote: bytes) -> tuple[int, bool]:
    """Skip the literal part of an f-string: where it stops, and whether a field opens just before."""
    match = _LITERAL[quote].match(data, position)
    position = match.end() if match else position
    if data.startswith(b"{", position):
        return position + 1, True
    return position + (len(quote) if data.startswith(quote, position) else 0), False


def _spec(data: bytes, position: int) -> tuple[int, bool]:
    """Skip a format specification: where it stops, and whether a nested field opens just before."""
    match = _SPEC.match(data, position)
    position = match.end() if match else position
    return (position + 1, True) if data.startswith(b"{", position) else (position, False)
