"""The names of a library's functions and classes: one of them for each, wherever it is imported from."""

from __future__ import annotations

from functools import cache

__all__ = ["canonical"]

# The modules below flax.linen and flax.nnx whose members these have, too.
_LINEN = (
    "activation attention batch_apply combinators linear module normalization pooling recurrent stochastic transforms"
).split()
_NNX = (
    "nn.activations nn.attention nn.linear nn.lora nn.normalization nn.recurrent nn.stochastic "
    "training.ema training.metrics training.optimizer "
    "transforms.autodiff transforms.compilation transforms.iteration transforms.transforms transforms "
    "filterlib graph graphlib helpers module object pytreelib rnglib statelib variablelib"
).split()

# Other spellings of the same module, longest first.
_ALIASES = (
    ("jax._src.random.", "jax.random."),
    ("jax.experimental.maps.", "jax."),
    ("jax.interpreters.pxla.", "jax."),
    ("flax.linen.initializers.", "jax.nn.initializers."),
    ("flax.nnx.initializers.", "jax.nn.initializers."),
    ("flax.nnx.nn.initializers.", "jax.nn.initializers."),
    *((f"flax.linen.{module}.", "flax.linen.") for module in _LINEN),
    *((f"flax.nnx.{module}.", "flax.nnx.") for module in _NNX),
    ("flax.nn.", "flax.linen."),
    ("flax.experimental.nnx.", "flax.nnx."),
    ("flax.core.frozen_dict.", "flax.core."),
    ("tensorflow_probability.substrates.jax.tfd.", "tensorflow_probability.substrates.jax.distributions."),
    ("haiku._src.", "haiku."),
    ("jax.numpy.linalg.", "jax.numpy."),
    ("numpyro.contrib.control_flow.", "jax.lax."),
    ("numpyro.infer.mcmc.", "numpyro.infer."),
    ("numpyro.infer.hmc.", "numpyro.infer."),
    ("numpyro.infer.svi.", "numpyro.infer."),
    ("numpyro.infer.util.Predictive", "numpyro.infer.Predictive"),
    ("optax.transforms.", "optax."),
    ("optax.tree.", "optax.tree_utils.tree_"),
)


@cache
def canonical(name: str) -> str:
    """The one spelling under which a library's function is described."""
    for prefix, instead in _ALIASES:
        if name.startswith(prefix):
            return instead + name[len(prefix) :]
    return name
