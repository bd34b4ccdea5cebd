"""What importing the package's modules loads: installed but unused, it costs nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("jax", "libcst", "flax", "optax", "numpy", "pathspec")


def loaded_by(module: str) -> list[str]:
    """Which of the heavy packages a fresh process loads with a module."""
    code = f"import sys, {module}; print(*(name for name in {HEAVY} if name in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout.split()


@pytest.mark.parametrize(
    "module",
    [
        "pytest_purestate",
        "pytest_purestate.plugin",
        "pytest_purestate._items",
        "pytest_purestate._report",
        "pytest_purestate._pages.page",
        "pytest_purestate._runtime.events",
        "pytest_purestate.config",
        "pytest_purestate.cli",
    ],
)
def test_nothing_heavy_is_loaded(module: str) -> None:
    assert loaded_by(module) == []


def test_the_check_can_fail() -> None:
    assert loaded_by("pytest_purestate._check.analysis") == ["libcst"]
    assert loaded_by("pytest_purestate._runtime.keys")[:1] == ["jax"]
