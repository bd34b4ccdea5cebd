"""Haiku: keys come from ``next_rng_key`` and sequences; a transformed function takes its key by position."""

TABLE = """
haiku.{next_rng_key,maybe_next_rng_key}(): returns key
haiku.next_rng_keys(num): returns keys
haiku.{get_parameter,get_state,set_state,reserve_rng_keys,maybe_get_rng_sequence_state}(name): returns opaque
haiku.PRNGSequence(key_or_seed): returns stream; consumes key_or_seed as init
haiku.{with_rng,with_rng_state}(key): consumes key as init; returns opaque
haiku.dropout(rng, rate, x): consumes rng; returns array
haiku.data_structures.*(x): returns deep
haiku.*(x): returns opaque
haiku.{transform,multi_transform}(f): runs f as pure; returns transformed
haiku.{transform_with_state,multi_transform_with_state}(f): runs f as pure; returns transformed_with_state
haiku.without_apply_rng(f): returns transformed_without_rng
haiku.without_apply_rng@transformed_with_state(f): returns stateful_without_rng
@{transformed,transformed_without_rng}.init(rng): consumes rng as init; returns state
@transformed.apply(params, rng): consumes rng as apply; returns opaque; state params
@{transformed_with_state,stateful_without_rng}.init(rng): consumes rng as init; returns pair state state
@transformed_with_state.apply(params, state, rng): consumes rng as apply; returns pair opaque state; state params;
    succeeds state as collections
@stateful_without_rng.apply(params, state): returns pair opaque state; state params; succeeds state as collections
@transformed_without_rng.apply(params): returns opaque; state params
@stream.{next,__next__,__call__,next_key}(): returns key
@stream.take(n): returns keys
@stream.{reserve,reserve_up_to_full}(n): returns none
@stream.*(): returns key
"""
