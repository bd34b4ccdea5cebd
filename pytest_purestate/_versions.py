"""The versions that a result depends on."""

from __future__ import annotations

import sys
from importlib import metadata

__all__ = ["package_versions"]

_PACKAGES = ("pytest-purestate", "jax", "jaxlib", "flax", "optax", "numpy", "pytest")


def package_versions() -> dict[str, str]:
    """Of Python and of each package that is installed, by name."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
