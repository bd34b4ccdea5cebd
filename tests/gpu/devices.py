"""Whether there is a GPU for the tests."""

import functools

import jax


@functools.cache
def reason() -> str:
    """Why there are no tests on a GPU here; empty where there is one."""
    try:
        return "" if jax.devices("gpu") else "no GPU"
    except RuntimeError as error:
        return f"no GPU: {str(error).splitlines()[0]}"
