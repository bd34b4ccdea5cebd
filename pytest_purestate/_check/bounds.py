"""What the parser is not given: text so deep, chained or large that it ends in a crash or never ends.

libcst recurses natively and backtracks: thousands of brackets or unary operators end the process,
operator chains take quadratic time, and nested `case` patterns or `del` targets take exponential
time (18 levels: more than a second). Real code stays far below every bound here; what lies beyond is
generated, and is reported (PS004) instead of parsed.

Two steps keep this cheap. `_is_plain` needs a few passes of compiled code over the bytes and accepts
nearly every file. What it cannot accept is measured exactly, token by token.
"""

from __future__ import annotations

import re

from msgspec import Struct

from pytest_purestate._check.lexer import Kind, Token, lex

__all__ = ["Problem", "problem"]

MAX_BYTES = 2_000_000
MAX_NESTING = 100  # brackets in brackets; Python itself stops at 200
MAX_BACKTRACKING = 8  # brackets in a `case` pattern or a `del` target
MAX_CHAIN = 3_000  # weighed tokens of one expression with no comma between, over all open brackets
MAX_ELIF = 500

_WEIGHTS = {b"(": 3, b"[": 3, b"{": 3, b"lambda": 10}  # what they cost the parser, other tokens 1


class Problem(Struct, frozen=True):
    """A bound that a text exceeds, and the byte offset where it does."""

    message: str
    offset: int


def problem(data: bytes) -> Problem | None:
    """The first bound that UTF-8 source text exceeds, if any. Never recurses; linear in the text."""
    if len(data) > MAX_BYTES:
        return Problem(f"larger than {MAX_BYTES // 1_000_000} MB", 0)
    return None if _is_plain(data) else _Meter(data).measure()


_NOISE = re.compile(
    rb"""\#[^\r\n]*+
    | "(?: ""(?:[^"\\]++|\\.|"(?!""))*"{3} | (?!"")[^"\\\r\n]*+(?:\\(?:\r\n|.)[^"\\\r\n]*+)*" )
    | '(?: ''(?:[^'\\]++|\\.|'(?!''))*'{3} | (?!'')[^'\\\r\n]*+(?:\\(?:\r\n|.)[^'\\\r\n]*+)*' )""",
    re.VERBOSE | re.DOTALL,
)

# f-strings that may hold more code than a line: triple-quoted, very long, or broken inside a field.
_WIDE_FSTRING = re.compile(
    rb"""["'](?:(?<=[fFtT].)(?<!\w[fFtT].)|(?<=[fFtT][rR].)(?<!\w[fFtT]..)|(?<=[rR][fFtT].)(?<!\w[rR]..))(?:
      (?<=") ""(?:[^"\\]++|\\.|"(?!""))*"{3} | (?<=') ''(?:[^'\\]++|\\.|'(?!''))*'{3}
      | [^\r\n]{400} | [^"'\r\n]*\{[^"'}\r\n]*[\r\n]
    )""",
    re.VERBOSE | re.DOTALL,
)

_BACKTRACKING = re.compile(rb"^[ \t\f]*(?:case|del)\b|[:;][ \t\f]*del\b", re.MULTILINE)

_OPEN_CLOSE = bytes(ord("(") if c in b"([{" else ord(")") for c in range(256))
_NOT_BRACKETS = bytes(c for c in range(256) if c not in b"()[]{}")
_AFTER_NAME = frozenset(b"= . , : ; ) += -= |= &= == != in is and or".split())
_COMPARISONS = (b"==", b"!=", b"<=", b">=")


