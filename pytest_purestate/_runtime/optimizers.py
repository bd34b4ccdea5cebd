"""Optimizers by name, for tests that run with several of them."""

from __future__ import annotations

import ast
import difflib
import functools
import inspect
from typing import Any

import optax

__all__ = ["LEARNING_RATE", "optimizer"]

LEARNING_RATE = 1e-3
"""Of an optimizer that is named without one."""
_DEFAULT = "sgd(0.1)"


def optimizer(tx: Any) -> Any:
    """An optax transformation, of one or of the text for it.

    The same text gives the same object, so that states of two tests share one compiled step.

    >>> optimizer("adamw(3e-4, weight_decay=0.1)") is optimizer("adamw(3e-4, weight_decay=0.1)")
    True

    Args:
        tx: a transformation; the name of a function of optax that makes one; such a name with arguments that are
            literals; None for ``sgd(0.1)``.

    Raises:
        TypeError: it is nothing of that kind.
        ValueError: optax has no such function, or it does not take these arguments.
    """
    if tx is None:
        return _named(_DEFAULT)
    if isinstance(tx, str):
        return _named(tx)
    if not _is_transformation(tx):
        name = getattr(tx, "__name__", None)
        hint = f"; call it, `{name}(...)`" if name is not None else ""
        raise TypeError(f"tx must be an optax transformation, not {tx!r}{hint}")
    return tx


def _is_transformation(value: object) -> bool:
    return not isinstance(value, type) and hasattr(value, "init") and hasattr(value, "update")


@functools.lru_cache(maxsize=256)
def _named(text: str) -> Any:
    name, args, options = _parsed(text)
    make = None if name.startswith("_") else vars(optax).get(name)
    if not inspect.isfunction(make):
        near = difflib.get_close_matches(name.lower(), _names(), 1)
        raise ValueError(
            f"tx: optax has no optimizer `{name}`"
            + (f"\n  help: did you mean {near[0]!r}?" if near else "\n  help: pass the transformation itself")
        )
    signature = inspect.signature(make)
    try:
        bound = signature.bind_partial(*args, **options)
        if "learning_rate" in signature.parameters and "learning_rate" not in bound.arguments:
            options = {**options, "learning_rate": LEARNING_RATE}
        signature.bind(*args, **options)
    except TypeError as error:
        raise ValueError(
            f"tx: `optax.{name}` does not take these arguments: {error}\n"
            f'  help: write them as literals, "{name}(...)", or pass the transformation itself'
        ) from None
    made = make(*args, **options)
    if not _is_transformation(made):
        raise ValueError(f"tx: `optax.{name}` makes no optimizer, but {made!r}")
    return made


def _parsed(text: str) -> tuple[str, list[Any], dict[str, Any]]:
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        if isinstance(tree, ast.Name):
            return tree.id, [], {}
        if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name):
            options = {str(word.arg): ast.literal_eval(word.value) for word in tree.keywords if word.arg}
            if len(options) == len(tree.keywords):
                return tree.func.id, [ast.literal_eval(arg) for arg in tree.args], options
    except (SyntaxError, ValueError):
        pass
    raise ValueError(
        f"tx: {text!r} is not the name of an optimizer, such as 'adam' or 'adam(1e-3, b1=0.8)' with literals"
    )


def _names() -> list[str]:
    """The optimizers of optax: functions that take a learning rate."""
    return [
        name
        for name, value in vars(optax).items()
        if inspect.isfunction(value)
        and not name.startswith("_")
        and "learning_rate" in inspect.signature(value).parameters
    ]
