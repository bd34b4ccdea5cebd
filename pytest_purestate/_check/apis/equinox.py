"""Equinox: every layer that draws takes ``key=``, when it is made and when it is called."""

TABLE = """
equinox.nn.{LayerNorm,BatchNorm,GroupNorm,RMSNorm,Identity,Lambda,Sequential,StateIndex,AvgPool1d,AvgPool2d,
    AvgPool3d,MaxPool1d,MaxPool2d,MaxPool3d,AdaptiveAvgPool1d,AdaptiveAvgPool2d,AdaptiveAvgPool3d,
    AdaptiveMaxPool1d,AdaptiveMaxPool2d,AdaptiveMaxPool3d,Dropout,PReLU}(x): returns module
equinox.nn.{inference_mode}(pytree): returns same pytree; pure
equinox.nn.{State,delete_init_state}(model): returns opaque
equinox.nn.make_with_state(make_model): returns same make_model
equinox.nn.*(*, key): consumes key as init; returns module
equinox.tree_at(where, pytree, replace): returns copy pytree; pure; succeeds pytree
equinox.apply_updates(model, updates): returns copy model; pure; succeeds model as params
equinox.partition(pytree): returns pair state state; pure
equinox.filter(pytree): returns state; pure
equinox.combine(pytree): returns opaque; pure
equinox.tree_inference(pytree): returns same pytree; pure
equinox.nn.{BatchNorm,SpectralNorm}.__call__(x, state, *, key): consumes key as apply; returns pair array state;
    succeeds state as collections
@{module,equinox}.__call__(x, *, key, rng): consumes key rng as apply; returns opaque
"""
