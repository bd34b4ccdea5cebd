"""Settings that a backend reads when it starts: set in time, merged, and told in the header."""

from __future__ import annotations

import pytest
from outside import run, write

from pytest_purestate._backend import merged

TEST = """\
import os

import jax


def test_it(request):
    wanted = (request.config.rootpath / "wanted.txt").read_text().split(";")
    assert [os.environ.get("XLA_FLAGS", ""), str(jax.config.jax_default_matmul_precision), str(jax.device_count())] == wanted
"""


@pytest.fixture(autouse=True)
def _project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAX_DEFAULT_MATMUL_PRECISION", raising=False)
    monkeypatch.setenv("XLA_FLAGS", "")
    write(pytester.path, {"pytest.ini": "[pytest]\n", "test_it.py": TEST})


@pytest.mark.parametrize("import_early", [False, True])
def test_deterministic_and_devices(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, import_early: bool
) -> None:
    flags = "--xla_cpu_enable_fast_math=false --xla_gpu_deterministic_ops=true --xla_force_host_platform_device_count=4"
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=false")
    write(
        pytester.path,
        {"wanted.txt": f"{flags};highest;4", "conftest.py": "import jax\n" if import_early else ""},
    )
    result = run(pytester, "--purestate-deterministic", "-o", "purestate_host_devices=4")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([f"purestate: XLA_FLAGS={flags}, JAX_DEFAULT_MATMUL_PRECISION=highest"])


def test_workers_have_them_too(pytester: pytest.Pytester) -> None:
    write(pytester.path, {"wanted.txt": "--xla_force_host_platform_device_count=2;None;2"})
    run(pytester, "-n", "1", "-o", "purestate_host_devices=2").assert_outcomes(passed=1)


def test_nothing_is_set_unasked(pytester: pytest.Pytester) -> None:
    write(pytester.path, {"wanted.txt": ";None;1"})
    result = run(pytester)
    result.assert_outcomes(passed=1)
    assert not [line for line in result.outlines if "XLA_FLAGS" in line]


def test_what_the_user_set_stays(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLA_FLAGS", "--xla_gpu_deterministic_ops=false")
    monkeypatch.setenv("JAX_DEFAULT_MATMUL_PRECISION", "float32")
    write(pytester.path, {"wanted.txt": "--xla_gpu_deterministic_ops=false;float32;1"})
    result = run(pytester, "--purestate-deterministic")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["purestate: *, kept as it was set: --xla_gpu_deterministic_ops=false"])


def test_a_backend_that_is_up_is_left_alone(pytester: pytest.Pytester) -> None:
    write(pytester.path, {"wanted.txt": ";None;1", "early.py": "import jax\n\njax.devices()\n"})
    result = run(pytester, "-p", "early", "--purestate-deterministic")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        ["purestate: a backend has started already, so its settings stay as they are"]
    )


@pytest.mark.parametrize("value", ["0", "many", "-1"])
def test_devices_are_a_number(pytester: pytest.Pytester, value: str) -> None:
    result = run(pytester, "-o", f"purestate_host_devices={value}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*purestate_host_devices must be a number from 1 on, not '{value}'*"])


def test_flags_are_merged() -> None:
    assert merged("", {"--a": "1"}) == ("--a=1", ())
    assert merged("--b  --a=1", {"--a": "1", "--c": "2"}) == ("--b --a=1 --c=2", ())
    assert merged("--a=3", {"--a": "1"}) == ("--a=3", ("--a=3",))
