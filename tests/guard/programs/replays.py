"""A test may replay a key, code under test may not: this module stands for a test file, `_code` for the code.

Two uses below two calls from here are silent; two uses below one call are reported, at the lines in `_code`. The marks
are explained in `expectations`.
"""

import functools

import jax
import jax.numpy as jnp
from jax import random

from . import _code


def good_called_twice_with_one_key() -> None:
    """The test compares two calls."""
    key = random.key(0)
    assert jnp.array_equal(_code.sample(key), _code.sample(key))


def good_called_in_a_loop_with_one_key() -> None:
    """One line of the test, but a call in each pass."""
    key = random.key(0)
    for _ in range(3):
        _code.sample(key)


def good_called_in_a_comprehension_with_one_key() -> None:
    """A comprehension is a loop."""
    key = random.key(0)
    [_code.sample(key) for _ in range(3)]


def good_called_by_map_with_one_key() -> None:
    """The calls come from `map`, but from the test's line."""
    list(map(_code.sample, [random.key(0)] * 2))


def good_jitted_code_called_twice() -> None:
    """The code is jitted; the second call runs what the first one compiled."""
    key = random.key(0)
    assert jnp.array_equal(_code.jitted_sample(key), _code.jitted_sample(key))


def good_code_jitted_by_the_test() -> None:
    """Eager and jitted results are compared."""
    key = random.key(0)
    assert jnp.allclose(_code.sample(key), jax.jit(_code.sample)(key))


def good_raw_key_replayed() -> None:
    """Raw keys may be replayed, too."""
    key = random.PRNGKey(0)
    _code.sample(key)
    _code.sample(key)


def good_one_seed_twice() -> None:
    """The test makes one key in two places."""
    _code.sample(random.key(0))
    _code.sample(random.key(0))


def good_test_draws_twice() -> None:
    """The test itself draws twice: the samplers are the code it calls."""
    key = random.key(0)
    assert jnp.array_equal(random.normal(key, (2,)), random.normal(key, (2,)))


def good_test_draws_then_calls() -> None:
    """The test makes data from the key that the code gets."""
    key = random.key(0)
    random.normal(key)
    _code.sample(key)


def good_test_splits_then_calls() -> None:
    """The test splits a key and hands the parent on."""
    key = random.key(0)
    one, _ = random.split(key)
    _code.sample(one)
    _code.split_and_sample(key)


def good_object_of_the_code_called_twice() -> None:
    """The object keeps its key; between two calls of the test the guard cannot tell whose fault that is."""
    sampler = _code.Sampler(random.key(0))
    sampler.draw()
    sampler.draw()


def good_code_mapped_by_the_test() -> None:
    """vmap against a loop."""
    keys = random.split(random.key(0), 3)
    mapped = jax.vmap(_code.sample)(keys)
    assert jnp.allclose(mapped, jnp.stack([_code.sample(key) for key in keys]))


def good_two_inits_of_linen() -> None:
    """The same parameters twice."""
    key = random.key(0)
    _code.init(key)
    _code.init(key)


def good_linen_applied_twice() -> None:
    """The test checks that dropout depends on the key alone."""
    model = _code.model()
    params_key, dropout_key = random.split(random.key(0))
    variables = model.init({"params": params_key, "dropout": dropout_key}, jnp.ones((1, 2)))
    for _ in range(2):
        model.apply(variables, jnp.ones((1, 2)), rngs={"dropout": dropout_key})


def _replay(key: jax.Array) -> jax.Array:
    return _code.sample(key) - _code.sample(key)


def good_helper_of_the_test_calls_twice() -> None:
    """The helper is part of the test: its calls are the test's."""
    assert not jnp.any(_replay(random.key(0)))


def good_key_bound_by_the_test() -> None:
    """The test binds the key and calls twice."""
    sample = functools.partial(_code.sample, random.key(0))
    sample()
    sample()


def good_generator_of_the_code() -> None:
    """A generator that splits, started twice from one key."""
    key = random.key(0)
    for values in (_code.steps(key), _code.steps(key)):
        next(values)
        next(values)


def good_state_carried_by_the_test() -> None:
    """No key is used twice at all."""
    key = random.key(0)
    for _ in range(3):
        key, _ = _code.split_and_sample(key)


def bad_code_draws_twice() -> None:
    """Two draws below one call."""
    _code.draw_twice(random.key(0))


def bad_jitted_code_draws_twice() -> None:
    """Two draws in a jitted function."""
    _code.jitted_draw_twice(random.key(0))


def bad_code_jitted_by_the_test_draws_in_a_loop() -> None:
    """The code's loop is unrolled by the test's jit."""
    jax.jit(_code.draw_in_a_loop)(random.key(0))


def bad_code_draws_by_a_helper() -> None:
    """Two calls inside the code."""
    _code.draw_by_a_helper(random.key(0))


def bad_code_draws_in_a_scan() -> None:
    """The loop is in the code."""
    _code.draw_in_a_scan(random.key(0))


def bad_code_draws_from_one_seed() -> None:
    """The code makes one key in two places."""
    _code.draw_from_one_seed()


def bad_code_inits_and_splits() -> None:
    """The code gives its key to linen and splits it."""
    _code.init_and_split(random.key(0))


def bad_generator_of_the_code_repeats() -> None:
    """Two values of one generator: the test resumes it, but it is one call of the code."""
    values = _code.same_value_forever(random.key(0))
    next(values)
    next(values)


def bad_code_calls_back_twice() -> None:
    """The code calls the test's function twice with one key."""
    _code.call_twice(lambda key: _code.draw_for_a_callback(key), random.key(0))


def bad_code_draws_and_calls_back() -> None:
    """The code draws, then hands the same key to the test's function."""
    _code.draw_before_and_in_a_callback(lambda key: _code.finish(key), random.key(0))
