"""What becomes of the results of calls inside one function: which names they get, and whether they matter.

A rule asks this only about a function in which it found something, so it is worked out from the text on demand.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Container, Iterator, Sequence

from msgspec import Struct

from pytest_purestate._check import ir

__all__ = [
    "COMPARES",
    "Results",
    "children",
    "flows_of",
    "forgets",
    "last_only",
    "only_feeds",
    "reaches",
    "reads",
    "results_of",
]

_Node = object
_Place = int | str
"""A call, by its ref, or a name."""
Flows = dict[_Place, set[_Place]]
"""Where the results of calls, and names, go."""

_Loop = ir.For | ir.While

_LIVE, _DISCARDED = -1, -2

COMPARES = re.compile(r"assert|allclose|array_equal|isclose|equal$|chex\.")
"""Names of functions that compare what they are given: what both sides share is meant."""


class Results(Struct, frozen=True):
    """The calls of a function by ref.

    ``names`` are the words a result is stored under: assigned names and attributes, and the keyword it is
    passed as. ``idle`` are calls that only feed each other, the last of them a statement: nothing they
    compute is ever looked at. ``views`` are calls on the items of one mapping, as a loop over it gives them.
    ``statements`` tells the statement of a call by ref. ``flows`` are the calls and names that a result goes into,
    ``comparisons`` the calls that compare what they are given.
    """

    names: dict[int, tuple[str, ...]]
    idle: frozenset[int]
    views: frozenset[int]
    flows: Flows
    comparisons: frozenset[int]
    statements: dict[int, int]

    def compared(self, first: int, second: int) -> bool:
        """Whether the results of two calls, as they are, meet in one comparison."""
        return bool(self._reached(first) & self._reached(second) & self.comparisons)

    def _reached(self, call: int) -> set[int]:
        """The calls that a result goes into, by itself or by name."""
        goals = self.flows.get(call, set())
        behind = {far for near in goals if isinstance(near, str) for far in self.flows.get(near, ())}
        return {goal for goal in goals | behind if isinstance(goal, int) and goal >= 0}


@functools.cache
def _fields(kind: type[Struct]) -> tuple[str, ...]:
    return tuple(name for name in kind.__struct_fields__ if name not in ("parent", "owner"))


def children(node: _Node) -> Iterator[_Node]:
    """The nodes right below one."""
    for name in _fields(type(node)) if isinstance(node, Struct) else ():
        value = getattr(node, name)
        for item in value if isinstance(value, tuple) else (value,):
            for part in item if isinstance(item, tuple) else (item,):
                if isinstance(part, Struct):
                    yield part


def results_of(function: ir.Function, quiet: Container[int]) -> Results:
    """Follow every result of ``function``. ``quiet`` are the calls that do nothing but return something."""
    walk = _walked(function.body)
    return Results(
        walk.names,
        _idle(walk, quiet),
        frozenset(walk.views),
        walk.flows,
        frozenset(walk.comparisons),
        walk.statements,
    )


def flows_of(body: ir.Block) -> Flows:
    """The calls and names that the result of each call of a block goes into."""
    return _walked(body).flows


def reaches(flows: Flows, call: int, goals: Container[int], stops: Container[int]) -> str:
    """Where the result of a call goes: ``goal`` into one of these calls, ``out`` of sight, or nowhere.

    What it goes into is followed, but for calls in ``stops``.
    """
    todo: list[_Place] = [call]
    met: set[_Place] = set()
    out = False
    while todo:
        for place in flows.get(todo.pop(), ()):
            if place in goals:
                return "goal"
            if place == _LIVE:
                out = True
            elif place not in met and place not in stops:
                met.add(place)
                todo.append(place)
    return "out" if out else ""


def only_feeds(flows: Flows, call: int, goals: Container[int], through: Container[int]) -> bool:
    """Whether the result of a call goes into calls of ``goals`` and nowhere else, by names and calls of ``through``."""
    todo: list[_Place] = [call]
    met: set[_Place] = set()
    fed = False
    while todo:
        for place in flows.get(todo.pop(), ()):
            if place in goals:
                fed = True
            elif place in through or (isinstance(place, str) and place not in met):
                todo += [place] if place not in met else []
                met.add(place)
            elif place != _DISCARDED and place not in met:
                return False
    return fed


def _walked(body: ir.Block) -> _Walk:
    walk = _Walk()
    for statement in body:
        walk.statement(statement, nested=False)
    return walk


class _Walk:
    """Where the values of calls (by ref) and of names (by spelling) go: into a call, a name, or out of sight."""

    def __init__(self) -> None:
        self.names: dict[int, tuple[str, ...]] = {}
        self.flows: Flows = {}
        self.views: set[int] = set()
        self.statements: dict[int, int] = {}
        self.comparisons: set[int] = set()
        self.current = -1
        self.hidden: frozenset[str] = frozenset()  # names that a nested function binds itself
        self.items: frozenset[str] = frozenset()  # names for an item of the mapping that a loop runs over

    def statement(self, node: _Node, nested: bool) -> None:
        self.current = getattr(node, "ref", -1)
        if isinstance(node, ir.Assign | ir.Annotated) and node.value is not None:
            targets = node.targets if isinstance(node, ir.Assign) else (node.target,)
            words = tuple(word for target in targets for word in _words(target))
            plain = all(_is_names(target) for target in targets) and not nested
            goals: tuple[_Place, ...] = words if plain else (_LIVE,)
            for target in targets:
                if not _is_names(target):
                    self.expression(target, (_LIVE,), (), nested)
            self.expression(node.value, goals, words, nested)
        elif isinstance(node, ir.ExprStmt):
            self.expression(node.value, (_LIVE,) if nested else (_DISCARDED,), (), nested)
        elif isinstance(node, ir.Global):
            for name in node.names:
                self.flows.setdefault(name, set()).add(_LIVE)
        else:
            if isinstance(node, ir.For) and _is_view(node.iter):
                self.items = self.items.union(_words(node.target))
            inner = nested or isinstance(node, ir.FunctionDef | ir.ClassDef)
            outer = self.hidden
            if isinstance(node, ir.FunctionDef):
                self.hidden = outer | node.function.bound
            for child in children(node):
                self.any(child, inner)
            self.hidden = outer

    def any(self, node: _Node, nested: bool) -> None:
        if isinstance(node, ir.Stmt):
            self.statement(node, nested)
        elif isinstance(node, ir.Expr):
            self.expression(node, (_LIVE,), (), nested)
        else:
            for child in children(node):
                self.any(child, nested)

    def expression(
        self, node: _Node, goals: tuple[_Place, ...], words: tuple[str, ...], nested: bool
    ) -> None:
        if isinstance(node, ir.Name):
            if nested and node.id in self.hidden:
                return
            self.flows.setdefault(node.id, set()).update((_LIVE,) if nested else goals)
        elif isinstance(node, ir.Call):
            self.flows.setdefault(node.ref, set()).update(goals)
            self.names[node.ref] = words
            self.statements[node.ref] = self.current
            if COMPARES.search(_called(node.func)):
                self.comparisons.add(node.ref)
            if any(isinstance(arg.value, ir.Name) and arg.value.id in self.items for arg in node.args):
                self.views.add(node.ref)
            self.expression(node.func, (node.ref,), words, nested)
            for arg in node.args:
                below = (*words, arg.name) if arg.name else words
                self.expression(arg.value, (node.ref,), below, nested)
        elif isinstance(node, ir.Comprehension) and any(_is_view(clause.iter) for clause in node.clauses):
            outer = self.items
            for clause in node.clauses:
                self.items = self.items.union(_words(clause.target))
            for child in children(node):
                self.any(child, True)
            self.items = outer
        elif isinstance(node, ir.Lambda | ir.Comprehension | ir.Await | ir.Yield):
            for child in children(node):
                self.any(child, True)
        else:
            for child in children(node):
                self.expression(child, goals, words, nested)


def _called(func: ir.Expr) -> str:
    return func.name if isinstance(func, ir.GetAttr) else func.id if isinstance(func, ir.Name) else ""


def _is_view(node: ir.Expr) -> bool:
    """Whether this is ``x.items()`` or ``x.values()``."""
    return (
        isinstance(node, ir.Call)
        and isinstance(node.func, ir.GetAttr)
        and node.func.name in ("items", "values")
    )


def _is_names(target: ir.Expr) -> bool:
    if isinstance(target, ir.Sequence):
        return all(_is_names(item) for item in target.items)
    return _is_names(target.value) if isinstance(target, ir.Star) else isinstance(target, ir.Name)


def _words(target: ir.Expr) -> Iterator[str]:
    if isinstance(target, ir.Name):
        yield target.id
    elif isinstance(target, ir.GetAttr):
        yield target.name
    elif isinstance(target, ir.Star):
        yield from _words(target.value)
    elif isinstance(target, ir.Sequence):
        for item in target.items:
            yield from _words(item)


def _idle(walk: _Walk, quiet: Container[int]) -> frozenset[int]:
    """Calls whose results go nowhere but into other such calls, the last of which is thrown away."""
    flows = walk.flows
    dead = set(flows)

    def dies(goal: _Place) -> bool:
        if isinstance(goal, str):
            return goal in dead or goal not in flows
        return goal == _DISCARDED or (goal in dead and goal in quiet)

    while live := {place for place in dead if not all(map(dies, flows[place]))}:
        dead -= live
    results: set[_Place] = {place for place in dead if isinstance(place, int)}
    results |= {goal for place in results for goal in flows[place] if goal in dead}
    last = {goal for place in results for goal in flows[place] if _DISCARDED in flows.get(goal, ())}
    idle = set(last)
    while more := {place for place in results - idle if flows[place] & idle}:
        idle |= more
    return frozenset(place for place in idle if isinstance(place, int) and place in quiet)


def last_only(body: ir.Block, ref: int, name: str) -> bool:
    """Whether a loop binds ``name``, which stands at ``ref``, in each pass, and only code behind the loop reads it."""
    loop = next((around for node in body for around in _loops(node, ref, None)), None)
    if loop is None or any(_mentions(node, name) for node in loop.body):
        return False
    last = max((node.ref for node in _all(loop.body) if isinstance(node, ir.Expr)), default=ref)
    return any(isinstance(node, ir.Name) and node.id == name and node.ref > last for node in reads(body))


def _mentions(body: _Node, name: str) -> bool:
    return any(isinstance(node, ir.Name) and node.id == name for node in reads((body,)))


def _all(nodes: Sequence[_Node]) -> Iterator[_Node]:
    todo = [*nodes]
    while todo:
        node = todo.pop()
        yield node
        todo += children(node)


def reads(nodes: Sequence[_Node]) -> Iterator[_Node]:
    """All nodes but the names that assignments bind."""
    todo = [*nodes]
    while todo:
        node = todo.pop()
        yield node
        if isinstance(node, ir.Assign):
            todo += (node.value, *_parts(node.targets))
        else:
            todo += children(node)


def forgets(body: ir.Block, ref: int, name: str) -> ir.For | None:
    """The loop that binds ``name`` anew in each pass, if nobody reads what the assignment ``ref`` inside binds it to."""
    loop = next((around for node in body for around in _loops(node, ref, None)), None)
    if not isinstance(loop, ir.For) or name not in _words(loop.target) or _is_read(body, ref, name):
        return None
    return loop


def _loops(node: _Node, ref: int, around: _Loop | None) -> Iterator[_Loop | None]:
    """The innermost loop around an assignment, or around a name that one binds."""
    if isinstance(node, ir.Assign | ir.AugAssign | ir.Name) and node.ref == ref:
        yield around
    inner = node if isinstance(node, ir.For | ir.While) else around
    for child in children(node):
        yield from _loops(child, ref, inner)


def _is_read(body: ir.Block, ref: int, name: str) -> bool:
    """Whether anything reads a name behind an assignment, or any function that may run there."""
    todo: list[_Node] = [*body]
    while todo:
        node = todo.pop()
        if isinstance(node, ir.Name) and node.id == name and node.ref > ref:
            return True
        if isinstance(node, ir.Global) and name in node.names:
            return True
        if isinstance(node, ir.Function):
            if name not in node.bound and _is_read(node.body, -1, name):
                return True
        elif isinstance(node, ir.Assign):
            todo += (node.value, *_parts(node.targets)) if node.ref != ref else ()
        elif isinstance(node, ir.For | ir.Comprehension):
            todo += _of_loop(node, ref, name)
        elif not isinstance(node, ir.AugAssign) or node.ref != ref:
            todo += children(node)
    return False


def _of_loop(node: ir.For | ir.Comprehension, ref: int, name: str) -> Iterator[_Node]:
    """What in a loop may read the variable ``name`` of another one: not what stands behind its own binding of it."""
    if isinstance(node, ir.Comprehension):
        own = any(name in _words(clause.target) for clause in node.clauses)
        yield from (clause.iter for clause in node.clauses) if own else children(node)
        return
    yield from (node.iter, *_parts((node.target,)), *node.orelse)
    if name not in _words(node.target) or node.ref < ref:
        yield from node.body


def _parts(targets: Sequence[ir.Expr]) -> Iterator[ir.Expr]:
    """The targets that are no names, which are only bound."""
    for target in targets:
        if isinstance(target, ir.Sequence):
            yield from _parts(target.items)
        elif not isinstance(target, ir.Name):
            yield target
