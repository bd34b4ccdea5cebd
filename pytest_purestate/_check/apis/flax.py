"""Flax: linen, nnx, struct, TrainState, FrozenDict."""

TABLE = """
@module.init(rngs): consumes rngs as init; returns state; pure
@module.init_with_output(rngs): consumes rngs as init; returns pair opaque state; pure
@module.lazy_init(rngs): consumes rngs as init; returns state; pure
@module.apply(variables, *, rngs, mutable, method, capture_intermediates): consumes rngs as apply; returns opaque;
    state variables; forwards __call__; succeeds variables as collections
@module.{bind}(variables, *, rngs): consumes rngs as apply; returns opaque
@module.{tabulate}(rngs): returns str
@module.make_rng(name): returns key
@module.{param,variable,sow,perturb,put_variable,has_variable,get_variable,
    is_initializing}(name): returns opaque
@module.clone(): returns same self

flax.linen.{tabulate,summary.tabulate}(module): returns opaque
flax.linen.Module.apply(variables, *, rngs): consumes rngs as apply; returns opaque; state variables;
    succeeds variables as collections
flax.linen.init(fn): returns opaque
flax.linen.{relu,gelu,softmax,log_softmax,sigmoid,silu,swish,tanh,one_hot,softplus,elu}(x): returns array
flax.linen.{get_partition_spec,get_sharding,logical_to_mesh,logical_to_mesh_sharding}(tree): returns static
flax.nnx.{get_partition_spec,get_named_sharding}(tree): returns static
@*.{get_partition_spec,get_sharding}(): returns static
flax.linen.*(features): returns module

flax.training.train_state.TrainState.create(): returns state; pure
@*.apply_gradients(): returns same self; pure; succeeds self as params
@state.apply_gradients(): pure; returns copy self; succeeds self as params
@state.{replace,_replace}(): pure; returns copy self; succeeds self
@state.copy(add_or_replace): pure; returns copy self
@*.apply_fn(variables, *, rngs): consumes rngs as apply; returns opaque; succeeds variables as collections

flax.core.{freeze,FrozenDict}(xs): returns state
flax.core.unfreeze(xs): returns state; pure
flax.core.copy(x): returns state; pure
flax.core.pop(x): returns pair state opaque; pure
flax.traverse_util.{flatten_dict,unflatten_dict,path_aware_map}(xs): returns state; pure
flax.traverse_util.t_identity(xs): returns deep
flax.serialization.{to_state_dict,from_state_dict,from_bytes}(x): returns deep
flax.training.checkpoints.restore_checkpoint(ckpt_dir, target): returns state
orbax.checkpoint.{Checkpointer,AsyncCheckpointer,PyTreeCheckpointer,StandardCheckpointer,CheckpointManager}(x): returns checkpointer
@checkpointer.restore(directory): returns state
@checkpointer.save(directory): effect io; returns opaque
flax.serialization.to_bytes(x): returns opaque
flax.jax_utils.{replicate,unreplicate}(tree): returns twin tree
flax.training.common_utils.{shard,shard_prng_key}(xs): returns opaque

flax.nnx.Rngs(default): returns stream; consumes default keys as init
flax.nnx.reseed(node): consumes keys as init; returns none
flax.nnx.{fork_rngs,split_rngs}(node): returns opaque
flax.nnx.state(node): returns state
flax.nnx.{split,clone,graphdef}(node): returns opaque
flax.nnx.merge(graphdef): returns graph
flax.nnx.{Optimizer,ModelAndOptimizer}(model, tx): returns optimizer
@{optimizer,graph}.update(model, grads): mutates self; returns none
@graph.apply_gradients(grads): mutates self
flax.nnx.update(node, state): mutates node; returns none
flax.nnx.*(x): returns opaque
"""
