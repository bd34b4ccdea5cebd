"""Pair 5: the argument that is not in the signature."""

import jax
import jax.numpy as jnp
import numpy as np
from hidden_state import caught

from pytest_purestate import assert_deterministic, assert_unchanged
from story.impure.gradient_descent import MomentumOptimizer
from story.pure.gradient_descent import optimizer, step


def bowl(params: jax.Array) -> jax.Array:
    """Return a loss with its minimum at the origin, steeper along the second axis."""
    return 0.5 * (params[0] ** 2 + 5 * params[1] ** 2)


START = np.asarray([1.0, -1.0], dtype=np.float32)


@caught("call 1: 0.9", "call 2: 0.81", "self.velocity")
def test_object_steps_further_each_time() -> None:
    params = jnp.asarray(START)
    assert_deterministic(MomentumOptimizer(params).step, params, jax.grad(bowl)(params))


@caught("sgd.velocity")
def test_object_remembers_the_gradient() -> None:
    params = jnp.asarray(START)
    sgd = MomentumOptimizer(params)
    with assert_unchanged(sgd=sgd):
        sgd.step(params, jax.grad(bowl)(params))


def test_function_takes_the_same_step_each_time() -> None:
    params = jnp.asarray(START)
    opt_state = optimizer.init(params)
    with assert_unchanged(params=params, opt_state=opt_state):
        assert_deterministic(step, params, opt_state, jax.grad(bowl)(params))


def test_both_follow_the_same_trajectory(key: jax.Array) -> None:
    start = jax.random.uniform(key, (2,), minval=0.5, maxval=1.5)
    by_object = by_function = start
    sgd = MomentumOptimizer(by_object, learning_rate=0.1, momentum=0.9)
    opt_state = optimizer.init(by_function)
    for _ in range(100):
        by_object = sgd.step(by_object, jax.grad(bowl)(by_object))
        by_function, opt_state = step(by_function, opt_state, jax.grad(bowl)(by_function))
        np.testing.assert_allclose(by_function, by_object, rtol=1e-6, atol=1e-7)
    assert bowl(by_function) < 1e-3 * bowl(start)


def test_resumed_function_stays_on_its_trajectory() -> None:
    params = jnp.asarray(START)
    opt_state = optimizer.init(params)
    for _ in range(10):
        params, opt_state = step(params, opt_state, jax.grad(bowl)(params))
    grads = jax.grad(bowl)(params)
    on, _ = step(params, opt_state, grads)
    resumed, _ = step(params, opt_state, grads)
    without_momentum, _ = step(params, optimizer.init(params), grads)
    np.testing.assert_array_equal(on, resumed)
    assert not np.allclose(on, without_momentum)
