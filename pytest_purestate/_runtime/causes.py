"""Why a compiled function on a GPU gives other bits each time: operations without a fixed order, and the settings that help.

The list of such operations, and of settings, is that of XLA's documentation on determinism.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from pytest_purestate._runtime import _compat
from pytest_purestate._runtime.guard.terms import inner_jaxprs
from pytest_purestate._runtime.jaxprs import WHERE

__all__ = ["Cause", "causes", "help_on_gpu"]

_ATOMIC = "adds in the order in which threads come"
_TUNED = "runs an algorithm that is chosen by timing candidates"
_UNORDERED: Mapping[str, str] = {
    "scatter-add": _ATOMIC,
    "scatter_add": _ATOMIC,
    "scatter-mul": "multiplies in the order in which threads come",
    "scatter_mul": "multiplies in the order in which threads come",
    "select_and_scatter_add": _ATOMIC,
    "scatter": "writes twice to one place in the order in which threads come",
    "conv_general_dilated": _TUNED,
    "dot_general": _TUNED,
}
_FLAG = "--xla_gpu_deterministic_ops=true"
_OTHER_FLAGS = ("--xla_gpu_exclude_nondeterministic_ops=true",)


@dataclass(frozen=True, slots=True)
class Cause:
    """An operation whose result depends on more than its operands.

    Attributes:
        primitive: as it stands in the jaxpr.
        why: a verb phrase.
        place: ``file:line`` of the user's code, or an empty string.
    """

    primitive: str
    why: str
    place: str


def causes(fn: Callable[..., Any], args: Sequence[Any]) -> tuple[Cause, ...] | None:
    """The suspects in a function, those that differ most often first; None where it cannot be traced."""
    try:
        closed = jax.make_jaxpr(fn)(*args)
    except Exception:
        return None
    order = list(_UNORDERED)
    found = dict.fromkeys(_found(closed.jaxpr))
    return tuple(sorted(found, key=lambda cause: order.index(cause.primitive)))


def _found(jaxpr: Any) -> Iterator[Cause]:
    for eqn in jaxpr.eqns:
        if (why := _UNORDERED.get(eqn.primitive.name)) is not None and not eqn.params.get("unique_indices"):
            place = WHERE.first(_compat.source_frames(eqn.source_info))
            where = "" if place is None else f"{Path(place.file).name}:{place.line}"
            yield Cause(eqn.primitive.name, why, where)
        for inner in inner_jaxprs(eqn.params):
            yield from _found(inner)


def help_on_gpu(fn: Callable[..., Any], args: Sequence[Any], flags: str | None = None) -> str:
    """What to try where a function differs between two calls on a GPU; empty where nothing is known of it.

    Args:
        fn: the function.
        args: what it was called with.
        flags: ``XLA_FLAGS``; by default those of the environment.
    """
    words = (os.environ.get("XLA_FLAGS", "") if flags is None else flags).split()
    suspects = causes(fn, args)
    if suspects is None:
        return ""
    if not suspects:
        return (
            "no operation in it is known to vary between runs: look for what the function reads besides its "
            "arguments, and for kernels of its own"
        )
    first = suspects[0]
    where = f" at {first.place}" if first.place else ""
    text = f"`{first.primitive}`{where} {first.why}"
    others = list(
        dict.fromkeys(cause.primitive for cause in suspects[1:] if cause.primitive != first.primitive)
    )
    if others:
        text += f" (also here: {', '.join(others)})"
    if _FLAG in words or set(_OTHER_FLAGS) & set(words):
        return (
            f"{text}; the setting that forbids this is in force, so look for kernels that it does not reach"
        )
    advice = f"XLA_FLAGS={_FLAG} makes it repeat, `pytest --purestate-deterministic` sets it"
    if first.why == _TUNED:
        advice += "; XLA_FLAGS=--xla_gpu_autotune_level=0 keeps the algorithm"
    return f"{text}; {advice}"
