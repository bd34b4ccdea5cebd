"""Small programs with defects for the assertions that are not about steps."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.core import freeze

import pytest_purestate
from benchmarks.assertions.cases import make, plant
from benchmarks.assertions.peers import NotComparableError

__all__ = ["PROGRAMS", "run"]

TOTAL: list[int] = []
LEAKED: list[Any] = []


def _assertion(name: str) -> Any:
    found = getattr(pytest_purestate, name, None)
    if found is None:
        raise NotComparableError(name)
    return found


def run(assertion: str, defect: str) -> None:
    """Give a program with a defect, or with ``none``, to an assertion."""
    PROGRAMS[assertion](_assertion(assertion), defect)


def _unchanged(check: Any, defect: str) -> None:
    batch, state = {"x": np.ones((2, 2))}, {"w": jnp.ones(2)}
    with check(batch, state):
        if defect == "edits_dict":
            batch["x"] *= 2
        if defect == "edits_state":
            state["w"] = state["w"] + 1


def _immutable(check: Any, defect: str) -> None:
    check(
        {"none": freeze({"params": {"w": jnp.ones(2)}}), "plain_dict": {"params": {"w": jnp.ones(2)}}}[defect]
    )


def _remembers() -> Callable[[Any], Any]:
    seen: list[int] = []

    def remembers(x: Any) -> Any:
        seen.append(1)
        return x * 2

    return remembers


def _prints(x: Any) -> Any:
    print("hello")
    return x * 2


def _edits_global(x: Any) -> Any:
    TOTAL.append(1)
    return x * 2


def _host_random(x: Any) -> Any:
    return x + np.random.normal()  # purestate: ignore[PS111] planted


def _leaks(x: Any) -> Any:
    LEAKED.append(x * 2)
    return x


def _double(x: Any) -> Any:
    return x * 2


def _pure(check: Any, defect: str) -> None:
    programs = {
        "none": _double,
        "prints": _prints,
        "remembers": _remembers(),
        "edits_global": _edits_global,
        "host_random": _host_random,
        "leaks_tracer": _leaks,
    }
    check(programs[defect], jnp.ones(3))


def _deterministic(check: Any, defect: str) -> None:
    programs = {
        "none": jax.jit(_double),
        "host_random": _host_random,
        "clock": lambda x: x + time.perf_counter_ns() % 9973,
        "trace_constant": jax.jit(_host_random),
    }
    check(programs[defect], jnp.ones(3))


def _same_key_twice(key: Any) -> Any:
    return jax.random.normal(key) + jax.random.uniform(key)


def _parent_after_split(key: Any) -> Any:
    first, _ = jax.random.split(key)
    return jax.random.normal(first) + jax.random.normal(key)


def _split(key: Any) -> Any:
    first, second = jax.random.split(key)
    return jax.random.normal(first) + jax.random.normal(second)


def _no_key_reuse(check: Any, defect: str) -> None:
    programs = {
        "none": _split,
        "same_key_twice": _same_key_twice,
        "parent_after_split": _parent_after_split,
        "raw_key_twice": _same_key_twice,
    }
    check(programs[defect], jax.random.PRNGKey(0) if defect == "raw_key_twice" else jax.random.key(0))


def _keys_distinct(check: Any, defect: str) -> None:
    keys = list(jax.random.split(jax.random.key(0), 3))
    check([*keys, keys[0]] if defect == "equal_keys" else keys)


def _no_retrace(check: Any, defect: str) -> None:
    @functools.partial(jax.jit, static_argnames="flag")
    def program(x: Any, flag: bool = False) -> Any:
        return x * 2

    with check(program):
        program(jnp.ones(3))
        if defect == "shape":
            program(jnp.ones(4))
        if defect == "weak_type":
            program(jnp.broadcast_to(1.0, (3,)))
        if defect == "static_value":
            program(jnp.ones(3), flag=True)
        program(jnp.ones(3))


def _donated(check: Any, defect: str) -> None:
    state, x = {"w": jnp.ones(3)}, jnp.ones((7,))

    def step(state: Any, x: Any) -> Any:
        return {"w": state["w"] + x.sum()}

    donate = {"none": (0,), "not_donated": (), "useless_donation": (0, 1)}[defect]
    check(jax.jit(step, donate_argnums=donate), state, x)


def _resumable(check: Any, defect: str) -> None:
    if defect == "none":
        case = make("linear")
        check(jax.jit(case.step), case.state, [case.batch] * 3)
    elif defect == "static_field":
        case = plant("ema", "static_field")
        check(case.step, case.state, [case.batch] * 3)
    else:
        held = {"v": 0.0}

        def step(state: Any, batch: Any) -> Any:
            held["v"] = 0.9 * held["v"] + 1.0
            return {"params": state["params"] - held["v"]}

        check(step, {"params": jnp.ones(2)}, [0, 0, 0])


PROGRAMS: dict[str, Callable[[Any, str], None]] = {
    "assert_unchanged": _unchanged,
    "assert_immutable": _immutable,
    "assert_pure": _pure,
    "assert_deterministic": _deterministic,
    "assert_no_key_reuse": _no_key_reuse,
    "assert_keys_distinct": _keys_distinct,
    "assert_no_retrace": _no_retrace,
    "assert_donated": _donated,
    "assert_resumable": _resumable,
}
