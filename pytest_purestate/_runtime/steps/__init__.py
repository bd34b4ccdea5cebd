"""The contract of a train step: how a step is called, what its calls left behind, and the clauses, one file each."""
