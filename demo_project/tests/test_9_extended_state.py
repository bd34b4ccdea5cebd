"""Pair 9: more fields in a TrainState. `purestate` reports the assignments of the object as PS203, and its
key that never advances as PS109.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import optax
import pytest

from pytest_purestate import KeyStream, assert_deterministic, assert_unchanged
from story.data import line
from story.impure import extended_state as impure
from story.pure import extended_state as pure

BATCH = line()


@pytest.fixture
def options(key: jax.Array) -> dict[str, Any]:
    """What `make_train_state` must know beyond module, inputs and class."""
    return {
        "tx": optax.sgd(0.1, momentum=0.9),
        "init_kwargs": {"train": False},
        "dropout_key": key,
    }


def test_object_cannot_be_created_without_its_fields(key: jax.Array) -> None:
    x, _ = BATCH
    with pytest.raises(TypeError, match=r"batch_stats.*dropout_key"):
        impure.create_state(key, x)


def test_object_cannot_be_advanced_by_assignment(
    make_train_state: Callable[..., Any], options: dict[str, Any]
) -> None:
    state = make_train_state(impure.MLP(), BATCH[0], cls=impure.DropoutTrainState, **options)
    with pytest.raises(dataclasses.FrozenInstanceError, match="batch_stats"):
        impure.train_step(state, BATCH)


def test_object_keeps_its_key_and_drops_the_same_units_again(
    make_train_state: Callable[..., Any], options: dict[str, Any]
) -> None:
    state = make_train_state(impure.MLP(), BATCH[0], cls=impure.DropoutTrainState, **options)
    _, new_state = impure.train_step_with_one_mask(state, BATCH)
    assert new_state.step == 1
    assert new_state.dropout_key == state.dropout_key


def test_function_advances_every_field(make_train_state: Callable[..., Any], options: dict[str, Any]) -> None:
    state = make_train_state(pure.MLP(), BATCH[0], cls=pure.DropoutTrainState, **options)
    with assert_unchanged(state=state, batch=BATCH):
        _, new_state = assert_deterministic(pure.train_step, state, BATCH)
    assert new_state.step == 1
    assert new_state.dropout_key != state.dropout_key
    for name in ("mean", "var"):
        old, new = (s.batch_stats["norm"][name] for s in (state, new_state))
        assert not np.array_equal(old, new)


def test_function_makes_a_state_that_learns(key: jax.Array) -> None:
    x, y = BATCH
    state = pure.create_state(key, x)
    before = optax.l2_loss(pure.predict(state, x), y).mean()
    for _ in range(100):
        _, state = pure.train_step(state, BATCH)
    assert optax.l2_loss(pure.predict(state, x), y).mean() < before / 10


def test_reseeded_state_differs_in_its_key_alone(keys: KeyStream) -> None:
    x, _ = BATCH
    state = pure.create_state(keys("model"), x)
    with assert_unchanged(state=state):
        other = pure.reseed(state, keys("dropout"))
    assert other.dropout_key != state.dropout_key
    assert other.replace(dropout_key=state.dropout_key) == state
