"""``print`` as ``jax.debug.print``: the same text, with the values put in when the compiled function runs."""

from __future__ import annotations

import ast
import io
import json
import tokenize
from collections.abc import Iterator

__all__ = ["as_debug_print"]


def as_debug_print(call: str, name: str) -> str | None:
    """The call of ``print`` as one of ``name``, which is ``jax.debug.print``; None where that says something else.

    >>> as_debug_print('print("loss", loss)', "jax.debug.print")
    'jax.debug.print("loss {}", loss)'
    >>> as_debug_print('print(f"{step}: {loss:.3f}")', "jax.debug.print")
    'jax.debug.print("{}: {:.3f}", step, loss)'
    >>> as_debug_print('print(loss, file=log)', "jax.debug.print")
    """
    try:
        tree = ast.parse(call, mode="eval").body
    except SyntaxError:
        return None
    if not isinstance(tree, ast.Call) or not tree.args or _has_comment(call):
        return None
    between = " "
    for keyword in tree.keywords:
        given = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
        if keyword.arg != "sep" or not isinstance(given, str):
            return None
        between = given
    pieces: list[str] = []
    values: list[str] = []
    for argument in tree.args:
        found = _piece(argument, call)
        if found is None:
            return None
        pieces.append(found[0])
        values += found[1]
    text = json.dumps(_escaped(between).join(pieces), ensure_ascii=False)
    return f"{name}({', '.join((text, *values))})"


def _piece(node: ast.expr, call: str) -> tuple[str, list[str]] | None:
    """What stands for one argument in the format, and the values that go into it."""
    if isinstance(node, ast.Starred):
        return None
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _escaped(node.value), []
    if isinstance(node, ast.JoinedStr):
        parts = list(_formatted(node, call))
        if any(part is None for part in parts):
            return None
        known = [part for part in parts if part is not None]
        return "".join(text for text, _ in known), [value for _, more in known for value in more]
    if _is_text(node):
        return None  # it is made while tracing
    source = ast.get_source_segment(call, node)
    return ("{}", [_alone(source)]) if source is not None else None


def _formatted(node: ast.JoinedStr, call: str) -> Iterator[tuple[str, list[str]] | None]:
    for part in node.values:
        if isinstance(part, ast.Constant):
            yield _escaped(str(part.value)), []
        elif isinstance(part, ast.FormattedValue):
            spec = ""
            if isinstance(part.format_spec, ast.JoinedStr):
                constants = [each.value for each in part.format_spec.values if isinstance(each, ast.Constant)]
                if len(constants) != len(part.format_spec.values):
                    yield None
                    return
                spec = ":" + "".join(map(str, constants))
            if _is_text(part.value):
                yield None
                return
            conversion = f"!{chr(part.conversion)}" if part.conversion > 0 else ""
            yield f"{{{conversion}{spec}}}", [_alone(ast.unparse(part.value))]


def _is_text(node: ast.expr) -> bool:
    """Whether an expression makes a text of what it shows."""
    if isinstance(node, ast.BinOp):
        return _is_text(node.left) or _is_text(node.right)
    if isinstance(node, ast.Call):
        func = node.func
        return (isinstance(func, ast.Attribute) and _is_text(func.value)) or (
            isinstance(func, ast.Name) and func.id in ("str", "repr", "format")
        )
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _alone(source: str) -> str:
    """An expression as one argument on one line."""
    tree = ast.parse(f"({source}\n)", mode="eval").body
    text = ast.unparse(tree) if "\n" in source else source.strip()
    needs = isinstance(tree, ast.NamedExpr | ast.GeneratorExp | ast.Yield) and not text.startswith("(")
    return f"({text})" if needs else text


def _escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _has_comment(call: str) -> bool:
    tokens = tokenize.generate_tokens(io.StringIO(call).readline)
    try:
        return any(token.type == tokenize.COMMENT for token in tokens)
    except (tokenize.TokenError, IndentationError):
        return True
