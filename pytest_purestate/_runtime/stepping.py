"""The state in what a step returns: first, second, alone, or edited in place as nnx does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax

from pytest_purestate._runtime import _compat

__all__ = ["Stepped", "holds_nnx", "take_state"]


@dataclass(frozen=True, slots=True, eq=False)
class Stepped:
    """What one call of a step gave.

    Attributes:
        state: the new state.
        aux: what else it returned, by the text that leads there from the output, such as ``[1]``.
    """

    state: Any
    aux: dict[str, Any]


def take_state(output: Any, given: Any, name: str) -> Stepped:
    """Tell the state in the output of ``step(given, batch)``: what is most like the state that was given.

    Args:
        output: ``state``, ``(state, aux, ...)`` or ``(aux, state)``; anything where ``given`` is edited in place.
        given: the state that the step was given: its type, structure and shapes are looked at.
        name: of the step.

    Raises:
        TypeError: there is no state in it.
    """
    if output is given or (_likeness(output, given) and not _holds_several(output, given)):
        return Stepped(output, {})
    if isinstance(output, tuple | list):
        places = [(_likeness(item, given), -i) for i, item in enumerate(output)]
        best, place = max(places, default=(0, 0))
        if best:
            aux = {f"[{i}]": item for i, item in enumerate(output) if i != -place}
            return Stepped(output[-place], aux)
    if holds_nnx(given):
        return Stepped(given, {"": output})
    kind = type(output).__name__
    raise TypeError(
        f"`{name}` returns no state: it was given a {type(given).__name__} and returned a {kind}; a step returns "
        "`state`, `(state, aux)` or `(aux, state)`"
    )


def holds_nnx(state: Any) -> bool:
    """Whether there is an nnx object in a state, which a step edits in place."""
    leaves = jax.tree.leaves(state, is_leaf=_compat.is_nnx_object)
    return any(_compat.is_nnx_object(leaf) for leaf in leaves)


def _likeness(value: Any, given: Any) -> int:
    """How much a value looks like the state: 0 not at all, 3 in type, structure and shapes."""
    if not (isinstance(value, type(given)) or _are_arrays(value, given)):
        return 0
    try:
        same = bool(jax.tree.structure(value) == jax.tree.structure(given))  # type: ignore[operator]
    except (TypeError, ValueError):
        same = False
    if not same:
        # Any two tuples are of one type, and so are many dicts.
        plain = type(given) in (tuple, list, dict)
        shared = plain and isinstance(given, dict) and bool(set(given) & set(value))
        return 1 if not plain or shared else 0
    leaves = zip(jax.tree.leaves(value), jax.tree.leaves(given), strict=True)
    return 3 if all(_shape(one) == _shape(other) for one, other in leaves) else 2


def _holds_several(output: Any, given: Any) -> bool:
    """Whether a tuple that looks like the state holds one that looks more like it."""
    own = _likeness(output, given)
    return isinstance(output, tuple | list) and any(_likeness(item, given) > own for item in output)


def _are_arrays(value: Any, given: Any) -> bool:
    return bool(jax.tree_util.all_leaves([value]) and jax.tree_util.all_leaves([given])) and (
        hasattr(value, "dtype") or hasattr(given, "dtype")
    )


def _shape(leaf: Any) -> tuple[int, ...]:
    return tuple(getattr(leaf, "shape", ()))
