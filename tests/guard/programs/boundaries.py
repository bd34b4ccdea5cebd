"""Where use ends and reuse begins: policies, coincidences of values, and things that could trip the guard.

The marks are explained in `expectations`.
"""

import contextlib
import copy
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax, random


def good_drawn_then_folded() -> None:
    """Policy: fold_in from a key that was drawn from."""
    key = random.key(0)
    random.normal(key)
    random.normal(random.fold_in(key, 1))


def good_split_then_folded() -> None:
    """Policy: fold_in from a key that was split, with data that is no child's index."""
    key = random.key(0)
    for child in random.split(key):
        random.normal(child)
    random.normal(random.fold_in(key, 7))


def bad_folded_child_is_a_split_child() -> None:
    """With threefry, `fold_in(key, 1)` is `split(key)[1]`: the two draws are equal."""
    key = random.key(0)
    _, child = random.split(key)
    random.normal(child)  # first
    random.normal(random.fold_in(key, 1))  # reuse


def good_folded_in_several_levels() -> None:
    """Children of children, each once; the order of the data matters."""
    key = random.key(0)
    for epoch in range(2):
        for step in range(2):
            random.normal(random.fold_in(random.fold_in(key, 10 + epoch), step))


def bad_folded_in_the_same_levels() -> None:
    """Children of children with the same data at each level."""
    key = random.key(0)
    random.normal(random.fold_in(random.fold_in(key, 1), 2))  # first
    random.normal(random.fold_in(random.fold_in(key, 1), 2))  # reuse


def bad_fold_in_with_a_constant_in_a_python_loop() -> None:
    """The data of fold_in does not change with the loop."""
    key = random.key(0)
    for _ in range(3):
        random.normal(random.fold_in(key, 5))  # first # reuse


def bad_folded_child_split_twice() -> None:
    """The same child made twice, and split twice."""
    key = random.key(0)
    random.split(random.fold_in(key, 5))  # first
    random.split(random.fold_in(key, 5))  # reuse


def good_scan_folds_in_the_index() -> None:
    """A constant key, folded with the index that the scan goes over."""
    key = random.key(0)
    lax.scan(
        lambda total, i: (total + random.normal(random.fold_in(key, i)), None), jnp.array(0.0), jnp.arange(3)
    )


def good_fori_folds_in_the_index() -> None:
    """A constant key, folded with the loop's index."""
    key = random.key(0)
    lax.fori_loop(0, 3, lambda i, total: total + random.normal(random.fold_in(key, i)), jnp.array(0.0))


