"""What to call the values that an assertion was given."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_purestate._runtime.frames import argument_names

__all__ = ["name_trees"]


def name_trees(trees: tuple[object, ...], named: Mapping[str, object] | None = None) -> dict[str, object]:
    """The positional arguments of the public function under way, by the text that the caller wrote for each.

    One without a short text is ``tree``, or ``trees[i]`` among several.

    Args:
        trees: the arguments, all of them.
        named: values that have names already; they come last, and nothing else gets such a name.
    """
    taken = dict(named or {})
    texts = argument_names(len(trees)) or ("",) * len(trees)
    found: dict[str, object] = {}
    for i, (text, tree) in enumerate(zip(texts, trees, strict=True)):
        default = "tree" if len(trees) == 1 else f"trees[{i}]"
        found[text if text and text not in taken and text not in found else default] = tree
    return found | taken
