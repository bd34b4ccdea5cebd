"""Arrays: `jax.numpy`, `jax.lax`, `jax.nn` give JAX arrays; `numpy` gives buffers that may be written."""

TABLE = """
jax.numpy.asarray(a, dtype, *, copy): returns view a; aliases a; ordered a
jax.numpy.{array,stack,concatenate,vstack,hstack}(a): returns view a; ordered a
jax.numpy.{copy,squeeze,expand_dims,reshape,atleast_1d,atleast_2d,
    array_split,flip,transpose,tile,repeat,broadcast_to,roll,take}(a): returns view a
jax.numpy.{append,insert,delete,put,place,put_along_axis,fill_diagonal}(a): returns array; pure; succeeds a
jax.numpy.{shape,ndim,size,iscomplexobj,isscalar,issubdtype,dtype,finfo,iinfo,result_type,promote_types,
    broadcast_shapes}(a): returns static
jax.numpy.{ndarray,float32,int32,uint32,bfloat16,float64,bool_,uint8,int8,int64,uint64}(x): returns array
jax.numpy.{unravel_index,meshgrid,split,hsplit,vsplit,nonzero,broadcast_arrays,
    unique}(x): returns opaque
jax.numpy.where(condition, x, y): returns array if y
jax.numpy.{save,savez,load,einsum_path}(x): returns opaque
jax.numpy.{zeros_like,ones_like,full_like,empty_like}(a): reads a; returns array
jax.numpy.{sin,cos,tan,arcsin,arccos,arctan,sinh,cosh,tanh,exp,exp2,expm1,log,log2,log10,log1p,sqrt,square,abs,sign,floor,
    ceil,round,clip,isnan,isfinite,nan_to_num,sum,mean,max,min,prod,std,var,any,all,cumsum,cumprod,argmax,argmin,
    argsort,diag,trace,ravel,norm,inv}(x): returns array; arrays x
jax.numpy.{add,subtract,multiply,divide,power,maximum,minimum,arctan2,logaddexp,dot,matmul,vdot,inner,outer,
    tensordot}(x, y): returns array; arrays x y
jax.numpy.*(x): returns array
jax.scipy.*(x): returns opaque
jax.lax.select(which, a, b): returns array if b
jax.lax.dynamic_update_slice(operand, update, starts): returns array if starts; pure; succeeds operand
jax.lax.{dynamic_update_slice_in_dim,dynamic_update_index_in_dim,scatter,scatter_add,scatter_apply,scatter_max,
    scatter_min,scatter_mul}(a): returns array; pure; succeeds a
jax.lax.{add,mul,sub,dot,max,min,div,pow}(x, y): returns array if y
jax.lax.{dynamic_slice,dynamic_index_in_dim,dynamic_slice_in_dim}(a): returns view a
jax.lax.{pmean,psum,pmax,pmin,stop_gradient,with_sharding_constraint,optimization_barrier}(x): returns twin x
jax.lax.*(x): returns opaque
jax.nn.{relu,gelu,softmax,log_softmax,sigmoid,silu,swish,tanh,one_hot,softplus,elu,leaky_relu,
    logsumexp}(x): returns array
jax.nn.*(x): returns opaque
jax.image.*(x): returns array
jax.ops.{segment_sum,segment_max,segment_min,segment_prod}(x): returns array
jax.{device_put,device_put_replicated,device_put_sharded}(x): returns twin x; aliases x
jax.{block_until_ready}(x): returns same x
jax.device_get(x): returns opaque
@{key,keys}.{reshape,squeeze,copy,block_until_ready,flatten,ravel,transpose,astype}(): returns same self
@array.{at}(): returns opaque
@array.{item,tolist}(): returns opaque
@*.{is_deleted,is_ready}(): returns static
@array.delete(): returns static
@array.{block_until_ready}(): returns same self
@array.{sum,mean,max,min,std,var,prod,reshape,astype,transpose,ravel,flatten,squeeze,dot,copy,clip,
    round,cumsum,argmax,argmin,argsort,swapaxes,repeat,any,all,conj,take}(): returns array
@array.{sort}(): returns array; pure; succeeds self

numpy.random.{default_rng,RandomState,SeedSequence}(seed): returns generator seed
numpy.random.Generator(seed): returns opaque
numpy.random.{seed,set_state}(x): effect seed; returns none
numpy.random.shuffle(x): mutates x; effect host-rng; returns none; ordered x
numpy.random.{permutation,choice}(x): returns numpy; effect host-rng; ordered x
numpy.random.*(x): returns numpy; effect host-rng
numpy.{zeros,ones,empty}(shape, dtype): returns numpy
numpy.{linspace,eye,arange}(x, *, dtype): returns numpy
numpy.{array,stack,concatenate,vstack,hstack}(x): returns numpy; ordered x
numpy.{full,zeros_like,ones_like,empty_like,full_like,copy,tile,repeat,mean,nanmean,std,nanstd,sum,nansum,
    median,where}(x): returns numpy
numpy.{max,min,var,sqrt,log,exp,abs}(x, *, out): returns numpy; mutates out
numpy.{add,subtract,multiply,divide,clip,dot,matmul,negative,maximum,minimum,take}(x, *, out): returns opaque;
    mutates out
numpy.{asarray,ascontiguousarray,asfortranarray}(x): returns opaque; ordered x
numpy.{copyto,put,place,putmask,fill_diagonal}(a): mutates a; returns none
@numpy.{fill,sort,partition,put,itemset}(): mutates self; returns none
numpy.{save,savez,savez_compressed,savetxt}(file): effect io
numpy.{cos,sin,tan,arcsin,arccos,arctan,arctan2,cosh,sinh,tanh,floor,ceil,power,square,outer,diag,tri,
    logspace,geomspace,identity,hanning,hamming,blackman,bartlett,kaiser}(x): returns numpy
numpy.*(x): returns opaque

jax.tree.{map}(f, tree): pure; returns state; runs f as tree
jax.tree_util.{tree_map,tree_map_with_path}(f, tree): pure; returns state; runs f as tree
jax.tree.{map_with_path}(f, tree): pure; returns state; runs f as tree
jax.{tree_map,tree_multimap}(f, tree): pure; returns state; runs f as tree
jax.tree_util.{tree_multimap}(f, tree): pure; returns state; runs f as tree
jax.tree.structure(tree): returns static
jax.tree_util.tree_structure(tree): returns static
jax.tree.{flatten,flatten_with_path}(tree): returns pair opaque static
jax.tree_util.{tree_flatten,tree_flatten_with_path}(tree): returns pair opaque static
jax.{tree_flatten}(tree): returns pair opaque static
jax.tree.{unflatten}(treedef, leaves): returns state
jax.tree_util.{tree_unflatten}(treedef, leaves): returns state
jax.flatten_util.ravel_pytree(pytree): returns pair array static
jax.tree_util.Partial(func): returns opaque
"""
