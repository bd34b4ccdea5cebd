"""libcst tree -> IR. With ``syntax.py`` the only reader of syntax trees.

One recursive walk over the fields that matter. Positions are not computed on the way: each IR node
carries the number of its syntax node, its ref, and of most files no position is ever asked for.
"""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_purestate._check import ir, trees
from pytest_purestate._check.model import Span
from pytest_purestate._check.resolve import absolute, module_name
from pytest_purestate._check.source import Source
from pytest_purestate._check.syntax import Syntax
from pytest_purestate._check.trees import SyntaxProblem

if TYPE_CHECKING:
    import libcst as cst
else:
    cst = trees.classes()

__all__ = ["Lowered", "SyntaxProblem", "lower"]


@dataclass(slots=True)
class Lowered:
    """The IR of one file and the way back from its refs to byte spans.

    The syntax tree is far larger than all the rest and is let go by ``release``. Whoever asks for a
    position later pays for a second parse: a ref is the same node there, because the numbers depend on
    nothing but the text.
    """

    module: ir.Module
    source: Source
    _syntax: Syntax | None
    _spans: dict[int, Span] = field(default_factory=dict)
    _exact: dict[int, bool] = field(default_factory=dict)

    def span(self, ref: int) -> Span:
        """The byte span of the syntax node ``ref``, without the parentheses around it."""
        span = self._spans.get(ref)
        if span is None:
            span = self._spans[ref] = self._parsed().span(ref)
        return span

    def exact(self, ref: int) -> bool:
        """Whether the statement around a node prints back as its source, so that fixes by span are sound."""
        if ref not in self._exact:
            self._exact[ref] = self._parsed().exact(ref)
        return self._exact[ref]

    def release(self) -> None:
        """Let the syntax tree go."""
        self._syntax = None

    def _parsed(self) -> Syntax:
        if self._syntax is None:
            _, self._syntax = _parse(self.source)
        return self._syntax


def lower(source: Source) -> Lowered:
    """Parse and lower one file. Raises SyntaxProblem when it is not Python."""
    module, syntax = _parse(source)
    return Lowered(module, source, syntax)


def _parse(source: Source) -> tuple[ir.Module, Syntax]:
    tree = trees.parse_module(source.text)
    name, package = module_name(source.file)
    lowering = _Lowering(package)
    body: list[ir.Stmt] = []
    refs = [0]
    for statement in tree.body:
        body += lowering.block((statement,))
        refs.append(len(lowering.nodes))
    module = ir.Module(name, source.path, tuple(body), tuple(lowering.functions), tuple(lowering.classes))
    return module, Syntax(source.text, tree, lowering.nodes, refs)


class _Scope:
    """What is known about the function being lowered: names it binds, names declared elsewhere."""

    __slots__ = ("bound", "foreign", "function", "generator", "is_class", "owner", "qualname")

    def __init__(
        self, qualname: str, function: ir.Function | None, owner: ir.Class | None, is_class: bool
    ) -> None:
        self.bound: set[str] = set()
        self.foreign: set[str] = set()
        self.generator = False
        self.qualname = qualname
        self.function = function
        self.owner = owner
        self.is_class = is_class


