"""Chex and sharding, which look at what they are given, and replay buffers."""

TABLE = """
chex.*(x): returns opaque
jax.sharding.*(x): returns opaque

flashbax.{make_flat_buffer,make_item_buffer,make_trajectory_buffer,make_trajectory_queue,make_mixer,
    make_prioritised_flat_buffer,make_prioritised_trajectory_buffer}(max_length): returns buffer
@buffer.init(experience): outlines experience; returns state
@buffer.add(state, batch): pure; returns state
@buffer.sample(state, rng_key): consumes rng_key; returns opaque
@buffer.can_sample(state): returns array
@buffer.set_priorities(state, indices, priorities): pure; returns state
"""
