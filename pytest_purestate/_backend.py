"""Settings that a backend of JAX reads once, when it starts: deterministic operations, and devices that the CPU stands for.

They are put into the environment before conftest files are imported. What the user sets there stays as it is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

__all__ = ["DETERMINISTIC", "PRECISION", "apply", "merged"]

DETERMINISTIC = {"--xla_gpu_deterministic_ops": "true"}
"""Builds for the CPU take it too."""
PRECISION = "JAX_DEFAULT_MATMUL_PRECISION"
_DEVICES = "--xla_force_host_platform_device_count"


def merged(flags: str, wanted: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """``XLA_FLAGS`` with those that are wanted, and the ones among them that say something else already."""
    given = dict(part.partition("=")[::2] for part in flags.split())
    other = tuple(
        f"{name}={given[name]}" for name, value in wanted.items() if given.get(name, value) != value
    )
    new = [f"{name}={value}" for name, value in wanted.items() if name not in given]
    return " ".join([*flags.split(), *new]), other


def apply(*, deterministic: bool, devices: int | None) -> str:
    """Set what is asked for; gives a line that says what is in force."""
    wanted = dict(DETERMINISTIC) if deterministic else {}
    if devices is not None:
        wanted[_DEVICES] = str(devices)
    if not wanted:
        return ""
    if _started():
        return "a backend has started already, so its settings stay as they are"
    os.environ["XLA_FLAGS"], other = merged(os.environ.get("XLA_FLAGS", ""), wanted)
    told = [f"XLA_FLAGS={os.environ['XLA_FLAGS']}"]
    if deterministic:
        precision = os.environ.setdefault(PRECISION, "highest")
        told.append(f"{PRECISION}={precision}")
        if (jax := sys.modules.get("jax")) is not None:  # it has read its environment
            jax.config.update("jax_default_matmul_precision", precision)
    if other:
        told.append(f"kept as it was set: {', '.join(other)}")
    return ", ".join(told)


def _started() -> bool:
    """Whether a backend is up, as far as can be seen."""
    bridge = sys.modules.get("jax._src.xla_bridge")
    asked = getattr(bridge, "backends_are_initialized", None)
    return bool(asked()) if asked is not None else False
