"""Which leaves of a state must not move, said by the caller as paths or as a function of paths."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from pytest_purestate._runtime.steps.view import View

__all__ = ["Frozen", "FrozenSpec", "frozen_paths"]

Frozen = frozenset[str]
FrozenSpec = str | Callable[[str], bool] | Sequence[str | Callable[[str], bool]]


def frozen_paths(spec: object, view: View) -> Frozen:
    """The paths of the leaves that are meant.

    Args:
        spec: ``"params['encoder']"``: that and everything below it, with or without the name of the state in front, also
            where the state is a dict; a ``*`` stands for any text. Or a function of the whole path. Or several of these.
        view: the state.

    Raises:
        TypeError: it is none of these.
        ValueError: it means no leaf at all.
    """
    __tracebackhide__ = True
    every = tuple(view.leaves)
    several = spec if isinstance(spec, Sequence) and not isinstance(spec, str) else (spec,)
    found: set[str] = set()
    for one in several:
        if isinstance(one, str) and one:
            chosen = {path for path in every if any(_matches(one, form) for form in _forms(path, view))}
        elif callable(one):
            chosen = {path for path in every if one(path)}
        else:
            raise TypeError(
                f"frozen takes paths, such as \"params['encoder']\", or a function of them, not {one!r}"
            )
        if not chosen:
            known = ", ".join(every[:3]) + (", ..." if len(every) > 3 else "")
            raise ValueError(f"frozen: no leaf of the state is meant by {one!r}; there are {known}")
        found |= chosen
    return frozenset(found)


def _matches(pattern: str, path: str) -> bool:
    text = ".*".join(map(re.escape, pattern.split("*")))
    return re.match(rf"{text}(?=$|[.\[])", path) is not None


def _forms(path: str, view: View) -> tuple[str, ...]:
    """How one may write a path: whole, without its root, and ``params['w']`` for the ``['params']['w']`` of a dict."""
    root = next(name for name in view.frames if path.startswith(name))
    inner = path[len(root) :].removeprefix(".")
    return path, inner, re.sub(r"^\['(\w+)'\]", r"\1", inner)
