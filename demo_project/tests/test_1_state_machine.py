"""Pair 1: who knows that the turnstile is unlocked?"""

import jax
import jax.numpy as jnp
from hidden_state import caught

from pytest_purestate import KeyStream, assert_deterministic, assert_unchanged
from story.impure.state_machine import Turnstile
from story.pure.state_machine import COIN, LOCKED, PUSH, action, passages


@caught("turnstile.unlocked", "before: False", "after:  True")
def test_object_changes_while_it_answers() -> None:
    turnstile = Turnstile()
    with assert_unchanged(turnstile=turnstile):
        turnstile.action(COIN)


def test_function_answers_and_leaves_its_state_alone() -> None:
    state = jnp.asarray(LOCKED)
    with assert_unchanged(state=state):
        output, next_state = assert_deterministic(action, state, COIN)
    assert (bool(output), bool(next_state)) == (False, True)


def test_both_let_the_same_people_pass() -> None:
    inputs = [PUSH, COIN, COIN, PUSH, PUSH, COIN, PUSH]
    turnstile = Turnstile()
    by_object = [turnstile.action(input) for input in inputs]
    assert (
        passages(jnp.asarray(inputs)).tolist() == by_object == [False, False, False, True, False, False, True]
    )


def test_both_agree_on_a_day_full_of_people(keys: KeyStream) -> None:
    inputs = jax.random.bernoulli(keys("people"), shape=(50,)).astype(int)
    turnstile = Turnstile()
    by_object = [turnstile.action(input) for input in inputs.tolist()]
    assert passages(inputs).tolist() == by_object
    assert any(by_object)


def test_function_runs_a_whole_station() -> None:
    morning = jnp.asarray([[PUSH, COIN, PUSH], [COIN, PUSH, PUSH]])
    assert jax.vmap(passages)(morning).sum() == 2
