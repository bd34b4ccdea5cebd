"""What JAX's own checker catches, misses and wrongly reports: one or two programs for a measured fact.

The marks are explained in `expectations`.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax, random


def bad_python_loop() -> None:
    """Caught: the same key in each pass of a loop."""
    key = random.key(0)
    for _ in range(3):
        random.normal(key)  # first # reuse


def bad_make_jaxpr() -> None:
    """Caught: double use in what make_jaxpr traces."""

    def f(key: jax.Array) -> jax.Array:
        one = random.normal(key)  # first
        return one + random.normal(key)  # reuse

    jax.make_jaxpr(f)(random.key(0))


def bad_switch_then_drawn() -> None:
    """Caught: each branch of a switch draws, then the key is drawn from again."""
    key = random.key(0)
    lax.switch(jnp.array(1), [random.normal, random.uniform, random.exponential], key)  # first
    random.normal(key)  # reuse


def good_switch() -> None:
    """Silent: each branch of a switch draws once."""
    lax.switch(jnp.array(1), [random.normal, random.uniform, random.exponential], random.key(0))


def bad_one_element_twice_in_jit() -> None:
    """Caught: one element of a key array twice, in a jitted function."""

    @jax.jit
    def f(keys: jax.Array) -> jax.Array:
        one = random.normal(keys[0])  # first
        return one + random.normal(keys[0])  # reuse

    f(random.split(random.key(0)))


def bad_dynamic_index_twice_in_jit() -> None:
    """Caught: `keys[i]` twice with one traced index."""

    @jax.jit
    def f(keys: jax.Array, i: jax.Array) -> jax.Array:
        one = random.normal(keys[i])  # first
        return one + random.normal(keys[i])  # reuse

    f(random.split(random.key(0)), jnp.array(1))


def good_elements_in_jit() -> None:
    """Silent: different elements, unpacked and indexed, in a jitted function."""

    @jax.jit
    def f(key: jax.Array) -> jax.Array:
        one, other = random.split(key)
        keys = random.split(other, 3)
        return random.normal(one) + random.normal(keys[0]) + random.normal(keys[1]) + random.normal(keys[-1])

    f(random.key(0))


def bad_fori_closure() -> None:
    """Caught: fori_loop draws from a key that its body closes over."""
    key = random.key(0)

    def body(i: jax.Array, total: jax.Array) -> jax.Array:
        return total + random.normal(key)  # first # reuse

    lax.fori_loop(0, 3, body, jnp.array(0.0))


def bad_state_dict_keeps_the_used_key() -> None:
    """Caught: the step draws from the key in its state and leaves it there for the next step."""

    @jax.jit
    def step(state: dict[str, jax.Array]) -> dict[str, jax.Array]:
        noise = random.normal(state["key"], (2,))  # first # reuse
        return {"w": state["w"] + noise, "key": state["key"]}

    state = {"w": jnp.zeros(2), "key": random.key(0)}
    for _ in range(3):
        state = step(state)


def good_state_dict_gets_a_new_key() -> None:
    """Silent: the step replaces the key in its state."""

    @jax.jit
    def step(state: dict[str, jax.Array]) -> dict[str, jax.Array]:
        key, noise_key = random.split(state["key"])
        return {"w": state["w"] + random.normal(noise_key, (2,)), "key": key}

    state = {"w": jnp.zeros(2), "key": random.key(0)}
    for _ in range(3):
        state = step(state)


def good_fold_in_loop_and_python_branches() -> None:
    """Silent: fold_in with the loop's counter, and one draw in each of two Python branches."""
    key = random.key(0)
    for i in range(4):
        child = random.fold_in(key, i)
        if i % 2:
            random.normal(child)
        else:
            random.uniform(child)


def bad_raw_key_twice() -> None:
    """Missed: raw keys, eagerly."""
    key = random.PRNGKey(0)
    random.normal(key)  # first
    random.uniform(key)  # reuse


def good_raw_keys() -> None:
    """Silent: raw keys, each once."""
    one, other = random.split(random.PRNGKey(0))
    random.normal(one)
    random.uniform(other)


def bad_raw_key_twice_in_jit() -> None:
    """Missed: raw keys, in a jitted function."""

    @jax.jit
    def f(key: jax.Array) -> jax.Array:
        one = random.normal(key)  # first
        return one + random.uniform(key)  # reuse

    f(random.PRNGKey(0))


def good_raw_keys_in_jit() -> None:
    """Silent: raw keys in a jitted function, unpacked and indexed."""

    @jax.jit
    def f(key: jax.Array) -> jax.Array:
        one, other = random.split(key)
        keys = random.split(other, 3)
        return random.normal(one) + random.normal(keys[0]) + random.normal(keys[1])

    f(random.PRNGKey(0))


