"""Why a function was traced or compiled again: what its calls have not in common, as problems of a report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_purestate._runtime.counts import Compiled, Function, Trace
from pytest_purestate._runtime.failures import Problem
from pytest_purestate._runtime.frames import shown_place
from pytest_purestate._runtime.signature_differences import Difference, differences
from pytest_purestate._runtime.signatures import Signature

__all__ = ["Change", "changes_of", "help_for", "problems_of", "verdict"]


@dataclass(frozen=True, slots=True)
class Change:
    """Something that made JAX trace or compile a function again.

    >>> print(Change("step", "state.step", "weak-type", "the weak type changed", "int32 weak", "int32 strong"))
    state.step: the weak type changed: int32 weak -> int32 strong

    Attributes:
        function: the name of the function.
        path: the place in its arguments, a setting, or the function itself.
        kind: see `Problem.kind`.
        what: what is said of the place.
        before: how it was for the earlier trace that is nearest.
        after: how it is.
        number: which trace (or compilation) of the function this made, from 1.
        place: the line of the user's code that it was made for.
        traced: whether the function was traced again, and not only compiled.
    """

    function: str
    path: str
    kind: str
    what: str
    before: str = ""
    after: str = ""
    number: int = 0
    place: str = ""
    traced: bool = True

    def __str__(self) -> str:
        values = " -> ".join(text for text in (self.before, self.after) if text)
        return f"{self.path}: {self.what}" + (f": {values}" if values else "")

    @property
    def problem(self) -> Problem:
        """The same, for a report."""
        name = "trace" if self.traced else "compilation"
        where = f", {shown_place(self.place)}" if self.place else ""
        text = f"{self.what} ({name} {self.number} of `{self.function}`{where})"
        return Problem(self.kind, self.path, text, self.before, self.after)


def changes_of(function: Function) -> tuple[Change, ...]:
    """What each trace of a function but the first was made for, and each compilation that no trace explains."""
    found = []
    for i, trace in enumerate(function.traces):
        if i:
            found += _of_trace(function, function.traces[:i], trace, i + 1)
    for i, compiled in enumerate(function.compiled):
        found += _of_compilation(function, function.compiled[:i], compiled, i + 1)
    return tuple(found)


def _of_trace(function: Function, earlier: Sequence[Trace], trace: Trace, number: int) -> list[Change]:
    found = _nearest((each.signature for each in earlier), trace.signature)
    if found is None:
        return []
    # Where arrays are is no reason to trace again, unless there is no other.
    found = tuple(each for each in found if not each.is_placement) or found
    changes = []
    if trace.renewed:
        where = f" at {shown_place(function.defined)}" if function.defined else ""
        text = f"is another function object, made anew and jitted again{where}"
        changes.append(Change(function.name, function.name, "function", text, "", "", number, trace.place))
    elif not found:
        text = (
            "was traced again for the same arguments: caches were cleared (`jax.clear_caches`), are off "
            "(`jax.checking_leaks`) or belong to another thread"
        )
        changes.append(Change(function.name, function.name, "retrace", text, "", "", number, trace.place))
    return changes + [_change(function, each, number, trace.place, traced=True) for each in found]


def _of_compilation(
    function: Function, earlier: Sequence[Compiled], compiled: Compiled, number: int
) -> list[Change]:
    """Empty where the arguments are others than in any earlier call: that is told of the trace."""
    found = _nearest((each.signature for each in earlier), compiled.signature)
    if not found or not all(each.is_placement for each in found):
        return []
    now = compiled.signature
    traced = (each.signature for each in function.traces[1:])
    if now is not None and any(each is not None and not differences(each, now) for each in traced):
        return []  # some versions trace again for another mesh, and that is told
    return [_change(function, each, number, compiled.place, traced=False) for each in found]


def _change(function: Function, difference: Difference, number: int, place: str, *, traced: bool) -> Change:
    return Change(
        function.name,
        difference.path,
        difference.kind,
        difference.what,
        difference.before,
        difference.after,
        number,
        place,
        traced,
    )


def _nearest(earlier: Iterable[Signature | None], now: Signature | None) -> tuple[Difference, ...] | None:
    """The differences from the call that is most alike, the later of two; None where there is nothing to compare."""
    if now is None:
        return None
    found = [differences(each, now) for each in earlier if each is not None]
    # A difference that makes JAX trace counts more than any number of those that do not.
    return min(
        reversed(found), key=lambda each: (sum(not one.is_placement for one in each), len(each)), default=None
    )


def verdict(function: Function, limit: int, *, nested: bool) -> str:
    """What is wrong with how often a function was traced or compiled; empty where nothing is.

    Args:
        function: the function.
        limit: how many traces are fine, and how many compilations.
        nested: whether traces inside of those of other functions count.
    """
    traces = sum(nested or not trace.nested for trace in function.traces)
    allowed = f"and {limit or 'none'} {'are' if limit > 1 else 'is'} allowed"
    if traces > limit:
        return f"was traced {_times(traces)}, {allowed}"
    if len(function.compiled) > limit:
        traced = f"for {traces} {'trace' if traces == 1 else 'traces'}" if traces else "without a new trace"
        return f"was compiled {_times(len(function.compiled))} {traced}, {allowed}"
    return ""


def problems_of(function: Function, text: str) -> tuple[Problem, ...]:
    """A function that was traced or compiled too often: that, and what for."""
    changes = changes_of(function)
    every: list[Trace | Compiled] = [*function.traces, *function.compiled]
    places = [each.place for each in every if each.place]
    where = f", the last time for {shown_place(places[-1])}" if places else ""
    kind = "retrace" if text.startswith("was traced") else "recompile"
    made_for = "" if changes else _made_for(function)
    return (
        Problem(kind, function.name, text + where, "", made_for),
        *(change.problem for change in changes),
    )


def _made_for(function: Function) -> str:
    """What the only trace was for: nothing is known of those before the block."""
    every: list[Trace | Compiled] = [*function.traces, *function.compiled]
    known = [each.signature for each in every if each.signature is not None]
    return str(known[-1]) if known else ""


_HELP = {
    "function": "call `jax.jit` once, where the function is defined, and keep what it returns",
    "weak-type": "give numbers a dtype from the start: `jnp.asarray(0, jnp.int32)` instead of `0`",
    "dtype": "convert to one dtype before the call",
    "shape": "bring the arguments to one shape: pad, or drop the last batch if it is smaller",
    "static": "pass as an argument that is an array what changes often; a static value is compiled in",
    "structure": "pass the same containers with the same keys, in the same way",
    "config": "put the setting in force before the first call and leave it",
    "sharding": "place the arguments once, before the first call: `jax.device_put(state, sharding)`",
    "device": "place the arguments once, before the first call: `jax.device_put(state, device)`",
}


def help_for(problems: Iterable[Problem]) -> str:
    """What to do about some problems, for each kind once."""
    kinds = {problem.kind for problem in problems}
    texts = [text for kind, text in _HELP.items() if kind in kinds]
    return "; ".join(texts) or "call the function once before the block, to compile it there"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
