"""What other linters find in the programs that purestate is meant for, and what they wrongly report there.

    python -m benchmarks.peers [--bin DIR] [--corpus DIR] [--list]

`programs` reads the programs and their marks, `tools` runs the linters, `score` counts.
"""
