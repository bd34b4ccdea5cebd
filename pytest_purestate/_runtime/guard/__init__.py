"""The guard: what watches each test under `pytest --purestate`, and only observes."""
