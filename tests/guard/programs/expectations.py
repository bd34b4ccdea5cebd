"""What the tests of JAX's own key checker, and of its first prototype, expect: one or two programs for a row.

A program named `good_` must be silent. One named `bad_` must be reported, with the line of the first use
(`# first`) and of the reuse (`# reuse`); a letter behind the marks tells pairs apart. A line marked
`# maybe-first` or `# maybe-reuse` is as right as the marked one, and a report there alone is not required.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax, random


def good_clone_of_a_drawn_key() -> None:
    """Rows test_random_clone and test_clone_eager: the clone of a consumed key is fresh."""
    key = random.key(0)
    random.normal(key)
    random.normal(random.clone(key))  # type: ignore[no-untyped-call]


def bad_clone_drawn_twice() -> None:
    """Row test_random_clone: a clone allows one more use, not two."""
    key = random.key(0)
    random.normal(key)  # maybe-first
    copy = random.clone(key)  # type: ignore[no-untyped-call]
    random.normal(copy)  # first
    random.normal(copy)  # reuse


def good_seed_is_fresh() -> None:
    """Row test_seed: a key from a seed may be drawn from."""
    random.normal(random.key(0))


def bad_split_then_drawn() -> None:
    """Rows test_split and test_reuse_after_split, f_bad: split consumes the parent."""
    key = random.key(0)
    random.split(key)  # first
    random.uniform(key)  # reuse


def good_split_children_drawn() -> None:
    """Rows test_split and test_reuse_after_split, f_good: the children are fresh."""
    key = random.key(0)
    one, other = random.split(key)
    random.uniform(one)
    random.uniform(other)


def bad_split_twice() -> None:
    """Row test_reuse_after_split, f_bad_2: split twice."""
    key = random.key(0)
    random.split(key)  # first
    random.split(key)  # reuse


def bad_split_twice_in_different_numbers() -> None:
    """Row test_different_n_splits: the numbers of children do not matter."""
    key = random.key(0)
    random.split(key, 2)  # first
    random.split(key, 3)  # reuse


def bad_drawn_then_split() -> None:
    """Row test_rand_bits_and_split: bits, then split."""
    key = random.key(0)
    random.bits(key)  # first
    random.split(key)  # reuse


def good_fold_in_leaves_parent_and_child_fresh() -> None:
    """Rows test_fold_in and test_reuse_after_fold_in: neither parent nor child is consumed."""
    key = random.key(0)
    child = random.fold_in(key, 1)
    random.uniform(child)
    random.uniform(key)


def bad_folded_child_drawn_twice() -> None:
    """Row test_fold_in: the child is fresh, but once."""
    child = random.fold_in(random.key(0), 1)
    random.uniform(child)  # first
    random.uniform(child)  # reuse


def good_repeated_fold_ins() -> None:
    """Row test_repeated_fold_ins: ten children of one key."""
    key = random.key(0)
    for child in [random.fold_in(key, i) for i in range(10)]:
        random.bits(child)


def bad_bits_twice() -> None:
    """Row test_bits: bits consumes."""
    key = random.key(0)
    random.bits(key)  # first
    random.bits(key)  # reuse


def good_wrapped_data_is_fresh() -> None:
    """Row test_wrap: wrap_key_data gives a fresh key."""
    random.bits(random.wrap_key_data(jnp.array([1, 2], jnp.uint32)))


def bad_wrapped_data_drawn_twice() -> None:
    """Row test_wrap: fresh, but once."""
    key = random.wrap_key_data(jnp.array([1, 2], jnp.uint32))
    random.bits(key)  # first
    random.bits(key)  # reuse


def good_key_data_does_not_consume() -> None:
    """Row test_unwrap: key_data, before and after the draw."""
    key = random.key(0)
    random.key_data(key)
    random.bits(key)
    random.key_data(key)


def good_gamma_once() -> None:
    """Row test_gamma: one call, though it splits and loops inside."""
    random.gamma(random.key(0), 1.0)


def bad_gamma_twice() -> None:
    """Row test_gamma: gamma consumes."""
    key = random.key(0)
    random.gamma(key, 1.0)  # first
    random.gamma(key, 1.0)  # reuse


def good_only_the_broadcast_drawn() -> None:
    """Row test_broadcast_in_dim: `key[None]` is the key; it alone is used."""
    key = random.key(0)
    jax.vmap(random.bits)(key[None])


def bad_broadcast_in_dim_and_key_drawn() -> None:
    """Row test_broadcast_in_dim and test_reuse_after_broadcast, eager."""
    key = random.key(0)
    alias = key[None]
    random.bits(key)  # first
    jax.vmap(random.bits)(alias)  # reuse


def bad_broadcast_in_dim_in_jit() -> None:
    """Row test_reuse_after_broadcast, in a jitted function."""

    @jax.jit
    def f(key: jax.Array) -> jax.Array:
        once = random.bits(key)  # first
        return once + jax.vmap(random.bits)(key[None])  # reuse

    f(random.key(0))


def good_only_the_copy_drawn() -> None:
    """Row test_copy: a copy alone is used."""
    random.bits(jnp.array(random.key(0), copy=True))


def bad_copy_and_key_drawn() -> None:
    """Row test_copy: `jnp.array(key, copy=True)` is the same key."""
    key = random.key(0)
    copy = jnp.array(key, copy=True)
    random.bits(copy)  # first
    random.bits(key)  # reuse


def bad_device_put_and_key_drawn() -> None:
    """Row test_device_put: the same key on a device."""
    key = random.key(0)
    there = jax.device_put(key, jax.devices()[0])
    random.bits(there)  # first
    random.bits(key)  # reuse


def good_device_put_of_two_keys() -> None:
    """Row test_device_put_multiple: one to one, so each is used once."""
    one, other = random.split(random.key(0))
    there, _ = jax.device_put((one, other))
    random.bits(there)
    random.bits(other)


def bad_device_put_of_two_keys() -> None:
    """Row test_device_put_multiple: the second of the tuple is the second key."""
    one, other = random.split(random.key(0))
    _, there = jax.device_put((one, other))
    random.bits(there)  # first
    random.bits(one)
    random.bits(other)  # reuse


def bad_squeeze_and_key_drawn() -> None:
    """Row test_squeeze: squeezing gives the same key."""
    keys = random.split(random.key(0), 1)
    key = keys.squeeze()
    random.bits(key)  # first
    jax.vmap(random.bits)(keys)  # reuse


def bad_squeeze_alias_in_jit() -> None:
    """Row test_reuse_after_squeeze, in a jitted function."""

    @jax.jit
    def f(key: jax.Array) -> jax.Array:
        once = random.bits(key)  # first
        return once + random.bits(jnp.squeeze(key[None]))  # reuse

    f(random.key(0))


def good_only_the_reshaped_drawn() -> None:
    """Row test_reshape: the reshaped keys alone are used."""
    keys = random.split(random.key(0), 4).reshape(2, 2)
    jax.vmap(jax.vmap(random.bits))(keys)


def bad_reshaped_and_key_drawn() -> None:
    """Rows test_reshape and test_reuse_after_reshape: both on one line."""
    key = random.key(0)
    random.bits(key) + random.bits(key.reshape(1).squeeze())  # first # reuse


def good_only_the_concatenated_drawn() -> None:
    """Row test_concatenate: the result is fresh."""
    one, other = random.split(random.key(0))
    jax.vmap(random.bits)(jnp.concatenate([one[None], other[None]]))


def bad_concatenated_and_part_drawn() -> None:
    """Row test_concatenate: a part of what was drawn is drawn again."""
    one, other = random.split(random.key(0))
    both = jnp.concatenate([one[None], other[None]])
    jax.vmap(random.bits)(both)  # first
    random.bits(other)  # reuse


def good_slices_of_different_elements() -> None:
    """Rows test_slice and test_consuming_slice_different_index."""
    keys = random.split(random.key(0))
    random.bits(keys[0])
    random.bits(keys[1])


def bad_slices_of_the_same_element() -> None:
    """Rows test_slice and test_consuming_slice_same_index (which the prototype missed)."""
    keys = random.split(random.key(0))
    random.bits(keys[0])  # first
    random.bits(keys[1])
    random.bits(keys[0])  # reuse


def good_keys_compared_for_equality() -> None:
    """Row test_equality_checks, `==`: in a jitted function and outside."""
    one, other = random.split(random.key(0))
    random.bits(one)
    assert not bool((one == other).any())
    assert bool(jax.jit(lambda a, b: a == b)(one, one))
    random.bits(other)


def good_keys_compared_for_difference() -> None:
    """Row test_equality_checks, `!=`."""
    one, other = random.split(random.key(0))
    assert one != other
    assert not bool(jax.jit(lambda a, b: a != b)(one, one))
    random.bits(one)
    random.bits(other)


def bad_jitted_sampler_then_drawn() -> None:
    """Row test_jit_can_consume_input."""
    key = random.key(0)
    jax.jit(random.bits)(key)  # first
    random.bits(key)  # reuse


def bad_jitted_function_returns_the_used_key() -> None:
    """Row test_jit_can_return_consumed_output: it is still used outside."""

    @jax.jit
    def f(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        value = random.bits(key)  # first
        return value, key

    _, key = f(random.key(0))
    random.bits(key)  # reuse


def good_jitted_function_returns_a_child() -> None:
    """Row test_jit_can_return_consumed_output, corrected: a child comes back."""

    @jax.jit
    def f(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        key, sub = random.split(key)
        return random.bits(sub), key

    _, key = f(random.key(0))
    f(key)


def good_jit_duplicate_inputs() -> None:
    """Row test_jit_duplicate_inputs: of two arguments that are one key, one is used."""

    @jax.jit
    def g(one: jax.Array, other: jax.Array) -> jax.Array:
        return random.bits(one)

    key = random.key(0)
    g(key, key)


def bad_jit_duplicate_inputs_then_drawn() -> None:
    """Row test_jit_duplicate_inputs: the key is spent afterwards."""

    @jax.jit
    def g(one: jax.Array, other: jax.Array) -> jax.Array:
        return random.bits(one)  # first

    key = random.key(0)
    g(key, key)
    random.bits(key)  # reuse


def bad_jit_duplicate_inputs_both_drawn() -> None:
    """Row test_jit_duplicate_inputs: both arguments are used, and are one key."""

    @jax.jit
    def g(one: jax.Array, other: jax.Array) -> tuple[jax.Array, jax.Array]:
        value = random.bits(one)  # first
        return value, random.bits(other)  # reuse

    key = random.key(0)
    g(key, key)


def good_only_what_jit_passes_through_drawn() -> None:
    """Row test_jit_propagates_consumption_bit: the result alone is used."""
    random.bits(jax.jit(lambda key: key)(random.key(0)))


def bad_what_jit_passes_through_and_key_drawn() -> None:
    """Row test_jit_propagates_consumption_bit: the result is the key."""
    key = random.key(0)
    alias = jax.jit(lambda key: key)(key)
    random.bits(key)  # first
    random.bits(alias)  # reuse


def bad_jit_duplicate_outputs() -> None:
    """Row test_jit_duplicate_outputs: both results are the key."""
    one, other = jax.jit(lambda key: (key, key))(random.key(0))
    random.bits(one)  # first
    random.bits(other)  # reuse


def good_cond_both_branches_use() -> None:
    """Rows test_cond_both_consumed and test_reuse_after_cond, f_good: one use, whichever way it goes."""
    lax.cond(jnp.bool_(True), random.uniform, random.normal, random.key(0))


def bad_cond_both_branches_use_then_drawn() -> None:
    """Rows test_cond_both_consumed and test_reuse_after_cond, f_bad."""
    key = random.key(0)
    lax.cond(jnp.bool_(True), random.uniform, random.normal, key)  # first
    random.uniform(key)  # reuse


def bad_cond_one_branch_uses_then_drawn() -> None:
    """Rows test_cond_one_consumed and test_reuse_after_cond, f_bad_2: it takes the branch that draws."""
    key = random.key(0)
    lax.cond(jnp.bool_(True), random.uniform, lambda key: 1.0, key)  # first
    random.uniform(key)  # reuse


def bad_cond_one_branch_uses_then_drawn_in_jit() -> None:
    """Row test_reuse_after_cond, f_bad_2: nobody can know which branch is taken."""

    @jax.jit
    def f(flag: jax.Array, key: jax.Array) -> Any:
        value = lax.cond(flag, random.uniform, lambda key: 1.0, key)  # first
        return value + random.uniform(key)  # reuse

    f(jnp.bool_(True), random.key(0))


def good_cond_neither_branch_uses() -> None:
    """Row test_cond_neither_consumed: the key is still fresh."""
    key = random.key(0)
    lax.cond(jnp.bool_(True), lambda key: 0.0, lambda key: 1.0, key)
    random.uniform(key)


def good_cond_in_jit() -> None:
    """Row test_reuse_after_cond, f_good, with a condition that is traced."""
    jax.jit(lambda flag, key: lax.cond(flag, random.uniform, random.normal, key))(True, random.key(0))


def good_vmap_over_seeds() -> None:
    """Row test_simple_vmap: the key is made inside, from each seed."""
    jax.vmap(lambda seed: random.uniform(random.key(seed)))(jnp.arange(5))


def bad_reuse() -> None:
    """Row test_reuse: on one line, eagerly."""
    key = random.key(0)
    random.uniform(key) + random.uniform(key)  # first # reuse


def bad_reuse_in_jit() -> None:
    """Rows test_reuse and test_key_reuse_within_jit."""

    @jax.jit
    def f(key: jax.Array) -> jax.Array:
        one = random.bits(key)  # first
        return one + random.bits(key)  # reuse

    f(random.key(0))


def good_simple_scan() -> None:
    """Row test_simple_scan: the body splits the carried key."""

    def body(key: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
        key, sub = random.split(key)
        return key, random.normal(sub)

    lax.scan(body, random.key(0), None, length=3)


def bad_scan_draws_from_a_constant() -> None:
    """Rows test_scan_sink_on_consts and test_scan_closed_over_key_double_use."""
    key = random.key(0)

    def body(carry: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
        return carry, random.uniform(key)  # first # reuse

    lax.scan(body, jnp.zeros(()), None, length=3)


def bad_scan_carries_the_used_key() -> None:
    """Rows test_scan_reuse_in_body and test_scan_reuses_carry (which the prototype missed)."""

    def body(key: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
        return key, random.bits(key)  # first # reuse

    lax.scan(body, random.key(0), None, length=3)


def good_scan_over_keys() -> None:
    """Rows test_scan_good_over_keys and test_scan_reuses_inp: one key for each iteration."""
    lax.map(random.bits, random.split(random.key(0), 5))


def good_scan_consumes_one_of_two() -> None:
    """Row test_scan_consume_one: the pair becomes the children of its first key."""

    def body(carry: tuple[jax.Array, jax.Array], _: None) -> tuple[tuple[jax.Array, jax.Array], None]:
        one, other = random.split(carry[0])
        return (one, other), None

    one, other = random.split(random.key(0))
    lax.scan(body, (one, other), None, length=3)


def bad_scan_double_use_in_one_iteration() -> None:
    """Row test_scan_double_use_in_one_iteration."""

    def body(carry: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        carry = carry + random.uniform(key)  # first
        return carry, random.normal(key)  # reuse

    lax.scan(body, jnp.zeros(()), random.split(random.key(0), 3))


def bad_scan_double_use_in_no_iteration() -> None:
    """Row test_scan_double_use_zero_iteration: the body would use a key twice, were it run."""

    def body(carry: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        carry = carry + random.uniform(key)  # first
        return carry, random.normal(key)  # reuse

    lax.scan(body, jnp.zeros(()), random.split(random.key(0), 3)[:0])


def good_vmap_one_use_inside() -> None:
    """Row test_vmap, f_good: one use of a key made inside."""
    jax.vmap(lambda x: x + random.bits(random.key(0)))(jnp.arange(3, dtype=jnp.uint32))


def bad_vmap_two_uses_inside() -> None:
    """Row test_vmap, f_bad: two uses of a key made inside."""

    def f(x: jax.Array) -> jax.Array:
        key = random.key(0)
        x = x + random.bits(key)  # first
        return x + random.bits(key)  # reuse

    jax.vmap(f)(jnp.arange(3, dtype=jnp.uint32))


def bad_vmap_double_use_in_one_batch() -> None:
    """Row test_vmap_double_use_in_one_batch: each of the keys is used twice."""

    def f(key: jax.Array) -> jax.Array:
        one = random.uniform(key)  # first
        return one + random.normal(key)  # reuse

    jax.vmap(f)(random.split(random.key(0), 3))


def bad_vmap_broadcast_key_double_use() -> None:
    """Row test_vmap_broadcast_key_double_use: used twice in each lane, whatever the lanes share."""

    def f(x: jax.Array, key: jax.Array) -> jax.Array:
        one = random.uniform(key)  # first
        return x + one + random.normal(key)  # reuse

    jax.vmap(f, in_axes=(0, None))(jnp.arange(3.0), random.key(0))


def good_vmap_broadcast_key_cross_batch() -> None:
    """Row test_vmap_broadcast_key_cross_batch: one draw for the whole batch; a static rule asks about it."""
    jax.vmap(lambda x, key: x + random.uniform(key), in_axes=(0, None))(jnp.arange(3.0), random.key(0))


def good_while_simple() -> None:
    """Row test_while_simple: the body splits the carried key."""

    def body(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        i, key = carry
        key, sub = random.split(key)
        return i + 1 + random.randint(sub, (), 0, 2), key

    lax.while_loop(lambda carry: carry[0] < 5, body, (jnp.array(0), random.key(0)))


def bad_while_condition_draws() -> None:
    """Rows test_while_bad_cond and test_while_loop_reuse_cond_body: the body passes the key on."""

    def condition(carry: tuple[jax.Array, jax.Array]) -> jax.Array:
        i, key = carry
        return i + random.uniform(key) < 3  # first # reuse

    lax.while_loop(condition, lambda carry: (carry[0] + 1, carry[1]), (jnp.array(0), random.key(0)))


def bad_while_condition_and_body_draw() -> None:
    """Row test_while_loop_reuse_cond_body: the key that the condition drew from is split by the body."""

    def condition(carry: tuple[jax.Array, jax.Array]) -> jax.Array:
        i, key = carry
        return i + random.uniform(key) < 3  # first

    def body(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        i, key = carry
        key, _ = random.split(key)  # reuse
        return i + 1, key

    lax.while_loop(condition, body, (jnp.array(0), random.key(0)))


def bad_while_body_passes_the_used_key_on() -> None:
    """Row test_while_bad_body."""

    def body(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        total, key = carry
        return total + 1 + random.uniform(key), key  # first # reuse

    lax.while_loop(lambda carry: carry[0] < 5, body, (jnp.array(0.0), random.key(0)))


def bad_while_body_draws_from_a_constant() -> None:
    """Row test_while_sink_on_body_consts."""
    key = random.key(0)

    def body(total: jax.Array) -> jax.Array:
        return total + 1 + random.uniform(key)  # first # reuse

    lax.while_loop(lambda total: total < 5, body, jnp.array(0.0))


def bad_while_condition_draws_from_a_constant() -> None:
    """Row test_while_sink_on_cond_consts."""
    key = random.key(0)

    def condition(total: jax.Array) -> jax.Array:
        return total + random.uniform(key) < 5  # first # reuse

    lax.while_loop(condition, lambda total: total + 1, jnp.array(0.0))


def bad_while_draws_then_splits() -> None:
    """The loop of JAX's tests/batching_test.py: the body draws from its key and then splits it."""

    def body(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        u, key = carry
        u = random.uniform(key)  # first
        _, key = random.split(key)  # reuse
        return u, key

    lax.while_loop(lambda carry: carry[0] > 0.5, body, (jnp.array(1.0), random.key(0)))


def good_used_key_passed_to_jit_that_ignores_it() -> None:
    """Row test_pjit_consumed_input."""

    @jax.jit
    def f(key: jax.Array, x: jax.Array) -> jax.Array:
        return 2 * x

    key = random.key(0)
    f(key, random.normal(key))


def bad_remat() -> None:
    """Row test_remat, f_bad."""

    @jax.checkpoint
    def f(x: jax.Array, key: jax.Array) -> jax.Array:
        x = x * random.uniform(key)  # first
        return x * random.normal(key)  # reuse

    f(jnp.array(1.0), random.key(0))


def bad_remat_under_value_and_grad() -> None:
    """Row test_remat, value_and_grad(f_bad)."""

    @jax.checkpoint
    def f(x: jax.Array, key: jax.Array) -> jax.Array:
        x = jnp.sin(x * random.uniform(key))  # first
        return jnp.sin(x * random.normal(key))  # reuse

    jax.value_and_grad(f)(jnp.array(1.0), random.key(0))


def good_remat() -> None:
    """Row test_remat, f_good."""
    jax.checkpoint(lambda x, key: x * random.uniform(key))(jnp.array(1.0), random.key(0))


def good_remat_under_grad() -> None:
    """Row test_remat, grad(f_good): the backward pass replays the draw."""

    @jax.checkpoint
    def f(x: jax.Array, key: jax.Array) -> jax.Array:
        return jnp.sin(x * random.uniform(key))

    jax.grad(f)(jnp.array(1.0), random.key(0))


def good_once_without_jit() -> None:
    """Row test_simple_reuse_nojit, corrected: samplers run primitive by primitive, each on a key of its own."""
    one, other = random.split(random.key(0))
    with jax.disable_jit():
        random.bits(one)
        random.randint(other, (2,), 0, 10)


def bad_twice_without_jit() -> None:
    """Row test_simple_reuse_nojit."""
    key = random.key(0)
    with jax.disable_jit():
        random.bits(key)  # first
        random.bits(key)  # reuse


def bad_jitted_sampler_called_twice() -> None:
    """Row test_simple_key_reuse_jit: the second call takes the program traced by the first."""
    key = random.key(0)
    f = jax.jit(random.bits)
    f(key)  # first
    f(key)  # reuse


def bad_jitted_closure_called_twice() -> None:
    """Row test_closed_over_key_reuse_jit."""
    key = random.key(0)

    @jax.jit
    def f() -> jax.Array:
        return random.bits(key)  # first # reuse

    f()
    f()


def good_jitted_closure_called_once() -> None:
    """Row test_closed_over_key_reuse_jit, corrected."""
    key = random.key(0)
    jax.jit(lambda: random.bits(key))()


def good_vmap_over_no_keys() -> None:
    """Row test_vmap_zero_sized_axis."""
    jax.vmap(random.bits)(random.split(random.key(0), 2)[:0])


def bad_samplers_twice_1() -> None:
    """Row test_double_use_errors, first part."""
    a, b, c, d = random.split(random.key(0), 4)
    random.bernoulli(a), random.bernoulli(a)  # first a # reuse a
    random.categorical(b, jnp.zeros(3)), random.categorical(b, jnp.zeros(3))  # first b # reuse b
    random.cauchy(c), random.laplace(c)  # first c # reuse c
    random.choice(d, 5), random.choice(d, 5)  # first d # reuse d


def bad_samplers_twice_2() -> None:
    """Row test_double_use_errors, second part."""
    a, b, c, d = random.split(random.key(0), 4)
    random.exponential(a), random.gumbel(a)  # first a # reuse a
    random.permutation(b, 5), random.permutation(b, 5)  # first b # reuse b
    random.rademacher(c), random.rademacher(c)  # first c # reuse c
    random.randint(d, (), 0, 9), random.randint(d, (), 0, 9)  # first d # reuse d


def bad_samplers_twice_3() -> None:
    """Row test_double_use_errors, third part."""
    a, b, c = random.split(random.key(0), 3)
    random.logistic(a), random.pareto(a, 2.0)  # first a # reuse a
    random.truncated_normal(b, -1.0, 1.0), random.weibull_min(b, 1.0, 2.0)  # first b # reuse b
    random.maxwell(c), random.maxwell(c)  # first c # reuse c


def bad_samplers_twice_while_tracing() -> None:
    """Rows test_double_use_errors and test_double_use_while_tracing_errors: those that split and loop inside."""

    def f(keys: jax.Array) -> object:
        ones = jnp.ones(3)
        return [
            random.beta(keys[0], 1.0, 2.0),  # first a
            random.beta(keys[0], 1.0, 2.0),  # reuse a
            random.dirichlet(keys[1], ones),  # first b
            random.dirichlet(keys[1], ones),  # reuse b
            random.double_sided_maxwell(keys[2], 0.0, 1.0),  # first c
            random.t(keys[2], 3.0),  # reuse c
            random.poisson(keys[3], 3.0),  # first d
            random.poisson(keys[3], 3.0),  # reuse d
        ]

    jax.make_jaxpr(f)(random.split(random.key(0), 4))


def bad_multivariate_normal_and_normal() -> None:
    """Row test_double_use_errors: one key, two distributions."""
    key = random.key(0)
    random.multivariate_normal(key, jnp.zeros(2), jnp.eye(2))  # first
    random.normal(key)  # reuse


def good_samplers_once() -> None:
    """Row test_double_use_errors, corrected: samplers that split inside, each on a key of its own."""
    a, b, c = random.split(random.key(0), 3)
    random.permutation(a, jnp.arange(5))
    random.randint(b, (3,), 0, 9)
    random.choice(c, 5, (3,), replace=False)


def good_samplers_once_while_tracing() -> None:
    """Row test_single_use_while_tracing: samplers that split and loop inside, each on a key of its own."""

    def f(keys: jax.Array) -> object:
        return (
            random.beta(keys[0], 1.0, 2.0),
            random.dirichlet(keys[1], jnp.ones(3)),
            random.double_sided_maxwell(keys[2], 0.0, 1.0),
            random.poisson(keys[3], jnp.array([3.0, 30.0])),
            random.t(keys[4], 3.0, (2,)),
            random.binomial(keys[5], 10.0, 0.5),
        )

    jax.make_jaxpr(f)(random.split(random.key(0), 6))


def bad_eval_shape_of_double_use() -> None:
    """Row test_double_use_while_tracing_errors, eval_shape: nothing is drawn, but it would be."""

    def f(key: jax.Array) -> jax.Array:
        one = random.uniform(key)  # first
        return one + random.uniform(key)  # reuse

    jax.eval_shape(f, random.key(0))


def bad_grad_of_double_use() -> None:
    """Row test_double_use_while_tracing_errors, grad."""

    def f(x: jax.Array, key: jax.Array) -> jax.Array:
        x = x * random.uniform(key)  # first
        return x * random.uniform(key)  # reuse

    jax.grad(f)(jnp.array(1.0), random.key(0))


def good_single_use_while_tracing() -> None:
    """Row test_single_use_while_tracing: eval_shape, grad, jit, each with a key of its own."""

    def f(x: jax.Array, key: jax.Array) -> jax.Array:
        return x * random.uniform(key)

    one, two, three = random.split(random.key(0), 3)
    jax.eval_shape(f, jnp.array(1.0), one)
    jax.grad(f)(jnp.array(1.0), two)
    jax.jit(f)(1.0, three)


def bad_jitted_function_called_twice() -> None:
    """Rows test_single_use_while_tracing_call_twice (which the prototype missed) and test_jit_marks_key_as_consumed."""

    @jax.jit
    def f(key: jax.Array) -> jax.Array:
        return 2 * random.uniform(key)  # first # reuse

    key = random.key(0)
    f(key)
    f(key)


def good_cond_branches_close_over_the_key() -> None:
    """Row test_cond_uses_on_both_branches_closed (a false alarm of the prototype)."""
    key = random.key(0)
    lax.cond(jnp.bool_(False), lambda: random.uniform(key), lambda: random.normal(key))


def bad_iterated_and_drawn_whole() -> None:
    """Row test_consuming_while_iterating (which the prototype missed): one by one, then all at once."""
    keys = random.split(random.key(0), 3)
    for key in keys:
        random.uniform(key)  # first
    jax.vmap(random.uniform)(keys)  # reuse