def bad_raw_key_split_then_drawn() -> None:
    """Missed: split and draw of one raw key."""
    key = random.PRNGKey(0)
    random.split(key)  # first
    random.normal(key)  # reuse


def bad_raw_jitted_function_called_twice() -> None:
    """Missed: a jitted function gets one raw key in two calls."""

    @jax.jit
    def f(key: jax.Array) -> jax.Array:
        return 2 * random.normal(key)  # first # reuse

    key = random.PRNGKey(0)
    f(key)
    f(key)


def bad_raw_key_in_scan() -> None:
    """Missed: a raw key that the body closes over."""
    key = random.PRNGKey(0)

    def body(total: jax.Array, _: None) -> tuple[jax.Array, None]:
        return total + random.normal(key), None  # first # reuse

    lax.scan(body, jnp.array(0.0), None, length=3)


def bad_raw_key_through_numpy() -> None:
    """Missed: a raw key comes back from numpy, and is the same key."""
    key = random.PRNGKey(7)
    saved = np.asarray(key)
    random.normal(key)  # first
    random.normal(jnp.asarray(saved))  # reuse


def bad_one_seed_twice() -> None:
    """Missed: one seed makes one key, however often."""
    random.normal(random.key(0))  # first
    random.normal(random.key(0))  # reuse


def good_two_seeds() -> None:
    """Silent: two seeds."""
    random.normal(random.key(0))
    random.normal(random.key(1))


def bad_jitted_function_makes_its_key() -> None:
    """Missed: a jitted function with a seed of its own draws the same in each call."""

    @jax.jit
    def f(x: jax.Array) -> jax.Array:
        return x + random.normal(random.key(0))  # first # reuse

    f(jnp.array(1.0))
    f(jnp.array(2.0))


def good_jitted_function_makes_its_key_from_the_argument() -> None:
    """Silent: the seed is an argument."""
    f = jax.jit(lambda seed: random.normal(random.key(seed)))
    f(0)
    f(1)


def bad_fold_in_with_the_same_data() -> None:
    """Missed: two children that are one."""
    key = random.key(0)
    random.normal(random.fold_in(key, 3))  # first
    random.uniform(random.fold_in(key, 3))  # reuse


def bad_fold_in_with_the_same_data_in_jit() -> None:
    """Missed: two children that are one, in a jitted function."""

    @jax.jit
    def f(key: jax.Array) -> jax.Array:
        one = random.normal(random.fold_in(key, 3))  # first
        return one + random.uniform(random.fold_in(key, 3))  # reuse

    f(random.key(0))


def good_fold_in_with_different_data_in_jit() -> None:
    """Silent: two children, in a jitted function."""
    jax.jit(lambda k: random.normal(random.fold_in(k, 3)) + random.normal(random.fold_in(k, 4)))(
        random.key(0)
    )


def bad_key_laundered_through_its_data() -> None:
    """Missed: wrapped again, it is the same key."""
    key = random.key(0)
    random.normal(key)  # first
    random.normal(random.wrap_key_data(random.key_data(key)))  # reuse


def bad_key_laundered_through_its_data_in_jit() -> None:
    """Missed: wrapped again, it is the same key, in a jitted function."""

    @jax.jit
    def f(key: jax.Array) -> jax.Array:
        one = random.normal(key)  # first
        return one + random.normal(random.wrap_key_data(random.key_data(key)))  # reuse

    f(random.key(0))


def bad_eager_alias_by_array() -> None:
    """Missed: `jnp.array(key)` before the first use."""
    key = random.key(0)
    alias = jnp.array(key)
    random.normal(key)  # first
    random.normal(alias)  # reuse


def bad_dynamic_index_twice() -> None:
    """Missed: `keys[i]` twice, eagerly."""
    keys = random.split(random.key(0), 3)
    i = jnp.array(1)
    random.normal(keys[i])  # first
    random.normal(keys[i])  # reuse


def good_dynamic_indices() -> None:
    """Silent: `keys[i]` for each i."""
    keys = random.split(random.key(0), 3)
    for i in range(3):
        random.normal(keys[i])


def bad_iterated_twice() -> None:
    """Missed: two loops over one key array."""
    keys = random.split(random.key(0), 3)
    for key in keys:
        random.normal(key)  # first
    for key in keys:
        random.normal(key)  # reuse


def good_iterated_once() -> None:
    """Silent: one loop over a key array."""
    for key in random.split(random.key(0), 3):
        random.normal(key)


def bad_whole_array_then_element() -> None:
    """Missed: all keys are used, then one of them."""
    keys = random.split(random.key(0), 3)
    jax.vmap(random.normal)(keys)  # first
    random.normal(keys[0])  # reuse


def good_vmap_closes_over_a_key() -> None:
    """One draw for the whole batch: the guard is silent by policy, a static rule asks about it."""
    key = random.key(0)
    jax.vmap(lambda x: x + random.normal(key))(jnp.arange(3.0))


