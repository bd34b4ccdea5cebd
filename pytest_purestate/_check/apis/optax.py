"""Optax: gradient transformations hold no state; theirs goes in and comes out."""

TABLE = """
optax.apply_updates(params, updates): returns state; pure; state params updates; succeeds params as params
optax.{incremental_update,periodic_update}(new_tensors): returns state; pure
optax.{l2_loss,squared_error,huber_loss,softmax_cross_entropy,softmax_cross_entropy_with_integer_labels,
    sigmoid_binary_cross_entropy,cosine_similarity,log_cosh,ctc_loss}(x): returns array
optax.{global_norm,tree_utils.tree_l2_norm}(x): returns array
optax.{losses}.*(x): returns array
optax.tree_utils.tree_random_like(rng_key): consumes rng_key; returns state
optax.tree_utils.tree_split_key_like(rng_key, target_tree): splits rng_key; returns opaque
optax.{schedules,tree_utils,projections,assignment}.*(x): returns opaque
optax.{constant_schedule,linear_schedule,cosine_decay_schedule,exponential_decay,
    warmup_cosine_decay_schedule,piecewise_constant_schedule,join_schedules,polynomial_schedule,
    warmup_exponential_decay_schedule}(x): returns opaque
optax.add_noise(eta, gamma, key): consumes key as init; returns transform
optax.noisy_sgd(learning_rate, eta, gamma, key): consumes key as init; returns transform
optax.contrib.differentially_private_aggregate(l2_norm_clip, noise_multiplier, key): consumes key as init;
    returns transform
optax.contrib.dpsgd(learning_rate, l2_norm_clip, noise_multiplier, key): consumes key as init; returns transform
optax.monte_carlo.{score_function_jacobians,pathwise_jacobians,
    measure_valued_jacobians}(function, params, dist_builder, rng): consumes rng; returns opaque
optax.{clip,clip_by_block_rms,clip_by_global_norm,adaptive_grad_clip,unitwise_clip,identity,scale,
    add_decayed_weights,centralize,keep_params_nonnegative,normalize_by_update_norm,scale_by_sign,
    scale_by_trust_ratio,scale_by_learning_rate,scale_by_param_block_norm,scale_by_param_block_rms,set_to_zero,
    stateless,stateless_with_tree_map}(x): returns transform; stateless
optax.sgd(learning_rate, momentum): returns transform; stateless unless momentum
optax.sign_sgd(learning_rate): returns transform; stateless
optax.chain(transforms): returns transform; stateless unless transforms
optax.with_extra_args_support(tx): returns transform; stateless unless tx
optax.*(x): returns transform
@stateless.init(params): returns state; pure; state params
@stateless.update(updates, state, params): returns pair state state; pure; state state params
@transform.init(params): returns state; pure; state params
@transform.update(updates, state, params): returns pair state state; pure; state state params;
    succeeds state as optimizer
"""
