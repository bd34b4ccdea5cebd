"""What a way of saving lost: a restored state against the one that was saved."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from pytest_purestate._runtime.failures import Problem
from pytest_purestate._runtime.graph import Node
from pytest_purestate._runtime.representation import settle
from pytest_purestate._runtime.trees import compare, text_of

__all__ = ["LABELS", "losses", "parts"]

LABELS = ("saved", "restored")


def losses(
    saved: Node, restored: Node, again: Node, new: tuple[Node, ...], path: str
) -> tuple[list[Problem], list[str]]:
    """Every place where the restored state is not what was saved.

    Args:
        saved: the state that was saved.
        restored: what came back, restored into a template that is 0 everywhere. Its leaves are made like those of ``saved``
            where only their representation differs.
        again: what came back, restored into one that is 1 everywhere: where the two differ, nothing was restored.
        new: states before the first step, as they are where a program starts: the template and the initial state.
        path: what to call the state.

    Returns:
        The problems, and what came back in another representation, as in `settle`.
    """
    notes = settle(saved, restored, path)
    for other in (again, *new):
        settle(saved, other)
    unsaved = dict(_unsaved(saved, restored, again, new, path))
    found: dict[str, Problem] = {}
    for problem in compare(saved, restored, path, placement=False).problems:
        if problem.kind == "order":
            continue
        # The path of an array goes on with the index of the first element that differs.
        leaf = next((leaf for leaf in unsaved if problem.path in (leaf, _indexed(problem.path, leaf))), None)
        if leaf is None:
            message = f"came back changed: {problem.message}"
            found[problem.path] = dataclasses.replace(problem, message=message, labels=LABELS)
        else:
            index = f" at {problem.path[len(leaf) :]}" if problem.path != leaf else ""
            found[leaf] = Problem(
                "not-saved", leaf, unsaved[leaf], problem.before + index, problem.after + index, LABELS
            )
    for leaf, message in unsaved.items():
        if leaf not in found:  # by chance as in the template: zeros, say
            found[leaf] = Problem("not-saved", leaf, message, *_texts(saved, restored, leaf, path), LABELS)
    return list(found.values()), notes


def parts(problems: list[Problem], path: str) -> list[str]:
    """The fields of the state that problems are about, in their order: ``state.opt_state``, ``state['key']``."""
    return list(dict.fromkeys(path + _first(problem.path[len(path) :]) for problem in problems))


def _first(rest: str) -> str:
    if rest.startswith("["):
        return rest[: rest.index("]") + 1]
    end = min((at for mark in ".[" if (at := rest.find(mark, 1)) > 0), default=len(rest))
    return rest[:end]


def _indexed(path: str, leaf: str) -> str:
    """The path, if it is that of an element of the leaf; else an empty text."""
    rest = path[len(leaf) :]
    index = rest[1:-1].replace(", ", "")
    return path if path.startswith(leaf) and rest[:1] == "[" and index.isdigit() else ""


def _unsaved(
    saved: Node, restored: Node, again: Node, new: tuple[Node, ...], path: str
) -> Iterator[tuple[str, str]]:
    for leaf, nodes in _leaves((saved, restored, again, *new), path):
        one, other, second, *starts = nodes
        if one is None or other is None:
            continue
        if second is not None and not _same(other, second):
            yield leaf, "was not saved: it came back as in the new state that was restored into"
        elif not _same(one, other) and any(start is not None and _same(other, start) for start in starts):
            yield leaf, "was not saved: it came back as at initialisation"


def _leaves(roots: tuple[Node, ...], path: str) -> Iterator[tuple[str, tuple[Node | None, ...]]]:
    """The leaves of the first picture, with what is in the same place in the others."""
    seen: set[int] = set()
    stack: list[tuple[str, tuple[Node | None, ...]]] = [(path, roots)]
    while stack:
        path, nodes = stack.pop()
        first = nodes[0]
        assert first is not None
        if id(first) in seen:
            continue
        seen.add(id(first))
        if first.content is not None and not first.children:
            yield path, nodes
        stack += [
            (
                path + label,
                (child, *(node.children.get(label) if node is not None else None for node in nodes[1:])),
            )
            for label, child in reversed(first.children.items())
        ]


def _same(one: Node, other: Node) -> bool:
    return not compare(one, other, "", placement=False)


def _texts(saved: Node, restored: Node, leaf: str, path: str) -> tuple[str, str]:
    found = next(nodes for place, nodes in _leaves((saved, restored), path) if place == leaf)
    return tuple(text_of(node) if node is not None else "" for node in found)  # type: ignore[return-value]
