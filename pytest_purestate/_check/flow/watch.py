"""An interpreter that remembers what it took every expression for, so that it can be explained afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from pytest_purestate._check import ir
from pytest_purestate._check.apis import Signature
from pytest_purestate._check.flow import keys, types
from pytest_purestate._check.flow.interpret import Interpreter
from pytest_purestate._check.flow.summary import Summary
from pytest_purestate._check.flow.values import UNKNOWN, Part, Sym, Type, Use, Value

if TYPE_CHECKING:
    from pytest_purestate._check.flow.project import ModuleContext

__all__ = ["Seen", "Understood", "Watch"]


class Seen(Struct, frozen=True, eq=False):
    """What an expression was taken for, or a variable where it is bound.

    ``spent`` are the uses of the key that came before. ``is_key``: it is one, or was spent as one.
    """

    ref: int
    node: ir.Expr | None
    value: Value
    type: Type
    is_key: bool
    spent: tuple[Use, ...]


class Understood(Struct, frozen=True, eq=False):
    """What told the meaning of a call: a signature, the summary of a function of the project, or nothing."""

    ref: int
    name: str
    by: Signature | Summary | None


class Watch(Interpreter):
    """Fills ``seen`` and ``calls``, by ref. Of several looks at one expression the last that knew something stays."""

    def __init__(self, context: ModuleContext) -> None:
        super().__init__(context)
        self.seen: dict[int, Seen] = {}
        self.calls: dict[int, Understood] = {}

    def eval(self, node: ir.Expr, moved: bool = True) -> Value:
        value = super().eval(node, moved)
        self._note(node.ref, node, value)
        return value

    def assign_name(self, name: str, value: Value, ref: int) -> None:
        super().assign_name(name, value, ref)
        self._note(ref, None, value)

    def understood(self, ref: int, name: str, by: Signature | Summary | None) -> None:
        known = self.calls.get(ref)
        if known is None or by is not None:
            self.calls[ref] = Understood(ref, name, by)

    def note_params(self) -> None:
        """Note what the parameters of all functions are taken for."""
        for summary in self.summaries.values():
            for param, place in summary.params:
                type_ = types.typeof(self, place)
                self.seen.setdefault(param.ref, Seen(param.ref, None, place, type_, False, ()))

    def _note(self, ref: int, node: ir.Expr | None, value: Value) -> None:
        if self.frame.state is None:
            return
        type_ = types.typeof(self, value)
        spent: tuple[Use, ...] = ()
        if isinstance(value, Sym | Part) and (known := keys.is_key(self, value)):
            place = value if isinstance(value, Sym) else value.base
            spent = tuple([use for path, use in self.state.spent.get(place.root, ()) if path == place.path])
        else:
            known = False
        before = self.seen.get(ref)
        if before is None or spent or known or type_ is not UNKNOWN:
            self.seen[ref] = Seen(ref, node, value, type_, known, spent)
