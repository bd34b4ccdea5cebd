"""Asserts that a train step keeps the contract that every train step has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pytest_purestate._runtime.inputs import check_function, take_inputs
from pytest_purestate._runtime.settings import settings_in_force
from pytest_purestate._runtime.steps.clauses import CLAUSES
from pytest_purestate._runtime.steps.evidence import Evidence, gather
from pytest_purestate._runtime.steps.failure import Broken, TrainStepError
from pytest_purestate._runtime.steps.frozen import FrozenSpec, frozen_paths
from pytest_purestate._runtime.steps.plan import make_plan
from pytest_purestate._runtime.steps.roles import roles_of
from pytest_purestate._runtime.steps.view import take_view

__all__ = ["assert_train_step"]

R = TypeVar("R")

_NAMES = tuple(clause.name for clause in CLAUSES)


def assert_train_step(
    step: Callable[..., R],
    state: Any,
    batch: Any,
    /,
    *args: Any,
    steps: int = 3,
    frozen: FrozenSpec = (),
    skip: Sequence[str] = (),
) -> R:
    """Assert that a train step does all that a train step does, and nothing besides.

    >>> import jax, jax.numpy as jnp, optax
    >>> tx = optax.adam(0.1)
    >>> @jax.jit
    ... def step(params, opt_state, batch):
    ...     loss, grads = jax.value_and_grad(lambda w: ((batch @ w - 1.0) ** 2).mean())(params)
    ...     updates, opt_state = tx.update(grads, opt_state)
    ...     return optax.apply_updates(params, updates), opt_state, loss
    >>> params = jnp.zeros(3)
    >>> params, opt_state, loss = assert_train_step(step, (params, tx.init(params)), jnp.ones((4, 3)))

    The step is called several times in a row, each time with the state that it returned before and the same batch. One failure
    tells of every clause that is broken:

    ``inputs``: state and batch stay as they are. A step that donates gets a copy each time, and what it donates may be
    deleted.
    ``structure``: the new state has the structure, static fields, shapes, dtypes, weak types and sharding of the old one. A
    Python int that becomes a weak array is the same to `jax.jit`.
    ``step``: a counter called ``step`` or ``count`` goes up by one; or by as much as the count of the optimizer, where a call
    scans over several updates.
    ``params``: each leaf moves in some call. One whose gradient is zero all the time does not, and is reported as such.
    ``frozen``: what is frozen does not move.
    ``opt_state``: the optimizer state moves: as a whole, and every moment of a leaf that moves.
    ``collections``: other arrays, such as ``batch_stats`` or averages of params, move in each field.
    ``key``: a key is another one after each step, or is folded with the counter. Keys among the other arguments are the caller's.
    ``compiled``: whatever is compiled is compiled in the first call. A step that is not jitted is fine, as long as nothing of
    the user's that it calls is compiled again.
    ``deterministic``: the first call gives the same bits again, also when it is compiled anew.
    ``resumable``: the state, saved leaf by leaf and restored into the first one, goes on with the same bits. Left out where
    the step is not deterministic.
    ``effects``: nothing is printed, no closure, attribute or global is changed, no generator of the host is used.
    ``finite``: no NaN or infinity appears in a state that had none, from a batch that has none.

    The state may be whatever a step takes first: a ``TrainState``, a dict, a module. A step with several arguments for it,
    ``step(params, opt_state, batch)`` or ``step(model, optimizer, batch)``, gets a tuple of them. The new state is found in the
    result by its structure: alone, first, second, or spread over several results. An nnx object that is not returned is
    changed in place, as `flax.nnx.jit` does, and ``inputs`` is about the other arguments then.

    ``chex.assert_max_traces`` and ``equinox.debug.assert_max_traces`` count traces, ``chex.assert_trees_all_equal_shapes_and_dtypes``
    compares forms; both are parts of this.

    Cost: ``steps`` + 3 calls, one more for a key that stays, two compilations, and two copies of state and batch in host
    memory a call.

    Args:
        step: the step, jitted or not; a method or a partial too.
        state: what it takes first, or a tuple of what it takes first.
        batch: what it takes next.
        *args: what else it takes.
        steps: how many calls: 2 or more; with gradient accumulation, as many as it takes until the params move.
        frozen: leaves that must not move: paths such as ``"params['encoder']"``, which means all below it too, with ``*``
            for any text; or a function that takes a path; or a tuple of these.
        skip: names of clauses that are not checked.

    Returns:
        What the first call returned. The caller's state stays as it is, also an nnx model.

    Raises:
        PurityError: a `TrainStepError`, whose ``.clauses`` are the names of the broken ones.
        TypeError: ``step`` is not callable or cannot be called so, an argument is a tracer or an iterator, the call is made inside
            a transformation, or the output is an iterator.
        ValueError: there is no array in the state, an array was deleted, ``steps`` is too small, ``skip`` has an unknown name, or
            ``frozen`` means no leaf.
    """
    __tracebackhide__ = True
    check_function("assert_train_step", step)
    _check_options(steps, skip)
    inputs = take_inputs("assert_train_step", step, (state, batch, *args))
    plan = make_plan(step, inputs)
    view = take_view(plan.parts)
    evidence = gather(plan, roles_of(view), frozen_paths(frozen, view), steps)
    broken = _broken(evidence, skip)
    if broken:
        raise _failure(evidence, broken)
    result: R = evidence.calls[0].result
    return result


def _check_options(steps: object, skip: object) -> None:
    __tracebackhide__ = True
    if isinstance(steps, bool) or not isinstance(steps, int):
        raise TypeError(f"steps must be an integer, not {steps!r}")
    if steps < 2:
        raise ValueError(f"steps must be 2 or more, so that a step is given what it returned: {steps}")
    if isinstance(skip, str) or not isinstance(skip, Sequence):
        raise TypeError(f"skip must be a tuple of names, such as ('key', 'resumable'), not {skip!r}")
    if unknown := [name for name in skip if name not in _NAMES]:
        raise ValueError(f"skip has no {unknown[0]!r}; it takes {', '.join(map(repr, _NAMES))}")


def _broken(evidence: Evidence, skip: Sequence[str]) -> tuple[Broken, ...]:
    __tracebackhide__ = True
    found: dict[str, Broken] = {}
    for clause in CLAUSES:
        if clause.name in skip or any(name in found for name in clause.unless):
            continue
        if problems := tuple(dict.fromkeys(clause.check(evidence))):
            found[clause.name] = Broken(clause.name, clause.promise, problems, clause.help)
    return tuple(found.values())


def _failure(evidence: Evidence, broken: tuple[Broken, ...]) -> TrainStepError:
    names = ", ".join(one.clause for one in broken)
    count = "a clause" if len(broken) == 1 else f"{len(broken)} clauses"
    notes = [f"settings: {settings_in_force()}"] if "deterministic" in names else []
    if evidence.error is not None:
        number = len(evidence.calls) + 1
        text = f"{type(evidence.error).__name__}: {evidence.error}".partition("\n")[0]
        notes.append(f"call {number}, with the state that call {number - 1} returned, raised {text}")
    return TrainStepError(
        f"`{evidence.plan.name}` breaks {count} of the contract of a train step: {names}",
        broken,
        tuple(notes),
    )
