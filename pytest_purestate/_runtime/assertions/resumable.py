"""Asserts that training which is saved, stopped and resumed goes on as if nothing had happened."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TypeVar

from pytest_purestate._runtime.copies import copy_value
from pytest_purestate._runtime.failures import Problem, PurityError
from pytest_purestate._runtime.graph import Node, take_picture
from pytest_purestate._runtime.hidden import GENERATORS, HiddenState, name_of
from pytest_purestate._runtime.inputs import check_function, take_inputs
from pytest_purestate._runtime.losses import losses, parts
from pytest_purestate._runtime.memory import Memory
from pytest_purestate._runtime.runs import ENDS, Run, Steps, differences, is_below
from pytest_purestate._runtime.saving import Store, Via, blank, store_of
from pytest_purestate._runtime.settings import settings_in_force

__all__ = ["assert_resumable"]

S = TypeVar("S")

_HELP = {
    "lost": (
        "save the whole state, and restore into one that was made in the same way: optimizer state, step, keys and "
        "statistics are part of it as much as the params"
    ),
    "hidden": (
        "no checkpoint has what a function remembers: make it a part of the state, `step(state, batch) -> (state, aux)`"
    ),
    "random": "random numbers of the host are in no checkpoint: keep a key in the state and draw with `jax.random`",
    "form": (
        "dtypes of results follow from weak types and Python numbers: make every leaf of the first state a strong array, "
        "`jnp.zeros((), jnp.int32)` for a step, as it is once it was restored"
    ),
    "chance": (
        "nothing was lost and no hidden state was found: see with assert_deterministic whether the step repeats itself at all"
    ),
}


def assert_resumable(
    step: Callable[[S, Any], Any],
    state: S,
    batches: Sequence[Any],
    via: Via = "flax",
    *,
    at: int | None = None,
    transient: Sequence[str] = (),
) -> S:
    """Assert that a run which is saved and resumed gives what it would have given in one go, bit for bit.

    >>> import jax, jax.numpy as jnp
    >>> step = jax.jit(lambda state, x: {"sum": state["sum"] + x, "count": state["count"] + 1})
    >>> state = {"sum": jnp.zeros(2), "count": jnp.zeros((), int)}
    >>> int(assert_resumable(step, state, [jnp.ones(2)] * 4)["count"])
    4

    The steps run once over all batches. Half way the state is saved; then it is restored into a state of the same
    structure with nothing of the values in it, as a program has it that starts anew, and the rest of the batches follows.
    Two things must hold: what was restored is what was saved, and every result after that is the same. An array of numpy
    in place of one of JAX, an array in place of a Python number and a weak type that became strong are no loss as long as
    the results are the same.

    What the step remembers besides the state, in a closure, an attribute, a global, is taken back to what it was at the
    beginning before the second half, because a new process has none of it; afterwards it is as the first run left it.

    Every call gets copies, so a step may donate its state and edit it, as those of nnx do; the caller's stay as they are.
    Where the state is in the output, its type, structure and shapes tell: ``state``, ``(state, aux)`` or ``(aux, state)``.

    Cost: all steps once and those after the cut once more, one save, two restores; on a failure those after the cut
    again.

    Args:
        step: a train step, ``step(state, batch)``, jitted or not. Bind anything else with `functools.partial`.
        state: to begin with.
        batches: a list of batches, two or more.
        via: how to save. ``"flax"``: ``flax.serialization.to_bytes`` and ``from_bytes``. ``"orbax"``:
            ``orbax.checkpoint.StandardCheckpointer``. ``"npz"``: the leaves by their paths, ``numpy.savez`` without
            pickle. They see an nnx object as nested dicts of its variables, and leave functions among the leaves alone.
            Or two functions of yours, ``(save, restore)``: ``save(state, path)``, where the path of a file or a folder
            is free to be made, and ``restore(path)`` or ``restore(path, template)``. A ``save(state)`` with one
            argument gives what ``restore`` gets in place of the path: ``(pickle.dumps, pickle.loads)``.
        at: after how many batches to save; by default half of them.
        transient: parts of the state that need not survive, written as in the report: ``"state.metrics"``.

    Returns:
        The state after all batches, run in one go.

    Raises:
        PurityError: the run cannot be resumed. The text names what was not saved (``state.opt_state[0].trace['w']``)
            or came back changed, which results differ in the end, and the hidden state, if that is the reason.
        TypeError: ``step`` is not callable or returns no state, ``batches`` is no sequence, ``via`` is none of these, an
            argument is a tracer or an iterator, or the call is made inside a transformation.
        ValueError: fewer than two batches, ``at`` out of range, no store of that name, or an array was deleted.
    """
    __tracebackhide__ = True
    check_function("assert_resumable", step)
    cut = _check_batches(batches, at)
    store = store_of(via)
    skip = _check_transient(transient)
    inputs = take_inputs("assert_resumable", step, (state, batches))
    names = [
        default if name.startswith("args[") else name
        for name, default in zip(inputs.names, ("state", "batches"), strict=True)
    ]
    run = Run(step, name_of(step), *names, *inputs.args)
    hidden = HiddenState(step)
    memory = Memory(hidden)

    middle = run.go(copy_value(run.state), 0, cut)
    saved, kept = take_picture(middle.state), copy_value(middle.state, run.called)
    templates = (blank(run.state, 0), blank(run.state, 1))
    starts = (take_picture(templates[0]), take_picture(run.state))
    with tempfile.TemporaryDirectory(prefix="purestate-") as folder:
        stored = store.save(copy_value(kept, run.called), Path(folder), run.called)
        end = run.go(middle.state, cut, len(batches))
        final = take_picture(end.state)
        first, second = (_restore(store, stored, template, run.called) for template in templates)
    restored = take_picture(first)
    lost, notes = losses(saved, restored, take_picture(second), starts, run.called)
    lost = [problem for problem in lost if not is_below(problem.path, skip)]
    with memory.as_at_first() if hidden.changes() else nullcontext():
        resumed = run.go(first, cut, len(batches))
    differ = differences(run, cut, final, end, take_picture(resumed.state), resumed, skip)
    if lost or differ:
        raise _failure(
            run, store, lost, differ, notes, _remembered(run, kept, cut, final, end, memory, hidden, skip)
        )
    output: S = end.state
    return output


def _check_batches(batches: object, at: object) -> int:
    __tracebackhide__ = True
    if isinstance(batches, str | bytes) or not isinstance(batches, Sequence):
        raise TypeError(f"batches must be a list of batches, not {type(batches).__name__}; `list(batches)`")
    if len(batches) < 2:
        raise ValueError(f"batches must be 2 or more, to save in between: {len(batches)}")
    if at is None:
        return len(batches) // 2
    if isinstance(at, bool) or not isinstance(at, int):
        raise TypeError(f"at must be an integer, not {at!r}")
    if not 0 < at < len(batches):
        raise ValueError(
            f"at must be from 1 to {len(batches) - 1}, so that there are steps before and after: {at}"
        )
    return at


def _check_transient(transient: object) -> tuple[str, ...]:
    __tracebackhide__ = True
    if isinstance(transient, str) or not isinstance(transient, Sequence):
        raise TypeError(f"transient must be a tuple of paths, such as ('state.metrics',), not {transient!r}")
    if wrong := [path for path in transient if not isinstance(path, str) or not path]:
        raise TypeError(
            f"transient must be a tuple of paths, such as ('state.metrics',), and has {wrong[0]!r}"
        )
    return tuple(transient)


def _restore(store: Store, stored: Any, template: Any, name: str) -> Any:
    __tracebackhide__ = True
    # What was saved in memory must survive a step that donates what was restored.
    return copy_value(store.restore(stored, template, name), name)


def _remembered(
    run: Run,
    kept: Any,
    cut: int,
    final: Node,
    end: Steps,
    memory: Memory,
    hidden: HiddenState,
    skip: tuple[str, ...],
) -> tuple[Problem, ...] | None:
    """Hidden state, if the results differ too when nothing at all was lost; None if they are the same then."""
    changes = hidden.changes()
    with memory.as_at_first() if changes else nullcontext():
        exact = run.go(kept, cut, len(run.batches))
    differ = differences(run, cut, final, end, take_picture(exact.state), exact, skip)
    return changes if differ else None


def _failure(
    run: Run,
    store: Store,
    lost: list[Problem],
    differ: list[Problem],
    notes: list[str],
    hidden: tuple[Problem, ...] | None,
) -> PurityError:
    reasons, helps = [], []
    for kind, text in (("not-saved", "not saved"), ("", "changed on the way")):
        places = parts([one for one in lost if (one.kind == "not-saved") == bool(kind)], run.called)
        if places:
            reasons.append(
                " and ".join(f"`{place}`" for place in places)
                + (" was " if len(places) == 1 else " were ")
                + text
            )
    if lost:
        helps.append(_HELP["lost"])
    if hidden:
        reasons.append(f"it remembers what is not in `{run.called}`")
        helps.append(_HELP["random" if all(one.path in GENERATORS for one in hidden) else "hidden"])
    if not reasons:
        reasons.append(f"`{run.called}` came back as it was, and the results differ")
        helps.append(_HELP["chance" if hidden is not None or not notes else "form"])
    lines = [f"settings: {settings_in_force()}"]
    if notes and not lost and not hidden:
        more = f" and {len(notes) - 3} more" if len(notes) > 3 else ""
        lines.insert(0, f"came back in another form: {'; '.join(notes[:3])}{more}")
    return PurityError(
        f"`{run.name}` cannot be resumed through {store.label}: {', and '.join(reasons)}",
        (*lost, *differ, *(hidden or ())),
        ENDS,
        tuple(lines),
        "; ".join(helps),
    )
