"""Pair 6: the copy that nobody gets. `purestate` reports the object as PS209."""

import jax
import jax.numpy as jnp
import numpy as np

from pytest_purestate import KeyStream, assert_deterministic, assert_unchanged
from story.impure.replaced_state import State as ForgetfulState
from story.pure.replaced_state import State


def test_object_gives_nothing_and_changes_nothing() -> None:
    state = ForgetfulState(w=jnp.float32(2))
    with assert_unchanged(state=state):
        # A type checker sees it too, once somebody has written the `-> None`.
        result = state.replace(jnp.float32(5))  # type: ignore[func-returns-value]
    assert result is None


def test_function_gives_the_next_state() -> None:
    state = State(w=jnp.float32(2))
    with assert_unchanged(state=state):
        new_state = assert_deterministic(State.update, state, jnp.float32(10))
    assert (float(state.w), state.step) == (2.0, 0)
    assert (float(new_state.w), new_state.step) == (1.0, 1)


def test_function_goes_on_from_any_state(keys: KeyStream) -> None:
    state = State(w=jax.random.normal(keys("w"), (3,)), step=7)
    grads = jax.random.normal(keys("grads"), (3,))
    with assert_unchanged(state=state, grads=grads):
        new_state = jax.jit(State.update)(state, grads)
    np.testing.assert_allclose(new_state.w, state.w - 0.1 * grads, rtol=1e-6)
    assert new_state.step == 8
