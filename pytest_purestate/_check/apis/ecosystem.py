"""Haiku, Equinox, NumPyro, Distrax, TensorFlow Probability, BlackJAX, Chex, environments."""

TABLE = """
haiku.{next_rng_key,maybe_next_rng_key}(): returns key
haiku.next_rng_keys(num): returns keys
haiku.{get_parameter,get_state,set_state}(name): returns opaque
haiku.{PRNGSequence}(key_or_seed): returns stream; consumes key_or_seed as init
haiku.{with_rng}(key): consumes key as init; returns opaque
haiku.data_structures.*(x): returns deep
haiku.*(x): returns opaque
@transformed.init(rng): consumes rng as init; returns state; pure
@transformed.apply(params, *, rng): consumes rng as apply; returns opaque; state params
@stream.{next,__next__,__call__,next_key}(): returns key
@stream.{take}(n): returns keys
@stream.*(): returns key

equinox.nn.{Linear,Conv1d,Conv2d,Conv3d,Conv,ConvTranspose,ConvTranspose1d,ConvTranspose2d,
    ConvTranspose3d,GRUCell,LSTMCell,MLP,MultiheadAttention,Embedding,RotaryPositionalEmbedding,
    Bilinear,PReLU,SpectralNorm,WeightNorm}(*, key): consumes key as init; returns module
equinox.nn.{Dropout,LayerNorm,BatchNorm,GroupNorm,RMSNorm,Identity,Lambda,Sequential}(x): returns module
equinox.nn.*(*, key): consumes key as init; returns module
equinox.tree_at(where, pytree, replace): returns copy pytree; pure
equinox.{apply_updates}(model, updates): returns same model; pure
equinox.{partition,combine,filter}(pytree): returns opaque; pure
@module.__call__(x, *, key): consumes key as apply; returns array

numpyro.prng_key(): returns key
numpyro.sample(name, fn, obs, rng_key): consumes rng_key; returns array
numpyro.handlers.seed(fn, rng_seed): consumes rng_seed as init; returns opaque
numpyro.infer.{MCMC,Predictive,SVI}(x): returns kernel
@kernel.run(rng_key): consumes rng_key as apply; returns opaque
@kernel.init(rng_key): consumes rng_key as init; returns state
@kernel.__call__(rng_key): consumes rng_key as apply; returns opaque
numpyro.distributions.*(x): returns dist
distrax.*(x): returns dist
tensorflow_probability.substrates.jax.distributions.*(x): returns dist
@dist.sample(key, *, seed, rng_key): consumes key seed rng_key; returns array
@dist.{sample_and_log_prob,experimental_sample_and_log_prob}(key, *, seed, rng_key):
    consumes key seed rng_key; returns opaque
@dist.{rsample,sample_with_intermediates}(key, *, seed, rng_key): consumes key seed rng_key; returns array
@dist.{log_prob,mean,mode,entropy,variance,stddev,prob,cdf,kl_divergence}(x): returns opaque
@dist.{expand,to_event,mask}(x): returns dist

@*.reset(state): consumes keys as init; returns opaque

chex.*(x): returns opaque
jax.sharding.*(x): returns opaque
"""
