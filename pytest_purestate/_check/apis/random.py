"""``jax.random`` and what makes, derives or spends keys elsewhere in JAX."""

TABLE = """
jax.random.{key,PRNGKey,wrap_key_data,unsafe_rbg_key,threefry2x32_key}(seed): returns key
jax.random.clone(key): returns key
jax.random.split(key, num): splits key; returns keys
jax.random.fold_in(key, data): returns key; pure
jax.random.{key_data,key_impl,default_prng_impl}(keys): returns array
jax.random.*(key): consumes key; returns array

jax.nn.initializers.{zeros,ones}(key, shape, dtype): returns array
jax.nn.initializers.{normal,uniform,truncated_normal,glorot_normal,glorot_uniform,xavier_normal,
    xavier_uniform,lecun_normal,lecun_uniform,he_normal,he_uniform,kaiming_normal,kaiming_uniform,
    variance_scaling,orthogonal,delta_orthogonal}(scale): returns initializer
jax.nn.initializers.{constant}(value): returns opaque
@initializer.__call__(key, shape, dtype): consumes key; returns array

jax.random.{PRNGKeyArray,KeyArray}(key): returns opaque
"""

KEY_ANNOTATIONS = frozenset(
    [
        "PRNGKeyArray",
        "PRNGKey",
        "KeyArray",
        "PRNGSequence",
        "Key",
        "KeyArrayLike",
        "PRNGKeyArrayLike",
        "RNGKey",
        "JaxKey",
        "PRNGKeyLike",
    ]
)
"""Names of types that say "this is a key" wherever they are imported from."""
