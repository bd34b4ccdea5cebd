"""From objects to functions: nine pairs of modules, one with hidden state and one without.

`story.impure.NAME` and `story.pure.NAME` solve the same small problem. Read them side by side.
"""
