"""Pair 4: where are the weights?"""

import jax
import jax.numpy as jnp
import numpy as np
from hidden_state import caught

from pytest_purestate import assert_deterministic, assert_unchanged
from story.impure.linear_model import LinearModel
from story.pure.linear_model import Params, initial_params, predict, update


@caught("model.w", "after:  3.0", "model.b", "after:  1.0")
def test_object_is_another_model_after_an_update() -> None:
    model = LinearModel()
    with assert_unchanged(model=model):
        model.update(dw=jnp.float32(3), db=jnp.float32(1))


def test_function_makes_a_second_model() -> None:
    params, updates = initial_params(), Params(w=jnp.float32(3), b=jnp.float32(1))
    with assert_unchanged(params=params, updates=updates):
        new_params = assert_deterministic(update, params, updates)
    assert predict(params, jnp.float32(2)) == 0
    assert predict(new_params, jnp.float32(2)) == 7


def test_both_predict_the_same(key: jax.Array) -> None:
    model = LinearModel()
    model.update(dw=jnp.float32(3), db=jnp.float32(1))
    params = update(initial_params(), Params(w=jnp.float32(3), b=jnp.float32(1)))
    x = jax.random.normal(key, (8,))
    np.testing.assert_array_equal(model.predict(x), predict(params, x))


def test_compiled_function_takes_the_new_weights() -> None:
    compiled = jax.jit(predict)
    params = initial_params()
    assert compiled(params, 2.0) == 0
    assert compiled(update(params, Params(w=jnp.float32(3), b=jnp.float32(1))), 2.0) == 7


def test_compiled_object_keeps_the_old_weights() -> None:
    model = LinearModel()
    compiled = jax.jit(model.predict)
    assert compiled(2.0) == 0
    model.update(dw=jnp.float32(3), db=jnp.float32(1))
    assert model.predict(jnp.float32(2)) == 7
    assert compiled(2.0) == 0  # no error, no warning: the answer is simply the old one