def _is_plain(data: bytes) -> bool:
    """Whether the text is certainly within the bounds: a sufficient condition that costs little."""
    code = _NOISE.sub(b'"', data)
    if code.count(b"elif") > MAX_ELIF or max(code.count(b"lambda"), code.count(b" for ")) > MAX_CHAIN // 10:
        return False
    if any(_holds_much(match[0]) for match in _WIDE_FSTRING.finditer(data)):
        return False
    # Every pass takes the innermost pairs away, so the number of passes is the depth.
    brackets = code.translate(_OPEN_CLOSE, _NOT_BRACKETS)
    depth = 0
    while brackets and depth <= MAX_NESTING:
        fewer = brackets.replace(b"()", b"")
        if len(fewer) == len(brackets):
            return False  # unbalanced: a syntax error, or brackets that only the exact lexer understands
        brackets, depth = fewer, depth + 1
    if depth > MAX_NESTING or (depth > MAX_BACKTRACKING and _BACKTRACKING.search(code)):
        return False
    # A comma, an assignment and an import separate expressions: no chain is longer than the text between.
    for comparison in _COMPARISONS:
        code = code.replace(comparison, b"<")
    code = code.replace(b"=", b",").replace(b"\nfrom ", b",").replace(b"\nimport ", b",")
    return max(map(len, code.split(b","))) <= MAX_CHAIN * 2 // 3


def _holds_much(fstring: bytes) -> bool:
    """Whether the code in a wide f-string might exceed a bound by itself."""
    fields = fstring.count(b"{") + fstring.count(b"(") + fstring.count(b"[")
    is_closed = fstring.endswith((b'"""', b"'''"))
    return not is_closed or len(fstring) > MAX_CHAIN or fields > MAX_NESTING // 2


class _Meter:
    """Measures a text token by token.

    The depth of a syntax tree is at most the number of tokens since the last separator, added up over
    the open brackets: operators, attribute chains, calls, subscripts, unary operators, conditional
    expressions and lambdas all need tokens to nest.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._chains = [0]  # tokens since the last separator, by open bracket
        self._pending = [0]  # lambdas and comprehension targets whose commas separate nothing
        self._total = 0
        self._elifs: list[tuple[int, int]] = []  # (indentation, elifs so far) of the open statements

    def measure(self) -> Problem | None:
        at_start, after_case, limit = True, False, MAX_NESTING
        for token in lex(self._data):
            kind, word = token.kind, self._data[token.start : token.end]
            if kind is Kind.NEWLINE:
                self._chains, self._pending, self._total = [0], [0], 0
                at_start, limit = True, MAX_NESTING
                continue
            if kind is Kind.BLANK or kind is Kind.COMMENT:
                continue
            if at_start:
                if self._count_elif(token, word) > MAX_ELIF:
                    return Problem(f"more than {MAX_ELIF} `elif` in one statement", token.start)
                at_start, after_case = False, word == b"case"
            elif after_case:  # `case` is a name too: then an operator follows
                limit, after_case = MAX_NESTING if word in _AFTER_NAME else MAX_BACKTRACKING, False
            if word == b"del" and kind is Kind.WORD:
                limit = MAX_BACKTRACKING
            self._step(kind, word)
            if len(self._chains) - 1 > limit:
                return Problem(f"more than {limit} brackets inside each other", token.start)
            if self._total > MAX_CHAIN:
                return Problem(f"an expression of more than {MAX_CHAIN:,} tokens", token.start)
        return None

    def _step(self, kind: Kind, word: bytes) -> None:
        if kind is Kind.CLOSE and len(self._chains) > 1:
            self._total -= self._chains.pop()
            self._pending.pop()
            return
        if word in (b"lambda", b"for"):
            self._pending[-1] += 1
        elif self._pending[-1] and word in (b":", b"in"):
            self._pending[-1] -= 1
        if kind is Kind.OPERATOR and (word == b";" or (word == b"," and not self._pending[-1])):
            self._total -= self._chains[-1]
            self._chains[-1] = 0
            return
        weight = _WEIGHTS.get(word, 1)
        self._chains[-1] += weight
        self._total += weight
        if kind is Kind.OPEN:
            self._chains.append(0)
            self._pending.append(0)

    def _count_elif(self, token: Token, word: bytes) -> int:
        """How many ``elif`` the statement at this line has had, by the indentation of its clauses."""
        line = max(self._data.rfind(b"\n", 0, token.start), self._data.rfind(b"\r", 0, token.start)) + 1
        indent, count = token.start - line, 0
        while self._elifs and self._elifs[-1][0] >= indent:
            place, seen = self._elifs.pop()
            count = seen if place == indent else 0
        count = count + 1 if word == b"elif" else count if word == b"else" else 0
        self._elifs.append((indent, count))
        return count
