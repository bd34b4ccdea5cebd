"""Functions that take functions: transforms, structured control flow, callbacks to the host."""

TABLE = """
jax.{jit,pjit}(fun): wraps fun as jit
jax.experimental.pjit.pjit(fun): wraps fun as jit
jax.{vmap,pmap,xmap,soft_pmap}(fun, in_axes): wraps fun as vmap
jax.{grad,value_and_grad,jacfwd,jacrev,jacobian,hessian}(fun, argnums): wraps fun as grad
jax.{checkpoint,remat,custom_jvp,custom_vjp,custom_gradient,
    custom_batching.custom_vmap}(fun): wraps fun as inline
jax.named_call(fun): wraps fun
jax.ad_checkpoint.{checkpoint,remat}(fun): wraps fun as inline
jax.{shard_map,experimental.shard_map.shard_map}(f, mesh): wraps f as inline
jax.{linearize,vjp,jvp}(fun, primals): runs fun as grad
jax.{eval_shape,make_jaxpr}(fun): wraps fun as shape
jax.lax.scan(f, init, xs): runs f as scan
jax.lax.fori_loop(lower, upper, body_fun, init_val): runs body_fun as fori
jax.lax.while_loop(cond_fun, body_fun, init_val): runs cond_fun body_fun as while
jax.lax.map(f, xs): runs f as map
jax.lax.{associative_scan,reduce}(f, xs): runs f as map
jax.lax.cond(pred, true_fun, false_fun): runs true_fun false_fun as cond
jax.lax.switch(index, branches): runs branches as cond
jax.lax.custom_root(f): runs f as inline
jax.experimental.pallas.pallas_call(kernel): wraps kernel as kernel
jax.experimental.pallas.kernel(body): wraps body as kernel
jax.experimental.pallas.run_scoped(f): runs f as kernel
jax.experimental.pallas.tpu.{emit_pipeline,emit_pipeline_with_allocations}(body): wraps body as kernel
jax.experimental.pallas.{program_id,num_programs}(axis): inside kernel; returns array
jax.experimental.pallas.{when,loop}(condition): inside kernel
qwix.pallas.pallas_call(kernel): wraps kernel as kernel

jax.debug.{print,callback,breakpoint}(callback): returns none
jax.{pure_callback,experimental.io_callback}(callback): returns array
jax.experimental.host_callback.{call,id_tap}(callback): returns array
jax.{new_ref,array_ref,mutable_array}(x): returns ref
jax.effects_barrier(): returns none
jax.typeof(x): returns static
{jax.core,jax.extend.core,jax._src.core}.Tracer(x): returns tracer
jax.interpreters.partial_eval.{JaxprTracer,DynamicJaxprTracer}(x): returns tracer

jax.{custom_jvp,custom_vjp}.{defvjp,defjvp,defjvps}(fwd, bwd): runs fwd bwd as inline; returns none
flax.nnx.{jit,pmap}(f): wraps f as nnx-jit
flax.nnx.{shard_map}(f): wraps f as nnx
flax.nnx.vmap(f): wraps f as nnx
flax.nnx.{grad,value_and_grad,remat,checkpoint,custom_vjp}(f): wraps f as nnx
flax.nnx.{scan}(f): wraps f as nnx
flax.nnx.cond(pred, true_fun, false_fun): runs true_fun false_fun as cond; back
flax.nnx.switch(index, branches): runs branches as cond; back
flax.nnx.fori_loop(lower, upper, body_fun, init_val): runs body_fun as fori; back
flax.nnx.while_loop(cond_fun, body_fun, init_val): runs cond_fun body_fun as while; back
flax.nnx.eval_shape(f): wraps f as shape
flax.linen.{jit,remat,checkpoint,scan,vmap,map_variables}(target): returns same target
flax.linen.{compact,nowrap}(fun): returns same fun

equinox.{filter_jit,filter_pmap}(fun): wraps fun as jit
equinox.{filter_vmap}(fun, in_axes): wraps fun as vmap
equinox.{filter_grad,filter_value_and_grad,filter_jacfwd,filter_jacrev,
    filter_hessian}(fun): wraps fun as grad
equinox.{filter_checkpoint,filter_custom_vjp,filter_custom_jvp,
    filter_closure_convert}(fun): wraps fun as inline
equinox.{filter_eval_shape,filter_make_jaxpr}(fun): runs fun as shape
equinox.internal.{scan}(f, init, xs): runs f as scan
equinox.internal.{while_loop}(cond_fun, body_fun, init_val): runs cond_fun body_fun as while

haiku.{jit,remat,grad,value_and_grad,checkpoint}(fun): wraps fun as inline
haiku.{vmap}(fun): wraps fun as vmap
haiku.{scan}(f, init, xs): runs f as scan
haiku.{cond}(pred, true_fun, false_fun): runs true_fun false_fun as cond
haiku.{switch}(index, branches): runs branches as cond
haiku.{map}(f, xs): runs f as map
haiku.{fori_loop}(lower, upper, body_fun, init_val): runs body_fun as fori
haiku.{while_loop}(cond_fun, body_fun, init_val): runs cond_fun body_fun as while
haiku.{transparent,experimental.name_like}(method): returns same method

numpyro.util.cond(pred, true_operand, true_fun, false_operand, false_fun): runs true_fun false_fun as cond
numpyro.util.{fori_loop}(lower, upper, body_fun, init_val): runs body_fun as fori
numpyro.util.{while_loop}(cond_fun, body_fun, init_val): runs cond_fun body_fun as while
numpyro.util.{fori_collect}(lower, upper, body_fun, init_val): runs body_fun as inline

chex.{assert_max_traces,chexify}(fn): returns same fn
functools.{wraps,update_wrapper}(wrapped): returns opaque
functools.{lru_cache,cache}(func): wraps func as memo
functools.cached_property(func): returns same func
"""