class _Lowering:
    def __init__(self, package: str) -> None:
        self.package = package
        self.nodes: list[cst.CSTNode] = []
        self.functions: list[ir.Function] = []
        self.classes: list[ir.Class] = []
        self.scope = _Scope("", None, None, False)
        self.comprehension_depth = 0

    # --- helpers ---------------------------------------------------------------------------

    def ref(self, node: cst.CSTNode) -> int:
        self.nodes.append(node)
        return len(self.nodes) - 1

    def expr(self, node: cst.BaseExpression) -> ir.Expr:
        handler = _EXPRESSIONS.get(type(node))
        if handler is None:
            return ir.Opaque(self.ref(node), type(node).__name__, ())
        result: ir.Expr = handler(self, node)
        return result

    def maybe(self, node: cst.BaseExpression | None) -> ir.Expr | None:
        return None if node is None else self.expr(node)

    def bind(self, name: str) -> None:
        if not self.comprehension_depth:
            self.scope.bound.add(name)

    def target(self, node: cst.BaseExpression) -> ir.Expr:
        """An assignment target: like an expression, and its plain names become bound."""
        expr = self.expr(node)
        stack: list[ir.Expr] = [expr]
        while stack:
            part = stack.pop()
            if isinstance(part, ir.Name):
                self.bind(part.id)
            elif isinstance(part, ir.Sequence):
                stack.extend(part.items)
            elif isinstance(part, ir.Star):
                stack.append(part.value)
        return expr

    # --- statements ------------------------------------------------------------------------

    def block(self, body: Sequence[cst.CSTNode]) -> ir.Block:
        out: list[ir.Stmt] = []
        for node in body:
            if type(node) is cst.SimpleStatementLine:
                for small in node.body:
                    self.statement(small, out)
            else:
                self.statement(node, out)
        return tuple(out)

    def suite(self, node: cst.BaseSuite) -> ir.Block:
        if isinstance(node, cst.SimpleStatementSuite):
            out: list[ir.Stmt] = []
            for small in node.body:
                self.statement(small, out)
            return tuple(out)
        return self.block(node.body)

    def statement(self, node: cst.CSTNode, out: list[ir.Stmt]) -> None:
        handler = _STATEMENTS.get(type(node))
        if handler is not None:
            statement = handler(self, node)
            if statement is not None:
                out.append(statement)

    def s_assign(self, node: cst.Assign) -> ir.Stmt:
        value = self.expr(node.value)
        return ir.Assign(self.ref(node), tuple(self.target(t.target) for t in node.targets), value)

    def s_annassign(self, node: cst.AnnAssign) -> ir.Stmt:
        value = self.maybe(node.value)
        target = self.target(node.target)
        return ir.Annotated(self.ref(node), target, self.annotation(node.annotation), value)

    def s_augassign(self, node: cst.AugAssign) -> ir.Stmt:
        value = self.expr(node.value)
        op = _OPERATORS.get(type(node.operator), "?").removesuffix("=")
        return ir.AugAssign(self.ref(node), self.target(node.target), op, value)

    def s_expr(self, node: cst.Expr) -> ir.Stmt:
        return ir.ExprStmt(self.ref(node), self.expr(node.value))

    def s_return(self, node: cst.Return) -> ir.Stmt:
        return ir.Return(self.ref(node), self.maybe(node.value))

    def s_raise(self, node: cst.Raise) -> ir.Stmt:
        parts = [] if node.exc is None else [self.expr(node.exc)]
        if node.cause is not None:
            parts.append(self.expr(node.cause.item))
        return ir.Raise(self.ref(node), tuple(parts))

    def s_break(self, node: cst.Break) -> ir.Stmt:
        return ir.Break(self.ref(node))

    def s_continue(self, node: cst.Continue) -> ir.Stmt:
        return ir.Continue(self.ref(node))

    def s_del(self, node: cst.Del) -> ir.Stmt:
        target = self.target(node.target)
        targets = target.items if isinstance(target, ir.Sequence) else (target,)
        return ir.Delete(self.ref(node), targets)

    def s_global(self, node: cst.Global | cst.Nonlocal) -> ir.Stmt:
        names = tuple(item.name.value for item in node.names)
        self.scope.foreign.update(names)
        return ir.Global(self.ref(node), names, isinstance(node, cst.Nonlocal))

    def s_import(self, node: cst.Import) -> ir.Stmt:
        bindings = []
        for alias in node.names:
            dotted = _dotted(alias.name)
            if alias.asname is not None and isinstance(alias.asname.name, cst.Name):
                bindings.append(ir.ImportBinding(alias.asname.name.value, dotted))
            else:
                top = dotted.split(".", 1)[0]
                bindings.append(ir.ImportBinding(top, top))
        for binding in bindings:
            self.bind(binding.name)
        return ir.Import(self.ref(node), tuple(bindings), ())

    def s_importfrom(self, node: cst.ImportFrom) -> ir.Stmt:
        base = absolute(self.package, len(node.relative), _dotted(node.module) if node.module else "")
        if isinstance(node.names, cst.ImportStar):
            return ir.Import(self.ref(node), (), (base,))
        bindings = []
        for alias in node.names:
            member = _dotted(alias.name)
            name = member
            if alias.asname is not None and isinstance(alias.asname.name, cst.Name):
                name = alias.asname.name.value
            target = f"{base}{member}" if base.endswith(".") else f"{base}.{member}"
            bindings.append(ir.ImportBinding(name, target))
            self.bind(name)
        return ir.Import(self.ref(node), tuple(bindings), ())

    def s_assert(self, node: cst.Assert) -> ir.Stmt:
        return ir.Assert(self.ref(node), self.expr(node.test), self.maybe(node.msg))

    def orelse(self, node: cst.If | cst.Else | None) -> ir.Block:
        if node is None:
            return ()
        if isinstance(node, cst.Else):
            return self.suite(node.body)
        return (self.s_if(node),)

    def s_if(self, node: cst.If) -> ir.Stmt:
        test = self.expr(node.test)
        return ir.If(self.ref(node.test), test, self.suite(node.body), self.orelse(node.orelse))

    def s_for(self, node: cst.For) -> ir.Stmt:
        iterable = self.expr(node.iter)
        target = self.target(node.target)
        return ir.For(
            self.ref(node.target), target, iterable, self.suite(node.body), self.orelse(node.orelse)
        )

    def s_while(self, node: cst.While) -> ir.Stmt:
        test = self.expr(node.test)
        return ir.While(self.ref(node.test), test, self.suite(node.body), self.orelse(node.orelse))

    def s_try(self, node: cst.Try | cst.TryStar) -> ir.Stmt:
        body = self.suite(node.body)
        handlers = []
        for handler in node.handlers:
            name = None
            if handler.name is not None and isinstance(handler.name.name, cst.Name):
                name = handler.name.name.value
                self.bind(name)
            handlers.append(ir.Handler(self.maybe(handler.type), name, self.suite(handler.body)))
        orelse = self.orelse(node.orelse)
        final = () if node.finalbody is None else self.suite(node.finalbody.body)
        return ir.Try(self.ref(node), body, tuple(handlers), orelse, final)

    def s_with(self, node: cst.With) -> ir.Stmt:
        items: list[tuple[ir.Expr, ir.Expr | None]] = []
        for item in node.items:
            value = self.expr(item.item)
            items.append((value, None if item.asname is None else self.target(item.asname.name)))
        return ir.With(self.ref(node), tuple(items), self.suite(node.body))

    def s_match(self, node: cst.Match) -> ir.Stmt:
        subject = self.expr(node.subject)
        cases = []
        for case in node.cases:
            names: list[str] = []
            reads: list[ir.Expr] = []
            self.pattern(case.pattern, names, reads)
            for name in names:
                self.bind(name)
            total = case.guard is None and (
                isinstance(case.pattern, cst.MatchAs) and case.pattern.pattern is None
            )
            guard = self.maybe(case.guard)
            cases.append(ir.Case(tuple(names), tuple(reads), guard, total, self.suite(case.body)))
        return ir.Match(self.ref(node.subject), subject, tuple(cases))

    def pattern(self, node: cst.CSTNode, names: list[str], reads: list[ir.Expr]) -> None:
        if isinstance(node, cst.MatchAs | cst.MatchStar):
            if node.name is not None:
                names.append(node.name.value)
            if isinstance(node, cst.MatchAs) and node.pattern is not None:
                self.pattern(node.pattern, names, reads)
        elif isinstance(node, cst.MatchValue):
            reads.append(self.expr(node.value))
        elif isinstance(node, cst.MatchMapping):
            if node.rest is not None:
                names.append(node.rest.value)
            for element in node.elements:
                self.pattern(element.pattern, names, reads)
        elif isinstance(node, cst.MatchClass):
            for positional in node.patterns:
                self.pattern(positional.value, names, reads)
            for keyword in node.kwds:
                self.pattern(keyword.pattern, names, reads)
        elif isinstance(node, cst.MatchOr):
            for option in node.patterns:
                self.pattern(option.pattern, names, reads)
        elif isinstance(node, cst.MatchList | cst.MatchTuple):
            for item in node.patterns:
                self.pattern(item.value if isinstance(item, cst.MatchSequenceElement) else item, names, reads)

    # --- definitions -----------------------------------------------------------------------

    def params(self, node: cst.Parameters) -> tuple[ir.Param, ...]:
        out: list[ir.Param] = []
        groups: list[tuple[Sequence[cst.Param], str]] = [
            (node.posonly_params, "/"),
            (node.params, ""),
            ([node.star_arg] if isinstance(node.star_arg, cst.Param) else [], "*"),
            (node.kwonly_params, "k"),
            ([node.star_kwarg] if node.star_kwarg is not None else [], "**"),
        ]
        for group, kind in groups:
            for param in group:
                note = None if param.annotation is None else self.annotation(param.annotation)
                default = self.maybe(param.default)
                out.append(ir.Param(self.ref(param.name), param.name.value, kind, default, note))
        return tuple(out)

    def annotation(self, node: cst.Annotation) -> ir.Expr:
        """Annotations given as strings are read as the expression they spell."""
        inner = node.annotation
        if isinstance(inner, cst.SimpleString):
            try:
                return self.expr(trees.parse_expression(str(_string_value(inner))))
            except Exception:
                return self.expr(inner)
        return self.expr(inner)

    def function(
        self,
        node: cst.FunctionDef | cst.Lambda,
        name: str,
        params: tuple[ir.Param, ...],
        decorators: tuple[ir.Expr, ...],
        returns: ir.Expr | None,
        body: Callable[[], ir.Block],
    ) -> ir.Function:
        outer, depth = self.scope, self.comprehension_depth
        qualname = f"{outer.qualname}.{name}" if outer.qualname else name
        is_async = isinstance(node, cst.FunctionDef) and node.asynchronous is not None
        ref = self.ref(node.name if isinstance(node, cst.FunctionDef) else node)
        owner = outer.owner if outer.is_class else None
        function = ir.Function(
            ref, name, qualname, params, (), decorators, returns, frozenset(), is_async, False,
            outer.function, owner, self.ref(node),
        )  # fmt: skip
        self.functions.append(function)
        scope = _Scope(qualname, function, None, False)
        scope.bound.update(param.name for param in params)
        self.scope, self.comprehension_depth = scope, 0
        function.body = body()
        self.scope, self.comprehension_depth = outer, depth
        function.bound = frozenset(scope.bound - scope.foreign)
        function.is_generator = scope.generator
        return function

    def s_function(self, node: cst.FunctionDef) -> ir.Stmt:
        self.bind(node.name.value)
        decorators = tuple(self.expr(d.decorator) for d in node.decorators)
        params = self.params(node.params)
        returns = None if node.returns is None else self.annotation(node.returns)
        function = self.function(
            node, node.name.value, params, decorators, returns, lambda: self.suite(node.body)
        )
        return ir.FunctionDef(function.ref, function)

    def s_class(self, node: cst.ClassDef) -> ir.Stmt:
        self.bind(node.name.value)
        decorators = tuple(self.expr(d.decorator) for d in node.decorators)
        bases = tuple(self.arg(arg) for arg in (*node.bases, *node.keywords))
        outer, depth = self.scope, self.comprehension_depth
        name = node.name.value
        qualname = f"{outer.qualname}.{name}" if outer.qualname else name
        cls = ir.Class(self.ref(node.name), name, qualname, bases, decorators, (), outer.function)
        self.classes.append(cls)
        self.scope, self.comprehension_depth = _Scope(qualname, outer.function, cls, True), 0
        cls.body = self.suite(node.body)
        self.scope, self.comprehension_depth = outer, depth
        return ir.ClassDef(cls.ref, cls)

    # --- expressions -----------------------------------------------------------------------

    def e_name(self, node: cst.Name) -> ir.Expr:
        constant = _CONSTANTS.get(node.value, self)
        if constant is not self:
            return ir.Const(self.ref(node), constant)
        return ir.Name(self.ref(node), node.value)

    def e_number(self, node: cst.Integer | cst.Float | cst.Imaginary) -> ir.Expr:
        value: object = node.value
        # ``evaluated_value`` asks ``ast.literal_eval``, which is slow and leaves garbage in cycles.
        with contextlib.suppress(ValueError, OverflowError):  # more digits than Python converts
            if isinstance(node, cst.Integer):
                value = int(node.value, 0)
            else:
                value = float(node.value) if isinstance(node, cst.Float) else complex(node.value)
        return ir.Const(self.ref(node), value)

    def e_string(self, node: cst.SimpleString | cst.ConcatenatedString) -> ir.Expr:
        parts: list[ir.Expr] = []
        stack: list[cst.BaseExpression] = [node]
        texts: list[object] = []
        while stack:
            part = stack.pop()
            if isinstance(part, cst.ConcatenatedString):
                stack.extend((part.right, part.left))
            elif isinstance(part, cst.SimpleString):
                texts.append(_string_value(part))
            else:
                parts.append(self.expr(part))
        if not parts and all(isinstance(text, str) for text in texts):
            return ir.Const(self.ref(node), "".join(map(str, texts)))
        if not parts and all(isinstance(text, bytes) for text in texts):
            return ir.Const(self.ref(node), b"".join(t for t in texts if isinstance(t, bytes)))
        return ir.Opaque(self.ref(node), "string", tuple(parts))

    def e_formatted(self, node: Any) -> ir.Expr:
        parts: list[ir.Expr] = []
        for part in node.parts:
            expression = getattr(part, "expression", None)
            if expression is not None:
                parts.append(self.expr(expression))
                for inner in getattr(part, "format_spec", None) or ():
                    if getattr(inner, "expression", None) is not None:
                        parts.append(self.expr(inner.expression))
        return ir.Opaque(self.ref(node), "string", tuple(parts))

    def e_attribute(self, node: cst.Attribute) -> ir.Expr:
        return ir.GetAttr(self.ref(node), self.expr(node.value), node.attr.value)

    def e_subscript(self, node: cst.Subscript) -> ir.Expr:
        base = self.expr(node.value)
        parts: list[ir.Expr] = []
        for element in node.slice:
            inner = element.slice
            if isinstance(inner, cst.Index):
                value = self.expr(inner.value)
                parts.append(ir.Star(value.ref, value) if inner.star else value)
            elif isinstance(inner, cst.Slice):
                parts.append(
                    ir.Slice(
                        self.ref(inner),
                        self.maybe(inner.lower),
                        self.maybe(inner.upper),
                        self.maybe(inner.step),
                    )
                )
        ref = self.ref(node)
        if len(parts) == 1 and not _has_comma(node.slice[0]):
            return ir.GetItem(ref, base, parts[0])
        return ir.GetItem(ref, base, ir.Sequence(ref, "tuple", tuple(parts)))

    def arg(self, node: cst.Arg) -> ir.Arg:
        return ir.Arg(self.expr(node.value), None if node.keyword is None else node.keyword.value, node.star)

    def e_call(self, node: cst.Call) -> ir.Expr:
        func = self.expr(node.func)
        return ir.Call(self.ref(node), func, tuple([self.arg(arg) for arg in node.args]))

    def e_sequence(self, node: cst.Tuple | cst.List | cst.Set) -> ir.Expr:
        kind = "tuple" if isinstance(node, cst.Tuple) else "list" if isinstance(node, cst.List) else "set"
        items: list[ir.Expr] = []
        for element in node.elements:
            value = self.expr(element.value)
            items.append(ir.Star(value.ref, value) if isinstance(element, cst.StarredElement) else value)
        return ir.Sequence(self.ref(node), kind, tuple(items))

    def e_dict(self, node: cst.Dict) -> ir.Expr:
        items: list[tuple[ir.Expr | None, ir.Expr]] = []
        for element in node.elements:
            if isinstance(element, cst.DictElement):
                items.append((self.expr(element.key), self.expr(element.value)))
            else:
                items.append((None, self.expr(element.value)))
        return ir.Mapping(self.ref(node), tuple(items))

    def e_lambda(self, node: cst.Lambda) -> ir.Expr:
        params = self.params(node.params)

        def body() -> ir.Block:
            value = self.expr(node.body)
            return (ir.Return(value.ref, value),)

        function = self.function(node, "<lambda>", params, (), None, body)
        return ir.Lambda(function.ref, function)

    def comprehension(
        self, node: cst.BaseExpression, kind: str, clause: cst.CompFor, element: Any, value: Any
    ) -> ir.Expr:
        self.comprehension_depth += 1
        clauses: list[ir.Clause] = []
        current: cst.CompFor | None = clause
        while current is not None:
            iterable = self.expr(current.iter)
            target = self.target(current.target)
            tests = tuple(self.expr(test.test) for test in current.ifs)
            clauses.append(ir.Clause(self.ref(current.target), target, iterable, tests))
            current = current.inner_for_in
        lowered = self.expr(element)
        second = self.maybe(value)
        self.comprehension_depth -= 1
        return ir.Comprehension(self.ref(node), kind, lowered, second, tuple(clauses))

    def e_listcomp(self, node: cst.ListComp) -> ir.Expr:
        return self.comprehension(node, "list", node.for_in, node.elt, None)

    def e_setcomp(self, node: cst.SetComp) -> ir.Expr:
        return self.comprehension(node, "set", node.for_in, node.elt, None)

    def e_genexp(self, node: cst.GeneratorExp) -> ir.Expr:
        return self.comprehension(node, "generator", node.for_in, node.elt, None)

    def e_dictcomp(self, node: cst.DictComp) -> ir.Expr:
        return self.comprehension(node, "dict", node.for_in, node.key, node.value)

    def e_ifexp(self, node: cst.IfExp) -> ir.Expr:
        test = self.expr(node.test)
        return ir.Conditional(self.ref(node), test, self.expr(node.body), self.expr(node.orelse))

    def e_boolop(self, node: cst.BooleanOperation) -> ir.Expr:
        op = "and" if isinstance(node.operator, cst.And) else "or"
        return ir.BoolOp(self.ref(node), op, self.expr(node.left), self.expr(node.right))

    def e_binary(self, node: cst.BinaryOperation) -> ir.Expr:
        op = _OPERATORS.get(type(node.operator), "?")
        return ir.Binary(self.ref(node), op, self.expr(node.left), self.expr(node.right))

    def e_compare(self, node: cst.Comparison) -> ir.Expr:
        left = self.expr(node.left)
        rest = tuple(
            (_OPERATORS.get(type(c.operator), "?"), self.expr(c.comparator)) for c in node.comparisons
        )
        return ir.Compare(self.ref(node), left, rest)

    def e_unary(self, node: cst.UnaryOperation) -> ir.Expr:
        op = _OPERATORS.get(type(node.operator), "?")
        return ir.Unary(self.ref(node), op, self.expr(node.expression))

    def e_walrus(self, node: cst.NamedExpr) -> ir.Expr:
        value = self.expr(node.value)
        # PEP 572: inside a comprehension the name belongs to the function around it.
        if isinstance(node.target, cst.Name):
            self.scope.bound.add(node.target.value)
            return ir.Walrus(self.ref(node), ir.Name(self.ref(node.target), node.target.value), value)
        return value

    def e_await(self, node: cst.Await) -> ir.Expr:
        return ir.Await(self.ref(node), self.expr(node.expression))

    def e_yield(self, node: cst.Yield) -> ir.Expr:
        self.scope.generator = True
        if isinstance(node.value, cst.From):
            return ir.Yield(self.ref(node), self.expr(node.value.item), True)
        return ir.Yield(self.ref(node), self.maybe(node.value), False)

    def e_ellipsis(self, node: cst.Ellipsis) -> ir.Expr:
        return ir.Const(self.ref(node), ...)


