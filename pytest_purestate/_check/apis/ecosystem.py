"""Chex and sharding: they look at what they are given."""

TABLE = """
chex.*(x): returns opaque
jax.sharding.*(x): returns opaque
"""
