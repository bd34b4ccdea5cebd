"""The syntax tree of one file: where its nodes are in the text.

libcst trees hold no positions. The text has to be printed again to find them, which takes as long as
parsing it. So only the statements that somebody asks about are printed. Where such a statement is follows from the
text: what it prints stands there once, as a rule. Where it does not, all is printed after all.
"""

from __future__ import annotations

import functools
from bisect import bisect_right
from typing import TYPE_CHECKING

from pytest_purestate._check import trees
from pytest_purestate._check.model import Span

if TYPE_CHECKING:
    import libcst as cst
    from libcst.metadata import CodeSpan

__all__ = ["Syntax"]

_NOWHERE = Span(0, 0)


class Syntax:
    """A tree and its nodes by ref. The statement ``i`` of the module has those from ``refs[i]`` to ``refs[i + 1]``."""

    def __init__(self, text: str, tree: cst.Module, nodes: list[cst.CSTNode], refs: list[int]) -> None:
        self._text = text
        self._given = tree, nodes
        self._refs = refs
        self._printed: tuple[list[int], bool] | None = None
        self._found: dict[int, list[CodeSpan | None]] = {}  # by statement
        self._starts: dict[int, int] = {}  # where statements are that stand in the text once

    @functools.cached_property
    def _whole(self) -> tuple[cst.Module, list[cst.CSTNode | None]]:
        """A tree that can be printed, and its nodes."""
        return trees.full(self._text, *self._given)

    def exact(self, ref: int) -> bool:
        """Whether the statement around a node prints back as it stands in the text."""
        place = bisect_right(self._refs, ref) - 1
        if place not in self._found:
            self._found[place] = self._search(place)
        return place in self._starts or self._print()[1]

    def span(self, ref: int) -> Span:
        """The byte span of a node, without the parentheses around it; an empty one if it is not in the text."""
        if not 0 <= ref < self._refs[-1]:
            return _NOWHERE
        place = bisect_right(self._refs, ref) - 1
        if place not in self._found:
            self._found[place] = self._search(place)
        found = self._found[place][ref - self._refs[place]]
        if found is None:  # of an annotation that is written as a string
            return _NOWHERE
        start = self._starts[place] if place in self._starts else self._print()[0][place]
        return Span(start + found.start, start + found.start + found.length)

    def _print(self) -> tuple[list[int], bool]:
        """Where the statements of the module start, in bytes, and whether all prints back as the text."""
        if self._printed is None:
            (tree, _), text = self._whole, self._text
            # A leading form feed is lost by the round trip: everything after it moves by its length.
            start = len(text) - len(text.lstrip("\x0c"))
            parts = ["".join(map(tree.code_for_node, tree.header))]
            starts = []
            for statement in tree.body:
                start += len(parts[-1].encode())
                starts.append(start)
                parts.append(tree.code_for_node(statement))
            printed = "".join([*parts, *map(tree.code_for_node, tree.footer)])
            if not tree.has_trailing_newline and printed[len(text) :] in ("\n", "\r", "\r\n"):
                printed = printed[: len(text)]
            self._printed = starts, printed == text
        return self._printed

    def _search(self, place: int) -> list[CodeSpan | None]:
        """Where the nodes of one statement are in what it prints."""
        from libcst.metadata import ByteSpanPositionProvider
        from libcst.metadata.span_provider import SpanProvidingCodegenState

        tree, nodes = self._whole
        alone = tree.with_changes(header=(), body=(tree.body[place],), footer=())
        # Without a MetadataWrapper, which visits and copies every node before it asks the provider.
        provider = ByteSpanPositionProvider()
        state = SpanProvidingCodegenState(
            default_indent=alone.default_indent,
            default_newline=alone.default_newline,
            provider=provider,
            get_length=_byte_length,
        )
        alone._codegen(state)
        self._locate(place, "".join(state.tokens))
        own = nodes[self._refs[place] : self._refs[place + 1]]
        return [
            None if node is None else provider.get_metadata(ByteSpanPositionProvider, node, None)
            for node in own
        ]

    def _locate(self, place: int, code: str) -> None:
        """Note where a statement starts, in bytes, if what it prints stands in the text once."""
        first = self._text.find(code)
        if code.strip() and first >= 0 and self._text.find(code, first + 1) < 0:
            self._starts[place] = len(self._text[:first].encode())


def _byte_length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