def good_vmap_with_an_unmapped_key() -> None:
    """One draw for the whole batch: the guard is silent by policy, a static rule asks about it."""
    jax.vmap(lambda x, key: x + random.normal(key), in_axes=(0, None))(jnp.arange(3.0), random.key(0))


def bad_custom_jvp() -> None:
    """Missed: double use in the body of a custom_jvp function."""

    @jax.custom_jvp
    def f(x: jax.Array, key: jax.Array) -> jax.Array:
        x = x + random.normal(key)  # first
        return x + random.normal(key)  # reuse

    f.defjvp(lambda primals, tangents: (f(*primals), tangents[0]))
    f(jnp.array(1.0), random.key(0))


def good_custom_jvp() -> None:
    """Silent: one use in the body of a custom_jvp function, run and differentiated with two keys."""

    @jax.custom_jvp
    def f(x: jax.Array, key: jax.Array) -> jax.Array:
        return x + random.normal(key)

    f.defjvp(lambda primals, tangents: (f(*primals), tangents[0]))
    one, other = random.split(random.key(0))
    f(jnp.array(1.0), one)
    jax.grad(f)(jnp.array(1.0), other)


def good_custom_jvp_receives_a_key() -> None:
    """A false alarm: a custom_jvp function merely receives a key that is used elsewhere."""

    @jax.custom_jvp
    def f(x: jax.Array, key: jax.Array) -> jax.Array:
        return 2 * x

    f.defjvp(lambda primals, tangents: (f(*primals), 2 * tangents[0]))
    key = random.key(0)
    random.normal(key)
    f(jnp.array(1.0), key)
    jax.jit(f)(jnp.array(1.0), key)


def bad_custom_vjp() -> None:
    """Missed: double use in the body of a custom_vjp function."""

    @jax.custom_vjp
    def f(x: jax.Array, key: jax.Array) -> jax.Array:
        x = x + random.normal(key)  # first
        return x + random.normal(key)  # reuse

    f.defvjp(lambda x, key: (f(x, key), None), lambda _, g: (g, None))
    f(jnp.array(1.0), random.key(0))


def bad_custom_vjp_in_jit() -> None:
    """Missed: double use in the body of a custom_vjp function that a jitted function calls."""

    @jax.custom_vjp
    def f(x: jax.Array, key: jax.Array) -> jax.Array:
        x = x + random.normal(key)  # first
        return x + random.normal(key)  # reuse

    f.defvjp(lambda x, key: (f(x, key), None), lambda _, g: (g, None))
    jax.jit(f)(jnp.array(1.0), random.key(0))


def good_custom_vjp() -> None:
    """Silent: one use in the body of a custom_vjp function."""

    @jax.custom_vjp
    def f(x: jax.Array, key: jax.Array) -> jax.Array:
        return x + random.normal(key)

    f.defvjp(lambda x, key: (f(x, key), None), lambda _, g: (g, None))
    one, other = random.split(random.key(0))
    f(jnp.array(1.0), one)
    jax.jit(jax.grad(f))(jnp.array(1.0), other)


def good_unused_subkey() -> None:
    """Missed, and no reuse: a child that nobody uses is a matter of another rule."""
    key, _ = random.split(random.key(0))
    random.normal(key)


def good_where_in_jit() -> None:
    """A false alarm: one of two keys is chosen, and used once."""
    one, other = random.split(random.key(0))
    jax.jit(lambda flag, a, b: random.normal(jnp.where(flag, a, b)))(True, one, other)


