"""NumPyro, Distrax, TensorFlow Probability, RLax and BlackJAX: distributions and samplers.

NumPyro's distributions (``dist``) take the key first; those of Distrax and TFP (``tfdist``) take ``seed=`` and
have the shape in front.
"""

TABLE = """
numpyro.prng_key(): returns key
numpyro.sample(name, fn, obs, rng_key): consumes rng_key; returns array
numpyro.{param,deterministic,factor,plate,subsample,module}(name): returns opaque
numpyro.handlers.{seed}(fn, rng_seed, hide_types): wraps fn as handler; keeps rng_seed unless hide_types
numpyro.handlers.{block,collapse,condition,do,infer_config,lift,mask,reparam,replay,scale,scope,substitute,trace,
    uncondition}(fn): wraps fn as handler
numpyro.{contrib.funsor.,}{config_enumerate,enum}(fn): wraps fn as handler
numpyro.infer.{MCMC,SVI,Predictive,NUTS,HMC,HMCECS,HMCGibbs,DiscreteHMCGibbs,MixedHMC,SA,BarkerMH,AIES,ESS,
    SteinVI}(model): returns kernel
numpyro.infer.autoguide.*(model): returns kernel
numpyro.infer.util.{initialize_model,find_valid_initial_params}(rng_key, model): consumes rng_key as init; returns opaque
numpyro.contrib.funsor.{infer_discrete}(fn, first_available_dim, temperature, rng_key): consumes rng_key; returns opaque
numpyro.distributions.*(x): returns dist
@kernel.{run,warmup}(rng_key): consumes rng_key as apply; returns opaque
@kernel.init(rng_key): consumes rng_key as init; returns state
@kernel.{__call__,sample_posterior}(rng_key): consumes rng_key as apply; returns opaque
@dist.{sample,rsample,sample_with_intermediates,sample_and_log_prob}(key, *, rng_key, seed): consumes key rng_key seed; returns array
@{dist,tfdist}.{log_prob,mean,mode,entropy,variance,stddev,prob,cdf,icdf,kl_divergence}(x): returns opaque
@dist.{expand,to_event,mask,expand_by}(x): returns dist

distrax.*(x): returns tfdist
tensorflow_probability.substrates.jax.distributions.*(x): returns tfdist
tensorflow_probability.substrates.jax.mcmc.sample_chain(num_results, *, seed): consumes seed; returns opaque
tensorflow_probability.substrates.jax.vi.fit_surrogate_posterior(target, *, seed): consumes seed; returns opaque
tensorflow_probability.substrates.jax.random.split_seed(seed, n): splits seed; returns keys
@tfdist.{sample,_sample_n}(sample_shape, *, seed): consumes seed; returns array
@tfdist.{sample_and_log_prob,experimental_sample_and_log_prob}(sample_shape, *, seed): consumes seed; returns pair array array

rlax.{epsilon_greedy,softmax,greedy,categorical,multivariate_normal_diag,squashed_gaussian,gaussian_diagonal,
    clipped_entropy_softmax}(x): returns dist
rlax.{categorical_sample,add_gaussian_noise,add_ornstein_uhlenbeck_noise,
    add_dirichlet_noise}(key): consumes key; returns array

blackjax.{hmc,dynamic_hmc,nuts,mala,mclmc,adjusted_mclmc,ghmc,barker,barker_proposal,orbital_hmc,rmh,irmh,
    additive_step_random_walk,normal_random_walk,elliptical_slice,rmhmc,sgld,sghmc,sgnht,csgld,svgd,
    meanfield_vi,fullrank_vi,schrodinger_follmer,pathfinder,tempered_smc,adaptive_tempered_smc,nss,
    window_adaptation,chees_adaptation,meads_adaptation,pathfinder_adaptation}(logdensity_fn): returns sampler
blackjax.{hmc,dynamic_hmc,nuts,mala,mclmc,adjusted_mclmc,ghmc,barker,barker_proposal,orbital_hmc,rmh,irmh,
    additive_step_random_walk,elliptical_slice,rmhmc,sgld,sghmc}.build_kernel(x): returns step
blackjax.util.{run_inference_algorithm}(rng_key): consumes rng_key as apply; returns opaque
@sampler.init(position, rng_key): consumes rng_key as init; returns state
@sampler.{step,run,sample,approximate}(rng_key): consumes rng_key as apply; returns opaque
@step.__call__(rng_key): consumes rng_key as apply; returns opaque
"""
