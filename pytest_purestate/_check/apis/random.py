"""``jax.random`` and what makes, derives or spends keys elsewhere in JAX."""

TABLE = """
jax.random.{key,PRNGKey,unsafe_rbg_key,threefry2x32_key}(seed): returns key seed
jax.random.wrap_key_data(key_bits_array): returns key key_bits_array
jax.random.clone(key): returns key
jax.random.split(key, num): splits key; returns keys
jax.random.fold_in(key, data): returns fold key data; pure
jax.random.{key_data,key_impl,default_prng_impl}(keys): returns array
jax.random.key_dtype(impl_spec): returns static
jax.random.{bits,cauchy,exponential,gumbel,laplace,logistic,maxwell,normal,rademacher,randint,
    uniform}(key, shape): consumes key; returns array
jax.random.{ball,bernoulli,beta,binomial,categorical,chisquare,choice,dirichlet,double_sided_maxwell,f,gamma,
    generalized_normal,geometric,loggamma,lognormal,multinomial,multivariate_normal,orthogonal,pareto,permutation,
    poisson,random_gamma_p,rayleigh,shuffle,t,triangular,truncated_normal,wald,
    weibull_min}(key): consumes key; returns array
jax.random.*(key): consumes key; returns array

jax.nn.initializers.{zeros,ones}(key, shape, dtype): returns array
jax.nn.initializers.{normal,truncated_normal}(stddev): returns initializer
jax.nn.initializers.{uniform,variance_scaling,orthogonal,delta_orthogonal}(scale): returns initializer
jax.nn.initializers.{glorot_normal,glorot_uniform,xavier_normal,xavier_uniform,lecun_normal,lecun_uniform,
    he_normal,he_uniform,kaiming_normal,kaiming_uniform}(in_axis): returns initializer
jax.nn.initializers.constant(value): returns constant
jax.nn.initializers.{zeros_init,ones_init}(): returns constant
@constant.__call__(key, shape, dtype): returns array
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
