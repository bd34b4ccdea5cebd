"""The intermediate representation: a small typed tree that the interpreter walks.

It keeps what decides behaviour (names, calls, control flow) and drops what does not (white space,
parentheses, spelling). Nodes carry a ``ref``, the number of the syntax node they came from, so
that a position is only worked out for what is reported. Nodes compare by identity.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

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


@dataclass(slots=True, eq=False)
class Name:
    ref: int
    id: str


@dataclass(slots=True, eq=False)
class Const:
    """A literal. Numbers, strings, bytes, True, False, None and Ellipsis keep their value."""

    ref: int
    value: object


@dataclass(slots=True, eq=False)
class GetAttr:
    ref: int
    base: Expr
    name: str


@dataclass(slots=True, eq=False)
class GetItem:
    ref: int
    base: Expr
    index: Expr


@dataclass(slots=True, eq=False)
class Slice:
    ref: int
    lower: Expr | None
    upper: Expr | None
    step: Expr | None


@dataclass(slots=True, eq=False)
class Arg:
    """A call argument; ``star`` is ``""``, ``"*"`` or ``"**"``."""

    value: Expr
    name: str | None
    star: str


@dataclass(slots=True, eq=False)
class Call:
    ref: int
    func: Expr
    args: tuple[Arg, ...]


@dataclass(slots=True, eq=False)
class Star:
    ref: int
    value: Expr


@dataclass(slots=True, eq=False)
class Sequence:
    """A tuple, list or set display, also as an assignment target."""

    ref: int
    kind: str
    items: tuple[Expr, ...]


@dataclass(slots=True, eq=False)
class Mapping:
    """A dict display; a None key stands for ``**value``."""

    ref: int
    items: tuple[tuple[Expr | None, Expr], ...]


@dataclass(slots=True, eq=False)
class Lambda:
    ref: int
    function: Function


@dataclass(slots=True, eq=False)
class Clause:
    """One ``for target in iter if ...`` of a comprehension."""

    ref: int
    target: Expr
    iter: Expr
    tests: tuple[Expr, ...]


@dataclass(slots=True, eq=False)
class Comprehension:
    """``kind`` is list, set, dict or generator; ``value`` is set for dicts only."""

    ref: int
    kind: str
    element: Expr
    value: Expr | None
    clauses: tuple[Clause, ...]


@dataclass(slots=True, eq=False)
class Conditional:
    ref: int
    test: Expr
    then: Expr
    orelse: Expr


@dataclass(slots=True, eq=False)
class BoolOp:
    """``left and right`` / ``left or right``; the right side runs on one outcome only."""

    ref: int
    op: str
    left: Expr
    right: Expr


@dataclass(slots=True, eq=False)
class Binary:
    ref: int
    op: str
    left: Expr
    right: Expr


@dataclass(slots=True, eq=False)
class Unary:
    ref: int
    op: str
    value: Expr


@dataclass(slots=True, eq=False)
class Compare:
    ref: int
    left: Expr
    rest: tuple[tuple[str, Expr], ...]


@dataclass(slots=True, eq=False)
class Walrus:
    ref: int
    target: Name
    value: Expr


@dataclass(slots=True, eq=False)
class Await:
    ref: int
    value: Expr


@dataclass(slots=True, eq=False)
class Yield:
    ref: int
    value: Expr | None
    delegate: bool


@dataclass(slots=True, eq=False)
class Opaque:
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


@dataclass(slots=True, eq=False)
class Assign:
    ref: int
    targets: tuple[Expr, ...]
    value: Expr


@dataclass(slots=True, eq=False)
class AugAssign:
    """``target op= value``; ``op`` is written without the equals sign."""

    ref: int
    target: Expr
    op: str
    value: Expr


@dataclass(slots=True, eq=False)
class Annotated:
    """``target: annotation [= value]``."""

    ref: int
    target: Expr
    annotation: Expr
    value: Expr | None


@dataclass(slots=True, eq=False)
class ExprStmt:
    ref: int
    value: Expr


@dataclass(slots=True, eq=False)
class Return:
    ref: int
    value: Expr | None


@dataclass(slots=True, eq=False)
class Raise:
    ref: int
    parts: tuple[Expr, ...]


@dataclass(slots=True, eq=False)
class Break:
    ref: int


@dataclass(slots=True, eq=False)
class Continue:
    ref: int


@dataclass(slots=True, eq=False)
class If:
    ref: int
    test: Expr
    body: Block
    orelse: Block


@dataclass(slots=True, eq=False)
class For:
    ref: int
    target: Expr
    iter: Expr
    body: Block
    orelse: Block


@dataclass(slots=True, eq=False)
class While:
    ref: int
    test: Expr
    body: Block
    orelse: Block


@dataclass(slots=True, eq=False)
class Handler:
    type: Expr | None
    name: str | None
    body: Block


@dataclass(slots=True, eq=False)
class Try:
    ref: int
    body: Block
    handlers: tuple[Handler, ...]
    orelse: Block
    final: Block


@dataclass(slots=True, eq=False)
class With:
    ref: int
    items: tuple[tuple[Expr, Expr | None], ...]
    body: Block


@dataclass(slots=True, eq=False)
class Case:
    """A match arm: the names it binds, values its pattern reads, its guard and whether it always matches."""

    names: tuple[str, ...]
    reads: tuple[Expr, ...]
    guard: Expr | None
    total: bool
    body: Block


@dataclass(slots=True, eq=False)
class Match:
    ref: int
    subject: Expr
    cases: tuple[Case, ...]


@dataclass(slots=True, eq=False)
class Delete:
    ref: int
    targets: tuple[Expr, ...]


@dataclass(slots=True, eq=False)
class Global:
    """``global`` or ``nonlocal``."""

    ref: int
    names: tuple[str, ...]
    nonlocal_: bool


@dataclass(slots=True, eq=False)
class ImportBinding:
    """``name`` is bound to the module or member with the absolute dotted name ``target``."""

    name: str
    target: str


@dataclass(slots=True, eq=False)
class Import:
    """``stars`` are the modules imported with ``*``."""

    ref: int
    bindings: tuple[ImportBinding, ...]
    stars: tuple[str, ...]


@dataclass(slots=True, eq=False)
class Assert:
    ref: int
    test: Expr
    message: Expr | None


@dataclass(slots=True, eq=False)
class FunctionDef:
    ref: int
    function: Function


@dataclass(slots=True, eq=False)
class ClassDef:
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


@dataclass(slots=True, eq=False)
class Param:
    """``kind`` is "" (positional or keyword), "/" (positional only), "*", "**" or "k" (keyword only)."""

    ref: int
    name: str
    kind: str
    default: Expr | None
    annotation: Expr | None


@dataclass(slots=True, eq=False)
class Function:
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
        return self.owner is not None and bool(self.params) and self._is_decorated("classmethod")

    @property
    def is_test(self) -> bool:
        """Whether it is called like a test, or is a method of a class that is."""
        return self.name.startswith("test_") or (
            self.owner is not None and self.owner.name.startswith("Test")
        )

    def _is_decorated(self, name: str) -> bool:
        return any(isinstance(item, Name) and item.id == name for item in self.decorators)


@dataclass(slots=True, eq=False)
class Class:
    ref: int
    name: str
    qualname: str
    bases: tuple[Arg, ...]
    decorators: tuple[Expr, ...]
    body: Block
    parent: Function | None


@dataclass(slots=True, eq=False)
class Module:
    """``name`` is the absolute dotted name, ``functions`` every def and lambda in source order."""

    name: str
    path: str
    body: Block
    functions: tuple[Function, ...]
    classes: tuple[Class, ...]
