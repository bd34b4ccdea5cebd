"""Positions, which are found statement by statement, against those of libcst, which prints all at once."""

from __future__ import annotations

from pathlib import Path

import libcst as cst
import pytest
from libcst.metadata import ByteSpanPositionProvider, MetadataWrapper

from pytest_purestate._check import syntax
from pytest_purestate._check.lower import lower
from pytest_purestate._check.model import Span
from pytest_purestate._check.source import Source

ODD = [
    "",
    "x",
    "# only a comment",
    "\n\n# above\n\nx = f(a)\n# below",
    "é = f('ü')  # ö\n@d(1)\n# between\n\n@e\ndef ä(x: 'List[ß]' = (y)):\n    return (x)\n    # inside\n# out\nß = ä(é)\n",
    "a = f(1)\r\nif a:\r\n\tb = (\r\n\t\ta)\r\nelse: c = a; d = b",
    "\x0cx = f(y)\nz = x\n",
    "pass\npass; x = 1; pass\nif y: pass\npass\n",
    "class A(B[C]):\n  x: 'int' = 1\n  def f(self): return lambda: self.x\n\nclass D: pass\n",
    "x = \\\n  f(1)\n\\\ny = 2\n",
]
FILES = sorted(Path(syntax.__file__).parent.glob("*.py"))


TEXTS = [
    *(pytest.param(text, id=f"odd{number}") for number, text in enumerate(ODD)),
    *(pytest.param(file.read_text(encoding="utf-8"), id=file.name) for file in FILES),
]


@pytest.mark.parametrize("text", TEXTS)
def test_positions_are_those_of_libcst(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[cst.Module, list[cst.CSTNode]]] = []
    init = syntax.Syntax.__init__

    def spy(
        self: syntax.Syntax, text: str, tree: cst.Module, nodes: list[cst.CSTNode], refs: list[int]
    ) -> None:
        made.append((tree, nodes))
        init(self, text, tree, nodes, refs)

    monkeypatch.setattr(syntax.Syntax, "__init__", spy)
    lowered = lower(Source.from_text(text))
    ((tree, nodes),) = made
    whole = MetadataWrapper(tree, unsafe_skip_copy=True).resolve(ByteSpanPositionProvider)
    moved = len(text) - len(text.lstrip("\x0c"))
    expected = []
    for node in nodes:
        span = whole.get(node)
        place = None if span is None else (span.start + moved, span.start + span.length + moved)
        expected.append(Span(*place) if place else Span(0, 0))
    refs = range(-1, len(nodes) + 1)
    expected = [Span(0, 0), *expected, Span(0, 0)]
    spans = [lowered.span(ref) for ref in refs]
    if tree.code == text:
        assert spans == expected
        assert all(map(lowered.exact, range(len(nodes))))
    else:  # libcst's positions are those in what it prints
        lengths = [span.end - span.start for span in spans]
        assert lengths == [span.end - span.start for span in expected]
        for ref, node in enumerate(nodes):
            if lowered.exact(ref) and isinstance(node, cst.Name):
                assert text.encode()[spans[ref + 1].start : spans[ref + 1].end].decode() == node.value

    again = lower(Source.from_text(text))
    again.release()
    assert [again.exact(ref) for ref in range(len(nodes))] == [
        lowered.exact(ref) for ref in range(len(nodes))
    ]
    assert [again.span(ref) for ref in refs] == spans