def _has_comma(element: cst.SubscriptElement) -> bool:
    return isinstance(element.comma, cst.Comma)


def _dotted(node: cst.BaseExpression) -> str:
    parts: list[str] = []
    while isinstance(node, cst.Attribute):
        parts.append(node.attr.value)
        node = node.value
    if isinstance(node, cst.Name):
        parts.append(node.value)
    return ".".join(reversed(parts))


def _string_value(node: cst.SimpleString) -> object:
    raw = node.value
    if raw[:1] in "'\"" and "\\" not in raw:
        quote = 3 if raw[:3] in ("'''", '"""') else 1
        return raw[quote:-quote]
    try:
        return ast.literal_eval(raw)
    except (ValueError, SyntaxError):
        return raw


_CONSTANTS: dict[str, object] = {"True": True, "False": False, "None": None}

_OPERATORS: dict[type[cst.CSTNode], str] = {
    cst.Add: "+", cst.Subtract: "-", cst.Multiply: "*", cst.Divide: "/", cst.FloorDivide: "//",
    cst.Modulo: "%", cst.Power: "**", cst.MatrixMultiply: "@", cst.LeftShift: "<<",
    cst.RightShift: ">>", cst.BitAnd: "&", cst.BitOr: "|", cst.BitXor: "^",
    cst.AddAssign: "+=", cst.SubtractAssign: "-=", cst.MultiplyAssign: "*=", cst.DivideAssign: "/=",
    cst.FloorDivideAssign: "//=", cst.ModuloAssign: "%=", cst.PowerAssign: "**=",
    cst.MatrixMultiplyAssign: "@=", cst.LeftShiftAssign: "<<=", cst.RightShiftAssign: ">>=",
    cst.BitAndAssign: "&=", cst.BitOrAssign: "|=", cst.BitXorAssign: "^=",
    cst.Equal: "==", cst.NotEqual: "!=", cst.LessThan: "<", cst.LessThanEqual: "<=",
    cst.GreaterThan: ">", cst.GreaterThanEqual: ">=", cst.In: "in", cst.NotIn: "not in",
    cst.Is: "is", cst.IsNot: "is not", cst.Not: "not", cst.Minus: "-", cst.Plus: "+", cst.BitInvert: "~",
}  # fmt: skip

