"""Steps whose bits depend on the order in which a GPU works, and a process that runs one of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

__all__ = ["STEPS", "main", "outcome"]

N, SEGMENTS = 1 << 20, 16


def scatter_step(params: Any, batch: Any) -> Any:
    """A step on an embedding whose gradient adds many rows to few places, shape ``(16, 32)``."""
    rows, targets = batch

    def loss(table: Any) -> Any:
        return jnp.mean((table[rows] - targets) ** 2)

    return params - 0.1 * jax.grad(loss)(params)


def segment_step(params: Any, batch: Any) -> Any:
    """Sums of a million floats in sixteen segments."""
    rows, targets = batch
    return params[:, 0] + jax.ops.segment_sum(targets[:, 0], rows, SEGMENTS)


def convolution_step(params: Any, batch: Any) -> Any:
    """A step on a convolution, whose gradient with respect to the kernel sums over images and places."""
    images, targets = batch

    def loss(kernel: Any) -> Any:
        out = jax.lax.conv_general_dilated(
            images, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return jnp.mean((jax.nn.relu(out) - targets) ** 2)

    return params - 0.1 * jax.grad(loss)(params)


def _rows(key: jax.Array) -> tuple[Any, Any]:
    a, b, c = jax.random.split(key, 3)
    rows = jax.random.randint(a, (N,), 0, SEGMENTS)
    return jax.random.normal(b, (SEGMENTS, 32)), (rows, jax.random.normal(c, (N, 32)))


def _images(key: jax.Array) -> tuple[Any, Any]:
    a, b, c = jax.random.split(key, 3)
    shape = (64, 56, 56, 64)
    return jax.random.normal(a, (3, 3, 64, 64)), (jax.random.normal(b, shape), jax.random.normal(c, shape))


STEPS: dict[str, tuple[Callable[..., Any], Callable[[jax.Array], tuple[Any, Any]]]] = {
    "scatter": (scatter_step, _rows),
    "segment": (segment_step, _rows),
    "convolution": (convolution_step, _images),
}


def outcome(name: str, runs: int) -> dict[str, Any]:
    """How often a step gives other bits than at first, called and compiled anew; what the assertion says of it."""
    from pytest_purestate import PurityError, assert_deterministic
    from pytest_purestate._runtime.settings import settings_in_force

    step, make = STEPS[name]
    params, batch = make(jax.random.key(0))
    compiled = jax.jit(step)
    first = compiled(params, batch)
    differing = sum(bool((compiled(params, batch) != first).any()) for _ in range(runs - 1))
    try:
        assert_deterministic(compiled, params, batch, runs=runs)
        message, kinds = "", []
    except PurityError as error:
        message, kinds = str(error), [problem.kind for problem in error.problems]
    return {
        "step": name,
        "runs": runs,
        "differing calls": differing,
        "message": message,
        "kinds": kinds,
        "settings": settings_in_force(),
    }


def main() -> None:
    """Print the outcome of a step as JSON: ``python steps.py NAME RUNS``."""
    print(json.dumps(outcome(sys.argv[1], int(sys.argv[2]))))


if __name__ == "__main__":
    main()
