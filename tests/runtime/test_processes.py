"""`assert_deterministic` across fresh processes and devices."""

import functools
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import importable
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pytest_purestate import PurityError, assert_deterministic, make_train_state

ACROSS = ("process",)


def fresh(fn: Callable[..., Any], *args: Any) -> Any:
    return assert_deterministic(fn, *args, across=ACROSS, runs=2)


def test_same_function_in_a_fresh_process() -> None:
    assert fresh(importable.scaled, jnp.ones(3)).shape == (3,)


def test_keys_and_weak_types_survive_the_way() -> None:
    assert fresh(importable.keys, jax.random.key(1))["split"].shape == (2,)


def test_keywords_are_bound_by_a_partial() -> None:
    assert fresh(functools.partial(importable.scaled, by=3.0), jnp.float32(1)) > 2


def test_jitted_function_is_found_by_the_name_it_has_in_its_module() -> None:
    assert fresh(importable.by_name, np.ones(2)).tolist() == [2, 2]


def test_settings_of_jax_go_along() -> None:
    with jax.default_matmul_precision("float32"):
        fresh(importable.scaled, 1.0)
    before = jax.config.jax_enable_x64  # type: ignore[attr-defined]
    jax.config.update("jax_enable_x64", True)  # type: ignore[no-untyped-call]
    try:
        assert fresh(importable.scaled, jnp.ones(2)).dtype == jnp.float64
    finally:
        jax.config.update("jax_enable_x64", before)  # type: ignore[no-untyped-call]


def test_what_the_process_decides_is_caught() -> None:
    with pytest.raises(PurityError) as caught:
        fresh(importable.by_process, 0)
    assert caught.value.headline == (
        "`by_process` is not deterministic: call 2 (in a fresh process) returned something else than call 1"
    )
    assert caught.value.help.startswith("look for what is new in each process: the order of a set of strings")


def test_order_of_a_set_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"name{i}" for i in range(50)]
    monkeypatch.setenv(
        "PYTHONHASHSEED", str(1 + hash("a") % 1000)
    )  # another one than here, with near certainty
    with pytest.raises(PurityError, match=r"output\[\d+\]: the value differs"):
        fresh(importable.kinds, names)


@pytest.mark.parametrize(
    ("fn", "message"),
    [
        (lambda x: x, "`<lambda>` is none: `test_processes` has no name for it"),
        ("a".join, "`str.join` is none: it does not say which module it is from"),
        (functools.partial(lambda x: x), "`<lambda>` is none: `test_processes` has no name for it"),
        (
            functools.partial(max, key=lambda x: x),
            "what the partial binds cannot be sent to a fresh process",
        ),
    ],
    ids=["lambda", "method", "partial of a lambda", "partial with a lambda"],
)
def test_function_that_cannot_be_imported_is_refused(
    fn: Callable[..., Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTEST_CURRENT_TEST")  # in a test of pytest, the test would be run again
    with pytest.raises(TypeError) as caught:
        fresh(fn, 0)
    assert message in str(caught.value)


def test_argument_that_cannot_be_pickled_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    state = make_train_state({"w": jnp.ones(2)})
    with pytest.raises(
        TypeError, match=r"args\[0\] cannot be sent to a fresh process: .*local object 'chain"
    ):
        fresh(importable.scaled, state)


def run(code: str, tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    file = tmp_path / "script.py"
    file.write_text(textwrap.dedent(code))
    path = Path(__file__).parent
    return subprocess.run(
        [sys.executable, str(file)],
        env={**os.environ, "PYTHONPATH": str(path), **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_crash_of_the_process_is_told(tmp_path: Path) -> None:
    code = """
        import os, importable
        from pytest_purestate._runtime.assertions import process

        for name in ("crash", "raises", "unpicklable"):
            try:
                process.run(process.prepare(getattr(importable, name), (1,)))
            except (RuntimeError, TypeError) as error:
                print(type(error).__name__, error)
    """
    done = run(code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "RuntimeError the fresh process died with status 3" in done.stdout
    assert "RuntimeError the function raised in the fresh process" in done.stdout
    assert "LookupError: not in this process" in done.stdout
    assert "TypeError the fresh process cannot send back the result: " in done.stdout


def test_function_of_a_script_is_refused(tmp_path: Path) -> None:
    code = """
        from pytest_purestate import assert_deterministic

        def fn(): return 1

        try:
            assert_deterministic(fn, across=("process",))
        except TypeError as error:
            print(error)
    """
    assert "`fn` is none: it belongs to the script that runs; move the function" in run(code, tmp_path).stdout


def test_devices_agree_or_are_told_apart(tmp_path: Path) -> None:
    code = """
        import jax, jax.numpy as jnp
        from jax.sharding import NamedSharding, PartitionSpec
        from pytest_purestate import PurityError, assert_deterministic

        assert len(jax.devices()) == 3
        x = jnp.arange(4.0)
        seen = []

        def fn(state):
            (device,) = state["x"].devices()
            seen.append(device.id)
            return jnp.sin(state["x"])

        assert_deterministic(fn, {"x": x}, across=("devices",))
        print("devices", seen)

        def by_device(x):
            return x + next(iter(x.devices())).id

        try:
            assert_deterministic(by_device, x, across=("devices",))
        except PurityError as error:
            print(error)

        mesh = jax.make_mesh((3,), ("d",))
        sharded = jax.device_put(jnp.ones(6), NamedSharding(mesh, PartitionSpec("d")))
        assert_deterministic(jax.jit(lambda x: x * 2), sharded)
        try:
            assert_deterministic(fn, {"x": sharded}, across=("devices",))
        except ValueError as error:
            print("ValueError", error)

        results = iter([sharded, jax.device_put(sharded, NamedSharding(mesh, PartitionSpec()))])
        try:
            assert_deterministic(lambda: next(results))
        except PurityError as error:
            print(error.problems[0].kind)
    """
    done = run(code, tmp_path, XLA_FLAGS="--xla_force_host_platform_device_count=3")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("devices [0, 1, 2]\n")
    assert "call 2 (on cpu:1) returned something else than call 1\n" in done.stdout
    assert "settings: jax" in done.stdout
    assert "XLA_FLAGS --xla_force_host_platform_device_count=3, " in done.stdout
    assert (
        "ValueError `args[0]['x']` is spread over several devices, so across='devices' cannot move it to one"
        in done.stdout
    )
    assert done.stdout.endswith("sharding\n")