_EXPRESSIONS: dict[type[cst.CSTNode], Callable[[_Lowering, Any], ir.Expr]] = {
    cst.Name: _Lowering.e_name,
    cst.Integer: _Lowering.e_number,
    cst.Float: _Lowering.e_number,
    cst.Imaginary: _Lowering.e_number,
    cst.SimpleString: _Lowering.e_string,
    cst.ConcatenatedString: _Lowering.e_string,
    cst.FormattedString: _Lowering.e_formatted,
    cst.Attribute: _Lowering.e_attribute,
    cst.Subscript: _Lowering.e_subscript,
    cst.Call: _Lowering.e_call,
    cst.Tuple: _Lowering.e_sequence,
    cst.List: _Lowering.e_sequence,
    cst.Set: _Lowering.e_sequence,
    cst.Dict: _Lowering.e_dict,
    cst.Lambda: _Lowering.e_lambda,
    cst.ListComp: _Lowering.e_listcomp,
    cst.SetComp: _Lowering.e_setcomp,
    cst.GeneratorExp: _Lowering.e_genexp,
    cst.DictComp: _Lowering.e_dictcomp,
    cst.IfExp: _Lowering.e_ifexp,
    cst.BooleanOperation: _Lowering.e_boolop,
    cst.BinaryOperation: _Lowering.e_binary,
    cst.Comparison: _Lowering.e_compare,
    cst.UnaryOperation: _Lowering.e_unary,
    cst.NamedExpr: _Lowering.e_walrus,
    cst.Await: _Lowering.e_await,
    cst.Yield: _Lowering.e_yield,
    cst.Ellipsis: _Lowering.e_ellipsis,
}
if hasattr(cst, "TemplatedString"):  # Python 3.14 t-strings, known to newer libcst only
    _EXPRESSIONS[cst.TemplatedString] = _Lowering.e_formatted

_STATEMENTS: dict[type[cst.CSTNode], Callable[[_Lowering, Any], ir.Stmt | None]] = {
    cst.Assign: _Lowering.s_assign,
    cst.AnnAssign: _Lowering.s_annassign,
    cst.AugAssign: _Lowering.s_augassign,
    cst.Expr: _Lowering.s_expr,
    cst.Return: _Lowering.s_return,
    cst.Raise: _Lowering.s_raise,
    cst.Break: _Lowering.s_break,
    cst.Continue: _Lowering.s_continue,
    cst.Del: _Lowering.s_del,
    cst.Global: _Lowering.s_global,
    cst.Nonlocal: _Lowering.s_global,
    cst.Import: _Lowering.s_import,
    cst.ImportFrom: _Lowering.s_importfrom,
    cst.Assert: _Lowering.s_assert,
    cst.If: _Lowering.s_if,
    cst.For: _Lowering.s_for,
    cst.While: _Lowering.s_while,
    cst.Try: _Lowering.s_try,
    cst.TryStar: _Lowering.s_try,
    cst.With: _Lowering.s_with,
    cst.Match: _Lowering.s_match,
    cst.FunctionDef: _Lowering.s_function,
    cst.ClassDef: _Lowering.s_class,
}
