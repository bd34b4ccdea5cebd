"""The code under test that the programs of `replays` call; each marked function belongs to one of them."""

from collections.abc import Callable, Iterator

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax, random


def sample(key: jax.Array) -> jax.Array:
    return 2 * random.normal(key, (2,))


@jax.jit
def jitted_sample(key: jax.Array) -> jax.Array:
    return 2 * random.normal(key, (2,))


def split_and_sample(key: jax.Array) -> tuple[jax.Array, jax.Array]:
    key, sub = random.split(key)
    return key, random.normal(sub)


class Sampler:
    """Keeps one key, and draws from it in each call."""

    def __init__(self, key: jax.Array) -> None:
        self.key = key

    def draw(self) -> jax.Array:
        return random.normal(self.key)


def model() -> nn.Module:
    return nn.Sequential([nn.Dense(3), nn.Dropout(0.5, deterministic=False)])


def init(key: jax.Array) -> object:
    return nn.Dense(3).init(key, jnp.ones((1, 2)))


def steps(key: jax.Array) -> Iterator[jax.Array]:
    """A new key for each value."""
    while True:
        key, sub = random.split(key)
        yield random.normal(sub)


def draw_twice(key: jax.Array) -> jax.Array:
    one = random.normal(key)  # first
    return one + random.normal(key)  # reuse


@jax.jit
def jitted_draw_twice(key: jax.Array) -> jax.Array:
    one = random.normal(key)  # first
    return one + random.normal(key)  # reuse


def draw_in_a_loop(key: jax.Array) -> list[jax.Array]:
    return [random.normal(key) for _ in range(3)]  # first # reuse


def draw_by_a_helper(key: jax.Array) -> jax.Array:
    return _helper(key) + _helper(key)


def _helper(key: jax.Array) -> jax.Array:
    return random.normal(key)  # first # reuse


def draw_in_a_scan(key: jax.Array) -> jax.Array:
    def body(total: jax.Array, _: None) -> tuple[jax.Array, None]:
        return total + random.normal(key), None  # first # reuse

    return lax.scan(body, jnp.array(0.0), None, length=3)[0]


def draw_from_one_seed() -> jax.Array:
    one = random.normal(random.key(0))  # first
    return one + random.normal(random.key(0))  # reuse


def init_and_split(key: jax.Array) -> jax.Array:
    nn.Dense(3).init(key, jnp.ones((1, 2)))  # first
    return random.split(key)  # reuse


def same_value_forever(key: jax.Array) -> Iterator[jax.Array]:
    while True:
        yield random.normal(key)  # first # reuse


def call_twice(function: Callable[[jax.Array], jax.Array], key: jax.Array) -> jax.Array:
    return function(key) + function(key)


def draw_for_a_callback(key: jax.Array) -> jax.Array:
    return random.normal(key)  # first # reuse


def draw_before_and_in_a_callback(function: Callable[[jax.Array], jax.Array], key: jax.Array) -> jax.Array:
    one = random.normal(key)  # first
    return one + function(key)


def finish(key: jax.Array) -> jax.Array:
    return random.normal(key)  # reuse
