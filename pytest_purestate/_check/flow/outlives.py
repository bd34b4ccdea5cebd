"""Whether what an edit in place changed is looked at behind it, by the text of the function that edits.

A function that is handed new containers may fill them as it likes. What it changes and never looks at again is lost
when it ends. A rule asks this only of an edit that it found, so the text is walked on demand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pytest_purestate._check import ir
from pytest_purestate._check.flow.results import children

__all__ = ["is_expected_back", "is_read_behind"]

_Chain = tuple[str, tuple[object, ...]]


def is_read_behind(function: ir.Function, statement: int, target: int) -> bool:
    """Whether a function reads what a statement edits at a target, behind it or in another pass of a loop around it.

    Also true where the target has no name, and so no text can tell, and where a call hands it to who edits it and
    its result is looked at.
    """
    nodes = list(_nodes(function.body, statement, None))
    edited = _node_at(nodes, target)
    chain = _chain(edited)
    if chain is None:
        return True
    alone = any(
        isinstance(node, ir.ExprStmt) and getattr(node.value, "ref", -1) == statement for node, _ in nodes
    )
    if not isinstance(edited, ir.GetItem) and not alone:
        return True
    loop = next((around for node, around in nodes if getattr(node, "ref", -1) == statement), None)
    start = statement if loop is None else loop.ref
    return any(
        _meets(read, chain) for read, ref, nested in _reads(function.body, statement) if nested or ref > start
    )


def is_expected_back(
    bodies: Iterable[ir.Block], function: ir.Function, wrapped: int, param: str, target: int
) -> bool:
    """Whether a caller reads, behind its call, the very entry of what it gave for a parameter that is edited at a target.

    Args:
        bodies: where the calls may be.
        function: who edits.
        wrapped: the expression that puts the transform around it, which may be called at once.
        param: the parameter.
        target: what is edited.
    """
    chain = _chain(_node_at(_nodes(function.body, -1, None), target))
    names = [each.name for each in function.params]
    if chain is None or not chain[1] or chain[0] != param:
        return False
    return any(
        _reads_entry(body, call.ref, given, chain[1])
        for body in bodies
        for call, given in _given_to(body, function, wrapped, names.index(param))
    )


def _node_at(nodes: Iterable[tuple[object, object]], ref: int) -> object:
    return next((node for node, _ in nodes if getattr(node, "ref", -1) == ref), None)


def _given_to(
    body: ir.Block, function: ir.Function, wrapped: int, index: int
) -> Iterator[tuple[ir.Call, _Chain]]:
    """The calls of a function in a block, and what they give for its parameter at an index."""
    for node, _ in _nodes(body, -1, None):
        if not isinstance(node, ir.Call) or len(node.args) <= index or any(arg.star for arg in node.args):
            continue
        by_name = isinstance(node.func, ir.Name) and node.func.id == function.name
        if (by_name or getattr(node.func, "ref", -1) == wrapped) and not node.args[index].name:
            chain = _chain(node.args[index].value)
            if chain is not None:
                yield node, chain


def _reads_entry(body: ir.Block, call: int, given: _Chain, steps: tuple[object, ...]) -> bool:
    wanted = (*given[1], *steps)
    return any(
        ref > call and read[0] == given[0] and None not in wanted and read[1][: len(wanted)] == wanted
        for read, ref, _ in _reads(body, call)
    )


def _nodes(
    nodes: tuple[object, ...], statement: int, loop: ir.For | ir.While | None
) -> Iterator[tuple[object, ir.For | ir.While | None]]:
    """All nodes of a function itself, with the outermost loop around each."""
    for node in nodes:
        if isinstance(node, ir.Function):
            continue
        yield node, loop
        inner = node if loop is None and isinstance(node, ir.For | ir.While) else loop
        yield from _nodes(tuple(children(node)), statement, inner)


def _reads(body: ir.Block, statement: int) -> Iterator[tuple[_Chain, int, bool]]:
    """What is read in a function, but for the statement: the name with the steps below it, and whether a function inside reads it."""
    todo: list[tuple[object, bool]] = [(node, False) for node in body]
    while todo:
        node, nested = todo.pop()
        if getattr(node, "ref", -1) == statement and not isinstance(node, ir.Function):
            continue
        if isinstance(node, ir.Function):
            todo += [(each, True) for each in node.body]
            continue
        if isinstance(node, ir.Assign | ir.Delete):
            todo += [(part, nested) for target in node.targets for part in _below(target)]
            todo += [(node.value, nested)] if isinstance(node, ir.Assign) else []
            continue
        chain = _chain(node)
        if chain is None:
            todo += [(child, nested) for child in children(node)]
            continue
        yield chain, getattr(node, "ref", -1), nested
        todo += [(part, nested) for part in _indices(node)]


def _below(target: ir.Expr) -> Iterator[ir.Expr]:
    """What an assignment to a target reads: the indices, and a base that is no name with steps below it."""
    if isinstance(target, ir.Sequence):
        for item in target.items:
            yield from _below(item)
    elif isinstance(target, ir.Star):
        yield from _below(target.value)
    elif _chain(target) is not None:
        yield from _indices(target)
    else:
        yield target


def _indices(node: object) -> Iterator[ir.Expr]:
    while isinstance(node, ir.GetAttr | ir.GetItem):
        if isinstance(node, ir.GetItem):
            yield node.index
        node = node.base


def _chain(node: object) -> _Chain | None:
    """A name and the steps below it, as far as they are spelled out; None for all that begins with no name."""
    steps: list[object] = []
    while isinstance(node, ir.GetAttr | ir.GetItem):
        if isinstance(node, ir.GetAttr):
            steps.append(None)
        else:
            steps.append(node.index.value if isinstance(node.index, ir.Const) else None)
        node = node.base
    return (node.id, tuple(reversed(steps))) if isinstance(node, ir.Name) else None


def _meets(read: _Chain, edited: _Chain) -> bool:
    """Whether two ways may lead to one object: the name is the same, and no two steps are known to part."""
    return read[0] == edited[0] and all(
        a == b or a is None or b is None for a, b in zip(read[1], edited[1], strict=False)
    )
