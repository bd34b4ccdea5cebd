"""One rule a file: every public module here defines ``RULE`` and is found by `registry`."""
