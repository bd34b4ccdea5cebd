"""Pieces of source text put together again, as fixes do."""

from __future__ import annotations

import ast
import warnings

__all__ = ["fitted"]


def fitted(template: str, text: str) -> str:
    """An expression for the place of ``{}`` in a template, in parentheses where it would be read otherwise.

    >>> fitted("f({})", "a + b"), fitted("f({})", "a, b"), fitted("x * {}", "a + b")
    ('a + b', '(a, b)', '(a + b)')
    """
    enclosed = f"({text})"
    return text if _tree(template.format(text)) == _tree(template.format(enclosed)) else enclosed


def _tree(code: str) -> str | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the user's code deserves is not said here
        try:
            return ast.dump(ast.parse(f"(\n{code}\n)", mode="eval"))
        except SyntaxError:
            return None
