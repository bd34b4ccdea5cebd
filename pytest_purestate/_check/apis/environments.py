"""Reinforcement learning environments: Gymnax, Brax, Jumanji and what looks like them.

Where the key stands differs from one to the next (Brax gives ``step`` the state first), so every argument that
is a key counts.
"""

TABLE = """
gymnax.make(env_id): returns pair env opaque
gymnax.{environments,wrappers}.*(env): returns env
brax.envs.{get_environment,create,env_from_name}(env_name): returns env
brax.envs.wrappers.*(env): returns env
brax.envs.training.{wrap}(env): returns env
jumanji.make(env_id): returns env
jumanji.{environments,wrappers}.*(env): returns env
craftax.craftax_env.make_craftax_env_from_name(name): returns env
@env.{reset,reset_env}(key): consumes keys as init; returns opaque
@env.{step,step_env}(key): consumes keys as apply; returns opaque
@env.{action_space,observation_space}(params): returns dist
@*.reset(state): consumes keys as init; returns opaque
"""
