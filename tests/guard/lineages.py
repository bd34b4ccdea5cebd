"""Programs, and the lineages of their keys as they are told: a line for a node, with the line of code where it is made."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

X = jnp.ones(3)


def noisy(key: jax.Array, x: jax.Array) -> jax.Array:
    shift = jax.random.normal(key, x.shape)
    return shift + jax.random.uniform(key, x.shape)


@jax.jit
def step(state: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    key, sub = jax.random.split(key)
    return state + jax.random.normal(sub), key


def reuse() -> None:
    """
    root jax.random.key(0) <- noisy(jax.random.key(0), X)
      draw normal float32[3] FIRST <- shift = jax.random.normal(key, x.shape)
      draw uniform float32[3] AGAIN <- return shift + jax.random.uniform(key, x.shape)
    """
    noisy(jax.random.key(0), X)


def reuse_of_a_raw_key() -> None:
    """
    root jax.random.PRNGKey(0) <- noisy(jax.random.PRNGKey(0), X)
      draw normal float32[3] FIRST <- shift = jax.random.normal(key, x.shape)
      draw uniform float32[3] AGAIN <- return shift + jax.random.uniform(key, x.shape)
    """
    noisy(jax.random.PRNGKey(0), X)


def reuse_in_compiled_code() -> None:
    """
    root jax.random.key(0) <- jax.jit(noisy)(jax.random.key(0), X)
      draw normal float32[3] (noisy) FIRST <- shift = jax.random.normal(key, x.shape)
      draw uniform float32[3] (noisy) AGAIN <- return shift + jax.random.uniform(key, x.shape)
    """
    jax.jit(noisy)(jax.random.key(0), X)


def parent_behind_its_split() -> None:
    """
    root jax.random.key(1) <- key = jax.random.key(1)
      split split into 2 FIRST <- one, _ = jax.random.split(key)
        child [0]
          draw normal float32[] <- jax.random.normal(one) + jax.random.normal(key)
        unused x1
      draw normal float32[] AGAIN <- jax.random.normal(one) + jax.random.normal(key)
    """
    key = jax.random.key(1)

    def code(key: jax.Array) -> None:
        one, _ = jax.random.split(key)
        jax.random.normal(one) + jax.random.normal(key)

    code(key)


def stale_key_in_a_loop() -> None:
    """
    root jax.random.key(2) <- key = jax.random.key(2)
      split split into 2 (step) x3 AGAIN <- key, sub = jax.random.split(key)
        child [1]
          draw normal float32[] (step) x3 <- return state + jax.random.normal(sub), key
        unused x1
    """
    key = jax.random.key(2)
    for _ in range(3):
        step(jnp.zeros(()), key)


def splits_and_folds() -> None:
    """
    root jax.random.key(3) <- key = jax.random.key(3)
      split split into 3 <- one, two, three = jax.random.split(key, 3)
        child [0]
          draw normal float32[] <- jax.random.normal(one)
        child [1]
          draw permutation int32[5] <- jax.random.permutation(two, 5)
        child [2]
          fold fold_in(0 … 3) x4 <- jax.random.bernoulli(jax.random.fold_in(three, number))
            draw bernoulli bool[] <- jax.random.bernoulli(jax.random.fold_in(three, number))
    """
    key = jax.random.key(3)
    one, two, three = jax.random.split(key, 3)
    jax.random.normal(one)
    jax.random.permutation(two, 5)
    for number in range(4):
        jax.random.bernoulli(jax.random.fold_in(three, number))


def a_key_carried_through_compiled_steps() -> None:
    """
    root jax.random.key(4) <- key = jax.random.key(4)
      split split into 2 (step) x29 on with 0 <- key, sub = jax.random.split(key)
        child [1]
          draw normal float32[] (step) <- return state + jax.random.normal(sub), key
      split split into 2 (step) <- key, sub = jax.random.split(key)
        child [1]
          draw normal float32[] (step) <- return state + jax.random.normal(sub), key
        unused x1
    """
    key = jax.random.key(4)
    state = jnp.zeros(())
    for _ in range(30):
        state, key = step(state, key)


def a_raw_key_carried_through_compiled_steps() -> None:
    """
    root jax.random.PRNGKey(4) <- key = jax.random.PRNGKey(4)
      split split into 2 (step) x29 on with 0 <- key, sub = jax.random.split(key)
        child [1]
          draw normal float32[] (step) <- return state + jax.random.normal(sub), key
      split split into 2 (step) <- key, sub = jax.random.split(key)
        child [1]
          draw normal float32[] (step) <- return state + jax.random.normal(sub), key
        unused x1
    """
    key = jax.random.PRNGKey(4)
    state = jnp.zeros(())
    for _ in range(30):
        state, key = step(state, key)


def epochs_and_batches() -> None:
    """
    root jax.random.key(5) <- key = jax.random.key(5)
      again x2
        split split into 2 on with 0 <- key, sub = jax.random.split(key)  # epoch
          child [1]
            draw permutation int32[4] <- jax.random.permutation(sub, 4)
        split split into 2 x3 on with 0 <- key, sub = jax.random.split(key)  # batch
          child [1]
            draw normal float32[] <- jax.random.normal(sub)
      split split into 2 <- key, sub = jax.random.split(key)  # last
        child [0]
          draw uniform float32[] <- jax.random.uniform(key)
        child [1]
          draw normal float32[] <- jax.random.normal(sub)  # last
    """
    key = jax.random.key(5)
    for _ in range(2):
        key, sub = jax.random.split(key)  # epoch
        jax.random.permutation(sub, 4)
        for _ in range(3):
            key, sub = jax.random.split(key)  # batch
            jax.random.normal(sub)
    key, sub = jax.random.split(key)  # last
    jax.random.normal(sub)  # last
    jax.random.uniform(key)


@jax.jit
def scanned(key: jax.Array, xs: jax.Array) -> Any:
    def body(key: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        key, sub = jax.random.split(key)
        return key, x + jax.random.normal(sub)

    return jax.lax.scan(body, key, xs)


def a_key_carried_through_a_scan() -> None:
    """
    root jax.random.key(6) <- key, _ = scanned(jax.random.key(6), X)
      split split into 2 (scanned) LOOP <- key, sub = jax.random.split(key)
        child [1]
          draw normal float32[] (scanned) LOOP <- return key, x + jax.random.normal(sub)
      out a key that scanned returned <- key, _ = scanned(jax.random.key(6), X)
        draw normal float32[] <- jax.random.normal(key)
    """
    key, _ = scanned(jax.random.key(6), X)
    jax.random.normal(key)


def a_key_that_every_pass_of_a_scan_uses() -> None:
    """
    root jax.random.key(7) <- code(jax.random.key(7), X)
      draw normal float32[] (code) LOOP AGAIN <- return carry, x + jax.random.normal(key)
    """

    @jax.jit
    def code(key: jax.Array, xs: jax.Array) -> Any:
        def body(carry: float, x: jax.Array) -> tuple[float, jax.Array]:
            return carry, x + jax.random.normal(key)

        return jax.lax.scan(body, 0.0, xs)

    code(jax.random.key(7), X)


def keys_that_a_scan_goes_through() -> None:
    """
    root jax.random.key(8) <- jax.jit(code)(jax.random.split(jax.random.key(8), 6))
      split split into 6 <- jax.jit(code)(jax.random.split(jax.random.key(8), 6))
        child [0]
          split split into 2 (code) LOOP <- one, other = jax.random.split(key)
            child [0]
              draw normal float32[] (code) LOOP <- return jax.random.normal(one) + jax.random.uniform(other)
            child [1]
              draw uniform float32[] (code) LOOP <- return jax.random.normal(one) + jax.random.uniform(other)
        child [1 … 5] x5
          split split into 2 (code) LOOP <- one, other = jax.random.split(key)
    """

    def code(keys: jax.Array) -> Any:
        def body(key: jax.Array) -> jax.Array:
            one, other = jax.random.split(key)
            return jax.random.normal(one) + jax.random.uniform(other)

        return jax.lax.map(body, keys)

    jax.jit(code)(jax.random.split(jax.random.key(8), 6))


def a_batch_of_keys() -> None:
    """
    root jax.random.key(9) <- jax.vmap(draw)(jax.random.split(jax.random.key(9), 100))
      split split into 100 <- jax.vmap(draw)(jax.random.split(jax.random.key(9), 100))
        child [0 … 99] x100
          draw normal float32[100,2] <- return jax.random.normal(key, (2,))
    """

    def draw(key: jax.Array) -> jax.Array:
        return jax.random.normal(key, (2,))

    jax.vmap(draw)(jax.random.split(jax.random.key(9), 100))


def folds_of_a_batch() -> None:
    """
    root jax.random.key(10) <- keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(10), jnp.arange(3))
      fold fold_in(1) <- keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(10), jnp.arange(3))
        draw normal float32[] <- jax.random.normal(keys[1])
      unused fold x2
    """
    keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(10), jnp.arange(3))
    jax.random.normal(keys[1])


def folds_in_compiled_code() -> None:
    """
    root jax.random.key(11) <- jax.jit(code)(jax.random.key(11), 5)
      fold fold_in(3) <- return jax.random.normal(jax.random.fold_in(key, 3)) + jax.random.normal(step_key)
        draw normal float32[] (code) <- return jax.random.normal(jax.random.fold_in(key, 3)) + jax.random.normal(step_key)
      fold fold_in(5) <- step_key = jax.random.fold_in(key, number)
        draw normal float32[] (code) <- return jax.random.normal(jax.random.fold_in(key, 3)) + jax.random.normal(step_key)
    """

    def code(key: jax.Array, number: int) -> jax.Array:
        step_key = jax.random.fold_in(key, number)
        return jax.random.normal(jax.random.fold_in(key, 3)) + jax.random.normal(step_key)

    jax.jit(code)(jax.random.key(11), 5)


def a_key_made_in_compiled_code() -> None:
    """
    root jax.random.key(12) <- jax.jit(lambda: jax.random.normal(jax.random.key(12)))()
      draw normal float32[] (<lambda>) <- jax.jit(lambda: jax.random.normal(jax.random.key(12)))()
    """
    jax.jit(lambda: jax.random.normal(jax.random.key(12)))()


def donated_keys() -> None:
    """
    root jax.random.key(13) <- key = jax.random.key(13)
      split split into 2 (first) x2 on with 0 <- return jax.random.split(key)[0]
        unused x1
      split split into 2 (first) <- return jax.random.split(key)[0]
        child [0]
          draw normal float32[] <- jax.random.normal(key)
        unused x1
    """

    def first(key: jax.Array) -> jax.Array:
        return jax.random.split(key)[0]

    compiled = jax.jit(first, donate_argnums=0)
    key = jax.random.key(13)
    for _ in range(3):
        key = compiled(key)
    jax.random.normal(key)


def one_of_two_branches() -> None:
    """
    root jax.random.key(14) <- jax.jit(code)(True, jax.random.key(14))
      draw uniform float32[] (code) <- return jax.lax.cond(which, jax.random.normal, jax.random.uniform, key)  # type: ignore[no-any-return]
      draw normal float32[] (code) <- return jax.lax.cond(which, jax.random.normal, jax.random.uniform, key)  # type: ignore[no-any-return]
    """

    def code(which: bool, key: jax.Array) -> jax.Array:
        return jax.lax.cond(which, jax.random.normal, jax.random.uniform, key)  # type: ignore[no-any-return]

    jax.jit(code)(True, jax.random.key(14))


def keys_of_a_linen_module() -> None:
    """
    root jax.random.key(15) <- keys = dict(zip(("params", "dropout"), jax.random.split(jax.random.key(15)), strict=True))
      split split into 2 <- keys = dict(zip(("params", "dropout"), jax.random.split(jax.random.key(15)), strict=True))
        child [0]
          fold fold_in(…) <- module.init(keys, X[None])
            draw truncated_normal float32[3,3] <- module.init(keys, X[None])
          give given to a linen module as `params` x2 <- module.init(keys, X[None])
          unused fold x1
        child [1]
          fold fold_in(…) <- module.init(keys, X[None])
            draw bernoulli bool[1,3] <- module.init(keys, X[None])
          give given to a linen module as `dropout` <- module.init(keys, X[None])
    """
    module = nn.Sequential([nn.Dense(3), nn.Dropout(0.5, deterministic=False)])
    keys = dict(zip(("params", "dropout"), jax.random.split(jax.random.key(15)), strict=True))
    module.init(keys, X[None])


def keys_of_many_seeds() -> None:
    """
    root jax.random.key(16 … 20) x5 <- jax.random.normal(jax.random.key(seed))
      draw normal float32[] <- jax.random.normal(jax.random.key(seed))
    """
    for seed in range(16, 21):
        jax.random.normal(jax.random.key(seed))


def words_that_somebody_made() -> None:
    """
    root a raw key, [1, 2] <- jax.random.normal(jnp.array([1, 2], dtype=jnp.uint32))
      draw normal float32[] <- jax.random.normal(jnp.array([1, 2], dtype=jnp.uint32))
    """
    jax.random.normal(jnp.array([1, 2], dtype=jnp.uint32))


ALL: list[Callable[[], None]] = [
    value
    for value in list(globals().values())
    if inspect.isfunction(value) and (value.__doc__ or "").lstrip().startswith("root ")
]
