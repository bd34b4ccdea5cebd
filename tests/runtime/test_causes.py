"""What is said of a function that differs between two calls on a GPU."""

import os
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pytest_purestate import PurityError, assert_deterministic
from pytest_purestate._runtime.causes import causes, help_on_gpu

X = jnp.ones(8)


def summed(x: Any) -> Any:
    return jax.ops.segment_sum(x, jnp.zeros(8, int), 2)


@jax.jit
def several(x: Any) -> Any:
    image = jnp.ones((1, 1, 4, 4))
    y = jax.lax.conv(image, jnp.ones((1, 1, 2, 2)), (1, 1), "SAME")
    return jax.lax.scan(lambda carry, _: (carry.at[jnp.zeros(2, int)].add(y.sum()), None), x, length=2)[0]


def test_a_scatter_is_named_with_its_line() -> None:
    line = summed.__code__.co_firstlineno + 1
    assert help_on_gpu(summed, (X,), "") == (
        f"`scatter-add` at test_causes.py:{line} adds in the order in which threads come; "
        "XLA_FLAGS=--xla_gpu_deterministic_ops=true makes it repeat, `pytest --purestate-deterministic` sets it"
    )


def test_what_is_inside_counts_and_the_usual_cause_comes_first() -> None:
    found = causes(several, (X,))
    assert found is not None
    assert [cause.primitive for cause in found] == ["scatter-add", "conv_general_dilated"]
    assert "(also here: conv_general_dilated)" in help_on_gpu(several, (X,), "")


def test_a_tuned_algorithm() -> None:
    text = help_on_gpu(lambda x: x @ x, (jnp.ones((2, 2)),), "")
    assert text.endswith("; XLA_FLAGS=--xla_gpu_autotune_level=0 keeps the algorithm")


def test_flags_that_are_set_are_not_proposed() -> None:
    text = help_on_gpu(summed, (X,), "--xla_a=b --xla_gpu_deterministic_ops=true")
    assert text.endswith("is in force, so look for kernels that it does not reach")


def test_unique_indices_have_an_order() -> None:
    unique = lambda x: x.at[jnp.arange(3)].add(1.0, unique_indices=True)  # noqa: E731
    assert causes(unique, (X,)) == ()
    assert help_on_gpu(unique, (X,), "").startswith("no operation in it is known to vary between runs")


def test_what_cannot_be_traced_is_not_judged() -> None:
    assert help_on_gpu(lambda x: x if float(x[0]) else None, (X,), "") == ""


def test_the_failure_says_it_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.delenv("XLA_FLAGS", raising=False)

    def random() -> Any:
        return np.frombuffer(os.urandom(2), np.uint16).astype(np.float32)

    def step(x: Any) -> Any:
        return jax.pure_callback(random, jax.eval_shape(lambda: jnp.ones(1))) + summed(x)[0]

    with pytest.raises(PurityError) as caught:
        assert_deterministic(step, X, across=("calls",), runs=2)
    assert caught.value.help.startswith("`scatter-add` at test_causes.py:")
