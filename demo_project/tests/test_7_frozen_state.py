"""Pair 7: how deep is a frozen state frozen? `purestate` reports the object as PS202 and PS203."""

import dataclasses
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.training.train_state import TrainState

from pytest_purestate import PurityError, assert_deterministic, assert_unchanged
from story.impure import frozen_state as impure
from story.pure import frozen_state as pure


class OneLayer(nn.Module):
    """One dense layer, called `dense`."""

    def setup(self) -> None:
        self.dense = nn.Dense(1)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.dense(x)


@pytest.fixture
def state(make_train_state: Callable[..., TrainState]) -> TrainState:
    return make_train_state(OneLayer(), jnp.ones((1, 2)))


# The edit is what this test is about. Without the mark `pytest --purestate` fails it, as it would any other.
@pytest.mark.purestate(state="off")
def test_object_edits_the_parameters_of_its_caller(state: TrainState) -> None:
    with pytest.raises(PurityError) as caught, assert_unchanged(state=state):
        impure.decay(state)
    assert "state.params['dense']['kernel']" in str(caught.value)


def test_object_does_nothing_at_all_when_it_is_compiled(state: TrainState) -> None:
    with assert_unchanged(state=state):
        jax.jit(impure.decay)(state)


def test_object_cannot_count(state: TrainState) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError, match="step"):
        impure.count(state)


def test_function_gives_the_next_state(state: TrainState) -> None:
    with assert_unchanged(state=state):
        new_state = assert_deterministic(pure.decay, state)
    np.testing.assert_array_equal(new_state.params["dense"]["kernel"], 0.5 * state.params["dense"]["kernel"])
    assert (state.step, new_state.step) == (0, 1)


def test_immutable_parameters_refuse_the_edit(make_train_state: Callable[..., TrainState]) -> None:
    params = {"dense": {"kernel": jnp.ones((2, 1)), "bias": jnp.zeros((1,))}}
    state = make_train_state(pure.freeze_params(params))
    with pytest.raises(ValueError, match="immutable"), assert_unchanged(state=state):
        impure.decay(state)
    assert jnp.all(pure.decay(state).params["dense"]["kernel"] == 0.5)
