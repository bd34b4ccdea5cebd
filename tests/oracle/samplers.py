"""The samplers that the older prototype tried, each with arguments, and the ways it called them."""

SAMPLERS = {
    "bernoulli": "key",
    "beta": "key, 1.5, 2.5",
    "categorical": "key, jnp.zeros(3)",
    "cauchy": "key",
    "choice": "key, 5",
    "dirichlet": "key, jnp.ones(3)",
    "double_sided_maxwell": "key, 0.0, 1.0",
    "exponential": "key",
    "gamma": "key, 2.0",
    "gumbel": "key",
    "laplace": "key",
    "logistic": "key",
    "maxwell": "key",
    "multivariate_normal": "key, jnp.zeros(2), jnp.eye(2)",
    "normal": "key",
    "pareto": "key, 3.0",
    "permutation": "key, 6",
    "poisson": "key, 4.0",
    "rademacher": "key, (2,)",
    "randint": "key, (), 0, 9",
    "shuffle": "key, jnp.arange(4)",
    "split": "key",
    "t": "key, 3.0",
    "truncated_normal": "key, -1.0, 1.0",
    "uniform": "key",
    "weibull_min": "key, 1.0, 2.0",
}

PAIRED = ("choice", "permutation", "shuffle")
"""One order for two arrays that belong together is often meant: low confidence."""

CONTEXTS = {
    "called": "twice(1.0, key)",
    "jit": "jax.jit(twice)(1.0, key)",
    "grad": "jax.grad(lambda x: twice(x, key)[0])(1.0)",
    "eval_shape": "jax.eval_shape(twice, 1.0, key)",
}
