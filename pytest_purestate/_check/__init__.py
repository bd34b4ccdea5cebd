"""The static half: source -> libcst -> IR -> facts -> rules -> findings. Never imports jax."""