def good_select_in_jit() -> None:
    """A false alarm: lax.select of key arrays."""
    one, other = random.split(random.key(0), (2, 3))

    @jax.jit
    def f(flags: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
        return jax.vmap(random.normal)(lax.select(flags, a, b))

    f(jnp.array([True, False, True]), one, other)


def good_flip_in_jit() -> None:
    """A false alarm: keys in the other order."""
    jax.jit(lambda keys: jax.vmap(random.normal)(jnp.flip(keys)))(random.split(random.key(0), 3))


def good_transpose_in_jit() -> None:
    """A false alarm: `.T` of keys."""
    keys = random.split(random.key(0), (2, 3))
    jax.jit(lambda keys: jax.vmap(jax.vmap(random.normal))(keys.T))(keys)


def good_stack_in_jit() -> None:
    """A false alarm: stacked keys, each used once."""
    one, other = random.split(random.key(0))
    jax.jit(lambda a, b: jax.vmap(random.normal)(jnp.stack([a, b])))(one, other)


def good_callback_in_vmap() -> None:
    """A false alarm: debug.callback under vmap gets a key."""

    def f(key: jax.Array) -> jax.Array:
        jax.debug.callback(lambda _: None, key)
        return random.normal(key)

    jax.vmap(f)(random.split(random.key(0), 3))
    jax.effects_barrier()  # type: ignore[no-untyped-call]


def good_vmap_of_scan_over_children() -> None:
    """A false alarm: the mapped function splits its key and scans over the children."""

    def f(key: jax.Array) -> jax.Array:
        keys = random.split(key, 3)
        return lax.scan(lambda total, k: (total + random.normal(k), None), jnp.array(0.0), keys)[0]

    jax.vmap(f)(random.split(random.key(0), 2))


def bad_linen_params_and_dropout_with_one_key() -> None:
    """Missed: one key for two streams of `init`."""
    model = nn.Sequential([nn.Dense(3), nn.Dropout(0.5, deterministic=False)])
    key = random.key(0)
    model.init({"params": key, "dropout": key}, jnp.ones((1, 2)))  # first # reuse


def good_linen_params_and_dropout() -> None:
    """Silent: two keys for two streams of `init`."""
    model = nn.Sequential([nn.Dense(3), nn.Dropout(0.5, deterministic=False)])
    params_key, dropout_key = random.split(random.key(0))
    model.init({"params": params_key, "dropout": dropout_key}, jnp.ones((1, 2)))


def bad_linen_two_inits_with_one_key() -> None:
    """Missed: the two models are equal."""
    key = random.key(0)
    nn.Dense(3).init(key, jnp.ones((1, 2)))  # first
    nn.Dense(3).init(key, jnp.ones((1, 2)))  # reuse


def good_linen_two_inits_with_two_keys() -> None:
    """Silent: two models, two keys."""
    one, other = random.split(random.key(0))
    nn.Dense(3).init(one, jnp.ones((1, 2)))
    nn.Dense(3).init(other, jnp.ones((1, 2)))


def bad_linen_init_then_split() -> None:
    """Missed: `init` uses the key, then it is split for the training."""
    key = random.key(0)
    nn.Dense(3).init(key, jnp.ones((1, 2)))  # first
    random.split(key)  # reuse


def bad_linen_init_key_for_dropout() -> None:
    """Missed: the key of `init` goes to `apply`, too."""
    model = nn.Sequential([nn.Dense(3), nn.Dropout(0.5, deterministic=False)])
    init_key, dropout_key = random.split(random.key(0))
    variables = model.init({"params": init_key, "dropout": dropout_key}, jnp.ones((1, 2)))  # first
    model.apply(variables, jnp.ones((1, 2)), rngs={"dropout": dropout_key})  # reuse


def good_linen_init_and_apply() -> None:
    """Silent: the key of `init` and another one for `apply`."""
    model = nn.Sequential([nn.Dense(3), nn.Dropout(0.5, deterministic=False)])
    init_key, first_key, second_key = random.split(random.key(0), 3)
    variables = model.init({"params": init_key, "dropout": first_key}, jnp.ones((1, 2)))
    model.apply(variables, jnp.ones((1, 2)), rngs={"dropout": second_key})


def bad_linen_apply_twice_with_one_dropout_key() -> None:
    """Missed: two training steps drop the same units."""
    model = nn.Dropout(0.5, deterministic=False)
    key = random.key(0)
    model.apply({}, jnp.ones((1, 2)), rngs={"dropout": key})  # first
    model.apply({}, jnp.ones((1, 2)), rngs={"dropout": key})  # reuse


def bad_nnx_rngs_and_its_key() -> None:
    """Missed: the key of a nnx.Rngs is split beside it; the first child is the first key of the nnx.Rngs."""
    key = random.key(0)
    rngs = nnx.Rngs(key)  # maybe-first
    nnx.Linear(2, 3, rngs=rngs)  # first
    one, _ = random.split(key)  # maybe-reuse
    random.normal(one)  # reuse


def bad_nnx_two_rngs_of_one_seed() -> None:
    """Missed: two nnx.Rngs(0) give equal layers."""
    nnx.Linear(2, 3, rngs=nnx.Rngs(0))  # first
    nnx.Linear(2, 3, rngs=nnx.Rngs(0))  # reuse


def good_nnx_one_rngs() -> None:
    """Silent: one nnx.Rngs for many layers."""
    rngs = nnx.Rngs(0)
    for _ in range(3):
        nnx.Linear(2, 3, rngs=rngs)


def good_many_element_selections_as_in_a_tree_search() -> None:
    """A false alarm in mctx: the search chooses the key to go on with, in a jitted loop."""

    def body(
        carry: tuple[jax.Array, jax.Array], i: jax.Array
    ) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
        key, kept = carry
        key, one, other = random.split(key, 3)
        kept = jnp.where(i % 2 == 0, one, other)
        return (key, kept), random.normal(kept)

    keys = random.split(random.key(0))
    jax.jit(lambda a, b: lax.scan(body, (a, b), jnp.arange(4)))(keys[0], keys[1])
