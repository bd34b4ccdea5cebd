"""Pair 3: whose key is it?"""

import jax
import numpy as np
from hidden_state import caught

from pytest_purestate import KeyStream, assert_deterministic, assert_unchanged
from story.impure.random_stream import NoiseStream
from story.pure.random_stream import normal


@caught("call 2 returned something else than call 1", "self.key")
def test_object_never_repeats_itself() -> None:
    assert_deterministic(NoiseStream(seed=0).normal, (3,))


def test_function_repeats_itself(key: jax.Array) -> None:
    with assert_unchanged(key=key):
        assert_deterministic(lambda key: normal(key, (3,)), key)


def test_both_give_the_same_noise() -> None:
    stream = NoiseStream(seed=0)
    first, key = normal(jax.random.key(0), (3,))
    second, _ = normal(key, (3,))
    np.testing.assert_array_equal(stream.normal((3,)), first)
    np.testing.assert_array_equal(stream.normal((3,)), second)


def test_function_gives_other_noise_for_another_key(keys: KeyStream) -> None:
    one, _ = normal(keys(), (3,))
    other, _ = normal(keys(), (3,))
    assert not np.array_equal(one, other)