def good_while_folds_in_the_counter() -> None:
    """A constant key, folded with a counter that the loop carries."""
    key = random.key(0)

    def body(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        i, total = carry
        return i + 1, total + random.normal(random.fold_in(key, i))

    lax.while_loop(lambda carry: carry[0] < 3, body, (jnp.array(0), jnp.array(0.0)))


def good_map_folds_in_the_element() -> None:
    """A constant key, folded with the element."""
    key = random.key(0)
    lax.map(lambda i: random.normal(random.fold_in(key, i)), jnp.arange(3))


def bad_scan_folds_in_a_constant() -> None:
    """A constant key, folded with a constant: each iteration draws the same."""
    key = random.key(0)

    def body(total: jax.Array, x: jax.Array) -> tuple[jax.Array, None]:
        child = random.fold_in(key, 3)
        return total + x * random.normal(child), None  # first # reuse

    lax.scan(body, jnp.array(0.0), jnp.arange(3.0))


def bad_map_draws_from_a_constant() -> None:
    """lax.map is a loop: one key for all elements."""
    key = random.key(0)

    def body(x: jax.Array) -> jax.Array:
        return x + random.normal(key)  # first # reuse

    lax.map(body, jnp.arange(3.0))


def bad_scan_splits_a_constant() -> None:
    """A constant key, split in each iteration."""
    key = random.key(0)

    def body(total: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        return total, random.split(key)  # first # reuse

    lax.scan(body, jnp.array(0.0), jnp.arange(3.0))


def bad_scan_draws_from_the_carried_parent() -> None:
    """The body splits its key and draws from the parent."""

    def body(key: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
        new, _ = random.split(key)  # first
        return new, random.normal(key)  # reuse

    lax.scan(body, random.key(0), None, length=3)


def bad_scan_over_keys_then_element() -> None:
    """The keys that a loop went over are used again after it."""
    keys = random.split(random.key(0), 3)
    lax.map(random.normal, keys)  # first
    random.normal(keys[2])  # reuse


def bad_key_used_before_and_in_a_scan() -> None:
    """The key that starts the loop was used before."""

    def body(key: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
        key, sub = random.split(key)  # reuse
        return key, random.normal(sub)

    key = random.key(0)
    random.normal(key)  # first
    lax.scan(body, key, None, length=2)


def good_scan_of_one_iteration() -> None:
    """A constant key, but one iteration."""
    key = random.key(0)
    lax.scan(lambda total, _: (total + random.normal(key), None), jnp.array(0.0), None, length=1)


def good_scan_goes_on_with_what_it_returned() -> None:
    """Two loops, the second starts from the key that the first returned."""

    @jax.jit
    def run(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        def body(key: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
            key, sub = random.split(key)
            return key, random.normal(sub)

        return lax.scan(body, key, None, length=3)

    key, _ = run(random.key(0))
    run(key)


def good_fori_indexes_keys() -> None:
    """The loop takes one of the keys in each iteration."""
    keys = random.split(random.key(0), 3)
    lax.fori_loop(0, 3, lambda i, total: total + random.normal(keys[i]), jnp.array(0.0))


def bad_fori_indexes_the_same_key() -> None:
    """The loop takes the same key in each iteration."""
    keys = random.split(random.key(0), 3)

    def body(i: jax.Array, total: jax.Array) -> jax.Array:
        return total + random.normal(keys[0])  # first # reuse

    lax.fori_loop(0, 3, body, jnp.array(0.0))


def good_nested_scans() -> None:
    """The outer loop splits for the inner one."""

    def inner(key: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
        key, sub = random.split(key)
        return key, random.normal(sub)

    def outer(key: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
        key, sub = random.split(key)
        return key, lax.scan(inner, sub, None, length=2)[1]

    lax.scan(outer, random.key(0), None, length=2)


def bad_inner_scan_takes_the_outer_key() -> None:
    """The inner loop draws from the key of the outer iteration."""

    def outer(total: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        def inner(total: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
            return total + random.normal(key), total  # first # reuse

        return lax.scan(inner, total, None, length=2)

    lax.scan(outer, jnp.array(0.0), random.split(random.key(0), 2))


def bad_double_use_in_a_branch() -> None:
    """One branch draws twice."""

    def branch(key: jax.Array) -> jax.Array:
        one = random.normal(key)  # first
        return one + random.normal(key)  # reuse

    lax.cond(jnp.bool_(True), branch, lambda key: random.uniform(key), random.key(0))


def bad_drawn_then_in_a_branch() -> None:
    """The key of the branch was used before."""
    key = random.key(0)
    random.normal(key)  # first
    lax.cond(jnp.bool_(True), random.uniform, random.normal, key)  # reuse


def good_branches_use_different_keys() -> None:
    """Each branch has a key of its own."""
    one, other = random.split(random.key(0))
    lax.cond(jnp.bool_(True), lambda a, b: random.normal(a), lambda a, b: random.normal(b), one, other)


def bad_two_branches_in_a_row() -> None:
    """Two conditions, one key."""

    @jax.jit
    def f(flag: jax.Array, key: jax.Array) -> Any:
        one = lax.cond(flag, random.normal, random.uniform, key)  # first
        return one + lax.cond(flag, random.normal, random.uniform, key)  # reuse

    f(jnp.bool_(True), random.key(0))


def good_jitted_step_folds_in_its_argument() -> None:
    """A jitted function called with one key and another number each time."""
    step = jax.jit(lambda key, i: random.normal(random.fold_in(key, i)))
    key = random.key(0)
    for i in range(3):
        step(key, i)


def bad_jitted_step_folds_in_the_same_number() -> None:
    """A jitted function called with one key and one number twice."""

    @jax.jit
    def step(key: jax.Array, i: int) -> jax.Array:
        return random.normal(random.fold_in(key, i))  # first # reuse

    key = random.key(0)
    step(key, 1)
    step(key, 1)


def good_jitted_step_folds_in_its_counter() -> None:
    """A jitted function that advances the counter in the state."""

    @jax.jit
    def step(state: dict[str, jax.Array]) -> dict[str, jax.Array]:
        noise = random.normal(random.fold_in(state["key"], state["step"]))
        return {"key": state["key"], "step": state["step"] + 1, "x": state["x"] + noise}

    state = {"key": random.key(0), "step": jnp.array(0), "x": jnp.array(0.0)}
    for _ in range(3):
        state = step(state)


def bad_jitted_step_forgets_its_counter() -> None:
    """A jitted function that does not advance the counter in the state."""

    @jax.jit
    def step(state: dict[str, jax.Array]) -> dict[str, jax.Array]:
        noise = random.normal(random.fold_in(state["key"], state["step"]))  # first # reuse
        return {"key": state["key"], "step": state["step"], "x": state["x"] + noise}

    state = {"key": random.key(0), "step": jnp.array(0), "x": jnp.array(0.0)}
    for _ in range(3):
        state = step(state)


def good_jitted_helper_gets_two_keys() -> None:
    """A jitted function calls another one twice, with two keys."""
    helper = jax.jit(lambda key: random.normal(key))
    jax.jit(lambda one, other: helper(one) + helper(other))(*random.split(random.key(0)))


def bad_jitted_helper_gets_one_key_twice() -> None:
    """A jitted function calls another one twice, with one key."""

    @jax.jit
    def helper(key: jax.Array) -> jax.Array:
        return random.normal(key)  # first # reuse

    jax.jit(lambda key: helper(key) + helper(key))(random.key(0))


def bad_helper_gets_one_key_twice() -> None:
    """The draw is in a helper, so that it is both the first use and the reuse."""

    def helper(key: jax.Array) -> jax.Array:
        return random.normal(key)  # first # reuse

    key = random.key(0)
    helper(key)
    helper(key)


def bad_helper_draws_and_caller_draws() -> None:
    """A helper uses the key, then its caller does."""

    def helper(key: jax.Array) -> jax.Array:
        return random.normal(key)  # first

    key = random.key(0)
    helper(key)
    random.normal(key)  # reuse


def bad_compiled_by_one_key_run_with_another_twice() -> None:
    """The line of the first use is that of the second call: the first call had another key."""
    f = jax.jit(random.normal)
    one, other = random.split(random.key(0))
    f(one)
    f(other)  # first
    f(other)  # reuse


def bad_compiled_ahead_of_time() -> None:
    """Lowering uses nothing; the compiled program spends its key each time it is called."""
    key, x = random.key(0), jnp.ones(2)
    drawn = jax.jit(lambda key, x: x + random.normal(key, x.shape))  # first # reuse
    f = drawn.lower(key, x).compile()
    f(key, x)
    f(key, x)


def bad_compiled_ahead_of_time_with_raw_keys() -> None:
    """The same with raw keys, one of them given by keyword."""
    key = random.PRNGKey(0)
    drawn = jax.jit(lambda x, *, noise: x + random.normal(noise))  # first
    f = drawn.trace(1.0, noise=key).lower().compile()
    f(2.0, noise=key)
    random.uniform(key)  # reuse


def bad_inside_of_what_was_compiled_ahead_of_time() -> None:
    """The reuse is in the program."""

    def f(key: jax.Array) -> jax.Array:
        one = random.normal(key)  # first
        return one + random.uniform(key)  # reuse

    jax.jit(f).lower(random.key(0)).compile()(random.key(1))


def good_compiled_ahead_of_time() -> None:
    """Another key for each call; and a program that has no keys, called often."""
    one, other = random.split(random.key(0))
    f = jax.jit(random.normal).lower(one).compile()
    f(one)
    f(other)
    g = jax.jit(jnp.sin).lower(1.0).compile()
    g(1.0)
    g(1.0)


def good_compiled_ahead_of_time_and_called_wrongly() -> None:
    """A call that was refused has used nothing."""
    key = random.key(0)
    f = jax.jit(random.normal).lower(key).compile()
    with contextlib.suppress(TypeError):
        f(key, key)
    f(key)


def bad_handed_to_pmap_twice() -> None:
    """One array of keys for two calls that are mapped over devices."""
    f = jax.pmap(lambda key: random.normal(key, (2,)))  # first # reuse
    keys = random.split(random.key(0), 1)
    f(keys)
    f(keys)


def bad_inside_of_pmap() -> None:
    """The reuse is in the function."""

    def f(key: jax.Array) -> jax.Array:
        one = random.normal(key)  # first
        return one + random.uniform(key)  # reuse

    jax.pmap(f)(random.split(random.key(0), 1))


def good_handed_to_pmap() -> None:
    """A part of the keys for each call."""
    f = jax.pmap(lambda key: random.normal(key, (2,)))
    keys = random.split(random.key(0), 2)
    f(keys[:1])
    f(keys[1:])


def good_eval_shape_then_run() -> None:
    """Nothing is drawn when only shapes are computed, or a program is traced or lowered."""

    def f(key: jax.Array) -> jax.Array:
        return random.normal(key, (3,))

    key = random.key(0)
    jax.eval_shape(f, key)
    jax.make_jaxpr(f)(key)
    jax.jit(f).lower(key)
    f(key)


def good_draw_that_failed() -> None:
    """A call that was refused has used nothing."""
    key = random.key(0)
    with contextlib.suppress(ValueError):
        random.normal(key, (2,), dtype=jnp.int32)
    random.normal(key, (2,))


def good_looked_at() -> None:
    """Printed, hashed by its data, copied to the host, put in containers: not used."""
    key = random.key(0)
    words = tuple(np.asarray(random.key_data(key)).tolist())
    assert {words: key}[words] is key
    assert str(key)
    assert key.shape == ()
    assert random.key_impl(key)
    jax.tree.map(lambda leaf: leaf, {"key": key})["key"].block_until_ready()
    random.normal(key)


def bad_copied_by_python() -> None:
    """copy.deepcopy gives the same key."""
    key = random.key(0)
    random.normal(copy.deepcopy(key))  # first
    random.normal(key)  # reuse


def bad_two_in_one_container() -> None:
    """A tree that holds one key under two names."""
    key = random.key(0)
    keys = {"encoder": key, "decoder": key}
    random.normal(keys["encoder"])  # first
    random.normal(keys["decoder"])  # reuse


def bad_typed_and_raw_key_of_one_seed() -> None:
    """`key(0)` and `PRNGKey(0)` are the same key in two clothes."""
    random.normal(random.key(0))  # first
    random.normal(random.PRNGKey(0))  # reuse


def bad_typed_key_used_raw() -> None:
    """The data of a key is a raw key."""
    key = random.key(3)
    random.normal(random.key_data(key))  # first
    random.normal(key)  # reuse


def bad_other_implementation() -> None:
    """Keys of rbg are followed, too."""
    key = random.key(0, impl="rbg")
    random.normal(key)  # first
    random.normal(key)  # reuse


def good_other_implementations() -> None:
    """One seed in two implementations makes two keys."""
    random.normal(random.key(0, impl="rbg"))
    random.normal(random.key(0, impl="threefry2x32"))


def good_slices_that_do_not_overlap() -> None:
    """The first two, then the others, eagerly and in a jitted function."""
    keys, more = random.split(random.key(0), (2, 5))
    draw = jax.vmap(random.normal)
    draw(keys[:2])
    draw(keys[2:])
    jax.jit(lambda keys: (draw(keys[:2]), draw(keys[2:])))(more)


def bad_slices_that_overlap() -> None:
    """One key is in both slices."""
    keys = random.split(random.key(0), 5)
    jax.vmap(random.normal)(keys[:3])  # first
    jax.vmap(random.normal)(keys[2:])  # reuse


def bad_whole_array_then_element_in_jit() -> None:
    """All keys are used, then one of them, in a jitted function."""

    @jax.jit
    def f(keys: jax.Array) -> jax.Array:
        total = jax.vmap(random.normal)(keys).sum()  # first
        return total + random.normal(keys[0])  # reuse

    f(random.split(random.key(0), 3))


def bad_flipped_and_whole() -> None:
    """The same keys in the other order."""
    keys = random.split(random.key(0), 3)
    jax.vmap(random.normal)(keys)  # first
    jax.vmap(random.normal)(keys[::-1])  # reuse


def bad_stacked_and_part() -> None:
    """A stacked key and the key itself."""
    one, other = random.split(random.key(0))
    jax.vmap(random.normal)(jnp.stack([one, other]))  # first
    random.normal(one)  # reuse


def bad_stacked_and_part_in_jit() -> None:
    """A stacked key and the key itself, in a jitted function."""

    @jax.jit
    def f(one: jax.Array, other: jax.Array) -> jax.Array:
        total = jax.vmap(random.normal)(jnp.stack([one, other])).sum()  # first
        return total + random.normal(one)  # reuse

    f(*random.split(random.key(0)))


def good_stacked_and_not_used() -> None:
    """Keys were stacked, but only the parts are drawn from."""
    one, other = random.split(random.key(0))
    jnp.stack([one, other])
    jnp.concatenate([one[None], other[None]])
    random.normal(one)
    random.normal(other)


def bad_chosen_key_and_itself() -> None:
    """Eagerly it is known which of the two keys was chosen."""
    one, other = random.split(random.key(0))
    random.normal(jnp.where(True, one, other))  # first
    random.normal(one)  # reuse


def good_chosen_key_and_the_other() -> None:
    """Eagerly it is known which of the two keys was not chosen."""
    one, other = random.split(random.key(0))
    random.normal(jnp.where(True, one, other))
    random.normal(other)


def bad_raw_key_indexed_twice() -> None:
    """Rows of a raw key array are keys."""
    keys = random.split(random.PRNGKey(0), 3)
    random.normal(keys[1])  # first
    random.normal(keys[1])  # reuse


def bad_raw_keys_mapped_then_one() -> None:
    """All raw keys are used, then one of them."""
    keys = random.split(random.PRNGKey(0), 3)
    jax.vmap(random.normal)(keys)  # first
    random.normal(keys[2])  # reuse


def bad_used_in_vmap_and_after() -> None:
    """A key that the mapped function closes over is used, once for the batch; then again."""
    key = random.key(0)
    jax.vmap(lambda x: x + random.normal(key))(jnp.arange(3.0))  # first
    random.normal(key)  # reuse


def good_vmap_splits_its_keys() -> None:
    """Each lane splits its key and uses the children."""

    def f(key: jax.Array) -> jax.Array:
        one, other = random.split(key)
        return random.normal(one) + random.normal(other)

    jax.vmap(f)(random.split(random.key(0), 3))


def bad_vmap_splits_then_draws() -> None:
    """Each lane splits its key and uses it again."""

    def f(key: jax.Array) -> jax.Array:
        one, _ = random.split(key)  # first
        return random.normal(one) + random.normal(key)  # reuse

    jax.jit(jax.vmap(f))(random.split(random.key(0), 3))


def good_vmap_folds_in_the_lane() -> None:
    """One key for all lanes, folded with the lane's number."""
    key = random.key(0)
    jax.vmap(lambda i: random.normal(random.fold_in(key, i)))(jnp.arange(3))


def good_many_keys() -> None:
    """Ten thousand keys, used at once."""
    jax.vmap(random.uniform)(random.split(random.key(0), 10_000))


def bad_one_of_many_keys() -> None:
    """Ten thousand keys, used at once, and one of them again."""
    keys = random.split(random.key(0), 10_000)
    jax.vmap(random.uniform)(keys)  # first
    random.uniform(keys[7_777])  # reuse


def good_donated_key() -> None:
    """The key's buffer is gone after the call; nobody may read it then."""
    step = jax.jit(lambda key: tuple(random.split(key)), donate_argnums=0)
    key = random.PRNGKey(0)
    for _ in range(3):
        key, sub = step(key)
        random.normal(sub)


def good_clone_in_jit() -> None:
    """clone allows one more use in a jitted function, too."""
    jax.jit(lambda key: random.normal(key) + random.normal(random.clone(key)))(random.key(0))  # type: ignore[no-untyped-call]


def good_clones_for_two_draws() -> None:
    """Common random numbers on purpose: each side gets a clone."""
    key = random.key(0)
    random.normal(random.clone(key))  # type: ignore[no-untyped-call]
    random.normal(random.clone(key))  # type: ignore[no-untyped-call]


def bad_custom_jvp_in_jit() -> None:
    """Double use in the body of a custom_jvp function that a jitted function calls."""

    @jax.custom_jvp
    def f(x: jax.Array, key: jax.Array) -> jax.Array:
        x = x + random.normal(key)  # first
        return x + random.normal(key)  # reuse

    f.defjvp(lambda primals, tangents: (f(*primals), tangents[0]))
    jax.jit(f)(jnp.array(1.0), random.key(0))


def bad_custom_jvp_then_drawn() -> None:
    """The body uses the key, and its caller does, too."""

    @jax.custom_jvp
    def f(x: jax.Array, key: jax.Array) -> jax.Array:
        return x + random.normal(key)  # first

    f.defjvp(lambda primals, tangents: (f(*primals), tangents[0]))
    key = random.key(0)
    f(jnp.array(1.0), key)
    random.normal(key)  # reuse


def good_dropout_mask_made_again_in_the_backward_pass() -> None:
    """A custom_vjp function saves the key instead of the mask: the backward pass replays the draw."""

    @jax.custom_vjp
    def dropout(x: jax.Array, key: jax.Array) -> jax.Array:
        return jnp.where(random.bernoulli(key, 0.5, x.shape), x, 0.0)

    def forward(x: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jnp.where(random.bernoulli(key, 0.5, x.shape), x, 0.0), key

    def backward(key: jax.Array, g: jax.Array) -> tuple[jax.Array, None]:
        return jnp.where(random.bernoulli(key, 0.5, g.shape), g, 0.0), None

    dropout.defvjp(forward, backward)
    one, other = random.split(random.key(0))
    jax.grad(lambda x: dropout(x, one).sum())(jnp.ones(3))
    jax.jit(jax.grad(lambda x, key: dropout(x, key).sum()))(jnp.ones(3), other)


def good_remat_under_grad_in_jit() -> None:
    """The backward pass of jax.checkpoint replays the draw, in a jitted function."""

    @jax.checkpoint
    def layer(x: jax.Array, key: jax.Array) -> jax.Array:
        return jnp.sin(x * random.normal(key, x.shape))

    one, other = random.split(random.key(0))
    jax.jit(jax.grad(lambda x, a, b: layer(layer(x, a), b).sum()))(jnp.ones(3), one, other)


def bad_remat_twice_with_one_key() -> None:
    """Two checkpointed layers get one key."""

    @jax.checkpoint
    def layer(x: jax.Array, key: jax.Array) -> jax.Array:
        return jnp.sin(x * random.normal(key, x.shape))  # first # reuse

    jax.jit(jax.grad(lambda x, key: layer(layer(x, key), key).sum()))(jnp.ones(3), random.key(0))


def good_grad_of_scan() -> None:
    """The backward pass of a loop does not use its keys again."""

    def loss(x: jax.Array, keys: jax.Array) -> jax.Array:
        return lax.scan(lambda c, key: (jnp.sin(c * random.normal(key)), None), x, keys)[0]

    jax.value_and_grad(loss)(jnp.array(1.0), random.split(random.key(0), 3))


def good_jvp_vjp_and_hessian() -> None:
    """Derivatives run the function once, whatever their order."""

    def f(x: jax.Array, key: jax.Array) -> jax.Array:
        return jnp.sin(x * random.normal(key))

    a, b, c, d = random.split(random.key(0), 4)
    jax.jvp(lambda x: f(x, a), (jnp.array(1.0),), (jnp.array(1.0),))
    jax.vjp(lambda x: f(x, b), jnp.array(1.0))[1](jnp.array(1.0))
    jax.hessian(f)(jnp.array(1.0), c)
    jax.linearize(lambda x: f(x, d), jnp.array(1.0))[1](jnp.array(1.0))


def bad_initializer_twice() -> None:
    """The initializers of jax.nn draw from the key they get."""
    initializer = jax.nn.initializers.lecun_normal()
    key = random.key(0)
    initializer(key, (2, 3))  # first
    initializer(key, (3, 2))  # reuse


def good_initializers() -> None:
    """Each initializer call has a key of its own."""
    one, other = random.split(random.key(0))
    jax.nn.initializers.orthogonal()(one, (2, 2))
    jax.nn.initializers.lecun_normal()(other, (2, 3))


def bad_linen_init_of_two_models() -> None:
    """Two models of other sizes, but one key."""
    key = random.key(0)
    nn.Dense(3).init(key, jnp.ones((1, 2)))  # first
    nn.Dense(5).init(key, jnp.ones((1, 4)))  # reuse


def bad_linen_init_key_is_the_dropout_key() -> None:
    """The key that made the parameters makes the mask, too."""
    model = nn.Sequential([nn.Dense(3), nn.Dropout(0.5, deterministic=False)])
    key, other = random.split(random.key(0))
    variables = model.init({"params": key, "dropout": other}, jnp.ones((1, 2)))  # first
    model.apply(variables, jnp.ones((1, 2)), rngs={"dropout": key})  # reuse


def bad_linen_jitted_init_twice() -> None:
    """A jitted `init`, called twice with one key."""
    init = jax.jit(nn.Dense(3).init)
    key = random.key(0)
    init(key, jnp.ones((1, 2)))  # first
    init(key, jnp.ones((1, 2)))  # reuse


def bad_drawn_then_linen_init() -> None:
    """The key that made the batch makes the parameters."""
    key = random.key(0)
    x = random.normal(key, (1, 2))  # first
    nn.Dense(3).init(key, x)  # reuse


def bad_split_then_linen_init() -> None:
    """The parent goes to `init`."""
    key = random.key(0)
    random.split(key)  # first
    nn.Dense(3).init(key, jnp.ones((1, 2)))  # reuse


def bad_linen_raw_key_for_two_inits() -> None:
    """Raw keys count in linen, too."""
    key = random.PRNGKey(0)
    nn.Dense(3).init(key, jnp.ones((1, 2)))  # first
    nn.Dense(3).init(key, jnp.ones((1, 2)))  # reuse


def bad_linen_training_in_a_jitted_step() -> None:
    """A jitted training step gets one dropout key in each call."""
    model = nn.Dropout(0.5, deterministic=False)

    @jax.jit
    def step(x: jax.Array, key: jax.Array) -> Any:
        return model.apply({}, x, rngs={"dropout": key})  # first # reuse

    key = random.key(0)
    step(jnp.ones((1, 2)), key)
    step(jnp.ones((1, 2)), key)


def good_linen_init_of_dropout_from_one_key() -> None:
    """A single key for `init` serves all streams: linen itself tells them apart."""
    nn.Sequential([nn.Dense(3), nn.Dropout(0.5, deterministic=False)]).init(random.key(0), jnp.ones((1, 2)))


def good_linen_apply_without_rngs() -> None:
    """`apply` without rngs uses no key, however often, though linen checks shapes with `key(0)`."""
    model = nn.Dense(3)
    variables = model.init(random.key(0), jnp.ones((1, 2)))
    for _ in range(3):
        model.apply(variables, jnp.ones((1, 2)))


def good_linen_evaluation_ignores_its_rngs() -> None:
    """Without training no unit is dropped: the key that `apply` gets is not used."""
    model = nn.Dropout(0.5, deterministic=True)
    key = random.key(0)
    model.apply({}, jnp.ones((1, 2)), rngs={"dropout": key})
    model.apply({}, jnp.ones((1, 2)), rngs={"dropout": key})


def good_linen_shapes_then_init() -> None:
    """Shapes and tables of a model are made without drawing."""
    model = nn.Dense(3)
    key = random.key(0)
    jax.eval_shape(model.init, key, jnp.ones((1, 2)))
    model.tabulate(key, jnp.ones((1, 2)))
    model.init(key, jnp.ones((1, 2)))


def good_linen_module_draws_twice() -> None:
    """make_rng gives another key each time."""

    class Noise(nn.Module):
        @nn.compact
        def __call__(self, x: jax.Array) -> jax.Array:
            x = x + random.normal(self.make_rng("noise"), x.shape)
            return x + random.normal(self.make_rng("noise"), x.shape)

    Noise().apply({}, jnp.ones(2), rngs={"noise": random.key(0)})


def bad_linen_module_draws_twice_from_one_key() -> None:
    """One key from make_rng, two draws."""

    class Noise(nn.Module):
        @nn.compact
        def __call__(self, x: jax.Array) -> jax.Array:
            key = self.make_rng("noise")
            x = x + random.normal(key, x.shape)  # first
            return x + random.normal(key, x.shape)  # reuse

    Noise().apply({}, jnp.ones(2), rngs={"noise": random.key(0)})


def good_linen_init_then_fold_in() -> None:
    """Policy: fold_in from the key that `init` used."""
    key = random.key(0)
    nn.Dense(3).init(key, jnp.ones((1, 2)))
    random.normal(random.fold_in(key, 1))


def good_linen_remat_under_grad() -> None:
    """nn.remat and jax.grad: the mask is drawn again in the backward pass."""

    class Stack(nn.Module):
        @nn.compact
        def __call__(self, x: jax.Array) -> Any:
            x = nn.Dense(3)(x)
            return nn.remat(nn.Dropout)(0.5, deterministic=False)(x)

    params_key, init_key, step_key = random.split(random.key(0), 3)
    model, x = Stack(), jnp.ones((1, 2))
    variables = model.init({"params": params_key, "dropout": init_key}, x)
    apply: Any = model.apply
    jax.grad(lambda variables: jnp.sum(apply(variables, x, rngs={"dropout": step_key})))(variables)


def bad_nnx_rngs_used_and_its_key_given_to_another() -> None:
    """Two nnx.Rngs from one key give equal layers."""
    key = random.key(0)
    nnx.Linear(2, 3, rngs=nnx.Rngs(key))  # first
    nnx.Linear(2, 3, rngs=nnx.Rngs(key))  # reuse


def bad_nnx_two_streams_of_one_seed() -> None:
    """Streams of one seed draw the same: their names are not folded in."""
    rngs = nnx.Rngs(params=0, noise=0)
    random.normal(rngs.params(), (3,))  # first
    random.normal(rngs.noise(), (3,))  # reuse


def good_nnx_two_streams() -> None:
    """Streams of two seeds."""
    rngs = nnx.Rngs(params=0, noise=1)
    for _ in range(2):
        random.normal(rngs.params(), (3,))
        random.normal(rngs.noise(), (3,))


def good_nnx_dropout_twice() -> None:
    """A dropout layer advances its stream."""
    dropout = nnx.Dropout(0.5, rngs=nnx.Rngs(0), deterministic=False)
    dropout(jnp.ones(3))
    dropout(jnp.ones(3))


def good_nnx_dropout_in_nnx_jit() -> None:
    """nnx.jit brings the advanced stream back."""
    dropout = nnx.Dropout(0.5, rngs=nnx.Rngs(0), deterministic=False)
    step = nnx.jit(lambda model, x: model(x))
    step(dropout, jnp.ones(3))
    step(dropout, jnp.ones(3))


def bad_nnx_dropout_state_lost_in_jit() -> None:
    """A jitted function gets the state of a dropout layer and does not return it: each call drops the same."""
    graph, state = nnx.split(nnx.Dropout(0.5, rngs=nnx.Rngs(0), deterministic=False))

    @jax.jit
    def step(state: Any, x: jax.Array) -> Any:
        return nnx.merge(graph, state)(x)  # first # reuse

    step(state, jnp.ones(3))
    step(state, jnp.ones(3))
