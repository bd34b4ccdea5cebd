"""Defects to plant in the steps of `steps_models`, each as it happens in real code."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.core import freeze
from steps_models import Case, Step, make

__all__ = ["DEFECTS", "plant", "planted"]


def _part(name: str, change: Callable[[Any, Any], Any]) -> Callable[[Case], Case]:
    """Puts another value into a part of the new state, computed from the old and the new one, before compilation."""

    def planted(case: Case) -> Case:
        @functools.wraps(case.step)
        def step(*args: Any) -> Any:
            state = args[:2] if case.spread else args[0]
            old = case.get(state, name)
            result = case.step(*args)
            if case.place is None:
                new = state if result is None or isinstance(result, jax.Array) else result
                case_result = case.put(new, name, change(old, case.get(new, name)))
                return result if new is state else case_result
            new = result[case.place]
            new = case.put(new, name, change(old, case.get(new, name)))
            if isinstance(case.place, slice):
                return (*result[: case.place.start], *new, *result[case.place.stop :])
            return tuple(new if i == case.place else one for i, one in enumerate(result))

        return dataclasses.replace(case, step=step)

    return planted


def _around(wrap: Callable[[Step], Step]) -> Callable[[Case], Case]:
    """Puts Python code around the compiled step."""
    return lambda case: dataclasses.replace(case, compiled=lambda step: wrap(case.compiled(step)))


def _old(old: Any, new: Any) -> Any:
    return old


def _first_leaf(change: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def changed(old: Any, new: Any) -> Any:
        olds, news = jax.tree.leaves(old), jax.tree.leaves(new)
        return jax.tree.unflatten(jax.tree.structure(new), [change(olds[0], news[0]), *news[1:]])

    return changed


def _weak(old: Any, new: Any) -> Any:
    """The same number with a weak type, as a Python scalar in a loop gets it."""
    return jax.lax.fori_loop(0, new, lambda i, count: count + 1, 0)


def _unfreezes_embedding(old: Any, new: Any) -> Any:
    return {**new, "embed": jax.tree.map(lambda x: x * 0.999, new["embed"])}


def _in_batch(step: Step) -> Step:
    @functools.wraps(step)
    def normalizing(*args: Any) -> Any:
        batch = next(arg for arg in args if isinstance(arg, dict) and isinstance(arg.get("x"), np.ndarray))
        batch["x"] /= 2
        return step(*args)

    return normalizing


def _in_state(step: Step) -> Step:
    @functools.wraps(step)
    def decaying(state: Any, batch: Any) -> Any:
        params = state["params"] if isinstance(state, dict) else state.params
        params["w"] = params["w"] - 0.01
        return step(state, batch)

    return decaying


def _printing(step: Step) -> Step:
    @functools.wraps(step)
    def printing(*args: Any) -> Any:
        result = step(*args)
        print("one more step")
        return result

    return printing


def _remembering(step: Step) -> Step:
    seen: list[int] = []

    @functools.wraps(step)
    def remembering(*args: Any) -> Any:
        seen.append(len(seen))
        return step(*args)

    return remembering


def _with_noise(noise: Callable[[], float]) -> Callable[[Step], Step]:
    def noisy(step: Step) -> Step:
        @functools.wraps(step)
        def augmenting(*args: Any) -> Any:
            by = noise()
            batch = [
                {**arg, "x": arg["x"] + np.float32(by)} if isinstance(arg, dict) and "x" in arg else arg
                for arg in args
            ]
            return step(*batch)

        return augmenting

    return noisy


def _clock() -> float:
    return time.perf_counter_ns() % 1000003 / 1000003


def _host_random() -> float:
    return float(np.random.normal())


def _hidden_scale(step: Step) -> Step:
    """The scale of the inputs grows from call to call, and no state has it."""
    held = {"scale": 0.0}

    def grow() -> float:
        held["scale"] += 0.125
        return held["scale"]

    return _with_noise(grow)(step)


def _compiles_each_time(case: Case) -> Case:
    def compiled(step: Step) -> Step:
        @functools.wraps(step)
        def wrapper(*args: Any) -> Any:
            @functools.wraps(step)
            def anew(*same: Any) -> Any:
                return step(*same)

            return case.compiled(anew)(*args)

        return wrapper

    return dataclasses.replace(case, compiled=compiled)


def _loses_state(case: Case) -> Case:
    @functools.wraps(case.step)
    def step(*args: Any) -> Any:
        result = case.step(*args)
        return result[1 - case.place] if isinstance(case.place, int) else jnp.zeros(())

    return dataclasses.replace(case, step=step)


DEFECTS: dict[str, Callable[[Case], Case]] = {
    "none": lambda case: case,
    "dropped_opt_state": _part("opt_state", _old),
    "dropped_params": _part("params", _old),
    "dead_leaf": _part("params", _first_leaf(_old)),
    "frozen_leaf_moves": _part("params", _unfreezes_embedding),
    "stale_key": _part("key", _old),
    "no_increment": _part("step", _old),
    "double_increment": _part("step", lambda old, new: jax.tree.map(lambda count: count + 1, new)),
    "weak_step": _part("step", _weak),
    "stale_batch_stats": _part("batch_stats", _old),
    "stale_ema": _part("ema_params", _old),
    "stale_half": _part("half", _old),
    "half_precision_leaf": _part("params", _first_leaf(lambda old, new: new.astype(jnp.float16))),
    "frozen_dict": _part("params", lambda old, new: freeze(new)),
    "static_field": _part("phase", lambda old, new: old + 1),
    "nan_leaf": _part("params", _first_leaf(lambda old, new: new + jnp.nan)),
    "edits_batch": _around(_in_batch),
    "edits_state": _around(_in_state),
    "prints": _around(_printing),
    "remembers": _around(_remembering),
    "host_random": _around(_with_noise(_host_random)),
    "clock": _around(_with_noise(_clock)),
    "hidden_scale": _around(_hidden_scale),
    "compiles_each_time": _compiles_each_time,
    "loses_state": _loses_state,
}


def planted(model: str, defects: str) -> Case:
    """A case with one defect or several, ``dropped_opt_state+stale_key``."""
    case = make(model)
    for name in defects.split("+"):
        case = DEFECTS[name](case)
    return case


def plant(model: str, defects: str) -> Case:
    """The same with its step compiled."""
    case = planted(model, defects)
    return dataclasses.replace(case, step=case.compiled(case.step))
