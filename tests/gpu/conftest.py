"""Tests on a GPU; without one they are skipped, and say so."""

import functools
from pathlib import Path

import jax
import pytest


@functools.cache
def reason() -> str:
    """Why there are no tests on a GPU here; empty where there is one."""
    try:
        return "" if jax.devices("gpu") else "no GPU"
    except RuntimeError as error:
        return f"no GPU: {str(error).splitlines()[0]}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here) and item.get_closest_marker("gpu") and reason():
            item.add_marker(pytest.mark.skip(reason=reason()))
