"""Successors that only their names tell: ``new_x`` made of ``x``, and never read while ``x`` is returned.

The function that makes them may be unknown. What a name says is taken for true where everything else fits: the call is
given the old value, nobody reads the new one, and the old one goes on. A second kind is read on one way through a
function, and left behind on another for reasons that have nothing to do with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pytest_purestate._check import ir
from pytest_purestate._check.flow.facts import Lost
from pytest_purestate._check.flow.results import children, reads

if TYPE_CHECKING:
    from pytest_purestate._check.flow.frame import Frame

__all__ = ["find_unread"]

_NEW = re.compile(r"(?:new|next|updated)_(?P<of>\w+)|(?P<before>\w+)_(?:new|next|updated)")
_STATES = re.compile(
    r"(?:^|_)(?:state|states|params|variables|stats|ema|model|carry|opt|target|memory|buffer)(?:_|$)"
)
_MODES = re.compile(r"train|eval|test|dry|debug|freeze|frozen|only|skip|warm", re.IGNORECASE)


def find_unread(frame: Frame) -> None:
    """Add the new values that nobody reads to what the function loses."""
    function = frame.function
    if function is None or frame.replays or function.is_generator:
        return
    assigned = [node for node in _statements(function.body) if isinstance(node, ir.Assign)]
    found = [(node, name) for node in assigned for name in _named(node)]
    if not found:
        return
    read = {node.id for node in reads(function.body) if isinstance(node, ir.Name)}
    told = {lost.call for lost in frame.facts.lost.values()}
    for node, name in found:
        assert isinstance(node.value, ir.Call)
        if name.id not in read and node.value.ref not in told:
            _note_unread(frame, function, assigned, node.value, name)
    _find_branches(frame, function, assigned)


def _note_unread(
    frame: Frame, function: ir.Function, assigned: Sequence[ir.Assign], call: ir.Call, name: ir.Name
) -> None:
    old = _old(call, name.id)
    top = old.partition(".")[0]
    again = any(
        isinstance(target, ir.Name) and target.id == top and target.ref > name.ref
        for node in assigned
        for target in _flat(node.targets)
    )
    back = next((node for node in _statements(function.body) if _returns(node, top)), None)
    if not old or again or not isinstance(back, ir.Return) or back.value is None:
        return
    lost = Lost(
        name.ref, call.ref, name.id, "named", old, "returned", back.value.ref, "", sure=False,
        through=False, names=(), origin=None, trained="", others=False, parts=False, named=True,
    )  # fmt: skip
    frame.facts.lost.setdefault(name.ref, lost)


def _named(node: ir.Assign) -> Iterator[ir.Name]:
    """The targets that are called like the successor of a state, if a call makes them."""
    for target in _flat(node.targets) if isinstance(node.value, ir.Call) else ():
        match = _NEW.fullmatch(target.id) if isinstance(target, ir.Name) else None
        if match is not None and _STATES.search(match["of"] or match["before"]):
            assert isinstance(target, ir.Name)
            yield target


def _old(call: ir.Call, name: str) -> str:
    """The argument that a new value takes the place of, by its name: ``ema_params`` for ``new_ema``, too."""
    match = _NEW.fullmatch(name)
    stem = (match["of"] or match["before"]) if match is not None else ""
    for arg in call.args:
        for part in arg.value.items if isinstance(arg.value, ir.Sequence) else (arg.value,):
            last = part.name if isinstance(part, ir.GetAttr) else part.id if isinstance(part, ir.Name) else ""
            if last == stem or last.startswith(f"{stem}_"):
                return _dotted(part)
    return ""


def _dotted(node: ir.Expr) -> str:
    if isinstance(node, ir.GetAttr):
        above = _dotted(node.base)
        return f"{above}.{node.name}" if above else ""
    return node.id if isinstance(node, ir.Name) else ""


def _returns(node: object, name: str) -> bool:
    """Whether a statement returns what a name holds: by itself, or as an item of a tuple or an argument of none."""
    todo: list[ir.Expr | None] = [node.value if isinstance(node, ir.Return) else None]
    while todo:
        item = todo.pop()
        if isinstance(item, ir.Name) and item.id == name:
            return True
        todo += item.items if isinstance(item, ir.Sequence) else ()
    return False


def _find_branches(frame: Frame, function: ir.Function, assigned: Sequence[ir.Assign]) -> None:
    """Steps whose result one way through the function returns, and another leaves behind."""
    for root, product in frame.products.items():
        known = root.succeeds
        if known is None or known.role != "params" or root not in frame.whole or not product.name:
            continue
        node = next((each for each in assigned if each.value.ref == product.call), None)
        if node is None or not isinstance(node.value, ir.Call) or product.ref in frame.facts.lost:
            continue
        old = next((arg.value.id for arg in node.value.args if isinstance(arg.value, ir.Name)), "")
        others = {target.id for target in _flat(node.targets) if isinstance(target, ir.Name)}
        derived = _derived(assigned, others)
        for branch in _statements(function.body):
            if not isinstance(branch, ir.If) or branch.test.ref < product.call or old in others or not old:
                continue
            tested = {part.id for part in reads((branch.test,)) if isinstance(part, ir.Name)}
            last = branch.body[-1] if branch.body else None
            used = {part.id for part in reads(branch.body) if isinstance(part, ir.Name)}
            apart = tested and not tested & derived and not any(map(_MODES.search, tested))
            if (
                apart
                and _returns(last, old)
                and product.name not in used
                and used & (derived - {product.name})
            ):
                assert isinstance(last, ir.Return)
                assert last.value is not None
                lost = Lost(
                    last.value.ref, product.call, product.name, "named", old, "branch", product.ref, "",
                    sure=False, through=False, names=(), origin=None, trained="", others=False, parts=False,
                    named=True,
                )  # fmt: skip
                frame.facts.lost.setdefault(last.value.ref, lost)


def _derived(assigned: Sequence[ir.Assign], names: set[str]) -> set[str]:
    """The names that hold what was made of these."""
    found = set(names)
    for node in assigned:
        if found & {part.id for part in reads((node.value,)) if isinstance(part, ir.Name)}:
            found |= {target.id for target in _flat(node.targets) if isinstance(target, ir.Name)}
    return found


def _flat(targets: Sequence[ir.Expr]) -> Iterator[ir.Expr]:
    for target in targets:
        if isinstance(target, ir.Sequence):
            yield from _flat(target.items)
        else:
            yield target


def _statements(body: ir.Block) -> Iterator[object]:
    """All statements of a function, but for those of functions in it."""
    for node in body:
        yield node
        if not isinstance(node, ir.FunctionDef | ir.ClassDef):
            yield from _statements(tuple(each for each in children(node) if isinstance(each, ir.Stmt)))
