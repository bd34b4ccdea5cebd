"""What else than the code decides about bits: versions, the device, flags of the compiler, precision."""

from __future__ import annotations

import os

import jax

__all__ = ["settings_in_force"]


def settings_in_force() -> str:
    """One line for a report: the version of JAX, the device, the flags, the precision, the PRNG."""
    device = jax.local_devices()[0]
    where = (
        device.platform
        if device.platform == device.device_kind
        else f"{device.platform} ({device.device_kind})"
    )
    settings = {
        "XLA_FLAGS": os.environ.get("XLA_FLAGS") or "not set",
        "matmul precision": getattr(jax.config, "jax_default_matmul_precision", None) or "default",
        "x64": "on" if getattr(jax.config, "jax_enable_x64", False) else "off",
        "PRNG": getattr(jax.config, "jax_default_prng_impl", "default"),
    }
    return f"jax {jax.__version__} on {where}, " + ", ".join(
        f"{name} {value}" for name, value in settings.items()
    )
