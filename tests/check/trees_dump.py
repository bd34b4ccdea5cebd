"""Prints, for each text of a JSON list on standard input, a digest of its IR and of every position, or why there is none.

The argument says how trees are made: ``light`` or ``whole``.
"""

import hashlib
import json
import sys

from msgspec import Struct

if len(sys.argv) > 1 and sys.argv[1] == "whole":
    import libcst

    assert libcst.__name__
from pytest_purestate._check import trees

trees.prefer_light(1)

from pytest_purestate._check.lower import Lowered, SyntaxProblem, lower  # noqa: E402
from pytest_purestate._check.source import Source  # noqa: E402


def shape(node: object) -> object:
    """A node without the ways back up."""
    if isinstance(node, Struct):
        names = [name for name in node.__struct_fields__ if name not in ("parent", "owner")]
        return [type(node).__name__, *(shape(getattr(node, name)) for name in names)]
    if isinstance(node, frozenset):
        return sorted(map(repr, node))
    return [shape(item) for item in node] if isinstance(node, tuple) else repr(node)


def digest(text: str) -> str:
    """What is known of a text."""
    try:
        lowered = lower(Source.from_text(text, "text.py"))
    except SyntaxProblem as problem:
        return f"{problem.line}:{problem.column} {problem.message}"
    known = [shape(lowered.module.body), *positions(lowered)]
    return hashlib.sha256(repr(known).encode()).hexdigest()


def positions(lowered: Lowered) -> list[object]:
    """The span of every node, and whether fixes there are sound."""
    assert lowered._syntax is not None
    return [(lowered.span(ref), lowered.exact(ref)) for ref in range(lowered._syntax._refs[-1])]


if __name__ == "__main__":
    texts = json.load(sys.stdin)
    loaded = "libcst" in sys.modules
    digests = [digest(text) for text in texts]
    import libcst

    json.dump(
        {
            "light": trees._light is not None,
            "loaded": loaded,
            "digests": digests,
            "usable": libcst.parse_module("x = 1\n").code == "x = 1\n",
        },
        sys.stdout,
    )
