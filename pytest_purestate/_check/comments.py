"""Reads one comment: what it suppresses, where each word of it stands, and what is wrong with it.

# noqa                                   every rule; shared with other linters, so never judged
# noqa: PS101, E501                      these codes (or prefixes); those of other tools are left alone
# purestate: ignore[PS101] reason        codes, prefixes, names or ALL
# purestate: ignore                      every rule
# purestate: ignore-file[PS101] reason   in the whole file
"""

from __future__ import annotations

import difflib
import enum
import re
from collections.abc import Iterator

from msgspec import Struct

from pytest_purestate._check import registry
from pytest_purestate._check.model import Edit, Span
from pytest_purestate._check.registry import UnknownSelectorError

__all__ = ["Broken", "Directive", "Item", "Scope", "read", "removal"]

# ruff's grammar: any case, spaces before the colon, codes separated by commas or spaces. A colon without
# a code suppresses nothing, so that a slip of the pen does not silence every rule.
# Behind a backtick or a quote it is a comment about such a comment.
_HASH = re.compile(rb"(?<![`'\"])#")
_NOQA = re.compile(rb"(?<![`'\"])#\s*noqa(?![\w\x80-\xff-])(?P<colon>\s*:)?", re.IGNORECASE)
_CODE = re.compile(rb"\s*(?P<comma>,?)\s*(?P<code>[a-z]+[0-9]+)(?![\w\x80-\xff-])", re.IGNORECASE)
_WORD = re.compile(rb"(?P<gap>\s*,?\s*)(?P<word>[\w-]+)")
_OWN = re.compile(rb"(?<![`'\"])#\s*purestate:\s*(?P<verb>[\w-]*)", re.IGNORECASE)
_BRACKET = re.compile(rb"\s*\[")
_OUR_CODE = re.compile(r"PS\d+", re.IGNORECASE)
_LISTED = re.compile(rb"[^,\s](?:[^,]*[^,\s])?")
_BARE_CODE = re.compile(rb"\s*[:=]?\s*\(?(?P<word>[\w-]+)")

_VERBS = ("ignore", "ignore-file")


class Scope(enum.Enum):
    """How far a directive reaches; NOQA is a line, too."""

    NOQA = enum.auto()
    LINE = enum.auto()
    FILE = enum.auto()


class Item(Struct, frozen=True):
    """A word in the list of a directive. ``selector`` is a code or a prefix of one (empty: every rule);
    None where it is another tool's, or no rule at all."""

    span: Span
    text: str
    selector: str | None


class Directive(Struct, frozen=True):
    """A suppression. ``span`` is all that belongs to it, its reason included, ``head`` the part that does
    something. Without a list it is for every rule."""

    scope: Scope
    span: Span
    head: Span
    items: tuple[Item, ...] = ()
    blanket: bool = False

    @property
    def selectors(self) -> tuple[str, ...]:
        """What it suppresses."""
        return ("",) if self.blanket else tuple(i.selector for i in self.items if i.selector is not None)


class Broken(Struct, frozen=True):
    """A suppression, or a word in one, that cannot be read."""

    span: Span
    message: str
    help: str


def read(data: bytes, comment: Span) -> tuple[list[Directive], list[Broken]]:
    """The suppressions of one comment, and what is wrong in it."""
    directives: list[Directive] = []
    broken: list[Broken] = []
    for part in [*_parts(data, comment, _NOQA), *_parts(data, comment, _OWN)]:
        reader = _noqa if part[0].re is _NOQA else _own
        directive = reader(data, *part, broken)
        if directive is not None:
            directives.append(directive)
    return directives, broken


def removal(data: bytes, comment: Span, directive: Directive, unused: frozenset[int]) -> Edit:
    """The edit that takes the items with these numbers out, or the directive where none is left.

    With a directive goes its reason; another part of the comment, from its ``#`` on, stays. A line that
    holds nothing else goes as a whole.
    """
    items = directive.items
    kept = [number for number in range(len(items)) if number not in unused]
    if kept:
        text = b""
        for number in kept:
            gap = data[items[number - 1].span.end : items[number].span.start] if text else b""
            text += gap + data[items[number].span.start : items[number].span.end]
        return Edit(Span(items[0].span.start, items[-1].span.end), text.decode("utf-8", "replace"))
    start, end = directive.span.start, directive.span.end
    if end < comment.end:
        return Edit(Span(start, end), "")
    while start and data[start - 1 : start] in (b" ", b"\t", b"\f"):
        start -= 1
    if start == 0 or data[start - 1 : start] in (b"\n", b"\r"):
        ending = re.compile(rb"\r\n?|\n").match(data, end)
        end = ending.end() if ending else end
    return Edit(Span(start, end), "")


