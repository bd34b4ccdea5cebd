"""The assertions on a GPU, with and without the settings for determinism.

Flags of XLA are read when the backend starts, so each step runs in a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from devices import reason

from pytest_purestate import KeyStream, PurityError, assert_deterministic, assert_unchanged, make_train_state

pytestmark = [
    pytest.mark.gpu,
    # Without a GPU they are skipped, and say so.
    pytest.mark.skipif(bool(reason()), reason=reason()),
]

HERE = Path(__file__).parent
FLAG = "--xla_gpu_deterministic_ops=true"


def outcome(name: str, flags: str, runs: int = 8) -> dict[str, Any]:
    environment = {**os.environ, "XLA_FLAGS": flags, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    done = subprocess.run(
        [sys.executable, str(HERE / "steps.py"), name, str(runs)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("name", ["scatter", "segment", "convolution"])
def test_with_the_setting_steps_repeat_bit_by_bit(name: str) -> None:
    found = outcome(name, FLAG)
    assert found["differing calls"] == 0
    assert found["message"] == ""
    assert FLAG in found["settings"]


@pytest.mark.parametrize("name", ["scatter", "segment"])
def test_without_the_setting_atomic_additions_differ_and_the_report_says_what_helps(name: str) -> None:
    for _ in range(3):  # that bits differ is likely, not certain
        found = outcome(name, "")
        if found["message"]:
            break
    else:
        pytest.skip(f"`{name}` gave the same bits in all calls: it could not be shown on this device")
    assert set(found["kinds"]) == {"value"}
    assert "help: `scatter-add` at steps.py:" in found["message"]
    assert f"XLA_FLAGS={FLAG} makes it repeat" in found["message"]


def test_without_the_setting_a_convolution_may_differ() -> None:
    found = outcome("convolution", "")
    if not found["message"]:
        pytest.skip("the convolution gave the same bits in all calls: it could not be shown on this device")
    assert "conv_general_dilated" in found["message"]


def test_the_precision_of_products_is_what_is_asked_for(key: jax.Array) -> None:
    a, b = jax.random.normal(key, (2, 512, 512))
    exact = np.asarray(a, np.float64) @ np.asarray(b, np.float64)

    def error(precision: str) -> float:
        with jax.default_matmul_precision(precision):
            return float(np.abs(np.asarray(jnp.matmul(a, b), np.float64) - exact).max())

    highest, tensor = error("highest"), error("tensorfloat32")
    assert highest < 1e-3
    assert highest <= tensor
    with jax.default_matmul_precision("highest"):
        assert_deterministic(jnp.matmul, a, b, across=("calls",))


def test_a_train_step(keys: KeyStream) -> None:
    params = {"w": jax.random.normal(keys(), (64, 64)), "b": jnp.zeros(64)}
    state = make_train_state(params, tx=optax.adam(1e-3))

    @jax.jit
    def step(state: Any, x: Any) -> Any:
        def loss(params: Any) -> Any:
            return jnp.square(jnp.tanh(x @ params["w"] + params["b"])).mean()

        return state.apply_gradients(grads=jax.grad(loss)(state.params))

    x = jax.random.normal(keys(), (128, 64))
    with assert_unchanged(state=state):
        new = assert_deterministic(step, state, x)
    assert new.step == 1


def test_an_edit_is_seen_on_the_device() -> None:
    params = {"w": jnp.ones(4)}
    with (
        pytest.raises(PurityError, match=r"params\['w'\]\[2\]: 1 of 4 elements changed"),
        assert_unchanged(params),
    ):
        params["w"] = params["w"].at[2].set(0)


def test_keys_are_the_same_on_every_device() -> None:
    stream = KeyStream(0, "path")
    on_gpu = jax.random.key_data(stream("name"))
    with jax.default_device(jax.devices("cpu")[0]):
        on_cpu = jax.random.key_data(KeyStream(0, "path")("name"))
    assert np.array_equal(on_gpu, on_cpu)
