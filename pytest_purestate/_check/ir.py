"""The intermediate representation: a small typed tree that the interpreter walks.

It keeps what decides behaviour (names, calls, control flow) and drops what does not (white space,
parentheses, spelling). Nodes carry a ``ref``, the number of the syntax node they came from, so
that a position is only worked out for what is reported. Nodes compare by identity.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

__all__ = [
    "Annotated",
    "Arg",
    "Assert",
    "Assign",
    "AugAssign",
    "Await",
    "Binary",
    "Block",
    "BoolOp",
    "Break",
    "Call",
    "Case",
    "Class",
    "ClassDef",
    "Clause",
    "Compare",
    "Comprehension",
    "Conditional",
    "Const",
    "Continue",
    "Delete",
    "Expr",
    "ExprStmt",
    "For",
    "Function",
    "FunctionDef",
    "GetAttr",
    "GetItem",
    "Global",
    "Handler",
    "If",
    "Import",
    "ImportBinding",
    "Lambda",
    "Mapping",
    "Match",
    "Module",
    "Name",
    "Opaque",
    "Param",
    "Raise",
    "Return",
    "Sequence",
    "Slice",
    "Star",
    "Stmt",
    "Try",
    "Unary",
    "Walrus",
    "While",
    "With",
    "Yield",
]


# --- expressions ---------------------------------------------------------------------------


class Name(Struct, eq=False):
    ref: int
    id: str


class Const(Struct, eq=False):
    """A literal. Numbers, strings, bytes, True, False, None and Ellipsis keep their value."""

    ref: int
    value: object


class GetAttr(Struct, eq=False):
    ref: int
    base: Expr
    name: str


class GetItem(Struct, eq=False):
    ref: int
    base: Expr
    index: Expr


class Slice(Struct, eq=False):
    ref: int
    lower: Expr | None
    upper: Expr | None
    step: Expr | None


class Arg(Struct, eq=False):
    """A call argument; ``star`` is ``""``, ``"*"`` or ``"**"``."""

    value: Expr
    name: str | None
    star: str


class Call(Struct, eq=False):
    ref: int
    func: Expr
    args: tuple[Arg, ...]


class Star(Struct, eq=False):
    ref: int
    value: Expr


class Sequence(Struct, eq=False):
    """A tuple, list or set display, also as an assignment target."""

    ref: int
    kind: str
    items: tuple[Expr, ...]


class Mapping(Struct, eq=False):
    """A dict display; a None key stands for ``**value``."""

    ref: int
    items: tuple[tuple[Expr | None, Expr], ...]


class Lambda(Struct, eq=False):
    ref: int
    function: Function


class Clause(Struct, eq=False):
    """One ``for target in iter if ...`` of a comprehension."""

    ref: int
    target: Expr
    iter: Expr
    tests: tuple[Expr, ...]


class Comprehension(Struct, eq=False):
    """``kind`` is list, set, dict or generator; ``value`` is set for dicts only."""

    ref: int
    kind: str
    element: Expr
    value: Expr | None
    clauses: tuple[Clause, ...]


class Conditional(Struct, eq=False):
    ref: int
    test: Expr
    then: Expr
    orelse: Expr


class BoolOp(Struct, eq=False):
    """``left and right`` / ``left or right``; the right side runs on one outcome only."""

    ref: int
    op: str
    left: Expr
    right: Expr


class Binary(Struct, eq=False):
    ref: int
    op: str
    left: Expr
    right: Expr


class Unary(Struct, eq=False):
    ref: int
    op: str
    value: Expr


class Compare(Struct, eq=False):
    ref: int
    left: Expr
    rest: tuple[tuple[str, Expr], ...]


class Walrus(Struct, eq=False):
    ref: int
    target: Name
    value: Expr


class Await(Struct, eq=False):
    ref: int
    value: Expr


class Yield(Struct, eq=False):
    ref: int
    value: Expr | None
    delegate: bool


class Opaque(Struct, eq=False):
    """An expression of no interest of its own (an f-string, say) whose parts are evaluated."""

    ref: int
    kind: str
    parts: tuple[Expr, ...]


Expr: TypeAlias = (
    Name
    | Const
    | GetAttr
    | GetItem
    | Slice
    | Call
    | Star
    | Sequence
    | Mapping
    | Lambda
    | Comprehension
    | Conditional
    | BoolOp
    | Binary
    | Unary
    | Compare
    | Walrus
    | Await
    | Yield
    | Opaque
)


# --- statements ----------------------------------------------------------------------------

Block: TypeAlias = "tuple[Stmt, ...]"


class Assign(Struct, eq=False):
    ref: int
    targets: tuple[Expr, ...]
    value: Expr


class AugAssign(Struct, eq=False):
    """``target op= value``; ``op`` is written without the equals sign."""

    ref: int
    target: Expr
    op: str
    value: Expr


class Annotated(Struct, eq=False):
    """``target: annotation [= value]``."""

    ref: int
    target: Expr
    annotation: Expr
    value: Expr | None


class ExprStmt(Struct, eq=False):
    ref: int
    value: Expr


class Return(Struct, eq=False):
    ref: int
    value: Expr | None


class Raise(Struct, eq=False):
    ref: int
    parts: tuple[Expr, ...]


class Break(Struct, eq=False):
    ref: int


class Continue(Struct, eq=False):
    ref: int


class If(Struct, eq=False):
    ref: int
    test: Expr
    body: Block
    orelse: Block


class For(Struct, eq=False):
    ref: int
    target: Expr
    iter: Expr
    body: Block
    orelse: Block


class While(Struct, eq=False):
    ref: int
    test: Expr
    body: Block
    orelse: Block


class Handler(Struct, eq=False):
    type: Expr | None
    name: str | None
    body: Block


class Try(Struct, eq=False):
    ref: int
    body: Block
    handlers: tuple[Handler, ...]
    orelse: Block
    final: Block


class With(Struct, eq=False):
    ref: int
    items: tuple[tuple[Expr, Expr | None], ...]
    body: Block


class Case(Struct, eq=False):
    """A match arm: the names it binds, values its pattern reads, its guard and whether it always matches."""

    names: tuple[str, ...]
    reads: tuple[Expr, ...]
    guard: Expr | None
    total: bool
    body: Block


class Match(Struct, eq=False):
    ref: int
    subject: Expr
    cases: tuple[Case, ...]


class Delete(Struct, eq=False):
    ref: int
    targets: tuple[Expr, ...]


class Global(Struct, eq=False):
    """``global`` or ``nonlocal``."""

    ref: int
    names: tuple[str, ...]
    nonlocal_: bool


class ImportBinding(Struct, eq=False):
    """``name`` is bound to the module or member with the absolute dotted name ``target``."""

    name: str
    target: str


class Import(Struct, eq=False):
    """``stars`` are the modules imported with ``*``."""

    ref: int
    bindings: tuple[ImportBinding, ...]
    stars: tuple[str, ...]


class Assert(Struct, eq=False):
    ref: int
    test: Expr
    message: Expr | None


class FunctionDef(Struct, eq=False):
    ref: int
    function: Function


class ClassDef(Struct, eq=False):
    ref: int
    cls: Class


Stmt: TypeAlias = (
    Assign
    | AugAssign
    | Annotated
    | ExprStmt
    | Return
    | Raise
    | Break
    | Continue
    | If
    | For
    | While
    | Try
    | With
    | Match
    | Delete
    | Global
    | Import
    | Assert
    | FunctionDef
    | ClassDef
)


# --- definitions ---------------------------------------------------------------------------


class Param(Struct, eq=False):
    """``kind`` is "" (positional or keyword), "/" (positional only), "*", "**" or "k" (keyword only)."""

    ref: int
    name: str
    kind: str
    default: Expr | None
    annotation: Expr | None


class Function(Struct, eq=False):
    """A def or lambda. ``bound`` are the names local to it; ``ref`` is the name (or the lambda)."""

    ref: int
    name: str
    qualname: str
    params: tuple[Param, ...]
    body: Block
    decorators: tuple[Expr, ...]
    returns: Expr | None
    bound: frozenset[str]
    is_async: bool
    is_generator: bool
    parent: Function | None
    owner: Class | None
    def_ref: int

    @property
    def is_lambda(self) -> bool:
        return self.name == "<lambda>"

    @property
    def receiver(self) -> str:
        """The name of the parameter that is the object (or class) a method is called on; empty when there is none."""
        static = self._is_decorated("staticmethod")
        return self.params[0].name if self.owner is not None and self.params and not static else ""

    @property
    def is_classmethod(self) -> bool:
        """Whether it is called on the class; Python makes two methods such by their names."""
        named = self.name in ("__init_subclass__", "__class_getitem__")
        return self.owner is not None and bool(self.params) and (named or self._is_decorated("classmethod"))

    @property
    def is_stub(self) -> bool:
        """Whether it is a method that does nothing, and is there to be overridden."""
        return self.owner is not None and all(
            isinstance(statement, ExprStmt) and isinstance(statement.value, Const) for statement in self.body
        )

    def _is_decorated(self, name: str) -> bool:
        return any(isinstance(item, Name) and item.id == name for item in self.decorators)


class Class(Struct, eq=False):
    ref: int
    name: str
    qualname: str
    bases: tuple[Arg, ...]
    decorators: tuple[Expr, ...]
    body: Block
    parent: Function | None


class Module(Struct, eq=False):
    """``name`` is the absolute dotted name, ``functions`` every def and lambda in source order."""

    name: str
    path: str
    body: Block
    functions: tuple[Function, ...]
    classes: tuple[Class, ...]