def _parts(data: bytes, comment: Span, pattern: re.Pattern[bytes]) -> Iterator[tuple[re.Match[bytes], int]]:
    """Every match, with the place where what belongs to it ends: at the next ``#``, or with the comment."""
    for match in pattern.finditer(data, comment.start, comment.end):
        following = _HASH.search(data, match.end(), comment.end)
        yield match, following.start() if following else comment.end


def _noqa(data: bytes, match: re.Match[bytes], end: int, broken: list[Broken]) -> Directive | None:
    if not match["colon"]:
        return Directive(Scope.NOQA, Span(match.start(), end), Span(*match.span()), blanket=True)
    items: list[Item] = []
    position = match.end()
    while found := _CODE.match(data, position, end):
        text, span = found["code"].decode(), Span(*found.span("code"))
        selector = text.upper() if _OUR_CODE.fullmatch(text) else None  # "PSEUDO1" is somebody else's
        if selector and (problem := _unknown(selector)):
            broken.append(Broken(span, *problem))
            selector = None
        items.append(Item(span, text, selector))
        position = found.end()
    following = _WORD.match(data, position, end)
    if following and (not items or b"," in following["gap"]):
        word, span = following["word"].decode("utf-8", "replace"), Span(*following.span("word"))
        names = {rule.name: rule.code for rule in registry.rules()}
        if word in names:
            broken.append(
                Broken(span, f"`noqa` takes codes, and `{word}` is a name", f"write `{names[word]}`")
            )
        elif re.fullmatch(r"PS(\d\w*)?", word, re.IGNORECASE):
            broken.append(Broken(span, *(_unknown(word) or (f"`{word}` is not a code", ""))))
    elif following and re.fullmatch(rb"PS\d\w*", following["word"], re.IGNORECASE):
        word, span = following["word"].decode(), Span(*following.span("word"))
        broken.append(Broken(span, *(_unknown(word) or (f"`{word}` is not a code", ""))))
    if not items:
        return None
    return Directive(Scope.NOQA, Span(match.start(), end), Span(match.start(), position), tuple(items))


def _own(data: bytes, match: re.Match[bytes], end: int, broken: list[Broken]) -> Directive | None:
    head = Span(match.start(), len(data[match.start() : match.end()].rstrip()) + match.start())
    verb = match["verb"].decode().lower()
    if verb not in _VERBS:
        near = difflib.get_close_matches(verb, _VERBS, 1)
        hint = f"did you mean `{near[0]}`?" if near else "write `ignore[CODE]` or `ignore-file[CODE]`"
        message = f"`{verb}` is no suppression" if verb else "`purestate:` is followed by nothing"
        broken.append(Broken(head, message, hint))
        return None
    scope = Scope.FILE if verb == "ignore-file" else Scope.LINE
    opened = _BRACKET.match(data, match.end(), end)
    if not opened:
        bare = _BARE_CODE.match(data, match.end(), end)
        if bare and _looks_like_a_rule(bare["word"].decode("utf-8", "replace")):
            word = bare["word"].decode()
            broken.append(
                Broken(
                    Span(match.start(), bare.end()), f"`{word}` is in no brackets", f"write `{verb}[{word}]`"
                )
            )
            return None
        return Directive(scope, Span(match.start(), end), head, blanket=True)
    closing = data.find(b"]", opened.end(), end)
    if closing < 0:
        whole = Span(match.start(), match.start() + len(data[match.start() : end].rstrip()))
        broken.append(Broken(whole, "the bracket is never closed", "close it with `]` behind the last rule"))
        return None
    head = Span(match.start(), closing + 1)
    items = []
    for found in _LISTED.finditer(data, opened.end(), closing):
        text, span = found[0].decode("utf-8", "replace"), Span(*found.span())
        if problem := _unknown(text):
            broken.append(Broken(span, *problem))
        items.append(Item(span, text, None if problem else _selector(text)))
    if not items:
        broken.append(
            Broken(head, "the brackets name no rule", f"write `{verb}[CODE]`, or `{verb}` for every rule")
        )
        return None
    return Directive(scope, Span(match.start(), end), head, tuple(items))


def _selector(word: str) -> str:
    names = {rule.name: rule.code for rule in registry.rules()}
    return "" if word.upper() == "ALL" else names.get(word, word.upper())


def _unknown(word: str) -> tuple[str, str] | None:
    """What is wrong with a word that should fit a rule, and the nearest that does."""
    try:
        registry.require(_selector(word) or "ALL")
    except UnknownSelectorError:
        near = registry.nearest(word)
        return f"`{word}` is no rule", f"did you mean `{near}`?" if near else "see `purestate rule --all`"
    return None


def _looks_like_a_rule(word: str) -> bool:
    return bool(re.fullmatch(r"PS\d\w*", word, re.IGNORECASE)) or word in {r.name for r in registry.rules()}
