"""What a function did that is not pure, as one failure: what to call each kind of problem, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_purestate._runtime import _compat
from pytest_purestate._runtime.failures import Problem, PurityError
from pytest_purestate._runtime.graph import iter_nodes, take_picture
from pytest_purestate._runtime.hidden import name_of
from pytest_purestate._runtime.inputs import Inputs

__all__ = ["EAGER_AND_JITTED", "TWO_CALLS", "impurity"]

EAGER_AND_JITTED = ("eager", "jitted")
TWO_CALLS = ("call 1", "call 2")


@dataclass(frozen=True, slots=True)
class _Kind:
    does: str
    help: str


_KINDS = {
    "argument": _Kind(
        "changes its arguments",
        "build a new value instead of editing the argument: `state.replace(...)`, `{**params, name: value}`, "
        "`x.at[i].set(v)`, a copy of a numpy array",
    ),
    "hidden-state": _Kind(
        "remembers something",
        "make what the function remembers an argument and a result, `action(state, input) -> (output, state)`, "
        "and let the caller keep the state",
    ),
    "host-rng": _Kind(
        "draws random numbers of the host",
        "take a key as an argument and draw with `jax.random`; a compiled function repeats the number that it "
        "was traced with",
    ),
    "output": _Kind(
        "prints",
        "return what is to be seen; a compiled function prints while it is traced, and not again",
    ),
    "leak": _Kind(
        "leaks a tracer",
        "return the value from the function instead of storing it in something that outlives the call",
    ),
    "side-effect": _Kind(
        "has compiled side effects",
        "return what the callback is given, and let the caller print or store it",
    ),
    "trace": _Kind(
        "is traced in two ways",
        "what Python computes while it traces is a constant of the compiled function: pass the clock, a random "
        "number, a counter as an argument",
    ),
    "jitted": _Kind(
        "gives another result when it is jitted",
        "Python runs only while it is traced, so its side effects and its reads of globals happen then; where "
        "the difference is that of another order of additions, give what is acceptable as `rtol` and `atol`",
    ),
    "again": _Kind(
        "gives another result when it is called again",
        "look for what the function reads besides its arguments: random numbers of the host, the clock, a global",
    ),
}
"""In the order in which they are told; the last two are about what is returned."""

_NNX_HELP = (
    "an nnx module keeps its state inside; work on a copy, `model = nnx.clone(model)`, or carry the state outside: "
    "`graphdef, state = nnx.split(model)`, then `model = nnx.merge(graphdef, state, copy=True)` in the function "
    "(older versions of Flax always copy), which returns `nnx.state(model)`"
)


def impurity(
    fn: Callable[..., Any], inputs: Inputs, problems: Sequence[Problem], notes: tuple[str, ...]
) -> PurityError:
    """The failure that tells of all problems, each place once."""
    # A counter moves in the call and in both traces: the first time is enough.
    unique: dict[tuple[object, ...], Problem] = {}
    for problem in problems:
        name: tuple[object, ...] = (problem.kind, problem.path)
        if problem.kind in ("trace", "side-effect"):  # one line can hold several
            name = (problem,)
        unique.setdefault((*name, problem.labels), problem)
    told = list(unique.values())
    kinds = {_kind(problem) for problem in told}
    found = {name: kind for name, kind in _KINDS.items() if name in kinds}
    does = [kind.does for kind in found.values()]
    helps = {name: kind.help for name, kind in found.items()}
    if len(helps) > 1:  # that the results differ follows from the rest
        helps = {name: help for name, help in helps.items() if name not in ("jitted", "again")}
    if "argument" in helps and _is_of_nnx(inputs, told):
        helps["argument"] = _NNX_HELP
    start = ", ".join(does[:-1]) + " and " if len(does) > 1 else ""
    return PurityError(
        f"`{name_of(fn)}` is not pure: it {start}{does[-1]}",
        told,
        ("before", "after"),
        notes,
        "\n  help: ".join(helps.values()),
    )


def _kind(problem: Problem) -> str:
    if problem.labels == EAGER_AND_JITTED:
        return "jitted"
    return "again" if problem.labels == TWO_CALLS else problem.kind


def _is_of_nnx(inputs: Inputs, problems: Sequence[Problem]) -> bool:
    """Whether it is an nnx module, or a variable of one, that the function changed."""
    changed = [problem.path for problem in problems if problem.kind == "argument"]
    return any(
        (_compat.is_nnx_object(node.value) or _compat.is_nnx_variable(node.value))
        and any(path.startswith(place) for path in changed)
        for name, arg in zip(inputs.names, inputs.args, strict=True)
        for place, node in iter_nodes(take_picture(arg), name)
    )
